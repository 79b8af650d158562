use std::sync::Arc;

use super::*;
use crate::kernel::Cmd;
use crate::kernel::stub::{Stub, answer};
use crate::nvlist::{NvList, Value};

const ZVOL: u32 = 3;

fn number(number: u64) -> NvList {
    [("value", Value::from(number)), ("source", Value::from("tank"))].into_iter().collect()
}

fn text(text: &str, source: &str) -> NvList {
    [("value", text), ("source", source)].into_iter().collect()
}

/// `tank` is mounted on `/tank`, and `tank/elsewhere`, named before the others, on `/tank/a/b/c`.
fn reply(cmd: &mut Cmd) -> Result<(), Errno> {
    cmd.objset_stats.objset_type = 2;
    let inherited = ("mountpoint", text("/tank", "tank"));
    match cmd.name.clone().as_str() {
        "tank" | "tank/a" | "tank/a/b" => answer(cmd, [inherited]),
        "tank/elsewhere" => answer(cmd, [("mountpoint", text("/tank/a/b/c", "tank/elsewhere"))]),
        "tank/filled" => {
            answer(cmd, [("mountpoint", text("/filled", "tank/filled")), ("overlay", number(0))])
        }
        "tank/options" => answer(
            cmd,
            [
                ("mountpoint", text("/o,o", "tank/options")),
                ("readonly", number(1)),
                ("atime", number(0)),
                ("devices", number(0)),
                ("exec", number(0)),
                ("setuid", number(0)),
                ("nbmand", number(1)),
                ("context", text("a:b:c:s0", "tank")),
            ],
        ),
        "tank/off" => answer(cmd, [inherited, ("canmount", number(0))]),
        "tank/noauto" => answer(cmd, [inherited, ("canmount", number(2))]),
        "tank/none" => answer(cmd, [("mountpoint", text("none", "tank/none"))]),
        "tank/legacy" => answer(cmd, [("mountpoint", text("legacy", "tank/legacy"))]),
        "tank/locked" => answer(cmd, [inherited, ("keystatus", number(1))]),
        "tank/zoned" => answer(cmd, [inherited, ("zoned", number(1))]),
        "tank/recv" => {
            cmd.objset_stats.inconsistent = true;
            answer(cmd, [("receive_resume_token", text("1-2", ""))])
        }
        "tank/redacted" => {
            cmd.objset_stats.redacted = true;
            answer(cmd, [inherited])
        }
        "tank/vol" => {
            cmd.objset_stats.objset_type = ZVOL;
            Ok(())
        }
        "tank/a@s" => {
            cmd.objset_stats.is_snapshot = true;
            answer::<NvList>(cmd, [])
        }
        _ => Err(Errno::ENOENT),
    }
}

/// The datasets below `tank` and `tank/a`, in the order of a hash.
fn next(cmd: &mut Cmd) -> Result<(), Errno> {
    let children: &[&str] = match cmd.name.as_str() {
        "tank" => &["elsewhere", "vol", "a", "off", "noauto", "legacy", "locked"],
        "tank/a" => &["b"],
        _ => &[],
    };
    let place = usize::try_from(cmd.cookie).unwrap();
    let child = children.get(place).ok_or(Errno::ESRCH)?;
    cmd.name = format!("{}/{child}", cmd.name);
    cmd.cookie += 1;
    Ok(())
}

fn stub() -> Stub {
    Stub::new(|ioc, cmd| match ioc {
        Ioc::OBJSET_STATS => reply(cmd),
        Ioc::POOL_GET_PROPS => answer(cmd, [("size", number(1))]),
        Ioc::DATASET_LIST_NEXT => next(cmd),
        _ => Err(Errno::ESRCH),
    })
}

fn zfs() -> (Arc<Stub>, Zfs) {
    let stub = Arc::new(stub());
    (stub.clone(), Zfs::from_shared(stub))
}

fn name(name: &str) -> DatasetName {
    name.parse().unwrap()
}

fn mounted(path: &str) -> MountOutcome {
    MountOutcome::Mounted(path.into())
}

#[test]
fn a_file_system_is_mounted_where_its_properties_say() {
    let (stub, zfs) = zfs();
    let options = MountOptions::default();
    assert_eq!(zfs.mount(&name("tank/a/b"), &options).unwrap(), mounted("/tank/a/b"));
    let [request] = &stub.mount_requests()[..] else { panic!() };
    assert_eq!(request.dataset, "tank/a/b");
    assert_eq!(request.flags, MountFlags::RELATIME);
    assert_eq!(request.data, "rw,dev,exec,suid,atime,relatime,zfsutil,mntpoint=/tank/a/b");
    let again = MountOutcome::AlreadyMounted("/tank/a/b".into());
    assert_eq!(zfs.mount(&name("tank/a/b"), &options).unwrap(), again);
    assert_eq!(zfs.mounted_at(&name("tank/a/b")).unwrap(), [PathBuf::from("/tank/a/b")]);
}

#[test]
fn properties_become_options() {
    let (stub, zfs) = zfs();
    zfs.mount(&name("tank/options"), &MountOptions::default()).unwrap();
    let request = &stub.mount_requests()[0];
    let flags = MountFlags::READ_ONLY
        | MountFlags::NO_ATIME
        | MountFlags::NO_DEV
        | MountFlags::NO_EXEC
        | MountFlags::NO_SUID
        | MountFlags::MANDATORY_LOCKS;
    assert_eq!(request.flags, flags);
    // The hint is left out: there is a comma in the path.
    assert_eq!(request.data, "ro,nodev,noexec,nosuid,noatime,context=\"a:b:c:s0\",zfsutil");
}

#[test]
fn options_go_before_properties() {
    let (stub, zfs) = zfs();
    let options = MountOptions {
        read_only: Some(false),
        atime: Some(true),
        relatime: Some(false),
        devices: Some(true),
        exec: Some(true),
        setuid: Some(true),
        no_symlinks: true,
        ..MountOptions::at("/elsewhere")
    };
    assert_eq!(zfs.mount(&name("tank/options"), &options).unwrap(), mounted("/elsewhere"));
    let request = &stub.mount_requests()[0];
    let flags = MountFlags::STRICT_ATIME | MountFlags::MANDATORY_LOCKS | MountFlags::NO_SYMLINKS;
    assert_eq!(request.flags, flags);
    assert!(request.data.starts_with("rw,dev,exec,suid,atime,strictatime,"), "{}", request.data);
}

#[test]
fn what_is_not_to_be_mounted_says_why() {
    let (stub, zfs) = zfs();
    for (dataset, kind, message) in [
        (
            "tank/off",
            ErrorKind::Invalid,
            "its canmount is 'off'; change the property, or name a directory",
        ),
        (
            "tank/none",
            ErrorKind::Invalid,
            "its mountpoint is 'none'; change the property, or name a directory",
        ),
        (
            "tank/legacy",
            ErrorKind::Invalid,
            "its mountpoint is 'legacy'; change the property, or name a directory",
        ),
        ("tank/locked", ErrorKind::KeyNotLoaded, "its key is not loaded; load the key"),
        (
            "tank/recv",
            ErrorKind::Busy,
            "an interrupted receive into it can be resumed (EBUSY); finish the receive, or abort it",
        ),
        (
            "tank/zoned",
            ErrorKind::Denied,
            "it is zoned, and belongs to another user namespace; mount it there, or say that it may be (zoned)",
        ),
        (
            "tank/redacted",
            ErrorKind::Invalid,
            "it is redacted: parts of its data are not there; say that it may be (redacted)",
        ),
        ("tank/vol", ErrorKind::WrongType, "it is a volume, and not a file system"),
        ("tank/gone", ErrorKind::NotFound, "it does not exist (ENOENT)"),
        (
            "tank/filled",
            ErrorKind::Exists,
            "there is something in '/filled', and overlay is off; empty the directory, or set overlay=on",
        ),
    ] {
        let error = zfs.mount(&name(dataset), &MountOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot mount '{dataset}': {message}"));
        assert_eq!(error.kind(), kind, "{dataset}");
    }
    assert!(stub.mount_requests().is_empty());
}

#[test]
fn a_directory_that_is_named_goes_before_canmount_and_mountpoint() {
    let (_, zfs) = zfs();
    for dataset in ["tank/off", "tank/noauto", "tank/none", "tank/legacy"] {
        let path = format!("/mnt/{dataset}");
        let outcome = zfs.mount(&name(dataset), &MountOptions::at(&path)).unwrap();
        assert_eq!(outcome, mounted(&path));
        // And once more, elsewhere.
        let outcome = zfs.mount(&name(dataset), &MountOptions::at("/again")).unwrap();
        assert_eq!(outcome, mounted("/again"));
    }
    let covered = MountOptions { overlay: Some(true), ..MountOptions::default() };
    assert_eq!(zfs.mount(&name("tank/filled"), &covered).unwrap(), mounted("/filled"));
    let noauto = zfs.mount(&name("tank/noauto"), &MountOptions::default()).unwrap();
    assert!(matches!(noauto, MountOutcome::AlreadyMounted(_)));
}

#[test]
fn a_tree_is_mounted_from_above_and_unmounted_from_below() {
    let (stub, zfs) = zfs();
    let done = zfs.mount_tree(&name("tank"), &MountOptions::default()).unwrap();
    let mounts = [
        ("tank", "/tank"),
        ("tank/a", "/tank/a"),
        ("tank/a/b", "/tank/a/b"),
        ("tank/elsewhere", "/tank/a/b/c"),
    ];
    assert_eq!(done.mounted, mounts.map(|(dataset, path)| (name(dataset), mounted(path))));
    let mut skipped = done.skipped;
    skipped.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!(
        skipped,
        [
            (name("tank/legacy"), NotMountable::Legacy),
            (name("tank/locked"), NotMountable::KeyNotLoaded),
            (name("tank/noauto"), NotMountable::Noauto),
            (name("tank/off"), NotMountable::CanmountOff),
        ]
    );
    assert_eq!(stub.mount_requests().len(), 4);
    let unmounted = zfs.unmount_tree(&name("tank"), UnmountFlags::empty()).unwrap();
    assert_eq!(unmounted, ["/tank/a/b/c", "/tank/a/b", "/tank/a", "/tank"].map(PathBuf::from));
}

#[test]
fn nothing_is_mounted_below_what_could_not_be() {
    let stub = Arc::new(stub().failing_to_mount("/tank/a", Errno::EPERM));
    let zfs = Zfs::from_shared(stub.clone());
    let error = zfs.mount_tree(&name("tank"), &MountOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Several);
    assert_eq!(
        error.to_string(),
        "cannot mount 'tank': 'tank/a': the caller may not mount there (EPERM); 'tank/a/b': what belongs on '/tank/a', above it, is \
         not mounted (EINVAL); 'tank/elsewhere': what belongs on '/tank/a', above it, is not mounted (EINVAL)"
    );
    assert_eq!(zfs.mounted_at(&name("tank")).unwrap().len(), 1);
}

#[test]
fn a_snapshot_is_mounted_read_only() {
    let (stub, zfs) = zfs();
    let snapshot = "tank/a@s".parse().unwrap();
    assert_eq!(zfs.mount_snapshot(&snapshot, Path::new("/s")).unwrap(), mounted("/s"));
    assert!(stub.mount_requests()[0].flags.contains(MountFlags::READ_ONLY));
    let none = UnmountFlags::empty();
    assert_eq!(zfs.unmount(&snapshot, none).unwrap(), UnmountOutcome::Unmounted);
    assert_eq!(zfs.unmount(&snapshot, none).unwrap(), UnmountOutcome::NotMounted);
}

#[test]
fn a_remount_needs_a_mount() {
    let (stub, zfs) = zfs();
    let error = zfs.remount(&name("tank/a"), &MountOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot remount 'tank/a': it is not mounted");
    zfs.mount(&name("tank/a"), &MountOptions::default()).unwrap();
    let read_only = MountOptions { read_only: Some(true), ..MountOptions::default() };
    zfs.remount(&name("tank/a"), &read_only).unwrap();
    let flags = stub.mount_requests()[1].flags;
    assert!(flags.contains(MountFlags::REMOUNT | MountFlags::READ_ONLY));
}

#[test]
fn mount_paths_are_told_without_mounting() {
    let (_, zfs) = zfs();
    for (dataset, path) in [
        ("tank/a", MountPath::At("/tank/a".into())),
        ("tank/off", MountPath::At("/tank/off".into())),
        ("tank/legacy", MountPath::Legacy),
        ("tank/none", MountPath::None),
    ] {
        assert_eq!(zfs.mount_path(&name(dataset)).unwrap(), path, "{dataset}");
    }
}
