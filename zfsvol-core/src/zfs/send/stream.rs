//! [`SendStream`]: a stream that is being sent.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{SEND, Sent};
use crate::error::{Error, Result};
use crate::zfs::receive::{self, Begun, ReceiveStream, Received};
use crate::zfs::transfer::{
    CancelHandle, Channel, DROP_WAIT, Endpoint, Flow, Progress, Step, Transfer, Worker, cancelled,
    joined, read_once, to_channel, to_endpoint, to_io, to_writer,
};

/// What messages say when it is not the kernel that failed, but what takes the stream.
const WRITE: &str = "write the stream of";

/// A stream that is being sent: read it to its end, or let it be written somewhere.
///
/// Reading gives 0 bytes when the stream is complete, and an error when anything failed: an [`io::Error`] with the [`Error`] inside.
/// Dropping it cancels the send, as dropping a [`Transfer`] does.
#[must_use = "dropping a stream cancels it"]
pub struct SendStream {
    target: String,
    channel: Arc<Channel>,
    kernel: Option<Worker<Result<()>>>,
    outcome: Option<Result<Sent>>,
}

impl SendStream {
    /// Returns when the kernel has written the first of it. Refused before: that is said here and now.
    pub(super) fn start(
        target: String,
        channel: Channel,
        kernel: Worker<Result<()>>,
    ) -> Result<Self> {
        let mut stream =
            Self { target, channel: Arc::new(channel), kernel: Some(kernel), outcome: None };
        let has_data = stream.channel.wait_for_data().map_err(|error| {
            Error::io("start to send", error).with_target(stream.target.as_str())
        })?;
        if !has_data {
            stream.finish(Flow::End)?;
        }
        Ok(stream)
    }

    /// What is being sent.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// How much was read so far. Issues no ioctl.
    pub fn progress(&self) -> Progress {
        Progress { bytes: self.channel.bytes(), finished: self.outcome.is_some() }
    }

    /// What can cancel it from another thread, while this one reads.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self.channel.clone())
    }

    /// Writes the stream to a descriptor of any kind, in the background, and closes it at the end. A reader of it that stalls does not
    /// keep the transfer from being cancelled. To keep the descriptor, give a duplicate (`try_clone`).
    ///
    /// # Errors
    /// When no thread can be started. What happens to the stream, [`Transfer::wait`] tells.
    #[doc(alias = "lzc_send_wrapper")]
    pub fn write_to_fd(self, fd: impl Into<OwnedFd>) -> Result<Transfer<Sent>> {
        let to = Endpoint::new(fd.into()).map_err(|error| self.write_error(error))?;
        Transfer::start(SEND.verb, self.cancel_handle(), move || {
            self.pump(|channel| to_endpoint(channel, &to))
        })
    }

    /// Writes the stream to a writer, in the background, and drops it at the end. While a call of the writer does not return, cancelling
    /// ends the send but not that call.
    ///
    /// # Errors
    /// When no thread can be started. What happens to the stream, [`Transfer::wait`] tells.
    pub fn write_to(self, mut writer: impl Write + Send + 'static) -> Result<Transfer<Sent>> {
        Transfer::start(SEND.verb, self.cancel_handle(), move || {
            self.pump(|channel| to_writer(channel, &mut writer))
        })
    }

    /// Has the stream received on this machine, in the background. The two ends of the kernel are joined by a pipe whose pages are not copied.
    ///
    /// # Errors
    /// When no thread can be started. What happens to the stream, [`Transfer::wait`] tells; what went wrong first wins.
    pub fn receive_into(self, destination: ReceiveStream) -> Result<Transfer<Received>> {
        let handle = self.cancel_handle().with(destination.channel().clone());
        Transfer::start(receive::VERB, handle, move || self.pump_into(destination))
    }

    fn pump(mut self, flow: impl FnOnce(&Channel) -> io::Result<Flow>) -> Result<Sent> {
        match flow(&self.channel) {
            Ok(flow) => self.finish(flow),
            Err(error) => Err(self.write_error(error)),
        }
    }

    fn pump_into(mut self, mut destination: ReceiveStream) -> Result<Received> {
        let flow = match destination.begin_from(|buffer| read_once(&self.channel, buffer))? {
            Begun::Started => to_channel(&self.channel, destination.channel())
                .map_err(|error| self.write_error(error))?,
            Begun::Ended => Flow::End,
            Begun::Stopped => Flow::Stopped,
        };
        if flow == Flow::End {
            // A send that failed explains a stream that ended too early.
            self.finish(flow)?;
        }
        destination.finish()
    }

    /// Ends the send, if it has not ended by itself, and says how it went.
    fn finish(&mut self, flow: Flow) -> Result<Sent> {
        if let Some(outcome) = &self.outcome {
            return outcome.clone();
        }
        self.channel.close();
        let kernel = match self.kernel.take() {
            Some(worker) => joined(worker, SEND.verb).and_then(|outcome| outcome),
            None => Ok(()),
        };
        let outcome = match flow {
            Flow::End => kernel.map(|()| Sent { bytes: self.channel.bytes() }),
            Flow::Stopped => Err(cancelled(SEND.verb, &self.target)),
        };
        self.outcome = Some(outcome.clone());
        outcome
    }

    fn write_error(&self, error: io::Error) -> Error {
        Error::io(WRITE, error).with_target(self.target.as_str())
    }
}

impl Read for SendStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let flow = match &self.outcome {
            Some(_) => Flow::End,
            None => match read_once(&self.channel, buffer)? {
                Step::Moved(bytes) => return Ok(bytes),
                Step::End => Flow::End,
                Step::Stopped => Flow::Stopped,
            },
        };
        self.finish(flow).map(|_| 0).map_err(|error| to_io(&error))
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if let Some(kernel) = &self.kernel {
            self.channel.cancel();
            kernel.wait_for(DROP_WAIT);
        }
    }
}

impl fmt::Debug for SendStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendStream")
            .field("target", &self.target)
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}
