//! [`Batch`]: many volumes at once, each with its own result, in as few transaction groups as the kernel allows.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::event::VolumeEventKind::Snapshotted;
use super::snapshot::snapshot_name;
use super::{Node, VolumeEvent, VolumeInfo, VolumeName, VolumeSpec};
use crate::error::{Error, Failure, Result};
use crate::name::SnapshotName;
use crate::property::PropertySet;

const SNAPSHOT: &str = "snapshot the volume";

/// The kernel makes or clones one dataset a call, and each call waits for a transaction group to be synced. Calls made at the same time wait for
/// the same one, so many threads share it; more of them than this only wait for each other's locks.
const THREADS_DEFAULT: usize = 32;

/// Many volumes at once. Made by [`Node::batch`].
///
/// Every method gives one result an item, in the order of the items.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    node: &'a Node,
    threads: usize,
}

impl Node {
    /// To create, snapshot, clone or destroy many volumes.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch { node: self, threads: THREADS_DEFAULT }
    }
}

impl Batch<'_> {
    /// Makes at most so many calls at the same time, in place of 32.
    #[must_use]
    pub fn threads(mut self, most: NonZeroUsize) -> Self {
        self.threads = most.get();
        self
    }

    /// Creates volumes: [`Node::create`] for each, many at the same time, so that they share transaction groups.
    pub fn create(&self, items: &[(VolumeName, VolumeSpec)]) -> Vec<Result<VolumeInfo>> {
        self.each(items, |(name, spec)| self.node.create(name, spec))
    }

    /// Clones volumes, each from a volume or its snapshot to a new one: [`Node::clone_volume`] for each.
    pub fn clone_volumes(
        &self,
        items: &[(VolumeName, Option<String>, VolumeName)],
    ) -> Vec<Result<VolumeInfo>> {
        self.each(items, |(from, snapshot, to)| {
            self.node.clone_volume(from, snapshot.as_deref(), to)
        })
    }

    /// Destroys volumes with their snapshots: [`Node::destroy`] for each.
    pub fn destroy(&self, names: &[VolumeName]) -> Vec<Result<bool>> {
        self.each(names, |name| self.node.destroy(name))
    }

    /// Takes a snapshot of that name of each volume: all that can be taken in one transaction group, so of one moment.
    ///
    /// The kernel takes all or none; those it names as failing are left out, and the others asked for again.
    ///
    /// Issues `ZFS_IOC_SNAPSHOT` once, and once more after failures.
    pub fn snapshot(&self, names: &[VolumeName], snapshot: &str) -> Vec<Result<()>> {
        let full = self.each(names, |name| {
            let volume = self.node.owned(SNAPSHOT, name)?;
            snapshot_name(&volume, snapshot)
                .map_err(|error| error.with_operation(SNAPSHOT).with_target(name.as_str()))
        });
        let mut results: Vec<Result<()>> = Vec::with_capacity(names.len());
        let mut wanted: Vec<(usize, SnapshotName)> = Vec::with_capacity(names.len());
        for (index, name) in full.into_iter().enumerate() {
            results.push(name.map(|name| wanted.push((index, name))));
        }
        // Each round leaves out one name at least.
        while let Err(error) =
            self.node.zfs().snapshot(wanted.iter().map(|(_, name)| name), &PropertySet::new())
        {
            let failed: ByFailure<'_> =
                error.failures().iter().map(|one| (one.name.as_str(), one)).collect();
            let before = wanted.len();
            wanted.retain(|(index, name)| {
                let Some(why) = failed.get(name.as_str()) else { return true };
                if let (Some(result), Some(volume)) = (results.get_mut(*index), names.get(*index)) {
                    *result = Err(one_of(why).with_target(volume.as_str()));
                }
                false
            });
            if wanted.len() == before {
                for (index, _) in wanted.drain(..) {
                    if let (Some(result), Some(volume)) = (results.get_mut(index), names.get(index))
                    {
                        *result = Err(error
                            .clone()
                            .with_operation(SNAPSHOT)
                            .with_target(volume.as_str()));
                    }
                }
            }
        }
        for (name, result) in names.iter().zip(&results) {
            if result.is_ok() {
                self.node.tell(&VolumeEvent::new(name, Snapshotted(snapshot.to_owned())));
            }
        }
        results
    }

    /// Does it for each item, in several threads.
    fn each<I: Sync, T: Send>(
        &self,
        items: &[I],
        body: impl Fn(&I) -> Result<T> + Sync,
    ) -> Vec<Result<T>> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(items.len()));
        let work = || {
            while let Some((index, item)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                items.get(index).map(|item| (index, item))
            } {
                let result = body(item);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
            }
        };
        thread::scope(|scope| {
            // This thread works too, so that all is done even where no thread can be started.
            let others = self.threads.min(items.len()).saturating_sub(1);
            for _ in 0..others {
                let started =
                    thread::Builder::new().name("zfsvol-batch".into()).spawn_scoped(scope, work);
                if started.is_err() {
                    break;
                }
            }
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_unstable_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

type ByFailure<'a> = std::collections::BTreeMap<&'a str, &'a Failure>;

/// The failure of one name of a batch, as an error of its own.
fn one_of(failure: &Failure) -> Error {
    Error::new(failure.kind, SNAPSHOT, failure.reason.clone())
        .with_errno(failure.errno)
        .with_busy(failure.busy.clone())
}
