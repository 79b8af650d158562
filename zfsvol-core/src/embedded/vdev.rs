//! [`Layout`]: the vdevs of a pool, as far as their space goes.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::engine::{Env, Result, signed};
use crate::kernel::Errno;
use crate::nvlist::NvList;

/// Smallest device (`SPA_MINDEVSIZE`).
const DEVICE_BYTES_MIN: u64 = 64 << 20;
/// What labels and boot area take of a device (`VDEV_LABEL_START_SIZE`, `VDEV_LABEL_END_SIZE`).
const LABEL_BYTES: u64 = (4 << 20) + (512 << 10);
/// Devices are used in pieces of a label's size.
const DEVICE_ALIGN: u64 = 256 << 10;
/// A metaslab is that large, if there are enough of them (`zfs_vdev_default_ms_shift`)...
const METASLAB_SHIFT: u32 = 29;
/// ... and smaller otherwise, so that there are that many (`zfs_vdev_min_ms_count`).
const METASLABS_MIN: u64 = 16;
/// Sectors where nothing says otherwise: those of a file.
const ASHIFT_DEFAULT: u64 = 9;
/// Deeper trees than a root with mirrors of replacing devices there are not.
const DEPTH_MAX: usize = 8;

/// The vdevs of a pool.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The tree as a configuration has it, with GUIDs.
    tree: NvList,
    /// Bytes that can be allocated.
    usable: i64,
    /// The largest sector, as a power of two.
    ashift: u8,
    /// The files and devices it is made of.
    devices: Vec<PathBuf>,
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
        Self::new(env, guid, config, &|path| {
            let found = fs::metadata(path)
                .map_err(|error| Errno(error.raw_os_error().unwrap_or(Errno::EIO.0)))?;
            Ok(found.len())
        })
    }

    fn new(
        env: &Env,
        guid: u64,
        config: &NvList,
        size_of: &dyn Fn(&Path) -> Result<u64>,
    ) -> Result<Self> {
        if config.get_str("type") != Some("root") {
            return Err(Errno::EINVAL);
        }
        let mut tree = config.clone();
        tree.insert("id", 0_u64).insert("guid", guid);
        let mut usable = 0_u64;
        let mut ashift = 0;
        let mut children = Vec::new();
        for (id, child) in (0_u64..).zip(config.get_lists("children").unwrap_or_default()) {
            let (mut child, size) = vdev(env, id, child, size_of, DEPTH_MAX)?;
            let asize = metaslabs(size);
            child.insert("asize", asize);
            let sector = child.get_u64("ashift").and_then(|bits| u8::try_from(bits).ok());
            ashift = ashift.max(sector.unwrap_or(0));
            if child.get_u64("is_log") != Some(1) && child.get_str("alloc_bias").is_none() {
                usable = usable.saturating_add(asize);
            }
            children.push(child);
        }
        // Logs and the like are beside what holds data.
        if usable == 0 {
            return Err(Errno::EINVAL);
        }
        tree.insert("children", children);
        let ashift = ashift.clamp(9, 16);
        for kind in ["spares", "l2cache"] {
            let others: Option<Result<Vec<NvList>>> = config.get_lists(kind).map(|others| {
                let each = (0_u64..).zip(others);
                each.map(|(id, other)| Ok(vdev(env, id, other, size_of, 0)?.0)).collect()
            });
            if let Some(others) = others {
                tree.insert(kind, others?);
            }
        }
        let mut devices = Vec::new();
        collect_paths(&tree, &mut devices);
        // What a pool is made of is on several devices, and on each once.
        let mut sorted = devices.clone();
        sorted.sort();
        sorted.dedup();
        if sorted.len() < devices.len() {
            return Err(Errno::EBUSY);
        }
        Ok(Self { tree, usable: signed(usable), ashift, devices })
    }

    /// The files and devices it is made of, but for those in memory.
    pub(super) fn devices(&self) -> impl Iterator<Item = &Path> {
        self.devices.iter().map(PathBuf::as_path).filter(|path| path.is_absolute())
    }

    /// The vdev of that GUID.
    pub(super) fn find(&self, guid: u64) -> Option<&NvList> {
        let mut open = vec![&self.tree];
        while let Some(vdev) = open.pop() {
            if vdev.get_u64("guid") == Some(guid) {
                return Some(vdev);
            }
            open.extend(vdev.get_lists("children").unwrap_or_default());
        }
        None
    }

    /// The features of a pool that its vdevs need.
    pub(super) fn features(&self) -> impl Iterator<Item = &'static str> {
        let children = self.tree.get_lists("children").unwrap_or_default();
        let draid = children.iter().any(|vdev| vdev.get_str("type") == Some("draid"));
        let class = |vdev: &NvList| matches!(vdev.get_str("alloc_bias"), Some("special" | "dedup"));
        let classes = children.iter().any(class);
        draid.then_some("draid").into_iter().chain(classes.then_some("allocation_classes"))
    }

    /// The tree as a configuration has it.
    pub(super) fn tree(&self) -> &NvList {
        &self.tree
    }

    /// The largest sector, as a power of two.
    pub(super) fn ashift(&self) -> u8 {
        self.ashift
    }

    /// Bytes that can be allocated (`spa_get_dspace`).
    pub(super) fn usable(&self) -> i64 {
        self.usable
    }
}

/// A vdev with its numbers, and how large it is.
fn vdev(
    env: &Env,
    id: u64,
    config: &NvList,
    size_of: &dyn Fn(&Path) -> Result<u64>,
    depth: usize,
) -> Result<(NvList, u64)> {
    let kind = config.get_str("type").ok_or(Errno::EINVAL)?.to_owned();
    let mut vdev = config.clone();
    vdev.insert("id", id).insert("guid", env.guid());
    if !vdev.contains("ashift") {
        vdev.insert("ashift", ASHIFT_DEFAULT);
    }
    let Some(children) = config.get_lists("children") else {
        let path = config.get_string("path").ok_or(Errno::EINVAL)?;
        let size = size_of(Path::new(std::ffi::OsStr::from_bytes(path.as_bytes())))?;
        if size < DEVICE_BYTES_MIN {
            return Err(Errno::EOVERFLOW);
        }
        let size = size / DEVICE_ALIGN * DEVICE_ALIGN;
        return Ok((vdev, size.saturating_sub(LABEL_BYTES)));
    };
    if depth == 0 || children.is_empty() {
        return Err(Errno::EINVAL);
    }
    let mut inner = Vec::new();
    let mut smallest = u64::MAX;
    for (id, child) in (0_u64..).zip(children) {
        let (child, size) = self::vdev(env, id, child, size_of, depth - 1)?;
        smallest = smallest.min(size);
        inner.push(child);
    }
    let count = u64::try_from(inner.len()).unwrap_or(u64::MAX);
    vdev.insert("children", inner);
    let parity = config.get_u64("nparity").unwrap_or(0);
    let data = match kind.as_str() {
        "raidz" | "draid" => count.saturating_sub(parity).max(1),
        _ => 1,
    };
    Ok((vdev, smallest.saturating_mul(data)))
}

/// The paths of all leaves, spares and caches included.
fn collect_paths(vdev: &NvList, found: &mut Vec<PathBuf>) {
    if let Some(path) = vdev.get_string("path") {
        found.push(PathBuf::from(std::ffi::OsStr::from_bytes(path.as_bytes())));
    }
    for kind in ["children", "spares", "l2cache"] {
        for inner in vdev.get_lists(kind).unwrap_or_default() {
            collect_paths(inner, found);
        }
    }
}

/// What of a vdev is in whole metaslabs: `vdev_metaslab_set_size`.
fn metaslabs(asize: u64) -> u64 {
    let mut shift = METASLAB_SHIFT;
    if asize >> shift < METASLABS_MIN {
        shift = (asize / METASLABS_MIN).max(1).ilog2();
    }
    asize >> shift << shift
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_device_is_used_in_whole_metaslabs() {
        let env = Env::new((2, 3), Box::new(SystemTime::now), 1);
        let layout = Layout::in_memory(&env, 1, 128 << 20).unwrap();
        assert_eq!(layout.usable() % (4 << 20), 0);
        assert!(layout.usable() > 110 << 20 && layout.usable() < 124 << 20);
        assert_eq!(Layout::in_memory(&env, 1, 1 << 20).unwrap_err(), Errno::EOVERFLOW);
    }
}
