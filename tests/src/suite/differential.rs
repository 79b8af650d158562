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
        case(what_is_being_received_counts_as_one_more_below)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(owners_of_an_encrypted_file_system_that_was_received_are_not_counted)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(a_local_value_that_older_releases_do_not_know_is_told_as_received)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(a_stream_says_that_zstd_was_set_once).needs(Need::RealModule).needs(Need::Root),
        case(the_errno_of_a_tree_does_not_depend_on_the_order_of_names)
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

/// A file system with nothing said of it.
fn filesystem(name: &str) -> Step {
    Step::Ask(ask(Ioc::CREATE, name).input(list([("type", Value::Int32(2))])))
}

fn zvol(name: &str) -> Step {
    let props = list([("volsize", Value::Uint64(8 << 20))]);
    let input = list([("type", Value::Int32(3)), ("props", Value::NvList(props))]);
    Step::Ask(ask(Ioc::CREATE, name).input(input))
}

fn what_is_being_received_counts_as_one_more_below(world: &World) {
    let limit = list([("filesystem_limit", Value::Uint64(5))]);
    let over = Receive {
        slot: 1,
        to: "R/b@u".into(),
        force: true,
        resumable: true,
        cut: (900, 0),
        ..Receive::default()
    };
    assert_alike(
        world,
        &[
            zvol("R/v"),
            zvol("R/b"),
            Step::Write { zvol: "R/v".into(), offset: 0, bytes: 1 << 20, seed: 5 },
            Step::SnapshotTree("R/v".into(), "s".into()),
            Step::Send(Send { what: "R/v@s".into(), slot: 1, ..Send::default() }),
            Step::Ask(ask(Ioc::SET_PROP, "R/b").input(limit)),
            Step::Receive(over),
        ],
    );
}

fn owners_of_an_encrypted_file_system_that_was_received_are_not_counted(world: &World) {
    assert_alike(
        world,
        &[
            filesystem("R/a"),
            Step::SnapshotTree("R/a".into(), "s".into()),
            Step::Send(Send { what: "R/a@s".into(), slot: 1, ..Send::default() }),
            Step::Receive(Receive {
                slot: 1,
                to: "R/c@s".into(),
                key: Some(1),
                ..Receive::default()
            }),
        ],
    );
}

fn a_local_value_that_older_releases_do_not_know_is_told_as_received(world: &World) {
    let set = list([("redundant_metadata", Value::Uint64(2))]);
    assert_alike(
        world,
        &[
            zvol("R/w"),
            Step::SnapshotTree("R/w".into(), "t".into()),
            Step::Send(Send { what: "R/w@t".into(), slot: 1, ..Send::default() }),
            Step::Receive(Receive {
                slot: 1,
                to: "R/a@t".into(),
                received: vec![("compression".into(), "gzip".into())],
                ..Receive::default()
            }),
            Step::Ask(ask(Ioc::SET_PROP, "R/a").input(set)),
        ],
    );
}

/// What was set on the origin of a clone goes with it, though nothing is compressed so and the clone has another compression.
fn a_stream_says_that_zstd_was_set_once(world: &World) {
    let zstd = list([("compression", Value::Uint64(16))]);
    let clone = list([("origin", Value::from("R/b@s"))]);
    assert_alike(
        world,
        &[
            filesystem("R/a"),
            filesystem("R/b"),
            Step::Ask(ask(Ioc::SET_PROP, "R/b").input(zstd)),
            Step::SnapshotTree("R/b".into(), "s".into()),
            Step::Ask(ask(Ioc::CLONE, "R/a/b").input(clone)),
            Step::Send(Send { what: "R/a/b".into(), flags: 7, ..Send::default() }),
            Step::Send(Send { what: "R/b@s".into(), flags: 7, ..Send::default() }),
        ],
    );
}

/// Some are there already, and others are half received: the tree is listed in the order of a hash.
fn the_errno_of_a_tree_does_not_depend_on_the_order_of_names(world: &World) {
    let mut steps = vec![
        zvol("R/v"),
        Step::Write { zvol: "R/v".into(), offset: 0, bytes: 1 << 20, seed: 5 },
        Step::SnapshotTree("R/v".into(), "t".into()),
        Step::Send(Send { what: "R/v@t".into(), slot: 1, ..Send::default() }),
    ];
    steps.extend(["R/a", "R/a/a", "R/a/c", "R/a/e"].map(filesystem));
    steps.extend(
        ["R/a/a", "R/a/c", "R/a/e"].map(|name| Step::SnapshotTree(name.into(), "s".into())),
    );
    for name in ["R/a/b@t", "R/a/d@t", "R/a/f@t"] {
        let (to, cut) = (name.into(), (900, 0));
        steps.push(Step::Receive(Receive {
            slot: 1,
            to,
            resumable: true,
            cut,
            ..Receive::default()
        }));
    }
    steps.push(Step::SnapshotTree("R/a".into(), "s".into()));
    assert_alike(world, &steps);
}
