//! [`zfsvol_error`]: why a call failed, as an object that its caller owns.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;

use zfsvol_core::nvlist::{DeError, NvList, SerError, Value};
use zfsvol_core::stream::{Problem, StreamError, TokenError};
use zfsvol_core::{BusyReason, Error, ErrorKind};

use crate::boundary::panic_text;
use crate::handle::Object;
use crate::nvlist::zfsvol_nvlist;
use crate::status::{self, zfsvol_status};
use crate::view::zfsvol_str;

/// Why a call failed.
///
/// Made by the call that failed, for whoever gave it a place; owned by that caller, and freed by `zfsvol_error_free`. It does not change, and can be read
/// from any thread. What is lent from it lasts until then.
#[derive(Debug)]
pub struct zfsvol_error {
    _private: [u8; 0],
}

impl Object for zfsvol_error {
    type Value = Failed;
    const NAME: &'static str = "zfsvol_error";
}

impl zfsvol_error {
    /// The object for a failure.
    pub(crate) fn give(fault: Fault) -> *mut Self {
        let message = fault.to_string();
        <Self as Object>::give(Failed { message, fault })
    }
}

/// What is behind a [`zfsvol_error`].
#[derive(Debug)]
pub struct Failed {
    message: String,
    fault: Fault,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A failure on its way to C: the library's, or of the boundary itself.
#[derive(Debug)]
pub enum Fault {
    /// What the library failed with.
    Core(Error),
    /// What was refused before it got there, or an error of another type.
    Own {
        /// The status it is returned as.
        status: zfsvol_status,
        /// Completes "cannot".
        operation: &'static str,
        /// What it was done to.
        target: Option<String>,
        /// Why.
        reason: Cow<'static, str>,
    },
}

impl Fault {
    pub(crate) fn new(
        status: zfsvol_status,
        operation: &'static str,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Own { status, operation, target: None, reason: reason.into() }
    }

    pub(crate) fn with_target(self, target: impl Into<String>) -> Self {
        match self {
            Self::Own { status, operation, reason, .. } => {
                Self::Own { status, operation, target: Some(target.into()), reason }
            }
            core @ Self::Core(_) => core,
        }
    }

    /// `what` is NULL.
    pub(crate) fn null(what: &str) -> Self {
        let reason = format!("{what} is NULL, or no pointer to one");
        Self::new(status::ZFSVOL_STATUS_NULL, "use an argument", reason)
    }

    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let reason = format!("the library panicked: {}", panic_text(payload));
        Self::new(status::ZFSVOL_STATUS_PANIC, "finish the call", reason)
    }

    /// A number that is none of those known there.
    pub(crate) fn unknown(what: &'static str, number: impl fmt::Display) -> Self {
        let reason = format!("{number} is not the number of a {what}");
        Self::new(status::ZFSVOL_STATUS_UNKNOWN_NUMBER, "use an argument", reason)
    }

    /// An argument that is not one.
    pub(crate) fn invalid(operation: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status::ZFSVOL_STATUS_INVALID, operation, reason)
    }

    /// What the call returns.
    pub(crate) fn status(&self) -> zfsvol_status {
        match self {
            Self::Core(error) => error.kind().number(),
            Self::Own { status, .. } => *status,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core(error) => fmt::Display::fmt(error, f),
            Self::Own { operation, target: Some(target), reason, .. } => {
                write!(f, "cannot {operation} '{target}': {reason}")
            }
            Self::Own { operation, target: None, reason, .. } => {
                write!(f, "cannot {operation}: {reason}")
            }
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<StreamError> for Fault {
    fn from(error: StreamError) -> Self {
        let kind = match error.problem() {
            Problem::Io(_) => ErrorKind::Io,
            Problem::Truncated { .. } | Problem::NoEnd => ErrorKind::StreamTruncated,
            _ if error.is_damage() => ErrorKind::StreamDamaged,
            _ => ErrorKind::Invalid,
        };
        Self::new(kind.number(), "read the stream", error.to_string())
    }
}

impl From<TokenError> for Fault {
    fn from(error: TokenError) -> Self {
        Self::new(status::ZFSVOL_STATUS_INVALID, "read the resume token", error.to_string())
    }
}

impl From<SerError> for Fault {
    fn from(error: SerError) -> Self {
        Self::new(status::ZFSVOL_STATUS_PROTOCOL, "make an nvlist of the answer", error.to_string())
    }
}

impl From<DeError> for Fault {
    fn from(error: DeError) -> Self {
        Self::new(status::ZFSVOL_STATUS_INVALID, "read the nvlist", error.to_string())
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&std::io::Error> for Fault {
    fn from(error: &std::io::Error) -> Self {
        // What was wrapped on its way through `std::io` is unwrapped.
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::Core(error.clone()),
            None => {
                let kind = match error.kind() {
                    std::io::ErrorKind::BrokenPipe => ErrorKind::Disconnected,
                    std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                    std::io::ErrorKind::StorageFull => ErrorKind::NoSpace,
                    std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::InvalidInput => {
                        ErrorKind::Invalid
                    }
                    _ => ErrorKind::Io,
                };
                Self::new(kind.number(), "read or write", error.to_string())
            }
        }
    }
}

/// One name of a batch that failed. Lent from the error.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_failure {
    /// The name, as it was given.
    pub name: zfsvol_str,
    /// The reason in words.
    pub reason: zfsvol_str,
    /// The status that this name alone would have given.
    pub status: zfsvol_status,
    /// The kernel's errno for this name.
    pub error_number: i32,
}

/// Frees an error. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_free(error: *mut zfsvol_error) {
    boundary!(or(), |caller| caller.free(error)?);
}

/// The status that the call returned with this error: what a program decides by. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_status(error: *const zfsvol_error) -> zfsvol_status {
    boundary!(or 0, |caller| caller.get(error)?.fault.status())
}

/// The kernel's errno, where the kernel refused; else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_errno(error: *const zfsvol_error) -> i32 {
    boundary!(or 0, |caller| match &caller.get(error)?.fault {
        Fault::Core(error) => error.errno().map_or(0, |errno| errno.0),
        Fault::Own { .. } => 0,
    })
}

/// The whole message, for people: operation, target, reason, errno and advice in one line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_message(error: *const zfsvol_error) -> zfsvol_str {
    boundary!(or zfsvol_str::NONE, |caller| zfsvol_str::of(&caller.get(error)?.message))
}

/// What was being done, in OpenZFS's words: `snapshot`, `load the key of`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_operation(error: *const zfsvol_error) -> zfsvol_str {
    boundary!(or zfsvol_str::NONE, |caller| zfsvol_str::of(match &caller.get(error)?.fault {
        Fault::Core(error) => error.operation(),
        Fault::Own { operation, .. } => operation,
    }))
}

/// The dataset, snapshot or pool it was done to; NULL and 0 where there is none, as when some names of a batch failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_target(error: *const zfsvol_error) -> zfsvol_str {
    boundary!(or zfsvol_str::NONE, |caller| zfsvol_str::optional(match &caller.get(error)?.fault {
        Fault::Core(error) => error.target(),
        Fault::Own { target, .. } => target.as_deref(),
    }))
}

/// The reason alone, without operation, target and advice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_reason(error: *const zfsvol_error) -> zfsvol_str {
    boundary!(or zfsvol_str::NONE, |caller| zfsvol_str::of(match &caller.get(error)?.fault {
        Fault::Core(error) => error.reason(),
        Fault::Own { reason, .. } => reason,
    }))
}

/// What to do about it; NULL and 0 where that is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_help(error: *const zfsvol_error) -> zfsvol_str {
    boundary!(or zfsvol_str::NONE, |caller| zfsvol_str::optional(match &caller.get(error)?.fault {
        Fault::Core(error) => error.help(),
        Fault::Own { .. } => None,
    }))
}

/// How many names of a batch failed, as far as the kernel's reply has them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_failures(error: *const zfsvol_error) -> usize {
    boundary!(or 0, |caller| caller.get(error)?.core().map_or(0, |error| error.failures().len()))
}

/// One name of a batch that failed: `index` counts from 0. `false`, and nothing written, where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_failure(
    error: *const zfsvol_error,
    index: usize,
    failure: *mut zfsvol_failure,
) -> bool {
    boundary!(or false, |caller| {
        let out = caller.out(failure)?;
        match caller.get(error)?.core().and_then(|error| error.failures().get(index)) {
            Some(one) => {
                out.set(zfsvol_failure {
                    name: zfsvol_str::of(&one.name),
                    reason: zfsvol_str::of(&one.reason),
                    status: one.kind.number(),
                    error_number: one.errno.0,
                });
                true
            }
            None => false,
        }
    })
}

/// All of it as an nvlist, to be freed with `zfsvol_nvlist_free`. NULL for NULL.
///
/// `status` (uint32), `errno` (int32), `operation`, `target`, `reason`, `help`, `message` (string); `failures` (nvlist array) with `name`, `status`, `errno`,
/// `reason` and `busy`; `failures_omitted` (uint64), how many more failed than the kernel named; `busy` (nvlist array), what keeps the
/// target busy: `why` is one of `holds`, `clones`, `children`, `newer`, `mounted`, `receive_pending`, `receiving`, `device_open`, and `names`
/// (string array) are the tags, datasets, paths, the resume token or the device. What there is none of is left out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_error_details(error: *const zfsvol_error) -> *mut zfsvol_nvlist {
    boundary!(or std::ptr::null_mut(), |caller| zfsvol_nvlist::give(caller.get(error)?.details()))
}

/// A failure as [`zfsvol_error_details`] has it.
pub(crate) fn details(fault: Fault) -> NvList {
    Failed { message: fault.to_string(), fault }.details()
}

impl Failed {
    fn core(&self) -> Option<&Error> {
        match &self.fault {
            Fault::Core(error) => Some(error),
            Fault::Own { .. } => None,
        }
    }

    fn details(&self) -> NvList {
        let mut list = NvList::new();
        list.insert("status", self.fault.status()).insert("message", self.message.as_str());
        match &self.fault {
            Fault::Own { operation, target, reason, .. } => {
                list.insert("operation", *operation).insert("reason", &**reason);
                if let Some(target) = target {
                    list.insert("target", target.as_str());
                }
            }
            Fault::Core(error) => {
                list.insert("operation", error.operation()).insert("reason", error.reason());
                for (name, text) in [("target", error.target()), ("help", error.help())] {
                    if let Some(text) = text {
                        list.insert(name, text);
                    }
                }
                if let Some(errno) = error.errno() {
                    list.insert("errno", errno.0);
                }
                if !error.failures().is_empty() {
                    let failures = error.failures().iter().map(|one| {
                        let mut list = NvList::new();
                        list.insert("name", one.name.as_str())
                            .insert("status", one.kind.number())
                            .insert("errno", one.errno.0)
                            .insert("reason", &*one.reason);
                        insert_busy(&mut list, &one.busy);
                        list
                    });
                    list.insert("failures", Value::NvListArray(failures.collect()));
                    list.insert("failures_omitted", error.failures_omitted());
                }
                insert_busy(&mut list, error.busy());
            }
        }
        list
    }
}

fn insert_busy(list: &mut NvList, reasons: &[BusyReason]) {
    if !reasons.is_empty() {
        let reasons = reasons.iter().map(busy).collect();
        list.insert("busy", Value::NvListArray(reasons));
    }
}

/// What keeps something busy, as [`zfsvol_error_details`] has it.
pub(crate) fn busy(reason: &BusyReason) -> NvList {
    let one = |name: &String| vec![name.clone()];
    let (why, names) = match reason {
        BusyReason::Holds(tags) => ("holds", tags.clone()),
        BusyReason::Clones(names) => ("clones", names.clone()),
        BusyReason::Children(names) => ("children", names.clone()),
        BusyReason::Newer(names) => ("newer", names.clone()),
        BusyReason::Mounted(paths) => ("mounted", paths.clone()),
        BusyReason::ReceivePending(token) => ("receive_pending", one(token)),
        BusyReason::Receiving => ("receiving", Vec::new()),
        BusyReason::DeviceOpen(device) => ("device_open", one(device)),
        other => ("other", vec![other.to_string()]),
    };
    let mut list = NvList::new();
    list.insert("why", why).insert("names", names);
    list
}
