//! File systems and zvols: OpenZFS 2.3 `module/zfs/zfs_ioctl.c`, zfs_ioc_create and those that follow.

use std::sync::Arc;

use super::data::filesystem::{DEFAULT_QUOTAS, MASTER_NODE, VERSION_ATTRIBUTES};
use super::data::{Delta, Objset, Policy, Txn};
use super::engine::{
    Content, DefaultQuotas, Id, NewCrypt, NewDataset, Pool, PropSource, Result, State, Tx, Zpl,
    default_number,
};
use super::key::CryptParams;
use super::{name, property};
use crate::kernel::{Cmd, Errno};
use crate::nvlist::NvList;

/// `dmu_objset_type_t`.
const TYPE_FILESYSTEM: i32 = 2;
const TYPE_ZVOL: i32 = 3;
/// The newest version of file systems (`ZPL_VERSION`).
pub(super) const ZPL_VERSION: u64 = VERSION_ATTRIBUTES;
/// The first that knows of case and normalization (`ZPL_VERSION_NORMALIZATION`).
const ZPL_VERSION_NORMALIZATION: u64 = 3;
/// Block sizes of zvols: `SPA_MINBLOCKSIZE`, `SPA_OLD_MAXBLOCKSIZE`, `SPA_MAXBLOCKSIZE`.
const BLOCK_BYTES_MIN: u64 = 512;
pub(super) const BLOCK_BYTES_OLD_MAX: u64 = 128 << 10;
pub(super) const BLOCK_BYTES_MAX: u64 = 16 << 20;

/// The flags of a rename.
const RENAME_RECURSIVE: u64 = 1;
const RENAME_NO_UNMOUNT: u64 = 2;

/// `zfs_max_recordsize`: what blocks may have at most.
pub(super) fn largest_block(release: (u32, u32)) -> u64 {
    if release >= (2, 2) { BLOCK_BYTES_MAX } else { 1 << 20 }
}

/// `zfs_ioc_create`.
pub(super) fn create(
    state: &mut State,
    path: &str,
    input: &NvList,
    errors: &mut NvList,
) -> Result<()> {
    let kind = input.get_i32("type").unwrap_or(0);
    let given = input.get_list("props");
    let mut properties = given.cloned().unwrap_or_default();
    // Who may is asked of what is above: a pool has nothing there.
    if !path.contains(['/', '@']) {
        return Err(Errno::ENOENT);
    }
    if path.contains(['@', '%']) {
        return Err(Errno::EINVAL);
    }
    let pool = state.pool_mut(path)?;
    let tx = pool.begin();
    let made = match kind {
        TYPE_FILESYSTEM => filesystem_of_new(pool, path, &mut properties)?,
        TYPE_ZVOL => {
            given.ok_or(Errno::EINVAL)?;
            let made = volume_of_new(pool, &properties)?;
            // They are inside the zvol (`zvol_create_cb`).
            properties.remove("volsize");
            properties.remove("volblocksize");
            made
        }
        _ => return Err(Errno::EINVAL),
    };
    let params = CryptParams::parse(0, &mut properties, input.get_list("hidden_args"))?;
    // In the order of `dmu_objset_create_check`.
    let (parent, _) = pool.place_for(path)?;
    let crypt = params.of_new(pool, Some(parent))?;
    let above = pool.dir(parent)?.head;
    let stored = (pool.policy(above)?, pool.dnode_slots(above)?);
    let (content, delta) = made.content(pool, tx, stored, crypt.as_ref());
    let id = pool.create(path, NewDataset { content, delta, crypt }, tx)?;
    set_or_destroy(pool, path, id, &properties, errors, tx)
}

/// What is to be made.
enum Made {
    FileSystem(Zpl, Option<DefaultQuotas>),
    /// Its size, and that of its blocks.
    Volume(u64, u32),
}

impl Made {
    /// It with its first blocks and dnodes of so many slots, which are stored as those above it: its own properties are set after that.
    fn content(
        self,
        pool: &Pool,
        tx: Tx,
        (policy, dnode_slots): (Policy, u8),
        crypt: Option<&NewCrypt>,
    ) -> (Content, Delta) {
        let policy = Policy { encrypted: crypt.is_some(), ..policy };
        let txn = Txn::new(tx.txg, policy).with_key(crypt.map(|new| Arc::clone(&new.key)));
        let salt = pool.env.guid();
        match self {
            Self::FileSystem(zpl, quotas) => {
                Content::filesystem(zpl, quotas, (salt, dnode_slots), tx, txn)
            }
            Self::Volume(size, block) => Content::volume(size, block, salt, txn),
        }
    }
}

/// Sets the properties of what was just made, and takes it away again if that cannot be done.
fn set_or_destroy(
    pool: &mut Pool,
    path: &str,
    id: Id,
    properties: &NvList,
    errors: &mut NvList,
    tx: Tx,
) -> Result<()> {
    let outcome = property::set_list(pool, path, PropSource::Local, properties, Some(errors));
    if outcome.is_err() {
        pool.destroy_head(id, tx)?;
    }
    outcome
}

/// `zfs_fill_zplprops`: what is kept inside a new file system. Takes it from the properties, but for the version.
fn filesystem_of_new(pool: &Pool, path: &str, properties: &mut NvList) -> Result<Made> {
    let parent = path.rsplit_once('/').map_or(path, |(parent, _)| parent);
    let above = &pool.dataset(pool.hold(parent)?)?.content;
    if !above.is_filesystem() {
        return Err(Errno::ZFS_ERR_WRONG_PARENT);
    }
    let zpl = fill_zpl(properties, above.zpl.as_ref(), pool.env.release)?;
    // Of what is half received it is not known, or cannot even be asked.
    if above.zpl.is_none() {
        match above.objset.zap_number(MASTER_NODE, "normalization", None) {
            Ok(_) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    let quotas = default_quotas(properties, Some(&above.objset), pool.env.release);
    Ok(Made::FileSystem(zpl, quotas))
}

/// The default quotas of owners, which came with 2.4: those that are given, and else those of what is above.
fn default_quotas(
    properties: &mut NvList,
    above: Option<&Objset>,
    release: (u32, u32),
) -> Option<DefaultQuotas> {
    (release >= (2, 4)).then(|| {
        DEFAULT_QUOTAS.map(|name| {
            let given = properties.get_u64(name);
            properties.remove(name);
            let inherited = || above.and_then(|above| above.master_node(name));
            given.or_else(inherited).unwrap_or(0)
        })
    })
}

/// The same where there may be nothing above: the root of a pool.
///
/// # Errors
/// `ENOTSUP` for a version there is not.
pub(super) fn fill_zpl(
    properties: &mut NvList,
    above: Option<&Zpl>,
    release: (u32, u32),
) -> Result<Zpl> {
    let version = properties.get_u64("version").unwrap_or(ZPL_VERSION);
    let mut take = |name: &str| {
        let number = properties.get_u64(name);
        properties.remove(name);
        number
    };
    let normalization = take("normalization");
    let utf8only = take("utf8only");
    let casesensitivity = take("casesensitivity");
    let chosen = [normalization, utf8only, casesensitivity].iter().any(Option::is_some);
    if !(1..=ZPL_VERSION).contains(&version) || (version < ZPL_VERSION_NORMALIZATION && chosen) {
        return Err(Errno::ENOTSUP);
    }
    let default = |name| default_number(name, release).unwrap_or(0);
    let inherited = |own: fn(&Zpl) -> u64, name| above.map_or_else(|| default(name), own);
    let normalization =
        normalization.unwrap_or_else(|| inherited(|zpl| zpl.normalization, "normalization"));
    // Names that are normalized must be UTF-8.
    let utf8only = match normalization {
        0 => utf8only.unwrap_or_else(|| inherited(|zpl| zpl.utf8only, "utf8only")),
        _ => 1,
    };
    let casesensitivity =
        casesensitivity.unwrap_or_else(|| inherited(|zpl| zpl.casesensitivity, "casesensitivity"));
    Ok(Zpl { version, normalization, utf8only, casesensitivity })
}

/// A new zvol, by its two numbers.
fn volume_of_new(pool: &Pool, properties: &NvList) -> Result<Made> {
    let volsize = properties.get_u64("volsize").ok_or(Errno::EINVAL)?;
    if properties.contains("volblocksize") && properties.get_u64("volblocksize").is_none() {
        return Err(Errno::EINVAL);
    }
    let volblocksize = properties
        .get_u64("volblocksize")
        .or_else(|| default_number("volblocksize", pool.env.release))
        .unwrap_or(BLOCK_BYTES_OLD_MAX);
    check_volblocksize(pool, volblocksize)?;
    check_volsize(volsize, volblocksize)?;
    let block = u32::try_from(volblocksize).map_err(|_| Errno::EDOM)?;
    Ok(Made::Volume(volsize, block))
}

/// `zvol_check_volblocksize`.
fn check_volblocksize(pool: &Pool, bytes: u64) -> Result<()> {
    if bytes > BLOCK_BYTES_OLD_MAX {
        if !pool.features.has("large_blocks") {
            return Err(Errno::ENOTSUP);
        }
        if bytes > largest_block(pool.env.release) {
            return Err(Errno::EDOM);
        }
    }
    if !(BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&bytes) || !bytes.is_power_of_two() {
        return Err(Errno::EDOM);
    }
    Ok(())
}

/// `zvol_check_volsize`.
///
/// # Errors
/// `EINVAL` for nothing, and what is not in whole blocks.
pub(super) fn check_volsize(bytes: u64, block: u64) -> Result<()> {
    match bytes == 0 || bytes.checked_rem(block) != Some(0) {
        true => Err(Errno::EINVAL),
        false => Ok(()),
    }
}

/// `zfs_ioc_clone`.
pub(super) fn clone(
    state: &mut State,
    path: &str,
    input: &NvList,
    errors: &mut NvList,
) -> Result<()> {
    if !path.contains(['/', '@']) {
        return Err(Errno::ENOENT);
    }
    if path.contains(['@', '%']) {
        return Err(Errno::EINVAL);
    }
    let origin = input.get_str("origin").filter(|name| name::is_dataset(name));
    let origin = origin.ok_or(Errno::EINVAL)?;
    let empty = NvList::new();
    let properties = input.get_list("props").unwrap_or(&empty);
    let pool = state.pool_mut(path)?;
    let tx = pool.begin();
    let id = pool.clone_snapshot(path, origin, tx)?;
    set_or_destroy(pool, path, id, properties, errors, tx)
}

/// `zfs_ioc_destroy`: a file system, zvol or snapshot.
pub(super) fn destroy(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    state.hold(&cmd.name)?;
    state.unmount_snapshot(&cmd.name);
    let pool = state.pool_mut(&cmd.name)?;
    let id = pool.hold(&cmd.name)?;
    if pool.dataset(id)?.is_snapshot() {
        pool.check_destroy_snapshot(id, cmd.defer_destroy)?;
        let tx = pool.begin();
        return pool.destroy_snapshot(id, cmd.defer_destroy, tx);
    }
    match pool.check_destroy_head(id) {
        // What an interrupted receive left goes with it.
        Err(Errno::EEXIST) => {
            let left = pool.dir_of(id)?.child(name::RECEIVE_CLONE).ok_or(Errno::EEXIST)?;
            let left = pool.dir(left)?.head;
            pool.check_destroy_head(left)?;
            let tx = pool.begin();
            pool.destroy_head(left, tx)?;
            pool.check_destroy_head(id)?;
            pool.destroy_head(id, tx)
        }
        Err(errno) => Err(errno),
        Ok(()) => {
            let tx = pool.begin();
            pool.destroy_head(id, tx)
        }
    }
}

/// `zfs_ioc_rename`: a dataset with its tree, or a snapshot, alone or with those of the same name below.
pub(super) fn rename(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    let to = std::str::from_utf8(&cmd.value).map_err(|_| Errno::EINVAL)?;
    // Who may is asked of what is above: a pool has nothing there.
    if !to.contains(['/', '@']) {
        return Err(Errno::ENOENT);
    }
    if !name::is_dataset(&cmd.name)
        || !name::is_dataset(to)
        || cmd.name.contains('%')
        || to.contains('%')
    {
        return Err(Errno::EINVAL);
    }
    state.hold(&cmd.name)?;
    let Ok((dataset, from)) = name::split_snapshot(&cmd.name) else {
        let pool = state.pool_mut(&cmd.name)?;
        pool.begin();
        return pool.rename(&cmd.name, to);
    };
    let snapshot =
        to.strip_prefix(dataset).and_then(|rest| rest.strip_prefix('@')).ok_or(Errno::EXDEV)?;
    let recursive = cmd.cookie & RENAME_RECURSIVE != 0;
    if cmd.cookie & RENAME_NO_UNMOUNT == 0 {
        match recursive {
            true => state.unmount_snapshots_named(dataset, from),
            false => state.unmount_snapshot(&cmd.name),
        }
    }
    let pool = state.pool_mut(dataset)?;
    let tx = pool.begin();
    pool.rename_snapshot(dataset, from, snapshot, recursive, tx)
}

/// `zfs_ioc_promote`: the name that both have is left in `string`.
pub(super) fn promote(state: &mut State, cmd: &mut Cmd) -> Result<()> {
    // It is looked up to see who may, before anything else.
    let (pool, id) = state.hold(&cmd.name)?;
    if cmd.name.contains('%') {
        return Err(Errno::EINVAL);
    }
    let origin = pool.dir_of(id)?.origin.ok_or(Errno::EINVAL)?;
    let of = pool.dir_name(pool.dataset(origin)?.dir)?;
    state.unmount_snapshots_of(&of);
    let pool = state.pool_mut(&cmd.name)?;
    pool.begin();
    pool.promote(&cmd.name).map_err(|(errno, conflict)| {
        if let Some(conflict) = conflict {
            cmd.string = conflict.into_bytes();
        }
        errno
    })
}

/// `zfs_ioc_rollback`: answers with the snapshot it went to.
pub(super) fn rollback(
    state: &mut State,
    path: &str,
    input: &NvList,
    output: &mut NvList,
) -> Result<()> {
    let target = input.get_str("target");
    if let Some(target) = target {
        if !name::is_component(name::split_snapshot(target)?.1) {
            return Err(Errno::EINVAL);
        }
    }
    // What is mounted is suspended meanwhile, and so is an open zvol.
    let users = u32::from(state.is_in_use(path));
    let pool = state.pool_mut(path)?;
    pool.begin();
    let id = pool.rollback(path, target, users)?;
    output.insert("target", pool.name(id)?);
    Ok(())
}

impl State {
    /// Whether a dataset is mounted, or its block device open.
    pub(super) fn is_in_use(&self, name: &str) -> bool {
        let Ok((pool, id)) = self.hold(name) else { return false };
        self.is_mounted(name) || self.devices.is_open(pool.guid, id)
    }
}

/// A file system that is the root of a new pool.
///
/// # Errors
/// As [`fill_zpl`]; what the encryption parameters do not allow.
pub(super) fn root_of_new(
    pool: &Pool,
    properties: &mut NvList,
    hidden: Option<&NvList>,
    tx: Tx,
) -> Result<NewDataset> {
    let crypt = CryptParams::parse(0, properties, hidden)?.of_new(pool, None)?;
    let zpl = fill_zpl(properties, None, pool.env.release)?;
    let policy = Policy { ashift: pool.layout.ashift(), ..Policy::default() };
    let made = Made::FileSystem(zpl, default_quotas(properties, None, pool.env.release));
    let (content, delta) = made.content(pool, tx, (policy, 1), crypt.as_ref());
    Ok(NewDataset { content, delta, crypt })
}
