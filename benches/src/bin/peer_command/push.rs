//! A push of many volumes, most of which have not changed, as a careful script does it: three listings say which have, and which the other side has; for each of those
//! a snapshot, an increment, and the older snapshots go.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use zfsvol_benches::{Job, Outcome};

use crate::{output, succeeded, zfs};

/// Volumes that both sides have.
pub(crate) fn prepare(job: &Job) -> Outcome<usize> {
    let (one, two) = (place(job, "one"), place(job, "two"));
    zfs(&["create", &one])?;
    Job { parent: one.clone(), ..job.clone() }.each_at_once(|name| zfs(&["create", &name]))?;
    let first = format!("{one}@p0");
    zfs(&["snapshot", "-r", &first])?;
    pass(&["send", "-R", &first], &["receive", "-u", &two])?;
    Ok(job.count)
}

/// Brings every volume up to date.
pub(crate) fn push(job: &Job) -> Outcome<usize> {
    let (one, two) = (place(job, "one"), place(job, "two"));
    let written = output(&["list", "-H", "-p", "-r", "-o", "name,written", &one])?;
    let written: BTreeMap<&str, &str> = pairs(&written).collect();
    let ours = snapshots(&one)?;
    let theirs = snapshots(&two)?;
    let newest: BTreeMap<&str, (&str, &str)> = pairs(&ours)
        .filter_map(|(snapshot, guid)| snapshot.split_once('@').map(|(of, at)| (of, (at, guid))))
        .collect();
    let there: BTreeSet<&str> = pairs(&theirs).map(|(_, guid)| guid).collect();
    Job { parent: one, ..job.clone() }.each(|name| {
        let &(base, guid) = newest.get(name.as_str()).ok_or("it has no snapshot")?;
        if written.get(name.as_str()) == Some(&"0") && there.contains(guid) {
            return Ok(());
        }
        let copy = format!("{two}/{}", name.rsplit('/').next().unwrap_or_default());
        increment(&name, &copy, base)
    })
}

/// Sends what is new since `base`, of which nothing is left then.
fn increment(name: &str, copy: &str, base: &str) -> Outcome<()> {
    let number: u64 = base.trim_start_matches('p').parse()?;
    let new = format!("{name}@p{}", number + 1);
    let old = format!("{name}@{base}");
    zfs(&["snapshot", &new])?;
    pass(&["send", "-i", &old, &new], &["receive", "-u", copy])?;
    zfs(&["destroy", &old])?;
    zfs(&["destroy", &format!("{copy}@{base}")])
}

fn place(job: &Job, name: &str) -> String {
    format!("{}/{name}", job.parent)
}

/// Names and GUIDs, the newest of each dataset last.
fn snapshots(root: &str) -> Outcome<String> {
    output(&[
        "list",
        "-H",
        "-p",
        "-r",
        "-t",
        "snapshot",
        "-s",
        "createtxg",
        "-o",
        "name,guid",
        root,
    ])
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| line.split_once('\t'))
}

/// Has one `zfs` write what another reads.
fn pass(from: &[&str], to: &[&str]) -> Outcome<()> {
    let mut sending = Command::new("zfs").args(from).stdout(Stdio::piped()).spawn()?;
    let stream = sending.stdout.take().ok_or("it has no output")?;
    let received = Command::new("zfs").args(to).stdin(stream).status()?;
    succeeded(from, sending.wait()?)?;
    succeeded(to, received)
}
