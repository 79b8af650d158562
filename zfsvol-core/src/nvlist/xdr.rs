//! The XDR encoding (RFC 4506): the same on every machine, in units of four bytes, most significant byte first.
//!
//! | what | units |
//! |---|---|
//! | list | version `i32`, flags `u32`, pairs, end |
//! | pair | packed size `i32`, native size `i32`, name, type `i32`, elements `i32`, value |
//! | name, string | length `u32`, bytes, filled up with zeros |
//! | byte array | bytes, filled up with zeros |
//! | numbers, booleans | one unit each, two if they have 64 bits; arrays of them have their count first |
//! | strings, lists | one after the other |
//! | end | two zero units |
//!
//! The native size is that of the pair in the native encoding, and OpenZFS checks it. The packed size counts everything
//! including lists inside, and OpenZFS does not look at it. An array without elements has no value at all, not even its
//! count; libnvpair counts and reserves that count all the same, so its buffers end in four zeros for each.
//!
//! Source: OpenZFS 2.4 module/nvpair/nvpair.c, `nvs_xdr_nvpair`, `nvs_xdr_nvp_op`, `nvs_xdr_nvp_size`;
//! module/os/linux/spl/spl-xdr.c.

use super::decode::Budget;
use super::encode::{Writer, check_name, check_strings, length};
use super::native::{self, Shape, VERSION};
use super::reader::Reader;
use super::word::Word;
use super::{DataType, DecodeCode, DecodeError, EncodeCode, EncodeError, NvList, NvString, Value};

/// What everything is filled up to.
const UNIT_BYTES: usize = 4;
/// The shortest list: version, flags, end.
const LIST_BYTES_MIN: usize = 16;

/// Writes a list, header of the packing excepted, and the zeros that libnvpair leaves at its end.
pub(super) fn encode(writer: &mut Writer, list: &NvList) -> Result<(), EncodeError> {
    let slack = encode_list(writer, list)?;
    writer.zeros(slack);
    Ok(())
}

/// Writes a list and answers how many bytes libnvpair would count for it and not write.
fn encode_list(writer: &mut Writer, list: &NvList) -> Result<usize, EncodeError> {
    writer.word(VERSION);
    writer.word(list.nvflag());
    let mut slack = 0;
    for (name, value) in list {
        slack += encode_pair(writer, name, value).map_err(|error| error.inside(name))?;
    }
    writer.word(0_u64);
    Ok(slack)
}

fn encode_pair(writer: &mut Writer, name: &str, value: &Value) -> Result<usize, EncodeError> {
    check_name(name)?;
    check_strings(value)?;
    let native = native::pair_bytes(name, value);
    let start = writer.out.len();
    writer.word(0_i32);
    writer.word(length(native.ok_or_else(|| EncodeError::new(EncodeCode::TooLong))?)?);
    encode_string(writer, name.as_bytes())?;
    writer.word(value.data_type().code());
    writer.word(length(value.element_count())?);
    let slack = encode_value(writer, value)?;
    let packed = length(writer.out.len() - start + slack)?;
    if let Some(size) = writer.out.get_mut(start..start + UNIT_BYTES) {
        size.copy_from_slice(&packed.to_be_bytes());
    }
    Ok(slack)
}

fn encode_value(writer: &mut Writer, value: &Value) -> Result<usize, EncodeError> {
    match value {
        Value::Boolean => {}
        Value::BooleanValue(b) => writer.word(u32::from(*b)),
        Value::Byte(n) | Value::Uint8(n) => encode_narrow(writer, *n),
        Value::Int8(n) => encode_narrow(writer, *n),
        Value::Int16(n) => encode_narrow(writer, *n),
        Value::Uint16(n) => encode_narrow(writer, *n),
        Value::Int32(n) => writer.word(*n),
        Value::Uint32(n) => writer.word(*n),
        Value::Int64(n) | Value::Hrtime(n) => writer.word(*n),
        Value::Uint64(n) => writer.word(*n),
        Value::Double(n) => writer.word(*n),
        Value::String(string) => encode_string(writer, string.as_bytes())?,
        Value::NvList(list) => return writer.nested(|writer| encode_list(writer, list)),
        Value::ByteArray(a) => encode_bytes(writer, a),
        Value::BooleanArray(a) => {
            return encode_array(writer, a, |writer, b| writer.word(u32::from(b)));
        }
        Value::Int8Array(a) => return encode_array(writer, a, encode_narrow),
        Value::Uint8Array(a) => return encode_array(writer, a, encode_narrow),
        Value::Int16Array(a) => return encode_array(writer, a, encode_narrow),
        Value::Uint16Array(a) => return encode_array(writer, a, encode_narrow),
        Value::Int32Array(a) => return encode_array(writer, a, Writer::word),
        Value::Uint32Array(a) => return encode_array(writer, a, Writer::word),
        Value::Int64Array(a) => return encode_array(writer, a, Writer::word),
        Value::Uint64Array(a) => return encode_array(writer, a, Writer::word),
        Value::StringArray(strings) => {
            strings.iter().try_for_each(|string| encode_string(writer, string.as_bytes()))?;
        }
        Value::NvListArray(lists) => {
            let mut slack = 0;
            for (place, list) in lists.iter().enumerate() {
                let encoded = writer.nested(|writer| encode_list(writer, list));
                slack += encoded.map_err(|error| error.element(place))?;
            }
            return Ok(slack);
        }
    }
    Ok(0)
}

fn encode_array<T: Copy>(
    writer: &mut Writer,
    array: &[T],
    each: impl Fn(&mut Writer, T),
) -> Result<usize, EncodeError> {
    if array.is_empty() {
        return Ok(UNIT_BYTES);
    }
    writer.word(length(array.len())?);
    array.iter().for_each(|element| each(writer, *element));
    Ok(0)
}

/// A number of less than 32 bits in a unit of its own. Not sign-extended, as in the kernel, which refuses the rest.
fn encode_narrow<T: Word>(writer: &mut Writer, number: T) {
    writer.zeros(UNIT_BYTES.saturating_sub(T::WIDTH));
    writer.word(number);
}

fn encode_string(writer: &mut Writer, string: &[u8]) -> Result<(), EncodeError> {
    writer.word(length(string.len())?);
    encode_bytes(writer, string);
    Ok(())
}

fn encode_bytes(writer: &mut Writer, bytes: &[u8]) {
    writer.out.extend_from_slice(bytes);
    writer.zeros(fill(bytes.len()));
}

/// How many bytes are missing to a whole unit.
const fn fill(length: usize) -> usize {
    (UNIT_BYTES - length % UNIT_BYTES) % UNIT_BYTES
}

/// Reads a list, header of the packing excepted, and answers how many bytes libnvpair counted and did not write.
pub(super) fn decode(
    reader: &mut Reader<'_>,
    budget: &mut Budget,
) -> Result<(NvList, usize), DecodeError> {
    let mut slack = 0;
    let list = decode_list(reader, budget, &mut slack)?;
    Ok((list, slack))
}

fn decode_list(
    reader: &mut Reader<'_>,
    budget: &mut Budget,
    slack: &mut usize,
) -> Result<NvList, DecodeError> {
    let at = reader.offset();
    if reader.word::<i32>()? != VERSION {
        return Err(DecodeError::new(DecodeCode::UnknownVersion, at));
    }
    let mut list = NvList::with_nvflag(reader.word()?);
    loop {
        reader.word::<i32>()?;
        let size_at = reader.offset();
        let native = reader.word::<i32>()?;
        if native == 0 {
            return Ok(list);
        }
        budget.pair(reader)?;
        let name = decode_name(reader)?;
        let value = decode_value(reader, budget, slack).map_err(|error| error.inside(name))?;
        if native::pair_bytes(name, &value) != usize::try_from(native).ok() {
            return Err(DecodeError::new(DecodeCode::PairSize, size_at).inside(name));
        }
        list.append(name.into(), value);
    }
}

fn decode_name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    let offset = reader.offset();
    let name = decode_string(reader, DecodeCode::PairName)?;
    if name.len() > super::NAME_BYTES_MAX {
        return Err(DecodeError::new(DecodeCode::PairName, offset));
    }
    std::str::from_utf8(name).map_err(|_| DecodeError::new(DecodeCode::NameNotUtf8, offset))
}

fn decode_value(
    reader: &mut Reader<'_>,
    budget: &mut Budget,
    slack: &mut usize,
) -> Result<Value, DecodeError> {
    let (kind_at, kind) = (reader.offset(), reader.word()?);
    let (count_at, count) = (reader.offset(), reader.word()?);
    let shape = Shape { count_at, count, kind_at, kind };
    let (kind, count) = shape.check()?;
    Ok(match kind {
        DataType::Boolean => Value::Boolean,
        DataType::BooleanValue => Value::BooleanValue(reader.boolean()?),
        DataType::Byte => Value::Byte(decode_narrow(reader)?),
        DataType::Int8 => Value::Int8(decode_narrow(reader)?),
        DataType::Uint8 => Value::Uint8(decode_narrow(reader)?),
        DataType::Int16 => Value::Int16(decode_narrow(reader)?),
        DataType::Uint16 => Value::Uint16(decode_narrow(reader)?),
        DataType::Int32 => Value::Int32(reader.word()?),
        DataType::Uint32 => Value::Uint32(reader.word()?),
        DataType::Int64 => Value::Int64(reader.word()?),
        DataType::Uint64 => Value::Uint64(reader.word()?),
        DataType::Hrtime => Value::Hrtime(reader.word()?),
        DataType::Double => Value::Double(reader.word()?),
        DataType::String => {
            Value::String(NvString::from(decode_string(reader, DecodeCode::StringNul)?))
        }
        DataType::ByteArray => Value::ByteArray(decode_bytes(reader, count)?.to_vec()),
        DataType::StringArray => {
            reader.need(count, UNIT_BYTES)?;
            let mut strings = Vec::with_capacity(count);
            for _ in 0..count {
                strings.push(NvString::from(decode_string(reader, DecodeCode::StringNul)?));
            }
            Value::StringArray(strings)
        }
        DataType::NvList => Value::NvList(budget.nested(reader, |r, b| decode_list(r, b, slack))?),
        DataType::NvListArray => {
            reader.need(count, LIST_BYTES_MIN)?;
            let mut lists = Vec::with_capacity(count);
            for place in 0..count {
                let list = budget.nested(reader, |r, b| decode_list(r, b, slack));
                lists.push(list.map_err(|error| error.element(place))?);
            }
            Value::NvListArray(lists)
        }
        _ => decode_numbers(reader, slack, kind, count)?,
    })
}

fn decode_numbers(
    reader: &mut Reader<'_>,
    slack: &mut usize,
    kind: DataType,
    count: usize,
) -> Result<Value, DecodeError> {
    if count == 0 {
        *slack += UNIT_BYTES;
    } else {
        let at = reader.offset();
        if usize::try_from(reader.word::<u32>()?).ok() != Some(count) {
            return Err(DecodeError::new(DecodeCode::ElementCount, at));
        }
    }
    Ok(match kind {
        DataType::BooleanArray => Value::BooleanArray(reader.booleans(count)?),
        DataType::Int8Array => Value::Int8Array(decode_narrows(reader, count)?),
        DataType::Uint8Array => Value::Uint8Array(decode_narrows(reader, count)?),
        DataType::Int16Array => Value::Int16Array(decode_narrows(reader, count)?),
        DataType::Uint16Array => Value::Uint16Array(decode_narrows(reader, count)?),
        DataType::Int32Array => Value::Int32Array(reader.words(count)?),
        DataType::Uint32Array => Value::Uint32Array(reader.words(count)?),
        DataType::Int64Array => Value::Int64Array(reader.words(count)?),
        DataType::Uint64Array => Value::Uint64Array(reader.words(count)?),
        _ => return Err(reader.error(DecodeCode::UnknownType)),
    })
}

fn decode_narrows<T: Word>(reader: &mut Reader<'_>, count: usize) -> Result<Vec<T>, DecodeError> {
    reader.need(count, UNIT_BYTES)?;
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        numbers.push(decode_narrow(reader)?);
    }
    Ok(numbers)
}

/// A number of less than 32 bits in a unit of its own: sign-extended by libnvpair's programs, not by the kernel.
fn decode_narrow<T: Word>(reader: &mut Reader<'_>) -> Result<T, DecodeError> {
    let at = reader.offset();
    let wrong = || DecodeError::new(DecodeCode::Integer, at);
    let unit = reader.take(UNIT_BYTES)?;
    let (high, low) = unit.split_at(UNIT_BYTES.saturating_sub(T::WIDTH));
    let negative = low.first().is_some_and(|byte| *byte >= 0x80);
    let plain = high.iter().all(|byte| *byte == 0);
    let extended = negative && high.iter().all(|byte| *byte == 0xff);
    if !plain && !extended {
        return Err(wrong());
    }
    T::read(low, reader.order()).ok_or_else(wrong)
}

/// A length, that many bytes without a NUL, and what fills them up.
fn decode_string<'a>(reader: &mut Reader<'a>, on_nul: DecodeCode) -> Result<&'a [u8], DecodeError> {
    let at = reader.offset();
    let wrong = |code| DecodeError::new(code, at);
    let length = usize::try_from(reader.word::<u32>()?).map_err(|_| wrong(DecodeCode::PairSize))?;
    let bytes = decode_bytes(reader, length)?;
    if bytes.contains(&0) { Err(wrong(on_nul)) } else { Ok(bytes) }
}

fn decode_bytes<'a>(reader: &mut Reader<'a>, length: usize) -> Result<&'a [u8], DecodeError> {
    let bytes = reader.take(length)?;
    let at = reader.offset();
    if reader.take(fill(length))?.iter().any(|byte| *byte != 0) {
        return Err(DecodeError::new(DecodeCode::Padding, at));
    }
    Ok(bytes)
}
