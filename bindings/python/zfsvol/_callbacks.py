"""Functions of Python that the library calls.

The library is given a number for each; what it stands for is here until the library says that it is done with it. The functions that C calls are made
once and never freed: one that is freed while C returns from it would take the process down.
"""

from __future__ import annotations

import ctypes
import errno
import io
import itertools
import socket
import sys
from typing import Any, Callable, Dict, Optional, Protocol, Union

from . import _ffi
from ._library import lib


class Readable(Protocol):
    """What can be read: `read(n)` returns at most `n` bytes, and none at the end."""

    def read(self, size: int, /) -> Optional[bytes]: ...


class Writable(Protocol):
    """What can be written: `write(data)` returns how many bytes it took; None stands for all."""

    def write(self, data: bytes, /) -> Any: ...


Source = Union[int, socket.socket, Readable]
"""Where bytes come from: a descriptor, a socket or a file object."""

Sink = Union[int, socket.socket, Writable]
"""Where bytes go to."""

_numbers = itertools.count(1)
_objects: Dict[int, Any] = {}


def keep(item: Any) -> int:
    """The number that stands for an object until `drop`."""
    number = next(_numbers)
    _objects[number] = item
    return number


def kept(number: Optional[int]) -> Any:
    """The object of a number."""
    return _objects[number or 0]


def drop(number: Optional[int]) -> None:
    """The library is done with it."""
    _objects.pop(number or 0, None)


def count() -> int:
    """How many objects the library has; for tests."""
    return len(_objects)


release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(drop)
"""The `release` of everything."""


class Channel:
    """A file object that the library reads or writes, and the exception that came out of it."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.failure: Optional[BaseException] = None
        self.stopped = False
        """Whether the file is not to be used any more: the transfer was cancelled."""

    def failed(self, failure: BaseException) -> int:
        """Keeps the exception for whoever waits, and returns what the library is told."""
        self.failure = failure
        number = getattr(failure, "errno", None)
        return -(number if isinstance(number, int) and 0 < number < 4096 else errno.EIO)


def _read(context: Optional[int], buffer: Optional[int], size: int) -> int:
    channel: Channel = kept(context)
    if channel.stopped:
        return -errno.ECANCELED
    try:
        data = channel.file.recv(size) if isinstance(channel.file, socket.socket) else channel.file.read(size)
        if data is None:
            raise BlockingIOError(errno.EAGAIN, "the file does not wait for data")
        if len(data) > size:
            raise ValueError("read() returned more than it was asked for")
        ctypes.memmove(buffer or 0, bytes(data), len(data))
        return len(data)
    except BaseException as failure:
        return channel.failed(failure)


def _write(context: Optional[int], buffer: Optional[int], size: int) -> int:
    channel: Channel = kept(context)
    if channel.stopped:
        return -errno.ECANCELED
    try:
        data = ctypes.string_at(buffer or 0, size)
        taken = channel.file.send(data) if isinstance(channel.file, socket.socket) else channel.file.write(data)
        return size if taken is None else int(taken)
    except BaseException as failure:
        return channel.failed(failure)


_read_function = _ffi.zfsvol_reader._fields_[1][1](_read)
_write_function = _ffi.zfsvol_writer._fields_[1][1](_write)


def descriptor(file: Any) -> Optional[int]:
    """The descriptor that stands for a file object, if it holds nothing that the descriptor does not: then no Python runs for the stream.

    What reads ahead (`BufferedReader`) or changes the bytes (`GzipFile`, `SSLSocket`) has a descriptor too, that would be the wrong one.
    """
    if isinstance(file, int) and not isinstance(file, bool):
        return file
    if type(file) in (io.FileIO, socket.socket):
        return int(file.fileno())
    if type(file) is io.BufferedWriter and type(file.raw) is io.FileIO:
        file.flush()
        return file.fileno()
    return None


def reader(file: Source) -> "tuple[_ffi.zfsvol_reader, Channel]":
    """A reader of a file object, to be given to one call."""
    from ._call import call

    channel = Channel(file)
    made = _ffi.zfsvol_reader()
    found = descriptor(file)
    if found is None:
        made.context, made.read, made.release = keep(channel), _read_function, release
    else:
        call(lib.reader_from_fd, found, ctypes.byref(made))
    return made, channel


def writer(file: Sink) -> "tuple[_ffi.zfsvol_writer, Channel]":
    """A writer of a file object, to be given to one call."""
    from ._call import call

    channel = Channel(file)
    made = _ffi.zfsvol_writer()
    found = descriptor(file)
    if found is None:
        made.context, made.write, made.release = keep(channel), _write_function, release
    else:
        call(lib.writer_from_fd, found, ctypes.byref(made))
    return made, channel


def both(source: Source, sink: Sink) -> "tuple[tuple[_ffi.zfsvol_reader, Channel], tuple[_ffi.zfsvol_writer, Channel]]":
    """A reader and a writer for one call; if there cannot be the one, the other is let go of."""
    made = reader(source)
    try:
        return made, writer(sink)
    except BaseException:
        made[0].release(made[0].context)
        raise


def called(function: Callable[..., Any], *arguments: Any, default: Any = None) -> Any:
    """Calls what a program gave. An exception has nowhere to go: it is shown as one in `__del__` is, and `default` answers."""
    try:
        return function(*arguments)
    except BaseException as failure:
        show(failure, function)
        return default


def show(failure: BaseException, function: Any) -> None:
    """Gives an exception to `sys.unraisablehook`."""
    sys.unraisablehook(_Unraisable(failure, function))  # type: ignore[arg-type]


class _Unraisable:
    """What `sys.unraisablehook` takes; its own class cannot be made by programs."""

    def __init__(self, failure: BaseException, function: Any) -> None:
        self.exc_type = type(failure)
        self.exc_value = failure
        self.exc_traceback = failure.__traceback__
        self.err_msg = "exception ignored in a callback of zfsvol"
        self.object = function
