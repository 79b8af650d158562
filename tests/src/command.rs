//! The commands of OpenZFS, to look at the same pool from the other side. Only cases that declare
//! [`Need::Commands`](crate::Need::Commands) or [`Need::Pyzfs`](crate::Need::Pyzfs) may call these.

#![expect(
    clippy::disallowed_methods,
    reason = "cross-checks run the commands of OpenZFS; the library never does"
)]

use std::process::{Command, Output, Stdio};

/// Runs `zfs` with these arguments and returns what it printed, without the last newline.
///
/// # Panics
/// When it fails.
pub fn zfs(arguments: &[&str]) -> String {
    run("zfs", arguments)
}

/// Runs `zpool` with these arguments and returns what it printed, without the last newline.
///
/// # Panics
/// When it fails.
pub fn zpool(arguments: &[&str]) -> String {
    run("zpool", arguments)
}

/// Runs a Python program, with these arguments in `sys.argv[1:]`.
///
/// # Panics
/// When it fails.
pub fn python(program: &str, arguments: &[&str]) -> String {
    run("python3", &[&["-c", program], arguments].concat())
}

/// Runs a program and returns what it printed, without the last newline.
///
/// # Panics
/// When it fails.
pub fn run(program: &str, arguments: &[&str]) -> String {
    try_run(program, arguments).unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// The same, with a failure as text: the command, its status, and what it complained of.
///
/// # Errors
/// When it cannot be started or its status is not 0.
pub fn try_run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let command = format!("{program} {}", arguments.join(" "));
    let Output { status, stdout, stderr } = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{command}: {error}"))?;
    if status.success() {
        Ok(String::from_utf8_lossy(&stdout).trim_end_matches('\n').to_owned())
    } else {
        Err(format!("{command}: {status}: {}", String::from_utf8_lossy(&stderr).trim_end()))
    }
}

/// Whether a program is found in `PATH`.
pub fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Whether Python knows OpenZFS's bindings.
pub fn has_pyzfs() -> bool {
    try_run("python3", &["-c", "import libzfs_core"]).is_ok()
}
