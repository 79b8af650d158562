//! What is asked about single objects of a dataset.

use super::engine::{Result, State};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::NvList;

/// Why nothing is said of what is in file systems.
const REASON: &str = "the embedded kernel does not look into file systems";

/// `zfs_ioc_obj_to_path` and `zfs_ioc_obj_to_stats`, of objects that are not there. Of others nothing is known.
pub(super) fn of_file(state: &State, cmd: &mut Cmd) -> Result<()> {
    let (pool, id) = state.hold(&cmd.name)?;
    let dataset = pool.dataset(id)?;
    if !pool.is_key_loaded(dataset.dir)? {
        return Err(Errno::EACCES);
    }
    if !dataset.content.is_filesystem() {
        return Err(Errno::EINVAL);
    }
    match dataset.content.objset.object(cmd.obj) {
        Ok(_) => Err(cmd.refuse(Errno::ENOTSUP, REASON)),
        Err(_) => Err(Errno::ENOENT),
    }
}

/// `zfs_ioc_diff`, between snapshots that do not differ. What differs is not looked at.
pub(super) fn diff(state: &State, cmd: &mut Cmd) -> Result<()> {
    let from = String::from_utf8_lossy(&cmd.value).into_owned();
    if !cmd.name.contains('@') || !from.contains('@') {
        return Err(Errno::EINVAL);
    }
    let (pool, to) = state.hold(&cmd.name)?;
    let from = pool.hold(&from)?;
    if !pool.is_before(to, from, None)? {
        return Err(Errno::EXDEV);
    }
    // The root of the objset is written with every change.
    if pool.dataset(to)?.content.objset.birth() <= pool.dataset(from)?.creation_txg {
        return Ok(());
    }
    Err(cmd.refuse(Errno::ENOTSUP, REASON))
}

/// `zfs_ioc_next_obj`: the object after `obj`.
pub(super) fn next(state: &State, cmd: &mut Cmd) -> Result<()> {
    let (pool, id) = state.hold(&cmd.name)?;
    let mut next = None;
    pool.dataset(id)?.content.objset.for_each_object(|object, _| {
        if object > cmd.obj && next.is_none() {
            next = Some(object);
        }
    });
    cmd.obj = next.ok_or(Errno::ESRCH)?;
    Ok(())
}

/// `zfs_ioc_dsobj_to_dsname`: the name of the dataset or snapshot of a number.
pub(super) fn dataset_name(state: &State, cmd: &mut Cmd) -> Result<()> {
    let pool = state.pool(&cmd.name)?;
    pool.dataset(cmd.obj).map_err(|_| Errno::ENOENT)?;
    cmd.value = pool.name(cmd.obj)?.into_bytes();
    Ok(())
}

/// `zfs_ioc_wait_fs`: files that were removed are gone at once, so that there is nothing to wait for.
pub(super) fn wait(state: &State, name: &str, input: &NvList, output: &mut NvList) -> Result<()> {
    if input.get_i32("wait_activity") != Some(0) {
        return Err(Errno::EINVAL);
    }
    state.hold(name)?;
    output.insert("wait_waited", false);
    Ok(())
}
