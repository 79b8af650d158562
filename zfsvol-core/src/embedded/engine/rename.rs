//! Renaming: OpenZFS 2.3 `module/zfs/dsl_dir.c` (dsl_dir_rename_check) and `dsl_dataset.c` (dsl_dataset_rename_snapshot_check).

use std::sync::Arc;

use super::dataset::Role;
use super::dir::Used;
use super::pool::Pool;
use super::space::Space;
use super::{Id, Result, Tx};
use crate::embedded::name;
use crate::kernel::Errno;

impl Pool {
    /// Renames a dataset, with all that is below it.
    ///
    /// # Errors
    /// `ENOENT`, `EXDEV`, `EEXIST`, `ZFS_ERR_WRONG_PARENT`, `ENAMETOOLONG`, `EACCES` (it would leave its encryption root), `EINVAL` (below itself),
    /// `ENOSPC`.
    pub(in crate::embedded) fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        let (dir, tail) = self.hold_dir(from)?;
        if tail.is_some() {
            return Err(Errno::ENOENT);
        }
        let (parent, tail) = self.hold_dir(to)?;
        let tail = tail.ok_or(Errno::EEXIST)?;
        if tail.starts_with('@') {
            return Err(Errno::EINVAL);
        }
        self.check_parent(parent)?;
        self.check_names_below(dir, from, to)?;
        let old = self.dir(dir)?.parent.ok_or(Errno::EINVAL)?;
        if parent != old {
            self.check_rename_crypt(dir, parent)?;
            if self.is_within(parent, dir)? {
                return Err(Errno::EINVAL);
            }
            let place = self.dir(dir)?;
            self.check_transfer(old, parent, place.used.used.max(place.reservation))?;
        }
        // Only what passes all checks gets as far as the sync thread, which counts.
        if self.features.is_active("filesystem_limits") {
            self.count_from(dir)?;
        }
        if parent != old {
            self.move_dir(dir, old, parent)?;
        }
        self.log_internal("rename", Some(self.dir(dir)?.head), format!("-> {to}"));
        let name = self.dir(dir)?.name.clone();
        self.dir_mut(old)?.remove_child(&name);
        let name: Arc<str> = tail.into();
        self.dir_mut(parent)?.add_child(name.clone(), dir);
        let place = self.dir_mut(dir)?;
        place.name = name;
        place.parent = Some(parent);
        Ok(())
    }

    /// Whether every name below still fits: `dsl_valid_rename`.
    fn check_names_below(&self, dir: Id, from: &str, to: &str) -> Result<()> {
        let deeper = name::depth(to) > name::depth(from);
        if to.len() <= from.len() && !deeper {
            return Ok(());
        }
        let grows = to.len().saturating_sub(from.len());
        let sinks = name::depth(to).saturating_sub(name::depth(from));
        let mut open = vec![(dir, from.len(), name::depth(from))];
        while let Some((id, bytes, depth)) = open.pop() {
            let place = self.dir(id)?;
            let head = self.head(place.head)?;
            let longest = head
                .snapshots_after(0)
                .filter_map(|id| self.snapshot(id).ok())
                .map(|snapshot| snapshot.name.len() + 1)
                .max()
                .unwrap_or(0);
            if bytes + longest + grows >= name::NAME_BYTES {
                return Err(Errno::ENAMETOOLONG);
            }
            if deeper && depth + sinks >= name::NESTING {
                return Err(Errno::ENAMETOOLONG);
            }
            for child in place.children_after(0) {
                open.push((child, bytes + 1 + self.dir(child)?.name.len(), depth + 1));
            }
        }
        Ok(())
    }

    /// `dsl_dir_rename_crypt_check`.
    fn check_rename_crypt(&self, dir: Id, parent: Id) -> Result<()> {
        // What is not encrypted, or has a key of its own, may go anywhere.
        let Some(crypt) = self.dir(dir)?.crypt.as_ref().filter(|crypt| crypt.root != dir) else {
            return Ok(());
        };
        match &self.dir(parent)?.crypt {
            Some(above) if above.root == crypt.root => Ok(()),
            _ => Err(Errno::EACCES),
        }
    }

    /// Whether a directory is another, or below it.
    ///
    /// # Errors
    /// As [`Pool::dir`].
    pub(in crate::embedded) fn is_within(&self, dir: Id, root: Id) -> Result<bool> {
        let mut next = Some(dir);
        while let Some(id) = next {
            if id == root {
                return Ok(true);
            }
            next = self.dir(id)?.parent;
        }
        Ok(false)
    }

    /// Whether that much can be taken from one directory and given to another: `dsl_dir_transfer_possible`.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub(super) fn check_transfer(&self, from: Id, to: Id, space: i64) -> Result<()> {
        let mut ancestor = from;
        while !self.is_within(to, ancestor)? {
            ancestor = self.dir(ancestor)?.parent.ok_or(super::LOST)?;
        }
        // How much less the common ancestor would have: `would_change`.
        let mut delta = -space;
        let mut next = from;
        while next != ancestor {
            let dir = self.dir(next)?;
            let used = dir.used.used;
            delta = (used + delta).max(dir.reservation) - used.max(dir.reservation);
            next = dir.parent.ok_or(super::LOST)?;
        }
        match self.available(to, Some(ancestor), delta)? < space {
            true => Err(Errno::ENOSPC),
            false => Ok(()),
        }
    }

    /// Moves the sums of a directory to another parent.
    fn move_dir(&mut self, dir: Id, old: Id, new: Id) -> Result<()> {
        let place = self.dir(dir)?;
        let used = place.used;
        let unused = (place.reservation - used.used).max(0);
        let filesystems = super::signed(place.filesystems) + 1;
        let snapshots = super::signed(place.snapshots);
        self.count(old, -filesystems, -snapshots)?;
        self.count(new, filesystems, snapshots)?;
        self.dir_used(old, Used::Children, -used)?;
        self.dir_used(new, Used::Children, used)?;
        if unused > 0 {
            self.dir_used(old, Used::ChildrenReserved, Space::reserved(-unused))?;
            self.dir_used(new, Used::ChildrenReserved, Space::reserved(unused))?;
        }
        Ok(())
    }

    /// Renames a snapshot, alone or with those of the same name of all that is below.
    ///
    /// # Errors
    /// `ENOENT`, `EEXIST`, `ENAMETOOLONG`. Nothing is renamed then.
    pub(in crate::embedded) fn rename_snapshot(
        &mut self,
        dataset: &str,
        from: &str,
        to: &str,
        recursive: bool,
        tx: Tx,
    ) -> Result<()> {
        let head = self.hold(dataset)?;
        let dir = self.dataset(head)?.dir;
        let dirs = if recursive { self.tree(dir)? } else { vec![dir] };
        let mut found = Vec::new();
        for id in dirs {
            let head = self.dir(id)?.head;
            let Some(snapshot) = self.head(head)?.snapshot(from) else { continue };
            if self.head(head)?.snapshot(to).is_some() {
                return Err(Errno::EEXIST);
            }
            if self.dir_name(id)?.len() + 1 + to.len() >= name::NAME_BYTES {
                return Err(Errno::ENAMETOOLONG);
            }
            found.push((id, head, snapshot));
        }
        let name: Arc<str> = to.into();
        for (dir, head, snapshot) in found {
            self.log_internal("rename", Some(snapshot), format!("-> @{to}"));
            if let Role::Snapshot(role) = &mut self.dataset_mut(snapshot)?.role {
                role.name = name.clone();
            }
            let head = self.head_mut(head)?;
            head.remove_snapshot(from);
            head.add_snapshot(name.clone(), snapshot);
            self.snapshots_changed(dir, tx)?;
        }
        Ok(())
    }
}
