//! [`ObjsetReceiver`]: records applied one by one. OpenZFS 2.3 `module/zfs/dmu_recv.c`, `receive_process_record`.

use crate::embedded::data::{
    Block, Dnode, Encryption, INDIRECT_SHIFT, OBJECTS_END, Objset, SLOTS_PER_BLOCK, Txn,
    bonus_room, unpack,
};
use crate::kernel::Errno;
use crate::stream::{
    Begin, BeginFlags, Compression, CryptParams, Free, FreeObjects, Object, ObjectRange,
    ObjectType, RAW_SWAPPED, Record, Spill, StreamFeatures, Write, WriteEmbedded,
};

/// The largest block: `SPA_MAXBLOCKSIZE`, and the smallest.
const BLOCK_BYTES: std::ops::RangeInclusive<u32> = 512..=16 << 20;

/// The most slots of a dnode: `DNODE_MAX_SIZE`, 16 KiB.
const SLOTS_MAX: u8 = 32;

/// Checksums and compressions there are: `ZIO_CHECKSUM_FUNCTIONS`, `ZIO_COMPRESS_FUNCTIONS`.
const CHECKSUMS: u8 = 15;

/// The most levels a raw stream may ask for: `DN_MAX_LEVELS`.
const LEVELS_MAX: u8 = 10;

/// The most pointers of a dnode: `DN_MAX_NBLKPTR`.
const POINTERS_MAX: u8 = 3;

/// The largest indirect block a raw stream may ask for, as a power of two: `SPA_MAXBLOCKSHIFT`.
const INDIRECT_SHIFT_MAX: u8 = 24;

/// The most that fits into a block pointer: `BPE_PAYLOAD_SIZE`.
const EMBEDDED_BYTES_MAX: u32 = 112;

/// The bonus buffer of a dnode of one slot: `DN_OLD_MAX_BONUSLEN`.
const OLD_BONUS_BYTES_MAX: u32 = 320;

/// A spill block that is there already: `DRR_SPILL_UNMODIFIED`.
const SPILL_UNMODIFIED: u8 = 1 << 2;

/// Where a file's generation is among its attributes, behind their head: `SA_GEN_OFFSET`.
const GENERATION_AT: usize = 16;

/// What the head of attributes begins with: `SA_MAGIC`.
const ATTRIBUTES_MAGIC: u32 = 0x2f_505a;

/// How records are applied: what the begin record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverOptions {
    /// What is encrypted stays so.
    pub raw: bool,
    /// The stream is a full one: what it says of an object replaces all of it.
    pub full: bool,
    /// It says which objects have spill blocks.
    pub spill: bool,
    /// It has the byte order other than that of this machine.
    pub swapped: bool,
    /// It can go on after an object as well as after a block: not in 2.1.
    pub notes_objects: bool,
}

impl ReceiverOptions {
    /// What the begin record says.
    #[must_use]
    pub fn of(begin: &Begin, swapped: bool) -> Self {
        Self {
            raw: begin.features().contains(StreamFeatures::RAW),
            full: begin.from_guid.get() == 0,
            spill: begin.flags.contains(BeginFlags::SPILL_BLOCK),
            swapped,
            notes_objects: true,
        }
    }
}

/// Applies the records of one stream, in their order.
#[derive(Debug)]
pub struct ObjsetReceiver {
    options: ReceiverOptions,
    /// The block of dnodes that a raw stream is in: its first object, and how it is encrypted until that was noted.
    range: Option<(u64, Option<Encryption>)>,
    max_object: u64,
    /// Object and offset of the last block.
    last_write: (u64, u64),
    resume: Option<(u64, u64)>,
}

impl ObjsetReceiver {
    /// Nothing was received yet.
    #[must_use]
    pub fn new(options: ReceiverOptions) -> Self {
        Self { options, range: None, max_object: 0, last_write: (0, 0), resume: None }
    }

    /// Object and offset to go on with, should nothing more come: of the last object or block.
    #[must_use]
    pub fn resume(&self) -> Option<(u64, u64)> {
        self.resume
    }

    /// The highest object that the stream has named.
    #[must_use]
    pub fn max_object(&self) -> u64 {
        self.max_object
    }

    /// Applies a record that is neither begin nor end.
    ///
    /// # Errors
    /// `EINVAL` for a record that cannot be applied; as [`Block::plain`] where a part of a block is changed.
    pub fn apply(
        &mut self,
        objset: &mut Objset,
        record: &Record,
        payload: &[u8],
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        match record {
            Record::Object(record) => self.object(objset, record, payload, txn),
            Record::FreeObjects(record) => free_objects(objset, record, txn),
            Record::Write(record) => self.write(objset, record, payload, txn),
            Record::WriteEmbedded(record) => self.write_embedded(objset, record, payload, txn),
            Record::Free(record) => self.free(objset, record, txn),
            Record::Spill(record) => self.spill(objset, record, payload, txn),
            Record::ObjectRange(record) => self.object_range(record),
            Record::Redact(record) => {
                let (object, offset) = (record.object, record.offset);
                let free = Free { object, offset, length: record.length, to_guid: record.to_guid };
                self.free(objset, &free, txn)
            }
            // Deduplicated streams are refused before, and begin and end are the caller's.
            Record::Begin(_) | Record::End(_) | Record::WriteByref(_) => Err(Errno::EINVAL),
        }
    }

    /// Frees what a full stream that was received onto a clone has not named.
    ///
    /// # Errors
    /// None that can be expected.
    pub fn free_the_rest(&self, objset: &mut Objset, txn: &mut Txn) -> Result<(), Errno> {
        for object in objset.objects_in(self.max_object.saturating_add(1), u64::MAX) {
            objset.free_object(object, txn)?;
        }
        Ok(())
    }

    fn note(&mut self, object: u64) {
        self.max_object = self.max_object.max(object);
    }

    fn object(
        &mut self,
        objset: &mut Objset,
        record: &Object,
        bonus: &[u8],
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        self.check_object(record, txn)?;
        self.note(record.object);
        let slots = record.slots.max(1);
        let existing = match objset.object(record.object) {
            Ok(_) => {
                let kept = self.keep_existing(objset, record, bonus, txn)?;
                objset.object(record.object).is_ok().then_some(kept)
            }
            Err(Errno::ENOENT) => None,
            // Inside of a dnode that the stream has freed before.
            Err(_) => return Err(Errno::EINVAL),
        };
        for slot in record.object + 1..record.object.saturating_add(slots.into()) {
            match objset.free_object(slot, txn) {
                Ok(()) | Err(Errno::ENOENT | Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        match existing {
            None => {
                let shift = if self.options.raw { record.indirect_shift } else { INDIRECT_SHIFT };
                let dnode = Dnode::with_bonus(
                    record.object_type,
                    record.block_bytes,
                    record.bonus_type,
                    record.bonus_bytes,
                    slots,
                    shift,
                );
                objset.claim(record.object, dnode, txn).map_err(|_| Errno::EINVAL)?;
            }
            Some(block_bytes) => self.reclaim(objset, record, block_bytes, txn)?,
        }
        if let Some((first, Some(encryption))) = self.range {
            objset.set_dnode_encryption(first, encryption, txn)?;
            self.range = Some((first, None));
        }
        let (raw, swapped) = (self.options.raw, self.options.swapped);
        objset.change(record.object, txn, |dnode, txn| {
            dnode.checksum = record.checksum_type;
            dnode.compression = record.compression;
            if raw {
                dnode.block_bytes = record.block_bytes;
                if dnode.indirect_shift() != record.indirect_shift {
                    dnode.set_indirect_shift(record.indirect_shift);
                }
                dnode.blocks.set_levels(record.levels, txn);
                dnode.last_block = record.last_block;
            }
            if !bonus.is_empty() {
                dnode.bonus = bonus.into();
                // What follows the record is in the byte order of the stream, unless it is encrypted.
                if swapped && !raw {
                    let mut bonus = bonus.to_vec();
                    super::swap::swap(record.bonus_type, &mut bonus);
                    dnode.bonus = bonus.into();
                }
            }
        })?;
        if self.options.notes_objects {
            self.resume = Some((record.object, 0));
        }
        Ok(())
    }

    fn check_object(&self, record: &Object, txn: &Txn) -> Result<(), Errno> {
        let max = if txn.policy().large_blocks { *BLOCK_BYTES.end() } else { 128 << 10 };
        let slots = record.slots.max(1);
        let valid = record.object != 0
            && record.object_type != ObjectType::NONE
            && record.object_type.is_valid()
            && record.bonus_type.is_valid()
            && record.checksum_type < CHECKSUMS
            && record.compression.is_valid()
            && record.block_bytes % 512 == 0
            && (*BLOCK_BYTES.start()..=max).contains(&record.block_bytes)
            && record.bonus_bytes <= bonus_room(SLOTS_MAX)
            && slots <= SLOTS_MAX
            // The module takes these for granted.
            && record.object % SLOTS_PER_BLOCK + u64::from(slots) <= SLOTS_PER_BLOCK
            && record.bonus_bytes <= bonus_room(slots)
            && record.object < OBJECTS_END;
        let fits = if self.options.raw {
            self.range
                .is_some_and(|(first, _)| (first..first + SLOTS_PER_BLOCK).contains(&record.object))
                && record.raw_bonus_bytes >= record.bonus_bytes
                && record.indirect_shift <= INDIRECT_SHIFT_MAX
                && record.levels <= LEVELS_MAX
                && record.block_pointers <= POINTERS_MAX
                && record.raw_bonus_bytes <= bonus_room(slots)
        } else {
            let spill = record.flags & Object::HAS_SPILL != 0;
            record.flags & !Object::HAS_SPILL == 0
                && (self.options.spill || !spill)
                && record.raw_bonus_bytes == 0
                && record.block_pointers == 0
                && record.indirect_shift == 0
                && record.levels == 0
        };
        if valid && fits { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// An object of this number is there: decides whether it is the same one, and frees what another has to give way to. Answers the block
    /// size it is to have. `receive_handle_existing_object`.
    fn keep_existing(
        &self,
        objset: &mut Objset,
        record: &Object,
        bonus: &[u8],
        txn: &mut Txn,
    ) -> Result<u32, Errno> {
        let dnode = objset.object(record.object)?;
        let raw = self.options.raw;
        let slots = record.slots.max(1);
        let pointers = deduced_pointers(record);
        if raw && pointers != record.block_pointers {
            return Err(Errno::EINVAL);
        }
        let (had_shift, had_levels) = (dnode.indirect_shift(), dnode.blocks.levels());
        let had_block_bytes = dnode.block_bytes;
        let mut block_bytes = record.block_bytes;
        let mut replaced = false;
        if record.block_bytes != dnode.block_bytes {
            let is_file =
                record.object_type == ObjectType::FILE && dnode.object_type == ObjectType::FILE;
            if raw || self.options.full || !is_file || dnode.last_block == 0 {
                replaced = true;
            } else if generation(dnode.bonus_type, &objset.bonus(record.object, txn.key())?)?
                == generation(record.bonus_type, bonus)?
            {
                // The same file, of an increment that sends larger blocks than the stream before.
                if record.block_bytes <= dnode.block_bytes {
                    return Err(Errno::EINVAL);
                }
                block_bytes = dnode.block_bytes;
            } else {
                replaced = true;
            }
        }
        replaced |= pointers < dnode.blocks.roots();
        replaced |= slots != dnode.slots;
        replaced |= raw && (record.indirect_shift != had_shift || record.levels < had_levels);
        let other_slots = slots != dnode.slots;
        if replaced {
            self.free_in(objset, record.object, 0, u64::MAX, txn)?;
            // Nothing of it is left, so it has one block again.
            objset.change(record.object, txn, |dnode, _| dnode.last_block = 0)?;
        }
        let other_tree = raw
            && (had_levels > 1 && record.indirect_shift != had_shift || record.levels < had_levels);
        if other_tree || other_slots {
            objset.free_object(record.object, txn)?;
            return Ok(block_bytes);
        }
        if raw && !replaced {
            let end = record.last_block.saturating_add(1).saturating_mul(had_block_bytes.into());
            self.free_in(objset, record.object, end, u64::MAX, txn)?;
        }
        Ok(block_bytes)
    }

    /// Gives an object that stays its new properties.
    fn reclaim(
        &self,
        objset: &mut Objset,
        record: &Object,
        block_bytes: u32,
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        let dnode = objset.object(record.object)?;
        let has_spill = record.flags & Object::HAS_SPILL != 0;
        let changed = record.object_type != dnode.object_type
            || block_bytes != dnode.block_bytes
            || record.bonus_type != dnode.bonus_type
            || record.bonus_bytes != dnode.bonus_bytes;
        let keep_spill = if changed {
            self.options.spill && has_spill
        } else {
            !self.options.spill || has_spill
        };
        if dnode.spill.is_some() && !keep_spill {
            objset.put_spill(record.object, None, txn)?;
        }
        if changed {
            objset.change(record.object, txn, |dnode, _| {
                let (bonus_type, bonus_bytes) = (record.bonus_type, record.bonus_bytes);
                dnode.reallocate(record.object_type, block_bytes, bonus_type, bonus_bytes);
            })?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        objset: &mut Objset,
        record: &Write,
        payload: &[u8],
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        let fits = record.offset.checked_add(record.logical_bytes).is_some();
        let place = (record.object, record.offset);
        if !fits || !record.object_type.is_valid() || place < self.last_write {
            return Err(Errno::EINVAL);
        }
        let logical_bytes = block_length(record.logical_bytes)?;
        self.last_write = place;
        self.note(record.object);
        let dnode = objset.object(record.object).map_err(|_| Errno::EINVAL)?;
        let (size, object_type) = (dnode.block_bytes, dnode.object_type);
        let number = record.offset / u64::from(size);
        let compressed = record.compressed_bytes != 0;
        if logical_bytes != size || record.offset % u64::from(size) != 0 {
            if self.options.raw {
                return Err(Errno::EINVAL);
            }
            let plain = self.plain(record.compression, payload, logical_bytes, object_type)?;
            objset.write(record.object, record.offset, &plain, txn)?;
        } else {
            let block = if self.options.raw {
                let encryption = self.encryption(record.crypt, record.flags, object_type);
                let compression = record.compression;
                Some(Block::of_encrypted(payload, size, compression, encryption, object_type, txn))
            } else if compressed && record.compression != Compression::OFF {
                Some(Block::of_compressed(payload, size, record.compression, object_type, txn)?)
            } else if self.options.swapped {
                let mut plain = payload.to_vec();
                super::swap::swap(record.object_type, &mut plain);
                Block::of_plain(&plain, object_type, txn)?
            } else {
                Block::of_plain(payload, object_type, txn)?
            };
            objset.put_block(record.object, number, block, txn)?;
        }
        self.resume = Some(place);
        Ok(())
    }

    /// The content of a block that cannot be kept as it came, because the object has smaller ones.
    fn plain(
        &self,
        compression: Compression,
        payload: &[u8],
        logical_bytes: u32,
        object_type: ObjectType,
    ) -> Result<Vec<u8>, Errno> {
        if !matches!(compression, Compression::NONE | Compression::OFF) {
            return unpack(payload, compression, logical_bytes);
        }
        let mut plain = payload.to_vec();
        if self.options.swapped {
            super::swap::swap(object_type, &mut plain);
        }
        Ok(plain)
    }

    fn write_embedded(
        &mut self,
        objset: &mut Objset,
        record: &WriteEmbedded,
        payload: &[u8],
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        let valid = record.offset.checked_add(record.length).is_some()
            && record.physical_bytes <= EMBEDDED_BYTES_MAX
            && record.embedded_type < 3
            && record.compression.is_valid()
            && !self.options.raw;
        if !valid {
            return Err(Errno::EINVAL);
        }
        self.note(record.object);
        let dnode = objset.object(record.object).map_err(|_| Errno::EINVAL)?;
        let (size, object_type) = (dnode.block_bytes, dnode.object_type);
        // Types other than data are reserved.
        if record.embedded_type != 0 || record.logical_bytes != size {
            return Err(Errno::EINVAL);
        }
        let packed = payload.get(..record.physical_bytes as usize).ok_or(Errno::EINVAL)?;
        let block = Block::of_embedded(packed, size, record.compression, object_type, txn);
        let number = record.offset / u64::from(size);
        objset.put_block(record.object, number, Some(block), txn)?;
        self.resume = Some((record.object, record.offset));
        Ok(())
    }

    fn spill(
        &mut self,
        objset: &mut Objset,
        record: &Spill,
        payload: &[u8],
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        let length = block_length(record.length)?;
        if self.options.spill && record.flags & SPILL_UNMODIFIED != 0 {
            return Ok(());
        }
        let raw = self.options.raw;
        if raw
            && (!record.object_type.is_valid()
                || !record.compression.is_valid()
                || record.compressed_bytes == 0)
        {
            return Err(Errno::EINVAL);
        }
        objset.object(record.object).map_err(|_| Errno::EINVAL)?;
        self.note(record.object);
        let block = if raw {
            let encryption = self.encryption(record.crypt, record.flags, ObjectType::SA);
            let compression = record.compression;
            Some(Block::of_encrypted(payload, length, compression, encryption, ObjectType::SA, txn))
        } else {
            Block::of_plain(payload, ObjectType::SA, txn)?
        };
        objset.put_spill(record.object, block, txn)
    }

    fn free(&mut self, objset: &mut Objset, record: &Free, txn: &mut Txn) -> Result<(), Errno> {
        if record.length != u64::MAX && record.offset.checked_add(record.length).is_none() {
            return Err(Errno::EINVAL);
        }
        objset.object(record.object).map_err(|_| Errno::EINVAL)?;
        self.note(record.object);
        self.free_in(objset, record.object, record.offset, record.length, txn)
    }

    /// Frees a range. A raw stream says itself which block is the last.
    fn free_in(
        &self,
        objset: &mut Objset,
        object: u64,
        offset: u64,
        length: u64,
        txn: &mut Txn,
    ) -> Result<(), Errno> {
        let last_block = objset.object(object)?.last_block;
        objset.free_range(object, offset, length, txn)?;
        if self.options.raw {
            objset.change(object, txn, |dnode, _| dnode.last_block = last_block)?;
        }
        Ok(())
    }

    fn object_range(&mut self, record: &ObjectRange) -> Result<(), Errno> {
        let aligned = record.slots == SLOTS_PER_BLOCK && record.first % SLOTS_PER_BLOCK == 0;
        if !aligned || !self.options.raw || record.first >= OBJECTS_END {
            return Err(Errno::EINVAL);
        }
        self.note(record.first);
        // It is noted with the first object, so that a block without objects stays a hole.
        let encryption = self.encryption(record.crypt, record.flags, ObjectType::SA);
        self.range = Some((record.first, Some(encryption)));
        Ok(())
    }

    fn encryption(&self, crypt: CryptParams, flags: u8, object_type: ObjectType) -> Encryption {
        let swapped = (flags & RAW_SWAPPED != 0) ^ self.options.swapped;
        Encryption { crypt, swapped, readable: !object_type.is_encrypted() }
    }
}

fn free_objects(objset: &mut Objset, record: &FreeObjects, txn: &mut Txn) -> Result<(), Errno> {
    let end = record.first.checked_add(record.count).ok_or(Errno::EINVAL)?;
    for object in objset.objects_in(record.first.max(1), end.min(OBJECTS_END)) {
        objset.free_object(object, txn)?;
    }
    Ok(())
}

/// How many pointers a dnode of one slot has: what the module goes by, whatever the slots.
fn deduced_pointers(record: &Object) -> u8 {
    if record.bonus_type == ObjectType::SA {
        return 1;
    }
    let room = OLD_BONUS_BYTES_MAX.saturating_sub(record.bonus_bytes);
    u8::try_from(1 + room / 128).unwrap_or(1)
}

/// The generation of a file, which tells it from another of the same number. OpenZFS 2.3 `module/zfs/zfs_quota.c`, `zpl_get_file_info`.
fn generation(bonus_type: ObjectType, bonus: &[u8]) -> Result<u64, Errno> {
    if bonus_type != ObjectType::SA {
        return Err(Errno::EINVAL);
    }
    let (magic, rest) = bonus.split_first_chunk().ok_or(Errno::EINVAL)?;
    let layout = rest.first_chunk().ok_or(Errno::EINVAL)?;
    let (magic, layout) = (u32::from_ne_bytes(*magic), u16::from_ne_bytes(*layout));
    let swapped = magic == ATTRIBUTES_MAGIC.swap_bytes();
    if magic != ATTRIBUTES_MAGIC && !swapped {
        return Err(Errno::EINVAL);
    }
    let layout = if swapped { layout.swap_bytes() } else { layout };
    // The length of the head, in units of 8 bytes, above ten bits with the number of the layout.
    let head = usize::from(layout >> 10) * 8;
    let number = bonus.get(head + GENERATION_AT..).and_then(<[u8]>::first_chunk);
    let number = u64::from_ne_bytes(*number.ok_or(Errno::EINVAL)?);
    Ok(if swapped { number.swap_bytes() } else { number })
}

fn block_length(length: u64) -> Result<u32, Errno> {
    u32::try_from(length).ok().filter(|length| BLOCK_BYTES.contains(length)).ok_or(Errno::EINVAL)
}
