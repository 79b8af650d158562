"""What can go wrong: one class for each kind of failure, in groups.

    >>> import zfsvol
    >>> with zfsvol.open("embedded:") as zfs:
    ...     try:
    ...         zfs.datasets.destroy("tank/none")
    ...     except zfsvol.NotFoundError as error:
    ...         print(error.operation, error.target, error.errno)
    destroy tank/none 2
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Type

from . import _ffi
from ._ffi import Status
from ._library import lib


class Failure(NamedTuple):
    """One name of a batch that failed."""

    name: str
    """The name, as it was given."""
    status: int
    """The kind that this name alone would have given: a `Status`."""
    errno: int
    """The kernel's errno for this name."""
    reason: str
    """The reason in words."""
    busy: List[Dict[str, Any]]
    """What keeps it busy: `why` (`holds`, `clones`, `children`, `newer`, `mounted`, ...) and `names`."""


class Error(Exception):
    """A call failed. The message has everything in one line: operation, target, reason, errno and advice."""

    status: int = Status.OTHER
    """The kind of failure, a `Status`; a newer library may have more of them."""

    def __init__(self, message: str, details: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        details = details or {}
        self.status = int(details.get("status", type(self).status))
        self.errno = int(details.get("errno", 0))
        """The kernel's errno, where the kernel refused; else 0."""
        self.operation: str = details.get("operation", "")
        """What was being done, in OpenZFS's words: `snapshot`, `load the key of`."""
        self.target: Optional[str] = details.get("target")
        """The dataset, snapshot or pool it was done to; None where there is none."""
        self.reason: str = details.get("reason", message)
        """The reason alone."""
        self.help: Optional[str] = details.get("help")
        """What to do about it, where that is known."""
        self.failures: Tuple[Failure, ...] = tuple(_failure(one) for one in details.get("failures", []))
        """Each name of a batch that failed."""
        self.failures_omitted = int(details.get("failures_omitted", 0))
        """How many more failed than the kernel named."""
        self.busy: List[Dict[str, Any]] = details.get("busy", [])
        """What keeps the target busy: `why` and `names`."""
        self._details = details

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (str(self), self._details)


class ArgumentError(Error):
    """What was asked cannot be: correct it."""


class InvalidNameError(ArgumentError):
    """A name breaks the rules of names, or is too long."""


class InvalidError(ArgumentError):
    """An argument, or the combination of them, is not one the kernel takes."""


class InvalidPropertyError(ArgumentError):
    """A property does not exist, cannot be set there, or not to that value."""


class WrongTypeError(ArgumentError):
    """It is the wrong kind of thing: a file system where a zvol is needed."""


class ExistenceError(Error):
    """Something is not where it should be, or is where it should not."""


class NotFoundError(ExistenceError):
    """The dataset, snapshot, bookmark, hold, pool or property is not there."""


class ExistsError(ExistenceError):
    """Something of that name is there already."""


class UnrelatedError(ExistenceError):
    """The two are not related as the operation needs: another pool, not an ancestor."""


class InUseError(Error):
    """It cannot be done now."""


class BusyError(InUseError):
    """In use: held, cloned, mounted, open, with children. `busy` says by what."""


class InProgressError(InUseError):
    """The same kind of activity is running already."""


class ResumePendingError(InUseError):
    """A receive was interrupted and can be resumed: resume it or abort it."""


class AccessError(Error):
    """It may not be done."""


class DeniedError(AccessError):
    """The caller lacks the privilege or the delegated permission."""


class ReadOnlyError(AccessError):
    """It can only be read."""


class KeyNotLoadedError(AccessError):
    """The dataset is encrypted and its key is not loaded."""


class WrongKeyError(AccessError):
    """The key does not open the dataset."""


class NotOwnerError(AccessError):
    """The volume belongs to another node, or is being handed over."""


class NotPermittedError(AccessError):
    """The peer's policy does not let this node do it."""


class LimitError(Error):
    """Something is full, or too large."""


class NoSpaceError(LimitError):
    """The pool has no space left."""


class QuotaExceededError(LimitError):
    """A quota, or a limit on the number of datasets, is reached."""


class TooLargeError(LimitError):
    """More than the library or the kernel handles in one call."""


class CapabilityError(Error):
    """The OpenZFS or the pool cannot do it."""


class UnsupportedError(CapabilityError):
    """The loaded module is too old for it."""


class FeatureDisabledError(CapabilityError):
    """The pool lacks the feature, or it is not enabled."""


class NoModuleError(CapabilityError):
    """There is no `/dev/zfs`."""


class StreamError(Error):
    """A stream cannot be received."""


class StreamUnsupportedError(StreamError):
    """The stream has a feature that the module or pool cannot receive."""


class StreamDamagedError(StreamError):
    """The stream is damaged, or is no send stream."""


class StreamTruncatedError(StreamError):
    """The stream ended too early."""


class DestinationModifiedError(StreamError):
    """The destination was changed since the snapshot that the increment starts from."""


class BaseMissingError(StreamError):
    """The snapshot that the increment starts from is not there."""


class EncryptionMismatchError(StreamError):
    """The encryption of stream and destination do not go together."""


class DisconnectedError(StreamError):
    """The other end of the pipe or socket is closed."""


class DeviceError(Error):
    """Disks."""


class PoolSuspendedError(DeviceError):
    """The pool is suspended: its devices stopped answering."""


class PoolUnavailableError(DeviceError):
    """The pool cannot be opened or imported."""


class IoError(DeviceError):
    """Reading or writing failed."""


class CorruptError(DeviceError):
    """What is on disk, or what came back, is damaged."""


class StoppedError(Error):
    """It was ended before it was done."""


class CancelledError(StoppedError):
    """The caller cancelled it."""


class InterruptedError(StoppedError):
    """A signal interrupted it: try again."""


class TimedOutError(StoppedError):
    """It took longer than the caller allowed."""


class ProgramFailedError(Error):
    """A channel program failed: its own error, or one of its limits."""


class SeveralError(Error):
    """Some names of a batch failed, and not all for the same reason: see `failures`."""


class ProtocolError(Error):
    """The reply was not what the library knows: a bug, worth a report."""


class OtherError(Error):
    """The kernel gave an errno that this operation is not known to give."""


class ConsumedError(Error):
    """What the object stood for was used up by an earlier call."""


class BugError(Error):
    """A bug in the library or in this package: worth a report."""


def _by_status() -> Dict[int, Type[Error]]:
    """The class of each status: its name in words with `Error` behind it."""
    classes: Dict[int, Type[Error]] = {}
    for status in Status:
        name = "".join(part.capitalize() for part in status.name.split("_")) + "Error"
        kind = globals().get(name)
        if kind is not None:
            classes[status] = kind
            kind.status = status
    classes[Status.NOT_UTF8] = InvalidNameError
    return classes


_CLASSES = _by_status()


def class_of(status: int) -> Type[Error]:
    """The class of exceptions of a status; of one that is not known, what a newer library has, `OtherError`, and `BugError` from 200 on."""
    return _CLASSES.get(status, OtherError if status < Status.NULL else BugError)


def taken(status: int, pointer: Optional[int]) -> Error:
    """The exception for a failure. The library's error is freed."""
    if pointer is None:
        return made(status)
    from . import nvlist

    try:
        found = lib.error_details(pointer)
        details = nvlist.taken(found) if found else {"status": status}
    finally:
        lib.error_free(pointer)
    return from_details(details)


def from_details(details: Dict[str, Any]) -> Error:
    """The exception that `zfsvol_error_details` describes."""
    return class_of(int(details.get("status", Status.OTHER)))(str(details.get("message", "")), details)


def made(status: int, message: Optional[str] = None) -> Error:
    """An exception that comes without details."""
    from . import nvlist

    word = nvlist.text_of(lib.status_name(status))
    return class_of(status)(message or word, {"status": status})


def _failure(one: Dict[str, Any]) -> Failure:
    return Failure(one.get("name", ""), one.get("status", _ffi.Status.OTHER), one.get("errno", 0), one.get("reason", ""), one.get("busy", []))
