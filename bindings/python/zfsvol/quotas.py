"""The space and quotas of users, groups and projects, by their numbers."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, NamedTuple

from . import _ffi
from ._call import Name, call, listed, listed_or_none, made, text
from ._ffi import Account, Owner
from ._handle import Area, Handle
from ._library import lib


class Quota(NamedTuple):
    """A quota to be set; 0 takes it away."""

    kind: Owner
    id: int
    limit: int
    """Most bytes or objects."""
    account: Account = Account.QUOTA
    """What it limits: `Account.QUOTA` for bytes, `Account.OBJECT_QUOTA` for objects."""


class Accounts(Handle):
    """One number of every owner: an iterator of dicts with `kind`, `domain`, `id`, `number`. For file systems with more owners than should be in memory."""

    _free = lib.accounts_free

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return self

    def __next__(self) -> Dict[str, Any]:
        entry = listed_or_none(lib.accounts_next, self)
        if entry is None:
            raise StopIteration
        return entry


class Quotas(Area):
    """The space and quotas of users, groups and projects: `zfs.quotas`."""

    def list(self, name: Name, kind: Owner = Owner.USER) -> List[Dict[str, Any]]:
        """Everybody who has any in a file system or snapshot: `kind`, `id`, `used` (bytes) and, as far as there are, `domain`, `quota`, `objects`, `object_quota`.

        Raises `NotFoundError`, `WrongTypeError` (a zvol), `FeatureDisabledError` (it does not count: see `upgrade`), `KeyNotLoadedError`, `DeniedError`.
        """
        owners: List[Dict[str, Any]] = listed(lib.quota_list, self._zfs, text(name), kind).get("owners", [])
        return owners

    def get(self, name: Name, id: int, kind: Owner = Owner.USER) -> Dict[str, Any]:
        """The same of one owner, who may have nothing there. Raises as `list`."""
        return listed(lib.quota_get, self._zfs, text(name), kind, id)

    def set(self, name: Name, quotas: Iterable[Quota]) -> None:
        """Sets quotas of a file system. With each that failed in `failures`, `userquota@1000`."""
        several = [_ffi.zfsvol_quota(kind=one.kind, id=one.id, account=one.account, limit=one.limit) for one in quotas]
        call(lib.quota_set, self._zfs, text(name), (_ffi.zfsvol_quota * len(several))(*several), len(several))

    def upgrade(self, name: Name) -> None:
        """Has a file system of a very old OpenZFS count what its owners take. It reads every file once."""
        call(lib.quota_upgrade, self._zfs, text(name))

    def accounts(self, name: Name, kind: Owner, account: Account) -> Accounts:
        """One account of a file system or snapshot, in no order."""
        return Accounts(made(lib.accounts_open, self._zfs, text(name), kind, account))
