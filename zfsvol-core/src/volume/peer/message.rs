//! What is in the bodies of frames: [`Hello`], [`Request`], and the answers, as lists and back.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::frame::{
    DATA_BYTES_MAX, DATA_BYTES_MIN, FrameKind, OTHERS_MAX, PROPERTIES_MAX, SILENCE_MS_MAX,
    SILENCE_MS_MIN, TALK, VERSIONS, violation,
};
use super::{
    Action, Compared, Incoming, Offer, OtherBase, PeerSnapshot, PeerVolume, Settled, VolumeId,
};
use crate::error::{Error, ErrorKind, Result};
use crate::nvlist::{NvList, NvTypeError, Value};
use crate::property::{PropertySet, PropertyValue};
use crate::units::{Guid, Txg};
use crate::volume::push::goes_with_a_push;
use crate::volume::{Ownership, VolumeName};

const VERSION_MIN: &str = "version_min";
const VERSION_MAX: &str = "version_max";
const NODE: &str = "node";
const SOFTWARE: &str = "software";
const SILENCE_MS: &str = "silence_ms";
const DATA_MAX: &str = "data_bytes_max";

const ID: &str = "id";
const NAME: &str = "name";
const SNAPSHOT: &str = "snapshot";
const GUID: &str = "guid";
const EPOCH: &str = "epoch";
const PROPERTIES: &str = "properties";
const BACK_TO: &str = "back_to";
const OTHERS: &str = "others";

const PUSHED: &str = "pushed";
const SAME: &str = "same";
const VOLUME: &str = "volume";
const OWNER: &str = "owner";
const STATE: &str = "state";
const SNAPSHOTS: &str = "snapshots";
const GUIDS: &str = "guids";
const CREATETXGS: &str = "createtxgs";
const RESUME_TOKEN: &str = "resume_token";
const TICKET: &str = "ticket";
const ACCEPTED: &str = "accepted";

const BYTES: &str = "bytes";
const TAKEN: &str = "taken";
const LIMIT: &str = "limit";

/// Who one is, and what one takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) version_min: u64,
    pub(super) version_max: u64,
    pub(super) node: Uuid,
    pub(super) software: String,
    /// After how long without a byte one gives the other side up.
    pub(super) silence: Duration,
    /// Most bytes of a Data that one takes.
    pub(super) data_bytes_max: usize,
}

impl Hello {
    pub(super) fn new(node: Uuid, silence: Duration) -> Self {
        Self {
            version_min: *VERSIONS.start(),
            version_max: *VERSIONS.end(),
            node,
            software: concat!("zfsvol ", env!("CARGO_PKG_VERSION")).to_owned(),
            silence,
            data_bytes_max: DATA_BYTES_MAX,
        }
    }

    pub(super) fn encode(&self) -> NvList {
        let silence_ms = u64::try_from(self.silence.as_millis()).unwrap_or(u64::MAX);
        let mut list = NvList::new();
        list.insert(VERSION_MIN, self.version_min);
        list.insert(VERSION_MAX, self.version_max);
        list.insert(NODE, self.node.to_string());
        list.insert(SOFTWARE, self.software.as_str());
        list.insert(SILENCE_MS, silence_ms);
        list.insert(DATA_MAX, self.data_bytes_max as u64);
        list
    }

    pub(super) fn decode(list: &NvList) -> Result<Self> {
        /// As long as a name and a version are.
        const SOFTWARE_BYTES_MAX: usize = 128;
        let number = |name| list.require_u64(name).map_err(wrong);
        let (version_min, version_max) = (number(VERSION_MIN)?, number(VERSION_MAX)?);
        // Before anything else: a later version may have changed all the rest.
        check_versions(version_min, version_max)?;
        let silence_ms = number(SILENCE_MS)?;
        if !(SILENCE_MS_MIN..=SILENCE_MS_MAX).contains(&silence_ms) {
            return Err(violation(format!("a Hello asks for a silence of {silence_ms} ms")));
        }
        let data_max = number(DATA_MAX)?;
        if data_max < DATA_BYTES_MIN as u64 {
            return Err(violation(format!("a Hello takes pieces of {data_max} bytes only")));
        }
        let software = list.require_str(SOFTWARE).map_err(wrong)?;
        if software.len() > SOFTWARE_BYTES_MAX {
            return Err(violation("a Hello has a name of a software that is too long"));
        }
        Ok(Self {
            version_min,
            version_max,
            node: uuid(list, NODE)?,
            software: software.to_owned(),
            silence: Duration::from_millis(silence_ms),
            // What is more than we send is as good.
            data_bytes_max: usize::try_from(data_max).unwrap_or(DATA_BYTES_MAX).min(DATA_BYTES_MAX),
        })
    }
}

/// There must be a version that both sides speak; it is the newest of those.
fn check_versions(min: u64, max: u64) -> Result<()> {
    if min <= *VERSIONS.end() && max >= *VERSIONS.start() && min <= max {
        return Ok(());
    }
    let (our_min, our_max) = (VERSIONS.start(), VERSIONS.end());
    let reason = format!(
        "it speaks the versions {min} to {max} of the protocol, and this side {our_min} to {our_max}"
    );
    let help = if min > *our_max { "update zfsvol here" } else { "update zfsvol there" };
    Err(Error::new(ErrorKind::Unsupported, TALK, reason).with_help(help))
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Look(VolumeId),
    /// A Look that says what was pushed last.
    Compare(Incoming),
    Receive(Incoming),
    AbortReceive(VolumeId),
    Finish(Incoming),
    Accept(Offer),
    Settle(Offer),
}

impl Request {
    pub(super) fn kind(&self) -> FrameKind {
        match self {
            Self::Look(_) | Self::Compare(_) => FrameKind::Look,
            Self::Receive(_) => FrameKind::Receive,
            Self::AbortReceive(_) => FrameKind::AbortReceive,
            Self::Finish(_) => FrameKind::Finish,
            Self::Accept(_) => FrameKind::Accept,
            Self::Settle(_) => FrameKind::Settle,
        }
    }

    pub(super) fn action(&self) -> Action {
        match self {
            Self::Look(_) | Self::Compare(_) => Action::Look,
            Self::Receive(_) => Action::Receive,
            Self::AbortReceive(_) => Action::AbortReceive,
            Self::Finish(_) => Action::Finish,
            Self::Accept(_) => Action::Accept,
            Self::Settle(_) => Action::Settle,
        }
    }

    pub(super) fn volume(&self) -> &VolumeId {
        match self {
            Self::Look(volume) | Self::AbortReceive(volume) => volume,
            Self::Compare(incoming) | Self::Receive(incoming) | Self::Finish(incoming) => {
                &incoming.volume
            }
            Self::Accept(offer) | Self::Settle(offer) => &offer.volume,
        }
    }

    pub(super) fn encode(&self) -> NvList {
        let mut list = NvList::new();
        list.insert(ID, self.volume().id.to_string());
        list.insert(NAME, self.volume().name.as_str());
        match self {
            Self::Look(_) | Self::AbortReceive(_) => {}
            Self::Compare(incoming) => {
                let mut pushed = NvList::new();
                encode_incoming(&mut pushed, incoming);
                list.insert(PUSHED, pushed);
            }
            Self::Receive(incoming) | Self::Finish(incoming) => {
                encode_incoming(&mut list, incoming);
            }
            Self::Accept(offer) | Self::Settle(offer) => {
                list.insert(GUID, offer.snapshot.get());
                list.insert(EPOCH, offer.epoch);
            }
        }
        list
    }

    /// What a list asks for, when the node `from` sends it: a node pushes and hands over what is its own.
    pub(super) fn decode(kind: FrameKind, list: &NvList, from: Uuid) -> Result<Self> {
        let name = list.require_str(NAME).map_err(wrong)?;
        let name: VolumeName = name.parse().map_err(|error: crate::volume::VolumeNameError| {
            Error::new(ErrorKind::InvalidName, TALK, error.to_string())
        })?;
        let volume = VolumeId { id: uuid(list, ID)?, name };
        match kind {
            FrameKind::Look => match list.get(PUSHED) {
                None => Ok(Self::Look(volume)),
                Some(Value::NvList(pushed)) => Ok(Self::Compare(incoming(pushed, volume, from)?)),
                Some(_) => Err(violation("what was pushed is no list")),
            },
            FrameKind::AbortReceive => Ok(Self::AbortReceive(volume)),
            FrameKind::Receive => Ok(Self::Receive(incoming(list, volume, from)?)),
            FrameKind::Finish => Ok(Self::Finish(incoming(list, volume, from)?)),
            FrameKind::Accept => Ok(Self::Accept(offer(list, volume, from)?)),
            FrameKind::Settle => Ok(Self::Settle(offer(list, volume, from)?)),
            other => Err(violation(format!("a {other} is no request"))),
        }
    }
}

fn encode_incoming(list: &mut NvList, incoming: &Incoming) {
    list.insert(SNAPSHOT, incoming.snapshot.as_str());
    list.insert(GUID, incoming.guid.get());
    list.insert(EPOCH, incoming.epoch);
    if !incoming.properties.is_empty() {
        list.insert(PROPERTIES, encode_properties(&incoming.properties));
    }
    if let Some(guid) = incoming.back_to {
        list.insert(BACK_TO, guid.get());
    }
    if !incoming.others.is_empty() {
        list.insert(OTHERS, encode_others(&incoming.others));
    }
    if let Some(ticket) = incoming.ticket {
        list.insert(TICKET, ticket);
    }
}

fn incoming(list: &NvList, volume: VolumeId, owner: Uuid) -> Result<Incoming> {
    let properties = match list.get(PROPERTIES) {
        Some(Value::NvList(properties)) => decode_properties(properties)?,
        Some(_) => return Err(violation("the properties of a volume are no list")),
        None => PropertySet::new(),
    };
    let back_to = match list.get(BACK_TO) {
        Some(Value::Uint64(guid)) => Some(Guid::new(*guid)),
        Some(_) => return Err(violation("what a copy is to be taken back to is no GUID")),
        None => None,
    };
    let others = match list.get(OTHERS) {
        Some(Value::NvList(others)) => decode_others(others)?,
        Some(_) => return Err(violation("what other replicas have is no list")),
        None => Vec::new(),
    };
    Ok(Incoming {
        volume,
        snapshot: list.require_str(SNAPSHOT).map_err(wrong)?.to_owned(),
        guid: Guid::new(list.require_u64(GUID).map_err(wrong)?),
        owner,
        epoch: list.require_u64(EPOCH).map_err(wrong)?,
        properties,
        back_to,
        others,
        ticket: ticket(list)?,
    })
}

fn ticket(list: &NvList) -> Result<Option<u64>> {
    match list.get(TICKET) {
        None => Ok(None),
        Some(Value::Uint64(ticket)) => Ok(Some(*ticket)),
        Some(_) => Err(violation("a ticket is no number")),
    }
}

fn offer(list: &NvList, volume: VolumeId, from: Uuid) -> Result<Offer> {
    Ok(Offer {
        volume,
        from,
        epoch: list.require_u64(EPOCH).map_err(wrong)?,
        snapshot: Guid::new(list.require_u64(GUID).map_err(wrong)?),
    })
}

fn encode_properties(properties: &PropertySet) -> NvList {
    let values = properties.iter().map(|(name, value)| {
        let value: Value = match value {
            PropertyValue::Text(text) => text.as_str().into(),
            PropertyValue::Index { word, .. } => (*word).into(),
            other => other.as_number().unwrap_or_default().into(),
        };
        (name, value)
    });
    values.collect()
}

fn encode_others(others: &[OtherBase]) -> NvList {
    let mut by_node = BTreeMap::<Uuid, Vec<u64>>::new();
    for OtherBase { node, guid } in others.iter().take(OTHERS_MAX) {
        by_node.entry(*node).or_default().push(guid.get());
    }
    let arrays = by_node.into_iter();
    arrays.map(|(node, guids)| (node.to_string(), Value::Uint64Array(guids))).collect()
}

fn decode_others(list: &NvList) -> Result<Vec<OtherBase>> {
    let mut others = Vec::new();
    for (name, value) in list {
        let node = name.parse::<Uuid>().ok().filter(|node| node.to_string() == name);
        let node = node.ok_or_else(|| violation("what other replicas have is not by node"))?;
        let Value::Uint64Array(guids) = value else {
            return Err(violation("what another replica has is no array of GUIDs"));
        };
        if others.len() + guids.len() > OTHERS_MAX {
            let reason = format!("a push tells of more than {OTHERS_MAX} that other replicas have");
            return Err(Error::new(ErrorKind::TooLarge, TALK, reason));
        }
        others.extend(guids.iter().map(|guid| OtherBase { node, guid: Guid::new(*guid) }));
    }
    Ok(others)
}

/// Properties as a replica may have them: never where it is mounted, whether it can be written, or whose it is.
fn decode_properties(list: &NvList) -> Result<PropertySet> {
    if list.len() > PROPERTIES_MAX {
        let reason = format!("a volume comes with more than {PROPERTIES_MAX} properties");
        return Err(Error::new(ErrorKind::TooLarge, TALK, reason));
    }
    let mut properties = PropertySet::new();
    for (name, value) in list {
        if !goes_with_a_push(name) {
            let shown = name.escape_debug();
            let reason = format!("the property '{shown}' of a copy is not its owner's to set");
            return Err(Error::new(ErrorKind::NotPermitted, TALK, reason));
        }
        match value {
            Value::Uint64(number) => properties.set(name, *number)?,
            Value::String(text) => match text.as_str() {
                Some(text) => properties.set(name, text)?,
                None => return Err(violation("the text of a property is not UTF-8")),
            },
            _ => return Err(violation("a property is neither a number nor a text")),
        };
    }
    Ok(properties)
}

/// The answer to a Look.
pub(super) fn encode_volume(volume: Option<&PeerVolume>) -> NvList {
    let mut answer = NvList::new();
    let Some(PeerVolume { ownership, snapshots, resume_token, ticket }) = volume else {
        return answer;
    };
    let mut list = NvList::new();
    list.insert(ID, ownership.id.to_string());
    list.insert(OWNER, ownership.owner.to_string());
    list.insert(EPOCH, ownership.epoch);
    list.insert(STATE, ownership.state.to_string());
    if !snapshots.is_empty() {
        let names: Vec<String> = snapshots.iter().map(|one| one.name.clone()).collect();
        let guids: Vec<u64> = snapshots.iter().map(|one| one.guid.get()).collect();
        let txgs: Vec<u64> = snapshots.iter().map(|one| one.createtxg.get()).collect();
        list.insert(SNAPSHOTS, names);
        list.insert(GUIDS, Value::Uint64Array(guids));
        list.insert(CREATETXGS, Value::Uint64Array(txgs));
    }
    if let Some(token) = resume_token {
        list.insert(RESUME_TOKEN, token.as_str());
    }
    if let Some(ticket) = ticket {
        list.insert(TICKET, *ticket);
    }
    answer.insert(VOLUME, list);
    answer
}

pub(super) fn decode_volume(answer: &NvList) -> Result<Option<PeerVolume>> {
    let list = match answer.get(VOLUME) {
        None => return Ok(None),
        Some(Value::NvList(list)) => list,
        Some(_) => return Err(violation("a volume is no list")),
    };
    let state = list.require_str(STATE).map_err(wrong)?;
    let ownership = Ownership {
        id: uuid(list, ID)?,
        owner: uuid(list, OWNER)?,
        epoch: list.require_u64(EPOCH).map_err(wrong)?,
        state: state.parse().map_err(|_| violation("a volume is in a state that is none"))?,
    };
    let names = list.get_strs(SNAPSHOTS).unwrap_or_default();
    let guids = list.get_u64s(GUIDS).unwrap_or_default();
    let txgs = list.get_u64s(CREATETXGS).unwrap_or_default();
    if names.len() != guids.len() || names.len() != txgs.len() {
        return Err(violation("a volume has snapshots without name, GUID or transaction group"));
    }
    let snapshots = names.iter().zip(guids).zip(txgs).map(|((name, guid), txg)| {
        let name = name.as_str().filter(|name| name.len() <= crate::name::NAME_BYTES_MAX);
        let name = name.ok_or_else(|| violation("a snapshot has a name that is none"))?;
        Ok(PeerSnapshot {
            name: name.to_owned(),
            guid: Guid::new(*guid),
            createtxg: Txg::new(*txg),
        })
    });
    Ok(Some(PeerVolume {
        ownership,
        snapshots: snapshots.collect::<Result<_>>()?,
        resume_token: list.get_str(RESUME_TOKEN).map(str::to_owned),
        ticket: ticket(list)?,
    }))
}

/// The answer to a Look that says what was pushed last.
pub(super) fn encode_compared(compared: &Compared) -> NvList {
    match compared {
        Compared::Same => NvList::from_iter([(SAME, true)]),
        Compared::Other(volume) => encode_volume(volume.as_ref()),
    }
}

pub(super) fn decode_compared(answer: &NvList) -> Result<Compared> {
    match answer.get(SAME) {
        // Also a peer that did not compare.
        None | Some(Value::BooleanValue(false)) => decode_volume(answer).map(Compared::Other),
        Some(Value::BooleanValue(true)) => Ok(Compared::Same),
        Some(_) => Err(violation("'same' is neither true nor false")),
    }
}

/// The answer to a Settle.
pub(super) fn encode_settled(settled: Settled) -> NvList {
    NvList::from_iter([(ACCEPTED, settled == Settled::Accepted)])
}

pub(super) fn decode_settled(answer: &NvList) -> Result<Settled> {
    match answer.require_bool(ACCEPTED).map_err(wrong)? {
        true => Ok(Settled::Accepted),
        false => Ok(Settled::Refused),
    }
}

/// The body of an End: how long the stream was.
pub(super) fn encode_end(bytes: u64) -> NvList {
    NvList::from_iter([(BYTES, bytes)])
}

pub(super) fn decode_end(list: &NvList) -> Result<u64> {
    list.require_u64(BYTES).map_err(wrong)
}

/// The body of a Credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Credit {
    /// Bytes of the stream that were taken so far.
    pub(super) taken: u64,
    /// Bytes of the stream that may be sent, from its beginning.
    pub(super) limit: u64,
}

impl Credit {
    pub(super) fn encode(self) -> NvList {
        NvList::from_iter([(TAKEN, self.taken), (LIMIT, self.limit)])
    }

    pub(super) fn decode(list: &NvList) -> Result<Self> {
        let number = |name| list.require_u64(name).map_err(wrong);
        Ok(Self { taken: number(TAKEN)?, limit: number(LIMIT)? })
    }
}

/// A UUID in its one spelling, of 36 characters.
fn uuid(list: &NvList, name: &'static str) -> Result<Uuid> {
    let text = list.require_str(name).map_err(wrong)?;
    let parsed = text.parse::<Uuid>().ok().filter(|uuid| uuid.to_string() == text);
    parsed.ok_or_else(|| violation(format!("'{name}' is not a UUID")))
}

fn wrong(error: NvTypeError) -> Error {
    violation(format!("a body that says something else: {error}")).with_source(error)
}
