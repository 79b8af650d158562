//! Pool events: what the kernel tells of pools, devices and errors, as an iterator.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::Zfs;
use super::call::Operation;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Handle, Ioc};
use crate::nvlist::NvList;
use crate::units::Guid;

const NEXT: Operation = Operation::new(Ioc::EVENTS_NEXT, "read the next event");
const SEEK: Operation = Operation::new(Ioc::EVENTS_SEEK, "find the event");
const CLEAR: Operation = Operation::new(Ioc::EVENTS_CLEAR, "clear the events");

/// `ZEVENT_NONBLOCK` of OpenZFS `include/sys/fm/util.h`.
const NONBLOCK: u64 = 1;

/// Room for an event at first; most have some 2 KiB.
const EVENT_BYTES: usize = 16 << 10;

/// How long to sleep before the kernel is asked again: doubled from the first to the last while nothing happens.
const SLEEP_FIRST: Duration = Duration::from_millis(5);
const SLEEP_LAST: Duration = Duration::from_millis(100);

/// Something that happened to a pool, a device or a dataset.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// Its number; they grow from when the module was loaded.
    pub eid: u64,
    /// What it is: `sysevent.fs.zfs.history_event`, `ereport.fs.zfs.checksum`. See `zpool-events(8)`.
    pub class: String,
    /// When it happened.
    #[serde(serialize_with = "crate::serial::seconds")]
    pub time: SystemTime,
    /// The pool, if it is about one.
    pub pool: Option<String>,
    /// The pool's GUID.
    pub pool_guid: Option<Guid>,
    /// The vdev's GUID, if it is about one.
    pub vdev_guid: Option<Guid>,
    /// All of it.
    pub payload: NvList,
}

impl Event {
    fn from_payload(payload: NvList) -> Result<Self> {
        let lacks =
            |error: crate::nvlist::NvTypeError| Error::protocol(NEXT.verb, error.to_string());
        let guid = |name: &str| payload.get_u64(name).filter(|guid| *guid != 0).map(Guid::new);
        let time = match payload.get("time") {
            Some(crate::nvlist::Value::Int64Array(time)) => event_time(time),
            _ => UNIX_EPOCH,
        };
        Ok(Self {
            eid: payload.require_u64("eid").map_err(lacks)?,
            class: payload.require_str("class").map_err(lacks)?.to_owned(),
            time,
            pool: payload.get_str("pool").map(str::to_owned),
            pool_guid: guid("pool_guid"),
            vdev_guid: guid("vdev_guid"),
            payload,
        })
    }
}

/// Seconds and nanoseconds.
fn event_time(time: &[i64]) -> SystemTime {
    let part = |index: usize| time.get(index).and_then(|n| u64::try_from(*n).ok()).unwrap_or(0);
    let since = Duration::from_secs(part(0)).checked_add(Duration::from_nanos(part(1)));
    since.and_then(|since| UNIX_EPOCH.checked_add(since)).unwrap_or(UNIX_EPOCH)
}

/// The kernel's events, in their order, from one's own place in their queue. Made by [`Zfs::events`].
///
/// The kernel keeps the last events (`zfs_zevent_len_max`, 512 or so); who reads too slowly loses the oldest, which
/// [`dropped`](Self::dropped) counts.
///
/// The kernel's own wait for the next event ends only with a signal, so it is not used: while nothing happens, the kernel is asked every
/// 100 ms. [`stopper`](Self::stopper) ends a wait from another thread at once.
///
/// ```
/// use zfsvol_core::Zfs;
///
/// let zfs = Zfs::embedded();
/// let mut events = zfs.events()?;
/// # events.stopper().stop();
/// for event in &mut events {
///     let event = event?;
///     println!("{} {}", event.class, event.pool.as_deref().unwrap_or("-"));
/// }
/// # Ok::<(), zfsvol_core::Error>(())
/// ```
pub struct Events {
    zfs: Zfs,
    handle: Handle,
    stop: EventStopper,
    dropped: u64,
}

/// Ends the wait of an [`Events`], from any thread, and for good.
#[derive(Clone, Default)]
pub struct EventStopper(Arc<(Mutex<bool>, Condvar)>);

impl EventStopper {
    /// Makes the iterator end: now if it waits, else at its next event.
    pub fn stop(&self) {
        let (stopped, changed) = &*self.0;
        *stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    fn is_stopped(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, or less when it is stopped.
    fn sleep(&self, time: Duration) {
        let (stopped, changed) = &*self.0;
        let guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_timeout_while(guard, time, |stopped| !*stopped));
    }
}

impl fmt::Debug for EventStopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStopper").field("stopped", &self.is_stopped()).finish()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// Where in the queue of events to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPlace {
    /// Before the oldest event that is kept.
    Oldest,
    /// Behind the newest: only what happens from now on.
    Newest,
    /// Behind the event of that number.
    After(u64),
}

impl EventPlace {
    /// `ZEVENT_SEEK_START` and `ZEVENT_SEEK_END`.
    fn number(self) -> u64 {
        match self {
            Self::Oldest => 0,
            Self::Newest => u64::MAX,
            Self::After(eid) => eid,
        }
    }
}

impl Zfs {
    /// The kernel's events, from the oldest that is kept. Needs a handle of its own, which is closed when the iterator is dropped.
    ///
    /// Issues `ZFS_IOC_EVENTS_NEXT` for each event, and while there is none, up to ten times a second.
    ///
    /// # Errors
    /// [`ErrorKind::NoModule`] or [`ErrorKind::Denied`] when `/dev/zfs` cannot be opened once more.
    #[doc(alias = "zpool_events_next")]
    pub fn events(&self) -> Result<Events> {
        let handle = self.kernel.host().handle().map_err(|errno| {
            let kind = match errno {
                Errno::EACCES | Errno::EPERM => ErrorKind::Denied,
                _ => ErrorKind::NoModule,
            };
            Error::new(kind, "open a handle for events", errno.reason()).with_errno(errno)
        })?;
        Ok(Events { zfs: self.clone(), handle, stop: EventStopper::default(), dropped: 0 })
    }

    /// Throws away all events that are kept, for everybody, and returns how many there were.
    ///
    /// Issues `ZFS_IOC_EVENTS_CLEAR`.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] without privilege.
    #[doc(alias = "zpool_events_clear")]
    pub fn clear_events(&self) -> Result<u64> {
        let mut cmd = Cmd::default();
        self.call_cmd(CLEAR, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(cmd.cookie)
    }
}

impl Events {
    /// The next event, if there is one by now.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`] without privilege; [`ErrorKind::Protocol`] when the event cannot be read.
    pub fn poll(&mut self) -> Result<Option<Event>> {
        let mut cmd = Cmd::default();
        cmd.cleanup_fd = self.handle.number();
        cmd.guid = NONBLOCK;
        cmd.reply_max = EVENT_BYTES;
        match self.zfs.call_cmd(NEXT, &mut cmd) {
            Ok(payload) => {
                self.dropped = self.dropped.saturating_add(cmd.cookie);
                Event::from_payload(payload).map(Some)
            }
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error.into_error(&self.zfs)),
        }
    }

    /// The next event, waiting for it up to `wait`; `None` when there is none by then, or the iterator was stopped.
    ///
    /// # Errors
    /// As [`Self::poll`].
    pub fn next_within(&mut self, wait: Duration) -> Result<Option<Event>> {
        // A wait beyond what the clock can count is one without end.
        self.next_until(Instant::now().checked_add(wait))
    }

    /// How many events were lost since this iterator was made, because they were read too late or happened too fast.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Goes to another place in the queue.
    ///
    /// Issues `ZFS_IOC_EVENTS_SEEK`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no event of that number any more.
    #[doc(alias = "zpool_events_seek")]
    pub fn seek(&mut self, place: EventPlace) -> Result<()> {
        let mut cmd = Cmd::default();
        cmd.cleanup_fd = self.handle.number();
        cmd.guid = place.number();
        self.zfs.call_cmd(SEEK, &mut cmd).map_err(|error| error.into_error(&self.zfs))?;
        Ok(())
    }

    /// What ends the iterator from another thread.
    pub fn stopper(&self) -> EventStopper {
        self.stop.clone()
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Event>> {
        let mut sleep = SLEEP_FIRST;
        while !self.stop.is_stopped() {
            if let Some(event) = self.poll()? {
                return Ok(Some(event));
            }
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => sleep,
            };
            if left.is_zero() {
                break;
            }
            self.stop.sleep(sleep.min(left));
            sleep = (sleep * 2).min(SLEEP_LAST);
        }
        Ok(None)
    }
}

/// Waits for each event; ends when it is stopped, and after an error.
impl Iterator for Events {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_until(None);
        if next.is_err() {
            self.stop.stop();
        }
        next.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_with_its_pool_and_time() {
        let mut payload = NvList::new();
        payload.insert("class", "sysevent.fs.zfs.config_sync").insert("eid", 3_u64);
        payload.insert("time", vec![1000_i64, 500]).insert("pool", "tank");
        payload.insert("pool_guid", 9_u64).insert("vdev_guid", 0_u64);
        let event = Event::from_payload(payload).unwrap();
        assert_eq!(event.time, UNIX_EPOCH + Duration::new(1000, 500));
        assert_eq!((event.pool.as_deref(), event.pool_guid), (Some("tank"), Some(Guid::new(9))));
        assert_eq!(event.vdev_guid, None);
    }

    #[test]
    fn an_event_without_a_class_is_none() {
        let payload: NvList = [("eid", 3_u64)].into_iter().collect();
        assert_eq!(Event::from_payload(payload).unwrap_err().kind(), ErrorKind::Protocol);
        assert_eq!(event_time(&[-1, i64::MIN]), UNIX_EPOCH);
        assert_eq!(event_time(&[]), UNIX_EPOCH);
    }

    #[test]
    fn a_stop_ends_a_sleep() {
        let stopper = EventStopper::default();
        let other = stopper.clone();
        let thread = std::thread::spawn(move || other.sleep(Duration::from_secs(600)));
        stopper.stop();
        thread.join().unwrap();
        assert!(stopper.is_stopped());
    }
}
