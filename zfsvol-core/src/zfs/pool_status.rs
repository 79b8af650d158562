//! [`PoolStatus`]: which pools are imported, how they are, and how full.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use super::Zfs;
use super::call::{Operation, REPLY_BYTES_FIRST};
use super::vdev_status::{VdevState, VdevStatus, time};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Ioc};
use crate::name::PoolName;
use crate::nvlist::{NvList, NvTypeError};
use crate::units::{Bytes, Guid, Txg};

const CONFIGS: Operation = Operation::new(Ioc::POOL_CONFIGS, "list the pools");
const STATS: Operation = Operation::new(Ioc::POOL_STATS, "get the status of the pool");
const PROPS: Operation = Operation::new(Ioc::POOL_GET_PROPS, "get the status of the pool");

/// An imported pool, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Its name.
    pub name: PoolName,
    /// Its GUID.
    pub guid: Guid,
    /// How it is.
    pub health: PoolHealth,
    /// Why it is suspended, if it is.
    pub suspended: Option<SuspendReason>,
    /// Space there is, parity included.
    pub size: Bytes,
    /// Space allocated.
    pub allocated: Bytes,
    /// Space not allocated. Less of it can be used: some is kept in reserve (`spa_slop_shift`).
    pub free: Bytes,
    /// Space that destroyed datasets still hold and a background process frees.
    pub freeing: Bytes,
    /// Fragmentation of the free space, in percent, where it is known.
    pub fragmentation: Option<u8>,
    /// Nothing can be written to it.
    pub read_only: bool,
    /// The newest transaction group the configuration is of.
    pub txg: Txg,
    /// How many errors [`Zfs::error_log`] would list, at most.
    pub errors: u64,
    /// The vdevs, from the root.
    pub root: VdevStatus,
    /// Hot spares.
    #[serde(with = "crate::nvlist::nvlist_array")]
    pub spares: Vec<VdevStatus>,
    /// Read cache.
    #[serde(with = "crate::nvlist::nvlist_array")]
    pub cache: Vec<VdevStatus>,
    /// The last scrub or resilver, if there was one since the pool was created.
    pub scan: Option<ScanStatus>,
    /// The checkpoint, if there is one.
    pub checkpoint: Option<CheckpointStatus>,
    /// The features that are enabled, by short name, and whether they are in use.
    pub features: BTreeMap<String, FeatureState>,
    /// All of it, as the kernel gave it.
    pub config: NvList,
}

/// How a pool is, in the words of `zpool list`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PoolHealth {
    /// All in order.
    Online,
    /// In use; something of it fails.
    Degraded,
    /// Too much of it fails: it cannot be used.
    Faulted,
    /// Its devices cannot be opened.
    Unavailable,
    /// Taken offline.
    Offline,
    /// Its devices were taken out.
    Removed,
    /// Its devices stopped answering; whatever writes to it waits. [`Zfs::clear_pool`] lets it go on.
    Suspended,
    /// The kernel does not say.
    Unknown,
}

/// Why a pool is suspended (`zio_suspend_reason_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SuspendReason {
    /// Reading or writing failed.
    Io,
    /// Another host may have imported it (multihost).
    Multihost,
    /// Another reason, or a module that does not say.
    Other,
}

/// Whether an enabled feature has changed the format of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureState {
    /// It may be used, and is not yet.
    Enabled,
    /// It is in use: only a module that knows it can import the pool (or import it writable).
    Active,
}

/// What a scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScanKind {
    /// Reading everything and comparing checksums.
    Scrub,
    /// Rebuilding devices.
    Resilver,
    /// A scrub of the blocks that had errors.
    ErrorScrub,
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScanState {
    /// It runs.
    Running,
    /// It is paused.
    Paused,
    /// It is done.
    Finished,
    /// It was stopped.
    Cancelled,
}

/// A scrub or resilver (`pool_scan_stat_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScanStatus {
    /// What it is.
    pub kind: ScanKind,
    /// How far it is.
    pub state: ScanState,
    /// When it began.
    #[serde(serialize_with = "crate::serial::maybe_seconds")]
    pub started: Option<SystemTime>,
    /// When it ended, if it has.
    #[serde(serialize_with = "crate::serial::maybe_seconds")]
    pub ended: Option<SystemTime>,
    /// Bytes to look at.
    pub total: Bytes,
    /// Bytes found so far.
    pub examined: Bytes,
    /// Bytes read and verified so far.
    pub issued: Bytes,
    /// Bytes repaired or rebuilt.
    pub processed: Bytes,
    /// Errors that could not be repaired.
    pub errors: u64,
}

/// A pool's checkpoint (`pool_checkpoint_stat_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckpointStatus {
    /// It is being discarded.
    pub discarding: bool,
    /// When it was made.
    #[serde(serialize_with = "crate::serial::maybe_seconds")]
    pub created: Option<SystemTime>,
    /// Space that only it holds.
    pub space: Bytes,
}

impl Zfs {
    /// The names of the imported pools, in the kernel's order, those that could not be opened included.
    ///
    /// Issues `ZFS_IOC_POOL_CONFIGS`.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when the reply cannot be read.
    #[doc(alias = "zpool_iter")]
    pub fn pool_names(&self) -> Result<Vec<PoolName>> {
        let mut cmd = Cmd::default();
        cmd.reply_max = REPLY_BYTES_FIRST;
        let configs = self.call_cmd(CONFIGS, &mut cmd).map_err(|error| error.into_error(self))?;
        configs
            .iter()
            .map(|(name, _)| {
                name.parse().map_err(|error| Error::protocol(CONFIGS.verb, format!("{error}")))
            })
            .collect()
    }

    /// The imported pools, in the kernel's order. One that goes away meanwhile is left out.
    ///
    /// Issues `ZFS_IOC_POOL_CONFIGS` once and `ZFS_IOC_POOL_STATS` and `ZFS_IOC_POOL_GET_PROPS` for each pool.
    ///
    /// # Errors
    /// As [`Self::pool_status`], but for [`ErrorKind::NotFound`].
    pub fn list_pools(&self) -> Result<Vec<PoolStatus>> {
        let mut pools = Vec::new();
        for name in self.pool_names()? {
            match self.pool_status(&name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                status => pools.push(status?),
            }
        }
        Ok(pools)
    }

    /// How a pool is. Answers for a suspended pool too, and does not wait for its devices.
    ///
    /// Issues `ZFS_IOC_POOL_STATS` and `ZFS_IOC_POOL_GET_PROPS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when no pool of that name is imported.
    #[doc(alias = "zpool_refresh_stats")]
    pub fn pool_status(&self, name: &PoolName) -> Result<PoolStatus> {
        let config = self.pool_config(STATS, name)?;
        let properties = self.raw_pool_properties(PROPS, name).unwrap_or_default();
        PoolStatus::from_config(name, config, &properties)
    }

    /// The configuration of a pool with its statistics.
    pub(super) fn pool_config(&self, operation: Operation, name: &PoolName) -> Result<NvList> {
        let operation = Operation::new(Ioc::POOL_STATS, operation.verb);
        let mut cmd = Cmd::new(name.as_str());
        cmd.reply_max = REPLY_BYTES_FIRST;
        self.call_cmd(operation, &mut cmd).map_err(|error| error.into_error(self))
    }

    /// The properties of a pool as the kernel gives them: `name: {value, source}`.
    pub(super) fn raw_pool_properties(
        &self,
        operation: Operation,
        name: &PoolName,
    ) -> Result<NvList> {
        let mut cmd = Cmd::new(name.as_str());
        cmd.reply_max = REPLY_BYTES_FIRST;
        self.call_cmd(operation, &mut cmd).map_err(|error| error.into_error(self))
    }
}

impl PoolStatus {
    fn from_config(name: &PoolName, config: NvList, properties: &NvList) -> Result<Self> {
        let wrong = |error: NvTypeError| {
            Error::protocol(STATS.verb, error.to_string()).with_target(name.as_str())
        };
        let tree = config.require_list("vdev_tree").map_err(wrong)?;
        let root = VdevStatus::from_config(tree);
        let aux = |kind| {
            tree.get_lists(kind).unwrap_or_default().iter().map(VdevStatus::from_config).collect()
        };
        let (spares, cache) = (aux("spares"), aux("l2cache"));
        let scan = tree.get_u64s("scan_stats").and_then(ScanStatus::from_numbers);
        let checkpoint = tree.get_u64s("checkpoint_stats").and_then(CheckpointStatus::from_numbers);
        let suspended = suspend_reason(&config);
        let property = |name: &str| properties.get_list(name)?.get_u64("value");
        let size = property("size").map_or(root.stats.size, Bytes::new);
        let allocated = property("allocated").map_or(root.stats.allocated, Bytes::new);
        let left = Bytes::new(size.get().saturating_sub(allocated.get()));
        Ok(Self {
            name: name.clone(),
            guid: Guid::new(config.require_u64("pool_guid").map_err(wrong)?),
            health: PoolHealth::new(root.state, suspended),
            suspended,
            size,
            allocated,
            free: property("free").map_or(left, Bytes::new),
            freeing: property("freeing").map_or(Bytes::ZERO, Bytes::new),
            // All ones when there is no histogram to tell by.
            fragmentation: property("fragmentation").and_then(|percent| u8::try_from(percent).ok()),
            read_only: property("readonly") == Some(1),
            txg: Txg::new(config.get_u64("txg").unwrap_or(0)),
            errors: config.get_u64("error_count").unwrap_or(0),
            scan,
            checkpoint,
            features: features(&config),
            root,
            spares,
            cache,
            config,
        })
    }
}

impl PoolHealth {
    /// As `zpool_get_state_str` of OpenZFS 2.4 `lib/libzfs/libzfs_pool.c` has it.
    fn new(root: VdevState, suspended: Option<SuspendReason>) -> Self {
        if suspended.is_some() {
            return Self::Suspended;
        }
        match root {
            VdevState::Online => Self::Online,
            VdevState::Degraded => Self::Degraded,
            VdevState::Faulted => Self::Faulted,
            VdevState::CannotOpen | VdevState::Closed => Self::Unavailable,
            VdevState::Offline => Self::Offline,
            VdevState::Removed => Self::Removed,
            VdevState::Unknown => Self::Unknown,
        }
    }
}

fn suspend_reason(config: &NvList) -> Option<SuspendReason> {
    // `suspended` is the pool's failmode; that it is there says it.
    config.get_u64("suspended")?;
    Some(match config.get_u64("suspended_reason") {
        Some(1) => SuspendReason::Io,
        Some(2) => SuspendReason::Multihost,
        _ => SuspendReason::Other,
    })
}

fn features(config: &NvList) -> BTreeMap<String, FeatureState> {
    let Some(stats) = config.get_list("feature_stats") else { return BTreeMap::new() };
    let state = |users| if users == 0 { FeatureState::Enabled } else { FeatureState::Active };
    stats
        .iter()
        .filter_map(|(guid, _)| {
            let users = stats.get_u64(guid)?;
            let name = guid.split_once(':').map_or(guid, |(_, name)| name);
            Some((name.to_owned(), state(users)))
        })
        .collect()
}

impl ScanStatus {
    /// The fields of `pool_scan_stat_t` in their order: OpenZFS 2.4 `include/sys/fs/zfs.h`.
    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
        let kind = match at(0) {
            1 => ScanKind::Scrub,
            2 => ScanKind::Resilver,
            3 => ScanKind::ErrorScrub,
            _ => return None,
        };
        let state = match at(1) {
            1 if at(11) != 0 => ScanState::Paused,
            1 => ScanState::Running,
            2 => ScanState::Finished,
            3 => ScanState::Cancelled,
            // `DSS_ERRORSCRUBBING`
            4 => ScanState::Running,
            _ => return None,
        };
        let bytes = |index| Bytes::new(at(index));
        Some(Self {
            kind,
            state,
            started: time(at(2)),
            ended: time(at(3)).filter(|_| !matches!(state, ScanState::Running | ScanState::Paused)),
            total: bytes(4),
            examined: bytes(5),
            processed: bytes(7),
            errors: at(8),
            issued: bytes(14),
        })
    }
}

impl CheckpointStatus {
    fn from_numbers(numbers: &[u64]) -> Option<Self> {
        let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
        let discarding = match at(0) {
            1 => false,
            2 => true,
            _ => return None,
        };
        Some(Self { discarding, created: time(at(1)), space: Bytes::new(at(2)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> NvList {
        let mut tree = NvList::new();
        let mut numbers = vec![0_u64; 20];
        numbers[1] = 7;
        numbers[3] = 10;
        numbers[4] = 100;
        tree.insert("type", "root").insert("guid", 5_u64).insert("vdev_stats", numbers);
        tree.insert("scan_stats", vec![1_u64, 2, 1000, 1010, 50, 50, 0, 0, 3]);
        let mut features = NvList::new();
        features.insert("com.delphix:bookmarks", 0_u64).insert("org.open-zfs:large_blocks", 2_u64);
        let mut config = NvList::new();
        config.insert("pool_guid", 5_u64).insert("vdev_tree", tree);
        config.insert("feature_stats", features).insert("error_count", 4_u64);
        config
    }

    fn status(config: NvList) -> PoolStatus {
        PoolStatus::from_config(&"tank".parse().unwrap(), config, &NvList::new()).unwrap()
    }

    #[test]
    fn a_healthy_pool_is_read() {
        let pool = status(config());
        assert_eq!((pool.health, pool.guid, pool.errors), (PoolHealth::Online, Guid::new(5), 4));
        assert_eq!((pool.size.get(), pool.allocated.get(), pool.free.get()), (100, 10, 90));
        let scan = pool.scan.unwrap();
        assert_eq!((scan.kind, scan.state, scan.errors), (ScanKind::Scrub, ScanState::Finished, 3));
        assert!(scan.ended > scan.started);
        assert_eq!(pool.features["bookmarks"], FeatureState::Enabled);
        assert_eq!(pool.features["large_blocks"], FeatureState::Active);
    }

    #[test]
    fn a_suspended_pool_says_so_whatever_its_vdevs_say() {
        let mut config = config();
        config.insert("suspended", 0_u64).insert("suspended_reason", 1_u64);
        let pool = status(config);
        assert_eq!(pool.health, PoolHealth::Suspended);
        assert_eq!(pool.suspended, Some(SuspendReason::Io));
    }

    #[test]
    fn a_reply_without_a_vdev_tree_is_not_one() {
        let mut config = config();
        config.remove("vdev_tree");
        let error =
            PoolStatus::from_config(&"tank".parse().unwrap(), config, &NvList::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}
