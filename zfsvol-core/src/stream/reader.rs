//! [`StreamReader`]: the records of a stream, one after the other.

use std::io::Read;

use super::header::RECORD_BYTES;
use super::source::{ReadSource, SliceSource, Source};
use super::verify::Checker;
use super::{Header, Problem, Record, StreamError, Summary};
use crate::nvlist::{ByteOrder, NvList};

/// What part of the input a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The begin of a package and the end of that, in front of its streams.
    PackageHead,
    /// A stream, in a package or by itself.
    Stream,
    /// The end of a package, behind its streams.
    PackageEnd,
}

/// A record, with what follows it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// Its number, from 0.
    pub index: u64,
    /// Where it begins, in bytes from the start of the input.
    pub offset: u64,
    /// What part of the input it is of.
    pub part: Part,
    /// The record, byte for byte.
    pub header: &'a Header,
    /// Its fields.
    pub record: &'a Record,
    /// What follows it: [`Record::payload_bytes`] of them.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The list that follows a begin record: of a package, what is in it; of a stream, where it is resumed and by what it is
    /// redacted. Empty where nothing follows.
    ///
    /// # Errors
    ///
    /// When what follows is no list.
    pub fn begin_list(&self) -> Result<NvList, StreamError> {
        if self.payload.is_empty() {
            return Ok(NvList::new());
        }
        NvList::from_bytes(self.payload)
            .map_err(|error| self.error(Problem::Payload(error.to_string())))
    }

    /// What is wrong with this record.
    pub(super) fn error(&self, problem: Problem) -> StreamError {
        StreamError::new((self.index, self.offset), Some(self.record.record_type()), problem)
    }
}

/// Reads a stream or a package record by record, and verifies it on the way as [`verify`](super::verify()) does.
///
/// The checksum of what follows a record is in the record after it, so the last thing that was handed out has not been vouched for yet.
/// Only when [`next_frame`](Self::next_frame) answers `None` has all of it.
///
/// Memory: the record, and one payload of at most [`PAYLOAD_BYTES_MAX`](super::PAYLOAD_BYTES_MAX)
/// ([`BEGIN_PAYLOAD_BYTES_MAX`](super::BEGIN_PAYLOAD_BYTES_MAX) behind a begin record), in a buffer that is used again;
/// none for bytes in memory.
///
/// ```
/// use zfsvol_core::stream::{Record, StreamReader};
///
/// # fn run(stream: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let mut reader = StreamReader::from_bytes(stream);
/// while let Some(frame) = reader.next_frame()? {
///     if let Record::Write(write) = frame.record {
///         println!("object {} offset {}: {} bytes", write.object, write.offset, frame.payload.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StreamReader<S> {
    source: S,
    checker: Checker,
    to_end_of_input: bool,
}

impl<R: Read> StreamReader<ReadSource<R>> {
    /// Reads from any input. Nothing is read ahead but the one byte that shows whether something follows the end.
    pub fn new(input: R) -> Self {
        Self::from_source(ReadSource::new(input))
    }
}

impl<'a> StreamReader<SliceSource<'a>> {
    /// Reads from memory: payloads are parts of `stream`.
    #[must_use]
    pub fn from_bytes(stream: &'a [u8]) -> Self {
        Self::from_source(SliceSource::new(stream))
    }
}

impl<S: Source> StreamReader<S> {
    fn from_source(source: S) -> Self {
        Self { source, checker: Checker::new(), to_end_of_input: true }
    }

    /// Stops behind the end of the stream and leaves what follows unread, instead of taking it for damage.
    #[must_use]
    pub fn stop_at_end(mut self) -> Self {
        self.set_stop_at_end();
        self
    }

    /// The same for a reader that is in use.
    pub fn set_stop_at_end(&mut self) {
        self.to_end_of_input = false;
    }

    /// The next record with what follows it; `None` once all has come and is sound.
    ///
    /// # Errors
    ///
    /// What is wrong with the stream, or that it cannot be read. Reading on after that is of no use.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, StreamError> {
        let machine = &self.checker.machine;
        let io_error = |error| machine.error_at_next(Problem::Io(error));
        if machine.is_done() {
            if self.to_end_of_input && !self.source.take(1).map_err(io_error)?.is_empty() {
                return Err(machine.error_at_next(Problem::TrailingData));
            }
            return Ok(None);
        }
        let bytes = self.source.take(RECORD_BYTES).map_err(io_error)?;
        match bytes.first_chunk() {
            Some(bytes) => self.checker.header(bytes)?,
            None => {
                let found = bytes.len() as u64;
                self.checker.machine.finish(found)?;
                return Err(self.checker.machine.error_at_next(Problem::NoEnd));
            }
        }
        let due = self.checker.machine.payload_left();
        let length = usize::try_from(due).unwrap_or(usize::MAX);
        let payload: &[u8] = if length == 0 {
            &[]
        } else {
            let payload = self.source.take(length);
            payload.map_err(|error| self.checker.machine.error(Problem::Io(error)))?
        };
        self.checker.payload(payload);
        if payload.len() < length {
            self.checker.machine.finish(0)?;
        }
        let machine = &self.checker.machine;
        let (index, offset) = machine.at();
        let (part, header, record) = (machine.part(), self.checker.header_read(), machine.record());
        Ok(Some(Frame { index, offset, part, header, record, payload }))
    }

    /// What has come so far.
    #[must_use]
    pub fn progress(&self) -> &Summary {
        &self.checker.summary
    }

    /// The order of the numbers; `None` before the first record.
    #[must_use]
    pub fn byte_order(&self) -> Option<ByteOrder> {
        self.checker.machine.byte_order()
    }

    /// Where the bytes come from: behind the end, after [`stop_at_end`](Self::stop_at_end).
    pub fn into_source(self) -> S {
        self.source
    }
}
