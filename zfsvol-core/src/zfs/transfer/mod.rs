//! [`Transfer`]: a send or receive that runs by itself, and can be watched, cancelled and waited for.
//!
//! One thread sits in the ioctl, at one end of a pipe; another moves bytes between the pipe and what the caller gave. Cancelling closes
//! our end of the pipe first, which ends the ioctl (some kernels otherwise never return, openzfs/zfs#12500), and then waits.
//!
//! Every descriptor is close-on-exec. A child that was forked and does not exec has copies of them all, and while it lives, a cancelled
//! ioctl may go on waiting for it.

mod channel;
#[cfg(test)]
pub(super) mod fake;
mod pump;
mod worker;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::units::Bytes;

pub(super) use channel::{Channel, Step, leftover};
pub(super) use pump::{
    Endpoint, Flow, from_endpoint, read_from_endpoint, to_channel, to_endpoint, to_writer,
    write_all,
};
pub(crate) use worker::Worker;

/// How long dropping an unfinished transfer waits for the kernel to give up, which takes it a moment. It can take long when the pool
/// is suspended or the start of a large receive is thrown away; then the thread is left to end by itself.
pub(super) const DROP_WAIT: Duration = Duration::from_secs(10);

/// A send or receive that runs by itself.
///
/// Dropping it cancels it and waits for the kernel to give up, 10 seconds at most; what is left then (the kernel is stuck in a suspended pool, or the
/// caller's own `Read` or `Write` does not return) ends by itself as soon as it can.
#[derive(Debug)]
#[must_use = "dropping a transfer cancels it"]
pub struct Transfer<T> {
    worker: Option<Worker<Result<T>>>,
    handle: CancelHandle,
    what: &'static str,
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the stream that came through so far. They only grow, and at the end they are the whole stream.
    pub bytes: Bytes,
    /// Whether it is over, well or not.
    pub finished: bool,
}

impl<T> Transfer<T> {
    pub(super) fn start(
        what: &'static str,
        handle: CancelHandle,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Self>
    where
        T: Send + 'static,
    {
        let worker = Worker::start("zfsvol-pump", work)
            .map_err(|error| Error::io("start a thread to", error).with_target(what))?;
        Ok(Self { worker: Some(worker), handle, what })
    }

    /// How far it is. Issues no ioctl.
    pub fn progress(&self) -> Progress {
        let finished = self.worker.as_ref().is_none_or(Worker::has_ended);
        Progress { bytes: self.handle.bytes(), finished }
    }

    /// Stops it, without waiting. [`Transfer::wait`] then gives [`ErrorKind::Cancelled`], unless it was just done.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// What can cancel it from another thread, while this one waits.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.handle.clone()
    }

    /// Waits until it is over, and says how it went.
    ///
    /// # Errors
    /// - [`ErrorKind::Cancelled`]: it was cancelled.
    /// - [`ErrorKind::Disconnected`]: the other end of the pipe or socket was closed.
    /// - what the kernel refused it for: see [`Zfs::send`](super::Zfs::send) and [`Zfs::receive`](super::Zfs::receive).
    /// - what the caller's `Read` or `Write` failed with, as [`source`](std::error::Error::source); a panic of it is [`ErrorKind::Io`].
    pub fn wait(mut self) -> Result<T> {
        let Some(worker) = self.worker.take() else { return Err(cancelled(self.what, "")) };
        joined(worker, self.what).and_then(|outcome| outcome)
    }

    /// Waits, at most so long. Says whether it is over.
    pub fn wait_for(&self, most: Duration) -> bool {
        self.worker.as_ref().is_none_or(|worker| worker.wait_for(most))
    }
}

impl<T> Drop for Transfer<T> {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            self.handle.cancel();
            worker.wait_for(DROP_WAIT);
        }
    }
}

/// Cancels a transfer, from any thread. Clones cancel the same one; once it is over they do nothing.
#[derive(Clone, Debug)]
pub struct CancelHandle {
    channel: Arc<Channel>,
    /// The channel behind it, where one kernel thread sends to another.
    other: Option<Arc<Channel>>,
}

impl CancelHandle {
    pub(super) fn new(channel: Arc<Channel>) -> Self {
        Self { channel, other: None }
    }

    pub(super) fn with(self, other: Arc<Channel>) -> Self {
        Self { other: Some(other), ..self }
    }

    /// Stops the transfer, without waiting for it.
    pub fn cancel(&self) {
        self.channel.cancel();
        if let Some(other) = &self.other {
            other.cancel();
        }
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.channel.is_cancelled()
    }

    fn bytes(&self) -> Bytes {
        self.channel.bytes()
    }
}

/// What a thread returned; its panic as an error.
pub(super) fn joined<T>(worker: Worker<T>, what: &'static str) -> Result<T> {
    worker.join().map_err(|panic| {
        Error::new(ErrorKind::Io, what, format!("a thread of it panicked: {panic}"))
    })
}

pub(super) fn cancelled(what: &'static str, target: &str) -> Error {
    Error::new(ErrorKind::Cancelled, what, "it was cancelled").with_target(target)
}

/// The same error for who reads or writes through `std::io`: [`Error`] is inside.
pub(super) fn to_io(error: &Error) -> io::Error {
    let kind = match error.kind() {
        ErrorKind::Disconnected => io::ErrorKind::BrokenPipe,
        ErrorKind::NotFound => io::ErrorKind::NotFound,
        ErrorKind::Denied => io::ErrorKind::PermissionDenied,
        ErrorKind::NoSpace => io::ErrorKind::StorageFull,
        ErrorKind::StreamDamaged => io::ErrorKind::InvalidData,
        ErrorKind::StreamTruncated => io::ErrorKind::UnexpectedEof,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.clone())
}

/// Reads what the kernel wrote, and counts it.
pub(super) fn read_once(channel: &Channel, buffer: &mut [u8]) -> io::Result<Step> {
    let step = channel.read(buffer)?;
    if let Step::Moved(bytes) = step {
        channel.count(bytes);
    }
    Ok(step)
}
