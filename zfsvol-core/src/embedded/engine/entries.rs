//! [`Entries`]: directories or datasets by number, and which were changed.

use std::collections::{BTreeMap, BTreeSet};

use super::Id;

/// What a pool has many of, by number. There is no way to change one that does not mark it as changed, so that only what was changed need be
/// written to a directory.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Entries<T> {
    entries: BTreeMap<Id, T>,
    /// Those that were changed, added or removed; nothing where nobody asks.
    changed: Option<BTreeSet<Id>>,
}

impl<T> Entries<T> {
    /// None yet. `marks` says whether changes are marked.
    pub(super) fn new(marks: bool) -> Self {
        Self { entries: BTreeMap::new(), changed: marks.then(BTreeSet::new) }
    }

    pub(in crate::embedded) fn get(&self, id: Id) -> Option<&T> {
        self.entries.get(&id)
    }

    /// It is taken for changed.
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let entry = self.entries.get_mut(&id)?;
        mark(&mut self.changed, id);
        Some(entry)
    }

    pub(super) fn insert(&mut self, id: Id, entry: T) {
        mark(&mut self.changed, id);
        self.entries.insert(id, entry);
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<T> {
        mark(&mut self.changed, id);
        self.entries.remove(&id)
    }

    /// Adds what was read, which is no change.
    pub(super) fn restore(&mut self, id: Id, entry: T) {
        self.entries.insert(id, entry);
    }

    /// One that was read, to be completed, which is no change.
    pub(super) fn restored(&mut self, id: Id) -> Option<&mut T> {
        self.entries.get_mut(&id)
    }

    pub(in crate::embedded) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// The numbers of those that were changed since the last time, and are there.
    pub(super) fn changed(&self) -> Vec<Id> {
        let there = |id: &Id| self.entries.contains_key(id);
        self.changed.iter().flatten().copied().filter(there).collect()
    }

    /// Those that were changed since the last time, with what they are now; nothing for those that are gone.
    pub(in crate::embedded) fn take_changed(&mut self) -> impl Iterator<Item = (Id, Option<&T>)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        changed.into_iter().map(|id| (id, self.entries.get(&id)))
    }
}

fn mark(changed: &mut Option<BTreeSet<Id>>, id: Id) {
    if let Some(changed) = changed {
        changed.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_marked_and_what_is_looked_at_is_not() {
        let mut entries = Entries::new(true);
        for id in 1..=4 {
            entries.insert(id, 'a');
        }
        assert_eq!(entries.take_changed().count(), 4);
        assert_eq!(entries.get(1), Some(&'a'));
        *entries.get_mut(2).unwrap() = 'b';
        entries.remove(3);
        entries.insert(5, 'c');
        assert_eq!(entries.changed(), [2, 5]);
        let changed: Vec<_> = entries.take_changed().map(|(id, e)| (id, e.copied())).collect();
        assert_eq!(changed, [(2, Some('b')), (3, None), (5, Some('c'))]);
        assert_eq!(entries.take_changed().count(), 0);
    }
}
