//! Rolling back: OpenZFS 2.3 `module/zfs/dsl_dataset.c`, dsl_dataset_rollback_check and dsl_dataset_clone_swap_sync_impl.

use super::dir::Used;
use super::pool::Pool;
use super::space::{Space, signed};
use super::{Id, Result};
use crate::kernel::Errno;

impl Pool {
    /// Takes a dataset back to its newest snapshot, or a clone to its origin, and returns which that was. `users` of it do not stand in the way:
    /// a mount and a block device are suspended meanwhile.
    ///
    /// # Errors
    /// `EINVAL` for a snapshot; `ESRCH` when there is no snapshot, or `target` is none of its; `EEXIST` when `target` is not the newest, or there is
    /// a newer bookmark; `EBUSY`, `EDQUOT`, `ENOSPC`.
    pub(in crate::embedded) fn rollback(
        &mut self,
        name: &str,
        target: Option<&str>,
        users: u32,
    ) -> Result<Id> {
        let id = self.hold(name)?;
        let dataset = self.dataset(id)?;
        if dataset.is_snapshot() {
            return Err(Errno::EINVAL);
        }
        let prev = dataset.prev.ok_or(Errno::ESRCH)?;
        if let Some(target) = target {
            self.check_target(id, prev, target)?;
        }
        let head = self.head(id)?;
        if head.newest_bookmark_txg() > dataset.prev_txg {
            return Err(Errno::EEXIST);
        }
        if dataset.long_holds > users {
            return Err(Errno::EBUSY);
        }
        if head.refquota != 0 && self.dataset(prev)?.referenced.used > signed(head.refquota) {
            return Err(Errno::EDQUOT);
        }
        let reserved = head.refreservation.min(dataset.unique);
        if reserved > 0 && reserved > self.available(dataset.dir, None, 0)? {
            return Err(Errno::ENOSPC);
        }
        self.swap_with_snapshot(id, prev, reserved)?;
        Ok(prev)
    }

    /// What is said of a target that is not the newest snapshot.
    fn check_target(&self, id: Id, prev: Id, target: &str) -> Result<()> {
        let found = self.hold(target).map_err(|_| Errno::ESRCH)?;
        if found == prev {
            return Ok(());
        }
        let dataset = self.dataset(id)?;
        let related =
            self.dataset(found)?.dir == dataset.dir || self.dir(dataset.dir)?.origin == Some(found);
        Err(if related { Errno::EEXIST } else { Errno::ESRCH })
    }

    /// Makes a head what the snapshot before it is.
    fn swap_with_snapshot(&mut self, id: Id, prev: Id, reserved: i64) -> Result<()> {
        let snapshot = self.dataset_mut(prev)?;
        let (content, referenced) = (snapshot.content.clone(), snapshot.referenced);
        let (snapshot_txg, is_own) = (snapshot.creation_txg, snapshot.next() == Some(id));
        // All of it is the head's again as well. An origin's own share is between it and what comes after it there.
        if is_own {
            snapshot.unique = 0;
        }
        let head = self.dataset_mut(id)?;
        let dir = head.dir;
        let dead = std::mem::take(&mut head.deadlist);
        let change = referenced - (head.referenced + dead.space());
        head.content = content;
        head.referenced = referenced;
        head.unique = 0;
        let origin_txg = self.dir(dir)?.origin_txg;
        self.dir_used(dir, Used::Head, change)?;
        let own = dead.range(origin_txg, u64::MAX).used;
        self.dir_transfer(dir, -own, Used::Head, Used::Snapshots)?;
        if reserved > 0 {
            self.dir_used(dir, Used::Reserved, Space::reserved(reserved))?;
        }
        for bookmark in self.head_mut(id)?.bookmarks.values_mut() {
            if let (true, Some(space)) =
                (bookmark.creation_txg == snapshot_txg, &mut bookmark.space)
            {
                space.freed = Space::default();
            }
        }
        Ok(())
    }
}
