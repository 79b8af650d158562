//! Space: what a change of a dataset's blocks adds up to, at every level above it.
//!
//! OpenZFS 2.3 `module/zfs/dsl_dir.c` and `dsl_dataset.c`; each function here names the one it follows.

use super::dir::Used;
use super::pool::Pool;
use super::space::{Space, signed};
use super::{Id, Result};
use crate::embedded::data::Delta;
use crate::kernel::Errno;

/// How much of what is kept back an operation may use (`zfs_space_check_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Room {
    /// Nothing of it.
    Normal,
    /// Half: what an administrator needs to get out of a full pool.
    Reserved,
    /// Three quarters: what frees space.
    ExtraReserved,
}

/// What one block that a sync task changes is reckoned to take, copies included (`DST_AVG_BLKSHIFT`, and three of them).
const TASK_BLOCK_BYTES: i64 = 3 << 14;

impl Pool {
    /// Space there is, less what is kept back: `dsl_pool_adjustedsize`.
    pub(in crate::embedded) fn adjusted_size(&self, room: Room) -> i64 {
        let slop = match room {
            Room::Normal => self.layout.slop(),
            Room::Reserved => self.layout.slop() >> 1,
            Room::ExtraReserved => self.layout.slop() >> 2,
        };
        self.layout.usable().saturating_sub(slop).max(0)
    }

    /// Whether there is room for a change of that many blocks: `dsl_sync_task_sync`.
    ///
    /// # Errors
    /// `ENOSPC` when there is not.
    pub(in crate::embedded) fn check_room(&self, blocks: i64, room: Room) -> Result<()> {
        let used = self.dir(self.root)?.used.used;
        let needed = used.saturating_add(blocks.saturating_mul(TASK_BLOCK_BYTES));
        if needed > self.adjusted_size(room) { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    /// Space that can still be used below a directory: `dsl_dir_space_available`. With an ancestor, as if that had grown by `delta`.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn available(
        &self,
        dir: Id,
        ancestor: Option<Id>,
        delta: i64,
    ) -> Result<i64> {
        // From the root down, so that each level has what its parent left.
        let mut path = Vec::new();
        let mut next = Some(dir);
        while let Some(id) = next {
            path.push(id);
            next = self.dir(id)?.parent;
        }
        let mut above: Option<i64> = None;
        for id in path.into_iter().rev() {
            let dir = self.dir(id)?;
            let mut quota = if dir.quota == 0 { i64::MAX } else { signed(dir.quota) };
            let mut used = dir.used.used;
            if dir.parent.is_none() {
                quota = quota.min(self.adjusted_size(Room::Normal));
            }
            let mut space = above
                .map(|space| space.saturating_add(dir.reservation.saturating_sub(used).max(0)));
            if ancestor == Some(id) {
                used = used.saturating_add(delta);
                space = space.map(|space| space.saturating_sub(delta));
            }
            let mine = quota.saturating_sub(used).max(0);
            above = Some(space.map_or(mine, |space| space.min(mine)));
        }
        Ok(above.unwrap_or(0))
    }

    /// What a dataset can still grow: `dsl_get_available`.
    ///
    /// # Errors
    /// As [`Pool::dataset`].
    pub(in crate::embedded) fn available_to(&self, id: Id) -> Result<i64> {
        let dataset = self.dataset(id)?;
        let mut available = self.available(dataset.dir, None, 0)?;
        available = available.saturating_add((dataset.refreservation() - dataset.unique).max(0));
        match dataset.as_head().map_or(0, |head| head.refquota) {
            0 => Ok(available),
            quota => Ok(available.min((signed(quota) - dataset.referenced.used).max(0))),
        }
    }

    /// `dsl_dir_diduse_space`.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn dir_used(&mut self, id: Id, kind: Used, space: Space) -> Result<()> {
        let dir = self.dir_mut(id)?;
        let accounted = accounted(dir.used.used, dir.reservation, space.used);
        dir.used += space;
        *dir.breakdown.of(kind) += space.used;
        let parent = dir.parent;
        self.parents_used(parent, Space { used: accounted, ..space }, space.used)
    }

    /// `dsl_dir_transfer_space`.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(super) fn dir_transfer(&mut self, id: Id, bytes: i64, from: Used, to: Used) -> Result<()> {
        let dir = self.dir_mut(id)?;
        *dir.breakdown.of(from) -= bytes;
        *dir.breakdown.of(to) += bytes;
        Ok(())
    }

    /// `dsl_dir_diduse_transfer_space` in one directory, and in those above it.
    fn dir_used_transfer(
        &mut self,
        id: Id,
        space: Space,
        to_new: i64,
        old: Used,
        new: Used,
    ) -> Result<()> {
        let dir = self.dir_mut(id)?;
        let accounted = accounted(dir.used.used, dir.reservation, space.used);
        dir.used += space;
        *dir.breakdown.of(old) -= to_new - space.used;
        *dir.breakdown.of(new) += to_new;
        let parent = dir.parent;
        self.parents_used(parent, Space { used: accounted, ..space }, space.used)
    }

    fn parents_used(
        &mut self,
        mut parent: Option<Id>,
        mut space: Space,
        mut to_new: i64,
    ) -> Result<()> {
        while let Some(id) = parent {
            let dir = self.dir_mut(id)?;
            let accounted = accounted(dir.used.used, dir.reservation, space.used);
            dir.used += space;
            dir.breakdown.children_reserved -= to_new - space.used;
            dir.breakdown.children += to_new;
            to_new = space.used;
            space.used = accounted;
            parent = dir.parent;
        }
        Ok(())
    }

    /// What a change of the blocks of a file system or zvol means for all sums.
    ///
    /// # Errors
    /// As [`Pool::dataset`].
    pub(in crate::embedded) fn account(&mut self, head: Id, delta: &Delta) -> Result<()> {
        self.born(head, delta.born().into())?;
        for (birth, space) in delta.killed() {
            self.killed(head, birth, space.into())?;
        }
        Ok(())
    }

    /// `dsl_dataset_block_born`.
    fn born(&mut self, head: Id, space: Space) -> Result<()> {
        let dataset = self.dataset_mut(head)?;
        let delta = accounted(dataset.unique, dataset.refreservation(), space.used);
        dataset.referenced += space;
        dataset.unique += space.used;
        let dir = dataset.dir;
        let grown = Space { used: delta, ..space };
        self.dir_used_transfer(dir, grown, space.used, Used::Reserved, Used::Head)
    }

    /// `dsl_dataset_block_kill`.
    fn killed(&mut self, head: Id, birth: u64, space: Space) -> Result<()> {
        let dataset = self.dataset_mut(head)?;
        let (dir, prev) = (dataset.dir, dataset.prev);
        dataset.referenced += -space;
        if birth > dataset.prev_txg {
            let delta = accounted(dataset.unique, dataset.refreservation(), -space.used);
            dataset.unique -= space.used;
            let shrunk = Space { used: delta, ..-space };
            self.dir_used_transfer(dir, shrunk, -space.used, Used::Reserved, Used::Head)?;
        } else {
            dataset.deadlist.insert(birth, space);
            if let Some(prev) = prev {
                let before = self.dataset_mut(prev)?;
                if before.next() == Some(head) && birth > before.prev_txg {
                    before.unique += space.used;
                }
            }
            if birth > self.dir(dir)?.origin_txg {
                self.dir_transfer(dir, space.used, Used::Head, Used::Snapshots)?;
            }
        }
        self.bookmarks_killed(head, birth, space)
    }

    /// `dsl_bookmark_block_killed`.
    fn bookmarks_killed(&mut self, head: Id, birth: u64, space: Space) -> Result<()> {
        let newest = self.dataset(head)?.prev_txg;
        let bookmarks = &mut self.head_mut(head)?.bookmarks;
        for bookmark in bookmarks.values_mut() {
            let counts = bookmark.creation_txg >= newest && birth <= bookmark.creation_txg;
            if let (true, Some(known)) = (counts, &mut bookmark.space) {
                known.freed += space;
            }
        }
        Ok(())
    }
}

/// How much of a change is seen from above, where `reserved` bytes are counted in any case: `parent_delta`.
fn accounted(used: i64, reserved: i64, delta: i64) -> i64 {
    used.saturating_add(delta).max(reserved) - used.max(reserved)
}
