//! Whatever the list, it survives each form it can take.

use proptest::collection::vec;
use proptest::prelude::*;

use super::ENCODINGS;
use crate::nvlist::{NvList, NvString, Value, from_nvlist, to_nvlist};

/// Doubles that equal themselves, so that trees can be compared.
fn double() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("equal to itself", |number| !number.is_nan())
}

fn string() -> impl Strategy<Value = NvString> {
    prop_oneof![
        "[^\0]{0,20}".prop_map(NvString::from),
        vec(1_u8..=255, 0..20).prop_map(NvString::from),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    let scalars = prop_oneof![
        Just(Value::Boolean),
        any::<bool>().prop_map(Value::from),
        any::<u8>().prop_map(Value::Byte),
        any::<i8>().prop_map(Value::from),
        any::<u8>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::Hrtime),
        double().prop_map(Value::from),
        string().prop_map(Value::from),
    ];
    let arrays = prop_oneof![
        vec(any::<bool>(), 0..5).prop_map(Value::from),
        vec(any::<u8>(), 0..9).prop_map(Value::ByteArray),
        vec(any::<i8>(), 0..9).prop_map(Value::from),
        vec(any::<u8>(), 0..9).prop_map(Value::Uint8Array),
        vec(any::<i16>(), 0..5).prop_map(Value::from),
        vec(any::<u16>(), 0..5).prop_map(Value::from),
        vec(any::<i32>(), 0..5).prop_map(Value::from),
        vec(any::<u32>(), 0..5).prop_map(Value::from),
        vec(any::<i64>(), 0..5).prop_map(Value::from),
        vec(any::<u64>(), 0..5).prop_map(Value::from),
        vec(string(), 0..5).prop_map(Value::from),
    ];
    prop_oneof![scalars, arrays]
}

fn list_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = NvList> {
    // Few different names, so that they repeat.
    let name = prop_oneof!["[a-d:$]{0,2}", "[^\0]{0,12}"];
    (vec((name, value), 0..24), 0..3_u32).prop_map(|(pairs, rule)| {
        let mut list = match rule {
            0 => NvList::with_duplicates(),
            1 => NvList::new(),
            _ => NvList::with_unique_name_and_type(),
        };
        list.extend(pairs);
        list
    })
}

fn list() -> impl Strategy<Value = NvList> {
    let value = leaf().prop_recursive(4, 64, 8, |inner| {
        let list = list_of(inner).boxed();
        prop_oneof![list.clone().prop_map(Value::from), vec(list, 0..4).prop_map(Value::from),]
    });
    list_of(value)
}

proptest! {
    // Trees take long to make up: fewer of them, each with many pairs.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_list_survives_packing(list in list()) {
        for encoding in ENCODINGS {
            let bytes = list.encode(encoding).unwrap();
            let decoded = NvList::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&decoded, &list);
            prop_assert_eq!(decoded.encode(encoding).unwrap(), bytes);
        }
    }

    #[test]
    fn a_list_survives_json(list in list()) {
        let json = serde_json::to_string(&list).unwrap();
        prop_assert_eq!(serde_json::from_str::<NvList>(&json).unwrap(), list);
    }

    #[test]
    fn a_list_survives_serde(list in list()) {
        let outer = std::collections::BTreeMap::from([("list".to_owned(), list)]);
        let packed = to_nvlist(&outer).unwrap();
        prop_assert_eq!(packed.get_list("list"), Some(&outer["list"]));
        let back: std::collections::BTreeMap<String, NvList> = from_nvlist(&packed).unwrap();
        prop_assert_eq!(back, outer);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(
        start in prop_oneof![
            Just(vec![0, 1, 0, 0, 0, 0, 0, 0]),
            Just(vec![0, 0, 0, 0, 0, 0, 0, 0]),
            Just(vec![1, 1, 0, 0, 0, 0, 0, 0]),
            Just(vec![]),
        ],
        rest in vec(prop_oneof![Just(0_u8), 0..30_u8, any::<u8>()], 0..200),
    ) {
        let bytes = [start, rest].concat();
        if let Err(error) = NvList::from_bytes(&bytes) {
            prop_assert!(error.offset() <= bytes.len());
        }
    }
}
