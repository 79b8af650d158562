//! Create, clone, promote, rename, destroy, roll back, exists.

use std::time::Duration;

use zfsvol_core::kernel::Access;
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{Create, Key};
use zfsvol_core::{BusyReason, Bytes, DatasetName, ErrorKind, SnapshotName};

use crate::expect::{file_system, plain, refused, snapshot, zvol};
use crate::{Case, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_file_system_is_created_and_exists),
        case(a_zvol_is_created_with_its_size),
        case(create_refuses_what_is_there_and_what_has_no_parent),
        case(create_below_a_zvol_is_refused),
        case(create_refuses_sizes_and_properties_that_do_not_fit),
        case(a_clone_shares_its_origin),
        case(clone_refuses_missing_origins_and_other_pools),
        case(promote_swaps_clone_and_origin),
        case(promote_names_the_snapshot_that_conflicts),
        case(promote_names_the_bookmark_that_conflicts),
        case(promote_of_what_is_no_clone_is_refused),
        case(rename_moves_a_dataset_with_its_tree),
        case(rename_refuses_what_it_cannot_do),
        case(only_a_rename_that_is_done_begins_to_count_what_is_below),
        case(a_snapshot_is_renamed_alone_and_recursively),
        case(destroy_removes_and_then_finds_nothing),
        case(destroy_names_children_and_snapshots),
        case(rollback_goes_to_the_newest_snapshot),
        case(rollback_to_an_older_snapshot_names_the_newer),
        case(rollback_without_a_snapshot_is_refused),
        case(rollback_takes_the_content_of_a_zvol_back),
        case(rename_cannot_leave_the_encryption_root_of_its_key),
        case(a_pool_that_is_not_there_is_not_found),
    ]
}

/// How long the block device of a zvol may take to appear.
const DEVICE_WAIT: Duration = Duration::from_secs(30);

fn a_file_system_is_created_and_exists(world: &World) {
    let name = world.root().child("a").unwrap();
    assert!(!world.zfs().exists(&name).unwrap());
    let properties = PropertySet::new()
        .with("compression", "lz4")
        .unwrap()
        .with("org.zfsvol:note", "first")
        .unwrap();
    world.zfs().create_filesystem(&name, &properties).unwrap();
    assert!(world.zfs().exists(&name).unwrap());
    assert!(!world.zfs().exists(&name.snapshot("none").unwrap()).unwrap());
}

fn a_zvol_is_created_with_its_size(world: &World) {
    let name = world.root().child("disk").unwrap();
    let properties = PropertySet::new().with("volblocksize", 16_384u64).unwrap();
    world.zfs().create_zvol(&name, Bytes::from_mib(32), &properties).unwrap();
    assert!(world.zfs().exists(&name).unwrap());
    refused(world.zfs().create_zvol(&name, Bytes::from_mib(32), &properties), ErrorKind::Exists);
}

fn create_refuses_what_is_there_and_what_has_no_parent(world: &World) {
    let name = file_system(world, "a");
    let error = refused(world.zfs().create_filesystem(&name, &plain()), ErrorKind::Exists);
    assert_eq!(error.to_string(), format!("cannot create '{name}': it exists already (EEXIST)"));
    let orphan = world.root().child("missing/child").unwrap();
    let error = refused(world.zfs().create_filesystem(&orphan, &plain()), ErrorKind::NotFound);
    assert_eq!(error.target(), Some(orphan.as_str()));
}

fn create_below_a_zvol_is_refused(world: &World) {
    let disk = world.root().child("disk").unwrap();
    world.zfs().create_zvol(&disk, Bytes::from_mib(8), &plain()).unwrap();
    refused(
        world.zfs().create_filesystem(&disk.child("below").unwrap(), &plain()),
        ErrorKind::WrongType,
    );
}

fn create_refuses_sizes_and_properties_that_do_not_fit(world: &World) {
    let zfs = world.zfs();
    let name = world.root().child("disk").unwrap();
    let blocks = PropertySet::new().with("volblocksize", 16_384u64).unwrap();
    // Not a multiple of the block size, and nothing at all.
    refused(zfs.create_zvol(&name, Bytes::new(16_385), &blocks), ErrorKind::Invalid);
    refused(zfs.create_zvol(&name, Bytes::ZERO, &blocks), ErrorKind::Invalid);
    let on_a_file_system = PropertySet::new().with("volblocksize", 16_384u64).unwrap();
    let error =
        refused(zfs.create_filesystem(&name, &on_a_file_system), ErrorKind::InvalidProperty);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot create '{name}': 'volblocksize' is a property of zvols, not of file systems"
        )
    );
    let mut unknown = PropertySet::new();
    unknown.set_unchecked("nosuchproperty", 1u64).unwrap();
    let error = zfs.create_filesystem(&name, &unknown).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::InvalidProperty), "{error}");
    assert!(!zfs.exists(&name).unwrap());
}

fn a_clone_shares_its_origin(world: &World) {
    let zfs = world.zfs();
    let origin = snapshot(world, &file_system(world, "a"), "s");
    let clone = world.root().child("clone").unwrap();
    let properties = PropertySet::new().with("org.zfsvol:kind", "clone").unwrap();
    zfs.create_clone(&clone, &origin, &properties).unwrap();
    let error = refused(zfs.destroy_snapshots([&origin], Default::default()), ErrorKind::Busy);
    assert_eq!(error.failures()[0].busy, [BusyReason::Clones(vec![clone.as_str().into()])]);
    refused(zfs.create_clone(&clone, &origin, &plain()), ErrorKind::Exists);
}

fn clone_refuses_missing_origins_and_other_pools(world: &World) {
    let zfs = world.zfs();
    let source = file_system(world, "a");
    let clone = world.root().child("clone").unwrap();
    refused(
        zfs.create_clone(&clone, &source.snapshot("none").unwrap(), &plain()),
        ErrorKind::NotFound,
    );
    let other = world.new_pool("other", Bytes::from_mib(128)).root();
    let elsewhere = other.snapshot("s").unwrap();
    zfs.snapshot([&elsewhere], &plain()).unwrap();
    refused(zfs.create_clone(&clone, &elsewhere, &plain()), ErrorKind::Unrelated);
}

fn promote_swaps_clone_and_origin(world: &World) {
    let zfs = world.zfs();
    let source = file_system(world, "a");
    let origin = snapshot(world, &source, "s");
    let clone = world.root().child("clone").unwrap();
    zfs.create_clone(&clone, &origin, &plain()).unwrap();
    zfs.promote(&clone).unwrap();
    assert!(zfs.exists(&clone.snapshot("s").unwrap()).unwrap());
    assert!(!zfs.exists(&origin).unwrap());
    // The old origin hangs on the clone now, and can go.
    zfs.destroy(&source).unwrap();
}

fn promote_names_the_snapshot_that_conflicts(world: &World) {
    let zfs = world.zfs();
    let source = file_system(world, "a");
    let origin = snapshot(world, &source, "s");
    let clone = world.root().child("clone").unwrap();
    zfs.create_clone(&clone, &origin, &plain()).unwrap();
    snapshot(world, &clone, "s");
    let error = refused(zfs.promote(&clone), ErrorKind::Exists);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot promote '{clone}': it has a snapshot 's', as its origin has (EEXIST); rename one of the two"
        )
    );
}

/// The module would not survive it.
fn promote_names_the_bookmark_that_conflicts(world: &World) {
    let zfs = world.zfs();
    let source = file_system(world, "a");
    let origin = snapshot(world, &source, "s");
    let newer = snapshot(world, &source, "t");
    let clone = world.root().child("clone").unwrap();
    zfs.create_clone(&clone, &origin, &plain()).unwrap();
    let own = snapshot(world, &clone, "u");
    let mark = |of: &SnapshotName, name: &str| {
        let bookmark = of.dataset().bookmark(name).unwrap();
        zfs.bookmark(&[(bookmark.clone(), of.clone().into())]).unwrap();
        bookmark
    };
    mark(&origin, "m");
    mark(&newer, "n");
    let clones = [mark(&own, "m"), mark(&own, "n")];
    let error = refused(zfs.promote(&clone), ErrorKind::Exists);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot promote '{clone}': it has a bookmark 'm', as its origin has (EEXIST); destroy one of the two"
        )
    );
    // Of what is newer than its origin it takes nothing over.
    zfs.destroy_bookmarks(&clones[..1]).unwrap();
    zfs.promote(&clone).unwrap();
    let names = |of: &DatasetName| -> Vec<String> {
        let all = zfs.bookmarks(of).unwrap();
        all.into_iter().map(|one| one.name.bookmark().to_owned()).collect()
    };
    assert_eq!((names(&clone), names(&source)), (vec!["m".into(), "n".into()], vec!["n".into()]));
}

fn promote_of_what_is_no_clone_is_refused(world: &World) {
    let error = refused(world.zfs().promote(&file_system(world, "a")), ErrorKind::WrongType);
    assert_eq!(error.reason(), "it is not a clone");
    refused(world.zfs().promote(&world.root().child("none").unwrap()), ErrorKind::NotFound);
}

fn rename_moves_a_dataset_with_its_tree(world: &World) {
    let zfs = world.zfs();
    let from = file_system(world, "a");
    file_system(world, "a/child");
    snapshot(world, &from, "s");
    let to = world.root().child("b").unwrap();
    zfs.rename(&from, &to).unwrap();
    assert!(!zfs.exists(&from).unwrap());
    assert!(zfs.exists(&to.child("child").unwrap()).unwrap());
    assert!(zfs.exists(&to.snapshot("s").unwrap()).unwrap());
}

fn only_a_rename_that_is_done_begins_to_count_what_is_below(world: &World) {
    let zfs = world.zfs();
    let pool = world.new_pool("counted", Bytes::from_mib(256)).root();
    let child = |name: &str| pool.child(name).unwrap();
    let (a, b, c) = (child("a"), child("b"), child("c"));
    let closed = plain().with("canmount", "off").unwrap();
    zfs.create_filesystem(&a, &closed).unwrap();
    // The first limit of the pool: from now on what is made or moved is counted.
    zfs.create_filesystem(&b, &closed.clone().with("snapshot_limit", "5").unwrap()).unwrap();
    let count = |of: &DatasetName| {
        let found = zfs.property(of, "filesystem_count").unwrap();
        found.and_then(|found| found.value.as_number()).filter(|count| *count != u64::MAX)
    };
    assert_eq!((count(&a), count(&b)), (None, Some(0)));
    zfs.rename(&a, &a.child("a").unwrap()).unwrap_err();
    zfs.rename(&pool, &child("d")).unwrap_err();
    assert_eq!((count(&a), count(&pool)), (None, None));
    zfs.rename(&a, &c).unwrap();
    assert_eq!((count(&c), count(&pool)), (Some(0), None));
}

fn rename_refuses_what_it_cannot_do(world: &World) {
    let zfs = world.zfs();
    let (a, b) = (file_system(world, "a"), file_system(world, "b"));
    refused(zfs.rename(&a, &b), ErrorKind::Exists);
    refused(zfs.rename(&a, &a.child("below").unwrap()), ErrorKind::Invalid);
    refused(
        zfs.rename(&world.root().child("none").unwrap(), &world.root().child("c").unwrap()),
        ErrorKind::NotFound,
    );
    refused(zfs.rename(&a, &world.root().child("none/a").unwrap()), ErrorKind::NotFound);
    let other = world.new_pool("other", Bytes::from_mib(128)).root();
    refused(zfs.rename(&a, &other.child("a").unwrap()), ErrorKind::Unrelated);
    // What is below would get too long a name.
    let child = "x".repeat(100);
    file_system(world, &format!("a/{child}"));
    let room = 255 - world.root().as_str().len() - 1;
    let long = world.root().child(&"y".repeat(room)).unwrap();
    refused(zfs.rename(&a, &long), ErrorKind::InvalidName);
}

fn a_snapshot_is_renamed_alone_and_recursively(world: &World) {
    let zfs = world.zfs();
    let (a, child) = (file_system(world, "a"), file_system(world, "a/child"));
    zfs.snapshot_recursive(&a, "old", &plain()).unwrap();
    let renamed = zfs.rename_snapshot(&a.snapshot("old").unwrap(), "alone", false).unwrap();
    assert_eq!(renamed, a.snapshot("alone").unwrap());
    assert!(zfs.exists(&child.snapshot("old").unwrap()).unwrap());
    zfs.rename_snapshot(&a.snapshot("alone").unwrap(), "old", false).unwrap();
    zfs.rename_snapshot(&a.snapshot("old").unwrap(), "new", true).unwrap();
    for dataset in [&a, &child] {
        assert!(zfs.exists(&dataset.snapshot("new").unwrap()).unwrap());
        assert!(!zfs.exists(&dataset.snapshot("old").unwrap()).unwrap());
    }
    snapshot(world, &a, "taken");
    refused(zfs.rename_snapshot(&a.snapshot("new").unwrap(), "taken", false), ErrorKind::Exists);
    refused(zfs.rename_snapshot(&a.snapshot("none").unwrap(), "other", false), ErrorKind::NotFound);
    refused(zfs.rename_snapshot(&a.snapshot("new").unwrap(), "a/b", false), ErrorKind::InvalidName);
}

fn destroy_removes_and_then_finds_nothing(world: &World) {
    let name = file_system(world, "a");
    world.zfs().destroy(&name).unwrap();
    let error = refused(world.zfs().destroy(&name), ErrorKind::NotFound);
    assert_eq!(error.to_string(), format!("cannot destroy '{name}': it does not exist (ENOENT)"));
}

fn destroy_names_children_and_snapshots(world: &World) {
    let zfs = world.zfs();
    let name = file_system(world, "a");
    let child = file_system(world, "a/child");
    let error = refused(zfs.destroy(&name), ErrorKind::Busy);
    assert_eq!(error.busy(), [BusyReason::Children(vec![child.as_str().into()])]);
    zfs.destroy(&child).unwrap();
    let kept = snapshot(world, &name, "s");
    let error = refused(zfs.destroy(&name), ErrorKind::Busy);
    assert_eq!(error.busy(), [BusyReason::Children(vec![kept.as_str().into()])]);
}

fn rollback_goes_to_the_newest_snapshot(world: &World) {
    let zfs = world.zfs();
    let name = file_system(world, "a");
    snapshot(world, &name, "one");
    let newest = snapshot(world, &name, "two");
    assert_eq!(zfs.rollback(&name).unwrap(), newest);
    zfs.rollback_to(&newest).unwrap();
}

fn rollback_to_an_older_snapshot_names_the_newer(world: &World) {
    let zfs = world.zfs();
    let name = file_system(world, "a");
    let oldest = snapshot(world, &name, "one");
    let newer = snapshot(world, &name, "two");
    let error = refused(zfs.rollback_to(&oldest), ErrorKind::Busy);
    assert_eq!(error.target(), Some(oldest.as_str()));
    assert!(error.to_string().contains(newer.as_str()), "{error}");
}

fn rollback_without_a_snapshot_is_refused(world: &World) {
    let zfs = world.zfs();
    let name = file_system(world, "a");
    refused(zfs.rollback(&name), ErrorKind::NotFound);
    refused(zfs.rollback_to(&name.snapshot("none").unwrap()), ErrorKind::NotFound);
    refused(zfs.rollback(&world.root().child("none").unwrap()), ErrorKind::NotFound);
}

/// Writes that byte all over the first 8 KiB of a zvol.
fn write(world: &World, zvol: &DatasetName, byte: u8) {
    let device = world.zfs().open_zvol(zvol, Access::ReadWrite, DEVICE_WAIT).unwrap();
    device.write_all_at(&[byte; 8192], 0).unwrap();
    device.flush().unwrap();
}

fn read(world: &World, zvol: &DatasetName) -> u8 {
    let mut block = [0; 8192];
    let device = world.zfs().open_zvol(zvol, Access::Read, DEVICE_WAIT).unwrap();
    device.read_exact_at(&mut block, 0).unwrap();
    assert!(block.iter().all(|byte| *byte == block[0]));
    block[0]
}

fn rollback_takes_the_content_of_a_zvol_back(world: &World) {
    let disk = zvol(world, "disk", Bytes::from_mib(8));
    write(world, &disk, 1);
    let taken = snapshot(world, &disk, "s");
    write(world, &disk, 2);
    assert_eq!(read(world, &disk), 2);
    // An open device does not keep it from being rolled back.
    let open = world.zfs().open_zvol(&disk, Access::Read, DEVICE_WAIT).unwrap();
    assert_eq!(world.zfs().rollback(&disk).unwrap(), taken);
    drop(open);
    assert_eq!(read(world, &disk), 1);
}

fn rename_cannot_leave_the_encryption_root_of_its_key(world: &World) {
    let secret = world.root().child("secret").unwrap();
    world.zfs().create(&secret, &Create::filesystem().key(Key::raw([1; 32]))).unwrap();
    let inner = file_system(world, "secret/inner");
    let outside = world.root().child("outside").unwrap();
    refused(world.zfs().rename(&inner, &outside), ErrorKind::EncryptionMismatch);
    // What holds its own key may go.
    world.zfs().rename(&secret, &outside).unwrap();
}

fn a_pool_that_is_not_there_is_not_found(world: &World) {
    let zfs = world.zfs();
    let name: DatasetName = "zfsvol-no-such-pool/a".parse().unwrap();
    let snapshot: SnapshotName = name.snapshot("s").unwrap();
    refused(zfs.create(&name, &Create::filesystem()), ErrorKind::NotFound);
    refused(zfs.snapshot([&snapshot], &plain()), ErrorKind::NotFound);
    refused(zfs.destroy(&name), ErrorKind::NotFound);
    refused(zfs.rollback(&name), ErrorKind::NotFound);
    refused(zfs.promote(&name), ErrorKind::NotFound);
    refused(zfs.holds(&snapshot), ErrorKind::NotFound);
    refused(zfs.bookmarks(&name), ErrorKind::NotFound);
    assert!(!zfs.exists(&name).unwrap());
}
