//! [`ReceiveStream`]: where a stream that is being received is written to.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::job::Job;
use super::{RECEIVE, Received, VERB};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SnapshotName;
use crate::stream::BEGIN_RECORD_BYTES;
use crate::zfs::transfer::{
    CancelHandle, Channel, DROP_WAIT, Endpoint, Progress, Step, Transfer, Worker, cancelled,
    from_endpoint, joined, leftover, read_from_endpoint, to_io, write_all,
};

/// What messages say when it is not the kernel that failed, but what the stream comes from.
const READ: &str = "read the stream for";

/// How much is read from a reader at once.
const READ_BYTES: usize = 128 << 10;

/// What the receiving thread returns: how it went, and its end of the pipe with what was not read.
type KernelSide = (Result<Received>, File);

enum State {
    /// For the first record to be complete.
    Waiting(Box<Job>),
    /// The kernel reads.
    Running(Worker<KernelSide>),
    Over(Box<Result<Received>>),
}

/// How reading the first record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zfs) enum Begun {
    /// The kernel reads from now on.
    Started,
    /// The stream ended before.
    Ended,
    /// It was cancelled.
    Stopped,
}

/// A stream that is being received: write it, and [finish](Self::finish) it, or let it be read from somewhere.
///
/// Writing gives an error as soon as the kernel has refused the stream: an [`io::Error`] with the [`Error`] inside.
/// Dropping it before it is finished cancels the receive, as dropping a [`Transfer`] does.
#[must_use = "dropping a stream cancels it"]
pub struct ReceiveStream {
    snapshot: SnapshotName,
    channel: Arc<Channel>,
    begin: Vec<u8>,
    state: State,
}

impl ReceiveStream {
    pub(super) fn new(channel: Arc<Channel>, job: Job) -> Self {
        Self {
            snapshot: job.snapshot.clone(),
            channel,
            begin: Vec::with_capacity(BEGIN_RECORD_BYTES),
            state: State::Waiting(Box::new(job)),
        }
    }

    /// The snapshot the stream becomes.
    pub fn snapshot(&self) -> &SnapshotName {
        &self.snapshot
    }

    /// How much was written so far. Issues no ioctl.
    pub fn progress(&self) -> Progress {
        let finished = matches!(self.state, State::Over(_));
        Progress { bytes: self.channel.bytes(), finished }
    }

    /// What can cancel it from another thread, while this one writes.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self.channel.clone())
    }

    /// Ends the stream, waits for the kernel, and says how it went. The snapshot is on disk when it returns.
    ///
    /// # Errors
    /// As [`Zfs::receive`](crate::Zfs::receive).
    pub fn finish(mut self) -> Result<Received> {
        self.end()
    }

    /// Reads the stream from a descriptor of any kind, in the background, and closes it at the end. A source that stalls does not keep
    /// the transfer from being cancelled. It may read beyond the end of the stream; what it read is in [`Received::excess`].
    ///
    /// # Errors
    /// When no thread can be started. What happens to the stream, [`Transfer::wait`] tells.
    pub fn read_from_fd(self, fd: impl Into<OwnedFd>) -> Result<Transfer<Received>> {
        let from = Endpoint::new(fd.into()).map_err(|error| self.read_error(error))?;
        Transfer::start(VERB, self.cancel_handle(), move || self.pump_fd(&from))
    }

    /// Reads the stream from a reader, in the background, and drops it at the end. While a call of the reader does not return, cancelling
    /// ends the receive but not that call.
    ///
    /// # Errors
    /// When no thread can be started. What happens to the stream, [`Transfer::wait`] tells.
    pub fn read_from(self, mut reader: impl Read + Send + 'static) -> Result<Transfer<Received>> {
        Transfer::start(VERB, self.cancel_handle(), move || self.pump(&mut reader))
    }

    pub(in crate::zfs) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Reads the first record from `read`, and starts the kernel.
    pub(in crate::zfs) fn begin_from(
        &mut self,
        mut read: impl FnMut(&mut [u8]) -> io::Result<Step>,
    ) -> Result<Begun> {
        let mut buffer = [0; BEGIN_RECORD_BYTES];
        loop {
            let missing = BEGIN_RECORD_BYTES.saturating_sub(self.begin.len());
            let room = buffer.get_mut(..missing).unwrap_or_default();
            match read(room).map_err(|error| self.read_error(error))? {
                Step::Moved(bytes) => {
                    self.take_begin(buffer.get(..bytes).unwrap_or_default())?;
                    if matches!(self.state, State::Running(_)) {
                        return Ok(Begun::Started);
                    }
                }
                Step::End => return Ok(Begun::Ended),
                Step::Stopped => return Ok(Begun::Stopped),
            }
        }
    }

    fn pump_fd(mut self, from: &Endpoint) -> Result<Received> {
        let channel = self.channel.clone();
        if self.begin_from(|buffer| read_from_endpoint(&channel, from, buffer))? == Begun::Started {
            from_endpoint(&channel, from).map_err(|error| self.read_error(error))?;
        }
        self.end()
    }

    fn pump(mut self, reader: &mut dyn Read) -> Result<Received> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return self.end(),
                Ok(bytes) => {
                    if !self.push(buffer.get(..bytes).unwrap_or_default())? {
                        return self.end();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.read_error(error)),
            }
        }
    }

    /// Takes some of the stream. `false`: no more is wanted, because the kernel is done or it was cancelled.
    fn push(&mut self, data: &[u8]) -> Result<bool> {
        let taken = self.take_begin(data)?;
        let rest = data.get(taken..).unwrap_or_default();
        match &self.state {
            State::Over(_) => Ok(false),
            State::Waiting(_) => Ok(!self.channel.is_cancelled()),
            State::Running(_) => {
                write_all(&self.channel, rest).map_err(|error| self.read_error(error))
            }
        }
    }

    /// Takes what is missing of the first record, and starts the kernel when it is complete. Returns how much it took.
    fn take_begin(&mut self, data: &[u8]) -> Result<usize> {
        let State::Waiting(_) = &self.state else { return Ok(0) };
        let missing = BEGIN_RECORD_BYTES.saturating_sub(self.begin.len());
        let part = data.get(..missing.min(data.len())).unwrap_or_default();
        self.begin.extend_from_slice(part);
        self.channel.count(part.len());
        if let Ok(record) = <[u8; BEGIN_RECORD_BYTES]>::try_from(self.begin.as_slice()) {
            self.start(record)?;
        }
        Ok(part.len())
    }

    fn start(&mut self, record: [u8; BEGIN_RECORD_BYTES]) -> Result<()> {
        let nobody = || State::Over(Box::new(Err(cancelled(VERB, self.snapshot.as_str()))));
        let job = match std::mem::replace(&mut self.state, nobody()) {
            State::Waiting(job) => job,
            other => {
                self.state = other;
                return Ok(());
            }
        };
        let started = job.check(&record).and_then(|begin| {
            let stop = StopWhenDropped(self.channel.clone());
            Worker::start("zfsvol-receive", move || {
                let _stop = stop;
                (job.run(&record, &begin), job.theirs)
            })
            .map_err(|error| {
                Error::io("start to receive", error).with_target(self.snapshot.as_str())
            })
        });
        match started {
            Ok(worker) => {
                self.state = State::Running(worker);
                Ok(())
            }
            Err(error) => {
                self.state = State::Over(Box::new(Err(error.clone())));
                Err(error)
            }
        }
    }

    /// Ends the stream, if it has not ended, and says how it went.
    fn end(&mut self) -> Result<Received> {
        self.channel.close();
        let over = State::Over(Box::new(Err(cancelled(VERB, self.snapshot.as_str()))));
        let outcome = match std::mem::replace(&mut self.state, over) {
            State::Over(outcome) => *outcome,
            State::Waiting(_) if self.channel.is_cancelled() => {
                Err(cancelled(VERB, self.snapshot.as_str()))
            }
            State::Waiting(_) => Err(self.truncated()),
            State::Running(worker) => self.join(worker),
        };
        self.state = State::Over(Box::new(outcome.clone()));
        outcome
    }

    fn join(&self, worker: Worker<KernelSide>) -> Result<Received> {
        match joined(worker, VERB)? {
            (Ok(received), theirs) => Ok(Received { excess: leftover(&theirs), ..received }),
            (Err(_), _) if self.channel.is_cancelled() => {
                Err(cancelled(VERB, self.snapshot.as_str()))
            }
            (Err(error), _) => Err(error),
        }
    }

    fn truncated(&self) -> Error {
        let reason = format!(
            "the stream ended after {} of its first {BEGIN_RECORD_BYTES} bytes",
            self.begin.len()
        );
        RECEIVE.error(ErrorKind::StreamTruncated, self.snapshot.as_str(), reason)
    }

    fn read_error(&self, error: io::Error) -> Error {
        Error::io(READ, error).with_target(self.snapshot.as_str())
    }
}

/// Ends the waits of who writes the stream once the kernel does not read it any more.
struct StopWhenDropped(Arc<Channel>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Write for ReceiveStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.is_empty() {
            return Ok(0);
        }
        match self.push(data) {
            Ok(true) => Ok(data.len()),
            Ok(false) => match self.end() {
                Ok(_) => Err(io::Error::new(
                    io::ErrorKind::WriteZero,
                    "the stream is received; what is written now is not part of it",
                )),
                Err(error) => Err(to_io(&error)),
            },
            Err(error) => Err(to_io(&error)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ReceiveStream {
    fn drop(&mut self) {
        if let State::Running(worker) = &self.state {
            self.channel.cancel();
            worker.wait_for(DROP_WAIT);
        }
    }
}

impl fmt::Debug for ReceiveStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveStream")
            .field("snapshot", &self.snapshot)
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}
