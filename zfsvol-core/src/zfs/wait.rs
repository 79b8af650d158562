//! [`PoolWait`]: a wait for an activity of a pool that can be given up.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::activity::{PoolActivity, Waited};
use super::transfer::{Worker, cancelled};
use super::{Zfs, activity};
use crate::error::{Error, ErrorKind, Result};
use crate::name::PoolName;
use crate::units::Guid;

/// A wait for an activity of a pool that can be watched, and given up.
///
/// The module ends a wait when the activity is over, and before that only for a signal to the thread that waits. zfsvol sends none: it has no handlers in the programs
/// that it is part of. So to cancel is to give up what that thread will bring. Whoever waits is told at once; the thread sleeps on in the module until the activity is
/// over, the pool is exported or the process ends, and then ends too. To look from time to time, wait for the same object again: a new one is a thread more.
///
/// Dropping it cancels it.
#[must_use = "dropping a wait gives it up"]
pub struct PoolWait {
    pool: PoolName,
    shared: Arc<Shared>,
}

/// Cancels a [`PoolWait`], from any thread. Clones cancel the same one; once it is over they do nothing.
#[derive(Clone)]
pub struct PoolWaitCanceller(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Cancelled,
    Over(Result<Waited>),
}

impl Zfs {
    /// Waits as [`Zfs::wait_pool`] does, or with a device as [`Zfs::wait_vdev`], in the background: with a deadline, and in a way that can be cancelled.
    ///
    /// Issues `ZFS_IOC_WAIT`, in a thread of its own.
    ///
    /// # Errors
    /// At once: no thread can be started. From [`PoolWait::wait`]: [`ErrorKind::Cancelled`]; as [`Zfs::wait_pool`] and [`Zfs::wait_vdev`].
    pub fn wait_pool_in_background(
        &self,
        pool: &PoolName,
        activity: PoolActivity,
        vdev: Option<Guid>,
    ) -> Result<PoolWait> {
        let shared = Arc::new(Shared::default());
        let (zfs, name, ends) = (self.clone(), pool.clone(), Ends(Arc::clone(&shared)));
        // Nobody joins it: it may be there for as long as the module keeps it.
        Worker::start("zfsvol-wait", move || {
            let outcome = match vdev {
                None => zfs.wait_pool(&name, activity),
                Some(vdev) => zfs.wait_vdev(&name, activity, vdev),
            };
            ends.0.end(State::Over(outcome));
        })
        .map_err(|error| Error::io("start a thread to", error).with_target(activity::WAIT.verb))?;
        Ok(PoolWait { pool: pool.clone(), shared })
    }
}

impl PoolWait {
    /// Whether it is over, well or not, or was cancelled. Issues no ioctl.
    pub fn is_over(&self) -> bool {
        !matches!(*self.shared.state(), State::Waiting)
    }

    /// Gives it up. [`PoolWait::wait`] then gives [`ErrorKind::Cancelled`] at once, unless it was over.
    pub fn cancel(&self) {
        self.canceller().cancel();
    }

    /// What can cancel it from another thread, while this one waits.
    pub fn canceller(&self) -> PoolWaitCanceller {
        PoolWaitCanceller(Arc::clone(&self.shared))
    }

    /// Waits until it is over, and says how it went.
    ///
    /// # Errors
    /// As [`Zfs::wait_pool`] and [`Zfs::wait_vdev`]; [`ErrorKind::Cancelled`] also when it was cancelled. A panic of the [door](crate::kernel) is [`ErrorKind::Io`].
    pub fn wait(self) -> Result<Waited> {
        let state = self.shared.state();
        let ended = self.shared.ended.wait_while(state, |state| matches!(state, State::Waiting));
        match &*ended.unwrap_or_else(PoisonError::into_inner) {
            State::Over(outcome) => outcome.clone(),
            State::Waiting | State::Cancelled => {
                Err(cancelled(activity::WAIT.verb, self.pool.as_str()))
            }
        }
    }

    /// Waits, at most so long. Says whether it is over.
    pub fn wait_for(&self, most: Duration) -> bool {
        let state = self.shared.state();
        let is_waiting = |state: &mut State| matches!(state, State::Waiting);
        let ended = self.shared.ended.wait_timeout_while(state, most, is_waiting);
        !ended.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for PoolWait {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for PoolWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolWait").field("pool", &self.pool).field("over", &self.is_over()).finish()
    }
}

impl PoolWaitCanceller {
    /// As [`PoolWait::cancel`].
    pub fn cancel(&self) {
        self.0.end(State::Cancelled);
    }
}

impl fmt::Debug for PoolWaitCanceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolWaitCanceller").finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes first stays.
    fn end(&self, with: State) {
        let mut state = self.state();
        if matches!(*state, State::Waiting) {
            *state = with;
            self.ended.notify_all();
        }
    }
}

/// Ends a wait when its thread ends, also by a panic.
struct Ends(Arc<Shared>);

impl Drop for Ends {
    fn drop(&mut self) {
        let error = Error::new(ErrorKind::Io, activity::WAIT.verb, "its thread panicked");
        self.0.end(State::Over(Err(error)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::embedded::Embedded;
    use crate::kernel::{Call, Ioc, Observe};
    use crate::units::Bytes;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A kernel whose waits call that function first.
    fn zfs(on_wait: impl Fn() + Send + Sync + 'static) -> Zfs {
        let kernel = Arc::new(Embedded::builder().pool("tank", Bytes::from_gib(1)).build());
        Zfs::new(Observe::new(kernel).before(move |call| {
            if matches!(call, Call::Ioctl { ioc: Ioc::WAIT, .. }) {
                on_wait();
            }
            Ok(())
        }))
    }

    fn wait(zfs: &Zfs) -> PoolWait {
        zfs.wait_pool_in_background(&"tank".parse().unwrap(), PoolActivity::Scrub, None).unwrap()
    }

    /// One that stays in the module until something is sent, and tells when it is there.
    fn stuck() -> (Zfs, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (came, is_there) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let may_go = Mutex::new(may_go);
        let zfs = zfs(move || {
            came.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
        });
        (zfs, is_there, go)
    }

    #[test]
    fn a_wait_says_what_it_waited_for_and_may_be_asked_twice() {
        let (zfs, is_there, go) = stuck();
        let wait = wait(&zfs);
        is_there.recv_timeout(PATIENCE).unwrap();
        assert!(!wait.wait_for(Duration::from_millis(1)));
        assert!(!wait.is_over());
        go.send(()).unwrap();
        assert!(wait.wait_for(PATIENCE));
        // It is over: nothing is left to be cancelled.
        wait.cancel();
        assert_eq!(wait.wait().unwrap(), Waited::Idle);
    }

    #[test]
    fn a_wait_that_is_cancelled_ends_though_the_module_does_not_let_go() {
        let (zfs, is_there, go) = stuck();
        let wait = wait(&zfs);
        is_there.recv_timeout(PATIENCE).unwrap();
        let canceller = wait.canceller();
        let waits = thread::spawn(move || wait.wait());
        canceller.cancel();
        let error = waits.join().unwrap().unwrap_err();
        let said = (error.kind(), error.to_string());
        let expected = "cannot wait for the pool 'tank': it was cancelled";
        assert_eq!(said, (ErrorKind::Cancelled, expected.to_owned()));
        // What comes of it later is nobody's.
        go.send(()).unwrap();
    }

    #[test]
    fn what_the_module_refuses_is_told() {
        let zfs = zfs(|| {});
        let none = "none".parse().unwrap();
        let wait = zfs.wait_pool_in_background(&none, PoolActivity::Scrub, None).unwrap();
        assert_eq!(wait.wait().unwrap_err().kind(), ErrorKind::NotFound);
        let tank = "tank".parse().unwrap();
        let device = Some(Guid::new(7));
        let wait = zfs.wait_pool_in_background(&tank, PoolActivity::Scrub, device).unwrap();
        assert_eq!(wait.wait().unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_panic_of_the_door_ends_it() {
        let error = wait(&zfs(|| panic!("at the door"))).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    }
}
