//! A TLS connection as two byte streams that are used by two threads.
//!
//! rustls gives one object for both directions. It does no input or output itself, so one thread can wait for the socket while another sends: the object is locked
//! only while bytes go through it, never while somebody waits.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::Connection;
use rustls::pki_types::CertificateDer;
use zfsvol_core::volume::peer::Transport;

/// How long the other side may take to say who it is.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// Shakes hands. Afterwards the other side's certificate is known, and was checked.
pub(crate) fn handshake(
    connection: &mut Connection,
    socket: &mut TcpStream,
) -> io::Result<CertificateDer<'static>> {
    let until = Instant::now() + HANDSHAKE_WAIT;
    while connection.is_handshaking() || connection.wants_write() {
        // For all of it together: who sends a byte now and then keeps nobody.
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        socket.set_write_timeout(Some(left))?;
        if connection.wants_write() {
            connection.write_tls(socket)?;
        } else {
            read(connection, socket)?;
        }
    }
    socket.set_read_timeout(None)?;
    socket.set_write_timeout(None)?;
    let certificates = connection.peer_certificates().unwrap_or_default();
    let first = certificates.first().ok_or_else(|| io::Error::other("it has no certificate"))?;
    Ok(first.clone().into_owned())
}

/// What comes next of a handshake. Who is refused is told why.
fn read(connection: &mut Connection, socket: &mut TcpStream) -> io::Result<()> {
    if connection.read_tls(socket)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let read = connection.process_new_packets();
    if read.is_err() {
        // It may not be there any more to be told.
        let _ = connection.write_tls(socket);
    }
    read.map(drop).map_err(io::Error::other)
}

/// The two directions of a connection that has shaken hands.
pub(crate) fn transport(connection: Connection, socket: TcpStream) -> io::Result<Transport> {
    socket.set_nodelay(true)?;
    let (sending, closing) = (socket.try_clone()?, socket.try_clone()?);
    let connection = Mutex::new(connection);
    let shared = Arc::new(Shared { connection, sending: Mutex::new(sending) });
    let reader = Reader { shared: Arc::clone(&shared), socket, raw: Vec::new(), at: 0 };
    Ok(Transport::new(reader, Writer(shared)).on_close(move || {
        // It is closed already.
        let _ = closing.shutdown(Shutdown::Both);
    }))
}

struct Shared {
    connection: Mutex<Connection>,
    /// Taken before the connection, so that what is enciphered first is sent first.
    sending: Mutex<TcpStream>,
}

impl Shared {
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what `write` gives to the connection, and what that has to say itself.
    fn send(&self, write: impl FnOnce(&mut Connection) -> io::Result<usize>) -> io::Result<usize> {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut enciphered = Vec::new();
        let mut connection = self.connection();
        let written = write(&mut connection)?;
        while connection.wants_write() {
            connection.write_tls(&mut enciphered)?;
        }
        drop(connection);
        sending.write_all(&enciphered)?;
        Ok(written)
    }
}

struct Writer(Arc<Shared>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(|connection| connection.writer().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // That nothing follows is said, so that nobody can cut the connection short unnoticed.
        let _ = self.0.send(|connection| {
            connection.send_close_notify();
            Ok(0)
        });
    }
}

struct Reader {
    shared: Arc<Shared>,
    socket: TcpStream,
    /// What came and was not deciphered yet, from `at` on.
    raw: Vec<u8>,
    at: usize,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        /// A record of TLS, and its header.
        const RAW_BYTES: usize = 17 << 10;
        loop {
            let mut connection = self.shared.connection();
            match connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            let mut raw = self.raw.get(self.at..).unwrap_or_default();
            if !raw.is_empty() {
                self.at += connection.read_tls(&mut raw)?;
                connection.process_new_packets().map_err(io::Error::other)?;
                let answers = connection.wants_write();
                drop(connection);
                if answers {
                    self.shared.send(|_| Ok(0))?;
                }
                continue;
            }
            drop(connection);
            self.raw.resize(RAW_BYTES, 0);
            self.at = 0;
            let came = self.socket.read(&mut self.raw)?;
            self.raw.truncate(came);
            if came == 0 {
                // It says whether the other side meant to stop there.
                self.shared.connection().read_tls(&mut io::empty())?;
            }
        }
    }
}
