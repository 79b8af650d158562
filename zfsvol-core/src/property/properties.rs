//! [`Properties`]: what was read of one dataset, and how the kernel's answer becomes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::info::{DatasetKind, DatasetTypes, PropertyAccess, PropertyInfo, PropertyScope};
use super::set::is_user_property;
use super::value::{Property, PropertyValue, Source};
use crate::kernel::{Module, MountEntry};
use crate::name::DatasetName;
use crate::nvlist::{NvList, Value};
use crate::units::Bytes;

/// Properties the kernel gives without a source where they were set on the dataset itself
/// (OpenZFS 2.4 `lib/libzfs/libzfs_dataset.c`, get_numeric_property).
const LOCAL_WITHOUT_SOURCE: [&str; 8] = [
    "canmount",
    "filesystem_limit",
    "quota",
    "refquota",
    "refreservation",
    "reservation",
    "snapshot_limit",
    "volsize",
];

/// Properties kept inside the file system, which only `ZFS_IOC_OBJSET_ZPLPROPS` reads.
pub(crate) const ZPL: [&str; 10] = [
    "casesensitivity",
    "defaultgroupobjquota",
    "defaultgroupquota",
    "defaultprojectobjquota",
    "defaultprojectquota",
    "defaultuserobjquota",
    "defaultuserquota",
    "normalization",
    "utf8only",
    "version",
];

/// The word by which the kernel marks a value that came with a stream (`ZPROP_SOURCE_VAL_RECVD`).
const RECEIVED: &str = "$recvd";

/// The properties of one dataset, snapshot or bookmark, ordered by name, each with its [`Source`].
///
/// Native properties that nothing sets are there with their default, as in `zfs get all`. A property that the dataset does not have, or
/// that was not asked for, is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Properties(BTreeMap<String, Property>);

impl Properties {
    /// A property with its source.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Property> {
        self.0.get(name)
    }

    /// The value of a property.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&PropertyValue> {
        self.0.get(name).map(|property| &property.value)
    }

    /// The text or word of a property: [`PropertyValue::as_str`].
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name)?.as_str()
    }

    /// The number of a property: [`PropertyValue::as_number`].
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_number()
    }

    /// The number of bytes of a property: [`PropertyValue::as_bytes`].
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Bytes> {
        self.value(name)?.as_bytes()
    }

    /// Where the value of a property comes from.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.0.get(name).map(|property| &property.source)
    }

    /// All of them, ordered by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Property)> {
        self.0.iter().map(|(name, property)| (name.as_str(), property))
    }

    /// The user properties: those with a colon in their name.
    pub fn user(&self) -> impl Iterator<Item = (&str, &Property)> {
        self.iter().filter(|(name, _)| is_user_property(name))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn insert(&mut self, name: impl Into<String>, value: PropertyValue, source: Source) {
        self.0.insert(name.into(), Property { value, source });
    }

    /// Takes a property out.
    pub fn remove(&mut self, name: &str) -> Option<Property> {
        self.0.remove(name)
    }
}

/// What is needed, besides the kernel's answer, to say what a dataset's properties are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    /// Its full name.
    pub(crate) name: &'a str,
    pub(crate) kind: DatasetKind,
    /// For a snapshot: of a file system or of a zvol. For others its own type.
    pub(crate) head: DatasetTypes,
    pub(crate) module: &'a Module,
    /// Only these; all if `None`.
    pub(crate) wanted: Option<&'a BTreeSet<String>>,
    /// Where the pool's file systems are mounted below, if not below `/`.
    pub(crate) altroot: Option<&'a str>,
    /// Where it is mounted.
    pub(crate) mount: Option<&'a MountEntry>,
}

impl Reading<'_> {
    /// The properties in the kernel's answer, and the defaults of those that are not.
    pub(crate) fn properties(&self, reply: &NvList) -> Properties {
        let mut found = Properties::default();
        for (name, pair) in reply.iter() {
            if let Value::NvList(attributes) = pair {
                self.add(&mut found, name, attributes);
            }
        }
        self.add_defaults(&mut found);
        self.add_type(&mut found);
        self.add_mounted(&mut found);
        found
    }

    /// Properties of the file system's own, which come as plain numbers and have no source.
    pub(crate) fn add_zpl(&self, found: &mut Properties, reply: &NvList) {
        for name in ZPL {
            if let (true, Some(info), Some(number)) =
                (self.wants(name), info(name), reply.get_u64(name))
            {
                if self.applies(info) {
                    found.insert(name, info.value_of(number), Source::None);
                }
            }
        }
    }

    fn add(&self, found: &mut Properties, name: &str, attributes: &NvList) {
        if !self.wants(name) {
            return;
        }
        let info = info(name);
        if info.is_some_and(|info| !self.applies(info)) {
            return;
        }
        let Some(mut value) = attributes.get("value").and_then(|value| typed(info, value)) else {
            return;
        };
        let source = self.source(name, attributes.get_str("source"));
        if name == "mountpoint" {
            value = self.mountpoint(value, &source);
        }
        // No such thing: not the empty name of one.
        let absent = matches!(&value, PropertyValue::Text(text) if text.is_empty());
        if !(absent && info.is_some_and(|info| info.access == PropertyAccess::ReadOnly)) {
            found.insert(name, value, source);
        }
    }

    fn add_defaults(&self, found: &mut Properties) {
        let known = &self.module.dataset_properties;
        for info in PropertyInfo::all(PropertyScope::Dataset) {
            let name = info.name;
            let missing = info.visible
                && info.access != PropertyAccess::ReadOnly
                && !ZPL.contains(&name)
                && self.wants(name)
                && self.applies(info)
                && (known.is_empty() || known.contains(name))
                && found.get(name).is_none();
            let default = missing.then(|| info.default_value(&self.module.version)).flatten();
            if let Some(value) = default {
                let value = match name {
                    "mountpoint" => self.mountpoint(value, &Source::Default),
                    _ => value,
                };
                found.insert(name, value, Source::Default);
            }
        }
    }

    /// The kernel gives `type` as a number that does not tell a snapshot from a file system.
    fn add_type(&self, found: &mut Properties) {
        if self.wants("type") {
            let kind = PropertyValue::Text(self.kind.to_string());
            found.insert("type", kind, Source::None);
        }
    }

    /// `mounted`, and the properties that a mount option overrides for now.
    fn add_mounted(&self, found: &mut Properties) {
        if self.kind != DatasetKind::Filesystem {
            return;
        }
        if let (true, Some(info)) = (self.wants("mounted"), info("mounted")) {
            let mounted = info.value_of(u64::from(self.mount.is_some()));
            found.insert("mounted", mounted, Source::None);
        }
        let Some(mount) = self.mount else { return };
        let has = |option: &str| mount.options.split(',').any(|given| given == option);
        for (name, on, off) in [
            ("atime", "atime", "noatime"),
            ("devices", "dev", "nodev"),
            ("exec", "exec", "noexec"),
            ("readonly", "ro", "rw"),
            ("relatime", "relatime", "norelatime"),
            ("setuid", "suid", "nosuid"),
        ] {
            let Some(property) = found.0.get_mut(name) else { continue };
            let is_on = property.value.as_bool() == Some(true);
            let overridden = if is_on { has(off) } else { has(on) };
            if let (true, Some(info)) = (overridden, info(name)) {
                property.value = info.value_of(u64::from(!is_on));
                property.source = Source::Temporary;
            }
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.is_none_or(|wanted| wanted.contains(name))
    }

    /// Whether a dataset of this kind has the property. A snapshot has it if a dataset of its head's kind has it as well
    /// (`zfs_prop_valid_for_type`), or if only snapshots have it.
    fn applies(&self, info: &PropertyInfo) -> bool {
        let heads = DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME;
        info.types.intersects(self.kind.types())
            && (info.types.intersects(self.head) || !info.types.intersects(heads))
    }

    fn source(&self, name: &str, source: Option<&str>) -> Source {
        match source {
            None if LOCAL_WITHOUT_SOURCE.contains(&name) => Source::Local,
            None => Source::None,
            Some("") => Source::Default,
            Some(from) if from == self.name => Source::Local,
            Some(RECEIVED) => Source::Received,
            // What is no name of a dataset cannot be inherited from.
            Some(from) => from.parse::<DatasetName>().map_or(Source::None, Source::Inherited),
        }
    }

    /// Where it is mounted, or would be: what an ancestor's mountpoint comes to here, below the pool's altroot
    /// (OpenZFS 2.4 `lib/libzfs/libzfs_dataset.c`, zfs_prop_get).
    fn mountpoint(&self, value: PropertyValue, source: &Source) -> PropertyValue {
        let Some(path) = value.as_str().filter(|path| path.starts_with('/')) else { return value };
        let below = match source {
            Source::Inherited(from) => self.name.strip_prefix(from.as_str()).unwrap_or_default(),
            Source::Default => self.name,
            _ => "",
        };
        let below = below.trim_start_matches('/');
        let root = self.altroot.unwrap_or_default().trim_end_matches('/');
        let path = if path == "/" && !(root.is_empty() && below.is_empty()) { "" } else { path };
        let slash = if below.is_empty() { "" } else { "/" };
        PropertyValue::Text(format!("{root}{path}{slash}{below}"))
    }
}

fn info(name: &str) -> Option<&'static PropertyInfo> {
    PropertyInfo::find(PropertyScope::Dataset, name)
}

/// The value in the type of its property; `None` for a form this library does not know.
fn typed(info: Option<&PropertyInfo>, value: &Value) -> Option<PropertyValue> {
    Some(match (value, info) {
        (Value::Uint64(number), Some(info)) => info.value_of(*number),
        (Value::Uint64(number), None) => PropertyValue::Number(*number),
        (Value::String(text), _) => PropertyValue::Text(text.to_string()),
        // `clones`: their names, as the names of a list of flags.
        (Value::NvList(names), _) => {
            PropertyValue::Text(names.iter().map(|(name, _)| name).collect::<Vec<_>>().join(","))
        }
        // `redact_snaps`: GUIDs.
        (Value::Uint64Array(guids), _) => {
            PropertyValue::Text(guids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(value: impl Into<Value>, source: Option<&str>) -> NvList {
        let mut list = NvList::new();
        list.insert("value", value);
        if let Some(source) = source {
            list.insert("source", source);
        }
        list
    }

    fn reading<'a>(name: &'a str, module: &'a Module) -> Reading<'a> {
        Reading {
            name,
            kind: DatasetKind::Filesystem,
            head: DatasetTypes::FILESYSTEM,
            module,
            wanted: None,
            altroot: None,
            mount: None,
        }
    }

    #[test]
    fn sources_are_told_as_libzfs_tells_them() {
        let module = Module::for_tests("2.3.2");
        let mut reply = NvList::new();
        reply
            .insert("used", pair(4096_u64, None))
            .insert("quota", pair(1_u64 << 30, None))
            .insert("reservation", pair(0_u64, Some("")))
            .insert("compression", pair(15_u64, Some("tank")))
            .insert("atime", pair(0_u64, Some("tank/a")))
            .insert("com.example:x", pair("y", Some("$recvd")))
            .insert("origin", pair("", Some("")));
        let found = reading("tank/a", &module).properties(&reply);
        let shown = |name: &str| {
            let property = found.get(name).unwrap();
            (property.value.to_string(), property.source.to_string())
        };
        assert_eq!(shown("used"), ("4096".into(), "-".into()));
        assert_eq!(shown("quota"), ("1073741824".into(), "local".into()));
        assert_eq!(shown("reservation"), ("0".into(), "default".into()));
        assert_eq!(shown("compression"), ("lz4".into(), "inherited from tank".into()));
        assert_eq!(shown("atime"), ("off".into(), "local".into()));
        assert_eq!(shown("com.example:x"), ("y".into(), "received".into()));
        assert_eq!(shown("sync"), ("standard".into(), "default".into()));
        assert_eq!(shown("type"), ("filesystem".into(), "-".into()));
        assert_eq!(found.get("origin"), None);
        assert_eq!(found.get("volsize"), None);
        assert_eq!(found.user().count(), 1);
    }

    #[test]
    fn a_mountpoint_is_where_the_file_system_would_be_mounted() {
        let module = Module::for_tests("2.3.2");
        for (name, altroot, value, source, path) in [
            ("tank/a/b", None, "/srv", "tank/a", "/srv/b"),
            ("tank/a", None, "/srv", "tank/a", "/srv"),
            ("tank/a", None, "/", "", "/tank/a"),
            ("tank/a", None, "/", "tank", "/a"),
            ("tank/a", None, "/", "tank/a", "/"),
            ("tank/a", Some("/mnt"), "/", "tank/a", "/mnt"),
            ("tank/a", Some("/mnt"), "/srv", "tank", "/mnt/srv/a"),
            ("tank/a", Some("/"), "/srv", "tank/a", "/srv"),
            ("tank/a", None, "/srv", "$recvd", "/srv"),
            ("tank/a", Some("/mnt"), "legacy", "tank", "legacy"),
        ] {
            let mut reply = NvList::new();
            reply.insert("mountpoint", pair(value, Some(source)));
            let reading = Reading { altroot, ..reading(name, &module) };
            let found = reading.properties(&reply);
            assert_eq!(found.text("mountpoint"), Some(path), "{name} {value} {source}");
        }
    }

    #[test]
    fn a_mount_option_overrides_for_now() {
        let module = Module::for_tests("2.3.2");
        let mount = MountEntry::new("tank/a", "/tank/a", "ro,noatime,xattr");
        let reading = Reading { mount: Some(&mount), ..reading("tank/a", &module) };
        let found = reading.properties(&NvList::new());
        assert_eq!(found.text("readonly"), Some("on"));
        assert_eq!(found.source("readonly"), Some(&Source::Temporary));
        assert_eq!(found.text("atime"), Some("off"));
        assert_eq!(found.source("exec"), Some(&Source::Default));
        assert_eq!(found.text("mounted"), Some("yes"));
    }

    #[test]
    fn a_snapshot_has_what_its_head_has_and_what_only_snapshots_have() {
        let module = Module::for_tests("2.3.2");
        let mut reply = NvList::new();
        let mut clones = NvList::new();
        clones.insert_flag("tank/c").insert_flag("tank/d");
        reply
            .insert("volsize", pair(8192_u64, None))
            .insert("devices", pair(1_u64, Some("tank")))
            .insert("clones", pair(clones, None))
            .insert("userrefs", pair(2_u64, None));
        let reading = Reading {
            kind: DatasetKind::Snapshot,
            head: DatasetTypes::VOLUME,
            ..reading("tank/v@s", &module)
        };
        let found = reading.properties(&reply);
        assert_eq!(found.bytes("volsize"), Some(Bytes::new(8192)));
        assert_eq!(found.get("devices"), None);
        assert_eq!(found.text("clones"), Some("tank/c,tank/d"));
        assert_eq!(found.number("userrefs"), Some(2));
    }
}
