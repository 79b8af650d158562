//! [`Job`]: a push, a handoff or a recovery that runs by itself, and can be watched, cancelled and waited for.

use std::fmt;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::units::Bytes;
use crate::zfs::{CancelHandle, SendStream, Worker};

/// How long dropping an unfinished job waits for it to give up; what is left then ends by itself.
const DROP_WAIT: Duration = Duration::from_secs(10);

/// A push, a handoff or a recovery that runs by itself.
///
/// Dropping it cancels it, and waits for it to give up, 10 seconds at most. What was done until then stays, and the next one goes on from there.
#[must_use = "dropping a job cancels it"]
pub struct Job<T> {
    worker: Option<Worker<Result<T>>>,
    control: Control,
    what: &'static str,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobProgress {
    /// What it does now.
    pub phase: Phase,
    /// Bytes of streams that were sent so far. They only grow.
    pub bytes: Bytes,
    /// How many there will be, as the kernel estimates it; 0 until that is known.
    pub total: Bytes,
    /// Whether it is over, well or not.
    pub finished: bool,
}

/// What a job does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It asks the peer what it has, and takes a snapshot if anything is missing there; a recovery does all it does.
    #[default]
    Comparing,
    /// It sends a snapshot.
    Sending,
    /// It keeps what the next push begins from, and hands over.
    Settling,
}

/// Watches and cancels a job from any thread, and from within it. Clones are of the same job.
#[derive(Clone, Default)]
pub struct Control(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    bytes: AtomicU64,
    total: AtomicU64,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    phase: Phase,
    /// What must be cancelled for the thread to come back.
    stops: Vec<Stop>,
}

/// What is cancelled with a job.
enum Stop {
    Transfer(CancelHandle),
    Job(Weak<State>),
}

impl Stop {
    fn cancel(&self) {
        match self {
            Self::Transfer(transfer) => transfer.cancel(),
            Self::Job(job) => {
                if let Some(state) = job.upgrade() {
                    Control(state).cancel();
                }
            }
        }
    }
}

/// A limit on how fast streams are sent. Clones are the same limit, shared by all who have one.
#[derive(Clone, Debug)]
pub struct Bandwidth(Arc<Limit>);

#[derive(Debug)]
struct Limit {
    bytes_per_second: u64,
    /// When the next byte may be sent.
    next: Mutex<Instant>,
}

impl<T> Job<T> {
    pub(super) fn start(
        what: &'static str,
        work: impl FnOnce(&Control) -> Result<T> + Send + 'static,
    ) -> Result<Self>
    where
        T: Send + 'static,
    {
        let control = Control::default();
        let inner = control.clone();
        let worker = Worker::start("zfsvol-job", move || work(&inner))
            .map_err(|error| Error::io("start a thread to", error).with_target(what))?;
        Ok(Self { worker: Some(worker), control, what })
    }

    /// How far it is. Issues no ioctl.
    #[must_use]
    pub fn progress(&self) -> JobProgress {
        let finished = self.worker.as_ref().is_none_or(Worker::has_ended);
        JobProgress { finished, ..self.control.progress() }
    }

    /// Stops it, without waiting. [`Job::wait`] then gives [`ErrorKind::Cancelled`], unless it was past the point where it can be stopped.
    pub fn cancel(&self) {
        self.control.cancel();
    }

    /// What can watch and cancel it from another thread, while this one waits.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until it is over, and says how it went.
    ///
    /// # Errors
    /// What it failed with; [`ErrorKind::Cancelled`].
    pub fn wait(mut self) -> Result<T> {
        let Some(worker) = self.worker.take() else { return Err(cancelled(self.what)) };
        worker.join().unwrap_or_else(|panic| {
            let reason = format!("its thread panicked: {panic}");
            Err(Error::new(ErrorKind::Io, self.what, reason))
        })
    }

    /// Waits, at most so long. Says whether it is over.
    #[must_use]
    pub fn wait_for(&self, most: Duration) -> bool {
        self.worker.as_ref().is_none_or(|worker| worker.wait_for(most))
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            self.control.cancel();
            worker.wait_for(DROP_WAIT);
        }
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("what", &self.what).field("progress", &self.progress()).finish()
    }
}

impl Control {
    /// How far the job is.
    #[must_use]
    pub fn progress(&self) -> JobProgress {
        let bytes = |count: &AtomicU64| Bytes::new(count.load(Ordering::Relaxed));
        JobProgress {
            phase: self.now().phase,
            bytes: bytes(&self.0.bytes),
            total: bytes(&self.0.total),
            finished: false,
        }
    }

    /// Stops the job, without waiting for it.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        for stop in &self.now().stops {
            stop.cancel();
        }
    }

    /// Whether the job was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Has this cancelled with the job, until the next phase begins.
    pub fn watch(&self, transfer: CancelHandle) {
        self.stop_too(Stop::Transfer(transfer));
    }

    /// The same for another job, as long as there is one.
    pub(super) fn watch_job(&self, job: &Control) {
        self.stop_too(Stop::Job(Arc::downgrade(&job.0)));
    }

    fn stop_too(&self, stop: Stop) {
        let mut now = self.now();
        if self.is_cancelled() {
            stop.cancel();
        }
        now.stops.retain(|stop| match stop {
            Stop::Transfer(_) => true,
            Stop::Job(job) => job.strong_count() > 0,
        });
        now.stops.push(stop);
    }

    /// Enters a phase, unless the job was cancelled.
    pub(super) fn enter(&self, what: &'static str, phase: Phase) -> Result<()> {
        if self.is_cancelled() {
            return Err(cancelled(what));
        }
        *self.now() = Now { phase, stops: Vec::new() };
        Ok(())
    }

    pub(super) fn expect_bytes(&self, total: Bytes) {
        self.0.total.store(total.get(), Ordering::Relaxed);
    }

    pub(super) fn count(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("progress", &self.progress())
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

impl Bandwidth {
    /// At most so many bytes a second, at least one.
    #[must_use]
    pub fn new(bytes_per_second: Bytes) -> Self {
        let bytes_per_second = bytes_per_second.get().max(1);
        Self(Arc::new(Limit { bytes_per_second, next: Mutex::new(Instant::now()) }))
    }

    /// How long to wait before going on, now that so many bytes were sent.
    fn delay(&self, bytes: usize) -> Duration {
        const SECOND_NANOS: u128 = 1_000_000_000;
        let nanos = bytes as u128 * SECOND_NANOS / u128::from(self.0.bytes_per_second);
        let took = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // What was not used before is not made up for.
        *next = (*next).max(now).checked_add(took).unwrap_or(*next);
        next.duration_since(now)
    }
}

/// A stream on its way to a peer: counted, slowed down, and stopped with its job.
pub(super) struct Outgoing<'a> {
    stream: SendStream,
    control: &'a Control,
    limit: Option<&'a Bandwidth>,
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(
        stream: SendStream,
        control: &'a Control,
        limit: Option<&'a Bandwidth>,
    ) -> Self {
        control.watch(stream.cancel_handle());
        Self { stream, control, limit }
    }

    fn wait(&self, mut left: Duration) {
        /// How soon a slow job notices that it was cancelled.
        const NAP: Duration = Duration::from_millis(50);
        while !left.is_zero() && !self.control.is_cancelled() {
            thread::sleep(left.min(NAP));
            left = left.saturating_sub(NAP);
        }
    }
}

impl Read for Outgoing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.stream.read(buffer)?;
        self.control.count(bytes);
        if let Some(limit) = self.limit {
            self.wait(limit.delay(bytes));
        }
        Ok(bytes)
    }
}

pub(super) fn cancelled(what: &'static str) -> Error {
    Error::new(ErrorKind::Cancelled, what, "it was cancelled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_waited_for_and_says_how_it_went() {
        let job = Job::start("test", |_| Ok(7)).unwrap();
        assert!(job.wait_for(Duration::from_secs(60)));
        assert!(job.progress().finished);
        assert_eq!(job.wait().unwrap(), 7);
    }

    #[test]
    fn a_cancelled_job_does_not_enter_the_next_phase() {
        let job = Job::<()>::start("test", |control| {
            while !control.is_cancelled() {
                thread::sleep(Duration::from_millis(1));
            }
            control.enter("test", Phase::Sending)
        });
        let job = job.unwrap();
        job.cancel();
        let error = job.wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_panic_is_an_error() {
        let job = Job::<()>::start("test", |_| panic!("at {}", 7)).unwrap();
        assert_eq!(job.wait().unwrap_err().to_string(), "cannot test: its thread panicked: at 7");
    }

    #[test]
    fn a_limit_is_shared_and_what_was_not_used_is_not_made_up_for() {
        let limit = Bandwidth::new(Bytes::new(1000));
        let other = limit.clone();
        assert!(limit.delay(1000) > Duration::from_millis(100));
        assert!(other.delay(1000) > Duration::from_millis(1100));
        assert_eq!(Bandwidth::new(Bytes::ZERO).0.bytes_per_second, 1);
    }
}
