//! Push: bring another node's copy of a volume up to date.

use std::sync::Arc;

use serde::Serialize;

use super::info::Present;
use super::job::{Control, Job, Outgoing, Phase, cancelled};
use super::keep::{PUSH_PREFIX, Pushes, others, push_snapshot_name};
use super::node::no_such_volume;
use super::peer::{Compared, Incoming, Peer, PeerVolume, VolumeId};
use super::rollback;
use super::snapshot::ENGINE_PREFIX;
use super::{
    Bandwidth, Node, Ownership, VolumeEvent, VolumeEventKind, VolumeInfo, VolumeName,
    VolumeSnapshot,
};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SnapshotName;
use crate::property::{Properties, Property, PropertyInfo, PropertyScope, PropertySet, Source};
use crate::stream::{ResumeToken, SendFlags};
use crate::units::{Bytes, Guid, Txg};
use crate::zfs::{Bookmark, SendBase, SendOptions, SendStream};

pub(super) const PUSH: &str = "push the volume";

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

/// What to do about a copy that cannot be brought up to date: this node cannot know which of the two is the one to keep.
pub(super) const INSTEAD: &str = "take it over there if it is the newer one, and go on with it; if not, destroy the replica there, and push again";

/// How to push.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    bandwidth: Option<Bandwidth>,
}

impl PushOptions {
    /// As fast as it goes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No faster than this, together with all other pushes that have the same limit.
    #[must_use]
    pub fn bandwidth(mut self, limit: &Bandwidth) -> Self {
        self.bandwidth = Some(limit.clone());
        self
    }
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pushed {
    /// The snapshot that both sides have now, and the next push begins from.
    pub snapshot: Guid,
    /// The snapshots that were sent, from oldest to newest. Empty when the peer had everything.
    #[serde(with = "crate::nvlist::string_array")]
    pub sent: Vec<String>,
    /// Bytes of the streams that were sent.
    pub bytes: Bytes,
}

impl Node {
    /// Brings the peer's copy of a volume up to date, in the background: with every snapshot that the volume has and the peer has not, since the newest that both have,
    /// and with what was written after the last of them. The first push sends everything.
    ///
    /// What both have is found by GUID, whatever it is called, among this node's snapshots and the bookmarks of those that are gone. An
    /// interrupted push goes on where it stopped. Encrypted volumes are sent as they are on disk; the peer needs no key.
    ///
    /// When nothing has changed since the last push, that is all it finds out: by `ZFS_IOC_POOL_SYNC`, `ZFS_IOC_OBJSET_STATS` twice and `ZFS_IOC_GET_BOOKMARKS` here, and one question to the
    /// peer, who finds the answer by `ZFS_IOC_OBJSET_STATS` twice.
    ///
    /// It takes a snapshot for the purpose when anything was written. Both sides hold the newest one that they have in common (tag
    /// `zfsvol:push:` and the other node's UUID) and destroy those before it.
    ///
    /// # Errors
    /// At once: no thread can be started. From [`Job::wait`]:
    /// - [`ErrorKind::NotFound`], [`ErrorKind::NotOwner`]: also when the peer says that it owns the volume, or knows of a later owner.
    /// - [`ErrorKind::Exists`]: the peer has something else of that name.
    /// - [`ErrorKind::DestinationModified`]: the peer's copy was written to behind its back, or has snapshots that this node does not know.
    ///   [`ErrorKind::BaseMissing`]: the two have nothing in common any more. Take the copy over there: it may be the newer one. If not, destroy it ([`Node::destroy_replica`]), and push again.
    /// - [`ErrorKind::InProgress`]: the volume is being pushed or handed over already.
    /// - [`ErrorKind::Cancelled`]; as [`Zfs::send`](crate::Zfs::send) and [`Zfs::receive`](crate::Zfs::receive).
    pub fn push(
        &self,
        name: &VolumeName,
        peer: &Arc<dyn Peer>,
        options: &PushOptions,
    ) -> Result<Job<Pushed>> {
        let (node, name) = (self.clone(), name.clone());
        let (peer, options) = (Arc::clone(peer), options.clone());
        Job::start(PUSH, move |control| {
            let moment = node.moment();
            let mut now = node.synced(PUSH, &name)?;
            node.check_owned(PUSH, &now.info)?;
            let id = now.info.ownership.id;
            let _alone = node.alone(PUSH, &name, id)?;
            if node.was_moved_since(moment, id) {
                now = node.synced(PUSH, &name)?;
                node.check_owned(PUSH, &now.info)?;
            }
            let pushed = Push { node: &node, peer: &*peer, options: &options, control }.run(now)?;
            node.tell(&VolumeEvent::new(&name, VolumeEventKind::Pushed { to: peer.node() }));
            Ok(pushed)
        })
    }
}

impl Node {
    /// A volume as it is now, with all that was written to it until now: that is known to the kernel's statistics once its transaction group is synced.
    pub(super) fn synced(&self, operation: &'static str, name: &VolumeName) -> Result<Present> {
        let told = |error: Error| error.with_operation(operation).with_target(name.as_str());
        self.zfs().sync_pool(&self.root().pool(), false).map_err(told)?;
        let found = self.present(name).map_err(|error| error.with_operation(operation))?;
        found.ok_or_else(|| no_such_volume(operation, name))
    }

    /// How a volume is sent: as it is on disk, so that nothing is decompressed to be compressed again, and blocks keep their size.
    pub(super) fn send_flags(&self, volume: &VolumeInfo) -> Result<SendFlags> {
        let encryption = self.zfs().property(&volume.dataset, "encryption")?;
        let is_plain = encryption.is_none_or(|one| one.value.as_str() == Some("off"));
        let as_stored = SendFlags::COMPRESS | SendFlags::LARGE_BLOCK | SendFlags::EMBED;
        Ok(if is_plain { as_stored } else { SendFlags::RAW })
    }
}

/// One push, by whoever has the volume to himself.
#[derive(Clone, Copy)]
pub(super) struct Push<'a> {
    pub(super) node: &'a Node,
    pub(super) peer: &'a dyn Peer,
    pub(super) options: &'a PushOptions,
    pub(super) control: &'a Control,
}

/// A snapshot that the peer lacks, and what it is sent from.
struct Step {
    snapshot: VolumeSnapshot,
    base: Option<Base>,
}

/// What both have, and a stream begins from.
struct Base {
    from: SendBase,
    guid: Guid,
    createtxg: Txg,
}

/// What a step of a push did.
enum Done {
    /// The snapshot of that name is there now; `None`: what was left of another is not there any more.
    Sent(Option<String>),
    /// The peer has everything, up to this one.
    Everything(Guid),
}

/// How far a push is.
#[derive(Default)]
struct Course {
    /// The snapshot that the peer is to have in the end, once that is known.
    goal: Option<Guid>,
    /// The newest snapshot that was sent, whole or not.
    newest: Option<Txg>,
    /// How often the peer was looked at since that was sent first, or since the beginning.
    turns: u32,
}

impl Course {
    /// The peer was looked at once more. Whether, if that brings nothing, it may be looked at again.
    fn next_turn(&mut self) -> bool {
        /// For each snapshot. That a look is out of date when it is used takes something that was lost and ends there just then, or somebody there who destroys what
        /// was sent; a peer with which that goes on would be asked forever.
        const TURNS_MAX: u32 = 5;
        self.turns = self.turns.saturating_add(1);
        self.turns < TURNS_MAX
    }

    /// This one is sent next.
    fn head_for(&mut self, snapshot: &VolumeSnapshot) {
        // They are sent from the oldest to the newest.
        if self.newest.is_none_or(|newest| newest < snapshot.createtxg) {
            (self.newest, self.turns) = (Some(snapshot.createtxg), 0);
        }
    }

    /// Whether the one that was sent in this turn had not been sent before.
    fn is_new(&self) -> bool {
        self.turns == 0
    }
}

/// The volume that is pushed, as it was when the push began.
struct Outbound {
    info: VolumeInfo,
    id: VolumeId,
    /// What is set on it, and goes with it.
    properties: PropertySet,
    /// Which of its snapshots is the newest.
    newest: Option<String>,
}

impl Outbound {
    fn new(now: Present) -> Result<Self> {
        let Present { info, properties, newest } = now;
        let id = VolumeId { id: info.ownership.id, name: info.name.clone() };
        let mut pushed = PropertySet::new();
        for (name, property) in pushed_properties(&properties) {
            pushed.set(name, property.value.clone())?;
        }
        Ok(Self { info, id, properties: pushed, newest })
    }

    fn incoming(&self, snapshot: String, guid: Guid) -> Incoming {
        let Ownership { owner, epoch, .. } = self.info.ownership;
        let (volume, properties) = (self.id.clone(), self.properties.clone());
        let (back_to, others) = (None, Vec::new());
        Incoming { volume, snapshot, guid, owner, epoch, properties, back_to, others }
    }
}

impl Push<'_> {
    /// Sends what the peer lacks, one snapshot after the other, until it lacks nothing; looks again after each, so that it does not matter
    /// what was sent before and by whom.
    pub(super) fn run(&self, now: Present) -> Result<Pushed> {
        let within = self.peer.within(self.control);
        let peer = within.as_deref().unwrap_or(self.peer);
        Push { peer, ..*self }.run_until_cancelled(now)
    }

    fn run_until_cancelled(&self, now: Present) -> Result<Pushed> {
        let name = now.info.name.clone();
        let told = |error: Error| error.with_operation(PUSH).with_target(name.as_str());
        let volume = Outbound::new(now).map_err(told)?;
        let (mut sent, mut course) = (Vec::new(), Course::default());
        let mut pushed_last = self.pushed_last(&volume).map_err(told)?;
        loop {
            self.control.enter(PUSH, Phase::Comparing).map_err(told)?;
            let there = match self.look(&volume, pushed_last.as_ref()).map_err(told)? {
                Compared::Other(there) => there,
                Compared::Same => {
                    let snapshot = pushed_last.map(|pushed| pushed.guid).unwrap_or_default();
                    return Ok(Pushed { snapshot, sent, bytes: self.control.progress().bytes });
                }
            };
            pushed_last = None;
            let may_try_again = course.next_turn();
            match self.step(&volume, there.as_ref(), &mut course) {
                Ok(Done::Everything(snapshot)) => {
                    return Ok(Pushed { snapshot, sent, bytes: self.control.progress().bytes });
                }
                Ok(Done::Sent(snapshot)) if may_try_again || course.is_new() => {
                    sent.extend(snapshot.filter(|name| sent.last() != Some(name)));
                }
                Ok(Done::Sent(_)) => {
                    let reason = "the peer takes what is sent, and does not have it afterwards";
                    return Err(told(Error::protocol(PUSH, reason)));
                }
                Err(error) if may_try_again && self.is_outdated(&volume.id, &there, &error) => {}
                Err(error) => return Err(told(error)),
            }
        }
    }

    /// What was pushed to that peer last, and brought to an end here, if nothing has changed since: then the peer has to be asked only whether it still has just that.
    fn pushed_last(&self, volume: &Outbound) -> Result<Option<Incoming>> {
        let (info, node) = (&volume.info, self.node);
        let Some(newest) = volume.newest.as_ref().filter(|_| info.written == Bytes::ZERO) else {
            return Ok(None);
        };
        match node.held_guid(info, newest)? {
            Some(guid) if node.has_bookmark_of(info, guid, self.peer.node())? => {
                Ok(Some(volume.incoming(newest.clone(), guid)))
            }
            _ => Ok(None),
        }
    }

    fn look(&self, volume: &Outbound, pushed_last: Option<&Incoming>) -> Result<Compared> {
        match pushed_last {
            Some(pushed) => self.peer.compare(pushed),
            None => self.peer.look(&volume.id).map(Compared::Other),
        }
    }

    /// Does what is next, as the peer was when it was looked at.
    fn step(
        &self,
        volume: &Outbound,
        there: Option<&PeerVolume>,
        course: &mut Course,
    ) -> Result<Done> {
        if let Some(there) = there {
            self.check_owner(&volume.info, there)?;
        }
        if let Some(resumed) = self.resume(volume, there, course)? {
            return Ok(Done::Sent(resumed));
        }
        let goal = match course.goal {
            Some(goal) => goal,
            None => *course.goal.insert(self.goal(&volume.info, there)?),
        };
        match self.next_step(&volume.info, there, goal)? {
            None => {
                self.settle(volume, goal)?;
                Ok(Done::Everything(goal))
            }
            Some(step) => {
                course.head_for(&step.snapshot);
                self.send(volume, there, &step)?;
                Ok(Done::Sent(Some(step.snapshot.name)))
            }
        }
    }

    /// Whether the peer refused because it is not any more what it was when it was looked at: what came over a connection that was lost was still being received
    /// then, and is there now, in part or whole, or is not, where it was too little to be kept.
    fn is_outdated(&self, id: &VolumeId, before: &Option<PeerVolume>, error: &Error) -> bool {
        let is_refusal = matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::Exists
                | ErrorKind::ResumePending
                | ErrorKind::DestinationModified
                | ErrorKind::StreamDamaged
        );
        is_refusal && self.peer.look(id).is_ok_and(|now| now != *before)
    }

    /// The peer must not be the owner, nor know of a later one.
    fn check_owner(&self, volume: &VolumeInfo, there: &PeerVolume) -> Result<()> {
        let (ours, theirs) = (&volume.ownership, &there.ownership);
        let error = |reason: String, help: &'static str| {
            Err(Error::new(ErrorKind::NotOwner, PUSH, reason).with_help(help))
        };
        if theirs.outranks(ours) {
            let (owner, epoch) = (theirs.owner, theirs.epoch);
            let reason = format!(
                "the node {owner} owns it in epoch {epoch}, and this one in {}",
                ours.epoch
            );
            return error(reason, "recover it here");
        }
        if theirs.owner == self.peer.node() {
            let reason = format!("the peer says that it owns it in epoch {}", theirs.epoch);
            return error(reason, "recover it there");
        }
        Ok(())
    }

    /// Goes on with a push that was interrupted; throws it away where that cannot be. Says what was sent, if anything was there.
    fn resume(
        &self,
        volume: &Outbound,
        there: Option<&PeerVolume>,
        course: &mut Course,
    ) -> Result<Option<Option<String>>> {
        let Some((there, token)) = there.and_then(|it| Some((it, it.resume_token.as_deref()?)))
        else {
            return Ok(None);
        };
        let ours = token.parse::<ResumeToken>().ok().and_then(|token| {
            let snapshots = self.node.all_snapshots(&volume.info).ok()?;
            let snapshot = snapshots.into_iter().find(|one| one.guid == token.to_guid)?;
            Some((snapshot, token))
        });
        if let Some((snapshot, token)) = ours {
            match self.node.zfs().send_resume(&token, Some(&volume.info.dataset)) {
                Ok(stream) => {
                    course.head_for(&snapshot);
                    self.transfer(
                        volume,
                        &snapshot,
                        stream,
                        token.from_guid.map(|it| (there, it)),
                    )?;
                    return Ok(Some(Some(snapshot.name)));
                }
                // The snapshot or its base is gone since.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::BaseMissing) => {}
                Err(error) => return Err(error),
            }
        }
        self.peer.abort_receive(&volume.id)?;
        Ok(Some(None))
    }

    /// The snapshot that the peer is to have in the end: the newest one if it has that and nothing was written since, else a new one.
    fn goal(&self, volume: &VolumeInfo, there: Option<&PeerVolume>) -> Result<Guid> {
        let newest = self.node.all_snapshots(volume)?.pop();
        let theirs = there.map(|there| there.snapshots.as_slice()).unwrap_or_default();
        let at = |guid: Guid| theirs.iter().rposition(|one| one.guid == guid);
        match newest.filter(|_| volume.written == Bytes::ZERO) {
            Some(newest) => match at(newest.guid) {
                Some(at) if at + 1 == theirs.len() => Ok(newest.guid),
                // A snapshot of ours that did not get there, and nothing was written since.
                None if newest.name.starts_with(PUSH_PREFIX) => Ok(newest.guid),
                // What the peer is to have in the end must be the newest there.
                _ => self.take_snapshot(volume),
            },
            None => self.take_snapshot(volume),
        }
    }

    fn take_snapshot(&self, volume: &VolumeInfo) -> Result<Guid> {
        let snapshot = volume.dataset.snapshot(&push_snapshot_name())?;
        self.node.zfs().snapshot([&snapshot], &PropertySet::new())?;
        let guid =
            self.node.zfs().property(&snapshot, "guid")?.and_then(|one| one.value.as_number());
        guid.map(Guid::new).ok_or_else(|| Error::protocol(PUSH, "the snapshot has no GUID"))
    }

    /// The oldest snapshot up to the goal that the peer lacks and should have: the volume's own, and what its other replicas may have, so that each of them has something in common with each
    /// other.
    fn next_step(
        &self,
        volume: &VolumeInfo,
        there: Option<&PeerVolume>,
        goal: Guid,
    ) -> Result<Option<Step>> {
        let ours = self.node.all_snapshots(volume)?;
        let theirs = there.map(|there| there.snapshots.as_slice()).unwrap_or_default();
        let has = |guid: Guid| theirs.iter().any(|one| one.guid == guid);
        let common = ours.iter().rposition(|one| has(one.guid));
        let mut base = match common.and_then(|at| ours.get(at)) {
            Some(one) => {
                let from = SendBase::Snapshot(snapshot_of(volume, one)?);
                Some(Base { from, guid: one.guid, createtxg: one.createtxg })
            }
            None => None,
        };
        let bookmarks = self.node.zfs().bookmarks(&volume.dataset)?;
        let others = others(&bookmarks, self.node.id(), self.peer.node());
        // A bookmark can be of a newer one.
        for bookmark in bookmarks {
            let Bookmark { name, guid, createtxg, .. } = bookmark;
            let is_newer = base.as_ref().is_none_or(|base| createtxg > base.createtxg);
            if has(guid) && is_newer {
                base = Some(Base { from: SendBase::Bookmark(name), guid, createtxg });
            }
        }
        if base.is_none() && !theirs.is_empty() {
            let reason = "the peer's copy and the volume have no snapshot in common";
            return Err(Error::new(ErrorKind::BaseMissing, PUSH, reason).with_help(INSTEAD));
        }
        let after = base.as_ref().map(|base| base.createtxg);
        let wanted = ours.into_iter().find(|one| {
            let is_after = after.is_none_or(|txg| one.createtxg > txg);
            let is_wanted = !one.name.starts_with(ENGINE_PREFIX)
                || one.guid == goal
                || others.iter().any(|other| other.guid == one.guid);
            is_after && is_wanted
        });
        Ok(wanted.map(|snapshot| Step { snapshot, base }))
    }

    fn send(&self, volume: &Outbound, there: Option<&PeerVolume>, step: &Step) -> Result<()> {
        let snapshot = snapshot_of(&volume.info, &step.snapshot)?;
        let options = match &step.base {
            Some(base) => SendOptions::since(base.from.clone()),
            None => SendOptions::full(),
        };
        let options = options.flags(self.node.send_flags(&volume.info)?);
        let estimate = self.node.zfs().send_space(&snapshot, &options, None)?;
        self.control.expect_bytes(Bytes::new(self.control.progress().bytes.get() + estimate.get()));
        let stream = self.node.zfs().send(&snapshot, &options)?;
        let base = there.zip(step.base.as_ref().map(|base| base.guid));
        self.transfer(volume, &step.snapshot, stream, base)
    }

    fn transfer(
        &self,
        volume: &Outbound,
        snapshot: &VolumeSnapshot,
        stream: SendStream,
        base: Option<(&PeerVolume, Guid)>,
    ) -> Result<()> {
        self.control.enter(PUSH, Phase::Sending)?;
        // Once it is there, the next stream begins from it, though nobody may have heard that it came, and whoever took it may destroy it.
        self.node.bookmark_base(&volume.info, snapshot, self.peer.node())?;
        let back_to = match base {
            Some((there, guid)) => self.node.back_to(&volume.info, there, guid)?,
            None => None,
        };
        let incoming =
            Incoming { back_to, ..volume.incoming(snapshot.name.clone(), snapshot.guid) };
        let mut outgoing = Outgoing::new(stream, self.control, self.options.bandwidth.as_ref());
        let received = self.peer.receive(&incoming, &mut outgoing, self.control);
        if received.is_err() && self.control.is_cancelled() {
            return Err(cancelled(PUSH));
        }
        received.map_err(|error| match base {
            Some((there, guid)) if error.kind() == ErrorKind::DestinationModified => {
                rollback::explain(error, there, guid, incoming.back_to.is_some())
            }
            _ => error,
        })
    }

    /// Both sides keep what the next push begins from. What the last one began from goes when both have that: here not before the peer has it, and there not before it is held here
    /// and has a bookmark.
    fn settle(&self, volume: &Outbound, goal: Guid) -> Result<()> {
        self.control.enter(PUSH, Phase::Settling)?;
        let (info, node, to) = (&volume.info, self.node, self.peer.node());
        let snapshots = node.all_snapshots(info)?;
        let base = snapshots.iter().find(|one| one.guid == goal).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, PUSH, "the snapshot that was pushed is gone")
        })?;
        // What is held for a push has a bookmark at any time.
        let bookmarks = node.zfs().bookmarks(&info.dataset)?;
        node.add_bookmarks(info, &bookmarks, &[(base, to)])?;
        node.hold_base(info, base, to)?;
        let others = others(&bookmarks, node.id(), to);
        let pushed = Incoming { others, ..volume.incoming(base.name.clone(), goal) };
        self.peer.finish(&pushed, node.id())?;
        node.let_go_before(info, &snapshots, base, Pushes::With(to))?;
        // The last: that there is no other says that all else was done.
        node.forget_bookmarks_before(info, base, to)
    }
}

fn snapshot_of(volume: &VolumeInfo, snapshot: &VolumeSnapshot) -> Result<SnapshotName> {
    Ok(volume.dataset.snapshot(&snapshot.name)?)
}

/// The properties that go with a volume: what is set on it, can be set on its copy, and makes sense elsewhere.
pub(super) fn pushed_properties(all: &Properties) -> impl Iterator<Item = (&str, &Property)> {
    all.iter().filter(|(name, property)| {
        let is_settable = PropertyInfo::find(PropertyScope::Dataset, name)
            .is_none_or(|info| info.access.is_settable());
        property.source == Source::Local && is_settable && goes_with_a_push(name)
    })
}

/// Whether a property of that name is its owner's to set on a copy. Not so: where that is mounted, whether it can be written, and whose it is.
pub(super) fn goes_with_a_push(name: &str) -> bool {
    !name.starts_with("zfsvol:") && !LEFT_OUT.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use uuid::Uuid;

    use super::*;
    use crate::embedded::Embedded;
    use crate::volume::peer::{Offer, Settled};
    use crate::volume::{LocalPeer, VolumeSpec};
    use crate::zfs::Zfs;

    /// A peer that is not any more, when a stream comes, what it was when it was looked at.
    #[derive(Debug)]
    struct Restless {
        inner: LocalPeer,
        /// What becomes of the streams, one after the other; later ones are received.
        streams: Mutex<Vec<Fate>>,
        /// The push that was finished last.
        finished: Mutex<Option<(Incoming, Uuid)>>,
    }

    #[derive(Clone, Copy, Debug)]
    enum Fate {
        /// It had been received already, over a connection that was lost.
        Late,
        /// It is said to be received, and is not.
        Forgotten,
        /// Half of it comes.
        Half,
        /// What had come of it until now is thrown away.
        Restarted,
        /// It is received, and then the word comes, over a connection that was lost, that the push before is over.
        Overtaken,
    }

    impl Peer for Restless {
        fn node(&self) -> Uuid {
            self.inner.node()
        }

        fn look(&self, volume: &VolumeId) -> Result<Option<PeerVolume>> {
            self.inner.look(volume)
        }

        fn receive(
            &self,
            incoming: &Incoming,
            stream: &mut dyn Read,
            control: &Control,
        ) -> Result<()> {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            match self.streams.lock().unwrap().pop() {
                Some(Fate::Forgotten) => return Ok(()),
                Some(Fate::Late) => {
                    self.inner.receive(incoming, &mut all.as_slice(), control).unwrap();
                }
                Some(Fate::Half) => all.truncate(all.len() / 2),
                Some(Fate::Restarted) => {
                    self.inner.abort_receive(&incoming.volume).unwrap();
                    assert_eq!(self.inner.look(&incoming.volume).unwrap(), None);
                }
                Some(Fate::Overtaken) => {
                    self.inner.receive(incoming, &mut all.as_slice(), control).unwrap();
                    let finished = self.finished.lock().unwrap();
                    let (before, from) = finished.as_ref().unwrap();
                    let now = self.inner.look(&incoming.volume).unwrap();
                    let error = self.inner.finish(before, *from).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::DestinationModified);
                    assert_eq!(self.inner.look(&incoming.volume).unwrap(), now);
                    return Ok(());
                }
                None => {}
            }
            self.inner.receive(incoming, &mut all.as_slice(), control)
        }

        fn abort_receive(&self, volume: &VolumeId) -> Result<()> {
            self.inner.abort_receive(volume)
        }

        fn finish(&self, pushed: &Incoming, from: Uuid) -> Result<()> {
            *self.finished.lock().unwrap() = Some((pushed.clone(), from));
            self.inner.finish(pushed, from)
        }

        fn accept(&self, offer: &Offer) -> Result<()> {
            self.inner.accept(offer)
        }

        fn settle(&self, offer: &Offer) -> Result<Settled> {
            self.inner.settle(offer)
        }
    }

    /// Two nodes, the first with an empty volume.
    fn two() -> (Node, Node, VolumeName) {
        two_by(SystemTime::now)
    }

    /// The same where the time is that of this clock.
    fn two_by(clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> (Node, Node, VolumeName) {
        let kernel = Embedded::builder().pool("tank", Bytes::from_gib(1)).clock(clock).build();
        let zfs = Zfs::new(kernel);
        let open = |root: &str, id| {
            Node::open(zfs.clone(), root.parse().unwrap(), Uuid::from_u128(id)).unwrap()
        };
        let (here, there) = (open("tank/here", 1), open("tank/there", 2));
        let name: VolumeName = "db".parse().unwrap();
        here.create(&name, &VolumeSpec::block(Bytes::from_mib(1)).sparse()).unwrap();
        (here, there, name)
    }

    fn restless(there: &Node, streams: Vec<Fate>) -> Arc<Restless> {
        let (inner, streams) = (LocalPeer::new(there.clone()), Mutex::new(streams));
        Arc::new(Restless { inner, streams, finished: Mutex::default() })
    }

    /// Pushes a volume of so many snapshots to a peer with which the streams have that fate. Says how many snapshots came there, too.
    fn push(snapshots: usize, streams: Vec<Fate>) -> (Result<Pushed>, usize) {
        let (here, there, name) = two();
        for number in 0..snapshots {
            here.snapshot(&name, &format!("s{number}")).unwrap();
        }
        let peer: Arc<dyn Peer> = restless(&there, streams);
        let push = || here.push(&name, &peer, &PushOptions::new()).unwrap().wait();
        // Where half of a stream came, it is for the caller to push again.
        let pushed = push().or_else(|error| match error.kind() {
            ErrorKind::StreamTruncated => push(),
            _ => Err(error),
        });
        let came = there.get(&name).unwrap().map(|_| there.snapshots(&name).unwrap().len());
        (pushed, came.unwrap_or_default())
    }

    #[test]
    fn what_came_between_the_look_and_the_stream_is_looked_at_again() {
        // The first of them creates the volume there; the others are increments, and more than may go wrong with one.
        let (pushed, came) = push(8, vec![Fate::Late; 8]);
        let pushed = pushed.unwrap();
        // What was sent in the end is only what the push itself took.
        assert_eq!((pushed.sent.len(), came), (1, 8), "{pushed:?}");
    }

    #[test]
    fn what_was_not_kept_after_all_is_sent_from_its_beginning() {
        // The last is the fate of the first stream.
        let (pushed, came) = push(2, vec![Fate::Restarted, Fate::Half]);
        let sent = pushed.unwrap().sent;
        assert_eq!((sent.len(), came), (3, 2), "{sent:?}");
    }

    #[test]
    fn what_the_peer_lost_is_sent_again() {
        let (pushed, came) = push(2, vec![Fate::Forgotten; 2]);
        let sent = pushed.unwrap().sent;
        assert_eq!((sent.len(), came), (3, 2), "{sent:?}");
        assert_eq!(sent[..2], ["s0", "s1"]);
    }

    #[test]
    fn a_late_word_that_a_push_is_over_does_not_take_away_what_came_after_it() {
        let (here, there, name) = two();
        let restless = restless(&there, Vec::new());
        let peer: Arc<dyn Peer> = Arc::clone(&restless) as _;
        let push = || here.push(&name, &peer, &PushOptions::new()).unwrap().wait();
        push().unwrap();
        here.snapshot(&name, "s").unwrap();
        // That snapshot, and the one that the push takes.
        restless.streams.lock().unwrap().extend([Fate::Overtaken; 2]);
        let pushed = push().unwrap();
        assert_eq!(pushed.sent.len(), 2, "{pushed:?}");
        // Nothing is left of what was late.
        let theirs = there.get(&name).unwrap().unwrap();
        let theirs = there.all_snapshots(&theirs).unwrap();
        let held: Vec<_> = theirs.iter().map(|one| (one.guid, one.holds)).collect();
        assert_eq!((held.len(), held.last()), (2, Some(&(pushed.snapshot, 1))));
    }

    #[test]
    fn a_peer_that_never_has_what_it_took_is_given_up() {
        let (pushed, came) = push(1, vec![Fate::Forgotten; 100]);
        let error = pushed.unwrap_err();
        assert_eq!((error.kind(), error.target(), came), (ErrorKind::Protocol, Some("db"), 0));
    }

    #[test]
    fn a_clock_that_jumps_changes_nothing() {
        // From each look at it to the next: by decades, forth and back, as far as the beginning of time.
        let looks = AtomicUsize::new(0);
        let (here, there, name) = two_by(move || {
            let times = [1_700_000_000, 0, 4_000_000_000, 1, 1_600_000_000];
            let look = looks.fetch_add(1, Ordering::Relaxed);
            UNIX_EPOCH + Duration::from_secs(times[look % times.len()])
        });
        let nodes = [&here, &there];
        let peers = nodes.map(|node| -> Arc<dyn Peer> { Arc::new(LocalPeer::new(node.clone())) });
        let (mut taken, options) = (Vec::new(), PushOptions::new());
        for round in 0..4 {
            let (from, to) = (nodes[round % 2], nodes[(round + 1) % 2]);
            let peer = &peers[(round + 1) % 2];
            for number in 0..3 {
                taken.push(format!("s{round}-{number}"));
                from.snapshot(&name, &taken[taken.len() - 1]).unwrap();
                let pushed = from.push(&name, peer, &options).unwrap().wait().unwrap();
                assert_eq!(pushed.sent[..1], taken[taken.len() - 1..]);
            }
            let names = |node: &Node| {
                let snapshots = node.snapshots(&name).unwrap().into_iter();
                snapshots.map(|one| one.name).collect::<Vec<_>>()
            };
            assert_eq!((names(from), names(to)), (taken.clone(), taken.clone()));
            from.handoff(&name, peer, &options).unwrap().wait().unwrap();
        }
        assert_eq!(here.get(&name).unwrap().unwrap().ownership.epoch, 5);
    }
}
