"""Where figures come from: versions and machine."""

import os
import pathlib
import platform
import subprocess


def facts(folder):
    """What is known about this machine and about what was built elsewhere."""
    told = {}
    for line in (folder / "built").read_text().splitlines():
        name, _, value = line.partition(": ")
        told[name] = value
    told.update(
        {
            "OpenZFS module": text("/sys/module/zfs/version"),
            "OpenZFS commands": output("zfs", "version").split()[0],
            "pyzfs": output("dpkg-query", "-W", "-f", "${Version}", "python3-pyzfs"),
            "libzfs_core": output("dpkg-query", "-W", "-f", "${Version}", "libzfs6linux"),
            "Linux": platform.release(),
            "Python": platform.python_version(),
            "C compiler": output("cc", "--version").splitlines()[0],
            "guest": os.environ.get("ZFSVOL_GUEST", "none"),
            "processors": str(os.cpu_count()),
            "processor": processor(),
        }
    )
    return told


def text(path):
    return pathlib.Path(path).read_text().strip()


def output(*command):
    """What a command prints, or that it does not."""
    try:
        ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return ran.stdout.strip() or "unknown"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "host"):
            return value.strip()
    return "unknown"
