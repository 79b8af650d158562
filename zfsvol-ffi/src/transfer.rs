//! [`zfsvol_transfer`]: a send, a receive, a push, a handoff, a recovery, a connection that is served or a wait for a pool, which runs by itself.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use zfsvol_core::nvlist::NvList;
use zfsvol_core::volume::peer::Served;
use zfsvol_core::volume::{Job, JobProgress, Phase, Pushed, Recovered};
use zfsvol_core::zfs::{PoolWait, Received, Sent, Transfer, Waited};

use crate::answer;
use crate::boundary::{Growing, wait};
use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, consumed};
use crate::nvlist::zfsvol_nvlist;
use crate::status::{self, zfsvol_status};

/// A send, a receive, a push, a handoff, a recovery, a connection that is served or a wait for a pool: it runs by itself, in threads of the library.
///
/// Any thread can watch it, cancel it and wait for it, while others do so too.
#[derive(Debug)]
pub struct zfsvol_transfer {
    _private: [u8; 0],
}

impl Object for zfsvol_transfer {
    type Value = Running;
    const NAME: &'static str = "zfsvol_transfer";
}

/// What is behind a [`zfsvol_transfer`]: what runs, until somebody has waited for its end.
pub struct Running(RwLock<Option<Work>>);

pub(crate) enum Work {
    Send(Transfer<Sent>),
    Receive(Transfer<Received>),
    Push(Job<Pushed>),
    Recover(Job<Recovered>),
    Serve(Job<Served>),
    Wait(PoolWait),
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

impl From<Work> for Running {
    fn from(work: Work) -> Self {
        Self(RwLock::new(Some(work)))
    }
}

impl Work {
    fn progress(&self) -> zfsvol_progress {
        let of_transfer = |progress: zfsvol_core::zfs::Progress| zfsvol_progress {
            size: size_of::<zfsvol_progress>(),
            bytes: progress.bytes.get(),
            total: 0,
            phase: ZFSVOL_PHASE_SENDING,
            finished: progress.finished,
        };
        match self {
            Self::Send(transfer) => of_transfer(transfer.progress()),
            Self::Receive(transfer) => of_transfer(transfer.progress()),
            Self::Push(job) => of_job(&job.progress()),
            Self::Recover(job) => of_job(&job.progress()),
            Self::Serve(job) => of_job(&job.progress()),
            Self::Wait(wait) => zfsvol_progress {
                size: size_of::<zfsvol_progress>(),
                bytes: 0,
                total: 0,
                phase: ZFSVOL_PHASE_WAITING,
                finished: wait.is_over(),
            },
        }
    }

    fn cancel(&self) {
        match self {
            Self::Send(transfer) => transfer.cancel(),
            Self::Receive(transfer) => transfer.cancel(),
            Self::Push(job) => job.cancel(),
            Self::Recover(job) => job.cancel(),
            Self::Serve(job) => job.cancel(),
            Self::Wait(wait) => wait.cancel(),
        }
    }

    fn wait_for(&self, most: Duration) -> bool {
        match self {
            Self::Send(transfer) => transfer.wait_for(most),
            Self::Receive(transfer) => transfer.wait_for(most),
            Self::Push(job) => job.wait_for(most),
            Self::Recover(job) => job.wait_for(most),
            Self::Serve(job) => job.wait_for(most),
            Self::Wait(wait) => wait.wait_for(most),
        }
    }

    fn finish(self) -> Result<NvList, Fault> {
        match self {
            Self::Send(transfer) => answer::list(&transfer.wait()?),
            Self::Receive(transfer) => answer::list(&transfer.wait()?),
            Self::Push(job) => answer::list(&job.wait()?),
            Self::Recover(job) => answer::list(&job.wait()?),
            Self::Wait(wait) => {
                let mut list = NvList::new();
                list.insert("waited", wait.wait()? == Waited::Finished);
                Ok(list)
            }
            Self::Serve(job) => {
                let served = job.wait()?;
                let mut list = NvList::new();
                list.insert("caller", served.caller.to_string())
                    .insert("requests", served.requests)
                    .insert("received", served.received.get());
                Ok(list)
            }
        }
    }
}

fn of_job(progress: &JobProgress) -> zfsvol_progress {
    zfsvol_progress {
        size: size_of::<zfsvol_progress>(),
        bytes: progress.bytes.get(),
        total: progress.total.get(),
        phase: match progress.phase {
            Phase::Comparing => ZFSVOL_PHASE_COMPARING,
            Phase::Settling => ZFSVOL_PHASE_SETTLING,
            // What a later phase is called does not matter to who waits for bytes.
            _ => ZFSVOL_PHASE_SENDING,
        },
        finished: progress.finished,
    }
}

/// What a transfer does now: a `ZFSVOL_PHASE_...`.
pub type zfsvol_phase = u32;

/// It asks the peer what it has, and takes a snapshot if anything is missing there. All of a recovery.
pub const ZFSVOL_PHASE_COMPARING: zfsvol_phase = 0;
/// It sends or receives a stream.
pub const ZFSVOL_PHASE_SENDING: zfsvol_phase = 1;
/// It keeps what the next push begins from, and hands over.
pub const ZFSVOL_PHASE_SETTLING: zfsvol_phase = 2;
/// It waits for an activity of a pool to be over.
pub const ZFSVOL_PHASE_WAITING: zfsvol_phase = 3;

/// How far a transfer is. Set `size` before it is filled.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_progress {
    /// `sizeof(zfsvol_progress)`.
    pub size: usize,
    /// Bytes of streams that came through so far. They only grow.
    pub bytes: u64,
    /// How many there will be, as the kernel estimates it; 0 where that is not known.
    pub total: u64,
    /// What it does now.
    pub phase: zfsvol_phase,
    /// Whether it is over, well or not.
    pub finished: bool,
}

// SAFETY: `repr(C)` with the size first; numbers, and a C `bool`, which zeros are too.
unsafe impl Growing for zfsvol_progress {
    const NAME: &'static str = "zfsvol_progress";
}

/// How far a transfer is. Issues no ioctl. Fails with `CONSUMED` when somebody has waited for its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_transfer_progress(
    transfer: *const zfsvol_transfer,
    progress: *mut zfsvol_progress,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let running = caller.get(transfer)?.0.read().unwrap_or_else(PoisonError::into_inner);
        caller.fill(progress, running.as_ref().ok_or_else(consumed)?.progress())?;
    })
}

/// Stops a transfer, without waiting for it. Waiting then gives `CANCELLED`, unless it was just done. Does nothing once it is over, or for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_transfer_cancel(transfer: *const zfsvol_transfer) {
    boundary!(or(), |caller| {
        let running = caller.get(transfer)?.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(work) = running.as_ref() {
            work.cancel();
        }
    });
}

/// Waits for the end of a transfer, at most `milliseconds` (negative: as long as it takes), and says how it went. `result` (NULL if it does not matter):
///
/// - of a send: `bytes` (uint64);
/// - of a receive: `snapshot` (string), `begin` (nvlist: `byte_order`, `header_type`, `features`, `creation_time`, `objset_type`, `flags`, `to_guid`, `from_guid`,
///   `to_name`, `payload`), `bytes`, `property_failures` (nvlist array: `name`, `kind`, `errno`, `reason`), `property_failures_omitted`, `properties_not_cleared`,
///   `excess` (byte array);
/// - of a push or handoff: `snapshot` (its GUID), `sent` (string array), `bytes`;
/// - of a recovery: as of `zfsvol_volume_recover`;
/// - of a connection that was served: `caller` (string, a UUID), `requests` (uint32), `received` (uint64, bytes of streams);
/// - of a wait for a pool: `waited` (boolean).
///
/// Fails with `TIMED_OUT` while it still runs, after which one can wait again; `CANCELLED`; `CONSUMED` when somebody has waited for its end; and with whatever it failed with. That can be
/// `TIMED_OUT` too, of a peer that was silent: then it is over, and `zfsvol_transfer_progress` fails with `CONSUMED`, which it does not while the transfer runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_transfer_wait(
    transfer: *const zfsvol_transfer,
    milliseconds: i64,
    result: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(result)?;
        let running = &caller.get(transfer)?.0;
        let is_over = {
            let guard = running.read().unwrap_or_else(PoisonError::into_inner);
            guard.as_ref().ok_or_else(consumed)?.wait_for(wait(milliseconds))
        };
        if !is_over {
            let status = status::ZFSVOL_STATUS_TIMED_OUT;
            return Err(Fault::new(status, "wait for the transfer", "it is still running"));
        }
        // Whoever else waits is done waiting too, so this is had at once.
        let work = running.write().unwrap_or_else(PoisonError::into_inner).take();
        let list = work.ok_or_else(consumed)?.finish()?;
        out.give(list);
    })
}

/// Frees a transfer. One that still runs is cancelled, and waited for 10 seconds at most; a wait for a pool is not waited for. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_transfer_free(transfer: *mut zfsvol_transfer) {
    boundary!(or(), |caller| caller.free(transfer)?);
}
