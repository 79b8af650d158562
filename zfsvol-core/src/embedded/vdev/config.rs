//! Vdevs as configurations have them: read from requests and labels, written for answers and labels.

use std::path::Path;

use super::{ASHIFT_DEFAULT, Hand, Health, Kind, Layout, Vdev, aux, metaslab_shift};
use crate::embedded::engine::{Env, Result};
use crate::kernel::Errno;
use crate::nvlist::NvList;

/// Smallest device (`SPA_MINDEVSIZE`).
const DEVICE_BYTES_MIN: u64 = 64 << 20;
/// What labels and boot area take of a device (`VDEV_LABEL_START_SIZE`, `VDEV_LABEL_END_SIZE`).
const LABEL_BYTES: u64 = (4 << 20) + (512 << 10);
/// Devices are used in pieces of a label's size.
const DEVICE_ALIGN: u64 = 256 << 10;
/// Deeper trees than a root with mirrors of devices and their spares there are not.
const DEPTH_MAX: usize = 8;
/// What is kept in fields of their own, or told anew each time.
const FIELDS: [&str; 11] = [
    "type",
    "id",
    "guid",
    "path",
    "children",
    "spares",
    "l2cache",
    "vdev_stats",
    "offline",
    "faulted",
    "aux_state",
];
/// What belongs to the place right below the root, whatever vdev is there.
pub(super) const OF_TOPS: [&str; 6] =
    ["ashift", "asize", "metaslab_array", "metaslab_shift", "is_log", "alloc_bias"];

/// What says the statistics of a vdev.
pub(in crate::embedded) type Stats<'a> = &'a dyn Fn(&Vdev) -> Vec<u64>;

/// The vdevs of a request.
#[derive(Debug)]
pub(super) struct New {
    pub(super) tops: Vec<Vdev>,
    pub(super) spares: Vec<Vdev>,
    pub(super) caches: Vec<Vdev>,
}

impl New {
    /// New vdevs, to be put below a root that has that many.
    ///
    /// # Errors
    /// `EINVAL` when it is no tree of vdevs; `EBUSY` when a device is in it twice; `EOVERFLOW` when one is too small; what `size_of` says.
    pub(super) fn parse(
        env: &Env,
        config: &NvList,
        tops_before: usize,
        size_of: &dyn Fn(&Path) -> Result<u64>,
    ) -> Result<Self> {
        if config.get_str("type") != Some("root") {
            return Err(Errno::EINVAL);
        }
        let list = |name| config.get_lists(name).unwrap_or_default().iter();
        let each = |config| vdev(env, config, size_of, DEPTH_MAX);
        let mut tops = list("children").map(each).collect::<Result<Vec<_>>>()?;
        tops.iter_mut().for_each(Vdev::become_top);
        let aside = |name| list(name).map(|config| vdev(env, config, size_of, 0));
        let mut spares = aside("spares").collect::<Result<Vec<_>>>()?;
        let caches = aside("l2cache").collect::<Result<Vec<_>>>()?;
        for (id, top) in (tops_before..).zip(&tops) {
            spares.extend(draid_spares(env, id, top));
        }
        let new = Self { tops, spares, caches };
        // What a pool is made of is on several devices, and on each once.
        let mut paths: Vec<_> = new.all().filter_map(|vdev| vdev.path.as_ref()).collect();
        let count = paths.len();
        paths.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        paths.dedup();
        if paths.len() < count {
            return Err(Errno::EBUSY);
        }
        Ok(new)
    }

    /// Every vdev of it.
    pub(super) fn all(&self) -> impl Iterator<Item = &Vdev> {
        self.tops.iter().flat_map(Vdev::iter).chain(&self.spares).chain(&self.caches)
    }
}

/// One vdev of a request, opened.
fn vdev(
    env: &Env,
    config: &NvList,
    size_of: &dyn Fn(&Path) -> Result<u64>,
    depth: usize,
) -> Result<Vdev> {
    let kind = config.get_str("type").and_then(Kind::find).ok_or(Errno::EINVAL)?;
    let mut vdev = Vdev {
        kind,
        guid: env.guid(),
        path: config.get_string("path").cloned(),
        children: Vec::new(),
        other: config.clone(),
        hand: None,
        health: Health::ONLINE,
        room: 0,
        properties: NvList::new(),
    };
    for name in FIELDS {
        vdev.other.remove(name);
    }
    let children = config.get_lists("children").unwrap_or_default();
    match kind {
        Kind::File | Kind::Disk if children.is_empty() => {
            let path = config.get_string("path").ok_or(Errno::EINVAL)?;
            let path = std::os::unix::ffi::OsStrExt::from_bytes(path.as_bytes());
            vdev.room = room_on(size_of(Path::new::<std::ffi::OsStr>(path))?)?;
        }
        Kind::Mirror | Kind::Raidz | Kind::Draid if depth > 0 && !children.is_empty() => {
            let inner = |config| self::vdev(env, config, size_of, depth - 1);
            vdev.children = children.iter().map(inner).collect::<Result<_>>()?;
            vdev.room = vdev.room_of_children();
        }
        _ => return Err(Errno::EINVAL),
    }
    let parity = vdev.number("nparity");
    let count = u64::try_from(vdev.children.len()).unwrap_or(u64::MAX);
    if matches!(kind, Kind::Raidz | Kind::Draid) && !(1..=3.min(count)).contains(&parity) {
        return Err(Errno::EINVAL);
    }
    Ok(vdev)
}

/// What a device of that size has for data.
///
/// # Errors
/// `EOVERFLOW` when it is too small.
pub(super) fn room_on(bytes: u64) -> Result<u64> {
    if bytes < DEVICE_BYTES_MIN {
        return Err(Errno::EOVERFLOW);
    }
    Ok((bytes / DEVICE_ALIGN * DEVICE_ALIGN).saturating_sub(LABEL_BYTES))
}

/// The spares that are distributed over a draid vdev: `vdev_draid_spare_create`.
fn draid_spares<'a>(env: &'a Env, id: usize, top: &'a Vdev) -> impl Iterator<Item = Vdev> + 'a {
    let spares = if top.kind == Kind::Draid { top.number("draid_nspares") } else { 0 };
    (0..spares).map(move |spare| {
        let mut other = NvList::new();
        other.insert("top_guid", top.guid).insert("spare_id", spare).insert("is_spare", 1_u64);
        Vdev {
            kind: Kind::DraidSpare,
            guid: env.guid(),
            path: Some(format!("draid{}-{id}-{spare}", top.number("nparity")).into()),
            children: Vec::new(),
            other,
            hand: None,
            health: Health::ONLINE,
            room: top.room,
            properties: NvList::new(),
        }
    })
}

impl Vdev {
    /// What there is for data on its children: `vdev_mirror_open`, `vdev_raidz_open`, `vdev_draid_open`.
    pub(super) fn room_of_children(&self) -> u64 {
        let usable = self.children.iter().filter(|child| !child.health.is_dead());
        let smallest = usable.map(|child| child.room).min().unwrap_or(0);
        let count = u64::try_from(self.children.len()).unwrap_or(u64::MAX);
        let columns = match self.kind {
            Kind::Raidz => count,
            Kind::Draid => count.saturating_sub(self.number("draid_nspares")),
            _ => 1,
        };
        smallest.saturating_mul(columns)
    }

    /// Gives it what a vdev right below the root has.
    pub(super) fn become_top(&mut self) {
        if !self.other.contains("ashift") {
            let of_leaf = self.leaves().find_map(|leaf| leaf.other.get_u64("ashift"));
            self.other.insert("ashift", of_leaf.unwrap_or(ASHIFT_DEFAULT));
        }
        let shift = u64::from(metaslab_shift(self.room));
        self.other.insert("asize", self.room).insert("metaslab_shift", shift);
        self.other.insert("metaslab_array", 0_u64);
        if !self.other.contains("is_log") {
            self.other.insert("is_log", 0_u64);
        }
        // The sector is the top's; below it the request's word is spent.
        let mut below: Vec<&mut Self> = self.children.iter_mut().collect();
        while let Some(vdev) = below.pop() {
            for name in OF_TOPS {
                vdev.other.remove(name);
            }
            below.extend(vdev.children.iter_mut());
        }
    }

    /// Takes over the place of `old` right below the root.
    pub(super) fn take_place_of(&mut self, old: &Self) {
        for name in OF_TOPS {
            match old.other.get(name) {
                Some(value) => self.other.insert(name, value.clone()),
                None => continue,
            };
        }
    }

    /// Leaves a place right below the root.
    pub(super) fn leave_place(&mut self) {
        for name in OF_TOPS {
            self.other.remove(name);
        }
    }

    /// It as a configuration has it: `vdev_config_generate`. `stats` are added to each vdev, and where there are some, what labels lack.
    pub(in crate::embedded) fn config(
        &self,
        id: Option<usize>,
        stats: Option<Stats<'_>>,
    ) -> NvList {
        let mut config = NvList::new();
        config.insert("type", self.kind.name());
        if let Some(id) = id {
            config.insert("id", u64::try_from(id).unwrap_or(u64::MAX));
        }
        config.insert("guid", self.guid);
        if let Some(path) = &self.path {
            config.insert("path", path.clone());
        }
        for (name, value) in self.other.iter() {
            if name != "alloc_bias" || stats.is_some() {
                config.insert(name, value.clone());
            }
        }
        match self.hand {
            Some(Hand::Offline { temporary: false }) => {
                config.insert("offline", 1_u64);
            }
            Some(Hand::Faulted { aux, temporary }) => {
                config.insert("faulted", 1_u64);
                if !temporary {
                    config.insert("aux_state", aux_name(aux));
                }
            }
            Some(Hand::Degraded { aux }) => {
                config.insert("degraded", 1_u64).insert("aux_state", aux_name(aux));
            }
            _ => {}
        }
        if let Some(stats) = stats {
            config.insert("vdev_stats", stats(self));
        }
        if !self.children.is_empty() {
            let children = self.children.iter().enumerate();
            let children = children.map(|(id, child)| child.config(Some(id), stats));
            config.insert("children", children.collect::<Vec<_>>());
        }
        config
    }
}

fn aux_name(aux: u64) -> &'static str {
    if aux == aux::EXTERNAL { "external" } else { "err_exceeded" }
}

impl Layout {
    /// The tree with its root, as answers have it.
    pub(in crate::embedded) fn config(&self, stats: &dyn Fn(Option<&Vdev>) -> Vec<u64>) -> NvList {
        let each = |vdev: &Vdev| stats(Some(vdev));
        let tops = self.tops.iter().enumerate().map(|(id, top)| top.config(Some(id), Some(&each)));
        let mut root = NvList::new();
        root.insert("type", "root").insert("id", 0_u64).insert("guid", self.guid);
        root.insert("vdev_stats", stats(None)).insert("children", tops.collect::<Vec<_>>());
        for (name, vdevs) in self.aside() {
            if !vdevs.is_empty() {
                let others = vdevs.iter().map(|vdev| vdev.config(None, Some(&each)));
                root.insert(name, others.collect::<Vec<_>>());
            }
        }
        if let Some(removal) = self.removal {
            const FINISHED: u64 = 2;
            let (time, bytes) = (removal.time, removal.bytes);
            let stats = vec![FINISHED, removal.vdev, time, time, bytes, bytes, 0];
            root.insert("removal_stats", stats);
        }
        root
    }

    /// What a configuration says of the vdevs as a whole: `vdev_top_config_generate`.
    pub(in crate::embedded) fn count_into(&self, config: &mut NvList) {
        config.insert("vdev_children", u64::try_from(self.tops.len()).unwrap_or(u64::MAX));
        let holes = (0_u64..).zip(&self.tops).filter(|(_, top)| top.kind == Kind::Hole);
        let holes: Vec<u64> = holes.map(|(id, _)| id).collect();
        if !holes.is_empty() {
            config.insert("hole_array", holes);
        }
    }

    /// Takes the paths from the configuration of an import: `vdev_copy_path_relaxed`, and the caller's own spares and caches.
    pub(in crate::embedded) fn take_paths(&mut self, tree: &NvList) {
        let mut paths = std::collections::BTreeMap::new();
        collect_paths(tree, DEPTH_MAX, &mut paths);
        let mut open: Vec<&mut Vdev> =
            self.tops.iter_mut().chain(&mut self.spares).chain(&mut self.caches).collect();
        while let Some(vdev) = open.pop() {
            if let (Some(path), true) = (paths.get(&vdev.guid), vdev.kind.is_leaf()) {
                vdev.path = Some(path.clone());
            }
            open.extend(vdev.children.iter_mut());
        }
    }
}

/// The paths of all vdevs by GUID.
fn collect_paths(
    vdev: &NvList,
    depth: usize,
    found: &mut std::collections::BTreeMap<u64, crate::nvlist::NvString>,
) {
    if let (Some(guid), Some(path)) = (vdev.get_u64("guid"), vdev.get_string("path")) {
        found.insert(guid, path.clone());
    }
    for kind in ["children", "spares", "l2cache"] {
        for inner in vdev.get_lists(kind).unwrap_or_default().iter().filter(|_| depth > 0) {
            collect_paths(inner, depth - 1, found);
        }
    }
}
