//! Quotas of users, groups and projects: OpenZFS 2.3 `module/zfs/zfs_quota.c`.
//!
//! Each kind is an object of the file system, a ZAP that is made when the first one is set and stays when the last one is gone: so snapshots have
//! them, and streams. What owners take is counted as nothing, since nobody writes files here; and owners of a domain, which another system may
//! have given a quota, are kept and not told.

use std::collections::BTreeMap;

use super::data::{DatasetKey, Objset};
use super::engine::{Content, Id, Pool, Result, State};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::Value;
use crate::stream::ObjectType;

/// How many kinds of accounts there are (`ZFS_NUM_USERQUOTA_PROPS`): used and quota of users, groups; the same of files; of projects.
const KINDS: u64 = 12;
/// The kinds that are quotas, and under which name a file system says which object has them (`zfs_userquota_prop_prefixes`).
const QUOTAS: [(u64, &str); 6] = [
    (1, "userquota@"),
    (3, "groupquota@"),
    (5, "userobjquota@"),
    (7, "groupobjquota@"),
    (9, "projectquota@"),
    (11, "projectobjquota@"),
];
/// What those who are told to use something may use, if they have no quota of their own: `zfs_usedquota_prop_to_default`.
const DEFAULTS: [(u64, &str); 6] = [
    (0, "defaultuserquota"),
    (2, "defaultgroupquota"),
    (4, "defaultuserobjquota"),
    (6, "defaultgroupobjquota"),
    (8, "defaultprojectquota"),
    (10, "defaultprojectobjquota"),
];
/// The kinds that are about numbers of files.
const OBJECTS: [u64; 6] = [4, 5, 6, 7, 10, 11];
/// The kinds that are about projects.
const PROJECTS_FROM: u64 = 8;
/// Projects have numbers up to here (`ZFS_INVALID_PROJID` is all ones).
const PROJECT_NONE: u64 = u32::MAX as u64;
/// File systems older than this have no quotas of owners: `ZPL_VERSION_USERSPACE`.
pub(super) const VERSION_MIN: u64 = 4;
/// A domain's name in an account (`zfs_useracct_t`).
const DOMAIN_BYTES: usize = 256;
/// One account: domain, number, padding, value.
const ACCOUNT_BYTES: usize = DOMAIN_BYTES + 16;

/// The file system that is asked about: `zfsvfs_hold`.
///
/// # Errors
/// `EINVAL` for what is none, `EACCES` without its key; `EBUSY` up to 2.3 for what is half received. 2.4 opens it without its key even where that is
/// loaded, and so refuses all that is encrypted with `EACCES`, as long as it is not mounted; of what is half received it finds what has come, or
/// not (OpenZFS 2.4.4 `module/os/linux/zfs/zfs_vfsops.c`, zfsvfs_create_hold; [`Objset::check_filesystem`]).
pub(super) fn hold_filesystem(pool: &Pool, name: &str) -> Result<Id> {
    let is_held = pool.env.release >= (2, 4);
    let id = if is_held { pool.hold(name)? } else { pool.hold_readable(name)? };
    let dataset = pool.dataset(id)?;
    let content = &dataset.content;
    let is_filesystem = if content.is_filesystem() { Ok(id) } else { Err(Errno::EINVAL) };
    if is_held {
        is_filesystem?;
        // A file system that is held is mounted.
        let is_mounted = dataset.long_holds != 0;
        if pool.dir(dataset.dir)?.crypt.is_some() && !is_mounted {
            return Err(Errno::EACCES);
        }
        if !pool.is_key_loaded(dataset.dir)? {
            return Err(Errno::EACCES);
        }
        if !is_mounted {
            content.objset.check_filesystem()?;
        }
        return Ok(id);
    }
    if dataset.inconsistent {
        return Err(Errno::EBUSY);
    }
    is_filesystem
}

/// Whether what owners use is known, without which their quotas are not told either: `dmu_objset_userspace_present` and those like it.
fn check_counted(pool: &Pool, content: &Content, kind: u64) -> Result<()> {
    let counts_files = !OBJECTS.contains(&kind) || pool.features.has("userobj_accounting");
    match !content.uncounted && counts_files {
        true => Ok(()),
        false => Err(Errno::ENOTSUP),
    }
}

fn check_kind(pool: &Pool, kind: u64, number: u64) -> Result<()> {
    if kind >= KINDS {
        return Err(Errno::EINVAL);
    }
    if kind >= PROJECTS_FROM {
        if !pool.features.has("project_quota") {
            return Err(Errno::ENOTSUP);
        }
        if number == PROJECT_NONE {
            return Err(Errno::EINVAL);
        }
    }
    Ok(())
}

/// Sets one quota: `zfs_prop_set_userquota`. The name is `userquota@3e8-domain`, the value kind, number and quota.
///
/// # Errors
/// `EINVAL` for what is none, and for a domain, of which Linux has none; `ENOTSUP` for projects without the feature.
pub(super) fn set(pool: &mut Pool, dataset: &str, property: &str, value: &Value) -> Result<()> {
    let Value::Uint64Array(numbers) = value else { return Err(Errno::EINVAL) };
    let [kind, number, quota] = *numbers.as_slice() else { return Err(Errno::EINVAL) };
    let (_, domain) = property.split_once('-').ok_or(Errno::EINVAL)?;
    let id = hold_filesystem(pool, dataset)?;
    if pool.dataset(id)?.content.zpl.is_some_and(|zpl| zpl.version < VERSION_MIN) {
        return Err(Errno::ENOTSUP);
    }
    let name = object_name(kind).filter(|_| domain.is_empty()).ok_or(Errno::EINVAL)?;
    check_kind(pool, kind, number)?;
    let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
    let tx = pool.begin();
    let mut txn = pool.txn(id, tx.txg)?;
    let salt = pool.env.guid();
    let objset = &mut pool.dataset_mut(id)?.content.objset;
    let object = match objset.master_node(name) {
        Some(object) => object,
        None => {
            let object = objset.make_zap(ObjectType::OWNER_QUOTA, salt, &mut txn)?;
            objset.set_master_node(name, Some(object), &mut txn)?;
            object
        }
    };
    let quota = Some(quota).filter(|quota| *quota != 0);
    objset.set_zap(object, &format!("{number:x}"), quota, &mut txn)?;
    pool.account(id, &txn.finish())
}

fn object_name(kind: u64) -> Option<&'static str> {
    QUOTAS.iter().find(|(of, _)| *of == kind).map(|(_, name)| *name)
}

/// The quotas of one kind by the numbers of owners.
fn quotas(objset: &Objset, kind: u64, key: Option<&DatasetKey>) -> Result<BTreeMap<u32, u64>> {
    let Some(object) = object_name(kind).and_then(|name| objset.master_node(name)) else {
        return Ok(BTreeMap::new());
    };
    let number = |name: &str| u32::from_str_radix(name, 16).ok();
    let all = match objset.zap(object, key) {
        // A stream may speak of an object that it does not bring.
        Err(Errno::ENOENT) => return Ok(BTreeMap::new()),
        all => all?,
    };
    Ok(all.iter().filter_map(|(name, quota)| Some((number(name)?, *quota))).collect())
}

/// `zfs_ioc_userspace_one`: the number of an owner is in `guid`, the answer in `cookie`.
///
/// # Errors
/// As [`hold_filesystem`]; `ENOTSUP` where owners are not counted; `EINVAL` for what is no kind or no project.
pub(super) fn one(state: &State, cmd: &mut Cmd) -> Result<()> {
    if cmd.objset_type >= KINDS {
        return Err(Errno::EINVAL);
    }
    let pool = state.pool(&cmd.name)?;
    let id = hold_filesystem(pool, &cmd.name)?;
    let dataset = pool.dataset(id)?;
    check_counted(pool, &dataset.content, cmd.objset_type)?;
    check_kind(pool, cmd.objset_type, cmd.guid)?;
    let number = u32::try_from(cmd.guid).map_err(|_| Errno::EINVAL)?;
    let key = pool.data_key(dataset.dir)?;
    let objset = &dataset.content.objset;
    let object = object_name(cmd.objset_type).and_then(|name| objset.master_node(name));
    let name = format!("{number:x}");
    cmd.cookie = match object.map(|object| objset.zap_number(object, &name, key.as_deref())) {
        None | Some(Err(Errno::ENOENT)) => 0,
        Some(found) => found?.unwrap_or(0),
    };
    Ok(())
}

/// `zfs_ioc_userspace_many`: as many accounts as there is room for, from the cookie on.
///
/// # Errors
/// As [`one`]; `ENOMEM` without room.
pub(super) fn many(state: &State, cmd: &mut Cmd) -> Result<()> {
    // Who may is asked by kind.
    if cmd.objset_type >= KINDS {
        return Err(Errno::EINVAL);
    }
    if cmd.reply_max == 0 {
        return Err(Errno::ENOMEM);
    }
    let pool = state.pool(&cmd.name)?;
    let id = hold_filesystem(pool, &cmd.name)?;
    let kind = cmd.objset_type;
    let dataset = pool.dataset(id)?;
    let content = &dataset.content;
    check_counted(pool, content, kind)?;
    check_kind(pool, kind, 0)?;
    if pool.env.release >= (2, 4) {
        let default = DEFAULTS.iter().find(|(used, _)| *used == kind);
        cmd.guid = default.and_then(|(_, name)| content.objset.master_node(name)).unwrap_or(0);
    }
    let mut bytes = Vec::new();
    let key = pool.data_key(dataset.dir)?;
    let quotas = quotas(&content.objset, kind, key.as_deref())?;
    let first = u32::try_from(cmd.cookie).ok();
    for (number, quota) in first.into_iter().flat_map(|first| quotas.range(first..)) {
        if bytes.len() + ACCOUNT_BYTES > cmd.reply_max {
            break;
        }
        bytes.resize(bytes.len() + DOMAIN_BYTES, 0);
        bytes.extend_from_slice(&number.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&quota.to_ne_bytes());
        cmd.cookie = u64::from(*number) + 1;
    }
    cmd.put_reply_bytes(&bytes)
}

/// `zfs_ioc_userspace_upgrade`: there is nothing to count, and from now on that is said.
///
/// # Errors
/// `EACCES` without its key, `EINVAL` for a snapshot of what was not counted.
pub(super) fn upgrade(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let (pool, id) = state.hold(&cmd.name)?;
    let dataset = pool.dataset(id)?;
    if !pool.is_key_loaded(dataset.dir)? {
        return Err(Errno::EACCES);
    }
    if !dataset.content.uncounted {
        return Ok(());
    }
    if dataset.is_snapshot() {
        return Err(Errno::EINVAL);
    }
    state.pool_mut(&cmd.name)?.dataset_mut(id)?.content.uncounted = false;
    Ok(())
}
