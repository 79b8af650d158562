//! [`Machine`]: goes through a stream record by record, whoever brings the bytes: order, lengths, checksums.

use super::header::RECORD_BYTES;
use super::place::Place;
use super::{
    Checksum, End, Fletcher4, Header, Part, Problem, Record, RecordType, STREAM_MAGIC, StreamError,
};
use crate::nvlist::ByteOrder;
use crate::units::Guid;

/// The most that may follow a write or spill record: the largest block of OpenZFS, `SPA_MAXBLOCKSIZE`.
pub const PAYLOAD_BYTES_MAX: u32 = 16 << 20;

/// The most that may follow a begin record: what `zfs receive` takes unless told otherwise (`ZFS_SENDRECV_MAX_NVLIST`); the list of a
/// package with a million snapshots is about as long.
pub const BEGIN_PAYLOAD_BYTES_MAX: u32 = 64 << 20;

/// The most that may follow an object record: the bonus buffer of a dnode of 16 KiB, the largest.
const BONUS_BYTES_MAX: u64 = 16_192;

/// The most that fits into a block pointer: `BPE_PAYLOAD_SIZE`.
const EMBEDDED_BYTES_MAX: u64 = 112;

/// Checksums are of words of 32 bits: whatever follows a record consists of them.
const WORD_BYTES: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Machine {
    place: Place,
    sum: Fletcher4,
    sealed: Option<bool>,
    /// The first record's, which all have.
    byte_order: Option<ByteOrder>,
    part: Part,
    header: Header,
    record: Record,
    /// The number of the record to come.
    next: u64,
    /// Where the record last come begins.
    offset: u64,
    /// Where what comes next begins.
    position: u64,
    payload_left: u64,
    /// The begin of a word of which the rest has not come.
    word: [u8; WORD_BYTES],
    word_bytes: usize,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Start,
            sum: Fletcher4::new(ByteOrder::Little),
            sealed: None,
            byte_order: None,
            part: Part::Stream,
            header: Header::from_bytes([0; RECORD_BYTES], ByteOrder::Little),
            record: Record::empty(RecordType::End),
            next: 0,
            offset: 0,
            position: 0,
            payload_left: 0,
            word: [0; WORD_BYTES],
            word_bytes: 0,
        }
    }

    /// Takes the next record. What follows it is due then, [`Machine::payload_left`].
    pub(super) fn header(&mut self, bytes: &[u8; RECORD_BYTES]) -> Result<(), StreamError> {
        self.offset = self.position;
        self.next += 1;
        self.header = Header::from_bytes(*bytes, self.byte_order.unwrap_or(ByteOrder::Little));
        self.take_header().map_err(|problem| self.error(problem))?;
        self.position += RECORD_BYTES as u64;
        Ok(())
    }

    fn take_header(&mut self) -> Result<(), Problem> {
        if self.byte_order.is_none() {
            self.find_byte_order()?;
        }
        let kind = self.header.type_number();
        self.record = self.header.record().ok_or(Problem::RecordType(kind))?;
        match &self.record {
            Record::Begin(begin) if begin.magic != STREAM_MAGIC => {
                return Err(Problem::Magic(begin.magic));
            }
            _ => {}
        }
        let (part, place) = self.place.advance(&self.record)?;
        self.check_sum(part)?;
        check_length(&self.record)?;
        (self.part, self.place) = (part, place);
        self.payload_left = self.record.payload_bytes();
        Ok(())
    }

    /// The first record is a begin record in one order or the other.
    fn find_byte_order(&mut self) -> Result<(), Problem> {
        let bytes = *self.header.as_bytes();
        for byte_order in [ByteOrder::Little, ByteOrder::Big] {
            let header = Header::from_bytes(bytes, byte_order);
            if let Some(Record::Begin(begin)) = header.record() {
                if begin.magic == STREAM_MAGIC {
                    self.header = header;
                    self.byte_order = Some(byte_order);
                    self.sum = Fletcher4::new(byte_order);
                    return Ok(());
                }
            }
        }
        let magic = bytes.get(8..16).and_then(<[u8]>::first_chunk);
        Err(Problem::Magic(magic.map_or(0, |magic| u64::from_le_bytes(*magic))))
    }

    /// Goes on with the running checksum, and compares what the record says of it.
    fn check_sum(&mut self, part: Part) -> Result<(), Problem> {
        if self.record.record_type() == RecordType::Begin {
            self.sum.reset();
            self.sum.update(self.header.as_bytes());
            self.sealed = None;
            return Ok(());
        }
        let before = self.sum.value();
        let (covered, own) = self.header.checked_parts();
        self.sum.update(covered);
        let (expected, found) = (self.sum.value(), self.header.checksum());
        self.sum.update(own);
        // Within a stream all records have a checksum, or none: so one that is wiped out is missed.
        let wiped =
            part == Part::Stream && *self.sealed.get_or_insert(!found.is_zero()) == found.is_zero();
        if wiped || !found.is_zero() && found != expected {
            return Err(Problem::Checksum { expected, found });
        }
        if let Record::End(end) = self.record {
            if end.checksum != before {
                return Err(Problem::StreamChecksum { expected: before, found: end.checksum });
            }
            if found.is_zero() {
                self.check_bare_end(part, end)?;
            }
            self.sum.reset();
        }
        Ok(())
    }

    /// Nothing vouches for an end without a checksum of its own, so it must be as OpenZFS writes it.
    fn check_bare_end(&self, part: Part, end: End) -> Result<(), Problem> {
        let to_guid = if part == Part::Stream { end.to_guid } else { Guid::default() };
        let plain = Header::new(&Record::End(End { to_guid, ..end }), self.header.byte_order());
        let mut pairs = plain.as_bytes().iter().zip(self.header.as_bytes());
        match pairs.position(|(expected, found)| expected != found) {
            None => Ok(()),
            Some(byte) => Err(Problem::NotZero { byte }),
        }
    }

    /// Takes some of what follows the record; at most what is left of it.
    pub(super) fn payload(&mut self, data: &[u8]) {
        self.position += data.len() as u64;
        self.payload_left = self.payload_left.saturating_sub(data.len() as u64);
        let mut data = data;
        if self.word_bytes > 0 {
            data = self.complete_word(data);
        }
        let whole = data.len() / WORD_BYTES * WORD_BYTES;
        let (words, rest) = data.split_at_checked(whole).unwrap_or((data, &[]));
        self.sum.update(words);
        self.complete_word(rest);
    }

    /// Puts the begin of `data` behind the word that is not complete; answers the rest.
    fn complete_word<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let mut data = data;
        while let (Some(slot), Some((byte, rest))) =
            (self.word.get_mut(self.word_bytes), data.split_first())
        {
            *slot = *byte;
            self.word_bytes += 1;
            data = rest;
        }
        if self.word_bytes == WORD_BYTES {
            self.sum.update(&self.word);
            self.word_bytes = 0;
        }
        data
    }

    /// The input has ended, with `found` bytes of a record that is not complete.
    pub(super) fn finish(&mut self, found: u64) -> Result<(), StreamError> {
        if self.payload_left > 0 {
            let whole = RECORD_BYTES as u64 + self.record.payload_bytes();
            let found = self.position - self.offset;
            return Err(self.error(Problem::Truncated { expected: whole, found }));
        }
        if found > 0 || self.next == 0 {
            return Err(
                self.error_at_next(Problem::Truncated { expected: RECORD_BYTES as u64, found })
            );
        }
        if self.place != Place::Done {
            return Err(self.error_at_next(Problem::NoEnd));
        }
        Ok(())
    }

    /// Whether the end has come.
    pub(super) fn is_done(&self) -> bool {
        self.place == Place::Done && self.payload_left == 0
    }

    /// How much of what follows the record has not come.
    pub(super) fn payload_left(&self) -> u64 {
        self.payload_left
    }

    pub(super) fn part(&self) -> Part {
        self.part
    }

    pub(super) fn header_read(&self) -> &Header {
        &self.header
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The number of the record last read, and where it begins.
    pub(super) fn at(&self) -> (u64, u64) {
        (self.next.saturating_sub(1), self.offset)
    }

    /// How much has come.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn byte_order(&self) -> Option<ByteOrder> {
        self.byte_order
    }

    /// `problem` with the record last read.
    pub(super) fn error(&self, problem: Problem) -> StreamError {
        StreamError::new(self.at(), RecordType::from_number(self.header.type_number()), problem)
    }

    /// `problem` with the record that should come.
    pub(super) fn error_at_next(&self, problem: Problem) -> StreamError {
        StreamError::new((self.next, self.position), None, problem)
    }
}

/// What follows a record has a length that can be: no more is ever kept.
pub(super) fn check_length(record: &Record) -> Result<(), Problem> {
    let (max, allowed) = match record {
        Record::Begin(_) => (BEGIN_PAYLOAD_BYTES_MAX.into(), "at most 64 MiB, in words of 4"),
        Record::Object(_) => (BONUS_BYTES_MAX, "at most 16192, in words of 4"),
        Record::WriteEmbedded(_) => (EMBEDDED_BYTES_MAX, "at most 112"),
        _ => (PAYLOAD_BYTES_MAX.into(), "at most 16 MiB, in words of 4"),
    };
    let found = record.payload_bytes();
    if found > max || found % WORD_BYTES as u64 != 0 {
        return Err(Problem::Field { name: "length of what follows", found, allowed });
    }
    Ok(())
}

/// Used by what writes streams: the checksum a record gets.
pub(super) fn seal(sum: &mut Fletcher4, header: &mut Header, sealed: bool) {
    header.set_checksum(Checksum::ZERO);
    let (covered, _) = header.checked_parts();
    sum.update(covered);
    if sealed {
        header.set_checksum(sum.value());
    }
    let (_, own) = header.checked_parts();
    sum.update(own);
}
