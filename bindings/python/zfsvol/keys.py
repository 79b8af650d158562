"""Keys of encrypted datasets."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Union

from ._call import Name, call, made, props, raw, text
from ._handle import Area, Handle
from ._library import lib


class Key(Handle):
    """The key of an encrypted dataset. The library's copy is wiped from memory when it is closed; Python's own `bytes` cannot be."""

    _free = lib.key_free

    @classmethod
    def raw(cls, data: Union[bytes, bytearray]) -> "Key":
        """A key of 32 bytes, `keyformat=raw`. Raises `InvalidError` for any other length."""
        return cls(made(lib.key_raw, *raw(data)))

    @classmethod
    def hex(cls, digits: Union[str, bytes]) -> "Key":
        """A key of 64 hexadecimal digits, `keyformat=hex`. Raises `InvalidError` for anything else."""
        return cls(made(lib.key_hex, text(digits)))

    @classmethod
    def passphrase(cls, phrase: Union[str, bytes]) -> "Key":
        """A passphrase of 8 to 512 bytes, `keyformat=passphrase`. Each use of it takes a fraction of a second, on purpose."""
        return cls(made(lib.key_passphrase, text(phrase)))


class Keys(Area):
    """The keys of encryption roots: `zfs.keys`."""

    def load(self, root: Name, key: Key) -> None:
        """Loads the key of an encryption root; nothing changes on disk. Issues `ZFS_IOC_LOAD_KEY`.

        Raises `WrongKeyError`, `ExistsError` (it is loaded), `InvalidError` (no encryption root, or another format), `NotFoundError`, `DeniedError`.
        """
        call(lib.key_load, self._zfs, text(root), key)

    def check(self, root: Name, key: Key) -> None:
        """Returns if the key opens the encryption root, without loading it. Raises as `load`."""
        call(lib.key_check, self._zfs, text(root), key)

    def unload(self, root: Name) -> None:
        """Unloads the key of an encryption root. Raises `BusyError` while something of it is mounted or open, `KeyNotLoadedError`."""
        call(lib.key_unload, self._zfs, text(root))

    def change(self, name: Name, key: Optional[Key], properties: Optional[Mapping[str, Any]] = None) -> None:
        """Wraps the key of a dataset by another one, or with None by its parent's. `properties` can be `keylocation` and `pbkdf2iters`.

        Raises `KeyNotLoadedError`, `InvalidError`, `NotFoundError`, `DeniedError`.
        """
        call(lib.key_change, self._zfs, text(name), key, props(properties))
