//! Which snapshots pushes need, and which they do not any more: the same on both sides.

use uuid::Uuid;

use super::peer::{Incoming, OtherBase};
use super::snapshot::ENGINE_PREFIX;
use super::{Node, VolumeInfo, VolumeSnapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::name::{BookmarkName, DatasetName, SnapshotName};
use crate::units::{Guid, Txg};
use crate::zfs::{Bookmark, Destroy};

const KEEP: &str = "keep what the next push of the volume begins from";

/// Snapshots that pushes take: `zfsvol-push-` and a random number.
pub(super) const PUSH_PREFIX: &str = "zfsvol-push-";

/// The tags of the holds on snapshots that pushes need begin so.
pub(super) const TAG_PREFIX: &str = "zfsvol:push:";

/// A name for a snapshot that a push takes.
pub(super) fn push_snapshot_name() -> String {
    let (random, _) = Uuid::new_v4().as_u64_pair();
    format!("{PUSH_PREFIX}{random:016x}")
}

/// The tag of the hold on the snapshot that the next push to or from that node begins from.
fn tag(other: Uuid) -> String {
    format!("{TAG_PREFIX}{other}")
}

/// The names of the bookmarks of such snapshots begin so: the next push to that node begins from them where the snapshot is gone. Those with the id of the node that
/// they are on are of what it had in common with any node when it came to own the volume. A replica has those of its owner for other nodes.
fn bookmark_prefix(other: Uuid) -> String {
    format!("{ENGINE_PREFIX}push-{}", other.simple())
}

/// The node that a push to begins from such a bookmark.
fn node_of(bookmark: &BookmarkName) -> Option<Uuid> {
    let rest = bookmark.bookmark().strip_prefix(ENGINE_PREFIX)?.strip_prefix("push-")?;
    let (node, _) = rest.split_once('-')?;
    Uuid::try_parse(node).ok()
}

/// What other nodes than that one may have of a volume of `me`, as its bookmarks say.
pub(super) fn others(bookmarks: &[Bookmark], me: Uuid, than: Uuid) -> Vec<OtherBase> {
    let others = bookmarks.iter().filter_map(|one| {
        let node = node_of(&one.name).filter(|node| *node != me && *node != than)?;
        Some(OtherBase { node, guid: one.guid })
    });
    others.collect()
}

/// The name of one of them. No two of a node are called the same: so the next can be made before the last goes.
fn bookmark_name(other: Uuid, guid: Guid) -> String {
    format!("{}-{:016x}", bookmark_prefix(other), guid.get())
}

/// The pushes for which earlier snapshots are needed no more, once there is a later one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pushes {
    /// An owner's: those with that node. What its other replicas have, it keeps.
    With(Uuid),
    /// A replica's: those with any node. Its owner is the only one that pushes to it, and to go back before what that has pushed would need a push of everything.
    WithAny,
}

impl Node {
    /// Has a replica keep the snapshot that was pushed for the next push between this node and `other`, and nothing older for any push; but bookmarks of what other replicas may have,
    /// so that this node can push to them should it come to own the volume.
    pub(super) fn keep_base(
        &self,
        volume: &VolumeInfo,
        snapshots: &[VolumeSnapshot],
        pushed: &Incoming,
        other: Uuid,
    ) -> Result<()> {
        let told = |error| told(volume, error);
        let Some(kept) = snapshots.iter().find(|snapshot| snapshot.guid == pushed.guid) else {
            let reason = format!("it has no snapshot of GUID {}", pushed.guid);
            return Err(told(Error::new(ErrorKind::NotFound, KEEP, reason)));
        };
        let there = self.zfs().bookmarks(&volume.dataset).map_err(told)?;
        // What this push brought is held here, and so there when the next one ends.
        let before = snapshots.iter().take_while(|snapshot| snapshot.guid != pushed.guid);
        let wanted: Vec<_> = before
            .flat_map(|snapshot| {
                let of = pushed.others.iter().filter(|one| one.guid == snapshot.guid);
                of.map(move |one| (snapshot, one.node))
            })
            .collect();
        self.add_bookmarks(volume, &there, &wanted).map_err(told)?;
        self.hold_base(volume, kept, other)?;
        self.let_go_before(volume, snapshots, kept, Pushes::WithAny)?;
        let is_over = |one: &Bookmark| {
            let name = one.name.bookmark();
            let is_wanted = |other: &OtherBase| bookmark_name(other.node, other.guid) == name;
            name.starts_with(&format!("{ENGINE_PREFIX}push-"))
                && !pushed.others.iter().any(is_wanted)
        };
        self.forget_of(there, is_over).map_err(told)
    }

    /// Holds a snapshot for the next push between this node and `other`.
    pub(super) fn hold_base(
        &self,
        volume: &VolumeInfo,
        base: &VolumeSnapshot,
        other: Uuid,
    ) -> Result<()> {
        match self.zfs().hold(&[(full(volume, base)?, &tag(other))], None) {
            Err(error) if error.kind() != ErrorKind::Exists => Err(told(volume, error)),
            _ => Ok(()),
        }
    }

    /// Lets go of the snapshots before that one that were held for such pushes, and destroys what no push needs any more. What came after it is left alone: it may be that the
    /// word to keep this one comes late.
    pub(super) fn let_go_before(
        &self,
        volume: &VolumeInfo,
        snapshots: &[VolumeSnapshot],
        base: &VolumeSnapshot,
        of: Pushes,
    ) -> Result<()> {
        let told = |error| told(volume, error);
        let mut unneeded = Vec::new();
        for snapshot in snapshots.iter().take_while(|snapshot| snapshot.guid != base.guid) {
            let is_over = |one: &str| match of {
                Pushes::With(other) => one == tag(other),
                Pushes::WithAny => one.starts_with(TAG_PREFIX),
            };
            let left = self.let_go_where(volume, snapshot, is_over).map_err(told)?;
            let is_ours = snapshot.name.starts_with(PUSH_PREFIX);
            if is_ours && left == 0 && snapshot.clones.is_empty() {
                unneeded.push(full(volume, snapshot)?);
            }
        }
        self.destroy_unneeded(&unneeded).map_err(told)
    }

    /// Makes a bookmark of the snapshot that the next push to `other` begins from. The one before stays.
    pub(super) fn bookmark_base(
        &self,
        volume: &VolumeInfo,
        base: &VolumeSnapshot,
        other: Uuid,
    ) -> Result<()> {
        let there = self.zfs().bookmarks(&volume.dataset)?;
        self.add_bookmarks(volume, &there, &[(base, other)])
    }

    /// Destroys the bookmarks that the next push to `other` needs no more, because that begins from this snapshot.
    pub(super) fn forget_bookmarks_before(
        &self,
        volume: &VolumeInfo,
        base: &VolumeSnapshot,
        other: Uuid,
    ) -> Result<()> {
        let (prefix, kept) = (bookmark_prefix(other), bookmark_name(other, base.guid));
        self.forget_where(&volume.dataset, |one| {
            let name = one.name.bookmark();
            name.starts_with(&prefix) && name != kept
        })
    }

    /// The bookmarks that pushes begin from and that are of what came after that transaction group. `None` where there are others of such.
    pub(super) fn bookmarks_of_pushes_after(
        &self,
        volume: &VolumeInfo,
        txg: Txg,
    ) -> Result<Option<Vec<Bookmark>>> {
        let mut after = self.zfs().bookmarks(&volume.dataset)?;
        after.retain(|one| one.createtxg > txg);
        let prefix = format!("{ENGINE_PREFIX}push-");
        let are_ours = after.iter().all(|one| one.name.bookmark().starts_with(&prefix));
        Ok(are_ours.then_some(after))
    }

    /// Whether a push took a snapshot, and nobody else holds it or has cloned it.
    pub(super) fn is_for_pushes_alone(
        &self,
        volume: &VolumeInfo,
        snapshot: &VolumeSnapshot,
    ) -> Result<bool> {
        if !snapshot.name.starts_with(PUSH_PREFIX) || !snapshot.clones.is_empty() {
            return Ok(false);
        }
        let is_held = snapshot.holds > 0;
        let holds = if is_held { self.zfs().holds(&full(volume, snapshot)?)? } else { Vec::new() };
        Ok(holds.iter().all(|hold| hold.tag.starts_with(TAG_PREFIX)))
    }

    /// Lets go of a snapshot that is held for pushes, and says whether a push took it and nobody else needs it.
    pub(super) fn let_go_of_pushed(
        &self,
        volume: &VolumeInfo,
        snapshot: &VolumeSnapshot,
    ) -> Result<bool> {
        let left = self.let_go_where(volume, snapshot, |tag| tag.starts_with(TAG_PREFIX))?;
        Ok(left == 0 && snapshot.name.starts_with(PUSH_PREFIX) && snapshot.clones.is_empty())
    }

    /// Destroys snapshots that are for pushes alone.
    pub(super) fn destroy_pushed(
        &self,
        volume: &VolumeInfo,
        snapshots: &[&VolumeSnapshot],
    ) -> Result<()> {
        let mut names = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            self.let_go_of_pushed(volume, snapshot)?;
            names.push(full(volume, snapshot)?);
        }
        self.zfs().destroy_snapshots(&names, Destroy::Now)
    }

    /// Has a node that is about to own a volume remember what others may have of it: whoever pushed it here may have pushed it to others, of which this node does not know, and
    /// what is held for one node is let go once that was pushed to.
    pub(super) fn bookmark_shared(
        &self,
        volume: &VolumeInfo,
        snapshots: &[VolumeSnapshot],
    ) -> Result<()> {
        /// The newest, which a push brought, and the one that it began from; and something for what others left there.
        const SHARED_MAX: usize = 8;
        let mut wanted = Vec::new();
        for (age, snapshot) in snapshots.iter().rev().enumerate() {
            let others = self.held_for(volume, snapshot)?;
            if age == 0 || !others.is_empty() || snapshot.name.starts_with(PUSH_PREFIX) {
                wanted.push((snapshot, self.id()));
            }
            wanted.extend(others.into_iter().map(|other| (snapshot, other)));
            if wanted.len() >= SHARED_MAX {
                break;
            }
        }
        let there = self.zfs().bookmarks(&volume.dataset)?;
        self.add_bookmarks(volume, &there, &wanted)
    }

    /// Makes those bookmarks that are not there, all in one transaction group. Where there can be none, in an old pool or a full one, the snapshot that is held is all
    /// there is to begin from.
    pub(super) fn add_bookmarks(
        &self,
        volume: &VolumeInfo,
        there: &[Bookmark],
        wanted: &[(&VolumeSnapshot, Uuid)],
    ) -> Result<()> {
        let mut missing = Vec::new();
        for (snapshot, other) in wanted {
            // The name of the dataset can be too long for one below it.
            let Ok(name) = volume.dataset.bookmark(&bookmark_name(*other, snapshot.guid)) else {
                continue;
            };
            if there.iter().all(|one| one.name != name) {
                missing.push((name, full(volume, snapshot)?.into()));
            }
        }
        match self.zfs().bookmark(&missing) {
            Err(error)
                if matches!(error.kind(), ErrorKind::FeatureDisabled | ErrorKind::NoSpace) =>
            {
                Ok(())
            }
            made => made,
        }
    }

    /// Whether the next push to `other` begins from that snapshot and from no other. The bookmarks of those before it are destroyed last of all that ends a push, so all of that was
    /// done then.
    pub(super) fn has_bookmark_of(
        &self,
        volume: &VolumeInfo,
        guid: Guid,
        other: Uuid,
    ) -> Result<bool> {
        let prefix = bookmark_prefix(other);
        let bookmarks = self.zfs().bookmarks(&volume.dataset)?;
        let mut ours = bookmarks.iter().filter(|one| one.name.bookmark().starts_with(&prefix));
        Ok(ours.next().is_some_and(|one| one.guid == guid) && ours.next().is_none())
    }

    /// Destroys the bookmarks that pushes begin from, to whatever node: it is its owner that pushes a volume.
    pub(super) fn forget_bookmarks(&self, dataset: &DatasetName) -> Result<()> {
        let prefix = format!("{ENGINE_PREFIX}push-");
        self.forget_where(dataset, |one| one.name.bookmark().starts_with(&prefix))
    }

    /// The same for pushes to those nodes.
    pub(super) fn forget_bookmarks_for(&self, dataset: &DatasetName, nodes: &[Uuid]) -> Result<()> {
        self.forget_where(dataset, |one| node_of(&one.name).is_some_and(|it| nodes.contains(&it)))
    }

    fn forget_where(
        &self,
        dataset: &DatasetName,
        is_over: impl Fn(&Bookmark) -> bool,
    ) -> Result<()> {
        self.forget_of(self.zfs().bookmarks(dataset)?, is_over)
    }

    fn forget_of(&self, there: Vec<Bookmark>, is_over: impl Fn(&Bookmark) -> bool) -> Result<()> {
        let over: Vec<_> = there.into_iter().filter(is_over).map(|one| one.name).collect();
        if over.is_empty() { Ok(()) } else { self.zfs().destroy_bookmarks(&over) }
    }

    /// Forgets everything about pushes of a volume: it becomes one of its own that was never pushed.
    pub(super) fn forget_pushes(&self, volume: &VolumeInfo) -> Result<()> {
        let mut unneeded = Vec::new();
        for snapshot in self.all_snapshots(volume)? {
            let left = self.let_go_where(volume, &snapshot, |tag| tag.starts_with(TAG_PREFIX))?;
            if snapshot.name.starts_with(PUSH_PREFIX) && left == 0 && snapshot.clones.is_empty() {
                unneeded.push(full(volume, &snapshot)?);
            }
        }
        self.destroy_unneeded(&unneeded)?;
        self.forget_bookmarks(&volume.dataset)
    }

    /// Lets go of every snapshot of a volume that is held for pushes between this node and any other: for one that is to be destroyed.
    pub(super) fn let_go_of_all(&self, volume: &VolumeInfo) -> Result<()> {
        for snapshot in self.all_snapshots(volume)? {
            self.let_go_where(volume, &snapshot, |tag| tag.starts_with(TAG_PREFIX))?;
        }
        Ok(())
    }

    /// The nodes for which a snapshot is held.
    fn held_for(&self, volume: &VolumeInfo, snapshot: &VolumeSnapshot) -> Result<Vec<Uuid>> {
        if snapshot.holds == 0 {
            return Ok(Vec::new());
        }
        let holds = self.zfs().holds(&full(volume, snapshot)?)?;
        let nodes = holds.iter().filter_map(|hold| hold.tag.strip_prefix(TAG_PREFIX)?.parse().ok());
        Ok(nodes.collect())
    }

    /// Releases the holds with such tags. Says how many others are left.
    fn let_go_where(
        &self,
        volume: &VolumeInfo,
        snapshot: &VolumeSnapshot,
        is_ours: impl Fn(&str) -> bool,
    ) -> Result<usize> {
        if snapshot.holds == 0 {
            return Ok(0);
        }
        let name = full(volume, snapshot)?;
        let holds = self.zfs().holds(&name)?;
        let (ours, others): (Vec<_>, Vec<_>) = holds.iter().partition(|hold| is_ours(&hold.tag));
        if !ours.is_empty() {
            let ours: Vec<_> =
                ours.into_iter().map(|hold| (name.clone(), hold.tag.as_str())).collect();
            self.zfs().release(&ours)?;
        }
        Ok(others.len())
    }

    fn destroy_unneeded(&self, snapshots: &[SnapshotName]) -> Result<()> {
        match self.zfs().destroy_snapshots(snapshots, Destroy::Now) {
            // One is being sent, or was held or cloned just now: the next push finds it again.
            Err(error) if error.failures().iter().all(|one| one.kind == ErrorKind::Busy) => Ok(()),
            destroyed => destroyed,
        }
    }
}

fn told(volume: &VolumeInfo, error: Error) -> Error {
    error.with_operation(KEEP).with_target(volume.name.as_str())
}

fn full(volume: &VolumeInfo, snapshot: &VolumeSnapshot) -> Result<SnapshotName> {
    Ok(volume.dataset.snapshot(&snapshot.name)?)
}
