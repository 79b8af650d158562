//! Keys of Rust maps as names of pairs.

use serde::ser::{Error, Impossible, Serialize, Serializer};

use super::SerError;

/// Takes what can be a name: strings, and numbers in decimal.
pub(super) struct KeySerializer;

fn refuse<T>() -> Result<T, SerError> {
    Err(SerError::custom("names are strings or numbers"))
}

impl Serializer for KeySerializer {
    type Ok = String;
    type Error = SerError;
    type SerializeSeq = Impossible<String, SerError>;
    type SerializeTuple = Impossible<String, SerError>;
    type SerializeTupleStruct = Impossible<String, SerError>;
    type SerializeTupleVariant = Impossible<String, SerError>;
    type SerializeMap = Impossible<String, SerError>;
    type SerializeStruct = Impossible<String, SerError>;
    type SerializeStructVariant = Impossible<String, SerError>;

    fn serialize_str(self, v: &str) -> Result<String, SerError> {
        Ok(v.to_owned())
    }

    fn serialize_char(self, v: char) -> Result<String, SerError> {
        Ok(v.to_string())
    }

    fn serialize_i8(self, v: i8) -> Result<String, SerError> {
        Ok(v.to_string())
    }

    fn serialize_i16(self, v: i16) -> Result<String, SerError> {
        Ok(v.to_string())
    }

    fn serialize_i32(self, v: i32) -> Result<String, SerError> {
        Ok(v.to_string())
    }

    fn serialize_i64(self, v: i64) -> Result<String, SerError> {
        Ok(v.to_string())
    }

    fn serialize_u8(self, v: u8) -> Result<String, SerError> {
        Ok(v.to_string())
    }

    fn serialize_u16(self, v: u16) -> Result<String, SerError> {
        Ok(v.to_string())
    }

    fn serialize_u32(self, v: u32) -> Result<String, SerError> {
        Ok(v.to_string())
    }

    fn serialize_u64(self, v: u64) -> Result<String, SerError> {
        Ok(v.to_string())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, SerError> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        v: &T,
    ) -> Result<String, SerError> {
        v.serialize(self)
    }

    fn serialize_bool(self, _: bool) -> Result<String, SerError> {
        refuse()
    }

    fn serialize_f32(self, _: f32) -> Result<String, SerError> {
        refuse()
    }

    fn serialize_f64(self, _: f64) -> Result<String, SerError> {
        refuse()
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<String, SerError> {
        refuse()
    }

    fn serialize_none(self) -> Result<String, SerError> {
        refuse()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<String, SerError> {
        refuse()
    }

    fn serialize_unit(self) -> Result<String, SerError> {
        refuse()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<String, SerError> {
        refuse()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, SerError> {
        refuse()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, SerError> {
        refuse()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, SerError> {
        refuse()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, SerError> {
        refuse()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, SerError> {
        refuse()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, SerError> {
        refuse()
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, SerError> {
        refuse()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, SerError> {
        refuse()
    }
}
