//! Pools: their status, properties, activities, programs and boot environment.

use zfsvol_core::nvlist::{NvList, Value};
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{Export, PoolActivity, Program, Scrub, Waited};
use zfsvol_core::{Bytes, Guid, PoolName};

use crate::answer;
use crate::boundary::Growing;
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
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
        let names = answer::texts("pools", names.iter().map(PoolName::as_str));
        out.set(zfsvol_nvlist::give(names));
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
        out.set(zfsvol_nvlist::give(answer::array("pools", &found)?));
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
        out.set(zfsvol_nvlist::give(answer::list(&found)?));
    })
}

/// All properties of a pool, as `zfsvol_property_list` gives those of a dataset. Issues `ZFS_IOC_POOL_GET_PROPS`.
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
        out.set(zfsvol_nvlist::give(answer::list(&found)?));
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

/// Takes a checkpoint of a pool. Issues `ZFS_IOC_POOL_CHECKPOINT`. Fails with `EXISTS`, `IN_PROGRESS`.
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

/// What is to become of a scrub: a `ZFSVOL_SCRUB_...`.
pub type zfsvol_scrub = u32;

/// Starts one, or goes on with one that is paused.
pub const ZFSVOL_SCRUB_START: zfsvol_scrub = 0;
/// Starts one of what was written since the last. OpenZFS 2.4.
pub const ZFSVOL_SCRUB_SINCE_LAST: zfsvol_scrub = 1;
/// Starts one of the blocks in the error log. OpenZFS 2.2.
pub const ZFSVOL_SCRUB_ERRORS: zfsvol_scrub = 2;
/// Pauses it.
pub const ZFSVOL_SCRUB_PAUSE: zfsvol_scrub = 3;
/// Stops it.
pub const ZFSVOL_SCRUB_STOP: zfsvol_scrub = 4;
/// Starts a resilver anew.
pub const ZFSVOL_SCRUB_RESILVER: zfsvol_scrub = 5;

/// Starts, pauses or stops a scrub. Issues `ZFS_IOC_POOL_SCRUB`, or `ZFS_IOC_POOL_SCAN`. Fails with `IN_PROGRESS`, `NOT_FOUND`, `UNSUPPORTED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_scrub(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    scrub: zfsvol_scrub,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let scrub = match scrub {
            ZFSVOL_SCRUB_START => Scrub::Start,
            ZFSVOL_SCRUB_SINCE_LAST => Scrub::SinceLast,
            ZFSVOL_SCRUB_ERRORS => Scrub::Errors,
            ZFSVOL_SCRUB_PAUSE => Scrub::Pause,
            ZFSVOL_SCRUB_STOP => Scrub::Stop,
            ZFSVOL_SCRUB_RESILVER => Scrub::Resilver,
            other => return Err(Fault::unknown("scrub", other)),
        };
        caller.get(zfs)?.scrub_pool(&caller.name(pool)?, scrub)?;
    })
}

/// Something that takes a pool a while: a `ZFSVOL_ACTIVITY_...`.
pub type zfsvol_activity = u32;

/// A checkpoint is being discarded.
pub const ZFSVOL_ACTIVITY_CHECKPOINT_DISCARD: zfsvol_activity = 0;
/// Space of what was destroyed is being freed.
pub const ZFSVOL_ACTIVITY_FREE: zfsvol_activity = 1;
/// Devices are being initialized.
pub const ZFSVOL_ACTIVITY_INITIALIZE: zfsvol_activity = 2;
/// Devices are being replaced.
pub const ZFSVOL_ACTIVITY_REPLACE: zfsvol_activity = 3;
/// Devices are being removed.
pub const ZFSVOL_ACTIVITY_REMOVE: zfsvol_activity = 4;
/// A resilver runs.
pub const ZFSVOL_ACTIVITY_RESILVER: zfsvol_activity = 5;
/// A scrub runs.
pub const ZFSVOL_ACTIVITY_SCRUB: zfsvol_activity = 6;
/// Devices are being trimmed.
pub const ZFSVOL_ACTIVITY_TRIM: zfsvol_activity = 7;
/// A RAID-Z is being expanded. OpenZFS 2.3.
pub const ZFSVOL_ACTIVITY_RAIDZ_EXPAND: zfsvol_activity = 8;
/// Metadata is being condensed. OpenZFS 2.4.
pub const ZFSVOL_ACTIVITY_CONDENSE: zfsvol_activity = 9;

/// Waits until an activity of a pool is over; with `vdev`, not 0, that of one device. `waited` says whether there was anything to wait for (NULL if that does not
/// matter). Issues `ZFS_IOC_WAIT`; cannot be cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_wait(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    activity: zfsvol_activity,
    vdev: u64,
    waited: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let activity = match activity {
            ZFSVOL_ACTIVITY_CHECKPOINT_DISCARD => PoolActivity::CheckpointDiscard,
            ZFSVOL_ACTIVITY_FREE => PoolActivity::Free,
            ZFSVOL_ACTIVITY_INITIALIZE => PoolActivity::Initialize,
            ZFSVOL_ACTIVITY_REPLACE => PoolActivity::Replace,
            ZFSVOL_ACTIVITY_REMOVE => PoolActivity::Remove,
            ZFSVOL_ACTIVITY_RESILVER => PoolActivity::Resilver,
            ZFSVOL_ACTIVITY_SCRUB => PoolActivity::Scrub,
            ZFSVOL_ACTIVITY_TRIM => PoolActivity::Trim,
            ZFSVOL_ACTIVITY_RAIDZ_EXPAND => PoolActivity::RaidzExpand,
            ZFSVOL_ACTIVITY_CONDENSE => PoolActivity::Condense,
            other => return Err(Fault::unknown("activity", other)),
        };
        let (zfs, pool) = (caller.get(zfs)?, caller.name(pool)?);
        let outcome = match vdev {
            0 => zfs.wait_pool(&pool, activity)?,
            vdev => zfs.wait_vdev(&pool, activity, Guid::new(vdev))?,
        };
        if !waited.is_null() {
            caller.out(waited)?.set(outcome == Waited::Finished);
        }
    })
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
        out.set(zfsvol_nvlist::give(caller.get(zfs)?.bootenv(&caller.name(pool)?)?));
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
        out.set(zfsvol_nvlist::give(list));
    })
}
