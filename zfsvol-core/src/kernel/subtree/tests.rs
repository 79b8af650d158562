use super::*;
use crate::kernel::stub::{Stub, answer};
use crate::nvlist::Value;

/// A door to `tank/a`; `tank/a/clone` is a clone of a snapshot outside.
fn door() -> (Arc<Stub>, Subtree) {
    let stub = Stub::new(|ioc, cmd| match (ioc, cmd.name.as_str()) {
        (Ioc::OBJSET_STATS, "tank/a/clone") => {
            cmd.objset_stats.origin = "tank/x@s".into();
            answer(
                cmd,
                [
                    ("origin", property("tank/x@s")),
                    ("encryptionroot", property("tank/x")),
                    ("prevsnap", property("tank/x@s")),
                    ("used", property(1_u64)),
                ],
            )
        }
        (Ioc::OBJSET_STATS, "tank/a/own") => {
            answer(cmd, [("origin", property("tank/a@s")), ("prevsnap", property("tank/a@s"))])
        }
        (Ioc::OBJSET_STATS, "tank/a" | "tank/a/b") => answer(cmd, [("used", property(1_u64))]),
        (Ioc::OBJSET_STATS, "tank/a@s") => {
            let clones = keys(&["tank/a/own", "tank/x/clone"]);
            answer(cmd, [("clones", property(clones)), ("encryptionroot", property("tank"))])
        }
        (Ioc::OBJSET_STATS, "tank/a/garbage") => cmd.put_reply(&[1, 2, 3, 4, 5]),
        (Ioc::POOL_GET_PROPS, _) => {
            answer(cmd, [("altroot", property("/mnt")), ("size", property(7_u64))])
        }
        (Ioc::ROLLBACK, _) => answer(cmd, [("target", "tank/x@s")]),
        (Ioc::DATASET_LIST_NEXT, _) => {
            cmd.name = "tank/a/b".into();
            Ok(())
        }
        _ => Ok(()),
    });
    let stub = Arc::new(stub.with_mounts([
        MountEntry::new("tank/a", "/vols/a", "rw"),
        MountEntry::new("tank/ab", "/vols/ab", "rw"),
    ]));
    let root = "tank/a".parse().unwrap();
    (stub.clone(), Subtree::new(stub, root).with_mounts_below("/vols/a"))
}

fn property(value: impl Into<Value>) -> NvList {
    [("value", value.into())].into_iter().collect()
}

fn keys(names: &[&str]) -> NvList {
    names.iter().map(|&name| (name, Value::Boolean)).collect()
}

fn with(name: &str, input: &NvList) -> Cmd {
    let mut cmd = Cmd::new(name);
    cmd.input = Some(input.to_bytes().unwrap());
    cmd.reply_max = 4096;
    cmd
}

fn list<V: Into<Value>>(pairs: impl IntoIterator<Item = (&'static str, V)>) -> NvList {
    pairs.into_iter().collect()
}

#[test]
fn names_are_within_or_they_are_not() {
    let (_, door) = door();
    for name in ["tank/a", "tank/a/b/c", "tank/a@s", "tank/a/b#m", "tank/a/%recv", "tank/a/b@x y"] {
        assert!(door.is_within(name), "{name}");
    }
    for name in [
        "tank",
        "tank/",
        "tank/ab",
        "tank/b",
        "tank/a/",
        "tank/a//b",
        "tank/a/../b",
        "tank/a/./b",
        "tank/a/..",
        "/tank/a",
        "tank//a",
        "tank/a@",
        "tank/a@s/../../b",
        "tank/a@s@t",
        "tank/a@..",
        "tank/a#m@s",
        "tank@s",
        "TANK/a",
        "tank/a\0",
        "",
    ] {
        assert!(!door.is_within(name), "{name}");
    }
}

#[test]
fn what_is_outside_does_not_exist() {
    let (stub, door) = door();
    for ioc in [Ioc::OBJSET_STATS, Ioc::CREATE, Ioc::DESTROY, Ioc::GET_HOLDS, Ioc::SEND_NEW] {
        for name in ["tank", "tank/b", "tank/ab", "tank/a/../b"] {
            assert_eq!(door.ioctl(ioc, &mut Cmd::new(name)), Err(Errno::ENOENT), "{ioc} {name}");
        }
    }
    assert!(stub.calls().is_empty());
}

#[test]
fn every_name_in_a_request_counts() {
    let (stub, door) = door();
    let outside = "tank/b@s";
    let nested = |key: &'static str| list([(key, keys(&["tank/a@s", outside]))]);
    let text = |key: &'static str| list([(key, outside)]);
    for (ioc, name, input) in [
        (Ioc::SNAPSHOT, "tank", nested("snaps")),
        (Ioc::DESTROY_SNAPS, "tank", nested("snaps")),
        (Ioc::HOLD, "tank", nested("holds")),
        (Ioc::RELEASE, "tank", keys(&["tank/a@s", outside])),
        (Ioc::DESTROY_BOOKMARKS, "tank", keys(&["tank/a#m", "tank/b#m"])),
        (Ioc::BOOKMARK, "tank", list([("tank/a#m", outside)])),
        (Ioc::CLONE, "tank/a/c", text("origin")),
        (Ioc::SEND_NEW, "tank/a@s", text("fromsnap")),
        (Ioc::SEND_NEW, "tank/a@s", list([("redactbook", "x/../../b")])),
        (Ioc::SEND_SPACE, "tank/a@s", text("from")),
        (Ioc::SPACE_SNAPS, "tank/a@s", text("firstsnap")),
        (Ioc::ROLLBACK, "tank/a", text("target")),
        (Ioc::RECV_NEW, "tank/a/r", text("snapname")),
        (Ioc::RECV_NEW, "tank/a/r", list([("snapname", "tank/a/r@1"), ("origin", outside)])),
        (Ioc::REDACT, "tank/a@s", nested("snapnv")),
    ] {
        let mut cmd = with(name, &input);
        assert_eq!(door.ioctl(ioc, &mut cmd), Err(Errno::ENOENT), "{ioc}");
    }
    for (ioc, value) in [
        (Ioc::RENAME, "tank/b"),
        (Ioc::RENAME, ""),
        (Ioc::SPACE_WRITTEN, outside),
        (Ioc::DIFF, outside),
    ] {
        let mut cmd = Cmd::new("tank/a/x");
        cmd.value = value.into();
        assert_eq!(door.ioctl(ioc, &mut cmd), Err(Errno::ENOENT), "{ioc}");
    }
    assert!(stub.calls().is_empty());
}

/// The kernel looks up one of two pairs of a name; here both count.
#[test]
fn a_repeated_pair_hides_nothing() {
    let (_, door) = door();
    let mut input = NvList::with_duplicates();
    input.insert("origin", "tank/b@s").insert("origin", "tank/a@s");
    assert_eq!(door.ioctl(Ioc::CLONE, &mut with("tank/a/c", &input)), Err(Errno::ENOENT));
}

#[test]
fn batches_within_pass_under_their_pool_and_no_other() {
    let (stub, door) = door();
    let input = list([("snaps", keys(&["tank/a@s", "tank/a/b@s"]))]);
    assert_eq!(door.ioctl(Ioc::SNAPSHOT, &mut with("tank", &input)), Ok(()));
    assert_eq!(door.ioctl(Ioc::SNAPSHOT, &mut with("dozer", &input)), Err(Errno::ENOENT));
    assert_eq!(stub.calls().len(), 1);
}

#[test]
fn the_names_outside_are_listed_as_not_there() {
    let (_, door) = door();
    let mut cmd = with("tank", &list([("snaps", keys(&["tank/a@s", "tank/b@s"]))]));
    door.ioctl(Ioc::SNAPSHOT, &mut cmd).unwrap_err();
    let errors = NvList::from_bytes(cmd.reply()).unwrap();
    assert_eq!(errors, list([("tank/b@s", Errno::ENOENT.0)]));
}

#[test]
fn what_reaches_beyond_is_refused_and_says_so() {
    let (stub, door) = door();
    for ioc in [
        Ioc::POOL_CONFIGS,
        Ioc::POOL_STATS,
        Ioc::CHANNEL_PROGRAM,
        Ioc::EVENTS_NEXT,
        Ioc::DSOBJ_TO_DSNAME,
        Ioc::SEND,
        Ioc::SET_FSACL,
        Ioc::POOL_SYNC,
    ] {
        let mut cmd = Cmd::new("tank/a");
        assert_eq!(door.ioctl(ioc, &mut cmd), Err(Errno::EPERM), "{ioc}");
        let reason = format!("this door leads to 'tank/a' alone, and {ioc} goes beyond it");
        assert_eq!(cmd.refusal(), Some(reason.as_str()));
    }
    assert!(stub.calls().is_empty());
}

#[test]
fn the_root_stays() {
    let (_, door) = door();
    for ioc in [Ioc::DESTROY, Ioc::CREATE, Ioc::CLONE] {
        assert_eq!(door.ioctl(ioc, &mut Cmd::new("tank/a")), Err(Errno::EPERM), "{ioc}");
        assert_eq!(door.ioctl(ioc, &mut Cmd::new("tank/a/b")), Ok(()), "{ioc}");
    }
    let mut rename = Cmd::new("tank/a");
    rename.value = b"tank/a/b".to_vec();
    assert_eq!(door.ioctl(Ioc::RENAME, &mut rename), Err(Errno::EPERM));
}

#[test]
fn limits_of_the_root_are_its_owners() {
    let (_, door) = door();
    let set = |name: &str, property, value: &str| {
        door.ioctl(Ioc::SET_PROP, &mut with(name, &list([(property, value)])))
    };
    assert_eq!(set("tank/a", "quota", "none"), Err(Errno::EPERM));
    assert_eq!(set("tank/a/b", "quota", "none"), Ok(()));
    assert_eq!(set("tank/a", "compression", "zstd"), Ok(()));
    let mut inherit = Cmd::new("tank/a");
    inherit.value = b"quota".to_vec();
    assert_eq!(door.ioctl(Ioc::INHERIT_PROP, &mut inherit), Err(Errno::EPERM));
    let receive = |key: &'static str, snapshot: &'static str| {
        let input = list([
            ("snapname", Value::from(snapshot)),
            (key, Value::from(list([("quota", 1_u64)]))),
        ]);
        door.ioctl(Ioc::RECV_NEW, &mut with("tank/a/r", &input))
    };
    assert_eq!(receive("props", "tank/a@1"), Err(Errno::EPERM));
    assert_eq!(receive("localprops", "tank/a@1"), Err(Errno::EPERM));
    assert_eq!(receive("props", "tank/a/r@1"), Ok(()));
}

#[test]
fn properties_that_act_on_the_host_are_refused() {
    let (_, door) = door();
    let create = |property: &'static str, value: Value| {
        let input = list([("props", list([(property, value)]))]);
        door.ioctl(Ioc::CREATE, &mut with("tank/a/b", &input))
    };
    for (property, value) in [
        ("mountpoint", Value::from("/etc")),
        ("mountpoint", Value::from("/vols/a/../../etc")),
        ("mountpoint", Value::from("/vols/ab")),
        ("mountpoint", Value::from(property("/etc"))),
        ("mountpoint", Value::Uint64(1)),
        ("sharenfs", Value::from("on")),
        ("zoned", Value::Uint64(1)),
    ] {
        assert_eq!(create(property, value.clone()), Err(Errno::EPERM), "{property}={value:?}");
    }
    for (property, value) in [
        ("mountpoint", "/vols/a/b"),
        ("mountpoint", "legacy"),
        ("mountpoint", "none"),
        ("sharenfs", "off"),
        ("atime", "off"),
    ] {
        assert_eq!(create(property, value.into()), Ok(()), "{property}={value}");
    }
}

#[test]
fn origins_and_clones_outside_are_not_shown() {
    let (_, door) = door();
    let stats = |name: &str| {
        let mut cmd = Cmd::new(name);
        cmd.reply_max = 4096;
        door.ioctl(Ioc::OBJSET_STATS, &mut cmd).unwrap();
        (NvList::from_bytes(cmd.reply()).unwrap(), cmd.objset_stats.origin)
    };
    let (clone, origin) = stats("tank/a/clone");
    assert_eq!(clone, list([("used", property(1_u64))]));
    assert_eq!(origin, "");
    let (snapshot, _) = stats("tank/a@s");
    // A parent of the root is known by the root's own name.
    let clones = property(keys(&["tank/a/own"]));
    assert_eq!(snapshot, list([("clones", clones), ("encryptionroot", property("tank"))]));
}

#[test]
fn a_clone_of_something_outside_cannot_be_promoted() {
    let (_, door) = door();
    assert_eq!(door.ioctl(Ioc::PROMOTE, &mut Cmd::new("tank/a/clone")), Err(Errno::EINVAL));
    assert_eq!(door.ioctl(Ioc::PROMOTE, &mut Cmd::new("tank/a/own")), Ok(()));
}

#[test]
fn nothing_is_rolled_back_to_something_outside() {
    let (_, door) = door();
    assert_eq!(door.ioctl(Ioc::ROLLBACK, &mut Cmd::new("tank/a/clone")), Err(Errno::ESRCH));
    assert_eq!(door.ioctl(Ioc::ROLLBACK, &mut Cmd::new("tank/a/own")), Ok(()));
}

#[test]
fn a_reply_that_cannot_be_cleared_is_not_shown() {
    let (_, door) = door();
    let mut cmd = Cmd::new("tank/a/garbage");
    cmd.reply_max = 4096;
    assert_eq!(door.ioctl(Ioc::OBJSET_STATS, &mut cmd), Err(Errno::EPROTO));
    assert!(cmd.reply().is_empty());
    let mut cmd = Cmd::new("tank/a/b");
    cmd.reply_max = 4096;
    door.ioctl(Ioc::ROLLBACK, &mut cmd).unwrap();
    assert_eq!(NvList::from_bytes(cmd.reply()).unwrap(), NvList::new());
}

#[test]
fn of_the_pool_only_how_it_is_mounted_is_shown() {
    let (_, door) = door();
    let mut cmd = Cmd::new("tank");
    cmd.reply_max = 4096;
    door.ioctl(Ioc::POOL_GET_PROPS, &mut cmd).unwrap();
    let shown = NvList::from_bytes(cmd.reply()).unwrap();
    assert_eq!(shown, list([("altroot", property("/mnt"))]));
    assert_eq!(door.ioctl(Ioc::POOL_GET_PROPS, &mut Cmd::new("dozer")), Err(Errno::ENOENT));
}

#[test]
fn lists_go_through() {
    let (_, door) = door();
    let mut cmd = Cmd::new("tank/a");
    assert_eq!(door.ioctl(Ioc::DATASET_LIST_NEXT, &mut cmd), Ok(()));
    assert_eq!(cmd.name, "tank/a/b");
}

#[test]
fn mounts_stay_below_their_directory() {
    let (stub, door) = door();
    let host = Kernel::host(&door);
    assert_eq!(host.mounts().unwrap(), [MountEntry::new("tank/a", "/vols/a", "rw")]);
    let mount = |dataset: &str, path: &str| host.mount(&MountRequest::new(dataset, path));
    assert_eq!(mount("tank/b", "/vols/a/b"), Err(Errno::ENOENT));
    for path in ["/etc", "/vols/a", "/vols/ab", "/vols/a/../b", "vols/a/b"] {
        assert_eq!(mount("tank/a/b", path), Err(Errno::EPERM), "{path}");
    }
    assert_eq!(mount("tank/a/b", "/vols/a/b"), Ok(()));
    assert!(stub.mount_requests()[0].flags.contains(MountFlags::NO_SYMLINKS));
    let none = UnmountFlags::empty();
    assert_eq!(host.unmount(Path::new("/vols/ab"), none), Err(Errno::EINVAL));
    assert_eq!(host.unmount(Path::new("/vols/a"), none), Ok(()));
    let open = |name: &str| {
        host.open_block(&name.parse().unwrap(), Access::Read, Duration::ZERO).unwrap_err()
    };
    assert_eq!(open("tank/z"), Errno::ENOENT);
    assert_eq!(open("tank/a/z"), Errno::ETIMEDOUT);
}

#[test]
fn without_a_directory_nothing_is_mounted() {
    let (stub, _) = door();
    let door = Subtree::new(stub, "tank/a".parse().unwrap());
    let request = MountRequest::new("tank/a/b", "/vols/a/b");
    assert_eq!(Kernel::host(&door).mount(&request), Err(Errno::EPERM));
}
