"""What `tierwise evaluate` found, as lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tierwise.data.aligned import aligned

SHOWN = 24  # roles; all of them are in the JSON
WIDEST = 32  # letters of a name
FEW = "-: too few of these steps tell, see --json; nothing is said rather than something unsure."
ONCE = "The intervals hold for each figure by itself; of many rows some miss by chance."


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the output of `off_policy_command.evaluate` as lines."""
    said = [
        f"Policy {found['policy']}, judged on {found['about']}: {found['steps']:,} steps in "
        f"{found['units']:,} units.",
        f"Feedback: {found['feedback']}. It serves: {_shares(found['mix'])}.",
        "",
    ]
    said += [found["refused"]] if found["refused"] else _judged(found["off_policy"])
    return [*said, "", "What was served:", *(f"  {one}" for one in found["audit"]["lines"])]


def _judged(one: Mapping[str, Any]) -> list[str]:
    logged = one["method"] == "doubly robust"
    level = f"{100 * one['level']:g} %"
    head = ["", "quality", level, "USD/1,000", level, "steps", *(["effective"] if logged else [])]
    rows = [[_name(name), *_cells(row, logged)] for name, row in one["policies"].items()]
    said = [f"Mean of a step, {one['method']}:", *aligned([head, *rows])]
    less = [
        [_name(name), *_cells(row, logged)[:4]]
        for name, row in one["differences"].items()
        if "refused" not in row
    ]
    if less:
        titles = ["this policy less", "quality", level, "USD/1,000", level]
        said += ["", "Differences on the same steps:", *aligned([titles, *less])]
    if logged:
        said += ["", *_beside(one["policies"])]
    for title, key in (("role", "by_role"), ("tier it serves", "by_tier")):
        parts = sorted(one[key].items(), key=lambda item: -item[1]["steps"])
        heads = [title, *head[1:], *(["served: quality", "USD/1,000"] if logged else [])]
        table = [[_name(name), *_cells(row, logged), *_served(row, logged)] for name, row in parts]
        said += ["", *aligned([heads, *table[:SHOWN]])]
    parts = [*one["by_role"].values(), *one["by_tier"].values()]
    said += ["", ONCE, *([FEW] if any("refused" in row for row in parts) else [])]
    said += [f"Note: {words}" for words in one["warnings"]]
    refused = {row["refused"] for row in one["policies"].values() if "refused" in row}
    return said + [f"Left empty: {words}" for words in sorted(refused)]


def _beside(policies: Mapping[str, Any]) -> list[str]:
    """Return the other estimators' figures of the judged policy."""
    own = next(iter(policies.values()))
    snips, direct = own["snips"], own["direct"]
    return [
        f"Self-normalized (SNIPS): quality {_value(snips['quality'])} ({_span(snips['quality'])}), "
        f"USD/1,000 {_money(snips['cost_usd'])} ({_span(snips['cost_usd'], 1000)}).",
        f"The outcome model alone, a diagnostic and no verdict: quality "
        f"{_value(direct['quality'])}, USD/1,000 {_money(direct['cost_usd'])}.",
    ]


def _cells(row: Mapping[str, Any], logged: bool) -> list[str]:
    if "quality" not in row:
        return ["-", "-", "-", "-", _count(row.get("steps")), *(["-"] if logged else [])]
    return [
        _value(row["quality"]),
        _span(row["quality"]),
        _money(row["cost_usd"]),
        _span(row["cost_usd"], 1000),
        _count(row["steps"]),
        *([f"{row['effective']:,.0f}"] if logged else []),
    ]


def _served(row: Mapping[str, Any], logged: bool) -> list[str]:
    if not logged:
        return []
    there = row["served"]
    return (
        [_value(there["quality"]), _money(there["cost_usd"])] if "quality" in there else ["-"] * 2
    )


def _value(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f}"


def _money(one: Mapping[str, float]) -> str:
    return f"{1000 * one['value']:.4g}"


def _span(one: Mapping[str, float], scale: float = 1.0) -> str:
    if scale == 1.0:
        return f"{one['low']:.3f} to {one['high']:.3f}"
    return f"{scale * one['low']:.4g} to {scale * one['high']:.4g}"


def _count(steps: int | None) -> str:
    return "-" if steps is None else f"{steps:,}"


def _shares(mix: Mapping[str, float]) -> str:
    return ", ".join(f"{_name(name)} {share:.1%}" for name, share in mix.items() if share > 0)


def _name(value: str) -> str:
    plain = " ".join(value.split())
    return plain if len(plain) <= WIDEST else f"{plain[: WIDEST - 3]}..."
