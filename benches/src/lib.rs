//! What the benchmarks of zfsvol have in common: streams to read, a plain loop to compare with, and a way of comparing.
//!
//! Figures of a machine that others use too are worth little, and those of two runs cannot be compared. A [`Contest`] runs everything in
//! turns, again and again, and its ratios are of the same turn. What is compared with other programs is in `src/bin/peer_*.rs`: see README.md.

mod contest;
mod driver;
mod stream;

pub use contest::{Contest, Standing};
pub use driver::{Item, Job, Outcome, contend, stream_path};
pub use stream::{read_and_sum, zvol_stream};
