"""Streams that the kernel writes."""

from __future__ import annotations

import ctypes
import io
from typing import Any, Callable, Dict, Optional

from . import _callbacks, _ffi
from ._call import Name, call, listed, made, number, raw, sized, text
from ._callbacks import Sink
from ._ffi import SendFlags
from ._handle import Handle
from ._library import lib
from .receive import Receive
from .transfer import Progress, Transfer


class Send(Handle):
    """A stream that the kernel writes. It is read from here by one thread at a time, or given to a transfer, which uses it up.

        >>> import io, zfsvol
        >>> with zfsvol.open("embedded:") as zfs:
        ...     zfs.snapshots.create("tank@a")
        ...     file = io.BytesIO()
        ...     with zfs.send("tank@a") as stream:
        ...         count = stream.copy_to(file)
        ...     zfsvol.stream.verify(file.getvalue())["bytes"] == count
        True
    """

    _free = lib.send_free
    _stop = lib.send_cancel
    _runs = True

    def readinto(self, buffer: Any) -> int:
        """Reads into a `bytearray` or what else can be written to, waiting for the kernel, and returns how many bytes; 0 at the end of a stream that is complete.

        Raises what the send failed with, also after some of it was read; `CancelledError`; `ConsumedError`.
        """
        data, size = raw(buffer)
        if isinstance(data, bytes):
            raise TypeError("the buffer is read-only")
        count = ctypes.c_size_t()
        call(lib.send_read, self, data, size, ctypes.byref(count))
        return count.value

    def read(self, size: int = -1) -> bytes:
        """Reads at most `size` bytes, all that follow without one. Raises as `readinto`."""
        if size < 0:
            file = io.BytesIO()
            while True:
                piece = self.read(1 << 20)
                if not piece:
                    return file.getvalue()
                file.write(piece)
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.readinto(buffer)]) if size else b""

    def bytes_read(self) -> int:
        """How many bytes of the stream were read. Raises `ConsumedError` once a transfer has it."""
        return number(lib.send_bytes, self)

    def cancel(self) -> None:
        """Stops the send, from any thread, also while another one reads."""
        pointer = self._enter()
        try:
            lib.send_cancel(pointer)
        finally:
            self._leave()

    def to(self, file: Sink) -> Transfer:
        """Has the stream written to a descriptor, a socket or any file object, in the background. Uses the stream up.

        A descriptor is duplicated. A file object is written in a thread of the library, which takes the GIL for each piece.
        """
        found = _callbacks.descriptor(file)
        if found is not None:
            return Transfer(made(lib.send_to_fd, self, found))
        self._check()
        writer, channel = _callbacks.writer(file)
        return Transfer(made(lib.send_to_writer, self, ctypes.byref(writer)), channel)

    def to_receive(self, destination: Receive) -> Transfer:
        """Has the stream received on this machine, in the background, without a copy. Uses both up."""
        return Transfer(made(lib.send_to_receive, self, destination))

    def copy_to(self, file: Sink, *, progress: Optional[Callable[[Progress], Any]] = None) -> int:
        """Writes the stream to a descriptor, a socket or any file object, and returns how many bytes it has."""
        with self.to(file) as transfer:
            return int(transfer.wait(progress=progress)["bytes"])


def options(
    base: Optional[Name] = None,
    flags: SendFlags = SendFlags(0),
    redacted_by: Optional[Name] = None,
    resume_object: Optional[int] = None,
    resume_offset: int = 0,
    resume_bytes: int = 0,
) -> Any:
    """`zfsvol_send_options`, for the length of a call."""
    return sized(
        _ffi.zfsvol_send_options,
        base=text(base),
        redacted_by=text(redacted_by),
        flags=flags,
        resume=resume_object is not None,
        resume_object=resume_object or 0,
        resume_offset=resume_offset,
        resume_bytes=resume_bytes,
    )


def start(zfs: Handle, what: Name, given: Any) -> Send:
    """What `zfs.send` does."""
    return Send(made(lib.send_start, zfs, text(what), ctypes.byref(given)))


def start_saved(zfs: Handle, dataset: Name, given: Any) -> Send:
    """What `zfs.send_saved` does."""
    return Send(made(lib.send_start_saved, zfs, text(dataset), ctypes.byref(given)))


def start_resumed(zfs: Handle, token: Name, within: Optional[Name]) -> Send:
    """What `zfs.send_resumed` does."""
    return Send(made(lib.send_start_resumed, zfs, text(token), text(within)))


def resume_options(zfs: Handle, token: Name, within: Optional[Name]) -> Dict[str, Any]:
    """What `zfs.resume_options` does."""
    return listed(lib.send_resume_options, zfs, text(token), text(within))


def space(zfs: Handle, snapshot: Name, given: Any, watch: int = -1) -> int:
    """What `zfs.send_space` does."""
    return number(lib.send_space, zfs, text(snapshot), ctypes.byref(given), watch)


def progress_of(zfs: Handle, what: Name, descriptor: int) -> Dict[str, int]:
    """What `zfs.send_progress` does."""
    return listed(lib.send_progress, zfs, text(what), descriptor)
