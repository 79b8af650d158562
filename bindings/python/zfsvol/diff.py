"""The files that changed."""

from __future__ import annotations

from typing import Any, Dict, Iterator

from ._call import answer_text, listed
from ._handle import Handle
from ._library import lib


class Diff(Handle):
    """The files that changed, one after the other: an iterator.

    Each is a dict with `kind` (`added`, `removed`, `modified`, `renamed` with the new path `detail`, `links` with how many more or fewer `detail`), `path`, `file`
    (`file`, `directory`, ...), `object`, `changed`. Raises `WrongTypeError` (zvols), `KeyNotLoadedError`, `CancelledError`, `DeniedError` on the way.
    """

    _free = lib.diff_free
    _stop = lib.diff_cancel
    _runs = True

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return self

    def __next__(self) -> Dict[str, Any]:
        change = listed(lib.diff_next, self)
        if not change:
            raise StopIteration
        return change

    def to(self) -> str:
        """What it is compared with: the later snapshot, which is a temporary one if the present is."""
        return answer_text(lib.diff_to, self) or ""

    def cancel(self) -> None:
        """Stops the comparison, from any thread."""
        pointer = self._enter()
        try:
            lib.diff_cancel(pointer)
        finally:
            self._leave()
