//! Names as types: [`PoolName`], [`DatasetName`], [`SnapshotName`], [`BookmarkName`], parsed once at the edge.
//!
//! The rules are the kernel's (OpenZFS 2.1 to 2.4, `module/zcommon/zfs_namecheck.c`): letters, digits and `-_.: ` in each
//! component (and `%`, which ZFS itself uses for temporary datasets such as `tank/a/%recv`), no empty component, no component
//! `.` or `..`, at most [`NAME_BYTES_MAX`] bytes and [`NESTING_MAX`] levels. A name that breaks one is refused here, with the reason, before
//! the kernel could only answer `EINVAL`.
//!
//! ```
//! use zfsvol_core::{DatasetName, SnapshotName};
//!
//! let volume: DatasetName = "tank/web/db".parse()?;
//! assert_eq!(volume.pool().as_str(), "tank");
//! assert_eq!(volume.snapshot("monday")?.as_str(), "tank/web/db@monday");
//!
//! let error = "tank//db".parse::<DatasetName>().unwrap_err();
//! assert_eq!(error.to_string(), "'tank//db' is not a dataset name: a component is empty");
//! # Ok::<(), zfsvol_core::NameError>(())
//! ```

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest full name, in bytes: `ZFS_MAX_DATASET_NAME_LEN` (256) less the terminating NUL.
pub const NAME_BYTES_MAX: usize = 255;

/// Most levels below the pool that can be created: the module parameter `zfs_max_dataset_nesting`.
pub const NESTING_MAX: usize = 50;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a {what} name: {reason}", .name.escape_debug())]
pub struct NameError {
    name: String,
    what: &'static str,
    reason: NameReason,
}

impl NameError {
    /// The text that was refused, cut to its first 300 bytes or so.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which rule it broke.
    pub fn reason(&self) -> &NameReason {
        &self.reason
    }

    fn new(name: &str, what: &'static str, reason: NameReason) -> Self {
        // A hostile name may be megabytes long; the error does not carry it all.
        const SHOWN_CHARS_MAX: usize = 300;
        Self { name: name.chars().take(SHOWN_CHARS_MAX).collect(), what, reason }
    }
}

/// The rule of names that was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameReason {
    /// Nothing where a component should be: the whole name, between two slashes, or after `@` or `#`.
    #[error("a component is empty")]
    Empty,
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("it has {0} bytes, and at most {NAME_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// More than [`NESTING_MAX`] levels.
    #[error("it is {0} levels deep, and at most {NESTING_MAX} are allowed")]
    TooDeep(usize),
    /// A character outside the allowed set.
    #[error("the character {0:?} is not allowed")]
    Character(char),
    /// A component that is `.` or `..`.
    #[error("a component is '.' or '..'")]
    DotComponent,
    /// The first character of a pool name must be a letter.
    #[error("a pool's name begins with a letter")]
    NotALetter,
    /// `mirror`, `raidz`, `draid` and `spare` begin vdev specifications, `log` is one.
    #[error("it is reserved for a kind of vdev")]
    Reserved,
    /// A snapshot needs one `@`, a bookmark one `#`.
    #[error("it has no '{0}'")]
    NoDelimiter(char),
    /// A dataset was wanted and a snapshot or bookmark given, or there are two delimiters.
    #[error("'{0}' does not belong there")]
    Delimiter(char),
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;
            fn try_from(text: &str) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                $check(&text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_type!(
    /// The name of a pool: `tank`.
    PoolName,
    check_pool
);
name_type!(
    /// The name of a file system or zvol: `tank`, `tank/web/db`.
    DatasetName,
    check_dataset
);
name_type!(
    /// The full name of a snapshot: `tank/web@monday`.
    SnapshotName,
    check_snapshot
);
name_type!(
    /// The full name of a bookmark: `tank/web#monday`.
    BookmarkName,
    check_bookmark
);

impl PoolName {
    /// The pool's root dataset, which has the same name.
    pub fn root(&self) -> DatasetName {
        DatasetName(self.0.clone())
    }
}

impl DatasetName {
    /// The pool it is in.
    pub fn pool(&self) -> PoolName {
        PoolName(pool_part(&self.0).to_owned())
    }

    /// The dataset one level up; `None` for a pool's root dataset.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The last component: `db` of `tank/web/db`.
    pub fn last(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, last)| last)
    }

    /// The dataset `component` (one or several, `a/b`) below this one.
    ///
    /// # Errors
    /// [`NameError`] when the result would not be a dataset name.
    pub fn child(&self, component: &str) -> Result<Self, NameError> {
        format!("{self}/{component}").try_into()
    }

    /// The snapshot of this dataset named `snapshot`.
    ///
    /// # Errors
    /// [`NameError`] when the result would not be a snapshot name.
    pub fn snapshot(&self, snapshot: &str) -> Result<SnapshotName, NameError> {
        format!("{self}@{snapshot}").try_into()
    }

    /// The bookmark of this dataset named `bookmark`.
    ///
    /// # Errors
    /// [`NameError`] when the result would not be a bookmark name.
    pub fn bookmark(&self, bookmark: &str) -> Result<BookmarkName, NameError> {
        format!("{self}#{bookmark}").try_into()
    }

    /// Whether this is `root` or lies below it.
    pub fn is_within(&self, root: &Self) -> bool {
        self.0.strip_prefix(&root.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Levels below the pool: 0 for `tank`, 2 for `tank/web/db`.
    pub fn depth(&self) -> usize {
        self.0.matches('/').count()
    }
}

impl SnapshotName {
    /// The pool it is in.
    pub fn pool(&self) -> PoolName {
        PoolName(pool_part(&self.0).to_owned())
    }

    /// The dataset it is a snapshot of.
    pub fn dataset(&self) -> DatasetName {
        DatasetName(self.0.split('@').next().unwrap_or_default().to_owned())
    }

    /// What follows the `@`.
    pub fn snapshot(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, snapshot)| snapshot)
    }
}

impl BookmarkName {
    /// The pool it is in.
    pub fn pool(&self) -> PoolName {
        PoolName(pool_part(&self.0).to_owned())
    }

    /// The dataset it is a bookmark of.
    pub fn dataset(&self) -> DatasetName {
        DatasetName(self.0.split('#').next().unwrap_or_default().to_owned())
    }

    /// What follows the `#`.
    pub fn bookmark(&self) -> &str {
        self.0.split_once('#').map_or("", |(_, bookmark)| bookmark)
    }
}

impl From<PoolName> for DatasetName {
    fn from(pool: PoolName) -> Self {
        Self(pool.0)
    }
}

/// What a property, a `stats` call or a send can be asked of: a dataset, a snapshot, or an [`EntityName`] that is either.
/// Implemented by the names of this module only.
pub trait Entity: AsRef<str> + sealed::Sealed {}

/// A dataset, a snapshot or a bookmark, as listings and errors name them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EntityName {
    /// A file system or zvol.
    Dataset(DatasetName),
    /// A snapshot.
    Snapshot(SnapshotName),
    /// A bookmark.
    Bookmark(BookmarkName),
}

impl EntityName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dataset(name) => name.as_str(),
            Self::Snapshot(name) => name.as_str(),
            Self::Bookmark(name) => name.as_str(),
        }
    }

    /// The dataset itself, or the one it is a snapshot or bookmark of.
    pub fn dataset(&self) -> DatasetName {
        match self {
            Self::Dataset(name) => name.clone(),
            Self::Snapshot(name) => name.dataset(),
            Self::Bookmark(name) => name.dataset(),
        }
    }
}

impl FromStr for EntityName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.find(['@', '#']).and_then(|at| text.as_bytes().get(at)) {
            None => text.parse().map(Self::Dataset),
            Some(b'@') => text.parse().map(Self::Snapshot),
            Some(_) => text.parse().map(Self::Bookmark),
        }
    }
}

impl TryFrom<String> for EntityName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<EntityName> for String {
    fn from(name: EntityName) -> String {
        match name {
            EntityName::Dataset(name) => name.into(),
            EntityName::Snapshot(name) => name.into(),
            EntityName::Bookmark(name) => name.into(),
        }
    }
}

impl From<DatasetName> for EntityName {
    fn from(name: DatasetName) -> Self {
        Self::Dataset(name)
    }
}

impl From<SnapshotName> for EntityName {
    fn from(name: SnapshotName) -> Self {
        Self::Snapshot(name)
    }
}

impl From<BookmarkName> for EntityName {
    fn from(name: BookmarkName) -> Self {
        Self::Bookmark(name)
    }
}

impl AsRef<str> for EntityName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for EntityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Entity for DatasetName {}
impl Entity for SnapshotName {}
impl Entity for EntityName {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::DatasetName {}
    impl Sealed for super::SnapshotName {}
    impl Sealed for super::EntityName {}
}

/// The pool a name of any kind belongs to.
pub(crate) fn pool_part(name: &str) -> &str {
    name.split(['/', '@', '#']).next().unwrap_or_default()
}

/// `pool_namecheck`, as far as it does not depend on the pool's version.
fn check_pool(name: &str) -> Result<(), NameError> {
    let refuse = |reason| Err(NameError::new(name, "pool", reason));
    // The kernel creates `pool/$ORIGIN@$ORIGIN` in every pool, which must fit as well.
    const POOL_BYTES_MAX: usize = NAME_BYTES_MAX - "/$ORIGIN@$ORIGIN".len();
    if name.len() > POOL_BYTES_MAX {
        return refuse(NameReason::TooLong(name.len()));
    }
    if name.is_empty() {
        return refuse(NameReason::Empty);
    }
    if let Some(bad) = name.chars().find(|&c| !is_name_char(c)) {
        return refuse(NameReason::Character(bad));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return refuse(NameReason::NotALetter);
    }
    let reserved = ["mirror", "raidz", "draid", "spare"];
    if reserved.iter().any(|word| name.starts_with(word)) || name == "log" {
        return refuse(NameReason::Reserved);
    }
    Ok(())
}

fn check_dataset(name: &str) -> Result<(), NameError> {
    check_path(name, name, "dataset")
}

fn check_snapshot(name: &str) -> Result<(), NameError> {
    check_delimited(name, '@', "snapshot")
}

fn check_bookmark(name: &str) -> Result<(), NameError> {
    check_delimited(name, '#', "bookmark")
}

fn check_delimited(name: &str, delimiter: char, what: &'static str) -> Result<(), NameError> {
    let Some((path, last)) = name.split_once(delimiter) else {
        check_path(name, name, what)?;
        return Err(NameError::new(name, what, NameReason::NoDelimiter(delimiter)));
    };
    check_path(name, path, what)?;
    check_component(name, last, what)
}

/// The part before any delimiter, component by component.
fn check_path(name: &str, path: &str, what: &'static str) -> Result<(), NameError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::new(name, what, NameReason::TooLong(name.len())));
    }
    for component in path.split('/') {
        check_component(name, component, what)?;
        if component == "." || component == ".." {
            return Err(NameError::new(name, what, NameReason::DotComponent));
        }
    }
    let depth = path.matches('/').count();
    if depth >= NESTING_MAX {
        return Err(NameError::new(name, what, NameReason::TooDeep(depth)));
    }
    Ok(())
}

fn check_component(name: &str, component: &str, what: &'static str) -> Result<(), NameError> {
    if component.is_empty() {
        return Err(NameError::new(name, what, NameReason::Empty));
    }
    // '%' is the kernel's own mark of temporary datasets (`%recv`); listings return such names.
    match component.chars().find(|&c| !is_name_char(c) && c != '%') {
        None => Ok(()),
        Some(c @ ('@' | '#' | '/')) => Err(NameError::new(name, what, NameReason::Delimiter(c))),
        Some(c) => Err(NameError::new(name, what, NameReason::Character(c))),
    }
}

/// `valid_char` of zfs_namecheck.c.
fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_with_the_rule_they_break() {
        let long = format!("tank/{}", "x".repeat(251));
        let deep = format!("tank{}", "/a".repeat(50));
        for (name, reason) in [
            ("", NameReason::Empty),
            ("/tank", NameReason::Empty),
            ("tank/", NameReason::Empty),
            ("tank/./a", NameReason::DotComponent),
            ("tank/..", NameReason::DotComponent),
            ("tank/ä", NameReason::Character('ä')),
            ("tank/\n", NameReason::Character('\n')),
            ("tank/a\0b", NameReason::Character('\0')),
            ("tank@a", NameReason::Delimiter('@')),
            ("tank#a", NameReason::Delimiter('#')),
            (long.as_str(), NameReason::TooLong(256)),
            (deep.as_str(), NameReason::TooDeep(50)),
        ] {
            let error = name.parse::<DatasetName>().unwrap_err();
            assert_eq!(error.reason(), &reason, "{name}");
        }
    }

    #[test]
    fn the_longest_name_is_accepted() {
        let name = format!("tank/{}", "x".repeat(250));
        assert_eq!(name.parse::<DatasetName>().unwrap().as_str().len(), NAME_BYTES_MAX);
        assert!(format!("tank{}", "/a".repeat(49)).parse::<DatasetName>().is_ok());
    }

    #[test]
    fn snapshots_and_bookmarks_need_their_one_delimiter() {
        let snapshot: SnapshotName = "tank/a@b".parse().unwrap();
        assert_eq!((snapshot.dataset().as_str(), snapshot.snapshot()), ("tank/a", "b"));
        let bookmark: BookmarkName = "tank/a#b".parse().unwrap();
        assert_eq!((bookmark.dataset().as_str(), bookmark.bookmark()), ("tank/a", "b"));
        for name in
            ["tank/a", "tank/a@", "tank/a@b@c", "tank/a@b/c", "tank/a#b", "@b", "tank/a@b#c"]
        {
            assert!(name.parse::<SnapshotName>().is_err(), "{name}");
        }
        let error = "tank/a".parse::<SnapshotName>().unwrap_err();
        assert_eq!(error.to_string(), "'tank/a' is not a snapshot name: it has no '@'");
    }

    #[test]
    fn pool_names_are_stricter() {
        for name in ["9tank", "mirror", "raidz1", "log", "tank/a", "ta%k", ""] {
            assert!(name.parse::<PoolName>().is_err(), "{name}");
        }
        for name in ["tank", "logs", "a.b-c_d:e f"] {
            assert!(name.parse::<PoolName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn is_within_compares_components_not_letters() {
        let root: DatasetName = "tank/a".parse().unwrap();
        for (name, within) in
            [("tank/a", true), ("tank/a/b", true), ("tank/ab", false), ("tank", false)]
        {
            assert_eq!(name.parse::<DatasetName>().unwrap().is_within(&root), within, "{name}");
        }
    }

    #[test]
    fn a_huge_name_makes_a_small_error() {
        let error = "é".repeat(1 << 20).parse::<DatasetName>().unwrap_err();
        assert!(error.to_string().len() < 2000);
    }
}
