//! Receive: the records of a stream, applied to the content of a dataset.

mod records;
mod swap;

pub use records::{ObjsetReceiver, ReceiverOptions};
