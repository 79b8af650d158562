"""Whether QEMU may use KVM on this machine.

A /dev/kvm that answers is no promise: inside some virtual machines guests
start and then hang.  So KVM is used only after a short boot with it has come
to an end, and the answer is kept until the machine boots again.
"""

import os
import pathlib
import subprocess

from . import cache

# Long enough for a kernel to start ten times over, where KVM works.
PROBE_S = 20


def choose(wanted, kernel):
    """ "kvm" or "tcg": what was asked for, or the faster one that works."""
    if wanted != "auto":
        return wanted
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answer = cache.directory() / f"accel-{boot}"
    if not answer.exists():
        for stale in cache.directory().glob("accel-*"):
            stale.unlink(missing_ok=True)
        answer.write_text("kvm" if _boots_with_kvm(kernel) else "tcg")
    return answer.read_text()


def _boots_with_kvm(kernel):
    """A kernel without a root says that it panics, and so ends this QEMU."""
    probe = [
        "qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-smp", "2",
        "-m", "256", "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot", "-kernel", str(kernel), "-serial", "stdio",
        "-append", "console=ttyS0 panic=-1",
    ]  # fmt: skip
    try:
        ended = subprocess.run(
            probe, timeout=PROBE_S, stdin=subprocess.DEVNULL, capture_output=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0 and b"Kernel panic" in ended.stdout
