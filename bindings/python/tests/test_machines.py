"""Mounts, vdevs, and the rest of what is about disks and directories."""

from __future__ import annotations

import io
import tempfile
import threading
from pathlib import Path
from typing import Iterator, List

import pytest

import zfsvol
from zfsvol import Activity, Owner, Topology, lzc, rebuild, stream


def test_file_systems_are_mounted_where_it_is_said(zfs: zfsvol.Zfs, tmp_path: Path) -> None:
    zfs.datasets.create_filesystem("tank/a")
    zfs.snapshots.create("tank/a@s")
    assert (zfs.mounts.mount_path("tank/a"), zfs.mounts.where("tank/a")) == ("/tank/a", [])
    assert zfs.mounts.mount("tank/a", at=tmp_path / "x", read_only=True, no_symlinks=True) == (str(tmp_path / "x"), True)
    assert zfs.mounts.where("tank/a") == [str(tmp_path / "x")]
    zfs.mounts.remount("tank/a", read_only=False)
    assert zfs.mounts.mount_snapshot("tank/a@s", tmp_path / "s")
    assert sorted(zfs.mounts.unmount_tree("tank/a")) == [str(tmp_path / "s"), str(tmp_path / "x")]
    assert not zfs.mounts.unmount("tank/a", zfsvol.UnmountFlags.DETACH)
    with pytest.raises(TypeError, match="no mount option 'raed_only'"):
        zfs.mounts.mount("tank/a", raed_only=True)


def test_trees_are_mounted(zfs: zfsvol.Zfs, tmp_path: Path) -> None:
    zfs.properties.set("tank", {"mountpoint": str(tmp_path / "t")})
    zfs.datasets.create_filesystem("tank/a")
    zfs.datasets.create_filesystem("tank/b", {"canmount": "noauto"})
    result = zfs.mounts.mount_tree("tank")
    assert [one["path"] for one in result["mounted"]] == [str(tmp_path / "t"), str(tmp_path / "t" / "a")]
    assert result["skipped"] == [{"name": "tank/b", "why": "noauto"}]
    zfs.mounts.unmount_tree("tank")


def test_volumes_are_mounted_below_the_mountpoint_of_the_node(zfs: zfsvol.Zfs, tmp_path: Path) -> None:
    with zfsvol.Node(zfs, "tank/n", "11111111-1111-4111-8111-111111111111", mountpoint=tmp_path) as node:
        volume = node.create("f")
        assert volume.path() == volume.mount() == str(tmp_path / "f")
        assert volume.info()["mounted"] and volume.unmount() and not volume.unmount()
        with pytest.raises(zfsvol.WrongTypeError):
            node.create("b", size=1 << 20).path()


@pytest.fixture
def disks(tmp_path: Path) -> List[Path]:
    found = [tmp_path / name for name in "abcdefgh"]
    for disk in found:
        with disk.open("wb") as file:
            file.truncate(128 << 20)
    return found


@pytest.fixture
def pool(zfs: zfsvol.Zfs, disks: List[Path]) -> Iterator[zfsvol.Zfs]:
    with Topology().mirror(*disks[:2]).spares(disks[2]).cache(disks[3]) as topology:
        zfs.pools.create("p", topology)
    yield zfs
    zfs.pools.destroy("p")


def leaf(zfs: zfsvol.Zfs, index: int) -> int:
    return int(zfs.pools.status("p")["root"]["children"][0]["children"][index]["guid"])


def test_devices_come_and_go(pool: zfsvol.Zfs, disks: List[Path]) -> None:
    status = pool.pools.status("p")
    assert len(status["spares"]) == len(status["cache"]) == 1
    mirror = status["root"]["children"][0]["guid"]
    pool.vdevs.attach("p", leaf(pool, 0), disks[4], sequential=False)
    pool.pools.wait("p", Activity.RESILVER)
    assert len(pool.pools.status("p")["root"]["children"][0]["children"]) == 3
    pool.vdevs.detach("p", leaf(pool, 2))
    pool.vdevs.offline("p", leaf(pool, 1), zfsvol.Offline.TEMPORARY)
    assert pool.pools.status("p")["health"] == "degraded"
    assert pool.vdevs.online("p", leaf(pool, 1)) == "online"
    pool.vdevs.set_path("p", leaf(pool, 1), disks[1])
    with Topology().mirror(disks[5], disks[6]) as more:
        pool.vdevs.add("p", more)
    with pytest.raises(zfsvol.InvalidError), Topology().raidz(2, disks[7]) as wrong:
        pool.vdevs.add("p", wrong)
    with pytest.raises(zfsvol.NotFoundError):
        pool.vdevs.cancel_removal("p")
    with pytest.raises(zfsvol.Error):
        pool.vdevs.remove("p", mirror)
    pool.pools.clear("p")
    pool.pools.reopen("p")


def test_devices_are_initialized_and_trimmed(pool: zfsvol.Zfs) -> None:
    guid = leaf(pool, 0)
    pool.vdevs.initialize("p", [guid])
    pool.vdevs.trim("p", [guid], bytes_per_second=1 << 20)
    with pytest.raises(zfsvol.NotFoundError) as caught:
        pool.vdevs.initialize("p", [5])
    assert [failure.name for failure in caught.value.failures] == ["5"]
    pool.vdevs.set_property("p", guid, "comment", "left")
    assert pool.vdevs.properties("p", guid)["comment"]["value"] == "left"


def test_pools_have_more_to_them(zfs: zfsvol.Zfs) -> None:
    guid = zfs.pools.status("tank")["guid"]
    zfs.pools.reguid("tank")
    assert zfs.pools.status("tank")["guid"] != guid
    assert zfs.pools.error_log("tank") == []
    zfs.pools.prefetch("tank")
    zfs.pools.prune_ddt("tank", zfsvol.Prune.PERCENT, 5)
    zfs.pools.enable_features("tank", zfsvol.Features.ONLY, ["encryption"])
    assert [one["name"] for one in zfs.pools.list()] == ["tank"]
    zfs.quotas.upgrade("tank")
    zfs.properties.revert("tank", "compression")
    assert zfs.quotas.list("tank", Owner.GROUP) == []


def test_redacted_streams(zfs: zfsvol.Zfs) -> None:
    zfs.datasets.create_zvol("tank/a", 1 << 20)
    zfs.snapshots.create("tank/a@s")
    zfs.datasets.clone("tank/c", "tank/a@s")
    zfs.snapshots.create("tank/c@s")
    with lzc.use(zfs):
        lzc.redact(b"tank/a@s", b"red", [b"tank/c@s"])
        out = io.BytesIO()
        lzc.send_redacted("tank/a@s", None, out, [], "tank/a#red")
    assert stream.verify(out.getvalue())["bytes"] > 0


def test_files_are_found_in_streams(zfs: zfsvol.Zfs) -> None:
    zfs.datasets.create_filesystem("tank/a")
    zfs.snapshots.create("tank/a@s")
    with zfs.send("tank/a@s") as sending:
        whole = sending.read()
    with rebuild.FileTree() as tree:
        with pytest.raises(zfsvol.InvalidError):
            tree.files()
        tree.apply(io.BytesIO(whole))
        assert all(file["kind"] for file in tree.files())
        root, _ = tree.find("/")
        assert root > 0
        with pytest.raises(zfsvol.NotFoundError):
            tree.find("none/at/all")
    with tempfile.TemporaryFile() as file, rebuild.FileImage(file.fileno(), root) as image:
        image.apply(io.BytesIO(whole))
        image.finish(0)
    with tempfile.TemporaryFile(buffering=0) as raw:
        raw.write(whole)
        raw.seek(0)
        assert [record["kind"] for record in stream.records(raw)][0] == "BEGIN"
    with pytest.raises(zfsvol.NotFoundError):
        zfs.datasets.object_path("tank/a@s", 1 << 40)


def test_files_that_changed(zfs: zfsvol.Zfs) -> None:
    zfs.snapshots.create("tank@a")
    zfs.snapshots.create("tank@b")
    with zfs.diff("tank@a", "tank@b") as diff:
        assert diff.to() == "tank@b" and list(diff) == []
        diff.cancel()
    with pytest.raises(zfsvol.NotFoundError):
        zfs.diff("tank@none", "tank@b")


def test_what_an_interrupted_receive_saved_is_sent_on(zfs: zfsvol.Zfs) -> None:
    zfs.datasets.create_zvol("tank/a", 1 << 20)
    with zfs.device("tank/a", writable=True) as device:
        assert device.path() is None or device.path()
        device.write(0, bytes(range(256)) * 2048)
        device.flush()
    zfs.snapshots.create("tank/a@s")
    with zfs.send("tank/a@s") as sending:
        whole = sending.read()
    with zfs.receive("tank/b@s", resumable=True) as receiving, pytest.raises(zfsvol.StreamTruncatedError):
        receiving.copy_from(io.BytesIO(whole[: len(whole) // 2]))
    with zfs.send_saved("tank/b") as saved:
        assert len(saved.read()) > 0
    token = stream.token(zfs.receive_token("tank/b") or "")
    rest = io.BytesIO()
    stream.cut(io.BytesIO(whole), rest, token["object"], token["offset"])
    with zfs.receive("tank/b@s", resumable=True) as receiving:
        receiving.copy_from(io.BytesIO(rest.getvalue()))
    assert zfs.datasets.exists("tank/b@s")


def test_streams_by_hand_are_cancelled_from_another_thread(zfs: zfsvol.Zfs) -> None:
    zfs.snapshots.create("tank@a")
    with zfs.send("tank@a") as sending:
        whole = sending.read()
    with zfs.send("tank@a") as sending:
        thread = threading.Thread(target=sending.cancel)
        thread.start()
        thread.join()
        with pytest.raises(zfsvol.CancelledError):
            while sending.read(100):
                pass
    with zfs.receive("tank/b@a") as receiving:
        receiving.cancel()
        with pytest.raises(zfsvol.CancelledError):
            receiving.write(whole)
    with zfs.events() as events:
        events.stop()
        assert events.next() is None
