//! Send streams as data: what can be told of a stream without a kernel.
//!
//! [`BeginRecord`] is the record every stream begins with; [`ResumeToken`] says where an interrupted receive stopped.

mod begin;
mod token;

pub use begin::{
    BEGIN_RECORD_BYTES, BeginFlags, BeginRecord, BeginRecordError, HeaderType, StreamFeatures,
};
pub use token::{ResumeToken, SendFlags, TOKEN_BYTES_MAX, TokenError};
