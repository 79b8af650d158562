#!/usr/bin/env python3
"""A contender of `make bench-peers`: zfsvol's own package for Python."""

import zfsvol
from driver import contend, stream

SEVEN = (
    "used",
    "available",
    "referenced",
    "mountpoint",
    "compression",
    "quota",
    "creation",
)


def below(listing):
    """How many a listing has beside its root."""
    return sum(1 for _ in listing) - 1


def there(found):
    if not found:
        raise LookupError("it is not there")


def main():
    with zfsvol.open("zfs:") as zfs:

        def create(job):
            return lambda number: zfs.datasets.create_filesystem(job.volume(number))

        def get_property(job, number):
            there(zfs.properties.get(job.volume(number), "used"))

        def snapshot_all(job):
            zfs.snapshots.create(job.snapshots("b"))
            return job.count

        def destroy_snapshots_all(job):
            zfs.snapshots.destroy(job.snapshots("b"))
            return job.count

        def send(what, base=None):
            with stream("wb") as to, zfs.send(what, base) as sent:
                sent.copy_to(to)

        def receive(job, number):
            with stream("rb") as source:
                with zfs.receive(job.snapshot(number, "a")) as taking:
                    taking.copy_from(source)

        def destroy_all(job):
            zfs.datasets.destroy_tree(job.parent)
            return job.count

        contend(
            {
                "create": lambda job: job.each(create(job)),
                "create-many": lambda job: job.each_at_once(create(job)),
                "exists": lambda job: job.each(
                    lambda n: there(zfs.datasets.exists(job.volume(n)))
                ),
                "get-property": lambda job: job.each(lambda n: get_property(job, n)),
                "set-property": lambda job: job.each(
                    lambda n: zfs.properties.set(job.volume(n), {"bench:note": "x"})
                ),
                "list-names": lambda job: below(zfs.names(job.parent)),
                "list-properties": lambda job: below(
                    zfs.list(job.parent, properties=SEVEN)
                ),
                "list-snapshots": lambda job: sum(
                    1 for _ in zfs.names(job.parent, kinds=zfsvol.Kind.SNAPSHOT)
                ),
                "snapshot-all": snapshot_all,
                "destroy-snapshots-all": destroy_snapshots_all,
                "snapshot": lambda job: job.each(
                    lambda n: zfs.snapshots.create(job.snapshot(n, "a"))
                ),
                "hold": lambda job: job.each(
                    lambda n: zfs.holds.create([(job.snapshot(n, "a"), "bench")])
                ),
                "release": lambda job: job.each(
                    lambda n: zfs.holds.release([(job.snapshot(n, "a"), "bench")])
                ),
                "destroy-snapshots": lambda job: job.each(
                    lambda n: zfs.snapshots.destroy(job.snapshot(n, "a"))
                ),
                "destroy": lambda job: job.each(
                    lambda n: zfs.datasets.destroy(job.volume(n))
                ),
                "destroy-all": destroy_all,
                "send": lambda job: job.each(lambda n: send(job.snapshot(n, "a"))),
                "send-incremental": lambda job: job.each(
                    lambda n: send(job.snapshot(n, "b"), job.snapshot(n, "a"))
                ),
                "receive": lambda job: job.each(lambda n: receive(job, n)),
            }
        )


if __name__ == "__main__":
    main()
