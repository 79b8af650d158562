//! Streams written record by record, with no kernel.

use std::borrow::Cow;
use std::io::Write;

use zfsvol_core::nvlist::{ByteOrder, NvList, Value, from_nvlist};
use zfsvol_core::stream::{
    BeginFlags, Compression, Header, ObjectType, Problem, RECORD_BYTES, Record, RecordType,
    StreamError, StreamFeatures, StreamWriter,
};

use crate::answer;
use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, Slot};
use crate::io::zfsvol_writer;
use crate::nvlist::zfsvol_nvlist;
use crate::status::{self, zfsvol_status};
use crate::view::zfsvol_str;

/// Which byte of a number comes first: a `ZFSVOL_BYTE_ORDER_...`.
pub type zfsvol_byte_order = u32;

/// As this machine has it.
pub const ZFSVOL_BYTE_ORDER_HOST: zfsvol_byte_order = 0;
/// The least significant.
pub const ZFSVOL_BYTE_ORDER_LITTLE: zfsvol_byte_order = 1;
/// The most significant.
pub const ZFSVOL_BYTE_ORDER_BIG: zfsvol_byte_order = 2;

/// Writes a stream or a package record by record, with the right checksums whatever those of the records say. By one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_stream_writer {
    _private: [u8; 0],
}

impl Object for zfsvol_stream_writer {
    type Value = Slot<StreamWriter<Box<dyn Write + Send>>>;
    const NAME: &'static str = "zfsvol_stream_writer";
}

/// Writes a stream to `writer`, with numbers in that order; where the first record is one that was read, in the order of that. The context is released by `zfsvol_stream_writer_finish`, when the object is freed, or at once if this fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_writer_open(
    writer: *const zfsvol_writer,
    byte_order: zfsvol_byte_order,
    stream: *mut *mut zfsvol_stream_writer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let writer: Box<dyn Write + Send> = Box::new(caller.writer(writer)?);
        let out = caller.out(stream)?;
        let byte_order = match byte_order {
            ZFSVOL_BYTE_ORDER_HOST => ByteOrder::HOST,
            ZFSVOL_BYTE_ORDER_LITTLE => ByteOrder::Little,
            ZFSVOL_BYTE_ORDER_BIG => ByteOrder::Big,
            other => return Err(Fault::unknown("byte order", other)),
        };
        out.give(Slot::new(StreamWriter::with_byte_order(writer, byte_order)));
    })
}

/// Writes the next record, and the `len` bytes at `payload` that follow it: as many as its fields say.
///
/// `record` is as `zfsvol_records_next` gives it, changed or not, or as `zfsvol_stream_record_new` does. Of its pairs `fields` is what the record says: all fields of its kind, and no others. Numbers can have any width that
/// they fit in. The checksums are filled in, that of an `END` too. With `header` and `big_endian`, which records have that were read with payloads, bytes that are no field stay as they were, so
/// that a record that was not changed is written byte for byte as it was. All other pairs are passed over.
///
/// A stream is a `BEGIN`, what it consists of, and an `END`; a package is a `BEGIN`, an `END`, streams, and an `END`. What a record means together with others is not looked at. A record that is refused leaves
/// no trace, and another can be written in its place; when the writer has failed, nothing more can be written.
///
/// Fails with `INVALID` (it is not due here, a field is missing, unknown or of the wrong type, the payload is not as long as the fields say, or too long for any record), `CONSUMED`, and with what writing fails with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_writer_write(
    stream: *const zfsvol_stream_writer,
    record: *const zfsvol_nvlist,
    payload: *const u8,
    len: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let list = caller.get(record)?;
        let payload = caller.bytes(payload, len)?;
        let fields = list.get_list("fields").ok_or_else(|| unfit("it has no list 'fields'"))?;
        let record: Record = from_nvlist(fields).map_err(|error| unfit(error.to_string()))?;
        let header = header(list)?;
        caller
            .get(stream)?
            .with(|stream| match header {
                Some(header) => stream.replace_header(&header, &record, payload),
                None => stream.write(&record, payload),
            })?
            .map_err(|error| refused(&error))?;
    })
}

/// All has been written: whether that is a whole stream. Uses the stream writer up. Fails with `INVALID` when the last `END` is missing, `CONSUMED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_writer_finish(
    stream: *const zfsvol_stream_writer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(stream)?.take()?.finish().map_err(|error| refused(&error))?;
    })
}

/// Frees a stream writer, after its end or before: what was written then is no whole stream. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_writer_free(stream: *mut zfsvol_stream_writer) {
    boundary!(or(), |caller| caller.free(stream)?);
}

/// A new record of that kind (`BEGIN`, `OBJECT`, `FREEOBJECTS`, `WRITE`, ...), to be filled in and written: `kind` (string) and `fields` (nvlist, as `zfsvol_records_next` has it), of which all are zero or empty but
/// the `magic` of a `BEGIN`. Its `version_info` is 1 for a stream and 2 for a package, and its features (`zfsvol_stream_numbers`) times 4. Fails with `INVALID` for a kind that there is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_record_new(
    kind: zfsvol_str,
    record: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(record)?;
        let word = caller.text(kind)?;
        let kind =
            RecordType::ALL.into_iter().find(|kind| kind.name() == word).ok_or_else(|| {
                Fault::invalid("make a record", "there is no such kind").with_target(word)
            })?;
        let mut list = NvList::new();
        list.insert("kind", kind.name()).insert("fields", answer::list(&Record::empty(kind))?);
        out.give(list);
    })
}

/// The numbers in records that have a name, by that: `features` (those of a `BEGIN`, before they are times 4), `begin_flags` (its `flags`), `object_types` and `compressions`, each an nvlist of uint64. The names of features,
/// types and compressions are OpenZFS's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_stream_numbers(
    numbers: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(numbers)?;
        let features = StreamFeatures::KNOWN.iter().filter_map(|one| {
            let name = one.names().next()?;
            Some((name.to_owned(), one.bits()))
        });
        let flags = BeginFlags::all().iter_names();
        let flags = flags.map(|(name, one)| (name.to_lowercase(), u64::from(one.bits())));
        let types = (0..=u8::MAX).filter_map(|number| {
            let name = ObjectType(number.into()).name()?;
            Some((name.to_owned(), u64::from(number)))
        });
        let compressions = (0..=u8::MAX).filter_map(|number| {
            let name = Compression(number).name()?;
            Some((name.to_owned(), u64::from(number)))
        });
        let mut list = NvList::new();
        list.insert("features", NvList::from_iter(features))
            .insert("begin_flags", NvList::from_iter(flags))
            .insert("object_types", NvList::from_iter(types))
            .insert("compressions", NvList::from_iter(compressions));
        out.give(list);
    })
}

/// The header that a record was read with; `None` for a new record.
fn header(list: &NvList) -> Result<Option<Header>, Fault> {
    let bytes = match list.get("header") {
        None => return Ok(None),
        Some(Value::ByteArray(bytes) | Value::Uint8Array(bytes)) => bytes.as_slice(),
        Some(_) => return Err(unfit("its 'header' is no byte array")),
    };
    let bytes = bytes.try_into().map_err(|_| {
        unfit(format!("its 'header' has {} bytes, and not {RECORD_BYTES}", bytes.len()))
    })?;
    let order = match list.get_bool("big_endian") {
        Some(true) => ByteOrder::Big,
        Some(false) => ByteOrder::Little,
        None => {
            return Err(unfit("it has a 'header', and does not say whether that is 'big_endian'"));
        }
    };
    Ok(Some(Header::from_bytes(bytes, order)))
}

/// The record is not what it should be.
fn unfit(reason: impl Into<Cow<'static, str>>) -> Fault {
    Fault::invalid("write a record", reason)
}

/// Why a record was not written: the program's mistake, or that the output failed.
fn refused(error: &StreamError) -> Fault {
    let reason = match error.problem() {
        Problem::Io(failure) => return Fault::from(failure),
        Problem::NoEnd => "the END that ends it is missing".to_owned(),
        problem => problem.to_string(),
    };
    let place = match error.record_type() {
        Some(kind) => format!("record {} ({})", error.record(), kind.name()),
        None => format!("record {}", error.record()),
    };
    Fault::new(status::ZFSVOL_STATUS_INVALID, "write the stream", format!("{reason}, at {place}"))
}
