//! Durability: the state of a kernel, kept in a directory.
//!
//! All state is in memory, and is answered from there. What a request changed is written before the request is answered: the records of what was
//! changed ([`engine/stored.rs`](super::engine::stored), [`data/stored.rs`](super::data::stored)) are one transaction of a log (`log.rs`). A
//! transaction always has all that was changed until then, as a transaction group has, also what was written to block devices since the last one.
//! Requests that wait at the same time share the waiting for the disk.
//!
//! What ends with the process ends: mounts, open devices, loaded keys, events, running receives. What OpenZFS puts right when it imports a pool
//! is put right when it is opened (`restore.rs`).
//!
//! After a write that failed nobody can say what is on the disk, so nothing is changed any more: every request that would is refused with `EIO`,
//! as by a pool that is suspended, until the directory is opened anew. Then all is there that was ever answered with success.

pub(in crate::embedded) mod codec;
mod collect;
mod files;
mod frame;
mod log;
mod restore;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::data::Data;
use super::engine::{Env, State};
use crate::error::{Error, ErrorKind};
use crate::kernel::Errno;
use collect::Kept;
use files::{Directory, Files};
use log::Log;

/// What happens when state is to be kept or read.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another has the directory.
    Locked,
    /// What is there is not what was written.
    Damaged(String),
    /// It was written in another format.
    Version(u32),
    /// A pool has a feature that the release imitated does not know.
    Feature {
        pool: String,
        feature: &'static str,
        release: (u32, u32),
    },
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Trouble {
    /// What the caller is told.
    pub(super) fn into_error(self, directory: &Path) -> Error {
        const OPERATION: &str = "open the embedded kernel's directory";
        let error = match self {
            Self::Locked => Error::new(ErrorKind::Busy, OPERATION, "another kernel has it open")
                .with_errno(Errno::EBUSY)
                .with_help(
                    "one process has a directory at a time: end the other, or share its kernel",
                ),
            Self::Damaged(what) => {
                Error::new(ErrorKind::Corrupt, OPERATION, format!("it is damaged: {what}"))
                    .with_errno(Errno::EBADE)
                    .with_help("put back a copy of the directory")
            }
            Self::Version(version) => {
                let reason = format!(
                    "it was written in format {version}, and this version knows {} alone",
                    frame::FORMAT
                );
                Error::new(ErrorKind::Unsupported, OPERATION, reason)
                    .with_errno(Errno::ENOTSUP)
                    .with_help("open it with the version of zfsvol that wrote it")
            }
            Self::Feature { pool, feature, release: (major, minor) } => {
                let reason = format!(
                    "pool '{pool}' has the feature '{feature}', which OpenZFS {major}.{minor} does not know"
                );
                Error::new(ErrorKind::Unsupported, OPERATION, reason)
                    .with_errno(Errno::ENOTSUP)
                    .with_help("open it as the release that it was made with")
            }
            Self::Io(error) => Error::io(OPERATION, error),
        };
        error.with_target(directory.display().to_string())
    }
}

/// What kind of thing is kept under a key. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// What is of no pool.
    Kernel,
    /// What datasets share: see `data/stored.rs`.
    Shared,
    /// A pool without what it has many of.
    Pool,
    /// A directory of a pool.
    Dir,
    /// A dataset or snapshot.
    Dataset,
    /// A record of the history of a pool, by where it begins.
    History,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Kernel, Self::Shared, Self::Pool, Self::Dir, Self::Dataset, Self::History];
    /// What goes with a pool.
    const OF_POOL: [Self; 4] = [Self::Pool, Self::Dir, Self::Dataset, Self::History];

    fn number(self) -> u8 {
        match self {
            Self::Kernel => 0,
            Self::Shared => 1,
            Self::Pool => 2,
            Self::Dir => 3,
            Self::Dataset => 4,
            Self::History => 5,
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| u64::from(kind.number()) == number)
    }
}

/// What a value is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: Kind,
    /// What the pool is known by in this kernel; 0 for none.
    pool: u64,
    id: u64,
}

impl Key {
    const fn new(kind: Kind, pool: u64, id: u64) -> Self {
        Self { kind, pool, id }
    }

    /// Whether it goes with a pool.
    fn is_of(&self, pool: u64) -> bool {
        self.pool == pool && Kind::OF_POOL.contains(&self.kind)
    }
}

/// A value.
#[derive(Debug)]
enum Value {
    Packed(Vec<u8>),
    /// The bytes of a block, behind the number of their kind.
    Data(u8, Data),
}

#[derive(Debug)]
enum Change {
    Put(Key, Value),
    Remove(Key),
    /// All that is kept of a pool.
    RemovePool(u64),
}

/// What is written as a whole.
type Batch = Vec<Change>;

/// Where state is kept.
#[derive(Debug)]
pub(super) struct Store {
    queue: Mutex<Queue>,
    log: Mutex<Written>,
    /// Why nothing can be written any more.
    failed: OnceLock<String>,
}

/// What was put together and is not written yet, and what it takes to put more together.
#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Batch>,
    /// How many were put together.
    count: u64,
    kept: Kept,
}

#[derive(Debug)]
struct Written {
    log: Log,
    /// How many batches are in it.
    count: u64,
}

/// What one must wait for.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(super) struct Ticket(u64);

impl Store {
    /// Takes a directory; answers with the state that is in it, if there is any.
    pub(super) fn open(directory: &Path, env: Env) -> Result<(Self, State, bool), Trouble> {
        Self::open_in(Box::new(Directory::take(directory)?), env)
    }

    fn open_in(files: Box<dyn Files>, env: Env) -> Result<(Self, State, bool), Trouble> {
        let mut found = restore::Found::default();
        let log = Log::open(files, &mut |key, value| found.add(key, value))?;
        let is_new = log.is_empty();
        let (state, kept) = found.restore(env)?;
        let queue = Queue { kept, ..Queue::default() };
        let store = Self {
            queue: Mutex::new(queue),
            log: Mutex::new(Written { log, count: 0 }),
            failed: OnceLock::new(),
        };
        Ok((store, state, is_new))
    }

    /// Why nothing can be changed any more, if it is so.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// Puts together what was changed. It is to be called with the state locked, and what it answers is to be waited for with the state free.
    ///
    /// # Errors
    /// `EIO` when something cannot be written, now or ever.
    pub(super) fn collect(&self, state: &mut State) -> Result<Ticket, Errno> {
        if self.failure().is_some() {
            return Err(Errno::EIO);
        }
        let mut queue = lock(&self.queue);
        let batch =
            queue.kept.collect(state).map_err(|_| self.fail("a record cannot be written"))?;
        if !batch.is_empty() {
            queue.waiting.push(batch);
            queue.count += 1;
        }
        Ok(Ticket(queue.count))
    }

    /// Comes back when it is durable.
    ///
    /// # Errors
    /// `EIO` when it cannot be written: nothing is changed from then on.
    pub(super) fn wait(&self, ticket: Ticket) -> Result<(), Errno> {
        let mut written = lock(&self.log);
        // Another who waited may have written this as well.
        if written.count >= ticket.0 {
            return Ok(());
        }
        if self.failure().is_some() {
            return Err(Errno::EIO);
        }
        let (batches, count) = {
            let mut queue = lock(&self.queue);
            (std::mem::take(&mut queue.waiting), queue.count)
        };
        written.log.commit(&batches).map_err(|error| self.fail(&error.to_string()))?;
        written.count = count;
        Ok(())
    }

    fn fail(&self, why: &str) -> Errno {
        let reason = format!(
            "writing to the directory of the embedded kernel failed ({why}); open it again to go on"
        );
        // The first reason is the one that counts.
        let _ = self.failed.set(reason);
        Errno::EIO
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
