//! The end of a receive: OpenZFS 2.3 `module/zfs/dmu_recv.c`, dmu_recv_end_check, dmu_recv_end_sync and dmu_recv_cleanup_ds.

use super::begin::Target;
use super::handler::Request;
use super::keys;
use super::stream::{Arrived, pool, pool_mut};
use crate::embedded::engine::{Content, Id, Pool, Result, Room, State};
use crate::kernel::Errno;

/// Blocks that ending is reckoned to change.
const END_BLOCKS: i64 = 3;

/// Makes the snapshot, and has what was received take the place of what was there.
///
/// # Errors
/// Why it cannot be: what it was received onto has changed, is held or in use.
pub(super) fn end(
    state: &mut State,
    request: &Request<'_>,
    target: &Target,
    arrived: &Arrived,
) -> Result<()> {
    if target.heal {
        return Ok(());
    }
    let users = u32::from(state.is_in_use(request.dataset));
    let pool = pool_mut(state, target)?;
    let head = if target.is_new {
        check_snapshot(pool, target.dataset, request.snapshot)?;
        pool.check_room(END_BLOCKS, Room::Normal)?;
        target.dataset
    } else {
        replace(pool, request, target, arrived, users)?
    };
    let tx = pool.begin();
    let content = &mut pool.dataset_mut(head)?.content;
    *content =
        Content { uncounted: content.uncounted, ..Content::of_objset(content.objset.clone()) };
    let detail = format!("snap={}", request.snapshot);
    pool.log_internal("finish receiving", Some(head), detail);
    let snapshot = pool.take_snapshot(head, request.snapshot, tx)?;
    for id in [head, snapshot] {
        let dataset = pool.dataset_mut(id)?;
        dataset.inconsistent = false;
        dataset.transfer.receiving = false;
        dataset.transfer.resume = None;
    }
    let taken = pool.dataset_mut(snapshot)?;
    taken.creation_time = request.begin.creation_time;
    taken.guid = request.begin.to_guid.get();
    if let Some(keys) = arrived.keys.filter(|keys| keys.ivset_guid != 0) {
        pool.snapshot_mut(snapshot)?.ivset_guid = keys.ivset_guid;
    }
    if target.is_new {
        let dataset = pool.dataset_mut(head)?;
        dataset.long_holds = dataset.long_holds.saturating_sub(1);
    } else {
        pool.dataset_mut(target.dataset)?.long_holds = 0;
        pool.destroy_head(target.dataset, tx)?;
    }
    Ok(())
}

/// `dsl_dataset_snapshot_check_impl` of a dataset that is received into.
fn check_snapshot(pool: &Pool, id: Id, name: &str) -> Result<()> {
    if pool.head(id)?.snapshot(name).is_some() {
        return Err(Errno::EEXIST);
    }
    pool.check_snapshot_space(id)
}

/// What was received takes the place of what is there; with force, snapshots since then go. Answers the dataset.
fn replace(
    pool: &mut Pool,
    request: &Request<'_>,
    target: &Target,
    arrived: &Arrived,
    users: u32,
) -> Result<Id> {
    let clone = target.dataset;
    // By its directory: the dataset can have another name by now, and then it is not this one that was asked for.
    let head = pool.hold(request.dataset)?;
    let base = pool.dataset(clone)?.prev;
    let mut newer = Vec::new();
    if request.force {
        let dir = pool.dataset(head)?.dir;
        let mut next = pool.dataset(head)?.prev;
        while let Some(id) = next.filter(|id| Some(*id) != base) {
            let snapshot = pool.dataset(id)?;
            if snapshot.dir != dir {
                return Err(Errno::EINVAL);
            }
            pool.check_destroy_snapshot(id, false)?;
            newer.push(id);
            next = snapshot.prev;
        }
    }
    if let Some(keys) = &arrived.keys {
        keys::check_same(pool, head, keys)?;
    }
    pool.check_swap(clone, head, request.force, users)?;
    check_snapshot(pool, head, request.snapshot)?;
    pool.check_room(END_BLOCKS, Room::Normal)?;
    let tx = pool.begin();
    for snapshot in newer {
        pool.destroy_snapshot(snapshot, false, tx)?;
    }
    if let Some(keys) = &arrived.keys {
        keys::replace(pool, head, keys)?;
    }
    pool.swap(clone, head)?;
    Ok(head)
}

/// A receive has failed: what came is kept if it can be resumed, and destroyed if not.
///
/// # Errors
/// None that can be.
pub(super) fn clean_up(state: &mut State, target: &Target) -> Result<()> {
    if target.heal {
        return Ok(());
    }
    let Ok(found) = pool(state, target).and_then(|pool| pool.dataset(target.dataset)) else {
        return Ok(());
    };
    // Of a raw stream there is nothing before the first object.
    let objset = &found.content.objset;
    let has_something = objset.birth() > 0 || objset.portable_mac().is_none();
    let keep = target.resumable
        && target.worth_keeping
        && found.transfer.resume.is_some()
        && has_something;
    let pool = pool_mut(state, target)?;
    let dataset = pool.dataset_mut(target.dataset)?;
    dataset.long_holds = dataset.long_holds.saturating_sub(1);
    dataset.transfer.receiving = false;
    if keep {
        return Ok(());
    }
    let tx = pool.begin();
    pool.destroy_head(target.dataset, tx)
}
