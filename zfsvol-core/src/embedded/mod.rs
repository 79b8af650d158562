//! A kernel in the process: what OpenZFS keeps on disks and does for an ioctl, with neither.
//!
//! [`data`] is what datasets hold; [`send`] makes streams of it, and [`receive`] takes them.

pub mod data;
pub mod receive;
pub mod send;

#[cfg(all(test, feature = "compression"))]
mod tests;
