//! The C tests and examples: `tests/c/*.c`, `examples/*.c`, compiled as C99 and as C++ with every warning an error, and run as they are, with the address sanitizer, which
//! looks for leaks too, and under valgrind.

#![expect(clippy::disallowed_methods, reason = "runs the C compiler, and what it makes")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test asserts")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{crate_dir, include_dir, run};

const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"];

/// The folder that has the library which this test was built with.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().unwrap();
    [deps, deps.parent().unwrap()]
        .into_iter()
        .find(|folder| folder.join("libzfsvol.so").exists())
        .unwrap_or_else(|| panic!("no libzfsvol.so beside {}", test.display()))
        .to_owned()
}

fn programs() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["tests/c", "examples"]
        .iter()
        .flat_map(|folder| fs::read_dir(crate_dir().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    found.sort();
    assert!(found.len() > 2);
    found
}

/// Compiles a program against the shared library.
fn compile(compiler: &str, flags: &[&str], source: &Path, binary: &Path) {
    let library = library();
    run(Command::new(compiler)
        .args(flags)
        .args(WARNINGS)
        .arg("-I")
        .arg(include_dir())
        .arg(source)
        .arg("-o")
        .arg(binary)
        .args(["-x", "none"])
        .arg(soname_beside(binary))
        .arg(format!("-Wl,-rpath,{}", binary.parent().unwrap().display()))
        .arg("-lpthread"));
    assert!(library.exists());
}

/// The library by the name that programs ask for.
fn soname_beside(binary: &Path) -> PathBuf {
    let name = format!("libzfsvol.so.{}", zfsvol::version::ZFSVOL_ABI);
    let link = binary.parent().unwrap().join(name);
    if !link.exists() {
        std::os::unix::fs::symlink(library().join("libzfsvol.so"), &link).unwrap();
    }
    link
}

/// Compiles every program in that way and runs it.
fn each(compiler: &str, flags: &[&str], run_it: impl Fn(&Path) -> Command) {
    let folder = tempfile::tempdir().unwrap();
    for source in programs() {
        let binary = folder.path().join(source.file_stem().unwrap());
        compile(compiler, flags, &source, &binary);
        run(&mut run_it(&binary));
    }
}

#[test]
fn the_code_of_the_readme_is_an_example() {
    let readme = fs::read_to_string(common::workspace().join("README.md")).unwrap();
    let example = fs::read_to_string(crate_dir().join("examples/readme.c")).unwrap();
    assert!(readme.contains(&format!("```c\n{example}```\n")), "README.md shows something else");
}

#[test]
fn as_c99() {
    each("cc", &["-std=c99", "-D_POSIX_C_SOURCE=200809L"], |binary| Command::new(binary));
}

#[test]
fn as_cpp() {
    let flags = &["-x", "c++", "-std=c++11", "-Wno-missing-field-initializers"];
    each("c++", flags, |binary| Command::new(binary));
}

#[test]
fn with_the_address_sanitizer() {
    let flags = &[
        "-std=c99",
        "-D_POSIX_C_SOURCE=200809L",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined",
    ];
    each("cc", flags, |binary| {
        let mut command = Command::new(binary);
        command.env("ASAN_OPTIONS", "detect_leaks=1:halt_on_error=1");
        command
    });
}

#[test]
fn under_valgrind() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        let required = std::env::var_os("ZFSVOL_REQUIRE_KERNEL").is_some_and(|value| value == "1");
        assert!(!required, "valgrind is not installed");
        eprintln!("SKIPPED: the C tests under valgrind, which is not installed");
        return;
    }
    each("cc", &["-std=c99", "-D_POSIX_C_SOURCE=200809L"], |binary| {
        let mut command = Command::new("valgrind");
        command
            .args(["-q", "--leak-check=full", "--show-leak-kinds=definite,indirect"])
            .args(["--errors-for-leak-kinds=definite,indirect", "--error-exitcode=99"])
            .arg(binary);
        command
    });
}
