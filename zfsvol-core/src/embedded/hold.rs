//! Holds on snapshots: OpenZFS 2.3 `module/zfs/dsl_userhold.c`.

use std::collections::BTreeMap;

use super::engine::{Hold, Id, Pool, Result, Room, State, Tx};
use super::event::Place;
use super::name;
use crate::kernel::Errno;
use crate::nvlist::{NvList, Value};

/// Longest tag (`MAXNAMELEN`). The module takes one byte more than it can keep, and falls over it; here that is refused as well.
const TAG_BYTES_MAX: usize = 255;
/// What is put before the tag of a temporary hold (`MAX_TAG_PREFIX_LEN`).
const TAG_PREFIX_BYTES: usize = 17;
/// Where the numbers of handles begin: far from those of the process's own descriptors.
const HANDLE_FIRST: i32 = 1 << 20;

/// The open handles, each with the holds that end with it.
#[derive(Debug, Default)]
pub(super) struct Handles {
    opened: i32,
    open: BTreeMap<i32, OpenHandle>,
}

/// What one handle has.
#[derive(Debug, Default)]
struct OpenHandle {
    holds: Vec<Temporary>,
    place: Place,
}

/// A hold that ends with a handle.
#[derive(Debug)]
struct Temporary {
    pool: u64,
    snapshot: Id,
    tag: String,
}

impl Handles {
    pub(super) fn open(&mut self) -> i32 {
        self.opened = self.opened.wrapping_add(1) & i32::MAX >> 2;
        let number = HANDLE_FIRST.saturating_add(self.opened);
        self.open.insert(number, OpenHandle::default());
        number
    }

    /// Where a handle is among the events.
    pub(super) fn place(&mut self, number: i32) -> Option<&mut Place> {
        self.open.get_mut(&number).map(|handle| &mut handle.place)
    }
}

impl State {
    /// Releases the temporary holds of a handle that is closed.
    pub(super) fn close_handle(&mut self, number: i32) {
        for hold in self.handles.open.remove(&number).unwrap_or_default().holds {
            let Some(pool) = self.pools.values_mut().find(|pool| pool.guid == hold.pool) else {
                continue;
            };
            // It can be released, or the snapshot destroyed, by now.
            let held = pool.snapshot(hold.snapshot).is_ok_and(|s| s.holds.contains_key(&*hold.tag));
            if held {
                let tx = pool.begin();
                let _ = release_one(pool, hold.snapshot, &[hold.tag], tx);
            }
        }
    }
}

/// `zfs_ioc_hold`.
pub(super) fn hold(
    state: &mut State,
    _pool: &str,
    input: &NvList,
    errors: &mut NvList,
) -> Result<()> {
    let empty = NvList::new();
    let holds = input.get_list("holds").unwrap_or(&empty);
    for (snapshot, _) in holds.iter() {
        // Who may is asked of each name's dataset before anything else (`dmu_fsname`).
        name::split_snapshot(snapshot)?;
    }
    for (_, tag) in holds.iter() {
        match tag {
            Value::String(tag) if tag.is_empty() => return Err(Errno::EINVAL),
            Value::String(_) => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    let handle = input.get_i32("cleanup_fd");
    if handle.is_some_and(|handle| !state.handles.open.contains_key(&handle)) {
        return Err(Errno::EBADF);
    }
    let Some((first, _)) = holds.iter().next() else { return Ok(()) };
    let pool = state.pools.get_mut(name::pool_of(first)).ok_or(Errno::ENOENT)?;
    let checked = check_holds(pool, holds, handle.is_some(), errors)?;
    let blocks = i64::try_from(holds.len()).unwrap_or(i64::MAX);
    pool.check_room(blocks, Room::Reserved)?;
    let tx = pool.begin();
    let temporary = state.handles.open.get_mut(&handle.unwrap_or(0));
    let mut mine = Vec::new();
    for (snapshot, tag) in checked {
        let hold = Hold { time: tx.now.as_secs(), temporary: handle.is_some() };
        pool.snapshot_mut(snapshot)?.holds.insert(tag.as_str().into(), hold);
        let refs = pool.snapshot(snapshot)?.holds.len();
        let temporary = u8::from(handle.is_some());
        pool.log_internal(
            "hold",
            Some(snapshot),
            format!("tag={tag} temp={temporary} refs={refs}"),
        );
        mine.push(Temporary { pool: pool.guid, snapshot, tag });
    }
    if let Some(temporary) = temporary {
        temporary.holds.extend(mine);
    }
    Ok(())
}

/// `dsl_dataset_user_hold_check`: those that can be put on. A snapshot that is not there is named in the answer, and no error.
fn check_holds(
    pool: &Pool,
    holds: &NvList,
    temporary: bool,
    errors: &mut NvList,
) -> Result<Vec<(Id, String)>> {
    let mut checked = Vec::new();
    for (name, tag) in holds.iter() {
        let outcome = check_hold(pool, name, tag, temporary);
        match outcome {
            Ok(hold) => checked.push(hold),
            Err(errno) => {
                errors.insert(name, errno.0);
                if errno != Errno::ENOENT {
                    return Err(errno);
                }
            }
        }
    }
    Ok(checked)
}

fn check_hold(pool: &Pool, name: &str, tag: &Value, temporary: bool) -> Result<(Id, String)> {
    let Value::String(tag) = tag else { return Err(Errno::EINVAL) };
    let id = pool.hold(name)?;
    if tag.len() > TAG_BYTES_MAX {
        return Err(Errno::E2BIG);
    }
    if temporary && tag.len() + TAG_PREFIX_BYTES > TAG_BYTES_MAX {
        return Err(Errno::E2BIG);
    }
    let tag = tag.as_str().ok_or(Errno::EINVAL)?;
    let snapshot = pool.dataset(id)?.as_snapshot().ok_or(Errno::EINVAL)?;
    if snapshot.holds.contains_key(tag) {
        return Err(Errno::EEXIST);
    }
    Ok((id, tag.to_owned()))
}

/// `zfs_ioc_release`.
pub(super) fn release(
    state: &mut State,
    _pool: &str,
    holds: &NvList,
    errors: &mut NvList,
) -> Result<()> {
    for (snapshot, _) in holds.iter() {
        name::split_snapshot(snapshot)?;
    }
    let Some((first, _)) = holds.iter().next() else { return Ok(()) };
    let first = first.to_owned();
    state.pool(&first)?;
    for (snapshot, _) in holds.iter() {
        state.unmount_snapshot(snapshot);
    }
    let pool = state.pool_mut(&first)?;
    let mut checked = Vec::new();
    for (name, tags) in holds.iter() {
        match check_release(pool, name, tags, errors) {
            Ok(Some(release)) => checked.push(release),
            Ok(None) => {}
            Err(errno) => {
                errors.insert(name, errno.0);
                if errno != Errno::ENOENT {
                    return Err(errno);
                }
            }
        }
    }
    let tx = pool.begin();
    for (snapshot, tags) in checked {
        release_one(pool, snapshot, &tags, tx)?;
    }
    Ok(())
}

/// `dsl_dataset_user_release_check_one`: the tags that are there. Those that are not are named in the answer, as `tank/a@s#tag`.
fn check_release(
    pool: &Pool,
    name: &str,
    tags: &Value,
    errors: &mut NvList,
) -> Result<Option<(Id, Vec<String>)>> {
    let Value::NvList(tags) = tags else { return Err(Errno::EINVAL) };
    let id = pool.hold(name)?;
    let dataset = pool.dataset(id)?;
    let snapshot = dataset.as_snapshot().ok_or(Errno::EINVAL)?;
    let mut found = Vec::new();
    for (tag, _) in tags.iter() {
        if snapshot.holds.contains_key(tag) {
            found.push(tag.to_owned());
        } else {
            errors.insert(format!("{name}#{tag}"), Errno::ENOENT.0);
        }
    }
    let goes =
        snapshot.defer_destroy && snapshot.clones.is_empty() && snapshot.holds.len() == found.len();
    if goes && dataset.long_holds > 0 {
        return Err(Errno::EBUSY);
    }
    Ok((!found.is_empty()).then_some((id, found)))
}

/// Releases, and destroys the snapshot if it only waited for that.
fn release_one(pool: &mut Pool, id: Id, tags: &[String], tx: Tx) -> Result<()> {
    for tag in tags {
        pool.snapshot_mut(id)?.holds.remove(tag.as_str());
        let refs = pool.snapshot(id)?.holds.len();
        pool.log_internal("release", Some(id), format!("tag={tag} refs={refs}"));
    }
    let snapshot = pool.snapshot(id)?;
    if snapshot.defer_destroy && snapshot.clones.is_empty() && snapshot.holds.is_empty() {
        pool.destroy_snapshot(id, false, tx)?;
    }
    Ok(())
}

/// Releases what was to end with a handle: `dsl_pool_clean_tmp_userrefs`.
pub(super) fn release_temporary(pool: &mut Pool) {
    let mut found = Vec::new();
    for (id, dataset) in pool.datasets.iter() {
        let Some(snapshot) = dataset.as_snapshot() else { continue };
        let temporary = snapshot.holds.iter().filter(|(_, hold)| hold.temporary);
        let tags: Vec<String> = temporary.map(|(tag, _)| tag.to_string()).collect();
        if !tags.is_empty() {
            found.push((id, tags));
        }
    }
    for (id, tags) in found {
        let tx = pool.begin();
        // The snapshot was there just now, and none destroys another.
        let _ = release_one(pool, id, &tags, tx);
    }
}

/// `zfs_ioc_get_holds`: seconds since 1970, by tag.
pub(super) fn list(
    state: &State,
    snapshot: &str,
    _input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let (pool, id) = state.hold(snapshot)?;
    if let Some(snapshot) = pool.dataset(id)?.as_snapshot() {
        for (tag, hold) in &snapshot.holds {
            output.insert(tag.to_string(), hold.time);
        }
    }
    Ok(())
}
