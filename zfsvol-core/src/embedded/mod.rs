//! [`Embedded`]: a kernel in this process that answers the ioctls of OpenZFS, with no root and no module.
//!
//! It takes the very requests that `/dev/zfs` takes and gives the same answers: the same errnos, error lists and replies. So a program's tests
//! run on it as they are, anywhere. What it does not do is one list, `unsupported.rs`; such a request is refused with
//! [`ErrorKind::Unsupported`] and a reason in words.
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
//!
//! State is in memory, and is gone with the last handle. With a directory ([`Embedded::open`], `Zfs::open_uri("embedded:/some/directory")`) it
//! is kept: [`EmbeddedBuilder::open`] says what is durable, and when.

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
mod file;
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
mod pool_property;
mod program;
mod property;
mod quota;
pub mod receive;
pub mod send;
mod snapshot;
mod space;
mod special;
mod store;
#[cfg(test)]
mod tests;
mod unsupported;
mod vdev;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use crate::error::{Error, ErrorKind};
use crate::kernel::{Cmd, Errno, Host, Ioc, Kernel, Module};
use crate::units::Bytes;

use engine::{Env, Result as Answer, State};
pub use module::Release;
use store::{Store, Trouble};

/// The pool that [`Embedded::new`] has.
const POOL: &str = "tank";
/// How large that is.
const POOL_SIZE: Bytes = Bytes::from_gib(1 << 10);

/// A kernel in this process.
///
/// All handles made from one (`clone` shares it) see the same pools. It ends with the last of them, and everything with it, unless its state is
/// kept in a directory ([`EmbeddedBuilder::open`]).
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
    /// Where it is kept, if it is.
    store: Option<Store>,
    /// The sends that are running.
    sends: send::Sends,
}

impl Embedded {
    /// A kernel that imitates OpenZFS 2.3, with one empty pool `tank` of 1 TiB, all in memory.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().pool(POOL, POOL_SIZE).build()
    }

    /// The same, kept in a directory ([`EmbeddedBuilder::open`]): the pool is made when there is nothing in the directory yet.
    ///
    /// # Errors
    /// As [`EmbeddedBuilder::open`].
    pub fn open(directory: impl AsRef<Path>) -> crate::Result<Self> {
        Self::builder().pool(POOL, POOL_SIZE).open(directory)
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

    /// Makes GUIDs follow from `seed`, and keys of encrypted datasets, so that a program that does the same has the same. They are random
    /// otherwise.
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

    /// The kernel, in memory alone.
    pub fn build(mut self) -> Embedded {
        let mut state = State::new(self.env());
        self.add_pools(&mut state);
        self.with(state, None)
    }

    /// The kernel whose state is kept in a directory, which is made if it is not there. The pools of this builder are made only where there is no
    /// state yet.
    ///
    /// **What is durable**: all that a request has changed, when it is answered with success. What is written to the block device of a zvol is
    /// durable when the device was flushed or closed, or any request has changed something since. It survives the end of the process at
    /// any time, and that of the machine as far as `fsync` is true to its word.
    ///
    /// **What ends with the process**, as it does with a reboot: mounts, open devices, loaded keys, events, temporary holds, and receives that
    /// cannot be resumed. Those that can be are as far as they had got, by 8 MiB or so.
    ///
    /// **When writing fails** (a full disk, a broken one) the request gets `EIO`, and so does all that would change anything from then on;
    /// reading goes on. Opened anew, all is there that was answered with success.
    ///
    /// All state is in memory, and is read as a whole here: opening takes as long as reading the file. The file is at most about twice as long as
    /// what counts of it. Nobody else may change what is in the directory; one process has it at a time.
    ///
    /// ```
    /// use zfsvol_core::embedded::Embedded;
    /// use zfsvol_core::{Bytes, Zfs};
    ///
    /// # let temporary = tempfile::tempdir()?;
    /// # let directory = temporary.path().join("node-1");
    /// let open = || Embedded::builder().pool("tank", Bytes::from_gib(10)).open(&directory);
    /// Zfs::new(open()?).create_filesystem(&"tank/a".parse()?, &Default::default())?;
    /// assert!(Zfs::new(open()?).exists(&"tank/a".parse::<zfsvol_core::DatasetName>()?)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when another has the directory; [`ErrorKind::Corrupt`] when what is in it is damaged; [`ErrorKind::Unsupported`] when it
    /// was written by a version with another format, or has a pool with a feature that the release does not know; [`ErrorKind::NotFound`],
    /// [`ErrorKind::Denied`], [`ErrorKind::NoSpace`], [`ErrorKind::Io`] when it cannot be read or written.
    ///
    /// [`ErrorKind::Busy`]: crate::ErrorKind::Busy
    /// [`ErrorKind::Corrupt`]: crate::ErrorKind::Corrupt
    /// [`ErrorKind::Unsupported`]: crate::ErrorKind::Unsupported
    /// [`ErrorKind::NotFound`]: crate::ErrorKind::NotFound
    /// [`ErrorKind::Denied`]: crate::ErrorKind::Denied
    /// [`ErrorKind::NoSpace`]: crate::ErrorKind::NoSpace
    /// [`ErrorKind::Io`]: crate::ErrorKind::Io
    pub fn open(self, directory: impl AsRef<Path>) -> crate::Result<Embedded> {
        let directory = directory.as_ref();
        self.open_with(directory, |env| Store::open(directory, env))
    }

    /// The same, with a store that `open` opens.
    fn open_with(
        mut self,
        directory: &Path,
        open: impl FnOnce(Env) -> Result<(Store, State, bool), Trouble>,
    ) -> crate::Result<Embedded> {
        let mut env = self.env();
        env.is_kept = true;
        let opened = open(env);
        let (store, mut state, is_new) = opened.map_err(|trouble| trouble.into_error(directory))?;
        if is_new {
            self.add_pools(&mut state);
        }
        let kernel = self.with(state, Some(store));
        let written = kernel.shared.commit(kernel.shared.write());
        written.map_err(|errno| {
            let reason = kernel.shared.failure().unwrap_or_else(|| errno.reason().to_owned());
            Error::new(ErrorKind::Io, "write to the embedded kernel's directory", reason)
                .with_errno(errno)
                .with_target(directory.display().to_string())
        })?;
        Ok(kernel)
    }

    fn env(&mut self) -> Env {
        let clock = std::mem::replace(&mut self.clock, Box::new(SystemTime::now));
        Env::new(self.release.numbers(), clock, self.seed)
    }

    fn add_pools(&self, state: &mut State) {
        for (name, size) in &self.pools {
            // Said in the documentation.
            let _ = pool::create_in_memory(state, name, size.get());
        }
    }

    fn with(self, state: State, store: Option<Store>) -> Embedded {
        let shared = Shared {
            module: module::imitated(self.release),
            privileged: self.privileged,
            state: RwLock::new(state),
            store,
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

    /// The state, to be changed. What a request changes must be made durable before it is answered: see [`Self::change`] and [`Self::commit`].
    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and makes the change durable.
    ///
    /// # Errors
    /// Those of `change`; `EIO` when it cannot be made durable, or no change can be any more.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> Answer<T>) -> Answer<T> {
        self.check_store()?;
        let mut state = self.write();
        let outcome = change(&mut state);
        // Also what a request that failed has changed.
        self.commit(state)?;
        outcome
    }

    /// # Errors
    /// `EIO` when no change can be made durable any more.
    fn check_store(&self) -> Answer<()> {
        match self.store.as_ref().and_then(Store::failure) {
            Some(_) => Err(Errno::EIO),
            None => Ok(()),
        }
    }

    /// Why no change can be made durable any more, if it is so.
    fn failure(&self) -> Option<String> {
        self.store.as_ref()?.failure().map(ToOwned::to_owned)
    }

    /// Makes everything durable that was changed so far, and frees the state meanwhile.
    ///
    /// # Errors
    /// `EIO` when that cannot be.
    fn commit(&self, mut state: RwLockWriteGuard<'_, State>) -> Answer<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let ticket = store.collect(&mut state)?;
        drop(state);
        store.wait(ticket)
    }
}

impl Drop for Shared {
    /// What was written to block devices and not flushed.
    fn drop(&mut self) {
        let _ = self.commit(self.write());
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
