//! [`Dir`]: a place in the tree of datasets, with its properties and its sums (`dsl_dir_t`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Id;
use super::crypt::Crypt;
use super::props::Props;
use super::space::Space;

/// What the space of a directory is used for (`dd_used_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Used {
    /// What the dataset itself refers to.
    Head,
    /// What only its snapshots refer to.
    Snapshots,
    /// What is below it.
    Children,
    /// Reserved by what is below, and not used yet.
    ChildrenReserved,
    /// Reserved by `refreservation`, and not used yet.
    Reserved,
}

/// Bytes by use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::embedded) struct Breakdown {
    pub(in crate::embedded) head: i64,
    pub(in crate::embedded) snapshots: i64,
    pub(in crate::embedded) children: i64,
    pub(in crate::embedded) children_reserved: i64,
    pub(in crate::embedded) reserved: i64,
}

impl Breakdown {
    pub(super) fn of(&mut self, kind: Used) -> &mut i64 {
        match kind {
            Used::Head => &mut self.head,
            Used::Snapshots => &mut self.snapshots,
            Used::Children => &mut self.children,
            Used::ChildrenReserved => &mut self.children_reserved,
            Used::Reserved => &mut self.reserved,
        }
    }
}

/// A place in the tree: one file system or zvol, and what is below.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Dir {
    pub(in crate::embedded) parent: Option<Id>,
    /// The last component of its name; the pool's for the root.
    pub(in crate::embedded) name: Arc<str>,
    /// The file system or zvol.
    pub(in crate::embedded) head: Id,
    pub(super) children: BTreeMap<Arc<str>, Id>,
    /// The same in the order they came, which a listing can be interrupted in.
    pub(super) order: BTreeSet<Id>,
    pub(in crate::embedded) props: Props,
    /// The snapshot it is a clone of.
    pub(in crate::embedded) origin: Option<Id>,
    /// When that was taken: what is older is not its own.
    pub(in crate::embedded) origin_txg: u64,
    pub(in crate::embedded) used: Space,
    pub(in crate::embedded) breakdown: Breakdown,
    /// 0 for none.
    pub(in crate::embedded) quota: u64,
    /// 0 for none.
    pub(in crate::embedded) reservation: i64,
    /// Datasets below it.
    pub(in crate::embedded) filesystems: u64,
    /// Snapshots of it and of all below.
    pub(in crate::embedded) snapshots: u64,
    /// Whether those two are told: since a limit was set there or above.
    pub(in crate::embedded) counted: bool,
    /// When its snapshots last changed: seconds and nanoseconds.
    pub(in crate::embedded) snapshots_changed: (u64, u32),
    /// Present when it is encrypted.
    pub(in crate::embedded) crypt: Option<Box<Crypt>>,
}

impl Dir {
    pub(super) fn new(parent: Option<Id>, name: Arc<str>, head: Id) -> Self {
        Self {
            parent,
            name,
            head,
            children: BTreeMap::new(),
            order: BTreeSet::new(),
            props: Props::default(),
            origin: None,
            origin_txg: 1,
            used: Space::default(),
            breakdown: Breakdown::default(),
            quota: 0,
            reservation: 0,
            filesystems: 0,
            snapshots: 0,
            counted: false,
            snapshots_changed: (0, 0),
            crypt: None,
        }
    }

    /// The child of that name.
    pub(in crate::embedded) fn child(&self, name: &str) -> Option<Id> {
        self.children.get(name).copied()
    }

    /// The children in the order they came, from the one after `after` on.
    pub(in crate::embedded) fn children_after(&self, after: u64) -> impl Iterator<Item = Id> {
        self.order.range(after.saturating_add(1)..).copied()
    }

    pub(in crate::embedded) fn has_children(&self) -> bool {
        !self.children.is_empty()
    }

    pub(super) fn add_child(&mut self, name: Arc<str>, id: Id) {
        self.children.insert(name, id);
        self.order.insert(id);
    }

    pub(super) fn remove_child(&mut self, name: &str) {
        if let Some(id) = self.children.remove(name) {
            self.order.remove(&id);
        }
    }
}
