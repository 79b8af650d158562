//! [`Header`]: the 312 bytes that every record is, before what follows it.

use super::fields::{Decode, Encode, Fields};
use super::record::{Record, RecordType};
use super::{BEGIN_RECORD_BYTES, Checksum};
use crate::nvlist::ByteOrder;

/// Bytes of a record: `sizeof (dmu_replay_record_t)`, the same in every release.
pub const RECORD_BYTES: usize = BEGIN_RECORD_BYTES;

/// Where the checksum of the record itself begins, which covers all before it. A begin record has name there.
pub(super) const CHECKED_BYTES: usize = RECORD_BYTES - 32;

/// Where the fields of the kind begin, behind type and payload length.
const UNION_AT: usize = 8;

/// A record as it is in the stream: every byte of it, also those without a meaning, so that it can be written again unchanged.
///
/// [`Header::record`] reads the fields; [`Header::with`] changes them and leaves the rest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; RECORD_BYTES],
    byte_order: ByteOrder,
}

impl Header {
    /// These bytes, with numbers in this order.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; RECORD_BYTES], byte_order: ByteOrder) -> Self {
        Self { bytes, byte_order }
    }

    /// A record of this kind with nothing in what has no meaning, and no checksum yet.
    #[must_use]
    pub fn new(record: &Record, byte_order: ByteOrder) -> Self {
        Self::from_bytes([0; RECORD_BYTES], byte_order).with(record)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; RECORD_BYTES] {
        &self.bytes
    }

    /// The order of the numbers in it.
    #[must_use]
    pub const fn byte_order(&self) -> ByteOrder {
        self.byte_order
    }

    /// The number of its kind, known or not: `drr_type`.
    #[must_use]
    pub fn type_number(&self) -> u32 {
        self.type_and_length().0
    }

    /// `drr_payloadlen`: how much follows a begin record. Others leave it 0, and it says nothing of them.
    #[must_use]
    pub fn payload_field(&self) -> u32 {
        self.type_and_length().1
    }

    /// The fields; `None` when the kind is unknown.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        let mut record = Record::empty(RecordType::from_number(self.type_number())?);
        let rest = self.bytes.get(UNION_AT..).unwrap_or_default();
        record.fields(&mut Decode { rest, byte_order: self.byte_order });
        if let Record::Begin(begin) = &mut record {
            begin.payload_bytes = self.payload_field();
        }
        Some(record)
    }

    /// The same with other fields. Bytes that are no field of the kind stay, and so does what is behind the end of a name that is the same.
    #[must_use]
    pub fn with(mut self, record: &Record) -> Self {
        let mut record = *record;
        if let (Record::Begin(new), Some(Record::Begin(old))) = (&mut record, self.record()) {
            if new.to_name.as_bytes() == old.to_name.as_bytes() {
                new.to_name = old.to_name;
            }
        }
        let byte_order = self.byte_order;
        let mut length = match &record {
            Record::Begin(begin) => begin.payload_bytes,
            _ => self.payload_field(),
        };
        let mut fields = Encode { rest: &mut self.bytes, byte_order };
        fields.u32(&mut record.record_type().number());
        fields.u32(&mut length);
        record.fields(&mut fields);
        self
    }

    /// The same record as a machine of the other byte order would write it, its checksum included.
    ///
    /// What follows the record is not swapped: that can be told only by what it is.
    #[must_use]
    pub fn swapped(&self) -> Self {
        let byte_order = match self.byte_order {
            ByteOrder::Little => ByteOrder::Big,
            ByteOrder::Big => ByteOrder::Little,
        };
        let Some(record) = self.record() else { return *self };
        let mut swapped = Self::from_bytes(self.bytes, byte_order);
        let mut fields = Encode { rest: &mut swapped.bytes, byte_order };
        fields.u32(&mut self.type_number());
        fields.u32(&mut self.payload_field());
        swapped = swapped.with(&record);
        if record.record_type() != RecordType::Begin {
            swapped.set_checksum(self.checksum());
        }
        swapped
    }

    /// The checksum of the record itself, which all kinds but begin records have; zero in streams of before 2014, and where a
    /// package begins and ends.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        let mut checksum = Checksum::ZERO;
        let rest = self.bytes.get(CHECKED_BYTES..).unwrap_or_default();
        Decode { rest, byte_order: self.byte_order }.u64s(&mut checksum.0);
        checksum
    }

    /// Changes the checksum of the record itself.
    pub(super) fn set_checksum(&mut self, mut checksum: Checksum) {
        let rest = self.bytes.get_mut(CHECKED_BYTES..).unwrap_or_default();
        Encode { rest, byte_order: self.byte_order }.u64s(&mut checksum.0);
    }

    /// What the record's own checksum covers, and the checksum.
    pub(super) fn checked_parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at_checked(CHECKED_BYTES).unwrap_or((&self.bytes, &[]))
    }

    fn type_and_length(&self) -> (u32, u32) {
        let (mut kind, mut length) = (0, 0);
        let mut fields = Decode { rest: &self.bytes, byte_order: self.byte_order };
        fields.u32(&mut kind);
        fields.u32(&mut length);
        (kind, length)
    }
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header")
            .field("byte_order", &self.byte_order)
            .field("record", &self.record())
            .field("checksum", &self.checksum())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte of a record different, so that no field can be taken for another.
    fn header(kind: RecordType, byte_order: ByteOrder) -> Header {
        let mut bytes: [u8; RECORD_BYTES] =
            std::array::from_fn(|at| u8::try_from(at % 251).unwrap() + 1);
        let number = kind.number();
        let number = match byte_order {
            ByteOrder::Little => number.to_le_bytes(),
            ByteOrder::Big => number.to_be_bytes(),
        };
        bytes[..4].copy_from_slice(&number);
        Header::from_bytes(bytes, byte_order)
    }

    #[test]
    fn fields_written_again_change_nothing() {
        for kind in RecordType::ALL {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let header = header(kind, order);
                let record = header.record().unwrap();
                assert_eq!(record.record_type(), kind);
                assert_eq!(header.with(&record), header, "{kind:?}");
                assert_eq!(Header::new(&record, order).record(), Some(record), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_swapped_record_has_the_same_fields() {
        for kind in RecordType::ALL {
            let header = header(kind, ByteOrder::Little);
            let swapped = header.swapped();
            assert_eq!(swapped.byte_order(), ByteOrder::Big);
            assert_eq!(swapped.record(), header.record());
            assert_ne!(swapped.as_bytes(), header.as_bytes());
            if kind != RecordType::Begin {
                assert_eq!(swapped.checksum(), header.checksum());
            }
        }
    }

    #[test]
    fn an_unknown_kind_has_no_fields() {
        let mut header = header(RecordType::Free, ByteOrder::Little);
        header.bytes[0] = 11;
        assert_eq!((header.type_number(), header.record()), (11, None));
    }
}
