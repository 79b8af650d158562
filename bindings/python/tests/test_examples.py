"""The examples, the README and what is exported."""

from __future__ import annotations

import doctest
import runpy
from pathlib import Path

import pytest

import zfsvol
from zfsvol import errors

HERE = Path(__file__).resolve().parent.parent


def printed(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(str(HERE / "examples" / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out


def test_handoff(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed("handoff", capsys)
    assert "here: owned" in said and said.rstrip().endswith("there it says: hello")


def test_backup(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed("backup", capsys) == "sound: True\nrestored: tank/b@monday\nrestored: tank/c@monday\n"


def test_readme_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed("readme", capsys) == "['tank', 'tank/db', 'tank/db-test']\n"
    readme = HERE.parent.parent / "README.md"
    if not readme.exists():
        pytest.skip("there is no README of the project beside an sdist")
    assert "```python\n" + (HERE / "examples" / "readme.py").read_text() + "```\n" in readme.read_text()


def test_code_of_the_readme_runs() -> None:
    text = (HERE / "README.md").read_text().replace("```", "\n")
    parsed = doctest.DocTestParser().get_doctest(text, {}, "README.md", None, None)
    assert len(parsed.examples) > 10
    report: list[str] = []
    assert doctest.DocTestRunner().run(parsed, out=report.append).failed == 0, "".join(report)


def test_every_error_is_exported() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.Error)}
    assert kinds <= set(zfsvol.__all__)
    assert all(hasattr(zfsvol, name) for name in zfsvol.__all__)


def test_everything_public_says_what_it_does() -> None:
    for name in zfsvol.__all__:
        item = getattr(zfsvol, name)
        assert item.__doc__, name
        if isinstance(item, type) and issubclass(item, zfsvol.Handle):
            undocumented = [one for one, member in vars(item).items() if not one.startswith("_") and callable(member) and not member.__doc__]
            assert undocumented == [], name


def test_version_is_that_of_the_library() -> None:
    assert f'version = "{zfsvol.__version__}"' in (HERE / "pyproject.toml").read_text()
