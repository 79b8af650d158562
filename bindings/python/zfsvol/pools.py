"""Pools."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, List, Mapping, Optional

from . import _ffi
from ._call import Name, Names, PathName, answer_text, call, lent, listed, made, props, sized, text, texts
from ._ffi import Activity, Export, Features, Prefetch, Prune, Scrub
from ._handle import Area
from ._library import lib
from .importable import Importable
from .importable import search as _search
from .keys import Key
from .topology import Topology
from .transfer import Transfer


class Pools(Area):
    """Pools: `zfs.pools`."""

    def names(self) -> List[str]:
        """The names of all imported pools. Issues `ZFS_IOC_POOL_CONFIGS`.

            >>> import zfsvol
            >>> with zfsvol.open("embedded:") as zfs:
            ...     zfs.pools.names()
            ['tank']
        """
        names: List[str] = listed(lib.pool_names, self._zfs).get("pools", [])
        return names

    def list(self) -> List[Dict[str, Any]]:
        """The status of all imported pools, each as `status` has it."""
        pools: List[Dict[str, Any]] = listed(lib.pool_list, self._zfs).get("pools", [])
        return pools

    def status(self, pool: Name) -> Dict[str, Any]:
        """The status of a pool: `name`, `guid`, `health` (`online`, `degraded`, ...), `size`, `allocated`, `free` (bytes), `root` (the tree of vdevs), `spares`, `cache`,
        `scan`, `checkpoint`, `features`, `config` (the kernel's own) and more. Raises `NotFoundError`."""
        return listed(lib.pool_status, self._zfs, text(pool))

    def create(
        self,
        pool: Name,
        topology: Topology,
        *,
        features: Features = Features.ALL,
        feature_names: Names = (),
        force: bool = False,
        properties: Optional[Mapping[str, Any]] = None,
        root_properties: Optional[Mapping[str, Any]] = None,
        root_key: Optional[Key] = None,
    ) -> None:
        """Creates a pool of files or whole devices; what is on them is overwritten. `force` takes devices of exported pools.

        Raises `ExistsError`, `BusyError` (a device is in use, or named twice), `InvalidError` (such vdevs make no pool, or a device is smaller than 64 MiB),
        `InvalidPropertyError`, `NotFoundError` (a device), `UnsupportedError` (a feature), `DeniedError`.
        """
        names, count = texts(feature_names)
        own, root = props(properties), props(root_properties)
        with lent(root_key) as (key,):
            options = sized(
                _ffi.zfsvol_pool_options,
                features=features,
                force=force,
                feature_names=names,
                feature_count=count,
                properties=own.pointer if own else None,
                root_properties=root.pointer if root else None,
                root_key=key,
            )
            call(lib.pool_create, self._zfs, text(pool), topology, ctypes.byref(options))

    def destroy(self, pool: Name) -> None:
        """Destroys a pool and everything in it. Raises `BusyError`, `NotFoundError`."""
        call(lib.pool_destroy, self._zfs, text(pool))

    def export(self, pool: Name, how: Export = Export.CLEAN) -> None:
        """Exports a pool. Raises `BusyError`, `NotFoundError`, `InProgressError`."""
        call(lib.pool_export, self._zfs, text(pool), how)

    def search(self, *paths: PathName, destroyed: bool = False) -> Importable:
        """Looks for pools that can be imported, by the labels on these files, devices and directories. Raises `NotFoundError` (a path), `DeniedError`."""
        return _search(self._zfs, paths, destroyed)

    def properties(self, pool: Name) -> Dict[str, Dict[str, Any]]:
        """All properties of a pool, as `zfs.properties.list` gives those of a dataset; its features are in `status`."""
        return listed(lib.pool_properties, self._zfs, text(pool))

    def set_properties(self, pool: Name, values: Mapping[str, Any]) -> None:
        """Sets properties of a pool. Raises `InvalidPropertyError`, `NotFoundError`, `DeniedError`."""
        call(lib.pool_set_properties, self._zfs, text(pool), props(values))

    def enable_features(self, pool: Name, features: Features = Features.ALL, names: Names = ()) -> None:
        """Enables features of a pool, and those they depend on. Raises `NotFoundError`, `UnsupportedError`, `ReadOnlyError`, `DeniedError`."""
        call(lib.pool_enable_features, self._zfs, text(pool), features, *texts(names))

    def sync(self, pool: Name, *, force: bool = False) -> None:
        """Has everything that was written so far on disk when it returns; `force` also where nothing was."""
        call(lib.pool_sync, self._zfs, text(pool), force)

    def reopen(self, pool: Name, *, restart_scrub: bool = True) -> None:
        """Opens the devices of a pool anew; `restart_scrub` starts a scrub that runs from the beginning."""
        call(lib.pool_reopen, self._zfs, text(pool), restart_scrub)

    def clear(self, pool: Name, vdev: int = 0) -> None:
        """Forgets the errors of a pool's devices, or of one vdev by its GUID, and lets a suspended pool go on. Raises `NotFoundError`, `IoError`, `PoolUnavailableError`."""
        call(lib.pool_clear, self._zfs, text(pool), vdev)

    def reguid(self, pool: Name, guid: int = 0) -> None:
        """Gives a pool another GUID: that one, which takes OpenZFS 2.3, or with 0 a random one. Raises `PoolUnavailableError`, `ExistsError`, `UnsupportedError`."""
        call(lib.pool_reguid, self._zfs, text(pool), guid)

    def checkpoint(self, pool: Name) -> None:
        """Takes a checkpoint of a pool. Raises `InProgressError`: there is one, or it is being discarded."""
        call(lib.pool_checkpoint, self._zfs, text(pool))

    def discard_checkpoint(self, pool: Name) -> None:
        """Discards the checkpoint of a pool. Raises `NotFoundError`, `InProgressError`."""
        call(lib.pool_discard_checkpoint, self._zfs, text(pool))

    def scrub(self, pool: Name, what: Scrub = Scrub.START) -> None:
        """Starts, pauses or stops a scrub. Raises `InProgressError`, `NotFoundError`, `UnsupportedError`."""
        call(lib.pool_scrub, self._zfs, text(pool), what)

    def wait(self, pool: Name, activity: Activity, vdev: int = 0) -> bool:
        """Waits until an activity of a pool is over, and says whether there was anything to wait for; with a vdev's GUID that of one device. Issues `ZFS_IOC_WAIT`.

        Raises `NotFoundError` (no such pool, or it goes away), `CancelledError` (it is exported meanwhile), `UnsupportedError` (the module does not know the activity),
        `InvalidError` (no such device, or not an activity of one). An exception of a signal handler, as of Ctrl-C, gives it up as `wait_start` says.
        """
        with self.wait_start(pool, activity, vdev) as waiting:
            return bool(waiting.wait()["waited"])

    def wait_start(self, pool: Name, activity: Activity, vdev: int = 0) -> Transfer:
        """The same in the background: with a deadline, and in a way that can be cancelled. Its end says `waited`.

        The module ends a wait when the activity is over, and not before. So to cancel or to close is to give up what a thread in the module will bring: who waits is told at
        once, and that thread sleeps on until the activity is over, the pool is exported or the process ends. To look from time to time, wait for the same object again.
        """
        return Transfer(made(lib.pool_wait_start, self._zfs, text(pool), activity, vdev))

    def prefetch(self, pool: Name, what: Prefetch = Prefetch.DDT) -> None:
        """Reads tables of a pool into memory. Raises `NotFoundError`, `UnsupportedError`, `DeniedError`."""
        call(lib.pool_prefetch, self._zfs, text(pool), what)

    def prune_ddt(self, pool: Name, by: Prune, amount: int) -> None:
        """Drops entries from the deduplication tables: those older than `amount` seconds, or the oldest `amount` percent."""
        call(lib.pool_prune_ddt, self._zfs, text(pool), by, amount)

    def condense(self, pool: Name, *, start: bool = True) -> None:
        """Begins, or cancels, condensing of a pool's log of space maps. Raises `UnsupportedError` up to OpenZFS 2.4, `NotFoundError`, `DeniedError`."""
        call(lib.pool_condense, self._zfs, text(pool), start)

    def bootenv(self, pool: Name) -> Dict[str, Any]:
        """The boot environment of a pool."""
        return listed(lib.pool_bootenv, self._zfs, text(pool))

    def set_bootenv(self, pool: Name, environment: Mapping[str, Any]) -> None:
        """Replaces the boot environment of a pool."""
        from .nvlist import Owned

        call(lib.pool_set_bootenv, self._zfs, text(pool), Owned(environment))

    def error_log(self, pool: Name) -> List[Dict[str, Any]]:
        """The objects with permanent errors: `dataset_id`, `object`, `blocks`, `dataset`, `path`."""
        errors: List[Dict[str, Any]] = listed(lib.pool_error_log, self._zfs, text(pool)).get("errors", [])
        return errors

    def program(
        self,
        pool: Name,
        script: Name,
        arguments: Optional[Mapping[str, Any]] = None,
        *,
        instructions: int = 0,
        memory: int = 0,
        sync: bool = True,
    ) -> Any:
        """Runs a channel program, a script in Lua, and returns what it returned. Without `sync` it can read only.

        It is stopped after so many `instructions` (0 for 10,000,000), or when it takes so many bytes of `memory` (0 for 10 MiB). Raises `ProgramFailedError`,
        `DeniedError`, `NotFoundError`, `TooLargeError`.
        The embedded kernel runs no programs but the library's own, and raises `UnsupportedError`.
        """
        given = props(arguments)
        options = sized(
            _ffi.zfsvol_program_options,
            arguments=given.pointer if given else None,
            instructions_max=instructions,
            memory_bytes_max=memory,
            nosync=not sync,
        )
        return listed(lib.pool_program, self._zfs, text(pool), text(script), ctypes.byref(options)).get("return")

    def import_(self, found: Importable, index: int = 0, **options: Any) -> str:
        """Imports one of the pools that were found, and returns what it is called now. Nothing is mounted, and no key is loaded.

        The options are those of `zfsvol_import_options`: `new_name`, `temporary_name`, `altroot`, `properties`, `read_only`, `force`, `destroyed`, `missing_log`,
        `rewind` (a `Rewind`), `txg`. Raises `NotFoundError`, `ExistsError`, `PoolUnavailableError`, `UnsupportedError`, `BusyError`, `CorruptError`, `IoError`.
        """
        given = props(options.pop("properties", None))
        for name in ("new_name", "altroot"):
            if name in options:
                options[name] = text(options[name])
        made = sized(_ffi.zfsvol_import_options, properties=given.pointer if given else None, **options)
        return answer_text(lib.pool_import, self._zfs, found, index, ctypes.byref(made)) or ""
