//! [`zfsvol_diff`]: which files changed.

use zfsvol_core::EntityName;
use zfsvol_core::zfs::{CancelHandle, Diff};

use crate::error::zfsvol_error;
use crate::handle::{Object, Slot};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::{zfsvol_buffer, zfsvol_str};
use crate::zfs::zfsvol_zfs;

/// The files that changed, one after the other. Read by one thread at a time; others wait, but for one that cancels.
#[derive(Debug)]
pub struct zfsvol_diff {
    _private: [u8; 0],
}

impl Object for zfsvol_diff {
    type Value = Comparing;
    const NAME: &'static str = "zfsvol_diff";
}

/// What is behind a [`zfsvol_diff`]: cancelling does not wait for who reads.
#[derive(Debug)]
pub struct Comparing {
    changes: Slot<Diff>,
    cancel: CancelHandle,
}

/// Compares the snapshot `from` with `to`: a later snapshot of the same file system or a clone, or the file system as it is now, of which a temporary snapshot is made that
/// goes with the object. Nothing need be mounted. Issues `ZFS_IOC_DIFF` in a thread of its own.
///
/// Fails with `NOT_FOUND`, `UNRELATED` (`from` is no earlier snapshot of it), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_diff_open(
    zfs: *const zfsvol_zfs,
    from: zfsvol_str,
    to: zfsvol_str,
    diff: *mut *mut zfsvol_diff,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(diff)?;
        let (from, to) = (caller.name(from)?, caller.name::<EntityName>(to)?);
        let changes = caller.get(zfs)?.diff(&from, &to)?;
        let cancel = changes.cancel_handle();
        out.give(Comparing { changes: Slot::new(changes), cancel });
    })
}

/// The next file that changed, or NULL when there is none any more: `kind` (string: `added`, `removed`, `modified`, `renamed` with the new path `detail` (string), `links` with how many more or
/// fewer `detail` (int64)), `path` (string, from the root of the file system; of one that was renamed, the earlier), `file` (string: `file`, `directory`, `symbolic_link`, `block_device`,
/// `character_device`, `fifo`, `socket`, `other`), `object` (uint64), `changed` (int64).
///
/// Fails with `WRONG_TYPE` (zvols), `KEY_NOT_LOADED`, `CANCELLED`, `DENIED`; then there is no next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_diff_next(
    diff: *const zfsvol_diff,
    change: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(change)?;
        out.next(caller.get(diff)?.changes.with(Iterator::next)?.transpose()?.as_ref())?;
    })
}

/// What it is compared with: the later snapshot, which is the temporary one if the present is. To be freed with `zfsvol_buffer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_diff_to(
    diff: *const zfsvol_diff,
    snapshot: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(snapshot)?;
        caller.get(diff)?.changes.with(|changes| out.bytes(changes.to()))?;
    })
}

/// Stops the comparison, from any thread, also while another one waits for the next file. Does nothing once it is over, or for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_diff_cancel(diff: *const zfsvol_diff) {
    boundary!(or(), |caller| caller.get(diff)?.cancel.cancel());
}

/// Frees it, read to its end or not; one that is not is cancelled. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_diff_free(diff: *mut zfsvol_diff) {
    boundary!(or(), |caller| caller.free(diff)?);
}

/// The path of an object (an inode number) in a snapshot or an unmounted file system, from its root; to be freed with `zfsvol_buffer_free`. Issues `ZFS_IOC_OBJ_TO_PATH`.
///
/// Fails with `NOT_FOUND`, `WRONG_TYPE` (a zvol), `KEY_NOT_LOADED`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_object_path(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    object: u64,
    path: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(path)?;
        let found = caller.get(zfs)?.object_path(&caller.name::<EntityName>(name)?, object)?;
        out.bytes(found.as_os_str().as_encoded_bytes());
    })
}
