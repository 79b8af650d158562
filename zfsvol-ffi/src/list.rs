//! [`zfsvol_listing`]: datasets, snapshots and bookmarks, one after the other.

use std::num::NonZeroUsize;

use zfsvol_core::property::DatasetTypes;
use zfsvol_core::zfs::{List, Listing, Names};
use zfsvol_core::{DatasetName, EntityName};

use crate::boundary::{Caller, Growing};
use crate::error::{Fault, zfsvol_error};
use crate::handle::{Object, Slot};
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::{zfsvol_buffer, zfsvol_str};
use crate::zfs::zfsvol_zfs;

/// Kinds of dataset, added up: `ZFSVOL_KIND_...`, OpenZFS's own bits of `zfs_type_t`.
pub type zfsvol_kind = u32;

/// A file system.
pub const ZFSVOL_KIND_FILESYSTEM: zfsvol_kind = 1;
/// A snapshot.
pub const ZFSVOL_KIND_SNAPSHOT: zfsvol_kind = 2;
/// A zvol.
pub const ZFSVOL_KIND_VOLUME: zfsvol_kind = 4;
/// A bookmark.
pub const ZFSVOL_KIND_BOOKMARK: zfsvol_kind = 16;

/// What to list. All zeros: the file systems and zvols of all imported pools, at every depth, without properties.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zfsvol_list_options {
    /// `sizeof(zfsvol_list_options)`.
    pub size: usize,
    /// Only these datasets and what is below them.
    pub roots: *const zfsvol_str,
    /// How many roots there are. With `roots` and none of them, nothing is listed.
    pub root_count: usize,
    /// Only these kinds; 0 for file systems and zvols.
    pub kinds: zfsvol_kind,
    /// Whether `depth` counts.
    pub limit_depth: bool,
    /// With all properties.
    pub all_properties: bool,
    /// Only so many levels below each root: 0 for the roots alone, with their snapshots and bookmarks.
    pub depth: u64,
    /// With these properties, as far as each dataset has them.
    pub properties: *const zfsvol_str,
    /// How many names of properties there are.
    pub property_count: usize,
    /// From how many threads the kernel is asked; 0 for what fits the machine.
    pub threads: usize,
}

// SAFETY: `repr(C)` with the size first; numbers, pointers and C's `bool`s, which zeros are too.
unsafe impl Growing for zfsvol_list_options {
    const NAME: &'static str = "zfsvol_list_options";
}

/// A listing that is being read. By one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_listing {
    _private: [u8; 0],
}

impl Object for zfsvol_listing {
    type Value = Slot<Listing>;
    const NAME: &'static str = "zfsvol_listing";
}

/// A listing of names that is being read. By one thread at a time; others wait.
#[derive(Debug)]
pub struct zfsvol_names {
    _private: [u8; 0],
}

impl Object for zfsvol_names {
    type Value = Slot<Names>;
    const NAME: &'static str = "zfsvol_names";
}

/// Starts a listing. Nothing fails yet: what goes wrong, `zfsvol_listing_next` tells.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_listing_open(
    zfs: *const zfsvol_zfs,
    options: *const zfsvol_list_options,
    listing: *mut *mut zfsvol_listing,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(listing)?;
        let what = list_of(caller, options)?;
        out.give(Slot::new(caller.get(zfs)?.list(&what)));
    })
}

/// The next dataset, or NULL when there is none any more: `name`, `kind` (`filesystem`, `volume`, `snapshot`, `bookmark`), `guid`, `createtxg` (uint64), `origin` (string, of a
/// clone) and `properties` (nvlist, as in `zfsvol_property_list`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_listing_next(
    listing: *const zfsvol_listing,
    dataset: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(dataset)?;
        out.next(caller.get(listing)?.with(Iterator::next)?.transpose()?.as_ref())?;
    })
}

/// Frees a listing, read to its end or not. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_listing_free(listing: *mut zfsvol_listing) {
    boundary!(or(), |caller| caller.free(listing)?);
}

/// Starts a listing of names, which asks the kernel less. Options about properties mean nothing to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_names_open(
    zfs: *const zfsvol_zfs,
    options: *const zfsvol_list_options,
    names: *mut *mut zfsvol_names,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(names)?;
        let what = list_of(caller, options)?;
        out.give(Slot::new(caller.get(zfs)?.list_names(&what)));
    })
}

/// The next name, to be freed with `zfsvol_buffer_free`; a NULL pointer when there is none any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_names_next(
    names: *const zfsvol_names,
    name: *mut zfsvol_buffer,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.out(name)?;
        let next = caller.get(names)?.with(Iterator::next)?.transpose()?;
        out.optional_bytes(next.as_ref().map(EntityName::as_str));
    })
}

/// Frees a listing of names. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_names_free(names: *mut zfsvol_names) {
    boundary!(or(), |caller| caller.free(names)?);
}

fn list_of(caller: &Caller, options: *const zfsvol_list_options) -> Result<List, Fault> {
    let options = caller.options(options)?;
    let mut list = if options.roots.is_null() {
        List::all_pools()
    } else {
        List::from_roots(caller.names::<DatasetName>(options.roots, options.root_count)?)
    };
    if options.kinds != 0 {
        let kinds = DatasetTypes::from_bits(options.kinds);
        list = list.types(kinds.ok_or_else(|| Fault::unknown("kind of dataset", options.kinds))?);
    }
    if options.limit_depth {
        list = list.depth(usize::try_from(options.depth).unwrap_or(usize::MAX));
    }
    if let Some(threads) = NonZeroUsize::new(options.threads) {
        list = list.threads(threads);
    }
    let wanted = caller.texts(options.properties, options.property_count)?;
    Ok(match (options.all_properties, wanted.is_empty()) {
        (true, _) => list.all_properties(),
        (false, false) => list.properties(wanted),
        (false, true) => list,
    })
}
