//! A volume changes its owner: handed over, taken over, and put right after a crash.

use std::sync::Arc;

use serde::Serialize;

use super::create::owned_properties;
use super::event::VolumeEventKind::{HandedOver, TakenOver};
use super::job::{Job, Phase};
use super::peer::{Offer, Peer, Settled, VolumeId};
use super::push::{Push, PushOptions, Pushed};
use super::{Node, Ownership, Uuid, VolumeEvent, VolumeInfo, VolumeName, VolumeState};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::UnmountFlags;
use crate::property::PropertySet;

const HANDOFF: &str = "hand over the volume";
const TAKEOVER: &str = "take over the volume";
const RECOVER: &str = "recover the volume";

/// What [`Node::recover`] found and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recovered {
    /// Nothing was to be done.
    Nothing,
    /// A handoff had come to its end at the peer: it owns the volume.
    HandedOver,
    /// A handoff had not come to its end, and will not any more: this node owns the volume.
    TakenBack,
    /// Another node had taken the volume over: it owns it. What this node had written since is in a volume of its own, if anything was.
    Superseded {
        /// The volume with what was written here and is nowhere else.
        set_aside: Option<VolumeName>,
    },
}

impl Node {
    /// Hands a volume over to another node, in the background: pushes what that lacks, stops writing, pushes the rest, and has the peer own it. This
    /// node then has a replica, and a handoff back sends only what was written since.
    ///
    /// A file system is unmounted. A block device must not be open for writing: what a program writes to it later fails.
    ///
    /// There is no moment with two owners. Should this process or the connection die on the way, [`Node::recover`] says who owns the volume.
    ///
    /// Issues what [`Node::push`] does, and `ZFS_IOC_SET_PROP` twice here and once there. The bookmarks that pushes begin from are made there and destroyed here.
    ///
    /// # Errors
    /// As [`Node::push`], and [`ErrorKind::Busy`]: it is mounted, and in use. When the peer refused, the volume is this node's as before; when
    /// it is not known whether the peer accepted, it stays read-only until [`Node::recover`] has asked.
    pub fn handoff(
        &self,
        name: &VolumeName,
        peer: &Arc<dyn Peer>,
        options: &PushOptions,
    ) -> Result<Job<Pushed>> {
        let volume = self.owned(HANDOFF, name)?;
        if peer.node() == self.id() {
            let reason = "the peer is this node itself";
            return Err(Error::new(ErrorKind::Invalid, HANDOFF, reason).with_target(name.as_str()));
        }
        let (node, peer, options) = (self.clone(), Arc::clone(peer), options.clone());
        Job::start(HANDOFF, move |control| {
            let _alone = node.alone(HANDOFF, &volume.name, volume.ownership.id)?;
            // Whoever had it until now may have handed it over.
            let volume = node.owned(HANDOFF, &volume.name)?;
            let push = Push { node: &node, peer: &*peer, options: &options, control };
            node.hand_over(&volume, &push)
                .map_err(|error| error.with_operation(HANDOFF).with_target(volume.name.as_str()))
        })
    }

    /// Makes this node the owner of a volume of which it has a replica, because its owner is gone: what that had not pushed is not here.
    ///
    /// That the owner is gone is the caller's to know. If it comes back it is refused by its peers, and [`Node::recover`] there keeps what it had
    /// written.
    ///
    /// What a push brought here keeps a bookmark: each replica to which the same was pushed is sent only what is new, whichever is first.
    ///
    /// Issues `ZFS_IOC_BOOKMARK` and `ZFS_IOC_SET_PROP`; on disk when it returns. What an interrupted push had brought of a further snapshot is thrown away before.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`].
    /// - [`ErrorKind::Invalid`]: this node owns it already.
    /// - [`ErrorKind::StreamTruncated`]: the first push of it never came to its end, so that there is nothing to take over.
    /// - [`ErrorKind::InProgress`]: it is being received.
    /// - As [`Zfs::bookmark`](crate::Zfs::bookmark) and [`Zfs::set_properties`](crate::Zfs::set_properties). A pool without room for a bookmark, or without the feature, goes without.
    pub fn takeover(&self, name: &VolumeName) -> Result<Ownership> {
        let told = |error: Error| error.with_operation(TAKEOVER).with_target(name.as_str());
        let volume = self.volume(TAKEOVER, name)?;
        let _alone = self.alone(TAKEOVER, name, volume.ownership.id)?;
        let volume = self.volume(TAKEOVER, name)?;
        if volume.ownership.owner == self.id() {
            let reason = format!("this node has it, and it is {}", volume.ownership.state);
            return Err(told(Error::new(ErrorKind::Invalid, TAKEOVER, reason)));
        }
        let snapshots = self.all_snapshots(&volume).map_err(told)?;
        if snapshots.is_empty() {
            let reason = "the first push of it never came to its end";
            return Err(told(Error::new(ErrorKind::StreamTruncated, TAKEOVER, reason)));
        }
        if volume.resume_token.is_some() {
            self.zfs().abort_receive(&volume.dataset).map_err(told)?;
        }
        self.bookmark_shared(&volume, &snapshots).map_err(told)?;
        let ownership = Ownership {
            owner: self.id(),
            epoch: volume.ownership.epoch.saturating_add(1),
            state: VolumeState::Owned,
            ..volume.ownership
        };
        let properties = owned_properties(&ownership, PropertySet::new()).map_err(told)?;
        self.zfs().set_properties(&volume.dataset, &properties).map_err(told)?;
        self.tell(&VolumeEvent::new(name, TakenOver));
        Ok(ownership)
    }

    /// Puts a volume right after a crash, a lost connection or a takeover: asks the peer what it knows, and does what follows from that. To do it
    /// again is harmless, and so is doing it without need.
    ///
    /// How long it waits for the peer, the peer's own options say; [`Node::recover_in_background`] can be cancelled.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: this node has no such volume.
    /// - [`ErrorKind::Invalid`]: it is being handed over to another node than that peer.
    /// - [`ErrorKind::Busy`]: another node had taken it over, and it is mounted here and in use.
    /// - What asking the peer fails with; the volume then stays as it is.
    pub fn recover(&self, name: &VolumeName, peer: &dyn Peer) -> Result<Recovered> {
        let told = |error: Error| error.with_operation(RECOVER).with_target(name.as_str());
        let volume = self.volume(RECOVER, name)?;
        let _alone = self.alone(RECOVER, name, volume.ownership.id)?;
        let volume = self.volume(RECOVER, name)?;
        if let VolumeState::Leaving { to, epoch } = volume.ownership.state {
            if to != peer.node() {
                let reason = format!("it is being handed over to the node {to}");
                return Err(told(Error::new(ErrorKind::Invalid, RECOVER, reason)));
            }
            return self.recover_leaving(&volume, peer, epoch).map_err(told);
        }
        self.sweep_clones(&volume).map_err(told)?;
        if volume.ownership.owner != self.id() {
            // No push makes a clone: the last step of stepping back is missing.
            if volume.origin.is_some() {
                self.zfs().promote(&volume.dataset).map_err(told)?;
            }
            // Of a takeover that was begun, or of a handoff from here. Those for the owner's other replicas are that's to take away.
            let over = [self.id(), volume.ownership.owner];
            self.forget_bookmarks_for(&volume.dataset, &over).map_err(told)?;
            return Ok(Recovered::Nothing);
        }
        let id = id_of(&volume);
        match peer.look(&id).map_err(told)? {
            // This node's own claim, of a time that it does not remember: its pool was taken back to before it.
            Some(there)
                if there.ownership.owner == self.id()
                    && there.ownership.epoch > volume.ownership.epoch =>
            {
                self.take_back(&volume, there.ownership.epoch).map_err(told)?;
                Ok(Recovered::TakenBack)
            }
            Some(there) if there.ownership.outranks(&volume.ownership) => {
                let set_aside = self.step_back(&volume, &there).map_err(told)?;
                Ok(Recovered::Superseded { set_aside })
            }
            _ => Ok(Recovered::Nothing),
        }
    }

    /// The same in the background. Cancelling it ends the wait for the peer, within a second; once that has answered, what follows is done to its end.
    ///
    /// # Errors
    /// At once: no thread can be started. From [`Job::wait`]: as [`Node::recover`], and [`ErrorKind::Cancelled`], after which the volume is as it was, or as
    /// another recovery finds it.
    pub fn recover_in_background(
        &self,
        name: &VolumeName,
        peer: &Arc<dyn Peer>,
    ) -> Result<Job<Recovered>> {
        let (node, name, peer) = (self.clone(), name.clone(), Arc::clone(peer));
        Job::start(RECOVER, move |control| {
            let told = |error: Error| error.with_target(name.as_str());
            control.enter(RECOVER, Phase::Comparing).map_err(told)?;
            let within = peer.within(control);
            node.recover(&name, within.as_deref().unwrap_or(&*peer))
        })
    }

    fn hand_over(&self, volume: &VolumeInfo, push: &Push<'_>) -> Result<Pushed> {
        // Most of it while the volume is still in use.
        let first = push.run(self.synced(HANDOFF, &volume.name)?)?;
        self.zfs().unmount(&volume.dataset, UnmountFlags::empty())?;
        let to = push.peer.node();
        let epoch = volume.ownership.epoch.saturating_add(1);
        self.leave(volume, to, epoch)?;
        let rest = self.synced(HANDOFF, &volume.name).and_then(|now| {
            let rest = push.run(now)?;
            push.control.enter(HANDOFF, Phase::Settling)?;
            Ok(rest)
        });
        let rest = match rest {
            Ok(rest) => rest,
            Err(error) => {
                // Nothing was offered yet.
                self.take_back(volume, volume.ownership.epoch)?;
                return Err(error);
            }
        };
        self.offer(volume, push.peer, epoch, &rest)?;
        let sent = [first.sent, rest.sent].concat();
        Ok(Pushed { sent, ..rest })
    }

    /// From here on nothing can be written: both in one transaction group.
    fn leave(&self, volume: &VolumeInfo, to: Uuid, epoch: u64) -> Result<()> {
        let state = VolumeState::Leaving { to, epoch };
        let leaving = Ownership { state, ..volume.ownership.clone() };
        let properties = leaving.write(PropertySet::new())?.with("readonly", true)?;
        self.zfs().set_properties(&volume.dataset, &properties)
    }

    fn offer(
        &self,
        volume: &VolumeInfo,
        peer: &dyn Peer,
        epoch: u64,
        pushed: &Pushed,
    ) -> Result<()> {
        let offer =
            Offer { volume: id_of(volume), from: self.id(), epoch, snapshot: pushed.snapshot };
        let Err(error) = peer.accept(&offer) else {
            return self.become_replica(volume, peer.node(), epoch);
        };
        // It may have been accepted all the same: only the peer knows.
        match peer.settle(&offer) {
            Ok(Settled::Accepted) => self.handed_over(volume, peer).map(drop),
            Ok(Settled::Refused) => {
                self.take_back(volume, epoch)?;
                Err(error)
            }
            Err(_) => Err(error.with_help("it is read-only until it is recovered")),
        }
    }

    fn recover_leaving(
        &self,
        volume: &VolumeInfo,
        peer: &dyn Peer,
        epoch: u64,
    ) -> Result<Recovered> {
        let newest = self.all_snapshots(volume)?.pop().map(|snapshot| snapshot.guid);
        let offer = Offer {
            volume: id_of(volume),
            from: self.id(),
            epoch,
            snapshot: newest.unwrap_or_default(),
        };
        match peer.settle(&offer)? {
            Settled::Accepted => self.handed_over(volume, peer),
            Settled::Refused => {
                self.take_back(volume, epoch)?;
                Ok(Recovered::TakenBack)
            }
        }
    }

    /// The peer owns what this node was handing over to it. Mostly because it accepted, and then it has everything. If it took the volume over before
    /// the last of it was pushed, what only this node has becomes a volume of its own.
    fn handed_over(&self, volume: &VolumeInfo, peer: &dyn Peer) -> Result<Recovered> {
        let there = peer.look(&id_of(volume))?.ok_or_else(|| {
            let reason = "the peer owned it a moment ago, and does not have it any more";
            Error::new(ErrorKind::NotFound, RECOVER, reason).with_help("recover it again")
        })?;
        Ok(match self.step_back(volume, &there)? {
            None => Recovered::HandedOver,
            set_aside => Recovered::Superseded { set_aside },
        })
    }

    pub(super) fn become_replica(
        &self,
        volume: &VolumeInfo,
        owner: Uuid,
        epoch: u64,
    ) -> Result<()> {
        let id = volume.ownership.id;
        let replica = Ownership { id, owner, epoch, state: VolumeState::Replica };
        let properties = replica.write(PropertySet::new())?.with("readonly", true)?;
        self.zfs().set_properties(&volume.dataset, &properties)?;
        self.tell(&VolumeEvent::new(&volume.name, HandedOver { to: owner }));
        self.forget_bookmarks(&volume.dataset)
    }

    /// This node owns it as before. The epoch is the one that was offered: the peer will not accept it any more.
    fn take_back(&self, volume: &VolumeInfo, epoch: u64) -> Result<()> {
        let owned = Ownership {
            owner: self.id(),
            epoch,
            state: VolumeState::Owned,
            ..volume.ownership.clone()
        };
        self.zfs().set_properties(&volume.dataset, &owned_properties(&owned, PropertySet::new())?)
    }
}

fn id_of(volume: &VolumeInfo) -> VolumeId {
    VolumeId { id: volume.ownership.id, name: volume.name.clone() }
}
