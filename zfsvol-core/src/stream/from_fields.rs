//! Records from their fields by name: the reverse of how they are serialised.
//!
//! Which fields there are is known only once the kind is, which may come last; and what is wrong is to be told with the name of the field. So the fields
//! are kept as a list until then, which knows the names.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Record, RecordType};
use crate::nvlist::{DeError, NvList, Value, from_nvlist};

/// The field that says the kind.
const KIND: &str = "record";

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByName)
    }
}

struct ByName;

impl<'de> Visitor<'de> for ByName {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fields of a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let mut kind = None;
        let mut fields = NvList::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == KIND {
                kind = Some(map.next_value::<RecordType>()?);
            } else {
                let Field(value) = map.next_value()?;
                fields.insert(name, value);
            }
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field(KIND))?;
        of_kind(kind, &fields).map_err(|error| A::Error::custom(error.told_of(kind.name())))
    }
}

fn of_kind(kind: RecordType, fields: &NvList) -> Result<Record, DeError> {
    Ok(match kind {
        RecordType::Begin => Record::Begin(from_nvlist(fields)?),
        RecordType::Object => Record::Object(from_nvlist(fields)?),
        RecordType::FreeObjects => Record::FreeObjects(from_nvlist(fields)?),
        RecordType::Write => Record::Write(from_nvlist(fields)?),
        RecordType::Free => Record::Free(from_nvlist(fields)?),
        RecordType::End => Record::End(from_nvlist(fields)?),
        RecordType::WriteByref => Record::WriteByref(from_nvlist(fields)?),
        RecordType::Spill => Record::Spill(from_nvlist(fields)?),
        RecordType::WriteEmbedded => Record::WriteEmbedded(from_nvlist(fields)?),
        RecordType::ObjectRange => Record::ObjectRange(from_nvlist(fields)?),
        RecordType::Redact => Record::Redact(from_nvlist(fields)?),
    })
}

/// What a field can be: a number, several, bytes, a text, or fields that belong together.
struct Field(Value);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyField).map(Self)
    }
}

struct AnyField;

impl<'de> Visitor<'de> for AnyField {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what a field of a record can be")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Uint64(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int64(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::ByteArray(bytes.to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = seq.next_element()? {
            numbers.push(number);
        }
        Ok(Value::Uint64Array(numbers))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = NvList::new();
        while let Some((name, Field(value))) = map.next_entry::<String, Field>()? {
            fields.insert(name, value);
        }
        Ok(Value::NvList(fields))
    }
}
