"""What can be done with send streams without a kernel: verify, copy, compress, cut, take apart and put together, read and write record by record.

Each source and sink is a descriptor, a socket or any file object.
"""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from . import _callbacks, _ffi, nvlist
from ._call import Name, call, listed, made, props, raw, text
from ._callbacks import Channel, Sink, Source
from ._handle import Handle
from ._library import lib
from .errors import Error


def verify(stream: Any) -> Dict[str, Any]:
    """Whether a stream is sound, `bytes` in memory or a source, and what it consists of: `big_endian`, `package`, `first`, `last`, `streams`, `bytes`, `counts`.

    Every checksum is right, all records are there and in order, and nothing follows. Raises `StreamDamagedError`, `StreamTruncatedError`.
    """
    if isinstance(stream, (bytes, bytearray, memoryview)):
        return listed(lib.stream_verify, *raw(stream))
    found = _callbacks.descriptor(stream)
    if found is not None:
        return listed(lib.stream_verify_fd, found)
    with Verifier() as verifier:
        while True:
            piece = stream.read(1 << 18)
            if not piece:
                return verifier.finish()
            verifier.feed(piece)


def token(resume_token: Name) -> Dict[str, Any]:
    """What a resume token says: `to_name`, `to_guid`, `from_guid`, `object`, `offset`, `bytes`, `flags` and, of a redacted stream, `redact_snapshots` and `from_redact_snapshots`
    (GUIDs). Raises `InvalidError`."""
    return listed(lib.token_decode, text(resume_token))


def copy(source: Source, sink: Sink) -> Dict[str, Any]:
    """Copies a stream through, verifying it on the way, and returns what `verify` does."""
    summary: Dict[str, Any] = {}

    def run(reader: Any, writer: Any) -> None:
        summary.update(listed(lib.stream_copy, reader, writer))

    _through(source, sink, run)
    return summary


def decompress(source: Source, sink: Sink) -> None:
    """Copies a stream with its blocks as they are uncompressed. Raises as `verify`, and what writing failed with."""
    _through(source, sink, lambda reader, writer: call(lib.stream_decompress, reader, writer))


def recompress(source: Source, sink: Sink, compression: Name) -> None:
    """Copies a stream with its blocks compressed by that algorithm: `lz4`, `zle`, `gzip-6`. Raises `InvalidError` for one that there is not."""
    _through(source, sink, lambda reader, writer: call(lib.stream_recompress, reader, writer, text(compression)))


def drop_record(source: Source, sink: Sink, object_number: int, offset: int) -> int:
    """Copies a stream without the blocks that begin at `offset` bytes of an object, and returns how many these were."""
    dropped = ctypes.c_uint64()
    _through(
        source, sink, lambda reader, writer: call(lib.stream_drop_record, reader, writer, object_number, offset, ctypes.byref(dropped))
    )
    return dropped.value


def cut(source: Source, sink: Sink, object_number: int, offset: int) -> None:
    """Makes of a stream the rest that finishes a receive that has got as far as a resume token says. Raises `InvalidError` for a package."""
    _through(source, sink, lambda reader, writer: call(lib.stream_cut, reader, writer, object_number, offset))


def keep_records(source: Source, sink: Sink, keep: Callable[[Dict[str, Any]], bool]) -> None:
    """Copies a stream without the records that `keep` refuses, as `records` gives them, without payload. What begins and ends it stays.

    Leaving out a record changes what is received: this is for repairs. What `keep` raises is raised here, once the rest was copied.
    """
    raised: List[BaseException] = []

    def kept(_: Optional[int], record: Optional[int]) -> bool:
        try:
            return bool(keep(nvlist.lent(record)))
        except BaseException as failure:
            raised.append(failure)
            return True

    # Lives until the call returns, and C calls it no later.
    function = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)(kept)
    _through(source, sink, lambda reader, writer: call(lib.stream_filter, reader, writer, function, None))
    if raised:
        raise raised[0]


def split(source: Source, open_sink: Callable[[Dict[str, Any]], Sink]) -> Dict[str, Any]:
    """Takes a package apart: `open_sink` is called for each stream with its begin record, and returns where that stream is to go.

    Returns what the package says of its streams, as `zfs send` wrote it; an empty dict if it says nothing. A stream by itself is written as it is.
    """
    reader, channel = _callbacks.reader(source)
    channels = [channel]

    def opened(_: Optional[int], begin: Optional[int], place: Any) -> int:
        try:
            writer, made_channel = _callbacks.writer(open_sink(nvlist.lent(begin)))
            channels.append(made_channel)
            place[0] = writer
            return 0
        except BaseException as failure:
            return -channel.failed(failure)

    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(_ffi.zfsvol_writer))(opened)
    try:
        return listed(lib.stream_split, ctypes.byref(reader), function, None)
    except Error as failure:
        raise failure from _cause(channels)


def join(sources: Sequence[Source], name: Name, sink: Sink, *, package: Optional[Mapping[str, Any]] = None) -> None:
    """Puts streams together into one package, which `zfs receive` takes in one go. `name` is the snapshot that the package is of.

    Increments of one dataset need no `package`; else it is one of `split`. Raises `InvalidError` when one of them is a package itself, or the name is too long.
    """
    made_readers = [_callbacks.reader(source) for source in sources]
    writer, channel = _callbacks.writer(sink)
    readers = (_ffi.zfsvol_reader * len(made_readers))(*[reader for reader, _ in made_readers])
    try:
        call(lib.stream_join, readers, len(readers), text(name), props(package), ctypes.byref(writer))
    except Error as failure:
        raise failure from _cause([channel] + [one for _, one in made_readers])


class Verifier(Handle):
    """Verifies a stream that comes in pieces, cut anywhere. By one thread at a time; others wait."""

    _free = lib.verifier_free

    def __init__(self) -> None:
        super().__init__(made(lib.verifier_new))

    def feed(self, data: Any) -> None:
        """The next piece of the stream. Raises `StreamDamagedError` at the first thing that is wrong."""
        call(lib.verifier_feed, self, *raw(data))

    def progress(self) -> Dict[str, Any]:
        """What has come so far, as `verify` has it."""
        return listed(lib.verifier_progress, self)

    def finish(self) -> Dict[str, Any]:
        """The stream has come to its end: whether it is sound, as `verify`. Uses the verifier up."""
        return listed(lib.verifier_finish, self)


class Records(Handle):
    """Reads a stream record by record, and verifies it on the way: an iterator.

    Each record is a dict with `index`, `offset`, `part`, `kind` (`BEGIN`, `OBJECT`, `WRITE`, ...), `text`, `payload_bytes`, `big_endian`, `fields`, and `object` if it is about
    one; with `payloads` it has `payload` and `header` (bytes) too, and can be written by a `StreamWriter`. With `stop_at_end` what follows the stream is left unread in the source;
    else it is damage. Raises as `verify` on the way.
    """

    _free = lib.records_free

    def __init__(self, source: Source, *, payloads: bool = False, stop_at_end: bool = False) -> None:
        found = _callbacks.descriptor(source)
        self._payloads = payloads
        if found is not None:
            self._channel = Channel(source)
            super().__init__(made(lib.records_open_fd, found))
        else:
            reader, self._channel = _callbacks.reader(source)
            super().__init__(made(lib.records_open, ctypes.byref(reader)))
        if stop_at_end:
            call(lib.records_stop_at_end, self)

    def progress(self) -> Dict[str, Any]:
        """What has come so far, as `verify` has it."""
        return listed(lib.records_progress, self)

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return self

    def __next__(self) -> Dict[str, Any]:
        try:
            record = listed(lib.records_next, self, self._payloads)
        except Error as failure:
            raise failure from self._channel.failure
        if not record:
            raise StopIteration
        return record


def records(source: Source, *, payloads: bool = False, stop_at_end: bool = False) -> Records:
    """The records of a stream, one after the other: see `Records`."""
    return Records(source, payloads=payloads, stop_at_end=stop_at_end)


def new_record(kind: Name, **fields: Any) -> Dict[str, Any]:
    """A record of that kind, to be written: `kind` and `fields`, all of the kind, which are zero or empty but for those that are given and the `magic` of a `BEGIN`.

    The `version_info` of a `BEGIN` is 1 for a stream and 2 for a package, and its features (see `numbers`) times 4. Raises `InvalidError` for a kind that there is not.
    """
    record = listed(lib.stream_record_new, text(kind))
    record["fields"].update(fields)
    return record


def numbers() -> Dict[str, Dict[str, int]]:
    """The numbers in records that have a name, by that: `features` (of a `BEGIN`), `begin_flags` (its `flags`), `object_types` and `compressions`.

    >>> numbers()["compressions"]["lz4"]
    15
    """
    return listed(lib.stream_numbers)


class StreamWriter(Handle):
    """Writes a stream or a package record by record: those of another stream, changed or not, and new ones. By one thread at a time; others wait.

        >>> import io
        >>> import zfsvol
        >>> with zfsvol.open("embedded:") as zfs:
        ...     zfs.datasets.create_filesystem("tank/web")
        ...     zfs.snapshots.create("tank/web@monday")
        ...     with zfs.send("tank/web@monday") as sending:
        ...         stream = sending.read()
        >>> renamed = io.BytesIO()
        >>> with StreamWriter(renamed) as writer:
        ...     for record in records(io.BytesIO(stream), payloads=True):
        ...         if record["kind"] == "BEGIN":
        ...             record["fields"]["to_name"] = "vault/web@first"
        ...         writer.write(record)
        ...     writer.finish()
        >>> verify(renamed.getvalue())["first"]["to_name"]
        'vault/web@first'

    The checksums are filled in, whatever those of the records say. A stream is a `BEGIN`, what it consists of, and an `END`; a package is a `BEGIN`, an `END`, streams, and an
    `END`. What a record means together with others is not looked at. Numbers are in `byte_order`; where the first record is one that was read, in the order of that.
    """

    _free = lib.stream_writer_free

    def __init__(self, sink: Sink, *, byte_order: _ffi.ByteOrder = _ffi.ByteOrder.HOST) -> None:
        writer, self._channel = _callbacks.writer(sink)
        super().__init__(made(lib.stream_writer_open, ctypes.byref(writer), int(byte_order)))

    def write(self, record: Mapping[str, Any], payload: Optional[Any] = None) -> None:
        """Writes the next record, one of `records` or of `new_record`, and what follows it: `payload`, or else the record's own, as long as the fields say.

        `fields` are all fields of the kind, and no others. With the `header` of a record that was read, bytes that are no field stay as they were, so that a record that was not
        changed is written byte for byte as it was. All else is passed over. A record that is refused leaves no trace, and another can be written in its place; once the sink has
        failed, nothing can.

        Raises `InvalidError` for a record that is not due here, lacks a field, has one too much or of the wrong type, or whose payload has another length,
        `ConsumedError`, and what writing failed with.
        """
        written = {"fields": record["fields"]}
        if "header" in record:
            written.update(header=bytearray(record["header"]), big_endian=record["big_endian"])
        try:
            call(lib.stream_writer_write, self, nvlist.Owned(written), *raw(record.get("payload", b"") if payload is None else payload))
        except Error as failure:
            raise failure from self._channel.failure

    def finish(self) -> None:
        """All has been written: whether that is a whole stream. Uses the writer up, and does not close the sink.

        Raises `InvalidError` when the last `END` is missing, `ConsumedError`.
        """
        call(lib.stream_writer_finish, self)


def _through(source: Source, sink: Sink, run: Callable[[Any, Any], None]) -> None:
    """Runs a copy; what a file object raised is the cause of its failure."""
    (reader, read), (writer, written) = _callbacks.both(source, sink)
    try:
        run(ctypes.byref(reader), ctypes.byref(writer))
    except Error as failure:
        raise failure from _cause([read, written])


def _cause(channels: List[Channel]) -> Optional[BaseException]:
    return next((channel.failure for channel in channels if channel.failure is not None), None)
