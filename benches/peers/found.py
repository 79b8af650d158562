"""Samples, put together by what they are of."""

import statistics

# Whom the others are compared with.
FIRST = "zfsvol-rust"


class Found:
    """All samples of one item, of one contender, at one size."""

    def __init__(self, samples, count):
        self.samples = sorted(samples, key=lambda sample: sample["round"])
        self.count = count

    def each(self, field):
        """A field for each volume: the median, and the quartiles."""
        return quartiles([sample[field] / sample["done"] for sample in self.samples])

    def most(self, field):
        return max(sample[field] for sample in self.samples)

    def ratio_to(self, other):
        """How many times as long as another took, in the same round."""
        theirs = {one["round"]: one["seconds"] / one["done"] for one in other.samples}
        ratios = [
            one["seconds"] / one["done"] / theirs[one["round"]]
            for one in self.samples
            if one["round"] in theirs
        ]
        return quartiles(ratios) if ratios else None

    def ioctls(self):
        """For each volume, if they were counted."""
        return sum(self.count["ioctls"].values()) / self.count["done"] if self.count else None

    def processes(self):
        return self.count["processes"] / self.count["done"] if self.count else None


def quartiles(numbers):
    if len(numbers) == 1:
        return numbers * 3
    low, middle, high = statistics.quantiles(numbers, n=4, method="inclusive")
    return [low, middle, high]


def group(results):
    """{(item, size, contender): Found}"""
    counts = {(one["item"], one["contender"]): one for one in results["counts"]}
    samples = {}
    for one in results["samples"]:
        samples.setdefault((one["item"], one["size"], one["contender"]), []).append(one)
    return {key: Found(some, counts.get((key[0], key[2]))) for key, some in samples.items()}


def number(value):
    """Three digits that count."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def spread(three, scale=1.0):
    low, middle, high = (number(value * scale) for value in three)
    return f"{middle} ({low} to {high})"
