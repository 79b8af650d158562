"""The data of zvols."""

from __future__ import annotations

from typing import Any, Optional

from ._call import answer_text, call, number, raw
from ._handle import Handle
from ._library import lib


class Device(Handle):
    """The data of a zvol: its block device, or the same in this process. Can be used by several threads at once. While it is open the zvol cannot be destroyed.

        >>> import zfsvol
        >>> with zfsvol.open("embedded:") as zfs:
        ...     zfs.datasets.create_zvol("tank/v", 8 << 20)
        ...     with zfs.device("tank/v", writable=True) as device:
        ...         device.write(4096, b"hello")
        ...         device.flush()
        ...         device.read(4096, 5), device.size()
        (b'hello', 8388608)
    """

    _free = lib.device_free

    def size(self) -> int:
        """Its size in bytes."""
        return number(lib.device_size, self)

    def path(self) -> Optional[str]:
        """Its node in `/dev`; None where there is none."""
        return answer_text(lib.device_path, self)

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, all of them. Raises `InvalidError` beyond the end of the device, `IoError`."""
        buffer = bytearray(size)
        self.readinto(offset, buffer)
        return bytes(buffer)

    def readinto(self, offset: int, buffer: Any) -> None:
        """Fills all of a `bytearray`, or what else can be written to, from `offset` on. Raises as `read`."""
        data, size = raw(buffer)
        if isinstance(data, bytes):
            raise TypeError("the buffer is read-only")
        call(lib.device_read, self, offset, data, size)

    def write(self, offset: int, data: Any) -> None:
        """Writes all of `data` at `offset`. On stable storage only after `flush`. Raises `InvalidError` or `NoSpaceError` beyond the end, `DeniedError`, `IoError`."""
        call(lib.device_write, self, offset, *raw(data))

    def flush(self) -> None:
        """Returns once what was written is on stable storage."""
        call(lib.device_flush, self)
