"""The small form of the behaviour suite, on the embedded kernel; on OpenZFS where ZFSVOL_TEST_URI and ZFSVOL_TEST_DATASET say so."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Callable

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import suite  # noqa: E402


@pytest.mark.parametrize("case", suite.CASES, ids=lambda case: case.__name__)
def test_scenario(case: Callable[[suite.World], None]) -> None:
    suite.run(case, os.environ.get("ZFSVOL_TEST_URI", "embedded:"), os.environ.get("ZFSVOL_TEST_DATASET", "tank"))


def test_scenarios_have_the_names_of_the_suite() -> None:
    sources = Path(__file__).resolve().parents[3] / "tests" / "src" / "suite"
    if not sources.is_dir():
        pytest.skip("there is no suite beside an sdist")
    names = set(re.findall(r"^fn (\w+)\(world: &World\)", "".join(file.read_text() for file in sources.glob("*.rs")), re.MULTILINE))
    assert {case.__name__ for case in suite.CASES} <= names
