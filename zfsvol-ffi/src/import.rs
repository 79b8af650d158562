//! [`zfsvol_importable`]: pools that can be imported. And importing them.

use zfsvol_core::Txg;
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{ImportOptions, ImportSearch, ImportablePool, Rewind};

use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::nvlist::{properties, zfsvol_nvlist};
use crate::status::{self, zfsvol_status};
use crate::view::{zfsvol_buffer, zfsvol_str};
use crate::zfs::zfsvol_zfs;

/// Pools that are not imported, as they were found on devices. It does not change.
#[derive(Debug)]
pub struct zfsvol_importable {
    _private: [u8; 0],
}

impl Object for zfsvol_importable {
    type Value = Vec<ImportablePool>;
    const NAME: &'static str = "zfsvol_importable";
}

/// Looks for pools that can be imported, by the labels on these files, devices and directories, whose files and devices are all looked at; with `destroyed`, for destroyed ones
/// too. Ordered by name and GUID. Issues `ZFS_IOC_POOL_CONFIGS`, and `ZFS_IOC_POOL_TRYIMPORT` for each.
///
/// Fails with `NOT_FOUND` (a path), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_importable_search(
    zfs: *const zfsvol_zfs,
    paths: *const zfsvol_str,
    count: usize,
    destroyed: bool,
    found: *mut *mut zfsvol_importable,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(found)?;
        let mut search = ImportSearch::new(caller.paths(paths, count)?);
        search.destroyed = destroyed;
        out.give(caller.get(zfs)?.importable_pools(&search)?);
    })
}

/// How many there are. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_importable_count(found: *const zfsvol_importable) -> usize {
    boundary!(or 0, |caller| caller.get(found)?.len())
}

/// One of them, `index` from 0: `name` (string), `guid`, `txg` (uint64), `destroyed`, `exported` (boolean), `health` (string), `in_use` (nvlist: `kind` (string: `imported`, `no_host_id`,
/// `last_used`), `hostname` (string), `hostid` (uint64)), `unsupported_features` (string array), `read_only_possible` (boolean), `root` (nvlist, as in `zfsvol_pool_status`), `config` (nvlist, the
/// kernel's own).
///
/// Fails with `NOT_FOUND` beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_importable_get(
    found: *const zfsvol_importable,
    index: usize,
    pool: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(pool)?;
        out.list(one(caller, found, index)?)?;
    })
}

/// The files and devices of one of them that were not found or cannot be used, by the path they had: string array `devices`. Fails as `zfsvol_importable_get`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_importable_missing(
    found: *const zfsvol_importable,
    index: usize,
    devices: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(devices)?;
        out.texts("devices", one(caller, found, index)?.missing_devices());
    })
}

/// Frees what was found. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_importable_free(found: *mut zfsvol_importable) {
    boundary!(or(), |caller| caller.free(found)?);
}

/// How far back a damaged pool may go to be opened: a `ZFSVOL_REWIND_...`. What was written later is lost.
pub type zfsvol_rewind = u32;

/// Not at all.
pub const ZFSVOL_REWIND_NONE: zfsvol_rewind = 0;
/// To its checkpoint.
pub const ZFSVOL_REWIND_CHECKPOINT: zfsvol_rewind = 1;
/// A few transaction groups if need be, `zpool import -F`.
pub const ZFSVOL_REWIND_RECOVER: zfsvol_rewind = 2;
/// As far as it takes, `zpool import -FX`. May read the whole pool, and leave damage.
pub const ZFSVOL_REWIND_EXTREME: zfsvol_rewind = 3;
/// To the transaction group that is given, or before.
pub const ZFSVOL_REWIND_TXG: zfsvol_rewind = 4;

/// How to import a pool. All zeros: nothing special.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_import_options {
    /// `sizeof(zfsvol_import_options)`.
    pub size: usize,
    /// Under another name.
    pub new_name: zfsvol_str,
    /// A directory that all mountpoints are taken to be below. Keeps the pool out of the cache file.
    pub altroot: zfsvol_str,
    /// Properties of the pool for this import (`cachefile`, `comment`).
    pub properties: *const zfsvol_nvlist,
    /// The transaction group of `ZFSVOL_REWIND_TXG`.
    pub txg: u64,
    /// What to do if it cannot be opened as it is.
    pub rewind: zfsvol_rewind,
    /// The other name is for this import only.
    pub temporary_name: bool,
    /// Nothing is written to it.
    pub read_only: bool,
    /// Even if another host was using it last.
    pub force: bool,
    /// Even if it was destroyed.
    pub destroyed: bool,
    /// Even if a log device is missing: what was only in the log is lost.
    pub missing_log: bool,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and C's `bool`s, which zeros are too.
unsafe impl Growing for zfsvol_import_options {
    const NAME: &'static str = "zfsvol_import_options";
}

/// Imports one of the pools that were found, and says what it is called now (`name`, to be freed with `zfsvol_buffer_free`; NULL if that does not matter). Nothing is mounted, and no key is loaded.
/// Issues `ZFS_IOC_POOL_IMPORT`.
///
/// Fails with `NOT_FOUND` (the index), `EXISTS`, `POOL_UNAVAILABLE` (devices are missing, which are named; or another host may have it in use), `UNSUPPORTED` (a feature), `BUSY`, `CORRUPT`, `IO`,
/// `READ_ONLY`, `INVALID_NAME`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_import(
    zfs: *const zfsvol_zfs,
    found: *const zfsvol_importable,
    index: usize,
    options: *const zfsvol_import_options,
    name: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(name)?;
        let options = options_of(caller, options)?;
        let imported = caller.get(zfs)?.import_pool(one(caller, found, index)?, &options)?;
        out.bytes(imported.as_str());
    })
}

fn one(
    caller: &Caller,
    found: *const zfsvol_importable,
    index: usize,
) -> Result<&ImportablePool, Fault> {
    caller.get(found)?.get(index).ok_or_else(|| {
        let status = status::ZFSVOL_STATUS_NOT_FOUND;
        Fault::new(status, "choose a pool", format!("there is none at {index}"))
    })
}

fn options_of(
    caller: &Caller,
    options: *const zfsvol_import_options,
) -> Result<ImportOptions, Fault> {
    let given = caller.options(options)?;
    Ok(ImportOptions {
        new_name: caller.optional_name(given.new_name)?,
        temporary_name: given.temporary_name,
        altroot: caller.optional_path(given.altroot)?,
        read_only: given.read_only,
        force: given.force,
        destroyed: given.destroyed,
        missing_log: given.missing_log,
        rewind: match given.rewind {
            ZFSVOL_REWIND_NONE => Rewind::None,
            ZFSVOL_REWIND_CHECKPOINT => Rewind::Checkpoint,
            ZFSVOL_REWIND_RECOVER => Rewind::Recover,
            ZFSVOL_REWIND_EXTREME => Rewind::Extreme,
            ZFSVOL_REWIND_TXG => Rewind::Txg(Txg::new(given.txg)),
            other => return Err(Fault::unknown("way to rewind", other)),
        },
        properties: properties(caller, given.properties, PropertySet::for_pool())?,
    })
}
