//! Results as nvlists: by serde, with the names that the types of zfsvol-core give to their fields.

use std::collections::BTreeMap;

use serde::Serialize;
use zfsvol_core::nvlist::{NvList, NvString, Value, to_nvlist};

use crate::boundary::Out;
use crate::error::Fault;
use crate::nvlist::zfsvol_nvlist;

impl Out<*mut zfsvol_nvlist> {
    /// Gives the list of one result.
    pub(crate) fn list<T: Serialize + ?Sized>(self, answer: &T) -> Result<(), Fault> {
        if self.is_wanted() {
            self.give(list(answer)?);
        }
        Ok(())
    }

    /// Gives the list of the next result of an iterator, or NULL at its end.
    pub(crate) fn next<T: Serialize>(self, answer: Option<&T>) -> Result<(), Fault> {
        self.give_optional(answer.map(list).transpose()?);
        Ok(())
    }

    /// Gives a list of one pair: an array of results.
    pub(crate) fn array<T: Serialize>(self, name: &str, answers: &[T]) -> Result<(), Fault> {
        if self.is_wanted() {
            let all: Result<Vec<NvList>, Fault> = answers.iter().map(list).collect();
            self.give(lists(name, all?));
        }
        Ok(())
    }

    /// Gives a list of one pair: an array of texts or paths.
    pub(crate) fn texts<T: AsRef<[u8]>>(self, name: &str, all: impl IntoIterator<Item = T>) {
        if self.is_wanted() {
            let all = all.into_iter().map(|text| NvString::from(text.as_ref())).collect();
            let mut list = NvList::new();
            list.insert(name, Value::StringArray(all));
            self.give(list);
        }
    }
}

/// The list of one result.
pub(crate) fn list<T: Serialize + ?Sized>(answer: &T) -> Result<NvList, Fault> {
    Ok(to_nvlist(answer)?)
}

/// The value of a pair that a result is: a word, a number, a list.
pub(crate) fn value<T: Serialize>(answer: &T) -> Result<Value, Fault> {
    let mut list = list(&[("value", answer)].into_iter().collect::<BTreeMap<_, _>>())?;
    Ok(list.remove("value").unwrap_or(Value::Boolean))
}

/// A list of one pair: an array of lists.
pub(crate) fn lists(name: &str, all: Vec<NvList>) -> NvList {
    let mut list = NvList::new();
    list.insert(name, Value::NvListArray(all));
    list
}

/// A list of one pair: an array of numbers.
pub(crate) fn numbers(name: &str, all: Vec<u64>) -> NvList {
    let mut list = NvList::new();
    list.insert(name, all);
    list
}
