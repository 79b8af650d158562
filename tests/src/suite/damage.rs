//! Streams that are damaged on their way from one node to another: what the other has stays what it was, and the next push brings what is missing. The area `wire` runs all of it over connections.

use std::io::Read;
use std::sync::{Arc, Mutex};

use zfsvol_core::volume::peer::{Incoming, Offer, PeerVolume, Settled, VolumeId};
use zfsvol_core::volume::{Control, Node, Peer, Uuid, VolumeInfo, VolumeName};
use zfsvol_core::{Error, ErrorKind};

use super::push::{MIB, Two, all_snapshots, disk, push, read, two, write};
use crate::expect::refused;
use crate::volume::noise;
use crate::{Case, Peers, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(an_increment_that_is_damaged_changes_nothing),
        case(a_first_push_that_is_damaged_is_in_nobody_s_way),
        case(what_is_damaged_once_is_sent_again),
    ]
}

/// What happens to a stream.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// A bit is another, so far from the beginning, in bytes.
    Flip(usize),
    /// It ends there, as if that were all of it.
    Cut(usize),
    /// It is as long, and something else.
    Garbage,
}

impl Damage {
    /// Of a stream that goes on where another ended, and is shorter, at its end.
    fn apply(self, stream: &mut Vec<u8>) {
        let last = stream.len() - 1;
        match self {
            Self::Flip(at) => stream[at.min(last)] ^= 0x10,
            Self::Cut(at) => stream.truncate(at.min(last)),
            Self::Garbage => *stream = noise(9, stream.len()),
        }
    }
}

/// What can happen to a stream of that length: at each record of its beginning and of its end, and here and there between them. Over connections, where each takes longer, a part of it.
fn damages(world: &World, length: usize) -> impl Iterator<Item = Damage> {
    /// Of a record, without what follows it.
    const RECORD: usize = 312;
    let ends = (0..2 * RECORD).step_by(104).flat_map(move |at| [at, length - 1 - at]);
    let between = (1..8).map(move |n| length / 8 * n);
    let flips = ends.chain(between).map(Damage::Flip);
    let cuts = [0, 1, RECORD, length / 3, length - RECORD, length - 1].map(Damage::Cut);
    let every = if world.peers() == Peers::Local { 1 } else { 3 };
    [Damage::Garbage].into_iter().chain(cuts).chain(flips).step_by(every)
}

/// A connection to a peer over which so many streams are damaged.
#[derive(Debug)]
struct Damaging {
    inner: Arc<dyn Peer>,
    damage: Option<Damage>,
    left: Mutex<usize>,
    /// How long the last of the streams was.
    length: Mutex<usize>,
}

impl Damaging {
    fn new(peer: &Arc<dyn Peer>, damage: Option<Damage>, streams: usize) -> Arc<Self> {
        let (inner, left) = (Arc::clone(peer), Mutex::new(streams));
        Arc::new(Self { inner, damage, left, length: Mutex::default() })
    }

    /// One over which nothing whole ever comes.
    fn always(peer: &Arc<dyn Peer>, damage: Damage) -> Arc<dyn Peer> {
        Self::new(peer, Some(damage), usize::MAX)
    }

    fn length(&self) -> usize {
        *self.length.lock().expect("not poisoned")
    }
}

impl Peer for Damaging {
    fn node(&self) -> Uuid {
        self.inner.node()
    }

    fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>, Error> {
        self.inner.look(volume)
    }

    fn receive(
        &self,
        incoming: &Incoming,
        stream: &mut dyn Read,
        control: &Control,
    ) -> Result<(), Error> {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("read");
        *self.length.lock().expect("not poisoned") = all.len();
        {
            let mut left = self.left.lock().expect("not poisoned");
            if let Some(damage) = self.damage.filter(|_| *left > 0) {
                *left -= 1;
                damage.apply(&mut all);
            }
        }
        self.inner.receive(incoming, &mut all.as_slice(), control)
    }

    fn abort_receive(&self, volume: &VolumeId) -> Result<(), Error> {
        self.inner.abort_receive(volume)
    }

    fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<(), Error> {
        self.inner.finish(pushed, from)
    }

    fn accept(&self, offer: &Offer) -> Result<(), Error> {
        self.inner.accept(offer)
    }

    fn settle(&self, offer: &Offer) -> Result<Settled, Error> {
        self.inner.settle(offer)
    }
}

/// How much of a volume is looked at.
const LOOKED_AT: usize = MIB;

/// All that a copy is, but for what came of a further snapshot.
fn copy(node: &Node, volume: &VolumeName) -> (VolumeInfo, Vec<String>, Vec<u8>) {
    let mut info = node.get(volume).expect("looked at").expect("there");
    info.resume_token = None;
    info.used = info.referenced;
    info.available = info.referenced;
    (info, all_snapshots(node, volume), read(node, volume, 0, LOOKED_AT))
}

/// A write to all that is looked at, which nothing before had.
fn write_anew(two: &Two, volume: &VolumeName, round: usize) {
    write(&two.here, volume, 0, &noise(100 + round as u64, LOOKED_AT));
}

fn an_increment_that_is_damaged_changes_nothing(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write_anew(&two, &volume, 0);
    push(&two.here, &volume, &two.to_there).expect("pushed");
    write_anew(&two, &volume, 1);
    let seen = Damaging::new(&two.to_there, None, 0);
    let whole: Arc<dyn Peer> = Arc::clone(&seen) as _;
    push(&two.here, &volume, &whole).expect("pushed");

    for (round, damage) in damages(world, seen.length()).enumerate() {
        write_anew(&two, &volume, 2 + round);
        let before = copy(&two.there, &volume);
        let pushed = push(&two.here, &volume, &Damaging::always(&two.to_there, damage));
        let error = pushed.expect_err(&format!("{damage:?}"));
        let expected = match damage {
            Damage::Cut(_) => ErrorKind::StreamTruncated,
            _ => ErrorKind::StreamDamaged,
        };
        assert_eq!(error.kind(), expected, "{damage:?}: {error}");
        assert!(copy(&two.there, &volume) == before, "{damage:?}: {error}");
        // What came of it whole is gone on from, or not; it comes to the same.
        push(&two.here, &volume, &two.to_there).expect("pushed");
        assert!(copy(&two.there, &volume).2 == copy(&two.here, &volume).2, "{damage:?}");
    }
    let (here, there) = (all_snapshots(&two.here, &volume), all_snapshots(&two.there, &volume));
    assert_eq!((here.len(), &here), (1, &there));
}

fn a_first_push_that_is_damaged_is_in_nobody_s_way(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write_anew(&two, &volume, 0);
    let seen = Damaging::new(&two.to_there, None, 0);
    let whole: Arc<dyn Peer> = Arc::clone(&seen) as _;
    push(&two.here, &volume, &whole).expect("pushed");
    for damage in damages(world, seen.length()) {
        assert!(two.there.destroy_replica(&volume).expect("destroyed"));
        let pushed = push(&two.here, &volume, &Damaging::always(&two.to_there, damage));
        pushed.expect_err(&format!("{damage:?}"));
        // There is nothing that somebody could take for the volume.
        match two.there.get(&volume).expect("looked at") {
            None => refused(two.there.takeover(&volume), ErrorKind::NotFound),
            Some(_) => refused(two.there.takeover(&volume), ErrorKind::StreamTruncated),
        };
        push(&two.here, &volume, &two.to_there).expect("pushed");
        assert!(copy(&two.there, &volume).2 == copy(&two.here, &volume).2, "{damage:?}");
    }
}

fn what_is_damaged_once_is_sent_again(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write_anew(&two, &volume, 0);
    push(&two.here, &volume, &two.to_there).expect("pushed");
    write_anew(&two, &volume, 1);
    // So much has come whole before that it is kept, and gone on from.
    let damage = Some(Damage::Flip(MIB / 2 + 7));
    let once: Arc<dyn Peer> = Damaging::new(&two.to_there, damage, 1);
    let pushed = push(&two.here, &volume, &once).expect("pushed");
    assert_eq!(pushed.sent.len(), 1, "{pushed:?}");
    assert!(copy(&two.there, &volume).2 == copy(&two.here, &volume).2);
}
