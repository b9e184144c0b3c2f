"""Numbers and floors as the report says them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape

Three = tuple[float, float, float]  # a value and the ends of its interval
UNIT = re.compile(r"(?<=\d) (?=%|USD\b)")


def percent(value: float | None) -> str:
    """Return a share as a percentage; a dash where it is unknown."""
    return "-" if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def interval(one: Mapping[str, float | None]) -> str:
    """Return an interval's ends in words."""
    return f"{percent(one['low'])} to {percent(one['high'])}"


def three(one: Mapping[str, float | None]) -> Three:
    """Return a value and its ends from metrics.json; NaN where null."""
    value, low, high = (one[key] for key in ("value", "low", "high"))
    low_to_high = [math.nan if x is None else float(x) for x in (value, low, high)]
    return low_to_high[0], low_to_high[1], low_to_high[2]


def span(one: Three) -> str:
    """Return the ends of a share's interval, shorter than `interval`."""
    return f"{percent(one[1]).removesuffix(' %')} to {percent(one[2])}"


def tight(text: str) -> str:
    """Return text in which no line ends between a number and its unit."""
    return UNIT.sub("\u00a0", text)


def thousand(usd: float | None) -> str:
    """Return the price of a thousand steps of so many USD each; a dash where it is unknown."""
    if usd is None or not math.isfinite(usd):
        return "-"
    value = 1000 * usd
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def money(usd: float) -> str:
    """Return an amount in USD; the page's script does the same."""
    if not math.isfinite(usd):
        return "-"
    digits = 0 if usd == 0 or abs(usd) >= 1000 else 2 if abs(usd) >= 1 else 4
    whole = math.floor(abs(usd) * 10**digits + 0.5) / 10**digits
    sign = "-" if usd < 0 and whole > 0 else ""
    return f"{sign}{whole:,.{digits}f} USD"


def money_span(low: float, high: float) -> str:
    """Return the ends of an amount's interval; the page's script does the same."""
    return f"{money(low).removesuffix(' USD')} to {money(high)}"


def share(count: int, total: int) -> str:
    """Return a share of steps in whole percent; the page's script does the same."""
    if count == 0 or total == 0:
        return "0 %"
    whole = math.floor(100 * count / total + 0.5)
    return "<1 %" if whole == 0 else f"{whole} %"


def mixed(counts: Sequence[int], tiers: Sequence[str], most: int = 16) -> str:
    """Return the tiers that serve some step, with shares; the page's script does the same.

    Where more than `most` tiers do, those that serve the most, in the order of the tiers, and what
    is left to the others.
    """
    total, serving = sum(counts), [index for index, count in enumerate(counts) if count]
    named = sorted(serving, key=lambda index: -counts[index])[:most]
    told = [f"{tiers[index]} {share(counts[index], total)}" for index in sorted(named)]
    left = total - sum(counts[index] for index in named)
    if left:
        others = len(serving) - len(named)
        told.append(f"{others} {'other' if others == 1 else 'others'} {share(left, total)}")
    return ", ".join(told) or "no steps"


def short_floor(kind: str, level: float) -> str:
    """Return a floor's level: of the slider and its ticks."""
    if kind == "retain":
        return f"{round(100 * level, 2):g} %"
    return f"{round(1 - level if kind == 'miss' else level, 6):g}"


def floor_words(kind: str, level: float, reference: str) -> str:
    """Return what a floor asks for, to stand behind "the policy must"."""
    told = short_floor(kind, level)
    if kind == "retain":
        return f"keep at least {told} of {reference}'s mean quality"
    if kind == "miss":
        return f"fall short of {reference}'s quality by at most {told} on average"
    return f"have a mean quality of at least {told}"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    own: str = "",
    words: int = 1,
    caption: str = "",
) -> str:
    """Return an HTML table of ready HTML cells; `words` columns are text, the row `own` is bold."""
    kind = ["" if index < words else ' class="n"' for index in range(len(header))]
    head = "".join(
        f'<th scope="col"{k}>{escape(h)}</th>' for k, h in zip(kind, header, strict=True)
    )
    body = "".join(
        f"<tr{' class=own' if row[0] == own else ''}>"
        + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kind, row, strict=True))
        + "</tr>"
        for row in rows
    )
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    # A scrolled box can be reached by keyboard, so it has a role and a name.
    name = escape(caption or header[0], quote=True)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{name}"><table>{said}'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
