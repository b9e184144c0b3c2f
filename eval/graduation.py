"""Which kind of policy has earned its place: constant, role table, learned, context-aware.

A rung is promoted over the one in force when, on the same steps,

    it costs less: the upper end of the paired cost difference is below 0, and
    it keeps the floor: the lower end of its quality less what the floor asks is not below -0.01.

Nothing else counts: a rung that is as dear is not worth its upkeep, and one that is cheaper by
breaking the floor is no saving. What the floor asks is linear in mean qualities (`slack`), so that
both can be measured on full and on logged feedback alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.eval.estimators import Estimate
from tierwise.eval.judged_steps import JudgedSteps, Tiers, full_steps, logged_steps
from tierwise.eval.off_policy import usable
from tierwise.features.steps import StepTable

MARGIN = 0.01  # mean quality by which the lower end may be below the floor: noise of the test


def graduate(
    steps: JudgedSteps, rungs: Mapping[str, Tiers], reference: int, floor: Mapping[str, Any]
) -> dict[str, Any]:
    """Climb the rungs, and say which is in force and what each other one lacks.

    Parameters
    ----------
    steps : JudgedSteps
        That no rung was learned from.
    rungs : mapping of str to ndarray of int64, shape (n_steps,)
        The tier that each serves, lowest rung first; the first is in force to begin with.
    reference : int
        The tier that the floor is measured against.
    floor : mapping
        `kind` and `level`.

    Returns
    -------
    dict
        in_force, criterion, words, and rungs {name: {promoted, over, lacks, and where the steps
        can tell cost_difference_usd and slack, each with value, low and high}}.
    """
    in_force, *higher = rungs
    ideal = np.full(len(rungs[in_force]), reference)
    found: dict[str, Any] = {}
    for name in higher:
        one: dict[str, Any] = {"over": in_force}
        try:
            cost = steps.difference(rungs[name], rungs[in_force]).cost
            left = slack(steps, rungs[name], ideal, floor)
        except BadInput as error:
            one |= {"promoted": False, "lacks": str(error)}
        else:
            lacks = _lacks(cost, left, in_force)
            one |= {"promoted": not lacks, "lacks": lacks or None}
            one |= {"cost_difference_usd": _ends(cost), "slack": _ends(left)}
        found[name] = one
        in_force = name if one["promoted"] else in_force
    return {
        "in_force": in_force,
        "criterion": "cheaper than the rung in force, and within the floor: the cost difference's "
        f"upper end below 0, the lower end of quality less the floor at least -{MARGIN:g}",
        "rungs": found,
        "words": _words(in_force, higher, found),
    }


def climb(
    table: StepTable,
    role: NDArray[Any],
    rungs: Mapping[str, Tiers],
    reference: int,
    floor: Mapping[str, Any],
    level: float,
) -> dict[str, Any]:
    """Climb the rungs on recorded steps; arguments as in `graduate`, `level` of the intervals.

    Steps are those of which every outcome is known, or else those that were logged with
    propensities and that every rung could have been served on.
    """
    if np.isfinite(table.quality).all(axis=1).any():
        steps: JudgedSteps
        steps, keep = full_steps(table, level)
    else:
        keep, _ = usable(table, rungs)
        steps = logged_steps(table.rows(keep), role[keep], level)
    return graduate(steps, {name: tier[keep] for name, tier in rungs.items()}, reference, floor)


def slack(steps: JudgedSteps, tier: Tiers, reference: Tiers, floor: Mapping[str, Any]) -> Estimate:
    """Return a policy's mean quality less what the floor asks of it.

    retain: quality - level x the reference's. miss: quality - the reference's + (1 - level), which
    a policy that keeps this floor has above 0. absolute: quality - level.

    Raises
    ------
    BadInput
        Where the steps cannot tell.
    """
    level = float(floor["level"])
    if floor["kind"] == "absolute":
        return _moved(steps.worth(tier).quality, -level)
    if floor["kind"] == "miss":
        return _moved(steps.difference(tier, reference).quality, 1 - level)
    return steps.difference(tier, reference, level).quality


def _moved(one: Estimate, by: float) -> Estimate:
    return Estimate(
        one.value + by, one.low + by, one.high + by,
        one.error, one.effective, one.steps, one.units,
    )  # fmt: skip


def _lacks(cost: Estimate, left: Estimate, below: str) -> str:
    """Return what keeps a rung from being promoted, empty where nothing does."""
    if cost.low == cost.high == 0:
        return f"it costs the same as {below} on every step"
    lacks = []
    if cost.high >= 0:
        lacks.append(
            f"it is not shown to cost less than {below}: {_thousand(cost)} USD per 1,000 steps, "
            "needed below 0"
        )
    if left.low < -MARGIN:
        more = _steps_needed(left)
        lacks.append(
            f"it is not shown to keep the floor: quality less the floor is {left.value:.3f} "
            f"({left.low:.3f} to {left.high:.3f}), the lower end is needed at -{MARGIN:g} or above"
            + (f", which some {more:,} steps like these could show" if more else "")
        )
    return "; ".join(lacks)


def _steps_needed(left: Estimate) -> int | None:
    """Return how many steps would show the floor kept if the value stays; None where none would."""
    room = left.value + MARGIN
    if room <= 0:
        return None
    return int(np.ceil(left.steps * ((left.value - left.low) / room) ** 2))


def _words(in_force: str, higher: list[str], found: Mapping[str, Any]) -> str:
    above = [name for name in higher if found[name]["lacks"]]
    after = higher.index(in_force) + 1 if in_force in higher else 0
    lacking = [name for name in above if higher.index(name) >= after]
    said = f"In force: {in_force}."
    if in_force in found:
        cost, left = (found[in_force][key] for key in ("cost_difference_usd", "slack"))
        said += (
            f" It costs {-1000 * cost['value']:.4g} USD less per 1,000 steps than "
            f"{found[in_force]['over']} ({-1000 * cost['high']:.4g} to {-1000 * cost['low']:.4g}) "
            f"and is {left['value']:+.3f} in mean quality from the floor ({left['low']:+.3f} to "
            f"{left['high']:+.3f})."
        )
    return said + "".join(f" Next, {name}: {found[name]['lacks']}." for name in lacking[:1])


def _ends(one: Estimate) -> dict[str, float]:
    return {"value": one.value, "low": one.low, "high": one.high}


def _thousand(one: Estimate) -> str:
    return f"{1000 * one.value:+.4g} ({1000 * one.low:+.4g} to {1000 * one.high:+.4g})"
