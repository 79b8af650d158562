//! Runs the suite on the OpenZFS module of this machine. `suite --help` lists the arguments; see `tests/README.md`.
//! `suite record FILE` records what `conversation` has with it.

#![expect(clippy::print_stderr, reason = "a test run says what it does")]

use std::process::ExitCode;

use libtest_mimic::Arguments;
use zfsvol_tests::runner::{self, Rules};
use zfsvol_tests::{Machine, conversation, suite};

/// The exit status when there is no kernel to run on.
const EXIT_NO_KERNEL: u8 = 4;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if let (Some("record"), Some(file)) = (words.next().as_deref(), words.next()) {
        conversation::record(&file);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let machine = match Machine::detect() {
        Ok(machine) => machine,
        Err(error) => {
            eprintln!("there is no kernel to run the suite on: {error}");
            return ExitCode::from(EXIT_NO_KERNEL);
        }
    };
    let rules = Rules::from_environment(&machine);
    eprintln!(
        "OpenZFS {}, at most {} s a case",
        machine.zfs().module().version,
        rules.case_time.as_secs()
    );
    runner::run(arguments, machine, rules, suite::all())
}
