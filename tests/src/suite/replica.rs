//! A node's copy of what another node owns, destroyed: by no mistake, with nobody in the way, and made anew by the next push. The area `wire` runs all of it over connections.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::{
    Bandwidth, Node, NodeOptions, Peer, PushOptions, Recovered, VolumeName, VolumeSpec, VolumeState,
};
use zfsvol_core::zfs::{ReceiveOptions, SendOptions};
use zfsvol_core::{BusyReason, Bytes, ErrorKind};

use super::push::{
    MIB, Mishap, THERE, Two, Unlucky, all_snapshots, assert_owner, disk, handoff, name, push, read,
    two, write,
};
use crate::expect::{plain, refused, send_all};
use crate::volume::noise;
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_replica_is_destroyed_and_pushed_anew),
        case(a_replica_that_is_handed_a_volume_is_made_anew),
        case(what_one_owns_is_no_replica),
        case(what_is_no_replica_is_not_destroyed_as_one),
        case(a_replica_that_somebody_needs_is_not_destroyed),
        case(what_was_set_aside_keeps_the_replica_it_hangs_on),
        case(what_an_interrupted_push_left_goes_with_the_replica),
        case(what_a_first_receive_left_without_a_name_goes_where_it_was_a_push),
        case(a_replica_that_is_being_received_is_not_destroyed),
        case(a_replica_that_is_mounted_is_not_destroyed).needs(Need::RealModule).needs(Need::Root),
    ]
}

/// A volume of the first node with 4 MiB in it and a snapshot, which the second has.
fn pushed(two: &Two) -> VolumeName {
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 4 * MIB));
    two.here.snapshot(&volume, "kept").expect("taken");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    volume
}

fn is_there(node: &Node, volume: &VolumeName) -> bool {
    node.get(volume).expect("looked at").is_some()
}

fn state(node: &Node, volume: &VolumeName) -> VolumeState {
    node.get(volume).expect("looked at").expect("there").ownership.state
}

fn a_replica_is_destroyed_and_pushed_anew(world: &World) {
    let two = two(world);
    let volume = pushed(&two);
    assert!(two.there.destroy_replica(&volume).expect("destroyed"));
    assert!(!is_there(&two.there, &volume));
    assert!(!two.there.destroy_replica(&volume).expect("nothing there"));
    assert!(!two.there.destroy_replica(&name("none")).expect("nothing there"));
    refused(two.there.takeover(&volume), ErrorKind::NotFound);

    // The owner has all it needs, though nothing was written since.
    let all = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(all.bytes > Bytes::from_mib(4), "{}", all.bytes);
    assert_eq!(read(&two.there, &volume, 0, 4 * MIB), noise(1, 4 * MIB));
    assert_eq!(two.there.snapshots(&volume).expect("listed")[0].name, "kept");
    // From here on it is as if nothing had been.
    write(&two.here, &volume, 4 * MIB, b"more");
    let more = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(more.bytes < Bytes::from_mib(1), "{}", more.bytes);
    let (here, there) = (all_snapshots(&two.here, &volume), all_snapshots(&two.there, &volume));
    assert_eq!((here.len(), &here), (2, &there));
    let bookmarks = world.zfs().bookmarks(&two.here.dataset(&volume).expect("a name"));
    assert_eq!(bookmarks.expect("listed").len(), 1);
    assert_owner(&two, &volume, Some(two.here.id()));
}

fn a_replica_that_is_handed_a_volume_is_made_anew(world: &World) {
    let two = two(world);
    let volume = pushed(&two);
    assert!(two.there.destroy_replica(&volume).expect("destroyed"));
    handoff(&two.here, &volume, &two.to_there).expect("handed over");
    assert_owner(&two, &volume, Some(THERE));
    assert_eq!(read(&two.there, &volume, 0, 4 * MIB), noise(1, 4 * MIB));
    // Who was the owner has a replica now, and what it knew of the volume goes with that.
    refused(two.here.destroy(&volume), ErrorKind::NotOwner);
    assert!(two.here.destroy_replica(&volume).expect("destroyed"));
    assert!(!is_there(&two.here, &volume));
    handoff(&two.there, &volume, &two.to_here).expect("handed back");
    assert_owner(&two, &volume, Some(two.here.id()));
    assert_eq!(two.here.get(&volume).expect("looked at").expect("there").ownership.epoch, 3);
}

fn what_one_owns_is_no_replica(world: &World) {
    let two = two(world);
    let volume = pushed(&two);
    let error = refused(two.here.destroy_replica(&volume), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "cannot destroy the replica of the volume 'db': this node has it, and it is \
         owned; destroy the volume, if that is what should go"
    );
    // Nor is what is on its way to another node, as far as this one knows.
    let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::NoAnswerNoSettle);
    handoff(&two.here, &volume, &unlucky).expect_err("nothing was heard");
    assert!(matches!(state(&two.here, &volume), VolumeState::Leaving { .. }));
    let error = refused(two.here.destroy_replica(&volume), ErrorKind::Invalid);
    assert_eq!(error.help(), Some("recover it"));
    let recovered = two.here.recover(&volume, &*two.to_there).expect("recovered");
    assert_eq!(recovered, Recovered::HandedOver);
    assert!(two.here.destroy_replica(&volume).expect("destroyed"));
    refused(two.there.destroy_replica(&volume), ErrorKind::Invalid);
    two.here.destroy_replica(&volume).expect("nothing there");
    // What was taken over is owned.
    push(&two.there, &volume, &two.to_here).expect("pushed");
    two.here.takeover(&volume).expect("taken over");
    refused(two.here.destroy_replica(&volume), ErrorKind::Invalid);
    assert_eq!(read(&two.here, &volume, 0, 4 * MIB), noise(1, 4 * MIB));
}

fn what_is_no_replica_is_not_destroyed_as_one(world: &World) {
    let two = two(world);
    let volume = pushed(&two);
    let foreign = two.there.root().child("foreign").expect("a name");
    world.zfs().create_filesystem(&foreign, &plain()).expect("created");
    refused(two.there.destroy_replica(&name("foreign")), ErrorKind::Exists);
    // Somebody else changed it.
    let copy = two.there.dataset(&volume).expect("a name");
    let set = |property: &str, value: &str| {
        let properties = PropertySet::new().with(property, value).expect("a property");
        world.zfs().set_properties(&copy, &properties).expect("set");
    };
    set("zfsvol:state", "owned");
    let error = refused(two.there.destroy_replica(&volume), ErrorKind::NotOwner);
    assert!(error.to_string().contains("it is no replica"), "{error}");
    set("zfsvol:epoch", "many");
    refused(two.there.destroy_replica(&volume), ErrorKind::Corrupt);
    assert!(
        world.zfs().exists(&copy).expect("asked") && world.zfs().exists(&foreign).expect("asked")
    );
}

fn a_replica_that_somebody_needs_is_not_destroyed(world: &World) {
    let two = two(world);
    let volume = pushed(&two);
    let clone = name("clone");
    two.there.clone_volume(&volume, Some("kept"), &clone).expect("cloned");
    let newest = all_snapshots(&two.there, &volume).pop().expect("a snapshot");
    let newest = two.there.dataset(&volume).and_then(|one| Ok(one.snapshot(&newest)?));
    let newest = newest.expect("a name");
    world.zfs().hold(&[(newest.clone(), "backup")], None).expect("held");
    let error = refused(two.there.destroy_replica(&volume), ErrorKind::Busy);
    assert!(error.to_string().starts_with("cannot destroy the replica of the volume 'db': "));
    let in_the_way: Vec<&BusyReason> =
        error.failures().iter().flat_map(|failure| &failure.busy).collect();
    let clone_name = two.there.dataset(&clone).expect("a name").to_string();
    assert_eq!(in_the_way.len(), 2, "{error}");
    assert!(in_the_way.contains(&&BusyReason::Clones(vec![clone_name])), "{error}");
    assert!(error.to_string().contains("'backup'"), "{error}");

    // Nothing has changed: a push finds that.
    let again = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(again.bytes, Bytes::ZERO);
    assert!(two.there.destroy(&clone).expect("destroyed"));
    refused(two.there.destroy_replica(&volume), ErrorKind::Busy);
    world.zfs().release(&[(newest, "backup")]).expect("released");
    assert!(two.there.destroy_replica(&volume).expect("destroyed"));
}

fn what_was_set_aside_keeps_the_replica_it_hangs_on(world: &World) {
    let two = two(world);
    let volume = pushed(&two);
    write(&two.here, &volume, 0, b"lost?");
    two.there.takeover(&volume).expect("taken over");
    let recovered = two.here.recover(&volume, &*two.to_there).expect("recovered");
    let Recovered::Superseded { set_aside: Some(aside) } = recovered else {
        panic!("{recovered:?}")
    };
    let error = refused(two.here.destroy_replica(&volume), ErrorKind::Busy);
    assert!(error.to_string().contains(aside.as_str()), "{error}");
    assert_eq!(read(&two.here, &aside, 0, 5), b"lost?");
    assert!(two.here.destroy(&aside).expect("destroyed"));
    assert!(two.here.destroy_replica(&volume).expect("destroyed"));
    push(&two.there, &volume, &two.to_here).expect("pushed");
    assert_eq!(read(&two.here, &volume, 0, 4 * MIB), noise(1, 4 * MIB));
}

fn what_an_interrupted_push_left_goes_with_the_replica(world: &World) {
    let two = two(world);
    let cut = |volume: &VolumeName| {
        let unlucky: Arc<dyn Peer> = Unlucky::new(&two.to_there, Mishap::Cut(2 << 20));
        push(&two.here, volume, &unlucky).expect_err("it was cut");
        let copy = two.there.get(volume).expect("looked at").expect("there");
        assert!(copy.resume_token.is_some());
    };
    let gone_and_pushed = |volume: &VolumeName, bytes: usize| {
        assert!(two.there.destroy_replica(volume).expect("destroyed"));
        assert!(!two.there.destroy_replica(volume).expect("nothing there"));
        let pushed = push(&two.here, volume, &two.to_there).expect("pushed");
        assert!(pushed.bytes > Bytes::new(bytes as u64), "{}", pushed.bytes);
        assert_eq!(read(&two.there, volume, 0, bytes), noise(1, bytes));
    };
    // A first push, of which there is no snapshot yet; and an increment.
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 4 * MIB));
    cut(&volume);
    gone_and_pushed(&volume, 4 * MIB);
    write(&two.here, &volume, 0, &noise(1, 12 * MIB));
    cut(&volume);
    gone_and_pushed(&volume, 12 * MIB);
}

fn what_a_first_receive_left_without_a_name_goes_where_it_was_a_push(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, &noise(1, 4 * MIB));
    let engine_s = "zfsvol-push-0123456789abcdef";
    for (snapshot, is_push) in [(engine_s, true), ("somebody-s", false)] {
        let from = two.here.dataset(&volume).and_then(|one| Ok(one.snapshot(snapshot)?));
        let from = from.expect("a name");
        world.zfs().snapshot([&from], &plain()).expect("taken");
        let stream = send_all(world, &from, &SendOptions::full());
        let to = two.there.dataset(&volume).expect("a name");
        let options = ReceiveOptions::new().resumable();
        let receive = world.zfs().receive(&to.snapshot(snapshot).expect("a name"), &options);
        let mut receive = receive.expect("a receive");
        receive.write_all(&stream[..stream.len() * 3 / 4]).expect("written");
        refused(receive.finish(), ErrorKind::StreamTruncated);
        refused(two.there.get(&volume), ErrorKind::InProgress);
        if is_push {
            assert!(two.there.destroy_replica(&volume).expect("destroyed"));
        } else {
            let error = refused(two.there.destroy_replica(&volume), ErrorKind::Exists);
            assert!(error.to_string().contains("somebody-s"), "{error}");
            assert!(world.zfs().abort_receive(&to).expect("aborted"));
        }
        assert!(!is_there(&two.there, &volume));
    }
}

fn a_replica_that_is_being_received_is_not_destroyed(world: &World) {
    let two = two(world);
    let volume = pushed(&two);
    write(&two.here, &volume, 0, &noise(2, 8 * MIB));
    let slow = PushOptions::new().bandwidth(&Bandwidth::new(Bytes::from_mib(1)));
    let job = two.here.push(&volume, &two.to_there, &slow).expect("a job");
    while job.progress().bytes == Bytes::ZERO {
        assert!(!job.wait_for(Duration::from_millis(5)), "{:?}", job.wait());
    }
    let error = refused(two.there.destroy_replica(&volume), ErrorKind::InProgress);
    assert_eq!(error.target(), Some("db"));
    job.cancel();
    refused(job.wait(), ErrorKind::Cancelled);
    assert_eq!(read(&two.there, &volume, 0, 4 * MIB), noise(1, 4 * MIB));
    assert!(two.there.destroy_replica(&volume).expect("destroyed"));
}

fn a_replica_that_is_mounted_is_not_destroyed(world: &World) {
    let here = two(world).here;
    let options = NodeOptions::new().mountpoint(world.scratch().join("volumes"));
    let root = world.dataset("mounted");
    let there = Node::open_with(world.zfs().clone(), root, THERE, options).expect("a node");
    let volume = name("files");
    here.create(&volume, &VolumeSpec::file_system()).expect("a volume");
    push(&here, &volume, &world.peer(here.id(), &there)).expect("pushed");
    let path = there.mount(&volume).expect("mounted");
    let error = refused(there.destroy_replica(&volume), ErrorKind::Busy);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert!(there.unmount(&volume).expect("unmounted"));
    assert!(there.destroy_replica(&volume).expect("destroyed"));
}
