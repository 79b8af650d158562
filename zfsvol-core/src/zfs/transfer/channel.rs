//! [`Channel`]: our end of the pipe whose other end a send or receive ioctl has.
//!
//! A thread that sits in the ioctl cannot be called back. It ends when its pipe does: a send finds nobody reading, a receive the end of
//! its stream. So whoever cancels closes our end first and waits after, and every wait of ours watches [`Channel::wake`] too.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::pipe2;

use crate::units::Bytes;

/// Room in the pipe, as much as an unprivileged process may have (`/proc/sys/fs/pipe-max-size`): the fewer switches between the threads, the
/// better. It is set while the pipe is empty: later, a writer can be left asleep (openzfs/zfs#13232).
const PIPE_BYTES: i32 = 1 << 20;

/// How one move of bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::zfs) enum Step {
    /// So many bytes were moved, one at least.
    Moved(usize),
    /// There are no more.
    End,
    /// It was cancelled, or the kernel is done with it.
    Stopped,
}

/// Our end of the pipe, and how to stop who waits for it.
#[derive(Debug)]
pub(in crate::zfs) struct Channel {
    /// Gone once closed. Locked while it is waited for, which raising `wake` ends.
    end: Mutex<Option<File>>,
    /// Stays readable once raised.
    wake: EventFd,
    cancelled: AtomicBool,
    bytes: AtomicU64,
}

impl Channel {
    /// A pipe the kernel writes to: what we read from, and the descriptor for the ioctl.
    pub(in crate::zfs) fn from_kernel() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        Ok((Self::new(ours)?, theirs))
    }

    /// A pipe the kernel reads from: what we write to, and the descriptor for the ioctl.
    pub(in crate::zfs) fn to_kernel() -> io::Result<(Self, OwnedFd)> {
        let (theirs, ours) = pipe2(OFlag::O_CLOEXEC)?;
        Ok((Self::new(ours)?, theirs))
    }

    fn new(ours: OwnedFd) -> io::Result<Self> {
        widen(ours.as_fd());
        // Each end has flags of its own: the kernel's stays blocking.
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self {
            end: Mutex::new(Some(File::from(ours))),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            cancelled: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
        })
    }

    /// How many bytes came through.
    pub(in crate::zfs) fn bytes(&self) -> Bytes {
        Bytes::new(self.bytes.load(Ordering::Relaxed))
    }

    /// Counts bytes that came through.
    pub(in crate::zfs) fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Ends every wait, then closes our end, so that the kernel gives up.
    pub(in crate::zfs) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.stop();
        self.close();
    }

    /// Whether it was cancelled.
    pub(in crate::zfs) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Ends every wait, now and later.
    pub(in crate::zfs) fn stop(&self) {
        // It can only fail by having been raised 2^64 times.
        let _ = self.wake.write(1);
    }

    /// Closes our end: the kernel reads the end of its stream, or finds nobody to write to.
    pub(in crate::zfs) fn close(&self) {
        drop(self.lock().take());
    }

    /// Waits until the kernel has written something, or closed its end without: says which.
    pub(in crate::zfs) fn wait_for_data(&self) -> io::Result<bool> {
        let end = self.lock();
        let Some(end) = end.as_ref() else { return Ok(false) };
        wait(end.as_fd(), PollFlags::POLLIN, &[self.wake()])?;
        let mut polled = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO)?;
        let [polled] = polled;
        Ok(polled.revents().is_some_and(|events| events.contains(PollFlags::POLLIN)))
    }

    /// Reads what the kernel wrote, waiting for it.
    pub(in crate::zfs) fn read(&self, buffer: &mut [u8]) -> io::Result<Step> {
        let end = self.lock();
        let Some(mut end) = end.as_ref() else { return Ok(Step::Stopped) };
        loop {
            if !wait(end.as_fd(), PollFlags::POLLIN, &[self.wake()])? {
                return Ok(Step::Stopped);
            }
            match end.read(buffer) {
                Ok(0) => return Ok(Step::End),
                Ok(bytes) => return Ok(Step::Moved(bytes)),
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes for the kernel to read, waiting for room. It may take only a part.
    pub(super) fn write(&self, data: &[u8]) -> io::Result<Step> {
        let end = self.lock();
        let Some(mut end) = end.as_ref() else { return Ok(Step::Stopped) };
        loop {
            if !wait(end.as_fd(), PollFlags::POLLOUT, &[self.wake()])? {
                return Ok(Step::Stopped);
            }
            match end.write(data) {
                Ok(bytes) => return Ok(Step::Moved(bytes)),
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves what the kernel wrote to `to` without copying it, waiting for both.
    pub(super) fn splice_to(&self, to: BorrowedFd<'_>) -> io::Result<Step> {
        let end = self.lock();
        let Some(end) = end.as_ref() else { return Ok(Step::Stopped) };
        splice_when_ready(end.as_fd(), to, &[self.wake()])
    }

    /// Moves what `from` has to the kernel without copying it, waiting for both.
    pub(super) fn splice_from(&self, from: BorrowedFd<'_>) -> io::Result<Step> {
        let end = self.lock();
        let Some(end) = end.as_ref() else { return Ok(Step::Stopped) };
        splice_when_ready(from, end.as_fd(), &[self.wake()])
    }

    /// Moves what one kernel thread wrote to where another reads, without copying it.
    pub(super) fn splice_to_channel(&self, to: &Self) -> io::Result<Step> {
        let (from_end, to_end) = (self.lock(), to.lock());
        let (Some(from_end), Some(to_end)) = (from_end.as_ref(), to_end.as_ref()) else {
            return Ok(Step::Stopped);
        };
        splice_when_ready(from_end.as_fd(), to_end.as_fd(), &[self.wake(), to.wake()])
    }

    /// What becomes readable when every wait must end.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// A panic while it was held leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes more room in a pipe to which nobody has written yet. No smaller one is made of a larger one, and what is no pipe stays as it is.
pub(super) fn widen(pipe: BorrowedFd<'_>) {
    if fcntl(pipe, FcntlArg::F_GETPIPE_SZ).is_ok_and(|room| room < PIPE_BYTES) {
        // Too many large pipes of one user are refused; a small one works as well.
        let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    }
}

/// What is left in a pipe that nobody writes to any more.
pub(in crate::zfs) fn leftover(mut end: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A process that was forked meanwhile may hold our end: its silence is not waited for.
    if fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_ok() {
        let _ = end.read_to_end(&mut bytes);
    }
    bytes
}

/// Waits for an event (or an error, which the next move will tell) of `fd`. `false` when one of `wakes` came first.
pub(super) fn wait(
    fd: BorrowedFd<'_>,
    event: PollFlags,
    wakes: &[BorrowedFd<'_>],
) -> io::Result<bool> {
    loop {
        let mut polled: Vec<PollFd<'_>> = vec![PollFd::new(fd, event)];
        polled.extend(wakes.iter().map(|wake| PollFd::new(*wake, PollFlags::POLLIN)));
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let is_ready = |polled: &PollFd<'_>| polled.any().unwrap_or(true);
        if polled.iter().skip(1).any(is_ready) {
            return Ok(false);
        }
        if polled.first().is_some_and(is_ready) {
            return Ok(true);
        }
    }
}

/// A blocked move, or one that a signal interrupted: to be tried again.
pub(super) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Whether it is a pipe that is empty and stays so, because nobody writes to it any more.
fn is_drained(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut polled = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO)?;
    let [polled] = polled;
    let events = polled.revents().unwrap_or(PollFlags::empty());
    Ok(events.contains(PollFlags::POLLHUP) && !events.contains(PollFlags::POLLIN))
}

fn splice_when_ready(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    wakes: &[BorrowedFd<'_>],
) -> io::Result<Step> {
    const LENGTH: usize = 1 << 20;
    loop {
        if !wait(from, PollFlags::POLLIN, wakes)? || !wait(to, PollFlags::POLLOUT, wakes)? {
            return Ok(Step::Stopped);
        }
        let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
        match splice(from, None, to, None, LENGTH, flags).map_err(io::Error::from) {
            Ok(0) => return Ok(Step::End),
            Ok(bytes) => return Ok(Step::Moved(bytes)),
            Err(error) if is_transient(&error) => {}
            // Whoever read all of the stream may close before we see its end, and splice(2) looks for a reader before it looks for data.
            Err(error) if is_broken_pipe(&error) && is_drained(from)? => return Ok(Step::End),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's end of a pipe with `data` in it, closed or not, and the caller's pipe whose reader is gone.
    fn into_nobody(data: &[u8], is_closed: bool) -> io::Result<Step> {
        let (channel, kernel) = Channel::from_kernel().unwrap();
        let mut kernel = File::from(kernel);
        kernel.write_all(data).unwrap();
        let kernel = (!is_closed).then_some(kernel);
        let (reader, writer) = nix::unistd::pipe().unwrap();
        drop(reader);
        let step = channel.splice_to(writer.as_fd());
        drop(kernel);
        step
    }

    #[test]
    fn a_reader_that_read_all_may_close_first() {
        assert_eq!(into_nobody(b"", true).unwrap(), Step::End);
    }

    #[test]
    fn a_small_pipe_gets_more_room_and_a_file_stays_a_file() {
        let room = |fd: BorrowedFd<'_>| fcntl(fd, FcntlArg::F_GETPIPE_SZ);
        let (reader, writer) = nix::unistd::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        widen(writer.as_fd());
        assert!(room(reader.as_fd()).unwrap() > 4096);
        let file = File::open("/dev/null").unwrap();
        widen(file.as_fd());
        assert!(room(file.as_fd()).is_err());
    }

    #[test]
    fn a_reader_that_closes_early_breaks_the_pipe() {
        for is_closed in [true, false] {
            let error = into_nobody(b"more", is_closed).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
    }
}
