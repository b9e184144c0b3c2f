"""Where the money goes: spend by role and tier, from logs alone, with or without quality."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tierwise.data.trace_columns import read_columns

UNKNOWN = "unknown"
ENOUGH = 30  # calls of a role on both tiers, before they are compared
CLOSE = 0.05  # a cheaper tier within this of the dearer one's mean quality raises a flag


def audit(traces: Path, tiers: Sequence[str] | None = None) -> dict[str, Any]:
    """Return what `spend` finds in a trace table; every attempt counts, as every one was paid.

    Parameters
    ----------
    traces : Path
        A Parquet file with at least the column tier.
    tiers : sequence of str, optional
        Cheap to dear; by default the tiers of the table in order of mean cost.

    Raises
    ------
    BadInput
        Where the file is missing or is no trace table.
    """
    columns = ["tier", "role", "cost_usd", "quality"]
    calls = read_columns(traces, columns, needed=["tier"])
    return spend(calls.reindex(columns=columns), tiers)


def spend(calls: pd.DataFrame, tiers: Sequence[str] | None = None) -> dict[str, Any]:
    """Return spend by role and tier, hints where a dearer tier may not be needed, and lines.

    Parameters
    ----------
    calls : DataFrame
        One row a call: tier, role, cost_usd, quality; the last three may be null.
    tiers : sequence of str, optional
        Cheap to dear.

    Returns
    -------
    dict
        calls, unknown_costs (counts), cost_usd (total of known costs), by_role {role: {tier:
        {calls, cost_usd, share, quality}}}, flags and lines (words for people).
    """
    names = calls["role"].astype(object)  # a column of nulls alone may have any type
    known = names.notna() & (names.astype(str) != "")
    calls = calls.assign(role=names.where(known, UNKNOWN).astype(str))
    calls["tier"] = calls["tier"].astype(str)
    for name in ("cost_usd", "quality"):
        calls[name] = pd.to_numeric(calls[name], errors="coerce").astype("float64")
    if tiers is None:
        means = calls.groupby("tier")["cost_usd"].mean().sort_values(kind="stable")
        tiers = [str(name) for name in means.index]
    total = float(calls["cost_usd"].sum())
    by_role: dict[str, dict[str, dict[str, Any]]] = {}
    flags: list[str] = []
    for role, rows in calls.groupby("role", sort=True):
        groups = {name: part for name, part in rows.groupby("tier", sort=False)}
        ordered = [name for name in tiers if name in groups]
        by_role[str(role)] = {name: _one(groups[name], total) for name in ordered}
        flags += _hints(str(role), ordered, groups)
    unknown = int(calls["cost_usd"].isna().sum())
    found: dict[str, Any] = {
        "calls": len(calls),
        "unknown_costs": unknown,
        "cost_usd": total,
        "by_role": by_role,
        "flags": flags,
    }
    found["lines"] = lines(found)
    return found


def _one(rows: pd.DataFrame, total: float) -> dict[str, Any]:
    """Return the numbers of one role on one tier; quality None where it is never known."""
    cost, quality = float(rows["cost_usd"].sum()), rows["quality"].mean()
    return {
        "calls": len(rows),
        "cost_usd": cost,
        "share": cost / total if total > 0 else 0.0,
        "quality": None if np.isnan(quality) else float(quality),
    }


def _hints(role: str, ordered: Sequence[str], groups: dict[Any, pd.DataFrame]) -> list[str]:
    """Return a hint for each tier whose next cheaper tier does about as well in this role.

    About as well: the lower 95 % bound of the difference of mean qualities is above -CLOSE. Logs
    do not give the tiers the same steps, so that this is a reason to try, not a result.
    """
    found = []
    for cheap, dear in pairwise(ordered):
        low, high = (groups[name]["quality"].dropna() for name in (cheap, dear))
        if min(len(low), len(high)) < ENOUGH:
            continue
        error = float(np.sqrt(low.var() / len(low) + high.var() / len(high)))
        if low.mean() - high.mean() - 1.96 * error > -CLOSE:
            found.append(
                f"{role}: {cheap} has a mean quality of {low.mean():.3f} on {len(low):,} calls, "
                f"{dear} {high.mean():.3f} on {len(high):,}; worth a trial, since the two did not "
                "get the same steps"
            )
    return found


def lines(found: dict[str, Any]) -> list[str]:
    """Return the audit as lines for people, the dearest role first."""
    said = [f"{found['calls']:,} calls cost {found['cost_usd']:.4g} USD"]
    if found["unknown_costs"]:
        said[0] += f" without {found['unknown_costs']:,} calls of unknown cost"
    of_role = {
        role: sum(one["share"] for one in tiers.values())
        for role, tiers in found["by_role"].items()
    }
    for role in sorted(of_role, key=lambda name: (-of_role[name], name)):
        parts = [
            f"{tier} {one['share']:.1%} ({one['calls']:,} calls)"
            for tier, one in found["by_role"][role].items()
        ]
        said.append(f"{role}: {of_role[role]:.1%} of the spend: {', '.join(parts)}")
    return said + [f"Hint: {flag}" for flag in found["flags"]]
