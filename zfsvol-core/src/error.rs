//! What went wrong: [`Error`], its [`ErrorKind`], and one [`Failure`] for each name of a batch.
//!
//! A program decides by the kind; a person reads the message, which names the operation, the dataset, the reason and, where
//! there is something to do, what:
//!
//! ```text
//! cannot destroy 'tank/web@monday': it is held by 'backup' (EBUSY); release the hold, or ask for a deferred destroy
//! ```

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::errno::Errno;
use crate::name::NameError;
use crate::nvlist::{DecodeError, EncodeError};

/// The result of every operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was, which is what the caller can do about it.
///
/// The numbers are frozen: they are the status codes of the C ABI. A number is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u32)]
pub enum ErrorKind {
    // 1-9: the argument is wrong; correct it.
    /// A name breaks the rules of names, or is too long once the kernel has made its own of it. Correct the name.
    InvalidName = 1,
    /// An argument, or the combination of them, is not one the kernel takes. Correct it.
    Invalid = 2,
    /// A property does not exist, cannot be set there, or not to that value. Correct it.
    InvalidProperty = 3,
    /// It is the wrong kind of thing: a file system where a zvol is needed, a dataset where a snapshot is. Name another.
    WrongType = 4,

    // 10-19: what is there and what is not.
    /// The dataset, snapshot, bookmark, hold, pool or property is not there.
    NotFound = 10,
    /// Something of that name is there already.
    Exists = 11,
    /// The two are not related as the operation needs: another pool, not an ancestor, a parent that is a zvol.
    Unrelated = 12,

    // 20-29: something is in the way; remove it, or wait.
    /// In use: held, cloned, mounted, open, with children, or being received into. [`Error::busy`] says by what, where it can be known.
    Busy = 20,
    /// The same kind of activity is running already (scrub, resilver, checkpoint, export). Wait for it, or stop it.
    InProgress = 21,
    /// A receive was interrupted and can be resumed; something else was asked. Resume it or abort it.
    ResumePending = 22,

    // 30-39: not allowed.
    /// The caller lacks the privilege or the delegated permission.
    Denied = 30,
    /// It can only be read: a snapshot, a read-only pool or dataset, a door that refuses changes.
    ReadOnly = 31,
    /// The dataset is encrypted and its key is not loaded. Load it.
    KeyNotLoaded = 32,
    /// The key given does not open the dataset.
    WrongKey = 33,
    /// The volume, or the root of a node, belongs to another node, or the volume is being handed over. Ask its owner.
    NotOwner = 34,
    /// The peer's policy does not let this node do it. Ask who runs the peer.
    NotPermitted = 35,

    // 40-49: a limit of space or number.
    /// The pool has no space left. Free some.
    NoSpace = 40,
    /// A quota, or a limit on the number of file systems or snapshots, is reached. Raise it or free some.
    QuotaExceeded = 41,
    /// More than this library or the kernel handles in one call: a reply, a list, a name too many. Ask for less.
    TooLarge = 42,

    // 50-59: not on this machine.
    /// The loaded module is too old for the operation. The message names the operation and both versions.
    Unsupported = 50,
    /// The pool lacks the feature, or it is not enabled. Enable it.
    FeatureDisabled = 51,
    /// There is no `/dev/zfs`: the module is not loaded, or the container does not have the device.
    NoModule = 52,

    // 60-69: transfers.
    /// The stream has a feature this module or pool cannot receive.
    StreamUnsupported = 60,
    /// The stream is damaged, or is not a send stream. Send it again.
    StreamDamaged = 61,
    /// The stream ended too early. Resume the receive if it was resumable, else send it again.
    StreamTruncated = 62,
    /// The destination was changed since the snapshot the increment starts from. Roll it back, or receive with force.
    DestinationModified = 63,
    /// The snapshot the increment starts from is not at the destination (or not an earlier one, at the source).
    BaseMissing = 64,
    /// The encryption of stream and destination do not go together.
    EncryptionMismatch = 65,
    /// The other end of the pipe or socket is closed.
    Disconnected = 66,

    // 70-79: the pool or its devices.
    /// The pool is suspended: its devices stopped answering. Bring them back and clear the pool.
    PoolSuspended = 70,
    /// The pool cannot be opened or imported: devices are missing, or it is in use by another host.
    PoolUnavailable = 71,
    /// Reading or writing failed.
    Io = 72,
    /// What is on disk, or what came back, is damaged.
    Corrupt = 73,

    // 80-89: stopped.
    /// The caller cancelled it.
    Cancelled = 80,
    /// A signal interrupted it. Try again.
    Interrupted = 81,
    /// It took longer than the caller allowed.
    TimedOut = 82,

    // 90-99: the rest.
    /// A channel program failed: its own error, its instruction limit or its memory limit.
    ProgramFailed = 90,
    /// Some names of a batch failed, and not all for the same reason; [`Error::failures`] has each.
    Several = 91,
    /// The kernel's reply, or what a peer sent, was not what this library knows; a bug here or there, worth a report.
    Protocol = 92,
    /// The kernel gave an errno this operation is not known to give; [`Error::errno`] has it.
    Other = 93,
}

impl ErrorKind {
    /// Every kind, in the order of its number.
    pub const ALL: &'static [Self] = &[
        Self::InvalidName,
        Self::Invalid,
        Self::InvalidProperty,
        Self::WrongType,
        Self::NotFound,
        Self::Exists,
        Self::Unrelated,
        Self::Busy,
        Self::InProgress,
        Self::ResumePending,
        Self::Denied,
        Self::ReadOnly,
        Self::KeyNotLoaded,
        Self::WrongKey,
        Self::NotOwner,
        Self::NotPermitted,
        Self::NoSpace,
        Self::QuotaExceeded,
        Self::TooLarge,
        Self::Unsupported,
        Self::FeatureDisabled,
        Self::NoModule,
        Self::StreamUnsupported,
        Self::StreamDamaged,
        Self::StreamTruncated,
        Self::DestinationModified,
        Self::BaseMissing,
        Self::EncryptionMismatch,
        Self::Disconnected,
        Self::PoolSuspended,
        Self::PoolUnavailable,
        Self::Io,
        Self::Corrupt,
        Self::Cancelled,
        Self::Interrupted,
        Self::TimedOut,
        Self::ProgramFailed,
        Self::Several,
        Self::Protocol,
        Self::Other,
    ];

    /// The frozen number, as the C ABI returns it.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The kind of that number. `None` for one that this version does not know.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }
}

/// What keeps a dataset or snapshot busy, as far as the kernel lets it be known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BusyReason {
    /// User holds with these tags.
    Holds(Vec<String>),
    /// These datasets are clones of it.
    Clones(Vec<String>),
    /// These datasets or snapshots are below it.
    Children(Vec<String>),
    /// These snapshots of the same dataset are newer than it, and a rollback to it would lose them.
    Newer(Vec<String>),
    /// It is mounted here.
    Mounted(Vec<String>),
    /// An interrupted receive can be resumed into it; the token says from where.
    ReceivePending(String),
    /// A receive into it is running now.
    Receiving,
    /// A process has the block device open.
    DeviceOpen(String),
}

impl fmt::Display for BusyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds(tags) => write!(f, "it is held by {}", quoted(tags)),
            Self::Clones(names) => write!(f, "it has the clone {}", quoted(names)),
            Self::Children(names) => write!(f, "it has {} below it", quoted(names)),
            Self::Newer(names) => write!(f, "newer than it is {}", quoted(names)),
            Self::Mounted(paths) => write!(f, "it is mounted on {}", quoted(paths)),
            Self::ReceivePending(_) => f.write_str("an interrupted receive into it can be resumed"),
            Self::Receiving => f.write_str("a receive into it is running"),
            Self::DeviceOpen(device) => write!(f, "its device '{device}' is open"),
        }
    }
}

/// `'a', 'b' and 7 more`: names for a message, of which a few are enough.
pub(crate) fn quoted(names: &[String]) -> String {
    const NAMED_MAX: usize = 3;
    let shown: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("'{name}'")).collect();
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// One name of a batch that failed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The name, as it was given.
    pub name: String,
    /// The kind of failure of this name.
    #[serde(serialize_with = "crate::serial::kind")]
    pub kind: ErrorKind,
    /// The kernel's errno for this name.
    #[serde(serialize_with = "crate::serial::errno")]
    pub errno: Errno,
    /// The reason in words.
    pub reason: Cow<'static, str>,
    /// What keeps it busy, when [`Self::kind`] is [`ErrorKind::Busy`] and it can be known.
    #[serde(skip)]
    pub busy: Vec<BusyReason>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}': ", self.name)?;
        fmt_reason(f, &self.reason, &self.busy)?;
        write!(f, " ({})", self.errno)
    }
}

/// Why an operation failed. One word wide, `Send`, `Sync` and `Clone`.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: Cow<'static, str>,
    target: Option<String>,
    /// How many more names were given, where the kernel refused the whole of them and named none.
    others: usize,
    errno: Option<Errno>,
    reason: Cow<'static, str>,
    help: Option<Cow<'static, str>>,
    failures: Vec<Failure>,
    failures_omitted: u64,
    busy: Vec<BusyReason>,
    source: Option<std::sync::Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// The kind: what a program decides by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done, in OpenZFS's words: `snapshot`, `receive`, `load the key of`.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The dataset, snapshot or pool it was done to; of a batch that was refused as a whole, the first. `None` when some names of a batch
    /// failed: [`Self::failures`] has them.
    pub fn target(&self) -> Option<&str> {
        self.0.target.as_deref()
    }

    /// The kernel's errno, where the kernel refused; where names of a batch failed of different ones, that of the first in [`Self::failures`].
    pub fn errno(&self) -> Option<Errno> {
        self.0.errno
    }

    /// The reason alone, without operation, target and advice.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// What to do about it, where that is known.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// Each name of a batch that failed. Empty for operations on one name.
    pub fn failures(&self) -> &[Failure] {
        &self.0.failures
    }

    /// How many more names failed than [`Self::failures`] has, because the kernel's reply did not hold them all.
    pub fn failures_omitted(&self) -> u64 {
        self.0.failures_omitted
    }

    /// What keeps the target busy, when the kind is [`ErrorKind::Busy`] and it can be known.
    pub fn busy(&self) -> &[BusyReason] {
        &self.0.busy
    }

    /// An error of this kind; `operation` completes the sentence "cannot ...".
    pub(crate) fn new(
        kind: ErrorKind,
        operation: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
            target: None,
            others: 0,
            errno: None,
            reason: reason.into(),
            help: None,
            failures: Vec::new(),
            failures_omitted: 0,
            busy: Vec::new(),
            source: None,
        }))
    }

    /// A reply that is not of the form this library knows.
    pub(crate) fn protocol(
        operation: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorKind::Protocol, operation, reason)
    }

    /// An input/output error of this process (not of the pool).
    pub(crate) fn io(operation: impl Into<Cow<'static, str>>, error: std::io::Error) -> Self {
        let errno = error.raw_os_error().map(Errno);
        let kind = match errno {
            Some(Errno::EPIPE) => ErrorKind::Disconnected,
            Some(Errno::EINTR) => ErrorKind::Interrupted,
            Some(Errno::EACCES | Errno::EPERM) => ErrorKind::Denied,
            Some(Errno::ENOENT) => ErrorKind::NotFound,
            Some(Errno::ENOSPC) => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        };
        let reason = match errno {
            Some(errno) => errno.reason().to_owned(),
            None => error.to_string(),
        };
        let mut this = Self::new(kind, operation, reason).with_source(error);
        this.0.errno = errno;
        this
    }

    pub(crate) fn with_target(mut self, target: impl Into<String>) -> Self {
        self.0.target = Some(target.into());
        self
    }

    /// The first name of a batch, and how many more there are.
    pub(crate) fn with_targets(self, first: impl Into<String>, others: usize) -> Self {
        let mut this = self.with_target(first);
        this.0.others = others;
        this
    }

    pub(crate) fn with_errno(mut self, errno: Errno) -> Self {
        self.0.errno = Some(errno);
        self
    }

    pub(crate) fn with_help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    pub(crate) fn with_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = reason.into();
        self
    }

    pub(crate) fn with_busy(mut self, busy: Vec<BusyReason>) -> Self {
        self.0.busy = busy;
        self
    }

    pub(crate) fn with_failures(mut self, failures: Vec<Failure>, omitted: u64) -> Self {
        self.0.failures = failures;
        self.0.failures_omitted = omitted;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.0.source = Some(std::sync::Arc::new(source));
        self
    }

    /// How many more names than [`Self::target`] the kernel refused as a whole.
    pub(crate) fn others(&self) -> usize {
        self.0.others
    }

    /// The same error, told as part of another operation.
    pub(crate) fn with_operation(mut self, operation: impl Into<Cow<'static, str>>) -> Self {
        self.0.operation = operation.into();
        self
    }
}

impl Inner {
    /// The one failure of a batch of one name, which is named already.
    fn failure_of_target(&self) -> Option<&Failure> {
        match self.failures.as_slice() {
            [alone] if self.target.as_ref() == Some(&alone.name) => Some(alone),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        write!(f, "cannot {}", inner.operation)?;
        if let Some(target) = &inner.target {
            write!(f, " '{target}'")?;
        }
        if inner.others > 0 {
            write!(f, " and {} more", inner.others)?;
        }
        f.write_str(": ")?;
        if let Some(alone) = inner.failure_of_target() {
            fmt_reason(f, &alone.reason, &alone.busy)?;
            write!(f, " ({})", alone.errno)?;
        } else if inner.failures.is_empty() {
            fmt_reason(f, &inner.reason, &inner.busy)?;
            if let Some(errno) = inner.errno {
                write!(f, " ({errno})")?;
            }
        } else {
            fmt_failures(f, &inner.failures, inner.failures_omitted)?;
        }
        match &inner.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// What keeps it busy says more than "it is busy".
fn fmt_reason(f: &mut fmt::Formatter<'_>, reason: &str, busy: &[BusyReason]) -> fmt::Result {
    let Some((first, rest)) = busy.split_first() else {
        return f.write_str(reason);
    };
    write!(f, "{first}")?;
    rest.iter().try_for_each(|reason| write!(f, ", and {reason}"))
}

fn fmt_failures(f: &mut fmt::Formatter<'_>, failures: &[Failure], omitted: u64) -> fmt::Result {
    const SHOWN_MAX: usize = 3;
    for (index, failure) in failures.iter().take(SHOWN_MAX).enumerate() {
        let separator = if index == 0 { "" } else { "; " };
        write!(f, "{separator}{failure}")?;
    }
    match failures.len().saturating_sub(SHOWN_MAX) as u64 + omitted {
        0 => Ok(()),
        more => write!(f, "; and {more} more"),
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &inner.kind).field("message", &self.to_string());
        if let Some(errno) = inner.errno {
            debug.field("errno", &errno);
        }
        if !inner.failures.is_empty() {
            debug.field("failures", &inner.failures);
        }
        if let Some(source) = &inner.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::new(ErrorKind::InvalidName, "use this name", error.to_string()).with_source(error)
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::new(ErrorKind::Invalid, "pack the request", error.to_string()).with_source(error)
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::protocol("unpack the reply", error.to_string()).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_listed_once_and_in_order() {
        assert!(ErrorKind::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
        assert_eq!(ErrorKind::ALL.len(), 40);
        assert_eq!(ErrorKind::Other.number(), 93);
    }

    #[test]
    fn messages_name_operation_target_reason_and_advice() {
        let error = Error::new(ErrorKind::Busy, "destroy", "it is busy")
            .with_target("tank/a@s")
            .with_errno(Errno::EBUSY)
            .with_busy(vec![BusyReason::Holds(vec!["backup".into(), "push".into()])])
            .with_help("release the hold");
        assert_eq!(
            error.to_string(),
            "cannot destroy 'tank/a@s': it is held by 'backup', 'push' (EBUSY); release the hold"
        );
    }

    #[test]
    fn a_batch_names_the_first_failures_and_counts_the_rest() {
        let failure = |name: &str| Failure {
            name: name.into(),
            kind: ErrorKind::Exists,
            errno: Errno::EEXIST,
            reason: "it exists already".into(),
            busy: Vec::new(),
        };
        let error = Error::new(ErrorKind::Exists, "snapshot", "")
            .with_failures(vec![failure("a@1"), failure("b@1"), failure("c@1"), failure("d@1")], 2);
        assert_eq!(
            error.to_string(),
            "cannot snapshot: 'a@1': it exists already (EEXIST); 'b@1': it exists already (EEXIST); \
             'c@1': it exists already (EEXIST); and 3 more"
        );
    }

    #[test]
    fn errors_are_one_word_and_cross_threads() {
        fn check<T: Send + Sync + Clone + 'static>() {}
        check::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
