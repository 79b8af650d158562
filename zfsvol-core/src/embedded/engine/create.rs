//! New file systems, zvols and clones: OpenZFS 2.3 `module/zfs/dmu_objset.c` (dmu_objset_create_check, dmu_objset_clone_check) and
//! `dsl_dataset.c` (dsl_dataset_create_sync).

use super::account::Room;
use super::content::Content;
use super::crypt::NewCrypt;
use super::dataset::{Dataset, Head, Role};
use super::dir::{Dir, Used};
use super::pool::Pool;
use super::props::{PropSource, PropValue};
use super::space::{Deadlist, Space};
use super::{Id, Result, Tx};
use crate::embedded::data::Delta;
use crate::embedded::name;
use crate::kernel::Errno;

/// Blocks that making a dataset is reckoned to change.
const CREATE_BLOCKS: i64 = 6;

/// What a new file system or zvol begins with.
#[derive(Debug)]
pub(in crate::embedded) struct NewDataset {
    pub(in crate::embedded) content: Content,
    pub(in crate::embedded) delta: Delta,
    /// Its encryption.
    pub(in crate::embedded) crypt: Option<NewCrypt>,
}

impl Pool {
    /// Where a dataset of that name would be: the directory above, and the last component.
    ///
    /// # Errors
    /// `EINVAL`, `ENAMETOOLONG`, `ENOENT` (nothing above), `EEXIST`.
    pub(in crate::embedded) fn place_for<'n>(&self, path: &'n str) -> Result<(Id, &'n str)> {
        if path.contains('@') {
            return Err(Errno::EINVAL);
        }
        if path.len() >= name::NAME_BYTES || name::depth(path) >= name::NESTING {
            return Err(Errno::ENAMETOOLONG);
        }
        let (parent, tail) = self.hold_dir(path)?;
        Ok((parent, tail.ok_or(Errno::EEXIST)?))
    }

    /// # Errors
    /// `ZFS_ERR_WRONG_PARENT` below a zvol.
    pub(in crate::embedded) fn check_parent(&self, parent: Id) -> Result<()> {
        match self.dataset(self.dir(parent)?.head)?.content.is_filesystem() {
            true => Ok(()),
            false => Err(Errno::ZFS_ERR_WRONG_PARENT),
        }
    }

    /// Makes a file system or zvol.
    ///
    /// # Errors
    /// As [`Self::place_for`] and [`Self::check_parent`]; `ENOSPC`.
    pub(in crate::embedded) fn create(
        &mut self,
        path: &str,
        new: NewDataset,
        tx: Tx,
    ) -> Result<Id> {
        let (parent, tail) = self.place_for(path)?;
        self.check_parent(parent)?;
        self.check_room(CREATE_BLOCKS, Room::Normal)?;
        let id = self.add_head(Some(parent), tail, new.content, tx)?;
        if let Some(crypt) = new.crypt {
            self.encrypt(self.dataset(id)?.dir, crypt)?;
        }
        self.account(id, &new.delta)?;
        self.log_internal("create", Some(id), " ".to_owned());
        Ok(id)
    }

    /// Makes the root dataset of a new pool.
    ///
    /// # Errors
    /// None that can be.
    pub(in crate::embedded) fn add_root(
        &mut self,
        pool: &str,
        new: NewDataset,
        tx: Tx,
    ) -> Result<Id> {
        let id = self.add_head(None, pool, new.content, tx)?;
        let dataset = self.dataset_mut(id)?;
        // `dsl_dataset_create_sync_dd`: what is made with the pool says it is of the first transaction group.
        dataset.creation_txg = 1;
        let dir = dataset.dir;
        self.root = dir;
        if let Some(crypt) = new.crypt {
            self.encrypt(dir, crypt)?;
        }
        self.account(id, &new.delta)?;
        Ok(id)
    }

    /// Makes a clone of a snapshot.
    ///
    /// # Errors
    /// As [`Self::place_for`]; `EINVAL` when the origin is no snapshot, `EXDEV` when it is in another pool.
    pub(in crate::embedded) fn clone_snapshot(
        &mut self,
        path: &str,
        origin: &str,
        tx: Tx,
    ) -> Result<Id> {
        let (parent, tail) = self.place_for(path)?;
        let origin = self.hold(origin)?;
        if !self.dataset(origin)?.is_snapshot() {
            return Err(Errno::EINVAL);
        }
        self.check_room(CREATE_BLOCKS, Room::Normal)?;
        let id = self.add_clone(parent, tail, origin, tx)?;
        let detail = format!("origin={} ({origin})", self.name(origin)?);
        self.log_internal("clone", Some(id), detail);
        Ok(id)
    }

    /// Adds a clone of a snapshot, whatever its name.
    ///
    /// # Errors
    /// None that can be.
    pub(in crate::embedded) fn add_clone(
        &mut self,
        parent: Id,
        tail: &str,
        origin: Id,
        tx: Tx,
    ) -> Result<Id> {
        let source = self.dataset(origin)?;
        let content = source.content.clone();
        let (txg, referenced, from) = (source.creation_txg, source.referenced, source.dir);
        let (inconsistent, transfer) = (source.inconsistent, source.transfer.inherited());
        let crypt = self.dir(from)?.crypt.clone();
        let id = self.add_head(Some(parent), tail, content, tx)?;
        let dataset = self.dataset_mut(id)?;
        dataset.prev = Some(origin);
        dataset.prev_txg = txg;
        dataset.referenced = referenced;
        dataset.inconsistent = inconsistent;
        dataset.transfer = transfer;
        let dir = dataset.dir;
        let dir = self.dir_mut(dir)?;
        dir.origin = Some(origin);
        dir.origin_txg = txg;
        if crypt.is_some() {
            dir.crypt = crypt;
        }
        self.snapshot_mut(origin)?.clones.insert(id);
        Ok(id)
    }

    /// A directory and its head, with nothing counted yet.
    ///
    /// # Errors
    /// None that can be.
    pub(in crate::embedded) fn add_head(
        &mut self,
        parent: Option<Id>,
        tail: &str,
        content: Content,
        tx: Tx,
    ) -> Result<Id> {
        let (dir, id) = (self.allocate(), self.allocate());
        let dataset = Dataset {
            dir,
            guid: self.env.guid(),
            creation_txg: tx.txg,
            creation_time: tx.now.as_secs(),
            prev: None,
            prev_txg: 1,
            referenced: Space::default(),
            unique: 0,
            deadlist: Deadlist::default(),
            content,
            inconsistent: false,
            long_holds: 0,
            transfer: super::Transfer::default(),
            role: Role::Head(Box::<Head>::default()),
        };
        let mut place = Dir::new(parent, tail.into(), id);
        place.counted = self.features.is_active("filesystem_limits");
        if let Some(parent) = parent {
            self.dir_mut(parent)?.add_child(place.name.clone(), dir);
            // What the pool has for itself does not count; what is being received does, under its hidden name.
            if !tail.starts_with('$') {
                self.count(parent, 1, 0)?;
            }
        }
        self.dirs.insert(dir, place);
        self.datasets.insert(id, dataset);
        Ok(id)
    }

    /// Datasets and snapshots more, there and above: `dsl_fs_ss_count_adjust`.
    pub(super) fn count(&mut self, dir: Id, filesystems: i64, snapshots: i64) -> Result<()> {
        let mut next = Some(dir);
        while let Some(id) = next {
            let dir = self.dir_mut(id)?;
            dir.filesystems = dir.filesystems.saturating_add_signed(filesystems);
            dir.snapshots = dir.snapshots.saturating_add_signed(snapshots);
            next = dir.parent;
        }
        Ok(())
    }

    /// Begins to tell how many datasets and snapshots are there and below: `dsl_dir_activate_fs_ss_limit`.
    ///
    /// # Errors
    /// `ENOTSUP` without the feature.
    pub(in crate::embedded) fn activate_limits(&mut self, dir: Id) -> Result<()> {
        if !self.features.has("filesystem_limits") {
            return Err(Errno::ENOTSUP);
        }
        if !self.features.is_active("filesystem_limits") {
            self.features.activate("filesystem_limits");
        }
        self.count_from(dir)
    }

    /// `dsl_dir_init_fs_ss_count`.
    pub(super) fn count_from(&mut self, dir: Id) -> Result<()> {
        let mut open = vec![dir];
        while let Some(id) = open.pop() {
            let dir = self.dir_mut(id)?;
            if !dir.counted {
                dir.counted = true;
                open.extend(dir.children_after(0));
            }
        }
        Ok(())
    }

    /// Sets a native property of a head as its own kind of number, with what follows from it. Of a snapshot it is one that only its head can
    /// have: nothing is taken away there, but what counts for the snapshot, the default, counts for the directory from then on
    /// (`dsl_dir_set_quota_sync`).
    ///
    /// # Errors
    /// None that can be.
    pub(in crate::embedded) fn set_number(
        &mut self,
        id: Id,
        property: &str,
        source: PropSource,
        value: u64,
    ) -> Result<()> {
        let dataset = self.dataset(id)?;
        let (dir, value_of) = (dataset.dir, Some(PropValue::Number(value)));
        match dataset.is_snapshot() {
            true => self.snapshot_mut(id)?.props.set(property, source, value_of),
            false => self.dir_mut(dir)?.props.set(property, source, value_of),
        }
        let now = self.number(id, property)?;
        match property {
            "quota" => self.dir_mut(dir)?.quota = now,
            "refquota" => self.head_mut(id)?.refquota = now,
            "reservation" => self.set_reservation(dir, super::signed(now))?,
            "refreservation" => self.set_refreservation(id, super::signed(now))?,
            _ => {}
        }
        self.log_internal("set", Some(id), format!("{property}={value}"));
        Ok(())
    }

    /// `dsl_dir_set_reservation_sync_impl`.
    pub(super) fn set_reservation(&mut self, id: Id, value: i64) -> Result<()> {
        let dir = self.dir_mut(id)?;
        let used = dir.used.used;
        let delta = used.max(value) - used.max(dir.reservation);
        dir.reservation = value;
        match dir.parent {
            Some(parent) => self.dir_used(parent, Used::ChildrenReserved, Space::reserved(delta)),
            None => Ok(()),
        }
    }

    /// `dsl_dataset_set_refreservation_sync_impl`.
    pub(super) fn set_refreservation(&mut self, id: Id, value: i64) -> Result<()> {
        let dataset = self.dataset(id)?;
        let (dir, unique) = (dataset.dir, dataset.unique);
        let delta = (value - unique).max(0) - (dataset.refreservation() - unique).max(0);
        self.head_mut(id)?.refreservation = value;
        self.dir_used(dir, Used::Reserved, Space::reserved(delta))
    }

    /// The datasets below a directory and itself, by their directories, parents first.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn tree(&self, dir: Id) -> Result<Vec<Id>> {
        let mut found = vec![dir];
        let mut at = 0;
        while let Some(id) = found.get(at).copied() {
            found.extend(self.dir(id)?.children_after(0));
            at += 1;
        }
        Ok(found)
    }
}
