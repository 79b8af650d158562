//! The vdevs of a pool, by their GUIDs: attached, replaced, detached, removed, online and offline; their properties.

use zfsvol_core::nvlist::NvList;
use zfsvol_core::zfs::{NewDevice, Offline};
use zfsvol_core::{Guid, PoolName};

use crate::answer;
use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::topology::sectors;
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

/// A device that is to join a vdev. All zeros but the path: nothing special.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_new_device {
    /// `sizeof(zfsvol_new_device)`.
    pub size: usize,
    /// The file or device, by its absolute path.
    pub path: zfsvol_str,
    /// Sectors of 2 to the power of this many bytes, 9 to 16; 0 for what the device says.
    pub ashift: u8,
    /// Copies in the order of the device, not block by block: quicker, and a scrub afterwards verifies. For mirrors and draid.
    pub sequential: bool,
    /// Takes it even if it is part of an exported pool, or of one that another host may have in use.
    pub force: bool,
}

// SAFETY: `repr(C)` with the size first; numbers, a pointer and C's `bool`s, which zeros are too.
unsafe impl Growing for zfsvol_new_device {
    const NAME: &'static str = "zfsvol_new_device";
}

/// Makes a device part of the vdev `to`: a further side of a mirror, a mirror of a single device, or from OpenZFS 2.3 on a further column of a raidz vdev. The data
/// is copied in the background: `zfsvol_pool_wait`. Reads the device's label and issues `ZFS_IOC_VDEV_ATTACH`.
///
/// Fails with `NOT_FOUND` (the vdev, or the device), `INVALID` (it takes no more, or the device is too small), `BUSY`, `IN_PROGRESS` (there is a checkpoint), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_attach(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    to: u64,
    device: *const zfsvol_new_device,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (pool, device) = (caller.name(pool)?, device_of(caller, device)?);
        caller.get(zfs)?.attach_vdev(&pool, Guid::new(to), &device)?;
    })
}

/// Puts a device in the place of another, which is detached once the data is copied: `zfsvol_pool_wait` with `ZFSVOL_ACTIVITY_REPLACE`. The rest is as in `zfsvol_vdev_attach`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_replace(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    old: u64,
    device: *const zfsvol_new_device,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (pool, device) = (caller.name(pool)?, device_of(caller, device)?);
        caller.get(zfs)?.replace_vdev(&pool, Guid::new(old), &device)?;
    })
}

/// Takes a device out of a mirror, or ends a replacement by giving up one of the two. Issues `ZFS_IOC_VDEV_DETACH`.
///
/// Fails with `NOT_FOUND`, `INVALID` (it is in no mirror), `BUSY` (the others do not have all of its data), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_detach(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdev: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(zfs)?.detach_vdev(&caller.name(pool)?, Guid::new(vdev))?;
    })
}

/// Removes a top-level vdev, a spare or a cache device. Data is copied to the other vdevs in the background: `zfsvol_pool_wait` with `ZFSVOL_ACTIVITY_REMOVE`.
/// Issues `ZFS_IOC_VDEV_REMOVE`.
///
/// Fails with `NOT_FOUND`, `INVALID` (not from such a pool), `NO_SPACE`, `BUSY`, `IN_PROGRESS`, `KEY_NOT_LOADED`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_remove(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdev: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(zfs)?.remove_vdev(&caller.name(pool)?, Guid::new(vdev))?;
    })
}

/// Stops the removal that is going on in a pool. Issues `ZFS_IOC_VDEV_REMOVE`. Fails with `NOT_FOUND` when nothing is being removed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_cancel_removal(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.cancel_removal(&caller.name(pool)?)?)
}

/// Brings a device back into use, and with `expand` uses all of its size. `result` (NULL if it does not matter) has its `state` (string, as in `zfsvol_pool_status`), which is not
/// `online` when it cannot be opened. Issues `ZFS_IOC_VDEV_SET_STATE`. Fails with `NOT_FOUND`, `INVALID` (a spare or cache device), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_online(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdev: u64,
    expand: bool,
    result: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(result)?;
        let state = caller.get(zfs)?.online_vdev(&caller.name(pool)?, Guid::new(vdev), expand)?;
        let mut list = NvList::new();
        list.insert("state", answer::value(&state)?);
        out.give(list);
    })
}

/// How a device is taken out of use: a `ZFSVOL_OFFLINE_...`.
pub type zfsvol_offline = u32;

/// Until it is brought online again.
pub const ZFSVOL_OFFLINE_PERSISTENT: zfsvol_offline = 0;
/// Until then, or the next import.
pub const ZFSVOL_OFFLINE_TEMPORARY: zfsvol_offline = 1;
/// As if it had failed, until it is cleared.
pub const ZFSVOL_OFFLINE_FAULTED: zfsvol_offline = 2;

/// Takes a device out of use. Issues `ZFS_IOC_VDEV_SET_STATE`. Fails with `NOT_FOUND`, `BUSY` (the pool cannot do without it), `INVALID` (a spare or cache device), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_offline(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdev: u64,
    how: zfsvol_offline,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let how = match how {
            ZFSVOL_OFFLINE_PERSISTENT => Offline::Persistent,
            ZFSVOL_OFFLINE_TEMPORARY => Offline::Temporary,
            ZFSVOL_OFFLINE_FAULTED => Offline::Faulted,
            other => return Err(Fault::unknown("way to take offline", other)),
        };
        caller.get(zfs)?.offline_vdev(&caller.name(pool)?, Guid::new(vdev), how)?;
    })
}

/// Tells a pool under which path to look for a device the next time it opens it. Issues `ZFS_IOC_VDEV_SETPATH`. Fails with `NOT_FOUND`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_set_path(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdev: u64,
    path: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (pool, path) = (caller.name(pool)?, caller.path(path)?);
        caller.get(zfs)?.set_vdev_path(&pool, Guid::new(vdev), &path)?;
    })
}

/// Forgets the errors of a pool's devices, or with `vdev`, not 0, of one vdev; opens them anew, and lets a suspended pool go on. Issues `ZFS_IOC_CLEAR`.
///
/// Fails with `NOT_FOUND`, `IO` (they still fail, and the pool stays suspended), `POOL_UNAVAILABLE` (another host may have imported it), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_clear(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdev: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let vdev = (vdev != 0).then(|| Guid::new(vdev));
        caller.get(zfs)?.clear_pool(&caller.name(pool)?, vdev)?;
    })
}

/// The properties of a vdev, as `zfsvol_property_list` gives those of a dataset; numbers are as the kernel has them: 0 and 1 for `off` and `on`, all ones for `none`.
/// Issues `ZFS_IOC_VDEV_GET_PROPS`. Fails with `NOT_FOUND`, `UNSUPPORTED` (before OpenZFS 2.2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_properties(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdev: u64,
    properties: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(properties)?;
        out.list(&caller.get(zfs)?.vdev_properties(&caller.name(pool)?, Guid::new(vdev))?)?;
    })
}

/// Sets a property of a vdev: `allocating` (`on`, `off`), `comment`, `checksum_n` (a number in decimal, or `none`) and its like, or a user property, which an empty
/// text removes. Issues `ZFS_IOC_VDEV_SET_PROPS`.
///
/// Fails with `NOT_FOUND`, `INVALID_PROPERTY`, `READ_ONLY` (only the kernel sets it), `UNSUPPORTED` (before OpenZFS 2.2), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_set_property(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdev: u64,
    name: zfsvol_str,
    value: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let pool: PoolName = caller.name(pool)?;
        let (name, value) = (caller.text(name)?, caller.text(value)?);
        caller.get(zfs)?.set_vdev_property(&pool, Guid::new(vdev), name, value)?;
    })
}

fn device_of(caller: &Caller, device: *const zfsvol_new_device) -> Result<NewDevice, Fault> {
    let given = caller.options(device)?;
    Ok(NewDevice {
        path: caller.path(given.path)?,
        ashift: sectors(given.ashift),
        sequential: given.sequential,
        force: given.force,
    })
}
