"""Listings of datasets, snapshots and bookmarks."""

from __future__ import annotations

import ctypes
from typing import Any, Dict, Iterator, Optional

from . import _ffi
from ._call import Names, answer_text, listed_or_none, made, sized, texts
from ._ffi import Kind
from ._handle import Handle
from ._library import lib


class Listing(Handle):
    """A listing that is being read: an iterator of dicts.

    Each has `name`, `kind` (`filesystem`, `volume`, `snapshot`, `bookmark`), `guid`, `createtxg`, `origin` (of a clone) and `properties`, as `zfs.properties.list` has them.
    """

    _free = lib.listing_free

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return self

    def __next__(self) -> Dict[str, Any]:
        dataset = listed_or_none(lib.listing_next, self)
        if dataset is None:
            raise StopIteration
        return dataset


class NameListing(Handle):
    """A listing of names that is being read: an iterator of strings."""

    _free = lib.names_free

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        name = answer_text(lib.names_next, self)
        if name is None:
            raise StopIteration
        return name


def options(roots: Optional[Names], kinds: Kind, depth: Optional[int], properties: Optional[Names], all_properties: bool, threads: int) -> Any:
    """`zfsvol_list_options`, for the length of a call."""
    found = sized(_ffi.zfsvol_list_options, kinds=kinds, all_properties=all_properties, threads=threads)
    if roots is not None:
        found.roots, found.root_count = texts(roots)
    if depth is not None:
        found.limit_depth, found.depth = True, depth
    if properties is not None:
        found.properties, found.property_count = texts(properties)
    return found


def listing(zfs: Handle, given: Any) -> Listing:
    """What `zfs.list` does."""
    return Listing(made(lib.listing_open, zfs, ctypes.byref(given)))


def names(zfs: Handle, given: Any) -> NameListing:
    """What `zfs.names` does."""
    return NameListing(made(lib.names_open, zfs, ctypes.byref(given)))
