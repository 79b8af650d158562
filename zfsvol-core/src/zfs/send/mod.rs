//! Send: a snapshot as a stream.

mod options;
mod stream;

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use serde::Serialize;

use super::Zfs;
use super::call::{CallError, Operation};
use super::transfer::{Channel, Worker};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::name::{DatasetName, Entity, EntityName, SnapshotName};
use crate::nvlist::NvList;
use crate::stream::SendFlags;
use crate::units::Bytes;

pub use options::{ResumePoint, SendBase, SendOptions};
pub use stream::SendStream;

const SEND: Operation = Operation::new(Ioc::SEND_NEW, "send");
const SPACE: Operation = Operation::new(Ioc::SEND_SPACE, "estimate the stream of");
const PROGRESS: Operation = Operation::new(Ioc::SEND_PROGRESS, "ask for the progress of");

/// What the kernel says of a send that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SendProgress {
    /// Bytes written so far.
    pub bytes: Bytes,
    /// Blocks visited so far, also those that need not be sent.
    pub blocks: u64,
}

/// A stream that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sent {
    /// How long it was.
    pub bytes: Bytes,
}

impl Zfs {
    /// Starts to send a snapshot (or a dataset as it is now, if it is not mounted or open), and returns the stream. Nothing changes on
    /// disk; the snapshot cannot be destroyed meanwhile.
    ///
    /// Returns when the kernel has written the first of it, or refused. The stream is complete when reading it gives 0 bytes: if anything
    /// fails, reading gives an error instead.
    ///
    /// Issues `ZFS_IOC_SEND_NEW` in a thread of its own.
    ///
    /// ```
    /// # use zfsvol_core::property::PropertySet;
    /// # let zfs = zfsvol_core::Zfs::embedded();
    /// # zfs.create_filesystem(&"tank/db".parse()?, &PropertySet::new())?;
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("monday");
    /// use zfsvol_core::SnapshotName;
    /// use zfsvol_core::zfs::SendOptions;
    ///
    /// let monday: SnapshotName = "tank/db@monday".parse()?;
    /// # zfs.snapshot([&monday], &PropertySet::new())?;
    /// let mut stream = zfs.send(&monday, &SendOptions::full())?;
    /// std::io::copy(&mut stream, &mut std::fs::File::create(&path)?)?;
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

    /// Sends what an interrupted receive has saved in `dataset`, so that another host can have that much. Receiving it, resumably, leaves
    /// that host with the same saved state, which a resumed send of the original snapshot completes.
    ///
    /// Issues `ZFS_IOC_SEND_NEW` with `savedok`, as [`Zfs::send`]. `base` and the flags must be those of the stream that was interrupted;
    /// they are in its [token](Zfs::receive_token).
    ///
    /// # Errors
    /// As [`Zfs::send`]; [`ErrorKind::NotFound`] also when nothing is saved there.
    #[doc(alias = "lzc_send")]
    pub fn send_saved(&self, dataset: &DatasetName, options: &SendOptions) -> Result<SendStream> {
        let saved = options.clone().flags(options.flags | SendFlags::SAVED);
        self.start_send(dataset.as_str(), &saved)
    }

    /// How long the stream would be: an estimate. It takes a moment, except for an increment from a bookmark, a redacted stream or a
    /// resumed one, for which the kernel walks all the blocks.
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
    /// [`SendStream::progress`] and [`Transfer::progress`](super::Transfer::progress) do without it.
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
        SendStream::start(target.to_owned(), channel, kernel)
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
            ErrorKind::BaseMissing => match &options.base {
                Some(base) => SEND
                    .error(
                        ErrorKind::BaseMissing,
                        target,
                        format!(
                            "'{}' is not an earlier snapshot of it, nor of its origins",
                            base.as_str()
                        ),
                    )
                    .with_operation(error.operation().to_owned())
                    .with_errno(errno.unwrap_or(Errno::EXDEV)),
                None => error,
            },
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::Duration;

    use super::super::transfer::fake;
    use super::*;
    use crate::kernel::stub::{Stub, answer};
    use crate::name::BookmarkName;

    fn one() -> SnapshotName {
        "tank/a@one".parse().unwrap()
    }

    fn everything() -> SendOptions {
        let mark: BookmarkName = "tank/a#secret".parse().unwrap();
        SendOptions::since("tank/a@zero".parse::<SnapshotName>().unwrap())
            .flags(SendFlags::all() - SendFlags::SAVED)
            .redacted_by(mark)
            .resume_at(ResumePoint { object: 7, offset: 8, bytes: Bytes::new(9) })
    }

    fn names(list: &NvList) -> Vec<&str> {
        list.iter().map(|(name, _)| name).collect()
    }

    /// Sends `length` bytes, then answers `outcome`.
    fn kernel(length: usize, outcome: Result<(), Errno>) -> Zfs {
        Zfs::new(Stub::new(move |ioc, cmd| match ioc {
            Ioc::SEND_NEW => fake::write(cmd, "fd", &vec![7; length]).and(outcome),
            _ => Err(Errno::ENOENT),
        }))
    }

    #[test]
    fn the_request_has_the_pairs_of_the_module() {
        let input = everything().to_nvlist("tank/a@one", "fromsnap", SEND).unwrap();
        assert_eq!(
            names(&input),
            [
                "fromsnap",
                "largeblockok",
                "embedok",
                "compressok",
                "rawok",
                "redactbook",
                "resume_object",
                "resume_offset"
            ]
        );
        assert_eq!(input.get_str("redactbook"), Some("secret"));
        assert!(SendOptions::full().to_nvlist("tank/a@one", "fromsnap", SEND).unwrap().is_empty());
    }

    #[test]
    fn an_estimate_leaves_out_what_was_received_and_never_wraps() {
        for (space, expected) in [(100, 100), (u64::MAX - 8, 0), (u64::MAX - 9, u64::MAX - 9)] {
            let stub = Stub::new(move |_, cmd| {
                let arguments = fake::arguments(cmd);
                assert_eq!(arguments.get_u64("bytes"), Some(9));
                assert_eq!(arguments.get_str("from"), Some("tank/a@zero"));
                answer(cmd, [("space", space)])
            });
            let estimate = Zfs::new(stub).send_space(&one(), &everything(), None).unwrap();
            assert_eq!(estimate.get(), expected);
        }
    }

    #[test]
    fn a_stream_is_complete_at_its_end() {
        let mut stream = kernel(3 << 20, Ok(())).send(&one(), &SendOptions::full()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, vec![7; 3 << 20]);
        assert!(stream.progress().finished);
    }

    #[test]
    fn what_fails_in_the_middle_is_an_error_at_the_end() {
        let zfs = kernel(1000, Err(Errno::EIO));
        let mut stream = zfs.send(&one(), &SendOptions::full()).unwrap();
        let mut bytes = Vec::new();
        let error = stream.read_to_end(&mut bytes).unwrap_err();
        assert_eq!(bytes.len(), 1000);
        assert_eq!(
            error.to_string(),
            "cannot send 'tank/a@one': reading or writing failed (EIO); see which devices the pool's status names"
        );
        // And stays one.
        assert!(stream.read(&mut [0]).is_err());
    }

    #[test]
    fn what_fails_at_once_is_an_error_at_once() {
        let error = kernel(0, Err(Errno::EACCES)).send(&one(), &SendOptions::full()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyNotLoaded);
    }

    #[test]
    fn cancelling_ends_a_stream_that_nobody_reads() {
        let stream = kernel(16 << 20, Ok(())).send(&one(), &SendOptions::full()).unwrap();
        let (_open, write_end) = nix::unistd::pipe().unwrap();
        let transfer = stream.write_to_fd(write_end).unwrap();
        while transfer.progress().bytes < Bytes::from_kib(64) {
            std::thread::yield_now();
        }
        transfer.cancel();
        assert!(transfer.wait_for(Duration::from_secs(60)));
        assert_eq!(transfer.wait().unwrap_err().kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn dropping_ends_a_stream_that_nobody_reads() {
        drop(kernel(16 << 20, Ok(())).send(&one(), &SendOptions::full()).unwrap());
    }
}
