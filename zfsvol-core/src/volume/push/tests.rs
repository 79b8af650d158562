//! Pushes to peers that are not what they were when they were looked at, and by a clock that jumps.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::{PushOptions, Pushed};
use crate::embedded::Embedded;
use crate::error::{ErrorKind, Result};
use crate::units::Bytes;
use crate::volume::peer::{Incoming, Offer, Peer, PeerVolume, Settled, VolumeId};
use crate::volume::{Control, LocalPeer, Node, VolumeName, VolumeSpec};
use crate::zfs::Zfs;

/// A peer that is not any more, when a stream comes, what it was when it was looked at.
#[derive(Debug)]
struct Restless {
    inner: LocalPeer,
    /// What becomes of the streams, one after the other; later ones are received.
    streams: Mutex<Vec<Fate>>,
    /// The push that was finished last.
    finished: Mutex<Option<(Incoming, Uuid)>>,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It had been received already, over a connection that was lost.
    Late,
    /// It is said to be received, and is not.
    Forgotten,
    /// Half of it comes.
    Half,
    /// What had come of it until now is thrown away.
    Restarted,
    /// It is received, and then the word comes, over a connection that was lost, that the push before is over.
    Overtaken,
}

impl Peer for Restless {
    fn node(&self) -> Uuid {
        self.inner.node()
    }

    fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>> {
        self.inner.look(volume)
    }

    fn receive(&self, incoming: &Incoming, stream: &mut dyn Read, control: &Control) -> Result<()> {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        match self.streams.lock().unwrap().pop() {
            Some(Fate::Forgotten) => return Ok(()),
            Some(Fate::Late) => {
                self.inner.receive(incoming, &mut all.as_slice(), control).unwrap();
            }
            Some(Fate::Half) => all.truncate(all.len() / 2),
            Some(Fate::Restarted) => {
                self.inner.abort_receive(&incoming.volume).unwrap();
                assert_eq!(self.inner.look(&incoming.volume).unwrap(), None);
            }
            Some(Fate::Overtaken) => {
                self.inner.receive(incoming, &mut all.as_slice(), control).unwrap();
                let finished = self.finished.lock().unwrap();
                let (before, from) = finished.as_ref().unwrap();
                let now = self.inner.look(&incoming.volume).unwrap();
                let error = self.inner.finish(before, *from).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::DestinationModified);
                assert_eq!(self.inner.look(&incoming.volume).unwrap(), now);
                return Ok(());
            }
            None => {}
        }
        self.inner.receive(incoming, &mut all.as_slice(), control)
    }

    fn abort_receive(&self, volume: &VolumeId) -> Result<()> {
        self.inner.abort_receive(volume)
    }

    fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<()> {
        *self.finished.lock().unwrap() = Some((pushed.clone(), from));
        self.inner.finish(pushed, from)
    }

    fn accept(&self, offer: &Offer) -> Result<()> {
        self.inner.accept(offer)
    }

    fn settle(&self, offer: &Offer) -> Result<Settled> {
        self.inner.settle(offer)
    }
}

/// Two nodes, the first with an empty volume.
fn two() -> (Node, Node, VolumeName) {
    two_by(SystemTime::now)
}

/// The same where the time is that of this clock.
fn two_by(clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> (Node, Node, VolumeName) {
    let kernel = Embedded::builder().pool("tank", Bytes::from_gib(1)).clock(clock).build();
    let zfs = Zfs::new(kernel);
    let open = |root: &str, id| {
        Node::open(zfs.clone(), root.parse().unwrap(), Uuid::from_u128(id)).unwrap()
    };
    let (here, there) = (open("tank/here", 1), open("tank/there", 2));
    let name: VolumeName = "db".parse().unwrap();
    here.create(&name, &VolumeSpec::block(Bytes::from_mib(1)).sparse()).unwrap();
    (here, there, name)
}

fn restless(there: &Node, streams: Vec<Fate>) -> Arc<Restless> {
    let (inner, streams) = (LocalPeer::new(there.clone()), Mutex::new(streams));
    Arc::new(Restless { inner, streams, finished: Mutex::default() })
}

/// Pushes a volume of so many snapshots to a peer with which the streams have that fate. Says how many snapshots came there, too.
fn push(snapshots: usize, streams: Vec<Fate>) -> (Result<Pushed>, usize) {
    let (here, there, name) = two();
    for number in 0..snapshots {
        here.snapshot(&name, &format!("s{number}")).unwrap();
    }
    let peer: Arc<dyn Peer> = restless(&there, streams);
    let push = || here.push(&name, &peer, &PushOptions::new()).unwrap().wait();
    // Where half of a stream came, it is for the caller to push again.
    let pushed = push().or_else(|error| match error.kind() {
        ErrorKind::StreamTruncated => push(),
        _ => Err(error),
    });
    let came = there.get(&name).unwrap().map(|_| there.snapshots(&name).unwrap().len());
    (pushed, came.unwrap_or_default())
}

#[test]
fn what_came_between_the_look_and_the_stream_is_looked_at_again() {
    // The first of them creates the volume there; the others are increments, and more than may go wrong with one.
    let (pushed, came) = push(8, vec![Fate::Late; 8]);
    let pushed = pushed.unwrap();
    // What was sent in the end is only what the push itself took.
    assert_eq!((pushed.sent.len(), came), (1, 8), "{pushed:?}");
}

#[test]
fn what_was_not_kept_after_all_is_sent_from_its_beginning() {
    // The last is the fate of the first stream.
    let (pushed, came) = push(2, vec![Fate::Restarted, Fate::Half]);
    let sent = pushed.unwrap().sent;
    assert_eq!((sent.len(), came), (3, 2), "{sent:?}");
}

#[test]
fn what_the_peer_lost_is_sent_again() {
    let (pushed, came) = push(2, vec![Fate::Forgotten; 2]);
    let sent = pushed.unwrap().sent;
    assert_eq!((sent.len(), came), (3, 2), "{sent:?}");
    assert_eq!(sent[..2], ["s0", "s1"]);
}

#[test]
fn a_late_word_that_a_push_is_over_does_not_take_away_what_came_after_it() {
    let (here, there, name) = two();
    let restless = restless(&there, Vec::new());
    let peer: Arc<dyn Peer> = Arc::clone(&restless) as _;
    let push = || here.push(&name, &peer, &PushOptions::new()).unwrap().wait();
    push().unwrap();
    here.snapshot(&name, "s").unwrap();
    // That snapshot, and the one that the push takes.
    restless.streams.lock().unwrap().extend([Fate::Overtaken; 2]);
    let pushed = push().unwrap();
    assert_eq!(pushed.sent.len(), 2, "{pushed:?}");
    // Nothing is left of what was late.
    let theirs = there.get(&name).unwrap().unwrap();
    let theirs = there.all_snapshots(&theirs).unwrap();
    let held: Vec<_> = theirs.iter().map(|one| (one.guid, one.holds)).collect();
    assert_eq!((held.len(), held.last()), (2, Some(&(pushed.snapshot, 1))));
}

#[test]
fn a_peer_that_never_has_what_it_took_is_given_up() {
    let (pushed, came) = push(1, vec![Fate::Forgotten; 100]);
    let error = pushed.unwrap_err();
    assert_eq!((error.kind(), error.target(), came), (ErrorKind::Protocol, Some("db"), 0));
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    // From each look at it to the next: by decades, forth and back, as far as the beginning of time.
    let looks = AtomicUsize::new(0);
    let (here, there, name) = two_by(move || {
        let times = [1_700_000_000, 0, 4_000_000_000, 1, 1_600_000_000];
        let look = looks.fetch_add(1, Ordering::Relaxed);
        UNIX_EPOCH + Duration::from_secs(times[look % times.len()])
    });
    let nodes = [&here, &there];
    let peers = nodes.map(|node| -> Arc<dyn Peer> { Arc::new(LocalPeer::new(node.clone())) });
    let (mut taken, options) = (Vec::new(), PushOptions::new());
    for round in 0..4 {
        let (from, to) = (nodes[round % 2], nodes[(round + 1) % 2]);
        let peer = &peers[(round + 1) % 2];
        for number in 0..3 {
            taken.push(format!("s{round}-{number}"));
            from.snapshot(&name, &taken[taken.len() - 1]).unwrap();
            let pushed = from.push(&name, peer, &options).unwrap().wait().unwrap();
            assert_eq!(pushed.sent[..1], taken[taken.len() - 1..]);
        }
        let names = |node: &Node| {
            let snapshots = node.snapshots(&name).unwrap().into_iter();
            snapshots.map(|one| one.name).collect::<Vec<_>>()
        };
        assert_eq!((names(from), names(to)), (taken.clone(), taken.clone()));
        from.handoff(&name, peer, &options).unwrap().wait().unwrap();
    }
    assert_eq!(here.get(&name).unwrap().unwrap().ownership.epoch, 5);
}
