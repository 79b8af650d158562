//! Takeovers: the owner of a volume is gone, another node has it, and what becomes of the old one when it is there again. The area `wire` runs all of it over connections.

use std::sync::Arc;

use zfsvol_core::kernel::{Errno, Fault, FaultRule, Ioc};
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::{Node, Peer, Recovered, Uuid, VolumeName};
use zfsvol_core::{Bytes, ErrorKind, Zfs};

use super::push::{
    HERE, MIB, Mishap, THERE, Two, Unlucky, all_snapshots, assert_owner, disk, handoff, name, push,
    read, two, write,
};
use crate::expect::{plain, refused};
use crate::volume::noise;
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_takeover_makes_the_replica_writable),
        case(a_takeover_of_one_s_own_volume_is_refused),
        case(what_was_taken_over_is_rolled_back),
        case(a_takeover_needs_no_room),
        case(a_takeover_needs_no_room_in_a_name),
        case(an_owner_that_comes_back_keeps_what_it_had_written),
        case(an_owner_that_comes_back_with_nothing_new_is_a_replica),
        case(an_owner_that_dies_while_it_steps_back_is_recovered_again),
        case(what_was_set_aside_goes_back_though_nothing_new_was_pushed),
        case(what_was_set_aside_has_nothing_of_pushes),
        case(a_volume_taken_over_while_it_was_leaving_loses_nothing),
        case(of_two_nodes_that_took_over_at_once_one_steps_back),
        case(an_owner_that_forgot_its_epoch_learns_it_again),
        case(a_clone_that_died_half_way_leaves_nothing_once_recovered),
    ]
}

fn a_takeover_makes_the_replica_writable(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let ownership = two.there.takeover(&volume).expect("taken over");
    assert_eq!((ownership.owner, ownership.epoch), (THERE, 2));
    assert_eq!(read(&two.there, &volume, 0, 4), b"data");
    write(&two.there, &volume, 0, b"mine");
    // Who was the owner does not know yet, and is told.
    write(&two.here, &volume, 0, b"ours");
    let error = push(&two.here, &volume, &two.to_there).expect_err("it has a new owner");
    assert_eq!(error.kind(), ErrorKind::NotOwner);
    assert_eq!(error.help(), Some("recover it here"));
    let error = push(&two.there, &volume, &two.to_here).expect_err("it had an owner");
    assert_eq!(error.kind(), ErrorKind::NotOwner);
    assert_eq!(error.help(), Some("recover it there"));
}

fn a_takeover_of_one_s_own_volume_is_refused(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    refused(two.here.takeover(&volume), ErrorKind::Invalid);
    refused(two.here.takeover(&name("none")), ErrorKind::NotFound);
}

fn what_was_taken_over_is_rolled_back(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    for (seed, snapshot) in [(1, "good"), (2, "bad")] {
        write(&two.here, &volume, 0, &noise(seed, MIB));
        two.here.snapshot(&volume, snapshot).expect("taken");
    }
    write(&two.here, &volume, 0, &noise(3, 8 * MIB));
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(5 << 20));
    push(&two.here, &volume, &unlucky).expect_err("it was cut");
    two.there.takeover(&volume).expect("taken over");
    refused(two.there.rollback(&volume, "good"), ErrorKind::Busy);
    two.there.destroy_snapshots(&volume, &["bad"]).expect("destroyed");
    // The bookmark of a stranger is not ours to destroy.
    let dataset = two.there.dataset(&volume).expect("a name");
    write(&two.there, &volume, 0, &noise(4, MIB));
    let theirs = crate::volume::snapshot(world.zfs(), &dataset, "theirs");
    let bookmark = dataset.bookmark("theirs").expect("a name");
    world.zfs().bookmark(&[(bookmark.clone(), theirs.into())]).expect("made");
    two.there.destroy_snapshots(&volume, &["theirs"]).expect("destroyed");
    refused(two.there.rollback(&volume, "good"), ErrorKind::Busy);
    world.zfs().destroy_bookmarks(&[bookmark]).expect("destroyed");
    two.there.rollback(&volume, "good").expect("rolled back");
    assert_eq!(read(&two.there, &volume, 0, MIB), noise(1, MIB));
}

fn a_takeover_needs_no_room(world: &World) {
    let small = world.new_pool("small", Bytes::from_mib(96));
    let here = two(world).here;
    let root = small.root().child("node").expect("a name");
    let there = Node::open(world.zfs().clone(), root, Uuid::from_u128(0xd)).expect("a node");
    let volume = disk(&here, "db");
    write(&here, &volume, 0, b"data");
    push(&here, &volume, &world.peer(HERE, &there)).expect("pushed");
    // Reserved to the last block.
    let reserve = small.root().child("reserve").expect("a name");
    world.zfs().create_filesystem(&reserve, &plain()).expect("created");
    let free = world.zfs().properties(&small.root()).expect("there").bytes("available");
    let all = PropertySet::new().with("reservation", free.expect("a number")).expect("a property");
    world.zfs().set_properties(&reserve, &all).expect("reserved");
    let snapshot = small.root().snapshot("one").expect("a name");
    refused(world.zfs().snapshot([&snapshot], &PropertySet::new()), ErrorKind::NoSpace);
    there.takeover(&volume).expect("taken over");
    assert_eq!(read(&there, &volume, 0, 4), b"data");
    there.destroy(&volume).expect("destroyed");
}

fn a_takeover_needs_no_room_in_a_name(world: &World) {
    let here = two(world).here;
    // What is below has room for the names of snapshots, and none for those of bookmarks.
    let root = world.root();
    let root = root.child(&"n".repeat(196 - root.as_str().len())).expect("a name");
    let there = Node::open(world.zfs().clone(), root, Uuid::from_u128(0xd)).expect("a node");
    let (to_there, to_here) = (world.peer(HERE, &there), world.peer(there.id(), &here));
    let volume = disk(&here, "db");
    write(&here, &volume, 0, b"data");
    push(&here, &volume, &to_there).expect("pushed");
    there.takeover(&volume).expect("taken over");
    let dataset = there.dataset(&volume).expect("a name");
    assert_eq!(world.zfs().bookmarks(&dataset).expect("listed"), []);
    // What is held is enough to begin from.
    let recovered = here.recover(&volume, &*to_there).expect("recovered");
    assert_eq!(recovered, Recovered::Superseded { set_aside: None });
    write(&there, &volume, 0, b"more");
    push(&there, &volume, &to_here).expect("pushed");
    assert_eq!(read(&here, &volume, 0, 4), b"more");
}

fn an_owner_that_comes_back_keeps_what_it_had_written(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 4 * MIB));
    push(&two.here, &volume, &two.to_there).expect("pushed");
    write(&two.here, &volume, 0, b"lost?");
    two.here.snapshot(&volume, "lost").expect("taken");
    two.there.takeover(&volume).expect("taken over");
    write(&two.there, &volume, 0, b"newer");

    let recovered = two.here.recover(&volume, &*two.to_there).expect("recovered");
    let Recovered::Superseded { set_aside: Some(aside) } = recovered else {
        panic!("{recovered:?}")
    };
    assert_eq!(read(&two.here, &aside, 0, 5), b"lost?");
    assert_eq!(two.here.snapshots(&aside).expect("listed").len(), 1);
    assert_owner(&two, &volume, Some(THERE));
    assert_eq!(two.here.recover(&volume, &*two.to_there).expect("again"), Recovered::Nothing);

    // What both had is there still: little is sent.
    let back = handoff(&two.there, &volume, &two.to_here).expect("handed back");
    assert!(back.bytes < Bytes::from_mib(1), "{}", back.bytes);
    assert_owner(&two, &volume, Some(HERE));
    assert_eq!(read(&two.here, &volume, 0, 5), b"newer");
    assert_eq!(read(&two.here, &aside, 0, 5), b"lost?");
    assert!(two.here.destroy(&aside).expect("destroyed"));
}

fn an_owner_that_comes_back_with_nothing_new_is_a_replica(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    two.there.takeover(&volume).expect("taken over");
    let recovered = two.here.recover(&volume, &*two.to_there).expect("recovered");
    assert_eq!(recovered, Recovered::Superseded { set_aside: None });
    assert_owner(&two, &volume, Some(THERE));
    write(&two.there, &volume, 0, b"more");
    push(&two.there, &volume, &two.to_here).expect("pushed");
    assert_eq!(read(&two.here, &volume, 0, 4), b"more");
}

fn an_owner_that_dies_while_it_steps_back_is_recovered_again(world: &World) {
    let two = two(world);
    for (n, ioc) in [Ioc::RENAME, Ioc::SET_PROP, Ioc::CLONE, Ioc::PROMOTE].into_iter().enumerate() {
        let volume = disk(&two.here, &format!("db{n}"));
        write(&two.here, &volume, 0, &noise(1, MIB));
        push(&two.here, &volume, &two.to_there).expect("pushed");
        write(&two.here, &volume, 0, b"alone");
        two.there.takeover(&volume).expect("taken over");
        write(&two.there, &volume, MIB, b"newer");
        let fault =
            Fault::new(world.zfs().kernel().clone()).rule(FaultRule::new(Errno::EIO).ioc(ioc));
        let root = two.here.root().clone();
        let dying = Node::open(Zfs::new(fault), root, HERE).expect("a node");
        dying.recover(&volume, &*two.to_there).expect_err("it died");

        // Whatever it is called by now: everything that this node still believes to own is recovered.
        for found in two.here.list().expect("listed").volumes {
            two.here.recover(&found.name, &*two.to_there).expect("recovered");
        }
        handoff(&two.there, &volume, &two.to_here).expect("handed back");
        assert_owner(&two, &volume, Some(HERE));
        assert_eq!(read(&two.here, &volume, 0, MIB), noise(1, MIB));
        assert_eq!(read(&two.here, &volume, MIB, 5), b"newer");
        let kept =
            two.here.list().expect("listed").volumes.into_iter().any(|found| {
                found.name != volume && read(&two.here, &found.name, 0, 5) == b"alone"
            });
        assert!(kept, "what it alone had is gone after {ioc}");
    }
}

/// A volume that the other node took over, with something written here that is not there.
fn diverged(two: &Two, volume: &str) -> VolumeName {
    let volume = disk(&two.here, volume);
    write(&two.here, &volume, 0, &noise(1, MIB));
    push(&two.here, &volume, &two.to_there).expect("pushed");
    write(&two.here, &volume, MIB, b"alone");
    two.there.takeover(&volume).expect("taken over");
    volume
}

fn set_aside(two: &Two, volume: &VolumeName) -> VolumeName {
    match two.here.recover(volume, &*two.to_there).expect("recovered") {
        Recovered::Superseded { set_aside: Some(aside) } => aside,
        other => panic!("{other:?}"),
    }
}

fn what_was_set_aside_goes_back_though_nothing_new_was_pushed(world: &World) {
    let two = two(world);
    let volume = diverged(&two, "db");
    let aside = set_aside(&two, &volume);
    // The replica is a clone. On OpenZFS the log of a zvol's clone is reset, which counts as written.
    let back = handoff(&two.there, &volume, &two.to_here).expect("handed back");
    assert_eq!(back.sent, Vec::<String>::new());
    assert_owner(&two, &volume, Some(HERE));
    assert_eq!(read(&two.here, &volume, 0, MIB), noise(1, MIB));
    assert_eq!(read(&two.here, &aside, MIB, 5), b"alone");
}

fn what_was_set_aside_has_nothing_of_pushes(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 4 * MIB));
    push(&two.here, &volume, &two.to_there).expect("pushed");
    write(&two.here, &volume, 0, &noise(2, 4 * MIB));
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(1 << 20));
    push(&two.here, &volume, &unlucky).expect_err("it was cut");
    two.there.takeover(&volume).expect("taken over");
    let aside = set_aside(&two, &volume);
    assert_eq!(all_snapshots(&two.here, &aside), Vec::<String>::new());
    let dataset = two.here.dataset(&aside).expect("a name");
    assert_eq!(world.zfs().bookmarks(&dataset).expect("listed"), []);
    assert_eq!(read(&two.here, &aside, 0, 4 * MIB), noise(2, 4 * MIB));
    assert_eq!(all_snapshots(&two.here, &volume).len(), 1);
}

fn a_volume_taken_over_while_it_was_leaving_loses_nothing(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    write(&two.here, &volume, MIB, b"alone");
    // The owner died in a handoff, when it had stopped writing and not yet pushed the rest.
    let leaving = PropertySet::new()
        .with("zfsvol:state", format!("leaving {THERE} 2"))
        .and_then(|set| set.with("readonly", true))
        .expect("properties");
    world.zfs().set_properties(&two.here.dataset(&volume).expect("a name"), &leaving).expect("set");
    two.there.takeover(&volume).expect("taken over");
    write(&two.there, &volume, 0, b"more");
    let aside = set_aside(&two, &volume);
    assert_eq!(read(&two.here, &aside, MIB, 5), b"alone");
    assert_owner(&two, &volume, Some(THERE));
    handoff(&two.there, &volume, &two.to_here).expect("handed back");
    assert_eq!(read(&two.here, &volume, 0, 4), b"more");
}

fn of_two_nodes_that_took_over_at_once_one_steps_back(world: &World) {
    let two = two(world);
    const THIRD: Uuid = Uuid::from_u128(0xc);
    let third = Node::open(world.zfs().clone(), world.dataset("third"), THIRD).expect("a node");
    let to_third = world.peer(HERE, &third);
    let third_to_there = world.peer(THIRD, &two.there);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    push(&two.here, &volume, &to_third).expect("pushed");
    // Neither knows of the other, and both have the same epoch.
    for node in [&two.there, &third] {
        assert_eq!(node.takeover(&volume).expect("taken over").epoch, 2);
    }
    write(&two.there, &volume, MIB, b"two");
    write(&third, &volume, MIB, b"three");
    let error = push(&two.there, &volume, &to_third).expect_err("it is another's");
    assert_eq!((error.kind(), error.help()), (ErrorKind::NotOwner, Some("recover it here")));
    let error = push(&third, &volume, &third_to_there).expect_err("it has an owner");
    assert_eq!((error.kind(), error.help()), (ErrorKind::NotOwner, Some("recover it there")));
    assert_eq!(third.recover(&volume, &*third_to_there).expect("recovered"), Recovered::Nothing);
    let recovered = two.there.recover(&volume, &*to_third).expect("recovered");
    let Recovered::Superseded { set_aside: Some(aside) } = recovered else {
        panic!("{recovered:?}")
    };
    assert_eq!(read(&two.there, &aside, MIB, 3), b"two");
    push(&third, &volume, &third_to_there).expect("pushed");
    assert_eq!(read(&two.there, &volume, MIB, 5), b"three");
}

fn an_owner_that_forgot_its_epoch_learns_it_again(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    handoff(&two.there, &volume, &two.to_here).expect("handed back");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    // As when the pool is taken back to a checkpoint.
    let older = PropertySet::new().with("zfsvol:epoch", "1").expect("a property");
    world.zfs().set_properties(&two.here.dataset(&volume).expect("a name"), &older).expect("set");
    assert_eq!(
        push(&two.here, &volume, &two.to_there).expect_err("an older epoch").help(),
        Some("recover it here")
    );
    let recovered = two.here.recover(&volume, &*two.to_there).expect("recovered");
    assert_eq!(recovered, Recovered::TakenBack);
    assert_eq!(two.here.get(&volume).expect("looked at").expect("there").ownership.epoch, 3);
    assert_owner(&two, &volume, Some(HERE));
    push(&two.here, &volume, &two.to_there).expect("pushed");
}

fn a_clone_that_died_half_way_leaves_nothing_once_recovered(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    let dataset = two.here.dataset(&volume).expect("a name");
    for (n, ioc) in [Ioc::CLONE, Ioc::DESTROY_SNAPS].into_iter().enumerate() {
        // What cleans up after the clone dies with it.
        let fault = Fault::new(world.zfs().kernel().clone())
            .rule(FaultRule::new(Errno::EIO).ioc(ioc))
            .rule(FaultRule::new(Errno::EIO).ioc(Ioc::DESTROY_SNAPS));
        let dying = Node::open(Zfs::new(fault), two.here.root().clone(), HERE).expect("a node");
        let clone = name(&format!("clone{n}"));
        dying.clone_volume(&volume, None, &clone).expect_err("it died");
        assert_eq!(all_snapshots(&two.here, &volume).len(), 1);
        two.here.recover(&volume, &*two.to_there).expect("recovered");
        if let Some(made) = two.here.get(&clone).expect("looked at") {
            assert!(two.here.destroy(&made.name).expect("destroyed"));
        }
        assert_eq!(all_snapshots(&two.here, &volume), Vec::<String>::new(), "'{dataset}'");
    }
}
