//! What a pair can hold.

use super::{DataType, NvList, NvString};

/// The value of a pair, in one of the 27 types of OpenZFS.
///
/// `From` is there for everything that leaves no choice of type (`u64` becomes [`Uint64`](Self::Uint64), `&str` becomes
/// [`String`](Self::String)). Bytes leave one: the kernel tells [`ByteArray`](Self::ByteArray) from
/// [`Uint8Array`](Self::Uint8Array), so name the variant.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A flag: no value, the pair is there or it is not. Not to be confused with [`BooleanValue`](Self::BooleanValue);
    /// requests use this one (`defer`, `compressok`).
    Boolean,
    /// `true` or `false`
    BooleanValue(bool),
    /// One byte.
    Byte(u8),
    /// `DATA_TYPE_INT8`
    Int8(i8),
    /// `DATA_TYPE_UINT8`
    Uint8(u8),
    /// `DATA_TYPE_INT16`
    Int16(i16),
    /// `DATA_TYPE_UINT16`
    Uint16(u16),
    /// `DATA_TYPE_INT32`
    Int32(i32),
    /// `DATA_TYPE_UINT32`
    Uint32(u32),
    /// `DATA_TYPE_INT64`
    Int64(i64),
    /// `DATA_TYPE_UINT64`: what numbers are in nearly all requests and replies.
    Uint64(u64),
    /// `DATA_TYPE_STRING`
    String(NvString),
    /// A time in nanoseconds.
    Hrtime(i64),
    /// Between programs only: the kernel refuses it.
    Double(f64),
    /// A list inside the list.
    NvList(NvList),
    /// `DATA_TYPE_BOOLEAN_ARRAY`
    BooleanArray(Vec<bool>),
    /// `DATA_TYPE_BYTE_ARRAY`
    ByteArray(Vec<u8>),
    /// `DATA_TYPE_INT8_ARRAY`
    Int8Array(Vec<i8>),
    /// `DATA_TYPE_UINT8_ARRAY`: what the kernel takes for keys (`wkeydata`).
    Uint8Array(Vec<u8>),
    /// `DATA_TYPE_INT16_ARRAY`
    Int16Array(Vec<i16>),
    /// `DATA_TYPE_UINT16_ARRAY`
    Uint16Array(Vec<u16>),
    /// `DATA_TYPE_INT32_ARRAY`
    Int32Array(Vec<i32>),
    /// `DATA_TYPE_UINT32_ARRAY`
    Uint32Array(Vec<u32>),
    /// `DATA_TYPE_INT64_ARRAY`
    Int64Array(Vec<i64>),
    /// `DATA_TYPE_UINT64_ARRAY`
    Uint64Array(Vec<u64>),
    /// `DATA_TYPE_STRING_ARRAY`
    StringArray(Vec<NvString>),
    /// Lists inside the list: the children of a vdev.
    NvListArray(Vec<NvList>),
}

impl Value {
    /// The type of this value.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::BooleanValue(_) => DataType::BooleanValue,
            Self::Byte(_) => DataType::Byte,
            Self::Int8(_) => DataType::Int8,
            Self::Uint8(_) => DataType::Uint8,
            Self::Int16(_) => DataType::Int16,
            Self::Uint16(_) => DataType::Uint16,
            Self::Int32(_) => DataType::Int32,
            Self::Uint32(_) => DataType::Uint32,
            Self::Int64(_) => DataType::Int64,
            Self::Uint64(_) => DataType::Uint64,
            Self::String(_) => DataType::String,
            Self::Hrtime(_) => DataType::Hrtime,
            Self::Double(_) => DataType::Double,
            Self::NvList(_) => DataType::NvList,
            Self::BooleanArray(_) => DataType::BooleanArray,
            Self::ByteArray(_) => DataType::ByteArray,
            Self::Int8Array(_) => DataType::Int8Array,
            Self::Uint8Array(_) => DataType::Uint8Array,
            Self::Int16Array(_) => DataType::Int16Array,
            Self::Uint16Array(_) => DataType::Uint16Array,
            Self::Int32Array(_) => DataType::Int32Array,
            Self::Uint32Array(_) => DataType::Uint32Array,
            Self::Int64Array(_) => DataType::Int64Array,
            Self::Uint64Array(_) => DataType::Uint64Array,
            Self::StringArray(_) => DataType::StringArray,
            Self::NvListArray(_) => DataType::NvListArray,
        }
    }

    /// How many elements the packed pair says it has: 0 for a flag, 1 for a single value, the length of an array.
    pub(super) fn element_count(&self) -> usize {
        match self {
            Self::Boolean => 0,
            Self::BooleanArray(a) => a.len(),
            Self::ByteArray(a) | Self::Uint8Array(a) => a.len(),
            Self::Int8Array(a) => a.len(),
            Self::Int16Array(a) => a.len(),
            Self::Uint16Array(a) => a.len(),
            Self::Int32Array(a) => a.len(),
            Self::Uint32Array(a) => a.len(),
            Self::Int64Array(a) => a.len(),
            Self::Uint64Array(a) => a.len(),
            Self::StringArray(a) => a.len(),
            Self::NvListArray(a) => a.len(),
            _ => 1,
        }
    }
}

/// One `From` per Rust type that leaves no choice of pair type.
macro_rules! value_from {
    ($($from:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )+};
}

value_from! {
    bool => BooleanValue,
    i8 => Int8,
    u8 => Uint8,
    i16 => Int16,
    u16 => Uint16,
    i32 => Int32,
    u32 => Uint32,
    i64 => Int64,
    u64 => Uint64,
    f64 => Double,
    &str => String,
    String => String,
    &String => String,
    NvString => String,
    NvList => NvList,
    Vec<bool> => BooleanArray,
    Vec<i8> => Int8Array,
    Vec<i16> => Int16Array,
    Vec<u16> => Uint16Array,
    Vec<i32> => Int32Array,
    Vec<u32> => Uint32Array,
    Vec<i64> => Int64Array,
    Vec<u64> => Uint64Array,
    &[u64] => Uint64Array,
    Vec<NvString> => StringArray,
    Vec<NvList> => NvListArray,
}

impl From<Vec<String>> for Value {
    fn from(strings: Vec<String>) -> Self {
        Self::StringArray(strings.into_iter().map(NvString::from).collect())
    }
}

impl From<&[&str]> for Value {
    fn from(strings: &[&str]) -> Self {
        Self::StringArray(strings.iter().copied().map(NvString::from).collect())
    }
}
