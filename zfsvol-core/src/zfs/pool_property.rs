//! Properties of pools and vdevs, features, versions and GUIDs.

use std::collections::BTreeMap;

use super::Zfs;
use super::call::{CallError, Operation};
use super::feature::Features;
use super::pool::pool_nvlist;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Ioc};
use crate::name::PoolName;
use crate::nvlist::{NvList, Value};
use crate::property::{Property, PropertyInfo, PropertyScope, PropertySet, PropertyValue, Source};
use crate::units::Guid;

const GET: Operation = Operation::new(Ioc::POOL_GET_PROPS, "get the properties of the pool");
const SET: Operation = Operation::new(Ioc::POOL_SET_PROPS, "set properties of the pool");
const ENABLE: Operation = Operation::new(Ioc::POOL_SET_PROPS, "enable features of the pool");
const UPGRADE: Operation = Operation::new(Ioc::POOL_UPGRADE, "upgrade the pool");
const REGUID: Operation = Operation::new(Ioc::POOL_REGUID, "give a new GUID to the pool");
const VDEV_GET: Operation =
    Operation::new(Ioc::VDEV_GET_PROPS, "get the properties of a vdev of the pool");
const VDEV_SET: Operation =
    Operation::new(Ioc::VDEV_SET_PROPS, "set a property of a vdev of the pool");

/// What the kernel tells of every vdev. In the order of the releases that brought them: a module stops at the first name it does not know.
///
/// From OpenZFS 2.2 to 2.4 `module/zfs/vdev.c`, `vdev_prop_get`.
const VDEV_READ_ONLY: &[&str] = &[
    "allocated",
    "ashift",
    "asize",
    "capacity",
    "checksum_errors",
    "children",
    "claim_bytes",
    "claim_ops",
    "devid",
    "encpath",
    "expandsize",
    "fragmentation",
    "free",
    "free_bytes",
    "free_ops",
    "fru",
    "guid",
    "initialize_errors",
    "name",
    "null_bytes",
    "null_ops",
    "numchildren",
    "parent",
    "parity",
    "path",
    "physpath",
    "psize",
    "read_bytes",
    "read_errors",
    "read_ops",
    "removing",
    "size",
    "state",
    "trim_bytes",
    "trim_ops",
    "write_bytes",
    "write_errors",
    "write_ops",
    "raidz_expanding",
    "slow_ios",
    "trim_errors",
    "trim_support",
    "slow_io_events",
];

/// What can be set on a vdev, texts excepted. A module stops at one that is not set, too, so each is asked for by itself.
const VDEV_SETTABLE: &[&str] = &[
    "allocating",
    "failfast",
    "checksum_n",
    "checksum_t",
    "io_n",
    "io_t",
    "slow_io_n",
    "slow_io_t",
    "sit_out",
    "autosit",
];

/// The version of pools that have feature flags (`SPA_VERSION_FEATURES`).
const VERSION_FEATURES: u64 = 5000;

impl Zfs {
    /// The properties of a pool, by name, with the defaults of those that are not set. Of its features see [`PoolStatus::features`](super::PoolStatus::features).
    ///
    /// Issues `ZFS_IOC_POOL_GET_PROPS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool.
    #[doc(alias = "zpool_get_prop")]
    pub fn pool_properties(&self, pool: &PoolName) -> Result<BTreeMap<String, Property>> {
        let reply = self.raw_pool_properties(GET, pool)?;
        let mut read = properties(&reply, PropertyInfo::find_pool);
        // The kernel tells only what is set, or counted.
        let version = &self.module().version;
        for info in PropertyInfo::all(PropertyScope::Pool) {
            let known = info.since.is_none_or(|since| version.release() >= since);
            if let Some(value) = info.default_value(version).filter(|_| known) {
                let default = Property { value, source: Source::Default };
                read.entry(info.name.to_owned()).or_insert(default);
            }
        }
        Ok(read)
    }

    /// Sets properties of a pool, all or none. `feature@NAME` with the value `enabled` enables a feature.
    ///
    /// Issues `ZFS_IOC_POOL_SET_PROPS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool; [`ErrorKind::InvalidProperty`] when a property does not exist, or not take that
    /// value, or a feature is to be disabled; [`ErrorKind::ReadOnly`].
    #[doc(alias = "zpool_set_prop")]
    pub fn set_pool_properties(&self, pool: &PoolName, properties: &PropertySet) -> Result<()> {
        let disabled = properties
            .iter()
            .any(|(name, value)| name.starts_with("feature@") && value.as_str() != Some("enabled"));
        if disabled {
            let reason = "a feature cannot be disabled once a pool exists";
            return Err(SET.error(ErrorKind::InvalidProperty, pool.as_str(), reason));
        }
        self.set_raw(SET, pool, &pool_nvlist(properties))
    }

    /// Enables features of a pool, and those they depend on. One that is enabled already stays so. A pool of an old version, without
    /// feature flags, gets them first.
    ///
    /// Issues `ZFS_IOC_POOL_STATS`, `ZFS_IOC_POOL_GET_PROPS` and `ZFS_IOC_POOL_SET_PROPS`, and `ZFS_IOC_POOL_UPGRADE` for an old version.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool; [`ErrorKind::Unsupported`] when the module does not know a feature;
    /// [`ErrorKind::ReadOnly`].
    #[doc(alias = "zpool_upgrade")]
    pub fn enable_features(&self, pool: &PoolName, features: &Features) -> Result<()> {
        let status = self.pool_status(pool)?;
        let version = status.config.get_u64("version");
        if version.is_some_and(|version| version < VERSION_FEATURES) {
            let mut cmd = Cmd::new(pool.as_str());
            cmd.cookie = VERSION_FEATURES;
            self.call_cmd(UPGRADE, &mut cmd).map_err(|error| error.into_error(self))?;
        }
        let mut list = NvList::new();
        for name in features.names(self.module())? {
            if !status.features.contains_key(&name) {
                list.insert(format!("feature@{name}"), 0_u64);
            }
        }
        if let Features::Compatible(set) = features {
            list.insert("compatibility", set.set_name());
        }
        if list.is_empty() {
            return Ok(());
        }
        self.set_raw(ENABLE, pool, &list)
    }

    /// Gives a pool another GUID: a random one, or that one, which needs a newer OpenZFS than 2.2.
    ///
    /// Issues `ZFS_IOC_POOL_REGUID`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool; [`ErrorKind::PoolUnavailable`] when not all of its devices are online;
    /// [`ErrorKind::Exists`] when an imported pool has that GUID; [`ErrorKind::InProgress`] while there is a checkpoint.
    #[doc(alias = "zpool_reguid")]
    pub fn reguid_pool(&self, pool: &PoolName, guid: Option<Guid>) -> Result<()> {
        let mut cmd = Cmd::new(pool.as_str());
        if let Some(guid) = guid {
            if !self.module().is_at_least(2, 3) {
                let version = &self.module().version;
                let reason = format!(
                    "the loaded module is OpenZFS {version}, and to choose a GUID takes 2.3"
                );
                return Err(REGUID.error(ErrorKind::Unsupported, pool.as_str(), reason));
            }
            let list: NvList = [("guid", guid.get())].into_iter().collect();
            cmd.input = Some(self.packed(REGUID, pool, &list)?);
        }
        self.call_cmd(REGUID, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(())
    }

    /// The properties of one vdev of a pool, by name: state, sizes and counters, and those that can be set. Numbers are as the kernel gives
    /// them: 0 and 1 for `off` and `on`, all ones for `none`.
    ///
    /// Issues `ZFS_IOC_VDEV_GET_PROPS`, about a dozen times: the kernel gives one answer for all that can only be read, and one for each of
    /// the others.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool or vdev; [`ErrorKind::Unsupported`] on a module older than 2.2.
    #[doc(alias = "lzc_get_vdev_prop")]
    pub fn vdev_properties(
        &self,
        pool: &PoolName,
        vdev: Guid,
    ) -> Result<BTreeMap<String, Property>> {
        // Without names: the texts, user properties among them.
        let mut read = self.vdev_properties_of(pool, vdev, &[])?;
        read.extend(self.vdev_properties_of(pool, vdev, VDEV_READ_ONLY)?);
        for name in VDEV_SETTABLE {
            read.extend(self.vdev_properties_of(pool, vdev, &[name])?);
        }
        Ok(read)
    }

    /// Sets a property of a vdev: `allocating` (`on`, `off`), `comment`, `checksum_n` (a number or `none`), or a user property, whose name has a
    /// colon and whose value is a text. An empty text removes a user property.
    ///
    /// Issues `ZFS_IOC_VDEV_SET_PROPS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such pool or vdev; [`ErrorKind::InvalidProperty`] when there is no such property, or not that
    /// value; [`ErrorKind::ReadOnly`] when only the kernel sets it; [`ErrorKind::Unsupported`] on a module older than 2.2.
    #[doc(alias = "lzc_set_vdev_prop")]
    pub fn set_vdev_property(
        &self,
        pool: &PoolName,
        vdev: Guid,
        name: &str,
        value: impl Into<PropertyValue>,
    ) -> Result<()> {
        let value = vdev_value(name, &value.into()).ok_or_else(|| {
            let reason = format!("'{name}' takes a number, 'on', 'off' or 'none'");
            VDEV_SET.error(ErrorKind::InvalidProperty, pool.as_str(), reason)
        })?;
        let mut input = NvList::new();
        input.insert("vdevprops_set_vdev", vdev.get());
        input.insert("vdevprops_set_props", [(name, value)].into_iter().collect::<NvList>());
        self.pool_call(VDEV_SET, pool, &input)?;
        Ok(())
    }

    fn vdev_properties_of(
        &self,
        pool: &PoolName,
        vdev: Guid,
        names: &[&str],
    ) -> Result<BTreeMap<String, Property>> {
        let mut input = NvList::new();
        input.insert("vdevprops_get_vdev", vdev.get());
        if !names.is_empty() {
            let names: NvList = names.iter().map(|name| (*name, 0_u64)).collect();
            input.insert("vdevprops_get_props", names);
        }
        Ok(properties(&self.pool_call(VDEV_GET, pool, &input)?, |_| None))
    }

    fn set_raw(&self, operation: Operation, pool: &PoolName, list: &NvList) -> Result<()> {
        let mut cmd = Cmd::new(pool.as_str());
        cmd.input = Some(self.packed(operation, pool, list)?);
        self.call_cmd(operation, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(())
    }

    fn packed(&self, operation: Operation, pool: &PoolName, list: &NvList) -> Result<Vec<u8>> {
        list.to_bytes().map_err(|error| {
            CallError::library(operation, pool.as_str(), Error::from(error)).into_error(self)
        })
    }
}

impl PropertyInfo {
    fn find_pool(name: &str) -> Option<&'static Self> {
        Self::find(PropertyScope::Pool, name)
    }
}

/// `name: {value, source}`, each value by what the table says of it.
fn properties(
    reply: &NvList,
    info: impl Fn(&str) -> Option<&'static PropertyInfo>,
) -> BTreeMap<String, Property> {
    reply
        .iter()
        .filter_map(|(name, _)| {
            let pair = reply.get_list(name)?;
            let value = match pair.get("value")? {
                Value::Uint64(number) => {
                    info(name).map_or(PropertyValue::Number(*number), |info| info.value_of(*number))
                }
                Value::String(text) => {
                    PropertyValue::Text(String::from_utf8_lossy(text.as_bytes()).into_owned())
                }
                _ => return None,
            };
            Some((name.to_owned(), Property { value, source: source(pair.get_u64("source")) }))
        })
        .collect()
}

/// `zprop_source_t`: OpenZFS 2.4 `include/sys/fs/zfs.h`.
fn source(number: Option<u64>) -> Source {
    match number {
        Some(0x2) => Source::Default,
        Some(0x4) => Source::Temporary,
        Some(0x8) => Source::Local,
        Some(0x20) => Source::Received,
        _ => Source::None,
    }
}

/// As the kernel takes it: OpenZFS 2.4 `module/zcommon/zpool_prop.c`, `vdev_prop_init`.
fn vdev_value(name: &str, value: &PropertyValue) -> Option<Value> {
    if name.contains(':') || matches!(name, "comment" | "path") {
        return Some(value.to_string().into());
    }
    if let Some(number) = value.as_number() {
        return Some(number.into());
    }
    let number = match value.as_str()? {
        "on" => 1,
        "off" => 0,
        "none" => u64::MAX,
        text => text.parse().ok()?,
    };
    Some(Value::Uint64(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_properties_are_typed_by_the_table() {
        let pair = |value: Value, source: u64| {
            let mut pair = NvList::new();
            pair.insert("value", value).insert("source", source);
            pair
        };
        let mut reply = NvList::new();
        reply.insert("failmode", pair(1_u64.into(), 8)).insert("comment", pair("hi".into(), 8));
        reply.insert("newer_than_this", pair(3_u64.into(), 2)).insert("odd", 3_u64);
        let read = properties(&reply, PropertyInfo::find_pool);
        assert_eq!(read["failmode"].value.as_str(), Some("continue"));
        assert_eq!(read["failmode"].source, Source::Local);
        assert_eq!(read["comment"].value.as_str(), Some("hi"));
        assert_eq!(read["newer_than_this"].value, PropertyValue::Number(3));
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn vdev_values_are_what_the_kernel_takes() {
        for (name, value, expected) in [
            ("allocating", PropertyValue::from("off"), Some(Value::Uint64(0))),
            ("checksum_n", PropertyValue::from("none"), Some(Value::Uint64(u64::MAX))),
            ("checksum_n", PropertyValue::from(7_u64), Some(Value::Uint64(7))),
            ("io_t", PropertyValue::from("12"), Some(Value::Uint64(12))),
            ("io_t", PropertyValue::from("soon"), None),
            ("a:b", PropertyValue::from("on"), Some(Value::from("on"))),
            ("comment", PropertyValue::from("7"), Some(Value::from("7"))),
        ] {
            assert_eq!(vdev_value(name, &value), expected, "{name}");
        }
    }
}
