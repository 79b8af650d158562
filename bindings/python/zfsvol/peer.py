"""Other nodes."""

from __future__ import annotations

import ctypes
import errno
from typing import Any, Callable, Optional

from . import _callbacks, _ffi
from ._call import listed, made, sized
from ._handle import Handle
from ._library import lib
from .transport import Transport

Connect = Callable[[], Transport]
"""Makes a connection; an `OSError` says why it cannot."""


def _connect(context: Optional[int], place: Any) -> int:
    try:
        transport = _callbacks.kept(context)()
        place[0] = ctypes.c_void_p(transport._detach())
        return 0
    except OSError as failure:
        return failure.errno or errno.EIO
    except BaseException as failure:
        _callbacks.show(failure, _connect)
        return errno.EIO


_connect_function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))(_connect)


class Bandwidth(Handle):
    """A limit of so many bytes a second on how fast streams are sent, shared by all pushes that are given it."""

    _free = lib.bandwidth_free

    def __init__(self, bytes_per_second: int) -> None:
        super().__init__(made(lib.bandwidth_new, bytes_per_second))


class Peer(Handle):
    """Another node, as this one sees it. Can be used by any number of threads at once."""

    _free = lib.peer_free
    _runs = True

    @classmethod
    def local(cls, node: Handle) -> "Peer":
        """A node of this process as the peer of another: two pools of one machine, and tests."""
        return cls(made(lib.peer_local, node))

    @classmethod
    def over(cls, node: Handle, transport: Transport) -> "Peer":
        """The node at the other end of a connection, which `Node.serve` answers there, as the peer of `node`. Uses the transport up; when it is lost, it is not
        made anew: see `connect`.

        Raises `DisconnectedError`, `NotPermittedError`, `UnsupportedError` (they have no version of the protocol in common), `TimedOutError` or `ProtocolError` (nobody
        is there who speaks it), `ConsumedError`.
        """
        return cls(made(lib.peer_over, node, transport))

    @classmethod
    def connect(cls, node: Handle, connect: Connect, *, silence: float = 0.0, deadline: float = 0.0, connections: int = 0) -> "Peer":
        """The same over connections that are made when they are needed, by `connect`, which is called from any thread, several at once.

        After `silence` seconds without a byte the peer is given up, 0.1 to 3600; 0 for 30. It may go on for `deadline` seconds without doing anything that is
        seen; 0 for as long as it wants. There are so many `connections` at most; 0 for 8. Raises as `over`.
        """
        node._check()
        options = sized(
            _ffi.zfsvol_peer_options,
            connect=_connect_function,
            context=_callbacks.keep(connect),
            release=_callbacks.release,
            silence_milliseconds=int(silence * 1000),
            deadline_milliseconds=int(deadline * 1000),
            connections=connections,
        )
        return cls(made(lib.peer_connect, node, ctypes.byref(options)))

    def id(self) -> str:
        """Which node it is: its UUID."""
        return str(listed(lib.peer_info, self).get("id", ""))
