//! Send: the content of a dataset as a genuine stream.
//!
//! [`write`](fn@write) goes through it as `dmu_send_impl` does (OpenZFS 2.3 `module/zfs/dmu_send.c`), record by record in the same order and with
//! the same joining of ranges, so that what comes out is what OpenZFS would have sent of the same objects.

mod dump;
mod handler;
mod merge;
mod redact;
mod walk;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::data::{DatasetKey, Objset, ObjsetType, UsedFeatures, zap};
use crate::kernel::Errno;
use crate::nvlist::NvList;
use crate::stream::{
    Begin, BeginFlags, HeaderType, STREAM_MAGIC, SendFlags, StreamFeatures, StreamName,
};
use crate::units::Guid;
use dump::Dumper;
pub(super) use handler::{Sends, progress, redact, send, space};
pub(super) use redact::RedactionList;

/// The object a file system begins with: `MASTER_NODE_OBJ`.
const MASTER_NODE_OBJECT: u64 = 1;

/// From this version on attributes are system attributes, and may spill: `ZPL_VERSION_SA`.
const VERSION_WITH_ATTRIBUTES: u64 = 5;

/// A part of an object that a redaction bookmark lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redaction {
    /// The object.
    pub object: u64,
    /// The number of the first block.
    pub first: u64,
    /// How many blocks.
    pub count: u64,
    /// The size of a block in bytes.
    pub block_bytes: u32,
}

/// Where an increment starts.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The GUID of the snapshot or bookmark.
    pub guid: u64,
    /// Its transaction group: what is not younger is not sent.
    pub txg: u64,
    /// It is of another dataset: the stream makes a clone.
    pub is_clone: bool,
    /// The snapshots it was redacted by, if it was.
    pub redact_snapshots: Option<Vec<u64>>,
    /// What was left out of it, if it is a redaction bookmark; in ascending order.
    pub redacted: Option<Vec<Redaction>>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Source {
    /// The content.
    pub objset: Objset,
    /// The GUID of the snapshot, or of the dataset whose head is sent.
    pub guid: u64,
    /// The GUID that the begin record has, where that is another: what a partial receive has saved is of a snapshot that is still to come.
    pub begin_guid: Option<u64>,
    /// Its name, as it goes into the begin record.
    pub name: String,
    /// When it was made: seconds since 1970.
    pub creation_time: u64,
    /// What an increment starts from; `None` for a full stream.
    pub from: Option<Origin>,
    /// Names of the file system do not tell upper case from lower: `DS_FLAG_CI_DATASET`.
    pub case_insensitive: bool,
    /// The snapshots it is redacted by.
    pub redact_snapshots: Option<Vec<u64>>,
    /// What is left out, in ascending order; then the stream is one that is redacted.
    pub redact: Option<Vec<Redaction>>,
    /// The keys of an encrypted dataset, as they go into a raw stream. `None` for a dataset that is not encrypted.
    pub key_data: Option<NvList>,
    /// What the blocks of an encrypted dataset are deciphered with, for a stream that is not raw.
    pub key: Option<Arc<DatasetKey>>,
}

impl Source {
    /// A full stream of this content.
    #[must_use]
    pub fn new(objset: Objset, guid: u64, name: impl Into<String>, creation_time: u64) -> Self {
        Self {
            objset,
            guid,
            begin_guid: None,
            name: name.into(),
            creation_time,
            from: None,
            case_insensitive: false,
            redact_snapshots: None,
            redact: None,
            key_data: None,
            key: None,
        }
    }
}

/// How it is sent.
#[derive(Clone, Copy, Debug)]
pub struct SendOptions {
    /// What the stream may contain.
    pub flags: SendFlags,
    /// Where to go on: object and offset.
    pub resume: Option<(u64, u64)>,
    /// The pool has blocks that live in their pointers: the feature `embedded_data` is active.
    pub embedded_data: bool,
    /// The pool has blocks compressed with LZ4: the feature `lz4_compress` is active.
    pub lz4: bool,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self { flags: SendFlags::empty(), resume: None, embedded_data: true, lz4: true }
    }
}

/// How far a send has got, for those who ask meanwhile.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    blocks: AtomicU64,
}

impl Progress {
    /// Bytes written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Blocks visited.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    fn visit(&self) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes the stream.
///
/// # Errors
/// `EINTR` when the output cannot be written to, its own errno for the first and the last record; `EIO` for a block that cannot be
/// read, `EACCES` for ciphertext in a stream that is not raw; `ZFS_ERR_STREAM_LARGE_MICROZAP` for large micro-ZAPs without large blocks;
/// what the object is when it is resumed at one that is not there.
pub fn write<W: io::Write>(
    source: &Source,
    options: &SendOptions,
    output: W,
    progress: &Progress,
) -> Result<(), Errno> {
    let mut dumper = Dumper::to_stream(source, features(source, options)?, output, progress);
    run(source, options, &mut dumper)
}

/// How long the stream would be, to the byte.
///
/// # Errors
/// As [`write`](fn@write).
pub fn measure(source: &Source, options: &SendOptions, progress: &Progress) -> Result<u64, Errno> {
    let mut dumper = Dumper::<io::Sink>::to_measure(source, features(source, options)?, progress);
    run(source, options, &mut dumper)?;
    Ok(progress.bytes())
}

fn run<W: io::Write>(
    source: &Source,
    options: &SendOptions,
    dumper: &mut Dumper<'_, W>,
) -> Result<(), Errno> {
    dumper.resume = options.resume.unwrap_or_default();
    let (begin, list) = begin(source, options, dumper.features())?;
    dumper.begin(begin, &list)?;
    let resume = resume_point(source, options)?;
    merge::ranges(source, resume, dumper.progress(), &mut |range| dumper.dump(&range))?;
    dumper.end(!options.flags.contains(SendFlags::SAVED))
}

/// Object and block to go on with.
fn resume_point(source: &Source, options: &SendOptions) -> Result<Option<(u64, u64)>, Errno> {
    let Some((object, offset)) = options.resume.filter(|resume| *resume != (0, 0)) else {
        return Ok(None);
    };
    let dnode = source.objset.object(object)?;
    Ok(Some((object, offset / u64::from(dnode.block_bytes))))
}

/// What the receiver must be able to handle. OpenZFS 2.3 `module/zfs/dmu_send.c`, `setup_featureflags`.
fn features(source: &Source, options: &SendOptions) -> Result<StreamFeatures, Errno> {
    use StreamFeatures as F;
    let used = source.objset.features();
    let raw = options.flags.contains(SendFlags::RAW);
    let encrypted = source.key_data.is_some() || source.key.is_some();
    let mut features = F::empty();
    if source.objset.objset_type() == ObjsetType::FileSystem {
        features.set(F::SPILL, version(&source.objset) >= VERSION_WITH_ATTRIBUTES);
    }
    let large = raw || options.flags.contains(SendFlags::LARGE_BLOCK);
    features.set(F::LARGE_BLOCKS, large && used.contains(UsedFeatures::LARGE_BLOCKS));
    let embed = raw || options.flags.contains(SendFlags::EMBED);
    features.set(F::EMBED_DATA, embed && !encrypted && options.embedded_data);
    features.set(F::COMPRESSED, raw || options.flags.contains(SendFlags::COMPRESS));
    features.set(F::RAW, raw && source.key_data.is_some());
    let packed = F::COMPRESSED | F::RAW;
    features.set(F::LZ4, features.intersects(packed | F::EMBED_DATA) && options.lz4);
    features.set(F::ZSTD, features.intersects(packed) && used.contains(UsedFeatures::ZSTD));
    features.set(F::RESUMING, options.resume.is_some_and(|resume| resume != (0, 0)));
    features.set(F::REDACTED, source.redact.is_some());
    features.set(F::LARGE_DNODE, used.contains(UsedFeatures::LARGE_DNODE));
    features.set(F::LONG_NAME, used.contains(UsedFeatures::LONG_NAME));
    if used.contains(UsedFeatures::LARGE_MICROZAP) {
        if !features.contains(F::LARGE_BLOCKS) {
            return Err(Errno::ZFS_ERR_STREAM_LARGE_MICROZAP);
        }
        features.insert(F::LARGE_MICROZAP);
    }
    Ok(features)
}

/// The version of a file system; the newest where it is not said in a ZAP of one block.
fn version(objset: &Objset) -> u64 {
    let block = objset.read_block(MASTER_NODE_OBJECT, 0).ok();
    block.and_then(|block| zap::lookup(&block, "VERSION")).unwrap_or(VERSION_WITH_ATTRIBUTES)
}

fn begin(
    source: &Source,
    options: &SendOptions,
    features: StreamFeatures,
) -> Result<(Begin, Vec<u8>), Errno> {
    let from = source.from.as_ref();
    let mut flags = BeginFlags::FREE_RECORDS | BeginFlags::SPILL_BLOCK;
    flags.set(BeginFlags::CLONE, from.is_some_and(|from| from.is_clone));
    flags.set(BeginFlags::CASE_INSENSITIVE, source.case_insensitive);
    let list = begin_list(source, options, features);
    let payload =
        if list.is_empty() { Vec::new() } else { list.to_bytes().map_err(|_| Errno::EINVAL)? };
    let mut begin = Begin {
        magic: STREAM_MAGIC,
        creation_time: source.creation_time,
        objset_type: source.objset.objset_type().number(),
        flags,
        to_guid: Guid::new(source.begin_guid.unwrap_or(source.guid)),
        from_guid: Guid::new(from.map_or(0, |from| from.guid)),
        to_name: StreamName::new(&source.name).ok_or(Errno::ENAMETOOLONG)?,
        payload_bytes: u32::try_from(payload.len()).map_err(|_| Errno::E2BIG)?,
        ..Begin::default()
    };
    begin.set_version(HeaderType::Substream, features);
    Ok((begin, payload))
}

/// What follows the begin record.
fn begin_list(source: &Source, options: &SendOptions, features: StreamFeatures) -> NvList {
    let mut list = NvList::new();
    if let Some(guids) = &source.redact_snapshots {
        list.insert("redact_snaps", guids.clone());
    }
    if let Some(guids) = source.from.as_ref().and_then(|from| from.redact_snapshots.as_ref()) {
        list.insert("redact_from_snaps", guids.clone());
    }
    if features.contains(StreamFeatures::RESUMING) {
        let (object, offset) = options.resume.unwrap_or_default();
        list.insert("resume_object", object).insert("resume_offset", offset);
    }
    if let Some(keys) = source.key_data.as_ref().filter(|_| features.contains(StreamFeatures::RAW))
    {
        list.insert("crypt_keydata", keys.clone());
    }
    list
}
