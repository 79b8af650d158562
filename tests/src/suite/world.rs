//! What every case relies on: its world.

use zfsvol_core::Bytes;
use zfsvol_core::property::PropertySet;

use crate::{Case, Need, World, case, command};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_case_has_an_empty_dataset_of_its_own).needs(Need::Commands),
        case(a_case_can_have_pools_of_its_own).needs(Need::Commands),
        case(what_a_case_leaves_held_is_cleaned_up),
    ]
}

fn a_case_has_an_empty_dataset_of_its_own(world: &World) {
    let root = world.root();
    assert_eq!(root.pool(), world.pool());
    assert!(root.as_str().ends_with("/a_case_has_an_empty_dataset_of_its_own"));
    assert_eq!(command::zfs(&["list", "-H", "-r", "-o", "name", root.as_str()]), root.as_str());
    assert_eq!(std::fs::read_dir(world.scratch()).expect("a folder").count(), 0);
}

fn a_case_can_have_pools_of_its_own(world: &World) {
    for name in ["one", "two"] {
        let pool = world.new_pool(name, Bytes::from_mib(128));
        assert_eq!(command::zpool(&["list", "-H", "-o", "health", pool.as_str()]), "ONLINE");
    }
}

/// Nothing is asserted here: a case that leaves something behind fails.
fn what_a_case_leaves_held_is_cleaned_up(world: &World) {
    let (zfs, none) = (world.zfs(), PropertySet::new());
    let child = world.root().child("a").expect("a name");
    let snapshot = child.snapshot("s").expect("a name");
    zfs.create_filesystem(&child, &none).expect("created");
    zfs.snapshot(std::slice::from_ref(&snapshot), &none).expect("snapshot");
    zfs.hold(&[(snapshot.clone(), "forgotten")], None).expect("held");
    let clone = world.root().child("clone").expect("a name");
    zfs.create_clone(&clone, &snapshot, &none).expect("cloned");
}
