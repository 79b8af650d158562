//! Holds: put, listed, released, and temporary ones.

use zfsvol_core::zfs::{Destroy, MissingHold, TAG_BYTES_MAX, TEMPORARY_TAG_BYTES_MAX};
use zfsvol_core::{Bytes, ErrorKind};

use crate::expect::{failures, file_system, refused, snapshot};
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(holds_are_put_listed_and_released),
        case(a_tag_holds_once),
        case(holds_of_snapshots_that_are_not_there_are_left_out),
        case(releases_of_what_is_not_held_are_left_out),
        case(one_call_holds_and_releases_many),
        case(a_temporary_hold_ends_with_its_handle),
        case(tags_have_a_longest_length),
        case(a_snapshot_named_twice_in_one_call_is_refused),
        case(holds_in_two_pools_are_refused),
        case(holds_of_a_missing_snapshot_are_not_found),
    ]
}

fn holds_are_put_listed_and_released(world: &World) {
    let zfs = world.zfs();
    let held = snapshot(world, &file_system(world, "a"), "s");
    assert!(zfs.holds(&held).unwrap().is_empty());
    zfs.hold(&[(held.clone(), "b")], None).unwrap();
    zfs.hold(&[(held.clone(), "a")], None).unwrap();
    let tags: Vec<String> = zfs.holds(&held).unwrap().into_iter().map(|hold| hold.tag).collect();
    assert_eq!(tags, ["a", "b"]);
    let age = zfs.holds(&held).unwrap()[0].since.elapsed().unwrap_or_default();
    assert!(age.as_secs() < 600, "{age:?}");
    assert!(zfs.release(&[(held.clone(), "a"), (held.clone(), "b")]).unwrap().is_empty());
    assert!(zfs.holds(&held).unwrap().is_empty());
}

fn a_tag_holds_once(world: &World) {
    let zfs = world.zfs();
    let held = snapshot(world, &file_system(world, "a"), "s");
    zfs.hold(&[(held.clone(), "t")], None).unwrap();
    let error = refused(zfs.hold(&[(held.clone(), "t")], None), ErrorKind::Exists);
    assert_eq!(failures(&error), [(held.as_str(), ErrorKind::Exists)]);
    assert_eq!(error.failures()[0].reason, "tag 't': it is held with this tag already");
    zfs.release(&[(held, "t")]).unwrap();
}

fn holds_of_snapshots_that_are_not_there_are_left_out(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let (there, missing) = (snapshot(world, &a, "s"), a.snapshot("none").unwrap());
    let left_out = zfs.hold(&[(there.clone(), "t"), (missing.clone(), "t")], None).unwrap();
    assert_eq!(left_out, [missing]);
    assert_eq!(zfs.holds(&there).unwrap().len(), 1);
    zfs.release(&[(there, "t")]).unwrap();
}

fn releases_of_what_is_not_held_are_left_out(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let (there, missing) = (snapshot(world, &a, "s"), a.snapshot("none").unwrap());
    zfs.hold(&[(there.clone(), "t")], None).unwrap();
    let left_out = zfs.release(&[(there.clone(), "other"), (missing.clone(), "t")]).unwrap();
    let told = |left_out: &[MissingHold]| {
        let each =
            left_out.iter().map(|one| (one.snapshot.clone(), one.tag.clone(), one.snapshot_exists));
        each.collect::<Vec<_>>()
    };
    let tag = |tag: &str| tag.to_owned();
    let expected = [(there.clone(), tag("other"), true), (missing.clone(), tag("t"), false)];
    assert_eq!(told(&left_out), expected);
    assert_eq!(zfs.holds(&there).unwrap().len(), 1);
    // Of several tags of a snapshot, those that are not there, and the other is released.
    let several =
        [(there.clone(), "x"), (there.clone(), "t"), (there.clone(), "y"), (missing.clone(), "t")];
    let left_out = zfs.release(&several).unwrap();
    let expected = [
        (there.clone(), tag("x"), true),
        (there.clone(), tag("y"), true),
        (missing, tag("t"), false),
    ];
    assert_eq!(told(&left_out), expected);
    assert!(zfs.holds(&there).unwrap().is_empty());
}

fn one_call_holds_and_releases_many(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let names: Vec<_> = (0..20).map(|number| snapshot(world, &a, &format!("s{number}"))).collect();
    let holds: Vec<_> = names.iter().map(|name| (name.clone(), "push")).collect();
    assert!(zfs.hold(&holds, None).unwrap().is_empty());
    assert!(names.iter().all(|name| zfs.holds(name).unwrap().len() == 1));
    assert!(zfs.release(&holds).unwrap().is_empty());
    zfs.destroy_snapshots(&names, Destroy::Now).unwrap();
}

fn a_temporary_hold_ends_with_its_handle(world: &World) {
    let zfs = world.zfs();
    let held = snapshot(world, &file_system(world, "a"), "s");
    let handle = zfs.handle().unwrap();
    zfs.hold(&[(held.clone(), "temporary")], Some(&handle)).unwrap();
    assert_eq!(zfs.holds(&held).unwrap().len(), 1);
    refused(zfs.destroy_snapshots([&held], Destroy::Now), ErrorKind::Busy);
    drop(handle);
    assert!(zfs.holds(&held).unwrap().is_empty());
    zfs.destroy_snapshots(&[held], Destroy::Now).unwrap();
}

fn tags_have_a_longest_length(world: &World) {
    let zfs = world.zfs();
    let held = snapshot(world, &file_system(world, "a"), "s");
    // The kernel would panic at 256 bytes: it is not asked.
    let handle = zfs.handle().unwrap();
    for (bytes, handle) in [(256, None), (0, None), (TEMPORARY_TAG_BYTES_MAX + 1, Some(&handle))] {
        let tag = "t".repeat(bytes);
        let error =
            refused(zfs.hold(&[(held.clone(), tag.as_str())], handle), ErrorKind::InvalidName);
        assert_eq!(failures(&error), [(held.as_str(), ErrorKind::InvalidName)]);
    }
    let (longest, temporary) = ("l".repeat(TAG_BYTES_MAX), "t".repeat(TEMPORARY_TAG_BYTES_MAX));
    zfs.hold(&[(held.clone(), longest.as_str())], None).unwrap();
    zfs.hold(&[(held.clone(), temporary.as_str())], Some(&handle)).unwrap();
    assert_eq!(zfs.holds(&held).unwrap().len(), 2);
    drop(handle);
    zfs.release(&[(held, longest.as_str())]).unwrap();
}

fn a_snapshot_named_twice_in_one_call_is_refused(world: &World) {
    let held = snapshot(world, &file_system(world, "a"), "s");
    let twice = [(held.clone(), "one"), (held.clone(), "two")];
    refused(world.zfs().hold(&twice, None), ErrorKind::Invalid);
    assert!(world.zfs().holds(&held).unwrap().is_empty());
}

fn holds_in_two_pools_are_refused(world: &World) {
    let here = snapshot(world, &file_system(world, "a"), "s");
    let other = world.new_pool("other", Bytes::from_mib(128)).root();
    let there = snapshot(world, &other, "s");
    let holds = [(here.clone(), "t"), (there, "t")];
    refused(world.zfs().hold(&holds, None), ErrorKind::Unrelated);
    assert!(world.zfs().holds(&here).unwrap().is_empty());
    for hold in &holds {
        world.zfs().hold(std::slice::from_ref(hold), None).unwrap();
    }
    let error = refused(world.zfs().release(&holds), ErrorKind::Unrelated);
    assert!(error.to_string().contains("tag 't': "), "{error}");
    assert_eq!(world.zfs().holds(&here).unwrap().len(), 1);
}

fn holds_of_a_missing_snapshot_are_not_found(world: &World) {
    let none = file_system(world, "a").snapshot("none").unwrap();
    refused(world.zfs().holds(&none), ErrorKind::NotFound);
}
