//! [`Disk`]: where data is rebuilt.

use std::io::{self, Seek, SeekFrom, Write as Output};
use std::ops::Range;

/// How much is zeroed at once where an output has no holes to be punched.
const ZERO_BYTES: usize = 64 << 10;

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
