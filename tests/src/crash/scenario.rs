//! [`Scenario`]: what is being done when somebody dies. Each is a script that can be run again from its beginning, as an orchestrator's would be.

use zfsvol_core::Error;
use zfsvol_core::property::PropertySet;
use zfsvol_core::volume::{PushOptions, VolumeName};

use super::Point;
use super::stage::{Kind, Side, Stage, volume};
use super::wire::{Cut, Mishap};

/// What is done, and when it is done.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// What was before.
    prepare: fn(&mut Stage),
    /// What is interrupted, and run again.
    act: fn(&Stage) -> Result<(), Error>,
    /// Who owns the volume at the end.
    pub(super) owner: Side,
    /// Whether the old owner is told nothing at first, so that two may write at different epochs.
    pub(super) is_takeover: bool,
}

impl Scenario {
    pub(super) fn prepare(&self, stage: &mut Stage) {
        (self.prepare)(stage);
    }

    pub(super) fn act(&self, stage: &Stage) -> Result<(), Error> {
        (self.act)(stage)
    }

    const fn new(
        name: &'static str,
        prepare: fn(&mut Stage),
        act: fn(&Stage) -> Result<(), Error>,
        owner: Side,
    ) -> Self {
        Self { name, prepare, act, owner, is_takeover: false }
    }

    const fn takeover(mut self) -> Self {
        self.is_takeover = true;
        self
    }
}

use Side::{Here, There};

/// Every scenario.
pub(super) const ALL: &[Scenario] = &[
    Scenario::new("push_first", written, push, Here),
    Scenario::new("push_increment", pushed_and_written, push, Here),
    Scenario::new("push_resumed", push_cut, push, Here),
    Scenario::new("push_resumed_increment", increment_cut, push, Here),
    Scenario::new("push_from_bookmark", base_gone, push, Here),
    Scenario::new("push_nothing", pushed, push, Here),
    Scenario::new("push_after_rollback", rolled_back, push, Here),
    Scenario::new("push_resumed_after_rollback", rolled_back_and_cut, push, Here),
    Scenario::new(
        "push_after_replica_destroyed",
        pushed_and_written,
        destroy_replica_and_push,
        Here,
    ),
    Scenario::new("push_after_half_a_replica_destroyed", push_cut, destroy_replica_and_push, Here),
    Scenario::new("handoff_first", written, handoff, There),
    Scenario::new("handoff", pushed_and_written, handoff, There),
    Scenario::new("handback", handed_over, handback, Here),
    Scenario::new("takeover", pushed_and_written, takeover, There).takeover(),
    Scenario::new("takeover_with_half_a_push", increment_cut, takeover, There).takeover(),
    Scenario::new("takeover_of_what_is_leaving", left_and_gone, takeover_and_recover, There)
        .takeover(),
    Scenario::new("recover_diverged", taken_over_and_written, recover, There).takeover(),
    Scenario::new("recover_same", taken_over, recover, There).takeover(),
    Scenario::new("failback", taken_over_and_written, failback, Here).takeover(),
    Scenario::new("failback_same", taken_over, failback, Here).takeover(),
    Scenario::new("clone", pushed_and_written, clone, Here),
    Scenario::new("clone_of_snapshot", pushed_and_written, clone_of_snapshot, Here),
];

fn written(stage: &mut Stage) {
    stage.write(Here);
    stage.eye(Here).snapshot(&volume(), "kept").expect("taken");
    stage.write(Here);
}

fn pushed(stage: &mut Stage) {
    written(stage);
    push(stage).expect("pushed");
}

fn pushed_and_written(stage: &mut Stage) {
    pushed(stage);
    stage.write(Here);
    stage.eye(Here).snapshot(&volume(), "later").expect("taken");
    stage.write(Here);
}

fn push_cut(stage: &mut Stage) {
    written(stage);
    cut(stage, 2_000);
}

fn increment_cut(stage: &mut Stage) {
    pushed_and_written(stage);
    // What is between two snapshots of the same is little more than a beginning and an end.
    cut(stage, if stage.kind == Kind::Disk { 2_000 } else { 400 });
}

/// A push that breaks off after so many bytes of its first stream.
fn cut(stage: &mut Stage, bytes: u64) {
    // The first message looks, the second brings the stream.
    let mishap = Mishap::Stream { nth: 1, bytes, who: Cut::Wire };
    stage.arm(Some(Point::Wire(mishap)));
    push(stage).expect_err("it was cut");
    stage.restart();
}

fn base_gone(stage: &mut Stage) {
    pushed_and_written(stage);
    let eye = stage.eye(Here);
    let dataset = eye.dataset(&volume()).expect("a name");
    for snapshot in stage.snapshots(Here, &dataset) {
        if snapshot.starts_with("zfsvol-") {
            let snapshot = dataset.snapshot(&snapshot).expect("a name");
            let tag = format!("zfsvol:push:{}", There.id());
            eye.zfs().release(&[(snapshot.clone(), &tag)]).expect("released");
            eye.zfs().destroy_snapshots([&snapshot], Default::default()).expect("destroyed");
        }
    }
}

/// The owner was taken back to before what was pushed last; the other copy has that.
fn rolled_back(stage: &mut Stage) {
    pushed(stage);
    // Where writes are snapshots, they are somebody's, and stay in the way.
    if stage.kind == Kind::Disk {
        stage.eye(Here).rollback(&volume(), "kept").expect("rolled back");
        stage.only_what_is_here_is_owed();
    }
    stage.write(Here);
}

fn rolled_back_and_cut(stage: &mut Stage) {
    rolled_back(stage);
    cut(stage, if stage.kind == Kind::Disk { 2_000 } else { 400 });
}

fn handed_over(stage: &mut Stage) {
    pushed_and_written(stage);
    handoff(stage).expect("handed over");
    stage.write(There);
}

/// The owner died in a handoff, when nothing could be written any more and the rest was not pushed.
fn left_and_gone(stage: &mut Stage) {
    pushed_and_written(stage);
    let leaving = PropertySet::new()
        .with("zfsvol:state", format!("leaving {} 2", There.id()))
        .and_then(|set| set.with("readonly", true))
        .expect("properties");
    let eye = stage.eye(Here);
    let dataset = eye.dataset(&volume()).expect("a name");
    eye.zfs().set_properties(&dataset, &leaving).expect("set");
}

fn taken_over(stage: &mut Stage) {
    pushed(stage);
    takeover(stage).expect("taken over");
    stage.write(There);
}

fn taken_over_and_written(stage: &mut Stage) {
    pushed_and_written(stage);
    stage.only_pushed_is_owed();
    takeover(stage).expect("taken over");
    stage.write(There);
    stage.write(Here);
}

fn push(stage: &Stage) -> Result<(), Error> {
    let options = PushOptions::new();
    stage.node(Here).push(&volume(), stage.link(There), &options)?.wait().map(drop)
}

/// The other copy goes, and is made anew.
fn destroy_replica_and_push(stage: &Stage) -> Result<(), Error> {
    stage.node(There).destroy_replica(&volume())?;
    push(stage)
}

fn handoff(stage: &Stage) -> Result<(), Error> {
    if stage.is_owner(There) && !stage.is_owner(Here) {
        // The old owner may not know yet.
        return recover_side(stage, Here);
    }
    let options = PushOptions::new();
    stage.node(Here).handoff(&volume(), stage.link(There), &options)?.wait().map(drop)
}

fn handback(stage: &Stage) -> Result<(), Error> {
    if stage.is_owner(Here) && !stage.is_owner(There) {
        return recover_side(stage, There);
    }
    let options = PushOptions::new();
    stage.node(There).handoff(&volume(), stage.link(Here), &options)?.wait().map(drop)
}

fn takeover(stage: &Stage) -> Result<(), Error> {
    if stage.is_owner(There) {
        return Ok(());
    }
    stage.node(There).takeover(&volume()).map(drop)
}

fn takeover_and_recover(stage: &Stage) -> Result<(), Error> {
    takeover(stage)?;
    recover(stage)
}

fn recover(stage: &Stage) -> Result<(), Error> {
    recover_side(stage, Here)
}

fn failback(stage: &Stage) -> Result<(), Error> {
    recover(stage)?;
    handback(stage)
}

fn clone(stage: &Stage) -> Result<(), Error> {
    clone_from(stage, None)
}

fn clone_of_snapshot(stage: &Stage) -> Result<(), Error> {
    clone_from(stage, Some("kept"))
}

fn clone_from(stage: &Stage, snapshot: Option<&str>) -> Result<(), Error> {
    let to: VolumeName = "clone".parse().expect("a name");
    if stage.node(Here).get(&to)?.is_some() {
        return Ok(());
    }
    stage.node(Here).clone_volume(&volume(), snapshot, &to).map(drop)
}

/// The owner, whoever that is, brings the other one up to date.
pub(super) fn push_by_owner(stage: &Stage, owner: Side) -> Result<(), Error> {
    let options = PushOptions::new();
    stage.node(owner).push(&volume(), stage.link(owner.other()), &options)?.wait().map(drop)
}

/// Everything that a node has is put right, whatever it is called by now.
pub(super) fn recover_side(stage: &Stage, side: Side) -> Result<(), Error> {
    let node = stage.node(side);
    for found in node.list()?.volumes {
        node.recover(&found.name, &**stage.link(side.other()))?;
    }
    Ok(())
}
