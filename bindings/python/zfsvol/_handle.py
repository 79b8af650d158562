"""Objects of the library, as Python owns them."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from types import TracebackType
from typing import Any, Callable, ClassVar, Optional, Type, TypeVar

Self = TypeVar("Self", bound="Handle")


class ClosedError(ValueError):
    """The object was closed, or belongs to the process that this one was forked from."""


class Handle:
    """An object of the library. Close it, or use it in a `with` statement; what is forgotten is freed with the Python object.

    Can be used by any number of threads at once. `close` waits until no call is under way with it, after having told those that wait to stop.
    """

    _free: ClassVar[Callable[..., Any]]
    """Frees it."""

    _stop: ClassVar[Optional[Callable[..., Any]]] = None
    """Wakes those who wait in a call with it."""

    _runs: ClassVar[bool] = False
    """Whether threads of the library go on with it by themselves, and may call Python."""

    _pointer: Optional[int] = None

    def __init__(self, pointer: Optional[int]) -> None:
        if not pointer:
            raise ClosedError(f"there is no {type(self).__name__}")
        self._calls = 0
        self._gate = threading.Condition()
        self._process = os.getpid()
        self._pointer = pointer
        if type(self)._runs:
            _running.add(self)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._pointer is None

    def close(self) -> None:
        """Frees it. Can be called twice; any other use afterwards raises `ClosedError`."""
        with self._gate:
            pointer, self._pointer = self._pointer, None
            if pointer is None or self._process != os.getpid():
                return
            stop = type(self)._stop
            if self._calls and stop is not None:
                stop(pointer)
            while self._calls:
                self._gate.wait()
        type(self)._free(pointer)

    def _check(self) -> None:
        """Raises `ClosedError` before something is made for a call that cannot be."""
        self._enter()
        self._leave()

    def _detach(self) -> int:
        """Its pointer, which belongs to the library from now on."""
        with self._gate:
            pointer, self._pointer = self._pointer, None
        if pointer is None:
            raise ClosedError(f"{type(self).__name__} is closed")
        return pointer

    def _enter(self) -> int:
        """A call with it begins: its pointer."""
        with self._gate:
            if self._pointer is None:
                raise ClosedError(f"{type(self).__name__} is closed")
            if self._process != os.getpid():
                raise ClosedError(f"{type(self).__name__} belongs to the process that this one was forked from")
            self._calls += 1
            return self._pointer

    def _leave(self) -> None:
        """A call with it has ended."""
        with self._gate:
            self._calls -= 1
            if not self._calls:
                self._gate.notify_all()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        # Nobody else has it any more, so there is no call to wait for. A fork has copied the object without the threads that it needs.
        pointer, self._pointer = self._pointer, None
        if pointer is not None and self._process == os.getpid():
            type(self)._free(pointer)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{' closed' if self.closed else ''}>"


_running: "weakref.WeakSet[Handle]" = weakref.WeakSet()
"""What threads of the library are busy with."""


@atexit.register
def _end() -> None:
    """Ends what still runs when the program does: a thread that called Python after its end would take the process down."""
    for handle in list(_running):
        # One that a thread still waits with is only told to stop: to wait for that thread here might be for ever.
        stop = type(handle)._stop
        if handle._calls and stop is not None and handle._pointer is not None:
            stop(handle._pointer)
        elif not handle._calls:
            handle.close()


class Area:
    """A part of what can be done with a kernel: `zfs.snapshots`, `zfs.pools`."""

    def __init__(self, zfs: Handle) -> None:
        self._zfs = zfs
