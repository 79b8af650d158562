//! A caller without privileges: refused, and let in as far as `zfs allow` says.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zfsvol_core::kernel::{Access, DevZfs};
use zfsvol_core::nvlist::NvList;
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{
    Create, Destroy, Export, Features, Key, KeyChange, Offline, PoolSpec, Program, ReceiveOptions,
    Scrub, SendOptions, Topology, TreeDestroyed, VdevSpec,
};
use zfsvol_core::{Bytes, DatasetName, Error, ErrorKind, Result, SnapshotName, Zfs};

use crate::expect::{file_system, plain, refused, snapshot, zvol};
use crate::user::as_user;
use crate::{Case, Need, World, case, command, volume};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_caller_without_privileges_is_denied_every_change),
        case(a_caller_without_privileges_is_denied_transfers_and_their_like),
        case(a_caller_without_privileges_is_denied_the_administration_of_pools),
        case(a_caller_without_privileges_can_look),
        case(what_is_allowed_works_and_the_rest_is_denied).needs(Need::Commands),
        case(who_may_send_and_receive_copies_a_volume).needs(Need::Commands),
        case(who_may_only_append_does_not_force_a_receive)
            .needs(Need::Commands)
            .needs(Need::Since(2, 4)),
        case(a_delegation_ends_with_unallow).needs(Need::Commands),
        case(a_recursive_destroy_without_channel_programs_goes_one_by_one).needs(Need::Commands),
        case(limits_of_number_bind_a_caller_without_privileges).needs(Need::Commands),
        case(a_handle_of_ones_own_needs_the_right_to_the_device),
        case(a_device_that_may_not_be_opened_is_denied),
        case(a_device_that_is_not_there_is_no_module),
    ]
    .into_iter()
    .map(|case| case.needs(Need::RealModule).needs(Need::Root))
    .collect()
}

/// Somebody who is nobody to OpenZFS.
const USER: u32 = 4711;

/// How long the block device of a zvol may take to appear.
const DEVICE_WAIT: Duration = Duration::from_secs(20);

/// A door of that user's own: what an unprivileged program would have.
fn open_as_user() -> Zfs {
    Zfs::open().expect("the device is open to all, and OpenZFS checks what is asked")
}

fn assert_denied<T>(what: &str, outcome: Result<T>) {
    let error = outcome.err().unwrap_or_else(|| panic!("{what} was allowed"));
    assert_eq!(error.kind(), ErrorKind::Denied, "{what}: {error}");
}

/// One attempt of a change, named.
type Attempt<'a> = (&'static str, Box<dyn Fn(&Zfs) -> Result<()> + Send + Sync + 'a>);

fn a_caller_without_privileges_is_denied_every_change(world: &World) {
    let root = world.root();
    let volume = file_system(world, "v");
    let snapshot = snapshot(world, &volume, "s");
    let bookmark = volume.bookmark("b").expect("a name");
    world.zfs().bookmark(&[(bookmark.clone(), snapshot.clone().into())]).expect("bookmarked");
    let clone = world.dataset("clone");
    world.zfs().create_clone(&clone, &snapshot, &PropertySet::new()).expect("cloned");
    world.zfs().hold(&[(snapshot.clone(), "ours")], None).expect("held");

    let secret = world.dataset("secret");
    let key = Key::raw([7; 32]);
    world.zfs().create(&secret, &Create::filesystem().key(key.clone())).expect("encrypted");

    as_user(USER, || {
        let zfs = open_as_user();
        assert_denied("check_key", zfs.check_key(&secret, &key));
        assert_denied("unload_key", zfs.unload_key(&secret));
        let change = KeyChange::New(Key::raw([8; 32]));
        assert_denied("change_key", zfs.change_key(&secret, &change, &PropertySet::new()));
        for (what, attempt) in changes(&root, &volume, &snapshot) {
            assert_denied(what, attempt(&zfs));
        }
        assert_denied("destroy_bookmarks", zfs.destroy_bookmarks(&[bookmark]));
        assert_denied("promote", zfs.promote(&clone));
        // Nothing but the missing right keeps the clone from going.
        assert_denied("destroy_recursive", zfs.destroy_recursive(&clone));
    });
}

fn changes<'a>(
    root: &'a DatasetName,
    volume: &'a DatasetName,
    snapshot: &'a SnapshotName,
) -> Vec<Attempt<'a>> {
    let none = PropertySet::new;
    let new = root.child("new").expect("a name");
    let another = volume.snapshot("another").expect("a name");
    let bookmark = volume.bookmark("another").expect("a name");
    let created = new.clone();
    let zvol = new.clone();
    let cloned = new.clone();
    vec![
        ("create", Box::new(move |zfs| zfs.create_filesystem(&created, &none()))),
        ("create a zvol", Box::new(move |zfs| zfs.create_zvol(&zvol, Bytes::from_mib(8), &none()))),
        ("snapshot", Box::new(move |zfs| zfs.snapshot(std::slice::from_ref(&another), &none()))),
        ("clone", Box::new(move |zfs| zfs.create_clone(&cloned, snapshot, &none()))),
        ("rename", Box::new(move |zfs| zfs.rename(volume, &new))),
        (
            "rename a snapshot",
            Box::new(move |zfs| zfs.rename_snapshot(snapshot, "t", false).map(drop)),
        ),
        ("destroy", Box::new(move |zfs| zfs.destroy(volume))),
        (
            "destroy_snapshots",
            Box::new(move |zfs| {
                zfs.destroy_snapshots(std::slice::from_ref(snapshot), Destroy::Deferred)
            }),
        ),
        ("rollback_to", Box::new(move |zfs| zfs.rollback_to(snapshot))),
        ("rollback", Box::new(move |zfs| zfs.rollback(volume).map(drop))),
        (
            "bookmark",
            Box::new(move |zfs| zfs.bookmark(&[(bookmark.clone(), snapshot.clone().into())])),
        ),
        ("hold", Box::new(move |zfs| zfs.hold(&[(snapshot.clone(), "theirs")], None).map(drop))),
        ("release", Box::new(move |zfs| zfs.release(&[(snapshot.clone(), "ours")]).map(drop))),
        (
            "channel_program",
            Box::new(move |zfs| {
                zfs.channel_program(&volume.pool(), &Program::new("return 1")).map(drop)
            }),
        ),
        ("destroy_pool", Box::new(move |zfs| zfs.destroy_pool(&volume.pool()))),
    ]
}

fn a_caller_without_privileges_is_denied_transfers_and_their_like(world: &World) {
    let volume = file_system(world, "v");
    let (one, two) = (snapshot(world, &volume, "one"), snapshot(world, &volume, "two"));
    let disk = zvol(world, "disk", Bytes::from_mib(8));
    let mut stream = Vec::new();
    world.zfs().send(&one, &SendOptions::full()).unwrap().read_to_end(&mut stream).unwrap();
    let copy = world.dataset("copy").snapshot("one").unwrap();
    let clone = world.dataset("clone");
    world.zfs().create_clone(&clone, &one, &plain()).unwrap();
    let changed = snapshot(world, &clone, "changed");

    as_user(USER, || {
        let zfs = open_as_user();
        let atime = plain().with("atime", false).unwrap();
        assert_denied("set_properties", zfs.set_properties(&volume, &atime));
        assert_denied("inherit_property", zfs.inherit_property(&volume, "atime"));
        assert_denied("resize_zvol", zfs.resize_zvol(&disk, Bytes::from_mib(16)));
        // The device is not OpenZFS's to guard: its node is root's.
        assert_denied("open_zvol", zfs.open_zvol(&disk, Access::Read, DEVICE_WAIT));
        let sent = zfs.send(&one, &SendOptions::full());
        assert_denied("send", sent.and_then(|stream| stream.write_to(io::sink())?.wait()));
        let received = zfs.receive(&copy, &ReceiveOptions::new());
        let source = io::Cursor::new(stream);
        assert_denied("receive", received.and_then(|receive| receive.read_from(source)?.wait()));
        assert_denied("diff", zfs.diff(&one, &two));
        assert_denied("object_path", zfs.object_path(&one, 4));
        let bookmark = volume.bookmark("redacted").unwrap();
        assert_denied("redact", zfs.redact(&one, &bookmark, &[changed]));
    });
}

fn a_caller_without_privileges_is_denied_the_administration_of_pools(world: &World) {
    let pool = world.pool_name("theirs");
    let of_few_features =
        PoolSpec::new([VdevSpec::single(world.new_file("theirs", Bytes::from_mib(128)))])
            .features(Features::None);
    world.zfs().create_pool(&pool, &of_few_features).unwrap();
    world.adopt_pool(&pool);
    let guid = world.zfs().pool_status(&pool).unwrap().guid;
    let file = world.new_file("another", Bytes::from_mib(128));
    let topology = Topology { vdevs: vec![VdevSpec::single(&file)], ..Topology::default() };
    let comment = PropertySet::for_pool().with("comment", "mine").unwrap();
    let mut environment = NvList::new();
    environment.insert("version", 1_u64);
    as_user(USER, || {
        let zfs = open_as_user();
        let mine = world.pool_name("mine");
        let spec = PoolSpec::new([VdevSpec::single(&file)]);
        assert_denied("create_pool", zfs.create_pool(&mine, &spec));
        assert_denied("export_pool", zfs.export_pool(&pool, Export::default()));
        assert_denied("set_pool_properties", zfs.set_pool_properties(&pool, &comment));
        assert_denied("enable_features", zfs.enable_features(&pool, &Features::All));
        assert_denied("reguid_pool", zfs.reguid_pool(&pool, None));
        assert_denied("add_vdevs", zfs.add_vdevs(&pool, &topology, true));
        assert_denied("detach_vdev", zfs.detach_vdev(&pool, guid));
        assert_denied("remove_vdev", zfs.remove_vdev(&pool, guid));
        assert_denied("offline_vdev", zfs.offline_vdev(&pool, guid, Offline::Temporary));
        assert_denied("clear_pool", zfs.clear_pool(&pool, None));
        assert_denied("checkpoint_pool", zfs.checkpoint_pool(&pool));
        assert_denied("scrub_pool", zfs.scrub_pool(&pool, Scrub::Start));
        assert_denied("reopen_pool", zfs.reopen_pool(&pool, false));
        assert_denied("set_bootenv", zfs.set_bootenv(&pool, &environment));
        assert_denied("pool_history", zfs.pool_history(&pool).next().unwrap());
        assert_denied("clear_events", zfs.clear_events());
        assert_denied("events", zfs.events().and_then(|mut events| events.poll()));
        assert_denied("destroy_pool", zfs.destroy_pool(&pool));
        assert_eq!(zfs.pool_status(&pool).unwrap().guid, guid, "it may look");
    });
}

fn a_caller_without_privileges_can_look(world: &World) {
    let volume = file_system(world, "v");
    let snapshot = snapshot(world, &volume, "s");
    world.zfs().hold(&[(snapshot.clone(), "ours")], None).expect("held");
    as_user(USER, || {
        let zfs = open_as_user();
        assert!(zfs.exists(&volume).expect("asked"));
        assert_eq!(zfs.holds(&snapshot).expect("asked").len(), 1);
        assert_eq!(zfs.bookmarks(&volume).expect("asked"), []);
    });
}

/// `zfs allow -u USER permissions dataset`.
fn allow(permissions: &str, dataset: &DatasetName) {
    command::zfs(&["allow", "-u", &USER.to_string(), permissions, dataset.as_str()]);
}

fn what_is_allowed_works_and_the_rest_is_denied(world: &World) {
    let root = world.root();
    allow("create,mount,snapshot,hold,release,clone,bookmark,destroy", &root);
    as_user(USER, || {
        let (zfs, none) = (open_as_user(), PropertySet::new());
        let volume = root.child("v").expect("a name");
        zfs.create_filesystem(&volume, &none).expect("create is allowed");
        let snapshot = volume.snapshot("s").expect("a name");
        zfs.snapshot(std::slice::from_ref(&snapshot), &none).expect("snapshot is allowed");
        zfs.hold(&[(snapshot.clone(), "mine")], None).expect("hold is allowed");
        zfs.release(&[(snapshot.clone(), "mine")]).expect("release is allowed");
        let clone = root.child("clone").expect("a name");
        zfs.create_clone(&clone, &snapshot, &none).expect("clone is allowed");

        assert_denied("rollback", zfs.rollback(&volume));
        assert_denied("promote", zfs.promote(&clone));
        assert_denied("rename", zfs.rename(&volume, &root.child("w").expect("a name")));
        let outside: DatasetName = format!("{}/zfsvol-outside", root.pool()).parse().expect("name");
        assert_denied("create beside it", zfs.create_filesystem(&outside, &none));

        zfs.destroy(&clone).expect("destroy is allowed");
        zfs.destroy_snapshots(&[snapshot], Destroy::Now).expect("destroy is allowed");
        zfs.destroy(&volume).expect("destroy is allowed");
    });
}

fn a_delegation_ends_with_unallow(world: &World) {
    let root = world.root();
    let snapshot = |name| [root.snapshot(name).expect("a name")];
    let take = |name| {
        as_user(USER, || open_as_user().snapshot(&snapshot(name), &PropertySet::new()))
            .map_err(|error: Error| error.kind())
    };
    assert_eq!(take("before"), Err(ErrorKind::Denied));
    allow("snapshot", &root);
    assert_eq!(take("between"), Ok(()));
    command::zfs(&["unallow", "-u", &USER.to_string(), "snapshot", root.as_str()]);
    assert_eq!(take("after"), Err(ErrorKind::Denied));
    assert!(world.zfs().exists(&snapshot("between")[0]).expect("asked"));
}

fn a_recursive_destroy_without_channel_programs_goes_one_by_one(world: &World) {
    let root = world.root();
    let volume = file_system(world, "v");
    for child in ["v/a", "v/b"] {
        snapshot(world, &file_system(world, child), "s");
    }
    allow("destroy,mount", &root);
    let outcome = as_user(USER, || open_as_user().destroy_recursive(&volume));
    assert_eq!(outcome.expect("allowed"), TreeDestroyed::OneByOne);
    assert!(!world.zfs().exists(&volume).expect("asked"));
}

/// Sends a snapshot and receives it, all as the caller of `zfs`.
fn copy(
    zfs: &Zfs,
    from: &SnapshotName,
    send: &SendOptions,
    to: &SnapshotName,
    receive: &ReceiveOptions,
) -> Result<()> {
    let receive = zfs.receive(to, receive)?;
    zfs.send(from, send)?.receive_into(receive)?.wait().map(drop)
}

fn who_may_send_and_receive_copies_a_volume(world: &World) {
    let source = volume::filled(world, "source", Bytes::from_mib(1));
    let one = volume::snapshot(world.zfs(), &source, "one");
    volume::write(world.zfs(), &source, 0, &volume::noise(2, 64 << 10));
    let two = volume::snapshot(world.zfs(), &source, "two");
    let into = file_system(world, "into");
    let target = into.child("copy").unwrap();
    let to = |snapshot: &SnapshotName| target.snapshot(snapshot.snapshot()).unwrap();
    let plainly = ReceiveOptions::new();
    let both = || {
        as_user(USER, || {
            let zfs = open_as_user();
            copy(&zfs, &one, &SendOptions::full(), &to(&one), &plainly)?;
            copy(&zfs, &two, &SendOptions::since(one.clone()), &to(&two), &plainly)
        })
    };
    assert_denied("neither", both());
    allow("send", &source);
    assert_denied("send alone", both());
    allow("receive", &into);
    assert_denied("receive without create and mount", both());
    allow("create,mount", &into);
    both().expect("all of it is allowed");
    volume::assert_same(world.zfs(), &source, &target);

    // What it was sent from is still not theirs to change, nor what was received to be destroyed.
    as_user(USER, || {
        let zfs = open_as_user();
        assert_denied("destroy", zfs.destroy_snapshots([&to(&two)], Destroy::Now));
        assert_denied("receive elsewhere", {
            let beside = world.dataset("beside").snapshot("one").unwrap();
            copy(&zfs, &one, &SendOptions::full(), &beside, &plainly)
        });
    });
}

/// `receive:append` came with 2.3.2.
fn who_may_only_append_does_not_force_a_receive(world: &World) {
    let source = volume::filled(world, "source", Bytes::from_mib(1));
    let one = volume::snapshot(world.zfs(), &source, "one");
    let two = volume::snapshot(world.zfs(), &source, "two");
    let into = file_system(world, "into");
    let target = into.child("copy").unwrap();
    let to = |snapshot: &SnapshotName| target.snapshot(snapshot.snapshot()).unwrap();
    allow("send", &source);
    allow("receive:append,create,mount", &into);
    let (plainly, forced) = (ReceiveOptions::new(), ReceiveOptions::new().force());
    as_user(USER, || {
        let zfs = open_as_user();
        copy(&zfs, &one, &SendOptions::full(), &to(&one), &plainly).expect("append is allowed");
        let increment = SendOptions::since(one.clone());
        assert_denied("force", copy(&zfs, &two, &increment, &to(&two), &forced));
        copy(&zfs, &two, &increment, &to(&two), &plainly).expect("append is allowed");
    });
}

/// Root is exempt from `filesystem_limit` and `snapshot_limit`, and so is who may change them.
fn limits_of_number_bind_a_caller_without_privileges(world: &World) {
    let limited = world.dataset("limited");
    let limits = PropertySet::new().with("filesystem_limit", 1_u64).unwrap();
    world
        .zfs()
        .create_filesystem(&limited, &limits.with("snapshot_limit", 1_u64).unwrap())
        .unwrap();
    let origin = snapshot(world, &file_system(world, "origin"), "s");
    allow("create,mount,snapshot,clone,promote", &world.root());
    as_user(USER, || {
        let zfs = open_as_user();
        let (a, b) = (limited.child("a").unwrap(), limited.child("b").unwrap());
        zfs.create_clone(&a, &origin, &plain()).unwrap();
        refused(zfs.create_filesystem(&b, &plain()), ErrorKind::QuotaExceeded);
        refused(zfs.create_clone(&b, &origin, &plain()), ErrorKind::QuotaExceeded);
        zfs.snapshot([&a.snapshot("first").unwrap()], &plain()).unwrap();
        refused(zfs.snapshot([&a.snapshot("second").unwrap()], &plain()), ErrorKind::QuotaExceeded);
        // It would take over its origin, and with that have two snapshots.
        refused(zfs.promote(&a), ErrorKind::QuotaExceeded);
    });
}

/// A node of the same device that is root's alone.
fn private_device(world: &World) -> PathBuf {
    use nix::sys::stat::{Mode, SFlag, mknod, stat};
    let folder = world.scratch();
    // The run's folders are its own user's: let the other one as far as the device.
    for path in folder.ancestors().take(2) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let device = folder.join("zfs");
    let real = stat("/dev/zfs").unwrap();
    mknod(&device, SFlag::S_IFCHR, Mode::S_IRUSR | Mode::S_IWUSR, real.st_rdev).unwrap();
    device
}

fn a_device_that_may_not_be_opened_is_denied(world: &World) {
    let device = private_device(world);
    let error = refused(as_user(USER, || DevZfs::open_at(&device)), ErrorKind::Denied);
    assert!(error.to_string().contains(&*device.to_string_lossy()), "it names the device: {error}");
}

fn a_handle_of_ones_own_needs_the_right_to_the_device(world: &World) {
    let zfs = Zfs::new(DevZfs::open_at(&private_device(world)).unwrap());
    drop(zfs.handle().unwrap());
    refused(as_user(USER, || zfs.handle()), ErrorKind::Denied);
}

fn a_device_that_is_not_there_is_no_module(_: &World) {
    let error = DevZfs::open_at(Path::new("/dev/zfsvol-none")).expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NoModule, "{error}");
    assert!(error.to_string().contains("/dev/zfsvol-none"), "{error}");
}
