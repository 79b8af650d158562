"""OpenZFS, or a kernel in this process that answers as OpenZFS does."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Dict, Mapping, Optional

from . import _callbacks, _ffi, doors, listing, receive, send
from ._call import Name, Names, PathName, answer_text, flag, listed, made, number, path, sized, text
from ._callbacks import Sink
from ._ffi import Kind, Release, SendFlags
from ._handle import Handle
from ._library import lib
from .bookmarks import Bookmarks
from .datasets import Datasets
from .devices import Device
from .diff import Diff
from .doors import After, Before, Faults, Recording, Rule
from .events import Events, History
from .holds import Holds
from .keys import Key, Keys
from .listing import Listing, NameListing
from .mounts import Mounts
from .pools import Pools
from .properties import Properties
from .quotas import Quotas
from .receive import Receive
from .send import Send
from .snapshots import Snapshots
from .vdevs import Vdevs


class Zfs(Handle):
    """OpenZFS, or a kernel in this process that answers as OpenZFS does: what operations are done with.

    Can be used by any number of threads at once. Objects that were made with it keep what they need of it, so it can be closed before them.
    """

    _free = lib.zfs_free

    @property
    def datasets(self) -> Datasets:
        """File systems, zvols and clones."""
        return Datasets(self)

    @property
    def properties(self) -> Properties:
        """Properties of datasets, snapshots and bookmarks."""
        return Properties(self)

    @property
    def snapshots(self) -> Snapshots:
        """Snapshots."""
        return Snapshots(self)

    @property
    def bookmarks(self) -> Bookmarks:
        """Bookmarks."""
        return Bookmarks(self)

    @property
    def holds(self) -> Holds:
        """Holds."""
        return Holds(self)

    @property
    def keys(self) -> Keys:
        """Keys of encryption roots."""
        return Keys(self)

    @property
    def mounts(self) -> Mounts:
        """Mounts."""
        return Mounts(self)

    @property
    def pools(self) -> Pools:
        """Pools."""
        return Pools(self)

    @property
    def vdevs(self) -> Vdevs:
        """The devices of pools."""
        return Vdevs(self)

    @property
    def quotas(self) -> Quotas:
        """The space and quotas of users, groups and projects."""
        return Quotas(self)

    def clone(self) -> "Zfs":
        """Another handle of the same kernel: what one changes, the other sees."""
        return Zfs(made(lib.zfs_clone, self))

    def module(self) -> Dict[str, Any]:
        """Which OpenZFS answers: `version`, `major`, `minor`, `patch`, and what it can do: `kernel_features`, `pool_features`, `dataset_properties`, `pool_properties`."""
        return listed(lib.zfs_module, self)

    def list(
        self,
        roots: Optional[Names] = None,
        *,
        kinds: Kind = Kind(0),
        depth: Optional[int] = None,
        properties: Optional[Names] = None,
        all_properties: bool = False,
        threads: int = 0,
    ) -> Listing:
        """Datasets, one after the other: those of all pools, or `roots` and what is below them, `depth` levels deep.

        `kinds` are added up, file systems and zvols without them; `properties` are those that each dataset comes with. What goes wrong, the iterator raises.

            >>> import zfsvol
            >>> with zfsvol.open("embedded:") as zfs:
            ...     zfs.datasets.create_filesystem("tank/a")
            ...     zfs.snapshots.create("tank/a@b")
            ...     [one["name"] for one in zfs.list("tank", kinds=zfsvol.Kind.FILESYSTEM | zfsvol.Kind.SNAPSHOT)]
            ['tank', 'tank/a', 'tank/a@b']
        """
        return listing.listing(self, listing.options(roots, kinds, depth, properties, all_properties, threads))

    def names(self, roots: Optional[Names] = None, *, kinds: Kind = Kind(0), depth: Optional[int] = None, threads: int = 0) -> NameListing:
        """The names of datasets, which asks the kernel less than `list`."""
        return listing.names(self, listing.options(roots, kinds, depth, None, False, threads))

    def send(
        self,
        what: Name,
        base: Optional[Name] = None,
        flags: SendFlags = SendFlags(0),
        *,
        redacted_by: Optional[Name] = None,
        resume_object: Optional[int] = None,
        resume_offset: int = 0,
        resume_bytes: int = 0,
    ) -> Send:
        """Starts to send a snapshot, or a dataset as it is now if it is not in use. With a `base`, a snapshot or bookmark, an increment from it.

        Issues `ZFS_IOC_SEND_NEW` in a thread of its own. Raises `NotFoundError`, `BaseMissingError`, `KeyNotLoadedError`, `BusyError`, `InvalidError`, `CorruptError`,
        `IoError`, `DeniedError`.
        """
        return send.start(self, what, send.options(base, flags, redacted_by, resume_object, resume_offset, resume_bytes))

    def send_saved(self, dataset: Name, base: Optional[Name] = None, flags: SendFlags = SendFlags(0)) -> Send:
        """Sends what an interrupted receive has saved in a dataset. Base and flags must be those of the stream that was interrupted."""
        return send.start_saved(self, dataset, send.options(base, flags))

    def send_resumed(self, token: Name, *, within: Optional[Name] = None) -> Send:
        """Sends the rest of what a resume token stands for. The snapshot is looked for by its GUID, in the dataset `within` or in that of the token's name."""
        return send.start_resumed(self, token, within)

    def resume_options(self, token: Name, *, within: Optional[Name] = None) -> Dict[str, Any]:
        """What `send_resumed` would send: `snapshot`, and as far as there are, `base`, `flags`, `resume_object`, `resume_offset`, `resume_bytes`."""
        return send.resume_options(self, token, within)

    def send_space(
        self,
        snapshot: Name,
        base: Optional[Name] = None,
        flags: SendFlags = SendFlags(0),
        *,
        redacted_by: Optional[Name] = None,
        watch: int = -1,
    ) -> int:
        """How long the stream of a snapshot would be: an estimate, in bytes. Given `watch`, any descriptor, `send_progress` with it tells how far a long estimate is."""
        return send.space(self, snapshot, send.options(base, flags, redacted_by), watch)

    def send_progress(self, what: Name, descriptor: int) -> Dict[str, int]:
        """How far a send or an estimate is that this process runs to a descriptor: `bytes`, `blocks`. Raises `NotFoundError` when there is none, or it is over."""
        return send.progress_of(self, what, descriptor)

    def receive(
        self,
        snapshot: Name,
        *,
        force: bool = False,
        resumable: bool = False,
        heal: bool = False,
        origin: Optional[Name] = None,
        received: Optional[Mapping[str, Any]] = None,
        override: Optional[Mapping[str, Any]] = None,
        exclude: Names = (),
        key: Optional[Key] = None,
    ) -> Receive:
        """Prepares to receive a stream as `snapshot`. The kernel is asked when the first of the stream is there.

        `force` takes the destination back to the snapshot that the increment starts from; `resumable` keeps what came if the stream ends too early; `heal` creates
        nothing, and repairs the snapshot; `origin` makes a clone. `received` become received properties, `override` local ones, `exclude` inherited ones. `key` encrypts.
        """
        return receive.start(self, snapshot, force, resumable, heal, origin, received, override, exclude, key)

    def receive_token(self, dataset: Name) -> Optional[str]:
        """The token of an interrupted receive that can be resumed into a dataset; None when there is none."""
        return answer_text(lib.receive_token, self, text(dataset))

    def receive_abort(self, dataset: Name) -> bool:
        """Throws away what an interrupted receive has saved, and says whether there was anything."""
        return flag(lib.receive_abort, self, text(dataset))

    def device(self, zvol: Name, *, writable: bool = False, timeout: float = 10.0) -> Device:
        """Opens the block device of a zvol, and waits for it for `timeout` seconds at most: it appears a moment after the zvol was made.

        Raises `NotFoundError`, `WrongTypeError`, `InvalidError` (`volmode=none`), `KeyNotLoadedError`, `BusyError`, `ReadOnlyError`, `DeniedError`, `TimedOutError`.
        """
        return Device(made(lib.device_open, self, text(zvol), writable, max(0, int(timeout * 1000))))

    def diff(self, earlier: Name, later: Name) -> Diff:
        """Compares a snapshot with a later one, a clone, or the file system as it is now. Raises `NotFoundError`, `UnrelatedError`, `DeniedError`."""
        return Diff(made(lib.diff_open, self, text(earlier), text(later)))

    def events(self) -> Events:
        """Opens the queue of events, at the oldest that is kept. Raises `NoModuleError`, `DeniedError`."""
        return Events(made(lib.events_open, self))

    def clear_events(self) -> int:
        """Throws away all events that are kept, for everybody, and returns how many there were."""
        return number(lib.events_clear, self)

    def history(self, pool: Name) -> History:
        """The history of a pool."""
        return History(made(lib.history_open, self, text(pool)))

    def read_only(self) -> "Zfs":
        """A door through which nothing can be changed: such calls raise `ReadOnlyError`. It binds those who are given it; it is no sandbox."""
        return Zfs(made(lib.door_read_only, self))

    def subtree(self, root: Name, *, mounts_below: Optional[PathName] = None) -> "Zfs":
        """A door through which nothing is seen or changed but `root` and what is below it; file systems are mounted below `mounts_below` only, if that is given."""
        return Zfs(made(lib.door_subtree, self, text(root), path(mounts_below)))

    def observe(self, *, before: Optional[Before] = None, after: Optional[After] = None) -> "Zfs":
        """A door that shows each call: policy, tracing, metrics, audit. Both functions run in the thread that calls, several at once when several call.

        `before` returns 0 or None to have the call carried out, or an errno to refuse it with; if it raises, the call is refused with `EACCES`.

            >>> import zfsvol
            >>> seen = []
            >>> with zfsvol.open("embedded:") as zfs, zfs.observe(after=lambda call: seen.append(call.names)) as door:
            ...     door.snapshots.create("tank@a")
            >>> seen
            [('tank', 'tank@a')]
        """
        return Zfs(doors.observe(self, before, after))

    def faults(self, *rules: Rule) -> Faults:
        """A door behind which chosen calls fail: the first rule that chooses a call decides."""
        return Faults(self, rules)

    def record(self, sink: Sink) -> Recording:
        """A door that writes each call and its answer to a descriptor, a socket or any file object."""
        return Recording(self, sink)


def open(uri: Name = "zfs:") -> Zfs:
    """Opens the kernel that a URI names: `zfs:` is the OpenZFS module of this machine (`zfs:/some/device` by another device node than `/dev/zfs`), `embedded:` a new
    kernel in this process with one empty pool `tank`, which needs neither root nor ZFS, and `embedded:/some/directory` the same with its state kept there: see
    `embedded`.

    Raises `InvalidError` for any other, `NoModuleError` when there is no `/dev/zfs`, `UnsupportedError` when the module is older than 2.1, `DeniedError`.

        >>> import zfsvol
        >>> with zfsvol.open("embedded:") as zfs:
        ...     zfs.module()["major"]
        2
    """
    return Zfs(made(lib.zfs_open, text(uri)))


def _clock(context: Optional[int]) -> int:
    return int(_callbacks.called(_callbacks.kept(context), default=0))


_clock_function = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(_clock)


def embedded(
    pools: Optional[Mapping[str, int]] = None,
    *,
    release: Release = Release.DEFAULT,
    seed: Optional[int] = None,
    unprivileged: bool = False,
    clock: Optional[Callable[[], int]] = None,
    directory: Optional[PathName] = None,
) -> Zfs:
    """Opens a kernel in this process, made to measure: `pools` by their names, each of so many bytes, at least 64 MiB.

    With a `seed` GUIDs are the same in each run; `clock` returns the time in nanoseconds since 1970, and is called from any thread. A pool whose name no pool can
    have, or that is too small, is left out.

    With a `directory` its state is kept there, and not in memory alone: it is made if it is not there, and the pools only where there is no state yet. What a call
    has changed is durable when it returns; mounts, loaded keys, events and temporary holds end with the process. One process has it at a time. Raises `BusyError`
    (another has it), `CorruptError`, `UnsupportedError` (another version wrote it, or it has a pool with a feature that the release does not know), `DeniedError`,
    `NoSpaceError`, `IoError`.

        >>> import zfsvol
        >>> with zfsvol.embedded({"a": 1 << 30}, release=zfsvol.Release.V2_1) as zfs:
        ...     zfs.pools.names(), zfs.module()["minor"]
        (['a'], 1)
    """
    several = [_ffi.zfsvol_embedded_pool(name=text(name), bytes=size) for name, size in (pools or {}).items()]
    options = sized(
        _ffi.zfsvol_embedded_options,
        release=release,
        seeded=seed is not None,
        unprivileged=unprivileged,
        seed=seed or 0,
        pools=(_ffi.zfsvol_embedded_pool * len(several))(*several),
        pool_count=len(several),
        directory=path(directory),
    )
    if clock is not None:
        options.clock, options.context, options.release_context = _clock_function, _callbacks.keep(clock), _callbacks.release
    return Zfs(made(lib.zfs_open_embedded, ctypes.byref(options)))


__all__ = ["Zfs", "open", "embedded"]
