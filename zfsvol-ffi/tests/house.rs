//! Rules of this crate that no lint can check: every exported function has a boundary, a test in C and a comment, and every macro is used.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test asserts")]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{constants, crate_dir, functions, include_dir, macros, rust_files, without_comments};

/// `(file:line, name, text up to the closing brace)` of each exported function.
fn exported() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for file in rust_files(&crate_dir().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let Some((_, rest)) = line.split_once("extern \"C\" fn ") else { continue };
            if line.trim_start().starts_with("//") || rest.starts_with('(') {
                continue;
            }
            // A callback that C is given.
            if line.starts_with("unsafe extern") && lines[number - 1].is_empty() {
                continue;
            }
            let name = rest.split('(').next().unwrap().to_owned();
            let body: Vec<&str> =
                lines[number..].iter().take_while(|line| **line != "}").copied().collect();
            let place = format!("{}:{}", file.display(), number + 1);
            assert!(line.starts_with("pub unsafe extern"), "{place}: {line}");
            assert_eq!(lines[number - 1], "#[unsafe(no_mangle)]", "{place}");
            assert!(lines[number - 2].starts_with("///"), "{place}: {name} has no comment");
            found.push((place, name, body.join("\n")));
        }
    }
    assert!(found.len() > 30, "only {} exported functions found", found.len());
    found
}

#[test]
fn every_exported_function_has_a_boundary() {
    for (place, name, body) in exported() {
        assert_eq!(body.matches("boundary!(").count(), 1, "{place}: {name}");
        let (_, behind) = body.split_once("{\n").unwrap();
        assert!(
            behind.trim_start().starts_with("boundary!("),
            "{place}: {name} does something first"
        );
    }
}

#[test]
fn what_is_exported_is_in_the_header() {
    let header = fs::read_to_string(include_dir().join("zfsvol.h")).unwrap();
    let declared: BTreeSet<String> = functions(&without_comments(&header)).into_keys().collect();
    let exported: BTreeSet<String> = exported().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(declared, exported);
}

/// All C tests in one text.
fn c_tests() -> String {
    let folder = crate_dir().join("tests/c");
    let files = fs::read_dir(folder).unwrap();
    let mut text = String::new();
    for file in files {
        text.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
    }
    text
}

/// Whether `text` has `word`, and not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

#[test]
fn a_c_test_calls_every_function_and_uses_every_macro() {
    let header = fs::read_to_string(include_dir().join("zfsvol.h")).unwrap();
    let code = without_comments(&header);
    let tests = c_tests();
    let missing: Vec<String> = functions(&code)
        .into_keys()
        .chain(macros(&code))
        .chain(constants(&code).into_keys())
        .filter(|name| !has_word(&tests, name))
        .collect();
    assert!(missing.is_empty(), "no test in tests/c uses {missing:#?}");
}
