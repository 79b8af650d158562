"""What the tests have in common."""

from __future__ import annotations

import gc
import time
from typing import Iterator

import pytest

import zfsvol
from zfsvol import _callbacks


@pytest.fixture
def zfs() -> Iterator[zfsvol.Zfs]:
    with zfsvol.open("embedded:") as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Everything that the library was given to call, it has let go of."""
    before = _callbacks.count()
    yield
    gc.collect()
    # Threads of a connection that has ended may still be on their way out.
    deadline = time.monotonic() + 5
    while _callbacks.count() != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _callbacks.count() == before
