//! What is in a dataset, and how what is written to it is stored.

use super::pool::Pool;
use super::space::{Space, signed};
use super::{Id, Result, Tx};
use crate::embedded::data::filesystem::{self, FileSystem};
use crate::embedded::data::{CHECKSUM_FLETCHER_4, Delta, Objset, ObjsetType, Policy, Txn, zvol};
use crate::stream::Compression;

/// The properties that are kept inside a file system and never change, but for the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Zpl {
    pub(in crate::embedded) version: u64,
    pub(in crate::embedded) normalization: u64,
    pub(in crate::embedded) utf8only: u64,
    pub(in crate::embedded) casesensitivity: u64,
}

/// The default of each kind of owner, in the order of [`filesystem::DEFAULT_QUOTAS`].
pub(in crate::embedded) type DefaultQuotas = [u64; filesystem::DEFAULT_QUOTAS.len()];

/// What a dataset holds. Its blocks are shared with the snapshots and clones made of it, so that making one costs nothing.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Content {
    pub(in crate::embedded) objset: Objset,
    /// Of a file system.
    pub(in crate::embedded) zpl: Option<Zpl>,
    /// What owners use is not counted: of an encrypted file system that was received, until it is opened to be written, or upgraded
    /// (OpenZFS 2.3 `module/zfs/dmu_objset.c`, dmu_objset_create_impl_dnstats).
    pub(in crate::embedded) uncounted: bool,
}

impl Content {
    /// An empty file system.
    pub(in crate::embedded) fn filesystem(
        zpl: Zpl,
        default_quotas: Option<DefaultQuotas>,
        (salt, dnode_slots): (u64, u8),
        tx: Tx,
        txn: Txn,
    ) -> (Self, Delta) {
        let of = FileSystem {
            version: zpl.version,
            normalization: zpl.normalization,
            utf8_only: zpl.utf8only,
            case_sensitivity: zpl.casesensitivity,
            default_quotas,
            time: tx.now.as_secs(),
            salt,
            dnode_slots,
        };
        let (objset, delta) = filesystem::create(&of, txn);
        (Self { objset, zpl: Some(zpl), uncounted: false }, delta)
    }

    /// What a stream brings, of a file system as far as it says what it is.
    pub(in crate::embedded) fn of_objset(objset: Objset) -> Self {
        let number = |name| objset.master_node(name).unwrap_or(0);
        let zpl = objset.master_node("VERSION").map(|version| Zpl {
            version,
            normalization: number("normalization"),
            utf8only: number("utf8only"),
            casesensitivity: number("casesensitivity"),
        });
        let zpl = zpl.filter(|_| objset.objset_type() == ObjsetType::FileSystem);
        Self { objset, zpl, uncounted: false }
    }

    /// A zvol that nothing is written to.
    pub(in crate::embedded) fn volume(
        volsize: u64,
        block_bytes: u32,
        salt: u64,
        txn: Txn,
    ) -> (Self, Delta) {
        let (objset, delta) = zvol::create(volsize, block_bytes, salt, txn);
        (Self { objset, zpl: None, uncounted: false }, delta)
    }

    /// `dmu_objset_type_t`.
    pub(in crate::embedded) fn objset_type(&self) -> u32 {
        self.objset.objset_type().number()
    }

    pub(in crate::embedded) fn is_filesystem(&self) -> bool {
        self.objset.objset_type() == ObjsetType::FileSystem
    }
}

impl From<crate::embedded::data::Space> for Space {
    fn from(space: crate::embedded::data::Space) -> Self {
        Self {
            used: signed(space.used),
            compressed: signed(space.compressed),
            uncompressed: signed(space.uncompressed),
        }
    }
}

/// `compression=on`, and what stands for it where the pool lacks LZ4.
const COMPRESSION_ON: u64 = 1;
/// The algorithm of a `compression`, without its level.
const COMPRESSION_MASK: u64 = 0x7f;
/// `checksum=on`.
const CHECKSUM_ON: u64 = 1;
/// `dnodesize=auto`, and how many slots that is; other numbers are bytes.
const DNODE_BYTES_AUTO: u64 = 1;
const DNODE_SLOTS_AUTO: u8 = 2;
/// The bytes of a slot: `DNODE_MIN_SIZE`.
const SLOT_BYTES: u64 = 512;

impl Pool {
    /// How what is written to a dataset is stored, by its properties and the pool's features.
    ///
    /// # Errors
    /// As [`Pool::dataset`].
    pub(in crate::embedded) fn policy(&self, id: Id) -> Result<Policy> {
        let byte = |number: u64| u8::try_from(number).unwrap_or(0);
        let lz4 = self.features.has("lz4_compress");
        let compression = match self.number(id, "compression")? {
            COMPRESSION_ON if lz4 => Compression::LZ4,
            COMPRESSION_ON => Compression::LZJB,
            number => Compression(byte(number & COMPRESSION_MASK)),
        };
        let checksum = match self.number(id, "checksum")? {
            CHECKSUM_ON => CHECKSUM_FLETCHER_4,
            number => byte(number),
        };
        Ok(Policy {
            ashift: self.layout.ashift(),
            copies: byte(self.number(id, "copies")?),
            compression,
            checksum,
            embedded_data: self.features.has("embedded_data"),
            large_blocks: self.features.has("large_blocks"),
            lz4,
            encrypted: self.dir_of(id)?.crypt.is_some(),
        })
    }

    /// How many slots the dnode of a new file takes, by the property `dnodesize`: `dnodesize_changed_cb`.
    ///
    /// # Errors
    /// As [`Pool::dataset`].
    pub(in crate::embedded) fn dnode_slots(&self, id: Id) -> Result<u8> {
        Ok(match self.number(id, "dnodesize")? {
            DNODE_BYTES_AUTO => DNODE_SLOTS_AUTO,
            bytes => u8::try_from(bytes / SLOT_BYTES).unwrap_or(1).max(1),
        })
    }
}
