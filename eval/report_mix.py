"""Who is served what: bars of the tier mix, overall and by role, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tierwise.eval.drawing import bars, swatch
from tierwise.eval.words import mixed

REASONS = {
    "floor": "floor: the certified policy chose",
    "not_certified": "not_certified: nothing was certified there, the reference tier serves",
    "guard": "guard: too many tokens that the learn part never had, the reference tier serves",
    "fixed_role": "fixed_role: the role is bound to a tier",
}


def mix(rows: Sequence[str], counts: Sequence[Sequence[int]], tiers: Sequence[str]) -> str:
    """Return the tier mix, overall and by role; `counts` are steps by tier, a list for each row."""
    legend = "".join(
        f"<span>{swatch(index, len(tiers))}{escape(tier)}</span>"
        for index, tier in enumerate(tiers)
    )
    body = "".join(
        f'<tr data-row="{index}" data-most="{_most(index)}"{" class=own" if index == 0 else ""}>'
        f"<td>{escape(row)}</td><td>{bars(one, tiers)}"
        f'<span class="told">{escape(mixed(one, tiers, _most(index)))}</span></td></tr>'
        for index, (row, one) in enumerate(zip(rows, counts, strict=True))
    )
    return (
        '<h2>Who is served what</h2><p class="soft">Share of test steps, by role; tiers from the '
        f'cheapest (pale) to the dearest (full color).</p><p class="soft keys">{legend}</p>'
        f'<div class="wide" tabindex="0" role="region" aria-label="Tier mix"><table class="mix">'
        f"<tbody>{body}</tbody></table></div>"
    )


def _most(row: int) -> int:
    """Return how many tiers a row of the mix names: all for all steps, the main ones for a role."""
    return 16 if row == 0 else 4


def reasons(metrics: Mapping[str, Any]) -> str:
    """Return why the policy that ships chose what it chose, counted."""
    told = "; ".join(
        f"{REASONS.get(name, name)} ({count:,} steps)" for name, count in metrics["reasons"].items()
    )
    return f'<p class="soft">Why, in what ships: {escape(told)}.</p>'
