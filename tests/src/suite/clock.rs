//! A clock that jumps, by decades, forth and back: no order and no decision but those of a calendar hang on it. The area `wire` runs the moves over connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};
use zfsvol_core::embedded::Embedded;
use zfsvol_core::volume::retention::Reason;
use zfsvol_core::volume::{Bandwidth, Node, Peer, PushOptions, Recovered, Retention};
use zfsvol_core::{Bytes, DatasetName, Zfs};

use super::push::{HERE, MIB, Mishap, THERE, Unlucky, disk, handoff, push, read, write};
use crate::volume::noise;
use crate::{Case, Need, World, case};

pub(super) fn moves() -> Vec<Case> {
    vec![
        case(a_clock_that_jumps_changes_nothing_of_a_move).needs(Need::Clock),
        case(a_clock_that_jumps_while_a_push_goes_on_is_not_waited_for).needs(Need::Clock),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = moves();
    cases.push(
        case(a_policy_keeps_the_last_that_were_taken_whatever_the_clock_said).needs(Need::Clock),
    );
    cases
}

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// 2026-11-02 00:00 UTC.
const NOVEMBER: i64 = 1_793_577_600;
/// 2096-10-02, and 1970-01-12: a clock of Linux is not set to before the machine started.
const FAR: i64 = 4_000_000_000;
const EARLY: i64 = 1_000_000;
/// How long a case may take until what it does is done.
const PATIENCE: i64 = 15 * 60;

/// A kernel whose clock is the case's to set: the machine's own, which is put back, or that of a kernel in this process.
struct Clock {
    zfs: Zfs,
    root: DatasetName,
    embedded: Option<Arc<AtomicI64>>,
    /// The time when it began, and when that was by a clock that does not jump.
    began: (TimeSpec, Instant),
}

impl Clock {
    fn new(world: &World) -> Self {
        let now = clock_gettime(ClockId::CLOCK_REALTIME).expect("a clock");
        let began = (now, Instant::now());
        if world.is_real_module() {
            return Self { zfs: world.zfs().clone(), root: world.root(), embedded: None, began };
        }
        let seconds = Arc::new(AtomicI64::new(NOVEMBER));
        let shown = Arc::clone(&seconds);
        let kernel = Embedded::builder()
            .pool("tank", Bytes::from_gib(1))
            .clock(move || {
                let seconds = u64::try_from(shown.load(Ordering::Relaxed)).expect("after 1970");
                UNIX_EPOCH + Duration::from_secs(seconds)
            })
            .build();
        let root = "tank".parse().expect("a name");
        Self { zfs: Zfs::new(kernel), root, embedded: Some(seconds), began }
    }

    fn set(&self, seconds: i64) {
        match &self.embedded {
            Some(shown) => shown.store(seconds, Ordering::Relaxed),
            None => set_machine(TimeSpec::new(seconds, 0)),
        }
    }

    fn node(&self, root: &str, id: zfsvol_core::volume::Uuid) -> Node {
        let root = self.root.child(root).expect("a name");
        Node::open(self.zfs.clone(), root, id).expect("a node")
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        if self.embedded.is_none() {
            let (time, then) = self.began;
            set_machine(time + TimeSpec::from_duration(then.elapsed()));
        }
    }
}

fn set_machine(time: TimeSpec) {
    clock_settime(ClockId::CLOCK_REALTIME, time).expect("the clock is set");
}

/// When the newest snapshot of a volume was taken, by the clock of then.
fn created(node: &Node, volume: &zfsvol_core::volume::VolumeName) -> i64 {
    node.snapshots(volume).expect("listed").last().expect("a snapshot").created
}

#[track_caller]
fn assert_about(time: i64, expected: i64) {
    assert!((expected..expected + PATIENCE).contains(&time), "{time} is not about {expected}");
}

fn names(node: &Node, volume: &zfsvol_core::volume::VolumeName) -> Vec<String> {
    node.snapshots(volume).expect("listed").into_iter().map(|one| one.name).collect()
}

fn a_clock_that_jumps_changes_nothing_of_a_move(world: &World) {
    let clock = Clock::new(world);
    let nodes = [clock.node("here", HERE), clock.node("there", THERE)];
    let peers = [world.peer(THERE, &nodes[0]), world.peer(HERE, &nodes[1])];
    clock.set(FAR);
    let volume = disk(&nodes[0], "db");
    let mut taken = Vec::new();
    for (round, times) in
        [[FAR, EARLY, NOVEMBER], [NOVEMBER + DAY, FAR + 1, EARLY]].iter().enumerate()
    {
        let (from, to) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
        let to_peer = &peers[(round + 1) % 2];
        for (n, time) in times.iter().enumerate() {
            clock.set(*time);
            let data = noise(taken.len() as u64 + 1, 4 * MIB);
            write(from, &volume, 0, &data);
            taken.push(format!("s{round}-{n}"));
            from.snapshot(&volume, &taken[taken.len() - 1]).expect("taken");
            assert_about(created(from, &volume), *time);
            // What breaks off at one time goes on at another.
            let unlucky: Arc<dyn Peer> = Unlucky::new(to_peer, Mishap::Cut(2 << 20));
            push(from, &volume, &unlucky).expect_err("it was cut");
            clock.set(if *time < FAR { FAR } else { EARLY });
            let pushed = push(from, &volume, to_peer).expect("pushed");
            assert_eq!(pushed.sent[..1], taken[taken.len() - 1..]);
            assert!(read(to, &volume, 0, 4 * MIB) == data);
            // It is the owner's word when one was taken.
            assert_about(created(to, &volume), *time);
        }
        assert_eq!((names(from, &volume), names(to, &volume)), (taken.clone(), taken.clone()));
        handoff(from, &volume, to_peer).expect("handed over");
    }
    // A takeover, and what the old owner had alone.
    write(&nodes[0], &volume, 0, b"lost?");
    clock.set(EARLY);
    nodes[1].takeover(&volume).expect("taken over");
    clock.set(FAR);
    let recovered = nodes[0].recover(&volume, &*peers[1]).expect("recovered");
    assert!(matches!(recovered, Recovered::Superseded { set_aside: Some(_) }), "{recovered:?}");
    clock.set(NOVEMBER);
    handoff(&nodes[1], &volume, &peers[0]).expect("handed back");
    assert_eq!(names(&nodes[0], &volume), taken);
    let ownership = nodes[0].get(&volume).expect("looked at").expect("there").ownership;
    assert_eq!((ownership.owner, ownership.epoch), (HERE, 5));
}

fn a_clock_that_jumps_while_a_push_goes_on_is_not_waited_for(world: &World) {
    let clock = Clock::new(world);
    let (here, there) = (clock.node("here", HERE), clock.node("there", THERE));
    let peer = world.peer(HERE, &there);
    let volume = disk(&here, "db");
    let data = noise(1, 4 * MIB);
    write(&here, &volume, 0, &data);
    let slow = PushOptions::new().bandwidth(&Bandwidth::new(Bytes::from_mib(4)));
    let job = here.push(&volume, &peer, &slow).expect("a job");
    let mut jumps = [FAR, EARLY, NOVEMBER].into_iter().cycle();
    let mut jumped = 0;
    while !job.wait_for(Duration::from_millis(50)) {
        clock.set(jumps.next().expect("without end"));
        jumped += 1;
    }
    job.wait().expect("pushed");
    assert!(jumped > 3, "the push was over before the clock had jumped");
    assert!(read(&there, &volume, 0, 4 * MIB) == data);
}

fn a_policy_keeps_the_last_that_were_taken_whatever_the_clock_said(world: &World) {
    let clock = Clock::new(world);
    let (here, there) = (clock.node("here", HERE), clock.node("there", THERE));
    let volume = disk(&here, "db");
    let noon = NOVEMBER + 12 * HOUR;
    // Of a Monday, of far ahead and long ago, of that Monday again, and of the day after.
    let times = [noon, FAR, EARLY, noon + HOUR, FAR + HOUR, noon + 2 * HOUR, noon + DAY];
    for (n, time) in times.into_iter().enumerate() {
        clock.set(time);
        here.snapshot(&volume, &format!("s{n}")).expect("taken");
        assert_about(created(&here, &volume), time);
    }
    push(&here, &volume, &world.peer(HERE, &there)).expect("pushed");
    // The last of each of the days that were seen last: whenever it is asked, and on both nodes.
    let policy = Retention { daily: 3, ..Retention::default() };
    let kept = ["s4", "s5", "s6"];
    for now in [EARLY, FAR + DAY, NOVEMBER] {
        clock.set(now);
        for node in [&here, &there] {
            let retained = node.retain(&volume, &policy).expect("applied");
            assert_eq!(retained.kept, kept.map(|name| (name.to_owned(), vec![Reason::Daily])));
            assert_eq!(names(node, &volume), kept);
        }
    }
    // The newest is the one that was taken last, and not the one of the latest time.
    let last = Retention { last: 1, ..Retention::default() };
    here.retain(&volume, &last).expect("applied");
    assert_eq!(names(&here, &volume), ["s6"]);
}
