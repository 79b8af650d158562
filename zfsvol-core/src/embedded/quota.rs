//! Quotas of users, groups and projects: OpenZFS 2.3 `module/zfs/zfs_quota.c`. They are kept in the file system and its snapshots.
//!
//! What owners take is counted as nothing: nobody writes files here.

use std::collections::BTreeMap;

use super::engine::{Id, Pool, Result, State};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::Value;

/// The quotas of a file system: by kind (`zfs_userquota_prop_t`) and number.
pub(super) type OwnerQuotas = BTreeMap<(u64, u32), u64>;

/// How many kinds of accounts there are (`ZFS_NUM_USERQUOTA_PROPS`): used and quota of users, groups; the same of files; of projects.
const KINDS: u64 = 12;
/// The kinds that are quotas: every other one.
const fn is_quota(kind: u64) -> bool {
    kind % 2 == 1
}
/// What those who are told to use something may use, if they have no quota of their own: `zfs_usedquota_prop_to_default`.
const DEFAULTS: [(u64, &str); 6] = [
    (0, "defaultuserquota"),
    (2, "defaultgroupquota"),
    (4, "defaultuserobjquota"),
    (6, "defaultgroupobjquota"),
    (8, "defaultprojectquota"),
    (10, "defaultprojectobjquota"),
];
/// The kinds that are about projects.
const PROJECTS_FROM: u64 = 8;
/// Projects have numbers up to here (`ZFS_INVALID_PROJID` is all ones).
const PROJECT_NONE: u64 = u32::MAX as u64;
/// A domain's name in an account (`zfs_useracct_t`).
const DOMAIN_BYTES: usize = 256;
/// One account: domain, number, padding, value.
const ACCOUNT_BYTES: usize = DOMAIN_BYTES + 16;

/// The file system that is asked about: `zfsvfs_hold`.
pub(super) fn hold_filesystem(pool: &Pool, name: &str) -> Result<Id> {
    let id = pool.hold(name)?;
    let dataset = pool.dataset(id)?;
    if !dataset.content.is_filesystem() {
        return Err(Errno::EINVAL);
    }
    if !pool.is_key_loaded(dataset.dir)? {
        return Err(Errno::EACCES);
    }
    Ok(id)
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
    if !is_quota(kind) || !domain.is_empty() {
        return Err(Errno::EINVAL);
    }
    check_kind(pool, kind, number)?;
    let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
    pool.begin();
    let quotas = std::sync::Arc::make_mut(&mut pool.dataset_mut(id)?.content.quotas);
    match quota {
        0 => quotas.remove(&(kind, number)),
        _ => quotas.insert((kind, number), quota),
    };
    Ok(())
}

/// `zfs_ioc_userspace_one`: the number of an owner is in `guid`, the answer in `cookie`.
pub(super) fn one(state: &State, cmd: &mut Cmd) -> Result<()> {
    if cmd.objset_type >= KINDS {
        return Err(Errno::EINVAL);
    }
    let pool = state.pool(&cmd.name)?;
    let id = hold_filesystem(pool, &cmd.name)?;
    check_kind(pool, cmd.objset_type, cmd.guid)?;
    let number = u32::try_from(cmd.guid).map_err(|_| Errno::EINVAL)?;
    let quotas = &pool.dataset(id)?.content.quotas;
    cmd.cookie = quotas.get(&(cmd.objset_type, number)).copied().unwrap_or(0);
    Ok(())
}

/// `zfs_ioc_userspace_many`: as many accounts as there is room for, from the cookie on.
pub(super) fn many(state: &State, cmd: &mut Cmd) -> Result<()> {
    if cmd.reply_max == 0 {
        return Err(Errno::ENOMEM);
    }
    let pool = state.pool(&cmd.name)?;
    let id = hold_filesystem(pool, &cmd.name)?;
    let kind = cmd.objset_type;
    if (PROJECTS_FROM..KINDS).contains(&kind) {
        check_kind(pool, kind, 0)?;
    }
    let content = &pool.dataset(id)?.content;
    if pool.env.release >= (2, 4) {
        let default = DEFAULTS.iter().find(|(used, _)| *used == kind);
        cmd.guid = default.and_then(|(_, name)| content.objset.master_node(name)).unwrap_or(0);
    }
    let mut bytes = Vec::new();
    let quotas = &content.quotas;
    let first = u32::try_from(cmd.cookie).ok();
    let rest = first.into_iter().flat_map(|first| quotas.range((kind, first)..=(kind, u32::MAX)));
    for ((_, number), quota) in rest {
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

/// `zfs_ioc_userspace_upgrade`: everything is counted already.
pub(super) fn upgrade(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    state.hold(&cmd.name).map(|_| ())
}
