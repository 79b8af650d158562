//! [`Transport`]: the two byte streams that a connection is made of.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use super::frame::FrameKind;

/// What ends a read or write of the streams that waits.
pub(super) type Close = Arc<dyn Fn() + Send + Sync>;

/// Who sees every frame.
pub(super) type Watch = Box<dyn FnMut(&FrameSeen) -> Pass + Send>;

/// Two byte streams, one each way, with somebody at the other end: a socket, TLS, the standard input and output of a program such as `ssh`.
///
/// They must block, keep the order of the bytes, and lose none. Each is used by one thread. Who is at the other end is for the maker to know: what came of TLS or
/// `ssh` is given to [`Node::serve`](crate::volume::Node::serve) as the identity of the caller.
pub struct Transport {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) writer: Box<dyn Write + Send>,
    pub(super) close: Option<Close>,
    pub(super) watch: Option<Watch>,
}

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From this side to the other.
    Sent,
    /// From the other side to this one.
    Received,
}

/// A frame that is about to be sent, or has just come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameSeen {
    /// Which way it goes.
    pub direction: Direction,
    /// What it is.
    pub kind: FrameKind,
    /// The request it is about; 0 for the connection.
    pub request: u32,
    /// How long its body is.
    pub body_bytes: usize,
}

/// What becomes of a frame that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It goes on its way.
    Go,
    /// It is lost, and the connection with it.
    Cut,
    /// It goes on its way, and then the connection is lost. A frame that was received counts as [`Self::Go`] and is the last.
    CutAfter,
}

impl Transport {
    /// These two streams. Without [`Self::on_close`], a thread that waits for one of them waits until the other end closes it.
    #[must_use]
    pub fn new(reader: impl Read + Send + 'static, writer: impl Write + Send + 'static) -> Self {
        Self { reader: Box::new(reader), writer: Box::new(writer), close: None, watch: None }
    }

    /// A socket in the file system, or one of a pair.
    ///
    /// # Errors
    /// It cannot be duplicated: too many open files.
    pub fn unix(socket: UnixStream) -> io::Result<Self> {
        let (writer, closer) = (socket.try_clone()?, socket.try_clone()?);
        Ok(Self::new(socket, writer).on_close(move || {
            // It is closed already.
            let _ = closer.shutdown(Shutdown::Both);
        }))
    }

    /// A TCP connection, unencrypted: for a network in which everybody may do everything. Small frames are not held back (`TCP_NODELAY`).
    ///
    /// # Errors
    /// It cannot be duplicated, or is not connected any more.
    pub fn tcp(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let (writer, closer) = (socket.try_clone()?, socket.try_clone()?);
        Ok(Self::new(socket, writer).on_close(move || {
            // It is closed already.
            let _ = closer.shutdown(Shutdown::Both);
        }))
    }

    /// Two ends of one connection in this process.
    ///
    /// # Errors
    /// Too many open files.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self::unix(one)?, Self::unix(other)?))
    }

    /// Calls this when the connection is to end, so that reads and writes that wait come back: shut the socket down, or end the program. It may
    /// be called more than once, and from any thread.
    #[must_use]
    pub fn on_close(mut self, close: impl Fn() + Send + Sync + 'static) -> Self {
        self.close = Some(Arc::new(close));
        self
    }

    /// Shows every frame before it is sent, and when it has come, but for [`FrameKind::Alive`]: to trace a connection, or to see what happens when it is cut there.
    #[must_use]
    pub fn watch_frames(mut self, watch: impl FnMut(&FrameSeen) -> Pass + Send + 'static) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("closes", &self.close.is_some())
            .field("watched", &self.watch.is_some())
            .finish_non_exhaustive()
    }
}

/// Shows frames of both threads of a connection to who watches.
#[derive(Clone)]
pub(super) struct Watcher(Option<Arc<Mutex<Watch>>>);

impl Watcher {
    pub(super) fn new(watch: Option<Watch>) -> Self {
        Self(watch.map(|watch| Arc::new(Mutex::new(watch))))
    }

    pub(super) fn see(&self, seen: &FrameSeen) -> Pass {
        match &self.0 {
            Some(watch) if seen.kind != FrameKind::Alive => {
                let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
                watch(seen)
            }
            _ => Pass::Go,
        }
    }
}
