"""Draw a fleet: steps as a router sees them, the truth about them, and one run of every tier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.fleet_columns import step_columns, with_unknowns
from tierwise.data.fleet_outcomes import Outcomes, outcomes
from tierwise.data.fleet_plan import Plan, draw_plan
from tierwise.data.fleet_roles import ROLE_RUNG, ROLES, TASK_ROLE
from tierwise.data.fleet_tiers import Tier
from tierwise.data.fleet_world import Truth, World, truth

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fleet:
    """Drawn steps, what is true of them and what came of them.

    Attributes
    ----------
    world : World
        Where they were drawn.
    plan : Plan
        Everything hidden about the steps; give it to `outcomes` for another run.
    steps : DataFrame
        One row a step: identity and the columns that may be looked at before the call.
    truth : Truth
        Expectations, arrays (n_steps, n_tiers).
    drawn : Outcomes
        One run of every tier, arrays (n_steps, n_tiers).
    """

    world: World
    plan: Plan
    steps: pd.DataFrame
    truth: Truth
    drawn: Outcomes

    @property
    def true_quality(self) -> Floats:
        """Mean quality, (n_steps, n_tiers), 0..1."""
        return self.truth.quality

    @property
    def true_cost(self) -> Floats:
        """Mean cost of one call, (n_steps, n_tiers), USD."""
        return self.truth.cost

    @property
    def quality(self) -> Floats:
        """Drawn quality, (n_steps, n_tiers), 0..1."""
        return self.drawn.quality

    @property
    def cost(self) -> Floats:
        """Drawn cost, (n_steps, n_tiers), USD."""
        return self.drawn.cost

    @property
    def latency(self) -> Floats:
        """Drawn latency, (n_steps, n_tiers), seconds."""
        return self.drawn.latency

    @property
    def valid(self) -> Floats:
        """Drawn outcome of the check, (n_steps, n_tiers), 1, 0 or NaN without a schema."""
        return self.drawn.valid

    @property
    def output_tokens(self) -> Floats:
        """Drawn output tokens, (n_steps, n_tiers), reasoning included."""
        return self.drawn.output_tokens


def draw(world: World, n_traces: int, rng: np.random.Generator, first_trace: int = 0) -> Fleet:
    """Draw traces of a world.

    Parameters
    ----------
    world : World
        From `make_world`.
    n_traces : int
        At least 1.
    rng : numpy.random.Generator
        Source of every draw.
    first_trace : int
        Number of the first trace, so that further draws get ids and times of their own.

    Returns
    -------
    Fleet
        `previous_tier` and `previous_failed` are those of a fleet that serves by the role table.
    """
    p = world.params
    plan = draw_plan(n_traces, p.steps_min, p.steps_max, rng)
    steps = step_columns(world, plan, first_trace, rng)
    expected = truth(world, plan)
    drawn = outcomes(world, plan, rng, expected)
    served = role_table(world.tiers)[TASK_ROLE[plan.task]]
    failed = drawn.valid[np.arange(len(plan)), served] == 0
    columns = steps.assign(**previous(world, plan, served, failed))
    return Fleet(world, plan, with_unknowns(columns, p.nulls, rng, HISTORY_NULLS), expected, drawn)


HISTORY_NULLS = {"previous_tier": 0.05, "previous_failed": 0.05}


def role_table(tiers: tuple[Tier, ...]) -> NDArray[np.int64]:
    """Return the tier index that a team's first role table gives each role, (n_roles,)."""
    models = [i for i, tier in enumerate(tiers) if tier.effort == "default"]
    places = np.array([tiers[i].position for i in models])
    return np.array([models[np.abs(places - ROLE_RUNG[role]).argmin()] for role in ROLES])


def previous(
    world: World, plan: Plan, served: NDArray[np.int64], failed: NDArray[np.bool_]
) -> dict[str, pd.Series]:
    """Return the history columns: who answered the step before, and whether its check failed.

    Parameters
    ----------
    world : World
        For the names of its tiers.
    plan : Plan
        The steps.
    served, failed : ndarray of shape (n_steps,)
        Tier index and failed check of the last attempt at each step.

    Returns
    -------
    dict
        Columns `previous_tier` and `previous_failed`, null on the first step of a trace.
    """
    names = np.array([tier.name for tier in world.tiers], dtype=object)
    first = pd.Series(plan.index == 0)
    return {
        "previous_tier": pd.Series(names[np.roll(served, 1)]).mask(first),
        "previous_failed": pd.Series(np.roll(failed, 1)).astype("boolean").mask(first),
    }
