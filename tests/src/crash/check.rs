//! What must be true after every step, whoever died: [`Finding`] says what was not.

use std::collections::BTreeMap;
use std::fmt;

use zfsvol_core::volume::VolumeState;

use super::scenario::Scenario;
use super::stage::{Copy, Side, Stage};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: FindingKind,
    pub(super) what: String,
}

/// What kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FindingKind {
    /// Two copies could be written at one epoch, or at all where nobody was told to take over.
    TwoWriters,
    /// What was written is nowhere, or not with the owner.
    LostData,
    /// A node knows a lower epoch than before, or the owner's is not the highest.
    WrongEpoch,
    /// Recovery failed, or what was interrupted did not come to its end when it was done again.
    Unfinished,
    /// What the next push begins from is not safe.
    LostBase,
    /// Something is left over that nobody needs.
    LeftOver,
}

impl Finding {
    pub(super) fn new(kind: FindingKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

use FindingKind::{LeftOver, LostBase, LostData, TwoWriters, Unfinished, WrongEpoch};

/// The highest epoch that each node has seen so far.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<Side, u64>);

/// What must be true at any moment.
pub(super) fn always(stage: &Stage, scenario: &Scenario, seen: &mut Seen) -> Result<(), Finding> {
    let all = stage.copies();
    let copies: Vec<&Copy> = all.iter().filter(|copy| copy.info.ownership.id == stage.id).collect();
    one_writer(&copies, scenario)?;
    epochs_grow(&copies, scenario, seen)?;
    nothing_is_lost(stage, &all, &copies)?;
    copies.iter().try_for_each(|copy| bases_have_bookmarks(stage, copy))
}

fn one_writer(copies: &[&Copy], scenario: &Scenario) -> Result<(), Finding> {
    let writers: Vec<&&Copy> = copies.iter().filter(|copy| copy.is_writable).collect();
    if let Some(stray) = writers.iter().find(|copy| !copy.info.is_owned_by(copy.side.id())) {
        return Err(Finding::new(
            TwoWriters,
            format!("it can be written by who does not own it: {stray}"),
        ));
    }
    let mut epochs: Vec<u64> = writers.iter().map(|copy| copy.info.ownership.epoch).collect();
    epochs.sort_unstable();
    epochs.dedup();
    if epochs.len() < writers.len() || (writers.len() > 1 && !scenario.is_takeover) {
        return Err(Finding::new(
            TwoWriters,
            writers.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        ));
    }
    Ok(())
}

fn epochs_grow(copies: &[&Copy], scenario: &Scenario, seen: &mut Seen) -> Result<(), Finding> {
    for side in Side::BOTH {
        // One that is being set aside is there beside what it was.
        let epochs = copies.iter().filter(|copy| copy.side == side);
        let Some(epoch) = epochs.map(|copy| copy.info.ownership.epoch).max() else { continue };
        let known = seen.0.entry(side).or_insert(epoch);
        if epoch < *known {
            let what = format!("{side:?} had seen epoch {known}, and now it is {epoch}");
            return Err(Finding::new(WrongEpoch, what));
        }
        *known = epoch;
    }
    let highest = copies.iter().map(|copy| copy.info.ownership.epoch).max();
    let is_low = |copy: &&&Copy| {
        copy.info.is_owned_by(copy.side.id()) && Some(copy.info.ownership.epoch) != highest
    };
    match copies.iter().find(is_low).filter(|_| !scenario.is_takeover) {
        Some(owner) => {
            Err(Finding::new(WrongEpoch, format!("the owner's is not the highest: {owner}")))
        }
        None => Ok(()),
    }
}

fn nothing_is_lost(stage: &Stage, all: &[Copy], copies: &[&Copy]) -> Result<(), Finding> {
    for write in &stage.somewhere {
        if !all.iter().any(|copy| copy.writes.contains(write)) {
            return Err(Finding::new(
                LostData,
                format!("write {write} is nowhere: {}", shown(all)),
            ));
        }
    }
    let rank = |copy: &&&Copy| match copy.info.ownership.state {
        VolumeState::Owned if copy.info.ownership.owner == copy.side.id() => 2,
        VolumeState::Leaving { .. } => 1,
        _ => 0,
    };
    let owner = copies.iter().max_by_key(|copy| (rank(copy), copy.info.ownership.epoch));
    let Some(owner) = owner else {
        return Err(Finding::new(LostData, "the volume is gone"));
    };
    match stage.with_owner.difference(&owner.writes).next() {
        None => Ok(()),
        Some(write) => {
            Err(Finding::new(LostData, format!("the owner lacks write {write}: {owner}")))
        }
    }
}

/// What an owner holds for a push has a bookmark at any time: so the next one has something to begin from, also where somebody lets go of the snapshot and destroys it.
fn bases_have_bookmarks(stage: &Stage, copy: &Copy) -> Result<(), Finding> {
    if !copy.info.is_owned_by(copy.side.id()) {
        return Ok(());
    }
    let zfs = stage.zfs(copy.side);
    let bookmarks = zfs.bookmarks(&copy.info.dataset).expect("asked");
    for name in stage.snapshots(copy.side, &copy.info.dataset) {
        let snapshot = copy.info.dataset.snapshot(&name).expect("a name");
        let holds = zfs.holds(&snapshot).expect("asked");
        let guid = zfs.properties(&snapshot).expect("there").number("guid");
        let is_held = holds.iter().any(|hold| hold.tag.starts_with("zfsvol:push:"));
        if is_held && !bookmarks.iter().any(|one| Some(one.guid.get()) == guid) {
            return Err(Finding::new(LostBase, format!("'{name}' has no bookmark: {copy}")));
        }
    }
    Ok(())
}

/// What must be true once what was interrupted is done.
pub(super) fn is_done(stage: &Stage, scenario: &Scenario) -> Result<(), Finding> {
    ends(stage, scenario).map(drop)
}

/// The owner's copy and the other one.
fn ends(stage: &Stage, scenario: &Scenario) -> Result<(Copy, Copy), Finding> {
    let unfinished = |what: String| Err(Finding::new(Unfinished, what));
    let all = stage.copies();
    let copy = |side: Side| {
        all.iter().find(|copy| copy.side == side && copy.info.ownership.id == stage.id).cloned()
    };
    let (Some(owned), Some(replica)) = (copy(scenario.owner), copy(scenario.owner.other())) else {
        return unfinished(format!("a copy is missing: {}", shown(&all)));
    };
    if !owned.info.is_owned_by(scenario.owner.id()) || !owned.is_writable {
        return unfinished(format!("it should be owned: {owned}"));
    }
    if replica.info.ownership.state != VolumeState::Replica
        || replica.info.ownership.owner != scenario.owner.id()
    {
        return unfinished(format!("{replica} should be a replica of {owned}"));
    }
    Ok((owned, replica))
}

/// What must be true once that was pushed, too.
pub(super) fn at_the_end(stage: &Stage, scenario: &Scenario) -> Result<(), Finding> {
    let (owned, replica) = ends(stage, scenario)?;
    let is_same = replica.writes == owned.writes
        && replica.info.ownership.epoch == owned.info.ownership.epoch
        && replica.info.name == owned.info.name;
    if !is_same {
        let what = format!("{replica} should have everything that {owned} has");
        return Err(Finding::new(Unfinished, what));
    }
    for copy in stage.copies() {
        only_what_is_needed(stage, scenario, &copy)?;
    }
    Ok(())
}

/// Of the engine's own, a volume has what the next push begins from, and nothing else.
fn only_what_is_needed(stage: &Stage, scenario: &Scenario, copy: &Copy) -> Result<(), Finding> {
    let zfs = stage.zfs(copy.side);
    let names = stage.snapshots(copy.side, &copy.info.dataset);
    let left_over =
        |what: &str| Err(Finding::new(LeftOver, format!("{what}: {copy}, which has {names:?}")));
    if copy.info.resume_token.is_some() {
        return left_over("half a snapshot");
    }
    let (mut pushed, mut holds) = (0, 0);
    for name in &names {
        let snapshot = copy.info.dataset.snapshot(name).expect("a name");
        let tags = zfs.holds(&snapshot).expect("asked");
        holds += tags.iter().filter(|hold| hold.tag.starts_with("zfsvol:push:")).count();
        // What a clone hangs on cannot go before that does.
        let properties = zfs.properties(&snapshot).expect("there");
        let has_clones = properties.text("clones").is_some_and(|clones| !clones.is_empty());
        pushed +=
            usize::from(name.starts_with("zfsvol-push-") && (!has_clones || !tags.is_empty()));
        if name.starts_with("zfsvol-clone-") {
            let goes = properties.number("defer_destroy") == Some(1);
            if !goes {
                return left_over("what was cloned outlives the clone");
            }
        }
    }
    let bookmarks = zfs.bookmarks(&copy.info.dataset).expect("asked");
    let of = |side: Side| {
        let prefix = format!("zfsvol-push-{}-", side.id().simple());
        bookmarks.iter().filter(|one| one.name.bookmark().starts_with(&prefix)).count()
    };
    let (other, own) = (of(copy.side.other()), of(copy.side));
    let is_volume = copy.info.ownership.id == stage.id;
    let is_owner = is_volume && copy.side == scenario.owner;
    let needed = (usize::from(is_volume), usize::from(is_volume), usize::from(is_owner));
    // Who has not owned it from the beginning keeps what others may have of it: what came last, and what that began from.
    let may_have = if is_owner && copy.info.ownership.epoch > 1 { 1..=2 } else { 0..=0 };
    let is_all = bookmarks.len() == other + own && may_have.contains(&own);
    if pushed > needed.0 || holds != needed.1 || other != needed.2 || !is_all {
        return left_over(&format!("{pushed} snapshots, {holds} holds, {bookmarks:?}"));
    }
    Ok(())
}

fn shown(copies: &[Copy]) -> String {
    copies.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
