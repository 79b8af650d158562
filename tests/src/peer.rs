//! Peers of nodes under test, in the process or at the other end of connections.

use std::sync::Arc;
use std::thread;

use zfsvol_core::Bytes;
use zfsvol_core::volume::peer::{AllowAll, Policy, RemoteOptions, ServeOptions, Transport};
use zfsvol_core::volume::{LocalPeer, Node, Peer, RemotePeer, Uuid};

use crate::{Peers, World};

impl World {
    /// A node as the peer of the node `me`, of the kind that the case has.
    pub(crate) fn peer(&self, me: Uuid, node: &Node) -> Arc<dyn Peer> {
        match self.peers() {
            Peers::Local => Arc::new(LocalPeer::new(node.clone())),
            Peers::Remote => {
                // What was on its way when a push is cut off is lost: little, however slow the machine is.
                let options = ServeOptions::new().window(Bytes::from_kib(256));
                remote(me, node, AllowAll, &options, |near| near)
            }
        }
    }
}

/// A node at the other end of connections, each of which `change` may change.
pub(crate) fn remote(
    me: Uuid,
    node: &Node,
    policy: impl Policy + Clone + 'static,
    options: &ServeOptions,
    change: impl Fn(Transport) -> Transport + Send + Sync + 'static,
) -> Arc<dyn Peer> {
    let (node, options) = (node.clone(), options.clone());
    let connect = move || {
        let (near, far) = Transport::pair()?;
        let (node, policy, options) = (node.clone(), policy.clone(), options.clone());
        // It ends with the connection; what it ended with is what the case is about, or nothing.
        thread::spawn(move || node.serve(far, &policy, &options));
        Ok(change(near))
    };
    Arc::new(RemotePeer::connect(me, &RemoteOptions::new(), connect).expect("connected"))
}
