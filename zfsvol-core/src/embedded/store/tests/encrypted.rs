//! What is encrypted: nothing of it is in the directory as plain text, and its key opens it after a restart.

use super::*;
use crate::ErrorKind;
use crate::embedded::data::DnodeBlock;
use crate::stream::SendFlags;
use crate::zfs::{
    Create, Export, ImportOptions, ImportSearch, Key, KeyChange, PoolSpec, Rewind, VdevSpec,
};

/// What is in the volumes; where they are not compressed, it is found in a file if it is there.
const SECRET: &[u8; 32] = b"It is a secret that nobody knows";

const KEY: [u8; 32] = *b"This is the key, and none other.";

fn key() -> Key {
    Key::raw(KEY)
}

/// A kernel in a directory, of which more can be seen than it shows.
fn open_kernel(directory: &Path) -> (Embedded, Zfs) {
    let kernel = builder().open(directory).unwrap();
    (kernel.clone(), Zfs::new(kernel))
}

/// The directory as it is now, for another kernel: as if this one's process were killed.
fn killed(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// How many datasets and snapshots there are whose keys are loaded; each is sealed, and its key vouches for all of it.
fn sealed(kernel: &Embedded) -> usize {
    let state = kernel.shared.read();
    let mut count = 0;
    for pool in state.pools.values() {
        for (id, dataset) in pool.datasets.iter().filter(|(_, dataset)| !dataset.inconsistent) {
            let Ok(Some(key)) = pool.data_key(dataset.dir) else { continue };
            let (name, objset) = (pool.name(id).unwrap(), &dataset.content.objset);
            assert!(objset.is_sealed(), "{name}");
            assert_eq!(objset.verify(&key), Ok(()), "{name}");
            let all = |block: &DnodeBlock| assert!(block.encryption().is_some(), "{name}");
            objset.dnodes().for_each(|_, block| all(block));
            count += 1;
        }
    }
    count
}

fn name(name: &str) -> DatasetName {
    name.parse().unwrap()
}

fn set(properties: &[(&str, &str)]) -> PropertySet {
    let mut set = PropertySet::new();
    for (name, value) in properties {
        set.set(name, *value).unwrap();
    }
    set
}

/// Blocks are stored as they are, so that what is not enciphered is found in the file.
fn secret_volume(zfs: &Zfs, volume: &DatasetName) {
    let properties = set(&[("compression", "off")]);
    let create = Create::zvol(Bytes::new(VOLUME_BYTES)).properties(&properties).key(key());
    zfs.create(volume, &create).unwrap();
}

fn put(zfs: &Zfs, volume: &DatasetName, offset: u64) {
    let device = zfs.open_zvol(volume, Access::ReadWrite, Duration::ZERO).unwrap();
    device.write_all_at(SECRET, offset).unwrap();
    device.flush().unwrap();
}

#[track_caller]
fn assert_has(zfs: &Zfs, volume: &DatasetName, offset: u64) {
    let device = zfs.open_zvol(volume, Access::Read, Duration::ZERO).unwrap();
    let mut found = [0; SECRET.len()];
    device.read_exact_at(&mut found, offset).unwrap();
    assert_eq!(&found, SECRET, "{volume} at {offset}");
}

fn raw(zfs: &Zfs, snapshot: &SnapshotName) -> Vec<u8> {
    let mut stream = Vec::new();
    let options = SendOptions::full().flags(SendFlags::RAW);
    zfs.send(snapshot, &options).unwrap().read_to_end(&mut stream).unwrap();
    stream
}

fn receive(zfs: &Zfs, to: &SnapshotName, stream: &[u8]) {
    let mut receive = zfs.receive(to, &ReceiveOptions::new()).unwrap();
    receive.write_all(stream).unwrap();
    receive.finish().unwrap();
}

/// How often something is in the file of a directory.
fn found(directory: &Path, what: &[u8]) -> usize {
    let file = std::fs::read(directory.join("zfsvol.state")).unwrap();
    file.windows(what.len()).filter(|window| *window == what).count()
}

#[test]
fn an_encrypted_volume_is_locked_when_it_is_opened_again_and_its_key_opens_it() {
    let directory = tempfile::tempdir().unwrap();
    let (volume, clone) = (name("tank/secret"), name("tank/clone"));
    let [one, two] = ["one", "two"].map(|short| volume.snapshot(short).unwrap());
    let zfs = open(directory.path());
    secret_volume(&zfs, &volume);
    put(&zfs, &volume, 16384);
    zfs.snapshot([&one], &PropertySet::new()).unwrap();
    zfs.create_clone(&clone, &one, &PropertySet::new()).unwrap();
    put(&zfs, &clone, 65536);
    put(&zfs, &volume, 100_000);
    let stream = raw(&zfs, &one);
    drop(zfs);

    let (kernel, zfs) = open_kernel(directory.path());
    let error = zfs.open_zvol(&volume, Access::Read, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotLoaded, "{error}");
    let error = zfs.send(&one, &SendOptions::full()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotLoaded, "{error}");
    assert!(raw(&zfs, &one) == stream, "the same bytes without the key");
    let error = zfs.load_key(&volume, &Key::raw([8; 32])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
    assert_eq!(sealed(&kernel), 0, "no key was loaded");
    zfs.load_key(&volume, &key()).unwrap();
    assert_eq!(sealed(&kernel), 3);
    for (volume, offset) in [(&volume, 16384), (&volume, 100_000), (&clone, 16384), (&clone, 65536)]
    {
        assert_has(&zfs, volume, offset);
    }
    assert!(raw(&zfs, &one) == stream, "the same bytes with it");
    // And on from there: written, and taken by one who has never seen it.
    put(&zfs, &volume, 200_000);
    zfs.snapshot([&two], &PropertySet::new()).unwrap();
    let other = Zfs::new(builder().build());
    receive(&other, &two, &raw(&zfs, &two));
    other.load_key(&volume, &key()).unwrap();
    for offset in [16384, 100_000, 200_000] {
        assert_has(&other, &volume, offset);
    }
}

#[test]
fn what_was_flushed_is_sealed_when_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (volume, files) = (name("tank/secret"), name("tank/files"));
    let zfs = open(directory.path());
    secret_volume(&zfs, &volume);
    zfs.create(&files, &Create::filesystem().key(key())).unwrap();
    let device = zfs.open_zvol(&volume, Access::ReadWrite, Duration::ZERO).unwrap();
    for round in 0..4 {
        let offset = round * 50_000;
        device.write_all_at(SECRET, offset).unwrap();
        device.flush().unwrap();
        let copy = killed(directory.path());
        let (kernel, zfs) = open_kernel(copy.path());
        for dataset in [&volume, &files] {
            zfs.load_key(dataset, &key()).unwrap();
        }
        assert_eq!(sealed(&kernel), 2);
        assert_has(&zfs, &volume, offset);
    }
}

#[test]
fn nothing_of_what_is_encrypted_is_written_as_plain_text() {
    let directory = tempfile::tempdir().unwrap();
    let (volume, plain) = (name("tank/secret"), name("tank/plain"));
    let zfs = open(directory.path());
    secret_volume(&zfs, &volume);
    put(&zfs, &volume, 16384);
    zfs.snapshot([&volume.snapshot("one").unwrap()], &PropertySet::new()).unwrap();
    put(&zfs, &volume, 100_000);
    assert_eq!(found(directory.path(), SECRET), 0);
    assert_eq!(found(directory.path(), &KEY), 0);
    // Bonus buffers: attributes begin with this (`SA_MAGIC`).
    let attributes = || found(directory.path(), &0x2f_505a_u32.to_ne_bytes());
    let before = attributes();
    zfs.create(&name("tank/files"), &Create::filesystem().key(key())).unwrap();
    assert_eq!(attributes(), before);
    // It would have been found.
    zfs.create_filesystem(&name("tank/readable"), &PropertySet::new()).unwrap();
    assert!(attributes() > before);
    let create = Create::zvol(Bytes::new(VOLUME_BYTES)).properties(&set(&[("compression", "off")]));
    zfs.create(&plain, &create).unwrap();
    put(&zfs, &plain, 16384);
    assert_eq!(found(directory.path(), SECRET), 1);
}

#[test]
fn another_key_and_another_root_are_there_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let (root, volume) = (name("tank/root"), name("tank/root/v"));
    let (none, passphrase) = (PropertySet::new(), Key::passphrase("correct horse").unwrap());
    let few = set(&[("pbkdf2iters", "100000")]);
    let zfs = open(directory.path());
    zfs.create(&root, &Create::filesystem().key(key())).unwrap();
    let suite = set(&[("encryption", "aes-192-ccm"), ("compression", "off")]);
    let create = Create::zvol(Bytes::new(VOLUME_BYTES)).properties(&suite).key(key());
    zfs.create(&volume, &create).unwrap();
    put(&zfs, &volume, 0);
    zfs.change_key(&volume, &KeyChange::Inherit, &none).unwrap();
    zfs.change_key(&root, &KeyChange::New(passphrase.clone()), &few).unwrap();
    drop(zfs);
    let (kernel, zfs) = open_kernel(directory.path());
    let error = zfs.load_key(&root, &Key::passphrase("correct mouse").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
    zfs.load_key(&root, &passphrase).unwrap();
    assert_eq!(sealed(&kernel), 2);
    assert_has(&zfs, &volume, 0);
}

#[test]
fn what_a_raw_stream_brought_is_the_same_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let (volume, source) =
        (name("tank/copy"), Zfs::new(Embedded::builder().pool("tank", POOL_BYTES).build()));
    let one = name("tank/secret").snapshot("one").unwrap();
    let to = volume.snapshot("one").unwrap();
    secret_volume(&source, &one.dataset());
    for block in 0..8 {
        put(&source, &one.dataset(), block * 16384);
    }
    source.snapshot([&one], &PropertySet::new()).unwrap();
    let stream = raw(&source, &one);
    // Half of it, and the rest after a restart.
    let zfs = open(directory.path());
    let options = ReceiveOptions::new().resumable();
    let mut half = zfs.receive(&to, &options).unwrap();
    half.write_all(&stream[..stream.len() / 2]).unwrap();
    assert_eq!(half.finish().unwrap_err().kind(), ErrorKind::StreamTruncated);
    drop(zfs);
    let zfs = open(directory.path());
    let token = zfs.receive_token(&volume).unwrap().unwrap().parse().unwrap();
    let rest = source.send_resume(&token, None).unwrap();
    rest.receive_into(zfs.receive(&to, &options).unwrap()).unwrap().wait().unwrap();
    let there = raw(&zfs, &to);
    drop(zfs);
    // Nobody has had the key here.
    let (kernel, zfs) = open_kernel(directory.path());
    assert!(raw(&zfs, &to) == there, "the same bytes");
    zfs.load_key(&volume, &key()).unwrap();
    assert_eq!(sealed(&kernel), 2);
    for block in 0..8 {
        assert_has(&zfs, &volume, block * 16384);
    }
}

#[test]
fn a_checkpoint_is_locked_and_its_key_opens_it() {
    let directory = tempfile::tempdir().unwrap();
    let device = directory.path().join("device");
    std::fs::File::create(&device).unwrap().set_len(128 << 20).unwrap();
    let state = directory.path().join("state");
    let (pool, volume) = ("disk".parse().unwrap(), name("disk/secret"));
    let zfs = open(&state);
    zfs.create_pool(&pool, &PoolSpec::new([VdevSpec::single(&device)])).unwrap();
    secret_volume(&zfs, &volume);
    let open_device = zfs.open_zvol(&volume, Access::ReadWrite, Duration::ZERO).unwrap();
    // It is not flushed.
    open_device.write_all_at(SECRET, 16384).unwrap();
    zfs.checkpoint_pool(&pool).unwrap();
    open_device.write_all_at(&[0; 16384], 16384).unwrap();
    drop(open_device);
    zfs.export_pool(&pool, Export::Clean).unwrap();
    drop(zfs);
    let (kernel, zfs) = open_kernel(&state);
    let found = zfs.importable_pools(&ImportSearch::new([directory.path()])).unwrap();
    let options = ImportOptions { rewind: Rewind::Checkpoint, ..ImportOptions::default() };
    zfs.import_pool(&found[0], &options).unwrap();
    let error = zfs.open_zvol(&volume, Access::Read, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyNotLoaded, "{error}");
    zfs.load_key(&volume, &key()).unwrap();
    assert_eq!(sealed(&kernel), 1);
    assert_has(&zfs, &volume, 16384);
}

/// Loads or unloads every key there is.
fn turn_keys(zfs: &Zfs, turn: impl Fn(&DatasetName) -> crate::Result<()>) {
    let kinds = DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME;
    for dataset in &zfs.list_all(&List::all_pools().types(kinds)).unwrap() {
        // What has no key of its own refuses.
        let _ = turn(&dataset.name.as_str().parse().unwrap());
    }
}

/// Every raw stream of what is encrypted, which needs no key.
fn raw_picture(zfs: &Zfs) -> String {
    let mut picture = String::new();
    for dataset in &zfs.list_all(&List::all_pools().types(DatasetTypes::SNAPSHOT)).unwrap() {
        let stream = raw(zfs, &dataset.name.as_str().parse().unwrap());
        writeln!(picture, "{} {:x}", dataset.name, digest(&stream)).unwrap();
    }
    picture
}

#[test]
fn a_random_state_with_encrypted_datasets_is_the_same_when_its_keys_are_loaded_again() {
    let mut count = 0;
    for seed in 100..104 {
        let directory = tempfile::tempdir().unwrap();
        let model = Zfs::new(builder().build());
        let (mut kernel, mut zfs) = open_kernel(directory.path());
        for zfs in [&model, &zfs] {
            for root in ["tank/a", "tank/b"] {
                zfs.create(&name(root), &Create::filesystem().key(key())).unwrap();
            }
            secret_volume(zfs, &name("tank/v"));
        }
        for number in 0..200 {
            step(&model, seed, number);
            step(&zfs, seed, number);
            if number % 40 == 39 {
                let (before, raw_before) = (picture(&zfs), raw_picture(&zfs));
                assert_same(&picture(&model), &before, "in a directory as in memory");
                raw_picture(&model);
                drop((kernel, zfs));
                (kernel, zfs) = open_kernel(directory.path());
                let what = format!("seed {seed}, step {number}");
                assert_same(&raw_before, &raw_picture(&zfs), &what);
                turn_keys(&zfs, |name| zfs.load_key(name, &key()));
                assert_same(&before, &picture(&zfs), &what);
                // As after a restart: numbers that are drawn when a key is opened are drawn here as well.
                turn_keys(&model, |name| model.unload_key(name));
                turn_keys(&model, |name| model.load_key(name, &key()));
                picture(&model);
            }
        }
        // At the end alone, since it opens keys.
        count += sealed(&kernel);
    }
    // That there was something to be kept.
    assert!(count > 20, "{count}");
}
