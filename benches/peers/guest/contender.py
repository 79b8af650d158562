"""The programs that are compared, and what one run of one of them costs."""

import os
import re
import subprocess
import tempfile
import time
from collections import Counter, namedtuple

from usage import Usage

Job = namedtuple("Job", "item parent first count threads")

PYTHON = "python3"
# Name, command, whether it starts a process for each volume.
PROGRAMS = [
    ("zfsvol-rust", ["./peer_zfsvol"], False),
    ("zfsvol-go", ["./zfsvol-go"], False),
    ("zfsvol-python", [PYTHON, "zfsvol_python.py"], False),
    ("zfs-command", ["./peer_command"], True),
    ("go-zfs", ["./go-zfs"], True),
    ("libzfs_core", ["./lzc"], False),
    ("pyzfs", [PYTHON, "pyzfs.py"], False),
]
NAMES = [name for name, _, _ in PROGRAMS]


class Failed(Exception):
    """A contender did not do what it was told."""


def contenders(names, folder):
    return [Contender(*program, folder) for program in PROGRAMS if program[0] in names]


def zfsvol_rust(folder):
    """What does the work that a contender cannot do, unmeasured."""
    return Contender(*PROGRAMS[0], folder)


class Contender:
    """A program that does an item of work when it is told to."""

    def __init__(self, name, command, starts, folder):
        self.name = name
        self.command = command
        self.starts = starts
        self.folder = folder
        known = subprocess.run(
            [*command, "items"], cwd=folder, stdout=subprocess.PIPE, check=True, text=True
        )
        self.items = known.stdout.split()

    def do(self, job):
        """Does an item."""
        with Running(self, job) as running:
            running.go()

    def measure(self, job, pool, stream=""):
        """Does an item, and says what it cost."""
        with Running(self, job, stream) as running:
            group = pool.transaction_group()
            before = Usage.of(running.pid)
            start = time.monotonic()
            done, started_kib = running.go()
            seconds = time.monotonic() - start
            after = Usage.of(running.pid)
            return {
                "done": done,
                "seconds": seconds,
                "user_seconds": after.user - before.user,
                "system_seconds": after.system - before.system,
                "machine_seconds": after.machine - before.machine,
                "peak_kib": max(after.peak_kib, started_kib),
                "transaction_groups": pool.transaction_group() - group,
            }

    def count(self, job, stream=""):
        """Does an item, and says how many ioctls and processes that took."""
        with tempfile.NamedTemporaryFile() as log:
            with Running(self, job, stream, strace_to=log.name) as running:
                start = log.seek(0, 2)
                done, _ = running.go()
                end = log.seek(0, 2)
            log.seek(start)
            traced = log.read(end - start).decode()
        requests = Counter(re.findall(r"\bioctl\(\d+</dev/zfs>, (0x[0-9a-f]+)", traced))
        processes = len(re.findall(r"\bexecve\b.*= 0$", traced, re.MULTILINE))
        return {"done": done, "ioctls": dict(requests), "processes": processes}


class Running:
    """A contender at work: it is ready when this is entered, and gone after."""

    def __init__(self, contender, job, stream="", strace_to=None):
        self.name = f"{contender.name} {job.item}"
        self.job = job
        command = [*contender.command, *(str(value) for value in job)]
        if strace_to:
            strace = ["strace", "-f", "-y", "-qq", "-X", "raw", "-o", strace_to]
            command = [*strace, "-e", "trace=ioctl,execve", "-e", "signal=none", *command]
        self.process = subprocess.Popen(
            command,
            cwd=contender.folder,
            env={**os.environ, "ZFSVOL_BENCH_STREAM": stream},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.pid = self.process.pid

    def __enter__(self):
        self._expect("ready")
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        status = self.process.wait()
        if not kind and status != 0:
            raise Failed(f"{self.name}: exit status {status}")

    def go(self):
        """Has it done: with how many, and the largest process that it started, in KiB."""
        self.process.stdin.write(b"go\n")
        done, started_kib = map(int, self._expect("done"))
        if done != self.job.count:
            raise Failed(f"{self.name}: {done} instead of {self.job.count}")
        return done, started_kib

    def _expect(self, word):
        # One line a read, for it says nothing more until it is told to.
        said = self.process.stdout.read(4096).decode().split()
        if said[:1] != [word]:
            raise Failed(f"{self.name}: '{' '.join(said)}' instead of '{word}'")
        return said[1:]
