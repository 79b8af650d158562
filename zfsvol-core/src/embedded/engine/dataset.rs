//! [`Dataset`]: a file system, a zvol, or a snapshot of one (`dsl_dataset_t`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Id;
use super::bookmark::Bookmark;
use super::content::Content;
use super::props::Props;
use super::space::{Deadlist, Space};
use super::transfer::Transfer;
use crate::embedded::data::UsedFeatures;

/// A file system or zvol as it is now, or a snapshot of it.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Dataset {
    pub(in crate::embedded) dir: Id,
    pub(in crate::embedded) guid: u64,
    pub(in crate::embedded) creation_txg: u64,
    /// Seconds since 1970.
    pub(in crate::embedded) creation_time: u64,
    /// The snapshot before it; of a clone's first, the origin.
    pub(in crate::embedded) prev: Option<Id>,
    /// When that was taken; 1 where there is none.
    pub(in crate::embedded) prev_txg: u64,
    pub(in crate::embedded) referenced: Space,
    /// What nothing else refers to.
    pub(in crate::embedded) unique: i64,
    /// What the snapshot before it refers to, and it does not.
    pub(in crate::embedded) deadlist: Deadlist,
    pub(in crate::embedded) content: Content,
    /// A receive into it is not finished.
    pub(in crate::embedded) inconsistent: bool,
    /// Mounted, open or otherwise in use.
    pub(in crate::embedded) long_holds: u32,
    pub(in crate::embedded) transfer: Transfer,
    pub(in crate::embedded) role: Role,
}

/// What heads and snapshots do not have in common.
#[derive(Clone, Debug)]
pub(in crate::embedded) enum Role {
    Head(Box<Head>),
    Snapshot(Box<Snapshot>),
}

/// What only a file system or zvol has.
#[derive(Clone, Debug, Default)]
pub(in crate::embedded) struct Head {
    pub(super) snapshots: BTreeMap<Arc<str>, Id>,
    pub(super) order: BTreeSet<Id>,
    pub(in crate::embedded) bookmarks: BTreeMap<Arc<str>, Bookmark>,
    /// It has something to keep bookmarks in, which is empty when they all went to a clone (`ds_bookmarks_obj`).
    pub(super) had_bookmarks: bool,
    /// 0 for none.
    pub(in crate::embedded) refquota: u64,
    /// 0 for none.
    pub(in crate::embedded) refreservation: i64,
}

/// What only a snapshot has.
#[derive(Clone, Debug)]
pub(in crate::embedded) struct Snapshot {
    pub(in crate::embedded) name: Arc<str>,
    /// The snapshot after it, or the head.
    pub(in crate::embedded) next: Id,
    /// Of each clone, what comes after this snapshot: its oldest snapshot, or the clone itself.
    pub(in crate::embedded) clones: BTreeSet<Id>,
    /// By tag.
    pub(in crate::embedded) holds: BTreeMap<Box<str>, Hold>,
    /// It goes with its last hold and clone.
    pub(in crate::embedded) defer_destroy: bool,
    pub(in crate::embedded) props: Props,
    /// What encrypted increments are matched by; 0 where it is not encrypted.
    pub(in crate::embedded) ivset_guid: u64,
}

/// What keeps a snapshot from being destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) struct Hold {
    /// When it was put on: seconds since 1970.
    pub(in crate::embedded) time: u64,
    /// It ends with a handle, and so with the process.
    pub(in crate::embedded) temporary: bool,
}

impl Head {
    pub(in crate::embedded) fn snapshot(&self, name: &str) -> Option<Id> {
        self.snapshots.get(name).copied()
    }

    /// The snapshots in the order they were taken, from the one after `after` on.
    pub(in crate::embedded) fn snapshots_after(&self, after: u64) -> impl Iterator<Item = Id> {
        self.order.range(after.saturating_add(1)..).copied()
    }

    pub(super) fn add_snapshot(&mut self, name: Arc<str>, id: Id) {
        self.snapshots.insert(name, id);
        self.order.insert(id);
    }

    pub(super) fn remove_snapshot(&mut self, name: &str) {
        if let Some(id) = self.snapshots.remove(name) {
            self.order.remove(&id);
        }
    }

    /// When the newest of what is bookmarked was taken; 0 where nothing is.
    pub(in crate::embedded) fn newest_bookmark_txg(&self) -> u64 {
        self.bookmarks.values().map(|bookmark| bookmark.creation_txg).max().unwrap_or(0)
    }
}

impl Head {
    /// The features that its bookmarks use.
    fn features(&self) -> impl Iterator<Item = &'static str> {
        let any = |is: fn(&Bookmark) -> bool| self.bookmarks.values().any(is);
        let used = [
            ("bookmarks", self.had_bookmarks),
            ("redaction_bookmarks", any(|mark| mark.redaction.is_some())),
            ("bookmark_written", any(|mark| mark.space.is_some())),
        ];
        used.into_iter().filter(|(_, used)| *used).map(|(name, _)| name)
    }
}

/// What content puts to use, by the short names of features.
const OF_CONTENT: [(UsedFeatures, &str); 5] = [
    (UsedFeatures::LARGE_BLOCKS, "large_blocks"),
    (UsedFeatures::LARGE_DNODE, "large_dnode"),
    (UsedFeatures::ZSTD, "zstd_compress"),
    (UsedFeatures::LONG_NAME, "longname"),
    (UsedFeatures::LARGE_MICROZAP, "large_microzap"),
];

/// What counting owners does.
const OF_OWNERS: [&str; 2] = ["userobj_accounting", "project_quota"];

impl Dataset {
    /// The features it uses, by their short names, but for those that are counted as they are put to use. The root of a pool is made before the pool
    /// has its features, so it does not count what owners have.
    pub(super) fn features(&self, root: Id) -> impl Iterator<Item = &'static str> {
        let used = self.content.objset.features();
        let counts = self.content.is_filesystem() && !self.content.uncounted && self.dir != root;
        let content = OF_CONTENT.into_iter().filter(move |(feature, _)| used.contains(*feature));
        let owners = OF_OWNERS.into_iter().filter(move |_| counts);
        let redacted = self.transfer.redact_snapshots.is_some().then_some("redacted_datasets");
        let bookmarks = self.as_head().into_iter().flat_map(Head::features);
        content.map(|(_, name)| name).chain(owners).chain(redacted).chain(bookmarks)
    }

    pub(in crate::embedded) fn is_snapshot(&self) -> bool {
        matches!(self.role, Role::Snapshot(_))
    }

    pub(in crate::embedded) fn as_head(&self) -> Option<&Head> {
        match &self.role {
            Role::Head(head) => Some(head),
            Role::Snapshot(_) => None,
        }
    }

    pub(in crate::embedded) fn as_snapshot(&self) -> Option<&Snapshot> {
        match &self.role {
            Role::Snapshot(snapshot) => Some(snapshot),
            Role::Head(_) => None,
        }
    }

    /// What is reserved for it, used or not.
    pub(in crate::embedded) fn refreservation(&self) -> i64 {
        self.as_head().map_or(0, |head| head.refreservation)
    }

    /// What comes after it, of a snapshot.
    pub(in crate::embedded) fn next(&self) -> Option<Id> {
        self.as_snapshot().map(|snapshot| snapshot.next)
    }
}
