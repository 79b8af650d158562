//! Rollback: a volume is taken back to a snapshot, and with the next push so are its replicas.

use super::event::VolumeEventKind::RolledBack;
use super::keep::PUSH_PREFIX;
use super::peer::{PeerSnapshot, PeerVolume};
use super::push::{INSTEAD, PUSH};
use super::snapshot::snapshot_name;
use super::{Node, VolumeEvent, VolumeInfo, VolumeName, VolumeSnapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Errno;
use crate::property::{PropertySet, Source};
use crate::units::Guid;

const ROLLBACK: &str = "roll back the volume";
const TAKE_BACK: &str = "take the copy back";

/// What rollbacks undid of what was pushed: an epoch, and the GUIDs, in hexadecimal, of the snapshots that pushes took and that went. Replicas may still have them, and the next push may take those away; no
/// others, for what is only there may be what was lost here. In another epoch it says nothing: somebody may have gone on from it.
const UNDONE: &str = "zfsvol:undone";

/// How many of them are known: a few rollbacks, each with a snapshot or two for each replica. A replica that has older ones is refused. As text they fit a property.
const UNDONE_MAX: usize = 64;

impl Node {
    /// Takes a volume back to a snapshot. What was written since is lost.
    ///
    /// It must be the newest one, not counting those that pushes took for themselves: these go, too. The next push then takes each replica back to the newest snapshot that both have, if nothing but such
    /// snapshots came after it there. To go back further, destroy the snapshots after it first, here and on the replicas.
    ///
    /// Issues `ZFS_IOC_ROLLBACK`; on disk when it returns. Where pushes left something after the snapshot also `ZFS_IOC_SET_PROP`, `ZFS_IOC_RELEASE`, `ZFS_IOC_DESTROY_SNAPS` and
    /// `ZFS_IOC_DESTROY_BOOKMARKS`, before it.
    ///
    /// # Errors
    /// - [`ErrorKind::NotFound`]: there is no such volume or snapshot. [`ErrorKind::NotOwner`].
    /// - [`ErrorKind::InProgress`]: it is being pushed or handed over.
    /// - [`ErrorKind::Busy`]: there are newer snapshots, of which [`Error::busy`] says the names, or bookmarks that somebody else made of such; or it is in use.
    pub fn rollback(&self, name: &VolumeName, snapshot: &str) -> Result<()> {
        let told = |error: Error| error.with_operation(ROLLBACK).with_target(name.as_str());
        let volume = self.owned(ROLLBACK, name)?;
        let full = snapshot_name(&volume, snapshot).map_err(told)?;
        let _alone = self.alone(ROLLBACK, name, volume.ownership.id)?;
        // Whoever had it until now may have handed it over.
        let volume = self.owned(ROLLBACK, name)?;
        match self.zfs().rollback_to(&full) {
            Err(error) if error.errno() == Some(Errno::EEXIST) => {
                if !self.undo_pushes_after(&volume, snapshot).map_err(told)? {
                    return Err(told(error));
                }
                self.zfs().rollback_to(&full)
            }
            rolled_back => rolled_back,
        }
        .map_err(told)?;
        self.tell(&VolumeEvent::new(name, RolledBack(snapshot.to_owned())));
        Ok(())
    }

    /// Does away with what pushes left after a snapshot, and writes down what that was. `false`, and nothing was done, where there is anything else.
    ///
    /// Should it be interrupted, the volume is as it was, and the next push begins from what is left.
    fn undo_pushes_after(&self, volume: &VolumeInfo, snapshot: &str) -> Result<bool> {
        let snapshots = self.all_snapshots(volume)?;
        let mut newer = snapshots.iter().skip_while(|one| one.name != snapshot);
        let Some(target) = newer.next() else { return Ok(false) };
        let newer: Vec<&VolumeSnapshot> = newer.collect();
        for one in &newer {
            if !self.is_for_pushes_alone(volume, one)? {
                return Ok(false);
            }
        }
        let Some(bookmarks) = self.bookmarks_of_pushes_after(volume, target.createtxg)? else {
            return Ok(false);
        };
        let bookmarked = bookmarks.iter().map(|one| one.guid);
        let gone: Vec<Guid> = newer.iter().map(|one| one.guid).chain(bookmarked).collect();
        self.write_undone(volume, &gone)?;
        self.destroy_pushed(volume, &newer)?;
        let names: Vec<_> = bookmarks.into_iter().map(|one| one.name).collect();
        if !names.is_empty() {
            self.zfs().destroy_bookmarks(&names)?;
        }
        Ok(true)
    }

    fn write_undone(&self, volume: &VolumeInfo, gone: &[Guid]) -> Result<()> {
        let mut undone = self.undone(volume)?;
        undone.retain(|one| !gone.contains(one));
        for guid in gone {
            if !undone.contains(guid) {
                undone.push(*guid);
            }
        }
        let surplus = undone.len().saturating_sub(UNDONE_MAX);
        let mut text = volume.ownership.epoch.to_string();
        for guid in undone.into_iter().skip(surplus) {
            text.push_str(&format!(" {:016x}", guid.get()));
        }
        self.zfs().set_properties(&volume.dataset, &PropertySet::new().with(UNDONE, text)?)
    }

    fn undone(&self, volume: &VolumeInfo) -> Result<Vec<Guid>> {
        let found = self.zfs().property(&volume.dataset, UNDONE)?;
        let found = found.filter(|property| property.source == Source::Local);
        let text = found.as_ref().and_then(|property| property.value.as_str()).unwrap_or_default();
        let mut words = text.split(' ');
        if words.next() != Some(volume.ownership.epoch.to_string().as_str()) {
            return Ok(Vec::new());
        }
        let guids = words.filter_map(|word| u64::from_str_radix(word, 16).ok());
        Ok(guids.take(UNDONE_MAX).map(Guid::new).collect())
    }

    /// The snapshot that a copy is to be taken back to before it takes a stream that begins from it, if it has newer ones, and all of those that pushes took were undone here. Whether the others are in
    /// the way, the peer decides.
    pub(super) fn back_to(
        &self,
        volume: &VolumeInfo,
        there: &PeerVolume,
        base: Guid,
    ) -> Result<Option<Guid>> {
        let mut newer = newer_than(there, base).peekable();
        if newer.peek().is_none() {
            return Ok(None);
        }
        let undone = self.undone(volume)?;
        let may_go =
            |one: &PeerSnapshot| !one.name.starts_with(PUSH_PREFIX) || undone.contains(&one.guid);
        Ok(newer.all(may_go).then_some(base))
    }

    /// Whether a copy is to be taken back to a snapshot by what is received: nothing came after it but snapshots of pushes that nobody else needs, and nothing was written since. The kernel
    /// destroys them in the transaction group in which what comes is there. They are not held for pushes any more, whatever the answer is: its owner begins from that one.
    pub(super) fn takes_back(&self, copy: &VolumeInfo, to: Guid) -> Result<bool> {
        let snapshots = self.all_snapshots(copy)?;
        let mut newer = snapshots.iter().skip_while(|one| one.guid != to);
        newer.next();
        let newer: Vec<&VolumeSnapshot> = newer.collect();
        let Some(newest) = newer.last() else { return Ok(false) };
        // What was written behind our back is known to the kernel's statistics once its transaction group is synced.
        self.zfs().sync_pool(&copy.dataset.pool(), false)?;
        if !self.is_as_in(&self.volume(TAKE_BACK, &copy.name)?, newest)? {
            return Ok(false);
        }
        let mut may_go = true;
        for one in newer {
            may_go &= self.let_go_of_pushed(copy, one)?;
        }
        Ok(may_go)
    }
}

fn newer_than(copy: &PeerVolume, base: Guid) -> impl Iterator<Item = &PeerSnapshot> {
    copy.snapshots.iter().skip_while(move |one| one.guid != base).skip(1)
}

/// Why a copy was refused to be changed since that snapshot: it has newer ones. Where it may be taken back, those of pushes are not in the way.
pub(super) fn explain(error: Error, there: &PeerVolume, base: Guid, may_go_back: bool) -> Error {
    /// Enough to know which they are.
    const NAMES_MAX: usize = 3;
    let is_in_the_way = |name: &&str| !may_go_back || !name.starts_with(PUSH_PREFIX);
    let newer = newer_than(there, base).map(|one| one.name.as_str());
    let newer: Vec<&str> = newer.filter(is_in_the_way).collect();
    if newer.is_empty() {
        return error;
    }
    let names = newer.iter().take(NAMES_MAX).map(|name| format!("'{}'", name.escape_debug()));
    let names = names.collect::<Vec<_>>().join(", ");
    let more = match newer.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let reason = format!("the copy there has snapshots that this volume has not: {names}{more}");
    let help = if may_go_back { "destroy them there, and push again" } else { INSTEAD };
    Error::new(ErrorKind::DestinationModified, PUSH, reason).with_help(help)
}
