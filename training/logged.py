"""Outcomes of tiers that were not served, without bias, from logs in which one tier a step was.

A learner fitted to what was served believes the serving policy: if that one sends easy steps to
the cheap tier, the cheap tier looks good. Each unknown outcome is therefore replaced by a value
whose mean, given the step, is the outcome's: a guess of every tier, corrected where the tier was
served, in proportion to how seldom it would have been (doubly robust pseudo-outcomes: Dudik,
Langford and Li 2011, equation 2; as regression targets: Kennedy 2023, "Towards optimal doubly
robust estimation of heterogeneous causal effects", section 3). Everything downstream then learns
as from full feedback, only from noisier numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.split import folds
from tierwise.features.steps import StepTable
from tierwise.training.tables import LEAST, codes, fit_tables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Estimator = Literal["dr", "ips", "direct"]

ESTIMATORS: tuple[Estimator, ...] = ("dr", "ips", "direct")
GUESS_PRIOR = 10.0  # steps that the tier's mean is worth in the guess; no bias hangs on it
GUESS_FOLDS = 5
LEAST_EFFECTIVE = 50.0  # steps; a tier of fewer is not known well enough to be chosen


def drawn_steps(steps: StepTable) -> Bools:
    """Return the steps whose served tier was drawn: its propensity is known and below 1."""
    return np.asarray((steps.served >= 0) & (steps.propensity < 1), np.bool_)


def effective_steps(steps: StepTable) -> Floats:
    """Return what the drawn steps of each tier are worth in steps drawn evenly, shape (n_tiers,).

    A step counts by 1 / propensity.
    """
    return effective(_weights(steps, drawn_steps(steps)))


def effective(weight: Floats) -> Floats:
    """Return how many steps of equal weight tell as much of each tier, shape (n_tiers,).

    Kish 1965, section 11.7: (sum of weights)^2 / sum of squared weights.

    Parameters
    ----------
    weight : ndarray of shape (n_steps, n_tiers)
    """
    total: Floats = weight.sum(axis=0) ** 2 / np.maximum((weight**2).sum(axis=0), LEAST)
    return total


def pseudo_outcomes(
    steps: StepTable, sizes: tuple[int, int], rng: np.random.Generator, estimator: Estimator = "dr"
) -> StepTable:
    """Return the steps with quality and cost of every tier that might have been served.

    Unknown become: outcomes of a step whose tier was not drawn (without a propensity, which is
    never made up, or with propensity 1) and of a tier with too few draws, as what was served there
    is no fair sample. Unknown stay those of a tier that the logging policy would never have served
    to that step. Outcomes of tiers that were run beside the served one stay what they are. Where
    no step was drawn, everything is left as it was served.

    Parameters
    ----------
    steps : StepTable
        The learn part.
    sizes : tuple of int
        Numbers of tasks and roles.
    rng : Generator
        Deals the folds on which the guess is cross-fitted.
    estimator : {"dr", "ips", "direct"}
        Doubly robust; inverse propensity, which guesses nothing; or direct, which leaves all as
        it was served and is there to be compared with.

    Raises
    ------
    BadInput
        For another estimator, or a propensity that is none.
    """
    if estimator not in ESTIMATORS:
        names = ", ".join(ESTIMATORS)
        raise BadInput(f"fit.logged = {estimator!r}", f"one of {names}", "mend params.yaml")
    _check(steps)
    drawn = drawn_steps(steps)
    if estimator == "direct" or not drawn.any():
        return steps
    weight = _weights(steps, drawn)
    fold = folds(steps.unit, GUESS_FOLDS, rng) if estimator == "dr" else None
    worth = effective(weight)
    enough = worth >= min(LEAST_EFFECTIVE, worth.max())
    fair = drawn[:, None] & (steps.propensities != 0) & enough  # NaN: unknown, may be above 0
    known = []
    for outcome in (steps.quality, steps.cost):
        guess = np.zeros_like(outcome)
        if fold is not None:
            guess = _guess(outcome, weight, steps, sizes, fold)
        known.append(_corrected(outcome, guess, weight, steps.served, fair))
    quality, cost = known
    return replace(steps, quality=quality, cost=cost)


def _check(steps: StepTable) -> None:
    known = (steps.served >= 0) & ~np.isnan(steps.propensity)
    wrong = known & ~((steps.propensity > 0) & (steps.propensity <= 1))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise BadInput(
            f"propensity {steps.propensity[at]:g} of step {steps.step[at]}",
            "above 0 and at most 1",
            "mend the logs: it is the probability with which the served tier was chosen",
        )


def _weights(steps: StepTable, drawn: Bools) -> Floats:
    """Return 1 / propensity at the served tier, 0 elsewhere, shape (n_steps, n_tiers)."""
    out = np.zeros(steps.quality.shape)
    rows = np.flatnonzero(drawn)
    out[rows, steps.served[rows]] = 1.0 / steps.propensity[rows]
    return out


def _guess(
    outcome: Floats, weight: Floats, steps: StepTable, sizes: tuple[int, int], fold: Ints
) -> Floats:
    """Return tables' estimates of every tier for steps that the fold's tables had not seen.

    The tables know the task, and the role together with the tier that the logging policy favored:
    what it saw of the step is otherwise lost, and may say how hard the step is.
    """
    n_tasks, n_roles = sizes
    n_tiers = outcome.shape[1]
    favored = np.nan_to_num(steps.propensities, nan=-1.0).argmax(axis=1)
    task = codes(steps.context[:, 1], n_tasks)
    role = codes(steps.context[:, 0], n_roles) * n_tiers + favored
    only = np.where(weight > 0, outcome, np.nan)
    out = np.zeros(outcome.shape)
    for k in np.unique(fold):
        held = fold == k
        tables = fit_tables(
            only[~held],
            task[~held],
            role[~held],
            n_tasks,
            (n_roles + 1) * n_tiers,
            GUESS_PRIOR,
            weight[~held],
        )
        out[held] = tables.predict(task[held], role[held])
    return out


def _corrected(outcome: Floats, guess: Floats, weight: Floats, served: Ints, fair: Bools) -> Floats:
    """Return guess + weight * (outcome - guess) where `fair`, else NaN; others' runs are kept.

    A served outcome that nobody judged leaves the step unknown: to take it for the guess would
    favor tiers whose failures go unseen.
    """
    tier = np.maximum(served, 0)
    chosen = (served >= 0)[:, None] & (np.arange(outcome.shape[1]) == tier[:, None])
    answered = ~np.isnan(outcome[np.arange(len(outcome)), tier])
    corrected = guess + weight * (np.where(chosen, np.nan_to_num(outcome), guess) - guess)
    made_up = np.where(fair & answered[:, None], corrected, np.nan)
    beside = ~np.isnan(outcome) & ~chosen
    out: Floats = np.where(beside, outcome, made_up)
    return out
