//! [`Objset`]: all objects of a dataset, as a value.

use std::borrow::Cow;
use std::sync::Arc;

use super::dnode::INDIRECT_SHIFT;
use super::tree::indirect_bytes;
use super::txn::SECTOR_BYTES;
use super::{
    Block, DatasetKey, Dnode, DnodeBlock, Encryption, Kept, Leaf, SLOTS_PER_BLOCK, Space, Tree, Txn,
};
use crate::kernel::Errno;
use crate::stream::Compression;

/// Levels of the tree of dnodes, which are there from the beginning: `DN_META_DNODE_LEVELS`.
pub const META_LEVELS: u8 = 6;

/// Pointers in the dnode of that tree.
pub(super) const META_ROOTS: u8 = 3;

/// Pointers in an indirect block of it, as a power of two.
pub(super) const META_SHIFT: u8 = INDIRECT_SHIFT - 7;

/// Bytes of the block with the root where the dataset is encrypted, which is not compressed then: `objset_phys_t`.
const ENCRYPTED_ROOT_BYTES: u32 = 4096;

/// Beyond the last object there can be: `DN_MAX_OBJECT`.
pub const OBJECTS_END: u64 = 1 << 48;

/// What a dataset is: `dmu_objset_type_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjsetType {
    /// A file system: `DMU_OST_ZFS`.
    FileSystem,
    /// A zvol: `DMU_OST_ZVOL`.
    Zvol,
}

impl ObjsetType {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::FileSystem => 2,
            Self::Zvol => 3,
        }
    }

    /// The type of this number, if a dataset can have it.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            2 => Some(Self::FileSystem),
            3 => Some(Self::Zvol),
            _ => None,
        }
    }
}

bitflags::bitflags! {
    /// Features of the pool that a dataset uses. They stay in use until the dataset is gone, and its snapshots and clones have them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct UsedFeatures: u32 {
        /// Blocks larger than 128 KiB: `large_blocks`.
        const LARGE_BLOCKS = 1 << 0;
        /// Dnodes larger than 512 bytes: `large_dnode`.
        const LARGE_DNODE = 1 << 1;
        /// Blocks compressed with Zstandard: `zstd_compress`.
        const ZSTD = 1 << 2;
        /// File names above 255 bytes: `longname`.
        const LONG_NAME = 1 << 3;
        /// Micro-ZAPs above 128 KiB: `large_microzap`.
        const LARGE_MICROZAP = 1 << 4;
    }
}

/// What a raw stream says of the dnode that all dnodes are in: the metadnode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaDnode {
    /// Its levels: [`META_LEVELS`].
    pub levels: u8,
    /// `enum zio_checksum` of its own; 0 is the pool's.
    pub checksum: u8,
    /// The compression of its own; 0 is the pool's.
    pub compression: Compression,
}

impl Default for MetaDnode {
    fn default() -> Self {
        Self { levels: META_LEVELS, checksum: 0, compression: Compression::NONE }
    }
}

/// The content of a dataset. It is a value: a clone shares everything, takes nothing, and does not change when the other one does, so a
/// snapshot is a clone of it.
///
/// Every change happens in a [`Txn`], which tells afterwards which blocks were born and killed.
#[derive(Clone, Debug)]
pub struct Objset {
    pub(super) objset_type: ObjsetType,
    pub(super) birth: u64,
    /// What the block with the root and the indirect blocks of dnodes that are not kept take.
    pub(super) root_space: Space,
    pub(super) dnodes: Tree<DnodeBlock>,
    pub(super) last_block: u64,
    pub(super) features: UsedFeatures,
    pub(super) meta: MetaDnode,
    /// What vouches for the content of an encrypted dataset: `portable_mac`.
    pub(super) portable_mac: Option<Arc<[u8]>>,
    /// It was changed with its key since it was sealed.
    pub(super) unsealed: bool,
    /// Its birth when it was sealed.
    pub(super) sealed: u64,
}

impl Objset {
    /// No objects at all.
    #[must_use]
    pub fn empty(objset_type: ObjsetType) -> Self {
        Self {
            objset_type,
            birth: 0,
            root_space: Space::ZERO,
            dnodes: Tree::new(META_ROOTS, META_SHIFT),
            last_block: 0,
            features: UsedFeatures::empty(),
            meta: MetaDnode::default(),
            portable_mac: None,
            unsealed: false,
            sealed: 0,
        }
    }

    /// What it is.
    #[must_use]
    pub fn objset_type(&self) -> ObjsetType {
        self.objset_type
    }

    /// The transaction group of the newest change; 0 where there was none.
    #[must_use]
    pub fn birth(&self) -> u64 {
        self.birth
    }

    /// Features of the pool that it uses.
    #[must_use]
    pub fn features(&self) -> UsedFeatures {
        self.features
    }

    /// It uses these from now on, whatever is in it.
    pub fn use_features(&mut self, features: UsedFeatures) {
        self.features |= features;
    }

    /// What vouches for the content of an encrypted dataset.
    #[must_use]
    pub fn portable_mac(&self) -> Option<&[u8]> {
        self.portable_mac.as_deref()
    }

    /// Keeps what vouches for the content, as a raw stream says it.
    pub fn set_portable_mac(&mut self, mac: &[u8]) {
        self.portable_mac = Some(mac.into());
    }

    /// The dnode that all dnodes are in.
    #[must_use]
    pub fn meta(&self) -> MetaDnode {
        self.meta
    }

    /// Keeps what a raw stream says of that, and the number of the last block of dnodes it had.
    pub fn set_meta(&mut self, meta: MetaDnode, last_dnode_block: u64) {
        self.meta = meta;
        self.last_block = last_dnode_block;
    }

    /// Whether it can be kept without its key: see [`Self::seal`]. What is not encrypted always is.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        !self.unsealed
    }

    pub(super) fn set_sealed(&mut self) {
        (self.unsealed, self.sealed) = (false, self.birth);
    }

    /// Changes blocks of dnodes that were changed since all was sealed, and some others.
    pub(super) fn seal_dnodes(
        &mut self,
        seal: impl FnMut(&mut DnodeBlock) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.dnodes.amend(self.sealed, seal)
    }

    /// The number of the last block of dnodes there was: `dn_maxblkid` of the meta-dnode.
    #[must_use]
    pub fn last_dnode_block(&self) -> u64 {
        self.last_block
    }

    /// The tree of dnodes, for those who walk through it.
    #[must_use]
    pub fn dnodes(&self) -> &Tree<DnodeBlock> {
        &self.dnodes
    }

    /// What all of it takes.
    #[must_use]
    pub fn space(&self) -> Space {
        let mut space = self.root_space.plus(self.dnodes.space());
        self.dnodes.for_each(|_, block| {
            for (_, dnode) in block.dnodes() {
                space = space.plus(dnode.blocks.space());
                if let Some(spill) = &dnode.spill {
                    space = space.plus(spill.space());
                }
            }
        });
        space
    }

    /// An object.
    ///
    /// # Errors
    /// `ENOENT` when there is none; `EEXIST` when the number is inside a dnode of several slots. OpenZFS 2.3 `module/zfs/dnode.c`,
    /// `dnode_hold_impl`.
    pub fn object(&self, object: u64) -> Result<&Dnode, Errno> {
        let block = self.dnodes.get(object / SLOTS_PER_BLOCK).ok_or(Errno::ENOENT)?;
        let slot = object % SLOTS_PER_BLOCK;
        match block.get(slot) {
            Some(dnode) => Ok(dnode),
            None if block.covering(slot).is_some() => Err(Errno::EEXIST),
            None => Err(Errno::ENOENT),
        }
    }

    /// Calls `visit` for each object in ascending order.
    pub fn for_each_object(&self, mut visit: impl FnMut(u64, &Dnode)) {
        self.dnodes.for_each(|number, block| {
            block.dnodes().for_each(|(slot, dnode)| visit(number * SLOTS_PER_BLOCK + slot, dnode));
        });
    }

    /// The objects from `first` to before `end`, in ascending order.
    #[must_use]
    pub fn objects_in(&self, first: u64, end: u64) -> Vec<u64> {
        let last = end.saturating_sub(1) / SLOTS_PER_BLOCK;
        let mut found = Vec::new();
        // From block to block: between them there can be room for more than could be counted.
        let mut next = self.dnodes.next(first / SLOTS_PER_BLOCK);
        while let Some(number) = next.filter(|number| *number <= last) {
            if let Some(block) = self.dnodes.get(number) {
                let objects = block.dnodes().map(|(slot, _)| number * SLOTS_PER_BLOCK + slot);
                found.extend(objects.filter(|object| (first..end).contains(object)));
            }
            next = self.dnodes.next(number + 1);
        }
        found
    }

    /// The number that a new object of one slot gets in a dataset that nobody has open: the lowest that is free behind the first indirect block of
    /// dnodes that is less than a quarter full; `None` where there is none. OpenZFS 2.3 `module/zfs/dmu_object.c`, dmu_object_alloc_impl.
    #[must_use]
    pub fn next_number(&self) -> Option<u64> {
        let span = SLOTS_PER_BLOCK << META_SHIFT;
        let is_sparse = |start: &u64| self.objects_in(*start, start + span).len() as u64 * 4 < span;
        let mut starts = (0..OBJECTS_END / span).map(|number| number * span);
        let mut object = starts.find(is_sparse)?.max(1);
        while object < OBJECTS_END {
            match self.object(object) {
                Err(Errno::ENOENT) => return Some(object),
                Ok(dnode) => object += u64::from(dnode.slots.max(1)),
                Err(_) => object += 1,
            }
        }
        None
    }

    /// How many objects there are.
    #[must_use]
    pub fn object_count(&self) -> u64 {
        let mut count = 0;
        self.for_each_object(|_, _| count += 1);
        count
    }

    /// Makes a new object with this number. What else is in its slots must be gone.
    ///
    /// # Errors
    /// `EEXIST` when there is one; `EINVAL` when the number is 0 or too high.
    pub fn claim(&mut self, object: u64, dnode: Dnode, txn: &mut Txn) -> Result<(), Errno> {
        if object == 0 || object >= OBJECTS_END {
            return Err(Errno::EINVAL);
        }
        match self.object(object) {
            Err(Errno::ENOENT) => {}
            _ => return Err(Errno::EEXIST),
        }
        if dnode.slots > 1 {
            self.features |= UsedFeatures::LARGE_DNODE;
        }
        let slot = object % SLOTS_PER_BLOCK;
        self.change_block(object, txn, |block, _| block.put(slot, Kept::new(dnode)))
    }

    /// Frees an object with all its blocks.
    ///
    /// # Errors
    /// As [`Self::object`].
    pub fn free_object(&mut self, object: u64, txn: &mut Txn) -> Result<(), Errno> {
        self.object(object)?;
        self.change_block(object, txn, |block, txn| {
            let Some(dnode) = block.take(object % SLOTS_PER_BLOCK) else { return };
            let mut dnode = dnode.into_value();
            dnode.blocks.clear(txn);
            drop_spill(&mut dnode, txn);
        })
    }

    /// Changes an object. What `change` does to its blocks must be told to the transaction, as the methods of [`Tree`] do.
    ///
    /// # Errors
    /// As [`Self::object`].
    pub fn change<T>(
        &mut self,
        object: u64,
        txn: &mut Txn,
        change: impl FnOnce(&mut Dnode, &mut Txn) -> T,
    ) -> Result<T, Errno> {
        self.object(object)?;
        let slot = object % SLOTS_PER_BLOCK;
        let mut result = None;
        self.change_block(object, txn, |block, txn| {
            if let Some(mut dnode) = block.take(slot) {
                result = Some(change(dnode.make_mut(), txn));
                block.put(slot, dnode);
            }
        })?;
        result.ok_or(Errno::ENOENT)
    }

    /// Says how the block of dnodes around this object is encrypted, as a raw stream has it.
    ///
    /// # Errors
    /// None without a key in the transaction.
    pub fn set_dnode_encryption(
        &mut self,
        object: u64,
        encryption: Encryption,
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        self.change_block(object, txn, |block, _| block.set_encryption(encryption))
    }

    /// The bonus buffer of an object, deciphered.
    ///
    /// # Errors
    /// As [`Self::object`]; as [`DnodeBlock::opened`].
    pub fn bonus(&self, object: u64, key: Option<&DatasetKey>) -> Result<Arc<[u8]>, Errno> {
        let dnode = self.object(object)?;
        let block = self.dnodes.get(object / SLOTS_PER_BLOCK).ok_or(Errno::ENOENT)?;
        match key {
            Some(key) if block.encryption().is_some() => {
                let opened = block.opened(key)?;
                let dnode = opened.get(object % SLOTS_PER_BLOCK).ok_or(Errno::ENOENT)?;
                Ok(Arc::clone(&dnode.bonus))
            }
            _ => Ok(Arc::clone(&dnode.bonus)),
        }
    }

    /// Puts a block into an object, or a hole.
    ///
    /// # Errors
    /// As [`Self::object`].
    pub fn put_block(
        &mut self,
        object: u64,
        number: u64,
        block: Option<Block>,
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        self.features |= block.as_ref().map_or(UsedFeatures::empty(), features_of);
        self.change(object, txn, |dnode, txn| {
            dnode.last_block = dnode.last_block.max(number);
            dnode.blocks.update(number, txn, |_| block);
        })
    }

    /// Frees a range of an object: whole blocks become holes, what is part of a block becomes zero. What is beyond the end of the
    /// object is nothing; up to its end, the object ends before it. OpenZFS 2.3 `module/zfs/dnode.c`, `dnode_free_range`.
    ///
    /// # Errors
    /// As [`Self::object`], and as [`Block::plain`] where only a part of a block is freed.
    pub fn free_range(
        &mut self,
        object: u64,
        offset: u64,
        length: u64,
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        let dnode = self.object(object)?;
        let size = u64::from(dnode.block_bytes);
        let end = offset.saturating_add(length);
        if offset >= dnode.end() || length == 0 {
            return Ok(());
        }
        let whole_end = if end >= dnode.end() { u64::MAX } else { end / size };
        let first = offset.div_ceil(size);
        self.zero_part(object, offset, end.min(first.saturating_mul(size)), txn)?;
        if whole_end != u64::MAX && whole_end >= first {
            self.zero_part(object, whole_end.saturating_mul(size), end, txn)?;
        }
        if first >= whole_end {
            return Ok(());
        }
        self.change(object, txn, |dnode, txn| {
            dnode.blocks.free(first, whole_end.saturating_sub(1), txn);
            if whole_end == u64::MAX {
                dnode.last_block = dnode.last_block.min(first.saturating_sub(1));
            }
        })
    }

    /// Makes a part of one block zero.
    fn zero_part(&mut self, object: u64, from: u64, to: u64, txn: &mut Txn) -> Result<(), Errno> {
        let dnode = self.object(object)?;
        let size = u64::from(dnode.block_bytes);
        if from >= to || from % size == 0 && to - from >= size {
            return Ok(());
        }
        let (number, object_type) = (from / size, dnode.object_type);
        let Some(block) = dnode.blocks.get(number) else { return Ok(()) };
        let mut plain = block.plain(txn.key())?.into_owned();
        let at = |offset: u64| usize::try_from(offset - number * size).unwrap_or(usize::MAX);
        if let Some(part) = plain.get_mut(at(from)..at(to).min(dnode.block_bytes as usize)) {
            part.fill(0);
        }
        let block = Block::of_plain(&plain, object_type, txn)?;
        self.put_block(object, number, block, txn)
    }

    /// The plain content of one block of an object that can be read without a key, whole; zeros where there is a hole.
    ///
    /// # Errors
    /// As [`Self::object`] and [`Block::plain`].
    pub fn read_block(&self, object: u64, number: u64) -> Result<Cow<'_, [u8]>, Errno> {
        self.object(object)?.read_block(number, None)
    }

    /// Fills `buffer` from `offset` of an object; zeros beyond its end. The key is that of an encrypted dataset.
    ///
    /// # Errors
    /// As [`Self::object`] and [`Block::plain`].
    pub fn read(
        &self,
        object: u64,
        offset: u64,
        buffer: &mut [u8],
        key: Option<&DatasetKey>,
    ) -> Result<(), Errno> {
        let dnode = self.object(object)?;
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let (number, inside, length) = span(at, rest.len(), dnode.block_bytes);
            let (part, after) = rest.split_at_mut_checked(length).unwrap_or_default();
            match dnode.blocks.get(number) {
                None => part.fill(0),
                Some(block) => {
                    let plain = block.plain(key)?;
                    let from = plain.get(inside..inside + length).ok_or(Errno::EIO)?;
                    part.copy_from_slice(from);
                }
            }
            rest = after;
            at += length as u64;
        }
        Ok(())
    }

    /// Writes `data` at `offset` of an object, whole blocks or parts of them.
    ///
    /// # Errors
    /// As [`Self::object`]; as [`Block::plain`] where a part of a block is kept; `EFBIG` beyond 64 bits.
    pub fn write(
        &mut self,
        object: u64,
        offset: u64,
        data: &[u8],
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        offset.checked_add(data.len() as u64).ok_or(Errno::EFBIG)?;
        let features = self.change(object, txn, |dnode, txn| dnode.write(offset, data, txn))??;
        self.features |= features;
        Ok(())
    }

    /// Changes the block of dnodes around an object: it, the indirect blocks above and the root are written anew. Where it is sealed it is opened
    /// for that, unless a raw stream changes it.
    fn change_block(
        &mut self,
        object: u64,
        txn: &mut Txn,
        change: impl FnOnce(&mut DnodeBlock, &mut Txn),
    ) -> Result<(), Errno> {
        let number = object / SLOTS_PER_BLOCK;
        let sealed = self.dnodes.get(number).filter(|block| block.encryption().is_some());
        let opened = match (sealed, txn.key()) {
            (Some(block), Some(key)) => Some(block.opened(key)?),
            _ => None,
        };
        self.last_block = self.last_block.max(number);
        // Out of its tree it is nobody else's, so that nothing is copied that no snapshot shares.
        let mut block = self.dnodes.take(number).unwrap_or_else(DnodeBlock::new);
        txn.kill(block.birth(), block.space());
        if let Some(opened) = opened {
            block = opened;
        }
        change(&mut block, txn);
        let settled = block.settle(txn);
        self.dnodes.update(number, txn, |_| settled);
        self.touch(txn);
        Ok(())
    }

    /// The root is written anew, with the indirect blocks of dnodes above those that are kept.
    fn touch(&mut self, txn: &mut Txn) {
        txn.kill(self.birth, self.root_space);
        let policy = txn.policy();
        let above = META_LEVELS.saturating_sub(self.dnodes.levels());
        let indirect = policy.metadata_space(indirect_bytes(1, META_SHIFT));
        let root_bytes = if policy.encrypted { ENCRYPTED_ROOT_BYTES } else { SECTOR_BYTES };
        let root = policy.metadata_space(root_bytes);
        self.root_space = (0..above).fold(root, |sum, _| sum.plus(indirect));
        self.birth = txn.txg();
        self.unsealed |= txn.key().is_some();
        txn.bear(self.root_space);
    }

    /// Puts the spill block of an object, or takes it away.
    ///
    /// # Errors
    /// As [`Self::object`].
    pub fn put_spill(
        &mut self,
        object: u64,
        spill: Option<Block>,
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        self.change(object, txn, |dnode, txn| {
            drop_spill(dnode, txn);
            if let Some(spill) = &spill {
                txn.bear(spill.space());
            }
            dnode.spill = spill;
        })
    }
}

/// Blocks larger than this need the feature `large_blocks`: `SPA_OLD_MAXBLOCKSIZE`.
pub const LARGE_BLOCK_FROM: u32 = 128 << 10;

fn drop_spill(dnode: &mut Dnode, txn: &mut Txn) {
    if let Some(spill) = dnode.spill.take() {
        txn.kill(spill.birth(), spill.space());
    }
}

/// What a block puts to use.
pub(super) fn features_of(block: &Block) -> UsedFeatures {
    let mut features = UsedFeatures::empty();
    features.set(UsedFeatures::LARGE_BLOCKS, block.logical_bytes > LARGE_BLOCK_FROM);
    features.set(UsedFeatures::ZSTD, block.compression == Compression::ZSTD);
    features
}

/// Which block `at` is in, where inside of it, and how much of `length` is in that block.
pub(super) fn span(at: u64, length: usize, block_bytes: u32) -> (u64, usize, usize) {
    let size = u64::from(block_bytes.max(1));
    let inside = usize::try_from(at % size).unwrap_or(0);
    (at / size, inside, length.min(block_bytes as usize - inside))
}
