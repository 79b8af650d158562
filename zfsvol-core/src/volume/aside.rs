//! An owner that is none any more steps back, and keeps what it alone had as a volume of its own.

use super::create::owned_properties;
use super::event::VolumeEventKind::SetAside;
use super::peer::PeerVolume;
use super::{
    NAME_CHARS_MAX, Node, Ownership, Uuid, VolumeEvent, VolumeInfo, VolumeName, VolumeNameError,
    VolumeSnapshot, VolumeState,
};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::UnmountFlags;
use crate::name::DatasetName;
use crate::property::PropertySet;

const STEP_BACK: &str = "step back from the volume";

/// What a volume that is set aside was: its UUID and its name then. Where the UUID is still its own, setting it aside has not come to its end.
const WAS: &str = "zfsvol:was";

impl Node {
    /// Another node owns a volume that this one owned. If both have the same, the copy here is a replica from now on. Else what is here becomes a volume of its
    /// own, whose name is returned; and what both had stays a replica, so that the next push sends only what came after it.
    ///
    /// It may be interrupted anywhere and done again: until its last step the volume is known as what it was.
    pub(super) fn step_back(
        &self,
        volume: &VolumeInfo,
        there: &PeerVolume,
    ) -> Result<Option<VolumeName>> {
        self.zfs().unmount(&volume.dataset, UnmountFlags::empty())?;
        // What is compared must not change meanwhile.
        let read_only = PropertySet::new().with("readonly", true)?;
        self.zfs().set_properties(&volume.dataset, &read_only)?;
        self.zfs().sync_pool(&volume.dataset.pool(), false)?;
        let now = self.volume(STEP_BACK, &volume.name)?;
        let ours = self.all_snapshots(&now)?;
        let common =
            ours.iter().rposition(|one| there.snapshots.iter().any(|it| it.guid == one.guid));
        let base = common.and_then(|at| ours.get(at));
        if let Some(newest) = base.filter(|base| Some(*base) == ours.last()) {
            if self.is_as_in(&now, newest)? {
                self.become_replica(&now, there.ownership.owner, there.ownership.epoch)?;
                return Ok(None);
            }
        }
        self.set_aside(&now, base, &there.ownership).map(Some)
    }

    fn set_aside(
        &self,
        volume: &VolumeInfo,
        base: Option<&VolumeSnapshot>,
        theirs: &Ownership,
    ) -> Result<VolumeName> {
        let original = self.remember(volume)?;
        let aside =
            if original == volume.name { aside_name(&original)? } else { volume.name.clone() };
        let dataset = self.dataset(&aside)?;
        if original == volume.name {
            self.zfs().rename(&volume.dataset, &dataset)?;
        }
        self.leave_replica(&original, &dataset, base, theirs)?;
        let kept = self.volume(STEP_BACK, &aside)?;
        self.forget_pushes(&kept)?;
        let properties = owned_properties(&self.new_ownership(), PropertySet::new())?;
        self.zfs().set_properties(&dataset, &properties)?;
        self.tell(&VolumeEvent::new(&original, SetAside(aside.clone())));
        Ok(aside)
    }

    /// Writes down what a volume is that is about to have another name, or reads it where that was begun before.
    fn remember(&self, volume: &VolumeInfo) -> Result<VolumeName> {
        let id = volume.ownership.id.to_string();
        let was = self.zfs().property(&volume.dataset, WAS)?;
        let text = was.as_ref().and_then(|one| one.value.as_str());
        if let Some((was, name)) = text.and_then(|text| text.split_once(' ')) {
            if let (true, Ok(name)) = (was == id, name.parse()) {
                return Ok(name);
            }
        }
        let was = PropertySet::new().with(WAS, format!("{id} {}", volume.name))?;
        self.zfs().set_properties(&volume.dataset, &was)?;
        Ok(volume.name.clone())
    }

    /// Has what both had under the name that the volume had: a clone of the last common snapshot, promoted, so that the snapshots are its own.
    fn leave_replica(
        &self,
        name: &VolumeName,
        aside: &DatasetName,
        base: Option<&VolumeSnapshot>,
        theirs: &Ownership,
    ) -> Result<()> {
        let Some(base) = base else {
            // They have nothing in common; or it was promoted before, and took the common ones along.
            return Ok(());
        };
        let dataset = self.dataset(name)?;
        let is_there = self.get(name)?.is_some_and(|found| found.ownership.id == theirs.id);
        if !is_there {
            let replica = Ownership { state: VolumeState::Replica, ..theirs.clone() };
            let properties = replica.write(PropertySet::new())?;
            self.zfs().create_clone(&dataset, &aside.snapshot(&base.name)?, &properties)?;
        }
        self.zfs().promote(&dataset)?;
        // The bookmarks came along with what they are of.
        self.forget_bookmarks(&dataset)
    }
}

/// A name like this one, for what is set aside.
fn aside_name(name: &VolumeName) -> Result<VolumeName> {
    let (_, random) = Uuid::new_v4().as_u64_pair();
    let suffix = format!(".set-aside-{:08x}", random & 0xffff_ffff);
    let surplus = (name.name().len() + suffix.len()).saturating_sub(NAME_CHARS_MAX);
    let mut text = name.as_str().to_owned();
    text.truncate(text.len().saturating_sub(surplus));
    text.push_str(&suffix);
    text.parse().map_err(|error: VolumeNameError| {
        Error::new(ErrorKind::InvalidName, STEP_BACK, error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_for_what_is_set_aside_is_not_too_long() {
        for text in [
            "db",
            "shop:db",
            &"n".repeat(NAME_CHARS_MAX),
            &format!("shop:{}", "n".repeat(NAME_CHARS_MAX)),
        ] {
            let aside = aside_name(&text.parse().unwrap()).unwrap();
            assert!(aside.as_str().contains(".set-aside-"), "{aside}");
            assert_eq!(aside.as_str().split_once(':').is_some(), text.contains(':'));
        }
    }
}
