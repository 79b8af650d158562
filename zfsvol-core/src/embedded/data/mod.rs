//! What datasets hold: objects and their blocks, as values that share what is the same.
//!
//! | noun | file |
//! |---|---|
//! | all objects of a dataset | [`Objset`] |
//! | one object | [`Dnode`], [`DnodeBlock`] |
//! | its block pointers | [`Tree`], [`Pointer`], [`Node`] |
//! | a block | [`Block`] |
//! | what it is enciphered with, and what vouches for all of it | [`DatasetKey`], `seal` |
//! | what several share | [`Kept`], [`Data`] |
//! | a change, how blocks are stored, what was born and killed | [`Txn`], [`Policy`], [`Delta`] |
//! | a block device | [`zvol`] |
//! | an empty file system | [`filesystem`] |
//!
//! The shapes are ZFS's own, because they show in streams and in what space is used: levels and fan-out of block trees, holes with births,
//! dnodes in blocks of 32, blocks that live in their pointer. Nothing is on a disk: bytes are shared, and a snapshot is a clone.

mod block;
mod cipher;
mod delta;
mod dnode;
pub mod filesystem;
mod kept;
mod objset;
mod pack;
mod seal;
pub(in crate::embedded) mod stored;
mod tree;
mod txn;
mod types;
pub mod zap;
pub mod zvol;

pub use block::{Block, Content, Encryption};
pub use cipher::{DatasetKey, HMAC_KEY_BYTES, KEY_BYTES, KEY_VERSION, Random, Suite, WrappedKey};
pub use delta::{Delta, Space};
pub use dnode::{Dnode, DnodeBlock, INDIRECT_SHIFT, SLOTS_PER_BLOCK, bonus_room, pointers};
pub(in crate::embedded) use kept::Freed;
pub use kept::{Data, Kept};
pub use objset::{
    LARGE_BLOCK_FROM, META_LEVELS, MetaDnode, OBJECTS_END, Objset, ObjsetType, UsedFeatures,
};
pub(super) use pack::unpack;
pub use tree::{Leaf, Node, Pointer, Tree};
pub use txn::{CHECKSUM_FLETCHER_4, CHECKSUM_OFF, Policy, Txn};

#[cfg(test)]
mod tests;
