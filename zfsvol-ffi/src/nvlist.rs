//! [`zfsvol_nvlist`]: properties, arguments and results whose keys are open-ended, in the field's own type.

use std::ffi::c_void;

use zfsvol_core::nvlist::{NvList, NvString, Value};
use zfsvol_core::property::PropertySet;

use crate::boundary::Caller;
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::pair::{integer, numbers, scalar, view, zfsvol_pair, zfsvol_type};
use crate::status::{self, zfsvol_status};
use crate::view::zfsvol_str;

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
