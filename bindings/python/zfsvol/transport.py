"""Connections to other nodes."""

from __future__ import annotations

import ctypes
import socket
from typing import Any, Callable, List, NamedTuple, Optional, Tuple, Union

from . import _callbacks, _ffi
from ._call import call, made, sized
from ._ffi import Direction, Pass
from ._handle import Handle
from ._library import lib


class Frame(NamedTuple):
    """A frame that is about to be sent, or has just come."""

    direction: Direction
    kind: int
    """The number of its kind in the peer protocol."""
    request: int
    """The request it is about; 0 for the connection."""
    body_bytes: int


OnFrame = Callable[[Frame], Optional[Pass]]
"""What becomes of a frame; None stands for `Pass.GO`."""


def _close(context: Optional[int]) -> None:
    close, _ = _callbacks.kept(context)
    if close is not None:
        _callbacks.called(close)


def _frame(context: Optional[int], pointer: Any) -> int:
    _, on_frame = _callbacks.kept(context)
    if on_frame is None:
        return Pass.GO
    found = pointer[0]
    frame = Frame(Direction(found.direction), found.kind, found.request, found.body_bytes)
    return int(_callbacks.called(on_frame, frame, default=Pass.CUT) or Pass.GO)


_close_function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_close)
_frame_function = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.POINTER(_ffi.zfsvol_frame))(_frame)


class Transport(Handle):
    """Two byte streams, one each way, with another node at the other end. One call (`Peer.over`, `Node.serve`) uses it up.

    They must keep the order of the bytes, and lose none. Nothing is enciphered on them, and nobody is asked who they are: that is the transport's.
    """

    _free = lib.transport_free
    _runs = True

    @classmethod
    def over(
        cls,
        reads: Union[int, socket.socket, Any],
        writes: Union[int, socket.socket, Any, None] = None,
        *,
        close: Optional[Callable[[], Any]] = None,
        on_frame: Optional[OnFrame] = None,
    ) -> "Transport":
        """A connection over descriptors, sockets or file objects: it reads from one and writes to the other, or does both with the same one.

        Descriptors and plain sockets are duplicated; sockets are shut down when the connection ends. A file object is read and written by two threads at the same
        time, and `close` must end what waits in it, when the connection is to end. It is called more than once, and from any thread. `on_frame` sees every frame,
        and can cut the connection there.
        """
        writes = reads if writes is None else writes
        options = sized(_ffi.zfsvol_transport_options)
        read_fd, write_fd = _callbacks.descriptor(reads), _callbacks.descriptor(writes)
        both = None if read_fd is not None and write_fd is not None else _callbacks.both(reads, writes)
        if close is not None or on_frame is not None:
            options.context, options.release = _callbacks.keep((close, on_frame)), _callbacks.release
            if close is not None:
                options.close = _close_function
            if on_frame is not None:
                options.on_frame = _frame_function
        if both is None:
            return cls(made(lib.transport_from_fds, read_fd, write_fd, ctypes.byref(options)))
        (reader, _), (writer, _) = both
        return cls(made(lib.transport_from_callbacks, ctypes.byref(reader), ctypes.byref(writer), ctypes.byref(options)))

    @classmethod
    def pair(cls) -> Tuple["Transport", "Transport"]:
        """The two ends of one connection in this process."""
        pointers: List[ctypes.c_void_p] = [ctypes.c_void_p(), ctypes.c_void_p()]
        call(lib.transport_pair, ctypes.byref(pointers[0]), ctypes.byref(pointers[1]))
        return cls(pointers[0].value), cls(pointers[1].value)
