//! [`Embedded`]: a kernel in this process that answers the ioctls of OpenZFS, with no root and no module.
//!
//! It takes the very requests that `/dev/zfs` takes and gives the same answers: the same errnos, error lists and replies. So a program's tests
//! run on it as they are, anywhere. What it does not do is one list, `unsupported.rs`; such a request is refused with
//! [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) and a reason in words.
//!
//! Pools are made of files, as on OpenZFS, or of memory. On files it writes labels and nothing else: an exported pool is found by them, and what it
//! holds stays in the kernel that exported it. Files must be large enough for their pool, and may be sparse.
//!
//! ```
//! use zfsvol_core::property::PropertySet;
//! use zfsvol_core::{Bytes, Zfs};
//!
//! let zfs = Zfs::embedded();
//! let disk = "tank/db".parse()?;
//! zfs.create_zvol(&disk, Bytes::from_gib(10), &PropertySet::new())?;
//! zfs.snapshot([&disk.snapshot("empty")?], &PropertySet::new())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activity;
mod bookmark;
pub mod data;
mod dataset;
mod descriptor;
mod device;
mod dispatch;
mod engine;
mod event;
mod feature;
mod history;
mod hold;
mod host;
mod import;
mod key;
mod keys;
mod list;
mod module;
mod mount;
mod name;
mod object;
mod pool;
mod program;
mod property;
mod quota;
pub mod receive;
pub mod send;
mod snapshot;
mod space;
#[cfg(test)]
mod tests;
mod unsupported;
mod vdev;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use crate::kernel::{Cmd, Errno, Host, Ioc, Kernel, Module};
use crate::units::Bytes;

use engine::{Env, State};
pub use module::Release;

/// The pool that [`Embedded::new`] has.
const POOL: &str = "tank";
/// How large that is.
const POOL_SIZE: Bytes = Bytes::from_gib(1 << 10);

/// A kernel in this process.
///
/// All handles made from one (`clone` shares it) see the same pools. It ends with the last of them, and everything with it.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use zfsvol_core::embedded::{Embedded, Release};
/// use zfsvol_core::{Bytes, Zfs};
///
/// let kernel = Embedded::builder()
///     .release(Release::V2_4)
///     .seed(1)
///     .clock(|| UNIX_EPOCH + Duration::from_secs(1_700_000_000))
///     .pool("tank", Bytes::from_gib(10))
///     .build();
/// assert!(Zfs::new(kernel).module().is_at_least(2, 4));
/// ```
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
}

/// What all handles share.
struct Shared {
    module: Module,
    privileged: bool,
    state: RwLock<State>,
    /// The sends that are running.
    sends: send::Sends,
}

impl Embedded {
    /// A kernel that imitates OpenZFS 2.3, with one empty pool `tank` of 1 TiB, all in memory.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().pool(POOL, POOL_SIZE).build()
    }

    /// A kernel as one says, with no pool unless one is named.
    pub fn builder() -> EmbeddedBuilder {
        EmbeddedBuilder {
            release: Release::default(),
            seed: None,
            clock: Box::new(SystemTime::now),
            privileged: true,
            pools: Vec::new(),
        }
    }
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

/// Says what an [`Embedded`] is like.
#[must_use]
pub struct EmbeddedBuilder {
    release: Release,
    seed: Option<u64>,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    privileged: bool,
    pools: Vec<(String, Bytes)>,
}

impl EmbeddedBuilder {
    /// Imitates that release where releases differ.
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// Makes GUIDs follow from `seed`, so that a program that does the same has the same. They are random otherwise.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Takes the time from `clock`, and not from the system.
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Answers as to a caller who is not root and to whom nothing is delegated.
    pub fn unprivileged(mut self) -> Self {
        self.privileged = false;
        self
    }

    /// With a pool of that name and size, on one device that is in memory. A name that no pool can have, or that there is already, and a size
    /// below 64 MiB are passed over. Nothing finds such a pool again: it is gone when it is exported.
    pub fn pool(mut self, name: &str, size: Bytes) -> Self {
        self.pools.push((name.to_owned(), size));
        self
    }

    /// The kernel.
    pub fn build(self) -> Embedded {
        // Without randomness GUIDs are still unique among themselves.
        let seed = self.seed.or_else(|| getrandom::u64().ok()).unwrap_or_default();
        let mut state = State::new(Env::new(self.release.numbers(), self.clock, seed));
        for (name, size) in self.pools {
            // Said in the documentation.
            let _ = pool::create_in_memory(&mut state, &name, size.get());
        }
        let shared = Shared {
            module: module::imitated(self.release),
            privileged: self.privileged,
            state: RwLock::new(state),
            sends: send::Sends::default(),
        };
        Embedded { shared: Arc::new(shared) }
    }
}

impl Shared {
    /// The state, to be looked at.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, to be changed.
    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kernel for Embedded {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        dispatch::ioctl(&self.shared, ioc, cmd)
    }

    fn host(&self) -> &dyn Host {
        self
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("version", &self.shared.module.version)
            .field("pools", &self.shared.read().pools.keys())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EmbeddedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedBuilder")
            .field("release", &self.release)
            .field("seed", &self.seed)
            .field("privileged", &self.privileged)
            .field("pools", &self.pools)
            .finish_non_exhaustive()
    }
}
