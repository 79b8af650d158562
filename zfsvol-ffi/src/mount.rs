//! Mounts of file systems and snapshots, in the mount namespace of the calling thread.

use zfsvol_core::kernel::UnmountFlags;
use zfsvol_core::nvlist::{NvList, NvString, Value};
use zfsvol_core::zfs::{MountOptions, MountOutcome, MountPath, UnmountOutcome};
use zfsvol_core::{DatasetName, EntityName, SnapshotName};

use crate::answer;
use crate::boundary::{Caller, Growing, Out};
use crate::error::{Fault, zfsvol_error};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::{zfsvol_buffer, zfsvol_str};
use crate::zfs::zfsvol_zfs;

/// What a mount takes from a property, or is told: a `ZFSVOL_MOUNT_...`.
pub type zfsvol_mount_choice = u32;

/// As the property says.
pub const ZFSVOL_MOUNT_PROPERTY: zfsvol_mount_choice = 0;
/// On, whatever the property says.
pub const ZFSVOL_MOUNT_ON: zfsvol_mount_choice = 1;
/// Off, whatever the property says.
pub const ZFSVOL_MOUNT_OFF: zfsvol_mount_choice = 2;

/// How to mount. All zeros: as the file system's properties say. What is said here holds for this mount only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_mount_options {
    /// `sizeof(zfsvol_mount_options)`.
    pub size: usize,
    /// On this directory, and not where the properties say; `canmount`, `legacy` and `none` do not matter then. Whoever mounts it so unmounts it, too.
    pub at: zfsvol_str,
    /// Instead of the property `readonly`.
    pub read_only: zfsvol_mount_choice,
    /// Instead of the property `atime`.
    pub atime: zfsvol_mount_choice,
    /// Instead of the property `relatime`.
    pub relatime: zfsvol_mount_choice,
    /// Instead of the property `devices`.
    pub devices: zfsvol_mount_choice,
    /// Instead of the property `exec`.
    pub exec: zfsvol_mount_choice,
    /// Instead of the property `setuid`.
    pub setuid: zfsvol_mount_choice,
    /// Instead of the property `overlay`: whether it may be mounted over a directory with something in it.
    pub overlay: zfsvol_mount_choice,
    /// Mounts it although it was received from a redacted stream.
    pub redacted: bool,
    /// Mounts it although it is `zoned`.
    pub zoned: bool,
    /// No part of the path may be a symbolic link: for directories below one that others write to.
    pub no_symlinks: bool,
}

// SAFETY: `repr(C)` with the size first; numbers, a pointer and C's `bool`s, which zeros are too.
unsafe impl Growing for zfsvol_mount_options {
    const NAME: &'static str = "zfsvol_mount_options";
}

/// Mounts a file system, and says where: `path` is to be freed with `zfsvol_buffer_free`. `mounted` says whether it was mounted now, and not before: then nothing was
/// done. Both can be NULL. The directory is made if it is not there. Linux lets only root do this.
///
/// Fails with `NOT_FOUND`, `WRONG_TYPE` (a zvol), `INVALID` (its properties say that it is not to be mounted), `KEY_NOT_LOADED`, `BUSY`, `EXISTS` (there is something in the
/// directory, and `overlay` is off), `READ_ONLY`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_mount(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    options: *const zfsvol_mount_options,
    path: *mut zfsvol_buffer,
    mounted: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (path, mounted) = (caller.optional_out(path)?, caller.optional_out(mounted)?);
        let (name, options) = (caller.name(name)?, options_of(caller, options)?);
        tell(&caller.get(zfs)?.mount(&name, &options)?, path, mounted);
    })
}

/// Mounts a snapshot read-only on a directory, which is made if it is not there. `mounted` as in `zfsvol_dataset_mount`, and so are the failures.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_snapshot_mount(
    zfs: *const zfsvol_zfs,
    snapshot: zfsvol_str,
    directory: zfsvol_str,
    mounted: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let mounted = caller.optional_out(mounted)?;
        let snapshot: SnapshotName = caller.name(snapshot)?;
        let outcome = caller.get(zfs)?.mount_snapshot(&snapshot, &caller.path(directory)?)?;
        mounted.set(is_new(&outcome));
    })
}

/// Mounts a file system and all below it that are to be mounted, like `zfs mount -a`. The option `at` is not looked at. `result` (NULL if it does not matter): nvlist array
/// `mounted`, each with `name`, `path` (string) and `already` (boolean), those before that others are mounted below; and `skipped`, each with `name` and `why` (string: `canmount_off`, `noauto`,
/// `no_mountpoint`, `legacy`, `key_not_loaded`, `receiving`, `redacted`, `zoned`).
///
/// Fails with `NOT_FOUND`. Else, with each that could not be mounted among the failed names, as `zfsvol_dataset_mount` or with `SEVERAL`; the rest is mounted then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_mount_tree(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    options: *const zfsvol_mount_options,
    result: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(result)?;
        let (root, options) = (caller.name(root)?, options_of(caller, options)?);
        let done = caller.get(zfs)?.mount_tree(&root, &options)?;
        let mounted = done.mounted.iter().map(|(name, outcome)| {
            let mut one = NvList::new();
            one.insert("name", name.as_str())
                .insert("path", NvString::from(outcome.path().as_os_str().as_encoded_bytes()))
                .insert("already", Value::BooleanValue(!is_new(outcome)));
            one
        });
        let mut list = answer::lists("mounted", mounted.collect());
        let mut skipped = Vec::with_capacity(done.skipped.len());
        for (name, why) in &done.skipped {
            let mut one = NvList::new();
            one.insert("name", name.as_str()).insert("why", answer::value(why)?);
            skipped.push(one);
        }
        list.insert("skipped", Value::NvListArray(skipped));
        out.give(list);
    })
}

/// Gives what is mounted the options that its properties say by now, or others for this mount only; the option `at` is not looked at.
///
/// Fails with `NOT_FOUND` (there is none, or it is not mounted), `BUSY` (it is to become read-only, and a file is open for writing), `READ_ONLY`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_remount(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    options: *const zfsvol_mount_options,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (name, options) = (caller.name(name)?, options_of(caller, options)?);
        caller.get(zfs)?.remount(&name, &options)?;
    })
}

/// How to unmount, added up: `ZFSVOL_UNMOUNT_...`.
pub type zfsvol_unmount_flags = u32;

/// Even if it is in use: what is open there gets errors.
pub const ZFSVOL_UNMOUNT_FORCE: zfsvol_unmount_flags = 1;
/// Out of sight now, gone when the last user is.
pub const ZFSVOL_UNMOUNT_DETACH: zfsvol_unmount_flags = 2;

/// Unmounts a file system or snapshot wherever it is mounted, the last mount first. `unmounted` says whether it was (NULL if that does not matter).
///
/// Fails with `BUSY`, and the error says by what, `DENIED`, `READ_ONLY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_unmount(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    flags: zfsvol_unmount_flags,
    unmounted: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(unmounted)?;
        let (name, flags) = (caller.name::<EntityName>(name)?, flags_of(flags)?);
        out.set(caller.get(zfs)?.unmount(&name, flags)? == UnmountOutcome::Unmounted);
    })
}

/// Unmounts a file system, its snapshots and all below it, the last mount first, and removes the empty directories that nobody chose, as `zpool export` does. `paths`
/// (NULL if they do not matter) are where they were: string array `paths`. Fails as `zfsvol_dataset_unmount`; the mounts after the one that failed stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_unmount_tree(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    flags: zfsvol_unmount_flags,
    paths: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(paths)?;
        let (root, flags) = (caller.name(root)?, flags_of(flags)?);
        let done = caller.get(zfs)?.unmount_tree(&root, flags)?;
        out.texts("paths", done.iter().map(|path| path.as_os_str().as_encoded_bytes()));
    })
}

/// Where a file system or snapshot is mounted now: string array `paths`, empty if it is not. Mounts of other namespaces cannot be seen. Reads the table of mounts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_mounted_at(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    paths: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(paths)?;
        let found = caller.get(zfs)?.mounted_at(&caller.name::<EntityName>(name)?)?;
        out.texts("paths", found.iter().map(|path| path.as_os_str().as_encoded_bytes()));
    })
}

/// Where a file system is to be mounted, whether it is or not: `kind` (string: `at` with `path` (string), `legacy`, `none`). Fails with `NOT_FOUND`, `WRONG_TYPE` (a zvol).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_mount_path(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    found: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(found)?;
        let name: DatasetName = caller.name(name)?;
        let mut list = NvList::new();
        match caller.get(zfs)?.mount_path(&name)? {
            MountPath::At(path) => list
                .insert("kind", "at")
                .insert("path", NvString::from(path.as_os_str().as_encoded_bytes())),
            MountPath::Legacy => list.insert("kind", "legacy"),
            MountPath::None => list.insert("kind", "none"),
        };
        out.give(list);
    })
}

fn is_new(outcome: &MountOutcome) -> bool {
    matches!(outcome, MountOutcome::Mounted(_))
}

fn tell(outcome: &MountOutcome, path: Out<zfsvol_buffer>, mounted: Out<bool>) {
    path.bytes(outcome.path().as_os_str().as_encoded_bytes());
    mounted.set(is_new(outcome));
}

fn flags_of(flags: zfsvol_unmount_flags) -> Result<UnmountFlags, Fault> {
    UnmountFlags::from_bits(flags).ok_or_else(|| Fault::unknown("flag of an unmount", flags))
}

fn options_of(
    caller: &Caller,
    options: *const zfsvol_mount_options,
) -> Result<MountOptions, Fault> {
    let given = caller.options(options)?;
    Ok(MountOptions {
        at: caller.optional_path(given.at)?,
        read_only: choice(given.read_only)?,
        atime: choice(given.atime)?,
        relatime: choice(given.relatime)?,
        devices: choice(given.devices)?,
        exec: choice(given.exec)?,
        setuid: choice(given.setuid)?,
        overlay: choice(given.overlay)?,
        redacted: given.redacted,
        zoned: given.zoned,
        no_symlinks: given.no_symlinks,
    })
}

fn choice(choice: zfsvol_mount_choice) -> Result<Option<bool>, Fault> {
    match choice {
        ZFSVOL_MOUNT_PROPERTY => Ok(None),
        ZFSVOL_MOUNT_ON => Ok(Some(true)),
        ZFSVOL_MOUNT_OFF => Ok(Some(false)),
        other => Err(Fault::unknown("choice of a mount", other)),
    }
}
