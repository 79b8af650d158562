//! [`LocalPeer`]: a node in this process.

use std::io::Read;

use uuid::Uuid;

use super::{Compared, Incoming, Offer, Peer, PeerVolume, Settled, VolumeId};
use crate::error::Result;
use crate::volume::{Control, Node};

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

    fn compare(&self, pushed: &Incoming) -> Result<Compared> {
        self.0.replica_compare(pushed)
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
