//! [`ZvolImage`] and [`FileImage`]: the block device of a zvol, and the data of a file, rebuilt from their streams.

use super::zap;
use super::{
    Begin, Compression, Disk, Frame, Part, Problem, Record, Source, StreamError, StreamFeatures,
    StreamReader, codec,
};
use crate::nvlist::ByteOrder;
use crate::units::Guid;

/// `DMU_OST_ZFS` and `DMU_OST_ZVOL`: what the begin record of a stream has for a type.
pub(super) const FILE_SYSTEM: u32 = 2;
pub(super) const ZVOL: u32 = 3;

/// The object that is the block device of a zvol: `ZVOL_OBJ`.
const ZVOL_OBJECT: u64 = 1;

/// The object that says how large a zvol is: `ZVOL_ZAP_OBJ`.
const ZVOL_PROPERTIES_OBJECT: u64 = 2;

/// Rebuilds the block device of a zvol from its streams: a full one, and increments in their order. The disk gets the size that the
/// zvol had.
///
/// ```
/// # use zfsvol_core::property::PropertySet;
/// # use zfsvol_core::zfs::SendOptions;
/// # let zfs = zfsvol_core::Zfs::embedded();
/// # zfs.create_zvol(&"tank/disk".parse()?, zfsvol_core::Bytes::from_mib(1), &PropertySet::new())?;
/// # let [one, two] = ["tank/disk@one", "tank/disk@two"].map(|name| name.parse().unwrap());
/// # zfs.snapshot([&one], &PropertySet::new())?;
/// # zfs.snapshot([&two], &PropertySet::new())?;
/// # let full = zfs.send(&one, &SendOptions::full())?;
/// # let monday = zfs.send(&two, &SendOptions::since(one))?;
/// use zfsvol_core::stream::{StreamReader, ZvolImage};
///
/// // A file, or whatever else is a `Disk`.
/// # let disk = tempfile::tempfile()?;
/// let mut image = ZvolImage::new(disk);
/// image.apply(&mut StreamReader::new(full))?;
/// image.apply(&mut StreamReader::new(monday))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ZvolImage<D> {
    data: Data<D>,
    /// The snapshot it holds.
    guid: Option<Guid>,
    /// The size of the zvol, as soon as a stream has said it.
    size: Option<u64>,
}

impl<D: Disk> ZvolImage<D> {
    /// Rebuilds onto `disk`, which is to be empty: a full stream comes first.
    pub const fn new(disk: D) -> Self {
        Self { data: Data::new(disk, ZVOL_OBJECT), guid: None, size: None }
    }

    /// Goes on with a disk that holds this snapshot already: an increment from it comes first.
    pub const fn resume(disk: D, guid: Guid) -> Self {
        Self { data: Data::new(disk, ZVOL_OBJECT), guid: Some(guid), size: None }
    }

    /// The snapshot that the disk holds now.
    pub const fn guid(&self) -> Option<Guid> {
        self.guid
    }

    /// How many bytes of blocks were written.
    pub const fn written(&self) -> u64 {
        self.data.written
    }

    /// The disk.
    pub fn into_disk(self) -> D {
        self.data.disk
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
        let mut plain = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            if frame.part == Part::Stream {
                let done = self.take(&frame, &mut plain);
                done.map_err(|problem| frame.error(problem))?;
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: &Frame<'_>, plain: &mut Vec<u8>) -> Result<(), Problem> {
        self.data.take(frame, plain)?;
        match frame.record {
            Record::Begin(begin) => {
                starts_from(begin, ZVOL, self.guid)?;
                // Until its end has come, the disk holds no snapshot.
                self.guid = None;
            }
            Record::Write(write) if write.object == ZVOL_PROPERTIES_OBJECT => {
                let found = volume_size(block_of(frame, plain)?, frame.header.byte_order());
                self.size = found.or(self.size);
            }
            Record::WriteEmbedded(write) if write.object == ZVOL_PROPERTIES_OBJECT => {
                let found = volume_size(block_of(frame, plain)?, frame.header.byte_order());
                self.size = found.or(self.size);
            }
            Record::End(end) => {
                self.guid = Some(end.to_guid);
                if let Some(size) = self.size {
                    self.data.disk.set_length(size).map_err(Problem::Io)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Rebuilds the data of one object of a file system, a file, from the streams of the file system: a full one, and increments in their order.
/// [`FileTree`](super::FileTree) says which object a path is, and how long the file is.
///
/// What is a hole in the file is one in the disk, where that can have any. Memory: that of a reader and a block.
#[derive(Debug)]
pub struct FileImage<D> {
    data: Data<D>,
    guid: Option<Guid>,
}

impl<D: Disk> FileImage<D> {
    /// Rebuilds this object onto `disk`, which is to be empty: a full stream comes first.
    pub const fn new(disk: D, object: u64) -> Self {
        Self { data: Data::new(disk, object), guid: None }
    }

    /// Makes the disk what the file was at the snapshot of this stream.
    ///
    /// # Errors
    ///
    /// As [`ZvolImage::apply`], of a file system.
    pub fn apply<S: Source>(&mut self, reader: &mut StreamReader<S>) -> Result<(), StreamError> {
        let mut plain = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            if frame.part != Part::Stream {
                continue;
            }
            if let Record::Begin(begin) = frame.record {
                let fits = starts_from(begin, FILE_SYSTEM, self.guid);
                fits.map_err(|problem| frame.error(problem))?;
                self.guid = None;
            }
            self.data.take(&frame, &mut plain).map_err(|problem| frame.error(problem))?;
            if let Record::End(end) = frame.record {
                self.guid = Some(end.to_guid);
            }
        }
        Ok(())
    }

    /// Cuts the disk off where the file ends, which is `size` bytes long, and gives it back.
    ///
    /// # Errors
    ///
    /// When the disk cannot be written.
    pub fn finish(mut self, size: u64) -> std::io::Result<D> {
        self.data.disk.set_length(size)?;
        Ok(self.data.disk)
    }
}

/// The data of one object.
#[derive(Debug)]
struct Data<D> {
    disk: D,
    object: u64,
    written: u64,
}

impl<D: Disk> Data<D> {
    const fn new(disk: D, object: u64) -> Self {
        Self { disk, object, written: 0 }
    }

    /// Takes a record, if it is of the object.
    fn take(&mut self, frame: &Frame<'_>, plain: &mut Vec<u8>) -> Result<(), Problem> {
        match frame.record {
            Record::Write(write) if write.object == self.object => {
                self.write(write.offset, block_of(frame, plain)?)
            }
            Record::WriteEmbedded(write) if write.object == self.object => {
                self.write(write.offset, block_of(frame, plain)?)
            }
            Record::Free(free) if free.object == self.object => {
                let end = free.offset.saturating_add(free.length);
                self.disk.zero(free.offset..end).map_err(Problem::Io)
            }
            Record::FreeObjects(free)
                if (free.first..free.first.saturating_add(free.count)).contains(&self.object) =>
            {
                self.disk.zero(0..u64::MAX).map_err(Problem::Io)
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

/// Whether a stream is a whole one of this kind of dataset, that can be read here, and starts from the snapshot that is there.
pub(super) fn starts_from(
    begin: &Begin,
    objset_type: u32,
    held: Option<Guid>,
) -> Result<(), Problem> {
    use StreamFeatures as Features;
    let features = begin.features();
    if begin.objset_type != objset_type {
        return Err(Problem::Unsupported(if objset_type == ZVOL {
            "only the stream of a zvol holds a block device"
        } else {
            "only the stream of a file system holds files"
        }));
    }
    if features.contains(Features::RAW) {
        return Err(Problem::Unsupported("the stream is raw: its blocks are encrypted"));
    }
    if features.intersects(Features::REDACTED | Features::RESUMING | Features::DEDUP) {
        let reason = "the stream is redacted, resumed or deduplicated, and lacks blocks";
        return Err(Problem::Unsupported(reason));
    }
    let from = Some(begin.from_guid).filter(|guid| guid.get() != 0);
    if from != held {
        return Err(Problem::Guid { expected: held.unwrap_or_default(), found: begin.from_guid });
    }
    Ok(())
}

/// The block of a write record, embedded or not, as it was before it was compressed; nothing of any other record.
pub(super) fn block_of<'a>(frame: &Frame<'a>, plain: &'a mut Vec<u8>) -> Result<&'a [u8], Problem> {
    let (compression, logical_bytes, packed) = match frame.record {
        Record::Write(write) => (write.compression, write.logical_bytes, frame.payload),
        Record::WriteEmbedded(write) => {
            let physical = usize::try_from(write.physical_bytes).unwrap_or_default();
            let packed = frame.payload.get(..physical).unwrap_or_default();
            (write.compression, write.logical_bytes.into(), packed)
        }
        _ => return Ok(&[]),
    };
    if matches!(compression, Compression::NONE | Compression::OFF) {
        return Ok(packed);
    }
    let length = usize::try_from(logical_bytes).unwrap_or(usize::MAX);
    codec::decompress(compression, packed, length, plain)?;
    Ok(plain)
}

/// The size of a zvol, from the block of the ZAP that says it. OpenZFS 2.3 `module/zfs/zvol.c`, `zvol_create_cb`.
fn volume_size(block: &[u8], byte_order: ByteOrder) -> Option<u64> {
    zap::entries(block, byte_order).find(|entry| entry.name == b"size")?.number()
}
