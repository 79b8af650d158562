//! [`zfsvol_pair`]: one pair of an nvlist, its type and its value as C has them.

use std::ffi::c_void;

use zfsvol_core::nvlist::{DataType, Value};

use crate::boundary::Caller;
use crate::error::Fault;
use crate::view::zfsvol_str;

/// The type of a pair: a `ZFSVOL_TYPE_...`, OpenZFS's own number of `data_type_t`.
pub type zfsvol_type = u32;

/// No value: the pair is there or it is not.
pub const ZFSVOL_TYPE_BOOLEAN: zfsvol_type = 1;
/// One byte.
pub const ZFSVOL_TYPE_BYTE: zfsvol_type = 2;
/// `int16_t`
pub const ZFSVOL_TYPE_INT16: zfsvol_type = 3;
/// `uint16_t`
pub const ZFSVOL_TYPE_UINT16: zfsvol_type = 4;
/// `int32_t`
pub const ZFSVOL_TYPE_INT32: zfsvol_type = 5;
/// `uint32_t`
pub const ZFSVOL_TYPE_UINT32: zfsvol_type = 6;
/// `int64_t`
pub const ZFSVOL_TYPE_INT64: zfsvol_type = 7;
/// `uint64_t`
pub const ZFSVOL_TYPE_UINT64: zfsvol_type = 8;
/// A text: bytes without NUL, nearly always UTF-8.
pub const ZFSVOL_TYPE_STRING: zfsvol_type = 9;
/// Bytes.
pub const ZFSVOL_TYPE_BYTE_ARRAY: zfsvol_type = 10;
/// Array of `int16_t`.
pub const ZFSVOL_TYPE_INT16_ARRAY: zfsvol_type = 11;
/// Array of `uint16_t`.
pub const ZFSVOL_TYPE_UINT16_ARRAY: zfsvol_type = 12;
/// Array of `int32_t`.
pub const ZFSVOL_TYPE_INT32_ARRAY: zfsvol_type = 13;
/// Array of `uint32_t`.
pub const ZFSVOL_TYPE_UINT32_ARRAY: zfsvol_type = 14;
/// Array of `int64_t`.
pub const ZFSVOL_TYPE_INT64_ARRAY: zfsvol_type = 15;
/// Array of `uint64_t`.
pub const ZFSVOL_TYPE_UINT64_ARRAY: zfsvol_type = 16;
/// Texts.
pub const ZFSVOL_TYPE_STRING_ARRAY: zfsvol_type = 17;
/// A time in nanoseconds, `int64_t`.
pub const ZFSVOL_TYPE_HRTIME: zfsvol_type = 18;
/// A list inside the list.
pub const ZFSVOL_TYPE_NVLIST: zfsvol_type = 19;
/// Lists inside the list.
pub const ZFSVOL_TYPE_NVLIST_ARRAY: zfsvol_type = 20;
/// `true` or `false`.
pub const ZFSVOL_TYPE_BOOLEAN_VALUE: zfsvol_type = 21;
/// `int8_t`
pub const ZFSVOL_TYPE_INT8: zfsvol_type = 22;
/// `uint8_t`
pub const ZFSVOL_TYPE_UINT8: zfsvol_type = 23;
/// Array of `bool`.
pub const ZFSVOL_TYPE_BOOLEAN_ARRAY: zfsvol_type = 24;
/// Array of `int8_t`.
pub const ZFSVOL_TYPE_INT8_ARRAY: zfsvol_type = 25;
/// Array of `uint8_t`.
pub const ZFSVOL_TYPE_UINT8_ARRAY: zfsvol_type = 26;
/// `double`, whose bits are in `number`. Between programs only: the kernel refuses it.
pub const ZFSVOL_TYPE_DOUBLE: zfsvol_type = 27;

/// A pair of a list, as it is read. What it points to is lent by the list.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_pair {
    /// The name.
    pub name: zfsvol_str,
    /// Of what type the value is, and so which of the following has it.
    pub pair_type: zfsvol_type,
    /// The value, of types that are one number: 1 for `true`; negative ones in two's complement, extended to 64 bits; the bits of a `double`.
    pub number: u64,
    /// The value, of a string.
    pub text: zfsvol_str,
    /// The elements, of an array of numbers or of bytes: `count` of the type that the array is of, to be cast to. NULL for arrays of
    /// strings and lists, which `zfsvol_nvlist_text` and `zfsvol_nvlist_list` give one by one.
    pub items: *const c_void,
    /// How many elements an array has.
    pub count: usize,
}

/// The number of a value that is one integer.
pub(crate) fn integer(value: &Value) -> Option<i128> {
    Some(match value {
        Value::Byte(n) | Value::Uint8(n) => (*n).into(),
        Value::Int8(n) => (*n).into(),
        Value::Int16(n) => (*n).into(),
        Value::Uint16(n) => (*n).into(),
        Value::Int32(n) => (*n).into(),
        Value::Uint32(n) => (*n).into(),
        Value::Int64(n) | Value::Hrtime(n) => (*n).into(),
        Value::Uint64(n) => (*n).into(),
        _ => return None,
    })
}

/// A pair as C sees it.
pub(crate) fn view(name: &str, value: &Value) -> zfsvol_pair {
    let mut pair = zfsvol_pair {
        name: zfsvol_str::of(name),
        pair_type: number_of(value.data_type()),
        number: 0,
        text: zfsvol_str::NONE,
        items: std::ptr::null(),
        count: 0,
    };
    fn array<T>(pair: &mut zfsvol_pair, items: &[T]) {
        pair.items = items.as_ptr().cast();
        pair.count = items.len();
    }
    match value {
        Value::Boolean | Value::NvList(_) => {}
        Value::BooleanValue(truth) => pair.number = (*truth).into(),
        Value::Double(number) => pair.number = number.to_bits(),
        Value::String(text) => pair.text = zfsvol_str::of_bytes(text.as_bytes()),
        Value::BooleanArray(a) => array(&mut pair, a),
        Value::ByteArray(a) | Value::Uint8Array(a) => array(&mut pair, a),
        Value::Int8Array(a) => array(&mut pair, a),
        Value::Int16Array(a) => array(&mut pair, a),
        Value::Uint16Array(a) => array(&mut pair, a),
        Value::Int32Array(a) => array(&mut pair, a),
        Value::Uint32Array(a) => array(&mut pair, a),
        Value::Int64Array(a) => array(&mut pair, a),
        Value::Uint64Array(a) => array(&mut pair, a),
        Value::StringArray(a) => pair.count = a.len(),
        Value::NvListArray(a) => pair.count = a.len(),
        Value::Uint64(number) => pair.number = *number,
        // Whatever is smaller fits, sign and all.
        small => {
            let number = integer(small).and_then(|number| i64::try_from(number).ok());
            pair.number = number.unwrap_or_default().cast_unsigned_bits();
        }
    }
    pair
}

/// `i64::cast_unsigned` is of Rust 1.87.
trait CastBits {
    fn cast_unsigned_bits(self) -> u64;
}

impl CastBits for i64 {
    fn cast_unsigned_bits(self) -> u64 {
        u64::from_ne_bytes(self.to_ne_bytes())
    }
}

fn number_of(kind: DataType) -> zfsvol_type {
    kind.code().unsigned_abs()
}

fn kind_of(pair_type: zfsvol_type) -> Result<DataType, Fault> {
    i32::try_from(pair_type)
        .ok()
        .and_then(DataType::from_code)
        .ok_or_else(|| Fault::unknown("type of pair", pair_type))
}

/// The value of a type that is one number.
pub(crate) fn scalar(pair_type: zfsvol_type, number: u64) -> Result<Value, Fault> {
    let signed = i64::from_ne_bytes(number.to_ne_bytes());
    let wide = |_| {
        let reason = format!("{number} is beyond the type");
        Fault::invalid("put the number", reason)
    };
    Ok(match kind_of(pair_type)? {
        DataType::BooleanValue if number <= 1 => Value::BooleanValue(number == 1),
        DataType::BooleanValue => return Err(Fault::invalid("put the number", "it is not 0 or 1")),
        DataType::Byte => Value::Byte(u8::try_from(number).map_err(wide)?),
        DataType::Uint8 => Value::Uint8(u8::try_from(number).map_err(wide)?),
        DataType::Uint16 => Value::Uint16(u16::try_from(number).map_err(wide)?),
        DataType::Uint32 => Value::Uint32(u32::try_from(number).map_err(wide)?),
        DataType::Uint64 => Value::Uint64(number),
        DataType::Int8 => Value::Int8(i8::try_from(signed).map_err(wide)?),
        DataType::Int16 => Value::Int16(i16::try_from(signed).map_err(wide)?),
        DataType::Int32 => Value::Int32(i32::try_from(signed).map_err(wide)?),
        DataType::Int64 => Value::Int64(signed),
        DataType::Hrtime => Value::Hrtime(signed),
        DataType::Double => Value::Double(f64::from_bits(number)),
        _ => return Err(Fault::unknown("type that is one number", pair_type)),
    })
}

/// The value of a type that is an array of numbers.
pub(crate) fn numbers(
    caller: &Caller,
    pair_type: zfsvol_type,
    items: *const c_void,
    count: usize,
) -> Result<Value, Fault> {
    Ok(match kind_of(pair_type)? {
        // As bytes: what is neither 0 nor 1 is no `bool`.
        DataType::BooleanArray => Value::BooleanArray(
            caller.bytes(items.cast(), count)?.iter().map(|byte| *byte != 0).collect(),
        ),
        DataType::ByteArray => Value::ByteArray(caller.array(items.cast(), count)?.to_vec()),
        DataType::Int8Array => Value::Int8Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Uint8Array => Value::Uint8Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Int16Array => Value::Int16Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Uint16Array => Value::Uint16Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Int32Array => Value::Int32Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Uint32Array => Value::Uint32Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Int64Array => Value::Int64Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Uint64Array => Value::Uint64Array(caller.array(items.cast(), count)?.to_vec()),
        _ => return Err(Fault::unknown("type that is an array of numbers", pair_type)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_have_the_kernels_numbers() {
        for kind in DataType::ALL {
            assert_eq!(kind_of(number_of(kind)).ok(), Some(kind));
        }
        assert_eq!(number_of(DataType::Double), ZFSVOL_TYPE_DOUBLE);
        assert_eq!(number_of(DataType::NvListArray), ZFSVOL_TYPE_NVLIST_ARRAY);
        assert_eq!(number_of(DataType::Boolean), ZFSVOL_TYPE_BOOLEAN);
    }

    #[test]
    fn one_number_goes_in_and_comes_out_of_every_type() {
        let minus = (-5_i64).cast_unsigned_bits();
        for (kind, number) in [
            (ZFSVOL_TYPE_BYTE, 255),
            (ZFSVOL_TYPE_INT16, minus),
            (ZFSVOL_TYPE_UINT16, 65_535),
            (ZFSVOL_TYPE_INT32, minus),
            (ZFSVOL_TYPE_UINT32, u64::from(u32::MAX)),
            (ZFSVOL_TYPE_INT64, minus),
            (ZFSVOL_TYPE_UINT64, u64::MAX),
            (ZFSVOL_TYPE_HRTIME, minus),
            (ZFSVOL_TYPE_BOOLEAN_VALUE, 1),
            (ZFSVOL_TYPE_INT8, minus),
            (ZFSVOL_TYPE_UINT8, 255),
            (ZFSVOL_TYPE_DOUBLE, 0.1_f64.to_bits()),
        ] {
            let value = scalar(kind, number).unwrap();
            let pair = view("n", &value);
            assert_eq!((pair.pair_type, pair.number), (kind, number));
        }
        assert!(scalar(ZFSVOL_TYPE_UINT8, 256).is_err());
        assert!(scalar(ZFSVOL_TYPE_STRING, 1).is_err());
        assert!(scalar(99, 1).is_err());
    }
}
