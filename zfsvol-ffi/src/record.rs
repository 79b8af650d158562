//! [`zfsvol_record`] and [`zfsvol_replay`]: what was said to the kernel and its answers, written down and given again.

use std::sync::Arc;

use zfsvol_core::Zfs;
use zfsvol_core::kernel::{Order, Record, Replay};

use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::io::{zfsvol_reader, zfsvol_writer};
use crate::status::zfsvol_status;
use crate::view::zfsvol_buffer;
use crate::zfs::zfsvol_zfs;

/// A door that writes down each call and its answer. Keys, the bytes of streams and the data of devices are not in the recording.
#[derive(Debug)]
pub struct zfsvol_record {
    _private: [u8; 0],
}

impl Object for zfsvol_record {
    type Value = Arc<Record>;
    const NAME: &'static str = "zfsvol_record";
}

/// A door that writes to `writer`, and first what module it is. The context is released when the last that goes through the door is freed, or at once if this fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_record_open(
    zfs: *const zfsvol_zfs,
    writer: *const zfsvol_writer,
    record: *mut *mut zfsvol_record,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let writer = caller.writer(writer)?;
        let out = caller.out(record)?;
        let inner = Arc::clone(caller.get(zfs)?.kernel());
        out.give(Arc::new(Record::new(inner, writer)?));
    })
}

/// A handle that goes through the door.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_record_zfs(
    record: *const zfsvol_record,
    zfs: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(zfs)?;
        let door = Arc::clone(caller.get(record)?);
        out.give(Zfs::from_shared(door));
    })
}

/// Whether all was written so far: fails with what writing failed with first, since when nothing was recorded. The recording goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_record_finish(
    record: *const zfsvol_record,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(record)?.finish()?)
}

/// Frees the object; handles that go through the door go on recording. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_record_free(record: *mut zfsvol_record) {
    boundary!(or(), |caller| caller.free(record)?);
}

/// Which recorded call answers: a `ZFSVOL_ORDER_...`.
pub type zfsvol_order = u32;

/// The next one, and it must be the same: for a program that calls from one thread.
pub const ZFSVOL_ORDER_STRICT: zfsvol_order = 0;
/// The first that is the same and was not given yet: for a program with threads.
pub const ZFSVOL_ORDER_BY_REQUEST: zfsvol_order = 1;

/// A door with no kernel behind it, that answers from a recording; each recorded answer is given once. A call that the recording does not have fails.
#[derive(Debug)]
pub struct zfsvol_replay {
    _private: [u8; 0],
}

impl Object for zfsvol_replay {
    type Value = Arc<Replay>;
    const NAME: &'static str = "zfsvol_replay";
}

/// Reads a whole recording, and releases the context. Fails with `CORRUPT` (it is none, is damaged or cut off), `UNSUPPORTED` (a newer format), `TOO_LARGE` (above 1 GiB), and with what reading
/// fails with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_replay_open(
    reader: *const zfsvol_reader,
    order: zfsvol_order,
    replay: *mut *mut zfsvol_replay,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let reader = caller.reader(reader)?;
        let out = caller.out(replay)?;
        let order = match order {
            ZFSVOL_ORDER_STRICT => Order::Strict,
            ZFSVOL_ORDER_BY_REQUEST => Order::ByRequest,
            other => return Err(Fault::unknown("order of a replay", other)),
        };
        out.give(Arc::new(Replay::read(reader, order)?));
    })
}

/// A handle that is answered from the recording.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_replay_zfs(
    replay: *const zfsvol_replay,
    zfs: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(zfs)?;
        let door = Arc::clone(caller.get(replay)?);
        out.give(Zfs::from_shared(door));
    })
}

/// How many recorded calls were not made yet. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_replay_left(replay: *const zfsvol_replay) -> usize {
    boundary!(or 0, |caller| caller.get(replay)?.left())
}

/// What was wrong with the first call that the recording does not have, to be freed with `zfsvol_buffer_free`; a NULL pointer if there was none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_replay_mismatch(
    replay: *const zfsvol_replay,
    mismatch: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(mismatch)?;
        out.optional_bytes(caller.get(replay)?.mismatch());
    })
}

/// Frees the object; handles of it go on being answered. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_replay_free(replay: *mut zfsvol_replay) {
    boundary!(or(), |caller| caller.free(replay)?);
}
