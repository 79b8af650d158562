//! A kernel in the process: what OpenZFS keeps on disks and does for an ioctl, with neither.
//!
//! [`data`] is what datasets hold.

pub mod data;
