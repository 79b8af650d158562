"""Holds, which keep snapshots from being destroyed."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from . import _ffi
from ._call import Name, listed, made, text
from ._handle import Area, Handle
from ._library import lib


class Cleanup(Handle):
    """A descriptor of one's own to the kernel: holds that are made with it end when it is closed, or when the process ends."""

    _free = lib.handle_free


class MissingHold(NamedTuple):
    """A hold that was to be released, and is not there."""

    snapshot: str
    tag: str
    snapshot_exists: bool
    """Whether the snapshot is there, and only that hold of it is not."""


class Holds(Area):
    """Holds: `zfs.holds`. Each is a pair of a snapshot and a tag of at most 255 bytes."""

    def create(self, holds: Iterable[Tuple[Name, Name]], *, cleanup: Optional[Cleanup] = None) -> List[str]:
        """Holds snapshots, all in one transaction group or none; with a `cleanup` for a while. Returns the snapshots that are not there.

        With each name that failed in `failures`, and the tag in its reason: `ExistsError` (the tag), `UnrelatedError` (two pools), `InvalidError` (a snapshot is named
        twice), `InvalidNameError` (the length of the tag), `DeniedError`.

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

    def release(self, holds: Iterable[Tuple[Name, Name]]) -> List[MissingHold]:
        """Releases holds, all in one transaction group or none. Returns those that are not there, in the order in which they were given.

        With each snapshot that failed in `failures`, and its tags in the reason: `UnrelatedError` (two pools), `DeniedError`.
        """
        array, count = _array(holds)
        missing = listed(lib.hold_release, self._zfs, array, count).get("holds", [])
        return [MissingHold(one["snapshot"], one["tag"], one["snapshot_exists"]) for one in missing]

    def list(self, snapshot: Name) -> Dict[str, int]:
        """The holds of a snapshot: since when, in seconds since 1970, by their tags."""
        return {hold["tag"]: hold["since"] for hold in listed(lib.hold_list, self._zfs, text(snapshot)).get("holds", [])}

    def cleanup(self) -> Cleanup:
        """Opens a descriptor for temporary holds."""
        return Cleanup(made(lib.handle_open, self._zfs))


def _array(holds: Iterable[Tuple[Name, Name]]) -> Tuple[Any, int]:
    several = [_ffi.zfsvol_hold(snapshot=text(snapshot), tag=text(tag)) for snapshot, tag in holds]
    return (_ffi.zfsvol_hold * len(several))(*several), len(several)
