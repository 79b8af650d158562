//! [`zfsvol_receive`]: a stream that the kernel reads.

use std::io::Write;

use zfsvol_core::DatasetName;
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{CancelHandle, ReceiveOptions, ReceiveStream};

use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, Slot};
use crate::io::zfsvol_reader;
use crate::key::zfsvol_key;
use crate::nvlist::{properties, zfsvol_nvlist};
use crate::status::zfsvol_status;
use crate::transfer::{Work, zfsvol_transfer};
use crate::view::{zfsvol_buffer, zfsvol_str};
use crate::zfs::zfsvol_zfs;

/// How to receive. All zeros: nothing special.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_receive_options {
    /// `sizeof(zfsvol_receive_options)`.
    pub size: usize,
    /// Takes the destination back to the snapshot the increment starts from: what was written since is lost.
    pub force: bool,
    /// Keeps what was received if the stream ends too early: see `zfsvol_receive_token`.
    pub resumable: bool,
    /// Creates nothing: repairs damaged blocks of the snapshot, which exists. OpenZFS 2.2 and newer.
    pub heal: bool,
    /// Makes a new dataset as a clone of this snapshot.
    pub origin: zfsvol_str,
    /// With these properties as received ones.
    pub received: *const zfsvol_nvlist,
    /// With these properties set locally, whatever was received.
    pub set: *const zfsvol_nvlist,
    /// With these properties inherited, whatever was received.
    pub exclude: *const zfsvol_str,
    /// How many of those there are.
    pub exclude_count: usize,
    /// Encrypts a new dataset with this key.
    pub key: *const zfsvol_key,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and C's `bool`s, which zeros are too.
unsafe impl Growing for zfsvol_receive_options {
    const NAME: &'static str = "zfsvol_receive_options";
}

/// A stream that the kernel reads. It is written to here by one thread at a time and finished, or a transfer reads it from somewhere; either uses it up.
#[derive(Debug)]
pub struct zfsvol_receive {
    _private: [u8; 0],
}

impl Object for zfsvol_receive {
    type Value = Receiving;
    const NAME: &'static str = "zfsvol_receive";
}

/// What is behind a [`zfsvol_receive`]: cancelling does not wait for who writes.
#[derive(Debug)]
pub struct Receiving {
    pub(crate) stream: Slot<ReceiveStream>,
    cancel: CancelHandle,
}

/// Prepares to receive a stream as `snapshot`. The kernel is asked when the first of the stream is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_start(
    zfs: *const zfsvol_zfs,
    snapshot: zfsvol_str,
    options: *const zfsvol_receive_options,
    stream: *mut *mut zfsvol_receive,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(stream)?;
        let options = options_of(caller, options)?;
        let stream = caller.get(zfs)?.receive(&caller.name(snapshot)?, &options)?;
        let cancel = stream.cancel_handle();
        out.give(Receiving { stream: Slot::new(stream), cancel });
    })
}

/// Writes to the stream, all of `data`, waiting for the kernel to take it. Issues `ZFS_IOC_RECV_NEW` with the first of it, in a thread of its own.
///
/// Fails with `EXISTS`, `NOT_FOUND` (the parent), `BASE_MISSING`, `DESTINATION_MODIFIED`, `STREAM_DAMAGED`, `STREAM_UNSUPPORTED`, `RESUME_PENDING`, `ENCRYPTION_MISMATCH`,
/// `KEY_NOT_LOADED`, `NO_SPACE`, `QUOTA_EXCEEDED`, `BUSY`, `DENIED`, `CANCELLED`, `CONSUMED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_write(
    stream: *const zfsvol_receive,
    data: *const u8,
    len: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let data = caller.bytes(data, len)?;
        caller.get(stream)?.stream.with(|stream| stream.write_all(data))??;
    })
}

/// How many bytes of the stream were written. Fails with `CONSUMED` once a transfer has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_bytes(
    stream: *const zfsvol_receive,
    bytes: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(bytes)?;
        out.set(caller.get(stream)?.stream.with(|stream| stream.progress().bytes.get())?);
    })
}

/// Ends the stream, waits for the kernel, and says how it went: `result` as of a receive in `zfsvol_transfer_wait` (NULL if it does not matter). The snapshot is on disk when
/// it returns. Uses the stream up.
///
/// Fails as `zfsvol_receive_write`, and with `STREAM_TRUNCATED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_finish(
    stream: *const zfsvol_receive,
    result: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(result)?;
        let received = caller.get(stream)?.stream.take()?.finish()?;
        out.list(&received)?;
    })
}

/// Has the stream read from a descriptor of any kind, in the background. The descriptor is duplicated: the caller keeps its own, and closes it. Uses the stream up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_from_fd(
    stream: *const zfsvol_receive,
    fd: i32,
    transfer: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(transfer)?;
        let stream = caller.get(stream)?;
        let fd = caller.descriptor(fd)?;
        out.give(Work::Receive(stream.stream.take()?.read_from_fd(fd)?).into());
    })
}

/// Has the stream read by a callback, in the background. Uses the stream up. The context is released in any case, failure included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_from_reader(
    stream: *const zfsvol_receive,
    reader: *const zfsvol_reader,
    transfer: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let reader = caller.reader(reader)?;
        let out = caller.out(transfer)?;
        let stream = caller.get(stream)?;
        out.give(Work::Receive(stream.stream.take()?.read_from(reader)?).into());
    })
}

/// Stops the receive, from any thread, also while another one writes. Does nothing once it is over or a transfer has it, or for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_cancel(stream: *const zfsvol_receive) {
    boundary!(or(), |caller| caller.get(stream)?.cancel.cancel());
}

/// Frees a stream; a receive that was not finished is cancelled. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_free(stream: *mut zfsvol_receive) {
    boundary!(or(), |caller| caller.free(stream)?);
}

/// The token of an interrupted receive that can be resumed into a dataset, to be freed with `zfsvol_buffer_free`; a NULL pointer when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_token(
    zfs: *const zfsvol_zfs,
    dataset: zfsvol_str,
    token: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(token)?;
        let dataset: DatasetName = caller.name(dataset)?;
        out.optional_bytes(caller.get(zfs)?.receive_token(&dataset)?);
    })
}

/// Throws away what an interrupted receive has saved. `aborted` says whether there was anything (NULL if that does not matter).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_receive_abort(
    zfs: *const zfsvol_zfs,
    dataset: zfsvol_str,
    aborted: *mut bool,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(aborted)?;
        let was = caller.get(zfs)?.abort_receive(&caller.name::<DatasetName>(dataset)?)?;
        out.set(was);
    })
}

fn options_of(
    caller: &Caller,
    options: *const zfsvol_receive_options,
) -> Result<ReceiveOptions, Fault> {
    let given = caller.options(options)?;
    let mut options = ReceiveOptions::new()
        .received(&properties(caller, given.received, PropertySet::new())?)
        .set(&properties(caller, given.set, PropertySet::new())?);
    if given.force {
        options = options.force();
    }
    if given.resumable {
        options = options.resumable();
    }
    if given.heal {
        options = options.heal();
    }
    if let Some(origin) = caller.optional_name(given.origin)? {
        options = options.origin(origin);
    }
    for name in caller.texts(given.exclude, given.exclude_count)? {
        options = options.exclude(name);
    }
    if let Some(key) = caller.get_optional(given.key)? {
        options = options.key(key.clone());
    }
    Ok(options)
}
