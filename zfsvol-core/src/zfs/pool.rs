//! Pools: create, destroy, export.

use super::Zfs;
use super::call::{CallError, Operation};
use super::feature::Features;
use super::topology::{Topology, VdevSpec};
use crate::error::{BusyReason, Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::{PoolName, pool_part};
use crate::nvlist::{NvList, Value};

const CREATE: Operation = Operation::new(Ioc::POOL_CREATE, "create the pool");
const DESTROY: Operation = Operation::new(Ioc::POOL_DESTROY, "destroy the pool");

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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolSpec {
    /// The vdevs.
    pub topology: Topology,
    /// Features to enable.
    pub features: Features,
    /// Properties of the pool, as the kernel takes them: numbers and indexes as `uint64`, texts as strings.
    pub properties: NvList,
    /// Properties of its root dataset, likewise.
    pub root_properties: NvList,
    /// The wrapping key of the root dataset (32 bytes), when its properties make it an encryption root.
    pub root_key: Option<Vec<u8>>,
}

impl PoolSpec {
    /// A pool of these vdevs, with all features of the module.
    pub fn new(vdevs: impl IntoIterator<Item = VdevSpec>) -> Self {
        let topology = Topology { vdevs: vdevs.into_iter().collect(), ..Topology::default() };
        Self { topology, ..Self::default() }
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

    fn to_properties(&self, zfs: &Zfs) -> Result<NvList> {
        let mut properties = self.properties.clone();
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
        if !self.root_properties.is_empty() {
            properties.insert("root-props-nvl", self.root_properties.clone());
        }
        if let Some(key) = &self.root_key {
            let mut hidden = NvList::new();
            hidden.insert("wkeydata", Value::Uint8Array(key.clone()));
            properties.insert("hidden_args", hidden);
        }
        Ok(properties)
    }
}

impl Zfs {
    /// Creates a pool from files or whole devices, which are used as they are: nothing is partitioned, and what is on them is
    /// overwritten.
    ///
    /// The root dataset is not mounted. The kernel writes the pool into its cache file (`/etc/zfs/zpool.cache`) unless the property
    /// `cachefile` says `none`.
    ///
    /// Issues `ZFS_IOC_POOL_CREATE`.
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
        let config = spec.topology.to_config(CREATE, name.as_str())?;
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
