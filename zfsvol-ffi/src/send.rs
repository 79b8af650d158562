//! [`zfsvol_send`]: a stream that the kernel writes.

use std::io::Read;
use std::os::fd::AsFd;

use zfsvol_core::stream::{ResumeToken, SendFlags};
use zfsvol_core::zfs::{CancelHandle, ResumePoint, SendBase, SendOptions, SendStream};
use zfsvol_core::{Bytes, DatasetName, EntityName, SnapshotName};

use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, Slot};
use crate::io::zfsvol_writer;
use crate::nvlist::zfsvol_nvlist;
use crate::receive::zfsvol_receive;
use crate::status::zfsvol_status;
use crate::transfer::{Work, zfsvol_transfer};
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

/// What a stream may have in it, added up: `ZFSVOL_SEND_...`.
pub type zfsvol_send_flags = u32;

/// Records above 128 KiB (`largeblockok`).
pub const ZFSVOL_SEND_LARGE_BLOCK: zfsvol_send_flags = 1;
/// Small blocks inside of their pointers (`embedok`).
pub const ZFSVOL_SEND_EMBED: zfsvol_send_flags = 2;
/// Blocks compressed as on disk (`compressok`).
pub const ZFSVOL_SEND_COMPRESS: zfsvol_send_flags = 4;
/// Blocks exactly as on disk, encrypted ones encrypted, and no key is needed (`rawok`).
pub const ZFSVOL_SEND_RAW: zfsvol_send_flags = 8;

/// How to send. All zeros: a full stream.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_send_options {
    /// `sizeof(zfsvol_send_options)`.
    pub size: usize,
    /// The snapshot or bookmark (`tank/a@b`, `tank/a#b`) that an increment starts from.
    pub base: zfsvol_str,
    /// A redaction bookmark: what it says is left out.
    pub redacted_by: zfsvol_str,
    /// What the stream may have in it.
    pub flags: zfsvol_send_flags,
    /// Whether to go on at the following place, as a resume token says it.
    pub resume: bool,
    /// The object to go on with.
    pub resume_object: u64,
    /// Where in that object to go on, in bytes.
    pub resume_offset: u64,
    /// How much of the stream was received, for estimates.
    pub resume_bytes: u64,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and a C `bool`, which zeros are too.
unsafe impl Growing for zfsvol_send_options {
    const NAME: &'static str = "zfsvol_send_options";
}

/// A stream that the kernel writes. It is read from here by one thread at a time, or given to a transfer, which uses it up.
#[derive(Debug)]
pub struct zfsvol_send {
    _private: [u8; 0],
}

impl Object for zfsvol_send {
    type Value = Sending;
    const NAME: &'static str = "zfsvol_send";
}

/// What is behind a [`zfsvol_send`]: cancelling does not wait for who reads.
#[derive(Debug)]
pub struct Sending {
    stream: Slot<SendStream>,
    cancel: CancelHandle,
}

impl Sending {
    fn new(stream: SendStream) -> Self {
        let cancel = stream.cancel_handle();
        Self { stream: Slot::new(stream), cancel }
    }
}

/// Starts to send a snapshot, or a dataset as it is now if it is not mounted or open. Returns when the kernel has written the first of it, or refused. Issues
/// `ZFS_IOC_SEND_NEW` in a thread of its own.
///
/// Fails with `NOT_FOUND`, `BASE_MISSING`, `KEY_NOT_LOADED`, `BUSY`, `INVALID`, `CORRUPT`, `IO`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_start(
    zfs: *const zfsvol_zfs,
    what: zfsvol_str,
    options: *const zfsvol_send_options,
    stream: *mut *mut zfsvol_send,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(stream)?;
        let options = options_of(caller, options)?;
        let what: EntityName = caller.name(what)?;
        out.give(Sending::new(caller.get(zfs)?.send(&what, &options)?));
    })
}

/// Sends what an interrupted receive has saved in a dataset. Base and flags must be those of the stream that was interrupted.
///
/// Fails as `zfsvol_send_start`; with `NOT_FOUND` also when nothing is saved there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_start_saved(
    zfs: *const zfsvol_zfs,
    dataset: zfsvol_str,
    options: *const zfsvol_send_options,
    stream: *mut *mut zfsvol_send,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(stream)?;
        let options = options_of(caller, options)?;
        let dataset: DatasetName = caller.name(dataset)?;
        out.give(Sending::new(caller.get(zfs)?.send_saved(&dataset, &options)?));
    })
}

/// Sends the rest of what a resume token stands for. The snapshot is looked for by its GUID, in the dataset `within` or, without one, in that of the token's name.
///
/// Fails as `zfsvol_send_start`, and with `INVALID` for what is no token.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_start_resumed(
    zfs: *const zfsvol_zfs,
    token: zfsvol_str,
    within: zfsvol_str,
    stream: *mut *mut zfsvol_send,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(stream)?;
        let token: ResumeToken = caller.text(token)?.parse()?;
        let within: Option<DatasetName> = caller.optional_name(within)?;
        out.give(Sending::new(caller.get(zfs)?.send_resume(&token, within.as_ref())?));
    })
}

/// What `zfsvol_send_start_resumed` would send: `snapshot` (string), and as far as there are, `base` (string), `flags` (uint32), `resume_object`,
/// `resume_offset`, `resume_bytes` (uint64).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_resume_options(
    zfs: *const zfsvol_zfs,
    token: zfsvol_str,
    within: zfsvol_str,
    options: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(options)?;
        let token: ResumeToken = caller.text(token)?.parse()?;
        let within: Option<DatasetName> = caller.optional_name(within)?;
        let (snapshot, options) = caller.get(zfs)?.resume_options(&token, within.as_ref())?;
        let mut list = zfsvol_core::nvlist::NvList::new();
        list.insert("snapshot", snapshot.as_str()).insert("flags", token.flags.bits());
        if let Some(base) = options.base() {
            list.insert("base", base.as_str());
        }
        list.insert("resume_object", token.object)
            .insert("resume_offset", token.offset)
            .insert("resume_bytes", token.bytes.get());
        out.give(list);
    })
}

/// How long the stream of a snapshot would be: an estimate, in bytes. Issues `ZFS_IOC_SEND_SPACE`. Given `watch`, any descriptor of this process,
/// `zfsvol_send_progress` with it tells how far a long estimate is; -1 for none.
///
/// Fails as `zfsvol_send_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_space(
    zfs: *const zfsvol_zfs,
    snapshot: zfsvol_str,
    options: *const zfsvol_send_options,
    watch: i32,
    bytes: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(bytes)?;
        let options = options_of(caller, options)?;
        let snapshot: SnapshotName = caller.name(snapshot)?;
        let zfs = caller.get(zfs)?;
        let space = match watch {
            -1 => zfs.send_space(&snapshot, &options, None)?,
            // The kernel knows the send by this very number, so that it must not be another that means the same.
            fd => zfs.send_space(&snapshot, &options, Some(caller.borrowed(fd)?.as_fd()))?,
        };
        out.set(space.get());
    })
}

/// How far a send or an estimate is that this process runs to the descriptor `fd`: `bytes`, `blocks` (uint64). Issues `ZFS_IOC_SEND_PROGRESS`. Those of this library tell by themselves.
///
/// Fails with `NOT_FOUND` when there is no such send, or it is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_progress(
    zfs: *const zfsvol_zfs,
    what: zfsvol_str,
    fd: i32,
    progress: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(progress)?;
        let what: EntityName = caller.name(what)?;
        let found = caller.get(zfs)?.send_progress(&what, fd)?;
        out.list(&found)?;
    })
}

/// Reads from the stream, waiting for it: `count` is how many bytes there are in `buffer` now, 0 at the end of a stream that is complete.
///
/// Fails with whatever the send failed with, also after some of it was read; `CANCELLED`; `CONSUMED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_read(
    stream: *const zfsvol_send,
    buffer: *mut u8,
    len: usize,
    count: *mut usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(count)?;
        let buffer = caller.buffer(buffer, len)?;
        out.set(caller.get(stream)?.stream.with(|stream| stream.read(buffer))??);
    })
}

/// How many bytes of the stream were read. Fails with `CONSUMED` once a transfer has it, whose progress tells it then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_bytes(
    stream: *const zfsvol_send,
    bytes: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(bytes)?;
        out.set(caller.get(stream)?.stream.with(|stream| stream.progress().bytes.get())?);
    })
}

/// Has the stream written to a descriptor of any kind, in the background. The descriptor is duplicated: the caller keeps its own, and closes it. Uses the stream up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_to_fd(
    stream: *const zfsvol_send,
    fd: i32,
    transfer: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(transfer)?;
        let stream = caller.get(stream)?;
        let fd = caller.descriptor(fd)?;
        out.give(Work::Send(stream.stream.take()?.write_to_fd(fd)?).into());
    })
}

/// Has the stream written by a callback, in the background. Uses the stream up. The context is released in any case, failure included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_to_writer(
    stream: *const zfsvol_send,
    writer: *const zfsvol_writer,
    transfer: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let writer = caller.writer(writer)?;
        let out = caller.out(transfer)?;
        let stream = caller.get(stream)?;
        out.give(Work::Send(stream.stream.take()?.write_to(writer)?).into());
    })
}

/// Has the stream received on this machine, in the background, without a copy. Uses both up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_to_receive(
    stream: *const zfsvol_send,
    destination: *const zfsvol_receive,
    transfer: *mut *mut zfsvol_transfer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(transfer)?;
        let stream = caller.get(stream)?;
        let destination = caller.get(destination)?.stream.take()?;
        out.give(Work::Receive(stream.stream.take()?.receive_into(destination)?).into());
    })
}

/// Stops the send, from any thread, also while another one reads. Does nothing once it is over or a transfer has it, or for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_cancel(stream: *const zfsvol_send) {
    boundary!(or(), |caller| caller.get(stream)?.cancel.cancel());
}

/// Frees a stream; a send that still runs is cancelled. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_send_free(stream: *mut zfsvol_send) {
    boundary!(or(), |caller| caller.free(stream)?);
}

/// What an increment starts from: a snapshot, or a bookmark.
pub(crate) fn base(caller: &Caller, name: zfsvol_str) -> Result<SendBase, Fault> {
    let text = caller.text(name)?;
    Ok(if text.contains('#') {
        SendBase::Bookmark(caller.name(name)?)
    } else {
        SendBase::Snapshot(caller.name(name)?)
    })
}

fn options_of(caller: &Caller, options: *const zfsvol_send_options) -> Result<SendOptions, Fault> {
    let given = caller.options(options)?;
    let known = SendFlags::LARGE_BLOCK | SendFlags::EMBED | SendFlags::COMPRESS | SendFlags::RAW;
    let flags = SendFlags::from_bits(given.flags)
        .filter(|flags| known.contains(*flags))
        .ok_or_else(|| Fault::unknown("flag of a send", given.flags))?;
    let mut options = match caller.optional_text(given.base)? {
        None => SendOptions::full(),
        Some(_) => SendOptions::since(base(caller, given.base)?),
    };
    options = options.flags(flags);
    if let Some(bookmark) = caller.optional_name(given.redacted_by)? {
        options = options.redacted_by(bookmark);
    }
    if given.resume {
        options = options.resume_at(ResumePoint {
            object: given.resume_object,
            offset: given.resume_offset,
            bytes: Bytes::new(given.resume_bytes),
        });
    }
    Ok(options)
}
