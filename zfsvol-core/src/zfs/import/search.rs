//! The search: labels read, and a configuration put together for each pool.
//!
//! A label describes one top-level vdev only. The pool's own configuration is put together from those with the newest label of each, as in
//! OpenZFS 2.4 `lib/libzutil/zutil_import.c`, `get_configs`, and the kernel completes it (`ZFS_IOC_POOL_TRYIMPORT`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ImportablePool, in_use, unsupported};
use crate::error::{Error, Result};
use crate::kernel::{Cmd, Ioc};
use crate::label::{Label, LabelPool, LabelState};
use crate::nvlist::{NvList, NvString, Value};
use crate::units::Guid;
use crate::zfs::Zfs;
use crate::zfs::call::{CallError, Operation, REPLY_BYTES_FIRST};
use crate::zfs::device::{Labelled, find_labels};
use crate::zfs::pool_status::PoolHealth;
use crate::zfs::vdev_status::{VdevState, VdevStatus};

const SEARCH: Operation = Operation::new(Ioc::POOL_TRYIMPORT, "look for pools on");
const CONFIGS: Operation = Operation::new(Ioc::POOL_CONFIGS, "look for pools on");

/// Most top-level vdevs of a pool: a label that claims more is not believed. Real pools have at most some hundreds.
const TOP_VDEVS_MAX: usize = 4096;

/// How deep a top-level vdev is followed for its leaves: a mirror of spares of replacing vdevs is three.
const VDEV_DEPTH_MAX: usize = 16;

/// Where to look for pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSearch {
    /// Files, block devices, and directories whose files and devices are all looked at (not those of directories below).
    pub paths: Vec<PathBuf>,
    /// Destroyed pools too.
    pub destroyed: bool,
}

impl ImportSearch {
    /// In these files, devices and directories.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self { paths: paths.into_iter().map(Into::into).collect(), destroyed: false }
    }

    /// Destroyed pools too.
    #[must_use]
    pub fn destroyed(mut self) -> Self {
        self.destroyed = true;
        self
    }
}

/// The labels of one pool.
#[derive(Debug, Default)]
struct Found {
    /// The newest label of each top-level vdev, by its GUID.
    tops: BTreeMap<Guid, Label>,
}

impl Zfs {
    /// The pools that can be imported from those devices, ordered by name and GUID. Pools that are imported are left out.
    ///
    /// Reads the labels of each device, and issues `ZFS_IOC_POOL_CONFIGS` once and `ZFS_IOC_POOL_TRYIMPORT` for each pool found, which reads
    /// from its devices and takes some seconds for a pool with `multihost`.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when a path does not exist; [`Denied`](crate::ErrorKind::Denied) when it cannot be read. What is in a directory and cannot be
    /// read is left out.
    #[doc(alias = "zpool_search_import")]
    pub fn importable_pools(&self, search: &ImportSearch) -> Result<Vec<ImportablePool>> {
        let mut devices = Vec::new();
        for path in &search.paths {
            devices.extend(find_labels(path).map_err(|error| {
                Error::io(SEARCH.verb, error).with_target(path.display().to_string())
            })?);
        }
        let imported = self.imported_guids(CONFIGS)?;
        let mut pools: BTreeMap<Guid, Found> = BTreeMap::new();
        for Labelled { label, .. } in &devices {
            if let Some(pool) = &label.pool {
                let wanted = search.destroyed || label.state != LabelState::Destroyed;
                if wanted && !imported.contains(&pool.guid) {
                    pools.entry(pool.guid).or_default().add(pool, label);
                }
            }
        }
        let mut found = pools
            .values()
            .filter_map(|found| found.assemble(&devices))
            .map(|(label, config)| self.try_import(&label, config, &devices))
            .collect::<Result<Vec<_>>>()?;
        found.sort_by(|a, b| (&a.name, a.guid).cmp(&(&b.name, b.guid)));
        Ok(found)
    }

    /// Whether a pool of that GUID is imported.
    pub(in crate::zfs) fn is_imported(&self, operation: Operation, guid: Guid) -> Result<bool> {
        Ok(self.imported_guids(operation)?.contains(&guid))
    }

    fn imported_guids(&self, operation: Operation) -> Result<Vec<Guid>> {
        let mut cmd = Cmd::default();
        cmd.reply_max = REPLY_BYTES_FIRST;
        let operation = Operation::new(Ioc::POOL_CONFIGS, operation.verb);
        let configs = self.call_cmd(operation, &mut cmd).map_err(|error| error.into_error(self))?;
        Ok(configs
            .iter()
            .filter_map(|(name, _)| configs.get_list(name)?.get_u64("pool_guid"))
            .map(Guid::new)
            .collect())
    }

    /// The configuration as the kernel reads it from the devices, and what it says of them.
    fn try_import(
        &self,
        label: &Label,
        config: NvList,
        devices: &[Labelled],
    ) -> Result<ImportablePool> {
        let Some(pool) = &label.pool else {
            return Err(Error::protocol(SEARCH.verb, "a label names no pool"));
        };
        let library = |error| CallError::library(SEARCH, &pool.name, error).into_error(self);
        let mut cmd = Cmd::default();
        cmd.conf = Some(config.to_bytes().map_err(|error| library(Error::from(error)))?);
        cmd.reply_max = REPLY_BYTES_FIRST;
        // A pool so damaged that the kernel says nothing of it is shown as its labels have it.
        let mut config = match self.call_cmd(SEARCH, &mut cmd) {
            Ok(tried) if tried.get_list("vdev_tree").is_some() => tried,
            Ok(_) => config,
            Err(error)
                if error.errno().is_some_and(|errno| errno != crate::kernel::Errno::EPERM) =>
            {
                config
            }
            Err(error) => {
                return Err(error.into_error(self).with_target(pool.name.clone()));
            }
        };
        fix_aux_paths(&mut config, devices);
        Ok(importable(label, pool, config))
    }
}

fn importable(label: &Label, pool: &LabelPool, config: NvList) -> ImportablePool {
    let exported = label.state == LabelState::Exported;
    let host_use = in_use(&config, exported, pool.host.as_ref());
    let root = config
        .get_list("vdev_tree")
        .map_or_else(|| VdevStatus::from_config(&NvList::new()), VdevStatus::from_config);
    let info = config.get_list("load_info");
    ImportablePool {
        name: pool.name.clone(),
        guid: pool.guid,
        txg: label.txg,
        destroyed: label.state == LabelState::Destroyed,
        exported,
        health: health(&root),
        in_use: host_use,
        unsupported_features: info.map(unsupported).unwrap_or_default(),
        read_only_possible: info.is_some_and(|info| info.contains("can_rdonly")),
        root,
        config,
    }
}

fn health(root: &VdevStatus) -> PoolHealth {
    match root.state {
        VdevState::Online => PoolHealth::Online,
        VdevState::Degraded => PoolHealth::Degraded,
        VdevState::Unknown => PoolHealth::Unknown,
        VdevState::Faulted => PoolHealth::Faulted,
        _ => PoolHealth::Unavailable,
    }
}

impl Found {
    fn add(&mut self, pool: &LabelPool, label: &Label) {
        let newest = self.tops.entry(pool.top_guid).or_insert_with(|| label.clone());
        if label.txg > newest.txg {
            *newest = label.clone();
        }
    }

    /// The newest label, and a configuration for the kernel to complete. `None` when the labels make none.
    fn assemble(&self, devices: &[Labelled]) -> Option<(Label, NvList)> {
        let newest = self.tops.values().max_by_key(|label| label.txg)?;
        let pool_guid = newest.pool.as_ref()?.guid;
        let mut config = NvList::new();
        for name in [
            "version",
            "pool_guid",
            "name",
            "comment",
            "compatibility",
            "state",
            "hostid",
            "hostname",
            "vdev_children",
            "hole_array",
        ] {
            if let Some(value) = newest.config.get(name) {
                config.insert(name, value.clone());
            }
        }
        let mut root = NvList::new();
        root.insert("type", "root").insert("id", 0_u64).insert("guid", pool_guid.get());
        root.insert("children", self.children(newest, devices)?);
        config.insert("vdev_tree", root);
        Some((newest.clone(), config))
    }

    /// The top-level vdevs, each in its place, with holes and missing ones between them.
    fn children(&self, newest: &Label, devices: &[Labelled]) -> Option<Vec<NvList>> {
        let mut found: BTreeMap<u64, NvList> = BTreeMap::new();
        for label in self.tops.values() {
            let top = label.config.get_list("vdev_tree")?;
            found.insert(top.get_u64("id")?, top.clone());
        }
        // Only the newest label knows how many there are; one before version 26 does not.
        let count = match newest.config.get_u64("vdev_children") {
            Some(count) => count,
            None => found.last_key_value()?.0.checked_add(1)?,
        };
        let count = usize::try_from(count).ok().filter(|count| *count <= TOP_VDEVS_MAX)?;
        let holes = newest.config.get_u64s("hole_array").unwrap_or_default();
        let child = |id: u64| match found.remove(&id) {
            Some(mut top) => {
                fix_paths(&mut top, devices, VDEV_DEPTH_MAX);
                top
            }
            None => {
                let kind = if holes.contains(&id) { "hole" } else { "missing" };
                let mut absent = NvList::new();
                absent.insert("type", kind).insert("id", id).insert("guid", 0_u64);
                absent
            }
        };
        Some((0..count as u64).map(child).collect())
    }
}

/// Each leaf gets the path at which its label was found; of several the one it had, else the one with most good labels.
fn fix_paths(vdev: &mut NvList, devices: &[Labelled], depth: usize) {
    if let Some(Value::NvListArray(children)) = vdev.get_mut("children") {
        if let Some(depth) = depth.checked_sub(1) {
            children.iter_mut().for_each(|child| fix_paths(child, devices, depth));
        }
        return;
    }
    let Some(guid) = vdev.get_u64("guid").map(Guid::new) else { return };
    let bytes = |device: &Labelled| device.path.as_os_str().as_encoded_bytes().to_vec();
    let candidates = || devices.iter().filter(|device| device.label.guid == guid);
    let before = vdev.get_string("path");
    let kept = candidates()
        .any(|device| before.is_some_and(|path| path.as_bytes() == bytes(device).as_slice()));
    if kept {
        return;
    }
    // `max_by_key` takes the last of equals; the first one searched is meant.
    if let Some(best) = candidates().rev().max_by_key(|device| device.copies) {
        vdev.insert("path", NvString::from(bytes(best)));
    }
}

/// Spares and cache devices are known to the pool's own configuration only, which the kernel has read by now.
fn fix_aux_paths(config: &mut NvList, devices: &[Labelled]) {
    let Some(Value::NvList(tree)) = config.get_mut("vdev_tree") else { return };
    for kind in ["spares", "l2cache"] {
        if let Some(Value::NvListArray(vdevs)) = tree.get_mut(kind) {
            vdevs.iter_mut().for_each(|vdev| fix_paths(vdev, devices, VDEV_DEPTH_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Txg;

    fn leaf(guid: u64, path: &str) -> NvList {
        let mut leaf = NvList::new();
        leaf.insert("type", "file").insert("guid", guid).insert("path", path);
        leaf
    }

    /// A label of top-level vdev `id`, which is the one leaf.
    fn labelled(path: &str, id: u64, txg: u64, extra: impl Fn(&mut NvList)) -> Labelled {
        let mut top = leaf(100 + id, "/old");
        top.insert("id", id);
        let mut config = NvList::new();
        config.insert("version", 5000_u64).insert("name", "tank").insert("state", 1_u64);
        config.insert("vdev_tree", top);
        extra(&mut config);
        let pool = LabelPool {
            name: "tank".to_owned(),
            guid: Guid::new(1),
            top_guid: Guid::new(100 + id),
            host: None,
        };
        let label = Label {
            state: LabelState::Exported,
            guid: Guid::new(100 + id),
            txg: Txg::new(txg),
            pool: Some(pool),
            config,
        };
        Labelled { path: path.into(), label, copies: 4 }
    }

    fn assemble(devices: &[Labelled]) -> Option<NvList> {
        let mut found = Found::default();
        for device in devices {
            found.add(device.label.pool.as_ref().unwrap(), &device.label);
        }
        Some(found.assemble(devices)?.1)
    }

    fn kinds(config: &NvList) -> Vec<String> {
        let children = config.get_list("vdev_tree").unwrap().get_lists("children").unwrap();
        let kind = |vdev: &NvList| vdev.get_str("type").unwrap().to_owned();
        children.iter().map(kind).collect()
    }

    #[test]
    fn vdevs_are_put_in_their_places_with_holes_and_missing_ones() {
        let newest = |config: &mut NvList| {
            config.insert("vdev_children", 5_u64).insert("hole_array", vec![1_u64]);
        };
        let older = |config: &mut NvList| {
            config.insert("vdev_children", 9_u64);
        };
        let config =
            assemble(&[labelled("/d/a", 3, 9, newest), labelled("/d/b", 0, 8, older)]).unwrap();
        assert_eq!(kinds(&config), ["file", "hole", "missing", "file", "missing"]);
        let tree = config.get_list("vdev_tree").unwrap();
        assert_eq!(tree.get_lists("children").unwrap()[3].get_str("path"), Some("/d/a"));
        assert_eq!(config.get_str("name"), Some("tank"));
    }

    #[test]
    fn the_newest_label_of_a_vdev_counts() {
        let named = |name: &'static str| {
            move |config: &mut NvList| {
                config.insert("comment", name);
            }
        };
        let devices = [
            labelled("/d/a", 0, 5, named("old")),
            labelled("/d/b", 0, 7, named("new")),
            labelled("/d/c", 0, 6, named("old")),
        ];
        let config = assemble(&devices).unwrap();
        assert_eq!(config.get_str("comment"), Some("new"));
        assert_eq!(kinds(&config), ["file"]);
    }

    #[test]
    fn a_path_that_still_fits_is_kept() {
        let devices = [labelled("/d/a", 0, 5, |_| {}), labelled("/old", 0, 5, |_| {})];
        let mut vdev = leaf(100, "/old");
        fix_paths(&mut vdev, &devices, 1);
        assert_eq!(vdev.get_str("path"), Some("/old"));
        fix_paths(&mut vdev, &devices[..1], 1);
        assert_eq!(vdev.get_str("path"), Some("/d/a"));
    }

    #[test]
    fn a_label_that_claims_too_much_makes_no_pool() {
        let huge = |config: &mut NvList| {
            config.insert("vdev_children", u64::MAX);
        };
        assert_eq!(assemble(&[labelled("/d/a", 0, 5, huge)]), None);
        assert_eq!(assemble(&[labelled("/d/a", u64::MAX - 200, 5, |_| {})]), None);
        let lacking = |config: &mut NvList| {
            config.remove("vdev_tree");
        };
        assert_eq!(assemble(&[labelled("/d/a", 0, 5, lacking)]), None);
    }
}
