//! The embedded kernel beside the module: one long random sequence of requests to both, and the same answers from both.
//!
//! After each step the answers are compared (errno, error list, outcome, the records of a stream), and from time to time everything there is:
//! the whole tree with its properties and their sources, holds, bookmarks, clones, resume tokens. A sequence that shows a difference is made short
//! and printed as the body of a case.
//!
//! | module | what it holds |
//! |---|---|
//! | [`step`] | what can be asked |
//! | `generate` | random steps, from a seed |
//! | `side` | how a step is carried out on one kernel, and what it answers |
//! | `stream` | what of a stream must be alike |
//! | `compare` | what of everything must be alike |
//! | `shrink` | from a long sequence to a short one |

mod compare;
mod generate;
mod shrink;
mod side;
pub mod step;
mod stream;

use std::fmt::Write;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use zfsvol_core::embedded::{Embedded, Release};
use zfsvol_core::{Bytes, PoolName, Zfs};

use crate::World;
use crate::world::{create_pool, destroy_pool};
use generate::Generator;
use side::{NO_DEVICE, Side};
use step::Step;

/// Steps after which both begin again with empty pools, so that what is found is found again from no more than these.
const LAP: u64 = 1000;
/// Steps between two looks at everything.
const LOOK_EVERY: u64 = 20;
/// Differences that end a run.
const DIFFERENCES_MAX: usize = 24;
/// How large the pools are.
const POOL_SIZE: Bytes = Bytes::from_gib(2);
/// How often a request is put again that the module alone refuses as busy: it makes and removes devices of zvols at its own pace.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// How long to go on.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What the sequence follows from.
    pub seed: u64,
    /// How many steps.
    pub steps: u64,
    /// Prints each step before it is taken: the last one is to blame if the module does not survive it.
    pub tell: bool,
}

/// Runs the sequence, and prints each difference with the shortest sequence that shows it. Answers how many steps it were, and what kinds of
/// differences there are.
pub fn run(world: &World, plan: Plan) -> (u64, Vec<String>) {
    let lab = Lab::new(world);
    let start = Instant::now();
    let (mut done, mut lap) = (0, 0);
    let mut seen: Vec<String> = Vec::new();
    while done < plan.steps && seen.len() < DIFFERENCES_MAX {
        let mut generator = Generator::new(plan.seed, lap);
        let mut pair = lab.pair();
        let mut steps = Vec::new();
        let mut difference = None;
        while difference.is_none() && done < plan.steps {
            let step = generator.step();
            if plan.tell {
                eprintln!("{step}");
            }
            done += 1;
            steps.push(step);
            let count = steps.len() as u64;
            difference = pair.step(&steps[steps.len() - 1]);
            if difference.is_none()
                && !pair.is_over
                && (count % LOOK_EVERY == 0 || done == plan.steps)
            {
                difference = pair.look();
            }
            if count == LAP || pair.is_over {
                break;
            }
        }
        drop(pair);
        if let Some(found) = difference {
            eprintln!("seed {}, lap {lap}, step {}: {}", plan.seed, steps.len(), found.text);
            if !seen.contains(&found.signature) {
                lab.report(&steps, &found, (plan.seed, lap));
                seen.push(found.signature);
            }
        }
        lap += 1;
        let rate = done as f64 / start.elapsed().as_secs_f64();
        eprintln!(
            "seed {}: {done} steps, {rate:.0} a second, {} differences",
            plan.seed,
            seen.len()
        );
    }
    (done, seen)
}

/// Carries out these steps on both kernels, and panics where they differ: for sequences that once did.
pub fn assert_alike(world: &World, steps: &[Step]) {
    let lab = Lab::new(world);
    if let Some(difference) = lab.difference(steps) {
        panic!("{}", difference.text);
    }
}

/// Where the two differ.
#[derive(Debug)]
struct Difference {
    /// The same for differences of the same kind.
    signature: String,
    text: String,
}

/// Where pairs of kernels come from.
struct Lab<'a> {
    world: &'a World,
    release: Release,
}

impl<'a> Lab<'a> {
    fn new(world: &'a World) -> Self {
        let release = match world.release() {
            (2, 1) => Release::V2_1,
            (2, 4) => Release::V2_4,
            _ => Release::V2_3,
        };
        Self { world, release }
    }

    /// Both kernels, each with an empty pool of the same name.
    fn pair(&self) -> Pair {
        let pool = self.world.pool_name("alike");
        let embedded = Zfs::new(Embedded::builder().release(self.release).build());
        let kernels = [("real", self.world.zfs().clone()), ("ours", embedded)];
        let sides = kernels.map(|(name, zfs)| {
            let path = self.world.scratch().join(name);
            let file = fs::File::create(&path).expect("a file");
            file.set_len(POOL_SIZE.get()).expect("made longer");
            create_pool(&zfs, &pool, &path);
            Side::new(zfs, pool.as_str(), self.world.release())
        });
        let [real, ours] = sides;
        Pair { pool, real, ours, is_over: false }
    }

    /// The first difference that these steps show in new pools.
    fn difference(&self, steps: &[Step]) -> Option<Difference> {
        let mut pair = self.pair();
        for step in steps {
            match pair.step(step) {
                None if pair.is_over => return None,
                None => {}
                difference => return difference,
            }
        }
        pair.look()
    }

    /// Prints the shortest sequence that shows a difference, as a case.
    fn report(&self, steps: &[Step], found: &Difference, (seed, lap): (u64, u64)) {
        let shortest = shrink::shrink(steps, |steps| {
            self.difference(steps).is_some_and(|other| other.signature == found.signature)
        });
        let mut text = String::new();
        writeln!(text, "fn seed_{seed}_lap_{lap}(world: &World) {{").expect("a string");
        writeln!(text, "    assert_alike(\n        world,\n        &[").expect("a string");
        for step in &shortest {
            writeln!(text, "            {step},").expect("a string");
        }
        writeln!(text, "        ],\n    );\n}}").expect("a string");
        eprintln!("{text}");
    }
}

/// Both kernels.
struct Pair {
    pool: PoolName,
    real: Side,
    ours: Side,
    /// The two cannot be compared any more.
    is_over: bool,
}

impl Pair {
    /// Asks both, and compares what they say.
    fn step(&mut self, step: &Step) -> Option<Difference> {
        let mut real = self.real.run(step);
        // A device that the module does not make after all: nothing was asked of it, nor is it of the other.
        if real == NO_DEVICE {
            return None;
        }
        let ours = self.ours.run(step);
        for _ in 0..BUSY_TRIES {
            if real == ours || !real.contains("EBUSY") || ours.contains("EBUSY") {
                break;
            }
            thread::sleep(BUSY_PAUSE);
            real = self.real.run(step);
        }
        if real == ours {
            // How much of a write that fails is written all the same nobody knows.
            self.is_over |= step.kind() == "write" && ["EIO", "ENOSPC"].contains(&real.as_str());
            return None;
        }
        // The first line that differs, without its numbers.
        let differs = real.lines().zip(ours.lines()).find(|(real, ours)| real != ours);
        let (first, second) = differs.unwrap_or((&real, &ours));
        let short = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
        Some(Difference {
            signature: format!("{}: {} or {}", step.kind(), short(first), short(second)),
            text: format!("{step}\n  OpenZFS says  {real}\n  embedded says {ours}"),
        })
    }

    /// Compares everything there is.
    fn look(&mut self) -> Option<Difference> {
        let text = compare::compare(&self.real, &self.ours)?;
        let property = text.lines().next().and_then(|line| line.rsplit(' ').next());
        Some(Difference {
            signature: format!("differs in {}", property.unwrap_or_default()),
            text: format!("everything is looked at:\n{text}"),
        })
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.real.close();
        // What stays behind is told: the next pair needs the name.
        if let Err(complaint) = destroy_pool(&self.real.zfs, &self.pool) {
            eprintln!("the pool is left behind: {complaint}");
        }
    }
}
