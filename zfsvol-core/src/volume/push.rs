//! Push: bring another node's copy of a volume up to date.

mod course;
mod outbound;
mod step;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;

use super::info::Present;
use super::job::{Control, Job};
use super::node::no_such_volume;
use super::peer::Peer;
use super::{Bandwidth, Node, VolumeEvent, VolumeEventKind, VolumeInfo, VolumeName};
use crate::error::{Error, Result};
use crate::stream::SendFlags;
use crate::units::{Bytes, Guid};

pub(super) use outbound::{goes_with_a_push, pushed_properties};

pub(super) const PUSH: &str = "push the volume";

/// What to do about a copy that cannot be brought up to date: this node cannot know which of the two is the one to keep.
pub(super) const INSTEAD: &str = "take it over there if it is the newer one, and go on with it; if not, destroy the replica there, and push again";

/// How to push.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    bandwidth: Option<Bandwidth>,
}

impl PushOptions {
    /// As fast as it goes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No faster than this, together with all other pushes that have the same limit.
    #[must_use]
    pub fn bandwidth(mut self, limit: &Bandwidth) -> Self {
        self.bandwidth = Some(limit.clone());
        self
    }
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pushed {
    /// The snapshot that both sides have now, and the next push begins from.
    pub snapshot: Guid,
    /// The snapshots that were sent, from oldest to newest. Empty when the peer had everything.
    #[serde(with = "crate::nvlist::string_array")]
    pub sent: Vec<String>,
    /// Bytes of the streams that were sent.
    pub bytes: Bytes,
}

impl Node {
    /// Brings the peer's copy of a volume up to date, in the background: with every snapshot that the volume has and the peer has not, since the newest that both have,
    /// and with what was written after the last of them. The first push sends everything.
    ///
    /// What both have is found by GUID, whatever it is called, among this node's snapshots and the bookmarks of those that are gone. An
    /// interrupted push goes on where it stopped. Encrypted volumes are sent as they are on disk; the peer needs no key.
    ///
    /// When nothing has changed since the last push, that is all it finds out: by `ZFS_IOC_POOL_SYNC`, `ZFS_IOC_OBJSET_STATS` twice and `ZFS_IOC_GET_BOOKMARKS` here, and one question to the
    /// peer, who finds the answer by `ZFS_IOC_OBJSET_STATS` twice.
    ///
    /// It takes a snapshot for the purpose when anything was written. Both sides hold the newest one that they have in common (tag
    /// `zfsvol:push:` and the other node's UUID) and destroy those before it.
    ///
    /// # Errors
    /// At once: no thread can be started. From [`Job::wait`]:
    /// - [`ErrorKind::NotFound`](crate::ErrorKind::NotFound), [`ErrorKind::NotOwner`](crate::ErrorKind::NotOwner): also when the peer says that it owns the volume, or knows of a later owner.
    /// - [`ErrorKind::Exists`](crate::ErrorKind::Exists): the peer has something else of that name.
    /// - [`ErrorKind::DestinationModified`](crate::ErrorKind::DestinationModified): the peer's copy was written to behind its back, or has snapshots that this node does not know.
    ///   [`ErrorKind::BaseMissing`](crate::ErrorKind::BaseMissing): the two have nothing in common any more. Take the copy over there: it may be the newer one. If not, destroy it ([`Node::destroy_replica`]), and push again.
    /// - [`ErrorKind::InProgress`](crate::ErrorKind::InProgress): the volume is being pushed or handed over already.
    /// - [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled); as [`Zfs::send`](crate::Zfs::send) and [`Zfs::receive`](crate::Zfs::receive).
    pub fn push(
        &self,
        name: &VolumeName,
        peer: &Arc<dyn Peer>,
        options: &PushOptions,
    ) -> Result<Job<Pushed>> {
        let (node, name) = (self.clone(), name.clone());
        let (peer, options) = (Arc::clone(peer), options.clone());
        Job::start(PUSH, move |control| {
            let moment = node.moment();
            let mut now = node.synced(PUSH, &name)?;
            node.check_owned(PUSH, &now.info)?;
            let id = now.info.ownership.id;
            let _alone = node.alone(PUSH, &name, id)?;
            if node.was_moved_since(moment, id) {
                now = node.synced(PUSH, &name)?;
                node.check_owned(PUSH, &now.info)?;
            }
            let pushed = Push { node: &node, peer: &*peer, options: &options, control }.run(now)?;
            node.tell(&VolumeEvent::new(&name, VolumeEventKind::Pushed { to: peer.node() }));
            Ok(pushed)
        })
    }
}

impl Node {
    /// A volume as it is now, with all that was written to it until now: that is known to the kernel's statistics once its transaction group is synced.
    pub(super) fn synced(&self, operation: &'static str, name: &VolumeName) -> Result<Present> {
        let told = |error: Error| error.with_operation(operation).with_target(name.as_str());
        self.zfs().sync_pool(&self.root().pool(), false).map_err(told)?;
        let found = self.present(name).map_err(|error| error.with_operation(operation))?;
        found.ok_or_else(|| no_such_volume(operation, name))
    }

    /// How a volume is sent: as it is on disk, so that nothing is decompressed to be compressed again, and blocks keep their size.
    pub(super) fn send_flags(&self, volume: &VolumeInfo) -> Result<SendFlags> {
        let encryption = self.zfs().property(&volume.dataset, "encryption")?;
        let is_plain = encryption.is_none_or(|one| one.value.as_str() == Some("off"));
        let as_stored = SendFlags::COMPRESS | SendFlags::LARGE_BLOCK | SendFlags::EMBED;
        Ok(if is_plain { as_stored } else { SendFlags::RAW })
    }
}

/// One push, by whoever has the volume to himself.
#[derive(Clone, Copy)]
pub(super) struct Push<'a> {
    pub(super) node: &'a Node,
    pub(super) peer: &'a dyn Peer,
    pub(super) options: &'a PushOptions,
    pub(super) control: &'a Control,
}
