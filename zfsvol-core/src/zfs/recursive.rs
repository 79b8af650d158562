//! Whole trees: snapshot or destroy a dataset and all that is below it, atomically where the kernel can.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Zfs;
use super::call::Operation;
use super::canned;
use super::program::Program;
use super::snapshot::Destroy;
use super::walk::Entry;
use crate::error::{BusyReason, Error, ErrorKind, Failure, Result};
use crate::kernel::{Cmd, Errno, Ioc, ObjsetStats, UnmountFlags};
use crate::name::{DatasetName, SnapshotName};
use crate::nvlist::{NvList, Value};
use crate::property::PropertySet;

const SNAPSHOT_TREE: Operation = Operation::new(Ioc::SNAPSHOT, "snapshot, with all that is below,");
const DESTROY_TREE: Operation = Operation::new(Ioc::DESTROY, "destroy, with all that is below,");

/// How often a tree that changes under our hands is listed anew. Where datasets come and go all the time, about every other listing is out of date
/// before it is used (seen on an emulated processor), so 8 were too few.
const ATTEMPTS_MAX: u32 = 64;

/// How many datasets and snapshots one program is given: far below its memory limit, and a transaction group it does not hold up for long.
const PROGRAM_NAMES_MAX: usize = 20_000;

/// How a tree was destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeDestroyed {
    /// All of it in one transaction group: nobody saw a part of it.
    AtOnce,
    /// One by one, because the caller may not run channel programs or the tree is too large for one.
    OneByOne,
    /// There was no such dataset.
    Absent,
}

impl Zfs {
    /// Snapshots `root` and every dataset below it, in one transaction group, and returns the names made.
    ///
    /// Datasets that come or go while the tree is listed are taken care of by listing it anew. What is created between the
    /// listing and the snapshot has none, as with `zfs snapshot -r`.
    ///
    /// Issues `ZFS_IOC_DATASET_LIST_NEXT` for each dataset, and `ZFS_IOC_SNAPSHOT` once; on disk when it returns.
    ///
    /// # Errors
    /// As [`Zfs::snapshot`].
    pub fn snapshot_recursive(
        &self,
        root: &DatasetName,
        snapshot: &str,
        properties: &PropertySet,
    ) -> Result<Vec<SnapshotName>> {
        // The name itself first: its error is clearer than that of one deep below.
        root.snapshot(snapshot)?;
        let mut attempt = 1;
        loop {
            let names = self
                .tree(root)
                .map_err(|error| error.with_operation(SNAPSHOT_TREE.verb))?
                .into_iter()
                .map(|name| Ok(name.parse::<DatasetName>()?.snapshot(snapshot)?))
                .collect::<Result<Vec<_>>>()?;
            match self.snapshot(&names, properties) {
                Ok(()) => return Ok(names),
                // Destroyed since it was listed; `root` itself is looked for by `tree`.
                Err(error) if only_vanished(&error) && attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Destroys the snapshots of that name of `root` and every dataset below it, in one transaction group. Those that have none are passed over.
    ///
    /// Issues `ZFS_IOC_DATASET_LIST_NEXT` for each dataset, and `ZFS_IOC_DESTROY_SNAPS` once; on disk when it returns.
    ///
    /// # Errors
    /// As [`Zfs::destroy_snapshots`].
    pub fn destroy_snapshots_recursive(
        &self,
        root: &DatasetName,
        snapshot: &str,
        how: Destroy,
    ) -> Result<()> {
        let names = self
            .tree(root)
            .map_err(|error| error.with_operation("destroy the snapshots of"))?
            .into_iter()
            .map(|name| Ok(name.parse::<DatasetName>()?.snapshot(snapshot)?))
            .collect::<Result<Vec<_>>>()?;
        self.destroy_snapshots(&names, how)
    }

    /// Destroys `root`, everything below it, and all their snapshots and bookmarks.
    ///
    /// What would keep any of it from going is looked for first: a hold, a clone outside the tree, a mount. So it is not begun when it
    /// cannot be finished, unless that comes up in between. Clones within the tree go with it.
    ///
    /// Root has it done by one channel program, in one transaction group (`ZFS_IOC_CHANNEL_PROGRAM`). Others, and trees of more than some thousand
    /// datasets and snapshots, have it done one by one (`ZFS_IOC_DESTROY_SNAPS`, `ZFS_IOC_DESTROY`). The outcome says which.
    ///
    /// # Errors
    /// - [`ErrorKind::Busy`]: with what is in the way of each in [`Error::failures`](crate::Error::failures).
    /// - [`ErrorKind::Denied`], [`ErrorKind::PoolSuspended`].
    pub fn destroy_recursive(&self, root: &DatasetName) -> Result<TreeDestroyed> {
        let entries = match self.tree_to_destroy(root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(TreeDestroyed::Absent),
            entries => entries.map_err(|error| error.with_operation(DESTROY_TREE.verb))?,
        };
        self.check_tree(root, &entries)?;
        let names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
        if names.len() <= PROGRAM_NAMES_MAX {
            match self.destroy_at_once(root, &names) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unsupported) => {}
                outcome => return outcome.map(|()| TreeDestroyed::AtOnce),
            }
        }
        self.destroy_one_by_one(root, names).map(|()| TreeDestroyed::OneByOne)
    }

    /// Every snapshot and dataset of the tree, in the order they can go if there are no clones among them.
    fn tree_to_destroy(&self, root: &DatasetName) -> Result<Vec<Entry>> {
        let datasets = self.tree(root)?;
        let mut entries = Vec::with_capacity(datasets.len());
        for name in datasets.into_iter().rev() {
            entries.extend(self.snapshots_of(&name)?);
            // What an interrupted receive left; not listed by the kernel.
            entries.push(Entry { name: format!("{name}/%recv"), stats: ObjsetStats::default() });
            entries.push(Entry { name, stats: ObjsetStats::default() });
        }
        Ok(entries)
    }

    /// Refuses when something of the tree is known to stay: a mounted file system, a held snapshot, one with a clone elsewhere.
    fn check_tree(&self, root: &DatasetName, entries: &[Entry]) -> Result<()> {
        let mut failures = Vec::new();
        self.unmount_snapshots(root);
        for mount in self.kernel.host().mounts().unwrap_or_default() {
            if !mount.dataset.contains('@') && within(&mount.dataset, root) {
                let path = mount.path.display().to_string();
                failures.push(busy(&mount.dataset, BusyReason::Mounted(vec![path])));
            }
        }
        for snapshot in entries.iter().filter(|entry| entry.name.contains('@')) {
            let tags = self
                .holds(&snapshot.name.parse()?)?
                .into_iter()
                .map(|hold| hold.tag)
                .collect::<Vec<_>>();
            if !tags.is_empty() {
                failures.push(busy(&snapshot.name, BusyReason::Holds(tags)));
            }
            if snapshot.may_have_clones() {
                let outside = self
                    .clones_of(&snapshot.name)?
                    .into_iter()
                    .filter(|clone| !within(clone, root))
                    .collect::<Vec<_>>();
                if !outside.is_empty() {
                    failures.push(busy(&snapshot.name, BusyReason::Clones(outside)));
                }
            }
        }
        if failures.is_empty() {
            return Ok(());
        }
        Err(tree_error(root, ErrorKind::Busy, failures).with_help("nothing was destroyed"))
    }

    /// Snapshots are mounted by looking into `.zfs/snapshot`, and unmounted by whoever destroys them; a program cannot.
    fn unmount_snapshots(&self, root: &DatasetName) {
        let host = self.kernel.host();
        for mount in host.mounts().unwrap_or_default() {
            if mount.dataset.contains('@') && within(&mount.dataset, root) {
                // If it stays mounted, its destruction fails and says so.
                let _ = host.unmount(&mount.path, UnmountFlags::empty());
            }
        }
    }

    /// The clones of a snapshot, by its `clones` property.
    fn clones_of(&self, snapshot: &str) -> Result<Vec<String>> {
        let mut cmd = Cmd::new(snapshot);
        cmd.reply_max = super::call::REPLY_BYTES_FIRST;
        let stats = Operation::new(Ioc::OBJSET_STATS, DESTROY_TREE.verb);
        let properties = self.call_cmd(stats, &mut cmd).map_err(|error| error.into_error(self))?;
        let clones = properties.get_list("clones").and_then(|list| list.get_list("value"));
        Ok(clones
            .map(|list| list.iter().map(|(name, _)| name.to_owned()).collect())
            .unwrap_or_default())
    }

    fn destroy_at_once(&self, root: &DatasetName, names: &[String]) -> Result<()> {
        let mut arguments = NvList::new();
        arguments.insert(
            "names",
            Value::StringArray(names.iter().map(|name| name.as_str().into()).collect()),
        );
        // Each name is tried at most as often as there are names; in practice once or twice.
        let program = Program::new(canned::DESTROY_TREE)
            .arguments(arguments)
            .instructions_max(Program::INSTRUCTIONS_DEFAULT * 10)
            .memory_max(crate::units::Bytes::from_mib(100));
        let returned = self
            .channel_program(&root.pool(), &program)
            .map_err(|error| error.with_operation(DESTROY_TREE.verb).with_target(root.as_str()))?;
        let left = match returned {
            Some(Value::NvList(list)) => list,
            _ => NvList::new(),
        };
        let errnos = left
            .iter()
            .filter_map(|(name, _)| {
                let errno = left.get_i64(name).and_then(|number| i32::try_from(number).ok())?;
                Some((name.to_owned(), Errno(errno)))
            })
            .collect();
        self.report_left(root, errnos)
    }

    fn destroy_one_by_one(&self, root: &DatasetName, mut names: Vec<String>) -> Result<()> {
        loop {
            let before = names.len();
            let mut failed = BTreeMap::new();
            let mut snapshots = Vec::new();
            names.retain(|name| match name.parse::<SnapshotName>() {
                Ok(snapshot) => {
                    snapshots.push(snapshot);
                    false
                }
                Err(_) => true,
            });
            // All snapshots in one call if that goes, which it does when there are no clones; else each.
            if self.destroy_snapshots(&snapshots, Destroy::Now).is_err() {
                for snapshot in snapshots {
                    if let Err(error) = self.destroy_snapshots([&snapshot], Destroy::Now) {
                        failed.insert(String::from(snapshot), error);
                    }
                }
            }
            for name in std::mem::take(&mut names) {
                let Ok(dataset) = name.parse::<DatasetName>() else { continue };
                match self.destroy(&dataset) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    // The name of what a receive left is not one the kernel lets everybody destroy; it goes with its dataset.
                    Err(_) if dataset.last() == "%recv" => {}
                    Err(error) => {
                        failed.insert(name, error);
                    }
                }
            }
            if failed.is_empty() {
                return Ok(());
            }
            if failed.len() == before {
                let errnos = failed
                    .into_iter()
                    .map(|(name, error)| (name, error.errno().unwrap_or(Errno::EIO)))
                    .collect();
                return self.report_left(root, errnos);
            }
            names = failed.into_keys().collect();
            // Children before parents, snapshots before both: '@' and '/' sort behind nothing.
            names.sort_by(|a, b| b.cmp(a));
        }
    }

    /// An error for what could not be destroyed, if anything.
    fn report_left(&self, root: &DatasetName, errnos: Vec<(String, Errno)>) -> Result<()> {
        let failures: Vec<Failure> = errnos
            .into_iter()
            .filter(|(name, _)| !name.ends_with("/%recv"))
            .map(|(name, errno)| {
                let ioc = if name.contains('@') { Ioc::DESTROY_SNAPS } else { Ioc::DESTROY };
                let meaning = super::errno::meaning(ioc, errno);
                Failure {
                    name,
                    kind: meaning.kind,
                    errno,
                    reason: meaning.reason.into(),
                    busy: Vec::new(),
                }
            })
            .collect();
        let Some(first) = failures.first() else { return Ok(()) };
        let kind = if failures.iter().all(|failure| failure.kind == first.kind) {
            first.kind
        } else {
            ErrorKind::Several
        };
        Err(self
            .explain_busy_batch(tree_error(root, kind, failures))
            .with_help("what is not named is destroyed"))
    }
}

/// Whether a dataset or snapshot is in the tree of `root`.
fn within(name: &str, root: &DatasetName) -> bool {
    name.strip_prefix(root.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
}

fn busy(name: &str, reason: BusyReason) -> Failure {
    Failure {
        name: name.to_owned(),
        kind: ErrorKind::Busy,
        errno: Errno::EBUSY,
        reason: Errno::EBUSY.reason().into(),
        busy: vec![reason],
    }
}

fn tree_error(root: &DatasetName, kind: ErrorKind, failures: Vec<Failure>) -> Error {
    DESTROY_TREE
        .error(kind, root.as_str(), "something below it is in the way")
        .with_failures(failures, 0)
}

/// Whether every failure is a dataset that is gone.
fn only_vanished(error: &Error) -> bool {
    !error.failures().is_empty()
        && error.failures().iter().all(|failure| failure.kind == ErrorKind::NotFound)
}
