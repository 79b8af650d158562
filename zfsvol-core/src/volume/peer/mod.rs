//! [`Peer`]: another node, as this one sees it, in this process or at the other end of a connection.
//!
//! | | |
//! |---|---|
//! | [`LocalPeer`] | a node in this process |
//! | [`RemotePeer`] | a node at the other end of two byte streams: a socket, TLS, the standard input and output of `ssh` |
//! | [`Node::serve`](super::Node::serve) | that other end, with a [`Policy`] that is asked who may do what |
//!
//! What goes over the streams is described in `docs/peer-protocol.md`, precisely enough to write another implementation. Who may connect is the
//! transport's to know; zfsvol opens no socket and runs no program. `examples/tls` and `examples/stdio` do, and are whole programs.
//!
//! ```
//! use std::sync::Arc;
//! use zfsvol_core::embedded::Embedded;
//! use zfsvol_core::volume::peer::{AllowAll, RemotePeer, ServeOptions, Transport};
//! use zfsvol_core::volume::{Node, Peer, PushOptions, Uuid, VolumeSpec};
//! use zfsvol_core::{Bytes, Zfs};
//!
//! let zfs = Zfs::new(Embedded::builder().pool("tank", Bytes::from_gib(1)).build());
//! let here = Node::open(zfs.clone(), "tank/here".parse()?, Uuid::from_u128(1))?;
//! let there = Node::open(zfs, "tank/there".parse()?, Uuid::from_u128(2))?;
//!
//! // Any two byte streams do; these are a pair of sockets.
//! let (near, far) = Transport::pair()?;
//! let server = {
//!     let there = there.clone();
//!     std::thread::spawn(move || there.serve(far, &AllowAll, &ServeOptions::new()))
//! };
//! let peer: Arc<dyn Peer> = Arc::new(RemotePeer::over(here.id(), near)?);
//!
//! let volume = "shop:db".parse()?;
//! here.create(&volume, &VolumeSpec::block(Bytes::from_mib(16)).sparse())?;
//! here.push(&volume, &peer, &PushOptions::new())?.wait()?;
//! assert!(there.get(&volume)?.is_some());
//!
//! drop(peer);
//! server.join().expect("no panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(test)]
mod documented;
mod failure;
pub mod frame;
mod link;
mod local;
mod message;
mod policy;
mod remote;
mod server;
mod session;
#[cfg(test)]
mod tests;
mod transport;

use std::fmt;
use std::io::Read;

use uuid::Uuid;

pub use frame::FrameKind;
pub use local::LocalPeer;
pub use policy::{Action, AllowAll, Caller, KnownNodes, Policy, ReadOnly, Replicas, Verdict};
pub use remote::{RemoteOptions, RemotePeer};
pub use server::{ServeOptions, Served};
pub use transport::{Direction, FrameSeen, Pass, Transport};

use super::{Control, Ownership, VolumeName};
use crate::error::Result;
use crate::property::PropertySet;
use crate::units::{Guid, Txg};

/// Another node: what a push or handoff asks of it.
///
/// [`LocalPeer`] is one in this process, [`RemotePeer`] one elsewhere. Every method may be called again after it failed, or after its answer was lost: what was done already is
/// not done twice.
pub trait Peer: fmt::Debug + Send + Sync {
    /// The node's UUID.
    fn node(&self) -> Uuid;

    /// The same peer for a job: what that waits for ends when it is cancelled, but for [`Self::accept`], of which it must be known what became. `None` for a peer that has nothing to wait for.
    fn within<'a>(&'a self, job: &'a Control) -> Option<Box<dyn Peer + 'a>> {
        let _ = job;
        None
    }

    /// What it has of a volume. `None` when it has nothing, and the name is free there.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`](crate::ErrorKind::Exists): the name is that of another volume there, or of a dataset that is none.
    fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>>;

    /// What it has of a volume of which that was pushed last, by the node that owns it: just that, or something else. A peer that cannot compare looks.
    ///
    /// # Errors
    /// As [`Self::look`].
    fn compare(&self, pushed: &Incoming) -> Result<Compared> {
        self.look(&pushed.volume).map(Compared::Other)
    }

    /// Receives a stream, from its first byte to its end. What came of one that breaks off is kept, for a token to go on from.
    ///
    /// Where the copy is to be [taken back](Incoming::back_to), the snapshots of pushes that it has after that one go when all of the stream is there; others are not destroyed, nor is what was written behind our
    /// back.
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
    /// begins from it; those that earlier ones began from are let go, and leave bookmarks where [another replica](Incoming::others) may have them.
    ///
    /// This may come late, when the snapshot is not the newest any more, or another push has begun to bring a newer one, or has ended since its [ticket](Incoming::ticket) was given. Then it changes
    /// nothing.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`](crate::ErrorKind::NotFound): it does not have the snapshot.
    /// - [`ErrorKind::DestinationModified`](crate::ErrorKind::DestinationModified): another has come since, or another push has ended.
    /// - As [`Self::receive`].
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
    /// What a [`Peer::finish`] that follows from this is to say. It is another once a push has ended. `None` from a peer that does not tell pushes apart.
    pub ticket: Option<u64>,
}

/// What a peer has of a volume, beside what was pushed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Just that: that snapshot is the newest and held, the owner, epoch and properties are those, nothing is half received; a [`Peer::finish`] would change nothing.
    Same,
    /// What [`Peer::look`] says.
    Other(Option<PeerVolume>),
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
    /// The GUID of the snapshot that the stream begins from, if the copy is to be taken back to it: the owner was, and what pushes brought since is not to be there any more.
    pub back_to: Option<Guid>,
    /// What the owner's other replicas may have, when a push is over. The peer keeps bookmarks of it: should it come to own the volume, it sends them only what is new.
    pub others: Vec<OtherBase>,
    /// The [ticket](PeerVolume::ticket) of the look that said that nothing is missing any more, when a push is over. `None` has it ended though another push may have ended since.
    pub ticket: Option<u64>,
}

/// A snapshot that another replica may have, and the next push to it begins from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherBase {
    /// The node of that replica.
    pub node: Uuid,
    /// The snapshot's GUID.
    pub guid: Guid,
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
