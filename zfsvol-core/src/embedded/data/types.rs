//! What types of objects say of their blocks.

use crate::stream::ObjectType;

/// Set in a type that says of itself what it is: `DMU_OT_NEWTYPE`.
const NEW_TYPE: u32 = 0x80;

/// Set in such a type when it is metadata.
const NEW_METADATA: u32 = 0x40;

/// Set in such a type when its blocks are enciphered in an encrypted dataset: `DMU_OT_ENCRYPTED`.
const NEW_ENCRYPTED: u32 = 0x20;

/// The types whose blocks are enciphered in an encrypted dataset; those of others stay readable, and are authenticated. The column `ot_encrypt` of
/// `dmu_ot`.
const ENCRYPTED: [u32; 19] =
    [9, 10, 18, 19, 20, 22, 23, 25, 26, 33, 34, 35, 39, 40, 44, 45, 46, 47, 49];

/// The types that are data: files, zvols, arrays of others, deduplicated blocks. OpenZFS 2.3 `module/zfs/dmu.c`, `dmu_ot`.
const DATA: [u32; 5] = [19, 23, 25, 26, 49];

impl ObjectType {
    /// Attributes of files before version 5 of file systems: `DMU_OT_ZNODE`.
    pub const ZNODE: Self = Self(17);
    /// Attributes of files: `DMU_OT_SA`.
    pub const SA: Self = Self(44);
    /// Where a file system begins: `DMU_OT_MASTER_NODE`.
    pub const MASTER_NODE: Self = Self(21);
    /// Files that are deleted and still open: `DMU_OT_UNLINKED_SET`.
    pub const DELETE_QUEUE: Self = Self(22);
    /// What owners may use: `DMU_OT_USERGROUP_QUOTA`.
    pub const OWNER_QUOTA: Self = Self(40);
    /// Where attributes are described: `DMU_OT_SA_MASTER_NODE`.
    pub const SA_MASTER_NODE: Self = Self(45);
    /// Which attributes there are: `DMU_OT_SA_ATTR_REGISTRATION`.
    pub const SA_REGISTRATION: Self = Self(46);
    /// In which order attributes are stored: `DMU_OT_SA_ATTR_LAYOUTS`.
    pub const SA_LAYOUTS: Self = Self(47);

    /// Whether its blocks are enciphered in an encrypted dataset. `DMU_OT_IS_ENCRYPTED`.
    #[must_use]
    pub fn is_encrypted(self) -> bool {
        if self.0 & NEW_TYPE != 0 {
            self.0 & NEW_ENCRYPTED != 0
        } else {
            ENCRYPTED.contains(&self.0)
        }
    }

    /// Whether its blocks are metadata: compressed always, and stored once more than data. `DMU_OT_IS_METADATA`.
    #[must_use]
    pub fn is_metadata(self) -> bool {
        if self.0 & NEW_TYPE != 0 { self.0 & NEW_METADATA != 0 } else { !DATA.contains(&self.0) }
    }
}
