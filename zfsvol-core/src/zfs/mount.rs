//! Mounting file systems and snapshots through mount(2), with ZFS's own options and no helper program.

mod plan;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Zfs;
use super::call::Operation;
use crate::error::{BusyReason, Error, ErrorKind, Failure, Result};
use crate::kernel::{Errno, Ioc, MountEntry, MountFlags, MountPoint, MountRequest, UnmountFlags};
use crate::name::{DatasetName, Entity, SnapshotName};
use plan::Plan;

const MOUNT: Operation = Operation::new(Ioc::OBJSET_STATS, "mount");
const REMOUNT: Operation = Operation::new(Ioc::OBJSET_STATS, "remount");
const UNMOUNT: Operation = Operation::new(Ioc::OBJSET_STATS, "unmount");
const FIND: Operation = Operation::new(Ioc::OBJSET_STATS, "find the mounts of");

/// Where a file system is mounted, by its properties `mountpoint` and `canmount` and the pool's `altroot`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MountPath {
    /// On this directory.
    At(PathBuf),
    /// Where whoever mounts it says: `mountpoint=legacy`.
    Legacy,
    /// Nowhere: `mountpoint=none`.
    None,
}

/// How to mount. Without further ado: as the file system's properties say.
///
/// What is given here holds for this mount only, and goes before the property, like `zfs mount -o`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// On this directory, and not where the properties say; `canmount`, `legacy` and `none` do not matter then. Whoever mounts it so
    /// unmounts it, too.
    pub at: Option<PathBuf>,
    /// Instead of the property `readonly`.
    pub read_only: Option<bool>,
    /// Instead of the property `atime`.
    pub atime: Option<bool>,
    /// Instead of the property `relatime`.
    pub relatime: Option<bool>,
    /// Instead of the property `devices`.
    pub devices: Option<bool>,
    /// Instead of the property `exec`.
    pub exec: Option<bool>,
    /// Instead of the property `setuid`.
    pub setuid: Option<bool>,
    /// Instead of the property `overlay`: whether it may be mounted over a directory with something in it.
    pub overlay: Option<bool>,
    /// Mounts it although it was received from a redacted stream, so that parts of its data are not there.
    pub redacted: bool,
    /// Mounts it although it is `zoned`: for a caller in the user namespace that it was given to.
    pub zoned: bool,
    /// No part of the path may be a symbolic link: for directories below one that others write to.
    pub no_symlinks: bool,
}

impl MountOptions {
    /// On this directory, and not where the properties say.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { at: Some(directory.into()), ..Self::default() }
    }
}

/// What came of mounting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MountOutcome {
    /// It is mounted here now.
    Mounted(PathBuf),
    /// It was mounted here before, and nothing was done. Its options may be others than asked for: see [`Zfs::remount`].
    AlreadyMounted(PathBuf),
}

impl MountOutcome {
    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        match self {
            Self::Mounted(path) | Self::AlreadyMounted(path) => path,
        }
    }
}

/// What came of unmounting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnmountOutcome {
    /// It is not mounted any more in this mount namespace. After [`UnmountFlags::DETACH`] it can still be in use.
    Unmounted,
    /// It was not mounted in this mount namespace, and nothing was done.
    NotMounted,
}

/// Why a file system is not one to be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotMountable {
    /// `canmount=off`
    CanmountOff,
    /// `canmount=noauto`: mounted when it is asked for by name.
    Noauto,
    /// `mountpoint=none`
    NoMountpoint,
    /// `mountpoint=legacy`
    Legacy,
    /// It is encrypted, and its key is not loaded.
    KeyNotLoaded,
    /// A receive into it is not finished.
    Receiving,
    /// It was received from a redacted stream.
    Redacted,
    /// It is `zoned`.
    Zoned,
}

impl fmt::Display for NotMountable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.reason())
    }
}

impl NotMountable {
    fn reason(self) -> &'static str {
        match self {
            Self::CanmountOff => "its canmount is 'off'",
            Self::Noauto => "its canmount is 'noauto'",
            Self::NoMountpoint => "its mountpoint is 'none'",
            Self::Legacy => "its mountpoint is 'legacy'",
            Self::KeyNotLoaded => "its key is not loaded",
            Self::Receiving => "a receive into it is not finished",
            Self::Redacted => "it is redacted: parts of its data are not there",
            Self::Zoned => "it is zoned, and belongs to another user namespace",
        }
    }

    fn into_error(self, name: &str) -> Error {
        let (kind, help) = match self {
            Self::KeyNotLoaded => (ErrorKind::KeyNotLoaded, "load the key"),
            Self::Receiving => (ErrorKind::Busy, "finish the receive, or abort it"),
            Self::Zoned => (ErrorKind::Denied, "mount it there, or say that it may be (zoned)"),
            Self::Redacted => (ErrorKind::Invalid, "say that it may be (redacted)"),
            _ => (ErrorKind::Invalid, "change the property, or name a directory"),
        };
        MOUNT.error(kind, name, self.reason()).with_help(help)
    }
}

/// What came of mounting a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeMounted {
    /// The file systems that are mounted, those before that others are mounted below.
    pub mounted: Vec<(DatasetName, MountOutcome)>,
    /// Those that were passed over, with the reason.
    pub skipped: Vec<(DatasetName, NotMountable)>,
}

impl Zfs {
    /// Mounts a file system where its properties say, or on another directory, as its properties say or otherwise; in the mount namespace of
    /// the calling thread. The directory is made if it is not there. Linux lets only root do this.
    ///
    /// The properties `canmount`, `mountpoint`, `atime`, `relatime`, `devices`, `exec`, `setuid`, `readonly`, `nbmand`, `overlay`, `context` and its
    /// kin, and `altroot` and `readonly` of the pool count, as for `zfs mount`. Nothing is shared by NFS or SMB.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS` and `ZFS_IOC_POOL_GET_PROPS`, and mount(2). On disk the intent log is replayed after a crash.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such dataset. [`ErrorKind::WrongType`]: it is a zvol.
    /// - [`ErrorKind::Invalid`]: its properties say that it is not to be mounted (see [`NotMountable`]).
    /// - [`ErrorKind::KeyNotLoaded`]: it is encrypted.
    /// - [`ErrorKind::Busy`]: a receive into it is not finished, or it is in use otherwise.
    /// - [`ErrorKind::Exists`]: there is something in the directory, and `overlay` is off.
    /// - [`ErrorKind::ReadOnly`]: it was to be writable, and the pool or the door is not.
    /// - [`ErrorKind::Denied`]: the caller may not mount, or it is `zoned`.
    pub fn mount(&self, name: &DatasetName, options: &MountOptions) -> Result<MountOutcome> {
        let plan = self.plan(MOUNT, name.as_str())?;
        let path = plan.path(options).map_err(|why| self.not_mountable(why, name))?;
        self.mount_planned(&plan, &path, options)
    }

    /// Mounts a snapshot read-only on a directory, which is made if it is not there. `.zfs/snapshot` of a mounted file system shows its
    /// snapshots without that.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS` and `ZFS_IOC_POOL_GET_PROPS`, and mount(2).
    ///
    /// # Errors
    /// As [`Zfs::mount`].
    pub fn mount_snapshot(
        &self,
        snapshot: &SnapshotName,
        directory: &Path,
    ) -> Result<MountOutcome> {
        let plan = self.plan(MOUNT, snapshot.as_str())?;
        let options = MountOptions { read_only: Some(true), ..MountOptions::at(directory) };
        let path = plan.path(&options).map_err(|why| why.into_error(snapshot.as_str()))?;
        self.mount_planned(&plan, &path, &options)
    }

    /// Mounts a file system and all below it that are to be mounted, like `zfs mount -a`: not those with `canmount=noauto`, nor those
    /// without their key. What lies above in the file hierarchy is mounted first, whatever the names are.
    ///
    /// One that cannot be mounted does not keep the others from it, except those that would be mounted below it: they would hide in
    /// the directory it is to cover. [`MountOptions::at`] is not for trees, and is not looked at.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: there is no such dataset. Else, with each that could not be mounted in [`Error::failures`], what
    /// [`Zfs::mount`] gives, or [`ErrorKind::Several`]; the rest is mounted then.
    pub fn mount_tree(&self, root: &DatasetName, options: &MountOptions) -> Result<TreeMounted> {
        let options = MountOptions { at: None, ..options.clone() };
        let mut done = TreeMounted::default();
        let mut plans = Vec::new();
        let names = self.tree(root)?;
        let pool = self.pool_mounts(MOUNT, root.as_str())?;
        for name in names {
            let plan = match self.plan_in(MOUNT, &name, &pool) {
                Ok(plan) => plan,
                // A zvol; destroyed meanwhile.
                Err(error)
                    if matches!(error.kind(), ErrorKind::WrongType | ErrorKind::NotFound) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            match plan.automatic_path(&options) {
                Ok(path) => plans.push((path, plan)),
                Err(why) => done.skipped.push((name.parse()?, why)),
            }
        }
        plans.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut failures = Vec::new();
        let mut missing: Vec<PathBuf> = Vec::new();
        for (path, plan) in plans {
            let outcome = match missing.iter().find(|above| path.starts_with(above)) {
                Some(above) => Err(MOUNT.error(
                    ErrorKind::Invalid,
                    &plan.name,
                    format!("what belongs on '{}', above it, is not mounted", above.display()),
                )),
                None => self.mount_planned(&plan, &path, &options),
            };
            match outcome {
                Ok(outcome) => done.mounted.push((plan.name.parse()?, outcome)),
                Err(error) => {
                    failures.push(failure(&plan.name, &error));
                    missing.push(path);
                }
            }
        }
        if failures.is_empty() { Ok(done) } else { Err(several(MOUNT, root.as_str(), failures)) }
    }

    /// Gives what is mounted the options that its properties say by now, or others for this mount only. All its mounts get the same.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS` and `ZFS_IOC_POOL_GET_PROPS`, and mount(2) with `MS_REMOUNT`.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: it does not exist, or is not mounted in this mount namespace.
    /// - [`ErrorKind::Busy`]: it is to become read-only, and a file is open for writing.
    /// - [`ErrorKind::ReadOnly`], [`ErrorKind::Denied`].
    pub fn remount(&self, name: &DatasetName, options: &MountOptions) -> Result<()> {
        let plan = self.plan(REMOUNT, name.as_str())?;
        let mounts = self.mounts_of(REMOUNT, name.as_str())?;
        if mounts.is_empty() {
            return Err(REMOUNT.error(ErrorKind::NotFound, name.as_str(), "it is not mounted"));
        }
        for mount in mounts {
            let mut request = plan.request(&mount.path, options);
            request.flags |= MountFlags::REMOUNT;
            let outcome = self.kernel().host().mount(&request);
            outcome.map_err(|errno| self.cannot_mount(REMOUNT, &request, errno))?;
        }
        Ok(())
    }

    /// Unmounts a file system or snapshot wherever it is mounted in the mount namespace of the calling thread; the last mount first. The
    /// directory stays.
    ///
    /// Reads the table of mounts, and calls umount2(2).
    ///
    /// # Errors
    /// - [`ErrorKind::Busy`]: a file of it is open, a process works in it, or something is mounted below it
    ///   ([`Error::busy`] says what of ZFS). [`UnmountFlags::DETACH`] does it all the same.
    /// - [`ErrorKind::Denied`]: the caller may not unmount. [`ErrorKind::ReadOnly`]: the door refuses.
    pub fn unmount(&self, name: &impl Entity, flags: UnmountFlags) -> Result<UnmountOutcome> {
        let mounts = self.mounts_of(UNMOUNT, name.as_ref())?;
        for mount in mounts.iter().rev() {
            self.unmount_one(mount, flags)?;
        }
        Ok(if mounts.is_empty() { UnmountOutcome::NotMounted } else { UnmountOutcome::Unmounted })
    }

    /// Unmounts a file system, its snapshots, and all below it, the last mount first; returns the paths in that order. Then removes the directories
    /// that nobody chose, those of inherited and default mount points, if they are empty: as `zpool export` does.
    ///
    /// Reads the table of mounts, and calls umount2(2); for the directories `ZFS_IOC_OBJSET_STATS`.
    ///
    /// # Errors
    /// As [`Zfs::unmount`], with the dataset that could not be unmounted as the target; the mounts after it stay.
    pub fn unmount_tree(&self, root: &DatasetName, flags: UnmountFlags) -> Result<Vec<PathBuf>> {
        let mounts = self.zfs_mounts(UNMOUNT, root.as_str())?;
        let mut unmounted = Vec::new();
        for mount in mounts.into_iter().rev().filter(|mount| is_within(&mount.dataset, root)) {
            // Only as long as it is not known by name alone: an exported pool has no properties.
            let plan = self.plan(UNMOUNT, &mount.dataset).ok();
            self.unmount_one(&mount, flags)?;
            if plan.is_some_and(|plan| plan.chose_itself(&mount.path)) {
                // There is something in it, or another mount: then it stays.
                let _kept =
                    self.kernel().host().remove_mount_point(&mount.path, MountFlags::empty());
            }
            unmounted.push(mount.path);
        }
        Ok(unmounted)
    }

    /// Where a file system or snapshot is mounted now, in the mount namespace of the calling thread; empty if it is not. Other namespaces'
    /// mounts cannot be seen, and keep a dataset busy all the same.
    ///
    /// Reads the table of mounts.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], [`ErrorKind::Denied`]: the table cannot be read.
    pub fn mounted_at(&self, name: &impl Entity) -> Result<Vec<PathBuf>> {
        let mounts = self.mounts_of(FIND, name.as_ref())?;
        Ok(mounts.into_iter().map(|mount| mount.path).collect())
    }

    /// Where a file system is to be mounted, whether it is or not.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS` and `ZFS_IOC_POOL_GET_PROPS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongType`] (a zvol).
    pub fn mount_path(&self, name: &DatasetName) -> Result<MountPath> {
        Ok(self.plan(FIND, name.as_str())?.mount_path())
    }

    fn mount_planned(
        &self,
        plan: &Plan,
        path: &Path,
        options: &MountOptions,
    ) -> Result<MountOutcome> {
        let mounts = self.mounts_of(MOUNT, &plan.name)?;
        let there = match &options.at {
            // On another directory it can be mounted once more.
            Some(_) => mounts.iter().find(|mount| mount.path == path),
            None => mounts.first(),
        };
        if let Some(mount) = there {
            return Ok(MountOutcome::AlreadyMounted(mount.path.clone()));
        }
        let request = plan.request(path, options);
        let host = self.kernel().host();
        let point =
            host.prepare_mount_point(&request).map_err(|errno| cannot_prepare(&request, errno))?;
        if point == MountPoint::Filled && !plan.may_cover(options) {
            return Err(MOUNT
                .error(
                    ErrorKind::Exists,
                    &plan.name,
                    format!("there is something in '{}', and overlay is off", path.display()),
                )
                .with_help("empty the directory, or set overlay=on"));
        }
        host.mount(&request).map_err(|errno| self.cannot_mount(MOUNT, &request, errno))?;
        Ok(MountOutcome::Mounted(path.to_owned()))
    }

    fn unmount_one(&self, mount: &MountEntry, flags: UnmountFlags) -> Result<()> {
        let outcome = self.kernel().host().unmount(&mount.path, flags);
        outcome.map_err(|errno| self.cannot_unmount(mount, errno))
    }

    /// The mounts of `name` alone, in the order in which they were made.
    fn mounts_of(&self, operation: Operation, name: &str) -> Result<Vec<MountEntry>> {
        let mut mounts = self.zfs_mounts(operation, name)?;
        mounts.retain(|mount| mount.dataset == name);
        Ok(mounts)
    }

    fn zfs_mounts(&self, operation: Operation, name: &str) -> Result<Vec<MountEntry>> {
        self.kernel().host().mounts().map_err(|errno| {
            let kind = super::errno::general(errno).kind;
            operation.error(kind, name, "the table of mounts cannot be read").with_errno(errno)
        })
    }

    fn not_mountable(&self, why: NotMountable, name: &DatasetName) -> Error {
        match why {
            NotMountable::Receiving => {
                let error = why.into_error(name.as_str()).with_errno(Errno::EBUSY);
                self.explain_busy(error, name.as_str())
            }
            _ => why.into_error(name.as_str()),
        }
    }

    fn cannot_mount(&self, operation: Operation, request: &MountRequest, errno: Errno) -> Error {
        let error = |kind, reason: &'static str| {
            operation.error(kind, &request.dataset, reason).with_errno(errno)
        };
        match errno {
            Errno::EBUSY if operation.verb == REMOUNT.verb => error(ErrorKind::Busy, "it is busy")
                .with_help("to become read-only, it must have no file open for writing"),
            Errno::EBUSY => {
                self.explain_busy(error(ErrorKind::Busy, "it is busy"), &request.dataset)
            }
            Errno::EPERM => error(ErrorKind::Denied, "the caller may not mount there")
                .with_help("mount as root, in a mount namespace of one's own"),
            Errno::EACCES => {
                error(ErrorKind::KeyNotLoaded, "its key is not loaded").with_help("load the key")
            }
            Errno::EROFS => error(ErrorKind::ReadOnly, "the pool or the door is read-only")
                .with_help("mount it read-only"),
            Errno::ENODEV => {
                error(ErrorKind::NoModule, "the kernel does not know the file system 'zfs'")
                    .with_help("load the OpenZFS module (modprobe zfs)")
            }
            Errno::ENOTSUP => error(
                ErrorKind::FeatureDisabled,
                "the file system is of a newer version than the pool",
            ),
            Errno::ENOENT => error(ErrorKind::NotFound, "it does not exist"),
            _ => error(super::errno::general(errno).kind, errno.reason()),
        }
    }

    fn cannot_unmount(&self, mount: &MountEntry, errno: Errno) -> Error {
        let error = |kind, reason: &'static str| {
            UNMOUNT.error(kind, &mount.dataset, reason).with_errno(errno)
        };
        match errno {
            Errno::EBUSY => {
                let mounts = self.kernel().host().mounts().unwrap_or_default();
                let below: Vec<String> = mounts
                    .iter()
                    .filter(|other| other.path != mount.path && other.path.starts_with(&mount.path))
                    .map(|other| other.path.display().to_string())
                    .collect();
                if below.is_empty() {
                    return error(
                        ErrorKind::Busy,
                        "a file of it is open, or a process works in it",
                    )
                    .with_help("end that process, or detach the mount");
                }
                error(ErrorKind::Busy, "it is busy")
                    .with_busy(vec![BusyReason::Mounted(below)])
                    .with_help("unmount what is mounted below it first")
            }
            Errno::EPERM => error(ErrorKind::Denied, "the caller may not unmount it"),
            Errno::EROFS => {
                error(ErrorKind::ReadOnly, "the door only reads, and it is mounted for writing")
            }
            _ => error(super::errno::general(errno).kind, errno.reason()),
        }
    }
}

fn cannot_prepare(request: &MountRequest, errno: Errno) -> Error {
    let (kind, why) = match errno {
        Errno::EACCES | Errno::EPERM => (ErrorKind::Denied, "may not be made"),
        Errno::ENOTDIR => (ErrorKind::Invalid, "is no directory"),
        Errno::ELOOP => (ErrorKind::Invalid, "goes through a symbolic link"),
        Errno::ENOENT => (ErrorKind::NotFound, "does not exist"),
        Errno::EROFS => (ErrorKind::ReadOnly, "is on a read-only file system"),
        _ => (super::errno::general(errno).kind, "cannot be made"),
    };
    let reason = format!("the directory '{}' {why}", request.path.display());
    MOUNT.error(kind, &request.dataset, reason).with_errno(errno)
}

/// Whether a dataset, or the dataset of a snapshot, is `root` or below it.
fn is_within(name: &str, root: &DatasetName) -> bool {
    name.strip_prefix(root.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
}

fn failure(name: &str, error: &Error) -> Failure {
    Failure {
        name: name.to_owned(),
        kind: error.kind(),
        errno: error.errno().unwrap_or(Errno::EINVAL),
        reason: error.reason().to_owned().into(),
        busy: error.busy().to_vec(),
    }
}

fn several(operation: Operation, target: &str, failures: Vec<Failure>) -> Error {
    let first = failures.first().map_or(ErrorKind::Other, |failure| failure.kind);
    let same = failures.iter().all(|failure| failure.kind == first);
    let kind = if same { first } else { ErrorKind::Several };
    operation.error(kind, target, "some could not be mounted").with_failures(failures, 0)
}

#[cfg(test)]
mod tests;
