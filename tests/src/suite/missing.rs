//! What is not there is not found: every operation, asked of a pool, a vdev or a dataset that does not exist.

use std::path::Path;
use std::time::Duration;

use zfsvol_core::kernel::Access;
use zfsvol_core::nvlist::NvList;
use zfsvol_core::property::{PropertySet, ZvolSize};
use zfsvol_core::zfs::{
    Export, Features, Initialize, NewDevice, Offline, PoolActivity, Prefetch, Scrub, Topology,
    VdevSpec,
};
use zfsvol_core::{Bytes, ErrorKind, Guid, PoolName, Result};

use crate::expect::{file_system, plain, refused, snapshot, zvol};
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_missing_pool_is_not_found_by_what_looks_at_it),
        case(a_missing_pool_is_not_found_by_what_changes_it),
        case(a_missing_pool_is_not_found_by_what_came_later).needs(Need::Since(2, 3)),
        case(a_missing_dataset_is_not_found),
        case(a_missing_object_is_not_found),
    ]
}

fn not_found<T: std::fmt::Debug>(what: &str, outcome: Result<T>) {
    let error = outcome.expect_err(what);
    assert_eq!(error.kind(), ErrorKind::NotFound, "{what}: {error}");
}

fn missing_pool() -> PoolName {
    "zfsvol-test-no-such-pool".parse().unwrap()
}

const SOME_GUID: Guid = Guid::new(4711);

fn a_missing_pool_is_not_found_by_what_looks_at_it(world: &World) {
    let (zfs, pool) = (world.zfs(), missing_pool());
    not_found("pool_status", zfs.pool_status(&pool));
    not_found("pool_properties", zfs.pool_properties(&pool));
    not_found("bootenv", zfs.bootenv(&pool));
    not_found("history", zfs.pool_history(&pool).next().unwrap());
    not_found("zvol_reservation", zfs.zvol_reservation(&pool, ZvolSize::default()));
    not_found("wait_pool", zfs.wait_pool(&pool, PoolActivity::Free));
    assert!(!zfs.list_pools().unwrap().iter().any(|status| status.name == pool));
}

fn a_missing_pool_is_not_found_by_what_changes_it(world: &World) {
    let (zfs, pool) = (world.zfs(), missing_pool());
    let topology =
        Topology { vdevs: vec![VdevSpec::single("/zfsvol-none")], ..Topology::default() };
    let comment = PropertySet::for_pool().with("comment", "none").unwrap();
    let device = NewDevice::new("/zfsvol-none");
    not_found("sync_pool", zfs.sync_pool(&pool, true));
    not_found("reopen_pool", zfs.reopen_pool(&pool, false));
    not_found("checkpoint_pool", zfs.checkpoint_pool(&pool));
    not_found("discard_checkpoint", zfs.discard_checkpoint(&pool));
    not_found("scrub_pool", zfs.scrub_pool(&pool, Scrub::Start));
    not_found("initialize_vdevs", zfs.initialize_vdevs(&pool, &[SOME_GUID], Initialize::Start));
    let mut environment = NvList::new();
    environment.insert("version", 1_u64);
    not_found("set_bootenv", zfs.set_bootenv(&pool, &environment));
    not_found("set_pool_properties", zfs.set_pool_properties(&pool, &comment));
    not_found("enable_features", zfs.enable_features(&pool, &Features::All));
    not_found("reguid_pool", zfs.reguid_pool(&pool, None));
    not_found("add_vdevs", zfs.add_vdevs(&pool, &topology, true));
    not_found("attach_vdev", zfs.attach_vdev(&pool, SOME_GUID, &device));
    not_found("replace_vdev", zfs.replace_vdev(&pool, SOME_GUID, &device));
    not_found("detach_vdev", zfs.detach_vdev(&pool, SOME_GUID));
    not_found("remove_vdev", zfs.remove_vdev(&pool, SOME_GUID));
    not_found("online_vdev", zfs.online_vdev(&pool, SOME_GUID, false));
    not_found("offline_vdev", zfs.offline_vdev(&pool, SOME_GUID, Offline::Temporary));
    not_found("set_vdev_path", zfs.set_vdev_path(&pool, SOME_GUID, Path::new("/zfsvol-none")));
    not_found("clear_pool", zfs.clear_pool(&pool, None));
    not_found("export_pool", zfs.export_pool(&pool, Export::default()));
    not_found("destroy_pool", zfs.destroy_pool(&pool));
}

fn a_missing_pool_is_not_found_by_what_came_later(world: &World) {
    let (zfs, pool) = (world.zfs(), missing_pool());
    not_found("prefetch_pool", zfs.prefetch_pool(&pool, Prefetch::Ddt));
    not_found("vdev_properties", zfs.vdev_properties(&pool, SOME_GUID));
    not_found("set_vdev_property", zfs.set_vdev_property(&pool, SOME_GUID, "comment", "none"));
}

fn a_missing_dataset_is_not_found(world: &World) {
    let zfs = world.zfs();
    let none = world.dataset("none");
    let (first, last) = (none.snapshot("a").unwrap(), none.snapshot("b").unwrap());
    not_found("properties", zfs.properties(&none));
    not_found("set_properties", zfs.set_properties(&none, &plain().with("atime", false).unwrap()));
    not_found("inherit_property", zfs.inherit_property(&none, "atime"));
    not_found("resize_zvol", zfs.resize_zvol(&none, Bytes::from_mib(8)));
    not_found("open_zvol", zfs.open_zvol(&none, Access::Read, Duration::ZERO));
    not_found("wait_deletequeue", zfs.wait_deletequeue(&none));
    not_found("snapshot_range_space", zfs.snapshot_range_space(&first, &last));
    not_found("space_written", zfs.space_written(&none, &first.clone().into()));
    not_found("object_path", zfs.object_path(&none, 4));
    not_found("diff", zfs.diff(&first, &last));
    not_found("receive_token", zfs.receive_token(&none));
    not_found("redact", zfs.redact(&first, &none.bookmark("m").unwrap(), &[last]));
    assert!(!zfs.abort_receive(&none).unwrap(), "there is nothing to throw away");
}

fn a_missing_object_is_not_found(world: &World) {
    let files = snapshot(world, &file_system(world, "files"), "s");
    not_found("object_path", world.zfs().object_path(&files, 999_999));
    let disk = snapshot(world, &zvol(world, "disk", Bytes::from_mib(8)), "s");
    refused(world.zfs().object_path(&disk, 1), ErrorKind::WrongType);
}
