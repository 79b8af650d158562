//! What goes on in a pool: scrub, checkpoint, initialize, trim, waiting. Here it is over at once, so that there is never anything to wait for, to
//! pause or to stop: OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfs_ioc_pool_scrub and those that follow.

use std::collections::BTreeMap;

use super::engine::{Pool, Result, State, unsigned};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::{Encoding, NvList, Value};

/// `pool_scan_func_t` and `pool_scrub_cmd_t`.
const SCAN_NONE: u64 = 0;
const SCAN_RESILVER: u64 = 2;
const SCAN_ERRORS: u64 = 3;
const SCRUB_PAUSE: u64 = 1;
const SCRUB_FROM_LAST: u64 = 2;
/// `DSS_FINISHED`
const SCAN_FINISHED: u64 = 2;
/// Numbers of `pool_scan_stat_t`.
const SCAN_STATS: usize = 15;
/// `CS_CHECKPOINT_EXISTS`
const CHECKPOINT_EXISTS: u64 = 1;
/// Commands of initializing and trimming (`pool_initialize_func_t`, `pool_trim_func_t`).
const START: u64 = 0;
const UNINITIALIZE: u64 = 3;
/// `VDEV_INITIALIZE_COMPLETE`, `VDEV_TRIM_COMPLETE`
const COMPLETE: u64 = 4;
/// Activities that can be waited for by device (`ZPOOL_WAIT_INITIALIZE`, `ZPOOL_WAIT_TRIM`).
const WAIT_BY_DEVICE: [i32; 2] = [2, 7];
/// How much a label has for the boot environment, with its checksum and version (`VDEV_PAD_SIZE`).
const BOOTENV_BYTES: usize = (8 << 10) - 40 - 8;
/// Versions of the boot environment: `VB_RAW`, `VB_NVLIST`.
const BOOTENV_RAW: u64 = 0;
const BOOTENV_NVLIST: u64 = 1;

/// What went on in a pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity {
    /// The last scan: its kind, when, and how much it looked at.
    scan: Option<(u64, u64, u64)>,
    /// When the checkpoint was made.
    checkpoint: Option<u64>,
    bootenv: Option<NvList>,
    /// When devices were initialized and trimmed, by GUID.
    initialized: BTreeMap<u64, u64>,
    trimmed: BTreeMap<u64, u64>,
}

impl Activity {
    /// Adds to the root of a tree of vdevs what is told of the pool there.
    pub(super) fn add_to_root(&self, root: &mut NvList) {
        if let Some((kind, time, bytes)) = self.scan {
            let mut stats = vec![kind, SCAN_FINISHED, time, time, bytes, bytes];
            stats.resize(SCAN_STATS, 0);
            if let Some(issued) = stats.last_mut() {
                *issued = bytes;
            }
            root.insert("scan_stats", stats);
        }
        if let Some(time) = self.checkpoint {
            root.insert("checkpoint_stats", vec![CHECKPOINT_EXISTS, time, 0]);
        }
    }

    /// What of a device was initialized and trimmed: places and values of its statistics.
    pub(super) fn stats_of(&self, guid: u64, bytes: u64) -> Vec<(usize, u64)> {
        let mut stats = Vec::new();
        // Done, to be done, state, when: see `vdev_stat_t`.
        for (times, first) in [(&self.initialized, 28), (&self.trimmed, 37)] {
            if let Some(time) = times.get(&guid) {
                let numbers = [bytes, bytes, COMPLETE, *time];
                stats.extend(numbers.iter().enumerate().map(|(at, number)| (first + at, *number)));
            }
        }
        stats
    }
}

impl Pool {
    fn scan(&mut self, kind: u64, command: u64) -> Result<()> {
        if command > SCRUB_FROM_LAST || kind > SCAN_ERRORS {
            return Err(Errno::EINVAL);
        }
        if kind == SCAN_NONE || command == SCRUB_PAUSE {
            // The last one is over.
            return Err(Errno::ENOENT);
        }
        if kind == SCAN_ERRORS && !self.features.has("head_errlog") {
            return Err(Errno::ENOTSUP);
        }
        if kind == SCAN_RESILVER {
            return if self.features.has("resilver_defer") { Ok(()) } else { Err(Errno::ENOTSUP) };
        }
        let tx = self.begin();
        let bytes = unsigned(self.dir(self.root)?.used.used);
        self.activity.scan = Some((kind, tx.now.as_secs(), bytes));
        Ok(())
    }
}

/// `zfs_ioc_pool_scrub`.
pub(super) fn scrub(
    state: &mut State,
    pool: &str,
    input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    let number = |name| input.get_u64(name).unwrap_or(0);
    state.pool_mut(pool)?.scan(number("scan_type"), number("scan_command"))
}

/// `zfs_ioc_pool_scan`, the same for old callers.
pub(super) fn scan(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    state.pool_mut(&cmd.name)?.scan(cmd.cookie, u64::from(cmd.flags))
}

/// `zfs_ioc_pool_checkpoint`.
pub(super) fn checkpoint(
    state: &mut State,
    pool: &str,
    _input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    let pool = state.pool_mut(pool)?;
    if !pool.features.has("zpool_checkpoint") {
        return Err(Errno::ENOTSUP);
    }
    if pool.activity.checkpoint.is_some() {
        return Err(Errno::ZFS_ERR_CHECKPOINT_EXISTS);
    }
    let tx = pool.begin();
    pool.activity.checkpoint = Some(tx.now.as_secs());
    pool.features.activate("zpool_checkpoint");
    Ok(())
}

/// `zfs_ioc_pool_discard_checkpoint`.
pub(super) fn discard_checkpoint(
    state: &mut State,
    pool: &str,
    _input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    let pool = state.pool_mut(pool)?;
    pool.activity.checkpoint.take().ok_or(Errno::ZFS_ERR_NO_CHECKPOINT)?;
    pool.features.release("zpool_checkpoint");
    pool.begin();
    Ok(())
}

/// `zfs_ioc_pool_reopen`: files and memory are open always.
pub(super) fn reopen(
    state: &mut State,
    pool: &str,
    _input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    state.pool(pool).map(|_| ())
}

/// `zfs_ioc_clear`: nothing ever fails.
pub(super) fn clear(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let pool = state.pool(&cmd.name)?;
    match cmd.guid == 0 || pool.layout.find(cmd.guid).is_some() {
        true => Ok(()),
        false => Err(Errno::ENODEV),
    }
}

/// `zfs_ioc_error_log`: nothing is damaged.
pub(super) fn error_log(state: &State, cmd: &mut Cmd) -> Result<()> {
    state.pool(&cmd.name)?;
    cmd.put_reply_bytes(&[])
}

/// `zfs_ioc_wait`.
pub(super) fn wait(state: &State, pool: &str, input: &NvList, output: &mut NvList) -> Result<()> {
    let pool = state.pool(pool)?;
    let activity = input.get_i32("wait_activity").ok_or(Errno::EINVAL)?;
    // Expansion of raidz came with 2.3.
    let most = if pool.env.release >= (2, 3) { 8 } else { 7 };
    if !(0..=most).contains(&activity) {
        return Err(Errno::EINVAL);
    }
    if let Some(device) = input.get_u64("wait_tag") {
        let is_leaf = pool.layout.find(device).is_some_and(|vdev| vdev.contains("path"));
        if !WAIT_BY_DEVICE.contains(&activity) || !is_leaf {
            return Err(Errno::EINVAL);
        }
    }
    output.insert("wait_waited", false);
    Ok(())
}

/// `zfs_ioc_pool_prefetch`: everything is in memory.
pub(super) fn prefetch(
    state: &mut State,
    pool: &str,
    input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    let most = if state.pool(pool)?.env.release >= (2, 4) { 2 } else { 1 };
    match input.get_i32("prefetch_type") {
        Some(kind) if (1..=most).contains(&kind) => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// `zfs_ioc_ddt_prune`: no block is there twice.
pub(super) fn prune(
    state: &mut State,
    pool: &str,
    input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    let unit = input.get_i32("ddt_prune_unit").unwrap_or(0);
    let amount = input.get_u64("ddt_prune_amount").unwrap_or(0);
    if amount == 0 || !(1..=2).contains(&unit) {
        return Err(Errno::EINVAL);
    }
    match state.pool(pool)?.features.has("fast_dedup") {
        true => Ok(()),
        false => Err(Errno::ENOTSUP),
    }
}

/// `zfs_ioc_set_bootenv`.
pub(super) fn set_bootenv(
    state: &mut State,
    pool: &str,
    input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    let pool = state.pool_mut(pool)?;
    let packed = input.encode(Encoding::Xdr).map_err(|_| Errno::EINVAL)?;
    if packed.len() > BOOTENV_BYTES {
        return Err(Errno::E2BIG);
    }
    match input.get_u64("version") {
        Some(BOOTENV_NVLIST) => {}
        Some(BOOTENV_RAW) if input.contains("envmap") => {}
        _ => return Err(Errno::EINVAL),
    }
    pool.activity.bootenv = Some(input.clone());
    pool.begin();
    Ok(())
}

/// `zfs_ioc_get_bootenv`.
pub(super) fn get_bootenv(
    state: &State,
    pool: &str,
    _input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    match &state.pool(pool)?.activity.bootenv {
        Some(environment) => output.clone_from(environment),
        None => {
            output.insert("version", BOOTENV_RAW).insert("envmap", "");
        }
    }
    Ok(())
}

/// `zfs_ioc_pool_initialize`.
pub(super) fn initialize(
    state: &mut State,
    pool: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let release = state.pool(pool)?.env.release;
    let last = if release >= (2, 2) { UNINITIALIZE } else { UNINITIALIZE - 1 };
    let command = input.get_u64("initialize_command").filter(|command| *command <= last);
    let command = command.ok_or(Errno::EINVAL)?;
    on_devices(state, pool, input, output, "initialize_vdevs", |activity, guid, now| {
        match command {
            START => activity.initialized.insert(guid, now),
            UNINITIALIZE => activity.initialized.remove(&guid),
            // Nothing runs that could be stopped.
            _ => return Err(Errno::ESRCH),
        };
        Ok(())
    })
}

/// `zfs_ioc_pool_trim`.
pub(super) fn trim(
    state: &mut State,
    pool: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let command = input.get_u64("trim_command").filter(|command| *command < UNINITIALIZE);
    let command = command.ok_or(Errno::EINVAL)?;
    let secure = input.get_bool("trim_secure") == Some(true);
    on_devices(state, pool, input, output, "trim_vdevs", |activity, guid, now| {
        match command {
            // Files can be trimmed, but not so that nothing is left.
            START if secure => Err(Errno::ENOTSUP),
            START => {
                activity.trimmed.insert(guid, now);
                Ok(())
            }
            _ => Err(Errno::ESRCH),
        }
    })
}

/// Does something to each device of a list. Those that fail are in the answer, in a list of the same name.
fn on_devices(
    state: &mut State,
    pool: &str,
    input: &NvList,
    output: &mut NvList,
    list: &str,
    each: impl Fn(&mut Activity, u64, u64) -> Result<()>,
) -> Result<()> {
    let empty = NvList::new();
    let devices = input.get_list(list).unwrap_or(&empty);
    if devices.iter().any(|(_, guid)| !matches!(guid, Value::Uint64(_))) {
        return Err(Errno::EINVAL);
    }
    let pool = state.pool_mut(pool)?;
    let tx = pool.begin();
    let mut failed = NvList::new();
    for (name, _) in devices.iter() {
        let guid = devices.get_u64(name).unwrap_or(0);
        let outcome = match pool.layout.find(guid) {
            None => Err(Errno::ENODEV),
            Some(vdev) if !vdev.contains("path") => Err(Errno::EINVAL),
            Some(_) => each(&mut pool.activity, guid, tx.now.as_secs()),
        };
        if let Err(errno) = outcome {
            failed.insert(name, i64::from(errno.0));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    output.insert(list, failed);
    Err(Errno::EINVAL)
}
