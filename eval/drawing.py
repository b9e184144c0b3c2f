"""Pieces of the report's SVG drawings: a frame with axes and labels, and bars of shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

LEFT, RIGHT, TOP, BOTTOM = 50.0, 20.0, 30.0, 44.0
LETTER, LINE = 6.2, 14.0  # pixels that a letter and a line of a label take
BROAD, NARROW = (720.0, 400.0), (360.0, 320.0)  # for a desktop and for a phone

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Frame:
    """Where values lie on the drawing: data ranges and the size in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = BROAD[0]
    height: float = BROAD[1]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a value, kept inside the frame."""
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        across, up = min(max(across, 0.0), 1.0), min(max(up, 0.0), 1.0)
        return (
            LEFT + across * (self.width - LEFT - RIGHT),
            self.height - BOTTOM - up * (self.height - TOP - BOTTOM),
        )

    def axes(self, x_label: str, y_label: str) -> str:
        """Return grid lines with round numbers, and both labels."""
        parts = []
        for y in round_numbers(*self.y, 5):
            height = self.at(0.0, y)[1]
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{height:.1f}" '
                f'y2="{height:.1f}"/><text x="{LEFT - 6}" y="{height + 4:.1f}" '
                f'text-anchor="end">{y:g}</text>'
            )
        for x in round_numbers(*self.x, int(self.width / 100)):
            parts.append(
                f'<text x="{self.at(x, 0.0)[0]:.1f}" y="{self.height - BOTTOM + 18}" '
                f'text-anchor="middle">{x:g}</text>'
            )
        parts.append(
            f'<text x="{self.width / 2}" y="{self.height - 8}" text-anchor="middle">'
            f'{escape(x_label)}</text><text x="10" y="18">{escape(y_label)}</text>'
        )
        return "".join(parts)

    def line(self, xs: Sequence[float], ys: Sequence[float], kind: str) -> str:
        """Return a line through points."""
        places = " ".join(
            "{:.1f},{:.1f}".format(*self.at(x, y)) for x, y in zip(xs, ys, strict=True)
        )
        return f'<polyline class="{kind}" points="{places}"/>'

    def dot(self, x: float, y: float, kind: str, title: str, radius: float) -> str:
        """Return a point that tells its name when pointed at."""
        px, py = self.at(x, y)
        return (
            f'<circle class="{kind}" cx="{px:.1f}" cy="{py:.1f}" r="{radius}">'
            f"<title>{escape(title)}</title></circle>"
        )

    def label(self, place: tuple[float, float], name: str, taken: Sequence[Box]) -> tuple[str, Box]:
        """Return a name beside a point, where it covers least of what is there, and its box."""
        px, py = self.at(*place)
        width = LETTER * len(name)
        found: list[tuple[float, int, Box]] = []
        for rank, (side, drop) in enumerate(SPOTS):
            left = px + 8 if side > 0 else px - 8 - width
            box = (left, py + drop - LINE / 2, left + width, py + drop + LINE / 2)
            outside = max(0.0, LEFT - left) + max(0.0, left + width - self.width + 4)
            below = max(0.0, box[3] - self.height + BOTTOM)
            covered = sum(_overlap(box, other) for other in taken)
            found.append((covered + 100.0 * (outside + below), rank, box))
        box = min(found)[2]
        return (
            f'<text x="{box[0]:.1f}" y="{box[3] - 3:.1f}">{escape(name)}</text>',
            box,
        )

    def svg(self, label: str, kind: str, *parts: str) -> str:
        """Return the drawing with a label for those who do not see it."""
        return (
            f'<svg class="{kind}" viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
        )


SPOTS = [
    (side, drop) for drop in (14, -12, 1, 28, -26, 42, -40, 56, -54) for side in (1, -1)
]  # right or left of a point, and how far below it, by preference


def _overlap(one: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)


def around(place: tuple[float, float], size: float) -> Box:
    """Return the box of a dot."""
    return (place[0] - size, place[1] - size, place[0] + size, place[1] + size)


def round_numbers(low: float, high: float, at_most: int) -> list[float]:
    """Return about `at_most` multiples of 1, 2 or 5 times a power of ten; an empty range's end."""
    if not high > low:
        return [low]
    rough = (high - low) / max(at_most, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= 0.999 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def shortened(name: str, longest: int) -> str:
    """Return a name of at most so many letters."""
    return name if len(name) <= longest else name[: longest - 1] + "\u2026"


def together(places: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Return points of (nearly) equal place as one, with their names behind each other."""
    found: dict[tuple[str, str], tuple[list[str], tuple[float, float]]] = {}
    for name, (x, y) in places.items():
        found.setdefault((f"{x:.2g}", f"{y:.2g}"), ([], (x, y)))[0].append(name)
    return {", ".join(names): place for names, place in found.values()}


def bars(counts: Sequence[int], tiers: Sequence[str]) -> str:
    """Return a bar of shares; tiers run from pale (cheap) to full color (dear).

    Widths and shades are attributes, not styles: the page's policy allows no inline style.
    """
    total, left, parts = max(sum(counts), 1), 0.0, []
    for index, (tier, count) in enumerate(zip(tiers, counts, strict=True)):
        width = 100 * count / total
        parts.append(
            f'<rect x="{left:.2f}" y="0" width="{width:.2f}" height="10" '
            f'fill-opacity="{shade(index, len(tiers)):.2f}"><title>{escape(tier)}</title></rect>'
        )
        left += width
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        + "".join(parts)
        + "</svg>"
    )


def shade(index: int, count: int) -> float:
    """Return the opacity of a tier's color."""
    return 0.2 + 0.8 * index / max(count - 1, 1)


def swatch(index: int, count: int) -> str:
    """Return a small square of a tier's color."""
    return (
        '<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" '
        f'fill-opacity="{shade(index, count):.2f}"/></svg>'
    )
