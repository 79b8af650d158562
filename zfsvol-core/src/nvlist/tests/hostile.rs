//! Bytes that are no list, or too much of one.

use super::fixtures::{cases, deep, packed};
use super::{ENCODINGS, every_type};
use crate::nvlist::{
    ByteOrder, DEPTH_MAX, DecodeCode, EncodeCode, Encoding, Limits, NAME_BYTES_MAX, NvList,
    NvString, Value,
};

const NATIVE: Encoding = Encoding::Native(ByteOrder::Little);

/// Every fixture that is not long, which is enough for one change at each of its bytes.
fn short_fixtures() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (name, _) in cases() {
        for suffix in ["le", "be", "xdr"] {
            let bytes = packed(name, suffix);
            if bytes.len() < 4096 {
                all.push((format!("{name}.{suffix}"), bytes));
            }
        }
    }
    assert!(all.len() > 30);
    all
}

#[test]
fn a_list_cut_off_anywhere_is_truncated() {
    for (name, bytes) in short_fixtures() {
        let (list, whole) = NvList::decode_prefix(&bytes).unwrap();
        for length in 0..whole {
            let error = NvList::from_bytes(&bytes[..length]).unwrap_err();
            assert!(error.is_truncated(), "{name} cut at {length}: {error}");
            assert!(error.offset() <= length, "{name} cut at {length}: {error}");
        }
        // What is left is the slack of empty arrays in XDR, which holds nothing.
        for length in whole..=bytes.len() {
            assert_eq!(NvList::from_bytes(&bytes[..length]).as_ref(), Ok(&list), "{name}");
        }
    }
}

#[test]
fn a_list_with_any_byte_changed_is_read_or_refused() {
    for (name, bytes) in short_fixtures() {
        for place in 0..bytes.len() {
            for change in [1, 0x80, bytes[place]] {
                let mut bytes = bytes.clone();
                bytes[place] ^= change;
                match NvList::decode_prefix(&bytes) {
                    Ok((list, consumed)) => {
                        assert!(consumed <= bytes.len(), "{name}");
                        let again = list.encode(Encoding::of(&bytes).unwrap()).unwrap();
                        // Compared as text: a changed double may equal nothing.
                        let read = NvList::from_bytes(&again).unwrap();
                        assert_eq!(format!("{read:?}"), format!("{list:?}"), "{name}");
                    }
                    Err(error) => {
                        assert!(error.offset() <= bytes.len(), "{name}: {error}");
                        assert!(!error.to_string().is_empty());
                    }
                }
            }
        }
    }
}

/// Packs a list natively, changes it, and answers what is said about it.
fn complaint(list: &NvList, encoding: Encoding, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = list.encode(encoding).unwrap();
    change(&mut bytes);
    NvList::from_bytes(&bytes).unwrap_err().to_string()
}

#[test]
fn native_errors_say_where_and_what() {
    let mut props = NvList::new();
    props.insert("a", "text");
    let mut fss = NvList::new();
    fss.insert("tank/a", props);
    let mut list = NvList::new();
    list.insert("fss", fss);
    // Header 4, version and flags 8; pair "fss" 24 + 24 at 12; pair "tank/a" 24 + 24 at 60; pair "a" 24 + 8 at 108.
    for (at, bytes, message) in [
        (0, &[2][..], "at byte 0: encoding is neither native nor xdr"),
        (1, &[2], "at byte 1: byte order is neither little nor big endian"),
        (4, &[1], "at byte 4: version of the packed list is not 0"),
        (12, &[8], "at byte 12: size of the pair does not match its content"),
        (15, &[0x80], "at byte 12: size of the pair does not match its content"),
        (15, &[0x7f], "at byte 152: the packed list ends too early"),
        (16, &[0], "at byte 28: name of the pair is not a terminated string"),
        (16, &[3], "at byte 28: name of the pair is not a terminated string"),
        (17, &[0x80], "at byte 28: name of the pair is not a terminated string"),
        (28, &[0], "at byte 28: name of the pair is not a terminated string"),
        (28, &[0xff], "at byte 28: name of the pair is not utf-8"),
        (20, &[2], r#"at byte 20, in "fss": element count does not match the type"#),
        (24, &[28], r#"at byte 24, in "fss": unknown type of pair"#),
        (24, &[8], r#"at byte 44, in "fss": size of the pair does not match its content"#),
        (36, &[1], r#"at byte 36, in "fss": version of the packed list is not 0"#),
        (120, &[21], r#"at byte 132, in "fss" / "tank/a" / "a": boolean is neither 0 nor 1"#),
        (132, b"12345678", r#"at byte 132, in "fss" / "tank/a" / "a": string is not terminated"#),
    ] {
        let said = complaint(&list, NATIVE, |packed| {
            packed[at..at + bytes.len()].copy_from_slice(bytes);
        });
        assert_eq!(said, message, "byte {at}");
    }
    assert_eq!(
        complaint(&list, NATIVE, |packed| packed.push(0)),
        "at byte 152: bytes are left over after the list"
    );
}

#[test]
fn xdr_errors_say_where_and_what() {
    let mut leaf = NvList::new();
    leaf.insert("s", "abc").insert("n", 5_u8).insert("a", vec![1_u64]);
    let mut list = NvList::new();
    list.insert("children", vec![NvList::new(), leaf]);
    // Header 4, version and flags 8; pair "children" 12 to 40; first list 40 to 56; second from 56: version and flags 8,
    // pair "s" 64 to 96, pair "n" 96 to 124, pair "a" 124 to 160.
    for (at, bytes, message) in [
        (7, &[1][..], "at byte 4: version of the packed list is not 0"),
        (19, &[1], r#"at byte 16, in "children": size of the pair does not match its content"#),
        (24, &[0], "at byte 20: name of the pair is not a terminated string"),
        (24, &[0xff], "at byte 20: name of the pair is not utf-8"),
        (35, &[0], r#"at byte 32, in "children": unknown type of pair"#),
        (36, &[0x80], r#"at byte 36, in "children": element count does not match the type"#),
        (93, &[0], r#"at byte 88, in "children[1]" / "s": string has a nul inside"#),
        (95, &[1], r#"at byte 95, in "children[1]" / "s": padding is not zero"#),
        (122, &[1], r#"at byte 120, in "children[1]" / "n": integer is too large for its type"#),
    ] {
        let said = complaint(&list, Encoding::Xdr, |packed| {
            packed[at..at + bytes.len()].copy_from_slice(bytes);
        });
        assert_eq!(said, message, "byte {at}");
    }
}

#[test]
fn limits_are_kept() {
    let refused = |list: &NvList, limits: Limits| {
        ENCODINGS.map(|encoding| {
            let bytes = list.encode(encoding).unwrap();
            let error = NvList::from_bytes_with(&bytes, &limits).unwrap_err();
            assert!(error.is_limit());
            error.code()
        })
    };
    let accepted = |list: &NvList, limits: Limits| {
        for encoding in ENCODINGS {
            let bytes = list.encode(encoding).unwrap();
            assert_eq!(NvList::from_bytes_with(&bytes, &limits).as_ref(), Ok(list));
        }
    };
    accepted(&deep(7), Limits::DEFAULT.depth(7));
    assert_eq!(refused(&deep(8), Limits::DEFAULT.depth(7)), [DecodeCode::TooDeep; 3]);
    accepted(&deep(7), Limits::DEFAULT.pairs(7));
    assert_eq!(refused(&deep(8), Limits::DEFAULT.pairs(7)), [DecodeCode::TooManyPairs; 3]);
    assert_eq!(refused(&deep(8), Limits::DEFAULT.bytes(99)), [DecodeCode::TooManyBytes; 3]);
    for encoding in ENCODINGS {
        let bytes = every_type().encode(encoding).unwrap();
        let exactly = Limits::DEFAULT.bytes(bytes.len());
        assert_eq!(NvList::from_bytes_with(&bytes, &exactly), Ok(every_type()));
        // What comes after the list does not count.
        let mut longer = bytes.clone();
        longer.extend([7; 100]);
        let decoded = NvList::decode_prefix_with(&longer, &exactly);
        assert_eq!(decoded, Ok((every_type(), bytes.len())));
        let error = NvList::from_bytes(&longer).unwrap_err();
        assert_eq!((error.code(), error.offset()), (DecodeCode::TrailingBytes, bytes.len()));
    }
}

#[test]
fn a_list_deeper_than_libnvpair_allows_is_neither_written_nor_read() {
    for encoding in ENCODINGS {
        let error = deep(DEPTH_MAX + 1).encode(encoding).unwrap_err();
        assert_eq!(error.code(), EncodeCode::TooDeep);
        assert_eq!(error.path().count(), DEPTH_MAX + 1);
    }
    // One level more, by hand: the outermost pair repeated around what is there.
    let mut inner = NvList::new();
    inner.insert("x", deep(DEPTH_MAX - 1));
    let packed = inner.to_bytes().unwrap();
    let (head, pairs) = packed.split_at(12);
    let mut deeper = head.to_vec();
    deeper.extend_from_slice(&pairs[..48]);
    deeper.extend_from_slice(pairs);
    deeper.extend_from_slice(&[0; 4]);
    let error = NvList::from_bytes_with(&deeper, &Limits::DEFAULT.depth(usize::MAX)).unwrap_err();
    assert_eq!(error.code(), DecodeCode::TooDeep);
}

#[test]
fn counts_are_not_believed_before_the_bytes_are_there() {
    // An array that claims two thousand million elements, in each type and encoding.
    for (name, value) in every_type() {
        if !value.data_type().is_array() {
            continue;
        }
        let mut list = NvList::new();
        list.insert("x", value);
        for (encoding, count_at) in [(NATIVE, 20), (Encoding::Xdr, 32)] {
            let mut bytes = list.encode(encoding).unwrap();
            let count = 0x7fff_ffff_u32;
            let count = if encoding == NATIVE { count.to_le_bytes() } else { count.to_be_bytes() };
            bytes[count_at..count_at + 4].copy_from_slice(&count);
            let error = NvList::from_bytes(&bytes).unwrap_err();
            let expected = match encoding {
                Encoding::Native(_) => vec![DecodeCode::PairSize],
                Encoding::Xdr => vec![DecodeCode::Truncated, DecodeCode::ElementCount],
            };
            assert!(expected.contains(&error.code()), "{name} {encoding:?}: {error}");
        }
    }
}

#[test]
fn what_no_pair_can_hold_is_refused_by_name() {
    let mut props = NvList::new();
    let mut list = NvList::new();
    let said = |list: &NvList| {
        let [a, b, c] = ENCODINGS.map(|encoding| list.encode(encoding).unwrap_err().to_string());
        assert!(a == b && b == c);
        a
    };
    props.insert("user:note", "a\0b");
    list.insert("props", props);
    assert_eq!(
        said(&list),
        r#"cannot pack the list, in "props" / "user:note": string has a nul inside"#
    );
    list.insert("props", vec![NvString::from("ok"), NvString::from(&b"\0"[..])]);
    assert_eq!(said(&list), r#"cannot pack the list, in "props": string has a nul inside"#);
    let mut list = NvList::new();
    let mut inner = NvList::new();
    inner.insert_flag("a\0b");
    list.insert("lists", vec![NvList::new(), inner]);
    assert_eq!(
        said(&list),
        r#"cannot pack the list, in "lists[1]" / "a\0b": name has a nul inside"#
    );
    let mut list = NvList::new();
    list.insert_flag("x".repeat(NAME_BYTES_MAX + 1));
    assert!(said(&list).ends_with("name is too long"));
}

#[test]
fn a_list_that_breaks_its_own_rule_about_names_keeps_its_pairs() {
    let mut twice = NvList::with_duplicates();
    twice.insert("a", 1_u64).insert("b", 2_u64).insert("a", 3_u64);
    for encoding in ENCODINGS {
        let mut bytes = twice.encode(encoding).unwrap();
        let flag_at = if encoding == NATIVE { 8 } else { 11 };
        bytes[flag_at] = 1;
        let mut list = NvList::from_bytes(&bytes).unwrap();
        assert_eq!(list.nvflag(), 1);
        assert_eq!(list.len(), 3);
        assert_eq!(list.get_u64("a"), Some(3));
        assert_eq!(list.encode(encoding).unwrap(), bytes);
        list.insert("a", 4_u64);
        let left: Vec<_> = list.iter().map(|(name, value)| (name, value.clone())).collect();
        assert_eq!(left, [("b", Value::Uint64(2)), ("a", Value::Uint64(4))]);
    }
}
