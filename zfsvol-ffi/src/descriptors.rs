//! A pair of descriptors as the two byte streams of a connection, whose reads and writes that wait can be ended.
//!
//! Any kind of descriptor will do, and in any mode: a pipe cannot be shut down, a caller's descriptor must not be made non-blocking, for the mode is that of
//! everybody who shares it, and Go's are non-blocking already. So each step waits until it can be done at once, or until the connection is to end.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{MsgFlags, Shutdown, send, shutdown};
use zfsvol_core::volume::peer::Transport;

/// As much as a pipe that has any room takes without waiting: `PIPE_BUF` of Linux.
const PIPE_BYTES: usize = 4096;

/// A connection that reads from one descriptor and writes to another, or to the same. `close` is called too when it is to end.
pub(crate) fn transport(
    reader: OwnedFd,
    writer: OwnedFd,
    close: impl Fn() + Send + Sync + 'static,
) -> io::Result<Transport> {
    let closing = Arc::new(Closing {
        event: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        ends: [reader.try_clone()?, writer.try_clone()?],
    });
    let (reader, writer) = (File::from(reader), File::from(writer));
    let is_socket = writer.metadata()?.file_type().is_socket();
    let reader = Reader { file: reader, closing: Arc::clone(&closing) };
    let writer = Writer { file: writer, is_socket, closing: Arc::clone(&closing) };
    Ok(Transport::new(reader, writer).on_close(move || {
        closing.close();
        close();
    }))
}

/// What ends the reads and writes of a connection that wait.
struct Closing {
    event: EventFd,
    /// The connection's own duplicates: of sockets, the other side learns of the end although the caller has its descriptor open.
    ends: [OwnedFd; 2],
}

impl Closing {
    fn close(&self) {
        // It is at its highest already, or they are no sockets, or not connected any more.
        let _ = self.event.write(1);
        for end in &self.ends {
            let _ = shutdown(end.as_raw_fd(), Shutdown::Both);
        }
    }

    /// Waits until the file can be read or written, or has failed.
    fn wait(&self, file: &File, what: PollFlags) -> io::Result<()> {
        loop {
            let mut both = [
                PollFd::new(file.as_fd(), what),
                PollFd::new(self.event.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut both, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(_) if both.last().and_then(PollFd::any).unwrap_or(true) => {
                    return Err(io::Error::new(ErrorKind::BrokenPipe, "the connection is closed"));
                }
                Ok(_) => return Ok(()),
            }
        }
    }
}

struct Reader {
    file: File,
    closing: Arc<Closing>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.closing.wait(&self.file, PollFlags::POLLIN)?;
            match self.file.read(buffer) {
                // Somebody else was quicker, or a signal came.
                Err(error) if is_again(&error) => {}
                outcome => return outcome,
            }
        }
    }
}

struct Writer {
    file: File,
    is_socket: bool,
    closing: Arc<Closing>,
}

impl Write for Writer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        loop {
            self.closing.wait(&self.file, PollFlags::POLLOUT)?;
            let outcome = if self.is_socket {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(self.file.as_raw_fd(), data, flags).map_err(io::Error::from)
            } else {
                self.file.write(data.get(..PIPE_BYTES).unwrap_or(data))
            };
            match outcome {
                Err(error) if is_again(&error) => {}
                outcome => return outcome,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn reader_of(end: OwnedFd) -> Reader {
        let closing = Arc::new(Closing {
            event: EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap(),
            ends: [end.try_clone().unwrap(), end.try_clone().unwrap()],
        });
        Reader { file: File::from(end), closing }
    }

    fn pipe() -> (OwnedFd, OwnedFd) {
        let (reader, writer) = io::pipe().unwrap();
        (reader.into(), writer.into())
    }

    #[test]
    fn a_read_that_waits_for_a_pipe_ends_when_it_is_closed() {
        let (read_end, write_end) = pipe();
        let mut reader = reader_of(read_end);
        let closing = Arc::clone(&reader.closing);
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            let outcome = reader.read(&mut [0; 8]);
            sender.send(()).unwrap();
            outcome
        });
        assert!(receiver.recv_timeout(Duration::from_millis(50)).is_err(), "it waits");
        closing.close();
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        drop(write_end);
    }

    #[test]
    fn a_write_that_waits_for_room_ends_when_it_is_closed() {
        for is_socket in [false, true] {
            let (far, near): (OwnedFd, OwnedFd) = if is_socket {
                let (far, near) = UnixStream::pair().unwrap();
                (far.into(), near.into())
            } else {
                pipe()
            };
            let closing = reader_of(near.try_clone().unwrap()).closing;
            let mut writer =
                Writer { file: File::from(near), is_socket, closing: Arc::clone(&closing) };
            let thread = thread::spawn(move || writer.write_all(&vec![7; 16 << 20]));
            thread::sleep(Duration::from_millis(50));
            assert!(!thread.is_finished(), "it waits");
            closing.close();
            let error = thread.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            drop(far);
        }
    }

    #[test]
    fn what_does_not_block_is_waited_for_all_the_same() {
        let (far, near) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut reader = reader_of(near.into());
        let thread = thread::spawn(move || {
            let mut buffer = [0; 4];
            reader.read_exact(&mut buffer).map(|()| buffer)
        });
        thread::sleep(Duration::from_millis(20));
        (&far).write_all(b"late").unwrap();
        assert_eq!(&thread.join().unwrap().unwrap(), b"late");
    }
}
