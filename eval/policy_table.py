"""The learned policy as a table a person can read: which tier serves what, and what that is worth.

Rows are role x task, most money first. What is expected comes from the graph that ships; where
the outcomes of all tiers are known, and the policy was not learned from them, the quality it
keeps is measured too.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.bootstrap import ratio, unit_codes
from tierwise.eval.policy_steps import Floats, PolicySteps, read_steps
from tierwise.router_model import layout
from tierwise.router_model.bundle import verify_bundle
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.runtime import estimates_of

DRAWS = 500  # of the bootstrap, a row
JUDGED = 10  # steps with every outcome known, from which on a row is judged
ALWAYS = 1.0  # a lead beyond this is the floor's margin, no estimate's


def policy_table(
    policy: Path, traces: Path | None, rng: np.random.Generator, most: int | None = None
) -> dict[str, Any]:
    """Return the policy as a table.

    Parameters
    ----------
    policy : Path
        A bundle's folder.
    traces : Path or None
        A trace table, or the folder of a run; by default the table of the run that the policy
        lies in, if it lies in one.
    rng : Generator
        Draws the intervals.
    most : int, optional
        Steps asked about at most.

    Returns
    -------
    dict
        policy (what the bundle itself says), and, where there is a table, about (which steps),
        all (one row for all steps) and rows; None is unknown.

    Raises
    ------
    BadInput
        Where the bundle is not sound or the table is none.
    """
    bundle = verify_bundle(policy)
    found: dict[str, Any] = {"policy": says(bundle.manifest)}
    if traces is None:
        run = policy.parent if policy.name else policy.resolve().parent
        traces = run / "traces.parquet" if (run / "traces.parquet").exists() else None
    if traces is None:
        return found
    limit = {} if most is None else {"most": most}
    steps = read_steps(traces, policy, bundle.manifest, **limit)
    decisions = bundle.graph.decisions(steps.text, steps.context).astype(np.float64)
    everything = np.ones(len(steps), np.bool_)
    found["about"] = steps.about
    found["all"] = _row(steps, decisions, bundle.manifest, everything, rng)
    pairs = sorted(set(zip(steps.role, steps.task, strict=True)))
    rows: list[dict[str, Any]] = [
        {"role": role or None, "task": task or None}
        | _row(steps, decisions, bundle.manifest, (steps.role == role) & (steps.task == task), rng)
        for role, task in pairs
    ]
    return found | {"rows": sorted(rows, key=_money)}


def _money(row: dict[str, Any]) -> tuple[float, int]:
    return -(row["cost_usd"] or 0.0), -row["steps"]


def says(manifest: Manifest) -> dict[str, Any]:
    """Return what a bundle knows of itself: tiers, reference, the floor of each stratum, roles."""
    floors = manifest.floors
    chosen = floors.get("chosen", {})
    return {
        "policy_version": manifest.policy_version,
        "tiers": [
            {
                name: getattr(tier, name)
                for name in ("name", "price_in", "price_out", "mean_cost_usd", "latency_s")
            }
            for tier in manifest.tiers
        ],
        "reference": reference(manifest),
        "fallback": manifest.fallback,
        "floor": floors.get("floor"),
        "strata": [
            {
                "name": one["name"],
                "roles": one.get("roles", []),
                "certified": chosen.get(one["name"], -1) > 0,
                "strictest": _strictest(floors["levels"], one["points"]),
                "units": one.get("units"),
            }
            for one in ([] if manifest.role_table else floors.get("strata", []))
        ],
        "role_table": manifest.role_table,
        "promise": manifest.promise,
    }


def reference(manifest: Manifest) -> str:
    """Return the tier that the floor is measured against; the dearest where none is named."""
    named = manifest.rule.get("reference") or manifest.floors.get("reference")
    return str(named) if named in manifest.tier_names else manifest.tier_names[-1]


def _strictest(levels: list[float], points: list[int]) -> float | None:
    """Return the strictest level that lets the policy leave the reference at all."""
    held = [level for level, point in zip(levels, points, strict=True) if point > 0]
    return max(held, default=None)


def _row(
    steps: PolicySteps,
    decisions: Floats,
    manifest: Manifest,
    mask: NDArray[np.bool_],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return what the policy does on some of the steps."""
    made, names = decisions[mask], manifest.tier_names
    tier, at = made[:, layout.TIER].astype(np.int64), np.arange(int(mask.sum()))
    usual, base = int(np.bincount(tier).argmax()), names.index(reference(manifest))
    expected = estimates_of(made.astype(np.float32))
    quality, cost = expected.quality.astype(np.float64), expected.total_cost.astype(np.float64)
    paid, dear = cost[at, tier], cost[:, base]
    total, share = _sum(paid), _ratio(_sum(paid), _sum(dear))
    weighed = (made[:, layout.LEAD] < ALWAYS) & np.isfinite(quality[at, tier])
    counts = Counter(manifest.reasons[int(code)] for code in made[:, layout.REASON])
    return {
        "steps": len(made),
        "tier": names[usual],
        "share": float((tier == usual).mean()),
        "mix": {name: float((tier == i).mean()) for i, name in enumerate(names)},
        "reasons": dict(counts.most_common()),
        "quality_kept": _ratio(_sum(quality[at, tier]), _sum(quality[:, base])),
        "cost_usd": total,
        "cost_per_1000_usd": None if total is None else 1000 * total / len(made),
        "saved": None if share is None else 1 - share,
        "lead": _quartiles(made[weighed, layout.LEAD]),
        "measured": _measured(steps.quality[mask], steps.unit[mask], tier, base, rng),
        "dimensions": _dimensions(steps, mask),
    }


def _measured(
    quality: Floats,
    unit: NDArray[Any],
    tier: NDArray[np.int64],
    base: int,
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    """Return the quality kept where every tier's outcome is known, with its 95 % interval.

    Steps of which some tier's outcome is unknown stay out even where those of both compared tiers
    are known: in logged feedback these would be the very steps that the old policy chose.
    """
    known = np.isfinite(quality).all(axis=1)
    served = quality[known, tier[known]]
    usual = quality[known, base]
    if known.sum() < JUDGED or usual.sum() <= 0:
        return None
    codes = unit_codes(unit[known])
    kept = ratio(served, usual, codes, DRAWS, rng)
    return {
        "quality_kept": {name: _known(end) for name, end in asdict(kept).items()},
        "steps": int(known.sum()),
        "units": int(codes.max()) + 1,
    }


def _dimensions(steps: PolicySteps, mask: NDArray[np.bool_]) -> dict[str, float | None]:
    """Return reasoning, latency tolerance and failure mode of the steps, as far as they are known.

    Means, for flags the share of those known; the tolerance is the median.
    """
    found = {}
    for name, column in steps.facts.items():
        known = column[mask & np.isfinite(column)]
        middle = np.median if name == "latency_tolerance_s" else np.mean
        found[name] = float(middle(known)) if len(known) else None
    return found


def _quartiles(values: Floats) -> dict[str, float] | None:
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    return {"low": float(low), "value": float(middle), "high": float(high)}


def _sum(values: Floats) -> float | None:
    """Return a sum; unknown where one of its parts is."""
    return _known(float(values.sum()))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None or below <= 0 else above / below
