//! Block devices of zvols: found without udev, written and read.

use std::time::{Duration, Instant};

use zfsvol_core::kernel::{Access, BlockDevice};
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{Create, Key};
use zfsvol_core::{Bytes, DatasetName, ErrorKind};

use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(what_is_written_to_a_zvol_is_read_back),
        case(a_new_zvol_has_its_device_at_once).needs(Need::RealModule),
        case(many_zvols_of_one_size_are_told_apart),
        case(a_renamed_zvol_is_found_under_its_new_name),
        case(a_device_opened_for_reading_cannot_be_written),
        case(a_read_only_zvol_is_not_opened_for_writing),
        case(what_has_no_device_says_why),
        case(a_zvol_without_its_key_has_no_device),
        case(a_device_that_does_not_appear_times_out).needs(Need::RealModule),
    ]
    .into_iter()
    .map(|case| case.needs(Need::Root))
    .collect()
}

/// Generous: under emulation the device takes seconds to appear.
const WAIT: Duration = Duration::from_secs(30);

fn zvol(world: &World, name: &str, properties: &PropertySet) -> DatasetName {
    let zvol = world.root().child(name).expect("a name");
    world.zfs().create_zvol(&zvol, Bytes::from_mib(8), properties).expect("created");
    zvol
}

fn open(world: &World, zvol: &DatasetName) -> Box<dyn BlockDevice> {
    world.zfs().open_zvol(zvol, Access::ReadWrite, WAIT).expect("opened")
}

fn first_bytes(device: &dyn BlockDevice) -> [u8; 4] {
    let mut bytes = [0; 4];
    device.read_exact_at(&mut bytes, 0).expect("read");
    bytes
}

fn what_is_written_to_a_zvol_is_read_back(world: &World) {
    let zvol = zvol(world, "vol", &PropertySet::new());
    let device = open(world, &zvol);
    assert_eq!(device.size().expect("a size"), 8 << 20);
    device.write_all_at(b"data", 0).expect("written");
    device.write_all_at(b"end!", (8 << 20) - 4).expect("written");
    device.flush().expect("flushed");
    drop(device);
    let device = world.zfs().open_zvol(&zvol, Access::Read, WAIT).expect("opened");
    assert_eq!(&first_bytes(&*device), b"data");
    let mut end = [0; 4];
    device.read_exact_at(&mut end, (8 << 20) - 4).expect("read");
    assert_eq!(&end, b"end!");
    let past = device.read_exact_at(&mut end, 8 << 20).expect_err("there is nothing");
    assert_eq!(past.kind(), std::io::ErrorKind::UnexpectedEof);
}

/// The kernel makes the device after the ioctl has returned.
fn a_new_zvol_has_its_device_at_once(world: &World) {
    for round in 0..10 {
        let zvol = zvol(world, &format!("vol{round}"), &PropertySet::new());
        let device = open(world, &zvol);
        assert!(device.path().is_some_and(|path| path.starts_with("/dev/")));
        drop(device);
        world.zfs().destroy(&zvol).expect("destroyed");
    }
}

fn many_zvols_of_one_size_are_told_apart(world: &World) {
    let zvols: Vec<DatasetName> =
        (0..8).map(|number| zvol(world, &format!("vol{number}"), &PropertySet::new())).collect();
    let zfs = world.zfs();
    std::thread::scope(|scope| {
        for (zvol, mark) in zvols.iter().zip(0u8..) {
            scope.spawn(move || {
                let device = zfs.open_zvol(zvol, Access::ReadWrite, WAIT);
                device.expect("opened").write_all_at(&[mark; 4], 0).expect("written");
            });
        }
    });
    for (zvol, mark) in zvols.iter().zip(0u8..) {
        assert_eq!(first_bytes(&*open(world, zvol)), [mark; 4]);
    }
}

fn a_renamed_zvol_is_found_under_its_new_name(world: &World) {
    let zfs = world.zfs();
    let [one, two] = ["one", "two"].map(|name| zvol(world, name, &PropertySet::new()));
    open(world, &one).write_all_at(b"one!", 0).expect("written");
    open(world, &two).write_all_at(b"two!", 0).expect("written");
    // Each takes the other's name.
    let aside = world.root().child("aside").expect("a name");
    zfs.rename(&one, &aside).expect("renamed");
    zfs.rename(&two, &one).expect("renamed");
    zfs.rename(&aside, &two).expect("renamed");
    assert_eq!(&first_bytes(&*open(world, &one)), b"two!");
    assert_eq!(&first_bytes(&*open(world, &two)), b"one!");
}

fn a_device_opened_for_reading_cannot_be_written(world: &World) {
    let zvol = zvol(world, "vol", &PropertySet::new());
    let device = world.zfs().open_zvol(&zvol, Access::Read, WAIT).expect("opened");
    device.write_all_at(b"data", 0).expect_err("it is open for reading");
}

fn a_read_only_zvol_is_not_opened_for_writing(world: &World) {
    let zfs = world.zfs();
    let read_only = PropertySet::new().with("readonly", "on").expect("a property");
    let zvol = zvol(world, "vol", &read_only);
    let error = zfs.open_zvol(&zvol, Access::ReadWrite, WAIT).expect_err("it is read-only");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    let device = zfs.open_zvol(&zvol, Access::Read, WAIT).expect("opened");
    assert_eq!(first_bytes(&*device), [0; 4]);
}

fn what_has_no_device_says_why(world: &World) {
    let zfs = world.zfs();
    let refused = |name: &DatasetName| {
        zfs.open_zvol(name, Access::Read, Duration::ZERO).expect_err("there is no device")
    };
    let none = world.root().child("none").expect("a name");
    assert_eq!(refused(&none).kind(), ErrorKind::NotFound);
    assert_eq!(refused(&world.root()).kind(), ErrorKind::WrongType);
    let hidden = PropertySet::new().with("volmode", "none").expect("a property");
    let error = refused(&zvol(world, "hidden", &hidden));
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("its volmode is 'none'"), "{error}");
}

fn a_zvol_without_its_key_has_no_device(world: &World) {
    let zfs = world.zfs();
    let zvol = world.root().child("secret").expect("a name");
    let key = Key::raw([7; 32]);
    let create = Create::zvol(Bytes::from_mib(8)).key(key.clone());
    zfs.create(&zvol, &create).expect("created");
    open(world, &zvol).write_all_at(b"data", 0).expect("written");
    zfs.unload_key(&zvol).expect("unloaded");
    let error = zfs.open_zvol(&zvol, Access::Read, WAIT).expect_err("its key is not loaded");
    assert_eq!(error.kind(), ErrorKind::KeyNotLoaded, "{error}");
    zfs.load_key(&zvol, &key).expect("loaded");
    assert_eq!(&first_bytes(&*open(world, &zvol)), b"data");
}

/// The module's switch for zvols without devices, off again when the case is over.
struct Inhibited;

const INHIBIT: &str = "/sys/module/zfs/parameters/zvol_inhibit_dev";

impl Inhibited {
    fn new() -> Self {
        std::fs::write(INHIBIT, "1").expect("switched on");
        Self
    }
}

impl Drop for Inhibited {
    fn drop(&mut self) {
        std::fs::write(INHIBIT, "0").expect("switched off");
    }
}

fn a_device_that_does_not_appear_times_out(world: &World) {
    let inhibited = Inhibited::new();
    let zvol = zvol(world, "vol", &PropertySet::new());
    let wait = Duration::from_millis(200);
    let start = Instant::now();
    let error = world.zfs().open_zvol(&zvol, Access::Read, wait).expect_err("it has no device");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(start.elapsed() >= wait);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot open the device of '{zvol}': no device appeared within 200ms (ETIMEDOUT); wait longer, or see whether the \
             module's parameters keep it from being made (zvol_inhibit_dev=1, zvol_volmode=3)"
        )
    );
    drop(inhibited);
}
