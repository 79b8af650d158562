//! Streams made of streams, record by record: [`filter`], [`drop_record`], [`cut`], [`recompress`].

use std::io::Write as Output;

use super::{
    Begin, Compression, Frame, HeaderType, Object, Part, Problem, Record, Source, StreamError,
    StreamFeatures, StreamReader, StreamWriter, Write, codec,
};
use crate::nvlist::{Encoding, NvList};

/// What compressed blocks are filled up to: `SPA_MINBLOCKSIZE`.
const SECTOR_BYTES: usize = 512;

/// Copies a stream or a package without the records that `keep` refuses. What begins and ends it stays, whatever it says.
///
/// Leaving out a record changes what is received: this is for repairs.
///
/// # Errors
///
/// What is wrong with the input, or that the output cannot be written.
pub fn filter<S: Source, W: Output>(
    reader: &mut StreamReader<S>,
    output: W,
    mut keep: impl FnMut(&Frame<'_>) -> bool,
) -> Result<W, StreamError> {
    let mut writer = StreamWriter::new(output);
    while let Some(frame) = reader.next_frame()? {
        let frames = matches!(frame.record, Record::Begin(_) | Record::End(_));
        if frames || keep(&frame) {
            writer.copy(&frame)?;
        }
    }
    writer.finish()
}

/// Copies a stream without the blocks that start at `offset` of `object`, as `zstream drop_record` does. Answers how many these were.
///
/// # Errors
///
/// As [`filter`].
pub fn drop_record<S: Source, W: Output>(
    reader: &mut StreamReader<S>,
    output: W,
    object: u64,
    offset: u64,
) -> Result<u64, StreamError> {
    let mut dropped = 0;
    filter(reader, output, |frame| {
        let is_it = matches!(
            frame.record,
            Record::Write(write) if (write.object, write.offset) == (object, offset)
        );
        dropped += u64::from(is_it);
        !is_it
    })?;
    Ok(dropped)
}

/// Makes of a stream the rest that a resumed send would send: what finishes a receive that has got as far as `object` and `offset`,
/// which a [`ResumeToken`](super::ResumeToken) names.
///
/// The receiver must be told where it goes on, so the begin record gets the feature `RESUMING` and a list with the two numbers.
/// OpenZFS 2.3 `module/zfs/dmu_send.c`, `dump_dnode` and `dmu_send_impl`.
///
/// # Errors
///
/// What is wrong with the input, that it is a package, or that the output cannot be written.
pub fn cut<S: Source, W: Output>(
    reader: &mut StreamReader<S>,
    output: W,
    object: u64,
    offset: u64,
) -> Result<W, StreamError> {
    let mut writer = StreamWriter::new(output);
    let mut tail_due = false;
    while let Some(frame) = reader.next_frame()? {
        if frame.part != Part::Stream {
            let reason = "only a stream by itself can be resumed: split the package first";
            return Err(frame.error(Problem::Unsupported(reason)));
        }
        if let Record::Begin(begin) = frame.record {
            let (begin, list) = resuming(&frame, begin, object, offset)?;
            writer.replace(&frame, &Record::Begin(begin), &list)?;
            continue;
        }
        // Behind an object comes a hole from its end on, which belongs to it.
        let is_tail =
            tail_due && matches!(frame.record, Record::Free(free) if free.length == u64::MAX);
        if is_tail || is_left(frame.record, object, offset) {
            writer.copy(&frame)?;
        }
        tail_due =
            matches!(frame.record, Record::Object(Object { object: of, .. }) if *of == object);
    }
    writer.finish()
}

/// The begin record of the rest, and its list.
fn resuming(
    frame: &Frame<'_>,
    begin: &Begin,
    object: u64,
    offset: u64,
) -> Result<(Begin, Vec<u8>), StreamError> {
    let mut list: NvList = frame.begin_list()?;
    list.insert("resume_object", object).insert("resume_offset", offset);
    // The kernel reads the list in its own order only, and that is the stream's.
    let bytes = list.encode(Encoding::Native(frame.header.byte_order()));
    let bytes = bytes.map_err(|error| frame.error(Problem::Payload(error.to_string())))?;
    let mut begin =
        Begin { payload_bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX), ..*begin };
    if let Ok(kind) = begin.header_type() {
        begin.set_version(kind, begin.features() | StreamFeatures::RESUMING);
    }
    Ok((begin, bytes))
}

/// Whether a resumed send has still to send a record.
fn is_left(record: &Record, object: u64, offset: u64) -> bool {
    let at = (object, offset);
    match record {
        Record::Begin(_) | Record::End(_) => true,
        Record::Object(record) => record.object >= object,
        Record::FreeObjects(record) => record.first >= object,
        Record::Write(record) => (record.object, record.offset) >= at,
        Record::Free(record) => (record.object, record.offset) >= at,
        Record::WriteByref(record) => (record.object, record.offset) >= at,
        Record::WriteEmbedded(record) => (record.object, record.offset) >= at,
        Record::Redact(record) => (record.object, record.offset) >= at,
        Record::Spill(record) => record.object >= object,
        Record::ObjectRange(record) => record.first.saturating_add(record.slots) > object,
    }
}

/// Copies a stream or a package with every block as it was before it was compressed: what `zfs send` without `-c` sends.
///
/// Embedded blocks stay as they are.
///
/// # Errors
///
/// What is wrong with the input; that it is raw, since encrypted blocks cannot be decompressed; that a block is compressed in a way that
/// is not built in; that the output cannot be written.
pub fn decompress<S: Source, W: Output>(
    reader: &mut StreamReader<S>,
    output: W,
) -> Result<W, StreamError> {
    recompress(reader, output, Compression::OFF)
}

/// Copies a stream or a package with every block compressed in this way, where that makes it shorter: what `zfs send -c` sends of a
/// dataset whose blocks were written with this compression. [`Compression::OFF`] decompresses.
///
/// Embedded blocks stay as they are. Takes the memory of a reader and two blocks.
///
/// # Errors
///
/// As [`decompress`].
pub fn recompress<S: Source, W: Output>(
    reader: &mut StreamReader<S>,
    output: W,
    compression: Compression,
) -> Result<W, StreamError> {
    let mut writer = StreamWriter::new(output);
    let (mut plain, mut packed) = (Vec::new(), Vec::new());
    while let Some(frame) = reader.next_frame()? {
        match frame.record {
            Record::Begin(begin) if frame.part == Part::Stream => {
                let begin = with_compression(begin, compression);
                let begin = begin.map_err(|problem| frame.error(problem))?;
                writer.replace(&frame, &Record::Begin(begin), frame.payload)?;
            }
            Record::Write(write) => {
                let block = plain_block(write, frame.payload, &mut plain);
                let block = block.map_err(|problem| frame.error(problem))?;
                let shorter = compression != Compression::OFF
                    && pack(compression, block, &mut packed)
                        .map_err(|problem| frame.error(problem))?;
                let (write, block) = if shorter {
                    let compressed_bytes = packed.len() as u64;
                    (Write { compression, compressed_bytes, ..*write }, packed.as_slice())
                } else {
                    let compression = Compression::NONE;
                    (Write { compression, compressed_bytes: 0, ..*write }, block)
                };
                writer.replace(&frame, &Record::Write(write), block)?;
            }
            _ => writer.copy(&frame)?,
        }
    }
    writer.finish()
}

/// The begin record of a stream whose blocks are compressed in another way.
fn with_compression(begin: &Begin, compression: Compression) -> Result<Begin, Problem> {
    let mut features = begin.features();
    if features.contains(StreamFeatures::RAW) {
        let reason = "the stream is raw: its blocks are encrypted, and stay as they are compressed";
        return Err(Problem::Unsupported(reason));
    }
    features.set(StreamFeatures::COMPRESSED, compression != Compression::OFF);
    if !features.contains(StreamFeatures::EMBED_DATA) {
        // Embedded blocks may be compressed by these too.
        features.remove(StreamFeatures::LZ4 | StreamFeatures::ZSTD);
    }
    match compression {
        Compression::LZ4 => features.insert(StreamFeatures::LZ4),
        Compression::ZSTD => features.insert(StreamFeatures::ZSTD),
        _ => {}
    }
    let mut begin = *begin;
    begin.set_version(HeaderType::Substream, features);
    Ok(begin)
}

/// The block of a write record as it was before it was compressed.
fn plain_block<'a>(
    write: &Write,
    payload: &'a [u8],
    plain: &'a mut Vec<u8>,
) -> Result<&'a [u8], Problem> {
    if matches!(write.compression, Compression::NONE | Compression::OFF) {
        return Ok(payload);
    }
    let length = usize::try_from(write.logical_bytes).unwrap_or(usize::MAX);
    codec::decompress(write.compression, payload, length, plain)?;
    Ok(plain)
}

/// Compresses a block and fills it up to sectors, as it would be on disk; answers whether it is shorter then.
fn pack(compression: Compression, block: &[u8], packed: &mut Vec<u8>) -> Result<bool, Problem> {
    codec::compress(compression, block, packed)?;
    packed.resize(packed.len().next_multiple_of(SECTOR_BYTES), 0);
    Ok(packed.len() < block.len())
}
