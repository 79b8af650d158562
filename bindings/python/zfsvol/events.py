"""The kernel's events, and the history of pools."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, Optional

from ._call import call, listed_or_none, number
from ._ffi import EVENTS_NEWEST, EVENTS_OLDEST
from ._handle import Handle
from ._library import lib
from .transfer import SLICE


class Events(Handle):
    """The kernel's events, one after the other: an iterator that waits for the next, until `stop` or `close` ends it.

    Each is a dict with `eid`, `class`, `time` (seconds since 1970), `pool`, `pool_guid`, `vdev_guid`, `payload` (the kernel's own).
    """

    _free = lib.events_free
    _stop = lib.events_stop

    OLDEST = EVENTS_OLDEST
    """Before the oldest event that is kept."""
    NEWEST = EVENTS_NEWEST
    """Behind the newest: only what happens from now on."""

    _ended = False

    def next(self, timeout: Optional[float] = None) -> Optional[Dict[str, Any]]:
        """The next event, waiting for it for `timeout` seconds at most; None when there is none by then, or it was stopped."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = SLICE if end is None else min(SLICE, max(0.0, end - time.monotonic()))
            event = listed_or_none(lib.events_next, self, int(left * 1000))
            if event is not None or self._ended or (end is not None and time.monotonic() >= end):
                return event

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return self

    def __next__(self) -> Dict[str, Any]:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def dropped(self) -> int:
        """How many events were lost, because they were read too late or happened too fast."""
        return number(lib.events_dropped, self)

    def seek(self, eid: int) -> None:
        """Goes to behind the event of that `eid`, or to `OLDEST` or `NEWEST`. Raises `NotFoundError` when there is no such event any more."""
        call(lib.events_seek, self, eid)

    def stop(self) -> None:
        """Wakes whoever waits for an event, who gets none, now and later. From any thread."""
        self._ended = True
        pointer = self._enter()
        try:
            lib.events_stop(pointer)
        finally:
            self._leave()

    def close(self) -> None:
        """Closes the queue; whoever waits gets none."""
        self._ended = True
        super().close()


class History(Handle):
    """What was done to a pool, from the oldest that is kept: an iterator.

    Each is a dict with `time` (seconds since 1970), `kind` (`command`, `ioctl`, `internal`, `other`), `text`, `host`, `txg`, `payload`. Raises `NotFoundError`,
    `DeniedError` on the way.
    """

    _free = lib.history_free

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return self

    def __next__(self) -> Dict[str, Any]:
        record = listed_or_none(lib.history_next, self)
        if record is None:
            raise StopIteration
        return record
