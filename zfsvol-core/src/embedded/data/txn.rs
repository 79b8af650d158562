//! [`Txn`]: one change to a dataset's content, and [`Policy`]: how its blocks are stored.

use std::sync::Arc;

use super::{DatasetKey, Delta, Space};
use crate::stream::Compression;

/// Bytes that the smallest stored block is rounded up to: `SPA_MINBLOCKSIZE`.
pub(crate) const SECTOR_BYTES: u32 = 512;

/// The most copies a block can have: `SPA_DVAS_PER_BP`.
const COPIES_MAX: u8 = 3;

/// `ZIO_CHECKSUM_OFF`.
pub const CHECKSUM_OFF: u8 = 2;

/// `ZIO_CHECKSUM_FLETCHER_4`, what `checksum=on` is.
pub const CHECKSUM_FLETCHER_4: u8 = 7;

/// How blocks are stored: what the properties of the dataset and the features of its pool say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The smallest write of the pool's devices, as a power of two: `ashift`.
    pub ashift: u8,
    /// How often data is stored: the property `copies`. Metadata is stored once more.
    pub copies: u8,
    /// `enum zio_compress` of data: the property `compression`, with `on` resolved. Metadata is always compressed.
    ///
    /// What this library cannot compress (lz4 and zstd without the crate's feature `compression`) is stored as it is.
    pub compression: Compression,
    /// `enum zio_checksum` of data: the property `checksum`, with `on` resolved.
    pub checksum: u8,
    /// Whether blocks that compress to 112 bytes live in their block pointer: the feature `embedded_data`.
    pub embedded_data: bool,
    /// Whether blocks may be larger than 128 KiB: the feature `large_blocks`.
    pub large_blocks: bool,
    /// Whether metadata is compressed with LZ4: the feature `lz4_compress`; LZJB otherwise, as in the crate without the feature `compression`.
    pub lz4: bool,
    /// Whether the dataset is encrypted: its blocks are never embedded, and nothing is written to it in plain.
    pub encrypted: bool,
}

impl Default for Policy {
    /// What a new pool on disks with sectors of 4 KiB has, with `compression=on`.
    fn default() -> Self {
        Self {
            ashift: 12,
            copies: 1,
            compression: Compression::LZ4,
            checksum: CHECKSUM_FLETCHER_4,
            embedded_data: true,
            large_blocks: true,
            lz4: true,
            encrypted: false,
        }
    }
}

impl Policy {
    /// What a block stored in `physical_bytes` takes on disk.
    #[must_use]
    pub fn allocated(&self, physical_bytes: u32, metadata: bool) -> u64 {
        let sector = 1_u64 << self.ashift.clamp(9, 16);
        let copies = (self.copies.max(1) + u8::from(metadata)).min(COPIES_MAX);
        u64::from(physical_bytes).next_multiple_of(sector) * u64::from(copies)
    }

    /// The space of a block of metadata stored in `physical_bytes`.
    pub(super) fn metadata_space(&self, physical_bytes: u32) -> Space {
        let stored = u64::from(physical_bytes);
        Space {
            used: self.allocated(physical_bytes, true),
            compressed: stored,
            uncompressed: stored,
        }
    }

    /// How metadata is compressed: `zio_compress_select` in `dmu_write_policy`.
    pub(super) fn metadata_compression(&self) -> Compression {
        if self.lz4 && cfg!(feature = "compression") { Compression::LZ4 } else { Compression::LZJB }
    }
}

/// One change to the content of a dataset: everything in it has the same birth. [`Txn::finish`] gives what it did to blocks.
#[derive(Clone, Debug)]
pub struct Txn {
    txg: u64,
    policy: Policy,
    key: Option<Arc<DatasetKey>>,
    delta: Delta,
}

impl Txn {
    /// A change in transaction group `txg`, which is at least 1 and not below that of an earlier change of the same content.
    #[must_use]
    pub fn new(txg: u64, policy: Policy) -> Self {
        Self { txg: txg.max(1), policy, key: None, delta: Delta::new() }
    }

    /// With the key of an encrypted dataset. Without it nothing but what a raw stream brings can be written.
    #[must_use]
    pub fn with_key(mut self, key: Option<Arc<DatasetKey>>) -> Self {
        self.key = key;
        self
    }

    /// The key of an encrypted dataset.
    #[must_use]
    pub fn key(&self) -> Option<&DatasetKey> {
        self.key.as_deref()
    }

    /// The transaction group.
    #[must_use]
    pub fn txg(&self) -> u64 {
        self.txg
    }

    /// How blocks are stored.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What was done so far.
    #[must_use]
    pub fn delta(&self) -> &Delta {
        &self.delta
    }

    /// What was done to blocks.
    #[must_use]
    pub fn finish(self) -> Delta {
        self.delta
    }

    pub(super) fn bear(&mut self, space: Space) {
        self.delta.bear(space);
    }

    pub(super) fn kill(&mut self, birth: u64, space: Space) {
        self.delta.kill(birth, space);
    }
}
