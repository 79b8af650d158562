//! [`VolumeEvent`]: what happened to which volume.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::VolumeName;
use crate::units::Bytes;

/// Who is told of events.
pub(super) type Listener = Arc<dyn Fn(&VolumeEvent) + Send + Sync>;

/// Something happened to a volume. It is on disk by the time this is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VolumeEvent {
    /// The volume.
    pub volume: VolumeName,
    /// What happened.
    #[serde(flatten)]
    pub kind: VolumeEventKind,
}

/// What happened to a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
#[non_exhaustive]
pub enum VolumeEventKind {
    /// It was created.
    Created,
    /// It was made as a clone of that volume.
    Cloned(VolumeName),
    /// It and its snapshots are gone.
    Destroyed,
    /// This node's copy of it is gone, with its snapshots. It is another node's, which has it still.
    ReplicaDestroyed,
    /// It has this name now.
    Renamed(VolumeName),
    /// It has this size now; `None` for a file system without a limit.
    Resized(Option<Bytes>),
    /// This snapshot was taken.
    Snapshotted(String),
    /// These snapshots were destroyed.
    SnapshotsDestroyed(#[serde(with = "crate::nvlist::string_array")] Vec<String>),
    /// It was taken back to this snapshot.
    RolledBack(String),
    /// It is mounted.
    Mounted,
    /// It is not mounted any more.
    Unmounted,
    /// That node's copy of it is up to date.
    Pushed {
        /// The node.
        #[serde(serialize_with = "crate::serial::word")]
        to: Uuid,
    },
    /// This snapshot of it came from its owner.
    Received(String),
    /// That node owns it now.
    HandedOver {
        /// The node.
        #[serde(serialize_with = "crate::serial::word")]
        to: Uuid,
    },
    /// This node owns it now, because its owner was said to be gone.
    TakenOver,
    /// Another node had taken it over: what was written here since is in this volume.
    SetAside(VolumeName),
}

impl VolumeEvent {
    pub(super) fn new(volume: &VolumeName, kind: VolumeEventKind) -> Self {
        Self { volume: volume.clone(), kind }
    }
}
