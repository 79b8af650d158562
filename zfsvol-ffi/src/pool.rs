//! Pools: their status, properties, export, checkpoints, programs and boot environment.

use zfsvol_core::nvlist::{NvList, Value};
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{Export, Program};
use zfsvol_core::{Bytes, PoolName};

use crate::boundary::Growing;
use crate::error::{Fault, zfsvol_error};
use crate::nvlist::{properties, zfsvol_nvlist};
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

/// The names of all imported pools: string array `pools`. Issues `ZFS_IOC_POOL_CONFIGS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_names(
    zfs: *const zfsvol_zfs,
    pools: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(pools)?;
        let names = caller.get(zfs)?.pool_names()?;
        out.texts("pools", names.iter().map(PoolName::as_str));
    })
}

/// The status of all imported pools: nvlist array `pools`, each as `zfsvol_pool_status` gives it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_list(
    zfs: *const zfsvol_zfs,
    pools: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(pools)?;
        let found = caller.get(zfs)?.list_pools()?;
        out.array("pools", &found)?;
    })
}

/// The status of a pool: `name`, `guid`, `health` (string: `online`, `degraded`, `faulted`, `unavailable`, `offline`, `removed`, `suspended`, `unknown`), `suspended` (string), `size`, `allocated`,
/// `free`, `freeing`, `fragmentation`, `txg`, `errors`, `read_only`, `root` (nvlist), `spares`, `cache` (nvlist arrays), `scan`, `checkpoint`, `features` (nvlists), `config` (nvlist, the kernel's own).
///
/// A vdev has `kind`, `id`, `guid`, `path`, `class`, `state`, `reason`, `stats` (nvlist) and `children` (nvlist array). Issues `ZFS_IOC_POOL_STATS`. Fails with `NOT_FOUND`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_status(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    status: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(status)?;
        let found = caller.get(zfs)?.pool_status(&caller.name(pool)?)?;
        out.list(&found)?;
    })
}

/// All properties of a pool, as `zfsvol_property_list` gives those of a dataset; its features are in `zfsvol_pool_status`. Issues `ZFS_IOC_POOL_GET_PROPS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_properties(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    properties: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(properties)?;
        let found = caller.get(zfs)?.pool_properties(&caller.name(pool)?)?;
        out.list(&found)?;
    })
}

/// Sets properties of a pool. Issues `ZFS_IOC_POOL_SET_PROPS` once. Fails with `INVALID_PROPERTY`, `NOT_FOUND`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_set_properties(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    properties: *const zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let set = self::properties(caller, properties, PropertySet::for_pool())?;
        caller.get(zfs)?.set_pool_properties(&caller.name(pool)?, &set)?;
    })
}

/// Destroys a pool and everything in it. Fails with `BUSY`, `NOT_FOUND`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_destroy(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.destroy_pool(&caller.name(pool)?)?)
}

/// How a pool is exported: a `ZFSVOL_EXPORT_...`.
pub type zfsvol_export = u32;

/// Refused while anything of it is in use.
pub const ZFSVOL_EXPORT_CLEAN: zfsvol_export = 0;
/// Although a spare of it is in use by another pool.
pub const ZFSVOL_EXPORT_FORCE: zfsvol_export = 1;
/// Without a mark on its disks that it was exported.
pub const ZFSVOL_EXPORT_WITHOUT_MARK: zfsvol_export = 2;

/// Exports a pool. Fails with `BUSY`, `NOT_FOUND`, `IN_PROGRESS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_export(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    how: zfsvol_export,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let how = match how {
            ZFSVOL_EXPORT_CLEAN => Export::Clean,
            ZFSVOL_EXPORT_FORCE => Export::Force,
            ZFSVOL_EXPORT_WITHOUT_MARK => Export::WithoutMark,
            other => return Err(Fault::unknown("way to export", other)),
        };
        caller.get(zfs)?.export_pool(&caller.name(pool)?, how)?;
    })
}

/// Has everything that was written so far on disk when it returns; `force` also where nothing was. Issues `ZFS_IOC_POOL_SYNC`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_sync(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    force: bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.sync_pool(&caller.name(pool)?, force)?)
}

/// Opens the devices of a pool anew; `restart_scrub` starts a scrub that runs from the beginning. Issues `ZFS_IOC_POOL_REOPEN`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_reopen(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    restart_scrub: bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.reopen_pool(&caller.name(pool)?, restart_scrub)?)
}

/// Takes a checkpoint of a pool. Issues `ZFS_IOC_POOL_CHECKPOINT`. Fails with `IN_PROGRESS` (there is one, or one is being discarded).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_checkpoint(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.checkpoint_pool(&caller.name(pool)?)?)
}

/// Discards the checkpoint of a pool. Issues `ZFS_IOC_POOL_DISCARD_CHECKPOINT`. Fails with `NOT_FOUND`, `IN_PROGRESS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_discard_checkpoint(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.discard_checkpoint(&caller.name(pool)?)?)
}

/// The boot environment of a pool, as its nvlist is. Issues `ZFS_IOC_GET_BOOTENV`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_bootenv(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    environment: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(environment)?;
        out.give(caller.get(zfs)?.bootenv(&caller.name(pool)?)?);
    })
}

/// Replaces the boot environment of a pool. Issues `ZFS_IOC_SET_BOOTENV`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_set_bootenv(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    environment: *const zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let environment = caller.get(environment)?;
        caller.get(zfs)?.set_bootenv(&caller.name(pool)?, environment)?;
    })
}

/// How to run a channel program. All zeros: without arguments, with the limits that the `zfs` command has, and what it changes is kept.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_program_options {
    /// `sizeof(zfsvol_program_options)`.
    pub size: usize,
    /// What the program gets as `...`.
    pub arguments: *const zfsvol_nvlist,
    /// Stops it after so many instructions; 0 for 10,000,000.
    pub instructions_max: u64,
    /// Stops it when it takes so many bytes of memory; 0 for 10 MiB.
    pub memory_bytes_max: u64,
    /// Runs it without a transaction group of its own: it can read only.
    pub nosync: bool,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and a C `bool`, which zeros are too.
unsafe impl Growing for zfsvol_program_options {
    const NAME: &'static str = "zfsvol_program_options";
}

/// Runs a channel program, a script in Lua, on a pool: all it changes is changed in one transaction group. `result` is an nvlist with the pair `return`, of whatever type the
/// program returned; empty when it returned nothing. Issues `ZFS_IOC_CHANNEL_PROGRAM` once.
///
/// Fails with `PROGRAM_FAILED`, and its own message; `DENIED`; `NOT_FOUND`; `TOO_LARGE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_program(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    script: zfsvol_str,
    options: *const zfsvol_program_options,
    result: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(result)?;
        let given = caller.options(options)?;
        let mut program = Program::new(caller.text(script)?);
        if let Some(arguments) = caller.get_optional(given.arguments)? {
            program = program.arguments(arguments.clone());
        }
        if given.instructions_max != 0 {
            program = program.instructions_max(given.instructions_max);
        }
        if given.memory_bytes_max != 0 {
            program = program.memory_max(Bytes::new(given.memory_bytes_max));
        }
        let (zfs, pool) = (caller.get(zfs)?, caller.name(pool)?);
        let returned: Option<Value> = if given.nosync {
            zfs.channel_program_nosync(&pool, &program)?
        } else {
            zfs.channel_program(&pool, &program)?
        };
        let mut list = NvList::new();
        if let Some(value) = returned {
            list.insert("return", value);
        }
        out.give(list);
    })
}
