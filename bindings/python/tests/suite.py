"""A small form of the behaviour suite: the names are those of the scenarios in tests/src/suite, and the same bodies run on the embedded kernel and on OpenZFS.

    python tests/suite.py                     on the embedded kernel
    python tests/suite.py zfs: POOL/DATASET   on the OpenZFS of this machine, as root, in a dataset that exists and that nobody needs

Needs nothing but the package. Prints a line for each scenario, and ends with 1 if one failed.
"""

from __future__ import annotations

import io
import itertools
import os
import struct
import sys
import traceback
from contextlib import contextmanager
from typing import Callable, Iterator, List, Type

import zfsvol
from zfsvol import Kind, stream

_numbers = itertools.count(1)


class World:
    """A kernel, and a dataset of one's own in it."""

    def __init__(self, zfs: zfsvol.Zfs, root: str) -> None:
        self.zfs = zfs
        self.root = root

    def at(self, name: str) -> str:
        return f"{self.root}/{name}"

    def file_system(self, name: str) -> str:
        self.zfs.datasets.create_filesystem(self.at(name), {"mountpoint": "none"})
        return self.at(name)

    def volume(self, name: str, *, key: zfsvol.Key | None = None) -> str:
        """A zvol of 4 MiB with something on it."""
        self.zfs.datasets.create_zvol(self.at(name), 4 << 20, {"volblocksize": 16384}, key=key)
        self.write(self.at(name), 0, os.urandom(1 << 20))
        return self.at(name)

    def write(self, name: str, offset: int, data: bytes) -> None:
        with self.zfs.device(name, writable=True) as device:
            device.write(offset, data)
            device.flush()

    def content(self, name: str) -> bytes:
        with self.zfs.device(name) as device:
            return device.read(0, device.size())

    def stream(self, snapshot: str, base: str | None = None, flags: zfsvol.SendFlags = zfsvol.SendFlags(0)) -> bytes:
        with self.zfs.send(snapshot, base, flags) as stream:
            return stream.read()

    def receive(self, snapshot: str, stream: bytes, *, force: bool = False, resumable: bool = False) -> None:
        with self.zfs.receive(snapshot, force=force, resumable=resumable) as receiving:
            receiving.copy_from(io.BytesIO(stream))


@contextmanager
def refused(kind: Type[zfsvol.Error]) -> Iterator[List[zfsvol.Error]]:
    """What is in the block fails, and with that."""
    caught: List[zfsvol.Error] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    else:
        raise AssertionError(f"there was no {kind.__name__}")


def a_file_system_is_created_and_exists(world: World) -> None:
    assert not world.zfs.datasets.exists(world.at("a"))
    name = world.file_system("a")
    assert world.zfs.datasets.exists(name)
    assert name in list(world.zfs.names(world.root))


def a_zvol_is_created_with_its_size(world: World) -> None:
    world.zfs.datasets.create_zvol(world.at("v"), 8 << 20)
    assert world.zfs.properties.list(world.at("v"))["volsize"]["value"] == 8 << 20


def create_refuses_what_is_there_and_what_has_no_parent(world: World) -> None:
    name = world.file_system("a")
    with refused(zfsvol.ExistsError):
        world.zfs.datasets.create_filesystem(name)
    with refused(zfsvol.NotFoundError):
        world.zfs.datasets.create_filesystem(world.at("none/a"))


def promote_swaps_clone_and_origin(world: World) -> None:
    name = world.file_system("a")
    world.zfs.snapshots.create(f"{name}@s")
    world.zfs.datasets.clone(world.at("b"), f"{name}@s", {"mountpoint": "none"})
    world.zfs.datasets.promote(world.at("b"))
    origins = {one["name"]: one.get("origin") for one in world.zfs.list(world.root)}
    assert origins[name] == f"{world.at('b')}@s" and not origins[world.at("b")]


def destroy_names_children_and_snapshots(world: World) -> None:
    name = world.file_system("a")
    world.file_system("a/b")
    with refused(zfsvol.BusyError) as caught:
        world.zfs.datasets.destroy(name)
    assert {"why": "children", "names": [f"{name}/b"]} in caught[0].busy


def rollback_goes_to_the_newest_snapshot(world: World) -> None:
    name = world.volume("v")
    before = world.content(name)
    world.zfs.snapshots.create(f"{name}@s")
    world.write(name, 0, b"x" * 4096)
    assert world.zfs.datasets.rollback(name) == f"{name}@s"
    assert world.content(name) == before


def many_snapshots_are_made_at_once(world: World) -> None:
    names = [f"{world.file_system(name)}@s" for name in "abc"]
    world.zfs.snapshots.create(names)
    assert len({world.zfs.properties.list(name)["createtxg"]["value"] for name in names}) == 1


def one_that_cannot_be_made_keeps_all_from_being_made(world: World) -> None:
    first, second = world.file_system("a"), world.file_system("b")
    world.zfs.snapshots.create(f"{second}@s")
    with refused(zfsvol.ExistsError) as caught:
        world.zfs.snapshots.create([f"{first}@s", f"{second}@s"])
    assert [failure.name for failure in caught[0].failures] == [f"{second}@s"]
    assert not world.zfs.datasets.exists(f"{first}@s")


def destroying_passes_over_what_is_not_there(world: World) -> None:
    name = world.file_system("a")
    world.zfs.snapshots.create(f"{name}@s")
    world.zfs.snapshots.destroy([f"{name}@none", f"{name}@s"])
    assert not world.zfs.datasets.exists(f"{name}@s")


def a_held_or_cloned_snapshot_is_not_destroyed_and_keeps_the_others(world: World) -> None:
    name = world.file_system("a")
    world.zfs.snapshots.create(f"{name}@held")
    world.zfs.snapshots.create(f"{name}@free")
    world.zfs.holds.create([(f"{name}@held", "t")])
    with refused(zfsvol.BusyError) as caught:
        world.zfs.snapshots.destroy([f"{name}@held", f"{name}@free"])
    assert [(failure.name, failure.busy) for failure in caught[0].failures] == [(f"{name}@held", [{"why": "holds", "names": ["t"]}])]
    assert world.zfs.datasets.exists(f"{name}@free")
    world.zfs.holds.release([(f"{name}@held", "t")])


def a_deferred_destroy_waits_for_the_last_hold(world: World) -> None:
    name = world.file_system("a")
    world.zfs.snapshots.create(f"{name}@s")
    world.zfs.holds.create([(f"{name}@s", "t")])
    world.zfs.snapshots.destroy(f"{name}@s", deferred=True)
    assert world.zfs.datasets.exists(f"{name}@s")
    world.zfs.holds.release([(f"{name}@s", "t")])
    assert not world.zfs.datasets.exists(f"{name}@s")


def a_tree_is_snapshotted_in_one_transaction_group(world: World) -> None:
    name = world.file_system("a")
    world.file_system("a/b")
    made = world.zfs.snapshots.create_tree(name, "s")
    assert sorted(made) == [f"{name}/b@s", f"{name}@s"]
    assert len({one["createtxg"] for one in world.zfs.list(name, kinds=Kind.SNAPSHOT)}) == 1


def holds_are_put_listed_and_released(world: World) -> None:
    held = f"{world.file_system('a')}@s"
    world.zfs.snapshots.create(held)
    assert world.zfs.holds.list(held) == {}
    world.zfs.holds.create([(held, "b")])
    world.zfs.holds.create([(held, "a")])
    assert sorted(world.zfs.holds.list(held)) == ["a", "b"]
    assert world.zfs.holds.release([(held, "a"), (held, "b")]) == []
    assert world.zfs.holds.list(held) == {}


def a_temporary_hold_ends_with_its_handle(world: World) -> None:
    held = f"{world.file_system('a')}@s"
    world.zfs.snapshots.create(held)
    with world.zfs.holds.cleanup() as cleanup:
        world.zfs.holds.create([(held, "t")], cleanup=cleanup)
        assert list(world.zfs.holds.list(held)) == ["t"]
    world.zfs.pools.sync(world.root.partition("/")[0])
    assert world.zfs.holds.list(held) == {}


def a_full_stream_makes_the_same_volume(world: World) -> None:
    name = world.volume("v")
    world.zfs.snapshots.create(f"{name}@s")
    world.receive(f"{world.at('w')}@s", world.stream(f"{name}@s"))
    assert world.content(world.at("w")) == world.content(name)


def an_increment_from_a_snapshot_makes_the_same_volume(world: World) -> None:
    name = world.volume("v")
    world.zfs.snapshots.create(f"{name}@s")
    world.receive(f"{world.at('w')}@s", world.stream(f"{name}@s"))
    world.write(name, 2 << 20, b"more" * 4096)
    world.zfs.snapshots.create(f"{name}@t")
    world.receive(f"{world.at('w')}@t", world.stream(f"{name}@t", f"{name}@s"))
    assert world.content(world.at("w")) == world.content(name)


def an_increment_from_a_bookmark_makes_the_same_volume(world: World) -> None:
    name = world.volume("v")
    world.zfs.snapshots.create(f"{name}@s")
    world.receive(f"{world.at('w')}@s", world.stream(f"{name}@s"))
    world.zfs.bookmarks.create({f"{name}#s": f"{name}@s"})
    world.zfs.snapshots.destroy(f"{name}@s")
    world.write(name, 2 << 20, b"more" * 4096)
    world.zfs.snapshots.create(f"{name}@t")
    world.receive(f"{world.at('w')}@t", world.stream(f"{name}@t", f"{name}#s"))
    assert world.content(world.at("w")) == world.content(name)


def an_increment_needs_its_base_at_the_destination(world: World) -> None:
    name = world.volume("v")
    world.zfs.snapshots.create(f"{name}@s")
    world.zfs.snapshots.create(f"{name}@t")
    world.receive(f"{world.at('w')}@other", world.stream(f"{name}@t"))
    with refused(zfsvol.BaseMissingError):
        world.receive(f"{world.at('w')}@t", world.stream(f"{name}@t", f"{name}@s"))


def a_changed_destination_is_refused_unless_forced(world: World) -> None:
    name = world.volume("v")
    world.zfs.snapshots.create(f"{name}@s")
    world.receive(f"{world.at('w')}@s", world.stream(f"{name}@s"))
    world.zfs.snapshots.create(f"{name}@t")
    world.write(world.at("w"), 0, b"changed")
    increment = world.stream(f"{name}@t", f"{name}@s")
    with refused(zfsvol.DestinationModifiedError):
        world.receive(f"{world.at('w')}@t", increment)
    world.receive(f"{world.at('w')}@t", increment, force=True)
    assert world.content(world.at("w")) == world.content(name)


def an_interrupted_full_receive_is_resumed(world: World) -> None:
    name = world.volume("v")
    world.zfs.snapshots.create(f"{name}@s")
    stream = world.stream(f"{name}@s")
    with refused(zfsvol.StreamTruncatedError):
        world.receive(f"{world.at('w')}@s", stream[: len(stream) * 2 // 3], resumable=True)
    token = world.zfs.receive_token(world.at("w"))
    assert token is not None
    with world.zfs.send_resumed(token) as rest:
        world.receive(f"{world.at('w')}@s", rest.read(), resumable=True)
    assert world.content(world.at("w")) == world.content(name)


def a_raw_stream_needs_no_key_and_stays_encrypted(world: World) -> None:
    with zfsvol.Key.raw(b"k" * 32) as key:
        name = world.volume("v", key=key)
        content = world.content(name)
        world.zfs.snapshots.create(f"{name}@s")
        world.zfs.keys.unload(name)
        world.receive(f"{world.at('w')}@s", world.stream(f"{name}@s", None, zfsvol.SendFlags.RAW))
        with refused(zfsvol.KeyNotLoadedError):
            world.content(world.at("w"))
        world.zfs.keys.load(world.at("w"), key)
        assert world.content(world.at("w")) == content


def a_stream_made_of_nothing_is_a_volume(world: World) -> None:
    size, guid, block = 4 << 20, 0x5EED5EED5EED, b"made" * 4096
    # The ZAP of one block that says the size of a zvol.
    zap = bytearray(512)
    struct.pack_into("<QQ", zap, 0, (1 << 63) + 3, 0x12345679)
    struct.pack_into("<Q6x4s", zap, 64, size, b"size")
    types = stream.numbers()["object_types"]
    disk, properties = types["zvol object"], types["zvol prop"]
    made = io.BytesIO()
    with stream.StreamWriter(made, byte_order=zfsvol.ByteOrder.LITTLE) as writer:

        def put(kind: str, payload: bytes = b"", **fields: object) -> None:
            writer.write(stream.new_record(kind, to_guid=guid, **fields), payload)

        put("BEGIN", version_info=1, creation_time=1_700_000_000, objset_type=3, flags=4, to_name="nowhere/disk@s")
        put("OBJECT", object=1, object_type=disk, block_bytes=len(block), slots=1)
        put("FREE", object=1, offset=size, length=(1 << 64) - 1)
        put("WRITE", block, object=1, object_type=disk, offset=len(block), logical_bytes=len(block))
        put("OBJECT", object=2, object_type=properties, block_bytes=len(zap), slots=1)
        put("WRITE", bytes(zap), object=2, object_type=properties, logical_bytes=len(zap))
        put("END")
        writer.finish()
    world.receive(f"{world.at('w')}@s", made.getvalue())
    assert world.content(world.at("w")) == bytes(len(block)) + block + bytes(size - 2 * len(block))


def a_handoff_changes_the_owner_and_keeps_the_data(world: World) -> None:
    ids = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
    with zfsvol.Node(world.zfs, world.at("one"), ids[0]) as here, zfsvol.Node(world.zfs, world.at("two"), ids[1]) as there:
        volume = here.create("db", size=4 << 20, sparse=True)
        with volume.device(writable=True) as device:
            device.write(0, b"hello")
            device.flush()
        with zfsvol.Peer.local(there) as peer:
            volume.push(peer).wait(60)
            volume.handoff(peer).wait(60)
        assert (volume.info()["state"], there.volume("db").info()["state"]) == ("replica", "owned")
        with there.volume("db").device() as device:
            assert device.read(0, 5) == b"hello"
        # What pushes keep goes with the volumes.
        there.volume("db").destroy()
        volume.takeover()
        volume.destroy()


CASES: List[Callable[[World], None]] = [
    a_file_system_is_created_and_exists,
    a_zvol_is_created_with_its_size,
    create_refuses_what_is_there_and_what_has_no_parent,
    promote_swaps_clone_and_origin,
    destroy_names_children_and_snapshots,
    rollback_goes_to_the_newest_snapshot,
    many_snapshots_are_made_at_once,
    one_that_cannot_be_made_keeps_all_from_being_made,
    destroying_passes_over_what_is_not_there,
    a_held_or_cloned_snapshot_is_not_destroyed_and_keeps_the_others,
    a_deferred_destroy_waits_for_the_last_hold,
    a_tree_is_snapshotted_in_one_transaction_group,
    holds_are_put_listed_and_released,
    a_temporary_hold_ends_with_its_handle,
    a_full_stream_makes_the_same_volume,
    an_increment_from_a_snapshot_makes_the_same_volume,
    an_increment_from_a_bookmark_makes_the_same_volume,
    an_increment_needs_its_base_at_the_destination,
    a_changed_destination_is_refused_unless_forced,
    an_interrupted_full_receive_is_resumed,
    a_raw_stream_needs_no_key_and_stays_encrypted,
    a_stream_made_of_nothing_is_a_volume,
    a_handoff_changes_the_owner_and_keeps_the_data,
]


def run(case: Callable[[World], None], uri: str = "embedded:", below: str = "tank") -> None:
    """Runs a scenario in a dataset of its own, which is destroyed afterwards."""
    with zfsvol.open(uri) as zfs:
        world = World(zfs, f"{below}/py-{os.getpid()}-{next(_numbers)}")
        zfs.datasets.create_filesystem(world.root, {"mountpoint": "none"})
        try:
            case(world)
        finally:
            zfs.datasets.destroy_tree(world.root)


def main(arguments: List[str]) -> int:
    failed = 0
    for case in CASES:
        try:
            run(case, *arguments)
        except Exception:
            failed += 1
            print(f"FAILED {case.__name__}\n{traceback.format_exc()}")
        else:
            print(f"ok     {case.__name__}")
    print(f"{len(CASES) - failed} of {len(CASES)} scenarios passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
