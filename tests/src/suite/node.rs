//! Nodes and their volumes: whose they are, how large, what they hold; no transfer.

use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zfsvol_core::kernel::Access;
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::retention::{Need as Needed, Reason};
use zfsvol_core::volume::{
    Node, NodeOptions, Retention, Size, Uuid, VolumeEventKind, VolumeKind, VolumeName, VolumeSpec,
    VolumeState,
};
use zfsvol_core::{BusyReason, Bytes, ErrorKind};

use crate::expect::{file_system, plain, refused};
use crate::volume::noise;
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_node_makes_its_root_and_finds_it_again),
        case(a_root_of_another_node_is_refused),
        case(a_root_that_no_node_made_is_adopted_only_when_asked),
        case(a_zvol_is_no_root),
        case(a_new_volume_is_owned_and_writable),
        case(a_volume_of_a_name_that_is_taken_exists),
        case(two_names_are_two_volumes),
        case(one_name_in_two_namespaces_is_two_volumes),
        case(properties_of_the_engine_are_not_the_caller_s),
        case(a_block_volume_is_reserved_unless_sparse),
        case(volumes_are_listed_and_foreign_datasets_are_not),
        case(a_volume_that_somebody_else_changed_is_told),
        case(a_volume_of_another_node_is_left_alone),
        case(a_quota_is_set_changed_and_removed),
        case(a_quota_below_what_is_held_is_refused),
        case(a_block_volume_grows_and_does_not_shrink),
        case(snapshots_are_taken_listed_and_destroyed),
        case(names_of_the_engine_s_snapshots_are_refused),
        case(a_rollback_brings_back_what_was),
        case(a_clone_copies_and_then_diverges),
        case(a_clone_of_a_snapshot_has_what_that_had),
        case(a_clone_to_a_name_that_is_taken_exists_and_leaves_nothing),
        case(a_renamed_volume_is_the_same_volume),
        case(destroy_takes_the_snapshots_and_is_harmless_to_repeat),
        case(destroy_says_who_is_in_the_way),
        case(a_block_volume_has_a_device_and_says_where),
        case(a_batch_has_a_result_for_each),
        case(a_batch_of_snapshots_is_of_one_moment),
        case(a_policy_keeps_what_it_should_and_says_why),
        case(what_happens_is_told),
        case(a_file_system_is_mounted_at_its_path).needs(Need::RealModule).needs(Need::Root),
    ]
}

const WAIT: Duration = Duration::from_secs(30);
const SELF: Uuid = Uuid::from_u128(0xa);
const OTHER: Uuid = Uuid::from_u128(0xb);

fn open(world: &World) -> Node {
    Node::open(world.zfs().clone(), world.dataset("node"), SELF).expect("a node")
}

fn name(text: &str) -> VolumeName {
    text.parse().expect("a volume name")
}

/// A sparse block volume of 8 MiB.
fn disk(node: &Node, volume: &str) -> VolumeName {
    let name = name(volume);
    node.create(&name, &VolumeSpec::block(Bytes::from_mib(8)).sparse()).expect("a volume");
    name
}

fn write(node: &Node, volume: &VolumeName, data: &[u8]) {
    let device = node.open_device(volume, Access::ReadWrite, WAIT).expect("opened");
    device.write_all_at(data, 0).expect("written");
    device.flush().expect("flushed");
}

fn read(node: &Node, volume: &VolumeName, length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    let device = node.open_device(volume, Access::Read, WAIT).expect("opened");
    device.read_exact_at(&mut data, 0).expect("read");
    data
}

/// Says that another node owns it, as a push does.
fn give_away(node: &Node, volume: &VolumeName) {
    let mut info = node.get(volume).expect("looked at").expect("a volume");
    info.ownership.owner = OTHER;
    info.ownership.state = VolumeState::Replica;
    let properties = info.ownership.write(PropertySet::new()).expect("properties");
    node.zfs().set_properties(&info.dataset, &properties).expect("set");
}

fn snapshot_names(node: &Node, volume: &VolumeName) -> Vec<String> {
    node.snapshots(volume).expect("listed").into_iter().map(|one| one.name).collect()
}

fn a_node_makes_its_root_and_finds_it_again(world: &World) {
    let node = open(world);
    let root = world.zfs().properties(node.root()).expect("there");
    assert_eq!((root.text("readonly"), root.text("canmount")), (Some("on"), Some("off")));
    assert_eq!(root.text("zfsvol:node"), Some(SELF.to_string().as_str()));
    disk(&node, "db");
    let again = open(world);
    assert_eq!((again.id(), again.root()), (SELF, node.root()));
    assert!(again.get(&name("db")).expect("looked at").is_some());
    let missing = world.root().child("none").and_then(|none| none.child("node")).expect("a name");
    refused(Node::open(world.zfs().clone(), missing, SELF), ErrorKind::NotFound);
}

fn a_root_of_another_node_is_refused(world: &World) {
    let root = open(world).root().clone();
    let options = NodeOptions::new().adopt();
    let error = refused(
        Node::open_with(world.zfs().clone(), root.clone(), OTHER, options),
        ErrorKind::NotOwner,
    );
    assert_eq!(
        error.to_string(),
        format!("cannot open the node '{root}': it is the root of the node {SELF}")
    );
}

fn a_root_that_no_node_made_is_adopted_only_when_asked(world: &World) {
    let root = file_system(world, "there");
    let zfs = world.zfs();
    refused(Node::open(zfs.clone(), root.clone(), SELF), ErrorKind::Exists);
    assert_eq!(zfs.properties(&root).expect("there").text("readonly"), Some("off"));
    let adopt = NodeOptions::new().adopt();
    Node::open_with(zfs.clone(), root.clone(), SELF, adopt).expect("a node");
    assert_eq!(zfs.properties(&root).expect("there").text("readonly"), Some("on"));
    Node::open(zfs.clone(), root, SELF).expect("a node");
}

fn a_zvol_is_no_root(world: &World) {
    let zvol = crate::expect::zvol(world, "disk", Bytes::from_mib(8));
    refused(Node::open(world.zfs().clone(), zvol, SELF), ErrorKind::WrongType);
}

fn a_new_volume_is_owned_and_writable(world: &World) {
    let node = open(world);
    let quota = Bytes::from_mib(100);
    let files = node.create(&name("files"), &VolumeSpec::file_system().quota(quota)).expect("made");
    assert_eq!(files.kind, VolumeKind::FileSystem { quota: Some(quota) });
    assert_eq!(files.dataset, node.root().child("files").expect("a name"));
    assert!(files.is_owned_by(SELF) && !files.is_owned_by(OTHER));
    assert_eq!((files.ownership.owner, files.ownership.epoch), (SELF, 1));
    let properties = world.zfs().properties(&files.dataset).expect("there");
    assert_eq!(properties.text("readonly"), Some("off"));

    let disk = disk(&node, "disk");
    write(&node, &disk, b"data");
    assert_eq!(read(&node, &disk, 4), b"data");
    let disk = node.get(&disk).expect("looked at").expect("there");
    assert_ne!(disk.ownership.id, files.ownership.id);
}

fn a_volume_of_a_name_that_is_taken_exists(world: &World) {
    let node = open(world);
    let name = disk(&node, "db");
    let error = refused(node.create(&name, &VolumeSpec::file_system()), ErrorKind::Exists);
    assert_eq!(error.target(), Some("db"));
    assert!(error.to_string().starts_with("cannot create the volume 'db': "), "{error}");
    // What is no volume is in the way, too.
    let foreign = node.root().child("foreign").expect("a name");
    world.zfs().create_filesystem(&foreign, &plain()).expect("created");
    let foreign = self::name("foreign");
    refused(node.create(&foreign, &VolumeSpec::file_system()), ErrorKind::Exists);
    refused(node.get(&foreign), ErrorKind::Exists);
}

fn two_names_are_two_volumes(world: &World) {
    let node = open(world);
    let [one, two] = ["one", "two"].map(|name| disk(&node, name));
    write(&node, &one, b"1111");
    write(&node, &two, b"2222");
    assert_eq!((read(&node, &one, 4), read(&node, &two, 4)), (b"1111".into(), b"2222".into()));
}

fn one_name_in_two_namespaces_is_two_volumes(world: &World) {
    let node = open(world);
    let volumes = ["db", "a:db", "b:db"].map(|name| disk(&node, name));
    for (volume, mark) in volumes.iter().zip([1, 2, 3]) {
        write(&node, volume, &[mark; 4]);
    }
    for (volume, mark) in volumes.iter().zip([1, 2, 3]) {
        assert_eq!(read(&node, volume, 4), [mark; 4]);
    }
}

fn properties_of_the_engine_are_not_the_caller_s(world: &World) {
    let node = open(world);
    for (property, value) in [("readonly", "on"), ("zfsvol:owner", "me"), ("refquota", "1M")] {
        let properties = plain().with(property, value).expect("a property");
        let spec = VolumeSpec::file_system().properties(&properties);
        refused(node.create(&name("db"), &spec), ErrorKind::InvalidProperty);
    }
    let properties = plain().with("compression", "lz4").expect("a property");
    let spec = VolumeSpec::file_system().properties(&properties);
    let made = node.create(&name("db"), &spec).expect("made");
    let found = world.zfs().properties(&made.dataset).expect("there");
    assert_eq!(found.text("compression"), Some("lz4"));
}

fn a_block_volume_is_reserved_unless_sparse(world: &World) {
    let node = open(world);
    let size = Bytes::from_mib(8);
    let full = node.create(&name("full"), &VolumeSpec::block(size)).expect("made");
    assert!(matches!(full.kind, VolumeKind::Block { size: s, sparse: false, .. } if s == size));
    assert!(full.used >= size, "{}", full.used);
    let sparse = node.create(&name("sparse"), &VolumeSpec::block(size).sparse()).expect("made");
    assert!(matches!(sparse.kind, VolumeKind::Block { size: s, sparse: true, .. } if s == size));
    assert!(sparse.used < size, "{}", sparse.used);
    let larger = VolumeSpec::block(Bytes::from_gib(1 << 20));
    refused(node.create(&name("larger"), &larger), ErrorKind::NoSpace);
}

fn volumes_are_listed_and_foreign_datasets_are_not(world: &World) {
    let node = open(world);
    let zfs = world.zfs();
    assert_eq!(node.list().expect("listed"), Default::default());
    let volumes = ["ns:b", "c", "a"].map(|volume| disk(&node, volume));
    give_away(&node, &volumes[1]);
    for foreign in ["foreign", "no volume"] {
        let foreign = node.root().child(foreign).expect("a name");
        zfs.create_filesystem(&foreign, &plain()).expect("created");
        zfs.create_filesystem(&foreign.child("a").expect("a name"), &plain()).expect("created");
    }
    let listed = node.list().expect("listed");
    assert_eq!(listed.damaged, []);
    let names: Vec<&str> = listed.volumes.iter().map(|volume| volume.name.as_str()).collect();
    assert_eq!(names, ["a", "c", "ns:b"]);
    for volume in &listed.volumes {
        assert_eq!(node.get(&volume.name).expect("looked at").as_ref(), Some(volume));
        assert_eq!(volume.is_owned_by(SELF), volume.name.as_str() != "c");
    }
}

fn a_volume_that_somebody_else_changed_is_told(world: &World) {
    let node = open(world);
    let volume = disk(&node, "db");
    let dataset = node.dataset(&volume).expect("a name");
    let changed = plain().with("zfsvol:epoch", "many").expect("a property");
    world.zfs().set_properties(&dataset, &changed).expect("set");
    let error = refused(node.get(&volume), ErrorKind::Corrupt);
    assert!(error.reason().contains("'zfsvol:epoch' is 'many'"), "{error}");
    let listed = node.list().expect("listed");
    assert_eq!(listed.volumes, []);
    assert_eq!(listed.damaged.len(), 1);
    assert_eq!(listed.damaged[0].dataset, dataset);
    refused(node.destroy(&volume), ErrorKind::Corrupt);
}

fn a_volume_of_another_node_is_left_alone(world: &World) {
    let node = open(world);
    let volume = disk(&node, "db");
    write(&node, &volume, b"data");
    node.snapshot(&volume, "s").expect("taken");
    give_away(&node, &volume);
    let error = refused(node.destroy(&volume), ErrorKind::NotOwner);
    assert_eq!(
        error.to_string(),
        format!("cannot destroy the volume 'db': it belongs to the node {OTHER}")
    );
    refused(node.snapshot(&volume, "t"), ErrorKind::NotOwner);
    refused(node.rollback(&volume, "s"), ErrorKind::NotOwner);
    refused(node.resize(&volume, Size::Bytes(Bytes::from_mib(16))), ErrorKind::NotOwner);
    refused(node.rename(&volume, &name("mine")), ErrorKind::NotOwner);
    refused(node.clone_volume(&volume, None, &name("mine")), ErrorKind::NotOwner);
    refused(node.open_device(&volume, Access::ReadWrite, WAIT), ErrorKind::NotOwner);
    // It can be looked at, and its snapshots cloned.
    assert_eq!(read(&node, &volume, 4), b"data");
    assert_eq!(snapshot_names(&node, &volume), ["s"]);
    let mine = node.clone_volume(&volume, Some("s"), &name("mine")).expect("cloned");
    assert!(mine.is_owned_by(SELF));
}

fn a_quota_is_set_changed_and_removed(world: &World) {
    let node = open(world);
    let volume = name("files");
    let quota = |node: &Node| match node.get(&volume).expect("looked at").expect("there").kind {
        VolumeKind::FileSystem { quota } => quota,
        kind => panic!("{kind:?}"),
    };
    node.create(&volume, &VolumeSpec::file_system()).expect("made");
    assert_eq!(quota(&node), None);
    for size in [Bytes::from_mib(64), Bytes::from_mib(128), Bytes::from_mib(32)] {
        node.resize(&volume, Size::Bytes(size)).expect("resized");
        assert_eq!(quota(&node), Some(size));
    }
    node.resize(&volume, Size::Unlimited).expect("resized");
    assert_eq!(quota(&node), None);
}

fn a_quota_below_what_is_held_is_refused(world: &World) {
    let node = open(world);
    let volume = name("files");
    let made = node.create(&volume, &VolumeSpec::file_system()).expect("made");
    let less = Bytes::new(made.referenced.get() - 1);
    let error = refused(node.resize(&volume, Size::Bytes(less)), ErrorKind::Invalid);
    assert!(error.reason().starts_with("it holds "), "{error}");
    refused(node.resize(&name("none"), Size::Unlimited), ErrorKind::NotFound);
}

fn a_block_volume_grows_and_does_not_shrink(world: &World) {
    let node = open(world);
    let volume = name("disk");
    node.create(&volume, &VolumeSpec::block(Bytes::from_mib(8))).expect("made");
    write(&node, &volume, b"data");
    node.resize(&volume, Size::Bytes(Bytes::from_mib(16))).expect("grown");
    let grown = node.get(&volume).expect("looked at").expect("there");
    assert!(
        matches!(grown.kind, VolumeKind::Block { size, sparse: false, .. } if size == Bytes::from_mib(16))
    );
    assert_eq!(read(&node, &volume, 4), b"data");
    let error = refused(node.resize(&volume, Size::Bytes(Bytes::from_mib(8))), ErrorKind::Invalid);
    assert_eq!(error.reason(), "it has 16M, and what is beyond 8M would be lost");
    refused(node.resize(&volume, Size::Unlimited), ErrorKind::Invalid);
    refused(
        node.resize(&volume, Size::Bytes(Bytes::new(16 << 20 | 1))),
        ErrorKind::InvalidProperty,
    );
}

fn snapshots_are_taken_listed_and_destroyed(world: &World) {
    let node = open(world);
    let volume = disk(&node, "db");
    for snapshot in ["b", "a", "c"] {
        write(&node, &volume, snapshot.as_bytes());
        node.snapshot(&volume, snapshot).expect("taken");
    }
    refused(node.snapshot(&volume, "a"), ErrorKind::Exists);
    refused(node.snapshot(&volume, "a@b"), ErrorKind::InvalidName);
    let found = node.snapshots(&volume).expect("listed");
    assert_eq!(snapshot_names(&node, &volume), ["b", "a", "c"]);
    assert!(found.windows(2).all(|pair| pair[0].createtxg < pair[1].createtxg));
    assert!(found.iter().all(|one| one.holds == 0 && one.clones.is_empty()));
    node.destroy_snapshots(&volume, &["b", "c"]).expect("destroyed");
    node.destroy_snapshots(&volume, &["b", "c"]).expect("passed over");
    assert_eq!(snapshot_names(&node, &volume), ["a"]);
    refused(node.snapshot(&name("none"), "a"), ErrorKind::NotFound);
    refused(node.snapshots(&name("none")), ErrorKind::NotFound);
}

fn names_of_the_engine_s_snapshots_are_refused(world: &World) {
    let node = open(world);
    let volume = disk(&node, "db");
    refused(node.snapshot(&volume, "zfsvol-push-1"), ErrorKind::InvalidName);
    let engine =
        node.dataset(&volume).and_then(|one| Ok(one.snapshot("zfsvol-x")?)).expect("a name");
    world.zfs().snapshot([&engine], &plain()).expect("taken");
    assert_eq!(snapshot_names(&node, &volume), Vec::<String>::new());
    refused(node.destroy_snapshots(&volume, &["zfsvol-x"]), ErrorKind::InvalidName);
    assert!(world.zfs().exists(&engine).expect("looked for"));
}

fn a_rollback_brings_back_what_was(world: &World) {
    let node = open(world);
    let volume = disk(&node, "db");
    write(&node, &volume, b"old!");
    node.snapshot(&volume, "old").expect("taken");
    write(&node, &volume, b"new!");
    node.rollback(&volume, "old").expect("rolled back");
    assert_eq!(read(&node, &volume, 4), b"old!");
    node.snapshot(&volume, "newer").expect("taken");
    let error = refused(node.rollback(&volume, "old"), ErrorKind::Busy);
    assert!(matches!(error.busy(), [BusyReason::Newer(newer)] if newer.len() == 1), "{error:?}");
    refused(node.rollback(&volume, "none"), ErrorKind::NotFound);
}

fn a_clone_copies_and_then_diverges(world: &World) {
    let node = open(world);
    let (volume, copy) = (disk(&node, "db"), name("copy"));
    write(&node, &volume, b"same");
    let made = node.clone_volume(&volume, None, &copy).expect("cloned");
    assert!(made.is_owned_by(SELF) && made.origin.is_some());
    assert_ne!(
        made.ownership.id,
        node.get(&volume).expect("looked at").expect("there").ownership.id
    );
    assert_eq!(read(&node, &copy, 4), b"same");
    write(&node, &volume, b"here");
    write(&node, &copy, b"copy");
    assert_eq!((read(&node, &volume, 4), read(&node, &copy, 4)), (b"here".into(), b"copy".into()));
    // The snapshot in between is the engine's, and goes with the clone.
    assert_eq!(snapshot_names(&node, &volume), Vec::<String>::new());
    assert!(node.destroy(&copy).expect("destroyed"));
    assert!(node.destroy(&volume).expect("destroyed"));
}

fn a_clone_of_a_snapshot_has_what_that_had(world: &World) {
    let node = open(world);
    let (volume, copy) = (disk(&node, "db"), name("copy"));
    write(&node, &volume, b"then");
    node.snapshot(&volume, "then").expect("taken");
    write(&node, &volume, b"now!");
    node.clone_volume(&volume, Some("then"), &copy).expect("cloned");
    assert_eq!(read(&node, &copy, 4), b"then");
    let snapshots = node.snapshots(&volume).expect("listed");
    assert_eq!(snapshots[0].clones, [node.dataset(&copy).expect("a name").as_str()]);
    refused(node.clone_volume(&volume, Some("none"), &name("other")), ErrorKind::NotFound);
    refused(node.clone_volume(&name("none"), None, &name("other")), ErrorKind::NotFound);
}

fn a_clone_to_a_name_that_is_taken_exists_and_leaves_nothing(world: &World) {
    let node = open(world);
    let (volume, taken) = (disk(&node, "db"), disk(&node, "taken"));
    refused(node.clone_volume(&volume, None, &taken), ErrorKind::Exists);
    assert!(node.destroy(&volume).expect("no snapshot is left"));
}

fn a_renamed_volume_is_the_same_volume(world: &World) {
    let node = open(world);
    let (old, new) = (disk(&node, "old"), name("ns:new"));
    write(&node, &old, b"data");
    let id = node.get(&old).expect("looked at").expect("there").ownership.id;
    node.rename(&old, &new).expect("renamed");
    assert_eq!(node.get(&old).expect("looked at"), None);
    assert_eq!(node.get(&new).expect("looked at").expect("there").ownership.id, id);
    assert_eq!(read(&node, &new, 4), b"data");
    let other = disk(&node, "old");
    refused(node.rename(&new, &other), ErrorKind::Exists);
    refused(node.rename(&name("none"), &old), ErrorKind::NotFound);
}

fn destroy_takes_the_snapshots_and_is_harmless_to_repeat(world: &World) {
    let node = open(world);
    let volume = disk(&node, "db");
    node.snapshot(&volume, "one").expect("taken");
    node.snapshot(&volume, "two").expect("taken");
    assert!(node.destroy(&volume).expect("destroyed"));
    assert!(!node.destroy(&volume).expect("nothing there"));
    // The same name is another volume.
    disk(&node, "db");
    assert_eq!(snapshot_names(&node, &volume), Vec::<String>::new());
}

fn destroy_says_who_is_in_the_way(world: &World) {
    let node = open(world);
    let (volume, copy) = (disk(&node, "db"), name("copy"));
    node.snapshot(&volume, "s").expect("taken");
    node.clone_volume(&volume, Some("s"), &copy).expect("cloned");
    let error = refused(node.destroy(&volume), ErrorKind::Busy);
    let in_the_way = format!("{error}");
    let copy_name = node.dataset(&copy).expect("a name");
    assert!(in_the_way.contains(copy_name.as_str()), "{error}");
    assert!(in_the_way.starts_with("cannot destroy the volume 'db': "), "{error}");
    assert!(node.destroy(&copy).expect("destroyed"));
    let snapshot = node.dataset(&volume).and_then(|one| Ok(one.snapshot("s")?)).expect("a name");
    world.zfs().hold(&[(snapshot.clone(), "backup")], None).expect("held");
    let error = refused(node.destroy(&volume), ErrorKind::Busy);
    assert!(error.to_string().contains("'backup'"), "{error}");
    world.zfs().release(&[(snapshot, "backup")]).expect("released");
    assert!(node.destroy(&volume).expect("destroyed"));
}

fn a_block_volume_has_a_device_and_says_where(world: &World) {
    let node = open(world);
    let volume = disk(&node, "disk");
    write(&node, &volume, b"data");
    let found = node.device_path(&volume, WAIT);
    if world.is_real_module() {
        let path = found.expect("a device");
        let mut data = [0; 4];
        let mut device = fs::File::options().read(true).write(true).open(&path).expect("opened");
        device.read_exact(&mut data).expect("read");
        assert_eq!(&data, b"data");
        device.rewind().expect("rewound");
        device.write_all(b"more").expect("written");
        device.sync_all().expect("flushed");
        drop(device);
        assert_eq!(read(&node, &volume, 4), b"more");
        let renamed = name("renamed");
        node.rename(&volume, &renamed).expect("renamed");
        assert_eq!(node.device_path(&renamed, WAIT).expect("a device"), path);
        node.rename(&renamed, &volume).expect("renamed");
    } else {
        let error = refused(found, ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            "cannot find the device of the volume 'disk': its data is in this process, and there \
             is nothing of it in /dev; open it through the library"
        );
    }
    let files = name("files");
    node.create(&files, &VolumeSpec::file_system()).expect("made");
    let error = refused(node.device_path(&files, WAIT), ErrorKind::WrongType);
    assert_eq!(error.help(), Some("mount it, and use its path"));
    refused(node.device_path(&name("none"), WAIT), ErrorKind::NotFound);
    give_away(&node, &volume);
    let error = refused(node.device_path(&volume, WAIT), ErrorKind::NotOwner);
    assert!(error.to_string().contains(&OTHER.to_string()), "{error}");
}

fn a_batch_has_a_result_for_each(world: &World) {
    let node = open(world);
    disk(&node, "v3");
    let names: Vec<VolumeName> = (0..10).map(|n| name(&format!("v{n}"))).collect();
    let spec = VolumeSpec::block(Bytes::from_mib(1)).sparse();
    let items: Vec<_> = names.iter().map(|name| (name.clone(), spec.clone())).collect();
    let made = node.batch().create(&items);
    for (n, result) in made.into_iter().enumerate() {
        match result {
            Ok(info) => assert_eq!(info.name, names[n]),
            Err(error) => assert_eq!((n, error.kind()), (3, ErrorKind::Exists)),
        }
    }
    let clones: Vec<_> =
        names.iter().map(|from| (from.clone(), None, name(&format!("c-{from}")))).collect();
    assert!(node.batch().clone_volumes(&clones).iter().all(Result::is_ok));
    let copies: Vec<VolumeName> = clones.iter().map(|(_, _, to)| to.clone()).collect();
    assert!(node.batch().destroy(&copies).into_iter().all(|result| result.expect("destroyed")));
    let mut all = names.clone();
    all.push(name("none"));
    let destroyed: Vec<bool> =
        node.batch().destroy(&all).into_iter().map(|result| result.expect("destroyed")).collect();
    assert_eq!(destroyed, [[true; 10].as_slice(), &[false]].concat());
    assert_eq!(node.list().expect("listed"), Default::default());
}

fn a_batch_of_snapshots_is_of_one_moment(world: &World) {
    let node = open(world);
    let names = ["a", "b", "c", "d"].map(|volume| disk(&node, volume));
    node.snapshot(&names[1], "now").expect("taken");
    give_away(&node, &names[2]);
    let asked = [&names[..], &[name("none")]].concat();
    let kinds: Vec<Option<ErrorKind>> = node
        .batch()
        .snapshot(&asked, "now")
        .into_iter()
        .map(|result| result.err().map(|error| error.kind()))
        .collect();
    let (exists, not_owner, none) =
        (Some(ErrorKind::Exists), Some(ErrorKind::NotOwner), Some(ErrorKind::NotFound));
    assert_eq!(kinds, [None, exists, not_owner, None, none]);
    let txgs =
        [&names[0], &names[3]].map(|volume| node.snapshots(volume).expect("listed")[0].createtxg);
    assert_eq!(txgs[0], txgs[1]);
}

fn a_policy_keeps_what_it_should_and_says_why(world: &World) {
    let node = open(world);
    let volume = disk(&node, "db");
    for n in 0..6 {
        node.snapshot(&volume, &format!("s{n}")).expect("taken");
    }
    let held = node.dataset(&volume).and_then(|one| Ok(one.snapshot("s0")?)).expect("a name");
    world.zfs().hold(&[(held.clone(), "backup")], None).expect("held");
    node.clone_volume(&volume, Some("s2"), &name("copy")).expect("cloned");
    assert_eq!(node.retain(&volume, &Retention::default()).expect("applied").destroyed.len(), 0);

    let policy = Retention { last: 2, ..Retention::default() };
    let outcome = node.retain(&volume, &policy).expect("applied");
    assert_eq!(outcome.destroyed, ["s1", "s3"]);
    let copy = node.root().child("copy").expect("a name").as_str().to_owned();
    let expected = [
        ("s0", Reason::Needed(Needed::Hold("backup".into()))),
        ("s2", Reason::Needed(Needed::Clone(copy))),
        ("s4", Reason::Last),
        ("s5", Reason::Last),
    ]
    .map(|(name, why)| (name.to_owned(), vec![why]));
    assert_eq!(outcome.kept, expected);
    assert_eq!(snapshot_names(&node, &volume), ["s0", "s2", "s4", "s5"]);
    world.zfs().release(&[(held, "backup")]).expect("released");
}

fn what_happens_is_told(world: &World) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let options = NodeOptions::new().on_event(move |event| {
        listener.lock().expect("not poisoned").push((event.volume.to_string(), event.kind.clone()));
    });
    let root = world.dataset("node");
    let node = Node::open_with(world.zfs().clone(), root, SELF, options).expect("a node");
    let volume = disk(&node, "db");
    node.snapshot(&volume, "s").expect("taken");
    refused(node.snapshot(&volume, "s"), ErrorKind::Exists);
    node.rollback(&volume, "s").expect("rolled back");
    node.resize(&volume, Size::Bytes(Bytes::from_mib(16))).expect("grown");
    node.clone_volume(&volume, None, &name("copy")).expect("cloned");
    node.destroy_snapshots(&volume, &["s"]).expect("destroyed");
    node.destroy(&name("copy")).expect("destroyed");
    node.rename(&volume, &name("new")).expect("renamed");
    let size = Some(Bytes::from_mib(16));
    let expected = [
        ("db", VolumeEventKind::Created),
        ("db", VolumeEventKind::Snapshotted("s".into())),
        ("db", VolumeEventKind::RolledBack("s".into())),
        ("db", VolumeEventKind::Resized(size)),
        ("copy", VolumeEventKind::Cloned(volume)),
        ("db", VolumeEventKind::SnapshotsDestroyed(vec!["s".into()])),
        ("copy", VolumeEventKind::Destroyed),
        ("db", VolumeEventKind::Renamed(name("new"))),
    ]
    .map(|(volume, kind)| (volume.to_owned(), kind));
    assert_eq!(*told.lock().expect("not poisoned"), expected);
}

fn a_file_system_is_mounted_at_its_path(world: &World) {
    let directory = world.scratch().join("volumes");
    let options = NodeOptions::new().mountpoint(&directory);
    let root = world.dataset("node");
    let node = Node::open_with(world.zfs().clone(), root, SELF, options).expect("a node");
    let volume = name("ns:files");
    node.create(&volume, &VolumeSpec::file_system()).expect("made");
    let path = directory.join("ns:files");
    assert_eq!(node.path(&volume).expect("a path"), path);
    for _ in 0..2 {
        assert_eq!(node.mount(&volume).expect("mounted"), path);
    }
    fs::write(path.join("file"), noise(1, 1000)).expect("written");
    assert!(node.get(&volume).expect("looked at").expect("there").mounted);
    refused(node.destroy(&volume), ErrorKind::Busy);
    assert!(node.unmount(&volume).expect("unmounted"));
    assert!(!node.unmount(&volume).expect("not mounted"));
    let disk = disk(&node, "disk");
    refused(node.mount(&disk), ErrorKind::WrongType);
    refused(node.path(&disk), ErrorKind::WrongType);
    // A replica can be read only.
    give_away(&node, &volume);
    let read_only = plain().with("readonly", true).expect("a property");
    world.zfs().set_properties(&node.dataset(&volume).expect("a name"), &read_only).expect("set");
    node.mount(&volume).expect("mounted");
    assert_eq!(fs::read(path.join("file")).expect("read"), noise(1, 1000));
    assert!(fs::write(path.join("other"), "x").is_err());
    assert!(node.unmount(&volume).expect("unmounted"));
}
