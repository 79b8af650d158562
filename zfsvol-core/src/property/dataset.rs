//! The properties of datasets.
//!
//! Names, types, defaults and who may set them: OpenZFS 2.1 to 2.4 (and the two that come after), `module/zcommon/zfs_prop.c`,
//! zfs_prop_init. `tests/fixtures/properties` has what the loaded modules say of themselves in sysfs, and a test compares.

use super::info::PropertyAccess::{Inheritable, ReadOnly, SetOnce, SetOnceInheritable, Settable};
use super::info::Unit::{Bytes, Hundredths, One, Seconds};
use super::info::{DatasetTypes, PropertyAccess, PropertyInfo, Unit};
use super::words::{
    ACLINHERIT, ACLMODE, ACLTYPE, CACHE, CANMOUNT, CASE, CHECKSUM, COMPRESSION, COPIES, DEDUP,
    DIRECT, DNODESIZE, ENCRYPTION, KEYFORMAT, KEYSTATUS, LOGBIAS, NORMALIZATION, ON_OFF,
    REDUNDANT_METADATA, SNAPDEV, SNAPDIR, SYNC, VERSION, VOLMODE, Words, XATTR, YES_NO,
};

const FS: DatasetTypes = DatasetTypes::FILESYSTEM;
const VOL: DatasetTypes = DatasetTypes::VOLUME;
const SNAP: DatasetTypes = DatasetTypes::SNAPSHOT;
const FS_VOL: DatasetTypes = FS.union(VOL);
const FS_SNAP: DatasetTypes = FS.union(SNAP);
const VOL_SNAP: DatasetTypes = VOL.union(SNAP);
const ANY: DatasetTypes = FS_VOL.union(SNAP);
const ANY_OR_BOOKMARK: DatasetTypes = ANY.union(DatasetTypes::BOOKMARK);

const SIZE_OR_NONE: &str = "a number of bytes ('1.5G'), or 'none'";
const NUMBER_OR_NONE: &str = "a number, or 'none'";

const fn index(
    name: &'static str,
    words: Words,
    access: PropertyAccess,
    types: DatasetTypes,
    default: u64,
) -> PropertyInfo {
    PropertyInfo::index(name, words, access, types, default)
}

const fn number(
    name: &'static str,
    unit: Unit,
    access: PropertyAccess,
    types: DatasetTypes,
    default: u64,
) -> PropertyInfo {
    PropertyInfo::number(name, unit, access, types, default)
}

const fn text(
    name: &'static str,
    access: PropertyAccess,
    types: DatasetTypes,
    default: Option<&'static str>,
) -> PropertyInfo {
    PropertyInfo::text(name, access, types, default)
}

/// Ordered by name.
pub(super) const TABLE: &[PropertyInfo] = &[
    index("aclinherit", ACLINHERIT, Inheritable, FS, 4),
    index("aclmode", ACLMODE, Inheritable, FS, 0),
    index("acltype", ACLTYPE, Inheritable, FS_SNAP, 0),
    index("atime", ON_OFF, Inheritable, FS, 1),
    number("available", Bytes, ReadOnly, FS_VOL, 0),
    index("canmount", CANMOUNT, Settable, FS, 1),
    index("casesensitivity", CASE, SetOnceInheritable, FS_SNAP, 0),
    index("checksum", CHECKSUM, Inheritable, FS_VOL, 1),
    text("clones", ReadOnly, SNAP, None),
    index("compression", COMPRESSION, Inheritable, FS_VOL, 1).allows("'on', 'off', 'lz4', 'zstd', 'zstd-1' to 'zstd-19', 'zstd-fast-1' to 'zstd-fast-1000', 'gzip', 'gzip-1' to 'gzip-9', 'zle' or 'lzjb'").default_before((2, 2), 2),
    number("compressratio", Hundredths, ReadOnly, ANY_OR_BOOKMARK, 0),
    text("context", Settable, ANY, Some("none")),
    index("copies", COPIES, Inheritable, FS_VOL, 1),
    number("createtxg", One, ReadOnly, ANY_OR_BOOKMARK, 0),
    number("creation", Seconds, ReadOnly, ANY_OR_BOOKMARK, 0),
    index("dedup", DEDUP, Inheritable, FS_VOL, 2),
    number("defaultgroupobjquota", One, Settable, FS_SNAP, 0).allows(NUMBER_OR_NONE).since(2, 4),
    number("defaultgroupquota", Bytes, Settable, FS_SNAP, 0).allows(SIZE_OR_NONE).since(2, 4),
    number("defaultprojectobjquota", One, Settable, FS_SNAP, 0).allows(NUMBER_OR_NONE).since(2, 4),
    number("defaultprojectquota", Bytes, Settable, FS_SNAP, 0).allows(SIZE_OR_NONE).since(2, 4),
    number("defaultuserobjquota", One, Settable, FS_SNAP, 0).allows(NUMBER_OR_NONE).since(2, 4),
    number("defaultuserquota", Bytes, Settable, FS_SNAP, 0).allows(SIZE_OR_NONE).since(2, 4),
    text("defcontext", Settable, ANY, Some("none")),
    index("defer_destroy", ON_OFF, ReadOnly, SNAP, 0),
    index("devices", ON_OFF, Inheritable, FS_SNAP, 1),
    index("direct", DIRECT, Inheritable, FS, 1).since(2, 3),
    index("dnodesize", DNODESIZE, Inheritable, FS, 0),
    index("encryption", ENCRYPTION, SetOnceInheritable, ANY, 2),
    text("encryptionroot", ReadOnly, ANY, None),
    index("exec", ON_OFF, Inheritable, FS_SNAP, 1),
    number("filesystem_count", One, ReadOnly, FS, u64::MAX),
    number("filesystem_limit", One, Settable, FS, u64::MAX).allows("a number, or 'none'"),
    text("fscontext", Settable, ANY, Some("none")),
    number("guid", One, ReadOnly, ANY_OR_BOOKMARK, 0),
    number("inconsistent", One, ReadOnly, ANY, 0).hidden(),
    text("iscsioptions", Inheritable, VOL, None).hidden(),
    number("ivsetguid", One, ReadOnly, ANY_OR_BOOKMARK, 0).hidden(),
    index("keyformat", KEYFORMAT, SetOnce, FS_VOL, 0),
    number("keyguid", One, ReadOnly, ANY, 0).hidden(),
    text("keylocation", Settable, FS_VOL, Some("none")).allows("'prompt', or a URL with file, https or http"),
    index("keystatus", KEYSTATUS, ReadOnly, ANY, 0),
    index("logbias", LOGBIAS, Inheritable, FS_VOL, 0),
    number("logicalreferenced", Bytes, ReadOnly, ANY_OR_BOOKMARK, 0),
    number("logicalused", Bytes, ReadOnly, FS_VOL, 0),
    index("longname", ON_OFF, Inheritable, FS, 0).since(2, 3),
    text("mlslabel", Inheritable, ANY, Some("none")),
    index("mounted", YES_NO, ReadOnly, FS, 0),
    text("mountpoint", Inheritable, FS, Some("/")).allows("an absolute path, 'legacy' or 'none'"),
    text("name", ReadOnly, ANY_OR_BOOKMARK, None).hidden(),
    index("nbmand", ON_OFF, Inheritable, FS_SNAP, 0),
    index("normalization", NORMALIZATION, SetOnceInheritable, FS_SNAP, 0),
    number("numclones", One, ReadOnly, SNAP, 0).hidden(),
    number("objsetid", One, ReadOnly, ANY, 0),
    text("origin", ReadOnly, FS_VOL, None),
    index("overlay", ON_OFF, Inheritable, FS, 1),
    number("pbkdf2iters", One, SetOnce, FS_VOL, 0).allows("a number from 100000 on"),
    number("pbkdf2salt", One, SetOnce, FS_VOL, 0).hidden(),
    index("prefetch", CACHE, Inheritable, ANY, 2).since(2, 2),
    text("prevsnap", ReadOnly, FS_VOL, None).hidden(),
    index("primarycache", CACHE, Inheritable, ANY, 2),
    number("quota", Bytes, Settable, FS, 0).allows(SIZE_OR_NONE),
    index("readonly", ON_OFF, Inheritable, FS_VOL, 0),
    text("receive_resume_token", ReadOnly, FS_VOL, None),
    number("recordsize", Bytes, Inheritable, FS, 128 << 10).allows("a power of two from 512 to 16M"),
    text("redact_snaps", ReadOnly, ANY_OR_BOOKMARK, None),
    number("redacted", One, ReadOnly, ANY, 0).hidden(),
    index("redundant_metadata", REDUNDANT_METADATA, Inheritable, FS_VOL, 0),
    number("refcompressratio", Hundredths, ReadOnly, ANY, 0),
    number("referenced", Bytes, ReadOnly, ANY_OR_BOOKMARK, 0),
    number("refquota", Bytes, Settable, FS, 0).allows(SIZE_OR_NONE),
    number("refreservation", Bytes, Settable, FS_VOL, 0).allows(SIZE_OR_NONE),
    index("relatime", ON_OFF, Inheritable, FS, 1).default_before((2, 2), 0),
    number("remaptxg", One, ReadOnly, ANY, 0).hidden(),
    number("reservation", Bytes, Settable, FS_VOL, 0).allows(SIZE_OR_NONE),
    text("rootcontext", Settable, ANY, Some("none")),
    index("secondarycache", CACHE, Inheritable, ANY, 2),
    index("setuid", ON_OFF, Inheritable, FS_SNAP, 1),
    text("sharenfs", Inheritable, FS, Some("off")).allows("'on', 'off' or share options"),
    text("sharesmb", Inheritable, FS, Some("off")).allows("'on', 'off' or share options"),
    index("snapdev", SNAPDEV, Inheritable, FS_VOL, 0),
    index("snapdir", SNAPDIR, Inheritable, FS, 0),
    number("snapshot_count", One, ReadOnly, FS_VOL, u64::MAX),
    number("snapshot_limit", One, Settable, FS_VOL, u64::MAX).allows("a number, or 'none'"),
    number("snapshots_changed", Seconds, ReadOnly, FS_VOL, 0).since(2, 2),
    number("snapshots_changed_nsecs", One, ReadOnly, FS_VOL, 0).since(2, 5),
    number("special_small_blocks", Bytes, Inheritable, FS_VOL, 0).allows("a number of bytes up to 16M"),
    text("stmf_sbd_lu", Inheritable, VOL, None).hidden(),
    index("sync", SYNC, Inheritable, FS_VOL, 0),
    text("type", ReadOnly, ANY_OR_BOOKMARK, None),
    number("unique", One, ReadOnly, ANY, 0).hidden(),
    number("used", Bytes, ReadOnly, ANY, 0),
    number("usedbychildren", Bytes, ReadOnly, FS_VOL, 0),
    number("usedbydataset", Bytes, ReadOnly, FS_VOL, 0),
    number("usedbyrefreservation", Bytes, ReadOnly, FS_VOL, 0),
    number("usedbysnapshots", Bytes, ReadOnly, FS_VOL, 0),
    number("useraccounting", One, ReadOnly, ANY, 0).hidden(),
    number("userrefs", One, ReadOnly, SNAP, 0),
    index("utf8only", ON_OFF, SetOnceInheritable, FS_SNAP, 0),
    index("version", VERSION, Settable, FS_SNAP, 0),
    number("volblocksize", Bytes, SetOnceInheritable, VOL, 16 << 10).allows("a power of two from 512 to 16M").default_before((2, 2), 8 << 10),
    index("volmode", VOLMODE, Inheritable, FS_VOL, 0),
    number("volsize", Bytes, Settable, VOL_SNAP, 0),
    index("volthreading", ON_OFF, Settable, VOL, 1).since(2, 3),
    index("vscan", ON_OFF, Inheritable, FS, 0),
    number("written", Bytes, ReadOnly, ANY, 0),
    index("xattr", XATTR, Inheritable, FS_SNAP, 2).default_before((2, 3), 1),
    index("zoned", ON_OFF, Inheritable, FS, 0),
    number("zoned_uid", One, Inheritable, FS, 0).allows("a user id, or 'none'").since(2, 5),
];
