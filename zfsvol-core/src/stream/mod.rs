//! Send streams as data: read, verified, taken apart and written, with no kernel.
//!
//! | what | with |
//! |---|---|
//! | is it sound, and what is in it | [`verify()`], [`verify_bytes`], [`Verifier`] |
//! | is what passes here sound | [`Tee`] |
//! | record by record | [`StreamReader`], [`Record`] |
//! | made, or made anew | [`StreamWriter`] |
//! | what is in a package | [`Package`], [`split`], [`join`] |
//! | made of another | [`recompress`], [`decompress`], [`cut`], [`drop_record`], [`filter`] |
//! | what it holds | [`ZvolImage`] rebuilds a zvol, [`FileTree`] lists files and [`FileImage`] rebuilds one, [`Changes`] lists objects and ranges |
//! | where did a receive stop | [`ResumeToken`] |
//! | what does it begin with | [`BeginRecord`] |
//!
//! Streams come from other machines: whatever is in one, reading it neither panics nor takes more memory than the constants say.
//!
//! # The format
//!
//! A stream is a row of records of 312 bytes, some with a payload behind them, from a BEGIN to an END; a package is a BEGIN with a list of
//! what is in it, an END, the streams, and an END. Numbers are in the byte order of the machine that sent. Every record but BEGIN
//! carries the [`Fletcher4`] of all before it. OpenZFS 2.4 `include/sys/zfs_ioctl.h`, `dmu_replay_record_t`.

pub(crate) mod attributes;
mod begin;
mod changes;
mod checksum;
pub(crate) mod codec;
mod disk;
mod dump;
mod error;
mod fields;
mod file_tree;
mod from_fields;
mod header;
mod image;
mod kind;
mod machine;
mod package;
mod place;
mod reader;
mod record;
mod rules;
mod source;
mod tee;
mod token;
mod transform;
mod verify;
mod writer;
pub(crate) mod zap;

pub use begin::{
    BEGIN_RECORD_BYTES, BeginFlags, BeginRecord, BeginRecordError, HeaderType, StreamFeatures,
};
pub use changes::{Changes, ObjectChanges, Ranges};
pub use checksum::{Checksum, ChecksumKernel, Fletcher4};
pub use disk::Disk;
pub use error::{Problem, StreamError};
pub use file_tree::{FileEntry, FileKind, FileTree, FileTreeError};
pub use header::{Header, RECORD_BYTES};
pub use image::{FileImage, ZvolImage};
pub use kind::{Compression, ObjectType};
pub use machine::{BEGIN_PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX};
pub use package::{Named, Package, PackagedDataset, PackagedValue, join, split};
pub use reader::{Frame, Part, StreamReader};
pub use record::{
    Begin, CryptParams, DedupKey, End, Free, FreeObjects, Object, ObjectRange, RAW_SWAPPED, Record,
    RecordType, Redact, STREAM_MAGIC, STREAM_NAME_BYTES, Spill, StreamName, Write, WriteByref,
    WriteEmbedded,
};
pub use source::{ReadSource, SliceSource, Source};
pub use tee::Tee;
pub use token::{ResumeToken, SendFlags, TOKEN_BYTES_MAX, TokenError};
pub use transform::{cut, decompress, drop_record, filter, recompress};
pub use verify::{RecordCount, Summary, Verifier, verify, verify_bytes};
pub use writer::StreamWriter;

#[cfg(test)]
mod tests;
