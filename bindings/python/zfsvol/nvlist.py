"""Name-value lists as dicts.

What the library answers:

| nvlist | Python |
| --- | --- |
| `boolean`, the pair without value | `None` |
| `boolean_value` | `bool` |
| integers, `byte`, `hrtime` | `int` |
| `string` | `str`, or `bytes` where it is not UTF-8 |
| `byte_array` | `bytes` |
| other arrays | `list` |
| `nvlist` | `dict` |
| `double` | `float` |

What it is given is the same the other way round. An `int` becomes a `uint64`, or an `int64` if it is negative; `bytes` a string, `bytearray` a byte
array. `Typed` says another type.

    >>> loads(dumps({"a": 1, "b": [True, False], "c": {"d": None, "e": "x"}}))
    {'a': 1, 'b': [True, False], 'c': {'d': None, 'e': 'x'}}
    >>> loads(dumps({"a": Typed("int32", -1), "b": bytearray(b"x"), "c": 0.5}))
    {'a': -1, 'b': b'x', 'c': 0.5}
"""

from __future__ import annotations

import ctypes
import json
import struct
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from . import _ffi
from ._library import lib

NvList = Dict[str, Any]
"""A list as Python has it."""


class Typed(NamedTuple):
    """A value and the name of its nvlist type, where another one than the usual is needed: `Typed("uint32", 5)`."""

    kind: str
    value: Any


class Owned:
    """A list of the library for the length of a call; freed with the object."""

    def __init__(self, values: Mapping[Any, Any]) -> None:
        from . import errors

        self.pointer: Optional[int] = None
        made, error = ctypes.c_void_p(), ctypes.c_void_p()
        source = json.dumps(_encoded(values)).encode()
        status = lib.nvlist_from_json(text(source), ctypes.byref(made), ctypes.byref(error))
        if status != _ffi.Status.OK:
            raise errors.taken(status, error.value)
        self.pointer = made.value

    @property
    def _as_parameter_(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.pointer)

    def __del__(self) -> None:
        lib.nvlist_free(self.pointer)


def dumps(values: Mapping[Any, Any], encoding: _ffi.Encoding = _ffi.Encoding.XDR) -> bytes:
    """A list packed, byte for byte as libnvpair does it. Raises `InvalidError` when a name or a string has a NUL in it."""
    from . import errors

    owned, packed, error = Owned(values), _ffi.zfsvol_buffer(), ctypes.c_void_p()
    status = lib.nvlist_pack(owned, int(encoding), ctypes.byref(packed), ctypes.byref(error))
    if status != _ffi.Status.OK:
        raise errors.taken(status, error.value)
    return buffer_taken(packed) or b""


def loads(packed: bytes) -> NvList:
    """The list that is packed there, in either encoding and byte order. Takes anything: what is no list raises an `Error`."""
    from . import errors

    made, error = ctypes.c_void_p(), ctypes.c_void_p()
    status = lib.nvlist_unpack(packed, len(packed), ctypes.byref(made), ctypes.byref(error))
    if status != _ffi.Status.OK or made.value is None:
        raise errors.taken(status, error.value)
    return taken(made.value)


def taken(pointer: int) -> NvList:
    """A list of the library as a dict; the list is freed."""
    try:
        return lent(pointer)
    finally:
        lib.nvlist_free(pointer)


def lent(pointer: Optional[int]) -> NvList:
    """A list that the library lends, as a dict."""
    from . import errors

    packed, error = _ffi.zfsvol_buffer(), ctypes.c_void_p()
    status = lib.nvlist_to_json(pointer, ctypes.byref(packed), ctypes.byref(error))
    if status != _ffi.Status.OK:
        raise errors.taken(status, error.value)
    source = buffer_taken(packed)
    decoded: NvList = json.loads(source or b"{}", object_pairs_hook=_decoded)
    return decoded


def buffer_taken(answer: _ffi.zfsvol_buffer) -> Optional[bytes]:
    """What is in a buffer, which is freed; None for a NULL pointer."""
    if not answer.ptr:
        return None
    try:
        return ctypes.string_at(answer.ptr, answer.len)
    finally:
        lib.buffer_free(ctypes.byref(answer))


def text(value: Union[str, bytes, None]) -> _ffi.zfsvol_str:
    """A text for the length of a call: ctypes keeps the bytes as long as the struct. None leaves it out."""
    if value is None:
        return _ffi.zfsvol_str()
    encoded = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if not isinstance(encoded, bytes):
        raise TypeError(f"a text is needed, and not {type(value).__name__}")
    return _ffi.zfsvol_str(_ffi.Text(encoded), len(encoded))


def text_of(lent_text: _ffi.zfsvol_str) -> str:
    """A copy of a text that the library lends."""
    address = ctypes.cast(lent_text.ptr, ctypes.c_void_p).value
    return ctypes.string_at(address, lent_text.len).decode("utf-8", "surrogateescape") if address else ""


def _decoded(pairs: List[Tuple[str, Any]]) -> Any:
    """One object of the library's JSON: a list, whose keys are `name:type`, or what stands for a string."""
    if len(pairs) == 1 and pairs[0][0] == "hex":
        return bytes.fromhex(pairs[0][1])
    if pairs and pairs[0][0] == "$nvflag":
        # Names that are not unique: the kernel takes the last of them, and so do dicts.
        pairs = [(name, value) for name, value in pairs[1][1]]
    values: NvList = {}
    for key, value in pairs:
        name, _, kind = key.rpartition(":")
        if kind == "byte_array":
            value = bytes.fromhex(value)
        elif kind == "double":
            value = _double(value)
        values[name] = value
    return values


def _double(value: str) -> float:
    if value.startswith("bits:"):
        number: float = struct.unpack(">d", bytes.fromhex(value[5:].rjust(16, "0")))[0]
        return number
    return float(value)


def _encoded(values: Mapping[Any, Any]) -> Dict[str, Any]:
    """A dict as the library's JSON has it."""
    encoded = {}
    for name, value in values.items():
        if isinstance(name, bytes):
            name = name.decode()
        kind, content = _typed(name, value)
        encoded[f"{name}:{kind}"] = content
    return encoded


def _typed(name: str, value: Any) -> Tuple[str, Any]:
    """The type of a value, and the value as the library's JSON has it."""
    if isinstance(value, Typed):
        content = value.value
        if value.kind == "byte_array":
            content = bytes(content).hex()
        elif value.kind == "double":
            content = repr(float(content))
        elif value.kind == "nvlist":
            content = _encoded(content)
        return value.kind, content
    if value is None:
        return "boolean", None
    if isinstance(value, bool):
        return "boolean_value", value
    if isinstance(value, int):
        return "int64" if value < 0 else "uint64", int(value)
    if isinstance(value, float):
        return "double", repr(value)
    if isinstance(value, (str, bytes)):
        return "string", _string(value)
    if isinstance(value, (bytearray, memoryview)):
        return "byte_array", bytes(value).hex()
    if isinstance(value, Mapping):
        return "nvlist", _encoded(value)
    if isinstance(value, (list, tuple)):
        return _array(name, value)
    raise TypeError(f"'{name}' cannot be in an nvlist: {type(value).__name__}")


def _array(name: str, values: Any) -> Tuple[str, Any]:
    """An array is of one type. That of an empty one cannot be told: `Typed` has to say it."""
    kinds = {_typed(name, value)[0] for value in values}
    contents = [_typed(name, value)[1] for value in values]
    if kinds == {"int64", "uint64"}:
        kinds = {"int64"}
    if len(kinds) != 1:
        raise TypeError(f"'{name}' is no array of one type: {', '.join(sorted(kinds)) or 'empty'}")
    kind = kinds.pop()
    if kind in ("boolean", "byte_array", "double") or kind.endswith("_array"):
        raise TypeError(f"there are no nvlist arrays of {kind}: '{name}'")
    return {"boolean_value": "boolean"}.get(kind, kind) + "_array", contents


def _string(value: Union[str, bytes]) -> Any:
    """A string that is not UTF-8 is written in hexadecimal."""
    content = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"hex": content.hex()}
