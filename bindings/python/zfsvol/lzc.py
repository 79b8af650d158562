"""The functions of libzfs_core, with the names and arguments that pyzfs has them under: `import zfsvol.lzc as libzfs_core`.

Each function is there by its name and with `lzc_` before it. Names are `bytes` or `str`, and what is answered is of the same type. nvlists are dicts. `fd` is a descriptor, a
socket or any file object. Failures are an `Error` of this package, whose `errno` is the kernel's; where pyzfs has `errors`, it has `failures`.

The kernel is the OpenZFS module of this machine, opened at first use; `use` says another:

    >>> import zfsvol
    >>> from zfsvol import lzc
    >>> with zfsvol.open("embedded:") as zfs, lzc.use(zfs):
    ...     lzc.lzc_create(b"tank/a")
    ...     lzc.snapshot([b"tank/a@b"])
    ...     lzc.exists(b"tank/a@b"), lzc.rollback(b"tank/a")
    (True, b'tank/a@b')
"""

from __future__ import annotations

import enum
import errno
import os
import socket
import struct
import threading
from types import TracebackType
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, Type, Union

from . import errors
from ._call import Name
from ._callbacks import Sink, Source
from ._ffi import Activity, Initialize, Prefetch, Prune, Scrub, SendFlags, Status, Trim
from .holds import Cleanup
from .keys import Key
from .send import options as _options
from .send import space as _space
from .zfs import Zfs
from .zfs import open as _open

ZCP_DEFAULT_INSTRLIMIT = 10 * 1000 * 1000
"""Instructions after which a channel program is stopped."""

ZCP_DEFAULT_MEMLIMIT = 10 * 1024 * 1024
"""Bytes of memory at which a channel program is stopped."""

MAXNAMELEN = 255
"""The longest name, in bytes."""

WRAPPING_KEY_LEN = 32
"""How many bytes a wrapping key has."""


class zfs_key_location(enum.IntEnum):
    """Where a key is read from: OpenZFS include/sys/fs/zfs.h, `zfs_keylocation_t`."""

    ZFS_KEYLOCATION_NONE = 0
    ZFS_KEYLOCATION_PROMPT = 1
    ZFS_KEYLOCATION_URI = 2


class zfs_keyformat(enum.IntEnum):
    """What a key is given as, `keyformat` of `create` and `change_key`: OpenZFS include/sys/fs/zfs.h, `zfs_keyformat_t`."""

    ZFS_KEYFORMAT_NONE = 0
    ZFS_KEYFORMAT_RAW = 1
    ZFS_KEYFORMAT_HEX = 2
    ZFS_KEYFORMAT_PASSPHRASE = 3


class zio_encrypt(enum.IntEnum):
    """How is enciphered, `encryption` of `create`: OpenZFS include/sys/zio.h, `enum zio_encrypt`."""

    ZIO_CRYPT_INHERIT = 0
    ZIO_CRYPT_ON = 1
    ZIO_CRYPT_OFF = 2
    ZIO_CRYPT_AES_128_CCM = 3
    ZIO_CRYPT_AES_192_CCM = 4
    ZIO_CRYPT_AES_256_CCM = 5
    ZIO_CRYPT_AES_128_GCM = 6
    ZIO_CRYPT_AES_192_GCM = 7
    ZIO_CRYPT_AES_256_GCM = 8


_FLAGS = {
    "embedded_data": SendFlags.EMBED,
    "large_blocks": SendFlags.LARGE_BLOCK,
    "compress": SendFlags.COMPRESS,
    "raw": SendFlags.RAW,
}
_KEYFORMATS = {1: "raw", 2: "hex", 3: "passphrase"}
_BEGIN = struct.Struct("=IIQQQIIQQ256s")
"""The begin record of a stream: OpenZFS include/sys/zfs_ioctl.h, `dmu_replay_record_t`, 312 bytes."""

_gate = threading.Lock()
_chosen: Optional[Zfs] = None
_opened: Optional[Zfs] = None


class use:
    """Has the functions of this module use that kernel from now on, or inside of a `with` statement. None stands for that of the machine.

    It holds for all threads of the process, as libzfs_core's own does.
    """

    def __init__(self, zfs: Optional[Zfs]) -> None:
        global _chosen
        with _gate:
            self._before, _chosen = _chosen, zfs

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        global _chosen
        with _gate:
            _chosen = self._before


def _zfs() -> Zfs:
    global _opened
    with _gate:
        if _chosen is not None:
            return _chosen
        if _opened is None:
            _opened = _open("zfs:")
        return _opened


def create(name: Name, ds_type: str = "zfs", props: Optional[Mapping[Any, Any]] = None, key: Optional[bytes] = None) -> None:
    """Creates a file system, `zfs`, or a zvol, `zvol`, whose size in bytes is the property `volsize`. `key` is a wrapping key of 32 bytes.

    Raises `ExistsError`, `NotFoundError` (the parent), `InvalidPropertyError`, `InvalidError` (the type), `NoSpaceError` and others.
    """
    given = _strings(props)
    kept = _key(key, given.pop("keyformat", None)) if key else None
    if ds_type == "zfs":
        _zfs().datasets.create_filesystem(name, given, key=kept)
    elif ds_type == "zvol":
        size = given.pop("volsize", None)
        if not isinstance(size, int):
            raise _invalid("create", name, "a zvol needs the property 'volsize', in bytes")
        _zfs().datasets.create_zvol(name, size, given, key=kept)
    else:
        raise _invalid("create", name, f"there is no type '{ds_type}'")


def clone(name: Name, origin: Name, props: Optional[Mapping[Any, Any]] = None) -> None:
    """Clones the snapshot `origin`. Raises `ExistsError`, `NotFoundError`, `UnrelatedError`, `InvalidPropertyError`."""
    _zfs().datasets.clone(name, origin, _strings(props))


def promote(name: Name) -> None:
    """Promotes a clone. Raises `NotFoundError`, `InvalidError` (it is no clone), `ExistsError`."""
    _zfs().datasets.promote(name)


def rename(source: Name, target: Name) -> None:
    """Renames a dataset. Raises `NotFoundError`, `ExistsError`, `UnrelatedError`, `BusyError`."""
    _zfs().datasets.rename(source, target)


def destroy(name: Name) -> None:
    """Destroys a dataset that has no snapshots and nothing below it. Raises `NotFoundError`, `BusyError`."""
    _zfs().datasets.destroy(name)


def rollback(name: Name) -> Name:
    """Rolls a dataset back to its newest snapshot, and returns that one's name. Raises `NotFoundError`, `BusyError`."""
    newest: Name = _like(name, _zfs().datasets.rollback(name))
    return newest


def rollback_to(name: Name, snap: Name) -> None:
    """Rolls a dataset back to that snapshot, which must be its newest. Raises `NotFoundError`, `BusyError` (there are newer ones)."""
    if _str(snap).partition("@")[0] != _str(name):
        raise _invalid("rollback", name, f"'{_str(snap)}' is no snapshot of it")
    _zfs().datasets.rollback_to(snap)


def exists(name: Name) -> bool:
    """Whether a dataset, snapshot or bookmark is there."""
    return _zfs().datasets.exists(name)


def snapshot(snaps: Iterable[Name], props: Optional[Mapping[Any, Any]] = None) -> None:
    """Takes snapshots of one pool, all or none, with user properties. With each that failed in `failures`: `ExistsError`, `NotFoundError`, `UnrelatedError`."""
    _zfs().snapshots.create(list(snaps), _strings(props))


def destroy_snaps(snaps: Iterable[Name], defer: bool) -> None:
    """Destroys snapshots, all or none; with `defer`, those that are in use later. With each that failed in `failures`: `BusyError`, `UnrelatedError`."""
    _zfs().snapshots.destroy(list(snaps), deferred=bool(defer))


def snaprange_space(firstsnap: Name, lastsnap: Name) -> int:
    """How many bytes destroying the snapshots from the first to the last would free. Raises `NotFoundError`, `UnrelatedError`, `InvalidError`."""
    return _zfs().snapshots.range_space(firstsnap, lastsnap)["used"]


def bookmark(bookmarks: Mapping[Any, Name]) -> None:
    """Makes bookmarks of snapshots or bookmarks, by the new names, all or none. With each that failed in `failures`: `ExistsError`, `NotFoundError`, `FeatureDisabledError`."""
    _zfs().bookmarks.create(bookmarks)


def get_bookmarks(fsname: Name, props: Optional[Iterable[Name]] = None) -> Dict[Any, Dict[Any, Any]]:
    """The bookmarks of a dataset by what follows the `#`: for each property that was asked for (`guid`, `createtxg`, `creation`, ...) a dict with its `value`."""
    wanted = [_str(one) for one in props or []]
    found: Dict[Any, Dict[Any, Any]] = {}
    for one in _zfs().bookmarks.list(fsname):
        short = _str(one["name"]).rpartition("#")[2]
        values = {_like(fsname, name): {_like(fsname, "value"): one[name]} for name in wanted if name in one}
        found[_like(fsname, short)] = values
    return found


def get_bookmark_props(bookmark: Name) -> Dict[str, Any]:
    """What a bookmark says, `guid`, `createtxg`, `creation` and more, each a dict with its `value`. Raises `NotFoundError`."""
    return {name: {"value": value} for name, value in _zfs().bookmarks.get(bookmark).items() if name != "name"}


def destroy_bookmarks(bookmarks: Iterable[Name]) -> None:
    """Destroys bookmarks, all or none; those that are not there are passed over."""
    _zfs().bookmarks.destroy(list(bookmarks))


def redact(snapshot: Name, bookname: Name, snaps: Iterable[Name]) -> None:
    """Makes a redaction bookmark of a snapshot: what the clones' snapshots changed is left out of streams that are sent with it. `bookname` is what follows the `#`."""
    _zfs().bookmarks.redact(snapshot, f"{_str(snapshot).partition('@')[0]}#{_str(bookname)}", list(snaps))


def hold(holds: Mapping[Any, Name], fd: Optional[Union[Cleanup, int]] = None) -> List[Any]:
    """Holds snapshots, all or none, each with a tag, and returns those that are not there. With each that failed in `failures`: `ExistsError` (the tag),
    `InvalidNameError` (its length).

    With `fd`, which is what `cleanup()` gives and not a number, the holds end when that is closed, or with the process.
    """
    if isinstance(fd, int) and fd != -1:
        raise TypeError("fd is what zfsvol.lzc.cleanup() gives: a descriptor of the program's own is not the library's")
    missing = _zfs().holds.create(list(holds.items()), cleanup=fd if isinstance(fd, Cleanup) else None)
    return _all_like(list(holds), missing)


def cleanup() -> Cleanup:
    """What stands for `os.open("/dev/zfs", os.O_EXCL)`, to give to `hold`. Close it to end the holds."""
    return _zfs().holds.cleanup()


def release(holds: Mapping[Any, List[Name]]) -> List[Any]:
    """Releases holds, lists of tags by snapshot, all or none, and returns what was not there: a snapshot, or `snapshot#tag`."""
    pairs = []
    for name, tags in holds.items():
        if not isinstance(tags, list):
            raise TypeError("the tags of a snapshot must be a list")
        pairs += [(name, tag) for tag in tags]
    missing = [f"{one.snapshot}#{one.tag}" if one.snapshot_exists else one.snapshot for one in _zfs().holds.release(pairs)]
    return _all_like(list(holds), list(dict.fromkeys(missing)))


def get_holds(snapname: Name) -> Dict[Any, int]:
    """When the holds of a snapshot were made, in seconds since 1970, by their tags. Raises `NotFoundError`."""
    return {_like(snapname, tag): since for tag, since in _zfs().holds.list(snapname).items()}


def send(snapname: Name, fromsnap: Optional[Name], fd: Sink, flags: Optional[Iterable[Name]] = None) -> None:
    """Writes the stream of a snapshot, from another snapshot or bookmark on if one is given. `flags` are `embedded_data`, `large_blocks`, `compress`, `raw`.

    Raises `NotFoundError`, `BaseMissingError`, `InvalidError` (a flag), `DisconnectedError`, `IoError` and others.
    """
    with _zfs().send(snapname, fromsnap, _send_flags(flags)) as stream:
        stream.copy_to(fd)


def send_resume(
    snapname: Name,
    fromsnap: Optional[Name],
    fd: Sink,
    flags: Optional[Iterable[Name]] = None,
    resumeobj: int = 0,
    resumeoff: int = 0,
) -> None:
    """As `send`, from the object and offset on that a resume token says."""
    with _zfs().send(snapname, fromsnap, _send_flags(flags), resume_object=resumeobj, resume_offset=resumeoff) as stream:
        stream.copy_to(fd)


def send_redacted(snapname: Name, fromsnap: Optional[Name], fd: Sink, flags: Optional[Iterable[Name]], redactbook: Name) -> None:
    """As `send`, without what a redaction bookmark leaves out."""
    with _zfs().send(snapname, fromsnap, _send_flags(flags), redacted_by=redactbook) as stream:
        stream.copy_to(fd)


def send_resume_redacted(
    snapname: Name,
    fromsnap: Optional[Name],
    fd: Sink,
    flags: Optional[Iterable[Name]],
    resumeobj: int,
    resumeoff: int,
    redactbook: Optional[Name],
) -> None:
    """As `send_resume` and `send_redacted`."""
    given = _send_flags(flags)
    with _zfs().send(snapname, fromsnap, given, redacted_by=redactbook, resume_object=resumeobj, resume_offset=resumeoff) as stream:
        stream.copy_to(fd)


def send_progress(snapname: Name, fd: int) -> Tuple[int, int]:
    """How many bytes and blocks a send of this process to that descriptor has written. Raises `NotFoundError` when there is none."""
    found = _zfs().send_progress(snapname, fd)
    return found["bytes"], found["blocks"]


def send_space_resume_redacted(
    snapname: Name,
    fromsnap: Optional[Name],
    flags: Optional[Iterable[Name]],
    resumeobj: int,
    resumeoff: int,
    resume_bytes: int,
    redactbook: Optional[Name],
    fd: int = -1,
) -> int:
    """How many bytes the rest of a stream would have: an estimate, whose progress `send_progress` tells by `fd`."""
    given = _options(fromsnap, _send_flags(flags), redactbook, resumeobj or None, resumeoff, resume_bytes)
    return _space(_zfs(), snapname, given, fd)


def send_space(snapname: Name, fromsnap: Optional[Name] = None, flags: Optional[Iterable[Name]] = None) -> int:
    """How many bytes the stream would have: an estimate. Raises as `send`."""
    return _zfs().send_space(snapname, fromsnap, _send_flags(flags))


def receive(
    snapname: Name,
    fd: Source,
    force: bool = False,
    raw: bool = False,
    origin: Optional[Name] = None,
    props: Optional[Mapping[Any, Any]] = None,
) -> None:
    """Receives a stream as that snapshot; `force` rolls the destination back first, `props` become received properties. Whether it is raw, the stream says.

    Raises `ExistsError`, `NotFoundError`, `BaseMissingError`, `DestinationModifiedError`, `StreamDamagedError`, `StreamTruncatedError` and others.
    """
    _receive(snapname, fd, None, force, False, False, origin, props, None, None)


def receive_resumable(
    snapname: Name,
    fd: Source,
    force: bool = False,
    raw: bool = False,
    origin: Optional[Name] = None,
    props: Optional[Mapping[Any, Any]] = None,
) -> None:
    """As `receive`; what came is kept if the stream ends too early, and the property `receive_resume_token` says how to go on."""
    _receive(snapname, fd, None, force, True, False, origin, props, None, None)


def receive_header(fd: Source) -> Tuple[Dict[str, Any], bytes]:
    """Reads the begin record of a stream: its fields, and what to give to `receive_with_header`.

    The fields are `drr_magic`, `drr_versioninfo`, `drr_creation_time`, `drr_type`, `drr_flags`, `drr_toguid`, `drr_fromguid`, `drr_toname` (bytes), in this machine's byte
    order. Raises `StreamTruncatedError`.
    """
    record = b""
    while len(record) < _BEGIN.size:
        piece = _piece(fd, _BEGIN.size - len(record))
        if not piece:
            raise errors.made(Status.STREAM_TRUNCATED, "cannot read the begin record of a stream: it ended too early")
        record += piece
    _, _, magic, version, time, kind, flags, to_guid, from_guid, name = _BEGIN.unpack(record)
    header = {
        "drr_magic": magic,
        "drr_versioninfo": version,
        "drr_creation_time": time,
        "drr_type": kind,
        "drr_flags": flags,
        "drr_toguid": to_guid,
        "drr_fromguid": from_guid,
        "drr_toname": name.partition(b"\0")[0],
    }
    return header, record


def receive_with_header(
    snapname: Name,
    fd: Source,
    begin_record: bytes,
    force: bool = False,
    resumable: bool = False,
    raw: bool = False,
    origin: Optional[Name] = None,
    props: Optional[Mapping[Any, Any]] = None,
) -> None:
    """As `receive`, of a stream whose begin record `receive_header` has read."""
    _receive(snapname, fd, begin_record, force, resumable, False, origin, props, None, None)


def receive_one(
    snapname: Name,
    fd: Source,
    begin_record: bytes,
    force: bool = False,
    resumable: bool = False,
    raw: bool = False,
    origin: Optional[Name] = None,
    props: Optional[Mapping[Any, Any]] = None,
    cleanup_fd: int = -1,
    action_handle: int = 0,
) -> Tuple[int, int]:
    """As `receive_with_header`; returns how many bytes were read, the begin record among them, and `action_handle`, which means nothing any more."""
    return _receive(snapname, fd, begin_record, force, resumable, False, origin, props, None, None), action_handle


def receive_with_cmdprops(
    snapname: Name,
    fd: Source,
    begin_record: bytes,
    force: bool = False,
    resumable: bool = False,
    raw: bool = False,
    origin: Optional[Name] = None,
    props: Optional[Mapping[Any, Any]] = None,
    cmdprops: Optional[Mapping[Any, Any]] = None,
    key: Optional[bytes] = None,
    cleanup_fd: int = -1,
    action_handle: int = 0,
) -> Tuple[int, int]:
    """As `receive_one`; `cmdprops` are set locally, and those with None inherited, whatever was received. `key` encrypts."""
    return _receive(snapname, fd, begin_record, force, resumable, False, origin, props, cmdprops, key), action_handle


def receive_with_heal(
    snapname: Name,
    fd: Source,
    begin_record: bytes,
    force: bool = False,
    corrective: bool = True,
    resumable: bool = False,
    raw: bool = False,
    origin: Optional[Name] = None,
    props: Optional[Mapping[Any, Any]] = None,
    cmdprops: Optional[Mapping[Any, Any]] = None,
    key: Optional[bytes] = None,
    cleanup_fd: int = -1,
    action_handle: int = 0,
) -> Tuple[int, int]:
    """As `receive_with_cmdprops`; with `corrective` it creates nothing, and repairs damaged blocks of the snapshot."""
    return _receive(snapname, fd, begin_record, force, resumable, corrective, origin, props, cmdprops, key), action_handle


def change_key(fsname: Name, crypt_cmd: str, props: Optional[Mapping[Any, Any]] = None, key: Optional[bytes] = None) -> None:
    """Wraps a dataset's key by another one, `new_key`, or by its parent's, `inherit`. `key` is a wrapping key of 32 bytes.

    `force_new_key` and `force_inherit`, which only a replicated receive needs, raise `UnsupportedError`. Raises `KeyNotLoadedError`, `InvalidError`, `NotFoundError`.
    """
    given = _strings(props)
    if crypt_cmd == "new_key":
        _zfs().keys.change(fsname, _key(key or b"", given.pop("keyformat", None)), given)
    elif crypt_cmd == "inherit":
        _zfs().keys.change(fsname, None, given)
    elif crypt_cmd in ("force_new_key", "force_inherit"):
        raise errors.made(Status.UNSUPPORTED, f"cannot change the key of '{_str(fsname)}': '{crypt_cmd}' is not offered")
    else:
        raise _invalid("change the key of", fsname, f"there is no command '{crypt_cmd}'")


def load_key(fsname: Name, noop: bool, key: bytes) -> None:
    """Loads the wrapping key of 32 bytes of an encryption root; with `noop` only checks it.

    The root's `keyformat` is `raw` or `hex`: for a passphrase use `zfs.keys.load` with `Key.passphrase`. Raises `WrongKeyError`, `ExistsError` (it is loaded), `InvalidError`.
    """
    zfs = _zfs()
    found = zfs.properties.get(fsname, "keyformat") or {}
    kept = _key(key, found.get("value"))
    if noop:
        zfs.keys.check(fsname, kept)
    else:
        zfs.keys.load(fsname, kept)


def unload_key(fsname: Name) -> None:
    """Unloads the key of an encryption root. Raises `BusyError`, `KeyNotLoadedError`."""
    _zfs().keys.unload(fsname)


def channel_program(
    poolname: Name,
    program: Name,
    instrlimit: int = ZCP_DEFAULT_INSTRLIMIT,
    memlimit: int = ZCP_DEFAULT_MEMLIMIT,
    params: Optional[Any] = None,
) -> Any:
    """Runs a script in Lua, and returns what it returned. It finds `params` as `argv` in its arguments. Raises `ProgramFailedError`, `NotFoundError`."""
    return _program(poolname, program, instrlimit, memlimit, params, True)


def channel_program_nosync(
    poolname: Name,
    program: Name,
    instrlimit: int = ZCP_DEFAULT_INSTRLIMIT,
    memlimit: int = ZCP_DEFAULT_MEMLIMIT,
    params: Optional[Any] = None,
) -> Any:
    """The same of a script that only reads: it returns faster."""
    return _program(poolname, program, instrlimit, memlimit, params, False)


def sync(poolname: Name, force: bool = False) -> None:
    """Has everything that was written so far on disk when it returns; `force` also where nothing was."""
    _zfs().pools.sync(poolname, force=force)


def reopen(poolname: Name, restart: bool = True) -> None:
    """Opens the devices of a pool anew; `restart` starts a scrub that runs from the beginning."""
    _zfs().pools.reopen(poolname, restart_scrub=restart)


def pool_checkpoint(name: Name) -> None:
    """Takes a checkpoint of a pool. Raises `InProgressError`: there is one, or it is being discarded."""
    _zfs().pools.checkpoint(name)


def pool_checkpoint_discard(name: Name) -> None:
    """Discards the checkpoint of a pool. Raises `NotFoundError`, `InProgressError`."""
    _zfs().pools.discard_checkpoint(name)


def pool_prefetch(pool: Name, type: Prefetch = Prefetch.DDT) -> None:
    """Reads tables of a pool into memory."""
    _zfs().pools.prefetch(pool, type)


def ddt_prune(pool: Name, unit: Prune, amount: int) -> None:
    """Drops entries from the deduplication tables."""
    _zfs().pools.prune_ddt(pool, unit, amount)


def scrub(pool: Name, what: Scrub = Scrub.START) -> None:
    """Starts, pauses or stops a scrub."""
    _zfs().pools.scrub(pool, what)


def initialize(poolname: Name, cmd_type: Initialize, vdevs: Iterable[int]) -> None:
    """Begins or stops initializing devices, by their GUIDs. With each that failed in `failures`."""
    _zfs().vdevs.initialize(poolname, vdevs, cmd_type)


def trim(poolname: Name, cmd_type: Trim, rate: int, secure: bool, vdevs: Iterable[int]) -> None:
    """Begins or stops trimming devices, by their GUIDs, at `rate` bytes a second. With each that failed in `failures`."""
    _zfs().vdevs.trim(poolname, vdevs, cmd_type, bytes_per_second=rate, secure=secure)


def wait(pool: Name, activity: Activity) -> bool:
    """Waits until an activity of a pool is over, and says whether there was anything to wait for."""
    return _zfs().pools.wait(pool, activity)


def wait_tag(pool: Name, activity: Activity, tag: int) -> bool:
    """The same of one device, by its GUID."""
    return _zfs().pools.wait(pool, activity, tag)


def wait_fs(fs: Name, activity: int = 0) -> bool:
    """Waits until a file system has freed its removed files, activity 0, the only one, and says whether there was anything to wait for."""
    if activity:
        raise _invalid("wait for", fs, f"there is no activity {activity}")
    return _zfs().datasets.wait_deletequeue(fs)


def get_bootenv(pool: Name) -> Dict[str, Any]:
    """The boot environment of a pool."""
    return _zfs().pools.bootenv(pool)


def set_bootenv(pool: Name, env: Mapping[str, Any]) -> None:
    """Replaces the boot environment of a pool."""
    _zfs().pools.set_bootenv(pool, env)


def condense(pool: Name, start: bool = True) -> None:
    """Begins, or cancels, condensing of a pool's log of space maps. Raises `UnsupportedError` up to OpenZFS 2.4."""
    _zfs().pools.condense(pool, start=start)


def get_props(name: Name) -> Dict[str, Dict[str, Any]]:
    """All properties of a dataset, as `zfs.properties.list` has them. Raises `NotFoundError`."""
    return _zfs().properties.list(name)


def get_vdev_prop(poolname: Name, innvl: Mapping[str, Any]) -> Dict[str, Any]:
    """The properties of the vdev whose GUID is `vdevprops_get_vdev`, of those in `vdevprops_get_props` only if that is given."""
    wanted = innvl.get("vdevprops_get_props")
    found = _zfs().vdevs.properties(poolname, innvl["vdevprops_get_vdev"])
    return {name: value for name, value in found.items() if wanted is None or name in wanted}


def set_vdev_prop(poolname: Name, innvl: Mapping[str, Any]) -> None:
    """Sets the properties `vdevprops_set_props` of the vdev whose GUID is `vdevprops_set_vdev`, one after the other."""
    for name, value in innvl["vdevprops_set_props"].items():
        _zfs().vdevs.set_property(poolname, innvl["vdevprops_set_vdev"], name, str(value))


def is_supported(func: Any) -> bool:
    """Whether a function of this module can be used: all can, as far as the kernel does what they ask for. Raises `ValueError` for what is no function of it."""
    if getattr(func, "__module__", None) != __name__ or not callable(func) or func.__name__.startswith("_"):
        raise ValueError(f"{func!r} is not from zfsvol.lzc")
    return True


class _Prefixed:
    """A file object behind a begin record that was read of it."""

    def __init__(self, record: bytes, fd: Source) -> None:
        self._record = record
        self._fd = fd

    def read(self, size: int, /) -> bytes:
        if self._record:
            piece, self._record = self._record[:size], self._record[size:]
            return piece
        return _piece(self._fd, size)


def _piece(fd: Source, size: int) -> bytes:
    """At most so many bytes; none at the end."""
    if isinstance(fd, int):
        return os.read(fd, size)
    if isinstance(fd, socket.socket):
        return fd.recv(size)
    piece = fd.read(size)
    if piece is None:
        raise BlockingIOError(errno.EAGAIN, "the file does not wait for data")
    return piece


def _receive(
    snapname: Name,
    fd: Source,
    record: Optional[bytes],
    force: bool,
    resumable: bool,
    heal: bool,
    origin: Optional[Name],
    props: Optional[Mapping[Any, Any]],
    cmdprops: Optional[Mapping[Any, Any]],
    key: Optional[bytes],
) -> int:
    local = _strings(cmdprops)
    kept = _key(key, local.pop("keyformat", None)) if key else None
    stream = _zfs().receive(
        snapname,
        force=bool(force),
        resumable=bool(resumable),
        heal=bool(heal),
        origin=origin,
        received=_strings(props),
        override={name: value for name, value in local.items() if value is not None},
        exclude=[name for name, value in local.items() if value is None],
        key=kept,
    )
    with stream:
        return int(stream.copy_from(_Prefixed(record, fd) if record else fd)["bytes"])


def _program(pool: Name, program: Name, instructions: int, memory: int, params: Any, sync: bool) -> Any:
    arguments = {"argv": [_str(one) if isinstance(one, bytes) else one for one in params] if isinstance(params, (list, tuple)) else params}
    return _zfs().pools.program(pool, program, arguments if params else None, instructions=instructions, memory=memory, sync=sync)


def _key(key: bytes, keyformat: Union[str, bytes, int, None]) -> Key:
    """A wrapping key of 32 bytes, in the format that a dataset's key has."""
    word = _KEYFORMATS.get(keyformat, str(keyformat)) if isinstance(keyformat, int) else _str(keyformat or "raw")
    data = bytes(key)
    if word == "hex":
        return Key.hex(data.hex())
    if word == "passphrase":
        raise errors.made(Status.UNSUPPORTED, "a wrapping key that was made of a passphrase is not taken: give the passphrase to zfs.keys with Key.passphrase")
    return Key.raw(data)


def _send_flags(flags: Optional[Iterable[Name]]) -> SendFlags:
    added = SendFlags(0)
    for one in flags or []:
        found = _FLAGS.get(_str(one))
        if found is None:
            raise errors.made(Status.INVALID, f"there is no stream feature '{_str(one)}'")
        added |= found
    return added


def _invalid(operation: str, name: Name, why: str) -> errors.Error:
    return errors.made(Status.INVALID, f"cannot {operation} '{_str(name)}': {why}")


def _strings(props: Optional[Mapping[Any, Any]]) -> Dict[str, Any]:
    return {_str(name): value for name, value in (props or {}).items()}


def _str(name: Name) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name


def _like(given: Any, answer: str) -> Any:
    """An answer of the type that the question was of."""
    return answer.encode("utf-8", "surrogateescape") if isinstance(given, bytes) else answer


def _all_like(given: List[Any], answers: List[str]) -> List[Any]:
    return [_like(given[0] if given else "", answer) for answer in answers]


lzc_create = create
lzc_clone = clone
lzc_promote = promote
lzc_rename = rename
lzc_destroy = destroy
lzc_rollback = rollback
lzc_rollback_to = rollback_to
lzc_exists = exists
lzc_snapshot = snapshot
lzc_snap = snapshot
lzc_destroy_snaps = destroy_snaps
lzc_snaprange_space = snaprange_space
lzc_bookmark = bookmark
lzc_get_bookmarks = get_bookmarks
lzc_get_bookmark_props = get_bookmark_props
lzc_destroy_bookmarks = destroy_bookmarks
lzc_redact = redact
lzc_hold = hold
lzc_release = release
lzc_get_holds = get_holds
lzc_send = send
lzc_send_resume = send_resume
lzc_send_redacted = send_redacted
lzc_send_resume_redacted = send_resume_redacted
lzc_send_progress = send_progress
lzc_send_space_resume_redacted = send_space_resume_redacted
lzc_send_space = send_space
lzc_receive = receive
lzc_recv = receive
lzc_receive_resumable = receive_resumable
lzc_receive_with_header = receive_with_header
lzc_receive_one = receive_one
lzc_receive_with_cmdprops = receive_with_cmdprops
lzc_receive_with_heal = receive_with_heal
lzc_change_key = change_key
lzc_load_key = load_key
lzc_unload_key = unload_key
lzc_channel_program = channel_program
lzc_channel_program_nosync = channel_program_nosync
lzc_sync = sync
lzc_reopen = reopen
lzc_pool_checkpoint = pool_checkpoint
lzc_pool_checkpoint_discard = pool_checkpoint_discard
lzc_pool_prefetch = pool_prefetch
lzc_ddt_prune = ddt_prune
lzc_scrub = scrub
lzc_initialize = initialize
lzc_trim = trim
lzc_wait = wait
lzc_wait_tag = wait_tag
lzc_wait_fs = wait_fs
lzc_get_bootenv = get_bootenv
lzc_set_bootenv = set_bootenv
lzc_condense = condense
lzc_get_props = get_props
lzc_get_vdev_prop = get_vdev_prop
lzc_set_vdev_prop = set_vdev_prop
