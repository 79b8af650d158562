"""The devices of pools."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, Iterable

from . import _ffi
from ._call import Name, PathName, call, listed, path, sized, text
from ._ffi import Initialize, Offline, Trim
from ._handle import Area
from ._library import lib
from .topology import Topology


class Vdevs(Area):
    """The devices of pools, which are named by their GUIDs: `zfs.vdevs`."""

    def add(self, pool: Name, topology: Topology, *, force: bool = False) -> None:
        """Adds vdevs, spares or cache devices to a pool. Raises `NotFoundError`, `BusyError`, `InvalidError` (they do not go with the pool's), `DeniedError`."""
        call(lib.vdev_add, self._zfs, text(pool), topology, force)

    def attach(self, pool: Name, to: int, device: PathName, *, ashift: int = 0, sequential: bool = False, force: bool = False) -> None:
        """Makes a device part of the vdev `to`. The data is copied in the background: `zfs.pools.wait`.

        Raises `NotFoundError`, `InvalidError` (it takes no more, or the device is too small), `BusyError`, `InProgressError`, `DeniedError`.
        """
        call(lib.vdev_attach, self._zfs, text(pool), to, _new_device(device, ashift, sequential, force))

    def replace(self, pool: Name, old: int, device: PathName, *, ashift: int = 0, sequential: bool = False, force: bool = False) -> None:
        """Puts a device in the place of another, which is detached once the data is copied. Raises as `attach`."""
        call(lib.vdev_replace, self._zfs, text(pool), old, _new_device(device, ashift, sequential, force))

    def detach(self, pool: Name, vdev: int) -> None:
        """Takes a device out of a mirror. Raises `NotFoundError`, `InvalidError` (it is in no mirror), `BusyError`, `DeniedError`."""
        call(lib.vdev_detach, self._zfs, text(pool), vdev)

    def remove(self, pool: Name, vdev: int) -> None:
        """Removes a top-level vdev, a spare or a cache device. Data is copied to the others in the background. Raises `NoSpaceError`, `InvalidError` and others."""
        call(lib.vdev_remove, self._zfs, text(pool), vdev)

    def cancel_removal(self, pool: Name) -> None:
        """Stops the removal that is going on. Raises `NotFoundError` when nothing is being removed."""
        call(lib.vdev_cancel_removal, self._zfs, text(pool))

    def online(self, pool: Name, vdev: int, *, expand: bool = False) -> str:
        """Brings a device back into use, and with `expand` uses all of its size. Returns its state, which is not `online` when it cannot be opened."""
        return str(listed(lib.vdev_online, self._zfs, text(pool), vdev, expand).get("state", ""))

    def offline(self, pool: Name, vdev: int, how: Offline = Offline.PERSISTENT) -> None:
        """Takes a device out of use. Raises `NotFoundError`, `BusyError` (the pool cannot do without it), `InvalidError`, `DeniedError`."""
        call(lib.vdev_offline, self._zfs, text(pool), vdev, how)

    def set_path(self, pool: Name, vdev: int, new: PathName) -> None:
        """Tells a pool under which path to look for a device the next time it opens it."""
        call(lib.vdev_set_path, self._zfs, text(pool), vdev, path(new))

    def properties(self, pool: Name, vdev: int) -> Dict[str, Dict[str, Any]]:
        """The properties of a vdev. Raises `NotFoundError`, `UnsupportedError` (before OpenZFS 2.2)."""
        return listed(lib.vdev_properties, self._zfs, text(pool), vdev)

    def set_property(self, pool: Name, vdev: int, name: Name, value: Name) -> None:
        """Sets a property of a vdev; an empty value removes a user property. Raises `InvalidPropertyError`, `ReadOnlyError`, `UnsupportedError`."""
        call(lib.vdev_set_property, self._zfs, text(pool), vdev, text(name), text(value))

    def initialize(self, pool: Name, vdevs: Iterable[int], what: Initialize = Initialize.START) -> None:
        """Begins or stops writing to all free space of devices. With each device that failed in `failures`: `InProgressError`, `NotFoundError`, `InvalidError`."""
        call(lib.vdev_initialize, self._zfs, text(pool), *_numbers(vdevs), what)

    def trim(self, pool: Name, vdevs: Iterable[int], what: Trim = Trim.START, *, bytes_per_second: int = 0, secure: bool = False) -> None:
        """Begins or stops trimming devices, at so many bytes a second for each; 0 for as fast as it goes. Raises as `initialize`, and `FeatureDisabledError`."""
        options = sized(_ffi.zfsvol_trim_options, bytes_per_second=bytes_per_second, secure=secure)
        call(lib.vdev_trim, self._zfs, text(pool), *_numbers(vdevs), what, ctypes.byref(options))


def _new_device(device: PathName, ashift: int, sequential: bool, force: bool) -> Any:
    return ctypes.byref(sized(_ffi.zfsvol_new_device, path=path(device), ashift=ashift, sequential=sequential, force=force))


def _numbers(values: Iterable[int]) -> "tuple[Any, int]":
    several = list(values)
    return (ctypes.c_uint64 * len(several))(*several), len(several)
