//! [`Release`]: which OpenZFS is imitated, and what it says of itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::feature::Feature;
use crate::kernel::{Module, ModuleVersion};
use crate::property::{PropertyInfo, PropertyScope};

/// A release of OpenZFS that can be imitated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Release {
    /// OpenZFS 2.1.
    V2_1,
    /// OpenZFS 2.3.
    #[default]
    V2_3,
    /// OpenZFS 2.4.
    V2_4,
}

impl Release {
    /// Major and minor number.
    #[must_use]
    pub const fn numbers(self) -> (u32, u32) {
        match self {
            Self::V2_1 => (2, 1),
            Self::V2_3 => (2, 3),
            Self::V2_4 => (2, 4),
        }
    }

    /// A version of that release, and what the module's file in sysfs would add to it.
    const fn version(self) -> ((u32, u32, u32), &'static str) {
        let numbers = match self {
            Self::V2_1 => (2, 1, 11),
            Self::V2_3 => (2, 3, 2),
            Self::V2_4 => (2, 4, 4),
        };
        (numbers, "-embedded")
    }
}

/// Features of the module itself: `features.kernel` in sysfs, the same in all releases.
const KERNEL_FEATURES: [&str; 3] =
    ["com.delphix:vdev_initialize", "org.zfsonlinux:vdev_trim", "org.openzfs:l2arc_persistent"];

/// What that release says of itself.
pub(super) fn imitated(release: Release) -> Module {
    let numbers = release.numbers();
    let properties = |scope| {
        let known = PropertyInfo::all(scope)
            .iter()
            .filter(|info| info.since.is_none_or(|since| since <= numbers));
        Arc::new(known.map(|info| info.name.to_owned()).collect::<BTreeSet<_>>())
    };
    Module {
        version: ModuleVersion::new(release.version()),
        kernel_features: Arc::new(KERNEL_FEATURES.iter().map(|&name| name.to_owned()).collect()),
        pool_features: Arc::new(
            Feature::all(numbers).map(|feature| feature.guid.to_owned()).collect(),
        ),
        dataset_properties: properties(PropertyScope::Dataset),
        pool_properties: properties(PropertyScope::Pool),
    }
}
