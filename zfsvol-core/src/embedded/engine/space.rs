//! [`Space`], a quantity of data counted in three ways, and [`Deadlist`], what only older snapshots still refer to.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};

/// Bytes in the three ways OpenZFS counts them. Signed, because most of what is done with them is adding differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::embedded) struct Space {
    /// In the pool, with copies and parity: `dsize`.
    pub(in crate::embedded) used: i64,
    /// Compressed: `psize`.
    pub(in crate::embedded) compressed: i64,
    /// Before compression: `lsize`.
    pub(in crate::embedded) uncompressed: i64,
}

impl Space {
    /// Only space in the pool, as reservations are.
    pub(super) const fn reserved(used: i64) -> Self {
        Self { used, compressed: 0, uncompressed: 0 }
    }
}

impl Add for Space {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            used: self.used.saturating_add(other.used),
            compressed: self.compressed.saturating_add(other.compressed),
            uncompressed: self.uncompressed.saturating_add(other.uncompressed),
        }
    }
}

impl Neg for Space {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            used: self.used.saturating_neg(),
            compressed: self.compressed.saturating_neg(),
            uncompressed: self.uncompressed.saturating_neg(),
        }
    }
}

impl Sub for Space {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl AddAssign for Space {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Space {
    fn sum<I: Iterator<Item = Self>>(spaces: I) -> Self {
        spaces.fold(Self::default(), Add::add)
    }
}

/// A number from outside among signed ones; what does not fit is as good as endless.
pub(in crate::embedded) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A sum that cannot be below zero, for an answer.
pub(in crate::embedded) fn unsigned(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}

/// Blocks that a dataset no longer refers to and its older snapshots do: how much of them, by the transaction group they were born in.
///
/// OpenZFS keeps the blocks themselves, in lists between the snapshots' transaction groups (`dsl_deadlist_t`). Here the blocks go with the last
/// snapshot that holds them, so the sums are enough.
#[derive(Clone, Debug, Default)]
pub(in crate::embedded) struct Deadlist {
    pub(super) by_birth: BTreeMap<u64, Space>,
    pub(super) total: Space,
}

impl Deadlist {
    /// All of it.
    pub(in crate::embedded) fn space(&self) -> Space {
        self.total
    }

    /// What was born after `after` and not after `until`: `dsl_deadlist_space_range`.
    pub(in crate::embedded) fn range(&self, after: u64, until: u64) -> Space {
        if after >= until {
            return Space::default();
        }
        self.by_birth.range(after.saturating_add(1)..=until).map(|(_, space)| *space).sum()
    }

    pub(super) fn insert(&mut self, birth: u64, space: Space) {
        *self.by_birth.entry(birth).or_default() += space;
        self.total += space;
    }

    /// Takes out what was born after that.
    pub(super) fn remove_after(&mut self, after: u64) {
        let removed = self.by_birth.split_off(&after.saturating_add(1));
        self.total += -removed.into_values().sum::<Space>();
    }

    /// Adds all of another to it.
    pub(super) fn merge(&mut self, other: &Self) {
        for (birth, space) in &other.by_birth {
            self.insert(*birth, *space);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(used: i64) -> Space {
        Space { used, compressed: used, uncompressed: used }
    }

    #[test]
    fn a_deadlist_knows_what_was_born_when() {
        let mut list = Deadlist::default();
        for (birth, used) in [(5, 1), (7, 10), (7, 100), (9, 1000)] {
            list.insert(birth, bytes(used));
        }
        assert_eq!(list.space(), bytes(1111));
        assert_eq!(list.range(5, 9), bytes(1110));
        assert_eq!(list.range(0, 6), bytes(1));
        assert_eq!(list.range(9, u64::MAX), bytes(0));
        assert_eq!(list.range(9, 5), bytes(0));
        let mut older = Deadlist::default();
        older.insert(3, bytes(5));
        older.merge(&list);
        older.remove_after(6);
        assert_eq!(older.space(), bytes(6));
    }
}
