//! What streams hold, without a kernel: the blocks of a zvol, the ranges that changed, the objects of a file system.

use std::collections::BTreeMap;
use std::io::{self, Seek, SeekFrom, Write as Output};
use std::ops::Range;

use serde::Serialize;

use super::{
    Begin, Compression, ObjectType, Part, Problem, Record, Source, StreamError, StreamReader,
};
use crate::nvlist::ByteOrder;
use crate::units::Guid;

/// `DMU_OST_ZVOL`: what the begin record of a zvol's stream has for a type.
const ZVOL_OBJSET: u32 = 3;

/// The object that is the block device of a zvol: `ZVOL_OBJ`.
const ZVOL_OBJECT: u64 = 1;

/// The object that says how large a zvol is: `ZVOL_ZAP_OBJ`.
const ZVOL_PROPERTIES_OBJECT: u64 = 2;

/// What a ZAP of one block begins with: `ZBT_MICRO`.
const MICRO_ZAP: u64 = (1 << 63) + 3;

/// Bytes of an entry of such a ZAP, and of what stands before the first.
const MICRO_ZAP_ENTRY_BYTES: usize = 64;

/// How much is zeroed at once where an output has no holes to be punched.
const ZERO_BYTES: usize = 64 << 10;

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

/// Where the block device of a zvol is rebuilt: a file, or anything that can be written at any place.
pub trait Disk {
    /// Writes `data` at `offset`.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes `range` zero, if possible without storing that.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    fn zero(&mut self, range: Range<u64>) -> io::Result<()>;

    /// How long it is.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    fn length(&mut self) -> io::Result<u64>;

    /// Makes it this long, with zeros or a hole where it grows.
    ///
    /// # Errors
    ///
    /// When it cannot be.
    fn set_length(&mut self, length: u64) -> io::Result<()>;
}

/// A file: what is not written stays a hole.
impl Disk for std::fs::File {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(data)
    }

    fn zero(&mut self, range: Range<u64>) -> io::Result<()> {
        let end = range.end.min(self.length()?);
        if range.start >= end {
            return Ok(());
        }
        if punch_hole(self, range.start, end - range.start).is_ok() {
            return Ok(());
        }
        self.seek(SeekFrom::Start(range.start))?;
        let mut left = end - range.start;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(ZERO_BYTES).min(ZERO_BYTES);
            self.write_all([0; ZERO_BYTES].get(..length).unwrap_or_default())?;
            left -= length as u64;
        }
        Ok(())
    }

    fn length(&mut self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Frees the range and leaves the length as it is. File systems without holes refuse, and so do systems other than Linux.
#[cfg(target_os = "linux")]
fn punch_hole(file: &std::fs::File, offset: u64, length: u64) -> io::Result<()> {
    use nix::fcntl::{FallocateFlags, fallocate};
    let too_far = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let (offset, length) =
        (offset.try_into().map_err(too_far)?, length.try_into().map_err(too_far)?);
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(file, flags, offset, length).map_err(io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn punch_hole(_: &std::fs::File, _: u64, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Rebuilds the block device of a zvol from its streams: a full one, and increments in their order. The disk gets the size that the
/// zvol had.
///
/// ```no_run
/// use std::fs::File;
///
/// use zfsvol_core::stream::{StreamReader, ZvolImage};
///
/// let disk = File::options().read(true).write(true).create(true).truncate(true).open("disk.img")?;
/// let mut image = ZvolImage::new(disk);
/// image.apply(&mut StreamReader::new(File::open("full.zfs")?))?;
/// image.apply(&mut StreamReader::new(File::open("monday.zfs")?))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ZvolImage<D> {
    disk: D,
    /// The snapshot it holds.
    guid: Option<Guid>,
    /// The size of the zvol, as soon as a stream has said it.
    size: Option<u64>,
    written: u64,
}

impl<D: Disk> ZvolImage<D> {
    /// Rebuilds onto `disk`, which is to be empty: a full stream comes first.
    pub const fn new(disk: D) -> Self {
        Self { disk, guid: None, size: None, written: 0 }
    }

    /// Goes on with a disk that holds this snapshot already: an increment from it comes first.
    pub const fn resume(disk: D, guid: Guid) -> Self {
        Self { disk, guid: Some(guid), size: None, written: 0 }
    }

    /// The snapshot that the disk holds now.
    pub const fn guid(&self) -> Option<Guid> {
        self.guid
    }

    /// How many bytes of blocks were written.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// The disk.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// Makes the disk what it was at the snapshot of this stream. A package may hold several streams, one after the other.
    ///
    /// When it fails, the disk holds neither snapshot: begin anew.
    ///
    /// # Errors
    ///
    /// What is wrong with the stream; that it is not of a zvol, is raw, redacted or resumed, or does not start from what the disk
    /// holds; that a block is compressed in a way that cannot be undone here; that the disk cannot be written.
    pub fn apply<S: Source>(&mut self, reader: &mut StreamReader<S>) -> Result<(), StreamError> {
        let mut of = Begin::default();
        let mut plain = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            if frame.part != Part::Stream {
                continue;
            }
            let done = match frame.record {
                Record::Begin(begin) => {
                    of = *begin;
                    self.begin(begin)
                }
                Record::Write(write) => {
                    let block =
                        block(write.compression, write.logical_bytes, frame.payload, &mut plain);
                    let at = (write.object, write.offset);
                    block.and_then(|block| self.block(at, block, frame.header.byte_order()))
                }
                Record::WriteEmbedded(write) => {
                    let physical = usize::try_from(write.physical_bytes).unwrap_or_default();
                    let packed = frame.payload.get(..physical).unwrap_or_default();
                    let block =
                        block(write.compression, write.logical_bytes.into(), packed, &mut plain);
                    let at = (write.object, write.offset);
                    block.and_then(|block| self.block(at, block, frame.header.byte_order()))
                }
                Record::Free(free) if free.object == ZVOL_OBJECT => {
                    let end = free.offset.saturating_add(free.length);
                    self.disk.zero(free.offset..end).map_err(Problem::Io)
                }
                Record::End(_) => {
                    self.guid = Some(of.to_guid);
                    self.size.map_or(Ok(()), |size| self.disk.set_length(size)).map_err(Problem::Io)
                }
                _ => Ok(()),
            };
            done.map_err(|problem| frame.error(problem))?;
        }
        Ok(())
    }

    fn begin(&mut self, begin: &Begin) -> Result<(), Problem> {
        use super::StreamFeatures as Features;
        let features = begin.features();
        let from = Some(begin.from_guid).filter(|guid| guid.get() != 0);
        let partial = Features::REDACTED | Features::RESUMING | Features::DEDUP;
        if begin.objset_type != ZVOL_OBJSET {
            return Err(Problem::Unsupported("only the stream of a zvol holds a block device"));
        }
        if features.contains(Features::RAW) {
            return Err(Problem::Unsupported("the stream is raw: its blocks are encrypted"));
        }
        if features.intersects(partial) {
            let reason = "the stream is redacted, resumed or deduplicated, and lacks blocks";
            return Err(Problem::Unsupported(reason));
        }
        if from != self.guid {
            let expected = self.guid.unwrap_or_default();
            return Err(Problem::Guid { expected, found: begin.from_guid });
        }
        // Until its end has come, the disk holds no snapshot.
        self.guid = None;
        Ok(())
    }

    /// Takes a block of either object of a zvol.
    fn block(
        &mut self,
        (object, offset): (u64, u64),
        block: &[u8],
        byte_order: ByteOrder,
    ) -> Result<(), Problem> {
        match object {
            ZVOL_OBJECT => self.write(offset, block),
            ZVOL_PROPERTIES_OBJECT => {
                self.size = volume_size(block, byte_order).or(self.size);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, offset: u64, block: &[u8]) -> Result<(), Problem> {
        let end = offset.saturating_add(block.len() as u64);
        if self.disk.length().map_err(Problem::Io)? < end {
            self.disk.set_length(end).map_err(Problem::Io)?;
        }
        self.written += block.len() as u64;
        self.disk.write_at(offset, block).map_err(Problem::Io)
    }
}

/// The size of a zvol, from the ZAP that says it: entries of a value and a name, behind a head of the same length. What is no such
/// block says nothing. OpenZFS 2.3 `include/sys/zap_impl.h`, `mzap_phys_t`.
fn volume_size(block: &[u8], byte_order: ByteOrder) -> Option<u64> {
    let number = |bytes: &[u8]| -> Option<u64> {
        let bytes = *bytes.first_chunk()?;
        Some(match byte_order {
            ByteOrder::Little => u64::from_le_bytes(bytes),
            ByteOrder::Big => u64::from_be_bytes(bytes),
        })
    };
    let mut entries = block.chunks_exact(MICRO_ZAP_ENTRY_BYTES);
    if number(entries.next()?)? != MICRO_ZAP {
        return None;
    }
    // The value, a number of 32 bits and one of 16, then the name with its ending zero.
    let size =
        entries.find(|entry| entry.get(14..).is_some_and(|name| name.starts_with(b"size\0")))?;
    number(size)
}

/// A block as it was before it was compressed.
fn block<'a>(
    compression: Compression,
    logical_bytes: u64,
    packed: &'a [u8],
    plain: &'a mut Vec<u8>,
) -> Result<&'a [u8], Problem> {
    if matches!(compression, Compression::NONE | Compression::OFF) {
        return Ok(packed);
    }
    let length = usize::try_from(logical_bytes).unwrap_or(usize::MAX);
    super::codec::decompress(compression, packed, length, plain)?;
    Ok(plain)
}
