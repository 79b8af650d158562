//! Where the data of a volume is: a directory, or a block device.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::event::VolumeEventKind::{Mounted, Unmounted};
use super::{Node, VolumeEvent, VolumeKind, VolumeName};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Access, BlockDevice, UnmountFlags};
use crate::zfs::{MountOptions, MountOutcome, MountPath, UnmountOutcome};

const MOUNT: &str = "mount the volume";
const UNMOUNT: &str = "unmount the volume";
const PATH: &str = "find the path of the volume";
const DEVICE: &str = "open the volume";
const DEVICE_PATH: &str = "find the device of the volume";

impl Node {
    /// Mounts a file system in its directory below the root's, and returns that. To do it again is harmless. A replica is mounted read-only.
    ///
    /// Issues what [`Zfs::mount`](crate::Zfs::mount) does.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; as [`Zfs::mount`](crate::Zfs::mount).
    pub fn mount(&self, name: &VolumeName) -> Result<PathBuf> {
        let told = |error: Error| error.with_operation(MOUNT).with_target(name.as_str());
        let volume = self.volume(MOUNT, name)?;
        let outcome = self.zfs().mount(&volume.dataset, &MountOptions::default()).map_err(told)?;
        if let MountOutcome::Mounted(_) = outcome {
            self.tell(&VolumeEvent::new(name, Mounted));
        }
        Ok(outcome.path().to_owned())
    }

    /// Unmounts a file system. `false` when it was not mounted: to do it again is harmless.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; as [`Zfs::unmount`](crate::Zfs::unmount).
    pub fn unmount(&self, name: &VolumeName) -> Result<bool> {
        let told = |error: Error| error.with_operation(UNMOUNT).with_target(name.as_str());
        let volume = self.volume(UNMOUNT, name)?;
        let outcome = self.zfs().unmount(&volume.dataset, UnmountFlags::empty()).map_err(told)?;
        let was_mounted = outcome == UnmountOutcome::Unmounted;
        if was_mounted {
            self.tell(&VolumeEvent::new(name, Unmounted));
        }
        Ok(was_mounted)
    }

    /// The directory that a file system is mounted on, or will be: the same on every node whose root has the same mount point.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`].
    /// - [`ErrorKind::WrongType`]: it is a block device.
    /// - [`ErrorKind::Invalid`]: its root has no mount point.
    pub fn path(&self, name: &VolumeName) -> Result<PathBuf> {
        let told = |error: Error| error.with_operation(PATH).with_target(name.as_str());
        let volume = self.volume(PATH, name)?;
        match self.zfs().mount_path(&volume.dataset).map_err(told)? {
            MountPath::At(path) => Ok(path),
            MountPath::None | MountPath::Legacy => {
                let reason = format!("'{}' has no mount point", self.root());
                Err(told(Error::new(ErrorKind::Invalid, PATH, reason))
                    .with_help("give the root one"))
            }
        }
    }

    /// Opens the block device of a volume, and waits for it up to `wait`. A replica can only be read.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`].
    /// - [`ErrorKind::NotOwner`]: it is to be written to, and belongs to another node or is being handed over.
    /// - As [`Zfs::open_zvol`](crate::Zfs::open_zvol).
    pub fn open_device(
        &self,
        name: &VolumeName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>> {
        let volume = match access {
            Access::Read => self.volume(DEVICE, name)?,
            Access::ReadWrite => self.owned(DEVICE, name)?,
        };
        let device = self.zfs().open_zvol(&volume.dataset, access, wait);
        device.map_err(|error| error.with_operation(DEVICE).with_target(name.as_str()))
    }

    /// The node in `/dev` of a block volume that this node owns, for programs that take a path, once it is there: waits for it up to `wait`. For this process itself there is
    /// [`Self::open_device`].
    ///
    /// It is the kernel's own name, `/dev/zd16` say, so udev and its links are not needed. It stays the volume's, under whatever name that has, until that is destroyed; after its pool was imported again,
    /// it can be another. Programs that have it open can still write when the volume is taken over elsewhere, and are in the way of its destruction.
    ///
    /// Opens the device for a moment, as [`Zfs::open_zvol`](crate::Zfs::open_zvol) does, for reading.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such volume; or it has no such node: its data is in this process, or the container was not given the node.
    /// - [`ErrorKind::WrongType`]: it is a file system, which has a [path](Self::path).
    /// - [`ErrorKind::NotOwner`]: it belongs to another node or is being handed over.
    /// - As [`Zfs::open_zvol`](crate::Zfs::open_zvol).
    pub fn device_path(&self, name: &VolumeName, wait: Duration) -> Result<PathBuf> {
        let told = |error: Error| error.with_operation(DEVICE_PATH).with_target(name.as_str());
        let volume = self.volume(DEVICE_PATH, name)?;
        if let VolumeKind::FileSystem { .. } = volume.kind {
            let reason = "it is a file system, and has no device";
            return Err(told(Error::new(ErrorKind::WrongType, DEVICE_PATH, reason))
                .with_help("mount it, and use its path"));
        }
        self.check_owned(DEVICE_PATH, &volume)?;
        let device = self.zfs().open_zvol(&volume.dataset, Access::Read, wait).map_err(told)?;
        device.path().map(Path::to_owned).ok_or_else(|| {
            let reason = "its data is in this process, and there is nothing of it in /dev";
            told(Error::new(ErrorKind::NotFound, DEVICE_PATH, reason))
                .with_help("open it through the library")
        })
    }
}
