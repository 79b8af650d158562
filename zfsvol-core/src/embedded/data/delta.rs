//! [`Space`] and [`Delta`]: what blocks take, and which were born and killed.

use std::collections::BTreeMap;

/// What blocks take, in bytes, three ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// On disk, with every copy and rounded up to sectors: what `used` and `referenced` count.
    pub used: u64,
    /// As stored, compressed.
    pub compressed: u64,
    /// As the user sees it: what `logicalused` and `logicalreferenced` count. Metadata counts as it is stored.
    pub uncompressed: u64,
}

impl Space {
    /// No space.
    pub const ZERO: Self = Self { used: 0, compressed: 0, uncompressed: 0 };

    /// This and `other`.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            used: self.used.saturating_add(other.used),
            compressed: self.compressed.saturating_add(other.compressed),
            uncompressed: self.uncompressed.saturating_add(other.uncompressed),
        }
    }

    /// This without `other`; nothing goes below zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            used: self.used.saturating_sub(other.used),
            compressed: self.compressed.saturating_sub(other.compressed),
            uncompressed: self.uncompressed.saturating_sub(other.uncompressed),
        }
    }

    /// Whether it is no space at all.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

/// What changes to one dataset did to its blocks: what its accounting is made from, as `dsl_dataset_block_born` and
/// `dsl_dataset_block_kill` are told of it (OpenZFS 2.3 `module/zfs/dsl_dataset.c`).
///
/// A block that is written twice in one transaction group is born twice and killed once: the sums come out right. Whether a killed block
/// is free or still a snapshot's, its birth tells: one born after the newest snapshot is free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    born: Space,
    killed: BTreeMap<u64, Space>,
}

impl Delta {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was born, in the transaction group of the change.
    #[must_use]
    pub fn born(&self) -> Space {
        self.born
    }

    /// What was killed, by the transaction group it was born in, oldest first.
    pub fn killed(&self) -> impl Iterator<Item = (u64, Space)> + '_ {
        self.killed.iter().map(|(birth, space)| (*birth, *space))
    }

    /// All that was killed.
    #[must_use]
    pub fn killed_space(&self) -> Space {
        self.killed.values().fold(Space::ZERO, |sum, space| sum.plus(*space))
    }

    /// Whether nothing was born or killed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.born.is_zero() && self.killed.is_empty()
    }

    /// A block was born.
    pub fn bear(&mut self, space: Space) {
        self.born = self.born.plus(space);
    }

    /// A block that was born in `birth` was killed.
    pub fn kill(&mut self, birth: u64, space: Space) {
        if !space.is_zero() {
            let sum = self.killed.entry(birth).or_default();
            *sum = sum.plus(space);
        }
    }

    /// Adds what another change of the same transaction group did.
    pub fn merge(&mut self, other: &Self) {
        self.bear(other.born);
        other.killed().for_each(|(birth, space)| self.kill(birth, space));
    }
}
