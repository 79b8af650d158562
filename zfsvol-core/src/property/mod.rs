//! Properties of datasets and pools: the table of those OpenZFS has, their values and sources, and sets of them to write.
//!
//! The table ([`PropertyInfo`]) holds names, types, words and defaults of OpenZFS 2.1 to 2.4. It is what makes a wrong value an error that says
//! what is allowed, before the kernel is asked; it is no list of what may be used. A property that is newer than it is written with
//! [`PropertySet::set_unchecked`] and read as the kernel gives it.

mod dataset;
mod info;
mod number;
mod pool;
mod set;
mod value;
mod words;

pub use info::{DatasetTypes, PropertyAccess, PropertyInfo, PropertyKind, PropertyScope, Unit};
pub use number::NumberError;
pub use set::{PropertySet, USER_PROPERTY_NAME_BYTES_MAX, USER_PROPERTY_VALUE_BYTES_MAX};
pub use value::{Property, PropertyValue, Source};
