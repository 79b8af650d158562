"""The functions of libzfs_core."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from typing import Iterator

import pytest

import zfsvol
import zfsvol.lzc as libzfs_core
from zfsvol import lzc


@pytest.fixture(autouse=True)
def kernel(zfs: zfsvol.Zfs) -> Iterator[zfsvol.Zfs]:
    with lzc.use(zfs):
        yield zfs


PYZFS = """
    lzc_bookmark lzc_change_key lzc_channel_program lzc_channel_program_nosync lzc_clone lzc_create lzc_destroy lzc_destroy_bookmarks lzc_destroy_snaps lzc_exists lzc_get_bookmarks
    lzc_get_holds lzc_hold lzc_load_key lzc_pool_checkpoint lzc_pool_checkpoint_discard lzc_promote lzc_receive lzc_receive_one lzc_receive_resumable lzc_receive_with_cmdprops
    lzc_receive_with_header lzc_receive_with_heal lzc_release lzc_rename lzc_reopen lzc_rollback lzc_rollback_to lzc_send lzc_send_resume lzc_send_space lzc_snaprange_space
    lzc_snapshot lzc_sync lzc_unload_key
""".split()
"""The operations of pyzfs: OpenZFS 2.4 contrib/pyzfs/libzfs_core/_libzfs_core.py."""


@pytest.mark.parametrize("name", PYZFS)
def test_every_operation_of_pyzfs_is_there(name: str) -> None:
    function = getattr(libzfs_core, name)
    assert function is getattr(lzc, name[len("lzc_") :]) and libzfs_core.is_supported(function)


def test_is_supported_refuses_others() -> None:
    with pytest.raises(ValueError):
        lzc.is_supported(print)


def test_program_for_pyzfs_runs_as_it_is() -> None:
    libzfs_core.lzc_create(b"tank/fs", props={b"compression": b"lz4", b"atime": 0})
    libzfs_core.lzc_create(b"tank/vol", ds_type="zvol", props={b"volsize": 1 << 20})
    libzfs_core.lzc_snapshot([b"tank/fs@a", b"tank/vol@a"], props={b"org.example:x": b"1"})
    libzfs_core.lzc_clone(b"tank/clone", b"tank/fs@a")
    libzfs_core.lzc_promote(b"tank/clone")
    libzfs_core.lzc_rename(b"tank/clone", b"tank/moved")
    assert libzfs_core.lzc_exists(b"tank/moved@a") and not libzfs_core.lzc_exists(b"tank/clone")
    assert libzfs_core.lzc_rollback(b"tank/moved") == b"tank/moved@a"
    libzfs_core.lzc_rollback_to(b"tank/moved", b"tank/moved@a")
    libzfs_core.lzc_bookmark({b"tank/moved#b": b"tank/moved@a"})
    found = libzfs_core.lzc_get_bookmarks(b"tank/moved", [b"guid", b"creation"])
    assert set(found) == {b"b"} and set(found[b"b"]) == {b"guid", b"creation"} and found[b"b"][b"guid"][b"value"] > 0
    assert libzfs_core.lzc_get_bookmarks(b"tank/moved") == {b"b": {}}
    libzfs_core.lzc_destroy_bookmarks([b"tank/moved#b"])
    assert libzfs_core.lzc_snaprange_space(b"tank/moved@a", b"tank/moved@a") >= 0
    libzfs_core.lzc_sync(b"tank")
    libzfs_core.lzc_reopen(b"tank")
    libzfs_core.lzc_pool_checkpoint(b"tank")
    libzfs_core.lzc_pool_checkpoint_discard(b"tank")
    libzfs_core.lzc_destroy(b"tank/fs")
    libzfs_core.lzc_destroy_snaps([b"tank/vol@a", b"tank/vol@none"], defer=False)


def test_names_are_answered_as_they_were_given() -> None:
    lzc.snapshot(["tank@a"])
    assert lzc.rollback("tank") == "tank@a" and lzc.rollback(b"tank") == b"tank@a"


def test_errno_is_in_the_exception() -> None:
    lzc.create("tank/a")
    with pytest.raises(zfsvol.ExistsError) as caught:
        lzc.create("tank/a")
    assert caught.value.errno == errno.EEXIST
    with pytest.raises(zfsvol.NotFoundError) as missing:
        lzc.destroy(b"tank/none")
    assert missing.value.errno == errno.ENOENT
    with pytest.raises(zfsvol.InvalidError):
        lzc.create("tank/a", ds_type="tape")
    with pytest.raises(zfsvol.InvalidError):
        lzc.rollback_to("tank", "other@a")


def test_holds_are_made_and_released() -> None:
    lzc.snapshot([b"tank@a"])
    assert lzc.hold({b"tank@a": b"x", b"tank@none": b"x"}) == [b"tank@none"]
    assert set(lzc.get_holds(b"tank@a")) == {b"x"}
    with pytest.raises(zfsvol.ExistsError) as caught:
        lzc.hold({b"tank@a": b"x"})
    assert caught.value.failures[0].name == "tank@a" and "tag 'x'" in caught.value.failures[0].reason
    with pytest.raises(zfsvol.BusyError):
        lzc.destroy_snaps([b"tank@a"], False)
    assert lzc.release({b"tank@a": [b"x", b"y"]}) == [b"tank@a#y"]
    assert lzc.release({b"tank@a": [b"y"], b"tank@none": [b"x", b"z"]}) == [b"tank@a#y", b"tank@none"]
    with lzc.cleanup() as cleanup:
        lzc.hold({b"tank@a": b"z"}, cleanup)
    assert lzc.get_holds(b"tank@a") == {}
    with pytest.raises(TypeError):
        lzc.hold({b"tank@a": b"z"}, 5)
    with pytest.raises(TypeError):
        lzc.release({b"tank@a": b"x"})  # type: ignore[dict-item]


def test_streams_go_through_descriptors() -> None:
    lzc.create("tank/a")
    lzc.snapshot(["tank/a@x"])
    lzc.snapshot(["tank/a@y"])
    assert lzc.send_space(b"tank/a@x") > 0
    with tempfile.TemporaryFile() as file:
        lzc.send(b"tank/a@x", None, file.fileno(), [b"large_blocks", "embedded_data", "compress"])
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        lzc.receive(b"tank/b@x", file.fileno(), props={b"org.example:r": b"1"})
    with tempfile.TemporaryFile() as file:
        lzc.send("tank/a@y", "tank/a@x", file.fileno())
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        header, record = lzc.receive_header(file.fileno())
        assert header["drr_toname"] == b"tank/a@y" and header["drr_fromguid"] != 0 and len(record) == 312
        count, handle = lzc.receive_with_cmdprops("tank/b@y", file.fileno(), record, cmdprops={"org.example:o": "2", "org.example:r": None}, action_handle=7)
        assert count == os.lseek(file.fileno(), 0, os.SEEK_CUR) and handle == 7
    assert lzc.exists("tank/b@y")
    with pytest.raises(zfsvol.InvalidError):
        lzc.send("tank/a@x", None, io.BytesIO(), ["no_such"])
    with pytest.raises(zfsvol.StreamTruncatedError):
        lzc.receive_header(io.BytesIO(b"short"))


def test_keys(kernel: zfsvol.Zfs) -> None:
    lzc.create(b"tank/raw", props={b"encryption": "aes-256-gcm", b"keyformat": 1}, key=b"k" * 32)
    lzc.create(b"tank/hex", props={b"keyformat": "hex"}, key=b"h" * 32)
    lzc.unload_key(b"tank/hex")
    lzc.load_key(b"tank/hex", True, b"h" * 32)
    with pytest.raises(zfsvol.WrongKeyError):
        lzc.load_key(b"tank/hex", False, b"x" * 32)
    lzc.load_key(b"tank/hex", False, b"h" * 32)
    lzc.change_key(b"tank/raw", "new_key", {b"keyformat": b"raw"}, key=b"n" * 32)
    lzc.unload_key(b"tank/raw")
    lzc.load_key(b"tank/raw", False, b"n" * 32)
    with pytest.raises(zfsvol.UnsupportedError):
        lzc.change_key(b"tank/raw", "force_inherit")
    with pytest.raises(zfsvol.InvalidError):
        lzc.change_key(b"tank/raw", "no_such")
    with pytest.raises(zfsvol.UnsupportedError):
        lzc.create(b"tank/phrase", props={b"keyformat": 3}, key=b"p" * 32)


def test_channel_programs_reach_the_kernel() -> None:
    with pytest.raises(zfsvol.UnsupportedError):
        lzc.channel_program(b"tank", b"return 1", params=[b"a"])
    with pytest.raises(zfsvol.Error):
        lzc.channel_program_nosync(b"none", b"return 1")


def test_what_pyzfs_does_not_have(kernel: zfsvol.Zfs) -> None:
    lzc.snapshot(["tank@a"])
    lzc.bookmark({"tank#b": "tank@a"})
    assert lzc.get_bookmark_props("tank#b")["guid"]["value"] == lzc.get_props("tank@a")["guid"]["value"]
    assert lzc.send_space_resume_redacted("tank@a", None, [], 0, 0, 0, None) == lzc.send_space("tank@a")
    with pytest.raises(zfsvol.NotFoundError):
        lzc.send_progress("tank@a", 0)
    lzc.scrub("tank")
    assert lzc.wait("tank", zfsvol.Activity.SCRUB) in (True, False)
    assert lzc.wait_fs("tank") in (True, False)
    with pytest.raises(zfsvol.InvalidError):
        lzc.wait_fs("tank", 1)
    lzc.set_bootenv("tank", {"version": 1, "grub:x": "y"})
    assert lzc.get_bootenv("tank")["grub:x"] == "y"
    vdev = kernel.pools.status("tank")["root"]["children"][0]["guid"]
    lzc.set_vdev_prop("tank", {"vdevprops_set_vdev": vdev, "vdevprops_set_props": {"comment": "left"}})
    assert lzc.get_vdev_prop("tank", {"vdevprops_get_vdev": vdev, "vdevprops_get_props": {"comment": None}})["comment"]["value"] == "left"
    with pytest.raises(zfsvol.UnsupportedError):
        lzc.condense("tank")
