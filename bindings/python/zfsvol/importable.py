"""Pools that are not imported."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Sequence

from ._call import PathName, listed, made, texts
from ._handle import Handle
from ._library import lib


class Importable(Handle):
    """Pools that are not imported, as they were found on devices, ordered by name and GUID. It does not change.

    Each is a dict with `name`, `guid`, `txg`, `destroyed`, `exported`, `health`, `in_use`, `unsupported_features`, `read_only_possible`, `root`, `config`.
    """

    _free = lib.importable_free

    def __len__(self) -> int:
        pointer = self._enter()
        try:
            return int(lib.importable_count(pointer))
        finally:
            self._leave()

    def __getitem__(self, index: int) -> Dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"there is no pool {index}")
        return listed(lib.importable_get, self, index)

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def missing(self, index: int) -> List[str]:
        """The files and devices of one of them that were not found or cannot be used, by the path they had. Raises `NotFoundError` beyond the last."""
        devices: List[str] = listed(lib.importable_missing, self, index).get("devices", [])
        return devices


def search(zfs: Handle, paths: Sequence[PathName], destroyed: bool) -> Importable:
    """What `zfs.pools.search` does."""
    return Importable(made(lib.importable_search, zfs, *texts([os.fsencode(one) for one in paths]), destroyed))
