"""File systems, zvols and clones."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ._call import Name, answer_text, call, flag, listed, number, props, text
from ._ffi import Tree
from ._handle import Area
from ._library import lib
from .keys import Key

Properties = Mapping[str, Any]
"""Properties by name: strings as `zfs set` takes them, numbers, or booleans for `on` and `off`."""


class Datasets(Area):
    """File systems, zvols and clones: `zfs.datasets`."""

    def create_filesystem(self, name: Name, properties: Optional[Properties] = None, *, key: Optional[Key] = None) -> None:
        """Creates a file system, with a `key` as an encryption root of its own. Issues `ZFS_IOC_CREATE`.

        Raises `ExistsError`, `NotFoundError` (the parent), `InvalidPropertyError`, `UnrelatedError` (the parent is a zvol), `NoSpaceError`,
        `QuotaExceededError`, `KeyNotLoadedError`, `DeniedError`.

            >>> import zfsvol
            >>> with zfsvol.open("embedded:") as zfs:
            ...     zfs.datasets.create_filesystem("tank/a", {"compression": "zstd", "quota": 1 << 30})
            ...     zfs.datasets.exists("tank/a")
            True
        """
        call(lib.filesystem_create, self._zfs, text(name), props(properties), key)

    def create_zvol(self, name: Name, size: int, properties: Optional[Properties] = None, *, key: Optional[Key] = None) -> None:
        """Creates a zvol of `size` bytes. Raises as `create_filesystem`, and `InvalidError` for a size that is no multiple of `volblocksize`."""
        call(lib.zvol_create, self._zfs, text(name), size, props(properties), key)

    def resize_zvol(self, name: Name, size: int) -> None:
        """Changes the size of a zvol to `size` bytes, and its reservation with it. A smaller size loses what is beyond it.

        Raises `NotFoundError`, `WrongTypeError`, `InvalidError`, `NoSpaceError`, `BusyError`.
        """
        call(lib.zvol_resize, self._zfs, text(name), size)

    def zvol_reservation(self, pool: Name, size: int, *, volblocksize: int = 0, copies: int = 0) -> int:
        """How many bytes of `refreservation` a zvol of `size` bytes takes that can always be written in full. 0 stands for 16 KiB and for one copy."""
        return number(lib.zvol_reservation, self._zfs, text(pool), size, volblocksize, copies)

    def clone(self, name: Name, origin: Name, properties: Optional[Properties] = None) -> None:
        """Creates a dataset that begins as the snapshot `origin`, and shares its space with it. Issues `ZFS_IOC_CLONE`.

        Raises `ExistsError`, `NotFoundError`, `UnrelatedError` (another pool), `InvalidPropertyError`, `QuotaExceededError`, `DeniedError`.
        """
        call(lib.clone_create, self._zfs, text(name), text(origin), props(properties))

    def promote(self, name: Name) -> None:
        """Makes a clone the owner of the snapshots it shares with its origin. Raises `NotFoundError`, `InvalidError` (no clone), `ExistsError`, `DeniedError`."""
        call(lib.dataset_promote, self._zfs, text(name))

    def rename(self, source: Name, target: Name) -> None:
        """Gives a dataset another name in the same pool. Raises `NotFoundError`, `ExistsError`, `UnrelatedError`, `BusyError`, `TooLargeError`, `DeniedError`."""
        call(lib.dataset_rename, self._zfs, text(source), text(target))

    def destroy(self, name: Name) -> None:
        """Destroys a dataset that has no snapshots and nothing below it. Raises `NotFoundError`; `BusyError`, whose `busy` says by what."""
        call(lib.dataset_destroy, self._zfs, text(name))

    def destroy_tree(self, root: Name) -> Tree:
        """Destroys a dataset with everything below it and all snapshots: all or nothing where it can. Says which. Raises `BusyError`."""
        from ctypes import byref, c_uint32

        how = c_uint32()
        call(lib.dataset_destroy_recursive, self._zfs, text(root), byref(how))
        return Tree(how.value)

    def rollback(self, name: Name) -> str:
        """Makes a dataset what its newest snapshot is, and returns that one's name. What was written since is lost. Raises `NotFoundError`, `BusyError`, `DeniedError`."""
        return answer_text(lib.dataset_rollback, self._zfs, text(name)) or ""

    def rollback_to(self, snapshot: Name) -> None:
        """The same to that snapshot, which must be the newest: `BusyError`, with the newer ones, if it is not."""
        call(lib.dataset_rollback_to, self._zfs, text(snapshot))

    def exists(self, name: Name) -> bool:
        """Whether a dataset, snapshot or bookmark is there."""
        return flag(lib.dataset_exists, self._zfs, text(name))

    def busy(self, name: Name) -> List[Dict[str, Any]]:
        """What keeps a dataset or snapshot busy: for each reason `why` and `names`, as `Error.busy`."""
        found: List[Dict[str, Any]] = listed(lib.dataset_busy, self._zfs, text(name)).get("busy", [])
        return found

    def wait_deletequeue(self, name: Name) -> bool:
        """Waits until a file system has freed its removed files, and says whether there was anything to wait for. Raises `NotFoundError`, `CancelledError`."""
        return flag(lib.dataset_wait_deletequeue, self._zfs, text(name))

    def object_path(self, name: Name, object_number: int) -> str:
        """The path of an inode number in a snapshot or an unmounted file system, from its root. Raises `NotFoundError`, `WrongTypeError`, `KeyNotLoadedError`."""
        return answer_text(lib.object_path, self._zfs, text(name), object_number) or ""
