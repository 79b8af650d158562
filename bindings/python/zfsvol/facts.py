"""What can be said without a kernel: of names, of labels on devices, of what a policy would keep."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ._call import Name, listed, listed_or_none, text
from ._library import lib
from .nvlist import Owned, Typed


def parse_name(name: Name) -> Dict[str, Any]:
    """What the name of a dataset, snapshot or bookmark consists of, by the rules of the kernel: `kind` (`dataset`, `snapshot`, `bookmark`), `pool`, `dataset`,
    `parent` (but for the root of a pool), `snapshot` or `bookmark` (what follows), `depth` (how many slashes there are). Nothing of that name need be there.

    Raises `InvalidNameError`, which says why the kernel would refuse it.

        >>> import zfsvol
        >>> name = zfsvol.parse_name("tank/home/me@monday")
        >>> name["kind"], name["dataset"], name["snapshot"]
        ('snapshot', 'tank/home/me', 'monday')
    """
    return listed(lib.name_parse, text(name))


def read_label(device: Any) -> Optional[Dict[str, Any]]:
    """What a device says of the pool it is of, by its newest label; None if it has none. `device` is a descriptor, or a file object with one.

    It has `state` (`active`, `exported`, `destroyed`, `spare`, `cache`), `guid` (the device's own), `txg`, `pool` (but for spares and cache devices: `name`, `guid`,
    `top_guid` and, if it was not exported, `host` with `hostid` and `hostname`) and `config` (all of it).

    Raises `CorruptError` (there are labels, and none that is whole), and what reading fails with.
    """
    return listed_or_none(lib.label_read, device if isinstance(device, int) else device.fileno())


def plan_retention(policy: Mapping[str, int], snapshots: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    """What a policy makes of snapshots, wherever they are: nothing is asked, and nothing destroyed. `policy` is that of `Volume.retain`.

    `snapshots` has, from oldest to newest, by what each is called: `created` (seconds since 1970) and, where something needs it whatever the policy says, `holds` (tags), `clones`
    (datasets), `pushes` (nodes whose next push begins from it), `foreign` (True: taken by somebody else). Returns `kept`, by what it is called why, and `destroyed`.
    Raises `InvalidError`.

        >>> import zfsvol
        >>> plan = zfsvol.plan_retention({"last": 1}, {"a": {"created": 0}, "b": {"created": 60, "holds": ["backup"]}, "c": {"created": 120}})
        >>> plan["destroyed"], plan["kept"]
        (['a'], {'b': ["held by 'backup'"], 'c': ['one of the newest']})
    """
    with_types = {name: _candidate(snapshot) for name, snapshot in snapshots.items()}
    return listed(lib.retention_plan, retention(policy), Owned(with_types))


def retention(policy: Mapping[str, int]) -> Owned:
    """A policy as the library takes it."""
    return Owned({name: Typed("int16" if name == "minutes_ahead_of_utc" else "uint32", value) for name, value in policy.items()})


def _candidate(snapshot: Mapping[str, Any]) -> Dict[str, Any]:
    """A snapshot as the library takes it."""
    candidate: Dict[str, Any] = {"created": Typed("int64", int(snapshot["created"])), "foreign": bool(snapshot.get("foreign"))}
    for need in ("holds", "clones", "pushes"):
        if snapshot.get(need):
            candidate[need] = list(snapshot[need])
    return candidate
