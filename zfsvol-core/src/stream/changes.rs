//! [`Changes`]: which objects and which ranges of them a sequence of streams changes.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use super::{ObjectType, Record, Source, StreamError, StreamReader};

/// An object, with what a stream says of its data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ObjectChanges {
    /// What it is; `None` where the stream changes it without saying.
    pub object_type: Option<ObjectType>,
    /// The size of its blocks, in bytes; 0 where the stream does not say.
    pub block_bytes: u32,
    /// Where its data ends at the latest, in bytes: what follows was freed. `None` where the stream does not say.
    pub end: Option<u64>,
    /// The ranges that were written.
    pub written: Ranges,
    /// The ranges that are holes now, before its end.
    pub freed: Ranges,
    /// The ranges that were left out.
    pub redacted: Ranges,
}

/// Ranges of bytes that do not touch, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// The ranges.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().map(|(start, end)| *start..*end)
    }

    /// How many bytes they are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a range, and joins it with what it touches.
    pub fn insert(&mut self, range: Range<u64>) {
        let (mut start, mut end) = (range.start, range.end);
        if start >= end {
            return;
        }
        // The last one that starts at or before the end of this, as long as it reaches this.
        while let Some((&other_start, &other_end)) = self.0.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.0.remove(&other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.0.insert(start, end);
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        while let Some((&start, &end)) = self.0.range(..range.end).next_back() {
            if end <= range.start {
                break;
            }
            self.0.remove(&start);
            if end > range.end {
                self.0.insert(range.end, end);
            }
            if start < range.start {
                self.0.insert(start, range.start);
            }
        }
    }
}

/// What a sequence of streams changes, from the first to the last: for each object, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Changes {
    /// The objects that the streams say something of.
    pub objects: BTreeMap<u64, ObjectChanges>,
    /// The objects that are not there any more, or never were.
    pub freed_objects: Ranges,
}

impl Changes {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a stream, or all streams of a package of one dataset, change. Memory grows with the objects and ranges that it names.
    ///
    /// # Errors
    ///
    /// What is wrong with the stream.
    pub fn add<S: Source>(&mut self, reader: &mut StreamReader<S>) -> Result<(), StreamError> {
        while let Some(frame) = reader.next_frame()? {
            self.add_record(frame.record);
        }
        Ok(())
    }

    fn add_record(&mut self, record: &Record) {
        match record {
            Record::Object(record) => {
                self.freed_objects.remove(record.object..record.object.saturating_add(1));
                let changes = self.objects.entry(record.object).or_default();
                changes.object_type = Some(record.object_type);
                changes.block_bytes = record.block_bytes;
            }
            Record::FreeObjects(record) => {
                let end = record.first.saturating_add(record.count);
                self.freed_objects.insert(record.first..end);
                let gone: Vec<u64> =
                    self.objects.range(record.first..end).map(|(n, _)| *n).collect();
                gone.iter().for_each(|object| drop(self.objects.remove(object)));
            }
            Record::Write(r) => self.write(r.object, r.offset, r.logical_bytes),
            Record::WriteEmbedded(r) => self.write(r.object, r.offset, r.length),
            Record::WriteByref(r) => self.write(r.object, r.offset, r.length),
            Record::Free(record) => {
                let changes = self.objects.entry(record.object).or_default();
                let end = record.offset.saturating_add(record.length);
                changes.written.remove(record.offset..end);
                changes.redacted.remove(record.offset..end);
                if record.length == u64::MAX {
                    changes.end = Some(record.offset);
                    changes.freed.remove(record.offset..end);
                } else {
                    changes.freed.insert(record.offset..end);
                }
            }
            Record::Redact(record) => {
                let end = record.offset.saturating_add(record.length);
                let changes = self.objects.entry(record.object).or_default();
                changes.redacted.insert(record.offset..end);
            }
            Record::Begin(_) | Record::End(_) | Record::Spill(_) | Record::ObjectRange(_) => {}
        }
    }

    fn write(&mut self, object: u64, offset: u64, length: u64) {
        let changes = self.objects.entry(object).or_default();
        let range = offset..offset.saturating_add(length);
        changes.freed.remove(range.clone());
        changes.redacted.remove(range.clone());
        changes.written.insert(range);
    }
}
