//! [`Stage`]: two nodes, each a process that can die, the connection between them, and what is known to have been written.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use zfsvol_core::kernel::Access;
use zfsvol_core::property::{DatasetTypes, PropertySet};
use zfsvol_core::volume::{Node, Ownership, Peer, Uuid, VolumeInfo, VolumeName, VolumeSpec};
use zfsvol_core::zfs::{Destroy, List, ReceiveOptions};
use zfsvol_core::{Bytes, DatasetName, Zfs};

use super::Point;
use super::frames::{Frames, Line};
use super::ground::Place;
use super::mortal::{Death, Life, Mortal};
use super::wire::{Link, Wire};

/// The volume that all is about.
pub(super) const VOLUME: &str = "db";
/// How long a block device may take to appear.
const DEVICE_WAIT: Duration = Duration::from_secs(60);
/// Each write goes to a block of its own.
const BLOCK: u64 = 16 << 10;
/// As many blocks as the volume has, so as many writes as a run may have.
const BLOCKS: u64 = 64;

/// One of the two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Here,
    There,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Here, Self::There];

    pub(super) fn other(self) -> Self {
        if self == Self::Here { Self::There } else { Self::Here }
    }

    pub(super) fn id(self) -> Uuid {
        Uuid::from_u128(if self == Self::Here { 0xa } else { 0xb })
    }
}

/// What the volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A block device. What is written to it are blocks.
    Disk,
    /// A file system that came from another machine. What is written to it are snapshots: whoever has one has what was there then.
    Files,
    /// The same, encrypted, its key nowhere loaded.
    Sealed,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Disk, Self::Files, Self::Sealed];
}

/// A copy of a volume, as it is found.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) side: Side,
    pub(super) info: VolumeInfo,
    pub(super) is_writable: bool,
    pub(super) writes: BTreeSet<u64>,
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { side, info, is_writable, writes } = self;
        let Ownership { owner, epoch, state, .. } = &info.ownership;
        let last = owner.as_u128();
        let writable = if *is_writable { "writable" } else { "read-only" };
        write!(f, "{side:?} '{}' of {last:x} in epoch {epoch}, {state}, {writable}, ", info.name)?;
        write!(f, "with {writes:?} and {} more", info.written)
    }
}

/// Two nodes, and what lies between them.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) kind: Kind,
    places: [Place; 2],
    lives: [Life; 2],
    nodes: [Node; 2],
    /// Each node as the other sees it.
    links: [Arc<dyn Peer>; 2],
    wire: Wire,
    frames: Frames,
    /// Whether they talk over connections, and not by calls.
    over_frames: bool,
    /// The nodes as somebody sees them who never dies.
    eyes: [Node; 2],
    writes: u64,
    /// What was written and must be somewhere.
    pub(super) somewhere: BTreeSet<u64>,
    /// What was written and must be with whoever owns the volume.
    pub(super) with_owner: BTreeSet<u64>,
    /// The volume's UUID.
    pub(super) id: Uuid,
}

impl Stage {
    /// Two nodes, and a volume on the first.
    pub(super) fn new(places: [Place; 2], kind: Kind) -> Self {
        let lives = [Life::default(), Life::default()];
        let eyes = Side::BOTH.map(|side| open(&places[side as usize], side, None));
        let nodes =
            Side::BOTH.map(|side| open(&places[side as usize], side, Some(&lives[side as usize])));
        let wire = Wire::default();
        let links = calls(&wire, &places, &lives, &nodes);
        let mut stage = Self {
            kind,
            places,
            lives,
            nodes,
            links,
            wire,
            frames: Frames::default(),
            over_frames: false,
            eyes,
            writes: 0,
            somewhere: BTreeSet::new(),
            with_owner: BTreeSet::new(),
            id: Uuid::nil(),
        };
        stage.make_volume();
        stage
    }

    fn make_volume(&mut self) {
        let eye = &self.eyes[Side::Here as usize];
        let dataset = eye.dataset(&volume()).expect("a name");
        let zfs = eye.zfs();
        match self.kind {
            Kind::Disk => {
                let plain = PropertySet::new().with("compression", "off").expect("a property");
                let spec =
                    VolumeSpec::block(Bytes::new(BLOCKS * BLOCK)).sparse().properties(&plain);
                eye.create(&volume(), &spec).expect("a volume");
            }
            Kind::Files => {
                receive(zfs, &dataset, "a", include_bytes!("../../fixtures/stream/2.3/full.zfs"));
                receive(
                    zfs,
                    &dataset,
                    "b",
                    include_bytes!("../../fixtures/stream/2.3/incremental.zfs"),
                );
                // So that something was written since the last snapshot.
                let last = dataset.snapshot("b").expect("a name");
                zfs.destroy_snapshots([&last], Destroy::Now).expect("destroyed");
            }
            Kind::Sealed => {
                receive(zfs, &dataset, "a", include_bytes!("../../fixtures/stream/2.3/raw.zfs"));
                receive(
                    zfs,
                    &dataset,
                    "b",
                    include_bytes!("../../fixtures/stream/2.3/raw_incremental.zfs"),
                );
            }
        }
        if self.kind != Kind::Disk {
            let owned = PropertySet::new()
                .with("zfsvol:id", Uuid::from_u128(0x1d).to_string())
                .and_then(|set| set.with("zfsvol:owner", Side::Here.id().to_string()))
                .and_then(|set| set.with("zfsvol:epoch", "1"))
                .and_then(|set| set.with("zfsvol:state", "owned"))
                .and_then(|set| set.with("readonly", false))
                .expect("properties");
            zfs.set_properties(&dataset, &owned).expect("set");
        }
        self.id =
            self.eye(Side::Here).get(&volume()).expect("looked at").expect("there").ownership.id;
    }

    /// The process of a node.
    pub(super) fn node(&self, side: Side) -> &Node {
        &self.nodes[side as usize]
    }

    /// That node, as the other one sees it.
    pub(super) fn link(&self, side: Side) -> &Arc<dyn Peer> {
        &self.links[side as usize]
    }

    /// A node for looking at it.
    pub(super) fn eye(&self, side: Side) -> &Node {
        &self.eyes[side as usize]
    }

    pub(super) fn zfs(&self, side: Side) -> &Zfs {
        &self.places[side as usize].zfs
    }

    /// Counts from now on, and has one thing happen if one is given.
    pub(super) fn arm(&self, point: Option<Point>) {
        for side in Side::BOTH {
            let death = match point {
                Some(Point::Ioctl { side: at, nth, after }) if at == side => {
                    Some(Death { at: nth, after })
                }
                _ => None,
            };
            self.lives[side as usize].arm(death);
        }
        self.wire.arm(match point {
            Some(Point::Wire(mishap)) => Some(mishap),
            _ => None,
        });
        self.frames.arm(match point {
            Some(Point::Frame(at)) => Some(at),
            _ => None,
        });
    }

    /// What came to pass since: ioctls of each side, and messages.
    pub(super) fn trace(&self) -> ([u64; 2], Vec<Option<u64>>) {
        (Side::BOTH.map(|side| self.lives[side as usize].calls()), self.wire.messages())
    }

    /// The frames since, by side, sent and received.
    pub(super) fn frames(&self) -> [[u64; 2]; 2] {
        self.frames.seen()
    }

    /// Whether what it was armed with has happened.
    pub(super) fn is_past(&self, point: Point) -> bool {
        match point {
            Point::Ioctl { side, .. } => self.lives[side as usize].is_over(),
            Point::Frame(_) => self.frames.is_past(),
            Point::Wire(_) => self.wire.is_past(),
        }
    }

    /// From here on the nodes talk over connections, and not by calls.
    pub(super) fn talk_in_frames(&mut self) {
        self.over_frames = true;
        self.connect();
    }

    fn connect(&mut self) {
        self.links = if self.over_frames {
            Side::BOTH.map(|side| -> Arc<dyn Peer> {
                let node = &self.nodes[side as usize];
                Arc::new(Line::new(&self.frames, side, &self.lives, node))
            })
        } else {
            calls(&self.wire, &self.places, &self.lives, &self.nodes)
        };
    }

    /// Ends the connections, and waits until nothing is going on at their other ends.
    pub(super) fn hang_up(&self) {
        self.frames.hang_up();
    }

    /// Starts the processes that died, and joins what was cut.
    pub(super) fn restart(&mut self) {
        self.hang_up();
        for side in Side::BOTH {
            if self.lives[side as usize].is_over() {
                let life = Life::default();
                self.nodes[side as usize] = open(&self.places[side as usize], side, Some(&life));
                self.lives[side as usize] = life;
            }
        }
        self.arm(None);
        self.connect();
    }

    /// The volume as a node has it, whatever it is called there.
    pub(super) fn info(&self, side: Side) -> Option<VolumeInfo> {
        let mut volumes = self.eye(side).list().expect("listed").volumes.into_iter();
        volumes.find(|info| info.ownership.id == self.id)
    }

    pub(super) fn is_owner(&self, side: Side) -> bool {
        self.info(side).is_some_and(|info| info.is_owned_by(side.id()))
    }

    /// A program writes to a node's copy, if it can. What was written must then stay.
    pub(super) fn write(&mut self, side: Side) {
        let copies = self.copies();
        let highest = copies.iter().map(|copy| copy.info.ownership.epoch).max();
        let Some(copy) = copies.into_iter().find(|copy| {
            copy.side == side && copy.info.ownership.id == self.id && copy.is_writable
        }) else {
            return;
        };
        let write = self.writes;
        self.writes += 1;
        assert!(write < BLOCKS, "more writes than the volume has room for");
        let zfs = self.zfs(side);
        match self.kind {
            Kind::Disk => {
                let device = zfs
                    .open_zvol(&copy.info.dataset, Access::ReadWrite, DEVICE_WAIT)
                    .expect("a device that can be written");
                device.write_all_at(&block(write), write * BLOCK).expect("written");
                device.flush().expect("flushed");
            }
            Kind::Files | Kind::Sealed => {
                let snapshot = copy.info.dataset.snapshot(&snapshot_name(write)).expect("a name");
                zfs.snapshot([&snapshot], &PropertySet::new()).expect("taken");
            }
        }
        self.somewhere.insert(write);
        if highest == Some(copy.info.ownership.epoch) {
            self.with_owner.insert(write);
        }
    }

    /// From here on what was written and not pushed may be missing with the owner: it is to be taken over.
    pub(super) fn only_pushed_is_owed(&mut self) {
        if self.is_owner(Side::There) {
            return;
        }
        let there = self.copies().into_iter().find(|copy| copy.side == Side::There);
        let pushed = there.map(|copy| copy.writes).unwrap_or_default();
        self.with_owner.retain(|write| pushed.contains(write));
    }

    /// From here on what the owner has not may be missing anywhere: it was taken back.
    pub(super) fn only_what_is_here_is_owed(&mut self) {
        let here = self.copies().into_iter().find(|copy| copy.side == Side::Here);
        let left = here.map(|copy| copy.writes).unwrap_or_default();
        self.with_owner.retain(|write| left.contains(write));
        self.somewhere.retain(|write| left.contains(write));
    }

    /// Everything that calls itself a volume, of both nodes.
    pub(super) fn copies(&self) -> Vec<Copy> {
        let mut copies = Vec::new();
        for side in Side::BOTH {
            let listed = self.eye(side).list().expect("listed");
            assert!(listed.damaged.is_empty(), "{:?}", listed.damaged);
            for info in listed.volumes {
                let properties = self.zfs(side).properties(&info.dataset).expect("there");
                let is_writable = properties.text("readonly") == Some("off");
                let writes = self.writes_of(side, &info);
                copies.push(Copy { side, info, is_writable, writes });
            }
        }
        copies
    }

    fn writes_of(&self, side: Side, info: &VolumeInfo) -> BTreeSet<u64> {
        match self.kind {
            // A first push that broke off: there is no device yet.
            Kind::Disk
                if self.snapshots(side, &info.dataset).is_empty()
                    && info.resume_token.is_some() =>
            {
                BTreeSet::new()
            }
            Kind::Disk => {
                let device = self
                    .zfs(side)
                    .open_zvol(&info.dataset, Access::Read, DEVICE_WAIT)
                    .expect("a device that can be read");
                let mut found = vec![0; block(0).len()];
                let has = |write: &u64| {
                    device.read_exact_at(&mut found, write * BLOCK).expect("read");
                    found == block(*write)
                };
                (0..self.writes).filter(has).collect()
            }
            Kind::Files | Kind::Sealed => {
                let names = self.snapshots(side, &info.dataset);
                (0..self.writes).filter(|write| names.contains(&snapshot_name(*write))).collect()
            }
        }
    }

    /// The names of all snapshots of a dataset.
    pub(super) fn snapshots(&self, side: Side, dataset: &DatasetName) -> Vec<String> {
        let what = List::from(dataset.clone()).depth(0).types(DatasetTypes::SNAPSHOT);
        self.zfs(side)
            .list_names(&what)
            .map(|one| one.expect("listed").as_str().to_owned())
            .map(|name| name.split_once('@').expect("a snapshot").1.to_owned())
            .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Who answers has the pools in use.
        self.hang_up();
    }
}

pub(super) fn volume() -> VolumeName {
    VOLUME.parse().expect("a volume name")
}

/// A node, of a process that can die or of one that never does.
fn open(place: &Place, side: Side, life: Option<&Life>) -> Node {
    let zfs = match life {
        Some(life) => Zfs::new(Mortal::new(Arc::clone(place.zfs.kernel()), life.clone())),
        None => place.zfs.clone(),
    };
    Node::open(zfs, place.root.clone(), side.id()).expect("a node")
}

/// Each node as the other sees it, by calls.
fn calls(
    wire: &Wire,
    places: &[Place; 2],
    lives: &[Life; 2],
    nodes: &[Node; 2],
) -> [Arc<dyn Peer>; 2] {
    Side::BOTH.map(|side| -> Arc<dyn Peer> {
        let (callee, caller) = (side as usize, side.other() as usize);
        let to = (&lives[callee], &nodes[callee]);
        Arc::new(Link::new(wire, &places[callee].zfs, &lives[caller], to))
    })
}

fn receive(zfs: &Zfs, dataset: &DatasetName, snapshot: &str, stream: &[u8]) {
    let snapshot = dataset.snapshot(snapshot).expect("a name");
    let mut receive = zfs.receive(&snapshot, &ReceiveOptions::new()).expect("a receive");
    receive.write_all(stream).expect("taken");
    receive.finish().expect("received");
}

/// What the write of that number leaves.
fn block(write: u64) -> Vec<u8> {
    crate::volume::noise(write + 1, 4096)
}

fn snapshot_name(write: u64) -> String {
    format!("write{write}")
}
