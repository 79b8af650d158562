//! What OpenZFS sent is read as `zstream dump` reads it, and written again as it was.

use std::fmt::Write as _;

use super::*;
use crate::nvlist::{NvList, Value};

/// What `zstream dump -vv` prints.
fn dump(stream: &[u8]) -> String {
    let mut text = String::new();
    let mut reader = StreamReader::from_bytes(stream);
    while let Some(frame) = reader.next_frame().unwrap() {
        writeln!(text, "{}", frame.record).unwrap();
        if let Record::Begin(begin) = frame.record {
            text.push('\n');
            if begin.payload_bytes > 0 {
                print_list(&mut text, &frame.begin_list().unwrap(), 0);
            }
        } else {
            writeln!(text, "    checksum = {}", shown(frame.header)).unwrap();
        }
    }
    print_summary(&mut text, reader.progress());
    text
}

/// The checksum of a record as zstream shows it, which does not turn around that of the other byte order.
fn shown(header: &Header) -> Checksum {
    let Checksum(words) = header.checksum();
    match header.byte_order() {
        ByteOrder::Little => Checksum(words),
        ByteOrder::Big => Checksum(words.map(u64::swap_bytes)),
    }
}

/// What libnvpair's `nvlist_print` prints of the kinds of values that streams have.
fn print_list(text: &mut String, list: &NvList, depth: usize) {
    let indent = "\t".repeat(depth);
    writeln!(text, "{indent}nvlist version: 0").unwrap();
    for (name, value) in list {
        write!(text, "{indent}\t{name} = ").unwrap();
        match value {
            Value::NvList(inner) => {
                writeln!(text, "(embedded nvlist)").unwrap();
                print_list(text, inner, depth + 1);
                writeln!(text, "{indent}\t(end {name})\n").unwrap();
            }
            Value::Boolean => writeln!(text, "1").unwrap(),
            Value::Uint64(number) => writeln!(text, "0x{number:x}").unwrap(),
            Value::Int32(number) => writeln!(text, "{number}").unwrap(),
            Value::String(string) => writeln!(text, "{}", string.as_str().unwrap()).unwrap(),
            Value::Uint64Array(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(|n| format!("0x{n:x}")).collect();
                writeln!(text, "{}", numbers.join(" ")).unwrap();
            }
            Value::Uint8Array(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(|n| format!("0x{n:x}")).collect();
                writeln!(text, "{}", numbers.join(" ")).unwrap();
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn print_summary(text: &mut String, summary: &Summary) {
    use RecordType::*;
    let order = [Begin, End, Object, FreeObjects, Write, WriteByref, WriteEmbedded, Free, Spill];
    writeln!(text, "SUMMARY:").unwrap();
    for kind in order {
        let RecordCount { records, payload_bytes } = summary.count(kind);
        writeln!(text, "\tTotal DRR_{} records = {records} ({payload_bytes} bytes)", kind.name())
            .unwrap();
    }
    let (payload, records) = (summary.payload_bytes(), summary.records());
    let overhead = records * 312;
    writeln!(text, "\tTotal records = {records}").unwrap();
    writeln!(text, "\tTotal payload size = {payload} (0x{payload:x})").unwrap();
    writeln!(text, "\tTotal header overhead = {overhead} (0x{overhead:x})").unwrap();
    let length = summary.bytes;
    writeln!(text, "\tTotal stream length = {length} (0x{length:x})").unwrap();
}

#[test]
fn every_stream_of_openzfs_is_dumped_as_zstream_dumps_it() {
    for path in fixture_paths() {
        let expected = fs::read_to_string(path.with_extension("dump")).unwrap();
        let dump = dump(&fs::read(&path).unwrap());
        for (line, (ours, theirs)) in dump.lines().zip(expected.lines()).enumerate() {
            assert_eq!(ours, theirs, "{} line {}", path.display(), line + 1);
        }
        assert_eq!(dump.lines().count(), expected.lines().count(), "{}", path.display());
    }
}

#[test]
fn every_stream_of_openzfs_is_sound() {
    for path in fixture_paths() {
        let stream = fs::read(&path).unwrap();
        let summary =
            verify_bytes(&stream).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(summary.bytes, stream.len() as u64);
        assert_eq!(verify(Dribble(&stream, 0)).unwrap(), summary);
        let package = path.file_stem().unwrap().to_str().unwrap().contains("package");
        assert_eq!(summary.package.is_some(), package, "{}", path.display());
    }
}

#[test]
fn what_is_written_again_is_what_it_was() {
    for path in fixture_paths() {
        let stream = fs::read(&path).unwrap();
        let mut reader = StreamReader::new(Dribble(&stream, 0));
        let mut writer = StreamWriter::new(Vec::new());
        while let Some(frame) = reader.next_frame().unwrap() {
            writer.copy(&frame).unwrap();
        }
        assert!(writer.finish().unwrap() == stream, "{}", path.display());
    }
}

#[test]
fn records_made_anew_are_what_openzfs_made() {
    for path in fixture_paths() {
        let stream = fs::read(&path).unwrap();
        let mut reader = StreamReader::from_bytes(&stream);
        let big = verify_bytes(&stream).unwrap().big_endian;
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let mut writer = StreamWriter::with_byte_order(Vec::new(), order);
        while let Some(frame) = reader.next_frame().unwrap() {
            writer.write(frame.record, frame.payload).unwrap();
        }
        assert!(writer.finish().unwrap() == stream, "{}", path.display());
    }
}

#[test]
fn the_other_byte_order_says_the_same() {
    for path in fixture_paths() {
        let stream = fs::read(&path).unwrap();
        let swapped = swapped(&stream);
        let (ours, theirs) = (verify_bytes(&swapped).unwrap(), verify_bytes(&stream).unwrap());
        assert_ne!(ours.big_endian, theirs.big_endian);
        assert_eq!(theirs.big_endian, path.to_str().unwrap().ends_with("_swapped.zfs"));
        assert_eq!(ours.counts, theirs.counts);
        let mut one = StreamReader::from_bytes(&stream);
        let mut other = StreamReader::from_bytes(&swapped);
        while let (Some(one), Some(other)) =
            (one.next_frame().unwrap(), other.next_frame().unwrap())
        {
            match (*one.record, *other.record) {
                // What the checksums are of is not the same.
                (Record::End(one), Record::End(other)) => assert_eq!(one.to_guid, other.to_guid),
                (one, other) => assert_eq!(one, other),
            }
            assert_eq!(one.payload, other.payload);
        }
        assert_ne!(other.byte_order(), one.byte_order());
    }
}

#[test]
fn a_reader_that_stops_at_the_end_leaves_what_follows() {
    let mut input = fixture("2.3/incremental_of_nothing");
    input.extend(b"more");
    let mut reader = StreamReader::new(Dribble(&input, 0)).stop_at_end();
    while reader.next_frame().unwrap().is_some() {}
    assert_eq!(reader.into_source().into_inner().0, b"more");
}

#[test]
fn a_tee_hands_on_what_it_verifies() {
    let stream = fixture("2.3/package");
    let mut tee = Tee::new(&stream[..]);
    let mut copy = Vec::new();
    io::copy(&mut tee, &mut copy).unwrap();
    assert_eq!(tee.progress().streams, 6);
    assert!(copy == stream);
    assert_eq!(tee.finish().unwrap(), verify_bytes(&stream).unwrap());

    let mut tee = Tee::new(&stream[..stream.len() - 1]);
    let error = io::copy(&mut tee, &mut io::sink()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let inner = error.into_inner().unwrap().downcast::<StreamError>().unwrap();
    assert!(matches!(inner.problem(), Problem::Truncated { expected: 312, found: 311 }));
}
