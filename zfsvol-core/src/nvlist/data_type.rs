//! The kernel's numbers for the types a pair can have.

use std::fmt;

/// The type of a pair's value, by OpenZFS's own number (`data_type_t`).
///
/// These are the 27 types a pair can have. The two remaining numbers of `data_type_t`, `DATA_TYPE_DONTCARE` (-1) and
/// `DATA_TYPE_UNKNOWN` (0), stand for no type: they are refused wherever a pair is decoded.
///
/// Source: OpenZFS 2.4 include/sys/nvpair.h, `data_type_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataType {
    /// A pair that has a name and no value: its presence is the message.
    Boolean = 1,
    /// One byte.
    Byte = 2,
    /// `i16`
    Int16 = 3,
    /// `u16`
    Uint16 = 4,
    /// `i32`
    Int32 = 5,
    /// `u32`
    Uint32 = 6,
    /// `i64`
    Int64 = 7,
    /// `u64`
    Uint64 = 8,
    /// A C string.
    String = 9,
    /// Bytes.
    ByteArray = 10,
    /// `[i16]`
    Int16Array = 11,
    /// `[u16]`
    Uint16Array = 12,
    /// `[i32]`
    Int32Array = 13,
    /// `[u32]`
    Uint32Array = 14,
    /// `[i64]`
    Int64Array = 15,
    /// `[u64]`
    Uint64Array = 16,
    /// C strings.
    StringArray = 17,
    /// A time in nanoseconds.
    Hrtime = 18,
    /// A list inside the list.
    NvList = 19,
    /// Lists inside the list.
    NvListArray = 20,
    /// `true` or `false`
    BooleanValue = 21,
    /// `i8`
    Int8 = 22,
    /// `u8`
    Uint8 = 23,
    /// `[bool]`
    BooleanArray = 24,
    /// `[i8]`
    Int8Array = 25,
    /// `[u8]`
    Uint8Array = 26,
    /// `f64`; only programs use it, the kernel refuses it.
    Double = 27,
}

impl DataType {
    /// Every type, in the order of their numbers.
    pub const ALL: [Self; 27] = [
        Self::Boolean,
        Self::Byte,
        Self::Int16,
        Self::Uint16,
        Self::Int32,
        Self::Uint32,
        Self::Int64,
        Self::Uint64,
        Self::String,
        Self::ByteArray,
        Self::Int16Array,
        Self::Uint16Array,
        Self::Int32Array,
        Self::Uint32Array,
        Self::Int64Array,
        Self::Uint64Array,
        Self::StringArray,
        Self::Hrtime,
        Self::NvList,
        Self::NvListArray,
        Self::BooleanValue,
        Self::Int8,
        Self::Uint8,
        Self::BooleanArray,
        Self::Int8Array,
        Self::Uint8Array,
        Self::Double,
    ];

    /// The number that stands for the type in a packed list.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The type with this number, or `None` when no pair can have it.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        let place = usize::try_from(code).ok()?.checked_sub(1)?;
        Self::ALL.get(place).copied()
    }

    /// The type's name as OpenZFS writes it, in lower case and without `DATA_TYPE_`: `uint64`, `nvlist_array`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Byte => "byte",
            Self::Int16 => "int16",
            Self::Uint16 => "uint16",
            Self::Int32 => "int32",
            Self::Uint32 => "uint32",
            Self::Int64 => "int64",
            Self::Uint64 => "uint64",
            Self::String => "string",
            Self::ByteArray => "byte_array",
            Self::Int16Array => "int16_array",
            Self::Uint16Array => "uint16_array",
            Self::Int32Array => "int32_array",
            Self::Uint32Array => "uint32_array",
            Self::Int64Array => "int64_array",
            Self::Uint64Array => "uint64_array",
            Self::StringArray => "string_array",
            Self::Hrtime => "hrtime",
            Self::NvList => "nvlist",
            Self::NvListArray => "nvlist_array",
            Self::BooleanValue => "boolean_value",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::BooleanArray => "boolean_array",
            Self::Int8Array => "int8_array",
            Self::Uint8Array => "uint8_array",
            Self::Double => "double",
        }
    }

    /// The type with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether the value is an array, of any length.
    #[must_use]
    pub const fn is_array(self) -> bool {
        matches!(
            self,
            Self::ByteArray
                | Self::Int16Array
                | Self::Uint16Array
                | Self::Int32Array
                | Self::Uint32Array
                | Self::Int64Array
                | Self::Uint64Array
                | Self::StringArray
                | Self::NvListArray
                | Self::BooleanArray
                | Self::Int8Array
                | Self::Uint8Array
        )
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_number_and_its_name() {
        for (place, kind) in DataType::ALL.into_iter().enumerate() {
            assert_eq!(kind.code(), i32::try_from(place).unwrap() + 1);
            assert_eq!(DataType::from_code(kind.code()), Some(kind));
            assert_eq!(DataType::from_name(kind.name()), Some(kind));
            assert_eq!(kind.is_array(), kind.name().ends_with("_array"));
        }
    }

    #[test]
    fn dontcare_and_unknown_and_what_lies_beyond_are_no_types() {
        for code in [i32::MIN, -1, 0, 28, i32::MAX] {
            assert_eq!(DataType::from_code(code), None, "{code}");
        }
    }
}
