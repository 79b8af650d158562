//! Names and numbers at and over their limits: what this library refuses, what the kernel refuses, and that they agree.

use std::thread;
use std::time::Duration;

use zfsvol_core::kernel::{Access, Cmd, Errno, Ioc};
use zfsvol_core::name::{NAME_BYTES_MAX, NESTING_MAX};
use zfsvol_core::nvlist::NvList;
use zfsvol_core::property::{
    PropertySet, USER_PROPERTY_NAME_BYTES_MAX, USER_PROPERTY_VALUE_BYTES_MAX,
};
use zfsvol_core::{Bytes, DatasetName, Error, ErrorKind, NameReason};

use crate::expect::{at_once, file_system, plain, refused, snapshot, zvol};
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(the_longest_dataset_name_can_be_created_and_no_longer_one),
        case(the_longest_snapshot_name_can_be_taken_and_no_longer_one),
        case(a_rename_that_makes_a_name_below_too_long_is_refused),
        case(a_recursive_snapshot_that_makes_a_name_below_too_long_takes_none),
        case(the_deepest_dataset_can_be_created_and_no_deeper_one),
        case(the_kernel_takes_the_characters_that_names_take_and_no_others),
        case(the_kernel_takes_no_unicode_in_names),
        case(a_reply_longer_than_the_first_buffer_is_read_in_full),
        case(a_user_property_of_the_longest_name_and_value_is_kept),
        case(a_reservation_larger_than_the_pool_is_refused),
        case(a_promote_over_a_quota_is_refused),
        case(a_pool_that_is_full_says_no_space_and_can_be_freed),
    ]
}

/// How long the block device of a zvol may take to appear.
const DEVICE_WAIT: Duration = Duration::from_secs(30);

/// `parent/xxx`, `bytes` long in all.
fn padded(parent: &DatasetName, bytes: usize) -> String {
    let padding = bytes - parent.as_str().len() - 1;
    format!("{parent}/{}", "x".repeat(padding))
}

fn the_longest_dataset_name_can_be_created_and_no_longer_one(world: &World) {
    let zfs = world.zfs();
    let longest: DatasetName = padded(&world.root(), NAME_BYTES_MAX).parse().expect("it fits");
    zfs.create_filesystem(&longest, &PropertySet::new()).expect("created");
    assert!(zfs.exists(&longest).expect("asked"));

    let longer = padded(&world.root(), NAME_BYTES_MAX + 1);
    let refused = longer.parse::<DatasetName>().expect_err("too long");
    assert_eq!(refused.reason(), &NameReason::TooLong(NAME_BYTES_MAX + 1));
    assert!(kernel_creates(world, &longer).is_err(), "the kernel has the same limit");
}

fn the_longest_snapshot_name_can_be_taken_and_no_longer_one(world: &World) {
    let volume = file_system(world, "v");
    let room = NAME_BYTES_MAX - volume.as_str().len() - 1;
    let longest = snapshot(world, &volume, &"s".repeat(room));
    assert_eq!(longest.as_str().len(), NAME_BYTES_MAX);
    assert!(world.zfs().exists(&longest).expect("asked"));
    let refused = volume.snapshot(&"s".repeat(room + 1)).expect_err("too long");
    assert_eq!(refused.reason(), &NameReason::TooLong(NAME_BYTES_MAX + 1));
}

fn a_rename_that_makes_a_name_below_too_long_is_refused(world: &World) {
    let zfs = world.zfs();
    let volume = file_system(world, "v");
    let deep: DatasetName = padded(&volume, NAME_BYTES_MAX).parse().expect("it fits");
    zfs.create_filesystem(&deep, &PropertySet::new()).expect("created");
    let error = zfs.rename(&volume, &world.dataset("vv")).expect_err("the child's name is full");
    assert_eq!(error.kind(), ErrorKind::InvalidName, "{error}");
    assert!(zfs.exists(&deep).expect("asked"), "nothing was renamed");
}

fn a_recursive_snapshot_that_makes_a_name_below_too_long_takes_none(world: &World) {
    let zfs = world.zfs();
    let volume = file_system(world, "v");
    let deep: DatasetName = padded(&volume, NAME_BYTES_MAX).parse().expect("it fits");
    zfs.create_filesystem(&deep, &PropertySet::new()).expect("created");
    let error = zfs
        .snapshot_recursive(&volume, "s", &PropertySet::new())
        .expect_err("no snapshot of the child fits");
    assert_eq!(error.kind(), ErrorKind::InvalidName, "{error}");
    assert!(!zfs.exists(&volume.snapshot("s").expect("a name")).expect("asked"));
}

fn the_deepest_dataset_can_be_created_and_no_deeper_one(world: &World) {
    let mut name = world.root();
    while name.depth() < NESTING_MAX - 1 {
        name = name.child("d").expect("a name");
        world.zfs().create_filesystem(&name, &PropertySet::new()).expect("created");
    }
    let deeper = format!("{name}/d");
    let refused = deeper.parse::<DatasetName>().expect_err("too deep");
    assert_eq!(refused.reason(), &NameReason::TooDeep(NESTING_MAX));
    assert!(kernel_creates(world, &deeper).is_err(), "the kernel has the same limit");
}

/// What the kernel says to the creation of a file system of that name, whatever this library thinks of the name.
fn kernel_creates(world: &World, name: &str) -> Result<(), Errno> {
    const OBJSET_FILESYSTEM: i32 = 2;
    let mut input = NvList::new();
    input.insert("type", OBJSET_FILESYSTEM);
    let mut cmd = Cmd::new(name);
    cmd.input = Some(input.to_bytes().expect("a list of one number"));
    cmd.reply_max = 4096;
    world.zfs().kernel().ioctl(Ioc::CREATE, &mut cmd)
}

fn the_kernel_takes_the_characters_that_names_take_and_no_others(world: &World) {
    // '/' makes another level; '%' is the kernel's own and refused by it here, while names of its own may have it.
    let characters = (1..=0x7f_u8).map(char::from).filter(|c| !matches!(c, '/' | '%'));
    for character in characters {
        let name = format!("{}/a{character}b", world.root());
        let ours = name.parse::<DatasetName>().is_ok();
        let kernels = kernel_creates(world, &name);
        assert_eq!(ours, kernels.is_ok(), "{name:?}: the kernel says {kernels:?}");
    }
}

fn the_kernel_takes_no_unicode_in_names(world: &World) {
    for component in ["ä", "日本", "a\u{301}", "\u{202e}txt", "\u{0}", "\u{7f}", "🦀"] {
        let name = format!("{}/{component}", world.root());
        assert!(name.parse::<DatasetName>().is_err(), "{name:?}");
        // A NUL would end the name where the kernel reads it, so the door does not let it through.
        assert!(kernel_creates(world, &name).is_err(), "{name:?}");
        assert!(world.root().snapshot(component).is_err(), "{name:?}");
    }
}

fn a_reply_longer_than_the_first_buffer_is_read_in_full(world: &World) {
    // 128 KiB is what a reply gets at first; these tags alone are more.
    const HOLDS: usize = 700;
    let zfs = world.zfs();
    let snapshot = snapshot(world, &file_system(world, "v"), "s");
    let tags: Vec<String> = (0..HOLDS).map(|number| format!("{number:0>200}")).collect();
    let holds: Vec<_> = tags.iter().map(|tag| (snapshot.clone(), tag.as_str())).collect();
    // Many at a time share a transaction group; one by one each would wait for its own.
    let threads = 35;
    at_once(threads, |number| {
        for hold in holds.iter().skip(number).step_by(threads) {
            zfs.hold(std::slice::from_ref(hold), None).unwrap();
        }
    });
    let found = zfs.holds(&snapshot).expect("asked");
    assert!(found.iter().map(|hold| &hold.tag).eq(&tags), "{} of {HOLDS}", found.len());
    zfs.release(&holds).expect("released");
    assert_eq!(zfs.holds(&snapshot).expect("asked"), []);
}

fn a_user_property_of_the_longest_name_and_value_is_kept(world: &World) {
    let name = format!("test:{}", "n".repeat(USER_PROPERTY_NAME_BYTES_MAX - 5));
    let value = "v".repeat(USER_PROPERTY_VALUE_BYTES_MAX);
    let properties = PropertySet::new().with(&name, value.as_str()).expect("it fits");
    world.zfs().create_filesystem(&world.dataset("v"), &properties).expect("created");

    for (name, value) in [(format!("{name}n"), "v".to_owned()), ("test:a".to_owned(), value + "v")]
    {
        let error = PropertySet::new().with(&name, value.as_str()).expect_err("too long");
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    }
}

fn a_reservation_larger_than_the_pool_is_refused(world: &World) {
    let reserved = PropertySet::new().with("refreservation", Bytes::from_gib(100)).unwrap();
    let name = world.dataset("v");
    refused(world.zfs().create_zvol(&name, Bytes::from_gib(100), &reserved), ErrorKind::NoSpace);
    assert!(!world.zfs().exists(&name).unwrap());
}

fn a_promote_over_a_quota_is_refused(world: &World) {
    let zfs = world.zfs();
    let origin = zvol(world, "origin", Bytes::from_mib(8));
    let data: Vec<u8> = (0..4_u32 << 20)
        .map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    let device = zfs.open_zvol(&origin, Access::ReadWrite, DEVICE_WAIT).unwrap();
    device.write_all_at(&data, 0).unwrap();
    device.flush().unwrap();
    drop(device);
    let taken = snapshot(world, &origin, "s");
    let narrow = world.dataset("narrow");
    let quota = PropertySet::new().with("quota", Bytes::from_mib(1)).unwrap();
    zfs.create_filesystem(&narrow, &quota).unwrap();
    let clone = narrow.child("clone").unwrap();
    zfs.create_clone(&clone, &taken, &plain()).unwrap();
    // The clone would take over four MiB, below a quota of one.
    let error = refused(zfs.promote(&clone), ErrorKind::NoSpace);
    assert_eq!(error.target(), Some(clone.as_str()));
}

fn a_pool_that_is_full_says_no_space_and_can_be_freed(world: &World) {
    let zfs = world.zfs();
    let pool = world.new_pool("full", Bytes::from_mib(96));
    let volume = pool.root().child("v").unwrap();
    // Most is reserved, so that little has to be written.
    let available = zfs.properties(&pool.root()).unwrap().bytes("available").unwrap();
    let reserved = Bytes::new(available.get() - Bytes::from_mib(4).get());
    let reservation = plain().with("refreservation", reserved).unwrap();
    let reserve = pool.root().child("reserve").unwrap();
    zfs.create_zvol(&reserve, Bytes::from_mib(96), &reservation).unwrap();
    let uncompressed = plain().with("compression", "off").unwrap();
    zfs.create_zvol(&volume, Bytes::from_mib(64), &uncompressed).unwrap();
    fill(world, &volume);

    let sibling = |n| pool.root().child(&format!("w{n}")).unwrap();
    let error = until_refused(|n| zfs.create_filesystem(&sibling(n), &plain()));
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    let snapshot = |n| volume.snapshot(&format!("s{n}")).unwrap();
    let error = until_refused(|n| zfs.snapshot([&snapshot(n)], &plain()));
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");

    // What frees space works in a full pool.
    zfs.destroy_recursive(&volume).unwrap();
    let freed = (0..600).any(|_| {
        thread::sleep(Duration::from_millis(100));
        zfs.create_filesystem(&pool.root().child("room").unwrap(), &plain()).is_ok()
    });
    assert!(freed, "space is freed in the background, within a minute");
}

/// Writes to a zvol until nothing more goes.
fn fill(world: &World, zvol: &DatasetName) {
    let device = world.zfs().open_zvol(zvol, Access::ReadWrite, DEVICE_WAIT).unwrap();
    let block = [0xa5; 64 << 10];
    let mut offset = 0;
    while device.write_all_at(&block, offset).and_then(|()| device.flush()).is_ok() {
        offset += block.len() as u64;
        assert!(offset < Bytes::from_mib(64).get(), "4 MiB of room do not hold 64");
    }
}

/// The error that ends it. A write is refused while there is still some room, because it could take 24 times its size
/// (`spa_asize_inflation`); what is small goes on for a while.
fn until_refused<T>(mut small: impl FnMut(usize) -> Result<T, Error>) -> Error {
    (0..1000).find_map(|n| small(n).err()).expect("the pool is full at some time")
}
