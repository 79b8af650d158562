//! Crash enumeration: everything that moves a volume is interrupted at every point, put right, and done again.
//!
//! Two nodes are two processes with a connection between them. One of them dies before or after each of its ioctls, or in the middle of a
//! stream; or a message is lost on its way there or back. The same over connections that carry the protocol's frames: one of the two dies, or the connection is
//! lost, before and after each of them. Programs go on writing where they can. Then the processes are started again, both nodes
//! or only one recover, in either order, and what was interrupted is done again. After every step it is checked that at most one copy can be
//! written at an epoch, that epochs only grow, and that nothing that was written is missing; and at the end that nothing is left over.
//!
//! | file | what |
//! |---|---|
//! | `scenario.rs` | what is interrupted |
//! | `stage.rs` | the two nodes, what was written, and what each copy has of it |
//! | `mortal.rs` | a process that dies |
//! | `wire.rs` | a connection on which messages are lost |
//! | `frames.rs` | connections as they are in earnest, which end at any frame |
//! | `check.rs` | what must be true |
//! | `ground.rs` | the kernels below |
//! | `power.rs` | the same with the power cut, on real OpenZFS |

mod check;
mod frames;
mod ground;
mod mortal;
pub mod power;
mod report;
mod scenario;
mod stage;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use zfsvol_core::Result;
use zfsvol_core::volume::peer::Direction;

use check::{Finding, FindingKind, Seen};
use frames::AtFrame;
use ground::Ground;
pub use report::Report;
use scenario::{Scenario, push_by_owner, recover_side};
use stage::{Kind, Side, Stage};
use wire::{Cut, Mishap};

/// What happens in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// A process dies at one of its ioctls.
    Ioctl {
        /// Which process.
        side: Side,
        /// At which ioctl; the first is 1.
        nth: u64,
        /// After it.
        after: bool,
    },
    /// Something happens to the connection.
    Wire(Mishap),
    /// A process dies, or the connection is lost, at a frame of the protocol.
    Frame(AtFrame),
}

/// The points by what they are at, and the runs in which somebody dies twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A process dies at one of its ioctls.
    Ioctl,
    /// A message is lost, or a stream breaks off.
    Message,
    /// A process dies, or the connection is lost, at a frame of the protocol.
    Frame,
    /// Any of these, and a process dies again while it is put right.
    Twice,
}

/// Who recovers, in which order.
const ORDERS: [&[Side]; 4] =
    [&[Side::Here, Side::There], &[Side::There, Side::Here], &[Side::Here], &[Side::There]];

/// One run: what is done, what happens, and what happens while that is put right.
#[derive(Clone, Copy, Debug)]
struct Run {
    scenario: usize,
    kind: Kind,
    point: Point,
    order: usize,
    /// A second death, in the first recovery.
    second: Option<Point>,
}

impl Run {
    fn class(&self) -> Class {
        match self.point {
            _ if self.second.is_some() => Class::Twice,
            Point::Ioctl { .. } => Class::Ioctl,
            Point::Wire(_) => Class::Message,
            Point::Frame(_) => Class::Frame,
        }
    }
}

/// What to try.
#[derive(Clone, Debug)]
pub struct Options {
    /// On the loaded module, and not on a kernel in this process.
    pub on_module: bool,
    /// Only scenarios whose name contains this.
    pub filter: String,
    /// Only points at this.
    pub only: Option<Class>,
    /// At most so many runs, chosen by the seed; everything if there is no limit.
    pub sample: Option<usize>,
    /// So many more runs in which somebody dies a second time, while what happened is put right.
    pub twice: usize,
    /// What chooses.
    pub seed: u64,
    /// So many runs at the same time, where each has a kernel of its own.
    pub threads: usize,
}

/// Tries every point, and says what was found.
///
/// # Errors
/// There is no kernel to try it on.
pub fn run(options: &Options) -> Result<Report> {
    let ground = if options.on_module { Ground::module()? } else { Ground::Embedded };
    let mut runs = Vec::new();
    for (scenario, found) in scenario::ALL.iter().enumerate() {
        if found.name.contains(&options.filter) {
            for kind in Kind::ALL {
                runs.extend(runs_of(&ground, scenario, kind));
            }
        }
    }
    runs.retain(|run: &Run| options.only.is_none_or(|only| only == run.class()));
    let mut report = Report::default();
    runs.iter().for_each(|run| report.expect(run.class()));
    let mut chance = Chance(options.seed);
    let mut again = Vec::new();
    if !runs.is_empty() {
        for _ in 0..options.twice {
            let run = runs[chance.below(runs.len())];
            again.push(twice(run, &mut chance));
        }
    }
    if let Some(most) = options.sample {
        chance.choose(&mut runs, most);
    }
    let threads = if options.on_module { 1 } else { options.threads };
    again.iter().for_each(|run| report.expect(run.class()));
    runs.extend(again);
    let report = try_all(&ground, &runs, threads, report);
    ground.close();
    Ok(report)
}

/// All runs of a scenario: it is done once with nothing happening, to see where something could.
fn runs_of(ground: &Ground, scenario: usize, kind: Kind) -> Vec<Run> {
    let what = &scenario::ALL[scenario];
    let places = ground.places();
    let mut stage = Stage::new(places.clone(), kind);
    what.prepare(&mut stage);
    stage.arm(None);
    what.act(&stage).unwrap_or_else(|error| panic!("{} of {kind:?}: {error}", what.name));
    let (calls, messages) = stage.trace();
    drop(stage);
    ground.clear(&places);
    let mut points = Vec::new();
    for side in Side::BOTH {
        for nth in 1..=calls[side as usize] {
            points.extend([false, true].map(|after| Point::Ioctl { side, nth, after }));
        }
    }
    for (nth, stream) in messages.into_iter().enumerate() {
        for (answer, for_good) in [(false, false), (false, true), (true, false), (true, true)] {
            points.push(Point::Wire(Mishap::Message { nth, answer, for_good }));
        }
        let Some(length) = stream else { continue };
        for bytes in
            [0, 1, 312, length / 2, length.saturating_sub(312), length.saturating_sub(1), length]
        {
            for who in [Cut::Wire, Cut::Sender, Cut::Receiver] {
                points.push(Point::Wire(Mishap::Stream { nth, bytes, who }));
            }
        }
    }
    points.extend(at_frames(ground, what, kind));
    let orders = 0..ORDERS.len();
    let with_orders =
        |point| orders.clone().map(move |order| Run { scenario, kind, point, order, second: None });
    points.into_iter().flat_map(with_orders).collect()
}

/// What can happen at the frames of a scenario: it is done once more, over connections.
fn at_frames(ground: &Ground, what: &Scenario, kind: Kind) -> Vec<Point> {
    let places = ground.places();
    let mut stage = Stage::new(places.clone(), kind);
    what.prepare(&mut stage);
    stage.talk_in_frames();
    stage.arm(None);
    what.act(&stage).unwrap_or_else(|error| panic!("{} of {kind:?}: {error}", what.name));
    stage.hang_up();
    let frames = stage.frames();
    drop(stage);
    ground.clear(&places);
    let mut points = Vec::new();
    for side in Side::BOTH {
        for direction in [Direction::Sent, Direction::Received] {
            for nth in 1..=frames[side as usize][direction as usize] {
                for (after, dies) in [(false, false), (true, false), (false, true), (true, true)] {
                    // Who dies when a frame has come did nothing yet because of it.
                    if !(direction == Direction::Received && after && dies) {
                        points.push(Point::Frame(AtFrame { side, direction, nth, after, dies }));
                    }
                }
            }
        }
    }
    points
}

/// The same run, in which somebody dies again while the first recovers.
fn twice(run: Run, chance: &mut Chance) -> Run {
    /// A recovery has hardly more ioctls, and frames; where it has fewer nobody dies.
    const CALLS_MAX: usize = 40;
    const FRAMES_MAX: usize = 12;
    let (side, after) = (Side::BOTH[chance.below(2)], chance.below(2) == 1);
    let second = if run.class() == Class::Frame && chance.below(2) == 1 {
        let direction = [Direction::Sent, Direction::Received][chance.below(2)];
        let nth = chance.below(FRAMES_MAX) as u64 + 1;
        Point::Frame(AtFrame { side, direction, nth, after, dies: chance.below(2) == 1 })
    } else {
        Point::Ioctl { side, nth: chance.below(CALLS_MAX) as u64 + 1, after }
    };
    Run { second: Some(second), ..run }
}

fn try_all(ground: &Ground, runs: &[Run], threads: usize, report: Report) -> Report {
    let next = AtomicUsize::new(0);
    let report = Mutex::new(report);
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = try_one(ground, run);
                    let what = (scenario::ALL[run.scenario].name, run.kind);
                    let mut report = report.lock().expect("not poisoned");
                    report.add(run.class(), what, &told(run), outcome);
                }
            });
        }
    });
    report.into_inner().expect("not poisoned")
}

fn told(run: &Run) -> String {
    let Run { scenario, kind, point, order, second } = run;
    let name = scenario::ALL[*scenario].name;
    let second = second.map_or_else(String::new, |second| format!(", then {second:?}"));
    format!("{name} {kind:?}: {point:?}{second}, recovered {:?}", ORDERS[*order])
}

/// What came of a run: whether its point was reached, and what is wrong, if anything is.
#[derive(Debug)]
struct Outcome {
    is_reached: bool,
    finding: Option<Finding>,
}

/// One run.
fn try_one(ground: &Ground, run: &Run) -> Outcome {
    let places = ground.places();
    let mut is_reached = false;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut stage = Stage::new(places.clone(), run.kind);
        play(&mut stage, run, &mut is_reached)
    }));
    let finding = match outcome {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref().copied()).unwrap_or("a panic");
            Some(Finding::new(FindingKind::Unfinished, text))
        }
    };
    ground.clear(&places);
    Outcome { is_reached, finding }
}

fn play(stage: &mut Stage, run: &Run, is_reached: &mut bool) -> Result<(), Finding> {
    let scenario = &scenario::ALL[run.scenario];
    let seen = &mut Seen::default();
    scenario.prepare(stage);
    owe(stage, scenario);
    check::always(stage, scenario, seen)?;

    if matches!(run.point, Point::Frame(_)) {
        stage.talk_in_frames();
    }
    stage.arm(Some(run.point));
    // How it ended does not matter: what is on disk does.
    let _interrupted = scenario.act(stage);
    stage.hang_up();
    *is_reached = stage.is_past(run.point);
    check::always(stage, scenario, seen)?;
    go_on_writing(stage);
    if let Some(second) = run.second {
        stage.restart();
        stage.arm(Some(second));
        for side in ORDERS[run.order] {
            let _interrupted = recover_side(stage, *side);
        }
        stage.hang_up();
        check::always(stage, scenario, seen)?;
    }
    stage.restart();
    for side in ORDERS[run.order] {
        put_right(stage, *side)?;
        check::always(stage, scenario, seen)?;
    }
    go_on_writing(stage);
    check::always(stage, scenario, seen)?;
    // Who did not recover at once does so before anything is done anew.
    for side in Side::BOTH {
        put_right(stage, side)?;
    }
    owe(stage, scenario);
    let retried = scenario.act(stage);
    check::always(stage, scenario, seen)?;
    retried.map_err(|error| Finding::new(FindingKind::Unfinished, format!("again: {error}")))?;
    // Who was told nothing is told now.
    for side in Side::BOTH {
        put_right(stage, side)?;
    }
    check::always(stage, scenario, seen)?;
    check::is_done(stage, scenario)?;
    // What the next increment needs is there, and nothing else.
    push_by_owner(stage, scenario.owner)
        .map_err(|error| Finding::new(FindingKind::Unfinished, format!("pushed: {error}")))?;
    check::always(stage, scenario, seen)?;
    check::at_the_end(stage, scenario)
}

/// Of a takeover it is known that what was not pushed is not with the new owner.
fn owe(stage: &mut Stage, scenario: &Scenario) {
    if scenario.is_takeover {
        stage.only_pushed_is_owed();
    }
}

/// Programs write on, wherever they can.
fn go_on_writing(stage: &mut Stage) {
    for side in Side::BOTH {
        stage.write(side);
    }
}

fn put_right(stage: &Stage, side: Side) -> Result<(), Finding> {
    recover_side(stage, side)
        .map_err(|error| Finding::new(FindingKind::Unfinished, format!("{side:?}: {error}")))
}

/// Numbers that look random and follow from a seed: xorshift (Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        let mut x = self.0 | 1;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0 = x;
        usize::try_from(x >> 11).unwrap_or(usize::MAX) % bound.max(1)
    }

    /// Leaves so many, in their order.
    fn choose<T>(&mut self, items: &mut Vec<T>, most: usize) {
        let mut left = items.len();
        let mut wanted = most;
        items.retain(|_| {
            let is_chosen = self.below(left) < wanted;
            left -= 1;
            wanted -= usize::from(is_chosen);
            is_chosen
        });
    }
}
