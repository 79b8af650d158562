//! The fields of a record, one after the other: read and written by the same list, so that the two cannot differ.

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
