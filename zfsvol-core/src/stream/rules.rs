//! [`Rules`]: what OpenZFS asks of a record before it receives it, as far as the stream alone can tell.
//!
//! OpenZFS 2.3 `module/zfs/dmu_recv.c`: `receive_object`, `receive_process_write_record`, `receive_write_embedded`, `receive_spill`,
//! `receive_free`, `receive_object_range`. What it does not ask is not asked here, however odd: a stream that is received is sound.

use super::machine::PAYLOAD_BYTES_MAX;
use super::{
    Begin, BeginFlags, Free, Object, ObjectRange, ObjectType, Part, Problem, Record, Spill,
    StreamFeatures, Write, WriteEmbedded,
};
use crate::units::Guid;

/// The smallest block, and what all are multiples of: `SPA_MINBLOCKSIZE`.
const BLOCK_BYTES_MIN: u64 = 512;

/// `ZIO_CHECKSUM_FUNCTIONS`.
const CHECKSUM_TYPES: u8 = 15;

/// Slots of the largest dnode.
const SLOTS_MAX: u8 = 32;

/// What a dnode of one slot has room for besides its head and one block pointer; each further slot adds 512.
const SLOT_BONUS_BYTES: u32 = 320;

/// `SPA_MAXBLOCKSHIFT`.
const INDIRECT_SHIFT_MAX: u8 = 24;

/// `DN_MAX_LEVELS`: what 2^64 bytes of the smallest blocks need.
const LEVELS_MAX: u8 = 12;

/// `DN_MAX_NBLKPTR`.
const BLOCK_POINTERS_MAX: u8 = 3;

/// `DNODES_PER_BLOCK`.
const OBJECTS_PER_BLOCK: u64 = 32;

/// `NUM_BP_EMBEDDED_TYPES`.
const EMBEDDED_TYPES: u8 = 3;

/// `BPE_PAYLOAD_SIZE`.
const EMBEDDED_BYTES_MAX: u32 = 112;

/// What is known of the stream so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    begin: Begin,
    raw: bool,
    /// The snapshot that the records are of.
    guid: Option<Guid>,
    last_write: (u64, u64),
    range: (u64, u64),
}

impl Rules {
    pub(super) fn check(&mut self, part: Part, record: &Record) -> Result<(), Problem> {
        if part != Part::Stream {
            return Ok(());
        }
        if let Record::Begin(begin) = record {
            return self.begin(begin);
        }
        self.guid(record)?;
        match record {
            Record::Object(record) => self.object(record),
            Record::Write(record) => self.write(record),
            Record::WriteEmbedded(record) => self.write_embedded(record),
            Record::Spill(record) => self.spill(record),
            Record::Free(record) => free(record),
            Record::ObjectRange(record) => self.object_range(record),
            Record::Begin(_)
            | Record::End(_)
            | Record::FreeObjects(_)
            | Record::Redact(_)
            | Record::WriteByref(_) => Ok(()),
        }
    }

    fn begin(&mut self, begin: &Begin) -> Result<(), Problem> {
        let features = begin.features();
        let unknown = features.difference(StreamFeatures::KNOWN);
        if !unknown.is_empty() {
            return Err(Problem::Features(unknown));
        }
        *self =
            Self { begin: *begin, raw: features.contains(StreamFeatures::RAW), ..Self::default() };
        Ok(())
    }

    /// All records are of the snapshot that was begun. Only in a saved stream (`zfs send -S`) they have the GUID of the dataset that was
    /// partly received, and that has no end. OpenZFS 2.3 `module/zfs/dmu_send.c`, `dmu_send_impl`.
    fn guid(&mut self, record: &Record) -> Result<(), Problem> {
        let found = record.to_guid();
        let expected = if matches!(record, Record::End(_)) {
            self.begin.to_guid
        } else {
            *self.guid.get_or_insert(found)
        };
        let before = self.guid.filter(|guid| *guid != expected);
        match before.or(Some(found).filter(|guid| *guid != expected)) {
            Some(found) => Err(Problem::Guid { expected, found }),
            None => Ok(()),
        }
    }

    fn object(&self, object: &Object) -> Result<(), Problem> {
        let block = u64::from(object.block_bytes);
        let slots = object.slots.max(1);
        object_type("object type", object.object_type, object.object_type != ObjectType::NONE)?;
        object_type("bonus type", object.bonus_type, true)?;
        let checksum = object.checksum_type;
        ensure(checksum < CHECKSUM_TYPES, "checksum type", checksum, "at most 14")?;
        compression(object.compression.0)?;
        let fits = block >= BLOCK_BYTES_MIN
            && block <= PAYLOAD_BYTES_MAX.into()
            && block % BLOCK_BYTES_MIN == 0;
        ensure(fits, "block size", block, "a multiple of 512, at most 16 MiB")?;
        ensure(slots <= SLOTS_MAX, "number of slots", slots, "at most 32")?;
        if self.raw {
            let room = SLOT_BONUS_BYTES + (u32::from(slots) - 1) * 512;
            let (bonus, raw_bonus) = (object.bonus_bytes, object.raw_bonus_bytes);
            let (first, slots) = self.range;
            let inside = object.object >= first && object.object - first < slots;
            ensure(inside, "object", object.object, "one of the object range before")?;
            ensure(raw_bonus >= bonus, "raw bonus length", raw_bonus, "at least the bonus length")?;
            ensure(
                raw_bonus <= room,
                "raw bonus length",
                raw_bonus,
                "what the slots have room for",
            )?;
            let shift = object.indirect_shift;
            ensure(shift <= INDIRECT_SHIFT_MAX, "indirect block shift", shift, "at most 24")?;
            ensure(object.levels <= LEVELS_MAX, "number of levels", object.levels, "at most 12")?;
            let pointers = object.block_pointers;
            return ensure(pointers <= BLOCK_POINTERS_MAX, "block pointers", pointers, "at most 3");
        }
        let spills = self.begin.flags.contains(BeginFlags::SPILL_BLOCK);
        let allowed = if spills { Object::HAS_SPILL } else { 0 };
        ensure(object.flags & !allowed == 0, "flags", object.flags, "no flags of raw streams")?;
        let raw_only = [object.raw_bonus_bytes, object.block_pointers.into(), object.levels.into()];
        let raw_only = raw_only.into_iter().chain([object.indirect_shift.into()]);
        let found = raw_only.max().unwrap_or_default();
        ensure(found == 0, "field of raw streams", found, "0, since the stream is not raw")
    }

    fn write(&mut self, write: &Write) -> Result<(), Problem> {
        object_type("object type", write.object_type, true)?;
        compression(write.compression.0)?;
        let logical = write.logical_bytes;
        let fits = logical > 0 && logical <= PAYLOAD_BYTES_MAX.into();
        ensure(fits, "length of the block", logical, "1 byte to 16 MiB")?;
        let found = Record::Write(*write).payload_bytes();
        ensure(found > 0, "compressed length", found, "at least 1")?;
        ends(write.offset, logical)?;
        let found = (write.object, write.offset);
        if found < self.last_write {
            return Err(Problem::WriteOrder { after: self.last_write, found });
        }
        self.last_write = found;
        Ok(())
    }

    fn write_embedded(&self, write: &WriteEmbedded) -> Result<(), Problem> {
        ends(write.offset, write.length)?;
        let (physical, logical) = (write.physical_bytes, write.logical_bytes);
        ensure(physical <= EMBEDDED_BYTES_MAX, "physical length", physical, "at most 112")?;
        ensure(logical <= PAYLOAD_BYTES_MAX, "logical length", logical, "at most 16 MiB")?;
        let kind = write.embedded_type;
        ensure(kind < EMBEDDED_TYPES, "type of an embedded block", kind, "at most 2")?;
        compression(write.compression.0)?;
        ensure(!self.raw, "embedded block in a raw stream", 1_u64, "none")
    }

    fn spill(&self, spill: &Spill) -> Result<(), Problem> {
        let fits = (BLOCK_BYTES_MIN..=PAYLOAD_BYTES_MAX.into()).contains(&spill.length);
        ensure(fits, "length of the spill block", spill.length, "512 bytes to 16 MiB")?;
        if self.raw {
            object_type("type of the spill block", spill.object_type, true)?;
            compression(spill.compression.0)?;
            let compressed = spill.compressed_bytes;
            ensure(compressed > 0, "compressed length", compressed, "at least 1 in a raw stream")?;
        }
        Ok(())
    }

    fn object_range(&mut self, range: &ObjectRange) -> Result<(), Problem> {
        ensure(self.raw, "object range in a stream that is not raw", 1_u64, "none")?;
        ensure(range.slots == OBJECTS_PER_BLOCK, "number of slots", range.slots, "32")?;
        let aligned = range.first % OBJECTS_PER_BLOCK == 0;
        ensure(aligned, "first object", range.first, "a multiple of 32")?;
        self.range = (range.first, range.slots);
        Ok(())
    }
}

fn free(free: &Free) -> Result<(), Problem> {
    if free.length == u64::MAX { Ok(()) } else { ends(free.offset, free.length) }
}

/// A range that ends before the numbers do.
fn ends(offset: u64, length: u64) -> Result<(), Problem> {
    let allowed = "one with which offset and length stay below 2^64";
    ensure(offset.checked_add(length).is_some(), "offset", offset, allowed)
}

fn object_type(name: &'static str, found: ObjectType, also: bool) -> Result<(), Problem> {
    ensure(found.is_valid() && also, name, found.0, "a type that OpenZFS knows")
}

fn compression(found: u8) -> Result<(), Problem> {
    ensure(super::Compression(found).is_valid(), "compression", found, "at most 16")
}

fn ensure(
    right: bool,
    name: &'static str,
    found: impl Into<u64>,
    allowed: &'static str,
) -> Result<(), Problem> {
    if right { Ok(()) } else { Err(Problem::Field { name, found: found.into(), allowed }) }
}
