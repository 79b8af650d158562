//! Packed bytes to a list.

use super::reader::Reader;
use super::word::ByteOrder;
use super::{DecodeCode, DecodeError, Encoding, NvList, native, xdr};

/// How deep lists may be nested below the outermost one: what libnvpair itself allows outside the kernel. The kernel
/// stops at [`KERNEL_DEPTH_MAX`], real lists at about ten (a pool's configuration).
///
/// Source: OpenZFS 2.4 module/nvpair/nvpair.c, `nvpair_max_recursion`.
pub const DEPTH_MAX: usize = 100;

/// How deep the kernel module lets lists be nested below the outermost one.
pub const KERNEL_DEPTH_MAX: usize = 20;

/// How many pairs a list may have, those of the lists inside included: some ten times the properties of 10,000
/// datasets in one reply. A pair costs about 100 bytes of memory.
pub const PAIRS_MAX: usize = 4 << 20;

/// How long a packed list may be: 256 MiB, twice the longest request that the kernel takes
/// (`zfs_max_nvlist_src_size`).
pub const BYTES_MAX: usize = 256 << 20;

/// The longest name a pair can have, in bytes: its length and its NUL must fit 15 bits.
///
/// Source: OpenZFS 2.4 module/nvpair/nvpair.c, `nvlist_add_common`.
pub const NAME_BYTES_MAX: usize = 32_766;

/// What a decoder accepts at most.
///
/// Whatever the limits, decoding takes time and memory in proportion to the input (at most twenty times its size, mostly far less):
/// no length inside it is believed before that many bytes are seen to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How deep lists may be nested below the outermost one. Values above [`DEPTH_MAX`] count as [`DEPTH_MAX`].
    pub depth: usize,
    /// How many pairs there may be, those of the lists inside included.
    pub pairs: usize,
    /// How many bytes the packed list may have.
    pub bytes: usize,
}

impl Limits {
    /// [`DEPTH_MAX`], [`PAIRS_MAX`] and [`BYTES_MAX`].
    pub const DEFAULT: Self = Self { depth: DEPTH_MAX, pairs: PAIRS_MAX, bytes: BYTES_MAX };

    /// The same limits with another depth.
    #[must_use]
    pub const fn depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    /// The same limits with another number of pairs.
    #[must_use]
    pub const fn pairs(self, pairs: usize) -> Self {
        Self { pairs, ..self }
    }

    /// The same limits with another length.
    #[must_use]
    pub const fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What is left of the limits while a list is decoded.
#[derive(Debug)]
pub(super) struct Budget {
    depth: usize,
    pairs: usize,
}

impl Budget {
    /// Accounts for one pair.
    pub(super) fn pair(&mut self, reader: &Reader<'_>) -> Result<(), DecodeError> {
        match self.pairs.checked_sub(1) {
            Some(left) => self.pairs = left,
            None => return Err(reader.error(DecodeCode::TooManyPairs)),
        }
        Ok(())
    }

    /// Decodes a list inside the list.
    pub(super) fn nested(
        &mut self,
        reader: &mut Reader<'_>,
        list: impl FnOnce(&mut Reader<'_>, &mut Self) -> Result<NvList, DecodeError>,
    ) -> Result<NvList, DecodeError> {
        match self.depth.checked_sub(1) {
            Some(left) => self.depth = left,
            None => return Err(reader.error(DecodeCode::TooDeep)),
        }
        let decoded = list(reader, self);
        self.depth += 1;
        decoded
    }
}

impl NvList {
    /// The list that these bytes hold, in either encoding and byte order, which the first two bytes tell.
    ///
    /// The bytes may come from anywhere: whatever they are, the answer is a list or an error, in time and memory
    /// proportional to their number. A list that breaks its own rule about names keeps all its pairs, as in OpenZFS;
    /// the last of a name is the one that is found.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] says what is wrong at which byte. Bytes left over after the list are an error here and none in
    /// [`decode_prefix`](Self::decode_prefix). Names that are not UTF-8 are refused (strings need not be UTF-8).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_bytes_with(bytes, &Limits::DEFAULT)
    }

    /// As [`from_bytes`](Self::from_bytes), with limits of the caller's.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes); [`DecodeError::is_limit`] tells when a limit was hit.
    pub fn from_bytes_with(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        let decoded = decode(bytes, limits)?;
        let rest = bytes.get(decoded.consumed..).unwrap_or_default();
        // libnvpair reserves, and leaves zero, a count for each empty array that its XDR encoder then does not write.
        if rest.len() > decoded.slack || rest.iter().any(|byte| *byte != 0) {
            return Err(DecodeError::new(DecodeCode::TrailingBytes, decoded.consumed));
        }
        Ok(decoded.list)
    }

    /// The list at the start of these bytes, and how many of them it takes: for lists that sit in a larger buffer,
    /// such as the kernel's replies and the labels of a vdev.
    ///
    /// # Errors
    ///
    /// As [`from_bytes`](Self::from_bytes), except that bytes may be left over.
    pub fn decode_prefix(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        Self::decode_prefix_with(bytes, &Limits::DEFAULT)
    }

    /// As [`decode_prefix`](Self::decode_prefix), with limits of the caller's.
    ///
    /// # Errors
    ///
    /// As [`decode_prefix`](Self::decode_prefix).
    pub fn decode_prefix_with(bytes: &[u8], limits: &Limits) -> Result<(Self, usize), DecodeError> {
        let decoded = decode(bytes, limits)?;
        Ok((decoded.list, decoded.consumed))
    }
}

struct Decoded {
    list: NvList,
    consumed: usize,
    /// How many bytes libnvpair reserved and did not write.
    slack: usize,
}

fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let (within, at_end) = match bytes.get(..limits.bytes) {
        Some(within) if within.len() < bytes.len() => (within, DecodeCode::TooManyBytes),
        _ => (bytes, DecodeCode::Truncated),
    };
    let encoding = Encoding::of(within)?;
    let order = match encoding {
        Encoding::Native(order) => order,
        Encoding::Xdr => ByteOrder::Big,
    };
    let mut reader = Reader::new(within, order, at_end);
    reader.take(HEADER_BYTES)?;
    let mut budget = Budget { depth: limits.depth.min(DEPTH_MAX), pairs: limits.pairs };
    let (list, slack) = match encoding {
        Encoding::Native(_) => (native::decode(&mut reader, &mut budget)?, 0),
        Encoding::Xdr => xdr::decode(&mut reader, &mut budget)?,
    };
    Ok(Decoded { list, consumed: reader.offset(), slack })
}

/// The four bytes before a packed list: encoding, byte order, and two that are not used.
pub(super) const HEADER_BYTES: usize = 4;

impl Encoding {
    /// The encoding that the header of a packed list tells.
    ///
    /// # Errors
    ///
    /// [`DecodeCode::Truncated`] for less than a header, [`DecodeCode::UnknownEncoding`] and
    /// [`DecodeCode::UnknownByteOrder`].
    pub fn of(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes {
            [0, 1, _, _, ..] => Ok(Self::Native(ByteOrder::Little)),
            [0, 0, _, _, ..] => Ok(Self::Native(ByteOrder::Big)),
            [0, _, _, _, ..] => Err(DecodeError::new(DecodeCode::UnknownByteOrder, 1)),
            [1, _, _, _, ..] => Ok(Self::Xdr),
            [_, _, _, _, ..] => Err(DecodeError::new(DecodeCode::UnknownEncoding, 0)),
            _ => Err(DecodeError::new(DecodeCode::Truncated, bytes.len())),
        }
    }
}
