"""Holds, which keep snapshots from being destroyed."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional, Tuple

from . import _ffi
from ._call import Name, listed, made, text
from ._handle import Area, Handle
from ._library import lib


class Cleanup(Handle):
    """A descriptor of one's own to the kernel: holds that are made with it end when it is closed, or when the process ends."""

    _free = lib.handle_free


class Holds(Area):
    """Holds: `zfs.holds`. Each is a pair of a snapshot and a tag of at most 255 bytes."""

    def create(self, holds: Iterable[Tuple[Name, Name]], *, cleanup: Optional[Cleanup] = None) -> List[str]:
        """Holds snapshots, all in one transaction group or none; with a `cleanup` for a while. Returns the snapshots that are not there.

        With each name that failed in `failures`: `ExistsError` (the tag), `UnrelatedError` (two pools), `InvalidError`, `TooLargeError`, `DeniedError`.

            >>> import zfsvol
            >>> with zfsvol.open("embedded:") as zfs:
            ...     zfs.snapshots.create("tank@a")
            ...     zfs.holds.create([("tank@a", "backup"), ("tank@none", "backup")])
            ...     list(zfs.holds.list("tank@a"))
            ['tank@none']
            ['backup']
        """
        array, count = _array(holds)
        missing: List[str] = listed(lib.hold_create, self._zfs, array, count, cleanup).get("snapshots", [])
        return missing

    def release(self, holds: Iterable[Tuple[Name, Name]]) -> List[str]:
        """Releases holds, all in one transaction group or none. Returns the snapshots that are not there, or do not have a hold of that tag."""
        array, count = _array(holds)
        missing: List[str] = listed(lib.hold_release, self._zfs, array, count).get("snapshots", [])
        return missing

    def list(self, snapshot: Name) -> Dict[str, int]:
        """The holds of a snapshot: since when, in seconds since 1970, by their tags."""
        return {hold["tag"]: hold["since"] for hold in listed(lib.hold_list, self._zfs, text(snapshot)).get("holds", [])}

    def cleanup(self) -> Cleanup:
        """Opens a descriptor for temporary holds."""
        return Cleanup(made(lib.handle_open, self._zfs))


def _array(holds: Iterable[Tuple[Name, Name]]) -> Tuple[Any, int]:
    several = [_ffi.zfsvol_hold(snapshot=text(snapshot), tag=text(tag)) for snapshot, tag in holds]
    return (_ffi.zfsvol_hold * len(several))(*several), len(several)
