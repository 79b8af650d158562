//! The embedded kernel beside the module: the same random requests to both, and the same answers from both.
//!
//! `make differential ZFS=2.3 STEPS=5000 SEED=1` runs the first case with as many steps as one likes; by itself it takes some hundred.

mod half;

use std::env;

use zfsvol_core::kernel::Ioc;
use zfsvol_core::nvlist::{NvList, Value};
use zfsvol_core::property::{PropertyAccess, PropertyInfo, PropertyKind, PropertyScope};

use crate::differential::step::{Receive, Send, Step, ask, list};
use crate::differential::{Plan, assert_alike, run};
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = half::cases();
    cases.extend([
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
        case(the_root_directory_has_the_dnode_that_is_said_above)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(file_systems_of_all_versions_are_made_and_upgraded)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(owners_who_are_not_counted_are_not_told).needs(Need::RealModule).needs(Need::Root),
        case(the_token_of_a_compressed_stream_says_after_which_record_it_goes_on)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(a_missing_key_above_is_said_before_a_missing_file_system)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(the_first_properties_received_take_the_place_of_local_ones)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(what_a_failed_receive_puts_back_is_not_always_what_was_there)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(what_older_releases_do_not_know_stays_when_it_is_reverted)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(that_properties_were_received_is_known_from_above)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(a_feature_of_bookmarks_that_went_with_their_dataset_stays_in_use)
            .needs(Need::RealModule)
            .needs(Need::Root),
        case(a_large_block_is_used_when_it_is_written).needs(Need::RealModule).needs(Need::Root),
        case(every_property_is_set_alike).needs(Need::RealModule).needs(Need::Root),
        case(every_property_is_inherited_alike).needs(Need::RealModule).needs(Need::Root),
        case(what_a_snapshot_inherits_can_change_its_head)
            .needs(Need::RealModule)
            .needs(Need::Root),
    ]);
    cases
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
    let snapshots = list([("snaps", Value::NvList(list([("R/w@u", Value::Boolean)])))]);
    assert_alike(
        world,
        &[
            zvol("R/w"),
            Step::Ask(ask(Ioc::SNAPSHOT, "R").input(snapshots)),
            Step::Send(Send { what: "R/w".into(), since: "R/w@u".into(), ..Send::default() }),
            encrypted("R/e"),
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

/// A file system with a key of its own.
fn encrypted(name: &str) -> Step {
    let props = [
        ("encryption", Value::Uint64(3)),
        ("keyformat", Value::Uint64(1)),
        ("keylocation", Value::from("prompt")),
    ];
    let key = list([("wkeydata", Value::Uint8Array(vec![1; 32]))]);
    let input = list([
        ("type", Value::Int32(2)),
        ("props", Value::NvList(list(props))),
        ("hidden_args", Value::NvList(key)),
    ]);
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

/// Inherited: what is set with the creation itself comes after it. The largest does not fit into the rest of its block of dnodes.
fn the_root_directory_has_the_dnode_that_is_said_above(world: &World) {
    let quota = list([("userquota@3e8-", Value::Uint64Array(vec![1, 1000, 1 << 20]))]);
    let mut steps = Vec::new();
    for size in [0, 1, 1024, 2048, 4096, 8192, 16384_u64] {
        let (above, below) = (format!("R/{size}"), format!("R/{size}/below"));
        let props = list([("dnodesize", Value::Uint64(size))]);
        let input = list([("type", Value::Int32(2)), ("props", Value::NvList(props))]);
        let send = |since: &str, snapshot| Send {
            what: format!("{below}@{snapshot}"),
            since: since.to_owned(),
            ..Send::default()
        };
        steps.extend([
            Step::Ask(ask(Ioc::CREATE, above.as_str()).input(input)),
            filesystem(&below),
            Step::SnapshotTree(above.clone(), "s".into()),
            Step::Send(Send { what: format!("{above}@s"), ..Send::default() }),
            Step::Send(send("", "s")),
            Step::Receive(Receive { to: format!("R/copy{size}@s"), ..Receive::default() }),
            // Objects that are made later.
            Step::Ask(ask(Ioc::SET_PROP, below.as_str()).input(quota.clone())),
            Step::SnapshotTree(below.clone(), "t".into()),
            Step::Send(send(&format!("{below}@s"), "t")),
            Step::Send(send("", "t")),
        ]);
    }
    assert_alike(world, &steps);
}

fn file_systems_of_all_versions_are_made_and_upgraded(world: &World) {
    let mut steps = Vec::new();
    for version in 1..=5_u64 {
        let name = format!("R/{version}");
        let props = |props| Value::NvList(list(props));
        let set = list([("version", Value::Uint64(version))]);
        let input = list([("type", Value::Int32(2)), ("props", Value::NvList(set))]);
        // What older ones do not know of names.
        let normal =
            props([("version", Value::Uint64(version)), ("normalization", Value::Uint64(0x10))]);
        let normal = list([("type", Value::Int32(2)), ("props", normal)]);
        let quota = list([("groupquota@3e8-", Value::Uint64Array(vec![3, 1000, 1 << 20]))]);
        let send = |since: String, snapshot: &str| Send {
            what: format!("{name}@{snapshot}"),
            since,
            flags: 2,
            ..Send::default()
        };
        let upgrade = |version| list([("version", Value::Uint64(version))]);
        steps.extend([
            Step::Ask(ask(Ioc::CREATE, name.as_str()).input(input)),
            Step::Ask(ask(Ioc::CREATE, format!("{name}/normal")).input(normal)),
            Step::SnapshotTree(name.clone(), "s".into()),
            Step::Send(send(String::new(), "s")),
            Step::Receive(Receive { to: format!("R/copy{version}@s"), ..Receive::default() }),
            Step::Ask(ask(Ioc::SET_PROP, name.as_str()).input(quota)),
            Step::Ask(ask(Ioc::USERSPACE_ONE, name.as_str()).objset_type(3)),
            Step::Ask(ask(Ioc::SET_PROP, name.as_str()).input(upgrade(1))),
            Step::Ask(ask(Ioc::SET_PROP, name.as_str()).input(upgrade(3))),
            Step::Ask(ask(Ioc::SET_PROP, name.as_str()).input(upgrade(5))),
            Step::SnapshotTree(name.clone(), "t".into()),
            Step::Send(send(format!("{name}@s"), "t")),
            Step::Receive(Receive { to: format!("R/copy{version}@t"), ..Receive::default() }),
            Step::Send(send(String::new(), "t")),
            filesystem(&format!("{name}/below")),
        ]);
    }
    assert_alike(world, &steps);
}

/// The snapshot, because it is never counted: what is opened to be written begins to be, whoever opens it. A version set anew counts at once.
fn owners_who_are_not_counted_are_not_told(world: &World) {
    let version = list([("version", Value::Uint64(5))]);
    let mut steps = vec![
        filesystem("R/a"),
        Step::SnapshotTree("R/a".into(), "s".into()),
        Step::Send(Send { what: "R/a@s".into(), ..Send::default() }),
        Step::Receive(Receive { to: "R/c@s".into(), key: Some(1), ..Receive::default() }),
    ];
    for name in ["R/a@s", "R/c@s"] {
        for kind in 0..14 {
            steps.push(Step::Ask(ask(Ioc::USERSPACE_ONE, name).objset_type(kind)));
            steps.push(Step::Ask(ask(Ioc::USERSPACE_MANY, name).objset_type(kind)));
        }
    }
    steps.push(Step::Ask(ask(Ioc::SET_PROP, "R/c").input(version)));
    steps.push(Step::Ask(ask(Ioc::USERSPACE_ONE, "R/c")));
    assert_alike(world, &steps);
}

/// How many bytes came differs by how well each kernel compresses; which record was the last does not.
fn the_token_of_a_compressed_stream_says_after_which_record_it_goes_on(world: &World) {
    let compressed = list([("compression", Value::Uint64(15))]);
    let mut steps = vec![zvol("R/v"), Step::Ask(ask(Ioc::SET_PROP, "R/v").input(compressed))];
    for (seed, offset) in [(1, 0), (5, 1 << 20), (1, 2 << 20)] {
        steps.push(Step::Write { zvol: "R/v".into(), offset, bytes: 512 << 10, seed });
    }
    steps.extend([filesystem("R/f"), Step::SnapshotTree("R".into(), "s".into())]);
    for (number, what) in ["R/v@s", "R/f@s"].into_iter().enumerate() {
        for flags in [0, 2, 4, 6, 7] {
            steps.push(Step::Send(Send { what: what.into(), flags, ..Send::default() }));
            for left_out in [100, 400, 700] {
                steps.push(Step::Receive(Receive {
                    to: format!("R/{number}{flags}{left_out}@s"),
                    resumable: true,
                    cut: (left_out, 400),
                    ..Receive::default()
                }));
            }
            // Goes on, and breaks off again: in the middle, and when only the first record is in.
            for (left_out, cut) in [(700, (500, 400)), (400, (999, 632))] {
                let half = format!("R/{number}{flags}{left_out}");
                steps.push(Step::Resume { of: half.clone(), slot: 1 });
                let to = format!("{half}@s");
                steps.push(Step::Receive(Receive {
                    slot: 1,
                    to,
                    resumable: true,
                    cut,
                    ..Receive::default()
                }));
            }
        }
    }
    assert_alike(world, &steps);
}

/// Something of each kind, what is not there, and a snapshot of each.
fn one_of_each_kind() -> Vec<Step> {
    let props = list([
        ("encryption", Value::Uint64(3)),
        ("keyformat", Value::Uint64(1)),
        ("keylocation", Value::from("prompt")),
    ]);
    let key = list([("wkeydata", Value::Uint8Array(vec![1; 32]))]);
    let encrypted = list([
        ("type", Value::Int32(2)),
        ("props", Value::NvList(props)),
        ("hidden_args", Value::NvList(key)),
    ]);
    vec![
        filesystem("R/f"),
        zvol("R/z"),
        Step::Ask(ask(Ioc::CREATE, "R/e").input(encrypted)),
        Step::SnapshotTree("R".into(), "s".into()),
    ]
}

const KINDS: [&str; 7] = ["R/f", "R/z", "R/e", "R/none", "R/f@s", "R/z@s", "R/none@s"];

/// Values of a property, right and wrong. Never a text for one that only the module sets: its sync thread would fall over a default there is not.
fn values_of(info: &PropertyInfo) -> Vec<Value> {
    let read_only = info.access == PropertyAccess::ReadOnly;
    match info.kind {
        PropertyKind::Index(words) if !read_only => {
            let known = words.iter().map(|(_, number)| Value::Uint64(*number));
            known.chain([Value::Uint64(9999), Value::from("on")]).collect()
        }
        PropertyKind::Number(_) if !read_only => {
            let numbers = [0, 1, 4096, 16 << 20, 1 << 40].map(Value::Uint64);
            numbers.into_iter().chain([Value::from("1")]).collect()
        }
        PropertyKind::Text if !read_only => {
            ["", "none", "x"].map(Value::from).into_iter().chain([Value::Uint64(1)]).collect()
        }
        _ => vec![Value::Uint64(1)],
    }
}

fn set_all_of(info: &PropertyInfo, name: &str) -> Vec<Step> {
    let set = |value| ask(Ioc::SET_PROP, name).input(list([(info.name, value)]));
    values_of(info).into_iter().map(|value| Step::Ask(set(value))).collect()
}

fn every_property_is_set_alike(world: &World) {
    let mut steps = one_of_each_kind();
    for info in PropertyInfo::all(PropertyScope::Dataset) {
        steps.extend(KINDS.iter().flat_map(|name| set_all_of(info, name)));
    }
    assert_alike(world, &steps);
}

fn every_property_is_inherited_alike(world: &World) {
    let mut steps = one_of_each_kind();
    // Texts without a default, which the module's sync thread falls over.
    let is_safe = |info: &&PropertyInfo| !["iscsioptions", "stmf_sbd_lu"].contains(&info.name);
    for info in PropertyInfo::all(PropertyScope::Dataset).iter().filter(is_safe) {
        for name in KINDS {
            let inherit = |received| ask(Ioc::INHERIT_PROP, name).value(info.name).cookie(received);
            steps.extend(set_all_of(info, name));
            steps.push(Step::Ask(inherit(0)));
            // What 2.4 keeps in the file system it would change in a snapshot as well, which stops the machine.
            if !(info.name.starts_with("default") && name.contains('@')) {
                steps.push(Step::Ask(inherit(1)));
            }
        }
    }
    assert_alike(world, &steps);
}

/// What only a head can have is taken back on its snapshot: the head still says that it was set, and it does not count any more.
fn what_a_snapshot_inherits_can_change_its_head(world: &World) {
    let mut steps = vec![filesystem("R/f"), Step::SnapshotTree("R".into(), "s".into())];
    let properties = ["quota", "reservation", "refquota", "refreservation", "filesystem_limit"];
    for (number, property) in properties.into_iter().enumerate() {
        let set = list([(property, Value::Uint64((32 + number as u64) << 20))]);
        steps.push(Step::Ask(ask(Ioc::SET_PROP, "R/f").input(set)));
    }
    for property in properties.into_iter().chain(["snapdev", "volmode", "keylocation", "atime"]) {
        for received in [0, 1] {
            let inherit = ask(Ioc::INHERIT_PROP, "R/f@s").value(property).cookie(received);
            steps.push(Step::Ask(inherit));
        }
    }
    assert_alike(world, &steps);
}

fn a_missing_key_above_is_said_before_a_missing_file_system(world: &World) {
    let mut steps = vec![encrypted("R/e"), filesystem("R/e/a")];
    for is_locked in [false, true] {
        if is_locked {
            steps.push(Step::Ask(ask(Ioc::UNLOAD_KEY, "R/e").input(NvList::new())));
        }
        for name in ["R/e", "R/e/a", "R/e/none", "R/e/none/b", "R/e@none", "R/none"] {
            let quota = list([("userquota@3e8-", Value::Uint64Array(vec![1, 1000, 1 << 20]))]);
            steps.extend([
                Step::Ask(ask(Ioc::SET_PROP, name).input(quota)),
                Step::Ask(ask(Ioc::USERSPACE_ONE, name).objset_type(1)),
                Step::Ask(ask(Ioc::OBJ_TO_PATH, name).object(34)),
            ]);
        }
    }
    assert_alike(world, &steps);
}

/// All of them, also those that are received themselves; what is received later hides behind what is local.
fn the_first_properties_received_take_the_place_of_local_ones(world: &World) {
    let local = |level| list([("compression", Value::Uint64(level)), ("atime", Value::Uint64(0))]);
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let receive = |to: &str, level: &str| Receive {
        to: to.into(),
        force: true,
        received: vec![text("compression", level), text("quota", "10485760")],
        ..Receive::default()
    };
    assert_alike(
        world,
        &[
            filesystem("R/a"),
            filesystem("R/b"),
            Step::Ask(ask(Ioc::SET_PROP, "R/b").input(local(3))),
            Step::SnapshotTree("R/a".into(), "s".into()),
            Step::Send(Send { what: "R/a@s".into(), ..Send::default() }),
            Step::Receive(receive("R/b@s", "gzip")),
            Step::Ask(ask(Ioc::SET_PROP, "R/b").input(local(2))),
            Step::SnapshotTree("R/a".into(), "t".into()),
            Step::Send(Send { what: "R/a@t".into(), since: "R/a@s".into(), ..Send::default() }),
            Step::Receive(receive("R/b@t", "lz4")),
            Step::Receive(receive("R@s", "lz4")),
        ],
    );
}

/// A quota is inherited again as any property, which leaves the one that counts.
fn what_a_failed_receive_puts_back_is_not_always_what_was_there(world: &World) {
    let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let quota = list([("quota", Value::Uint64(64 << 20)), ("atime", Value::Uint64(0))]);
    let all = |compression, quota: &str, atime| {
        vec![text("compression", compression), text("quota", quota), text("atime", atime)]
    };
    let mut steps = vec![
        filesystem("R/a"),
        Step::SnapshotTree("R/a".into(), "s".into()),
        Step::Send(Send { what: "R/a@s".into(), ..Send::default() }),
    ];
    let (none, one, two) = (vec![], all("gzip", "10485760", "off"), all("lz4", "20971520", "off"));
    for (number, received, set) in
        [(1, &none, &one), (2, &one, &none), (3, &one, &two), (4, &two, &one)]
    {
        for (kind, properties) in [("plain", NvList::new()), ("set", quota.clone())] {
            let name = format!("R/{kind}{number}");
            let receive = Receive {
                to: format!("{name}@u"),
                force: true,
                received: received.clone(),
                set: set.clone(),
                ..Receive::default()
            };
            let cut = Receive { cut: (500, 400), ..receive.clone() };
            steps.extend([
                filesystem(&name),
                Step::Ask(ask(Ioc::SET_PROP, name.as_str()).input(properties)),
                Step::Receive(cut.clone()),
                Step::Receive(Receive { received: vec![text("test:note", "came")], ..receive }),
                Step::Receive(Receive { to: format!("{name}@v"), ..cut }),
            ]);
        }
    }
    assert_alike(world, &steps);
}

fn that_properties_were_received_is_known_from_above(world: &World) {
    let receive = |name: &str| {
        let properties = list([("compression", Value::Uint64(3))]);
        Step::Ask(ask(Ioc::SET_PROP, name).input(properties).cookie(1))
    };
    let rename = |from: &str, to: &str| Step::Ask(ask(Ioc::RENAME, from).value(to));
    let begin = ["R/a", "R/a/a", "R/b"].map(filesystem);
    for order in [["R/a", "R/a/a"], ["R/a/a", "R/a"]] {
        let received = order.map(receive);
        let moved = [rename("R/a/a", "R/b/a"), receive("R/b/a"), rename("R/b/a", "R/a/a")];
        assert_alike(world, &[&begin[..], &received, &moved].concat());
    }
}

fn a_feature_of_bookmarks_that_went_with_their_dataset_stays_in_use(world: &World) {
    let bookmark = |name: &str, of: &str| {
        let input = list([(name, Value::from(of))]);
        Step::Ask(ask(Ioc::BOOKMARK, "R").input(input))
    };
    let gone = |name: &str| {
        let input = list([(name, Value::Boolean)]);
        Step::Ask(ask(Ioc::DESTROY_BOOKMARKS, "R").input(input))
    };
    let of_a = |name: &str| Step::SnapshotTree("R/a".into(), name.into());
    let clone = list([("origin", Value::from("R/a@s"))]);
    let first = [filesystem("R/a"), of_a("s"), bookmark("R/a#m", "R/a@s")];
    let with = |then: &[Step]| [&first[..], then].concat();
    assert_alike(world, &with(&[gone("R/a#m")]));
    assert_alike(world, &with(&[Step::DestroyTree("R/a".into())]));
    let promoted = with(&[
        Step::Ask(ask(Ioc::CLONE, "R/b").input(clone)),
        Step::Ask(ask(Ioc::PROMOTE, "R/b")),
        gone("R/b#m"),
    ]);
    assert_alike(world, &promoted);
    // The old dataset has an empty list of them.
    let again = [of_a("t"), bookmark("R/a#n", "R/a@t"), gone("R/a#n")];
    assert_alike(world, &[&promoted[..], &again].concat());
}

fn a_large_block_is_used_when_it_is_written(world: &World) {
    let large =
        list([("volsize", Value::Uint64(8 << 20)), ("volblocksize", Value::Uint64(1 << 20))]);
    let input = list([("type", Value::Int32(3)), ("props", Value::NvList(large))]);
    let send = |flags| Step::Send(Send { what: "R/v@s".into(), flags, ..Send::default() });
    let receive = |to: &str| Step::Receive(Receive { to: to.into(), ..Receive::default() });
    let empty = [
        Step::Ask(ask(Ioc::CREATE, "R/v").input(input)),
        Step::SnapshotTree("R/v".into(), "s".into()),
        send(2),
        receive("R/w@s"),
    ];
    assert_alike(world, &empty);
    let then = [
        Step::Write { zvol: "R/v".into(), offset: 4096, bytes: 4096, seed: 3 },
        Step::SnapshotTree("R/v".into(), "t".into()),
        Step::Send(Send { what: "R/v@t".into(), flags: 2, ..Send::default() }),
        receive("R/x@t"),
        Step::DestroyTree("R/v".into()),
    ];
    assert_alike(world, &[&empty[..], &then].concat());
}

fn what_older_releases_do_not_know_stays_when_it_is_reverted(world: &World) {
    let set = |value: u64| {
        Step::Ask(
            ask(Ioc::SET_PROP, "R/a").input(list([("redundant_metadata", Value::Uint64(value))])),
        )
    };
    let inherit = |cookie| {
        Step::Ask(ask(Ioc::INHERIT_PROP, "R/a").value("redundant_metadata").cookie(cookie))
    };
    let received = Step::Ask(
        ask(Ioc::SET_PROP, "R/a").input(list([("compression", Value::Uint64(3))])).cookie(1),
    );
    let begin = [filesystem("R/a"), filesystem("R/a/b"), set(2)];
    for then in [
        vec![inherit(1)],
        vec![inherit(1), inherit(0)],
        vec![inherit(1), set(1)],
        vec![inherit(1), set(1), inherit(1)],
        vec![received.clone()],
        vec![received, inherit(1)],
    ] {
        assert_alike(world, &[&begin[..], &then].concat());
    }
}
