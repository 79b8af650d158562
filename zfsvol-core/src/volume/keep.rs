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

impl Node {
    /// Holds the snapshot with that GUID for the next push between this node and `other`, lets go of those before it, and destroys what no
    /// push needs any more.
    pub(super) fn keep_base(&self, volume: &VolumeInfo, base: Guid, other: Uuid) -> Result<()> {
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
            let left = self.let_go(volume, snapshot, &tag).map_err(told)?;
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

    /// Lets go of every snapshot of a volume that is held for pushes between this node and any other: for one that is to be destroyed.
    pub(super) fn let_go_of_all(&self, volume: &VolumeInfo) -> Result<()> {
        for snapshot in self.all_snapshots(volume)?.iter().filter(|snapshot| snapshot.holds > 0) {
            let name = full(volume, snapshot)?;
            let held = self.zfs().holds(&name)?;
            let ours: Vec<(SnapshotName, &str)> = held
                .iter()
                .filter(|hold| hold.tag.starts_with(TAG_PREFIX))
                .map(|hold| (name.clone(), hold.tag.as_str()))
                .collect();
            self.zfs().release(&ours)?;
        }
        Ok(())
    }

    /// Releases the hold with that tag, if there is one. Says how many others are left.
    fn let_go(&self, volume: &VolumeInfo, snapshot: &VolumeSnapshot, tag: &str) -> Result<usize> {
        if snapshot.holds == 0 {
            return Ok(0);
        }
        let name = full(volume, snapshot)?;
        let holds = self.zfs().holds(&name)?;
        let others = holds.iter().filter(|hold| hold.tag != tag).count();
        if others < holds.len() {
            self.zfs().release(&[(name, tag)])?;
        }
        Ok(others)
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
