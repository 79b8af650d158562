//! What the listeners of nodes are told when volumes move: of which volume, on which side, and once. The area `wire` runs all of it over connections.

use std::sync::{Arc, Mutex};

use zfsvol_core::volume::VolumeEventKind::{
    Created, HandedOver, Pushed, Received, Renamed, ReplicaDestroyed, SetAside, Snapshotted,
    TakenOver,
};
use zfsvol_core::volume::{Node, NodeOptions, Peer, Recovered, Uuid, VolumeEventKind, VolumeName};

use super::push::{HERE, MIB, Mishap, THERE, Two, Unlucky, disk, handoff, name, push, write};
use crate::volume::noise;
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_push_is_told_on_both_sides),
        case(a_handoff_is_told_on_both_sides),
        case(a_handoff_that_does_not_come_to_pass_is_not_told),
        case(a_takeover_and_what_follows_are_told_where_they_happen),
        case(a_replica_that_goes_and_comes_again_is_told),
    ]
}

/// What one node told, since it was asked last.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(String, VolumeEventKind)>>>);

impl Told {
    fn node(&self, world: &World, root: &str, id: Uuid) -> Node {
        let told = self.clone();
        let options = NodeOptions::new().on_event(move |event| {
            let event = (event.volume.to_string(), event.kind.clone());
            told.0.lock().expect("not poisoned").push(event);
        });
        let root = world.dataset(root);
        Node::open_with(world.zfs().clone(), root, id, options).expect("a node")
    }

    /// What was told of that volume, and of no other.
    #[track_caller]
    fn of(&self, volume: &VolumeName) -> Vec<VolumeEventKind> {
        let all = std::mem::take(&mut *self.0.lock().expect("not poisoned"));
        let all = all.into_iter().map(|(name, kind)| {
            assert_eq!(name, volume.as_str(), "{kind:?}");
            kind
        });
        all.collect()
    }
}

/// Two nodes, and what they tell.
fn listened(world: &World) -> (Two, Told, Told) {
    let (at_here, at_there) = (Told::default(), Told::default());
    let here = at_here.node(world, "here", HERE);
    let there = at_there.node(world, "there", THERE);
    let (to_there, to_here) = (world.peer(HERE, &there), world.peer(THERE, &here));
    (Two { here, there, to_there, to_here }, at_here, at_there)
}

/// The names of the snapshots that came, of a node that was told of nothing else.
#[track_caller]
fn received(told: Vec<VolumeEventKind>) -> Vec<String> {
    let names = told.into_iter().map(|kind| match kind {
        Received(snapshot) => snapshot,
        other => panic!("{other:?}"),
    });
    names.collect()
}

fn a_push_is_told_on_both_sides(world: &World) {
    let (two, at_here, at_there) = listened(world);
    let volume = disk(&two.here, "db");
    two.here.snapshot(&volume, "kept").expect("taken");
    write(&two.here, &volume, 0, b"data");
    assert_eq!(at_here.of(&volume), [Created, Snapshotted("kept".into())]);
    assert_eq!(at_there.of(&volume), []);
    let pushed = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(at_here.of(&volume), [Pushed { to: THERE }]);
    assert_eq!(received(at_there.of(&volume)), pushed.sent);
    assert_eq!(pushed.sent[0], "kept");
    // That there was nothing to send is the same to who waits for the copy to be up to date.
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!((at_here.of(&volume), at_there.of(&volume)), (vec![Pushed { to: THERE }], vec![]));
    // What breaks off is not told of, and what goes on from it once.
    write(&two.here, &volume, 0, &noise(1, 8 * MIB));
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(5 << 20));
    push(&two.here, &volume, &unlucky).expect_err("it was cut");
    assert_eq!((at_here.of(&volume), at_there.of(&volume)), (vec![], vec![]));
    let pushed = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(at_here.of(&volume), [Pushed { to: THERE }]);
    assert_eq!(received(at_there.of(&volume)), pushed.sent);
    // A copy takes the name of what it is of: told by the name that it had.
    let renamed = name("renamed");
    two.here.rename(&volume, &renamed).expect("renamed");
    assert_eq!(at_here.of(&volume), [Renamed(renamed.clone())]);
    push(&two.here, &renamed, &two.to_there).expect("pushed");
    assert_eq!(at_here.of(&renamed), [Pushed { to: THERE }]);
    assert_eq!(at_there.of(&volume), [Renamed(renamed)]);
}

fn a_handoff_is_told_on_both_sides(world: &World) {
    let (two, at_here, at_there) = listened(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    let handed = handoff(&two.here, &volume, &two.to_there).expect("handed over");
    assert_eq!(at_here.of(&volume), [Created, HandedOver { to: THERE }]);
    let mut told = at_there.of(&volume);
    assert_eq!(told.pop(), Some(HandedOver { to: THERE }));
    assert_eq!(received(told), handed.sent);
    write(&two.there, &volume, 0, b"more");
    let handed = handoff(&two.there, &volume, &two.to_here).expect("handed back");
    assert_eq!(at_there.of(&volume), [HandedOver { to: HERE }]);
    let mut told = at_here.of(&volume);
    assert_eq!(told.pop(), Some(HandedOver { to: HERE }));
    assert_eq!(received(told), handed.sent);
    // Where the answer is lost, each side tells it when it knows it.
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::NoAnswerNoSettle);
    handoff(&two.here, &volume, &unlucky).expect_err("nothing was heard");
    assert_eq!(at_here.of(&volume), []);
    assert_eq!(at_there.of(&volume), [HandedOver { to: THERE }]);
    let recovered = two.here.recover(&volume, &*two.to_there).expect("recovered");
    assert_eq!(recovered, Recovered::HandedOver);
    two.here.recover(&volume, &*two.to_there).expect("again");
    assert_eq!(at_here.of(&volume), [HandedOver { to: THERE }]);
    assert_eq!(at_there.of(&volume), []);
}

fn a_handoff_that_does_not_come_to_pass_is_not_told(world: &World) {
    let (two, at_here, at_there) = listened(world);
    let volume = disk(&two.here, "db");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    for told in [&at_here, &at_there] {
        told.of(&volume);
    }
    for mishap in [Mishap::NoAccept, Mishap::NoAcceptNoSettle] {
        let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, mishap);
        handoff(&two.here, &volume, &unlucky).expect_err("it was not offered");
        two.here.recover(&volume, &*two.to_there).expect("recovered");
        assert_eq!((at_here.of(&volume), at_there.of(&volume)), (vec![], vec![]), "{mishap:?}");
    }
}

fn a_takeover_and_what_follows_are_told_where_they_happen(world: &World) {
    let (two, at_here, at_there) = listened(world);
    let volume = disk(&two.here, "db");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    for told in [&at_here, &at_there] {
        told.of(&volume);
    }
    // Who was the owner is not asked, and learns it when it recovers.
    two.there.takeover(&volume).expect("taken over");
    assert_eq!((at_here.of(&volume), at_there.of(&volume)), (vec![], vec![TakenOver]));
    write(&two.here, &volume, 0, b"lost?");
    let recovered = two.here.recover(&volume, &*two.to_there).expect("recovered");
    let Recovered::Superseded { set_aside: Some(aside) } = recovered else {
        panic!("{recovered:?}")
    };
    assert_eq!((at_here.of(&volume), at_there.of(&volume)), (vec![SetAside(aside)], vec![]));
    // The failback.
    write(&two.there, &volume, 0, b"newer");
    let handed = handoff(&two.there, &volume, &two.to_here).expect("handed back");
    assert_eq!(at_there.of(&volume), [HandedOver { to: HERE }]);
    let mut told = at_here.of(&volume);
    assert_eq!(told.pop(), Some(HandedOver { to: HERE }));
    assert_eq!(received(told), handed.sent);
    // Who had nothing of its own has nothing set aside.
    two.there.takeover(&volume).expect("taken over");
    let recovered = two.here.recover(&volume, &*two.to_there).expect("recovered");
    assert_eq!(recovered, Recovered::Superseded { set_aside: None });
    assert_eq!(at_there.of(&volume), [TakenOver]);
    assert_eq!(at_here.of(&volume), [HandedOver { to: THERE }]);
}

fn a_replica_that_goes_and_comes_again_is_told(world: &World) {
    let (two, at_here, at_there) = listened(world);
    let volume = disk(&two.here, "db");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    for told in [&at_here, &at_there] {
        told.of(&volume);
    }
    assert!(two.there.destroy_replica(&volume).expect("destroyed"));
    assert!(!two.there.destroy_replica(&volume).expect("nothing there"));
    assert_eq!((at_here.of(&volume), at_there.of(&volume)), (vec![], vec![ReplicaDestroyed]));
    let pushed = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(at_here.of(&volume), [Pushed { to: THERE }]);
    assert_eq!(received(at_there.of(&volume)), pushed.sent);
}
