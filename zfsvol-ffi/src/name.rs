//! Names, taken apart by the rules of the kernel.

use zfsvol_core::EntityName;
use zfsvol_core::nvlist::NvList;

use crate::error::zfsvol_error;
use crate::nvlist::zfsvol_nvlist;
use crate::status::zfsvol_status;
use crate::view::zfsvol_str;

/// What the name of a dataset, snapshot or bookmark consists of: `kind` (string: `dataset`, `snapshot`, `bookmark`), `pool`, `dataset` (string), `parent` (string, but for a pool's root), `snapshot` or `bookmark` (string: what follows `@` or `#`), `depth` (uint64:
/// how many slashes there are). Asks no kernel: nothing of that name need be there. `parts` (NULL if it does not matter).
///
/// Fails with `INVALID_NAME`, and says why the kernel would refuse it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zfsvol_name_parse(
    name: zfsvol_str,
    parts: *mut *mut zfsvol_nvlist,
    error: *mut *mut zfsvol_error,
) -> zfsvol_status {
    boundary!(error, |caller| {
        let out = caller.optional_out(parts)?;
        let name: EntityName = caller.name(name)?;
        let mut list = NvList::new();
        match &name {
            EntityName::Dataset(_) => list.insert("kind", "dataset"),
            EntityName::Snapshot(name) => {
                list.insert("kind", "snapshot").insert("snapshot", name.snapshot())
            }
            EntityName::Bookmark(name) => {
                list.insert("kind", "bookmark").insert("bookmark", name.bookmark())
            }
        };
        let dataset = name.dataset();
        list.insert("dataset", dataset.as_str())
            .insert("pool", dataset.pool().as_str())
            .insert("depth", dataset.depth() as u64);
        if let Some(parent) = dataset.parent() {
            list.insert("parent", parent.as_str());
        }
        if out.is_wanted() {
            out.give(list);
        }
    })
}
