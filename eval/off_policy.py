"""What a policy would have cost and kept on recorded steps, beside what was served and baselines.

Where every tier's outcome is known these are plain means; where one tier a step was served, with
the probabilities it was drawn by, they are doubly robust estimates. Where neither holds, nothing is
claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.role_table import RoleTable
from tierwise.eval.judged_steps import (
    ROUNDING,
    JudgedSteps,
    LoggedSteps,
    Mask,
    Tiers,
    Worth,
    full_steps,
    logged_steps,
)
from tierwise.eval.logged import check_logged, could_serve, of_served
from tierwise.eval.role_table import serve_by_role
from tierwise.features.steps import StepTable

OWN, LOGGING = "this policy", "what was served"
MANY = 0.05  # share of the steps left out from which on it is said
NO_QUALITY = "No quality is known, so nothing can be said of what any policy would have kept."
NO_PROPENSITY = (
    "The logs do not say with what probability each tier was chosen, so nothing can be said of "
    "what another policy would have cost or kept; the figures describe what was served."
)
NOT_COMPLETE = (
    "No step has the outcome of every tier that the policy may serve, so nothing can be said of "
    "what it would have cost or kept."
)

DOUBT = (
    "The propensities of tier {} cannot be those that it was drawn by: it was served more or less "
    "often than they say."
)


@dataclass(frozen=True)
class Verdict:
    """What recorded steps tell of a policy.

    Attributes
    ----------
    found : dict or None
        method, level, policies, differences, by_role, by_tier, left_out and warnings; None where
        nothing is claimed.
    refused : str
        Why not, in a sentence; empty otherwise.
    error : BadInput or None
        Where the steps are of the right kind, but too few of them tell.
    """

    found: dict[str, Any] | None
    refused: str = ""
    error: BadInput | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {"off_policy": self.found, "refused": self.refused or None}


def judge(
    table: StepTable,
    role: NDArray[Any],
    choices: Mapping[str, Tiers],
    baselines: Mapping[str, Tiers],
    level: float = 0.95,
) -> Verdict:
    """Judge policies on recorded steps, as far as these can tell.

    Parameters
    ----------
    table : StepTable
        None of the steps is one that the policies were learned from.
    role : ndarray of str, shape (n_steps,)
        Empty where unknown.
    choices : mapping of str to ndarray of int64, shape (n_steps,)
        The tier that each policy serves. The first policy is the one that is judged; in logged
        feedback the steps are those on which the logs could have served what all of them serve.
    baselines : mapping of str to ndarray of int64, shape (n_steps,)
        Left out where the logs could not have served them.
    level : float
        Of every interval.

    Raises
    ------
    BadInput
        Where propensities cannot be true of any policy, naming a step.
    """
    if not np.isfinite(table.quality).any():
        return Verdict(None, NO_QUALITY)
    if table.feedback == "full":
        steps, keep = full_steps(table, level)
        if not len(keep):
            return Verdict(None, NOT_COMPLETE)
        left_out = {"the outcome of some tier is unknown": len(table) - len(keep)}
        return _judge(steps, keep, table, role, choices, baselines, left_out)
    keep, left_out = usable(table, choices)
    if not np.isfinite(table.propensity).any():
        return Verdict(None, NO_PROPENSITY)
    if not len(keep):
        return _too_few(
            BadInput(
                f"no logged step that can be weighed ({reasons(left_out)})",
                "a tier served, its propensity, quality and cost",
                "log these",
            )
        )
    known = logged_steps(table.rows(keep), role[keep], level)
    check_logged(known.logged)
    return _judge(known, keep, table, role, choices, baselines, left_out)


def constant_and_role(
    tiers: tuple[str, ...], role: NDArray[Any], roles: RoleTable, judged: tuple[str, ...] = ()
) -> dict[str, Tiers]:
    """Return the baselines: every tier always (or those of `judged`), and the role table."""
    names = judged or tiers
    fixed = {f"always {name}": np.full(len(role), tiers.index(name)) for name in names}
    by_role = serve_by_role(roles, role.astype(np.str_), names)
    place = np.array([tiers.index(name) for name in names])
    return {**fixed, "role table": place[by_role]}


def usable(
    table: StepTable, choices: Mapping[str, Tiers]
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Return the logged steps that can be weighed, and how many cannot, by the first reason."""
    some = np.where(table.served >= 0, table.served, 0)
    could, rows = np.ones(len(table), np.bool_), np.arange(len(table))
    for tier in choices.values():
        could &= could_serve(table.propensities)[rows, tier]
    chosen = of_served(table.propensities, some)
    cannot = {
        "no single tier was served": table.served < 0,
        "no propensity": ~np.isfinite(chosen),
        "two propensities that disagree": np.abs(table.propensity - chosen) > ROUNDING,
        "no quality": ~np.isfinite(of_served(table.quality, some)),
        "no cost": ~np.isfinite(table.ladder_cost),
        "the logs could not have served what is judged": ~could,
    }
    left, counts = np.ones(len(table), np.bool_), {}
    for name, bad in cannot.items():
        counts[name] = int((left & bad).sum())
        left &= ~bad
    return np.flatnonzero(left), counts


def reasons(left_out: Mapping[str, int]) -> str:
    """Return in words why steps were left out."""
    return ", ".join(f"{name}: {count:,}" for name, count in left_out.items() if count)


def _judge(
    steps: JudgedSteps,
    keep: NDArray[np.int64],
    table: StepTable,
    role: NDArray[Any],
    choices: Mapping[str, Tiers],
    baselines: Mapping[str, Tiers],
    left_out: dict[str, int],
) -> Verdict:
    every = {name: tier[keep] for name, tier in {**choices, **baselines}.items()}
    own, *others = every
    tier, role = every[own], role[keep]
    try:
        worth = steps.worth(tier)
    except BadInput as error:
        return _too_few(error)
    served = steps.logging()
    compared = {name: _or_why(partial(steps.worth, every[name])) for name in others}
    less = {name: _or_why(partial(steps.difference, tier, every[name])) for name in others}
    warnings = _few(left_out, len(table))
    if isinstance(steps, LoggedSteps):
        less[LOGGING] = _or_why(partial(steps.from_logging, tier))
        warnings += [DOUBT.format(table.tiers[one]) for one in steps.doubted()]
    found = {
        "method": "doubly robust" if served else "plain means",
        "level": steps.level,
        "policies": {own: worth.as_dict(), **({LOGGING: served.as_dict()} if served else {})}
        | compared,
        "differences": less,
        "by_role": _parts(steps, tier, {str(n) or "unknown": role == n for n in np.unique(role)}),
        "by_tier": _parts(steps, tier, {n: tier == i for i, n in enumerate(table.tiers)}),
        "left_out": left_out,
        "warnings": warnings,
    }
    return Verdict(found)


def _too_few(error: BadInput) -> Verdict:
    return Verdict(None, f"Nothing is said of the policy's value: {error}.", error)


def _parts(steps: JudgedSteps, tier: Tiers, masks: Mapping[str, Mask]) -> dict[str, Any]:
    """Return the policy's worth on each part of the steps, and what was served there."""
    found = {}
    for name, mask in masks.items():
        if mask.any():
            one = _or_why(partial(steps.worth, tier, mask))
            there = _or_why(partial(steps.logging, mask))
            found[name] = one | {"steps": int(mask.sum()), "served": there}
    return found


def _or_why(estimate: Callable[[], Worth | None]) -> dict[str, Any]:
    """Return an estimate in its JSON form, or why there is none."""
    try:
        found = estimate()
    except BadInput as error:
        return {"refused": str(error)}
    return found.as_dict() if found else {}


def _few(left_out: Mapping[str, int], n_steps: int) -> list[str]:
    """Return a warning where the steps judged may differ from the others."""
    count = sum(left_out.values())
    if count <= MANY * n_steps:
        return []
    return [f"{count:,} of {n_steps:,} steps are left out ({reasons(left_out)}): no claim on them."]
