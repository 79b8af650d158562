//! A descriptor that a request names by its number, made one's own: the one place of the embedded kernel where a number is taken at its word.
#![expect(unsafe_code, reason = "a request says which descriptor to use by its number alone")]

use std::fs::File;
use std::os::fd::BorrowedFd;

use crate::kernel::Errno;

/// Another descriptor of what this one is of.
///
/// # Errors
/// `EBADF` when it is none.
pub(super) fn duplicate(number: i32) -> Result<File, Errno> {
    if number < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: the number must not be -1, which was looked at, and must be open as long as it is borrowed. It is borrowed for the one call
    // that copies it, in which whoever made the request waits for the answer and keeps what he named open; a number that is not open after
    // all is refused by that call, and nothing else is done with it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let owned = borrowed.try_clone_to_owned();
    owned.map(File::from).map_err(|error| Errno(error.raw_os_error().unwrap_or(Errno::EBADF.0)))
}
