//! [`Dnode`]: one object, and [`DnodeBlock`]: the 32 of them that are stored together.

use std::borrow::Cow;
use std::sync::Arc;

use super::objset::{UsedFeatures, features_of, span};
use super::tree::POINTER_BYTES;
use super::txn::SECTOR_BYTES;
use super::{Block, DatasetKey, Encryption, Kept, Leaf, Pointer, Space, Tree, Txn};
use crate::kernel::Errno;
use crate::stream::{Compression, ObjectType};

/// How many slots of 512 bytes a block of dnodes has: `DNODES_PER_BLOCK`.
pub const SLOTS_PER_BLOCK: u64 = 32;

/// The most pointers a dnode has: `DN_MAX_NBLKPTR`.
const POINTERS_MAX: u32 = 3;

/// What of a dnode is neither bonus buffer nor pointers, and the first pointer: `DNODE_CORE_SIZE` and one `blkptr_t`.
const FIXED_BYTES: u32 = 64 + POINTER_BYTES;

/// The size of an indirect block, as a power of two: `DN_MAX_INDBLKSHIFT`, which all objects have unless a raw stream says otherwise.
pub const INDIRECT_SHIFT: u8 = 17;

/// The smallest that can be: `DN_MIN_INDBLKSHIFT`.
const INDIRECT_SHIFT_MIN: u8 = 12;

/// A block pointer, as a power of two: `SPA_BLKPTRSHIFT`.
const POINTER_SHIFT: u8 = 7;

/// What the fields of a dnode take when they are compressed, about.
const DNODE_PACKED_BYTES: u32 = 40;

/// What a pointer in a dnode takes when it is compressed, about.
const POINTER_PACKED_BYTES: u32 = 80;

/// An object: what it is, and its blocks. Cloning shares the blocks.
#[derive(Clone, Debug)]
pub struct Dnode {
    /// What it is.
    pub object_type: ObjectType,
    /// What its bonus buffer is.
    pub bonus_type: ObjectType,
    /// Its bonus buffer: where its block is sealed, with all that is encrypted together with it.
    pub bonus: Arc<[u8]>,
    /// The length of the bonus buffer that means something.
    pub bonus_bytes: u32,
    /// The size of its blocks: a multiple of 512.
    pub block_bytes: u32,
    /// How many slots of 512 bytes it takes.
    pub slots: u8,
    /// `enum zio_checksum` of its own; 0 is that of the dataset.
    pub checksum: u8,
    /// The compression of its own; 0 is that of the dataset.
    pub compression: Compression,
    /// The number of its last block; 0 also where it has none.
    pub last_block: u64,
    /// Its spill block.
    pub spill: Option<Block>,
    /// Its blocks.
    pub blocks: Tree<Block>,
}

impl Dnode {
    /// An object without blocks.
    #[must_use]
    pub fn new(object_type: ObjectType, block_bytes: u32) -> Self {
        Self::with_bonus(object_type, block_bytes, ObjectType::NONE, 0, 1, INDIRECT_SHIFT)
    }

    /// An object without blocks, with room for a bonus buffer. OpenZFS 2.3 `module/zfs/dnode.c`, `dnode_allocate`.
    #[must_use]
    pub fn with_bonus(
        object_type: ObjectType,
        block_bytes: u32,
        bonus_type: ObjectType,
        bonus_bytes: u32,
        slots: u8,
        indirect_shift: u8,
    ) -> Self {
        let roots = pointers(bonus_type, bonus_bytes, slots);
        let bonus = vec![0; bonus_bytes.next_multiple_of(8) as usize];
        Self {
            object_type,
            bonus_type,
            bonus: bonus.into(),
            bonus_bytes,
            block_bytes: block_bytes.max(1).next_multiple_of(SECTOR_BYTES),
            slots: slots.max(1),
            checksum: 0,
            compression: Compression::NONE,
            last_block: 0,
            spill: None,
            blocks: Tree::new(roots, tree_shift(indirect_shift)),
        }
    }

    /// The size of its indirect blocks, as a power of two.
    #[must_use]
    pub fn indirect_shift(&self) -> u8 {
        self.blocks.shift() + POINTER_SHIFT
    }

    /// Gives an object without blocks indirect blocks of this size.
    pub fn set_indirect_shift(&mut self, indirect_shift: u8) {
        if self.blocks.is_empty() {
            self.blocks = Tree::new(self.blocks.roots(), tree_shift(indirect_shift));
        }
    }

    /// Makes another object of it, in place: its blocks stay unless they were freed before, and so do its levels. The bonus buffer is empty
    /// then. OpenZFS 2.3 `module/zfs/dnode.c`, `dnode_reallocate`.
    pub(crate) fn reallocate(
        &mut self,
        object_type: ObjectType,
        block_bytes: u32,
        bonus_type: ObjectType,
        bonus_bytes: u32,
    ) {
        self.object_type = object_type;
        self.block_bytes = block_bytes;
        self.bonus_type = bonus_type;
        self.bonus_bytes = bonus_bytes;
        self.bonus = vec![0; bonus_bytes.next_multiple_of(8) as usize].into();
        self.checksum = 0;
        self.compression = Compression::NONE;
        self.blocks.set_roots(pointers(bonus_type, bonus_bytes, self.slots));
    }

    /// The length of all blocks to the last one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.last_block.saturating_add(1).saturating_mul(self.block_bytes.into())
    }

    /// The plain content of one block, whole; zeros where there is a hole.
    ///
    /// # Errors
    /// As [`Block::plain`].
    pub fn read_block(
        &self,
        number: u64,
        key: Option<&DatasetKey>,
    ) -> Result<Cow<'_, [u8]>, Errno> {
        match self.blocks.get(number) {
            Some(block) => block.plain(key),
            None => Ok(Cow::Owned(vec![0; self.block_bytes as usize])),
        }
    }

    /// Writes `data` at `offset`, which with it is no more than 64 bits. Answers what was put to use.
    pub(super) fn write(
        &mut self,
        offset: u64,
        data: &[u8],
        txn: &mut Txn,
    ) -> Result<UsedFeatures, Errno> {
        let mut features = UsedFeatures::empty();
        let (mut at, mut rest) = (offset, data);
        while !rest.is_empty() {
            let (number, inside, length) = span(at, rest.len(), self.block_bytes);
            let (part, after) = rest.split_at_checked(length).unwrap_or_default();
            let block = if length == self.block_bytes as usize {
                Block::of_plain(part, self.object_type, txn)?
            } else {
                let mut whole = self.read_block(number, txn.key())?.into_owned();
                let place = whole.get_mut(inside..inside + length).ok_or(Errno::EIO)?;
                place.copy_from_slice(part);
                Block::of_plain(&whole, self.object_type, txn)?
            };
            features |= block.as_ref().map_or(features, features_of);
            self.last_block = self.last_block.max(number);
            self.blocks.update(number, txn, |_| block);
            rest = after;
            at += length as u64;
        }
        Ok(features)
    }

    /// What it takes in its block of dnodes, compressed, about.
    fn packed_bytes(&self) -> u32 {
        let pointer = |pointer: &Pointer<Block>| match pointer {
            Pointer::Hole(0) => 0,
            Pointer::Hole(_) => 8,
            Pointer::Leaf(block) if block.is_embedded() => block.physical_bytes() + 16,
            Pointer::Leaf(_) | Pointer::Node(_) => POINTER_PACKED_BYTES,
        };
        let pointers: u32 = self.blocks.children().iter().map(|(_, each)| pointer(each)).sum();
        let spill = if self.spill.is_some() { POINTER_PACKED_BYTES } else { 0 };
        DNODE_PACKED_BYTES + pointers + spill + self.bonus_bytes / 2
    }
}

/// How many pointers a dnode with such a bonus buffer has.
#[must_use]
pub fn pointers(bonus_type: ObjectType, bonus_bytes: u32, slots: u8) -> u8 {
    if bonus_type == ObjectType::SA {
        // All room there is is for attributes.
        return 1;
    }
    let room = bonus_room(slots).saturating_sub(bonus_bytes);
    u8::try_from((1 + room / POINTER_BYTES).min(POINTERS_MAX)).unwrap_or(1)
}

/// The most a bonus buffer can have in a dnode of so many slots: `DN_SLOTS_TO_BONUSLEN`.
#[must_use]
pub fn bonus_room(slots: u8) -> u32 {
    (u32::from(slots.max(1)) * SECTOR_BYTES).saturating_sub(FIXED_BYTES)
}

fn tree_shift(indirect_shift: u8) -> u8 {
    indirect_shift.clamp(INDIRECT_SHIFT_MIN, INDIRECT_SHIFT) - POINTER_SHIFT
}

/// The dnodes that are stored together in a block of 16 KiB: the unit in which an increment tells what changed. Cloning shares the dnodes.
#[derive(Clone, Debug)]
pub struct DnodeBlock {
    pub(super) birth: u64,
    pub(super) space: Space,
    pub(super) dnodes: Vec<(u8, Kept<Dnode>)>,
    /// How the bonus buffers are encrypted, where it is sealed.
    pub(super) encryption: Option<Arc<Encryption>>,
}

impl DnodeBlock {
    /// A block of no dnode.
    pub(super) fn new() -> Self {
        Self { birth: 0, space: Space::ZERO, dnodes: Vec::new(), encryption: None }
    }

    /// The dnodes, by their slot.
    pub fn dnodes(&self) -> impl Iterator<Item = (u64, &Dnode)> {
        self.dnodes.iter().map(|(slot, dnode)| (u64::from(*slot), &**dnode))
    }

    /// How the bonus buffers are encrypted, where it is sealed; until then they can be read.
    #[must_use]
    pub fn encryption(&self) -> Option<&Encryption> {
        self.encryption.as_deref()
    }

    pub(super) fn set_encryption(&mut self, encryption: Encryption) {
        self.encryption = Some(Arc::new(encryption));
    }

    pub(super) fn clear_encryption(&mut self) {
        self.encryption = None;
    }

    /// Those that `wanted` says, to be changed; the others stay shared.
    pub(super) fn dnodes_mut(
        &mut self,
        wanted: impl Fn(&Dnode) -> bool,
    ) -> impl Iterator<Item = &mut Dnode> {
        let wanted = self.dnodes.iter_mut().filter(move |(_, dnode)| wanted(dnode));
        wanted.map(|(_, dnode)| dnode.make_mut())
    }

    /// The dnode in this slot.
    pub(super) fn get(&self, slot: u64) -> Option<&Kept<Dnode>> {
        let at = self.position(slot).ok()?;
        self.dnodes.get(at).map(|(_, dnode)| dnode)
    }

    /// The slot of the dnode that reaches into this slot from before.
    pub(super) fn covering(&self, slot: u64) -> Option<u64> {
        let before = self.dnodes().take_while(|(at, _)| *at < slot).last();
        before.filter(|(at, dnode)| at + u64::from(dnode.slots) > slot).map(|(at, _)| at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.dnodes.is_empty()
    }

    pub(super) fn take(&mut self, slot: u64) -> Option<Kept<Dnode>> {
        let at = self.position(slot).ok()?;
        Some(self.dnodes.remove(at).1)
    }

    pub(super) fn put(&mut self, slot: u64, dnode: Kept<Dnode>) {
        let Ok(key) = u8::try_from(slot) else { return };
        match self.position(slot) {
            Ok(at) => {
                if let Some(entry) = self.dnodes.get_mut(at) {
                    entry.1 = dnode;
                }
            }
            Err(at) => self.dnodes.insert(at, (key, dnode)),
        }
    }

    /// It was changed: gives it its birth, and says anew what it takes.
    pub(super) fn settle(mut self, txn: &Txn) -> Option<Self> {
        if self.is_empty() {
            return None;
        }
        let packed: u32 = self.dnodes().map(|(_, dnode)| dnode.packed_bytes()).sum();
        // What is encrypted is not compressed here.
        let stored = match txn.policy().encrypted {
            true => DNODE_BLOCK_BYTES,
            false => (packed + SECTOR_BYTES / 8).next_multiple_of(SECTOR_BYTES),
        };
        let stored = stored.min(DNODE_BLOCK_BYTES);
        self.birth = txn.txg();
        self.space = txn.policy().metadata_space(stored);
        Some(self)
    }

    fn position(&self, slot: u64) -> Result<usize, usize> {
        self.dnodes.binary_search_by_key(&slot, |(at, _)| u64::from(*at))
    }
}

/// `DNODE_BLOCK_SIZE`.
pub(super) const DNODE_BLOCK_BYTES: u32 = 16 << 10;

impl Leaf for DnodeBlock {
    fn birth(&self) -> u64 {
        self.birth
    }

    fn space(&self) -> Space {
        self.space
    }
}
