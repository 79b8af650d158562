//! The tree: order, names, types, and how it reads.

use super::every_type;
use crate::nvlist::{DataType, NvList, NvString, Value};

fn names(list: &NvList) -> Vec<&str> {
    list.iter().map(|(name, _)| name).collect()
}

#[test]
fn a_replaced_pair_moves_to_the_end() {
    let mut list = NvList::new();
    list.insert("a", 1_u64).insert("b", 2_u64).insert("a", "three");
    assert_eq!(names(&list), ["b", "a"]);
    assert_eq!(list.get_str("a"), Some("three"));
    assert_eq!(list.len(), 2);
}

#[test]
fn duplicates_are_kept_where_they_are_allowed_and_the_last_is_found() {
    let mut list = NvList::with_duplicates();
    list.insert("a", 1_u64).insert("b", 2_u64).insert("a", 3_u64);
    assert_eq!(names(&list), ["a", "b", "a"]);
    assert_eq!(list.get_u64("a"), Some(3));
    assert_eq!(list.remove("a"), Some(Value::Uint64(3)));
    assert_eq!(names(&list), ["b"]);
    assert_eq!(list.remove("a"), None);
}

#[test]
fn names_may_repeat_by_type_where_that_is_the_rule() {
    for before in [0_u64, 40] {
        let mut list = NvList::with_unique_name_and_type();
        list.extend((0..before).map(|i| (format!("before {i}"), i)));
        list.insert("a", 1_u64).insert("a", "two").insert("b", true).insert("a", 3_u64);
        let tail: Vec<_> = list.iter().skip(usize::try_from(before).unwrap()).collect();
        assert_eq!(
            tail,
            [("a", &Value::from("two")), ("b", &Value::from(true)), ("a", &Value::from(3_u64))]
        );
        assert_eq!(list.get("a"), Some(&Value::from(3_u64)));
    }
}

#[test]
fn a_long_list_behaves_like_a_short_one() {
    // A model: what a plain vector would hold after the same steps.
    let mut list = NvList::new();
    let mut model: Vec<(String, u64)> = Vec::new();
    let mut seed = 1_u64;
    for step in 0..20_000_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let name = format!("n{}", (seed >> 33) % 300);
        if (seed >> 20) % 3 == 0 {
            let expected = model.iter().position(|(n, _)| *n == name).map(|at| model.remove(at).1);
            assert_eq!(list.remove(&name), expected.map(Value::Uint64));
        } else {
            model.retain(|(n, _)| *n != name);
            model.push((name.clone(), step));
            list.insert(name, step);
        }
        assert_eq!(list.len(), model.len());
    }
    assert!(list.len() > 100);
    let pairs: Vec<(String, Value)> = list.clone().into_iter().collect();
    let expected: Vec<_> = model.iter().map(|(n, v)| (n.clone(), Value::Uint64(*v))).collect();
    assert_eq!(pairs, expected);
    for (name, value) in &model {
        assert_eq!(list.get_u64(name), Some(*value));
    }
    assert_eq!(NvList::from_bytes(&list.to_bytes().unwrap()).unwrap(), list);
}

#[test]
fn duplicates_in_a_long_list_are_all_removed() {
    let mut list = NvList::with_duplicates();
    list.extend((0..1000_u64).map(|i| (format!("n{}", i % 100), i)));
    assert_eq!(list.len(), 1000);
    assert_eq!(list.get_u64("n7"), Some(907));
    assert_eq!(list.remove("n7"), Some(Value::Uint64(907)));
    assert_eq!(list.len(), 990);
    assert!(!list.contains("n7"));
    for i in (0..100).filter(|i| *i != 7) {
        assert_eq!(list.remove(&format!("n{i}")), Some(Value::Uint64(900 + i)));
    }
    assert!(list.is_empty());
    assert_eq!(list.insert("x", 1_u64).len(), 1);
}

/// A hundred thousand names, inserted, replaced, found, packed, unpacked and removed from the front: were any of it
/// quadratic, this would take minutes.
#[test]
fn long_lists_are_quick() {
    let name = |i: u64| format!("tank/some/dataset-{i}@snapshot");
    let mut list: NvList = (0..100_000).map(|i| (name(i), i)).collect();
    list.extend((0..100_000).map(|i| (name(i), i)));
    assert!((0..100_000).all(|i| list.get_u64(&name(i)) == Some(i)));
    let mut list = NvList::from_bytes(&list.to_bytes().unwrap()).unwrap();
    assert!((0..100_000).all(|i| list.remove(&name(i)) == Some(Value::Uint64(i))));
    assert!(list.is_empty());
}

#[test]
fn getters_answer_their_own_type_only() {
    let list = every_type();
    assert_eq!(list.get_u64("uint64"), Some(u64::MAX));
    assert_eq!(list.get_i64("int64"), Some(i64::MIN));
    assert_eq!(list.get_i32("int32"), Some(i32::MIN));
    assert_eq!(list.get_u32("uint32"), Some(u32::MAX));
    assert_eq!(list.get_bool("boolean_value"), Some(true));
    assert_eq!(list.get_str("string"), Some("tank/käse"));
    assert_eq!(list.get_string("string"), Some(&NvString::from("tank/käse")));
    assert_eq!(list.get_list("nvlist").unwrap().get_u64("x"), Some(1));
    assert_eq!(list.get_lists("nvlist_array").unwrap().len(), 3);
    assert_eq!(list.get_u64s("uint64_array"), Some(&[u64::MAX, 0][..]));
    assert_eq!(list.get_bytes("byte_array"), Some(&[1, 2, 3, 0, 255][..]));
    assert_eq!(list.get_bytes("uint8_array"), Some(&[0, 9, 255][..]));
    assert_eq!(list.get_strs("string_array").unwrap()[2], "tank");
    assert!(list.get_flag("boolean") && !list.get_flag("boolean_value"));
    assert_eq!(list.get_bool("boolean"), None);
    assert_eq!(list.get_i64("uint64"), None);
    assert_eq!(list.get_u64("missing"), None);
}

#[test]
fn what_is_required_and_not_there_is_named() {
    let mut list = every_type();
    list.insert("latin", NvString::from(&b"\xe9"[..]));
    assert_eq!(list.require_u64("uint64"), Ok(u64::MAX));
    let error = list.require_u64("string").unwrap_err();
    assert_eq!(error.to_string(), r#"pair "string" is string, not uint64"#);
    assert_eq!((error.name(), error.expected()), ("string", DataType::Uint64));
    assert_eq!(error.found(), Some(DataType::String));
    let error = list.require_list("fss").unwrap_err();
    assert_eq!(error.to_string(), r#"pair "fss" (nvlist) is missing"#);
    assert_eq!(error.found(), None);
    let error = list.require_str("latin").unwrap_err();
    assert_eq!(error.to_string(), r#"pair "latin" (string) is not utf-8"#);
}

#[test]
fn values_are_changed_in_place() {
    let mut list = NvList::new();
    list.insert("props", NvList::new());
    let Some(Value::NvList(props)) = list.get_mut("props") else { panic!("props") };
    props.insert("quota", 1_u64);
    assert_eq!(list.get_list("props").unwrap().len(), 1);
}

#[test]
fn a_list_reads_well() {
    let mut list = every_type();
    list.insert("odd name", 1_u64);
    list.insert("long", (0..40).collect::<Vec<u64>>());
    list.insert("none", Vec::<NvList>::new());
    assert_eq!(
        list.to_string(),
        r#"boolean
boolean_value = true
byte = 254
int8 = 127
uint8 = 7
int16 = 32767
uint16 = 65535
int32 = -2147483648
uint32 = 4294967295
int64 = -9223372036854775808
uint64 = 18446744073709551615
string = "tank/käse"
hrtime = -5
double = 0.1
nvlist:
    x = 1
    flag
nvlist_array[0]:
    x = 1
    flag
nvlist_array[1]:
nvlist_array[2]:
    x = 1
    flag
boolean_array = [true, false, true]
byte_array = 0x01020300ff
int8_array = [1, 2, 3]
uint8_array = 0x0009ff
int16_array = [1, -2, 3]
uint16_array = [1, 65535]
int32_array = [2147483647, -2147483648, 0]
uint32_array = [4294967295]
int64_array = [9223372036854775807, -9223372036854775808]
uint64_array = [18446744073709551615, 0]
string_array = ["", "a", "tank"]
"odd name" = 1
long = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, and 8 more]
none = []
"#
    );
}

#[test]
fn debug_shows_types() {
    let mut list = NvList::new();
    list.insert("guid", 7_u64).insert_flag("spare").insert("inner", NvList::new());
    assert_eq!(
        format!("{list:?}"),
        r#"{"guid": Uint64(7), "spare": Boolean, "inner": NvList({})}"#
    );
}

#[test]
fn keys_are_not_shown() {
    let mut hidden = NvList::new();
    hidden.insert("wkeydata", Value::Uint8Array(vec![0xab; 32]));
    let mut list = NvList::new();
    list.insert("hidden_args", hidden);
    for shown in [format!("{list:?}"), format!("{list:#?}"), list.to_string()] {
        assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
        assert!(shown.contains("hidden"));
    }
}
