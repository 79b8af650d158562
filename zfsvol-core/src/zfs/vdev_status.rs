//! [`VdevStatus`]: one vdev of an imported pool, its state and its counters.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::topology::AllocationClass;
use crate::nvlist::NvList;
use crate::units::{Bytes, Guid};

/// A vdev as the kernel sees it now, with those below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VdevStatus {
    /// What it is.
    #[serde(flatten)]
    pub kind: VdevKind,
    /// Its place among its parent's children.
    pub id: u64,
    /// Its GUID, by which operations on vdevs name it. Zero for a hole.
    pub guid: Guid,
    /// The file or device, of a leaf. It may be wrong: the kernel keeps the last path it knew of a missing device.
    #[serde(serialize_with = "crate::serial::maybe_path")]
    pub path: Option<PathBuf>,
    /// What it is for, of a top-level vdev.
    pub class: AllocationClass,
    /// Its state.
    pub state: VdevState,
    /// Why it is in that state, where the kernel says.
    pub reason: Option<VdevReason>,
    /// Numbers.
    pub stats: VdevStats,
    /// The vdevs below it.
    #[serde(with = "crate::nvlist::nvlist_array")]
    pub children: Vec<VdevStatus>,
}

/// What a vdev is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum VdevKind {
    /// The pool's root, above all others.
    Root,
    /// A mirror.
    Mirror,
    /// Raidz of that parity.
    Raidz {
        /// How many devices may fail.
        parity: u8,
    },
    /// Draid of that parity.
    Draid {
        /// How many devices may fail.
        parity: u8,
    },
    /// A block device.
    Disk,
    /// A file.
    File,
    /// A distributed spare of a draid vdev.
    DraidSpare,
    /// A device and the spare that stands in for it.
    Spare,
    /// A device and the one that replaces it.
    Replacing,
    /// Removed: its data is found elsewhere.
    Indirect,
    /// An empty place where a vdev was.
    Hole,
    /// Not found when the pool was imported.
    Missing,
    /// A kind this library does not know.
    Other(String),
}

/// The state of a vdev (`vdev_state_t`), from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VdevState {
    /// Not known yet.
    Unknown,
    /// Not open.
    Closed,
    /// Taken offline.
    Offline,
    /// Taken out of the machine.
    Removed,
    /// It could not be opened; `zpool status` calls it `UNAVAIL`.
    CannotOpen,
    /// Out of use after errors or by order.
    Faulted,
    /// In use, but something of it fails.
    Degraded,
    /// In order.
    Online,
}

/// Why a vdev is in a bad state (`vdev_aux_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "why", content = "number", rename_all = "snake_case")]
#[non_exhaustive]
pub enum VdevReason {
    /// The file or device cannot be opened.
    OpenFailed,
    /// Its label or contents are damaged.
    CorruptData,
    /// Too few of its children work.
    NoReplicas,
    /// The GUIDs do not add up: a device is missing.
    BadGuidSum,
    /// The device is too small.
    TooSmall,
    /// Its label is of something else.
    BadLabel,
    /// Its version is too new for the module.
    VersionNewer,
    /// Its version is too old.
    VersionOlder,
    /// It needs features the module does not know.
    UnsupportedFeature,
    /// The spare is in use by another pool.
    Spared,
    /// Too many errors.
    ErrorsExceeded,
    /// Reading or writing failed.
    IoFailure,
    /// The intent log cannot be read.
    BadLog,
    /// By order from outside.
    External,
    /// It was split off into another pool.
    SplitPool,
    /// Its sector size is not possible.
    BadAshift,
    /// By order from outside, and to stay so.
    ExternalPersistent,
    /// In use on another host.
    Active,
    /// All children are offline.
    ChildrenOffline,
    /// The device's sectors are larger than the vdev's.
    AshiftTooBig,
    /// A number this library does not know.
    Other(u64),
}

/// Numbers of a vdev (`vdev_stat_t`). A number that the loaded module does not give is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VdevStats {
    /// Space allocated. Of a top-level vdev and the root.
    pub allocated: Bytes,
    /// Space there is.
    pub size: Bytes,
    /// Space it would have when expanded.
    pub expandable: Bytes,
    /// Reads that failed.
    pub read_errors: u64,
    /// Writes that failed.
    pub write_errors: u64,
    /// Blocks that were read and were wrong.
    pub checksum_errors: u64,
    /// Bytes that were wrong and are repaired.
    pub self_healed: Bytes,
    /// Reads done.
    pub read_operations: u64,
    /// Writes done.
    pub write_operations: u64,
    /// Bytes read.
    pub read_bytes: Bytes,
    /// Bytes written.
    pub written_bytes: Bytes,
    /// Operations that took longer than `zio_slow_io_ms`.
    pub slow_operations: u64,
    /// Fragmentation of the free space, in percent.
    pub fragmentation: Option<u8>,
    /// The vdev is being removed.
    pub removing: bool,
    /// Initializing, if it was ever begun.
    pub initialize: Option<VdevActivity>,
    /// Trimming, if it was ever begun.
    pub trim: Option<VdevActivity>,
    /// The device cannot be trimmed.
    pub trim_unsupported: bool,
    /// Sector size in use, as a power of two; zero before 2.1.
    pub ashift: u64,
    /// Sector size the device claims.
    pub logical_ashift: u64,
    /// Sector size the device works best with.
    pub physical_ashift: u64,
}

/// How far initializing or trimming of a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VdevActivity {
    /// Running, stopped or done.
    pub state: VdevActivityState,
    /// Bytes done.
    pub done: Bytes,
    /// Bytes to do in all, estimated.
    pub estimate: Bytes,
    /// When its state last changed.
    #[serde(serialize_with = "crate::serial::seconds")]
    pub changed: SystemTime,
}

/// The state of initializing or trimming (`vdev_initializing_state_t`, `vdev_trim_state_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VdevActivityState {
    /// It runs.
    Active,
    /// It was cancelled.
    Cancelled,
    /// It is suspended and can go on.
    Suspended,
    /// It is done.
    Complete,
}

impl VdevStatus {
    /// Its name as `zpool status` shows it: the path of a leaf, `mirror-0`, `raidz2-1`.
    pub fn name(&self) -> String {
        match (&self.path, &self.kind) {
            (Some(path), _) => path.display().to_string(),
            (None, VdevKind::Root) => self.kind.to_string(),
            (None, kind) => format!("{kind}-{}", self.id),
        }
    }

    /// Whether it is a file or device, and not made of others.
    pub fn is_leaf(&self) -> bool {
        matches!(self.kind, VdevKind::Disk | VdevKind::File | VdevKind::DraidSpare)
    }

    /// It and all below it, parents before children.
    pub fn iter(&self) -> impl Iterator<Item = &Self> {
        let mut stack = vec![self];
        std::iter::from_fn(move || {
            let next = stack.pop()?;
            stack.extend(next.children.iter().rev());
            Some(next)
        })
    }

    /// The files and devices in it.
    pub fn leaves(&self) -> impl Iterator<Item = &Self> {
        self.iter().filter(|vdev| vdev.is_leaf())
    }

    /// A vdev of a configuration, statistics included if it has them.
    pub(super) fn from_config(config: &NvList) -> Self {
        let number = |name| config.get_u64(name).unwrap_or(0);
        let stats = config.get_u64s("vdev_stats").unwrap_or_default();
        let children = config.get_lists("children").unwrap_or_default();
        let path =
            config.get_string("path").map(|path| PathBuf::from(OsStr::from_bytes(path.as_bytes())));
        Self {
            kind: VdevKind::from_config(config),
            id: number("id"),
            guid: Guid::new(number("guid")),
            path,
            class: class(config),
            state: VdevState::from_number(stat(stats, 1)),
            reason: VdevReason::from_number(stat(stats, 2)),
            stats: VdevStats::from_numbers(stats),
            children: children.iter().map(Self::from_config).collect(),
        }
    }
}

fn class(config: &NvList) -> AllocationClass {
    match config.get_str("alloc_bias") {
        Some("log") => AllocationClass::Log,
        Some("special") => AllocationClass::Special,
        Some("dedup") => AllocationClass::Dedup,
        _ if config.get_u64("is_log") == Some(1) => AllocationClass::Log,
        _ => AllocationClass::Normal,
    }
}

impl VdevKind {
    fn from_config(config: &NvList) -> Self {
        let parity =
            || config.get_u64("nparity").and_then(|parity| u8::try_from(parity).ok()).unwrap_or(1);
        match config.get_str("type").unwrap_or_default() {
            "root" => Self::Root,
            "mirror" => Self::Mirror,
            "raidz" => Self::Raidz { parity: parity() },
            "draid" => Self::Draid { parity: parity() },
            "disk" => Self::Disk,
            "file" => Self::File,
            "dspare" => Self::DraidSpare,
            "spare" => Self::Spare,
            "replacing" => Self::Replacing,
            "indirect" => Self::Indirect,
            "hole" => Self::Hole,
            "missing" => Self::Missing,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for VdevKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Mirror => f.write_str("mirror"),
            Self::Raidz { parity } => write!(f, "raidz{parity}"),
            Self::Draid { parity } => write!(f, "draid{parity}"),
            Self::Disk => f.write_str("disk"),
            Self::File => f.write_str("file"),
            Self::DraidSpare => f.write_str("dspare"),
            Self::Spare => f.write_str("spare"),
            Self::Replacing => f.write_str("replacing"),
            Self::Indirect => f.write_str("indirect"),
            Self::Hole => f.write_str("hole"),
            Self::Missing => f.write_str("missing"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl VdevState {
    pub(super) fn from_number(number: u64) -> Self {
        match number {
            1 => Self::Closed,
            2 => Self::Offline,
            3 => Self::Removed,
            4 => Self::CannotOpen,
            5 => Self::Faulted,
            6 => Self::Degraded,
            7 => Self::Online,
            _ => Self::Unknown,
        }
    }
}

impl VdevReason {
    fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => return None,
            1 => Self::OpenFailed,
            2 => Self::CorruptData,
            3 => Self::NoReplicas,
            4 => Self::BadGuidSum,
            5 => Self::TooSmall,
            6 => Self::BadLabel,
            7 => Self::VersionNewer,
            8 => Self::VersionOlder,
            9 => Self::UnsupportedFeature,
            10 => Self::Spared,
            11 => Self::ErrorsExceeded,
            12 => Self::IoFailure,
            13 => Self::BadLog,
            14 => Self::External,
            15 => Self::SplitPool,
            16 => Self::BadAshift,
            17 => Self::ExternalPersistent,
            18 => Self::Active,
            19 => Self::ChildrenOffline,
            20 => Self::AshiftTooBig,
            other => Self::Other(other),
        })
    }
}

/// Numbers a release appended are absent in an older one.
fn stat(numbers: &[u64], index: usize) -> u64 {
    numbers.get(index).copied().unwrap_or(0)
}

impl VdevStats {
    /// The fields of `vdev_stat_t` in their order: OpenZFS 2.4 `include/sys/fs/zfs.h`. 2.1 to 2.4 agree up to the physical ashift (44).
    fn from_numbers(numbers: &[u64]) -> Self {
        let at = |index| stat(numbers, index);
        let bytes = |index| Bytes::new(at(index));
        Self {
            allocated: bytes(3),
            size: bytes(4),
            expandable: bytes(7),
            // Arrays of six counters follow: null, read, write, free, claim, flush (and trim in the place of the last).
            read_operations: at(9),
            write_operations: at(10),
            read_bytes: bytes(15),
            written_bytes: bytes(16),
            read_errors: at(20),
            write_errors: at(21),
            checksum_errors: at(22),
            self_healed: bytes(24),
            removing: at(25) != 0,
            fragmentation: u8::try_from(at(27)).ok().filter(|_| numbers.len() > 27),
            slow_operations: at(34),
            initialize: VdevActivity::from_numbers(at(30), at(28), at(29), at(31)),
            trim: VdevActivity::from_numbers(at(39), at(37), at(38), at(40)),
            trim_unsupported: at(36) != 0,
            ashift: at(42),
            logical_ashift: at(43),
            physical_ashift: at(44),
        }
    }
}

impl VdevActivity {
    fn from_numbers(state: u64, done: u64, estimate: u64, changed: u64) -> Option<Self> {
        let state = match state {
            1 => VdevActivityState::Active,
            2 => VdevActivityState::Cancelled,
            3 => VdevActivityState::Suspended,
            4 => VdevActivityState::Complete,
            _ => return None,
        };
        let (done, estimate) = (Bytes::new(done), Bytes::new(estimate));
        Some(Self { state, done, estimate, changed: time(changed).unwrap_or(UNIX_EPOCH) })
    }
}

/// A point in time as the kernel gives it, in seconds since 1970; none for zero.
pub(super) fn time(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).filter(|_| seconds != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(path: &str) -> NvList {
        let mut numbers: Vec<u64> = (100..145).collect();
        numbers[1] = 6;
        numbers[2] = 11;
        numbers[27] = 17;
        numbers[30] = 1;
        numbers[39] = 0;
        [("type", "file"), ("path", path)].into_iter().collect::<NvList>().with(numbers)
    }

    impl NvList {
        fn with(mut self, numbers: Vec<u64>) -> Self {
            self.insert("guid", 9_u64).insert("vdev_stats", numbers);
            self
        }
    }

    #[test]
    fn numbers_are_found_at_their_places() {
        let vdev = VdevStatus::from_config(&leaf("/dev/sda"));
        assert_eq!(vdev.state, VdevState::Degraded);
        assert_eq!(vdev.reason, Some(VdevReason::ErrorsExceeded));
        let stats = vdev.stats;
        assert_eq!((stats.read_errors, stats.checksum_errors), (120, 122));
        assert_eq!(stats.fragmentation, Some(17));
        assert_eq!(stats.initialize.unwrap().done, Bytes::new(128));
        assert_eq!((stats.trim, stats.ashift, stats.physical_ashift), (None, 142, 144));
        assert_eq!(vdev.name(), "/dev/sda");
    }

    #[test]
    fn missing_numbers_are_zero() {
        let mut config = NvList::new();
        config.insert("type", "raidz").insert("nparity", 2_u64).insert("id", 3_u64);
        config.insert("children", vec![leaf("/a"), leaf("/b")]);
        let vdev = VdevStatus::from_config(&config);
        assert_eq!(vdev.stats, VdevStats::default());
        assert_eq!((vdev.state, vdev.reason), (VdevState::Unknown, None));
        assert_eq!(vdev.name(), "raidz2-3");
        let names: Vec<_> = vdev.iter().map(VdevStatus::name).collect();
        assert_eq!(names, ["raidz2-3", "/a", "/b"]);
        assert_eq!(vdev.leaves().count(), 2);
    }
}
