//! Properties: read with their sources, set, inherited.

use zfsvol_core::kernel::ModuleVersion;
use zfsvol_core::nvlist::NvList;
use zfsvol_core::property::{
    DatasetTypes, PropertyInfo, PropertyKind, PropertyScope, PropertySet, ZvolSize,
};
use zfsvol_core::{Bytes, EntityName, PoolName};

use crate::answer;
use crate::error::{Fault, zfsvol_error};
use crate::nvlist::{properties, zfsvol_nvlist};
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

/// All properties of a dataset, snapshot or bookmark: by its name an nvlist with `value` (uint64 for numbers, sizes and ratios, which are hundredths; string for words and
/// texts), `source` (string: `default`, `local`, `inherited`, `received`, `temporary`, `none`) and, if it is inherited, `inherited_from` (string).
///
/// Issues `ZFS_IOC_OBJSET_STATS`. Fails with `NOT_FOUND`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_property_list(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    properties: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(properties)?;
        let found = caller.get(zfs)?.properties(&caller.name::<EntityName>(name)?)?;
        out.list(&found)?;
    })
}

/// One property, as in `zfsvol_property_list`; an empty nvlist when the dataset does not have it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_property_get(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    property: zfsvol_str,
    found: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(found)?;
        let property = caller.text(property)?;
        let one = caller.get(zfs)?.property(&caller.name::<EntityName>(name)?, property)?;
        let list = one.map(|one| answer::list(&one)).transpose()?;
        out.give(list.unwrap_or_default());
    })
}

/// The properties that came with streams, whatever is set over them now. Keys as in `zfsvol_property_list`. Issues `ZFS_IOC_OBJSET_RECVD_PROPS`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_property_list_received(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    properties: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(properties)?;
        let found = caller.get(zfs)?.received_properties(&caller.name::<EntityName>(name)?)?;
        out.list(&found)?;
    })
}

/// Sets properties of a dataset or snapshot; values as in `zfsvol_filesystem_create`. Issues `ZFS_IOC_SET_PROP` once.
///
/// With each name that failed in the error: `INVALID_PROPERTY`, `NOT_FOUND`, `NO_SPACE` (a quota below what is used), `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_property_set(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    properties: *const zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let set = self::properties(caller, properties, PropertySet::new())?;
        caller.get(zfs)?.set_properties(&caller.name::<EntityName>(name)?, &set)?;
    })
}

/// Has a property inherited, or at its default: what was set, and what was received, is gone. Issues `ZFS_IOC_INHERIT_PROP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_property_inherit(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    property: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let property = caller.text(property)?;
        caller.get(zfs)?.inherit_property(&caller.name::<EntityName>(name)?, property)?;
    })
}

/// Has a property as it was received, if it was, and else inherited. Issues `ZFS_IOC_INHERIT_PROP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_property_revert(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    property: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let property = caller.text(property)?;
        caller.get(zfs)?.revert_property(&caller.name::<EntityName>(name)?, property)?;
    })
}

/// How many bytes of `refreservation` a zvol takes that can always be written in full: what `zfs create -V` sets, and `refreservation=auto` means. `volblocksize` 0 stands for 16 KiB, `copies` 0
/// for one. Issues `ZFS_IOC_POOL_STATS`, for the raidz and dRAID vdevs. Fails with `NOT_FOUND`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zvol_reservation(
    zfs: *const zfsvol_zfs,
    pool: zfsvol_str,
    volsize: u64,
    volblocksize: u64,
    copies: u64,
    bytes: *mut u64,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(bytes)?;
        let mut zvol = ZvolSize { volsize: Bytes::new(volsize), ..ZvolSize::default() };
        if volblocksize != 0 {
            zvol.volblocksize = Bytes::new(volblocksize);
        }
        if copies != 0 {
            zvol.copies = copies;
        }
        let pool: PoolName = caller.name(pool)?;
        out.set(caller.get(zfs)?.zvol_reservation(&pool, zvol)?.get());
    })
}

/// What is known of every property of datasets, or with `pool` of pools, whichever have it: by its name an nvlist with `kind` (string: `number`, `text`, `index`), `unit` (string, of a number: `bytes`, `hundredths`, `seconds`, `percent`, `one`), `words` (nvlist, of an index: by the word the
/// kernel's number, uint64), `access` (string: `read_only`, `set_once`, `set_once_inheritable`, `settable`, `inheritable`), `types` (string array: which have it, of `filesystem`, `volume`, `snapshot`, `bookmark`, `pool`), `since` (string, where it is
/// newer than OpenZFS 2.1: `2.2`), `visible` (boolean: whether `zfs get all` shows it), `allowed` (string: what it may be set to, in words) and, where it has one, `default` (uint64 or string) in the release that answers here. Issues nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_property_table(
    zfs: *const zfsvol_zfs,
    pool: bool,
    table: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(table)?;
        let version = &caller.get(zfs)?.module().version;
        let scope = if pool { PropertyScope::Pool } else { PropertyScope::Dataset };
        let mut list = NvList::new();
        for info in PropertyInfo::all(scope) {
            list.insert(info.name, told(info, version)?);
        }
        out.give(list);
    })
}

fn told(info: &PropertyInfo, version: &ModuleVersion) -> Result<NvList, Fault> {
    let mut list = NvList::new();
    match info.kind {
        PropertyKind::Number(unit) => {
            list.insert("kind", "number").insert("unit", answer::value(&unit)?);
        }
        PropertyKind::Index(all) => {
            let mut words = NvList::new();
            for (word, number) in all {
                words.insert(*word, *number);
            }
            list.insert("kind", "index").insert("words", words);
        }
        _ => {
            list.insert("kind", "text");
        }
    }
    let types = [
        (DatasetTypes::FILESYSTEM, "filesystem"),
        (DatasetTypes::VOLUME, "volume"),
        (DatasetTypes::SNAPSHOT, "snapshot"),
        (DatasetTypes::BOOKMARK, "bookmark"),
        (DatasetTypes::POOL, "pool"),
    ];
    let types: Vec<String> = types
        .into_iter()
        .filter(|(one, _)| info.types.contains(*one))
        .map(|(_, word)| word.to_owned())
        .collect();
    list.insert("access", answer::value(&info.access)?)
        .insert("types", types)
        .insert("visible", info.visible)
        .insert("allowed", info.allowed());
    if let Some((major, minor)) = info.since {
        list.insert("since", format!("{major}.{minor}"));
    }
    if let Some(value) = info.default_value(version) {
        list.insert("default", answer::value(&value)?);
    }
    Ok(list)
}
