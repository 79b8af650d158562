"""How a function of the library is called: texts in, answers out, failures raised."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from . import _ffi, errors, nvlist
from ._handle import Handle
from ._library import lib

Name = Union[str, bytes]
"""The name of a dataset, snapshot, bookmark, pool or volume; bytes are UTF-8."""

Names = Union[Name, Iterable[Name]]
"""One name, or several."""

PathName = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
"""The path of a file."""


def call(function: Callable[..., Any], *arguments: Any) -> None:
    """Calls a function that takes an error last. Handles among the arguments stay open until it has returned.

    ctypes gives up the GIL meanwhile.
    """
    error = ctypes.c_void_p()
    with lent(*arguments) as pointers:
        status = function(*pointers, ctypes.byref(error))
    if status != _ffi.Status.OK:
        raise errors.taken(status, error.value)


@contextmanager
def lent(*arguments: Any) -> Iterator[List[Any]]:
    """The arguments with pointers in the place of handles, none of which is freed meanwhile."""
    entered: List[Handle] = []
    pointers: List[Any] = []
    try:
        for argument in arguments:
            if isinstance(argument, Handle):
                pointers.append(argument._enter())
                entered.append(argument)
            else:
                pointers.append(argument)
        yield pointers
    finally:
        for handle in entered:
            handle._leave()


def made(function: Callable[..., Any], *arguments: Any) -> Optional[int]:
    """The object that a function hands out; None for NULL."""
    pointer = ctypes.c_void_p()
    call(function, *arguments, ctypes.byref(pointer))
    return pointer.value


def listed(function: Callable[..., Any], *arguments: Any) -> Dict[str, Any]:
    """The nvlist that a function answers, as a dict; an empty one for NULL."""
    return listed_or_none(function, *arguments) or {}


def listed_or_none(function: Callable[..., Any], *arguments: Any) -> Optional[Dict[str, Any]]:
    """The nvlist that a function answers, as a dict; None for NULL."""
    pointer = made(function, *arguments)
    return None if pointer is None else nvlist.taken(pointer)


def flag(function: Callable[..., Any], *arguments: Any) -> bool:
    """The truth that a function answers."""
    truth = ctypes.c_bool()
    call(function, *arguments, ctypes.byref(truth))
    return truth.value


def number(function: Callable[..., Any], *arguments: Any) -> int:
    """The uint64 that a function answers."""
    answer = ctypes.c_uint64()
    call(function, *arguments, ctypes.byref(answer))
    return answer.value


def buffer(function: Callable[..., Any], *arguments: Any) -> Optional[bytes]:
    """The bytes that a function answers; None for a NULL pointer."""
    answer = _ffi.zfsvol_buffer()
    call(function, *arguments, ctypes.byref(answer))
    return nvlist.buffer_taken(answer)


def answer_text(function: Callable[..., Any], *arguments: Any) -> Optional[str]:
    """The text that a function answers: bytes that are not UTF-8 are escaped, as in the names of files."""
    answer = buffer(function, *arguments)
    return None if answer is None else os.fsdecode(answer)


def text(value: Optional[Name]) -> _ffi.zfsvol_str:
    """A text for the length of a call; None leaves it out."""
    return nvlist.text(value)


def path(value: Optional[PathName]) -> _ffi.zfsvol_str:
    """The path of a file for the length of a call; None leaves it out."""
    return nvlist.text(None if value is None else os.fsencode(value))


def texts(values: Names) -> Tuple[Any, int]:
    """An array of texts for the length of a call, and how many there are. What it points to it keeps."""
    several = [values] if isinstance(values, (str, bytes)) else list(values)
    array = (_ffi.zfsvol_str * len(several))(*[text(value) for value in several])
    return array, len(several)


def props(values: Optional[Mapping[str, Any]]) -> Optional[nvlist.Owned]:
    """An nvlist for the length of a call; None where there is nothing in it."""
    return nvlist.Owned(values) if values else None


def sized(kind: Any, **fields: Any) -> Any:
    """A struct that begins with its size."""
    return kind(size=ctypes.sizeof(kind), **fields)


def milliseconds(seconds: Optional[float]) -> int:
    """A time for the library: None is for ever."""
    return -1 if seconds is None else max(0, int(seconds * 1000))


def raw(data: Any) -> Tuple[Any, int]:
    """Bytes for the length of a call, and how many there are; nothing is copied but from what is read-only and no `bytes`."""
    if isinstance(data, bytes):
        return data, len(data)
    view = memoryview(data).cast("B")
    if view.readonly:
        copy = view.tobytes()
        return copy, len(copy)
    return (ctypes.c_char * len(view)).from_buffer(view), len(view)


__all__ = ["lib", "Name", "Names", "PathName"]
