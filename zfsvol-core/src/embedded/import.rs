//! Pools leave and come back: export, the search, import. OpenZFS 2.3 `module/zfs/spa.c`, spa_export_common, spa_tryimport and spa_import.
//!
//! What an exported pool holds stays in this kernel, found again by the GUID in the labels on its devices. A pool whose only device is in memory can be
//! found by nobody, and is gone with its export.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::dispatch::{put, unpack};
use super::engine::{Pool, PropValue, Result, State};
use super::store::codec::{Malformed, Reader, Writer};
use super::unsupported::POOLS_OF_OTHERS;
use super::vdev::state::{CANT_OPEN, HEALTHY};
use super::vdev::{LabelState, Layout, conf};
use super::{pool, pool_property};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::NvList;

/// So many destroyed pools can be brought back; of more, the one destroyed first is gone. On disks they would last till their devices are used
/// for something else, which nobody says here.
const DESTROYED_MAX: usize = 16;

/// Configurations are not looked at deeper than that.
const DEPTH_MAX: usize = 16;

/// `ZFS_IMPORT_MISSING_LOG`, `ZFS_IMPORT_TEMP_NAME`, `ZFS_IMPORT_CHECKPOINT`
const MISSING_LOG: u64 = 0x4;
const TEMPORARY_NAME: u64 = 0x10;
const CHECKPOINT: u64 = 0x80;

/// What holds for one import only.
#[derive(Clone, Debug, Default)]
pub(super) struct Import {
    pub(super) read_only: bool,
    pub(super) altroot: Option<String>,
    /// The name that its labels keep, where it is imported under another for now.
    pub(super) lasting_name: Option<Arc<str>>,
}

/// A pool that is not imported.
#[derive(Clone, Debug)]
struct Resting {
    pool: Pool,
    name: Arc<str>,
    /// The how-manieth destroyed pool it is; absent for one that was exported.
    destroyed: Option<u64>,
}

/// The pools that are not imported, by GUID.
#[derive(Clone, Debug, Default)]
pub(super) struct RestingPools {
    pools: BTreeMap<u64, Resting>,
    destroyed: u64,
}

impl RestingPools {
    fn add(&mut self, name: &str, mut pool: Pool, is_destroyed: bool) {
        if pool.layout.devices().next().is_none() {
            return;
        }
        pool.rest();
        let destroyed = is_destroyed.then(|| {
            self.destroyed = self.destroyed.saturating_add(1);
            self.destroyed
        });
        let name = pool.import.lasting_name.take().unwrap_or_else(|| name.into());
        pool.import = Import::default();
        self.pools.insert(pool.layout.guid(), Resting { pool, name, destroyed });
        let destroyed = self.pools.iter().filter_map(|(guid, pool)| Some((pool.destroyed?, *guid)));
        let mut destroyed: Vec<(u64, u64)> = destroyed.collect();
        destroyed.sort_unstable();
        let too_many = destroyed.len().saturating_sub(DESTROYED_MAX);
        for (_, guid) in destroyed.into_iter().take(too_many) {
            self.pools.remove(&guid);
        }
    }
}

impl Import {
    /// As it is kept in a directory; see `engine/stored.rs`. A pool that was imported to be read only is not: it is exported when the process has
    /// ended, as it was.
    pub(super) fn put(&self, out: &mut Writer) {
        let Self { read_only: _, altroot, lasting_name } = self;
        out.option(altroot.as_deref(), Writer::text);
        out.option(lasting_name.as_deref(), Writer::text);
    }

    /// The same, read.
    pub(super) fn take(input: &mut Reader<'_>) -> std::result::Result<Self, Malformed> {
        Ok(Self {
            read_only: false,
            altroot: input.option(Reader::text)?.map(ToOwned::to_owned),
            lasting_name: input.option(Reader::text)?.map(Arc::from),
        })
    }
}

impl RestingPools {
    /// All of them, with their names; the destroyed ones with their numbers.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, Option<u64>, &mut Pool)> {
        let Self { pools, destroyed: _ } = self;
        pools.values_mut().map(|Resting { pool, name, destroyed }| (&**name, *destroyed, pool))
    }

    /// Adds one that was read.
    pub(super) fn restore(&mut self, name: Arc<str>, destroyed: Option<u64>, pool: Pool) {
        self.destroyed = self.destroyed.max(destroyed.unwrap_or(0));
        self.pools.insert(pool.layout.guid(), Resting { pool, name, destroyed });
    }
}

impl State {
    /// Lets a pool go, unless something of it is in use.
    ///
    /// # Errors
    /// `ENOENT`; `EBUSY` when something is mounted or open.
    pub(super) fn let_go(&mut self, name: &str, state: LabelState) -> Result<()> {
        let pool = self.pool_mut(name)?;
        let guid = pool.guid;
        if self.is_pool_mounted(guid) || self.devices.is_any_open(guid) {
            return Err(Errno::EBUSY);
        }
        let Some(mut pool) = self.pools.remove(name) else { return Err(Errno::ENOENT) };
        let class = if state == LabelState::Destroyed { "pool_destroy" } else { "pool_export" };
        self.post_event(class, name, pool.layout.guid());
        // Of one that was read only, what it was before rests already.
        if !pool.is_read_only() {
            pool.begin();
            let _ = pool.write_labels(name, state);
            self.resting.add(name, pool, state == LabelState::Destroyed);
        }
        Ok(())
    }
}

impl Pool {
    /// Whether nothing in it can be changed.
    pub(super) fn is_read_only(&self) -> bool {
        self.import.read_only
    }

    /// Forgets what does not outlast an export: keys, what is in use, what was done for now.
    fn rest(&mut self) {
        self.unload_keys();
        self.layout.forget_what_is_temporary();
        self.props.remove("cachefile");
    }
}

/// `zfs_ioc_pool_export`: by force the labels say what they said before.
pub(super) fn export(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let label = if cmd.guid == 0 { LabelState::Exported } else { LabelState::Active };
    let name = cmd.name.clone();
    state.let_go(&name, label)
}

/// `zfs_ioc_pool_tryimport`: what would be imported with that configuration.
pub(super) fn try_import(state: &State, cmd: &mut Cmd) -> Result<()> {
    let wanted = conf(cmd)?;
    let (Some(name), Some(label), Some(tree)) =
        (wanted.get_str("name"), wanted.get_u64("state"), wanted.get_list("vdev_tree"))
    else {
        return Err(Errno::EINVAL);
    };
    let guid = wanted.get_u64("pool_guid").unwrap_or(0);
    let Some(resting) = state.resting.pools.get(&guid) else {
        let tree = unreadable(tree, true, DEPTH_MAX);
        let mut config = wanted;
        config.insert("vdev_tree", tree).insert("load_info", NvList::new());
        return put(cmd, &config);
    };
    // Not the pool, which may be large.
    let mut layout = resting.pool.layout.clone();
    layout.take_paths(tree);
    layout.open(false);
    let mut config = pool::config(&resting.pool, &layout, name)?;
    config
        .insert("state", label)
        .insert("timestamp", state.env.now().as_secs())
        .insert("load_info", load_info(&resting.pool, &layout, true))
        .insert("errata", 0_u64);
    put(cmd, &config)
}

/// A pool whose devices are there, and which cannot be read all the same.
fn unreadable(vdev: &NvList, is_root: bool, depth: usize) -> NvList {
    const CORRUPT_DATA: u64 = 2;
    let mut told = vdev.clone();
    let state = if is_root { [0, CANT_OPEN, CORRUPT_DATA] } else { [0, HEALTHY, 0] };
    told.insert("vdev_stats", state.to_vec());
    if let Some(children) = vdev.get_lists("children").filter(|_| depth > 0) {
        let each = children.iter().map(|child| unreadable(child, false, depth - 1));
        told.insert("children", each.collect::<Vec<_>>());
    }
    told
}

/// What was learned about a pool while it was opened: `spa_load_note_vdev_missing` and others.
fn load_info(pool: &Pool, layout: &Layout, without_logs: bool) -> NvList {
    let mut info = NvList::new();
    pool.host_into(&mut info);
    if layout.check_usable(without_logs).is_err() {
        let missing = layout.missing().map(|(id, top)| {
            let stats = |vdev: &super::vdev::Vdev| pool::stats_of(pool, layout, Some(vdev));
            top.config(Some(id), Some(&stats))
        });
        let mut root = NvList::new();
        root.insert("type", "root").insert("id", 0_u64).insert("guid", layout.guid());
        root.insert("children", missing.collect::<Vec<_>>());
        info.insert("missing_vdevs", root);
    }
    info
}

/// `zfs_ioc_pool_import`: the configuration is in the answer, with what was learned about the pool.
pub(super) fn import(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let mut config = conf(cmd)?;
    let properties = unpack(cmd.input.as_deref())?;
    let guid = config.get_u64("pool_guid").filter(|guid| *guid == cmd.guid);
    let outcome = guid.ok_or(Errno::EINVAL).and_then(|guid| {
        if state.pools.contains_key(cmd.name.as_str()) {
            return Err(Errno::EEXIST);
        }
        if state.pools.values().any(|pool| pool.layout.guid() == guid) {
            return Err(Errno::EEXIST);
        }
        let Some(resting) = state.resting.pools.get(&guid).cloned() else {
            return Err(POOLS_OF_OTHERS.of(cmd));
        };
        take(state, cmd, resting, &mut config, properties)
    });
    if cmd.reply_max > 0 {
        put(cmd, &config)?;
    }
    outcome
}

fn take(
    state: &mut State,
    cmd: &Cmd,
    resting: Resting,
    config: &mut NvList,
    mut properties: NvList,
) -> Result<()> {
    let flags = cmd.cookie;
    let Resting { mut pool, name: old_name, .. } = resting;
    pool.import.read_only = properties.get_u64("readonly") == Some(1);
    pool.import.altroot = properties.get_str("altroot").map(ToOwned::to_owned);
    for name in ["readonly", "altroot"] {
        properties.remove(name);
    }
    if flags & CHECKPOINT != 0 {
        pool = pool.at_checkpoint().ok_or(Errno::ZFS_ERR_NO_CHECKPOINT)?;
    }
    pool.layout.take_paths(config.get_list("vdev_tree").unwrap_or(&NvList::new()));
    pool.layout.open(false);
    let without_logs = flags & MISSING_LOG != 0;
    config.insert("load_info", load_info(&pool, &pool.layout, without_logs));
    pool.layout.check_usable(without_logs)?;
    if flags & TEMPORARY_NAME != 0 {
        pool.import.lasting_name = Some(old_name);
    }
    pool.rename_root(&cmd.name)?;
    let guid = pool.layout.guid();
    if !pool.is_read_only() {
        pool_property::set_properties(&mut pool, &properties)?;
        pool.begin();
        let _ = pool.write_labels(&cmd.name, LabelState::Active);
        pool.log_version("import");
        state.resting.pools.remove(&guid);
    } else if let Some(cachefile) = properties.get_str("cachefile") {
        pool.props.insert("cachefile".to_owned(), PropValue::Text(cachefile.into()));
    }
    state.pools.insert(cmd.name.as_str().into(), pool);
    state.post_event("pool_import", &cmd.name, guid);
    Ok(())
}

/// `zfs_ioc_pool_reguid`
pub(super) fn reguid(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let input = unpack(cmd.input.as_deref())?;
    let wanted = input.get_u64("guid").filter(|_| state.env.release >= (2, 3));
    if wanted == Some(0) {
        return Err(Errno::EINVAL);
    }
    if state.pools.values().any(|pool| Some(pool.layout.guid()) == wanted) {
        return Err(Errno::EEXIST);
    }
    let guid = wanted.unwrap_or_else(|| state.env.guid());
    let pool = state.pool_mut(&cmd.name)?;
    if pool.activity.has_checkpoint() {
        return Err(Errno::ZFS_ERR_CHECKPOINT_EXISTS);
    }
    if pool.layout.health().state != HEALTHY {
        return Err(Errno::ENXIO);
    }
    pool.begin();
    let old = pool.layout.guid();
    pool.layout.set_guid(guid);
    pool.log_internal("guid change", None, format!("old={old} new={guid}"));
    let _ = pool.write_labels(&cmd.name, LabelState::Active);
    state.post_event("pool_reguid", &cmd.name, guid);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::embedded::Embedded;
    use crate::property::PropertySet;
    use crate::zfs::{Export, ImportOptions, ImportSearch, PoolHealth, PoolSpec, VdevSpec};
    use crate::{Bytes, ErrorKind, Guid, PoolName, Zfs};

    fn file(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        File::create(&path).unwrap().set_len(Bytes::from_mib(64).get()).unwrap();
        path
    }

    fn make(zfs: &Zfs, folder: &Path, name: &str) -> PoolName {
        let pool: PoolName = name.parse().unwrap();
        zfs.create_pool(&pool, &PoolSpec::new([VdevSpec::single(file(folder, name))])).unwrap();
        pool
    }

    #[test]
    fn so_many_destroyed_pools_can_be_brought_back() {
        let folder = tempfile::tempdir().unwrap();
        let zfs = Zfs::new(Embedded::builder().build());
        for n in 0..=DESTROYED_MAX {
            let pool = make(&zfs, folder.path(), &format!("p{n:02}"));
            zfs.destroy_pool(&pool).unwrap();
        }
        let found = zfs.importable_pools(&ImportSearch::new([folder.path()]).destroyed()).unwrap();
        assert_eq!(found.len(), DESTROYED_MAX + 1);
        let options = || ImportOptions { destroyed: true, ..ImportOptions::default() };
        let mut outcomes = found.iter().map(|pool| zfs.import_pool(pool, &options()));
        let error = outcomes.next().unwrap().unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::NotFound, POOLS_OF_OTHERS.reason));
        assert_eq!(found[0].health, PoolHealth::Unavailable);
        assert!(outcomes.all(|outcome| outcome.is_ok()));
    }

    #[test]
    fn a_device_that_another_pool_took_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let zfs = Zfs::new(Embedded::builder().build());
        let pool = make(&zfs, folder.path(), "first");
        zfs.export_pool(&pool, Export::Clean).unwrap();
        let found = zfs.importable_pools(&ImportSearch::new([folder.path()])).unwrap();
        let taken = PoolSpec::new([VdevSpec::single(folder.path().join("first"))]);
        let error = zfs.create_pool(&"second".parse().unwrap(), &taken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        zfs.create_pool(&"second".parse().unwrap(), &taken.force()).unwrap();
        let error = zfs.import_pool(&found[0], &ImportOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PoolUnavailable, "{error}");
    }

    #[test]
    fn a_pool_in_memory_is_gone_with_its_export() {
        let kernel = Embedded::new();
        let zfs = Zfs::new(kernel.clone());
        zfs.export_pool(&"tank".parse().unwrap(), Export::Clean).unwrap();
        assert!(zfs.pool_names().unwrap().is_empty());
        assert!(kernel.shared.read().resting.pools.is_empty());
    }

    #[test]
    fn a_volume_of_a_pool_that_is_only_read_is_not_written() {
        use crate::kernel::Access;
        use std::time::Duration;

        let folder = tempfile::tempdir().unwrap();
        let zfs = Zfs::new(Embedded::builder().build());
        let pool = make(&zfs, folder.path(), "tank");
        let zvol = "tank/v".parse().unwrap();
        zfs.create_zvol(&zvol, Bytes::from_mib(1), &PropertySet::new()).unwrap();
        zfs.export_pool(&pool, Export::Clean).unwrap();
        let found = zfs.importable_pools(&ImportSearch::new([folder.path()])).unwrap();
        let options = ImportOptions { read_only: true, ..ImportOptions::default() };
        zfs.import_pool(&found[0], &options).unwrap();
        assert!(zfs.open_zvol(&zvol, Access::Read, Duration::ZERO).is_ok());
        let error = zfs.open_zvol(&zvol, Access::ReadWrite, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    }

    #[test]
    fn what_is_open_stays_open_when_the_pool_gets_another_guid() {
        let zfs = Zfs::embedded();
        let (pool, zvol) = ("tank".parse().unwrap(), "tank/v".parse().unwrap());
        zfs.create_zvol(&zvol, Bytes::from_mib(1), &PropertySet::new()).unwrap();
        let device =
            zfs.open_zvol(&zvol, crate::kernel::Access::ReadWrite, std::time::Duration::ZERO);
        let device = device.unwrap();
        zfs.reguid_pool(&pool, Some(Guid::new(77))).unwrap();
        device.write_all_at(&[1; 512], 0).unwrap();
        let error = zfs.export_pool(&pool, Export::Clean).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
    }
}
