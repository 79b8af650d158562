//! Mounting: where and how the properties say, from above and from below, and what is in the way.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use zfsvol_core::kernel::{ReadOnly, Subtree, UnmountFlags};
use zfsvol_core::name::Entity;
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{
    Create, Key, MountOptions, MountOutcome, MountPath, NotMountable, UnmountOutcome,
};
use zfsvol_core::{BusyReason, Bytes, DatasetName, ErrorKind, Zfs};

use crate::expect::{file_system, refused, snapshot};
use crate::{Case, Need, World, case, command};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_file_system_is_mounted_where_its_properties_say).needs(Need::RealModule),
        case(what_is_mounted_is_known_by_the_commands)
            .needs(Need::Commands)
            .needs(Need::RealModule),
        case(canmount_legacy_and_none_are_respected),
        case(properties_become_options_of_the_mount).needs(Need::RealModule),
        case(options_hold_for_one_mount_only).needs(Need::RealModule),
        case(a_changed_property_holds_after_a_remount).needs(Need::RealModule),
        case(a_tree_is_mounted_from_above_and_unmounted_from_below).needs(Need::RealModule),
        case(a_directory_with_something_in_it_is_not_covered_unless_allowed)
            .needs(Need::RealModule),
        case(an_encrypted_file_system_needs_its_key).needs(Need::RealModule),
        case(a_snapshot_is_mounted_read_only).needs(Need::RealModule),
        case(an_open_file_keeps_it_mounted).needs(Need::RealModule),
        case(what_is_mounted_below_is_in_the_way),
        case(any_path_can_be_mounted_on).needs(Need::RealModule),
        case(a_zvol_is_not_mounted),
        case(a_read_only_door_mounts_read_only),
        case(a_subtree_mounts_below_its_directory_alone).needs(Need::RealModule),
    ]
    .into_iter()
    .map(|case| case.needs(Need::Root))
    .collect()
}

const NONE: UnmountFlags = UnmountFlags::empty();

/// A file system that is mounted below the case's folder.
fn mountable(world: &World, name: &str, more: &[(&str, &str)]) -> (DatasetName, PathBuf) {
    let dataset = file_system(world, name);
    let path = world.scratch().join("mnt").join(name);
    let mountpoint = path.to_str().expect("a path");
    let mut properties = PropertySet::new().with("mountpoint", mountpoint).expect("a property");
    for (name, value) in more {
        properties.set(name, *value).expect("a property");
    }
    world.zfs().set_properties(&dataset, &properties).expect("set");
    (dataset, path)
}

fn mount(world: &World, dataset: &DatasetName) -> MountOutcome {
    world.zfs().mount(dataset, &MountOptions::default()).expect("mounted")
}

fn mounted_at(world: &World, name: &impl Entity) -> Vec<PathBuf> {
    world.zfs().mounted_at(name).expect("looked")
}

fn options_of(world: &World, path: &Path) -> Vec<String> {
    let mounts = world.zfs().kernel().host().mounts().expect("the table of mounts");
    let mount = mounts.iter().find(|mount| mount.path == path).expect("mounted there");
    mount.options.split(',').map(ToOwned::to_owned).collect()
}

#[track_caller]
fn assert_options(world: &World, path: &Path, wanted: &[&str], unwanted: &[&str]) {
    let options = options_of(world, path);
    let has = |option: &&&str| options.iter().any(|given| given == **option);
    assert!(wanted.iter().all(|option| has(&option)), "{wanted:?} in {options:?}");
    assert!(!unwanted.iter().any(|option| has(&option)), "no {unwanted:?} in {options:?}");
}

fn a_file_system_is_mounted_where_its_properties_say(world: &World) {
    let zfs = world.zfs();
    let (dataset, path) = mountable(world, "a", &[]);
    assert_eq!(zfs.mount_path(&dataset).expect("looked"), MountPath::At(path.clone()));
    assert!(!path.exists());
    assert_eq!(mount(world, &dataset), MountOutcome::Mounted(path.clone()));
    assert_eq!(mounted_at(world, &dataset), [path.as_path()]);
    fs::write(path.join("file"), "data").expect("written");
    assert_eq!(mount(world, &dataset), MountOutcome::AlreadyMounted(path.clone()));
    assert_eq!(zfs.unmount(&dataset, NONE).expect("unmounted"), UnmountOutcome::Unmounted);
    assert_eq!(zfs.unmount(&dataset, NONE).expect("nothing to do"), UnmountOutcome::NotMounted);
    assert!(path.is_dir() && !path.join("file").exists());
    mount(world, &dataset);
    assert_eq!(fs::read(path.join("file")).expect("read"), b"data");
}

fn what_is_mounted_is_known_by_the_commands(world: &World) {
    let zfs = world.zfs();
    let (dataset, path) = mountable(world, "a", &[("atime", "off"), ("setuid", "off")]);
    let get = |property: &str| {
        command::zfs(&["get", "-H", "-o", "value,source", property, dataset.as_str()])
    };
    mount(world, &dataset);
    assert_eq!(get("mounted"), "yes\t-");
    // Nothing was overridden: what the commands would have mounted is the same.
    let ours = options_of(world, &path);
    for property in ["atime", "setuid", "devices", "exec", "readonly", "relatime"] {
        assert!(!get(property).ends_with("temporary"), "{property}: {}", get(property));
    }
    command::zfs(&["unmount", dataset.as_str()]);
    assert_eq!(mounted_at(world, &dataset), [] as [PathBuf; 0]);
    command::zfs(&["mount", dataset.as_str()]);
    assert_eq!(mounted_at(world, &dataset), [path.as_path()]);
    assert_eq!(options_of(world, &path), ours);
    assert_eq!(zfs.unmount(&dataset, NONE).expect("unmounted"), UnmountOutcome::Unmounted);
    assert_eq!(get("mounted"), "no\t-");
}

fn canmount_legacy_and_none_are_respected(world: &World) {
    let zfs = world.zfs();
    for (name, property, value) in [
        ("off", "canmount", "off"),
        ("legacy", "mountpoint", "legacy"),
        ("none", "mountpoint", "none"),
    ] {
        let (dataset, _) = mountable(world, name, &[(property, value)]);
        refused(zfs.mount(&dataset, &MountOptions::default()), ErrorKind::Invalid);
        let path = world.scratch().join(name);
        let outcome = zfs.mount(&dataset, &MountOptions::at(&path)).expect("mounted");
        assert_eq!(outcome, MountOutcome::Mounted(path));
    }
    let (noauto, path) = mountable(world, "noauto", &[("canmount", "noauto")]);
    let done = zfs.mount_tree(&noauto, &MountOptions::default()).expect("done");
    assert_eq!(done.skipped, [(noauto.clone(), NotMountable::Noauto)]);
    assert_eq!(mount(world, &noauto), MountOutcome::Mounted(path));
}

fn properties_become_options_of_the_mount(world: &World) {
    let off = ["atime", "devices", "exec", "setuid"].map(|name| (name, "off"));
    let (strict, path) = mountable(world, "strict", &off);
    mount(world, &strict);
    let options = ["noatime", "nodev", "noexec", "nosuid"];
    assert_options(world, &path, &["rw"], &[]);
    assert_options(world, &path, &options, &["relatime"]);
    let (loose, path) = mountable(world, "loose", &[("relatime", "on")]);
    mount(world, &loose);
    assert_options(world, &path, &["rw", "relatime"], &options);
    let (read_only, path) = mountable(world, "ro", &[("readonly", "on")]);
    mount(world, &read_only);
    assert_options(world, &path, &["ro"], &["rw"]);
    fs::write(path.join("file"), "data").expect_err("it is read-only");
}

fn options_hold_for_one_mount_only(world: &World) {
    let zfs = world.zfs();
    let (dataset, path) = mountable(world, "a", &[]);
    let strict = MountOptions {
        read_only: Some(true),
        exec: Some(false),
        setuid: Some(false),
        atime: Some(false),
        ..MountOptions::default()
    };
    zfs.mount(&dataset, &strict).expect("mounted");
    assert_options(world, &path, &["ro", "noexec", "nosuid", "noatime"], &["rw"]);
    fs::write(path.join("file"), "data").expect_err("it is read-only");
    zfs.unmount(&dataset, NONE).expect("unmounted");
    mount(world, &dataset);
    assert_options(world, &path, &["rw"], &["ro", "noexec", "nosuid", "noatime"]);
    // The other way round: writable for now, although the property says otherwise.
    zfs.unmount(&dataset, NONE).expect("unmounted");
    let read_only = PropertySet::new().with("readonly", "on").expect("a property");
    zfs.set_properties(&dataset, &read_only).expect("set");
    let writable = MountOptions { read_only: Some(false), ..MountOptions::default() };
    zfs.mount(&dataset, &writable).expect("mounted");
    fs::write(path.join("file"), "data").expect("written");
}

fn a_changed_property_holds_after_a_remount(world: &World) {
    let zfs = world.zfs();
    let (dataset, path) = mountable(world, "a", &[]);
    refused(zfs.remount(&dataset, &MountOptions::default()), ErrorKind::NotFound);
    mount(world, &dataset);
    fs::write(path.join("file"), "data").expect("written");
    let set = |name: &str, value: &str| {
        let properties = PropertySet::new().with(name, value).expect("a property");
        zfs.set_properties(&dataset, &properties).expect("set");
        zfs.remount(&dataset, &MountOptions::default()).expect("remounted");
    };
    set("exec", "off");
    assert_options(world, &path, &["rw", "noexec"], &[]);
    set("readonly", "on");
    assert_options(world, &path, &["ro"], &["rw"]);
    fs::write(path.join("file"), "more").expect_err("it is read-only");
    set("readonly", "off");
    fs::write(path.join("file"), "more").expect("written");
    assert_eq!(zfs.mounted_at(&dataset).expect("looked").len(), 1);
    let open = File::create(path.join("open")).expect("a file");
    let read_only = MountOptions { read_only: Some(true), ..MountOptions::default() };
    refused(zfs.remount(&dataset, &read_only), ErrorKind::Busy);
    drop(open);
    zfs.remount(&dataset, &read_only).expect("remounted");
}

fn a_tree_is_mounted_from_above_and_unmounted_from_below(world: &World) {
    let zfs = world.zfs();
    let (root, path) = mountable(world, "tree", &[]);
    let [a, b] = ["tree/a", "tree/a/b"].map(|name| file_system(world, name));
    // Named before its parent in the file hierarchy, and created last.
    let aa = file_system(world, "tree/0");
    let inner = path.join("a/b/0");
    let mountpoint = PropertySet::new().with("mountpoint", inner.to_str().expect("a path"));
    zfs.set_properties(&aa, &mountpoint.expect("a property")).expect("set");
    zfs.create_zvol(&root.child("vol").expect("a name"), Bytes::from_mib(8), &PropertySet::new())
        .expect("created");
    let done = zfs.mount_tree(&root, &MountOptions::default()).expect("mounted");
    let paths = [path.clone(), path.join("a"), path.join("a/b"), inner.clone()];
    let datasets = [&root, &a, &b, &aa];
    assert_eq!(
        done.mounted,
        datasets
            .iter()
            .zip(&paths)
            .map(|(name, path)| ((*name).clone(), MountOutcome::Mounted(path.clone())))
            .collect::<Vec<_>>()
    );
    assert_eq!(done.skipped, []);
    fs::write(inner.join("file"), "data").expect("written");
    let again = zfs.mount_tree(&root, &MountOptions::default()).expect("nothing to do");
    assert!(again.mounted.iter().all(|(_, o)| matches!(o, MountOutcome::AlreadyMounted(_))));
    let mut backwards = paths.to_vec();
    backwards.reverse();
    assert_eq!(zfs.unmount_tree(&root, NONE).expect("unmounted"), backwards);
    // Directories that somebody chose stay; those that followed from the parents' are in the parents.
    assert!(path.is_dir());
    mount(world, &root);
    assert!(!path.join("a").exists(), "the directory of an inherited mount point is removed");
}

fn a_directory_with_something_in_it_is_not_covered_unless_allowed(world: &World) {
    let zfs = world.zfs();
    let (dataset, path) = mountable(world, "a", &[("overlay", "off")]);
    fs::create_dir_all(&path).expect("a folder");
    fs::write(path.join("file"), "below").expect("written");
    let error = refused(zfs.mount(&dataset, &MountOptions::default()), ErrorKind::Exists);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot mount '{dataset}': there is something in '{}', and overlay is off; empty the directory, or set overlay=on",
            path.display()
        )
    );
    let cover = MountOptions { overlay: Some(true), ..MountOptions::default() };
    zfs.mount(&dataset, &cover).expect("mounted");
    assert!(!path.join("file").exists());
    zfs.unmount(&dataset, NONE).expect("unmounted");
    assert_eq!(fs::read(path.join("file")).expect("read"), b"below");
    fs::remove_file(path.join("file")).expect("removed");
    assert_eq!(mount(world, &dataset), MountOutcome::Mounted(path));
}

fn an_encrypted_file_system_needs_its_key(world: &World) {
    let zfs = world.zfs();
    let secret = world.root().child("secret").expect("a name");
    let key = Key::raw([7; 32]);
    zfs.create(&secret, &Create::filesystem().key(key.clone())).expect("created");
    let path = world.scratch().join("secret");
    let at = MountOptions::at(&path);
    zfs.mount(&secret, &at).expect("mounted");
    fs::write(path.join("file"), "data").expect("written");
    zfs.unmount(&secret, NONE).expect("unmounted");
    zfs.unload_key(&secret).expect("unloaded");
    refused(zfs.mount(&secret, &at), ErrorKind::KeyNotLoaded);
    let done = zfs.mount_tree(&secret, &MountOptions::default()).expect("nothing to do");
    assert_eq!(done.skipped, [(secret.clone(), NotMountable::KeyNotLoaded)]);
    zfs.load_key(&secret, &key).expect("loaded");
    zfs.mount(&secret, &at).expect("mounted");
    assert_eq!(fs::read(path.join("file")).expect("read"), b"data");
}

fn a_snapshot_is_mounted_read_only(world: &World) {
    let zfs = world.zfs();
    let (dataset, path) = mountable(world, "a", &[]);
    mount(world, &dataset);
    fs::write(path.join("file"), "before").expect("written");
    let taken = snapshot(world, &dataset, "s");
    fs::write(path.join("file"), "after").expect("written");
    let past = world.scratch().join("past");
    let outcome = zfs.mount_snapshot(&taken, &past).expect("mounted");
    assert_eq!(outcome, MountOutcome::Mounted(past.clone()));
    assert_eq!(fs::read(past.join("file")).expect("read"), b"before");
    fs::write(past.join("file"), "never").expect_err("it is read-only");
    assert_eq!(mounted_at(world, &taken), [past.as_path()]);
    assert_eq!(mounted_at(world, &dataset), [path]);
    assert_eq!(zfs.busy_reasons(&taken), [BusyReason::Mounted(vec![past.display().to_string()])]);
    assert_eq!(zfs.unmount(&taken, NONE).expect("unmounted"), UnmountOutcome::Unmounted);
}

fn an_open_file_keeps_it_mounted(world: &World) {
    let zfs = world.zfs();
    let (dataset, path) = mountable(world, "a", &[]);
    mount(world, &dataset);
    let open = File::create(path.join("file")).expect("a file");
    let error = refused(zfs.unmount(&dataset, NONE), ErrorKind::Busy);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot unmount '{dataset}': a file of it is open, or a process works in it (EBUSY); end that process, or detach the mount"
        )
    );
    zfs.unmount(&dataset, UnmountFlags::DETACH).expect("out of sight");
    assert_eq!(mounted_at(world, &dataset), [] as [PathBuf; 0]);
    refused(zfs.destroy(&dataset), ErrorKind::Busy);
    drop(open);
    zfs.destroy(&dataset).expect("destroyed");
}

fn what_is_mounted_below_is_in_the_way(world: &World) {
    let zfs = world.zfs();
    let (parent, path) = mountable(world, "a", &[]);
    let child = file_system(world, "a/b");
    mount(world, &parent);
    mount(world, &child);
    let error = refused(zfs.unmount(&parent, NONE), ErrorKind::Busy);
    let below = path.join("b").display().to_string();
    assert_eq!(error.busy(), [BusyReason::Mounted(vec![below])]);
    zfs.unmount(&child, NONE).expect("unmounted");
    zfs.unmount(&parent, NONE).expect("unmounted");
}

fn any_path_can_be_mounted_on(world: &World) {
    let zfs = world.zfs();
    let dataset = file_system(world, "name with spaces");
    for folder in [
        "with space",
        "tab\there",
        "line\nbreak",
        "back\\slash",
        "comma,s",
        "käse",
        "quote\"d",
        "a=b#c",
    ] {
        let path = world.scratch().join(folder);
        let outcome = zfs.mount(&dataset, &MountOptions::at(&path)).expect("mounted");
        assert_eq!(outcome, MountOutcome::Mounted(path.clone()));
        assert_eq!(mounted_at(world, &dataset), [path.as_path()], "{folder:?}");
        assert_eq!(zfs.unmount(&dataset, NONE).expect("unmounted"), UnmountOutcome::Unmounted);
        fs::remove_dir(path).expect("removed");
    }
}

fn a_zvol_is_not_mounted(world: &World) {
    let zfs = world.zfs();
    let zvol = world.root().child("vol").expect("a name");
    zfs.create_zvol(&zvol, Bytes::from_mib(8), &PropertySet::new()).expect("created");
    refused(zfs.mount(&zvol, &MountOptions::default()), ErrorKind::WrongType);
    let none = world.root().child("none").expect("a name");
    refused(zfs.mount(&none, &MountOptions::default()), ErrorKind::NotFound);
}

fn a_read_only_door_mounts_read_only(world: &World) {
    let zfs = world.zfs();
    let (dataset, path) = mountable(world, "a", &[]);
    let door = Zfs::new(ReadOnly::new(zfs.kernel().clone()));
    fs::create_dir_all(&path).expect("a folder");
    refused(door.mount(&dataset, &MountOptions::default()), ErrorKind::ReadOnly);
    let read_only = MountOptions { read_only: Some(true), ..MountOptions::default() };
    door.mount(&dataset, &read_only).expect("mounted");
    refused(door.remount(&dataset, &MountOptions::default()), ErrorKind::ReadOnly);
    door.unmount(&dataset, NONE).expect("unmounted");
    mount(world, &dataset);
    refused(door.unmount(&dataset, NONE), ErrorKind::ReadOnly);
    zfs.unmount(&dataset, NONE).expect("unmounted");
}

fn a_subtree_mounts_below_its_directory_alone(world: &World) {
    let zfs = world.zfs();
    let root = file_system(world, "tenant");
    let inside = file_system(world, "tenant/a");
    let folder = fs::canonicalize(world.scratch()).expect("a path").join("tenants");
    let outside = world.scratch().join("outside");
    for folder in [&folder, &outside] {
        fs::create_dir(folder).expect("a folder");
    }
    let door = Subtree::new(zfs.kernel().clone(), root).with_mounts_below(&folder);
    let door = Zfs::new(door);
    let at = |path: &Path| door.mount(&inside, &MountOptions::at(path));
    refused(at(&outside), ErrorKind::Denied);
    refused(at(&folder.join("../outside")), ErrorKind::Denied);
    // What a tenant could make to get out.
    std::os::unix::fs::symlink(&outside, folder.join("link")).expect("a link");
    refused(at(&folder.join("link")), ErrorKind::Invalid);
    refused(at(&folder.join("link/new")), ErrorKind::Invalid);
    assert!(!outside.join("new").exists());
    let path = folder.join("a/b");
    assert_eq!(at(&path).expect("mounted"), MountOutcome::Mounted(path.clone()));
    fs::write(path.join("file"), "data").expect("written");
    assert_eq!(mounted_at(world, &inside), [path.as_path()]);
    let mountpoint = |path: &Path| {
        let path = path.to_str().expect("a path");
        let property = PropertySet::new().with("mountpoint", path).expect("a property");
        door.set_properties(&inside, &property)
    };
    refused(mountpoint(&outside), ErrorKind::Denied);
    mountpoint(&path).expect("set");
    assert_eq!(door.mount_path(&inside).expect("looked"), MountPath::At(path));
    assert_eq!(door.unmount(&inside, NONE).expect("unmounted"), UnmountOutcome::Unmounted);
}
