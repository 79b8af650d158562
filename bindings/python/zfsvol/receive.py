"""Streams that the kernel reads."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, Mapping, Optional

from . import _callbacks, _ffi
from ._call import Name, Names, call, lent, listed, made, number, props, raw, sized, text, texts
from ._callbacks import Source
from ._handle import Handle
from ._library import lib
from .keys import Key
from .transfer import Progress, Transfer


class Receive(Handle):
    """A stream that the kernel reads. It is written to here by one thread at a time and finished, or a transfer reads it from somewhere; either uses it up.

    A receive that was not finished is cancelled when it is closed.
    """

    _free = lib.receive_free
    _stop = lib.receive_cancel
    _runs = True

    def write(self, data: Any) -> int:
        """Writes all of `data`, waiting for the kernel to take it, and returns its length. Issues `ZFS_IOC_RECV_NEW` with the first of it.

        Raises `ExistsError`, `NotFoundError` (the parent), `BaseMissingError`, `DestinationModifiedError`, `StreamDamagedError`, `StreamUnsupportedError`,
        `ResumePendingError`, `EncryptionMismatchError`, `KeyNotLoadedError`, `NoSpaceError`, `QuotaExceededError`, `BusyError`, `DeniedError`, `CancelledError`, `ConsumedError`.
        """
        pointer, size = raw(data)
        call(lib.receive_write, self, pointer, size)
        return size

    def bytes_written(self) -> int:
        """How many bytes of the stream were written. Raises `ConsumedError` once a transfer has it."""
        return number(lib.receive_bytes, self)

    def finish(self) -> Dict[str, Any]:
        """Ends the stream, waits for the kernel, and says how it went, as `Transfer.wait` of a receive. The snapshot is on disk when it returns.

        Raises as `write`, and `StreamTruncatedError`.
        """
        return listed(lib.receive_finish, self)

    def cancel(self) -> None:
        """Stops the receive, from any thread, also while another one writes."""
        pointer = self._enter()
        try:
            lib.receive_cancel(pointer)
        finally:
            self._leave()

    def from_(self, file: Source) -> Transfer:
        """Has the stream read from a descriptor, a socket or any file object, in the background. Uses the stream up.

        A descriptor is duplicated. A file object is read in a thread of the library, which takes the GIL for each piece.
        """
        found = _callbacks.descriptor(file)
        if found is not None:
            return Transfer(made(lib.receive_from_fd, self, found))
        self._check()
        reader, channel = _callbacks.reader(file)
        return Transfer(made(lib.receive_from_reader, self, ctypes.byref(reader)), channel)

    def copy_from(self, file: Source, *, progress: Optional[Callable[[Progress], Any]] = None) -> Dict[str, Any]:
        """Receives what a descriptor, a socket or any file object gives, and says how it went."""
        with self.from_(file) as transfer:
            return transfer.wait(progress=progress)


def start(
    zfs: Handle,
    snapshot: Name,
    force: bool,
    resumable: bool,
    heal: bool,
    origin: Optional[Name],
    received: Optional[Mapping[str, Any]],
    override: Optional[Mapping[str, Any]],
    exclude: Names,
    key: Optional[Key],
) -> Receive:
    """What `zfs.receive` does."""
    excluded, count = texts(exclude)
    as_received, as_set = props(received), props(override)
    with lent(key) as (pointer,):
        options = sized(
            _ffi.zfsvol_receive_options,
            force=force,
            resumable=resumable,
            heal=heal,
            origin=text(origin),
            received=as_received.pointer if as_received else None,
            set=as_set.pointer if as_set else None,
            exclude=excluded,
            exclude_count=count,
            key=pointer,
        )
        return Receive(made(lib.receive_start, zfs, text(snapshot), ctypes.byref(options)))
