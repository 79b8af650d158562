"""The pool in which the work is done."""

import contextlib
import pathlib
import subprocess
import tempfile

from slow_disk import SlowDisk

NAME = "zfsvol-bench"
FILE = pathlib.Path("/tmp/zfsvol-bench.img")
# What was freed stays in memory once it was written, so the file must fit into it.
FILE_BYTES = 3 << 30


class Pool:
    """A pool on a disk, or in a file in memory; destroyed at the end.

    Nothing in it is mounted but where it is said: that is another cost, and the same for everybody.
    """

    def __init__(self, disk=None, disk_ms=0):
        self.disk = disk
        self.disk_ms = disk_ms

    def __enter__(self):
        if not self.disk:
            with open(FILE, "xb") as file:
                file.truncate(FILE_BYTES)
        device = self.disk or str(FILE)
        run("zpool", "create", "-o", "cachefile=none", "-O", "mountpoint=none", NAME, device)
        if self.disk_ms:
            self.slow_disk = SlowDisk(NAME, self.disk_ms)
        return self

    def __exit__(self, *_):
        if self.disk_ms:
            self.slow_disk.close()
        run("zpool", "destroy", NAME)
        if not self.disk:
            FILE.unlink()

    def new_parent(self, name):
        """An empty dataset for volumes."""
        parent = f"{NAME}/{name}"
        run("zfs", "create", parent)
        return parent

    def has(self, name):
        quiet = subprocess.DEVNULL
        listed = subprocess.run(["zfs", "list", name], stdout=quiet, stderr=quiet)
        return listed.returncode == 0

    @contextlib.contextmanager
    def mounted(self, name):
        """Has a dataset mounted for a while."""
        with tempfile.TemporaryDirectory() as folder:
            run("mount", "-t", "zfs", "-o", "zfsutil", name, folder)
            try:
                yield
            finally:
                run("umount", folder)

    def settle(self):
        """Waits until what was done before is on disk."""
        run("zpool", "sync", NAME)

    def transaction_group(self):
        """The number of the one that is open."""
        history = pathlib.Path(f"/proc/spl/kstat/zfs/{NAME}/txgs").read_text()
        return int(history.splitlines()[-1].split()[0])


def run(*command):
    subprocess.run(command, check=True)
