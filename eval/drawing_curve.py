"""Cost against quality, drawn: the router's path with its band, controls with whiskers.

The dot that a floor chooses is drawn apart: its place at every level goes to the page's script.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from tierwise.eval.drawing import (
    BOTTOM,
    BROAD,
    LEFT,
    LETTER,
    NARROW,
    RIGHT,
    TOP,
    Box,
    Frame,
    around,
    shortened,
    together,
)
from tierwise.eval.metrics import hull
from tierwise.eval.page_data import Measured, PageData
from tierwise.eval.words import Three

KINDS = {"oracle": "oracle", "nearest texts": "words", "task mean": "task"}
LONGEST = {BROAD: 40, NARROW: 20}  # letters of a label
LABELED = {BROAD: 20, NARROW: 7}  # dots with names beside them, at most

Place = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """What the axes mean.

    Attributes
    ----------
    relative : bool
        Whether quality is drawn as a share of the reference tier's.
    reference_quality : float
        Mean over the judged steps.
    reference : str
        The reference tier's name.
    """

    relative: bool
    reference_quality: float
    reference: str

    def across(self, one: Measured) -> Three:
        """Return USD for a thousand steps: those for one are too small to be read."""
        return 1000 * one.cost[0], 1000 * one.cost[1], 1000 * one.cost[2]

    def up(self, one: Measured) -> Three:
        """Return quality, or percent of the reference's."""
        if not self.relative:
            return one.quality
        return 100 * one.kept[0], 100 * one.kept[1], 100 * one.kept[2]

    def raised(self, quality: float) -> float:
        """Return a mean quality on the axis."""
        return 100 * quality / self.reference_quality if self.relative else quality

    @property
    def label(self) -> str:
        """What stands over the axis of quality."""
        if not self.relative:
            return "mean quality"
        return f"quality, % of {shortened(self.reference, 24)}"


def cost_quality(
    data: PageData,
    scale: Scale,
    shipped: Measured,
    floors: Sequence[float | None],
    names: Sequence[str],
    ships: int,
) -> tuple[str, dict[str, list[list[float | None]]]]:
    """Return the drawing for two widths, and where each level's dot lies in them.

    Parameters
    ----------
    data : PageData
    scale : Scale
    shipped : Measured
        Where the dot lies at first.
    floors : sequence of float or None
        Height of each level's floor on the axis of quality, None where it has none.
    names : sequence of str
        What each level is called.
    ships : int
        The place of the level that ships.

    Returns
    -------
    str, dict of str to list of list
        SVG; for "broad" and "narrow" and each level: x, y, ends of both intervals (left, right,
        bottom, top), and the floor's height, in the drawing's pixels.
    """
    lines = {name: hull(*data.points[name]) for name in KINDS if name in data.points}
    fixed = data.fixed.values()
    costs = [scale.across(one)[0] for one in (*fixed, *data.path, *data.at_level, shipped)]
    goods = [scale.up(one)[0] for one in (*fixed, *data.path, *data.at_level, shipped)]
    goods += [scale.raised(float(y)) for _, ys in lines.values() for y in ys]
    room = 0.06 * ((max(goods) - min(goods)) or 1.0)
    ranges = (0.0, 1.04 * max(costs) or 1.0), (min(goods) - room, max(goods) + room)
    drawn, places = [], {}
    for kind, size in (("broad", BROAD), ("narrow", NARROW)):
        frame = Frame(*ranges, *size)
        parts = [frame.axes("mean cost, USD per 1,000 steps", scale.label)]
        parts.append(
            _band(frame, [(scale.across(one)[0], *scale.up(one)[1:]) for one in data.path])
        )
        curves: list[Box] = []
        for name, (xs, ys) in lines.items():
            line = [(1000 * float(x), scale.raised(float(y))) for x, y in zip(xs, ys, strict=True)]
            parts.append(frame.line(*_split(line), KINDS[name]))
            curves += _along(frame, line)
        path = [(scale.across(one)[0], scale.up(one)[0]) for one in data.path]
        parts.append(frame.line(*_split(path), "router"))
        curves += _along(frame, path)
        levels = [*data.at_level] or [shipped]
        places[kind] = [
            _pixels(frame, scale, one, floor) for one, floor in zip(levels, floors, strict=True)
        ]
        now = places[kind][ships]
        curves += _floor_name(frame, now[-1], names[ships])
        parts += _named(frame, scale, data.fixed, shipped, curves, size)
        parts.append(_now(frame, now, names[ships]))
        about = (
            "Quality against cost of the router and of simple policies; the table has the numbers"
        )
        drawn.append(frame.svg(about, kind, *parts))
    return "".join(drawn), places


def _split(line: Sequence[Place]) -> tuple[list[float], list[float]]:
    return [x for x, _ in line], [y for _, y in line]


def _band(frame: Frame, ends: Sequence[tuple[float, float, float]]) -> str:
    """Return the area between the ends of an interval along a line of (x, low, high)."""
    known = [one for one in ends if math.isfinite(one[1]) and math.isfinite(one[2])]
    outline = [(x, high) for x, _, high in known] + [(x, low) for x, low, _ in reversed(known)]
    points = " ".join("{:.1f},{:.1f}".format(*frame.at(x, y)) for x, y in outline)
    return f'<polygon class="band" points="{points}"/>' if known else ""


def _pixels(frame: Frame, scale: Scale, one: Measured, floor: float | None) -> list[float | None]:
    """Return where a dot, the ends of its intervals and its floor lie; unknown ends at the dot."""
    x, left, right = _ended(scale.across(one))
    y, low, high = _ended(scale.up(one))
    px, py = frame.at(x, y)
    ends = [frame.at(left, y)[0], frame.at(right, y)[0], frame.at(x, low)[1], frame.at(x, high)[1]]
    inside = floor is not None and frame.y[0] <= floor <= frame.y[1]
    height = frame.at(0.0, floor)[1] if inside and floor is not None else None
    found = [px, py, *ends, height]
    return [None if value is None else round(value, 1) for value in found]


def _floor_name(frame: Frame, height: float | None, name: str) -> list[Box]:
    """Return where the name of the floor's line stands, often enough to keep other names away."""
    if height is None:
        return []
    end = frame.width - RIGHT
    return [(end - LETTER * (len(name) + 7), height - 18, end, height)] * 8


def _ended(one: Three) -> Three:
    value, low, high = one
    return value, low if math.isfinite(low) else value, high if math.isfinite(high) else value


def _now(frame: Frame, at: Sequence[float | None], name: str) -> str:
    """Return the dot of the chosen floor with its intervals, and where the policy ships."""
    x, y, left, right, low, high, height = at
    line = TOP if height is None else height
    return (
        f'<g class="floor-line{" away" if height is None else ""}"><line x1="{LEFT}" '
        f'x2="{frame.width - RIGHT}" y1="{line}" y2="{line}"/><text x="{frame.width - RIGHT - 4}" '
        f'y="{line - 5}" text-anchor="end">floor {escape(name)}</text></g>'
        f'<circle class="ships" cx="{x}" cy="{y}" r="11"><title>the policy that ships</title>'
        f'</circle><g class="now"><line class="across" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'
        f'<line class="up" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>'
        f'<circle class="spot" cx="{x}" cy="{y}" r="7"/></g>'
    )


def _along(frame: Frame, line: Sequence[Place]) -> list[Box]:
    """Return small boxes along a line, which labels had better not cover."""
    places, found = [frame.at(x, y) for x, y in line], []
    for (x1, y1), (x2, y2) in pairwise(places):
        count = max(1, int(math.hypot(x2 - x1, y2 - y1) / 6))
        for index in range(count):
            part = index / count
            found.append(around((x1 + part * (x2 - x1), y1 + part * (y2 - y1)), 1.5))
    return found


def _named(
    frame: Frame,
    scale: Scale,
    fixed: Mapping[str, Measured],
    shipped: Measured,
    curves: Sequence[Box],
    size: tuple[float, float],
) -> list[str]:
    """Return dots with whiskers, and with names beside them that keep clear of each other."""
    places = together({n: (scale.across(one)[0], scale.up(one)[0]) for n, one in fixed.items()})
    measured: dict[Place, Measured] = {}
    for one in fixed.values():
        measured.setdefault((scale.across(one)[0], scale.up(one)[0]), one)
    spot = (scale.across(shipped)[0], scale.up(shipped)[0])
    heading = (0.0, 0.0, LEFT + LETTER * len(scale.label), TOP - 8)
    foot = (0.0, frame.height - BOTTOM, frame.width, frame.height)
    taken: list[Box] = [*curves, *[heading, foot] * 8]
    taken += [around(frame.at(*place), 8) for place in (*places.values(), spot)]
    parts, words = [], []
    # Spread over the dots, which stand by cost: the first ones would crowd in one corner.
    some = {round(i * (len(places) - 1) / (LABELED[size] - 1)) for i in range(LABELED[size])}
    for index, (name, place) in enumerate(places.items()):
        parts.append(_whiskers(frame, scale, measured[place]))
        title = f"{name}: {place[0]:.4g} USD per 1,000 steps, {scale.label} {place[1]:.4g}"
        parts.append(frame.dot(*place, "tier", title, 4))
        if len(places) <= LABELED[size] or index in some:
            text, box = frame.label(place, _short(name, size), taken)
            taken += [box] * 8  # names over names are worse than names over lines
            words.append(text)
    return parts + words


def _short(name: str, size: tuple[float, float]) -> str:
    """Return a name for beside a dot: a tier's own, on a phone without its vendor."""
    told = name.replace("always ", "")
    return shortened(re.sub(r"[^\s,]*/", "", told) if size == NARROW else told, LONGEST[size])


def _whiskers(frame: Frame, scale: Scale, one: Measured) -> str:
    x, y, left, right, low, high, _ = _pixels(frame, scale, one, None)
    return (
        f'<line class="ends" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'
        f'<line class="ends" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>'
    )
