//! [`Frames`]: connections between the two nodes as they are in earnest, which end at any frame, and a process with them.

use std::io::{self, Read};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use zfsvol_core::Error;
use zfsvol_core::volume::peer::{
    AllowAll, Compared, Direction, Incoming, Offer, Pass, PeerVolume, RemoteOptions, ServeOptions,
    Settled, Transport, VolumeId,
};
use zfsvol_core::volume::{Control, Node, Peer, RemotePeer, Uuid};

use super::mortal::Life;
use super::stage::Side;

/// A frame, and what happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AtFrame {
    /// Who sends or receives it.
    pub(super) side: Side,
    pub(super) direction: Direction,
    /// Which of those; the first is 1.
    pub(super) nth: u64,
    /// Once it was sent, or has come; else it is lost.
    pub(super) after: bool,
    /// The process of that side dies; else only the connection is lost.
    pub(super) dies: bool,
}

/// All connections of a run. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    traffic: Arc<Traffic>,
    /// Each node as the other has connected to it.
    peers: Arc<Mutex<[Option<Arc<RemotePeer>>; 2]>>,
}

/// What goes through them, and who answers.
#[derive(Debug, Default)]
struct Traffic {
    armed: Mutex<Armed>,
    servers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Armed {
    point: Option<AtFrame>,
    /// Of each side, what it sent and what it received.
    seen: [[u64; 2]; 2],
    is_past: bool,
}

impl Frames {
    /// Counts frames from now on, and has something happen at one of them if that is given.
    pub(super) fn arm(&self, point: Option<AtFrame>) {
        *lock(&self.traffic.armed) = Armed { point, ..Armed::default() };
    }

    /// How many there were since it was armed, by side, sent and received.
    pub(super) fn seen(&self) -> [[u64; 2]; 2] {
        lock(&self.traffic.armed).seen
    }

    /// Whether what was to happen did.
    pub(super) fn is_past(&self) -> bool {
        lock(&self.traffic.armed).is_past
    }

    /// Ends every connection, and waits until nothing is being answered any more.
    pub(super) fn hang_up(&self) {
        *lock(&self.peers) = [None, None];
        loop {
            let servers = std::mem::take(&mut *lock(&self.traffic.servers));
            if servers.is_empty() {
                return;
            }
            for server in servers {
                if let Err(panic) = server.join()
                    && !thread::panicking()
                {
                    resume_unwind(panic);
                }
            }
        }
    }
}

/// One end: a process, as long as it lives.
#[derive(Clone, Debug)]
struct End {
    side: Side,
    life: Life,
}

impl Traffic {
    /// Of a dead process nothing goes out, and nothing comes in.
    fn see(&self, end: &End, direction: Direction) -> Pass {
        if end.life.is_over() {
            return Pass::Cut;
        }
        let mut armed = lock(&self.armed);
        let Armed { point, seen, is_past } = &mut *armed;
        let nth = &mut seen[end.side as usize][direction as usize];
        *nth += 1;
        let is_here = |at: &AtFrame| (at.side, at.direction, at.nth) == (end.side, direction, *nth);
        let Some(at) = point.filter(is_here) else { return Pass::Go };
        *is_past = true;
        if at.dies {
            end.life.end();
        }
        if at.after { Pass::CutAfter } else { Pass::Cut }
    }

    fn watch(self: &Arc<Self>, end: &End, transport: Transport) -> Transport {
        let (this, end) = (Arc::clone(self), end.clone());
        transport.watch_frames(move |seen| this.see(&end, seen.direction))
    }

    /// A new connection, with somebody who answers at its other end.
    fn connect(self: &Arc<Self>, caller: &End, callee: &End, node: &Node) -> io::Result<Transport> {
        if caller.life.is_over() || callee.life.is_over() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = Transport::pair()?;
        let (near, far) = (self.watch(caller, near), self.watch(callee, far));
        let node = node.clone();
        // What it ended with does not matter: what is on disk does.
        let server = thread::spawn(move || {
            let _ended = node.serve(far, &AllowAll, &ServeOptions::new());
        });
        lock(&self.servers).push(server);
        Ok(near)
    }
}

/// A node as the other one sees it, at the other end of connections that are made when they are needed.
#[derive(Debug)]
pub(super) struct Line {
    frames: Frames,
    caller: End,
    callee: End,
    node: Node,
}

impl Line {
    /// To the node of a side, from the other one.
    pub(super) fn new(frames: &Frames, side: Side, lives: &[Life; 2], node: &Node) -> Self {
        let end = |side: Side| End { side, life: lives[side as usize].clone() };
        Self {
            frames: frames.clone(),
            caller: end(side.other()),
            callee: end(side),
            node: node.clone(),
        }
    }

    fn peer(&self) -> Result<Arc<RemotePeer>, Error> {
        let mut peers = lock(&self.frames.peers);
        let known = &mut peers[self.callee.side as usize];
        if let Some(peer) = known {
            return Ok(Arc::clone(peer));
        }
        let traffic = Arc::clone(&self.frames.traffic);
        let (caller, callee, node) = (self.caller.clone(), self.callee.clone(), self.node.clone());
        let connect = move || traffic.connect(&caller, &callee, &node);
        let peer = RemotePeer::connect(self.caller.side.id(), &RemoteOptions::new(), connect)?;
        Ok(Arc::clone(known.insert(Arc::new(peer))))
    }
}

impl Peer for Line {
    fn node(&self) -> Uuid {
        self.node.id()
    }

    fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>, Error> {
        self.peer()?.look(volume)
    }

    fn compare(&self, pushed: &Incoming) -> Result<Compared, Error> {
        self.peer()?.compare(pushed)
    }

    fn receive(
        &self,
        incoming: &Incoming,
        stream: &mut dyn Read,
        control: &Control,
    ) -> Result<(), Error> {
        self.peer()?.receive(incoming, stream, control)
    }

    fn abort_receive(&self, volume: &VolumeId) -> Result<(), Error> {
        self.peer()?.abort_receive(volume)
    }

    fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<(), Error> {
        self.peer()?.finish(pushed, from)
    }

    fn accept(&self, offer: &Offer) -> Result<(), Error> {
        self.peer()?.accept(offer)
    }

    fn settle(&self, offer: &Offer) -> Result<Settled, Error> {
        self.peer()?.settle(offer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
