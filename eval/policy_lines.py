"""The policy's table as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tierwise.data.aligned import aligned

SHOWN = 40  # rows; all of them are in the JSON
FEW = 30  # units, below which an interval is too narrow
WIDEST = 28  # letters of a name

HEAD = ("role", "task", "steps", "tier", "share", "kept", "measured", "USD/1,000", "saved", "lead")
FACTS = {
    "input_complexity": "complexity",
    "requires_judgment": "judgment",
    "latency_tolerance_s": "tolerance s",
    "irreversible": "irreversible",
    "user_visible": "visible",
    "valid": "valid",
}


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return a table that `policy_table.policy_table` made as lines."""
    said = _policy(found["policy"])
    if "rows" not in found:
        return [*said, "", "No trace table: name one to see what is served by role and task."]
    rows, most = found["rows"], found["rows"][:SHOWN]
    every = {"role": "all", "task": ""} | found["all"]
    order = "steps" if every["cost_usd"] is None else "money"
    said += ["", f"On {every['steps']:,} {_without_all(found['about'])}; most {order} first:"]
    said += aligned([HEAD, *map(_row, [every, *most])], words=(0, 1, 3))
    if len(rows) > SHOWN:
        rest = sum(row["steps"] for row in rows[SHOWN:])
        said.append(f"  and {len(rows) - SHOWN} more rows of {rest:,} steps: --json has them all")
    said += ["", *_legend(found)]
    return [*said, "", *_facts([every, *most])]


def _without_all(about: str) -> str:
    return about.removeprefix("all ").removeprefix("the ")


def _policy(policy: Mapping[str, Any]) -> list[str]:
    said = [f"Policy {policy['policy_version']}; {policy['promise'] or 'nothing is promised.'}"]
    said.append(f"Reference {policy['reference']}, fallback {policy['fallback']}. Cheap to dear:")
    head = ("tier", "USD/M in", "USD/M out", "mean USD a call", "seconds")
    kinds = ("price_in", "price_out", "mean_cost_usd", "latency_s")
    tiers = [(one["name"], *(_number(one[kind]) for kind in kinds)) for one in policy["tiers"]]
    said += aligned([head, *tiers])
    if policy["strata"]:
        floor = policy["floor"]
        said += ["", f"Floor {floor['kind']} {floor['level']:g}, by role:"]
        titles = ("roles", "certified", "strictest", "units")
        said += aligned([titles, *map(_stratum, policy["strata"])])
    if policy["role_table"]:
        table = policy["role_table"]
        said += ["", f"Role table, whatever the step says (other roles: {table['default']}):"]
        said += aligned([("role", "tier"), *sorted(table["roles"].items())], words=(0, 1))
    return said


def _stratum(one: Mapping[str, Any]) -> tuple[str, ...]:
    listed = ", ".join(one["roles"][:4]) + (", ..." if len(one["roles"]) > 4 else "")
    name = one["name"] if one["roles"] == [one["name"]] else f"{one['name']}: {listed or 'others'}"
    return (
        _name(name, 60),
        "yes" if one["certified"] else "no",
        _number(one["strictest"]),
        _count(one),
    )


def _count(one: Mapping[str, Any]) -> str:
    return "-" if one["units"] is None else f"{one['units']:,}"


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    thousand = row["cost_per_1000_usd"]
    return (
        _name(row["role"]),
        _name(row["task"]),
        f"{row['steps']:,}",
        _name(row["tier"]),
        _percent(row["share"]),
        _percent(row["quality_kept"]),
        _measured(row["measured"]),
        _number(thousand),
        _percent(row["saved"]),
        _lead(row),
    )


def _measured(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "-"
    kept = one["quality_kept"]
    if kept["low"] is None:
        return _percent(kept["value"])
    few = "*" if one["units"] < FEW else ""
    return f"{_percent(kept['value'])} ({100 * kept['low']:.0f} to {100 * kept['high']:.0f}){few}"


def _lead(row: Mapping[str, Any]) -> str:
    one = row["lead"]
    return "-" if one is None else f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def _legend(found: Mapping[str, Any]) -> list[str]:
    said = [
        "tier: the usual one, and the share of the steps that get it. kept, saved: expected "
        f"quality and cost against always {found['policy']['reference']}; USD expected, retries "
        "included.",
        "lead: how far the rule's score of the served tier is above the runner-up's, median "
        "(quartiles); - where no estimate decides.",
    ]
    judged = [row["measured"] for row in [found["all"], *found["rows"]] if row["measured"]]
    if judged:
        said.append(
            "measured: quality kept where every tier's outcome is known, with a 95 % interval "
            "each; of many rows some are off by chance, and no promise is made for a single row."
        )
    if any(one["units"] < FEW for one in judged):
        said.append(f"*: fewer than {FEW} independent units, so that the interval is too narrow.")
    return said


def _facts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the steps are like: reasoning, latency tolerance, cost, failure mode."""
    known = [name for name in FACTS if any(row["dimensions"][name] is not None for row in rows)]
    if not known:
        return ["The table says nothing of reasoning, latency tolerance or failure mode."]
    total = rows[0]["cost_usd"]
    table = [("role", "task", *(FACTS[name] for name in known), "of the cost")]
    for row in rows:
        cells = [_fact(name, row["dimensions"][name]) for name in known]
        part = row["cost_usd"] / total if total and row["cost_usd"] is not None else None
        table.append((_name(row["role"]), _name(row["task"]), *cells, _percent(part)))
    return ["What these steps are like:", *aligned(table, words=(0, 1))]


def _fact(name: str, value: float | None) -> str:
    return (
        _number(value) if name in ("input_complexity", "latency_tolerance_s") else (_percent(value))
    )


def _name(value: str | None, widest: int = WIDEST) -> str:
    if value is None:
        return "-"
    plain = " ".join(value.split())
    return plain if len(plain) <= widest else f"{plain[: widest - 3]}..."


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
