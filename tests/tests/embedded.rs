//! The suite on the kernel in this process: every case whose needs it meets, with no root and no OpenZFS.
//!
//! `cargo test -p zfsvol-tests --test embedded -- snapshot::` runs one area; `ZFSVOL_EMBEDDED=2.4` imitates another release.
//! `ZFSVOL_EMBEDDED_DIR=/some/new/directory` runs it on a kernel whose state is kept there; at the end that is opened again, and must be what it was.

#![expect(clippy::expect_used, reason = "a test asserts")]

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::Arguments;
use zfsvol_core::Zfs;
use zfsvol_core::embedded::{Embedded, Release};
use zfsvol_core::zfs::List;
use zfsvol_tests::runner::{self, Rules};
use zfsvol_tests::{Machine, suite};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let directory = env::var_os("ZFSVOL_EMBEDDED_DIR").map(PathBuf::from);
    let open = || match &directory {
        Some(directory) => Embedded::builder().release(release()).open(directory),
        None => Ok(Embedded::builder().release(release()).build()),
    };
    let kernel = open().expect("the directory is new, or of this release");
    let machine = Machine::embedded(Zfs::new(kernel.clone()));
    let rules = Rules::from_environment(&machine);
    let outcome = runner::run(arguments, machine, rules, suite::all());
    if directory.is_some() {
        let before = names(&Zfs::new(kernel));
        let kernel = open().expect("what the suite has left opens");
        assert_eq!(before, names(&Zfs::new(kernel)), "what the suite has left is there");
    }
    outcome
}

/// Everything there is, by name and number.
fn names(zfs: &Zfs) -> Vec<String> {
    let datasets = zfs.list_all(&List::all_pools()).expect("it can be listed");
    datasets.iter().map(|dataset| format!("{} {}", dataset.name, dataset.guid)).collect()
}

fn release() -> Release {
    match env::var("ZFSVOL_EMBEDDED").as_deref() {
        Err(_) | Ok("2.3") => Some(Release::V2_3),
        Ok("2.1") => Some(Release::V2_1),
        Ok("2.4") => Some(Release::V2_4),
        Ok(_) => None,
    }
    .expect("ZFSVOL_EMBEDDED is 2.1, 2.3 or 2.4")
}
