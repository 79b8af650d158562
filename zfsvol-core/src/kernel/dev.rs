//! [`DevZfs`]: the door to a loaded OpenZFS module.

#![expect(
    unsafe_code,
    reason = "the ioctl itself: the one place where this workspace calls ioctl(2)"
)]

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use super::cmd::Cmd;
use super::host::{
    Access, BlockDevice, Handle, Host, MountEntry, MountFlags, MountPoint, MountRequest,
    UnmountFlags,
};
use super::ioc::Ioc;
use super::layout::{Buffers, Layout, Raw};
use super::module::Module;
use super::zvol::Zvols;
use super::{Kernel, mounts};
use crate::errno::Errno;
use crate::error::{Error, ErrorKind, Result};
use crate::name::DatasetName;
use crate::nvlist::NvList;

const DEVICE: &str = "/dev/zfs";

/// The door to the OpenZFS module of this machine: an open `/dev/zfs`.
///
/// Any number of threads may use it at once, and any number of doors may be open.
#[derive(Debug)]
pub struct DevZfs {
    device: File,
    layout: Layout,
    module: Module,
    zvols: Zvols,
}

impl DevZfs {
    /// Opens `/dev/zfs` and reads the version of the loaded module.
    ///
    /// # Errors
    /// [`ErrorKind::NoModule`] when there is no device or no module behind it, [`ErrorKind::Denied`] when this process may not open it,
    /// [`ErrorKind::Unsupported`] when the module is older than OpenZFS 2.0 (its `zfs_cmd_t` is another).
    pub fn open() -> Result<Self> {
        Self::open_at(Path::new(DEVICE))
    }

    /// Opens another device node for the same module, such as one a container was given under another name.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_at(path: &Path) -> Result<Self> {
        let device = open_device(path).map_err(|error| cannot_open(path, error))?;
        let module = Module::loaded()?;
        if !module.is_at_least(2, 0) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "open",
                format!(
                    "the loaded module is OpenZFS {}, and zfsvol needs 2.0 or newer",
                    module.version
                ),
            )
            .with_target(path.display().to_string()));
        }
        Ok(Self { device, layout: Layout::of(&module.version), module, zvols: Zvols::default() })
    }
}

impl DevZfs {
    /// The size of a zvol, to tell its device from others without opening them all; `None` if the kernel does not say.
    fn size_of(&self, zvol: &DatasetName) -> Result<Option<u64>, Errno> {
        // A dataset's properties take a few KiB; user properties can take more, and then the size is not known.
        const REPLY_BYTES: usize = 128 << 10;
        let mut cmd = Cmd::new(zvol.as_str());
        cmd.reply_max = REPLY_BYTES;
        match self.ioctl(Ioc::OBJSET_STATS, &mut cmd) {
            Ok(()) => {}
            Err(Errno::ENOMEM) => return Ok(None),
            Err(errno) => return Err(errno),
        }
        let properties = NvList::from_bytes(cmd.reply()).unwrap_or_default();
        Ok(properties.get_list("volsize").and_then(|property| property.get_u64("value")))
    }
}

impl Kernel for DevZfs {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        cmd.refusal = None;
        // The buffers live until the call is over, and the kernel writes at most as much as it is told they hold.
        let mut reply = vec![0u8; cmd.reply_max];
        let mut history = vec![0u8; cmd.history_max];
        let buffers = Buffers {
            input: cmd.input.as_deref().map_or((0, 0), address),
            conf: cmd.conf.as_deref().map_or((0, 0), address),
            reply: address_mut(&mut reply),
            history: address_mut(&mut history),
        };
        let mut raw = Raw::new(self.layout, cmd, counted(ioc, buffers))?;
        // SAFETY: `raw` is a `zfs_cmd_t` in the layout of the loaded module (asserted against its headers), and every pointer in it is
        // null or points to a buffer of the length beside it, all of which outlive the call.
        let outcome = unsafe { ioctl(self.device.as_fd(), ioc.number().into(), raw.as_mut_ptr()) };
        raw.read_back(cmd);
        let written = usize::try_from(cmd.reply_size).unwrap_or(usize::MAX);
        if ioc == Ioc::ERROR_LOG {
            keep_bookmarks(&mut reply, written);
            cmd.reply_size = reply.len() as u64;
        } else if outcome.is_err() && !cmd.reply_filled {
            // The size is still the one that the kernel was given.
            reply.clear();
        } else {
            // A size above the buffer's is the size the kernel would have needed: nothing was written.
            reply.truncate(if written > reply.len() { 0 } else { written });
        }
        cmd.reply = reply;
        history.truncate(usize::try_from(cmd.history_len).unwrap_or(usize::MAX));
        cmd.history = history;
        outcome
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

impl Host for DevZfs {
    fn module(&self) -> &Module {
        &self.module
    }

    fn handle(&self) -> Result<Handle, Errno> {
        // A new open, not a duplicate: the kernel ties holds and event queues to the open file.
        let device = open_device(Path::new(&format!("/proc/self/fd/{}", self.device.as_raw_fd())))
            .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))?;
        Ok(Handle::new(device.as_raw_fd(), Box::new(device)))
    }

    fn mounts(&self) -> Result<Vec<MountEntry>, Errno> {
        mounts::list()
    }

    fn mount(&self, request: &MountRequest) -> Result<(), Errno> {
        mounts::mount(request)
    }

    fn unmount(&self, path: &Path, flags: UnmountFlags) -> Result<(), Errno> {
        mounts::unmount(path, flags)
    }

    fn prepare_mount_point(&self, request: &MountRequest) -> Result<MountPoint, Errno> {
        mounts::prepare(request)
    }

    fn remove_mount_point(&self, path: &Path, flags: MountFlags) -> Result<(), Errno> {
        mounts::remove(path, flags)
    }

    fn open_block(
        &self,
        zvol: &DatasetName,
        access: Access,
        wait: Duration,
    ) -> Result<Box<dyn BlockDevice>, Errno> {
        self.zvols.open(zvol, access, wait, || self.size_of(zvol))
    }
}

/// The name of the zvol behind an open `/dev/zdN`, by `BLKZNAME` (OpenZFS `include/sys/fs/zfs.h`).
pub(super) fn zvol_name(device: BorrowedFd<'_>) -> Result<String, Errno> {
    const NAME_BYTES: usize = 256;
    // _IOR(0x12, 125, char[256])
    const BLKZNAME: u64 = (2 << 30) | ((NAME_BYTES as u64) << 16) | (0x12 << 8) | 125;
    let mut name = [0u8; NAME_BYTES];
    // SAFETY: a block device that knows BLKZNAME writes a text of at most 256 bytes, which is what `name` holds; one that
    // does not know it writes nothing.
    unsafe { ioctl(device, BLKZNAME, name.as_mut_ptr().cast())? };
    let text = name.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// The one call of ioctl(2).
///
/// # Safety
/// `argument` points to memory that `device` may read and write as `request` has it, for as long as the call lasts.
unsafe fn ioctl(device: BorrowedFd<'_>, request: u64, argument: *mut c_void) -> Result<(), Errno> {
    // SAFETY: the descriptor is borrowed, so it stays open; the caller answers for the argument.
    let status = unsafe { libc::ioctl(device.as_raw_fd(), request, argument) };
    if status == 0 { Ok(()) } else { Err(Errno::last()) }
}

fn address(bytes: &[u8]) -> (u64, u64) {
    (bytes.as_ptr().addr() as u64, bytes.len() as u64)
}

/// No buffer is a null pointer: some legacy calls look at the pointer, not the size.
fn address_mut(bytes: &mut [u8]) -> (u64, u64) {
    if bytes.is_empty() { (0, 0) } else { (bytes.as_mut_ptr().addr() as u64, bytes.len() as u64) }
}

/// `sizeof (zbookmark_phys_t)`.
const BOOKMARK_BYTES: usize = 32;

/// `ERROR_LOG` alone takes the size of the reply for a number of bookmarks (OpenZFS 2.4 `module/zfs/spa_errlog.c`, `copyout_entry`): with
/// that of bytes it would write far beyond the buffer.
fn counted(ioc: Ioc, mut buffers: Buffers) -> Buffers {
    if ioc == Ioc::ERROR_LOG {
        buffers.reply.1 /= BOOKMARK_BYTES as u64;
    }
    buffers
}

/// It fills the buffer from its end, and says how many bookmarks of room are left.
fn keep_bookmarks(reply: &mut Vec<u8>, left: usize) {
    let room = reply.len() - reply.len() % BOOKMARK_BYTES;
    reply.truncate(room);
    let unused = left.saturating_mul(BOOKMARK_BYTES).min(room);
    reply.drain(..unused);
}

fn open_device(path: &Path) -> io::Result<File> {
    // Close-on-exec is std's default.
    OpenOptions::new().read(true).write(true).open(path)
}

fn cannot_open(path: &Path, error: io::Error) -> Error {
    let errno = Errno(error.raw_os_error().unwrap_or(libc::EIO));
    let (kind, reason, help) = match errno {
        Errno::ENOENT => (
            ErrorKind::NoModule,
            "there is no such device",
            "load the OpenZFS module (modprobe zfs); in a container, pass the device through",
        ),
        Errno::ENXIO | Errno::ENODEV => (
            ErrorKind::NoModule,
            "no OpenZFS module answers it",
            "load the OpenZFS module (modprobe zfs)",
        ),
        Errno::EACCES | Errno::EPERM => (
            ErrorKind::Denied,
            "this process may not open it",
            "run as a user who may read and write the device, and allow the device to the container",
        ),
        _ => (ErrorKind::Io, errno.reason(), "check the device"),
    };
    Error::new(kind, "open", reason)
        .with_target(path.display().to_string())
        .with_errno(errno)
        .with_help(help)
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_device_says_what_to_do() {
        let error = DevZfs::open_at(Path::new("/nonexistent/zfs")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoModule);
        assert_eq!(
            error.to_string(),
            "cannot open '/nonexistent/zfs': there is no such device (ENOENT); load the OpenZFS module (modprobe zfs); in a \
             container, pass the device through"
        );
    }

    /// Anything else would have the kernel write outside the buffer.
    #[test]
    fn the_room_of_an_error_log_is_counted_in_bookmarks() {
        let buffers = Buffers { reply: (4096, 1000), ..Buffers::default() };
        assert_eq!(counted(Ioc::ERROR_LOG, buffers).reply, (4096, 31));
        assert_eq!(counted(Ioc::POOL_STATS, buffers).reply, (4096, 1000));
        for (left, kept) in [(0, 992), (30, 32), (31, 0), (usize::MAX, 0)] {
            let mut reply = vec![0; 1000];
            keep_bookmarks(&mut reply, left);
            assert_eq!(reply.len(), kept, "{left}");
        }
    }

    /// The whole way down and back with a device that is no `/dev/zfs`.
    #[test]
    fn another_device_answers_enotty() {
        let device = open_device(Path::new("/dev/null")).unwrap();
        for layout in [Layout::Common, Layout::Grown] {
            let door = DevZfs {
                device: device.try_clone().unwrap(),
                layout,
                module: Module::for_tests("2.3.2"),
                zvols: Zvols::default(),
            };
            for ioc in Ioc::all() {
                assert_eq!(door.ioctl(ioc, &mut Cmd::new("tank")), Err(Errno::ENOTTY), "{ioc}");
            }
        }
        assert_eq!(zvol_name(device.as_fd()), Err(Errno::ENOTTY));
    }
}
