//! What is received and sent again is what it was.

use super::*;

/// A stream, what it is received onto, the compression of its dataset, and the flags it was sent with.
struct Case {
    name: &'static str,
    base: &'static [&'static str],
    compression: Compression,
    flags: SendFlags,
}

fn case(name: &'static str, base: &'static [&'static str]) -> Case {
    Case { name, base, compression: Compression::OFF, flags: SendFlags::empty() }
}

impl Case {
    fn compressed(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    fn flags(self, flags: SendFlags) -> Self {
        Self { flags, ..self }
    }
}

fn cases() -> Vec<Case> {
    let gzip = Compression(13);
    let (lz4, zstd, zle, lzjb) =
        (Compression::LZ4, Compression::ZSTD, Compression::ZLE, Compression::LZJB);
    let (packed, embed) = (SendFlags::COMPRESS, SendFlags::EMBED);
    vec![
        case("full", &[]),
        case("incremental", &["full"]),
        case("incremental_of_nothing", &["full", "incremental"]),
        case("bookmark", &["full"]),
        case("clone", &["full"]),
        case("compressed_gzip", &[]).compressed(gzip).flags(packed),
        case("compressed_gzip_plain", &[]).compressed(gzip),
        case("compressed_lz4", &[]).compressed(lz4).flags(packed),
        case("compressed_lz4_plain", &[]).compressed(lz4),
        case("compressed_zstd", &[]).compressed(zstd).flags(packed),
        case("compressed_zstd_plain", &[]).compressed(zstd),
        case("compressed_zle", &[]).compressed(zle).flags(packed),
        case("compressed_zle_plain", &[]).compressed(zle),
        case("compressed_lzjb", &[]).compressed(lzjb).flags(packed),
        case("compressed_lzjb_plain", &[]).compressed(lzjb),
        case("large", &[]).flags(SendFlags::LARGE_BLOCK),
        case("huge", &[]).compressed(lz4).flags(SendFlags::LARGE_BLOCK | packed),
        case("embedded", &[]).compressed(lz4).flags(embed),
        case("embedded_compressed", &[]).compressed(lz4).flags(embed | packed),
        case("attributes", &[]),
        case("attributes_incremental", &["attributes"]),
        case("attributes_folders", &[]),
        case("dnodes", &[]),
        case("raw", &[]).flags(SendFlags::RAW),
        case("raw_incremental", &["raw"]).flags(SendFlags::RAW),
        case("volume", &[]),
        case("volume_incremental", &["volume"]),
    ]
}

/// A record, without what depends on how a block happened to be compressed: another compressor makes other bytes of it, so only what they
/// stand for can be the same. What is raw or not compressed at all stays.
fn essence(record: &Record, payload: &[u8], is_plain: bool) -> (Record, Vec<u8>) {
    let Record::Write(write) = *record else { return (*record, payload.to_vec()) };
    if write.crypt != Default::default() || is_plain && !write.object_type.is_metadata() {
        return (*record, payload.to_vec());
    }
    let (mut plain, mut write) = (payload.to_vec(), write);
    if !matches!(write.compression, Compression::NONE | Compression::OFF) {
        let length = usize::try_from(write.logical_bytes).unwrap();
        codec::decompress(write.compression, payload, length, &mut plain).unwrap();
    }
    write = Write { key: DedupKey::default(), checksum_type: 0, flags: 0, ..write };
    write = Write { compression: Compression::NONE, compressed_bytes: 0, ..write };
    (Record::Write(write), plain)
}

/// Compares two streams record by record; what is different is added to `wrong`.
fn compare(
    name: &str,
    sent: &[(Record, Vec<u8>)],
    again: &[(Record, Vec<u8>)],
    is_plain: bool,
    wrong: &mut Vec<String>,
) {
    if sent.len() != again.len() {
        wrong.push(format!("{name}: {} records, and then {}", sent.len(), again.len()));
    }
    for ((one, one_payload), (other, other_payload)) in sent.iter().zip(again) {
        let same = match (one, other) {
            // The checksum of a stream in which something else is different.
            (Record::End(one), Record::End(other)) => one.to_guid == other.to_guid,
            // A hole at the end of a file makes the file end before it, on OpenZFS as well: only raw streams say where the end is.
            (Record::Free(one), Record::Free(other)) if one.length == u64::MAX => {
                Free { offset: 0, ..*one } == Free { offset: 0, ..*other }
                    && other.offset <= one.offset
            }
            _ => essence(one, one_payload, is_plain) == essence(other, other_payload, is_plain),
        };
        if !same {
            wrong.push(format!("{name}:\n    {one}\n    {other}"));
        }
    }
}

fn policy(compression: Compression) -> Policy {
    Policy { ashift: 9, compression, ..Policy::default() }
}

/// Receives a stream onto its bases, and makes of what is then there what the same stream would be sent from.
fn received(release: &str, case: &Case) -> (Vec<u8>, Source) {
    let policy = policy(case.compression);
    let mut objset = None;
    let mut txg = 10;
    for base in case.base {
        let frames = frames(&fixture(&format!("{release}/{base}")));
        objset = Some(receive(objset.as_ref(), &frames, &mut Txn::new(txg, policy)).objset);
        txg += 10;
    }
    let stream = fixture(&format!("{release}/{}", case.name));
    let received = receive(objset.as_ref(), &frames(&stream), &mut Txn::new(txg, policy));
    let mut source = source(&received);
    if let Some(from) = &mut source.from {
        from.txg = txg - 10;
    }
    (stream, source)
}

fn source(received: &Received) -> Source {
    let begin = &received.begin;
    let (name, guid) = (begin.to_name.to_string(), begin.to_guid.get());
    let mut source = Source::new(received.objset.clone(), guid, name, begin.creation_time);
    source.key_data = received.list.get_list("crypt_keydata").cloned();
    if begin.from_guid.get() != 0 {
        let is_clone = begin.flags.contains(BeginFlags::CLONE);
        let guid = begin.from_guid.get();
        source.from = Some(Origin { guid, is_clone, ..Origin::default() });
    }
    source
}

fn send(source: &Source, options: &SendOptions) -> Vec<u8> {
    let (mut output, progress) = (Vec::new(), Progress::default());
    send::write(source, options, &mut output, &progress).unwrap();
    assert_eq!(progress.bytes(), output.len() as u64);
    assert_eq!(send::measure(source, options, &Progress::default()), Ok(output.len() as u64));
    output
}

pub(super) const RELEASES: [&str; 3] = ["2.1", "2.3", "2.4"];

#[test]
fn what_is_received_and_sent_again_is_what_it_was() {
    let mut wrong = Vec::new();
    for release in RELEASES {
        for case in cases() {
            let (stream, source) = received(release, &case);
            let again = send(&source, &SendOptions { flags: case.flags, ..SendOptions::default() });
            let name = format!("{release}/{}", case.name);
            if case.flags.contains(SendFlags::RAW) && again != stream {
                wrong.push(format!("{name} is raw, and not the same to the byte"));
            }
            let is_plain = case.compression == Compression::OFF;
            compare(&name, &frames(&stream), &frames(&again), is_plain, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where the stream goes on, and what a partial receive has saved until there. Of 2.3 alone the whole stream was kept.
#[test]
fn an_interrupted_stream_is_resumed() {
    let mut wrong = Vec::new();
    let (_, source) = received("2.3", &case("interrupted", &[]));
    let token = String::from_utf8(fixture_file("2.3/resumed.token")).unwrap();
    let token: ResumeToken = token.trim().parse().unwrap();
    let resume = Some((token.object, token.offset));
    let again = frames(&send(&source, &SendOptions { resume, ..SendOptions::default() }));
    let resumed = frames(&fixture("2.3/resumed"));
    assert_eq!(begin_list(&again), begin_list(&resumed));
    compare("resumed", &resumed, &again, true, &mut wrong);

    let stream = fixture("2.3/interrupted");
    let came = frames(&stream[..100_000]);
    let received = receive(None, &came, &mut Txn::new(10, policy(Compression::OFF)));
    let saved = frames(&fixture("2.3/saved"));
    let Record::Begin(begin) = saved[0].0 else { panic!("no begin") };
    // The records are of the dataset, and not of the snapshot that it is to become.
    let mut source = self::source(&received);
    source.begin_guid = Some(source.guid);
    source.guid = saved[1].0.to_guid().get();
    source.creation_time = begin.creation_time;
    let (mut output, progress) = (Vec::new(), Progress::default());
    let options = SendOptions { flags: SendFlags::SAVED, ..SendOptions::default() };
    send::write(&source, &options, &mut output, &progress).unwrap();
    compare("saved", &saved, &frames(&output), true, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn redactions(frames: &[(Record, Vec<u8>)]) -> Vec<Redaction> {
    let redacted = frames.iter().filter_map(|(record, _)| match record {
        Record::Redact(redact) => Some(Redaction {
            object: redact.object,
            first: redact.offset / 4096,
            count: redact.length / 4096,
            block_bytes: 4096,
        }),
        _ => None,
    });
    redacted.collect()
}

#[test]
fn what_is_redacted_is_left_out_and_sent_later() {
    let mut wrong = Vec::new();
    for release in RELEASES {
        let redacted = frames(&fixture(&format!("{release}/redacted")));
        let later = frames(&fixture(&format!("{release}/redacted_incremental")));
        let list = redactions(&redacted);
        assert_eq!(list.iter().map(|each| each.count).sum::<u64>(), 5);
        let mut txn = Txn::new(10, policy(Compression::OFF));
        let mut whole = receive(None, &redacted, &mut txn);
        for each in &list {
            let data = vec![7; usize::try_from(each.count * 4096).unwrap()];
            whole.objset.write(each.object, each.first * 4096, &data, &mut txn).unwrap();
        }
        // What the increment sends of what was left out is as old as the rest.
        for (record, payload) in &later {
            if let Record::Write(write) = record {
                if list.iter().any(|each| each.object == write.object) {
                    whole.objset.write(write.object, write.offset, payload, &mut txn).unwrap();
                }
            }
        }
        let mut first = source(&whole);
        first.redact_snapshots = whole.list.get_u64s("redact_snaps").map(<[u64]>::to_vec);
        first.redact = Some(list.clone());
        let again = frames(&send(&first, &SendOptions::default()));
        assert_eq!(begin_list(&again), begin_list(&redacted));
        compare(release, &redacted, &again, true, &mut wrong);

        let changed: Vec<_> = later
            .iter()
            .filter(|(record, _)| {
                !list.iter().any(
                    |each| matches!(record, Record::Write(write) if write.object == each.object),
                )
            })
            .cloned()
            .collect();
        let second =
            receive(Some(&whole.objset), &changed, &mut Txn::new(20, policy(Compression::OFF)));
        let mut second = source(&second);
        let from = second.from.as_mut().unwrap();
        from.txg = 10;
        from.redact_snapshots =
            begin_list(&later).get_u64s("redact_from_snaps").map(<[u64]>::to_vec);
        from.redacted = Some(list);
        let mut again = frames(&send(&second, &SendOptions::default()));
        assert_eq!(begin_list(&again), begin_list(&later));
        if release != "2.4" {
            // Releases before 2.4 forget the last block of an object.
            again.retain(|(record, _)| {
                !matches!(record, Record::Write(write) if (write.object, write.offset) == (3, 16384))
            });
        }
        compare(&format!("{release} later"), &later, &again, true, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
