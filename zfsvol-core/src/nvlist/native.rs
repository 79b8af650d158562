//! The native encoding: pairs laid out as OpenZFS has them in memory.
//!
//! | what | bytes |
//! |---|---|
//! | list | version `i32`, flags `u32`, pairs, end |
//! | pair | size `i32`, name size `i16`, 0 `i16`, elements `i32`, type `i32`, name and its NUL, value; name and value each filled up to 8 |
//! | list inside | in the pair 24 bytes: version `i32`, flags `u32`, 16 zeros; after the pair its pairs, end |
//! | lists inside | in the pair 8 zeros for each, then 24 bytes for each; after the pair, for each, its pairs, end |
//! | strings | 8 zeros for each, then each and its NUL |
//! | end | four zeros |
//!
//! A pair's size does not count the lists inside. Filling up to 8 counts from the start of the pair, which itself is
//! aligned to 4 only. What fills up is zero when written, and not looked at when read, as in OpenZFS.
//!
//! Source: OpenZFS 2.4 module/nvpair/nvpair.c, `nvs_native_nvpair`, `nvs_native_nvp_op`, `i_get_value_size`,
//! `i_validate_nvpair`; include/sys/nvpair.h.

use super::decode::Budget;
use super::encode::{Writer, check_name, check_strings, length};
use super::reader::Reader;
use super::{DataType, DecodeCode, DecodeError, EncodeCode, EncodeError, NvList, NvString, Value};

/// What comes before a pair's name.
const PAIR_HEADER_BYTES: usize = 16;
/// The smallest pair: a header, and a name that is only its NUL, filled up.
const PAIR_BYTES_MIN: usize = 24;
/// What stands for a list inside its pair: version, flags, and three fields that mean nothing in packed form.
const LIST_BYTES: usize = 24;
/// What stands for a pointer, which means nothing in packed form.
const POINTER_BYTES: usize = 8;
/// The only version of lists (`NV_VERSION`).
pub(super) const VERSION: i32 = 0;

/// The bytes of a pair, those of lists inside not counted. XDR writes this number too.
pub(super) fn pair_bytes(name: &str, value: &Value) -> Option<usize> {
    let count = value.element_count();
    let value = match value {
        Value::Boolean => 0,
        Value::Byte(_) | Value::Int8(_) | Value::Uint8(_) => 1,
        Value::Int16(_) | Value::Uint16(_) => 2,
        Value::BooleanValue(_) | Value::Int32(_) | Value::Uint32(_) => 4,
        Value::Int64(_) | Value::Uint64(_) | Value::Hrtime(_) | Value::Double(_) => 8,
        Value::String(string) => string.len().checked_add(1)?,
        Value::NvList(_) => LIST_BYTES,
        Value::ByteArray(_) | Value::Int8Array(_) | Value::Uint8Array(_) => count,
        Value::Int16Array(_) | Value::Uint16Array(_) => count.checked_mul(2)?,
        Value::BooleanArray(_) | Value::Int32Array(_) | Value::Uint32Array(_) => {
            count.checked_mul(4)?
        }
        Value::Int64Array(_) | Value::Uint64Array(_) => count.checked_mul(8)?,
        Value::StringArray(strings) => strings
            .iter()
            .try_fold(0_usize, |sum, string| sum.checked_add(POINTER_BYTES + 1 + string.len()))?,
        Value::NvListArray(_) => count.checked_mul(POINTER_BYTES + LIST_BYTES)?,
    };
    let name = PAIR_HEADER_BYTES.checked_add(name.len())?.checked_add(1)?;
    name.checked_next_multiple_of(8)?.checked_add(value.checked_next_multiple_of(8)?)
}

/// Writes a list, header of the packing excepted.
pub(super) fn encode(writer: &mut Writer, list: &NvList) -> Result<(), EncodeError> {
    writer.word(VERSION);
    writer.word(list.nvflag());
    encode_pairs(writer, list)
}

fn encode_pairs(writer: &mut Writer, list: &NvList) -> Result<(), EncodeError> {
    for (name, value) in list {
        encode_pair(writer, name, value).map_err(|error| error.inside(name))?;
    }
    writer.word(0_i32);
    Ok(())
}

fn encode_pair(writer: &mut Writer, name: &str, value: &Value) -> Result<(), EncodeError> {
    check_name(name)?;
    check_strings(value)?;
    let size = pair_bytes(name, value).ok_or_else(|| EncodeError::new(EncodeCode::TooLong))?;
    let name_size = i16::try_from(name.len() + 1);
    let start = writer.out.len();
    writer.word(length(size)?);
    writer.word(name_size.map_err(|_| EncodeError::new(EncodeCode::NameTooLong))?);
    writer.word(0_i16);
    writer.word(length(value.element_count())?);
    writer.word(value.data_type().code());
    writer.out.extend_from_slice(name.as_bytes());
    writer.zeros(1);
    fill(writer, start);
    encode_value(writer, value);
    fill(writer, start);
    match value {
        Value::NvList(list) => writer.nested(|writer| encode_pairs(writer, list)),
        Value::NvListArray(lists) => {
            for (place, list) in lists.iter().enumerate() {
                let encoded = writer.nested(|writer| encode_pairs(writer, list));
                encoded.map_err(|error| error.element(place))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Zeros up to the next multiple of 8 from the start of the pair.
fn fill(writer: &mut Writer, start: usize) {
    let past = (writer.out.len() - start) % 8;
    writer.zeros((8 - past) % 8);
}

fn encode_value(writer: &mut Writer, value: &Value) {
    match value {
        Value::Boolean => {}
        Value::BooleanValue(b) => writer.word(u32::from(*b)),
        Value::Byte(n) | Value::Uint8(n) => writer.word(*n),
        Value::Int8(n) => writer.word(*n),
        Value::Int16(n) => writer.word(*n),
        Value::Uint16(n) => writer.word(*n),
        Value::Int32(n) => writer.word(*n),
        Value::Uint32(n) => writer.word(*n),
        Value::Int64(n) | Value::Hrtime(n) => writer.word(*n),
        Value::Uint64(n) => writer.word(*n),
        Value::Double(n) => writer.word(*n),
        Value::String(string) => encode_string(writer, string),
        Value::NvList(list) => encode_list_header(writer, list),
        Value::BooleanArray(a) => a.iter().for_each(|b| writer.word(u32::from(*b))),
        Value::ByteArray(a) | Value::Uint8Array(a) => writer.out.extend_from_slice(a),
        Value::Int8Array(a) => writer.words(a),
        Value::Int16Array(a) => writer.words(a),
        Value::Uint16Array(a) => writer.words(a),
        Value::Int32Array(a) => writer.words(a),
        Value::Uint32Array(a) => writer.words(a),
        Value::Int64Array(a) => writer.words(a),
        Value::Uint64Array(a) => writer.words(a),
        Value::StringArray(strings) => {
            writer.zeros(strings.len() * POINTER_BYTES);
            strings.iter().for_each(|string| encode_string(writer, string));
        }
        Value::NvListArray(lists) => {
            writer.zeros(lists.len() * POINTER_BYTES);
            lists.iter().for_each(|list| encode_list_header(writer, list));
        }
    }
}

fn encode_string(writer: &mut Writer, string: &NvString) {
    writer.out.extend_from_slice(string.as_bytes());
    writer.zeros(1);
}

fn encode_list_header(writer: &mut Writer, list: &NvList) {
    writer.word(VERSION);
    writer.word(list.nvflag());
    writer.zeros(LIST_BYTES - 8);
}

/// Reads a list, header of the packing excepted.
pub(super) fn decode(reader: &mut Reader<'_>, budget: &mut Budget) -> Result<NvList, DecodeError> {
    let list = decode_list_header(reader)?;
    decode_pairs(reader, budget, list)
}

fn decode_list_header(reader: &mut Reader<'_>) -> Result<NvList, DecodeError> {
    let at = reader.offset();
    if reader.word::<i32>()? != VERSION {
        return Err(DecodeError::new(DecodeCode::UnknownVersion, at));
    }
    Ok(NvList::with_nvflag(reader.word()?))
}

fn decode_pairs(
    reader: &mut Reader<'_>,
    budget: &mut Budget,
    mut list: NvList,
) -> Result<NvList, DecodeError> {
    loop {
        let mut ahead = reader.clone();
        let size = ahead.word::<i32>()?;
        if size == 0 {
            *reader = ahead;
            return Ok(list);
        }
        budget.pair(reader)?;
        let wrong_size = || reader.error(DecodeCode::PairSize);
        let size = usize::try_from(size).map_err(|_| wrong_size())?;
        if size < PAIR_BYTES_MIN {
            return Err(wrong_size());
        }
        let mut pair = reader.pair(size)?;
        let (name, value) = decode_pair(&mut pair, reader, budget)?;
        list.append(name, value);
    }
}

/// Reads the pair in `pair`, and from `after` the lists inside it.
fn decode_pair(
    pair: &mut Reader<'_>,
    after: &mut Reader<'_>,
    budget: &mut Budget,
) -> Result<(Box<str>, Value), DecodeError> {
    let start = pair.offset();
    pair.take(4)?;
    let name_size = pair.word::<i16>()?;
    pair.take(2)?;
    let (count_at, count) = (pair.offset(), pair.word()?);
    let (kind_at, kind) = (pair.offset(), pair.word()?);
    let shape = Shape { count_at, count, kind_at, kind };
    let name = decode_name(pair, name_size)?;
    let inside = |error: DecodeError| error.inside(name);
    skip_fill(pair, start).map_err(inside)?;
    let (kind, count) = shape.check().map_err(inside)?;
    let value = decode_value(pair, kind, count).map_err(inside)?;
    skip_fill(pair, start).map_err(inside)?;
    if !pair.rest().is_empty() {
        return Err(inside(pair.error(DecodeCode::PairSize)));
    }
    let value = match value {
        Shallow::Value(value) => value,
        Shallow::List(list) => {
            let list = budget.nested(after, |r, b| decode_pairs(r, b, list)).map_err(inside)?;
            Value::NvList(list)
        }
        Shallow::Lists(mut lists) => {
            for (place, list) in lists.iter_mut().enumerate() {
                let empty = std::mem::take(list);
                *list = budget
                    .nested(after, |r, b| decode_pairs(r, b, empty))
                    .map_err(|error| inside(error.element(place)))?;
            }
            Value::NvListArray(lists)
        }
    };
    Ok((name.into(), value))
}

fn decode_name<'a>(pair: &mut Reader<'a>, size: i16) -> Result<&'a str, DecodeError> {
    let at = pair.offset();
    let wrong = |code| DecodeError::new(code, at);
    let size = usize::try_from(size).map_err(|_| wrong(DecodeCode::PairName))?;
    match pair.take(size)?.split_last() {
        Some((0, name)) if !name.contains(&0) => {
            std::str::from_utf8(name).map_err(|_| wrong(DecodeCode::NameNotUtf8))
        }
        _ => Err(wrong(DecodeCode::PairName)),
    }
}

/// A pair's type and count as they are written.
pub(super) struct Shape {
    pub(super) count_at: usize,
    pub(super) count: i32,
    pub(super) kind_at: usize,
    pub(super) kind: i32,
}

impl Shape {
    /// The type and the count, when there is such a type and it can have that many elements.
    pub(super) fn check(&self) -> Result<(DataType, usize), DecodeError> {
        let Some(kind) = DataType::from_code(self.kind) else {
            return Err(DecodeError::new(DecodeCode::UnknownType, self.kind_at));
        };
        let wrong = || DecodeError::new(DecodeCode::ElementCount, self.count_at);
        let count = usize::try_from(self.count).map_err(|_| wrong())?;
        match (kind, count) {
            (DataType::Boolean, 0) => Ok((kind, count)),
            (DataType::Boolean, _) => Err(wrong()),
            (_, 1) => Ok((kind, count)),
            _ if kind.is_array() => Ok((kind, count)),
            _ => Err(wrong()),
        }
    }
}

fn skip_fill(pair: &mut Reader<'_>, start: usize) -> Result<(), DecodeError> {
    let past = (pair.offset() - start) % 8;
    pair.take((8 - past) % 8).map(|_| ())
}

/// What a pair holds before the lists inside it are read.
enum Shallow {
    Value(Value),
    List(NvList),
    Lists(Vec<NvList>),
}

fn decode_value(
    pair: &mut Reader<'_>,
    kind: DataType,
    count: usize,
) -> Result<Shallow, DecodeError> {
    Ok(Shallow::Value(match kind {
        DataType::Boolean => Value::Boolean,
        DataType::BooleanValue => Value::BooleanValue(pair.boolean()?),
        DataType::Byte => Value::Byte(pair.word()?),
        DataType::Int8 => Value::Int8(pair.word()?),
        DataType::Uint8 => Value::Uint8(pair.word()?),
        DataType::Int16 => Value::Int16(pair.word()?),
        DataType::Uint16 => Value::Uint16(pair.word()?),
        DataType::Int32 => Value::Int32(pair.word()?),
        DataType::Uint32 => Value::Uint32(pair.word()?),
        DataType::Int64 => Value::Int64(pair.word()?),
        DataType::Uint64 => Value::Uint64(pair.word()?),
        DataType::Hrtime => Value::Hrtime(pair.word()?),
        DataType::Double => Value::Double(pair.word()?),
        DataType::String => Value::String(decode_string(pair)?),
        DataType::BooleanArray => Value::BooleanArray(pair.booleans(count)?),
        DataType::ByteArray => Value::ByteArray(pair.take(count)?.to_vec()),
        DataType::Int8Array => Value::Int8Array(pair.words(count)?),
        DataType::Uint8Array => Value::Uint8Array(pair.take(count)?.to_vec()),
        DataType::Int16Array => Value::Int16Array(pair.words(count)?),
        DataType::Uint16Array => Value::Uint16Array(pair.words(count)?),
        DataType::Int32Array => Value::Int32Array(pair.words(count)?),
        DataType::Uint32Array => Value::Uint32Array(pair.words(count)?),
        DataType::Int64Array => Value::Int64Array(pair.words(count)?),
        DataType::Uint64Array => Value::Uint64Array(pair.words(count)?),
        DataType::StringArray => {
            pair.take(pair.need(count, POINTER_BYTES)?)?;
            pair.need(count, 1)?;
            let mut strings = Vec::with_capacity(count);
            for _ in 0..count {
                strings.push(decode_string(pair)?);
            }
            Value::StringArray(strings)
        }
        DataType::NvList => return Ok(Shallow::List(decode_inner_header(pair)?)),
        DataType::NvListArray => {
            pair.take(pair.need(count, POINTER_BYTES)?)?;
            pair.need(count, LIST_BYTES)?;
            let mut lists = Vec::with_capacity(count);
            for _ in 0..count {
                lists.push(decode_inner_header(pair)?);
            }
            return Ok(Shallow::Lists(lists));
        }
    }))
}

fn decode_string(pair: &mut Reader<'_>) -> Result<NvString, DecodeError> {
    let Some(length) = pair.rest().iter().position(|byte| *byte == 0) else {
        return Err(pair.error(DecodeCode::StringUnterminated));
    };
    let string = NvString::from(pair.take(length)?);
    pair.take(1)?;
    Ok(string)
}

fn decode_inner_header(pair: &mut Reader<'_>) -> Result<NvList, DecodeError> {
    let list = decode_list_header(pair)?;
    pair.take(LIST_BYTES - 8)?;
    Ok(list)
}
