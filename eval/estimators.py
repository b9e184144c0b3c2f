"""What a policy would have been worth, from logs in which one tier a step was served.

Inverse propensity weighting (Horvitz and Thompson 1952), its self-normalized form (Swaminathan and
Joachims 2015) and the doubly robust estimator (Dudik, Langford and Li 2011, equation 2). Intervals
are from influence terms summed in each unit before the variance (Liang and Zeger 1986), Student t
with units - 1 degrees of freedom. Weights are never clipped: clipping trades an interval that is
wide for one that is wrong. Where too few steps carry the weight there is no estimate at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from tierwise.data.errors import BadInput
from tierwise.eval.logged import (
    SUM_TOLERANCE,
    Floats,
    Logged,
    check_logged,
    of_served,
    refuse_steps,
    supported,
)

__all__ = [
    "Estimate",
    "Logged",
    "direct",
    "doubly_robust",
    "effective_size",
    "ips",
    "kish",
    "paired_difference",
    "plain_mean",
    "scores",
    "snips",
    "weights",
]

LEAST_EFFECTIVE = 200.0  # below it nominal 95 % intervals were measured to cover .61 to .93


@dataclass(frozen=True)
class Estimate:
    """A mean over steps with its interval.

    Attributes
    ----------
    value, low, high : float
        In the unit of the outcome.
    error : float
        Standard error.
    effective : float
        Effective sample size, in steps.
    steps, units : int
        What it was estimated on.
    """

    value: float
    low: float
    high: float
    error: float
    effective: float
    steps: int
    units: int


def effective_size(target: Floats, logged: Logged) -> float:
    """Return how many steps served by the judged policy itself would tell as much.

    (sum of weights)^2 / (sum of squared weights), after Kish (1965); 0 where no step has a weight.

    Parameters
    ----------
    target : ndarray of shape (n_steps, n_tiers)
        Probability that the judged policy gives each tier.
    logged : Logged

    Raises
    ------
    BadInput
        As `check_logged`, or where the policy may serve a tier that the logs could not.
    """
    return kish(_weighed(target, logged)[1])


def ips(target: Floats, logged: Logged, outcome: Floats, level: float = 0.95) -> Estimate:
    """Return the mean outcome under the judged policy by inverse propensity weighting.

    Unbiased, and the widest of the three: shown to compare, not to decide by.

    Parameters
    ----------
    target : ndarray of shape (n_steps, n_tiers)
        Probability that the judged policy gives each tier.
    logged : Logged
    outcome : ndarray of shape (n_steps,)
        Of the tier served: quality 0..1 or cost in USD.
    level : float
        Of the interval.

    Raises
    ------
    BadInput
        As `effective_size`, for an unknown outcome, for one unit alone, and where the effective
        sample size is below `LEAST_EFFECTIVE`.
    """
    order, weight = _weighed(target, logged)
    effective = _enough(weight)
    return _mean(weight * _known(outcome, logged)[order], logged.unit[order], effective, level)


def snips(target: Floats, logged: Logged, outcome: Floats, level: float = 0.95) -> Estimate:
    """Return the mean outcome by self-normalized weighting; arguments and errors as in `ips`.

    sum(w y) / sum(w), with the variance of a ratio (delta method). The logging policy itself gets
    the plain mean of the logs, and an outcome of 1 everywhere gives exactly 1.
    """
    order, weight = _weighed(target, logged)
    effective = _enough(weight)
    outcome, total = _known(outcome, logged)[order], weight.sum()
    value = float((weight * outcome).sum() / total)
    influence = weight * (outcome - value) / total
    return _interval(value, influence, logged.unit[order], effective, level)


def doubly_robust(
    target: Floats, logged: Logged, outcome: Floats, predicted: Floats, level: float = 0.95
) -> Estimate:
    """Return the mean outcome by weighting only what an outcome model gets wrong.

    mean of sum_k target_k predicted_k + w (outcome - predicted of the tier served). With true
    propensities it is unbiased whatever the model says; a good model makes it narrow.

    Parameters
    ----------
    target, logged, outcome, level
        As in `ips`.
    predicted : ndarray of shape (n_steps, n_tiers)
        Expected outcome of each tier, from a model that saw no step of the same unit.

    Raises
    ------
    BadInput
        As `ips`.
    """
    order, weight = _weighed(target, logged)
    effective = _enough(weight)
    found = scores(target, logged, _known(outcome, logged), predicted)
    return _mean(found[order], logged.unit[order], effective, level)


def direct(target: Floats, predicted: Floats, unit: NDArray[Any], level: float = 0.95) -> Estimate:
    """Return what the outcome model alone says: a diagnostic, never a verdict.

    Its interval knows nothing of the model's own error and covers the truth far less often than
    its level says. `effective` is the number of steps.
    """
    return _mean(_expected(target, predicted), unit, float(len(unit)), level)


def paired_difference(
    target_a: Floats,
    target_b: Floats,
    logged: Logged,
    outcome: Floats,
    predicted: Floats,
    level: float = 0.95,
    share: float = 1.0,
) -> Estimate:
    """Return how much higher the outcome is under policy a than under b, on the same steps.

    The difference of the two doubly robust scores, step by step: where both policies serve alike
    nothing is left, noise included. `effective` is the smaller of the two sizes.

    Parameters
    ----------
    target_a, target_b : ndarray of shape (n_steps, n_tiers)
    logged, outcome, predicted, level
        As in `doubly_robust`.
    share : float
        a's outcome less this share of b's: 0.95 asks whether a keeps 95 % of b.

    Raises
    ------
    BadInput
        As `doubly_robust`.
    """
    order, weight = _weighed(target_a, logged)
    effective = min(_enough(weight), _enough(_weighed(target_b, logged)[1]))
    found = scores(target_a - share * target_b, logged, _known(outcome, logged), predicted)
    return _mean(found[order], logged.unit[order], effective, level)


def plain_mean(outcome: Floats, unit: NDArray[Any], level: float = 0.95) -> Estimate:
    """Return the mean of known outcomes with its clustered interval.

    Parameters
    ----------
    outcome : ndarray of shape (n_steps,)
    unit : ndarray of shape (n_steps,)
    level : float
    """
    return _mean(outcome, unit, float(len(outcome)), level)


def scores(target: Floats, logged: Logged, outcome: Floats, predicted: Floats) -> Floats:
    """Return each step's doubly robust score, whose mean is the estimate; nothing is checked.

    sum_k target_k predicted_k + w (outcome - predicted of the tier served). It is linear in
    `target`: the difference of two policies gives the difference of their scores.

    Parameters
    ----------
    target, logged, outcome, predicted
        As in `doubly_robust`.

    Returns
    -------
    ndarray of shape (n_steps,)
        In the unit of the outcome.
    """
    weight = weights(target, logged)
    missed = outcome - of_served(predicted, logged.served)
    return _expected(target, predicted) + np.where(weight != 0, weight * missed, 0.0)


def weights(target: Floats, logged: Logged) -> Floats:
    """Return how much oftener the judged policy gives the served tier, shape (n_steps,)."""
    return of_served(target, logged.served) / of_served(logged.propensities, logged.served)


def kish(weight: Floats) -> float:
    """Return (sum of weights)^2 / (sum of squared weights): the steps that count (Kish 1965)."""
    squares = float(np.square(weight).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def _weighed(target: Floats, logged: Logged) -> tuple[NDArray[np.int64], Floats]:
    """Return the order of the steps by key, which no shuffling changes, and weights in it."""
    if target.shape != logged.propensities.shape:
        raise ValueError(f"target is {target.shape}, propensities {logged.propensities.shape}")
    if not ((target >= 0).all() and np.allclose(target.sum(axis=1), 1, atol=SUM_TOLERANCE)):
        raise ValueError("a row of target is no distribution over the tiers")
    check_logged(logged)
    refuse_steps(
        logged,
        ~supported(target, logged),
        "may get a tier that the logs could not serve (propensity 0)",
        "logs that could have served every tier of the judged policy",
        "judge the policy on the other steps",
    )
    order = np.argsort(logged.step, kind="stable")
    return order, weights(target, logged)[order]


def _expected(target: Floats, predicted: Floats) -> Floats:
    """Return what the model expects under `target`, shape (n_steps,)."""
    # A tier that is never served must not spoil the sum with an unknown prediction.
    return np.asarray(np.where(target != 0, target * predicted, 0.0).sum(axis=1), np.float64)


def _mean(values: Floats, unit: NDArray[Any], effective: float, level: float) -> Estimate:
    value = float(values.mean())
    return _interval(value, (values - value) / len(values), unit, effective, level)


def _interval(
    value: float, influence: Floats, unit: NDArray[Any], effective: float, level: float
) -> Estimate:
    """Return an estimate whose error is that of sums of influence over whole units."""
    code = np.unique(unit, return_inverse=True)[1]
    sums = np.bincount(code, influence)
    units = len(sums)
    if units < 2:
        raise BadInput(
            f"{units} unit of independent steps", "2 at least", "log more traces before judging"
        )
    error = float(np.sqrt(units / (units - 1) * np.square(sums).sum()))
    half = float(student.ppf((1 + level) / 2, units - 1)) * error
    return Estimate(value, value - half, value + half, error, effective, len(influence), units)


def _enough(weight: Floats) -> float:
    """Return the effective sample size, refusing one that no interval can be trusted on."""
    effective = kish(weight)
    if effective < LEAST_EFFECTIVE:
        raise BadInput(
            f"an effective sample size of {effective:.0f} of {len(weight):,} steps",
            f"{LEAST_EFFECTIVE:.0f} at least",
            "log more steps, or explore more where this policy differs from the one that logged",
        )
    return effective


def _known(outcome: Floats, logged: Logged) -> Floats:
    unknown = ~np.isfinite(outcome)
    refuse_steps(
        logged, unknown, "has no outcome", "outcomes of every step", "leave such steps out"
    )
    return outcome
