//! [`StreamWriter`]: records into a stream, with the checksums that are due.

use std::io::Write as Output;

use super::machine::{check_length, seal};
use super::place::Place;
use super::{
    Checksum, End, Fletcher4, Frame, Header, Part, Problem, Record, RecordType, STREAM_MAGIC,
    StreamError,
};
use crate::nvlist::ByteOrder;

/// Writes records with the right checksums, whatever theirs say.
///
/// What was read and is written with [`copy`](Self::copy) is byte for byte what it was. A record that is refused leaves no trace in the output, and another can be
/// written in its place; once the output fails, nothing can.
///
/// What records mean together is looked at neither here nor by the module: what it takes can make a dataset that stops the machine.
#[derive(Debug)]
pub struct StreamWriter<W> {
    output: W,
    place: Place,
    sum: Fletcher4,
    byte_order: ByteOrder,
    index: u64,
    offset: u64,
    /// Part of a record may be missing: what could come after that would be no stream.
    broken: bool,
}

impl<W: Output> StreamWriter<W> {
    /// Writes to `output`, in many small pieces: give it a buffered one. Numbers are in the byte order of the first record, if that is
    /// copied, and else in that of this machine.
    pub fn new(output: W) -> Self {
        let byte_order = ByteOrder::HOST;
        let sum = Fletcher4::new(byte_order);
        Self { output, place: Place::Start, sum, byte_order, index: 0, offset: 0, broken: false }
    }

    /// As [`StreamWriter::new`], with numbers in this byte order.
    pub fn with_byte_order(output: W, byte_order: ByteOrder) -> Self {
        Self { byte_order, sum: Fletcher4::new(byte_order), ..Self::new(output) }
    }

    /// Writes a record as it was read.
    ///
    /// # Errors
    ///
    /// When it is not due here, or the output cannot be written.
    pub fn copy(&mut self, frame: &Frame<'_>) -> Result<(), StreamError> {
        self.replace(frame, frame.record, frame.payload)
    }

    /// Writes a record in place of the one that was read: other fields, what follows, or both. What is no field stays.
    ///
    /// # Errors
    ///
    /// When it is not due here, its payload has not the length that the record says, or the output cannot be written.
    pub fn replace(
        &mut self,
        frame: &Frame<'_>,
        record: &Record,
        payload: &[u8],
    ) -> Result<(), StreamError> {
        self.replace_header(frame.header, record, payload)
    }

    /// As [`replace`](Self::replace), of a record of which only the header was kept.
    ///
    /// # Errors
    ///
    /// When it is not due here, its payload has not the length that the record says, or the output cannot be written.
    pub fn replace_header(
        &mut self,
        header: &Header,
        record: &Record,
        payload: &[u8],
    ) -> Result<(), StreamError> {
        if self.place == Place::Start {
            self.byte_order = header.byte_order();
            self.sum = Fletcher4::new(self.byte_order);
        }
        let sealed = !header.checksum().is_zero();
        self.put(header.with(record), record, payload, sealed)
    }

    /// Writes a new record.
    ///
    /// The checksums are filled in, that of an end record too; the payload's length must be what the record says.
    ///
    /// # Errors
    ///
    /// When it is not due here, its payload has not the length that the record says, or the output cannot be written.
    pub fn write(&mut self, record: &Record, payload: &[u8]) -> Result<(), StreamError> {
        let sealed = matches!(self.place, Place::Stream { .. });
        self.put(Header::new(record, self.byte_order), record, payload, sealed)
    }

    /// All has been written: flushes, and gives the output back.
    ///
    /// # Errors
    ///
    /// When the stream has no end yet, or the output cannot be written.
    pub fn finish(mut self) -> Result<W, StreamError> {
        self.check_output(None)?;
        if self.place != Place::Done {
            return Err(self.error(None, Problem::NoEnd));
        }
        self.output.flush().map_err(|error| self.error(None, Problem::Io(error)))?;
        Ok(self.output)
    }

    fn put(
        &mut self,
        header: Header,
        record: &Record,
        payload: &[u8],
        sealed: bool,
    ) -> Result<(), StreamError> {
        let kind = Some(record.record_type());
        self.check_output(kind)?;
        let written = self.try_put(header, record, payload, sealed);
        written.map_err(|problem| self.error(kind, problem))?;
        self.index += 1;
        Ok(())
    }

    fn try_put(
        &mut self,
        mut header: Header,
        record: &Record,
        payload: &[u8],
        sealed: bool,
    ) -> Result<(), Problem> {
        let (part, place) = self.place.advance(record)?;
        match record {
            Record::Begin(begin) if begin.magic != STREAM_MAGIC => {
                return Err(Problem::Magic(begin.magic));
            }
            _ => check_length(record)?,
        }
        if record.payload_bytes() != payload.len() as u64 {
            let found = payload.len() as u64;
            let allowed = "what the record says";
            return Err(Problem::Field { name: "length of what follows", found, allowed });
        }
        if header.byte_order() != self.byte_order {
            header = header.swapped();
        }
        match record {
            Record::Begin(_) => {
                self.sum.reset();
                self.sum.update(header.as_bytes());
            }
            Record::End(end) => {
                let checksum =
                    if part == Part::PackageEnd { Checksum::ZERO } else { self.sum.value() };
                header = header.with(&Record::End(End { checksum, ..*end }));
                seal(&mut self.sum, &mut header, sealed);
                self.sum.reset();
            }
            _ => seal(&mut self.sum, &mut header, sealed),
        }
        self.sum.update(payload);
        self.broken = true;
        self.output.write_all(header.as_bytes()).map_err(Problem::Io)?;
        self.output.write_all(payload).map_err(Problem::Io)?;
        self.broken = false;
        self.offset += (header.as_bytes().len() + payload.len()) as u64;
        self.place = place;
        Ok(())
    }

    fn check_output(&self, kind: Option<RecordType>) -> Result<(), StreamError> {
        let reason = "a record before could not be written: the output is of no use";
        if self.broken { Err(self.error(kind, Problem::Unsupported(reason))) } else { Ok(()) }
    }

    fn error(&self, kind: Option<RecordType>, problem: Problem) -> StreamError {
        StreamError::new((self.index, self.offset), kind, problem)
    }
}
