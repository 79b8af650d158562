"""Finds libzfsvol, and loads it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import List

from . import _ffi

SONAME = f"libzfsvol.so.{_ffi.ABI}"
"""What the dynamic linker knows the library as: its number is that of the ABI."""

VARIABLE = "ZFSVOL_LIBRARY"
"""The environment variable that names another library, by its path: for those who build it."""


class LibraryError(ImportError):
    """There is no libzfsvol here, or not one that this package can use."""


def candidates() -> List[str]:
    """Where the library is looked for: what the variable names and nothing else, or the file of the package, or what is installed."""
    named = os.environ.get(VARIABLE)
    if named:
        return [named]
    packaged = Path(__file__).resolve().parent / "libzfsvol.so"
    return [str(packaged)] if packaged.exists() else [SONAME]


def load() -> _ffi.Library:
    """Loads the library, and compares its ABI before anything else is asked of it."""
    (name,) = candidates()
    try:
        library = ctypes.CDLL(name)
    except OSError as failure:
        raise LibraryError(f"cannot load libzfsvol: {failure}; install it, or set {VARIABLE} to its path") from failure
    try:
        abi = int(library.zfsvol_abi())
    except AttributeError as failure:
        raise LibraryError(f"'{name}' is not libzfsvol") from failure
    if abi != _ffi.ABI:
        raise LibraryError(f"'{name}' has version {abi} of the ABI, and this package needs {_ffi.ABI}: install the two of one release")
    try:
        return _ffi.Library(library)
    except AttributeError as failure:
        raise LibraryError(f"'{name}' is older than this package: {failure}") from failure


lib = load()
"""The functions of the library."""
