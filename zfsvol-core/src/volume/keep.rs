//! Which snapshots pushes need, and which they do not any more: the same on both sides.

use uuid::Uuid;

use super::snapshot::ENGINE_PREFIX;
use super::{Node, VolumeInfo, VolumeSnapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SnapshotName;
use crate::units::Guid;
use crate::zfs::Destroy;

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

/// The name of the bookmark of that snapshot: what the next push to that node begins from when the snapshot is gone.
fn bookmark_name(other: Uuid) -> String {
    format!("{ENGINE_PREFIX}push-{}", other.simple())
}

/// The pushes for which earlier snapshots are needed no more, once there is a later one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pushes {
    /// An owner's: those with the other node. What its other replicas have, it keeps.
    WithThat,
    /// A replica's: those with any node. Its owner is the only one that pushes to it, and to go back before what that has pushed would need a push of everything.
    WithAny,
}

impl Node {
    /// Holds the snapshot with that GUID for the next push between this node and `other`, lets go of the others that were held for pushes `with` whom, and destroys what no
    /// push needs any more.
    pub(super) fn keep_base(
        &self,
        volume: &VolumeInfo,
        base: Guid,
        other: Uuid,
        with: Pushes,
    ) -> Result<()> {
        let told = |error: Error| error.with_operation(KEEP).with_target(volume.name.as_str());
        let snapshots = self.all_snapshots(volume).map_err(told)?;
        let kept = snapshots.iter().find(|snapshot| snapshot.guid == base).ok_or_else(|| {
            told(Error::new(
                ErrorKind::NotFound,
                KEEP,
                format!("it has no snapshot of GUID {base}"),
            ))
        })?;
        let tag = tag(other);
        match self.zfs().hold(&[(full(volume, kept)?, &tag)], None) {
            Err(error) if error.kind() != ErrorKind::Exists => return Err(told(error)),
            _ => {}
        }
        let mut unneeded = Vec::new();
        for snapshot in snapshots.iter().filter(|snapshot| snapshot.guid != base) {
            let is_over = |one: &str| match with {
                Pushes::WithThat => one == tag,
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

    /// Makes a bookmark of the snapshot that the next push to `other` begins from, in place of the one before.
    pub(super) fn bookmark_base(
        &self,
        volume: &VolumeInfo,
        base: &SnapshotName,
        guid: Guid,
        other: Uuid,
    ) -> Result<()> {
        let bookmark = volume.dataset.bookmark(&bookmark_name(other))?;
        let bookmarks = self.zfs().bookmarks(&volume.dataset)?;
        match bookmarks.iter().find(|found| found.name == bookmark) {
            Some(found) if found.guid == guid => return Ok(()),
            Some(_) => self.zfs().destroy_bookmarks([&bookmark])?,
            None => {}
        }
        match self.zfs().bookmark(&[(bookmark, base.clone().into())]) {
            // An old pool: without a bookmark, the snapshot that is held is all there is to begin from.
            Err(error) if error.kind() == ErrorKind::FeatureDisabled => Ok(()),
            made => made,
        }
    }

    /// Whether the bookmark that the next push to `other` begins from is of that snapshot. It is made last of all that ends a push, so all of that was done then.
    pub(super) fn has_bookmark_of(
        &self,
        volume: &VolumeInfo,
        guid: Guid,
        other: Uuid,
    ) -> Result<bool> {
        let bookmark = volume.dataset.bookmark(&bookmark_name(other))?;
        let bookmarks = self.zfs().bookmarks(&volume.dataset)?;
        Ok(bookmarks.iter().any(|found| found.name == bookmark && found.guid == guid))
    }

    /// Destroys the bookmarks that pushes begin from, to whatever node.
    pub(super) fn forget_bookmarks(&self, volume: &VolumeInfo) -> Result<()> {
        let prefix = volume.dataset.bookmark(&format!("{ENGINE_PREFIX}push-"))?;
        let bookmarks = self.zfs().bookmarks(&volume.dataset)?.into_iter().map(|one| one.name);
        let ours: Vec<_> =
            bookmarks.filter(|name| name.as_str().starts_with(prefix.as_str())).collect();
        if ours.is_empty() { Ok(()) } else { self.zfs().destroy_bookmarks(&ours) }
    }

    /// Forgets everything about pushes of a volume: it becomes one of its own that was never pushed.
    pub(super) fn forget_pushes(&self, volume: &VolumeInfo) -> Result<()> {
        self.forget_bookmarks(volume)?;
        let mut unneeded = Vec::new();
        for snapshot in self.all_snapshots(volume)? {
            let left = self.let_go_where(volume, &snapshot, |tag| tag.starts_with(TAG_PREFIX))?;
            if snapshot.name.starts_with(PUSH_PREFIX) && left == 0 && snapshot.clones.is_empty() {
                unneeded.push(full(volume, &snapshot)?);
            }
        }
        self.destroy_unneeded(&unneeded)
    }

    /// Lets go of every snapshot of a volume that is held for pushes between this node and any other: for one that is to be destroyed.
    pub(super) fn let_go_of_all(&self, volume: &VolumeInfo) -> Result<()> {
        for snapshot in self.all_snapshots(volume)? {
            self.let_go_where(volume, &snapshot, |tag| tag.starts_with(TAG_PREFIX))?;
        }
        Ok(())
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

fn full(volume: &VolumeInfo, snapshot: &VolumeSnapshot) -> Result<SnapshotName> {
    Ok(volume.dataset.snapshot(&snapshot.name)?)
}
