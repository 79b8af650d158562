"""Where `tests/vm/build` leaves the guests, and where `tests/vm/run` finds them."""

import os
import pathlib

# The same number as in tests/vm/build: a guest of another recipe is not found.
RECIPE = 1


def directory():
    """The folder that holds every guest of this recipe."""
    chosen = os.environ.get("ZFSVOL_VM_CACHE")
    if chosen:
        return pathlib.Path(chosen) / f"recipe-{RECIPE}"
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "zfsvol" / "vm" / f"recipe-{RECIPE}"


class Guest:
    """One built guest: a kernel, its initramfs, and the shared root."""

    def __init__(self, kind, release):
        self.kind = kind
        self.release = release
        folder = directory() / f"{kind}-{release}"
        self.kernel = folder / "kernel"
        self.initramfs = folder / "initramfs.cpio"
        self.root = directory() / "root" / "root.ext4"

    def is_built(self):
        return all(p.exists() for p in (self.kernel, self.initramfs, self.root))
