//! What `make install` puts down: a C program is built with nothing but what `pkg-config` says: shared, with the library inside, and static.

#![expect(clippy::disallowed_methods, reason = "runs what a user runs")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test asserts")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{crate_dir, run, workspace};

fn pkg_config(prefix: &Path, arguments: &[&str]) -> Vec<String> {
    let output = run(Command::new("pkg-config")
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .args(arguments)
        .arg("zfsvol"));
    output.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_program_is_built_with_pkg_config_only() {
    if Command::new("pkg-config").arg("--version").output().is_err() {
        eprintln!("SKIPPED: a program built with pkg-config, which is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("usr");
    let deps = std::env::current_exe().unwrap();
    let target = deps.ancestors().nth(3).unwrap();
    run(Command::new(crate_dir().join("install"))
        .env("CARGO", env!("CARGO"))
        .env("TARGET_DIR", target)
        .env("PROFILE", "dev")
        .env("PREFIX", &prefix));

    let abi = zfsvol::version::ZFSVOL_ABI;
    let lib = prefix.join("lib");
    let soname = format!("libzfsvol.so.{abi}");
    for name in ["libzfsvol.so", soname.as_str(), "libzfsvol.a", "pkgconfig/zfsvol.pc"] {
        assert!(lib.join(name).exists(), "{name}");
    }
    let version = pkg_config(&prefix, &["--modversion"]);
    assert_eq!(version, [env!("CARGO_PKG_VERSION")]);

    let source = crate_dir().join("tests/c/foundation.c");
    let shared = folder.path().join("shared");
    run(Command::new("cc")
        .arg("-std=c99")
        .arg(&source)
        .args(pkg_config(&prefix, &["--cflags", "--libs"]))
        .arg("-o")
        .arg(&shared));
    run(Command::new(&shared).env("LD_LIBRARY_PATH", &lib));
    let linked = run(Command::new("ldd").arg(&shared).env("LD_LIBRARY_PATH", &lib));
    assert!(linked.contains(&soname), "{linked}");

    // Without the shared library the compiler takes the static one.
    for name in ["libzfsvol.so".to_owned(), soname.clone()] {
        fs::remove_file(lib.join(name)).unwrap();
    }
    let alone = folder.path().join("alone");
    run(Command::new("cc")
        .arg("-std=c99")
        .arg(&source)
        .args(pkg_config(&prefix, &["--cflags", "--libs", "--static"]))
        .arg("-o")
        .arg(&alone));
    run(&mut Command::new(&alone));
    let linked = run(Command::new("ldd").arg(&alone));
    assert!(!linked.contains("libzfsvol"), "{linked}");

    // And with no shared library at all. A linker warns of what looks up users and hosts.
    let whole = folder.path().join("static");
    run(Command::new("cc")
        .args(["-std=c99", "-static"])
        .arg(&source)
        .args(pkg_config(&prefix, &["--cflags", "--libs", "--static"]))
        .arg("-o")
        .arg(&whole));
    run(&mut Command::new(&whole));
    let linked = Command::new("ldd").arg(&whole).output().unwrap();
    assert!(!linked.status.success(), "{}", String::from_utf8_lossy(&linked.stdout));
    assert!(workspace().join("include/zfsvol.h").exists());
}
