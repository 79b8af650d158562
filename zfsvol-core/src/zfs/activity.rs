//! Activities of a pool: scrub, trim, initialize, checkpoint, sync, and waiting for them.

use std::fmt;

use super::call::{CallError, Operation};
use super::{Zfs, errno};
use crate::error::{Error, ErrorKind, Failure, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::{DatasetName, PoolName};
use crate::nvlist::NvList;
use crate::units::{Bytes, Guid};

const SYNC: Operation = Operation::new(Ioc::POOL_SYNC, "sync the pool");
const REOPEN: Operation = Operation::new(Ioc::POOL_REOPEN, "reopen the devices of the pool");
const CHECKPOINT: Operation = Operation::new(Ioc::POOL_CHECKPOINT, "checkpoint the pool");
const DISCARD: Operation =
    Operation::new(Ioc::POOL_DISCARD_CHECKPOINT, "discard the checkpoint of the pool");
const SCAN: Operation = Operation::new(Ioc::POOL_SCAN, "scrub the pool");
const SCRUB: Operation = Operation::new(Ioc::POOL_SCRUB, "scrub the pool");
const INITIALIZE: Operation = Operation::new(Ioc::POOL_INITIALIZE, "initialize the pool");
const TRIM: Operation = Operation::new(Ioc::POOL_TRIM, "trim the pool");
pub(super) const WAIT: Operation = Operation::new(Ioc::WAIT, "wait for the pool");
const WAIT_FS: Operation = Operation::new(Ioc::WAIT_FS, "wait for the file system");
const PREFETCH: Operation = Operation::new(Ioc::POOL_PREFETCH, "prefetch tables of the pool");
const DDT_PRUNE: Operation =
    Operation::new(Ioc::DDT_PRUNE, "prune the deduplication table of the pool");
const CONDENSE: Operation = Operation::new(Ioc::POOL_CONDENSE, "condense the pool");

/// What to scan, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scrub {
    /// Begin a scrub, or go on with a paused one.
    Start,
    /// Begin one of the blocks written since the last scrub only. Needs OpenZFS 2.4.
    SinceLast,
    /// Begin one of the blocks that had errors only. Needs OpenZFS 2.2.
    Errors,
    /// Pause it. It stays paused over an export.
    Pause,
    /// Stop it.
    Stop,
    /// Begin the resilvers that wait for others to end.
    Resilver,
}

impl Scrub {
    /// `pool_scan_func_t` and `pool_scrub_cmd_t`: OpenZFS 2.4 `include/sys/fs/zfs.h`.
    fn numbers(self) -> (u64, u64) {
        match self {
            Self::Start => (1, 0),
            Self::SinceLast => (1, 2),
            Self::Errors => (3, 0),
            Self::Pause => (1, 1),
            Self::Stop => (0, 0),
            Self::Resilver => (2, 0),
        }
    }

    /// The release that brought it.
    fn since(self) -> Option<(u32, u32)> {
        match self {
            Self::SinceLast => Some((2, 4)),
            Self::Errors => Some((2, 2)),
            _ => None,
        }
    }
}

/// What to do about initializing devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Initialize {
    /// Begin or go on writing to all free space, so that a thin device has it.
    Start,
    /// Stop, and begin from the start the next time.
    Cancel,
    /// Stop, and go on later.
    Suspend,
    /// Forget that it was done, so that it can be done again. Needs OpenZFS 2.2.
    Uninitialize,
}

/// What to do about trimming devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trim {
    /// Begin or go on telling the devices what is free.
    Start(TrimSpeed),
    /// Stop, and begin from the start the next time.
    Cancel,
    /// Stop, and go on later.
    Suspend,
}

/// How to trim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrimSpeed {
    /// Bytes a second for each device; `None` for as fast as it goes.
    pub rate: Option<Bytes>,
    /// The device must make what was there impossible to read. Few can.
    pub secure: bool,
}

/// What to wait for (`zpool_wait_activity_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolActivity {
    /// Discarding a checkpoint.
    CheckpointDiscard,
    /// Freeing what was destroyed.
    Free,
    /// Initializing devices.
    Initialize,
    /// Replacing devices.
    Replace,
    /// Removing a device.
    Remove,
    /// A resilver or rebuild.
    Resilver,
    /// A scrub.
    Scrub,
    /// Trimming devices.
    Trim,
    /// Expanding a raidz vdev. Needs OpenZFS 2.3.
    RaidzExpand,
    /// Condensing. Needs a newer OpenZFS than 2.4.
    Condense,
}

impl PoolActivity {
    fn number(self) -> i32 {
        match self {
            Self::CheckpointDiscard => 0,
            Self::Free => 1,
            Self::Initialize => 2,
            Self::Replace => 3,
            Self::Remove => 4,
            Self::Resilver => 5,
            Self::Scrub => 6,
            Self::Trim => 7,
            Self::RaidzExpand => 8,
            Self::Condense => 9,
        }
    }
}

/// Whether there was anything to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waited {
    /// It was going on, and is over.
    Finished,
    /// Nothing of the kind was going on.
    Idle,
}

/// What to read into memory ahead of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Prefetch {
    /// The deduplication tables.
    Ddt,
    /// The block reference table of cloned blocks. Needs OpenZFS 2.4.
    Brt,
}

/// Which entries of a deduplication table to drop, among those of blocks that are in use once only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DdtPrune {
    /// Those older than that many seconds.
    OlderThanSeconds(u64),
    /// The oldest, so many percent of them (1 to 100).
    Percent(u8),
}

impl fmt::Display for PoolActivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CheckpointDiscard => "discard",
            Self::Free => "free",
            Self::Initialize => "initialize",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Resilver => "resilver",
            Self::Scrub => "scrub",
            Self::Trim => "trim",
            Self::RaidzExpand => "raidz_expand",
            Self::Condense => "condense",
        })
    }
}

impl Zfs {
    /// Waits until everything that was written to the pool before is on its devices. With `force` the configuration is written too, even if
    /// nothing has changed.
    ///
    /// Issues `ZFS_IOC_POOL_SYNC`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool. On a suspended pool it waits until that is cleared.
    #[doc(alias = "lzc_sync")]
    pub fn sync_pool(&self, pool: &PoolName, force: bool) -> Result<()> {
        self.pool_call(SYNC, pool, &[("force", force)].into_iter().collect())?;
        Ok(())
    }

    /// Opens all devices of the pool anew: those that came back are used, and sizes are looked at again. With `restart_scrub` a running scrub
    /// may begin anew for that.
    ///
    /// Issues `ZFS_IOC_POOL_REOPEN`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool.
    #[doc(alias = "lzc_reopen")]
    pub fn reopen_pool(&self, pool: &PoolName, restart_scrub: bool) -> Result<()> {
        self.pool_call(REOPEN, pool, &[("scrub_restart", restart_scrub)].into_iter().collect())?;
        Ok(())
    }

    /// Marks the state of the whole pool, to go back to at an import ([`Rewind::Checkpoint`](super::Rewind::Checkpoint)). What is freed from
    /// then on keeps its space. Devices cannot be removed or attached while there is one.
    ///
    /// Issues `ZFS_IOC_POOL_CHECKPOINT`.
    ///
    /// # Errors
    /// [`ErrorKind::InProgress`] when there is one, or one is being discarded, or a device is being removed;
    /// [`ErrorKind::FeatureDisabled`] when the pool lacks the feature `zpool_checkpoint`; [`ErrorKind::NoSpace`].
    #[doc(alias = "lzc_pool_checkpoint")]
    pub fn checkpoint_pool(&self, pool: &PoolName) -> Result<()> {
        self.pool_call(CHECKPOINT, pool, &NvList::new())?;
        Ok(())
    }

    /// Gives up the pool's checkpoint. Its space is freed in the background: [`Zfs::wait_pool`] waits for that.
    ///
    /// Issues `ZFS_IOC_POOL_DISCARD_CHECKPOINT`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no checkpoint; [`ErrorKind::InProgress`] when it is being discarded.
    #[doc(alias = "lzc_pool_checkpoint_discard")]
    pub fn discard_checkpoint(&self, pool: &PoolName) -> Result<()> {
        self.pool_call(DISCARD, pool, &NvList::new())?;
        Ok(())
    }

    /// Begins, pauses or stops a scrub. It runs in the background: [`Zfs::pool_status`] tells how far it is, [`Zfs::wait_pool`] waits for it.
    ///
    /// Issues `ZFS_IOC_POOL_STATS`, and `ZFS_IOC_POOL_SCRUB`, or `ZFS_IOC_POOL_SCAN` for a module older than 2.2.
    ///
    /// # Errors
    /// [`ErrorKind::PoolSuspended`] when its devices do not answer;
    /// [`ErrorKind::InProgress`] when a scrub, or a resilver, runs already; [`ErrorKind::NotFound`] when there is none to pause or stop;
    /// [`ErrorKind::Unsupported`] when the module is too old for that kind.
    #[doc(alias = "lzc_scrub")]
    pub fn scrub_pool(&self, pool: &PoolName, scrub: Scrub) -> Result<()> {
        let (function, command) = scrub.numbers();
        self.require_release(SCRUB, pool, scrub.since())?;
        // Alone among the operations on pools, the kernel's scrub does not refuse a suspended pool: it would wait.
        if self.pool_config(SCRUB, pool)?.contains("suspended") {
            return Err(SCRUB
                .error(ErrorKind::PoolSuspended, pool.as_str(), "the pool is suspended")
                .with_help("bring its devices back and clear it"));
        }
        let outcome = if self.module().is_at_least(2, 2) {
            let mut input = NvList::new();
            input.insert("scan_type", function).insert("scan_command", command);
            self.call(SCRUB, pool.as_str(), &input)
        } else {
            let mut cmd = Cmd::new(pool.as_str());
            cmd.cookie = function;
            cmd.flags = u32::try_from(command).unwrap_or_default();
            self.call_cmd(SCAN, &mut cmd)
        };
        match outcome {
            Ok(_) => Ok(()),
            // A paused scrub goes on: the kernel's way to say that it did not begin a new one.
            Err(error) if error.errno() == Some(Errno::ECANCELED) => Ok(()),
            Err(error) => Err(self.scan_error(error, pool, scrub)),
        }
    }

    /// Begins or stops initializing of devices, named by their GUIDs ([`VdevStatus::guid`](super::VdevStatus::guid)).
    ///
    /// Issues `ZFS_IOC_POOL_INITIALIZE`.
    ///
    /// # Errors
    /// For each device by its GUID: [`ErrorKind::InProgress`] when it runs already; [`ErrorKind::NotFound`] when there is no such device, or
    /// nothing to stop; [`ErrorKind::Invalid`] when it is no leaf. [`ErrorKind::Unsupported`] for [`Initialize::Uninitialize`] on a module
    /// older than 2.2.
    #[doc(alias = "lzc_initialize")]
    pub fn initialize_vdevs(
        &self,
        pool: &PoolName,
        vdevs: &[Guid],
        command: Initialize,
    ) -> Result<()> {
        let number = match command {
            Initialize::Start => 0_u64,
            Initialize::Cancel => 1,
            Initialize::Suspend => 2,
            Initialize::Uninitialize => 3,
        };
        let since = (command == Initialize::Uninitialize).then_some((2, 2));
        self.require_release(INITIALIZE, pool, since)?;
        let mut input = NvList::new();
        input.insert("initialize_command", number).insert("initialize_vdevs", guid_list(vdevs));
        self.vdevs_call(INITIALIZE, pool, &input, "initialize_vdevs")
    }

    /// Begins or stops trimming of devices, named by their GUIDs.
    ///
    /// Issues `ZFS_IOC_POOL_TRIM`.
    ///
    /// # Errors
    /// For each device by its GUID: [`ErrorKind::InProgress`] when it runs already; [`ErrorKind::NotFound`] when there is no such device, or
    /// nothing to stop; [`ErrorKind::FeatureDisabled`] when the device cannot be trimmed (securely); [`ErrorKind::Invalid`] when it is no leaf.
    #[doc(alias = "lzc_trim")]
    pub fn trim_vdevs(&self, pool: &PoolName, vdevs: &[Guid], command: Trim) -> Result<()> {
        let mut input = NvList::new();
        let number = match command {
            Trim::Start(speed) => {
                if let Some(rate) = speed.rate {
                    input.insert("trim_rate", rate.get());
                }
                if speed.secure {
                    input.insert("trim_secure", true);
                }
                0_u64
            }
            Trim::Cancel => 1,
            Trim::Suspend => 2,
        };
        input.insert("trim_command", number).insert("trim_vdevs", guid_list(vdevs));
        self.vdevs_call(TRIM, pool, &input, "trim_vdevs")
    }

    /// Waits until nothing of that kind goes on in the pool, however long that takes. [`Zfs::wait_pool_in_background`] has an end, and can be cancelled.
    ///
    /// The module wakes its waiters before it has written down everything about the end: a status that is read at once can say that a scrub is
    /// finished and not when it ended (`dsl_scan_done` of `module/zfs/dsl_scan.c` up to 2.3). [`Zfs::sync_pool`] with `force` waits for the rest.
    ///
    /// Issues `ZFS_IOC_WAIT`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool, or it goes away; [`ErrorKind::Interrupted`] when a signal ends the wait;
    /// [`ErrorKind::Cancelled`] when the pool is exported meanwhile; [`ErrorKind::Unsupported`] when the module does not know that kind.
    #[doc(alias = "lzc_wait")]
    pub fn wait_pool(&self, pool: &PoolName, activity: PoolActivity) -> Result<Waited> {
        self.wait(pool, activity, None)
    }

    /// Waits until initializing or trimming ([`PoolActivity::Initialize`], [`PoolActivity::Trim`]) of one device is over.
    ///
    /// Issues `ZFS_IOC_WAIT` with the device's GUID as its tag.
    ///
    /// # Errors
    /// As [`Self::wait_pool`]; [`ErrorKind::Invalid`] for other activities.
    #[doc(alias = "lzc_wait_tag")]
    pub fn wait_vdev(&self, pool: &PoolName, activity: PoolActivity, vdev: Guid) -> Result<Waited> {
        self.wait(pool, activity, Some(vdev))
    }

    /// Waits until the file system has freed the files that were removed from it: its delete queue.
    ///
    /// Issues `ZFS_IOC_WAIT_FS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such file system; [`ErrorKind::Interrupted`] when a signal ends the wait;
    /// [`ErrorKind::Cancelled`] when it is unmounted or destroyed meanwhile.
    #[doc(alias = "lzc_wait_fs")]
    pub fn wait_deletequeue(&self, file_system: &DatasetName) -> Result<Waited> {
        let input: NvList = [("wait_activity", 0_i32)].into_iter().collect();
        let reply = self
            .call(WAIT_FS, file_system.as_str(), &input)
            .map_err(|error| error.into_error(self))?;
        Ok(waited(&reply))
    }

    /// Reads tables of the pool into memory, so that what needs them does not wait for the devices.
    ///
    /// Issues `ZFS_IOC_POOL_PREFETCH`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool; [`ErrorKind::Unsupported`] on a module older than 2.3, or 2.4 for the block
    /// reference table.
    #[doc(alias = "lzc_pool_prefetch")]
    pub fn prefetch_pool(&self, pool: &PoolName, prefetch: Prefetch) -> Result<()> {
        let (number, since) = match prefetch {
            Prefetch::Ddt => (1_i32, (2, 3)),
            Prefetch::Brt => (2, (2, 4)),
        };
        self.require_release(PREFETCH, pool, Some(since))?;
        self.pool_call(PREFETCH, pool, &[("prefetch_type", number)].into_iter().collect())?;
        Ok(())
    }

    /// Drops entries from the pool's deduplication tables: blocks written later do not find them.
    ///
    /// Issues `ZFS_IOC_DDT_PRUNE`.
    ///
    /// # Errors
    /// [`ErrorKind::FeatureDisabled`] when the pool lacks the feature `fast_dedup`; [`ErrorKind::InProgress`] when one runs already;
    /// [`ErrorKind::Unsupported`] on a module older than 2.3.
    #[doc(alias = "lzc_ddt_prune")]
    pub fn prune_ddt(&self, pool: &PoolName, prune: DdtPrune) -> Result<()> {
        let (unit, amount) = match prune {
            DdtPrune::OlderThanSeconds(seconds) => (1_i32, seconds),
            DdtPrune::Percent(percent) if (1..=100).contains(&percent) => (2, percent.into()),
            DdtPrune::Percent(_) => {
                let reason = "the percentage is 1 to 100";
                return Err(DDT_PRUNE.error(ErrorKind::Invalid, pool.as_str(), reason));
            }
        };
        let mut input = NvList::new();
        input.insert("ddt_prune_unit", unit).insert("ddt_prune_amount", amount);
        self.pool_call(DDT_PRUNE, pool, &input)?;
        Ok(())
    }

    /// Begins, or with `start` false cancels, condensing of the pool's log of space maps.
    ///
    /// Issues `ZFS_IOC_POOL_CONDENSE`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] up to OpenZFS 2.4; [`ErrorKind::NotFound`] when there is none to cancel.
    #[doc(alias = "lzc_condense")]
    pub fn condense_pool(&self, pool: &PoolName, start: bool) -> Result<()> {
        let command = if start { "start" } else { "cancel" };
        let mut input = NvList::new();
        input.insert("condense_command", command).insert("condense_type", "log_spacemap");
        self.pool_call(CONDENSE, pool, &input)?;
        Ok(())
    }

    /// `ENOENT` of a stop means no scrub, or no pool.
    fn scan_error(&self, error: CallError, pool: &PoolName, scrub: Scrub) -> Error {
        let stopping = matches!(scrub, Scrub::Stop | Scrub::Pause);
        let absent = error.errno() == Some(Errno::ENOENT) && stopping;
        if absent && self.pool_names().is_ok_and(|pools| pools.contains(pool)) {
            return SCRUB
                .error(ErrorKind::NotFound, pool.as_str(), "no scrub is running")
                .with_errno(Errno::ENOENT);
        }
        error.into_error(self)
    }

    fn wait(&self, pool: &PoolName, activity: PoolActivity, tag: Option<Guid>) -> Result<Waited> {
        let mut input = NvList::new();
        input.insert("wait_activity", activity.number());
        if let Some(tag) = tag {
            input.insert("wait_tag", tag.get());
        }
        let reply = self.call(WAIT, pool.as_str(), &input).map_err(|error| {
            match (error.errno(), activity) {
                // A number beyond those it knows.
                (Some(Errno::EINVAL), PoolActivity::RaidzExpand | PoolActivity::Condense) => {
                    let reason = format!(
                        "the loaded module is OpenZFS {}, which does not know the activity '{activity}'",
                        self.module().version
                    );
                    WAIT.error(ErrorKind::Unsupported, pool.as_str(), reason)
                        .with_errno(Errno::EINVAL)
                }
                _ => error.into_error(self),
            }
        })?;
        Ok(waited(&reply))
    }

    /// An operation on a pool of which one name fails or none.
    pub(super) fn pool_call(
        &self,
        operation: Operation,
        pool: &PoolName,
        input: &NvList,
    ) -> Result<NvList> {
        self.call(operation, pool.as_str(), input).map_err(|error| error.into_error(self))
    }

    /// An operation on devices: the reply lists those that failed, by the names of the request.
    fn vdevs_call(
        &self,
        operation: Operation,
        pool: &PoolName,
        input: &NvList,
        list: &str,
    ) -> Result<()> {
        let Err(error) = self.call(operation, pool.as_str(), input) else { return Ok(()) };
        let failures = match &error {
            CallError::Refused(refusal) => vdev_failures(operation, refusal.reply.get_list(list)),
            CallError::Library(_) => Vec::new(),
        };
        let Some(first) = failures.first().map(|failure| failure.kind) else {
            return Err(error.into_error(self));
        };
        let same = failures.iter().all(|failure| failure.kind == first);
        let kind = if same { first } else { ErrorKind::Several };
        let reason = "not all devices allow it";
        Err(operation.error(kind, pool.as_str(), reason).with_failures(failures, 0))
    }

    /// What an older module would take for something else, or only call `EINVAL`.
    fn require_release(
        &self,
        operation: Operation,
        pool: &PoolName,
        since: Option<(u32, u32)>,
    ) -> Result<()> {
        match since {
            Some(release) if !self.module().is_at_least(release.0, release.1) => {
                let (reason, help) = errno::came_with("this", release, self.module());
                Err(operation.error(ErrorKind::Unsupported, pool.as_str(), reason).with_help(help))
            }
            _ => Ok(()),
        }
    }
}

fn waited(reply: &NvList) -> Waited {
    match reply.get_bool("wait_waited") {
        Some(true) => Waited::Finished,
        _ => Waited::Idle,
    }
}

/// The names are the caller's choice; the kernel gives them back for what failed.
fn guid_list(vdevs: &[Guid]) -> NvList {
    vdevs.iter().map(|guid| (guid.to_string(), guid.get())).collect()
}

fn vdev_failures(operation: Operation, failed: Option<&NvList>) -> Vec<Failure> {
    let Some(failed) = failed else { return Vec::new() };
    failed
        .iter()
        .filter_map(|(name, _)| {
            let errno = i32::try_from(failed.get_i64(name)?).ok()?;
            Some(vdev_failure(operation, name, Errno(errno)))
        })
        .collect()
}

/// OpenZFS 2.4 `module/zfs/spa.c`, `spa_vdev_initialize_impl` and `spa_vdev_trim_impl`.
fn vdev_failure(operation: Operation, name: &str, errno: Errno) -> Failure {
    let (kind, reason) = match errno {
        Errno::ENODEV => (ErrorKind::NotFound, "the pool has no such device, or it is offline"),
        Errno::EINVAL => (ErrorKind::Invalid, "it is not a device that can be written"),
        Errno::EROFS => (ErrorKind::ReadOnly, "it cannot be written"),
        Errno::EBUSY => (ErrorKind::InProgress, "it runs already, or the device is being removed"),
        Errno::ESRCH => (ErrorKind::NotFound, "nothing of the kind is running"),
        Errno::ENOTSUP if operation.ioc == Ioc::POOL_TRIM => {
            (ErrorKind::FeatureDisabled, "the device cannot be trimmed, or not securely")
        }
        other => (ErrorKind::Other, other.reason()),
    };
    Failure { name: name.to_owned(), kind, errno, reason: reason.into(), busy: Vec::new() }
}
