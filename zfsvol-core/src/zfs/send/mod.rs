//! Send: a snapshot as a stream.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::Zfs;
use super::call::{CallError, Operation};
use super::receive::{Begun, ReceiveStream, Received};
use super::transfer::{
    CancelHandle, Channel, DROP_WAIT, Endpoint, Flow, Progress, Step, Transfer, Worker, cancelled,
    joined, read_once, to_channel, to_endpoint, to_io, to_writer,
};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::{BookmarkName, DatasetName, Entity, EntityName, SnapshotName};
use crate::nvlist::NvList;
use crate::stream::SendFlags;
use crate::units::Bytes;

const SEND: Operation = Operation::new(Ioc::SEND_NEW, "send");
const SPACE: Operation = Operation::new(Ioc::SEND_SPACE, "estimate the stream of");
const PROGRESS: Operation = Operation::new(Ioc::SEND_PROGRESS, "ask for the progress of");
/// What messages say when it is not the kernel that failed, but what takes the stream.
const WRITE: &str = "write the stream of";

/// What an increment starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendBase {
    /// An earlier snapshot of the same dataset, or of one of its origins.
    Snapshot(SnapshotName),
    /// A bookmark of an earlier snapshot, which itself may be gone.
    Bookmark(BookmarkName),
}

impl SendBase {
    /// The full name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Snapshot(name) => name.as_str(),
            Self::Bookmark(name) => name.as_str(),
        }
    }
}

impl From<SnapshotName> for SendBase {
    fn from(name: SnapshotName) -> Self {
        Self::Snapshot(name)
    }
}

impl From<BookmarkName> for SendBase {
    fn from(name: BookmarkName) -> Self {
        Self::Bookmark(name)
    }
}

/// Where to go on with an interrupted stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    /// The object to go on with.
    pub object: u64,
    /// Where in that object, in bytes.
    pub offset: u64,
    /// How much was received before; an estimate leaves it out.
    pub bytes: Bytes,
}

/// What to send, and how.
///
/// ```
/// use zfsvol_core::SnapshotName;
/// use zfsvol_core::stream::SendFlags;
/// use zfsvol_core::zfs::SendOptions;
///
/// let monday: SnapshotName = "tank/db@monday".parse()?;
/// let increment = SendOptions::since(monday).flags(SendFlags::COMPRESS | SendFlags::LARGE_BLOCK);
/// # Ok::<(), zfsvol_core::NameError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    base: Option<SendBase>,
    flags: SendFlags,
    redacted_by: Option<BookmarkName>,
    resume: Option<ResumePoint>,
}

impl SendOptions {
    /// The whole snapshot.
    #[must_use]
    pub fn full() -> Self {
        Self::default()
    }

    /// What changed since `base`.
    #[must_use]
    pub fn since(base: impl Into<SendBase>) -> Self {
        Self { base: Some(base.into()), ..Self::default() }
    }

    /// With what the stream may contain.
    #[must_use]
    pub fn flags(mut self, flags: SendFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Without what the redaction bookmark leaves out; see [`Zfs::redact`]. It must be of the dataset that is sent.
    #[must_use]
    pub fn redacted_by(mut self, bookmark: BookmarkName) -> Self {
        self.redacted_by = Some(bookmark);
        self
    }

    /// From the middle on. [`Zfs::send_resume`] takes all of it from a token.
    #[must_use]
    pub fn resume_at(mut self, point: ResumePoint) -> Self {
        self.resume = Some(point);
        self
    }

    /// The pairs that `SEND_NEW` and `SEND_SPACE` have in common. What it starts from has a different name in each.
    fn to_nvlist(&self, target: &str, base: &str, operation: Operation) -> Result<NvList> {
        let mut input = NvList::new();
        if let Some(from) = &self.base {
            input.insert(base, from.as_str());
        }
        self.flags.insert_into(&mut input);
        if let Some(bookmark) = &self.redacted_by {
            if target.split('@').next() != Some(bookmark.dataset().as_str()) {
                let reason = format!("the redaction bookmark '{bookmark}' is of another dataset");
                return Err(operation.error(ErrorKind::Invalid, target, reason));
            }
            // The part behind the '#'.
            input.insert("redactbook", bookmark.bookmark());
        }
        if let Some(point) = &self.resume {
            input.insert("resume_object", point.object).insert("resume_offset", point.offset);
        }
        Ok(input)
    }
}

/// What the kernel says of a send that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendProgress {
    /// Bytes written so far.
    pub bytes: Bytes,
    /// Blocks visited so far, also those that need not be sent.
    pub blocks: u64,
}

/// A stream that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// How long it was.
    pub bytes: Bytes,
}

impl Zfs {
    /// Starts to send a snapshot (or a dataset as it is now, if it is not mounted or open), and returns the stream. Nothing changes on disk; the snapshot cannot be
    /// destroyed meanwhile.
    ///
    /// Returns when the kernel has written the first of it, or refused. The stream is complete when reading it gives 0 bytes: if anything
    /// fails, reading gives an error instead.
    ///
    /// Issues `ZFS_IOC_SEND_NEW` in a thread of its own.
    ///
    /// ```no_run
    /// # let zfs = zfsvol_core::Zfs::open()?;
    /// use zfsvol_core::zfs::SendOptions;
    ///
    /// let mut stream = zfs.send(&"tank/db@monday".parse::<zfsvol_core::SnapshotName>()?, &SendOptions::full())?;
    /// std::io::copy(&mut stream, &mut std::fs::File::create("/backup/monday")?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such snapshot.
    /// - [`ErrorKind::BaseMissing`]: what it starts from does not exist, or is not an earlier snapshot of it or its origins.
    /// - [`ErrorKind::KeyNotLoaded`]: it is encrypted, its key is not loaded, and it is not sent [raw](SendFlags::RAW).
    /// - [`ErrorKind::Busy`]: it is a dataset that is mounted or open.
    /// - [`ErrorKind::Invalid`]: the options do not go together, or it cannot be sent without large blocks.
    /// - [`ErrorKind::Corrupt`], [`ErrorKind::Io`]: a block of it cannot be read.
    /// - [`ErrorKind::Denied`]: the caller is neither root nor delegated `send`.
    #[doc(alias("lzc_send", "lzc_send_resume", "lzc_send_redacted", "lzc_send_resume_redacted"))]
    pub fn send(&self, what: &impl Entity, options: &SendOptions) -> Result<SendStream> {
        self.start_send(what.as_ref(), options)
    }

    /// Sends what an interrupted receive has saved in `dataset`, so that another host can have that much. Receiving it, resumably, leaves that host with the same
    /// saved state, which a resumed send of the original snapshot completes.
    ///
    /// Issues `ZFS_IOC_SEND_NEW` with `savedok`, as [`Zfs::send`]. `base` and the flags must be those of the stream that was interrupted; they are in its
    /// [token](Zfs::receive_token).
    ///
    /// # Errors
    /// As [`Zfs::send`]; [`ErrorKind::NotFound`] also when nothing is saved there.
    #[doc(alias = "lzc_send")]
    pub fn send_saved(&self, dataset: &DatasetName, options: &SendOptions) -> Result<SendStream> {
        let saved = options.clone().flags(options.flags | SendFlags::SAVED);
        self.start_send(dataset.as_str(), &saved)
    }

    /// How long the stream would be: an estimate. It takes a moment, except for an increment from a bookmark, a redacted stream or a resumed one, for which the
    /// kernel walks all the blocks.
    ///
    /// Issues `ZFS_IOC_SEND_SPACE`. Given `watch`, any descriptor of this process, [`Zfs::send_progress`] with it tells how far such a walk is.
    ///
    /// # Errors
    /// As [`Zfs::send`]. [`SendFlags::SAVED`] cannot be estimated: [`ErrorKind::Unsupported`].
    #[doc(alias("lzc_send_space", "lzc_send_space_resume_redacted"))]
    pub fn send_space(
        &self,
        snapshot: &SnapshotName,
        options: &SendOptions,
        watch: Option<BorrowedFd<'_>>,
    ) -> Result<Bytes> {
        let target = snapshot.as_str();
        let mut input = options.to_nvlist(target, "from", SPACE)?;
        let before = options.resume.map_or(Bytes::ZERO, |point| point.bytes);
        if options.resume.is_some() {
            input.insert("bytes", before.get());
        }
        if let Some(fd) = watch {
            input.insert("fd", fd.as_raw_fd());
        }
        let reply = self
            .call(SPACE, target, &input)
            .map_err(|error| self.explain_send(error, target, options))?;
        let space = reply
            .require_u64("space")
            .map_err(|error| SPACE.error(ErrorKind::Protocol, target, error.to_string()))?;
        // The kernel subtracts what was received from its estimate, and wraps where that is less.
        let wrapped = space > u64::MAX - before.get();
        Ok(if wrapped { Bytes::ZERO } else { Bytes::new(space) })
    }

    /// How far a send (or an estimate) of `what` is that this process runs to the descriptor `fd`. For those of this library
    /// [`SendStream::progress`] and [`Transfer::progress`] do without it.
    ///
    /// Issues `ZFS_IOC_SEND_PROGRESS`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]: there is no such send, or it is over.
    #[doc(alias = "lzc_send_progress")]
    pub fn send_progress(&self, what: &impl Entity, fd: RawFd) -> Result<SendProgress> {
        let mut cmd = Cmd::new(what.as_ref());
        cmd.cookie = u64::try_from(fd).map_err(|_| {
            PROGRESS.error(ErrorKind::Invalid, what.as_ref(), "that is no descriptor")
        })?;
        self.call_cmd(PROGRESS, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(SendProgress { bytes: Bytes::new(cmd.cookie), blocks: cmd.objset_type })
    }

    fn start_send(&self, target: &str, options: &SendOptions) -> Result<SendStream> {
        let mut input = options.to_nvlist(target, "fromsnap", SEND)?;
        let start_error = |error| Error::io("start to send", error).with_target(target);
        let (channel, theirs) = Channel::from_kernel().map_err(start_error)?;
        input.insert("fd", theirs.as_raw_fd());
        let job =
            Job { zfs: self.clone(), target: target.to_owned(), options: options.clone(), input };
        let kernel = Worker::start("zfsvol-send", move || job.run(theirs)).map_err(start_error)?;
        let mut stream = SendStream {
            target: target.to_owned(),
            channel: Arc::new(channel),
            kernel: Some(kernel),
            outcome: None,
        };
        // Refused before anything was written: said here and now.
        if !stream.channel.wait_for_data().map_err(start_error)? {
            stream.finish(Flow::End)?;
        }
        Ok(stream)
    }

    /// The kernel's refusal, with what its errno alone does not say.
    fn explain_send(&self, error: CallError, target: &str, options: &SendOptions) -> Error {
        let errno = error.errno();
        let error = error.into_error(self);
        let is_saved = options.flags.contains(SendFlags::SAVED);
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::Invalid if is_saved && self.has(target) => {
                let reason = "no interrupted receive is saved in it";
                SEND.error(ErrorKind::NotFound, target, reason)
                    .with_errno(errno.unwrap_or(Errno::ENOENT))
            }
            ErrorKind::NotFound if self.has(target) => {
                let missing = match (&options.base, &options.redacted_by) {
                    (Some(base), None) => (ErrorKind::BaseMissing, base.as_str().to_owned()),
                    (_, Some(bookmark)) => (ErrorKind::NotFound, bookmark.to_string()),
                    (None, None) => return error,
                };
                let reason = format!("'{}' does not exist", missing.1);
                Error::new(missing.0, error.operation().to_owned(), reason)
                    .with_target(target)
                    .with_errno(errno.unwrap_or(Errno::ENOENT))
            }
            _ => self.explain_busy(error, target),
        }
    }

    /// Whether a dataset or snapshot is there, as far as it can be known.
    fn has(&self, name: &str) -> bool {
        name.parse::<EntityName>().is_ok_and(|name| self.exists(&name).unwrap_or(false))
    }
}

/// What the thread that sends is given.
struct Job {
    zfs: Zfs,
    target: String,
    options: SendOptions,
    input: NvList,
}

impl Job {
    /// Issues the ioctl. The descriptor is closed after it, which the reader sees as the end of the stream.
    fn run(self, theirs: OwnedFd) -> Result<()> {
        let target = self.target.as_str();
        let packed = self
            .input
            .to_bytes()
            .map_err(|error| CallError::library(SEND, target, error).into_error(&self.zfs))?;
        let mut cmd = Cmd::new(target);
        cmd.input = Some(packed);
        // No room for a reply: there is none, and a send must not be tried again with more.
        let outcome = self.zfs.call_cmd(SEND, &mut cmd);
        drop(theirs);
        outcome.map(drop).map_err(|error| self.zfs.explain_send(error, target, &self.options))
    }
}

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

    /// Writes the stream to a descriptor of any kind, in the background, and closes it at the end. A reader of it that stalls does not keep the transfer
    /// from being cancelled. To keep the descriptor, give a duplicate (`try_clone`).
    ///
    /// # Errors
    /// When no thread can be started. What happens to the stream, [`Transfer::wait`] tells.
    pub fn write_to_fd(self, fd: impl Into<OwnedFd>) -> Result<Transfer<Sent>> {
        let to = Endpoint::new(fd.into()).map_err(|error| self.write_error(error))?;
        Transfer::start(SEND.verb, self.cancel_handle(), move || {
            self.pump(|channel| to_endpoint(channel, &to))
        })
    }

    /// Writes the stream to a writer, in the background, and drops it at the end. While a call of the writer does not return, cancelling ends the send but
    /// not that call.
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
    pub fn receive_into(self, receive: ReceiveStream) -> Result<Transfer<Received>> {
        let handle = self.cancel_handle().with(receive.channel().clone());
        Transfer::start(super::receive::VERB, handle, move || self.pump_into(receive))
    }

    fn pump(mut self, flow: impl FnOnce(&Channel) -> io::Result<Flow>) -> Result<Sent> {
        match flow(&self.channel) {
            Ok(flow) => self.finish(flow),
            Err(error) => Err(self.write_error(error)),
        }
    }

    fn pump_into(mut self, mut receive: ReceiveStream) -> Result<Received> {
        let flow = match receive.begin_from(|buffer| read_once(&self.channel, buffer))? {
            Begun::Started => to_channel(&self.channel, receive.channel())
                .map_err(|error| self.write_error(error))?,
            Begun::Ended => Flow::End,
            Begun::Stopped => Flow::Stopped,
        };
        if flow == Flow::End {
            // A send that failed explains a stream that ended too early.
            self.finish(flow)?;
        }
        receive.finish()
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
