//! Pools: OpenZFS 2.3 `module/zfs/zfs_ioctl.c` (zfs_ioc_pool_create and those that follow) and `spa_config.c`.

use super::dataset::root_of_new;
use super::dispatch::{put, unpack};
use super::engine::{Pool, PropSource, PropValue, Result, State, unsigned};
use super::feature::{Enabled, Feature};
use super::history::History;
use super::list::insert_number;
use super::vdev::{LabelState, Layout, Vdev};
use super::{name, pool_property, property};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::NvList;

/// The version of pools with features (`SPA_VERSION_FEATURES`).
const VERSION: u64 = 5000;
/// Numbers of `vdev_stat_t`, and those that are filled.
const VDEV_STATS: usize = 47;
const STAT_STATE: usize = 1;
const STAT_AUX: usize = 2;
const STAT_ALLOCATED: usize = 3;
const STAT_SPACE: usize = 4;
const STAT_DSPACE: usize = 5;
const STAT_RSIZE: usize = 6;
const STAT_ESIZE: usize = 7;
const STAT_ASHIFTS: [usize; 3] = [42, 43, 44];
const STAT_NOALLOC: usize = 45;
const STAT_PSPACE: usize = 46;

/// `zfs_ioc_pool_create`.
pub(super) fn create(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    if cmd.conf.as_ref().is_none_or(Vec::is_empty) {
        return Err(Errno::EINVAL);
    }
    let config = unpack(cmd.conf.as_deref())?;
    let properties = unpack(cmd.input.as_deref())?;
    let guid = state.env.guid();
    if state.pools.contains_key(cmd.name.as_str()) {
        return Err(Errno::EEXIST);
    }
    let layout = Layout::of_devices(&state.env, guid, &config)?;
    add(state, &cmd.name, layout, properties)
}

/// A pool on a device in memory, with every feature.
///
/// # Errors
/// `EINVAL` for a name no pool can have, `EEXIST`, `EOVERFLOW` for a size that is too small.
pub(super) fn create_in_memory(state: &mut State, pool: &str, size: u64) -> Result<()> {
    if !name::is_pool(pool) {
        return Err(Errno::EINVAL);
    }
    if state.pools.contains_key(pool) {
        return Err(Errno::EEXIST);
    }
    let guid = state.env.guid();
    let layout = Layout::in_memory(&state.env, guid, size)?;
    let features = Feature::all(state.env.release);
    let properties = features.map(|feature| (format!("feature@{}", feature.name()), 0_u64));
    let properties = properties.collect();
    add(state, pool, layout, properties)
}

/// `spa_create`, and the properties of the root.
fn add(state: &mut State, pool_name: &str, layout: Layout, mut properties: NvList) -> Result<()> {
    if properties.get_u64("version").is_some_and(|version| version != VERSION) {
        return Err(Errno::EINVAL);
    }
    let mut root = properties.get_list("root-props-nvl").cloned().unwrap_or_default();
    let hidden = properties.get_list("hidden_args").cloned();
    for name in ["root-props-nvl", "hidden_args"] {
        properties.remove(name);
    }
    let release = state.env.release;
    pool_property::check_new(&properties, release)?;
    let mut features = Enabled::default();
    for (name, _) in properties.iter() {
        let feature = name.strip_prefix("feature@").and_then(|name| Feature::find(name, release));
        if let Some(feature) = feature {
            features.enable(feature, release);
        }
    }
    for feature in layout.features() {
        if !features.has(feature) {
            return Err(Errno::ENOTSUP);
        }
        features.activate(feature);
    }
    state.check_free(&layout.devices().collect::<Vec<_>>())?;
    let mut pool = Pool::new(state.env.clone(), layout, features);
    pool_property::keep_new(&mut pool, &properties);
    let tx = pool.begin();
    let new = root_of_new(&pool, &mut root, hidden.as_ref(), tx)?;
    pool.add_root(pool_name, new, tx)?;
    property::set_list(&mut pool, pool_name, PropSource::Local, &root, None)?;
    // What the pool was made with is not told one by one.
    pool.history = History::default();
    pool.log_version("create");
    let errno = |error: std::io::Error| Errno(error.raw_os_error().unwrap_or(Errno::EIO.0));
    pool.write_labels(pool_name, LabelState::Active).map_err(errno)?;
    let guid = pool.layout.guid();
    state.pools.insert(pool_name.into(), pool);
    state.post_event("pool_create", pool_name, guid);
    state.post_event("config_sync", pool_name, guid);
    Ok(())
}

/// `zfs_ioc_pool_destroy`.
pub(super) fn destroy(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let name = cmd.name.clone();
    state.let_go(&name, LabelState::Destroyed)
}

/// `zfs_ioc_pool_configs`.
pub(super) fn configs(state: &State, cmd: &mut Cmd) -> Result<()> {
    let mut list = NvList::new();
    for (name, pool) in &state.pools {
        list.insert(name.to_string(), config(pool, &pool.layout, name)?);
    }
    put(cmd, &list)
}

/// `zfs_ioc_pool_stats`.
pub(super) fn stats(state: &State, cmd: &mut Cmd) -> Result<()> {
    let pool = state.pool(&cmd.name)?;
    let mut config = config(pool, &pool.layout, &cmd.name)?;
    let features: NvList = pool.feature_users().into_iter().collect();
    config.insert("error_count", 0_u64).insert("feature_stats", features);
    cmd.cookie = 0;
    put(cmd, &config)
}

/// `spa_config_generate`, with these vdevs, which a pool that is only looked at need not have yet.
pub(super) fn config(pool: &Pool, layout: &Layout, name: &str) -> Result<NvList> {
    let mut config = NvList::new();
    let mut tree = layout.config(&|vdev| stats_of(pool, layout, vdev));
    pool.activity.add_to_root(&mut tree, pool.env.now().as_secs());
    config
        .insert("version", VERSION)
        .insert("name", name)
        .insert("state", LabelState::Active as u64)
        .insert("txg", pool.txg)
        .insert("pool_guid", layout.guid())
        .insert("errata", 0_u64)
        .insert("vdev_tree", tree)
        .insert("features_for_read", NvList::new());
    layout.count_into(&mut config);
    pool.host_into(&mut config);
    for name in ["comment", "compatibility"] {
        if let Some(PropValue::Text(text)) = pool.props.get(name) {
            config.insert(name, &**text);
        }
    }
    Ok(config)
}

/// The statistics of one of these vdevs, or of the root.
pub(super) fn stats_of(pool: &Pool, layout: &Layout, vdev: Option<&Vdev>) -> Vec<u64> {
    let used = pool.dir(pool.root).map_or(0, |root| unsigned(root.used.used));
    let usage = layout.usage(vdev, used);
    let mut stats = vec![0_u64; VDEV_STATS];
    let mut set = |place: usize, number: u64| {
        if let Some(slot) = stats.get_mut(place) {
            *slot = number;
        }
    };
    for (place, number) in [
        (STAT_STATE, usage.state),
        (STAT_AUX, usage.aux),
        (STAT_ALLOCATED, usage.allocated),
        (STAT_SPACE, usage.space),
        (STAT_DSPACE, usage.usable),
        (STAT_RSIZE, usage.room),
        (STAT_ESIZE, usage.expandable),
        (STAT_NOALLOC, usage.no_new_data),
        (STAT_PSPACE, usage.space),
    ] {
        set(place, number);
    }
    for place in STAT_ASHIFTS {
        set(place, usage.ashift);
    }
    if let Some(vdev) = vdev {
        let (now, bytes) = (pool.env.now().as_secs(), usage.room);
        for (place, number) in pool.activity.stats_of(vdev.guid, bytes, now) {
            set(place, number);
        }
    }
    stats
}

/// `zfs_ioc_pool_get_props`.
pub(super) fn get_props(
    state: &State,
    pool_name: &str,
    _input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let pool = state.pool(pool_name)?;
    let (size, health) = (pool.layout.size(), pool.layout.health().state);
    let used = pool.layout.with_parity(unsigned(pool.dir(pool.root)?.used.used));
    for (name, number) in [
        ("size", size),
        ("free", size.saturating_sub(used)),
        ("allocated", used),
        ("freeing", 0),
        ("leaked", 0),
        ("fragmentation", 0),
        ("expandsize", 0),
        ("capacity", used.saturating_mul(100).checked_div(size).unwrap_or(0)),
        ("dedupratio", 100),
        ("health", health),
        ("version", VERSION),
        ("guid", pool.layout.guid()),
        ("readonly", u64::from(pool.is_read_only())),
    ] {
        insert_number(output, name, number);
    }
    pool_property::put_kept(pool, output);
    Ok(())
}

/// `zfs_ioc_pool_upgrade`: every pool has the last version there is.
pub(super) fn upgrade(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    state.pool(&cmd.name)?;
    match cmd.cookie {
        VERSION => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// `zfs_ioc_pool_sync`: everything is done already.
pub(super) fn sync(
    state: &mut State,
    pool_name: &str,
    _input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
    state.pool_mut(pool_name)?.begin();
    Ok(())
}
