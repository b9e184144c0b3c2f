"""Reliability of each tier's estimates, drawn: expected against true quality, bin by bin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tierwise.eval.calibration import Bin
from tierwise.eval.drawing import shortened
from tierwise.eval.words import Three

SIZE, LEFT, TOP, RIGHT, BOTTOM = 190.0, 34.0, 10.0, 8.0, 34.0
INNER = SIZE - LEFT - RIGHT
HEIGHT = TOP + INNER + BOTTOM


def reliability_plot(tier: str, bins: Sequence[tuple[Bin, Three]]) -> str:
    """Return one tier's curve with whiskers; a dot's size grows with the steps of its bin.

    Parameters
    ----------
    tier : str
    bins : sequence of (Bin, tuple of float)
        With the interval of the mean outcome.
    """
    most = max((one.steps for one, _ in bins), default=1)
    parts = [
        f'<rect class="grid" x="{LEFT}" y="{TOP}" width="{INNER}" height="{INNER}"/>',
        f'<line class="even" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>',
    ]
    for mark in (0.0, 0.5, 1.0):
        parts.append(
            f'<text x="{_x(mark)}" y="{TOP + INNER + 14}" text-anchor="middle">{mark:g}</text>'
            f'<text x="{LEFT - 5}" y="{_y(mark) + 4}" text-anchor="end">{mark:g}</text>'
        )
    parts.append(
        f'<text x="{_x(0.5)}" y="{HEIGHT - 5}" text-anchor="middle">expected quality</text>'
    )
    points = " ".join(f"{_x(one.estimate)},{_y(one.outcome)}" for one, _ in bins)
    parts.append(f'<polyline class="router" points="{points}"/>')
    for one, (_, low, high) in bins:
        x, y = _x(one.estimate), _y(one.outcome)
        if math.isfinite(low) and math.isfinite(high):
            parts.append(f'<line class="ends" x1="{x}" x2="{x}" y1="{_y(low)}" y2="{_y(high)}"/>')
        radius = 1.5 + 2.5 * math.sqrt(one.steps / most)
        parts.append(
            f'<circle class="bin" cx="{x}" cy="{y}" r="{radius:.1f}"><title>{one.steps:,} steps: '
            f"expected {one.estimate:.3f}, true {one.outcome:.3f}</title></circle>"
        )
    about = f"True against expected quality of tier {tier}; the table below has the numbers"
    counts = [one.steps for one, _ in bins]
    said = f"{len(bins)} bins of {_range(counts)} steps" if bins else "no step"
    return (
        f'<figure><figcaption>{escape(shortened(tier, 40))} <span class="soft">{said}</span>'
        f'</figcaption><svg viewBox="0 0 {SIZE:g} {HEIGHT:g}" role="img" '
        f'aria-label="{escape(about)}">{"".join(parts)}</svg></figure>'
    )


def _x(value: float) -> float:
    return round(LEFT + min(max(value, 0.0), 1.0) * INNER, 1)


def _y(value: float) -> float:
    return round(TOP + (1 - min(max(value, 0.0), 1.0)) * INNER, 1)


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
