//! Lists to Rust values.

use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Error, IntoDeserializer, Unexpected, Visitor,
};

use super::{DeError, Iter, NvList, NvString, Value, typed};

/// The Rust value that a list stands for, so that replies are plain structs with `#[derive(Deserialize)]`.
///
/// The reverse of [`to_nvlist`](super::to_nvlist), and lenient where nothing is lost: a number of another width is taken
/// if it fits the field, a pair without value is `true`, pairs that the struct does not have are passed over. Strings are
/// borrowed from the list where the struct borrows.
///
/// Structs and maps may be flattened (`#[serde(flatten)]`), but not with an [`NvList`] or a [`Value`] in them: serde keeps what it flattens in
/// a form that has lost the pair types, and reading them is an error.
///
/// # Errors
///
/// When a pair is missing, has another type, or does not fit; the error names the pair and those around it.
///
/// # Example
///
/// ```
/// use zfsvol_core::nvlist::{self, NvList};
///
/// #[derive(Debug, serde::Deserialize)]
/// struct Space {
///     used: u64,
///     compressed: u64,
///     uncompressed: u64,
/// }
///
/// let mut reply = NvList::new();
/// reply.insert("used", 4096_u64).insert("compressed", 2048_u64);
/// let error = nvlist::from_nvlist::<Space>(&reply).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the list does not have the shape it should: missing field `uncompressed`"
/// );
/// ```
pub fn from_nvlist<'de, T: Deserialize<'de>>(list: &'de NvList) -> Result<T, DeError> {
    T::deserialize(ListDeserializer(list))
}

/// Reads one list.
struct ListDeserializer<'de>(&'de NvList);

impl<'de> Deserializer<'de> for ListDeserializer<'de> {
    type Error = DeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_map(Pairs { pairs: self.0.iter(), current: None })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if name == typed::NVLIST {
            let packed = self.0.to_bytes().map_err(DeError::custom)?;
            return visitor.visit_byte_buf(packed);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let mut pairs = self.0.iter();
        match (pairs.next(), pairs.next()) {
            (Some((variant, value)), None) => visitor.visit_enum(Variant { variant, value }),
            _ => Err(DeError::custom("a variant is a list of one pair")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// The pairs of a list as a map.
struct Pairs<'de> {
    pairs: Iter<'de>,
    current: Option<(&'de str, &'de Value)>,
}

impl<'de> de::MapAccess<'de> for Pairs<'de> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeError> {
        self.current = self.pairs.next();
        let Some((name, _)) = self.current else { return Ok(None) };
        seed.deserialize(NameDeserializer(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        let Some((name, value)) = self.current.take() else {
            return Err(DeError::custom("a value was asked for before its name"));
        };
        seed.deserialize(ValueDeserializer(value)).map_err(|error| error.inside(name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.pairs.len())
    }
}

/// Reads a name, also where a number is wanted.
struct NameDeserializer<'de>(&'de str);

/// One method per width: serde asks for each by name.
macro_rules! number_names {
    ($($method:ident $visit:ident,)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            match self.0.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(DeError::invalid_type(Unexpected::Str(self.0), &visitor)),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for NameDeserializer<'de> {
    type Error = DeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_newtype_struct(self)
    }

    number_names! {
        deserialize_i8 visit_i8,
        deserialize_i16 visit_i16,
        deserialize_i32 visit_i32,
        deserialize_i64 visit_i64,
        deserialize_u8 visit_u8,
        deserialize_u16 visit_u16,
        deserialize_u32 visit_u32,
        deserialize_u64 visit_u64,
    }

    serde::forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// Reads one value.
struct ValueDeserializer<'de>(&'de Value);

impl<'de> Deserializer<'de> for ValueDeserializer<'de> {
    type Error = DeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0 {
            Value::Boolean => visitor.visit_unit(),
            Value::BooleanValue(v) => visitor.visit_bool(*v),
            Value::Byte(v) | Value::Uint8(v) => visitor.visit_u8(*v),
            Value::Int8(v) => visitor.visit_i8(*v),
            Value::Int16(v) => visitor.visit_i16(*v),
            Value::Uint16(v) => visitor.visit_u16(*v),
            Value::Int32(v) => visitor.visit_i32(*v),
            Value::Uint32(v) => visitor.visit_u32(*v),
            Value::Int64(v) | Value::Hrtime(v) => visitor.visit_i64(*v),
            Value::Uint64(v) => visitor.visit_u64(*v),
            Value::Double(v) => visitor.visit_f64(*v),
            Value::String(v) => visit_string(v, visitor),
            Value::NvList(v) => ListDeserializer(v).deserialize_any(visitor),
            Value::ByteArray(a) | Value::Uint8Array(a) => visit_array(a, visitor),
            Value::BooleanArray(a) => visit_array(a, visitor),
            Value::Int8Array(a) => visit_array(a, visitor),
            Value::Int16Array(a) => visit_array(a, visitor),
            Value::Uint16Array(a) => visit_array(a, visitor),
            Value::Int32Array(a) => visit_array(a, visitor),
            Value::Uint32Array(a) => visit_array(a, visitor),
            Value::Int64Array(a) => visit_array(a, visitor),
            Value::Uint64Array(a) => visit_array(a, visitor),
            Value::StringArray(a) => visitor.visit_seq(Elements::new(a, StringDeserializer)),
            Value::NvListArray(a) => visitor.visit_seq(Elements::new(a, ListDeserializer)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0 {
            Value::Boolean => visitor.visit_bool(true),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_some(self)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0 {
            Value::ByteArray(a) | Value::Uint8Array(a) => visitor.visit_borrowed_bytes(a),
            Value::String(v) => visitor.visit_borrowed_bytes(v.as_bytes()),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match self.0 {
            Value::NvList(list) if name == typed::NVLIST => {
                ListDeserializer(list).deserialize_newtype_struct(name, visitor)
            }
            value if name == typed::VALUE => {
                let mut list = NvList::new();
                list.insert("", value.clone());
                visitor.visit_byte_buf(list.to_bytes().map_err(DeError::custom)?)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match self.0 {
            Value::String(string) => {
                StringDeserializer(string).deserialize_enum(name, variants, visitor)
            }
            Value::NvList(list) => ListDeserializer(list).deserialize_enum(name, variants, visitor),
            other => {
                let kind = other.data_type();
                Err(DeError::custom(format_args!("a variant is a string or a list, not {kind}")))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

fn visit_string<'de, V: Visitor<'de>>(
    string: &'de NvString,
    visitor: V,
) -> Result<V::Value, DeError> {
    match string.as_str() {
        Some(text) => visitor.visit_borrowed_str(text),
        None => visitor.visit_borrowed_bytes(string.as_bytes()),
    }
}

fn visit_array<'de, T, V>(array: &'de [T], visitor: V) -> Result<V::Value, DeError>
where
    T: Copy + IntoDeserializer<'de, DeError>,
    V: Visitor<'de>,
{
    visitor.visit_seq(SeqDeserializer::new(array.iter().copied()))
}

/// Reads one string of an array.
struct StringDeserializer<'de>(&'de NvString);

impl<'de> Deserializer<'de> for StringDeserializer<'de> {
    type Error = DeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visit_string(self.0, visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_borrowed_bytes(self.0.as_bytes())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match self.0.as_str() {
            Some(variant) => visitor.visit_enum(BorrowedStrDeserializer::new(variant)),
            None => Err(DeError::custom("a variant is named in utf-8")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes option unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The elements of an array, each read by a deserialiser of its own, with its place in the error.
struct Elements<'de, T, D> {
    elements: std::iter::Enumerate<std::slice::Iter<'de, T>>,
    deserializer: fn(&'de T) -> D,
}

impl<'de, T, D> Elements<'de, T, D> {
    fn new(array: &'de [T], deserializer: fn(&'de T) -> D) -> Self {
        Self { elements: array.iter().enumerate(), deserializer }
    }
}

impl<'de, T, D: Deserializer<'de, Error = DeError>> de::SeqAccess<'de> for Elements<'de, T, D> {
    type Error = DeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DeError> {
        let Some((place, element)) = self.elements.next() else { return Ok(None) };
        let value = seed.deserialize((self.deserializer)(element));
        value.map(Some).map_err(|error| error.element(place))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.elements.len())
    }
}

/// The only pair of a list as a variant and its content.
struct Variant<'de> {
    variant: &'de str,
    value: &'de Value,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = DeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DeError> {
        let variant = seed.deserialize(NameDeserializer(self.variant))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = DeError;

    fn unit_variant(self) -> Result<(), DeError> {
        <()>::deserialize(ValueDeserializer(self.value)).map_err(|e| e.inside(self.variant))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DeError> {
        seed.deserialize(ValueDeserializer(self.value)).map_err(|e| e.inside(self.variant))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DeError> {
        ValueDeserializer(self.value).deserialize_seq(visitor).map_err(|e| e.inside(self.variant))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        ValueDeserializer(self.value).deserialize_map(visitor).map_err(|e| e.inside(self.variant))
    }
}
