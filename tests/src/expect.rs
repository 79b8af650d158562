//! What every area says in its own words: that a call was refused, and the small datasets cases begin with.

use std::fmt::Debug;
use std::io::{Read as _, Write as _};
use std::sync::Barrier;
use std::thread;

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{ReceiveOptions, Received, SendOptions};
use zfsvol_core::{Bytes, DatasetName, Error, ErrorKind, SnapshotName};

use crate::World;

/// The error of a call that must be refused with that kind.
#[track_caller]
pub fn refused<T: Debug>(outcome: Result<T, Error>, kind: ErrorKind) -> Error {
    match outcome {
        Ok(value) => panic!("done, and not refused with {kind:?}: {value:?}"),
        Err(error) => {
            assert_eq!(error.kind(), kind, "{error}");
            error
        }
    }
}

/// Names and kinds of the failures of a batch, in the order of names.
pub fn failures(error: &Error) -> Vec<(&str, ErrorKind)> {
    error.failures().iter().map(|failure| (failure.name.as_str(), failure.kind)).collect()
}

/// No properties.
pub fn plain() -> PropertySet {
    PropertySet::new()
}

/// A file system `name` below the case's dataset.
#[track_caller]
pub fn file_system(world: &World, name: &str) -> DatasetName {
    let dataset = world.root().child(name).expect("a name");
    world.zfs().create_filesystem(&dataset, &plain()).expect("a file system");
    dataset
}

/// A sparse zvol `name` below the case's dataset.
#[track_caller]
pub fn zvol(world: &World, name: &str, size: Bytes) -> DatasetName {
    let dataset = world.root().child(name).expect("a name");
    world.zfs().create_zvol(&dataset, size, &plain()).expect("a zvol");
    dataset
}

/// A snapshot `name` of a dataset.
#[track_caller]
pub fn snapshot(world: &World, dataset: &DatasetName, name: &str) -> SnapshotName {
    let snapshot = dataset.snapshot(name).expect("a name");
    world.zfs().snapshot([&snapshot], &plain()).expect("a snapshot");
    snapshot
}

/// The whole stream of a snapshot.
#[track_caller]
pub fn send_all(world: &World, snapshot: &SnapshotName, options: &SendOptions) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = world.zfs().send(snapshot, options).expect("a stream");
    stream.read_to_end(&mut bytes).expect("all of it");
    bytes
}

/// Receives bytes. What the kernel refuses is the same error whether it comes from writing or from finishing.
///
/// # Errors
/// As [`finish`](zfsvol_core::zfs::ReceiveStream::finish).
#[track_caller]
pub fn receive_all(
    world: &World,
    to: &SnapshotName,
    options: &ReceiveOptions,
    bytes: &[u8],
) -> Result<Received, Error> {
    let mut receive = world.zfs().receive(to, options)?;
    match receive.write_all(bytes) {
        Ok(()) => receive.finish(),
        Err(error) => {
            let inside = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
            let inside = inside.unwrap_or_else(|| panic!("no error of zfsvol: {error}")).clone();
            let finished = receive.finish().expect_err("it was refused");
            assert_eq!(finished.to_string(), inside.to_string());
            Err(inside)
        }
    }
}

/// Runs `body` in that many threads, which begin at the same time, each with its number; returns what they returned.
pub fn at_once<T: Send>(threads: usize, body: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (barrier, body) = (&barrier, &body);
                scope.spawn(move || {
                    barrier.wait();
                    body(number)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("a thread of the case")).collect()
    })
}
