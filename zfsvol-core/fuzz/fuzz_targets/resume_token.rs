//! Arbitrary text as a resume token: read or refused, and what is read is written as a token of the same meaning. A wrong checksum ends most
//! of what is tried, so each input is also tried as the packed list inside a token that is right around it.

#![no_main]

use std::fmt::Write;

use libfuzzer_sys::fuzz_target;
use miniz_oxide::deflate::compress_to_vec_zlib;
use zfsvol_core::nvlist::ByteOrder;
use zfsvol_core::stream::{Fletcher4, ResumeToken};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
    check(&around(bytes));
});

fn check(text: &str) {
    match text.parse::<ResumeToken>() {
        Ok(token) => {
            let written = token.encode().expect("what was read can be written");
            assert_eq!(written.parse::<ResumeToken>().expect("what was written can be read"), token);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The token whose list these bytes are.
fn around(list: &[u8]) -> String {
    let data = compress_to_vec_zlib(list, 1);
    let mut sum = Fletcher4::new(ByteOrder::Little);
    sum.update(&data);
    let [first, ..] = sum.value().0;
    let mut text = format!("1-{first:x}-{:x}-", list.len());
    data.iter().for_each(|byte| write!(text, "{byte:02x}").expect("text"));
    text
}
