//! [`Ownership`]: whose a volume is, as its user properties say.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use uuid::Uuid;

use crate::error::Result as ZfsResult;
use crate::property::{Properties, PropertySet, Source};

/// The volume's UUID.
const ID: &str = "zfsvol:id";
/// The UUID of the node it belongs to.
const OWNER: &str = "zfsvol:owner";
/// A number that grows with every change of owner.
const EPOCH: &str = "zfsvol:epoch";
/// [`VolumeState`].
const STATE: &str = "zfsvol:state";

/// Whose a volume is: four user properties of its dataset, always written by one ioctl, so in one transaction group.
///
/// What they do not say is whether data may be written: that is `readonly` of the dataset, which is changed by the same ioctl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ownership {
    /// The volume, whatever it is called: a volume destroyed and created anew under the same name is another.
    #[serde(serialize_with = "crate::serial::word")]
    pub id: Uuid,
    /// The node it belongs to, as far as this copy knows.
    #[serde(serialize_with = "crate::serial::word")]
    pub owner: Uuid,
    /// How many times it changed its owner. Of two claims the higher one is right.
    pub epoch: u64,
    /// What this copy is.
    #[serde(serialize_with = "crate::serial::word")]
    pub state: VolumeState,
}

/// What one copy of a volume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VolumeState {
    /// The one that is written.
    Owned,
    /// A copy of what another node owns.
    Replica,
    /// Read-only, and being handed to another node: what happened is known when that node has been asked.
    Leaving {
        /// The node that takes it.
        to: Uuid,
        /// The epoch it takes it with.
        epoch: u64,
    },
}

/// Properties of a dataset that call it a volume and do not make sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the property '{property}' is {}, which is not {expected}", Shown(.value.as_deref()))]
pub struct OwnershipError {
    property: &'static str,
    value: Option<String>,
    expected: &'static str,
}

impl Ownership {
    /// Whether this claim is right, and the other is not. The higher epoch is; of two takeovers with the same epoch, by two nodes that did not know of each
    /// other, the one of the node with the higher UUID, so that all who compare them agree.
    #[must_use]
    pub fn outranks(&self, other: &Self) -> bool {
        (self.epoch, self.owner) > (other.epoch, other.owner)
    }

    /// The properties it is made of.
    pub(super) const PROPERTIES: [&str; 4] = [ID, OWNER, EPOCH, STATE];

    /// What the properties of a dataset say. `None` for a dataset that is not a volume: it has none of them set on itself.
    ///
    /// # Errors
    /// Some are there and others are not, or one has a value that zfsvol never writes: somebody else changed them.
    pub fn read(properties: &Properties) -> Result<Option<Self>, OwnershipError> {
        let text = |name: &str| local(properties, name);
        if Self::PROPERTIES.iter().all(|name| text(name).is_none()) {
            return Ok(None);
        }
        Ok(Some(Self {
            id: parse(ID, text(ID), "a UUID")?,
            owner: parse(OWNER, text(OWNER), "a UUID")?,
            epoch: parse(EPOCH, text(EPOCH), "a number")?,
            state: parse(STATE, text(STATE), "'owned', 'replica' or 'leaving NODE EPOCH'")?,
        }))
    }

    /// Adds the four properties to those that one ioctl will write.
    ///
    /// # Errors
    /// As [`PropertySet::with`].
    pub fn write(&self, properties: PropertySet) -> ZfsResult<PropertySet> {
        properties
            .with(ID, self.id.to_string())?
            .with(OWNER, self.owner.to_string())?
            .with(EPOCH, self.epoch.to_string())?
            .with(STATE, self.state.to_string())
    }
}

impl fmt::Display for VolumeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owned => f.write_str("owned"),
            Self::Replica => f.write_str("replica"),
            Self::Leaving { to, epoch } => write!(f, "leaving {to} {epoch}"),
        }
    }
}

/// Not a state that zfsvol writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a state of a volume")]
pub struct NotAState;

impl FromStr for VolumeState {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, NotAState> {
        match text {
            "owned" => return Ok(Self::Owned),
            "replica" => return Ok(Self::Replica),
            _ => {}
        }
        let rest = text.strip_prefix("leaving ").ok_or(NotAState)?;
        let (to, epoch) = rest.split_once(' ').ok_or(NotAState)?;
        let to = to.parse().map_err(|_| NotAState)?;
        let epoch = epoch.parse().map_err(|_| NotAState)?;
        let state = Self::Leaving { to, epoch };
        // Another spelling of the same is not ours: one state has one text.
        if state.to_string() == text { Ok(state) } else { Err(NotAState) }
    }
}

/// A property set on the dataset itself. What a parent has does not make its children volumes.
fn local<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    let property = properties.get(name)?;
    if property.source == Source::Local { property.value.as_str() } else { None }
}

fn parse<T: FromStr>(
    property: &'static str,
    value: Option<&str>,
    expected: &'static str,
) -> Result<T, OwnershipError> {
    value.and_then(|text| text.parse().ok()).ok_or_else(|| OwnershipError {
        property,
        value: value.map(str::to_owned),
        expected,
    })
}

/// A value as a message shows it.
struct Shown<'a>(Option<&'a str>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "'{}'", value.escape_debug()),
            None => f.write_str("missing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::PropertyValue;

    const NODE: Uuid = Uuid::from_u128(7);

    fn ownership(state: VolumeState) -> Ownership {
        Ownership { id: Uuid::from_u128(1), owner: NODE, epoch: 3, state }
    }

    /// What the kernel has once they are set.
    fn properties(of: &Ownership, source: &Source) -> Properties {
        let texts = [
            (ID, of.id.to_string()),
            (OWNER, of.owner.to_string()),
            (EPOCH, of.epoch.to_string()),
            (STATE, of.state.to_string()),
        ];
        let mut properties = Properties::default();
        for (name, text) in texts {
            properties.insert(name, PropertyValue::Text(text), source.clone());
        }
        properties
    }

    #[test]
    fn what_is_written_is_read() {
        let states = [
            VolumeState::Owned,
            VolumeState::Replica,
            VolumeState::Leaving { to: Uuid::from_u128(u128::MAX), epoch: u64::MAX },
        ];
        for state in states {
            let ownership = ownership(state);
            ownership.write(PropertySet::new()).unwrap();
            let read = Ownership::read(&properties(&ownership, &Source::Local)).unwrap();
            assert_eq!(read, Some(ownership));
        }
    }

    #[test]
    fn of_two_claims_one_is_right() {
        let claim = |epoch, owner| Ownership { epoch, owner, ..ownership(VolumeState::Owned) };
        let (low, high) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(claim(3, low).outranks(&claim(2, high)));
        assert!(claim(3, high).outranks(&claim(3, low)));
        assert!(!claim(3, low).outranks(&claim(3, high)));
        assert!(!claim(3, low).outranks(&claim(3, low)));
    }

    #[test]
    fn a_dataset_that_says_nothing_is_no_volume() {
        assert_eq!(Ownership::read(&Properties::default()), Ok(None));
    }

    #[test]
    fn what_is_inherited_or_received_makes_no_volume() {
        let ownership = ownership(VolumeState::Owned);
        let parent = Source::Inherited("tank".parse().unwrap());
        for source in [parent, Source::Received] {
            assert_eq!(Ownership::read(&properties(&ownership, &source)), Ok(None));
        }
    }

    #[test]
    fn what_somebody_else_changed_is_told() {
        let mut missing = properties(&ownership(VolumeState::Owned), &Source::Local);
        missing.remove(EPOCH);
        let error = Ownership::read(&missing).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the property 'zfsvol:epoch' is missing, which is not a number"
        );

        let spellings = [
            "",
            "Owned",
            "leaving",
            "leaving x 1",
            &format!("leaving {NODE} +1"),
            &format!("leaving {NODE} 01"),
        ];
        for text in spellings {
            let mut odd = properties(&ownership(VolumeState::Owned), &Source::Local);
            odd.insert(STATE, PropertyValue::Text(text.to_owned()), Source::Local);
            let error = Ownership::read(&odd).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the property 'zfsvol:state' is '{text}', which is not 'owned', 'replica' or \
                     'leaving NODE EPOCH'"
                )
            );
        }
    }
}
