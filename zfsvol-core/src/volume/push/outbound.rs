//! [`Outbound`]: a volume that is pushed, and what of it goes with a push.

use crate::error::Result;
use crate::property::{Properties, Property, PropertyInfo, PropertyScope, PropertySet, Source};
use crate::units::Guid;
use crate::volume::info::Present;
use crate::volume::peer::{Incoming, VolumeId};
use crate::volume::{Ownership, VolumeInfo};

/// Properties of a volume that a replica does not get: they are about where it is, or come with the stream.
const LEFT_OUT: [&str; 10] = [
    "canmount",
    "encryption",
    "keyformat",
    "keylocation",
    "mountpoint",
    "pbkdf2iters",
    "readonly",
    "refreservation",
    "reservation",
    "volsize",
];

/// The volume that is pushed, as it was when the push began.
pub(super) struct Outbound {
    pub(super) info: VolumeInfo,
    pub(super) id: VolumeId,
    /// What is set on it, and goes with it.
    properties: PropertySet,
    /// Which of its snapshots is the newest.
    pub(super) newest: Option<String>,
}

impl Outbound {
    pub(super) fn new(now: Present) -> Result<Self> {
        let Present { info, properties, newest } = now;
        let id = VolumeId { id: info.ownership.id, name: info.name.clone() };
        let mut pushed = PropertySet::new();
        for (name, property) in pushed_properties(&properties) {
            pushed.set(name, property.value.clone())?;
        }
        Ok(Self { info, id, properties: pushed, newest })
    }

    pub(super) fn incoming(&self, snapshot: String, guid: Guid) -> Incoming {
        let Ownership { owner, epoch, .. } = self.info.ownership;
        let (volume, properties) = (self.id.clone(), self.properties.clone());
        let (back_to, others, ticket) = (None, Vec::new(), None);
        Incoming { volume, snapshot, guid, owner, epoch, properties, back_to, others, ticket }
    }
}

/// The properties that go with a volume: what is set on it, can be set on its copy, and makes sense elsewhere.
pub(in crate::volume) fn pushed_properties(
    all: &Properties,
) -> impl Iterator<Item = (&str, &Property)> {
    all.iter().filter(|(name, property)| {
        let is_settable = PropertyInfo::find(PropertyScope::Dataset, name)
            .is_none_or(|info| info.access.is_settable());
        property.source == Source::Local && is_settable && goes_with_a_push(name)
    })
}

/// Whether a property of that name is its owner's to set on a copy. Not so: where that is mounted, whether it can be written, and whose it is.
pub(in crate::volume) fn goes_with_a_push(name: &str) -> bool {
    !name.starts_with("zfsvol:") && !LEFT_OUT.contains(&name)
}
