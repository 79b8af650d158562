//! Pair types that Rust types do not tell apart: for `#[serde(with = ..)]`.
//!
//! Serde knows no flags, no two kinds of byte arrays and no type of an empty array. The modules here carry the pair type
//! through it as the name of a newtype struct, which our serialiser knows and every other one ignores.

use serde::ser::{Serialize, Serializer};

use super::DataType;

/// What the names that carry a pair type begin with; no Rust identifier does.
const PREFIX: &str = "nvlist ";

pub(super) const BOOLEAN: &str = "nvlist boolean";
pub(super) const STRING: &str = "nvlist string";
pub(super) const NVLIST: &str = "nvlist nvlist";
pub(super) const BYTE_ARRAY: &str = "nvlist byte_array";
pub(super) const UINT8_ARRAY: &str = "nvlist uint8_array";
pub(super) const UINT64_ARRAY: &str = "nvlist uint64_array";
pub(super) const STRING_ARRAY: &str = "nvlist string_array";
pub(super) const NVLIST_ARRAY: &str = "nvlist nvlist_array";
pub(super) const HRTIME: &str = "nvlist hrtime";
/// Not a pair type: a list of one pair, whose value is meant.
pub(super) const VALUE: &str = "nvlist value";

/// The pair type that the name of a newtype struct carries.
pub(super) fn data_type(name: &str) -> Option<DataType> {
    DataType::from_name(name.strip_prefix(PREFIX)?)
}

/// Bytes that serialise as such and not as a sequence of numbers.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// `bool` as a pair without value: `true` is there, `false` is absent.
///
/// An absent pair is no field to serde, so add `default`:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use zfsvol_core::nvlist;
///
/// #[derive(Serialize, Deserialize)]
/// struct Destroy {
///     #[serde(default, with = "nvlist::flag")]
///     defer: bool,
/// }
///
/// assert!(nvlist::to_nvlist(&Destroy { defer: true })?.get_flag("defer"));
/// assert!(nvlist::to_nvlist(&Destroy { defer: false })?.is_empty());
/// assert!(!nvlist::from_nvlist::<Destroy>(&nvlist::NvList::new())?.defer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub mod flag {
    use std::fmt;

    use serde::de::Visitor;
    use serde::{Deserializer, Serializer};

    /// Serialises `true` as a pair without value and `false` as nothing.
    ///
    /// # Errors
    ///
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(flag: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(super::BOOLEAN, flag)
    }

    /// Reads a pair without value as `true`.
    ///
    /// # Errors
    ///
    /// Those of the deserialiser.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        // What is flattened is kept as it came, which only a format that shows types does.
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_any(Flag),
            false => deserializer.deserialize_bool(Flag),
        }
    }

    struct Flag;

    impl Visitor<'_> for Flag {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a pair without value")
        }

        fn visit_bool<E>(self, flag: bool) -> Result<bool, E> {
            Ok(flag)
        }

        /// What `#[serde(flatten)]` makes of a pair without value.
        fn visit_unit<E>(self) -> Result<bool, E> {
            Ok(true)
        }
    }
}

/// Bytes as a `byte_array`.
pub mod byte_array {
    use serde::{Deserializer, Serializer};

    /// Serialises bytes as a `byte_array`.
    ///
    /// # Errors
    ///
    /// Those of the serialiser.
    pub fn serialize<T: AsRef<[u8]>, S: Serializer>(
        bytes: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes = super::Bytes(bytes.as_ref());
        serializer.serialize_newtype_struct(super::BYTE_ARRAY, &bytes)
    }

    /// Reads a `byte_array` or a `uint8_array`.
    ///
    /// # Errors
    ///
    /// Those of the deserialiser.
    pub fn deserialize<'de, T: From<Vec<u8>>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        super::bytes(deserializer)
    }
}

/// Bytes as a `uint8_array`, also when there are none: what the kernel takes for keys and boot environments.
pub mod uint8_array {
    use serde::{Deserializer, Serializer};

    /// Serialises bytes as a `uint8_array`.
    ///
    /// # Errors
    ///
    /// Those of the serialiser.
    pub fn serialize<T: AsRef<[u8]>, S: Serializer>(
        bytes: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes = super::Bytes(bytes.as_ref());
        serializer.serialize_newtype_struct(super::UINT8_ARRAY, &bytes)
    }

    /// Reads a `uint8_array` or a `byte_array`.
    ///
    /// # Errors
    ///
    /// Those of the deserialiser.
    pub fn deserialize<'de, T: From<Vec<u8>>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        super::bytes(deserializer)
    }
}

/// `i64` as an `hrtime`: a time in nanoseconds.
pub mod hrtime {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Serialises a time as an `hrtime`.
    ///
    /// # Errors
    ///
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(time: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(super::HRTIME, time)
    }

    /// Reads an `hrtime`.
    ///
    /// # Errors
    ///
    /// Those of the deserialiser.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        i64::deserialize(deserializer)
    }
}

/// A module for `#[serde(with = ..)]` that names the type of an array, which an empty one does not show.
macro_rules! array_module {
    ($(#[$doc:meta])* $module:ident, $name:ident) => {
        $(#[$doc])*
        pub mod $module {
            use serde::{Deserialize, Deserializer, Serialize, Serializer};

            /// Serialises the array, also when it is empty.
            ///
            /// # Errors
            ///
            /// Those of the serialiser.
            pub fn serialize<T: Serialize, S: Serializer>(
                array: &T,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                serializer.serialize_newtype_struct(super::$name, array)
            }

            /// Reads the array.
            ///
            /// # Errors
            ///
            /// Those of the deserialiser.
            pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<T, D::Error> {
                T::deserialize(deserializer)
            }
        }
    };
}

array_module! {
    /// Numbers as a `uint64_array`, also when there are none.
    uint64_array, UINT64_ARRAY
}
array_module! {
    /// Strings as a `string_array`, also when there are none.
    string_array, STRING_ARRAY
}
array_module! {
    /// Structs as an `nvlist_array`, also when there are none.
    nvlist_array, NVLIST_ARRAY
}

/// Reads bytes, whether the format has them as such or as a sequence of numbers.
pub(super) fn bytes<'de, T: From<Vec<u8>>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_byte_buf(BytesVisitor).map(T::from)
}

struct BytesVisitor;

impl<'de> serde::de::Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_byte_buf(self)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        // The length a format claims is not trusted with memory: the vector grows as bytes come.
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}
