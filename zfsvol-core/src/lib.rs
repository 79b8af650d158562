//! The libzfs_core operation set spoken straight to `/dev/zfs`, with no OpenZFS library linked.
//!
//! | layer | module | what it does |
//! |---|---|---|
//! | volumes | [`volume`] | volumes that have an owner, and move |
//! | operations | [`zfs`] | a typed request becomes an nvlist; an errno and an error list become an [`Error`] |
//! | the door | [`kernel`] | one trait, [`kernel::Kernel`], one method that carries every ioctl |
//! | a kernel in this process | [`embedded`] | answers the same ioctls, with no root and no module |
//! | leaves | [`label`], [`nvlist`], [`property`], [`stream`], [`name`], [`units`], [`error`] | call no layer, can be read alone |

pub mod embedded;
mod errno;
pub mod error;
pub mod kernel;
pub mod label;
pub mod name;
pub mod nvlist;
pub mod property;
mod serial;
pub mod stream;
pub mod units;
pub mod volume;
pub mod zfs;

pub use errno::Errno;
pub use error::{BusyReason, Error, ErrorKind, Failure, Result};
pub use name::{
    BookmarkName, DatasetName, Entity, EntityName, NameError, NameReason, PoolName, SnapshotName,
};
pub use units::{Bytes, Guid, Txg};
pub use zfs::Zfs;

/// The README's example is compiled as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
