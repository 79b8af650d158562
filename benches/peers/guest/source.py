"""A zvol full of noise, with two snapshots, to be sent; and where its streams go."""

import contextlib
import fcntl
import glob
import os
import subprocess

from pool import NAME, run

PARENT = f"{NAME}/source"
ZVOL = f"{PARENT}/v000000"
FILE = "/tmp/zfsvol-bench.stream"
INCREMENT = "/tmp/zfsvol-bench.increment"
PIPE = "/tmp/zfsvol-bench.pipe"
# _IOR(0x12, 125, char[256]) of OpenZFS include/sys/fs/zfs.h: which zvol a device is.
BLKZNAME = 0x8100127D
PIECE_BYTES = 1 << 20
# Of so many pieces one is written again between the two snapshots.
CHANGED_OF = 8


def make(mebibytes):
    """Creates the zvol, fills it, and leaves the full stream of it in FILE."""
    run("zfs", "create", PARENT)
    properties = ["-o", "compression=off", "-o", "volblocksize=16k"]
    run("zfs", "create", "-s", "-V", f"{mebibytes}M", *properties, ZVOL)
    with open(device(), "r+b", buffering=0) as zvol:
        fill(zvol, range(mebibytes))
        run("zfs", "snapshot", f"{ZVOL}@a")
        fill(zvol, range(0, mebibytes, CHANGED_OF))
    run("zfs", "snapshot", f"{ZVOL}@b")
    with open(FILE, "wb") as stream:
        subprocess.run(["zfs", "send", f"{ZVOL}@a"], stdout=stream, check=True)
    os.mkfifo(PIPE)


def fill(zvol, pieces):
    for piece in pieces:
        zvol.seek(piece * PIECE_BYTES)
        zvol.write(os.urandom(PIECE_BYTES))
    os.fsync(zvol.fileno())


def device():
    """The node of the zvol, among those that there are: no udev makes links."""
    for path in glob.glob("/dev/zd*"):
        with open(path, "rb", buffering=0) as node:
            with contextlib.suppress(OSError):
                name = fcntl.ioctl(node, BLKZNAME, bytes(256))
                if name.partition(b"\0")[0].decode() == ZVOL:
                    return path
    raise FileNotFoundError(f"no device of {ZVOL}")


@contextlib.contextmanager
def other_end(path):
    """Reads what is written to PIPE, and throws it away."""
    if path != PIPE:
        yield
        return
    with subprocess.Popen(["cat", PIPE], stdout=subprocess.DEVNULL) as reader:
        try:
            yield
        except BaseException:
            reader.kill()
            raise
