"""Sends a snapshot into a gzip file, verifies it, receives it elsewhere, and waits for two transfers with asyncio."""

from __future__ import annotations

import asyncio
import gzip
import tempfile
from pathlib import Path

import zfsvol
from zfsvol import stream


def back_up(zfs: zfsvol.Zfs, snapshot: str, file: Path) -> int:
    """Writes a stream, compressed, and returns how many bytes it has as it is."""
    with gzip.open(file, "wb") as packed, zfs.send(snapshot) as sending:
        return sending.copy_to(packed)


async def restore(zfs: zfsvol.Zfs, file: Path, snapshot: str) -> str:
    """Receives in threads of the library. What waits for it waits in a thread, too, so that the loop goes on."""
    with gzip.open(file, "rb") as packed, zfs.receive(snapshot) as receiving, receiving.from_(packed) as transfer:
        result = await asyncio.get_running_loop().run_in_executor(None, transfer.wait)
        return str(result["snapshot"])


async def restore_both(zfs: zfsvol.Zfs, file: Path) -> None:
    for snapshot in await asyncio.gather(restore(zfs, file, "tank/b@monday"), restore(zfs, file, "tank/c@monday")):
        print(f"restored: {snapshot}")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, zfsvol.open("embedded:") as zfs:
        zfs.datasets.create_zvol("tank/a", 1 << 20)
        zfs.snapshots.create("tank/a@monday")
        file = Path(directory) / "monday.gz"
        count = back_up(zfs, "tank/a@monday", file)
        with gzip.open(file, "rb") as packed:
            print(f"sound: {stream.verify(packed)['bytes'] == count}")
        asyncio.run(restore_both(zfs, file))


if __name__ == "__main__":
    main()
