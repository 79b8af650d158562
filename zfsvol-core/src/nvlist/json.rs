//! Lists as JSON and back. The form is described in the module's documentation, for those who read it elsewhere.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::list::UNIQUE_NAME;
use super::typed::{self, Bytes};
use super::{DataType, NvList, NvString, Value};

const NVFLAG: &str = "$nvflag";
const PAIRS: &str = "$pairs";
const HEX: &str = "hex";
/// What comes before the bits of a double that is not a number.
const BITS: &str = "bits:";

impl Serialize for NvList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            let packed = self.to_bytes().map_err(S::Error::custom)?;
            return serializer.serialize_newtype_struct(typed::NVLIST, &Bytes(&packed));
        }
        if self.nvflag() == UNIQUE_NAME && !self.may_repeat() {
            let mut map = serializer.serialize_map(Some(self.len()))?;
            for (name, value) in self {
                map.serialize_entry(&Key(name, value.data_type()), &Payload(value))?;
            }
            return map.end();
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(NVFLAG, &self.nvflag())?;
        map.serialize_entry(PAIRS, &Pairs(self))?;
        map.end()
    }
}

/// A name and a type as one key.
struct Key<'a>(&'a str, DataType);

impl Serialize for Key<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}:{}", self.0, self.1))
    }
}

/// The pairs of a list as an array of arrays of two.
struct Pairs<'a>(&'a NvList);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for (name, value) in self.0 {
            seq.serialize_element(&(Key(name, value.data_type()), Payload(value)))?;
        }
        seq.end()
    }
}

/// As an object of one entry whose key is the type: `{ "uint64": 17 }`.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            let mut list = NvList::new();
            list.insert("", self.clone());
            let packed = list.to_bytes().map_err(S::Error::custom)?;
            return serializer.serialize_newtype_struct(typed::VALUE, &Bytes(&packed));
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.data_type().name(), &Payload(self))?;
        map.end()
    }
}

/// A value without its type.
struct Payload<'a>(&'a Value);

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Boolean => serializer.serialize_unit(),
            Value::BooleanValue(v) => v.serialize(serializer),
            Value::Byte(v) | Value::Uint8(v) => v.serialize(serializer),
            Value::Int8(v) => v.serialize(serializer),
            Value::Int16(v) => v.serialize(serializer),
            Value::Uint16(v) => v.serialize(serializer),
            Value::Int32(v) => v.serialize(serializer),
            Value::Uint32(v) => v.serialize(serializer),
            Value::Int64(v) | Value::Hrtime(v) => v.serialize(serializer),
            Value::Uint64(v) => v.serialize(serializer),
            Value::Double(v) if v.is_nan() => {
                serializer.collect_str(&format_args!("{BITS}{:016x}", v.to_bits()))
            }
            Value::Double(v) => serializer.collect_str(v),
            Value::String(v) => v.serialize(serializer),
            Value::NvList(v) => v.serialize(serializer),
            Value::BooleanArray(a) => a.serialize(serializer),
            Value::ByteArray(a) => serializer.collect_str(&Hex(a)),
            Value::Int8Array(a) => a.serialize(serializer),
            Value::Uint8Array(a) => a.serialize(serializer),
            Value::Int16Array(a) => a.serialize(serializer),
            Value::Uint16Array(a) => a.serialize(serializer),
            Value::Int32Array(a) => a.serialize(serializer),
            Value::Uint32Array(a) => a.serialize(serializer),
            Value::Int64Array(a) => a.serialize(serializer),
            Value::Uint64Array(a) => a.serialize(serializer),
            Value::StringArray(a) => a.serialize(serializer),
            Value::NvListArray(a) => a.serialize(serializer),
        }
    }
}

/// As a string where it is UTF-8, and else as `{ "hex": ".." }`.
impl Serialize for NvString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_newtype_struct(typed::STRING, &Bytes(self.as_bytes()));
        }
        match self.as_str() {
            Some(text) => serializer.serialize_str(text),
            None => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(HEX, &Hex(self.as_bytes()))?;
                map.end()
            }
        }
    }
}

/// Bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn from_hex<E: de::Error>(text: &str) -> Result<Vec<u8>, E> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0);
    let digits =
        digits.ok_or_else(|| E::custom("bytes are an even number of hexadecimal digits"))?;
    Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

impl<'de> Deserialize<'de> for NvList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_map(ListVisitor);
        }
        let packed = deserializer.deserialize_newtype_struct(typed::NVLIST, PackedVisitor)?;
        Self::from_bytes(&packed).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_map(ValueVisitor);
        }
        let packed = deserializer.deserialize_newtype_struct(typed::VALUE, PackedVisitor)?;
        let mut list = NvList::from_bytes(&packed).map_err(de::Error::custom)?;
        list.remove("").ok_or_else(|| de::Error::custom("no value in the packed list"))
    }
}

impl<'de> Deserialize<'de> for NvString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(StringVisitor);
        }
        let bytes = deserializer.deserialize_newtype_struct(typed::STRING, PackedVisitor)?;
        Ok(Self::from(bytes))
    }
}

/// Takes the bytes of a packed list or of a string.
struct PackedVisitor;

impl<'de> Visitor<'de> for PackedVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, a value or a string")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Vec<u8>, D::Error> {
        typed::bytes(d)
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = NvList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list: an object with keys such as \"guid:uint64\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NvList, A::Error> {
        let mut list = NvList::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                NVFLAG => list = list.ruled_by(map.next_value()?),
                PAIRS => map.next_value_seed(PairsSeed(&mut list))?,
                _ => {
                    let (name, kind) = split_key(&key)?;
                    list.append(name.into(), map.next_value_seed(PayloadSeed(kind))?);
                }
            }
        }
        Ok(list)
    }
}

fn split_key<E: de::Error>(key: &str) -> Result<(&str, DataType), E> {
    let wrong =
        || E::custom(format_args!("key {key:?} is no name and type, such as \"guid:uint64\""));
    let (name, kind) = key.rsplit_once(':').ok_or_else(wrong)?;
    Ok((name, DataType::from_name(kind).ok_or_else(wrong)?))
}

/// Reads an array of pairs into a list.
struct PairsSeed<'a>(&'a mut NvList);

impl<'de> DeserializeSeed<'de> for PairsSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PairsSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of pairs such as [\"guid:uint64\", 17]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some((name, value)) = seq.next_element_seed(PairSeed)? {
            self.0.append(name.into(), value);
        }
        Ok(())
    }
}

/// Reads one pair of an array of pairs.
struct PairSeed;

impl<'de> DeserializeSeed<'de> for PairSeed {
    type Value = (String, Value);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_tuple(2, self)
    }
}

impl<'de> Visitor<'de> for PairSeed {
    type Value = (String, Value);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair such as [\"guid:uint64\", 17]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let missing = |place| de::Error::invalid_length(place, &"a name and a value");
        let key: String = seq.next_element()?.ok_or_else(|| missing(0))?;
        let (name, kind) = split_key(&key)?;
        let value = seq.next_element_seed(PayloadSeed(kind))?.ok_or_else(|| missing(1))?;
        Ok((name.to_owned(), value))
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value such as {\"uint64\": 17}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let wrong =
            || de::Error::custom("a value is an object of one entry, whose key is the type");
        let name: String = map.next_key()?.ok_or_else(wrong)?;
        let kind = DataType::from_name(&name).ok_or_else(wrong)?;
        let value = map.next_value_seed(PayloadSeed(kind))?;
        if map.next_key::<de::IgnoredAny>()?.is_some() {
            return Err(wrong());
        }
        Ok(value)
    }
}

/// Reads a value whose type is known.
struct PayloadSeed(DataType);

impl<'de> DeserializeSeed<'de> for PayloadSeed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        Ok(match self.0 {
            DataType::Boolean => {
                <()>::deserialize(d)?;
                Value::Boolean
            }
            DataType::BooleanValue => Value::BooleanValue(Deserialize::deserialize(d)?),
            DataType::Byte => Value::Byte(Deserialize::deserialize(d)?),
            DataType::Int8 => Value::Int8(Deserialize::deserialize(d)?),
            DataType::Uint8 => Value::Uint8(Deserialize::deserialize(d)?),
            DataType::Int16 => Value::Int16(Deserialize::deserialize(d)?),
            DataType::Uint16 => Value::Uint16(Deserialize::deserialize(d)?),
            DataType::Int32 => Value::Int32(Deserialize::deserialize(d)?),
            DataType::Uint32 => Value::Uint32(Deserialize::deserialize(d)?),
            DataType::Int64 => Value::Int64(Deserialize::deserialize(d)?),
            DataType::Uint64 => Value::Uint64(Deserialize::deserialize(d)?),
            DataType::Hrtime => Value::Hrtime(Deserialize::deserialize(d)?),
            DataType::Double => Value::Double(double(&String::deserialize(d)?)?),
            DataType::String => Value::String(Deserialize::deserialize(d)?),
            DataType::NvList => Value::NvList(Deserialize::deserialize(d)?),
            DataType::BooleanArray => Value::BooleanArray(Deserialize::deserialize(d)?),
            DataType::ByteArray => Value::ByteArray(from_hex(&String::deserialize(d)?)?),
            DataType::Int8Array => Value::Int8Array(Deserialize::deserialize(d)?),
            DataType::Uint8Array => Value::Uint8Array(Deserialize::deserialize(d)?),
            DataType::Int16Array => Value::Int16Array(Deserialize::deserialize(d)?),
            DataType::Uint16Array => Value::Uint16Array(Deserialize::deserialize(d)?),
            DataType::Int32Array => Value::Int32Array(Deserialize::deserialize(d)?),
            DataType::Uint32Array => Value::Uint32Array(Deserialize::deserialize(d)?),
            DataType::Int64Array => Value::Int64Array(Deserialize::deserialize(d)?),
            DataType::Uint64Array => Value::Uint64Array(Deserialize::deserialize(d)?),
            DataType::StringArray => Value::StringArray(Deserialize::deserialize(d)?),
            DataType::NvListArray => Value::NvListArray(Deserialize::deserialize(d)?),
        })
    }
}

fn double<E: de::Error>(text: &str) -> Result<f64, E> {
    let number = match text.strip_prefix(BITS) {
        Some(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
        None => text.parse().ok(),
    };
    number.ok_or_else(|| E::custom(format_args!("{text:?} is no double")))
}

struct StringVisitor;

impl<'de> Visitor<'de> for StringVisitor {
    type Value = NvString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or its bytes as {\"hex\": \"636166e9\"}")
    }

    fn visit_str<E>(self, text: &str) -> Result<NvString, E> {
        Ok(NvString::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<NvString, E> {
        Ok(NvString::from(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NvString, A::Error> {
        let wrong = || de::Error::custom("a string is text, or {\"hex\": \"..\"}");
        match map.next_entry::<String, String>()? {
            Some((key, digits)) if key == HEX => {
                if map.next_key::<de::IgnoredAny>()?.is_some() {
                    return Err(wrong());
                }
                from_hex(&digits).map(NvString::from)
            }
            _ => Err(wrong()),
        }
    }
}
