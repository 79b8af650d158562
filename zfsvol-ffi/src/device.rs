//! [`zfsvol_device`]: the block device of a zvol.

use zfsvol_core::DatasetName;
use zfsvol_core::kernel::{Access, BlockDevice};

use crate::boundary::wait;
use crate::error::zfsvol_error;
use crate::handle::Object;
use crate::status::zfsvol_status;
use crate::view::{zfsvol_buffer, zfsvol_str};
use crate::zfs::zfsvol_zfs;

/// The data of a zvol: its block device, or the same in this process. Can be used by several threads at once. While it is open the zvol cannot be destroyed.
#[derive(Debug)]
pub struct zfsvol_device {
    _private: [u8; 0],
}

impl Object for zfsvol_device {
    type Value = Box<dyn BlockDevice>;
    const NAME: &'static str = "zfsvol_device";
}

/// Opens the block device of a zvol, and waits for it `milliseconds` at most: it appears a moment after the zvol was made or its key loaded.
///
/// Fails with `NOT_FOUND`, `WRONG_TYPE` (a file system), `INVALID` (`volmode=none`), `KEY_NOT_LOADED`, `BUSY`, `READ_ONLY`, `DENIED`, `TIMED_OUT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_device_open(
    zfs: *const zfsvol_zfs,
    zvol: zfsvol_str,
    writable: bool,
    milliseconds: i64,
    device: *mut *mut zfsvol_device,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(device)?;
        let zvol: DatasetName = caller.name(zvol)?;
        let opened = caller.get(zfs)?.open_zvol(&zvol, access(writable), wait(milliseconds))?;
        out.give(opened);
    })
}

pub(crate) fn access(writable: bool) -> Access {
    if writable { Access::ReadWrite } else { Access::Read }
}

/// Its size in bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_device_size(
    device: *const zfsvol_device,
    bytes: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(bytes)?;
        out.set(caller.get(device)?.size()?);
    })
}

/// Its node in `/dev`, to be freed with `zfsvol_buffer_free`; a NULL pointer where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_device_path(
    device: *const zfsvol_device,
    path: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(path)?;
        let path = caller.get(device)?.path();
        out.optional_bytes(path.map(|path| path.as_os_str().as_encoded_bytes()));
    })
}

/// Fills all of `buffer` from `offset` on. Fails with `INVALID` beyond the end of the device, `IO`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_device_read(
    device: *const zfsvol_device,
    offset: u64,
    buffer: *mut u8,
    len: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let buffer = caller.buffer(buffer, len)?;
        caller.get(device)?.read_exact_at(buffer, offset)?;
    })
}

/// Writes all of `data` at `offset`. On stable storage only after `zfsvol_device_flush`. Fails with `INVALID` or `NO_SPACE` beyond the end, `DENIED`, `IO`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_device_write(
    device: *const zfsvol_device,
    offset: u64,
    data: *const u8,
    len: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let data = caller.bytes(data, len)?;
        caller.get(device)?.write_all_at(data, offset)?;
    })
}

/// Returns once what was written is on stable storage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_device_flush(
    device: *const zfsvol_device,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(device)?.flush()?)
}

/// Closes it. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_device_free(device: *mut zfsvol_device) {
    boundary!(or(), |caller| caller.free(device)?);
}
