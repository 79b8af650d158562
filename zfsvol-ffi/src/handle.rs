//! Handles: what C owns, behind pointers to types that it cannot look into. Every cast of one is in this file.
//!
//! Behind a handle is a `Shell`: a tag that says which kind it is of, and the value. The tag costs a word and a comparison, and makes a status of a handle
//! of another kind, which C's compiler sees and Python's ctypes does not.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::boundary::Caller;
use crate::error::Fault;
use crate::status;

/// A kind of object that C owns. The type itself is never made: pointers to it are pointers to a `Shell` of its value.
pub trait Object: Sized {
    /// What is behind its handles.
    type Value: Send + 'static;
    /// Its name in C.
    const NAME: &'static str;

    /// A new handle for `value`, which C owns from here on.
    fn give(value: Self::Value) -> *mut Self {
        Box::into_raw(Box::new(Shell { tag: tag(Self::NAME), value })).cast()
    }
}

#[repr(C)]
struct Shell<V> {
    tag: u64,
    value: V,
}

/// FNV-1a of the name: differs between kinds (a test compares them), and is no number that memory is full of.
const fn tag(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        // `get` is not const, and the loop stays within.
        #[expect(clippy::indexing_slicing, reason = "the index is below the length")]
        let byte = bytes[at];
        hash = (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

/// Whether `handle` is one of an `O`.
fn check<O: Object>(handle: *const O) -> Result<*const Shell<O::Value>, Fault> {
    let shell = handle.cast::<Shell<O::Value>>();
    if shell.is_null() || !shell.is_aligned() {
        return Err(Fault::null(O::NAME));
    }
    // SAFETY: the caller's contract: a handle that was not freed, of whatever kind; all of them begin with their tag.
    let found = unsafe { shell.cast::<u64>().read() };
    if found != tag(O::NAME) {
        let reason = format!("the handle is not one of a {}", O::NAME);
        return Err(Fault::new(status::ZFSVOL_STATUS_WRONG_HANDLE, "use a handle", reason));
    }
    Ok(shell)
}

/// See [`Caller::get`].
pub(crate) fn get<O: Object>(_: &Caller, handle: *const O) -> Result<&O::Value, Fault> {
    let shell = check(handle)?;
    // SAFETY: the tag is that of `O`, so it is a live shell made by `give`; the caller's contract keeps it so during the call.
    Ok(unsafe { &(*shell).value })
}

/// See [`Caller::get_mut`].
#[expect(clippy::mut_from_ref, reason = "the caller vouches that nobody else uses the object")]
pub(crate) fn get_mut<O: Object>(_: &Caller, handle: *mut O) -> Result<&mut O::Value, Fault> {
    let shell = check(handle)?.cast_mut();
    // SAFETY: as in `get`; the header says that nobody else uses an object while it is changed.
    Ok(unsafe { &mut (*shell).value })
}

/// See [`Caller::free`].
pub(crate) fn free<O: Object>(_: &Caller, handle: *mut O) -> Result<(), Fault> {
    if handle.is_null() {
        return Ok(());
    }
    let shell = check(handle)?.cast_mut();
    // SAFETY: made by `Box::into_raw` in `give`, and the caller's contract: freed once, and not used afterwards.
    drop(unsafe { Box::from_raw(shell) });
    Ok(())
}

/// Frees what was only lent to a callback.
pub(crate) fn take_back<O: Object>(handle: *mut O) {
    let shell = handle.cast::<Shell<O::Value>>();
    // SAFETY: only called with what `give` has just made, which the callback was told not to free.
    drop(unsafe { Box::from_raw(shell) });
}

/// Takes over what a callback has handed out, which C does not own any more.
///
/// # Errors
/// When it is NULL or a handle of another kind.
pub(crate) fn take_over<O: Object>(handle: *mut O) -> Result<O::Value, Fault> {
    let shell = check(handle)?.cast_mut();
    // SAFETY: made by `Box::into_raw` in `give`, and the header says that what such a callback hands out is the library's from there on.
    Ok(unsafe { Box::from_raw(shell) }.value)
}

/// Something that is used up by some call: a stream that is given to a transfer. The handle stays, and is freed as any other.
pub struct Slot<T>(Mutex<Option<T>>);

impl<T> Slot<T> {
    /// Something that was not used up yet.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(Some(value)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes it out.
    ///
    /// # Errors
    /// When it was used up.
    pub fn take(&self) -> Result<T, Fault> {
        self.lock().take().ok_or_else(consumed)
    }

    /// Uses it without using it up. Others wait meanwhile.
    ///
    /// # Errors
    /// When it was used up.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Result<R, Fault> {
        self.lock().as_mut().map(work).ok_or_else(consumed)
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("consumed", &self.lock().is_none()).finish()
    }
}

pub(crate) fn consumed() -> Fault {
    let reason = "an earlier call has used it up; it can only be freed";
    Fault::new(status::ZFSVOL_STATUS_CONSUMED, "use a handle", reason)
}
