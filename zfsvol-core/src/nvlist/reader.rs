//! A cursor over packed bytes that never reads past its end.

use super::word::{ByteOrder, Word};
use super::{DecodeCode, DecodeError};

/// Bytes not read yet, and where in the packed list they are.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// The offset of `rest` in the packed list, for errors.
    offset: usize,
    order: ByteOrder,
    /// What it means that there is nothing left: the end of the input, or of the pair.
    at_end: DecodeCode,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], order: ByteOrder, at_end: DecodeCode) -> Self {
        Self { rest: bytes, offset: 0, order, at_end }
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    pub(super) fn order(&self) -> ByteOrder {
        self.order
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn error(&self, code: DecodeCode) -> DecodeError {
        DecodeError::new(code, self.offset)
    }

    /// Fails unless `count` elements of at least `width` bytes each are left, so that room for them can be made.
    pub(super) fn need(&self, count: usize, width: usize) -> Result<usize, DecodeError> {
        match count.checked_mul(width) {
            Some(bytes) if bytes <= self.rest.len() => Ok(bytes),
            _ => Err(DecodeError::new(self.at_end, self.offset + self.rest.len())),
        }
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        self.need(count, 1)?;
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        self.offset += count;
        Ok(taken)
    }

    /// A reader of the next `count` bytes, which hold one pair.
    pub(super) fn pair(&mut self, count: usize) -> Result<Self, DecodeError> {
        let (offset, order) = (self.offset, self.order);
        let rest = self.take(count)?;
        Ok(Self { rest, offset, order, at_end: DecodeCode::PairSize })
    }

    pub(super) fn word<T: Word>(&mut self) -> Result<T, DecodeError> {
        let order = self.order;
        let bytes = self.take(T::WIDTH)?;
        T::read(bytes, order).ok_or_else(|| self.error(self.at_end))
    }

    pub(super) fn words<T: Word>(&mut self, count: usize) -> Result<Vec<T>, DecodeError> {
        let bytes = self.need(count, T::WIDTH)?;
        let order = self.order;
        let mut words = Vec::with_capacity(count);
        words.extend(self.take(bytes)?.chunks_exact(T::WIDTH).filter_map(|w| T::read(w, order)));
        Ok(words)
    }

    /// A `boolean_t`.
    pub(super) fn boolean(&mut self) -> Result<bool, DecodeError> {
        let offset = self.offset;
        match self.word::<u32>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::new(DecodeCode::Boolean, offset)),
        }
    }

    pub(super) fn booleans(&mut self, count: usize) -> Result<Vec<bool>, DecodeError> {
        self.need(count, 4)?;
        let mut booleans = Vec::with_capacity(count);
        for _ in 0..count {
            booleans.push(self.boolean()?);
        }
        Ok(booleans)
    }
}
