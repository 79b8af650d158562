//! Rollbacks of volumes that were pushed: what becomes of the snapshots of pushes, and of the replicas. The area `wire` runs all of it over connections.

use std::sync::Arc;

use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::{Node, Peer, Recovered, Uuid, VolumeName, VolumeSpec};
use zfsvol_core::zfs::Key;
use zfsvol_core::{Bytes, ErrorKind};

use super::push::{
    HERE, MIB, Mishap, THERE, Two, Unlucky, all_snapshots, assert_owner, disk, handoff, name, push,
    read, two, write,
};
use crate::expect::refused;
use crate::volume::noise;
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_pushed_volume_is_rolled_back_and_its_replica_follows),
        case(every_replica_follows_a_rollback),
        case(an_encrypted_replica_follows_a_rollback),
        case(a_push_after_a_rollback_leaves_the_old_content_until_the_new_one_is_there),
        case(a_rollback_leaves_what_somebody_else_needs),
        case(a_rollback_waits_for_no_push),
        case(a_replica_keeps_snapshots_that_its_owner_destroyed_to_go_back),
        case(what_was_written_behind_our_back_does_not_follow_a_rollback),
        case(what_an_owner_lost_is_not_taken_from_its_replica),
        case(what_was_undone_is_forgotten_with_the_next_owner),
    ]
}

/// A volume with two contents: one in the snapshot "good", and one after it, which only a push has in a snapshot.
fn gone_bad(two: &Two, volume: &str) -> VolumeName {
    let volume = disk(&two.here, volume);
    make_bad(two, &volume);
    volume
}

fn make_bad(two: &Two, volume: &VolumeName) {
    write(&two.here, volume, 0, b"good");
    two.here.snapshot(volume, "good").expect("taken");
    write(&two.here, volume, 0, b"bad!");
    push(&two.here, volume, &two.to_there).expect("pushed");
}

fn content(node: &Node, volume: &VolumeName) -> String {
    String::from_utf8(read(node, volume, 0, 4)).expect("text")
}

/// What is held of a copy, by anybody.
fn held(world: &World, node: &Node, volume: &VolumeName) -> Vec<String> {
    let dataset = node.dataset(volume).expect("a name");
    let is_held = |snapshot: &String| {
        let snapshot = dataset.snapshot(snapshot).expect("a name");
        !world.zfs().holds(&snapshot).expect("listed").is_empty()
    };
    all_snapshots(node, volume).into_iter().filter(is_held).collect()
}

fn a_pushed_volume_is_rolled_back_and_its_replica_follows(world: &World) {
    let two = two(world);
    for is_written in [false, true] {
        let volume = gone_bad(&two, &format!("db-{is_written}"));
        two.here.rollback(&volume, "good").expect("rolled back");
        assert_eq!(content(&two.here, &volume), "good");
        assert_eq!(all_snapshots(&two.here, &volume), ["good"]);
        if is_written {
            write(&two.here, &volume, MIB, b"more");
        }
        let pushed = push(&two.here, &volume, &two.to_there).expect("pushed");
        assert_eq!(pushed.sent.len(), 1);
        assert_eq!(content(&two.there, &volume), "good");
        assert_eq!(
            read(&two.here, &volume, 0, 2 * MIB),
            read(&two.there, &volume, 0, 2 * MIB),
            "{is_written}"
        );
        let ours = all_snapshots(&two.here, &volume);
        assert_eq!((ours.len(), &ours), (2, &all_snapshots(&two.there, &volume)));
        for node in [&two.here, &two.there] {
            assert_eq!(held(world, node, &volume), ours[1..]);
        }
        // And on, with nothing left of it.
        let again = push(&two.here, &volume, &two.to_there).expect("pushed");
        assert_eq!(again.sent, Vec::<String>::new());
        handoff(&two.here, &volume, &two.to_there).expect("handed over");
        write(&two.there, &volume, 0, b"new!");
        handoff(&two.there, &volume, &two.to_here).expect("handed back");
        assert_eq!(content(&two.here, &volume), "new!");
        assert_owner(&two, &volume, Some(HERE));
    }
}

fn every_replica_follows_a_rollback(world: &World) {
    let two = two(world);
    let third = Node::open(world.zfs().clone(), world.dataset("third"), Uuid::from_u128(0xc));
    let third = third.expect("a node");
    let to_third = world.peer(HERE, &third);
    let volume = gone_bad(&two, "db");
    push(&two.here, &volume, &to_third).expect("pushed");
    // One has a further one, and is rolled back twice.
    write(&two.here, &volume, 0, b"worse");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    for round in 0..2_u8 {
        two.here.rollback(&volume, "good").expect("rolled back");
        write(&two.here, &volume, MIB, &[round; 4]);
        push(&two.here, &volume, &two.to_there).expect("pushed");
        assert_eq!(content(&two.there, &volume), "good");
    }
    push(&two.here, &volume, &to_third).expect("pushed");
    for node in [&two.there, &third] {
        assert_eq!(read(node, &volume, 0, 2 * MIB), read(&two.here, &volume, 0, 2 * MIB));
        assert_eq!(all_snapshots(node, &volume), all_snapshots(&two.here, &volume));
    }
}

fn an_encrypted_replica_follows_a_rollback(world: &World) {
    let two = two(world);
    let volume = name("secret");
    let key = || Key::passphrase("correct horse").expect("a key");
    let spec = VolumeSpec::block(Bytes::from_mib(16)).sparse().key(key());
    two.here.create(&volume, &spec).expect("made");
    make_bad(&two, &volume);
    two.here.rollback(&volume, "good").expect("rolled back");
    write(&two.here, &volume, MIB, b"more");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let there = two.there.dataset(&volume).expect("a name");
    world.zfs().load_key(&there, &key()).expect("opened");
    assert_eq!(content(&two.there, &volume), "good");
    assert_eq!(read(&two.there, &volume, MIB, 4), b"more");
}

fn a_push_after_a_rollback_leaves_the_old_content_until_the_new_one_is_there(world: &World) {
    let two = two(world);
    let volume = gone_bad(&two, "db");
    two.here.rollback(&volume, "good").expect("rolled back");
    write(&two.here, &volume, MIB, &noise(1, 8 * MIB));
    for after in [1 << 20, 3 << 20] {
        let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(after));
        push(&two.here, &volume, &unlucky).expect_err("it was cut");
        assert_eq!(content(&two.there, &volume), "bad!");
        assert_eq!(all_snapshots(&two.there, &volume).len(), 2);
    }
    let rest = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(rest.bytes < Bytes::from_mib(7), "{} were sent again", rest.bytes);
    assert_eq!(content(&two.there, &volume), "good");
    assert_eq!(read(&two.there, &volume, MIB, 8 * MIB), noise(1, 8 * MIB));
    assert_eq!(all_snapshots(&two.there, &volume), all_snapshots(&two.here, &volume));
}

fn a_rollback_leaves_what_somebody_else_needs(world: &World) {
    let two = two(world);
    let volume = gone_bad(&two, "db");
    let dataset = two.here.dataset(&volume).expect("a name");
    let pushed = all_snapshots(&two.here, &volume).pop().expect("a snapshot");
    let pushed = dataset.snapshot(&pushed).expect("a name");
    let zfs = world.zfs();
    zfs.hold(&[(pushed.clone(), "mine")], None).expect("held");
    refused(two.here.rollback(&volume, "good"), ErrorKind::Busy);
    zfs.release(&[(pushed.clone(), "mine")]).expect("released");
    let clone = world.dataset("clone");
    zfs.create_clone(&clone, &pushed, &PropertySet::new()).expect("cloned");
    refused(two.here.rollback(&volume, "good"), ErrorKind::Busy);
    zfs.destroy(&clone).expect("destroyed");
    let bookmark = dataset.bookmark("mine").expect("a name");
    zfs.bookmark(&[(bookmark.clone(), pushed.into())]).expect("made");
    refused(two.here.rollback(&volume, "good"), ErrorKind::Busy);
    // Nothing was done.
    assert_eq!(held(world, &two.here, &volume).len(), 1);
    assert_eq!(zfs.bookmarks(&dataset).expect("listed").len(), 2);
    assert_eq!(content(&two.here, &volume), "bad!");
    zfs.destroy_bookmarks(&[bookmark]).expect("destroyed");
    two.here.rollback(&volume, "good").expect("rolled back");
}

fn a_rollback_waits_for_no_push(world: &World) {
    let two = two(world);
    let volume = gone_bad(&two, "db");
    write(&two.here, &volume, 0, &noise(1, 8 * MIB));
    let slow = zfsvol_core::volume::Bandwidth::new(Bytes::from_kib(64));
    let options = zfsvol_core::volume::PushOptions::new().bandwidth(&slow);
    let job = two.here.push(&volume, &two.to_there, &options).expect("a job");
    while job.progress().bytes == Bytes::ZERO {
        assert!(!job.progress().finished, "{job:?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    refused(two.here.rollback(&volume, "good"), ErrorKind::InProgress);
    job.cancel();
    job.wait().expect_err("it was cancelled");
    two.here.rollback(&volume, "good").expect("rolled back");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(content(&two.there, &volume), "good");
}

fn a_replica_keeps_snapshots_that_its_owner_destroyed_to_go_back(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"good");
    two.here.snapshot(&volume, "good").expect("taken");
    write(&two.here, &volume, 0, b"bad!");
    two.here.snapshot(&volume, "bad").expect("taken");
    write(&two.here, &volume, 0, b"worse");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    refused(two.here.rollback(&volume, "good"), ErrorKind::Busy);
    two.here.destroy_snapshots(&volume, &["bad"]).expect("destroyed");
    two.here.rollback(&volume, "good").expect("rolled back");
    let error = push(&two.here, &volume, &two.to_there).expect_err("there is more there");
    assert_eq!(
        (error.kind(), error.help()),
        (ErrorKind::DestinationModified, Some("destroy them there, and push again"))
    );
    assert_eq!(
        error.to_string(),
        "cannot push the volume 'db': the copy there has snapshots that this volume has not: 'bad'; destroy them there, and push again"
    );
    assert_eq!(all_snapshots(&two.there, &volume).len(), 3);
    assert_eq!(content(&two.there, &volume), "wors");
    two.there.destroy_snapshots(&volume, &["bad"]).expect("destroyed");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(content(&two.there, &volume), "good");
    assert_eq!(all_snapshots(&two.there, &volume), all_snapshots(&two.here, &volume));
}

fn what_was_written_behind_our_back_does_not_follow_a_rollback(world: &World) {
    let two = two(world);
    let volume = gone_bad(&two, "db");
    two.here.rollback(&volume, "good").expect("rolled back");
    let there = two.there.dataset(&volume).expect("a name");
    let set_readonly = |is_on: bool| {
        let properties = PropertySet::new().with("readonly", is_on).expect("a property");
        world.zfs().set_properties(&there, &properties).expect("set");
    };
    set_readonly(false);
    crate::volume::write(world.zfs(), &there, MIB as u64, b"mine");
    set_readonly(true);
    let error = push(&two.here, &volume, &two.to_there).expect_err("it was written to");
    assert_eq!(error.kind(), ErrorKind::DestinationModified);
    assert_eq!(read(&two.there, &volume, MIB, 4), b"mine");
    assert_eq!(all_snapshots(&two.there, &volume).len(), 2);
}

fn what_an_owner_lost_is_not_taken_from_its_replica(world: &World) {
    let two = two(world);
    let volume = gone_bad(&two, "db");
    // Not by a rollback of ours: as a pool that was taken back, or a disk that was put back.
    let (zfs, dataset) = (world.zfs(), two.here.dataset(&volume).expect("a name"));
    let pushed = all_snapshots(&two.here, &volume).pop().expect("a snapshot");
    let pushed = dataset.snapshot(&pushed).expect("a name");
    zfs.release(&[(pushed.clone(), format!("zfsvol:push:{THERE}").as_str())]).expect("released");
    zfs.destroy_snapshots([&pushed], Default::default()).expect("destroyed");
    let bookmarks = zfs.bookmarks(&dataset).expect("listed").into_iter().map(|one| one.name);
    zfs.destroy_bookmarks(&bookmarks.collect::<Vec<_>>()).expect("destroyed");
    zfs.rollback_to(&dataset.snapshot("good").expect("a name")).expect("rolled back");
    for _ in 0..2 {
        let error = push(&two.here, &volume, &two.to_there).expect_err("there is more there");
        assert_eq!(error.kind(), ErrorKind::DestinationModified, "{error}");
        assert!(error.help().is_some_and(|help| help.starts_with("take it over")), "{error:?}");
        assert_eq!(content(&two.there, &volume), "bad!");
        assert_eq!(held(world, &two.there, &volume).len(), 1);
        write(&two.here, &volume, MIB, b"more");
    }
    // What there is can be gone on with.
    two.there.takeover(&volume).expect("taken over");
    let recovered = two.here.recover(&volume, &*two.to_there).expect("recovered");
    assert!(matches!(recovered, Recovered::Superseded { set_aside: Some(_) }), "{recovered:?}");
    handoff(&two.there, &volume, &two.to_here).expect("handed back");
    assert_eq!(content(&two.here, &volume), "bad!");
}

fn what_was_undone_is_forgotten_with_the_next_owner(world: &World) {
    let two = two(world);
    let third = Node::open(world.zfs().clone(), world.dataset("third"), Uuid::from_u128(0xc));
    let third = third.expect("a node");
    let to_third = world.peer(HERE, &third);
    let volume = gone_bad(&two, "db");
    push(&two.here, &volume, &to_third).expect("pushed");
    two.here.rollback(&volume, "good").expect("rolled back");
    // The other goes on from what was undone here, and hands it back at some time: what the third has of it may not be taken away now.
    two.there.takeover(&volume).expect("taken over");
    assert_eq!(
        two.here.recover(&volume, &*two.to_there).expect("recovered"),
        Recovered::Superseded { set_aside: None }
    );
    two.here.takeover(&volume).expect("taken back");
    let error = push(&two.here, &volume, &to_third).expect_err("there is more there");
    assert_eq!(error.kind(), ErrorKind::DestinationModified, "{error}");
    assert_eq!(content(&third, &volume), "bad!");
}
