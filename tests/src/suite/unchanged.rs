//! Pushes of volumes that have not changed: what finding that out costs, and what is not overlooked. The area `wire` runs all of it over connections.

use std::sync::{Arc, Mutex};

use zfsvol_core::kernel::{Call, Ioc, Observe};
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::{Node, Peer, PushOptions, Uuid, VolumeName, VolumeSpec};
use zfsvol_core::{Bytes, Zfs};

use super::push::{all_snapshots, disk, name, push, read, write};
use crate::expect::plain;
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_push_of_an_unchanged_volume_takes_four_ioctls_here_and_two_there),
        case(a_push_brings_back_what_somebody_took_away_from_it),
        case(a_push_of_an_unchanged_volume_brings_its_properties),
        case(a_snapshot_of_nothing_new_is_pushed),
        case(a_snapshot_taken_anew_under_the_same_name_is_not_taken_for_the_old_one),
        case(a_replica_that_lost_its_newest_snapshot_gets_it_again),
    ]
}

const HERE: Uuid = Uuid::from_u128(0xa);
const THERE: Uuid = Uuid::from_u128(0xb);

type Calls = Arc<Mutex<Vec<Ioc>>>;

/// Two nodes, what each asks of the kernel, and one as the other's peer.
struct Two {
    here: Node,
    there: Node,
    to_there: Arc<dyn Peer>,
    calls_here: Calls,
    calls_there: Calls,
}

fn two(world: &World) -> Two {
    let open = |root, id| {
        let calls = Calls::default();
        let log = Arc::clone(&calls);
        let door = Observe::new(Arc::clone(world.zfs().kernel())).before(move |call| {
            if let Call::Ioctl { ioc, .. } = call {
                log.lock().expect("the log").push(*ioc);
            }
            Ok(())
        });
        (Node::open(Zfs::new(door), world.dataset(root), id).expect("a node"), calls)
    };
    let ((here, calls_here), (there, calls_there)) = (open("here", HERE), open("there", THERE));
    let to_there = world.peer(HERE, &there);
    Two { here, there, to_there, calls_here, calls_there }
}

impl Two {
    /// The ioctls of a push, here and there.
    fn calls(&self, volume: &VolumeName) -> (Vec<Ioc>, Vec<Ioc>) {
        for calls in [&self.calls_here, &self.calls_there] {
            calls.lock().expect("the log").clear();
        }
        let pushed = push(&self.here, volume, &self.to_there).expect("pushed");
        assert_eq!((pushed.sent.len(), pushed.bytes), (0, Bytes::ZERO));
        let take = |calls: &Calls| std::mem::take(&mut *calls.lock().expect("the log"));
        (take(&self.calls_here), take(&self.calls_there))
    }

    fn assert_fewest(&self, volume: &VolumeName) {
        let here =
            [Ioc::POOL_SYNC, Ioc::OBJSET_STATS, Ioc::OBJSET_STATS, Ioc::GET_BOOKMARKS].to_vec();
        let there = [Ioc::OBJSET_STATS; 2].to_vec();
        assert_eq!(self.calls(volume), (here, there));
    }
}

fn a_push_of_an_unchanged_volume_takes_four_ioctls_here_and_two_there(world: &World) {
    let two = two(world);
    let files = name("files");
    let spec = VolumeSpec::file_system().quota(Bytes::from_mib(64)).properties(&plain());
    two.here.create(&files, &spec).expect("made");
    let block = disk(&two.here, "block");
    write(&two.here, &block, 0, b"data");
    for volume in [&files, &block] {
        let first = push(&two.here, volume, &two.to_there).expect("pushed");
        two.assert_fewest(volume);
        let again = push(&two.here, volume, &two.to_there).expect("pushed");
        assert_eq!(again.snapshot, first.snapshot);
        // However many snapshots there are.
        for number in 0..5 {
            two.here.snapshot(volume, &format!("s{number}")).expect("taken");
        }
        push(&two.here, volume, &two.to_there).expect("pushed");
        two.assert_fewest(volume);
    }
    // What is written is seen again.
    write(&two.here, &block, 0, b"more");
    let more = push(&two.here, &block, &two.to_there).expect("pushed");
    assert_eq!(more.sent.len(), 1);
    assert_eq!(read(&two.there, &block, 0, 4), b"more");
    two.assert_fewest(&block);
}

fn a_push_brings_back_what_somebody_took_away_from_it(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let base = |node: &Node| {
        let dataset = node.dataset(&volume).expect("a name");
        dataset.snapshot(&all_snapshots(node, &volume)[0]).expect("a name")
    };
    let holds = |node: &Node| world.zfs().holds(&base(node)).expect("listed").len();
    for (node, other) in [(&two.here, THERE), (&two.there, HERE)] {
        let tag = format!("zfsvol:push:{other}");
        world.zfs().release(&[(base(node), tag.as_str())]).expect("released");
        assert_eq!(holds(node), 0);
        push(&two.here, &volume, &two.to_there).expect("pushed");
        assert_eq!(holds(node), 1);
    }
    let dataset = two.here.dataset(&volume).expect("a name");
    let bookmarks = || world.zfs().bookmarks(&dataset).expect("listed");
    let names: Vec<_> = bookmarks().into_iter().map(|one| one.name).collect();
    world.zfs().destroy_bookmarks(&names).expect("destroyed");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(bookmarks().len(), 1);
    two.assert_fewest(&volume);
}

fn a_push_of_an_unchanged_volume_brings_its_properties(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let set = |node: &Node, tier: &str| {
        let properties = PropertySet::new().with("com.example:tier", tier).expect("a property");
        let dataset = node.dataset(&volume).expect("a name");
        world.zfs().set_properties(&dataset, &properties).expect("set");
    };
    let tier = || {
        let dataset = two.there.dataset(&volume).expect("a name");
        let found = world.zfs().property(&dataset, "com.example:tier").expect("there");
        found.map(|one| one.value.to_string())
    };
    // Set by the owner; changed on the copy; and not set by the owner any more.
    set(&two.here, "gold");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(tier().as_deref(), Some("gold"));
    set(&two.there, "tin");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(tier().as_deref(), Some("gold"));
    two.assert_fewest(&volume);
    let dataset = two.here.dataset(&volume).expect("a name");
    world.zfs().inherit_property(&dataset, "com.example:tier").expect("inherited");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    assert_eq!(tier(), None);
    two.assert_fewest(&volume);
}

fn a_snapshot_of_nothing_new_is_pushed(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    two.here.snapshot(&volume, "empty").expect("taken");
    let pushed = push(&two.here, &volume, &two.to_there).expect("pushed");
    assert!(pushed.sent.iter().any(|one| one == "empty"), "{pushed:?}");
    assert_eq!(two.there.snapshots(&volume).expect("listed").len(), 1);
}

fn a_snapshot_taken_anew_under_the_same_name_is_not_taken_for_the_old_one(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"old");
    two.here.snapshot(&volume, "s").expect("taken");
    // The second push finds the snapshot there, and begins from it from now on.
    for _ in 0..2 {
        push(&two.here, &volume, &two.to_there).expect("pushed");
    }
    let dataset = two.here.dataset(&volume).expect("a name");
    let names = all_snapshots(&two.here, &volume);
    let base = dataset.snapshot(names.last().expect("a snapshot")).expect("a name");
    let tag = format!("zfsvol:push:{THERE}");
    world.zfs().release(&[(base.clone(), tag.as_str())]).expect("released");
    world.zfs().destroy_snapshots([&base], Default::default()).expect("destroyed");
    write(&two.here, &volume, 0, b"new");
    world.zfs().snapshot([&base], &PropertySet::new()).expect("taken");
    let keep = world.zfs().hold(&[(base, "mine")], None);
    keep.expect("held");
    // It has the name of what the peer has, and is another: to say that nothing has changed would be wrong.
    let outcome = two.here.push(&volume, &two.to_there, &PushOptions::new()).expect("a job").wait();
    assert!(outcome.is_err() || read(&two.there, &volume, 0, 3) == b"new", "{outcome:?}");
}

fn a_replica_that_lost_its_newest_snapshot_gets_it_again(world: &World) {
    let two = two(world);
    let volume = disk(&two.here, "db");
    write(&two.here, &volume, 0, b"data");
    two.here.snapshot(&volume, "kept").expect("taken");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    write(&two.here, &volume, 0, b"more");
    push(&two.here, &volume, &two.to_there).expect("pushed");
    let dataset = two.there.dataset(&volume).expect("a name");
    let newest = all_snapshots(&two.there, &volume).pop().expect("a snapshot");
    let newest = dataset.snapshot(&newest).expect("a name");
    let tag = format!("zfsvol:push:{HERE}");
    world.zfs().release(&[(newest.clone(), tag.as_str())]).expect("released");
    world.zfs().rollback_to(&newest).expect("rolled back");
    world.zfs().destroy_snapshots([&newest], Default::default()).expect("destroyed");
    // What it has since "kept" is there without a snapshot of it: it was written behind our back.
    let error = push(&two.here, &volume, &two.to_there).expect_err("it is not what it was");
    assert_eq!(error.kind(), zfsvol_core::ErrorKind::DestinationModified, "{error}");
}
