//! A conversation with a kernel: the same calls each time, and what was said to each, in words that do not depend on the day. It is recorded with real releases of OpenZFS
//! (`tests/fixtures/conversation`), and any kernel that is of that release must say the same.

use std::fmt::Debug;
use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::Arc;

use zfsvol_core::kernel::{DevZfs, Order, Record, Replay};
use zfsvol_core::property::{DatasetTypes, PropertySet};
use zfsvol_core::zfs::{Create, Destroy, Key, List, SendOptions};
use zfsvol_core::{Bytes, DatasetName, EntityName, Error, PoolName, SnapshotName, Zfs};

use crate::world;

/// The pool in which the recordings were made.
const POOL: &str = "zfsvol-talk";

/// What was recorded with each release.
pub const RECORDED: [(&str, &[u8]); 3] = [
    ("2.1", include_bytes!("../fixtures/conversation/2.1.zfsvol")),
    ("2.3", include_bytes!("../fixtures/conversation/2.3.zfsvol")),
    ("2.4", include_bytes!("../fixtures/conversation/2.4.zfsvol")),
];

/// What a recording says, to the last call of it.
///
/// # Panics
/// It is not of the conversation that is held today: `tests/fixtures/conversation/make` makes it anew.
pub fn replayed(recording: &[u8]) -> Vec<String> {
    let replay = Arc::new(Replay::read(recording, Order::Strict).expect("a recording"));
    let pool: PoolName = POOL.parse().expect("a name");
    let lines = tell(&Zfs::from_shared(replay.clone()), &pool.root());
    assert_eq!((replay.left(), replay.mismatch()), (0, None), "make it anew");
    lines
}

/// Records the conversation with the module of this machine, in a pool made for it in that file's folder.
///
/// # Panics
/// There is no module, or something of that name.
pub fn record(file: &str) {
    let pool: PoolName = POOL.parse().expect("a name");
    let zfs = Zfs::open().expect("a module");
    let disk = tempfile::NamedTempFile::new().expect("a file");
    disk.as_file().set_len(Bytes::from_mib(256).get()).expect("a sparse file");
    world::create_pool(&zfs, &pool, disk.path());
    let tape = File::create(file).expect("a file");
    let door = Arc::new(DevZfs::open().expect("a module"));
    let recorder = Arc::new(Record::new(door, tape).expect("a recording"));
    tell(&Zfs::from_shared(recorder.clone()), &pool.root());
    recorder.finish().expect("recorded");
    world::destroy_pool(&zfs, &pool).expect("destroyed");
}

/// The conversation, below a file system that is empty before and after.
pub fn tell(zfs: &Zfs, root: &DatasetName) -> Vec<String> {
    let mut talk = Talk { zfs, root: root.clone(), lines: Vec::new() };
    datasets(&mut talk);
    snapshots(&mut talk);
    holds_and_bookmarks(&mut talk);
    clones(&mut talk);
    sends(&mut talk);
    properties(&mut talk);
    keys(&mut talk);
    talk.look();
    talk.say("gone", zfs.destroy_recursive(&talk.name("a")).map(drop));
    talk.say("gone", zfs.destroy_recursive(&talk.name("v")).map(drop));
    talk.look();
    talk.lines
}

struct Talk<'a> {
    zfs: &'a Zfs,
    root: DatasetName,
    lines: Vec<String>,
}

impl Talk<'_> {
    fn name(&self, below: &str) -> DatasetName {
        below.split('/').fold(self.root.clone(), |name, part| name.child(part).expect("a name"))
    }

    fn snapshot(&self, name: &str) -> SnapshotName {
        let (dataset, snapshot) = name.split_once('@').expect("a snapshot");
        self.name(dataset).snapshot(snapshot).expect("a name")
    }

    /// What came of a call. Every failure of a batch is told.
    fn say<T: Debug>(&mut self, what: &str, outcome: Result<T, Error>) {
        let line = match outcome {
            Ok(value) => format!("{what}: {value:?}"),
            Err(error) => {
                let failures = error.failures().iter();
                let failures: String =
                    failures.map(|one| format!("; {} {:?}", one.name, one.kind)).collect();
                format!("{what}: {:?} {:?}: {error}{failures}", error.kind(), error.errno())
            }
        };
        self.lines.push(line.replace(self.root.as_str(), "ROOT"));
    }

    /// Everything there is, with what was set on it.
    fn look(&mut self) {
        let all = List::from(self.root.clone())
            .types(DatasetTypes::all())
            .threads(NonZeroUsize::MIN)
            .properties([
                "type",
                "volsize",
                "recordsize",
                "compression",
                "quota",
                "origin",
                "org:x",
            ]);
        for dataset in self.zfs.list(&all) {
            let told = dataset.map(|dataset| {
                let set = dataset.properties.iter().map(|(name, property)| {
                    format!("{name}={:?} {:?}", property.value, property.source)
                });
                format!("{} {}", dataset.name, set.collect::<Vec<_>>().join(", "))
            });
            self.say("there is", told);
        }
    }
}

fn set(pairs: &[(&str, &str)]) -> PropertySet {
    pairs
        .iter()
        .fold(PropertySet::new(), |set, (name, value)| set.with(name, *value).expect("a property"))
}

fn datasets(talk: &mut Talk<'_>) {
    let zfs = talk.zfs;
    let compressed = set(&[("compression", "lz4"), ("org:x", "1")]);
    let zvol = |bytes| Create::zvol(Bytes::new(bytes)).properties(&set(&[("volblocksize", "16K")]));
    let creates: [(&str, Create); 8] = [
        ("a", Create::filesystem().properties(&compressed)),
        ("a", Create::filesystem()),
        ("a/b", Create::filesystem().properties(&set(&[("quota", "10M")]))),
        ("missing/b", Create::filesystem()),
        ("v", zvol(8 << 20)),
        ("w", zvol(1000)),
        ("v/under", Create::filesystem()),
        ("c", Create::filesystem().properties(&set(&[("volsize", "1M")]))),
    ];
    for (name, create) in creates {
        talk.say(&format!("create {name}"), zfs.create(&talk.name(name), &create));
    }
    talk.say("rename", zfs.rename(&talk.name("a/b"), &talk.name("a/c")));
    talk.say("rename", zfs.rename(&talk.name("a/b"), &talk.name("a/d")));
    talk.say("rename", zfs.rename(&talk.name("a/c"), &talk.name("v")));
    talk.say("destroy", zfs.destroy(&talk.name("a")));
    talk.say("destroy", zfs.destroy(&talk.name("missing")));
    talk.say("exists", zfs.exists(&talk.name("a/c")));
    talk.say("exists", zfs.exists(&talk.name("a/b")));
    talk.look();
}

fn snapshots(talk: &mut Talk<'_>) {
    let zfs = talk.zfs;
    let batches: [&[&str]; 5] = [
        &["a@1", "a/c@1", "v@1"],
        &["a@1", "v@2"],
        &["missing@1"],
        &["a@2", "v@2"],
        &["a@3", "a@4"],
    ];
    for batch in batches {
        let names: Vec<_> = batch.iter().map(|name| talk.snapshot(name)).collect();
        talk.say(&format!("snapshot {batch:?}"), zfs.snapshot(&names, &set(&[("org:y", "2")])));
    }
    talk.say("rename @2", zfs.rename_snapshot(&talk.snapshot("a@2"), "two", false));
    talk.say("rename @2", zfs.rename_snapshot(&talk.snapshot("a@two"), "1", false));
    talk.say("roll back", zfs.rollback_to(&talk.snapshot("v@1")));
    talk.say("roll back", zfs.rollback(&talk.name("v")).map(|to| to.snapshot().to_owned()));
    let gone = ["a@nothing", "v@2"].map(|name| talk.snapshot(name));
    talk.say("destroy", zfs.destroy_snapshots(&gone, Destroy::Now));
    talk.look();
}

fn holds_and_bookmarks(talk: &mut Talk<'_>) {
    let zfs = talk.zfs;
    let [one, two] = ["a@1", "a@two"].map(|name| talk.snapshot(name));
    talk.say("hold", zfs.hold(&[(one.clone(), "x"), (two.clone(), "x")], None));
    talk.say("hold", zfs.hold(&[(one.clone(), "x"), (talk.snapshot("a@9"), "x")], None));
    talk.say("destroy held", zfs.destroy_snapshots([&one], Destroy::Now));
    talk.say(
        "holds",
        zfs.holds(&one).map(|holds| holds.into_iter().map(|one| one.tag).collect::<Vec<_>>()),
    );
    talk.say("release", zfs.release(&[(one.clone(), "x"), (two.clone(), "y")]));
    talk.say("release", zfs.release(&[(two.clone(), "x")]));
    let bookmark = talk.name("a").bookmark("b").expect("a name");
    let wrong = talk.name("v").bookmark("b").expect("a name");
    let of = |snapshot: &SnapshotName| EntityName::from(snapshot.clone());
    talk.say("bookmark", zfs.bookmark(&[(bookmark.clone(), of(&one))]));
    talk.say("bookmark", zfs.bookmark(&[(bookmark.clone(), of(&two))]));
    talk.say("bookmark", zfs.bookmark(&[(wrong, of(&one))]));
    let names = zfs.bookmarks(&talk.name("a"));
    talk.say("bookmarks", names.map(|all| all.into_iter().map(|one| one.name).collect::<Vec<_>>()));
    talk.say("destroy bookmark", zfs.destroy_bookmarks([&bookmark]));
    talk.say("destroy bookmark", zfs.destroy_bookmarks([&bookmark]));
}

fn clones(talk: &mut Talk<'_>) {
    let zfs = talk.zfs;
    let one = talk.snapshot("a@1");
    let clone = |talk: &Talk<'_>, name: &str, of: &SnapshotName| {
        zfs.create_clone(&talk.name(name), of, &PropertySet::new())
    };
    talk.say("clone", clone(talk, "a/clone", &one));
    talk.say("clone", clone(talk, "a/clone", &one));
    talk.say("clone", clone(talk, "a/other", &talk.snapshot("a@9")));
    talk.say("destroy the origin", zfs.destroy_snapshots([&one], Destroy::Now));
    talk.say("destroy the origin later", zfs.destroy_snapshots([&one], Destroy::Deferred));
    talk.say("promote", zfs.promote(&talk.name("a/c")));
    talk.look();
    talk.say("destroy the clone", zfs.destroy(&talk.name("a/clone")));
    talk.say("is it gone", zfs.exists(&one));
}

fn sends(talk: &mut Talk<'_>) {
    let zfs = talk.zfs;
    let [one, other] = ["v@1", "a@two"].map(|name| talk.snapshot(name));
    let full = SendOptions::full();
    let since = SendOptions::since(zfsvol_core::zfs::SendBase::Snapshot(other));
    talk.say("a missing one", zfs.send_space(&talk.snapshot("v@9"), &full, None));
    talk.say("between others", zfs.send_space(&one, &since, None));
}

fn properties(talk: &mut Talk<'_>) {
    let zfs = talk.zfs;
    for (dataset, name, value) in [
        ("a", "compression", "zstd"),
        ("a", "compression", "best"),
        ("a", "recordsize", "64K"),
        ("a", "recordsize", "1000"),
        ("a", "volsize", "1M"),
        ("a", "quota", "1G"),
        ("a", "org:x", "two"),
        ("a", "creation", "1"),
        ("v", "volsize", "16M"),
        ("v", "volsize", "1000"),
        ("v", "quota", "1G"),
        ("missing", "quota", "1G"),
    ] {
        let set = PropertySet::new().with(name, value);
        let done = set.and_then(|set| zfs.set_properties(&talk.name(dataset), &set));
        talk.say(&format!("set {name}={value} on {dataset}"), done);
    }
    for name in ["org:x", "compression", "quota", "org:nothing"] {
        talk.say(&format!("inherit {name}"), zfs.inherit_property(&talk.name("a"), name));
    }
}

fn keys(talk: &mut Talk<'_>) {
    let zfs = talk.zfs;
    let name = talk.name("a/secret");
    talk.say("encrypted", zfs.create(&name, &Create::filesystem().key(Key::raw([7; 32]))));
    talk.say("unload", zfs.unload_key(&name));
    talk.say("unload", zfs.unload_key(&name));
    talk.say("a wrong key", zfs.load_key(&name, &Key::raw([8; 32])));
    talk.say("check", zfs.check_key(&name, &Key::raw([7; 32])));
    talk.say("load", zfs.load_key(&name, &Key::raw([7; 32])));
    talk.say("load", zfs.load_key(&name, &Key::raw([7; 32])));
    talk.say("no key of its own", zfs.unload_key(&talk.name("a")));
}
