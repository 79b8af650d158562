//! Volumes that have an owner: what orchestrators embed.
//!
//! A *node* is a UUID and a root dataset; a *volume* is one dataset below it, named by the volume alone and never by its owner, so that its
//! path survives a move. Everything a node knows is in the pool.

mod name;
mod ownership;
pub mod retention;

pub use name::{NAME_CHARS_MAX, VolumeName, VolumeNameError};
pub use ownership::{Ownership, OwnershipError, VolumeState};
pub use retention::Retention;
