//! The suite on the kernel in this process: every case whose needs it meets, with no root and no OpenZFS.
//!
//! `cargo test -p zfsvol-tests --test embedded -- snapshot::` runs one area; `ZFSVOL_EMBEDDED=2.4` imitates another release.

#![expect(clippy::expect_used, reason = "a test asserts")]

use std::process::ExitCode;

use libtest_mimic::Arguments;
use zfsvol_core::Zfs;
use zfsvol_core::embedded::{Embedded, Release};
use zfsvol_tests::runner::{self, Rules};
use zfsvol_tests::{Machine, suite};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Nothing in it belongs to the whole machine, so that cases do not disturb each other.
    arguments.test_threads.get_or_insert(4);
    let zfs = Zfs::new(Embedded::builder().release(release()).build());
    let machine = Machine::embedded(zfs);
    let rules = Rules::from_environment(&machine);
    runner::run(arguments, machine, rules, suite::all())
}

fn release() -> Release {
    match std::env::var("ZFSVOL_EMBEDDED").as_deref() {
        Err(_) | Ok("2.3") => Some(Release::V2_3),
        Ok("2.1") => Some(Release::V2_1),
        Ok("2.4") => Some(Release::V2_4),
        Ok(_) => None,
    }
    .expect("ZFSVOL_EMBEDDED is 2.1, 2.3 or 2.4")
}
