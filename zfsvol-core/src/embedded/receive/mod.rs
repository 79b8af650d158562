//! Receive: the records of a stream, applied to the content of a dataset.
//!
//! [`ObjsetReceiver`] is the part that needs nothing else. Around it: where a receive goes and whether it may (`begin.rs`), the stream as it
//! comes (`stream.rs`), its properties (`properties.rs`) and keys (`keys.rs`), and its end (`finish.rs`).

mod begin;
mod finish;
mod handler;
mod keys;
mod properties;
mod records;
mod stream;
mod swap;

pub(super) use handler::receive;
pub use records::{ObjsetReceiver, ReceiverOptions};
