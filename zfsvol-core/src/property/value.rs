//! [`PropertyValue`] and where it comes from, its [`Source`].

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::name::DatasetName;
use crate::units::Bytes;

/// The value of a property, typed by what the property is.
///
/// To write one, a text in the form `zfs set` takes is enough (`"lz4"`, `"1.5G"`, `"none"`), as are a `bool` for `on` and `off`, a number,
/// and [`Bytes`]: see the `From` implementations. Values that were read say exactly what they are.
///
/// `Display` prints what `zfs get -p` prints: exact numbers (`1610612736`), a ratio with two decimals (`1.37`), the word of an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PropertyValue {
    /// A number that counts no bytes: a GUID, a transaction group, seconds, a count. Also the number of a word that this library does not know.
    Number(u64),
    /// A number of bytes.
    Size(Bytes),
    /// A ratio, in hundredths: 137 is 1.37.
    Ratio {
        /// The ratio times 100.
        hundredths: u64,
    },
    /// One word of a fixed set, and the number that the kernel knows it by.
    Index {
        /// The word, `lz4`.
        word: &'static str,
        /// The kernel's number for it.
        number: u64,
    },
    /// A text; every user property.
    Text(String),
}

impl PropertyValue {
    /// The number, the number of bytes, the hundredths of a ratio or the number of a word. `None` for a text.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        match self {
            Self::Number(number) | Self::Index { number, .. } => Some(*number),
            Self::Size(bytes) => Some(bytes.get()),
            Self::Ratio { hundredths } => Some(*hundredths),
            Self::Text(_) => None,
        }
    }

    /// The number of bytes, of a property that counts bytes.
    #[must_use]
    pub fn as_bytes(&self) -> Option<Bytes> {
        match self {
            Self::Size(bytes) => Some(*bytes),
            _ => None,
        }
    }

    /// The text, or the word of an index. `None` for numbers.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Index { word, .. } => Some(word),
            _ => None,
        }
    }

    /// `true` for `on`, `false` for `off`, `None` for anything else.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_str()? {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        }
    }
}

impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => fmt::Display::fmt(number, f),
            Self::Size(bytes) => fmt::Display::fmt(&bytes.get(), f),
            Self::Ratio { hundredths } => {
                f.pad(&format!("{}.{:02}", hundredths / 100, hundredths % 100))
            }
            Self::Index { word, .. } => f.pad(word),
            Self::Text(text) => f.pad(text),
        }
    }
}

impl From<&str> for PropertyValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for PropertyValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for PropertyValue {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<u64> for PropertyValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Bytes> for PropertyValue {
    fn from(bytes: Bytes) -> Self {
        Self::Size(bytes)
    }
}

/// `on` or `off`.
impl From<bool> for PropertyValue {
    fn from(on: bool) -> Self {
        Self::Text(if on { "on" } else { "off" }.to_owned())
    }
}

/// Where the value of a property comes from.
///
/// `Display` prints it as the SOURCE column of `zfs get`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Nothing sets it: it is what it is from the start.
    Default,
    /// It was set on this very dataset.
    Local,
    /// It was set on this ancestor, or for a snapshot on its dataset.
    Inherited(DatasetName),
    /// It came with a stream that was received into this dataset.
    Received,
    /// A mount option overrides it, until the file system is unmounted.
    Temporary,
    /// It has no source: it says something about the dataset that nobody sets.
    None,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.pad("default"),
            Self::Local => f.pad("local"),
            Self::Inherited(from) => f.pad(&format!("inherited from {from}")),
            Self::Received => f.pad("received"),
            Self::Temporary => f.pad("temporary"),
            Self::None => f.pad("-"),
        }
    }
}

/// A property as it was read: its value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Property {
    /// The value.
    pub value: PropertyValue,
    /// Where it comes from.
    pub source: Source,
}

/// Numbers of every kind are numbers, a ratio its hundredths; words and texts are texts.
impl Serialize for PropertyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Size(bytes) => serializer.serialize_u64(bytes.get()),
            Self::Ratio { hundredths } => serializer.serialize_u64(*hundredths),
            Self::Index { word, .. } => serializer.serialize_str(word),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// `value`; `source`, one word; and for what is inherited, `inherited_from`.
impl Serialize for Property {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (source, from) = match &self.source {
            Source::Default => ("default", None),
            Source::Local => ("local", None),
            Source::Inherited(from) => ("inherited", Some(from)),
            Source::Received => ("received", None),
            Source::Temporary => ("temporary", None),
            Source::None => ("none", None),
        };
        let mut property = serializer.serialize_struct("Property", 3)?;
        property.serialize_field("value", &self.value)?;
        property.serialize_field("source", source)?;
        property.serialize_field("inherited_from", &from)?;
        property.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_zfs_get_with_exact_numbers() {
        for (value, text) in [
            (PropertyValue::from(Bytes::from_mib(1)), "1048576"),
            (PropertyValue::Ratio { hundredths: 105 }, "1.05"),
            (PropertyValue::Index { word: "lz4", number: 15 }, "lz4"),
            (PropertyValue::from(true), "on"),
            (PropertyValue::from(7_u64), "7"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn sources_print_as_zfs_get() {
        let tank: DatasetName = "tank/a".parse().unwrap();
        assert_eq!(Source::Inherited(tank).to_string(), "inherited from tank/a");
        assert_eq!(Source::None.to_string(), "-");
    }
}
