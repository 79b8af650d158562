"""The main job: two nodes, and a volume that moves between them, with no root and no ZFS.

    pip install zfsvol && python handoff.py
"""

from __future__ import annotations

import zfsvol


def machine(id: str) -> zfsvol.Node:
    """A machine of its own, with a node on it. The node keeps what it needs of the kernel."""
    with zfsvol.open("embedded:") as zfs:
        return zfsvol.Node(zfs, "tank/zfsvol", id)


def say(where: str, volume: zfsvol.Volume) -> None:
    info = volume.info()
    print(f"{where}: {info['state']}, epoch {info['epoch']}")


def main() -> None:
    with machine("11111111-1111-4111-8111-111111111111") as here, machine("22222222-2222-4222-8222-222222222222") as there:
        # A volume with something on it.
        db = here.create("db", size=8 << 20, sparse=True)
        with db.device(writable=True) as device:
            device.write(0, b"hello")
            device.flush()
        say("here", db)

        # A copy there, kept up to date while programs write here.
        with zfsvol.Peer.local(there) as peer:
            with db.push(peer) as push:
                push.wait(progress=lambda progress: print(f"push: {progress.bytes} bytes"))
            print("push: done")
            copy = there.volume("db")
            say("there", copy)

            # It moves: the rest is sent, and from one moment to the next the other node owns it.
            with db.handoff(peer) as handoff:
                handoff.wait()
            print("handoff: done")
        say("here", db)
        say("there", copy)

        with copy.device(writable=True) as device:
            print(f"there it says: {device.read(0, 5).decode()}")


if __name__ == "__main__":
    main()
