//! [`Source`]: where a reader's bytes come from: memory, without a copy, or any [`Read`].

use std::io::{self, Read};

/// The buffer to begin with, and what it grows by at most while nothing vouches for a length: a record and its payload as
/// streams mostly have them, 128 KiB.
const BUFFER_BYTES: usize = 256 << 10;

/// Where a [`StreamReader`](super::StreamReader) takes its bytes from.
///
/// Sealed: [`SliceSource`] and [`ReadSource`] are all there are.
pub trait Source: sealed::Sealed {
    /// The next `length` bytes, or as many as there are until the end.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    fn take(&mut self, length: usize) -> io::Result<&[u8]>;
}

/// Bytes in memory: what is read of them is not copied.
#[derive(Clone, Copy, Debug)]
pub struct SliceSource<'a> {
    rest: &'a [u8],
}

impl<'a> SliceSource<'a> {
    /// These bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl Source for SliceSource<'_> {
    fn take(&mut self, length: usize) -> io::Result<&[u8]> {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        Ok(taken)
    }
}

/// Anything that can be read, through one buffer that is used again and again.
///
/// Reads no byte more than it is asked for, so that what follows a stream can be read from the same input.
#[derive(Debug)]
pub struct ReadSource<R> {
    inner: R,
    buffer: Vec<u8>,
}

impl<R: Read> ReadSource<R> {
    /// This input.
    pub const fn new(inner: R) -> Self {
        Self { inner, buffer: Vec::new() }
    }

    /// The input, behind what was taken.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Fills the buffer with `length` bytes; answers how many there were.
    fn fill(&mut self, length: usize) -> io::Result<usize> {
        let mut filled = 0;
        while filled < length {
            if filled == self.buffer.len() {
                // It grows only as far as bytes have come: a length that lies costs nothing.
                let size =
                    (filled.saturating_mul(2)).max(BUFFER_BYTES).min(length.max(BUFFER_BYTES));
                self.buffer.resize(size, 0);
            }
            let end = self.buffer.len().min(length);
            let room = self.buffer.get_mut(filled..end).unwrap_or_default();
            match self.inner.read(room) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Source for ReadSource<R> {
    fn take(&mut self, length: usize) -> io::Result<&[u8]> {
        let filled = self.fill(length)?;
        Ok(self.buffer.get(..filled).unwrap_or_default())
    }
}

mod sealed {
    /// Keeps [`Source`](super::Source) to the types of this module.
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for super::SliceSource<'_> {}
    impl<R: std::io::Read> Sealed for super::ReadSource<R> {}
}
