//! [`Worker`]: a thread of a transfer, which signals leave alone and which can be waited for up to a deadline.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

/// A thread and what it will return.
#[derive(Debug)]
pub(crate) struct Worker<T> {
    thread: JoinHandle<T>,
    ended: Arc<Latch>,
}

impl<T> Worker<T> {
    /// Starts `work` in a thread of its own. A name has at most 15 bytes.
    pub(crate) fn start(name: &str, work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self>
    where
        T: Send + 'static,
    {
        let ended = Arc::new(Latch::default());
        let opener = Opener(ended.clone());
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            let _opens_when_dropped = opener;
            block_signals();
            work()
        })?;
        Ok(Self { thread, ended })
    }

    /// Whether the work is done.
    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the work is done, at most so long. Says whether it is.
    pub(crate) fn wait_for(&self, most: Duration) -> bool {
        let open = self.ended.open.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.ended.opened.wait_timeout_while(open, most, |open| !*open);
        *wait.unwrap_or_else(PoisonError::into_inner).0
    }

    /// What the work returned.
    ///
    /// # Errors
    /// The message of its panic.
    pub(crate) fn join(self) -> Result<T, String> {
        self.thread.join().map_err(|payload| {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            text.or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "without a message".to_owned())
        })
    }
}

/// Opens once, when the work is done.
#[derive(Debug, Default)]
struct Latch {
    open: Mutex<bool>,
    opened: Condvar,
}

/// Opens the latch when dropped, so also when the work panics.
struct Opener(Arc<Latch>);

impl Drop for Opener {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.opened.notify_all();
    }
}

/// Leaves signals to the host's threads. One that was delivered here would interrupt the ioctl and end the transfer, and a SIGPIPE, which
/// the kernel raises in the thread whose send finds its pipe closed, would end the process. Signals of faults stay: they are this thread's own.
fn block_signals() {
    let mut signals = SigSet::all();
    for fault in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGSYS,
    ] {
        signals.remove(fault);
    }
    // It fails only for a set that is not one.
    let _ = signals.thread_block();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_waited_for_up_to_a_deadline() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let worker = Worker::start("test", move || wait.recv().is_ok()).unwrap();
        assert!(!worker.wait_for(Duration::from_millis(1)));
        assert!(!worker.has_ended());
        go.send(()).unwrap();
        assert!(worker.wait_for(Duration::from_secs(60)));
        assert_eq!(worker.join(), Ok(true));
    }

    #[test]
    fn a_panic_ends_it_with_its_message() {
        let worker = Worker::start("test", || panic!("at {}", 7)).unwrap();
        assert!(worker.wait_for(Duration::from_secs(60)));
        assert_eq!(worker.join(), Err::<(), _>("at 7".to_owned()));
    }

    #[test]
    fn signals_are_left_to_the_host() {
        let blocked = Worker::start("test", || SigSet::thread_get_mask().unwrap()).unwrap();
        let blocked = blocked.join().unwrap();
        assert!(blocked.contains(Signal::SIGPIPE) && blocked.contains(Signal::SIGTERM));
        assert!(!blocked.contains(Signal::SIGSEGV));
    }
}
