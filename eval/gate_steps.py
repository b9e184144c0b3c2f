"""The test steps that a gate can judge by, and what a bundle serves and expects on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.gate_evidence import Choices, Evidence, known_evidence, logged_evidence
from tierwise.eval.logged import Floats, Logged, of_served
from tierwise.eval.served import category, serve, with_retries
from tierwise.features.steps import StepTable
from tierwise.router_model import layout
from tierwise.router_model.runtime import Estimates, PolicyGraph, estimates_of
from tierwise.router_model.spec import PolicySpec
from tierwise.training.promise import Floor


@dataclass(frozen=True)
class Judged:
    """A challenger on the steps that tell something of it.

    Attributes
    ----------
    steps : StepTable
    logged : bool
        Whether only the served tier's outcome is known, and the probability it was drawn by.
    tier : ndarray of int64, shape (n_steps,)
        What the shipped graph serves.
    by_rule : ndarray of int64, shape (n_steps,)
        What the rule serves on the graph's own estimates, at the certified point.
    said : Estimates
        What the graph expects of every tier.
    role : ndarray of str, shape (n_steps,)
    spec : PolicySpec
    floor : Floor
    """

    steps: StepTable
    logged: bool
    tier: NDArray[np.int64]
    by_rule: NDArray[np.int64]
    said: Estimates
    role: NDArray[np.str_]
    spec: PolicySpec
    floor: Floor


def telling(steps: StepTable) -> tuple[StepTable, bool]:
    """Return the steps that tell something, and whether one tier's outcome each is known.

    Steps whose quality is known for every tier; of logs that have none, those that were served a
    tier of known quality, cost and propensity.
    """
    complete = np.asarray(np.isfinite(steps.quality).all(axis=1))
    if complete.any() or steps.feedback != "logged":
        return steps.rows(complete), False
    served = np.maximum(steps.served, 0)
    drawn = np.isfinite(of_served(steps.propensities, served)) & (steps.served >= 0)
    known = np.isfinite(of_served(steps.quality, served)) & np.isfinite(paid(steps))
    return steps.rows(drawn & known), True


def paid(steps: StepTable) -> Floats:
    """Return USD of all attempts of each logged step; of the first where no more is known."""
    first = of_served(steps.cost, np.maximum(steps.served, 0))
    return np.where(np.isfinite(steps.ladder_cost), steps.ladder_cost, first)


def judged(
    graph: PolicyGraph, test: StepTable, spec: PolicySpec, certificate: Mapping[str, Any]
) -> Judged:
    """Run a shipped graph on the test steps that tell something.

    Parameters
    ----------
    graph : PolicyGraph
        The bundle's own, floors filled in.
    test : StepTable
    spec : PolicySpec
    certificate : mapping
        Content of certificate.json.
    """
    steps, logged = telling(test)
    decisions = graph.decisions(steps.text, steps.context)
    role, said = category(steps, spec, "role"), estimates_of(decisions)
    by_rule = serve(said, spec, role, certificate).tier
    tier = decisions[:, layout.TIER].astype(np.int64)
    floor = Floor(**certificate["floor"])
    return Judged(steps, logged, tier, by_rule, said, role, spec, floor)


def evidence_of(found: Judged, champion: NDArray[np.int64]) -> Evidence:
    """Return what the steps tell of the challenger beside the tiers that serve now.

    Parameters
    ----------
    found : Judged
    champion : ndarray of int64, shape (n_steps,)

    Raises
    ------
    BadInput
        Where the logs cannot tell.
    """
    steps = found.steps
    choices = Choices(found.tier, champion, found.spec.reference)
    if not found.logged:
        cost = with_retries(_filled(steps.cost), steps.valid, found.spec.ladder)
        return known_evidence(steps.quality, cost, choices, found.floor, steps.unit, found.role)
    return logged_evidence(
        Logged(steps.served, steps.propensities, steps.unit, steps.step),
        of_served(steps.quality, steps.served),
        paid(steps),
        np.asarray(found.said.quality, np.float64),
        np.asarray(found.said.total_cost, np.float64),
        choices,
        found.floor,
        found.role,
    )


def _filled(cost: Floats) -> Floats:
    """Put the tier's mean where a cost is unknown; NaN where the tier's never is known."""
    known = np.isfinite(cost)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, cost, 0.0).sum(axis=0) / known.sum(axis=0)
    return np.where(known, cost, mean)
