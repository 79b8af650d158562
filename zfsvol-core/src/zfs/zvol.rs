//! The block device of a zvol.

use std::time::Duration;

use super::Zfs;
use super::call::{Operation, REPLY_BYTES_FIRST};
use crate::error::{BusyReason, Error, ErrorKind, Result};
use crate::kernel::{Access, BlockDevice, Cmd, Errno, Ioc, ObjsetStats};
use crate::name::DatasetName;
use crate::nvlist::NvList;

const OPEN: Operation = Operation::new(Ioc::OBJSET_STATS, "open the device of");

/// `ZFS_VOLMODE_NONE` of OpenZFS `include/sys/fs/zfs.h`.
const VOLMODE_NONE: u64 = 3;
/// `ZFS_KEYSTATUS_UNAVAILABLE`, same place.
const KEY_UNAVAILABLE: u64 = 1;

impl Zfs {
    /// Opens the block device of a zvol, and waits for it up to `wait`: it appears a moment after the zvol was created or renamed, or its key
    /// loaded.
    ///
    /// Neither udev nor its links in `/dev/zvol` are needed: the device is found in `/sys/block` and asked for its name. On hosts without those
    /// links that opens, once each, other devices of the same size, which keeps their zvols busy for that moment. The zvol cannot be destroyed
    /// while its device is open.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS`, and `BLKZNAME` on devices.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such dataset, or no node for the device in `/dev` (a container that was not given it).
    /// - [`ErrorKind::WrongType`]: it is a file system.
    /// - [`ErrorKind::Invalid`]: its `volmode` is `none`, so that it has no device.
    /// - [`ErrorKind::KeyNotLoaded`]: it is encrypted, and has no device without its key.
    /// - [`ErrorKind::Busy`]: it is being received, or another program has the device to itself.
    /// - [`ErrorKind::ReadOnly`]: it is to be written to, and is read-only.
    /// - [`ErrorKind::Denied`]: this process may not open the device.
    /// - [`ErrorKind::TimedOut`]: no device appeared.
    pub fn open_zvol(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>> {
        let mut cmd = Cmd::new(zvol.as_str());
        cmd.reply_max = REPLY_BYTES_FIRST;
        let properties = self.call_cmd(OPEN, &mut cmd).map_err(|error| error.into_error(self))?;
        check_has_device(zvol, &cmd, &properties)?;
        let device = self.kernel().host().open_block(zvol, access, wait);
        device.map_err(|errno| cannot_open(zvol, errno, wait))
    }
}

fn check_has_device(zvol: &DatasetName, cmd: &Cmd, properties: &NvList) -> Result<()> {
    let property = |name| properties.get_list(name).and_then(|property| property.get_u64("value"));
    let stats = &cmd.objset_stats;
    let error = |kind, reason: &'static str| OPEN.error(kind, zvol.as_str(), reason);
    if stats.objset_type != ObjsetStats::ZVOL {
        return Err(error(ErrorKind::WrongType, "it is a file system, not a volume"));
    }
    if stats.inconsistent {
        return Err(error(ErrorKind::Busy, "it is busy").with_busy(vec![BusyReason::Receiving]));
    }
    if property("keystatus") == Some(KEY_UNAVAILABLE) {
        return Err(
            error(ErrorKind::KeyNotLoaded, "its key is not loaded").with_help("load the key")
        );
    }
    if property("volmode") == Some(VOLMODE_NONE) {
        return Err(error(ErrorKind::Invalid, "its volmode is 'none', so that it has no device")
            .with_help("set its volmode to 'dev' or 'full'"));
    }
    Ok(())
}

fn cannot_open(zvol: &DatasetName, errno: Errno, wait: Duration) -> Error {
    let error =
        |kind, reason: &'static str| OPEN.error(kind, zvol.as_str(), reason).with_errno(errno);
    match errno {
        Errno::ETIMEDOUT => {
            let reason = format!("no device appeared within {wait:?}");
            OPEN.error(ErrorKind::TimedOut, zvol.as_str(), reason).with_errno(errno).with_help(
                "wait longer, or see whether the module's parameters keep it from being made (zvol_inhibit_dev=1, zvol_volmode=3)",
            )
        }
        Errno::ENODEV => error(
            ErrorKind::NotFound,
            "the kernel has a device, and there is no node for it in /dev",
        )
        .with_help("in a container, pass the device through, or mount a devtmpfs on /dev"),
        Errno::ENOENT => error(ErrorKind::NotFound, "it does not exist"),
        Errno::EROFS => error(ErrorKind::ReadOnly, "it is read-only"),
        Errno::EACCES | Errno::EPERM => {
            error(ErrorKind::Denied, "this process may not open the device")
                .with_help("run as a user who may, and allow the device to the container")
        }
        Errno::EBUSY => error(ErrorKind::Busy, "another program has the device to itself"),
        _ => error(super::errno::meaning(OPEN.ioc, errno).kind, errno.reason()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::stub::{Stub, answer};

    fn zfs() -> Zfs {
        Zfs::new(Stub::new(|_, cmd| {
            let of = |number: u64| -> NvList { [("value", number)].into_iter().collect() };
            cmd.objset_stats.objset_type = ObjsetStats::ZVOL;
            match cmd.name.as_str() {
                "tank/fs" => {
                    cmd.objset_stats.objset_type = 2;
                    Ok(())
                }
                "tank/recv" => {
                    cmd.objset_stats.inconsistent = true;
                    Ok(())
                }
                "tank/locked" => answer(cmd, [("keystatus", of(KEY_UNAVAILABLE))]),
                "tank/hidden" => answer(cmd, [("volmode", of(VOLMODE_NONE))]),
                "tank/vol" => answer(cmd, [("volsize", of(1 << 20))]),
                _ => Err(Errno::ENOENT),
            }
        }))
    }

    #[test]
    fn each_reason_why_there_is_no_device_is_told_apart() {
        let zfs = zfs();
        for (name, kind, message) in [
            (
                "tank/none",
                ErrorKind::NotFound,
                "cannot open the device of 'tank/none': it does not exist (ENOENT)",
            ),
            (
                "tank/fs",
                ErrorKind::WrongType,
                "cannot open the device of 'tank/fs': it is a file system, not a volume",
            ),
            (
                "tank/recv",
                ErrorKind::Busy,
                "cannot open the device of 'tank/recv': a receive into it is running",
            ),
            (
                "tank/locked",
                ErrorKind::KeyNotLoaded,
                "cannot open the device of 'tank/locked': its key is not loaded; load the key",
            ),
            (
                "tank/hidden",
                ErrorKind::Invalid,
                "cannot open the device of 'tank/hidden': its volmode is 'none', so that it has no device; set its volmode to 'dev' or 'full'",
            ),
            (
                "tank/vol",
                ErrorKind::TimedOut,
                "cannot open the device of 'tank/vol': no device appeared within 1s (ETIMEDOUT); wait longer, or see whether the module's \
                 parameters keep it from being made (zvol_inhibit_dev=1, zvol_volmode=3)",
            ),
        ] {
            let error = zfs
                .open_zvol(&name.parse().unwrap(), Access::Read, Duration::from_secs(1))
                .unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.kind(), kind, "{name}");
        }
    }
}
