//! Space between snapshots: OpenZFS 2.3 `module/zfs/dsl_dataset.c`, dsl_dataset_space_written and dsl_dataset_space_wouldfree.

use super::bookmark;
use super::engine::{Bookmark, BookmarkSpace, Id, Pool, Result, Space, State, unsigned};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::NvList;

/// `zfs_ioc_space_snaps`: what destroying a range of snapshots would free.
pub(super) fn snapshots(
    state: &State,
    last: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let first = input.get_str("firstsnap").ok_or(Errno::EINVAL)?;
    let (pool, last) = state.hold(last)?;
    pool.dataset(last)?.as_snapshot().ok_or(Errno::EINVAL)?;
    let first = pool.hold(first)?;
    pool.dataset(first)?.as_snapshot().ok_or(Errno::EINVAL)?;
    let freed = would_free(pool, first, last);
    // The module answers with numbers even beside an error.
    let space = freed.unwrap_or_default();
    output
        .insert("used", unsigned(space.used))
        .insert("compressed", unsigned(space.compressed))
        .insert("uncompressed", unsigned(space.uncompressed));
    freed.map(|_| ())
}

fn would_free(pool: &Pool, first: Id, last: Id) -> Result<Space> {
    let (oldest, newest) = (pool.dataset(first)?, pool.dataset(last)?);
    if oldest.dir != newest.dir || oldest.creation_txg > newest.creation_txg {
        return Err(Errno::EINVAL);
    }
    let mut space = Space::default();
    let mut id = pool.snapshot(last)?.next;
    while id != first {
        let dataset = pool.dataset(id)?;
        space += dataset.deadlist.range(oldest.prev_txg, u64::MAX);
        id = dataset.prev.ok_or(Errno::EIO)?;
    }
    Ok(space)
}

/// `zfs_ioc_space_written`: what was written to a dataset or snapshot since an earlier snapshot or bookmark.
pub(super) fn written(state: &State, cmd: &mut Cmd) -> Result<()> {
    let (pool, new) = state.hold(&cmd.name)?;
    let since = String::from_utf8_lossy(&cmd.value).into_owned();
    let space = if since.contains('#') {
        let (mark, of) = bookmark::find(pool, &since)?;
        if !pool.is_before(new, of, Some(mark.creation_txg))? {
            return Err(Errno::EXDEV);
        }
        if mark.space.is_none() {
            return Err(Errno::ENOTSUP);
        }
        since_bookmark(pool, new, &mark, true)?
    } else {
        let old = pool.hold(&since)?;
        since_snapshot(pool, new, old)?
    };
    cmd.cookie = unsigned(space.used);
    cmd.objset_type = unsigned(space.compressed);
    cmd.perm_action = unsigned(space.uncompressed);
    Ok(())
}

/// What was written to a dataset or snapshot since an earlier snapshot.
///
/// # Errors
/// `EINVAL` when that is no earlier one.
pub(super) fn since_snapshot(pool: &Pool, new: Id, old: Id) -> Result<Space> {
    if !pool.dataset(old)?.is_snapshot() || !pool.is_before(new, old, None)? {
        return Err(Errno::EINVAL);
    }
    let snapshot = pool.dataset(old)?;
    let mark = Bookmark {
        guid: snapshot.guid,
        creation_txg: snapshot.creation_txg,
        creation_time: snapshot.creation_time,
        ivset_guid: 0,
        space: Some(BookmarkSpace { referenced: snapshot.referenced, freed: Space::default() }),
        redaction: None,
    };
    since_bookmark(pool, new, &mark, false)
}

/// What was written since an earlier snapshot or bookmark: `dsl_dataset_space_written_impl`.
///
/// # Errors
/// `ENOTSUP` when the bookmark says nothing of space.
pub(super) fn since_bookmark(
    pool: &Pool,
    new: Id,
    mark: &Bookmark,
    knows_freed: bool,
) -> Result<Space> {
    let known = mark.space.ok_or(Errno::ENOTSUP)?;
    let mut dataset = pool.dataset(new)?;
    let mut space = dataset.referenced - known.referenced;
    while dataset.prev_txg > mark.creation_txg {
        space += dataset.deadlist.range(0, mark.creation_txg);
        dataset = pool.dataset(dataset.prev.ok_or(Errno::EIO)?)?;
    }
    Ok(space + if knows_freed { known.freed } else { dataset.deadlist.space() })
}

impl Pool {
    /// Whether one thing was before another, in the same dataset or those it was cloned from: `dsl_dataset_is_before`. A bookmark is said by its
    /// dataset and its transaction group.
    ///
    /// # Errors
    /// As [`Pool::dataset`].
    pub(super) fn is_before(&self, later: Id, earlier: Id, txg: Option<u64>) -> Result<bool> {
        let before = self.dataset(earlier)?;
        let txg = txg.unwrap_or(before.creation_txg);
        let mut later = later;
        loop {
            let after = self.dataset(later)?;
            if after.is_snapshot() && txg >= after.creation_txg {
                return Ok(false);
            }
            if after.dir == before.dir {
                return Ok(true);
            }
            let Some(origin) = self.dir(after.dir)?.origin else { return Ok(false) };
            let found = self.dataset(origin)?;
            if found.creation_txg == txg && found.dir == before.dir {
                return Ok(true);
            }
            later = origin;
        }
    }
}
