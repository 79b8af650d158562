"""Operations on the embedded kernel."""

from __future__ import annotations

import errno
import io
import threading
import time
from pathlib import Path
from typing import Any, List

import pytest

import zfsvol
from zfsvol import Kind, Release, _callbacks


def test_datasets_are_created_cloned_renamed_and_destroyed(zfs: zfsvol.Zfs) -> None:
    zfs.datasets.create_filesystem("tank/a", {"compression": "zstd", "quota": 1 << 30, "atime": False})
    zfs.snapshots.create("tank/a@b")
    zfs.datasets.clone("tank/c", "tank/a@b", {"org.example:note": "clone"})
    zfs.datasets.promote("tank/c")
    zfs.datasets.rename("tank/a", "tank/d")
    assert list(zfs.names(kinds=Kind.FILESYSTEM | Kind.SNAPSHOT)) == ["tank", "tank/c", "tank/c@b", "tank/d"]
    properties = zfs.properties.list("tank/d")
    assert properties["compression"]["value"] == "zstd" and properties["quota"]["value"] == 1 << 30
    assert properties["atime"] == {"value": "off", "source": "local"}
    zfs.datasets.destroy("tank/d")
    assert zfs.datasets.destroy_tree("tank/c") == zfsvol.Tree.AT_ONCE
    assert zfs.datasets.destroy_tree("tank/c") == zfsvol.Tree.ABSENT


def test_zvols_hold_data(zfs: zfsvol.Zfs) -> None:
    zfs.datasets.create_zvol("tank/v", 8 << 20)
    with zfs.device("tank/v", writable=True) as device:
        device.write(0, bytearray(b"hello"))
        buffer = bytearray(5)
        device.readinto(0, buffer)
        assert buffer == b"hello"
        with pytest.raises(zfsvol.Error):
            device.read(8 << 20, 1)
        with pytest.raises(TypeError):
            device.readinto(0, b"xxxxx")
        with pytest.raises(zfsvol.BusyError):
            zfs.datasets.destroy("tank/v")
    zfs.datasets.resize_zvol("tank/v", 16 << 20)
    assert zfs.properties.list("tank/v")["volsize"]["value"] == 16 << 20
    assert zfs.datasets.zvol_reservation("tank", 1 << 30) > 1 << 30


def test_properties_are_set_inherited_and_refused(zfs: zfsvol.Zfs) -> None:
    zfs.properties.set("tank", {"org.example:a": "1", "compression": "lz4"})
    zfs.properties.inherit("tank", "org.example:a")
    assert zfs.properties.get("tank", "org.example:a") is None
    found = zfs.properties.get("tank", "compression")
    assert found is not None and found["source"] == "local"
    with pytest.raises(zfsvol.InvalidPropertyError):
        zfs.properties.set("tank", {"no-such-property": 1})
    assert zfs.properties.received("tank") == {}


def test_snapshots_of_a_tree(zfs: zfsvol.Zfs) -> None:
    zfs.datasets.create_filesystem("tank/a")
    assert sorted(zfs.snapshots.create_tree("tank", "x")) == ["tank/a@x", "tank@x"]
    assert zfs.snapshots.rename("tank/a@x", "y") == "tank/a@y"
    assert zfs.snapshots.range_space("tank@x", "tank@x")["used"] >= 0
    assert zfs.snapshots.space_written("tank", "tank@x")["used"] >= 0
    zfs.snapshots.destroy_tree("tank", "x")
    assert not zfs.datasets.exists("tank@x") and zfs.datasets.exists("tank/a@y")


def test_rollback_to_older_snapshot_is_busy(zfs: zfsvol.Zfs) -> None:
    zfs.snapshots.create("tank@a")
    zfs.snapshots.create("tank@b")
    assert zfs.datasets.rollback("tank") == "tank@b"
    with pytest.raises(zfsvol.BusyError) as caught:
        zfs.datasets.rollback_to("tank@a")
    assert caught.value.busy[0]["why"] == "newer"


def test_holds_that_are_temporary_end(zfs: zfsvol.Zfs) -> None:
    zfs.snapshots.create("tank@a")
    with zfs.holds.cleanup() as cleanup:
        assert zfs.holds.create([("tank@a", "x")], cleanup=cleanup) == []
        assert list(zfs.holds.list("tank@a")) == ["x"]
    assert zfs.holds.list("tank@a") == {}
    assert zfs.holds.release([("tank@a", "x"), ("tank@none", "y")]) == [("tank@a", "x", True), ("tank@none", "y", False)]


def test_bookmarks(zfs: zfsvol.Zfs) -> None:
    zfs.snapshots.create("tank@a")
    zfs.bookmarks.create({"tank#a": "tank@a"})
    guid = zfs.properties.list("tank@a")["guid"]["value"]
    assert zfs.bookmarks.get("tank#a")["guid"] == guid == zfs.bookmarks.list("tank")[0]["guid"]
    zfs.bookmarks.destroy("tank#a")
    assert zfs.bookmarks.list("tank") == []


def test_keys(zfs: zfsvol.Zfs) -> None:
    with zfsvol.Key.raw(b"k" * 32) as key, zfsvol.Key.passphrase("another phrase") as other:
        zfs.datasets.create_filesystem("tank/secret", key=key)
        zfs.keys.unload("tank/secret")
        with pytest.raises(zfsvol.Error):
            zfs.keys.load("tank/secret", other)
        with zfsvol.Key.raw(b"x" * 32) as wrong, pytest.raises(zfsvol.WrongKeyError):
            zfs.keys.check("tank/secret", wrong)
        zfs.keys.load("tank/secret", key)
        zfs.keys.change("tank/secret", other)
    with pytest.raises(zfsvol.InvalidError):
        zfsvol.Key.raw(b"short")
    with pytest.raises(zfsvol.ClosedError):
        zfs.keys.load("tank/secret", key)


def test_listing_with_properties(zfs: zfsvol.Zfs) -> None:
    zfs.datasets.create_filesystem("tank/a")
    zfs.datasets.create_zvol("tank/v", 1 << 20)
    found = {one["name"]: one for one in zfs.list("tank", properties=["used", "volsize"])}
    assert [one["kind"] for one in found.values()] == ["filesystem", "filesystem", "volume"]
    assert found["tank/v"]["properties"]["volsize"]["value"] == 1 << 20
    assert [one["name"] for one in zfs.list("tank", depth=0)] == ["tank"]
    assert list(zfs.names([])) == []
    with pytest.raises(zfsvol.NotFoundError):
        list(zfs.list("none"))


def test_pools_are_made_looked_at_and_destroyed(tmp_path: Path) -> None:
    disks = [tmp_path / name for name in ("a", "b", "c")]
    for disk in disks:
        with disk.open("wb") as file:
            file.truncate(128 << 20)
    with zfsvol.embedded() as zfs:
        with zfsvol.Topology(ashift=12).mirror(*disks[:2]) as topology:
            zfs.pools.create("two", topology, features=zfsvol.Features.V2_1, properties={"comment": "x"}, root_properties={"compression": "lz4"})
        status = zfs.pools.status("two")
        assert status["health"] == "online" and status["root"]["children"][0]["kind"] == "mirror"
        leaf = status["root"]["children"][0]["children"][1]["guid"]
        zfs.vdevs.replace("two", leaf, disks[2])
        zfs.pools.wait("two", zfsvol.Activity.REPLACE)
        zfs.pools.scrub("two")
        zfs.pools.wait("two", zfsvol.Activity.SCRUB)
        zfs.pools.set_properties("two", {"comment": "y"})
        assert zfs.pools.properties("two")["comment"]["value"] == "y"
        zfs.pools.checkpoint("two")
        with pytest.raises(zfsvol.InProgressError):
            zfs.pools.checkpoint("two")
        zfs.pools.discard_checkpoint("two")
        zfs.pools.sync("two")
        zfs.pools.export("two")
        assert zfs.pools.names() == []
        with zfs.pools.search(tmp_path) as found:
            assert [one["name"] for one in found] == ["two"] and len(found) == 1
            assert found.missing(0) == []
            with pytest.raises(IndexError):
                found[1]
            assert zfs.pools.import_(found, 0, new_name="three") == "three"
        zfs.pools.destroy("three")


def test_quotas(zfs: zfsvol.Zfs) -> None:
    zfs.quotas.set("tank", [zfsvol.Quota(zfsvol.Owner.USER, 1000, 1 << 20)])
    assert zfs.quotas.get("tank", 1000)["quota"] == 1 << 20
    assert [one["id"] for one in zfs.quotas.list("tank") if one.get("quota")] == [1000]
    assert [one["number"] for one in zfs.quotas.accounts("tank", zfsvol.Owner.USER, zfsvol.Account.QUOTA)] == [1 << 20]


def test_history_and_events(zfs: zfsvol.Zfs) -> None:
    zfs.snapshots.create("tank@a")
    assert any(record["kind"] == "ioctl" or record["kind"] == "internal" for record in zfs.history("tank"))
    with zfs.events() as events:
        events.seek(zfsvol.Events.NEWEST)
        assert events.next(0) is None
        events.seek(zfsvol.Events.OLDEST)
        event = events.next(5)
        assert event is not None and event["pool"] == "tank"
        assert events.dropped() == 0
    assert zfs.clear_events() > 0


def test_wrong_uri_is_invalid() -> None:
    with pytest.raises(zfsvol.InvalidError):
        zfsvol.open("http://example.org")


def test_embedded_kernels_are_made_to_measure() -> None:
    called: List[int] = []

    def clock() -> int:
        called.append(1)
        return 1_000_000_000 * 10**9

    guids = []
    for _ in range(2):
        with zfsvol.embedded({"a": 1 << 30}, seed=7, release=Release.V2_4, clock=clock) as zfs:
            assert zfs.module()["minor"] == 4
            zfs.snapshots.create("a@b")
            properties = zfs.properties.list("a@b")
            assert properties["creation"]["value"] == 1_000_000_000
            guids.append(properties["guid"]["value"])
    assert guids[0] == guids[1] and called
    with zfsvol.embedded({"a": 1 << 30}, unprivileged=True) as zfs, pytest.raises(zfsvol.DeniedError):
        zfs.snapshots.create("a@b")


def test_read_only_and_subtree_doors_refuse(zfs: zfsvol.Zfs) -> None:
    with zfs.read_only() as door, pytest.raises(zfsvol.ReadOnlyError):
        door.snapshots.create("tank@a")
    zfs.datasets.create_filesystem("tank/a")
    with zfs.subtree("tank/a") as door:
        door.snapshots.create("tank/a@b")
        with pytest.raises(zfsvol.Error):
            door.snapshots.create("tank@b")


def test_observer_refuses_and_a_broken_one_refuses_too(zfs: zfsvol.Zfs, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(call: zfsvol.Call) -> int:
        raise RuntimeError("no")

    shown: List[Any] = []
    monkeypatch.setattr("sys.unraisablehook", shown.append)
    with zfs.observe(before=lambda call: errno.EPERM if "tank@no" in call.names else 0) as door:
        door.snapshots.create("tank@yes")
        with pytest.raises(zfsvol.DeniedError):
            door.snapshots.create("tank@no")
    with zfs.observe(before=broken) as door, pytest.raises(zfsvol.Error) as caught:
        door.snapshots.create("tank@b")
    assert caught.value.errno == errno.EACCES and isinstance(shown[0].exc_value, RuntimeError)


def test_wait_for_a_pool_is_given_up(zfs: zfsvol.Zfs) -> None:
    asked, go = threading.Event(), threading.Event()
    before = _callbacks.count()

    def hold_back(call: zfsvol.Call) -> None:
        if call.text.startswith("ZFS_IOC_WAIT "):
            asked.set()
            go.wait(60)

    with zfs.observe(before=hold_back) as door:
        with door.pools.wait_start("tank", zfsvol.Activity.SCRUB) as waiting:
            assert asked.wait(30) and waiting.progress().phase == zfsvol.Phase.WAITING
            with pytest.raises(zfsvol.TimedOutError):
                waiting.wait(0.01)
            waiting.cancel()
            with pytest.raises(zfsvol.CancelledError):
                waiting.wait(30)
        go.set()
        assert not door.pools.wait("tank", zfsvol.Activity.SCRUB)
        with pytest.raises(zfsvol.NotFoundError):
            door.pools.wait("none", zfsvol.Activity.SCRUB)
    # The thread that was left in the kernel lets go of the door as soon as that answers.
    end = time.monotonic() + 30
    while _callbacks.count() > before and time.monotonic() < end:
        time.sleep(0.01)


def test_faults_fail_what_was_chosen(zfs: zfsvol.Zfs) -> None:
    with zfs.faults(zfsvol.Rule(errno.ENOSPC, name_prefix="tank@bad", times=1)) as faults, faults.zfs() as door:
        with pytest.raises(zfsvol.NoSpaceError):
            door.snapshots.create("tank@bad")
        door.snapshots.create("tank@bad")
        assert faults.failed() == [1]


def test_recording_is_replayed(zfs: zfsvol.Zfs) -> None:
    file = io.BytesIO()
    with zfs.record(file) as recording, recording.zfs() as door:
        door.snapshots.create("tank@a")
        assert door.datasets.exists("tank@a")
        recording.finish()
    file.seek(0)
    with zfsvol.Replay(file) as replay, replay.zfs() as door:
        door.snapshots.create("tank@a")
        assert replay.left() > 0
        with pytest.raises(zfsvol.Error):
            door.snapshots.create("tank@other")
        assert "tank@other" in (replay.mismatch() or "") or replay.mismatch()
    with pytest.raises(zfsvol.CorruptError):
        zfsvol.Replay(io.BytesIO(b"no recording"))
