//! What the errors of the main operations say, word for word. Each is read by somebody who has to act on it: it names the operation, the
//! dataset, the reason and, where there is something to do, what.

use std::io::Write as _;
use std::sync::Arc;

use super::call::MORE_ERRORS as MORE;
use super::*;
use crate::error::{Error, Result};
use crate::kernel::stub::{Stub, answer};
use crate::kernel::{Cmd, Errno, Ioc, ReadOnly, Subtree};
use crate::name::{DatasetName, PoolName, SnapshotName};
use crate::nvlist::NvList;
use crate::property::PropertySet;
use crate::units::{Bytes, Guid};

/// How the kernel of a row answers the operation's own ioctl. Questions asked besides find `tank/a`, its
/// snapshot `s` and the held one, the encrypted `tank/secret` and the pool, and nothing else.
#[derive(Clone)]
enum Answer {
    Errno(Errno),
    /// With a list of names and what each failed of.
    Names(Errno, Vec<(&'static str, Errno)>),
}

impl From<Errno> for Answer {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

fn names(errno: Errno, failed: &[(&'static str, Errno)]) -> Answer {
    Answer::Names(errno, failed.to_vec())
}

/// A kernel that refuses `ioc` so.
fn refusing(ioc: Ioc, how: impl Into<Answer>) -> Stub {
    let how = how.into();
    Stub::new(move |asked, cmd| {
        if asked == ioc {
            return match &how {
                Answer::Errno(errno) => Err(*errno),
                Answer::Names(errno, failed) => {
                    let list = failed.iter().map(|(name, errno)| (*name, errno.0));
                    answer(cmd, list).and(Err(*errno))
                }
            };
        }
        aside(asked, cmd)
    })
}

fn aside(ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
    match (ioc, cmd.name.as_str()) {
        (Ioc::OBJSET_STATS, "tank/secret") => {
            let root: NvList = [("value", "tank/secret")].into_iter().collect();
            // Raw.
            let format: NvList = [("value", 1_u64)].into_iter().collect();
            answer(cmd, [("encryptionroot", root), ("keyformat", format)])
        }
        (Ioc::OBJSET_STATS, "tank" | "tank/a" | "tank/a@s") => answer::<NvList>(cmd, []),
        (Ioc::POOL_STATS, "tank") => answer::<NvList>(cmd, []),
        (Ioc::DATASET_LIST_NEXT | Ioc::SNAPSHOT_LIST_NEXT, _) => Err(Errno::ESRCH),
        (Ioc::GET_HOLDS, "tank/a@held") => answer(cmd, [("backup", 17_u64)]),
        _ => Err(Errno::ENOENT),
    }
}

fn a() -> DatasetName {
    "tank/a".parse().unwrap()
}

fn secret() -> DatasetName {
    "tank/secret".parse().unwrap()
}

fn s() -> SnapshotName {
    "tank/a@s".parse().unwrap()
}

fn tank() -> PoolName {
    "tank".parse().unwrap()
}

fn none() -> PropertySet {
    PropertySet::new()
}

/// The first record of a stream.
const RECORD: &[u8] = include_bytes!("../../../tests/fixtures/begin/raw");

type Call = fn(&Zfs) -> Result<()>;

/// What the errors say, one a line, as the ioctl is answered with each of these.
fn told(ioc: Ioc, call: Call, answers: &[Answer]) -> Vec<String> {
    let ask = |how: &Answer| call(&Zfs::new(refusing(ioc, how.clone()))).unwrap_err().to_string();
    answers.iter().map(ask).collect()
}

fn errnos<const N: usize>(errnos: [Errno; N]) -> Vec<Answer> {
    errnos.map(Answer::from).to_vec()
}

#[track_caller]
fn assert_lines(told: impl IntoIterator<Item = Vec<String>>, lines: &str) {
    let told: Vec<String> = told.into_iter().flatten().collect();
    for (number, (said, line)) in told.iter().zip(lines.lines()).enumerate() {
        assert_eq!(said, line, "line {}", number + 1);
    }
    assert_eq!(told.len(), lines.lines().count());
}

fn dataset(name: &str) -> DatasetName {
    name.parse().unwrap()
}

fn snapshot(name: &str) -> SnapshotName {
    name.parse().unwrap()
}

#[test]
fn datasets() {
    let create: Call = |zfs| zfs.create_filesystem(&a(), &none());
    let deep: Call = |zfs| zfs.create_filesystem(&dataset("tank/x/y"), &none());
    let pool: Call = |zfs| zfs.create_filesystem(&dataset("tank"), &none());
    let clone: Call = |zfs| zfs.create_clone(&dataset("tank/c"), &s(), &none());
    let of_none: Call =
        |zfs| zfs.create_clone(&dataset("tank/c"), &snapshot("tank/a@none"), &none());
    let deep_clone: Call = |zfs| zfs.create_clone(&dataset("tank/x/y"), &s(), &none());
    let rename: Call = |zfs| zfs.rename(&a(), &dataset("tank/b"));
    let rename_deep: Call = |zfs| zfs.rename(&a(), &dataset("tank/x/y"));
    let rename_none: Call = |zfs| zfs.rename(&dataset("tank/none"), &dataset("tank/b"));
    let rename_snapshot: Call = |zfs| zfs.rename_snapshot(&s(), "t", false).map(drop);
    let rename_snapshots: Call = |zfs| zfs.rename_snapshot(&s(), "t", true).map(drop);
    let missing = errnos([Errno::ENOENT]);
    let there = errnos([Errno::EEXIST]);
    let refusals = errnos([
        Errno::EEXIST,
        Errno::EPERM,
        Errno::ENOSPC,
        Errno::EDQUOT,
        Errno::EACCES,
        Errno::ZFS_ERR_WRONG_PARENT,
        Errno::EAGAIN,
        Errno::EROFS,
        Errno::EIO,
        Errno(4000),
    ]);
    assert_lines(
        [
            told(Ioc::CREATE, create, &refusals),
            told(Ioc::CREATE, deep, &missing),
            told(Ioc::CREATE, pool, &missing),
            told(Ioc::CLONE, of_none, &missing),
            told(Ioc::CLONE, deep_clone, &missing),
            told(Ioc::CLONE, clone, &errnos([Errno::EXDEV])),
            told(Ioc::RENAME, rename, &errnos([Errno::EEXIST, Errno::ENAMETOOLONG, Errno::EBUSY])),
            told(Ioc::RENAME, rename_deep, &missing),
            told(Ioc::RENAME, rename_none, &missing),
            told(Ioc::RENAME, rename_snapshot, &there),
            told(Ioc::RENAME, rename_snapshots, &there),
            told(Ioc::PROMOTE, |zfs| zfs.promote(&a()), &errnos([Errno::EINVAL])),
            told(Ioc::DESTROY, |zfs| zfs.destroy(&a()), &errnos([Errno::ENOENT, Errno::EBUSY])),
            told(Ioc::ROLLBACK, |zfs| zfs.rollback(&a()).map(drop), &errnos([Errno::ESRCH])),
            told(Ioc::ROLLBACK, |zfs| zfs.rollback_to(&s()), &there),
            told(Ioc::OBJSET_STATS, |zfs| zfs.exists(&a()).map(drop), &errnos([Errno::EAGAIN])),
        ],
        "\
cannot create 'tank/a': it exists already (EEXIST)
cannot create 'tank/a': permission denied (EPERM); run as root, or have it delegated (zfs allow)
cannot create 'tank/a': out of space (ENOSPC); destroy something, or add a device to the pool
cannot create 'tank/a': a quota or limit is reached (EDQUOT); raise it, or destroy something
cannot create 'tank/a': its key, or that of the dataset it hangs on, is not loaded (EACCES); load the key
cannot create 'tank/a': its parent is a zvol, which can have nothing below it (ZFS_ERR_WRONG_PARENT)
cannot create 'tank/a': the pool is suspended (EAGAIN); bring its devices back and clear it
cannot create 'tank/a': it, or its pool, is read-only (EROFS)
cannot create 'tank/a': reading or writing failed (EIO); see which devices the pool's status names
cannot create 'tank/a': an error this library does not know (errno 4000)
cannot create 'tank/x/y': 'tank/x', the parent of 'tank/x/y', does not exist (ENOENT); create the parent first
cannot create 'tank': there is no pool 'tank' (ENOENT)
cannot clone 'tank/c': its origin 'tank/a@none' does not exist (ENOENT)
cannot clone 'tank/x/y': 'tank/x', the parent of 'tank/x/y', does not exist (ENOENT); create the parent first
cannot clone 'tank/c': the snapshot is in another pool (EXDEV)
cannot rename 'tank/a': 'tank/b' exists already (EEXIST)
cannot rename 'tank/a': the new name, or that of something below it, would be too long (ENAMETOOLONG)
cannot rename 'tank/a': it is in use (EBUSY); nothing this process can see uses it: look for a mount in another mount namespace, and for a running send or receive
cannot rename 'tank/a': 'tank/x', the parent of 'tank/x/y', does not exist (ENOENT); create the parent first
cannot rename 'tank/none': it does not exist (ENOENT)
cannot rename 'tank/a@s': 'tank/a@t' exists already (EEXIST)
cannot rename 'tank/a@s': 'tank/a@t', or a snapshot of that name below it, exists already (EEXIST)
cannot promote 'tank/a': it is not a clone (EINVAL)
cannot destroy 'tank/a': it does not exist (ENOENT)
cannot destroy 'tank/a': it is in use (EBUSY); nothing this process can see uses it: look for a mount in another mount namespace, and for a running send or receive
cannot roll back 'tank/a': it has no snapshot (ESRCH)
cannot roll back 'tank/a@s': there are snapshots or bookmarks newer than that (EEXIST); destroy them first, or name the newest
cannot look up 'tank/a': the pool is suspended (EAGAIN); bring its devices back and clear it
",
    );
}

#[test]
fn snapshots_bookmarks_and_holds() {
    let one: Call = |zfs| zfs.snapshot([&s()], &none());
    let two: Call = |zfs| zfs.snapshot(&[s(), snapshot("tank/b@s")], &none());
    let destroy: Call = |zfs| zfs.destroy_snapshots([&snapshot("tank/a@held")], Destroy::Now);
    let destroy_two: Call =
        |zfs| zfs.destroy_snapshots(&[snapshot("tank/a@held"), s()], Destroy::Now);
    let bookmark: Call = |zfs| zfs.bookmark(&[("tank/a#m".parse().unwrap(), s().into())]);
    let look_up: Call = |zfs| zfs.bookmark_properties(&"tank/a#m".parse().unwrap()).map(drop);
    let hold: Call = |zfs| zfs.hold(&[(s(), "tag")], None).map(drop);
    let hold_empty: Call = |zfs| zfs.hold(&[(s(), "")], None).map(drop);
    let release: Call = |zfs| zfs.release(&[(s(), "tag"), (snapshot("tank/b@s"), "tag")]).map(drop);
    let (exists, missing) = (Errno::EEXIST, Errno::ENOENT);
    let (held, cloned) = (("tank/a@held", Errno::EBUSY), ("tank/a@s", Errno::EEXIST));
    let marked = |errno| names(errno, &[("tank/a#m", errno)]);
    assert_lines(
        [
            told(Ioc::SNAPSHOT, one, &[names(exists, &[("tank/a@s", exists)])]),
            told(Ioc::SNAPSHOT, one, &errnos([Errno::EPERM])),
            told(
                Ioc::SNAPSHOT,
                two,
                &[
                    names(exists, &[("tank/a@s", exists), ("tank/b@s", missing)]),
                    names(exists, &[("tank/b@s", exists)]),
                    names(exists, &[("tank/a@s", exists), ("tank/b@s", exists), (MORE, Errno(7))]),
                ],
            ),
            told(Ioc::SNAPSHOT, two, &errnos([Errno::EAGAIN, Errno::EXDEV])),
            told(Ioc::DESTROY_SNAPS, destroy, &[names(Errno::EBUSY, &[held])]),
            told(Ioc::DESTROY_SNAPS, destroy_two, &[names(Errno::EBUSY, &[held, cloned])]),
            told(Ioc::BOOKMARK, bookmark, &[Errno::ENOTSUP, Errno::EXDEV, Errno::ESRCH].map(marked)),
            told(Ioc::GET_BOOKMARK_PROPS, look_up, &errnos([Errno::ESRCH])),
            told(Ioc::HOLD, hold, &[names(exists, &[("tank/a@s", exists)])]),
            told(Ioc::HOLD, hold, &errnos([Errno::ENOTSUP])),
            told(Ioc::HOLD, hold_empty, &errnos([Errno::EPERM])),
            told(Ioc::RELEASE, release, &errnos([Errno::EPERM])),
            told(Ioc::GET_HOLDS, |zfs| zfs.holds(&s()).map(drop), &errnos([missing])),
        ],
        "\
cannot snapshot 'tank/a@s': it exists already (EEXIST)
cannot snapshot 'tank/a@s': permission denied (EPERM); run as root, or have it delegated (zfs allow)
cannot snapshot: 'tank/a@s': it exists already (EEXIST); 'tank/b@s': its dataset does not exist (ENOENT)
cannot snapshot: 'tank/b@s': it exists already (EEXIST)
cannot snapshot: 'tank/a@s': it exists already (EEXIST); 'tank/b@s': it exists already (EEXIST); and 7 more
cannot snapshot 'tank/a@s' and 1 more: the pool is suspended (EAGAIN); bring its devices back and clear it
cannot snapshot 'tank/a@s' and 1 more: the snapshots are not in one pool, or two are of one dataset (EXDEV)
cannot destroy 'tank/a@held': it is held by 'backup' (EBUSY); release the hold, or ask for a deferred destroy
cannot destroy: 'tank/a@held': it is held by 'backup' (EBUSY); 'tank/a@s': it has clones (EEXIST); release the hold, or ask for a deferred destroy
cannot bookmark 'tank/a#m': the pool lacks a feature that it needs (ENOTSUP); enable the pool's features
cannot bookmark 'tank/a#m': its source is of another dataset (EXDEV)
cannot bookmark 'tank/a#m': its source does not exist (ESRCH)
cannot look up the bookmark 'tank/a#m': it does not exist (ESRCH)
cannot hold 'tank/a@s': tag 'tag': it is held with this tag already (EEXIST)
cannot hold 'tank/a@s': tag 'tag': the pool lacks a feature that it needs (ENOTSUP); enable the pool's features
cannot hold 'tank/a@s': tag '': it has 0 bytes, and 1 to 255 are allowed (EINVAL)
cannot release 'tank/a@s' and 1 more: tag 'tag': permission denied (EPERM); run as root, or have it delegated (zfs allow)
cannot list the holds of 'tank/a@s': it does not exist (ENOENT)
",
    );
}

#[test]
fn keys_and_properties() {
    let load: Call = |zfs| zfs.load_key(&secret(), &Key::raw([1; 32]));
    let load_plain: Call = |zfs| zfs.load_key(&a(), &Key::raw([1; 32]));
    let change: Call = |zfs| zfs.change_key(&a(), &KeyChange::Inherit, &none());
    let quota: Call = |zfs| zfs.set_properties(&a(), &none().with("quota", Bytes::from_gib(1))?);
    let two: Call =
        |zfs| zfs.set_properties(&a(), &none().with("atime", "on")?.with("compression", "zstd")?);
    let recordsize: Call = |_| none().with("recordsize", "3K").map(drop);
    let nonsense: Call = |_| none().with("nonsense", "1").map(drop);
    let get: Call = |zfs| zfs.properties(&a()).map(drop);
    let inherit: Call = |zfs| zfs.inherit_property(&a(), "atime");
    let (invalid, unsupported) = (Errno::EINVAL, Errno::ENOTSUP);
    let denied = errnos([Errno::EPERM]);
    assert_lines(
        [
            told(Ioc::LOAD_KEY, load, &errnos([Errno::EACCES, Errno::EEXIST])),
            told(Ioc::LOAD_KEY, load_plain, &denied),
            told(Ioc::UNLOAD_KEY, |zfs| zfs.unload_key(&secret()), &errnos([Errno::EBUSY])),
            told(Ioc::CHANGE_KEY, change, &errnos([Errno::EACCES])),
            told(Ioc::SET_PROP, quota, &[names(Errno::ENOSPC, &[("quota", Errno::ENOSPC)])]),
            told(
                Ioc::SET_PROP,
                two,
                &[names(invalid, &[("atime", invalid), ("compression", unsupported)])],
            ),
            told(Ioc::SET_PROP, quota, &errnos([Errno::EPERM, Errno::EROFS])),
            told(Ioc::SET_PROP, recordsize, &denied),
            told(Ioc::SET_PROP, nonsense, &denied),
            told(Ioc::INHERIT_PROP, inherit, &denied),
            told(Ioc::OBJSET_STATS, get, &errnos([Errno::ENOENT])),
        ],
        "\
cannot load the key of 'tank/secret': the key does not open it (EACCES)
cannot load the key of 'tank/secret': its key is loaded already (EEXIST)
cannot load the key of 'tank/a': it is not encrypted
cannot unload the key of 'tank/secret': it, or a dataset that inherits its key, is mounted or open (EBUSY); nothing this process can see uses it: look for a mount in another mount namespace, and for a running send or receive
cannot change the key of 'tank/a': its key, or that of the dataset it hangs on, is not loaded (EACCES); load the key
cannot set the properties of 'tank/a': 'quota': it is less than is used or reserved already (ENOSPC)
cannot set the properties of 'tank/a': 'atime': the module does not take this value here (EINVAL); 'compression': the pool or the file system lacks what this value needs (ENOTSUP)
cannot set the properties of 'tank/a': permission denied (EPERM); run as root, or have it delegated (zfs allow)
cannot set the properties of 'tank/a': it, or its pool, is read-only (EROFS)
cannot set 'recordsize': '3K' is not allowed; use a power of two from 512 to 16M
cannot set 'nonsense': there is no such property; the name of a user property has a colon
cannot inherit a property of 'tank/a': permission denied (EPERM); run as root, or have it delegated (zfs allow)
cannot get the properties of 'tank/a': it does not exist (ENOENT)
",
    );
}

/// Sends the fixture's stream into a kernel that refuses it.
fn receive(zfs: &Zfs, options: &ReceiveOptions) -> Result<()> {
    let mut receive = zfs.receive(&s(), options)?;
    // What is refused while it is written is told again at the end.
    let _ = receive.write_all(RECORD);
    receive.finish().map(drop)
}

#[test]
fn transfers() {
    let send: Call = |zfs| zfs.send(&s(), &SendOptions::full()).map(drop);
    let send_none: Call = |zfs| zfs.send(&snapshot("tank/b@s"), &SendOptions::full()).map(drop);
    let since: Call = |zfs| zfs.send(&s(), &SendOptions::since(snapshot("tank/a@later"))).map(drop);
    let take: Call = |zfs| receive(zfs, &ReceiveOptions::new());
    let resumable: Call = |zfs| receive(zfs, &ReceiveOptions::new().resumable());
    let refusals = errnos([
        Errno::ETXTBSY,
        Errno::ENODEV,
        Errno::EEXIST,
        Errno::ENOENT,
        Errno::ENOSPC,
        Errno::EDQUOT,
        Errno::EBADE,
        Errno::ENOTSUP,
        Errno::ZFS_ERR_UNKNOWN_SEND_STREAM_FEATURE,
        Errno::ZFS_ERR_STREAM_TRUNCATED,
        Errno::ZFS_ERR_RESUME_EXISTS,
        Errno::EBUSY,
        Errno::ZFS_ERR_FROM_IVSET_GUID_MISMATCH,
        Errno::EPERM,
        Errno::EAGAIN,
    ]);
    assert_lines(
        [
            told(Ioc::SEND_NEW, send_none, &errnos([Errno::ENOENT])),
            told(Ioc::SEND_NEW, since, &errnos([Errno::EXDEV])),
            told(Ioc::SEND_NEW, send, &errnos([Errno::EACCES, Errno::EPERM, Errno::EIO])),
            told(Ioc::RECV_NEW, take, &refusals),
            told(Ioc::RECV_NEW, resumable, &errnos([Errno::ZFS_ERR_STREAM_TRUNCATED])),
        ],
        "\
cannot send 'tank/b@s': it does not exist (ENOENT)
cannot send 'tank/a@s': 'tank/a@later' is not an earlier snapshot of it, nor of its origins (EXDEV)
cannot send 'tank/a@s': it is encrypted, and its key is not loaded (EACCES); load the key, or send it raw
cannot send 'tank/a@s': permission denied (EPERM); run as root, or have it delegated (zfs allow)
cannot send 'tank/a@s': reading or writing failed (EIO); see which devices the pool's status names
cannot receive 'tank/a@s': the destination was changed since the snapshot the increment starts from (ETXTBSY); roll it back to that snapshot, or receive with force
cannot receive 'tank/a@s': the snapshot the increment starts from is not at the destination (ENODEV); send an increment from one that both sides have, or a full stream
cannot receive 'tank/a@s': the snapshot, or the dataset the stream would make, exists already (EEXIST); receive it under another name, or destroy what is there
cannot receive 'tank/a@s': the dataset the increment is for, or the parent of the one to be made, does not exist (ENOENT)
cannot receive 'tank/a@s': out of space (ENOSPC); destroy something, or add a device to the pool
cannot receive 'tank/a@s': a quota or limit is reached (EDQUOT); raise it, or destroy something
cannot receive 'tank/a@s': the stream is damaged: a checksum does not match (EBADE); send it again
cannot receive 'tank/a@s': the stream needs a feature that the pool has not enabled, or does not fit the snapshot to heal (ENOTSUP); enable the pool's features, or send without it
cannot receive 'tank/a@s': the stream has a feature the loaded module does not know (ZFS_ERR_UNKNOWN_SEND_STREAM_FEATURE); load a newer module, or send it without that feature
cannot receive 'tank/a@s': the stream ended too early (ZFS_ERR_STREAM_TRUNCATED); send it again
cannot receive 'tank/a@s': an interrupted receive into it can be resumed (ZFS_ERR_RESUME_EXISTS); resume it, or abort it
cannot receive 'tank/a@s': it is being received into, or in use (EBUSY); nothing this process can see uses it: look for a mount in another mount namespace, and for a running send or receive
cannot receive 'tank/a@s': the snapshot it starts from is not the one the stream was made from (IV set GUID) (ZFS_ERR_FROM_IVSET_GUID_MISMATCH); raw increments follow a raw full stream: send that first
cannot receive 'tank/a@s': permission denied (EPERM); run as root, or have it delegated (zfs allow)
cannot receive 'tank/a@s': the pool is suspended (EAGAIN); bring its devices back and clear it
cannot receive 'tank/a@s': the stream ended too early (ZFS_ERR_STREAM_TRUNCATED); what came is saved: resume it with the dataset's receive_resume_token
",
    );
}

#[test]
fn pools() {
    let status: Call = |zfs| zfs.pool_status(&tank()).map(drop);
    let destroy: Call = |zfs| zfs.destroy_pool(&tank());
    let export: Call = |zfs| zfs.export_pool(&tank(), Export::Clean);
    let checkpoint: Call = |zfs| zfs.checkpoint_pool(&tank());
    let scrub: Call = |zfs| zfs.scrub_pool(&tank(), Scrub::Start);
    let detach: Call = |zfs| zfs.detach_vdev(&tank(), Guid::new(1));
    let sync: Call = |zfs| zfs.sync_pool(&tank(), false);
    let program: Call = |zfs| zfs.channel_program(&tank(), &Program::new("")).map(drop);
    let busy = errnos([Errno::EBUSY]);
    assert_lines(
        [
            told(Ioc::POOL_STATS, status, &errnos([Errno::ENOENT])),
            told(Ioc::POOL_DESTROY, destroy, &busy),
            told(Ioc::POOL_EXPORT, export, &errnos([Errno::EBUSY, Errno::EPERM])),
            told(Ioc::POOL_CHECKPOINT, checkpoint, &errnos([Errno::ZFS_ERR_CHECKPOINT_EXISTS])),
            told(Ioc::POOL_SCRUB, scrub, &busy),
            told(Ioc::VDEV_DETACH, detach, &busy),
            told(Ioc::POOL_SYNC, sync, &errnos([Errno::EAGAIN])),
            told(Ioc::CHANNEL_PROGRAM, program, &errnos([Errno::ETIME])),
        ],
        "\
cannot get the status of the pool 'tank': there is no such pool (ENOENT)
cannot destroy the pool 'tank': a file system of it is mounted, a zvol of it is open, or it is in use otherwise (EBUSY); unmount and close what is in it
cannot export the pool 'tank': a file system of it is mounted, a zvol of it is open, or it is in use otherwise (EBUSY); unmount and close what is in it
cannot export the pool 'tank': permission denied (EPERM); run as root
cannot checkpoint the pool 'tank': the pool has a checkpoint (ZFS_ERR_CHECKPOINT_EXISTS); discard that checkpoint first
cannot scrub the pool 'tank': a scrub or resilver is running, or paused already (EBUSY)
cannot detach a device of the pool 'tank': the others do not have all of its data yet (EBUSY); wait for the resilver to end
cannot sync the pool 'tank': the pool is suspended (EAGAIN); bring its devices back and clear it
cannot run a channel program on 'tank': it used up its instructions (ETIME); allow it more, or have it do less
",
    );
}

#[test]
fn what_an_older_module_does_not_know() {
    let older = |ioc, errno: Errno| Zfs::new(refusing(ioc, errno).of_version("2.1.11-1"));
    let prune = older(Ioc::DDT_PRUNE, Errno::ZFS_ERR_IOC_CMD_UNAVAIL);
    let prefetch = older(Ioc::POOL_PREFETCH, Errno::ZFS_ERR_IOC_CMD_UNAVAIL);
    let heal = older(Ioc::RECV_NEW, Errno::ZFS_ERR_IOC_ARG_UNAVAIL);
    let errors = [
        prune.prune_ddt(&tank(), DdtPrune::Percent(10)),
        prefetch.prefetch_pool(&tank(), Prefetch::Ddt),
        receive(&heal, &ReceiveOptions::new().heal()),
    ];
    assert_lines(
        [errors.map(|error| error.unwrap_err().to_string()).to_vec()],
        "\
cannot prune the deduplication table of the pool 'tank': the loaded module is OpenZFS 2.1.11-1, and ZFS_IOC_DDT_PRUNE came with 2.3 (ZFS_ERR_IOC_CMD_UNAVAIL); load a newer module, or do without
cannot prefetch tables of the pool 'tank': the loaded module is OpenZFS 2.1.11-1, and this came with 2.3; load a newer module, or do without
cannot receive 'tank/a@s': the loaded module is OpenZFS 2.1.11-1, and healing came with 2.2 (ZFS_ERR_IOC_ARG_UNAVAIL); load a newer module, or do without
",
    );
}

#[test]
fn doors_around_the_kernel() {
    let kernel = || Arc::new(Stub::new(aside));
    let read_only = Zfs::new(ReadOnly::new(kernel()));
    let subtree = Zfs::new(Subtree::new(kernel(), a()));
    let errors = [
        read_only.snapshot([&s()], &none()),
        read_only.create_filesystem(&a(), &none()),
        subtree.destroy(&dataset("tank/b")),
        subtree.destroy_pool(&tank()),
    ];
    assert_lines(
        [errors.map(|error| error.unwrap_err().to_string()).to_vec()],
        "\
cannot snapshot 'tank/a@s': this door only reads, and ZFS_IOC_SNAPSHOT changes something (EROFS)
cannot create 'tank/a': this door only reads, and ZFS_IOC_CREATE changes something (EROFS)
cannot destroy 'tank/b': it does not exist (ENOENT)
cannot destroy the pool 'tank': this door leads to 'tank/a' alone, and ZFS_IOC_POOL_DESTROY goes beyond it (EPERM)
",
    );
}

#[test]
fn names_that_are_none() {
    let long = format!("tank/{}", "x".repeat(251)).parse::<DatasetName>();
    let errors = [
        long.map(drop),
        "tank/a@s".parse::<DatasetName>().map(drop),
        "tank/ä".parse::<DatasetName>().map(drop),
        "tank/a".parse::<SnapshotName>().map(drop),
        "9tank".parse::<PoolName>().map(drop),
    ];
    let told = errors.map(|error| Error::from(error.unwrap_err()).to_string());
    assert_lines(
        [told.map(|line| line.replace(&"x".repeat(251), "xxx")).to_vec()],
        "\
cannot use this name: 'tank/xxx' is not a dataset name: it has 256 bytes, and at most 255 are allowed
cannot use this name: 'tank/a@s' is not a dataset name: '@' does not belong there
cannot use this name: 'tank/ä' is not a dataset name: the character 'ä' is not allowed
cannot use this name: 'tank/a' is not a snapshot name: it has no '@'
cannot use this name: '9tank' is not a pool name: a pool's name begins with a letter
",
    );
}

/// The kernel answers with the errno of whichever name it came to last, and a tree's names come to it in the order of a hash.
#[test]
fn of_several_errnos_that_of_the_first_name_is_told() {
    let failed = [("tank/a@s", Errno::EEXIST), ("tank/b@s", Errno::ENOENT)];
    // An errno that is of none of them says more than theirs.
    for (whole, told) in [
        (Errno::EEXIST, Errno::EEXIST),
        (Errno::ENOENT, Errno::EEXIST),
        (Errno::ENOSPC, Errno::ENOSPC),
    ] {
        let zfs = Zfs::new(refusing(Ioc::SNAPSHOT, names(whole, &failed)));
        let error = zfs.snapshot(&[s(), snapshot("tank/b@s")], &none()).unwrap_err();
        assert_eq!(error.errno(), Some(told));
        assert_eq!(error.failures()[1].errno, Errno::ENOENT);
    }
}
