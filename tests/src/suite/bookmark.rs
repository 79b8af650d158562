//! Bookmarks: made, listed, looked up, destroyed.

use zfsvol_core::zfs::{Destroy, Features, PoolSpec, VdevSpec};
use zfsvol_core::{Bytes, EntityName, ErrorKind, Guid};

use crate::expect::{failures, file_system, plain, refused, snapshot};
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_bookmark_outlives_its_snapshot),
        case(a_bookmark_of_a_bookmark_is_the_same_place),
        case(bookmarks_are_listed_oldest_first),
        case(bookmarks_that_cannot_be_made_are_named),
        case(destroying_bookmarks_passes_over_what_is_not_there),
        case(bookmarks_of_what_is_not_there_are_not_found),
        case(only_the_list_of_bookmarks_tells_of_redaction),
        case(a_pool_without_the_feature_has_no_bookmarks),
    ]
}

fn a_bookmark_outlives_its_snapshot(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let source = snapshot(world, &a, "s");
    let mark = a.bookmark("m").unwrap();
    let name = EntityName::from(mark.clone());
    assert!(!zfs.exists(&name).unwrap());
    zfs.bookmark(&[(mark.clone(), source.clone().into())]).unwrap();
    let before = zfs.bookmark_properties(&mark).unwrap();
    assert!(zfs.exists(&name).unwrap());
    zfs.destroy_snapshots(&[source], Destroy::Now).unwrap();
    assert_eq!(zfs.bookmark_properties(&mark).unwrap(), before);
    assert_eq!(before.name, mark);
    assert!(before.guid.get() != 0 && before.createtxg.get() != 0);
    let age = std::time::SystemTime::now().duration_since(before.creation).unwrap_or_default();
    assert!(age.as_secs() < 600, "{age:?}");
}

fn a_bookmark_of_a_bookmark_is_the_same_place(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let (one, two) = (a.bookmark("one").unwrap(), a.bookmark("two").unwrap());
    zfs.bookmark(&[(one.clone(), snapshot(world, &a, "s").into())]).unwrap();
    zfs.bookmark(&[(two.clone(), one.clone().into())]).unwrap();
    assert_eq!(
        zfs.bookmark_properties(&one).unwrap().guid,
        zfs.bookmark_properties(&two).unwrap().guid
    );
}

fn bookmarks_are_listed_oldest_first(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    assert!(zfs.bookmarks(&a).unwrap().is_empty());
    for name in ["z", "m", "b"] {
        zfs.bookmark(&[(a.bookmark(name).unwrap(), snapshot(world, &a, name).into())]).unwrap();
    }
    let names: Vec<String> = zfs
        .bookmarks(&a)
        .unwrap()
        .into_iter()
        .map(|mark| mark.name.bookmark().to_owned())
        .collect();
    assert_eq!(names, ["z", "m", "b"]);
}

fn bookmarks_that_cannot_be_made_are_named(world: &World) {
    let zfs = world.zfs();
    let (a, b) = (file_system(world, "a"), file_system(world, "b"));
    let source = snapshot(world, &a, "s");
    let mark = a.bookmark("m").unwrap();
    zfs.bookmark(&[(mark.clone(), source.clone().into())]).unwrap();
    let error = refused(zfs.bookmark(&[(mark.clone(), source.clone().into())]), ErrorKind::Exists);
    assert_eq!(failures(&error), [(mark.as_str(), ErrorKind::Exists)]);
    refused(
        zfs.bookmark(&[(a.bookmark("n").unwrap(), a.snapshot("none").unwrap().into())]),
        ErrorKind::NotFound,
    );
    // A bookmark belongs to its source's dataset.
    refused(
        zfs.bookmark(&[(b.bookmark("n").unwrap(), source.clone().into())]),
        ErrorKind::Unrelated,
    );
    refused(zfs.bookmark(&[(a.bookmark("n").unwrap(), a.clone().into())]), ErrorKind::Invalid);
    // One good, one bad: neither is made.
    let good = a.bookmark("good").unwrap();
    let both = [(good.clone(), source.clone().into()), (mark, source.into())];
    refused(zfs.bookmark(&both), ErrorKind::Exists);
    refused(zfs.bookmark_properties(&good), ErrorKind::NotFound);
}

fn destroying_bookmarks_passes_over_what_is_not_there(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let marks = [a.bookmark("one").unwrap(), a.bookmark("none").unwrap()];
    zfs.bookmark(&[(marks[0].clone(), snapshot(world, &a, "s").into())]).unwrap();
    zfs.destroy_bookmarks(&marks).unwrap();
    zfs.destroy_bookmarks(&marks).unwrap();
    assert!(zfs.bookmarks(&a).unwrap().is_empty());
    let other = world.new_pool("other", Bytes::from_mib(128)).root();
    refused(
        zfs.destroy_bookmarks(&[marks[0].clone(), other.bookmark("m").unwrap()]),
        ErrorKind::Unrelated,
    );
}

fn bookmarks_of_what_is_not_there_are_not_found(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    refused(zfs.bookmark_properties(&a.bookmark("none").unwrap()), ErrorKind::NotFound);
    refused(zfs.bookmarks(&world.root().child("none").unwrap()), ErrorKind::NotFound);
}

/// The ioctl for one bookmark has no room to ask for it, in any release.
fn only_the_list_of_bookmarks_tells_of_redaction(world: &World) {
    let zfs = world.zfs();
    let a = file_system(world, "a");
    let source = snapshot(world, &a, "s");
    let clone = world.dataset("clone");
    zfs.create_clone(&clone, &source, &plain()).unwrap();
    let by = snapshot(world, &clone, "public");
    let mark = a.bookmark("redacted").unwrap();
    zfs.redact(&source, &mark, std::slice::from_ref(&by)).unwrap();
    let guid = zfs.properties(&by).unwrap().number("guid").map(Guid::new).unwrap();

    let mut listed = zfs.bookmarks(&a).unwrap().pop().unwrap();
    assert_eq!((&listed.redact_snaps, listed.redact_complete), (&Some(vec![guid]), Some(true)));
    let alone = zfs.bookmark_properties(&mark).unwrap();
    (listed.redact_snaps, listed.redact_complete) = (None, None);
    assert_eq!(alone, listed, "the same but for redaction");
}

fn a_pool_without_the_feature_has_no_bookmarks(world: &World) {
    let zfs = world.zfs();
    let pool = world.pool_name("plain");
    let file = world.new_file("plain.pool", Bytes::from_mib(128));
    let spec = PoolSpec::new([VdevSpec::single(file)]).features(Features::None);
    zfs.create_pool(&pool, &spec).unwrap();
    world.adopt_pool(&pool);
    let source = snapshot(world, &pool.root(), "s");
    let mark = pool.root().bookmark("m").unwrap();
    refused(zfs.bookmark(&[(mark, source.into())]), ErrorKind::FeatureDisabled);
}
