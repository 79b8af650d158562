//! [`Step`]: one snapshot of a push, what it is sent from, and how it gets there.

use super::course::Course;
use super::outbound::Outbound;
use super::{INSTEAD, PUSH, Push};
use crate::error::{Error, ErrorKind, Result};
use crate::name::SnapshotName;
use crate::property::PropertySet;
use crate::stream::ResumeToken;
use crate::units::{Bytes, Guid, Txg};
use crate::volume::job::{Outgoing, Phase, cancelled};
use crate::volume::keep::{PUSH_PREFIX, others, push_snapshot_name};
use crate::volume::peer::{Incoming, PeerVolume};
use crate::volume::rollback;
use crate::volume::snapshot::ENGINE_PREFIX;
use crate::volume::{VolumeInfo, VolumeSnapshot};
use crate::zfs::{Bookmark, SendBase, SendOptions, SendStream};

/// A snapshot that the peer lacks, and what it is sent from.
pub(super) struct Step {
    pub(super) snapshot: VolumeSnapshot,
    base: Option<Base>,
}

/// What both have, and a stream begins from.
struct Base {
    from: SendBase,
    guid: Guid,
    createtxg: Txg,
}

impl Push<'_> {
    /// Goes on with a push that was interrupted; throws it away where that cannot be. Says what was sent, if anything was there.
    pub(super) fn resume(
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
    pub(super) fn goal(&self, volume: &VolumeInfo, there: Option<&PeerVolume>) -> Result<Guid> {
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
    pub(super) fn next_step(
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

    pub(super) fn send(
        &self,
        volume: &Outbound,
        there: Option<&PeerVolume>,
        step: &Step,
    ) -> Result<()> {
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
}

fn snapshot_of(volume: &VolumeInfo, snapshot: &VolumeSnapshot) -> Result<SnapshotName> {
    Ok(volume.dataset.snapshot(&snapshot.name)?)
}
