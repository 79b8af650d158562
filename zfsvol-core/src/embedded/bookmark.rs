//! Bookmarks: OpenZFS 2.3 `module/zfs/dsl_bookmark.c`.

use super::engine::{Bookmark, BookmarkSpace, Id, Pool, Result, Room, State, unsigned};
use super::list::{insert_number, ratio};
use super::name;
use crate::kernel::Errno;
use crate::nvlist::{NvList, Value};

/// What the space of a bookmark needs of the pool.
const WITH_SPACE: &str = "bookmark_written";

/// `zfs_ioc_bookmark`: `{new: source}`, all or none; a source is a snapshot or another bookmark.
pub(super) fn create(
    state: &mut State,
    _pool: &str,
    input: &NvList,
    errors: &mut NvList,
) -> Result<()> {
    for (name, _) in input.iter() {
        // Who may is asked of each name's dataset first.
        if !name.contains('#') {
            return Err(Errno::EINVAL);
        }
    }
    let Some((first, _)) = input.iter().next() else { return Ok(()) };
    let pool = state.pool_mut(first)?;
    if !pool.features.has("bookmarks") {
        return Err(Errno::ENOTSUP);
    }
    let valid = are_valid(input);
    let mut outcome = Ok(());
    let mut checked = Vec::new();
    for (new, source) in input.iter() {
        let bookmark = match (valid, source) {
            (true, Value::String(source)) => {
                source.as_str().ok_or(Errno::EINVAL).and_then(|source| check_one(pool, new, source))
            }
            _ => Err(Errno::EINVAL),
        };
        match bookmark {
            Ok(bookmark) => checked.push(bookmark),
            Err(errno) => {
                errors.insert(new, errno.0);
                outcome = Err(errno);
            }
        }
    }
    outcome?;
    let blocks = i64::try_from(checked.len()).unwrap_or(i64::MAX);
    pool.check_room(blocks, Room::Normal)?;
    pool.begin();
    for (head, name, bookmark) in checked {
        let txg = bookmark.creation_txg;
        pool.log_internal("bookmark", Some(head), format!("name={name} creation_txg={txg}"));
        pool.add_bookmark(head, name.into(), bookmark)?;
    }
    Ok(())
}

/// `dsl_bookmark_create_nvl_validate`: each name a bookmark's, each source a bookmark's or snapshot's, all of one pool.
fn are_valid(input: &NvList) -> bool {
    let mut pool = None;
    input.iter().all(|(new, source)| {
        let Value::String(source) = source else { return false };
        let Some(source) = source.as_str() else { return false };
        name::is_bookmark(new)
            && (name::is_bookmark(source) || name::is_snapshot(source))
            && *pool.get_or_insert(name::pool_of(new)) == name::pool_of(new)
    })
}

/// `dsl_bookmark_create_check_impl`.
///
/// # Errors
/// `EEXIST`; `ZFS_ERR_BOOKMARK_SOURCE_NOT_ANCESTOR`; as [`Pool::hold`].
pub(super) fn check_one<'n>(
    pool: &Pool,
    new: &'n str,
    source: &str,
) -> Result<(Id, &'n str, Bookmark)> {
    let (head, short) = hold_dataset(pool, new)?;
    if pool.head(head)?.bookmarks.contains_key(short) {
        return Err(Errno::EEXIST);
    }
    let not_ancestor = Errno::ZFS_ERR_BOOKMARK_SOURCE_NOT_ANCESTOR;
    let bookmark = if source.contains('@') {
        let snapshot = pool.hold(source)?;
        if !pool.is_before(head, snapshot, None)? {
            return Err(not_ancestor);
        }
        of_snapshot(pool, snapshot)?
    } else {
        let (found, of) = find(pool, source)?;
        if !pool.is_before(head, of, Some(found.creation_txg))? {
            return Err(not_ancestor);
        }
        // A copy of a redaction bookmark is a plain one.
        Bookmark { redaction: None, ..found }
    };
    Ok((head, short, bookmark))
}

/// The dataset of a bookmark's full name, and the short name: `dsl_bookmark_hold_ds`.
fn hold_dataset<'n>(pool: &Pool, full: &'n str) -> Result<(Id, &'n str)> {
    if full.len() >= name::NAME_BYTES {
        return Err(Errno::ENAMETOOLONG);
    }
    let (dataset, short) = full.split_once('#').ok_or(Errno::EINVAL)?;
    if !name::is_component(short) {
        return Err(Errno::EINVAL);
    }
    let id = pool.hold(dataset)?;
    if pool.dataset(id)?.is_snapshot() {
        return Err(Errno::EINVAL);
    }
    Ok((id, short))
}

/// A bookmark by its full name, with the dataset it is of.
///
/// # Errors
/// `ENOENT` without the dataset, `ESRCH` without the bookmark.
pub(super) fn find(pool: &Pool, full: &str) -> Result<(Bookmark, Id)> {
    let (head, short) = hold_dataset(pool, full)?;
    let bookmark = pool.head(head)?.bookmarks.get(short).cloned();
    Ok((bookmark.ok_or(Errno::ESRCH)?, head))
}

/// `dsl_bookmark_set_phys`.
fn of_snapshot(pool: &Pool, id: Id) -> Result<Bookmark> {
    let dataset = pool.dataset(id)?;
    let snapshot = pool.snapshot(id)?;
    let space = match pool.features.has(WITH_SPACE) {
        true => Some(BookmarkSpace {
            referenced: dataset.referenced,
            freed: pool.dataset(snapshot.next)?.deadlist.space(),
        }),
        false => None,
    };
    Ok(Bookmark {
        guid: dataset.guid,
        creation_txg: dataset.creation_txg,
        creation_time: dataset.creation_time,
        ivset_guid: snapshot.ivset_guid,
        space,
        redaction: None,
    })
}

/// `zfs_ioc_get_bookmarks`: the properties asked for of each bookmark, in the order of their transaction groups.
pub(super) fn list(
    state: &State,
    dataset: &str,
    wanted: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let (pool, id) = state.hold(dataset)?;
    let head = pool.dataset(id)?.as_head().ok_or(Errno::EINVAL)?;
    let mut bookmarks: Vec<_> = head.bookmarks.iter().collect();
    bookmarks.sort_by_key(|(_, bookmark)| bookmark.creation_txg);
    for (name, bookmark) in bookmarks {
        let mut properties = NvList::new();
        fetch(bookmark, &|property| wanted.contains(property), &mut properties);
        fetch_redaction(bookmark, wanted, &mut properties);
        output.insert(name.to_string(), properties);
    }
    Ok(())
}

/// `zfs_ioc_get_bookmark_props`: all properties of one.
pub(super) fn properties(
    state: &State,
    full: &str,
    _input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    if !full.contains('#') {
        return Err(Errno::EINVAL);
    }
    let (bookmark, _) = find(state.pool(full)?, full)?;
    fetch(&bookmark, &|_| true, output);
    Ok(())
}

/// `dsl_bookmark_fetch_props`.
fn fetch(bookmark: &Bookmark, wanted: &dyn Fn(&str) -> bool, output: &mut NvList) {
    let mut numbers = vec![
        ("guid", bookmark.guid),
        ("createtxg", bookmark.creation_txg),
        ("creation", bookmark.creation_time),
        ("ivsetguid", bookmark.ivset_guid),
    ];
    if let Some(space) = &bookmark.space {
        let referenced = space.referenced;
        numbers.extend([
            ("referenced", unsigned(referenced.used)),
            ("logicalreferenced", unsigned(referenced.uncompressed)),
            ("refcompressratio", ratio(referenced)),
        ]);
    }
    for (name, number) in numbers {
        if wanted(name) {
            insert_number(output, name, number);
        }
    }
}

/// What a redaction bookmark says of that, where it is asked for by name.
fn fetch_redaction(bookmark: &Bookmark, wanted: &NvList, output: &mut NvList) {
    let Some(redaction) = &bookmark.redaction else { return };
    if wanted.contains("redact_snaps") {
        let mut pair = NvList::new();
        pair.insert("value", redaction.snapshots.clone());
        output.insert("redact_snaps", pair);
    }
    if wanted.contains("redact_complete") {
        // It is made as a whole, or not at all.
        let mut pair = NvList::new();
        pair.insert("value", Value::BooleanValue(true));
        output.insert("redact_complete", pair);
    }
}

/// `zfs_ioc_destroy_bookmarks`: those that are not there are passed over.
pub(super) fn destroy(
    state: &mut State,
    pool_name: &str,
    input: &NvList,
    errors: &mut NvList,
) -> Result<()> {
    for (full, _) in input.iter() {
        let (_, short) = full.split_once('#').ok_or(Errno::EINVAL)?;
        if !name::is_component(short) {
            return Err(Errno::EINVAL);
        }
        if !name::is_in_pool(full, pool_name, '#') {
            return Err(Errno::EXDEV);
        }
    }
    let pool = state.pool_mut(pool_name)?;
    let mut found = Vec::new();
    let mut outcome = Ok(());
    for (full, _) in input.iter() {
        match find(pool, full) {
            Ok((_, head)) => {
                found.push((head, full.split_once('#').map_or("", |(_, short)| short)));
            }
            Err(Errno::ENOENT | Errno::ESRCH) => {}
            Err(errno) => {
                errors.insert(full, errno.0);
                outcome = Err(errno);
            }
        }
    }
    outcome?;
    pool.begin();
    for (head, short) in found {
        pool.remove_bookmark(head, short)?;
        pool.log_internal("remove bookmark", Some(head), format!("name={short}"));
    }
    Ok(())
}
