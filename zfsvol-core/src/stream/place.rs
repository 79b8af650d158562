//! [`Place`]: which record may come next.

use super::{HeaderType, Part, Problem, Record, RecordType};

/// Where in a stream or package one is, between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing has come yet.
    Start,
    /// A package has begun: its head ends next.
    Head,
    /// In a package, between two streams.
    Between,
    /// In a stream, in a package or by itself.
    Stream { in_package: bool },
    /// All has come.
    Done,
}

impl Place {
    /// What part `record` is of, and where one is behind it.
    pub(super) fn advance(self, record: &Record) -> Result<(Part, Self), Problem> {
        let begin = match record {
            Record::Begin(begin) => Some(begin.header_type().map_err(Problem::HeaderType)?),
            _ => None,
        };
        let ends = record.record_type() == RecordType::End;
        let next = match (self, begin, ends) {
            (Self::Start, Some(HeaderType::Substream), _) => {
                Some((Part::Stream, Self::Stream { in_package: false }))
            }
            (Self::Start, Some(HeaderType::Compound), _) => Some((Part::PackageHead, Self::Head)),
            (Self::Head, None, true) => Some((Part::PackageHead, Self::Between)),
            (Self::Between, Some(HeaderType::Substream), _) => {
                Some((Part::Stream, Self::Stream { in_package: true }))
            }
            (Self::Between, None, true) => Some((Part::PackageEnd, Self::Done)),
            (Self::Stream { in_package }, None, true) => {
                Some((Part::Stream, if in_package { Self::Between } else { Self::Done }))
            }
            (Self::Stream { .. }, None, false) => Some((Part::Stream, self)),
            _ => None,
        };
        next.ok_or(Problem::Order { expected: self.due(), found: record.record_type() })
    }

    fn due(self) -> &'static str {
        match self {
            Self::Start => "BEGIN",
            Self::Head => "the END of the package's head",
            Self::Between => "the BEGIN of a stream, or the END of the package",
            Self::Stream { .. } => "a record inside the stream, or its END",
            Self::Done => "nothing",
        }
    }
}
