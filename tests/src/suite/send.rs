//! Send: what a stream may hold, what it starts from, and what a send is refused for.

use std::io::Read as _;

use zfsvol_core::name::EntityName;
use zfsvol_core::property::PropertySet;
use zfsvol_core::stream::{BEGIN_RECORD_BYTES, BeginFlags, BeginRecord, SendFlags, StreamFeatures};
use zfsvol_core::zfs::{Create, Destroy, Key, ReceiveOptions, SendBase, SendOptions};
use zfsvol_core::{Bytes, DatasetName, ErrorKind, SnapshotName};

use crate::{Case, World, case, volume};

const SIZE: Bytes = Bytes::from_mib(4);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_full_stream_makes_the_same_volume),
        case(an_increment_from_a_snapshot_makes_the_same_volume),
        case(an_increment_from_a_bookmark_makes_the_same_volume),
        case(an_increment_of_a_clone_starts_from_its_origin),
        case(flags_decide_what_the_stream_holds),
        case(an_encrypted_volume_is_sent_plain_only_with_its_key),
        case(a_raw_stream_needs_no_key_and_stays_encrypted),
        case(what_a_missing_name_is_refused_for),
        case(a_base_that_is_not_an_ancestor_is_refused),
        case(an_estimate_is_near_the_stream),
        case(an_estimate_from_a_bookmark_is_near_the_stream),
        case(the_kernel_tells_the_progress_of_a_send),
        case(a_redacted_stream_lacks_what_the_clone_changed),
        case(redaction_is_refused_by_kind),
        case(what_was_written_since_a_snapshot_is_told),
        case(what_a_range_of_snapshots_would_free_is_told),
    ]
}

/// A destination in the case's root.
fn copy(world: &World) -> DatasetName {
    world.root().child("copy").expect("a name")
}

/// The whole stream, and its first record.
fn stream(world: &World, snapshot: &SnapshotName, options: &SendOptions) -> (Vec<u8>, BeginRecord) {
    let mut bytes = Vec::new();
    let mut stream = world.zfs().send(snapshot, options).expect("a stream");
    stream.read_to_end(&mut bytes).expect("all of it");
    assert_eq!(stream.progress().bytes.get(), bytes.len() as u64);
    assert!(stream.progress().finished);
    let record = bytes.first_chunk::<BEGIN_RECORD_BYTES>().expect("a first record");
    let begin = BeginRecord::parse(record).expect("a first record");
    (bytes, begin)
}

/// Sends and receives on the same machine.
fn replicate(world: &World, snapshot: &SnapshotName, options: &SendOptions, to: &SnapshotName) {
    let receive = world.zfs().receive(to, &ReceiveOptions::new()).expect("a receive");
    let transfer = world.zfs().send(snapshot, options).expect("a send").receive_into(receive);
    let received = transfer.expect("a transfer").wait().expect("received");
    assert_eq!(&received.snapshot, to);
    assert!(received.property_failures.is_empty(), "{:?}", received.property_failures);
}

fn a_full_stream_makes_the_same_volume(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    let (bytes, begin) = stream(world, &one, &SendOptions::full());
    assert!(bytes.len() as u64 > SIZE.get());
    assert_eq!((begin.objset_type, begin.from_guid), (3, None));
    assert_eq!(begin.to_name, one.as_str());

    let to = copy(world).snapshot("one").expect("a name");
    let mut receive = zfs.receive(&to, &ReceiveOptions::new()).expect("a receive");
    std::io::copy(&mut bytes.as_slice(), &mut receive).expect("all of it is taken");
    let received = receive.finish().expect("received");
    assert_eq!(received.bytes.get(), bytes.len() as u64);
    assert_eq!((received.begin, received.excess), (begin, Vec::new()));
    volume::assert_same(zfs, &source, &copy(world));
}

fn an_increment_from_a_snapshot_makes_the_same_volume(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    replicate(world, &one, &SendOptions::full(), &copy(world).snapshot("one").expect("a name"));
    volume::write(zfs, &source, 1 << 20, &volume::noise(2, 1 << 20));
    let two = volume::snapshot(zfs, &source, "two");
    let increment = SendOptions::since(one);
    let (bytes, begin) = stream(world, &two, &increment);
    assert!((bytes.len() as u64) < SIZE.get() / 2, "only what changed: {}", bytes.len());
    assert!(begin.from_guid.is_some());
    replicate(world, &two, &increment, &copy(world).snapshot("two").expect("a name"));
    volume::assert_same(zfs, &source, &copy(world));
}

fn an_increment_from_a_bookmark_makes_the_same_volume(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    replicate(world, &one, &SendOptions::full(), &copy(world).snapshot("one").expect("a name"));
    let mark = source.bookmark("one").expect("a name");
    zfs.bookmark(&[(mark.clone(), EntityName::from(one.clone()))]).expect("a bookmark");
    zfs.destroy_snapshots(&[one], Destroy::Now).expect("destroyed");
    volume::write(zfs, &source, 0, &volume::noise(3, 1 << 20));
    let two = volume::snapshot(zfs, &source, "two");
    let to = copy(world).snapshot("two").expect("a name");
    replicate(world, &two, &SendOptions::since(mark), &to);
    volume::assert_same(zfs, &source, &copy(world));
}

fn an_increment_of_a_clone_starts_from_its_origin(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    let origin = copy(world).snapshot("one").expect("a name");
    replicate(world, &one, &SendOptions::full(), &origin);
    let clone = world.root().child("clone").expect("a name");
    zfs.create_clone(&clone, &one, &PropertySet::new()).expect("a clone");
    volume::write(zfs, &clone, 0, &volume::noise(4, 1 << 20));
    let changed = volume::snapshot(zfs, &clone, "changed");
    let increment = SendOptions::since(one);
    let (bytes, begin) = stream(world, &changed, &increment);
    assert!(begin.flags.contains(BeginFlags::CLONE));

    let to =
        world.root().child("clone-copy").and_then(|to| to.snapshot("changed")).expect("a name");
    let mut receive = zfs.receive(&to, &ReceiveOptions::new()).expect("a receive");
    let error = std::io::copy(&mut bytes.as_slice(), &mut receive).expect_err("no origin");
    let error = error.get_ref().and_then(|error| error.downcast_ref::<zfsvol_core::Error>());
    assert_eq!(error.map(zfsvol_core::Error::kind), Some(ErrorKind::Invalid));
    drop(receive);

    let options = ReceiveOptions::new().origin(origin);
    let mut receive = zfs.receive(&to, &options).expect("a receive");
    std::io::copy(&mut bytes.as_slice(), &mut receive).expect("all of it is taken");
    receive.finish().expect("received");
    volume::assert_same(zfs, &clone, &to.dataset());
}

fn flags_decide_what_the_stream_holds(world: &World) {
    let zfs = world.zfs();
    let properties = PropertySet::new()
        .with("compression", "lz4")
        .and_then(|set| set.with("volblocksize", "64K"))
        .expect("properties");
    let source = world.root().child("source").expect("a name");
    zfs.create_zvol(&source, SIZE, &properties).expect("a zvol");
    volume::write(zfs, &source, 0, &b"compressible ".repeat(1 << 16));
    let one = volume::snapshot(zfs, &source, "one");
    let (plain, begin) = stream(world, &one, &SendOptions::full());
    assert!(!begin.features.contains(StreamFeatures::COMPRESSED));
    let (compressed, begin) = stream(world, &one, &SendOptions::full().flags(SendFlags::COMPRESS));
    assert!(begin.features.contains(StreamFeatures::COMPRESSED));
    assert!(compressed.len() < plain.len() / 2, "{} of {}", compressed.len(), plain.len());
    let (_, begin) = stream(
        world,
        &one,
        &SendOptions::full().flags(SendFlags::EMBED | SendFlags::LARGE_BLOCK | SendFlags::COMPRESS),
    );
    assert!(begin.features.contains(StreamFeatures::EMBED_DATA | StreamFeatures::COMPRESSED));
    let (_, begin) = stream(world, &one, &SendOptions::full().flags(SendFlags::RAW));
    // Nothing is encrypted, so raw is no more than compressed with large blocks.
    assert!(begin.features.contains(StreamFeatures::COMPRESSED), "{:?}", begin.features);
}

/// An encrypted zvol with a snapshot, and its key unloaded again.
fn locked(world: &World) -> (DatasetName, SnapshotName, Key) {
    let zfs = world.zfs();
    let key = Key::raw([7; 32]);
    let source = world.root().child("secret").expect("a name");
    zfs.create(&source, &Create::zvol(SIZE).key(key.clone())).expect("an encrypted zvol");
    volume::write(zfs, &source, 0, &volume::noise(5, 1 << 20));
    let one = volume::snapshot(zfs, &source, "one");
    unload(world, &source);
    (source, one, key)
}

/// The device of a zvol can be open for a moment after it was closed.
fn unload(world: &World, root: &DatasetName) {
    for _ in 0..100 {
        match world.zfs().unload_key(root) {
            Err(error) if error.kind() == ErrorKind::Busy => {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            other => return other.expect("unloaded"),
        }
    }
    panic!("'{root}' stays busy");
}

fn an_encrypted_volume_is_sent_plain_only_with_its_key(world: &World) {
    let zfs = world.zfs();
    let (source, one, key) = locked(world);
    let error = zfs.send(&one, &SendOptions::full()).expect_err("no key");
    assert_eq!(error.kind(), ErrorKind::KeyNotLoaded);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot send '{one}': it is encrypted, and its key is not loaded (EACCES); load the key, or send it raw"
        )
    );
    zfs.load_key(&source, &key).expect("loaded");
    replicate(world, &one, &SendOptions::full(), &copy(world).snapshot("one").expect("a name"));
    volume::assert_same(zfs, &source, &copy(world));
}

fn a_raw_stream_needs_no_key_and_stays_encrypted(world: &World) {
    let zfs = world.zfs();
    let (source, one, key) = locked(world);
    let raw = SendOptions::full().flags(SendFlags::RAW);
    let (_, begin) = stream(world, &one, &raw);
    assert!(begin.features.contains(StreamFeatures::RAW));
    assert_ne!(begin.payload, Bytes::ZERO, "the wrapped keys");
    replicate(world, &one, &raw, &copy(world).snapshot("one").expect("a name"));
    for root in [&source, &copy(world)] {
        zfs.load_key(root, &key).expect("the same key");
    }
    volume::assert_same(zfs, &source, &copy(world));
}

fn what_a_missing_name_is_refused_for(world: &World) {
    let zfs = world.zfs();
    let source = volume::empty(world, "source", SIZE);
    let none = source.snapshot("none").expect("a name");
    let error = zfs.send(&none, &SendOptions::full()).expect_err("no snapshot");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), format!("cannot send '{none}': it does not exist (ENOENT)"));

    let one = volume::snapshot(zfs, &source, "one");
    for base in
        [SendBase::from(none.clone()), SendBase::from(source.bookmark("none").expect("a name"))]
    {
        let error = zfs.send(&one, &SendOptions::since(base.clone())).expect_err("no base");
        assert_eq!(error.kind(), ErrorKind::BaseMissing, "{error}");
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot send '{one}': '{}' does not exist (", base.as_str())),
            "{error}"
        );
        let error = zfs.send_space(&one, &SendOptions::since(base), None).expect_err("no base");
        assert_eq!(error.kind(), ErrorKind::BaseMissing, "{error}");
    }
}

fn a_base_that_is_not_an_ancestor_is_refused(world: &World) {
    let zfs = world.zfs();
    let source = volume::empty(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    let two = volume::snapshot(zfs, &source, "two");
    let other = volume::empty(world, "other", SIZE);
    let stranger = volume::snapshot(zfs, &other, "one");
    for (snapshot, base) in [(&one, &two), (&two, &stranger), (&one, &one)] {
        let error = zfs
            .send(snapshot, &SendOptions::since(base.clone()))
            .expect_err("not an earlier snapshot of it");
        assert_eq!(error.kind(), ErrorKind::BaseMissing, "{snapshot} since {base}: {error}");
    }
    let redacted = SendOptions::full().redacted_by(other.bookmark("b").expect("a name"));
    let error = zfs.send(&one, &redacted).expect_err("a bookmark of another dataset");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

fn an_estimate_is_near_the_stream(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    volume::write(zfs, &source, 0, &volume::noise(6, 1 << 20));
    let two = volume::snapshot(zfs, &source, "two");
    for (snapshot, options) in [
        (&one, SendOptions::full()),
        (&two, SendOptions::since(one.clone())),
        (&two, SendOptions::full().flags(SendFlags::COMPRESS | SendFlags::LARGE_BLOCK)),
    ] {
        assert_near(world, snapshot, &options);
    }
}

fn an_estimate_from_a_bookmark_is_near_the_stream(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    let mark = source.bookmark("one").expect("a name");
    zfs.bookmark(&[(mark.clone(), EntityName::from(one))]).expect("a bookmark");
    volume::write(zfs, &source, 0, &volume::noise(7, 1 << 20));
    let two = volume::snapshot(zfs, &source, "two");
    assert_near(world, &two, &SendOptions::since(mark));
}

/// An estimate may be a third off: it counts blocks, not records.
fn assert_near(world: &World, snapshot: &SnapshotName, options: &SendOptions) {
    let estimate = world.zfs().send_space(snapshot, options, None).expect("an estimate").get();
    let length = stream(world, snapshot, options).0.len() as u64;
    assert!(estimate.abs_diff(length) < length / 3, "{estimate} for {length}, {options:?}");
}

fn the_kernel_tells_the_progress_of_a_send(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    let error = zfs.send_progress(&one, 0).expect_err("nothing is sent");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Nobody reads it, so it stalls with the pipe full: 1 MiB, or 64 KiB where pipes are small.
    let stream = zfs.send(&one, &SendOptions::full()).expect("a stream");
    let found = (0..256).filter_map(|fd| zfs.send_progress(&one, fd).ok()).max_by_key(|p| p.bytes);
    let found = found.expect("one of this process's descriptors");
    assert!(found.bytes > Bytes::ZERO, "{found:?}");
    drop(stream);
    assert!((0..256).all(|fd| zfs.send_progress(&one, fd).is_err()), "it is over");
}

fn a_redacted_stream_lacks_what_the_clone_changed(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    let clone = world.root().child("public").expect("a name");
    zfs.create_clone(&clone, &one, &PropertySet::new()).expect("a clone");
    // Half of it is not for everybody.
    volume::write(zfs, &clone, 0, &vec![0; 2 << 20]);
    let public = volume::snapshot(zfs, &clone, "public");
    let mark = source.bookmark("public").expect("a name");
    zfs.redact(&one, &mark, &[public]).expect("a redaction bookmark");
    let marks = zfs.bookmarks(&source).expect("a list");
    assert_eq!(marks.iter().map(|mark| mark.redact_complete).collect::<Vec<_>>(), [Some(true)]);

    let options = SendOptions::full().redacted_by(mark);
    let (bytes, begin) = stream(world, &one, &options);
    assert!(begin.features.contains(StreamFeatures::REDACTED));
    assert!((bytes.len() as u64) < SIZE.get() * 3 / 4, "{}", bytes.len());
    let estimate = zfs.send_space(&one, &options, None).expect("an estimate").get();
    assert!(estimate < SIZE.get() * 3 / 4, "{estimate}");
    replicate(world, &one, &options, &copy(world).snapshot("one").expect("a name"));
}

fn redaction_is_refused_by_kind(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", Bytes::from_mib(1));
    let one = volume::snapshot(zfs, &source, "one");
    let clone = world.root().child("clone").expect("a name");
    zfs.create_clone(&clone, &one, &PropertySet::new()).expect("a clone");
    let two = volume::snapshot(zfs, &clone, "two");
    let mark = source.bookmark("mark").expect("a name");
    let elsewhere = clone.bookmark("mark").expect("a name");
    let none = clone.snapshot("none").expect("a name");
    let kind = |bookmark: &_, by: Option<&SnapshotName>| {
        let by: Vec<SnapshotName> = by.into_iter().cloned().collect();
        zfs.redact(&one, bookmark, &by).map_or_else(|error| Some(error.kind()), |()| None)
    };
    assert_eq!(kind(&mark, None), Some(ErrorKind::Invalid));
    assert_eq!(kind(&elsewhere, Some(&two)), Some(ErrorKind::Invalid));
    assert_eq!(kind(&mark, Some(&none)), Some(ErrorKind::NotFound));
    assert_eq!(kind(&mark, Some(&one)), Some(ErrorKind::Unrelated));
    assert_eq!(kind(&mark, Some(&two)), None);
    assert_eq!(kind(&mark, Some(&two)), Some(ErrorKind::Exists));
}

fn what_was_written_since_a_snapshot_is_told(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    volume::write(zfs, &source, 0, &volume::noise(8, 1 << 20));
    let two = volume::snapshot(zfs, &source, "two");
    let written = zfs.space_written(&two, &one.clone().into()).expect("a quantity");
    let mib = 1 << 20;
    assert!((mib..2 * mib).contains(&written.used.get()), "{written:?}");
    assert!((mib..2 * mib).contains(&written.uncompressed.get()), "{written:?}");
    let error = zfs.space_written(&one, &two.into()).expect_err("the wrong way round");
    assert_eq!(error.kind(), ErrorKind::Unrelated);
}

fn what_a_range_of_snapshots_would_free_is_told(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    volume::write(zfs, &source, 0, &volume::noise(9, 1 << 20));
    let two = volume::snapshot(zfs, &source, "two");
    volume::write(zfs, &source, 0, &volume::noise(10, 1 << 20));
    let space = zfs.snapshot_range_space(&one, &two).expect("a quantity");
    // The first MiB as it was at each of the two.
    assert!(space.used.get() >= 2 << 20, "{space:?}");
    let error = zfs.snapshot_range_space(&two, &one).expect_err("the wrong way round");
    assert_eq!(error.kind(), ErrorKind::Unrelated);
}
