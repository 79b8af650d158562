//! Many volumes at once, in as few transaction groups as the kernel allows, each with its own result.

use std::num::NonZeroUsize;

use serde::Serialize;
use zfsvol_core::nvlist::{NvList, Value};
use zfsvol_core::volume::{Batch, VolumeName, VolumeSpec};

use crate::answer;
use crate::boundary::Caller;
use crate::error::{Fault, details, zfsvol_error};
use crate::node::{spec_of, volume, zfsvol_node, zfsvol_volume_spec};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;

/// Creates volumes: `zfsvol_volume_create` for each, many at the same time. `specs` are as many pointers as there are names; it may be NULL, and so may be each.
/// `threads` is how many calls are made at once; 0 for 32.
///
/// `results`: nvlist array `results`, one for each name in their order, with `name` (string) and either `info` (nvlist, as `zfsvol_volume_get` gives it) or `error` (nvlist, as of `zfsvol_error_details`); and
/// `failed` (uint64), how many failed. That some failed is no failure of the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volumes_create(
    node: *const zfsvol_node,
    names: *const zfsvol_str,
    specs: *const *const zfsvol_volume_spec,
    count: usize,
    threads: usize,
    results: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(results)?;
        let names = volumes(caller, names, count)?;
        let specs: Vec<VolumeSpec> = if specs.is_null() {
            names.iter().map(|_| VolumeSpec::file_system()).collect()
        } else {
            let specs = caller.array(specs, count)?.iter();
            specs.map(|spec| spec_of(caller, *spec)).collect::<Result<_, Fault>>()?
        };
        let items: Vec<(VolumeName, VolumeSpec)> = names.iter().cloned().zip(specs).collect();
        let made = batch(caller, node, threads)?.create(&items);
        out.give(report(&names, made, "info")?);
    })
}

/// A clone to be made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_volume_copy {
    /// The volume it begins as.
    pub from: zfsvol_str,
    /// The snapshot of it; `ZFSVOL_NONE` for how it is now.
    pub snapshot: zfsvol_str,
    /// The new volume.
    pub to: zfsvol_str,
}

/// Clones volumes: `zfsvol_volume_clone` for each, many at the same time. `threads` and `results` as in `zfsvol_volumes_create`; `name` is that of the new volume.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volumes_clone(
    node: *const zfsvol_node,
    copies: *const zfsvol_volume_copy,
    count: usize,
    threads: usize,
    results: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(results)?;
        let mut items = Vec::with_capacity(count.min(1 << 16));
        for copy in caller.array(copies, count)? {
            let snapshot = caller.optional_text(copy.snapshot)?.map(str::to_owned);
            items.push((volume(caller, copy.from)?, snapshot, volume(caller, copy.to)?));
        }
        let names: Vec<VolumeName> = items.iter().map(|(_, _, to)| to.clone()).collect();
        let made = batch(caller, node, threads)?.clone_volumes(&items);
        out.give(report(&names, made, "info")?);
    })
}

/// Destroys volumes with their snapshots: `zfsvol_volume_destroy` for each, many at the same time. `threads` and `results` as in `zfsvol_volumes_create`, with `destroyed` (boolean) in the place of `info`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volumes_destroy(
    node: *const zfsvol_node,
    names: *const zfsvol_str,
    count: usize,
    threads: usize,
    results: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(results)?;
        let names = volumes(caller, names, count)?;
        let gone = batch(caller, node, threads)?.destroy(&names);
        out.give(report(&names, gone, "destroyed")?);
    })
}

/// Takes a snapshot of that name of each volume: all that can be taken in one transaction group, so of one moment. `threads` and `results` as in `zfsvol_volumes_create`, with `taken` (boolean) in the place of `info`. Issues `ZFS_IOC_SNAPSHOT`
/// once, and once more after failures.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_volumes_snapshot(
    node: *const zfsvol_node,
    names: *const zfsvol_str,
    count: usize,
    snapshot: zfsvol_str,
    threads: usize,
    results: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(results)?;
        let names = volumes(caller, names, count)?;
        let taken = batch(caller, node, threads)?.snapshot(&names, caller.text(snapshot)?);
        let taken = taken.into_iter().map(|one| one.map(|()| true)).collect();
        out.give(report(&names, taken, "taken")?);
    })
}

fn batch<'a>(
    caller: &'a Caller,
    node: *const zfsvol_node,
    threads: usize,
) -> Result<Batch<'a>, Fault> {
    let batch = caller.get(node)?.batch();
    Ok(match NonZeroUsize::new(threads) {
        Some(threads) => batch.threads(threads),
        None => batch,
    })
}

fn volumes(
    caller: &Caller,
    names: *const zfsvol_str,
    count: usize,
) -> Result<Vec<VolumeName>, Fault> {
    caller.array(names, count)?.iter().map(|name| volume(caller, *name)).collect()
}

/// What became of each name: the answer under `key`, or the error.
fn report<T: Serialize>(
    names: &[VolumeName],
    results: Vec<zfsvol_core::Result<T>>,
    key: &str,
) -> Result<NvList, Fault> {
    let mut failed = 0_u64;
    let mut all = Vec::with_capacity(names.len());
    for (name, result) in names.iter().zip(results) {
        let mut one = NvList::new();
        one.insert("name", name.as_str());
        match result {
            Ok(answer) => one.insert(key, answer::value(&answer)?),
            Err(error) => {
                failed += 1;
                one.insert("error", details(error.into()))
            }
        };
        all.push(one);
    }
    let mut list = answer::lists("results", all);
    list.insert("failed", Value::Uint64(failed));
    Ok(list)
}
