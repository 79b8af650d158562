//! [`Peer`]: another node, as this one sees it.

use std::fmt;
use std::io::Read;

use uuid::Uuid;

use super::{Control, Node, Ownership, VolumeName};
use crate::error::Result;
use crate::property::PropertySet;
use crate::units::{Guid, Txg};

/// Another node: what a push or handoff asks of it.
///
/// [`LocalPeer`] is one in this process. Every method may be called again after it failed, or after its answer was lost: what was done already is
/// not done twice.
pub trait Peer: fmt::Debug + Send + Sync {
    /// The node's UUID.
    fn node(&self) -> Uuid;

    /// What it has of a volume. `None` when it has nothing, and the name is free there.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists): the name is that of another volume there, or of a dataset that is none.
    fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>>;

    /// Receives a stream, from its first byte to its end. What came of one that breaks off is kept, for a token to go on from.
    ///
    /// A long wait of its own is to be registered with [`Control::watch`], so that cancelling the job ends it.
    ///
    /// # Errors
    /// [`ErrorKind::NotOwner`](crate::ErrorKind::NotOwner): it owns the volume, or has seen a higher epoch. As
    /// [`Zfs::receive`](crate::Zfs::receive).
    fn receive(&self, incoming: &Incoming, stream: &mut dyn Read, control: &Control) -> Result<()>;

    /// Throws away what an interrupted receive saved. Without one it does nothing.
    ///
    /// # Errors
    /// As [`Zfs::abort_receive`](crate::Zfs::abort_receive).
    fn abort_receive(&self, volume: &VolumeId) -> Result<()>;

    /// Ends a push of the node `from`: the copy gets the properties that its owner gives it, and the snapshot that both have now is kept, because the next push
    /// begins from it; those that earlier ones began from are let go.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound): it does not have the snapshot. As [`Self::receive`].
    fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<()>;

    /// Takes the volume over from its owner, who has stopped writing to it.
    ///
    /// # Errors
    /// - [`ErrorKind::NotOwner`](crate::ErrorKind::NotOwner): it belongs to somebody else than who offers it, or the offer is an old one.
    /// - [`ErrorKind::DestinationModified`](crate::ErrorKind::DestinationModified): it does not have just what is handed over.
    fn accept(&self, offer: &Offer) -> Result<()>;

    /// Asks what became of an offer, and ends it: if it has not been accepted by now, it never will be.
    ///
    /// # Errors
    /// When it cannot be known. The volume then stays as it is.
    fn settle(&self, offer: &Offer) -> Result<Settled>;
}

/// Which volume: its UUID, and the name its owner gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeId {
    /// Its UUID, by which it is known whatever it is called.
    pub id: Uuid,
    /// What it is called.
    pub name: VolumeName,
}

/// What a peer has of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerVolume {
    /// Whose it is, as the peer knows.
    pub ownership: Ownership,
    /// Its snapshots, from oldest to newest.
    pub snapshots: Vec<PeerSnapshot>,
    /// Where to go on with an interrupted receive.
    pub resume_token: Option<String>,
}

/// A snapshot that a peer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSnapshot {
    /// Its name, without that of the volume.
    pub name: String,
    /// Its GUID: the same on every node.
    pub guid: Guid,
    /// The transaction group it was made in, on the peer.
    pub createtxg: Txg,
}

/// A snapshot that a peer receives, or has received.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Of which volume.
    pub volume: VolumeId,
    /// What the snapshot is called, without the volume's name.
    pub snapshot: String,
    /// Its GUID, which the peer checks.
    pub guid: Guid,
    /// Who owns the volume, and since when.
    pub owner: Uuid,
    /// The owner's epoch.
    pub epoch: u64,
    /// The properties set on the volume, which the replica gets too.
    pub properties: PropertySet,
}

/// A volume that is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which volume.
    pub volume: VolumeId,
    /// Who hands it over.
    pub from: Uuid,
    /// The epoch that it has with its new owner.
    pub epoch: u64,
    /// Its newest snapshot, since which nothing was written.
    pub snapshot: Guid,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The peer owns the volume.
    Accepted,
    /// The peer does not, and will not by that offer.
    Refused,
}

/// A node in this process, as the peer of another: two pools of one machine, and tests.
#[derive(Clone, Debug)]
pub struct LocalPeer(Node);

impl LocalPeer {
    /// That node.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self(node)
    }
}

impl Peer for LocalPeer {
    fn node(&self) -> Uuid {
        self.0.id()
    }

    fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>> {
        self.0.replica_look(volume)
    }

    fn receive(&self, incoming: &Incoming, stream: &mut dyn Read, control: &Control) -> Result<()> {
        self.0.replica_receive(incoming, stream, control)
    }

    fn abort_receive(&self, volume: &VolumeId) -> Result<()> {
        self.0.replica_abort_receive(volume)
    }

    fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<()> {
        self.0.replica_finish(pushed, from)
    }

    fn accept(&self, offer: &Offer) -> Result<()> {
        self.0.replica_accept(offer)
    }

    fn settle(&self, offer: &Offer) -> Result<Settled> {
        self.0.replica_settle(offer)
    }
}
