//! Space and quotas of users, groups and projects.

use std::os::unix::fs::chown;
use std::path::Path;

use zfsvol_core::kernel::{Errno, UnmountFlags};
use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{
    Account, Create, Key, MountOptions, Owner, OwnerKind, OwnerSpace, Quota, ReceiveOptions,
    SendOptions,
};
use zfsvol_core::{Bytes, DatasetName, ErrorKind};

use crate::expect::{plain, receive_all, send_all};
use crate::{Case, Need, World, case, command, volume};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(quotas_are_read_back),
        case(a_quota_of_zero_is_none),
        case(more_owners_than_one_call_brings_are_all_there),
        case(quotas_of_a_missing_file_system_are_not_found),
        case(a_zvol_has_no_owners),
        case(what_is_encrypted_has_quotas_as_long_as_the_release_opens_it_with_its_key),
        case(what_lies_inside_what_is_encrypted_is_set_where_it_is_mounted)
            .needs(Need::Since(2, 4))
            .needs(Need::Root),
        case(what_owners_may_use_by_default_is_kept_and_inherited_when_made)
            .needs(Need::Since(2, 4)),
        case(the_space_of_owners_is_counted).needs(Need::RealModule).needs(Need::Root),
        case(nobody_writes_beyond_their_quota).needs(Need::RealModule).needs(Need::Root),
        case(an_upgraded_file_system_stays_as_it_is),
        case(zfs_userspace_says_the_same).needs(Need::Commands),
    ]
}

const DEFAULTS: [&str; 6] = [
    "defaultuserquota",
    "defaultgroupquota",
    "defaultprojectquota",
    "defaultuserobjquota",
    "defaultgroupobjquota",
    "defaultprojectobjquota",
];

fn file_system(world: &World, name: &str, properties: &[(&str, &str)]) -> DatasetName {
    let name = world.root().child(name).expect("a name");
    let mut set = PropertySet::new();
    for (property, value) in properties {
        set.set(property, *value).expect("a valid property");
    }
    world.zfs().create_filesystem(&name, &set).expect("created");
    name
}

/// A file system, mounted in the case's folder.
fn mounted(world: &World, name: &str) -> DatasetName {
    let path = world.scratch().join(name);
    let path = path.to_str().expect("text");
    let name = file_system(world, name, &[("mountpoint", path), ("compression", "off")]);
    world.zfs().mount(&name, &MountOptions::default()).expect("mounted");
    name
}

fn write(path: &Path, owner: u32, group: u32, bytes: usize) {
    std::fs::write(path, vec![b'x'; bytes]).expect("written");
    chown(path, Some(owner), Some(group)).expect("given away");
}

fn quotas_are_read_back(world: &World) {
    let fs = file_system(world, "fs", &[("canmount", "off")]);
    world
        .zfs()
        .set_quotas(
            &fs,
            &[
                Quota::space(Owner::User(1000), Bytes::from_mib(5)),
                Quota::objects(Owner::User(1000), 7),
                Quota::space(Owner::Group(20), Bytes::from_mib(9)),
                Quota::objects(Owner::Group(30), 3),
                Quota::space(Owner::Project(4), Bytes::from_gib(1)),
                Quota::objects(Owner::Project(4), 11),
            ],
        )
        .expect("set");
    let user = world.zfs().userspace_of(&fs, Owner::User(1000)).expect("read");
    assert_eq!((user.quota, user.object_quota), (Some(Bytes::from_mib(5)), Some(7)));
    assert_eq!((user.used, user.objects), (Bytes::ZERO, Some(0)));
    let nobody = world.zfs().userspace_of(&fs, Owner::User(1001)).expect("read");
    assert_eq!((nobody.quota, nobody.object_quota, nobody.objects), (None, None, Some(0)));

    let all = world.zfs().userspace(&fs, OwnerKind::User).expect("read");
    assert_eq!(of(&all, 1000), Some(&user));
    let groups = world.zfs().userspace(&fs, OwnerKind::Group).expect("read");
    assert_eq!(of(&groups, 20).and_then(|group| group.quota), Some(Bytes::from_mib(9)));
    assert_eq!(of(&groups, 30).and_then(|group| group.object_quota), Some(3));
    let projects = world.zfs().userspace(&fs, OwnerKind::Project).expect("read");
    let project = of(&projects, 4).expect("there");
    assert_eq!((project.quota, project.object_quota), (Some(Bytes::from_gib(1)), Some(11)));
    assert!(all.iter().chain(&groups).chain(&projects).all(|space| space.domain.is_none()));
    assert!(groups.is_sorted_by_key(|group| group.owner.id()));
}

fn of(spaces: &[OwnerSpace], id: u32) -> Option<&OwnerSpace> {
    spaces.iter().find(|space| space.owner.id() == id)
}

fn a_quota_of_zero_is_none(world: &World) {
    let fs = file_system(world, "fs", &[("canmount", "off")]);
    let owner = OwnerKind::User.owner(u32::MAX - 1);
    let set = |most| world.zfs().set_quotas(&fs, &[Quota::space(owner, most)]).expect("set");
    set(Bytes::from_mib(1));
    let quota = || world.zfs().userspace_of(&fs, owner).expect("read").quota;
    assert_eq!(quota(), Some(Bytes::from_mib(1)));
    set(Bytes::ZERO);
    assert_eq!(quota(), None);
    set(Bytes::ZERO);
    world.zfs().set_quotas(&fs, &[]).expect("nothing to do");
}

fn more_owners_than_one_call_brings_are_all_there(world: &World) {
    let fs = file_system(world, "fs", &[("canmount", "off")]);
    let quotas: Vec<Quota> =
        (0..2500).map(|id| Quota::space(Owner::User(id), Bytes::new(u64::from(id) + 1))).collect();
    world.zfs().set_quotas(&fs, &quotas).expect("set");
    let mut found: Vec<(u32, u64)> = world
        .zfs()
        .accounts(&fs, OwnerKind::User, Account::Quota)
        .map(|entry| entry.map(|entry| (entry.owner.id(), entry.number)))
        .collect::<Result<_, _>>()
        .expect("read");
    found.sort_unstable();
    assert_eq!(found, (0..2500).map(|id| (id, u64::from(id) + 1)).collect::<Vec<_>>());
}

fn quotas_of_a_missing_file_system_are_not_found(world: &World) {
    let missing = world.root().child("none").expect("a name");
    let error = world
        .zfs()
        .set_quotas(&missing, &[Quota::space(Owner::User(1), Bytes::from_mib(1))])
        .expect_err("no file system");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        format!("cannot set the quotas of '{missing}': it does not exist (ENOENT)")
    );
    let error = world.zfs().userspace(&missing, OwnerKind::User).expect_err("no file system");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = world.zfs().userspace_of(&missing, Owner::User(1)).expect_err("no file system");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn what_owners_may_use_by_default_is_kept_and_inherited_when_made(world: &World) {
    let zfs = world.zfs();
    let default = |of: &DatasetName, name: &str| {
        let found = zfs.property(of, name).expect("looked").expect("there");
        found.value.as_number().expect("a number")
    };
    let all = DEFAULTS.map(|name| (name, "1M"));
    let fs = file_system(world, "fs", &[("canmount", "off"), ("defaultuserquota", "5M")]);
    assert_eq!(DEFAULTS.map(|name| default(&fs, name)), [5 << 20, 0, 0, 0, 0, 0]);
    for (name, value) in all {
        let set = PropertySet::new().with(name, value).expect("a property");
        zfs.set_properties(&fs, &set).expect("set");
    }
    assert_eq!(DEFAULTS.map(|name| default(&fs, name)), [1 << 20; 6]);
    // What is made below begins with them, and what is changed above later does not come down.
    let below = fs.child("below").expect("a name");
    let closed = PropertySet::new().with("canmount", "off").expect("a property");
    zfs.create_filesystem(&below, &closed).expect("created");
    let none = PropertySet::new().with("defaultgroupquota", "none").expect("a property");
    zfs.set_properties(&fs, &none).expect("set");
    assert_eq!(default(&fs, "defaultgroupquota"), 0);
    assert_eq!(DEFAULTS.map(|name| default(&below, name)), [1 << 20; 6]);
    // They go with the file system.
    let one = fs.snapshot("one").expect("a name");
    zfs.snapshot([&one], &PropertySet::new()).expect("taken");
    let copy = world.dataset("copy").snapshot("one").expect("a name");
    let stream = send_all(world, &one, &SendOptions::full());
    let closed = ReceiveOptions::new().set(&closed);
    receive_all(world, &copy, &closed, &stream).expect("received");
    assert_eq!(default(&copy.dataset(), "defaultuserquota"), 1 << 20);
    assert_eq!(default(&copy.dataset(), "defaultgroupquota"), 0);
}

/// 2.4 opens a file system that is not mounted without its key.
fn what_is_encrypted_has_quotas_as_long_as_the_release_opens_it_with_its_key(world: &World) {
    let zfs = world.zfs();
    let fs = world.root().child("secret").expect("a name");
    let key = Key::raw([7; 32]);
    zfs.create(&fs, &Create::filesystem().properties(&plain()).key(key.clone())).expect("created");
    let quota = [Quota::objects(Owner::User(1000), 7)];
    let refused = || {
        let set = zfs.set_quotas(&fs, &quota).expect_err("set");
        let read = zfs.userspace_of(&fs, Owner::User(1000)).expect_err("read");
        assert_eq!(read.errno(), Some(Errno::EACCES), "{read}");
        set
    };
    if world.release() >= (2, 4) {
        assert_eq!(refused().kind(), ErrorKind::Unsupported);
        return;
    }
    zfs.set_quotas(&fs, &quota).expect("set");
    zfs.unload_key(&fs).expect("unloaded");
    assert_eq!(refused().kind(), ErrorKind::KeyNotLoaded);
    zfs.load_key(&fs, &key).expect("loaded");
    let user = zfs.userspace_of(&fs, Owner::User(1000)).expect("read");
    assert_eq!(user.object_quota, Some(7));
}

/// 2.4.4 does not survive it elsewhere.
fn what_lies_inside_what_is_encrypted_is_set_where_it_is_mounted(world: &World) {
    let zfs = world.zfs();
    let key = || Key::raw([7; 32]);
    let path = world.scratch().join("secret");
    let place = plain().with("mountpoint", path.to_str().expect("text")).expect("a property");
    let fs = world.root().child("secret").expect("a name");
    zfs.create(&fs, &Create::filesystem().properties(&place).key(key())).expect("created");
    let (below, clone) = (fs.child("below").expect("a name"), fs.child("clone").expect("a name"));
    let one = volume::snapshot(zfs, &fs, "one");
    let stream = send_all(world, &one, &SendOptions::full());

    for (property, value) in [("version", "5"), ("defaultuserquota", "1M")] {
        let set = plain().with(property, value).expect("a property");
        let receive = ReceiveOptions::new().set(&set);
        let refusals = [
            zfs.create(&below, &Create::filesystem().properties(&set).key(key())),
            zfs.create_filesystem(&below, &set),
            zfs.create_clone(&clone, &one, &set),
            zfs.set_properties(&fs, &set),
            receive_all(world, &below.snapshot("one").expect("a name"), &receive, &stream)
                .map(drop),
        ];
        for refusal in refusals {
            let error = refusal.expect_err("the machine would stop");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
        let open = world.root().child(property).expect("a name");
        zfs.create_filesystem(&open, &set).expect("not encrypted");
    }

    zfs.mount(&fs, &MountOptions::default()).expect("mounted");
    let set = plain().with("version", "5").and_then(|set| set.with("defaultuserquota", "1M"));
    zfs.set_properties(&fs, &set.expect("properties")).expect("set");
    zfs.set_quotas(&fs, &[Quota::objects(Owner::User(1000), 7)]).expect("set");
    let user = zfs.userspace_of(&fs, Owner::User(1000)).expect("read");
    assert_eq!(user.object_quota, Some(7));
}

fn a_zvol_has_no_owners(world: &World) {
    let v = world.root().child("v").expect("a name");
    world.zfs().create_zvol(&v, Bytes::from_mib(1), &PropertySet::new()).expect("created");
    let error = world.zfs().userspace(&v, OwnerKind::User).expect_err("a zvol");
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    let error =
        world.zfs().set_quotas(&v, &[Quota::objects(Owner::Group(10), 1)]).expect_err("a zvol");
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot set the quotas of '{v}': 'groupobjquota@10': it is not a file system, or there is no such id (EINVAL)"
        )
    );
}

fn the_space_of_owners_is_counted(world: &World) {
    let fs = mounted(world, "fs");
    let path = world.scratch().join("fs");
    write(&path.join("a"), 1000, 50, 300 << 10);
    write(&path.join("b"), 1000, 51, 100 << 10);
    write(&path.join("c"), 1001, 50, 100 << 10);
    world.zfs().sync_pool(&world.pool(), false).expect("synced");
    let users = world.zfs().userspace(&fs, OwnerKind::User).expect("read");
    let groups = world.zfs().userspace(&fs, OwnerKind::Group).expect("read");
    for (spaces, id, least, files) in [
        (&users, 1000, 400, 2),
        (&users, 1001, 100, 1),
        (&groups, 50, 400, 2),
        (&groups, 51, 100, 1),
    ] {
        let space = of(spaces, id).expect("there");
        assert!(space.used >= Bytes::from_kib(least), "{space:?}");
        assert!(space.used <= Bytes::from_kib(least + 256), "{space:?}");
        assert_eq!(space.objects, Some(files), "{space:?}");
        assert_eq!(space.quota, None);
    }
    let snapshot = fs.snapshot("s").expect("a name");
    world.zfs().snapshot(std::slice::from_ref(&snapshot), &PropertySet::new()).expect("a snapshot");
    std::fs::remove_file(path.join("c")).expect("removed");
    world.zfs().sync_pool(&world.pool(), false).expect("synced");
    let then = world.zfs().userspace_of(&snapshot, Owner::User(1001)).expect("read");
    assert_eq!(Some(&then), of(&users, 1001));
    let now = world.zfs().userspace_of(&fs, Owner::User(1001)).expect("read");
    assert_eq!((now.used, now.objects), (Bytes::ZERO, Some(0)));
    world.zfs().unmount(&fs, UnmountFlags::empty()).expect("unmounted");
}

fn nobody_writes_beyond_their_quota(world: &World) {
    let fs = mounted(world, "fs");
    let path = world.scratch().join("fs");
    let quotas = [
        Quota::space(Owner::User(1000), Bytes::from_kib(256)),
        Quota::objects(Owner::User(1001), 1),
    ];
    world.zfs().set_quotas(&fs, &quotas).expect("set");
    write(&path.join("a"), 1000, 50, 300 << 10);
    write(&path.join("b"), 1001, 50, 1);
    write(&path.join("c"), 1001, 50, 1);
    world.zfs().sync_pool(&world.pool(), false).expect("synced");
    // The superuser writes it, and its owner's quota counts.
    let error = std::fs::write(path.join("a"), vec![b'x'; 400 << 10]).expect_err("over quota");
    assert_eq!(error.raw_os_error(), Some(libc::EDQUOT));
    let lifted = [Quota::space(Owner::User(1000), Bytes::ZERO)];
    world.zfs().set_quotas(&fs, &lifted).expect("set");
    write(&path.join("a"), 1000, 50, 400 << 10);
    world.zfs().unmount(&fs, UnmountFlags::empty()).expect("unmounted");
}

fn an_upgraded_file_system_stays_as_it_is(world: &World) {
    let fs = file_system(world, "fs", &[("canmount", "off")]);
    world.zfs().upgrade_userspace(&fs).expect("nothing to do");
    let missing = world.root().child("none").expect("a name");
    let error = world.zfs().upgrade_userspace(&missing).expect_err("no file system");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn zfs_userspace_says_the_same(world: &World) {
    let fs = file_system(world, "fs", &[("canmount", "off")]);
    command::zfs(&[
        "set",
        "userquota@1234=3M",
        "groupquota@55=4M",
        "userobjquota@9=8",
        fs.as_str(),
    ]);
    let ours = Quota::space(Owner::User(77), Bytes::from_mib(2));
    world.zfs().set_quotas(&fs, &[ours]).expect("set");
    for (kind, verb) in [(OwnerKind::User, "userspace"), (OwnerKind::Group, "groupspace")] {
        let shown =
            command::zfs(&[verb, "-Hpn", "-o", "name,used,quota,objused,objquota", fs.as_str()]);
        let mut shown: Vec<String> = shown.lines().map(|line| line.replace('-', "0")).collect();
        shown.sort();
        let spaces = world.zfs().userspace(&fs, kind).expect("read");
        // What is not there is shown as a dash or as zero.
        let zero = |number: Option<u64>| number.unwrap_or(0);
        let mut found: Vec<String> = spaces
            .iter()
            .map(|space| {
                format!(
                    "{}\t{}\t{}\t{}\t{}",
                    space.owner.id(),
                    space.used.get(),
                    zero(space.quota.map(Bytes::get)),
                    zero(space.objects),
                    zero(space.object_quota)
                )
            })
            .collect();
        found.sort();
        assert_eq!(found, shown);
    }
    let value = command::zfs(&["get", "-Hp", "-o", "value", "userquota@77", fs.as_str()]);
    assert_eq!(value, (2 << 20).to_string());
}
