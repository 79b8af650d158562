//! Rules about the sources that no compiler checks.

#![expect(clippy::disallowed_methods, reason = "readelf is asked what a binary is linked with")]
#![expect(clippy::unwrap_used, reason = "helpers of tests assert too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file at or below a folder of the workspace, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut left = vec![workspace().join(folder)];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name == "target") {
                continue;
            }
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "{folder} has no sources");
    found.sort();
    found
}

/// The lines that are code: no comments, no documentation.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn the_library_runs_no_program() {
    const WAYS: [&str; 7] = [
        "process::Command",
        "Command::new",
        "fork(",
        "execv",
        "posix_spawn",
        "libc::system(",
        "popen(",
    ];
    for folder in ["zfsvol-core/src", "zfsvol-ffi/src"] {
        for (path, text) in sources(folder) {
            for line in code(&text) {
                let way = WAYS.iter().find(|way| line.contains(**way));
                assert_eq!(way, None, "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn there_is_one_call_of_ioctl_in_the_workspace() {
    let mut calls = Vec::new();
    for folder in ["zfsvol-core", "zfsvol-ffi", "tests/src", "benches"] {
        for (path, text) in sources(folder) {
            let of_path = code(&text)
                .filter(|line| {
                    line.contains("libc::ioctl(")
                        || line.contains("SYS_ioctl")
                        || line.contains("nix::ioctl_")
                        || line.contains("nix::request_code")
                })
                .map(|line| format!("{}: {}", path.display(), line.trim()));
            calls.extend(of_path);
        }
    }
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert!(calls[0].contains("kernel/dev.rs"), "{calls:#?}");
}

#[test]
fn no_library_of_openzfs_is_linked() {
    let readelf = Command::new("readelf")
        .args(["--dynamic", "--wide", env!("CARGO_BIN_EXE_suite")])
        .output()
        .expect("readelf, of binutils, comes with every linker");
    assert!(readelf.status.success(), "{readelf:?}");
    let needed: BTreeSet<String> = String::from_utf8(readelf.stdout)
        .unwrap()
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .map(|line| line.split(['[', ']']).nth(1).unwrap().to_owned())
        .collect();
    // The C library and what Rust's own runtime takes of the compiler's. Not: libzfs, libzfs_core, libnvpair, libuutil, libblkid, libudev.
    let known = ["libc.so", "libm.so", "libgcc_s.so", "ld-linux", "libpthread.so", "libdl.so"];
    assert!(!needed.is_empty(), "the suite is linked statically: this test would see nothing");
    for library in &needed {
        assert!(known.iter().any(|known| library.starts_with(known)), "{needed:?}");
    }
}
