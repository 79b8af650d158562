//! Whether `include/zfsvol.h` and `include/zfsvol.abi` are what the sources say, and whether a change of the ABI has a version of its own.
//!
//! `make check-generated` runs this; `make generate` runs it with `ZFSVOL_BLESS=1`, which writes the files anew.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the C compiler, which knows sizes and offsets"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test asserts")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::{crate_dir, include_dir, run};

fn blessing() -> bool {
    std::env::var_os("ZFSVOL_BLESS").is_some_and(|value| value == "1")
}

/// The header, as cbindgen makes it.
fn header() -> String {
    let config = cbindgen::Config::from_file(crate_dir().join("cbindgen.toml")).unwrap();
    let mut header = Vec::new();
    cbindgen::Builder::new()
        .with_crate(crate_dir())
        .with_config(config)
        .generate()
        .unwrap()
        .write(&mut header);
    String::from_utf8(header).unwrap()
}

/// Compares a committed file with what it should be, or writes it.
fn check(name: &str, expected: &str) {
    let path = include_dir().join(name);
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        return;
    }
    assert!(blessing(), "include/{name} is not what the sources say: run `make generate`");
    fs::write(&path, expected).unwrap();
}

#[test]
fn header_and_abi_are_up_to_date() {
    let header = header();
    check("zfsvol.h", &header);
    let abi = abi(&header);
    let committed = fs::read_to_string(include_dir().join("zfsvol.abi")).unwrap_or_default();
    let broken = broken(&committed, &abi);
    assert!(
        broken.is_empty(),
        "programs that were built before no longer work: raise ZFSVOL_ABI in src/version.rs and ABI in build.rs, or undo this: {broken:#?}"
    );
    check("zfsvol.abi", &abi);
}

#[test]
fn the_soname_has_the_version_of_the_abi() {
    let build = fs::read_to_string(crate_dir().join("build.rs")).unwrap();
    assert!(build.contains(&format!("const ABI: u32 = {};", zfsvol::version::ZFSVOL_ABI)));
}

/// Everything a compiled program relies on, one thing a line.
fn abi(header: &str) -> String {
    let code = without_comments(header);
    let mut abi = String::from(
        "# What programs that were compiled rely on, as include/zfsvol.h has it. Generated: `make generate`.\n\
         # A line that is changed or taken away needs a new version of the ABI; lines may be added.\n",
    );
    for (name, value) in common::constants(&code) {
        writeln!(abi, "constant {name} {value}").unwrap();
    }
    for (name, target) in typedefs(&code) {
        writeln!(abi, "type {name} {target}").unwrap();
    }
    abi.push_str(&layouts(&common::structs(&code)));
    for (name, signature) in common::functions(&code) {
        writeln!(abi, "function {name} {signature}").unwrap();
    }
    abi
}

fn without_comments(header: &str) -> String {
    common::without_comments(header)
}

/// `typedef uint32_t zfsvol_status;`
fn typedefs(code: &str) -> BTreeMap<String, String> {
    code.lines()
        .filter_map(|line| line.strip_prefix("typedef ")?.strip_suffix(';'))
        .filter(|line| !line.contains('(') && !line.contains('{') && !line.starts_with("struct "))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(target, name)| (name.to_owned(), target.to_owned()))
        .collect()
}

/// Sizes and offsets, as the C compiler of this machine says.
fn layouts(structs: &BTreeMap<String, Vec<String>>) -> String {
    let mut program = String::from("#include <stdio.h>\n#include \"zfsvol.h\"\nint main(void) {\n");
    for (name, fields) in structs {
        for field in fields {
            writeln!(
                program,
                "printf(\"field {name}.{field} offset %zu size %zu\\n\", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));"
            )
            .unwrap();
        }
        writeln!(program, "printf(\"struct {name} size %zu\\n\", sizeof({name}));").unwrap();
    }
    program.push_str("return 0; }\n");
    let folder = tempfile::tempdir().unwrap();
    let source: PathBuf = folder.path().join("layout.c");
    let binary = folder.path().join("layout");
    fs::write(&source, program).unwrap();
    run(Command::new("cc").arg("-I").arg(include_dir()).arg(&source).arg("-o").arg(&binary));
    run(&mut Command::new(&binary))
}

/// Lines of the old ABI that the new one of the same version does not have. A struct that begins with its size may grow.
fn broken(old: &str, new: &str) -> Vec<String> {
    let version = |abi: &str| {
        abi.lines().find_map(|line| line.strip_prefix("constant ZFSVOL_ABI ")).map(str::to_owned)
    };
    if version(old) != version(new) {
        return Vec::new();
    }
    let kept: BTreeSet<&str> = new.lines().collect();
    let grows = |line: &str| {
        line.strip_prefix("struct ")
            .and_then(|line| line.split(' ').next())
            .is_some_and(|name| old.contains(&format!("field {name}.size offset 0 ")))
    };
    old.lines()
        .filter(|line| !line.starts_with('#') && !kept.contains(line) && !grows(line))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_change_of_what_was_there_is_noticed() {
    let old = "constant ZFSVOL_ABI 1\nconstant A 1\nfield o.size offset 0 size 8\nstruct o size 8\nfunction f void (int)\n";
    assert_eq!(broken(old, old), Vec::<String>::new());
    let more = format!("{old}function g void (void)\n");
    assert_eq!(broken(old, &more), Vec::<String>::new());
    assert_eq!(broken(old, &old.replace("struct o size 8", "struct o size 16")).len(), 0);
    assert_eq!(broken(old, &old.replace("A 1", "A 2")), ["constant A 1"]);
    assert_eq!(broken(old, &old.replace("(int)", "(long)")), ["function f void (int)"]);
    assert_eq!(broken(&more, old), ["function g void (void)"]);
    let bumped = old.replace("ZFSVOL_ABI 1", "ZFSVOL_ABI 2").replace("A 1", "A 2");
    assert_eq!(broken(old, &bumped), Vec::<String>::new());
}
