//! Properties of datasets and pools: the table of those OpenZFS has, their values and sources, and sets of them to write.
//!
//! The table ([`PropertyInfo`]) holds names, types, words and defaults of OpenZFS 2.1 to 2.4. It is what makes a wrong value an error that says
//! what is allowed, before the kernel is asked; it is no list of what may be used. A property that is newer than it is written with
//! [`PropertySet::set_unchecked`] and read as the kernel gives it.

mod dataset;
mod info;
mod number;
mod pool;
mod properties;
mod reservation;
mod set;
mod value;
mod words;

pub use info::{
    DatasetKind, DatasetTypes, PropertyAccess, PropertyInfo, PropertyKind, PropertyScope, Unit,
};
pub use number::NumberError;
pub use properties::Properties;
pub(crate) use properties::{Reading, ZPL};
pub use reservation::{ParityLayout, ZvolSize, zvol_reservation};
pub use set::{
    MountEffect, PropertySet, USER_PROPERTY_NAME_BYTES_MAX, USER_PROPERTY_VALUE_BYTES_MAX,
};
pub use value::{Property, PropertyValue, Source};
