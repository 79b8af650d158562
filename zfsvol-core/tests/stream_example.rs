//! The example `stream`, run as a user runs it: what it prints, and how it ends.
//!
//! `cargo test` builds the examples too; with `--test stream_example` alone, `cargo build --example stream` is yours to do.

#![expect(clippy::expect_used, reason = "a test asserts")]
#![expect(clippy::disallowed_methods, reason = "runs the example, to see how it ends")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn example() -> PathBuf {
    // The test is in `deps`, beside `examples`.
    let test = std::env::current_exe().expect("a path");
    let built = test.parent().and_then(Path::parent).expect("a folder").join("examples/stream");
    assert!(built.exists(), "{} is not built", built.display());
    built
}

fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stream");
    root.join(name)
}

fn stream(arguments: &[&str]) -> Output {
    Command::new(example()).args(arguments).output().expect("the example runs")
}

fn stream_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(example())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    // It need not read all of what is damaged.
    let _ = pipe.write_all(input);
    drop(pipe);
    child.wait_with_output().expect("the example ends")
}

/// Exit status, standard output, standard error.
fn parts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_sound_stream_ends_with_0() {
    let file = fixture("2.3/package.zfs");
    let (status, out, err) = parts(&stream(&["verify", path(&file)]));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("sound\n\tsnapshot  t/tree@b\n"), "{out}");
    assert!(out.contains("\tstreams   6\n"), "{out}");
    let bytes = fs::read(&file).expect("the fixture");
    let (status, piped, _) = parts(&stream_with_input(&["verify", "-"], &bytes));
    assert_eq!((status, piped), (Some(0), out));
    let (_, out, _) = parts(&stream(&["--json", "verify", path(&file)]));
    assert_eq!(json(&out)["sound"], true);
    assert_eq!(json(&out)["summary"]["bytes"], bytes.len());
}

#[test]
fn a_damaged_stream_ends_with_1_and_says_where() {
    let mut bytes = fs::read(fixture("2.3/full.zfs")).expect("the fixture");
    bytes[70_000] ^= 1;
    for command in ["verify", "dump"] {
        let (status, out, err) = parts(&stream_with_input(&[command, "-"], &bytes));
        assert_eq!(status, Some(1), "{command}: {err}");
        assert!(err.starts_with("stream: the stream is damaged at record "), "{err}");
        assert!(err.contains("wrong checksum of the record: expected "), "{err}");
        assert_eq!(out.is_empty(), command == "verify", "{out}");
    }
    let (status, out, err) = parts(&stream_with_input(&["verify", "-", "--json"], &bytes));
    let value = json(&out);
    assert_eq!((status, &value["sound"]), (Some(1), &json("false")));
    assert!(value["at"].as_u64().is_some_and(|at| at > 60_000), "{value}");
    assert!(err.contains(value["problem"].as_str().expect("text")), "{err}");
    let (status, _, err) = parts(&stream_with_input(&["verify", "-"], &bytes[..1000]));
    assert_eq!(status, Some(1));
    assert!(err.contains("the input ends: "), "{err}");
}

#[test]
fn what_cannot_be_read_ends_with_2() {
    let (status, out, err) = parts(&stream(&["verify", "/nowhere/stream.zfs"]));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert_eq!(
        err,
        "stream: cannot open '/nowhere/stream.zfs': No such file or directory (os error 2)\n"
    );
    let folder = env!("CARGO_MANIFEST_DIR");
    let (status, _, err) = parts(&stream(&["verify", folder]));
    assert_eq!(status, Some(2), "{err}");
    assert_eq!(stream(&["verify"]).status.code(), Some(2));
    assert_eq!(stream(&[]).status.code(), Some(2));
}

#[test]
fn a_dump_is_for_people_or_for_programs() {
    let file = fixture("2.3/package_many.zfs");
    let (status, out, _) = parts(&stream(&["dump", path(&file)]));
    assert_eq!(status, Some(0));
    assert!(out.starts_with("BEGIN record\n\thdrtype = 2\n"), "{out}");
    assert!(out.contains("\nOBJECT object = "), "{out}");
    let (status, out, _) = parts(&stream(&["dump", "--json", path(&file)]));
    assert_eq!(status, Some(0));
    let lines: Vec<_> = out.lines().map(json).collect();
    let (summary, records) = lines.split_last().expect("lines");
    assert_eq!(records[0]["record"], "BEGIN");
    assert!(records.iter().any(|record| record["record"] == "FREEOBJECTS"));
    let counts = summary["summary"]["counts"].as_object().expect("counts").values();
    let counted: u64 = counts.map(|count| count["records"].as_u64().expect("a number")).sum();
    assert_eq!(records.len() as u64, counted);
}

#[test]
fn a_token_is_told_and_a_damaged_one_refused() {
    let text = fs::read_to_string(fixture("2.3/resumed.token")).expect("the fixture");
    let text = text.trim();
    let (status, out, _) = parts(&stream(&["token", text]));
    assert_eq!(status, Some(0));
    assert!(out.starts_with("snapshot  t/long@a (GUID "), "{out}");
    let (status, out, _) = parts(&stream(&["token", "--json", text]));
    assert_eq!((status, &json(&out)["to_name"]), (Some(0), &json("\"t/long@a\"")));
    let (status, _, err) = parts(&stream(&["token", &text.replace('7', "8")]));
    assert_eq!(status, Some(1));
    assert!(err.starts_with("stream: the resume token is damaged: "), "{err}");
}

#[test]
fn a_zvol_is_extracted_and_half_a_one_is_not_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = folder.path().join("disk");
    let (full, increment) = (fixture("2.3/volume.zfs"), fixture("2.3/volume_incremental.zfs"));
    let arguments = ["extract", path(&full), path(&increment), "--to", path(&disk)];
    let (status, out, err) = parts(&stream(&arguments));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.contains(": 256K, "), "{out}");
    assert_eq!(
        File::open(&disk).and_then(|file| file.metadata()).expect("a disk").len(),
        256 << 10
    );
    let (status, _, err) = parts(&stream(&arguments));
    assert_eq!(status, Some(2), "what is there is not overwritten: {err}");
    let other = folder.path().join("other");
    let (status, _, err) = parts(&stream(&["extract", path(&increment), "--to", path(&other)]));
    assert_eq!(status, Some(1), "{err}");
    assert!(err.contains("it is of another snapshot"), "{err}");
    assert!(!other.exists());
}

#[test]
fn files_are_listed_and_one_extracted() {
    let folder = tempfile::tempdir().expect("a folder");
    let streams = [fixture("2.3/full.zfs"), fixture("2.3/incremental.zfs")];
    let [full, increment] = streams.each_ref().map(|stream| path(stream));
    let (status, out, err) = parts(&stream(&["list", full, increment]));
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.contains("\n- 0644         9000 folder/new\n"), "{out}");
    assert!(out.contains("\nl 0777            4 link -> text\n"), "{out}");
    let to = folder.path().join("new");
    let extract = |of| ["extract", full, increment, "--path", of, "--to", path(&to)];
    let (status, out, _) = parts(&stream(&extract("folder/new")));
    assert_eq!(status, Some(0), "{out}");
    assert_eq!(fs::read(&to).expect("a file").len(), 9000);
    let (status, _, err) = parts(&stream(&extract("folder/none")));
    assert_eq!((status, err.as_str()), (Some(2), "stream: there is no 'folder/none'\n"));
}
