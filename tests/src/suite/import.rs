//! Import: pools found by their labels, whole, moved, damaged, destroyed, and of other hosts.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{
    Compatibility, Export, Features, HostUse, ImportOptions, ImportSearch, ImportablePool, Offline,
    PoolActivity, PoolHealth, Rewind, VdevSpec, VdevState,
};
use zfsvol_core::{Bytes, ErrorKind, PoolName};

use super::pool::{DEVICE, device, files, make, pool_name, spec, status};
use crate::{Case, Need, World, case, command};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(an_exported_pool_is_found_and_imported),
        case(a_pool_on_disks_is_found_and_imported).needs(Need::Disks(2)),
        case(a_pool_is_found_under_the_new_names_of_its_files),
        case(an_imported_pool_is_not_found),
        case(a_pool_is_imported_under_another_name),
        case(a_pool_is_imported_under_a_name_for_now),
        case(a_pool_is_imported_below_another_root),
        case(a_pool_is_imported_read_only),
        case(a_read_only_import_leaves_the_pool_as_it_was),
        case(what_is_offline_stays_so_and_what_is_for_now_does_not),
        case(a_pool_of_an_older_release_is_imported),
        case(a_name_that_is_taken_is_refused),
        case(a_mirror_with_a_missing_side_is_imported_degraded),
        case(a_pool_with_a_missing_vdev_names_it),
        case(a_pool_with_a_missing_log_takes_a_word_more),
        case(spares_and_cache_follow_their_files),
        case(a_removed_vdev_leaves_a_hole),
        case(a_pool_with_one_good_label_is_found),
        case(a_pool_without_good_labels_is_not_found),
        case(a_destroyed_pool_is_found_when_asked_for),
        case(a_pool_goes_back_to_its_checkpoint),
        case(a_pool_without_checkpoint_cannot_go_back_to_one),
        case(a_pool_of_another_host_takes_force).needs(Need::RealModule).needs(Need::Root),
        case(a_path_that_is_not_there_is_not_found),
        case(what_the_command_exports_is_imported).needs(Need::Commands),
    ]
}

fn find(world: &World, search: &ImportSearch) -> Vec<ImportablePool> {
    world.zfs().importable_pools(search).expect("a search")
}

/// The one pool to be found in the case's folder.
fn find_one(world: &World) -> ImportablePool {
    let mut found = find(world, &ImportSearch::new([world.scratch()]));
    assert_eq!(found.len(), 1, "{found:?}");
    found.pop().expect("one")
}

fn options() -> ImportOptions {
    let mut options = ImportOptions::default();
    options.properties.set("cachefile", "none").expect("a property of pools");
    options
}

fn exported(world: &World, end: &str, vdevs: Vec<VdevSpec>) -> PoolName {
    let pool = make(world, end, vdevs);
    let child = pool.root().child("data").expect("a name");
    world.zfs().create_filesystem(&child, &PropertySet::new()).expect("created");
    world.zfs().export_pool(&pool, Export::Clean).expect("exported");
    pool
}

fn an_exported_pool_is_found_and_imported(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 4);
    let vdevs =
        vec![VdevSpec::mirror(files.iter().take(2)), VdevSpec::mirror(files.iter().skip(2))];
    let pool = exported(world, "trip", vdevs);
    let found = find_one(world);
    assert_eq!(found.name, pool.as_str());
    assert!(found.exported && !found.destroyed);
    assert_eq!((found.health, &found.in_use), (PoolHealth::Online, &None));
    assert!(found.missing_devices().is_empty() && found.unsupported_features.is_empty());
    assert_eq!(zfs.import_pool(&found, &options()).expect("imported"), pool);
    let status = status(world, &pool);
    assert_eq!((status.guid, status.health), (found.guid, PoolHealth::Online));
    assert_eq!(status.root.leaves().count(), 4);
    assert!(zfs.exists(&pool.root().child("data").expect("a name")).expect("an answer"));
}

fn a_pool_on_disks_is_found_and_imported(world: &World) {
    let disks: Vec<PathBuf> = world.machine().disks().iter().take(2).cloned().collect();
    let pool = pool_name(world, "disks");
    let zfs = world.zfs();
    zfs.create_pool(&pool, &spec([VdevSpec::mirror(&disks)]).force()).expect("created");
    zfs.export_pool(&pool, Export::Clean).expect("exported");
    let found = find(world, &ImportSearch::new(&disks));
    let found = found.iter().find(|found| found.name == pool.as_str()).expect("found");
    zfs.import_pool(found, &options()).expect("imported");
    assert_eq!(status(world, &pool).health, PoolHealth::Online);
    zfs.destroy_pool(&pool).expect("destroyed");
}

fn a_pool_is_found_under_the_new_names_of_its_files(world: &World) {
    let files = files(world, 2);
    let pool = exported(world, "moved", vec![VdevSpec::mirror(&files)]);
    let folder = world.scratch().join("elsewhere");
    fs::create_dir(&folder).expect("a folder");
    let moved: Vec<PathBuf> = ["b", "a"].map(|name| folder.join(name)).into();
    for (old, new) in files.iter().zip(&moved) {
        fs::rename(old, new).expect("renamed");
    }
    assert!(find(world, &ImportSearch::new([world.scratch()])).is_empty());
    let found = find(world, &ImportSearch::new([&folder]));
    let found = found.first().expect("found");
    world.zfs().import_pool(found, &options()).expect("imported");
    let status = status(world, &pool);
    for path in &moved {
        device(&status, path);
    }
    assert_eq!(status.health, PoolHealth::Online);
}

fn an_imported_pool_is_not_found(world: &World) {
    make(world, "active", [VdevSpec::single(world.new_file("device", DEVICE))]);
    assert!(find(world, &ImportSearch::new([world.scratch()])).is_empty());
}

fn a_pool_is_imported_under_another_name(world: &World) {
    let old = exported(world, "old", vec![VdevSpec::single(world.new_file("device", DEVICE))]);
    let new = pool_name(world, "new");
    let options = ImportOptions { new_name: Some(new.clone()), ..options() };
    assert_eq!(world.zfs().import_pool(&find_one(world), &options).expect("imported"), new);
    assert!(!world.zfs().pool_names().expect("names").contains(&old));
    world.zfs().export_pool(&new, Export::Clean).expect("exported");
    assert_eq!(find_one(world).name, new.as_str());
}

fn a_pool_is_imported_under_a_name_for_now(world: &World) {
    let old = exported(world, "old", vec![VdevSpec::single(world.new_file("device", DEVICE))]);
    let new = pool_name(world, "now");
    let options = ImportOptions { new_name: Some(new.clone()), temporary_name: true, ..options() };
    world.zfs().import_pool(&find_one(world), &options).expect("imported");
    world.zfs().export_pool(&new, Export::Clean).expect("exported");
    assert_eq!(find_one(world).name, old.as_str());
}

fn a_pool_is_imported_below_another_root(world: &World) {
    let pool = exported(world, "alt", vec![VdevSpec::single(world.new_file("device", DEVICE))]);
    let options = ImportOptions { altroot: Some("/mnt/alt".into()), ..options() };
    world.zfs().import_pool(&find_one(world), &options).expect("imported");
    let properties = world.zfs().pool_properties(&pool).expect("properties");
    let value = |name: &str| properties.get(name).map(|property| property.value.to_string());
    assert_eq!(value("altroot").as_deref(), Some("/mnt/alt"));
}

fn a_pool_is_imported_read_only(world: &World) {
    let pool = exported(world, "ro", vec![VdevSpec::single(world.new_file("device", DEVICE))]);
    let options = ImportOptions { read_only: true, ..options() };
    world.zfs().import_pool(&find_one(world), &options).expect("imported");
    assert!(status(world, &pool).read_only);
    let child = pool.root().child("new").expect("a name");
    let error = world.zfs().create_filesystem(&child, &PropertySet::new()).expect_err("read-only");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    world.zfs().export_pool(&pool, Export::Clean).expect("exported");
}

fn a_read_only_import_leaves_the_pool_as_it_was(world: &World) {
    let zfs = world.zfs();
    let pool = exported(world, "look", vec![VdevSpec::single(world.new_file("device", DEVICE))]);
    let before = find_one(world);
    let read_only = ImportOptions { read_only: true, ..options() };
    zfs.import_pool(&before, &read_only).expect("imported");
    let error = zfs.checkpoint_pool(&pool).expect_err("nothing is written");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    zfs.export_pool(&pool, Export::Clean).expect("exported");
    let after = find_one(world);
    assert!(after.exported);
    assert_eq!((after.guid, after.txg), (before.guid, before.txg));
    zfs.import_pool(&after, &options()).expect("imported");
    assert!(zfs.exists(&pool.root().child("data").expect("a name")).expect("an answer"));
}

fn what_is_offline_stays_so_and_what_is_for_now_does_not(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 2);
    let pool = make(world, "offline", [VdevSpec::mirror(&files)]);
    let second = files.last().expect("two files");
    let guid = device(&status(world, &pool), second).guid;
    for (offline, state, health) in [
        (Offline::Temporary, VdevState::Online, PoolHealth::Online),
        (Offline::Persistent, VdevState::Offline, PoolHealth::Degraded),
    ] {
        zfs.offline_vdev(&pool, guid, offline).expect("offline");
        zfs.export_pool(&pool, Export::Clean).expect("exported");
        zfs.import_pool(&find_one(world), &options()).expect("imported");
        zfs.wait_pool(&pool, PoolActivity::Resilver).expect("waited");
        let now = status(world, &pool);
        assert_eq!((device(&now, second).state, now.health), (state, health), "{offline:?}");
    }
}

fn a_pool_of_an_older_release_is_imported(world: &World) {
    let pool = pool_name(world, "older");
    let spec = spec([VdevSpec::single(world.new_file("device", DEVICE))]);
    let spec = spec.features(Features::Compatible(Compatibility::V2_0));
    world.zfs().create_pool(&pool, &spec).expect("created");
    world.zfs().export_pool(&pool, Export::Clean).expect("exported");
    world.zfs().import_pool(&find_one(world), &options()).expect("imported");
    assert!(!status(world, &pool).features.contains_key("draid"));
}

fn a_name_that_is_taken_is_refused(world: &World) {
    let pool = exported(world, "name", vec![VdevSpec::single(world.new_file("one", DEVICE))]);
    let found = find_one(world);
    let other = world.new_pool("name", DEVICE);
    assert_eq!(pool, other);
    let error = world.zfs().import_pool(&found, &options()).expect_err("the name is taken");
    assert_eq!(error.kind(), ErrorKind::Exists);
    let expected = format!(
        "cannot import the pool '{pool}': a pool of that name is imported (EEXIST); import it under another name"
    );
    assert_eq!(error.to_string(), expected);
}

fn a_mirror_with_a_missing_side_is_imported_degraded(world: &World) {
    let files = files(world, 2);
    let pool = exported(world, "degraded", vec![VdevSpec::mirror(&files)]);
    let [kept, missing] = files.as_slice() else { panic!("two files") };
    fs::remove_file(missing).expect("removed");
    let found = find_one(world);
    assert_eq!(found.health, PoolHealth::Degraded);
    assert_eq!(found.missing_devices(), [missing.display().to_string()]);
    world.zfs().import_pool(&found, &options()).expect("imported");
    let status = status(world, &pool);
    assert_eq!(status.health, PoolHealth::Degraded);
    assert_eq!(device(&status, kept).state, VdevState::Online);
}

fn a_pool_with_a_missing_vdev_names_it(world: &World) {
    let files = files(world, 2);
    exported(world, "torn", files.iter().map(VdevSpec::single).collect());
    let missing = files.last().expect("two files");
    fs::remove_file(missing).expect("removed");
    let found = find_one(world);
    assert_eq!(found.health, PoolHealth::Unavailable);
    let error = world.zfs().import_pool(&found, &options()).expect_err("half of it is missing");
    assert_eq!(error.kind(), ErrorKind::PoolUnavailable, "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
}

fn a_pool_with_a_missing_log_takes_a_word_more(world: &World) {
    let (data, log) = (world.new_file("data", DEVICE), world.new_file("log", DEVICE));
    let pool = exported(world, "log", vec![VdevSpec::single(data), VdevSpec::single(&log).log()]);
    fs::remove_file(&log).expect("removed");
    let found = find_one(world);
    let error = world.zfs().import_pool(&found, &options()).expect_err("the log is missing");
    assert_eq!(error.kind(), ErrorKind::PoolUnavailable, "{error}");
    let options = ImportOptions { missing_log: true, ..options() };
    world.zfs().import_pool(&found, &options).expect("imported");
    assert_eq!(status(world, &pool).health, PoolHealth::Degraded);
}

fn spares_and_cache_follow_their_files(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 3);
    let [data, spare, cache] = files.as_slice() else { panic!("three files") };
    let mut spec = spec([VdevSpec::single(data)]);
    spec.topology.spares = vec![spare.clone()];
    spec.topology.cache = vec![cache.clone()];
    let pool = pool_name(world, "aux");
    zfs.create_pool(&pool, &spec).expect("created");
    zfs.export_pool(&pool, Export::Clean).expect("exported");
    let renamed = |path: &Path| {
        let new = path.with_extension("renamed");
        fs::rename(path, &new).expect("renamed");
        new
    };
    let (spare, cache) = (renamed(spare), renamed(cache));
    zfs.import_pool(&find_one(world), &options()).expect("imported");
    let status = status(world, &pool);
    let path = |vdevs: &[zfsvol_core::zfs::VdevStatus]| vdevs.first().and_then(|v| v.path.clone());
    assert_eq!(path(&status.spares), Some(spare));
    assert_eq!(path(&status.cache), Some(cache));
}

fn a_removed_vdev_leaves_a_hole(world: &World) {
    let zfs = world.zfs();
    let files = files(world, 3);
    let [first, log, last] = files.as_slice() else { panic!("three files") };
    let vdevs = [VdevSpec::single(first), VdevSpec::single(log).log(), VdevSpec::single(last)];
    let pool = make(world, "hole", vdevs);
    let guid = device(&status(world, &pool), log).guid;
    zfs.remove_vdev(&pool, guid).expect("removed");
    zfs.export_pool(&pool, Export::Clean).expect("exported");
    fs::remove_file(log).expect("removed");
    let found = find_one(world);
    assert_eq!(found.health, PoolHealth::Online, "{:?}", found.missing_devices());
    zfs.import_pool(&found, &options()).expect("imported");
    device(&status(world, &pool), last);
}

/// Overwrites the labels of a device, of its four those with these numbers.
fn damage(path: &Path, labels: &[u64]) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("opened");
    let offsets = zfsvol_core::label::offsets(DEVICE.get()).expect("large enough");
    for label in labels {
        let offset = offsets.get(usize::try_from(*label).expect("small")).expect("four labels");
        // One byte in the middle of the nvlist: the checksum does not fit any more.
        let (at, mut byte) = (offset + (16 << 10) + 200, [0]);
        file.read_exact_at(&mut byte, at).expect("read");
        file.write_all_at(&[!byte[0]], at).expect("written");
    }
}

fn a_pool_with_one_good_label_is_found(world: &World) {
    let file = world.new_file("device", DEVICE);
    let pool = exported(world, "damaged", vec![VdevSpec::single(&file)]);
    damage(&file, &[0, 1, 2]);
    let found = find_one(world);
    assert_eq!(found.name, pool.as_str());
    world.zfs().import_pool(&found, &options()).expect("imported");
    assert_eq!(status(world, &pool).health, PoolHealth::Online);
}

fn a_pool_without_good_labels_is_not_found(world: &World) {
    let file = world.new_file("device", DEVICE);
    exported(world, "lost", vec![VdevSpec::single(&file)]);
    damage(&file, &[0, 1, 2, 3]);
    assert!(find(world, &ImportSearch::new([&file])).is_empty());
}

fn a_destroyed_pool_is_found_when_asked_for(world: &World) {
    let pool = make(world, "destroyed", [VdevSpec::single(world.new_file("device", DEVICE))]);
    world.zfs().destroy_pool(&pool).expect("destroyed");
    assert!(find(world, &ImportSearch::new([world.scratch()])).is_empty());
    let found = find(world, &ImportSearch::new([world.scratch()]).destroyed());
    let found = found.first().expect("found");
    assert!(found.destroyed && !found.exported);
    let error = world.zfs().import_pool(found, &options()).expect_err("it was destroyed");
    assert_eq!(error.kind(), ErrorKind::PoolUnavailable);
    let options = ImportOptions { destroyed: true, ..options() };
    world.zfs().import_pool(found, &options).expect("imported");
    assert_eq!(status(world, &pool).health, PoolHealth::Online);
}

fn a_pool_goes_back_to_its_checkpoint(world: &World) {
    let zfs = world.zfs();
    let pool = make(world, "back", [VdevSpec::single(world.new_file("device", DEVICE))]);
    let [before, after] = ["before", "after"].map(|name| pool.root().child(name).expect("a name"));
    zfs.create_filesystem(&before, &PropertySet::new()).expect("created");
    zfs.checkpoint_pool(&pool).expect("a checkpoint");
    zfs.create_filesystem(&after, &PropertySet::new()).expect("created");
    zfs.destroy(&before).expect("destroyed");
    zfs.export_pool(&pool, Export::Clean).expect("exported");
    let options = ImportOptions { rewind: Rewind::Checkpoint, ..options() };
    zfs.import_pool(&find_one(world), &options).expect("imported");
    assert!(zfs.exists(&before).expect("an answer"));
    assert!(!zfs.exists(&after).expect("an answer"));
}

fn a_pool_without_checkpoint_cannot_go_back_to_one(world: &World) {
    exported(world, "none", vec![VdevSpec::single(world.new_file("device", DEVICE))]);
    let options = ImportOptions { rewind: Rewind::Checkpoint, ..options() };
    let error = world.zfs().import_pool(&find_one(world), &options).expect_err("no checkpoint");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

/// The identity of this host, until it is dropped: the module reads it anew each time.
struct HostId(String);

impl HostId {
    const PATH: &str = "/sys/module/spl/parameters/spl_hostid";

    fn become_host(id: u32) -> Self {
        let before = fs::read_to_string(Self::PATH).expect("a hostid");
        fs::write(Self::PATH, id.to_string()).expect("another hostid");
        Self(before)
    }
}

impl Drop for HostId {
    fn drop(&mut self) {
        let _ = fs::write(Self::PATH, self.0.trim());
    }
}

fn a_pool_of_another_host_takes_force(world: &World) {
    let zfs = world.zfs();
    let pool = {
        let _other = HostId::become_host(0x1234);
        let pool = make(world, "foreign", [VdevSpec::single(world.new_file("device", DEVICE))]);
        zfs.export_pool(&pool, Export::WithoutMark).expect("as if the host had died");
        pool
    };
    let _this = HostId::become_host(0x5678);
    let found = find_one(world);
    assert!(!found.exported);
    assert!(matches!(found.in_use, Some(HostUse::LastUsed { hostid: 0x1234, .. })), "{found:?}");
    let error = zfs.import_pool(&found, &options()).expect_err("it is another host's");
    assert_eq!(error.kind(), ErrorKind::PoolUnavailable);
    assert!(error.reason().contains("(hostid 1234) used it last"), "{error}");
    zfs.import_pool(&found, &ImportOptions { force: true, ..options() }).expect("imported");
    assert_eq!(status(world, &pool).health, PoolHealth::Online);
}

fn a_path_that_is_not_there_is_not_found(world: &World) {
    let search = ImportSearch::new([world.scratch().join("none")]);
    let error = world.zfs().importable_pools(&search).expect_err("no such folder");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn what_the_command_exports_is_imported(world: &World) {
    let pool = pool_name(world, "command");
    let file = world.new_file("device", Bytes::from_mib(256));
    let path = file.display().to_string();
    command::zpool(&["create", "-m", "none", "-o", "cachefile=none", pool.as_str(), &path]);
    command::zpool(&["export", pool.as_str()]);
    let found = find_one(world);
    world.zfs().import_pool(&found, &options()).expect("imported");
    assert_eq!(command::zpool(&["list", "-H", "-o", "health", pool.as_str()]), "ONLINE");
    world.zfs().export_pool(&pool, Export::Clean).expect("exported");
    let folder = world.scratch().display().to_string();
    command::zpool(&["import", "-N", "-d", &folder, pool.as_str()]);
    let guid = command::zpool(&["get", "-Hp", "-o", "value", "guid", pool.as_str()]);
    assert_eq!(guid, found.guid.to_string());
}
