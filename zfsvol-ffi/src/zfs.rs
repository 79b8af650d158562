//! [`zfsvol_zfs`]: OpenZFS behind a door.

use zfsvol_core::Zfs;
use zfsvol_core::nvlist::{NvList, Value};

use crate::error::zfsvol_error;
use crate::handle::Object;
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;

/// OpenZFS, or a kernel in this process that answers as OpenZFS does: what operations are done with.
///
/// Can be used by any number of threads at once. Objects that were made with it keep what they need of it, so it can be freed before them.
#[derive(Debug)]
pub struct zfsvol_zfs {
    _private: [u8; 0],
}

impl Object for zfsvol_zfs {
    type Value = Zfs;
    const NAME: &'static str = "zfsvol_zfs";
}

/// Opens the kernel that a URI names: `zfs:` is the OpenZFS module of this machine (`zfs:/some/device` by another device node than `/dev/zfs`), `embedded:` a new kernel in this process with one empty pool `tank`, which
/// needs neither root nor ZFS, and `embedded:/some/directory` the same with its state kept there: see `zfsvol_zfs_open_embedded`, which makes one to measure. Free it with `zfsvol_zfs_free`.
///
/// Fails with `INVALID` for any other, `NO_MODULE` when there is no `/dev/zfs`, `UNSUPPORTED` when the module is older than 2.1, `DENIED`, and for a directory as `zfsvol_zfs_open_embedded`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zfs_open(
    uri: zfsvol_str,
    zfs: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(zfs)?;
        out.give(Zfs::open_uri(caller.text(uri)?)?);
    })
}

/// Another handle of the same kernel: what one changes, the other sees.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zfs_clone(
    zfs: *const zfsvol_zfs,
    clone: *mut *mut zfsvol_zfs,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(clone)?;
        out.give(caller.get(zfs)?.clone());
    })
}

/// Frees the handle. An embedded kernel ends with the last thing that uses it. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zfs_free(zfs: *mut zfsvol_zfs) {
    boundary!(or(), |caller| caller.free(zfs)?);
}

/// Which OpenZFS answers: `version` (string), `major`, `minor`, `patch` (uint32), and what it can do (string arrays): `kernel_features`, `pool_features`,
/// `dataset_properties`, `pool_properties`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_zfs_module(
    zfs: *const zfsvol_zfs,
    module: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(module)?;
        let found = caller.get(zfs)?.module();
        let (major, minor, patch) = found.version.numbers();
        let mut list = NvList::new();
        list.insert("version", found.version.to_string())
            .insert("major", major)
            .insert("minor", minor)
            .insert("patch", patch);
        for (name, words) in [
            ("kernel_features", &found.kernel_features),
            ("pool_features", &found.pool_features),
            ("dataset_properties", &found.dataset_properties),
            ("pool_properties", &found.pool_properties),
        ] {
            list.insert(name, Value::from(words.iter().cloned().collect::<Vec<String>>()));
        }
        out.give(list);
    })
}
