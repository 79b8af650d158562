//! Receive: what it makes, what it keeps, and what it is refused for.

use std::io::Write as _;
use std::time::Duration;

use zfsvol_core::kernel::{Access, Cmd, Errno, Ioc};
use zfsvol_core::nvlist::{NvList, Value};
use zfsvol_core::property::PropertySet;
use zfsvol_core::stream::{BEGIN_RECORD_BYTES, ResumeToken, SendFlags, StreamFeatures};
use zfsvol_core::zfs::{Create, Key, ReceiveOptions, SendBase, SendOptions};
use zfsvol_core::{BusyReason, Bytes, DatasetName, Error, ErrorKind, Guid, SnapshotName};

use crate::expect::{self, receive_all, send_all};
use crate::{Case, Need, World, case, command, volume};

const SIZE: Bytes = Bytes::from_mib(4);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_changed_destination_is_refused_unless_forced),
        case(what_exists_already_is_refused),
        case(an_increment_needs_its_base_at_the_destination),
        case(a_destination_needs_a_parent_that_is_a_file_system),
        case(a_full_stream_makes_no_clone_of_the_other_kind),
        case(what_is_no_stream_is_refused_before_the_kernel_sees_it),
        case(a_stream_cut_off_anywhere_leaves_the_old_content),
        case(a_flipped_bit_anywhere_leaves_the_old_content),
        case(an_interrupted_full_receive_is_resumed),
        case(an_interrupted_increment_is_resumed),
        case(a_resumed_send_finds_what_was_renamed),
        case(an_interrupted_redacted_stream_is_resumed),
        case(what_an_interrupted_receive_keeps_can_be_thrown_away),
        case(a_saved_partial_receive_can_be_sent_on),
        case(a_running_receive_keeps_others_out),
        case(properties_are_received_set_and_excluded),
        case(a_property_that_cannot_be_set_is_told_and_the_rest_received),
        case(a_new_key_encrypts_what_was_plain),
        case(a_new_key_is_for_a_new_dataset),
        case(a_raw_increment_needs_a_raw_base),
        case(what_follows_the_stream_is_given_back),
        case(healing_repairs_nothing_where_nothing_is_damaged).needs(Need::Since(2, 2)),
        case(healing_repairs_a_damaged_block).needs(Need::Since(2, 2)).needs(Need::RealModule),
        case(healing_is_unsupported_before_2_2).needs(Need::Before(2, 2)),
        case(a_full_pool_is_no_space),
        case(zfs_receive_takes_our_stream_and_we_take_that_of_zfs_send).needs(Need::Commands),
        case(zfs_reads_the_token_we_encode).needs(Need::Commands),
    ]
}

/// A source with two snapshots, and the streams that make them.
struct Source {
    dataset: DatasetName,
    one: SnapshotName,
    two: SnapshotName,
    full: Vec<u8>,
    increment: Vec<u8>,
}

impl Source {
    fn new(world: &World) -> Self {
        Self::with(world, SIZE)
    }

    fn with(world: &World, size: Bytes) -> Self {
        let zfs = world.zfs();
        let dataset = volume::filled(world, "source", size);
        let one = volume::snapshot(zfs, &dataset, "one");
        let changed = usize::try_from(size.get() / 2).expect("it fits");
        volume::write(zfs, &dataset, 0, &volume::noise(2, changed));
        let two = volume::snapshot(zfs, &dataset, "two");
        let full = send_all(world, &one, &SendOptions::full());
        let increment = send_all(world, &two, &SendOptions::since(one.clone()));
        Self { dataset, one, two, full, increment }
    }
}

fn copy(world: &World) -> DatasetName {
    world.root().child("copy").expect("a name")
}

fn copy_at(world: &World, snapshot: &str) -> SnapshotName {
    copy(world).snapshot(snapshot).expect("a name")
}

fn refused(world: &World, to: &SnapshotName, options: &ReceiveOptions, bytes: &[u8]) -> Error {
    receive_all(world, to, options, bytes).expect_err("it is refused")
}

fn a_changed_destination_is_refused_unless_forced(world: &World) {
    let source = Source::new(world);
    let (plain, to) = (ReceiveOptions::new(), copy_at(world, "two"));
    receive_all(world, &copy_at(world, "one"), &plain, &source.full).expect("received");
    volume::write(world.zfs(), &copy(world), 0, &volume::noise(3, 4096));
    let error = refused(world, &to, &plain, &source.increment);
    assert_eq!(error.kind(), ErrorKind::DestinationModified);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot receive '{to}': the destination was changed since the snapshot the increment starts from (ETXTBSY); \
             roll it back to that snapshot, or receive with force"
        )
    );
    receive_all(world, &to, &plain.force(), &source.increment).expect("received");
    volume::assert_same(world.zfs(), &source.dataset, &copy(world));
}

fn what_exists_already_is_refused(world: &World) {
    let source = Source::new(world);
    let plain = ReceiveOptions::new();
    for (snapshot, bytes) in [("one", &source.full), ("two", &source.increment)] {
        receive_all(world, &copy_at(world, snapshot), &plain, bytes).expect("received");
    }
    let error = refused(world, &copy_at(world, "one"), &plain, &source.full);
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    let error = refused(world, &copy_at(world, "three"), &plain, &source.full);
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    let error = refused(world, &copy_at(world, "two"), &plain, &source.increment);
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    // A full stream with force replaces everything.
    receive_all(world, &copy_at(world, "three"), &plain.force(), &source.full).expect("received");
    assert!(!world.zfs().exists(&copy_at(world, "two")).expect("it can be asked"));
}

fn an_increment_needs_its_base_at_the_destination(world: &World) {
    let source = Source::new(world);
    let (plain, to) = (ReceiveOptions::new(), copy_at(world, "two"));
    let error = refused(world, &to, &plain, &source.increment);
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    volume::empty(world, "copy", SIZE);
    volume::snapshot(world.zfs(), &copy(world), "one");
    let error = refused(world, &to, &plain, &source.increment);
    assert_eq!(error.kind(), ErrorKind::BaseMissing);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot receive '{to}': the snapshot the increment starts from is not at the destination (ENODEV); \
             send an increment from one that both sides have, or a full stream"
        )
    );
}

fn a_destination_needs_a_parent_that_is_a_file_system(world: &World) {
    let source = Source::new(world);
    let plain = ReceiveOptions::new();
    let below = |path: &str| {
        world.root().child(path).and_then(|name| name.snapshot("one")).expect("a name")
    };
    let error = refused(world, &below("none/copy"), &plain, &source.full);
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let error = refused(world, &below("source/copy"), &plain, &source.full);
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    let elsewhere = "zfsvol-test-none@one".parse().expect("a name");
    let error = refused(world, &elsewhere, &plain, &source.full);
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "cannot receive 'zfsvol-test-none@one': its pool does not exist (ENOENT)"
    );
}

/// The module takes it, and the machine stops when it is looked at.
fn a_full_stream_makes_no_clone_of_the_other_kind(world: &World) {
    let files = expect::file_system(world, "files");
    let files = expect::snapshot(world, &files, "one");
    let disk = expect::zvol(world, "disk", Bytes::from_mib(8));
    let disk = expect::snapshot(world, &disk, "one");
    for (what, origin) in [(&files, &disk), (&disk, &files)] {
        let stream = send_all(world, what, &SendOptions::full());
        let options = ReceiveOptions::new().origin(origin.clone());
        let error = refused(world, &copy_at(world, "one"), &options, &stream);
        assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
        assert!(!world.zfs().exists(&copy(world)).expect("looked"));
    }
    let stream = send_all(world, &disk, &SendOptions::full());
    let options = ReceiveOptions::new().origin(disk);
    receive_all(world, &copy_at(world, "one"), &options, &stream).expect("received");
}

fn what_is_no_stream_is_refused_before_the_kernel_sees_it(world: &World) {
    let source = Source::new(world);
    let (plain, to) = (ReceiveOptions::new(), copy_at(world, "one"));
    let error = refused(world, &to, &plain, &[0; 1000]);
    assert_eq!(error.kind(), ErrorKind::StreamDamaged);
    assert_eq!(
        error.to_string(),
        format!("cannot receive '{to}': it does not begin as a send stream does")
    );
    for length in [0, 1, BEGIN_RECORD_BYTES - 1] {
        let error = refused(world, &to, &plain, &source.full[..length]);
        assert_eq!(error.kind(), ErrorKind::StreamTruncated);
        assert_eq!(
            error.to_string(),
            format!(
                "cannot receive '{to}': the stream ended after {length} of its first 312 bytes"
            )
        );
    }
    let mut package = source.full.clone();
    package[16] = package[16] & !0b11 | 0b10;
    let error = refused(world, &to, &plain, &package);
    assert_eq!(error.kind(), ErrorKind::StreamUnsupported);
    assert!(error.to_string().contains("it is a package of streams"), "{error}");
    let mut greedy = source.full.clone();
    greedy[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    let error = refused(world, &to, &plain, &greedy);
    assert_eq!(error.kind(), ErrorKind::StreamDamaged, "{error}");
    assert!(!world.zfs().exists(&copy(world)).expect("it can be asked"));
}

/// Lengths all over a stream, and some more near its beginning and its end.
fn places(length: usize, count: usize) -> impl Iterator<Item = usize> {
    let spread = (1..count)
        .map(move |index| BEGIN_RECORD_BYTES + (length - BEGIN_RECORD_BYTES) * index / count);
    let ends = [BEGIN_RECORD_BYTES, BEGIN_RECORD_BYTES + 1, 2 * BEGIN_RECORD_BYTES];
    ends.into_iter().chain(spread).chain([length - BEGIN_RECORD_BYTES, length - 1])
}

fn a_stream_cut_off_anywhere_leaves_the_old_content(world: &World) {
    let source = Source::with(world, Bytes::from_mib(1));
    let plain = ReceiveOptions::new();
    for length in places(source.full.len(), 4) {
        let error = refused(world, &copy_at(world, "one"), &plain, &source.full[..length]);
        assert_eq!(error.kind(), ErrorKind::StreamTruncated, "{length} bytes: {error}");
        assert!(!world.zfs().exists(&copy(world)).expect("it can be asked"), "{length} bytes");
    }
    receive_all(world, &copy_at(world, "one"), &plain, &source.full).expect("received");
    let before = volume::content(world.zfs(), &copy(world));
    for length in places(source.increment.len(), 8) {
        let error = refused(world, &copy_at(world, "two"), &plain, &source.increment[..length]);
        assert_eq!(error.kind(), ErrorKind::StreamTruncated, "{length} bytes: {error}");
    }
    assert!(volume::content(world.zfs(), &copy(world)) == before, "the old content changed");
    receive_all(world, &copy_at(world, "two"), &plain, &source.increment).expect("received");
    volume::assert_same(world.zfs(), &source.dataset, &copy(world));
}

fn a_flipped_bit_anywhere_leaves_the_old_content(world: &World) {
    let source = Source::with(world, Bytes::from_mib(1));
    let plain = ReceiveOptions::new();
    receive_all(world, &copy_at(world, "one"), &plain, &source.full).expect("received");
    let before = volume::content(world.zfs(), &copy(world));
    // In the first record: version and features, creation time, GUIDs, name. Then all over the stream.
    let places = [17, 19, 24, 40, 48, 60].into_iter().chain(places(source.increment.len(), 12));
    for place in places {
        let mut damaged = source.increment.clone();
        damaged[place] ^= 0x10;
        let error = refused(world, &copy_at(world, "two"), &plain, &damaged);
        let known = [
            ErrorKind::StreamDamaged,
            ErrorKind::StreamUnsupported,
            ErrorKind::StreamTruncated,
            // The flipped bit was in the GUID of the base.
            ErrorKind::BaseMissing,
        ];
        assert!(known.contains(&error.kind()), "byte {place}: {error}");
    }
    assert!(volume::content(world.zfs(), &copy(world)) == before, "the old content changed");
    receive_all(world, &copy_at(world, "two"), &plain, &source.increment).expect("received");
    volume::assert_same(world.zfs(), &source.dataset, &copy(world));
}

/// Has a receive end in the middle, and returns the token.
fn interrupt(world: &World, to: &SnapshotName, bytes: &[u8]) -> ResumeToken {
    let resumable = ReceiveOptions::new().resumable();
    let error = refused(world, to, &resumable, &bytes[..bytes.len() * 3 / 4]);
    assert_eq!(error.kind(), ErrorKind::StreamTruncated);
    assert!(error.help().is_some_and(|help| help.contains("receive_resume_token")), "{error}");
    let token = world.zfs().receive_token(&to.dataset()).expect("it can be asked");
    let token = token.expect("something is kept");
    let token: ResumeToken = token.parse().expect("a token");
    assert_eq!(token.encode().expect("packed").parse(), Ok(token.clone()));
    assert!(token.bytes > Bytes::ZERO && token.object > 0, "{token:?}");
    token
}

fn resume(world: &World, token: &ResumeToken, to: &SnapshotName) {
    let zfs = world.zfs();
    let (snapshot, options) = zfs.resume_options(token, None).expect("all of it is found");
    let whole = zfs.send_space(&snapshot, &SendOptions::full(), None).expect("an estimate");
    let rest = zfs.send_space(&snapshot, &options, None).expect("an estimate");
    assert!(rest < whole, "{rest} of {whole}");
    let receive = zfs.receive(to, &ReceiveOptions::new().resumable()).expect("a receive");
    let transfer = zfs.send_resume(token, None).expect("a send").receive_into(receive);
    let received = transfer.expect("a transfer").wait().expect("received");
    assert!(received.begin.features.contains(StreamFeatures::RESUMING));
    assert_eq!(zfs.receive_token(&to.dataset()).expect("it can be asked"), None);
}

fn an_interrupted_full_receive_is_resumed(world: &World) {
    let source = Source::new(world);
    let to = copy_at(world, "one");
    let token = interrupt(world, &to, &source.full);
    assert_eq!((&token.to_name, token.from_guid), (&source.one, None));
    resume(world, &token, &to);
    assert_eq!(volume::content(world.zfs(), &copy(world)).len() as u64, SIZE.get());
    receive_all(world, &copy_at(world, "two"), &ReceiveOptions::new(), &source.increment)
        .expect("received");
    volume::assert_same(world.zfs(), &source.dataset, &copy(world));
}

fn an_interrupted_increment_is_resumed(world: &World) {
    let source = Source::new(world);
    let (plain, to) = (ReceiveOptions::new(), copy_at(world, "two"));
    receive_all(world, &copy_at(world, "one"), &plain, &source.full).expect("received");
    let before = volume::content(world.zfs(), &copy(world));
    let token = interrupt(world, &to, &source.increment);
    assert!(token.from_guid.is_some());
    assert!(volume::content(world.zfs(), &copy(world)) == before, "nothing shows before the end");

    // Nothing but the rest of it is taken.
    let error = refused(world, &to, &plain, &source.increment);
    assert_eq!(error.kind(), ErrorKind::ResumePending);
    assert!(matches!(error.busy(), [BusyReason::ReceivePending(_)]), "{:?}", error.busy());
    assert_eq!(
        error.to_string(),
        format!(
            "cannot receive '{to}': an interrupted receive into it can be resumed (EBUSY); resume it, or abort it"
        )
    );
    resume(world, &token, &to);
    volume::assert_same(world.zfs(), &source.dataset, &copy(world));
}

fn a_resumed_send_finds_what_was_renamed(world: &World) {
    let zfs = world.zfs();
    let source = Source::new(world);
    let to = copy_at(world, "two");
    receive_all(world, &copy_at(world, "one"), &ReceiveOptions::new(), &source.full)
        .expect("received");
    let token = interrupt(world, &to, &source.increment);
    zfs.rename_snapshot(&source.two, "second", false).expect("renamed");
    let moved = world.root().child("moved").expect("a name");
    zfs.rename(&source.dataset, &moved).expect("renamed");
    let (snapshot, options) = zfs.resume_options(&token, Some(&world.root())).expect("found");
    assert_eq!(snapshot, moved.snapshot("second").expect("a name"));
    let base = SendBase::from(moved.snapshot("one").expect("a name"));
    assert_eq!(options.base(), Some(&base));
    assert_eq!(
        options,
        SendOptions::since(base).resume_at(zfsvol_core::zfs::ResumePoint {
            object: token.object,
            offset: token.offset,
            bytes: token.bytes,
        })
    );
    resume(world, &token, &to);

    let mut gone = token.clone();
    gone.to_guid = Guid::new(1);
    let error = zfs.send_resume(&gone, Some(&world.root())).expect_err("no such snapshot");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    gone = token;
    gone.from_guid = Some(Guid::new(1));
    let error = zfs.send_resume(&gone, Some(&world.root())).expect_err("no such base");
    assert_eq!(error.kind(), ErrorKind::BaseMissing);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot resume the send of '{}': what the increment starts from (GUID 1) no longer exists (ENOENT)",
            source.two
        )
    );
}

fn an_interrupted_redacted_stream_is_resumed(world: &World) {
    let zfs = world.zfs();
    let source = volume::filled(world, "source", SIZE);
    let one = volume::snapshot(zfs, &source, "one");
    let clone = world.root().child("public").expect("a name");
    zfs.create_clone(&clone, &one, &PropertySet::new()).expect("a clone");
    volume::write(zfs, &clone, 0, &[0; 1 << 20]);
    let public = volume::snapshot(zfs, &clone, "public");
    // Another one of the same snapshot, by nothing that was changed: it must not be taken for the first.
    let untouched = world.root().child("untouched").expect("a name");
    zfs.create_clone(&untouched, &one, &PropertySet::new()).expect("a clone");
    let other = volume::snapshot(zfs, &untouched, "other");
    let marks = ["by-other", "by-public"].map(|name| source.bookmark(name).expect("a name"));
    for (mark, by) in marks.iter().zip([other, public]) {
        zfs.redact(&one, mark, &[by]).expect("a redaction bookmark");
    }
    let [_, mark] = &marks;
    let redacted = send_all(world, &one, &SendOptions::full().redacted_by(mark.clone()));

    let to = copy_at(world, "one");
    let token = interrupt(world, &to, &redacted);
    assert_eq!(token.redact_snapshots.as_ref().map(Vec::len), Some(1));
    let (_, options) = zfs.resume_options(&token, None).expect("all of it is found");
    let point = zfsvol_core::zfs::ResumePoint {
        object: token.object,
        offset: token.offset,
        bytes: token.bytes,
    };
    assert_eq!(options.base(), None);
    assert_eq!(options, SendOptions::full().redacted_by(mark.clone()).resume_at(point));

    // Without its bookmark the rest would not be redacted, so it is not sent.
    let moved = source.bookmark("moved").expect("a name");
    let gone = zfs.destroy_bookmarks([mark]).and_then(|()| zfs.send_resume(&token, None).map(drop));
    let error = gone.expect_err("the bookmark is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot resume the send of '{one}': the redaction bookmark no longer exists (ENOENT)"
        )
    );
    // One by the same snapshots serves as well, whatever its name.
    let by = clone.snapshot("public").expect("a name");
    zfs.redact(&one, &moved, &[by]).expect("a redaction bookmark");
    resume(world, &token, &to);
    assert!(zfs.exists(&to).expect("asked"));
}

fn what_an_interrupted_receive_keeps_can_be_thrown_away(world: &World) {
    let zfs = world.zfs();
    let source = Source::new(world);
    let plain = ReceiveOptions::new();
    assert!(!zfs.abort_receive(&copy(world)).expect("there is nothing"));
    interrupt(world, &copy_at(world, "one"), &source.full);
    assert!(zfs.abort_receive(&copy(world)).expect("thrown away"));
    assert!(!zfs.exists(&copy(world)).expect("it can be asked"), "it was all there was");

    receive_all(world, &copy_at(world, "one"), &plain, &source.full).expect("received");
    assert!(!zfs.abort_receive(&copy(world)).expect("nothing is pending"));
    interrupt(world, &copy_at(world, "two"), &source.increment);
    assert!(zfs.abort_receive(&copy(world)).expect("thrown away"));
    assert_eq!(zfs.receive_token(&copy(world)).expect("it can be asked"), None);
    receive_all(world, &copy_at(world, "two"), &plain, &source.increment).expect("received");
    volume::assert_same(zfs, &source.dataset, &copy(world));
}

fn a_saved_partial_receive_can_be_sent_on(world: &World) {
    let zfs = world.zfs();
    let source = Source::new(world);
    let token = interrupt(world, &copy_at(world, "one"), &source.full);
    let third = world.root().child("third").expect("a name");
    let saved = zfs.send_saved(&copy(world), &SendOptions::full().flags(token.flags));
    let third_one = third.snapshot("one").expect("a name");
    let receive = zfs.receive(&third_one, &ReceiveOptions::new().resumable()).expect("a receive");
    // A saved stream has no end: whoever receives it has as much, and waits for the rest.
    let outcome = saved.expect("a send").receive_into(receive).expect("a transfer").wait();
    assert_eq!(outcome.expect_err("not all of it").kind(), ErrorKind::StreamTruncated);
    let token = zfs.receive_token(&third).expect("it can be asked").expect("something is kept");
    resume(world, &token.parse().expect("a token"), &third_one);
    let error =
        zfs.send_saved(&source.dataset, &SendOptions::full()).expect_err("nothing is saved");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

fn a_running_receive_keeps_others_out(world: &World) {
    let source = Source::new(world);
    let (plain, to) = (ReceiveOptions::new(), copy_at(world, "two"));
    receive_all(world, &copy_at(world, "one"), &plain, &source.full).expect("received");
    let mut running = world.zfs().receive(&to, &plain).expect("a receive");
    running.write_all(&source.increment[..source.increment.len() / 2]).expect("taken");
    // It has begun once the hidden clone is there that it fills.
    let hidden = copy(world).child("%recv").expect("a name");
    while !world.zfs().exists(&hidden).expect("it can be asked") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let error = refused(world, &copy_at(world, "other"), &plain, &source.increment);
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Busy, Some(Errno::EBUSY)), "{error}");
    assert_eq!(error.busy(), [BusyReason::Receiving]);
    let error = world.zfs().abort_receive(&copy(world)).expect_err("it is running");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    running.write_all(&source.increment[source.increment.len() / 2..]).expect("taken");
    running.finish().expect("received");
    volume::assert_same(world.zfs(), &source.dataset, &copy(world));
}

/// A property's value and source, as the kernel has them: `$recvd` is "received".
fn property(world: &World, dataset: &DatasetName, name: &str) -> Option<(Value, String)> {
    let mut cmd = Cmd::new(dataset.as_str());
    cmd.reply_max = 1 << 20;
    world.zfs().kernel().ioctl(Ioc::OBJSET_STATS, &mut cmd).expect("statistics");
    let stats = NvList::from_bytes(cmd.reply()).expect("a list");
    let property = stats.get_list(name)?;
    let value = property.get("value").expect("a value").clone();
    Some((value, property.get_str("source").unwrap_or_default().to_owned()))
}

fn properties_are_received_set_and_excluded(world: &World) {
    let source = Source::new(world);
    let set = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .try_fold(PropertySet::new(), |set, (name, value)| set.with(name, *value))
            .expect("properties")
    };
    let options = ReceiveOptions::new()
        .received(&set(&[
            ("compression", "zle"),
            ("com.example:from", "source"),
            ("checksum", "sha256"),
        ]))
        .set(&set(&[("readonly", "on"), ("com.example:here", "copy")]))
        .exclude("checksum");
    let received =
        receive_all(world, &copy_at(world, "one"), &options, &source.full).expect("received");
    assert!(received.property_failures.is_empty(), "{:?}", received.property_failures);
    assert!(!received.properties_not_cleared);
    const ZLE: u64 = 14;
    let of_copy = |name: &str| property(world, &copy(world), name);
    assert_eq!(of_copy("compression"), Some((ZLE.into(), "$recvd".into())));
    assert_eq!(of_copy("readonly"), Some((1_u64.into(), copy(world).to_string())));
    assert_eq!(of_copy("checksum"), None, "it is excluded");
    assert_eq!(of_copy("com.example:from"), Some(("source".into(), "$recvd".into())));
    assert_eq!(of_copy("com.example:here"), Some(("copy".into(), copy(world).to_string())));
}

fn a_property_that_cannot_be_set_is_told_and_the_rest_received(world: &World) {
    let source = Source::new(world);
    let mut properties = PropertySet::new().with("compression", "lz4").expect("a property");
    // More than the pool has.
    properties.set("reservation", Bytes::from_gib(1 << 20)).expect("a property");
    let options = ReceiveOptions::new().received(&properties);
    let received =
        receive_all(world, &copy_at(world, "one"), &options, &source.full).expect("received");
    let [failure] = received.property_failures.as_slice() else {
        panic!("one property cannot be set: {:?}", received.property_failures)
    };
    assert_eq!((failure.name.as_str(), failure.kind), ("reservation", ErrorKind::NoSpace));
    let compression = property(world, &copy(world), "compression").expect("it is set");
    assert_eq!(compression.1, "$recvd");
}

fn a_new_key_encrypts_what_was_plain(world: &World) {
    let zfs = world.zfs();
    let source = Source::new(world);
    let key = Key::raw([9; 32]);
    let options = ReceiveOptions::new().key(key.clone());
    receive_all(world, &copy_at(world, "one"), &options, &source.full).expect("received");
    receive_all(world, &copy_at(world, "two"), &ReceiveOptions::new(), &source.increment)
        .expect("received");
    volume::assert_same(zfs, &source.dataset, &copy(world));
    zfs.check_key(&copy(world), &key).expect("it is an encryption root with that key");
}

fn a_new_key_is_for_a_new_dataset(world: &World) {
    let source = Source::new(world);
    receive_all(world, &copy_at(world, "one"), &ReceiveOptions::new(), &source.full)
        .expect("received");
    let options = ReceiveOptions::new().force().key(Key::raw([9; 32]));
    for stream in [&source.full, &source.increment] {
        let error = refused(world, &copy_at(world, "two"), &options, stream);
        assert_eq!(error.kind(), ErrorKind::EncryptionMismatch, "{error}");
    }
    receive_all(world, &copy_at(world, "two"), &ReceiveOptions::new(), &source.increment)
        .expect("unharmed");
    volume::assert_same(world.zfs(), &source.dataset, &copy(world));
}

fn a_raw_increment_needs_a_raw_base(world: &World) {
    let zfs = world.zfs();
    let secret = world.root().child("secret").expect("a name");
    zfs.create(&secret, &Create::zvol(SIZE).key(Key::raw([7; 32]))).expect("an encrypted zvol");
    let one = volume::snapshot(zfs, &secret, "one");
    volume::write(zfs, &secret, 0, &volume::noise(4, 1 << 20));
    let two = volume::snapshot(zfs, &secret, "two");
    let plain = send_all(world, &one, &SendOptions::full());
    let raw = send_all(world, &two, &SendOptions::since(one).flags(SendFlags::RAW));
    receive_all(world, &copy_at(world, "one"), &ReceiveOptions::new(), &plain).expect("received");
    let error = refused(world, &copy_at(world, "two"), &ReceiveOptions::new(), &raw);
    assert_eq!(error.kind(), ErrorKind::EncryptionMismatch, "{error}");
}

fn what_follows_the_stream_is_given_back(world: &World) {
    let source = Source::new(world);
    let mut bytes = source.full.clone();
    bytes.extend_from_slice(b"and now for something else");
    let path = world.scratch().join("two things");
    std::fs::write(&path, &bytes).expect("written");
    let file = std::fs::File::open(&path).expect("opened");
    let receive =
        world.zfs().receive(&copy_at(world, "one"), &ReceiveOptions::new()).expect("a receive");
    let received = receive.read_from_fd(file).expect("a transfer").wait().expect("received");
    assert_eq!(received.excess, b"and now for something else");
    assert_eq!(received.bytes.get(), source.full.len() as u64);
}

fn healing_repairs_nothing_where_nothing_is_damaged(world: &World) {
    let source = Source::new(world);
    let plain = ReceiveOptions::new();
    receive_all(world, &copy_at(world, "one"), &plain, &source.full).expect("received");
    let heal = ReceiveOptions::new().heal();
    receive_all(world, &copy_at(world, "one"), &heal, &source.full).expect("nothing to heal");
    let error = refused(world, &copy_at(world, "none"), &heal, &source.full);
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    receive_all(world, &copy_at(world, "two"), &plain, &source.increment).expect("unharmed");
    volume::assert_same(world.zfs(), &source.dataset, &copy(world));
}

fn healing_repairs_a_damaged_block(world: &World) {
    const BLOCK: usize = 16 << 10;
    let zfs = world.zfs();
    let pool = world.new_pool("hurt", Bytes::from_mib(128));
    let zvol = pool.root().child("zvol").expect("a name");
    // Not compressed, so that its blocks can be found on disk; not cached, so that they are read from there.
    let properties = PropertySet::new()
        .with("compression", "off")
        .and_then(|set| set.with("primarycache", "none"))
        .and_then(|set| set.with("volblocksize", "16K"))
        .expect("properties");
    zfs.create_zvol(&zvol, Bytes::from_mib(1), &properties).expect("a zvol");
    let before = volume::noise(6, 1 << 20);
    volume::write(zfs, &zvol, 0, &before);
    let one = volume::snapshot(zfs, &zvol, "one");
    let bytes = send_all(world, &one, &SendOptions::full());

    let disk = world.scratch().join("hurt.pool");
    let mut image = std::fs::read(&disk).expect("the pool's file");
    let block = &before[5 * BLOCK..6 * BLOCK];
    let place = image.windows(BLOCK).position(|window| window == block).expect("on disk");
    image[place..place + BLOCK].fill(0);
    let file = std::fs::File::options().write(true).open(&disk).expect("opened");
    std::os::unix::fs::FileExt::write_all_at(&file, &image[place..place + BLOCK], place as u64)
        .expect("damaged");
    let device = zfs.kernel().host().open_block(&zvol, Access::Read, Duration::from_secs(30));
    let mut content = vec![0; BLOCK];
    let error = device.expect("a device").read_exact_at(&mut content, 5 * BLOCK as u64);
    assert_eq!(error.expect_err("it is damaged").raw_os_error(), Some(Errno::EIO.0));
    let mut damaged = zfs.send(&one, &SendOptions::full()).expect("a stream, up to there");
    let error = std::io::copy(&mut damaged, &mut std::io::sink()).expect_err("it is damaged");
    let inside = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    assert!(matches!(inside.map(Error::kind), Some(ErrorKind::Corrupt | ErrorKind::Io)), "{error}");

    receive_all(world, &one, &ReceiveOptions::new().heal(), &bytes).expect("healed");
    assert!(volume::content(zfs, &zvol) == before, "it is as it was");
}

fn healing_is_unsupported_before_2_2(world: &World) {
    let source = Source::new(world);
    receive_all(world, &copy_at(world, "one"), &ReceiveOptions::new(), &source.full)
        .expect("received");
    let heal = ReceiveOptions::new().heal();
    let error = refused(world, &copy_at(world, "one"), &heal, &source.full);
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

fn a_full_pool_is_no_space(world: &World) {
    let zfs = world.zfs();
    let dataset = volume::filled(world, "source", Bytes::from_mib(64));
    let one = volume::snapshot(zfs, &dataset, "one");
    let small = world.new_pool("small", Bytes::from_mib(64));
    let to = small.root().child("copy").and_then(|copy| copy.snapshot("one")).expect("a name");
    let receive = zfs.receive(&to, &ReceiveOptions::new()).expect("a receive");
    let transfer = zfs.send(&one, &SendOptions::full()).expect("a send").receive_into(receive);
    let error = transfer.expect("a transfer").wait().expect_err("it does not fit");
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
}

fn zfs_receive_takes_our_stream_and_we_take_that_of_zfs_send(world: &World) {
    let source = Source::new(world);
    let file = world.scratch().join("stream");
    let path = file.to_str().expect("a path of this suite");
    std::fs::write(&file, &source.full).expect("written");
    let theirs = world.root().child("theirs").expect("a name");
    command::run("sh", &["-c", "zfs receive -u \"$0\" < \"$1\"", theirs.as_str(), path]);
    let ours = theirs.snapshot("one").expect("a name");
    assert!(world.zfs().exists(&ours).expect("it can be asked"));

    let script = "zfs send -c -L \"$0\" > \"$1\"";
    command::run("sh", &["-c", script, source.two.as_str(), path]);
    let bytes = std::fs::read(&file).expect("read");
    let received = receive_all(world, &copy_at(world, "two"), &ReceiveOptions::new(), &bytes);
    assert_eq!(received.expect("received").bytes.get(), bytes.len() as u64);
    volume::assert_same(world.zfs(), &source.dataset, &copy(world));
}

fn zfs_reads_the_token_we_encode(world: &World) {
    let source = Source::new(world);
    let token = interrupt(world, &copy_at(world, "one"), &source.full);
    let text = token.encode().expect("packed");
    let said = command::zfs(&["send", "-nvt", &text]);
    assert!(said.contains(&format!("toname = {}", source.one)), "{said}");
    assert!(said.contains(&format!("bytes = {:#x}", token.bytes.get())), "{said}");
}
