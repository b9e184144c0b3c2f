"""Paired bootstrap over split units: whole units are drawn, so that their steps stay together.

Every compared policy is judged on the same draw, which removes the noise they share. Percentile
intervals (Efron and Tibshirani 1993, chapter 13); with fewer than about 30 units they are too
narrow, which the report says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.metrics import Floats, routing_gain_of

CHUNK = 128  # draws at a time: weights of 12,000 units are 12 MB


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its central interval."""

    value: float
    low: float
    high: float


def unit_sums(unit: NDArray[np.int64], columns: Floats) -> Floats:
    """Return the sums of columns (n_steps, n_columns) in each unit, shape (n_units, n_columns).

    `unit` holds codes 0 to n_units - 1, shape (n_steps,).
    """
    sums = np.zeros((int(unit.max()) + 1, columns.shape[1]))
    np.add.at(sums, unit, columns)
    return sums


def unit_codes(unit: NDArray[Any]) -> NDArray[np.int64]:
    """Return units as codes 0 to n_units - 1, shape (n_steps,)."""
    return cast(NDArray[np.int64], np.unique(unit, return_inverse=True)[1].astype(np.int64))


def resampled(sums: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Return totals over n_units units drawn with replacement, shape (draws, n_columns)."""
    n_units = len(sums)
    totals = np.empty((draws, sums.shape[1]))
    even = np.full(n_units, 1.0 / n_units)
    for start in range(0, draws, CHUNK):
        count = min(CHUNK, draws - start)
        weights = rng.multinomial(n_units, even, size=count).astype(np.float64)
        totals[start : start + count] = weights @ sums
    return totals


def central(value: float, drawn: Floats, level: float = 0.95) -> Interval:
    """Return the central interval of drawn values; NaN ends where no draw has a value."""
    known = drawn[np.isfinite(drawn)]
    if len(known) == 0:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def ratio(
    above: Floats,
    below: Floats,
    unit: NDArray[np.int64],
    draws: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Interval:
    """Return sum(above) / sum(below) over steps with its interval.

    Parameters
    ----------
    above, below : ndarray of shape (n_steps,)
        For example the policy's quality and the reference's on the same steps.
    unit : ndarray of int, shape (n_steps,)
        Codes from `unit_codes`.
    draws : int
        Bootstrap draws.
    rng : numpy.random.Generator
        Where the draws come from.
    level : float
        Share of draws inside the interval.
    """
    sums = unit_sums(unit, np.stack([above, below], axis=1))
    drawn = resampled(sums, draws, rng)
    total = sums.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return central(float(total[0] / total[1]), drawn[:, 0] / drawn[:, 1], level)


def mean_difference(
    first: Floats,
    second: Floats,
    unit: NDArray[np.int64],
    draws: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Interval:
    """Return the mean of first - second a step with its interval; arguments as in `ratio`."""
    return ratio(first - second, np.ones(len(first)), unit, draws, rng, level)


def gain_difference(
    first: NDArray[np.integer[Any]],
    second: NDArray[np.integer[Any]],
    oracle: NDArray[np.integer[Any]],
    quality: Floats,
    cost: Floats,
    unit: NDArray[np.int64],
    draws: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> Interval:
    """Return the difference in routing gain of two swept policies with its interval.

    Parameters
    ----------
    first, second, oracle : ndarray of int, shape (n_points, n_steps)
        Swept choices; the oracle's are `metrics.sweep(quality, cost)`.
    quality, cost : ndarray of shape (n_steps, n_tiers)
        True outcomes.
    unit, draws, rng, level
        As in `ratio`.
    """
    n_steps, n_tiers = quality.shape
    fixed = np.tile(np.arange(n_tiers)[:, None], (1, n_steps))
    policies = [np.asarray(policy, np.int64) for policy in (first, second, oracle, fixed)]
    rows, parts = np.arange(n_steps), []
    for policy in policies:  # a point at a time: sums of units are small, choices of steps are not
        for tiers in policy:
            both = np.stack([cost[rows, tiers], quality[rows, tiers]], axis=1)
            parts.append(unit_sums(unit, both))
    size = np.bincount(unit).astype(np.float64)[:, None]
    sums = np.concatenate([*parts, size], axis=1)
    bounds = np.cumsum([len(policy) for policy in policies])[:-1]

    def difference(total: Floats) -> float:
        means = (total[:-1] / total[-1]).reshape(-1, 2)
        one, two, known, tiers = np.split(means, bounds)
        gains = [
            routing_gain_of(
                (p[:, 0], p[:, 1]), (known[:, 0], known[:, 1]), (tiers[:, 0], tiers[:, 1])
            )
            for p in (one, two)
        ]
        return gains[0] - gains[1]

    drawn = np.array([difference(total) for total in resampled(sums, draws, rng)])
    return central(difference(sums.sum(axis=0)), drawn, level)
