//! [`Layout`]: the vdevs of a pool, their state and their space.
//!
//! Facts: OpenZFS 2.3 `module/zfs/vdev.c`, `vdev_root.c`, `vdev_mirror.c`, `vdev_raidz.c`. What takes time in the module (resilvering, moving the data of
//! a vdev that is removed, expansion) is over at once here: all data is in memory, so that no device lacks any.

mod change;
mod config;
mod handler;
mod label;
mod open;
mod property;
mod stored;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) use handler::{add, attach, conf, detach, remove, set_fru, set_path, set_state};
pub(super) use label::{LabelState, hostname};
pub(super) use property::{get_properties, set_properties};

use super::engine::{Env, Result, signed};
use crate::kernel::Errno;
use crate::nvlist::{NvList, NvString};

/// A metaslab is that large, if there are enough of them (`zfs_vdev_default_ms_shift`)...
const METASLAB_SHIFT: u32 = 29;
/// ... and smaller otherwise, so that there are that many (`zfs_vdev_min_ms_count`).
const METASLABS_MIN: u64 = 16;
/// Sectors where nothing says otherwise: those of a file.
const ASHIFT_DEFAULT: u64 = 9;

/// `vdev_state_t`
pub(super) mod state {
    pub(in crate::embedded) const OFFLINE: u64 = 2;
    pub(in crate::embedded) const REMOVED: u64 = 3;
    pub(in crate::embedded) const CANT_OPEN: u64 = 4;
    pub(in crate::embedded) const FAULTED: u64 = 5;
    pub(in crate::embedded) const DEGRADED: u64 = 6;
    pub(in crate::embedded) const HEALTHY: u64 = 7;
}

/// `vdev_aux_t`
mod aux {
    pub(super) const NONE: u64 = 0;
    pub(super) const OPEN_FAILED: u64 = 1;
    pub(super) const CORRUPT_DATA: u64 = 2;
    pub(super) const NO_REPLICAS: u64 = 3;
    pub(super) const TOO_SMALL: u64 = 5;
    pub(super) const BAD_LABEL: u64 = 6;
    pub(super) const SPARED: u64 = 10;
    pub(super) const ERR_EXCEEDED: u64 = 11;
    pub(super) const EXTERNAL: u64 = 14;
    pub(super) const EXTERNAL_PERSIST: u64 = 17;
}

/// What a vdev is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Disk,
    DraidSpare,
    Mirror,
    Raidz,
    Draid,
    /// A device in whose place a hot spare is for now.
    Spare,
    /// What was moved elsewhere when it was removed.
    Indirect,
    /// The place of a log that was removed.
    Hole,
}

impl Kind {
    const NAMES: [(Self, &'static str); 9] = [
        (Self::File, "file"),
        (Self::Disk, "disk"),
        (Self::DraidSpare, "dspare"),
        (Self::Mirror, "mirror"),
        (Self::Raidz, "raidz"),
        (Self::Draid, "draid"),
        (Self::Spare, "spare"),
        (Self::Indirect, "indirect"),
        (Self::Hole, "hole"),
    ];

    fn find(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    pub(super) fn is_leaf(self) -> bool {
        matches!(self, Self::File | Self::Disk | Self::DraidSpare)
    }
}

/// What was done to a device by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hand {
    Offline {
        /// Till the pool is imported again.
        temporary: bool,
    },
    Faulted {
        aux: u64,
        temporary: bool,
    },
    Degraded {
        aux: u64,
    },
    Removed,
}

/// How a vdev is, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// As in [`state`].
    pub(super) state: u64,
    aux: u64,
}

impl Health {
    const ONLINE: Self = Self { state: state::HEALTHY, aux: aux::NONE };

    const fn new(state: u64, aux: u64) -> Self {
        Self { state, aux }
    }

    /// Whether it cannot be used (`vdev_is_dead`).
    fn is_dead(self) -> bool {
        self.state < state::DEGRADED
    }
}

/// One vdev, and what it is made of.
#[derive(Clone, Debug)]
pub(super) struct Vdev {
    pub(super) kind: Kind,
    pub(super) guid: u64,
    path: Option<NvString>,
    pub(super) children: Vec<Vdev>,
    /// What else its configuration says, in the module's words: `ashift`, `is_log`, `nparity`, `fru`.
    other: NvList,
    hand: Option<Hand>,
    pub(super) health: Health,
    /// Bytes there are for data, as it was opened last.
    room: u64,
    /// What the user set on it, by name.
    properties: NvList,
}

impl Vdev {
    /// The file or device it is, if that is one of the machine's.
    pub(super) fn path(&self) -> Option<&Path> {
        let path = Path::new(OsStr::from_bytes(self.path.as_ref()?.as_bytes()));
        path.is_absolute().then_some(path)
    }

    /// Itself and all below.
    fn iter(&self) -> impl Iterator<Item = &Self> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let next = open.pop()?;
            open.extend(next.children.iter().rev());
            Some(next)
        })
    }

    fn leaves(&self) -> impl Iterator<Item = &Self> {
        self.iter().filter(|vdev| vdev.kind.is_leaf())
    }

    fn number(&self, name: &str) -> u64 {
        self.other.get_u64(name).unwrap_or(0)
    }

    fn is_log(&self) -> bool {
        self.number("is_log") == 1
    }

    fn is_spare(&self) -> bool {
        self.number("is_spare") == 1
    }

    /// Whether it holds what datasets hold: no log, and of no class of its own.
    fn is_normal(&self) -> bool {
        !self.is_log() && self.is_concrete() && !self.other.contains("alloc_bias")
    }

    /// Whether it has devices (`vdev_is_concrete`).
    fn is_concrete(&self) -> bool {
        !matches!(self.kind, Kind::Indirect | Kind::Hole)
    }

    /// Bytes in its metaslabs (`vs_space`); for a vdev right below the root.
    fn space(&self) -> u64 {
        let (asize, shift) = (self.number("asize"), self.number("metaslab_shift"));
        let shift = u32::try_from(shift).unwrap_or(0);
        asize.checked_shr(shift).and_then(|count| count.checked_shl(shift)).unwrap_or(asize)
    }

    /// What of those is left when parity is taken off (`vs_dspace`, `vdev_deflate_ratio`).
    fn deflated_space(&self) -> u64 {
        const TYPICAL_BYTES: u64 = 128 << 10;
        let asize = self.psize_to_asize(TYPICAL_BYTES) >> 9;
        (self.space() >> 9).saturating_mul(TYPICAL_BYTES / asize.max(1))
    }

    /// Bytes it could grow by (`vs_esize`).
    fn expandable(&self) -> u64 {
        let asize = self.other.get_u64("asize").unwrap_or(self.room);
        self.room.saturating_sub(asize)
    }

    /// What a block of that size takes with its parity: `vdev_raidz_psize_to_asize`, `vdev_draid_psize_to_asize`.
    fn psize_to_asize(&self, bytes: u64) -> u64 {
        let ashift = self.number("ashift").clamp(9, 16);
        let parity = self.number("nparity");
        let count = u64::try_from(self.children.len()).unwrap_or(u64::MAX);
        let sectors = bytes.div_ceil(1 << ashift);
        match self.kind {
            Kind::Raidz => {
                let data = count.saturating_sub(parity).max(1);
                let all = sectors + parity.saturating_mul(sectors.div_ceil(data));
                all.next_multiple_of(parity.clamp(1, 3) + 1) << ashift
            }
            Kind::Draid => {
                let data = self.number("draid_ndata").max(1);
                sectors.div_ceil(data).saturating_mul(data.saturating_add(parity)) << ashift
            }
            _ => sectors << ashift,
        }
    }
}

/// How a vdev is, and how full: numbers of its statistics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) state: u64,
    pub(super) aux: u64,
    pub(super) allocated: u64,
    pub(super) space: u64,
    pub(super) usable: u64,
    pub(super) room: u64,
    pub(super) expandable: u64,
    pub(super) ashift: u64,
    pub(super) no_new_data: u64,
}

/// What was told last of a vdev whose data was moved away (`pool_removal_stat_t`).
#[derive(Clone, Copy, Debug)]
struct Removal {
    vdev: u64,
    time: u64,
    bytes: u64,
}

/// The vdevs of a pool.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The GUID of the pool, which is that of its root vdev.
    guid: u64,
    pub(super) tops: Vec<Vdev>,
    spares: Vec<Vdev>,
    caches: Vec<Vdev>,
    removal: Option<Removal>,
    /// What the user set on the root vdev, by name.
    root_properties: NvList,
    /// Bytes that can be allocated.
    usable: i64,
    /// The largest sector, as a power of two.
    ashift: u8,
}

impl Layout {
    /// One device in memory.
    ///
    /// # Errors
    /// `EOVERFLOW` when it is too small.
    pub(super) fn in_memory(env: &Env, guid: u64, size: u64) -> Result<Self> {
        let mut device = NvList::new();
        device.insert("type", "file").insert("path", "memory");
        let mut tree = NvList::new();
        tree.insert("type", "root").insert("children", vec![device]);
        Self::new(env, guid, &tree, &|_| Ok(size))
    }

    /// The vdevs of a request, whose files and devices must be there.
    ///
    /// # Errors
    /// `EINVAL` when it is no such tree; `ENOENT` and what else the system says of a device; `EOVERFLOW` when one is too small.
    pub(super) fn of_devices(env: &Env, guid: u64, config: &NvList) -> Result<Self> {
        Self::new(env, guid, config, &open::device_bytes)
    }

    fn new(
        env: &Env,
        guid: u64,
        config: &NvList,
        size_of: &dyn Fn(&Path) -> Result<u64>,
    ) -> Result<Self> {
        let new = config::New::parse(env, config, 0, size_of)?;
        let mut layout = Self {
            guid,
            tops: new.tops,
            spares: new.spares,
            caches: new.caches,
            removal: None,
            root_properties: NvList::new(),
            usable: 0,
            ashift: 9,
        };
        layout.refresh();
        // Logs and the like are beside what holds data.
        if layout.usable == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(layout)
    }

    /// Reckons anew what follows from the vdevs.
    fn refresh(&mut self) {
        let normal = || self.tops.iter().filter(|top| top.is_normal());
        let usable = normal().map(Vdev::deflated_space).fold(0, u64::saturating_add);
        let sectors = self.tops.iter().filter(|top| top.is_concrete());
        let largest = sectors.map(|top| top.number("ashift")).max().unwrap_or(ASHIFT_DEFAULT);
        self.usable = signed(usable);
        self.ashift = u8::try_from(largest.clamp(9, 16)).unwrap_or(9);
    }

    /// The GUID of the pool.
    pub(super) fn guid(&self) -> u64 {
        self.guid
    }

    /// Gives the pool another.
    pub(super) fn set_guid(&mut self, guid: u64) {
        self.guid = guid;
    }

    /// The files and devices it is made of, but for those in memory.
    pub(super) fn devices(&self) -> impl Iterator<Item = &Path> {
        self.all().filter_map(Vdev::path)
    }

    /// Every vdev below the root, spares and caches included.
    fn all(&self) -> impl Iterator<Item = &Vdev> {
        let aside = self.spares.iter().chain(&self.caches);
        self.tops.iter().flat_map(Vdev::iter).chain(aside)
    }

    /// The vdev of that GUID; the root is none.
    pub(super) fn find(&self, guid: u64) -> Option<&Vdev> {
        self.all().find(|vdev| vdev.guid == guid)
    }

    /// Whether that is a vdev of the pool, which the root is, too.
    pub(super) fn has(&self, guid: u64) -> bool {
        guid == self.guid || self.find(guid).is_some()
    }

    /// Its hot spares, and its caches.
    fn aside(&self) -> [(&'static str, &Vec<Vdev>); 2] {
        [("spares", &self.spares), ("l2cache", &self.caches)]
    }

    /// The features of a pool that its vdevs need.
    pub(super) fn features(&self) -> impl Iterator<Item = &'static str> {
        features_of(&self.tops)
    }

    /// The largest sector, as a power of two.
    pub(super) fn ashift(&self) -> u8 {
        self.ashift
    }

    /// Bytes that can be allocated (`spa_get_dspace`).
    pub(super) fn usable(&self) -> i64 {
        self.usable
    }

    /// Bytes there are, with those for parity and of classes of their own (`spa_prop_get_config`).
    pub(super) fn size(&self) -> u64 {
        let tops = self.tops.iter().filter(|top| !top.is_log() && top.is_concrete());
        tops.map(Vdev::space).fold(0, u64::saturating_add)
    }

    /// What of that many bytes is on a vdev right below the root: they are spread evenly.
    fn share(&self, top: &Vdev, bytes: u64) -> u64 {
        let all = u128::try_from(self.usable).unwrap_or(1).max(1);
        let part = u128::from(bytes).saturating_mul(u128::from(top.deflated_space())) / all;
        if top.is_normal() { u64::try_from(part).unwrap_or(u64::MAX) } else { 0 }
    }

    /// How a vdev, or the root, is and how full, where that many bytes are used in all.
    pub(super) fn usage(&self, vdev: Option<&Vdev>, used: u64) -> Usage {
        let Some(vdev) = vdev else {
            let Health { state, aux } = self.health();
            let tops = || self.tops.iter();
            return Usage {
                state,
                aux,
                allocated: self.with_parity(used),
                space: tops().map(Vdev::space).fold(0, u64::saturating_add),
                usable: tops().map(Vdev::deflated_space).fold(0, u64::saturating_add),
                ashift: u64::from(self.ashift),
                ..Usage::default()
            };
        };
        let is_top = vdev.other.contains("asize");
        Usage {
            state: vdev.health.state,
            aux: vdev.health.aux,
            allocated: if is_top { self.with_parity(self.share(vdev, used)) } else { 0 },
            space: vdev.space(),
            usable: if is_top { vdev.deflated_space() } else { 0 },
            room: vdev.room,
            expandable: vdev.expandable(),
            ashift: self.top_of(vdev.guid).map_or(ASHIFT_DEFAULT, |top| top.number("ashift")),
            no_new_data: u64::from(vdev.properties.get_u64("allocating") == Some(0)),
        }
    }

    /// The vdev right below the root that another is in.
    fn top_of(&self, guid: u64) -> Option<&Vdev> {
        self.tops.iter().find(|top| top.iter().any(|vdev| vdev.guid == guid))
    }

    /// What of the space with parity that many bytes without it take.
    pub(super) fn with_parity(&self, bytes: u64) -> u64 {
        let (size, usable) = (u128::from(self.size()), u128::try_from(self.usable).unwrap_or(1));
        let raw = u128::from(bytes).saturating_mul(size) / usable.max(1);
        u64::try_from(raw).unwrap_or(u64::MAX).clamp(bytes.min(self.size()), self.size())
    }
}

/// The features that such vdevs need.
fn features_of(tops: &[Vdev]) -> impl Iterator<Item = &'static str> {
    let draid = tops.iter().any(|vdev| vdev.kind == Kind::Draid);
    let class = |vdev: &Vdev| matches!(vdev.other.get_str("alloc_bias"), Some("special" | "dedup"));
    let classes = tops.iter().any(class);
    draid.then_some("draid").into_iter().chain(classes.then_some("allocation_classes"))
}

/// The size of a vdev's metaslabs, as a power of two: `vdev_metaslab_set_size`.
fn metaslab_shift(asize: u64) -> u32 {
    if asize >> METASLAB_SHIFT < METASLABS_MIN {
        return (asize / METASLABS_MIN).max(1).ilog2();
    }
    METASLAB_SHIFT
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_device_is_used_in_whole_metaslabs() {
        let env = Env::new((2, 3), Box::new(SystemTime::now), Some(1));
        let layout = Layout::in_memory(&env, 1, 128 << 20).unwrap();
        assert_eq!(layout.usable() % (4 << 20), 0);
        assert!(layout.usable() > 110 << 20 && layout.usable() < 124 << 20);
        assert_eq!(Layout::in_memory(&env, 1, 1 << 20).unwrap_err(), Errno::EOVERFLOW);
    }

    #[test]
    fn parity_is_taken_off_what_can_be_used() {
        let env = Env::new((2, 3), Box::new(SystemTime::now), Some(1));
        let leaf = |n: u64| {
            let mut leaf = NvList::new();
            leaf.insert("type", "file").insert("path", format!("memory{n}"));
            leaf
        };
        let mut raidz = NvList::new();
        raidz.insert("type", "raidz").insert("nparity", 1_u64);
        raidz.insert("children", (0..3).map(leaf).collect::<Vec<_>>());
        let mut tree = NvList::new();
        tree.insert("type", "root").insert("children", vec![raidz]);
        let layout = Layout::new(&env, 1, &tree, &|_| Ok(1 << 30)).unwrap();
        let usable = u64::try_from(layout.usable()).unwrap();
        assert!(layout.size() > 2900 << 20, "{}", layout.size());
        assert!(usable * 3 / 2 <= layout.size() && usable > layout.size() * 6 / 10, "{usable}");
    }
}
