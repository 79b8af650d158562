//! Activities of pools: sync, scrub, checkpoint, initialize, trim, waiting, prefetch, pruning, the boot environment.

use std::thread;
use std::time::Duration;

use zfsvol_core::nvlist::NvList;
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{
    DdtPrune, Features, HistoryEntry, Initialize, PoolActivity, Prefetch, ScanKind, ScanState,
    Scrub, Trim, TrimSpeed, VdevActivityState, VdevSpec, Waited,
};
use zfsvol_core::{Bytes, ErrorKind, Guid, PoolName};

use super::pool::{DEVICE, pool_name, spec, status};
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_pool_is_synced),
        case(the_devices_of_a_pool_are_reopened),
        case(a_scrub_runs_to_its_end),
        case(a_scrub_is_paused_and_goes_on_and_is_stopped),
        case(no_scrub_cannot_be_stopped_or_paused),
        case(a_scrub_of_errors_runs).needs(Need::Since(2, 2)),
        case(a_scrub_of_errors_needs_a_newer_module).needs(Need::Before(2, 2)),
        case(a_scrub_of_what_is_new_runs).needs(Need::Since(2, 4)),
        case(a_scrub_of_what_is_new_needs_a_newer_module).needs(Need::Before(2, 4)),
        case(a_pool_has_one_checkpoint),
        case(a_checkpoint_needs_its_feature),
        case(a_device_is_initialized),
        case(initializing_stops_and_goes_on),
        case(initializing_can_be_forgotten).needs(Need::Since(2, 2)),
        case(a_device_is_trimmed),
        case(devices_that_are_none_are_named),
        case(there_is_nothing_to_wait_for),
        case(a_wait_in_the_background_is_cancelled),
        case(an_activity_the_module_does_not_know_is_unsupported).needs(Need::Before(2, 3)),
        case(deduplication_tables_are_prefetched).needs(Need::Since(2, 3)),
        case(block_references_are_prefetched).needs(Need::Since(2, 4)),
        case(prefetch_needs_a_newer_module).needs(Need::Before(2, 3)),
        case(a_deduplication_table_is_pruned).needs(Need::Since(2, 3)),
        case(pruning_needs_its_feature).needs(Need::Since(2, 3)),
        case(pruning_needs_a_newer_module).needs(Need::Before(2, 3)),
        case(condensing_needs_a_newer_module).needs(Need::Before(2, 5)),
        case(the_boot_environment_is_kept),
        case(the_boot_environment_has_a_version),
        case(the_history_tells_what_was_done),
        case(a_healthy_pool_has_no_damaged_objects),
    ]
}

fn pool(world: &World) -> PoolName {
    world.new_pool("activity", DEVICE)
}

fn the_device(world: &World, pool: &PoolName) -> Guid {
    status(world, pool).root.leaves().next().expect("a device").guid
}

/// Until everything about the end of the scrub is written: the module wakes its waiters before that.
pub(super) fn wait_for_scrub(world: &World, pool: &PoolName) {
    world.zfs().wait_pool(pool, PoolActivity::Scrub).expect("waited");
    world.zfs().sync_pool(pool, true).expect("synced");
}

fn a_pool_is_synced(world: &World) {
    let pool = pool(world);
    for force in [false, true] {
        world.zfs().sync_pool(&pool, force).expect("synced");
    }
    let error = world.zfs().sync_pool(&"nopool".parse().expect("a name"), true).expect_err("none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn the_devices_of_a_pool_are_reopened(world: &World) {
    let pool = pool(world);
    for restart in [false, true] {
        world.zfs().reopen_pool(&pool, restart).expect("reopened");
    }
}

fn a_scrub_runs_to_its_end(world: &World) {
    let pool = pool(world);
    assert_eq!(status(world, &pool).scan, None);
    world.zfs().scrub_pool(&pool, Scrub::Start).expect("started");
    wait_for_scrub(world, &pool);
    let scan = status(world, &pool).scan.expect("a scan");
    assert_eq!((scan.kind, scan.state, scan.errors), (ScanKind::Scrub, ScanState::Finished, 0));
    assert!(scan.started.is_some() && scan.ended >= scan.started);
    assert!(scan.examined > Bytes::ZERO);
}

/// A scrub of a small pool is over in no time, and one that is paused is not.
fn a_scrub_is_paused_and_goes_on_and_is_stopped(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    // Twice at most: the first can be over before it is paused.
    let paused = (0..50).any(|_| {
        zfs.scrub_pool(&pool, Scrub::Start).expect("started");
        zfs.scrub_pool(&pool, Scrub::Pause).is_ok()
    });
    assert!(paused, "no scrub took long enough to be paused");
    assert_eq!(status(world, &pool).scan.map(|scan| scan.state), Some(ScanState::Paused));
    let error = zfs.scrub_pool(&pool, Scrub::Pause).expect_err("it is paused");
    assert_eq!(error.kind(), ErrorKind::InProgress, "{error}");
    zfs.scrub_pool(&pool, Scrub::Start).expect("it goes on");
    wait_for_scrub(world, &pool);
    assert_eq!(status(world, &pool).scan.map(|scan| scan.state), Some(ScanState::Finished));
    let stopped = (0..50).any(|_| {
        zfs.scrub_pool(&pool, Scrub::Start).expect("started");
        zfs.scrub_pool(&pool, Scrub::Stop).is_ok()
    });
    assert!(stopped, "no scrub took long enough to be stopped");
    assert_eq!(status(world, &pool).scan.map(|scan| scan.state), Some(ScanState::Cancelled));
}

fn no_scrub_cannot_be_stopped_or_paused(world: &World) {
    let pool = pool(world);
    for scrub in [Scrub::Stop, Scrub::Pause] {
        let error = world.zfs().scrub_pool(&pool, scrub).expect_err("there is none");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{scrub:?}");
        assert_eq!(error.reason(), "no scrub is running");
        let none: PoolName = "nopool".parse().expect("a name");
        let error = world.zfs().scrub_pool(&none, scrub).expect_err("no pool");
        assert_eq!(error.reason(), "there is no such pool");
    }
}

fn a_scrub_of_errors_runs(world: &World) {
    let pool = pool(world);
    world.zfs().scrub_pool(&pool, Scrub::Errors).expect("started");
    wait_for_scrub(world, &pool);
}

fn a_scrub_of_errors_needs_a_newer_module(world: &World) {
    let error = world.zfs().scrub_pool(&pool(world), Scrub::Errors).expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

fn a_scrub_of_what_is_new_runs(world: &World) {
    let pool = pool(world);
    world.zfs().scrub_pool(&pool, Scrub::SinceLast).expect("started");
    wait_for_scrub(world, &pool);
}

fn a_scrub_of_what_is_new_needs_a_newer_module(world: &World) {
    let error = world.zfs().scrub_pool(&pool(world), Scrub::SinceLast).expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.reason().contains("this came with 2.4"), "{error}");
}

fn a_pool_has_one_checkpoint(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    let error = zfs.discard_checkpoint(&pool).expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    zfs.checkpoint_pool(&pool).expect("made");
    let checkpoint = status(world, &pool).checkpoint.expect("a checkpoint");
    assert!(!checkpoint.discarding && checkpoint.created.is_some());
    let error = zfs.checkpoint_pool(&pool).expect_err("there is one");
    assert_eq!(error.kind(), ErrorKind::InProgress);
    let expected = format!(
        "cannot checkpoint the pool '{pool}': the pool has a checkpoint (ZFS_ERR_CHECKPOINT_EXISTS); discard that checkpoint first"
    );
    assert_eq!(error.to_string(), expected);
    zfs.discard_checkpoint(&pool).expect("given up");
    zfs.wait_pool(&pool, PoolActivity::CheckpointDiscard).expect("waited");
    assert_eq!(status(world, &pool).checkpoint, None);
}

fn a_checkpoint_needs_its_feature(world: &World) {
    let pool = pool_name(world, "plain");
    let spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]);
    world.zfs().create_pool(&pool, &spec.features(Features::None)).expect("created");
    let error = world.zfs().checkpoint_pool(&pool).expect_err("not enabled");
    assert_eq!(error.kind(), ErrorKind::FeatureDisabled, "{error}");
}

fn a_device_is_initialized(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    let device = the_device(world, &pool);
    zfs.initialize_vdevs(&pool, &[device], Initialize::Start).expect("started");
    zfs.wait_vdev(&pool, PoolActivity::Initialize, device).expect("waited");
    let status = status(world, &pool);
    let initialize = status.root.leaves().next().and_then(|vdev| vdev.stats.initialize);
    let initialize = initialize.expect("it was begun");
    assert_eq!(initialize.state, VdevActivityState::Complete);
    assert!(initialize.done > Bytes::from_mib(32), "{initialize:?}");
}

fn initializing_stops_and_goes_on(world: &World) {
    let (zfs, pool) = (world.zfs(), world.new_pool("large", Bytes::from_gib(4)));
    let device = the_device(world, &pool);
    let state = || {
        let status = status(world, &pool);
        status.root.leaves().next().and_then(|vdev| vdev.stats.initialize).map(|i| i.state)
    };
    let each = std::slice::from_ref(&device);
    zfs.initialize_vdevs(&pool, each, Initialize::Start).expect("started");
    zfs.initialize_vdevs(&pool, each, Initialize::Suspend).expect("suspended");
    assert_eq!(state(), Some(VdevActivityState::Suspended));
    zfs.initialize_vdevs(&pool, each, Initialize::Start).expect("it goes on");
    let error = zfs.initialize_vdevs(&pool, each, Initialize::Start).expect_err("it runs");
    assert_eq!(error.kind(), ErrorKind::InProgress, "{error}");
    let failed = error.failures().first().expect("the device");
    assert_eq!(failed.name, device.to_string());
    zfs.initialize_vdevs(&pool, each, Initialize::Cancel).expect("stopped");
    assert_eq!(state(), Some(VdevActivityState::Cancelled));
}

fn initializing_can_be_forgotten(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    let device = the_device(world, &pool);
    zfs.initialize_vdevs(&pool, &[device], Initialize::Start).expect("started");
    zfs.wait_pool(&pool, PoolActivity::Initialize).expect("waited");
    // The kernel's thread goes on for a moment after the wait.
    let forgotten = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(50));
        zfs.initialize_vdevs(&pool, &[device], Initialize::Uninitialize).is_ok()
    });
    assert!(forgotten);
    zfs.initialize_vdevs(&pool, &[device], Initialize::Start).expect("started again");
}

fn a_device_is_trimmed(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    let device = the_device(world, &pool);
    let speed = TrimSpeed { rate: Some(Bytes::from_gib(1)), secure: false };
    zfs.trim_vdevs(&pool, &[device], Trim::Start(speed)).expect("started");
    zfs.wait_vdev(&pool, PoolActivity::Trim, device).expect("waited");
    let status = status(world, &pool);
    let trim = status.root.leaves().next().and_then(|vdev| vdev.stats.trim);
    assert_eq!(trim.expect("it was begun").state, VdevActivityState::Complete);
    let error = zfs.trim_vdevs(&pool, &[device], Trim::Cancel).expect_err("it is over");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

fn devices_that_are_none_are_named(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    let root = status(world, &pool).root.guid;
    let none = Guid::new(12345);
    let vdevs = [none, root];
    let error = zfs.initialize_vdevs(&pool, &vdevs, Initialize::Start).expect_err("no devices");
    assert_eq!(error.kind(), ErrorKind::Several);
    let kind = |guid: Guid| {
        let failed = error.failures().iter().find(|failure| failure.name == guid.to_string());
        failed.map(|failure| failure.kind)
    };
    assert_eq!(kind(none), Some(ErrorKind::NotFound));
    assert_eq!(kind(root), Some(ErrorKind::Invalid));
    let speed = Trim::Start(TrimSpeed::default());
    let error = zfs.trim_vdevs(&pool, &[none], speed).expect_err("no device");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let expected = format!(
        "cannot trim the pool '{pool}': '12345': the pool has no such device, or it is offline (ENODEV)"
    );
    assert_eq!(error.to_string(), expected);
}

fn there_is_nothing_to_wait_for(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    for activity in [
        PoolActivity::CheckpointDiscard,
        PoolActivity::Initialize,
        PoolActivity::Replace,
        PoolActivity::Remove,
        PoolActivity::Resilver,
        PoolActivity::Scrub,
        PoolActivity::Trim,
    ] {
        assert_eq!(zfs.wait_pool(&pool, activity).expect("idle"), Waited::Idle, "{activity}");
    }
    let name = pool.root().child("a").expect("a name");
    zfs.create_filesystem(&name, &PropertySet::new()).expect("created");
    assert_eq!(zfs.wait_deletequeue(&name).expect("idle"), Waited::Idle);
    let device = the_device(world, &pool);
    let error = zfs.wait_vdev(&pool, PoolActivity::Scrub, device).expect_err("not by device");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

fn a_wait_in_the_background_is_cancelled(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    zfs.scrub_pool(&pool, Scrub::Start).expect("started");
    let wait = zfs.wait_pool_in_background(&pool, PoolActivity::Scrub, None).expect("a thread");
    let canceller = wait.canceller();
    canceller.cancel();
    wait.cancel();
    assert!(wait.is_over());
    match wait.wait() {
        // A small pool may be scrubbed by then.
        Ok(waited) => assert!(matches!(waited, Waited::Finished | Waited::Idle)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}"),
    }
    let wait = zfs.wait_pool_in_background(&pool, PoolActivity::Scrub, None).expect("a thread");
    assert!(wait.wait_for(Duration::from_secs(60)));
    wait.wait().expect("waited");
    wait_for_scrub(world, &pool);
    let device = Some(the_device(world, &pool));
    let wait = zfs.wait_pool_in_background(&pool, PoolActivity::Initialize, device);
    assert_eq!(wait.expect("a thread").wait().expect("idle"), Waited::Idle);
}

fn an_activity_the_module_does_not_know_is_unsupported(world: &World) {
    let error =
        world.zfs().wait_pool(&pool(world), PoolActivity::RaidzExpand).expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

fn deduplication_tables_are_prefetched(world: &World) {
    world.zfs().prefetch_pool(&pool(world), Prefetch::Ddt).expect("read");
}

fn block_references_are_prefetched(world: &World) {
    world.zfs().prefetch_pool(&pool(world), Prefetch::Brt).expect("read");
}

fn prefetch_needs_a_newer_module(world: &World) {
    let error = world.zfs().prefetch_pool(&pool(world), Prefetch::Ddt).expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

fn a_deduplication_table_is_pruned(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    zfs.prune_ddt(&pool, DdtPrune::Percent(50)).expect("pruned");
    zfs.prune_ddt(&pool, DdtPrune::OlderThanSeconds(60)).expect("pruned");
    for percent in [0, 101] {
        let error = zfs.prune_ddt(&pool, DdtPrune::Percent(percent)).expect_err("no such part");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

fn pruning_needs_its_feature(world: &World) {
    let pool = pool_name(world, "plain");
    let spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]);
    world.zfs().create_pool(&pool, &spec.features(Features::None)).expect("created");
    let error = world.zfs().prune_ddt(&pool, DdtPrune::Percent(50)).expect_err("not enabled");
    assert_eq!(error.kind(), ErrorKind::FeatureDisabled, "{error}");
}

fn pruning_needs_a_newer_module(world: &World) {
    let error = world.zfs().prune_ddt(&pool(world), DdtPrune::Percent(50)).expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.reason().contains("ZFS_IOC_DDT_PRUNE came with 2.3"), "{error}");
}

fn condensing_needs_a_newer_module(world: &World) {
    let error = world.zfs().condense_pool(&pool(world), true).expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

fn the_boot_environment_is_kept(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    zfs.bootenv(&pool).expect("an empty one");
    let mut environment = NvList::new();
    environment.insert("version", 1_u64).insert("freebsd:bootonce", "zfs:tank:");
    zfs.set_bootenv(&pool, &environment).expect("set");
    let read = zfs.bootenv(&pool).expect("read");
    assert_eq!(read.get_str("freebsd:bootonce"), Some("zfs:tank:"));
    assert_eq!(read.get_u64("version"), Some(1));
    environment.insert("freebsd:bootonce", "x".repeat(9000));
    let error = zfs.set_bootenv(&pool, &environment).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

fn the_boot_environment_has_a_version(world: &World) {
    let error = world.zfs().set_bootenv(&pool(world), &NvList::new()).expect_err("no version");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

fn the_history_tells_what_was_done(world: &World) {
    let (zfs, pool) = (world.zfs(), pool(world));
    for n in 0..20 {
        let name = pool.root().child(&format!("a{n}")).expect("a name");
        zfs.create_filesystem(&name, &PropertySet::new()).expect("created");
    }
    // Internal events are written with the transaction group after theirs.
    zfs.sync_pool(&pool, true).expect("synced");
    zfs.sync_pool(&pool, true).expect("synced");
    let records: Vec<_> = zfs.pool_history(&pool).collect::<Result<_, _>>().expect("the history");
    let created = records.iter().filter(
        |record| matches!(&record.entry, HistoryEntry::Internal { name, .. } if name == "create"),
    );
    assert!(created.count() >= 20, "{records:?}");
    assert!(records.iter().all(|record| record.time.is_some()));
    let ioctls = records.iter().filter(|r| matches!(&r.entry, HistoryEntry::Ioctl(_))).count();
    assert!(ioctls >= 20, "{records:?}");
    let mut none = zfs.pool_history(&"nopool".parse().expect("a name"));
    assert_eq!(none.next().and_then(Result::err).map(|e| e.kind()), Some(ErrorKind::NotFound));
    assert!(none.next().is_none(), "it ends after an error");
}

fn a_healthy_pool_has_no_damaged_objects(world: &World) {
    assert!(world.zfs().error_log(&pool(world)).expect("a log").is_empty());
}
