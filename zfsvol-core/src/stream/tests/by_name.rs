//! Records as lists of their fields: read, changed and written again.

use super::*;
use crate::nvlist::{NvList, Value, from_nvlist, to_nvlist};

/// Every record with a different number in each field.
fn all_kinds() -> Vec<Record> {
    let mut bytes: [u8; RECORD_BYTES] =
        std::array::from_fn(|at| u8::try_from(at % 251).unwrap() + 1);
    // The name in a begin record ends somewhere.
    bytes[200] = 0;
    RecordType::ALL
        .map(|kind| {
            bytes[..4].copy_from_slice(&kind.number().to_le_bytes());
            Header::from_bytes(bytes, ByteOrder::Little).record().unwrap()
        })
        .to_vec()
}

fn read(list: &NvList) -> Result<Record, String> {
    from_nvlist(list).map_err(|error| error.to_string())
}

fn fields(record: &Record) -> NvList {
    to_nvlist(record).unwrap()
}

fn write_with(name: &str, value: impl Into<Value>) -> Result<Record, String> {
    let mut list = fields(&Record::empty(RecordType::Write));
    list.insert(name, value);
    read(&list)
}

const WRONG: &str = "the list does not have the shape it should";

#[test]
fn every_stream_of_openzfs_is_written_from_lists_as_it_was() {
    for path in fixture_paths() {
        let stream = fs::read(&path).unwrap();
        let order = match verify_bytes(&stream).unwrap().big_endian {
            true => ByteOrder::Big,
            false => ByteOrder::Little,
        };
        let mut reader = StreamReader::from_bytes(&stream);
        let mut anew = StreamWriter::with_byte_order(Vec::new(), order);
        let mut replaced = StreamWriter::new(Vec::new());
        while let Some(frame) = reader.next_frame().unwrap() {
            let record: Record = from_nvlist(&fields(frame.record)).unwrap();
            assert_eq!(&record, frame.record, "{}", path.display());
            anew.write(&record, frame.payload).unwrap();
            replaced.replace_header(frame.header, &record, frame.payload).unwrap();
        }
        assert!(anew.finish().unwrap() == stream, "{}", path.display());
        assert!(replaced.finish().unwrap() == stream, "{}", path.display());
    }
}

#[test]
fn every_kind_comes_back_from_lists_and_from_json() {
    for mut record in all_kinds() {
        let list = fields(&record);
        assert_eq!(list.get_str("record"), Some(record.record_type().name()));
        // What is behind the end of a name is no part of it.
        if let Record::Begin(begin) = &mut record {
            begin.to_name = StreamName::from_bytes(begin.to_name.as_bytes()).unwrap();
        }
        assert_eq!(read(&list), Ok(record));
        let backwards: NvList =
            list.clone().into_iter().collect::<Vec<_>>().into_iter().rev().collect();
        assert_eq!(read(&backwards), Ok(record), "the kind comes last");
        if !matches!(record, Record::Begin(_)) {
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record, "{json}");
        }
        let kind = serde_json::to_value(record.record_type()).unwrap();
        assert_eq!(kind, record.record_type().name());
    }
    let begin =
        Record::Begin(Begin { to_name: StreamName::new("tank/ü@s").unwrap(), ..Begin::default() });
    let json = serde_json::to_string(&begin).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), begin, "{json}");
}

#[test]
fn what_is_behind_the_end_of_a_name_stays_with_the_name() {
    let mut bytes = *Header::new(&Record::empty(RecordType::Begin), ByteOrder::Little).as_bytes();
    bytes[56..61].copy_from_slice(b"a@b\0x");
    let header = Header::from_bytes(bytes, ByteOrder::Little);
    let record = read(&fields(&header.record().unwrap())).unwrap();
    assert_eq!(header.with(&record), header);
    let Record::Begin(begin) = record else { panic!("{record:?}") };
    let renamed = Begin { to_name: StreamName::new("c").unwrap(), ..begin };
    assert_eq!(header.with(&Record::Begin(renamed)).as_bytes()[56..61], *b"c\0\0\0\0");
}

#[test]
fn numbers_of_any_width_are_taken_if_they_fit() {
    let Ok(Record::Write(write)) = write_with("flags", 255_i64) else { panic!() };
    assert_eq!(write.flags, 255);
    assert_eq!(
        write_with("flags", 256_u64),
        Err(format!("{WRONG}: WRITE, in \"flags\": invalid value: integer `256`, expected u8"))
    );
    assert_eq!(
        write_with("offset", -1_i64),
        Err(format!("{WRONG}: WRITE, in \"offset\": invalid value: integer `-1`, expected u64"))
    );
}

#[test]
fn what_is_no_record_is_refused_with_the_name_of_the_field() {
    let mut list = fields(&Record::empty(RecordType::Write));
    list.remove("logical_bytes");
    assert_eq!(read(&list), Err(format!("{WRONG}: WRITE: missing field `logical_bytes`")));
    list.remove("record");
    assert_eq!(read(&list), Err(format!("{WRONG}: missing field `record`")));
    let error = write_with("ofset", 1_u64).unwrap_err();
    assert!(
        error.starts_with(&format!("{WRONG}: WRITE: unknown field `ofset`, expected")),
        "{error}"
    );
    let error = write_with("record", "WRIT").unwrap_err();
    assert!(
        error.starts_with(&format!("{WRONG}, in \"record\": unknown variant `WRIT`")),
        "{error}"
    );
    let error = write_with("offset", "far").unwrap_err();
    assert!(error.contains("WRITE, in \"offset\": invalid type: string \"far\""), "{error}");
    let error = write_with("offset", true).unwrap_err();
    assert!(error.contains(", in \"offset\": invalid type: boolean `true`"), "{error}");
    let mut key = NvList::new();
    key.insert("checksum", vec![1_u64, 2, 3]).insert("properties", 0_u64);
    let error = write_with("key", key).unwrap_err();
    assert!(error.contains("WRITE, in \"key\" / \"checksum\": invalid length 3"), "{error}");

    let mut list = fields(&Record::empty(RecordType::Begin));
    list.insert("to_name", "x".repeat(256));
    let error = read(&list).unwrap_err();
    assert!(error.contains("BEGIN, in \"to_name\": a name has at most 255 bytes"), "{error}");
    let mut list = fields(&Record::empty(RecordType::End));
    list.insert("checksum", "1/2/3");
    let error = read(&list).unwrap_err();
    assert!(error.contains("END, in \"checksum\": a checksum is four hexadecimal"), "{error}");
}

#[test]
fn a_name_that_is_not_utf_8_stays_as_it_is() {
    let begin =
        Begin { to_name: StreamName::from_bytes(b"caf\xe9@s").unwrap(), ..Begin::default() };
    let list = fields(&Record::Begin(begin));
    assert_eq!(list.get("to_name"), Some(&Value::String(b"caf\xe9@s".as_slice().into())));
    assert_eq!(read(&list), Ok(Record::Begin(begin)));
}

/// What a write fails with.
fn refused(writer: &mut StreamWriter<Full>, record: &Record, payload: &[u8]) -> String {
    writer.write(record, payload).unwrap_err().to_string()
}

/// An output with so much room.
struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = data.len().min(self.0);
        self.0 -= count;
        if count == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_refuses_what_no_reader_would_take_and_goes_on() {
    let mut writer = StreamWriter::new(Full(RECORD_BYTES * 2 + 100));
    let mut begin = Begin { magic: 0, ..Begin::default() };
    begin.set_version(HeaderType::Substream, StreamFeatures::empty());
    let free = Record::empty(RecordType::Free);
    assert!(refused(&mut writer, &free, &[]).contains("expected BEGIN, found FREE"));
    let error = refused(&mut writer, &Record::Begin(begin), &[]);
    assert!(error.contains("expected 2f5bacbac, found 0"), "{error}");
    begin.magic = STREAM_MAGIC;
    writer.write(&Record::Begin(begin), &[]).unwrap();
    let long = 17 << 20;
    let block = Record::Write(Write { logical_bytes: long, ..Write::default() });
    let error = refused(&mut writer, &block, &[0; 17 << 20]);
    assert!(error.contains("expected at most 16 MiB, in words of 4, found 17825792"), "{error}");
    let block = Record::Write(Write { logical_bytes: 512, ..Write::default() });
    let error = refused(&mut writer, &block, &[0; 500]);
    assert!(error.contains("record 1 (WRITE), byte 312: impossible length"), "{error}");
    let error = refused(&mut writer, &block, &[0; 512]);
    assert!(error.starts_with("the stream stops at record 1"), "{error}");
    let error = refused(&mut writer, &free, &[]);
    assert!(error.contains("a record before could not be written"), "{error}");
    assert!(writer.finish().is_err());
}
