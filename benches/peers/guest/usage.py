"""What a process and the machine have used so far, as Linux tells it."""

import os
import pathlib
from collections import namedtuple

TICKS = os.sysconf("SC_CLK_TCK")


class Usage(namedtuple("Usage", "user system machine peak_kib")):
    """Seconds of processor: of the process with those that it started and waited
    for, in its own code and in the kernel; and of the machine, threads of the kernel
    included.  The most memory that the process itself had at any time."""

    @classmethod
    def of(cls, pid):
        folder = pathlib.Path(f"/proc/{pid}")
        # The name in brackets can hold anything; what follows it is numbers.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        user, system, started_user, started_system = map(int, fields[11:15])
        return cls(
            user=(user + started_user) / TICKS,
            system=(system + started_system) / TICKS,
            machine=machine_ticks() / TICKS,
            peak_kib=peak_kib(folder),
        )


def machine_ticks():
    """How long the processors were not idle."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _wait, irq, soft, *_ = map(int, stat.readline().split()[1:])
    return user + nice + system + irq + soft


def peak_kib(folder):
    for line in (folder / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0
