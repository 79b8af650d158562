//! The kernel's side of a transfer, for unit tests: it reads and writes the descriptor of a request as the module does, blocking until the other side
//! moves or is gone.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread::sleep;
use std::time::Duration;

use crate::kernel::{Cmd, Errno};
use crate::nvlist::NvList;

/// The arguments of a request.
pub(in crate::zfs) fn arguments(cmd: &Cmd) -> NvList {
    NvList::from_bytes(cmd.input.as_deref().unwrap()).unwrap()
}

/// Writes to the descriptor named `key`; `EPIPE` when nobody reads it any more.
pub(in crate::zfs) fn write(cmd: &Cmd, key: &str, mut data: &[u8]) -> Result<(), Errno> {
    let fd = arguments(cmd).get_i32(key).unwrap();
    let open = || File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path(fd));
    // Nobody reads: what open(2) calls ENXIO is EPIPE to who has it open.
    let mut pipe = open().map_err(|_| Errno::EPIPE)?;
    while !data.is_empty() {
        match pipe.write(data) {
            Ok(bytes) => data = &data[bytes..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pause(),
            Err(_) => return Err(Errno::EPIPE),
        }
    }
    Ok(())
}

/// Reads `length` bytes from the descriptor named `key`, or fewer when the stream ends.
pub(in crate::zfs) fn read(cmd: &Cmd, key: &str, length: usize) -> Vec<u8> {
    let fd = arguments(cmd).get_i32(key).unwrap();
    let open = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path(fd));
    let mut pipe = open.unwrap();
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match pipe.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pause(),
            Err(error) => panic!("{error}"),
        }
    }
    bytes.truncate(filled);
    bytes
}

fn path(fd: i32) -> String {
    format!("/proc/self/fd/{fd}")
}

fn pause() {
    sleep(Duration::from_millis(1));
}
