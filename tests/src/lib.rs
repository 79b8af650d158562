//! The behaviour suite: what zfsvol promises, as library code over a [`Zfs`](zfsvol_core::Zfs) handle.
//!
//! The bodies ask nothing of the machine but what their [`Need`]s name, so that they run on a loaded OpenZFS module and on any other
//! kernel behind the door. `tests/README.md` says how to write a case and how to run the suite.
//!
//! | module | what it holds |
//! |---|---|
//! | [`suite`] | the cases, one area a file |
//! | [`Case`], [`Need`] | a case and what it cannot do without |
//! | [`World`] | what a case gets: a handle, an empty dataset of its own, pools, a folder |
//! | [`Machine`] | where the suite runs: which kernel, how fast, as whom |
//! | [`command`], [`user`] | the commands of OpenZFS; being another user |
//! | [`conversation`] | calls and answers that were recorded with real releases |
//! | [`crash`] | everything that moves a volume, interrupted at every point |
//! | [`differential`] | the embedded kernel beside the module |
//! | [`volume`] | zvols with known content, compared through their block devices |
//! | [`runner`] | filter, run, watch, report |

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite asserts; the library does not"
)]
#![expect(clippy::print_stderr, reason = "a test run says what it does")]

mod case;
pub mod command;
pub mod conversation;
pub mod crash;
pub mod differential;
pub mod expect;
mod machine;
mod peer;
mod property_facts;
pub mod runner;
pub mod suite;
pub mod user;
pub mod volume;
mod watchdog;
mod world;

pub use case::{Case, Need, Peers, case};
pub use machine::{KernelKind, Machine};
pub use property_facts::PropertyFacts;
pub use world::World;
