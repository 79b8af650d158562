//! [`BeginRecord`]: the record every send stream begins with.
//!
//! `struct drr_begin` inside `dmu_replay_record_t`, OpenZFS 2.3 `include/sys/zfs_ioctl.h`. It is in the byte order of the machine that sent.

use serde::Serialize;

use super::{Begin, Header, Record, STREAM_MAGIC};
use crate::nvlist::ByteOrder;
use crate::units::{Bytes, Guid};

/// Bytes of a record, this one included: `sizeof (dmu_replay_record_t)`.
pub const BEGIN_RECORD_BYTES: usize = 312;

bitflags::bitflags! {
    /// What a stream contains that not every receiver can handle: `DMU_BACKUP_FEATURE_*`.
    ///
    /// Bits this library does not know are kept.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct StreamFeatures: u64 {
        /// Deduplicated: no release since 2.0 receives it.
        const DEDUP = 1 << 0;
        /// Deduplicated with the properties of blocks.
        const DEDUP_PROPERTIES = 1 << 1;
        /// Attributes spilled to blocks of their own.
        const SPILL = 1 << 2;
        /// Blocks embedded in block pointers.
        const EMBED_DATA = 1 << 16;
        /// Blocks compressed with LZ4.
        const LZ4 = 1 << 17;
        /// Records above 128 KiB.
        const LARGE_BLOCKS = 1 << 19;
        /// Goes on where a receive was interrupted.
        const RESUMING = 1 << 20;
        /// Some data is left out.
        const REDACTED = 1 << 21;
        /// Blocks compressed as on disk.
        const COMPRESSED = 1 << 22;
        /// Dnodes above 512 bytes.
        const LARGE_DNODE = 1 << 23;
        /// Blocks exactly as on disk, encrypted ones encrypted.
        const RAW = 1 << 24;
        /// Blocks compressed with Zstandard.
        const ZSTD = 1 << 25;
        /// User holds come along.
        const HOLDS = 1 << 26;
        /// An increment that switches to records above 128 KiB.
        const SWITCH_TO_LARGE_BLOCKS = 1 << 27;
        /// File names above 255 bytes.
        const LONG_NAME = 1 << 28;
        /// Micro-ZAPs above 128 KiB.
        const LARGE_MICROZAP = 1 << 29;
        /// Whatever a newer release adds.
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// What the sender says of the stream: `DRR_FLAG_*`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct BeginFlags: u32 {
        /// The increment starts from a snapshot of another dataset: it makes a clone.
        const CLONE = 1 << 0;
        /// The file system is case-insensitive.
        const CASE_INSENSITIVE = 1 << 1;
        /// It says what is free too, so that a full stream can be received over an origin.
        const FREE_RECORDS = 1 << 2;
        /// It says which objects have spill blocks; raw streams need that.
        const SPILL_BLOCK = 1 << 3;
        /// Whatever a newer release adds.
        const _ = !0;
    }
}

/// One snapshot, or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderType {
    /// One snapshot: what one send of the kernel makes.
    Substream,
    /// A package of substreams with their names and properties, as `zfs send -R` and `zfs send -p` make it.
    Compound,
}

/// What the first record of a stream says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BeginRecord {
    /// The byte order of the machine that sent it; all of the stream has it.
    #[serde(serialize_with = "crate::serial::byte_order")]
    pub byte_order: ByteOrder,
    /// One snapshot, or a package of them.
    pub header_type: HeaderType,
    /// What the receiver must be able to handle.
    #[serde(serialize_with = "crate::serial::features")]
    pub features: StreamFeatures,
    /// When the snapshot was made: seconds since 1970.
    pub creation_time: u64,
    /// `dmu_objset_type_t`: 2 for a file system, 3 for a zvol.
    pub objset_type: u32,
    /// What the sender says of it.
    #[serde(serialize_with = "crate::serial::begin_flags")]
    pub flags: BeginFlags,
    /// The GUID of the snapshot.
    pub to_guid: Guid,
    /// The snapshot or bookmark it starts from; `None` for a full stream.
    pub from_guid: Option<Guid>,
    /// The name of the snapshot on the sending side. It comes from there: take it for a hint, not for a path.
    pub to_name: String,
    /// The length of the nvlist that follows the record.
    pub payload: Bytes,
}

/// Why bytes are not the begin of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeginRecordError {
    /// It is no begin record.
    #[error("it does not begin as a send stream does")]
    Magic,
    /// Neither one snapshot nor a package.
    #[error("it is a stream of unknown kind ({0})")]
    HeaderType(u64),
}

impl BeginRecord {
    /// Reads the first record of a stream.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(record: &[u8; BEGIN_RECORD_BYTES]) -> Result<Self, BeginRecordError> {
        [ByteOrder::Little, ByteOrder::Big]
            .into_iter()
            .find_map(|byte_order| match Header::from_bytes(*record, byte_order).record() {
                Some(Record::Begin(begin)) if begin.magic == STREAM_MAGIC => {
                    Some((byte_order, begin))
                }
                _ => None,
            })
            .ok_or(BeginRecordError::Magic)
            .and_then(|(byte_order, begin)| Self::new(byte_order, &begin))
    }

    fn new(byte_order: ByteOrder, begin: &Begin) -> Result<Self, BeginRecordError> {
        Ok(Self {
            byte_order,
            header_type: begin.header_type().map_err(BeginRecordError::HeaderType)?,
            features: begin.features(),
            payload: Bytes::new(begin.payload_bytes.into()),
            creation_time: begin.creation_time,
            objset_type: begin.objset_type,
            flags: begin.flags,
            to_guid: begin.to_guid,
            from_guid: Some(begin.from_guid).filter(|guid| guid.get() != 0),
            to_name: begin.to_name.to_string(),
        })
    }
}

impl StreamFeatures {
    /// Each feature by its name in OpenZFS, without `DMU_BACKUP_FEATURE_` and in lower case.
    const NAMES: [(Self, &'static str); 16] = [
        (Self::DEDUP, "dedup"),
        (Self::DEDUP_PROPERTIES, "dedupprops"),
        (Self::SPILL, "sa_spill"),
        (Self::EMBED_DATA, "embed_data"),
        (Self::LZ4, "lz4"),
        (Self::LARGE_BLOCKS, "large_blocks"),
        (Self::RESUMING, "resuming"),
        (Self::REDACTED, "redacted"),
        (Self::COMPRESSED, "compressed"),
        (Self::LARGE_DNODE, "large_dnode"),
        (Self::RAW, "raw"),
        (Self::ZSTD, "zstd"),
        (Self::HOLDS, "holds"),
        (Self::SWITCH_TO_LARGE_BLOCKS, "switch_to_large_blocks"),
        (Self::LONG_NAME, "longname"),
        (Self::LARGE_MICROZAP, "large_microzap"),
    ];

    /// Every feature that has a name here.
    pub const KNOWN: Self = {
        let mut bits = 0;
        let mut names = Self::NAMES.as_slice();
        while let [(feature, _), rest @ ..] = names {
            bits |= feature.bits();
            names = rest;
        }
        Self::from_bits_retain(bits)
    };

    /// The names of those that are set and known, in OpenZFS's own words.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(feature, _)| self.contains(*feature))
            .map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first record of `zfs send -w -i t/enc@one t/enc@two`, OpenZFS 2.3.2.
    const RAW: &[u8; BEGIN_RECORD_BYTES] = include_bytes!("../../../tests/fixtures/begin/raw");

    #[test]
    fn a_record_of_openzfs_is_read() {
        let begin = BeginRecord::parse(RAW).unwrap();
        assert_eq!(begin.byte_order, ByteOrder::Little);
        assert_eq!(begin.header_type, HeaderType::Substream);
        assert!(begin.features.contains(StreamFeatures::RAW | StreamFeatures::COMPRESSED));
        assert_eq!(begin.flags, BeginFlags::FREE_RECORDS | BeginFlags::SPILL_BLOCK);
        assert_eq!((begin.objset_type, begin.to_name.as_str()), (2, "t/enc@two"));
        assert!(begin.from_guid.is_some());
        assert_ne!(begin.payload, Bytes::ZERO);
    }

    #[test]
    fn the_other_byte_order_says_the_same() {
        let mut swapped = *RAW;
        for word in [0..4, 4..8, 8..16, 16..24, 24..32, 32..36, 36..40, 40..48, 48..56] {
            swapped[word].reverse();
        }
        let expected =
            BeginRecord { byte_order: ByteOrder::Big, ..BeginRecord::parse(RAW).unwrap() };
        assert_eq!(BeginRecord::parse(&swapped), Ok(expected));
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        assert_eq!(BeginRecord::parse(&[0; BEGIN_RECORD_BYTES]), Err(BeginRecordError::Magic));
        let mut record = *RAW;
        record[0] = 1;
        assert_eq!(BeginRecord::parse(&record), Err(BeginRecordError::Magic));
        record = *RAW;
        record[16] |= 0b11;
        assert_eq!(BeginRecord::parse(&record), Err(BeginRecordError::HeaderType(3)));
    }
}
