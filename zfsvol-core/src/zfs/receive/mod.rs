//! Receive: a stream becomes a snapshot.

mod job;
mod options;
mod stream;

use std::fs::File;
use std::sync::Arc;

use serde::Serialize;

use super::Zfs;
use super::call::{CallError, Operation};
use super::errno::came_with;
use super::transfer::Channel;
use crate::error::{BusyReason, Error, ErrorKind, Failure, Result};
use crate::kernel::{Errno, Ioc};
use crate::name::{DatasetName, SnapshotName};
use crate::stream::{BeginRecord, StreamFeatures};
use crate::units::Bytes;

pub use options::ReceiveOptions;
pub(super) use stream::Begun;
pub use stream::ReceiveStream;

use job::Job;

const RECEIVE: Operation = Operation::new(Ioc::RECV_NEW, VERB);
pub(super) const VERB: &str = "receive";

/// A stream that was received.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Received {
    /// The snapshot it became.
    pub snapshot: SnapshotName,
    /// What the stream's first record said.
    pub begin: BeginRecord,
    /// How long the stream was.
    pub bytes: Bytes,
    /// Properties that could not be set, and why. The snapshot was received all the same.
    #[serde(with = "crate::nvlist::nvlist_array")]
    pub property_failures: Vec<Failure>,
    /// More of them than the kernel's reply had room for.
    pub property_failures_omitted: u64,
    /// Whether properties received earlier, which this stream does not have, could not all be cleared (`ZPROP_ERR_NOCLEAR`).
    pub properties_not_cleared: bool,
    /// What followed the stream's end and was read from the source before that was seen, 1 MiB at most. Empty unless several things share one
    /// source.
    #[serde(with = "crate::nvlist::byte_array")]
    pub excess: Vec<u8>,
}

impl Zfs {
    /// Prepares to receive a stream as `snapshot`: write the stream to what this returns, and [finish](ReceiveStream::finish) it, or name
    /// a source it reads from by itself.
    ///
    /// - An increment needs the dataset, unchanged since the snapshot it starts from (see [`ReceiveOptions::force`]).
    /// - A full stream makes the dataset, whose parent must exist, and be a file system. So does the increment of a clone, from its
    ///   [origin](ReceiveOptions::origin).
    /// - A new dataset is not mounted; one that is mounted shows the new content at the end. Nothing of the stream shows before.
    /// - A package of streams (`zfs send -R` or `-p`) is not received here: [`ErrorKind::StreamUnsupported`].
    ///
    /// Issues `ZFS_IOC_RECV_NEW` in a thread of its own once the stream's first record is there (libzfs_core also uses `ZFS_IOC_RECV`,
    /// which knows less, for modules before 0.7).
    ///
    /// ```
    /// # use zfsvol_core::property::PropertySet;
    /// # use zfsvol_core::zfs::SendOptions;
    /// # let zfs = zfsvol_core::Zfs::embedded();
    /// # zfs.create_filesystem(&"tank/source".parse()?, &PropertySet::new())?;
    /// # let monday: zfsvol_core::SnapshotName = "tank/source@monday".parse()?;
    /// # zfs.snapshot([&monday], &PropertySet::new())?;
    /// # let mut backup = zfs.send(&monday, &SendOptions::full())?;
    /// use zfsvol_core::zfs::ReceiveOptions;
    ///
    /// let mut stream = zfs.receive(&"tank/db@monday".parse()?, &ReceiveOptions::new().resumable())?;
    /// std::io::copy(&mut backup, &mut stream)?;
    /// let received = stream.finish()?;
    /// assert_eq!(received.snapshot.as_str(), "tank/db@monday");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When no pipe can be made, or a passphrase no key. Once the stream flows, from writing it, [`ReceiveStream::finish`] or
    /// [`Transfer::wait`](super::Transfer::wait):
    /// - [`ErrorKind::NotFound`]: the dataset (for an increment), or its parent, does not exist.
    /// - [`ErrorKind::Exists`]: the snapshot does, or for a full stream the dataset.
    /// - [`ErrorKind::BaseMissing`]: the snapshot the increment starts from is not at the destination.
    /// - [`ErrorKind::DestinationModified`]: the destination was changed since that snapshot.
    /// - [`ErrorKind::ResumePending`]: an interrupted receive can be resumed; [`Error::busy`] has its token.
    /// - [`ErrorKind::Busy`]: another receive into it is running.
    /// - [`ErrorKind::StreamDamaged`], [`ErrorKind::StreamTruncated`], [`ErrorKind::StreamUnsupported`].
    /// - [`ErrorKind::EncryptionMismatch`], [`ErrorKind::KeyNotLoaded`]: the encryption of stream and destination do not go together. So it is with a new key for
    ///   what is there and would be replaced ([`force`](ReceiveOptions::force)): the module loses that key, and nobody could read what is left (seen on 2.3).
    /// - [`ErrorKind::Unsupported`]: what comes is encrypted, and a `version` or `default...quota` is to be set on it, where OpenZFS 2.4.4 stops the machine.
    /// - [`ErrorKind::WrongType`]: the parent is a zvol, a zvol's stream is for a file system with children, or the origin of a full
    ///   stream is of the other kind, which the module takes, to stop the machine when it looks at it (seen on 2.3 and 2.4).
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
        Ok(ReceiveStream::new(Arc::new(channel), job))
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
            ErrorKind::Unsupported if job.options.heal && !self.module().is_at_least(2, 2) => {
                let (reason, help) = came_with("healing", (2, 2), self.module());
                RECEIVE
                    .error(ErrorKind::Unsupported, target, reason)
                    .with_errno(errno.unwrap_or(Errno::ZFS_ERR_IOC_ARG_UNAVAIL))
                    .with_help(help)
            }
            ErrorKind::Busy | ErrorKind::ResumePending => match self.receive_token(&dataset) {
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::transfer::fake;
    use super::super::{Key, SendOptions};
    use super::*;
    use crate::kernel::Cmd;
    use crate::kernel::stub::{Stub, answer};
    use crate::nvlist::{NvList, Value};
    use crate::property::PropertySet;
    use crate::stream::BEGIN_RECORD_BYTES;

    const RECORD: &[u8; BEGIN_RECORD_BYTES] =
        include_bytes!("../../../../tests/fixtures/begin/raw");
    /// Bytes behind the first record of the streams here.
    const REST: usize = 3 << 20;

    fn two() -> SnapshotName {
        "tank/copy@two".parse().unwrap()
    }

    fn stream() -> Vec<u8> {
        let mut bytes = RECORD.to_vec();
        bytes.resize(BEGIN_RECORD_BYTES + REST, 5);
        bytes
    }

    /// A kernel that has `tank` and `tank/copy`, and takes streams.
    fn kernel(receive: fn(&mut Cmd) -> Result<(), Errno>) -> Zfs {
        Zfs::new(Stub::new(move |ioc, cmd| match (ioc, cmd.name.as_str()) {
            (Ioc::RECV_NEW, _) => receive(cmd),
            (Ioc::SEND_NEW, _) => fake::write(cmd, "fd", &stream()),
            (Ioc::OBJSET_STATS, "tank" | "tank/copy") => answer::<u64>(cmd, []),
            _ => Err(Errno::ENOENT),
        }))
    }

    /// Reads a whole stream.
    fn take(cmd: &mut Cmd) -> Result<(), Errno> {
        let arguments = fake::arguments(cmd);
        assert_eq!(arguments.get_bytes("begin_record"), Some(RECORD.as_slice()));
        assert_eq!(cmd.name, "tank/copy");
        let bytes = fake::read(cmd, "input_fd", REST);
        if bytes.len() < REST {
            return Err(Errno::ZFS_ERR_STREAM_TRUNCATED);
        }
        let errors: NvList = [("reservation", Errno::ENOSPC.0)].into_iter().collect();
        let read: Value = (bytes.len() as u64).into();
        answer(
            cmd,
            [("read_bytes", read), ("error_flags", 1_u64.into()), ("errors", errors.into())],
        )
    }

    #[test]
    fn the_request_has_the_pairs_of_the_module() {
        let set = |name| PropertySet::new().with(name, "off").unwrap();
        let options = ReceiveOptions::new()
            .force()
            .resumable()
            .heal()
            .origin("tank/a@one".parse().unwrap())
            .received(&set("atime"))
            .set(&set("devices"))
            .exclude("mountpoint")
            .key(Key::raw([1; 32]));
        let input = options.to_nvlist(&two()).unwrap();
        let names: Vec<&str> = input.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "snapname",
                "props",
                "hidden_args",
                "localprops",
                "origin",
                "force",
                "resumable",
                "heal"
            ]
        );
        let local = input.get_list("localprops").unwrap();
        assert_eq!(local.get("mountpoint"), Some(&Value::Boolean));
        assert!(local.contains("devices") && local.contains("keyformat"));
        assert_eq!(ReceiveOptions::new().to_nvlist(&two()).unwrap().len(), 1);
    }

    #[test]
    fn a_stream_is_taken_in_pieces_of_any_size() {
        for size in [100, BEGIN_RECORD_BYTES, 1000, 1 << 20] {
            let mut receive = kernel(take).receive(&two(), &ReceiveOptions::new()).unwrap();
            for piece in stream().chunks(size) {
                receive.write_all(piece).unwrap();
            }
            let received = receive.finish().unwrap();
            assert_eq!(received.bytes.get(), stream().len() as u64);
            assert!(received.properties_not_cleared);
            let [failure] = received.property_failures.as_slice() else { panic!("one") };
            assert_eq!((failure.name.as_str(), failure.kind), ("reservation", ErrorKind::NoSpace));
        }
    }

    #[test]
    fn a_stream_that_ends_early_is_truncated() {
        let mut receive = kernel(take).receive(&two(), &ReceiveOptions::new().resumable()).unwrap();
        receive.write_all(&stream()[..1 << 20]).unwrap();
        assert_eq!(
            receive.finish().unwrap_err().to_string(),
            "cannot receive 'tank/copy@two': the stream ended too early (ZFS_ERR_STREAM_TRUNCATED); what came is saved: resume it \
             with the dataset's receive_resume_token"
        );
    }

    #[test]
    fn what_is_refused_ends_the_writing() {
        let refuse = |_: &mut Cmd| Err(Errno::ETXTBSY);
        let mut receive = kernel(refuse).receive(&two(), &ReceiveOptions::new()).unwrap();
        let error = loop {
            if let Err(error) = receive.write_all(&stream()) {
                break error;
            }
        };
        let inside = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(inside.kind(), ErrorKind::DestinationModified);
        assert_eq!(receive.finish().unwrap_err().kind(), ErrorKind::DestinationModified);
    }

    /// `ENOMEM` means "more room for the reply" elsewhere; here the stream is used up.
    #[test]
    fn a_receive_is_never_tried_again() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let refuse = |cmd: &mut Cmd| {
            CALLS.fetch_add(1, Ordering::Relaxed);
            fake::read(cmd, "input_fd", REST);
            Err(Errno::ENOMEM)
        };
        let mut receive = kernel(refuse).receive(&two(), &ReceiveOptions::new()).unwrap();
        receive.write_all(&stream()).unwrap();
        receive.finish().unwrap_err();
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_receive_nobody_writes_to_ends_when_dropped() {
        let mut receive = kernel(take).receive(&two(), &ReceiveOptions::new()).unwrap();
        receive.write_all(&stream()[..1000]).unwrap();
        drop(receive);
        drop(kernel(take).receive(&two(), &ReceiveOptions::new()).unwrap());
    }

    #[test]
    fn one_kernel_sends_to_another() {
        let zfs = kernel(take);
        let one = "tank/a@one".parse::<SnapshotName>().unwrap();
        let receive = zfs.receive(&two(), &ReceiveOptions::new()).unwrap();
        let transfer = zfs.send(&one, &SendOptions::full()).unwrap().receive_into(receive).unwrap();
        assert_eq!(transfer.wait().unwrap().bytes.get(), stream().len() as u64);
    }

    #[test]
    fn what_follows_the_stream_is_given_back() {
        let mut bytes = stream();
        bytes.extend_from_slice(b"more");
        let receive = kernel(take).receive(&two(), &ReceiveOptions::new()).unwrap();
        let received = receive.read_from(std::io::Cursor::new(bytes)).unwrap().wait().unwrap();
        assert_eq!(received.excess, b"more");
    }

    #[test]
    fn a_destination_without_a_pool_is_told_apart() {
        let nowhere = "none@one".parse().unwrap();
        let mut receive = kernel(take).receive(&nowhere, &ReceiveOptions::new()).unwrap();
        // Whether writing or finishing says it depends on who is faster.
        let _ = receive.write_all(&stream());
        assert_eq!(
            receive.finish().unwrap_err().to_string(),
            "cannot receive 'none@one': its pool does not exist (ENOENT)"
        );
    }

    #[test]
    fn a_stream_is_read_to_its_end_and_no_further() {
        let zfs = kernel(take);
        let one = "tank/a@one".parse::<SnapshotName>().unwrap();
        let mut bytes = Vec::new();
        zfs.send(&one, &SendOptions::full()).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, stream());
    }
}
