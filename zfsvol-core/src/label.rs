//! Vdev labels: what a pool writes on each of its devices to be found again. See [`Label`].
//!
//! A device carries four copies of its label, two at each end ([`offsets`]), each [`LABEL_BYTES`] long. Of each, 112 KiB from byte 16 KiB on
//! hold an nvlist in XDR and at their end a SHA-256 of themselves. Layout: OpenZFS 2.4 `include/sys/vdev_impl.h`, `vdev_label_t`, and
//! `include/sys/zio.h`, `zio_eck_t`.
//!
//! This module does no I/O. What it reads may come from anywhere: it neither panics nor takes more than time and memory in proportion.

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::nvlist::{DecodeError, Encoding, Limits, NvList};
use crate::units::{Guid, Txg};

/// How long each copy of the label is.
pub const LABEL_BYTES: u64 = 256 << 10;

/// Where in a label the part with the nvlist begins.
pub const CONFIG_OFFSET: u64 = 16 << 10;

/// How long the part with the nvlist is, checksum included.
pub const CONFIG_BYTES: usize = 112 << 10;

/// `zio_eck_t`: a magic number and four words of checksum.
const CHECKSUM_BYTES: usize = 40;
const MAGIC: u64 = 0x0210_da7a_b10c_7a11;

/// What a label's nvlist may have: a pool's configuration is about six levels deep, and what fits into 112 KiB has fewer pairs than this.
const LIMITS: Limits = Limits::DEFAULT.depth(20).pairs(16 << 10);

/// Where the four labels of a device begin that is `bytes` long. `None` when it is too short to have any.
pub fn offsets(bytes: u64) -> Option<[u64; 4]> {
    // The end of the device is cut off to whole labels.
    let end = bytes - bytes % LABEL_BYTES;
    let second_half = end.checked_sub(2 * LABEL_BYTES)?;
    if second_half < 2 * LABEL_BYTES {
        return None;
    }
    Some([0, LABEL_BYTES, second_half, second_half + LABEL_BYTES])
}

/// What a vdev label says: which pool the device is of, and how its top-level vdev is made.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Label {
    /// What the pool was doing when the label was written.
    pub state: LabelState,
    /// The device's own GUID.
    pub guid: Guid,
    /// When it was written. Zero for spares and cache devices.
    pub txg: Txg,
    /// The pool; `None` for spares and cache devices, which belong to no one pool.
    pub pool: Option<LabelPool>,
    /// All of it.
    pub config: NvList,
}

/// The pool that a label names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LabelPool {
    /// Its name when it was last imported.
    pub name: String,
    /// Its GUID.
    pub guid: Guid,
    /// The GUID of the top-level vdev that the device is in.
    pub top_guid: Guid,
    /// The host that had it imported, if it was not exported: its hostid and name.
    #[serde(serialize_with = "host")]
    pub host: Option<(u64, String)>,
}

/// What a pool was doing when a label was written (`pool_state_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelState {
    /// It was imported. It may still be.
    Active,
    /// It was exported, or imported read-only after that.
    Exported,
    /// It was destroyed.
    Destroyed,
    /// The device is a hot spare.
    Spare,
    /// The device is a read cache.
    Cache,
}

/// Why there is no label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Not 112 KiB were given.
    #[error("a label's configuration has {CONFIG_BYTES} bytes, not {0}")]
    Length(usize),
    /// No label was ever written there, or it was wiped.
    #[error("there is no label")]
    Absent,
    /// The checksum does not match.
    #[error("the label is damaged: its checksum does not match")]
    Checksum,
    /// The nvlist cannot be read.
    #[error("the label is damaged: {0}")]
    Config(#[from] DecodeError),
    /// The nvlist lacks something.
    #[error("the label is incomplete: it has no valid '{0}'")]
    Incomplete(&'static str),
    /// It was written while a pool was created or a device added, and that never came to an end.
    #[error("the label is of a pool that was never finished")]
    Unfinished,
}

impl Label {
    /// Reads the part of a label with the nvlist, `bytes`, which was found at byte `offset` of the device: at [`CONFIG_OFFSET`] of one of the
    /// [`offsets`].
    ///
    /// # Errors
    /// [`LabelError`] says why it is not a label.
    pub fn parse(bytes: &[u8], offset: u64) -> Result<Self, LabelError> {
        let Some((packed, checksum)) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().filter(|_| bytes.len() == CONFIG_BYTES)
        else {
            return Err(LabelError::Length(bytes.len()));
        };
        verify(packed, checksum, offset)?;
        let (config, _) = NvList::decode_prefix_with(packed, &LIMITS)?;
        Self::from_config(config)
    }

    /// Of a device's labels the one that was written last. All are of the same device, or the one that begins is taken for its own.
    pub fn newest(labels: impl IntoIterator<Item = Self>) -> Option<Self> {
        labels.into_iter().reduce(|best, next| {
            let newer = next.guid == best.guid && next.txg > best.txg;
            if newer { next } else { best }
        })
    }

    fn from_config(config: NvList) -> Result<Self, LabelError> {
        let number = |name| config.get_u64(name).ok_or(LabelError::Incomplete(name));
        let state = match number("state")? {
            0 => LabelState::Active,
            1 => LabelState::Exported,
            2 => LabelState::Destroyed,
            3 => LabelState::Spare,
            4 => LabelState::Cache,
            _ => return Err(LabelError::Incomplete("state")),
        };
        let guid = nonzero(number("guid")?, "guid")?;
        if matches!(state, LabelState::Spare | LabelState::Cache) {
            return Ok(Self { state, guid, txg: Txg::new(0), pool: None, config });
        }
        let txg = number("txg")?;
        if txg == 0 {
            return Err(LabelError::Unfinished);
        }
        config.get_list("vdev_tree").ok_or(LabelError::Incomplete("vdev_tree"))?;
        let name = config.get_str("name").ok_or(LabelError::Incomplete("name"))?.to_owned();
        let host = config
            .get_u64("hostid")
            .map(|id| (id, config.get_str("hostname").unwrap_or_default().to_owned()));
        let pool = LabelPool {
            name,
            guid: nonzero(number("pool_guid")?, "pool_guid")?,
            top_guid: nonzero(number("top_guid")?, "top_guid")?,
            host,
        };
        Ok(Self { state, guid, txg: Txg::new(txg), pool: Some(pool), config })
    }
}

/// The configuration of a device's labels as they are written by this machine, for each of these offsets in the device. `None` when it does not fit.
pub(crate) fn sealed(config: &NvList, offsets: [u64; 4]) -> Option<[Vec<u8>; 4]> {
    let mut bytes = config.encode(Encoding::Xdr).ok()?;
    if bytes.len() > CONFIG_BYTES - CHECKSUM_BYTES {
        return None;
    }
    bytes.resize(CONFIG_BYTES - CHECKSUM_BYTES, 0);
    bytes.extend(MAGIC.to_le_bytes());
    // Only the end of what is hashed differs.
    let common = Sha256::new().chain_update(&bytes);
    Some(offsets.map(|offset| {
        let digest = common.clone().chain_update(offset.to_le_bytes()).chain_update([0; 24]);
        let mut written = bytes.clone();
        for word in digest.finalize().chunks_exact(8) {
            written.extend(word.iter().rev());
        }
        written
    }))
}

/// A host by the names that it has elsewhere.
fn host<S: Serializer>(host: &Option<(u64, String)>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Host<'a> {
        hostid: u64,
        hostname: &'a str,
    }
    let host = host.as_ref().map(|(hostid, hostname)| Host { hostid: *hostid, hostname });
    host.serialize(serializer)
}

fn nonzero(guid: u64, name: &'static str) -> Result<Guid, LabelError> {
    if guid == 0 { Err(LabelError::Incomplete(name)) } else { Ok(Guid::new(guid)) }
}

/// The checksum is of the whole part, with the part's place on the device where the checksum goes: a label that was copied elsewhere is
/// none (OpenZFS 2.4 `module/zfs/zio_checksum.c`, `zio_checksum_label_verifier`).
fn verify(packed: &[u8], checksum: &[u8; CHECKSUM_BYTES], offset: u64) -> Result<(), LabelError> {
    let (magic, stored) = checksum.split_at(size_of::<u64>());
    let swapped = if magic == MAGIC.to_le_bytes() {
        true
    } else if magic == MAGIC.to_be_bytes() {
        false
    } else {
        return Err(LabelError::Absent);
    };
    // All words are in the order of the machine that wrote them.
    let place = if swapped { offset.to_le_bytes() } else { offset.to_be_bytes() };
    let digest = Sha256::new()
        .chain_update(packed)
        .chain_update(magic)
        .chain_update(place)
        .chain_update([0; 24])
        .finalize();
    let matches = digest.chunks_exact(8).zip(stored.chunks_exact(8)).all(|(digest, stored)| {
        if swapped { digest.iter().eq(stored.iter().rev()) } else { digest == stored }
    });
    if matches { Ok(()) } else { Err(LabelError::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> NvList {
        let mut config = NvList::new();
        config.insert("version", 5000_u64).insert("name", "tank").insert("state", 1_u64);
        config.insert("txg", 7_u64).insert("pool_guid", 1_u64).insert("guid", 3_u64);
        config.insert("top_guid", 2_u64).insert("vdev_tree", NvList::new());
        config.insert("hostid", 77_u64).insert("hostname", "web");
        config
    }

    /// What a machine of that byte order writes at `offset`.
    fn written(config: &NvList, offset: u64, little: bool) -> Vec<u8> {
        let word = |n: u64| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut bytes = config.encode(Encoding::Xdr).unwrap();
        bytes.resize(CONFIG_BYTES - CHECKSUM_BYTES, 0);
        bytes.extend(word(MAGIC));
        let mut hashed = bytes.clone();
        hashed.extend(word(offset));
        hashed.extend([0; 24]);
        for chunk in Sha256::digest(&hashed).chunks_exact(8) {
            bytes.extend(word(u64::from_be_bytes(chunk.try_into().unwrap())));
        }
        bytes
    }

    #[test]
    fn a_label_of_either_byte_order_is_read() {
        for little in [true, false] {
            let label = Label::parse(&written(&config(), 16384, little), 16384).unwrap();
            assert_eq!((label.state, label.guid), (LabelState::Exported, Guid::new(3)));
            let pool = label.pool.unwrap();
            assert_eq!((pool.name.as_str(), pool.guid), ("tank", Guid::new(1)));
            assert_eq!(pool.host, Some((77, "web".to_owned())));
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let offsets = [16_384, 278_528, 1 << 20, 1 << 30];
        let all = sealed(&config(), offsets).unwrap();
        for (offset, bytes) in offsets.into_iter().zip(&all) {
            assert_eq!(bytes, &written(&config(), offset, true));
            assert_eq!(Label::parse(bytes, offset).unwrap().config, config());
        }
        let mut long = config();
        long.insert("comment", "x".repeat(CONFIG_BYTES));
        assert_eq!(sealed(&long, offsets), None);
    }

    #[test]
    fn a_label_in_another_place_is_none() {
        let bytes = written(&config(), 16384, true);
        assert_eq!(Label::parse(&bytes, 278_528), Err(LabelError::Checksum));
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let good = written(&config(), 16384, true);
        let used = config().encode(Encoding::Xdr).unwrap().len();
        for at in (0..used).chain(CONFIG_BYTES - CHECKSUM_BYTES..CONFIG_BYTES) {
            let mut bytes = good.clone();
            bytes[at] ^= 0x40;
            assert!(Label::parse(&bytes, 16384).is_err(), "byte {at}");
        }
    }

    /// A label whose checksum is right and whose contents are not: made to be read.
    #[test]
    fn damaged_contents_with_a_good_checksum_never_panic() {
        let packed = config().encode(Encoding::Xdr).unwrap();
        for length in 0..packed.len() {
            let mut bytes = packed[..length].to_vec();
            bytes.resize(CONFIG_BYTES - CHECKSUM_BYTES, 0xff);
            assert!(Label::parse(&seal(bytes), 0).is_err(), "cut at {length}");
        }
        for at in 0..packed.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = packed.clone();
                bytes[at] = value;
                bytes.resize(CONFIG_BYTES - CHECKSUM_BYTES, 0);
                drop(Label::parse(&seal(bytes), 0));
            }
        }
    }

    fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.extend(MAGIC.to_be_bytes());
        let digest = Sha256::new().chain_update(&bytes).chain_update([0; 32]).finalize();
        bytes.extend(digest);
        bytes
    }

    #[test]
    fn what_is_missing_is_named() {
        for (name, error) in [
            ("state", LabelError::Incomplete("state")),
            ("guid", LabelError::Incomplete("guid")),
            ("name", LabelError::Incomplete("name")),
            ("pool_guid", LabelError::Incomplete("pool_guid")),
            ("top_guid", LabelError::Incomplete("top_guid")),
            ("vdev_tree", LabelError::Incomplete("vdev_tree")),
            ("txg", LabelError::Incomplete("txg")),
        ] {
            let mut config = config();
            config.remove(name);
            assert_eq!(Label::from_config(config), Err(error));
        }
        let mut unfinished = config();
        unfinished.insert("txg", 0_u64);
        assert_eq!(Label::from_config(unfinished), Err(LabelError::Unfinished));
        assert_eq!(Label::parse(&[0; CONFIG_BYTES], 0), Err(LabelError::Absent));
        assert_eq!(Label::parse(&[0; 10], 0), Err(LabelError::Length(10)));
    }

    #[test]
    fn labels_are_at_both_ends() {
        let mib = 1 << 20;
        assert_eq!(offsets(mib - 1), None);
        assert_eq!(offsets(mib), Some([0, 262_144, 524_288, 786_432]));
        assert_eq!(offsets(mib + 1000), offsets(mib));
    }

    #[test]
    fn the_label_written_last_counts() {
        let at = |txg: u64, guid: u64| {
            let mut config = config();
            config.insert("txg", txg).insert("guid", guid);
            Label::from_config(config).unwrap()
        };
        let newest = Label::newest([at(5, 3), at(9, 3), at(7, 3), at(20, 4)]).unwrap();
        assert_eq!((newest.txg, newest.guid), (Txg::new(9), Guid::new(3)));
        assert_eq!(Label::newest([]), None);
    }
}
