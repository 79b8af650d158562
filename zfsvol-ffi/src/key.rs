//! Keys of encrypted datasets.

use zfsvol_core::property::PropertySet;
use zfsvol_core::zfs::{Key, KeyChange};

use crate::error::{Fault, zfsvol_error};
use crate::handle::Object;
use crate::nvlist::{properties, zfsvol_nvlist};
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;
use crate::zfs::zfsvol_zfs;

/// The key of an encrypted dataset. Wiped from memory when it is freed.
#[derive(Debug)]
pub struct zfsvol_key {
    _private: [u8; 0],
}

impl Object for zfsvol_key {
    type Value = Key;
    const NAME: &'static str = "zfsvol_key";
}

/// A key of 32 bytes, `keyformat=raw`. Fails with `INVALID` for any other length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_key_raw(
    bytes: *const u8,
    len: usize,
    key: *mut *mut zfsvol_key,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(key)?;
        let bytes: [u8; 32] = caller
            .bytes(bytes, len)?
            .try_into()
            .map_err(|_| Fault::invalid("make the key", "a raw key has 32 bytes"))?;
        out.give(Key::raw(bytes));
    })
}

/// A key of 64 hexadecimal digits, `keyformat=hex`. Fails with `INVALID` for anything else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_key_hex(
    digits: zfsvol_str,
    key: *mut *mut zfsvol_key,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(key)?;
        out.give(Key::hex(caller.text(digits)?)?);
    })
}

/// A passphrase of 8 to 512 bytes, `keyformat=passphrase`. Each use of it takes a fraction of a second, on purpose.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_key_passphrase(
    text: zfsvol_str,
    key: *mut *mut zfsvol_key,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(key)?;
        out.give(Key::passphrase(caller.text(text)?)?);
    })
}

/// Frees a key. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_key_free(key: *mut zfsvol_key) {
    boundary!(or(), |caller| caller.free(key)?);
}

/// Loads the key of an encryption root. Issues `ZFS_IOC_LOAD_KEY`; nothing changes on disk.
///
/// Fails with `WRONG_KEY`, `EXISTS` (it is loaded), `INVALID` (no encryption root, or another format), `NOT_FOUND`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_key_load(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    key: *const zfsvol_key,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(zfs)?.load_key(&caller.name(root)?, caller.get(key)?)?;
    })
}

/// Whether the key opens the encryption root: as `zfsvol_key_load`, without loading it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_key_check(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    key: *const zfsvol_key,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        caller.get(zfs)?.check_key(&caller.name(root)?, caller.get(key)?)?;
    })
}

/// Unloads the key of an encryption root. Issues `ZFS_IOC_UNLOAD_KEY`. Fails with `BUSY` while something of it is mounted or open, `KEY_NOT_LOADED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_key_unload(
    zfs: *const zfsvol_zfs,
    root: zfsvol_str,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| caller.get(zfs)?.unload_key(&caller.name(root)?)?)
}

/// Wraps the key of a dataset by another one, or with NULL by its parent's. `properties` can be `keylocation`, `pbkdf2iters` (NULL for none). Issues `ZFS_IOC_CHANGE_KEY`.
///
/// Fails with `KEY_NOT_LOADED`, `INVALID`, `NOT_FOUND`, `DENIED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_key_change(
    zfs: *const zfsvol_zfs,
    name: zfsvol_str,
    key: *const zfsvol_key,
    properties: *const zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let set = self::properties(caller, properties, PropertySet::new())?;
        let change = match caller.get_optional(key)? {
            Some(key) => KeyChange::New(key.clone()),
            None => KeyChange::Inherit,
        };
        caller.get(zfs)?.change_key(&caller.name(name)?, &change, &set)?;
    })
}
