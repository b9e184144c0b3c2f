"""The columns of simulated steps that a router may look at before the call, unknowns included."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from tierwise.data.fleet_plan import SIZES, Plan
from tierwise.data.fleet_roles import MODES, ROLES, TASK_ROLE, TASKS
from tierwise.data.fleet_text import texts
from tierwise.data.fleet_world import World, parts

START = np.datetime64("2026-01-05T06:00:00", "us")
TRACE_EVERY_S = 600  # a trace starts every ten minutes
STEP_EVERY_S = 20
TENANTS = ("north", "south", "east", "west", "lab")
JUDGING = (7, 8, 10, 12, 14, 15)  # operations that a planner would call a matter of judgment
TOLERANCES_S = (1.0, 5.0, 20.0, 60.0)

# Share of rows in which a column is unknown, as in real logs. Free choices.
NULL_RATES = {
    "tenant": 0.10,
    "task_type": 0.05,
    "agent": 0.05,
    "depth": 0.05,
    "n_agents": 0.05,
    "input_complexity": 0.30,
    "requires_judgment": 0.20,
    "has_schema": 0.05,
    "closed_set": 0.20,
    "n_sources": 0.40,
    "irreversible": 0.15,
    "user_visible": 0.15,
    "context_tokens": 0.03,
    "n_tools": 0.20,
    "latency_tolerance_s": 0.50,
    "workload": 0.10,
}


def step_columns(
    world: World, plan: Plan, first_trace: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Return one row a step with the identity and pre-call columns of the trace table.

    Parameters
    ----------
    world : World
        Only its role and text parts shine through, in `input_complexity`, which is somebody's
        guess from role and text.
    plan : Plan
        The steps.
    first_trace : int
        Number of the first trace, for its id and time.
    rng : numpy.random.Generator
        Source of every draw.
    """
    n = len(plan)
    number = plan.trace + first_trace
    role = TASK_ROLE[plan.task]
    name = np.array([task.name for task in TASKS], dtype=object)[plan.task]
    modes = np.array([mode.name for mode in MODES], dtype=object)[plan.mode]
    batch = (number % 10) < 3
    seconds = number * TRACE_EVERY_S + plan.index * STEP_EVERY_S
    copies = rng.integers(1, 4, n)
    table = pd.DataFrame(
        {
            "trace_id": [f"t{i:07d}" for i in number.tolist()],
            "step_id": [f"s{i:02d}" for i in plan.index.tolist()],
            "step_index": plan.index,
            "ts": pd.to_datetime(START + seconds.astype("timedelta64[s]"), utc=True),
            "group": [f"t{i:07d}" for i in number.tolist()],
            "tenant": np.array(TENANTS, dtype=object)[number * 7 % len(TENANTS)],
            "text": texts(plan, rng),
            "role": np.array(ROLES, dtype=object)[role],
            "task_type": name,
            "agent": [f"{ROLES[r]}-{c}" for r, c in zip(role, copies, strict=True)],
            "collaboration_mode": modes,
            "depth": np.where(plan.index == 0, 0, 1 + rng.binomial(2, 0.2, n)),
            "n_agents": plan.n_agents,
            "input_complexity": _complexity(world, plan, rng),
            "requires_judgment": _judgment(plan, rng),
            "has_schema": plan.has_schema,
            "closed_set": TASK_ROLE[plan.task] == ROLES.index("router"),
            "n_sources": _sources(name, rng),
            "irreversible": rng.random(n) < np.where(name == "call_api", 0.3, 0.02),
            "user_visible": rng.random(n) < np.where(np.isin(name, _SHOWN), 0.8, 0.05),
            "is_recovery": name == "replan_after_failure",
            "is_synthesis": name == "synthesize_sources",
            "context_tokens": plan.input_tokens.astype(np.int64),
            "n_tools": np.where(ROLES.index("tool_caller") == role, 8, 2) + rng.integers(0, 4, n),
            "latency_tolerance_s": np.where(batch, 300.0, rng.choice(TOLERANCES_S, n)),
            "workload": np.where(batch, "batch", "interactive").astype(object),
        }
    )
    return with_unknowns(table, world.params.nulls, rng)


_SHOWN = ("draft_reply", "summarize_thread", "synthesize_sources")


def with_unknowns(
    table: pd.DataFrame,
    scale: float,
    rng: np.random.Generator,
    rates: dict[str, float] | None = None,
) -> pd.DataFrame:
    """Return the table with values made null at `scale` times the rates; null, never 0."""
    for column, rate in (NULL_RATES if rates is None else rates).items():
        if column in table:
            unknown = rng.random(len(table)) < scale * rate
            table[column] = nullable(table[column]).mask(unknown)
    return table


def nullable(column: pd.Series) -> pd.Series:
    """Return the column in a type that has a null: booleans and integers get pandas' own."""
    kind = getattr(column.dtype, "kind", "O")
    if kind == "b":
        return column.astype("boolean")
    return column.astype("Int64") if kind == "i" else column


def _complexity(world: World, plan: Plan, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a guess in 1..10 that sees role and text, as much noise as signal in it."""
    part = parts(world, plan)
    visible = (part["role"] + part["text"]) / max(world.params.spread, 1e-9)
    guess = 5.5 + 1.6 * visible + 1.6 * rng.standard_normal(len(plan))
    return np.clip(np.rint(guess), 1, 10).astype(np.int64)


def _judgment(plan: Plan, rng: np.random.Generator) -> NDArray[np.bool_]:
    asks = np.isin(plan.operation, JUDGING)
    size = plan.size / (len(SIZES) - 1)
    return rng.random(len(plan)) < expit(-2.0 + 3.0 * asks + 0.5 * size)


def _sources(name: NDArray[np.object_], rng: np.random.Generator) -> NDArray[np.int64]:
    many = rng.integers(2, 10, len(name))
    few = rng.integers(0, 2, len(name))
    return np.where(name == "synthesize_sources", many, few)
