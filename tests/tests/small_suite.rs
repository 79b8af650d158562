//! The small form of the suite is the same in C, Python and Go: the same scenarios, by the names that they have in the suite.

#![expect(clippy::expect_used, reason = "a test asserts")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The names in the lines of a file between the one that begins with `table` and its end.
fn names(file: &str, table: &str, before: &str, after: &str) -> Vec<String> {
    let text = fs::read_to_string(workspace().join(file)).expect("a small suite");
    let names: Vec<String> = text
        .lines()
        .skip_while(|line| !line.starts_with(table))
        .skip(1)
        .filter_map(|line| line.trim_start().strip_prefix(before)?.split_once(after))
        .take_while(|(name, _)| !name.contains(' '))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert!(names.len() > 20, "only {} scenarios found in {file}", names.len());
    names
}

#[test]
fn c_python_and_go_have_the_same_scenarios() {
    let python = names("bindings/python/tests/suite.py", "CASES:", "", ",");
    assert_eq!(names("bindings/go/suite_test.go", "var scenarios", "{\"", "\""), python);
    let c =
        names("zfsvol-ffi/tests/c/suite.c", "static const scenario SCENARIOS[]", "SCENARIO(", ")");
    assert_eq!(c, python);
}

#[test]
fn their_names_are_those_of_the_suite() {
    let mut suite = BTreeSet::new();
    for entry in fs::read_dir(workspace().join("tests/src/suite")).expect("the suite") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).expect("an area of the suite");
            suite.extend(
                text.lines()
                    .filter_map(|line| line.strip_prefix("fn ")?.strip_suffix("(world: &World) {"))
                    .map(str::to_owned),
            );
        }
    }
    let unknown: Vec<String> = names("bindings/python/tests/suite.py", "CASES:", "", ",")
        .into_iter()
        .filter(|name| !suite.contains(name))
        .collect();
    assert!(unknown.is_empty(), "the suite has no scenario {unknown:?}");
}
