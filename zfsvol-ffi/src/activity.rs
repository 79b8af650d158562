//! What takes a pool a while: scrubs, initializing, trimming; and waiting for it.

use zfsvol_core::zfs::{
    DdtPrune, Initialize, PoolActivity, Prefetch, Scrub, Trim, TrimSpeed, Waited,
};
use zfsvol_core::{Bytes, Guid, PoolName};

use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::status::zfsvol_status;
use crate::transfer::{Work, zfsvol_transfer};
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

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
/// matter). Issues `ZFS_IOC_WAIT`. Only a signal to the thread that calls ends it before that, with `INTERRUPTED`: `zfsvol_pool_wait_start` can be cancelled.
///
/// Fails with `NOT_FOUND` (no such pool, or it goes away), `CANCELLED` (it is exported meanwhile), `UNSUPPORTED` (the module does not know the activity), `INVALID` (no such device, or not an
/// activity of one).
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
        let out = caller.optional_out(waited)?;
        let activity = pool_activity(activity)?;
        let (zfs, pool) = (caller.get(zfs)?, caller.name(pool)?);
        let outcome = match vdev {
            0 => zfs.wait_pool(&pool, activity)?,
            vdev => zfs.wait_vdev(&pool, activity, Guid::new(vdev))?,
        };
        out.set(outcome == Waited::Finished);
    })
}

/// The same in the background: with a deadline, and in a way that can be cancelled.
///
/// The module ends a wait when the activity is over, and before that only for a signal, of which the library sends none. So to cancel, or to free, is to give up what the thread in the module
/// will bring: whoever waits is told at once, and that thread sleeps on until the activity is over, the pool is exported or the process ends. To look from time to time, wait for the same
/// transfer again: a new one is a thread more.
///
/// Fails when it is waited for, as `zfsvol_pool_wait`, and with `CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_wait_start(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    activity: zfsvol_activity,
    vdev: u64,
    transfer: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(transfer)?;
        let (pool, activity) = (caller.name(pool)?, pool_activity(activity)?);
        let vdev = (vdev != 0).then(|| Guid::new(vdev));
        let wait = caller.get(zfs)?.wait_pool_in_background(&pool, activity, vdev)?;
        out.give(Work::Wait(wait).into());
    })
}

/// Waits until a file system has freed the files that were removed from it: its delete queue. `waited` says whether there was anything to wait for (NULL if that does not
/// matter). Issues `ZFS_IOC_WAIT_FS`; cannot be cancelled. Fails with `NOT_FOUND`, `INTERRUPTED`, `CANCELLED` (it was unmounted or destroyed meanwhile).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_dataset_wait_deletequeue(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    waited: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(waited)?;
        let outcome = caller.get(zfs)?.wait_deletequeue(&caller.name(name)?)?;
        out.set(outcome == Waited::Finished);
    })
}

/// What is to become of initializing: a `ZFSVOL_INITIALIZE_...`.
pub type zfsvol_initialize = u32;

/// Begins, or goes on, writing to all free space.
pub const ZFSVOL_INITIALIZE_START: zfsvol_initialize = 0;
/// Stops it, to begin from the start the next time.
pub const ZFSVOL_INITIALIZE_CANCEL: zfsvol_initialize = 1;
/// Stops it, to go on later.
pub const ZFSVOL_INITIALIZE_SUSPEND: zfsvol_initialize = 2;
/// Forgets that it was done. OpenZFS 2.2.
pub const ZFSVOL_INITIALIZE_UNINITIALIZE: zfsvol_initialize = 3;

/// Begins or stops initializing devices, which are named by their GUIDs. Issues `ZFS_IOC_POOL_INITIALIZE`.
///
/// Fails, for each device by its GUID, with `IN_PROGRESS`, `NOT_FOUND` (no such device, or nothing to stop), `INVALID` (no leaf); `UNSUPPORTED`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_initialize(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdevs: *const u64,
    count: usize,
    what: zfsvol_initialize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let what = match what {
            ZFSVOL_INITIALIZE_START => Initialize::Start,
            ZFSVOL_INITIALIZE_CANCEL => Initialize::Cancel,
            ZFSVOL_INITIALIZE_SUSPEND => Initialize::Suspend,
            ZFSVOL_INITIALIZE_UNINITIALIZE => Initialize::Uninitialize,
            other => return Err(Fault::unknown("step of initializing", other)),
        };
        let (pool, vdevs) = (caller.name(pool)?, guids(caller, vdevs, count)?);
        caller.get(zfs)?.initialize_vdevs(&pool, &vdevs, what)?;
    })
}

/// What is to become of trimming: a `ZFSVOL_TRIM_...`.
pub type zfsvol_trim = u32;

/// Begins, or goes on, telling the devices what is free.
pub const ZFSVOL_TRIM_START: zfsvol_trim = 0;
/// Stops it, to begin from the start the next time.
pub const ZFSVOL_TRIM_CANCEL: zfsvol_trim = 1;
/// Stops it, to go on later.
pub const ZFSVOL_TRIM_SUSPEND: zfsvol_trim = 2;

/// How to trim. All zeros: as fast as it goes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_trim_options {
    /// `sizeof(zfsvol_trim_options)`.
    pub size: usize,
    /// So many bytes a second for each device; 0 for as fast as it goes.
    pub bytes_per_second: u64,
    /// The device must make what was there impossible to read. Few can.
    pub secure: bool,
}

// SAFETY: `repr(C)` with the size first; a number and a C `bool`, which zeros are too.
unsafe impl Growing for zfsvol_trim_options {
    const NAME: &'static str = "zfsvol_trim_options";
}

/// Begins or stops trimming devices, which are named by their GUIDs; `options` count when it begins. Issues `ZFS_IOC_POOL_TRIM`.
///
/// Fails, for each device by its GUID, with `IN_PROGRESS`, `NOT_FOUND` (no such device, or nothing to stop), `FEATURE_DISABLED` (it cannot be trimmed, or not securely), `INVALID` (no
/// leaf); `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_trim(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    vdevs: *const u64,
    count: usize,
    what: zfsvol_trim,
    options: *const zfsvol_trim_options,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let given = caller.options(options)?;
        let what = match what {
            ZFSVOL_TRIM_START => Trim::Start(TrimSpeed {
                rate: (given.bytes_per_second != 0).then(|| Bytes::new(given.bytes_per_second)),
                secure: given.secure,
            }),
            ZFSVOL_TRIM_CANCEL => Trim::Cancel,
            ZFSVOL_TRIM_SUSPEND => Trim::Suspend,
            other => return Err(Fault::unknown("step of trimming", other)),
        };
        let (pool, vdevs) = (caller.name(pool)?, guids(caller, vdevs, count)?);
        caller.get(zfs)?.trim_vdevs(&pool, &vdevs, what)?;
    })
}

/// What is read into memory ahead of use: a `ZFSVOL_PREFETCH_...`.
pub type zfsvol_prefetch = u32;

/// The deduplication tables. OpenZFS 2.3.
pub const ZFSVOL_PREFETCH_DDT: zfsvol_prefetch = 0;
/// The block reference table of cloned blocks. OpenZFS 2.4.
pub const ZFSVOL_PREFETCH_BRT: zfsvol_prefetch = 1;

/// Reads tables of a pool into memory. Issues `ZFS_IOC_POOL_PREFETCH`. Fails with `NOT_FOUND`, `UNSUPPORTED`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_prefetch(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    what: zfsvol_prefetch,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let what = match what {
            ZFSVOL_PREFETCH_DDT => Prefetch::Ddt,
            ZFSVOL_PREFETCH_BRT => Prefetch::Brt,
            other => return Err(Fault::unknown("table to prefetch", other)),
        };
        caller.get(zfs)?.prefetch_pool(&caller.name(pool)?, what)?;
    })
}

/// By what the entries of a deduplication table are chosen that are dropped: a `ZFSVOL_PRUNE_...`.
pub type zfsvol_prune = u32;

/// Those older than so many seconds.
pub const ZFSVOL_PRUNE_SECONDS: zfsvol_prune = 0;
/// The oldest, so many percent: 1 to 100.
pub const ZFSVOL_PRUNE_PERCENT: zfsvol_prune = 1;

/// Drops entries from a pool's deduplication tables, of blocks that are in use once only: blocks written later do not find them. Issues `ZFS_IOC_DDT_PRUNE`. OpenZFS 2.3.
///
/// Fails with `FEATURE_DISABLED` (`fast_dedup`), `IN_PROGRESS`, `INVALID` (no percentage), `UNSUPPORTED`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_prune_ddt(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    by: zfsvol_prune,
    amount: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let prune = match by {
            ZFSVOL_PRUNE_SECONDS => DdtPrune::OlderThanSeconds(amount),
            // What is no percentage is refused as what 255 is.
            ZFSVOL_PRUNE_PERCENT => DdtPrune::Percent(u8::try_from(amount).unwrap_or(u8::MAX)),
            other => return Err(Fault::unknown("way to prune", other)),
        };
        caller.get(zfs)?.prune_ddt(&caller.name(pool)?, prune)?;
    })
}

/// Begins, or without `start` cancels, condensing of a pool's log of space maps. Issues `ZFS_IOC_POOL_CONDENSE`. Fails with `UNSUPPORTED` up to OpenZFS 2.4, `NOT_FOUND` (none to
/// cancel), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_condense(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    start: bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let pool: PoolName = caller.name(pool)?;
        caller.get(zfs)?.condense_pool(&pool, start)?;
    })
}

fn pool_activity(activity: zfsvol_activity) -> Result<PoolActivity, Fault> {
    Ok(match activity {
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
    })
}

fn guids(caller: &Caller, vdevs: *const u64, count: usize) -> Result<Vec<Guid>, Fault> {
    Ok(caller.array(vdevs, count)?.iter().map(|guid| Guid::new(*guid)).collect())
}
