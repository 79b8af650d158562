//! Destroying snapshots, file systems and zvols: OpenZFS 2.3 `module/zfs/dsl_destroy.c`.

use super::dir::Used;
use super::pool::Pool;
use super::props::PropValue;
use super::space::Space;
use super::{Id, Result, Tx};
use crate::kernel::Errno;

impl Pool {
    /// Whether a snapshot can be destroyed: `dsl_destroy_snapshot_check_impl`.
    ///
    /// # Errors
    /// `EINVAL` for a head, `EBUSY` when it is held or in use, `EEXIST` when it has clones.
    pub(in crate::embedded) fn check_destroy_snapshot(&self, id: Id, defer: bool) -> Result<()> {
        let dataset = self.dataset(id)?;
        let snapshot = dataset.as_snapshot().ok_or(Errno::EINVAL)?;
        if dataset.long_holds > 0 {
            return Err(Errno::EBUSY);
        }
        if defer {
            return Ok(());
        }
        if !snapshot.holds.is_empty() {
            return Err(Errno::EBUSY);
        }
        if !snapshot.clones.is_empty() {
            return Err(Errno::EEXIST);
        }
        Ok(())
    }

    /// Destroys a snapshot, or marks it where that is asked and it cannot go yet: `dsl_destroy_snapshot_sync_impl`.
    ///
    /// # Errors
    /// None that can be.
    pub(in crate::embedded) fn destroy_snapshot(
        &mut self,
        id: Id,
        defer: bool,
        tx: Tx,
    ) -> Result<()> {
        let snapshot = self.snapshot_mut(id)?;
        if defer && (!snapshot.holds.is_empty() || !snapshot.clones.is_empty()) {
            snapshot.defer_destroy = true;
            self.log_internal("defer_destroy", Some(id), " ".to_owned());
            return Ok(());
        }
        self.log_internal("destroy", Some(id), " ".to_owned());
        self.bookmarks_snapshot_destroyed(id)?;
        self.unlink_snapshot(id)?;
        self.move_deadlists(id)?;
        let dir = self.dataset(id)?.dir;
        let name = self.snapshot(id)?.name.clone();
        let head = self.dir(dir)?.head;
        self.head_mut(head)?.remove_snapshot(&name);
        self.datasets.remove(id);
        self.clear_bootfs(id);
        if !name.starts_with('%') {
            self.count(dir, 0, -1)?;
        }
        self.snapshots_changed(dir, tx)
    }

    /// What is gone is not booted from: `spa_prop_clear_bootfs`.
    fn clear_bootfs(&mut self, id: Id) {
        if self.props.get("bootfs").and_then(PropValue::number) == Some(id) {
            self.props.remove("bootfs");
        }
    }

    /// Takes it out of the chain of snapshots.
    fn unlink_snapshot(&mut self, id: Id) -> Result<()> {
        let dataset = self.dataset(id)?;
        let (prev, prev_txg) = (dataset.prev, dataset.prev_txg);
        let next = self.snapshot(id)?.next;
        if let Some(prev) = prev {
            let before = self.snapshot_mut(prev)?;
            if before.next == id {
                before.next = next;
            } else {
                before.clones.remove(&id);
                before.clones.insert(next);
            }
        }
        let after = self.dataset_mut(next)?;
        after.prev = prev;
        after.prev_txg = prev_txg;
        Ok(())
    }

    /// Frees what only this snapshot held, and gives what older ones hold as well to the next deadlist.
    fn move_deadlists(&mut self, id: Id) -> Result<()> {
        let dataset = self.dataset(id)?;
        let (dir, prev, prev_txg) = (dataset.dir, dataset.prev, dataset.prev_txg);
        let creation_txg = dataset.creation_txg;
        let own = dataset.deadlist.clone();
        let next = self.snapshot(id)?.next;
        let on_this_branch = match prev {
            Some(prev) => self.snapshot(prev)?.next == next,
            None => false,
        };
        if let (Some(prev), true) = (prev, on_this_branch) {
            let older = self.dataset(prev)?.prev_txg;
            let shared = self.dataset(next)?.deadlist.range(older, prev_txg);
            self.dataset_mut(prev)?.unique += shared.used;
        }
        let freed = self.dataset(next)?.deadlist.range(prev_txg, u64::MAX);
        self.dir_used(dir, Used::Snapshots, -freed)?;
        let after = self.dataset_mut(next)?;
        after.deadlist.remove_after(prev_txg);
        after.deadlist.merge(&own);
        match after.next() {
            Some(later) => {
                let used = self.dataset(later)?.deadlist.range(prev_txg, creation_txg).used;
                self.dataset_mut(next)?.unique += used;
                Ok(())
            }
            None => self.head_lost_snapshot(next),
        }
    }

    /// What a head has for itself alone once the snapshot before it is gone.
    fn head_lost_snapshot(&mut self, head: Id) -> Result<()> {
        let old = self.dataset(head)?.unique;
        self.recalculate_unique(head)?;
        let dataset = self.dataset(head)?;
        let (dir, reserved, new) = (dataset.dir, dataset.refreservation(), dataset.unique);
        if old < reserved {
            let delta = (new - old).min(reserved - old);
            self.dir_used(dir, Used::Reserved, Space::reserved(-delta))?;
        }
        Ok(())
    }

    /// `dsl_dataset_recalc_head_uniq`.
    pub(super) fn recalculate_unique(&mut self, head: Id) -> Result<()> {
        let dataset = self.dataset(head)?;
        let before = match dataset.prev {
            Some(prev) => self.dataset(prev)?.referenced.used,
            None => 0,
        };
        let dead = dataset.deadlist.space().used;
        let unique = dataset.referenced.used - (before - dead);
        self.dataset_mut(head)?.unique = unique;
        Ok(())
    }

    /// `dsl_bookmark_ds_destroyed`.
    fn bookmarks_snapshot_destroyed(&mut self, id: Id) -> Result<()> {
        let dataset = self.dataset(id)?;
        let (prev_txg, txg, dir) = (dataset.prev_txg, dataset.creation_txg, dataset.dir);
        let next = self.snapshot(id)?.next;
        let head = self.dir(dir)?.head;
        if self.head(head)?.bookmarks.is_empty() {
            return Ok(());
        }
        let deadlist = self.dataset(next)?.deadlist.clone();
        for bookmark in self.head_mut(head)?.bookmarks.values_mut() {
            let between = (prev_txg..txg).contains(&bookmark.creation_txg);
            if let (true, Some(space)) = (between, &mut bookmark.space) {
                space.freed += deadlist.range(0, bookmark.creation_txg);
            }
        }
        Ok(())
    }

    /// Whether a file system or zvol can be destroyed: `dsl_destroy_head_check_impl`.
    ///
    /// # Errors
    /// `EINVAL` for a snapshot, `EBUSY` when it is in use or has snapshots, `EEXIST` when it has children.
    pub(in crate::embedded) fn check_destroy_head(&self, id: Id) -> Result<()> {
        let dataset = self.dataset(id)?;
        if dataset.is_snapshot() {
            return Err(Errno::EINVAL);
        }
        if dataset.long_holds > 0 {
            return Err(Errno::EBUSY);
        }
        if let Some(prev) = dataset.prev {
            if self.snapshot(prev)?.next == id {
                return Err(Errno::EBUSY);
            }
        }
        let dir = self.dir(dataset.dir)?;
        if dir.has_children() {
            return Err(Errno::EEXIST);
        }
        if let Some(origin) = self.origin_that_goes_too(id)? {
            if self.dataset(origin)?.long_holds > 0 {
                return Err(Errno::EBUSY);
            }
        }
        // The root of a pool goes with the pool alone; the module never gets here, because the root has hidden children.
        if dir.parent.is_none() { Err(Errno::EEXIST) } else { Ok(()) }
    }

    /// The origin of a clone, if it only waits for that to go.
    fn origin_that_goes_too(&self, id: Id) -> Result<Option<Id>> {
        let Some(origin) = self.dir_of(id)?.origin else { return Ok(None) };
        let snapshot = self.snapshot(origin)?;
        let waits =
            snapshot.defer_destroy && snapshot.clones.len() == 1 && snapshot.holds.is_empty();
        Ok(waits.then_some(origin))
    }

    /// Destroys a file system or zvol, and its origin if that only waited for it: `dsl_destroy_head_sync_impl`.
    ///
    /// # Errors
    /// None that can be.
    pub(in crate::embedded) fn destroy_head(&mut self, id: Id, tx: Tx) -> Result<()> {
        let too = self.origin_that_goes_too(id)?;
        let detail = format!("(bptree, mintxg={})", self.dataset(id)?.prev_txg);
        self.log_internal("destroy", Some(id), detail);
        self.set_refreservation(id, 0)?;
        let dataset = self.dataset(id)?;
        let (dir, prev) = (dataset.dir, dataset.prev);
        if let Some(prev) = prev {
            self.snapshot_mut(prev)?.clones.remove(&id);
        }
        // Nothing but its own blocks is left of the directory's sums.
        let used = self.dir(dir)?.used;
        self.dir_used(dir, Used::Head, -used)?;
        self.set_reservation(dir, 0)?;
        let place = self.dir(dir)?;
        let (parent, name) = (place.parent, place.name.clone());
        if let Some(parent) = parent {
            self.dir_mut(parent)?.remove_child(&name);
            if !name.starts_with('$') {
                self.count(parent, -1, 0)?;
            }
        }
        self.keys.remove(dir);
        self.dirs.remove(dir);
        self.datasets.remove(id);
        self.clear_bootfs(id);
        match too {
            Some(origin) => self.destroy_snapshot(origin, false, tx),
            None => Ok(()),
        }
    }
}
