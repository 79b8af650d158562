//! A contender of `make bench-peers`: zfsvol from Rust.

mod push;

use std::fs::File;
use std::io;
use std::process::ExitCode;

use zfsvol_benches::{Item, Job, Outcome, contend, stream_path};
use zfsvol_core::property::{DatasetTypes, PropertySet};
use zfsvol_core::stream::Tee;
use zfsvol_core::zfs::{Destroy, List, ReceiveOptions, SendOptions};
use zfsvol_core::{DatasetName, SnapshotName, Zfs};

const SEVEN: [&str; 7] =
    ["used", "available", "referenced", "mountpoint", "compression", "quota", "creation"];

const ITEMS: &[Item<Zfs>] = &[
    ("create", |zfs, job| job.each(|name| create(zfs, &name))),
    ("create-many", |zfs, job| job.each_at_once(|name| create(zfs, &name))),
    ("exists", |zfs, job| {
        job.each(|name| there(zfs.exists(&name.parse::<DatasetName>()?)?.then_some(())))
    }),
    ("get-property", |zfs, job| {
        job.each(|name| there(zfs.property(&name.parse::<DatasetName>()?, "used")?))
    }),
    ("set-property", |zfs, job| {
        let note = PropertySet::new().with("bench:note", "x")?;
        job.each(|name| Ok(zfs.set_properties(&name.parse::<DatasetName>()?, &note)?))
    }),
    ("list-names", |zfs, job| below(zfs.list_names(&List::from(job.parent.parse()?)))),
    ("list-properties", |zfs, job| {
        below(zfs.list(&List::from(job.parent.parse()?).properties(SEVEN)))
    }),
    ("list-snapshots", |zfs, job| {
        let snapshots = List::from(job.parent.parse()?).types(DatasetTypes::SNAPSHOT);
        let mut found = 0;
        for name in zfs.list_names(&snapshots) {
            name?;
            found += 1;
        }
        Ok(found)
    }),
    ("snapshot-all", |zfs, job| {
        zfs.snapshot(&snapshots(job, "b")?, &PropertySet::new())?;
        Ok(job.count)
    }),
    ("destroy-snapshots-all", |zfs, job| {
        zfs.destroy_snapshots(&snapshots(job, "b")?, Destroy::Now)?;
        Ok(job.count)
    }),
    ("snapshot", |zfs, job| {
        job.each(|name| Ok(zfs.snapshot([&snapshot(&name)?], &PropertySet::new())?))
    }),
    ("hold", |zfs, job| {
        job.each(|name| {
            zfs.hold(&[(snapshot(&name)?, "bench")], None)?;
            Ok(())
        })
    }),
    ("release", |zfs, job| {
        job.each(|name| {
            zfs.release(&[(snapshot(&name)?, "bench")])?;
            Ok(())
        })
    }),
    ("destroy-snapshots", |zfs, job| {
        job.each(|name| Ok(zfs.destroy_snapshots([&snapshot(&name)?], Destroy::Now)?))
    }),
    ("destroy", |zfs, job| job.each(|name| Ok(zfs.destroy(&name.parse()?)?))),
    ("destroy-all", |zfs, job| {
        zfs.destroy_recursive(&job.parent.parse()?)?;
        Ok(job.count)
    }),
    ("send", |zfs, job| job.each(|name| send(zfs, &snapshot(&name)?, &SendOptions::full()))),
    ("send-incremental", |zfs, job| {
        job.each(|name| {
            let since = SendOptions::since(snapshot(&name)?);
            send(zfs, &name.parse::<DatasetName>()?.snapshot("b")?, &since)
        })
    }),
    ("send-read", |zfs, job| {
        job.each(|name| {
            let mut stream = zfs.send(&snapshot(&name)?, &SendOptions::full())?;
            io::copy(&mut stream, &mut File::create(stream_path()?)?)?;
            Ok(())
        })
    }),
    ("send-verified", |zfs, job| {
        job.each(|name| {
            let mut stream = Tee::new(zfs.send(&snapshot(&name)?, &SendOptions::full())?);
            io::copy(&mut stream, &mut File::create(stream_path()?)?)?;
            stream.finish()?;
            Ok(())
        })
    }),
    ("receive", |zfs, job| {
        job.each(|name| {
            let taking = zfs.receive(&snapshot(&name)?, &ReceiveOptions::new())?;
            taking.read_from_fd(File::open(stream_path()?)?)?.wait()?;
            Ok(())
        })
    }),
    ("push-prepare", push::prepare),
    ("push", push::push),
    ("push-clean", push::clean),
    ("write", push::write),
];

fn main() -> ExitCode {
    contend(|| Ok(Zfs::open()?), ITEMS)
}

fn create(zfs: &Zfs, name: &str) -> Outcome<()> {
    Ok(zfs.create_filesystem(&name.parse()?, &PropertySet::new())?)
}

fn send(zfs: &Zfs, what: &SnapshotName, options: &SendOptions) -> Outcome<()> {
    zfs.send(what, options)?.write_to_fd(File::create(stream_path()?)?)?.wait()?;
    Ok(())
}

fn snapshot(volume: &str) -> Outcome<SnapshotName> {
    Ok(volume.parse::<DatasetName>()?.snapshot("a")?)
}

fn snapshots(job: &Job, name: &str) -> Outcome<Vec<SnapshotName>> {
    job.volumes().map(|volume| Ok(volume.parse::<DatasetName>()?.snapshot(name)?)).collect()
}

fn there<T>(found: Option<T>) -> Outcome<()> {
    found.map(drop).ok_or_else(|| "it is not there".into())
}

/// How many a listing has beside its root.
fn below<T>(listing: impl Iterator<Item = zfsvol_core::error::Result<T>>) -> Outcome<usize> {
    let mut found = 0_usize;
    for one in listing {
        one?;
        found += 1;
    }
    Ok(found.saturating_sub(1))
}
