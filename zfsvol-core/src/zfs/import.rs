//! Import: pools found by the labels on their devices, and taken into use.

mod search;

use std::path::PathBuf;

use serde::Serialize;

use super::Zfs;
use super::call::{CallError, Operation, Refusal};
use super::device::hostid;
use super::pool::pool_nvlist;
use super::pool_status::PoolHealth;
use super::vdev_status::{VdevKind, VdevState, VdevStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::PoolName;
use crate::nvlist::{NvList, NvString};
use crate::property::PropertySet;
use crate::units::{Guid, Txg};

pub use search::ImportSearch;

const IMPORT: Operation = Operation::new(Ioc::POOL_IMPORT, "import the pool");

/// A reply that does not fit would turn a successful import into `ENOMEM`, so there is room for any.
const IMPORT_REPLY_BYTES_MIN: usize = 1 << 20;

// `zc_cookie`: OpenZFS 2.4 `include/sys/fs/zfs.h`.
const IMPORT_ANY_HOST: u64 = 0x2;
const IMPORT_MISSING_LOG: u64 = 0x4;
const IMPORT_TEMP_NAME: u64 = 0x10;
const IMPORT_CHECKPOINT: u64 = 0x80;

/// A pool that is not imported, found by the labels on its devices.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ImportablePool {
    /// Its name when it was last imported, as the label has it: another host's rules of names may be others.
    pub name: String,
    /// Its GUID.
    pub guid: Guid,
    /// The transaction group of its newest label.
    pub txg: Txg,
    /// It was destroyed, and can be imported all the same while nothing has overwritten it.
    pub destroyed: bool,
    /// It was exported, so that no host has it in use.
    pub exported: bool,
    /// How it would be when imported, as far as the kernel can tell.
    pub health: PoolHealth,
    /// What speaks against importing it, unless it is forced.
    pub in_use: Option<HostUse>,
    /// Features it needs that the loaded module does not know.
    #[serde(with = "crate::nvlist::string_array")]
    pub unsupported_features: Vec<String>,
    /// With those features missing it can still be imported read-only.
    pub read_only_possible: bool,
    /// The vdevs, from the root.
    pub root: VdevStatus,
    /// What is handed to the kernel.
    pub config: NvList,
}

/// Who else may have a pool in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum HostUse {
    /// Another host has it imported now (`multihost`). Forcing the import does not help.
    Imported {
        /// That host's name.
        hostname: String,
        /// Its hostid.
        hostid: u64,
    },
    /// It has the property `multihost`, and this host has no hostid to take part in that.
    NoHostId,
    /// Another host had it imported last and did not export it.
    LastUsed {
        /// That host's name.
        hostname: String,
        /// Its hostid.
        hostid: u64,
    },
}

/// How to import a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// Under another name.
    pub new_name: Option<PoolName>,
    /// The other name is for this import only, and is not written to the pool.
    pub temporary_name: bool,
    /// A directory that all mountpoints are taken to be below. Keeps the pool out of the cache file.
    pub altroot: Option<PathBuf>,
    /// Nothing is to be written to it.
    pub read_only: bool,
    /// Even if another host was using it last.
    pub force: bool,
    /// Even if it was destroyed.
    pub destroyed: bool,
    /// Even if a log device is missing: what was only in the log is lost.
    pub missing_log: bool,
    /// What to do if it cannot be opened as it is.
    pub rewind: Rewind,
    /// Properties of the pool for this import (`cachefile`, `comment`), those of the fields above excepted.
    pub properties: PropertySet,
}

/// Going back in time to open a damaged pool. What was written later is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rewind {
    /// Do not.
    #[default]
    None,
    /// To its checkpoint.
    Checkpoint,
    /// A few transaction groups if need be, `zpool import -F`.
    Recover,
    /// As far as it takes, `zpool import -FX`. May read the whole pool and leave damage.
    Extreme,
    /// To this transaction group or before.
    Txg(Txg),
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            new_name: None,
            temporary_name: false,
            altroot: None,
            read_only: false,
            force: false,
            destroyed: false,
            missing_log: false,
            rewind: Rewind::None,
            properties: PropertySet::for_pool(),
        }
    }
}

impl ImportablePool {
    /// The files and devices that were not found or cannot be used, by the path they had.
    pub fn missing_devices(&self) -> Vec<String> {
        unusable(&self.root).collect()
    }
}

/// Top-level vdevs of which not even one label was found have no path: `missing-2`.
fn unusable(root: &VdevStatus) -> impl Iterator<Item = String> {
    root.iter()
        .filter(|vdev| {
            vdev.kind == VdevKind::Missing || (vdev.is_leaf() && vdev.state < VdevState::Degraded)
        })
        .map(VdevStatus::name)
}

impl Zfs {
    /// Imports a pool that [`Self::importable_pools`] found, and returns the name it has now.
    ///
    /// Nothing is mounted, and no key is loaded. Other devices than those that were found are not looked for.
    ///
    /// Issues `ZFS_IOC_POOL_IMPORT`.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when a pool of that name is imported; [`ErrorKind::PoolUnavailable`] when devices are missing, which are named,
    /// or another host may have it in use; [`ErrorKind::Unsupported`] when it needs a feature the module does not know;
    /// [`ErrorKind::Busy`] when a device is in use; [`ErrorKind::Corrupt`] and [`ErrorKind::Io`] when what is on its devices is damaged;
    /// [`ErrorKind::ReadOnly`] when a device cannot be written; [`ErrorKind::InvalidName`] when its name is not one here.
    #[doc(alias = "zpool_import_props")]
    pub fn import_pool(&self, pool: &ImportablePool, options: &ImportOptions) -> Result<PoolName> {
        let name = match &options.new_name {
            Some(name) => name.clone(),
            None => pool.name.parse().map_err(|error| {
                CallError::library(IMPORT, &pool.name, Error::from(error)).into_error(self)
            })?,
        };
        check(pool, options)?;
        let mut config = pool.config.clone();
        config.insert("load-policy", options.rewind.policy());
        let library = |error| CallError::library(IMPORT, &pool.name, error).into_error(self);
        let conf = config.to_bytes().map_err(|error| library(Error::from(error)))?;
        let mut cmd = Cmd::new(name.as_str());
        cmd.guid = pool.guid.get();
        cmd.cookie = options.flags();
        cmd.reply_max = conf.len().saturating_mul(4).max(IMPORT_REPLY_BYTES_MIN);
        cmd.conf = Some(conf);
        let properties = options.to_properties();
        if !properties.is_empty() {
            let packed = properties.to_bytes().map_err(|error| library(Error::from(error)))?;
            cmd.input = Some(packed);
        }
        self.call_cmd(IMPORT, &mut cmd).map_err(|error| self.import_error(pool, error))?;
        Ok(name)
    }

    fn import_error(&self, pool: &ImportablePool, error: CallError) -> Error {
        let refused = match &error {
            CallError::Refused(refusal) => explain(pool, refusal),
            CallError::Library(_) => None,
        };
        match refused {
            Some((kind, reason, errno)) => IMPORT.error(kind, &pool.name, reason).with_errno(errno),
            None => error.into_error(self).with_target(pool.name.clone()),
        }
    }
}

impl ImportOptions {
    fn flags(&self) -> u64 {
        let flag = |set, flag| if set { flag } else { 0 };
        flag(self.force, IMPORT_ANY_HOST)
            | flag(self.missing_log, IMPORT_MISSING_LOG)
            | flag(self.temporary_name, IMPORT_TEMP_NAME)
            | flag(self.rewind == Rewind::Checkpoint, IMPORT_CHECKPOINT)
    }

    fn to_properties(&self) -> NvList {
        let mut properties = pool_nvlist(&self.properties);
        if self.read_only {
            properties.insert("readonly", 1_u64);
        }
        if let Some(altroot) = &self.altroot {
            properties.insert("altroot", NvString::from(altroot.as_os_str().as_encoded_bytes()));
        }
        // As `zpool import -R` and `-t`: what holds for this import only is not to be found again at the next boot.
        if (self.altroot.is_some() || self.temporary_name) && !properties.contains("cachefile") {
            properties.insert("cachefile", "none");
        }
        properties
    }
}

impl Rewind {
    /// `ZPOOL_LOAD_POLICY`: OpenZFS 2.4 `include/sys/fs/zfs.h`.
    fn policy(self) -> NvList {
        let (rewind, txg) = match self {
            Self::None | Self::Checkpoint => (1_u32, u64::MAX),
            Self::Recover => (8, u64::MAX),
            Self::Extreme => (8 | 16, u64::MAX),
            Self::Txg(txg) => (8, txg.get()),
        };
        let mut policy = NvList::new();
        policy.insert("load-rewind-policy", rewind).insert("load-request-txg", txg);
        policy
    }
}

/// What the kernel leaves to `zpool import` to refuse.
fn check(pool: &ImportablePool, options: &ImportOptions) -> Result<()> {
    if pool.destroyed && !options.destroyed {
        return Err(IMPORT
            .error(ErrorKind::PoolUnavailable, &pool.name, "it was destroyed")
            .with_help("say that a destroyed pool is meant, to bring it back"));
    }
    let (reason, help) = match &pool.in_use {
        Some(HostUse::Imported { hostname, hostid }) => (
            format!("the host '{}' (hostid {hostid:x}) has it imported", hostname.escape_debug()),
            "export it there",
        ),
        Some(HostUse::NoHostId) => (
            "it has multihost=on, and this host has no hostid".to_owned(),
            "give this host a hostid (zgenhostid)",
        ),
        Some(HostUse::LastUsed { hostname, hostid }) if !options.force => (
            format!(
                "the host '{}' (hostid {hostid:x}) used it last and did not export it",
                hostname.escape_debug()
            ),
            "export it there, or force the import if that host is gone",
        ),
        _ => return Ok(()),
    };
    Err(IMPORT.error(ErrorKind::PoolUnavailable, &pool.name, reason).with_help(help))
}

/// What the kernel says beside the errno, in the list `load_info`, and what the search has found out.
fn explain(pool: &ImportablePool, refusal: &Refusal) -> Option<(ErrorKind, String, Errno)> {
    let info = refusal.reply.get_list("load_info");
    let (kind, reason) = match refusal.errno {
        Errno::ENOTSUP => {
            let names = info.map(unsupported).filter(|names| !names.is_empty())?;
            let reason = format!("the loaded module lacks its features {}", names.join(", "));
            (ErrorKind::Unsupported, reason)
        }
        // A file that is missing is `ENOENT` where a device is `ENXIO`.
        Errno::ENXIO | Errno::ENOENT => {
            let missing = info.and_then(|info| info.get_list("missing_vdevs"));
            let names: Vec<String> = match missing {
                Some(missing) => unusable(&VdevStatus::from_config(missing)).collect(),
                None => pool.missing_devices(),
            };
            if names.is_empty() {
                return None;
            }
            (ErrorKind::PoolUnavailable, format!("devices are missing: {}", names.join(", ")))
        }
        Errno::EREMOTEIO => {
            let reason = match info.and_then(host_use)? {
                HostUse::NoHostId => "it has multihost=on, and this host has no hostid".to_owned(),
                HostUse::Imported { hostname, hostid } | HostUse::LastUsed { hostname, hostid } => {
                    let hostname = hostname.escape_debug();
                    format!("the host '{hostname}' (hostid {hostid:x}) has it imported")
                }
            };
            (ErrorKind::PoolUnavailable, reason)
        }
        _ => return None,
    };
    Some((kind, reason, refusal.errno))
}

/// Short or long names of the features that the module lacks, and what they are.
fn unsupported(info: &NvList) -> Vec<String> {
    info.get_list("unsup_feat")
        .map(|features| features.iter().map(|(name, _)| name.to_owned()).collect())
        .unwrap_or_default()
}

/// What multihost found (`mmp_state_t`).
fn host_use(info: &NvList) -> Option<HostUse> {
    match info.get_u64("mmp_state")? {
        0 => Some(HostUse::Imported {
            hostname: info.get_str("mmp_hostname").unwrap_or("unknown").to_owned(),
            hostid: info.get_u64("mmp_hostid").unwrap_or(0),
        }),
        2 => Some(HostUse::NoHostId),
        _ => None,
    }
}

/// Multihost's finding, or the host that the label names when it is not this one.
fn in_use(config: &NvList, exported: bool, host: Option<&(u64, String)>) -> Option<HostUse> {
    let info = config.get_list("load_info");
    if let Some(found) = info.and_then(host_use) {
        return Some(found);
    }
    if exported {
        return None;
    }
    // The kernel's own reading of the pool is newer than the label; old modules do not give it.
    let (id, name) = match info.and_then(|info| info.get_u64("hostid").map(|id| (id, info))) {
        Some((id, info)) => (id, info.get_str("hostname").unwrap_or_default()),
        None => host.map_or((0, ""), |(id, name)| (*id, name.as_str())),
    };
    (id != hostid()).then(|| HostUse::LastUsed { hostname: name.to_owned(), hostid: id })
}
