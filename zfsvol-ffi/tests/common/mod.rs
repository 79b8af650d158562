//! What the tests of this crate have in common: where things are, and what is in the header.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test uses a part of it, and an expectation would fail in one that uses all"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn crate_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn workspace() -> PathBuf {
    crate_dir().parent().unwrap().to_owned()
}

pub(crate) fn include_dir() -> PathBuf {
    workspace().join("include")
}

/// Runs a command to its end and gives its output; its failure is the test's.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// The Rust files of a folder and those below.
pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

pub(crate) fn without_comments(header: &str) -> String {
    let mut code = String::new();
    let mut rest = header;
    while let Some(start) = rest.find("/*") {
        code.push_str(&rest[..start]);
        let end = rest[start..].find("*/").map_or(rest.len(), |end| start + end + 2);
        rest = &rest[end..];
    }
    code.push_str(rest);
    code.lines().filter(|line| !line.starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// `#define NAME value`, but for macros with arguments, guards and those that differ in C++.
pub(crate) fn constants(code: &str) -> BTreeMap<String, String> {
    code.lines()
        .filter_map(|line| line.strip_prefix("#define ")?.split_once(' '))
        .filter(|(name, value)| !name.contains('(') && !value.contains("zfsvol_str"))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// The names of all macros, those with arguments too.
pub(crate) fn macros(code: &str) -> BTreeSet<String> {
    code.lines()
        .filter_map(|line| line.strip_prefix("#define "))
        .filter_map(|line| line.split([' ', '(']).next())
        .filter(|name| *name != "ZFSVOL_H")
        .map(str::to_owned)
        .collect()
}

/// Structs with their fields.
pub(crate) fn structs(code: &str) -> BTreeMap<String, Vec<String>> {
    let mut structs = BTreeMap::new();
    for part in code.split("typedef struct ").skip(1) {
        let head = part.lines().next().unwrap_or_default();
        if !head.contains('{') {
            continue;
        }
        let (body, rest) = part.split_once('}').unwrap();
        // A callback's field has its closing brace nowhere else, but its name in front of the arguments.
        let name = rest.split(';').next().unwrap_or_default().trim();
        let body = body.split_once('{').unwrap().1;
        let fields = body.split(';').filter_map(field_name).collect();
        structs.insert(name.to_owned(), fields);
    }
    structs
}

/// `len` of `size_t len`, `read` of `int64_t (*read)(void *context, ...)`.
fn field_name(field: &str) -> Option<String> {
    let field = field.trim();
    let name = match field.split_once("(*") {
        Some((_, rest)) => rest.split(')').next()?,
        None => field.rsplit([' ', '*', '\n']).next()?,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// Exported functions with their types.
pub(crate) fn functions(code: &str) -> BTreeMap<String, String> {
    let mut functions = BTreeMap::new();
    for statement in code.split(';') {
        let statement = statement.rsplit('}').next().unwrap_or_default();
        let text: String = statement
            .lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with("extern"))
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join(" ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.starts_with("typedef") || text.contains('{') {
            continue;
        }
        let Some((head, arguments)) = text.split_once('(') else { continue };
        // A callback, the field of a struct.
        if arguments.starts_with('*') {
            continue;
        }
        let Some(at) = head.rfind("zfsvol_") else { continue };
        let (answer, name) = head.split_at(at);
        functions.insert(name.trim().to_owned(), format!("{} ({arguments}", answer.trim()));
    }
    functions
}
