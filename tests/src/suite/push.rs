//! Volumes that move between nodes: pushed and handed over. Both nodes are in one pool. The area `wire` runs all of it over
//! connections.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zfsvol_core::kernel::Access;
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::peer::{Incoming, Offer, PeerVolume, Settled, VolumeId};
use zfsvol_core::volume::{
    Bandwidth, Control, Node, Peer, PushOptions, Pushed, Recovered, Retention, Size, Uuid,
    VolumeName, VolumeSpec, VolumeState,
};
use zfsvol_core::zfs::{Key, ReceiveOptions, SendOptions};
use zfsvol_core::{Bytes, Error, ErrorKind, Guid};

use crate::expect::{plain, refused, send_all};
use crate::volume::noise;
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_push_creates_and_then_updates),
        case(a_push_sends_only_what_is_new),
        case(a_push_of_what_is_there_sends_nothing),
        case(snapshots_are_pushed_in_their_order),
        case(a_push_begins_from_a_bookmark_where_the_snapshot_is_gone),
        case(a_push_leaves_one_snapshot_on_each_side),
        case(a_late_word_that_a_push_is_over_changes_nothing),
        case(a_late_word_about_the_same_snapshot_changes_nothing),
        case(an_interrupted_push_goes_on_where_it_stopped),
        case(an_interrupted_push_of_a_snapshot_that_is_gone_begins_anew),
        case(an_interrupted_push_begins_from_what_came_though_it_is_gone_here),
        case(what_a_first_receive_left_without_a_name_is_in_nobody_s_way),
        case(a_push_is_cancelled),
        case(a_push_keeps_to_its_bandwidth),
        case(a_copy_that_was_written_behind_our_back_is_not_overwritten),
        case(a_name_that_is_taken_at_the_peer_is_refused),
        case(a_volume_made_anew_under_the_same_name_is_another),
        case(a_renamed_volume_is_renamed_at_the_peer),
        case(properties_go_with_a_push),
        case(an_encrypted_volume_is_pushed_as_it_is_and_comes_back),
        case(a_file_system_is_pushed_and_handed_over),
        case(a_handoff_changes_the_owner_and_keeps_the_data),
        case(a_handoff_back_sends_only_what_is_new),
        case(a_handoff_to_oneself_or_of_another_s_volume_is_refused),
        case(a_handoff_that_the_peer_refuses_changes_nothing),
        case(a_handoff_whose_answer_is_lost_is_finished),
        case(a_handoff_cut_off_before_the_offer_is_taken_back),
        case(a_handoff_whose_end_is_not_known_waits_for_recovery),
        case(an_old_offer_is_not_accepted),
        case(one_volume_is_moved_once_at_a_time),
        case(a_full_pool_at_the_peer_harms_nothing),
        case(a_replica_has_a_retention_of_its_own),
        case(a_volume_that_is_pushed_can_be_destroyed),
    ]
}

const WAIT: Duration = Duration::from_secs(30);
pub(super) const HERE: Uuid = Uuid::from_u128(0xa);
pub(super) const THERE: Uuid = Uuid::from_u128(0xb);
pub(super) const MIB: usize = 1 << 20;

/// Two nodes, and each as the other's peer.
pub(super) struct Two {
    pub(super) here: Node,
    pub(super) there: Node,
    pub(super) to_there: Arc<dyn Peer>,
    pub(super) to_here: Arc<dyn Peer>,
}

pub(super) fn two(world: &World) -> Two {
    let open = |root, id| Node::open(world.zfs().clone(), world.dataset(root), id).expect("a node");
    let (here, there) = (open("here", HERE), open("there", THERE));
    let (to_there, to_here) = (world.peer(HERE, &there), world.peer(THERE, &here));
    Two { here, there, to_there, to_here }
}

pub(super) fn name(text: &str) -> VolumeName {
    text.parse().expect("a volume name")
}

/// A sparse block volume of 16 MiB.
pub(super) fn disk(node: &Node, volume: &str) -> VolumeName {
    let name = name(volume);
    let plain = PropertySet::new().with("compression", "off").expect("a property");
    let spec = VolumeSpec::block(Bytes::from_mib(16)).sparse().properties(&plain);
    node.create(&name, &spec).expect("a volume");
    name
}

pub(super) fn write(node: &Node, volume: &VolumeName, offset: usize, data: &[u8]) {
    let device = node.open_device(volume, Access::ReadWrite, WAIT).expect("opened");
    device.write_all_at(data, offset as u64).expect("written");
    device.flush().expect("flushed");
}

pub(super) fn read(node: &Node, volume: &VolumeName, offset: usize, length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    let device = node.open_device(volume, Access::Read, WAIT).expect("opened");
    device.read_exact_at(&mut data, offset as u64).expect("read");
    data
}

pub(super) fn push(
    node: &Node,
    volume: &VolumeName,
    peer: &Arc<dyn Peer>,
) -> Result<Pushed, Error> {
    node.push(volume, peer, &PushOptions::new())?.wait()
}

pub(super) fn handoff(
    node: &Node,
    volume: &VolumeName,
    peer: &Arc<dyn Peer>,
) -> Result<Pushed, Error> {
    node.handoff(volume, peer, &PushOptions::new())?.wait()
}

pub(super) fn all_snapshots(node: &Node, volume: &VolumeName) -> Vec<String> {
    use zfsvol_core::property::DatasetTypes;
    use zfsvol_core::zfs::List;
    let dataset = node.dataset(volume).expect("a name");
    let what = List::from(dataset).depth(0).types(DatasetTypes::SNAPSHOT);
    let names = node.zfs().list_names(&what).map(|one| one.expect("listed").as_str().to_owned());
    names.map(|one| one.split_once('@').expect("a snapshot").1.to_owned()).collect()
}

/// Who can write: at most one node, and just one where `owner` says so.
pub(super) fn assert_owner(two: &Two, volume: &VolumeName, owner: Option<Uuid>) {
    let mut writers = Vec::new();
    for node in [&two.here, &two.there] {
        let Some(info) = node.get(volume).expect("looked at") else { continue };
        let properties = node.zfs().properties(&info.dataset).expect("there");
        let is_writable = properties.text("readonly") == Some("off");
        assert_eq!(is_writable, info.is_owned_by(node.id()), "{info:?}");
        if is_writable {
            writers.push(node.id());
        }
    }
    assert!(writers.len() <= 1, "two writers");
    assert_eq!(writers.first().copied(), owner);
}

/// What a peer does badly, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The streams are cut after so many bytes of all.
    Cut(u64),
    /// A stream comes whole, and that it did is not heard.
    NoWord,
    /// That the push is over is not heard.
    NoFinish,
    /// The offer does not get there.
    NoAccept,
    /// The offer is accepted, and the answer is lost.
    NoAnswer,
    /// The offer does not get there, and neither does the question what became of it.
    NoAcceptNoSettle,
    /// The offer is accepted, and nothing is heard after.
    NoAnswerNoSettle,
}

/// A connection to a peer that something happens to.
#[derive(Debug)]
pub(super) struct Unlucky {
    inner: Arc<dyn Peer>,
    mishap: Mutex<Option<Mishap>>,
    /// The last word that a push is over.
    finished: Mutex<Option<Incoming>>,
}

impl Unlucky {
    pub(super) fn new(peer: &Arc<dyn Peer>, mishap: Mishap) -> Arc<Self> {
        let (inner, mishap) = (Arc::clone(peer), Mutex::new(Some(mishap)));
        Arc::new(Self { inner, mishap, finished: Mutex::default() })
    }

    fn mishap(&self) -> Option<Mishap> {
        *self.mishap.lock().expect("not poisoned")
    }
}

fn lost<T>() -> Result<T, Error> {
    // An error of the library's own, as a lost connection has it.
    "".parse::<zfsvol_core::PoolName>().map(|_| unreachable!()).map_err(Error::from)
}

impl Peer for Unlucky {
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
        match self.mishap() {
            Some(Mishap::Cut(after)) => {
                let mut cut = Cut { stream, left: AtomicU64::new(after) };
                let received = self.inner.receive(incoming, &mut cut, control);
                let left = Some(cut.left.into_inner()).filter(|left| *left > 0);
                *self.mishap.lock().expect("not poisoned") = left.map(Mishap::Cut);
                received
            }
            Some(Mishap::NoWord) => {
                self.inner.receive(incoming, stream, control).expect("received");
                lost()
            }
            _ => self.inner.receive(incoming, stream, control),
        }
    }

    fn abort_receive(&self, volume: &VolumeId) -> Result<(), Error> {
        self.inner.abort_receive(volume)
    }

    fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<(), Error> {
        *self.finished.lock().expect("not poisoned") = Some(pushed.clone());
        match self.mishap() {
            Some(Mishap::NoFinish) => lost(),
            _ => self.inner.finish(pushed, from),
        }
    }

    fn accept(&self, offer: &Offer) -> Result<(), Error> {
        match self.mishap() {
            Some(Mishap::NoAccept | Mishap::NoAcceptNoSettle) => lost(),
            Some(Mishap::NoAnswer | Mishap::NoAnswerNoSettle) => {
                self.inner.accept(offer).expect("accepted");
                lost()
            }
            _ => self.inner.accept(offer),
        }
    }

    fn settle(&self, offer: &Offer) -> Result<Settled, Error> {
        match self.mishap() {
            Some(Mishap::NoAcceptNoSettle | Mishap::NoAnswerNoSettle) => lost(),
            _ => self.inner.settle(offer),
        }
    }
}

struct Cut<'a> {
    stream: &'a mut dyn Read,
    left: AtomicU64,
}

impl Read for Cut<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.left.load(Ordering::Relaxed)).expect("it fits");
        if left == 0 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let most = left.min(buffer.len());
        let bytes = self.stream.read(&mut buffer[..most])?;
        self.left.fetch_sub(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

fn a_push_creates_and_then_updates(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    for round in 1..4_u8 {
        write(&two.here, &volume, 0, &[round; 4]);
        let pushed = push(&two.here, &volume, &two.to_there).expect("pushed");
        assert_eq!(pushed.sent.len(), 1);
        assert!(pushed.bytes > Bytes::ZERO);
        assert_eq!(read(&two.there, &volume, 0, 4), [round; 4]);
        let copy = two.there.get(&volume).expect("looked at").expect("there");
        assert_eq!((copy.ownership.owner, copy.ownership.state), (HERE, VolumeState::Replica));
        assert_owner(&two, &volume, Some(HERE));
    }
}

fn a_push_sends_only_what_is_new(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 8 * MIB));
    let all = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(all.bytes > Bytes::from_mib(8), "{}", all.bytes);
    write(&two.here, &volume, 8 * MIB, &noise(2, MIB));
    let more = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(more.bytes > Bytes::from_mib(1) && more.bytes < Bytes::from_mib(2), "{}", more.bytes);
    assert_eq!(read(&two.there, &volume, 0, 8 * MIB), noise(1, 8 * MIB));
    assert_eq!(read(&two.there, &volume, 8 * MIB, MIB), noise(2, MIB));
}

fn a_push_of_what_is_there_sends_nothing(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    let first = push(&two.here, &volume, &two.to_there).expect("pushed");
    let again = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!((again.sent.len(), again.bytes, again.snapshot), (0, Bytes::ZERO, first.snapshot));
}

fn snapshots_are_pushed_in_their_order(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    for snapshot in ["z", "a", "m"] {
        write(&two.here, &volume, 0, snapshot.as_bytes());
        two.here.snapshot(&volume, snapshot).expect("taken");
    }
    write(&two.here, &volume, 0, b"!");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let names = |node: &Node| -> Vec<(String, Guid)> {
        node.snapshots(&volume)
            .expect("listed")
            .into_iter()
            .map(|one| (one.name, one.guid))
            .collect()
    };
    assert_eq!(names(&two.here), names(&two.there));
    assert_eq!(names(&two.there).len(), 3);
    assert_eq!(read(&two.there, &volume, 0, 1), b"!");
    two.here.snapshot(&volume, "later").expect("taken");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(names(&two.here), names(&two.there));
}

fn a_push_begins_from_a_bookmark_where_the_snapshot_is_gone(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 4 * MIB));
    push(&two.here, &volume, &two.to_there).expect("pushed");
    // Somebody needs the space, and knows how to get at it.
    let dataset = two.here.dataset(&volume).expect("a name");
    for snapshot in all_snapshots(&two.here, &volume) {
        let snapshot = dataset.snapshot(&snapshot).expect("a name");
        let tag = format!("zfsvol:push:{THERE}");
        world.zfs().release(&[(snapshot.clone(), &tag)]).expect("released");
        world.zfs().destroy_snapshots([&snapshot], Default::default()).expect("destroyed");
    }
    write(&two.here, &volume, 4 * MIB, b"more");
    let more = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(more.bytes < Bytes::from_mib(1), "{}", more.bytes);
    assert_eq!(read(&two.there, &volume, 4 * MIB, 4), b"more");
}

fn a_push_leaves_one_snapshot_on_each_side(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    for round in 0..4_u8 {
        write(&two.here, &volume, 0, &[round]);
        push(&two.here, &volume, &two.to_there).expect("pushed");
        let (here, there) = (all_snapshots(&two.here, &volume), all_snapshots(&two.there, &volume));
        assert_eq!((here.len(), &here), (1, &there));
    }
    assert_eq!(two.here.snapshots(&volume).expect("listed"), []);
    let bookmarks = world.zfs().bookmarks(&two.here.dataset(&volume).expect("a name"));
    assert_eq!(bookmarks.expect("listed").len(), 1);
}

fn a_late_word_that_a_push_is_over_changes_nothing(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    let tier = |node: &Node, volume: &VolumeName| {
        let dataset = node.dataset(volume).expect("a name");
        let found = world.zfs().property(&dataset, "com.example:tier").expect("there");
        found.map(|one| one.value.to_string())
    };
    let set_tier = |volume: &VolumeName, tier: &str| {
        let dataset = two.here.dataset(volume).expect("a name");
        let properties = PropertySet::new().with("com.example:tier", tier).expect("a property");
        world.zfs().set_properties(&dataset, &properties).expect("set");
    };
    set_tier(&volume, "old");
    write(&two.here, &volume, 0, b"old");
    two.here.snapshot(&volume, "kept").expect("taken");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let info = two.here.get(&volume).expect("looked at").expect("there");
    let known = |name: &VolumeName| {
        let id = VolumeId { id: info.ownership.id, name: name.clone() };
        two.to_there.look(&id).expect("looked at").expect("there").snapshots
    };
    // One that the next push lets go, and one that stays.
    let late = known(&volume).into_iter().map(|one| Incoming {
        volume: VolumeId { id: info.ownership.id, name: volume.clone() },
        snapshot: one.name,
        guid: one.guid,
        owner: HERE,
        epoch: 1,
        properties: PropertySet::new().with("com.example:tier", "old").expect("a property"),
        back_to: None,
        others: Vec::new(),
        ticket: None,
    });
    let late: Vec<_> = late.collect();
    assert_eq!(late.len(), 2);

    let renamed = name("renamed");
    two.here.rename(&volume, &renamed).expect("renamed");
    set_tier(&renamed, "new");
    write(&two.here, &renamed, 0, &noise(2, 4 * MIB));
    // First another push has only begun; then it is over.
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(1 << 20));
    push(&two.here, &renamed, &unlucky).expect_err("it was cut");
    for is_over in [false, true] {
        if is_over {
            push(&two.here, &renamed, &two.to_there).expect("pushed");
        }
        let before = known(&renamed);
        for late in &late {
            let is_gone = before.iter().all(|one| one.guid != late.guid);
            let kind = if is_gone { ErrorKind::NotFound } else { ErrorKind::DestinationModified };
            refused(two.to_there.finish(late, HERE), kind);
        }
        assert_eq!(known(&renamed), before);
        assert_eq!(two.there.get(&volume).expect("looked at"), None);
    }
    assert_eq!(tier(&two.there, &renamed).as_deref(), Some("new"));
}

fn a_late_word_about_the_same_snapshot_changes_nothing(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    let dataset = |node: &Node| node.dataset(&volume).expect("a name");
    let set_tier = |tier: &str| {
        let properties = PropertySet::new().with("com.example:tier", tier).expect("a property");
        world.zfs().set_properties(&dataset(&two.here), &properties).expect("set");
    };
    let assert_tier = |tier: &str| {
        let found = world.zfs().property(&dataset(&two.there), "com.example:tier").expect("there");
        assert_eq!(found.map(|one| one.value.to_string()).as_deref(), Some(tier));
    };
    set_tier("first");
    write(&two.here, &volume, 0, b"data");
    let first = push(&two.here, &volume, &two.to_there).expect("pushed");
    // What the next push finds there is just what it would bring, or is not.
    for then in ["first", "third"] {
        set_tier("second");
        let unlucky = Unlucky::new(&two.to_there, Mishap::NoFinish);
        let peer: Arc<dyn Peer> = Arc::clone(&unlucky) as _;
        push(&two.here, &volume, &peer).expect_err("it was not heard of");
        assert_tier("first");
        let late = unlucky.finished.lock().expect("not poisoned").clone().expect("a word");
        set_tier(then);
        let pushed = push(&two.here, &volume, &two.to_there).expect("pushed");
        assert_eq!((pushed.snapshot, pushed.sent.len()), (first.snapshot, 0));
        assert_eq!(late.guid, first.snapshot);
        for _ in 0..2 {
            let error = refused(two.to_there.finish(&late, HERE), ErrorKind::DestinationModified);
            assert!(error.to_string().contains("another push of it has ended"), "{error}");
            assert_tier(then);
        }
        // Who has looked since is heard.
        let id = late.volume.clone();
        let there = two.to_there.look(&id).expect("looked at").expect("there");
        let now = Incoming { ticket: there.ticket, ..late };
        two.to_there.finish(&now, HERE).expect("finished");
        assert_tier("second");
        set_tier("first");
        push(&two.here, &volume, &two.to_there).expect("pushed");
        assert_tier("first");
    }
}

fn an_interrupted_push_goes_on_where_it_stopped(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 8 * MIB));
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(5 << 20));
    let error = push(&two.here, &volume, &unlucky).expect_err("it was cut");
    assert_eq!(error.target(), Some("db"), "{error}");
    refused(two.there.takeover(&volume), ErrorKind::StreamTruncated);
    let rest = push(&two.here, &volume, &unlucky).expect("pushed");
    assert!(rest.bytes < Bytes::from_mib(6), "{}", rest.bytes);
    assert_eq!(read(&two.there, &volume, 0, 8 * MIB), noise(1, 8 * MIB));

    // An increment, too.
    write(&two.here, &volume, 0, &noise(2, 8 * MIB));
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(5 << 20));
    push(&two.here, &volume, &unlucky).expect_err("it was cut");
    assert_eq!(read(&two.there, &volume, 0, 8 * MIB), noise(1, 8 * MIB));
    let rest = push(&two.here, &volume, &unlucky).expect("pushed");
    assert!(rest.bytes < Bytes::from_mib(6), "{}", rest.bytes);
    assert_eq!(read(&two.there, &volume, 0, 8 * MIB), noise(2, 8 * MIB));
}

fn an_interrupted_push_of_a_snapshot_that_is_gone_begins_anew(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 4 * MIB));
    two.here.snapshot(&volume, "s").expect("taken");
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(2 << 20));
    push(&two.here, &volume, &unlucky).expect_err("it was cut");
    two.here.destroy_snapshots(&volume, &["s"]).expect("destroyed");
    push(&two.here, &volume, &unlucky).expect("pushed");
    assert_eq!(read(&two.there, &volume, 0, 4 * MIB), noise(1, 4 * MIB));
    assert_eq!(two.there.snapshots(&volume).expect("listed"), []);
}

fn an_interrupted_push_begins_from_what_came_though_it_is_gone_here(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    for (seed, snapshot) in [(1, "first"), (2, "increment")] {
        write(&two.here, &volume, 0, &noise(seed, MIB));
        two.here.snapshot(&volume, snapshot).expect("taken");
        write(&two.here, &volume, MIB, &noise(seed, 8 * MIB));
        // The snapshot comes whole, and what was written after it does not.
        let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(5 << 20));
        push(&two.here, &volume, &unlucky).expect_err("it was cut");
        let came = two.there.snapshots(&volume).expect("listed");
        assert_eq!(came.last().map(|one| one.name.as_str()), Some(snapshot));
        two.here.destroy_snapshots(&volume, &[snapshot]).expect("destroyed");
        let rest = push(&two.here, &volume, &two.to_there).expect("pushed");
        assert!(rest.bytes < Bytes::from_mib(9), "{}", rest.bytes);
        assert_eq!(read(&two.there, &volume, MIB, 8 * MIB), noise(seed, 8 * MIB));
    }
    let bookmarks = two.here.dataset(&volume).map(|dataset| world.zfs().bookmarks(&dataset));
    assert_eq!(bookmarks.expect("a name").expect("listed").len(), 1, "what was sent is forgotten");
}

fn what_a_first_receive_left_without_a_name_is_in_nobody_s_way(world: &World) {
    let two = two(world);
    let [volume, other] = ["db", "other"].map(|volume| disk(&two.here, volume));
    for (volume, seed) in [(&volume, 1), (&other, 2)] {
        write(&two.here, volume, 0, &noise(seed, 4 * MIB));
        two.here.snapshot(volume, "one").expect("taken");
    }
    let one = |node: &Node, volume: &VolumeName| {
        node.dataset(volume).expect("a name").snapshot("one").expect("a name")
    };
    // As a machine leaves it that dies when the dataset is there and its properties are not.
    let leave = |source: &VolumeName, to: &VolumeName| {
        let stream = send_all(world, &one(&two.here, source), &SendOptions::full());
        let options = ReceiveOptions::new().resumable();
        let receive = two.there.zfs().receive(&one(&two.there, to), &options);
        let mut receive = receive.expect("a receive");
        receive.write_all(&stream[..stream.len() * 3 / 4]).expect("written");
        refused(receive.finish(), ErrorKind::StreamTruncated);
        let error = refused(two.there.get(to), ErrorKind::InProgress);
        assert_eq!(error.target(), Some(to.as_str()));
        refused(two.there.takeover(to), ErrorKind::InProgress);
        assert_eq!(two.there.list().expect("listed").volumes.len(), 0);
    };
    // What is of something else is not thrown away.
    leave(&other, &volume);
    let error = refused(push(&two.here, &volume, &two.to_there), ErrorKind::Exists);
    assert!(error.to_string().contains("other@one"), "{error}");
    let copy = two.there.dataset(&volume).expect("a name");
    assert!(two.there.zfs().abort_receive(&copy).expect("aborted"));

    leave(&volume, &volume);
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(read(&two.there, &volume, 0, 4 * MIB), noise(1, 4 * MIB));
}

fn a_push_is_cancelled(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 8 * MIB));
    let slow = PushOptions::new().bandwidth(&Bandwidth::new(Bytes::from_mib(1)));
    let job = two.here.push(&volume, &two.to_there, &slow).expect("a job");
    while job.progress().bytes == Bytes::ZERO {
        assert!(!job.wait_for(Duration::from_millis(5)), "{:?}", job.wait());
    }
    assert!(job.progress().total > Bytes::from_mib(7));
    job.cancel();
    let error = job.wait().expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    // Dropping one is the same.
    drop(two.here.push(&volume, &two.to_there, &slow).expect("a job"));
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(read(&two.there, &volume, 0, 8 * MIB), noise(1, 8 * MIB));
}

fn a_push_keeps_to_its_bandwidth(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 2 * MIB));
    let limit = PushOptions::new().bandwidth(&Bandwidth::new(Bytes::from_mib(4)));
    let begun = std::time::Instant::now();
    two.here.push(&volume, &two.to_there, &limit).expect("a job").wait().expect("pushed");
    assert!(begun.elapsed() > Duration::from_millis(400), "{:?}", begun.elapsed());
}

fn a_copy_that_was_written_behind_our_back_is_not_overwritten(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"mine");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let copy = two.there.dataset(&volume).expect("a name");
    let writable = |on: bool| PropertySet::new().with("readonly", on).expect("a property");
    world.zfs().set_properties(&copy, &writable(false)).expect("set");
    crate::volume::write(world.zfs(), &copy, 0, b"evil");
    world.zfs().set_properties(&copy, &writable(true)).expect("set");
    world.zfs().sync_pool(&copy.pool(), true).expect("synced");
    write(&two.here, &volume, 4, b"more");
    let error = push(&two.here, &volume, &two.to_there).expect_err("modified");
    assert_eq!(error.kind(), ErrorKind::DestinationModified, "{error}");
    let error = handoff(&two.here, &volume, &two.to_there).expect_err("modified");
    assert_eq!(error.kind(), ErrorKind::DestinationModified, "{error}");
    assert_eq!(read(&two.there, &volume, 0, 4), b"evil");
    assert_owner(&two, &volume, Some(HERE));
}

fn a_name_that_is_taken_at_the_peer_is_refused(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    disk(&two.there, "db");
    let error = push(&two.here, &volume, &two.to_there).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    let foreign = disk(&two.here, "foreign");
    let dataset = two.there.dataset(&foreign).expect("a name");
    world.zfs().create_filesystem(&dataset, &plain()).expect("created");
    let error = push(&two.here, &foreign, &two.to_there).expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
}

fn a_volume_made_anew_under_the_same_name_is_another(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"old!");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(two.here.destroy(&volume).expect("destroyed"));
    disk(&two.here, "db");
    write(&two.here, &volume, 0, b"new!");
    let error = push(&two.here, &volume, &two.to_there).expect_err("another");
    assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    assert_eq!(read(&two.there, &volume, 0, 4), b"old!");
}

fn a_renamed_volume_is_renamed_at_the_peer(world: &World) {
    let two = two(world);
    let (old, new) = (disk(&two.here, "old"), name("ns:new"));
    write(&two.here, &old, 0, b"data");
    push(&two.here, &old, &two.to_there).expect("pushed");
    two.here.rename(&old, &new).expect("renamed");
    write(&two.here, &new, 0, b"more");
    push(&two.here, &new, &two.to_there).expect("pushed");
    assert_eq!(two.there.get(&old).expect("looked at"), None);
    assert_eq!(read(&two.there, &new, 0, 4), b"more");
}

fn properties_go_with_a_push(world: &World) {
    let two = two(world);
    let volume = name("files");
    let properties = plain()
        .with("recordsize", "64K")
        .and_then(|set| set.with("com.example:tier", "gold"))
        .expect("properties");
    let quota = Bytes::from_mib(64);
    let spec = VolumeSpec::file_system().quota(quota).properties(&properties);
    two.here.create(&volume, &spec).expect("made");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let dataset = two.here.dataset(&volume).expect("a name");
    world.zfs().inherit_property(&dataset, "com.example:tier").expect("inherited");
    let other = plain().with("com.example:other", "yes").expect("a property");
    world.zfs().set_properties(&dataset, &other).expect("set");
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    handoff(&two.there, &volume, &two.to_here).expect("handed back");
    two.here.resize(&volume, Size::Unlimited).expect("no limit");
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    let copy = world.zfs().properties(&two.there.dataset(&volume).expect("a name")).expect("there");
    assert_eq!(
        (copy.text("com.example:tier"), copy.text("com.example:other")),
        (None, Some("yes"))
    );
    assert_eq!(
        (copy.number("recordsize"), copy.bytes("refquota")),
        (Some(65_536), Some(Bytes::ZERO))
    );
}

fn an_encrypted_volume_is_pushed_as_it_is_and_comes_back(world: &World) {
    let two = two(world);
    let volume = name("secret");
    let key = || Key::passphrase("correct horse").expect("a key");
    let spec = VolumeSpec::block(Bytes::from_mib(16)).sparse().key(key());
    two.here.create(&volume, &spec).expect("made");
    write(&two.here, &volume, 0, b"secret");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(two.there.get(&volume).expect("looked at").expect("there").locked);
    write(&two.here, &volume, 6, b"!");
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    let there = two.there.dataset(&volume).expect("a name");
    world.zfs().load_key(&there, &key()).expect("opened");
    assert_eq!(read(&two.there, &volume, 0, 7), b"secret!");
    write(&two.there, &volume, 0, b"SECRET");
    handoff(&two.there, &volume, &two.to_here).expect("handed back");
    assert_eq!(read(&two.here, &volume, 0, 7), b"SECRET!");
    assert_owner(&two, &volume, Some(HERE));
}

fn a_file_system_is_pushed_and_handed_over(world: &World) {
    let two = two(world);
    let volume = name("files");
    two.here.create(&volume, &VolumeSpec::file_system()).expect("made");
    two.here.snapshot(&volume, "s").expect("taken");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    assert_owner(&two, &volume, Some(THERE));
    let names = two.there.snapshots(&volume).expect("listed");
    assert_eq!(names.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["s"]);
}

fn a_handoff_changes_the_owner_and_keeps_the_data(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, MIB));
    two.here.snapshot(&volume, "mine").expect("taken");
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    assert_owner(&two, &volume, Some(THERE));
    for node in [&two.here, &two.there] {
        let info = node.get(&volume).expect("looked at").expect("there");
        assert_eq!((info.ownership.owner, info.ownership.epoch), (THERE, 2));
    }
    assert_eq!(read(&two.there, &volume, 0, MIB), noise(1, MIB));
    assert_eq!(two.there.snapshots(&volume).expect("listed").len(), 1);
    refused(two.here.open_device(&volume, Access::ReadWrite, WAIT), ErrorKind::NotOwner);
    refused(two.here.snapshot(&volume, "not mine"), ErrorKind::NotOwner);
    write(&two.there, &volume, 0, b"theirs");
}

fn a_handoff_back_sends_only_what_is_new(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 8 * MIB));
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    write(&two.there, &volume, 0, b"theirs");
    let back = handoff(&two.there, &volume, &two.to_here).expect("handed back");
    assert!(back.bytes < Bytes::from_mib(1), "{}", back.bytes);
    assert_owner(&two, &volume, Some(HERE));
    assert_eq!(read(&two.here, &volume, 0, 6), b"theirs");
    assert_eq!(two.here.get(&volume).expect("looked at").expect("there").ownership.epoch, 3);
}

fn a_handoff_to_oneself_or_of_another_s_volume_is_refused(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    refused(handoff(&two.here, &volume, &two.to_here), ErrorKind::Invalid);
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    refused(handoff(&two.here, &volume, &two.to_there), ErrorKind::NotOwner);
    refused(push(&two.here, &volume, &two.to_there), ErrorKind::NotOwner);
    refused(handoff(&two.here, &name("none"), &two.to_there), ErrorKind::NotFound);
}

fn a_handoff_that_the_peer_refuses_changes_nothing(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    disk(&two.there, "db");
    refused(handoff(&two.here, &volume, &two.to_there), ErrorKind::Exists);
    assert!(two.here.get(&volume).expect("looked at").expect("there").is_owned_by(HERE));
    write(&two.here, &volume, 0, b"mine");
}

fn a_handoff_whose_answer_is_lost_is_finished(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::NoAnswer);
    handoff(&two.here, &volume, &unlucky).expect("handed over");
    assert_owner(&two, &volume, Some(THERE));
}

fn a_handoff_cut_off_before_the_offer_is_taken_back(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    for mishap in [Mishap::Cut(1000), Mishap::NoAccept] {
        let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, mishap);
        handoff(&two.here, &volume, &unlucky).expect_err("lost");
        assert_owner(&two, &volume, Some(HERE));
        write(&two.here, &volume, 4, b"more");
    }
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    assert_owner(&two, &volume, Some(THERE));
    assert_eq!(read(&two.there, &volume, 0, 8), b"datamore");
}

fn a_handoff_whose_end_is_not_known_waits_for_recovery(world: &World) {
    let two = two(world);
    let cases = [
        (Mishap::NoAcceptNoSettle, Recovered::TakenBack, HERE),
        (Mishap::NoAnswerNoSettle, Recovered::HandedOver, THERE),
    ];
    for (n, (mishap, recovered, owner)) in cases.into_iter().enumerate() {
        let volume = disk(&two.here, &format!("db{n}"));
        write(&two.here, &volume, 0, b"data");
        let unlucky = Unlucky::new(&two.to_there, mishap);
        let peer: Arc<dyn Peer> = Arc::clone(&unlucky) as Arc<dyn Peer>;
        let error = handoff(&two.here, &volume, &peer).expect_err("lost");
        assert_eq!(error.help(), Some("it is read-only until it is recovered"), "{error}");
        let info = two.here.get(&volume).expect("looked at").expect("there");
        assert!(matches!(info.ownership.state, VolumeState::Leaving { to: THERE, epoch: 2 }));
        refused(two.here.recover(&volume, &*two.to_here), ErrorKind::Invalid);
        two.here.recover(&volume, &*unlucky).expect_err("nobody answers");
        assert_owner(&two, &volume, (owner == THERE).then_some(THERE));

        assert_eq!(two.here.recover(&volume, &*two.to_there).expect("recovered"), recovered);
        assert_eq!(two.here.recover(&volume, &*two.to_there).expect("again"), Recovered::Nothing);
        assert_owner(&two, &volume, Some(owner));
    }
}

fn an_old_offer_is_not_accepted(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    let pushed = push(&two.here, &volume, &two.to_there).expect("pushed");
    let id = two.here.get(&volume).expect("looked at").expect("there").ownership.id;
    let id = VolumeId { id, name: volume.clone() };
    let offer = Offer { volume: id.clone(), from: HERE, epoch: 2, snapshot: pushed.snapshot };
    assert_eq!(two.to_there.settle(&offer).expect("asked"), Settled::Refused);
    // It was on its way all the time.
    refused(two.to_there.accept(&offer), ErrorKind::NotOwner);
    let stranger = Offer { from: Uuid::from_u128(0xc), epoch: 9, ..offer.clone() };
    refused(two.to_there.accept(&stranger), ErrorKind::NotOwner);
    let other = Offer { epoch: 3, snapshot: Guid::new(7), ..offer };
    refused(two.to_there.accept(&other), ErrorKind::DestinationModified);
    assert_owner(&two, &volume, Some(HERE));
}

fn one_volume_is_moved_once_at_a_time(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 8 * MIB));
    let slow = PushOptions::new().bandwidth(&Bandwidth::new(Bytes::from_mib(1)));
    let job = two.here.push(&volume, &two.to_there, &slow).expect("a job");
    while job.progress().bytes == Bytes::ZERO {
        assert!(!job.wait_for(Duration::from_millis(5)), "{:?}", job.wait());
    }
    refused(push(&two.here, &volume, &two.to_there), ErrorKind::InProgress);
    refused(handoff(&two.here, &volume, &two.to_there), ErrorKind::InProgress);
    job.cancel();
    refused(job.wait(), ErrorKind::Cancelled);
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    assert_owner(&two, &volume, Some(THERE));
}

fn a_full_pool_at_the_peer_harms_nothing(world: &World) {
    let small = world.new_pool("small", Bytes::from_mib(96));
    let two = two(world);
    let root = small.root().child("node").expect("a name");
    let there = Node::open(world.zfs().clone(), root, Uuid::from_u128(0xd)).expect("a node");
    let to_there = world.peer(HERE, &there);
    let plain = PropertySet::new().with("compression", "off").expect("a property");
    let volume = name("db");
    let spec = VolumeSpec::block(Bytes::from_mib(128)).sparse().properties(&plain);
    two.here.create(&volume, &spec).expect("a volume");
    write(&two.here, &volume, 0, b"data");
    push(&two.here, &volume, &to_there).expect("pushed");
    write(&two.here, &volume, MIB, &noise(1, 120 * MIB));
    let error = handoff(&two.here, &volume, &to_there).expect_err("there is no room");
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(two.here.get(&volume).expect("looked at").expect("there").is_owned_by(HERE));
    write(&two.here, &volume, 0, b"mine");
    // What was there is there, and can be taken over.
    assert_eq!(read(&there, &volume, 0, 4), b"data");
    there.takeover(&volume).expect("taken over");
    assert_eq!(read(&there, &volume, 0, 4), b"data");
}

fn a_replica_has_a_retention_of_its_own(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    for snapshot in ["a", "b", "c"] {
        write(&two.here, &volume, 0, snapshot.as_bytes());
        two.here.snapshot(&volume, snapshot).expect("taken");
    }
    push(&two.here, &volume, &two.to_there).expect("pushed");
    // What the owner destroys stays, and what is destroyed here does not come back.
    two.here.destroy_snapshots(&volume, &["c"]).expect("destroyed");
    let policy = Retention { last: 2, ..Retention::default() };
    assert_eq!(two.there.retain(&volume, &policy).expect("applied").destroyed, ["a"]);
    two.there.destroy_snapshots(&volume, &["b"]).expect("destroyed");
    write(&two.here, &volume, 0, b"d");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let names = |node: &Node| -> Vec<String> {
        let snapshots = node.snapshots(&volume).expect("listed");
        snapshots.into_iter().map(|one| one.name).collect()
    };
    assert_eq!(
        (names(&two.here), names(&two.there)),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );
    assert_eq!(read(&two.there, &volume, 0, 1), b"d");
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    assert_owner(&two, &volume, Some(THERE));
}

fn a_volume_that_is_pushed_can_be_destroyed(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(two.here.destroy(&volume).expect("destroyed"));
    refused(two.there.destroy(&volume), ErrorKind::NotOwner);
    two.there.takeover(&volume).expect("taken over");
    assert!(two.there.destroy(&volume).expect("destroyed"));
}
