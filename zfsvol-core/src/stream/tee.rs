//! [`Tee`]: verifies a stream while it passes to somewhere else.

use std::io::{self, Read};

use super::{StreamError, Summary, Verifier};

/// A [`Read`] that hands on what it reads from another and verifies it on the way.
///
/// As soon as the stream turns out to be damaged, reading fails with `InvalidData`, or with `UnexpectedEof` where it is cut off;
/// the [`StreamError`] is inside. What had passed before has passed, and is not vouched for until [`Tee::finish`]
/// has said so.
///
/// ```
/// use std::io::Read;
///
/// use zfsvol_core::stream::Tee;
///
/// # fn run(stream: impl Read, mut backup: impl std::io::Write) -> Result<(), Box<dyn std::error::Error>> {
/// let mut tee = Tee::new(stream);
/// std::io::copy(&mut tee, &mut backup)?;
/// let summary = tee.finish()?;
/// println!("{} records, and all of them sound", summary.records());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Tee<R> {
    inner: R,
    verifier: Verifier,
    at_end: bool,
}

impl<R: Read> Tee<R> {
    /// Hands on what is read from `inner`, which is to be a stream or a package, from its begin.
    pub fn new(inner: R) -> Self {
        Self { inner, verifier: Verifier::new(), at_end: false }
    }

    /// What has passed: bytes, records, objects, and the stream that is passing.
    pub fn progress(&self) -> &Summary {
        self.verifier.progress()
    }

    /// What is read from.
    pub const fn get_ref(&self) -> &R {
        &self.inner
    }

    /// What has passed, if it was all of a sound stream.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or that not all was read.
    pub fn finish(self) -> Result<Summary, StreamError> {
        self.verifier.finish()
    }
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if length == 0 && !buffer.is_empty() && !self.at_end {
            self.verifier.clone().finish()?;
            self.at_end = true;
        }
        self.verifier.feed(buffer.get(..length).unwrap_or_default())?;
        Ok(length)
    }
}
