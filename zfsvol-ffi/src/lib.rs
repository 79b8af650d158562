//! The C ABI of zfsvol: `include/zfsvol.h`, `libzfsvol.so` and `libzfsvol.a`.
//!
//! The contract that every function keeps, and that its caller keeps, is in `cbindgen.toml`, which puts it at the top of the header. What
//! it rests on is in five files: [`boundary`] (no panic and no unchecked pointer gets across), [`status`], [`error`], [`view`]
//! (what C lends) and [`handle`] (what C owns). Every other file is one kind of object.

#![expect(unsafe_code, reason = "C calls it: exported names, and pointers that come from there")]
#![expect(non_camel_case_types, reason = "types have the names that C knows them by")]
#![expect(
    clippy::missing_safety_doc,
    reason = "what a caller must keep to is the same for all functions, and said once, at the top of the header"
)]

#[macro_use]
pub mod boundary;
pub mod activity;
mod answer;
pub mod batch;
pub mod dataset;
mod descriptors;
pub mod device;
pub mod diff;
pub mod door;
pub mod error;
pub mod event;
pub mod handle;
pub mod import;
pub mod io;
pub mod key;
pub mod label;
pub mod list;
pub mod mount;
pub mod name;
pub mod node;
pub mod nvlist;
pub mod packed;
pub mod pair;
pub mod peer;
pub mod policy;
pub mod pool;
pub mod property;
pub mod quota;
pub mod rebuild;
pub mod receive;
pub mod record;
pub mod retention;
pub mod send;
pub mod snapshot;
pub mod status;
pub mod stream;
pub mod stream_writer;
pub mod topology;
pub mod transfer;
pub mod transform;
pub mod transport;
pub mod vdev;
pub mod version;
pub mod view;
pub mod zfs;
