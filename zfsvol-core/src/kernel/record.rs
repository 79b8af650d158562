//! [`Record`]: a door that writes down each request and its answer.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::recording::{self, Event};
use super::{
    Access, BlockDevice, Cmd, Errno, Handle, Host, Ioc, Kernel, Module, MountEntry, MountFlags,
    MountPoint, MountRequest, UnmountFlags,
};
use crate::name::DatasetName;

/// Writes each ioctl, each mount and each look at the mounts with its answer to a file or another writer, for [`Replay`](super::Replay).
///
/// Calls are written in the order in which they ended, each at once, so that a recording that was cut off is good up to there. What cannot be
/// written does not make a call fail: [`Self::finish`] gives the first error.
///
/// Not in the recording, because a later run could not use it or nobody should read it: descriptors (they are written as -1), the bytes that
/// went through a descriptor (a send stream, a diff), what was read from and written to zvols' devices, and keys (everything in `hidden_args`
/// is written as zeros).
///
/// # Format
///
/// The bytes `zfsvol\0r`, a `u32` with the version of the format (1), and frames: `u32` length, `u32` CRC-32 (IEEE) of what follows, and a
/// packed nvlist in XDR of that length. Numbers are little-endian. The first frame is about the module: `version` and its lists of features and
/// properties. Each other one is a call: `call` (the ioctl's number, or 0 with `what` for one of the host), `errno` (0 when it succeeded),
/// `request` and `answer`, with the fields of [`Cmd`] that are not zero under their names.
///
/// ```
/// # use std::sync::Arc;
/// use zfsvol_core::kernel::{Kernel, Record};
///
/// # fn example(kernel: Arc<dyn Kernel>) -> std::io::Result<()> {
/// let door = Record::new(kernel, std::fs::File::create("calls.zfsvol")?)?;
/// // ... use it ...
/// door.finish()
/// # }
/// ```
pub struct Record {
    inner: Arc<dyn Kernel>,
    out: Mutex<Out>,
}

struct Out {
    writer: Box<dyn Write + Send>,
    /// What stopped the recording.
    error: Option<io::Error>,
}

impl Record {
    /// A door to `inner` that writes its calls to `writer`, and first what module it is.
    ///
    /// # Errors
    /// Those of writing.
    pub fn new(inner: Arc<dyn Kernel>, writer: impl Write + Send + 'static) -> io::Result<Self> {
        let mut writer = Box::new(writer);
        recording::write_start(&mut writer, inner.host().module())?;
        Ok(Self { inner, out: Mutex::new(Out { writer, error: None }) })
    }

    /// Writes out what is buffered. The recording goes on.
    ///
    /// # Errors
    /// The first error of writing, of any call so far. From then on nothing was recorded.
    pub fn finish(&self) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        match &out.error {
            Some(error) => Err(io::Error::new(error.kind(), error.to_string())),
            None => out.writer.flush(),
        }
    }

    fn write(&self, event: &Event) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.error.is_none() {
            out.error = recording::write_event(&mut out.writer, event).err();
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Kernel for Record {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        let request = recording::request_of(ioc, cmd);
        let result = self.inner.ioctl(ioc, cmd);
        let answer = recording::answer_of(ioc, cmd);
        self.write(&Event { call: recording::Call::Ioctl(ioc), request, result, answer });
        result
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

impl Host for Record {
    fn module(&self) -> &Module {
        self.inner.host().module()
    }

    fn handle(&self) -> Result<Handle, Errno> {
        self.inner.host().handle()
    }

    fn mounts(&self) -> Result<Vec<MountEntry>, Errno> {
        let mounts = self.inner.host().mounts();
        self.write(&Event::mounts(mounts.as_deref().map_err(|errno| *errno)));
        mounts
    }

    fn mount(&self, request: &MountRequest) -> Result<(), Errno> {
        let result = self.inner.host().mount(request);
        self.write(&Event::mount(request, result));
        result
    }

    fn unmount(&self, path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
        let result = self.inner.host().unmount(path, flags);
        self.write(&Event::unmount(path, flags, result));
        result
    }

    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno> {
        let result = self.inner.host().prepare_mount_point(request);
        self.write(&Event::prepare(request, result));
        result
    }

    fn remove_mount_point(&self, path: &Path, flags: MountFlags) -> Result<(), Errno> {
        let result = self.inner.host().remove_mount_point(path, flags);
        self.write(&Event::remove(path, flags, result));
        result
    }

    fn open_block(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        self.inner.host().open_block(zvol, access, wait)
    }
}
