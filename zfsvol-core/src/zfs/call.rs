//! One way down to the ioctl and one way back: pack, call, grow the reply, unpack.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Zfs, errno};
use crate::error::{Error, ErrorKind, Failure};
use crate::kernel::{Cmd, Errno, Ioc};
use crate::nvlist::NvList;

/// Room for a reply at first: what libzfs_core starts with. Most replies fit, so that no call is made twice.
pub(super) const REPLY_BYTES_FIRST: usize = 128 << 10;

/// Most room ever offered for a reply. The kernel's longest, the configurations of a host's pools or a file system's holds, are far below.
pub(super) const REPLY_BYTES_MAX: usize = 1 << 30;

/// The pair by which the kernel says how many errors did not fit (`ZFS_IOC_*`'s `N_MORE_ERRORS`).
pub(super) const MORE_ERRORS: &str = "N_MORE_ERRORS";

/// One operation as messages name it: its ioctl, and what completes "cannot ... 'tank/a'".
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub(super) ioc: Ioc,
    pub(super) verb: &'static str,
}

impl Operation {
    pub(super) const fn new(ioc: Ioc, verb: &'static str) -> Self {
        Self { ioc, verb }
    }

    /// An error of this operation that the kernel was not asked about.
    pub(super) fn error(
        self,
        kind: ErrorKind,
        target: &str,
        reason: impl Into<Cow<'static, str>>,
    ) -> Error {
        Error::new(kind, self.verb, reason).with_target(target)
    }
}

/// The kernel's no: the errno, and the reply that came with it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) operation: Operation,
    pub(super) target: String,
    pub(super) errno: Errno,
    pub(super) reply: NvList,
    /// The reason in words, when it was not OpenZFS but a door around it.
    pub(super) reason: Option<String>,
}

impl Zfs {
    /// Issues an operation of the nvlist kind and returns its reply, empty if there is none.
    ///
    /// The error is itself a `Result`: the outer one is this library's (the request cannot be packed, the reply not unpacked), the
    /// refusal inside is the kernel's.
    pub(super) fn call(
        &self,
        operation: Operation,
        target: &str,
        input: &NvList,
    ) -> Result<NvList, CallError> {
        let packed =
            input.to_bytes().map_err(|error| CallError::library(operation, target, error))?;
        // As libzfs_core: an error list is rarely longer than twice the request.
        let reply_max = (packed.len().saturating_mul(2)).clamp(REPLY_BYTES_FIRST, REPLY_BYTES_MAX);
        let mut cmd = Cmd::new(target);
        cmd.input = Some(packed);
        cmd.reply_max = reply_max;
        self.call_cmd(operation, &mut cmd)
    }

    /// Issues any operation, the legacy ones included, and unpacks the reply nvlist if there is one.
    ///
    /// `ENOMEM` with a reply wanted means "too small": it is tried again with more room, up to [`REPLY_BYTES_MAX`]. Operations that change
    /// something never come to that, because the kernel cuts their error lists to fit.
    pub(super) fn call_cmd(
        &self,
        operation: Operation,
        cmd: &mut Cmd,
    ) -> Result<NvList, CallError> {
        let target = cmd.name.clone();
        let request = (cmd.reply_max > 0).then(|| cmd.clone());
        loop {
            let outcome = self.kernel.ioctl(operation.ioc, cmd);
            let (Err(Errno::ENOMEM), Some(request)) = (outcome, &request) else {
                return unpack(operation, &target, cmd, outcome);
            };
            let grown = grow(cmd);
            if grown > REPLY_BYTES_MAX || !may_grow(operation.ioc) {
                return unpack(operation, &target, cmd, outcome);
            }
            *cmd = request.clone();
            cmd.reply_max = grown;
        }
    }
}

/// A channel program's `ENOMEM` is its own memory limit (`lzc_ioctl` makes the same exception), and a receive has used up its stream.
fn may_grow(ioc: Ioc) -> bool {
    !matches!(ioc, Ioc::CHANNEL_PROGRAM | Ioc::RECV_NEW)
}

/// The size the kernel asked for, or twice the last.
fn grow(cmd: &Cmd) -> usize {
    let needed = usize::try_from(cmd.reply_size()).unwrap_or(usize::MAX);
    needed.max(cmd.reply_max.saturating_mul(2))
}

fn unpack(
    operation: Operation,
    target: &str,
    cmd: &Cmd,
    outcome: Result<(), Errno>,
) -> Result<NvList, CallError> {
    let reply =
        if cmd.has_reply_nvlist() { NvList::from_bytes(cmd.reply()) } else { Ok(NvList::new()) };
    match (outcome, reply) {
        (Ok(()), Ok(reply)) => Ok(reply),
        (Ok(()), Err(error)) => Err(CallError::library(operation, target, error)),
        // A damaged list beside an errno: the errno is what matters.
        (Err(errno), reply) => Err(CallError::Refused(Box::new(Refusal {
            operation,
            target: target.to_owned(),
            errno,
            reply: reply.unwrap_or_default(),
            reason: cmd.refusal().map(ToOwned::to_owned),
        }))),
    }
}

/// Why a call failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// The kernel refused.
    Refused(Box<Refusal>),
    /// This library could not ask, or not read the answer.
    Library(Error),
}

impl CallError {
    pub(super) fn library(operation: Operation, target: &str, error: impl Into<Error>) -> Self {
        let error: Error = error.into();
        Self::Library(error.with_operation(operation.verb).with_target(target))
    }

    /// The kernel's errno, if it was the kernel.
    pub(super) fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused(refusal) => Some(refusal.errno),
            Self::Library(_) => None,
        }
    }

    /// The errno, unless a door around the kernel gave it with a reason of its own, which says more.
    pub(super) fn bare_errno(&self) -> Option<Errno> {
        match self {
            Self::Refused(refusal) if refusal.reason.is_none() => Some(refusal.errno),
            _ => None,
        }
    }

    /// The error of an operation on one name.
    pub(super) fn into_error(self, zfs: &Zfs) -> Error {
        match self {
            Self::Refused(refusal) => refusal.into_error(zfs),
            Self::Library(error) => error,
        }
    }

    /// The error of an operation on `count` names of which this is the first, with each that failed. The reply lists name and errno; where
    /// it does not, all were refused, and the ioctl's own target, the pool, says less than the names do.
    pub(super) fn into_batch_error(self, zfs: &Zfs, first: &str, count: usize) -> Error {
        let error = match self {
            Self::Refused(refusal) => refusal.into_batch_error(zfs),
            Self::Library(error) => error,
        };
        match (error.failures().is_empty(), count) {
            (_, 0 | 1) => error.with_target(first),
            (true, _) => error.with_targets(first, count - 1),
            (false, _) => error,
        }
    }
}

impl Refusal {
    pub(super) fn into_error(self, zfs: &Zfs) -> Error {
        let meaning = errno::meaning(self.operation.ioc, self.errno);
        let (kind, reason, help) = if let Some(reason) = self.reason {
            (errno::general(self.errno).kind, Cow::Owned(reason), None)
        } else if self.errno.is_module_too_old() {
            let (reason, help) = errno::too_old(self.operation.ioc, self.errno, zfs.module());
            (ErrorKind::Unsupported, Cow::Owned(reason), Some(help))
        } else {
            (meaning.kind, Cow::Borrowed(meaning.reason), meaning.help)
        };
        let mut error = Error::new(kind, self.operation.verb, reason)
            .with_errno(self.errno)
            .with_target(self.target);
        if let Some(help) = help {
            error = error.with_help(help);
        }
        error
    }

    fn into_batch_error(self, zfs: &Zfs) -> Error {
        let omitted = self
            .reply
            .get_i32(MORE_ERRORS)
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0);
        let failures = self.failures();
        if failures.is_empty() {
            return self.into_error(zfs);
        }
        let first = failures.first().map_or(ErrorKind::Other, |failure| failure.kind);
        let same = failures.iter().all(|failure| failure.kind == first);
        let kind = if same { first } else { ErrorKind::Several };
        // Of several, the kernel answers with that of whichever name it came to last or first. A tree's names come in the order of a hash.
        let is_of_one = failures.iter().any(|failure| failure.errno == self.errno);
        let first = failures.first().filter(|_| is_of_one);
        let errno = first.map_or(self.errno, |failure| failure.errno);
        let help = errno::meaning(self.operation.ioc, errno).help.filter(|_| same);
        let error = Error::new(kind, self.operation.verb, errno.reason())
            .with_errno(errno)
            .with_failures(failures, omitted);
        match help {
            Some(help) => error.with_help(help),
            None => error,
        }
    }

    /// Name and errno of the reply, in the order of names; `tank/a@s` of a hold list is the snapshot.
    fn failures(&self) -> Vec<Failure> {
        let errors: BTreeMap<&str, Errno> = self
            .reply
            .iter()
            .filter(|(name, _)| *name != MORE_ERRORS)
            .filter_map(|(name, _)| Some((name, Errno(self.reply.get_i32(name)?))))
            .collect();
        errors
            .into_iter()
            .map(|(name, errno)| {
                let meaning = errno::meaning(self.operation.ioc, errno);
                Failure {
                    name: name.to_owned(),
                    kind: meaning.kind,
                    errno,
                    reason: meaning.reason.into(),
                    busy: Vec::new(),
                }
            })
            .collect()
    }
}
