//! [`Block`]: one block of data, as it is stored.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Data, DatasetKey, Leaf, Policy, Space, Txn, pack};
use crate::kernel::Errno;
use crate::stream::{Compression, CryptParams, ObjectType};

/// How a block is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encryption {
    /// What it takes to decrypt it.
    pub crypt: CryptParams,
    /// What is encrypted has the byte order other than that of this machine.
    pub swapped: bool,
    /// It is no ciphertext: blocks of such objects are authenticated, and can be read without a key.
    pub readable: bool,
}

/// Where the bytes of a block are.
#[derive(Clone, Debug)]
pub enum Content {
    /// As stored: compressed, if [`Block::compression`] says so, and filled up to sectors.
    Stored(Data),
    /// In the block pointer: compressed, at most 112 bytes. Takes no space.
    Embedded(Data),
    /// Enciphered here, or as a raw stream brought it; compressed before. What is only authenticated is of this kind as well.
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
    /// OpenZFS 2.3 `module/zfs/zio.c`, `zio_write_compress`, `zio_encrypt`.
    ///
    /// # Errors
    /// `EACCES` in an encrypted dataset whose key the transaction does not have; as [`DatasetKey::seal`].
    pub fn of_plain(
        data: &[u8],
        object_type: ObjectType,
        txn: &Txn,
    ) -> Result<Option<Self>, Errno> {
        let policy = txn.policy();
        let metadata = object_type.is_metadata();
        let wanted = if metadata { policy.metadata_compression() } else { policy.compression };
        let embed = policy.embedded_data && !policy.encrypted;
        let (compression, content) = match pack::pack(data, wanted, embed) {
            pack::Packed::Zero => return Ok(None),
            pack::Packed::Embedded(packed) => (wanted, Content::Embedded(packed.into())),
            pack::Packed::Compressed(packed) => (wanted, stored(&packed, object_type, txn)?),
            pack::Packed::Plain => (Compression::OFF, stored(data, object_type, txn)?),
        };
        Ok(Some(Self::new(length(data), compression, content, metadata, txn)))
    }

    /// A block stored as it came, compressed.
    ///
    /// # Errors
    /// As [`Self::of_plain`].
    pub fn of_compressed(
        data: &[u8],
        logical_bytes: u32,
        compression: Compression,
        object_type: ObjectType,
        txn: &Txn,
    ) -> Result<Self, Errno> {
        let content = stored(data, object_type, txn)?;
        Ok(Self::new(logical_bytes, compression, content, object_type.is_metadata(), txn))
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

    /// The content, deciphered and decompressed.
    ///
    /// # Errors
    /// As [`Self::compressed`]; `EIO` when it cannot be decompressed, as when it is compressed in a way that is not built in.
    pub fn plain(&self, key: Option<&DatasetKey>) -> Result<Cow<'_, [u8]>, Errno> {
        let data = self.compressed(key)?;
        if self.compression == Compression::OFF {
            return Ok(data);
        }
        pack::unpack(&data, self.compression, self.logical_bytes).map(Cow::Owned)
    }

    /// The content, deciphered and still compressed. What stays readable is authenticated where there is a key.
    ///
    /// # Errors
    /// `EACCES` for ciphertext without a key; `EIO` when it is not what was enciphered with this one.
    pub fn compressed(&self, key: Option<&DatasetKey>) -> Result<Cow<'_, [u8]>, Errno> {
        let (data, encryption) = match &self.content {
            Content::Stored(data) | Content::Embedded(data) => return Ok(Cow::Borrowed(data)),
            Content::Encrypted(data, encryption) => (data, encryption),
        };
        match key {
            None if encryption.readable => Ok(Cow::Borrowed(data)),
            None => Err(Errno::EACCES),
            Some(key) if encryption.readable => {
                let sound = key.authenticate(data)? == encryption.crypt.mac;
                if sound { Ok(Cow::Borrowed(data)) } else { Err(Errno::EIO) }
            }
            Some(key) => {
                let mut plain = data.to_vec();
                key.open(&encryption.crypt, &[], &mut plain)?;
                Ok(Cow::Owned(plain))
            }
        }
    }

    /// How it is encrypted.
    #[must_use]
    pub fn encryption(&self) -> Option<&Encryption> {
        match &self.content {
            Content::Encrypted(_, encryption) => Some(encryption),
            Content::Stored(_) | Content::Embedded(_) => None,
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

/// Keeps the bytes of a block, enciphered where the dataset is encrypted.
fn stored(data: &[u8], object_type: ObjectType, txn: &Txn) -> Result<Content, Errno> {
    let Some(key) = txn.key() else {
        let plain = !txn.policy().encrypted;
        return if plain { Ok(Content::Stored(data.into())) } else { Err(Errno::EACCES) };
    };
    let mut data = data.to_vec();
    let crypt = key.seal_block(object_type, &mut data)?;
    let encryption = Encryption { crypt, swapped: false, readable: !object_type.is_encrypted() };
    Ok(Content::Encrypted(data.into(), Arc::new(encryption)))
}

/// Blocks are at most 16 MiB.
pub(super) fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}
