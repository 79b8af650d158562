//! Wrappers around the door, on a kernel that means it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use zfsvol_core::kernel::{
    Call, Cmd, Errno, Fault, FaultRule, Host, Ioc, Kernel, Observe, Order, ReadOnly, Record,
    Refused, Replay, Subtree,
};
use zfsvol_core::zfs::{Destroy, Program};
use zfsvol_core::{DatasetName, ErrorKind, SnapshotName, Zfs};

use crate::expect::{file_system, plain};
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(a_read_only_door_refuses_changes_and_says_so),
        case(a_read_only_door_runs_programs_that_only_look).needs(Need::AnyProgram),
        case(a_subtree_works_as_if_it_were_all),
        case(a_subtree_hides_what_is_outside),
        case(a_subtree_conceals_origins_and_clones),
        case(an_observer_sees_names_and_outcomes),
        case(a_lost_answer_is_found_out_by_asking_again),
        case(an_errno_nobody_knows_comes_through_as_it_is),
        case(a_reply_that_cannot_be_read_is_no_answer),
        case(a_recording_replays_without_the_kernel),
        case(doors_chain),
    ]
}

fn kernel(world: &World) -> Arc<dyn Kernel> {
    world.zfs().kernel().clone()
}

fn snapshot(zfs: &Zfs, dataset: &DatasetName, name: &str) -> SnapshotName {
    let snapshot = dataset.snapshot(name).expect("a name");
    zfs.snapshot([&snapshot], &plain()).expect("snapshot");
    snapshot
}

fn a_read_only_door_refuses_changes_and_says_so(world: &World) {
    let dataset = file_system(world, "a");
    let taken = snapshot(world.zfs(), &dataset, "s");
    let door = Zfs::new(ReadOnly::new(kernel(world)));
    assert!(door.exists(&dataset).expect("looked"));
    assert_eq!(door.holds(&taken).expect("looked"), []);
    let error = door.destroy(&dataset).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert_eq!(
        error.to_string(),
        format!(
            "cannot destroy '{dataset}': this door only reads, and ZFS_IOC_DESTROY changes something (EROFS)"
        )
    );
    let child = dataset.child("b").expect("a name");
    let refused = [
        door.create_filesystem(&child, &plain()),
        door.hold(&[(taken.clone(), "tag")], None).map(drop),
        door.destroy_snapshots([&taken], Destroy::Deferred),
        door.rollback(&dataset).map(drop),
        door.promote(&dataset),
    ];
    for outcome in refused {
        assert_eq!(outcome.expect_err("refused").kind(), ErrorKind::ReadOnly);
    }
    assert!(world.zfs().exists(&taken).expect("looked"));
}

fn a_read_only_door_runs_programs_that_only_look(world: &World) {
    let door = Zfs::new(ReadOnly::new(kernel(world)));
    let look = Program::new("return zfs.exists((...)['name'])")
        .arguments([("name", world.root().as_str())].into_iter().collect());
    let pool = world.pool();
    assert!(door.channel_program_nosync(&pool, &look).expect("looked").is_some());
    let error = door.channel_program(&pool, &look).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
}

fn subtree(world: &World, root: &DatasetName) -> Zfs {
    Zfs::new(Subtree::new(kernel(world), root.clone()))
}

fn a_subtree_works_as_if_it_were_all(world: &World) {
    let root = file_system(world, "tenant");
    let door = subtree(world, &root);
    let child = root.child("a").expect("a name");
    door.create_filesystem(&child, &plain()).expect("created");
    let taken = door.snapshot_recursive(&root, "s", &plain()).expect("snapshots");
    assert_eq!(taken.len(), 2);
    let clone = root.child("clone").expect("a name");
    let origin = child.snapshot("s").expect("a name");
    door.create_clone(&clone, &origin, &plain()).expect("cloned");
    door.promote(&clone).expect("promoted");
    door.promote(&child).expect("promoted back");
    let renamed = root.child("renamed").expect("a name");
    door.rename(&clone, &renamed).expect("renamed");
    door.destroy(&renamed).expect("destroyed");
    door.hold(&[(origin.clone(), "tag")], None).expect("held");
    let error = door.destroy_snapshots([&origin], Destroy::Now).expect_err("held");
    assert!(error.to_string().contains("it is held by 'tag'"), "{error}");
    door.release(&[(origin.clone(), "tag")]).expect("released");
    let bookmark = child.bookmark("b").expect("a name");
    door.bookmark(&[(bookmark.clone(), origin.clone().into())]).expect("bookmarked");
    door.destroy_bookmarks([&bookmark]).expect("destroyed");
    door.rollback_to(&origin).expect("rolled back");
    door.destroy_snapshots(&taken, Destroy::Now).expect("destroyed");
}

fn a_subtree_hides_what_is_outside(world: &World) {
    let root = file_system(world, "tenant");
    let outside = file_system(world, "tenant2");
    let secret = snapshot(world.zfs(), &outside, "s");
    let door = subtree(world, &root);
    let absent = world.root().child("absent").expect("a name");
    for name in [&outside, &absent, &world.root(), &world.pool().root()] {
        assert!(!door.exists(name).expect("looked"), "{name}");
        let error = door.destroy(name).expect_err("outside");
        assert_eq!(
            error.to_string(),
            format!("cannot destroy '{name}': it does not exist (ENOENT)")
        );
    }
    let inside = root.snapshot("s").expect("a name");
    let error = door
        .snapshot([&inside, &outside.snapshot("t").expect("a name")], &plain())
        .expect_err("one is outside");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(error.failures().len(), 1, "{error}");
    assert!(!world.zfs().exists(&inside).expect("looked"), "all or nothing");
    let clone = root.child("clone").expect("a name");
    let errors = [
        door.create_clone(&clone, &secret, &plain()),
        door.rename(&file_system(world, "tenant/a"), &absent),
        door.hold(&[(secret.clone(), "tag")], None).map(drop),
    ];
    for outcome in errors {
        assert_eq!(outcome.expect_err("outside").kind(), ErrorKind::NotFound);
    }
    let pool = world.pool();
    let error = door.channel_program_nosync(&pool, &Program::new("return 1")).expect_err("beyond");
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("this door leads to"), "{error}");
}

fn a_subtree_conceals_origins_and_clones(world: &World) {
    let zfs = world.zfs();
    let outside = file_system(world, "outside");
    let origin = snapshot(zfs, &outside, "s");
    let root = file_system(world, "tenant");
    let clone = root.child("clone").expect("a name");
    zfs.create_clone(&clone, &origin, &plain()).expect("cloned");
    let door = subtree(world, &root);
    let error = door.promote(&clone).expect_err("its origin is outside");
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    let reply = |zfs: &Zfs, name: &str| {
        let mut cmd = Cmd::new(name);
        cmd.reply_max = 1 << 20;
        zfs.kernel().ioctl(Ioc::OBJSET_STATS, &mut cmd).expect("statistics");
        let text = String::from_utf8_lossy(cmd.reply()).into_owned();
        (text, cmd.objset_stats.origin)
    };
    assert_eq!(reply(zfs, clone.as_str()).1, origin.as_str());
    let (text, shown) = reply(&door, clone.as_str());
    assert_eq!(shown, "");
    assert!(!text.contains(outside.as_str()), "{text}");
    // And the other way round: the clones of a snapshot inside.
    let door = subtree(world, &outside);
    assert!(reply(zfs, origin.as_str()).0.contains(clone.as_str()));
    assert!(!reply(&door, origin.as_str()).0.contains(clone.as_str()));
}

fn an_observer_sees_names_and_outcomes(world: &World) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    let keep = world.root().child("keep").expect("a name");
    let kept = keep.clone();
    let observed = Observe::new(kernel(world))
        .before(move |call| match call {
            Call::Ioctl { ioc: Ioc::DESTROY, cmd } if cmd.name == kept.as_str() => {
                Err(Refused::new(Errno::EPERM, "it is to be kept"))
            }
            _ => Ok(()),
        })
        .after(move |call, outcome| {
            let line = format!("{call} {:?} {:?}", call.names().last(), outcome.result);
            log.lock().expect("the log").push(line);
        });
    let door = Zfs::new(observed);
    door.create_filesystem(&keep, &plain()).expect("created");
    let taken = snapshot(&door, &keep, "s");
    let error = door.destroy(&keep).expect_err("refused");
    assert_eq!(error.to_string(), format!("cannot destroy '{keep}': it is to be kept (EPERM)"));
    assert_eq!(
        *seen.lock().expect("the log"),
        [
            format!("ZFS_IOC_CREATE '{keep}' Some({keep:?}) Ok(())"),
            format!("ZFS_IOC_SNAPSHOT '{}' Some({taken:?}) Ok(())", world.pool()),
            format!("ZFS_IOC_DESTROY '{keep}' Some({keep:?}) Err(EPERM)"),
        ]
    );
}

fn a_lost_answer_is_found_out_by_asking_again(world: &World) {
    let rule = FaultRule::new(Errno::EINTR).ioc(Ioc::CREATE).nth(1).after();
    let door = Zfs::new(Fault::new(kernel(world)).rule(rule));
    let dataset = world.root().child("a").expect("a name");
    let error = door.create_filesystem(&dataset, &plain()).expect_err("the answer was lost");
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(error.to_string().contains("a fault was injected after the call"), "{error}");
    let error = door.create_filesystem(&dataset, &plain()).expect_err("it was carried out");
    assert_eq!(error.kind(), ErrorKind::Exists);
}

fn an_errno_nobody_knows_comes_through_as_it_is(world: &World) {
    let dataset = file_system(world, "a");
    let rule = FaultRule::new(Errno(4000)).ioc(Ioc::DESTROY);
    let door = Zfs::new(Fault::new(kernel(world)).rule(rule));
    let error = door.destroy(&dataset).expect_err("the fault");
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Other, Some(Errno(4000))));
}

/// Carries everything out, and spoils the replies.
#[derive(Debug)]
struct Garbled(Arc<dyn Kernel>);

impl Kernel for Garbled {
    fn ioctl(&self, ioc: Ioc, cmd: &mut Cmd) -> Result<(), Errno> {
        self.0.ioctl(ioc, cmd)?;
        let half = cmd.reply().len() / 2;
        let part = cmd.reply()[..half].to_vec();
        cmd.put_reply(&part)
    }

    fn host(&self) -> &dyn Host {
        self.0.host()
    }
}

fn a_reply_that_cannot_be_read_is_no_answer(world: &World) {
    let taken = snapshot(world.zfs(), &file_system(world, "a"), "s");
    world.zfs().hold(&[(taken.clone(), "tag")], None).expect("held");
    let door = Zfs::new(Garbled(kernel(world)));
    for error in [
        door.holds(&taken).expect_err("half a list"),
        door.properties(&taken).expect_err("half a list"),
        door.pool_status(&world.pool()).expect_err("half a list"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert!(error.to_string().contains(error.target().expect("its name")), "{error}");
    }
}

/// A recording that the case can read afterwards.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<u8>>>);

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the tape").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn a_recording_replays_without_the_kernel(world: &World) {
    let tape = Tape::default();
    let work = |zfs: &Zfs| {
        let dataset = world.root().child("a").expect("a name");
        let mut lines = vec![zfs.module().version.to_string()];
        zfs.create_filesystem(&dataset, &plain()).expect("created");
        let taken = snapshot(zfs, &dataset, "s");
        zfs.hold(&[(taken.clone(), "tag")], None).expect("held");
        lines.push(format!("{:?}", zfs.holds(&taken)));
        lines.push(format!("{:?}", zfs.destroy(&dataset)));
        lines.push(format!("{:?}", zfs.destroy_snapshots([&taken], Destroy::Now)));
        lines.push(format!("{:?}", zfs.exists(&dataset)));
        lines
    };
    let recorder = Arc::new(Record::new(kernel(world), tape.clone()).expect("a recording"));
    let played = work(&Zfs::from_shared(recorder.clone()));
    recorder.finish().expect("recorded");
    let bytes = tape.0.lock().expect("the tape").clone();
    let replay = Arc::new(Replay::read(&*bytes, Order::Strict).expect("a recording"));
    assert_eq!(work(&Zfs::from_shared(replay.clone())), played);
    assert_eq!((replay.left(), replay.mismatch()), (0, None));
}

fn doors_chain(world: &World) {
    let root = file_system(world, "tenant");
    let subtree = Arc::new(Subtree::new(kernel(world), root.clone()));
    let door = Zfs::new(ReadOnly::new(subtree));
    assert!(door.exists(&root).expect("looked"));
    assert!(!door.exists(&world.root()).expect("looked"));
    assert_eq!(door.destroy(&root).expect_err("refused").kind(), ErrorKind::ReadOnly);
}
