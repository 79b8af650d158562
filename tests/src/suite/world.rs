//! What every case relies on: its world.

use zfsvol_core::Bytes;

use crate::{Case, Need, World, case, command};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_case_has_an_empty_dataset_of_its_own).needs(Need::Commands),
        case(a_case_can_have_pools_of_its_own).needs(Need::Commands),
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
