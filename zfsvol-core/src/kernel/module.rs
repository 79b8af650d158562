//! [`Module`]: which OpenZFS answers, and what it can do.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::errno::Errno;
use crate::error::{Error, ErrorKind, Result};

/// The version of a loaded module, as `/sys/module/zfs/version` gives it: `2.3.2-1~bpo12+2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleVersion {
    numbers: (u32, u32, u32),
    text: String,
}

impl ModuleVersion {
    /// The version in `text`: three numbers, and anything behind them.
    ///
    /// Returns `None` when it does not begin with two numbers joined by a dot.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        let patch = numbers.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        Some(Self { numbers: (major, minor, patch), text: text.to_owned() })
    }

    /// That version, with what follows the numbers.
    pub(crate) fn new((numbers, rest): ((u32, u32, u32), &str)) -> Self {
        let (major, minor, patch) = numbers;
        Self { numbers, text: format!("{major}.{minor}.{patch}{rest}") }
    }

    /// Major, minor and patch number.
    pub fn numbers(&self) -> (u32, u32, u32) {
        self.numbers
    }

    /// The release, `2.3`.
    pub fn release(&self) -> (u32, u32) {
        (self.numbers.0, self.numbers.1)
    }
}

impl fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// What is known of the kernel behind a door: its version, and the features it names in sysfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The version.
    pub version: ModuleVersion,
    /// Features of the module itself (`/sys/module/zfs/features.kernel`): `org.open-zfs:encryption`.
    pub kernel_features: Arc<BTreeSet<String>>,
    /// Pool features it can handle (`features.pool`), by GUID: `com.delphix:bookmarks`.
    pub pool_features: Arc<BTreeSet<String>>,
    /// Dataset properties it knows (`properties.dataset`).
    pub dataset_properties: Arc<BTreeSet<String>>,
    /// Pool properties it knows (`properties.pool`).
    pub pool_properties: Arc<BTreeSet<String>>,
}

impl Module {
    /// The module loaded on this machine, by its files in sysfs.
    pub(super) fn loaded() -> Result<Self> {
        Self::from_sysfs(Path::new("/sys/module/zfs"))
    }

    fn from_sysfs(directory: &Path) -> Result<Self> {
        let path = directory.join("version");
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let operation = "read the version of the OpenZFS module from";
            let error = match error.kind() {
                io::ErrorKind::NotFound => Error::new(
                    ErrorKind::NoModule,
                    operation,
                    "the module is not loaded, or /sys is not there",
                )
                .with_errno(Errno::ENOENT)
                .with_source(error),
                _ => Error::io(operation, error),
            };
            error
                .with_target(path.display().to_string())
                .with_help("load the module (modprobe zfs); in a container, mount /sys")
        })?;
        let version = ModuleVersion::parse(&text).ok_or_else(|| {
            Error::new(
                ErrorKind::Protocol,
                "tell the version of the OpenZFS module",
                format!("'{}' is no version", text.trim()),
            )
        })?;
        let names = |set: &str| Arc::new(entries(&directory.join(set)));
        Ok(Self {
            version,
            kernel_features: names("features.kernel"),
            pool_features: names("features.pool"),
            dataset_properties: names("properties.dataset"),
            pool_properties: names("properties.pool"),
        })
    }

    #[cfg(test)]
    pub(crate) fn for_tests(version: &str) -> Self {
        let none = Arc::new(BTreeSet::new());
        Self {
            version: ModuleVersion::parse(version).expect("a version"),
            kernel_features: none.clone(),
            pool_features: none.clone(),
            dataset_properties: none.clone(),
            pool_properties: none,
        }
    }

    /// Whether it is that release or a newer one.
    pub fn is_at_least(&self, major: u32, minor: u32) -> bool {
        self.version.release() >= (major, minor)
    }
}

/// The names in a directory of sysfs; none when it is not there, as in releases before that list.
fn entries(directory: &Path) -> BTreeSet<String> {
    let Ok(listing) = std::fs::read_dir(directory) else { return BTreeSet::new() };
    listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_module_says_what_to_do() {
        let error = Module::from_sysfs(Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoModule);
        assert_eq!(
            error.to_string(),
            "cannot read the version of the OpenZFS module from '/nonexistent/version': the module is not loaded, or /sys is not \
             there (ENOENT); load the module (modprobe zfs); in a container, mount /sys"
        );
    }

    #[test]
    fn versions_as_distributions_write_them() {
        for (text, numbers) in [
            ("2.3.2-1~bpo12+2\n", (2, 3, 2)),
            ("2.1.11-1", (2, 1, 11)),
            ("2.4.0-rc3", (2, 4, 0)),
            ("2.4.99-512_g1234abc", (2, 4, 99)),
            ("2.2", (2, 2, 0)),
        ] {
            assert_eq!(ModuleVersion::parse(text).unwrap().numbers(), numbers, "{text}");
        }
        for text in ["", "zfs", "2", "-2.1"] {
            assert_eq!(ModuleVersion::parse(text), None, "{text}");
        }
    }
}
