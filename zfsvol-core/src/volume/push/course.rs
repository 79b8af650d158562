//! How a push goes: it looks, does what is next, and looks again, until nothing is missing.

use super::outbound::Outbound;
use super::{PUSH, Push, Pushed};
use crate::error::{Error, ErrorKind, Result};
use crate::units::{Bytes, Guid, Txg};
use crate::volume::info::Present;
use crate::volume::job::Phase;
use crate::volume::keep::{Pushes, others};
use crate::volume::peer::{Compared, Incoming, PeerVolume, VolumeId};
use crate::volume::{VolumeInfo, VolumeSnapshot};

/// What a step of a push did.
enum Done {
    /// The snapshot of that name is there now; `None`: what was left of another is not there any more.
    Sent(Option<String>),
    /// The peer has everything, up to this one.
    Everything(Guid),
}

/// How far a push is.
#[derive(Default)]
pub(super) struct Course {
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
    pub(super) fn head_for(&mut self, snapshot: &VolumeSnapshot) {
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

impl Push<'_> {
    /// Sends what the peer lacks, one snapshot after the other, until it lacks nothing; looks again after each, so that it does not matter
    /// what was sent before and by whom.
    pub(in crate::volume) fn run(&self, now: Present) -> Result<Pushed> {
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
                self.settle(volume, goal, there.and_then(|there| there.ticket))?;
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

    /// Both sides keep what the next push begins from. What the last one began from goes when both have that: here not before the peer has it, and there not before it is held here
    /// and has a bookmark.
    fn settle(&self, volume: &Outbound, goal: Guid, ticket: Option<u64>) -> Result<()> {
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
        let pushed = Incoming { others, ticket, ..volume.incoming(base.name.clone(), goal) };
        self.peer.finish(&pushed, node.id())?;
        node.let_go_before(info, &snapshots, base, Pushes::With(to))?;
        // The last: that there is no other says that all else was done.
        node.forget_bookmarks_before(info, base, to)
    }
}
