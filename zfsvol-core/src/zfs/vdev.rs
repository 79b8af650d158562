//! The vdevs of an imported pool: add, attach, replace, detach, remove, online, offline, clear.

use std::path::{Path, PathBuf};

use super::Zfs;
use super::call::{CallError, Operation};
use super::topology::{Check, Topology, leaf};
use super::vdev_status::VdevState;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::PoolName;
use crate::nvlist::NvList;
use crate::units::Guid;

const ADD: Operation = Operation::new(Ioc::VDEV_ADD, "add vdevs to the pool");
const ATTACH: Operation = Operation::new(Ioc::VDEV_ATTACH, "attach a device in the pool");
const REPLACE: Operation = Operation::new(Ioc::VDEV_ATTACH, "replace a device of the pool");
const DETACH: Operation = Operation::new(Ioc::VDEV_DETACH, "detach a device of the pool");
const REMOVE: Operation = Operation::new(Ioc::VDEV_REMOVE, "remove a vdev of the pool");
const CANCEL: Operation = Operation::new(Ioc::VDEV_REMOVE, "cancel the removal in the pool");
const STATE: Operation = Operation::new(Ioc::VDEV_SET_STATE, "change a device of the pool");
const PATH: Operation = Operation::new(Ioc::VDEV_SETPATH, "set the path of a device of the pool");
const CLEAR: Operation = Operation::new(Ioc::CLEAR, "clear the pool");

// Numbers of OpenZFS 2.4 `include/sys/fs/zfs.h`.
const STATE_OFFLINE: u64 = 2;
const STATE_FAULTED: u64 = 5;
const STATE_ONLINE: u64 = 7;
const OFFLINE_TEMPORARY: u64 = 1;
const ONLINE_EXPAND: u64 = 8;
const AUX_EXTERNAL: u64 = 14;
const NO_REWIND: u64 = 1;

/// A device that is to join a vdev.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevice {
    /// The file or device, by its absolute path.
    pub path: PathBuf,
    /// Sectors of 2 to the power of this many bytes. The vdev's own must not be smaller.
    pub ashift: Option<u8>,
    /// Copy the space that is allocated in the order of the device, not block by block: quicker, and checksums are verified by a scrub
    /// afterwards. For mirrors and draid.
    pub sequential: bool,
    /// Take it even if it is part of an exported pool, or of one that another host may have in use.
    pub force: bool,
}

impl NewDevice {
    /// This file or device.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ashift: None, sequential: false, force: false }
    }
}

/// How to take a device offline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offline {
    /// Until it is brought online again.
    #[default]
    Persistent,
    /// Until then, or the next import.
    Temporary,
    /// As if it had failed, until it is cleared.
    Faulted,
}

impl Zfs {
    /// Adds vdevs, spares or cache devices to a pool. What is on the devices is overwritten. Unless `force` is set, devices of other pools
    /// are refused, as by [`Zfs::create_pool`], and from OpenZFS 2.3 on vdevs of another sector size than the pool's.
    ///
    /// Reads the labels of the devices and issues `ZFS_IOC_VDEV_ADD`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool, or a device is not there; [`ErrorKind::Busy`] when a device is in use;
    /// [`ErrorKind::Invalid`] when the vdevs do not go with the pool's.
    #[doc(alias = "zpool_add")]
    pub fn add_vdevs(&self, pool: &PoolName, topology: &Topology, force: bool) -> Result<()> {
        let check = Check { operation: ADD, target: pool.as_str() };
        let config = topology.to_config(check)?;
        if !force {
            self.check_unused(topology.devices(), check)?;
        }
        let mut cmd = self.config_cmd(ADD, pool, &config)?;
        cmd.flags = u32::from(!force);
        self.vdev_call(ADD, &mut cmd)
    }

    /// Makes a device part of the vdev `to`: a second (third, ...) side of a mirror, a mirror of a single device, or from OpenZFS 2.3 on
    /// a further column of a raidz vdev. The data is copied in the background: [`Zfs::wait_pool`].
    ///
    /// Reads the device's label and issues `ZFS_IOC_VDEV_ATTACH`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the pool has no such vdev; [`ErrorKind::Invalid`] when it takes no more devices, or the new one is too
    /// small; [`ErrorKind::Busy`] when the device is in use, or the pool busy with another change; [`ErrorKind::InProgress`] while there is
    /// a checkpoint.
    #[doc(alias = "zpool_vdev_attach")]
    pub fn attach_vdev(&self, pool: &PoolName, to: Guid, device: &NewDevice) -> Result<()> {
        self.attach(ATTACH, pool, to, device)
    }

    /// Puts a device in the place of another, which is detached once the data is copied: [`Zfs::wait_pool`] with
    /// [`PoolActivity::Replace`](super::PoolActivity::Replace).
    ///
    /// Reads the device's label and issues `ZFS_IOC_VDEV_ATTACH`.
    ///
    /// # Errors
    /// As [`Self::attach_vdev`].
    pub fn replace_vdev(&self, pool: &PoolName, old: Guid, device: &NewDevice) -> Result<()> {
        self.attach(REPLACE, pool, old, device)
    }

    /// Takes a device out of a mirror, or ends a replacement by giving up one of the two.
    ///
    /// Issues `ZFS_IOC_VDEV_DETACH`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the pool has no such device; [`ErrorKind::Invalid`] when it is not in a mirror;
    /// [`ErrorKind::Busy`] when the others do not have all of its data.
    #[doc(alias = "zpool_vdev_detach")]
    pub fn detach_vdev(&self, pool: &PoolName, vdev: Guid) -> Result<()> {
        self.vdev_call(DETACH, &mut vdev_cmd(pool, vdev))
    }

    /// Removes a top-level vdev, spare or cache device from a pool. Data is copied to the other vdevs in the background: [`Zfs::wait_pool`]
    /// with [`PoolActivity::Remove`](super::PoolActivity::Remove).
    ///
    /// Issues `ZFS_IOC_VDEV_REMOVE`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the pool has no such vdev; [`ErrorKind::Invalid`] when it cannot be removed from such a pool;
    /// [`ErrorKind::NoSpace`] when the others are too full; [`ErrorKind::Busy`], [`ErrorKind::InProgress`] while another change is going on;
    /// [`ErrorKind::KeyNotLoaded`].
    #[doc(alias = "zpool_vdev_remove")]
    pub fn remove_vdev(&self, pool: &PoolName, vdev: Guid) -> Result<()> {
        self.vdev_call(REMOVE, &mut vdev_cmd(pool, vdev))
    }

    /// Stops the removal that is going on. What was copied is given up.
    ///
    /// Issues `ZFS_IOC_VDEV_REMOVE`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when nothing is being removed.
    #[doc(alias = "zpool_vdev_remove_cancel")]
    pub fn cancel_removal(&self, pool: &PoolName) -> Result<()> {
        let mut cmd = Cmd::new(pool.as_str());
        cmd.cookie = 1;
        self.vdev_call(CANCEL, &mut cmd)
    }

    /// Brings a device back into use, and with `expand` uses all of its size. Returns the state it is in now, which is not
    /// [`VdevState::Online`] when it cannot be opened.
    ///
    /// Issues `ZFS_IOC_VDEV_SET_STATE`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the pool has no such device; [`ErrorKind::Invalid`] when it is a spare or cache device.
    #[doc(alias = "zpool_vdev_online")]
    pub fn online_vdev(&self, pool: &PoolName, vdev: Guid, expand: bool) -> Result<VdevState> {
        let mut cmd = vdev_cmd(pool, vdev);
        cmd.cookie = STATE_ONLINE;
        cmd.obj = if expand { ONLINE_EXPAND } else { 0 };
        self.vdev_call(STATE, &mut cmd)?;
        Ok(VdevState::from_number(cmd.cookie))
    }

    /// Takes a device out of use.
    ///
    /// Issues `ZFS_IOC_VDEV_SET_STATE`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the pool has no such device; [`ErrorKind::Busy`] when the pool cannot do without it;
    /// [`ErrorKind::Invalid`] when it is a spare or cache device.
    #[doc(alias = "zpool_vdev_offline")]
    pub fn offline_vdev(&self, pool: &PoolName, vdev: Guid, offline: Offline) -> Result<()> {
        let mut cmd = vdev_cmd(pool, vdev);
        (cmd.cookie, cmd.obj) = match offline {
            Offline::Persistent => (STATE_OFFLINE, 0),
            Offline::Temporary => (STATE_OFFLINE, OFFLINE_TEMPORARY),
            Offline::Faulted => (STATE_FAULTED, AUX_EXTERNAL),
        };
        self.vdev_call(STATE, &mut cmd)
    }

    /// Tells the pool under which path to look for a device the next time it opens it.
    ///
    /// Issues `ZFS_IOC_VDEV_SETPATH`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the pool has no such device.
    pub fn set_vdev_path(&self, pool: &PoolName, vdev: Guid, path: &Path) -> Result<()> {
        let mut cmd = vdev_cmd(pool, vdev);
        cmd.value = path.as_os_str().as_encoded_bytes().to_vec();
        self.vdev_call(PATH, &mut cmd)
    }

    /// Forgets the errors of a pool's devices, or of one vdev, opens them anew, and lets a suspended pool go on.
    ///
    /// Issues `ZFS_IOC_CLEAR`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool or vdev; [`ErrorKind::Io`] when the devices still fail, in which case the pool stays
    /// suspended; [`ErrorKind::PoolUnavailable`] when another host may have imported it meanwhile (`multihost`).
    #[doc(alias = "zpool_clear")]
    pub fn clear_pool(&self, pool: &PoolName, vdev: Option<Guid>) -> Result<()> {
        let mut cmd = vdev_cmd(pool, vdev.unwrap_or_default());
        cmd.cookie = NO_REWIND;
        let Err(error) = self.call_cmd(CLEAR, &mut cmd) else { return Ok(()) };
        // The kernel says `EIO` for a pool that is not there, too.
        let absent = error.errno() == Some(Errno::EIO)
            && self.pool_names().is_ok_and(|pools| !pools.contains(pool));
        if absent {
            return Err(CLEAR
                .error(ErrorKind::NotFound, pool.as_str(), "there is no such pool")
                .with_errno(Errno::EIO));
        }
        Err(error.into_error(self))
    }

    fn attach(
        &self,
        operation: Operation,
        pool: &PoolName,
        to: Guid,
        device: &NewDevice,
    ) -> Result<()> {
        let check = Check { operation, target: pool.as_str() };
        let leaf = leaf(&device.path, device.ashift, check)?;
        if !device.force {
            self.check_unused(std::iter::once(device.path.as_path()), check)?;
        }
        let mut root = NvList::new();
        root.insert("type", "root").insert("children", vec![leaf]);
        let mut cmd = self.config_cmd(operation, pool, &root)?;
        cmd.guid = to.get();
        cmd.cookie = u64::from(operation.verb == REPLACE.verb);
        cmd.simple = device.sequential;
        self.vdev_call(operation, &mut cmd)
    }

    fn config_cmd(&self, operation: Operation, pool: &PoolName, config: &NvList) -> Result<Cmd> {
        let packed = config.to_bytes().map_err(|error| {
            CallError::library(operation, pool.as_str(), Error::from(error)).into_error(self)
        })?;
        let mut cmd = Cmd::new(pool.as_str());
        cmd.conf = Some(packed);
        Ok(cmd)
    }

    fn vdev_call(&self, operation: Operation, cmd: &mut Cmd) -> Result<()> {
        self.call_cmd(operation, cmd).map_err(|error| error.into_error(self))?;
        Ok(())
    }
}

fn vdev_cmd(pool: &PoolName, vdev: Guid) -> Cmd {
    let mut cmd = Cmd::new(pool.as_str());
    cmd.guid = vdev.get();
    cmd
}
