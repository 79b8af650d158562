//! The embedded kernel beside the module: the same random requests to both, and the same answers from both.
//!
//! `make differential ZFS=2.3 STEPS=5000 SEED=1` runs the first case with as many steps as one likes; by itself it takes some hundred.

use std::env;

use zfsvol_core::kernel::Ioc;
use zfsvol_core::nvlist::{NvList, Value};

use crate::differential::step::{Receive, Send, Step, ask, list};
use crate::differential::{Plan, assert_alike, run};
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(both_kernels_answer_the_same_to_the_same_requests)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(a_stream_cut_off_after_its_first_record_is_looked_at_in_the_same_order)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(a_missing_key_above_is_said_before_a_missing_target)
            .needs(Need::RealModule)
            .needs(Need::Root),
    ]
}

/// Which steps are taken where nothing is said, and how many: always the same ones, so that what one machine finds another finds too.
const SEED: u64 = 3;
const STEPS: u64 = 500;
/// The same where the processor is emulated.
const STEPS_EMULATED: u64 = 400;

fn both_kernels_answer_the_same_to_the_same_requests(world: &World) {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let usual = if world.machine().is_emulated() { STEPS_EMULATED } else { STEPS };
    let plan = Plan {
        seed: number("ZFSVOL_SEED").unwrap_or(SEED),
        steps: number("ZFSVOL_STEPS").unwrap_or(usual),
        tell: env::var_os("ZFSVOL_TELL").is_some(),
    };
    let (done, differences) = run(world, plan);
    assert!(
        differences.is_empty(),
        "seed {}, {done} steps, {} differences (with their steps above):\n{}",
        plan.seed,
        differences.len(),
        differences.join("\n")
    );
}

fn a_stream_cut_off_after_its_first_record_is_looked_at_in_the_same_order(world: &World) {
    let zvol = list([("volsize", Value::Uint64(8 << 20))]);
    let zvol = list([("type", Value::Int32(3)), ("props", Value::NvList(zvol))]);
    let filesystem = list([("type", Value::Int32(2)), ("props", Value::NvList(list([])))]);
    let snapshots = list([("snaps", Value::NvList(list([("R/v@s", Value::Boolean)])))]);
    // A key that the new dataset has no use for: refused, by those that look at it before they look for the second record.
    let cut = Receive {
        slot: 1,
        to: "R/b/r@t".into(),
        resumable: true,
        cut: (999, 8),
        key: Some(1),
        ..Receive::default()
    };
    assert_alike(
        world,
        &[
            Step::Ask(ask(Ioc::CREATE, "R/v").input(zvol)),
            Step::Ask(ask(Ioc::SNAPSHOT, "R").input(snapshots)),
            Step::Ask(ask(Ioc::CREATE, "R/b").input(filesystem)),
            Step::Send(Send { what: "R/v@s".into(), slot: 1, ..Send::default() }),
            Step::Receive(cut.clone()),
            Step::Receive(Receive { key: None, to: "R/b/q@t".into(), ..cut.clone() }),
            Step::Receive(Receive { to: "R/no/q@t".into(), ..cut }),
        ],
    );
}

fn a_missing_key_above_is_said_before_a_missing_target(world: &World) {
    let zvol = list([("volsize", Value::Uint64(8 << 20))]);
    let zvol = list([("type", Value::Int32(3)), ("props", Value::NvList(zvol))]);
    let snapshots = list([("snaps", Value::NvList(list([("R/w@u", Value::Boolean)])))]);
    let encrypted = [
        ("encryption", Value::Uint64(3)),
        ("keyformat", Value::Uint64(1)),
        ("keylocation", Value::from("prompt")),
    ];
    let key = list([("wkeydata", Value::Uint8Array(vec![1; 32]))]);
    let encrypted = list([
        ("type", Value::Int32(2)),
        ("props", Value::NvList(list(encrypted))),
        ("hidden_args", Value::NvList(key)),
    ]);
    assert_alike(
        world,
        &[
            Step::Ask(ask(Ioc::CREATE, "R/w").input(zvol)),
            Step::Ask(ask(Ioc::SNAPSHOT, "R").input(snapshots)),
            Step::Send(Send { what: "R/w".into(), since: "R/w@u".into(), ..Send::default() }),
            Step::Ask(ask(Ioc::CREATE, "R/e").input(encrypted)),
            Step::Receive(Receive { to: "R/e/v@u".into(), ..Receive::default() }),
            Step::Ask(ask(Ioc::UNLOAD_KEY, "R/e").input(NvList::new())),
            Step::Receive(Receive { to: "R/e/v@u".into(), ..Receive::default() }),
        ],
    );
}
