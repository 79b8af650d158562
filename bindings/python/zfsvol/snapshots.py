"""Snapshots."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ._call import Name, Names, answer_text, call, listed, props, text, texts
from ._handle import Area
from ._library import lib


class Snapshots(Area):
    """Snapshots: `zfs.snapshots`."""

    def create(self, names: Names, properties: Optional[Mapping[str, Any]] = None) -> None:
        """Takes snapshots, all in one transaction group or none. Issues `ZFS_IOC_SNAPSHOT` once.

        With each name that failed in `failures`: `ExistsError`, `NotFoundError` (the dataset), `UnrelatedError` (two pools, or two of one dataset),
        `NoSpaceError`, `QuotaExceededError`, `DeniedError`.

            >>> import zfsvol
            >>> with zfsvol.open("embedded:") as zfs:
            ...     zfs.snapshots.create(["tank@monday"])
            ...     try:
            ...         zfs.snapshots.create("tank@monday")
            ...     except zfsvol.ExistsError as error:
            ...         [failure.name for failure in error.failures]
            ['tank@monday']
        """
        call(lib.snapshot_create, self._zfs, *texts(names), props(properties))

    def create_tree(self, root: Name, snapshot: Name, properties: Optional[Mapping[str, Any]] = None) -> List[str]:
        """Takes a snapshot of that name (what follows the `@`) of a dataset and of everything below it, in one transaction group. Returns the names made."""
        made: List[str] = listed(lib.snapshot_create_recursive, self._zfs, text(root), text(snapshot), props(properties)).get("snapshots", [])
        return made

    def destroy(self, names: Names, *, deferred: bool = False) -> None:
        """Destroys snapshots, all or none; those that are not there are passed over. `deferred` marks those that are held or cloned to go later.

        With each name that failed in `failures`, and by what it is kept busy: `BusyError`, `UnrelatedError` (two pools), `DeniedError`.
        """
        call(lib.snapshot_destroy, self._zfs, *texts(names), deferred)

    def destroy_tree(self, root: Name, snapshot: Name, *, deferred: bool = False) -> None:
        """Destroys the snapshots of that name of a dataset and of everything below it, as `destroy` does."""
        call(lib.snapshot_destroy_recursive, self._zfs, text(root), text(snapshot), deferred)

    def rename(self, source: Name, target: Name, *, recursive: bool = False) -> str:
        """Gives a snapshot another name (what follows the `@`) and returns the full one. Raises `NotFoundError`, `ExistsError`, `DeniedError`."""
        return answer_text(lib.snapshot_rename, self._zfs, text(source), text(target), recursive) or ""

    def range_space(self, first: Name, last: Name) -> Dict[str, int]:
        """What destroying all snapshots from `first` to `last` of one dataset would free: `used`, `compressed`, `uncompressed`, in bytes."""
        return listed(lib.snapshot_range_space, self._zfs, text(first), text(last))

    def space_written(self, what: Name, since: Name) -> Dict[str, int]:
        """What was written to a dataset or snapshot since an earlier snapshot or bookmark of it. Keys as in `range_space`."""
        return listed(lib.snapshot_space_written, self._zfs, text(what), text(since))
