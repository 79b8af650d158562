//! Whether C reaches all of the library: every public method of `Zfs`, `Node` and what else operations hang on is called by this crate, or is on a list with its reason.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test asserts")]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{crate_dir, rust_files, workspace};

/// What C does not reach by that name, and why.
const NOT_BY_NAME: &[(&str, &str)] = &[
    ("open", "zfsvol_zfs_open with 'zfs:' does it, and zfsvol_node_open"),
    ("embedded", "zfsvol_zfs_open with 'embedded:' does it"),
    ("list_all", "zfsvol_listing_next gives the same one by one"),
    ("serve", "zfsvol_node_serve does it in the background, as a transfer"),
];

/// Public methods of `impl Zfs` and `impl Node`, by the file they are in.
fn methods() -> BTreeMap<String, String> {
    let mut methods = BTreeMap::new();
    for folder in ["zfsvol-core/src/zfs", "zfsvol-core/src/volume"] {
        for file in rust_files(&workspace().join(folder)) {
            let mut inside = false;
            for line in fs::read_to_string(&file).unwrap().lines() {
                if line.starts_with("impl") {
                    inside = line == "impl Zfs {" || line == "impl Node {";
                }
                let Some(rest) = line.strip_prefix("    pub fn ").filter(|_| inside) else {
                    continue;
                };
                let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                methods.insert(name.to_owned(), file.display().to_string());
            }
        }
    }
    assert!(methods.len() > 100, "only {} methods found", methods.len());
    methods
}

/// The code of this crate, without comments and white space.
fn code() -> String {
    rust_files(&crate_dir().join("src"))
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.lines()
                .map(|line| line.split("//").next().unwrap_or_default())
                .flat_map(str::split_whitespace)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn c_reaches_every_operation_or_a_reason_is_given() {
    let code = code();
    let excused: BTreeMap<&str, &str> = NOT_BY_NAME.iter().copied().collect();
    let mut missing = Vec::new();
    for (name, file) in methods() {
        let calls = [format!(".{name}("), format!("Zfs::{name}("), format!("Node::{name}(")];
        let is_called = calls.iter().any(|call| code.contains(call));
        if !is_called && !excused.contains_key(name.as_str()) {
            missing.push(format!("{name} of {file}"));
        }
    }
    assert!(missing.is_empty(), "no function of the C ABI calls {missing:#?}");
}

#[test]
fn what_is_excused_exists() {
    let methods = methods();
    for (name, reason) in NOT_BY_NAME {
        assert!(methods.contains_key(*name), "{name} ({reason}) is gone");
    }
}
