//! Clones: a volume that begins as a copy of another.

use uuid::Uuid;

use super::create::owned_properties;
use super::event::VolumeEventKind::Cloned;
use super::snapshot::{ENGINE_PREFIX, snapshot_name};
use super::{Node, VolumeEvent, VolumeInfo, VolumeName};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SnapshotName;
use crate::property::PropertySet;
use crate::zfs::Destroy;

const CLONE: &str = "clone the volume";

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
                let name = format!("{ENGINE_PREFIX}clone-{}", Uuid::new_v4());
                let origin = source.dataset.snapshot(&name).map_err(|error| told(error.into()))?;
                self.zfs().snapshot([&origin], &PropertySet::new()).map_err(told)?;
                let cloned = self.clone_snapshot(&origin, to);
                // With a clone it goes when that does, without one it goes now. If this fails, recovery finds it by its name.
                let deferred = self.zfs().destroy_snapshots([&origin], Destroy::Deferred);
                cloned.and(deferred).map_err(told)?;
            }
        }
        self.tell(&VolumeEvent::new(to, Cloned(from.clone())));
        self.volume(CLONE, to)
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
