//! [`ResumeToken`]: where an interrupted receive stopped, and what was being sent.
//!
//! A dataset with the state of an interrupted receive shows the token in its property `receive_resume_token`. The text is
//! `1-<checksum>-<length>-<data>`, in hexadecimal: the data is an nvlist compressed by zlib, the length that of the nvlist, the checksum
//! the first word of the data's fletcher4. Facts from OpenZFS 2.3 `module/zfs/dsl_dataset.c`, `get_receive_resume_token_impl`, and
//! `lib/libzfs/libzfs_sendrecv.c`, `zfs_send_resume_token_to_nvlist`.

use std::fmt::Write as _;
use std::str::FromStr;

use serde::Serialize;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

use crate::name::{NameError, SnapshotName};
use crate::nvlist::{DecodeError, EncodeError, Limits, NvList};
use crate::units::{Bytes, Guid};

bitflags::bitflags! {
    /// What a stream may contain. More makes it smaller or more faithful, and asks more of the receiver.
    ///
    /// The numbers are those of `enum lzc_send_flags`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SendFlags: u32 {
        /// Blocks small enough to live in their block pointer stay so (`embedok`). The receiving pool needs the feature `embedded_data`.
        const EMBED = 1 << 0;
        /// Records larger than 128 KiB (`largeblockok`). The receiving pool needs the feature `large_blocks`; increments must keep to it.
        const LARGE_BLOCK = 1 << 1;
        /// Blocks go as they are compressed on disk (`compressok`).
        const COMPRESS = 1 << 2;
        /// Blocks go exactly as they are on disk (`rawok`): encrypted data stays encrypted, and no key is needed.
        const RAW = 1 << 3;
        /// What a partial receive has saved is sent (`savedok`); see `Zfs::send_saved`.
        const SAVED = 1 << 4;
    }
}

impl SendFlags {
    /// Each flag, by the name it has in requests and tokens.
    pub(crate) const NAMES: [(Self, &'static str); 5] = [
        (Self::LARGE_BLOCK, "largeblockok"),
        (Self::EMBED, "embedok"),
        (Self::COMPRESS, "compressok"),
        (Self::RAW, "rawok"),
        (Self::SAVED, "savedok"),
    ];

    /// Adds each flag that is set to a request.
    pub(crate) fn insert_into(self, list: &mut NvList) {
        for (_, name) in Self::NAMES.iter().filter(|(flag, _)| self.contains(*flag)) {
            list.insert_flag(*name);
        }
    }

    fn from_list(list: &NvList) -> Self {
        Self::NAMES.iter().filter(|(_, name)| list.contains(name)).map(|(flag, _)| *flag).collect()
    }
}

/// Longest token that is decoded. With a list of redaction snapshots a token grows by 16 digits for each; this is room for tens of
/// thousands of them.
pub const TOKEN_BYTES_MAX: usize = 1 << 20;

/// Longest nvlist a token may hold: what the longest token could hold uncompressed.
const LIST_BYTES_MAX: usize = TOKEN_BYTES_MAX / 2;

/// The only version there is: `ZFS_SEND_RESUME_TOKEN_VERSION`.
const VERSION: &str = "1";

/// The level the kernel compresses with.
const COMPRESSION_LEVEL: u8 = 6;

/// Where an interrupted receive stopped: what to send to finish it. `FromStr` decodes the property's text, [`ResumeToken::encode`] makes it.
///
/// A token comes from another machine: every part of it is checked, and decoding takes bounded time and memory.
///
/// ```
/// use zfsvol_core::stream::ResumeToken;
///
/// let error = "1-0-80-00".parse::<ResumeToken>().unwrap_err();
/// assert_eq!(error.to_string(), "the resume token is damaged: its data cannot be inflated");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ResumeToken {
    /// The snapshot that was being sent, by the name it had on the sending side then.
    pub to_name: SnapshotName,
    /// Its GUID: the name may be another by now.
    pub to_guid: Guid,
    /// The snapshot or bookmark the increment starts from; `None` for a full stream.
    pub from_guid: Option<Guid>,
    /// The object to go on with.
    pub object: u64,
    /// Where in that object to go on, in bytes.
    pub offset: u64,
    /// How much of the stream was received.
    pub bytes: Bytes,
    /// What the stream could contain: the rest must have the same.
    #[serde(serialize_with = "crate::serial::send_flags")]
    pub flags: SendFlags,
    /// The snapshots it was redacted by, if it was.
    pub redact_snapshots: Option<Vec<Guid>>,
    /// The redaction snapshots of the bookmark it starts from, if it starts from a redaction bookmark.
    pub from_redact_snapshots: Option<Vec<Guid>>,
}

/// Why a text is no resume token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the resume token is damaged: {0}")]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`], or what it holds would be.
    #[error("the resume token is too long: {0} bytes")]
    TooLong(u64),
    /// Not four parts joined by `-`.
    #[error("the resume token is damaged: it has not the form 1-CHECKSUM-LENGTH-DATA")]
    Form,
    /// A version other than 1.
    #[error("the resume token has version '{0}', and only version 1 is known")]
    Version(String),
    /// Checksum, length or data are not hexadecimal digits.
    #[error("the resume token is damaged: its {0} is not hexadecimal")]
    Digits(&'static str),
    /// The data does not have the checksum.
    #[error("the resume token is damaged: its checksum is wrong")]
    Checksum,
    /// The data is no zlib stream.
    #[error("the resume token is damaged: its data cannot be inflated")]
    Inflate,
    /// The data has another length than the token says.
    #[error("the resume token is damaged: it says {said} bytes and holds {found}")]
    Length {
        /// What the token says.
        said: u64,
        /// What there is.
        found: u64,
    },
    /// The data is no packed nvlist.
    #[error("the resume token is damaged: {0}")]
    List(#[source] DecodeError),
    /// The list lacks this pair, or it is of another type.
    #[error("the resume token is damaged: it does not say '{0}'")]
    Missing(&'static str),
    /// The name in it is not that of a snapshot.
    #[error("the resume token is damaged: {0}")]
    Name(#[source] NameError),
}

impl FromStr for ResumeToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        Self::from_list(&unwrap(text)?)
    }
}

impl ResumeToken {
    /// The text of this token, as the property has it.
    ///
    /// # Errors
    /// When the list of its fields cannot be packed, which no token that was decoded gives.
    pub fn encode(&self) -> Result<String, EncodeError> {
        let packed = self.to_list().to_bytes()?;
        let data = compress_to_vec_zlib(&packed, COMPRESSION_LEVEL);
        let mut text =
            format!("{VERSION}-{:x}-{:x}-", checksum(&data, u32::from_le_bytes), packed.len());
        for byte in &data {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }

    fn from_list(list: &NvList) -> Result<Self, TokenError> {
        let number = |name| list.get_u64(name).ok_or(TokenError::Missing(name));
        let guids = |name: &str| {
            list.get_u64s(name).map(|guids| guids.iter().copied().map(Guid::new).collect())
        };
        let to_name = list.get_string("toname").ok_or(TokenError::Missing("toname"))?;
        Ok(Self {
            to_name: to_name.to_string_lossy().parse().map_err(TokenError::Name)?,
            to_guid: Guid::new(number("toguid")?),
            from_guid: list.get_u64("fromguid").filter(|guid| *guid != 0).map(Guid::new),
            object: number("object")?,
            offset: number("offset")?,
            bytes: Bytes::new(number("bytes")?),
            flags: SendFlags::from_list(list),
            redact_snapshots: guids("redact_snaps"),
            from_redact_snapshots: guids("book_redact_snaps"),
        })
    }

    /// The pairs in the order the kernel adds them.
    fn to_list(&self) -> NvList {
        let mut list = NvList::new();
        if let Some(guid) = self.from_guid {
            list.insert("fromguid", guid.get());
        }
        list.insert("object", self.object)
            .insert("offset", self.offset)
            .insert("bytes", self.bytes.get())
            .insert("toguid", self.to_guid.get())
            .insert("toname", self.to_name.as_str());
        self.flags.insert_into(&mut list);
        let snapshots = [
            ("redact_snaps", &self.redact_snapshots),
            ("book_redact_snaps", &self.from_redact_snapshots),
        ];
        for (name, guids) in snapshots {
            if let Some(guids) = guids {
                let guids: Vec<u64> = guids.iter().map(|guid| guid.get()).collect();
                list.insert(name, guids);
            }
        }
        list
    }
}

/// The list inside the text, whatever it says.
fn unwrap(text: &str) -> Result<NvList, TokenError> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong(text.len() as u64));
    }
    let mut parts = text.split('-');
    let (Some(version), Some(sum), Some(length), Some(digits), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(TokenError::Form);
    };
    if version != VERSION {
        return Err(TokenError::Version(version.chars().take(20).collect()));
    }
    let sum = hexadecimal(sum, "checksum")?;
    let said = hexadecimal(length, "length")?;
    let data = bytes(digits)?;
    // The sum is over words in the byte order of the machine that made the token.
    if sum != checksum(&data, u32::from_le_bytes) && sum != checksum(&data, u32::from_be_bytes) {
        return Err(TokenError::Checksum);
    }
    let room = usize::try_from(said).ok().filter(|said| *said <= LIST_BYTES_MAX);
    let room = room.ok_or(TokenError::TooLong(said))?;
    let packed = decompress_to_vec_zlib_with_limit(&data, room).map_err(|_| TokenError::Inflate)?;
    if packed.len() != room {
        return Err(TokenError::Length { said, found: packed.len() as u64 });
    }
    let limits = Limits::DEFAULT.bytes(LIST_BYTES_MAX);
    NvList::from_bytes_with(&packed, &limits).map_err(TokenError::List)
}

fn hexadecimal(digits: &str, what: &'static str) -> Result<u64, TokenError> {
    // `from_str_radix` takes a sign.
    if digits.starts_with('+') {
        return Err(TokenError::Digits(what));
    }
    u64::from_str_radix(digits, 16).map_err(|_| TokenError::Digits(what))
}

fn bytes(digits: &str) -> Result<Vec<u8>, TokenError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect::<Option<_>>().ok_or(TokenError::Digits("data"))
}

/// The first word of fletcher4: the sum of all whole 32-bit words. Bytes behind the last are not summed.
fn checksum(data: &[u8], word: fn([u8; 4]) -> u32) -> u64 {
    let words = data.chunks_exact(4).filter_map(|chunk| chunk.try_into().ok());
    words.map(|chunk| u64::from(word(chunk))).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> ResumeToken {
        ResumeToken {
            to_name: "tank/web@monday".parse().unwrap(),
            to_guid: Guid::new(0x1122_3344_5566_7788),
            from_guid: Some(Guid::new(7)),
            object: 128,
            offset: 1 << 20,
            bytes: Bytes::new(3 << 20),
            flags: SendFlags::RAW | SendFlags::COMPRESS,
            redact_snapshots: None,
            from_redact_snapshots: None,
        }
    }

    #[test]
    fn a_token_comes_back_as_it_went() {
        let redacted = ResumeToken {
            from_guid: None,
            flags: SendFlags::empty(),
            redact_snapshots: Some(vec![Guid::new(1), Guid::new(2)]),
            from_redact_snapshots: Some(vec![]),
            ..token()
        };
        for token in [token(), redacted] {
            assert_eq!(token.encode().unwrap().parse(), Ok(token));
        }
    }

    /// Made by OpenZFS 2.3.2, from an interrupted `zfs receive -s` of a stream sent with `-w`.
    #[test]
    fn a_token_of_openzfs_is_read() {
        let token: ResumeToken =
            include_str!("../../../tests/fixtures/token/raw").trim().parse().unwrap();
        assert_eq!(token.to_name.as_str(), "t/enc@two");
        assert_eq!(token.flags, SendFlags::RAW | SendFlags::COMPRESS);
        assert!(token.from_guid.is_some());
        assert_ne!(token.bytes, Bytes::ZERO);
    }

    #[test]
    fn the_checksum_may_be_of_either_byte_order() {
        let text = token().encode().unwrap();
        let parts: Vec<&str> = text.split('-').collect();
        let data = bytes(parts[3]).unwrap();
        let foreign =
            format!("1-{:x}-{}-{}", checksum(&data, u32::from_be_bytes), parts[2], parts[3]);
        assert_eq!(foreign.parse(), Ok(token()));
    }

    #[test]
    fn damage_is_refused_by_what_is_wrong() {
        let good = token().encode().unwrap();
        let parts: Vec<&str> = good.split('-').collect();
        let with = |sum: &str, length: &str, data: &str| format!("1-{sum}-{length}-{data}");
        let (sum, length, data) = (parts[1], parts[2], parts[3]);
        for (text, error) in [
            (String::new(), TokenError::Form),
            ("1-2-3".to_owned(), TokenError::Form),
            (format!("{good}-"), TokenError::Form),
            (format!("2{}", &good[1..]), TokenError::Version("2".into())),
            (with("g", length, data), TokenError::Digits("checksum")),
            (with(sum, "", data), TokenError::Digits("length")),
            (with(sum, "+80", data), TokenError::Digits("length")),
            (with(sum, length, "0"), TokenError::Digits("data")),
            (with(sum, length, "zz"), TokenError::Digits("data")),
            (with("0", length, data), TokenError::Checksum),
            (with(sum, "ffffffff", data), TokenError::TooLong(0xffff_ffff)),
            (with(sum, "8", data), TokenError::Inflate),
            (with("0", "0", ""), TokenError::Inflate),
            ("x".repeat(TOKEN_BYTES_MAX + 1), TokenError::TooLong(TOKEN_BYTES_MAX as u64 + 1)),
        ] {
            assert_eq!(text.parse::<ResumeToken>(), Err(error), "{text:.40}");
        }
        let more = u64::from_str_radix(length, 16).unwrap() + 1;
        let error = with(sum, &format!("{more:x}"), data).parse::<ResumeToken>().unwrap_err();
        assert_eq!(error, TokenError::Length { said: more, found: more - 1 });
    }

    #[test]
    fn a_list_that_lacks_something_is_refused() {
        for missing in ["toname", "toguid", "object", "offset", "bytes"] {
            let mut list = token().to_list();
            list.remove(missing);
            assert_eq!(ResumeToken::from_list(&list), Err(TokenError::Missing(missing)));
        }
        let mut list = token().to_list();
        list.insert("toname", "tank/web");
        assert!(matches!(ResumeToken::from_list(&list), Err(TokenError::Name(_))));
    }

    /// Inflating is bounded by what the token says, and that by the constant.
    #[test]
    fn a_bomb_does_not_go_off() {
        let data = compress_to_vec_zlib(&vec![0; 64 << 20], COMPRESSION_LEVEL);
        let mut text = format!("1-{:x}-80-", checksum(&data, u32::from_le_bytes));
        data.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
        assert_eq!(text.parse::<ResumeToken>(), Err(TokenError::Inflate));
    }

    #[test]
    fn no_change_of_one_character_is_read_as_another_token() {
        let good = token().encode().unwrap();
        for at in 0..good.len() {
            for other in ["0", "f", "-", "x", ""] {
                let text = format!("{}{other}{}", &good[..at], &good[at + 1..]);
                if let Ok(read) = text.parse::<ResumeToken>() {
                    assert_eq!(read, token(), "{text}");
                }
            }
        }
    }
}
