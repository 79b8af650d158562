"""The items of work: the life of volumes, pushes of them, and streams of one."""

from collections import namedtuple
from contextlib import nullcontext

import source
from contender import Job

# An item of work.  `each`: done with one volume at a time, so that some of them
# say what all cost.  `changes`: what follows needs it, so that it is done by
# another program, unmeasured, for who cannot do it.  `mounted`: the parent of the
# volumes is, meanwhile; then the name says so, and the contender does the same.
Step = namedtuple("Step", "name each changes mounted", defaults=[False])
MOUNTED = "-mounted"

# Two lives: in the first volumes are created one after the other, and everything
# is done with them.  In the second they are created by many threads and
# destroyed with their parent.
LIVES = [
    [
        Step("create", each=True, changes=True),
        Step("exists", each=True, changes=False),
        Step("get-property", each=True, changes=False),
        Step("set-property", each=True, changes=False),
        Step("list-names", each=False, changes=False),
        Step("list-properties", each=False, changes=False),
        Step("list-names" + MOUNTED, each=False, changes=False, mounted=True),
        Step("list-properties" + MOUNTED, each=False, changes=False, mounted=True),
        Step("snapshot-all", each=False, changes=True),
        Step("list-snapshots", each=False, changes=False),
        Step("destroy-snapshots-all", each=False, changes=True),
        Step("snapshot", each=True, changes=True),
        Step("hold", each=True, changes=True),
        Step("release", each=True, changes=True),
        Step("destroy-snapshots", each=True, changes=True),
        Step("destroy", each=True, changes=False),
    ],
    [
        Step("create-many", each=True, changes=True),
        Step("destroy-all", each=False, changes=False),
    ],
]
# What is done with a stream: what it is called, the item that a contender is told, and
# where the stream goes or comes from.
Flow = namedtuple("Flow", "name item path")
FLOWS = [
    Flow("send-null", "send", "/dev/null"),
    Flow("send-pipe", "send", source.PIPE),
    Flow("send-file", "send", source.FILE),
    Flow("send-read-file", "send-read", source.FILE),
    Flow("send-verified-file", "send-verified", source.FILE),
    Flow("send-incremental-file", "send-incremental", source.INCREMENT),
    Flow("receive-file", "receive", source.FILE),
]
# A push of all volumes: of none that changed, and of one in so many.
PUSHES = {"push-unchanged": None, "push-changed": 100}
VOLUME_ITEMS = [step.name for life in LIVES for step in life] + list(PUSHES)
STREAM_ITEMS = [flow.name for flow in FLOWS]
ITEMS = VOLUME_ITEMS + STREAM_ITEMS
# What makes volumes, and what makes the rest of them where that is slow.
CREATES = ("create", "create-many")


def live(pool, contender, filler, size, each, options, counted=False):
    """Has a contender go through both lives of `size` volumes; yields what was found.

    What is done with one volume at a time is done with at most `each`.
    """
    for life in LIVES:
        if not any(step.name in options.items for step in life):
            continue
        parent = pool.new_parent(contender.name)
        for step in life:
            item = step.name.removesuffix(MOUNTED)
            count = min(each, size) if step.each else size
            job = Job(item, parent, 0, count, options.threads)
            measured = step.name in options.items and item in contender.items
            if measured:
                pool.settle()
                with pool.mounted(parent) if step.mounted else nullcontext():
                    found = contender.count(job) if counted else contender.measure(job, pool)
                yield {"item": step.name, "contender": contender.name, **found}
            elif step.changes:
                filler.do(job)
            if step.name in CREATES and count < size:
                rest = Job("create-many", parent, count, size - count, options.threads)
                filler.do(rest)
        if pool.has(parent):
            filler.do(Job("destroy-all", parent, 0, size, options.threads))


def stream(pool, contender, filler, options, counted=False):
    """Has a contender send the source to everywhere, and receive it; yields what was found."""
    parent = pool.new_parent(contender.name)
    for flow in FLOWS:
        if flow.name not in options.items or flow.item not in contender.items:
            continue
        place = parent if flow.item == "receive" else source.PARENT
        job = Job(flow.item, place, 0, 1, 1)
        pool.settle()
        with source.other_end(flow.path):
            if counted:
                found = contender.count(job, flow.path)
            else:
                found = contender.measure(job, pool, flow.path)
        yield {"item": flow.name, "contender": contender.name, **found}
    filler.do(Job("destroy-all", parent, 0, 1, 1))


def push(pool, contender, filler, size, options, counted=False):
    """Has a contender push volumes that are on both sides already; yields what was found."""
    if "push" not in contender.items or not set(PUSHES) & set(options.items):
        return
    parent = pool.new_parent(contender.name)
    whole = Job("push", parent, 0, size, options.threads)
    contender.do(whole._replace(item="push-prepare"))
    for name, one_in in PUSHES.items():
        if name not in options.items:
            continue
        if one_in:
            changed = max(1, size // one_in)
            filler.do(Job("write", f"{parent}/one", 0, changed, 1))
        pool.settle()
        found = contender.count(whole) if counted else contender.measure(whole, pool)
        yield {"item": name, "contender": contender.name, **found}
    if "push-clean" in contender.items:
        contender.do(whole._replace(item="push-clean"))
    filler.do(Job("destroy-all", parent, 0, size, options.threads))
