//! [`PropertySet`]: properties to write, each checked as it is added.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map;

use super::info::{PropertyAccess, PropertyInfo, PropertyKind, PropertyScope, Unit};
use super::number::parse_number;
use super::value::PropertyValue;
use crate::error::{Error, ErrorKind, Result};
use crate::nvlist::{NvList, Value};
use crate::units::Bytes;

/// Most bytes the name of a user property has. `ZAP_MAXNAMELEN` is 256 with the NUL that ends it.
pub const USER_PROPERTY_NAME_BYTES_MAX: usize = 255;

/// Most bytes the value of a property has. `ZAP_MAXVALUELEN` is 8,192 with the NUL that ends it.
pub const USER_PROPERTY_VALUE_BYTES_MAX: usize = 8191;

/// The block sizes OpenZFS knows: 512 B (`SPA_MINBLOCKSIZE`) to 16 MiB (`SPA_MAXBLOCKSIZE`). Modules have a lower limit of their own.
const BLOCK_BYTES: std::ops::RangeInclusive<u64> = 512..=(16 << 20);

/// The fewest iterations for a passphrase (`MIN_PBKDF2_ITERATIONS`).
const PBKDF2_ITERATIONS_MIN: u64 = 100_000;

/// Most properties in one set: more than any dataset has, and their worst case still packs into what one ioctl takes.
const PROPERTIES_MAX: usize = 4096;

/// What a change of properties asks of the mount of a file system, from nothing to the most.
///
/// `zfs set` does it by itself (OpenZFS 2.4 `lib/libzfs/libzfs_dataset.c`, zfs_prop_set_list_flags); this library leaves it to the caller, who
/// knows who uses the mount, and in which mount namespace it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MountEffect {
    /// Nothing: all of them act at once.
    None,
    /// The mount has flags that were taken from these properties when it was mounted: remount it.
    Remount,
    /// It belongs elsewhere, or nowhere: unmount it, and mount it where `mountpoint` says, unless `canmount` is `off`. The file
    /// systems below that inherit `mountpoint` move too.
    Move,
}

/// Properties to write, ordered by name: what `create`, `clone`, `snapshot`, `receive` and `set_properties` take.
///
/// Each property is checked when it is added, against the [table](PropertyInfo) of those OpenZFS has, so that a mistake is an error that says
/// what is allowed. Names with a colon are user properties: any text, up to [`USER_PROPERTY_VALUE_BYTES_MAX`] bytes.
///
/// ```
/// use zfsvol_core::Bytes;
/// use zfsvol_core::property::PropertySet;
///
/// let properties = PropertySet::new()
///     .with("compression", "zstd-3")?
///     .with("atime", false)?
///     .with("quota", Bytes::from_gib(10))?
///     .with("com.example:owner", "web")?;
/// assert_eq!(properties.get("quota").unwrap().to_string(), "10737418240");
///
/// let error = PropertySet::new().with("compression", "zip").unwrap_err();
/// assert!(error.to_string().starts_with("cannot set 'compression': 'zip' is not allowed; use 'on', 'off', 'lz4'"));
/// # Ok::<(), zfsvol_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertySet {
    scope: PropertyScope,
    values: BTreeMap<String, PropertyValue>,
}

impl PropertySet {
    /// No properties, of a dataset.
    #[must_use]
    pub fn new() -> Self {
        Self { scope: PropertyScope::Dataset, values: BTreeMap::new() }
    }

    /// No properties, of a pool. Besides those of the table it takes `feature@NAME` with `enabled` or `disabled`.
    #[must_use]
    pub fn for_pool() -> Self {
        Self { scope: PropertyScope::Pool, values: BTreeMap::new() }
    }

    /// Whether these are properties of a dataset or of a pool.
    #[must_use]
    pub fn scope(&self) -> PropertyScope {
        self.scope
    }

    /// Adds a property, or replaces its value.
    ///
    /// Texts are read as `zfs set` reads them: words for an index, sizes such as `1.5G`, `none` for no quota, limit or reservation.
    /// A `bool` is `on` or `off`. `xattr=on` is taken as `sa`, which is what OpenZFS 2.3 made of it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidProperty`] when there is no such property, when only the kernel sets it, or when it does not take that value; the message
    /// says what it takes. [`ErrorKind::TooLarge`] when the name or the value of a user property is too long.
    pub fn set(&mut self, name: &str, value: impl Into<PropertyValue>) -> Result<&mut Self> {
        let value = self.checked(name, value.into())?;
        self.insert(name, value)
    }

    /// The same set with one more property.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn with(mut self, name: &str, value: impl Into<PropertyValue>) -> Result<Self> {
        self.set(name, value)?;
        Ok(self)
    }

    /// Adds a property that this library does not know, in the form the kernel takes: a [number](PropertyValue::Number) (for an index its
    /// number) or a [text](PropertyValue::Text). The kernel decides; it answers an unknown name with an error.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the name or value is longer than any property's.
    pub fn set_unchecked(
        &mut self,
        name: &str,
        value: impl Into<PropertyValue>,
    ) -> Result<&mut Self> {
        let value = value.into();
        check_lengths(name, value.as_str().unwrap_or_default())?;
        self.insert(name, value)
    }

    /// The value that is to be written.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PropertyValue> {
        self.values.get(name)
    }

    /// Takes a property out of the set.
    pub fn remove(&mut self, name: &str) -> Option<PropertyValue> {
        self.values.remove(name)
    }

    /// The properties, ordered by name.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.values.iter())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What must be done to a mounted file system so that all of these hold there too. The kernel stores a property; the mount it leaves alone.
    #[must_use]
    pub fn mount_effect(&self) -> MountEffect {
        let effect = |(name, value): (&str, &PropertyValue)| match name {
            "mountpoint" => MountEffect::Move,
            "canmount" if value.as_str() == Some("off") => MountEffect::Move,
            "atime" | "relatime" | "devices" | "exec" | "readonly" | "setuid" | "nbmand" => {
                MountEffect::Remount
            }
            _ => MountEffect::None,
        };
        self.iter().map(effect).max().unwrap_or(MountEffect::None)
    }

    /// As the kernel takes them: numbers and the numbers of words as `uint64`, texts as `string`.
    pub(crate) fn to_nvlist(&self) -> NvList {
        self.iter()
            .map(|(name, value)| {
                let value = match value {
                    PropertyValue::Text(text) => Value::from(text),
                    other => Value::from(other.as_number().unwrap_or_default()),
                };
                (name, value)
            })
            .collect()
    }

    fn insert(&mut self, name: &str, value: PropertyValue) -> Result<&mut Self> {
        if self.values.len() >= PROPERTIES_MAX && !self.values.contains_key(name) {
            let reason = format!("the set has {PROPERTIES_MAX} properties already");
            return Err(refuse(ErrorKind::TooLarge, name, reason));
        }
        self.values.insert(name.to_owned(), value);
        Ok(self)
    }

    fn checked(&self, name: &str, value: PropertyValue) -> Result<PropertyValue> {
        match PropertyInfo::find(self.scope, name) {
            Some(info) if info.access == PropertyAccess::ReadOnly => {
                Err(invalid(name, "it can only be read"))
            }
            Some(info) => native(info, value),
            None if is_user_property(name) => {
                let text = value.to_string();
                check_lengths(name, &text)?;
                Ok(PropertyValue::Text(text))
            }
            None if self.scope == PropertyScope::Pool && name.starts_with("feature@") => {
                feature(name, value)
            }
            None => Err(invalid(name, self.unknown(name))),
        }
    }

    fn unknown(&self, name: &str) -> Cow<'static, str> {
        let other = match self.scope {
            PropertyScope::Dataset => (PropertyScope::Pool, "it is a property of pools"),
            PropertyScope::Pool => (PropertyScope::Dataset, "it is a property of datasets"),
        };
        if PropertyInfo::find(other.0, name).is_some() {
            other.1.into()
        } else if name.contains(':') {
            "the name of a user property has lower case letters, digits and '-', '_', '.', ':' only"
                .into()
        } else if name.contains('@') {
            "quotas of users, groups and projects are set by their own operation".into()
        } else {
            "there is no such property; the name of a user property has a colon".into()
        }
    }
}

impl Default for PropertySet {
    fn default() -> Self {
        Self::new()
    }
}

/// The properties of a set, ordered by name. Made by [`PropertySet::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a>(btree_map::Iter<'a, String, PropertyValue>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a PropertyValue);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a PropertySet {
    type Item = (&'a str, &'a PropertyValue);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Whether a name is that of a user property: the characters the kernel allows, and a colon among them
/// (OpenZFS 2.4 `module/zcommon/zfs_prop.c`, zfs_prop_user).
pub(crate) fn is_user_property(name: &str) -> bool {
    name.contains(':')
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'-' | b'_' | b'.' | b':')
        })
}

/// The value in the type of its property.
fn native(info: &PropertyInfo, value: PropertyValue) -> Result<PropertyValue> {
    match info.kind {
        PropertyKind::Index(words) => word(info, words, &value),
        PropertyKind::Number(unit) => {
            let number = number(info, &value)?;
            check_number(info, number, &value)?;
            Ok(match unit {
                Unit::Bytes => PropertyValue::Size(Bytes::new(number)),
                _ => info.value_of(number),
            })
        }
        PropertyKind::Text => match value {
            PropertyValue::Text(text) => {
                check_lengths(info.name, &text)?;
                check_text(info, &text)?;
                Ok(PropertyValue::Text(text))
            }
            other => Err(not_allowed(info, &other)),
        },
    }
}

fn word(
    info: &PropertyInfo,
    words: &'static [(&'static str, u64)],
    value: &PropertyValue,
) -> Result<PropertyValue> {
    let found = match value {
        PropertyValue::Text(text) => words.iter().find(|(word, _)| word == text),
        PropertyValue::Number(number) => words.iter().find(|(_, n)| n == number),
        PropertyValue::Index { word, number } => {
            words.iter().find(|(w, n)| w == word && n == number)
        }
        PropertyValue::Size(_) | PropertyValue::Ratio { .. } => None,
    };
    // By its number, so that an old spelling becomes the word that is shown.
    found.map(|(_, number)| info.value_of(*number)).ok_or_else(|| not_allowed(info, value))
}

fn number(info: &PropertyInfo, value: &PropertyValue) -> Result<u64> {
    let text = match value {
        PropertyValue::Number(number) => return Ok(*number),
        PropertyValue::Size(bytes) => return Ok(bytes.get()),
        PropertyValue::Text(text) => text.as_str(),
        PropertyValue::Index { word, .. } => word,
        PropertyValue::Ratio { .. } => {
            return Err(not_allowed(info, value));
        }
    };
    match text {
        // No limit is the largest number, no quota and no reservation are zero (libzfs_util.c, zprop_parse_value).
        "none" if info.name.ends_with("_limit") => Ok(u64::MAX),
        "none" if info.takes("none") => Ok(0),
        "auto" if info.takes("auto") => Ok(u64::MAX),
        "auto" if info.name == "refreservation" => {
            Err(invalid(info.name, "'auto' depends on the zvol and its pool")
                .with_help("compute the number with zvol_reservation"))
        }
        _ => parse_number(text).map_err(|error| not_allowed(info, value).with_source(error)),
    }
}

/// The limits that libzfs checks, so that the kernel's bare EINVAL need not be explained.
fn check_number(info: &PropertyInfo, number: u64, value: &PropertyValue) -> Result<()> {
    let fits = match info.name {
        "recordsize" | "volblocksize" => BLOCK_BYTES.contains(&number) && number.is_power_of_two(),
        "special_small_blocks" => number <= *BLOCK_BYTES.end(),
        "pbkdf2iters" => number >= PBKDF2_ITERATIONS_MIN,
        "ashift" => number == 0 || (9..=16).contains(&number),
        "volsize" => number != 0,
        _ => true,
    };
    if fits { Ok(()) } else { Err(not_allowed(info, value)) }
}

fn check_text(info: &PropertyInfo, text: &str) -> Result<()> {
    let is_path = || text.starts_with('/') && text.split('/').all(|part| part.len() <= 255);
    let fits = match (info.types, info.name) {
        (_, "mountpoint") => matches!(text, "none" | "legacy") || is_path(),
        (_, "keylocation") => is_keylocation(text),
        (_, "altroot") => is_path(),
        (_, "cachefile") => matches!(text, "none" | "") || is_path(),
        _ => true,
    };
    if fits { Ok(()) } else { Err(not_allowed(info, &PropertyValue::from(text))) }
}

/// What the kernel takes as the place of a key (`module/zcommon/zfs_prop.c`, zfs_prop_valid_keylocation).
fn is_keylocation(text: &str) -> bool {
    matches!(text, "none" | "prompt")
        || ["file:///", "https://", "http://"]
            .iter()
            .any(|start| text.len() > start.len() && text.starts_with(start))
}

fn feature(name: &str, value: PropertyValue) -> Result<PropertyValue> {
    match &value {
        PropertyValue::Text(text) if matches!(text.as_str(), "enabled" | "disabled") => Ok(value),
        other => {
            Err(invalid(name, format!("'{other}' is not allowed; use 'enabled' or 'disabled'")))
        }
    }
}

fn check_lengths(name: &str, text: &str) -> Result<()> {
    if name.len() > USER_PROPERTY_NAME_BYTES_MAX {
        let reason = format!("its name is longer than {USER_PROPERTY_NAME_BYTES_MAX} bytes");
        return Err(refuse(ErrorKind::TooLarge, name, reason));
    }
    if text.len() > USER_PROPERTY_VALUE_BYTES_MAX {
        let reason = format!("its value is longer than {USER_PROPERTY_VALUE_BYTES_MAX} bytes");
        return Err(refuse(ErrorKind::TooLarge, name, reason));
    }
    match text.contains('\0') || name.contains('\0') {
        true => Err(invalid(name, "a NUL character cannot be stored")),
        false => Ok(()),
    }
}

fn not_allowed(info: &PropertyInfo, value: &PropertyValue) -> Error {
    invalid(info.name, format!("'{value}' is not allowed; use {}", info.allowed()))
}

fn invalid(name: &str, reason: impl Into<Cow<'static, str>>) -> Error {
    refuse(ErrorKind::InvalidProperty, name, reason)
}

fn refuse(kind: ErrorKind, name: &str, reason: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, "set", reason).with_target(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, value: impl Into<PropertyValue>) -> String {
        PropertySet::new().with(name, value).unwrap_err().to_string()
    }

    #[test]
    fn values_become_what_the_kernel_takes() {
        let set = PropertySet::new()
            .with("compression", "zstd-19")
            .and_then(|set| set.with("atime", false))
            .and_then(|set| set.with("copies", 2))
            .and_then(|set| set.with("quota", "1.5G"))
            .and_then(|set| set.with("reservation", "none"))
            .and_then(|set| set.with("filesystem_limit", "none"))
            .and_then(|set| set.with("volsize", Bytes::from_mib(64)))
            .and_then(|set| set.with("xattr", "on"))
            .and_then(|set| set.with("acltype", "posixacl"))
            .and_then(|set| set.with("mountpoint", "/srv"))
            .and_then(|set| set.with("zfsvol:epoch", 3))
            .unwrap();
        let list = set.to_nvlist();
        assert_eq!(list.get_u64("compression"), Some(16 | 19 << 7));
        assert_eq!(list.get_u64("atime"), Some(0));
        assert_eq!(list.get_u64("copies"), Some(2));
        assert_eq!(list.get_u64("quota"), Some(3 << 29));
        assert_eq!(list.get_u64("reservation"), Some(0));
        assert_eq!(list.get_u64("filesystem_limit"), Some(u64::MAX));
        assert_eq!(list.get_u64("volsize"), Some(64 << 20));
        assert_eq!(list.get_u64("xattr"), Some(2));
        assert_eq!(set.get("acltype").unwrap().as_str(), Some("posix"));
        assert_eq!(list.get_str("mountpoint"), Some("/srv"));
        assert_eq!(list.get_str("zfsvol:epoch"), Some("3"));
        let names: Vec<_> = set.iter().map(|(name, _)| name).collect();
        assert!(names.is_sorted());
    }

    #[test]
    fn a_refused_property_is_named_with_its_value_and_what_is_allowed() {
        for (name, value, text) in [
            (
                "sync",
                "yes",
                "cannot set 'sync': 'yes' is not allowed; use 'standard', 'always' or 'disabled'",
            ),
            (
                "quota",
                "much",
                "cannot set 'quota': 'much' is not allowed; use a number of bytes ('1.5G'), or 'none'",
            ),
            (
                "recordsize",
                "100K",
                "cannot set 'recordsize': '100K' is not allowed; use a power of two from 512 to 16M",
            ),
            (
                "mountpoint",
                "srv",
                "cannot set 'mountpoint': 'srv' is not allowed; use an absolute path, 'legacy' or 'none'",
            ),
            ("used", "1", "cannot set 'used': it can only be read"),
            (
                "compresion",
                "on",
                "cannot set 'compresion': there is no such property; the name of a user property has a colon",
            ),
            ("ashift", "12", "cannot set 'ashift': it is a property of pools"),
            (
                "refreservation",
                "auto",
                "cannot set 'refreservation': 'auto' depends on the zvol and its pool; compute the number with zvol_reservation",
            ),
            (
                "Com:x",
                "1",
                "cannot set 'Com:x': the name of a user property has lower case letters, digits and '-', '_', '.', ':' only",
            ),
            ("a:b", "x\0y", "cannot set 'a:b': a NUL character cannot be stored"),
        ] {
            assert_eq!(message(name, value), text);
        }
        assert_eq!(
            PropertySet::new().with("sync", 9).unwrap_err().kind(),
            ErrorKind::InvalidProperty
        );
    }

    #[test]
    fn the_longest_name_and_value_fit_and_one_byte_more_does_not() {
        let name = format!("a:{}", "b".repeat(USER_PROPERTY_NAME_BYTES_MAX - 2));
        let value = "v".repeat(USER_PROPERTY_VALUE_BYTES_MAX);
        assert!(PropertySet::new().with(&name, &value).is_ok());
        let long =
            |name: &str, value: &str| PropertySet::new().with(name, value).unwrap_err().kind();
        assert_eq!(long(&format!("{name}b"), "v"), ErrorKind::TooLarge);
        assert_eq!(long("a:b", &format!("{value}v")), ErrorKind::TooLarge);
    }

    #[test]
    fn the_greatest_effect_on_a_mount_counts() {
        let effect = |properties: &[(&str, &str)]| {
            let mut set = PropertySet::new();
            for (name, value) in properties {
                set.set(name, *value).unwrap();
            }
            set.mount_effect()
        };
        assert_eq!(effect(&[]), MountEffect::None);
        assert_eq!(effect(&[("compression", "lz4"), ("canmount", "noauto")]), MountEffect::None);
        assert_eq!(effect(&[("compression", "lz4"), ("exec", "off")]), MountEffect::Remount);
        assert_eq!(effect(&[("exec", "off"), ("mountpoint", "none")]), MountEffect::Move);
        assert_eq!(effect(&[("canmount", "off")]), MountEffect::Move);
    }

    #[test]
    fn pools_have_properties_of_their_own() {
        let set = PropertySet::for_pool()
            .with("ashift", 12)
            .and_then(|set| set.with("feature@zstd_compress", "enabled"))
            .and_then(|set| set.with("comment", "spare"))
            .unwrap();
        assert_eq!(set.to_nvlist().get_u64("ashift"), Some(12));
        let message = PropertySet::for_pool().with("quota", "1G").unwrap_err().to_string();
        assert_eq!(message, "cannot set 'quota': it is a property of datasets");
    }

    #[test]
    fn what_the_table_does_not_know_can_be_written_unchecked() {
        let mut set = PropertySet::new();
        set.set_unchecked("brandnew", 7).unwrap().set_unchecked("newer", "text").unwrap();
        assert_eq!(set.to_nvlist().get_u64("brandnew"), Some(7));
        assert_eq!(set.to_nvlist().get_str("newer"), Some("text"));
    }
}
