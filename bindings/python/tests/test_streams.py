"""Streams from and to descriptors, sockets and file objects."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

import zfsvol
from zfsvol import rebuild, stream


@pytest.fixture
def data(zfs: zfsvol.Zfs) -> Iterator[zfsvol.Zfs]:
    """A kernel with a zvol, and two snapshots of it."""
    zfs.datasets.create_zvol("tank/v", 4 << 20, {"volblocksize": 16384})
    with zfs.device("tank/v", writable=True) as device:
        device.write(0, os.urandom(1 << 20))
        device.flush()
        zfs.snapshots.create("tank/v@a")
        device.write(1 << 20, b"x" * 65536)
        device.flush()
    zfs.snapshots.create("tank/v@b")
    yield zfs


def contents(zfs: zfsvol.Zfs, what: str) -> bytes:
    with zfs.device(what) as device:
        return device.read(0, device.size())


def sent(zfs: zfsvol.Zfs, *arguments: Any) -> bytes:
    with zfs.send(*arguments) as sending:
        return sending.read()


def test_stream_is_read_and_written_by_hand(data: zfsvol.Zfs) -> None:
    with data.send("tank/v@a") as sending, data.receive("tank/w@a") as receiving:
        while True:
            piece = sending.read(100_000)
            if not piece:
                break
            receiving.write(piece)
        assert sending.bytes_read() == receiving.bytes_written() > 1 << 20
        assert receiving.finish()["snapshot"] == "tank/w@a"
        with pytest.raises(zfsvol.ConsumedError):
            receiving.finish()
    with data.send("tank/v@b", "tank/v@a") as sending, data.receive("tank/w@b") as receiving:
        sending.to_receive(receiving).wait(30)
    assert contents(data, "tank/v") == contents(data, "tank/w")


def test_stream_goes_through_a_pipe_and_a_socket(data: zfsvol.Zfs) -> None:
    reads, writes = os.pipe()
    with data.send("tank/v@a") as sending, data.receive("tank/w@a") as receiving:
        with sending.to(writes) as out, receiving.from_(reads) as back:
            os.close(writes)
            os.close(reads)
            assert out.wait(30)["bytes"] == back.wait(30)["bytes"]
    one, other = socket.socketpair()
    with data.send("tank/v@b", "tank/v@a") as sending, data.receive("tank/w@b") as receiving:
        with sending.to(one) as out, receiving.from_(other) as back:
            one.close()
            assert out.wait(30)["bytes"] == back.wait(30)["bytes"]
    other.close()


@pytest.mark.parametrize("buffering", [-1, 0])
def test_stream_goes_through_files(data: zfsvol.Zfs, tmp_path: Path, buffering: int) -> None:
    with (tmp_path / "stream").open("wb", buffering=buffering) as file, data.send("tank/v@a") as sending:
        file.write(b"head")
        count = sending.copy_to(file)
    with (tmp_path / "stream").open("rb", buffering=buffering) as file, data.receive("tank/w@a") as receiving:
        assert file.read(4) == b"head"
        assert receiving.copy_from(file)["bytes"] == count
    assert contents(data, "tank/w")[: 1 << 20] == contents(data, "tank/v")[: 1 << 20]


def test_stream_goes_through_gzip(data: zfsvol.Zfs, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "stream.gz", "wb") as packed, data.send("tank/v@b", "tank/v@a") as sending:
        count = sending.copy_to(packed)
    assert (tmp_path / "stream.gz").stat().st_size < count
    with gzip.open(tmp_path / "stream.gz", "rb") as packed:
        assert stream.verify(packed)["bytes"] == count


class Broken(io.RawIOBase):
    """A file that fails."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def read(self, size: int = -1) -> Optional[bytes]:
        raise self.error

    def write(self, data: Any) -> Optional[int]:
        raise self.error


def test_exception_of_a_file_is_the_cause(data: zfsvol.Zfs) -> None:
    failure = RuntimeError("the tape is torn")
    with data.send("tank/v@a") as sending, pytest.raises(zfsvol.Error) as caught:
        sending.copy_to(Broken(failure))
    assert caught.value.__cause__ is failure
    full = OSError(28, "full")
    with data.send("tank/v@a") as sending, pytest.raises(zfsvol.Error) as caught:
        sending.copy_to(Broken(full))
    assert caught.value.__cause__ is full
    with data.receive("tank/w@a") as receiving, pytest.raises(zfsvol.Error) as caught:
        receiving.copy_from(Broken(failure))
    assert caught.value.__cause__ is failure


class Slow(io.BytesIO):
    def write(self, data: Any) -> int:
        time.sleep(0.02)
        return super().write(data[:65536])


def test_progress_is_told_and_the_gil_is_free(data: zfsvol.Zfs) -> None:
    seen: List[zfsvol.Progress] = []
    counted = [0]
    running = [True]

    def count() -> None:
        while running[0]:
            counted[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    with data.send("tank/v@a") as sending, sending.to(Slow()) as transfer:
        transfer.wait(60, progress=seen.append, interval=0.05)
    running[0] = False
    thread.join()
    assert len(seen) > 1 and seen[-1].bytes >= seen[0].bytes and counted[0] > 20


def test_transfer_is_cancelled(data: zfsvol.Zfs) -> None:
    reads, writes = os.pipe()
    with data.send("tank/v@a") as sending, sending.to(writes) as transfer:
        with pytest.raises(zfsvol.TimedOutError):
            transfer.wait(0.05)
        assert not transfer.progress().finished
        transfer.cancel()
        with pytest.raises(zfsvol.CancelledError):
            transfer.wait(30)
        with pytest.raises(zfsvol.ConsumedError):
            transfer.wait(1)
    os.close(reads)
    os.close(writes)


class Trickle(io.BytesIO):
    def write(self, data: Any) -> int:
        time.sleep(0.05)
        return super().write(data[:512])


def test_transfer_to_a_slow_file_is_cancelled_at_once(data: zfsvol.Zfs) -> None:
    with data.send("tank/v@a") as sending, sending.to(Trickle()) as transfer:
        time.sleep(0.1)
        started = time.monotonic()
        transfer.cancel()
        with pytest.raises(zfsvol.CancelledError):
            transfer.wait(30)
        assert time.monotonic() - started < 20


def test_used_up_stream_and_closed_stream_are_errors(data: zfsvol.Zfs) -> None:
    with data.send("tank/v@a") as sending:
        sending.copy_to(io.BytesIO())
        with pytest.raises(zfsvol.ConsumedError):
            sending.to(io.BytesIO())
    with pytest.raises(zfsvol.ClosedError):
        sending.to(io.BytesIO())


def test_interrupted_receive_is_resumed(data: zfsvol.Zfs) -> None:
    whole = sent(data, "tank/v@a")
    with data.receive("tank/w@a", resumable=True) as receiving, pytest.raises(zfsvol.StreamTruncatedError):
        receiving.copy_from(io.BytesIO(whole[: len(whole) * 2 // 3]))
    token = data.receive_token("tank/w")
    assert token is not None and stream.token(token)["to_name"] == "tank/v@a"
    assert data.resume_options(token)["snapshot"] == "tank/v@a"
    with data.send_resumed(token) as sending, data.receive("tank/w@a", resumable=True) as receiving:
        receiving.copy_from(io.BytesIO(sending.read()))
    assert data.receive_token("tank/w") is None and data.receive_abort("tank/w") is False
    assert contents(data, "tank/w")[: 1 << 20] == contents(data, "tank/v")[: 1 << 20]


def test_received_properties(data: zfsvol.Zfs) -> None:
    with data.receive("tank/w@a", received={"org.example:r": "1"}, override={"org.example:o": "2"}, exclude=["compression"]) as receiving:
        receiving.copy_from(io.BytesIO(sent(data, "tank/v@a")))
    properties = data.properties.list("tank/w")
    assert (properties["org.example:r"]["source"], properties["org.example:o"]["source"]) == ("received", "local")


def test_damaged_streams_are_found(data: zfsvol.Zfs) -> None:
    whole = sent(data, "tank/v@a")
    assert stream.verify(whole)["bytes"] == len(whole)
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(zfsvol.StreamDamagedError):
        stream.verify(damaged)
    with pytest.raises(zfsvol.StreamTruncatedError):
        stream.verify(io.BytesIO(whole[:-100]))
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(whole)
        file.seek(0)
        assert stream.verify(file)["bytes"] == len(whole)
    with stream.Verifier() as verifier:
        verifier.feed(whole[:1000])
        verifier.feed(memoryview(whole)[1000:])
        assert verifier.progress()["bytes"] == len(whole)
        assert verifier.finish()["streams"] == 1


def test_records_are_an_iterator(data: zfsvol.Zfs) -> None:
    whole = sent(data, "tank/v@b", "tank/v@a")
    with stream.records(io.BytesIO(whole), payloads=True) as records:
        found = list(records)
    kinds = [record["kind"] for record in found]
    assert kinds[0] == "BEGIN" and kinds[-1] == "END" and "WRITE" in kinds
    assert b"x" * 1000 in b"".join(record.get("payload", b"") for record in found) or "payload" in found[kinds.index("WRITE")]


def rewritten(whole: bytes, edit: Callable[[Dict[str, Any]], None]) -> bytes:
    """A stream that was read record by record and written again, each record as `edit` leaves it."""
    out = io.BytesIO()
    with stream.StreamWriter(out) as writer, stream.records(io.BytesIO(whole), payloads=True) as records:
        for record in records:
            edit(record)
            writer.write(record)
        writer.finish()
    return out.getvalue()


def test_records_are_written_as_they_were_read(data: zfsvol.Zfs) -> None:
    for whole in (sent(data, "tank/v@a"), sent(data, "tank/v@b", "tank/v@a", zfsvol.SendFlags.COMPRESS)):
        assert rewritten(whole, lambda record: None) == whole
        assert rewritten(whole, lambda record: record.pop("header")) == whole


def test_changed_stream_is_received(data: zfsvol.Zfs) -> None:
    def blacken(record: Dict[str, Any]) -> None:
        if record["kind"] == "WRITE" and record["object"] == 1:
            record["payload"] = b"y" * len(record["payload"])

    with data.receive("tank/w@a") as receiving:
        receiving.copy_from(io.BytesIO(rewritten(sent(data, "tank/v@a"), blacken)))
    assert contents(data, "tank/w")[: 1 << 20] == b"y" * (1 << 20)


def test_stream_is_made_of_nothing(tmp_path: Path) -> None:
    numbers = stream.numbers()
    version = 1 + 4 * numbers["features"]["resuming"]
    assert (numbers["object_types"]["zvol object"], numbers["begin_flags"]["free_records"]) == (23, 4)
    packed = zfsvol.nvlist.dumps({"resume_object": 1}, zfsvol.Encoding.NATIVE_BIG)
    with (tmp_path / "a").open("wb") as sink, stream.StreamWriter(sink, byte_order=zfsvol.ByteOrder.BIG) as writer:
        with pytest.raises(zfsvol.InvalidError, match="expected BEGIN, found END"):
            writer.write(stream.new_record("END"))
        writer.write(stream.new_record("BEGIN", version_info=version, to_guid=7, to_name=b"caf\xe9@s", payload_bytes=len(packed)), packed)
        for wrong in ({"flags": 256}, {"ofset": 1}, {"offset": -1}, {"logical_bytes": 512}):
            with pytest.raises(zfsvol.InvalidError, match=next(iter(wrong)).split("_")[0] + "|length"):
                writer.write(stream.new_record("WRITE", **wrong))
        with pytest.raises(zfsvol.InvalidError):
            writer.write({"fields": {}})
        writer.write(stream.new_record("FREE", object=1, length=512, to_guid=7))
        writer.write(stream.new_record("END", to_guid=7))
        writer.finish()
        with pytest.raises(zfsvol.ConsumedError):
            writer.finish()
    found = stream.verify((tmp_path / "a").read_bytes())
    assert found["big_endian"] is True and found["first"]["to_name"] == b"caf\xe9@s"
    with pytest.raises(zfsvol.InvalidError):
        stream.new_record("WRIT")


def test_what_follows_a_stream_is_left_where_it_is(data: zfsvol.Zfs, tmp_path: Path) -> None:
    whole = sent(data, "tank/v@a")
    (tmp_path / "a").write_bytes(whole + b"more")
    for buffering in (-1, 0):
        with (tmp_path / "a").open("rb", buffering=buffering) as source:
            with stream.records(source, stop_at_end=True) as records:
                count = len(list(records))
                assert records.progress()["bytes"] == len(whole) and count > 3
            assert source.read() == b"more"
    with pytest.raises(zfsvol.StreamDamagedError):
        list(stream.records(io.BytesIO(whole + b"more")))


def test_sink_that_fails_is_the_cause() -> None:
    full = OSError(28, "full")
    with stream.StreamWriter(Broken(full)) as writer:
        with pytest.raises(zfsvol.NoSpaceError) as caught:
            writer.write(stream.new_record("BEGIN", version_info=1))
        assert caught.value.__cause__ is full
        with pytest.raises(zfsvol.InvalidError):
            writer.write(stream.new_record("BEGIN", version_info=1))


def test_streams_are_copied_compressed_and_filtered(data: zfsvol.Zfs) -> None:
    whole = sent(data, "tank/v@b", "tank/v@a")
    out = io.BytesIO()
    assert stream.copy(io.BytesIO(whole), out)["bytes"] == len(whole) and out.getvalue() == whole
    packed, plain = io.BytesIO(), io.BytesIO()
    stream.recompress(io.BytesIO(whole), packed, "lz4")
    assert len(packed.getvalue()) < len(whole)
    stream.decompress(io.BytesIO(packed.getvalue()), plain)
    assert stream.verify(plain.getvalue())["counts"].keys() == stream.verify(whole)["counts"].keys()
    with pytest.raises(zfsvol.InvalidError):
        stream.recompress(io.BytesIO(whole), io.BytesIO(), "no-such")
    kept = io.BytesIO()
    stream.keep_records(io.BytesIO(whole), kept, lambda record: record["kind"] != "WRITE")
    assert "WRITE" not in [record["kind"] for record in stream.records(io.BytesIO(kept.getvalue()))]
    dropped = stream.drop_record(io.BytesIO(whole), io.BytesIO(), 1, 1 << 20)
    assert dropped == 1

    def refuses(record: Dict[str, Any]) -> bool:
        raise LookupError("never mind")

    with pytest.raises(LookupError):
        stream.keep_records(io.BytesIO(whole), io.BytesIO(), refuses)
    with pytest.raises(zfsvol.Error) as caught:
        stream.copy(io.BytesIO(whole), Broken(RuntimeError("full")))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_streams_are_joined_and_split(data: zfsvol.Zfs) -> None:
    parts = [sent(data, "tank/v@a"), sent(data, "tank/v@b", "tank/v@a")]
    package = io.BytesIO()
    stream.join([io.BytesIO(part) for part in parts], "tank/v@b", package)
    sinks: List[io.BytesIO] = []

    def opened(begin: Dict[str, Any]) -> io.BytesIO:
        sinks.append(io.BytesIO())
        return sinks[-1]

    stream.split(io.BytesIO(package.getvalue()), opened)
    assert [sink.getvalue() for sink in sinks] == parts

    def refuses(begin: Dict[str, Any]) -> io.BytesIO:
        raise PermissionError(13, "no")

    with pytest.raises(zfsvol.Error) as caught:
        stream.split(io.BytesIO(package.getvalue()), refuses)
    assert isinstance(caught.value.__cause__, PermissionError)


def test_streams_are_copied_between_descriptors(data: zfsvol.Zfs, tmp_path: Path) -> None:
    whole = sent(data, "tank/v@a")
    (tmp_path / "a").write_bytes(whole)
    with (tmp_path / "a").open("rb", buffering=0) as source, (tmp_path / "b").open("wb") as sink:
        assert stream.copy(source, sink)["bytes"] == len(whole)
    with (tmp_path / "a").open("rb", buffering=0) as source, rebuild.Changes() as changes:
        changes.add(source.fileno())
    assert (tmp_path / "b").read_bytes() == whole


def test_zvol_is_rebuilt_from_streams(data: zfsvol.Zfs) -> None:
    with tempfile.TemporaryFile() as file:
        with rebuild.ZvolImage(file.fileno()) as image:
            image.apply(io.BytesIO(sent(data, "tank/v@a")))
            image.apply(io.BytesIO(sent(data, "tank/v@b", "tank/v@a")))
            assert image.info()["guid"] == data.properties.list("tank/v@b")["guid"]["value"]
        file.seek(0)
        assert file.read() == contents(data, "tank/v")
    with rebuild.Changes() as changes:
        changes.add(io.BytesIO(sent(data, "tank/v@b", "tank/v@a")))
        assert "1" in changes.list()["objects"]
    with rebuild.FileTree() as tree, pytest.raises(zfsvol.InvalidError):
        tree.apply(io.BytesIO(sent(data, "tank/v@a")))


def test_estimate_and_incremental_base_missing(data: zfsvol.Zfs) -> None:
    assert data.send_space("tank/v@a") > 1 << 20
    with data.receive("tank/w@b") as receiving, pytest.raises(zfsvol.Error):
        receiving.copy_from(io.BytesIO(sent(data, "tank/v@b", "tank/v@a")))
    with pytest.raises(zfsvol.NotFoundError):
        data.send_progress("tank/v@a", 0)


def test_asyncio_waits_in_threads(data: zfsvol.Zfs) -> None:
    async def run() -> List[int]:
        async def one(flags: zfsvol.SendFlags) -> int:
            with data.send("tank/v@a", None, flags) as sending, sending.to(io.BytesIO()) as transfer:
                result = await asyncio.get_running_loop().run_in_executor(None, transfer.wait)
                return int(result["bytes"])

        return list(await asyncio.gather(one(zfsvol.SendFlags(0)), one(zfsvol.SendFlags.COMPRESS)))

    assert min(asyncio.run(run())) > 0
