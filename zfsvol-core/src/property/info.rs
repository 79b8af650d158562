//! [`PropertyInfo`]: what is known of one property, whichever dataset has it.

use std::fmt;

use bitflags::bitflags;
use serde::Serialize;

use super::PropertyValue;
use crate::kernel::ModuleVersion;
use crate::units::Bytes;

bitflags! {
    /// Kinds of dataset, with the numbers of `zfs_type_t`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct DatasetTypes: u32 {
        /// A file system.
        const FILESYSTEM = 1;
        /// A snapshot.
        const SNAPSHOT = 1 << 1;
        /// A zvol.
        const VOLUME = 1 << 2;
        /// A pool, as far as its own properties are meant.
        const POOL = 1 << 3;
        /// A bookmark.
        const BOOKMARK = 1 << 4;
    }
}

impl DatasetTypes {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::FILESYSTEM, "file systems"),
        (Self::VOLUME, "zvols"),
        (Self::SNAPSHOT, "snapshots"),
        (Self::BOOKMARK, "bookmarks"),
        (Self::POOL, "pools"),
    ];
}

/// `file systems and zvols`, to finish a sentence.
impl fmt::Display for DatasetTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&str> = Self::NAMES
            .iter()
            .filter(|(kind, _)| self.intersects(*kind))
            .map(|(_, n)| *n)
            .collect();
        let Some(last) = names.pop() else { return f.write_str("nothing") };
        if names.is_empty() {
            return f.write_str(last);
        }
        write!(f, "{} and {last}", names.join(", "))
    }
}

/// What a dataset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DatasetKind {
    /// A file system.
    Filesystem,
    /// A zvol.
    Volume,
    /// A snapshot of either.
    Snapshot,
    /// A bookmark.
    Bookmark,
}

impl DatasetKind {
    /// The kind as one of a set of kinds.
    #[must_use]
    pub const fn types(self) -> DatasetTypes {
        match self {
            Self::Filesystem => DatasetTypes::FILESYSTEM,
            Self::Volume => DatasetTypes::VOLUME,
            Self::Snapshot => DatasetTypes::SNAPSHOT,
            Self::Bookmark => DatasetTypes::BOOKMARK,
        }
    }
}

/// As the `type` property has it: `filesystem`, `volume`, `snapshot`, `bookmark`.
impl fmt::Display for DatasetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Filesystem => "filesystem",
            Self::Volume => "volume",
            Self::Snapshot => "snapshot",
            Self::Bookmark => "bookmark",
        })
    }
}

/// Whose property it is: `readonly`, `version` and others exist for both, and mean different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PropertyScope {
    /// Of a file system, zvol, snapshot or bookmark.
    Dataset,
    /// Of a pool.
    Pool,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Hundredths, of a ratio such as `compressratio`.
    Hundredths,
    /// Seconds since 1970.
    Seconds,
    /// Hundredths of the whole, 0 to 100.
    Percent,
    /// Things, or a plain number such as a GUID or a transaction group.
    One,
}

/// The type of a property's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PropertyKind {
    /// A number.
    Number(Unit),
    /// Any text.
    Text,
    /// One of these words, which the kernel knows by their numbers. Where a number has several words, the first is the one shown.
    Index(&'static [(&'static str, u64)]),
}

/// Who may change a property, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertyAccess {
    /// Only the kernel.
    ReadOnly,
    /// Only when the dataset is created, and children do not inherit it.
    SetOnce,
    /// Only when the dataset is created; children inherit it.
    SetOnceInheritable,
    /// At any time; children do not inherit it.
    Settable,
    /// At any time; children inherit it.
    Inheritable,
}

impl PropertyAccess {
    /// Whether it can be changed once the dataset exists.
    #[must_use]
    pub const fn is_settable(self) -> bool {
        matches!(self, Self::Settable | Self::Inheritable)
    }

    /// Whether a dataset that has no value of its own takes its parent's.
    #[must_use]
    pub const fn is_inheritable(self) -> bool {
        matches!(self, Self::SetOnceInheritable | Self::Inheritable)
    }
}

/// The value of a property that nothing sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DefaultValue {
    /// It has none.
    None,
    /// A number, or the number of a word.
    Number(u64),
    /// A number that another one replaced in that release.
    NumberSince { now: u64, since: (u32, u32), before: u64 },
    /// A text.
    Text(&'static str),
}

/// One property: its name, type, and who may set it where.
///
/// ```
/// use zfsvol_core::property::{PropertyInfo, PropertyScope};
///
/// let sync = PropertyInfo::find(PropertyScope::Dataset, "sync").unwrap();
/// assert_eq!(sync.allowed(), "'standard', 'always' or 'disabled'");
/// assert!(sync.access.is_inheritable());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PropertyInfo {
    /// The name, as `zfs get` prints it.
    pub name: &'static str,
    /// The type of its values.
    pub kind: PropertyKind,
    /// Who may set it, and when.
    pub access: PropertyAccess,
    /// The kinds of dataset that have it.
    pub types: DatasetTypes,
    /// The release that brought it, when that is newer than 2.1.
    pub since: Option<(u32, u32)>,
    /// Whether `zfs get all` shows it.
    pub visible: bool,
    pub(super) default: DefaultValue,
    /// Words for values of a number or a text, when the type does not say enough.
    pub(super) allowed: &'static str,
}

impl PropertyInfo {
    /// The property of this name, or `None` when it is a user property or one newer than this table.
    #[must_use]
    pub fn find(scope: PropertyScope, name: &str) -> Option<&'static Self> {
        let table = Self::all(scope);
        let place = table.binary_search_by(|info| info.name.cmp(name)).ok()?;
        table.get(place)
    }

    /// Every property of that scope, ordered by name, the ones that `zfs get` does not show included.
    #[must_use]
    pub fn all(scope: PropertyScope) -> &'static [Self] {
        match scope {
            PropertyScope::Dataset => super::dataset::TABLE,
            PropertyScope::Pool => super::pool::TABLE,
        }
    }

    /// What it may be set to, to finish a sentence: `'on' or 'off'`; `a number of bytes, or 'none'`.
    #[must_use]
    pub fn allowed(&self) -> String {
        match self.kind {
            PropertyKind::Index(words) if self.allowed.is_empty() => alternatives(words),
            _ => self.allowed.to_owned(),
        }
    }

    /// The value where nothing sets one, in that release. Defaults changed: `compression` is `on` since 2.2.
    #[must_use]
    pub fn default_value(&self, version: &ModuleVersion) -> Option<PropertyValue> {
        let number = match self.default {
            DefaultValue::None => return None,
            DefaultValue::Text(text) => return Some(PropertyValue::Text(text.to_owned())),
            DefaultValue::Number(number) => number,
            DefaultValue::NumberSince { now, since, .. } if version.release() >= since => now,
            DefaultValue::NumberSince { before, .. } => before,
        };
        // The number 0 of `version` is no word of it: a file system always has one.
        match (self.kind, self.value_of(number)) {
            (PropertyKind::Index(_), PropertyValue::Number(_)) => None,
            (_, value) => Some(value),
        }
    }

    /// The typed value that the kernel's number stands for.
    pub(crate) fn value_of(&self, number: u64) -> PropertyValue {
        match self.kind {
            PropertyKind::Index(words) => match words.iter().find(|(_, n)| *n == number) {
                Some((word, number)) => PropertyValue::Index { word, number: *number },
                // A word of a newer module: what is known of it is its number.
                None => PropertyValue::Number(number),
            },
            PropertyKind::Number(Unit::Bytes) => PropertyValue::Size(Bytes::new(number)),
            // No limit at all.
            PropertyKind::Number(Unit::One) if number == u64::MAX && self.takes("none") => {
                PropertyValue::Index { word: "none", number }
            }
            PropertyKind::Number(Unit::Hundredths) => PropertyValue::Ratio { hundredths: number },
            PropertyKind::Number(_) | PropertyKind::Text => PropertyValue::Number(number),
        }
    }

    /// Whether a number may be written as that word; such words stand in what it allows.
    pub(super) fn takes(&self, word: &str) -> bool {
        self.allowed.split('\'').skip(1).step_by(2).any(|allowed| allowed == word)
    }

    const fn new(
        name: &'static str,
        kind: PropertyKind,
        access: PropertyAccess,
        types: DatasetTypes,
        default: DefaultValue,
    ) -> Self {
        let allowed = match kind {
            PropertyKind::Number(Unit::Bytes) => "a number of bytes ('1.5G')",
            PropertyKind::Number(_) => "a number",
            PropertyKind::Text => "a text",
            PropertyKind::Index(_) => "",
        };
        Self { name, kind, access, types, since: None, visible: true, default, allowed }
    }

    pub(super) const fn index(
        name: &'static str,
        words: &'static [(&'static str, u64)],
        access: PropertyAccess,
        types: DatasetTypes,
        default: u64,
    ) -> Self {
        Self::new(name, PropertyKind::Index(words), access, types, DefaultValue::Number(default))
    }

    pub(super) const fn number(
        name: &'static str,
        unit: Unit,
        access: PropertyAccess,
        types: DatasetTypes,
        default: u64,
    ) -> Self {
        Self::new(name, PropertyKind::Number(unit), access, types, DefaultValue::Number(default))
    }

    pub(super) const fn text(
        name: &'static str,
        access: PropertyAccess,
        types: DatasetTypes,
        default: Option<&'static str>,
    ) -> Self {
        let default = match default {
            Some(text) => DefaultValue::Text(text),
            None => DefaultValue::None,
        };
        Self::new(name, PropertyKind::Text, access, types, default)
    }

    pub(super) const fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = Some((major, minor));
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.visible = false;
        self
    }

    pub(super) const fn allows(mut self, allowed: &'static str) -> Self {
        self.allowed = allowed;
        self
    }

    /// The default, when an older release had another.
    pub(super) const fn default_before(mut self, release: (u32, u32), before: u64) -> Self {
        if let DefaultValue::Number(now) = self.default {
            self.default = DefaultValue::NumberSince { now, since: release, before };
        }
        self
    }
}

/// `'a', 'b' or 'c'`. Words that share a number with an earlier one are old spellings: taken, not advertised.
fn alternatives(words: &[(&str, u64)]) -> String {
    let mut seen = Vec::new();
    let mut quoted = Vec::new();
    for (word, number) in words {
        if !seen.contains(number) {
            seen.push(*number);
            quoted.push(format!("'{word}'"));
        }
    }
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_the_order_of_names_so_that_they_can_be_searched() {
        for scope in [PropertyScope::Dataset, PropertyScope::Pool] {
            let names: Vec<_> = PropertyInfo::all(scope).iter().map(|info| info.name).collect();
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
            for name in names {
                assert_eq!(PropertyInfo::find(scope, name).unwrap().name, name);
            }
        }
    }

    #[test]
    fn every_index_default_is_one_of_its_words() {
        let version = ModuleVersion::parse("2.4.0").unwrap();
        for scope in [PropertyScope::Dataset, PropertyScope::Pool] {
            for info in PropertyInfo::all(scope) {
                if let PropertyKind::Index(_) = info.kind {
                    let default = info.default_value(&version);
                    let word = matches!(default, Some(PropertyValue::Index { .. }));
                    assert!(word || info.name == "version", "{}: {default:?}", info.name);
                }
            }
        }
    }

    #[test]
    fn defaults_are_those_of_the_release() {
        let word = |name: &str, version: &str| {
            PropertyInfo::find(PropertyScope::Dataset, name)
                .unwrap()
                .default_value(&ModuleVersion::parse(version).unwrap())
                .unwrap()
                .to_string()
        };
        assert_eq!(word("compression", "2.1.11"), "off");
        assert_eq!(word("compression", "2.2.0"), "on");
        assert_eq!(word("xattr", "2.2.8"), "dir");
        assert_eq!(word("xattr", "2.3.2"), "sa");
        assert_eq!(word("relatime", "2.1.11"), "off");
        assert_eq!(word("relatime", "2.3.2"), "on");
    }

    #[test]
    fn types_and_words_finish_a_sentence() {
        let types = DatasetTypes::FILESYSTEM | DatasetTypes::VOLUME | DatasetTypes::SNAPSHOT;
        assert_eq!(types.to_string(), "file systems, zvols and snapshots");
        assert_eq!(DatasetTypes::VOLUME.to_string(), "zvols");
        let acltype = PropertyInfo::find(PropertyScope::Dataset, "acltype").unwrap();
        assert_eq!(acltype.allowed(), "'off', 'posix' or 'nfsv4'");
    }
}
