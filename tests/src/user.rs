//! Being another user for a moment: what a caller without privileges sees.

#![expect(
    unsafe_code,
    reason = "the C library changes the user of every thread; only the system call changes that of one"
)]

use std::io;
use std::panic::resume_unwind;
use std::thread;

/// Runs `body` as user and group `id`, with no other groups and without any capability, in a thread of its own: the rest of the process stays
/// who it is.
///
/// # Panics
/// When this process may not change its user; and when `body` does.
pub fn as_user<T: Send>(id: u32, body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let user = scope.spawn(move || {
            become_user(id).expect("root can become anybody");
            body()
        });
        user.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// For this thread only. The capabilities go with the last user id that was 0 (capabilities(7)).
fn become_user(id: u32) -> io::Result<()> {
    let no_groups: *const libc::gid_t = std::ptr::null();
    // SAFETY: setgroups reads as many ids as it is told: none.
    check(unsafe { libc::syscall(libc::SYS_setgroups, 0, no_groups) })?;
    // SAFETY: three numbers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, id, id, id) })?;
    // SAFETY: three numbers. The thread ends with `body`, so nobody else runs as this user afterwards.
    check(unsafe { libc::syscall(libc::SYS_setresuid, id, id, id) })
}

fn check(status: libc::c_long) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
