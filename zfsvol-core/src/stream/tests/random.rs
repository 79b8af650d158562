//! Random records, random bytes, random pieces.

use proptest::prelude::*;

use super::*;
use crate::Guid;

/// Streams with records of any kind: not ones that OpenZFS would send, but ones that it would read.
fn records() -> impl Strategy<Value = Vec<(Record, Vec<u8>)>> {
    let block = proptest::collection::vec(any::<u8>(), 1..40);
    let record = (0_u64..6, any::<u64>(), any::<u32>(), block).prop_map(|(kind, a, b, bytes)| {
        let to_guid = Guid::new(7);
        let (offset, length) = (a >> 8, u64::from(b));
        let block = bytes.repeat(512);
        match kind {
            0 => {
                let count = length;
                (Record::FreeObjects(FreeObjects { first: a, count, to_guid }), Vec::new())
            }
            1 => (Record::Free(Free { object: a, offset, length, to_guid }), Vec::new()),
            2 => (Record::Redact(Redact { object: a, offset, length, to_guid }), Vec::new()),
            3 => {
                let length = block.len() as u64;
                let spill = Spill { object: a, length, to_guid, ..Spill::default() };
                (Record::Spill(spill), block)
            }
            4 => {
                let bonus = &block[..block.len().min(320)];
                let object = Object {
                    object: a,
                    object_type: ObjectType::FILE,
                    block_bytes: 512,
                    bonus_bytes: bonus.len().try_into().unwrap(),
                    to_guid,
                    ..Object::default()
                };
                (Record::Object(object), bonus.to_vec())
            }
            _ => {
                let bytes = &block[..block.len().min(112)];
                let write = WriteEmbedded {
                    object: a,
                    offset,
                    length: 512,
                    to_guid,
                    physical_bytes: bytes.len().try_into().unwrap(),
                    ..WriteEmbedded::default()
                };
                (Record::WriteEmbedded(write), bytes.to_vec())
            }
        }
    });
    proptest::collection::vec(record, 0..12)
}

fn begin() -> Begin {
    let mut begin = Begin {
        magic: STREAM_MAGIC,
        to_guid: Guid::new(7),
        to_name: StreamName::new("tank/x@y").unwrap(),
        ..Begin::default()
    };
    begin.set_version(HeaderType::Substream, StreamFeatures::EMBED_DATA);
    begin
}

fn written(records: &[(Record, Vec<u8>)], byte_order: ByteOrder) -> Vec<u8> {
    let mut writer = StreamWriter::with_byte_order(Vec::new(), byte_order);
    writer.write(&Record::Begin(begin()), &[]).unwrap();
    for (record, payload) in records {
        writer.write(record, payload).unwrap();
    }
    let end = End { to_guid: Guid::new(7), ..End::default() };
    writer.write(&Record::End(end), &[]).unwrap();
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(records in records(), big in any::<bool>()) {
        let order = if big { ByteOrder::Big } else { ByteOrder::Little };
        let stream = written(&records, order);
        let mut reader = StreamReader::new(Dribble(&stream, 5));
        let mut read = Vec::new();
        while let Some(frame) = reader.next_frame().unwrap() {
            prop_assert_eq!(frame.header.byte_order(), order);
            read.push((*frame.record, frame.payload.to_vec()));
        }
        prop_assert_eq!(read.len(), records.len() + 2);
        prop_assert_eq!(&read[1..read.len() - 1], &records[..]);
    }

    #[test]
    fn pieces_are_verified_as_the_whole(
        records in records(),
        cuts in proptest::collection::vec(any::<u16>(), 0..20),
        damage in proptest::option::of((any::<u16>(), 1_u8..)),
    ) {
        let mut stream = written(&records, ByteOrder::HOST);
        if let Some((at, change)) = damage {
            let at = usize::from(at) % stream.len();
            stream[at] ^= change;
        }
        let whole = verify_bytes(&stream).map_err(|error| error.to_string());
        prop_assert_eq!(whole.is_err(), damage.is_some());
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| usize::from(cut) % stream.len()).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut verifier = Verifier::new();
        for pair in cuts.windows(2) {
            if verifier.feed(&stream[pair[0]..pair[1]]).is_err() {
                break;
            }
        }
        prop_assert_eq!(verifier.finish().map_err(|error| error.to_string()), whole);
    }

    #[test]
    fn arbitrary_bytes_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(verify_bytes(&bytes).is_err());
        if bytes.len() >= 24 {
            bytes[..4].fill(0);
            bytes[8..16].copy_from_slice(&STREAM_MAGIC.to_le_bytes());
            prop_assert!(verify_bytes(&bytes).is_err());
        }
    }
}
