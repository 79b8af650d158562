//! Promoting a clone: OpenZFS 2.3 `module/zfs/dsl_dataset.c`, dsl_dataset_promote_check and dsl_dataset_promote_sync.

use super::dir::Used;
use super::pool::Pool;
use super::props::{PropSource, PropValue};
use super::space::Space;
use super::{Id, Result};
use crate::embedded::name;
use crate::kernel::Errno;

/// Who takes part in a promotion.
struct Parties {
    clone: Id,
    /// The directory of the clone, and that of the dataset it was made from.
    dir: Id,
    origin_dir: Id,
    origin: Id,
    /// Snapshots the clone takes over, the origin first and then older ones.
    shared: Vec<Id>,
    /// The clone and its snapshots, newest first.
    clone_snaps: Vec<Id>,
    /// The dataset the origin is of, and those of its snapshots that are newer, newest first.
    origin_snaps: Vec<Id>,
}

/// What will move.
struct Moved {
    space: Space,
    unique: i64,
    clone_snapshots: i64,
    origin_snapshots: i64,
}

impl Pool {
    /// Swaps a clone with the dataset it was made from. What stands in the way is the second part of the error: the snapshot or bookmark both
    /// have.
    ///
    /// # Errors
    /// `EINVAL` when it is no clone; `EEXIST` with the name that both have; `ENAMETOOLONG`, `EBUSY`, `EACCES` (encryption roots), `ENOSPC`.
    pub(in crate::embedded) fn promote(
        &mut self,
        path: &str,
    ) -> std::result::Result<(), (Errno, Option<String>)> {
        let plain = |errno| (errno, None);
        let parties = self.parties(path).map_err(plain)?;
        self.check_promote_crypt(&parties).map_err(plain)?;
        self.check_promote_names(&parties, path)?;
        let moved = self.what_moves(&parties).map_err(plain)?;
        self.check_transfer(parties.origin_dir, parties.dir, moved.space.used).map_err(plain)?;
        self.promote_parties(&parties, &moved).map_err(plain)?;
        self.log_internal("promote", Some(parties.clone), " ".to_owned());
        Ok(())
    }

    /// `promote_hold`.
    fn parties(&self, path: &str) -> Result<Parties> {
        let clone = self.hold(path)?;
        let dataset = self.dataset(clone)?;
        let dir = dataset.dir;
        let origin = match self.dir(dir)?.origin {
            Some(origin) if !dataset.is_snapshot() => origin,
            _ => return Err(Errno::EINVAL),
        };
        let origin_dir = self.dataset(origin)?.dir;
        let origin_head = self.dir(origin_dir)?.head;
        Ok(Parties {
            clone,
            dir,
            origin_dir,
            origin,
            shared: self.chain(origin, self.dir(origin_dir)?.origin)?,
            clone_snaps: self.chain(clone, Some(origin))?,
            origin_snaps: self.chain(origin_head, Some(origin))?,
        })
    }

    /// From one dataset back through the snapshots before it, up to `until` and without that.
    fn chain(&self, from: Id, until: Option<Id>) -> Result<Vec<Id>> {
        let mut chain = Vec::new();
        let mut next = Some(from);
        while let Some(id) = next.filter(|id| Some(*id) != until) {
            chain.push(id);
            next = self.dataset(id)?.prev;
        }
        Ok(chain)
    }

    /// `dsl_dataset_promote_crypt_check`.
    fn check_promote_crypt(&self, parties: &Parties) -> Result<()> {
        let origin = self.dir(parties.origin_dir)?;
        let Some(crypt) = &origin.crypt else { return Ok(()) };
        if origin.origin.is_some() || crypt.root == parties.origin_dir {
            return Ok(());
        }
        let root_above = |id: Id| -> Result<Id> {
            let parent = self.dir(id)?.parent.ok_or(Errno::EACCES)?;
            self.dir(parent)?.crypt.as_ref().map(|crypt| crypt.root).ok_or(Errno::EACCES)
        };
        match root_above(parties.origin_dir)? == root_above(parties.dir)? {
            true => Ok(()),
            false => Err(Errno::EACCES),
        }
    }

    fn check_promote_names(
        &self,
        parties: &Parties,
        path: &str,
    ) -> std::result::Result<(), (Errno, Option<String>)> {
        let room = (name::NAME_BYTES - 1).saturating_sub(path.len());
        let plain = |errno| (errno, None);
        let head = self.head(parties.clone).map_err(plain)?;
        let mut conflict = None;
        for id in &parties.shared {
            let snapshot = self.snapshot(*id).map_err(plain)?;
            if self.dataset(*id).map_err(plain)?.long_holds > 0 {
                return Err(plain(Errno::EBUSY));
            }
            if snapshot.name.len() >= room {
                return Err(plain(Errno::ENAMETOOLONG));
            }
            if head.snapshot(&snapshot.name).is_some() {
                conflict.get_or_insert_with(|| snapshot.name.to_string());
            }
        }
        // The module looks for those among the bookmarks of a snapshot, which has none: so it does not look at their lengths, and panics over names
        // that both have, where this refuses.
        for name in self.bookmarks_that_move(parties).map_err(plain)? {
            if head.bookmarks.contains_key(&*name) {
                conflict.get_or_insert(name);
            }
        }
        match conflict {
            Some(name) => Err((Errno::EEXIST, Some(name))),
            None => Ok(()),
        }
    }

    /// The bookmarks of what the clone takes over.
    fn bookmarks_that_move(&self, parties: &Parties) -> Result<Vec<String>> {
        let until = self.dataset(parties.origin)?.creation_txg;
        let head = self.head(self.dir(parties.origin_dir)?.head)?;
        let old = head.bookmarks.iter().filter(|(_, mark)| mark.creation_txg <= until);
        Ok(old.map(|(name, _)| name.to_string()).collect())
    }

    fn what_moves(&self, parties: &Parties) -> Result<Moved> {
        let origin = self.dataset(parties.origin)?;
        let mut space = origin.referenced;
        for id in &parties.shared {
            space += self.dataset(*id)?.deadlist.space();
        }
        if let Some(older) = self.dir(parties.origin_dir)?.origin {
            space += -self.dataset(older)?.referenced;
        }
        let oldest = parties.clone_snaps.last().copied().unwrap_or(parties.clone);
        let unique = self.dataset(oldest)?.deadlist.range(origin.prev_txg, u64::MAX).used;
        let origin_txg = self.dir(parties.origin_dir)?.origin_txg;
        let dead = |chain: &[Id], after: u64| -> Result<i64> {
            let each =
                chain.iter().map(|id| Ok(self.dataset(*id)?.deadlist.range(after, u64::MAX)));
            Ok(each.sum::<Result<Space>>()?.used)
        };
        Ok(Moved {
            space,
            unique,
            clone_snapshots: dead(&parties.shared, origin_txg)?
                + dead(&parties.clone_snaps, origin_txg)?,
            origin_snapshots: dead(&parties.origin_snaps, origin.creation_txg)?,
        })
    }

    fn promote_parties(&mut self, parties: &Parties, moved: &Moved) -> Result<()> {
        self.promote_crypt(parties)?;
        // The origin is followed by what was the clone's, and the old dataset is a clone of it.
        let oldest = parties.clone_snaps.last().copied().unwrap_or(parties.clone);
        let origin = self.snapshot_mut(parties.origin)?;
        let old_next = std::mem::replace(&mut origin.next, oldest);
        origin.clones.remove(&oldest);
        origin.clones.insert(old_next);
        let txg = self.dataset(parties.origin)?.creation_txg;
        let old = self.dir_mut(parties.origin_dir)?;
        let older = (old.origin.replace(parties.origin), old.origin_txg);
        old.origin_txg = txg;
        let dir = self.dir_mut(parties.dir)?;
        (dir.origin, dir.origin_txg) = older;
        self.move_bookmarks(parties)?;
        self.move_snapshots(parties)?;
        self.move_space(parties, moved)?;
        self.dataset_mut(parties.origin)?.unique = moved.unique;
        Ok(())
    }

    fn move_bookmarks(&mut self, parties: &Parties) -> Result<()> {
        let names = self.bookmarks_that_move(parties)?;
        let old = self.dir(parties.origin_dir)?.head;
        for name in names {
            // It is counted once more, and the old dataset keeps what it has them in, empty or not: so the module does it.
            if let Some((name, mark)) = self.head_mut(old)?.bookmarks.remove_entry(&*name) {
                self.add_bookmark(parties.clone, name, mark)?;
            }
        }
        // What was freed before the next snapshot: that is another one now (`dsl_bookmark_next_changed`).
        let txg = self.dataset(parties.origin)?.creation_txg;
        let oldest = parties.clone_snaps.last().copied().unwrap_or(parties.clone);
        let freed = self.dataset(oldest)?.deadlist.space();
        for mark in self.head_mut(parties.clone)?.bookmarks.values_mut() {
            if let (true, Some(space)) = (mark.creation_txg == txg, &mut mark.space) {
                space.freed = freed;
            }
        }
        Ok(())
    }

    fn move_snapshots(&mut self, parties: &Parties) -> Result<()> {
        let old = self.dir(parties.origin_dir)?.head;
        for id in &parties.shared {
            let name = self.snapshot(*id)?.name.clone();
            self.head_mut(old)?.remove_snapshot(&name);
            self.head_mut(parties.clone)?.add_snapshot(name.clone(), *id);
            self.dataset_mut(*id)?.dir = parties.dir;
            if !name.starts_with('%') {
                self.count(parties.origin_dir, 0, -1)?;
                self.count(parties.dir, 0, 1)?;
            }
        }
        Ok(())
    }

    fn move_space(&mut self, parties: &Parties, moved: &Moved) -> Result<()> {
        let delta = moved.clone_snapshots - self.dir(parties.dir)?.breakdown.snapshots;
        self.dir_used(parties.dir, Used::Snapshots, Space::reserved(delta))?;
        let rest = Space { used: moved.space.used - delta, ..moved.space };
        self.dir_used(parties.dir, Used::Head, rest)?;
        let delta = moved.origin_snapshots - self.dir(parties.origin_dir)?.breakdown.snapshots;
        self.dir_used(parties.origin_dir, Used::Snapshots, Space::reserved(delta))?;
        let rest = Space { used: -moved.space.used - delta, ..-moved.space };
        self.dir_used(parties.origin_dir, Used::Head, rest)
    }

    /// `dsl_dataset_promote_crypt_sync`: the clone becomes the encryption root that the old dataset was.
    fn promote_crypt(&mut self, parties: &Parties) -> Result<()> {
        let origin = self.dir(parties.origin_dir)?;
        let is_root = origin.crypt.as_ref().is_some_and(|crypt| crypt.root == parties.origin_dir);
        if !is_root || origin.origin.is_some() {
            return Ok(());
        }
        let location = origin.props.slot("keylocation").and_then(|slot| slot.local.clone());
        let location = location.unwrap_or_else(|| PropValue::Text("none".into()));
        self.dir_mut(parties.dir)?.props.set("keylocation", PropSource::Local, Some(location));
        self.dir_mut(parties.origin_dir)?.props.set("keylocation", PropSource::None, None);
        self.change_crypt_root(parties.origin_dir, parties.origin_dir, parties.dir, None)
    }
}
