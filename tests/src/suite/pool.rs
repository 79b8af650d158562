//! Pools: create, look at, destroy, export; a pool that is full, and one that is suspended.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags};
use zfsvol_core::kernel::MountRequest;
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{
    AllocationClass, Compatibility, Create, Draid, Export, FeatureState, Features, Key, PoolHealth,
    PoolSpec, PoolStatus, Redundancy, Topology, VdevKind, VdevSpec, VdevState, VdevStatus,
};
use zfsvol_core::{BusyReason, Bytes, ErrorKind, PoolName};

use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_pool_is_made_of_every_kind_of_vdev),
        case(a_pool_is_made_of_disks).needs(Need::Disks(3)),
        case(a_draid_pool_is_made),
        case(a_new_pool_has_every_feature_the_module_knows),
        case(a_new_pool_can_have_the_features_of_an_older_release),
        case(a_new_pool_can_have_no_feature),
        case(a_feature_the_module_does_not_know_is_unsupported),
        case(a_vdev_that_needs_a_disabled_feature_is_refused),
        case(a_new_pool_has_its_properties),
        case(a_pool_can_be_encrypted),
        case(a_pool_that_exists_is_not_made_again),
        case(a_device_of_an_imported_pool_is_refused),
        case(a_device_of_an_exported_pool_is_refused_unless_forced),
        case(a_device_of_a_destroyed_pool_is_taken),
        case(a_device_named_twice_is_busy),
        case(a_device_that_is_too_small_is_invalid),
        case(a_device_that_is_missing_is_not_found),
        case(a_pool_without_vdevs_is_invalid),
        case(a_value_no_property_takes_makes_no_pool),
        case(a_destroyed_pool_is_gone),
        case(a_pool_that_is_not_there_is_not_found),
        case(a_mounted_pool_is_not_destroyed_and_says_where)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(a_mounted_pool_is_not_exported).needs(Need::RealModule).needs(Need::Root),
        case(pools_are_listed_with_their_space),
        case(a_pool_that_is_full_says_so),
        case(a_suspended_pool_says_so_and_goes_on_when_cleared)
            .needs(Need::RealModule)
            .needs(Need::Root),
    ]
}

/// How large a file for a pool is: it is sparse.
pub(super) const DEVICE: Bytes = Bytes::from_mib(128);

/// That many files for a pool.
pub(super) fn files(world: &World, count: usize) -> Vec<PathBuf> {
    (0..count).map(|n| world.new_file(&format!("device{n}"), DEVICE)).collect()
}

/// A name of this case alone for a pool that it makes itself. It is destroyed with the case.
pub(super) fn pool_name(world: &World, end: &str) -> PoolName {
    let name = format!("zfsvol-test-{}-{end}", std::process::id());
    let name: PoolName = name.parse().expect("a pool name");
    world.adopt_pool(&name);
    name
}

/// A pool of these vdevs that nothing mounts and no cache file knows.
pub(super) fn spec(vdevs: impl IntoIterator<Item = VdevSpec>) -> PoolSpec {
    let mut spec = PoolSpec::new(vdevs);
    spec.properties.set("cachefile", "none").expect("a property of pools");
    spec.root_properties.set("mountpoint", "none").expect("a property of file systems");
    spec
}

/// Makes a pool of these vdevs.
pub(super) fn make(
    world: &World,
    end: &str,
    vdevs: impl IntoIterator<Item = VdevSpec>,
) -> PoolName {
    let name = pool_name(world, end);
    world.zfs().create_pool(&name, &spec(vdevs)).expect("a pool");
    name
}

pub(super) fn status(world: &World, pool: &PoolName) -> PoolStatus {
    world.zfs().pool_status(pool).expect("its status")
}

/// The device of that path in a pool.
pub(super) fn device(status: &PoolStatus, path: &Path) -> VdevStatus {
    let found = status.root.leaves().find(|vdev| vdev.path.as_deref() == Some(path));
    found.unwrap_or_else(|| panic!("{} is in the pool", path.display())).clone()
}

fn kinds(status: &PoolStatus) -> Vec<(VdevKind, AllocationClass)> {
    status.root.children.iter().map(|vdev| (vdev.kind.clone(), vdev.class)).collect()
}

fn a_pool_is_made_of_every_kind_of_vdev(world: &World) {
    let mut files = files(world, 16).into_iter();
    let mut take = |count| files.by_ref().take(count).collect::<Vec<_>>();
    let mut spec = spec([
        VdevSpec::raidz(2, take(4)),
        VdevSpec::mirror(take(2)).log(),
        VdevSpec::new(Redundancy::Mirror, take(3)).class(AllocationClass::Special),
        VdevSpec::mirror(take(3)).dedup(),
    ])
    .ashift(12);
    spec.topology.spares = take(2);
    spec.topology.cache = take(1);
    assert_eq!(spec.topology.devices().count(), 15, "twelve, two spares, a cache");
    assert_eq!(spec.topology.vdevs.first().map(|raidz| raidz.devices().len()), Some(4));
    let pool = pool_name(world, "kinds");
    world.zfs().create_pool(&pool, &spec).expect("created");
    let status = status(world, &pool);
    assert_eq!(
        kinds(&status),
        [
            (VdevKind::Raidz { parity: 2 }, AllocationClass::Normal),
            (VdevKind::Mirror, AllocationClass::Log),
            (VdevKind::Mirror, AllocationClass::Special),
            (VdevKind::Mirror, AllocationClass::Dedup),
        ]
    );
    assert_eq!((status.spares.len(), status.cache.len()), (2, 1));
    assert_eq!(status.health, PoolHealth::Online);
    assert_eq!(status.root.leaves().count(), 12);
    assert!(status.root.leaves().all(VdevStatus::is_leaf));
    assert!(!status.root.is_leaf() && !status.root.children.iter().any(VdevStatus::is_leaf));
    for vdev in status.root.iter().chain(&status.cache) {
        assert_eq!((vdev.state, vdev.reason), (VdevState::Online, None), "{}", vdev.name());
    }
    let first = status.root.children.first().expect("a vdev");
    assert_eq!(first.name(), "raidz2-0");
    assert_eq!(first.stats.ashift, 12);
}

fn a_pool_is_made_of_disks(world: &World) {
    let disks = world.machine().disks().iter().take(3);
    let vdevs = [VdevSpec::raidz(1, disks).ashift(9)];
    let mut spec = spec(vdevs);
    // Other cases may have left their labels on them.
    spec.force = true;
    let pool = pool_name(world, "disks");
    world.zfs().create_pool(&pool, &spec).expect("created");
    let status = status(world, &pool);
    assert!(status.root.leaves().all(|disk| disk.kind == VdevKind::Disk));
    world.zfs().destroy_pool(&pool).expect("destroyed");
}

fn a_draid_pool_is_made(world: &World) {
    let draid = Draid { parity: 1, data: Some(3), spares: 1 };
    let pool = make(world, "draid", [VdevSpec::draid(draid, files(world, 6))]);
    let status = status(world, &pool);
    assert_eq!(kinds(&status), [(VdevKind::Draid { parity: 1 }, AllocationClass::Normal)]);
    assert_eq!(status.health, PoolHealth::Online);
    assert_eq!(status.features.get("draid"), Some(&FeatureState::Active));
}

fn a_new_pool_has_every_feature_the_module_knows(world: &World) {
    let pool = world.new_pool("all", DEVICE);
    let features = status(world, &pool).features;
    for guid in world.zfs().module().pool_features.iter() {
        let (_, name) = guid.split_once(':').expect("a GUID of a feature");
        assert!(features.contains_key(name), "{name}");
    }
    assert!(features.len() >= 34, "{}", features.len());
    assert_eq!(features.get("bookmarks"), Some(&FeatureState::Enabled));
}

fn a_new_pool_can_have_the_features_of_an_older_release(world: &World) {
    let pool = pool_name(world, "old");
    let spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]);
    let spec = spec.features(Features::Compatible(Compatibility::V2_0));
    world.zfs().create_pool(&pool, &spec).expect("created");
    let features = status(world, &pool).features;
    assert!(features.contains_key("encryption"));
    assert!(!features.contains_key("draid"));
    let properties = world.zfs().pool_properties(&pool).expect("properties");
    let set = properties.get("compatibility").and_then(|set| set.value.as_str());
    assert_eq!(set, Some(Compatibility::V2_0.set_name()));
    assert_eq!(set, Some("openzfs-2.0-linux"));
}

fn a_new_pool_can_have_no_feature(world: &World) {
    let pool = pool_name(world, "none");
    let spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]);
    world.zfs().create_pool(&pool, &spec.features(Features::None)).expect("created");
    assert!(!status(world, &pool).features.contains_key("bookmarks"));
    world.zfs().enable_features(&pool, &Features::only(["bookmarks"])).expect("enabled");
    let features = status(world, &pool).features;
    assert!(features.contains_key("bookmarks"));
    assert!(features.contains_key("extensible_dataset"), "what it depends on");
    assert!(!features.contains_key("encryption"));
    world.zfs().enable_features(&pool, &Features::All).expect("enabled");
    assert!(status(world, &pool).features.contains_key("encryption"));
}

fn a_feature_the_module_does_not_know_is_unsupported(world: &World) {
    let pool = pool_name(world, "unknown");
    let spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]);
    let spec = spec.features(Features::only(["warp_drive"]));
    let error = world.zfs().create_pool(&pool, &spec).expect_err("no such feature");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("warp_drive"), "{error}");
}

fn a_vdev_that_needs_a_disabled_feature_is_refused(world: &World) {
    let pool = pool_name(world, "special");
    let [data, special] = [world.new_file("data", DEVICE), world.new_file("special", DEVICE)];
    let spec = spec([VdevSpec::single(data), VdevSpec::single(special).special()]);
    let spec = spec.features(Features::None);
    let error = world.zfs().create_pool(&pool, &spec).expect_err("it needs allocation_classes");
    assert_eq!(error.kind(), ErrorKind::FeatureDisabled, "{error}");
}

fn a_new_pool_has_its_properties(world: &World) {
    let pool = pool_name(world, "props");
    let mut spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]).ashift(13);
    spec.properties.set("comment", "of a test").expect("a property");
    spec.properties.set("autotrim", true).expect("a property");
    spec.root_properties.set("compression", "gzip-3").expect("a property");
    spec.root_properties.set("com.example:a", "b").expect("a property");
    world.zfs().create_pool(&pool, &spec).expect("created");
    let properties = world.zfs().pool_properties(&pool).expect("properties");
    let value = |name: &str| properties.get(name).map(|property| property.value.to_string());
    assert_eq!(value("comment").as_deref(), Some("of a test"));
    assert_eq!(value("autotrim").as_deref(), Some("on"));
    assert_eq!(value("ashift").as_deref(), Some("13"));
    assert_eq!(status(world, &pool).root.children.first().map(|vdev| vdev.stats.ashift), Some(13));
}

fn a_pool_can_be_encrypted(world: &World) {
    let pool = pool_name(world, "secret");
    let mut spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]);
    spec.root_key = Some(Key::raw([7; 32]));
    world.zfs().create_pool(&pool, &spec).expect("created");
    let error = world.zfs().load_key(&pool.root(), &Key::raw([7; 32])).expect_err("it is loaded");
    assert_eq!(error.kind(), ErrorKind::Exists);
    world.zfs().unload_key(&pool.root()).expect("unloaded");
    let error = world.zfs().load_key(&pool.root(), &Key::raw([8; 32])).expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::WrongKey);
}

fn a_pool_that_exists_is_not_made_again(world: &World) {
    let pool = world.new_pool("twice", DEVICE);
    let spec = spec([VdevSpec::single(world.new_file("other", DEVICE))]);
    let error = world.zfs().create_pool(&pool, &spec).expect_err("it exists");
    assert_eq!(error.kind(), ErrorKind::Exists);
    let expected =
        format!("cannot create the pool '{pool}': there is a pool of that name (EEXIST)");
    assert_eq!(error.to_string(), expected);
}

fn a_device_of_an_imported_pool_is_refused(world: &World) {
    let files = files(world, 1);
    let pool = make(world, "first", files.iter().map(VdevSpec::single));
    for force in [false, true] {
        let mut spec = spec(files.iter().map(VdevSpec::single));
        spec.force = force;
        let other = pool_name(world, "second");
        let error = world.zfs().create_pool(&other, &spec).expect_err("it is in use");
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        let named =
            error.reason().contains(&format!("is part of the pool '{pool}', which is imported"));
        assert_eq!(named, !force, "{error}");
    }
}

fn a_device_of_an_exported_pool_is_refused_unless_forced(world: &World) {
    let files = files(world, 1);
    let pool = make(world, "exported", files.iter().map(VdevSpec::single));
    world.zfs().export_pool(&pool, Export::Clean).expect("exported");
    let other = pool_name(world, "other");
    let spec = spec(files.iter().map(VdevSpec::single));
    let error = world.zfs().create_pool(&other, &spec).expect_err("it is of another pool");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.reason().ends_with(&format!("the pool '{pool}', which is exported")), "{error}");
    world.zfs().create_pool(&other, &spec.force()).expect("created");
}

fn a_device_of_a_destroyed_pool_is_taken(world: &World) {
    let files = files(world, 1);
    let pool = make(world, "gone", files.iter().map(VdevSpec::single));
    world.zfs().destroy_pool(&pool).expect("destroyed");
    make(world, "new", files.iter().map(VdevSpec::single));
}

fn a_device_named_twice_is_busy(world: &World) {
    let file = world.new_file("device", DEVICE);
    let pool = pool_name(world, "same");
    let spec = spec([VdevSpec::mirror([&file, &file])]);
    let error = world.zfs().create_pool(&pool, &spec).expect_err("it is one device");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
}

fn a_device_that_is_too_small_is_invalid(world: &World) {
    let pool = pool_name(world, "small");
    let spec = spec([VdevSpec::single(world.new_file("small", Bytes::from_mib(32)))]);
    let error = world.zfs().create_pool(&pool, &spec).expect_err("too small");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.reason(), "a device is too small: the least is 64 MiB");
}

fn a_device_that_is_missing_is_not_found(world: &World) {
    let pool = pool_name(world, "missing");
    let path = world.scratch().join("missing");
    let error = world.zfs().create_pool(&pool, &spec([VdevSpec::single(&path)])).expect_err("none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

fn a_pool_without_vdevs_is_invalid(world: &World) {
    let pool = pool_name(world, "empty");
    let error = world.zfs().create_pool(&pool, &spec([])).expect_err("of nothing");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let mut only_log = spec([VdevSpec::single(world.new_file("log", DEVICE)).log()]);
    let error = world.zfs().create_pool(&pool, &only_log).expect_err("a log alone");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    only_log.topology = Topology::default();
    assert!(world.zfs().create_pool(&pool, &only_log).is_err());
}

fn a_value_no_property_takes_makes_no_pool(world: &World) {
    let pool = pool_name(world, "value");
    let mut spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]);
    spec.properties.set_unchecked("failmode", 99_u64).expect("anything");
    let error = world.zfs().create_pool(&pool, &spec).expect_err("no such failmode");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(!world.zfs().pool_names().expect("names").contains(&pool));
}

fn a_destroyed_pool_is_gone(world: &World) {
    let pool = world.new_pool("destroyed", DEVICE);
    world
        .zfs()
        .create_filesystem(&pool.root().child("a").expect("a name"), &PropertySet::new())
        .expect("created");
    world.zfs().destroy_pool(&pool).expect("destroyed");
    assert!(!world.zfs().pool_names().expect("names").contains(&pool));
    let error = world.zfs().pool_status(&pool).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn a_pool_that_is_not_there_is_not_found(world: &World) {
    let zfs = world.zfs();
    let none = pool_name(world, "none");
    let kinds = [
        zfs.destroy_pool(&none).expect_err("none").kind(),
        zfs.export_pool(&none, Export::Clean).expect_err("none").kind(),
        zfs.pool_status(&none).expect_err("none").kind(),
        zfs.pool_properties(&none).expect_err("none").kind(),
        zfs.error_log(&none).expect_err("none").kind(),
        zfs.clear_pool(&none, None).expect_err("none").kind(),
    ];
    assert_eq!(kinds, [ErrorKind::NotFound; 6]);
}

/// Mounts the pool's root dataset below the case's folder.
fn mount(world: &World, pool: &PoolName) -> PathBuf {
    let path = world.scratch().join("mounted");
    fs::create_dir(&path).expect("a folder");
    let mut request = MountRequest::new(pool.as_str(), &path);
    request.data = "zfsutil".to_owned();
    world.zfs().kernel().host().mount(&request).expect("mounted");
    path
}

fn a_mounted_pool_is_not_destroyed_and_says_where(world: &World) {
    let pool = world.new_pool("mounted", DEVICE);
    let path = mount(world, &pool);
    let error = world.zfs().destroy_pool(&pool).expect_err("it is mounted");
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.busy(), [BusyReason::Mounted(vec![path.display().to_string()])]);
    let expected = format!(
        "cannot destroy the pool '{pool}': it is mounted on '{}' (EBUSY); unmount and close what is in it",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
}

fn a_mounted_pool_is_not_exported(world: &World) {
    let pool = world.new_pool("mounted", DEVICE);
    mount(world, &pool);
    for export in [Export::Clean, Export::Force] {
        let error = world.zfs().export_pool(&pool, export).expect_err("it is mounted");
        assert_eq!(error.kind(), ErrorKind::Busy, "{export:?}: {error}");
    }
}

fn pools_are_listed_with_their_space(world: &World) {
    let pools = [world.new_pool("one", DEVICE), world.new_pool("two", Bytes::from_mib(256))];
    let listed = world.zfs().list_pools().expect("a list");
    let names: Vec<&PoolName> = listed.iter().map(|pool| &pool.name).collect();
    assert!(pools.iter().all(|pool| names.contains(&pool)));
    for pool in listed.iter().filter(|pool| pools.contains(&pool.name)) {
        assert_eq!(pool.size.get(), pool.allocated.get() + pool.free.get(), "{}", pool.name);
        assert!(pool.allocated > Bytes::ZERO && !pool.read_only);
        assert!(pool.fragmentation.is_some_and(|percent| percent <= 100));
        assert_ne!(pool.guid.get(), 0);
        assert_eq!(pool.errors, 0);
    }
    let [one, two] = pools.each_ref().map(|pool| status(world, pool).size);
    assert!(two.get() > one.get() + Bytes::from_mib(100).get(), "{one} {two}");
}

fn a_pool_that_is_full_says_so(world: &World) {
    let pool = world.new_pool("full", DEVICE);
    let zvol = |name: &str, size: Bytes| {
        let properties = PropertySet::new().with("refreservation", size).expect("a property");
        let name = pool.root().child(name).expect("a name");
        world.zfs().create(&name, &Create::zvol(size).properties(&properties))
    };
    let mut reserved = 0;
    let error = loop {
        match zvol(&format!("zvol{reserved}"), Bytes::from_mib(8)) {
            Ok(()) => reserved += 1,
            Err(error) => break error,
        }
        assert!(reserved < 32, "more was reserved than there is");
    };
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(reserved > 4, "{reserved}");
}

/// Waits until the pool is in that health.
fn wait_for(world: &World, pool: &PoolName, health: PoolHealth) -> PoolStatus {
    const PATIENCE: Duration = Duration::from_secs(40);
    let start = Instant::now();
    loop {
        let status = status(world, pool);
        if status.health == health {
            return status;
        }
        assert!(start.elapsed() < PATIENCE, "it is {:?}, not {health:?}", status.health);
        thread::sleep(Duration::from_millis(50));
    }
}

/// A tmpfs of that size, for as long as it lives.
struct SmallFolder(PathBuf);

impl SmallFolder {
    fn new(path: PathBuf, size: Bytes) -> Self {
        fs::create_dir(&path).expect("a folder");
        let options = format!("size={}", size.get());
        let kind = Some("tmpfs");
        nix::mount::mount(kind, &path, kind, MsFlags::empty(), Some(options.as_str()))
            .expect("a tmpfs");
        Self(path)
    }
}

impl Drop for SmallFolder {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// The pool's file is sparse, and the folder it is in has no room left: writing to a new place in the file fails.
fn a_suspended_pool_says_so_and_goes_on_when_cleared(world: &World) {
    let zfs = world.zfs();
    let folder = SmallFolder::new(world.scratch().join("small"), Bytes::from_mib(64));
    let device = folder.0.join("device");
    File::create(&device).and_then(|file| file.set_len(DEVICE.get() * 4)).expect("a sparse file");
    let pool = make(world, "suspended", [VdevSpec::single(&device)]);
    let ballast = folder.0.join("ballast");
    let mut file = File::create(&ballast).expect("a file");
    while file.write_all(&[1; 4096]).is_ok() {}

    let (done, writer) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let child = |n: u32| pool.root().child(&format!("a{n}")).expect("a name");
            let outcome = (0..40).try_for_each(|n| {
                zfs.create_filesystem(&child(n), &PropertySet::new())?;
                zfs.sync_pool(&pool, true)
            });
            done.send(outcome).expect("somebody waits");
        });
        let suspended = wait_for(world, &pool, PoolHealth::Suspended);
        assert!(suspended.suspended.is_some());
        let stats = device_stats(&suspended, &device);
        assert!(stats.0 > 0, "write errors: {stats:?}");
        let other = pool.root().child("other").expect("a name");
        let error = zfs.create_filesystem(&other, &PropertySet::new()).expect_err("suspended");
        assert_eq!(error.kind(), ErrorKind::PoolSuspended, "{error}");
        let error = zfs.scrub_pool(&pool, zfsvol_core::zfs::Scrub::Start).expect_err("suspended");
        assert_eq!(error.kind(), ErrorKind::PoolSuspended, "{error}");

        drop(file);
        fs::remove_file(&ballast).expect("removed");
        zfs.clear_pool(&pool, None).expect("cleared");
        let outcome = writer.recv_timeout(Duration::from_secs(40)).expect("the writer goes on");
        assert!(outcome.is_ok() || outcome.is_err_and(|e| e.kind() == ErrorKind::PoolSuspended));
    });
    let status = wait_for(world, &pool, PoolHealth::Online);
    assert_eq!(status.suspended, None);
    zfs.destroy_pool(&pool).expect("destroyed");
}

fn device_stats(status: &PoolStatus, path: &Path) -> (u64, u64) {
    let stats = device(status, path).stats;
    (stats.write_errors, stats.read_errors)
}
