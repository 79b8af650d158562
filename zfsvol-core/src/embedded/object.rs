//! What is asked about single objects of a dataset.

use std::io::Write;

use super::data::{Leaf, Objset, SLOTS_PER_BLOCK};
use super::engine::{Result, State};
use super::{Shared, descriptor};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::NvList;

/// `diff_type`
const IN_USE: u64 = 2;
const FREE: u64 = 4;

/// `zfs_ioc_diff`: the objects in blocks of dnodes that are younger than a snapshot, written to a descriptor. What became of each the caller asks
/// by object ([`super::file`]).
pub(super) fn diff(shared: &Shared, cmd: &mut Cmd) -> Result<()> {
    let number = i32::try_from(cmd.cookie).map_err(|_| Errno::EBADF)?;
    let mut file = descriptor::duplicate(number)?;
    let (objset, from_txg) = {
        let state = shared.read();
        let from = String::from_utf8_lossy(&cmd.value).into_owned();
        if !cmd.name.contains('@') || !from.contains('@') {
            return Err(Errno::EINVAL);
        }
        let (pool, to) = state.hold(&cmd.name)?;
        let from = pool.hold(&from)?;
        if !pool.is_before(to, from, None)? {
            return Err(Errno::EXDEV);
        }
        (pool.dataset(to)?.content.objset.clone(), pool.dataset(from)?.creation_txg)
    };
    // Whoever reads may be slow; nobody else waits for that.
    for Objects { kind, first, last } in changed_objects(&objset, from_txg) {
        let record = [kind, first, last].map(u64::to_ne_bytes).concat();
        file.write_all(&record)
            .map_err(|error| Errno(error.raw_os_error().unwrap_or(Errno::EPIPE.0)))?;
    }
    Ok(())
}

/// Objects that follow one another (`dmu_diff_record_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Objects {
    kind: u64,
    first: u64,
    last: u64,
}

/// `diff_cb`. Where a whole block of dnodes is missing, it is told as free however long it is, which says the same.
fn changed_objects(objset: &Objset, from_txg: u64) -> Vec<Objects> {
    let mut found: Vec<Objects> = Vec::new();
    if objset.birth() <= from_txg {
        return found;
    }
    let mut report = |kind: u64, first: u64, last: u64| match found.last_mut() {
        Some(before) if before.kind == kind && before.last.checked_add(1) == Some(first) => {
            before.last = last;
        }
        _ => found.push(Objects { kind, first, last }),
    };
    let mut next = 0;
    objset.dnodes().for_each(|number, block| {
        if number > next {
            report(FREE, next * SLOTS_PER_BLOCK, number * SLOTS_PER_BLOCK - 1);
        }
        next = number + 1;
        if block.birth() <= from_txg {
            return;
        }
        let mut free = 0;
        for (slot, dnode) in block.dnodes() {
            let base = number * SLOTS_PER_BLOCK;
            if slot > free {
                report(FREE, base + free, base + slot - 1);
            }
            report(IN_USE, base + slot, base + slot);
            free = slot + u64::from(dnode.slots.max(1));
        }
        if free < SLOTS_PER_BLOCK {
            report(FREE, number * SLOTS_PER_BLOCK + free, next * SLOTS_PER_BLOCK - 1);
        }
    });
    found
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

/// `zfs_ioc_remap`, which does nothing since 2.0.
pub(super) fn remap(
    _state: &mut State,
    _name: &str,
    _input: &NvList,
    _output: &mut NvList,
) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::data::{Dnode, ObjsetType, Policy, Txn};
    use crate::stream::ObjectType;

    #[test]
    fn what_changed_after_a_snapshot_is_told_by_block_of_dnodes() {
        let mut objset = Objset::empty(ObjsetType::FileSystem);
        let mut txn = Txn::new(5, Policy::default());
        for object in [1, 2, 40] {
            let dnode = Dnode::new(ObjectType::FILE, 512);
            objset.claim(object, dnode, &mut txn).unwrap();
        }
        drop(txn.finish());
        let mut txn = Txn::new(9, Policy::default());
        objset.free_object(2, &mut txn).unwrap();
        drop(txn.finish());
        let told = |from| {
            let found = changed_objects(&objset, from);
            found.into_iter().map(|o| (o.kind, o.first, o.last)).collect::<Vec<_>>()
        };
        let all = [(FREE, 0, 0), (IN_USE, 1, 1), (FREE, 2, 39), (IN_USE, 40, 40), (FREE, 41, 63)];
        assert_eq!(told(0), all);
        assert_eq!(told(5), [(FREE, 0, 0), (IN_USE, 1, 1), (FREE, 2, 31)]);
        assert_eq!(told(9), []);
    }
}
