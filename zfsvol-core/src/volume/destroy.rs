//! Destroying a volume, or this node's copy of another node's.

use super::event::VolumeEventKind::{Destroyed, ReplicaDestroyed};
use super::keep::TAG_PREFIX;
use super::{Node, VolumeEvent, VolumeInfo, VolumeName, VolumeState};
use crate::error::{BusyReason, Error, ErrorKind, Result};
use crate::zfs::TreeDestroyed;

const DESTROY: &str = "destroy the volume";
const DESTROY_REPLICA: &str = "destroy the replica of the volume";

impl Node {
    /// Destroys a volume with its snapshots. `false` when there was none: to do it again is harmless. Replicas on other nodes stay.
    ///
    /// All of it goes in one transaction group where the caller may run channel programs (`ZFS_IOC_CHANNEL_PROGRAM`, else
    /// `ZFS_IOC_DESTROY_SNAPS` and `ZFS_IOC_DESTROY`). Nothing is destroyed when anything is in the way.
    ///
    /// # Errors
    /// - [`ErrorKind::NotOwner`]: it belongs to another node, or is being handed over. A replica goes with [`Self::destroy_replica`].
    /// - [`ErrorKind::Busy`]: it is mounted or open, a snapshot is held, or has a clone; [`Error::failures`] says which.
    /// - [`ErrorKind::Denied`], [`ErrorKind::PoolSuspended`].
    pub fn destroy(&self, name: &VolumeName) -> Result<bool> {
        let volume = match self.owned(DESTROY, name) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            owned => owned?,
        };
        let told = |error: Error| error.with_operation(DESTROY).with_target(name.as_str());
        let was_there = self.destroy_all_of(&volume).map_err(told)?;
        if was_there {
            self.tell(&VolumeEvent::new(name, Destroyed));
        }
        Ok(was_there)
    }

    /// Destroys this node's copy of a volume that another node owns, with its snapshots, also those that its owner has not any more; and what came of it by a push that was
    /// interrupted. `false` when there was none: to do it again is harmless.
    ///
    /// The owner is not asked, and not told: its next push here sends everything, and makes the copy anew. Should it be gone, and no other replica be as new, what is destroyed
    /// is nowhere else. What this node knew of the volume goes with the copy, so also who owns it and since which epoch: an owner of before, which does not know that it was taken over, is no longer refused
    /// here.
    ///
    /// It goes as by [`Self::destroy`]. What pushes hold is let go; nothing is destroyed when anything else is in the way.
    ///
    /// # Errors
    /// - [`ErrorKind::Invalid`]: this node owns the volume, or is handing it over.
    /// - [`ErrorKind::InProgress`]: it is being received, or taken over.
    /// - [`ErrorKind::Busy`]: it is mounted or open, a snapshot is held by somebody, or has a clone; [`Error::failures`] says which.
    /// - [`ErrorKind::Exists`]: the dataset of that name is no volume.
    /// - [`ErrorKind::Denied`], [`ErrorKind::PoolSuspended`].
    pub fn destroy_replica(&self, name: &VolumeName) -> Result<bool> {
        let told = |error: Error| error.with_operation(DESTROY_REPLICA).with_target(name.as_str());
        let was_there = self.destroy_copy(name).map_err(told)?;
        if was_there {
            self.tell(&VolumeEvent::new(name, ReplicaDestroyed));
        }
        Ok(was_there)
    }

    fn destroy_copy(&self, name: &VolumeName) -> Result<bool> {
        let found = match self.get(name) {
            // A first push was interrupted before the copy had a name and an owner.
            Err(error) if error.kind() == ErrorKind::InProgress => {
                return self.clear_nameless(name, None);
            }
            found => found?,
        };
        let Some(found) = found else { return Ok(false) };
        let _alone = self.alone(DESTROY_REPLICA, name, found.ownership.id)?;
        // Whoever had it until now may have taken it over, renamed or destroyed it.
        let now = self.get(name)?.filter(|now| now.ownership.id == found.ownership.id);
        let Some(copy) = now else { return Ok(false) };
        self.check_replica(&copy)?;
        self.destroy_all_of(&copy)
    }

    fn check_replica(&self, copy: &VolumeInfo) -> Result<()> {
        let (owner, state) = (copy.ownership.owner, copy.ownership.state);
        let (kind, reason, help) = match state {
            VolumeState::Replica if owner != self.id() => return Ok(()),
            VolumeState::Leaving { .. } if owner == self.id() => {
                (ErrorKind::Invalid, format!("this node has it, and it is {state}"), "recover it")
            }
            _ if owner == self.id() => {
                let help = "destroy the volume, if that is what should go";
                (ErrorKind::Invalid, format!("this node has it, and it is {state}"), help)
            }
            _ => {
                let reason =
                    format!("it is no replica: the node {owner} has it, and it is {state}");
                (ErrorKind::NotOwner, reason, "set its properties right with the zfs command")
            }
        };
        Err(Error::new(kind, DESTROY_REPLICA, reason).with_help(help))
    }

    /// Destroys a copy of a volume, whoever owns it, unless anything but pushes needs any of it. `false` when it was not there any more.
    fn destroy_all_of(&self, copy: &VolumeInfo) -> Result<bool> {
        let destroyed = match self.zfs().destroy_recursive(&copy.dataset) {
            Err(error) if is_kept_for_pushes_alone(&error) => {
                self.let_go_of_all(copy)?;
                self.zfs().destroy_recursive(&copy.dataset)
            }
            destroyed => destroyed,
        };
        Ok(destroyed? != TreeDestroyed::Absent)
    }
}

/// Whether nothing is in the way but the engine's own holds: without the copy there is nothing to push.
fn is_kept_for_pushes_alone(error: &Error) -> bool {
    let is_ours = |reason: &BusyReason| match reason {
        BusyReason::Holds(tags) => tags.iter().all(|tag| tag.starts_with(TAG_PREFIX)),
        _ => false,
    };
    !error.failures().is_empty()
        && error.failures().iter().all(|one| !one.busy.is_empty() && one.busy.iter().all(is_ours))
}
