"""Properties of datasets, snapshots and bookmarks."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ._call import Name, call, listed, props, text
from ._handle import Area
from ._library import lib


class Properties(Area):
    """Properties: `zfs.properties`.

    Each is a dict with `value` (an int for numbers, sizes in bytes and ratios in hundredths; a str for words), `source` (`default`, `local`, `inherited`,
    `received`, `temporary`, `none`) and, if it is inherited, `inherited_from`.
    """

    def list(self, name: Name) -> Dict[str, Dict[str, Any]]:
        """All properties by their names. Issues `ZFS_IOC_OBJSET_STATS`. Raises `NotFoundError`.

            >>> import zfsvol
            >>> with zfsvol.open("embedded:") as zfs:
            ...     zfs.properties.list("tank")["compression"]["value"]
            'on'
        """
        return listed(lib.property_list, self._zfs, text(name))

    def get(self, name: Name, property_: Name) -> Optional[Dict[str, Any]]:
        """One property; None when the dataset does not have it. Raises `NotFoundError`."""
        return listed(lib.property_get, self._zfs, text(name), text(property_)) or None

    def received(self, name: Name) -> Dict[str, Dict[str, Any]]:
        """The properties that came with streams, whatever is set over them now. Issues `ZFS_IOC_OBJSET_RECVD_PROPS`."""
        return listed(lib.property_list_received, self._zfs, text(name))

    def table(self, *, pool: bool = False) -> Dict[str, Dict[str, Any]]:
        """What is known of every property of datasets, or of pools, whichever have it, by its name.

        `kind` (`number`, `text`, `index`), `unit` of a number (`bytes`, `hundredths`, `seconds`, `percent`, `one`), `words` of an index with the kernel's numbers,
        `access` (`read_only`, `set_once`, `set_once_inheritable`, `settable`, `inheritable`), `types` (which have it), `since` (where it is newer than OpenZFS 2.1),
        `visible` (whether `zfs get all` shows it), `allowed` (in words) and, where it has one, `default` in the release that answers.

            >>> import zfsvol
            >>> with zfsvol.open("embedded:") as zfs:
            ...     zfs.properties.table()["sync"]["allowed"]
            "'standard', 'always' or 'disabled'"
        """
        return listed(lib.property_table, self._zfs, pool)

    def set(self, name: Name, values: Mapping[str, Any]) -> None:
        """Sets properties. Issues `ZFS_IOC_SET_PROP` once.

        With each that failed in `failures`: `InvalidPropertyError`, `NotFoundError`, `NoSpaceError` (a quota below what is used), `DeniedError`.
        """
        call(lib.property_set, self._zfs, text(name), props(values))

    def inherit(self, name: Name, property_: Name) -> None:
        """Has a property inherited, or at its default: what was set, and what was received, is gone."""
        call(lib.property_inherit, self._zfs, text(name), text(property_))

    def revert(self, name: Name, property_: Name) -> None:
        """Has a property as it was received, if it was, and else inherited."""
        call(lib.property_revert, self._zfs, text(name), text(property_))
