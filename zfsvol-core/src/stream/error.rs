//! [`StreamError`]: what is wrong with a stream, and where.

use std::sync::Arc;
use std::{fmt, io};

use super::{Checksum, RecordType, StreamFeatures};
use crate::units::Guid;

/// Why a stream cannot be read, or is not sound: at which record, at which byte, what was expected and what was found.
#[derive(Clone, Debug)]
pub struct StreamError(Arc<Details>);

#[derive(Debug)]
struct Details {
    record: u64,
    offset: u64,
    record_type: Option<RecordType>,
    problem: Problem,
}

/// What is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The input could not be read, or the output not written. This says nothing of the stream.
    Io(io::Error),
    /// The input ends inside a record.
    Truncated {
        /// How long the record is, with what follows it.
        expected: u64,
        /// How much of it is there.
        found: u64,
    },
    /// The input ends behind a record that is not the last one.
    NoEnd,
    /// The input goes on behind the end.
    TrailingData,
    /// It does not begin as a stream does.
    Magic(u64),
    /// Neither a stream nor a package.
    HeaderType(u64),
    /// A record of unknown kind.
    RecordType(u32),
    /// A record where another is due.
    Order {
        /// What is due.
        expected: &'static str,
        /// What came.
        found: RecordType,
    },
    /// A block in front of the one before.
    WriteOrder {
        /// Object and offset of the block before.
        after: (u64, u64),
        /// Object and offset of this one.
        found: (u64, u64),
    },
    /// The checksum of a record: what came since the one before is damaged, this record included.
    Checksum {
        /// What the data has.
        expected: Checksum,
        /// What the record says.
        found: Checksum,
    },
    /// The checksum of the stream, in its end.
    StreamChecksum {
        /// What the data has.
        expected: Checksum,
        /// What the record says.
        found: Checksum,
    },
    /// A record that has no checksum of its own has something where nothing is.
    NotZero {
        /// Which byte of the record.
        byte: usize,
    },
    /// Features that this library does not know.
    Features(StreamFeatures),
    /// A record of another snapshot.
    Guid {
        /// The snapshot that was begun.
        expected: Guid,
        /// The one the record is of.
        found: Guid,
    },
    /// A number that cannot be: OpenZFS would refuse the record.
    Field {
        /// Which.
        name: &'static str,
        /// What it is.
        found: u64,
        /// What it may be.
        allowed: &'static str,
    },
    /// What is in a payload cannot be read.
    Payload(String),
    /// What is asked for cannot be done with this stream.
    Unsupported(&'static str),
}

impl StreamError {
    pub(super) fn new(
        (record, offset): (u64, u64),
        record_type: Option<RecordType>,
        problem: Problem,
    ) -> Self {
        Self(Arc::new(Details { record, offset, record_type, problem }))
    }

    /// The number of the record, from 0.
    #[must_use]
    pub fn record(&self) -> u64 {
        self.0.record
    }

    /// Where the record begins, in bytes from the start of the input.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// The kind of the record, as far as it is known.
    #[must_use]
    pub fn record_type(&self) -> Option<RecordType> {
        self.0.record_type
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Whether the stream is to blame; otherwise it could not be read.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        !matches!(self.0.problem, Problem::Io(_) | Problem::Unsupported(_))
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { record, offset, record_type, problem } = &*self.0;
        let what = if self.is_damage() { "the stream is damaged" } else { "the stream stops" };
        write!(f, "{what} at record {record}")?;
        if let Some(kind) = record_type {
            write!(f, " ({})", kind.name())?;
        }
        write!(f, ", byte {offset}: {problem}")
    }
}

impl std::error::Error for StreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.problem {
            Problem::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Damage is `InvalidData`, so that a copy stops; the error itself is inside.
impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        match error.problem() {
            Problem::Io(inner) => Self::new(inner.kind(), error.clone()),
            Problem::Truncated { .. } | Problem::NoEnd => {
                Self::new(io::ErrorKind::UnexpectedEof, error)
            }
            _ => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Truncated { expected, found } => {
                write!(f, "the input ends: {expected} bytes are due, and {found} are there")
            }
            Self::NoEnd => f.write_str("the input ends, and the stream does not"),
            Self::TrailingData => f.write_str("the input goes on behind the end of the stream"),
            Self::Magic(found) => {
                write!(f, "it does not begin as a stream does: expected 2f5bacbac, found {found:x}")
            }
            Self::HeaderType(found) => {
                write!(f, "it is neither a stream (1) nor a package (2): found {found}")
            }
            Self::RecordType(found) => {
                write!(f, "unknown record: expected a type from 0 to 10, found {found}")
            }
            Self::Order { expected, found } => {
                write!(f, "out of order: expected {expected}, found {}", found.name())
            }
            Self::WriteOrder { after: (object, offset), found: (at_object, at_offset) } => write!(
                f,
                "out of order: expected a block behind object {object} offset {offset}, found \
                 object {at_object} offset {at_offset}"
            ),
            Self::Checksum { expected, found } => {
                write!(f, "wrong checksum of the record: expected {expected}, found {found}")
            }
            Self::StreamChecksum { expected, found } => {
                write!(f, "wrong checksum of the stream: expected {expected}, found {found}")
            }
            Self::NotZero { byte } => {
                write!(f, "byte {byte} of the record is not zero, and must be")
            }
            Self::Features(unknown) => {
                write!(f, "unknown features: {:#x}", unknown.bits())
            }
            Self::Guid { expected, found } => {
                write!(f, "it is of another snapshot: expected GUID {expected}, found {found}")
            }
            Self::Field { name, found, allowed } => {
                write!(f, "impossible {name}: expected {allowed}, found {found}")
            }
            Self::Payload(reason) => write!(f, "what follows the record cannot be read: {reason}"),
            Self::Unsupported(reason) => f.write_str(reason),
        }
    }
}
