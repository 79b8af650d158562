"""Volumes."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from . import _ffi, errors
from ._call import Name, Names, answer_text, call, flag, lent, listed, listed_or_none, made, props, sized, text, texts
from ._library import lib
from .devices import Device
from .facts import retention
from .peer import Bandwidth, Peer
from .transfer import Transfer

if TYPE_CHECKING:
    from .node import Node


class Volume:
    """A volume of a node, by its name, `name` or `namespace:name`. To have the object says nothing about whether there is such a volume: `exists`.

    What changes it raises `NotOwnerError` where another node owns it.
    """

    def __init__(self, node: "Node", name: Name) -> None:
        self.node = node
        self.name = name.decode() if isinstance(name, bytes) else name

    def __repr__(self) -> str:
        return f"<Volume {self.name!r}>"

    def exists(self) -> bool:
        """Whether there is one."""
        return listed_or_none(lib.volume_get, self.node, text(self.name)) is not None

    def info(self) -> Dict[str, Any]:
        """What it is: `name`, `dataset`, `id`, `owner`, `epoch`, `state` (`owned`, `replica`, `leaving NODE EPOCH`), `kind` (`file_system` with `quota`, or `block` with `size`,
        `block_size`, `sparse`), `used`, `referenced`, `available`, `written` (bytes), `created` (seconds since 1970), `origin`, `mounted`, `locked`, `resume_token`.

        Raises `NotFoundError`.
        """
        info = listed_or_none(lib.volume_get, self.node, text(self.name))
        if info is None:
            raise errors.made(_ffi.Status.NOT_FOUND, f"cannot look at volume '{self.name}': there is no such volume")
        return info

    def dataset(self) -> str:
        """The dataset of it, whether there is one or not."""
        return answer_text(lib.volume_dataset, self.node, text(self.name)) or ""

    def destroy(self) -> bool:
        """Destroys it with its snapshots, and says whether there was one. Raises `NotOwnerError`; `BusyError`, whose `busy` says by what."""
        return flag(lib.volume_destroy, self.node, text(self.name))

    def destroy_replica(self) -> bool:
        """Destroys this node's copy of a volume that another node owns, with its snapshots and what came of it by a push that was interrupted, and says whether there was one. The
        owner's next push makes it anew.

        Raises `InvalidError` (this node owns it, or is handing it over), `InProgressError` (it is being received), `ExistsError` (no volume); `BusyError`, whose `busy` says by
        what.
        """
        return flag(lib.volume_destroy_replica, self.node, text(self.name))

    def rename(self, new: Name) -> "Volume":
        """Gives it another name, and returns it under that. Raises `NotFoundError`, `ExistsError`, `NotOwnerError`, `BusyError`."""
        call(lib.volume_rename, self.node, text(self.name), text(new))
        return Volume(self.node, new)

    def clone(self, new: Name, snapshot: Optional[Name] = None) -> "Volume":
        """Makes a volume that begins as this one, or as a snapshot of it. Raises `ExistsError`, `NotFoundError`, `InvalidNameError`."""
        call(lib.volume_clone, self.node, text(self.name), text(snapshot), text(new), None)
        return Volume(self.node, new)

    def resize(self, size: int) -> None:
        """Makes a block device `size` bytes large, or a file system hold at most so many; 0 takes the limit away. Raises `NotOwnerError`, `InvalidError`, `NoSpaceError`."""
        call(lib.volume_resize, self.node, text(self.name), size)

    def snapshot(self, snapshot: Name) -> None:
        """Takes a snapshot. Raises `ExistsError`, `NotFoundError`, `NotOwnerError`."""
        call(lib.volume_snapshot, self.node, text(self.name), text(snapshot))

    def snapshots(self) -> List[Dict[str, Any]]:
        """Its snapshots, from oldest to newest: `name`, `guid`, `createtxg`, `created`, `used`, `referenced`, `holds`, `clones`."""
        found: List[Dict[str, Any]] = listed(lib.volume_snapshots, self.node, text(self.name)).get("snapshots", [])
        return found

    def destroy_snapshots(self, snapshots: Names) -> None:
        """Destroys snapshots, all or none; those that are not there are passed over. Raises `BusyError`, `NotFoundError` (the volume), `NotOwnerError`."""
        call(lib.volume_destroy_snapshots, self.node, text(self.name), *texts(snapshots))

    def rollback(self, snapshot: Name) -> None:
        """Makes it what a snapshot of it is; what was written since is lost. Raises `BusyError` (newer snapshots, or in use), `InProgressError` (being pushed or
        handed over), `NotFoundError`, `NotOwnerError`."""
        call(lib.volume_rollback, self.node, text(self.name), text(snapshot))

    def retain(self, **keep: int) -> Dict[str, Any]:
        """Destroys the snapshots that a policy does not keep, and nothing that is needed. It has `last`, `hourly`, `daily`, `weekly`, `monthly`, `yearly` and
        `minutes_ahead_of_utc`; one that asks for nothing keeps everything. Returns `kept`, by the snapshot's name why, and `destroyed`; `plan_retention` says it beforehand."""
        return listed(lib.volume_retain, self.node, text(self.name), retention(keep))

    def mount(self) -> str:
        """Mounts a file system, and says where. Mounted already is no failure. Linux lets only root do this."""
        return answer_text(lib.volume_mount, self.node, text(self.name)) or ""

    def unmount(self) -> bool:
        """Unmounts a file system, and says whether it was mounted. Raises `BusyError`."""
        return flag(lib.volume_unmount, self.node, text(self.name))

    def path(self) -> str:
        """Where a file system is mounted, or would be. Raises `InvalidError` when it has no mountpoint, `WrongTypeError` for a block device."""
        return answer_text(lib.volume_path, self.node, text(self.name)) or ""

    def device(self, *, writable: bool = False, timeout: float = 10.0) -> Device:
        """Opens the block device; a replica can only be read. It is waited for for `timeout` seconds at most. Raises as `Zfs.device`, and `NotOwnerError`."""
        return Device(made(lib.volume_open_device, self.node, text(self.name), writable, max(0, int(timeout * 1000))))

    def device_path(self, *, timeout: float = 10.0) -> str:
        """The node in `/dev` of a block volume that this node owns, for programs that take a path. It is waited for for `timeout` seconds at most.

        Raises as `Zfs.device`, and `NotOwnerError`, `WrongTypeError` (a file system), `NotFoundError` (no volume; or no such node, as for all that is embedded).
        """
        return answer_text(lib.volume_device_path, self.node, text(self.name), max(0, int(timeout * 1000))) or ""

    def push(self, peer: Peer, *, bandwidth: Optional[Bandwidth] = None) -> Transfer:
        """Brings a peer's copy up to date, in the background: sends what is missing there.

        Raises, at once or when it is waited for, `NotFoundError`, `NotOwnerError`, `DestinationModifiedError`, `DisconnectedError`, `CancelledError`, and as sends and receives do.
        """
        return self._transfer(lib.volume_push, peer, bandwidth)

    def handoff(self, peer: Peer, *, bandwidth: Optional[Bandwidth] = None) -> Transfer:
        """Hands it over to a peer, in the background: pushes, stops writing, pushes the rest, and has the peer own it.

        There is no moment with two owners; should this process or the connection die on the way, `recover` says who owns it. Raises as `push`, and `BusyError`.
        """
        return self._transfer(lib.volume_handoff, peer, bandwidth)

    def takeover(self) -> Dict[str, Any]:
        """Takes a replica over, because whoever calls this knows that its owner is gone. Returns `id`, `owner`, `epoch`, `state`. Raises `NotFoundError`."""
        return listed(lib.volume_takeover, self.node, text(self.name))

    def recover(self, peer: Peer) -> Transfer:
        """Puts it right after something died, in the background: asks the peer who owns it, and finishes or undoes.

        Its end says `outcome` (`nothing`, `handed_over`, `taken_back`, `superseded`) and, if what this node alone had was kept as a volume of its own, its name `set_aside`. To
        cancel it ends the wait for the peer; once that has answered, what follows is done to its end.

        Raises, when it is waited for, `NotFoundError`, `InvalidError` (it is being handed over to another peer), `BusyError` (another node has taken it over, and it is mounted
        here and in use), `CancelledError`, and what asking the peer fails with. The volume is then as it was, or as another recovery finds it.
        """
        return Transfer(made(lib.volume_recover_start, self.node, text(self.name), peer))

    def _transfer(self, function: Any, peer: Peer, bandwidth: Optional[Bandwidth]) -> Transfer:
        with lent(bandwidth) as (limit,):
            options = sized(_ffi.zfsvol_push_options, bandwidth=limit)
            return Transfer(made(function, self.node, text(self.name), peer, ctypes.byref(options)))


class Spec:
    """What a volume is to be: a file system, or with `size` a block device of so many bytes.

    `quota` is how many bytes a file system holds at most, `sparse` reserves nothing for a block device, `properties` and `key` are as in `zfs.datasets`.
    """

    def __init__(
        self,
        *,
        size: int = 0,
        quota: int = 0,
        sparse: bool = False,
        properties: Optional[Mapping[str, Any]] = None,
        key: Optional[Any] = None,
    ) -> None:
        self._properties = props(properties)
        self._key = key
        self._fields: Dict[str, Any] = {"block_bytes": size, "quota_bytes": quota, "sparse": sparse}

    def _made(self, key: Optional[int]) -> Any:
        pointer = self._properties.pointer if self._properties else None
        return sized(_ffi.zfsvol_volume_spec, properties=pointer, key=key, **self._fields)
