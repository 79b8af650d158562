//! Blocks compressed as a write does it.

use crate::kernel::Errno;
use crate::stream::{Compression, codec};

use super::txn::SECTOR_BYTES;

/// The most that fits into a block pointer: `BPE_PAYLOAD_SIZE`.
pub(crate) const EMBEDDED_BYTES_MAX: usize = 112;

/// What became of a block.
pub(super) enum Packed {
    /// It is all zero: a hole.
    Zero,
    /// So small that it fits into its block pointer.
    Embedded(Vec<u8>),
    /// Compressed, and filled up to sectors.
    Compressed(Vec<u8>),
    /// As it is: compression is off, saves less than an eighth, or is not built in.
    Plain,
}

/// Compresses a block. OpenZFS 2.3 `module/zfs/zio_compress.c`, `zio_compress_data`; `module/zfs/zio.c`, `zio_write_compress`.
pub(super) fn pack(data: &[u8], compression: Compression, embed: bool) -> Packed {
    if compression == Compression::OFF {
        return Packed::Plain;
    }
    if is_zero(data) {
        return Packed::Zero;
    }
    let mut packed = Vec::new();
    if codec::compress(compression, data, &mut packed).is_err() {
        return Packed::Plain;
    }
    // What saves less than an eighth is not worth decompressing.
    if packed.len() > data.len() - data.len() / 8 {
        return Packed::Plain;
    }
    if embed && packed.len() <= EMBEDDED_BYTES_MAX {
        return Packed::Embedded(packed);
    }
    packed.resize(packed.len().next_multiple_of(SECTOR_BYTES as usize), 0);
    if packed.len() < data.len() { Packed::Compressed(packed) } else { Packed::Plain }
}

/// Decompresses a block.
pub(in crate::embedded) fn unpack(
    packed: &[u8],
    compression: Compression,
    logical_bytes: u32,
) -> Result<Vec<u8>, Errno> {
    let mut plain = Vec::new();
    codec::decompress(compression, packed, logical_bytes as usize, &mut plain)
        .map_err(|_| Errno::EIO)?;
    Ok(plain)
}

/// Whether all of it is zero.
pub(super) fn is_zero(data: &[u8]) -> bool {
    let chunks = data.chunks_exact(16);
    chunks.remainder().iter().all(|byte| *byte == 0)
        && chunks
            .filter_map(|chunk| chunk.first_chunk())
            .all(|chunk| u128::from_ne_bytes(*chunk) == 0)
}
