//! Streams as data, with no kernel: verified, read record by record; and resume tokens.

use std::fs::File;
use std::io::Read;

use zfsvol_core::nvlist::{ByteOrder, NvList, Value};
use zfsvol_core::stream::{
    self, Frame, Part, ReadSource, Record, ResumeToken, StreamReader, Verifier,
};

use crate::answer;
use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, Slot};
use crate::io::{FromC, zfsvol_reader};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;

/// Whether a stream in memory is sound, and what it consists of: `big_endian` (boolean), `package`, `first`, `last` (nvlists, the begin records), `streams`, `bytes` (uint64), and `counts` (nvlist), by the
/// kind of record `records` and `payload_bytes`.
///
/// Every checksum is right, all records are there and in order, and nothing follows. Fails with `STREAM_DAMAGED`, `STREAM_TRUNCATED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_verify(
    stream: *const u8,
    len: usize,
    summary: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(summary)?;
        out.list(&stream::verify_bytes(caller.bytes(stream, len)?)?)?;
    })
}

/// The same of a stream that a descriptor gives, read to its end. The descriptor stays the caller's. `summary` can be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_verify_fd(
    fd: i32,
    summary: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(summary)?;
        out.list(&stream::verify(File::from(caller.descriptor(fd)?))?)?;
    })
}

/// Verifies a stream that comes in pieces, cut anywhere. By one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_verifier {
    _private: [u8; 0],
}

impl Object for zfsvol_verifier {
    type Value = Slot<Verifier>;
    const NAME: &'static str = "zfsvol_verifier";
}

/// A verifier that has seen nothing yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_verifier_new(
    verifier: *mut *mut zfsvol_verifier,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.out(verifier)?.give(Slot::new(Verifier::new()));
    })
}

/// The next piece of the stream. Fails with `STREAM_DAMAGED` at the first thing that is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_verifier_feed(
    verifier: *const zfsvol_verifier,
    data: *const u8,
    len: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let data = caller.bytes(data, len)?;
        caller.get(verifier)?.with(|verifier| verifier.feed(data))??;
    })
}

/// What has come so far, as `zfsvol_stream_verify` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_verifier_progress(
    verifier: *const zfsvol_verifier,
    summary: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(summary)?;
        caller.get(verifier)?.with(|verifier| out.list(verifier.progress()))??;
    })
}

/// The stream has come to its end: whether it is sound, as `zfsvol_stream_verify`. Uses the verifier up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_verifier_finish(
    verifier: *const zfsvol_verifier,
    summary: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(summary)?;
        out.list(&caller.get(verifier)?.take()?.finish()?)?;
    })
}

/// Frees a verifier. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_verifier_free(verifier: *mut zfsvol_verifier) {
    boundary!(or(), |caller| caller.free(verifier)?);
}

/// Reads a stream record by record, and verifies it on the way. By one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_records {
    _private: [u8; 0],
}

impl Object for zfsvol_records {
    type Value = Slot<StreamReader<ReadSource<Box<dyn Read + Send>>>>;
    const NAME: &'static str = "zfsvol_records";
}

/// Reads a stream that a callback gives. The context is released when the object is freed, or at once if this fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_records_open(
    reader: *const zfsvol_reader,
    records: *mut *mut zfsvol_records,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let reader: FromC = caller.reader(reader)?;
        let out = caller.out(records)?;
        let reader: Box<dyn Read + Send> = Box::new(reader);
        out.give(Slot::new(StreamReader::new(reader)));
    })
}

/// Reads a stream that a descriptor gives. The descriptor is duplicated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_records_open_fd(
    fd: i32,
    records: *mut *mut zfsvol_records,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(records)?;
        let reader: Box<dyn Read + Send> = Box::new(File::from(caller.descriptor(fd)?));
        out.give(Slot::new(StreamReader::new(reader)));
    })
}

/// From now on the reader stops behind the end of the stream, and leaves what follows unread, instead of taking it for damage. It reads no byte beyond the end then, so that the caller can go on from there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_records_stop_at_end(
    records: *const zfsvol_records,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(records)?.with(StreamReader::set_stop_at_end)?;
    })
}

/// The next record; NULL when all have come and the stream is sound: `index`, `offset` (uint64), `part` (string: `package_head`, `stream`, `package_end`), `kind` (string: `BEGIN`, `OBJECT`, `WRITE`, ...), `text` (string,
/// as `zstream dump` prints it), `payload_bytes` (uint64), `big_endian` (boolean), `fields` (nvlist: what it says, each field by its name), and `object` (uint64) where it is about one. With `payloads` there is what
/// `zfsvol_stream_writer_write` needs to write it again, too: `payload` (byte array; behind a `BEGIN`, if any, a list for `zfsvol_nvlist_unpack`) and `header` (byte array: the record as it is in the stream).
/// What a record says is vouched for by the checksum of the one after it.
///
/// Fails as `zfsvol_stream_verify`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_records_next(
    records: *const zfsvol_records,
    payloads: bool,
    record: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(record)?;
        let next = caller.get(records)?.with(|reader| -> Result<Option<NvList>, Fault> {
            match reader.next_frame()? {
                Some(frame) => told(&frame, payloads).map(Some),
                None => Ok(None),
            }
        })??;
        out.give_optional(next);
    })
}

/// What has come so far, as `zfsvol_stream_verify` has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_records_progress(
    records: *const zfsvol_records,
    summary: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(summary)?;
        caller.get(records)?.with(|reader| out.list(reader.progress()))??;
    })
}

/// Frees a reader, at its end or not. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_records_free(records: *mut zfsvol_records) {
    boundary!(or(), |caller| caller.free(records)?);
}

/// What a resume token says: `to_name` (string), `to_guid`, `from_guid`, `object`, `offset`, `bytes` (uint64), `flags` (uint32) and, of a redacted stream, `redact_snapshots` and `from_redact_snapshots` (uint64 arrays: GUIDs). Fails with `INVALID`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_token_decode(
    token: zfsvol_str,
    fields: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(fields)?;
        let token: ResumeToken = caller.text(token)?.parse()?;
        out.list(&token)?;
    })
}

/// A record as [`zfsvol_records_next`] has it.
pub(crate) fn told(frame: &Frame<'_>, payloads: bool) -> Result<NvList, Fault> {
    let mut list = NvList::new();
    list.insert("index", frame.index)
        .insert("offset", frame.offset)
        .insert(
            "part",
            match frame.part {
                Part::PackageHead => "package_head",
                Part::Stream => "stream",
                Part::PackageEnd => "package_end",
            },
        )
        .insert("kind", frame.record.record_type().name())
        .insert("text", frame.record.to_string())
        .insert("payload_bytes", frame.record.payload_bytes())
        .insert("big_endian", frame.header.byte_order() == ByteOrder::Big)
        .insert("fields", answer::list(frame.record)?);
    if let Some(object) = Record::object(frame.record) {
        list.insert("object", object);
    }
    if payloads {
        list.insert("payload", Value::ByteArray(frame.payload.to_vec()))
            .insert("header", Value::ByteArray(frame.header.as_bytes().to_vec()));
    }
    Ok(list)
}
