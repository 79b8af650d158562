"""Doors to a kernel that watch, refuse, fail or write down what goes through them."""

from __future__ import annotations

import ctypes
import errno
from typing import Any, Callable, Iterable, List, NamedTuple, Optional, Tuple

from . import _callbacks, _ffi, nvlist
from ._call import Name, answer_text, call, listed, made, sized, text
from ._callbacks import Sink, Source
from ._ffi import Order
from ._handle import Handle
from ._library import lib
from .errors import Error


class Call(NamedTuple):
    """A call to the kernel that is about to be carried out, or was."""

    text: str
    """What is called and what for: `ZFS_IOC_SNAPSHOT 'tank'`."""
    names: Tuple[str, ...]
    """The pools, datasets, snapshots and bookmarks it is about."""
    ioctl: int
    """The number of the ioctl; 0 for a mount, an unmount or the opening of a device."""
    errno: int
    """Afterwards: the errno, 0 if it was carried out well."""
    seconds: float
    """Afterwards: how long it took below this door."""
    refused: bool
    """Afterwards: whether `before` had refused it."""


Before = Callable[[Call], Optional[int]]
"""0 or None has the call carried out, an errno refuses it."""

After = Callable[[Call], Any]


def _call_of(pointer: Any) -> Call:
    found = pointer[0]
    names = tuple(nvlist.text_of(found.names[index]) for index in range(found.name_count))
    return Call(nvlist.text_of(found.text), names, found.ioctl, found.error_number, found.nanoseconds / 1e9, found.refused)


def _before(context: Optional[int], pointer: Any) -> int:
    before, _ = _callbacks.kept(context)
    # Who cannot say that a call may be made has not said it.
    return int(_callbacks.called(lambda: before(_call_of(pointer)), default=errno.EACCES) or 0) if before else 0


def _after(context: Optional[int], pointer: Any) -> None:
    _, after = _callbacks.kept(context)
    if after:
        _callbacks.called(lambda: after(_call_of(pointer)))


_before_function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(_ffi.zfsvol_call))(_before)
_after_function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_ffi.zfsvol_call))(_after)


def observe(zfs: Handle, before: Optional[Before], after: Optional[After]) -> Optional[int]:
    """What `zfs.observe` does."""
    zfs._check()
    observer = sized(
        _ffi.zfsvol_observer,
        context=_callbacks.keep((before, after)),
        before=_before_function,
        after=_after_function,
        release=_callbacks.release,
    )
    return made(lib.door_observe, zfs, ctypes.byref(observer))


class Rule(NamedTuple):
    """Which calls fail, and how. Without more than the errno: every call, before it is carried out."""

    errno: int
    ioctl: int = 0
    """Only the ioctl of this number; 0 for all."""
    name_prefix: Optional[Name] = None
    """Only calls about a name that begins so."""
    skip: int = 0
    """Not the first so many of those that match."""
    times: int = 0
    """At most so many calls; 0 for no limit."""
    one_in: int = 0
    """About one in so many; 0 for all."""
    seed: int = 0
    """Which of them, with `one_in`: the same in each run."""
    after: bool = False
    """They are carried out, and the answer lost."""


class Faults(Handle):
    """A door behind which chosen calls fail, for tests of a program. Handles that go through it go on doing so when it is closed."""

    _free = lib.fault_free

    def __init__(self, zfs: Handle, rules: Iterable[Rule]) -> None:
        several = [
            _ffi.zfsvol_fault_rule(
                error_number=rule.errno,
                ioctl=rule.ioctl,
                name_prefix=text(rule.name_prefix),
                skip=rule.skip,
                times=rule.times,
                one_in=rule.one_in,
                seed=rule.seed,
                after=rule.after,
            )
            for rule in rules
        ]
        super().__init__(made(lib.fault_new, zfs, (_ffi.zfsvol_fault_rule * len(several))(*several), len(several)))

    def zfs(self) -> Any:
        """A `Zfs` that goes through the door."""
        from .zfs import Zfs

        return Zfs(made(lib.fault_zfs, self))

    def failed(self) -> List[int]:
        """How many calls each rule has let fail so far, in the order of the rules."""
        counts: List[int] = listed(lib.fault_failed, self).get("failed", [])
        return counts


class Recording(Handle):
    """A door that writes down each call and its answer. Keys, the bytes of streams and the data of devices are not in the recording."""

    _free = lib.record_free

    def __init__(self, zfs: Handle, sink: Sink) -> None:
        zfs._check()
        writer, self._channel = _callbacks.writer(sink)
        super().__init__(made(lib.record_open, zfs, ctypes.byref(writer)))

    def zfs(self) -> Any:
        """A `Zfs` that goes through the door."""
        from .zfs import Zfs

        return Zfs(made(lib.record_zfs, self))

    def finish(self) -> None:
        """Returns if all was written so far; raises what writing failed with first, since when nothing was recorded. The recording goes on."""
        try:
            call(lib.record_finish, self)
        except Error as failure:
            raise failure from self._channel.failure


class Replay(Handle):
    """A door with no kernel behind it, that answers from a recording; each recorded answer is given once. A call that the recording does not have fails.

    Raises `CorruptError` (it is none, is damaged or cut off), `UnsupportedError` (a newer format), `TooLargeError` (above 1 GiB).
    """

    _free = lib.replay_free

    def __init__(self, source: Source, order: Order = Order.STRICT) -> None:
        reader, channel = _callbacks.reader(source)
        try:
            super().__init__(made(lib.replay_open, ctypes.byref(reader), order))
        except Error as failure:
            raise failure from channel.failure

    def zfs(self) -> Any:
        """A `Zfs` that is answered from the recording."""
        from .zfs import Zfs

        return Zfs(made(lib.replay_zfs, self))

    def left(self) -> int:
        """How many recorded calls were not made yet."""
        pointer = self._enter()
        try:
            return int(lib.replay_left(pointer))
        finally:
            self._leave()

    def mismatch(self) -> Optional[str]:
        """What was wrong with the first call that the recording does not have; None if there was none."""
        return answer_text(lib.replay_mismatch, self)
