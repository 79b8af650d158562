//! Diff: what became of each file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zfsvol_core::embedded::Embedded;
use zfsvol_core::kernel::{MountRequest, UnmountFlags};
use zfsvol_core::property::PropertySet;
use zfsvol_core::stream::SendFlags;
use zfsvol_core::zfs::{Change, ChangeKind, Create, FileKind, Key, ReceiveOptions, SendOptions};
use zfsvol_core::{Bytes, DatasetName, ErrorKind, SnapshotName, Zfs};

use crate::{Case, Need, World, case, command, volume};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(every_kind_of_change_is_told).needs(Need::RealModule).needs(Need::Root),
        case(the_present_can_be_compared).needs(Need::RealModule).needs(Need::Root),
        case(a_clone_is_compared_with_its_origin).needs(Need::RealModule).needs(Need::Root),
        case(a_file_deleted_while_open_is_removed).needs(Need::RealModule).needs(Need::Root),
        case(names_of_any_bytes_come_back).needs(Need::RealModule).needs(Need::Root),
        case(many_changes_can_be_left_unread).needs(Need::RealModule).needs(Need::Root),
        case(what_came_in_streams_is_compared_in_process_as_here)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(files_from_before_version_5_are_found_in_process_as_here)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(files_of_an_encrypted_file_system_that_was_received_are_found_with_its_key)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(what_cannot_be_compared_is_refused_by_kind),
        case(zfs_diff_says_the_same).needs(Need::Commands).needs(Need::Root),
    ]
}

/// A file system in the case's root, mounted in its folder.
fn mounted(world: &World, name: &str) -> (DatasetName, PathBuf) {
    made_and_mounted(world, name, &Create::filesystem().properties(&legacy()))
}

fn made_and_mounted(world: &World, name: &str, create: &Create) -> (DatasetName, PathBuf) {
    let dataset = world.root().child(name).expect("a name");
    world.zfs().create(&dataset, create).expect("a file system");
    let path = mount(world, &dataset, name);
    (dataset, path)
}

fn legacy() -> PropertySet {
    PropertySet::new().with("mountpoint", "legacy").expect("a property")
}

fn mount(world: &World, dataset: &DatasetName, name: &str) -> PathBuf {
    let path = world.scratch().join(name);
    fs::create_dir(&path).expect("a folder");
    let request = MountRequest::new(dataset.as_str(), &path);
    world.zfs().kernel().host().mount(&request).expect("mounted");
    path
}

fn snapshot(world: &World, dataset: &DatasetName, name: &str) -> SnapshotName {
    volume::snapshot(world.zfs(), dataset, name)
}

/// The changes between two snapshots, by path.
fn changes(world: &World, from: &SnapshotName, to: &SnapshotName) -> Vec<Change> {
    let diff = world.zfs().diff(from, to).expect("a comparison");
    diff.collect::<Result<_, _>>().expect("all of it")
}

/// What became of each path, directories that only have other entries left out.
fn summary(changes: &[Change]) -> BTreeMap<String, ChangeKind> {
    let of_interest = |change: &&Change| {
        change.file != FileKind::Directory || change.kind != ChangeKind::Modified
    };
    changes
        .iter()
        .filter(of_interest)
        .map(|change| (change.path.display().to_string(), change.kind.clone()))
        .collect()
}

/// One of each kind of change.
fn change_everything(path: &Path) {
    // A content that changes twice in a tick of the kernel's clock looks unchanged, here and to `zfs diff`.
    std::thread::sleep(Duration::from_millis(50));
    fs::write(path.join("changed"), "other").expect("written");
    fs::remove_file(path.join("removed")).expect("removed");
    fs::rename(path.join("old name"), path.join("folder/new name")).expect("renamed");
    fs::hard_link(path.join("linked"), path.join("folder/second link")).expect("linked");
    fs::write(path.join("added"), "new").expect("written");
    fs::create_dir(path.join("new folder")).expect("made");
    symlink("added", path.join("symbolic")).expect("made");
    fs::remove_dir(path.join("empty")).expect("removed");
}

fn populate(path: &Path) {
    for name in ["same", "changed", "removed", "old name", "linked"] {
        fs::write(path.join(name), name).expect("written");
    }
    for name in ["folder", "empty"] {
        fs::create_dir(path.join(name)).expect("made");
    }
}

fn every_kind_of_change_is_told(world: &World) {
    let (dataset, path) = mounted(world, "files");
    populate(&path);
    let one = snapshot(world, &dataset, "one");
    change_everything(&path);
    let two = snapshot(world, &dataset, "two");
    let changes = changes(world, &one, &two);
    let expected = [
        ("/added", ChangeKind::Added),
        ("/changed", ChangeKind::Modified),
        ("/empty", ChangeKind::Removed),
        ("/linked", ChangeKind::Links(1)),
        ("/new folder", ChangeKind::Added),
        ("/old name", ChangeKind::Renamed("/folder/new name".into())),
        ("/removed", ChangeKind::Removed),
        ("/symbolic", ChangeKind::Added),
    ];
    let expected: BTreeMap<String, ChangeKind> =
        expected.into_iter().map(|(path, kind)| (path.to_owned(), kind)).collect();
    assert_eq!(summary(&changes), expected);

    let find =
        |path: &str| changes.iter().find(|change| change.path == Path::new(path)).expect("told");
    assert_eq!(find("/symbolic").file, FileKind::SymbolicLink);
    assert_eq!(find("/new folder").file, FileKind::Directory);
    assert_eq!(find("/").kind, ChangeKind::Modified);
    let changed = fs::metadata(path.join("changed")).expect("it is there");
    assert_eq!(find("/changed").object, changed.ino());
    assert_eq!(find("/changed").changed, changed.modified().expect("a time"));
    let object = find("/changed").object;
    assert_eq!(world.zfs().object_path(&two, object).expect("a path"), Path::new("/changed"));
}

fn the_present_can_be_compared(world: &World) {
    let (dataset, path) = mounted(world, "files");
    populate(&path);
    let one = snapshot(world, &dataset, "one");
    fs::write(path.join("added"), "new").expect("written");
    let mut diff = world.zfs().diff(&one, &dataset).expect("a comparison");
    assert!(diff.to().starts_with(&format!("{dataset}@zfsvol-diff-")), "{}", diff.to());
    let changes: Vec<Change> = diff.by_ref().collect::<Result<_, _>>().expect("all of it");
    assert_eq!(summary(&changes), [("/added".to_owned(), ChangeKind::Added)].into());
    let temporary: SnapshotName = diff.to().parse().expect("a name");
    assert!(world.zfs().exists(&temporary).expect("it can be asked"));
    drop(diff);
    assert!(!world.zfs().exists(&temporary).expect("it can be asked"));
}

fn a_clone_is_compared_with_its_origin(world: &World) {
    let (dataset, path) = mounted(world, "files");
    populate(&path);
    let one = snapshot(world, &dataset, "one");
    let clone = world.root().child("clone").expect("a name");
    let properties = PropertySet::new().with("mountpoint", "legacy").expect("a property");
    world.zfs().create_clone(&clone, &one, &properties).expect("a clone");
    let path = mount(world, &clone, "clone");
    fs::remove_file(path.join("removed")).expect("removed");
    let two = snapshot(world, &clone, "two");
    let expected = [("/removed".to_owned(), ChangeKind::Removed)].into();
    assert_eq!(summary(&changes(world, &one, &two)), expected);
}

fn a_file_deleted_while_open_is_removed(world: &World) {
    let (dataset, path) = mounted(world, "files");
    populate(&path);
    let one = snapshot(world, &dataset, "one");
    let open = fs::File::open(path.join("removed")).expect("opened");
    fs::remove_file(path.join("removed")).expect("removed");
    let two = snapshot(world, &dataset, "two");
    let expected = [("/removed".to_owned(), ChangeKind::Removed)].into();
    assert_eq!(summary(&changes(world, &one, &two)), expected);
    drop(open);
}

fn names_of_any_bytes_come_back(world: &World) {
    let (dataset, path) = mounted(world, "files");
    let one = snapshot(world, &dataset, "one");
    let names: [&[u8]; 3] = ["umläut".as_bytes(), b"not \xff utf-8", b"new\nline\\"];
    for name in names {
        fs::write(path.join(std::ffi::OsStr::from_bytes(name)), "").expect("written");
    }
    let two = snapshot(world, &dataset, "two");
    let mut found: Vec<Vec<u8>> = changes(world, &one, &two)
        .into_iter()
        .filter(|change| change.kind == ChangeKind::Added)
        .map(|change| change.path.as_os_str().as_bytes()[1..].to_vec())
        .collect();
    found.sort();
    let mut expected = names.map(<[u8]>::to_vec);
    expected.sort();
    assert_eq!(found, expected);
}

/// More than the pipe holds: the kernel waits for who reads, and must not when nobody does any more.
fn many_changes_can_be_left_unread(world: &World) {
    let (dataset, path) = mounted(world, "files");
    let one = snapshot(world, &dataset, "one");
    for index in 0..2000 {
        fs::write(path.join(index.to_string()), "").expect("written");
    }
    let two = snapshot(world, &dataset, "two");
    let mut diff = world.zfs().diff(&one, &two).expect("a comparison");
    diff.next().expect("a change").expect("a change");
    drop(diff);
    assert_eq!(summary(&changes(world, &one, &two)).len(), 2000);
    let mut diff = world.zfs().diff(&one, &two).expect("a comparison");
    diff.cancel_handle().cancel();
    let last = diff.by_ref().last().expect("an error").expect_err("it was cancelled");
    assert_eq!(last.kind(), ErrorKind::Cancelled);
    assert!(diff.next().is_none());
}

/// A kernel in this process receives both snapshots: it says of each object what the module says.
fn what_came_in_streams_is_compared_in_process_as_here(world: &World) {
    let zfs = world.zfs();
    let (other, copy) = in_process();
    let (dataset, path) = mounted(world, "files");
    populate(&path);
    for index in 0..300 {
        fs::write(path.join("folder").join(format!("{index} {}", "long".repeat(20))), "")
            .expect("written");
    }
    fs::hard_link(path.join("same"), path.join("folder/same")).expect("linked");
    let one = snapshot(world, &dataset, "one");
    let open = fs::File::open(path.join("same")).expect("opened");
    change_everything(&path);
    fs::remove_file(path.join("same")).expect("removed");
    fs::remove_file(path.join("folder/same")).expect("removed");
    fs::rename(path.join("folder"), path.join("moved")).expect("renamed");
    let two = snapshot(world, &dataset, "two");
    drop(open);

    let copies = copied((zfs, [&one, &two]), (&other, &copy), SendFlags::empty());
    let theirs = other.diff(&copies[0], &copies[1]).expect("a comparison");
    let theirs: Vec<Change> = theirs.collect::<Result<_, _>>().expect("all of it");
    let ours = changes(world, &one, &two);
    assert!(ours.len() > 8, "{ours:?}");
    assert_eq!(ours, theirs);
    are_in_the_same_places((zfs, &two), (&other, &copies[1]), 600);
}

/// A kernel in this process, and its pool.
fn in_process() -> (Zfs, DatasetName) {
    let other = Zfs::new(Embedded::builder().pool("other", Bytes::from_gib(64)).build());
    (other, "other/copy".parse().expect("a name"))
}

/// Sends two snapshots from one kernel to another.
fn copied(
    (zfs, [one, two]): (&Zfs, [&SnapshotName; 2]),
    (other, copy): (&Zfs, &DatasetName),
    flags: SendFlags,
) -> [SnapshotName; 2] {
    let all = [(one, SendOptions::full()), (two, SendOptions::since(one.clone()))];
    all.map(|(snapshot, options)| {
        let to = copy.snapshot(snapshot.snapshot()).expect("a name");
        let receive = other.receive(&to, &ReceiveOptions::new()).expect("a receive");
        let sent = zfs.send(snapshot, &options.flags(flags)).expect("a send");
        sent.receive_into(receive).expect("a transfer").wait().expect("received");
        to
    })
}

/// Whether both kernels say the same of every number up to `most`, and of some beyond.
fn are_in_the_same_places(
    (zfs, one): (&Zfs, &SnapshotName),
    (other, same): (&Zfs, &SnapshotName),
    most: u64,
) {
    let mut found = 0;
    for object in (0..most).chain([1 << 40, 1 << 48]) {
        let here = zfs.object_path(one, object).map_err(|error| error.errno());
        let there = other.object_path(same, object).map_err(|error| error.errno());
        assert_eq!(here, there, "object {object}");
        found += u64::from(here.is_ok());
    }
    assert!(found > 4, "{found}");
}

/// Attributes are of another kind there. What is written after an upgrade has the new kind, also below a directory with the old one.
fn files_from_before_version_5_are_found_in_process_as_here(world: &World) {
    let zfs = world.zfs();
    let (other, copy) = in_process();
    let properties = legacy().with("version", "4").expect("a property");
    let (dataset, path) =
        made_and_mounted(world, "files", &Create::filesystem().properties(&properties));
    populate(&path);
    fs::create_dir(path.join("folder/below")).expect("made");
    fs::write(path.join("folder/below/file"), "old").expect("written");
    symlink("folder/below", path.join("old symbolic")).expect("made");
    let one = snapshot(world, &dataset, "one");
    zfs.unmount(&dataset, UnmountFlags::empty()).expect("unmounted");
    let newest = PropertySet::new().with("version", "5").expect("a property");
    zfs.set_properties(&dataset, &newest).expect("upgraded");
    let path = mount(world, &dataset, "upgraded");
    change_everything(&path);
    // A file that is changed has the new kind from then on, if its rights were looked at; its directory is not changed.
    let file = path.join("folder/below/file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("changed");
    fs::write(&file, "new").expect("written");
    let two = snapshot(world, &dataset, "two");

    let copies = copied((zfs, [&one, &two]), (&other, &copy), SendFlags::empty());
    let theirs = other.diff(&copies[0], &copies[1]).expect("a comparison");
    let theirs: Vec<Change> = theirs.collect::<Result<_, _>>().expect("all of it");
    assert_eq!(changes(world, &one, &two), theirs);
    for (snapshot, copy) in [(&one, &copies[0]), (&two, &copies[1])] {
        are_in_the_same_places((zfs, snapshot), (&other, copy), 300);
    }
}

fn files_of_an_encrypted_file_system_that_was_received_are_found_with_its_key(world: &World) {
    let (zfs, key) = (world.zfs(), Key::raw([7; 32]));
    let (other, copy) = in_process();
    let create = Create::filesystem().properties(&legacy()).key(key.clone());
    let (dataset, path) = made_and_mounted(world, "files", &create);
    populate(&path);
    let one = snapshot(world, &dataset, "one");
    change_everything(&path);
    let two = snapshot(world, &dataset, "two");
    let expected = changes(world, &one, &two);
    let root = fs::metadata(&path).expect("it is there").ino();

    let here = world.dataset("copy");
    for (kernel, copy) in [(zfs, &here), (&other, &copy)] {
        let copies = copied((zfs, [&one, &two]), (kernel, copy), SendFlags::RAW);
        // Without the key nobody says where a file is.
        let error = kernel.object_path(&copies[1], root).expect_err("no key");
        assert_eq!(error.kind(), ErrorKind::KeyNotLoaded, "{error}");
        kernel.load_key(copy, &key).expect("the same key");
        let found = kernel.diff(&copies[0], &copies[1]).expect("a comparison");
        let found: Vec<Change> = found.collect::<Result<_, _>>().expect("all of it");
        assert_eq!(found, expected);
        are_in_the_same_places((zfs, &two), (kernel, &copies[1]), 300);
    }
}

fn what_cannot_be_compared_is_refused_by_kind(world: &World) {
    let zfs = world.zfs();
    let dataset = world.root().child("files").expect("a name");
    zfs.create_filesystem(
        &dataset,
        &PropertySet::new().with("canmount", "off").expect("a property"),
    )
    .expect("a file system");
    let one = snapshot(world, &dataset, "one");
    let two = snapshot(world, &dataset, "two");
    let none = dataset.snapshot("none").expect("a name");
    let kind = |from: &SnapshotName, to: &SnapshotName| {
        zfs.diff(from, to).map_or_else(|error| Some(error.kind()), |_| None)
    };
    assert_eq!(kind(&one, &two), None);
    assert_eq!(kind(&two, &one), Some(ErrorKind::Unrelated));
    assert_eq!(kind(&one, &none), Some(ErrorKind::NotFound));
    assert_eq!(kind(&none, &one), Some(ErrorKind::NotFound));
    let zvol = volume::filled(world, "zvol", Bytes::from_mib(1));
    let first = snapshot(world, &zvol, "one");
    volume::write(zfs, &zvol, 0, b"changed");
    let second = snapshot(world, &zvol, "two");
    let outcome: Result<Vec<Change>, _> = zfs.diff(&first, &second).and_then(Iterator::collect);
    assert_eq!(outcome.expect_err("of file systems only").kind(), ErrorKind::WrongType);
}

fn zfs_diff_says_the_same(world: &World) {
    let (dataset, path) = mounted(world, "files");
    populate(&path);
    let one = snapshot(world, &dataset, "one");
    change_everything(&path);
    let two = snapshot(world, &dataset, "two");
    let text = command::zfs(&["diff", "-H", "-h", one.as_str(), two.as_str()]);
    let prefix = path.display().to_string();
    let mut theirs: Vec<String> =
        text.lines().map(|line| line.replace(&prefix, "").trim_end().to_owned()).collect();
    let mut ours: Vec<String> = changes(world, &one, &two).iter().map(line).collect();
    theirs.sort();
    ours.sort();
    assert_eq!(ours, theirs);
}

/// As `zfs diff -H -h` prints it.
fn line(change: &Change) -> String {
    let path = change.path.display();
    match &change.kind {
        ChangeKind::Added => format!("+\t{path}"),
        ChangeKind::Removed => format!("-\t{path}"),
        ChangeKind::Modified => format!("M\t{path}"),
        ChangeKind::Renamed(to) => format!("R\t{path}\t{}", to.display()),
        ChangeKind::Links(more) => format!("M\t{path}\t({more:+})"),
        other => panic!("unknown: {other:?}"),
    }
}
