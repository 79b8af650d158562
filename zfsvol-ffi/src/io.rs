//! Streams from and to C: descriptors, and callbacks that read and write.

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::boundary::Caller;
use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::status::zfsvol_status;

/// Where bytes come from: a callback. Lent for the call; what it points to must last until `release` was called.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_reader {
    /// Given to each callback. It may be used from another thread, but never from two at once.
    pub context: *mut c_void,
    /// Puts up to `len` bytes into `buffer` and returns how many, 0 at the end, or a negative errno. Must return in the end.
    pub read:
        Option<unsafe extern "C" fn(context: *mut c_void, buffer: *mut u8, len: usize) -> i64>,
    /// Called once, when the context is no longer needed; NULL if nothing is to be done then.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

/// Where bytes go to: a callback. Lent for the call; what it points to must last until `release` was called.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_writer {
    /// Given to each callback. It may be used from another thread, but never from two at once.
    pub context: *mut c_void,
    /// Takes up to `len` bytes of `data` and returns how many, at least 1, or a negative errno. Must return in the end.
    pub write:
        Option<unsafe extern "C" fn(context: *mut c_void, data: *const u8, len: usize) -> i64>,
    /// Called once, when the context is no longer needed; NULL if nothing is to be done then.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

impl zfsvol_writer {
    /// None: a place for C to fill.
    pub(crate) const NONE: Self =
        Self { context: std::ptr::null_mut(), write: None, release: None };
}

/// Fills `reader` with callbacks of the library that read a descriptor: so a descriptor goes wherever a reader does. It is duplicated: the caller keeps its own. Give the reader to one call, which releases
/// it, or call its `release` by hand.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_reader_from_fd(
    fd: i32,
    reader: *mut zfsvol_reader,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(reader)?;
        let context = zfsvol_file::give(File::from(caller.descriptor(fd)?)).cast();
        out.set(zfsvol_reader { context, read: Some(read_file), release: Some(release_file) });
    })
}

/// The same for a writer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_writer_from_fd(
    fd: i32,
    writer: *mut zfsvol_writer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(writer)?;
        let context = zfsvol_file::give(File::from(caller.descriptor(fd)?)).cast();
        out.set(zfsvol_writer { context, write: Some(write_file), release: Some(release_file) });
    })
}

/// The context of such a reader or writer. C knows it as a context only.
struct zfsvol_file;

impl Object for zfsvol_file {
    type Value = File;
    const NAME: &'static str = "zfsvol_file";
}

/// What a callback returns where it panicked or was given another context: `EIO`, negative.
const FAILED: i64 = -5;

unsafe extern "C" fn read_file(context: *mut c_void, buffer: *mut u8, len: usize) -> i64 {
    boundary!(or FAILED, |caller| {
        let mut file = caller.get(context.cast::<zfsvol_file>())?;
        outcome(file.read(caller.buffer(buffer, len)?))
    })
}

unsafe extern "C" fn write_file(context: *mut c_void, data: *const u8, len: usize) -> i64 {
    boundary!(or FAILED, |caller| {
        let mut file = caller.get(context.cast::<zfsvol_file>())?;
        outcome(file.write(caller.bytes(data, len)?))
    })
}

unsafe extern "C" fn release_file(context: *mut c_void) {
    boundary!(or(), |caller| caller.free(context.cast::<zfsvol_file>())?);
}

fn outcome(moved: io::Result<usize>) -> i64 {
    match moved {
        Ok(count) => i64::try_from(count).unwrap_or(i64::MAX),
        Err(error) => error.raw_os_error().map_or(FAILED, |errno| -i64::from(errno)),
    }
}

/// A context that C gave, which is released once.
#[derive(Debug)]
pub(crate) struct Context {
    pointer: *mut c_void,
    release: Option<unsafe extern "C" fn(context: *mut c_void)>,
}

// SAFETY: the header says that a context may be used from any thread.
unsafe impl Send for Context {}
// SAFETY: the same, and that a callback which may run on several threads at once says so.
unsafe impl Sync for Context {}

impl Context {
    pub(crate) fn new(
        pointer: *mut c_void,
        release: Option<unsafe extern "C" fn(context: *mut c_void)>,
    ) -> Self {
        Self { pointer, release }
    }

    /// What C gave. A method, so that a closure that calls it has the whole context, and releases it.
    pub(crate) fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: C gave the function for this context, and it is called once.
            unsafe { release(self.pointer) };
        }
    }
}

/// A [`zfsvol_reader`] as a reader.
#[derive(Debug)]
pub(crate) struct FromC {
    context: Context,
    read: unsafe extern "C" fn(context: *mut c_void, buffer: *mut u8, len: usize) -> i64,
}

impl Read for FromC {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: C gave the function for this context; the buffer has so many bytes.
        let count =
            unsafe { (self.read)(self.context.pointer(), buffer.as_mut_ptr(), buffer.len()) };
        moved(count, buffer.len())
    }
}

/// A [`zfsvol_writer`] as a writer.
#[derive(Debug)]
pub(crate) struct ToC {
    context: Context,
    write: unsafe extern "C" fn(context: *mut c_void, data: *const u8, len: usize) -> i64,
}

impl Write for ToC {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // SAFETY: C gave the function for this context; there are so many bytes.
        let count = unsafe { (self.write)(self.context.pointer(), data.as_ptr(), data.len()) };
        moved(count, data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a callback returned: a number of bytes, or a negative errno.
fn moved(count: i64, most: usize) -> io::Result<usize> {
    match usize::try_from(count) {
        Ok(count) if count <= most => Ok(count),
        Ok(count) => {
            Err(io::Error::other(format!("the callback moved {count} bytes of at most {most}")))
        }
        Err(_) => {
            let errno = count.checked_neg().and_then(|errno| i32::try_from(errno).ok());
            Err(io::Error::from_raw_os_error(errno.unwrap_or(i32::MAX)))
        }
    }
}

impl Caller {
    /// The reader that C gives. From here on its context is released, whatever happens.
    pub(crate) fn reader(&self, reader: *const zfsvol_reader) -> Result<FromC, Fault> {
        let [reader] = self.array(reader, 1)? else { return Err(Fault::null("the reader")) };
        let context = Context::new(reader.context, reader.release);
        let read = reader.read.ok_or_else(|| Fault::null("the function that reads"))?;
        Ok(FromC { context, read })
    }

    /// The writer that C gives. From here on its context is released, whatever happens.
    pub(crate) fn writer(&self, writer: *const zfsvol_writer) -> Result<ToC, Fault> {
        let [writer] = self.array(writer, 1)? else { return Err(Fault::null("the writer")) };
        let context = Context::new(writer.context, writer.release);
        let write = writer.write.ok_or_else(|| Fault::null("the function that writes"))?;
        Ok(ToC { context, write })
    }

    /// A descriptor, for the length of the call.
    pub(crate) fn borrowed(&self, fd: i32) -> Result<BorrowedFd<'_>, Fault> {
        if fd < 0 {
            return Err(Fault::invalid("use a descriptor", format!("{fd} is none")));
        }
        // SAFETY: it is not -1, and the caller's contract: it stays open during the call. One that is not open is refused by the kernel.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// A duplicate of a descriptor: the caller keeps its own.
    pub(crate) fn descriptor(&self, fd: i32) -> Result<OwnedFd, Fault> {
        Ok(self.borrowed(fd)?.try_clone_to_owned()?)
    }
}
