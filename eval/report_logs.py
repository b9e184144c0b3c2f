"""The report's words on what logs tell of a policy, and on which kind of policy is in force."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from tierwise.eval.newcomers import lines
from tierwise.eval.off_policy import LOGGING, OWN
from tierwise.eval.words import table, thousand


def estimated(metrics: Mapping[str, Any]) -> str:
    """Return what the policy would have cost and kept on the logs; empty where nothing is said."""
    found = metrics.get("off_policy")
    if not found:
        return ""
    known = found["policies"]
    fixed = [f"always {tier}" for tier in metrics["tiers"]]
    rows = [
        [
            escape(name),
            f"{one['quality']['value']:.3f}",
            f"{one['quality']['low']:.3f} to {one['quality']['high']:.3f}",
            thousand(one["cost_usd"]["value"]),
            f"{thousand(one['cost_usd']['low'])} to {thousand(one['cost_usd']['high'])}",
            f"{one['effective']:,.0f}",
        ]
        for name in (OWN, LOGGING, *fixed, "role table")
        if "quality" in (one := known.get(name, {}))
    ]
    header = ["policy", "mean quality", "interval", "USD per 1,000 steps", "interval", "effective"]
    said = (
        f"Means of a step, {found['method']}, on {known[OWN]['steps']:,} test steps in "
        f"{known[OWN]['units']:,} independent units. Intervals: {100 * found['level']:g} %, by "
        "units. Effective: how many steps served by the policy itself would tell as much."
    )
    notes = "".join(f'<p class="note">{escape(words)}</p>' for words in found["warnings"])
    return (
        "<h2>What it would have cost and kept</h2>"
        + table(header, rows, own=OWN)
        + f'<p class="soft">{escape(said)}</p>'
        + notes
    )


def arrived(metrics: Mapping[str, Any]) -> str:
    """Return how far new tiers are known; empty without any."""
    items = "".join(f"<li>{escape(words)}</li>" for words in lines(metrics.get("newcomers", {})))
    return f"<h2>New tiers</h2><ul>{items}</ul>" if items else ""


def climbed(metrics: Mapping[str, Any]) -> str:
    """Return which kind of policy is in force, and what the next one lacks."""
    found = metrics.get("graduation")
    if not found:
        return ""
    return (
        f"<h2>Which kind of policy has earned its place</h2><p>{escape(found['words'])}</p>"
        '<p class="soft">From a constant over a role table and a policy of text and role to one '
        "that sees all context, a kind is in force where it is shown to cost less than the one "
        "before, within the floor.</p>"
    )
