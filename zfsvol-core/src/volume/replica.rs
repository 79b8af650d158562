//! What a node does for its peers: the other half of a push and of a handoff.

use std::io::{Read, Write};

use uuid::Uuid;

use super::create::owned_properties;
use super::event::VolumeEventKind::{HandedOver, Received, Renamed};
use super::info::Present;
use super::keep::PUSH_PREFIX;
use super::peer::{Compared, Incoming, Offer, PeerSnapshot, PeerVolume, Settled, VolumeId};
use super::push::pushed_properties;
use super::{
    Control, Node, Ownership, VolumeEvent, VolumeInfo, VolumeName, VolumeSnapshot, VolumeState,
};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SnapshotName;
use crate::property::{
    Properties, Property, PropertyAccess, PropertyInfo, PropertyScope, PropertySet, Source,
};
use crate::stream::ResumeToken;
use crate::units::Guid;
use crate::zfs::{ReceiveOptions, ReceiveStream};

const LOOK: &str = "look for the volume";
const RECEIVE: &str = "receive the volume";
const ACCEPT: &str = "take over the volume";

impl Node {
    pub(super) fn replica_look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>> {
        // Before all else: where a push ends meanwhile, it is out of date.
        let ticket = Some(self.ticket(volume.id));
        let Some(mut found) = self.find(volume)? else { return Ok(None) };
        let snapshots = match self.all_snapshots(&found) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // It was being received, and too little came to be kept; or it has another name now.
                let Some(now) = self.find(volume)? else { return Ok(None) };
                found = now;
                self.all_snapshots(&found)?
            }
            snapshots => snapshots?,
        };
        let snapshots = snapshots.into_iter().map(|one| PeerSnapshot {
            name: one.name,
            guid: one.guid,
            createtxg: one.createtxg,
        });
        Ok(Some(PeerVolume {
            snapshots: snapshots.collect(),
            ownership: found.ownership,
            resume_token: found.resume_token,
            ticket,
        }))
    }

    pub(super) fn replica_compare(&self, pushed: &Incoming) -> Result<Compared> {
        let VolumeId { id, name } = &pushed.volume;
        // Where somebody is at it, it is not known what it will be.
        if let Ok(_alone) = self.alone(LOOK, name, *id) {
            if self.is_copy(pushed)? {
                self.use_ticket(*id);
                return Ok(Compared::Same);
            }
        }
        self.replica_look(&pushed.volume).map(Compared::Other)
    }

    /// Whether the copy is just what was pushed last, and the push of it was finished. What is wrong otherwise, a look says.
    fn is_copy(&self, pushed: &Incoming) -> Result<bool> {
        let Ok(Some(present)) = self.present(&pushed.volume.name) else { return Ok(false) };
        let Present { info, properties, newest } = present;
        let is_same = info.ownership == replica_of(pushed)
            && info.resume_token.is_none()
            && newest.as_ref() == Some(&pushed.snapshot)
            && self.changes(&properties, &replica_properties(pushed)?)?.is_none();
        Ok(is_same && self.held_guid(&info, &pushed.snapshot)? == Some(pushed.guid))
    }

    /// The GUID of a snapshot, if it is there and held by anybody.
    pub(super) fn held_guid(&self, volume: &VolumeInfo, snapshot: &str) -> Result<Option<Guid>> {
        let snapshot = volume.dataset.snapshot(snapshot)?;
        let properties = match self.zfs().stored_properties(&snapshot) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found?.0,
        };
        let is_held = properties.number("userrefs").is_some_and(|holds| holds > 0);
        Ok(properties.number("guid").filter(|_| is_held).map(Guid::new))
    }

    pub(super) fn replica_receive(
        &self,
        incoming: &Incoming,
        stream: &mut dyn Read,
        control: &Control,
    ) -> Result<()> {
        let name = &incoming.volume.name;
        let told = |error: Error| error.with_operation(RECEIVE).with_target(name.as_str());
        let _alone = self.alone(RECEIVE, name, incoming.volume.id)?;
        let found = self.find(&incoming.volume)?;
        let mut options = ReceiveOptions::new().resumable();
        match &found {
            Some(found) => {
                self.check_incoming(found, incoming).map_err(told)?;
                self.follow_name(found, &incoming.volume).map_err(told)?;
                if let Some(to) = incoming.back_to {
                    let copy = self.volume(RECEIVE, name)?;
                    if self.takes_back(&copy, to).map_err(told)? {
                        options = options.force();
                    }
                }
            }
            // Never as received ones: the first of those a dataset gets make the kernel take its local ones for received, and clear them
            // (OpenZFS 2.1 to 2.4 `module/zfs/dsl_prop.c`, dsl_prop_get_received; seen on 2.3).
            None => {
                self.clear_nameless(name, Some(incoming.guid))?;
                options = options.set(&replica_properties(incoming).map_err(told)?);
            }
        }
        let dataset = self.dataset(name).map_err(told)?;
        let snapshot = dataset.snapshot(&incoming.snapshot).map_err(|error| told(error.into()))?;
        let receive = self.zfs().receive(&snapshot, &options).map_err(told)?;
        control.watch(receive.cancel_handle());
        copy(stream, receive).map_err(told)?;
        self.check_guid(&snapshot, incoming.guid).map_err(told)?;
        self.tell(&VolumeEvent::new(name, Received(incoming.snapshot.clone())));
        Ok(())
    }

    pub(super) fn replica_abort_receive(&self, volume: &VolumeId) -> Result<()> {
        let _alone = self.alone(RECEIVE, &volume.name, volume.id)?;
        let Some(found) = self.find(volume)? else { return Ok(()) };
        self.zfs().abort_receive(&found.dataset).map(drop)
    }

    pub(super) fn replica_finish(&self, pushed: &Incoming, from: Uuid) -> Result<()> {
        let name = &pushed.volume.name;
        let told = |error: Error| error.with_operation(RECEIVE).with_target(name.as_str());
        let _alone = self.alone(RECEIVE, name, pushed.volume.id)?;
        let found = self.find(&pushed.volume)?.ok_or_else(|| missing(RECEIVE, &pushed.volume))?;
        self.check_incoming(&found, pushed).map_err(told)?;
        let snapshots = self.all_snapshots(&found).map_err(told)?;
        check_last(&found, &snapshots, pushed.guid).map_err(told)?;
        self.check_ticket(pushed).map_err(told)?;
        self.use_ticket(pushed.volume.id);
        self.follow_name(&found, &pushed.volume).map_err(told)?;
        let properties = replica_properties(pushed).map_err(told)?;
        self.follow_properties(&pushed.volume, &properties).map_err(told)?;
        let found = self.volume(RECEIVE, name)?;
        self.keep_base(&found, &snapshots, pushed, from)
    }

    pub(super) fn replica_accept(&self, offer: &Offer) -> Result<()> {
        let name = &offer.volume.name;
        let told = |error: Error| error.with_operation(ACCEPT).with_target(name.as_str());
        let _alone = self.alone(ACCEPT, &offer.volume.name, offer.volume.id)?;
        let found = self.find(&offer.volume)?.ok_or_else(|| missing(ACCEPT, &offer.volume))?;
        let known = found.ownership.clone();
        if known.owner == self.id() && known.epoch == offer.epoch {
            // Accepted before, and the answer was lost.
            return Ok(());
        }
        if known.owner != offer.from || known.epoch >= offer.epoch {
            let reason = format!(
                "it belongs to the node {} in epoch {}, and epoch {} is offered by {}",
                known.owner, known.epoch, offer.epoch, offer.from
            );
            return Err(told(Error::new(ErrorKind::NotOwner, ACCEPT, reason)));
        }
        // What was written is known to the kernel's statistics once its transaction group is synced.
        self.zfs().sync_pool(&found.dataset.pool(), false).map_err(told)?;
        let found = self.volume(ACCEPT, &found.name)?;
        let snapshots = self.all_snapshots(&found).map_err(told)?;
        self.check_newest(&found, &snapshots, offer.snapshot).map_err(told)?;
        self.bookmark_shared(&found, &snapshots).map_err(told)?;
        let ownership = Ownership {
            id: known.id,
            owner: self.id(),
            epoch: offer.epoch,
            state: VolumeState::Owned,
        };
        let properties = owned_properties(&ownership, PropertySet::new()).map_err(told)?;
        self.zfs().set_properties(&found.dataset, &properties).map_err(told)?;
        self.tell(&VolumeEvent::new(&found.name, HandedOver { to: self.id() }));
        Ok(())
    }

    pub(super) fn replica_settle(&self, offer: &Offer) -> Result<Settled> {
        let _alone = self.alone(ACCEPT, &offer.volume.name, offer.volume.id)?;
        let Some(found) = self.find(&offer.volume)? else { return Ok(Settled::Refused) };
        let known = found.ownership;
        if known.owner == self.id() && known.epoch >= offer.epoch {
            return Ok(Settled::Accepted);
        }
        if known.epoch < offer.epoch {
            // From now on the offer is an old one, however late it comes.
            let replica = Ownership { owner: offer.from, epoch: offer.epoch, ..known };
            self.zfs().set_properties(&found.dataset, &replica.write(PropertySet::new())?)?;
        }
        Ok(Settled::Refused)
    }

    /// The volume with that UUID, whatever it is called here. `None` when there is none and the name is free, or will be: there may be what a receive has just begun, or
    /// left there.
    pub(super) fn find(&self, volume: &VolumeId) -> Result<Option<VolumeInfo>> {
        let by_name = match self.get(&volume.name) {
            Ok(Some(found)) if found.ownership.id == volume.id => return Ok(Some(found)),
            Ok(None) => Ok(()),
            Err(error) if error.kind() == ErrorKind::InProgress => Ok(()),
            Ok(Some(_)) => {
                let reason = "another volume has its name";
                Err(Error::new(ErrorKind::Exists, LOOK, reason).with_target(volume.name.as_str()))
            }
            Err(error) if error.kind() == ErrorKind::Exists => Err(error),
            Err(error) => return Err(error),
        };
        let found = self.list()?.volumes.into_iter().find(|one| one.ownership.id == volume.id);
        match (found, by_name) {
            (Some(found), _) => Ok(Some(found)),
            (None, taken) => taken.map(|()| None),
        }
    }

    /// Makes room where a first receive of a volume was interrupted before the dataset was said to be one. As good as nothing had come by then. Whether it was of that volume, the snapshot
    /// that is wanted says, or that a push had taken it. `false`, and nothing was done, where it is no such dataset, or there is none.
    pub(super) fn clear_nameless(&self, name: &VolumeName, wanted: Option<Guid>) -> Result<bool> {
        let told = |error: Error| error.with_operation(RECEIVE).with_target(name.as_str());
        let error = match self.get(name) {
            Err(error) if error.kind() == ErrorKind::InProgress => told(error),
            // Whatever else is wrong, who goes on says it.
            _ => return Ok(false),
        };
        let dataset = self.dataset(name).map_err(told)?;
        let token = self.zfs().receive_token(&dataset).map_err(told)?;
        let Some(token) = token.and_then(|token| token.parse::<ResumeToken>().ok()) else {
            return Err(error);
        };
        let is_ours = token.to_name.snapshot().starts_with(PUSH_PREFIX);
        if !is_ours && wanted != Some(token.to_guid) {
            let reason = format!("'{dataset}' is what is left of receiving '{}'", token.to_name);
            return Err(told(Error::new(ErrorKind::Exists, RECEIVE, reason))
                .with_help("abort that receive, and try again"));
        }
        match self.zfs().abort_receive(&dataset) {
            // Somebody is at it.
            Err(busy) if busy.kind() == ErrorKind::Busy => Err(error),
            aborted => aborted.map(|_| true).map_err(told),
        }
    }

    /// What comes must not be older than what is known.
    fn check_incoming(&self, found: &VolumeInfo, incoming: &Incoming) -> Result<()> {
        let known = &found.ownership;
        if known.owner == self.id() {
            let reason = format!("this node owns it in epoch {}", known.epoch);
            return Err(Error::new(ErrorKind::NotOwner, RECEIVE, reason));
        }
        let pushed = Ownership { owner: incoming.owner, epoch: incoming.epoch, ..known.clone() };
        if known.outranks(&pushed) {
            let reason = format!(
                "it belongs to the node {} in epoch {}, and is pushed by {} in epoch {}",
                known.owner, known.epoch, incoming.owner, incoming.epoch
            );
            return Err(Error::new(ErrorKind::NotOwner, RECEIVE, reason));
        }
        Ok(())
    }

    /// No other push of it must have ended since the one that ends was told that nothing is missing.
    fn check_ticket(&self, pushed: &Incoming) -> Result<()> {
        if pushed.ticket.is_none_or(|ticket| ticket == self.ticket(pushed.volume.id)) {
            return Ok(());
        }
        let reason = "another push of it has ended since this one began to";
        Err(Error::new(ErrorKind::DestinationModified, RECEIVE, reason).with_help("push it again"))
    }

    /// A replica has the name that its owner gives it.
    fn follow_name(&self, found: &VolumeInfo, volume: &VolumeId) -> Result<()> {
        if found.name != volume.name {
            self.zfs().rename(&found.dataset, &self.dataset(&volume.name)?)?;
            self.tell(&VolumeEvent::new(&found.name, Renamed(volume.name.clone())));
        }
        Ok(())
    }

    /// And the properties; those that the owner does not set any more are not set here either.
    fn follow_properties(&self, volume: &VolumeId, wanted: &PropertySet) -> Result<()> {
        let dataset = self.dataset(&volume.name)?;
        let (current, _) = self.zfs().stored_properties(&dataset)?;
        let Some(Changes { set, inherited }) = self.changes(&current, wanted)? else {
            return Ok(());
        };
        if !set.is_empty() {
            self.zfs().set_properties(&dataset, &set)?;
        }
        for name in inherited {
            self.zfs().inherit_property(&dataset, name)?;
        }
        Ok(())
    }

    /// What makes the properties those wanted. `None` where they are.
    fn changes<'a>(
        &self,
        current: &'a Properties,
        wanted: &PropertySet,
    ) -> Result<Option<Changes<'a>>> {
        let mut changes = Changes { set: PropertySet::new(), inherited: Vec::new() };
        for (name, value) in wanted.iter() {
            let is_set = |one: &Property| one.source == Source::Local && one.value == *value;
            if !current.get(name).is_some_and(is_set) {
                changes.set.set(name, value.clone())?;
            }
        }
        for (name, property) in pushed_properties(current) {
            if wanted.get(name).is_some() {
                continue;
            }
            match PropertyInfo::find(PropertyScope::Dataset, name) {
                // A limit is not inherited: there is none any more.
                Some(info) if info.access == PropertyAccess::Settable => {
                    if let Some(value) = info.default_value(&self.zfs().module().version) {
                        if property.value != value {
                            changes.set.set(name, value)?;
                        }
                    }
                }
                _ => changes.inherited.push(name),
            }
        }
        let is_none = changes.set.is_empty() && changes.inherited.is_empty();
        Ok((!is_none).then_some(changes))
    }

    fn check_guid(&self, snapshot: &SnapshotName, wanted: Guid) -> Result<()> {
        let found = self.zfs().property(snapshot, "guid")?.and_then(|one| one.value.as_number());
        if found == Some(wanted.get()) {
            return Ok(());
        }
        let reason = format!("the snapshot that came is not the one of GUID {wanted}");
        Err(Error::new(ErrorKind::StreamDamaged, RECEIVE, reason))
    }

    /// Nothing must have come since that snapshot, and nothing must be on its way.
    fn check_newest(
        &self,
        found: &VolumeInfo,
        snapshots: &[VolumeSnapshot],
        wanted: Guid,
    ) -> Result<()> {
        let newest = snapshots.last().filter(|snapshot| snapshot.guid == wanted);
        if let (Some(newest), None) = (newest, &found.resume_token) {
            if self.is_as_in(found, newest)? {
                return Ok(());
            }
        }
        let reason = format!("it is not what the snapshot of GUID {wanted} has");
        Err(Error::new(ErrorKind::DestinationModified, ACCEPT, reason).with_help("push it again"))
    }
}

/// A push is over when what it brought last is the newest there is. Where that is gone, or another has come or begun to come since, the word is a late one: what it says of name
/// and properties is out of date.
fn check_last(found: &VolumeInfo, snapshots: &[VolumeSnapshot], pushed: Guid) -> Result<()> {
    if snapshots.iter().all(|one| one.guid != pushed) {
        let reason = format!("it has no snapshot of GUID {pushed}");
        return Err(Error::new(ErrorKind::NotFound, RECEIVE, reason));
    }
    if snapshots.last().is_some_and(|one| one.guid == pushed) && found.resume_token.is_none() {
        return Ok(());
    }
    let reason = format!("the snapshot of GUID {pushed} is not the last that came");
    Err(Error::new(ErrorKind::DestinationModified, RECEIVE, reason).with_help("push it again"))
}

/// What is to be done to the properties of a copy.
struct Changes<'a> {
    set: PropertySet,
    inherited: Vec<&'a str>,
}

/// Whose a replica is.
fn replica_of(incoming: &Incoming) -> Ownership {
    Ownership {
        id: incoming.volume.id,
        owner: incoming.owner,
        epoch: incoming.epoch,
        state: VolumeState::Replica,
    }
}

/// What a replica has: whose it is, and what its owner set.
fn replica_properties(incoming: &Incoming) -> Result<PropertySet> {
    replica_of(incoming).write(incoming.properties.clone())
}

fn missing(operation: &'static str, volume: &VolumeId) -> Error {
    Error::new(ErrorKind::NotFound, operation, "this node has nothing of it")
        .with_target(volume.name.as_str())
}

/// Has the kernel receive all of a stream. What it refuses is its own error, not that of the pipe to it.
fn copy(stream: &mut dyn Read, mut receive: ReceiveStream) -> Result<()> {
    /// What fits a processor's cache.
    const BUFFER_BYTES: usize = 128 << 10;
    let mut buffer = vec![0; BUFFER_BYTES];
    let failed = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break None,
            Ok(bytes) => {
                if let Err(error) = receive.write_all(buffer.get(..bytes).unwrap_or_default()) {
                    break Some(error);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => break Some(error),
        }
    };
    // The kernel keeps what came, whatever ended it.
    let received = receive.finish();
    match failed {
        None => received.map(drop),
        Some(error) => Err(match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(ours) => ours.clone(),
            None => Error::io(RECEIVE, error),
        }),
    }
}
