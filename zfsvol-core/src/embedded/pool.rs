//! Pools: OpenZFS 2.3 `module/zfs/zfs_ioctl.c` (zfs_ioc_pool_create and those that follow) and `spa_config.c`.

use super::dataset::root_of_new;
use super::dispatch::{put, unpack};
use super::engine::{Pool, PropSource, PropValue, Result, State, unsigned};
use super::feature::{Enabled, Feature};
use super::list::{insert_number, to_value};
use super::vdev::Layout;
use super::{name, property};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::{NvList, Value};
use crate::property::{PropertyAccess, PropertyInfo, PropertyKind, PropertyScope};

/// The version of pools with features (`SPA_VERSION_FEATURES`).
const VERSION: u64 = 5000;
/// `POOL_STATE_ACTIVE`
const STATE_ACTIVE: u64 = 0;
/// Fields of `vdev_stat_t`, and which are filled.
const VDEV_STATS: usize = 45;
const STAT_STATE: usize = 1;
const STAT_ALLOCATED: usize = 3;
const STAT_SPACE: usize = 4;
const STAT_ASHIFTS: [usize; 3] = [42, 43, 44];
/// What is said of a hot spare (`VDEV_AUX_NONE`), and of what is read from only.
const AUXILIARY: [&str; 2] = ["spares", "l2cache"];
/// `VDEV_STATE_HEALTHY`
const VDEV_HEALTHY: u64 = 7;

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
    check_properties(&properties, release)?;
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
    for device in layout.devices() {
        if state.pools.values().any(|pool| pool.layout.devices().any(|used| used == device)) {
            return Err(Errno::EBUSY);
        }
    }
    let mut pool = Pool::new(state.env.clone(), layout, features);
    pool.guid = pool.layout.tree().get_u64("guid").unwrap_or(pool.guid);
    set_pool_properties(&mut pool, &properties);
    let tx = pool.begin();
    let new = root_of_new(&pool, &mut root, hidden.as_ref(), tx)?;
    pool.add_root(pool_name, new, tx)?;
    property::set_list(&mut pool, pool_name, PropSource::Local, &root, None)?;
    let guid = pool.guid;
    state.pools.insert(pool_name.into(), pool);
    state.post_event("pool_create", pool_name, guid);
    state.post_event("config_sync", pool_name, guid);
    Ok(())
}

/// `spa_prop_validate`, as far as it goes without devices.
fn check_properties(properties: &NvList, release: (u32, u32)) -> Result<()> {
    for (name, value) in properties.iter() {
        if let Some(feature) = name.strip_prefix("feature@") {
            if Feature::find(feature, release).is_none() {
                return Err(Errno::EINVAL);
            }
            match value {
                Value::Uint64(0) => continue,
                _ => return Err(Errno::EINVAL),
            }
        }
        let info = PropertyInfo::find(PropertyScope::Pool, name)
            .filter(|info| info.since.is_none_or(|since| since <= release))
            .ok_or(Errno::EINVAL)?;
        if info.access == PropertyAccess::ReadOnly {
            return Err(Errno::EINVAL);
        }
        match (info.kind, value) {
            (PropertyKind::Text, Value::String(_))
            | (PropertyKind::Number(_), Value::Uint64(_)) => {}
            (PropertyKind::Index(words), Value::Uint64(number)) => {
                if !words.iter().any(|(_, known)| known == number) {
                    return Err(Errno::EINVAL);
                }
            }
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(())
}

fn set_pool_properties(pool: &mut Pool, properties: &NvList) {
    for (name, value) in properties.iter() {
        let value = match value {
            _ if name.starts_with("feature@") => continue,
            Value::Uint64(number) => PropValue::Number(*number),
            Value::String(text) => PropValue::Text(text.to_string_lossy().into()),
            _ => continue,
        };
        pool.props.insert(name.to_owned(), value);
    }
}

/// `zfs_ioc_pool_destroy`.
pub(super) fn destroy(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let pool = state.pool(&cmd.name)?;
    let guid = pool.guid;
    if state.is_pool_mounted(guid) || state.devices.is_any_open(guid) {
        return Err(Errno::EBUSY);
    }
    state.pools.remove(cmd.name.as_str());
    state.post_event("pool_destroy", &cmd.name, guid);
    Ok(())
}

/// `zfs_ioc_pool_configs`.
pub(super) fn configs(state: &State, cmd: &mut Cmd) -> Result<()> {
    let mut list = NvList::new();
    for (name, pool) in &state.pools {
        list.insert(name.to_string(), config(pool, name)?);
    }
    put(cmd, &list)
}

/// `zfs_ioc_pool_stats`.
pub(super) fn stats(state: &State, cmd: &mut Cmd) -> Result<()> {
    let pool = state.pool(&cmd.name)?;
    let mut config = config(pool, &cmd.name)?;
    let features: NvList = pool.features.iter().collect();
    config.insert("error_count", 0_u64).insert("feature_stats", features);
    cmd.cookie = 0;
    put(cmd, &config)
}

/// `spa_config_generate`.
fn config(pool: &Pool, name: &str) -> Result<NvList> {
    let allocated = pool.dir(pool.root)?.used.used;
    let mut config = NvList::new();
    let mut tree = vdev_config(pool, pool.layout.tree(), unsigned(allocated));
    pool.activity.add_to_root(&mut tree);
    let children = tree.get_lists("children").map_or(0, <[NvList]>::len);
    config
        .insert("version", VERSION)
        .insert("name", name)
        .insert("state", STATE_ACTIVE)
        .insert("txg", pool.txg)
        .insert("pool_guid", pool.guid)
        .insert("errata", 0_u64)
        .insert("vdev_children", u64::try_from(children).unwrap_or(0))
        .insert("vdev_tree", tree)
        .insert("features_for_read", NvList::new());
    Ok(config)
}

/// A vdev with its statistics.
fn vdev_config(pool: &Pool, vdev: &NvList, allocated: u64) -> NvList {
    let mut vdev = vdev.clone();
    let children: Vec<NvList> = vdev
        .get_lists("children")
        .unwrap_or_default()
        .iter()
        .map(|child| vdev_config(pool, child, allocated))
        .collect();
    let inner: u64 = children.iter().filter_map(|child| child.get_u64("asize")).sum();
    let mut stats = vec![0_u64; VDEV_STATS];
    let space = vdev.get_u64("asize").unwrap_or(inner);
    for (place, number) in
        [(STAT_STATE, VDEV_HEALTHY), (STAT_ALLOCATED, allocated), (STAT_SPACE, space)]
    {
        if let Some(slot) = stats.get_mut(place) {
            *slot = number;
        }
    }
    let ashift = vdev.get_u64("ashift").unwrap_or(0);
    for place in STAT_ASHIFTS {
        if let Some(slot) = stats.get_mut(place) {
            *slot = ashift;
        }
    }
    let done = pool.layout.usable();
    for (place, number) in pool.activity.stats_of(vdev.get_u64("guid").unwrap_or(0), unsigned(done))
    {
        if let Some(slot) = stats.get_mut(place) {
            *slot = number;
        }
    }
    vdev.insert("vdev_stats", stats);
    for kind in AUXILIARY {
        let others = vdev.get_lists(kind).map(|others| {
            others.iter().map(|other| vdev_config(pool, other, 0)).collect::<Vec<_>>()
        });
        if let Some(others) = others {
            vdev.insert(kind, others);
        }
    }
    if !children.is_empty() {
        vdev.insert("children", children);
    }
    vdev
}

/// `zfs_ioc_pool_get_props`.
pub(super) fn get_props(
    state: &State,
    pool_name: &str,
    _input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let pool = state.pool(pool_name)?;
    let (size, used) = (unsigned(pool.layout.usable()), unsigned(pool.dir(pool.root)?.used.used));
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
        ("health", VDEV_HEALTHY),
        ("version", VERSION),
        ("guid", pool.guid),
        ("readonly", 0),
    ] {
        insert_number(output, name, number);
    }
    for (name, value) in &pool.props {
        let mut pair = NvList::new();
        pair.insert("source", 4_u64).insert("value", to_value(value));
        output.insert(name.as_str(), pair);
    }
    Ok(())
}

/// `zfs_ioc_pool_set_props`.
pub(super) fn set_props(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    if cmd.input.as_ref().is_none_or(Vec::is_empty) {
        return Err(Errno::EINVAL);
    }
    let properties = unpack(cmd.input.as_deref())?;
    let release = state.env.release;
    let pool = state.pool_mut(&cmd.name)?;
    check_properties(&properties, release)?;
    pool.begin();
    for (name, _) in properties.iter() {
        let feature = name.strip_prefix("feature@").and_then(|name| Feature::find(name, release));
        if let Some(feature) = feature {
            pool.features.enable(feature, release);
        }
    }
    set_pool_properties(pool, &properties);
    Ok(())
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
