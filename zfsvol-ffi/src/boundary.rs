//! What every exported function goes through: `boundary!`, and the [`Caller`] it hands to the function's body.
//!
//! A panic ends here, as a status. A pointer is looked at here and in [`handle`] only, by the methods of [`Caller`]: whoever has one is
//! within a call from C, whose caller has promised what the top of the header says.

use std::any::Any;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use zfsvol_core::{Error, NameError};

use crate::error::{Fault, zfsvol_error};
use crate::handle::{self, Object};
use crate::status::{self, zfsvol_status};
use crate::view::{zfsvol_buffer, zfsvol_str};

/// The body of an exported function: `boundary!(error, |caller| { ... })` for those that return a status, and
/// `boundary!(or DEFAULT, |caller| ...)` for those that cannot fail, which return `DEFAULT` instead of a panic or of a refusal.
///
/// A macro, because it holds the one `unsafe` block that each of them has.
macro_rules! boundary {
    (or $default:expr, |$caller:ident| $body:expr) => {{
        // Outside of the block below, so that the body is not unsafe.
        let work = |$caller: &$crate::boundary::Caller| -> ::std::result::Result<_, $crate::error::Fault> {
            Ok($body)
        };
        // SAFETY: this is the body of an exported function, whose caller keeps to the contract at the top of the header.
        unsafe { $crate::boundary::run_or($default, work) }
    }};
    ($error:expr, |$caller:ident| $body:expr) => {{
        let work = |$caller: &$crate::boundary::Caller| -> ::std::result::Result<(), $crate::error::Fault> {
            $body;
            Ok(())
        };
        // SAFETY: this is the body of an exported function, whose caller keeps to the contract at the top of the header.
        unsafe { $crate::boundary::run($error, work) }
    }};
}

/// The witness that a call from C is running. Its methods trust the pointers of that call as far as the header says.
#[derive(Debug)]
pub struct Caller(());

/// Runs the body of a function that returns a status.
///
/// # Safety
/// Only in an exported function, with the `error` that it was given: its caller keeps to the contract at the top of the header.
pub(crate) unsafe fn run(
    error: *mut *mut zfsvol_error,
    work: impl FnOnce(&Caller) -> Result<(), Fault>,
) -> zfsvol_status {
    let caller = Caller(());
    let outcome = catch_unwind(AssertUnwindSafe(|| work(&caller)))
        .unwrap_or_else(|payload| Err(Fault::panicked(&*payload)));
    let (status, object) = match outcome {
        Ok(()) => (status::ZFSVOL_STATUS_OK, std::ptr::null_mut()),
        Err(fault) if error.is_null() => (fault.status(), std::ptr::null_mut()),
        Err(fault) => (fault.status(), zfsvol_error::give(fault)),
    };
    if !error.is_null() {
        // SAFETY: the caller's contract: it is NULL or a place for a pointer.
        unsafe { error.write(object) };
    }
    status
}

/// Runs the body of a function that cannot fail.
///
/// # Safety
/// As [`run`].
pub(crate) unsafe fn run_or<T>(default: T, work: impl FnOnce(&Caller) -> Result<T, Fault>) -> T {
    let caller = Caller(());
    match catch_unwind(AssertUnwindSafe(|| work(&caller))) {
        Ok(Ok(value)) => value,
        _ => default,
    }
}

/// What a panic says.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// A place where C wants an answer. NULL where it does not matter to C: then nothing is made of it.
#[derive(Debug)]
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Whether anybody wants the answer.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.0.is_null()
    }

    /// Writes the answer. Objects that C is to own go through [`Out::give`], which makes none that nobody would free.
    pub(crate) fn set(self, value: T) {
        if self.is_wanted() {
            // SAFETY: made by `Caller::out` or `Caller::optional_out` in this call: aligned, and the caller's contract says that a `T` has room there.
            unsafe { self.0.write(value) };
        }
    }
}

impl<O: Object> Out<*mut O> {
    /// Writes a new handle, which C owns from here on.
    pub(crate) fn give(self, value: O::Value) {
        if self.is_wanted() {
            self.set(O::give(value));
        }
    }

    /// The same, or NULL.
    pub(crate) fn give_optional(self, value: Option<O::Value>) {
        match value {
            Some(value) => self.give(value),
            None => self.set(std::ptr::null_mut()),
        }
    }
}

impl Out<zfsvol_buffer> {
    /// Writes bytes that C owns from here on.
    pub(crate) fn bytes(self, bytes: impl Into<Vec<u8>>) {
        if self.is_wanted() {
            self.set(zfsvol_buffer::of(bytes));
        }
    }

    /// The same, or a NULL pointer.
    pub(crate) fn optional_bytes(self, bytes: Option<impl Into<Vec<u8>>>) {
        match bytes {
            Some(bytes) => self.bytes(bytes),
            None => self.set(zfsvol_buffer::NONE),
        }
    }
}

/// Options that may grow, in C: a struct that begins with its size, which the caller sets to the size it was compiled with.
///
/// # Safety
/// The type is `repr(C)`, its first field is `size: usize`, and it is valid for any bytes that a C caller can make of its fields, zeros
/// among them.
pub unsafe trait Growing: Copy {
    /// What the options are called in messages.
    const NAME: &'static str;
}

impl Caller {
    /// The object behind a handle.
    ///
    /// # Errors
    /// When it is NULL or a handle of another kind.
    pub(crate) fn get<O: Object>(&self, handle: *const O) -> Result<&O::Value, Fault> {
        handle::get(self, handle)
    }

    /// The same for an object that may be left out.
    ///
    /// # Errors
    /// When it is a handle of another kind.
    pub(crate) fn get_optional<O: Object>(
        &self,
        handle: *const O,
    ) -> Result<Option<&O::Value>, Fault> {
        if handle.is_null() { Ok(None) } else { self.get(handle).map(Some) }
    }

    /// The object behind a handle that is changed, and which nobody else uses meanwhile.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn get_mut<O: Object>(&self, handle: *mut O) -> Result<&mut O::Value, Fault> {
        handle::get_mut(self, handle)
    }

    /// Frees what is behind a handle; nothing for NULL.
    ///
    /// # Errors
    /// When it is a handle of another kind.
    pub(crate) fn free<O: Object>(&self, handle: *mut O) -> Result<(), Fault> {
        handle::free(self, handle)
    }

    /// A place for an answer.
    ///
    /// # Errors
    /// When it is NULL or cannot hold one.
    pub(crate) fn out<T>(&self, place: *mut T) -> Result<Out<T>, Fault> {
        if place.is_null() || !place.is_aligned() {
            return Err(Fault::null("the place for an answer"));
        }
        Ok(Out(place))
    }

    /// A place for an answer that does not matter, if it is NULL.
    ///
    /// # Errors
    /// When it cannot hold one.
    pub(crate) fn optional_out<T>(&self, place: *mut T) -> Result<Out<T>, Fault> {
        if place.is_null() { Ok(Out(place)) } else { self.out(place) }
    }

    /// A value that the call reads and changes: a cursor.
    ///
    /// # Errors
    /// When it is NULL or cannot be one.
    #[expect(clippy::mut_from_ref, reason = "the caller vouches that nobody else uses it")]
    pub(crate) fn cell(&self, place: *mut usize) -> Result<&mut usize, Fault> {
        let place = self.out(place)?.0;
        // SAFETY: `out` has seen that it is a place; the caller's contract: an initialised number, which nobody else uses during the call.
        Ok(unsafe { &mut *place })
    }

    /// The bytes at `ptr`.
    ///
    /// # Errors
    /// When there are some and `ptr` is NULL, or more than there can be.
    pub(crate) fn bytes(&self, ptr: *const u8, len: usize) -> Result<&[u8], Fault> {
        self.array(ptr, len)
    }

    /// The bytes at `ptr`, to be written.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    #[expect(clippy::mut_from_ref, reason = "the caller vouches that nobody else uses the buffer")]
    pub(crate) fn buffer(&self, ptr: *mut u8, len: usize) -> Result<&mut [u8], Fault> {
        check_array(ptr, len)?;
        if len == 0 {
            return Ok(&mut []);
        }
        // SAFETY: the caller's contract: `len` initialised bytes, which nobody else uses during the call.
        Ok(unsafe { std::slice::from_raw_parts_mut(ptr, len) })
    }

    /// The elements at `ptr`.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub(crate) fn array<T: Copy>(&self, ptr: *const T, count: usize) -> Result<&[T], Fault> {
        check_array(ptr, count)?;
        if count == 0 {
            return Ok(&[]);
        }
        // SAFETY: the caller's contract: `count` elements, which nobody changes during the call.
        Ok(unsafe { std::slice::from_raw_parts(ptr, count) })
    }

    /// A text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub(crate) fn text(&self, text: zfsvol_str) -> Result<&str, Fault> {
        let bytes = self.bytes(text.ptr.cast(), text.len)?;
        std::str::from_utf8(bytes).map_err(|error| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            Fault::new(
                status::ZFSVOL_STATUS_NOT_UTF8,
                "read a text",
                format!("it is not UTF-8 from byte {} on", error.valid_up_to()),
            )
            .with_target(text)
        })
    }

    /// A text that may be left out, by a NULL pointer.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(crate) fn optional_text(&self, text: zfsvol_str) -> Result<Option<&str>, Fault> {
        if text.ptr.is_null() && text.len == 0 { Ok(None) } else { self.text(text).map(Some) }
    }

    /// A name, checked by its own rules.
    ///
    /// # Errors
    /// When it is not UTF-8 or breaks them.
    pub(crate) fn name<N: FromStr<Err = NameError>>(&self, name: zfsvol_str) -> Result<N, Fault> {
        Ok(self.text(name)?.parse::<N>().map_err(Error::from)?)
    }

    /// A name that may be left out, by a NULL pointer.
    ///
    /// # Errors
    /// As [`Self::name`].
    pub(crate) fn optional_name<N: FromStr<Err = NameError>>(
        &self,
        name: zfsvol_str,
    ) -> Result<Option<N>, Fault> {
        if name.ptr.is_null() && name.len == 0 { Ok(None) } else { self.name(name).map(Some) }
    }

    /// Names.
    ///
    /// # Errors
    /// As [`Self::name`].
    pub(crate) fn names<N: FromStr<Err = NameError>>(
        &self,
        names: *const zfsvol_str,
        count: usize,
    ) -> Result<Vec<N>, Fault> {
        self.array(names, count)?.iter().map(|name| self.name(*name)).collect()
    }

    /// Texts.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub(crate) fn texts(&self, texts: *const zfsvol_str, count: usize) -> Result<Vec<&str>, Fault> {
        self.array(texts, count)?.iter().map(|text| self.text(*text)).collect()
    }

    /// A path: any bytes but NUL.
    ///
    /// # Errors
    /// When the pointer is NULL and the length is not 0.
    pub(crate) fn path(&self, path: zfsvol_str) -> Result<PathBuf, Fault> {
        let bytes = self.bytes(path.ptr.cast(), path.len)?;
        Ok(PathBuf::from(OsStr::from_bytes(bytes)))
    }

    /// Paths.
    ///
    /// # Errors
    /// As [`Self::path`].
    pub(crate) fn paths(
        &self,
        paths: *const zfsvol_str,
        count: usize,
    ) -> Result<Vec<PathBuf>, Fault> {
        self.array(paths, count)?.iter().map(|path| self.path(*path)).collect()
    }

    /// A path that may be left out, by a NULL pointer.
    ///
    /// # Errors
    /// As [`Self::path`].
    pub(crate) fn optional_path(&self, path: zfsvol_str) -> Result<Option<PathBuf>, Fault> {
        if path.ptr.is_null() && path.len == 0 { Ok(None) } else { self.path(path).map(Some) }
    }

    /// Options that may grow. NULL is the default, all zeros. What an older caller's struct does not have is zeros; what a newer one's has beyond
    /// ours must be zeros, or it asks for something that is not known here.
    ///
    /// # Errors
    /// When the size is none, or what is beyond ours is not all zeros.
    pub(crate) fn options<T: Growing>(&self, options: *const T) -> Result<T, Fault> {
        let mut copy = MaybeUninit::<T>::zeroed();
        if options.is_null() {
            // SAFETY: `Growing` promises that zeros are a `T`.
            return Ok(unsafe { copy.assume_init() });
        }
        let size = self.size_of(options)?;
        let bytes = self.bytes(options.cast(), size)?;
        let (known, beyond) = bytes.split_at(size.min(size_of::<T>()));
        if beyond.iter().any(|byte| *byte != 0) {
            let reason = format!("{} has an option that this library does not know", T::NAME);
            let status = status::ZFSVOL_STATUS_UNSUPPORTED;
            return Err(Fault::new(status, "read options", reason));
        }
        let room = copy.as_mut_ptr().cast::<u8>();
        // SAFETY: `known` is at most as long as a `T`, and in another place.
        unsafe { room.copy_from_nonoverlapping(known.as_ptr(), known.len()) };
        // SAFETY: `Growing` promises that what a C caller makes is a `T`, with zeros for what was missing.
        Ok(unsafe { copy.assume_init() })
    }

    /// Fills an answer that may grow: as much of it as the caller's struct has, by its size, which stays.
    ///
    /// # Errors
    /// When it is NULL or its size is none.
    pub(crate) fn fill<T: Growing>(&self, place: *mut T, answer: T) -> Result<(), Fault> {
        if place.is_null() {
            return Err(Fault::null(T::NAME));
        }
        let size = self.size_of(place)?.min(size_of::<T>());
        let skip = size_of::<usize>();
        let from = (&raw const answer).cast::<u8>();
        // SAFETY: both have `size` bytes, at least those of the size field, which is skipped; `answer` is ours and so in another place.
        unsafe {
            std::ptr::copy_nonoverlapping(
                from.wrapping_add(skip),
                place.cast::<u8>().wrapping_add(skip),
                size - skip,
            );
        }
        Ok(())
    }

    /// The size that a struct says it has.
    fn size_of<T: Growing>(&self, value: *const T) -> Result<usize, Fault> {
        let wrong =
            |reason: String| Fault::new(status::ZFSVOL_STATUS_INVALID, "read options", reason);
        if !value.is_aligned() {
            return Err(wrong(format!("{} is not aligned", T::NAME)));
        }
        // SAFETY: `Growing`: it begins with its size, which the caller has set.
        let size = unsafe { value.cast::<usize>().read() };
        // A page: far more than options ever have, and few enough to look at for zeros.
        const SIZE_MAX: usize = 4096;
        if !(size_of::<usize>()..=SIZE_MAX).contains(&size) {
            return Err(wrong(format!("the size of {} is {size}; set it to its sizeof", T::NAME)));
        }
        Ok(size)
    }
}

/// A wait in milliseconds; negative for one without end.
pub(crate) fn wait(milliseconds: i64) -> Duration {
    u64::try_from(milliseconds).map_or(Duration::MAX, Duration::from_millis)
}

fn check_array<T>(ptr: *const T, count: usize) -> Result<(), Fault> {
    if count == 0 {
        return Ok(());
    }
    if ptr.is_null() || !ptr.is_aligned() {
        return Err(Fault::null("an array or text that has a length"));
    }
    let bytes = count.checked_mul(size_of::<T>());
    if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        let reason = "an array or text is longer than memory can be";
        return Err(Fault::new(status::ZFSVOL_STATUS_TOO_LARGE, "read arguments", reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Options {
        size: usize,
        first: u32,
        second: u32,
    }

    // SAFETY: numbers only, and the size first.
    unsafe impl Growing for Options {
        const NAME: &'static str = "the options";
    }

    /// What a caller has who knows one field less, or one more.
    #[repr(C)]
    struct Larger {
        known: Options,
        third: u64,
    }

    fn read(options: *const Options) -> Result<Options, zfsvol_status> {
        Caller(()).options(options).map_err(|fault| fault.status())
    }

    #[test]
    fn options_that_are_null_are_zeros() {
        assert_eq!(read(std::ptr::null()), Ok(Options { size: 0, first: 0, second: 0 }));
    }

    #[test]
    fn options_of_an_older_caller_lack_what_is_new() {
        let options = Options { size: 12, first: 7, second: 8 };
        assert_eq!(read(&options), Ok(Options { size: 12, first: 7, second: 0 }));
    }

    #[test]
    fn options_of_a_newer_caller_are_taken_if_they_ask_for_nothing_new() {
        let known = Options { size: size_of::<Larger>(), first: 7, second: 8 };
        let mut options = Larger { known, third: 0 };
        assert_eq!(read((&raw const options).cast()), Ok(known));
        options.third = 1;
        assert_eq!(read((&raw const options).cast()), Err(status::ZFSVOL_STATUS_UNSUPPORTED));
    }

    #[test]
    fn options_without_a_size_are_refused() {
        for size in [0, 7, 4097, usize::MAX] {
            let options = Options { size, first: 0, second: 0 };
            assert_eq!(read(&options), Err(status::ZFSVOL_STATUS_INVALID), "{size}");
        }
    }

    #[test]
    fn answers_fill_what_the_caller_has() {
        let answer = Options { size: 99, first: 7, second: 8 };
        let mut place = Options { size: 12, first: 0, second: 3 };
        Caller(()).fill(&mut place, answer).unwrap();
        assert_eq!(place, Options { size: 12, first: 7, second: 3 });
        let known = Options { size: size_of::<Larger>(), first: 0, second: 0 };
        let mut place = Larger { known, third: 5 };
        Caller(()).fill((&raw mut place).cast(), answer).unwrap();
        assert_eq!((place.known.first, place.known.second, place.third), (7, 8, 5));
    }

    #[test]
    fn a_panic_becomes_a_status_and_an_error_object() {
        let mut error = std::ptr::null_mut();
        // SAFETY: `error` is a place for a pointer.
        let status = unsafe { run(&mut error, |_| panic!("{}", "on purpose")) };
        assert_eq!(status, status::ZFSVOL_STATUS_PANIC);
        let caller = Caller(());
        let text = caller.get(error).unwrap().to_string();
        assert!(text.contains("on purpose"), "{text}");
        caller.free(error).unwrap();
        // SAFETY: NULL is a place that is not there.
        let status = unsafe { run(std::ptr::null_mut(), |_| panic!("again")) };
        assert_eq!(status, status::ZFSVOL_STATUS_PANIC);
        // SAFETY: it has no pointers.
        let answer = unsafe { run_or(7, |_| panic!("again")) };
        assert_eq!(answer, 7);
    }
}
