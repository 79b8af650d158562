#!/usr/bin/env python3
"""A contender of `make bench-peers`: OpenZFS's own package for Python, which has what libzfs_core has: no listing, and no properties of datasets."""

import libzfs_core as lzc
from driver import contend, stream


def there(found):
    if not found:
        raise LookupError("it is not there")


def create(job):
    return lambda number: lzc.lzc_create(job.volume(number).encode())


def named(job, number):
    return job.snapshot(number, "a").encode()


def all_of(job):
    return [name.encode() for name in job.snapshots("b")]


def snapshot_all(job):
    lzc.lzc_snapshot(all_of(job))
    return job.count


def destroy_snapshots_all(job):
    lzc.lzc_destroy_snaps(all_of(job), defer=False)
    return job.count


def send(what, base=None):
    with stream("wb") as to:
        lzc.lzc_send(what.encode(), base and base.encode(), to.fileno())


def receive(job, number):
    with stream("rb") as source:
        lzc.lzc_receive(named(job, number), source.fileno())


if __name__ == "__main__":
    contend(
        {
            "create": lambda job: job.each(create(job)),
            "create-many": lambda job: job.each_at_once(create(job)),
            "exists": lambda job: job.each(
                lambda n: there(lzc.lzc_exists(job.volume(n).encode()))
            ),
            "snapshot-all": snapshot_all,
            "destroy-snapshots-all": destroy_snapshots_all,
            "snapshot": lambda job: job.each(lambda n: lzc.lzc_snapshot([named(job, n)])),
            "hold": lambda job: job.each(lambda n: lzc.lzc_hold({named(job, n): b"bench"})),
            "release": lambda job: job.each(
                lambda n: lzc.lzc_release({named(job, n): [b"bench"]})
            ),
            "destroy-snapshots": lambda job: job.each(
                lambda n: lzc.lzc_destroy_snaps([named(job, n)], defer=False)
            ),
            "destroy": lambda job: job.each(
                lambda n: lzc.lzc_destroy(job.volume(n).encode())
            ),
            "send": lambda job: job.each(lambda n: send(job.snapshot(n, "a"))),
            "send-incremental": lambda job: job.each(
                lambda n: send(job.snapshot(n, "b"), job.snapshot(n, "a"))
            ),
            "receive": lambda job: job.each(lambda n: receive(job, n)),
        }
    )
