//! How results are serialised, where deriving does not say it: times as seconds, paths as strings of any bytes, arrays that say their type when
//! they are empty. What a field is called, and how, is what the C ABI and the bindings hand out: changing either breaks them.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::errno::Errno;
use crate::error::ErrorKind;
use crate::nvlist::{ByteOrder, NvString, string_array};
use crate::stream::{BeginFlags, SendFlags, StreamFeatures};

/// Seconds since 1970, negative before.
fn since_1970(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |s| -s),
    }
}

pub(crate) fn seconds<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(since_1970(*time))
}

pub(crate) fn maybe_seconds<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(since_1970).serialize(serializer)
}

fn of_os(text: &OsStr) -> NvString {
    NvString::from(text.as_bytes())
}

pub(crate) fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    of_os(path.as_os_str()).serialize(serializer)
}

pub(crate) fn maybe_path<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| of_os(path.as_os_str())).serialize(serializer)
}

/// What is printed as one word: a name, a UUID, a kind.
pub(crate) fn word<T: fmt::Display, S: Serializer>(
    word: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(word)
}

/// Words by their names, each with a list of words.
pub(crate) fn words_by_name<T: fmt::Display, S: Serializer>(
    all: &[(String, Vec<T>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    struct Words(Vec<String>);
    impl Serialize for Words {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            string_array::serialize(&self.0, serializer)
        }
    }
    let mut map = serializer.serialize_map(Some(all.len()))?;
    for (name, words) in all {
        let words = words.iter().map(ToString::to_string).collect();
        map.serialize_entry(name, &Words(words))?;
    }
    map.end()
}

pub(crate) fn errno<S: Serializer>(errno: &Errno, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i32(errno.0)
}

pub(crate) fn kind<S: Serializer>(kind: &ErrorKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(kind.number())
}

/// `little` or `big`.
pub(crate) fn byte_order<S: Serializer>(
    order: &ByteOrder,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match order {
        ByteOrder::Little => "little",
        ByteOrder::Big => "big",
    })
}

pub(crate) fn features<S: Serializer>(
    features: &StreamFeatures,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(features.bits())
}

pub(crate) fn begin_flags<S: Serializer>(
    flags: &BeginFlags,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(flags.bits())
}

pub(crate) fn send_flags<S: Serializer>(
    flags: &SendFlags,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(flags.bits())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::nvlist::to_nvlist;

    #[test]
    fn times_and_paths_and_words_are_plain_pairs() {
        #[derive(Serialize)]
        struct Answer {
            #[serde(serialize_with = "seconds")]
            time: SystemTime,
            #[serde(serialize_with = "maybe_seconds")]
            never: Option<SystemTime>,
            #[serde(serialize_with = "path")]
            path: PathBuf,
            #[serde(serialize_with = "words_by_name")]
            words: Vec<(String, Vec<u8>)>,
        }
        let list = to_nvlist(&Answer {
            time: SystemTime::UNIX_EPOCH - Duration::from_secs(5),
            never: None,
            path: PathBuf::from(OsStr::from_bytes(b"/caf\xe9")),
            words: vec![("a".into(), vec![1, 2]), ("b".into(), Vec::new())],
        })
        .unwrap();
        assert_eq!(list.get_i64("time"), Some(-5));
        assert!(!list.contains("never"));
        let words = list.get_list("words").unwrap();
        assert_eq!(words.get("a").unwrap().data_type(), words.get("b").unwrap().data_type());
        assert_eq!(
            list.to_bytes().map(|packed| packed.windows(5).any(|w| w == b"/caf\xe9")),
            Ok(true)
        );
    }
}
