"""Has a disk take a while for each request: what `zinject -D` does, which Debian does not have."""

import fcntl
import struct
import subprocess

# OpenZFS include/sys/fs/zfs.h and zfs_ioctl.h; the offsets are those of tests/vm/layout
# for every release that there is a guest of.
INJECT_FAULT = 0x5A1D
CLEAR_FAULT = 0x5A1E
CMD_BYTES = 13760
GUID_OFFSET = 12592
RECORD_OFFSET = 13296
DELAY_IO = 6
ALL_TYPES = 7
# How many requests it works on at once, as many as a SATA disk can queue.
LANES = 32


class SlowDisk:
    """The disk of a pool that has one, until this is closed."""

    def __init__(self, pool, milliseconds):
        self.device = open("/dev/zfs", "r+b", buffering=0)
        cmd = bytearray(CMD_BYTES)
        name = pool.encode()
        cmd[: len(name)] = name
        record = struct.pack(
            "=5Q2IQ2I256sIiQQ2I",
            *(0, 0, 0, 0, disk_guid(pool)),
            *(0, 0, 0, 0, 0, b""),
            *(ALL_TYPES, 0, milliseconds * 1_000_000, LANES, DELAY_IO, 0),
        )
        cmd[RECORD_OFFSET : RECORD_OFFSET + len(record)] = record
        fcntl.ioctl(self.device, INJECT_FAULT, cmd)
        (self.handler,) = struct.unpack_from("=Q", cmd, GUID_OFFSET)

    def close(self):
        cmd = bytearray(CMD_BYTES)
        struct.pack_into("=Q", cmd, GUID_OFFSET, self.handler)
        fcntl.ioctl(self.device, CLEAR_FAULT, cmd)
        self.device.close()


def disk_guid(pool):
    command = ["zpool", "list", "-H", "-v", "-g", pool]
    listed = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    # The pool, then its disk.
    return int(listed.stdout.splitlines()[1].split()[0])
