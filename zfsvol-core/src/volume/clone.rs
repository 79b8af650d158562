//! Clones: a volume that begins as a copy of another.

use uuid::Uuid;

use super::create::owned_properties;
use super::event::VolumeEventKind::Cloned;
use super::snapshot::snapshot_name;
use super::{Node, VolumeEvent, VolumeInfo, VolumeName};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SnapshotName;
use crate::property::PropertySet;
use crate::zfs::Destroy;

const CLONE: &str = "clone the volume";

/// Snapshots that a volume is cloned from as it is: `zfsvol-clone-` and a UUID.
const CLONE_PREFIX: &str = "zfsvol-clone-";

/// That a snapshot is about to be cloned, while it lives: nobody is to take it for one that was left behind.
struct InUse<'a> {
    node: &'a Node,
    snapshot: String,
}

impl<'a> InUse<'a> {
    fn new(node: &'a Node, snapshot: String) -> Self {
        node.cloning().insert(snapshot.clone());
        Self { node, snapshot }
    }
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.node.cloning().remove(&self.snapshot);
    }
}

impl Node {
    /// Makes a new volume that begins as a copy of another, or of one of its snapshots, and shares what neither has changed since. This node
    /// owns it; the other one may be a replica of another node's.
    ///
    /// Of a volume as it is now, the engine takes a snapshot for the purpose, which goes when the clone does.
    ///
    /// Issues `ZFS_IOC_CLONE`; for a volume as it is now, `ZFS_IOC_SNAPSHOT` before and `ZFS_IOC_DESTROY_SNAPS` (deferred) after it.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such volume or snapshot.
    /// - [`ErrorKind::Exists`]: there is a volume, or a dataset that is none, of the new name.
    /// - [`ErrorKind::NotOwner`]: it is not this node's as it is now; a snapshot of it can be cloned.
    pub fn clone_volume(
        &self,
        from: &VolumeName,
        snapshot: Option<&str>,
        to: &VolumeName,
    ) -> Result<VolumeInfo> {
        let told = |error: Error| error.with_operation(CLONE).with_target(from.as_str());
        match snapshot {
            Some(snapshot) => {
                let source = self.volume(CLONE, from)?;
                let origin = snapshot_name(&source, snapshot).map_err(told)?;
                self.clone_snapshot(&origin, to).map_err(told)?;
            }
            None => {
                let source = self.owned(CLONE, from)?;
                self.clone_as_it_is(&source, to).map_err(told)?;
            }
        }
        self.tell(&VolumeEvent::new(to, Cloned(from.clone())));
        self.volume(CLONE, to)
    }

    fn clone_as_it_is(&self, source: &VolumeInfo, to: &VolumeName) -> Result<()> {
        let name = format!("{CLONE_PREFIX}{}", Uuid::new_v4());
        let origin = source.dataset.snapshot(&name)?;
        let _in_use = InUse::new(self, name);
        self.zfs().snapshot([&origin], &PropertySet::new())?;
        let cloned = self.clone_snapshot(&origin, to);
        // With a clone it goes when that does, without one it goes now. If this fails, recovery does it.
        let deferred = self.zfs().destroy_snapshots([&origin], Destroy::Deferred);
        cloned.and(deferred)
    }

    /// Does what a clone could not do because it died: what it took a snapshot for goes when the clone does, or now if there is none.
    pub(super) fn sweep_clones(&self, volume: &VolumeInfo) -> Result<()> {
        let mut left = Vec::new();
        for snapshot in self.all_snapshots(volume)? {
            let is_in_use = self.cloning().contains(&snapshot.name);
            if snapshot.name.starts_with(CLONE_PREFIX) && !is_in_use {
                left.push(volume.dataset.snapshot(&snapshot.name)?);
            }
        }
        self.zfs().destroy_snapshots(&left, Destroy::Deferred)
    }

    fn clone_snapshot(&self, origin: &SnapshotName, to: &VolumeName) -> Result<()> {
        let dataset = self.dataset(to)?;
        let properties = owned_properties(&self.new_ownership(), PropertySet::new())?;
        self.zfs().create_clone(&dataset, origin, &properties).map_err(|error| match error.kind() {
            ErrorKind::Exists => Error::new(
                ErrorKind::Exists,
                CLONE,
                format!("there is a volume '{to}', or a dataset of its name"),
            ),
            _ => error,
        })
    }
}
