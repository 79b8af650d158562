//! Rust values to lists and back, and lists as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::every_type;
use crate::nvlist::{self, DataType, NvList, NvString, Value, from_nvlist, to_nvlist};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Request {
    #[serde(default, with = "nvlist::flag")]
    defer: bool,
    #[serde(default, with = "nvlist::flag")]
    force: bool,
    value: bool,
    count: u64,
    small: i8,
    maybe: Option<u32>,
    name: String,
    mode: Mode,
    nothing: (),
    guids: Vec<u64>,
    names: Vec<String>,
    raw: Vec<u8>,
    #[serde(with = "nvlist::byte_array")]
    record: Vec<u8>,
    #[serde(with = "nvlist::uint8_array")]
    wkeydata: Vec<u8>,
    #[serde(with = "nvlist::hrtime")]
    time: i64,
    child: Child,
    children: Vec<Child>,
    props: BTreeMap<String, u64>,
    by_place: BTreeMap<u32, Mode>,
    tree: NvList,
    any: Value,
    text: NvString,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Child {
    id: u64,
    #[serde(with = "nvlist::nvlist_array")]
    children: Vec<Child>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Plain,
    Many(u32),
    Both(u64, u64),
    Named { x: i64 },
}

fn request() -> Request {
    let leaf = |id| Child { id, children: Vec::new() };
    Request {
        defer: true,
        force: false,
        value: false,
        count: u64::MAX,
        small: -3,
        maybe: None,
        name: "tank/käse".into(),
        mode: Mode::Plain,
        nothing: (),
        guids: vec![1, u64::MAX],
        names: vec!["a".into(), String::new()],
        raw: vec![1, 2],
        record: vec![3; 312],
        wkeydata: Vec::new(),
        time: -9,
        child: leaf(1),
        children: vec![leaf(2), Child { id: 3, children: vec![leaf(4)] }],
        props: BTreeMap::from([("quota".into(), 5), ("recordsize".into(), 131_072)]),
        by_place: BTreeMap::from([
            (7, Mode::Many(3)),
            (8, Mode::Both(1, 2)),
            (9, Mode::Named { x: -1 }),
        ]),
        tree: every_type(),
        any: Value::Uint16Array(vec![1, 2]),
        text: NvString::from(&b"caf\xe9"[..]),
    }
}

#[test]
fn a_struct_survives_being_a_list() {
    let list = to_nvlist(&request()).unwrap();
    assert_eq!(from_nvlist::<Request>(&list).unwrap(), request());
    let packed = NvList::from_bytes(&list.to_bytes().unwrap()).unwrap();
    assert_eq!(from_nvlist::<Request>(&packed).unwrap(), request());
}

#[test]
fn fields_get_the_pair_types_that_are_documented() {
    let list = to_nvlist(&request()).unwrap();
    let found: Vec<_> = list.iter().map(|(name, value)| (name, value.data_type())).collect();
    assert_eq!(
        found,
        [
            ("defer", DataType::Boolean),
            ("value", DataType::BooleanValue),
            ("count", DataType::Uint64),
            ("small", DataType::Int8),
            ("name", DataType::String),
            ("mode", DataType::String),
            ("nothing", DataType::Boolean),
            ("guids", DataType::Uint64Array),
            ("names", DataType::StringArray),
            ("raw", DataType::Uint8Array),
            ("record", DataType::ByteArray),
            ("wkeydata", DataType::Uint8Array),
            ("time", DataType::Hrtime),
            ("child", DataType::NvList),
            ("children", DataType::NvListArray),
            ("props", DataType::NvList),
            ("by_place", DataType::NvList),
            ("tree", DataType::NvList),
            ("any", DataType::Uint16Array),
            ("text", DataType::String),
        ]
    );
    assert_eq!(list.get_list("tree"), Some(&every_type()));
    assert_eq!(list.get("any"), Some(&request().any));
}

#[test]
fn a_reply_may_hold_more_and_wider_numbers_than_the_struct() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Reply<'a> {
        name: &'a str,
        errno: i32,
        seen: bool,
    }
    let mut list = NvList::new();
    list.insert("name", "tank")
        .insert("errno", 2_u64)
        .insert_flag("seen")
        .insert("more", every_type());
    let reply: Reply<'_> = from_nvlist(&list).unwrap();
    assert_eq!(reply, Reply { name: "tank", errno: 2, seen: true });
}

#[test]
fn what_does_not_fit_is_named() {
    let mut list = to_nvlist(&request()).unwrap();
    let mut bad = NvList::new();
    bad.insert("id", "seven").insert("children", Vec::<NvList>::new());
    let mut good = bad.clone();
    good.insert("id", 1_u64);
    list.insert("children", vec![good, bad]);
    let error = from_nvlist::<Request>(&list).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the list does not have the shape it should, in "children[1]" / "id": invalid type: string "seven", expected u64"#
    );
    assert_eq!(error.path().collect::<Vec<_>>(), ["children[1]", "id"]);
}

#[test]
fn what_has_no_pair_type_is_named() {
    #[derive(Serialize)]
    struct Outer<T> {
        inner: Inner<T>,
    }
    #[derive(Serialize)]
    struct Inner<T> {
        field: T,
    }
    let of = |error: nvlist::SerError| error.to_string();
    let empty = to_nvlist(&Outer { inner: Inner { field: Vec::<u64>::new() } }).map_err(of);
    assert_eq!(
        empty.unwrap_err(),
        r#"cannot make a list of the value, in "inner" / "field": an empty array does not show its type: skip it, or name the type with nvlist::uint64_array and the like"#
    );
    let mixed = to_nvlist(&Outer { inner: Inner { field: (1_u64, "x") } }).map_err(of);
    assert_eq!(
        mixed.unwrap_err(),
        r#"cannot make a list of the value, in "inner" / "field": uint64_array cannot hold string"#
    );
    let nested = to_nvlist(&Outer { inner: Inner { field: [[1_u64]] } }).map_err(of);
    assert_eq!(
        nested.unwrap_err(),
        r#"cannot make a list of the value, in "inner" / "field": there are no arrays of uint64_array"#
    );
    assert_eq!(
        to_nvlist(&7_u64).map_err(of).unwrap_err(),
        "cannot make a list of the value: a list is made of a struct or a map, not of uint64"
    );
}

#[test]
fn json_keeps_types_order_and_bytes() {
    let mut list = every_type();
    list.insert("z:colon", NvString::from(&b"\xff\x00x"[..])).insert("a", 1_u64);
    list.insert("nan", f64::from_bits(0x7ff8_0000_dead_beef)).insert("inf", f64::NEG_INFINITY);
    list.insert("strings", vec![NvString::from("ok"), NvString::from(&b"\xff"[..])]);
    let json = serde_json::to_string(&list).unwrap();
    let back: NvList = serde_json::from_str(&json).unwrap();
    // Not compared as trees, because a double that is not a number equals nothing.
    assert_eq!(format!("{back:?}"), format!("{list:?}"));
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
}

#[test]
fn json_reads_as_documented() {
    let mut child = NvList::new();
    child.insert("id", 0_u64);
    let mut twice = NvList::with_duplicates();
    twice.insert("a", 1_u64).insert("a", 2_u64);
    let mut list = NvList::new();
    list.insert("guid", 17_u64)
        .insert("org:note", "for the record")
        .insert_flag("spare")
        .insert("key", Value::ByteArray(vec![0, 255]))
        .insert("raw", Value::Uint8Array(vec![0, 255]))
        .insert("ratio", 0.1)
        .insert("children", vec![child])
        .insert("twice", twice)
        .insert("latin", NvString::from(&b"caf\xe9"[..]));
    let json = r#"{"guid:uint64":17,"org:note:string":"for the record","spare:boolean":null,"key:byte_array":"00ff","raw:uint8_array":[0,255],"ratio:double":"0.1","children:nvlist_array":[{"id:uint64":0}],"twice:nvlist":{"$nvflag":0,"$pairs":[["a:uint64",1],["a:uint64",2]]},"latin:string":{"hex":"636166e9"}}"#;
    assert_eq!(serde_json::to_string(&list).unwrap(), json);
    assert_eq!(serde_json::from_str::<NvList>(json).unwrap(), list);
    assert_eq!(serde_json::to_string(&Value::Uint64(17)).unwrap(), r#"{"uint64":17}"#);
    assert_eq!(serde_json::from_str::<Value>(r#"{"uint64":17}"#).unwrap(), Value::Uint64(17));
}

#[test]
fn json_that_is_no_list_is_refused() {
    for (json, message) in [
        ("[]", "expected a list: an object with keys such as \"guid:uint64\""),
        (r#"{"guid":1}"#, "key \"guid\" is no name and type, such as \"guid:uint64\""),
        (r#"{"guid:uint65":1}"#, "key \"guid:uint65\" is no name and type"),
        (r#"{"guid:uint64":-1}"#, "invalid value: integer `-1`, expected u64"),
        (r#"{"a:byte_array":"0"}"#, "an even number of hexadecimal digits"),
        (r#"{"a:byte_array":"0g"}"#, "an even number of hexadecimal digits"),
        (r#"{"a:double":"x"}"#, "\"x\" is no double"),
        (r#"{"a:string":{"hex":"00","more":""}}"#, "a string is text, or {\"hex\": \"..\"}"),
        (r#"{"$pairs":[["a:uint64"]]}"#, "expected a name and a value"),
        (r#"{"a:nvlist":{"b:boolean":1}}"#, "invalid type: integer `1`, expected unit"),
    ] {
        let error = serde_json::from_str::<NvList>(json).unwrap_err().to_string();
        assert!(error.contains(message), "{json}: {error}");
    }
}

#[test]
fn lists_nested_as_deep_as_decoding_allows_survive_json() {
    let mut list = NvList::new();
    for depth in 0..nvlist::DEPTH_MAX {
        let mut outer = NvList::new();
        outer.insert(format!("level {depth}"), list);
        list = outer;
    }
    let json = serde_json::to_string(&list).unwrap();
    assert_eq!(serde_json::from_str::<NvList>(&json).unwrap(), list);
    assert_eq!(NvList::from_bytes(&list.to_bytes().unwrap()).unwrap(), list);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened<T> {
    id: u64,
    #[serde(flatten)]
    inner: T,
    #[serde(flatten)]
    rest: BTreeMap<String, u64>,
}

#[test]
fn flattened_fields_stand_beside_the_others() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Inner {
        #[serde(default, with = "nvlist::flag")]
        defer: bool,
        #[serde(default, with = "nvlist::flag")]
        force: bool,
        name: String,
        small: i8,
        maybe: Option<u32>,
        guids: Vec<u64>,
        #[serde(with = "nvlist::byte_array")]
        record: Vec<u8>,
        child: Child,
        nothing: (),
        mode: Mode,
    }
    let flattened = Flattened {
        id: 1,
        inner: Inner {
            defer: true,
            force: false,
            name: "tank".into(),
            small: -3,
            maybe: None,
            guids: vec![1, 2],
            record: vec![0, 255],
            child: Child { id: 3, children: vec![Child { id: 4, children: vec![] }] },
            nothing: (),
            mode: Mode::Named { x: 4 },
        },
        rest: BTreeMap::from([("quota".into(), 5)]),
    };
    let list = to_nvlist(&flattened).unwrap();
    let names: Vec<&str> = list.iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["id", "defer", "name", "small", "guids", "record", "child", "nothing", "mode", "quota"]
    );
    assert_eq!(from_nvlist::<Flattened<Inner>>(&list).unwrap(), flattened);
}

#[test]
fn trees_in_flattened_fields_are_written_and_not_read() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Inner {
        tree: NvList,
    }
    let inner = Inner { tree: [("guid", 1_u64)].into_iter().collect() };
    let list = to_nvlist(&Flattened { id: 1, inner, rest: BTreeMap::new() }).unwrap();
    assert_eq!(list.get_list("tree").and_then(|tree| tree.get_u64("guid")), Some(1));
    let error = from_nvlist::<Flattened<Inner>>(&list).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the list does not have the shape it should: key "guid" is no name and type, such as "guid:uint64""#
    );
}
