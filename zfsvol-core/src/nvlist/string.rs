//! C strings as they come from the kernel.

use std::borrow::Cow;
use std::fmt;

/// A string of a pair: bytes, almost always UTF-8.
///
/// OpenZFS promises no encoding: a history entry, a user property or an error text holds whatever bytes somebody once
/// wrote. [`as_str`](Self::as_str) answers `None` for what is not UTF-8, [`as_bytes`](Self::as_bytes) always answers, and
/// `Display` replaces what cannot be shown.
///
/// A string cannot hold a NUL byte; one that does can be built, and is refused when it is encoded.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NvString(Box<[u8]>);

impl NvString {
    /// The string's bytes, without the NUL that ends it on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The string, when it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The string with everything that is not UTF-8 replaced by U+FFFD.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the string has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The string's bytes, owned.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_vec()
    }
}

impl From<&str> for NvString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for NvString {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into_boxed_slice())
    }
}

impl From<&String> for NvString {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Vec<u8>> for NvString {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into_boxed_slice())
    }
}

impl From<&[u8]> for NvString {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl AsRef<[u8]> for NvString {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for NvString {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for NvString {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for NvString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

/// Quoted, with everything that is not plain text escaped, so that two different strings never look alike.
impl fmt::Debug for NvString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => fmt::Debug::fmt(text, f),
            None => write!(f, "\"{}\"", self.0.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf8_is_kept_and_shown_escaped() {
        let string = NvString::from(&b"caf\xe9"[..]);
        assert_eq!(string.as_str(), None);
        assert_eq!(string.as_bytes(), b"caf\xe9");
        assert_eq!(string.to_string(), "caf\u{fffd}");
        assert_eq!(format!("{string:?}"), r#""caf\xe9""#);
    }

    #[test]
    fn text_that_is_utf8_reads_as_itself() {
        let string = NvString::from("käse");
        assert_eq!(string, "käse");
        assert_eq!(string.as_str(), Some("käse"));
        assert_eq!(format!("{string} {string:?}"), r#"käse "käse""#);
    }
}
