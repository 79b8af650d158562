//! Streams as far as two kernels write them alike.

use zfsvol_core::Guid;
use zfsvol_core::stream::{
    Compression, ObjectType, Record, ResumeToken, SendFlags, StreamFeatures, StreamReader,
    decompress,
};

/// A number for some bytes, to compare them by.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

/// What a stream says, but for what is another number in each kernel: GUIDs, checksums, times, how well a block compresses, and what is in
/// the blocks of ZFS's own objects.
pub(super) fn told(stream: &[u8]) -> String {
    let mut reader = StreamReader::from_bytes(stream);
    let mut said = String::from("sent");
    let mut plain = unpacked(stream).into_iter();
    // With zstd, whether a block becomes so small that it is embedded is each compressor's own as well.
    let mut can_embed = false;
    loop {
        let frame = match reader.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return said,
            Err(error) => return format!("{said}\n    {error}"),
        };
        let text = match frame.record {
            Record::Begin(begin) => {
                let features = begin.features();
                can_embed = features.contains(StreamFeatures::EMBED_DATA | StreamFeatures::ZSTD);
                let has_base = begin.from_guid.get() != 0;
                format!("BEGIN {features:?} {:?} since {has_base}", begin.flags)
            }
            Record::End(_) => "END".to_owned(),
            Record::Write(write) => {
                let is_zvol = write.object_type == ObjectType::ZVOL;
                let (object, offset, length) = (write.object, write.offset, write.logical_bytes);
                let compression = write.compression;
                match plain.next() {
                    Some(_) if can_embed => format!("BLOCK {object} {offset} {length}"),
                    Some(data) if compression != Compression::LZ4 => {
                        let data = if is_zvol { data } else { 0 };
                        format!("WRITE {object} {offset} {length} zstd or not {data:x}")
                    }
                    _ => {
                        let is_plain = is_zvol && write.compressed_bytes == 0;
                        let data = if is_plain { sum(frame.payload) } else { 0 };
                        format!("WRITE {object} {offset} {length} {compression} {data:x}")
                    }
                }
            }
            Record::Object(_) | Record::Free(_) | Record::FreeObjects(_) => {
                frame.record.to_string()
            }
            // How well it is compressed is not compared.
            Record::WriteEmbedded(write) if can_embed => {
                format!("BLOCK {} {} {}", write.object, write.offset, write.logical_bytes)
            }
            Record::WriteEmbedded(write) => format!("EMBEDDED {} {}", write.object, write.offset),
            other => {
                format!("{:?} {:?} {}", other.record_type(), other.object(), other.payload_bytes())
            }
        };
        said.push_str("\n    ");
        said.push_str(&text);
    }
}

/// What is in the blocks of a stream that can have some compressed with zstd: how well each kernel compresses them is its own, and one may find that a block
/// is not worth it. Nothing of other streams.
fn unpacked(stream: &[u8]) -> Vec<u64> {
    let mut reader = StreamReader::from_bytes(stream);
    let has_zstd = match reader.next_frame() {
        Ok(Some(frame)) => match frame.record {
            Record::Begin(begin) => begin.features().contains(StreamFeatures::ZSTD),
            _ => false,
        },
        _ => false,
    };
    if !has_zstd {
        return Vec::new();
    }
    let Ok(plain) = decompress(&mut StreamReader::from_bytes(stream), Vec::new()) else {
        return Vec::new();
    };
    let mut reader = StreamReader::from_bytes(&plain);
    let mut sums = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        if let Record::Write(_) = frame.record {
            sums.push(sum(frame.payload));
        }
    }
    sums
}

/// Where to cut a stream: `(thousandths of its records that are left out, bytes of the first of those that stay)`.
pub(super) fn cut(stream: &[u8], (left_out, more): (u64, usize)) -> usize {
    if (left_out, more) == (0, 0) {
        return stream.len();
    }
    let mut reader = StreamReader::from_bytes(stream);
    let mut starts = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        starts.push(usize::try_from(frame.offset).expect("in memory"));
    }
    let records = starts.len() as u64;
    let kept = usize::try_from(records - records * left_out / 1000).expect("in memory");
    let start = starts.get(kept).copied().unwrap_or(stream.len());
    // The first record comes whole: a stream without it is none.
    (start + more).clamp(312.min(stream.len()), stream.len())
}

/// Where the records of a stream end that was made, as the token of a receive that breaks off says it.
#[derive(Debug)]
pub(super) struct Made {
    to: Guid,
    from: Option<Guid>,
    flags: SendFlags,
    /// How much has come after each record, counted from behind the first one.
    ends: Vec<u64>,
}

/// What a stream says of its contents, of what a token repeats.
const REPEATED: [(StreamFeatures, SendFlags); 4] = [
    (StreamFeatures::LARGE_BLOCKS, SendFlags::LARGE_BLOCK),
    (StreamFeatures::EMBED_DATA, SendFlags::EMBED),
    (StreamFeatures::COMPRESSED, SendFlags::COMPRESS),
    (StreamFeatures::RAW, SendFlags::RAW),
];

impl Made {
    /// Of a stream; so much came before it, where it goes on with another. `None` for what does not begin as one.
    pub(super) fn new(stream: &[u8], before: u64) -> Option<Self> {
        let mut reader = StreamReader::from_bytes(stream);
        let Ok(Some(frame)) = reader.next_frame() else { return None };
        let Record::Begin(begin) = frame.record else { return None };
        let (to, from, features) = (begin.to_guid, begin.from_guid, begin.features());
        let mut flags = SendFlags::empty();
        for (feature, flag) in REPEATED {
            flags.set(flag, features.contains(feature));
        }
        let mut ends = Vec::new();
        while let Ok(Some(frame)) = reader.next_frame() {
            ends.push(before + frame.offset - BEGIN_BYTES);
        }
        Some(Self { to, from: Some(from).filter(|from| from.get() != 0), flags, ends })
    }

    /// After which record a token goes on, if it is of this stream.
    pub(super) fn record_of(&self, token: &ResumeToken) -> Option<usize> {
        let all = REPEATED.iter().fold(SendFlags::empty(), |all, (_, flag)| all | *flag);
        let is_of_this =
            (self.to, self.from, self.flags) == (token.to_guid, token.from_guid, token.flags & all);
        self.ends.binary_search(&token.bytes.get()).ok().filter(|_| is_of_this)
    }
}

/// The length of a record without what follows it: `dmu_replay_record_t`.
const BEGIN_BYTES: u64 = 312;
