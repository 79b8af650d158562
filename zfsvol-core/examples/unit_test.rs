//! How the author of an orchestrator tests code that uses zfsvol: on the embedded kernel, with no root and no ZFS, in milliseconds.
//!
//!     cargo test -p zfsvol-core --example unit_test
//!     cargo run -p zfsvol-core --example unit_test
//!
//! The code under test is [`back_up`]: a snapshot of each volume, and what to do when the pool is full. That a pool is full is hard to bring
//! about, and just at the third snapshot harder still. [`Fault`](zfsvol_core::kernel::Fault) has it happen there; the tests at the end say what
//! becomes of it. Nothing in `back_up` knows which kernel it talks to.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use zfsvol_core::property::{DatasetTypes, PropertySet};
use zfsvol_core::zfs::{Destroy, List};
use zfsvol_core::{Bytes, DatasetName, ErrorKind, Result, SnapshotName, Zfs};

/// What a round of backups did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Round {
    /// Snapshots that were taken.
    taken: Vec<SnapshotName>,
    /// Old ones that had to go before there was room.
    given_up: Vec<SnapshotName>,
    /// Volumes that have none of this round, because there was no room even then.
    left_out: Vec<DatasetName>,
}

/// Snapshots each volume. Where there is no room the volume's oldest snapshot goes, once; the last one it has is never given up.
fn back_up(zfs: &Zfs, volumes: &[DatasetName], round: &str) -> Result<Round> {
    let mut done = Round::default();
    for volume in volumes {
        let snapshot = volume.snapshot(round)?;
        let mut taken = zfs.snapshot([&snapshot], &PropertySet::new());
        if is_no_space(&taken) {
            if let Some(oldest) = oldest_but_one(zfs, volume)? {
                zfs.destroy_snapshots([&oldest], Destroy::Now)?;
                done.given_up.push(oldest);
                taken = zfs.snapshot([&snapshot], &PropertySet::new());
            }
        }
        match taken {
            Ok(()) => done.taken.push(snapshot),
            // The others are backed up all the same.
            refused if is_no_space(&refused) => done.left_out.push(volume.clone()),
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn is_no_space(outcome: &Result<()>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::NoSpace)
}

/// The oldest snapshot of a volume that has another.
fn oldest_but_one(zfs: &Zfs, volume: &DatasetName) -> Result<Option<SnapshotName>> {
    let list = List::from(volume.clone()).depth(1).types(DatasetTypes::SNAPSHOT);
    let mut found = zfs.list_all(&list)?;
    found.sort_by_key(|snapshot| snapshot.createtxg);
    match found.as_slice() {
        [oldest, _, ..] => Ok(Some(oldest.name.as_str().parse()?)),
        _ => Ok(None),
    }
}

/// Three volumes, each with two snapshots.
fn three_volumes(zfs: &Zfs) -> Result<Vec<DatasetName>> {
    let mut volumes = Vec::new();
    for name in ["tank/db", "tank/mail", "tank/web"] {
        let volume: DatasetName = name.parse()?;
        zfs.create_zvol(&volume, Bytes::from_gib(1), &PropertySet::new())?;
        volumes.push(volume);
    }
    for round in ["monday", "tuesday"] {
        back_up(zfs, &volumes, round)?;
    }
    Ok(volumes)
}

fn main() -> Result<()> {
    let zfs = Zfs::embedded();
    let volumes = three_volumes(&zfs)?;
    println!("{:#?}", back_up(&zfs, &volumes, "wednesday")?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zfsvol_core::kernel::{Errno, Fault, FaultRule, Ioc};

    use super::*;

    /// The same pool through a door behind which the third snapshot, and as many after it as that, find no room.
    fn full_at_the_third_snapshot(zfs: &Zfs, times: u64) -> Zfs {
        let rule = FaultRule::new(Errno::ENOSPC).ioc(Ioc::SNAPSHOT).skip(2).times(times);
        Zfs::from_shared(Arc::new(Fault::new(Arc::clone(zfs.kernel())).rule(rule)))
    }

    fn names(snapshots: &[SnapshotName]) -> Vec<&str> {
        snapshots.iter().map(SnapshotName::as_str).collect()
    }

    #[test]
    fn every_volume_gets_a_snapshot() {
        let zfs = Zfs::embedded();
        let volumes = three_volumes(&zfs).unwrap();
        let round = back_up(&zfs, &volumes, "wednesday").unwrap();
        assert_eq!(
            names(&round.taken),
            ["tank/db@wednesday", "tank/mail@wednesday", "tank/web@wednesday"]
        );
        assert!(round.given_up.is_empty() && round.left_out.is_empty());
    }

    #[test]
    fn without_room_the_oldest_snapshot_is_given_up() {
        let zfs = Zfs::embedded();
        let volumes = three_volumes(&zfs).unwrap();
        let round = back_up(&full_at_the_third_snapshot(&zfs, 1), &volumes, "wednesday").unwrap();
        assert_eq!(names(&round.given_up), ["tank/web@monday"]);
        assert_eq!(names(&round.taken).last(), Some(&"tank/web@wednesday"));
        // The kernel behind the door is the same: what was given up is gone there, and only that.
        assert!(!zfs.exists(&volumes[2].snapshot("monday").unwrap()).unwrap());
        assert!(zfs.exists(&volumes[2].snapshot("tuesday").unwrap()).unwrap());
        assert!(zfs.exists(&volumes[0].snapshot("monday").unwrap()).unwrap());
    }

    #[test]
    fn the_last_snapshot_is_never_given_up_and_the_others_are_backed_up() {
        let zfs = Zfs::embedded();
        let mut volumes = three_volumes(&zfs).unwrap();
        let monday = volumes[2].snapshot("monday").unwrap();
        zfs.destroy_snapshots([&monday], Destroy::Now).unwrap();
        volumes.push("tank/extra".parse().unwrap());
        zfs.create_zvol(&volumes[3], Bytes::from_mib(1), &PropertySet::new()).unwrap();
        let round = back_up(&full_at_the_third_snapshot(&zfs, 1), &volumes, "wednesday").unwrap();
        assert_eq!(round.left_out, ["tank/web".parse::<DatasetName>().unwrap()]);
        assert_eq!(names(&round.taken).last(), Some(&"tank/extra@wednesday"));
        assert!(zfs.exists(&volumes[2].snapshot("tuesday").unwrap()).unwrap());
    }

    #[test]
    fn any_other_failure_is_passed_on() {
        let zfs = Zfs::embedded();
        let error = back_up(&zfs, &["tank/none".parse().unwrap()], "now").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
