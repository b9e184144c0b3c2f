"""The simulated fleet as a trace table: every tier's answer to every step, or one policy's log."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.fleet_columns import with_unknowns
from tierwise.data.fleet_draw import HISTORY_NULLS, Fleet, previous, role_table
from tierwise.data.fleet_roles import TASK_GRADED, TASK_ROLE
from tierwise.data.fleet_world import parts
from tierwise.data.schema import COLUMNS, PANDAS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POLICY = "role-table-1"  # what wrote the simulated log
GUESS_NOISE = 1.0  # noise of the logging policy's guess, in standard deviations of the difficulty
STEP_UP = 1.2  # a guess above serves one tier up, below minus it one tier down
RETRY_AFTER = pd.Timedelta(10, "s")

# Share of rows in which an outcome is unknown. Free choices.
OUTCOME_NULLS = {
    "cached_tokens": 0.10,
    "reasoning_tokens": 0.10,
    "cost_usd": 0.05,
    "latency_s": 0.05,
    "quality": 0.02,
}


def to_traces(
    fleet: Fleet, feedback: str, exploration: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the fleet in the columns of the trace table.

    Parameters
    ----------
    fleet : Fleet
        Drawn steps with one run of every tier.
    feedback : str
        "full": a row for each step and tier. "logged": one row a step, served by a role table that
        a noisy guess of the difficulty may correct by one tier, and where a check fails a second
        row, one tier up.
    exploration : float
        Share of logged steps whose tier is drawn uniformly, 0..1; without effect on full feedback.
    rng : numpy.random.Generator
        Draws the log's tiers and which outcomes are unknown.

    Raises
    ------
    BadInput
        For another kind of feedback.
    """
    if feedback == "full":
        table = _full(fleet)
    elif feedback == "logged":
        table = _logged(fleet, exploration, rng)
    else:
        raise BadInput(f"feedback {feedback!r}", "full or logged", "mend fleet.feedback")
    table = with_unknowns(table, fleet.world.params.nulls, rng, OUTCOME_NULLS)
    missing = [name for name in COLUMNS if name not in table]
    table = table.assign(**dict.fromkeys(missing, None))[list(COLUMNS)]
    return table.astype({name: PANDAS[kind] for name, kind in COLUMNS.items()})


def logging_policy(fleet: Fleet, exploration: float, rng: np.random.Generator) -> Floats:
    """Return the probabilities with which the log serves each tier, (n_steps, n_tiers).

    The guess sees the difficulty itself, the hidden parts included, plus noise: what the log served
    and what came of it have common causes that no column holds, as in real logs. The probabilities
    are nevertheless exact, since they are conditional on the guess.
    """
    n_tiers = len(fleet.world.tiers)
    difficulty = sum(parts(fleet.world, fleet.plan).values(), np.zeros(len(fleet.plan)))
    scale = max(float(difficulty.std()), 1e-9)
    guess = difficulty / scale + GUESS_NOISE * rng.standard_normal(len(difficulty))
    step = (guess > STEP_UP).astype(np.int64) - (guess < -STEP_UP)
    base = role_table(fleet.world.tiers)[TASK_ROLE[fleet.plan.task]]
    chosen = np.clip(base + step, 0, n_tiers - 1)
    probabilities = np.full((len(chosen), n_tiers), exploration / n_tiers)
    probabilities[np.arange(len(chosen)), chosen] += 1 - exploration
    return probabilities


def _full(fleet: Fleet) -> pd.DataFrame:
    n_steps, n_tiers = fleet.quality.shape
    rows = np.repeat(np.arange(n_steps), n_tiers)
    tiers = np.tile(np.arange(n_tiers), n_steps)
    table = _attempts(fleet, rows, tiers)
    return table.assign(attempt=0, feedback_source="benchmark")


def _logged(fleet: Fleet, exploration: float, rng: np.random.Generator) -> pd.DataFrame:
    n_steps, n_tiers = fleet.quality.shape
    rows = np.arange(n_steps)
    probabilities = logging_policy(fleet, exploration, rng)
    served = _pick(probabilities, rng)
    failed = fleet.valid[rows, served] == 0
    again = np.flatnonzero(failed & (served < n_tiers - 1))  # no rung above the last one
    final = served.copy()
    final[again] += 1
    before = previous(fleet.world, fleet.plan, final, fleet.valid[rows, final] == 0)
    history = with_unknowns(pd.DataFrame(before), fleet.world.params.nulls, rng, HISTORY_NULLS)
    names = _names(fleet)
    first = _attempts(fleet, rows, served).assign(
        previous_tier=history["previous_tier"],
        previous_failed=history["previous_failed"],
        attempt=0,
        feedback_source="serve",
        policy_version=POLICY,
        propensity=probabilities[rows, served],
        propensities=_as_json(probabilities, names),
        explored=probabilities[rows, served] < probabilities.max(axis=1),
    )
    retried = _attempts(fleet, again, final[again])
    retried = retried.assign(
        ts=retried["ts"] + RETRY_AFTER,
        previous_tier=names[served[again]],
        previous_failed=pd.array([True] * len(again), dtype="boolean"),
        attempt=1,
        feedback_source="retry",
        policy_version=POLICY,
        explored=False,
    )
    order = np.argsort(np.concatenate([rows, again]), kind="stable")
    return pd.concat([first, retried]).iloc[order].reset_index(drop=True)


def _attempts(fleet: Fleet, rows: Ints, tiers: Ints) -> pd.DataFrame:
    """Return one row for each pair of step and tier, outcomes included."""
    drawn, world = fleet.drawn, fleet.world
    graded = TASK_GRADED[fleet.plan.task[rows]]
    checked = fleet.plan.has_schema[rows]
    return (
        fleet.steps.iloc[rows]
        .reset_index(drop=True)
        .assign(
            tier=_names(fleet)[tiers],
            model=np.array([t.models[0] for t in world.tiers], dtype=object)[tiers],
            effort=np.array([t.effort for t in world.tiers], dtype=object)[tiers],
            input_tokens=fleet.plan.input_tokens[rows].astype(np.int64),
            cached_tokens=fleet.plan.cached_tokens[rows].astype(np.int64),
            output_tokens=drawn.output_tokens[rows, tiers].astype(np.int64),
            reasoning_tokens=drawn.reasoning_tokens[rows, tiers].astype(np.int64),
            cost_usd=drawn.cost[rows, tiers],
            latency_s=drawn.latency[rows, tiers],
            valid=pd.Series(drawn.valid[rows, tiers]).astype("boolean"),
            quality=drawn.quality[rows, tiers],
            quality_source=np.where(
                graded, "judge", np.where(checked, "validator", "reward")
            ).astype(object),
        )
    )


def _names(fleet: Fleet) -> NDArray[np.object_]:
    return np.array([tier.name for tier in fleet.world.tiers], dtype=object)


def _pick(probabilities: Floats, rng: np.random.Generator) -> Ints:
    """Draw one tier a row."""
    below = np.cumsum(probabilities, axis=1)[:, :-1]
    picked: Ints = (rng.random((len(below), 1)) > below).sum(axis=1)
    return picked


def _as_json(probabilities: Floats, names: NDArray[np.object_]) -> list[str]:
    rounded = probabilities.round(12).tolist()
    return [json.dumps(dict(zip(names, row, strict=True))) for row in rounded]
