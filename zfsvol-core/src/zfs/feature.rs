//! [`Features`]: which feature flags a pool is created with.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Module;

/// Which features a new pool has enabled. A pool can only be imported where all its active features are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Features {
    /// Every feature the loaded module knows, as `zpool create` does.
    #[default]
    All,
    /// None, as `zpool create -d`. What the pool needs for its own vdevs or properties must then be named.
    None,
    /// These, by short name (`encryption`, `large_blocks`), and those they depend on.
    Only(BTreeSet<String>),
    /// What a release of OpenZFS on Linux knows, as far as the loaded module does. The pool keeps the name of the set in its property
    /// `compatibility`, so that `zpool upgrade` enables no more either.
    Compatible(Compatibility),
}

impl Features {
    /// These features, and those they depend on.
    pub fn only(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Only(names.into_iter().map(Into::into).collect())
    }

    /// The short names to enable on that module.
    pub(super) fn names(&self, module: &Module) -> Result<BTreeSet<String>> {
        let known: BTreeSet<&str> = known(module).collect();
        match self {
            Self::None => Ok(BTreeSet::new()),
            Self::All => Ok(known.into_iter().map(str::to_owned).collect()),
            Self::Only(names) => match names.iter().find(|name| !known.contains(name.as_str())) {
                Some(unknown) => Err(Error::new(
                    ErrorKind::Unsupported,
                    "enable the feature",
                    format!("the loaded module, OpenZFS {}, does not know it", module.version),
                )
                .with_target(unknown.clone())),
                None => Ok(names.clone()),
            },
            Self::Compatible(set) => {
                Ok(set.features().filter(|name| known.contains(name)).map(str::to_owned).collect())
            }
        }
    }
}

/// Short names of the pool features that module can handle, in order: `bookmarks` of `com.delphix:bookmarks`. Every feature's short name is
/// what follows the colon of its GUID (OpenZFS 2.4 `module/zcommon/zfeature_common.c`).
pub(super) fn known(module: &Module) -> impl Iterator<Item = &str> {
    module.pool_features.iter().filter_map(|guid| Some(guid.split_once(':')?.1))
}

/// A release of OpenZFS that is to be able to import the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Compatibility {
    /// OpenZFS 2.0.
    V2_0,
    /// OpenZFS 2.1.
    V2_1,
    /// OpenZFS 2.2.
    V2_2,
    /// OpenZFS 2.3.
    V2_3,
    /// OpenZFS 2.4.
    V2_4,
}

impl Compatibility {
    /// The name of OpenZFS's own file of that set, as the pool's property `compatibility` holds it.
    pub fn set_name(self) -> &'static str {
        match self {
            Self::V2_0 => "openzfs-2.0-linux",
            Self::V2_1 => "openzfs-2.1-linux",
            Self::V2_2 => "openzfs-2.2",
            Self::V2_3 => "openzfs-2.3",
            Self::V2_4 => "openzfs-2.4",
        }
    }

    /// The short names of its features.
    pub fn features(self) -> impl Iterator<Item = &'static str> {
        let sets = SETS.iter().take_while(move |(release, _)| *release <= self);
        sets.flat_map(|(_, features)| features.iter().copied())
    }
}

/// What each release added to the one before it: the sets of OpenZFS 2.4 `cmd/zpool/compatibility.d`.
const SETS: &[(Compatibility, &[&str])] = &[
    (
        Compatibility::V2_0,
        &[
            "allocation_classes",
            "async_destroy",
            "bookmark_v2",
            "bookmark_written",
            "bookmarks",
            "device_rebuild",
            "device_removal",
            "edonr",
            "embedded_data",
            "empty_bpobj",
            "enabled_txg",
            "encryption",
            "extensible_dataset",
            "filesystem_limits",
            "hole_birth",
            "large_blocks",
            "large_dnode",
            "livelist",
            "log_spacemap",
            "lz4_compress",
            "multi_vdev_crash_dump",
            "obsolete_counts",
            "project_quota",
            "redacted_datasets",
            "redaction_bookmarks",
            "resilver_defer",
            "sha512",
            "skein",
            "spacemap_histogram",
            "spacemap_v2",
            "userobj_accounting",
            "zpool_checkpoint",
            "zstd_compress",
        ],
    ),
    (Compatibility::V2_1, &["draid"]),
    (
        Compatibility::V2_2,
        &["blake3", "block_cloning", "head_errlog", "vdev_zaps_v2", "zilsaxattr"],
    ),
    (
        Compatibility::V2_3,
        &["fast_dedup", "large_microzap", "longname", "raidz_expansion", "redaction_list_spill"],
    ),
    (Compatibility::V2_4, &["block_cloning_endian", "dynamic_gang_header", "physical_rewrite"]),
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn module() -> Module {
        let mut module = Module::for_tests("2.1.11");
        let guids = ["com.delphix:bookmarks", "org.openzfs:draid", "com.datto:encryption"];
        module.pool_features = Arc::new(guids.map(str::to_owned).into());
        module
    }

    fn names(features: &Features) -> Vec<String> {
        features.names(&module()).unwrap().into_iter().collect()
    }

    #[test]
    fn features_are_what_was_asked_and_the_module_knows() {
        assert_eq!(names(&Features::All), ["bookmarks", "draid", "encryption"]);
        assert!(names(&Features::None).is_empty());
        assert_eq!(names(&Features::only(["draid"])), ["draid"]);
        let set = Features::Compatible(Compatibility::V2_0);
        assert_eq!(names(&set), ["bookmarks", "encryption"]);
    }

    #[test]
    fn an_unknown_feature_is_named_with_the_module() {
        let error = Features::only(["warp_drive"]).names(&module()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot enable the feature 'warp_drive': the loaded module, OpenZFS 2.1.11, does not know it"
        );
    }

    #[test]
    fn each_release_has_the_features_of_those_before() {
        let count = |set: Compatibility| set.features().count();
        assert_eq!(count(Compatibility::V2_0), 33);
        assert_eq!(count(Compatibility::V2_4), 33 + 1 + 5 + 5 + 3);
    }
}
