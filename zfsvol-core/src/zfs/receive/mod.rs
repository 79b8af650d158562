//! Receive: a stream becomes a snapshot.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use super::call::{CallError, MORE_ERRORS, Operation};
use super::transfer::{
    CancelHandle, Channel, DROP_WAIT, Endpoint, Progress, Step, Transfer, Worker, cancelled,
    from_endpoint, joined, leftover, read_from_endpoint, to_io, write_all,
};
use super::{Key, Zfs, errno};
use crate::error::{BusyReason, Error, ErrorKind, Failure, Result};
use crate::kernel::{Errno, Ioc};
use crate::name::{DatasetName, SnapshotName};
use crate::nvlist::{NvList, Value};
use crate::property::PropertySet;
use crate::stream::{BEGIN_RECORD_BYTES, BeginFlags, BeginRecord, HeaderType, StreamFeatures};
use crate::units::Bytes;

const RECEIVE: Operation = Operation::new(Ioc::RECV_NEW, VERB);
pub(super) const VERB: &str = "receive";
/// What messages say when it is not the kernel that failed, but what the stream comes from.
const READ: &str = "read the stream for";

/// Longest list that may follow the first record. The kernel allocates it by the record's word; 64 MiB is what libzfs takes
/// (`DEFAULT_SENDRECV_MAX_NVLIST`, OpenZFS 2.3 `lib/libzfs/libzfs_sendrecv.c`).
const PAYLOAD_MAX: Bytes = Bytes::from_mib(64);

/// How much is read from a reader at once.
const READ_BYTES: usize = 128 << 10;

/// How to receive, and with which properties.
///
/// ```
/// use zfsvol_core::property::PropertySet;
/// use zfsvol_core::zfs::ReceiveOptions;
///
/// let options = ReceiveOptions::new()
///     .resumable()
///     .set(&PropertySet::new().with("readonly", true)?)
///     .exclude("mountpoint");
/// # Ok::<(), zfsvol_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReceiveOptions {
    force: bool,
    resumable: bool,
    heal: bool,
    origin: Option<SnapshotName>,
    received: PropertySet,
    set: PropertySet,
    excluded: Vec<String>,
    key: Option<Key>,
}

impl Default for ReceiveOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveOptions {
    /// Nothing special.
    #[must_use]
    pub fn new() -> Self {
        Self {
            force: false,
            resumable: false,
            heal: false,
            origin: None,
            received: PropertySet::new(),
            set: PropertySet::new(),
            excluded: Vec::new(),
            key: None,
        }
    }

    /// Takes the destination back to the snapshot the increment starts from: what was written since and the snapshots after it are lost. With a full stream, the
    /// destination's whole content is.
    #[must_use]
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Keeps what was received if the stream ends too early; see [`Zfs::receive_token`]. The pool needs the feature `extensible_dataset`.
    #[must_use]
    pub fn resumable(mut self) -> Self {
        self.resumable = true;
        self
    }

    /// Creates nothing: repairs damaged blocks of the snapshot, which exists, with those of the stream. OpenZFS 2.2 and newer.
    #[must_use]
    pub fn heal(mut self) -> Self {
        self.heal = true;
        self
    }

    /// Makes a new dataset as a clone of this snapshot: the one the increment starts from, or for a full stream one that it shares blocks with.
    #[must_use]
    pub fn origin(mut self, snapshot: SnapshotName) -> Self {
        self.origin = Some(snapshot);
        self
    }

    /// With these properties as received ones, as `zfs send -p` sends them: a local value takes precedence over each, and they replace all that
    /// were received before.
    #[must_use]
    pub fn received(mut self, properties: &PropertySet) -> Self {
        self.received = properties.clone();
        self
    }

    /// With these properties set locally, whatever was received (`zfs receive -o`).
    #[must_use]
    pub fn set(mut self, properties: &PropertySet) -> Self {
        self.set = properties.clone();
        self
    }

    /// With this property inherited, whatever was received (`zfs receive -x`). Properties that cannot be inherited are passed over.
    #[must_use]
    pub fn exclude(mut self, property: impl Into<String>) -> Self {
        self.excluded.push(property.into());
        self
    }

    /// Encrypts a new dataset with this key, as [`Create::key`](super::Create::key) does: for full streams that are not raw.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// All but `begin_record` and `input_fd`, which the start of the stream gives.
    fn to_nvlist(&self, snapshot: &SnapshotName) -> Result<NvList> {
        let mut local = self.set.to_nvlist();
        for property in &self.excluded {
            local.insert_flag(property);
        }
        let mut input = NvList::new();
        input.insert("snapname", snapshot.as_str());
        if !self.received.is_empty() {
            input.insert("props", self.received.to_nvlist());
        }
        if let Some(key) = &self.key {
            input.insert("hidden_args", key.prepare_new(&mut local)?);
        }
        if !local.is_empty() {
            input.insert("localprops", local);
        }
        if let Some(origin) = &self.origin {
            input.insert("origin", origin.as_str());
        }
        let flags = [(self.force, "force"), (self.resumable, "resumable"), (self.heal, "heal")];
        for (_, name) in flags.iter().filter(|(is_set, _)| *is_set) {
            input.insert_flag(*name);
        }
        Ok(input)
    }
}

/// A stream that was received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// The snapshot it became.
    pub snapshot: SnapshotName,
    /// What the stream's first record said.
    pub begin: BeginRecord,
    /// How long the stream was.
    pub bytes: Bytes,
    /// Properties that could not be set, and why. The snapshot was received all the same.
    pub property_failures: Vec<Failure>,
    /// More of them than the kernel's reply had room for.
    pub property_failures_omitted: u64,
    /// Whether properties received earlier, which this stream does not have, could not all be cleared (`ZPROP_ERR_NOCLEAR`).
    pub properties_not_cleared: bool,
    /// What followed the stream's end and was read from the source before that was seen, 1 MiB at most. Empty unless several things share one
    /// source.
    pub excess: Vec<u8>,
}

/// `ZPROP_ERR_NOCLEAR`.
const PROPERTIES_NOT_CLEARED: u64 = 1;

impl Zfs {
    /// Prepares to receive a stream as `snapshot`: write the stream to what this returns, and [finish](ReceiveStream::finish) it, or name a source it reads from by itself.
    ///
    /// - An increment needs the dataset, unchanged since the snapshot it starts from (see [`ReceiveOptions::force`]).
    /// - A full stream makes the dataset, whose parent must exist, and be a file system. So does the increment of a clone, from its [origin](ReceiveOptions::origin).
    /// - A new dataset is not mounted; one that is mounted shows the new content at the end. Nothing of the stream shows before.
    /// - A package of streams (`zfs send -R` or `-p`) is not received here: [`ErrorKind::StreamUnsupported`].
    ///
    /// Issues `ZFS_IOC_RECV_NEW` in a thread of its own once the stream's first record is there (libzfs_core also uses `ZFS_IOC_RECV`,
    /// which knows less, for modules before 0.7).
    ///
    /// ```no_run
    /// # let zfs = zfsvol_core::Zfs::open()?;
    /// use zfsvol_core::zfs::ReceiveOptions;
    ///
    /// let mut stream = zfs.receive(&"tank/db@monday".parse()?, &ReceiveOptions::new().resumable())?;
    /// std::io::copy(&mut std::fs::File::open("/backup/monday")?, &mut stream)?;
    /// stream.finish()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When no pipe can be made, or a passphrase no key. Once the stream flows, from writing it, [`ReceiveStream::finish`] or [`Transfer::wait`]:
    /// - [`ErrorKind::NotFound`]: the dataset (for an increment), or its parent, does not exist.
    /// - [`ErrorKind::Exists`]: the snapshot does, or for a full stream the dataset.
    /// - [`ErrorKind::BaseMissing`]: the snapshot the increment starts from is not at the destination.
    /// - [`ErrorKind::DestinationModified`]: the destination was changed since that snapshot.
    /// - [`ErrorKind::ResumePending`]: an interrupted receive can be resumed; [`Error::busy`] has its token.
    /// - [`ErrorKind::Busy`]: another receive into it is running.
    /// - [`ErrorKind::StreamDamaged`], [`ErrorKind::StreamTruncated`], [`ErrorKind::StreamUnsupported`].
    /// - [`ErrorKind::EncryptionMismatch`], [`ErrorKind::KeyNotLoaded`]: the encryption of stream and destination do not go together.
    /// - [`ErrorKind::WrongType`]: the parent is a zvol, or a zvol's stream is for a file system with children.
    /// - [`ErrorKind::NoSpace`], [`ErrorKind::QuotaExceeded`], [`ErrorKind::Denied`] (`receive`, `mount` and `create`), [`ErrorKind::Cancelled`].
    #[doc(alias(
        "lzc_receive",
        "lzc_receive_resumable",
        "lzc_receive_with_header",
        "lzc_receive_one",
        "lzc_receive_with_cmdprops",
        "lzc_receive_with_heal"
    ))]
    pub fn receive(
        &self,
        snapshot: &SnapshotName,
        options: &ReceiveOptions,
    ) -> Result<ReceiveStream> {
        let input = options.to_nvlist(snapshot)?;
        let (channel, theirs) = Channel::to_kernel()
            .map_err(|error| Error::io("start to receive", error).with_target(snapshot.as_str()))?;
        let job = Job {
            zfs: self.clone(),
            snapshot: snapshot.clone(),
            options: options.clone(),
            input,
            theirs: File::from(theirs),
        };
        Ok(ReceiveStream {
            snapshot: snapshot.clone(),
            channel: Arc::new(channel),
            begin: Vec::with_capacity(BEGIN_RECORD_BYTES),
            state: State::Waiting(Box::new(job)),
        })
    }

    /// The kernel's refusal, with what its errno alone does not say.
    fn explain_receive(&self, error: CallError, job: &Job, begin: &BeginRecord) -> Error {
        let (target, dataset) = (job.snapshot.as_str(), job.snapshot.dataset());
        let errno = error.errno();
        let error = error.into_error(self).with_target(target);
        if let Some(mismatch) = errno.and_then(|errno| self.encryption_mismatch(errno, job, begin))
        {
            return mismatch;
        }
        match error.kind() {
            ErrorKind::Busy => match self.receive_token(&dataset) {
                Ok(Some(token)) => self.pending(target, errno, token),
                _ => self.explain_busy(error, dataset.as_str()),
            },
            ErrorKind::StreamTruncated | ErrorKind::Interrupted if job.options.resumable => error
                .with_help("what came is saved: resume it with the dataset's receive_resume_token"),
            _ => error,
        }
    }

    /// Whether it was refused for how stream and destination are encrypted, which the kernel mostly says with `EINVAL` (OpenZFS 2.3
    /// `module/zfs/dmu_recv.c`, `recv_begin_check_existing_impl`).
    fn encryption_mismatch(&self, errno: Errno, job: &Job, begin: &BeginRecord) -> Option<Error> {
        let is_raw = begin.features.contains(StreamFeatures::RAW);
        let dataset = job.snapshot.dataset();
        let (reason, help) = match errno {
            Errno::EACCES if is_raw => ("the stream's key is not the destination's", None),
            Errno::EINVAL => {
                let exists = self.exists(&dataset).unwrap_or(false);
                let scope = if exists { dataset } else { dataset.parent()? };
                let encrypted = self.is_encrypted(&scope)?;
                let embeds = begin.features.contains(StreamFeatures::EMBED_DATA);
                match (exists, encrypted) {
                    (true, false) if is_raw => (
                        "the stream is raw, and the destination is not encrypted",
                        Some("send it without the raw flag, or receive it as a new dataset"),
                    ),
                    (_, true) if embeds => (
                        "the stream has embedded data, and the destination is encrypted",
                        Some("send it without the embed flag"),
                    ),
                    (true, true) if begin.from_guid.is_none() && job.options.force => (
                        "a full stream cannot replace an encrypted dataset",
                        Some("destroy the dataset first, or receive it as a new one"),
                    ),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let error = RECEIVE
            .error(ErrorKind::EncryptionMismatch, job.snapshot.as_str(), reason)
            .with_errno(errno);
        Some(match help {
            Some(help) => error.with_help(help),
            None => error,
        })
    }

    fn pending(&self, target: &str, errno: Option<Errno>, token: String) -> Error {
        let reason = Errno::ZFS_ERR_RESUME_EXISTS.reason();
        RECEIVE
            .error(ErrorKind::ResumePending, target, reason)
            .with_errno(errno.unwrap_or(Errno::EBUSY))
            .with_busy(vec![BusyReason::ReceivePending(token)])
            .with_help("resume it, or abort it")
    }

    /// The dataset that the caller's permissions are looked up at: the destination, or its parent if it is to be made.
    fn receive_scope(&self, snapshot: &SnapshotName) -> Result<DatasetName> {
        let dataset = snapshot.dataset();
        if self.exists(&dataset)? {
            return Ok(dataset);
        }
        dataset.parent().ok_or_else(|| {
            RECEIVE
                .error(ErrorKind::NotFound, snapshot.as_str(), "its pool does not exist")
                .with_errno(Errno::ENOENT)
        })
    }
}

/// What the thread that receives is given.
struct Job {
    zfs: Zfs,
    snapshot: SnapshotName,
    options: ReceiveOptions,
    input: NvList,
    /// The end of the pipe that the kernel reads from. It outlives the ioctl, so that nobody who still writes gets a SIGPIPE.
    theirs: File,
}

impl Job {
    /// Whether it makes sense to ask the kernel: what it would refuse with a bare `EINVAL`, or not refuse and should.
    fn check(&self, record: &[u8; BEGIN_RECORD_BYTES]) -> Result<BeginRecord> {
        let target = self.snapshot.as_str();
        let begin = BeginRecord::parse(record).map_err(|error| {
            RECEIVE.error(ErrorKind::StreamDamaged, target, error.to_string()).with_source(error)
        })?;
        if begin.header_type == HeaderType::Compound {
            let reason = "it is a package of streams (zfs send -R or -p)";
            return Err(RECEIVE.error(ErrorKind::StreamUnsupported, target, reason).with_help(
                "send each snapshot by itself, without -R, -p and -I, and set properties when receiving",
            ));
        }
        if begin.payload > PAYLOAD_MAX {
            let reason = format!(
                "its first record announces {}, and at most {PAYLOAD_MAX} are taken",
                begin.payload
            );
            return Err(RECEIVE.error(ErrorKind::StreamDamaged, target, reason));
        }
        let makes_clone = begin.flags.contains(BeginFlags::CLONE)
            && !begin.features.contains(StreamFeatures::RESUMING);
        if makes_clone && self.options.origin.is_none() {
            let reason =
                "it is an increment from a snapshot of another dataset, and makes a clone of that";
            return Err(RECEIVE
                .error(ErrorKind::Invalid, target, reason)
                .with_help("name the snapshot it starts from as its origin"));
        }
        Ok(begin)
    }

    /// Issues the ioctl.
    fn run(&self, record: &[u8; BEGIN_RECORD_BYTES], begin: &BeginRecord) -> Result<Received> {
        let scope = self.zfs.receive_scope(&self.snapshot)?;
        let mut input = self.input.clone();
        input
            .insert("begin_record", Value::ByteArray(record.to_vec()))
            .insert("input_fd", self.theirs.as_raw_fd());
        let reply = self
            .zfs
            .call(RECEIVE, scope.as_str(), &input)
            .map_err(|error| self.zfs.explain_receive(error, self, begin))?;
        self.received(&reply, begin)
    }

    fn received(&self, reply: &NvList, begin: &BeginRecord) -> Result<Received> {
        let missing = |error: crate::nvlist::NvTypeError| {
            RECEIVE.error(ErrorKind::Protocol, self.snapshot.as_str(), error.to_string())
        };
        let read = reply.require_u64("read_bytes").map_err(missing)?;
        let flags = reply.require_u64("error_flags").map_err(missing)?;
        let errors = reply.require_list("errors").map_err(missing)?;
        let omitted = errors.get_i32(MORE_ERRORS).and_then(|more| u64::try_from(more).ok());
        Ok(Received {
            snapshot: self.snapshot.clone(),
            begin: begin.clone(),
            // The kernel does not count the record it was handed.
            bytes: Bytes::new(read.saturating_add(BEGIN_RECORD_BYTES as u64)),
            property_failures: property_failures(errors),
            property_failures_omitted: omitted.unwrap_or(0),
            properties_not_cleared: flags & PROPERTIES_NOT_CLEARED != 0,
            excess: Vec::new(),
        })
    }
}

fn property_failures(errors: &NvList) -> Vec<Failure> {
    let number = |name: &str| errors.get_i32(name).map(Errno);
    let mut failures: Vec<Failure> = errors
        .iter()
        .filter(|(name, _)| *name != MORE_ERRORS)
        .filter_map(|(name, _)| Some((name, number(name)?)))
        .map(|(name, errno)| {
            let meaning = errno::meaning_for_property(Ioc::SET_PROP, name, errno);
            Failure {
                name: name.to_owned(),
                kind: meaning.kind,
                errno,
                reason: meaning.reason.into(),
                busy: Vec::new(),
            }
        })
        .collect();
    failures.sort_by(|a, b| a.name.cmp(&b.name));
    failures
}

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
pub(super) enum Begun {
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
    /// As [`Zfs::receive`].
    pub fn finish(mut self) -> Result<Received> {
        self.end()
    }

    /// Reads the stream from a descriptor of any kind, in the background, and closes it at the end. A source that stalls does not keep the transfer from being
    /// cancelled. It may read beyond the end of the stream; what it read is in [`Received::excess`].
    ///
    /// # Errors
    /// When no thread can be started. What happens to the stream, [`Transfer::wait`] tells.
    pub fn read_from_fd(self, fd: impl Into<OwnedFd>) -> Result<Transfer<Received>> {
        let from = Endpoint::new(fd.into()).map_err(|error| self.read_error(error))?;
        Transfer::start(VERB, self.cancel_handle(), move || self.pump_fd(&from))
    }

    /// Reads the stream from a reader, in the background, and drops it at the end. While a call of the reader does not return, cancelling ends the receive but not
    /// that call.
    ///
    /// # Errors
    /// When no thread can be started. What happens to the stream, [`Transfer::wait`] tells.
    pub fn read_from(self, mut reader: impl Read + Send + 'static) -> Result<Transfer<Received>> {
        Transfer::start(VERB, self.cancel_handle(), move || self.pump(&mut reader))
    }

    pub(super) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Reads the first record from `read`, and starts the kernel.
    pub(super) fn begin_from(
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
