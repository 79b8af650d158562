//! Streams to read, and what to compare reading them with.

use zfsvol_core::Guid;
use zfsvol_core::nvlist::ByteOrder;
use zfsvol_core::stream::{
    Begin, End, HeaderType, ObjectType, Record, STREAM_MAGIC, StreamError, StreamFeatures,
    StreamName, StreamWriter, Write,
};

/// The snapshot the stream is of.
const GUID: Guid = Guid::new(0x1234_5678_9abc_def0);

/// The stream of a zvol of `blocks` blocks of `block_bytes`, each full of noise.
///
/// # Errors
///
/// When the block is no block of a zvol: not a multiple of four bytes, or too long.
pub fn zvol_stream(block_bytes: usize, blocks: u64) -> Result<Vec<u8>, StreamError> {
    let mut writer = StreamWriter::with_byte_order(Vec::new(), ByteOrder::Little);
    let to_name = StreamName::new("tank/disk@monday").unwrap_or(StreamName::EMPTY);
    let mut begin =
        Begin { magic: STREAM_MAGIC, objset_type: 3, to_guid: GUID, to_name, ..Begin::default() };
    begin.set_version(HeaderType::Substream, StreamFeatures::LARGE_BLOCKS);
    writer.write(&Record::Begin(begin), &[])?;
    let mut block = vec![0; block_bytes];
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..blocks {
        for word in block.chunks_exact_mut(8) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            word.copy_from_slice(&noise.to_le_bytes());
        }
        let write = Write {
            object: 1,
            object_type: ObjectType::ZVOL,
            offset: number * block_bytes as u64,
            logical_bytes: block_bytes as u64,
            to_guid: GUID,
            ..Write::default()
        };
        writer.write(&Record::Write(write), &block)?;
    }
    writer.write(&Record::End(End { to_guid: GUID, ..End::default() }), &[])?;
    writer.finish()
}

/// The least that can be done with every word of the data: what the memory gives, and nothing else.
#[must_use]
pub fn read_and_sum(data: &[u8]) -> u64 {
    data.chunks_exact(8).fold(0, |sum, word| {
        sum.wrapping_add(word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word)))
    })
}
