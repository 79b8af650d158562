//! [`Subtree`]: a door that leads to one dataset and what is below it.

mod conceal;
mod confine;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::policy::{self, Reach};
use super::{
    Access, BlockDevice, Cmd, Errno, Handle, Host, Ioc, Kernel, Module, MountEntry, MountFlags,
    MountPoint, MountRequest, UnmountFlags,
};
use crate::name::DatasetName;
use crate::nvlist::NvList;

/// Lets through what concerns one dataset, its snapshots and bookmarks, and everything below it. To hand a tenant a corner of a pool.
///
/// - What is outside does not exist: a request that names it gets `ENOENT`, whether it is there or not. Every ioctl that reaches
///   further than the names in it (of pools, events, channel programs, delegated rights) is refused with `EPERM`.
/// - An ioctl that this library does not know is refused.
/// - Of the pool's properties only those are shown that say how file systems are mounted, `altroot` and `readonly`.
/// - Replies are cleared of names from outside: the origin of a clone, the clones of a snapshot, an encryption root elsewhere. Such a
///   clone looks like no clone, and can be neither promoted nor made.
/// - The root itself can be used and cannot be destroyed, renamed or replaced, nor its limits (quotas, reservations, number of datasets) and
///   its mount point be changed: they are its owner's.
/// - Properties that act on the host are refused below it too: `sharenfs`, `sharesmb`, `zoned`, `jailed` and their like, and a
///   `mountpoint` outside of [`Self::with_mounts_below`].
///
/// What it does not hide: numbers that depend on the rest of the pool (space available, how many clones a snapshot has), the names of
/// the root's parents (they are part of its own), and the version of the module. That a snapshot has clones outside shows when destroying it
/// fails.
///
/// The wrapper binds those who call through it. It is no sandbox: code of the same process can open `/dev/zfs` itself.
///
/// ```
/// # use std::sync::Arc;
/// # use zfsvol_core::kernel::{Cmd, Errno, Ioc, Kernel, Subtree};
/// # fn example(kernel: Arc<dyn Kernel>) -> Result<(), Box<dyn std::error::Error>> {
/// let door = Subtree::new(kernel, "tank/tenants/anna".parse()?);
/// let mut neighbour = Cmd::new("tank/tenants/bert");
/// assert_eq!(door.ioctl(Ioc::OBJSET_STATS, &mut neighbour), Err(Errno::ENOENT));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Subtree {
    inner: Arc<dyn Kernel>,
    root: DatasetName,
    mounts_below: Option<PathBuf>,
}

impl Subtree {
    /// A door to `root` and what is below it, through which nothing can be mounted.
    pub fn new(inner: Arc<dyn Kernel>, root: DatasetName) -> Self {
        Self { inner, root, mounts_below: None }
    }

    /// Lets file systems be mounted on directories below `directory` (an absolute path without symbolic links), and their `mountpoint`
    /// be set there. No symbolic link on the way is followed, so that none that a tenant made leads out.
    #[must_use]
    pub fn with_mounts_below(mut self, directory: impl Into<PathBuf>) -> Self {
        self.mounts_below = Some(directory.into());
        self
    }

    /// The dataset that this door leads to.
    pub fn root(&self) -> &DatasetName {
        &self.root
    }

    /// Whether `name`, of a dataset, snapshot or bookmark, is to be seen.
    ///
    /// Strict where the kernel is: a name it would refuse (`tank/a/../b`, `tank/a@s/../../b`) is not within anything.
    fn is_within(&self, name: &str) -> bool {
        let dataset = policy::dataset_part(name);
        let behind = name.get(dataset.len()..).unwrap_or_default();
        let last = behind.get(1..).unwrap_or_default();
        let plain = |component: &str| !matches!(component, "" | "." | "..");
        let below = dataset.strip_prefix(self.root.as_str());
        dataset.split('/').all(plain)
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            && !name.contains('\0')
            && (behind.is_empty() || plain(last) && !last.contains(['/', '@', '#']))
    }

    /// Whether `path` is strictly below the directory for mounts, by its text alone.
    fn may_mount_on(&self, path: &Path) -> bool {
        let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        self.mounts_below.as_deref().is_some_and(|directory| {
            path.starts_with(directory) && path != directory && path.components().all(plain)
        })
    }
}

impl Kernel for Subtree {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        let Some(rule) = policy::rule(ioc).filter(|rule| rule.reach == Reach::Named) else {
            let reason =
                format!("this door leads to '{}' alone, and {ioc} goes beyond it", self.root);
            return Err(cmd.refuse(Errno::EPERM, reason));
        };
        let input = match cmd.input.as_deref().map(NvList::from_bytes) {
            None => None,
            Some(Ok(input)) => Some(input),
            Some(Err(_)) => return Err(Errno::EINVAL),
        };
        self.check(rule, cmd, input.as_ref())?;
        // Passed on as it was understood when it was checked, packed anew: bytes that another decoder could understand otherwise
        // never reach it.
        let packed = input.map(|input| input.to_bytes()).transpose().map_err(|_| Errno::EINVAL)?;
        let given = std::mem::replace(&mut cmd.input, packed);
        let outcome = self.inner.ioctl(ioc, cmd);
        cmd.input = given;
        self.conceal(ioc, cmd)?;
        outcome
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

impl Host for Subtree {
    fn module(&self) -> &Module {
        self.inner.host().module()
    }

    fn handle(&self) -> Result<Handle, Errno> {
        self.inner.host().handle()
    }

    /// The mounts of what is within.
    fn mounts(&self) -> Result<Vec<MountEntry>, Errno> {
        let mut mounts = self.inner.host().mounts()?;
        mounts.retain(|mount| self.is_within(&mount.dataset));
        Ok(mounts)
    }

    fn mount(&self, request: &MountRequest) -> Result<(), Errno> {
        if !self.is_within(&request.dataset) {
            return Err(Errno::ENOENT);
        }
        if !self.may_mount_on(&request.path) {
            return Err(Errno::EPERM);
        }
        self.inner.host().mount(&without_symlinks(request))
    }

    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno> {
        if !self.may_mount_on(&request.path) {
            return Err(Errno::EPERM);
        }
        self.inner.host().prepare_mount_point(&without_symlinks(request))
    }

    fn remove_mount_point(&self, path: &Path, flags: MountFlags) -> Result<(), Errno> {
        if !self.may_mount_on(path) {
            return Err(Errno::EPERM);
        }
        self.inner.host().remove_mount_point(path, flags | MountFlags::NO_SYMLINKS)
    }

    fn unmount(&self, path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
        let mounts = self.inner.host().mounts()?;
        // The last one covers those before it. What the kernel says where nothing is mounted: EINVAL.
        match mounts.iter().rev().find(|mount| mount.path == path) {
            Some(mount) if self.is_within(&mount.dataset) => self.inner.host().unmount(path, flags),
            _ => Err(Errno::EINVAL),
        }
    }

    fn open_block(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        if !self.is_within(zvol.as_str()) {
            return Err(Errno::ENOENT);
        }
        self.inner.host().open_block(zvol, access, wait)
    }
}

/// The same, with none of a tenant's symbolic links leading out on the way.
fn without_symlinks(request: &MountRequest) -> MountRequest {
    let mut request = request.clone();
    request.flags |= MountFlags::NO_SYMLINKS;
    request
}

#[cfg(test)]
mod tests;
