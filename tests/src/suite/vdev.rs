//! Vdevs and properties of imported pools.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use zfsvol_core::kernel::{MountRequest, UnmountFlags};
use zfsvol_core::property::{PropertySet, PropertyValue, Source};
use zfsvol_core::zfs::{
    Export, Features, NewDevice, Offline, PoolActivity, PoolHealth, Scrub, Topology, VdevKind,
    VdevReason, VdevSpec, VdevState, VdevStatus,
};
use zfsvol_core::{Bytes, ErrorKind, Guid, PoolName};

use super::pool::{DEVICE, device, files, make, pool_name, spec, status};
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(vdevs_are_added),
        case(a_vdev_on_a_device_of_another_pool_is_not_added),
        case(a_vdev_of_another_sector_size_takes_force).needs(Need::Since(2, 3)),
        case(a_device_becomes_a_mirror_and_one_again),
        case(a_raidz_vdev_grows_by_a_device).needs(Need::Since(2, 3)),
        case(a_device_is_replaced),
        case(a_hot_spare_stands_in_and_goes_back),
        case(a_hot_spare_takes_the_place_of_what_is_given_up),
        case(a_checkpoint_keeps_the_devices_it_was_made_on),
        case(a_device_that_is_too_small_replaces_nothing),
        case(the_last_device_is_not_detached),
        case(a_vdev_is_removed_and_its_data_moves),
        case(the_last_vdev_is_not_removed),
        case(no_removal_cannot_be_cancelled),
        case(a_device_is_taken_offline_and_back),
        case(a_device_is_faulted_and_cleared),
        case(the_pool_does_not_lose_its_only_device),
        case(a_vdev_that_is_not_there_is_not_found),
        case(a_device_that_grew_is_expanded),
        case(damage_is_found_and_named).needs(Need::RealModule).needs(Need::Root),
        case(the_path_of_a_device_is_set),
        case(properties_of_a_pool_are_set),
        case(a_property_that_is_not_one_is_refused),
        case(a_feature_is_enabled_and_not_disabled),
        case(a_pool_gets_another_guid),
        case(a_pool_gets_that_guid).needs(Need::Since(2, 3)),
        case(properties_of_vdevs_are_set).needs(Need::Since(2, 2)),
        case(a_property_of_vdevs_that_is_not_one_is_refused).needs(Need::Since(2, 2)),
        case(properties_of_vdevs_need_a_newer_module).needs(Need::Before(2, 2)),
    ]
}

fn guid_of(world: &World, pool: &PoolName, path: &Path) -> Guid {
    device(&status(world, pool), path).guid
}

fn vdevs_are_added(world: &World) {
    let files = files(world, 4);
    let [data, more, spare, cache] = files.as_slice() else { panic!("four files") };
    let pool = make(world, "grow", [VdevSpec::single(data)]);
    let before = status(world, &pool).size;
    let topology = Topology {
        vdevs: vec![VdevSpec::single(more)],
        spares: vec![spare.clone()],
        cache: vec![cache.clone()],
        ashift: None,
    };
    world.zfs().add_vdevs(&pool, &topology, false).expect("added");
    let status = status(world, &pool);
    assert_eq!(status.root.children.len(), 2);
    assert!(status.size > before);
    assert_eq!((status.spares.len(), status.cache.len()), (1, 1));
}

fn a_vdev_on_a_device_of_another_pool_is_not_added(world: &World) {
    let files = files(world, 2);
    let [first, second] = files.as_slice() else { panic!("two files") };
    let pool = make(world, "one", [VdevSpec::single(first)]);
    let other = make(world, "two", [VdevSpec::single(second)]);
    world.zfs().export_pool(&other, Export::Clean).expect("exported");
    let topology = Topology { vdevs: vec![VdevSpec::single(second)], ..Topology::default() };
    let error = world.zfs().add_vdevs(&pool, &topology, false).expect_err("another pool's");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.reason().contains(other.as_str()), "{error}");
    world.zfs().add_vdevs(&pool, &topology, true).expect("added by force");
}

fn a_vdev_of_another_sector_size_takes_force(world: &World) {
    let files = files(world, 2);
    let [first, second] = files.as_slice() else { panic!("two files") };
    let pool = make(world, "sectors", [VdevSpec::single(first).ashift(12)]);
    let vdevs = vec![VdevSpec::single(second).ashift(9)];
    let topology = Topology { vdevs, ..Topology::default() };
    let error = world.zfs().add_vdevs(&pool, &topology, false).expect_err("they differ");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    world.zfs().add_vdevs(&pool, &topology, true).expect("added by force");
}

fn a_device_becomes_a_mirror_and_one_again(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 2);
    let [first, second] = files.as_slice() else { panic!("two files") };
    let pool = make(world, "mirror", [VdevSpec::single(first)]);
    for sequential in [false, true] {
        let new = NewDevice { sequential, ..NewDevice::new(second) };
        zfs.attach_vdev(&pool, guid_of(world, &pool, first), &new).expect("attached");
        zfs.wait_pool(&pool, PoolActivity::Resilver).expect("waited");
        let mirrored = status(world, &pool);
        let top = mirrored.root.children.first().expect("a vdev");
        assert_eq!(top.kind, VdevKind::Mirror);
        assert!(top.leaves().all(|leaf| leaf.state == VdevState::Online), "{top:?}");
        zfs.detach_vdev(&pool, guid_of(world, &pool, second)).expect("detached");
        let single = status(world, &pool);
        assert_eq!(single.root.children.first().map(|top| &top.kind), Some(&VdevKind::File));
    }
}

fn a_raidz_vdev_grows_by_a_device(world: &World) {
    let files = files(world, 4);
    let pool = make(world, "raidz", [VdevSpec::raidz(1, files.iter().take(3))]);
    let raidz = status(world, &pool).root.children.first().expect("a vdev").guid;
    let new = NewDevice::new(files.last().expect("four files"));
    world.zfs().attach_vdev(&pool, raidz, &new).expect("attached");
    world.zfs().wait_pool(&pool, PoolActivity::RaidzExpand).expect("waited");
    assert_eq!(status(world, &pool).root.leaves().count(), 4);
}

fn a_device_is_replaced(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 3);
    let [first, second, third] = files.as_slice() else { panic!("three files") };
    let pool = make(world, "replace", [VdevSpec::mirror([first, second])]);
    let old = guid_of(world, &pool, second);
    zfs.replace_vdev(&pool, old, &NewDevice::new(third)).expect("replaced");
    zfs.wait_pool(&pool, PoolActivity::Replace).expect("waited");
    let status = status(world, &pool);
    let mut paths: Vec<_> = status.root.leaves().filter_map(|leaf| leaf.path.clone()).collect();
    paths.sort();
    assert_eq!(paths, [first.clone(), third.clone()]);
    assert_eq!(status.health, PoolHealth::Online);
}

/// A pool of a device and a hot spare, which stands in for it: the pool, and both devices.
fn spared(world: &World, end: &str) -> (PoolName, Guid, Guid) {
    let zfs = world.zfs();
    let files = files(world, 2);
    let [data, spare] = files.as_slice() else { panic!("two files") };
    let mut spec = spec([VdevSpec::single(data)]);
    spec.topology.spares = vec![spare.clone()];
    let pool = pool_name(world, end);
    zfs.create_pool(&pool, &spec).expect("created");
    let data = guid_of(world, &pool, data);
    zfs.replace_vdev(&pool, data, &NewDevice::new(spare)).expect("it stands in");
    zfs.wait_pool(&pool, PoolActivity::Resilver).expect("waited");
    let status = status(world, &pool);
    let top = status.root.children.first().expect("a vdev");
    assert_eq!((&top.kind, top.leaves().count()), (&VdevKind::Spare, 2));
    let listed = status.spares.first().expect("it is still listed");
    assert_eq!(listed.reason, Some(VdevReason::Spared));
    let error = zfs.remove_vdev(&pool, listed.guid).expect_err("it is in use");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    (pool, data, listed.guid)
}

fn a_hot_spare_stands_in_and_goes_back(world: &World) {
    let (pool, data, spare) = spared(world, "standin");
    world.zfs().detach_vdev(&pool, spare).expect("detached");
    let status = status(world, &pool);
    let kinds: Vec<_> = status.root.children.iter().map(|top| &top.kind).collect();
    assert_eq!(kinds, [&VdevKind::File]);
    let listed = status.spares.first().expect("it is a spare again");
    assert_eq!((listed.guid, listed.state), (spare, VdevState::Online));
    let error = world.zfs().detach_vdev(&pool, data).expect_err("it is alone");
    assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound), "{error}");
    world.zfs().remove_vdev(&pool, spare).expect("removed");
}

fn a_hot_spare_takes_the_place_of_what_is_given_up(world: &World) {
    let (pool, data, _) = spared(world, "successor");
    world.zfs().detach_vdev(&pool, data).expect("detached");
    let status = status(world, &pool);
    let kinds: Vec<_> = status.root.children.iter().map(|top| &top.kind).collect();
    assert_eq!(kinds, [&VdevKind::File]);
    assert!(status.spares.is_empty(), "{:?}", status.spares);
    assert_eq!(status.health, PoolHealth::Online);
}

fn a_checkpoint_keeps_the_devices_it_was_made_on(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 3);
    let [first, second, third] = files.as_slice() else { panic!("three files") };
    let pool = make(world, "kept", [VdevSpec::mirror([first, second])]);
    zfs.checkpoint_pool(&pool).expect("a checkpoint");
    let guid = guid_of(world, &pool, second);
    let kinds = [
        zfs.detach_vdev(&pool, guid).expect_err("it is needed").kind(),
        zfs.remove_vdev(&pool, guid).expect_err("it is needed").kind(),
        zfs.attach_vdev(&pool, guid, &NewDevice::new(third)).expect_err("not now").kind(),
        zfs.reguid_pool(&pool, None).expect_err("not now").kind(),
    ];
    assert_eq!(kinds, [ErrorKind::InProgress; 4]);
    zfs.offline_vdev(&pool, guid, Offline::Persistent).expect("that can be taken back");
    zfs.discard_checkpoint(&pool).expect("given up");
    zfs.wait_pool(&pool, PoolActivity::CheckpointDiscard).expect("waited");
    zfs.detach_vdev(&pool, guid).expect("detached");
}

fn a_device_that_is_too_small_replaces_nothing(world: &World) {
    let file = world.new_file("large", Bytes::from_mib(256));
    let pool = make(world, "large", [VdevSpec::single(&file)]);
    let small = NewDevice::new(world.new_file("small", Bytes::from_mib(64)));
    let old = guid_of(world, &pool, &file);
    let error = world.zfs().replace_vdev(&pool, old, &small).expect_err("too small");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot replace a device of the pool '{pool}': the new device is too small (EOVERFLOW)"
        )
    );
}

fn the_last_device_is_not_detached(world: &World) {
    let file = world.new_file("device", DEVICE);
    let pool = make(world, "last", [VdevSpec::single(&file)]);
    let only = guid_of(world, &pool, &file);
    let error = world.zfs().detach_vdev(&pool, only).expect_err("it is the only one");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

fn a_vdev_is_removed_and_its_data_moves(world: &World) {
    let zfs = world.zfs();
    // To be removed, a vdev must leave room to spare.
    let [first, second] = ["one", "two"].map(|name| world.new_file(name, Bytes::from_gib(1)));
    let pool = make(world, "shrink", [&first, &second].map(VdevSpec::single));
    let name = pool.root().child("data").expect("a name");
    zfs.create_filesystem(&name, &PropertySet::new()).expect("created");
    zfs.remove_vdev(&pool, guid_of(world, &pool, &second)).expect("begun");
    zfs.wait_pool(&pool, PoolActivity::Remove).expect("waited");
    let status = status(world, &pool);
    assert_eq!(status.root.leaves().count(), 1);
    let removed = status.root.children.get(1).expect("its place");
    assert_eq!(removed.kind, VdevKind::Indirect);
    assert!(zfs.exists(&name).expect("an answer"));
}

fn the_last_vdev_is_not_removed(world: &World) {
    let file = world.new_file("device", DEVICE);
    let pool = make(world, "last", [VdevSpec::single(&file)]);
    let only = guid_of(world, &pool, &file);
    let error = world.zfs().remove_vdev(&pool, only).expect_err("it is the only one");
    let kinds = [ErrorKind::Busy, ErrorKind::NoSpace, ErrorKind::Invalid];
    assert!(kinds.contains(&error.kind()), "{error}");
}

fn no_removal_cannot_be_cancelled(world: &World) {
    let pool = world.new_pool("calm", DEVICE);
    let error = world.zfs().cancel_removal(&pool).expect_err("nothing is removed");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

fn a_device_is_taken_offline_and_back(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 2);
    let [first, second] = files.as_slice() else { panic!("two files") };
    let pool = make(world, "offline", [VdevSpec::mirror([first, second])]);
    let guid = guid_of(world, &pool, second);
    for offline in [Offline::Persistent, Offline::Temporary] {
        zfs.offline_vdev(&pool, guid, offline).expect("offline");
        let degraded = status(world, &pool);
        assert_eq!(device(&degraded, second).state, VdevState::Offline);
        assert_eq!(degraded.health, PoolHealth::Degraded);
        assert_eq!(zfs.online_vdev(&pool, guid, false).expect("online"), VdevState::Online);
        zfs.wait_pool(&pool, PoolActivity::Resilver).expect("waited");
        assert_eq!(status(world, &pool).health, PoolHealth::Online);
    }
}

fn a_device_is_faulted_and_cleared(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 2);
    let [first, second] = files.as_slice() else { panic!("two files") };
    let pool = make(world, "fault", [VdevSpec::mirror([first, second])]);
    let guid = guid_of(world, &pool, second);
    zfs.offline_vdev(&pool, guid, Offline::Faulted).expect("faulted");
    let faulted = device(&status(world, &pool), second);
    assert_eq!((faulted.state, faulted.reason), (VdevState::Faulted, Some(VdevReason::External)));
    zfs.clear_pool(&pool, Some(guid)).expect("cleared");
    zfs.wait_pool(&pool, PoolActivity::Resilver).expect("waited");
    assert_eq!(device(&status(world, &pool), second).state, VdevState::Online);
}

fn the_pool_does_not_lose_its_only_device(world: &World) {
    let file = world.new_file("device", DEVICE);
    let pool = make(world, "only", [VdevSpec::single(&file)]);
    let only = guid_of(world, &pool, &file);
    let error = world.zfs().offline_vdev(&pool, only, Offline::Persistent).expect_err("the only");
    assert_eq!(error.kind(), ErrorKind::Busy);
    let expected = format!(
        "cannot change a device of the pool '{pool}': too few others have its data (EBUSY)"
    );
    assert_eq!(error.to_string(), expected);
}

fn a_vdev_that_is_not_there_is_not_found(world: &World) {
    let (zfs, pool, none) = (world.zfs(), world.new_pool("vdevs", DEVICE), Guid::new(99));
    let new = NewDevice::new(world.new_file("new", DEVICE));
    let kinds = [
        zfs.detach_vdev(&pool, none).expect_err("none").kind(),
        zfs.remove_vdev(&pool, none).expect_err("none").kind(),
        zfs.offline_vdev(&pool, none, Offline::Persistent).expect_err("none").kind(),
        zfs.online_vdev(&pool, none, false).expect_err("none").kind(),
        zfs.attach_vdev(&pool, none, &new).expect_err("none").kind(),
        zfs.clear_pool(&pool, Some(none)).expect_err("none").kind(),
    ];
    assert_eq!(kinds, [ErrorKind::NotFound; 6]);
}

fn a_device_that_grew_is_expanded(world: &World) {
    let file = world.new_file("device", DEVICE);
    let pool = make(world, "wider", [VdevSpec::single(&file)]);
    let before = status(world, &pool).size;
    let grown = OpenOptions::new().write(true).open(&file).expect("opened");
    grown.set_len(DEVICE.get() * 4).expect("grown");
    world.zfs().reopen_pool(&pool, false).expect("reopened");
    let guid = guid_of(world, &pool, &file);
    world.zfs().online_vdev(&pool, guid, true).expect("expanded");
    // The kernel does it in the background.
    let start = Instant::now();
    while status(world, &pool).size.get() < before.get() * 3 {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{before} {}",
            status(world, &pool).size
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// A file of known content is overwritten on the device, behind the pool's back.
fn damage_is_found_and_named(world: &World) {
    const CONTENT: [u8; 4096] = [0x5a; 4096];
    let zfs = world.zfs();
    let file = world.new_file("device", DEVICE);
    let pool = pool_name(world, "damaged");
    let mut spec = spec([VdevSpec::single(&file)]).ashift(12);
    for (name, value) in [("compression", "off"), ("recordsize", "4K"), ("atime", "off")] {
        spec.root_properties.set(name, value).expect("a property");
    }
    zfs.create_pool(&pool, &spec).expect("created");
    let folder = world.scratch().join("mounted");
    std::fs::create_dir(&folder).expect("a folder");
    let mut request = MountRequest::new(pool.as_str(), &folder);
    request.data = "zfsutil".to_owned();
    let host = zfs.kernel().host();
    host.mount(&request).expect("mounted");
    let mut victim = std::fs::File::create(folder.join("victim")).expect("created");
    (0..8).for_each(|_| victim.write_all(&CONTENT).expect("written"));
    drop(victim);
    host.unmount(&folder, UnmountFlags::empty()).expect("unmounted");
    zfs.export_pool(&pool, Export::Clean).expect("exported");

    let bytes = std::fs::read(&file).expect("read");
    let device = OpenOptions::new().write(true).open(&file).expect("opened");
    let mut hits = 0;
    for (block, content) in (0_u64..).zip(bytes.chunks_exact(CONTENT.len())) {
        if content == CONTENT {
            device.write_all_at(&[0xff; 64], block * 4096).expect("written");
            hits += 1;
        }
    }
    assert_eq!(hits, 8, "the content is on the device");

    let search = zfsvol_core::zfs::ImportSearch::new([&file]);
    let found = zfs.importable_pools(&search).expect("found");
    let options = zfsvol_core::zfs::ImportOptions::default();
    zfs.import_pool(found.first().expect("one"), &options).expect("imported");
    zfs.scrub_pool(&pool, Scrub::Start).expect("started");
    super::activity::wait_for_scrub(world, &pool);
    let status = status(world, &pool);
    assert!(status.errors > 0);
    assert_eq!(status.scan.map(|scan| scan.errors), Some(8));
    let leaf: VdevStatus = super::pool::device(&status, &file);
    assert!(leaf.stats.checksum_errors >= 8, "{:?}", leaf.stats);
    let log = zfs.error_log(&pool).expect("the log");
    let damaged = log.first().expect("an object");
    assert_eq!(damaged.dataset.as_deref(), Some(pool.as_str()));
    assert_eq!(damaged.path.as_deref(), Some("/victim"));
    assert_eq!((log.len(), damaged.blocks), (1, 8));
}

fn the_path_of_a_device_is_set(world: &World) {
    let file = world.new_file("device", DEVICE);
    let pool = make(world, "path", [VdevSpec::single(&file)]);
    let guid = guid_of(world, &pool, &file);
    let path = world.scratch().join("other");
    std::fs::hard_link(&file, &path).expect("linked");
    world.zfs().set_vdev_path(&pool, guid, &path).expect("set");
    assert_eq!(guid_of(world, &pool, &path), guid);
}

fn properties_of_a_pool_are_set(world: &World) {
    let (zfs, pool) = (world.zfs(), world.new_pool("set", DEVICE));
    let mut set = PropertySet::for_pool();
    for (name, value) in [("comment", "one"), ("failmode", "continue"), ("autoexpand", "on")] {
        set.set(name, value).expect("a property");
    }
    zfs.set_pool_properties(&pool, &set).expect("set");
    let properties = zfs.pool_properties(&pool).expect("properties");
    let get = |name: &str| properties.get(name).expect("a property").clone();
    assert_eq!(get("comment").value, PropertyValue::from("one"));
    assert_eq!(get("failmode").value.as_str(), Some("continue"));
    assert_eq!(get("failmode").source, Source::Local);
    assert_eq!(get("autoexpand").value.as_bool(), Some(true));
    assert_eq!(get("autoreplace").source, Source::Default);
    assert_eq!(get("size").value.as_bytes(), Some(status(world, &pool).size));
}

fn a_property_that_is_not_one_is_refused(world: &World) {
    let (zfs, pool) = (world.zfs(), world.new_pool("refuse", DEVICE));
    let error = PropertySet::for_pool().with("compression", "lz4").expect_err("of datasets");
    assert_eq!(error.kind(), ErrorKind::InvalidProperty);
    for (name, value) in [("nonsense", 1_u64), ("failmode", 77)] {
        let mut set = PropertySet::for_pool();
        set.set_unchecked(name, value).expect("anything");
        let error = zfs.set_pool_properties(&pool, &set).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidProperty, "{name}: {error}");
    }
}

fn a_feature_is_enabled_and_not_disabled(world: &World) {
    let zfs = world.zfs();
    let pool = pool_name(world, "feature");
    let spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]);
    zfs.create_pool(&pool, &spec.features(Features::None)).expect("created");
    let set = PropertySet::for_pool().with("feature@bookmarks", "enabled").expect("a property");
    zfs.set_pool_properties(&pool, &set).expect("enabled");
    assert!(status(world, &pool).features.contains_key("bookmarks"));
    let set = PropertySet::for_pool().with("feature@bookmarks", "disabled").expect("a property");
    let error = zfs.set_pool_properties(&pool, &set).expect_err("too late");
    assert_eq!(error.kind(), ErrorKind::InvalidProperty);
}

fn a_pool_gets_another_guid(world: &World) {
    let pool = world.new_pool("guid", DEVICE);
    let before = status(world, &pool).guid;
    world.zfs().reguid_pool(&pool, None).expect("another");
    assert_ne!(status(world, &pool).guid, before);
}

fn a_pool_gets_that_guid(world: &World) {
    let pool = world.new_pool("guid", DEVICE);
    let wanted = Guid::new(0x1234_5678_9abc);
    world.zfs().reguid_pool(&pool, Some(wanted)).expect("another");
    assert_eq!(status(world, &pool).guid, wanted);
}

fn properties_of_vdevs_are_set(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 2);
    let [first, second] = files.as_slice() else { panic!("two files") };
    let pool = make(world, "props", [VdevSpec::single(first), VdevSpec::single(second)]);
    let vdev = guid_of(world, &pool, second);
    zfs.set_vdev_property(&pool, vdev, "com.example:slot", "4").expect("set");
    zfs.set_vdev_property(&pool, vdev, "comment", "left").expect("set");
    zfs.set_vdev_property(&pool, vdev, "allocating", false).expect("set");
    let properties = zfs.vdev_properties(&pool, vdev).expect("properties");
    let value = |name: &str| properties.get(name).map(|property| property.value.clone());
    assert_eq!(value("com.example:slot"), Some(PropertyValue::from("4")));
    assert_eq!(value("comment"), Some(PropertyValue::from("left")));
    assert_eq!(value("allocating"), Some(PropertyValue::Number(0)));
    assert_eq!(value("guid"), Some(PropertyValue::Number(vdev.get())));
    zfs.set_vdev_property(&pool, vdev, "com.example:slot", "").expect("removed");
    assert!(!zfs.vdev_properties(&pool, vdev).expect("again").contains_key("com.example:slot"));
}

fn a_property_of_vdevs_that_is_not_one_is_refused(world: &World) {
    let (zfs, pool) = (world.zfs(), world.new_pool("props", DEVICE));
    let vdev = status(world, &pool).root.leaves().next().expect("a device").guid;
    let error = zfs.set_vdev_property(&pool, vdev, "nonsense", 1_u64).expect_err("none");
    assert_eq!(error.kind(), ErrorKind::InvalidProperty, "{error}");
    let error = zfs.set_vdev_property(&pool, vdev, "allocating", "perhaps").expect_err("no value");
    assert_eq!(error.kind(), ErrorKind::InvalidProperty, "{error}");
    let error = zfs.set_vdev_property(&pool, vdev, "size", 1_u64).expect_err("the kernel's");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    let error = zfs.vdev_properties(&pool, Guid::new(99)).expect_err("no vdev");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

fn properties_of_vdevs_need_a_newer_module(world: &World) {
    let (zfs, pool) = (world.zfs(), world.new_pool("props", DEVICE));
    let vdev = status(world, &pool).root.leaves().next().expect("a device").guid;
    let error = zfs.vdev_properties(&pool, vdev).expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.reason().contains("ZFS_IOC_VDEV_GET_PROPS came with 2.2"), "{error}");
    let error = zfs.set_vdev_property(&pool, vdev, "comment", "x").expect_err("too old");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
