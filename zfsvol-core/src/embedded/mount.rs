//! Mounts: a table in this process.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::engine::{Id, Result, State};
use super::name;
use crate::kernel::{Errno, MountEntry, MountFlags, MountPoint, MountRequest, UnmountFlags};

/// What is mounted, in the order it was.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    table: Vec<Mounted>,
    /// Directories that were made to mount on.
    directories: BTreeSet<PathBuf>,
}

/// One mount. The dataset is known by its number, so that it can be renamed meanwhile.
#[derive(Debug)]
struct Mounted {
    pool: u64,
    dataset: Id,
    path: PathBuf,
    flags: MountFlags,
    data: String,
}

impl State {
    /// Everything mounted, under its present name.
    pub(super) fn mounts(&self) -> Vec<MountEntry> {
        let named = |mounted: &Mounted| {
            let pool = self.pools.values().find(|pool| pool.guid == mounted.pool)?;
            let name = pool.name(mounted.dataset).ok()?;
            Some(MountEntry::new(name, &mounted.path, options(mounted.flags, &mounted.data)))
        };
        self.mounts.table.iter().filter_map(named).collect()
    }

    /// Mounts a file system or snapshot.
    ///
    /// # Errors
    /// `ENOENT`, `EINVAL` for a zvol, `EACCES` without its key, `EBUSY` when it is mounted there already.
    pub(super) fn mount(&mut self, request: &MountRequest) -> Result<()> {
        let pool = self.pool(&request.dataset)?;
        let (guid, id) = (pool.guid, pool.hold(&request.dataset)?);
        let dataset = pool.dataset(id)?;
        if !dataset.content.is_filesystem() || dataset.inconsistent {
            return Err(Errno::EINVAL);
        }
        if !pool.is_key_loaded(dataset.dir)? {
            return Err(Errno::EACCES);
        }
        let same = |mounted: &&mut Mounted| mounted.path == request.path;
        if request.flags.contains(MountFlags::REMOUNT) {
            let mounted = self.mounts.table.iter_mut().rfind(same).ok_or(Errno::EINVAL)?;
            mounted.flags = request.flags - MountFlags::REMOUNT;
            request.data.clone_into(&mut mounted.data);
            return Ok(());
        }
        let twice = |mounted: &Mounted| {
            mounted.path == request.path && mounted.pool == guid && mounted.dataset == id
        };
        if self.mounts.table.last().is_some_and(twice) {
            return Err(Errno::EBUSY);
        }
        let first = !self.mounts.has(guid, id);
        self.mounts.table.push(Mounted {
            pool: guid,
            dataset: id,
            path: request.path.clone(),
            flags: request.flags,
            data: request.data.clone(),
        });
        if first {
            let dataset = self.pool_mut(&request.dataset)?.dataset_mut(id)?;
            dataset.long_holds += 1;
            // Owners are counted from when it is opened to be written (`dmu_objset_own`).
            if !dataset.is_snapshot() && !request.flags.contains(MountFlags::READ_ONLY) {
                dataset.content.uncounted = false;
            }
        }
        Ok(())
    }

    /// Unmounts what was mounted on a directory last.
    ///
    /// # Errors
    /// `EINVAL` when nothing is; `EBUSY` when something is mounted below, unless it is only to get out of sight.
    pub(super) fn unmount(&mut self, path: &Path, flags: UnmountFlags) -> Result<()> {
        let place = self
            .mounts
            .table
            .iter()
            .rposition(|mounted| mounted.path == path)
            .ok_or(Errno::EINVAL)?;
        let below = |mounted: &Mounted| mounted.path != path && mounted.path.starts_with(path);
        if !flags.contains(UnmountFlags::DETACH) && self.mounts.table.iter().any(below) {
            return Err(Errno::EBUSY);
        }
        self.unmount_at(place);
        Ok(())
    }

    fn unmount_at(&mut self, place: usize) {
        let Mounted { pool: guid, dataset, .. } = self.mounts.table.remove(place);
        if self.mounts.has(guid, dataset) {
            return;
        }
        let pool = self.pools.values_mut().find(|pool| pool.guid == guid);
        if let Some(Ok(dataset)) = pool.map(|pool| pool.dataset_mut(dataset)) {
            dataset.long_holds = dataset.long_holds.saturating_sub(1);
        }
    }

    /// Unmounts a snapshot, as the module does before it destroys or renames one (`zfs_unmount_snap`).
    pub(super) fn unmount_snapshot(&mut self, snapshot: &str) {
        if self.mounts.table.is_empty() || !snapshot.contains('@') {
            return;
        }
        let Ok((pool, id)) = self.hold(snapshot) else { return };
        let guid = pool.guid;
        while let Some(place) = self
            .mounts
            .table
            .iter()
            .rposition(|mounted| mounted.pool == guid && mounted.dataset == id)
        {
            self.unmount_at(place);
        }
    }

    /// Whether anything of a pool is mounted.
    pub(super) fn is_pool_mounted(&self, guid: u64) -> bool {
        self.mounts.table.iter().any(|mounted| mounted.pool == guid)
    }

    /// Whether a file system or snapshot is mounted.
    pub(super) fn is_mounted(&self, name: &str) -> bool {
        self.hold(name).is_ok_and(|(pool, id)| self.mounts.has(pool.guid, id))
    }

    /// Makes a directory to mount on.
    ///
    /// # Errors
    /// `ENOENT` when it must be there already, and is not.
    pub(super) fn prepare_mount_point(&mut self, request: &MountRequest) -> Result<MountPoint> {
        let mounts = &mut self.mounts;
        if mounts.table.iter().any(|mounted| mounted.path.starts_with(&request.path)) {
            return Ok(MountPoint::Filled);
        }
        // Directories of the machine count as well; nothing in them is looked at, and none is made.
        let exists = mounts.directories.iter().any(|made| made.starts_with(&request.path))
            || request.path.is_dir();
        if !exists && request.flags.contains(MountFlags::EXISTING_DIRECTORY) {
            return Err(Errno::ENOENT);
        }
        mounts.directories.insert(request.path.clone());
        Ok(MountPoint::Empty)
    }

    /// Removes a directory that was mounted on.
    ///
    /// # Errors
    /// `EBUSY` while something is mounted there, `ENOTEMPTY` below, `ENOENT` when there is no such directory.
    pub(super) fn remove_mount_point(&mut self, path: &Path) -> Result<()> {
        let mounts = &mut self.mounts;
        if mounts.table.iter().any(|mounted| mounted.path == path) {
            return Err(Errno::EBUSY);
        }
        let below = |other: &Path| other != path && other.starts_with(path);
        if mounts.directories.iter().any(|made| below(made)) {
            return Err(Errno::ENOTEMPTY);
        }
        if mounts.directories.remove(path) { Ok(()) } else { Err(Errno::ENOENT) }
    }

    /// Unmounts the snapshots of that name of a tree.
    pub(super) fn unmount_snapshots_named(&mut self, dataset: &str, snapshot: &str) {
        let suffix = format!("@{snapshot}");
        let within = |name: &str| {
            name.strip_suffix(&suffix).is_some_and(|of| {
                of == dataset || of.strip_prefix(dataset).is_some_and(|rest| rest.starts_with('/'))
            })
        };
        let names: Vec<String> =
            self.mounts().into_iter().map(|mount| mount.dataset).filter(|n| within(n)).collect();
        for name in names {
            self.unmount_snapshot(&name);
        }
    }

    /// Unmounts every snapshot of a dataset.
    pub(super) fn unmount_snapshots_of(&mut self, dataset: &str) {
        let of = |name: &str| name::split_snapshot(name).is_ok_and(|(head, _)| head == dataset);
        let names: Vec<String> =
            self.mounts().into_iter().map(|mount| mount.dataset).filter(|n| of(n)).collect();
        for name in names {
            self.unmount_snapshot(&name);
        }
    }
}

impl Mounts {
    fn has(&self, pool: u64, dataset: Id) -> bool {
        self.table.iter().any(|mounted| mounted.pool == pool && mounted.dataset == dataset)
    }
}

/// The options as the table of mounts has them.
fn options(flags: MountFlags, data: &str) -> String {
    let word = |flag, on: &'static str| flags.contains(flag).then_some(on);
    let mut options = vec![if flags.contains(MountFlags::READ_ONLY) { "ro" } else { "rw" }];
    options.extend(word(MountFlags::NO_SUID, "nosuid"));
    options.extend(word(MountFlags::NO_DEV, "nodev"));
    options.extend(word(MountFlags::NO_EXEC, "noexec"));
    options.extend(word(MountFlags::NO_ATIME, "noatime"));
    options.extend(word(MountFlags::RELATIME, "relatime"));
    let own = data.split(',').filter(|option| !option.is_empty() && *option != "zfsutil");
    options.extend(own);
    options.join(",")
}
