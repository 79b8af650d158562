//! What is half received, or locked: what can be asked of it all the same.

use zfsvol_core::kernel::Ioc;
use zfsvol_core::nvlist::Value;

use super::{filesystem, zvol};
use crate::differential::assert_alike;
use crate::differential::step::{Receive, Send, Step, ask, list};
use crate::{Case, Need, World, case};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(what_is_below_a_half_received_file_system).needs(Need::RealModule).needs(Need::Root),
        case(quotas_of_a_half_received_file_system).needs(Need::RealModule).needs(Need::Root),
        case(a_missing_key_is_said_before_the_type_of_a_dataset)
            .needs(Need::RealModule)
            .needs(Need::Root),
    ]
}

/// Thousandths of the records of a stream that do not come.
const CUTS: [u64; 12] = [950, 900, 850, 800, 750, 700, 650, 600, 500, 400, 200, 50];

/// A stream of a file system, which is half received by those names.
fn half_received() -> (Vec<Step>, Vec<String>) {
    let send = Send { what: "R/a@s".into(), ..Send::default() };
    let mut steps =
        vec![filesystem("R/a"), Step::SnapshotTree("R/a".into(), "s".into()), Step::Send(send)];
    let names: Vec<String> = CUTS.iter().map(|cut| format!("R/half{cut}")).collect();
    for (cut, name) in CUTS.iter().zip(&names) {
        let to = format!("{name}@s");
        let receive = Receive { to, resumable: true, cut: (*cut, 8), ..Receive::default() };
        steps.push(Step::Receive(receive));
    }
    (steps, names)
}

fn what_is_below_a_half_received_file_system(world: &World) {
    let (mut steps, names) = half_received();
    for name in &names {
        let below = format!("{name}/below");
        let old = list([("version", Value::Uint64(4))]);
        let old = list([("type", Value::Int32(2)), ("props", Value::NvList(old))]);
        steps.extend([
            filesystem(&below),
            filesystem(&below),
            Step::Ask(ask(Ioc::CREATE, format!("{name}/old").as_str()).input(old)),
            zvol(&format!("{name}/zvol")),
            Step::Ask(ask(Ioc::RENAME, "R/a").value(format!("{name}/a").as_str())),
            Step::Ask(ask(Ioc::RENAME, format!("{name}/a").as_str()).value("R/a")),
        ]);
    }
    assert_alike(world, &steps);
}

fn quotas_of_a_half_received_file_system(world: &World) {
    let (mut steps, names) = half_received();
    for name in &names {
        for set in [
            ("userquota@3e8-", Value::Uint64Array(vec![1, 1000, 1 << 40])),
            ("projectquota@3e8-", Value::Uint64Array(vec![9, 1000, 1 << 40])),
            ("version", Value::Uint64(5)),
        ] {
            steps.push(Step::Ask(ask(Ioc::SET_PROP, name.as_str()).input(list([set]))));
        }
    }
    assert_alike(world, &steps);
}

fn a_missing_key_is_said_before_the_type_of_a_dataset(world: &World) {
    let secret = [
        ("encryption", Value::Uint64(8)),
        ("keyformat", Value::Uint64(1)),
        ("keylocation", Value::from("prompt")),
    ];
    let create = list([
        ("type", Value::Int32(2)),
        ("props", Value::NvList(list(secret))),
        ("hidden_args", Value::NvList(list([("wkeydata", Value::Uint8Array(vec![2; 32]))]))),
    ]);
    let size =
        || Step::Ask(ask(Ioc::SET_PROP, "R/f").input(list([("volsize", Value::Uint64(8 << 20))])));
    let unload = Step::Ask(ask(Ioc::UNLOAD_KEY, "R/f").input(list([])));
    let steps = [Step::Ask(ask(Ioc::CREATE, "R/f").input(create)), size(), unload, size()];
    assert_alike(world, &steps);
}
