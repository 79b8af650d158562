//! Three nodes with one volume: its owner pushes it to two others, one of them takes over, and pushes to the rest. The area `wire` runs all of it over connections.

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use zfsvol_core::kernel::{Call, Ioc, Observe};
use zfsvol_core::volume::{Job, Node, Peer, PushOptions, Recovered, Uuid, VolumeName};
use zfsvol_core::{Bytes, Error, ErrorKind, Zfs};

use super::push::{MIB, Mishap, Unlucky, all_snapshots, disk, handoff, push, read, write};
use crate::expect::refused;
use crate::volume::noise;
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(who_takes_over_sends_the_others_only_what_is_new),
        case(after_a_takeover_the_order_of_pushes_does_not_matter),
        case(after_a_handoff_the_order_of_pushes_does_not_matter),
        case(what_only_began_to_be_pushed_is_in_common_too),
        case(a_replica_that_missed_pushes_is_sent_only_what_is_new_by_who_takes_over),
        case(what_came_to_one_and_was_not_heard_of_is_in_common_too),
        case(what_each_replica_has_is_known_from_one_owner_to_the_next),
        case(a_replica_that_alone_has_the_newest_is_not_overwritten),
        case(who_owns_no_more_keeps_no_bookmarks),
        case(an_owner_keeps_what_each_replica_has),
        case(what_came_to_one_is_known_though_another_was_pushed_to_since),
        case(a_replica_keeps_nothing_for_nodes_that_do_not_push_to_it),
        case(who_looked_before_a_handoff_ended_does_not_move_the_volume),
        case(of_two_handoffs_at_the_same_moment_one_wins),
    ]
}

/// Nodes A, B and C.
const IDS: [Uuid; 3] = [Uuid::from_u128(0xa), Uuid::from_u128(0xb), Uuid::from_u128(0xc)];
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

/// More than an increment of a few blocks has, and less than all of a volume.
const LITTLE: Bytes = Bytes::from_mib(1);

struct Three<'a> {
    world: &'a World,
    nodes: Vec<Node>,
    /// By who asks, and who is asked.
    peers: Vec<Vec<Arc<dyn Peer>>>,
    volume: VolumeName,
}

/// Three nodes, and a volume of A with 4 MiB in it, which the others have.
fn three(world: &World) -> Three<'_> {
    let open = |(n, id): (usize, &Uuid)| {
        Node::open(world.zfs().clone(), world.dataset(&format!("node{n}")), *id).expect("a node")
    };
    let nodes: Vec<Node> = IDS.iter().enumerate().map(open).collect();
    let peers = IDS.iter().map(|me| nodes.iter().map(|node| world.peer(*me, node)).collect());
    let peers = peers.collect();
    let volume = disk(&nodes[A], "db");
    write(&nodes[A], &volume, 0, &noise(1, 4 * MIB));
    let three = Three { world, nodes, peers, volume };
    for to in [B, C] {
        three.push(A, to).expect("pushed");
    }
    three
}

impl Three<'_> {
    fn push(&self, from: usize, to: usize) -> Result<Bytes, Error> {
        push(&self.nodes[from], &self.volume, &self.peers[from][to]).map(|pushed| pushed.bytes)
    }

    /// Pushes, and sees that only an increment was sent, and all is there.
    fn push_little(&self, from: usize, to: usize) {
        let bytes = self.push(from, to).expect("pushed");
        assert!(bytes < LITTLE, "{bytes} went from {from} to {to}");
        assert_eq!(self.content(from), self.content(to), "from {from} to {to}");
    }

    fn write(&self, node: usize, what: u8) {
        write(&self.nodes[node], &self.volume, 4 * MIB, &[what; 4]);
    }

    fn content(&self, node: usize) -> Vec<u8> {
        read(&self.nodes[node], &self.volume, 0, 5 * MIB)
    }

    fn snapshots(&self, node: usize) -> Vec<String> {
        all_snapshots(&self.nodes[node], &self.volume)
    }

    /// The nodes that the bookmarks of a copy are for, in order.
    fn bookmarks_for(&self, node: usize) -> Vec<usize> {
        let dataset = self.nodes[node].dataset(&self.volume).expect("a name");
        let bookmarks = self.world.zfs().bookmarks(&dataset).expect("listed");
        let prefix = |id: &Uuid| format!("zfsvol-push-{}-", id.simple());
        let is_for = |n: &usize, name: &str| name.starts_with(&prefix(&IDS[*n]));
        let node_of =
            |name: &str| (A..=C).find(|n| is_for(n, name)).expect("a bookmark for a node");
        let mut nodes: Vec<_> = bookmarks.iter().map(|one| node_of(one.name.bookmark())).collect();
        nodes.sort_unstable();
        nodes
    }

    /// The nodes for which a snapshot is held, in order.
    fn held_for(&self, node: usize, snapshot: &str) -> Vec<usize> {
        let dataset = self.nodes[node].dataset(&self.volume).expect("a name");
        let snapshot = dataset.snapshot(snapshot).expect("a name");
        let holds = self.world.zfs().holds(&snapshot).expect("listed");
        let tag = |id: &Uuid| format!("zfsvol:push:{id}");
        (A..=C).filter(|n| holds.iter().any(|hold| hold.tag == tag(&IDS[*n]))).collect()
    }
}

fn who_takes_over_sends_the_others_only_what_is_new(world: &World) {
    let three = three(world);
    // A has more when it dies, which nobody else has.
    three.write(A, 1);
    three.nodes[C].takeover(&three.volume).expect("taken over");
    three.write(C, 2);
    let recovered = three.nodes[A].recover(&three.volume, &*three.peers[A][C]);
    let Ok(Recovered::Superseded { set_aside: Some(aside) }) = recovered else {
        panic!("{recovered:?}")
    };
    for round in 3..6 {
        for to in [B, A] {
            three.push_little(C, to);
        }
        three.write(C, round);
    }
    // And on: the next owner has what the others have, too.
    for to in [B, A] {
        three.push_little(C, to);
    }
    three.nodes[B].takeover(&three.volume).expect("taken over");
    let recovered = three.nodes[C].recover(&three.volume, &*three.peers[C][B]);
    assert_eq!(recovered.expect("recovered"), Recovered::Superseded { set_aside: None });
    three.write(B, 9);
    // What was set aside hangs on what all had at first.
    assert!(three.nodes[A].destroy(&aside).expect("destroyed"));
    for to in [C, A] {
        three.push_little(B, to);
    }
    for node in [A, B, C] {
        assert_eq!(three.snapshots(node).len(), 1, "{node}: {:?}", three.snapshots(node));
    }
}

/// Pushes from C to one of the others for a while, and only then to the one that had nothing since C came to own the volume.
fn push_one_long_before_the_other(three: &Three<'_>, first: usize, then: usize) {
    for round in 2..5 {
        three.write(C, round);
        three.push_little(C, first);
    }
    // No snapshot of that time is left at C.
    assert_eq!(three.snapshots(C).len(), 1, "{:?}", three.snapshots(C));
    assert_eq!(three.bookmarks_for(C), [first, C]);
    three.push_little(C, then);
    three.write(C, 9);
    three.push_little(C, first);
    three.push_little(C, then);
    assert_eq!((three.snapshots(A), three.snapshots(B)), (three.snapshots(C), three.snapshots(C)));
    let mut all = [first, then, C];
    all.sort_unstable();
    assert_eq!(three.bookmarks_for(C), all);
}

fn after_a_takeover_the_order_of_pushes_does_not_matter(world: &World) {
    let three = three(world);
    three.nodes[C].takeover(&three.volume).expect("taken over");
    three.nodes[A].recover(&three.volume, &*three.peers[A][C]).expect("recovered");
    push_one_long_before_the_other(&three, A, B);
}

fn after_a_handoff_the_order_of_pushes_does_not_matter(world: &World) {
    let three = three(world);
    let (peer, options) = (&three.peers[A][C], PushOptions::new());
    let handoff = three.nodes[A].handoff(&three.volume, peer, &options).expect("begun");
    // What all have is all there is.
    assert_eq!(handoff.wait().expect("handed over").bytes, Bytes::ZERO);
    push_one_long_before_the_other(&three, A, B);
}

fn what_only_began_to_be_pushed_is_in_common_too(world: &World) {
    let three = three(world);
    // Something new of A gets to B and to C, and A dies before it says to C that this was all.
    three.write(A, 1);
    three.push_little(A, B);
    let unfinished: Arc<dyn Peer> = Unlucky::new(&three.peers[A][C], Mishap::NoFinish);
    push(&three.nodes[A], &three.volume, &unfinished).expect_err("not finished");
    assert_eq!(three.snapshots(C).len(), 2);
    three.nodes[C].takeover(&three.volume).expect("taken over");
    three.nodes[A].recover(&three.volume, &*three.peers[A][C]).expect("recovered");
    for round in 2..4 {
        three.write(C, round);
        three.push_little(C, A);
    }
    assert_eq!(three.snapshots(C).len(), 1);
    three.push_little(C, B);
    // Both that came and what it began from are remembered.
    assert_eq!(three.bookmarks_for(C), [A, B, C, C]);
}

fn a_replica_that_missed_pushes_is_sent_only_what_is_new_by_who_takes_over(world: &World) {
    let three = three(world);
    // C is away for a while.
    for round in 1..4 {
        three.write(A, round);
        three.push_little(A, B);
    }
    assert_eq!((three.snapshots(B).len(), three.bookmarks_for(B)), (1, vec![C]));
    three.nodes[B].takeover(&three.volume).expect("taken over");
    three.write(B, 9);
    three.push_little(B, C);
    assert_eq!(three.snapshots(C), three.snapshots(B)[1..]);
    // What it had is forgotten then.
    three.nodes[A].recover(&three.volume, &*three.peers[A][B]).expect("recovered");
    three.push_little(B, A);
    assert_eq!(three.bookmarks_for(B), [A, B, C]);
    assert_eq!((three.snapshots(A), three.snapshots(C)), (three.snapshots(B), three.snapshots(B)));
}

fn what_came_to_one_and_was_not_heard_of_is_in_common_too(world: &World) {
    let three = three(world);
    three.write(A, 1);
    let deaf: Arc<dyn Peer> = Unlucky::new(&three.peers[A][C], Mishap::NoWord);
    push(&three.nodes[A], &three.volume, &deaf).expect_err("it was not heard");
    // It came to C, and B gets it, too, on the way to what is newer.
    three.write(A, 2);
    three.push_little(A, B);
    three.nodes[B].takeover(&three.volume).expect("taken over");
    three.write(B, 3);
    three.push_little(B, C);
}

fn what_each_replica_has_is_known_from_one_owner_to_the_next(world: &World) {
    let three = three(world);
    three.write(A, 1);
    three.push_little(A, B);
    let (peer, options) = (&three.peers[A][B], PushOptions::new());
    let handoff = three.nodes[A].handoff(&three.volume, peer, &options).expect("begun");
    handoff.wait().expect("handed over");
    for round in 2..4 {
        three.write(B, round);
        three.push_little(B, A);
    }
    assert_eq!(three.snapshots(A).len(), 1);
    // C has what the owner before B pushed to it.
    three.nodes[A].takeover(&three.volume).expect("taken over");
    three.write(A, 9);
    three.push_little(A, C);
    // And nothing is kept of what everybody has left behind: C what B had when it was pushed to last, B nothing, for C had the same.
    three.nodes[B].recover(&three.volume, &*three.peers[B][A]).expect("recovered");
    three.push_little(A, B);
    three.write(A, 10);
    for to in [C, B, C] {
        three.push_little(A, to);
    }
    assert_eq!((three.bookmarks_for(B), three.bookmarks_for(C)), (vec![], vec![B]));
    assert_eq!(three.bookmarks_for(A), [A, B, C]);
}

fn a_replica_that_alone_has_the_newest_is_not_overwritten(world: &World) {
    let three = three(world);
    three.write(A, 1);
    three.push_little(A, C);
    three.nodes[B].takeover(&three.volume).expect("taken over");
    three.write(B, 2);
    let error = three.push(B, C).expect_err("it has what was never here");
    assert_eq!(error.kind(), ErrorKind::BaseMissing);
    assert!(error.help().is_some_and(|help| help.starts_with("take it over there")), "{error:?}");
    assert_eq!(read(&three.nodes[C], &three.volume, 4 * MIB, 4), [1; 4]);
    // Either can be done.
    let newer = three.nodes[C].takeover(&three.volume).expect("taken over");
    assert_eq!(newer.epoch, 2);
    let recovered = three.nodes[B].recover(&three.volume, &*three.peers[B][C]);
    let Ok(Recovered::Superseded { set_aside: Some(aside) }) = recovered else {
        panic!("{recovered:?}")
    };
    assert_eq!(read(&three.nodes[B], &aside, 4 * MIB, 4), [2; 4]);
    three.push(C, B).expect("pushed anew");
    three.nodes[B].takeover(&three.volume).expect("taken over");
    assert!(three.nodes[B].destroy(&three.volume).expect("destroyed"));
    three.push(C, B).expect("pushed anew");
    assert_eq!(three.content(B), three.content(C));
}

fn who_owns_no_more_keeps_no_bookmarks(world: &World) {
    let three = three(world);
    assert_eq!(three.bookmarks_for(A), [B, C]);
    // Handed over, and taken over from who then comes back.
    let (peer, options) = (&three.peers[A][C], PushOptions::new());
    let handoff = three.nodes[A].handoff(&three.volume, peer, &options).expect("begun");
    handoff.wait().expect("handed over");
    assert_eq!((three.bookmarks_for(A), three.bookmarks_for(C)), (vec![], vec![A, C]));
    three.nodes[B].takeover(&three.volume).expect("taken over");
    assert_eq!(three.bookmarks_for(B), [A, B]);
    // Both have the same epoch. The higher UUID is right.
    let recovered = three.nodes[B].recover(&three.volume, &*three.peers[B][C]);
    assert_eq!(recovered.expect("recovered"), Recovered::Superseded { set_aside: None });
    assert_eq!(three.bookmarks_for(B), [0; 0]);
    // Taken away from who was told to take over, and did not get to it.
    let dataset = three.nodes[B].dataset(&three.volume).expect("a name");
    let base = dataset.snapshot(&three.snapshots(B)[0]).expect("a name");
    let bookmark = dataset.bookmark(&format!("zfsvol-push-{}-0", IDS[B].simple())).expect("a name");
    world.zfs().bookmark(&[(bookmark, base.into())]).expect("made");
    assert_eq!(three.bookmarks_for(B), [B]);
    let recovered = three.nodes[B].recover(&three.volume, &*three.peers[B][C]);
    assert_eq!(recovered.expect("recovered"), Recovered::Nothing);
    assert_eq!(three.bookmarks_for(B), [0; 0]);
}

fn an_owner_keeps_what_each_replica_has(world: &World) {
    let three = three(world);
    let first = three.snapshots(A);
    assert_eq!(first.len(), 1);
    assert_eq!(three.held_for(A, &first[0]), [B, C]);
    // B alone is pushed to for a while: what C has is kept, and nothing between.
    for round in 1..4 {
        three.write(A, round);
        three.push_little(A, B);
        let kept = three.snapshots(A);
        assert_eq!((kept.len(), &kept[0]), (2, &first[0]));
        assert_eq!((three.held_for(A, &kept[0]), three.held_for(A, &kept[1])), (vec![C], vec![B]));
    }
    three.push_little(A, C);
    let kept = three.snapshots(A);
    assert_eq!((kept.len(), three.held_for(A, &kept[0])), (1, vec![B, C]));
    for node in [B, C] {
        assert_eq!(
            (three.snapshots(node), three.held_for(node, &kept[0])),
            (kept.clone(), vec![A])
        );
    }
}

fn what_came_to_one_is_known_though_another_was_pushed_to_since(world: &World) {
    let three = three(world);
    three.write(A, 1);
    // It comes to B whole, and nobody hears so.
    let deaf: Arc<dyn Peer> = Unlucky::new(&three.peers[A][B], Mishap::NoWord);
    push(&three.nodes[A], &three.volume, &deaf).expect_err("it was not heard");
    three.write(A, 2);
    three.push_little(A, C);
    three.write(A, 3);
    three.push_little(A, B);
    three.push_little(A, C);
    assert_eq!(three.bookmarks_for(A), [B, C]);
}

fn a_replica_keeps_nothing_for_nodes_that_do_not_push_to_it(world: &World) {
    let three = three(world);
    three.nodes[C].takeover(&three.volume).expect("taken over");
    three.write(C, 1);
    three.push_little(C, B);
    // A may come back, and has what it had; B is C's replica now.
    assert_eq!(three.snapshots(B).len(), 1);
    assert_eq!(three.held_for(B, &three.snapshots(B)[0]), [C]);
    let kept = three.snapshots(C);
    assert_eq!((three.held_for(C, &kept[0]), three.held_for(C, &kept[1])), (vec![A], vec![B]));
    three.nodes[A].recover(&three.volume, &*three.peers[A][C]).expect("recovered");
    three.push_little(C, A);
    assert_eq!(three.snapshots(A), three.snapshots(B));
    assert_eq!(three.snapshots(C), three.snapshots(B));
}

/// What happens once, right after somebody has looked at a dataset.
type Meanwhile = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A handle of the same kernel, and what happens meanwhile.
fn interrupted(zfs: &Zfs) -> (Zfs, Meanwhile) {
    let meanwhile = Meanwhile::default();
    let next = Arc::clone(&meanwhile);
    let door = Observe::new(Arc::clone(zfs.kernel())).after(move |call, _| {
        if matches!(call, Call::Ioctl { ioc, .. } if *ioc == Ioc::OBJSET_STATS) {
            let what = next.lock().expect("not poisoned").take();
            what.into_iter().for_each(|what| what());
        }
    });
    (Zfs::new(door), meanwhile)
}

fn who_looked_before_a_handoff_ended_does_not_move_the_volume(world: &World) {
    let (zfs, meanwhile) = interrupted(world.zfs());
    let open = |n: usize| {
        let root = world.dataset(&format!("node{n}"));
        Node::open(zfs.clone(), root, IDS[n]).expect("a node")
    };
    let nodes = [open(A), open(B), open(C)];
    let peers = [B, C].map(|n| world.peer(IDS[A], &nodes[n]));
    for (name, is_push) in [("pushed", true), ("handed-over", false)] {
        let volume = disk(&nodes[A], name);
        for peer in &peers {
            push(&nodes[A], &volume, peer).expect("pushed");
        }
        write(&nodes[A], &volume, 0, b"more");
        let (node, peer, moved) = (nodes[A].clone(), Arc::clone(&peers[0]), volume.clone());
        *meanwhile.lock().expect("not poisoned") = Some(Box::new(move || {
            let job = node.handoff(&moved, &peer, &PushOptions::new()).expect("a job");
            job.wait().expect("handed over");
        }));
        let outcome = match is_push {
            true => push(&nodes[A], &volume, &peers[1]).map(drop),
            false => {
                let job = nodes[A].handoff(&volume, &peers[0], &PushOptions::new());
                job.and_then(Job::wait).map(drop)
            }
        };
        refused(outcome, ErrorKind::NotOwner);
        let owns = |n: usize| {
            let found = nodes[n].get(&volume).expect("looked at").expect("there");
            found.is_owned_by(IDS[n])
        };
        assert_eq!([A, B, C].map(owns), [false, true, false]);
        let dataset = nodes[A].dataset(&volume).expect("a name");
        let properties = world.zfs().properties(&dataset).expect("there");
        assert_eq!(properties.text("readonly"), Some("on"), "two writers");
    }
}

fn of_two_handoffs_at_the_same_moment_one_wins(world: &World) {
    let three = three(world);
    let mut owner = A;
    for round in 1..6_u8 {
        three.write(owner, round);
        let others: Vec<usize> = (A..=C).filter(|node| *node != owner).collect();
        let ready = Barrier::new(others.len());
        let outcomes: Vec<(usize, Result<(), Error>)> = thread::scope(|scope| {
            let (three, ready) = (&three, &ready);
            let start = |to: usize| {
                scope.spawn(move || {
                    ready.wait();
                    let peer = &three.peers[owner][to];
                    let outcome = handoff(&three.nodes[owner], &three.volume, peer);
                    (to, outcome.map(drop))
                })
            };
            let threads: Vec<_> = others.iter().map(|to| start(*to)).collect();
            threads.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        let won: Vec<usize> =
            outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(to, _)| *to).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        for error in outcomes.into_iter().filter_map(|(_, outcome)| outcome.err()) {
            // The other goes on; or it was over when this one began.
            assert!(matches!(error.kind(), ErrorKind::InProgress | ErrorKind::NotOwner), "{error}");
        }
        let is_writable = |node: &usize| {
            let dataset = three.nodes[*node].dataset(&three.volume).expect("a name");
            let properties = world.zfs().properties(&dataset).expect("there");
            properties.text("readonly") == Some("off")
        };
        assert_eq!((A..=C).filter(is_writable).collect::<Vec<_>>(), won, "round {round}");
        owner = won[0];
        let info = three.nodes[owner].get(&three.volume).expect("looked at").expect("there");
        assert_eq!(info.ownership.epoch, u64::from(round) + 1);
        assert_eq!(read(&three.nodes[owner], &three.volume, 4 * MIB, 4), [round; 4]);
        // Who lost is as well off as before.
        for to in (A..=C).filter(|node| *node != owner) {
            three.push_little(owner, to);
        }
    }
}
