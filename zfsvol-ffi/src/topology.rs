//! [`zfsvol_topology`]: what a pool is made of. And pools made of one, and their features.

use std::path::PathBuf;

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{
    AllocationClass, Compatibility, Draid, Features, PoolSpec, Redundancy, Topology, VdevSpec,
};
use zfsvol_core::{Guid, PoolName};

use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::key::zfsvol_key;
use crate::nvlist::{properties, zfsvol_nvlist};
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

/// The vdevs of a pool that is to be created, or of those to be added to one. Nobody else may use it while it is changed.
#[derive(Debug)]
pub struct zfsvol_topology {
    _private: [u8; 0],
}

impl Object for zfsvol_topology {
    type Value = Topology;
    const NAME: &'static str = "zfsvol_topology";
}

/// A topology with nothing in it. Its vdevs have sectors of 2 to the power of `ashift` bytes, 9 to 16, where they do not say otherwise; 0 for what the devices say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_topology_new(
    ashift: u8,
    topology: *mut *mut zfsvol_topology,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(topology)?;
        out.give(Topology { ashift: sectors(ashift), ..Topology::default() });
    })
}

/// How the devices of a vdev share the data: a `ZFSVOL_REDUNDANCY_...`.
pub type zfsvol_redundancy = u32;

/// One device, no redundancy.
pub const ZFSVOL_REDUNDANCY_NONE: zfsvol_redundancy = 0;
/// Each device has all of it.
pub const ZFSVOL_REDUNDANCY_MIRROR: zfsvol_redundancy = 1;
/// Any `parity` devices may fail.
pub const ZFSVOL_REDUNDANCY_RAIDZ: zfsvol_redundancy = 2;
/// As raidz, with the spares distributed over all devices.
pub const ZFSVOL_REDUNDANCY_DRAID: zfsvol_redundancy = 3;

/// What a vdev is for: a `ZFSVOL_CLASS_...`.
pub type zfsvol_class = u32;

/// Everything that has no vdev of its own.
pub const ZFSVOL_CLASS_NORMAL: zfsvol_class = 0;
/// The intent log.
pub const ZFSVOL_CLASS_LOG: zfsvol_class = 1;
/// Metadata, and small blocks where `special_small_blocks` says so.
pub const ZFSVOL_CLASS_SPECIAL: zfsvol_class = 2;
/// Deduplication tables.
pub const ZFSVOL_CLASS_DEDUP: zfsvol_class = 3;

/// A top-level vdev. All zeros but the devices: one device, for everything.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_vdev_spec {
    /// `sizeof(zfsvol_vdev_spec)`.
    pub size: usize,
    /// Its files and devices, by their absolute paths.
    pub devices: *const zfsvol_str,
    /// How many there are.
    pub device_count: usize,
    /// How they share the data.
    pub redundancy: zfsvol_redundancy,
    /// What is to be kept on it.
    pub allocation_class: zfsvol_class,
    /// How many devices may fail, of raidz and draid: 1 to 3.
    pub parity: u8,
    /// Sectors of 2 to the power of this many bytes, 9 to 16; 0 for those of the topology.
    pub ashift: u8,
    /// Of draid, data devices of a group; 0 for 8, or as many as there are.
    pub draid_data: u64,
    /// Of draid, distributed spares.
    pub draid_spares: u64,
}

// SAFETY: `repr(C)` with the size first; numbers and a pointer, which zeros are too.
unsafe impl Growing for zfsvol_vdev_spec {
    const NAME: &'static str = "zfsvol_vdev_spec";
}

/// Adds a top-level vdev. Whether there can be such a one is told when it is used. Fails with `UNKNOWN_NUMBER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_topology_add_vdev(
    topology: *mut zfsvol_topology,
    vdev: *const zfsvol_vdev_spec,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let vdev = vdev_of(caller, vdev)?;
        caller.get_mut(topology)?.vdevs.push(vdev);
    })
}

/// Adds hot spares.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_topology_add_spares(
    topology: *mut zfsvol_topology,
    devices: *const zfsvol_str,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let devices = caller.paths(devices, count)?;
        caller.get_mut(topology)?.spares.extend(devices);
    })
}

/// Adds devices for the read cache (L2ARC).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_topology_add_cache(
    topology: *mut zfsvol_topology,
    devices: *const zfsvol_str,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let devices = caller.paths(devices, count)?;
        caller.get_mut(topology)?.cache.extend(devices);
    })
}

/// Frees a topology. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_topology_free(topology: *mut zfsvol_topology) {
    boundary!(or(), |caller| caller.free(topology)?);
}

/// Which features a pool has enabled: a `ZFSVOL_FEATURES_...`.
pub type zfsvol_features = u32;

/// Every feature that the loaded module knows.
pub const ZFSVOL_FEATURES_ALL: zfsvol_features = 0;
/// None.
pub const ZFSVOL_FEATURES_NONE: zfsvol_features = 1;
/// Those that are named, and those they depend on.
pub const ZFSVOL_FEATURES_ONLY: zfsvol_features = 2;
/// What OpenZFS 2.0 knows, as far as the loaded module does; the pool's property `compatibility` says so.
pub const ZFSVOL_FEATURES_2_0: zfsvol_features = 200;
/// What OpenZFS 2.1 knows.
pub const ZFSVOL_FEATURES_2_1: zfsvol_features = 201;
/// What OpenZFS 2.2 knows.
pub const ZFSVOL_FEATURES_2_2: zfsvol_features = 202;
/// What OpenZFS 2.3 knows.
pub const ZFSVOL_FEATURES_2_3: zfsvol_features = 203;
/// What OpenZFS 2.4 knows.
pub const ZFSVOL_FEATURES_2_4: zfsvol_features = 204;

/// How to create a pool. All zeros: with all features, and no properties.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_pool_options {
    /// `sizeof(zfsvol_pool_options)`.
    pub size: usize,
    /// Which features it has.
    pub features: zfsvol_features,
    /// Even from devices that are part of an exported pool, or of one that another host may have in use.
    pub force: bool,
    /// With `ZFSVOL_FEATURES_ONLY`, their short names: `encryption`, `large_blocks`.
    pub feature_names: *const zfsvol_str,
    /// How many names of features there are.
    pub feature_count: usize,
    /// Properties of the pool.
    pub properties: *const zfsvol_nvlist,
    /// Properties of its root dataset.
    pub root_properties: *const zfsvol_nvlist,
    /// Makes the root dataset an encryption root with this key.
    pub root_key: *const zfsvol_key,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and a C `bool`, which zeros are too.
unsafe impl Growing for zfsvol_pool_options {
    const NAME: &'static str = "zfsvol_pool_options";
}

/// Creates a pool of files or whole devices: nothing is partitioned, and what is on them is overwritten. Devices of another pool are refused, unless that was
/// destroyed or `force` is set. The root dataset is not mounted. Reads the labels of the devices and issues `ZFS_IOC_POOL_CREATE`.
///
/// Fails with `EXISTS`, `BUSY` (a device is in use, or named twice), `INVALID` (such vdevs make no pool, or a device is smaller than 64 MiB), `INVALID_PROPERTY`,
/// `NOT_FOUND` (a device), `UNSUPPORTED` (a feature), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_create(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    topology: *const zfsvol_topology,
    options: *const zfsvol_pool_options,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let given = caller.options(options)?;
        let mut spec = PoolSpec::new([]);
        spec.topology = caller.get(topology)?.clone();
        spec.features =
            features_of(caller, given.features, given.feature_names, given.feature_count)?;
        spec.properties = properties(caller, given.properties, PropertySet::for_pool())?;
        spec.root_properties = properties(caller, given.root_properties, PropertySet::new())?;
        spec.root_key = caller.get_optional(given.root_key)?.cloned();
        spec.force = given.force;
        caller.get(zfs)?.create_pool(&caller.name(pool)?, &spec)?;
    })
}

/// Enables features of a pool, and those they depend on; `names` are those of `ZFSVOL_FEATURES_ONLY`. Those that are enabled stay so. Issues `ZFS_IOC_POOL_SET_PROPS`.
///
/// Fails with `NOT_FOUND`, `UNSUPPORTED` (the module does not know a feature), `READ_ONLY`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_enable_features(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    features: zfsvol_features,
    names: *const zfsvol_str,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let features = features_of(caller, features, names, count)?;
        caller.get(zfs)?.enable_features(&caller.name(pool)?, &features)?;
    })
}

/// Gives a pool another GUID: that one, which takes OpenZFS 2.3, or with 0 a random one. Issues `ZFS_IOC_POOL_REGUID`.
///
/// Fails with `NOT_FOUND`, `POOL_UNAVAILABLE` (not all devices are online), `EXISTS`, `IN_PROGRESS` (there is a checkpoint), `UNSUPPORTED`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_reguid(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    guid: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let guid = (guid != 0).then(|| Guid::new(guid));
        caller.get(zfs)?.reguid_pool(&caller.name(pool)?, guid)?;
    })
}

/// Adds vdevs, spares or cache devices to a pool. What is on the devices is overwritten; devices of other pools are refused unless `force` is set. Reads their
/// labels and issues `ZFS_IOC_VDEV_ADD`.
///
/// Fails with `NOT_FOUND` (the pool, or a device), `BUSY`, `INVALID` (the vdevs do not go with the pool's), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_vdev_add(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    topology: *const zfsvol_topology,
    force: bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let pool: PoolName = caller.name(pool)?;
        caller.get(zfs)?.add_vdevs(&pool, caller.get(topology)?, force)?;
    })
}

/// An `ashift`; 0 is none.
pub(crate) fn sectors(ashift: u8) -> Option<u8> {
    (ashift != 0).then_some(ashift)
}

fn vdev_of(caller: &Caller, vdev: *const zfsvol_vdev_spec) -> Result<VdevSpec, Fault> {
    let given = caller.options(vdev)?;
    let redundancy = match given.redundancy {
        ZFSVOL_REDUNDANCY_NONE => Redundancy::None,
        ZFSVOL_REDUNDANCY_MIRROR => Redundancy::Mirror,
        ZFSVOL_REDUNDANCY_RAIDZ => Redundancy::Raidz { parity: given.parity },
        ZFSVOL_REDUNDANCY_DRAID => Redundancy::Draid(Draid {
            parity: given.parity,
            data: (given.draid_data != 0).then_some(given.draid_data),
            spares: given.draid_spares,
        }),
        other => return Err(Fault::unknown("redundancy", other)),
    };
    let class = match given.allocation_class {
        ZFSVOL_CLASS_NORMAL => AllocationClass::Normal,
        ZFSVOL_CLASS_LOG => AllocationClass::Log,
        ZFSVOL_CLASS_SPECIAL => AllocationClass::Special,
        ZFSVOL_CLASS_DEDUP => AllocationClass::Dedup,
        other => return Err(Fault::unknown("class of vdev", other)),
    };
    let devices: Vec<PathBuf> = caller.paths(given.devices, given.device_count)?;
    let vdev = VdevSpec::new(redundancy, devices).class(class);
    Ok(match sectors(given.ashift) {
        Some(ashift) => vdev.ashift(ashift),
        None => vdev,
    })
}

fn features_of(
    caller: &Caller,
    features: zfsvol_features,
    names: *const zfsvol_str,
    count: usize,
) -> Result<Features, Fault> {
    let names = caller.texts(names, count)?;
    if features != ZFSVOL_FEATURES_ONLY && !names.is_empty() {
        let reason = "features are named, and it is not said that it is those";
        return Err(Fault::invalid("choose features", reason));
    }
    Ok(match features {
        ZFSVOL_FEATURES_ALL => Features::All,
        ZFSVOL_FEATURES_NONE => Features::None,
        ZFSVOL_FEATURES_ONLY => Features::only(names),
        ZFSVOL_FEATURES_2_0 => Features::Compatible(Compatibility::V2_0),
        ZFSVOL_FEATURES_2_1 => Features::Compatible(Compatibility::V2_1),
        ZFSVOL_FEATURES_2_2 => Features::Compatible(Compatibility::V2_2),
        ZFSVOL_FEATURES_2_3 => Features::Compatible(Compatibility::V2_3),
        ZFSVOL_FEATURES_2_4 => Features::Compatible(Compatibility::V2_4),
        other => return Err(Fault::unknown("set of features", other)),
    })
}
