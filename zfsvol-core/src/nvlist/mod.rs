//! Name-value lists: the language of every OpenZFS ioctl, of send streams and of vdev labels.
//!
//! [`NvList`] is the tree, [`Value`] what a pair holds. [`NvList::to_bytes`] and [`NvList::from_bytes`] go to the packed
//! form and back, in the native encoding (ioctls) and in XDR (streams, labels).
//!
//! This module does no I/O and calls nothing else in the crate.
//!
//! Decoding is safe for arbitrary data, whoever wrote it: it neither panics nor recurses without end, and takes time and
//! memory in proportion to the size of the data, within [`Limits`].
//!
//! # Structs
//!
//! [`to_nvlist`] and [`from_nvlist`] turn structs with serde's derives into lists and back: that is how requests and
//! replies are written in this crate.
//!
//! # JSON
//!
//! [`NvList`] implements serde's traits itself, so that it can be printed as JSON and read back with nothing lost.
//!
//! A list is an object. Each key is a name, a colon and the pair's type, so that the type survives and `jq` still finds
//! its way; the last colon counts, because names have colons too and types have none:
//!
//! ```json
//! {
//!   "guid:uint64": 17,
//!   "org:note:string": "for the record",
//!   "spare:boolean": null,
//!   "vdev_tree:nvlist": { "type:string": "mirror", "children:nvlist_array": [{ "id:uint64": 0 }] }
//! }
//! ```
//!
//! - `boolean`, the pair without value, is `null`; `boolean_value` is `true` or `false`.
//! - Integers are numbers of up to 64 bits, which some readers of JSON round.
//! - `double` is a string, since JSON has no infinity and not all readers keep every bit: `"0.1"`, `"inf"`, or
//!   `"bits:"` and the bits in hexadecimal for what is not a number.
//! - `byte_array` is a string of hexadecimal digits; `uint8_array` is an array of numbers.
//! - A string that is not UTF-8 is `{ "hex": "636166e9" }`.
//! - A list whose names are not unique is `{ "$nvflag": 0, "$pairs": [["a:uint64", 1], ["a:uint64", 2]] }`.
//!
//! Pairs are written and read in their order. What re-orders the keys of objects on the way (a `serde_json::Value`
//! does) loses that order and nothing else.
//!
//! Formats that are not for people (`is_human_readable` is false) get the packed bytes instead.

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
