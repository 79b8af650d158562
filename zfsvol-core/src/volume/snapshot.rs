//! Snapshots of volumes: take, list, destroy; and what a retention policy keeps.

use serde::Serialize;

use super::event::VolumeEventKind::{SnapshotsDestroyed, Snapshotted};
use super::retention::{Candidate, Need, Plan, Reason, Retention};
use super::{Node, VolumeEvent, VolumeInfo, VolumeName};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SnapshotName;
use crate::property::{DatasetTypes, PropertySet};
use crate::units::{Bytes, Guid, Txg};
use crate::zfs::{Dataset, Destroy, List};

/// Snapshots whose name begins so are the engine's own: they are not listed, and not taken or destroyed by name.
pub(super) const ENGINE_PREFIX: &str = "zfsvol-";

const SNAPSHOT: &str = "snapshot the volume";
const LIST: &str = "list the snapshots of the volume";
const DESTROY: &str = "destroy snapshots of the volume";
const RETAIN: &str = "apply the retention policy to the volume";

/// What [`VolumeSnapshot`] is made from.
const WANTED: [&str; 5] = ["clones", "creation", "referenced", "used", "userrefs"];

/// A snapshot of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VolumeSnapshot {
    /// Its name, what comes after the `@`.
    pub name: String,
    /// Its GUID: the same on every node that has it.
    pub guid: Guid,
    /// The transaction group it was made in, on this node.
    pub createtxg: Txg,
    /// When it was taken, in seconds since 1970: the same on every node that has it.
    pub created: i64,
    /// What would be free without it.
    pub used: Bytes,
    /// What it holds.
    pub referenced: Bytes,
    /// How many holds it has.
    pub holds: u64,
    /// The datasets that are clones of it.
    #[serde(with = "crate::nvlist::string_array")]
    pub clones: Vec<String>,
}

/// What a retention policy did to a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retained {
    /// The snapshots that are kept, oldest first, each with every reason.
    #[serde(serialize_with = "crate::serial::words_by_name")]
    pub kept: Vec<(String, Vec<Reason>)>,
    /// The snapshots that were destroyed, oldest first.
    #[serde(with = "crate::nvlist::string_array")]
    pub destroyed: Vec<String>,
}

impl Node {
    /// Takes a snapshot of a volume.
    ///
    /// Issues `ZFS_IOC_SNAPSHOT`; on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`], [`ErrorKind::NotOwner`].
    /// - [`ErrorKind::Exists`]: there is a snapshot of that name.
    /// - [`ErrorKind::InvalidName`]: it is no name of a snapshot, or begins with `zfsvol-`.
    /// - As [`Zfs::snapshot`](crate::Zfs::snapshot).
    pub fn snapshot(&self, name: &VolumeName, snapshot: &str) -> Result<()> {
        let told = |error: Error| error.with_operation(SNAPSHOT).with_target(name.as_str());
        let volume = self.owned(SNAPSHOT, name)?;
        let full = snapshot_name(&volume, snapshot).map_err(told)?;
        self.zfs().snapshot([&full], &PropertySet::new()).map_err(told)?;
        self.tell(&VolumeEvent::new(name, Snapshotted(snapshot.to_owned())));
        Ok(())
    }

    /// The snapshots of a volume, from oldest to newest, without those that the engine made for itself.
    ///
    /// Issues `ZFS_IOC_SNAPSHOT_LIST_NEXT` for each.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; as [`Zfs::list`](crate::Zfs::list).
    pub fn snapshots(&self, name: &VolumeName) -> Result<Vec<VolumeSnapshot>> {
        let told = |error: Error| error.with_operation(LIST).with_target(name.as_str());
        let volume = self.volume(LIST, name)?;
        let mut found = self.all_snapshots(&volume).map_err(told)?;
        found.retain(|snapshot| !snapshot.name.starts_with(ENGINE_PREFIX));
        Ok(found)
    }

    /// Destroys snapshots of a volume, in one transaction group, or none of them. Those that are not there are passed over: to do it again is
    /// harmless.
    ///
    /// Those of a replica, too: a push brings what is newer than both have, so they stay away. What an owner destroys stays on its replicas, until
    /// it is destroyed there.
    ///
    /// Issues `ZFS_IOC_DESTROY_SNAPS`; on disk when it returns.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such volume. [`ErrorKind::NotOwner`]: it is being handed over.
    /// - [`ErrorKind::InvalidName`]: one is no name of a snapshot, or begins with `zfsvol-`.
    /// - [`ErrorKind::Busy`]: one is held or has a clone; [`Error::failures`] says which, and by what.
    pub fn destroy_snapshots(&self, name: &VolumeName, snapshots: &[&str]) -> Result<()> {
        let told = |error: Error| error.with_operation(DESTROY).with_target(name.as_str());
        let volume = self.owned_or_replica(DESTROY, name)?;
        let full: Vec<SnapshotName> = snapshots
            .iter()
            .map(|one| snapshot_name(&volume, one))
            .collect::<Result<_>>()
            .map_err(told)?;
        self.zfs().destroy_snapshots(&full, Destroy::Now).map_err(told)?;
        if !snapshots.is_empty() {
            let names = snapshots.iter().map(|&one| one.to_owned()).collect();
            self.tell(&VolumeEvent::new(name, SnapshotsDestroyed(names)));
        }
        Ok(())
    }

    /// Applies a retention policy to a volume's snapshots: destroys those that nothing keeps, in one transaction group, and says why each other
    /// was kept. A snapshot that is held or has a clone is kept, also when that came about while this runs: then nothing is destroyed. A replica may have
    /// a policy of its own: to keep more than the owner, or less.
    ///
    /// Issues `ZFS_IOC_SNAPSHOT_LIST_NEXT` and, for those that are held, `ZFS_IOC_GET_HOLDS`; then `ZFS_IOC_DESTROY_SNAPS` once.
    ///
    /// # Errors
    /// As [`Self::snapshots`] and [`Self::destroy_snapshots`].
    pub fn retain(&self, name: &VolumeName, policy: &Retention) -> Result<Retained> {
        let told = |error: Error| error.with_operation(RETAIN).with_target(name.as_str());
        let volume = self.owned_or_replica(RETAIN, name)?;
        let snapshots = self.snapshots(name).map_err(told)?;
        let mut candidates = Vec::with_capacity(snapshots.len());
        for snapshot in snapshots {
            candidates.push(self.candidate(&volume, snapshot).map_err(told)?);
        }
        let plan = Plan::new(policy, &candidates);
        let destroyed: Vec<String> = plan.destroyed().map(|one| one.snapshot.clone()).collect();
        let names: Vec<&str> = destroyed.iter().map(String::as_str).collect();
        self.destroy_snapshots(name, &names).map_err(|error| error.with_operation(RETAIN))?;
        let kept = plan.kept().map(|(one, why)| (one.snapshot.clone(), why.to_vec())).collect();
        Ok(Retained { kept, destroyed })
    }

    /// Every snapshot of a volume, the engine's own too.
    pub(super) fn all_snapshots(&self, volume: &VolumeInfo) -> Result<Vec<VolumeSnapshot>> {
        let below = List::from(volume.dataset.clone())
            .depth(0)
            .types(DatasetTypes::SNAPSHOT)
            .properties(WANTED);
        self.zfs().list(&below).map(|found| found.map(|found| listed(&found))).collect()
    }

    fn candidate(
        &self,
        volume: &VolumeInfo,
        snapshot: VolumeSnapshot,
    ) -> Result<Candidate<String>> {
        let mut needs: Vec<Need> = snapshot.clones.iter().cloned().map(Need::Clone).collect();
        if snapshot.holds > 0 {
            let holds = self.zfs().holds(&volume.dataset.snapshot(&snapshot.name)?)?;
            needs.extend(holds.into_iter().map(|hold| Need::Hold(hold.tag)));
        }
        Ok(Candidate { snapshot: snapshot.name, created: snapshot.created, needs })
    }
}

/// The full name of a snapshot that the user named.
pub(super) fn snapshot_name(volume: &VolumeInfo, snapshot: &str) -> Result<SnapshotName> {
    if snapshot.starts_with(ENGINE_PREFIX) {
        let reason =
            format!("names that begin with '{ENGINE_PREFIX}' are of snapshots the engine takes");
        return Err(Error::new(ErrorKind::InvalidName, SNAPSHOT, reason));
    }
    Ok(volume.dataset.snapshot(snapshot)?)
}

fn listed(found: &Dataset) -> VolumeSnapshot {
    let bytes = |name: &str| found.properties.bytes(name).unwrap_or_default();
    let number = |name: &str| found.properties.number(name).unwrap_or_default();
    let name = found.name.as_str().rsplit_once('@').map_or("", |(_, name)| name);
    let clones = found.properties.text("clones").unwrap_or_default();
    VolumeSnapshot {
        name: name.to_owned(),
        guid: found.guid,
        createtxg: found.createtxg,
        created: i64::try_from(number("creation")).unwrap_or_default(),
        used: bytes("used"),
        referenced: bytes("referenced"),
        holds: number("userrefs"),
        clones: clones.split(',').filter(|clone| !clone.is_empty()).map(str::to_owned).collect(),
    }
}
