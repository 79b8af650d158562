"""The library, handles, errors and lists."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict

import pytest

import zfsvol
from zfsvol import _ffi, _library, errors, nvlist
from zfsvol.nvlist import Typed

HERE = Path(__file__).resolve().parent.parent


def test_generated_code_is_not_stale() -> None:
    subprocess.run([sys.executable, HERE / "tools" / "generate.py", "--check"], check=True)


def test_every_function_of_the_abi_is_bound() -> None:
    root = HERE / "rust" if (HERE / "rust").is_dir() else HERE.parent.parent
    abi = (root / "include" / "zfsvol.abi").read_text()
    sources = "".join(file.read_text() for file in (HERE / "zfsvol").glob("*.py") if file.name != "_ffi.py")
    used = set(re.findall(r"\blib(?:rary\.zfsvol_|\.)(\w+)", sources)) | {"abi"}
    missing = set(re.findall(r"^function zfsvol_(\w+)", abi, re.MULTILINE)) - used
    # What Python has no use for: dicts are made of the JSON of a whole list, exceptions of all that an error says at once, and what takes long is a transfer.
    lists = {"clone", "count", "get", "get_bool", "get_i64", "get_str", "get_u64", "list", "new", "next", "put_bool", "put_flag", "put_i64", "put_list", "put_lists"}
    lists |= {"put_number", "put_numbers", "put_str", "put_strs", "put_u64", "remove", "text"}
    said = {"errno", "failure", "failures", "help", "message", "operation", "reason", "status", "target"}
    assert missing == {f"nvlist_{name}" for name in lists} | {f"error_{name}" for name in said} | {"pool_wait", "volume_recover"}


def _import_with(library: str) -> str:
    environment = {**os.environ, _library.VARIABLE: library}
    done = subprocess.run([sys.executable, "-c", "import zfsvol"], env=environment, cwd=HERE, capture_output=True, text=True)
    assert done.returncode != 0
    return done.stderr


def test_missing_library_says_what_to_do() -> None:
    assert f"set {_library.VARIABLE}" in _import_with("/nonexistent.so")


def test_another_library_is_refused() -> None:
    assert "is not libzfsvol" in _import_with("libc.so.6")


def test_library_of_another_abi_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "other.c"
    source.write_text("unsigned zfsvol_abi(void) { return 99; }\n")
    library = tmp_path / "libother.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    assert "has version 99 of the ABI" in _import_with(str(library))


def test_close_twice_is_nothing_and_use_after_close_is_an_error() -> None:
    zfs = zfsvol.open("embedded:")
    assert not zfs.closed
    zfs.close()
    zfs.close()
    assert zfs.closed and repr(zfs) == "<Zfs closed>"
    with pytest.raises(zfsvol.ClosedError, match="Zfs is closed"):
        zfs.pools.names()


def test_children_outlive_the_parent(zfs: zfsvol.Zfs) -> None:
    clone = zfs.clone()
    names = clone.names()
    clone.close()
    assert list(names) == ["tank"]


def test_close_waits_for_calls_under_way_and_wakes_them(zfs: zfsvol.Zfs) -> None:
    events = zfs.events()
    events.seek(zfsvol.Events.NEWEST)
    got = []
    thread = threading.Thread(target=lambda: got.append(events.next(60)))
    thread.start()
    time.sleep(0.05)
    events.close()
    thread.join(10)
    assert not thread.is_alive() and got == [None]


def test_forked_process_may_not_use_objects(zfs: zfsvol.Zfs) -> None:
    child = os.fork()
    if child == 0:
        try:
            zfs.pools.names()
        except zfsvol.ClosedError:
            zfs.close()
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert zfs.pools.names() == ["tank"]


RUNS_AT_EXIT = """
import io, sys, time
import zfsvol
class Slow(io.RawIOBase):
    def write(self, data):
        time.sleep(0.05)
        return min(len(data), 512)
zfs = zfsvol.open("embedded:").observe(after=lambda call: None)
zfs.datasets.create_zvol("tank/v", 8 << 20)
with zfs.device("tank/v", writable=True) as device:
    device.write(0, bytes(range(256)) * 4096)
zfs.snapshots.create("tank/v@a")
transfer = zfs.send("tank/v@a").to(Slow())
half = zfs.send("tank/v@a")
print(half.read(10) != b"", flush=True)
"""


def test_program_ends_while_a_transfer_runs() -> None:
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", RUNS_AT_EXIT], cwd=HERE, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    # All of it would take longer than a minute and a half.
    assert time.monotonic() - started < 60


# Whoever starts the tests in the background may have told them to ignore SIGINT, which a child would take over.
WAITS = """
import os, signal, zfsvol
signal.signal(signal.SIGINT, signal.default_int_handler)
zfs = zfsvol.open("embedded:")
zfs.datasets.create_zvol("tank/v", 8 << 20)
with zfs.device("tank/v", writable=True) as device:
    device.write(0, os.urandom(1 << 20))
zfs.snapshots.create("tank/v@a")
reads, writes = os.pipe()
with zfs.send("tank/v@a") as sending, sending.to(writes) as transfer:
    print("waits", flush=True)
    try:
        transfer.wait()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def test_wait_sees_ctrl_c() -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS], cwd=HERE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "waits\n"
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        try:
            assert child.communicate(timeout=30)[0] == "interrupted\n"
        finally:
            child.kill()
        assert child.returncode == 0


def test_many_threads_use_one_kernel(zfs: zfsvol.Zfs) -> None:
    failures = []

    def work(number: int) -> None:
        try:
            for index in range(20):
                zfs.datasets.create_filesystem(f"tank/a{number}-{index}")
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and len(list(zfs.names())) == 161


def test_every_status_has_a_class_by_its_name() -> None:
    for status in zfsvol.Status:
        if 0 < status < zfsvol.Status.NULL:
            kind = errors.class_of(status)
            words = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__[: -len("Error")]).upper()
            assert words == status.name and kind.status == status
    assert errors.class_of(150) is zfsvol.OtherError
    assert errors.class_of(zfsvol.Status.PANIC) is zfsvol.BugError
    assert errors.class_of(zfsvol.Status.CONSUMED) is zfsvol.ConsumedError


def test_error_says_everything(zfs: zfsvol.Zfs) -> None:
    zfs.snapshots.create("tank@a")
    with pytest.raises(zfsvol.ExistenceError) as caught:
        zfs.snapshots.create("tank@a")
    one = caught.value
    assert type(one) is zfsvol.ExistsError
    assert (one.operation, one.errno, one.status) == ("snapshot", 17, zfsvol.Status.EXISTS)
    assert [(failure.name, failure.errno, failure.status) for failure in one.failures] == [("tank@a", 17, zfsvol.Status.EXISTS)]
    assert "EEXIST" in str(one)


def test_names_that_fail_are_all_named(zfs: zfsvol.Zfs) -> None:
    zfs.datasets.create_filesystem("tank/a")
    zfs.snapshots.create(["tank/a@x", "tank@x"])
    with pytest.raises(zfsvol.ExistsError) as caught:
        zfs.snapshots.create(["tank/a@x", "tank@x"])
    assert {failure.name for failure in caught.value.failures} == {"tank/a@x", "tank@x"}


def test_busy_error_says_by_what(zfs: zfsvol.Zfs) -> None:
    zfs.snapshots.create("tank@a")
    zfs.holds.create([("tank@a", "keep")])
    with pytest.raises(zfsvol.BusyError) as caught:
        zfs.snapshots.destroy("tank@a")
    assert caught.value.failures[0].busy == [{"why": "holds", "names": ["keep"]}]
    assert zfs.datasets.busy("tank@a") == [{"why": "holds", "names": ["keep"]}]


def test_errors_can_be_pickled(zfs: zfsvol.Zfs) -> None:
    with pytest.raises(zfsvol.NotFoundError) as caught:
        zfs.datasets.destroy("tank/none")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.errno, again.target, type(again)) == (str(caught.value), 2, "tank/none", zfsvol.NotFoundError)


def test_name_that_is_not_utf8_is_refused(zfs: zfsvol.Zfs) -> None:
    with pytest.raises(zfsvol.InvalidNameError):
        zfs.datasets.exists(b"tank/\xff")
    with pytest.raises(TypeError):
        zfs.datasets.exists(5)  # type: ignore[arg-type]


LISTS: Dict[str, Dict[str, Any]] = {
    "empty": {},
    "numbers": {"a": 0, "b": 2**64 - 1, "c": -(2**63), "d": True, "e": False},
    "texts": {"a": "", "b": "ä", "c": "with:colon", "name:with:colons": "x", "quote\"": "\n"},
    "nothing": {"a": None},
    "doubles": {"a": 0.1, "b": float("inf"), "c": -0.0},
    "arrays": {"a": [1, 2], "b": ["x", "y"], "c": [True, False], "d": [{"e": 1}, {}], "f": [-1, 5]},
    "inside": {"a": {"b": {"c": {"d": [1]}}}},
    "hex": {"hex": "00"},
}


@pytest.mark.parametrize("values", LISTS.values(), ids=LISTS.keys())
@pytest.mark.parametrize("encoding", list(_ffi.Encoding))
def test_lists_come_back(values: Dict[str, Any], encoding: _ffi.Encoding) -> None:
    assert nvlist.loads(nvlist.dumps(values, encoding)) == values


def test_bytes_are_strings_and_bytearrays_are_bytes() -> None:
    assert nvlist.loads(nvlist.dumps({b"a": b"text", "b": bytearray(b"\x00\xff"), "c": b"\xff"})) == {"a": "text", "b": b"\x00\xff", "c": b"\xff"}


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "byte", "hrtime"])
def test_typed_numbers_come_back(kind: str) -> None:
    assert nvlist.loads(nvlist.dumps({"a": Typed(kind, 5)})) == {"a": 5}


@pytest.mark.parametrize("values", [{"a": []}, {"a": [1, "x"]}, {"a": object()}, {"a": [None]}])
def test_what_no_list_can_hold_is_refused(values: Dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        nvlist.dumps(values)


@pytest.mark.parametrize("values", [{"a": 2**64}, {"a": -(2**63) - 1}, {"a": Typed("uint8", 256)}, {"a": "\0"}])
def test_what_does_not_fit_is_an_error(values: Dict[str, Any]) -> None:
    with pytest.raises(zfsvol.Error):
        nvlist.dumps(values)


@pytest.mark.parametrize("packed", [b"", b"\x00", b"\xff" * 64, nvlist.dumps({"a": 1})[:-3]])
def test_what_is_no_list_is_an_error(packed: bytes) -> None:
    with pytest.raises(zfsvol.Error):
        nvlist.loads(packed)


def test_structs_keep_the_texts_they_point_to() -> None:
    array = (_ffi.zfsvol_str * 100)(*[nvlist.text("tank/" + str(number) * 50) for number in range(100)])
    option = _ffi.zfsvol_list_options(roots=array)
    del array
    gc.collect()
    noise = [("x" * 60).encode() for _ in range(10000)]
    assert nvlist.text_of(option.roots[37]) == "tank/" + "37" * 50 and noise
    assert ctypes.sizeof(_ffi.zfsvol_str) == 16
