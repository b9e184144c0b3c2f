"""The report's tables: simple policies, calibration, worst slices, spend, where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tierwise.eval.drawing_bins import reliability_plot
from tierwise.eval.page_data import PageData
from tierwise.eval.slices import Slice
from tierwise.eval.words import percent, span, table, thousand


def controls(metrics: Mapping[str, Any], data: PageData) -> str:
    """Return the policy that ships beside policies without learning, and swept ones."""
    policy = metrics["policy"]
    own = {
        "quality": policy["quality"],
        "cost_usd": policy["cost_usd"],
        "quality_kept": policy["quality_kept"]["value"],
        "cost_saved": policy["cost_saved"]["value"],
    }
    known = {"this policy": data.shipped, **data.fixed}
    rows = [
        [
            escape(name),
            percent(one["quality_kept"]),
            span(known[name].kept) if name in known else "-",
            percent(one["cost_saved"]),
            span(known[name].saved) if name in known else "-",
            "-" if one["quality"] is None else f"{one['quality']:.4f}",
            thousand(one["cost_usd"]),
        ]
        for name, one in {"this policy": own, **metrics["controls"]}.items()
    ]
    header = ["policy", "quality kept", "interval", "cost saved", "interval"]
    header += ["mean quality", "USD per 1,000 steps"]
    swept = [
        [
            escape(name),
            *(percent(one[f"saved_at_{r}"]) for r in (100, 98, 95)),
            "-" if one["routing_gain"] is None else f"{one['routing_gain']:.3f}",
        ]
        for name, one in metrics["curves"].items()
    ]
    heads = ["swept policy", *(f"saved at {r}\u00a0%" for r in (100, 98, 95)), "routing gain"]
    return (
        "<h2>Beside simple policies</h2>"
        + table(header, rows, own="this policy")
        + table(heads, swept, own="router")
        + '<p class="soft">Saved at: the share of the best tier\'s cost that a point of the curve '
        "saves while it keeps that share of the best tier's quality; the point is picked on the "
        "test steps. Routing gain: 0 is mixing fixed tiers by a coin, 1 is knowing every outcome "
        "before choosing.</p>"
    )


def calibration(metrics: Mapping[str, Any], data: PageData) -> str:
    """Return whether estimates of quality come true: a curve for each tier, and its error."""
    found = metrics["calibration"]
    tiers = ordered(found, metrics)
    rows = [
        [
            escape(tier),
            percent(found[tier]["mean_estimate"]),
            percent(found[tier]["mean_outcome"]),
            percent(found[tier]["ece"]),
        ]
        for tier in tiers
    ]
    bins = [
        [
            escape(tier),
            f"{one.estimate:.3f}",
            f"{one.outcome:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{one.steps:,}",
        ]
        for tier in tiers
        for one, (_, low, high) in data.bins.get(tier, ())
    ]
    drawn = "".join(reliability_plot(tier, data.bins.get(tier, ())) for tier in tiers)
    return (
        "<h2>Do estimates come true</h2>"
        + table(["tier", "expected quality", "true quality", "calibration error"], rows)
        + '<p class="soft">Calibration error (ECE): the mean distance of expected from true '
        "quality over groups of test steps of like estimates. It holds some noise: even true "
        f'estimates seldom get 0.</p><div class="many">{drawn}</div><p class="soft">On the '
        "dashed line estimates come true. Thin lines: intervals of the true mean.</p>"
        + "<details><summary>The bins as a table</summary>"
        + table(["tier", "expected", "true", "interval", "steps"], bins)
        + "</details>"
    )


def worst(found: Sequence[Slice], most: int, level: float) -> str:
    """Return the slices that keep least quality, and how many were looked at to find them."""
    if not found:
        return (
            "<h2>Worst slices</h2><p>No slice has enough steps, or the reference is never ok: "
            "there is nothing to compare.</p>"
        )
    rows = [
        [
            f"{escape(one.kind)}: {escape(one.name)}",
            percent(one.kept[0]),
            span(one.kept),
            span(one.wide),
            percent(one.saved),
            f"{one.steps:,}",
            f"{one.units:,}",
        ]
        for one in found[:most]
    ]
    count = len(found)
    kinds = ", ".join(dict.fromkeys(one.kind for one in sorted(found, key=lambda s: s.kind)))
    header = ["slice", "quality kept", "interval alone", "interval for all", "cost saved"]
    return (
        "<h2>Worst slices, found by looking</h2>"
        f"<p>The {len(rows)} that keep least quality of the {count:,} looked at (by {kinds}). "
        "Picked for being the worst, so that part of what they show is chance: of "
        f"{count:,} intervals of {100 * level:g} % that each stand alone, about "
        f"{max(1, round(count * (1 - level))):,} would miss the truth. The intervals for all "
        "allow for that: together they hold the truth of every slice looked at with that "
        "probability. Slices overlap. No promise is made for any of them.</p>"
        + table([*header, "steps", "units"], rows)
    )


def audit(metrics: Mapping[str, Any]) -> str:
    """Return what the logs say of spend, where no policy was judged."""
    found = metrics.get("audit", {})
    total = str(next(iter(found.get("lines", [])), ""))
    by_role: Mapping[str, Any] = found.get("by_role", {})
    spent = {
        role: sum(one["cost_usd"] for one in tiers.values()) for role, tiers in by_role.items()
    }
    rows = [
        [
            escape(role),
            escape(tier),
            f"{by_role[role][tier]['calls']:,}",
            f"{by_role[role][tier]['cost_usd']:,.4g}",
            percent(by_role[role][tier]["share"]),
            percent(by_role[role][tier]["quality"]),
        ]
        for role in sorted(by_role, key=lambda name: (-spent[name], name))
        for tier in ordered(by_role[role], metrics)
    ]
    header = ["role", "tier", "calls", "USD", "share of spend", "mean quality"]
    hints = "".join(f"<li>{escape(flag)}</li>" for flag in found.get("flags", []))
    return (
        f"<h2>Where the money goes</h2><p>{escape(total)}</p>"
        + table(header, rows, words=2)
        + (f"<h2>Worth a trial</h2><ul>{hints}</ul>" if hints else "")
    )


def ordered(found: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Return the tiers found, cheap to dear where their order is known."""
    known = [tier for tier in metrics.get("tiers", ()) if tier in found]
    return known + [tier for tier in found if tier not in known]


def origin(values: Mapping[str, str]) -> str:
    """Return what the page was made from: hashes of its inputs, and the stage's parameters."""
    rows = [
        [escape(name), f'<span class="mono">{escape(value)}</span>']
        for name, value in values.items()
    ]
    return (
        "<h2>Where this comes from</h2>"
        + table(["input", "sha256, or value"], rows, words=2)
        + '<p class="soft">The version of a bundle is the start of the hash of its graph, which '
        "then holds the certified floors too: it is made after this page.</p>"
    )
