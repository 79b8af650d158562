//! Block devices: object 1 is the data, object 2 says how large it is. OpenZFS 2.3 `module/zfs/zvol.c`, `zvol_create_cb`.

use super::{DatasetKey, Delta, Dnode, Objset, ObjsetType, Txn, zap};
use crate::kernel::Errno;
use crate::stream::ObjectType;

/// The data: `ZVOL_OBJ`.
pub const ZVOL_OBJECT: u64 = 1;

/// What it says of itself: `ZVOL_ZAP_OBJ`.
pub const ZVOL_PROPERTIES_OBJECT: u64 = 2;

/// Bytes of the block with the size.
const PROPERTIES_BLOCK_BYTES: u32 = 512;

/// A new zvol of `size` bytes in blocks of `block_bytes`, which the caller has checked. `salt` is any number.
#[must_use]
pub fn create(size: u64, block_bytes: u32, salt: u64, mut txn: Txn) -> (Objset, Delta) {
    let mut objset = Objset::empty(ObjsetType::Zvol);
    // In an empty objset neither number is taken.
    let _ = objset.claim(ZVOL_OBJECT, Dnode::new(ObjectType::ZVOL, block_bytes), &mut txn);
    let properties = Dnode::new(ObjectType::ZVOL_PROPERTIES, PROPERTIES_BLOCK_BYTES);
    let _ = objset.claim(ZVOL_PROPERTIES_OBJECT, properties, &mut txn);
    let _ = write_size(&mut objset, size, salt, &mut txn);
    (objset, txn.finish())
}

impl Objset {
    /// The size of a zvol in bytes; `None` for what is none.
    #[must_use]
    pub fn volume_size(&self) -> Option<u64> {
        let block = self.read_block(ZVOL_PROPERTIES_OBJECT, 0).ok()?;
        zap::lookup(&block, "size")
    }

    /// The size of a zvol's blocks in bytes: `volblocksize`.
    #[must_use]
    pub fn volume_block_bytes(&self) -> Option<u32> {
        self.object(ZVOL_OBJECT).ok().map(|dnode| dnode.block_bytes)
    }

    /// Reads from the block device. The key is that of an encrypted zvol.
    ///
    /// # Errors
    /// `EIO` beyond its end, and when a block cannot be decompressed or deciphered; `EACCES` for ciphertext without the key; `ENOENT` for what
    /// is no zvol.
    pub fn read_volume(
        &self,
        offset: u64,
        buffer: &mut [u8],
        key: Option<&DatasetKey>,
    ) -> Result<(), Errno> {
        self.check_range(offset, buffer.len() as u64)?;
        self.read(ZVOL_OBJECT, offset, buffer, key)
    }

    /// Writes to the block device.
    ///
    /// # Errors
    /// As [`Self::read_volume`].
    pub fn write_volume(&mut self, offset: u64, data: &[u8], txn: &mut Txn) -> Result<(), Errno> {
        self.check_range(offset, data.len() as u64)?;
        self.write(ZVOL_OBJECT, offset, data, txn)
    }

    /// Discards a range of the block device, which is zero then: the whole blocks in it become holes, and the rest is left as it is,
    /// as `blkdiscard` has it. OpenZFS 2.3 `module/os/linux/zfs/zvol_os.c`, `zvol_discard`.
    ///
    /// # Errors
    /// As [`Self::read_volume`].
    pub fn discard_volume(&mut self, offset: u64, length: u64, txn: &mut Txn) -> Result<(), Errno> {
        self.check_range(offset, length)?;
        let size = u64::from(self.volume_block_bytes().ok_or(Errno::ENOENT)?);
        let (start, end) = (offset.next_multiple_of(size), (offset + length) / size * size);
        if start >= end {
            return Ok(());
        }
        self.free_range(ZVOL_OBJECT, start, end - start, txn)
    }

    /// Changes the size of a zvol: what is beyond a smaller one is freed. OpenZFS 2.3 `module/zfs/zvol.c`, `zvol_update_volsize`.
    ///
    /// # Errors
    /// `ENOENT` for what is no zvol.
    pub fn resize_volume(&mut self, size: u64, salt: u64, txn: &mut Txn) -> Result<(), Errno> {
        write_size(self, size, salt, txn)?;
        self.free_range(ZVOL_OBJECT, size, u64::MAX, txn)
    }

    fn check_range(&self, offset: u64, length: u64) -> Result<(), Errno> {
        let size = self.volume_size().ok_or(Errno::ENOENT)?;
        offset.checked_add(length).filter(|end| *end <= size).map(drop).ok_or(Errno::EIO)
    }
}

fn write_size(objset: &mut Objset, size: u64, salt: u64, txn: &mut Txn) -> Result<(), Errno> {
    let block = zap::micro(&[("size", size)], salt, 0).ok_or(Errno::EINVAL)?;
    objset.write(ZVOL_PROPERTIES_OBJECT, 0, &block, txn)
}
