//! Space and quotas of users, groups and projects.

use zfsvol_core::zfs::{Account, Accounts, Owner, OwnerKind, Quota};
use zfsvol_core::{Bytes, DatasetName, EntityName};

use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, Slot};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

/// Whose space is counted: a `ZFSVOL_OWNER_...`. Which number a name has is for the caller to look up.
pub type zfsvol_owner = u32;

/// Users.
pub const ZFSVOL_OWNER_USER: zfsvol_owner = 0;
/// Groups.
pub const ZFSVOL_OWNER_GROUP: zfsvol_owner = 1;
/// Projects.
pub const ZFSVOL_OWNER_PROJECT: zfsvol_owner = 2;

/// What is counted or limited: a `ZFSVOL_ACCOUNT_...`.
pub type zfsvol_account = u32;

/// Bytes that the owner's files take.
pub const ZFSVOL_ACCOUNT_USED: zfsvol_account = 0;
/// Most bytes they may take.
pub const ZFSVOL_ACCOUNT_QUOTA: zfsvol_account = 1;
/// Files, directories and other objects the owner has.
pub const ZFSVOL_ACCOUNT_OBJECTS: zfsvol_account = 2;
/// Most objects the owner may have.
pub const ZFSVOL_ACCOUNT_OBJECT_QUOTA: zfsvol_account = 3;

/// The space and quotas of every user, group or project that has any in a file system or snapshot, by number: nvlist array `owners`, each with `kind` (string: `user`, `group`,
/// `project`), `id` (uint32), `used` (uint64) and, as far as there are, `domain` (string), `quota`, `objects`, `object_quota` (uint64). All are in memory together. Issues `ZFS_IOC_USERSPACE_MANY`.
///
/// Fails with `NOT_FOUND`, `WRONG_TYPE` (a zvol), `FEATURE_DISABLED` (it does not count: see `zfsvol_quota_upgrade`), `KEY_NOT_LOADED`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_quota_list(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    kind: zfsvol_owner,
    owners: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(owners)?;
        let name: EntityName = caller.name(name)?;
        out.array("owners", &caller.get(zfs)?.userspace(&name, kind_of(kind)?)?)?;
    })
}

/// The same of one owner, who may have nothing there. Anybody may ask about themselves and their groups. Issues `ZFS_IOC_USERSPACE_ONE`. Fails as `zfsvol_quota_list`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_quota_get(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    kind: zfsvol_owner,
    id: u32,
    owner: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(owner)?;
        let name: EntityName = caller.name(name)?;
        out.list(&caller.get(zfs)?.userspace_of(&name, kind_of(kind)?.owner(id))?)?;
    })
}

/// One number of every owner, one after the other: for file systems with more owners than should be in memory. Read by one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_accounts {
    _private: [u8; 0],
}

impl Object for zfsvol_accounts {
    type Value = Slot<Accounts>;
    const NAME: &'static str = "zfsvol_accounts";
}

/// Opens one account of a file system or snapshot. What goes wrong, `zfsvol_accounts_next` tells.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_accounts_open(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    kind: zfsvol_owner,
    account: zfsvol_account,
    accounts: *mut *mut zfsvol_accounts,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(accounts)?;
        let account = match account {
            ZFSVOL_ACCOUNT_USED => Account::Used,
            ZFSVOL_ACCOUNT_QUOTA => Account::Quota,
            ZFSVOL_ACCOUNT_OBJECTS => Account::Objects,
            ZFSVOL_ACCOUNT_OBJECT_QUOTA => Account::ObjectQuota,
            other => return Err(Fault::unknown("account", other)),
        };
        let name: EntityName = caller.name(name)?;
        out.give(Slot::new(caller.get(zfs)?.accounts(&name, kind_of(kind)?, account)));
    })
}

/// The next entry, in no order, or NULL when there is none any more: `kind`, `domain` (string), `id` (uint32), `number` (uint64). Fails as `zfsvol_quota_list`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_accounts_next(
    accounts: *const zfsvol_accounts,
    entry: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(entry)?;
        out.next(caller.get(accounts)?.with(Iterator::next)?.transpose()?.as_ref())?;
    })
}

/// Frees it, read to its end or not. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_accounts_free(accounts: *mut zfsvol_accounts) {
    boundary!(or(), |caller| caller.free(accounts)?);
}

/// A quota to be set.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_quota {
    /// Whose: a user's, a group's, a project's.
    pub kind: zfsvol_owner,
    /// The number of the user, group or project.
    pub id: u32,
    /// What it limits: `ZFSVOL_ACCOUNT_QUOTA` or `ZFSVOL_ACCOUNT_OBJECT_QUOTA`.
    pub account: zfsvol_account,
    /// Most bytes or objects; 0 takes the quota away.
    pub limit: u64,
}

/// Sets quotas of a file system. Each is a transaction of its own; of two for the same, the later holds. Issues `ZFS_IOC_SET_PROP` once.
///
/// Fails, with each quota that failed among the names, `userquota@1000`, with `NOT_FOUND`, `WRONG_TYPE` (a zvol), `FEATURE_DISABLED`, `KEY_NOT_LOADED`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_quota_set(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    quotas: *const zfsvol_quota,
    count: usize,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let name: DatasetName = caller.name(name)?;
        let quotas: Result<Vec<Quota>, Fault> =
            caller.array(quotas, count)?.iter().map(quota_of).collect();
        caller.get(zfs)?.set_quotas(&name, &quotas?)?;
    })
}

/// Has a file system of a very old OpenZFS count what users, groups and projects take. It reads every file once; one that counts already is left as it is. Issues `ZFS_IOC_USERSPACE_UPGRADE`.
///
/// Fails with `NOT_FOUND`, `DENIED`, `KEY_NOT_LOADED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_quota_upgrade(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.upgrade_userspace(&caller.name(name)?)?)
}

fn kind_of(kind: zfsvol_owner) -> Result<OwnerKind, Fault> {
    match kind {
        ZFSVOL_OWNER_USER => Ok(OwnerKind::User),
        ZFSVOL_OWNER_GROUP => Ok(OwnerKind::Group),
        ZFSVOL_OWNER_PROJECT => Ok(OwnerKind::Project),
        other => Err(Fault::unknown("kind of owner", other)),
    }
}

fn quota_of(given: &zfsvol_quota) -> Result<Quota, Fault> {
    let owner: Owner = kind_of(given.kind)?.owner(given.id);
    match given.account {
        ZFSVOL_ACCOUNT_QUOTA => Ok(Quota::space(owner, Bytes::new(given.limit))),
        ZFSVOL_ACCOUNT_OBJECT_QUOTA => Ok(Quota::objects(owner, given.limit)),
        other => Err(Fault::unknown("account that can be limited", other)),
    }
}
