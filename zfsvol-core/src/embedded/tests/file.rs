//! Files of file systems that were received: where they are, and what became of them.

use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::embedded::Embedded;
use crate::property::PropertySet;
use crate::stream::{FileTree, ObjectType, StreamWriter};
use crate::zfs::{ChangeKind, ReceiveOptions};
use crate::{Bytes, DatasetName, Errno, ErrorKind, SnapshotName, Zfs};

fn received(zfs: &Zfs, fixtures: &[&str]) -> Vec<SnapshotName> {
    received_streams(zfs, fixtures.iter().map(|name| fixture(name)))
}

fn received_streams(zfs: &Zfs, streams: impl IntoIterator<Item = Vec<u8>>) -> Vec<SnapshotName> {
    let mut snapshots = Vec::new();
    for stream in streams {
        let snapshot: SnapshotName = format!("tank/files@{}", snapshots.len()).parse().unwrap();
        let mut receive = zfs.receive(&snapshot, &ReceiveOptions::new()).unwrap();
        receive.write_all(&stream).unwrap();
        receive.finish().unwrap();
        snapshots.push(snapshot);
    }
    snapshots
}

/// Paths and objects, as the streams themselves say.
fn listed(fixtures: &[&str]) -> Vec<(PathBuf, u64)> {
    let mut tree = FileTree::new();
    for name in fixtures {
        tree.apply(&mut StreamReader::from_bytes(&fixture(name))).unwrap();
    }
    let mut listed = Vec::new();
    tree.walk(|entry| listed.push((entry.path.to_owned(), entry.object))).unwrap();
    listed
}

#[test]
fn each_file_of_a_stream_is_where_the_stream_says() {
    for fixtures in [
        &["2.1/full", "2.1/incremental"][..],
        &["2.3/full", "2.3/incremental"],
        &["2.4/full", "2.4/incremental"],
        &["2.3/attributes_folders"],
    ] {
        let zfs = Zfs::new(Embedded::new());
        let snapshots = received(&zfs, fixtures);
        let newest = snapshots.last().unwrap();
        let listed = listed(fixtures);
        assert!(!listed.is_empty());
        for (path, object) in &listed {
            let found = zfs.object_path(newest, *object).unwrap();
            // A file with several names has the path of one of them.
            let names = listed.iter().filter(|(_, other)| other == object).count();
            let whole = Path::new("/").join(path);
            assert!(found == whole || names > 1, "{found:?} or {whole:?} of {fixtures:?}");
        }
    }
}

#[test]
fn what_an_increment_changed_is_told_by_file() {
    let fixtures = ["2.3/full", "2.3/incremental"];
    let zfs = Zfs::new(Embedded::new());
    let snapshots = received(&zfs, &fixtures);
    let changes: Result<Vec<_>, _> = zfs.diff(&snapshots[0], &snapshots[1]).unwrap().collect();
    let (before, after) = (listed(&fixtures[..1]), listed(&fixtures));
    let is_in = |list: &[(PathBuf, u64)], path: &Path| {
        list.iter().any(|(other, _)| Path::new("/").join(other) == path)
    };
    let changes = changes.unwrap();
    assert!(!changes.is_empty());
    for change in &changes {
        let (was, is) = (is_in(&before, &change.path), is_in(&after, &change.path));
        match &change.kind {
            ChangeKind::Added => assert!(!was && is, "{change:?}"),
            ChangeKind::Removed => assert!(was && !is, "{change:?}"),
            ChangeKind::Renamed(to) => assert!(was && is_in(&after, to), "{change:?}"),
            _ => assert!(change.path == Path::new("/") || was && is, "{change:?}"),
        }
    }
    let told = |path: &Path| changes.iter().any(|change| change.path == path);
    for (path, _) in after.iter().filter(|(path, _)| !before.iter().any(|(other, _)| other == path))
    {
        let whole = Path::new("/").join(path);
        let is_new_name = changes.iter().any(|change| match &change.kind {
            ChangeKind::Renamed(to) => *to == whole,
            ChangeKind::Links(_) => true,
            _ => false,
        });
        assert!(told(&whole) || is_new_name, "{whole:?} is new");
    }
}

#[test]
fn what_is_no_file_has_no_path() {
    let zfs = Zfs::new(Embedded::new());
    let snapshot = &received(&zfs, &["2.3/full"])[0];
    // The master node, and one that is not there.
    assert_eq!(zfs.object_path(snapshot, 1).unwrap_err().errno(), Some(Errno::ENOTSUP));
    assert_eq!(zfs.object_path(snapshot, 0).unwrap_err().errno(), Some(Errno::EINVAL));
    let missing = zfs.object_path(snapshot, 1 << 40).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

/// The stream with attributes of the old kind, as far as the types of its objects go: they are too short for that.
fn with_old_attributes(stream: &[u8]) -> Vec<u8> {
    let mut writer = StreamWriter::new(Vec::new());
    for (mut record, payload) in frames(stream) {
        if let Record::Object(object) = &mut record {
            if object.bonus_type == ObjectType::SA {
                object.bonus_type = ObjectType::ZNODE;
            }
        }
        writer.write(&record, &payload).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn what_is_too_short_for_attributes_of_the_old_kind_is_no_file() {
    let zfs = Zfs::new(Embedded::new());
    let snapshots = received_streams(&zfs, [with_old_attributes(&fixture("2.3/full"))]);
    let (_, object) = listed(&["2.3/full"])[0];
    let error = zfs.object_path(&snapshots[0], object).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOTSUP));
}

/// Where the root directory of a new file system is before version 5.
const OLD_ROOT: u64 = 33;

#[test]
fn the_root_of_a_file_system_before_version_5_is_found_and_stays_when_it_is_upgraded() {
    for version in 1..5_u64 {
        let zfs = Zfs::new(Embedded::builder().pool("tank", Bytes::from_gib(1)).build());
        let name: DatasetName = "tank/old".parse().unwrap();
        let set = |version: u64| PropertySet::new().with("version", version.to_string()).unwrap();
        zfs.create_filesystem(&name, &set(version)).unwrap();
        let snapshot = |snapshot: &str| {
            let snapshot = name.snapshot(snapshot).unwrap();
            zfs.snapshot([&snapshot], &PropertySet::new()).unwrap();
            snapshot
        };
        let before = snapshot("before");
        assert_eq!(zfs.object_path(&before, OLD_ROOT).unwrap(), Path::new("/"));
        zfs.set_properties(&name, &set(5)).unwrap();
        let after = snapshot("after");
        assert_eq!(zfs.object_path(&after, OLD_ROOT).unwrap(), Path::new("/"));
        // The object that attributes are to be described in is no file.
        let described = zfs.object_path(&after, 2).unwrap_err();
        assert_eq!(described.errno(), Some(Errno::ENOTSUP));
        assert_eq!(zfs.object_path(&before, 2).unwrap_err().errno(), Some(Errno::ENOENT));
        let changes: Result<Vec<_>, _> = zfs.diff(&before, &after).unwrap().collect();
        assert!(changes.unwrap().is_empty());
    }
}
