//! Lists for people to read.

use std::fmt;

use super::{NvList, Value};

/// The pair whose list holds secrets (`ZPOOL_HIDDEN_ARGS`): wrapping keys, which must not end up in a log.
const HIDDEN: &str = "hidden_args";

/// How many elements of an array of numbers, or bytes, are shown.
const ELEMENTS_SHOWN: usize = 32;

/// One pair a line, lists inside indented. Types are left out: `{:?}` shows them.
///
/// What is in a pair named `hidden_args` is not shown in either form, because keys travel there.
///
/// ```
/// # use zfsvol_core::nvlist::NvList;
/// let mut vdev = NvList::new();
/// vdev.insert("type", "disk").insert("guid", 7_u64);
/// let mut pool = NvList::new();
/// pool.insert("name", "tank").insert_flag("spare").insert("children", vec![vdev]);
/// assert_eq!(
///     pool.to_string(),
///     r#"name = "tank"
/// spare
/// children[0]:
///     type = "disk"
///     guid = 7
/// "#
/// );
/// ```
impl fmt::Display for NvList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, self, 0)
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, list: &NvList, indent: usize) -> fmt::Result {
    for (name, value) in list {
        let name = Name(name);
        match value {
            _ if name.0 == HIDDEN => writeln!(f, "{:indent$}{name}: hidden", "")?,
            Value::NvList(list) => {
                writeln!(f, "{:indent$}{name}:", "")?;
                write_list(f, list, indent + 4)?;
            }
            Value::NvListArray(lists) => {
                if lists.is_empty() {
                    writeln!(f, "{:indent$}{name} = []", "")?;
                }
                for (place, list) in lists.iter().enumerate() {
                    writeln!(f, "{:indent$}{name}[{place}]:", "")?;
                    write_list(f, list, indent + 4)?;
                }
            }
            Value::Boolean => writeln!(f, "{:indent$}{name}", "")?,
            _ => writeln!(f, "{:indent$}{name} = {value}", "")?,
        }
    }
    Ok(())
}

/// A name as it is, or quoted when it has characters that would confuse the reader.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '"' | '=');
        if self.0.is_empty() || self.0.contains(odd) {
            write!(f, "{:?}", self.0)
        } else {
            f.write_str(self.0)
        }
    }
}

/// The value alone: strings in quotes, bytes in hexadecimal, long arrays cut short.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("(flag)"),
            Self::BooleanValue(b) => b.fmt(f),
            Self::Byte(n) | Self::Uint8(n) => n.fmt(f),
            Self::Int8(n) => n.fmt(f),
            Self::Int16(n) => n.fmt(f),
            Self::Uint16(n) => n.fmt(f),
            Self::Int32(n) => n.fmt(f),
            Self::Uint32(n) => n.fmt(f),
            Self::Int64(n) | Self::Hrtime(n) => n.fmt(f),
            Self::Uint64(n) => n.fmt(f),
            Self::Double(n) => n.fmt(f),
            Self::String(s) => fmt::Debug::fmt(s, f),
            Self::NvList(list) => write_list(f, list, 0),
            Self::NvListArray(lists) => lists.iter().try_for_each(|list| write_list(f, list, 0)),
            Self::ByteArray(bytes) | Self::Uint8Array(bytes) => write_bytes(f, bytes),
            Self::BooleanArray(a) => write_array(f, a),
            Self::Int8Array(a) => write_array(f, a),
            Self::Int16Array(a) => write_array(f, a),
            Self::Uint16Array(a) => write_array(f, a),
            Self::Int32Array(a) => write_array(f, a),
            Self::Uint32Array(a) => write_array(f, a),
            Self::Int64Array(a) => write_array(f, a),
            Self::Uint64Array(a) => write_array(f, a),
            Self::StringArray(a) => write_array(f, a),
        }
    }
}

fn write_array<T: fmt::Debug>(f: &mut fmt::Formatter<'_>, array: &[T]) -> fmt::Result {
    f.write_str("[")?;
    for (place, element) in array.iter().take(ELEMENTS_SHOWN).enumerate() {
        write!(f, "{}{element:?}", if place == 0 { "" } else { ", " })?;
    }
    if array.len() > ELEMENTS_SHOWN {
        write!(f, ", and {} more", array.len() - ELEMENTS_SHOWN)?;
    }
    f.write_str("]")
}

fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("0x")?;
    bytes.iter().take(ELEMENTS_SHOWN).try_for_each(|byte| write!(f, "{byte:02x}"))?;
    if bytes.len() > ELEMENTS_SHOWN {
        write!(f, " and {} bytes more", bytes.len() - ELEMENTS_SHOWN)?;
    }
    Ok(())
}

/// A map from names to typed values: `{"guid": Uint64(7), "spare": Boolean}`.
impl fmt::Debug for NvList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self {
            if name == HIDDEN {
                map.entry(&name, &format_args!("hidden"));
            } else {
                map.entry(&name, value);
            }
        }
        map.finish()
    }
}
