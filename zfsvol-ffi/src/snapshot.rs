//! Snapshots, their holds, and bookmarks.

use std::collections::BTreeSet;

use zfsvol_core::kernel::Handle;
use zfsvol_core::nvlist::{NvList, NvString, Value};
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::Destroy;
use zfsvol_core::{BookmarkName, EntityName, SnapshotName};

use crate::answer;
use crate::boundary::Caller;
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::nvlist::{properties, zfsvol_nvlist};
use crate::status::zfsvol_status;
use crate::view::{zfsvol_buffer, zfsvol_str};
use crate::zfs::zfsvol_zfs;

/// Takes snapshots, all in one transaction group or none. Issues `ZFS_IOC_SNAPSHOT` once.
///
/// With each name that failed in the error: `EXISTS`, `NOT_FOUND` (the dataset), `UNRELATED` (two pools, or two of one dataset), `NO_SPACE`, `QUOTA_EXCEEDED`,
/// `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_snapshot_create(
    zfs: *const zfsvol_zfs,
    snapshots: *const zfsvol_str,
    count: usize,
    properties: *const zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let names: Vec<SnapshotName> = caller.names(snapshots, count)?;
        let set = self::properties(caller, properties, PropertySet::new())?;
        caller.get(zfs)?.snapshot(&names, &set)?;
    })
}

/// Takes a snapshot of that name (what follows the `@`) of a dataset and of everything below it, in one transaction group. `snapshots` are the
/// names made (string array); NULL if they do not matter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_snapshot_create_recursive(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    snapshot: zfsvol_str,
    properties: *const zfsvol_nvlist,
    snapshots: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(snapshots)?;
        let set = self::properties(caller, properties, PropertySet::new())?;
        let (root, name) = (caller.name(root)?, caller.text(snapshot)?);
        let made = caller.get(zfs)?.snapshot_recursive(&root, name, &set)?;
        out.texts("snapshots", made.iter().map(SnapshotName::as_str));
    })
}

/// Destroys snapshots, all in one transaction group or none; those that are not there are passed over. `deferred` marks those that are held or cloned to go
/// when they no longer are. Issues `ZFS_IOC_DESTROY_SNAPS` once.
///
/// With each name that failed in the error, and by what it is kept busy: `BUSY`, `UNRELATED` (two pools), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_snapshot_destroy(
    zfs: *const zfsvol_zfs,
    snapshots: *const zfsvol_str,
    count: usize,
    deferred: bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let names: Vec<SnapshotName> = caller.names(snapshots, count)?;
        caller.get(zfs)?.destroy_snapshots(&names, how(deferred))?;
    })
}

/// Destroys the snapshots of that name of a dataset and of everything below it, as `zfsvol_snapshot_destroy` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_snapshot_destroy_recursive(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    snapshot: zfsvol_str,
    deferred: bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let (root, name) = (caller.name(root)?, caller.text(snapshot)?);
        caller.get(zfs)?.destroy_snapshots_recursive(&root, name, how(deferred))?;
    })
}

/// Gives a snapshot another name (what follows the `@`); `recursive` those of the same name below its dataset too. `renamed` is its full name now (NULL if that
/// does not matter). Issues `ZFS_IOC_RENAME`.
///
/// Fails with `NOT_FOUND`, `EXISTS`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_snapshot_rename(
    zfs: *const zfsvol_zfs,
    from: zfsvol_str,
    to: zfsvol_str,
    recursive: bool,
    renamed: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(renamed)?;
        let (from, to) = (caller.name(from)?, caller.text(to)?);
        let name = caller.get(zfs)?.rename_snapshot(&from, to, recursive)?;
        out.bytes(name.as_str());
    })
}

/// What destroying all snapshots from `first` to `last` of one dataset would free: `used`, `compressed`, `uncompressed` (uint64). Issues `ZFS_IOC_SPACE_SNAPS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_snapshot_range_space(
    zfs: *const zfsvol_zfs,
    first: zfsvol_str,
    last: zfsvol_str,
    space: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(space)?;
        let (first, last) = (caller.name(first)?, caller.name(last)?);
        let found = caller.get(zfs)?.snapshot_range_space(&first, &last)?;
        out.list(&found)?;
    })
}

/// What was written to a dataset or snapshot since an earlier snapshot or bookmark of it. Keys as in `zfsvol_snapshot_range_space`. Issues `ZFS_IOC_SPACE_WRITTEN`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_snapshot_space_written(
    zfs: *const zfsvol_zfs,
    what: zfsvol_str,
    since: zfsvol_str,
    space: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(space)?;
        let base = crate::send::base(caller, since)?;
        let found = caller.get(zfs)?.space_written(&caller.name::<EntityName>(what)?, &base)?;
        out.list(&found)?;
    })
}

/// A hold: which snapshot, and the tag.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_hold {
    /// The snapshot.
    pub snapshot: zfsvol_str,
    /// The tag, of at most 255 bytes.
    pub tag: zfsvol_str,
}

/// A descriptor of one's own to the kernel: temporary holds end when it is freed, or when the process ends.
#[derive(Debug)]
pub struct zfsvol_handle {
    _private: [u8; 0],
}

impl Object for zfsvol_handle {
    type Value = Handle;
    const NAME: &'static str = "zfsvol_handle";
}

/// Opens a descriptor of one's own, for temporary holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_handle_open(
    zfs: *const zfsvol_zfs,
    handle: *mut *mut zfsvol_handle,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(handle)?;
        out.give(caller.get(zfs)?.handle()?);
    })
}

/// Closes it; the holds that were made with it end. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_handle_free(handle: *mut zfsvol_handle) {
    boundary!(or(), |caller| caller.free(handle)?);
}

/// Holds snapshots so that they cannot be destroyed, all in one transaction group or none. With a `handle` the holds are temporary. Issues `ZFS_IOC_HOLD` once.
///
/// Snapshots that are not there are left out: `missing` (string array `snapshots`; NULL if that does not matter). With each name that failed in the error, and the tag in its reason: `EXISTS` (the tag),
/// `UNRELATED` (two pools), `INVALID` (a snapshot is named twice), `INVALID_NAME` (the length of the tag), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_hold_create(
    zfs: *const zfsvol_zfs,
    holds: *const zfsvol_hold,
    count: usize,
    handle: *const zfsvol_handle,
    missing: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(missing)?;
        let holds = pairs(caller, holds, count)?;
        let left = caller.get(zfs)?.hold(&holds, caller.get_optional(handle)?)?;
        out.texts("snapshots", left.iter().map(SnapshotName::as_str));
    })
}

/// Releases holds, all in one transaction group or none. Issues `ZFS_IOC_RELEASE` once.
///
/// Those that are not there are left out: `missing` (NULL if that does not matter) has them in the nvlist array `holds`, with `snapshot`, `tag` (string) and `snapshot_exists` (boolean: only
/// that hold of it is not there); and their snapshots, each once, in the string array `snapshots`. With each snapshot that failed in the error, and its tags in the reason: `UNRELATED` (two
/// pools), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_hold_release(
    zfs: *const zfsvol_zfs,
    holds: *const zfsvol_hold,
    count: usize,
    missing: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(missing)?;
        let left = caller.get(zfs)?.release(&pairs(caller, holds, count)?)?;
        if out.is_wanted() {
            let holds: Result<Vec<NvList>, Fault> = left.iter().map(answer::list).collect();
            let snapshots: BTreeSet<&str> = left.iter().map(|one| one.snapshot.as_str()).collect();
            let mut list = answer::lists("holds", holds?);
            let snapshots = snapshots.into_iter().map(NvString::from).collect();
            list.insert("snapshots", Value::StringArray(snapshots));
            out.give(list);
        }
    })
}

/// The holds of a snapshot: nvlist array `holds` with `tag` (string) and `since` (int64). Issues `ZFS_IOC_GET_HOLDS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_hold_list(
    zfs: *const zfsvol_zfs,
    snapshot: zfsvol_str,
    holds: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(holds)?;
        let found = caller.get(zfs)?.holds(&caller.name(snapshot)?)?;
        out.array("holds", &found)?;
    })
}

/// A bookmark to be made, and of what.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_bookmark {
    /// The bookmark, `tank/a#b`.
    pub name: zfsvol_str,
    /// The snapshot, or bookmark, that it is made of.
    pub source: zfsvol_str,
}

/// Makes bookmarks, all in one transaction group or none. Issues `ZFS_IOC_BOOKMARK` once.
///
/// With each name that failed in the error: `EXISTS`, `NOT_FOUND` (the source), `UNRELATED`, `FEATURE_DISABLED`, `INVALID` (the source is a dataset), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_bookmark_create(
    zfs: *const zfsvol_zfs,
    bookmarks: *const zfsvol_bookmark,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let all: Result<Vec<(BookmarkName, EntityName)>, Fault> = caller
            .array(bookmarks, count)?
            .iter()
            .map(|one| Ok((caller.name(one.name)?, caller.name(one.source)?)))
            .collect();
        caller.get(zfs)?.bookmark(&all?)?;
    })
}

/// The bookmarks of a dataset: nvlist array `bookmarks` with `name` (string), `guid`, `createtxg` (uint64), `creation` (int64), and where there are any
/// `ivset_guid`, `referenced`, `logical_referenced` (uint64), `redact_snaps` (uint64 array), `redact_complete` (boolean). Issues `ZFS_IOC_GET_BOOKMARKS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_bookmark_list(
    zfs: *const zfsvol_zfs,
    dataset: zfsvol_str,
    bookmarks: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(bookmarks)?;
        let found = caller.get(zfs)?.bookmarks(&caller.name(dataset)?)?;
        out.array("bookmarks", &found)?;
    })
}

/// One bookmark, with keys as in `zfsvol_bookmark_list` but for those of redaction. Issues `ZFS_IOC_GET_BOOKMARK_PROPS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_bookmark_get(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    bookmark: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(bookmark)?;
        let found = caller.get(zfs)?.bookmark_properties(&caller.name(name)?)?;
        out.list(&found)?;
    })
}

/// Destroys bookmarks, all in one transaction group or none; those that are not there are passed over. Issues `ZFS_IOC_DESTROY_BOOKMARKS` once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_bookmark_destroy(
    zfs: *const zfsvol_zfs,
    bookmarks: *const zfsvol_str,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let names: Vec<BookmarkName> = caller.names(bookmarks, count)?;
        caller.get(zfs)?.destroy_bookmarks(&names)?;
    })
}

/// Makes a redaction bookmark of a snapshot: what those clones' snapshots in `by` changed is left out of streams that are sent with it. Issues `ZFS_IOC_REDACT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_bookmark_redact(
    zfs: *const zfsvol_zfs,
    snapshot: zfsvol_str,
    bookmark: zfsvol_str,
    by: *const zfsvol_str,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let by: Vec<SnapshotName> = caller.names(by, count)?;
        caller.get(zfs)?.redact(&caller.name(snapshot)?, &caller.name(bookmark)?, &by)?;
    })
}

fn how(deferred: bool) -> Destroy {
    if deferred { Destroy::Deferred } else { Destroy::Now }
}

fn pairs(
    caller: &Caller,
    holds: *const zfsvol_hold,
    count: usize,
) -> Result<Vec<(SnapshotName, &str)>, Fault> {
    let holds = caller.array(holds, count)?;
    holds.iter().map(|one| Ok((caller.name(one.snapshot)?, caller.text(one.tag)?))).collect()
}
