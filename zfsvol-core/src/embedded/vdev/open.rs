//! Devices opened and looked at, and what follows for the vdevs above them: `vdev_open`, `vdev_validate`, `vdev_propagate_state`.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::config::room_on;
use super::{Hand, Health, Kind, Layout, Vdev, aux, label, state};
use crate::embedded::engine::Result;
use crate::kernel::Errno;

/// How large a file or device is.
///
/// # Errors
/// What the system says; `ENODEV` when it is neither; `EINVAL` for a path that is not absolute.
pub(super) fn device_bytes(path: &Path) -> Result<u64> {
    // `vdev_file_open`, `vdev_disk_open`: a path that is not absolute is none.
    if !path.is_absolute() {
        return Err(Errno::EINVAL);
    }
    let errno = |error: std::io::Error| Errno(error.raw_os_error().unwrap_or(Errno::EIO.0));
    let found = fs::metadata(path).map_err(errno)?;
    if found.is_file() {
        return Ok(found.len());
    }
    if !found.file_type().is_block_device() {
        return Err(Errno::ENODEV);
    }
    File::open(path).and_then(|mut device| device.seek(SeekFrom::End(0))).map_err(errno)
}

impl Layout {
    /// Opens every device anew. Where one has grown, `expand` says whether to use that.
    pub(in crate::embedded) fn open(&mut self, expand: bool) {
        let guid = self.guid;
        for top in &mut self.tops {
            top.open(guid);
            // A size is kept while some of it cannot be opened.
            let is_whole = top.leaves().all(|leaf| !leaf.health.is_dead());
            if expand && is_whole && top.room > top.number("asize") {
                top.other.insert("asize", top.room);
            }
        }
        for aside in self.spares.iter_mut().chain(&mut self.caches) {
            aside.open(0);
        }
        self.spare_states();
        self.refresh();
    }

    /// A spare that is in use is no longer one to be had (`spa_add_spares`).
    pub(super) fn spare_states(&mut self) {
        let used: Vec<u64> = self
            .tops
            .iter()
            .flat_map(Vdev::leaves)
            .filter(|leaf| leaf.is_spare())
            .map(|leaf| leaf.guid)
            .collect();
        for spare in &mut self.spares {
            if used.contains(&spare.guid) {
                spare.health = Health::new(state::CANT_OPEN, aux::SPARED);
            } else if spare.health.aux == aux::SPARED {
                spare.health = Health::ONLINE;
            }
        }
    }

    /// How the pool is: `vdev_root_state_change`.
    pub(in crate::embedded) fn health(&self) -> Health {
        let dead = |top: &&Vdev| top.health.is_dead();
        if self.tops.iter().filter(dead).any(|top| !top.is_log()) {
            return Health::new(state::CANT_OPEN, aux::NO_REPLICAS);
        }
        match self.tops.iter().any(|top| top.health.state != state::HEALTHY) {
            true => Health::new(state::DEGRADED, aux::NONE),
            false => Health::ONLINE,
        }
    }

    /// Whether it can be used at all.
    ///
    /// # Errors
    /// `ENXIO` when it cannot, or when a log is missing and that matters.
    pub(in crate::embedded) fn check_usable(&self, without_logs: bool) -> Result<()> {
        let lacking = |top: &&Vdev| top.health.is_dead() && !(top.is_log() && without_logs);
        match self.tops.iter().any(|top| lacking(&top)) {
            true => Err(Errno::ENXIO),
            false => Ok(()),
        }
    }

    /// The vdevs right below the root that cannot be used.
    pub(in crate::embedded) fn missing(&self) -> impl Iterator<Item = (usize, &Vdev)> {
        self.tops.iter().enumerate().filter(|(_, top)| top.health.is_dead())
    }
}

impl Vdev {
    /// Opens what it is made of, and says how it is. The devices must have labels of that pool; of any, where it is 0.
    pub(super) fn open(&mut self, pool: u64) {
        for child in &mut self.children {
            child.open(pool);
        }
        if self.kind.is_leaf() {
            self.open_leaf(pool);
        }
        self.assess();
    }

    fn open_leaf(&mut self, pool: u64) {
        self.health = match self.hand {
            Some(Hand::Offline { .. }) => Health::new(state::OFFLINE, aux::NONE),
            Some(Hand::Faulted { aux, .. }) => Health::new(state::FAULTED, aux),
            Some(Hand::Removed) => Health::new(state::REMOVED, aux::NONE),
            Some(Hand::Degraded { .. }) | None => match self.look(pool) {
                Ok(room) => {
                    self.room = room;
                    match self.hand {
                        Some(Hand::Degraded { aux }) => Health::new(state::DEGRADED, aux),
                        _ => Health::ONLINE,
                    }
                }
                Err(aux) => Health::new(state::CANT_OPEN, aux),
            },
        };
    }

    /// What it has for data, or what is wrong with it (`vdev_aux_t`).
    fn look(&self, pool: u64) -> std::result::Result<u64, u64> {
        // What is in memory is always there.
        let Some(path) = self.path() else { return Ok(self.room) };
        let bytes = device_bytes(path).map_err(|_| aux::OPEN_FAILED)?;
        let room = room_on(bytes).map_err(|_| aux::TOO_SMALL)?;
        let label = label::read(path).ok_or(aux::BAD_LABEL)?;
        let is_ours = label.guid.get() == self.guid
            && label.pool.is_none_or(|of| pool == 0 || of.guid.get() == pool);
        if is_ours { Ok(room) } else { Err(aux::CORRUPT_DATA) }
    }

    /// Says how it is by how its children are.
    pub(super) fn assess(&mut self) {
        if self.children.is_empty() {
            return;
        }
        self.children.iter_mut().for_each(Self::assess);
        let dead = self.children.iter().filter(|child| child.health.is_dead()).count();
        let spare = match self.kind {
            Kind::Raidz | Kind::Draid => usize::try_from(self.number("nparity")).unwrap_or(0),
            _ => self.children.len().saturating_sub(1),
        };
        let sound = self.children.iter().all(|child| child.health.state == state::HEALTHY);
        self.health = match (dead > spare, sound) {
            (true, _) => Health::new(state::CANT_OPEN, aux::NO_REPLICAS),
            (false, true) => Health::ONLINE,
            (false, false) => Health::new(state::DEGRADED, aux::NONE),
        };
        self.room = self.room_of_children();
    }

    /// Whether it cannot do without that device: `vdev_dtl_required`.
    pub(super) fn needs(&self, device: u64) -> bool {
        if self.guid == device {
            return true;
        }
        let mut without = self.clone();
        without.mark_dead(device);
        without.assess();
        without.health.is_dead() && !self.health.is_dead()
    }

    fn mark_dead(&mut self, device: u64) {
        if self.guid == device {
            self.health = Health::new(state::CANT_OPEN, aux::NONE);
        }
        self.children.iter_mut().for_each(|child| child.mark_dead(device));
    }
}
