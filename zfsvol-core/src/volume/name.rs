//! [`VolumeName`]: what a volume is called, on every node.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// Most characters of a volume's name, and of a namespace's: what a DNS label has, which is what the names of most orchestrators fit in.
pub const NAME_CHARS_MAX: usize = 63;

/// Between a namespace and a name. OpenZFS takes it in a component of a dataset's name, and no volume name has it.
const SEPARATOR: char = ':';

/// The name of a volume: 1 to [`NAME_CHARS_MAX`] characters of `a-z A-Z 0-9 _ . -`, alone or in a namespace (`namespace:name`).
///
/// It is the last component of the volume's dataset, the same on every node. Case counts, as it does for OpenZFS.
///
/// ```
/// use zfsvol_core::volume::VolumeName;
///
/// let name: VolumeName = "shop:db-1".parse()?;
/// assert_eq!((name.namespace(), name.name()), (Some("shop"), "db-1"));
/// assert_eq!(
///     "shop/db".parse::<VolumeName>().unwrap_err().to_string(),
///     "'shop/db' is not a volume name: the character '/' is not allowed",
/// );
/// # Ok::<(), zfsvol_core::volume::VolumeNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumeName(String);

/// Why a text is not a volume name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a volume name: {reason}", .name.escape_debug())]
pub struct VolumeNameError {
    name: String,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("it is empty")]
    Empty,
    #[error("its namespace is empty")]
    EmptyNamespace,
    #[error("it has {0} characters, and at most {NAME_CHARS_MAX} are allowed")]
    TooLong(usize),
    #[error("its namespace has {0} characters, and at most {NAME_CHARS_MAX} are allowed")]
    NamespaceTooLong(usize),
    #[error("the character {0:?} is not allowed")]
    Character(char),
    #[error("'.' and '..' are no names")]
    Dots,
}

impl From<VolumeNameError> for Error {
    fn from(error: VolumeNameError) -> Self {
        Self::new(ErrorKind::InvalidName, "use this name", error.to_string()).with_source(error)
    }
}

impl VolumeName {
    /// The name without its namespace.
    pub fn name(&self) -> &str {
        self.0.rsplit(SEPARATOR).next().unwrap_or(&self.0)
    }

    /// The namespace, if it is in one.
    pub fn namespace(&self) -> Option<&str> {
        self.0.split_once(SEPARATOR).map(|(namespace, _)| namespace)
    }

    /// The whole name: the last component of the volume's dataset.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VolumeName {
    type Err = VolumeNameError;

    fn from_str(text: &str) -> Result<Self, VolumeNameError> {
        match check(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(reason) => {
                // A hostile name may be megabytes long; the error does not carry it all.
                let name = text.chars().take(2 * NAME_CHARS_MAX + 1).collect();
                Err(VolumeNameError { name, reason })
            }
        }
    }
}

impl TryFrom<String> for VolumeName {
    type Error = VolumeNameError;

    fn try_from(text: String) -> Result<Self, VolumeNameError> {
        text.parse()
    }
}

impl From<VolumeName> for String {
    fn from(name: VolumeName) -> Self {
        name.0
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str) -> Result<(), Reason> {
    let (namespace, name) = match text.split_once(SEPARATOR) {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    if let Some(namespace) = namespace {
        check_part(namespace, Reason::EmptyNamespace, Reason::NamespaceTooLong)?;
    }
    check_part(name, Reason::Empty, Reason::TooLong)
}

fn check_part(part: &str, empty: Reason, too_long: fn(usize) -> Reason) -> Result<(), Reason> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if part.is_empty() {
        return Err(empty);
    }
    if let Some(character) = part.chars().find(|c| !is_allowed(*c)) {
        return Err(Reason::Character(character));
    }
    // All are ASCII by now: a byte is a character.
    if part.len() > NAME_CHARS_MAX {
        return Err(too_long(part.len()));
    }
    if part == "." || part == ".." { Err(Reason::Dots) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<VolumeName>().unwrap_err().to_string()
    }

    #[test]
    fn names_of_the_allowed_characters_are_names() {
        let longest = format!("{0}:{0}", "n".repeat(NAME_CHARS_MAX));
        for text in ["a", "A.b_c-9", "ns:name", "-", "...", &longest] {
            assert_eq!(text.parse::<VolumeName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_volume_name_is_a_component_of_a_dataset_name() {
        let root: crate::DatasetName = "tank/zfsvol".parse().unwrap();
        let name: VolumeName = "ns:a.b_c-9".parse().unwrap();
        assert_eq!(root.child(name.as_str()).unwrap().as_str(), "tank/zfsvol/ns:a.b_c-9");
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        assert_eq!(refusal(""), "'' is not a volume name: it is empty");
        assert_eq!(refusal("ns:"), "'ns:' is not a volume name: it is empty");
        assert_eq!(refusal(":a"), "':a' is not a volume name: its namespace is empty");
        assert_eq!(refusal(".."), "'..' is not a volume name: '.' and '..' are no names");
        assert_eq!(
            refusal("a:b:c"),
            "'a:b:c' is not a volume name: the character ':' is not allowed"
        );
        assert_eq!(refusal("a b"), "'a b' is not a volume name: the character ' ' is not allowed");
        assert_eq!(
            refusal("a\n"),
            "'a\\n' is not a volume name: the character '\\n' is not allowed"
        );
        assert_eq!(refusal("ä"), "'ä' is not a volume name: the character 'ä' is not allowed");
        assert!(
            refusal(&"n".repeat(64)).ends_with("it has 64 characters, and at most 63 are allowed")
        );
        let namespace = format!("{}:a", "n".repeat(64));
        assert!(
            refusal(&namespace)
                .ends_with("its namespace has 64 characters, and at most 63 are allowed")
        );
        assert!(refusal(&"/".repeat(1 << 20)).len() < 300);
    }

    #[test]
    fn text_from_outside_is_checked_too() {
        assert!(serde_json::from_str::<VolumeName>("\"a/b\"").is_err());
        let name: VolumeName = serde_json::from_str("\"ns:a\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"ns:a\"");
    }
}
