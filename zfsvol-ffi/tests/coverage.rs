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
                methods.insert(named(rest), file.display().to_string());
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

/// Functions and builders besides, by the line that they begin with: what is done with streams, labels, plans and properties without a kernel, and what an embedded kernel is made of.
fn others() -> Vec<String> {
    let stream = workspace().join("zfsvol-core/src/stream");
    let mut files = rust_files(&stream);
    files.retain(|file| !file.components().any(|part| part.as_os_str() == "tests"));
    files.push(workspace().join("zfsvol-core/src/label.rs"));
    let mut names = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        names.extend(text.lines().filter_map(|line| line.strip_prefix("pub fn ")).map(named));
    }
    let embedded = fs::read_to_string(workspace().join("zfsvol-core/src/embedded/mod.rs")).unwrap();
    let builder = embedded.split("impl EmbeddedBuilder {").nth(1).unwrap();
    let builder = builder.split("\n}").next().unwrap();
    names.extend(builder.lines().filter_map(|line| line.strip_prefix("    pub fn ")).map(named));
    assert!(names.len() > 14, "only {names:?} were found");
    names
}

fn named(rest: &str) -> String {
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
}

#[test]
fn c_reaches_what_needs_no_dataset() {
    let code = code();
    let missing: Vec<String> = others()
        .into_iter()
        .filter(|name| {
            ![format!("::{name}("), format!(".{name}(")].iter().any(|call| code.contains(call))
        })
        .collect();
    assert!(missing.is_empty(), "no function of the C ABI calls {missing:#?}");
}

#[test]
fn what_is_excused_exists() {
    let methods = methods();
    for (name, reason) in NOT_BY_NAME {
        assert!(methods.contains_key(*name), "{name} ({reason}) is gone");
    }
}
