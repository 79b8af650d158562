//! Rules of the house that no lint can check: one place that calls ioctl(2), no program run and nothing printed by the library, no
//! OpenZFS library linked.

#![expect(clippy::expect_used, reason = "a test asserts")]
#![expect(clippy::disallowed_methods, reason = "runs ldd, to see what is linked")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages that ship: what a program embeds, but for their unit tests.
const LIBRARY: &[&str] = &["zfsvol-core/src", "zfsvol-ffi/src"];

/// Everything with Rust in it.
const WORKSPACE: &[&str] = &["zfsvol-core", "zfsvol-ffi", "tests", "benches", "bindings"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Every Rust file below `folder`, but for what was built, and for folders of unit tests inside a source.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        let tests = path.ends_with("tests") && path.parent().is_some_and(is_module);
        if path.is_dir() && !path.ends_with("target") && !tests {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Whether the folder is a module, not a package or its `src`.
fn is_module(folder: &Path) -> bool {
    folder.join("mod.rs").exists()
}

/// `file:line` of each line of code (comments and documentation are none) that has one of the words in it.
fn lines_with(folders: &[&str], words: &[&str]) -> Vec<String> {
    let root = workspace();
    let files: Vec<PathBuf> =
        folders.iter().flat_map(|folder| rust_files(&root.join(folder))).collect();
    assert!(files.len() > 10, "only {} files found below {}", files.len(), root.display());
    let this = Path::new(file!()).file_name().expect("a name");
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.file_name() != Some(this)) {
        let text = fs::read_to_string(file).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                let file = file.strip_prefix(&root).expect("below the workspace").display();
                found.push(format!("{file}:{}", number + 1));
            }
        }
    }
    found
}

#[test]
fn there_is_one_call_of_ioctl() {
    let calls = lines_with(
        WORKSPACE,
        &["libc::ioctl", "SYS_ioctl", "nix::sys::ioctl", "ioctl_read", "ioctl_write", "ioctl_none"],
    );
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(
        calls.iter().all(|call| call.starts_with("zfsvol-core/src/kernel/dev.rs:")),
        "{calls:?}"
    );
}

#[test]
fn the_library_runs_no_program() {
    let calls = lines_with(
        LIBRARY,
        &[
            "process::Command",
            "Command::new",
            "libc::fork",
            "libc::exec",
            "posix_spawn",
            "unistd::fork",
            "unistd::exec",
            "libc::system",
            "libc::popen",
        ],
    );
    assert!(calls.is_empty(), "{calls:?}");
}

#[test]
fn the_library_prints_nothing() {
    let calls = lines_with(LIBRARY, &["println!", "print!(", "dbg!(", "io::stdout", "io::stderr"]);
    assert!(calls.is_empty(), "{calls:?}");
}

#[test]
fn no_library_of_openzfs_is_linked() {
    let test = std::env::current_exe().expect("this program");
    let deps = test.parent().expect("a folder");
    let profile = deps.parent().expect("a folder");
    let mut programs = vec![test.clone()];
    programs.extend(elf_files(&profile.join("examples")));
    programs.extend(elf_files(profile));
    for program in programs {
        let output = Command::new("ldd").arg(&program).output().expect("ldd runs");
        let linked = String::from_utf8_lossy(&output.stdout);
        for library in
            ["libzfs", "libnvpair", "libuutil", "libzpool", "libzutil", "libavl", "libspl"]
        {
            // Our own libzfsvol begins like one of theirs.
            let theirs = linked.lines().find(|line| {
                line.trim_start().starts_with(library)
                    && !line.trim_start().starts_with("libzfsvol")
            });
            assert_eq!(theirs, None, "{}", program.display());
        }
    }
}

/// Programs and shared libraries in `folder` itself.
fn elf_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_none_or(|extension| extension == "so"))
        .filter(|path| path.is_file() && starts_like_elf(path))
        .collect()
}

fn starts_like_elf(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut magic))
        .is_ok_and(|()| magic == *b"\x7fELF")
}
