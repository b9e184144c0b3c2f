"""Made-up steps with a signal in task, text and context, and one small fit of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.features.columns import ContextColumn
from tierwise.features.steps import LEARN, StepTable
from tierwise.router_model.graph import build_graph, serialize
from tierwise.training.fit import FitParams, Fitted, fit

ROLES = ("worker", "planner", "critic")
TASKS = ("extract", "reason")
COLUMNS = (
    ContextColumn("role", "category", ROLES),
    ContextColumn("task_type", "category", TASKS),
    ContextColumn("text_bytes", "number"),
    ContextColumn("context_tokens", "number"),
    ContextColumn("input_complexity", "number"),
    ContextColumn("has_schema", "flag"),
)
SMALL = FitParams(
    bits=8,
    pair_bits=9,
    dims=4,
    alphas=(1.0, 10.0),
    priors=(10.0,),
    inner_folds=3,
    trees=10,
    leaves=4,
    rate=0.2,
    hidden=6,
    draws=2,
    points=16,
    guard=1.0,
)
EASY = ("copy", "list", "rename", "format", "sort")
HARD = ("prove", "derive", "refactor", "untangle", "diagnose")
FILLER = ("the", "file", "of", "a", "report", "then", "it", "with", "data", "now")


def names(n_tiers: int) -> tuple[str, ...]:
    return tuple(f"tier{k}" for k in range(n_tiers))


def prices(n_tiers: int) -> NDArray[np.float64]:
    """USD a call at no length, cheap to dear."""
    return np.asarray(0.001 * 2.0 ** np.arange(n_tiers))


def chances(difficulty: NDArray[np.float64], n_tiers: int) -> NDArray[np.float64]:
    strength = np.linspace(0.2, 1.0, n_tiers)
    return np.asarray(np.clip(1.0 - 1.2 * (difficulty[:, None] - strength), 0.05, 0.95))


def make_steps(n: int = 600, seed: int = 0, n_tiers: int = 3, feedback: Any = "full") -> StepTable:
    """Steps whose difficulty comes in equal parts from task, text and complexity; units of two."""
    rng = np.random.default_rng(seed)
    role, task = rng.integers(0, len(ROLES), n), rng.integers(0, len(TASKS), n)
    hard, complexity = rng.random(n) < 0.5, rng.integers(1, 11, n)
    text = tuple(_text(rng, bool(h)) for h in hard)
    text_bytes = np.array([len(t) for t in text], np.int64)
    tokens = rng.integers(100, 1000, n)
    context = np.stack(
        [role, task, text_bytes, tokens, complexity, rng.random(n) < 0.5], axis=1
    ).astype(np.float32)
    context[rng.random(n) < 0.05, 0] = np.nan
    context[rng.random(n) < 0.05, 3] = np.nan
    difficulty = 0.4 * task + 0.4 * hard + 0.4 * (complexity - 1) / 9
    noise = rng.normal(0, 0.1, (n, n_tiers))
    outcomes = {
        "quality": np.clip(chances(difficulty, n_tiers) + noise, 0, 1),
        "cost": prices(n_tiers) * (1 + 0.001 * tokens[:, None]),
        "latency": np.linspace(1, 3, n_tiers) * rng.uniform(0.8, 1.2, (n, n_tiers)),
        "valid": (rng.random((n, n_tiers)) > 0.1).astype(np.float64),
    }
    served = np.full(n, -1)
    if feedback == "logged":
        served = rng.integers(0, n_tiers, n)
        only = np.arange(n_tiers) == served[:, None]
        outcomes = {name: np.where(only, values, np.nan) for name, values in outcomes.items()}
    unit = np.arange(n) // 2
    return StepTable(
        tiers=names(n_tiers),
        step=np.array([f"t{i}/0" for i in range(n)]),
        unit=np.array([f"u{u}" for u in unit]),
        part=np.array([0, 0, 0, 1, 2], np.int8)[unit % 5],
        text=text,
        text_bytes=text_bytes,
        context=context,
        served=served,
        propensity=np.full(n, 1 / n_tiers if feedback == "logged" else np.nan),
        propensities=np.full((n, n_tiers), 1 / n_tiers if feedback == "logged" else np.nan),
        ladder_cost=np.where(served < 0, np.nan, np.nansum(outcomes["cost"], axis=1)),
        feedback=feedback,
        **outcomes,
    )


def _text(rng: np.random.Generator, hard: bool) -> bytes:
    words = [*rng.choice(HARD if hard else EASY, 3), *rng.choice(FILLER, 5)]
    return " ".join(words).encode()


def fit_steps(steps: StepTable, params: FitParams = SMALL) -> Fitted:
    unknown = np.full(len(steps.tiers), np.nan)
    return fit(steps.of_part(LEARN), COLUMNS, params, unknown, np.random.default_rng(0))


@dataclass(frozen=True)
class SmallFit:
    steps: StepTable
    fitted: Fitted
    graph: bytes


@cache
def small_fit() -> SmallFit:
    """The one fit that tests share; nobody changes its arrays."""
    steps = make_steps()
    fitted = fit_steps(steps)
    return SmallFit(steps, fitted, serialize(build_graph(fitted.model, fitted.spec)))
