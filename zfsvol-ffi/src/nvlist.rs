//! [`zfsvol_nvlist`]: properties, arguments and results whose keys are open-ended, in the field's own type.

use std::ffi::c_void;

use zfsvol_core::nvlist::{ByteOrder, DataType, Encoding, NvList, NvString, Value};
use zfsvol_core::property::PropertySet;

use crate::boundary::Caller;
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::status::{self, zfsvol_status};
use crate::view::{zfsvol_buffer, zfsvol_str};

/// A name-value list, as OpenZFS has them. Owned by the caller, freed by `zfsvol_nvlist_free`.
///
/// A plain container: it can be read by any number of threads, but while it is changed nobody else may use it. What is lent from it (texts, arrays) lasts
/// until it is changed or freed. Names are unique: to put a pair replaces the one of that name.
#[derive(Debug)]
pub struct zfsvol_nvlist {
    _private: [u8; 0],
}

impl Object for zfsvol_nvlist {
    type Value = NvList;
    const NAME: &'static str = "zfsvol_nvlist";
}

/// The type of a pair: a `ZFSVOL_TYPE_...`, OpenZFS's own number of `data_type_t`.
pub type zfsvol_type = u32;

/// No value: the pair is there or it is not.
pub const ZFSVOL_TYPE_BOOLEAN: zfsvol_type = 1;
/// One byte.
pub const ZFSVOL_TYPE_BYTE: zfsvol_type = 2;
/// `int16_t`
pub const ZFSVOL_TYPE_INT16: zfsvol_type = 3;
/// `uint16_t`
pub const ZFSVOL_TYPE_UINT16: zfsvol_type = 4;
/// `int32_t`
pub const ZFSVOL_TYPE_INT32: zfsvol_type = 5;
/// `uint32_t`
pub const ZFSVOL_TYPE_UINT32: zfsvol_type = 6;
/// `int64_t`
pub const ZFSVOL_TYPE_INT64: zfsvol_type = 7;
/// `uint64_t`
pub const ZFSVOL_TYPE_UINT64: zfsvol_type = 8;
/// A text: bytes without NUL, nearly always UTF-8.
pub const ZFSVOL_TYPE_STRING: zfsvol_type = 9;
/// Bytes.
pub const ZFSVOL_TYPE_BYTE_ARRAY: zfsvol_type = 10;
/// Array of `int16_t`.
pub const ZFSVOL_TYPE_INT16_ARRAY: zfsvol_type = 11;
/// Array of `uint16_t`.
pub const ZFSVOL_TYPE_UINT16_ARRAY: zfsvol_type = 12;
/// Array of `int32_t`.
pub const ZFSVOL_TYPE_INT32_ARRAY: zfsvol_type = 13;
/// Array of `uint32_t`.
pub const ZFSVOL_TYPE_UINT32_ARRAY: zfsvol_type = 14;
/// Array of `int64_t`.
pub const ZFSVOL_TYPE_INT64_ARRAY: zfsvol_type = 15;
/// Array of `uint64_t`.
pub const ZFSVOL_TYPE_UINT64_ARRAY: zfsvol_type = 16;
/// Texts.
pub const ZFSVOL_TYPE_STRING_ARRAY: zfsvol_type = 17;
/// A time in nanoseconds, `int64_t`.
pub const ZFSVOL_TYPE_HRTIME: zfsvol_type = 18;
/// A list inside the list.
pub const ZFSVOL_TYPE_NVLIST: zfsvol_type = 19;
/// Lists inside the list.
pub const ZFSVOL_TYPE_NVLIST_ARRAY: zfsvol_type = 20;
/// `true` or `false`.
pub const ZFSVOL_TYPE_BOOLEAN_VALUE: zfsvol_type = 21;
/// `int8_t`
pub const ZFSVOL_TYPE_INT8: zfsvol_type = 22;
/// `uint8_t`
pub const ZFSVOL_TYPE_UINT8: zfsvol_type = 23;
/// Array of `bool`.
pub const ZFSVOL_TYPE_BOOLEAN_ARRAY: zfsvol_type = 24;
/// Array of `int8_t`.
pub const ZFSVOL_TYPE_INT8_ARRAY: zfsvol_type = 25;
/// Array of `uint8_t`.
pub const ZFSVOL_TYPE_UINT8_ARRAY: zfsvol_type = 26;
/// `double`, whose bits are in `number`. Between programs only: the kernel refuses it.
pub const ZFSVOL_TYPE_DOUBLE: zfsvol_type = 27;

/// A pair of a list, as it is read. What it points to is lent by the list.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_pair {
    /// The name.
    pub name: zfsvol_str,
    /// Of what type the value is, and so which of the following has it.
    pub pair_type: zfsvol_type,
    /// The value, of types that are one number: 1 for `true`; negative ones in two's complement, extended to 64 bits; the bits of a `double`.
    pub number: u64,
    /// The value, of a string.
    pub text: zfsvol_str,
    /// The elements, of an array of numbers or of bytes: `count` of the type that the array is of, to be cast to. NULL for arrays of
    /// strings and lists, which `zfsvol_nvlist_text` and `zfsvol_nvlist_list` give one by one.
    pub items: *const c_void,
    /// How many elements an array has.
    pub count: usize,
}

/// Makes an empty list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_new(
    list: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.out(list)?.give(NvList::new()))
}

/// A copy of a list, with all that is in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_clone(
    list: *const zfsvol_nvlist,
    clone: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(clone)?;
        out.give(caller.get(list)?.clone());
    })
}

/// Frees a list. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_free(list: *mut zfsvol_nvlist) {
    boundary!(or(), |caller| caller.free(list)?);
}

/// How many pairs there are, not counting those of lists inside. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_count(list: *const zfsvol_nvlist) -> usize {
    boundary!(or 0, |caller| caller.get(list)?.len())
}

/// The next pair, in the order of the list. `*cursor` is 0 at first and then left alone; `false` when there is none any more.
///
/// Lists of many thousand pairs are quicker read from `zfsvol_nvlist_pack` or `zfsvol_nvlist_to_json`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_next(
    list: *const zfsvol_nvlist,
    cursor: *mut usize,
    pair: *mut zfsvol_pair,
) -> bool {
    boundary!(or false, |caller| {
        let cursor = caller.cell(cursor)?;
        let out = caller.out(pair)?;
        match caller.get(list)?.iter().nth(*cursor) {
            Some((name, value)) => {
                *cursor += 1;
                out.set(view(name, value));
                true
            }
            None => false,
        }
    })
}

/// The pair of that name, of whatever type. `false`, and nothing written, when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_get(
    list: *const zfsvol_nvlist,
    name: zfsvol_str,
    pair: *mut zfsvol_pair,
) -> bool {
    boundary!(or false, |caller| {
        let out = caller.out(pair)?;
        let list = caller.get(list)?;
        // The name in the pair is to last as long as the list.
        let name = caller.text(name)?;
        match list.iter().find(|(found, _)| *found == name) {
            Some((name, value)) => {
                out.set(view(name, value));
                true
            }
            None => false,
        }
    })
}

/// The number of that name, of any type of integer that is not negative.
///
/// Fails with `NOT_FOUND` when there is no such pair, `WRONG_TYPE` when it is something else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_get_u64(
    list: *const zfsvol_nvlist,
    name: zfsvol_str,
    number: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(number)?;
        let (name, value) = find(caller, list, name)?;
        let number = integer(value).and_then(|number| u64::try_from(number).ok());
        out.set(number.ok_or_else(|| wrong_type(name, value, "a number that is not negative"))?);
    })
}

/// The number of that name, of any type of integer that an `int64_t` holds.
///
/// Fails as `zfsvol_nvlist_get_u64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_get_i64(
    list: *const zfsvol_nvlist,
    name: zfsvol_str,
    number: *mut i64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(number)?;
        let (name, value) = find(caller, list, name)?;
        let number = integer(value).and_then(|number| i64::try_from(number).ok());
        out.set(number.ok_or_else(|| wrong_type(name, value, "a number below 2^63"))?);
    })
}

/// The truth of that name: a `boolean_value`; a pair without value is `true`.
///
/// Fails as `zfsvol_nvlist_get_u64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_get_bool(
    list: *const zfsvol_nvlist,
    name: zfsvol_str,
    truth: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(truth)?;
        match find(caller, list, name)? {
            (_, Value::BooleanValue(truth)) => out.set(*truth),
            (_, Value::Boolean) => out.set(true),
            (name, value) => return Err(wrong_type(name, value, "true or false")),
        }
    })
}

/// The string of that name, lent by the list.
///
/// Fails as `zfsvol_nvlist_get_u64`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_get_str(
    list: *const zfsvol_nvlist,
    name: zfsvol_str,
    text: *mut zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(text)?;
        match find(caller, list, name)? {
            (_, Value::String(text)) => out.set(zfsvol_str::of_bytes(text.as_bytes())),
            (name, value) => return Err(wrong_type(name, value, "a string")),
        }
    })
}

/// Element `index` of the string array of that name, lent by the list. A string has one element.
///
/// Fails as `zfsvol_nvlist_get_u64`, and with `NOT_FOUND` beyond the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_text(
    list: *const zfsvol_nvlist,
    name: zfsvol_str,
    index: usize,
    text: *mut zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(text)?;
        let (name, value) = find(caller, list, name)?;
        let found = match value {
            Value::StringArray(texts) => texts.get(index),
            Value::String(text) if index == 0 => Some(text),
            Value::String(_) => None,
            value => return Err(wrong_type(name, value, "an array of strings")),
        };
        let text = found.ok_or_else(|| beyond(name, index))?;
        out.set(zfsvol_str::of_bytes(text.as_bytes()));
    })
}

/// A copy of element `index` of the nvlist array of that name, to be freed. An nvlist has one element.
///
/// Fails as `zfsvol_nvlist_text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_list(
    list: *const zfsvol_nvlist,
    name: zfsvol_str,
    index: usize,
    element: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(element)?;
        let (name, value) = find(caller, list, name)?;
        let found = match value {
            Value::NvListArray(lists) => lists.get(index),
            Value::NvList(list) if index == 0 => Some(list),
            Value::NvList(_) => None,
            value => return Err(wrong_type(name, value, "an array of nvlists")),
        };
        out.give(found.ok_or_else(|| beyond(name, index))?.clone());
    })
}

/// Puts a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_str(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    text: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let text = caller.bytes(text.ptr.cast(), text.len)?;
        put(caller, list, name, Value::String(NvString::from(text)))?;
    })
}

/// Puts a pair without value, by the type `ZFSVOL_TYPE_BOOLEAN`: its presence is the message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_flag(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| put(caller, list, name, Value::Boolean)?)
}

/// Puts `true` or `false`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_bool(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    truth: bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| put(caller, list, name, Value::BooleanValue(truth))?)
}

/// Puts a `uint64`: what numbers are in nearly all requests.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_u64(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    number: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| put(caller, list, name, Value::Uint64(number))?)
}

/// Puts an `int64`: what channel programs take for numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_i64(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    number: i64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| put(caller, list, name, Value::Int64(number))?)
}

/// Puts one number of any type that is one: `number` as in `zfsvol_pair`.
///
/// Fails with `UNKNOWN_NUMBER` for a type that is not one number, `INVALID` when the number is beyond the type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_number(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    pair_type: zfsvol_type,
    number: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| put(caller, list, name, scalar(pair_type, number)?)?)
}

/// Puts an array of numbers: `count` elements of the C type that `pair_type`, a `ZFSVOL_TYPE_..._ARRAY`, is of.
///
/// Fails with `UNKNOWN_NUMBER` for a type that is no array of numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_numbers(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    pair_type: zfsvol_type,
    items: *const c_void,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let value = numbers(caller, pair_type, items, count)?;
        put(caller, list, name, value)?;
    })
}

/// Puts an array of strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_strs(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    texts: *const zfsvol_str,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let texts: Result<Vec<NvString>, Fault> = caller
            .array(texts, count)?
            .iter()
            .map(|text| Ok(NvString::from(caller.bytes(text.ptr.cast(), text.len)?)))
            .collect();
        put(caller, list, name, Value::StringArray(texts?))?;
    })
}

/// Puts a copy of a list into the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_list(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    element: *const zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let element = caller.get(element)?.clone();
        put(caller, list, name, Value::NvList(element))?;
    })
}

/// Puts an array of copies of lists.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_put_lists(
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    elements: *const *const zfsvol_nvlist,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let elements: Result<Vec<NvList>, Fault> = caller
            .array(elements, count)?
            .iter()
            .map(|element| Ok(caller.get(*element)?.clone()))
            .collect();
        put(caller, list, name, Value::NvListArray(elements?))?;
    })
}

/// Removes a pair. Says whether there was one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_remove(list: *mut zfsvol_nvlist, name: zfsvol_str) -> bool {
    boundary!(or false, |caller| {
        let name = caller.text(name)?;
        caller.get_mut(list)?.remove(name).is_some()
    })
}

/// The list as JSON: an object whose keys are `name:type`, so that nothing is lost. Free it with `zfsvol_buffer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_to_json(
    list: *const zfsvol_nvlist,
    json: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(json)?;
        let json = serde_json::to_vec(caller.get(list)?)
            .map_err(|error| Fault::invalid("write the nvlist as JSON", error.to_string()))?;
        out.bytes(json);
    })
}

/// The list that a JSON text of `zfsvol_nvlist_to_json` stands for. `INVALID` when it stands for none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_from_json(
    json: zfsvol_str,
    list: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(list)?;
        let read: NvList = serde_json::from_slice(caller.bytes(json.ptr.cast(), json.len)?)
            .map_err(|error| Fault::invalid("read the JSON as an nvlist", error.to_string()))?;
        out.give(read);
    })
}

/// How a list is packed: a `ZFSVOL_ENCODING_...`.
pub type zfsvol_encoding = u32;

/// As the kernel of this machine reads it in an ioctl.
pub const ZFSVOL_ENCODING_NATIVE: zfsvol_encoding = 0;
/// As streams and labels have it, the same on every machine.
pub const ZFSVOL_ENCODING_XDR: zfsvol_encoding = 1;

/// The list packed, byte for byte as libnvpair does it. Free it with `zfsvol_buffer_free`.
///
/// Fails with `INVALID` when a name or string has a NUL in it, `TOO_LARGE` when it is nested too deep or too long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_pack(
    list: *const zfsvol_nvlist,
    encoding: zfsvol_encoding,
    packed: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(packed)?;
        let encoding = match encoding {
            ZFSVOL_ENCODING_NATIVE => Encoding::Native(ByteOrder::HOST),
            ZFSVOL_ENCODING_XDR => Encoding::Xdr,
            other => return Err(Fault::unknown("encoding", other)),
        };
        let bytes = caller.get(list)?.encode(encoding).map_err(zfsvol_core::Error::from)?;
        out.bytes(bytes);
    })
}

/// The list that is packed in `packed`, in either encoding and byte order. Takes anything: what is no list is refused, in time and memory in
/// proportion to its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_nvlist_unpack(
    packed: *const u8,
    len: usize,
    list: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(list)?;
        let read = NvList::from_bytes(caller.bytes(packed, len)?)
            .map_err(|error| Fault::invalid("unpack the nvlist", error.to_string()))?;
        out.give(read);
    })
}

/// Properties to be set, of a list; none for NULL. Values are strings as `zfs set` takes them, numbers, and `true` and `false` for `on` and `off`.
pub(crate) fn properties(
    caller: &Caller,
    list: *const zfsvol_nvlist,
    empty: PropertySet,
) -> Result<PropertySet, Fault> {
    match caller.get_optional(list)? {
        None => Ok(empty),
        Some(list) => properties_of(list, empty),
    }
}

/// The same of a list at hand.
pub(crate) fn properties_of(list: &NvList, mut set: PropertySet) -> Result<PropertySet, Fault> {
    for (name, value) in list {
        match value {
            Value::String(text) => {
                let text = text.as_str().ok_or_else(|| {
                    let status = status::ZFSVOL_STATUS_NOT_UTF8;
                    Fault::new(status, "set", "its value is not UTF-8").with_target(name)
                })?;
                set.set(name, text)?;
            }
            Value::BooleanValue(on) => {
                set.set(name, *on)?;
            }
            value => match integer(value).and_then(|number| u64::try_from(number).ok()) {
                Some(number) => {
                    set.set(name, number)?;
                }
                None => {
                    let found = value.data_type();
                    let reason =
                        format!("its value is neither text, number nor truth, but {found}");
                    let status = status::ZFSVOL_STATUS_INVALID_PROPERTY;
                    return Err(Fault::new(status, "set", reason).with_target(name));
                }
            },
        }
    }
    Ok(set)
}

fn put(
    caller: &Caller,
    list: *mut zfsvol_nvlist,
    name: zfsvol_str,
    value: Value,
) -> Result<(), Fault> {
    let name = caller.text(name)?;
    caller.get_mut(list)?.insert(name, value);
    Ok(())
}

fn find(
    caller: &Caller,
    list: *const zfsvol_nvlist,
    name: zfsvol_str,
) -> Result<(&str, &Value), Fault> {
    let name = caller.text(name)?;
    let value = caller.get(list)?.get(name).ok_or_else(|| {
        Fault::new(
            status::ZFSVOL_STATUS_NOT_FOUND,
            "read the pair",
            "the list has none of that name",
        )
        .with_target(name)
    })?;
    Ok((name, value))
}

fn wrong_type(name: &str, value: &Value, wanted: &str) -> Fault {
    let reason = format!("it is not {wanted}, but {}", value.data_type());
    Fault::new(status::ZFSVOL_STATUS_WRONG_TYPE, "read the pair", reason).with_target(name)
}

fn beyond(name: &str, index: usize) -> Fault {
    let reason = format!("it has no element {index}");
    Fault::new(status::ZFSVOL_STATUS_NOT_FOUND, "read the pair", reason).with_target(name)
}

/// The number of a value that is one integer.
fn integer(value: &Value) -> Option<i128> {
    Some(match value {
        Value::Byte(n) | Value::Uint8(n) => (*n).into(),
        Value::Int8(n) => (*n).into(),
        Value::Int16(n) => (*n).into(),
        Value::Uint16(n) => (*n).into(),
        Value::Int32(n) => (*n).into(),
        Value::Uint32(n) => (*n).into(),
        Value::Int64(n) | Value::Hrtime(n) => (*n).into(),
        Value::Uint64(n) => (*n).into(),
        _ => return None,
    })
}

/// A pair as C sees it.
fn view(name: &str, value: &Value) -> zfsvol_pair {
    let mut pair = zfsvol_pair {
        name: zfsvol_str::of(name),
        pair_type: number_of(value.data_type()),
        number: 0,
        text: zfsvol_str::NONE,
        items: std::ptr::null(),
        count: 0,
    };
    fn array<T>(pair: &mut zfsvol_pair, items: &[T]) {
        pair.items = items.as_ptr().cast();
        pair.count = items.len();
    }
    match value {
        Value::Boolean | Value::NvList(_) => {}
        Value::BooleanValue(truth) => pair.number = (*truth).into(),
        Value::Double(number) => pair.number = number.to_bits(),
        Value::String(text) => pair.text = zfsvol_str::of_bytes(text.as_bytes()),
        Value::BooleanArray(a) => array(&mut pair, a),
        Value::ByteArray(a) | Value::Uint8Array(a) => array(&mut pair, a),
        Value::Int8Array(a) => array(&mut pair, a),
        Value::Int16Array(a) => array(&mut pair, a),
        Value::Uint16Array(a) => array(&mut pair, a),
        Value::Int32Array(a) => array(&mut pair, a),
        Value::Uint32Array(a) => array(&mut pair, a),
        Value::Int64Array(a) => array(&mut pair, a),
        Value::Uint64Array(a) => array(&mut pair, a),
        Value::StringArray(a) => pair.count = a.len(),
        Value::NvListArray(a) => pair.count = a.len(),
        Value::Uint64(number) => pair.number = *number,
        // Whatever is smaller fits, sign and all.
        small => {
            let number = integer(small).and_then(|number| i64::try_from(number).ok());
            pair.number = number.unwrap_or_default().cast_unsigned_bits();
        }
    }
    pair
}

/// `i64::cast_unsigned` is of Rust 1.87.
trait CastBits {
    fn cast_unsigned_bits(self) -> u64;
}

impl CastBits for i64 {
    fn cast_unsigned_bits(self) -> u64 {
        u64::from_ne_bytes(self.to_ne_bytes())
    }
}

fn number_of(kind: DataType) -> zfsvol_type {
    kind.code().unsigned_abs()
}

fn kind_of(pair_type: zfsvol_type) -> Result<DataType, Fault> {
    i32::try_from(pair_type)
        .ok()
        .and_then(DataType::from_code)
        .ok_or_else(|| Fault::unknown("type of pair", pair_type))
}

/// The value of a type that is one number.
fn scalar(pair_type: zfsvol_type, number: u64) -> Result<Value, Fault> {
    let signed = i64::from_ne_bytes(number.to_ne_bytes());
    let wide = |_| {
        let reason = format!("{number} is beyond the type");
        Fault::invalid("put the number", reason)
    };
    Ok(match kind_of(pair_type)? {
        DataType::BooleanValue if number <= 1 => Value::BooleanValue(number == 1),
        DataType::BooleanValue => return Err(Fault::invalid("put the number", "it is not 0 or 1")),
        DataType::Byte => Value::Byte(u8::try_from(number).map_err(wide)?),
        DataType::Uint8 => Value::Uint8(u8::try_from(number).map_err(wide)?),
        DataType::Uint16 => Value::Uint16(u16::try_from(number).map_err(wide)?),
        DataType::Uint32 => Value::Uint32(u32::try_from(number).map_err(wide)?),
        DataType::Uint64 => Value::Uint64(number),
        DataType::Int8 => Value::Int8(i8::try_from(signed).map_err(wide)?),
        DataType::Int16 => Value::Int16(i16::try_from(signed).map_err(wide)?),
        DataType::Int32 => Value::Int32(i32::try_from(signed).map_err(wide)?),
        DataType::Int64 => Value::Int64(signed),
        DataType::Hrtime => Value::Hrtime(signed),
        DataType::Double => Value::Double(f64::from_bits(number)),
        _ => return Err(Fault::unknown("type that is one number", pair_type)),
    })
}

/// The value of a type that is an array of numbers.
fn numbers(
    caller: &Caller,
    pair_type: zfsvol_type,
    items: *const c_void,
    count: usize,
) -> Result<Value, Fault> {
    Ok(match kind_of(pair_type)? {
        // As bytes: what is neither 0 nor 1 is no `bool`.
        DataType::BooleanArray => Value::BooleanArray(
            caller.bytes(items.cast(), count)?.iter().map(|byte| *byte != 0).collect(),
        ),
        DataType::ByteArray => Value::ByteArray(caller.array(items.cast(), count)?.to_vec()),
        DataType::Int8Array => Value::Int8Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Uint8Array => Value::Uint8Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Int16Array => Value::Int16Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Uint16Array => Value::Uint16Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Int32Array => Value::Int32Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Uint32Array => Value::Uint32Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Int64Array => Value::Int64Array(caller.array(items.cast(), count)?.to_vec()),
        DataType::Uint64Array => Value::Uint64Array(caller.array(items.cast(), count)?.to_vec()),
        _ => return Err(Fault::unknown("type that is an array of numbers", pair_type)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_have_the_kernels_numbers() {
        for kind in DataType::ALL {
            assert_eq!(kind_of(number_of(kind)).ok(), Some(kind));
        }
        assert_eq!(number_of(DataType::Double), ZFSVOL_TYPE_DOUBLE);
        assert_eq!(number_of(DataType::NvListArray), ZFSVOL_TYPE_NVLIST_ARRAY);
        assert_eq!(number_of(DataType::Boolean), ZFSVOL_TYPE_BOOLEAN);
    }

    #[test]
    fn one_number_goes_in_and_comes_out_of_every_type() {
        let minus = (-5_i64).cast_unsigned_bits();
        for (kind, number) in [
            (ZFSVOL_TYPE_BYTE, 255),
            (ZFSVOL_TYPE_INT16, minus),
            (ZFSVOL_TYPE_UINT16, 65_535),
            (ZFSVOL_TYPE_INT32, minus),
            (ZFSVOL_TYPE_UINT32, u64::from(u32::MAX)),
            (ZFSVOL_TYPE_INT64, minus),
            (ZFSVOL_TYPE_UINT64, u64::MAX),
            (ZFSVOL_TYPE_HRTIME, minus),
            (ZFSVOL_TYPE_BOOLEAN_VALUE, 1),
            (ZFSVOL_TYPE_INT8, minus),
            (ZFSVOL_TYPE_UINT8, 255),
            (ZFSVOL_TYPE_DOUBLE, 0.1_f64.to_bits()),
        ] {
            let value = scalar(kind, number).unwrap();
            let pair = view("n", &value);
            assert_eq!((pair.pair_type, pair.number), (kind, number));
        }
        assert!(scalar(ZFSVOL_TYPE_UINT8, 256).is_err());
        assert!(scalar(ZFSVOL_TYPE_STRING, 1).is_err());
        assert!(scalar(99, 1).is_err());
    }
}
