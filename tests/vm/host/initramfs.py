"""The job archive: what one run adds to a guest's prepared initramfs.

The kernel unpacks concatenated cpio archives one after the other, so the
prepared initramfs (busybox, modules) is built once, and the part that differs
from run to run (scripts, settings, the command) is appended as a small archive.
"""


def _entry(inode, name, mode, data):
    """One member in the "newc" format: 13 hexadecimal fields, name, data."""
    name_bytes = name.encode() + b"\0"
    fields = [inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name_bytes), 0]
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name_bytes) + _padded(data)


def _padded(data):
    return data + b"\0" * (-len(data) % 4)


def archive(files):
    """A cpio archive of {path: bytes}; parents first, everything executable."""
    members = [
        _entry(inode, path, 0o040755 if data is None else 0o100755, data or b"")
        for inode, (path, data) in enumerate(files.items(), start=1)
    ]
    return b"".join(members) + _entry(0, "TRAILER!!!", 0, b"")
