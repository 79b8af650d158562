//! Arbitrary bytes as a packed list: read or refused, and what is read survives every form.
//!
//! In zfsvol-core: `cargo +nightly fuzz run nvlist_decode fuzz/corpus/nvlist_decode ../tests/fixtures/nvlist -- -max_len=6000`
//! begins with what libnvpair packed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zfsvol_core::nvlist::{ByteOrder, Encoding, NvList, Value};

const ENCODINGS: [Encoding; 3] =
    [Encoding::Native(ByteOrder::Little), Encoding::Native(ByteOrder::Big), Encoding::Xdr];

/// JSON nests two levels for each array of lists, and its reader stops at 128.
const JSON_DEPTH_MAX: usize = 60;

fuzz_target!(|bytes: &[u8]| {
    let (list, consumed) = match NvList::decode_prefix(bytes) {
        Ok(decoded) => decoded,
        Err(error) => {
            assert!(error.offset() <= bytes.len());
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(consumed <= bytes.len());
    if let Some(whole) = bytes.get(..consumed) {
        assert!(same(&NvList::from_bytes(whole).expect("what was consumed is a list"), &list));
        for length in [consumed / 2, consumed - 1] {
            assert!(NvList::from_bytes(&whole[..length]).is_err_and(|e| e.is_truncated()));
        }
    }
    for encoding in ENCODINGS {
        let packed = list.encode(encoding).expect("what was read can be written");
        assert!(same(&NvList::from_bytes(&packed).expect("what was written can be read"), &list));
    }
    if depth(&list) <= JSON_DEPTH_MAX {
        let json = serde_json::to_string(&list).expect("what was read has a JSON form");
        assert!(same(&serde_json::from_str(&json).expect("JSON reads back"), &list));
    }
    let _ = list.to_string();
});

/// Whether two lists pack to the same bytes: doubles that are not numbers equal nothing.
fn same(a: &NvList, b: &NvList) -> bool {
    a.to_bytes() == b.to_bytes()
}

fn depth(list: &NvList) -> usize {
    let of = |(_, value): (&str, &Value)| match value {
        Value::NvList(list) => 1 + depth(list),
        Value::NvListArray(lists) => 1 + lists.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    };
    list.iter().map(of).max().unwrap_or(0)
}
