//! [`Pool`]: the directories and datasets of one pool.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::crypt::Keystore;
use super::dataset::{Dataset, Head, Role, Snapshot};
use super::dir::Dir;
use super::entries::Entries;
use super::props::PropValue;
use super::{Env, Id, LOST, Result, Tx};
use crate::embedded::activity::Activity;
use crate::embedded::feature::Enabled;
use crate::embedded::history::History;
use crate::embedded::import::Import;
use crate::embedded::vdev::Layout;

/// The properties a pool has of its own, by name.
pub(in crate::embedded) type PoolProps = BTreeMap<String, PropValue>;

/// Transaction groups that pass when a pool is made, before anything can be done with it (`TXG_INITIAL`).
const TXG_INITIAL: u64 = 4;

/// One imported pool. It is kept in a directory by `stored.rs`, which says what to do about a new field.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Pool {
    pub(in crate::embedded) env: Arc<Env>,
    /// What it is known by in this kernel. Its GUID, which can change, its vdevs have.
    pub(in crate::embedded) guid: u64,
    /// The newest transaction group.
    pub(in crate::embedded) txg: u64,
    pub(in crate::embedded) features: Enabled,
    pub(in crate::embedded) props: PoolProps,
    pub(in crate::embedded) layout: Layout,
    /// The directory of its root dataset.
    pub(in crate::embedded) root: Id,
    pub(in crate::embedded) dirs: Entries<Dir>,
    pub(in crate::embedded) datasets: Entries<Dataset>,
    pub(super) next_id: Id,
    /// The keys of encryption roots that are loaded.
    pub(in crate::embedded) keys: Keystore,
    /// Scrubs and the like.
    pub(in crate::embedded) activity: Activity,
    pub(in crate::embedded) history: History,
    /// What holds for this import only.
    pub(in crate::embedded) import: Import,
}

impl Pool {
    /// A pool with nothing in it, not even a root: that is for [`Pool::add_root`].
    pub(in crate::embedded) fn new(env: Arc<Env>, layout: Layout, features: Enabled) -> Self {
        let marks = env.is_kept;
        Self {
            guid: env.guid(),
            env,
            txg: TXG_INITIAL,
            features,
            props: PoolProps::new(),
            layout,
            root: 0,
            dirs: Entries::new(marks),
            datasets: Entries::new(marks),
            // As in a new pool, where the root's is about that.
            next_id: 32,
            keys: Keystore::default(),
            activity: Activity::default(),
            history: History::default(),
            import: Import::default(),
        }
    }

    /// Gives the pool another name, which is that of its root.
    ///
    /// # Errors
    /// `EIO` when it has no root, which cannot be.
    pub(in crate::embedded) fn rename_root(&mut self, name: &str) -> Result<()> {
        self.dir_mut(self.root)?.name = name.into();
        Ok(())
    }

    /// Begins a transaction group.
    pub(in crate::embedded) fn begin(&mut self) -> Tx {
        self.txg = self.txg.saturating_add(1);
        Tx { txg: self.txg, now: self.env.now() }
    }

    /// A number for a new object.
    pub(super) fn allocate(&mut self) -> Id {
        self.next_id = self.next_id.saturating_add(1);
        self.next_id
    }

    /// # Errors
    /// `EIO` when there is no such directory, which cannot be.
    pub(in crate::embedded) fn dir(&self, id: Id) -> Result<&Dir> {
        self.dirs.get(id).ok_or(LOST)
    }

    /// # Errors
    /// As [`Self::dir`].
    pub(in crate::embedded) fn dir_mut(&mut self, id: Id) -> Result<&mut Dir> {
        self.dirs.get_mut(id).ok_or(LOST)
    }

    /// # Errors
    /// `EIO` when there is no such dataset, which cannot be.
    pub(in crate::embedded) fn dataset(&self, id: Id) -> Result<&Dataset> {
        self.datasets.get(id).ok_or(LOST)
    }

    /// # Errors
    /// As [`Self::dataset`].
    pub(in crate::embedded) fn dataset_mut(&mut self, id: Id) -> Result<&mut Dataset> {
        self.datasets.get_mut(id).ok_or(LOST)
    }

    /// The file system or zvol of that number.
    ///
    /// # Errors
    /// `EIO` when it is none.
    pub(in crate::embedded) fn head(&self, id: Id) -> Result<&Head> {
        self.dataset(id)?.as_head().ok_or(LOST)
    }

    /// # Errors
    /// As [`Self::head`].
    pub(in crate::embedded) fn head_mut(&mut self, id: Id) -> Result<&mut Head> {
        match &mut self.dataset_mut(id)?.role {
            Role::Head(head) => Ok(head),
            Role::Snapshot(_) => Err(LOST),
        }
    }

    /// The snapshot of that number.
    ///
    /// # Errors
    /// `EIO` when it is none.
    pub(in crate::embedded) fn snapshot(&self, id: Id) -> Result<&Snapshot> {
        self.dataset(id)?.as_snapshot().ok_or(LOST)
    }

    /// # Errors
    /// As [`Self::snapshot`].
    pub(in crate::embedded) fn snapshot_mut(&mut self, id: Id) -> Result<&mut Snapshot> {
        match &mut self.dataset_mut(id)?.role {
            Role::Snapshot(snapshot) => Ok(snapshot),
            Role::Head(_) => Err(LOST),
        }
    }

    /// The directory of a dataset or snapshot.
    ///
    /// # Errors
    /// As [`Self::dataset`].
    pub(in crate::embedded) fn dir_of(&self, dataset: Id) -> Result<&Dir> {
        self.dir(self.dataset(dataset)?.dir)
    }

    /// The GUIDs of features and how many things use each, datasets and snapshots among them (`ZFEATURE_FLAG_PER_DATASET`). Those are counted each
    /// time: it is asked seldom, and every write could change it.
    pub(in crate::embedded) fn feature_users(&self) -> Vec<(&'static str, u64)> {
        let mut of_datasets: BTreeMap<&str, u64> = BTreeMap::new();
        for feature in self.datasets.iter().flat_map(|(_, dataset)| dataset.features(self.root)) {
            *of_datasets.entry(feature).or_default() += 1;
        }
        let is_encrypted = |dir: Id| self.dirs.get(dir).is_some_and(|dir| dir.crypt.is_some());
        let encrypted = self.datasets.iter().filter(|(_, dataset)| is_encrypted(dataset.dir));
        of_datasets.insert("encryption", encrypted.count() as u64);
        let all = self.features.iter().map(|(guid, users)| {
            let name = guid.split_once(':').map_or(guid, |(_, name)| name);
            (guid, users.saturating_add(of_datasets.get(name).copied().unwrap_or(0)))
        });
        all.collect()
    }
}
