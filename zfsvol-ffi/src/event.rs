//! [`zfsvol_events`]: the kernel's events. And what a pool remembers: its history and its error log.

use zfsvol_core::PoolName;
use zfsvol_core::zfs::{EventPlace, EventStopper, Events, History};

use crate::boundary::wait;
use crate::error::zfsvol_error;
use crate::handle::{Object, Slot};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

/// The kernel's events, one after the other. Read by one thread at a time; others wait, but for one that stops it.
#[derive(Debug)]
pub struct zfsvol_events {
    _private: [u8; 0],
}

impl Object for zfsvol_events {
    type Value = Watching;
    const NAME: &'static str = "zfsvol_events";
}

/// What is behind a [`zfsvol_events`]: stopping does not wait for who reads.
#[derive(Debug)]
pub struct Watching {
    events: Slot<Events>,
    stop: EventStopper,
}

/// Opens the queue of events, at the oldest that is kept. Fails with `NO_MODULE`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_events_open(
    zfs: *const zfsvol_zfs,
    events: *mut *mut zfsvol_events,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(events)?;
        let events = caller.get(zfs)?.events()?;
        let stop = events.stopper();
        out.give(Watching { events: Slot::new(events), stop });
    })
}

/// The next event, waiting for it `milliseconds` at most (0: not at all; negative: as long as it takes); NULL when there is none by then, or it was stopped: `eid` (uint64), `class` (string), `time` (int64), `pool`
/// (string), `pool_guid`, `vdev_guid` (uint64), `payload` (nvlist, the kernel's own).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_events_next(
    events: *const zfsvol_events,
    milliseconds: i64,
    event: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(event)?;
        let next = caller.get(events)?.events.with(|events| match milliseconds {
            0 => events.poll(),
            _ => events.next_within(wait(milliseconds)),
        })??;
        out.next(next.as_ref())?;
    })
}

/// How many events were lost, because they were read too late or happened too fast.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_events_dropped(
    events: *const zfsvol_events,
    dropped: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(dropped)?;
        out.set(caller.get(events)?.events.with(|events| events.dropped())?);
    })
}

/// Before the oldest event that is kept, for `zfsvol_events_seek`.
pub const ZFSVOL_EVENTS_OLDEST: u64 = 0;
/// Behind the newest: only what happens from now on.
pub const ZFSVOL_EVENTS_NEWEST: u64 = 18_446_744_073_709_551_615;

/// Goes to behind the event of that `eid`, or to `ZFSVOL_EVENTS_OLDEST` or `ZFSVOL_EVENTS_NEWEST`. Fails with `NOT_FOUND` when there is no such event any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_events_seek(
    events: *const zfsvol_events,
    eid: u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let place = match eid {
            ZFSVOL_EVENTS_OLDEST => EventPlace::Oldest,
            ZFSVOL_EVENTS_NEWEST => EventPlace::Newest,
            eid => EventPlace::After(eid),
        };
        caller.get(events)?.events.with(|events| events.seek(place))??;
    })
}

/// Wakes whoever waits for an event, who gets none, now and later. From any thread; does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_events_stop(events: *const zfsvol_events) {
    boundary!(or(), |caller| caller.get(events)?.stop.stop());
}

/// Closes the queue. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_events_free(events: *mut zfsvol_events) {
    boundary!(or(), |caller| caller.free(events)?);
}

/// Throws away all events that are kept, for everybody; `count` is how many there were (NULL if that does not matter).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_events_clear(
    zfs: *const zfsvol_zfs,
    count: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(count)?;
        let cleared = caller.get(zfs)?.clear_events()?;
        out.set(cleared);
    })
}

/// What was done to a pool, from the oldest that is kept. Read by one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_history {
    _private: [u8; 0],
}

impl Object for zfsvol_history {
    type Value = Slot<History>;
    const NAME: &'static str = "zfsvol_history";
}

/// Opens the history of a pool. What goes wrong, `zfsvol_history_next` tells.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_history_open(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    history: *mut *mut zfsvol_history,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(history)?;
        let pool: PoolName = caller.name(pool)?;
        out.give(Slot::new(caller.get(zfs)?.pool_history(&pool)));
    })
}

/// The next record; NULL when there is none any more: `time` (int64), `kind` (string: `command`, `ioctl`, `internal`, `other`) and `text` (string; of `internal` an nvlist with `name` and `detail`), `host`
/// (string), `txg` (uint64), `payload` (nvlist). Issues `ZFS_IOC_POOL_GET_HISTORY`. Fails with `NOT_FOUND`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_history_next(
    history: *const zfsvol_history,
    record: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(record)?;
        out.next(caller.get(history)?.with(Iterator::next)?.transpose()?.as_ref())?;
    })
}

/// Frees a history. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_history_free(history: *mut zfsvol_history) {
    boundary!(or(), |caller| caller.free(history)?);
}

/// The objects with permanent errors: nvlist array `errors` with `dataset_id`, `object`, `blocks` (uint64), `dataset`, `path` (string). Issues `ZFS_IOC_ERROR_LOG`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_pool_error_log(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    errors: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(errors)?;
        let found = caller.get(zfs)?.error_log(&caller.name(pool)?)?;
        out.array("errors", &found)?;
    })
}
