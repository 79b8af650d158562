//! Taking snapshots: OpenZFS 2.3 `module/zfs/dsl_dataset.c`, dsl_dataset_snapshot_check and dsl_dataset_snapshot_sync_impl.

use std::collections::{BTreeMap, BTreeSet};

use super::dataset::{Dataset, Role, Snapshot};
use super::dir::Used;
use super::pool::Pool;
use super::props::Props;
use super::space::Space;
use super::{Id, Result, Tx};
use crate::kernel::Errno;

impl Pool {
    /// Whether a snapshot of that name can be taken of a head.
    ///
    /// # Errors
    /// `EEXIST`, `EBUSY` while a receive into it is not finished, `ENOSPC` when what is reserved could not be kept.
    pub(in crate::embedded) fn check_snapshot(&self, id: Id, name: &str) -> Result<()> {
        let dataset = self.dataset(id)?;
        // `dsl_dataset_hold` of what has no '@' is a head always.
        let head = dataset.as_head().ok_or(Errno::EINVAL)?;
        if head.snapshot(name).is_some() {
            return Err(Errno::EEXIST);
        }
        if dataset.inconsistent {
            return Err(Errno::EBUSY);
        }
        self.check_snapshot_space(id)
    }

    /// `dsl_dataset_snapshot_reserve_space`.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub(in crate::embedded) fn check_snapshot_space(&self, id: Id) -> Result<()> {
        let dataset = self.dataset(id)?;
        let needed = dataset.unique.min(dataset.refreservation());
        match needed > self.available(dataset.dir, None, 0)? {
            true => Err(Errno::ENOSPC),
            false => Ok(()),
        }
    }

    /// Takes a snapshot; all checks are done.
    ///
    /// # Errors
    /// None that can be.
    pub(in crate::embedded) fn take_snapshot(&mut self, id: Id, name: &str, tx: Tx) -> Result<Id> {
        self.seal(id)?;
        let snapshot = self.allocate();
        let head = self.dataset_mut(id)?;
        let dir = head.dir;
        let before = head.prev;
        let mut taken = Dataset {
            dir,
            guid: 0,
            creation_txg: tx.txg,
            creation_time: tx.now.as_secs(),
            prev: head.prev,
            prev_txg: head.prev_txg,
            referenced: head.referenced,
            // All of it is the head's as well.
            unique: 0,
            deadlist: std::mem::take(&mut head.deadlist),
            content: head.content.clone(),
            inconsistent: head.inconsistent,
            long_holds: 0,
            transfer: head.transfer.inherited(),
            role: Role::Snapshot(Box::new(Snapshot {
                name: name.into(),
                next: id,
                clones: BTreeSet::new(),
                holds: BTreeMap::new(),
                defer_destroy: false,
                props: Props::default(),
                ivset_guid: 0,
            })),
        };
        let reserved = head.unique.min(head.refreservation());
        head.prev = Some(snapshot);
        head.prev_txg = tx.txg;
        head.unique = 0;
        taken.guid = self.env.guid();
        if self.dir(dir)?.crypt.is_some() && self.features.has("bookmark_v2") {
            let ivset_guid = self.env.guid();
            if let Role::Snapshot(role) = &mut taken.role {
                role.ivset_guid = ivset_guid;
            }
        }
        if let Some(before) = before {
            let before = self.snapshot_mut(before)?;
            if before.next == id {
                before.next = snapshot;
            } else {
                before.clones.remove(&id);
                before.clones.insert(snapshot);
            }
        }
        let name = match &taken.role {
            Role::Snapshot(role) => role.name.clone(),
            Role::Head(_) => name.into(),
        };
        self.datasets.insert(snapshot, taken);
        self.head_mut(id)?.add_snapshot(name.clone(), snapshot);
        // What was reserved and used is the snapshot's now, and reserved anew.
        if reserved > 0 {
            self.dir_used(dir, Used::Reserved, Space::reserved(reserved))?;
        }
        if !name.starts_with('%') {
            self.count(dir, 0, 1)?;
        }
        self.snapshots_changed(dir, tx)?;
        self.log_internal("snapshot", Some(snapshot), " ".to_owned());
        Ok(snapshot)
    }

    /// `dsl_dir_snap_cmtime_update`.
    pub(super) fn snapshots_changed(&mut self, dir: Id, tx: Tx) -> Result<()> {
        self.dir_mut(dir)?.snapshots_changed = (tx.now.as_secs(), tx.now.subsec_nanos());
        Ok(())
    }
}
