//! Finding a pair by its name in a long list.

use std::hash::{BuildHasher, RandomState};

use super::list::Slot;

/// A hash table from names to places in a list's slots. It keeps the places only: the names stay in the slots.
///
/// The hash is keyed at random, because names come from outside and could be chosen to collide.
#[derive(Clone, Debug)]
pub(super) struct Index {
    hasher: RandomState,
    /// A power of two of cells, at least half of them [`EMPTY`], searched in a row from the name's own cell.
    cells: Vec<usize>,
    /// Cells that are not [`EMPTY`], the [`GONE`] ones included.
    used: usize,
    /// Slots whose pair was removed. Counted here since only an indexed list leaves any.
    pub(super) holes: usize,
}

/// A cell that never held anything: a search ends here.
const EMPTY: usize = usize::MAX;
/// A cell whose entry was removed: a search goes on.
const GONE: usize = usize::MAX - 1;

impl Index {
    /// An index of `slots`. Of equal names the last one is found.
    pub(super) fn new(slots: &[Slot]) -> Self {
        let mut index = Self { hasher: RandomState::new(), cells: Vec::new(), used: 0, holes: 0 };
        index.rebuild(slots);
        index
    }

    /// The place of the last pair of this name.
    pub(super) fn find(&self, name: &str, slots: &[Slot]) -> Option<usize> {
        self.search(name, slots).1
    }

    /// Makes `place` the place of `name`, and answers the place it had before.
    pub(super) fn put(&mut self, name: &str, place: usize, slots: &[Slot]) -> Option<usize> {
        if (self.used + 1) * 2 > self.cells.len() {
            self.rebuild(slots);
        }
        self.set(name, place, slots)
    }

    /// Forgets `name`, which was found at `place`.
    pub(super) fn forget(&mut self, name: &str, place: usize) {
        let mut at = self.home(name);
        let mask = self.mask();
        while let Some(cell) = self.cells.get_mut(at) {
            if *cell == EMPTY {
                return;
            }
            if *cell == place {
                *cell = GONE;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// Starts over, in a table that leaves room for as many pairs again.
    pub(super) fn rebuild(&mut self, slots: &[Slot]) {
        let pairs = slots.len() - self.holes;
        self.cells.clear();
        self.cells.resize(pairs.saturating_add(1).saturating_mul(4).next_power_of_two(), EMPTY);
        self.used = 0;
        for (place, pair) in slots.iter().enumerate() {
            if let Some(pair) = pair {
                self.set(&pair.name, place, slots);
            }
        }
    }

    fn set(&mut self, name: &str, place: usize, slots: &[Slot]) -> Option<usize> {
        let (at, before) = self.search(name, slots);
        if let Some(cell) = self.cells.get_mut(at) {
            if *cell == EMPTY {
                self.used += 1;
            }
            *cell = place;
        }
        before
    }

    /// The cell that holds `name` with its place, or else the cell to put it into.
    fn search(&self, name: &str, slots: &[Slot]) -> (usize, Option<usize>) {
        let mut at = self.home(name);
        let mut free = None;
        loop {
            match self.cells.get(at).copied() {
                None | Some(EMPTY) => return (free.unwrap_or(at), None),
                Some(GONE) => free = free.or(Some(at)),
                Some(place) => {
                    let pair = slots.get(place).and_then(Option::as_ref);
                    if pair.is_some_and(|pair| *pair.name == *name) {
                        return (at, Some(place));
                    }
                }
            }
            at = (at + 1) & self.mask();
        }
    }

    /// The cell where the search for `name` begins.
    fn home(&self, name: &str) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let hash = self.hasher.hash_one(name) as usize;
        hash & self.mask()
    }

    fn mask(&self) -> usize {
        self.cells.len().wrapping_sub(1)
    }
}
