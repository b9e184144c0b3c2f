"""What the router is worth when only a few steps were logged: beside the task mean of the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.eval.controls import task_mean
from tierwise.eval.held_out import shipped
from tierwise.eval.judged_table import Table
from tierwise.eval.metrics import curve, routing_gain
from tierwise.eval.paired import swept
from tierwise.training.fit import FitParams

Floats = NDArray[np.float64]

STEPS = 300  # learn steps
JUDGED = 3_000  # of the others, at most
DRAWS = 20


@dataclass(frozen=True)
class FewSteps:
    """Routing gain of one draw of the learn steps."""

    router: float
    task_mean: float


def few_steps(table: Table, draw: int, fit: FitParams) -> FewSteps:
    """Fit router and task mean on whole units of `STEPS` steps at most, judge them on others.

    Parameters
    ----------
    table : Table
    draw : int
        Seed of the draw.
    fit : FitParams

    Raises
    ------
    BadInput
        Where too few steps are left to judge on.
    """
    outcomes = table.outcomes
    learn, asked = parts(outcomes.unit, np.random.default_rng(draw))
    if asked.sum() < STEPS / 3 or learn.sum() < STEPS / 2:
        raise BadInput(
            f"{len(outcomes)} steps in {len(np.unique(outcomes.unit))} units",
            f"{STEPS} steps to learn from and a hundred to judge on, in whole units",
            "use a larger table",
        )
    held = shipped(table, learn, asked, fit)
    known, seen = outcomes.rows(asked), outcomes.rows(learn)
    control = [task_mean(seen.task, of, known.task) for of in (seen.quality, seen.cost)]
    gains = [
        _gain(quality, cost, known.quality, known.cost)
        for quality, cost in ((held.quality, held.total_cost), control)
    ]
    return FewSteps(*gains)


def parts(
    unit: NDArray[np.str_], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which steps are learned from and which are judged on; no unit is in both.

    Parameters
    ----------
    unit : ndarray of shape (n_steps,)
    rng : Generator
        Draws the order of the units.
    """
    order = _units_in_order(unit, rng)
    learn = _within(order, STEPS)
    return learn, _within(np.where(learn, -1, order), JUDGED)


def _gain(quality_hat: Floats, cost_hat: Floats, quality: Floats, cost: Floats) -> float:
    choices = np.stack(list(swept(quality_hat, cost_hat, int(quality.mean(axis=0).argmax()))))
    return routing_gain(*curve(choices, quality, cost), quality, cost)


def _units_in_order(unit: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the place of each step's unit in a random order, shape (n_steps,)."""
    names, code = np.unique(unit, return_inverse=True)
    return np.asarray(rng.permutation(len(names))[code], np.int64)


def _within(order: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Return which steps to take: whole units in order that fit into `most`; below 0 never."""
    allowed = order >= 0
    size = np.bincount(order[allowed], minlength=int(order.max()) + 1)
    taken, total = np.zeros(len(size), np.bool_), 0
    for place, count in enumerate(size):
        if count and total + count <= most:
            taken[place] = True
            total += int(count)
        if total >= most:
            break
    return np.asarray(allowed & taken[np.maximum(order, 0)], np.bool_)


def as_dict(draws: list[FewSteps]) -> dict[str, float | int | list[float]] | None:
    """Return the mean difference to the task mean over draws, with its standard error.

    None without a draw. The standard error is that of drawing other learn steps; draws share the
    table, whose own noise it leaves out.
    """
    if not draws:
        return None
    router, table = (np.array([getattr(d, n) for d in draws]) for n in ("router", "task_mean"))
    known = np.isfinite(router) & np.isfinite(table)
    difference = (router - table)[known]
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else float("nan")
    return {
        "difference": float(difference.mean()) if len(difference) else float("nan"),
        "standard_error": spread / float(np.sqrt(max(len(difference), 1))),
        "router": float(router[known].mean()) if known.any() else float("nan"),
        "task_mean": float(table[known].mean()) if known.any() else float("nan"),
        "behind": float((difference < 0).mean()) if len(difference) else float("nan"),
        "draws": len(difference),
        "steps": STEPS,
        "differences": difference.tolist(),
    }
