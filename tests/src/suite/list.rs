//! Listing: order, depth, kinds, roots, properties; by programs, and where programs are not allowed.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use zfsvol_core::kernel::{Call, Cmd, Errno, Host, Ioc, Kernel, Observe, Refused};
use zfsvol_core::property::{DatasetKind, DatasetTypes, PropertySet, Source};
use zfsvol_core::zfs::{Dataset, List};
use zfsvol_core::{Bytes, DatasetName, EntityName, ErrorKind, Zfs};

use crate::{Case, Need, World, case, command};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(datasets_come_in_the_order_of_names_and_snapshots_of_age),
        case(the_depth_ends_the_listing),
        case(only_the_kinds_wanted_are_listed),
        case(names_are_those_of_the_full_listing),
        case(several_roots_list_nothing_twice),
        case(all_pools_are_listed),
        case(a_missing_root_is_not_found),
        case(properties_come_with_their_sources),
        case(snapshots_and_bookmarks_have_properties),
        case(a_clone_names_its_origin),
        case(a_clone_that_uses_nothing_is_listed),
        case(without_channel_programs_the_listing_is_the_same),
        case(what_has_snapshots_and_what_has_none_is_looked_below),
        case(many_siblings_are_all_listed).needs(Need::Speed),
        case(names_alone_open_no_dataset_but_parents),
        case(names_without_programs_take_two_calls_each),
        case(a_listing_takes_few_calls),
        case(a_dataset_destroyed_meanwhile_is_left_out),
        case(one_error_ends_the_listing),
        case(zfs_list_says_the_same).needs(Need::Commands),
    ]
}

const ALL: DatasetTypes = DatasetTypes::all();

/// `a`, `a-b`, `a/c`, `a/c/d`, the zvol `v`; snapshots whose names sort the other way than they were made, and bookmarks.
fn forest(world: &World) -> DatasetName {
    let root = world.root();
    let off = set(&[("canmount", "off")]);
    for name in ["a", "a-b", "a/c", "a/c/d"] {
        let name = root.child(name).expect("a name");
        world.zfs().create_filesystem(&name, &off).expect("created");
    }
    let v = root.child("v").expect("a name");
    world.zfs().create_zvol(&v, Bytes::from_mib(1), &PropertySet::new()).expect("created");
    for snapshot in ["z", "m", "b"] {
        for name in ["a", "v"] {
            let name = root.child(name).and_then(|name| name.snapshot(snapshot)).expect("a name");
            world.zfs().snapshot(&[name], &PropertySet::new()).expect("a snapshot");
        }
    }
    let a = root.child("a").expect("a name");
    let marks = ["z", "b"].map(|name| {
        let source: EntityName = a.snapshot(name).expect("a name").into();
        (a.bookmark(&format!("mark-{name}")).expect("a name"), source)
    });
    world.zfs().bookmark(&marks).expect("bookmarks");
    root
}

fn set(pairs: &[(&str, &str)]) -> PropertySet {
    let mut set = PropertySet::new();
    for (name, value) in pairs {
        set.set(name, *value).expect("a valid property");
    }
    set
}

/// What is listed, with the name of the root cut off.
fn listed(zfs: &Zfs, root: &DatasetName, what: &List) -> Vec<String> {
    let found = zfs.list_all(what).expect("listed");
    found.iter().map(|dataset| below(root, dataset.name.as_str())).collect()
}

fn below(root: &DatasetName, name: &str) -> String {
    name.strip_prefix(root.as_str()).expect("below the root").to_owned()
}

fn datasets_come_in_the_order_of_names_and_snapshots_of_age(world: &World) {
    let root = forest(world);
    let everything = List::from(root.clone()).types(ALL);
    assert_eq!(
        listed(world.zfs(), &root, &everything),
        [
            "",
            "/a",
            "/a@z",
            "/a@m",
            "/a@b",
            "/a#mark-z",
            "/a#mark-b",
            "/a/c",
            "/a/c/d",
            "/a-b",
            "/v",
            "/v@z",
            "/v@m",
            "/v@b",
        ]
    );
    let found = world.zfs().list_all(&everything).expect("listed");
    for dataset in &found {
        assert!(dataset.guid.get() != 0 && dataset.createtxg.get() != 0, "{dataset:?}");
        assert!(dataset.properties.is_empty());
        let name = dataset.name.as_str();
        let kind = match name {
            _ if name.contains('@') => DatasetKind::Snapshot,
            _ if name.contains('#') => DatasetKind::Bookmark,
            _ if name.ends_with("/v") => DatasetKind::Volume,
            _ => DatasetKind::Filesystem,
        };
        assert_eq!(dataset.kind, kind, "{name}");
    }
    let guid = |name: &str| {
        let named = |dataset: &&Dataset| below(&root, dataset.name.as_str()) == name;
        found.iter().find(named).expect("it is listed").guid
    };
    assert_eq!(guid("/a@z"), guid("/a#mark-z"));
}

fn the_depth_ends_the_listing(world: &World) {
    let root = forest(world);
    let list = |depth| listed(world.zfs(), &root, &List::from(root.clone()).depth(depth));
    assert_eq!(list(0), [""]);
    assert_eq!(list(1), ["", "/a", "/a-b", "/v"]);
    assert_eq!(list(2), ["", "/a", "/a/c", "/a-b", "/v"]);
    assert_eq!(list(9), ["", "/a", "/a/c", "/a/c/d", "/a-b", "/v"]);
    let v = root.child("v").expect("a name");
    let snapshots = List::from(v).depth(0).types(DatasetTypes::SNAPSHOT);
    assert_eq!(listed(world.zfs(), &root, &snapshots), ["/v@z", "/v@m", "/v@b"]);
}

fn only_the_kinds_wanted_are_listed(world: &World) {
    let root = forest(world);
    for (types, names) in [
        (DatasetTypes::FILESYSTEM, &["", "/a", "/a/c", "/a/c/d", "/a-b"][..]),
        (DatasetTypes::VOLUME, &["/v"]),
        (DatasetTypes::SNAPSHOT, &["/a@z", "/a@m", "/a@b", "/v@z", "/v@m", "/v@b"]),
        (DatasetTypes::BOOKMARK, &["/a#mark-z", "/a#mark-b"]),
        (DatasetTypes::VOLUME | DatasetTypes::BOOKMARK, &["/a#mark-z", "/a#mark-b", "/v"]),
        (DatasetTypes::POOL, &[]),
        (DatasetTypes::empty(), &[]),
    ] {
        assert_eq!(listed(world.zfs(), &root, &List::from(root.clone()).types(types)), names);
    }
}

fn names_are_those_of_the_full_listing(world: &World) {
    let root = forest(world);
    for bits in 0..=ALL.bits() {
        let what = List::from(root.clone()).types(DatasetTypes::from_bits_truncate(bits));
        let names: Vec<_> =
            world.zfs().list_names(&what).collect::<Result<_, _>>().expect("listed");
        let full = world.zfs().list_all(&what).expect("listed");
        assert_eq!(names, full.into_iter().map(|dataset| dataset.name).collect::<Vec<_>>());
    }
}

fn several_roots_list_nothing_twice(world: &World) {
    let root = forest(world);
    let name = |below: &str| root.child(below).expect("a name");
    let roots = [name("v"), name("a/c"), name("a"), name("a/c"), name("a-b")];
    let list = List::from_roots(roots.clone());
    assert_eq!(listed(world.zfs(), &root, &list), ["/a", "/a/c", "/a/c/d", "/a-b", "/v"]);
    // The second root goes deeper than the first, which is cut off above it.
    let shallow = List::from_roots([root.clone(), name("a/c")]).depth(1);
    assert_eq!(listed(world.zfs(), &root, &shallow), ["", "/a", "/a-b", "/v", "/a/c", "/a/c/d"]);
    assert_eq!(listed(world.zfs(), &root, &List::from_roots([])), [""; 0]);
}

fn all_pools_are_listed(world: &World) {
    let root = forest(world);
    let other = world.new_pool("other", Bytes::from_mib(128));
    let names: Vec<_> =
        world.zfs().list_names(&List::all_pools()).collect::<Result<_, _>>().expect("listed");
    for name in [root.child("a/c/d").expect("a name"), other.root()] {
        assert_eq!(names.iter().filter(|found| found.as_str() == name.as_str()).count(), 1);
    }
}

fn a_missing_root_is_not_found(world: &World) {
    let missing = world.root().child("none").expect("a name");
    for types in [ALL, DatasetTypes::SNAPSHOT] {
        let what = List::from(missing.clone()).types(types);
        let error = world.zfs().list_all(&what).expect_err("no such dataset");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            format!("cannot list '{missing}': it does not exist (ENOENT)")
        );
        let mut names = world.zfs().list_names(&what);
        let error = names.next().expect("an item").expect_err("no such dataset");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(names.next().is_none());
    }
}

fn properties_come_with_their_sources(world: &World) {
    let root = forest(world);
    let a = root.child("a").expect("a name");
    let properties = set(&[("compression", "lz4"), ("x:y", "z"), ("quota", "64M")]);
    world.zfs().set_properties(&a, &properties).expect("set");
    let wanted =
        ["compression", "x:y", "quota", "used", "casesensitivity", "volsize", "mountpoint"];
    let what = List::from(root.clone()).properties(wanted);
    for dataset in world.zfs().list_all(&what).expect("listed") {
        let all = world.zfs().properties(&dataset.name).expect("read");
        for name in wanted {
            assert_eq!(dataset.properties.get(name), all.get(name), "{} {name}", dataset.name);
        }
        assert_eq!(dataset.properties.number("guid"), None);
        if below(&root, dataset.name.as_str()) == "/a/c" {
            assert_eq!(dataset.properties.source("x:y"), Some(&Source::Inherited(a.clone())));
        }
    }
    let what = List::from(root).types(ALL ^ DatasetTypes::BOOKMARK).all_properties();
    for dataset in world.zfs().list_all(&what).expect("listed") {
        let mut all = world.zfs().properties(&dataset.name).expect("read");
        let mut listed = dataset.properties.clone();
        // What other cases write to the pool changes how much there is.
        for changing in ["available", "used", "usedbychildren"] {
            assert_eq!(
                listed.get(changing).is_some(),
                all.get(changing).is_some(),
                "{} {changing}",
                dataset.name
            );
            listed.remove(changing);
            all.remove(changing);
        }
        assert_eq!(listed, all, "{}", dataset.name);
    }
}

fn snapshots_and_bookmarks_have_properties(world: &World) {
    let root = forest(world);
    let types = DatasetTypes::SNAPSHOT | DatasetTypes::BOOKMARK;
    let what = List::from(root).types(types).properties(["guid", "creation", "type", "userrefs"]);
    for dataset in world.zfs().list_all(&what).expect("listed") {
        assert_eq!(dataset.properties.number("guid"), Some(dataset.guid.get()));
        assert_eq!(dataset.properties.text("type"), Some(dataset.kind.to_string().as_str()));
        assert!(dataset.properties.number("creation").expect("a time") > 1_600_000_000);
        let userrefs = (dataset.kind == DatasetKind::Snapshot).then_some(0);
        assert_eq!(dataset.properties.number("userrefs"), userrefs);
    }
}

fn a_clone_names_its_origin(world: &World) {
    let root = forest(world);
    let origin = root.child("a").and_then(|a| a.snapshot("m")).expect("a name");
    let clone = root.child("clone").expect("a name");
    world.zfs().create_clone(&clone, &origin, &set(&[("canmount", "off")])).expect("cloned");
    let what = List::from(clone).types(ALL);
    let found = world.zfs().list_all(&what).expect("listed");
    // The snapshot before it is not its own.
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].origin.as_ref(), Some(&origin));
}

/// Its parent uses nothing for what is below it.
fn a_clone_that_uses_nothing_is_listed(world: &World) {
    let root = forest(world);
    let origin = root.child("a").and_then(|a| a.snapshot("m")).expect("a name");
    let parent = root.child("a-b").expect("a name");
    let clone = parent.child("clone").expect("a name");
    world.zfs().create_clone(&clone, &origin, &set(&[("canmount", "off")])).expect("cloned");
    for zfs in [world.zfs().clone(), without_programs(world)] {
        for what in [
            List::from(parent.clone()),
            List::from(parent.clone()).properties(["usedbychildren"]),
            List::from(root.clone()).types(ALL ^ DatasetTypes::BOOKMARK),
        ] {
            let found = listed(&zfs, &root, &what);
            assert!(found.contains(&"/a-b/clone".to_owned()), "{what:?}: {found:?}");
        }
    }
    let children = world.zfs().properties(&parent).expect("read").bytes("usedbychildren");
    assert_eq!(children, Some(Bytes::ZERO));
}

/// A door that notes what passes, and lets no program through if so told.
fn door(zfs: &Zfs, programs: bool) -> (Zfs, Arc<Mutex<Vec<Ioc>>>) {
    let calls: Arc<Mutex<Vec<Ioc>>> = Arc::default();
    let log = Arc::clone(&calls);
    let door = Observe::new(Arc::clone(zfs.kernel())).before(move |call| match call {
        Call::Ioctl { ioc, .. } => {
            log.lock().expect("the log").push(*ioc);
            match *ioc {
                Ioc::CHANNEL_PROGRAM if !programs => Err(Refused::new(Errno::EPERM, "no programs")),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    });
    (Zfs::new(door), calls)
}

fn without_programs(world: &World) -> Zfs {
    door(world.zfs(), false).0
}

fn without_channel_programs_the_listing_is_the_same(world: &World) {
    let root = forest(world);
    let door = without_programs(world);
    for types in [ALL, DatasetTypes::SNAPSHOT, DatasetTypes::FILESYSTEM] {
        let what = List::from(root.clone()).types(types).properties(["compression", "version"]);
        let expected = world.zfs().list_all(&what).expect("listed");
        assert_eq!(door.list_all(&what).expect("listed"), expected);
        let names: Vec<_> = door.list_names(&what).collect::<Result<_, _>>().expect("listed");
        assert_eq!(names, expected.into_iter().map(|dataset| dataset.name).collect::<Vec<_>>());
    }
}

/// Whether something is below is told in another way for what could be destroyed than for what has snapshots: at first, and where that helps.
fn what_has_snapshots_and_what_has_none_is_looked_below(world: &World) {
    let root = world.root();
    let off = set(&[("canmount", "off")]);
    let create = |name: &DatasetName| {
        world.zfs().create_filesystem(name, &off).expect("created");
    };
    let mut expected = vec![root.as_str().to_owned()];
    // By number: with a snapshot, with a child, with both, with neither; first all of a kind, then mixed.
    for number in 0..32 {
        let (snapshot, child) = match number {
            0..8 => (true, number == 7),
            8..16 => (false, number == 15),
            _ => (number % 2 == 0, number % 3 == 0),
        };
        let name = root.child(&format!("{number:02}")).expect("a name");
        create(&name);
        expected.push(name.to_string());
        if child {
            let below = name.child("below").expect("a name");
            create(&below);
            expected.push(below.to_string());
        }
        if snapshot {
            let snapshot = name.snapshot("s").expect("a name");
            world.zfs().snapshot(&[snapshot], &PropertySet::new()).expect("a snapshot");
        }
    }
    for zfs in [world.zfs().clone(), without_programs(world)] {
        let what = List::from(root.clone());
        let names: Vec<_> = zfs.list_names(&what).collect::<Result<_, _>>().expect("listed");
        assert_eq!(names.iter().map(EntityName::as_str).collect::<Vec<_>>(), expected);
        let found = zfs.list_all(&what).expect("listed");
        assert_eq!(found.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), expected);
    }
}

/// More than one program looks for below one parent, and more than are asked about at once.
fn many_siblings_are_all_listed(world: &World) {
    let root = world.root();
    let names: Vec<DatasetName> =
        (0..600).map(|number| root.child(&format!("{number:03}")).expect("a name")).collect();
    for name in &names {
        world.zfs().create_filesystem(name, &set(&[("canmount", "off")])).expect("created");
    }
    let expected: Vec<&str> =
        [root.as_str()].into_iter().chain(names.iter().map(DatasetName::as_str)).collect();
    let doors = [world.zfs().clone(), without_programs(world)];
    for (zfs, threads) in doors.iter().zip([1, 7]) {
        let threads = NonZeroUsize::new(threads).expect("not zero");
        let what = List::from(root.clone()).threads(threads);
        let found: Vec<_> = zfs.list_names(&what).collect::<Result<_, _>>().expect("listed");
        assert_eq!(found.iter().map(EntityName::as_str).collect::<Vec<_>>(), expected);
        let found = zfs.list_all(&what).expect("listed");
        assert_eq!(found.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), expected);
    }
}

/// Twenty file systems below the case's own.
fn twenty(world: &World) -> DatasetName {
    let root = world.root();
    for number in 0..20 {
        let name = root.child(&format!("d{number}")).expect("a name");
        world.zfs().create_filesystem(&name, &set(&[("canmount", "off")])).expect("created");
    }
    root
}

/// The ioctls of a listing of those, in order.
fn calls(world: &World, what: &List, programs: bool, names: bool) -> Vec<Ioc> {
    let (zfs, calls) = door(world.zfs(), programs);
    let found = match names {
        true => zfs.list_names(what).filter_map(Result::ok).count(),
        false => zfs.list(what).filter_map(Result::ok).count(),
    };
    assert_eq!(found, 21);
    let calls = calls.lock().expect("the log");
    calls.clone()
}

fn names_alone_open_no_dataset_but_parents(world: &World) {
    let what = List::from(twenty(world));
    // Whether the root is there; and programs for what is below it, and below all that.
    let looked = [Ioc::OBJSET_STATS, Ioc::CHANNEL_PROGRAM];
    let looked_below = [looked.as_slice(), &[Ioc::CHANNEL_PROGRAM]].concat();
    assert_eq!(calls(world, &what, true, true), looked_below);
    // Nothing is asked about the lowest level wanted.
    assert_eq!(calls(world, &what.clone().depth(1), true, true), looked);
}

fn names_without_programs_take_two_calls_each(world: &World) {
    let what = List::from(twenty(world));
    // The last one says that there are no more; and each is asked what is below it.
    let each = [Ioc::DATASET_LIST_NEXT; 21];
    let below = [Ioc::DATASET_LIST_NEXT; 20];
    let refused = [Ioc::OBJSET_STATS, Ioc::CHANNEL_PROGRAM];
    assert_eq!(calls(world, &what, false, true), [refused.as_slice(), &each, &below].concat());
    assert_eq!(calls(world, &what.depth(1), false, true), [refused.as_slice(), &each].concat());
}

fn a_listing_takes_few_calls(world: &World) {
    let root = twenty(world);
    // Each dataset once, and two programs: what is below the root, and below all that.
    let full = List::from(root.clone()).properties(["used", "x:y"]);
    let both = List::from(root).types(ALL ^ DatasetTypes::BOOKMARK);
    for what in [full, both] {
        let calls = calls(world, &what, true, false);
        assert_eq!(calls.len(), 23, "{calls:?}");
    }
}

/// Destroys a dataset after the program that names it, before it is asked about.
#[derive(Debug)]
struct Destroyer {
    behind: Arc<dyn Kernel>,
    victim: DatasetName,
    errno: Option<Errno>,
}

impl Kernel for Destroyer {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        if ioc == Ioc::OBJSET_STATS && cmd.name == self.victim.as_str() {
            if let Some(errno) = self.errno {
                return Err(errno);
            }
            // That it is gone already is as well.
            let _ = Zfs::from_shared(Arc::clone(&self.behind)).destroy(&self.victim);
        }
        self.behind.ioctl(ioc, cmd)
    }

    fn host(&self) -> &dyn Host {
        self.behind.host()
    }
}

fn a_dataset_destroyed_meanwhile_is_left_out(world: &World) {
    let root = forest(world);
    let victim = root.child("a-b").expect("a name");
    let behind = Arc::clone(world.zfs().kernel());
    let zfs = Zfs::new(Destroyer { behind, victim, errno: None });
    assert_eq!(listed(&zfs, &root, &List::from(root.clone())), ["", "/a", "/a/c", "/a/c/d", "/v"]);
}

fn one_error_ends_the_listing(world: &World) {
    let root = forest(world);
    let victim = root.child("a-b").expect("a name");
    let behind = Arc::clone(world.zfs().kernel());
    let zfs = Zfs::new(Destroyer { behind, victim: victim.clone(), errno: Some(Errno::EIO) });
    let mut listing = zfs.list(&List::from(root.clone()));
    assert_eq!(listing.next().expect("the root").expect("listed").name.as_str(), root.as_str());
    let error = listing.find_map(Result::err).expect("an error");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.target(), Some(victim.as_str()));
    assert!(listing.next().is_none());
}

fn zfs_list_says_the_same(world: &World) {
    let root = forest(world);
    let shown = command::zfs(&[
        "list",
        "-Hpr",
        "-t",
        "all",
        "-o",
        "name,type,guid,createtxg,referenced",
        root.as_str(),
    ]);
    let mut shown: Vec<&str> = shown.lines().collect();
    let what = List::from(root).types(ALL).properties(["type", "referenced"]);
    let mut found: Vec<String> = world
        .zfs()
        .list_all(&what)
        .expect("listed")
        .iter()
        .map(|dataset| {
            let referenced = dataset.properties.value("referenced").expect("a number");
            format!(
                "{}\t{}\t{}\t{}\t{referenced}",
                dataset.name, dataset.kind, dataset.guid, dataset.createtxg
            )
        })
        .collect();
    // The command orders names as plain text.
    shown.sort_unstable();
    found.sort_unstable();
    // Bookmarks made without their own count of space have none for the command either.
    assert_eq!(found, shown);
}
