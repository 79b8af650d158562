"""Plots as SVG: panels beside each other, both axes logarithmic."""

import math
from html import escape

WIDTH, HEIGHT, COLUMNS = 260, 190, 3
# Inside a panel, what is left of the curves and around them.
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 26, 24
LEGEND = 40
# Told apart by most who see colours otherwise (Okabe and Ito).
COLOURS = ["#0072b2", "#56b4e9", "#009e73", "#d55e00", "#e69f00", "#000000", "#cc79a7"]


def svg(panels, names):
    """`panels`: (title, {name: [(volumes, milliseconds each), ...]})."""
    rows = math.ceil(len(panels) / COLUMNS)
    colours = dict(zip(names, COLOURS))
    used = [name for name in names if any(name in curves for _, curves in panels)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH * COLUMNS}"'
        f' height="{HEIGHT * rows + LEGEND}" font-family="sans-serif" font-size="10">',
        '<rect width="100%" height="100%" fill="white"/>',
        *legend(used, colours),
    ]
    for index, (title, curves) in enumerate(panels):
        x = index % COLUMNS * WIDTH
        y = index // COLUMNS * HEIGHT + LEGEND
        parts += [f'<g transform="translate({x},{y})">']
        parts += [*panel(title, curves, colours), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def legend(names, colours):
    yield '<text x="8" y="14">milliseconds for each volume, against the number of volumes</text>'
    for index, name in enumerate(names):
        x = 8 + index * 106
        yield f'<rect x="{x}" y="23" width="10" height="10" fill="{colours[name]}"/>'
        yield f'<text x="{x + 14}" y="32">{escape(name)}</text>'


def panel(title, curves, colours):
    points = [point for curve in curves.values() for point in curve]
    across = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    yield f'<text x="{LEFT}" y="{TOP - 10}" font-weight="bold">{escape(title)}</text>'
    for value in up.marks():
        y = up.place(value)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 4}" y="{y + 3}" text-anchor="end">{value:g}</text>'
    for value in sorted({x for x, _ in points}):
        x = across.place(value)
        yield f'<text x="{x}" y="{HEIGHT - 8}" text-anchor="middle">{value}</text>'
    for name, curve in curves.items():
        placed = [(across.place(x), up.place(y)) for x, y in curve]
        line = " ".join(f"{x},{y}" for x, y in placed)
        colour = colours[name]
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        for x, y in placed:
            yield f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>'


class Axis:
    """Places of values between two ends, with whole powers of ten around them."""

    def __init__(self, values, start, end):
        self.low = math.floor(math.log10(min(values)) + 1e-9)
        self.high = math.ceil(math.log10(max(values)) - 1e-9)
        if self.high == self.low:
            self.high += 1
        self.start, self.end = start, end

    def place(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)

    def marks(self):
        return [10.0**power for power in range(self.low, self.high + 1)]
