//! What a pool is made of: [`VdevSpec`], and the vdev tree the kernel reads.
//!
//! The tree is the one `zpool create` builds (OpenZFS 2.4 `cmd/zpool/zpool_vdev.c`), less its partitioning: a file or device is used as it
//! is, whole.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::call::Operation;
use crate::error::{Error, ErrorKind, Result};
use crate::nvlist::{NvList, NvString};

/// Smallest and largest sector size a vdev can have, as a power of two: 512 B and 64 KiB.
///
/// Source: OpenZFS 2.4 `include/sys/fs/zfs.h`, `ASHIFT_MIN`, `ASHIFT_MAX`.
pub const ASHIFT_RANGE: std::ops::RangeInclusive<u8> = 9..=16;

/// Most devices of one raidz or draid vdev (`VDEV_RAIDZ_MAXPARITY` bounds the parity, `VDEV_DRAID_MAX_CHILDREN` and the column maps the rest).
const DEVICES_MAX: usize = 255;

/// Most distributed spares of one draid vdev, as `zpool create` has it.
const DRAID_SPARES_MAX: u64 = 100;

/// Data devices of a draid group when nothing is said, as `zpool create` has it.
const DRAID_DATA_DEFAULT: u64 = 8;

/// One top-level vdev: its devices, their redundancy, and what is to be kept on it.
///
/// ```
/// use zfsvol_core::zfs::VdevSpec;
///
/// let data = VdevSpec::raidz(2, ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/sdd"]);
/// let log = VdevSpec::mirror(["/dev/nvme0n1", "/dev/nvme1n1"]).log();
/// # let _ = (data, log);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VdevSpec {
    redundancy: Redundancy,
    devices: Vec<PathBuf>,
    class: AllocationClass,
    ashift: Option<u8>,
}

/// How the devices of a vdev share the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redundancy {
    /// One device, no redundancy.
    None,
    /// Each device has all of it.
    Mirror,
    /// Any `parity` (1 to 3) devices may fail.
    Raidz {
        /// How many devices may fail.
        parity: u8,
    },
    /// As raidz, with the spares distributed over all devices.
    Draid(Draid),
}

/// The shape of a draid vdev. See `zpoolconcepts(7)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draid {
    /// How many devices of a group may fail: 1 to 3.
    pub parity: u8,
    /// Data devices of a group; `None` for 8, or as many as there are.
    pub data: Option<u64>,
    /// Distributed spares.
    pub spares: u64,
}

/// What a vdev is for (`ZPOOL_CONFIG_ALLOCATION_BIAS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AllocationClass {
    /// Everything that has no vdev of its own.
    #[default]
    Normal,
    /// The intent log.
    Log,
    /// Metadata, and small blocks where `special_small_blocks` says so.
    Special,
    /// Deduplication tables.
    Dedup,
}

impl VdevSpec {
    /// One file or device.
    pub fn single(device: impl Into<PathBuf>) -> Self {
        Self::new(Redundancy::None, [device])
    }

    /// A mirror of two or more.
    pub fn mirror(devices: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self::new(Redundancy::Mirror, devices)
    }

    /// A raidz vdev of which `parity` (1 to 3) devices may fail.
    pub fn raidz(parity: u8, devices: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self::new(Redundancy::Raidz { parity }, devices)
    }

    /// A draid vdev.
    pub fn draid(draid: Draid, devices: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self::new(Redundancy::Draid(draid), devices)
    }

    /// These devices, sharing the data so.
    pub fn new(
        redundancy: Redundancy,
        devices: impl IntoIterator<Item = impl Into<PathBuf>>,
    ) -> Self {
        Self {
            redundancy,
            devices: devices.into_iter().map(Into::into).collect(),
            class: AllocationClass::Normal,
            ashift: None,
        }
    }

    /// For the intent log.
    #[must_use]
    pub fn log(self) -> Self {
        self.class(AllocationClass::Log)
    }

    /// For metadata and small blocks.
    #[must_use]
    pub fn special(self) -> Self {
        self.class(AllocationClass::Special)
    }

    /// For deduplication tables.
    #[must_use]
    pub fn dedup(self) -> Self {
        self.class(AllocationClass::Dedup)
    }

    /// For this class of data.
    #[must_use]
    pub fn class(mut self, class: AllocationClass) -> Self {
        self.class = class;
        self
    }

    /// With sectors of 2 to the power of `ashift` bytes (9 to 16), whatever the devices say of themselves.
    #[must_use]
    pub fn ashift(mut self, ashift: u8) -> Self {
        self.ashift = Some(ashift);
        self
    }

    /// Its files and devices.
    pub fn devices(&self) -> &[PathBuf] {
        &self.devices
    }
}

/// The vdevs of a pool to be created, or to be added to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// The top-level vdevs. Data is striped over those of the same class.
    pub vdevs: Vec<VdevSpec>,
    /// Hot spares.
    pub spares: Vec<PathBuf>,
    /// Read cache (L2ARC).
    pub cache: Vec<PathBuf>,
    /// Sectors of 2 to the power of this many bytes, for vdevs that do not say otherwise.
    pub ashift: Option<u8>,
}

impl Topology {
    /// Every file and device in it.
    pub fn devices(&self) -> impl Iterator<Item = &Path> {
        let data = self.vdevs.iter().flat_map(|vdev| &vdev.devices);
        data.chain(&self.spares).chain(&self.cache).map(PathBuf::as_path)
    }

    /// The root vdev as the kernel reads it.
    pub(super) fn to_config(&self, check: Check<'_>) -> Result<NvList> {
        let mut root = NvList::new();
        root.insert("type", "root");
        let children: Result<Vec<_>> =
            self.vdevs.iter().map(|vdev| vdev.to_config(self.ashift, check)).collect();
        root.insert("children", children?);
        for (name, devices) in [("spares", &self.spares), ("l2cache", &self.cache)] {
            if !devices.is_empty() {
                let leaves: Result<Vec<_>> =
                    devices.iter().map(|device| leaf(device, self.ashift, check)).collect();
                root.insert(name, leaves?);
            }
        }
        Ok(root)
    }
}

impl VdevSpec {
    fn to_config(&self, ashift: Option<u8>, check: Check<'_>) -> Result<NvList> {
        self.check(check)?;
        let ashift = self.ashift.or(ashift);
        let leaves: Result<Vec<_>> =
            self.devices.iter().map(|device| leaf(device, ashift, check)).collect();
        let mut leaves = leaves?;
        let mut vdev = match (self.redundancy, leaves.len()) {
            (Redundancy::None, 1) => leaves.pop().unwrap_or_default(),
            _ => NvList::new(),
        };
        match self.redundancy {
            Redundancy::None => {}
            Redundancy::Mirror => {
                vdev.insert("type", "mirror");
            }
            Redundancy::Raidz { parity } => {
                vdev.insert("type", "raidz").insert("nparity", u64::from(parity));
            }
            Redundancy::Draid(draid) => draid.insert_into(&mut vdev, leaves.len() as u64, check)?,
        }
        vdev.insert("is_log", u64::from(self.class == AllocationClass::Log));
        if let Some(bias) = self.class.bias() {
            vdev.insert("alloc_bias", bias);
        }
        if let Some(ashift) = ashift {
            vdev.insert("ashift", u64::from(ashift));
        }
        if !leaves.is_empty() {
            vdev.insert("children", leaves);
        }
        Ok(vdev)
    }

    /// What the kernel would only call `EINVAL`.
    fn check(&self, check: Check<'_>) -> Result<()> {
        let (least, kind) = match self.redundancy {
            Redundancy::None if self.devices.len() != 1 => {
                return check.refuse("a vdev without redundancy has one device");
            }
            Redundancy::None => (1, "a vdev"),
            Redundancy::Mirror => (2, "a mirror"),
            Redundancy::Raidz { parity } => {
                (usize::from(parity) + 1, "a raidz vdev of that parity")
            }
            Redundancy::Draid(draid) => {
                (usize::from(draid.parity) + 1, "a draid vdev of that parity")
            }
        };
        let parity = match self.redundancy {
            Redundancy::Raidz { parity } | Redundancy::Draid(Draid { parity, .. }) => parity,
            _ => 1,
        };
        if !(1..=3).contains(&parity) {
            return check.refuse("parity is 1, 2 or 3");
        }
        if self.devices.len() < least {
            return check.refuse(format!("{kind} needs at least {least} devices"));
        }
        if self.devices.len() > DEVICES_MAX {
            return check.refuse(format!("{kind} has at most {DEVICES_MAX} devices"));
        }
        let plain = matches!(self.redundancy, Redundancy::None | Redundancy::Mirror);
        if self.class == AllocationClass::Log && !plain {
            return check.refuse("a log is one device or a mirror");
        }
        Ok(())
    }
}

impl AllocationClass {
    fn bias(self) -> Option<&'static str> {
        match self {
            Self::Normal => None,
            Self::Log => Some("log"),
            Self::Special => Some("special"),
            Self::Dedup => Some("dedup"),
        }
    }
}

impl Draid {
    /// The numbers of `zpool create`: as many groups as it takes until they end with a row of devices.
    fn insert_into(self, vdev: &mut NvList, devices: u64, check: Check<'_>) -> Result<()> {
        let parity = u64::from(self.parity);
        let taken = parity.saturating_add(self.spares);
        if self.spares > DRAID_SPARES_MAX || taken >= devices {
            return check.refuse(format!(
                "a draid vdev of {devices} devices has no room for {} spares and parity {parity}",
                self.spares
            ));
        }
        let data = self.data.unwrap_or(DRAID_DATA_DEFAULT.min(devices - taken));
        if data == 0 || data > devices - taken {
            return check.refuse(format!(
                "a group of this draid vdev has 1 to {} data devices",
                devices - taken
            ));
        }
        let (width, columns) = (data + parity, devices - self.spares);
        let groups = columns / gcd(width, columns);
        vdev.insert("type", "draid")
            .insert("nparity", parity)
            .insert("draid_ndata", data)
            .insert("draid_nspares", self.spares)
            .insert("draid_ngroups", groups);
        Ok(())
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Whom an error is about.
#[derive(Clone, Copy)]
pub(super) struct Check<'a> {
    pub(super) operation: Operation,
    pub(super) target: &'a str,
}

impl Check<'_> {
    fn refuse<T>(self, reason: impl Into<std::borrow::Cow<'static, str>>) -> Result<T> {
        Err(self.operation.error(ErrorKind::Invalid, self.target, reason))
    }
}

/// A leaf vdev: a block device or a regular file, by its absolute path.
pub(super) fn leaf(path: &Path, ashift: Option<u8>, check: Check<'_>) -> Result<NvList> {
    if !path.is_absolute() {
        return check.refuse(format!("'{}' is not an absolute path", path.display()));
    }
    if let Some(ashift) = ashift {
        if !ASHIFT_RANGE.contains(&ashift) {
            return check.refuse(format!("ashift {ashift} is not between 9 and 16"));
        }
    }
    let kind =
        std::fs::metadata(path).map_err(|error| device_error(path, error, check))?.file_type();
    let mut vdev = NvList::new();
    let text = NvString::from(path.as_os_str().as_encoded_bytes());
    if kind.is_block_device() {
        vdev.insert("path", text).insert("type", "disk").insert("whole_disk", 0_u64);
    } else if kind.is_file() {
        vdev.insert("path", text).insert("type", "file");
    } else {
        return check
            .refuse(format!("'{}' is neither a block device nor a regular file", path.display()));
    }
    if let Some(ashift) = ashift {
        vdev.insert("ashift", u64::from(ashift));
    }
    Ok(vdev)
}

/// An input/output error of a file or device that is meant for a pool.
pub(super) fn device_error(path: &Path, error: std::io::Error, check: Check<'_>) -> Error {
    let error = Error::io(check.operation.verb, error);
    let reason = format!("device '{}': {}", path.display(), error.reason());
    let named = Error::new(error.kind(), check.operation.verb, reason).with_target(check.target);
    match error.errno() {
        Some(errno) => named.with_errno(errno),
        None => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Ioc;

    const CREATE: Operation = Operation::new(Ioc::POOL_CREATE, "create the pool");

    fn files(count: usize) -> (tempfile::TempDir, Vec<PathBuf>) {
        let directory = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..count).map(|n| directory.path().join(n.to_string())).collect();
        paths.iter().for_each(|path| std::fs::write(path, b"").unwrap());
        (directory, paths)
    }

    fn config(topology: &Topology) -> Result<NvList> {
        topology.to_config(Check { operation: CREATE, target: "tank" })
    }

    fn one(vdev: VdevSpec) -> Topology {
        Topology { vdevs: vec![vdev], ..Topology::default() }
    }

    #[test]
    fn the_tree_is_the_one_zpool_create_builds() {
        let (_directory, paths) = files(5);
        let topology = Topology {
            vdevs: vec![
                VdevSpec::raidz(1, &paths[..3]),
                VdevSpec::single(&paths[3]).log().ashift(9),
            ],
            spares: vec![paths[4].clone()],
            ashift: Some(12),
            ..Topology::default()
        };
        let root = config(&topology).unwrap();
        assert_eq!(root.get_str("type"), Some("root"));
        let children = root.get_lists("children").unwrap();
        assert_eq!(children[0].get_str("type"), Some("raidz"));
        assert_eq!(children[0].get_u64("nparity"), Some(1));
        assert_eq!(children[0].get_u64("is_log"), Some(0));
        let leaves = children[0].get_lists("children").unwrap();
        assert_eq!(leaves.len(), 3);
        assert_eq!(leaves[2].get_str("path"), paths[2].to_str());
        assert_eq!(leaves[2].get_str("type"), Some("file"));
        assert_eq!(leaves[2].get_u64("ashift"), Some(12));
        assert_eq!(children[1].get_u64("is_log"), Some(1));
        assert_eq!(children[1].get_str("alloc_bias"), Some("log"));
        assert_eq!(children[1].get_u64("ashift"), Some(9));
        assert_eq!(root.get_lists("spares").unwrap().len(), 1);
        assert!(!root.contains("l2cache"));
    }

    /// Figures of `zpool create tank draid2:4d:11c:1s` and of others, from OpenZFS's own arithmetic.
    #[test]
    fn draid_groups_end_with_a_row() {
        for (devices, draid, (data, groups)) in [
            (11, Draid { parity: 2, data: Some(4), spares: 1 }, (4, 5)),
            (3, Draid { parity: 1, ..Draid::default() }, (2, 1)),
            (14, Draid { parity: 1, spares: 2, ..Draid::default() }, (8, 4)),
        ] {
            let (_directory, paths) = files(devices);
            let root = config(&one(VdevSpec::draid(draid, &paths))).unwrap();
            let vdev = &root.get_lists("children").unwrap()[0];
            assert_eq!(vdev.get_u64("draid_ndata"), Some(data), "{draid:?}");
            assert_eq!(vdev.get_u64("draid_ngroups"), Some(groups), "{draid:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_vdev_is_refused_with_the_reason() {
        let (directory, paths) = files(4);
        for (vdev, reason) in [
            (VdevSpec::mirror(&paths[..1]), "a mirror needs at least 2 devices"),
            (VdevSpec::raidz(4, &paths), "parity is 1, 2 or 3"),
            (
                VdevSpec::raidz(3, &paths[..3]),
                "a raidz vdev of that parity needs at least 4 devices",
            ),
            (VdevSpec::raidz(1, &paths).log(), "a log is one device or a mirror"),
            (VdevSpec::single("data"), "'data' is not an absolute path"),
            (
                VdevSpec::single("/dev/null"),
                "'/dev/null' is neither a block device nor a regular file",
            ),
            (VdevSpec::single(&paths[0]).ashift(17), "ashift 17 is not between 9 and 16"),
            (
                VdevSpec::draid(Draid { parity: 1, data: Some(3), spares: 1 }, &paths),
                "a group of this draid vdev has 1 to 2 data devices",
            ),
            (
                VdevSpec::draid(Draid { parity: 1, data: None, spares: 101 }, &paths),
                "a draid vdev of 4 devices has no room for 101 spares and parity 1",
            ),
        ] {
            let error = config(&one(vdev)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert_eq!(error.reason(), reason);
        }
        let missing = directory.path().join("missing");
        let error = config(&one(VdevSpec::single(&missing))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            format!(
                "cannot create the pool 'tank': device '{}': it does not exist (ENOENT)",
                missing.display()
            )
        );
    }
}
