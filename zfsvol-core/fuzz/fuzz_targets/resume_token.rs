//! Arbitrary text as a resume token: read or refused, and what is read is written as a token of the same meaning.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zfsvol_core::stream::ResumeToken;

fuzz_target!(|text: &str| {
    match text.parse::<ResumeToken>() {
        Ok(token) => {
            let written = token.encode().expect("what was read can be written");
            assert_eq!(written.parse::<ResumeToken>().expect("what was written can be read"), token);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
