//! The properties a dataset has of its own: set here, received, or hidden from what was received.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::property::{PropertyInfo, PropertyScope};

/// A value as OpenZFS keeps it: a number, also for the words of a property, or a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum PropValue {
    Number(u64),
    Text(Arc<str>),
}

impl PropValue {
    pub(in crate::embedded) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(_) => None,
        }
    }
}

/// The name of a property. Those of the table are not copied for each dataset.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Native(&'static str),
    User(Arc<str>),
}

impl Name {
    pub(super) fn new(name: &str) -> Self {
        match PropertyInfo::find(PropertyScope::Dataset, name) {
            Some(info) => Self::Native(info.name),
            None => Self::User(name.into()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Native(name) => name,
            Self::User(name) => name,
        }
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

/// What a dataset has of one property.
#[derive(Clone, Debug, Default)]
pub(in crate::embedded) struct Slot {
    pub(in crate::embedded) local: Option<PropValue>,
    pub(in crate::embedded) received: Option<PropValue>,
    /// What was received does not count (`$inherit`).
    pub(in crate::embedded) hidden: bool,
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.local.is_none() && self.received.is_none() && !self.hidden
    }

    /// The value that counts, and whether it was received.
    pub(in crate::embedded) fn effective(&self) -> Option<(&PropValue, bool)> {
        match (&self.local, &self.received) {
            (Some(local), _) => Some((local, false)),
            (None, Some(received)) if !self.hidden => Some((received, true)),
            _ => None,
        }
    }
}

/// Where a value comes from (`zprop_source_t`), as a request to set one says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum PropSource {
    /// Set here.
    Local,
    /// Came with a stream.
    Received,
    /// To be inherited, whatever was received.
    Inherited,
    /// To be what was received, or else inherited (`ZPROP_SRC_NONE`).
    None,
    /// As if it had never been received (`ZPROP_SRC_NONE | ZPROP_SRC_RECEIVED`).
    Forgotten,
}

/// All that a dataset has of its own.
#[derive(Clone, Debug, Default)]
pub(in crate::embedded) struct Props {
    pub(super) slots: BTreeMap<Name, Slot>,
    /// Properties were received once (`$hasrecvd`).
    pub(in crate::embedded) has_received: bool,
}

impl Props {
    pub(in crate::embedded) fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.get(name)
    }

    pub(in crate::embedded) fn iter(&self) -> impl Iterator<Item = (&str, &Slot)> {
        self.slots.iter().map(|(name, slot)| (name.as_str(), slot))
    }

    /// `dsl_prop_set_sync_impl`. A value is needed for the first two sources only.
    pub(in crate::embedded) fn set(
        &mut self,
        name: &str,
        source: PropSource,
        value: Option<PropValue>,
    ) {
        let slot = self.slots.entry(Name::new(name)).or_default();
        match source {
            PropSource::Local => {
                slot.hidden = false;
                slot.local = value;
            }
            PropSource::Received => slot.received = value,
            PropSource::Inherited => slot.local = None,
            PropSource::None => {
                // The name of its own is not removed then, and what is under it still counts.
                slot.local.take_if(|local| !is_kept_twice(name, local));
                slot.hidden = false;
            }
            PropSource::Forgotten => slot.received = None,
        }
        if slot.is_empty() {
            self.slots.remove(name);
        }
    }

    /// Has what was received of it not count: where properties are received, it could come.
    pub(in crate::embedded) fn hide(&mut self, name: &str) {
        self.slots.entry(Name::new(name)).or_default().hidden = true;
    }

    /// `dsl_prop_predict`: the number that would count after setting it so, 0 for none.
    pub(in crate::embedded) fn predict(&self, name: &str, source: PropSource, value: u64) -> u64 {
        let slot = self.slots.get(name);
        let local = || slot.and_then(|slot| slot.local.as_ref()?.number());
        match source {
            PropSource::Local => value,
            PropSource::Received => local().unwrap_or(value),
            PropSource::Forgotten => local().unwrap_or(0),
            PropSource::None | PropSource::Inherited => {
                slot.and_then(|slot| slot.received.as_ref()?.number()).unwrap_or(0)
            }
        }
    }
}

/// Whether older modules would not know a value, so that it is kept under a name of its own beside one that they know. Such a local value is told among
/// those that were received. OpenZFS 2.3 `module/zfs/dsl_prop.c`, dsl_prop_set_iuv and dsl_prop_get_all_impl.
pub(in crate::embedded) fn is_kept_twice(property: &str, value: &PropValue) -> bool {
    match property {
        // `ZFS_REDUNDANT_METADATA_SOME` and `ZFS_REDUNDANT_METADATA_NONE`.
        "redundant_metadata" => matches!(value.number(), Some(2 | 3)),
        // `ZFS_SNAPDIR_DISABLED`.
        "snapdir" => value.number() == Some(2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(props: &Props) -> Option<(u64, bool)> {
        let (value, received) = props.slot("atime")?.effective()?;
        Some((value.number()?, received))
    }

    #[test]
    fn a_local_value_hides_a_received_one_until_it_is_reverted() {
        let mut props = Props { has_received: true, ..Props::default() };
        props.set("atime", PropSource::Received, Some(PropValue::Number(0)));
        assert_eq!(number(&props), Some((0, true)));
        props.set("atime", PropSource::Local, Some(PropValue::Number(1)));
        assert_eq!(number(&props), Some((1, false)));
        props.set("atime", PropSource::Inherited, None);
        props.hide("atime");
        assert_eq!(number(&props), None);
        props.set("atime", PropSource::None, None);
        assert_eq!(number(&props), Some((0, true)));
        props.set("atime", PropSource::Forgotten, None);
        assert_eq!(props.iter().count(), 0);
    }
}
