"""Mounts of file systems and snapshots, in the mount namespace of the calling thread."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, List, NamedTuple, Optional

from . import _ffi, nvlist
from ._call import Name, PathName, call, flag, listed, path, sized, text
from ._ffi import MountChoice, UnmountFlags
from ._handle import Area
from ._library import lib


class Mounted(NamedTuple):
    """Where a file system is mounted, and whether it was mounted now or was before."""

    path: str
    now: bool


def _options(options: Dict[str, Any]) -> Any:
    """The fields of `zfsvol_mount_options`; True and False stand for on and off where a property is overridden."""
    fields: Dict[str, Any] = {}
    for name, value in options.items():
        if name == "at":
            fields[name] = path(value)
        elif name in ("redacted", "zoned", "no_symlinks"):
            fields[name] = bool(value)
        elif name in ("read_only", "atime", "relatime", "devices", "exec", "setuid", "overlay"):
            fields[name] = MountChoice.PROPERTY if value is None else MountChoice.ON if value else MountChoice.OFF
        else:
            raise TypeError(f"there is no mount option '{name}'")
    return ctypes.byref(sized(_ffi.zfsvol_mount_options, **fields))


class Mounts(Area):
    """Mounts: `zfs.mounts`.

    The options are `at` (a directory), `read_only`, `atime`, `relatime`, `devices`, `exec`, `setuid`, `overlay` (True or False instead of the property),
    `redacted`, `zoned`, `no_symlinks` (True to allow the first two and to refuse the last). They hold for one mount only.
    """

    def mount(self, name: Name, **options: Any) -> Mounted:
        """Mounts a file system. Linux lets only root do this. That it is mounted already is no failure.

        Raises `NotFoundError`, `WrongTypeError`, `InvalidError` (its properties say that it is not to be mounted), `KeyNotLoadedError`, `BusyError`,
        `ExistsError` (there is something in the directory), `ReadOnlyError`, `DeniedError`.
        """
        where, now = _ffi.zfsvol_buffer(), ctypes.c_bool()
        call(lib.dataset_mount, self._zfs, text(name), _options(options), ctypes.byref(where), ctypes.byref(now))
        return Mounted((nvlist.buffer_taken(where) or b"").decode("utf-8", "surrogateescape"), now.value)

    def mount_snapshot(self, snapshot: Name, directory: PathName) -> bool:
        """Mounts a snapshot read-only on a directory. Says whether it was mounted now. Raises as `mount`."""
        return flag(lib.snapshot_mount, self._zfs, text(snapshot), path(directory))

    def mount_tree(self, root: Name, **options: Any) -> Dict[str, Any]:
        """Mounts a file system and all below it that are to be mounted: `mounted`, each with `name`, `path` and `already`, and `skipped`, each with `name` and `why`.

        Raises `NotFoundError`; else as `mount` or `SeveralError`, with each that could not be mounted in `failures`; the rest is mounted then.
        """
        return listed(lib.dataset_mount_tree, self._zfs, text(root), _options(options))

    def remount(self, name: Name, **options: Any) -> None:
        """Gives what is mounted the options that its properties say by now. Raises `NotFoundError`, `BusyError`, `ReadOnlyError`, `DeniedError`."""
        call(lib.dataset_remount, self._zfs, text(name), _options(options))

    def unmount(self, name: Name, flags: UnmountFlags = UnmountFlags(0)) -> bool:
        """Unmounts a file system or snapshot wherever it is mounted, and says whether it was. Raises `BusyError`, `DeniedError`, `ReadOnlyError`."""
        return flag(lib.dataset_unmount, self._zfs, text(name), flags)

    def unmount_tree(self, root: Name, flags: UnmountFlags = UnmountFlags(0)) -> List[str]:
        """Unmounts a file system, its snapshots and all below it, the last mount first, and returns where they were. Raises as `unmount`."""
        paths: List[str] = listed(lib.dataset_unmount_tree, self._zfs, text(root), flags).get("paths", [])
        return paths

    def where(self, name: Name) -> List[str]:
        """Where a file system or snapshot is mounted now. Reads the table of mounts."""
        paths: List[str] = listed(lib.dataset_mounted_at, self._zfs, text(name)).get("paths", [])
        return paths

    def mount_path(self, name: Name) -> Optional[str]:
        """Where a file system is to be mounted, whether it is or not; None for `legacy` and `none`. Raises `NotFoundError`, `WrongTypeError`."""
        return listed(lib.dataset_mount_path, self._zfs, text(name)).get("path")
