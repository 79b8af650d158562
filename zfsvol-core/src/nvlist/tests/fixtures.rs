//! Against what OpenZFS's own libnvpair packed: tests/fixtures/nvlist, made by `make` there from `pack.c`, in which the
//! lists below are built by the same names.

use std::path::PathBuf;

use crate::nvlist::{ByteOrder, DEPTH_MAX, Encoding, NvList, NvString, Value};

const SUFFIXES: [(&str, Encoding); 3] = [
    ("le", Encoding::Native(ByteOrder::Little)),
    ("be", Encoding::Native(ByteOrder::Big)),
    ("xdr", Encoding::Xdr),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/nvlist")
}

/// The bytes of a fixture.
pub(super) fn packed(name: &str, suffix: &str) -> Vec<u8> {
    let path = folder().join(format!("{name}.{suffix}"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every fixture's name and the list it should hold.
pub(super) fn cases() -> Vec<(&'static str, NvList)> {
    vec![
        ("empty", NvList::new()),
        ("scalars", scalars()),
        ("arrays", arrays()),
        ("no_elements", no_elements()),
        ("small_negatives", small_negatives()),
        ("nested", nested()),
        ("deep_as_the_kernel_allows", deep(20)),
        ("deep_as_programs_may", deep(DEPTH_MAX)),
        ("unicode", unicode()),
        ("duplicates", duplicates()),
        ("duplicates_by_type", duplicates_by_type()),
        ("replaced", replaced()),
        ("lengths", lengths()),
        ("long_ones", long_ones()),
        ("many", many()),
    ]
}

fn scalars() -> NvList {
    let mut list = NvList::new();
    list.insert_flag("boolean")
        .insert("true", true)
        .insert("false", false)
        .insert("byte", Value::Byte(0x7f))
        .insert("int8", i8::MAX)
        .insert("uint8", 1_u8)
        .insert("int16", i16::MAX)
        .insert("uint16", u16::MAX)
        .insert("int32", i32::MAX)
        .insert("int32 least", i32::MIN)
        .insert("uint32", u32::MAX)
        .insert("int64", i64::MAX)
        .insert("int64 least", i64::MIN)
        .insert("uint64", u64::MAX)
        .insert("string", "tank/home")
        .insert("hrtime", Value::Hrtime(-1_234_567_890_123_456_789))
        .insert("double", 0.1);
    list
}

fn arrays() -> NvList {
    let mut list = NvList::new();
    list.insert("boolean", vec![true, false, true])
        .insert("byte", Value::ByteArray(vec![1, 2, 3, 0, 255]))
        .insert("int8", vec![1, 2, i8::MAX])
        .insert("uint8", Value::Uint8Array(vec![0, 9, 127]))
        .insert("int16", vec![1, i16::MAX, 3])
        .insert("uint16", vec![1, u16::MAX])
        .insert("int32", vec![i32::MIN, 0, i32::MAX])
        .insert("uint32", vec![u32::MAX])
        .insert("int64", vec![i64::MIN, i64::MAX])
        .insert("uint64", vec![0, u64::MAX, 2])
        .insert("string", &["", "a", "tank/home@now"][..]);
    list
}

fn no_elements() -> NvList {
    let mut inner = NvList::new();
    inner.insert("inner", Value::Uint64Array(vec![]));
    let mut list = NvList::new();
    list.insert("boolean", Value::BooleanArray(vec![]))
        .insert("byte", Value::ByteArray(vec![]))
        .insert("int8", Value::Int8Array(vec![]))
        .insert("uint8", Value::Uint8Array(vec![]))
        .insert("int16", Value::Int16Array(vec![]))
        .insert("uint16", Value::Uint16Array(vec![]))
        .insert("int32", Value::Int32Array(vec![]))
        .insert("uint32", Value::Uint32Array(vec![]))
        .insert("int64", Value::Int64Array(vec![]))
        .insert("uint64", Value::Uint64Array(vec![]))
        .insert("string", Value::StringArray(vec![]))
        .insert("nvlist", Value::NvListArray(vec![]))
        .insert("list", inner)
        .insert("", "");
    list
}

fn small_negatives() -> NvList {
    let mut list = NvList::new();
    list.insert("byte", Value::Byte(0x80))
        .insert("int8", i8::MIN)
        .insert("uint8", u8::MAX)
        .insert("int16", i16::MIN)
        .insert("uint16", 0x8000_u16)
        .insert("int8s", vec![-1, 0, i8::MIN])
        .insert("uint8s", Value::Uint8Array(vec![0x80, 0x7f, 0xff]))
        .insert("int16s", vec![-1, 0, i16::MIN])
        .insert("uint16s", vec![0x8000_u16, 0x7fff, 0xffff]);
    list
}

fn nested() -> NvList {
    let mut props = NvList::new();
    props.insert("quota", 1_u64 << 20).insert("org:note", "x");
    let nothing = NvList::new();
    let mut fss = NvList::new();
    fss.insert("tank/a", props.clone()).insert("tank/b", nothing.clone());
    let mut leaf = NvList::new();
    leaf.insert("type", "disk");
    let mut repeated = NvList::with_duplicates();
    repeated.insert("twice", 1_u64).insert("twice", 2_u64);
    let mut top = NvList::new();
    top.insert("fss", fss)
        .insert_flag("between")
        .insert("few", vec![nothing.clone(), leaf.clone(), repeated]);
    leaf.insert("children", vec![nothing, props]);
    top.insert("one", vec![leaf]).insert("last", -1_i32);
    top
}

pub(super) fn deep(depth: usize) -> NvList {
    (0..depth).fold(NvList::new(), |list, level| {
        let mut outer = NvList::new();
        outer.insert(format!("level{level}"), list);
        outer
    })
}

fn unicode() -> NvList {
    let mut list = NvList::new();
    list.insert("käse", "€ 5")
        .insert("tab\tand\nline", "\u{1}\u{7f}")
        .insert("latin-1", NvString::from(&b"caf\xe9"[..]))
        .insert("bytes", vec![NvString::from(&b"\xff\xfe"[..]), NvString::from("ok")]);
    list
}

fn duplicates() -> NvList {
    let mut list = NvList::with_duplicates();
    list.insert("a", 1_u64).insert("b", "between").insert("a", 2_u64).insert("a", "three");
    list
}

fn duplicates_by_type() -> NvList {
    let mut list = NvList::with_unique_name_and_type();
    list.insert("a", 1_u64).insert("a", "two").insert("b", "between").insert("a", 3_u64);
    list
}

fn replaced() -> NvList {
    let mut list = NvList::new();
    list.insert("a", 1_u64).insert("b", 2_u64).insert("c", 3_u64).insert("a", "four");
    list.remove("b");
    list.insert_flag("b");
    list
}

fn lengths() -> NvList {
    let mut list = NvList::new();
    for length in 1..=18 {
        list.insert_flag("n".repeat(length));
    }
    for length in 0..=17 {
        list.insert(format!("s{length}"), "s".repeat(length));
        list.insert(format!("b{length}"), Value::ByteArray(vec![0xbb; length]));
    }
    list
}

fn long_ones() -> NvList {
    let text = |length| ('a'..='z').cycle().take(length).collect::<String>();
    let mut list = NvList::new();
    list.insert_flag(text(32_766)).insert("text", text(5000));
    list
}

fn many() -> NvList {
    (0..500).map(|i| (format!("tank/volume-{i:03}@now"), i)).collect()
}

#[test]
fn what_libnvpair_packed_is_read() {
    for (name, expected) in cases() {
        for (suffix, encoding) in SUFFIXES {
            let bytes = packed(name, suffix);
            assert_eq!(Encoding::of(&bytes), Ok(encoding), "{name}.{suffix}");
            assert_eq!(NvList::from_bytes(&bytes).as_ref(), Ok(&expected), "{name}.{suffix}");
        }
    }
}

#[test]
fn what_we_pack_is_byte_for_byte_what_libnvpair_packs() {
    for (name, list) in cases() {
        for (suffix, encoding) in SUFFIXES {
            // Here the program signs what the kernel does not: see below.
            if (name, suffix) != ("small_negatives", "xdr") {
                let bytes = list.encode(encoding).unwrap();
                assert!(bytes == packed(name, suffix), "{name}.{suffix}");
            }
        }
    }
}

#[test]
fn what_we_pack_for_the_host_is_in_its_order() {
    let suffix = if cfg!(target_endian = "big") { "be" } else { "le" };
    assert_eq!(nested().to_bytes().unwrap(), packed("nested", suffix));
}

#[test]
fn small_negatives_in_xdr_are_as_the_kernel_wants_them() {
    let ours = small_negatives().encode(Encoding::Xdr).unwrap();
    let theirs = packed("small_negatives", "xdr");
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.chunks(4).zip(theirs.chunks(4)) {
        let extended = theirs[..2] == [0xff, 0xff];
        let kernel: [u8; 4] = match theirs {
            [0xff, 0xff, 0xff, low] => [0, 0, 0, *low],
            [0xff, 0xff, high, low] => [0, 0, *high, *low],
            other => other.try_into().unwrap(),
        };
        // -1 of 16 bits looks like -1 of 8 bits once it is extended.
        assert!(ours == kernel || extended && ours == [0, 0, 0xff, 0xff], "{ours:?} {theirs:?}");
    }
}

#[test]
fn every_fixture_is_of_a_case() {
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| SUFFIXES.iter().any(|(suffix, _)| name.ends_with(&format!(".{suffix}"))))
        .collect();
    found.sort();
    let mut expected: Vec<String> = cases()
        .iter()
        .flat_map(|(name, _)| SUFFIXES.map(|(suffix, _)| format!("{name}.{suffix}")))
        .collect();
    expected.sort();
    assert_eq!(found, expected);
}
