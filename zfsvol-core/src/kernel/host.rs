//! [`Host`]: what a kernel's machine gives besides ioctls: versions, handles, mounts and block devices.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::module::Module;
use crate::errno::Errno;
use crate::name::DatasetName;

/// What surrounds the ioctls of a [`Kernel`](super::Kernel).
pub trait Host: Send + Sync {
    /// Which OpenZFS it is, and what it can do.
    fn module(&self) -> &Module;

    /// A handle of one's own: temporary holds end when it is dropped, and it has its own place in the queue of events.
    ///
    /// # Errors
    /// The errno of opening `/dev/zfs`.
    fn handle(&self) -> Result<Handle, Errno>;

    /// Every ZFS mount this process can see.
    ///
    /// # Errors
    /// The errno of reading the table of mounts.
    fn mounts(&self) -> Result<Vec<MountEntry>, Errno>;

    /// Mounts a file system or snapshot, as `mount -t zfs` does, in this process's mount namespace.
    ///
    /// # Errors
    /// The errno of `mount(2)`.
    fn mount(&self, request: &MountRequest) -> Result<(), Errno>;

    /// Unmounts what is mounted on `path`.
    ///
    /// # Errors
    /// The errno of `umount2(2)`.
    fn unmount(&self, path: &Path, flags: UnmountFlags) -> Result<(), Errno>;

    /// Makes the directory that `request` mounts on, with its parents, if there is none, and says whether anything is in it.
    ///
    /// # Errors
    /// The errno of `mkdir(2)`; `ENOTDIR` when it is no directory; `ENOENT` when it is not there and
    /// [`MountFlags::EXISTING_DIRECTORY`] is asked for; `ELOOP` for a symbolic link with [`MountFlags::NO_SYMLINKS`].
    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno>;

    /// Removes the directory that something was mounted on.
    ///
    /// # Errors
    /// The errno of `rmdir(2)`: `ENOTEMPTY` when there is anything in it.
    fn remove_mount_point(&self, path: &Path, flags: MountFlags) -> Result<(), Errno>;

    /// Opens the block device of a zvol, which can appear a moment after the zvol was created: waits for it up to `wait`.
    ///
    /// # Errors
    /// `ETIMEDOUT` when there is none by then; else the errno of opening it.
    fn open_block(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno>;
}

/// A descriptor of a kernel's own for one caller: what depends on it ends when it is dropped.
pub struct Handle {
    number: i32,
    /// Closes it when dropped.
    _owner: Box<dyn Any + Send + Sync>,
}

impl Handle {
    /// A handle known to the kernel as `number`; dropping `owner` must close it.
    pub fn new(number: i32, owner: Box<dyn Any + Send + Sync>) -> Self {
        Self { number, _owner: owner }
    }

    /// What the kernel calls it: for `/dev/zfs`, the file descriptor.
    pub fn number(&self) -> i32 {
        self.number
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Whether a block device is to be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Read and write.
    ReadWrite,
}

/// The data of a zvol: `/dev/zdN`, or the same kept in the process.
pub trait BlockDevice: fmt::Debug + Send + Sync {
    /// Its size in bytes.
    ///
    /// # Errors
    /// As the device gives them.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` beyond the end of the device; else as the device gives them.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// As the device gives them: beyond its end, on a read-only volume, out of space.
    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Returns once what was written is on stable storage.
    ///
    /// # Errors
    /// As the device gives them.
    fn flush(&self) -> io::Result<()>;

    /// Its node in `/dev`, where there is one.
    fn path(&self) -> Option<&Path>;
}

bitflags::bitflags! {
    /// How to mount.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct MountFlags: u32 {
        /// Nothing can be written through it.
        const READ_ONLY = 1 << 0;
        /// Set-user-ID bits have no effect.
        const NO_SUID = 1 << 1;
        /// Device nodes cannot be opened.
        const NO_DEV = 1 << 2;
        /// Nothing can be executed.
        const NO_EXEC = 1 << 3;
        /// Access times are not kept.
        const NO_ATIME = 1 << 4;
        /// Access times are kept as `relatime` has it.
        const RELATIME = 1 << 5;
        /// Changes the options of what is mounted there already.
        const REMOUNT = 1 << 6;
        /// Access times are always kept.
        const STRICT_ATIME = 1 << 7;
        /// No part of the path may be a symbolic link: `ELOOP` if one is.
        const NO_SYMLINKS = 1 << 8;
        /// The directory must be there already.
        const EXISTING_DIRECTORY = 1 << 9;
        /// Mandatory locks are honoured, where Linux still has them (before 5.15).
        const MANDATORY_LOCKS = 1 << 10;
    }
}

bitflags::bitflags! {
    /// How to unmount.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct UnmountFlags: u32 {
        /// Even if it is in use: what is open there gets errors.
        const FORCE = 1 << 0;
        /// Out of sight now, gone when the last user is.
        const DETACH = 1 << 1;
    }
}

/// What is in a directory to mount on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountPoint {
    /// Nothing.
    Empty,
    /// Something that the mount would hide, another mount among it.
    Filled,
}

/// What to mount, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountRequest {
    /// The file system or snapshot.
    pub dataset: String,
    /// On which directory.
    pub path: PathBuf,
    /// How.
    pub flags: MountFlags,
    /// Options of the file system's own, comma-separated (`xattr`, `zfsutil`, a context).
    pub data: String,
}

impl MountRequest {
    /// Mounts `dataset` on `path`, with ZFS's own defaults.
    pub fn new(dataset: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            dataset: dataset.into(),
            path: path.into(),
            flags: MountFlags::empty(),
            data: String::new(),
        }
    }
}

/// One mounted ZFS file system or snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountEntry {
    /// The file system or snapshot.
    pub dataset: String,
    /// Where it is mounted.
    pub path: PathBuf,
    /// The options as the table of mounts gives them: `rw,nosuid,xattr,posixacl`.
    pub options: String,
}

impl MountEntry {
    /// An entry of the table of mounts.
    pub fn new(
        dataset: impl Into<String>,
        path: impl Into<PathBuf>,
        options: impl Into<String>,
    ) -> Self {
        Self { dataset: dataset.into(), path: path.into(), options: options.into() }
    }

    /// Whether nothing can be written through it.
    pub fn is_read_only(&self) -> bool {
        self.options.split(',').any(|option| option == "ro")
    }
}
