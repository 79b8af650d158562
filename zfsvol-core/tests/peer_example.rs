//! The examples of peers in two processes, run as a user runs them: a volume moves, and what is read back there is what was written here.
//!
//! `cargo test` builds the examples too; with `--test peer_example` alone, `cargo build --examples` is yours to do.

#![expect(clippy::expect_used, reason = "a test asserts")]
#![expect(clippy::disallowed_methods, reason = "runs the examples, to see how they end")]

use std::path::Path;
use std::process::Command;

/// What an example says on standard error, once it has ended well.
fn demo(example: &str) -> String {
    // The test is in `deps`, beside `examples`.
    let test = std::env::current_exe().expect("a path");
    let folder = test.parent().and_then(Path::parent).expect("a folder").join("examples");
    let built = folder.join(example);
    assert!(built.exists(), "{} is not built", built.display());
    let output = Command::new(built).output().expect("the example runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert_eq!(output.stdout, b"");
    said
}

/// What is told of the content: once where it was written, once where it was read back.
fn assert_moved(said: &str) {
    let sums: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once("'demo:db' has the checksum ").map(|(_, sum)| sum))
        .collect();
    assert!(matches!(sums.as_slice(), [here, there] if here == there), "{said}");
    for what in ["create", "push", "check", "hand over", "received", "served"] {
        assert!(said.contains(what), "'{what}' is missing:\n{said}");
    }
}

#[test]
fn a_volume_moves_over_standard_input_and_output() {
    assert_moved(&demo("stdio"));
}

#[test]
fn a_volume_moves_over_tcp_with_tls() {
    let said = demo("tls");
    assert_moved(&said);
    // Who says to be another node, and who has a certificate that somebody else made: both are told that they are not let in, and so is the user.
    let told = |what: &str| said.lines().filter(|line| line.trim_start().starts_with(what)).count();
    assert_eq!((told("refused"), told("there:  refused")), (2, 2), "{said}");
    for reason in ["it is not the node", "invalid peer certificate"] {
        let is_told = |line: &str| line.contains("there:  refused") && line.contains(reason);
        assert!(said.lines().any(is_told), "'{reason}' is missing:\n{said}");
    }
}
