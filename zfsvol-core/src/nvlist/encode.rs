//! A list to packed bytes.

use super::decode::{DEPTH_MAX, HEADER_BYTES, NAME_BYTES_MAX};
use super::word::{ByteOrder, Word};
use super::{EncodeCode, EncodeError, NvList, NvString, Value, native, xdr};

/// How a list is laid out as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Laid out as in memory (`NV_ENCODE_NATIVE`): what ioctls carry, in the order of the host.
    Native(ByteOrder),
    /// The same on every machine (`NV_ENCODE_XDR`): what is in send streams and on disk.
    Xdr,
}

impl Encoding {
    /// The encoding that this machine's kernel reads and writes.
    pub const HOST: Self = Self::Native(ByteOrder::HOST);
}

impl NvList {
    /// The list as the kernel reads it: byte for byte what OpenZFS's `fnvlist_pack` writes on this machine.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] names the pair: a name or string with a NUL inside, a name over
    /// [`NAME_BYTES_MAX`] bytes, lists nested deeper than [`DEPTH_MAX`] (the kernel refuses more than
    /// [`KERNEL_DEPTH_MAX`](super::KERNEL_DEPTH_MAX)), a result of 2 GiB or more.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        self.encode(Encoding::HOST)
    }

    /// The list packed in this encoding, byte for byte as libnvpair's `nvlist_pack` on a machine of that byte order.
    ///
    /// In one case libnvpair's programs and the kernel disagree: in XDR, programs sign-extend negative 8 and 16-bit
    /// numbers to 32 bits and the kernel, which does not, refuses theirs. This writes what the kernel does, and
    /// [`from_bytes`](Self::from_bytes) reads both.
    ///
    /// # Errors
    ///
    /// As [`to_bytes`](Self::to_bytes).
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, EncodeError> {
        let order = match encoding {
            Encoding::Native(order) => order,
            Encoding::Xdr => ByteOrder::Big,
        };
        let mut writer = Writer { out: Vec::with_capacity(1024), order, depth: 0 };
        match encoding {
            Encoding::Native(order) => {
                writer.out.extend_from_slice(&[0, order.code(), 0, 0]);
                native::encode(&mut writer, self)?;
            }
            Encoding::Xdr => {
                writer.out.extend_from_slice(&[1, ByteOrder::HOST.code(), 0, 0]);
                xdr::encode(&mut writer, self)?;
            }
        }
        length(writer.out.len() - HEADER_BYTES)?;
        Ok(writer.out)
    }
}

/// The bytes written so far.
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    order: ByteOrder,
    depth: usize,
}

impl Writer {
    pub(super) fn word(&mut self, word: impl Word) {
        word.write(&mut self.out, self.order);
    }

    pub(super) fn words<T: Word>(&mut self, words: &[T]) {
        for word in words {
            self.word(*word);
        }
    }

    pub(super) fn zeros(&mut self, count: usize) {
        self.out.resize(self.out.len() + count, 0);
    }

    /// Encodes a list inside the list.
    pub(super) fn nested<T>(
        &mut self,
        list: impl FnOnce(&mut Self) -> Result<T, EncodeError>,
    ) -> Result<T, EncodeError> {
        if self.depth == DEPTH_MAX {
            return Err(EncodeError::new(EncodeCode::TooDeep));
        }
        self.depth += 1;
        let encoded = list(self)?;
        self.depth -= 1;
        Ok(encoded)
    }
}

/// A length or count as the format writes it.
pub(super) fn length(bytes: usize) -> Result<i32, EncodeError> {
    i32::try_from(bytes).map_err(|_| EncodeError::new(EncodeCode::TooLong))
}

/// Refuses names that no pair can have.
pub(super) fn check_name(name: &str) -> Result<(), EncodeError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(EncodeError::new(EncodeCode::NameTooLong));
    }
    if name.as_bytes().contains(&0) {
        return Err(EncodeError::new(EncodeCode::NameNul));
    }
    Ok(())
}

/// Refuses strings that no pair can hold.
pub(super) fn check_strings(value: &Value) -> Result<(), EncodeError> {
    let has_nul = |string: &NvString| string.as_bytes().contains(&0);
    let bad = match value {
        Value::String(string) => has_nul(string),
        Value::StringArray(strings) => strings.iter().any(has_nul),
        _ => false,
    };
    if bad { Err(EncodeError::new(EncodeCode::StringNul)) } else { Ok(()) }
}
