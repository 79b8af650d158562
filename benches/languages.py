"""What a call costs in Python, with the embedded kernel: nanoseconds, the least, the median and the most of 11 turns."""

import statistics
import timeit

import zfsvol

CALLS = 2000
TURNS = 11


def main():
    with zfsvol.open("embedded:") as zfs:
        zfs.datasets.create_zvol("tank/disk", 1 << 30)
        for name, call in [
            ("datasets.exists", lambda: zfs.datasets.exists("tank/disk")),
            ("properties.list", lambda: zfs.properties.list("tank/disk")),
        ]:
            turns = timeit.repeat(call, number=CALLS, repeat=TURNS)
            nanoseconds = sorted(turn / CALLS * 1e9 for turn in turns)
            middle = statistics.median(nanoseconds)
            print(f"  {name:<32}{middle:>10.0f} ({nanoseconds[0]:.0f} to {nanoseconds[-1]:.0f})")


if __name__ == "__main__":
    main()
