//! What this library makes, the commands of OpenZFS and its Python bindings see, and the other way round.

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{Create, Destroy, Key};
use zfsvol_core::{Bytes, PoolName, SnapshotName};

use crate::expect::{file_system, snapshot, zvol};
use crate::{Case, Need, World, case, command};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(zfs_lists_what_the_library_created),
        case(zfs_reads_the_properties_the_library_set),
        case(zfs_sees_holds_bookmarks_and_clones_of_the_library),
        case(zfs_opens_a_dataset_that_the_library_encrypted),
        case(zpool_sees_a_pool_of_the_library_as_healthy),
        case(the_library_sees_what_zfs_created),
        case(the_library_loads_a_key_that_zfs_made),
        case(the_library_destroys_a_tree_that_zfs_made),
        case(pyzfs_and_the_library_see_the_same).needs(Need::Pyzfs),
    ]
    .into_iter()
    .map(|case| case.needs(Need::RealModule).needs(Need::Root).needs(Need::Commands))
    .collect()
}

/// The value of a property, as `zfs get -p` prints it.
fn get(property: &str, name: &str) -> String {
    command::zfs(&["get", "-H", "-p", "-o", "value", property, name])
}

fn zfs_lists_what_the_library_created(world: &World) {
    let root = world.root();
    let volume = file_system(world, "v");
    let zvol = zvol(world, "z", Bytes::from_mib(16));
    let snapshot = snapshot(world, &volume, "s");
    let listed = command::zfs(&[
        "list",
        "-H",
        "-r",
        "-t",
        "all",
        "-s",
        "name",
        "-o",
        "name,type",
        root.as_str(),
    ]);
    let expected = [
        format!("{root}\tfilesystem"),
        format!("{volume}\tfilesystem"),
        format!("{snapshot}\tsnapshot"),
        format!("{zvol}\tvolume"),
    ];
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    assert_eq!(get("volsize", zvol.as_str()), Bytes::from_mib(16).get().to_string());

    world.zfs().destroy(&zvol).expect("destroyed");
    assert!(command::try_run("zfs", &["list", zvol.as_str()]).is_err(), "gone for zfs too");
}

fn zfs_reads_the_properties_the_library_set(world: &World) {
    let volume = world.dataset("v");
    let properties = PropertySet::new()
        .with("compression", "zstd-3")
        .and_then(|properties| properties.with("atime", false))
        .and_then(|properties| properties.with("quota", Bytes::from_mib(100)))
        .and_then(|properties| properties.with("recordsize", Bytes::from_kib(64)))
        .and_then(|properties| properties.with("com.example:owner", "web, 'first' é"))
        .expect("properties");
    world.zfs().create_filesystem(&volume, &properties).expect("created");
    for (property, value) in [
        ("compression", "zstd-3"),
        ("atime", "off"),
        ("quota", "104857600"),
        ("recordsize", "65536"),
        ("com.example:owner", "web, 'first' é"),
    ] {
        assert_eq!(get(property, volume.as_str()), value, "{property}");
        let source = command::zfs(&["get", "-H", "-o", "source", property, volume.as_str()]);
        assert_eq!(source, "local", "{property}");
    }
}

fn zfs_sees_holds_bookmarks_and_clones_of_the_library(world: &World) {
    let zfs = world.zfs();
    let volume = file_system(world, "v");
    let snapshot = snapshot(world, &volume, "s");
    zfs.hold(&[(snapshot.clone(), "backup")], None).expect("held");
    let holds = command::zfs(&["holds", "-H", snapshot.as_str()]);
    assert_eq!(holds.split('\t').nth(1), Some("backup"), "{holds}");

    let bookmark = volume.bookmark("b").expect("a name");
    zfs.bookmark(&[(bookmark.clone(), snapshot.clone().into())]).expect("bookmarked");
    let guid = get("guid", snapshot.as_str());
    assert_eq!(get("guid", bookmark.as_str()), guid);
    let ours = zfs.bookmark_properties(&bookmark).expect("asked");
    assert_eq!(ours.guid.to_string(), guid);

    let clone = world.dataset("clone");
    zfs.create_clone(&clone, &snapshot, &PropertySet::new()).expect("cloned");
    assert_eq!(get("origin", clone.as_str()), snapshot.as_str());
    assert_eq!(get("clones", snapshot.as_str()), clone.as_str());
    zfs.promote(&clone).expect("promoted");
    assert_eq!(get("origin", volume.as_str()), format!("{clone}@s"));
}

fn zfs_opens_a_dataset_that_the_library_encrypted(world: &World) {
    const PASSPHRASE: &str = "correct horse";
    let secret = world.dataset("secret");
    let create = Create::filesystem().key(Key::passphrase(PASSPHRASE).expect("long enough"));
    world.zfs().create(&secret, &create).expect("created");
    assert_eq!(get("keyformat", secret.as_str()), "passphrase");
    assert_eq!(get("keystatus", secret.as_str()), "available");
    assert_eq!(get("encryptionroot", secret.as_str()), secret.as_str());

    world.zfs().unload_key(&secret).expect("unloaded");
    assert_eq!(get("keystatus", secret.as_str()), "unavailable");
    // zfs derives the wrapping key from the passphrase by itself: both must come to the same one.
    let file = world.scratch().join("passphrase");
    std::fs::write(&file, PASSPHRASE).expect("written");
    let location = format!("file://{}", file.display());
    command::zfs(&["load-key", "-L", &location, secret.as_str()]);
    assert_eq!(get("keystatus", secret.as_str()), "available");
}

fn zpool_sees_a_pool_of_the_library_as_healthy(world: &World) {
    let pool = world.new_pool("healthy", Bytes::from_mib(128));
    let columns =
        command::zpool(&["list", "-H", "-p", "-o", "name,health,readonly", pool.as_str()]);
    assert_eq!(columns, format!("{pool}\tONLINE\toff"));
    command::zpool(&["scrub", "-w", pool.as_str()]);
    let status = command::zpool(&["status", "-x", pool.as_str()]);
    assert_eq!(status, format!("pool '{pool}' is healthy"));
    // Made by zpool, so many features of this module are enabled and no upgrade is offered.
    let upgrade = command::zpool(&["upgrade"]);
    assert!(!upgrade.lines().any(|line| line.trim() == pool.as_str()), "{upgrade}");
}

fn the_library_sees_what_zfs_created(world: &World) {
    let zfs = world.zfs();
    let volume = world.dataset("v");
    let snapshot = volume.snapshot("s").expect("a name");
    command::zfs(&["create", "-o", "canmount=off", volume.as_str()]);
    assert!(zfs.exists(&volume).expect("asked"));
    assert!(!zfs.exists(&snapshot).expect("asked"));
    command::zfs(&["snapshot", snapshot.as_str()]);
    assert!(zfs.exists(&snapshot).expect("asked"));

    command::zfs(&["hold", "theirs", snapshot.as_str()]);
    let tags: Vec<String> =
        zfs.holds(&snapshot).expect("asked").into_iter().map(|hold| hold.tag).collect();
    assert_eq!(tags, ["theirs"]);
    zfs.release(&[(snapshot.clone(), "theirs")]).expect("released");

    let bookmark = volume.bookmark("b").expect("a name");
    command::zfs(&["bookmark", snapshot.as_str(), bookmark.as_str()]);
    let bookmarks = zfs.bookmarks(&volume).expect("asked");
    assert_eq!(bookmarks.iter().map(|bookmark| &bookmark.name).collect::<Vec<_>>(), [&bookmark]);
}

fn the_library_loads_a_key_that_zfs_made(world: &World) {
    let zfs = world.zfs();
    let secret = world.dataset("secret");
    let file = world.scratch().join("passphrase");
    std::fs::write(&file, "battery staple").expect("written");
    let location = format!("keylocation=file://{}", file.display());
    command::zfs(&[
        "create",
        "-o",
        "canmount=off",
        "-o",
        "encryption=on",
        "-o",
        "keyformat=passphrase",
        "-o",
        &location,
        secret.as_str(),
    ]);
    let key = Key::passphrase("battery staple").expect("long enough");
    zfs.unload_key(&secret).expect("unloaded");
    zfs.check_key(&secret, &key).expect("it opens it");
    zfs.load_key(&secret, &key).expect("loaded");
    assert_eq!(get("keystatus", secret.as_str()), "available");
}

fn the_library_destroys_a_tree_that_zfs_made(world: &World) {
    let top = world.dataset("top");
    command::zfs(&["create", "-o", "mountpoint=none", top.as_str()]);
    for child in ["a", "a/b", "c"] {
        command::zfs(&["create", &format!("{top}/{child}")]);
    }
    command::zfs(&["snapshot", "-r", &format!("{top}@s")]);
    command::zfs(&["clone", &format!("{top}/a/b@s"), &format!("{top}/clone")]);
    world.zfs().destroy_recursive(&top).expect("destroyed");
    assert_eq!(
        command::zfs(&["list", "-H", "-r", "-o", "name", world.root().as_str()]),
        world.root().as_str()
    );
}

/// pyzfs's own names, on the names in its arguments: what it sees of ours, and one more snapshot for us to see.
const PYZFS: &str = r#"
import sys
import libzfs_core as lzc

volume, taken, theirs = (name.encode() for name in sys.argv[1:])
assert lzc.lzc_exists(volume), volume
assert lzc.lzc_exists(taken), taken
assert lzc.lzc_get_holds(taken).keys() == {b"ours"}
lzc.lzc_snapshot([theirs])
lzc.lzc_hold({theirs: b"python"})
try:
    lzc.lzc_snapshot([taken])
except lzc.exceptions.SnapshotFailure as failure:
    print([type(error).__name__ for error in failure.errors])
"#;

fn pyzfs_and_the_library_see_the_same(world: &World) {
    let zfs = world.zfs();
    let volume = file_system(world, "v");
    let taken = snapshot(world, &volume, "taken");
    zfs.hold(&[(taken.clone(), "ours")], None).expect("held");
    let theirs: SnapshotName = volume.snapshot("theirs").expect("a name");
    let names = [volume.as_str(), taken.as_str(), theirs.as_str()];
    assert_eq!(command::python(PYZFS, &names), "['SnapshotExists']");

    assert!(zfs.exists(&theirs).expect("asked"));
    assert_eq!(
        zfs.holds(&theirs).expect("asked").first().map(|hold| hold.tag.as_str()),
        Some("python")
    );
    zfs.release(&[(theirs.clone(), "python"), (taken.clone(), "ours")]).expect("released");
    zfs.destroy_snapshots(&[theirs, taken], Destroy::Now).expect("destroyed");
    let pool: PoolName = world.pool();
    assert!(zfs.exists(&pool.root()).expect("asked"));
}
