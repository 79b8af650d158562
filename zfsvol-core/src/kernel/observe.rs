//! [`Observe`]: a look at each call before and after it is carried out.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    Access, BlockDevice, Cmd, Errno, Handle, Host, Ioc, Kernel, Module, MountEntry, MountFlags,
    MountPoint, MountRequest, UnmountFlags,
};
use crate::name::DatasetName;

type Before = dyn Fn(&Call<'_>) -> Result<(), Refused> + Send + Sync;
type After = dyn Fn(&Call<'_>, &Outcome) + Send + Sync;

/// Shows each call to a callback before it is carried out, which may refuse it, and to another one afterwards: policy, tracing, metrics,
/// audit.
///
/// The callbacks run on the thread that calls, so what they take, the caller waits for; several run at once when several threads call. A refused
/// call is shown to the second callback too. Looking at the host's versions, mounts and handles is not
/// shown, nor is making and removing the directories that are mounted on.
///
/// ```
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// use zfsvol_core::kernel::{Call, Errno, Ioc, Kernel, Observe, Refused};
///
/// # fn example(kernel: Arc<dyn Kernel>) {
/// let failed = Arc::new(AtomicU64::new(0));
/// let count = failed.clone();
/// let door = Observe::new(kernel)
///     .before(|call| match call {
///         Call::Ioctl { ioc: Ioc::DESTROY, .. } if call.names().iter().any(|name| name.ends_with("/keep")) => {
///             Err(Refused::new(Errno::EPERM, "it is to be kept"))
///         }
///         _ => Ok(()),
///     })
///     .after(move |_, outcome| {
///         count.fetch_add(u64::from(outcome.result.is_err()), Ordering::Relaxed);
///     });
/// # }
/// ```
pub struct Observe {
    inner: Arc<dyn Kernel>,
    before: Box<Before>,
    after: Box<After>,
}

/// A call that is about to be carried out, or was.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Call<'a> {
    /// An ioctl. Afterwards `cmd` holds the answer too. The input can hold keys (`hidden_args`): take care where it is written to.
    Ioctl {
        /// Which.
        ioc: Ioc,
        /// The request, and afterwards the answer.
        cmd: &'a Cmd,
    },
    /// A mount.
    Mount(&'a MountRequest),
    /// An unmount.
    Unmount {
        /// Of what is mounted there.
        path: &'a Path,
        /// How.
        flags: UnmountFlags,
    },
    /// A zvol's device is opened.
    OpenBlock {
        /// Which zvol's.
        zvol: &'a DatasetName,
        /// For what.
        access: Access,
    },
}

impl Call<'_> {
    /// The pools, datasets, snapshots and bookmarks it is about; for an unmount none, it only knows a path.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Ioctl { ioc, cmd } => cmd.names(*ioc),
            Self::Mount(request) => vec![request.dataset.clone()],
            Self::Unmount { .. } => Vec::new(),
            Self::OpenBlock { zvol, .. } => vec![zvol.to_string()],
        }
    }
}

/// What is called, and what for: `ZFS_IOC_SNAPSHOT 'tank'`.
impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ioctl { ioc, cmd } => write!(f, "{ioc} '{}'", cmd.name),
            Self::Mount(request) => {
                write!(f, "mount '{}' on '{}'", request.dataset, request.path.display())
            }
            Self::Unmount { path, .. } => write!(f, "unmount '{}'", path.display()),
            Self::OpenBlock { zvol, .. } => write!(f, "open the device of '{zvol}'"),
        }
    }
}

/// The callback's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    errno: Errno,
    reason: Cow<'static, str>,
}

impl Refused {
    /// Refuses with that errno. `reason` is told to the caller after "cannot snapshot 'tank/a': "; refused mounts and devices have the
    /// errno alone.
    pub fn new(errno: Errno, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { errno, reason: reason.into() }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The kernel's errno, or that of the callback that refused.
    pub result: Result<(), Errno>,
    /// The time it took below this door; zero when it was refused here.
    pub duration: Duration,
    /// Whether it was refused here and never reached the kernel.
    pub refused: bool,
}

impl Observe {
    /// A door to `inner` that nobody looks at yet.
    pub fn new(inner: Arc<dyn Kernel>) -> Self {
        Self { inner, before: Box::new(|_| Ok(())), after: Box::new(|_, _| ()) }
    }

    /// Calls `callback` before each call; what it refuses is not carried out. A second one takes the place of the first.
    #[must_use]
    pub fn before(
        mut self,
        callback: impl Fn(&Call<'_>) -> Result<(), Refused> + Send + Sync + 'static,
    ) -> Self {
        self.before = Box::new(callback);
        self
    }

    /// Calls `callback` after each call. A second one takes the place of the first.
    #[must_use]
    pub fn after(mut self, callback: impl Fn(&Call<'_>, &Outcome) + Send + Sync + 'static) -> Self {
        self.after = Box::new(callback);
        self
    }

    /// Carries out a call of the host between the callbacks.
    fn observed<T>(
        &self,
        call: &Call<'_>,
        carry_out: impl FnOnce(&dyn Host) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        if let Err(refused) = (self.before)(call) {
            (self.after)(call, &Outcome::refused(refused.errno));
            return Err(refused.errno);
        }
        let start = Instant::now();
        let answer = carry_out(self.inner.host());
        let result = answer.as_ref().map(|_| ()).map_err(|errno| *errno);
        (self.after)(call, &Outcome { result, duration: start.elapsed(), refused: false });
        answer
    }
}

impl Outcome {
    fn refused(errno: Errno) -> Self {
        Self { result: Err(errno), duration: Duration::ZERO, refused: true }
    }
}

impl fmt::Debug for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observe").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Kernel for Observe {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        if let Err(refused) = (self.before)(&Call::Ioctl { ioc, cmd }) {
            let errno = cmd.refuse(refused.errno, refused.reason);
            (self.after)(&Call::Ioctl { ioc, cmd }, &Outcome::refused(errno));
            return Err(errno);
        }
        let start = Instant::now();
        let result = self.inner.ioctl(ioc, cmd);
        let outcome = Outcome { result, duration: start.elapsed(), refused: false };
        (self.after)(&Call::Ioctl { ioc, cmd }, &outcome);
        result
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

impl Host for Observe {
    fn module(&self) -> &Module {
        self.inner.host().module()
    }

    fn handle(&self) -> Result<Handle, Errno> {
        self.inner.host().handle()
    }

    fn mounts(&self) -> Result<Vec<MountEntry>, Errno> {
        self.inner.host().mounts()
    }

    fn mount(&self, request: &MountRequest) -> Result<(), Errno> {
        self.observed(&Call::Mount(request), |host| host.mount(request))
    }

    fn unmount(&self, path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
        self.observed(&Call::Unmount { path, flags }, |host| host.unmount(path, flags))
    }

    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno> {
        self.inner.host().prepare_mount_point(request)
    }

    fn remove_mount_point(&self, path: &Path, flags: MountFlags) -> Result<(), Errno> {
        self.inner.host().remove_mount_point(path, flags)
    }

    fn open_block(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        self.observed(&Call::OpenBlock { zvol, access }, |host| host.open_block(zvol, access, wait))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::kernel::stub::Stub;

    #[test]
    fn calls_are_shown_before_and_after() {
        let stub = Arc::new(Stub::new(|ioc, cmd| {
            cmd.cookie = 7;
            if ioc == Ioc::DESTROY { Err(Errno::EBUSY) } else { Ok(()) }
        }));
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (first, second) = (seen.clone(), seen.clone());
        let door = Observe::new(stub)
            .before(move |call| {
                first.lock().unwrap().push(format!("before {call}"));
                Ok(())
            })
            .after(move |call, outcome| {
                let cookie = match call {
                    Call::Ioctl { cmd, .. } => cmd.cookie,
                    _ => 0,
                };
                second.lock().unwrap().push(format!("after {:?} {cookie}", outcome.result));
            });
        door.ioctl(Ioc::CREATE, &mut Cmd::new("tank/a")).unwrap();
        door.ioctl(Ioc::DESTROY, &mut Cmd::new("tank/a")).unwrap_err();
        let host = Kernel::host(&door);
        host.mount(&MountRequest::new("tank/a", "/a")).unwrap();
        host.unmount(Path::new("/a"), UnmountFlags::empty()).unwrap();
        host.open_block(&"tank/z".parse().unwrap(), Access::Read, Duration::ZERO).unwrap_err();
        assert_eq!(
            *seen.lock().unwrap(),
            [
                "before ZFS_IOC_CREATE 'tank/a'",
                "after Ok(()) 7",
                "before ZFS_IOC_DESTROY 'tank/a'",
                "after Err(EBUSY) 7",
                "before mount 'tank/a' on '/a'",
                "after Ok(()) 0",
                "before unmount '/a'",
                "after Ok(()) 0",
                "before open the device of 'tank/z'",
                "after Err(ETIMEDOUT) 0",
            ]
        );
    }

    #[test]
    fn a_refused_call_is_not_carried_out_and_gives_its_reason() {
        let stub = Arc::new(Stub::new(|_, _| Ok(())));
        let refused = Arc::new(Mutex::new(0));
        let count = refused.clone();
        let door = Observe::new(stub.clone())
            .before(|call| {
                if call.names().contains(&"tank/keep".to_owned()) {
                    return Err(Refused::new(Errno::EPERM, "it is to be kept"));
                }
                Ok(())
            })
            .after(move |_, outcome| *count.lock().unwrap() += u32::from(outcome.refused));
        let mut cmd = Cmd::new("tank/keep");
        assert_eq!(door.ioctl(Ioc::DESTROY, &mut cmd), Err(Errno::EPERM));
        assert_eq!(cmd.refusal(), Some("it is to be kept"));
        let request = MountRequest::new("tank/keep", "/keep");
        assert_eq!(Kernel::host(&door).mount(&request), Err(Errno::EPERM));
        assert!(stub.calls().is_empty() && stub.mount_requests().is_empty());
        assert_eq!(*refused.lock().unwrap(), 2);
    }
}
