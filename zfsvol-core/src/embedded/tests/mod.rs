//! Streams of real OpenZFS, received and sent on. Some have blocks that only the feature `compression` can look into.
#![cfg(feature = "compression")]

use std::fs;
use std::path::Path;

use super::data::{Objset, ObjsetType, Policy, Txn};
use super::receive::{ObjsetReceiver, ReceiverOptions};
use super::send::{self, Origin, Progress, Redaction, SendOptions, Source};
use crate::nvlist::NvList;
use crate::stream::{
    Begin, BeginFlags, Compression, DedupKey, Free, Part, Record, ResumeToken, SendFlags,
    StreamReader, Write, codec,
};

mod crypt;
mod file;
mod filesystem;
mod hostile;
mod streams;

/// The streams that OpenZFS sent, `tests/fixtures/stream`.
fn fixture(name: &str) -> Vec<u8> {
    fixture_file(&format!("{name}.zfs"))
}

fn fixture_file(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stream");
    fs::read(root.join(name)).unwrap()
}

/// The list that follows the begin record.
fn begin_list(frames: &[(Record, Vec<u8>)]) -> NvList {
    match frames[0].1.as_slice() {
        [] => NvList::new(),
        payload => NvList::from_bytes(payload).unwrap(),
    }
}

/// The records of a stream, with what follows them, as far as they go.
fn frames(stream: &[u8]) -> Vec<(Record, Vec<u8>)> {
    let mut reader = StreamReader::from_bytes(stream);
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        if frame.part == Part::Stream {
            frames.push((*frame.record, frame.payload.to_vec()));
        }
    }
    frames
}

/// A stream applied to an objset: what is then there, what the stream said of itself and in the list behind it.
struct Received {
    objset: Objset,
    begin: Begin,
    list: NvList,
}

fn receive(objset: Option<&Objset>, frames: &[(Record, Vec<u8>)], txn: &mut Txn) -> Received {
    let Record::Begin(begin) = frames[0].0 else { panic!("no begin") };
    let new = || Objset::empty(ObjsetType::from_number(begin.objset_type).unwrap());
    let mut objset = objset.cloned().unwrap_or_else(new);
    let mut receiver = ObjsetReceiver::new(ReceiverOptions::of(&begin, false));
    for (record, payload) in &frames[1..] {
        if !matches!(record, Record::End(_)) {
            let applied = receiver.apply(&mut objset, record, payload, txn);
            applied.unwrap_or_else(|error| panic!("{record}: {error}"));
        }
    }
    Received { objset, begin, list: begin_list(frames) }
}
