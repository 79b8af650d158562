//! Files of file systems that were received: where they are, and what became of them.

use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::embedded::Embedded;
use crate::stream::{FileTree, ObjectType, StreamWriter};
use crate::zfs::{ChangeKind, ReceiveOptions};
use crate::{Errno, ErrorKind, SnapshotName, Zfs};

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

/// The stream as it would be of a file system before version 5, as far as the types of its objects go.
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
fn files_of_an_old_kind_are_refused_and_not_taken_for_none() {
    let zfs = Zfs::new(Embedded::new());
    let fixtures = ["2.3/full", "2.3/incremental"];
    let streams = fixtures.map(|name| with_old_attributes(&fixture(name)));
    let snapshots = received_streams(&zfs, streams);
    let (_, object) = listed(&fixtures)[0];
    let error = zfs.object_path(&snapshots[1], object).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOTSUP));
    assert!(error.to_string().contains("before version 5"), "{error}");
    let changes: Result<Vec<_>, _> = zfs.diff(&snapshots[0], &snapshots[1]).unwrap().collect();
    assert!(changes.unwrap_err().to_string().contains("before version 5"));
}
