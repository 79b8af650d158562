//! The runner: filter, run, watch, report.

use std::any::Any;
use std::cell::RefCell;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::watchdog::Watchdog;
use crate::world::Arena;
use crate::{Case, Machine, World};

/// The exit status of a run in which nothing ran: a filter that matches nothing, or everything skipped.
const EXIT_NOTHING_RAN: u8 = 3;

/// How long one case may take.
const CASE_TIME: Duration = Duration::from_secs(180);

/// The same on an emulated processor.
const CASE_TIME_EMULATED: Duration = Duration::from_secs(600);

/// A case that takes longer is worth a line, where a hundred of them have to be run often.
const SLOW: Duration = Duration::from_secs(5);

/// How a run treats what it cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A case that cannot run for want of something is a failure, unless it does not apply to this kernel at all.
    pub require_all: bool,
    /// How long one case may take.
    pub case_time: Duration,
}

impl Rules {
    /// The rules in the environment: `ZFSVOL_REQUIRE_KERNEL=1`, `ZFSVOL_CASE_TIME` in seconds.
    pub fn from_environment(machine: &Machine) -> Self {
        let usual = if machine.is_emulated() { CASE_TIME_EMULATED } else { CASE_TIME };
        let chosen = env::var("ZFSVOL_CASE_TIME").ok().and_then(|seconds| seconds.parse().ok());
        Self {
            require_all: env::var("ZFSVOL_REQUIRE_KERNEL").is_ok_and(|value| value == "1"),
            case_time: chosen.map_or(usual, Duration::from_secs),
        }
    }
}

/// Runs the cases that the arguments choose, one line each, one at a time unless the arguments say otherwise.
pub fn run(mut arguments: Arguments, machine: Machine, rules: Rules, cases: Vec<Case>) -> ExitCode {
    // One at a time: the quick guest has one processor, and a case may look at the whole kernel.
    arguments.test_threads.get_or_insert(1);
    let arena = Arc::new(Arena::new(machine));
    let watchdog = Watchdog::start(rules.case_time);
    remember_panics();
    let trials = cases
        .into_iter()
        .map(|case| {
            let (arena, watchdog) = (Arc::clone(&arena), watchdog.clone());
            Trial::ignorable_test(case.name(), move || run_case(&case, &arena, &watchdog, rules))
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    arena.clean_up();
    let ran = conclusion.num_passed + conclusion.num_failed;
    if ran == 0 && !arguments.list {
        eprintln!("no case ran: that is a failure");
        return ExitCode::from(EXIT_NOTHING_RAN);
    }
    conclusion.exit_code()
}

fn run_case(
    case: &Case,
    arena: &Arc<Arena>,
    watchdog: &Watchdog,
    rules: Rules,
) -> Result<Completion, Failed> {
    if let Some(lack) = case.lack(arena.machine()) {
        return if rules.require_all && !lack.excused {
            Err(format!("cannot run here, and every case is required: {}", lack.reason).into())
        } else {
            Ok(Completion::ignored_with(lack.reason))
        };
    }
    let _watch = watchdog.watch(case.name());
    let start = Instant::now();
    // A thread with the case's name: it is in the messages of a panic and in the watchdog's list.
    let outcome = thread::scope(|scope| {
        thread::Builder::new()
            .name(case.sentence().into())
            .spawn_scoped(scope, || run_body(case, arena))
            .expect("a thread can be started")
            .join()
    });
    if start.elapsed() > SLOW {
        eprintln!("{} took {:.1} s", case.name(), start.elapsed().as_secs_f64());
    }
    match outcome {
        Ok(Ok(())) => Ok(Completion::Completed),
        Ok(Err(complaint)) => Err(complaint.into()),
        Err(_) => Err("the case's thread ended with a panic outside its body".into()),
    }
}

/// Runs the body and cleans up after it; both must succeed.
fn run_body(case: &Case, arena: &Arc<Arena>) -> Result<(), String> {
    let world = World::new(arena, case.sentence(), case.peers());
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| case.run(&world)));
    let failure = outcome.err().map(|payload| PANIC.take().unwrap_or_else(|| text_of(&*payload)));
    let leftover = world.clean_up().err().map(|what| format!("left something behind: {what}"));
    match (failure, leftover) {
        (None, None) => Ok(()),
        (failure, leftover) => {
            Err([failure, leftover].into_iter().flatten().collect::<Vec<_>>().join("\n"))
        }
    }
}

/// What a panic of another thread said, which was passed on to this one; where, is in the output.
fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref().copied()).unwrap_or("a thread panicked").to_owned()
}

thread_local! {
    /// What the last panic of this thread said, and where.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps what a panic says for the summary, and prints it at once as usual.
fn remember_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANIC.replace(Some(info.to_string()));
        usual(info);
    }));
}
