"""Puts libzfsvol into the wheel, and what it is built from into the sdist."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = ("Cargo.lock", "clippy.toml", "include", "zfsvol-core", "zfsvol-ffi")
"""What cargo needs, besides the manifest of the workspace."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling for each target."""

    def initialize(self, version: str, build_data: Dict[str, Any]) -> None:
        if version == "editable":
            return
        here = Path(self.root)
        # In an sdist the workspace is below, in the repository above.
        workspace = here / "rust" if (here / "rust").is_dir() else here.parent.parent
        include = build_data["force_include"]
        if self.target_name == "sdist":
            include[str(self._manifest(workspace))] = "rust/Cargo.toml"
            for name in SOURCES:
                for file in _files(workspace / name):
                    include[str(file)] = f"rust/{file.relative_to(workspace)}"
            place = ""
        else:
            include[str(self._library(workspace))] = "zfsvol/libzfsvol.so"
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-linux_{platform.machine()}"
            place = "zfsvol/licenses/"
        for name in ("LICENSE-APACHE", "LICENSE-MIT"):
            found = workspace / name if (workspace / name).exists() else here / name
            include[str(found)] = place + name

    def _library(self, workspace: Path) -> Path:
        """The library that ZFSVOL_LIBRARY names, or one that is built now, by the profile of cargo that ZFSVOL_PROFILE names."""
        named = os.environ.get("ZFSVOL_LIBRARY")
        if named:
            return Path(named).resolve()
        target = Path(os.environ.get("CARGO_TARGET_DIR", workspace / "target"))
        profile = os.environ.get("ZFSVOL_PROFILE", "release")
        cargo = [os.environ.get("CARGO", "cargo"), "build", "--profile", profile, "-p", "zfsvol-ffi", "--lib", "--target-dir", str(target)]
        subprocess.run(cargo, cwd=workspace, check=True)
        return target / ("debug" if profile == "dev" else profile) / "libzfsvol.so"

    def _manifest(self, workspace: Path) -> Path:
        """The manifest of the workspace without the members that an sdist does not have."""
        text = (workspace / "Cargo.toml").read_text()
        members = '["zfsvol-core", "zfsvol-ffi"]'
        text = re.sub(r"^(members|default-members) = .*$", rf"\1 = {members}", text, flags=re.MULTILINE)
        self._directory = tempfile.TemporaryDirectory()
        manifest = Path(self._directory.name) / "Cargo.toml"
        manifest.write_text(text)
        return manifest


def _files(place: Path) -> "list[Path]":
    """The files of a directory that are part of the project: not what cargo and fuzzers have left there."""
    if not place.is_dir():
        return [place] if place.exists() else []
    left = {"target", "fuzz", "__pycache__"}
    return [file for file in sorted(place.rglob("*")) if file.is_file() and not left & set(file.relative_to(place).parts)]
