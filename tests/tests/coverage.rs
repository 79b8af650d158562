//! Whether the suite covers the library: every operation is called by a case, and every kind of error expected by one.
//!
//! It reads the sources, so it sees that a case is missing, not that a case is weak.

#![expect(clippy::expect_used, reason = "a test asserts")]

use std::fs;
use std::path::{Path, PathBuf};

use zfsvol_core::ErrorKind;

/// Kinds of error that no case can bring about, and why. Empty: each can be.
const UNREACHABLE_KINDS: &[(ErrorKind, &str)] = &[];

/// Methods that no case needs to call, and why. Empty: each is worth a case.
const UNCALLED_METHODS: &[(&str, &str, &str)] = &[];

/// A public method or associated function below `zfsvol-core/src/zfs`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Method {
    owner: String,
    name: String,
    takes_self: bool,
}

impl Method {
    /// Whether `code`, which has no white space, calls it. What is called on a `Zfs` is called on something named so.
    fn is_called_in(&self, code: &str) -> bool {
        let Self { owner, name, takes_self } = self;
        let mut callers = vec![format!("{owner}::{name}")];
        match (owner.as_str(), takes_self) {
            ("Zfs", true) => {
                callers.extend(["zfs", "zfs()", "door"].map(|on| format!("{on}.{name}")));
            }
            (_, true) => callers.push(format!(".{name}")),
            (_, false) => {}
        }
        callers.iter().any(|caller| {
            code.match_indices(caller.as_str()).any(|(at, _)| {
                let rest = code.get(at + caller.len()..).unwrap_or_default();
                // A function that is passed on, such as to `map`, is called as well.
                rest.starts_with(['(', ')', ',']) || rest.starts_with("::<")
            })
        })
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every Rust file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code of a file: no comments, nothing from its unit tests on.
fn code_of(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a source file");
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .map(|line| line.split("//").next().unwrap_or_default().to_owned())
        .collect()
}

/// The public methods in a file, as rustfmt lays them out: `impl` at the beginning of a line, methods one step in.
fn methods_in(file: &Path) -> Vec<Method> {
    let lines = code_of(file);
    let mut owner = String::new();
    let mut methods = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if line.starts_with("impl") {
            owner = owner_of(line);
        }
        let Some(rest) =
            ["    pub fn ", "    pub const fn "].iter().find_map(|start| line.strip_prefix(start))
        else {
            continue;
        };
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = rest.get(..end).expect("cut between characters").to_owned();
        let signature: String = lines
            .iter()
            .skip(number)
            .take_while(|line| !line.starts_with("    }"))
            .take(4)
            .cloned()
            .collect();
        let takes_self = signature.split(')').next().is_some_and(|head| {
            ["self,", "self:", "self"]
                .iter()
                .any(|word| head.split(['(', ' ', '&']).any(|part| part == *word))
        });
        methods.push(Method { owner: owner.clone(), name, takes_self });
    }
    methods
}

/// `Zfs` of `impl Zfs {`, `Transfer` of `impl<T: Send> Iterator for Transfer<T> {`.
fn owner_of(line: &str) -> String {
    let of = match line.split_once(" for ") {
        Some((_, owner)) => owner,
        None if line.starts_with("impl<") => line.split_once("> ").map_or("", |(_, owner)| owner),
        None => line.trim_start_matches("impl "),
    };
    of.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The code of every case, without white space, so that a call that is broken over lines is found.
fn suite() -> String {
    let files = sources(&workspace().join("tests/src/suite"));
    assert!(files.len() > 20, "the suite is not where it was");
    files
        .iter()
        .flat_map(|file| code_of(file))
        .flat_map(|line| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_case_calls_every_operation() {
    let suite = suite();
    let mut methods: Vec<Method> = sources(&workspace().join("zfsvol-core/src/zfs"))
        .iter()
        .flat_map(|file| methods_in(file))
        .collect();
    methods.sort();
    methods.dedup();
    let of_zfs = methods.iter().filter(|method| method.owner == "Zfs").count();
    assert!(of_zfs > 100, "only {of_zfs} methods of `Zfs` found");
    let uncalled: Vec<String> = methods
        .iter()
        .filter(|method| !method.is_called_in(&suite))
        .map(|method| format!("{}::{}", method.owner, method.name))
        .collect();
    let excused: Vec<String> =
        UNCALLED_METHODS.iter().map(|(owner, name, _)| format!("{owner}::{name}")).collect();
    assert_eq!(uncalled, excused, "no case of tests/src/suite calls them; write one");
}

#[test]
fn a_case_expects_every_kind_of_error() {
    let suite = suite();
    let unexpected: Vec<ErrorKind> = ErrorKind::ALL
        .iter()
        .copied()
        .filter(|kind| {
            let name = format!("ErrorKind::{kind:?}");
            // `Invalid` is not `InvalidName`.
            !suite.match_indices(&name).any(|(at, _)| {
                let next = suite.get(at + name.len()..).and_then(|rest| rest.chars().next());
                next.is_none_or(|next| !next.is_alphanumeric())
            })
        })
        .collect();
    let excused: Vec<ErrorKind> = UNREACHABLE_KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(unexpected, excused, "no case of tests/src/suite expects them; write one");
}

#[test]
fn owners_and_methods_are_read_from_sources() {
    assert_eq!(owner_of("impl Zfs {"), "Zfs");
    assert_eq!(owner_of("impl Iterator for Names {"), "Names");
    assert_eq!(owner_of("impl<T: Send> Transfer<T> {"), "Transfer");
    let method =
        |owner: &str, takes_self| Method { owner: owner.into(), name: "hold".into(), takes_self };
    assert!(method("Zfs", true).is_called_in("world.zfs().hold(&[])"));
    assert!(!method("Zfs", true).is_called_in("world.zfs().holds(&s)"));
    assert!(!method("Zfs", true).is_called_in("thing.hold(1)"));
    assert!(method("Thing", true).is_called_in("thing.hold(1)"));
    assert!(method("Thing", false).is_called_in("map(Thing::hold)"));
    assert!(!method("Thing", false).is_called_in("thing.hold(1)"));
}
