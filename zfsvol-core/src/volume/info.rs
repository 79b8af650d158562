//! [`VolumeInfo`]: what is known of a volume, read from its properties; and the list of all.

use serde::Serialize;

use uuid::Uuid;

use super::{Node, Ownership, OwnershipError, VolumeName, VolumeState};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::ObjsetStats;
use crate::name::{DatasetName, SnapshotName};
use crate::property::{DatasetTypes, Properties};
use crate::units::Bytes;
use crate::zfs::List;

const GET: &str = "look at the volume";

/// The properties that [`VolumeInfo`] is made from: only these are asked for when many are listed.
const WANTED: [&str; 14] = [
    "available",
    "creation",
    "keystatus",
    "mounted",
    "origin",
    "receive_resume_token",
    "referenced",
    "refquota",
    "refreservation",
    "type",
    "used",
    "volblocksize",
    "volsize",
    "written",
];

/// A volume as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VolumeInfo {
    /// Its name.
    pub name: VolumeName,
    /// Its dataset.
    pub dataset: DatasetName,
    /// Whose it is.
    #[serde(flatten)]
    pub ownership: Ownership,
    /// A file system or a block device, and how large.
    #[serde(flatten)]
    pub kind: VolumeKind,
    /// What it takes in the pool, with its snapshots and what is reserved for it: `used`.
    pub used: Bytes,
    /// What it holds now, without its snapshots: `referenced`.
    pub referenced: Bytes,
    /// How much more it can take: `available`.
    pub available: Bytes,
    /// What was written since its newest snapshot: `written`.
    pub written: Bytes,
    /// When its dataset was created, in seconds since 1970. A replica has a time of its own.
    pub created: i64,
    /// The snapshot that it is a clone of.
    pub origin: Option<SnapshotName>,
    /// Whether it is mounted. Always `false` for a block device.
    pub mounted: bool,
    /// Whether it is encrypted and its key is not loaded.
    pub locked: bool,
    /// Where to go on with an interrupted push into it, if there was one.
    pub resume_token: Option<String>,
}

/// What a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum VolumeKind {
    /// A file system.
    FileSystem {
        /// How much it may hold, its snapshots not counted: `refquota`. `None` is without a limit.
        quota: Option<Bytes>,
    },
    /// A block device.
    Block {
        /// Its size: `volsize`.
        size: Bytes,
        /// The size of its blocks: `volblocksize`.
        block_size: Bytes,
        /// Whether all of its size is reserved for it. A sparse one can find the pool full.
        sparse: bool,
    },
}

/// A volume, what is set on it, and which of its snapshots is the newest, at one moment. Whether it is mounted is not known.
pub(super) struct Present {
    pub(super) info: VolumeInfo,
    pub(super) properties: Properties,
    pub(super) newest: Option<String>,
}

/// The volumes of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Volumes {
    /// Those whose properties make sense, by name.
    #[serde(with = "crate::nvlist::nvlist_array")]
    pub volumes: Vec<VolumeInfo>,
    /// Those that somebody else changed.
    #[serde(with = "crate::nvlist::nvlist_array")]
    pub damaged: Vec<DamagedVolume>,
}

/// A dataset that calls itself a volume and does not make sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DamagedVolume {
    /// The dataset.
    pub dataset: DatasetName,
    /// What is wrong with it.
    #[serde(serialize_with = "crate::serial::word")]
    pub why: OwnershipError,
}

impl VolumeInfo {
    /// Whether that node owns it and may write to it.
    #[must_use]
    pub fn is_owned_by(&self, node: Uuid) -> bool {
        self.ownership.owner == node && self.ownership.state == VolumeState::Owned
    }
}

impl Node {
    /// A volume as it is now; `None` when there is none of that name.
    ///
    /// Issues `ZFS_IOC_OBJSET_STATS`.
    ///
    /// # Errors
    /// - [`ErrorKind::Exists`]: there is a dataset of that name, and it is no volume.
    /// - [`ErrorKind::InProgress`]: it is being received for the first time, and does not say yet whose it is.
    /// - [`ErrorKind::Corrupt`]: it is a volume whose ownership makes no sense: somebody else changed it.
    /// - As [`Zfs::properties`](crate::Zfs::properties).
    pub fn get(&self, name: &VolumeName) -> Result<Option<VolumeInfo>> {
        let told = |error: Error| error.with_operation(GET).with_target(name.as_str());
        let dataset = self.dataset(name).map_err(told)?;
        let wanted = wanted().map(str::to_owned).collect();
        let (properties, stats) = match self.zfs().wanted_properties(&dataset, &wanted) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(told)?,
        };
        read(name, dataset, &properties, &stats).map(Some).map_err(told)
    }

    /// A volume as it is now, with what is set on it and which of its snapshots is the newest: all by one look. `None` when there is none of that name.
    pub(super) fn present(&self, name: &VolumeName) -> Result<Option<Present>> {
        let told = |error: Error| error.with_operation(GET).with_target(name.as_str());
        let dataset = self.dataset(name).map_err(told)?;
        let (properties, stats) = match self.zfs().stored_properties(&dataset) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.map_err(told)?,
        };
        let info = read(name, dataset, &properties, &stats).map_err(told)?;
        // That of a clone without snapshots is the one it was made from.
        let newest = properties.text("prevsnap").and_then(|full| {
            full.strip_prefix(info.dataset.as_str())?.strip_prefix('@').map(str::to_owned)
        });
        Ok(Some(Present { info, properties, newest }))
    }

    /// Every volume of this node, by name, whoever owns it. Datasets below the root that are no volumes are passed over.
    ///
    /// Issues what [`Zfs::list`](crate::Zfs::list) does for one level: `ZFS_IOC_OBJSET_STATS` once a volume.
    ///
    /// # Errors
    /// As [`Zfs::list`](crate::Zfs::list).
    pub fn list(&self) -> Result<Volumes> {
        let told = |error: Error| {
            error.with_operation("list the volumes of").with_target(self.root().as_str())
        };
        let below = List::from(self.root().clone())
            .depth(1)
            .types(DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME)
            .properties(wanted());
        let mut found = Volumes::default();
        for dataset in self.zfs().list(&below) {
            let dataset = dataset.map_err(told)?;
            let Ok(dataset_name) = dataset.name.as_str().parse::<DatasetName>() else { continue };
            let Some(name) = self.volume_name(&dataset_name) else { continue };
            match Ownership::read(&dataset.properties) {
                Ok(Some(ownership)) => {
                    found.volumes.push(info(name, dataset_name, ownership, &dataset.properties));
                }
                Ok(None) => {}
                Err(why) => found.damaged.push(DamagedVolume { dataset: dataset_name, why }),
            }
        }
        Ok(found)
    }

    /// The name that a dataset right below the root has as a volume.
    fn volume_name(&self, dataset: &DatasetName) -> Option<VolumeName> {
        dataset.as_str().strip_prefix(self.root().as_str())?.strip_prefix('/')?.parse().ok()
    }
}

/// What [`VolumeInfo`] and [`Ownership`] are made from.
fn wanted() -> impl Iterator<Item = &'static str> {
    WANTED.into_iter().chain(Ownership::PROPERTIES)
}

/// The volume that a dataset is, or why it is none.
fn read(
    name: &VolumeName,
    dataset: DatasetName,
    properties: &Properties,
    stats: &ObjsetStats,
) -> Result<VolumeInfo> {
    match Ownership::read(properties) {
        Ok(Some(ownership)) => Ok(info(name.clone(), dataset, ownership, properties)),
        Ok(None) => Err(no_volume(&dataset, stats.inconsistent)),
        Err(why) => Err(Error::new(ErrorKind::Corrupt, GET, why.to_string())
            .with_help("set its properties right with the zfs command")),
    }
}

/// Why a dataset is none. One that is received for the first time is there for a moment before its properties are (OpenZFS 2.1 to 2.4
/// `module/zfs/zfs_ioctl.c`, zfs_ioc_recv_impl; seen on 2.4), and for longer if the machine died then.
fn no_volume(dataset: &DatasetName, inconsistent: bool) -> Error {
    if inconsistent {
        let reason = format!("'{dataset}' began to be received, and does not say yet whose it is");
        return Error::new(ErrorKind::InProgress, GET, reason)
            .with_help("try again, or push the volume again if that was interrupted");
    }
    Error::new(ErrorKind::Exists, GET, format!("'{dataset}' is no volume"))
}

fn info(
    name: VolumeName,
    dataset: DatasetName,
    ownership: Ownership,
    properties: &Properties,
) -> VolumeInfo {
    let bytes = |property: &str| properties.bytes(property).unwrap_or_default();
    let created = properties.number("creation").and_then(|seconds| i64::try_from(seconds).ok());
    VolumeInfo {
        name,
        dataset,
        ownership,
        kind: kind(properties),
        used: bytes("used"),
        referenced: bytes("referenced"),
        available: bytes("available"),
        written: bytes("written"),
        created: created.unwrap_or_default(),
        origin: properties.text("origin").and_then(|origin| origin.parse().ok()),
        mounted: properties.text("mounted") == Some("yes"),
        locked: properties.text("keystatus") == Some("unavailable"),
        resume_token: properties.text("receive_resume_token").map(str::to_owned),
    }
}

fn kind(properties: &Properties) -> VolumeKind {
    let bytes = |property: &str| properties.bytes(property).unwrap_or_default();
    match properties.bytes("volsize") {
        Some(size) => VolumeKind::Block {
            size,
            block_size: bytes("volblocksize"),
            sparse: bytes("refreservation") < size,
        },
        None => {
            let quota = bytes("refquota");
            VolumeKind::FileSystem { quota: (quota != Bytes::ZERO).then_some(quota) }
        }
    }
}
