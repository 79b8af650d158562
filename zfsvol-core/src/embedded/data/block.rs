//! [`Block`]: one block of data, as it is stored.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Data, Leaf, Policy, Space, Txn, pack};
use crate::kernel::Errno;
use crate::stream::{Compression, CryptParams, ObjectType};

/// How a block of a raw stream is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encryption {
    /// What it takes to decrypt it.
    pub crypt: CryptParams,
    /// What is encrypted has the byte order other than that of this machine.
    pub swapped: bool,
}

/// Where the bytes of a block are.
#[derive(Clone, Debug)]
pub enum Content {
    /// As stored: compressed, if [`Block::compression`] says so, and filled up to sectors.
    Stored(Data),
    /// In the block pointer: compressed, at most 112 bytes. Takes no space.
    Embedded(Data),
    /// Ciphertext as a raw stream brought it, compressed before it was encrypted.
    Encrypted(Data, Arc<Encryption>),
}

/// A block of data. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Block {
    /// The transaction group it was written in.
    pub birth: u64,
    /// Its length, decompressed.
    pub logical_bytes: u32,
    /// What is allocated for it, every copy.
    pub allocated_bytes: u64,
    /// How its bytes are compressed.
    pub compression: Compression,
    /// `enum zio_checksum`.
    pub checksum: u8,
    /// Whether it is of an object of metadata.
    pub metadata: bool,
    /// Its bytes.
    pub content: Content,
}

impl Block {
    /// A block with this plain content, stored as the policy says; `None` where that is a hole: all zero, and compressed.
    /// OpenZFS 2.3 `module/zfs/zio.c`, `zio_write_compress`.
    #[must_use]
    pub fn of_plain(data: &[u8], object_type: ObjectType, txn: &Txn) -> Option<Self> {
        let policy = txn.policy();
        let metadata = object_type.is_metadata();
        let wanted = if metadata { policy.metadata_compression() } else { policy.compression };
        let embed = policy.embedded_data && !policy.encrypted;
        let (compression, content) = match pack::pack(data, wanted, embed) {
            pack::Packed::Zero => return None,
            pack::Packed::Embedded(packed) => (wanted, Content::Embedded(packed.into())),
            pack::Packed::Compressed(packed) => (wanted, Content::Stored(packed.into())),
            pack::Packed::Plain => (Compression::OFF, Content::Stored(data.into())),
        };
        Some(Self::new(length(data), compression, content, metadata, txn))
    }

    /// A block stored as it came, compressed.
    #[must_use]
    pub fn of_compressed(
        stored: &[u8],
        logical_bytes: u32,
        compression: Compression,
        object_type: ObjectType,
        txn: &Txn,
    ) -> Self {
        let content = Content::Stored(stored.into());
        Self::new(logical_bytes, compression, content, object_type.is_metadata(), txn)
    }

    /// A block that lives in its block pointer: `packed` has no filling.
    #[must_use]
    pub fn of_embedded(
        packed: &[u8],
        logical_bytes: u32,
        compression: Compression,
        object_type: ObjectType,
        txn: &Txn,
    ) -> Self {
        let content = Content::Embedded(packed.into());
        Self::new(logical_bytes, compression, content, object_type.is_metadata(), txn)
    }

    /// A block as a raw stream brought it.
    #[must_use]
    pub fn of_encrypted(
        stored: &[u8],
        logical_bytes: u32,
        compression: Compression,
        encryption: Encryption,
        object_type: ObjectType,
        txn: &Txn,
    ) -> Self {
        let content = Content::Encrypted(stored.into(), Arc::new(encryption));
        Self::new(logical_bytes, compression, content, object_type.is_metadata(), txn)
    }

    fn new(
        logical_bytes: u32,
        compression: Compression,
        content: Content,
        metadata: bool,
        txn: &Txn,
    ) -> Self {
        let policy: &Policy = txn.policy();
        let allocated_bytes = match &content {
            Content::Embedded(_) => 0,
            Content::Stored(data) | Content::Encrypted(data, _) => {
                policy.allocated(length(data), metadata)
            }
        };
        let checksum = if metadata { super::CHECKSUM_FLETCHER_4 } else { policy.checksum };
        let birth = txn.txg();
        Self { birth, logical_bytes, allocated_bytes, compression, checksum, metadata, content }
    }

    /// How many bytes it has as stored; what fills up sectors counts.
    #[must_use]
    pub fn physical_bytes(&self) -> u32 {
        match &self.content {
            Content::Stored(data) | Content::Embedded(data) | Content::Encrypted(data, _) => {
                length(data)
            }
        }
    }

    /// The content, decompressed.
    ///
    /// # Errors
    /// `EACCES` for ciphertext; `EIO` when it cannot be decompressed, as when it is compressed in a way that is not built in.
    pub fn plain(&self) -> Result<Cow<'_, [u8]>, Errno> {
        match &self.content {
            Content::Encrypted(..) => Err(Errno::EACCES),
            Content::Stored(data) | Content::Embedded(data) => {
                if self.compression == Compression::OFF {
                    return Ok(Cow::Borrowed(data));
                }
                pack::unpack(data, self.compression, self.logical_bytes).map(Cow::Owned)
            }
        }
    }

    /// Whether it lives in its block pointer.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        matches!(self.content, Content::Embedded(_))
    }
}

impl Leaf for Block {
    fn birth(&self) -> u64 {
        self.birth
    }

    fn space(&self) -> Space {
        if self.is_embedded() {
            let uncompressed = if self.metadata { 0 } else { self.logical_bytes.into() };
            return Space { used: 0, compressed: 0, uncompressed };
        }
        let stored = u64::from(self.physical_bytes());
        let uncompressed = if self.metadata { stored } else { self.logical_bytes.into() };
        Space { used: self.allocated_bytes, compressed: stored, uncompressed }
    }
}

/// Blocks are at most 16 MiB.
pub(super) fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}
