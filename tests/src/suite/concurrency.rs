//! Many threads, one handle.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::Destroy;
use zfsvol_core::{Bytes, DatasetName, ErrorKind, Zfs};

use crate::expect::{at_once, file_system, snapshot};
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(sixty_four_threads_create_snapshot_and_destroy),
        case(of_sixty_four_threads_that_create_one_name_one_succeeds),
        case(of_many_threads_that_destroy_one_dataset_one_succeeds),
        case(many_threads_hold_and_release_one_snapshot),
        case(a_tree_is_snapshotted_while_datasets_come_and_go),
        case(handles_opened_by_many_threads_work_side_by_side),
    ]
}

const THREADS: usize = 64;

fn sixty_four_threads_create_snapshot_and_destroy(world: &World) {
    const ROUNDS: usize = 3;
    let (zfs, root) = (world.zfs(), world.root());
    at_once(THREADS, |number| {
        for round in 0..ROUNDS {
            life_of_a_volume(
                zfs,
                &root.child(&format!("v{number}-{round}")).expect("a name"),
                number,
            );
        }
    });
    let left = zfs.snapshot_recursive(&root, "after", &PropertySet::new()).expect("listed");
    assert_eq!(left, [root.snapshot("after").expect("a name")], "every volume is gone");
}

/// One volume from creation to destruction; every other one is a zvol.
fn life_of_a_volume(zfs: &Zfs, volume: &DatasetName, number: usize) {
    let none = PropertySet::new();
    if number % 2 == 0 {
        zfs.create_filesystem(volume, &none).expect("created");
    } else {
        zfs.create_zvol(volume, Bytes::from_mib(8), &none).expect("created");
    }
    let snapshot = volume.snapshot("s").expect("a name");
    zfs.snapshot(std::slice::from_ref(&snapshot), &none).expect("snapshot");
    let clone: DatasetName = format!("{volume}-clone").parse().expect("a name");
    zfs.create_clone(&clone, &snapshot, &none).expect("cloned");
    let error = zfs.destroy(volume).expect_err("it has a snapshot");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    zfs.destroy(&clone).expect("the clone goes");
    zfs.destroy_snapshots(&[snapshot], Destroy::Now).expect("the snapshot goes");
    zfs.destroy(volume).expect("the volume goes");
    assert!(!zfs.exists(volume).expect("asked"));
}

fn of_sixty_four_threads_that_create_one_name_one_succeeds(world: &World) {
    let (zfs, name) = (world.zfs(), world.dataset("v"));
    let outcomes = at_once(THREADS, |_| zfs.create_filesystem(&name, &PropertySet::new()));
    let kinds: Vec<ErrorKind> =
        outcomes.into_iter().filter_map(Result::err).map(|error| error.kind()).collect();
    assert_eq!(kinds, [ErrorKind::Exists; THREADS - 1]);
}

fn of_many_threads_that_destroy_one_dataset_one_succeeds(world: &World) {
    let (zfs, name) = (world.zfs(), file_system(world, "v"));
    let outcomes = at_once(16, |_| zfs.destroy(&name));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        // Who comes while another is at it finds it busy; who comes later, gone.
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Busy), "{error}");
    }
}

fn many_threads_hold_and_release_one_snapshot(world: &World) {
    let zfs = world.zfs();
    let snapshot = snapshot(world, &file_system(world, "v"), "s");
    at_once(32, |number| {
        let tag = format!("holder-{number}");
        let hold = [(snapshot.clone(), tag.as_str())];
        zfs.hold(&hold, None).expect("held");
        let tags: BTreeSet<String> =
            zfs.holds(&snapshot).expect("asked").into_iter().map(|hold| hold.tag).collect();
        assert!(tags.contains(&tag), "one's own hold is there: {tags:?}");
        zfs.release(&hold).expect("released");
    });
    assert_eq!(zfs.holds(&snapshot).expect("asked"), []);
}

fn a_tree_is_snapshotted_while_datasets_come_and_go(world: &World) {
    const SNAPSHOTS: usize = 10;
    let (zfs, root) = (world.zfs(), world.root());
    let stay: Vec<DatasetName> = (0..4).map(|n| file_system(world, &format!("stay{n}"))).collect();
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        let come_and_go = scope.spawn(|| {
            let mut rounds = 0;
            while done.load(Ordering::Acquire) == 0 {
                let name = root.child(&format!("go{}", rounds % 3)).expect("a name");
                zfs.create_filesystem(&name, &PropertySet::new()).expect("created");
                // A snapshot taken after its tree was listed keeps it; then the next round of listing sees that.
                while let Err(error) = zfs.destroy_recursive(&name) {
                    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
                }
                rounds += 1;
            }
            rounds
        });
        // The other thread ends, whatever becomes of this one.
        let _ended = Ended(&done);
        // A quick kernel would be done before the other thread began.
        while !zfs.exists(&root.child("go0").expect("a name")).expect("asked") {
            thread::yield_now();
        }
        for number in 0..SNAPSHOTS {
            let name = format!("s{number}");
            let made = zfs.snapshot_recursive(&root, &name, &PropertySet::new()).expect("taken");
            for volume in &stay {
                let snapshot = volume.snapshot(&name).expect("a name");
                assert!(made.contains(&snapshot), "{snapshot} is among {made:?}");
            }
        }
        done.store(1, Ordering::Release);
        assert!(come_and_go.join().expect("the other thread") > 0);
    });
}

/// Says that it is over when it is dropped, in a panic too.
struct Ended<'a>(&'a AtomicUsize);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(1, Ordering::Release);
    }
}

fn handles_opened_by_many_threads_work_side_by_side(world: &World) {
    let (zfs, snapshot) = (world.zfs(), snapshot(world, &file_system(world, "v"), "s"));
    at_once(16, |number| {
        let tag = format!("temporary-{number}");
        let handle = zfs.handle().expect("a handle of one's own");
        zfs.hold(&[(snapshot.clone(), &tag)], Some(&handle)).expect("held");
        let others = zfs.holds(&snapshot).expect("asked");
        assert!(others.iter().any(|hold| hold.tag == tag));
    });
    // Each hold ended with its handle.
    assert_eq!(zfs.holds(&snapshot).expect("asked"), []);
}
