//! Numbers of OpenZFS that have a name: [`ObjectType`], [`Compression`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an object is: `dmu_object_type_t`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ObjectType(pub u32);

/// The names of the types up to 53, in OpenZFS's own words: OpenZFS 2.4 `module/zfs/dmu.c`, `dmu_ot`.
const OBJECT_TYPES: [&str; 54] = [
    "unallocated",
    "object directory",
    "object array",
    "packed nvlist",
    "packed nvlist size",
    "bpobj",
    "bpobj header",
    "SPA space map header",
    "SPA space map",
    "ZIL intent log",
    "DMU dnode",
    "DMU objset",
    "DSL directory",
    "DSL directory child map",
    "DSL dataset snap map",
    "DSL props",
    "DSL dataset",
    "ZFS znode",
    "ZFS V0 ACL",
    "ZFS plain file",
    "ZFS directory",
    "ZFS master node",
    "ZFS delete queue",
    "zvol object",
    "zvol prop",
    "other uint8[]",
    "other uint64[]",
    "other ZAP",
    "persistent error log",
    "SPA history",
    "SPA history offsets",
    "Pool properties",
    "DSL permissions",
    "ZFS ACL",
    "ZFS SYSACL",
    "FUID table",
    "FUID table size",
    "DSL dataset next clones",
    "scan work queue",
    "ZFS user/group/project used",
    "ZFS user/group/project quota",
    "snapshot refcount tags",
    "DDT ZAP algorithm",
    "DDT statistics",
    "System attributes",
    "SA master node",
    "SA attr registration",
    "SA attr layouts",
    "scan translations",
    "deduplicated block",
    "DSL deadlist map",
    "DSL deadlist map hdr",
    "DSL dir clones",
    "bpobj subobj",
];

/// Marks a type that says of itself how it is to be swapped, and has no name: `DMU_OT_NEWTYPE`.
const NEW_TYPE: u32 = 0x80;

/// How many ways of swapping there are: `DMU_BSWAP_NUMFUNCS`.
const SWAPS: u32 = 10;

impl ObjectType {
    /// No object: `DMU_OT_NONE`.
    pub const NONE: Self = Self(0);
    /// A file: `DMU_OT_PLAIN_FILE_CONTENTS`.
    pub const FILE: Self = Self(19);
    /// A directory: `DMU_OT_DIRECTORY_CONTENTS`.
    pub const DIRECTORY: Self = Self(20);
    /// The block device of a zvol: `DMU_OT_ZVOL`.
    pub const ZVOL: Self = Self(23);
    /// What a zvol says of itself, its size above all: `DMU_OT_ZVOL_PROP`.
    pub const ZVOL_PROPERTIES: Self = Self(24);

    /// OpenZFS's name for it; `None` for a type that has none.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        OBJECT_TYPES.get(usize::try_from(self.0).ok()?).copied()
    }

    /// Whether OpenZFS receives it: `DMU_OT_IS_VALID`.
    #[must_use]
    pub fn is_valid(self) -> bool {
        if self.0 & NEW_TYPE != 0 { self.0 & 0x1f < SWAPS } else { self.name().is_some() }
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {}", self.0),
        }
    }
}

/// How a block is compressed: `enum zio_compress`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Compression(pub u8);

const COMPRESSIONS: [&str; 17] = [
    "inherit", "on", "off", "lzjb", "empty", "gzip-1", "gzip-2", "gzip-3", "gzip-4", "gzip-5",
    "gzip-6", "gzip-7", "gzip-8", "gzip-9", "zle", "lz4", "zstd",
];

impl Compression {
    /// Nothing is said of compression: in a write record, the block follows as it is.
    pub const NONE: Self = Self(0);
    /// Not compressed: `ZIO_COMPRESS_OFF`.
    pub const OFF: Self = Self(2);
    /// LZJB.
    pub const LZJB: Self = Self(3);
    /// All zero, and stored as nothing.
    pub const EMPTY: Self = Self(4);
    /// The lowest level of gzip; the others, to 9, follow.
    pub const GZIP_1: Self = Self(5);
    /// The highest level of gzip.
    pub const GZIP_9: Self = Self(13);
    /// Runs of zeros shortened.
    pub const ZLE: Self = Self(14);
    /// LZ4.
    pub const LZ4: Self = Self(15);
    /// Zstandard.
    pub const ZSTD: Self = Self(16);

    /// The value of the property `compression` that is named so.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        COMPRESSIONS.get(usize::from(self.0)).copied()
    }

    /// Whether OpenZFS knows it.
    #[must_use]
    pub fn is_valid(self) -> bool {
        self.name().is_some()
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "compression {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_names_of_openzfs() {
        assert_eq!(ObjectType::FILE.to_string(), "ZFS plain file");
        assert_eq!(ObjectType::ZVOL.name(), Some("zvol object"));
        assert_eq!(ObjectType(44).name(), Some("System attributes"));
        assert_eq!(ObjectType(53).name(), Some("bpobj subobj"));
        assert_eq!(ObjectType(54).to_string(), "type 54");
        assert!(
            ObjectType(0xc0).is_valid()
                && !ObjectType(54).is_valid()
                && !ObjectType(0xcb).is_valid()
        );
        assert_eq!(Compression::ZSTD.name(), Some("zstd"));
        assert_eq!(Compression(17).to_string(), "compression 17");
    }
}
