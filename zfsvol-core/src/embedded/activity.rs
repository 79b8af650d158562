//! What goes on in a pool: scrub, checkpoint, initialize, trim, waiting: OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfs_ioc_pool_scrub and those that
//! follow.
//!
//! Nothing here takes time, so that a program would never see any of it under way. So what is begun runs until somebody waits for it, or for a second
//! of the [clock](super::EmbeddedBuilder::clock): till then it can be paused and stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::engine::{Pool, Result, State, unsigned};
use super::store::codec::{Malformed, Reader, Writer};
use super::vdev::LabelState;
use super::vdev::state::DEGRADED;
use crate::kernel::{Cmd, Errno};
use crate::nvlist::{Encoding, NvList, Value};

/// `pool_scan_func_t` and `pool_scrub_cmd_t`.
const SCAN_NONE: u64 = 0;
const SCAN_RESILVER: u64 = 2;
const SCAN_ERRORS: u64 = 3;
const SCRUB_PAUSE: u64 = 1;
const SCRUB_FROM_LAST: u64 = 2;
/// `dsl_scan_state_t`
const SCANNING: u64 = 1;
const FINISHED: u64 = 2;
const CANCELED: u64 = 3;
/// Numbers of `pool_scan_stat_t`.
const SCAN_STATS: usize = 15;
/// `CS_CHECKPOINT_EXISTS`
const CHECKPOINT_EXISTS: u64 = 1;
/// Commands of initializing and trimming (`pool_initialize_func_t`, `pool_trim_func_t`).
const START: u64 = 0;
const CANCEL: u64 = 1;
const SUSPEND: u64 = 2;
const UNINITIALIZE: u64 = 3;
/// `vdev_initializing_state_t`, `vdev_trim_state_t`
const ACTIVE: u64 = 1;
const STOPPED: u64 = 2;
const SUSPENDED: u64 = 3;
const COMPLETE: u64 = 4;
/// `ZPOOL_NO_REWIND`
const NO_REWIND: u64 = 1;
/// What is begun takes so many seconds, unless it is waited for.
const SECONDS: u64 = 1;
/// `zpool_wait_activity_t`; initializing and trimming can be waited for by device.
const WAIT_INITIALIZE: i32 = 2;
const WAIT_SCRUB: i32 = 6;
const WAIT_TRIM: i32 = 7;
const WAIT_BY_DEVICE: [i32; 2] = [WAIT_INITIALIZE, WAIT_TRIM];
/// How much a label has for the boot environment, with its checksum and version (`VDEV_PAD_SIZE`).
const BOOTENV_BYTES: usize = (8 << 10) - 40 - 8;
/// Versions of the boot environment: `VB_RAW`, `VB_NVLIST`.
const BOOTENV_RAW: u64 = 0;
const BOOTENV_NVLIST: u64 = 1;

/// What went on in a pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity {
    /// The last scan.
    scan: Option<Scan>,
    checkpoint: Option<Checkpoint>,
    bootenv: Option<NvList>,
    /// Which devices are or were initialized and trimmed, by GUID.
    initialized: BTreeMap<u64, Progress>,
    trimmed: BTreeMap<u64, Progress>,
}

/// A scrub, or what is like it.
#[derive(Clone, Copy, Debug)]
struct Scan {
    /// `pool_scan_func_t`
    kind: u64,
    state: u64,
    started: u64,
    /// When it went on last.
    resumed: u64,
    ended: u64,
    /// When it was paused, if it is.
    paused: Option<u64>,
    bytes: u64,
}

/// The pool as it was.
#[derive(Clone, Debug)]
struct Checkpoint {
    time: u64,
    pool: Arc<Pool>,
}

/// Something that is done to a whole device.
#[derive(Clone, Copy, Debug)]
struct Progress {
    state: u64,
    changed: u64,
}

impl Scan {
    /// How it is by now.
    fn at(mut self, now: u64) -> Self {
        if self.is_under_way()
            && self.paused.is_none()
            && now > self.resumed.saturating_add(SECONDS)
        {
            self.finish(now);
        }
        self
    }

    fn is_under_way(&self) -> bool {
        self.state == SCANNING
    }

    fn finish(&mut self, now: u64) {
        (self.state, self.ended) = (FINISHED, now);
    }

    /// `pool_scan_stat_t`
    fn stats(&self) -> Vec<u64> {
        let done = if self.is_under_way() { 0 } else { self.bytes };
        let state = match (self.kind, self.state) {
            // `DSS_ERRORSCRUBBING`
            (SCAN_ERRORS, SCANNING) => 4,
            (_, state) => state,
        };
        let (start, pause) = (self.started, self.paused.unwrap_or(0));
        let mut stats = vec![self.kind, state, start, self.ended, self.bytes, done];
        stats.resize(SCAN_STATS, 0);
        for (place, number) in [(10, start), (11, pause), (14, done)] {
            if let Some(slot) = stats.get_mut(place) {
                *slot = number;
            }
        }
        stats
    }
}

impl Progress {
    fn at(mut self, now: u64) -> Self {
        if self.state == ACTIVE && now > self.changed.saturating_add(SECONDS) {
            self.state = COMPLETE;
        }
        self
    }
}

/// A device is to be initialized or trimmed, or not any more: `spa_vdev_initialize_impl`, `spa_vdev_trim_impl`.
fn direct(devices: &mut BTreeMap<u64, Progress>, guid: u64, command: u64, now: u64) -> Result<()> {
    let state = devices.get(&guid).map(|progress| progress.at(now).state);
    let state = match (command, state) {
        (START | UNINITIALIZE, Some(ACTIVE)) => return Err(Errno::EBUSY),
        (START, _) => ACTIVE,
        (CANCEL, Some(ACTIVE | SUSPENDED)) => STOPPED,
        (SUSPEND, Some(ACTIVE)) => SUSPENDED,
        (UNINITIALIZE, _) => {
            devices.remove(&guid);
            return Ok(());
        }
        _ => return Err(Errno::ESRCH),
    };
    devices.insert(guid, Progress { state, changed: now });
    Ok(())
}

/// Whether any of these devices, or that one, was under way; now it is not.
fn complete(devices: &mut BTreeMap<u64, Progress>, only: Option<u64>, now: u64) -> bool {
    let mut waited = false;
    for (_, progress) in devices.iter_mut().filter(|(guid, _)| only.is_none_or(|o| o == **guid)) {
        if progress.at(now).state == ACTIVE {
            *progress = Progress { state: COMPLETE, changed: now };
            waited = true;
        }
    }
    waited
}

impl Activity {
    /// Adds to the root of a tree of vdevs what is told of the pool there.
    pub(super) fn add_to_root(&self, root: &mut NvList, now: u64) {
        if let Some(scan) = self.scan {
            root.insert("scan_stats", scan.at(now).stats());
        }
        if let Some(checkpoint) = &self.checkpoint {
            root.insert("checkpoint_stats", vec![CHECKPOINT_EXISTS, checkpoint.time, 0]);
        }
    }

    /// What of a device was initialized and trimmed: places and values of its statistics.
    pub(super) fn stats_of(&self, guid: u64, bytes: u64, now: u64) -> Vec<(usize, u64)> {
        let mut stats = Vec::new();
        // Done, to be done, state, when: see `vdev_stat_t`.
        for (devices, first) in [(&self.initialized, 28), (&self.trimmed, 37)] {
            if let Some(progress) = devices.get(&guid).map(|progress| progress.at(now)) {
                let done = if progress.state == COMPLETE { bytes } else { 0 };
                let numbers = [done, bytes, progress.state, progress.changed];
                stats.extend(numbers.iter().enumerate().map(|(at, number)| (first + at, *number)));
            }
        }
        stats
    }

    /// Whether the pool can go back to what it was.
    pub(super) fn has_checkpoint(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// Ends a scan for which somebody waits. Says whether there was one.
    fn finish_scan(&mut self, now: u64) -> bool {
        match self.scan.as_mut().filter(|scan| scan.at(now).is_under_way() && scan.paused.is_none())
        {
            Some(scan) => {
                scan.finish(now);
                true
            }
            None => false,
        }
    }
}

impl Activity {
    /// As it is kept in a directory; see `engine/stored.rs`. The pool of a checkpoint is kept as a pool: it is known by its number here.
    pub(super) fn put(&self, out: &mut Writer) {
        let Self { scan, checkpoint, bootenv, initialized, trimmed } = self;
        out.option(*scan, |out, scan| {
            let Scan { kind, state, started, resumed, ended, paused, bytes } = scan;
            for number in [kind, state, started, resumed, ended, bytes] {
                out.number(number);
            }
            out.option(paused, Writer::number);
        });
        out.option(checkpoint.as_ref(), |out, Checkpoint { time, pool }| {
            out.number(*time);
            out.number(pool.guid);
        });
        out.option(bootenv.as_ref(), Writer::nvlist);
        for devices in [initialized, trimmed] {
            out.list(devices.iter(), |out, (guid, Progress { state, changed })| {
                out.number(*guid);
                out.number(*state);
                out.number(*changed);
            });
        }
    }

    /// The same, read; with when a checkpoint was made, and the number of its pool.
    pub(super) fn take(
        input: &mut Reader<'_>,
    ) -> std::result::Result<(Self, Option<(u64, u64)>), Malformed> {
        let scan = input.option(|input| {
            Ok(Scan {
                kind: input.number()?,
                state: input.number()?,
                started: input.number()?,
                resumed: input.number()?,
                ended: input.number()?,
                bytes: input.number()?,
                paused: input.option(Reader::number)?,
            })
        })?;
        let checkpoint = input.option(|input| Ok((input.number()?, input.number()?)))?;
        let bootenv = input.option(Reader::nvlist)?;
        let device = |input: &mut Reader<'_>| {
            let guid = input.number()?;
            Ok((guid, Progress { state: input.number()?, changed: input.number()? }))
        };
        let (initialized, trimmed) = (input.list(device)?, input.list(device)?);
        Ok((Self { scan, checkpoint: None, bootenv, initialized, trimmed }, checkpoint))
    }

    /// The pool as it was, if there is a checkpoint.
    pub(super) fn checkpointed(&self) -> Option<&Pool> {
        self.checkpoint.as_ref().map(|checkpoint| &*checkpoint.pool)
    }

    /// There is a checkpoint, as was read.
    pub(super) fn restore_checkpoint(&mut self, time: u64, pool: Pool) {
        self.checkpoint = Some(Checkpoint { time, pool: Arc::new(pool) });
    }
}

impl Pool {
    fn scan(&mut self, kind: u64, command: u64) -> Result<()> {
        let now = self.env.now().as_secs();
        if command > SCRUB_FROM_LAST {
            return Err(Errno::EINVAL);
        }
        if command == SCRUB_PAUSE {
            let scan = self.activity.scan.as_mut().filter(|scan| scan.at(now).is_under_way());
            let scan = scan.ok_or(Errno::ENOENT)?;
            if scan.paused.is_some() {
                return Err(Errno::EBUSY);
            }
            scan.paused = Some(now);
            return Ok(());
        }
        if kind == SCAN_NONE {
            let scan = self.activity.scan.as_mut().filter(|scan| scan.at(now).is_under_way());
            let scan = scan.ok_or(Errno::ENOENT)?;
            (scan.state, scan.ended, scan.paused) = (CANCELED, now, None);
            self.begin();
            self.log_internal("scan cancelled", None, "errors=0".to_owned());
            return Ok(());
        }
        if kind > SCAN_ERRORS {
            return Err(Errno::ENOTSUP);
        }
        if kind == SCAN_ERRORS && !self.features.has("head_errlog") {
            return Err(Errno::ENOTSUP);
        }
        if kind == SCAN_RESILVER {
            return if self.features.has("resilver_defer") { Ok(()) } else { Err(Errno::ENOTSUP) };
        }
        // Devices are looked at before their contents are.
        self.layout.open(false);
        self.start_scan(kind, now)
    }

    fn start_scan(&mut self, kind: u64, now: u64) -> Result<()> {
        let before = self.activity.scan.as_mut().filter(|scan| scan.at(now).is_under_way());
        if let Some(scan) = before {
            if scan.kind != kind || scan.paused.is_none() {
                return Err(Errno::EBUSY);
            }
            // It goes on, which is what this errno means here.
            (scan.paused, scan.resumed) = (None, now);
            return Err(Errno::ECANCELED);
        }
        self.begin();
        self.note_scan(kind, SCANNING)?;
        self.log_internal("scan setup", None, format!("func={kind} mintxg=0 maxtxg={}", self.txg));
        Ok(())
    }

    fn note_scan(&mut self, kind: u64, state: u64) -> Result<()> {
        let now = self.env.now().as_secs();
        let ended = if state == SCANNING { 0 } else { now };
        let bytes = unsigned(self.dir(self.root)?.used.used);
        let scan = Scan { kind, state, started: now, resumed: now, ended, paused: None, bytes };
        self.activity.scan = Some(scan);
        Ok(())
    }

    /// A device was given what it lacked, which is over at once.
    pub(super) fn note_resilver(&mut self) {
        // It fails for a pool without a root only.
        let _ = self.note_scan(SCAN_RESILVER, FINISHED);
    }

    /// The pool as it was when its checkpoint was made, on the devices there are now; it then has no checkpoint.
    pub(super) fn at_checkpoint(&self) -> Option<Self> {
        let mut pool = Self::clone(&self.activity.checkpoint.as_ref()?.pool);
        pool.txg = self.txg;
        pool.import = self.import.clone();
        pool.features.release("zpool_checkpoint");
        Some(pool)
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
    pool.features.activate("zpool_checkpoint");
    pool.log_internal("spa checkpoint", None, format!("checkpointed uberblock txg={}", tx.txg));
    let time = tx.now.as_secs();
    // It is another pool from here on, as far as this kernel goes.
    let mut saved = pool.clone();
    saved.guid = pool.env.guid();
    // As after a reboot; and what is changed under a key is sealed with it.
    saved.unload_keys();
    pool.activity.checkpoint = Some(Checkpoint { time, pool: Arc::new(saved) });
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
    pool.log_internal("spa discard checkpoint", None, String::new());
    Ok(())
}

/// `zfs_ioc_pool_reopen`
pub(super) fn reopen(
    state: &mut State,
    pool: &str,
    _input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    state.pool_mut(pool)?.layout.open(false);
    Ok(())
}

/// `zfs_ioc_clear`
pub(super) fn clear(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    // A rewind, which is for pools that cannot be opened, needs to be told how far.
    if cmd.cookie & NO_REWIND == 0 && cmd.input.is_none() {
        return Err(Errno::EINVAL);
    }
    let pool = state.pool_mut(&cmd.name).map_err(|_| Errno::EIO)?;
    let before = pool.layout.health();
    pool.layout.clear((cmd.guid != 0).then_some(cmd.guid))?;
    let changed = pool.layout.health() != before;
    if changed {
        pool.note_resilver();
    }
    let guid = pool.layout.guid();
    pool.begin();
    let _ = pool.write_labels(&cmd.name, LabelState::Active);
    if changed {
        state.post_event("vdev_clear", &cmd.name, guid);
    }
    Ok(())
}

/// `zfs_ioc_error_log`: nothing is damaged.
pub(super) fn error_log(state: &State, cmd: &mut Cmd) -> Result<()> {
    state.pool(&cmd.name)?;
    cmd.put_reply_bytes(&[])
}

/// `zfs_ioc_wait`: what is waited for is over with that.
pub(super) fn wait(
    state: &mut State,
    pool: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let pool = state.pool_mut(pool)?;
    let activity = input.get_i32("wait_activity").ok_or(Errno::EINVAL)?;
    // Expansion of raidz came with 2.3.
    let most = if pool.env.release >= (2, 3) { 8 } else { 7 };
    if !(0..=most).contains(&activity) {
        return Err(Errno::EINVAL);
    }
    let device = input.get_u64("wait_tag");
    if let Some(device) = device {
        let is_leaf = pool.layout.find(device).is_some_and(|vdev| vdev.kind.is_leaf());
        if !WAIT_BY_DEVICE.contains(&activity) || !is_leaf {
            return Err(Errno::EINVAL);
        }
    }
    let now = pool.env.now().as_secs();
    let waited = match activity {
        WAIT_INITIALIZE => complete(&mut pool.activity.initialized, device, now),
        WAIT_TRIM => complete(&mut pool.activity.trimmed, device, now),
        WAIT_SCRUB => pool.activity.finish_scan(now),
        _ => false,
    };
    if waited && activity == WAIT_SCRUB {
        pool.log_internal("scan done", None, "errors=0".to_owned());
    }
    output.insert("wait_waited", waited);
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
        direct(&mut activity.initialized, guid, command, now)
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
        // Files can be trimmed, but not so that nothing is left.
        if secure {
            return Err(Errno::ENOTSUP);
        }
        direct(&mut activity.trimmed, guid, command, now)
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
            // The root is no device, and a vdev all the same.
            None if guid == pool.layout.guid() => Err(Errno::EINVAL),
            None => Err(Errno::ENODEV),
            Some(vdev) if !vdev.kind.is_leaf() => Err(Errno::EINVAL),
            Some(vdev) if vdev.health.state < DEGRADED => Err(Errno::EROFS),
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
