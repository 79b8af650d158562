"""What zfsvol is meant to reach beside its peers, and whether it did."""

from found import FIRST, number, spread
from life import FLOWS, ITEMS

OWN = "libzfs_core"
COMMAND = "zfs-command"
# Above one: how much longer zfsvol may take than libzfs_core for the same call.
MOST_OVERHEAD = 1.02
# How much of its throughput a stream may lose by being verified.
MOST_FOR_VERIFYING = 1.10
MOST_FOR_PUSHING = 5
# How many times as fast as the command a listing is to be.
LEAST_LISTING = {
    "list-names": 8,
    "list-names-mounted": 8,
    "list-properties": 2,
    "list-properties-mounted": 2,
    "list-snapshots": 3,
}
# How many times as fast creating many is to be as one `zfs create` after the other.
LEAST_CREATING = 3


def rows(found):
    """(aim, what was found, whether it is met: None where it was not measured)"""
    sizes = sorted({size for _, size, _ in found if size})
    largest = sizes[-1] if sizes else 0
    yield from overhead(found, largest)
    yield ioctls(found)
    for item, least in LEAST_LISTING.items():
        aim = f"{item} at {largest}: {least} times as fast as the command, or more"
        yield faster(aim, found, (item, largest, FIRST), (item, largest, COMMAND), least)
    aim = f"create-many at {largest}: {LEAST_CREATING} times as fast as `zfs create` one by one, or more"
    many, one = ("create-many", largest, FIRST), ("create", largest, COMMAND)
    yield faster(aim, found, many, one, LEAST_CREATING)
    yield pushing(found)
    yield verifying(found)
    yield memory(found, sizes)


def overhead(found, largest):
    """One row for what is one ioctl, one for streams."""
    streams = [flow.name for flow in FLOWS]
    calls = [item for item in ITEMS if item not in streams and item != "create-many"]
    for what, items, size in [("calls", calls, largest), ("streams", streams, 0)]:
        aim = f"{what}: within {MOST_OVERHEAD - 1:.0%} of libzfs_core"
        ratios = {}
        for item in items:
            ours, theirs = found.get((item, size, FIRST)), found.get((item, size, OWN))
            ratio = ours and theirs and ours.ratio_to(theirs)
            if ratio:
                ratios[item] = ratio
        shown = ", ".join(f"{item} x {spread(ratio)}" for item, ratio in ratios.items())
        met = all(ratio[1] <= MOST_OVERHEAD for ratio in ratios.values()) if ratios else None
        yield aim, shown, met


def ioctls(found):
    aim = "no more ioctls than libzfs_core"
    more, compared = [], 0
    for (item, size, name), ours in found.items():
        theirs = found.get((item, size, OWN))
        if name != FIRST or not theirs or ours.ioctls() is None or theirs.ioctls() is None:
            continue
        compared += 1
        if ours.ioctls() > theirs.ioctls() and item not in more:
            more.append(item)
    if not compared:
        return aim, "", None
    return aim, f"more in: {', '.join(more)}" if more else "as many or fewer in each item", not more


def faster(aim, found, ours, theirs, least):
    if ours not in found or theirs not in found:
        return aim, "", None
    ratio = found[theirs].ratio_to(found[ours])
    groups = found[ours].most("transaction_groups")
    return aim, f"x {spread(ratio)}, in {groups} transaction groups", ratio[1] >= least


def pushing(found):
    aim = f"a push of what has not changed: under {MOST_FOR_PUSHING} ioctls a volume"
    for (item, _, name), one in found.items():
        if (item, name) == ("push-unchanged", FIRST) and one.ioctls() is not None:
            return aim, number(one.ioctls()), one.ioctls() < MOST_FOR_PUSHING
    return aim, "", None


def verifying(found):
    aim = f"verifying while a stream passes: under {MOST_FOR_VERIFYING - 1:.0%} of throughput"
    verified = found.get(("send-verified-file", 0, FIRST))
    read = found.get(("send-read-file", 0, FIRST))
    if not verified or not read:
        return aim, "", None
    ratio = verified.ratio_to(read)
    return aim, f"x {spread(ratio)}", ratio[1] < MOST_FOR_VERIFYING


def memory(found, sizes):
    aim = "memory: small for each volume listed"
    ends = [found.get(("list-properties", size, FIRST)) for size in (*sizes[:1], *sizes[-1:])]
    if len(sizes) < 2 or not all(ends):
        return aim, "", None
    more = ends[1].most("peak_kib") - ends[0].most("peak_kib")
    each = more * 1024 / (sizes[-1] - sizes[0])
    peak = number(ends[1].most("peak_kib") / 1024)
    return aim, f"{number(each)} bytes a volume, {peak} MiB at {sizes[-1]}", each < 4096
