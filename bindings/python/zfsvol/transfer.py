"""What runs by itself: a send, a receive, a push, a handoff, a recovery, a connection that is served, a wait for a pool."""

from __future__ import annotations

import ctypes
import time
from typing import Any, Callable, Dict, NamedTuple, Optional

from . import _ffi
from ._call import call, listed, sized
from ._callbacks import Channel
from ._ffi import Phase, Status
from ._handle import Handle
from ._library import lib
from .errors import ConsumedError, Error, TimedOutError, from_details

SLICE = 0.25
"""For how many seconds a wait is not interrupted: a signal (Ctrl-C) is seen after so long at most."""


class Progress(NamedTuple):
    """How far a transfer is."""

    bytes: int
    """Bytes of streams that came through so far. They only grow."""
    total: int
    """How many there will be, as the kernel estimates it; 0 where that is not known."""
    phase: Phase
    """What it does now."""
    finished: bool
    """Whether it is over, well or not."""


class Transfer(Handle):
    """Something that runs in threads of the library. Any thread can watch it, cancel it and wait for it.

    To close one that still runs cancels it, and waits for it for 10 seconds at most.
    """

    _free = lib.transfer_free
    _stop = lib.transfer_cancel
    _runs = True

    def __init__(self, pointer: Optional[int], *channels: Channel) -> None:
        self._channels = channels
        super().__init__(pointer)

    def progress(self) -> Progress:
        """How far it is. Raises `ConsumedError` when somebody has waited for its end."""
        found = sized(_ffi.zfsvol_progress)
        call(lib.transfer_progress, self, ctypes.byref(found))
        return Progress(found.bytes, found.total, Phase(found.phase), found.finished)

    def cancel(self) -> None:
        """Stops it, without waiting for it: `wait` then raises `CancelledError`, unless it was just done."""
        pointer = self._enter()
        try:
            lib.transfer_cancel(pointer)
        finally:
            self._leave()
        self._stop_files()

    def close(self) -> None:
        """Frees it; one that still runs is cancelled, and waited for for 10 seconds at most."""
        self._stop_files()
        super().close()

    def wait(
        self,
        timeout: Optional[float] = None,
        *,
        progress: Optional[Callable[[Progress], Any]] = None,
        interval: float = 0.5,
    ) -> Dict[str, Any]:
        """Waits for its end, for `timeout` seconds at most, and says how it went. Meanwhile `progress` is called every `interval` seconds, in this thread;
        an exception of it ends the wait, and not the transfer.

        Of a send `bytes`; of a receive `snapshot`, `begin`, `bytes`, `property_failures` and more; of a push or handoff `snapshot` (its GUID), `sent`, `bytes`; of a
        recovery `outcome`, `set_aside`; of a connection that was served `caller` (a UUID), `requests`, `received` (bytes); of a wait for a pool `waited`.

        Raises `TimedOutError` while it still runs, after which one can wait again; `CancelledError`; `ConsumedError` when somebody has waited for its end; and
        what it failed with. An exception of a file object is the cause of that.
        """
        end = None if timeout is None else time.monotonic() + timeout
        shown = time.monotonic()
        while True:
            left = SLICE if end is None else min(SLICE, max(0.0, end - time.monotonic()))
            if progress is not None:
                left = min(left, interval)
            try:
                result = listed(lib.transfer_wait, self, int(left * 1000))
            except TimedOutError:
                # A transfer can itself fail with TIMED_OUT, a peer that was silent: then it is used up.
                if self._over() or (end is not None and time.monotonic() >= end):
                    raise
            except ConsumedError:
                raise
            except Error as failure:
                if self._cause() is None and any(channel.stopped for channel in self._channels):
                    # What the file was told on the way out is not what happened.
                    failure = from_details({**failure._details, "status": Status.CANCELLED})
                raise failure from self._cause()
            else:
                return result
            if progress is not None and time.monotonic() - shown >= interval:
                shown = time.monotonic()
                progress(self.progress())

    def __del__(self) -> None:
        self._stop_files()
        super().__del__()

    def _stop_files(self) -> None:
        """The library looks whether it was cancelled between the pieces of a stream. One that a file takes in small parts ends at the next part."""
        for channel in self._channels:
            channel.stopped = True

    def _over(self) -> bool:
        try:
            self.progress()
        except ConsumedError:
            return True
        return False

    def _cause(self) -> Optional[BaseException]:
        return next((channel.failure for channel in self._channels if channel.failure is not None), None)
