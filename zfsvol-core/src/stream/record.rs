//! [`Record`]: the fields of each kind of record.
//!
//! The fields have the widths and units of `dmu_replay_record_t`, OpenZFS 2.4 `include/sys/zfs_ioctl.h`: lengths and offsets in bytes.
//! They are what the stream says, and nothing vouches for them until the stream has been verified.

use serde::{Deserialize, Serialize};

use super::{BeginFlags, Checksum, Compression, HeaderType, ObjectType, StreamFeatures};
use crate::nvlist::NvString;
use crate::units::Guid;

/// What a begin record starts its contents with: `DMU_BACKUP_MAGIC`.
pub const STREAM_MAGIC: u64 = 0x2_f5ba_cbac;

/// Bytes of the name in a begin record, the ending zero included: `MAXNAMELEN`.
pub const STREAM_NAME_BYTES: usize = 256;

/// The kind of a record: `drr_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[repr(u32)]
pub enum RecordType {
    /// Begins a stream, or a package.
    Begin = 0,
    /// An object: a file, a directory, the block device of a zvol.
    Object = 1,
    /// Objects that are not there.
    #[serde(rename = "FREEOBJECTS")]
    FreeObjects = 2,
    /// A block of data.
    Write = 3,
    /// A part of an object that is a hole.
    Free = 4,
    /// Ends a stream, or a package.
    End = 5,
    /// A block that is the same as an earlier one, in deduplicated streams.
    WriteByref = 6,
    /// Attributes that did not fit into their object.
    Spill = 7,
    /// A block so small that it lives in its block pointer.
    WriteEmbedded = 8,
    /// How a block of objects is encrypted, in raw streams.
    ObjectRange = 9,
    /// A part of an object that is left out.
    Redact = 10,
}

impl RecordType {
    /// All there are, by number.
    pub const ALL: [Self; 11] = [
        Self::Begin,
        Self::Object,
        Self::FreeObjects,
        Self::Write,
        Self::Free,
        Self::End,
        Self::WriteByref,
        Self::Spill,
        Self::WriteEmbedded,
        Self::ObjectRange,
        Self::Redact,
    ];

    /// The kind of this number, if there is one.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Its name, as `zstream dump` prints it: `OBJECT`, `WRITE_BYREF`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::Object => "OBJECT",
            Self::FreeObjects => "FREEOBJECTS",
            Self::Write => "WRITE",
            Self::Free => "FREE",
            Self::End => "END",
            Self::WriteByref => "WRITE_BYREF",
            Self::Spill => "SPILL",
            Self::WriteEmbedded => "WRITE_EMBEDDED",
            Self::ObjectRange => "OBJECT_RANGE",
            Self::Redact => "REDACT",
        }
    }
}

/// A record, by its kind.
///
/// Serialised, it is its fields by their names and its kind as `record`; so is it deserialised, with all of them and no others, in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "record", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Record {
    /// Begins a stream, or a package.
    Begin(Begin),
    /// An object: a file, a directory, the block device of a zvol.
    Object(Object),
    /// Objects that are not there.
    #[serde(rename = "FREEOBJECTS")]
    FreeObjects(FreeObjects),
    /// A block of data.
    Write(Write),
    /// A part of an object that is a hole.
    Free(Free),
    /// Ends a stream, or a package.
    End(End),
    /// A block that is the same as an earlier one, in deduplicated streams.
    WriteByref(WriteByref),
    /// Attributes that did not fit into their object.
    Spill(Spill),
    /// A block so small that it lives in its block pointer.
    WriteEmbedded(WriteEmbedded),
    /// How a block of objects is encrypted, in raw streams.
    ObjectRange(ObjectRange),
    /// A part of an object that is left out.
    Redact(Redact),
}

/// `struct drr_begin`: what the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Always [`STREAM_MAGIC`].
    pub magic: u64,
    /// The kind of stream in the lowest two bits, its features in the 56 above; the rest is reserved.
    pub version_info: u64,
    /// When the snapshot was made: seconds since 1970.
    pub creation_time: u64,
    /// `dmu_objset_type_t`: 2 for a file system, 3 for a zvol, 0 in a package.
    pub objset_type: u32,
    /// What the sender says of it.
    #[serde(serialize_with = "crate::serial::begin_flags", deserialize_with = "begin_flags")]
    pub flags: BeginFlags,
    /// The GUID of the snapshot; 0 in a package.
    pub to_guid: Guid,
    /// The GUID of the snapshot or bookmark it starts from; 0 for a full stream.
    pub from_guid: Guid,
    /// The name of the snapshot on the sending side. It comes from there: take it for a hint, not for a path.
    pub to_name: StreamName,
    /// The length of the nvlist that follows the record.
    pub payload_bytes: u32,
}

impl Begin {
    /// One snapshot or a package of them; the number, where it is neither.
    ///
    /// # Errors
    ///
    /// The number, when it is neither.
    pub fn header_type(&self) -> Result<HeaderType, u64> {
        match self.version_info & 0b11 {
            1 => Ok(HeaderType::Substream),
            2 => Ok(HeaderType::Compound),
            other => Err(other),
        }
    }

    /// What the receiver must be able to handle: `DMU_GET_FEATUREFLAGS`.
    #[must_use]
    pub fn features(&self) -> StreamFeatures {
        StreamFeatures::from_bits_retain((self.version_info >> 2) & ((1 << 56) - 1))
    }

    /// Changes kind and features, and leaves the reserved bits.
    pub fn set_version(&mut self, header_type: HeaderType, features: StreamFeatures) {
        let kind = match header_type {
            HeaderType::Substream => 1,
            HeaderType::Compound => 2,
        };
        let features = (features.bits() & ((1 << 56) - 1)) << 2;
        self.version_info = self.version_info & !((1 << 58) - 1) | features | kind;
    }
}

/// The name in a begin record: bytes up to the first zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StreamName(pub(super) [u8; STREAM_NAME_BYTES]);

impl StreamName {
    /// No name.
    pub const EMPTY: Self = Self([0; STREAM_NAME_BYTES]);

    /// This name; `None` when it does not fit with its ending zero, or holds one.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        Self::from_bytes(name.as_bytes())
    }

    /// The same of a name that need not be UTF-8.
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        let mut field = [0; STREAM_NAME_BYTES];
        if name.len() >= STREAM_NAME_BYTES || name.contains(&0) {
            return None;
        }
        field.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self(field))
    }

    /// The bytes before the first zero.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

impl std::fmt::Debug for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

/// Its bytes, whatever they are.
impl Serialize for StreamName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        NvString::from(self.as_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StreamName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = NvString::deserialize(deserializer)?;
        Self::from_bytes(name.as_bytes()).ok_or_else(|| {
            serde::de::Error::custom("a name has at most 255 bytes, none of them zero")
        })
    }
}

/// `struct drr_object`: an object, which may have been there before. What follows is its bonus buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// Its number.
    pub object: u64,
    /// What it is.
    pub object_type: ObjectType,
    /// What its bonus buffer is.
    pub bonus_type: ObjectType,
    /// The size of its blocks.
    pub block_bytes: u32,
    /// The length of its bonus buffer.
    pub bonus_bytes: u32,
    /// `enum zio_checksum` of its blocks.
    pub checksum_type: u8,
    /// How its blocks are to be compressed.
    pub compression: Compression,
    /// How many slots of 512 bytes it takes; 0 is 1.
    pub slots: u8,
    /// [`Object::HAS_SPILL`], [`RAW_SWAPPED`].
    pub flags: u8,
    /// In raw streams, the length of the bonus buffer with all that is encrypted together with it.
    pub raw_bonus_bytes: u32,
    /// The snapshot it is of.
    pub to_guid: Guid,
    /// In raw streams: the size of its indirect blocks, as a power of two.
    pub indirect_shift: u8,
    /// In raw streams: the levels of its block tree.
    pub levels: u8,
    /// In raw streams: how many block pointers it has.
    pub block_pointers: u8,
    /// In raw streams: the number of its last block.
    pub last_block: u64,
}

impl Object {
    /// It has a spill block: `DRR_OBJECT_SPILL`.
    pub const HAS_SPILL: u8 = 1 << 2;
}

/// In `flags` of raw streams: what is encrypted has the byte order other than that of the stream. `DRR_RAW_BYTESWAP`.
pub const RAW_SWAPPED: u8 = 1 << 1;

/// `struct drr_freeobjects`: objects that are not there, and must not be there any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeObjects {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The snapshot it is of.
    pub to_guid: Guid,
}

/// What a receiver needs to take an encrypted block as it is. Zero in all but raw streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CryptParams {
    /// What the key of the block is derived with.
    pub salt: [u8; 8],
    /// What its encryption begins with.
    pub iv: [u8; 12],
    /// What it is authenticated by.
    pub mac: [u8; 16],
}

/// `ddt_key_t`: what a block is known by in a deduplicated pool. Zero where no checksum is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DedupKey {
    /// The checksum of the block in the sending pool.
    pub checksum: [u64; 4],
    /// Its sizes and how it is compressed.
    pub properties: u64,
}

/// `struct drr_write`: a block of an object. What follows is the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The object.
    pub object: u64,
    /// What it is.
    pub object_type: ObjectType,
    /// Where in it.
    pub offset: u64,
    /// The length of the block, once decompressed.
    pub logical_bytes: u64,
    /// The snapshot it is of.
    pub to_guid: Guid,
    /// `enum zio_checksum` of the key.
    pub checksum_type: u8,
    /// [`RAW_SWAPPED`], and whether the key will do for deduplication.
    pub flags: u8,
    /// How what follows is compressed; [`Compression::NONE`] where it is not.
    pub compression: Compression,
    /// What the block is known by.
    pub key: DedupKey,
    /// The length of what follows, when it is compressed; 0 otherwise.
    pub compressed_bytes: u64,
    /// How it is encrypted.
    pub crypt: CryptParams,
}

/// `struct drr_free`: a hole, in place of what was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Free {
    /// The object.
    pub object: u64,
    /// Where in it.
    pub offset: u64,
    /// How much; `u64::MAX` is all that follows.
    pub length: u64,
    /// The snapshot it is of.
    pub to_guid: Guid,
}

/// `struct drr_end`: the end, with the checksum of all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The checksum of all before it, its own begin included; zero at the end of a package.
    pub checksum: Checksum,
    /// The snapshot that ends; 0 in a package.
    pub to_guid: Guid,
}

/// `struct drr_write_byref`: a block that came before. Releases since 2.0 do not receive it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteByref {
    /// The object.
    pub object: u64,
    /// Where in it.
    pub offset: u64,
    /// The length of the block.
    pub length: u64,
    /// The snapshot it is of.
    pub to_guid: Guid,
    /// The snapshot the earlier block is of.
    pub ref_guid: Guid,
    /// The object of the earlier block.
    pub ref_object: u64,
    /// Where in it the earlier block is.
    pub ref_offset: u64,
    /// `enum zio_checksum` of the key.
    pub checksum_type: u8,
    /// Whether the key will do for deduplication.
    pub flags: u8,
    /// What the block is known by.
    pub key: DedupKey,
}

/// `struct drr_spill`: attributes that did not fit into their object. What follows is the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spill {
    /// The object.
    pub object: u64,
    /// The length of the block, once decompressed.
    pub length: u64,
    /// The snapshot it is of.
    pub to_guid: Guid,
    /// [`Spill::UNMODIFIED`], [`RAW_SWAPPED`].
    pub flags: u8,
    /// How what follows is compressed, in raw streams.
    pub compression: Compression,
    /// In raw streams, the length of what follows; 0 otherwise.
    pub compressed_bytes: u64,
    /// How it is encrypted.
    pub crypt: CryptParams,
    /// What the block is, in raw streams.
    pub object_type: ObjectType,
}

impl Spill {
    /// It is there for old releases only: the receiver has it already. `DRR_SPILL_UNMODIFIED`.
    pub const UNMODIFIED: u8 = 1 << 2;
}

/// `struct drr_write_embedded`: a block so small that it lives in its block pointer. What follows is what was in it,
/// filled up to a multiple of 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteEmbedded {
    /// The object.
    pub object: u64,
    /// Where in it.
    pub offset: u64,
    /// The length of the block of the object.
    pub length: u64,
    /// The snapshot it is of.
    pub to_guid: Guid,
    /// How what follows is compressed.
    pub compression: Compression,
    /// `bp_embedded_type_t`: 0 is data.
    pub embedded_type: u8,
    /// Its length, once decompressed.
    pub logical_bytes: u32,
    /// Its length, without what fills it up.
    pub physical_bytes: u32,
}

/// `struct drr_object_range`: how a block of objects is encrypted, in raw streams. The objects follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRange {
    /// The first object.
    pub first: u64,
    /// How many slots the block has.
    pub slots: u64,
    /// The snapshot it is of.
    pub to_guid: Guid,
    /// How it is encrypted.
    pub crypt: CryptParams,
    /// [`RAW_SWAPPED`].
    pub flags: u8,
}

/// `struct drr_redact`: a part of an object that is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redact {
    /// The object.
    pub object: u64,
    /// Where in it.
    pub offset: u64,
    /// How much.
    pub length: u64,
    /// The snapshot it is of.
    pub to_guid: Guid,
}

impl Record {
    /// A record of this kind with every field zero, but for what a begin record always has.
    #[must_use]
    pub fn empty(kind: RecordType) -> Self {
        match kind {
            RecordType::Begin => Self::Begin(Begin::default()),
            RecordType::Object => Self::Object(Object::default()),
            RecordType::FreeObjects => Self::FreeObjects(FreeObjects::default()),
            RecordType::Write => Self::Write(Write::default()),
            RecordType::Free => Self::Free(Free::default()),
            RecordType::End => Self::End(End::default()),
            RecordType::WriteByref => Self::WriteByref(WriteByref::default()),
            RecordType::Spill => Self::Spill(Spill::default()),
            RecordType::WriteEmbedded => Self::WriteEmbedded(WriteEmbedded::default()),
            RecordType::ObjectRange => Self::ObjectRange(ObjectRange::default()),
            RecordType::Redact => Self::Redact(Redact::default()),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::Begin(_) => RecordType::Begin,
            Self::Object(_) => RecordType::Object,
            Self::FreeObjects(_) => RecordType::FreeObjects,
            Self::Write(_) => RecordType::Write,
            Self::Free(_) => RecordType::Free,
            Self::End(_) => RecordType::End,
            Self::WriteByref(_) => RecordType::WriteByref,
            Self::Spill(_) => RecordType::Spill,
            Self::WriteEmbedded(_) => RecordType::WriteEmbedded,
            Self::ObjectRange(_) => RecordType::ObjectRange,
            Self::Redact(_) => RecordType::Redact,
        }
    }

    /// The GUID of the snapshot it is of.
    #[must_use]
    pub fn to_guid(&self) -> Guid {
        match self {
            Self::Begin(record) => record.to_guid,
            Self::Object(record) => record.to_guid,
            Self::FreeObjects(record) => record.to_guid,
            Self::Write(record) => record.to_guid,
            Self::Free(record) => record.to_guid,
            Self::End(record) => record.to_guid,
            Self::WriteByref(record) => record.to_guid,
            Self::Spill(record) => record.to_guid,
            Self::WriteEmbedded(record) => record.to_guid,
            Self::ObjectRange(record) => record.to_guid,
            Self::Redact(record) => record.to_guid,
        }
    }

    /// The object it is about; `None` for what is about none, or about several.
    #[must_use]
    pub fn object(&self) -> Option<u64> {
        match self {
            Self::Object(record) => Some(record.object),
            Self::Write(record) => Some(record.object),
            Self::Free(record) => Some(record.object),
            Self::WriteByref(record) => Some(record.object),
            Self::Spill(record) => Some(record.object),
            Self::WriteEmbedded(record) => Some(record.object),
            Self::Redact(record) => Some(record.object),
            Self::Begin(_) | Self::End(_) | Self::FreeObjects(_) | Self::ObjectRange(_) => None,
        }
    }

    /// How many bytes follow it, as it says. OpenZFS 2.3 `module/zfs/dmu_recv.c`, `receive_read_record`.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        match self {
            Self::Begin(record) => record.payload_bytes.into(),
            Self::Object(Object { raw_bonus_bytes: 0, bonus_bytes, .. }) => {
                u64::from(*bonus_bytes).next_multiple_of(8)
            }
            Self::Object(record) => record.raw_bonus_bytes.into(),
            Self::Write(record) if record.compression == Compression::NONE => record.logical_bytes,
            Self::Write(record) => record.compressed_bytes,
            Self::Spill(Spill { compressed_bytes: 0, length, .. }) => *length,
            Self::Spill(record) => record.compressed_bytes,
            Self::WriteEmbedded(record) => u64::from(record.physical_bytes).next_multiple_of(8),
            Self::FreeObjects(_)
            | Self::Free(_)
            | Self::End(_)
            | Self::WriteByref(_)
            | Self::ObjectRange(_)
            | Self::Redact(_) => 0,
        }
    }
}

impl Default for Begin {
    fn default() -> Self {
        Self {
            magic: STREAM_MAGIC,
            version_info: 0,
            creation_time: 0,
            objset_type: 0,
            flags: BeginFlags::empty(),
            to_guid: Guid::default(),
            from_guid: Guid::default(),
            to_name: StreamName::EMPTY,
            payload_bytes: 0,
        }
    }
}

fn begin_flags<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BeginFlags, D::Error> {
    u32::deserialize(deserializer).map(BeginFlags::from_bits_retain)
}
