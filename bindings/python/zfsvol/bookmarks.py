"""Bookmarks: what increments can start from without the snapshot."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from . import _ffi
from ._call import Name, Names, call, listed, text, texts
from ._handle import Area
from ._library import lib


class Bookmarks(Area):
    """Bookmarks: `zfs.bookmarks`."""

    def create(self, bookmarks: Mapping[Any, Name]) -> None:
        """Makes bookmarks (`tank/a#b`) of snapshots or bookmarks, all in one transaction group or none. Issues `ZFS_IOC_BOOKMARK` once.

        With each name that failed in `failures`: `ExistsError`, `NotFoundError` (the source), `UnrelatedError`, `FeatureDisabledError`, `InvalidError`, `DeniedError`.
        """
        several = [_ffi.zfsvol_bookmark(name=text(name), source=text(source)) for name, source in bookmarks.items()]
        call(lib.bookmark_create, self._zfs, (_ffi.zfsvol_bookmark * len(several))(*several), len(several))

    def list(self, dataset: Name) -> List[Dict[str, Any]]:
        """The bookmarks of a dataset, each with `name`, `guid`, `createtxg`, `creation` (seconds since 1970), and what else there is."""
        found: List[Dict[str, Any]] = listed(lib.bookmark_list, self._zfs, text(dataset)).get("bookmarks", [])
        return found

    def get(self, name: Name) -> Dict[str, Any]:
        """One bookmark, with keys as in `list`. Raises `NotFoundError`."""
        return listed(lib.bookmark_get, self._zfs, text(name))

    def destroy(self, names: Names) -> None:
        """Destroys bookmarks, all in one transaction group or none; those that are not there are passed over."""
        call(lib.bookmark_destroy, self._zfs, *texts(names))

    def redact(self, snapshot: Name, bookmark: Name, by: Names) -> None:
        """Makes a redaction bookmark, `tank/a#b`, of a snapshot: what the clones' snapshots in `by` changed is left out of streams that are sent with it."""
        call(lib.bookmark_redact, self._zfs, text(snapshot), text(bookmark), *texts(by))
