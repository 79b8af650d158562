//! The labels on a pool's files and devices, by which an exported pool is found again: OpenZFS 2.3 `module/zfs/vdev_label.c`.
//!
//! Nothing but labels is ever written there: what is in the pool is in the kernel.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::{Kind, Vdev, open};
use crate::embedded::engine::{Pool, PropValue};
use crate::label::{self, CONFIG_OFFSET, Label};
use crate::nvlist::NvList;
use crate::zfs;

/// Where in a label the uberblocks begin, of which there are none.
const UBERBLOCKS_OFFSET: u64 = 128 << 10;
const UBERBLOCKS_BYTES: usize = 128 << 10;
/// The version of pools with features (`SPA_VERSION_FEATURES`).
const VERSION: u64 = 5000;
/// States of devices that many pools can have (`POOL_STATE_SPARE`, `POOL_STATE_L2CACHE`).
const STATE_SPARE: u64 = 3;
const STATE_CACHE: u64 = 4;
/// Features that a reader must know before it can read the pool's own data (`ZFEATURE_FLAG_MOS`), by short name.
const NEEDED_TO_READ: [&str; 4] = ["device_removal", "embedded_data", "hole_birth", "vdev_zaps_v2"];

/// What a label says of its pool (`pool_state_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum LabelState {
    Active = 0,
    Exported = 1,
    Destroyed = 2,
}

/// The name of this machine.
pub(in crate::embedded) fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// The label of a device, if it has a good one.
pub(super) fn read(path: &Path) -> Option<Label> {
    Some(zfs::read_label(path).ok()??.label)
}

/// Takes a device out of its pool: its labels say that they were never finished.
pub(super) fn give_up(path: &Path) {
    if let Some(Label { mut config, .. }) = read(path) {
        config.insert("txg", 0_u64);
        // A device that cannot be written is given up all the same.
        let _ = write(path, &config);
    }
}

impl Pool {
    /// Writes the labels of all devices that can be used. One that cannot be written keeps its old ones, which are then older than the others.
    ///
    /// # Errors
    /// What the system says of the first that cannot be written.
    pub(in crate::embedded) fn write_labels(
        &self,
        name: &str,
        state: LabelState,
    ) -> io::Result<()> {
        if self.is_read_only() {
            return Ok(());
        }
        let mut failed = Ok(());
        let mut write = |path: &Path, config: &NvList| {
            if let Err(error) = write(path, config) {
                failed = Err(error);
            }
        };
        let base = self.label_base(name, state);
        for (id, top) in self.layout.tops.iter().enumerate() {
            let tree = top.config(Some(id), None);
            for leaf in top.leaves().filter(|leaf| !leaf.health.is_dead()) {
                let Some(path) = leaf.path() else { continue };
                let mut config = base.clone();
                config.insert("top_guid", top.guid).insert("guid", leaf.guid);
                if leaf.is_spare() {
                    config.insert("is_spare", 1_u64);
                }
                if top.is_log() {
                    config.insert("is_log", 1_u64);
                }
                config.insert("vdev_tree", tree.clone());
                write(path, &config);
            }
        }
        for (vdevs, state) in
            [(&self.layout.spares, STATE_SPARE), (&self.layout.caches, STATE_CACHE)]
        {
            for vdev in vdevs.iter().filter(|vdev| !vdev.health.is_dead()) {
                if let (Some(path), Kind::File | Kind::Disk) = (vdev.path(), vdev.kind) {
                    write(path, &aside(vdev, state));
                }
            }
        }
        failed
    }

    /// What the labels of all devices have in common: `spa_config_generate`.
    fn label_base(&self, name: &str, state: LabelState) -> NvList {
        let mut config = NvList::new();
        config
            .insert("version", VERSION)
            .insert("name", self.import.lasting_name.as_deref().unwrap_or(name))
            .insert("state", state as u64)
            .insert("txg", self.txg)
            .insert("pool_guid", self.layout.guid())
            .insert("errata", 0_u64);
        for name in ["comment", "compatibility"] {
            if let Some(PropValue::Text(text)) = self.props.get(name) {
                config.insert(name, &**text);
            }
        }
        self.host_into(&mut config);
        self.layout.count_into(&mut config);
        let mut features = NvList::new();
        for (guid, _) in self.features.iter().filter(|(_, users)| *users > 0) {
            if NEEDED_TO_READ.iter().any(|name| guid.ends_with(&format!(":{name}"))) {
                features.insert_flag(guid);
            }
        }
        config.insert("features_for_read", features);
        config
    }

    /// Adds which host has the pool.
    pub(in crate::embedded) fn host_into(&self, config: &mut NvList) {
        let hostid = zfs::hostid();
        if hostid != 0 {
            config.insert("hostid", hostid);
        }
        config.insert("hostname", hostname());
    }
}

/// The label of a spare or cache, which names no pool: `vdev_aux_label_generate`.
fn aside(vdev: &Vdev, state: u64) -> NvList {
    let mut config = NvList::new();
    config.insert("version", VERSION).insert("state", state).insert("guid", vdev.guid);
    config
}

/// Writes the four labels of a device.
fn write(path: &Path, config: &NvList) -> io::Result<()> {
    let size = open::device_bytes(path).map_err(|errno| io::Error::from_raw_os_error(errno.0))?;
    let offsets = label::offsets(size).ok_or(io::ErrorKind::InvalidInput)?;
    // What the path names can have changed since: a FIFO must not block the open.
    let device =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let sealed = label::sealed(config, offsets.map(|at| at + CONFIG_OFFSET));
    let sealed = sealed.ok_or(io::ErrorKind::InvalidData)?;
    for (at, bytes) in offsets.into_iter().zip(&sealed) {
        device.write_all_at(bytes, at + CONFIG_OFFSET)?;
        erase_uberblocks(&device, at)?;
    }
    Ok(())
}

/// What a pool had there before must not be taken for this one's. A sparse file stays sparse.
fn erase_uberblocks(device: &fs::File, label: u64) -> io::Result<()> {
    let mut found = vec![0; UBERBLOCKS_BYTES];
    device.read_exact_at(&mut found, label + UBERBLOCKS_OFFSET)?;
    if found.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    device.write_all_at(&vec![0; UBERBLOCKS_BYTES], label + UBERBLOCKS_OFFSET)
}
