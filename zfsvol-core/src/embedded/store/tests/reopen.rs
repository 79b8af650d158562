//! What is opened again is what was closed.

use super::*;
use crate::ErrorKind;
use crate::zfs::{Create, Export, ImportOptions, ImportSearch, Key, PoolSpec, Rewind, VdevSpec};

#[test]
fn a_random_state_is_the_same_when_it_is_opened_again() {
    let mut seen = String::new();
    for seed in 0..6 {
        let directory = tempfile::tempdir().unwrap();
        let model = Zfs::new(builder().build());
        let mut zfs = open(directory.path());
        for number in 0..240 {
            step(&model, seed, number);
            step(&zfs, seed, number);
            if number % 40 == 39 {
                let before = picture(&zfs);
                assert_same(&picture(&model), &before, "in a directory as in memory");
                drop(zfs);
                zfs = open(directory.path());
                assert_same(&before, &picture(&zfs), &format!("seed {seed}, step {number}"));
                seen.push_str(&before);
            }
        }
    }
    // That there was something to be kept.
    for part in ["origin: Some", "kind: Bookmark", "tag: \"x\"", "has ", "sent Ok"] {
        assert!(seen.contains(part), "{part}");
    }
}

#[test]
fn a_directory_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let zfs = open(directory.path());
    let error = builder().open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("another kernel has it open (EBUSY)"), "{error}");
    drop(zfs);
    open(directory.path());
}

#[test]
fn a_uri_names_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let uri = format!("embedded:{}", directory.path().join("node").display());
    let name: DatasetName = "tank/a".parse().unwrap();
    Zfs::open_uri(&uri).unwrap().create_filesystem(&name, &PropertySet::new()).unwrap();
    assert!(Zfs::open_uri(&uri).unwrap().exists(&name).unwrap());
    let error = Zfs::open_uri("embedded:/nonexistent/directory").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_pool_that_was_destroyed_is_not_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let zfs = open(directory.path());
    zfs.destroy_pool(&"tank".parse().unwrap()).unwrap();
    drop(zfs);
    assert!(open(directory.path()).pool_names().unwrap().is_empty());
}

#[test]
fn what_ends_with_the_process_is_over_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let (none, volume): (_, DatasetName) = (PropertySet::new(), "tank/v".parse().unwrap());
    let snapshot = volume.snapshot("s").unwrap();
    let locked: DatasetName = "tank/locked".parse().unwrap();
    let zfs = open(directory.path());
    zfs.create_zvol(&volume, Bytes::new(VOLUME_BYTES), &none).unwrap();
    zfs.snapshot([&volume.snapshot("kept").unwrap()], &none).unwrap();
    zfs.snapshot([&snapshot], &none).unwrap();
    zfs.create(&locked, &Create::filesystem().key(Key::raw([7; 32]))).unwrap();
    let (handle, device) =
        (zfs.handle().unwrap(), zfs.open_zvol(&volume, Access::ReadWrite, Duration::ZERO).unwrap());
    zfs.hold(&[(snapshot.clone(), "for now")], Some(&handle)).unwrap();
    zfs.hold(&[(volume.snapshot("kept").unwrap(), "for good")], None).unwrap();
    zfs.destroy_snapshots([&snapshot], Destroy::Deferred).unwrap();
    // As when the process is killed: what would be done at its end is not done.
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let zfs = open(copy.path());
    assert!(!zfs.exists(&snapshot).unwrap(), "it waited for its temporary hold to end");
    assert_eq!(zfs.holds(&volume.snapshot("kept").unwrap()).unwrap().len(), 1);
    assert_eq!(
        zfs.unload_key(&locked).unwrap_err().kind(),
        ErrorKind::KeyNotLoaded,
        "keys are unloaded"
    );
    zfs.load_key(&locked, &Key::raw([7; 32])).unwrap();
    drop((handle, device));
}

#[test]
fn what_was_written_and_not_flushed_is_durable_with_the_next_request() {
    let directory = tempfile::tempdir().unwrap();
    let copied = |name: &str| {
        let copy = directory.path().join(name);
        std::fs::create_dir(&copy).unwrap();
        for file in ["zfsvol.state", "zfsvol.lock"] {
            std::fs::copy(directory.path().join("d").join(file), copy.join(file)).unwrap();
        }
        let device =
            open(&copy).open_zvol(&"tank/v".parse().unwrap(), Access::Read, Duration::ZERO);
        let mut data = [0; 3];
        device.unwrap().read_exact_at(&mut data, 0).unwrap();
        data
    };
    let zfs = open(&directory.path().join("d"));
    let size = Bytes::new(VOLUME_BYTES);
    zfs.create_zvol(&"tank/v".parse().unwrap(), size, &PropertySet::new()).unwrap();
    let device =
        zfs.open_zvol(&"tank/v".parse().unwrap(), Access::ReadWrite, Duration::ZERO).unwrap();
    device.write_all_at(b"one", 0).unwrap();
    assert_eq!(copied("before"), [0; 3]);
    device.flush().unwrap();
    assert_eq!(&copied("flushed"), b"one");
    device.write_all_at(b"two", 0).unwrap();
    zfs.create_filesystem(&"tank/a".parse().unwrap(), &PropertySet::new()).unwrap();
    assert_eq!(&copied("request"), b"two");
    device.write_all_at(b"end", 0).unwrap();
    drop(device);
    assert_eq!(&copied("closed"), b"end");
}

#[test]
fn a_release_that_does_not_know_a_feature_is_refused() {
    use crate::embedded::Release;
    let directory = tempfile::tempdir().unwrap();
    drop(builder().release(Release::V2_4).open(directory.path()).unwrap());
    let error = builder().release(Release::V2_1).open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("which OpenZFS 2.1 does not know"), "{error}");
}

#[test]
fn the_file_is_written_anew_when_most_of_it_is_garbage() {
    let directory = tempfile::tempdir().unwrap();
    let zfs = open(directory.path());
    let volume: DatasetName = "tank/v".parse().unwrap();
    let size = Bytes::from_mib(4);
    zfs.create_zvol(&volume, size, &PropertySet::new()).unwrap();
    let device = zfs.open_zvol(&volume, Access::ReadWrite, Duration::ZERO).unwrap();
    let mut dice = Dice::new(3, 3);
    let mut data = vec![0; 1 << 20];
    for round in 0..40 {
        data.iter_mut().for_each(|byte| *byte = dice.roll(256).to_le_bytes()[0]);
        device.write_all_at(&data, (round % 4) << 20).unwrap();
        device.flush().unwrap();
        let bytes = std::fs::metadata(directory.path().join("zfsvol.state")).unwrap().len();
        assert!(bytes < 14 << 20, "{bytes}");
    }
    drop(device);
    let before = picture(&zfs);
    drop(zfs);
    assert_same(&before, &picture(&open(directory.path())), "after 40 MiB");
}

#[test]
fn exported_pools_and_checkpoints_are_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let device = directory.path().join("device");
    std::fs::File::create(&device).unwrap().set_len(128 << 20).unwrap();
    let state = directory.path().join("state");
    let (pool, none) = ("disk".parse().unwrap(), PropertySet::new());
    let [before, after]: [DatasetName; 2] =
        ["disk/before", "disk/after"].map(|name| name.parse().unwrap());
    let reopen = |zfs: Zfs| {
        let was = picture(&zfs);
        drop(zfs);
        let zfs = open(&state);
        assert_same(&was, &picture(&zfs), "opened again");
        zfs
    };
    let zfs = open(&state);
    zfs.create_pool(&pool, &PoolSpec::new([VdevSpec::single(&device)])).unwrap();
    zfs.create_filesystem(&before, &none).unwrap();
    zfs.checkpoint_pool(&pool).unwrap();
    zfs.create_filesystem(&after, &none).unwrap();
    zfs.destroy(&before).unwrap();
    let zfs = reopen(zfs);
    zfs.export_pool(&pool, Export::Clean).unwrap();
    let zfs = reopen(zfs);
    let found = zfs.importable_pools(&ImportSearch::new([directory.path()])).unwrap();
    let options = ImportOptions { rewind: Rewind::Checkpoint, ..ImportOptions::default() };
    zfs.import_pool(&found[0], &options).unwrap();
    let zfs = reopen(zfs);
    assert!(zfs.exists(&before).unwrap() && !zfs.exists(&after).unwrap());
}

#[test]
fn quotas_of_owners_are_kept_also_where_they_are_encrypted() {
    use crate::zfs::{Owner, Quota};
    let directory = tempfile::tempdir().unwrap();
    let zfs = open(directory.path());
    let closed = PropertySet::new().with("canmount", "off").unwrap();
    let (plain, secret): (DatasetName, DatasetName) =
        ("tank/plain".parse().unwrap(), "tank/secret".parse().unwrap());
    let key = Key::raw([7; 32]);
    zfs.create_filesystem(&plain, &closed).unwrap();
    zfs.create(&secret, &Create::filesystem().properties(&closed).key(key.clone())).unwrap();
    let quota = [Quota::objects(Owner::User(1000), 7)];
    for fs in [&plain, &secret] {
        zfs.set_quotas(fs, &quota).unwrap();
    }
    drop(zfs);
    let zfs = open(directory.path());
    zfs.load_key(&secret, &key).unwrap();
    for fs in [&plain, &secret] {
        let found = zfs.userspace_of(fs, Owner::User(1000)).unwrap();
        assert_eq!(found.object_quota, Some(7), "{fs}");
    }
}
