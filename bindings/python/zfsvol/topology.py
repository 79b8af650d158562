"""The vdevs of a pool that is to be created, or of those to be added to one."""

from __future__ import annotations

import ctypes
import os
from typing import Iterable

from . import _ffi
from ._call import PathName, call, made, sized, texts
from ._ffi import Class, Redundancy
from ._handle import Handle
from ._library import lib


class Topology(Handle):
    """Vdevs, spares and cache devices. The methods return the object, so that they can be chained: `Topology().mirror("/dev/a", "/dev/b").spares("/dev/c")`.

    `ashift` says sectors of 2 to the power of so many bytes, 9 to 16, where a vdev does not say otherwise; 0 stands for what the devices say.
    """

    _free = lib.topology_free

    def __init__(self, *, ashift: int = 0) -> None:
        super().__init__(made(lib.topology_new, ashift))

    def vdev(
        self,
        *devices: PathName,
        redundancy: Redundancy = Redundancy.NONE,
        parity: int = 0,
        allocation_class: Class = Class.NORMAL,
        ashift: int = 0,
        draid_data: int = 0,
        draid_spares: int = 0,
    ) -> "Topology":
        """Adds a top-level vdev of files or devices, by their absolute paths. Whether there can be such a one is told when the topology is used."""
        array, count = texts([os.fsencode(device) for device in devices])
        spec = sized(
            _ffi.zfsvol_vdev_spec,
            devices=array,
            device_count=count,
            redundancy=redundancy,
            allocation_class=allocation_class,
            parity=parity,
            ashift=ashift,
            draid_data=draid_data,
            draid_spares=draid_spares,
        )
        call(lib.topology_add_vdev, self, ctypes.byref(spec))
        return self

    def disk(self, device: PathName) -> "Topology":
        """Adds a vdev of one device."""
        return self.vdev(device)

    def mirror(self, *devices: PathName) -> "Topology":
        """Adds a mirror: each device has all of it."""
        return self.vdev(*devices, redundancy=Redundancy.MIRROR)

    def raidz(self, parity: int, *devices: PathName) -> "Topology":
        """Adds a raidz vdev, of which any `parity` devices may fail: 1 to 3."""
        return self.vdev(*devices, redundancy=Redundancy.RAIDZ, parity=parity)

    def spares(self, *devices: PathName) -> "Topology":
        """Adds hot spares."""
        call(lib.topology_add_spares, self, *_paths(devices))
        return self

    def cache(self, *devices: PathName) -> "Topology":
        """Adds devices for the read cache (L2ARC)."""
        call(lib.topology_add_cache, self, *_paths(devices))
        return self


def _paths(devices: Iterable[PathName]) -> "tuple[object, int]":
    return texts([os.fsencode(device) for device in devices])
