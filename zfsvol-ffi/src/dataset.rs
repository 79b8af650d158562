//! Datasets: file systems, zvols and clones, made, renamed, promoted, rolled back and destroyed.

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{Create, TreeDestroyed};
use zfsvol_core::{Bytes, DatasetName, EntityName, SnapshotName};

use crate::error::zfsvol_error;
use crate::key::zfsvol_key;
use crate::nvlist::{properties, zfsvol_nvlist};
use crate::status::zfsvol_status;
use crate::view::{zfsvol_buffer, zfsvol_str};
use crate::zfs::zfsvol_zfs;

/// Creates a file system with these properties (NULL for none). With a `key` (NULL for none) it is encrypted, and an encryption root of its own.
///
/// Properties are name and value: strings as `zfs set` takes them, numbers, or booleans for `on` and `off`. Issues `ZFS_IOC_CREATE`.
///
/// Fails with `EXISTS`, `NOT_FOUND` (the parent), `INVALID_PROPERTY`, `UNRELATED` (the parent is a zvol), `NO_SPACE`, `QUOTA_EXCEEDED`, `KEY_NOT_LOADED`,
/// `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_filesystem_create(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    properties: *const zfsvol_nvlist,
    key: *const zfsvol_key,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let zfs = caller.get(zfs)?;
        let name: DatasetName = caller.name(name)?;
        let set = self::properties(caller, properties, PropertySet::new())?;
        match caller.get_optional(key)? {
            None => zfs.create_filesystem(&name, &set)?,
            Some(key) => {
                zfs.create(&name, &Create::filesystem().properties(&set).key(key.clone()))?;
            }
        }
    })
}

/// Creates a zvol of `size` bytes. The rest is as in `zfsvol_filesystem_create`.
///
/// Fails with `INVALID` as well, for a size that is not a multiple of `volblocksize`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zvol_create(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    size: u64,
    properties: *const zfsvol_nvlist,
    key: *const zfsvol_key,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let zfs = caller.get(zfs)?;
        let name: DatasetName = caller.name(name)?;
        let set = self::properties(caller, properties, PropertySet::new())?;
        match caller.get_optional(key)? {
            None => zfs.create_zvol(&name, Bytes::new(size), &set)?,
            Some(key) => {
                let what = Create::zvol(Bytes::new(size)).properties(&set).key(key.clone());
                zfs.create(&name, &what)?;
            }
        }
    })
}

/// Changes the size of a zvol, and its reservation with it if it had one of the old size. A smaller size loses what is beyond it.
///
/// Fails with `NOT_FOUND`, `WRONG_TYPE` (a file system), `INVALID`, `NO_SPACE`, `BUSY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zvol_resize(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    size: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(zfs)?.resize_zvol(&caller.name(name)?, Bytes::new(size))?;
    })
}

/// Creates a dataset that begins as a snapshot, and shares its space with it. Issues `ZFS_IOC_CLONE`.
///
/// Fails with `EXISTS`, `NOT_FOUND` (the snapshot, or the parent), `UNRELATED` (another pool), `INVALID_PROPERTY`, `QUOTA_EXCEEDED`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_clone_create(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    origin: zfsvol_str,
    properties: *const zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let set = self::properties(caller, properties, PropertySet::new())?;
        let origin: SnapshotName = caller.name(origin)?;
        caller.get(zfs)?.create_clone(&caller.name(name)?, &origin, &set)?;
    })
}

/// Makes a clone the owner of the snapshots it shares with what it is a clone of, which becomes a clone of it. Issues `ZFS_IOC_PROMOTE`.
///
/// Fails with `NOT_FOUND`, `WRONG_TYPE` (it is no clone), `EXISTS` (both have a snapshot of one name), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_promote(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.promote(&caller.name(name)?)?)
}

/// Gives a dataset another name, below whatever parent in the same pool. Issues `ZFS_IOC_RENAME`.
///
/// Fails with `NOT_FOUND`, `EXISTS`, `UNRELATED`, `BUSY`, `TOO_LARGE` (a name below it gets too long), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_rename(
    zfs: *const zfsvol_zfs,
    from: zfsvol_str,
    to: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(zfs)?.rename(&caller.name(from)?, &caller.name(to)?)?;
    })
}

/// Destroys a dataset that has no snapshots and nothing below it. Issues `ZFS_IOC_DESTROY`.
///
/// Fails with `NOT_FOUND`; `BUSY`, and the error says by what.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_destroy(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.destroy(&caller.name(name)?)?)
}

/// How a tree was destroyed: a `ZFSVOL_TREE_...`.
pub type zfsvol_tree = u32;

/// All of it in one transaction group.
pub const ZFSVOL_TREE_AT_ONCE: zfsvol_tree = 0;
/// One by one, because the caller may not run channel programs or the tree is too large for one.
pub const ZFSVOL_TREE_ONE_BY_ONE: zfsvol_tree = 1;
/// There was no such dataset.
pub const ZFSVOL_TREE_ABSENT: zfsvol_tree = 2;

/// Destroys a dataset with everything below it and all snapshots. Looks for what would be in the way first, and then destroys all or nothing where it can.
///
/// `how` says which (NULL if that does not matter). Fails with `BUSY`, and the error says by what.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_destroy_recursive(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    how: *mut zfsvol_tree,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(how)?;
        let outcome = caller.get(zfs)?.destroy_recursive(&caller.name(root)?)?;
        out.set(match outcome {
            TreeDestroyed::AtOnce => ZFSVOL_TREE_AT_ONCE,
            TreeDestroyed::OneByOne => ZFSVOL_TREE_ONE_BY_ONE,
            TreeDestroyed::Absent => ZFSVOL_TREE_ABSENT,
        });
    })
}

/// Makes a dataset what its newest snapshot is, whose name `snapshot` gets (NULL if that does not matter). What was written since is lost. Issues
/// `ZFS_IOC_ROLLBACK`.
///
/// Fails with `NOT_FOUND` (the dataset, or it has no snapshot), `BUSY`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_rollback(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    snapshot: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(snapshot)?;
        let to = caller.get(zfs)?.rollback(&caller.name(name)?)?;
        out.bytes(to.as_str());
    })
}

/// The same to that snapshot, which must be the newest: `BUSY`, with the newer ones, if it is not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_rollback_to(
    zfs: *const zfsvol_zfs,
    snapshot: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.rollback_to(&caller.name(snapshot)?)?)
}

/// Whether a dataset, snapshot or bookmark is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_exists(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    exists: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(exists)?;
        out.set(caller.get(zfs)?.exists(&caller.name::<EntityName>(name)?)?);
    })
}

/// What keeps a dataset or snapshot busy: an nvlist array `busy` as in `zfsvol_error_details`, empty when nothing is known to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_busy(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    reasons: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(reasons)?;
        let found = caller.get(zfs)?.busy_reasons(&caller.name::<EntityName>(name)?);
        let busy = found.iter().map(crate::error::busy);
        out.give(crate::answer::lists("busy", busy.collect()));
    })
}
