//! The fields of a record, one after the other: read and written by the same list, so that the two cannot differ.

use super::{
    Begin, BeginFlags, CryptParams, DedupKey, End, Free, FreeObjects, Object, ObjectRange, Record,
    Redact, Spill, Write, WriteByref, WriteEmbedded,
};
use crate::nvlist::ByteOrder;
use crate::units::Guid;

/// What is done with each field of a record, in the order of the C struct.
pub(super) trait Fields {
    /// A field of `bytes.len()` bytes that has no byte order.
    fn bytes(&mut self, bytes: &mut [u8]);
    /// A field of 32 bits.
    fn u32(&mut self, number: &mut u32);
    /// A field of 64 bits.
    fn u64(&mut self, number: &mut u64);
    /// Bytes that mean nothing.
    fn skip(&mut self, bytes: usize);

    /// A field of 8 bits.
    fn u8(&mut self, number: &mut u8) {
        let mut bytes = [*number];
        self.bytes(&mut bytes);
        [*number] = bytes;
    }

    /// Several fields of 64 bits.
    fn u64s(&mut self, numbers: &mut [u64]) {
        numbers.iter_mut().for_each(|number| self.u64(number));
    }

    /// A GUID.
    fn guid(&mut self, guid: &mut Guid) {
        let mut number = guid.get();
        self.u64(&mut number);
        *guid = Guid::new(number);
    }
}

/// Fills the fields with what is in a record. Of a record that is too short the rest is left as it was; none is.
pub(super) struct Decode<'a> {
    pub(super) rest: &'a [u8],
    pub(super) byte_order: ByteOrder,
}

impl Decode<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*field)
    }
}

impl Fields for Decode<'_> {
    fn bytes(&mut self, bytes: &mut [u8]) {
        if let Some((field, rest)) = self.rest.split_at_checked(bytes.len()) {
            bytes.copy_from_slice(field);
            self.rest = rest;
        }
    }

    fn u32(&mut self, number: &mut u32) {
        if let Some(field) = self.take() {
            *number = match self.byte_order {
                ByteOrder::Little => u32::from_le_bytes(field),
                ByteOrder::Big => u32::from_be_bytes(field),
            };
        }
    }

    fn u64(&mut self, number: &mut u64) {
        if let Some(field) = self.take() {
            *number = match self.byte_order {
                ByteOrder::Little => u64::from_le_bytes(field),
                ByteOrder::Big => u64::from_be_bytes(field),
            };
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

/// Writes the fields into a record, and leaves what is between them as it is.
pub(super) struct Encode<'a> {
    pub(super) rest: &'a mut [u8],
    pub(super) byte_order: ByteOrder,
}

impl Fields for Encode<'_> {
    fn bytes(&mut self, bytes: &mut [u8]) {
        let rest = std::mem::take(&mut self.rest);
        if let Some((field, rest)) = rest.split_at_mut_checked(bytes.len()) {
            field.copy_from_slice(bytes);
            self.rest = rest;
        }
    }

    fn u32(&mut self, number: &mut u32) {
        self.bytes(&mut match self.byte_order {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Big => number.to_be_bytes(),
        });
    }

    fn u64(&mut self, number: &mut u64) {
        self.bytes(&mut match self.byte_order {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Big => number.to_be_bytes(),
        });
    }

    fn skip(&mut self, bytes: usize) {
        let rest = std::mem::take(&mut self.rest);
        self.rest = rest.get_mut(bytes..).unwrap_or_default();
    }
}

impl Record {
    /// Goes over the fields of the union, in their order.
    pub(super) fn fields(&mut self, fields: &mut impl Fields) {
        match self {
            Self::Begin(record) => record.fields(fields),
            Self::Object(record) => record.fields(fields),
            Self::FreeObjects(record) => record.fields(fields),
            Self::Write(record) => record.fields(fields),
            Self::Free(record) => record.fields(fields),
            Self::End(record) => record.fields(fields),
            Self::WriteByref(record) => record.fields(fields),
            Self::Spill(record) => record.fields(fields),
            Self::WriteEmbedded(record) => record.fields(fields),
            Self::ObjectRange(record) => record.fields(fields),
            Self::Redact(record) => record.fields(fields),
        }
    }
}

impl Begin {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.magic);
        fields.u64(&mut self.version_info);
        fields.u64(&mut self.creation_time);
        fields.u32(&mut self.objset_type);
        let mut flags = self.flags.bits();
        fields.u32(&mut flags);
        self.flags = BeginFlags::from_bits_retain(flags);
        fields.guid(&mut self.to_guid);
        fields.guid(&mut self.from_guid);
        fields.bytes(&mut self.to_name.0);
    }
}

impl Object {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.object);
        fields.u32(&mut self.object_type.0);
        fields.u32(&mut self.bonus_type.0);
        fields.u32(&mut self.block_bytes);
        fields.u32(&mut self.bonus_bytes);
        fields.u8(&mut self.checksum_type);
        fields.u8(&mut self.compression.0);
        fields.u8(&mut self.slots);
        fields.u8(&mut self.flags);
        fields.u32(&mut self.raw_bonus_bytes);
        fields.guid(&mut self.to_guid);
        fields.u8(&mut self.indirect_shift);
        fields.u8(&mut self.levels);
        fields.u8(&mut self.block_pointers);
        fields.skip(5);
        fields.u64(&mut self.last_block);
    }
}

impl FreeObjects {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.first);
        fields.u64(&mut self.count);
        fields.guid(&mut self.to_guid);
    }
}

impl CryptParams {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.bytes(&mut self.salt);
        fields.bytes(&mut self.iv);
        fields.bytes(&mut self.mac);
    }
}

impl DedupKey {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64s(&mut self.checksum);
        fields.u64(&mut self.properties);
    }
}

impl Write {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.object);
        fields.u32(&mut self.object_type.0);
        fields.skip(4);
        fields.u64(&mut self.offset);
        fields.u64(&mut self.logical_bytes);
        fields.guid(&mut self.to_guid);
        fields.u8(&mut self.checksum_type);
        fields.u8(&mut self.flags);
        fields.u8(&mut self.compression.0);
        fields.skip(5);
        self.key.fields(fields);
        fields.u64(&mut self.compressed_bytes);
        self.crypt.fields(fields);
    }
}

impl Free {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.object);
        fields.u64(&mut self.offset);
        fields.u64(&mut self.length);
        fields.guid(&mut self.to_guid);
    }
}

impl End {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64s(&mut self.checksum.0);
        fields.guid(&mut self.to_guid);
    }
}

impl WriteByref {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.object);
        fields.u64(&mut self.offset);
        fields.u64(&mut self.length);
        fields.guid(&mut self.to_guid);
        fields.guid(&mut self.ref_guid);
        fields.u64(&mut self.ref_object);
        fields.u64(&mut self.ref_offset);
        fields.u8(&mut self.checksum_type);
        fields.u8(&mut self.flags);
        fields.skip(6);
        self.key.fields(fields);
    }
}

impl Spill {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.object);
        fields.u64(&mut self.length);
        fields.guid(&mut self.to_guid);
        fields.u8(&mut self.flags);
        fields.u8(&mut self.compression.0);
        fields.skip(6);
        fields.u64(&mut self.compressed_bytes);
        self.crypt.fields(fields);
        fields.u32(&mut self.object_type.0);
    }
}

impl WriteEmbedded {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.object);
        fields.u64(&mut self.offset);
        fields.u64(&mut self.length);
        fields.guid(&mut self.to_guid);
        fields.u8(&mut self.compression.0);
        fields.u8(&mut self.embedded_type);
        fields.skip(6);
        fields.u32(&mut self.logical_bytes);
        fields.u32(&mut self.physical_bytes);
    }
}

impl ObjectRange {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.first);
        fields.u64(&mut self.slots);
        fields.guid(&mut self.to_guid);
        self.crypt.fields(fields);
        fields.u8(&mut self.flags);
    }
}

impl Redact {
    fn fields(&mut self, fields: &mut impl Fields) {
        fields.u64(&mut self.object);
        fields.u64(&mut self.offset);
        fields.u64(&mut self.length);
        fields.guid(&mut self.to_guid);
    }
}
