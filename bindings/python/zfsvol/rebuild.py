"""What streams hold, rebuilt without OpenZFS: zvols, trees of files, files, and what changed."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import _callbacks, nvlist
from ._call import PathName, call, listed, made, path
from ._callbacks import Source
from ._handle import Handle
from ._library import lib
from .errors import Error


class ZvolImage(Handle):
    """The block device of a zvol, rebuilt into a file that can be read, written and sought. The descriptor is duplicated, and its offset moved.

    With `guid` 0 the file is to be empty, and a full stream comes first; else it holds that snapshot already, and an increment from it comes first.
    """

    _free = lib.zvol_image_free

    def __init__(self, descriptor: int, guid: int = 0) -> None:
        super().__init__(made(lib.zvol_image_open, descriptor, guid))

    def apply(self, stream: Source) -> None:
        """Makes the file what the zvol was at the snapshot of this stream. When it fails, the file holds neither: begin anew.

        Raises as `stream.verify`, also when it does not start from what the file holds; `InvalidError` (not of a zvol; raw, redacted or resumed).
        """
        _apply(lib.zvol_image_apply, self, stream)

    def info(self) -> Dict[str, int]:
        """What it holds: `guid` (of the snapshot; missing before the first and after a failure), `written` (bytes of blocks)."""
        return listed(lib.zvol_image_info, self)


class FileTree(Handle):
    """The files of a file system, from its streams: a full one comes first. It keeps `limit` bytes at most; 0 for 1 GiB."""

    _free = lib.file_tree_free

    def __init__(self, limit: int = 0) -> None:
        super().__init__(made(lib.file_tree_new, limit))

    def apply(self, stream: Source) -> None:
        """Makes it the tree at the snapshot of this stream. Raises as `ZvolImage.apply`, of a file system."""
        _apply(lib.file_tree_apply, self, stream)

    def files(self) -> List[Dict[str, Any]]:
        """Every file, directories before what is in them: `path`, `object`, `kind`, `size` (bytes; of a directory, how many entries), `mode`, `uid`, `gid`, `links`, `modified`,
        `target`. Raises `InvalidError` (there is no file system), `CorruptError`."""
        found: List[Dict[str, Any]] = []
        self.walk(found.append)
        return found

    def walk(self, visit: Callable[[Dict[str, Any]], Any]) -> None:
        """Calls `visit` with every file, as `files` has them. What it raises is raised here, and it is not called again."""
        raised: List[BaseException] = []

        def visited(_: Optional[int], file: Optional[int]) -> None:
            if not raised:
                try:
                    visit(nvlist.lent(file))
                except BaseException as failure:
                    raised.append(failure)

        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(visited)
        call(lib.file_tree_walk, self, function, None)
        if raised:
            raise raised[0]

    def find(self, where: PathName) -> Tuple[int, int]:
        """What is at a path: its object and its length in bytes, for `FileImage`. Raises `NotFoundError`."""
        found, size = ctypes.c_uint64(), ctypes.c_uint64()
        call(lib.file_tree_find, self, path(where), ctypes.byref(found), ctypes.byref(size))
        return found.value, size.value


class FileImage(Handle):
    """The data of the file that is `object_number`, rebuilt from the streams of its file system into an empty file. The descriptor is duplicated."""

    _free = lib.file_image_free

    def __init__(self, descriptor: int, object_number: int) -> None:
        super().__init__(made(lib.file_image_open, descriptor, object_number))

    def apply(self, stream: Source) -> None:
        """Makes the data what it was at the snapshot of this stream. Raises as `ZvolImage.apply`, of a file system."""
        _apply(lib.file_image_apply, self, stream)

    def finish(self, size: int) -> None:
        """Cuts the data off where the file ends, which is `size` bytes long: what `FileTree.find` said. Uses the image up."""
        call(lib.file_image_finish, self, size)


class Changes(Handle):
    """Which objects, and which ranges of them, streams change."""

    _free = lib.changes_free

    def __init__(self) -> None:
        super().__init__(made(lib.changes_new))

    def add(self, stream: Source) -> None:
        """Adds what a stream changes. Memory grows with what it names. Raises as `stream.verify`."""
        _apply(lib.changes_add, self, stream)

    def list(self) -> Dict[str, Any]:
        """All of it: `objects`, by the number in decimal `object_type`, `block_bytes`, `end`, `written`, `freed`, `redacted` (ranges); `freed_objects` (ranges)."""
        return listed(lib.changes_list, self)


def _apply(function: Any, handle: Handle, stream: Source) -> None:
    handle._check()
    reader, channel = _callbacks.reader(stream)
    try:
        call(function, handle, ctypes.byref(reader))
    except Error as failure:
        raise failure from channel.failure
