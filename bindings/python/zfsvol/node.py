"""Nodes, which volumes move between."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from . import _callbacks, _ffi, errors, nvlist
from ._call import Name, Names, PathName, call, lent, listed, made, path, sized, text, texts
from ._handle import Handle
from ._library import lib
from .keys import Key
from .policy import Policy
from .transfer import Transfer
from .transport import Transport
from .volume import Spec, Volume
from .zfs import Zfs

OnEvent = Callable[[Dict[str, Any]], Any]
"""Is told what happened to a volume: `volume`, `kind` (`created`, `cloned`, `destroyed`, `handed_over`, ...) and, as the kind has it, `detail`."""


def _event(context: Optional[int], event: Optional[int]) -> None:
    _callbacks.called(_callbacks.kept(context), nvlist.lent(event))


_event_function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(_event)


class Outcome(NamedTuple):
    """What became of one of many."""

    name: str
    error: Optional[errors.Error]
    """Why it failed; None if it did not."""
    result: Any
    """Of volumes that were made what `Volume.info` says, else True."""


class Node(Handle):
    """A node: a UUID and a root dataset, right below which its volumes are. Can be used by any number of threads at once; one process serves a node at a time.

    `id` is a UUID. The root is created if it is not there; its parent must be. `mountpoint` is the directory below which volumes are mounted, and counts when the
    root is created or adopted; `adopt` makes the root of what is a dataset of somebody else's now. `on_event` is called after everything that happened to a volume
    through this node, in the thread that did it.

    Raises `NotOwnerError` (another node's root), `ExistsError` (no node made it: see `adopt`), `WrongTypeError` (a zvol), `InvalidError`.

        >>> import zfsvol
        >>> with zfsvol.open("embedded:") as zfs, zfsvol.Node(zfs, "tank/zfsvol", "11111111-1111-4111-8111-111111111111") as node:
        ...     volume = node.create("db", size=8 << 20, sparse=True)
        ...     volume.info()["state"], [one.name for one in node]
        ('owned', ['db'])
    """

    _free = lib.node_free

    def __init__(
        self,
        zfs: Zfs,
        root: Name,
        id: Name,
        *,
        mountpoint: Optional[PathName] = None,
        adopt: bool = False,
        on_event: Optional[OnEvent] = None,
    ) -> None:
        zfs._check()
        names = text(root), text(id if isinstance(id, bytes) else str(id))
        options = sized(_ffi.zfsvol_node_options, mountpoint=path(mountpoint), adopt=adopt)
        if on_event is not None:
            options.on_event, options.context, options.release = _event_function, _callbacks.keep(on_event), _callbacks.release
        super().__init__(made(lib.node_open, zfs, *names, ctypes.byref(options)))

    def info(self) -> Dict[str, str]:
        """What it is: `id`, `root`."""
        return listed(lib.node_info, self)

    def zfs(self) -> Zfs:
        """The OpenZFS a node is on, as a handle of its own."""
        return Zfs(made(lib.node_zfs, self))

    def volume(self, name: Name) -> Volume:
        """A volume by its name, whether there is one or not."""
        return Volume(self, name)

    def create(
        self,
        name: Name,
        *,
        size: int = 0,
        quota: int = 0,
        sparse: bool = False,
        properties: Optional[Mapping[str, Any]] = None,
        key: Optional[Key] = None,
    ) -> Volume:
        """Creates a volume, that this node owns: a file system of at most `quota` bytes, or with `size` a block device of so many. It is not mounted.

        Raises `ExistsError`, `InvalidNameError`, `InvalidPropertyError`, `NoSpaceError`, `DeniedError`.
        """
        spec = Spec(size=size, quota=quota, sparse=sparse, properties=properties)
        with lent(key) as (pointer,):
            call(lib.volume_create, self, text(name), ctypes.byref(spec._made(pointer)), None)
        return Volume(self, name)

    def list(self) -> List[Dict[str, Any]]:
        """All volumes, as `Volume.info` has each."""
        volumes: List[Dict[str, Any]] = listed(lib.volume_list, self).get("volumes", [])
        return volumes

    def damaged(self) -> List[Dict[str, str]]:
        """Datasets whose ownership cannot be told: `dataset`, `why`."""
        found: List[Dict[str, str]] = listed(lib.volume_list, self).get("damaged", [])
        return found

    def __iter__(self) -> Iterator[Volume]:
        return iter([Volume(self, one["name"]) for one in self.list()])

    def create_many(self, volumes: Mapping[str, Optional[Spec]], *, threads: int = 0) -> List[Outcome]:
        """Creates volumes, many at the same time: `threads` calls at once; 0 for 32. That some fail is no failure of the call."""
        names, count = texts(list(volumes))
        specs = list(volumes.values())
        with lent(*[spec._key if spec else None for spec in specs]) as keys:
            structs = [spec._made(key) if spec else None for spec, key in zip(specs, keys)]
            pointer = ctypes.POINTER(_ffi.zfsvol_volume_spec)
            pointers = (pointer * count)(*[ctypes.pointer(one) if one else pointer() for one in structs])
            return _outcomes(listed(lib.volumes_create, self, names, pointers, count, threads), "info")

    def clone_many(self, copies: Sequence[Tuple[Name, Optional[Name], Name]], *, threads: int = 0) -> List[Outcome]:
        """Clones volumes, as `create_many`: each of a volume, a snapshot of it or None for how it is now, and the name of the new one."""
        several = [_ffi.zfsvol_volume_copy(text(source), text(snapshot), text(target)) for source, snapshot, target in copies]
        array = (_ffi.zfsvol_volume_copy * len(several))(*several)
        return _outcomes(listed(lib.volumes_clone, self, array, len(several), threads), "info")

    def destroy_many(self, names: Names, *, threads: int = 0) -> List[Outcome]:
        """Destroys volumes with their snapshots, as `create_many`; the result says whether there was one."""
        return _outcomes(listed(lib.volumes_destroy, self, *texts(names), threads), "destroyed")

    def snapshot_many(self, names: Names, snapshot: Name, *, threads: int = 0) -> List[Outcome]:
        """Takes a snapshot of that name of each volume: all that can be taken in one transaction group, so of one moment."""
        return _outcomes(listed(lib.volumes_snapshot, self, *texts(names), text(snapshot), threads), "taken")

    def serve(
        self,
        transport: Transport,
        policy: Policy,
        *,
        identity: Optional[Name] = None,
        silence: float = 0.0,
        window: int = 0,
    ) -> Transfer:
        """Serves one connection of a peer, in the background, until the peer ends it: does what is asked, and the policy permits. Uses the transport up.

        `identity` is who the transport found the caller to be; after `silence` seconds without a byte it is given up, 0.1 to 3600, 0 for 30; `window` bytes of a stream
        may be under way, 64 KiB to 256 MiB, 0 for 4 MiB. Waiting raises `NotPermittedError`, `DisconnectedError`, `TimedOutError`,
        `ProtocolError`, `UnsupportedError`, `CancelledError`.
        """
        options = sized(_ffi.zfsvol_serve_options, identity=text(identity), silence_milliseconds=int(silence * 1000), window_bytes=window)
        return Transfer(made(lib.node_serve, self, transport, policy, ctypes.byref(options)))


def _outcomes(results: Dict[str, Any], key: str) -> List[Outcome]:
    outcomes = []
    for one in results.get("results", []):
        details = one.get("error")
        outcomes.append(Outcome(one["name"], errors.from_details(details) if details else None, one.get(key)))
    return outcomes
