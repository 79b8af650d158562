//! Many snapshots in one call, made and destroyed; whole trees.

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{Destroy, TreeDestroyed};
use zfsvol_core::{BusyReason, Bytes, ErrorKind, SnapshotName};

use crate::expect::{failures, file_system, plain, refused, snapshot};
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(many_snapshots_are_made_at_once),
        case(one_that_cannot_be_made_keeps_all_from_being_made),
        case(failures_of_different_kinds_are_several),
        case(two_snapshots_of_one_dataset_or_of_two_pools_are_refused),
        case(only_user_properties_can_be_set_on_a_snapshot),
        case(nothing_is_done_for_an_empty_list),
        case(destroying_passes_over_what_is_not_there),
        case(a_held_or_cloned_snapshot_is_not_destroyed_and_keeps_the_others),
        case(a_deferred_destroy_waits_for_the_last_hold),
        case(a_deferred_destroy_waits_for_the_last_clone),
        case(a_tree_is_snapshotted_in_one_transaction_group),
        case(a_tree_of_snapshots_is_destroyed),
        case(a_tree_is_destroyed_at_once_with_clones_within),
        case(a_tree_with_something_in_the_way_is_left_whole),
        case(a_tree_that_is_not_there_is_absent),
        case(a_thousand_snapshots_are_one_call),
    ]
}

fn many_snapshots_are_made_at_once(world: &World) {
    let zfs = world.zfs();
    let disk = world.root().child("disk").unwrap();
    zfs.create_zvol(&disk, Bytes::from_mib(8), &plain()).unwrap();
    let both = [file_system(world, "files").snapshot("s").unwrap(), disk.snapshot("s").unwrap()];
    zfs.snapshot(&both, &PropertySet::new().with("org.zfsvol:by", "suite").unwrap()).unwrap();
    for name in &both {
        assert!(zfs.exists(name).unwrap());
    }
}

fn one_that_cannot_be_made_keeps_all_from_being_made(world: &World) {
    let (a, b) = (file_system(world, "a"), file_system(world, "b"));
    let taken = snapshot(world, &b, "s");
    let free = a.snapshot("s").unwrap();
    let error =
        refused(world.zfs().snapshot(&[free.clone(), taken.clone()], &plain()), ErrorKind::Exists);
    assert_eq!(failures(&error), [(taken.as_str(), ErrorKind::Exists)]);
    assert_eq!(
        error.to_string(),
        format!("cannot snapshot: '{taken}': it exists already (EEXIST)")
    );
    assert!(!world.zfs().exists(&free).unwrap());
}

fn failures_of_different_kinds_are_several(world: &World) {
    let a = file_system(world, "a");
    let taken = snapshot(world, &a, "s");
    let missing = world.root().child("none").unwrap().snapshot("s").unwrap();
    let error = world.zfs().snapshot(&[taken.clone(), missing.clone()], &plain()).unwrap_err();
    // The kernel may stop at the first, or list both.
    for (name, kind) in failures(&error) {
        let expected = if name == taken.as_str() { ErrorKind::Exists } else { ErrorKind::NotFound };
        assert_eq!(kind, expected, "{error}");
    }
    assert!(!error.failures().is_empty());
}

fn two_snapshots_of_one_dataset_or_of_two_pools_are_refused(world: &World) {
    let a = file_system(world, "a");
    let two = [a.snapshot("one").unwrap(), a.snapshot("two").unwrap()];
    refused(world.zfs().snapshot(&two, &plain()), ErrorKind::Unrelated);
    let other = world.new_pool("other", Bytes::from_mib(128)).root();
    let pools = [a.snapshot("s").unwrap(), other.snapshot("s").unwrap()];
    refused(world.zfs().snapshot(&pools, &plain()), ErrorKind::Unrelated);
    refused(world.zfs().destroy_snapshots(&pools, Destroy::Now), ErrorKind::Unrelated);
}

fn only_user_properties_can_be_set_on_a_snapshot(world: &World) {
    let name = file_system(world, "a").snapshot("s").unwrap();
    let native = PropertySet::new().with("compression", "lz4").unwrap();
    refused(world.zfs().snapshot(&[name], &native), ErrorKind::Invalid);
}

fn nothing_is_done_for_an_empty_list(world: &World) {
    let zfs = world.zfs();
    zfs.snapshot(&[], &plain()).unwrap();
    zfs.destroy_snapshots(&[], Destroy::Now).unwrap();
    zfs.bookmark(&[]).unwrap();
    zfs.destroy_bookmarks(&[]).unwrap();
    assert!(zfs.hold(&[], None).unwrap().is_empty());
    assert!(zfs.release(&[]).unwrap().is_empty());
}

fn destroying_passes_over_what_is_not_there(world: &World) {
    let a = file_system(world, "a");
    let names = [snapshot(world, &a, "s"), a.snapshot("none").unwrap()];
    world.zfs().destroy_snapshots(&names, Destroy::Now).unwrap();
    world.zfs().destroy_snapshots(&names, Destroy::Now).unwrap();
    assert!(!world.zfs().exists(&names[0]).unwrap());
}

fn a_held_or_cloned_snapshot_is_not_destroyed_and_keeps_the_others(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let (free, held) = (snapshot(world, &a, "free"), snapshot(world, &a, "held"));
    zfs.hold(&[(held.clone(), "backup")], None).unwrap();
    let error = refused(
        zfs.destroy_snapshots(&[free.clone(), held.clone()], Destroy::Now),
        ErrorKind::Busy,
    );
    assert_eq!(failures(&error), [(held.as_str(), ErrorKind::Busy)]);
    assert_eq!(error.failures()[0].busy, [BusyReason::Holds(vec!["backup".into()])]);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot destroy: '{held}': it is held by 'backup' (EBUSY); release the hold, or ask for a deferred destroy"
        )
    );
    assert!(zfs.exists(&free).unwrap());
    zfs.release(&[(held, "backup")]).unwrap();
}

fn a_deferred_destroy_waits_for_the_last_hold(world: &World) {
    let zfs = world.zfs();
    let held = snapshot(world, &file_system(world, "a"), "s");
    zfs.hold(&[(held.clone(), "one")], None).unwrap();
    zfs.hold(&[(held.clone(), "two")], None).unwrap();
    zfs.destroy_snapshots([&held], Destroy::Deferred).unwrap();
    zfs.release(&[(held.clone(), "one")]).unwrap();
    assert!(zfs.exists(&held).unwrap());
    zfs.release(&[(held.clone(), "two")]).unwrap();
    assert!(!zfs.exists(&held).unwrap());
}

fn a_deferred_destroy_waits_for_the_last_clone(world: &World) {
    let zfs = world.zfs();
    let origin = snapshot(world, &file_system(world, "a"), "s");
    let clone = world.root().child("clone").unwrap();
    zfs.create_clone(&clone, &origin, &plain()).unwrap();
    zfs.destroy_snapshots([&origin], Destroy::Deferred).unwrap();
    assert!(zfs.exists(&origin).unwrap());
    zfs.destroy(&clone).unwrap();
    assert!(!zfs.exists(&origin).unwrap());
}

fn a_tree_is_snapshotted_in_one_transaction_group(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    for name in ["a/b", "a/b/c", "a/d"] {
        file_system(world, name);
    }
    let mut names = zfs.snapshot_recursive(&a, "s", &plain()).unwrap();
    names.sort();
    let mut expected: Vec<SnapshotName> = ["a", "a/b", "a/b/c", "a/d"]
        .iter()
        .map(|name| world.root().child(name).unwrap().snapshot("s").unwrap())
        .collect();
    expected.sort();
    assert_eq!(names, expected);
    let error = refused(zfs.snapshot_recursive(&a, "s", &plain()), ErrorKind::Exists);
    assert!(!error.failures().is_empty());
    refused(zfs.snapshot_recursive(&a.child("none").unwrap(), "s", &plain()), ErrorKind::NotFound);
    refused(zfs.snapshot_recursive(&a, "a@b", &plain()), ErrorKind::InvalidName);
}

fn a_tree_of_snapshots_is_destroyed(world: &World) {
    let zfs = world.zfs();
    let (a, b) = (file_system(world, "a"), file_system(world, "a/b"));
    zfs.snapshot_recursive(&a, "s", &plain()).unwrap();
    zfs.destroy_snapshots_recursive(&a, "s", Destroy::Now).unwrap();
    for dataset in [&a, &b] {
        assert!(!zfs.exists(&dataset.snapshot("s").unwrap()).unwrap());
        assert!(zfs.exists(dataset).unwrap());
    }
}

fn a_tree_is_destroyed_at_once_with_clones_within(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let origin = snapshot(world, &file_system(world, "a/b"), "s");
    zfs.create_clone(&a.child("aclone").unwrap(), &origin, &plain()).unwrap();
    let second = snapshot(world, &a.child("aclone").unwrap(), "t");
    zfs.create_clone(&a.child("zclone").unwrap(), &second, &plain()).unwrap();
    zfs.create_zvol(&a.child("disk").unwrap(), Bytes::from_mib(8), &plain()).unwrap();
    zfs.bookmark(&[(a.child("b").unwrap().bookmark("m").unwrap(), origin.into())]).unwrap();
    assert_eq!(zfs.destroy_recursive(&a).unwrap(), TreeDestroyed::AtOnce);
    assert!(!zfs.exists(&a).unwrap());
}

fn a_tree_with_something_in_the_way_is_left_whole(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let held = snapshot(world, &file_system(world, "a/b"), "s");
    let cloned = snapshot(world, &file_system(world, "a/c"), "s");
    let outside = world.root().child("outside").unwrap();
    zfs.create_clone(&outside, &cloned, &plain()).unwrap();
    zfs.hold(&[(held.clone(), "keep")], None).unwrap();
    let error = refused(zfs.destroy_recursive(&a), ErrorKind::Busy);
    let mut found: Vec<_> = error
        .failures()
        .iter()
        .map(|failure| (failure.name.as_str(), failure.busy.clone()))
        .collect();
    found.sort_by_key(|(name, _)| *name);
    assert_eq!(
        found,
        [
            (held.as_str(), vec![BusyReason::Holds(vec!["keep".into()])]),
            (cloned.as_str(), vec![BusyReason::Clones(vec![outside.as_str().into()])]),
        ]
    );
    for name in ["a", "a/b", "a/c"] {
        assert!(zfs.exists(&world.root().child(name).unwrap()).unwrap());
    }
    zfs.release(&[(held, "keep")]).unwrap();
}

fn a_tree_that_is_not_there_is_absent(world: &World) {
    let none = world.root().child("none").unwrap();
    assert_eq!(world.zfs().destroy_recursive(&none).unwrap(), TreeDestroyed::Absent);
}

fn a_thousand_snapshots_are_one_call(world: &World) {
    let zfs = world.zfs();
    let many = if world.machine().is_emulated() { 50 } else { 1000 };
    let names: Vec<SnapshotName> = (0..many)
        .map(|number| file_system(world, &format!("v{number:04}")).snapshot("s").unwrap())
        .collect();
    zfs.snapshot(&names, &plain()).unwrap();
    // All fail now, and the reply with so many errors is whole, or says how many it leaves out.
    let error = refused(zfs.snapshot(&names, &plain()), ErrorKind::Exists);
    assert_eq!(error.failures().len() as u64 + error.failures_omitted(), many);
    zfs.destroy_snapshots(&names, Destroy::Now).unwrap();
    assert!(!zfs.exists(&names[0]).unwrap());
}
