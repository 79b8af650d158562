//! The state behind the embedded kernel: pools, datasets and their sums, as OpenZFS's DSL keeps them.
//!
//! Everything is behind one lock. A request that changes something is one transaction group: it is checked as a whole, and then done as a
//! whole. No operation takes longer because there are more datasets: all that is looked up is looked up in maps, and sums are kept at every
//! level of the tree, as in OpenZFS.

mod account;
mod bookmark;
mod content;
mod create;
mod crypt;
mod dataset;
mod destroy;
mod dir;
mod entries;
mod lookup;
mod pool;
mod promote;
mod props;
mod rename;
mod rollback;
mod snapshot;
mod space;
pub(in crate::embedded) mod stored;
mod transfer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) use account::Room;
pub(super) use bookmark::{Bookmark, BookmarkSpace};
pub(super) use content::{Content, DefaultQuotas, Zpl};
pub(super) use create::NewDataset;
pub(super) use crypt::{Crypt, KeyFormat, NewCrypt, UserKey};
pub(super) use dataset::{Dataset, Hold};
pub(super) use dir::Dir;
pub(super) use lookup::{default_number, known};
pub(super) use pool::Pool;
pub(super) use props::{PropSource, PropValue, Props, Slot, is_kept_twice};
pub(super) use space::{Space, signed, unsigned};
pub(super) use transfer::{Resume, Transfer};

use super::name;
use super::vdev::Layout;
use crate::kernel::Errno;

/// What the kernel refuses, by number.
pub(super) type Result<T> = std::result::Result<T, Errno>;

/// The number of a directory or dataset in its pool. It is never used again.
pub(super) type Id = u64;

/// What is given from outside and never changes: the release imitated, the clock, where GUIDs come from.
pub(super) struct Env {
    /// `(2, 3)`
    pub(super) release: (u32, u32),
    pub(super) clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// The name of this machine.
    pub(super) hostname: String,
    /// All of it is kept in a directory, so changes must be marked.
    pub(super) is_kept: bool,
    /// GUIDs and all that is random follow from a seed, so their sequence is kept as well.
    pub(super) is_seeded: bool,
    guids: AtomicU64,
}

impl Env {
    pub(super) fn new(
        release: (u32, u32),
        clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
        seed: Option<u64>,
    ) -> Self {
        // Without randomness GUIDs are still unique among themselves.
        let first = seed.or_else(|| getrandom::u64().ok()).unwrap_or_default();
        let (hostname, guids) = (super::vdev::hostname(), AtomicU64::new(first));
        Self { release, clock, hostname, is_kept: false, is_seeded: seed.is_some(), guids }
    }

    /// Random bytes for keys: the system's, unless all is to follow from a seed.
    ///
    /// # Errors
    /// `EIO` when the system has none.
    pub(super) fn random(&self, bytes: &mut [u8]) -> Result<()> {
        if !self.is_seeded {
            return getrandom::fill(bytes).map_err(|_| Errno::EIO);
        }
        for chunk in bytes.chunks_mut(8) {
            chunk.iter_mut().zip(self.guid().to_le_bytes()).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }

    /// A number no other thing has. Steps of an odd number, mixed by a permutation (SplitMix64): none comes twice.
    pub(super) fn guid(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        loop {
            let mut mixed = self.guids.fetch_add(STEP, Ordering::Relaxed);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            // 0 is "none".
            if mixed != 0 {
                return mixed;
            }
        }
    }

    /// Where the sequence of GUIDs is.
    pub(super) fn guids_at(&self) -> u64 {
        self.guids.load(Ordering::Relaxed)
    }

    /// Goes on with the sequence from there.
    pub(super) fn continue_guids(&self, at: u64) {
        self.guids.store(at, Ordering::Relaxed);
    }

    /// The time since 1970.
    pub(super) fn now(&self) -> Duration {
        (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("release", &self.release).finish_non_exhaustive()
    }
}

/// One transaction group under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tx {
    pub(super) txg: u64,
    /// The time since 1970.
    pub(super) now: Duration,
}

/// All there is.
#[derive(Debug)]
pub(super) struct State {
    pub(super) env: Arc<Env>,
    pub(super) pools: BTreeMap<Arc<str>, Pool>,
    pub(super) mounts: super::mount::Mounts,
    pub(super) devices: super::device::Devices,
    pub(super) handles: super::hold::Handles,
    pub(super) events: super::event::Events,
    /// Pools that were exported or destroyed.
    pub(super) resting: super::import::RestingPools,
    pub(super) last_pools: super::history::LastPools,
}

impl State {
    pub(super) fn new(env: Env) -> Self {
        Self {
            env: Arc::new(env),
            pools: BTreeMap::new(),
            mounts: super::mount::Mounts::default(),
            devices: super::device::Devices::default(),
            handles: super::hold::Handles::default(),
            events: super::event::Events::default(),
            resting: super::import::RestingPools::default(),
            last_pools: super::history::LastPools::default(),
        }
    }

    /// The pool that anything of that name is in.
    ///
    /// # Errors
    /// `ENOENT` when there is none (`spa_open`).
    pub(super) fn pool(&self, name: &str) -> Result<&Pool> {
        self.pools.get(name::pool_of(name)).ok_or(Errno::ENOENT)
    }

    /// The same, to be changed.
    ///
    /// # Errors
    /// As [`Self::pool`].
    pub(super) fn pool_mut(&mut self, name: &str) -> Result<&mut Pool> {
        self.pools.get_mut(name::pool_of(name)).ok_or(Errno::ENOENT)
    }

    /// A dataset or snapshot by its full name, with its pool.
    ///
    /// # Errors
    /// `ENOENT` when there is none.
    pub(super) fn hold(&self, name: &str) -> Result<(&Pool, Id)> {
        let pool = self.pool(name)?;
        Ok((pool, pool.hold(name)?))
    }
}

/// What the tables of this module do not have, and should.
pub(super) const LOST: Errno = Errno::EIO;

impl Layout {
    /// What `spa_get_slop_space` keeps back, so that a full pool can still free something.
    fn slop(&self) -> i64 {
        const SHIFT: u32 = 5;
        const MOST: i64 = 128 << 30;
        const LEAST: i64 = 128 << 20;
        let space = self.usable();
        (space >> SHIFT).min(MOST).max((space >> 1).min(LEAST))
    }
}
