//! Properties that are more than a value: quotas, reservations, sizes, versions. OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfs_prop_set_special.

use super::data::UsedFeatures;
use super::data::filesystem::{DEFAULT_QUOTAS, VERSION_ATTRIBUTES};
use super::dataset::{ZPL_VERSION, check_volsize};
use super::engine::{Id, Pool, PropSource, Result, Room, signed};
use super::key::is_keylocation;
use super::property::{COMPRESS_MASK, COMPRESS_ZSTD, is_user};
use super::quota;
use crate::kernel::Errno;
use crate::nvlist::Value;
use crate::property::PropertyInfo;
use crate::stream::ObjectType;

/// Sets what is more than a value: `zfs_prop_set_special`. `false` when it is to be set as any other.
pub(super) fn set_special(
    pool: &mut Pool,
    dataset: &str,
    source: PropSource,
    info: Option<&'static PropertyInfo>,
    name: &str,
    value: &Value,
) -> Result<bool> {
    let Some(info) = info else {
        // Quotas of users, groups and projects are kept in the file system.
        if is_user(name) {
            return Ok(false);
        }
        quota::set(pool, dataset, name, value)?;
        return Ok(true);
    };
    let number = match value {
        Value::Uint64(number) => *number,
        _ => 0,
    };
    match info.name {
        "quota" => set_quota(pool, dataset, source, number)?,
        "refquota" => set_refquota(pool, dataset, source, number)?,
        "reservation" => set_reservation(pool, dataset, source, number)?,
        "refreservation" => set_refreservation(pool, dataset, source, number)?,
        "filesystem_limit" | "snapshot_limit" => {
            if number != u64::MAX {
                let id = pool.hold(dataset)?;
                let dir = pool.dataset(id)?.dir;
                pool.activate_limits(dir)?;
            }
            return Ok(false);
        }
        "compression" => {
            // Whether anything is ever compressed with it or not: `dsl_dataset_set_compression`.
            if number & COMPRESS_MASK == COMPRESS_ZSTD {
                let id = pool.hold(dataset)?;
                pool.dataset_mut(id)?.content.objset.use_features(UsedFeatures::ZSTD);
            }
            return Ok(false);
        }
        "keylocation" => {
            let Value::String(place) = value else { return Err(Errno::EINVAL) };
            check_keylocation(pool, dataset, &place.to_string_lossy())?;
            return Ok(false);
        }
        "volsize" => set_volsize(pool, dataset, number)?,
        "volthreading" => {
            // Up to 2.3 the device is asked for.
            if pool.env.release < (2, 4) {
                let id = pool.hold(dataset)?;
                let is_hidden = pool.dataset(id)?.is_snapshot() && pool.number(id, "snapdev")? == 0;
                if is_hidden || !pool.has_device(id)? {
                    return Err(Errno::ENOENT);
                }
            }
            return Ok(false);
        }
        // They act on what is below as well, so a snapshot is none of them (`zvol_set_common_check`).
        "snapdev" | "volmode" => {
            pool.hold_whole_dir(dataset)?;
            return Ok(false);
        }
        "version" => set_version(pool, dataset, number)?,
        name if DEFAULT_QUOTAS.contains(&name) => set_default_quota(pool, dataset, name, number)?,
        "longname" if source != PropSource::Received => {
            quota::hold_filesystem(pool, dataset)?;
            if !pool.features.has("longname") {
                return Err(Errno::ENOTSUP);
            }
            return Ok(false);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// `dsl_dir_set_quota_check`.
fn set_quota(pool: &mut Pool, dataset: &str, source: PropSource, value: u64) -> Result<()> {
    let id = pool.hold(dataset)?;
    let dir = pool.dir_of(id)?;
    let new = signed(dir.props.predict("quota", source, value));
    if new != 0 && (new < dir.reservation || new < dir.used.used) {
        return Err(Errno::ENOSPC);
    }
    pool.check_room(0, Room::ExtraReserved)?;
    pool.begin();
    pool.set_number(id, "quota", source, value)
}

/// A dataset that is no snapshot.
///
/// # Errors
/// `EINVAL` for a snapshot; as [`Pool::hold`].
fn hold_head(pool: &Pool, dataset: &str) -> Result<Id> {
    let id = pool.hold(dataset)?;
    if pool.dataset(id)?.is_snapshot() { Err(Errno::EINVAL) } else { Ok(id) }
}

/// `dsl_dataset_set_refquota_check`.
fn set_refquota(pool: &mut Pool, dataset: &str, source: PropSource, value: u64) -> Result<()> {
    let id = hold_head(pool, dataset)?;
    let found = pool.dataset(id)?;
    let new = signed(pool.dir(found.dir)?.props.predict("refquota", source, value));
    if new != 0 && (new < found.referenced.used || new < found.refreservation()) {
        return Err(Errno::ENOSPC);
    }
    pool.check_room(0, Room::ExtraReserved)?;
    pool.begin();
    pool.set_number(id, "refquota", source, value)
}

/// `dsl_dir_set_reservation_check`.
fn set_reservation(pool: &mut Pool, dataset: &str, source: PropSource, value: u64) -> Result<()> {
    let id = pool.hold(dataset)?;
    let dir = pool.dir_of(id)?;
    let new = signed(dir.props.predict("reservation", source, value));
    let used = dir.used.used;
    let available = match dir.parent {
        Some(parent) => pool.available(parent, None, 0)?,
        None => pool.adjusted_size(Room::Normal) - used,
    };
    let delta = used.max(new) - used.max(dir.reservation);
    if delta > 0 && (delta > available || (dir.quota > 0 && new > signed(dir.quota))) {
        return Err(Errno::ENOSPC);
    }
    pool.check_room(0, Room::ExtraReserved)?;
    pool.begin();
    pool.set_number(id, "reservation", source, value)
}

/// `dsl_dataset_set_refreservation_check`.
fn set_refreservation(
    pool: &mut Pool,
    dataset: &str,
    source: PropSource,
    value: u64,
) -> Result<()> {
    let id = hold_head(pool, dataset)?;
    let found = pool.dataset(id)?;
    let new = signed(pool.dir(found.dir)?.props.predict("refreservation", source, value));
    let unique = found.unique;
    let delta = unique.max(new) - unique.max(found.refreservation());
    let quota = signed(pool.head(id)?.refquota);
    if delta > 0 && (delta > pool.available(found.dir, None, 0)? || (quota > 0 && new > quota)) {
        return Err(Errno::ENOSPC);
    }
    pool.check_room(0, Room::ExtraReserved)?;
    pool.begin();
    pool.set_number(id, "refreservation", source, value)
}

/// `dsl_crypto_can_set_keylocation`.
fn check_keylocation(pool: &Pool, dataset: &str, place: &str) -> Result<()> {
    let dir = pool.hold_whole_dir(dataset)?;
    match &pool.dir(dir)?.crypt {
        None if place == "none" => Ok(()),
        None => Err(Errno::EACCES),
        Some(_) if !is_keylocation(place, true) => Err(Errno::EINVAL),
        Some(crypt) if crypt.root != dir => Err(Errno::EACCES),
        Some(_) => Ok(()),
    }
}

/// `zvol_set_volsize`.
fn set_volsize(pool: &mut Pool, dataset: &str, bytes: u64) -> Result<()> {
    let id = pool.hold(dataset)?;
    if pool.number(id, "readonly")? != 0 {
        return Err(Errno::EROFS);
    }
    // `dmu_objset_own`: its key first, then whether it is whole, then what it is.
    let found = pool.dataset(id)?;
    if !pool.is_key_loaded(found.dir)? {
        return Err(Errno::EACCES);
    }
    if found.inconsistent {
        return Err(Errno::EBUSY);
    }
    if found.content.is_filesystem() {
        return Err(Errno::EINVAL);
    }
    let block = found.content.objset.volume_block_bytes().ok_or(Errno::EIO)?;
    check_volsize(bytes, block.into())?;
    let tx = pool.begin();
    let mut txn = pool.txn(id, tx.txg)?;
    let salt = pool.env.guid();
    pool.dataset_mut(id)?.content.objset.resize_volume(bytes, salt, &mut txn)?;
    pool.account(id, &txn.finish())
}

/// `zfs_set_version`.
fn set_version(pool: &mut Pool, dataset: &str, version: u64) -> Result<()> {
    let id = quota::hold_filesystem(pool, dataset)?;
    let content = &mut pool.dataset_mut(id)?.content;
    let before = content.objset.master_node("VERSION").ok_or(Errno::EINVAL)?;
    if !(before..=ZPL_VERSION).contains(&version) {
        return Err(Errno::EINVAL);
    }
    if let Some(zpl) = &mut content.zpl {
        zpl.version = version;
    }
    let tx = pool.begin();
    let mut txn = pool.txn(id, tx.txg)?;
    let salt = pool.env.guid();
    let objset = &mut pool.dataset_mut(id)?.content.objset;
    objset.set_master_node("VERSION", Some(version), &mut txn)?;
    // Which attributes there are is said when there is a file that has some of them.
    if version >= VERSION_ATTRIBUTES && before < VERSION_ATTRIBUTES {
        let attributes = objset.make_zap(ObjectType::SA_MASTER_NODE, salt, &mut txn)?;
        objset.set_master_node("SA_ATTRS", Some(attributes), &mut txn)?;
    }
    // Owners are counted from then on (`zfs_ioc_userspace_upgrade`).
    if version >= quota::VERSION_MIN {
        pool.dataset_mut(id)?.content.uncounted = false;
    }
    pool.account(id, &txn.finish())?;
    pool.log_internal("upgrade", Some(id), format!("from {before} to {version}"));
    Ok(())
}

/// OpenZFS 2.4 `module/os/linux/zfs/zfs_vfsops.c`, zfs_set_default_quota.
///
/// # Errors
/// `EROFS` for a snapshot, which the module changes, and panics; as [`quota::hold_filesystem`].
fn set_default_quota(pool: &mut Pool, dataset: &str, name: &str, value: u64) -> Result<()> {
    let id = quota::hold_filesystem(pool, dataset)?;
    if pool.dataset(id)?.is_snapshot() {
        return Err(Errno::EROFS);
    }
    let tx = pool.begin();
    let mut txn = pool.txn(id, tx.txg)?;
    // Nothing is kept of 0.
    let value = Some(value).filter(|value| *value != 0);
    pool.dataset_mut(id)?.content.objset.set_master_node(name, value, &mut txn)?;
    pool.account(id, &txn.finish())
}
