//! Name-value lists: the language of every OpenZFS ioctl, of send streams and of vdev labels.
//!
//! [`NvList`] is the tree, [`Value`] what a pair holds. [`NvList::to_bytes`] and [`NvList::from_bytes`] go to the packed
//! form and back, in the native encoding (ioctls) and in XDR (streams, labels).
//!
//! This module does no I/O and calls nothing else in the crate.
//!
//! Decoding is safe for arbitrary data, whoever wrote it: it neither panics nor recurses without end, and takes time and
//! memory in proportion to the size of the data, within [`Limits`].

mod data_type;
mod de;
mod decode;
mod display;
mod encode;
mod error;
mod index;
mod json;
mod key;
mod list;
mod native;
mod reader;
mod ser;
mod serde_error;
mod string;
mod typed;
mod value;
mod word;
mod xdr;

pub use data_type::DataType;
pub use de::from_nvlist;
pub use decode::{BYTES_MAX, DEPTH_MAX, KERNEL_DEPTH_MAX, Limits, NAME_BYTES_MAX, PAIRS_MAX};
pub use encode::Encoding;
pub use error::{DecodeCode, DecodeError, EncodeCode, EncodeError, NvTypeError};
pub use list::{IntoIter, Iter, NvList};
pub use ser::to_nvlist;
pub use serde_error::{DeError, SerError};
pub use string::NvString;
pub use typed::{byte_array, flag, hrtime, nvlist_array, string_array, uint8_array, uint64_array};
pub use value::Value;
pub use word::ByteOrder;

#[cfg(test)]
mod tests;
