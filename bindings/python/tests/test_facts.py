"""Names, labels, plans, and what is known of properties."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

import pytest

import zfsvol
from zfsvol import Topology, lzc


def test_name_is_taken_apart() -> None:
    assert zfsvol.parse_name("tank/a/b@c") == {"kind": "snapshot", "pool": "tank", "dataset": "tank/a/b", "parent": "tank/a", "snapshot": "c", "depth": 2}
    assert zfsvol.parse_name(b"tank#m") == {"kind": "bookmark", "pool": "tank", "dataset": "tank", "bookmark": "m", "depth": 0}
    for wrong in ("", "tank/", "tank/a b@", "tank@a@b", "/tank"):
        with pytest.raises(zfsvol.InvalidNameError):
            zfsvol.parse_name(wrong)


def test_retention_is_planned() -> None:
    snapshots: Dict[str, Dict[str, Any]] = {"d": {"created": 1}, "c": {"created": 2, "holds": ["backup"]}, "b": {"created": 3}, "a": {"created": 4}}
    plan = zfsvol.plan_retention({"last": 1}, snapshots)
    assert plan["destroyed"] == ["d", "b"] and plan["kept"] == {"c": ["held by 'backup'"], "a": ["one of the newest"]}
    assert zfsvol.plan_retention({}, snapshots)["destroyed"] == []
    needed: Dict[str, Dict[str, Any]] = {"a": {"created": 1, "clones": ["tank/x"], "pushes": ("there",), "holds": []}, "b": {"created": 2, "foreign": True}, "c": {"created": 3}}
    plan = zfsvol.plan_retention({"last": 1, "minutes_ahead_of_utc": -60}, needed)
    assert plan["destroyed"] == [] and len(plan["kept"]["a"]) == 2 and plan["kept"]["b"] == ["taken by somebody else"]
    with pytest.raises(zfsvol.InvalidError):
        zfsvol.plan_retention({"lst": 1}, snapshots)
    with pytest.raises(KeyError):
        zfsvol.plan_retention({"last": 1}, {"a": {}})


def test_what_is_known_of_properties(zfs: zfsvol.Zfs) -> None:
    table = zfs.properties.table()
    compression = table["compression"]
    assert (compression["kind"], compression["words"]["on"], compression["access"], compression["default"]) == ("index", 1, "inheritable", "on")
    assert compression["types"] == ["filesystem", "volume"] and compression["visible"]
    assert table["quota"]["unit"] == "bytes" and table["mountpoint"]["kind"] == "text"
    assert zfs.properties.table(pool=True)["ashift"]["access"] == "settable"


def test_label_is_read(zfs: zfsvol.Zfs, tmp_path: Path) -> None:
    path = tmp_path / "device"
    with path.open("w+b") as device:
        device.truncate(128 << 20)
        assert zfsvol.read_label(device) is None
        with Topology() as topology:
            topology.disk(path)
            zfs.pools.create("pond", topology)
        label = zfsvol.read_label(device)
        assert label is not None and label["state"] == "active" and label["pool"]["name"] == label["config"]["name"] == "pond"
        zfs.pools.export("pond")
        label = zfsvol.read_label(device.fileno())
        assert label is not None and label["state"] == "exported" and "host" not in label["pool"]
        for at in (0, 256 << 10, (128 << 20) - (512 << 10), (128 << 20) - (256 << 10)):
            os.pwrite(device.fileno(), b"damage", at + (16 << 10) + 100)
        with pytest.raises(zfsvol.CorruptError):
            zfsvol.read_label(device)


def test_constants_and_short_names_of_pyzfs_are_there(zfs: zfsvol.Zfs) -> None:
    assert lzc.lzc_snap is lzc.snapshot and lzc.lzc_recv is lzc.receive and (lzc.MAXNAMELEN, lzc.WRAPPING_KEY_LEN) == (255, 32)
    with lzc.use(zfs):
        lzc.lzc_create(
            b"tank/safe",
            props={b"encryption": lzc.zio_encrypt.ZIO_CRYPT_AES_256_CCM, b"keyformat": lzc.zfs_keyformat.ZFS_KEYFORMAT_RAW},
            key=b"k" * lzc.WRAPPING_KEY_LEN,
        )
    found = zfs.properties.get("tank/safe", "encryption")
    assert found is not None and found["value"] == "aes-256-ccm"


def test_embedded_kernel_is_kept_in_a_directory(tmp_path: Path) -> None:
    directory = tmp_path / "kept"
    with zfsvol.embedded({"pond": 1 << 30}, release=zfsvol.Release.V2_4, directory=directory) as kept:
        kept.datasets.create_filesystem("pond/a")
        with pytest.raises(zfsvol.BusyError):
            zfsvol.embedded(directory=directory)
    with zfsvol.embedded({"other": 1 << 30}, release=zfsvol.Release.V2_4, directory=directory) as kept:
        assert kept.pools.names() == ["pond"] and kept.datasets.exists("pond/a")
