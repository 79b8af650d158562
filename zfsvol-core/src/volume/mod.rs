//! Volumes that have an owner: what orchestrators embed.
//!
//! A *node* is a UUID and a root dataset; a *volume* is one dataset below it, a file system or a block device. It is named by the volume alone
//! and never by its owner, so that its path survives a move. Everything a node knows is in the pool: there is no file beside it.
//!
//! ```
//! use zfsvol_core::volume::{Node, Uuid, VolumeSpec};
//! use zfsvol_core::{Bytes, Zfs};
//!
//! // `Zfs::open()` for the pools of this machine.
//! let zfs = Zfs::embedded();
//! let node = Node::open(zfs, "tank/volumes".parse()?, Uuid::from_u128(1))?;
//! let name = "shop:db".parse()?;
//! node.create(&name, &VolumeSpec::file_system().quota(Bytes::from_gib(10)))?;
//! println!("{}", node.mount(&name)?.display());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aside;
mod batch;
mod clone;
mod create;
mod destroy;
mod event;
mod handoff;
mod info;
mod job;
mod keep;
mod mount;
mod name;
mod node;
mod ownership;
pub mod peer;
mod push;
mod replica;
mod resize;
pub mod retention;
mod rollback;
mod snapshot;
mod written;

pub use batch::Batch;
pub use create::VolumeSpec;
pub use event::{VolumeEvent, VolumeEventKind};
pub use handoff::Recovered;
pub use info::{DamagedVolume, VolumeInfo, VolumeKind, Volumes};
pub use job::{Bandwidth, Control, Job, JobProgress, Phase};
pub use name::{NAME_CHARS_MAX, VolumeName, VolumeNameError};
pub use node::{Node, NodeOptions};
pub use ownership::{Ownership, OwnershipError, VolumeState};
pub use peer::{LocalPeer, Peer, RemotePeer};
pub use push::{PushOptions, Pushed};
pub use resize::Size;
pub use retention::Retention;
pub use snapshot::{Retained, VolumeSnapshot};

/// The UUID of a node or a volume: that of the crate `uuid`.
pub use uuid::Uuid;
