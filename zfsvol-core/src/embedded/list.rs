//! Lists, and what is said of each dataset: OpenZFS 2.3 `module/zfs/zfs_ioctl.c` (zfs_ioc_objset_stats, zfs_ioc_dataset_list_next,
//! zfs_ioc_snapshot_list_next) and `dsl_dataset.c` (dsl_dataset_stats).

use super::data::filesystem::DEFAULT_QUOTAS;
use super::dispatch::{put, unpack};
use super::engine::{
    Dataset, Id, Pool, PropValue, Result, Space, State, default_number, known, unsigned,
};
use super::{name, space};
use crate::kernel::{Cmd, Errno, ObjsetStats};
use crate::nvlist::{NvList, Value};
use crate::property::{DatasetTypes, PropertyAccess};

/// The source of a received value (`ZPROP_SOURCE_VAL_RECVD`).
const RECEIVED: &str = "$recvd";

/// `zfs_ioc_objset_stats`.
pub(super) fn objset_stats(state: &State, cmd: &mut Cmd) -> Result<()> {
    let (pool, id) = state.hold(&cmd.name)?;
    answer(pool, id, cmd)
}

/// What is known of a dataset, and its properties if there is room for them.
fn answer(pool: &Pool, id: Id, cmd: &mut Cmd) -> Result<()> {
    let dataset = pool.dataset(id)?;
    cmd.objset_stats = fast_stats(pool, dataset)?;
    cmd.objset_stats.objset_type = dataset.content.objset_type();
    if cmd.simple || cmd.reply_max == 0 {
        return Ok(());
    }
    let mut list = all_properties(pool, id)?;
    add_stats(pool, id, &mut list)?;
    put(cmd, &list)
}

/// `dsl_dataset_fast_stat`, which does not say what type it is.
fn fast_stats(pool: &Pool, dataset: &Dataset) -> Result<ObjsetStats> {
    let mut stats = ObjsetStats {
        creation_txg: dataset.creation_txg,
        guid: dataset.guid,
        inconsistent: dataset.inconsistent,
        redacted: dataset.transfer.redact_snapshots.is_some(),
        ..ObjsetStats::default()
    };
    match dataset.as_snapshot() {
        Some(snapshot) => {
            stats.is_snapshot = true;
            stats.num_clones = u64::try_from(snapshot.clones.len()).unwrap_or(u64::MAX);
        }
        None => {
            if let Some(origin) = pool.dir(dataset.dir)?.origin {
                stats.origin = pool.name(origin)?;
            }
        }
    }
    Ok(stats)
}

/// The properties that are set on a dataset or inherited, with where: `dsl_prop_get_all`.
fn all_properties(pool: &Pool, id: Id) -> Result<NvList> {
    let mut list = NvList::new();
    let dataset = pool.dataset(id)?;
    let of_snapshot = dataset.is_snapshot();
    let release = pool.env.release;
    if let Some(snapshot) = dataset.as_snapshot() {
        let name = pool.name(id)?;
        for (property, slot) in snapshot.props.iter() {
            if let Some((value, received)) = slot.effective() {
                insert(&mut list, property, value, if received { RECEIVED } else { &name });
            }
        }
    }
    let mut inheriting = of_snapshot;
    let mut next = Some(dataset.dir);
    while let Some(dir_id) = next {
        let dir = pool.dir(dir_id)?;
        let mut setpoint = None;
        for (property, slot) in dir.props.iter() {
            let Some((value, received)) = slot.effective() else { continue };
            let info = known(property, release);
            if inheriting && info.is_some_and(|info| !info.access.is_inheritable()) {
                continue;
            }
            let fits = |types: DatasetTypes| types.contains(DatasetTypes::SNAPSHOT);
            if of_snapshot && info.is_some_and(|info| !fits(info.types)) {
                continue;
            }
            if list.contains(property) {
                continue;
            }
            if received && !inheriting {
                insert(&mut list, property, value, RECEIVED);
                continue;
            }
            if setpoint.is_none() {
                setpoint = Some(pool.dir_name(dir_id)?);
            }
            insert(&mut list, property, value, setpoint.as_deref().unwrap_or_default());
        }
        next = dir.parent;
        inheriting = true;
    }
    Ok(list)
}

fn insert(list: &mut NvList, property: &str, value: &PropValue, source: &str) {
    let mut pair = NvList::new();
    pair.insert("value", to_value(value)).insert("source", source);
    list.insert(property, pair);
}

/// A value as a pair has it.
pub(super) fn to_value(value: &PropValue) -> Value {
    match value {
        PropValue::Number(number) => Value::Uint64(*number),
        PropValue::Text(text) => Value::from(&**text),
    }
}

/// `dsl_prop_nvlist_add_uint64`: the value of a property that may be in the list already, with its source.
pub(super) fn insert_number(list: &mut NvList, property: &str, number: u64) {
    add(list, property, Value::Uint64(number), false);
}

fn insert_text(list: &mut NvList, property: &str, text: &str) {
    add(list, property, Value::from(text), false);
}

fn add(list: &mut NvList, property: &str, value: Value, is_default: bool) {
    if let Some(Value::NvList(pair)) = list.get_mut(property) {
        pair.insert("value", value);
        return;
    }
    let mut pair = NvList::new();
    pair.insert("value", value);
    if is_default {
        pair.insert("source", "");
    }
    list.insert(property, pair);
}

/// Whether a number is said to be the default. What only the module sets has none (`dodefault`).
fn is_default(property: &str, number: u64, release: (u32, u32)) -> bool {
    known(property, release).is_some_and(|info| info.access != PropertyAccess::ReadOnly)
        && default_number(property, release) == Some(number)
}

/// A ratio in hundredths.
pub(super) fn ratio(space: Space) -> u64 {
    match unsigned(space.compressed) {
        0 => 100,
        compressed => {
            unsigned(space.uncompressed).saturating_mul(100).checked_div(compressed).unwrap_or(100)
        }
    }
}

/// What the module adds of itself: `dmu_objset_stats`.
fn add_stats(pool: &Pool, id: Id, list: &mut NvList) -> Result<()> {
    let dataset = pool.dataset(id)?;
    let release = pool.env.release;
    let mut number = |name: &str, value: u64| {
        add(list, name, Value::Uint64(value), is_default(name, value, release));
    };
    number("refcompressratio", ratio(dataset.referenced));
    number("logicalreferenced", unsigned(dataset.referenced.uncompressed));
    number("available", unsigned(pool.available_to(id)?));
    number("referenced", unsigned(dataset.referenced.used));
    number("creation", dataset.creation_time);
    number("createtxg", dataset.creation_txg);
    number("refquota", dataset.as_head().map_or(0, |head| head.refquota));
    number("refreservation", unsigned(dataset.refreservation()));
    number("guid", dataset.guid);
    number("unique", unsigned(dataset.unique));
    number("objsetid", id);
    let holds = dataset.as_snapshot().map_or(0, |snapshot| snapshot.holds.len());
    number("userrefs", u64::try_from(holds).unwrap_or(u64::MAX));
    let defer = dataset.as_snapshot().is_some_and(|snapshot| snapshot.defer_destroy);
    number("defer_destroy", u64::from(defer));
    let dir = pool.dir(dataset.dir)?;
    if release >= (2, 2) {
        number("snapshots_changed", dir.snapshots_changed.0);
    }
    number("written", unsigned(written(pool, id)?));
    number("type", u64::from(dataset.content.objset_type()));
    let content = &dataset.content;
    number("useraccounting", u64::from(content.is_filesystem() && !content.uncounted));
    match dataset.as_snapshot() {
        Some(snapshot) => {
            number("compressratio", ratio(dataset.referenced));
            number("used", unsigned(dataset.unique));
            let mut clones = NvList::new();
            for clone in &snapshot.clones {
                clones.insert_flag(pool.dir_name(pool.dataset(*clone)?.dir)?);
            }
            let mut pair = NvList::new();
            pair.insert("value", clones);
            list.insert("clones", pair);
        }
        None => add_dir_stats(pool, dataset, list)?,
    }
    let mut redacted = NvList::new();
    if let Some(guids) = &dataset.transfer.redact_snapshots {
        redacted.insert("value", guids.to_vec());
    }
    list.insert("redact_snaps", redacted);
    if let (false, Some(token)) = (dataset.is_snapshot(), pool.resume_token(id)?) {
        insert_text(list, "receive_resume_token", &token);
    }
    let objset = &dataset.content.objset;
    let volume = (objset.volume_size(), objset.volume_block_bytes().map(u64::from));
    // A zvol's stream into the clone of a file system leaves a file system.
    let is_silent = dataset.inconsistent || dataset.content.is_filesystem();
    if let ((Some(volsize), Some(volblocksize)), false) = (volume, is_silent) {
        insert_number(list, "volsize", volsize);
        let is_default = is_default("volblocksize", volblocksize, release);
        add(list, "volblocksize", Value::Uint64(volblocksize), is_default);
    }
    pool.add_crypt_stats(id, list)
}

/// `dsl_dir_stats`, and what else only a head has.
fn add_dir_stats(pool: &Pool, dataset: &Dataset, list: &mut NvList) -> Result<()> {
    let dir = pool.dir(dataset.dir)?;
    let release = pool.env.release;
    let mut number = |name: &str, value: u64| {
        add(list, name, Value::Uint64(value), is_default(name, value, release));
    };
    number("compressratio", ratio(dir.used));
    number("used", unsigned(dir.used.used));
    number("quota", dir.quota);
    number("reservation", unsigned(dir.reservation));
    number("logicalused", unsigned(dir.used.uncompressed));
    number("usedbysnapshots", unsigned(dir.breakdown.snapshots));
    number("usedbydataset", unsigned(dir.breakdown.head));
    number("usedbyrefreservation", unsigned(dir.breakdown.reserved));
    number(
        "usedbychildren",
        unsigned(dir.breakdown.children.saturating_add(dir.breakdown.children_reserved)),
    );
    if dir.counted {
        number("filesystem_count", dir.filesystems);
        number("snapshot_count", dir.snapshots);
    }
    if let Some(origin) = dir.origin {
        insert_text(list, "origin", &pool.name(origin)?);
    }
    if let Some(prev) = dataset.prev {
        insert_text(list, "prevsnap", &pool.name(prev)?);
    }
    Ok(())
}

/// What was written since the snapshot before: all, where there is none.
fn written(pool: &Pool, id: Id) -> Result<i64> {
    let dataset = pool.dataset(id)?;
    match dataset.prev {
        Some(prev) => Ok(space::since_snapshot(pool, id, prev)?.used),
        None => Ok(dataset.referenced.used.saturating_add(dataset.deadlist.space().used)),
    }
}

/// `zfs_ioc_objset_zplprops`.
pub(super) fn zpl_properties(state: &State, cmd: &mut Cmd) -> Result<()> {
    let (pool, id) = state.hold(&cmd.name)?;
    let dataset = pool.dataset(id)?;
    cmd.objset_stats = fast_stats(pool, dataset)?;
    cmd.objset_stats.objset_type = dataset.content.objset_type();
    let zpl = dataset.content.zpl.as_ref().ok_or(Errno::ENOENT)?;
    if cmd.reply_max == 0 || dataset.inconsistent {
        return Err(Errno::ENOENT);
    }
    // They are inside, so that they cannot be read without the key.
    if !pool.is_key_loaded(dataset.dir)? {
        return Err(Errno::EACCES);
    }
    let mut list = NvList::new();
    list.insert("version", zpl.version)
        .insert("normalization", zpl.normalization)
        .insert("utf8only", zpl.utf8only)
        .insert("casesensitivity", zpl.casesensitivity);
    if pool.env.release >= (2, 4) {
        for quota in DEFAULT_QUOTAS {
            list.insert(quota, dataset.content.objset.master_node(quota).unwrap_or(0));
        }
    }
    put(cmd, &list)
}

/// `zfs_ioc_dataset_list_next`: the child after the cookie, in the order they were made.
pub(super) fn next_dataset(state: &State, cmd: &mut Cmd) -> Result<()> {
    let (pool, id) = state.hold(&cmd.name).map_err(|_| Errno::ESRCH)?;
    let dir = pool.dataset(id)?.dir;
    if pool.dataset(id)?.is_snapshot() {
        return Err(Errno::ESRCH);
    }
    for child in pool.dir(dir)?.children_after(cmd.cookie) {
        let place = pool.dir(child)?;
        // `zfs_dataset_name_hidden`: what the kernel makes for itself.
        if place.name.contains(['$', '%']) {
            continue;
        }
        cmd.cookie = child;
        cmd.name = format!("{}/{}", cmd.name, place.name);
        return answer(pool, place.head, cmd);
    }
    Err(Errno::ESRCH)
}

/// `zfs_ioc_snapshot_list_next`: the snapshot after the cookie, in the order they were taken; within two transaction groups, if they are given.
pub(super) fn next_snapshot(state: &State, cmd: &mut Cmd) -> Result<()> {
    let range = unpack(cmd.input.as_deref())?;
    let least = range.get_u64("snap_iter_min_txg").unwrap_or(0);
    let most = match range.get_u64("snap_iter_max_txg") {
        None | Some(0) => u64::MAX,
        Some(most) => most,
    };
    let (pool, id) = state.hold(&cmd.name).map_err(|_| Errno::ESRCH)?;
    let head = pool.dataset(id)?.as_head().ok_or(Errno::ESRCH)?;
    if cmd.name.len() + 1 >= name::NAME_BYTES {
        return Err(Errno::ESRCH);
    }
    for snapshot in head.snapshots_after(cmd.cookie) {
        let dataset = pool.dataset(snapshot)?;
        if !(least..=most).contains(&dataset.creation_txg) {
            continue;
        }
        cmd.cookie = snapshot;
        cmd.obj = snapshot;
        cmd.name = pool.name(snapshot)?;
        if !cmd.simple {
            return answer(pool, snapshot, cmd);
        }
        // Before 2.2 nothing but the name.
        if pool.env.release >= (2, 2) {
            cmd.objset_stats = fast_stats(pool, dataset)?;
        }
        return Ok(());
    }
    Err(Errno::ESRCH)
}

impl Pool {
    /// `dsl_dataset_crypt_stats`.
    fn add_crypt_stats(&self, id: Id, list: &mut NvList) -> Result<()> {
        let dataset = self.dataset(id)?;
        let Some(crypt) = &self.dir(dataset.dir)?.crypt else { return Ok(()) };
        // 2 when it is there, 1 when it is not (`zfs_keystatus_t`).
        insert_number(list, "keystatus", if self.keys.contains(crypt.root) { 2 } else { 1 });
        insert_number(list, "encryption", crypt.wrapped.suite.number());
        insert_number(list, "keyguid", crypt.wrapped.guid);
        insert_number(list, "keyformat", crypt.format.keyformat);
        let numbers = [("pbkdf2salt", crypt.format.salt), ("pbkdf2iters", crypt.format.iterations)];
        for (name, number) in numbers {
            let is_default = is_default(name, number, self.env.release);
            add(list, name, Value::Uint64(number), is_default);
        }
        if let Some(snapshot) = dataset.as_snapshot() {
            insert_number(list, "ivsetguid", snapshot.ivset_guid);
        }
        insert_text(list, "encryptionroot", &self.dir_name(crypt.root)?);
        Ok(())
    }
}
