//! A contender of `make bench-peers`: the command `zfs`, started for every operation, as programs do that parse what it prints.

#![expect(clippy::disallowed_methods, reason = "starting `zfs` is what it is about")]

mod push;

use std::fs::File;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use zfsvol_benches::{Item, Job, Outcome, contend, stream_path};

const SEVEN: &str = "used,available,referenced,mountpoint,compression,quota,creation";

const ITEMS: &[Item<()>] = &[
    ("create", |(), job| job.each(|name| zfs(&["create", &name]))),
    ("create-many", |(), job| job.each_at_once(|name| zfs(&["create", &name]))),
    ("exists", |(), job| job.each(|name| zfs(&["list", "-H", "-o", "name", &name]))),
    ("get-property", |(), job| {
        job.each(|name| zfs(&["get", "-H", "-p", "-o", "value", "used", &name]))
    }),
    ("set-property", |(), job| job.each(|name| zfs(&["set", "bench:note=x", &name]))),
    ("list-names", |(), job| below(job, &["list", "-H", "-r", "-o", "name"])),
    ("list-properties", |(), job| {
        below(job, &["list", "-H", "-p", "-r", "-o", &format!("name,{SEVEN}")])
    }),
    ("list-snapshots", |(), job| below(job, &["list", "-H", "-r", "-t", "snapshot", "-o", "name"])),
    ("snapshot-all", |(), job| {
        let names: Vec<String> = job.volumes().map(|name| format!("{name}@b")).collect();
        let mut arguments = vec!["snapshot"];
        arguments.extend(names.iter().map(String::as_str));
        zfs(&arguments)?;
        Ok(job.count)
    }),
    // It destroys snapshots of one dataset at a time, or those of one name of a whole tree.
    ("destroy-snapshots-all", |(), job| {
        zfs(&["destroy", "-r", &format!("{}@b", job.parent)])?;
        Ok(job.count)
    }),
    ("snapshot", |(), job| job.each(|name| zfs(&["snapshot", &snapshot(&name)]))),
    ("hold", |(), job| job.each(|name| zfs(&["hold", "bench", &snapshot(&name)]))),
    ("release", |(), job| job.each(|name| zfs(&["release", "bench", &snapshot(&name)]))),
    ("destroy-snapshots", |(), job| job.each(|name| zfs(&["destroy", &snapshot(&name)]))),
    ("destroy", |(), job| job.each(|name| zfs(&["destroy", &name]))),
    ("destroy-all", |(), job| {
        zfs(&["destroy", "-r", &job.parent])?;
        Ok(job.count)
    }),
    ("send", |(), job| job.each(|name| send(&["send", &snapshot(&name)]))),
    ("send-incremental", |(), job| {
        job.each(|name| send(&["send", "-i", &snapshot(&name), &format!("{name}@b")]))
    }),
    ("receive", |(), job| {
        job.each(|name| {
            let arguments = ["receive", &snapshot(&name)];
            let from = File::open(stream_path()?)?;
            succeeded(&arguments, Command::new("zfs").args(arguments).stdin(from).status()?)
        })
    }),
    ("push-prepare", |(), job| push::prepare(job)),
    ("push", |(), job| push::push(job)),
];

fn main() -> ExitCode {
    contend(|| Ok(()), ITEMS)
}

fn snapshot(volume: &str) -> String {
    format!("{volume}@a")
}

fn zfs(arguments: &[&str]) -> Outcome<()> {
    output(arguments).map(drop)
}

/// Has `zfs` write a stream.
fn send(arguments: &[&str]) -> Outcome<()> {
    let to = File::create(stream_path()?)?;
    succeeded(arguments, Command::new("zfs").args(arguments).stdout(to).status()?)
}

fn succeeded(arguments: &[&str], status: ExitStatus) -> Outcome<()> {
    if status.success() {
        return Ok(());
    }
    let shown = arguments.first().copied().unwrap_or_default();
    Err(format!("zfs {shown}: {status}").into())
}

/// What `zfs` prints; what it complains about goes to standard error.
fn output(arguments: &[&str]) -> Outcome<String> {
    let output = Command::new("zfs").args(arguments).stderr(Stdio::inherit()).output()?;
    succeeded(arguments, output.status)?;
    Ok(String::from_utf8(output.stdout)?)
}

/// How many lines it prints about what is below the parent.
fn below(job: &Job, arguments: &[&str]) -> Outcome<usize> {
    let mut arguments = arguments.to_vec();
    arguments.push(&job.parent);
    let below = format!("{}/", job.parent);
    Ok(output(&arguments)?.lines().filter(|line| line.starts_with(&below)).count())
}
