//! Results as nvlists: by serde, with the names that the types of zfsvol-core give to their fields.

use serde::Serialize;
use zfsvol_core::nvlist::{NvList, NvString, Value, to_nvlist};

use crate::error::Fault;

/// The list of one result.
pub(crate) fn list<T: Serialize + ?Sized>(answer: &T) -> Result<NvList, Fault> {
    Ok(to_nvlist(answer)?)
}

/// A list of one pair: an array of results.
pub(crate) fn array<T: Serialize>(name: &str, answers: &[T]) -> Result<NvList, Fault> {
    let all: Result<Vec<NvList>, Fault> = answers.iter().map(list).collect();
    Ok(lists(name, all?))
}

/// A list of one pair: an array of lists.
pub(crate) fn lists(name: &str, all: Vec<NvList>) -> NvList {
    let mut list = NvList::new();
    list.insert(name, Value::NvListArray(all));
    list
}

/// A list of one pair: an array of texts or paths.
pub(crate) fn texts<T: AsRef<[u8]>>(name: &str, all: impl IntoIterator<Item = T>) -> NvList {
    let all = all.into_iter().map(|text| NvString::from(text.as_ref())).collect();
    let mut list = NvList::new();
    list.insert(name, Value::StringArray(all));
    list
}

/// A list of one pair: an array of numbers.
pub(crate) fn numbers(name: &str, all: Vec<u64>) -> NvList {
    let mut list = NvList::new();
    list.insert(name, all);
    list
}
