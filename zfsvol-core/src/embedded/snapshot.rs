//! Snapshots, many in one request: OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfs_ioc_snapshot and zfs_ioc_destroy_snaps.

use std::collections::BTreeMap;

use super::engine::{Id, Pool, PropSource, PropValue, Result, Room, State};
use super::{name, property};
use crate::kernel::Errno;
use crate::nvlist::{NvList, Value};

/// Blocks that one snapshot is reckoned to change.
const SNAPSHOT_BLOCKS: i64 = 3;

/// `zfs_ioc_snapshot`: all or none.
pub(super) fn snapshot(
    state: &mut State,
    pool_name: &str,
    input: &NvList,
    errors: &mut NvList,
) -> Result<()> {
    let empty = NvList::new();
    let snapshots = input.get_list("snaps").unwrap_or(&empty);
    let properties = input.get_list("props").unwrap_or(&empty);
    // Who may is asked of each name first.
    for (name, _) in snapshots.iter() {
        name::split_snapshot(name)?;
    }
    property::check_user_properties(properties)?;
    check_names(pool_name, snapshots)?;
    let Some((first, _)) = snapshots.iter().next() else { return Ok(()) };
    let pool = state.pool_mut(first)?;
    let heads = check(pool, snapshots, errors)?;
    let count = i64::try_from(heads.len()).unwrap_or(i64::MAX);
    pool.check_room(count.saturating_mul(SNAPSHOT_BLOCKS), Room::Normal)?;
    let tx = pool.begin();
    for (head, name) in heads {
        let id = pool.take_snapshot(head, name, tx)?;
        let role = pool.snapshot_mut(id)?;
        for (property, value) in properties.iter() {
            if let Value::String(text) = value {
                let text = PropValue::Text(text.to_string_lossy().into());
                role.props.set(property, PropSource::Local, Some(text));
            }
        }
    }
    Ok(())
}

/// Each of the pool, with a name after the '@', and of another dataset than the others.
fn check_names(pool: &str, snapshots: &NvList) -> Result<()> {
    let mut datasets = BTreeMap::new();
    for (name, _) in snapshots.iter() {
        *datasets.entry(name::split_snapshot(name)?.0).or_insert(0_u32) += 1;
    }
    for (name, _) in snapshots.iter() {
        let (dataset, snapshot) = name::split_snapshot(name)?;
        if !name::is_component(snapshot) {
            return Err(Errno::EINVAL);
        }
        if !name::is_in_pool(name, pool, '@') {
            return Err(Errno::EXDEV);
        }
        if datasets.get(dataset).is_some_and(|count| *count > 1) {
            return Err(Errno::EXDEV);
        }
    }
    Ok(())
}

/// `dsl_dataset_snapshot_check`: every name that fails is in the answer, and the errno is that of the last. The module looks for all datasets
/// before it asks anything of one.
fn check<'n>(
    pool: &Pool,
    snapshots: &'n NvList,
    errors: &mut NvList,
) -> Result<Vec<(Id, &'n str)>> {
    let mut heads = Vec::with_capacity(snapshots.len());
    let mut outcome = Ok(());
    for (full, _) in snapshots.iter() {
        match hold(pool, full) {
            Ok((head, snapshot)) => heads.push((full, head, snapshot)),
            Err(errno) => {
                errors.insert(full, errno.0);
                outcome = Err(errno);
            }
        }
    }
    outcome?;
    for (full, head, snapshot) in &heads {
        if let Err(errno) = pool.check_snapshot(*head, snapshot) {
            errors.insert(*full, errno.0);
            outcome = Err(errno);
        }
    }
    outcome.map(|()| heads.into_iter().map(|(_, head, snapshot)| (head, snapshot)).collect())
}

/// The dataset that a snapshot is to be taken of, and the snapshot's name.
fn hold<'n>(pool: &Pool, full: &'n str) -> Result<(Id, &'n str)> {
    if full.len() >= name::NAME_BYTES {
        return Err(Errno::ENAMETOOLONG);
    }
    let (dataset, snapshot) = name::split_snapshot(full)?;
    Ok((pool.hold(dataset)?, snapshot))
}

/// `zfs_ioc_destroy_snaps`: all or none; those that are not there are passed over.
pub(super) fn destroy(
    state: &mut State,
    pool_name: &str,
    input: &NvList,
    errors: &mut NvList,
) -> Result<()> {
    let empty = NvList::new();
    let snapshots = input.get_list("snaps").unwrap_or(&empty);
    let defer = input.contains("defer");
    for (name, _) in snapshots.iter() {
        if !name::is_in_pool(name, pool_name, '@') {
            return Err(Errno::EXDEV);
        }
        state.unmount_snapshot(name);
    }
    if snapshots.is_empty() {
        return Ok(());
    }
    let pool = state.pool_mut(pool_name)?;
    let mut found = Vec::new();
    let mut outcome = Ok(());
    // The module has a channel program do this: `pairs` gives the names in no order of note.
    for (name, _) in snapshots.iter() {
        match pool.hold(name).and_then(|id| {
            pool.check_destroy_snapshot(id, defer)?;
            Ok(id)
        }) {
            Ok(id) => found.push(id),
            Err(Errno::ENOENT) => {}
            Err(errno) => {
                errors.insert(name, errno.0);
                outcome = outcome.and(Err(errno));
            }
        }
    }
    outcome?;
    let tx = pool.begin();
    for id in found {
        pool.destroy_snapshot(id, defer, tx)?;
    }
    Ok(())
}
