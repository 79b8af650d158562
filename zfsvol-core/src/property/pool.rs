//! The properties of pools.
//!
//! Names, types, defaults and who may set them: OpenZFS 2.1 to 2.4 (and those that come after), `module/zcommon/zpool_prop.c`,
//! zpool_prop_init. `feature@...` and the figures of each class of vdev (`class_normal_size`) are not here: a pool says which it has.

use super::info::PropertyAccess::{ReadOnly, SetOnceInheritable, Settable};
use super::info::Unit::{Bytes, Hundredths, One, Percent};
use super::info::{DatasetTypes, PropertyAccess, PropertyInfo, Unit};
use super::words::{FAILMODE, ON_OFF, Words};

const POOL: DatasetTypes = DatasetTypes::POOL;

const fn index(
    name: &'static str,
    words: Words,
    access: PropertyAccess,
    default: u64,
) -> PropertyInfo {
    PropertyInfo::index(name, words, access, POOL, default)
}

const fn number(
    name: &'static str,
    unit: Unit,
    access: PropertyAccess,
    default: u64,
) -> PropertyInfo {
    PropertyInfo::number(name, unit, access, POOL, default)
}

const fn text(
    name: &'static str,
    access: PropertyAccess,
    default: Option<&'static str>,
) -> PropertyInfo {
    PropertyInfo::text(name, access, POOL, default)
}

/// Ordered by name.
pub(super) const TABLE: &[PropertyInfo] = &[
    number("allocated", Bytes, ReadOnly, 0),
    text("altroot", Settable, None).allows("an absolute path"),
    number("ashift", One, Settable, 0).allows("a number from 9 to 16, or 0"),
    index("autoexpand", ON_OFF, Settable, 0),
    index("autoreplace", ON_OFF, Settable, 0),
    index("autotrim", ON_OFF, Settable, 0),
    number("available", Bytes, ReadOnly, 0).since(2, 5),
    number("bcloneratio", Hundredths, ReadOnly, 0).since(2, 2),
    number("bclonesaved", Bytes, ReadOnly, 0).since(2, 2),
    number("bcloneused", Bytes, ReadOnly, 0).since(2, 2),
    text("bootfs", Settable, None),
    text("cachefile", Settable, None).allows("an absolute path or 'none'"),
    number("capacity", Percent, ReadOnly, 0),
    number("checkpoint", Bytes, ReadOnly, 0),
    text("comment", Settable, None),
    text("compatibility", Settable, Some("off")).allows("names of feature sets, 'off' or 'legacy'"),
    number("dedup_table_quota", Bytes, Settable, u64::MAX)
        .allows("a number of bytes, 'none' or 'auto'")
        .since(2, 3),
    number("dedup_table_size", Bytes, ReadOnly, 0).since(2, 3),
    number("dedupcached", Bytes, ReadOnly, 0).since(2, 3).hidden(),
    number("dedupditto", One, Settable, 0).hidden(),
    number("dedupratio", Hundredths, ReadOnly, 0),
    number("dedupsaved", Bytes, ReadOnly, 0).since(2, 5),
    number("dedupused", Bytes, ReadOnly, 0).since(2, 5),
    index("delegation", ON_OFF, Settable, 1),
    number("expandsize", Bytes, ReadOnly, 0),
    index("failmode", FAILMODE, Settable, 0),
    number("fragmentation", Percent, ReadOnly, 0),
    number("free", Bytes, ReadOnly, 0),
    number("freeing", Bytes, ReadOnly, 0),
    number("guid", One, ReadOnly, 0),
    number("health", One, ReadOnly, 0),
    number("last_scrubbed_txg", One, ReadOnly, 0).since(2, 3),
    number("leaked", Bytes, ReadOnly, 0),
    index("listsnapshots", ON_OFF, Settable, 0),
    number("load_guid", One, ReadOnly, 0),
    number("maxblocksize", One, ReadOnly, 0).hidden(),
    number("maxdnodesize", One, ReadOnly, 0).hidden(),
    index("multihost", ON_OFF, Settable, 0),
    text("name", ReadOnly, None).hidden(),
    index("readonly", ON_OFF, Settable, 0),
    number("size", Bytes, ReadOnly, 0),
    text("tname", SetOnceInheritable, None).hidden(),
    number("usable", Bytes, ReadOnly, 0).since(2, 5),
    number("used", Bytes, ReadOnly, 0).since(2, 5),
    number("version", One, Settable, 5000),
];
