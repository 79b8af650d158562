//! Moves a stream between a [`Channel`] and what the caller gave: a descriptor, a `Read`, a `Write`.
//!
//! The kernel is never given the caller's descriptor. It would block in it where nobody can call it back, and since Linux 5.10 it
//! refuses some (`/dev/null`). So there is always a pipe of ours in between, and a pump that waits with poll(2): where the descriptor is a
//! pipe or a file, splice(2) moves pages without copying them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::stat::{SFlag, fstat};

use super::channel::{Channel, Step, is_transient, wait, widen};

/// How much is copied at once where nothing can be spliced: what fits a processor's cache.
const COPY_BYTES: usize = 128 << 10;

/// How the pump ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zfs) enum Flow {
    /// The stream is at its end.
    End,
    /// It was cancelled, or the kernel is done with it.
    Stopped,
}

/// What kind of descriptor it is, which says how to move bytes without blocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Can be spliced.
    PipeOrFile,
    Socket,
    /// A device, a terminal: some can be spliced to.
    Other,
}

/// A descriptor of the caller's.
#[derive(Debug)]
pub(in crate::zfs) struct Endpoint {
    file: File,
    kind: Kind,
}

impl Endpoint {
    pub(in crate::zfs) fn new(fd: OwnedFd) -> io::Result<Self> {
        let format = SFlag::from_bits_truncate(fstat(&fd)?.st_mode) & SFlag::S_IFMT;
        let kind = match format {
            SFlag::S_IFIFO | SFlag::S_IFREG => Kind::PipeOrFile,
            SFlag::S_IFSOCK => Kind::Socket,
            _ => Kind::Other,
        };
        Ok(Self { file: File::from(fd), kind })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Reads what is there, after it was waited for. The flags of a descriptor are shared with other processes, so it is left as it is;
    /// a socket can be told for one call not to block.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.kind {
            Kind::Socket => Ok(recv(self.file.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?),
            Kind::PipeOrFile | Kind::Other => (&self.file).read(buffer),
        }
    }

    fn write(&self, data: &[u8]) -> io::Result<usize> {
        match self.kind {
            Kind::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(send(self.file.as_raw_fd(), data, flags)?)
            }
            Kind::PipeOrFile | Kind::Other => (&self.file).write(data),
        }
    }

    /// Waits and reads. `Moved` may be less than the buffer.
    fn read_when_ready(&self, buffer: &mut [u8], wake: BorrowedFd<'_>) -> io::Result<Step> {
        loop {
            if !wait(self.fd(), PollFlags::POLLIN, &[wake])? {
                return Ok(Step::Stopped);
            }
            match self.read(buffer) {
                Ok(0) => return Ok(Step::End),
                Ok(bytes) => return Ok(Step::Moved(bytes)),
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits and writes, all of it. `false` when it was stopped.
    fn write_all_when_ready(&self, mut data: &[u8], wake: BorrowedFd<'_>) -> io::Result<bool> {
        while !data.is_empty() {
            if !wait(self.fd(), PollFlags::POLLOUT, &[wake])? {
                return Ok(false);
            }
            match self.write(data) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => data = data.get(bytes..).unwrap_or_default(),
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// From the kernel to a descriptor. An error is the descriptor's.
pub(in crate::zfs) fn to_endpoint(channel: &Channel, to: &Endpoint) -> io::Result<Flow> {
    // A socket would block in it. Of devices the one that matters can: `/dev/null`.
    let mut can_splice = to.kind != Kind::Socket;
    // As OpenZFS does since 2.2 (`lib/libzfs_core/libzfs_core.c`, max_pipe_buffer): nobody writes to it but this.
    widen(to.fd());
    while can_splice {
        match channel.splice_to(to.fd()) {
            Ok(Step::Moved(bytes)) => channel.count(bytes),
            Ok(Step::End) => return Ok(Flow::End),
            Ok(Step::Stopped) => return Ok(Flow::Stopped),
            // A file opened for appending, or one whose file system cannot.
            Err(error) if is_unsupported(&error) => can_splice = false,
            Err(error) => return Err(error),
        }
    }
    copy_from(channel, |data| to.write_all_when_ready(data, channel.wake()))
}

/// From the kernel to a writer. An error is the writer's.
pub(in crate::zfs) fn to_writer(channel: &Channel, to: &mut dyn Write) -> io::Result<Flow> {
    let flow = copy_from(channel, |data| to.write_all(data).map(|()| true))?;
    to.flush()?;
    Ok(flow)
}

/// Reads one record's worth from a descriptor and no more: what follows belongs to the kernel. An error is the descriptor's.
pub(in crate::zfs) fn read_from_endpoint(
    channel: &Channel,
    from: &Endpoint,
    buffer: &mut [u8],
) -> io::Result<Step> {
    from.read_when_ready(buffer, channel.wake())
}

/// From a descriptor to the kernel. An error is the descriptor's.
pub(in crate::zfs) fn from_endpoint(channel: &Channel, from: &Endpoint) -> io::Result<Flow> {
    let mut can_splice = from.kind == Kind::PipeOrFile;
    while can_splice {
        match channel.splice_from(from.fd()) {
            Ok(Step::Moved(bytes)) => channel.count(bytes),
            Ok(Step::End) => return Ok(Flow::End),
            Ok(Step::Stopped) => return Ok(Flow::Stopped),
            Err(error) if is_unsupported(&error) => can_splice = false,
            Err(error) => return Err(error),
        }
    }
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read_when_ready(&mut buffer, channel.wake())? {
            Step::Moved(bytes) => {
                if !write_all(channel, buffer.get(..bytes).unwrap_or_default())? {
                    return Ok(Flow::Stopped);
                }
            }
            Step::End => return Ok(Flow::End),
            Step::Stopped => return Ok(Flow::Stopped),
        }
    }
}

/// From one kernel thread to another. There is no third party to fail.
pub(in crate::zfs) fn to_channel(from: &Channel, to: &Channel) -> io::Result<Flow> {
    loop {
        match from.splice_to_channel(to)? {
            Step::Moved(bytes) => {
                from.count(bytes);
                to.count(bytes);
            }
            Step::End => return Ok(Flow::End),
            Step::Stopped => return Ok(Flow::Stopped),
        }
    }
}

/// Writes all of it for the kernel to read. `false` when it was stopped.
pub(in crate::zfs) fn write_all(channel: &Channel, mut data: &[u8]) -> io::Result<bool> {
    while !data.is_empty() {
        match channel.write(data)? {
            Step::Moved(bytes) => {
                channel.count(bytes);
                data = data.get(bytes..).unwrap_or_default();
            }
            Step::End | Step::Stopped => return Ok(false),
        }
    }
    Ok(true)
}

/// From the kernel through a buffer to `put`, which says whether to go on. What was put is counted.
fn copy_from(
    channel: &Channel,
    mut put: impl FnMut(&[u8]) -> io::Result<bool>,
) -> io::Result<Flow> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match channel.read(&mut buffer)? {
            Step::Moved(bytes) => {
                if !put(buffer.get(..bytes).unwrap_or_default())? {
                    return Ok(Flow::Stopped);
                }
                channel.count(bytes);
            }
            Step::End => return Ok(Flow::End),
            Step::Stopped => return Ok(Flow::Stopped),
        }
    }
}

/// What splice(2) answers for a descriptor it cannot handle.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP))
}
