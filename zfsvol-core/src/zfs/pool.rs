//! Pools: create, destroy, export.

use super::Zfs;
use super::call::{CallError, Operation};
use super::feature::Features;
use super::key::Key;
use super::topology::{Check, Topology, VdevSpec};
use crate::error::{BusyReason, Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::{PoolName, pool_part};
use crate::nvlist::NvList;
use crate::property::PropertySet;

const CREATE: Operation = Operation::new(Ioc::POOL_CREATE, "create the pool");
const DESTROY: Operation = Operation::new(Ioc::POOL_DESTROY, "destroy the pool");
const EXPORT: Operation = Operation::new(Ioc::POOL_EXPORT, "export the pool");

/// Room for what `POOL_CREATE` says of a device it refuses: two names.
const CREATE_REPLY_BYTES: usize = 16 << 10;

/// What a pool is created from.
///
/// ```no_run
/// use zfsvol_core::Zfs;
/// use zfsvol_core::zfs::{PoolSpec, VdevSpec};
///
/// let zfs = Zfs::open()?;
/// let spec = PoolSpec::new([VdevSpec::mirror(["/srv/a.img", "/srv/b.img"])]).ashift(12);
/// zfs.create_pool(&"tank".parse()?, &spec)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PoolSpec {
    /// The vdevs.
    pub topology: Topology,
    /// Features to enable.
    pub features: Features,
    /// Properties of the pool.
    pub properties: PropertySet,
    /// Properties of its root dataset.
    pub root_properties: PropertySet,
    /// Makes the root dataset an encryption root with this key.
    pub root_key: Option<Key>,
    /// Take devices that are part of an exported pool, or of one that another host may have in use.
    pub force: bool,
}

impl PoolSpec {
    /// A pool of these vdevs, with all features of the module.
    pub fn new(vdevs: impl IntoIterator<Item = VdevSpec>) -> Self {
        Self {
            topology: Topology { vdevs: vdevs.into_iter().collect(), ..Topology::default() },
            features: Features::All,
            properties: PropertySet::for_pool(),
            root_properties: PropertySet::new(),
            root_key: None,
            force: false,
        }
    }

    /// With sectors of 2 to the power of `ashift` bytes on every vdev that does not say otherwise.
    #[must_use]
    pub fn ashift(mut self, ashift: u8) -> Self {
        self.topology.ashift = Some(ashift);
        self
    }

    /// With these features.
    #[must_use]
    pub fn features(mut self, features: Features) -> Self {
        self.features = features;
        self
    }

    /// Even from devices that are part of an exported pool, or of one that another host may have in use.
    #[must_use]
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    fn to_properties(&self, zfs: &Zfs) -> Result<NvList> {
        let mut properties = pool_nvlist(&self.properties);
        if let Some(ashift) = self.topology.ashift {
            properties.insert("ashift", u64::from(ashift));
        }
        for name in self.features.names(zfs.module())? {
            // The value says nothing: that the name is there enables it.
            properties.insert(format!("feature@{name}"), 0_u64);
        }
        if let Features::Compatible(set) = &self.features {
            properties.insert("compatibility", set.set_name());
        }
        let mut root = self.root_properties.to_nvlist();
        if let Some(key) = &self.root_key {
            properties.insert("hidden_args", key.prepare_new(&mut root)?);
        }
        if !root.is_empty() {
            properties.insert("root-props-nvl", root);
        }
        Ok(properties)
    }
}

/// How to export a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Export {
    /// As it should be.
    #[default]
    Clean,
    /// Even if another pool has one of its spares in use, `zpool export -f`.
    Force,
    /// Without marking its devices as exported, `zpool export -F`: as if this host had lost it. To import it elsewhere takes force.
    WithoutMark,
}

/// Properties of a pool as the kernel takes them: features by their name alone.
pub(super) fn pool_nvlist(properties: &PropertySet) -> NvList {
    let mut list = properties.to_nvlist();
    for (name, value) in properties.iter().filter(|(name, _)| name.starts_with("feature@")) {
        if value.as_str() == Some("enabled") {
            list.insert(name, 0_u64);
        } else {
            list.remove(name);
        }
    }
    list
}

impl Zfs {
    /// Creates a pool from files or whole devices, which are used as they are: nothing is partitioned, and what is on them is
    /// overwritten. A device that is part of another pool is refused, unless that pool was destroyed or [`PoolSpec::force`] is set; other
    /// file systems are not looked for (one that is mounted is refused by the kernel).
    ///
    /// The root dataset is not mounted. The kernel writes the pool into its cache file (`/etc/zfs/zpool.cache`) unless the property
    /// `cachefile` says `none`.
    ///
    /// Reads the labels of the devices and issues `ZFS_IOC_POOL_CREATE`.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when there is a pool of that name; [`ErrorKind::Busy`] when a device is mounted, or in use by a pool or another
    /// driver, or named twice; [`ErrorKind::Invalid`] when the vdevs do not make a pool, or a device is smaller than 64 MiB;
    /// [`ErrorKind::InvalidProperty`] when a property does not exist or not take that value; [`ErrorKind::NotFound`] when a device is
    /// not there; [`ErrorKind::Unsupported`] when the module does not know a feature asked for.
    #[doc(alias = "zpool_create")]
    pub fn create_pool(&self, name: &PoolName, spec: &PoolSpec) -> Result<()> {
        if spec.topology.vdevs.is_empty() {
            return Err(CREATE.error(ErrorKind::Invalid, name.as_str(), "it has no vdev"));
        }
        let check = Check { operation: CREATE, target: name.as_str() };
        let config = spec.topology.to_config(check)?;
        if !spec.force {
            self.check_unused(spec.topology.devices(), check)?;
        }
        let properties = spec.to_properties(self)?;
        let library = |error| CallError::library(CREATE, name.as_str(), error).into_error(self);
        let mut cmd = Cmd::new(name.as_str());
        cmd.conf = Some(config.to_bytes().map_err(|error| library(Error::from(error)))?);
        cmd.input = Some(properties.to_bytes().map_err(|error| library(Error::from(error)))?);
        cmd.reply_max = CREATE_REPLY_BYTES;
        self.call_cmd(CREATE, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(())
    }

    /// Destroys a pool and all that is in it. Its devices are only marked as those of a destroyed pool: until they are written over it can be
    /// imported again.
    ///
    /// Nothing of it may be mounted and no zvol open.
    ///
    /// Issues `ZFS_IOC_POOL_DESTROY`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool; [`ErrorKind::Busy`] when it is in use, with the mounts if that is why;
    /// [`ErrorKind::PoolSuspended`] when its devices do not answer.
    #[doc(alias = "zpool_destroy")]
    pub fn destroy_pool(&self, name: &PoolName) -> Result<()> {
        let mut cmd = Cmd::new(name.as_str());
        self.call_cmd(DESTROY, &mut cmd).map_err(|error| self.busy_pool(name, error))?;
        Ok(())
    }

    /// Exports a pool, so that it can be imported again here or on another host.
    ///
    /// Nothing of it may be mounted and no zvol open, whatever the [`Export`].
    ///
    /// Issues `ZFS_IOC_POOL_EXPORT`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool; [`ErrorKind::Busy`] when it is in use, with the mounts if that is why, or when
    /// another pool has one of its spares in use; [`ErrorKind::InProgress`] when it is being exported;
    /// [`ErrorKind::PoolSuspended`] when its devices do not answer.
    #[doc(alias = "zpool_export")]
    pub fn export_pool(&self, name: &PoolName, export: Export) -> Result<()> {
        let mut cmd = Cmd::new(name.as_str());
        cmd.cookie = u64::from(export != Export::Clean);
        cmd.guid = u64::from(export == Export::WithoutMark);
        self.call_cmd(EXPORT, &mut cmd).map_err(|error| self.busy_pool(name, error))?;
        Ok(())
    }

    /// The error of an operation that a mounted dataset of the pool stands in the way of.
    pub(super) fn busy_pool(&self, name: &PoolName, error: CallError) -> Error {
        let errno = error.errno();
        let error = error.into_error(self);
        if errno != Some(Errno::EBUSY) {
            return error;
        }
        let Ok(mounts) = self.kernel.host().mounts() else { return error };
        let paths: Vec<String> = mounts
            .into_iter()
            .filter(|mount| pool_part(&mount.dataset) == name.as_str())
            .map(|mount| mount.path.display().to_string())
            .collect();
        if paths.is_empty() {
            return error;
        }
        error.with_busy(vec![BusyReason::Mounted(paths)])
    }
}
