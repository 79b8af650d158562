//! Why something is busy: every reason that a refused destroy, rollback or unloading can name.

use std::path::PathBuf;
use std::time::Duration;

use zfsvol_core::kernel::{Access, MountRequest, UnmountFlags};
use zfsvol_core::zfs::{Create, Destroy, Key};
use zfsvol_core::{BusyReason, Bytes, DatasetName, Error, ErrorKind, SnapshotName};

use crate::expect::{file_system, plain, snapshot};
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_held_snapshot_names_its_tags),
        case(a_cloned_snapshot_names_its_clones),
        case(each_name_of_a_batch_has_its_own_reasons),
        case(a_dataset_names_its_children_and_snapshots),
        case(a_rollback_names_the_newer_snapshots),
        case(a_mounted_file_system_names_where).needs(Need::Root),
        case(a_key_in_use_names_the_mounts_below).needs(Need::Root),
        case(an_open_zvol_names_its_device).needs(Need::Root),
        case(reasons_can_be_asked_for_before),
    ]
}

fn names(names: &[&dyn AsRef<str>]) -> Vec<String> {
    names.iter().map(|name| name.as_ref().to_owned()).collect()
}

/// The reasons of one failed name.
fn reasons_for(error: &Error, name: &SnapshotName) -> Vec<BusyReason> {
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    let failure = error.failures().iter().find(|failure| failure.name == name.as_str());
    failure.unwrap_or_else(|| panic!("'{name}' is not in: {error}")).busy.clone()
}

fn a_held_snapshot_names_its_tags(world: &World) {
    let zfs = world.zfs();
    let held = snapshot(world, &file_system(world, "a"), "s");
    for tag in ["backup", "push"] {
        zfs.hold(&[(held.clone(), tag)], None).expect("held");
    }
    let error = zfs.destroy_snapshots([&held], Destroy::Now).expect_err("it is held");
    let tags = BusyReason::Holds(vec!["backup".into(), "push".into()]);
    assert_eq!(reasons_for(&error, &held), [tags]);
    assert_eq!(
        error.to_string().split(" (").next(),
        Some(format!("cannot destroy '{held}': it is held by 'backup', 'push'").as_str())
    );
}

fn a_cloned_snapshot_names_its_clones(world: &World) {
    let zfs = world.zfs();
    let origin = snapshot(world, &file_system(world, "a"), "s");
    let clone = world.root().child("clone").expect("a name");
    zfs.create_clone(&clone, &origin, &plain()).expect("cloned");
    let error = zfs.destroy_snapshots([&origin], Destroy::Now).expect_err("it is cloned");
    assert_eq!(reasons_for(&error, &origin), [BusyReason::Clones(names(&[&clone]))]);
}

fn each_name_of_a_batch_has_its_own_reasons(world: &World) {
    let zfs = world.zfs();
    let dataset = file_system(world, "a");
    let [free, held, cloned] =
        ["free", "held", "cloned"].map(|name| snapshot(world, &dataset, name));
    zfs.hold(&[(held.clone(), "tag")], None).expect("held");
    let clone = world.root().child("clone").expect("a name");
    zfs.create_clone(&clone, &cloned, &plain()).expect("cloned");
    let all = [free.clone(), held.clone(), cloned.clone()];
    let error = zfs.destroy_snapshots(&all, Destroy::Now).expect_err("two are busy");
    assert_eq!(error.failures().len(), 2, "{error}");
    assert_eq!(reasons_for(&error, &held), [BusyReason::Holds(vec!["tag".into()])]);
    assert_eq!(reasons_for(&error, &cloned), [BusyReason::Clones(names(&[&clone]))]);
    assert!(zfs.exists(&free).expect("looked"), "nothing is destroyed when one is busy");
}

fn a_dataset_names_its_children_and_snapshots(world: &World) {
    let zfs = world.zfs();
    let parent = file_system(world, "a");
    let child = file_system(world, "a/b");
    let error = zfs.destroy(&parent).expect_err("it has a child");
    assert_eq!(error.busy(), [BusyReason::Children(names(&[&child]))], "{error}");
    zfs.destroy(&child).expect("destroyed");
    let taken = snapshot(world, &parent, "s");
    let error = zfs.destroy(&parent).expect_err("it has a snapshot");
    assert_eq!(error.busy(), [BusyReason::Children(names(&[&taken]))], "{error}");
}

fn a_rollback_names_the_newer_snapshots(world: &World) {
    let zfs = world.zfs();
    let dataset = file_system(world, "a");
    let [first, second, third] = ["1", "2", "3"].map(|name| snapshot(world, &dataset, name));
    let error = zfs.rollback_to(&first).expect_err("there are newer ones");
    assert_eq!(error.kind(), ErrorKind::Busy);
    let [BusyReason::Newer(newer)] = error.busy() else { panic!("{error}: {:?}", error.busy()) };
    let mut newer = newer.clone();
    newer.sort();
    assert_eq!(newer, names(&[&second, &third]));
    zfs.rollback_to(&third).expect("to the newest");
}

/// Mounts without the operation that other cases are about.
fn mount(world: &World, dataset: &DatasetName, name: &str) -> PathBuf {
    let path = world.scratch().join(name);
    std::fs::create_dir(&path).expect("a folder");
    let request = MountRequest::new(dataset.as_str(), &path);
    world.zfs().kernel().host().mount(&request).expect("mounted");
    path
}

fn a_mounted_file_system_names_where(world: &World) {
    let zfs = world.zfs();
    let dataset = file_system(world, "a");
    let path = mount(world, &dataset, "mnt");
    let error = zfs.destroy(&dataset).expect_err("it is mounted");
    assert_eq!(error.busy(), [BusyReason::Mounted(vec![path.display().to_string()])]);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot destroy '{dataset}': it is mounted on '{}' (EBUSY); unmount it",
            path.display()
        )
    );
    zfs.kernel().host().unmount(&path, UnmountFlags::empty()).expect("unmounted");
    zfs.destroy(&dataset).expect("destroyed");
}

fn a_key_in_use_names_the_mounts_below(world: &World) {
    let zfs = world.zfs();
    let root = world.root().child("secret").expect("a name");
    zfs.create(&root, &Create::filesystem().key(Key::raw([7; 32]))).expect("created");
    let child = file_system(world, "secret/a");
    let path = mount(world, &child, "mnt");
    let error = zfs.unload_key(&root).expect_err("it is in use");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.busy(), [BusyReason::Mounted(vec![path.display().to_string()])]);
    zfs.kernel().host().unmount(&path, UnmountFlags::empty()).expect("unmounted");
    zfs.unload_key(&root).expect("unloaded");
}

fn an_open_zvol_names_its_device(world: &World) {
    let zfs = world.zfs();
    let zvol = world.root().child("vol").expect("a name");
    zfs.create_zvol(&zvol, Bytes::from_mib(8), &plain()).expect("created");
    let device = zfs.open_zvol(&zvol, Access::Read, Duration::from_secs(20)).expect("opened");
    let error = zfs.destroy(&zvol).expect_err("it is open");
    assert_eq!(error.busy(), [BusyReason::DeviceOpen(format!("/dev/zvol/{zvol}"))], "{error}");
    drop(device);
    zfs.destroy(&zvol).expect("destroyed");
}

fn reasons_can_be_asked_for_before(world: &World) {
    let zfs = world.zfs();
    let dataset = file_system(world, "a");
    assert_eq!(zfs.busy_reasons(&dataset), []);
    let taken = snapshot(world, &dataset, "s");
    assert_eq!(zfs.busy_reasons(&taken), []);
    assert_eq!(zfs.busy_reasons(&dataset), [BusyReason::Children(names(&[&taken]))]);
    zfs.hold(&[(taken.clone(), "tag")], None).expect("held");
    assert_eq!(zfs.busy_reasons(&taken), [BusyReason::Holds(vec!["tag".into()])]);
    let nothing = dataset.child("none").expect("a name");
    assert_eq!(zfs.busy_reasons(&nothing), []);
}
