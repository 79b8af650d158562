//! Vdevs come and go, and devices change their state: OpenZFS 2.3 `module/zfs/spa.c` (spa_vdev_add and those that follow), `vdev_removal.c`.

use super::config::{New, OF_TOPS};
use super::{Hand, Health, Kind, Layout, Removal, Vdev, aux, state};
use crate::embedded::engine::{Env, Result};
use crate::kernel::Errno;
use crate::nvlist::{NvList, NvString};

/// `ZFS_ONLINE_EXPAND`
const ONLINE_EXPAND: u64 = 8;
/// `ZFS_OFFLINE_TEMPORARY`
const OFFLINE_TEMPORARY: u64 = 1;

/// What becomes of a device by hand, by the numbers of the request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Online { flags: u64 },
    Offline { flags: u64 },
    Fault { aux: u64 },
    Degrade { aux: u64 },
    Remove,
}

impl Change {
    /// # Errors
    /// `EINVAL` for a state no device is put into.
    pub(super) fn new(wanted: u64, detail: u64) -> Result<Self> {
        let aux = |known: &[u64]| if known.contains(&detail) { detail } else { aux::ERR_EXCEEDED };
        Ok(match wanted {
            state::HEALTHY => Self::Online { flags: detail },
            state::OFFLINE => Self::Offline { flags: detail },
            state::FAULTED => Self::Fault { aux: aux(&[aux::EXTERNAL, aux::EXTERNAL_PERSIST]) },
            state::DEGRADED => Self::Degrade { aux: aux(&[aux::EXTERNAL]) },
            state::REMOVED => Self::Remove,
            _ => return Err(Errno::EINVAL),
        })
    }
}

/// The indices that lead from the root to a vdev.
type Place = Vec<usize>;

impl Layout {
    fn place_of(&self, guid: u64) -> Option<Place> {
        fn within(vdevs: &[Vdev], guid: u64, place: &mut Place) -> bool {
            vdevs.iter().enumerate().any(|(id, vdev)| {
                place.push(id);
                let found = vdev.guid == guid || within(&vdev.children, guid, place);
                if !found {
                    place.pop();
                }
                found
            })
        }
        let mut place = Place::new();
        within(&self.tops, guid, &mut place).then_some(place)
    }

    fn at(&self, place: &[usize]) -> Option<&Vdev> {
        let (top, rest) = place.split_first()?;
        rest.iter().try_fold(self.tops.get(*top)?, |vdev, id| vdev.children.get(*id))
    }

    fn at_mut(&mut self, place: &[usize]) -> Option<&mut Vdev> {
        let (top, rest) = place.split_first()?;
        rest.iter().try_fold(self.tops.get_mut(*top)?, |vdev, id| vdev.children.get_mut(*id))
    }

    /// The vdev at a place and the one right below the root that it is in.
    fn found(&self, place: &[usize]) -> Result<(&Vdev, &Vdev)> {
        self.at(place).zip(self.at(place.get(..1).unwrap_or_default())).ok_or(Errno::ENODEV)
    }

    /// The smallest and the largest sector of what has devices.
    fn sectors(&self) -> (u64, u64) {
        let tops = self.tops.iter().filter(|top| top.is_concrete());
        let sectors = tops.map(|top| top.number("ashift"));
        sectors.fold((u64::MAX, 0), |(least, most), ashift| (least.min(ashift), most.max(ashift)))
    }

    /// `spa_vdev_add`, once the devices are known to be free.
    ///
    /// # Errors
    /// `EINVAL` when there is nothing, or what does not go with a removal; `ZFS_ERR_ASHIFT_MISMATCH`.
    pub(super) fn add(&mut self, new: New, same_sectors: bool) -> Result<()> {
        if new.all().next().is_none() {
            return Err(Errno::EINVAL);
        }
        let was_removed = self.tops.iter().any(|top| top.kind == Kind::Indirect);
        if was_removed && new.tops.iter().any(|top| top.number("nparity") > 0) {
            return Err(Errno::EINVAL);
        }
        let (least, most) = self.sectors();
        let differs = new.tops.iter().any(|top| top.number("ashift") != most);
        if same_sectors && least == most && differs {
            return Err(Errno::ZFS_ERR_ASHIFT_MISMATCH);
        }
        self.tops.extend(new.tops);
        self.spares.extend(new.spares);
        self.caches.extend(new.caches);
        self.refresh();
        Ok(())
    }

    /// How many vdevs are below the root, holes included.
    pub(super) fn tops_count(&self) -> usize {
        self.tops.len()
    }

    /// The guid of this pool's spare on that path.
    pub(super) fn spare_on(&self, path: &NvString) -> Option<u64> {
        let spare = self.spares.iter().find(|spare| spare.path.as_ref() == Some(path))?;
        (spare.health.aux != aux::SPARED).then_some(spare.guid)
    }

    /// `spa_vdev_attach`: the new device has all the data at once, and one it replaces is gone. Says the path of what it was attached to.
    ///
    /// # Errors
    /// `ENODEV`; `ENOTSUP` where no device can be attached; `EOVERFLOW` when it is too small, `EDOM` or `ZFS_ERR_ASHIFT_MISMATCH` when its
    /// sectors are too large; `ENXIO` when a raidz is not whole.
    pub(super) fn attach(
        &mut self,
        env: &Env,
        to: u64,
        mut new: Vdev,
        replacing: bool,
        sequential: bool,
    ) -> Result<Attached> {
        let place = self.place_of(to).ok_or(Errno::ENODEV)?;
        let (old, top) = self.found(&place)?;
        let parent = place.split_last().and_then(|(_, above)| self.at(above));
        let is_raidz = old.kind == Kind::Raidz;
        check_attach(old, top, parent, &new, replacing, sequential)?;
        let smallest =
            if is_raidz { old.children.first().map_or(to, |leaf| leaf.guid) } else { to };
        if new.room < least_room(top, top.least_room(), smallest).unwrap_or(0) {
            return Err(Errno::EOVERFLOW);
        }
        if new.number("ashift").max(9) > top.number("ashift") {
            let mismatch = env.release >= (2, 2);
            return Err(if mismatch { Errno::ZFS_ERR_ASHIFT_MISMATCH } else { Errno::EDOM });
        }
        let whole = |leaf: &Vdev| !leaf.health.is_dead() && leaf.kind.is_leaf();
        if is_raidz && !old.children.iter().all(whole) {
            return Err(Errno::ENXIO);
        }
        let name = old.label_name(place.first().copied().unwrap_or(0));
        new.leave_place();
        let replaced = if is_raidz {
            let raidz = self.at_mut(&place).ok_or(Errno::ENODEV)?;
            raidz.children.push(new);
            raidz.assess();
            let room = raidz.room;
            raidz.other.insert("asize", room);
            None
        } else if replacing && !new.is_spare() {
            self.replace(&place, new)
        } else {
            self.put_beside(env, &place, new);
            None
        };
        self.settle(place.first().copied());
        Ok(Attached { to: name, replaced })
    }

    /// Puts a device in the place of another, which is returned.
    fn replace(&mut self, place: &[usize], mut new: Vdev) -> Option<Vdev> {
        // A spare that stood in for it is free again.
        let (_, above) = place.split_last()?;
        let stood_in = self.at(above).is_some_and(|parent| parent.kind == Kind::Spare);
        let place = if stood_in && place.last() == Some(&0) { above } else { place };
        let old = self.at_mut(place)?;
        if place.len() == 1 {
            new.take_place_of(old);
        }
        let gone = std::mem::replace(old, new);
        match gone.kind {
            Kind::Spare => gone.children.into_iter().next(),
            _ => Some(gone),
        }
    }

    /// Puts a device beside another: into its mirror, or a new one.
    fn put_beside(&mut self, env: &Env, place: &[usize], new: Vdev) {
        let kind = if new.is_spare() { Kind::Spare } else { Kind::Mirror };
        let above = place.split_last().map(|(_, above)| above).unwrap_or_default();
        if let Some(parent) = self.at_mut(above).filter(|parent| parent.kind == kind) {
            parent.children.push(new);
            return;
        }
        let is_top = place.len() == 1;
        let Some(old) = self.at_mut(place) else { return };
        let mut parent = Vdev {
            kind,
            guid: env.guid(),
            path: None,
            children: Vec::new(),
            other: NvList::new(),
            hand: None,
            health: old.health,
            room: old.room,
            properties: NvList::new(),
        };
        if is_top {
            parent.take_place_of(old);
            old.leave_place();
        }
        let old = std::mem::replace(old, parent);
        if let Some(parent) = self.at_mut(place) {
            parent.children.extend([old, new]);
        }
    }

    /// `spa_vdev_detach`. Returns the device.
    ///
    /// # Errors
    /// `ENODEV`; `ENOTSUP` when it is no device, or alone; `EBUSY` when the others are not enough.
    pub(super) fn detach(&mut self, guid: u64) -> Result<Vdev> {
        let place = self.place_of(guid).ok_or(Errno::ENODEV)?;
        let (vdev, top) = self.found(&place)?;
        let (index, above) = place.split_last().ok_or(Errno::ENODEV)?;
        let in_mirror = |parent: &Vdev| matches!(parent.kind, Kind::Mirror | Kind::Spare);
        if !vdev.kind.is_leaf() || !self.at(above).is_some_and(in_mirror) {
            return Err(Errno::ENOTSUP);
        }
        if top.needs(guid) {
            return Err(Errno::EBUSY);
        }
        let parent = self.at_mut(above).ok_or(Errno::ENODEV)?;
        let gone = parent.children.remove(*index);
        // A spare whose original is given up is a device like any other.
        let stays = (parent.kind == Kind::Spare && *index == 0)
            .then(|| parent.children.last_mut())
            .flatten()
            .filter(|last| last.is_spare());
        let unspared = stays.map(|last| {
            last.other.remove("is_spare");
            last.guid
        });
        if let [_] = parent.children.as_slice() {
            self.dissolve(above);
        }
        self.spares.retain(|spare| Some(spare.guid) != unspared);
        self.settle(place.first().copied());
        Ok(gone)
    }

    /// Puts the only child of a vdev in its place: `vdev_remove_parent`, which keeps the GUID of what is right below the root.
    fn dissolve(&mut self, place: &[usize]) {
        let Some(parent) = self.at_mut(place) else { return };
        let Some(mut child) = parent.children.pop() else { return };
        if place.len() == 1 {
            child.take_place_of(parent);
            child.guid = parent.guid;
        }
        *parent = child;
    }

    /// What follows from a change to a vdev right below the root.
    fn settle(&mut self, top: Option<usize>) {
        if let Some(top) = top.and_then(|top| self.tops.get_mut(top)) {
            top.assess();
        }
        self.spare_states();
        self.refresh();
    }

    /// `spa_vdev_remove`. `available` are the bytes that the pool has left, `time` is now.
    ///
    /// # Errors
    /// `ENOENT`; `EBUSY` for a spare in use; what [`Self::check_remove_top`] says.
    pub(super) fn remove(
        &mut self,
        guid: u64,
        available: u64,
        allocated: u64,
        time: u64,
    ) -> Result<Removed> {
        let in_use = self.place_of(guid);
        if let Some(at) = self.spares.iter().position(|spare| spare.guid == guid) {
            let is_draid = self.spares.get(at).is_some_and(|spare| spare.kind == Kind::DraidSpare);
            return match (in_use, is_draid) {
                (Some(_), _) => Err(Errno::EBUSY),
                (None, true) => Err(Errno::ENOTSUP),
                (None, false) => Ok(Removed::Spare(self.spares.remove(at))),
            };
        }
        if let Some(at) = self.caches.iter().position(|cache| cache.guid == guid) {
            return Ok(Removed::Cache(self.caches.remove(at)));
        }
        let place = in_use.ok_or(Errno::ENOENT)?;
        let (vdev, top) = self.found(&place)?;
        if top.is_log() && vdev.guid == top.guid {
            return self.remove_log(&place).map(Removed::Log);
        }
        self.check_remove_top(&place, available)?;
        self.move_away(&place, allocated, time).map(Removed::Top)
    }

    /// A log leaves a hole, unless it is the last: `vdev_remove_make_hole_and_free`.
    fn remove_log(&mut self, place: &[usize]) -> Result<Vdev> {
        let id = *place.first().ok_or(Errno::ENOENT)?;
        let last = id + 1 == self.tops.len();
        let gone = if last {
            self.tops.pop()
        } else {
            self.tops.get_mut(id).map(|top| std::mem::replace(top, stand_in(Kind::Hole, 0)))
        };
        self.refresh();
        gone.ok_or(Errno::ENOENT)
    }

    /// `spa_vdev_remove_top_check`
    fn check_remove_top(&self, place: &[usize], available: u64) -> Result<()> {
        let (vdev, top) = self.found(place)?;
        if place.len() != 1 || !vdev.is_concrete() {
            return Err(Errno::ENOTSUP);
        }
        if top.is_normal() && available < top.deflated_space() {
            return Err(Errno::ENOSPC);
        }
        if top.health.is_dead() {
            return Err(Errno::EIO);
        }
        if top.leaves().any(|leaf| leaf.health.is_dead()) {
            return Err(Errno::EBUSY);
        }
        let (least, most) = self.sectors();
        let simple = |top: &Vdev| {
            top.number("nparity") == 0 && top.children.iter().all(|child| child.kind.is_leaf())
        };
        let concrete = || self.tops.iter().filter(|top| top.is_concrete());
        if least != most || !concrete().all(simple) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn move_away(&mut self, place: &[usize], allocated: u64, time: u64) -> Result<Vdev> {
        let top = self.at_mut(place).ok_or(Errno::ENOENT)?;
        let mut stays = stand_in(Kind::Indirect, top.guid);
        stays.take_place_of(top);
        let gone = std::mem::replace(top, stays);
        let vdev = u64::try_from(place.first().copied().unwrap_or(0)).unwrap_or(0);
        // Of what is allocated, a part was there.
        let share = gone.space().min(allocated);
        self.removal = Some(Removal { vdev, time, bytes: share });
        self.refresh();
        Ok(gone)
    }

    /// Puts a device into a state by hand: `vdev_online`, `vdev_offline`, `vdev_fault`, `vdev_degrade`. Returns the state it is then in, and whether
    /// it is another than before.
    ///
    /// # Errors
    /// `ENODEV`; `ENOTSUP` when it is no device, or a spare of draid; `EBUSY` when too few others have its data.
    pub(super) fn change(&mut self, guid: u64, change: Change) -> Result<(u64, bool)> {
        let Some(place) = self.place_of(guid) else { return self.change_aside(guid, change) };
        let (vdev, top) = self.found(&place)?;
        let before = vdev.health;
        let is_leaf = vdev.kind.is_leaf();
        let spared_by_others = top.is_log() || !top.needs(guid);
        let hand = match change {
            Change::Online { .. } => None,
            _ if !is_leaf => return Err(Errno::ENOTSUP),
            Change::Offline { flags } => {
                let is_offline = matches!(vdev.hand, Some(Hand::Offline { .. }));
                if !is_offline && !spared_by_others {
                    return Err(Errno::EBUSY);
                }
                Some(Hand::Offline { temporary: flags & OFFLINE_TEMPORARY != 0 })
            }
            // The only one that has the data is not given up.
            Change::Fault { aux } if !spared_by_others => {
                Some(Hand::Degraded { aux: lasting(aux) })
            }
            Change::Fault { aux } => {
                Some(Hand::Faulted { aux: lasting(aux), temporary: aux != aux::EXTERNAL_PERSIST })
            }
            Change::Degrade { .. } if before.is_dead() => return Ok((0, false)),
            Change::Degrade { aux } => Some(Hand::Degraded { aux }),
            Change::Remove => Some(Hand::Removed),
        };
        let was_offline = matches!(vdev.hand, Some(Hand::Offline { .. } | Hand::Removed));
        let vdev = self.at_mut(&place).ok_or(Errno::ENODEV)?;
        // Being online again takes a fault back only when that is cleared.
        if was_offline || !matches!(change, Change::Online { .. }) {
            vdev.hand = hand;
        }
        let expand = matches!(change, Change::Online { flags } if flags & ONLINE_EXPAND != 0);
        self.open_top(&place, expand);
        let after = self.at(&place).ok_or(Errno::ENODEV)?.health;
        Ok((after.state, after != before))
    }

    /// The same for a spare or cache.
    fn change_aside(&mut self, guid: u64, change: Change) -> Result<(u64, bool)> {
        let expands = matches!(change, Change::Online { flags } if flags & ONLINE_EXPAND != 0);
        let mut aside = self.spares.iter_mut().chain(&mut self.caches);
        let vdev = aside.find(|vdev| vdev.guid == guid).ok_or(Errno::ENODEV)?;
        if expands || vdev.kind == Kind::DraidSpare {
            return Err(Errno::ENOTSUP);
        }
        let before = vdev.health;
        vdev.hand = match change {
            Change::Online { .. } => None,
            Change::Offline { flags } => {
                Some(Hand::Offline { temporary: flags & OFFLINE_TEMPORARY != 0 })
            }
            Change::Fault { aux } => Some(Hand::Faulted { aux: lasting(aux), temporary: true }),
            Change::Degrade { aux } => Some(Hand::Degraded { aux }),
            Change::Remove => Some(Hand::Removed),
        };
        vdev.open(0);
        let after = vdev.health;
        self.spare_states();
        Ok((after.state, after != before))
    }

    fn open_top(&mut self, place: &[usize], expand: bool) {
        let guid = self.guid();
        if let Some(top) = place.first().and_then(|id| self.tops.get_mut(*id)) {
            top.open(guid);
            if expand && top.room > top.number("asize") {
                top.other.insert("asize", top.room);
            }
        }
        self.refresh();
    }

    /// `vdev_clear`: faults of a vdev and all below are forgotten, and devices opened anew; of all, when none is named.
    ///
    /// # Errors
    /// `ENODEV` when there is no such vdev.
    pub(in crate::embedded) fn clear(&mut self, guid: Option<u64>) -> Result<()> {
        let place = match guid.filter(|guid| *guid != self.guid) {
            None => None,
            Some(guid) => match self.place_of(guid) {
                Some(place) => Some(place),
                // There is nothing to clear of a spare or cache.
                None => return self.find(guid).map(|_| ()).ok_or(Errno::ENODEV),
            },
        };
        let mut open: Vec<&mut Vdev> = match &place {
            Some(place) => self.at_mut(place).into_iter().collect(),
            None => self.tops.iter_mut().collect(),
        };
        while let Some(vdev) = open.pop() {
            if matches!(vdev.hand, Some(Hand::Faulted { .. } | Hand::Degraded { .. })) {
                vdev.hand = None;
            }
            open.extend(vdev.children.iter_mut());
        }
        self.open(false);
        Ok(())
    }

    /// What does not outlast an export: what was done for now only.
    pub(in crate::embedded) fn forget_what_is_temporary(&mut self) {
        let mut open: Vec<&mut Vdev> =
            self.tops.iter_mut().chain(&mut self.spares).chain(&mut self.caches).collect();
        while let Some(vdev) = open.pop() {
            let passes = |hand: &Hand| match hand {
                Hand::Offline { temporary } | Hand::Faulted { temporary, .. } => *temporary,
                Hand::Removed => true,
                Hand::Degraded { .. } => false,
            };
            vdev.hand = vdev.hand.filter(|hand| !passes(hand));
            open.extend(vdev.children.iter_mut());
        }
    }

    /// `spa_vdev_set_common`: notes a text about a device.
    ///
    /// # Errors
    /// `ENOENT`; `ENOTSUP` when it is no device.
    pub(super) fn note(&mut self, guid: u64, text: NvString, is_path: bool) -> Result<()> {
        let place = self.place_of(guid);
        let vdev = match place.as_deref() {
            Some(place) => self.at_mut(place),
            None => self.spares.iter_mut().chain(&mut self.caches).find(|vdev| vdev.guid == guid),
        };
        let vdev = vdev.ok_or(Errno::ENOENT)?;
        if !vdev.kind.is_leaf() {
            return Err(Errno::ENOTSUP);
        }
        if is_path {
            vdev.path = Some(text);
        } else {
            vdev.other.insert("fru", text);
        }
        Ok(())
    }

    /// What the user set on a vdev, to be changed.
    pub(super) fn properties_mut(&mut self, guid: u64) -> Option<&mut NvList> {
        if guid == self.guid {
            return Some(&mut self.root_properties);
        }
        let place = self.place_of(guid)?;
        self.at_mut(&place).map(|vdev| &mut vdev.properties)
    }

    /// The vdev above one; none for those right below the root.
    pub(super) fn parent_of(&self, guid: u64) -> Option<&Vdev> {
        let place = self.place_of(guid)?;
        self.at(place.split_last()?.1)
    }
}

/// What was attached to what.
#[derive(Debug)]
pub(super) struct Attached {
    /// The name of what there was, for the history.
    pub(super) to: String,
    /// The device that is gone.
    pub(super) replaced: Option<Vdev>,
}

/// What was removed.
#[derive(Debug)]
pub(super) enum Removed {
    Spare(Vdev),
    Cache(Vdev),
    Log(Vdev),
    Top(Vdev),
}

/// What can be attached where.
fn check_attach(
    old: &Vdev,
    top: &Vdev,
    parent: Option<&Vdev>,
    new: &Vdev,
    replacing: bool,
    sequential: bool,
) -> Result<()> {
    let is_raidz = old.kind == Kind::Raidz;
    let refused = Err(Errno::ENOTSUP);
    if !is_raidz && !old.kind.is_leaf() {
        return refused;
    }
    let classed = top.is_log() || top.other.contains("alloc_bias");
    if classed && new.is_spare() {
        return refused;
    }
    if sequential && (is_raidz || top.kind == Kind::Raidz) {
        return refused;
    }
    if replacing {
        let spared = parent.is_some_and(|parent| parent.kind == Kind::Spare);
        return if is_raidz || (spared && new.is_spare() != old.is_spare()) {
            refused
        } else {
            Ok(())
        };
    }
    match parent {
        Some(parent) if !is_raidz && parent.kind != Kind::Mirror => refused,
        _ => Ok(()),
    }
}

/// What a device must have for data to stand for that one: `vdev_get_min_asize`.
fn least_room(vdev: &Vdev, least: u64, device: u64) -> Option<u64> {
    if vdev.guid == device {
        return Some(least);
    }
    let count = u64::try_from(vdev.children.len()).unwrap_or(u64::MAX).max(1);
    let each = match vdev.kind {
        Kind::Raidz | Kind::Draid => least.div_ceil(count),
        _ => least,
    };
    vdev.children.iter().find_map(|child| least_room(child, each, device))
}

impl Vdev {
    /// What it must have for data, right below the root.
    fn least_room(&self) -> u64 {
        self.space()
    }

    /// Its name in the history.
    pub(super) fn label_name(&self, id: usize) -> String {
        match &self.path {
            Some(path) => path.to_string_lossy().into_owned(),
            None => format!("{}{}-{id}", self.kind.name(), self.number("nparity")),
        }
    }
}

/// What is in the place of a vdev that is gone.
fn stand_in(kind: Kind, guid: u64) -> Vdev {
    let mut other = NvList::new();
    if kind == Kind::Hole {
        other.insert("is_hole", 1_u64);
    }
    debug_assert!(OF_TOPS.iter().all(|name| !other.contains(name)), "it has no space");
    Vdev {
        kind,
        guid,
        path: None,
        children: Vec::new(),
        other,
        hand: None,
        health: Health::ONLINE,
        room: 0,
        properties: NvList::new(),
    }
}

/// `vdev_fault` keeps no two words for one reason.
fn lasting(aux: u64) -> u64 {
    if aux == aux::EXTERNAL_PERSIST { aux::EXTERNAL } else { aux }
}
