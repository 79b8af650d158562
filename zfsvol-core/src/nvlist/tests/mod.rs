//! Tests of the whole module; what concerns one file alone is tested there.

mod fixtures;
mod hostile;
mod random;
mod serde;
mod tree;

use super::*;

/// A list with a pair of every type, nested and empty ones among them.
pub(super) fn every_type() -> NvList {
    let mut inner = NvList::new();
    inner.insert("x", 1_u64).insert_flag("flag");
    let mut list = NvList::new();
    list.insert_flag("boolean")
        .insert("boolean_value", true)
        .insert("byte", Value::Byte(0xfe))
        .insert("int8", 127_i8)
        .insert("uint8", 7_u8)
        .insert("int16", 32_767_i16)
        .insert("uint16", 65_535_u16)
        .insert("int32", i32::MIN)
        .insert("uint32", u32::MAX)
        .insert("int64", i64::MIN)
        .insert("uint64", u64::MAX)
        .insert("string", "tank/käse")
        .insert("hrtime", Value::Hrtime(-5))
        .insert("double", 0.1)
        .insert("nvlist", inner.clone())
        .insert("nvlist_array", vec![inner.clone(), NvList::new(), inner])
        .insert("boolean_array", vec![true, false, true])
        .insert("byte_array", Value::ByteArray(vec![1, 2, 3, 0, 255]))
        .insert("int8_array", vec![1_i8, 2, 3])
        .insert("uint8_array", Value::Uint8Array(vec![0, 9, 255]))
        .insert("int16_array", vec![1_i16, -2, 3])
        .insert("uint16_array", vec![1_u16, 65_535])
        .insert("int32_array", vec![i32::MAX, i32::MIN, 0])
        .insert("uint32_array", vec![u32::MAX])
        .insert("int64_array", vec![i64::MAX, i64::MIN])
        .insert("uint64_array", vec![u64::MAX, 0])
        .insert("string_array", vec!["".to_owned(), "a".to_owned(), "tank".to_owned()]);
    list
}

const ENCODINGS: [Encoding; 3] =
    [Encoding::Native(ByteOrder::Little), Encoding::Native(ByteOrder::Big), Encoding::Xdr];

#[test]
fn every_type_survives_every_encoding() {
    for encoding in ENCODINGS {
        let bytes = every_type().encode(encoding).unwrap();
        assert_eq!(Encoding::of(&bytes), Ok(encoding));
        assert_eq!(NvList::from_bytes(&bytes).unwrap(), every_type(), "{encoding:?}");
    }
}
