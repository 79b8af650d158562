//! A kernel for unit tests: a closure answers, the rest is what the test says.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::{
    Access, BlockDevice, Cmd, Errno, Handle, Host, Ioc, Kernel, Module, MountEntry, MountFlags,
    MountPoint, MountRequest, UnmountFlags,
};
use crate::name::DatasetName;
use crate::nvlist::{NvList, Value};

type Answer = dyn Fn(Ioc, &mut Cmd) -> Result<(), Errno> + Send + Sync;

/// Answers each request with a closure and remembers it. Its mounts change as they would on a host.
pub(crate) struct Stub {
    answer: Box<Answer>,
    module: Module,
    calls: Mutex<Vec<(Ioc, Cmd)>>,
    mounts: Mutex<Vec<MountEntry>>,
    requests: Mutex<Vec<MountRequest>>,
    mount_fails: Option<(PathBuf, Errno)>,
}

impl Stub {
    pub(crate) fn new(
        answer: impl Fn(Ioc, &mut Cmd) -> Result<(), Errno> + Send + Sync + 'static,
    ) -> Self {
        Self {
            answer: Box::new(answer),
            module: Module::for_tests("2.3.2"),
            calls: Mutex::default(),
            mounts: Mutex::default(),
            requests: Mutex::default(),
            mount_fails: None,
        }
    }

    /// As a module of that version.
    pub(crate) fn of_version(mut self, version: &str) -> Self {
        self.module = Module::for_tests(version);
        self
    }

    pub(crate) fn with_mounts(self, mounts: impl IntoIterator<Item = MountEntry>) -> Self {
        *self.mounts.lock().unwrap() = mounts.into_iter().collect();
        self
    }

    /// Refuses to mount on `path`.
    pub(crate) fn failing_to_mount(mut self, path: &str, errno: Errno) -> Self {
        self.mount_fails = Some((path.into(), errno));
        self
    }

    /// Every request so far, as it came.
    pub(crate) fn calls(&self) -> Vec<(Ioc, Cmd)> {
        self.calls.lock().unwrap().clone()
    }

    /// Every request to mount so far.
    pub(crate) fn mount_requests(&self) -> Vec<MountRequest> {
        self.requests.lock().unwrap().clone()
    }
}

/// Answers with a list of these pairs, where an answer is wanted.
pub(crate) fn answer<V: Into<Value>>(
    cmd: &mut Cmd,
    pairs: impl IntoIterator<Item = (&'static str, V)>,
) -> Result<(), Errno> {
    let list: NvList = pairs.into_iter().collect();
    if cmd.reply_max == 0 {
        return Ok(());
    }
    cmd.put_reply(&list.to_bytes().unwrap())
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stub")
    }
}

impl Kernel for Stub {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        self.calls.lock().unwrap().push((ioc, cmd.clone()));
        (self.answer)(ioc, cmd)
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

impl Host for Stub {
    fn module(&self) -> &Module {
        &self.module
    }

    fn handle(&self) -> Result<Handle, Errno> {
        Ok(Handle::new(3, Box::new(())))
    }

    fn mounts(&self) -> Result<Vec<MountEntry>, Errno> {
        Ok(self.mounts.lock().unwrap().clone())
    }

    fn mount(&self, request: &MountRequest) -> Result<(), Errno> {
        self.requests.lock().unwrap().push(request.clone());
        match &self.mount_fails {
            Some((path, errno)) if *path == request.path => return Err(*errno),
            _ => {}
        }
        let entry = MountEntry::new(request.dataset.clone(), request.path.clone(), "rw");
        self.mounts.lock().unwrap().push(entry);
        Ok(())
    }

    fn unmount(&self, path: &Path, _flags: UnmountFlags) -> Result<(), Errno> {
        let mut mounts = self.mounts.lock().unwrap();
        let place = mounts.iter().rposition(|mount| mount.path == path).ok_or(Errno::EINVAL)?;
        mounts.remove(place);
        Ok(())
    }

    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno> {
        let is_filled = request.path.ends_with("filled");
        Ok(if is_filled { MountPoint::Filled } else { MountPoint::Empty })
    }

    fn remove_mount_point(&self, _path: &Path, _flags: MountFlags) -> Result<(), Errno> {
        Ok(())
    }

    fn open_block(
        &self,
        _zvol: &DatasetName,
        _access: Access,
        _wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        Err(Errno::ETIMEDOUT)
    }
}
