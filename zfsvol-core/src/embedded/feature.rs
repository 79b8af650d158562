//! Pool features: which each release knows, and what they depend on.
//!
//! Names, GUIDs, dependencies and flags: OpenZFS 2.1 to 2.4 `module/zcommon/zfeature_common.c`.

use std::collections::BTreeMap;

use super::store::codec::{Malformed, Reader, Writer};

/// A feature of pools.
#[derive(Clone, Copy, Debug)]
pub(super) struct Feature {
    /// `com.delphix:bookmarks`
    pub(super) guid: &'static str,
    since: (u32, u32),
    /// Short names of those that are enabled with it.
    needs: &'static [&'static str],
    /// In use as soon as it is enabled (`ZFEATURE_FLAG_ACTIVATE_ON_ENABLE`).
    active_at_once: bool,
}

const fn feature(guid: &'static str, needs: &'static [&'static str]) -> Feature {
    Feature { guid, since: (2, 0), needs, active_at_once: false }
}

impl Feature {
    const fn since(mut self, major: u32, minor: u32) -> Self {
        self.since = (major, minor);
        self
    }

    const fn at_once(mut self) -> Self {
        self.active_at_once = true;
        self
    }

    /// `bookmarks` of `com.delphix:bookmarks`.
    pub(super) fn name(&self) -> &'static str {
        self.guid.split_once(':').map_or(self.guid, |(_, name)| name)
    }

    /// The feature of that short name, if the release knows it.
    pub(super) fn find(name: &str, release: (u32, u32)) -> Option<&'static Self> {
        Self::all(release).find(|feature| feature.name() == name)
    }

    /// Every feature the release knows.
    pub(super) fn all(release: (u32, u32)) -> impl Iterator<Item = &'static Self> {
        TABLE.iter().filter(move |feature| feature.since <= release)
    }
}

const EXTENSIBLE: &[&str] = &["extensible_dataset"];

const TABLE: &[Feature] = &[
    feature("com.datto:bookmark_v2", &["extensible_dataset", "bookmarks"]),
    feature("com.datto:encryption", &["extensible_dataset", "bookmark_v2"]),
    feature("com.datto:resilver_defer", &[]),
    feature("com.delphix:async_destroy", &[]),
    feature("com.delphix:bookmark_written", &["bookmark_v2", "extensible_dataset", "bookmarks"]),
    feature("com.delphix:bookmarks", EXTENSIBLE),
    feature("com.delphix:device_removal", &[]),
    feature("com.delphix:embedded_data", &[]).at_once(),
    feature("com.delphix:empty_bpobj", &[]),
    feature("com.delphix:enabled_txg", &[]),
    feature("com.delphix:extensible_dataset", &[]),
    feature("com.delphix:head_errlog", &[]).since(2, 2).at_once(),
    feature("com.delphix:hole_birth", &["enabled_txg"]).at_once(),
    feature("com.delphix:livelist", EXTENSIBLE),
    feature("com.delphix:log_spacemap", &["spacemap_v2"]),
    feature("com.delphix:obsolete_counts", &["extensible_dataset", "device_removal"]),
    feature("com.delphix:redacted_datasets", EXTENSIBLE),
    feature("com.delphix:redaction_bookmarks", &["bookmark_v2", "extensible_dataset", "bookmarks"]),
    feature("com.delphix:redaction_list_spill", &["redaction_bookmarks"]).since(2, 3),
    feature("com.delphix:spacemap_histogram", &[]),
    feature("com.delphix:spacemap_v2", &[]).at_once(),
    feature("com.delphix:zpool_checkpoint", &[]),
    feature("com.fudosecurity:block_cloning", &[]).since(2, 2),
    feature("com.joyent:filesystem_limits", EXTENSIBLE),
    feature("com.joyent:multi_vdev_crash_dump", &[]),
    feature("com.klarasystems:dynamic_gang_header", &[]).since(2, 4),
    feature("com.klarasystems:fast_dedup", &[]).since(2, 3),
    feature("com.klarasystems:large_microzap", &["extensible_dataset", "large_blocks"]).since(2, 3),
    feature("com.klarasystems:vdev_zaps_v2", &[]).since(2, 2),
    feature("com.truenas:block_cloning_endian", &[]).since(2, 4),
    feature("com.truenas:physical_rewrite", EXTENSIBLE).since(2, 4),
    feature("org.freebsd:zstd_compress", EXTENSIBLE),
    feature("org.illumos:edonr", EXTENSIBLE),
    feature("org.illumos:lz4_compress", &[]).at_once(),
    feature("org.illumos:sha512", EXTENSIBLE),
    feature("org.illumos:skein", EXTENSIBLE),
    feature("org.open-zfs:large_blocks", EXTENSIBLE),
    feature("org.openzfs:blake3", EXTENSIBLE).since(2, 2),
    feature("org.openzfs:device_rebuild", &[]),
    feature("org.openzfs:draid", &[]),
    feature("org.openzfs:raidz_expansion", &[]).since(2, 3),
    feature("org.openzfs:zilsaxattr", EXTENSIBLE).since(2, 2),
    feature("org.zfsonlinux:allocation_classes", &[]),
    feature("org.zfsonlinux:large_dnode", EXTENSIBLE),
    feature("org.zfsonlinux:longname", EXTENSIBLE).since(2, 3),
    feature("org.zfsonlinux:project_quota", EXTENSIBLE),
    feature("org.zfsonlinux:userobj_accounting", EXTENSIBLE),
];

/// The features a pool has enabled, by short name, and how many things use each.
#[derive(Clone, Debug, Default)]
pub(super) struct Enabled(BTreeMap<&'static str, (&'static Feature, u64)>);

impl Enabled {
    /// Enables a feature, and those it needs. One that is enabled stays as it is.
    pub(super) fn enable(&mut self, feature: &'static Feature, release: (u32, u32)) {
        if self.0.contains_key(feature.name()) {
            return;
        }
        for needed in feature.needs {
            if let Some(needed) = Feature::find(needed, release) {
                self.enable(needed, release);
            }
        }
        self.0.insert(feature.name(), (feature, u64::from(feature.active_at_once)));
    }

    /// Whether it is enabled, by its short name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether it is in use.
    pub(super) fn is_active(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|(_, users)| *users > 0)
    }

    /// One more thing uses it.
    pub(super) fn activate(&mut self, name: &str) {
        if let Some((_, users)) = self.0.get_mut(name) {
            *users = users.saturating_add(1);
        }
    }

    /// One thing less uses it.
    pub(super) fn release(&mut self, name: &str) {
        if let Some((_, users)) = self.0.get_mut(name) {
            *users = users.saturating_sub(1);
        }
    }

    /// As it is kept in a directory; see `engine/stored.rs`.
    pub(super) fn put(&self, out: &mut Writer) {
        let Self(enabled) = self;
        out.list(enabled.iter(), |out, (name, (_, users))| {
            out.text(name);
            out.number(*users);
        });
    }

    /// The same, read. Features are known whatever the release: whether that can have them is asked elsewhere.
    pub(super) fn take(input: &mut Reader<'_>) -> Result<Self, Malformed> {
        let feature = |input: &mut Reader<'_>| {
            let name = input.text()?;
            let feature = TABLE.iter().find(|feature| feature.name() == name).ok_or(Malformed)?;
            Ok((feature.name(), (feature, input.number()?)))
        };
        input.list(feature).map(Self)
    }

    /// One that the release does not know.
    pub(super) fn unknown_to(&self, release: (u32, u32)) -> Option<&'static str> {
        let unknown = self.0.values().find(|(feature, _)| feature.since > release);
        unknown.map(|(feature, _)| feature.name())
    }

    /// GUID and number of users of each, in the order of names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.values().map(|(feature, users)| (feature.guid, *users))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_knows_as_many_as_its_module() {
        for (release, count) in [((2, 1), 34), ((2, 2), 39), ((2, 3), 44), ((2, 4), 47)] {
            assert_eq!(Feature::all(release).count(), count, "{release:?}");
        }
    }

    #[test]
    fn a_feature_brings_what_it_needs() {
        let mut enabled = Enabled::default();
        enabled.enable(Feature::find("encryption", (2, 3)).unwrap(), (2, 3));
        for name in ["encryption", "bookmark_v2", "bookmarks", "extensible_dataset"] {
            assert!(enabled.has(name), "{name}");
        }
        assert!(!enabled.is_active("encryption"));
        enabled.activate("encryption");
        assert!(enabled.is_active("encryption"));
        assert_eq!(Feature::find("longname", (2, 1)).map(Feature::name), None);
    }

    #[test]
    fn every_need_is_a_feature_of_the_same_release() {
        for feature in TABLE {
            for needed in feature.needs {
                assert!(Feature::find(needed, feature.since).is_some(), "{}", feature.guid);
            }
        }
    }
}
