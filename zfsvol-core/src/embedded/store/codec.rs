//! Values as bytes: [`Writer`] and [`Reader`].
//!
//! Numbers are written seven bits a byte, the lowest first, so that small ones are short; what has a length is preceded by it. Nothing says of
//! itself what it is: the version of the format does ([`FORMAT`](super::FORMAT)).

use crate::nvlist::NvList;

/// What was read is not what was ever written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Malformed;

/// A number of 64 bits takes that many bytes at most.
const NUMBER_BYTES_MAX: usize = 10;

/// Puts values together.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Writer {
    bytes: Vec<u8>,
    /// Something could not be written.
    failed: bool,
}

impl Writer {
    pub(in crate::embedded) fn new() -> Self {
        Self::default()
    }

    /// All that was written.
    ///
    /// # Errors
    /// [`Malformed`] when something could not be.
    pub(in crate::embedded) fn finish(self) -> Result<Vec<u8>, Malformed> {
        if self.failed { Err(Malformed) } else { Ok(self.bytes) }
    }

    pub(in crate::embedded) fn number(&mut self, number: impl Into<u64>) {
        let mut rest: u64 = number.into();
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.bytes.push(low & 0x7f);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// A number that can be below zero: even ones are not, odd ones are.
    pub(in crate::embedded) fn signed(&mut self, number: i64) {
        let folded = (number << 1) ^ (number >> 63);
        self.number(u64::from_ne_bytes(folded.to_ne_bytes()));
    }

    pub(in crate::embedded) fn flag(&mut self, flag: bool) {
        self.bytes.push(u8::from(flag));
    }

    /// How many follow.
    pub(in crate::embedded) fn length(&mut self, length: usize) {
        self.number(u64::try_from(length).unwrap_or(u64::MAX));
    }

    pub(in crate::embedded) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    pub(in crate::embedded) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Bytes whose length is known to who reads them.
    pub(in crate::embedded) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(in crate::embedded) fn nvlist(&mut self, list: &NvList) {
        match list.to_bytes() {
            Ok(packed) => self.bytes(&packed),
            Err(_) => self.failed = true,
        }
    }

    /// Something that can be missing.
    pub(in crate::embedded) fn option<T>(
        &mut self,
        option: Option<T>,
        put: impl FnOnce(&mut Self, T),
    ) {
        self.flag(option.is_some());
        if let Some(value) = option {
            put(self, value);
        }
    }

    /// Several of a kind.
    pub(in crate::embedded) fn list<T>(
        &mut self,
        list: impl ExactSizeIterator<Item = T>,
        mut put: impl FnMut(&mut Self, T),
    ) {
        self.length(list.len());
        list.for_each(|value| put(self, value));
    }
}

/// Takes values apart, in the order they were put together.
#[derive(Debug)]
pub(in crate::embedded) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(in crate::embedded) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(in crate::embedded) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Nothing may be left.
    pub(in crate::embedded) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    pub(in crate::embedded) fn raw(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// As many bytes as an array has.
    pub(in crate::embedded) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.raw(N)?.try_into().map_err(|_| Malformed)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(in crate::embedded) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0_u64;
        for at in 0..NUMBER_BYTES_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shift = u32::try_from(at * 7).map_err(|_| Malformed)?;
            // What does not come back out was beyond 64 bits.
            let placed = bits << shift;
            if placed >> shift != bits {
                return Err(Malformed);
            }
            number |= placed;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    /// A number that must be one of a smaller type.
    pub(in crate::embedded) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        T::try_from(self.number()?).map_err(|_| Malformed)
    }

    pub(in crate::embedded) fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        // The sign, on every bit.
        let sign = if number & 1 == 0 { 0 } else { u64::MAX };
        Ok(i64::from_ne_bytes(((number >> 1) ^ sign).to_ne_bytes()))
    }

    pub(in crate::embedded) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// How many follow: no more than there are bytes, since nothing takes less than one.
    pub(in crate::embedded) fn length(&mut self) -> Result<usize, Malformed> {
        let length: usize = self.small()?;
        if length > self.rest.len() { Err(Malformed) } else { Ok(length) }
    }

    pub(in crate::embedded) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.raw(length)
    }

    pub(in crate::embedded) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    pub(in crate::embedded) fn nvlist(&mut self) -> Result<NvList, Malformed> {
        NvList::from_bytes(self.bytes()?).map_err(|_| Malformed)
    }

    /// Something that can be missing.
    pub(in crate::embedded) fn option<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.flag()? {
            true => take(self).map(Some),
            false => Ok(None),
        }
    }

    /// Several of a kind, into any collection.
    pub(in crate::embedded) fn list<T, C: FromIterator<T>>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<C, Malformed> {
        let length = self.length()?;
        (0..length).map(|_| take(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut out = Writer::new();
        for number in [0, 1, 127, 128, u64::MAX] {
            out.number(number);
        }
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            out.signed(number);
        }
        out.text("tank");
        out.option(Some(3_u64), Writer::number);
        out.list([5_u64, 6].into_iter(), Writer::number);
        let bytes = out.finish().unwrap();
        let mut input = Reader::new(&bytes);
        for number in [0, 1, 127, 128, u64::MAX] {
            assert_eq!(input.number(), Ok(number));
        }
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(input.signed(), Ok(number));
        }
        assert_eq!(input.text(), Ok("tank"));
        assert_eq!(input.option(Reader::number), Ok(Some(3)));
        assert_eq!(input.list(Reader::number), Ok(vec![5, 6]));
        assert_eq!(input.end(), Ok(()));
        assert_eq!(input.number(), Err(Malformed));
    }

    #[test]
    fn lengths_and_numbers_that_cannot_be_are_refused() {
        let long = [0xff; 9];
        assert_eq!(Reader::new(&long).bytes(), Err(Malformed));
        let mut beyond = [0xff; 10];
        beyond[9] = 2;
        assert_eq!(Reader::new(&beyond).number(), Err(Malformed));
        assert_eq!(Reader::new(&[200, 1, 0]).list::<u64, Vec<_>>(Reader::number), Err(Malformed));
        assert_eq!(Reader::new(&[2]).flag(), Err(Malformed));
    }
}
