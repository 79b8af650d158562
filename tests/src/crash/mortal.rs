//! [`Mortal`]: a door of a process that can be killed, before any ioctl or after it.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zfsvol_core::kernel::{
    Access, BlockDevice, Cmd, Errno, Handle, Host, Ioc, Kernel, Module, MountEntry, MountFlags,
    MountPoint, MountRequest, UnmountFlags,
};
use zfsvol_core::{DatasetName, Error, Zfs};

/// What a call of a dead process gives. Nobody is there to see it: it only has the threads of the process come to their end.
const DEAD: Errno = Errno::EIO;

/// When a process dies by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Death {
    /// At which of its ioctls; the first is 1.
    pub(super) at: u64,
    /// Once that was carried out, so that only the answer is lost.
    pub(super) after: bool,
}

/// The life of a process. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Life(Arc<State>);

#[derive(Debug, Default)]
struct State {
    dead: AtomicBool,
    calls: AtomicU64,
    death: Mutex<Option<Death>>,
}

impl Life {
    pub(super) fn is_over(&self) -> bool {
        self.0.dead.load(Ordering::Acquire)
    }

    /// Kills it now: what is at the kernel already is carried out, and nothing comes after it.
    pub(super) fn end(&self) {
        self.0.dead.store(true, Ordering::Release);
    }

    /// Counts ioctls from now on, and dies at one of them if that is given.
    pub(super) fn arm(&self, death: Option<Death>) {
        *self.0.death.lock().unwrap_or_else(PoisonError::into_inner) = death;
        self.0.calls.store(0, Ordering::Release);
    }

    /// The ioctls since it was armed.
    pub(super) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Acquire)
    }

    /// Counts one more, and says whether it dies before it, and whether after.
    fn next(&self) -> (bool, bool) {
        let number = self.0.calls.fetch_add(1, Ordering::AcqRel) + 1;
        let death = *self.0.death.lock().unwrap_or_else(PoisonError::into_inner);
        let is_now = death.filter(|death| death.at == number);
        (is_now.is_some_and(|death| !death.after), is_now.is_some_and(|death| death.after))
    }

    fn alive(&self) -> Result<(), Errno> {
        if self.is_over() { Err(DEAD) } else { Ok(()) }
    }
}

/// The door of one process. Once that is dead nothing passes any more, in neither direction.
pub(super) struct Mortal {
    inner: Arc<dyn Kernel>,
    life: Life,
}

impl Mortal {
    pub(super) fn new(inner: Arc<dyn Kernel>, life: Life) -> Self {
        Self { inner, life }
    }
}

impl fmt::Debug for Mortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mortal").field("life", &self.life).finish_non_exhaustive()
    }
}

impl Kernel for Mortal {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        self.life.alive()?;
        let (before, after) = self.life.next();
        if before {
            self.life.end();
            return Err(DEAD);
        }
        // A process that dies while the kernel works does not see the answer, so it is given to a copy.
        let mut carried_out = cmd.clone();
        let outcome = self.inner.ioctl(ioc, &mut carried_out);
        if after {
            self.life.end();
        }
        self.life.alive()?;
        *cmd = carried_out;
        outcome
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

impl Host for Mortal {
    fn module(&self) -> &Module {
        self.inner.host().module()
    }

    fn handle(&self) -> Result<Handle, Errno> {
        self.life.alive()?;
        self.inner.host().handle()
    }

    fn mounts(&self) -> Result<Vec<MountEntry>, Errno> {
        self.life.alive()?;
        self.inner.host().mounts()
    }

    fn mount(&self, request: &MountRequest) -> Result<(), Errno> {
        self.life.alive()?;
        self.inner.host().mount(request)
    }

    fn unmount(&self, path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
        self.life.alive()?;
        self.inner.host().unmount(path, flags)
    }

    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno> {
        self.life.alive()?;
        self.inner.host().prepare_mount_point(request)
    }

    fn remove_mount_point(&self, path: &Path, flags: MountFlags) -> Result<(), Errno> {
        self.life.alive()?;
        self.inner.host().remove_mount_point(path, flags)
    }

    fn open_block(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        self.life.alive()?;
        self.inner.host().open_block(zvol, access, wait)
    }
}

/// The error of a connection that is lost, made by a process that is: an error of the library's own.
pub(super) fn lost(zfs: &Zfs) -> Error {
    let life = Life::default();
    life.end();
    let dead = Zfs::new(Mortal::new(Arc::clone(zfs.kernel()), life));
    let name: DatasetName = "lost".parse().expect("a name");
    dead.properties(&name).expect_err("nobody answers")
}
