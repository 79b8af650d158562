//! Rust values to lists.

use serde::ser::{self, Error, Serialize, Serializer};

use super::key::KeySerializer;
use super::{DataType, NvList, NvString, SerError, Value, typed};

/// The list that a struct or a map stands for, so that requests are plain structs with `#[derive(Serialize)]`.
///
/// | Rust | pair |
/// |---|---|
/// | `bool` | `boolean_value`; with [`flag`](super::flag) a pair without value, there or absent |
/// | `()` | `boolean`, the pair without value |
/// | `i8` … `u64` | `int8` … `uint64` |
/// | `f32`, `f64` | `double`, which the kernel refuses |
/// | `char`, `String`, [`NvString`], unit variants | `string` |
/// | `Option` | the value, or no pair at all |
/// | `Vec` and other sequences, tuples of one type | the array of that type; of structs `nvlist_array` |
/// | `Vec<u8>` | `uint8_array` |
/// | serde's bytes | `byte_array`; with [`uint8_array`](super::uint8_array) that |
/// | structs, maps with strings or numbers as keys | `nvlist`, pairs in the order of the fields |
/// | other variants | `nvlist` of one pair, named after the variant |
/// | [`NvList`], [`Value`] | themselves |
///
/// A sequence without elements does not show its type: leave it out with `skip_serializing_if`, or name the type with
/// [`uint64_array`](super::uint64_array), [`string_array`](super::string_array), [`nvlist_array`](super::nvlist_array),
/// [`uint8_array`](super::uint8_array) or [`byte_array`](super::byte_array).
///
/// # Errors
///
/// When the value is neither struct nor map, or something in it has no pair type; the error names the field.
///
/// # Example
///
/// ```
/// use zfsvol_core::nvlist::{self, NvList};
///
/// #[derive(serde::Serialize)]
/// struct Hold<'a> {
///     holds: NvList,
///     cleanup_fd: Option<i32>,
///     tag: &'a str,
/// }
///
/// let holds = NvList::from_iter([("tank/a@now", "backup")]);
/// let request = nvlist::to_nvlist(&Hold { holds, cleanup_fd: None, tag: "x" })?;
/// assert_eq!(request.require_list("holds")?.get_str("tank/a@now"), Some("backup"));
/// assert!(!request.contains("cleanup_fd"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_nvlist<T: Serialize + ?Sized>(value: &T) -> Result<NvList, SerError> {
    match value.serialize(ValueSerializer)? {
        Out::Value(Value::NvList(list)) => Ok(list),
        other => {
            let what = other.describe();
            Err(SerError::custom(format_args!(
                "a list is made of a struct or a map, not of {what}"
            )))
        }
    }
}

/// What a Rust value becomes.
enum Out {
    Value(Value),
    /// No pair at all.
    Absent,
    /// An array whose type is not known, because it has no elements.
    Empty,
}

impl Out {
    fn describe(&self) -> &'static str {
        match self {
            Self::Value(value) => value.data_type().name(),
            Self::Absent => "nothing",
            Self::Empty => "an empty array of unknown type",
        }
    }

    /// What it becomes where the type is told.
    fn typed(self, kind: DataType) -> Result<Self, SerError> {
        Ok(Self::Value(match (kind, self) {
            (_, Self::Absent) | (DataType::Boolean, Self::Value(Value::BooleanValue(false))) => {
                return Ok(Self::Absent);
            }
            (_, Self::Value(value)) if value.data_type() == kind => value,
            (DataType::Boolean, Self::Value(Value::BooleanValue(true))) => Value::Boolean,
            (DataType::Hrtime, Self::Value(Value::Int64(time))) => Value::Hrtime(time),
            (DataType::ByteArray, Self::Value(Value::Uint8Array(a))) => Value::ByteArray(a),
            (DataType::Uint8Array, Self::Value(Value::ByteArray(a))) => Value::Uint8Array(a),
            (DataType::String, Self::Value(Value::ByteArray(a))) => {
                Value::String(NvString::from(a))
            }
            (DataType::NvList, Self::Value(Value::ByteArray(packed))) => {
                Value::NvList(NvList::from_bytes(&packed).map_err(SerError::custom)?)
            }
            (DataType::Uint64Array, Self::Empty) => Value::Uint64Array(Vec::new()),
            (DataType::StringArray, Self::Empty) => Value::StringArray(Vec::new()),
            (DataType::NvListArray, Self::Empty) => Value::NvListArray(Vec::new()),
            (_, other) => {
                let found = other.describe();
                return Err(SerError::custom(format_args!("{kind} expected, found {found}")));
            }
        }))
    }
}

struct ValueSerializer;

fn value(value: impl Into<Value>) -> Result<Out, SerError> {
    Ok(Out::Value(value.into()))
}

impl Serializer for ValueSerializer {
    type Ok = Out;
    type Error = SerError;
    type SerializeSeq = ArraySerializer;
    type SerializeTuple = ArraySerializer;
    type SerializeTupleStruct = ArraySerializer;
    type SerializeTupleVariant = ArraySerializer;
    type SerializeMap = ListSerializer;
    type SerializeStruct = ListSerializer;
    type SerializeStructVariant = ListSerializer;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, v: bool) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_i8(self, v: i8) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_i16(self, v: i16) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_i32(self, v: i32) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_i64(self, v: i64) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_u8(self, v: u8) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_u16(self, v: u16) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_u32(self, v: u32) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_u64(self, v: u64) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_f32(self, v: f32) -> Result<Out, SerError> {
        value(f64::from(v))
    }

    fn serialize_f64(self, v: f64) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_char(self, v: char) -> Result<Out, SerError> {
        value(String::from(v))
    }

    fn serialize_str(self, v: &str) -> Result<Out, SerError> {
        value(v)
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<Out, SerError> {
        value(Value::ByteArray(v.to_vec()))
    }

    fn serialize_none(self) -> Result<Out, SerError> {
        Ok(Out::Absent)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, v: &T) -> Result<Out, SerError> {
        v.serialize(self)
    }

    fn serialize_unit(self) -> Result<Out, SerError> {
        value(Value::Boolean)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Out, SerError> {
        value(Value::Boolean)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Out, SerError> {
        value(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        v: &T,
    ) -> Result<Out, SerError> {
        let inner = v.serialize(self)?;
        if name == typed::VALUE {
            return unpack_value(inner);
        }
        match typed::data_type(name) {
            Some(kind) => inner.typed(kind),
            None => Ok(inner),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        v: &T,
    ) -> Result<Out, SerError> {
        let mut list = ListSerializer::new(None);
        list.add(variant, v)?;
        list.finish()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ArraySerializer, SerError> {
        Ok(ArraySerializer::new(None))
    }

    fn serialize_tuple(self, _: usize) -> Result<ArraySerializer, SerError> {
        Ok(ArraySerializer::new(None))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<ArraySerializer, SerError> {
        Ok(ArraySerializer::new(None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ArraySerializer, SerError> {
        Ok(ArraySerializer::new(Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<ListSerializer, SerError> {
        Ok(ListSerializer::new(None))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<ListSerializer, SerError> {
        Ok(ListSerializer::new(None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ListSerializer, SerError> {
        Ok(ListSerializer::new(Some(variant)))
    }
}

/// The value that travelled as a packed list of one pair.
fn unpack_value(packed: Out) -> Result<Out, SerError> {
    match packed.typed(DataType::NvList)? {
        Out::Value(Value::NvList(mut list)) => Ok(list.remove("").map_or(Out::Absent, Out::Value)),
        _ => Ok(Out::Absent),
    }
}

/// Puts a variant's content into a list of its own, under the variant's name.
fn in_variant(variant: Option<&'static str>, content: Out) -> Result<Out, SerError> {
    match variant {
        None => Ok(content),
        Some(variant) => {
            let mut list = ListSerializer::new(None);
            list.add_out(variant, content)?;
            list.finish()
        }
    }
}

/// Collects elements of one type.
struct ArraySerializer {
    array: Option<Value>,
    variant: Option<&'static str>,
    count: usize,
}

impl ArraySerializer {
    fn new(variant: Option<&'static str>) -> Self {
        Self { array: None, variant, count: 0 }
    }

    fn add<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), SerError> {
        let place = self.count;
        self.count += 1;
        let element = element.serialize(ValueSerializer).map_err(|error| error.element(place))?;
        let Out::Value(element) = element else {
            let what = element.describe();
            return Err(SerError::custom(format_args!("an array cannot hold {what}")));
        };
        match &mut self.array {
            None => self.array = Some(array_of(element)?),
            Some(array) => push(array, element)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<Out, SerError> {
        in_variant(self.variant, self.array.map_or(Out::Empty, Out::Value))
    }
}

/// An array with one element.
fn array_of(element: Value) -> Result<Value, SerError> {
    Ok(match element {
        Value::BooleanValue(v) => Value::BooleanArray(vec![v]),
        Value::Byte(v) => Value::ByteArray(vec![v]),
        Value::Int8(v) => Value::Int8Array(vec![v]),
        Value::Uint8(v) => Value::Uint8Array(vec![v]),
        Value::Int16(v) => Value::Int16Array(vec![v]),
        Value::Uint16(v) => Value::Uint16Array(vec![v]),
        Value::Int32(v) => Value::Int32Array(vec![v]),
        Value::Uint32(v) => Value::Uint32Array(vec![v]),
        Value::Int64(v) => Value::Int64Array(vec![v]),
        Value::Uint64(v) => Value::Uint64Array(vec![v]),
        Value::String(v) => Value::StringArray(vec![v]),
        Value::NvList(v) => Value::NvListArray(vec![v]),
        other => {
            let kind = other.data_type();
            return Err(SerError::custom(format_args!("there are no arrays of {kind}")));
        }
    })
}

fn push(array: &mut Value, element: Value) -> Result<(), SerError> {
    match (array, element) {
        (Value::BooleanArray(a), Value::BooleanValue(v)) => a.push(v),
        (Value::ByteArray(a), Value::Byte(v)) | (Value::Uint8Array(a), Value::Uint8(v)) => {
            a.push(v);
        }
        (Value::Int8Array(a), Value::Int8(v)) => a.push(v),
        (Value::Int16Array(a), Value::Int16(v)) => a.push(v),
        (Value::Uint16Array(a), Value::Uint16(v)) => a.push(v),
        (Value::Int32Array(a), Value::Int32(v)) => a.push(v),
        (Value::Uint32Array(a), Value::Uint32(v)) => a.push(v),
        (Value::Int64Array(a), Value::Int64(v)) => a.push(v),
        (Value::Uint64Array(a), Value::Uint64(v)) => a.push(v),
        (Value::StringArray(a), Value::String(v)) => a.push(v),
        (Value::NvListArray(a), Value::NvList(v)) => a.push(v),
        (array, element) => {
            let (array, element) = (array.data_type(), element.data_type());
            return Err(SerError::custom(format_args!("{array} cannot hold {element}")));
        }
    }
    Ok(())
}

/// Collects pairs.
struct ListSerializer {
    list: NvList,
    key: String,
    variant: Option<&'static str>,
}

impl ListSerializer {
    fn new(variant: Option<&'static str>) -> Self {
        Self { list: NvList::new(), key: String::new(), variant }
    }

    fn add<T: Serialize + ?Sized>(&mut self, name: &str, v: &T) -> Result<(), SerError> {
        let out = v.serialize(ValueSerializer).map_err(|error| error.inside(name))?;
        self.add_out(name, out)
    }

    fn add_out(&mut self, name: &str, out: Out) -> Result<(), SerError> {
        match out {
            Out::Absent => {}
            Out::Value(value) => {
                self.list.insert(name, value);
            }
            Out::Empty => {
                let error = SerError::custom(
                    "an empty array does not show its type: skip it, or name the type with nvlist::uint64_array and the like",
                );
                return Err(error.inside(name));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Out, SerError> {
        in_variant(self.variant, Out::Value(Value::NvList(self.list)))
    }
}

impl ser::SerializeSeq for ArraySerializer {
    type Ok = Out;
    type Error = SerError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, v: &T) -> Result<(), SerError> {
        self.add(v)
    }

    fn end(self) -> Result<Out, SerError> {
        self.finish()
    }
}

impl ser::SerializeTuple for ArraySerializer {
    type Ok = Out;
    type Error = SerError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, v: &T) -> Result<(), SerError> {
        self.add(v)
    }

    fn end(self) -> Result<Out, SerError> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for ArraySerializer {
    type Ok = Out;
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, v: &T) -> Result<(), SerError> {
        self.add(v)
    }

    fn end(self) -> Result<Out, SerError> {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for ArraySerializer {
    type Ok = Out;
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, v: &T) -> Result<(), SerError> {
        self.add(v)
    }

    fn end(self) -> Result<Out, SerError> {
        self.finish()
    }
}

impl ser::SerializeMap for ListSerializer {
    type Ok = Out;
    type Error = SerError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerError> {
        self.key = key.serialize(KeySerializer)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, v: &T) -> Result<(), SerError> {
        let key = std::mem::take(&mut self.key);
        self.add(&key, v)
    }

    fn end(self) -> Result<Out, SerError> {
        self.finish()
    }
}

impl ser::SerializeStruct for ListSerializer {
    type Ok = Out;
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        v: &T,
    ) -> Result<(), SerError> {
        self.add(name, v)
    }

    fn end(self) -> Result<Out, SerError> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for ListSerializer {
    type Ok = Out;
    type Error = SerError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        v: &T,
    ) -> Result<(), SerError> {
        self.add(name, v)
    }

    fn end(self) -> Result<Out, SerError> {
        self.finish()
    }
}
