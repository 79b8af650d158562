//! Damage anywhere in a stream is found.

use super::*;

/// Small streams of each shape: by itself, in a package, with large and with encrypted payloads.
const SMALL: [&str; 5] = [
    "2.3/incremental_of_nothing",
    "2.3/package_many",
    "2.3/raw_incremental",
    "2.3/volume_incremental",
    "2.3/redacted_incremental",
];

#[test]
fn every_byte_that_is_changed_is_found() {
    for name in SMALL {
        let stream = fixture(name);
        for stream in [swapped(&stream), stream] {
            let mut damaged = stream.clone();
            for at in 0..stream.len() {
                // One bit in every byte of a long stream, another one in each; every bit in short ones.
                let bits = if stream.len() < 8000 { 0..8 } else { at % 8..at % 8 + 1 };
                for bit in bits {
                    damaged[at] ^= 1 << bit;
                    let error =
                        verify_bytes(&damaged).expect_err(&format!("{name} byte {at} bit {bit}"));
                    assert!(error.is_damage() && !error.to_string().is_empty());
                    assert!(error.offset() <= stream.len() as u64);
                    damaged[at] ^= 1 << bit;
                }
            }
        }
    }
}

/// Where the records of this kind begin.
fn places(stream: &[u8], kind: RecordType) -> Vec<usize> {
    let mut reader = StreamReader::from_bytes(stream);
    let mut places = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        if frame.record.record_type() == kind {
            places.push(usize::try_from(frame.offset).unwrap());
        }
    }
    places
}

/// The list in the documentation of [`verify()`]: exactly these bytes are known to be damaged only because they must be zero.
#[test]
fn all_bytes_are_under_a_checksum_but_those_that_are_listed() {
    for name in SMALL {
        let stream = fixture(name);
        let ends = places(&stream, RecordType::End);
        let mut listed = Vec::new();
        if let ([first, .., last], true) = (ends.as_slice(), name.contains("package")) {
            for end in [first, last] {
                listed.extend((4..8).chain(40..280).map(|byte| end + byte));
            }
        }
        let mut damaged = stream.clone();
        let mut found = Vec::new();
        for at in 0..stream.len() {
            damaged[at] ^= 1;
            let error = verify_bytes(&damaged).unwrap_err();
            if let Problem::NotZero { byte } = error.problem() {
                assert_eq!(usize::try_from(error.offset()).unwrap() + byte, at);
                found.push(at);
            }
            damaged[at] ^= 1;
        }
        assert_eq!(found, listed, "{name}");
    }
}

/// As the documentation of [`verify()`] says.
#[test]
fn a_stream_missing_as_a_whole_from_a_package_is_not_missed() {
    let stream = fixture("2.3/package_many");
    let (begins, ends) = (places(&stream, RecordType::Begin), places(&stream, RecordType::End));
    let without = [&stream[..begins[1]], &stream[ends[1] + RECORD_BYTES..]].concat();
    let (less, whole) = (verify_bytes(&without).unwrap(), verify_bytes(&stream).unwrap());
    assert_eq!(less.streams + 1, whole.streams);
}

#[test]
fn every_length_that_is_cut_off_is_found() {
    for name in SMALL {
        let stream = fixture(name);
        // All that is there is sound, so it is the one verifier that goes on; whoever stops here is told.
        let mut verifier = Verifier::new();
        for at in 0..stream.len() {
            let error = verifier.clone().finish().expect_err(&format!("{name} {at}"));
            assert!(
                matches!(error.problem(), Problem::Truncated { .. } | Problem::NoEnd),
                "{name} {at}: {error}"
            );
            verifier.feed(&stream[at..=at]).unwrap();
        }
        verifier.finish().unwrap();
        for at in (0..stream.len()).step_by(97) {
            let mut reader = StreamReader::from_bytes(&stream[..at]);
            let error = loop {
                match reader.next_frame() {
                    Ok(frame) => assert!(frame.is_some(), "{name} {at}"),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error.problem(), Problem::Truncated { .. } | Problem::NoEnd));
            assert_eq!(error.to_string(), verify(&stream[..at]).unwrap_err().to_string());
        }
    }
}

#[test]
fn what_follows_the_end_is_found() {
    for name in SMALL {
        let mut stream = fixture(name);
        let end = stream.len() as u64;
        stream.push(0);
        let error = verify_bytes(&stream).unwrap_err();
        assert!(matches!(error.problem(), Problem::TrailingData));
        assert_eq!(error.offset(), end);
    }
}

/// Records left out, doubled or exchanged, with the checksums made right again: the order itself is wrong.
fn rewritten(
    name: &str,
    change: impl Fn(&mut Vec<(Header, Vec<u8>)>),
) -> Result<Summary, StreamError> {
    verify_bytes(&changed(name, change))
}

fn changed(name: &str, change: impl Fn(&mut Vec<(Header, Vec<u8>)>)) -> Vec<u8> {
    let stream = fixture(name);
    let mut frames = Vec::new();
    let mut reader = StreamReader::from_bytes(&stream);
    while let Some(frame) = reader.next_frame().unwrap() {
        frames.push((*frame.header, frame.payload.to_vec()));
    }
    change(&mut frames);
    let mut output = Vec::new();
    let mut sum = Fletcher4::new(ByteOrder::Little);
    for (mut header, payload) in frames {
        let sealed = !header.checksum().is_zero();
        match header.record() {
            Some(Record::Begin(_)) => {
                sum.reset();
                sum.update(header.as_bytes());
            }
            Some(Record::End(end)) => {
                header = header.with(&Record::End(End { checksum: sum.value(), ..end }));
                machine::seal(&mut sum, &mut header, sealed);
                sum.reset();
            }
            _ => machine::seal(&mut sum, &mut header, sealed),
        }
        sum.update(&payload);
        output.extend(header.as_bytes());
        output.extend(payload);
    }
    output
}

/// Only the end has a checksum then, of all.
#[test]
fn every_byte_that_is_changed_in_a_stream_of_before_2014_is_found() {
    let stream = changed("2.3/volume_incremental", |frames| {
        frames[1..].iter_mut().for_each(|(header, _)| header.set_checksum(Checksum::ZERO));
    });
    verify_bytes(&stream).unwrap();
    let mut damaged = stream.clone();
    for at in 0..stream.len() {
        damaged[at] ^= 1 << (at % 8);
        let error = verify_bytes(&damaged).expect_err(&format!("byte {at}"));
        assert!(error.is_damage());
        damaged[at] ^= 1 << (at % 8);
    }
}

fn text_of(result: Result<Summary, StreamError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn records_out_of_order_are_found() {
    let name = "2.3/volume_incremental";
    rewritten(name, |_| {}).unwrap();
    let error = text_of(rewritten(name, |frames| frames.insert(3, frames[0].clone())));
    assert!(error.contains("at record 3 (BEGIN), byte "), "{error}");
    assert!(
        error.ends_with(
            "out of order: expected a record inside the stream, or its END, found BEGIN"
        )
    );
    let error = text_of(rewritten(name, |frames| drop(frames.remove(0))));
    assert!(error.contains(", byte 0: it does not begin as a stream does"), "{error}");
    let writes = |frames: &[(Header, Vec<u8>)]| -> Vec<usize> {
        let is_write = |at: &usize| matches!(frames[*at].0.record(), Some(Record::Write(_)));
        (0..frames.len()).filter(is_write).collect()
    };
    let error = text_of(rewritten(name, |frames| {
        let writes = writes(frames);
        frames.swap(writes[0], *writes.last().unwrap());
    }));
    assert!(error.contains("out of order: expected a block behind object"), "{error}");
    let error = text_of(rewritten("2.3/package", |frames| drop(frames.remove(1))));
    assert!(
        error.ends_with("out of order: expected the END of the package's head, found BEGIN"),
        "{error}"
    );
    let error = text_of(rewritten("2.3/package", |frames| drop(frames.pop())));
    assert!(error.ends_with("the input ends, and the stream does not"), "{error}");
}

/// Changes the fields of the first record of a kind, and makes the checksums right again.
fn with_field(name: &str, kind: RecordType, change: impl Fn(&mut Record)) -> String {
    text_of(rewritten(name, |frames| {
        let of_kind = |header: &Header| header.record().is_some_and(|r| r.record_type() == kind);
        let (header, _) = frames.iter_mut().rev().find(|(header, _)| of_kind(header)).unwrap();
        let mut record = header.record().unwrap();
        change(&mut record);
        *header = header.with(&record);
    }))
}

#[test]
fn what_openzfs_would_refuse_is_found() {
    let name = "2.3/volume_incremental";
    let error = with_field(name, RecordType::End, |record| {
        if let Record::End(end) = record {
            end.to_guid = crate::Guid::new(7);
        }
    });
    assert!(error.contains("it is of another snapshot: expected GUID "), "{error}");
    assert!(error.ends_with("found 7"), "{error}");
    let error = with_field(name, RecordType::Begin, |record| {
        if let Record::Begin(begin) = record {
            begin.set_version(HeaderType::Substream, StreamFeatures::from_bits_retain(1 << 40));
        }
    });
    assert!(error.ends_with("unknown features: 0x10000000000"), "{error}");
    let error = with_field(name, RecordType::Write, |record| {
        if let Record::Write(write) = record {
            write.logical_bytes = (16 << 20) + 512;
        }
    });
    assert!(
        error.ends_with(
            "impossible length of what follows: expected at most 16 MiB, in words of 4, found 16777728"
        ),
        "{error}"
    );
    let error = with_field("2.3/full", RecordType::Object, |record| {
        if let Record::Object(object) = record {
            object.block_bytes = 513;
        }
    });
    assert!(
        error.ends_with(
            "impossible block size: expected a multiple of 512, at most 16 MiB, found 513"
        ),
        "{error}"
    );
    let error = with_field("2.3/raw", RecordType::ObjectRange, |record| {
        if let Record::ObjectRange(range) = record {
            range.first = 3;
        }
    });
    assert!(
        error.ends_with("impossible first object: expected a multiple of 32, found 3"),
        "{error}"
    );
}

#[test]
fn what_is_no_stream_is_told_so() {
    let error = verify_bytes(&[0; 400]).unwrap_err().to_string();
    assert_eq!(
        error,
        "the stream is damaged at record 0 (BEGIN), byte 0: it does not begin as a stream does: \
         expected 2f5bacbac, found 0"
    );
    let mut stream = fixture("2.3/full");
    stream[16] |= 0b11;
    let error = verify_bytes(&stream).unwrap_err();
    assert!(matches!(error.problem(), Problem::HeaderType(3)));
    let mut stream = fixture("2.3/full");
    stream[312] = 77;
    let error = verify_bytes(&stream).unwrap_err();
    assert!(matches!(error.problem(), Problem::RecordType(77)));
    assert_eq!((error.record(), error.offset()), (1, 312));
}

#[test]
fn an_input_that_cannot_be_read_is_no_damage() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the tape is torn"))
        }
    }
    let error = verify(Broken).unwrap_err();
    assert!(!error.is_damage());
    assert_eq!(error.to_string(), "the stream stops at record 0, byte 0: the tape is torn");
    let error = StreamReader::new(Broken).next_frame().unwrap_err();
    assert!(!error.is_damage());
}
