//! Arbitrary bytes as a stream: every way of reading it comes to the same, and what is sound is written again as it was.
//!
//! In zfsvol-core: `cargo +nightly fuzz run stream_reader fuzz/corpus/stream_reader ../tests/fixtures/stream/2.3 -- -max_len=40000`
//! begins with what OpenZFS sent. A wrong checksum ends most of what is tried, so each input is also tried with its
//! checksums made right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zfsvol_core::Bytes;
use zfsvol_core::nvlist::{ByteOrder, from_nvlist, to_nvlist};
use zfsvol_core::stream::{
    Changes, FileTree, Header, RECORD_BYTES, Record, StreamReader, StreamWriter, Verifier, decompress, split, verify, verify_bytes,
};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&repaired(bytes));
});

fn check(bytes: &[u8]) {
    let verdict = verify_bytes(bytes).map_err(|error| error.to_string());
    assert_eq!(verify(bytes).map_err(|error| error.to_string()), verdict);
    let mut verifier = Verifier::new();
    let _ = bytes.chunks(97).try_for_each(|piece| verifier.feed(piece));
    assert_eq!(verifier.finish().map_err(|error| error.to_string()), verdict);

    let mut reader = StreamReader::new(bytes);
    let mut writer = StreamWriter::new(Vec::new());
    let read = loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                let _ = (frame.record.to_string(), frame.package().is_ok());
                let list = to_nvlist(frame.record).expect("a record is a list");
                let named: Record = from_nvlist(&list).expect("and the list is a record");
                assert_eq!(frame.header.with(&named), *frame.header);
                writer.copy(&frame).expect("what is read can be written");
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.to_string()),
        }
    };
    assert_eq!(read, verdict.clone().map(|_| ()));
    if verdict.is_ok() {
        assert_eq!(writer.finish().expect("a sound stream has an end"), bytes);
    }
    let _ = Changes::new().add(&mut StreamReader::from_bytes(bytes));
    let mut tree = FileTree::with_limit(Bytes::from_mib(64));
    let _ = tree.apply(&mut StreamReader::from_bytes(bytes));
    let _ = tree.walk(|file| assert!(!file.path.as_os_str().is_empty()));
    let _ = decompress(&mut StreamReader::from_bytes(bytes), std::io::sink());
    let _ = split(&mut StreamReader::from_bytes(bytes), |_| Ok(std::io::sink()));
}

/// The records of the input, as far as there are any, with the checksums that are due.
fn repaired(bytes: &[u8]) -> Vec<u8> {
    let mut writer = StreamWriter::with_byte_order(Vec::new(), ByteOrder::Little);
    let mut output = Vec::new();
    let mut rest = bytes;
    while let Some((header, after)) = rest.split_first_chunk::<RECORD_BYTES>() {
        let Some(record) = Header::from_bytes(*header, ByteOrder::Little).record() else { break };
        let Some((payload, after)) =
            usize::try_from(record.payload_bytes()).ok().and_then(|length| after.split_at_checked(length))
        else {
            break;
        };
        if writer.write(&record, payload).is_err() {
            break;
        }
        rest = after;
    }
    if let Ok(stream) = writer.finish() {
        output = stream;
    }
    output
}
