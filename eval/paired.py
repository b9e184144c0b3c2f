"""Swept policies on one table, judged together: routing gain and cost saved, with paired draws.

Whole split units are drawn with replacement, the same draw for every policy. Every policy is
swept in the same way, by the rule's own path through its own estimates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.bootstrap import Interval, central, unit_codes
from tierwise.eval.metrics import Floats, hull, sweep
from tierwise.router_model.rule import fit_path, scores

Choices = Iterable[NDArray[np.integer[Any]]]

POINTS = 400  # of the swept path, half of them margins, half of them weights
RATIOS = (1.0, 0.98, 0.95)  # shares of the best tier's quality that `saved` keeps
MOST_BUCKETS = 4_000  # more split units are joined at random: as wide an interval, less work


@dataclass(frozen=True)
class Bench:
    """What every policy of a table is judged against; row 0 is the table, the others are draws.

    Attributes
    ----------
    quality, cost : ndarray of shape (n_steps, n_tiers)
        True outcomes: 0..1 and USD.
    bucket : ndarray of int, shape (n_steps,)
        What is drawn whole.
    weights : ndarray of shape (1 + draws, n_buckets)
        How often each bucket is drawn; 1 in row 0.
    low, high, base, room : ndarray of shape (1 + draws,)
        Mean costs between which curves are judged; area of mixing fixed tiers; what knowing every
        outcome adds to it, NaN where there is nothing to route.
    best_cost, best_quality : ndarray of shape (1 + draws,)
        Of the tier of best mean quality.
    """

    quality: Floats
    cost: Floats
    bucket: NDArray[np.int64]
    weights: Floats
    low: Floats
    high: Floats
    base: Floats
    room: Floats
    best_cost: Floats
    best_quality: Floats

    @property
    def best(self) -> int:
        """The tier of best mean quality on the table, the cheapest of equals."""
        return int(_best_tier(self.cost.mean(axis=0), self.quality.mean(axis=0)))


@dataclass(frozen=True)
class Figures:
    """One swept policy on a bench; row 0 is the table, the others are draws.

    Attributes
    ----------
    gain : ndarray of shape (1 + draws,)
        Routing gain.
    saved : ndarray of shape (len(RATIOS), 1 + draws)
        Share of the best tier's cost.
    points : tuple of ndarray, each of shape (n_points,)
        Mean cost and mean quality on the table.
    """

    gain: Floats
    saved: Floats
    points: tuple[Floats, Floats]


def make_bench(
    quality: Floats, cost: Floats, unit: NDArray[Any], draws: int, rng: np.random.Generator
) -> Bench:
    """Draw the units and judge the fixed tiers and the oracle.

    Parameters
    ----------
    quality, cost : ndarray of shape (n_steps, n_tiers)
    unit : ndarray of shape (n_steps,)
    draws : int
        0 for figures without intervals.
    rng : Generator
    """
    bucket = unit_codes(unit)
    n_units = int(bucket.max()) + 1
    if n_units > MOST_BUCKETS:
        bucket = (rng.permutation(n_units) % MOST_BUCKETS)[bucket]
        n_units = MOST_BUCKETS
    drawn = rng.multinomial(n_units, np.full(n_units, 1.0 / n_units), size=draws)
    weights = np.concatenate([np.ones((1, n_units)), drawn.astype(np.float64)])
    n_tiers = quality.shape[1]
    fixed = (np.full(len(quality), tier) for tier in range(n_tiers))
    tiers = _means(fixed, quality, cost, bucket, weights)
    oracle = _means(sweep(quality, cost), quality, cost, bucket, weights)
    best = [_best_tier(*points) for points in tiers]
    rows = np.arange(len(weights))
    low, high = tiers[:, 0].min(axis=1), tiers[rows, 0, best]
    base, ideal = (
        np.array([_area(*_rising(*p), a, b) for p, a, b in zip(curves, low, high, strict=True)])
        for curves in (tiers, oracle)
    )
    empty = (high <= low) | (ideal - base <= 1e-12 * base)
    room = np.where(empty, np.nan, ideal - base)
    return Bench(
        quality, cost, bucket, weights, low, high, base, room, high, tiers[rows, 1, best]
    )  # fmt: skip


def judge(bench: Bench, choices: Choices) -> Figures:
    """Judge a swept policy.

    Parameters
    ----------
    bench : Bench
    choices : iterable of ndarray of int, shape (n_steps,)
        The served tiers at each point.
    """
    curves = _means(choices, bench.quality, bench.cost, bench.bucket, bench.weights)
    gain, saved = np.empty(len(curves)), np.empty((len(RATIOS), len(curves)))
    for row, (cost, quality) in enumerate(curves):
        x, y = _rising(cost, quality)
        area = _area(x, y, bench.low[row], bench.high[row])
        gain[row] = (area - bench.base[row]) / bench.room[row]
        for i, ratio in enumerate(RATIOS):
            needed = ratio * bench.best_quality[row]
            kept = y[-1] >= needed and bench.best_cost[row] > 0
            at = np.interp(needed, y, x) if kept else np.inf
            saved[i, row] = max(0.0, 1.0 - at / bench.best_cost[row]) if kept else 0.0
    return Figures(gain, saved, (curves[0, 0], curves[0, 1]))


def swept(quality_hat: Floats, cost_hat: Floats, reference: int) -> Iterator[NDArray[np.int64]]:
    """Yield the tiers that the rule serves at each point of a path through these estimates.

    Parameters
    ----------
    quality_hat, cost_hat : ndarray of shape (n_steps, n_tiers)
        Estimates; cost in USD.
    reference : int
        The reference tier.
    """
    quality = quality_hat.astype(np.float32)
    mean = float(cost_hat[:, reference].mean())
    relative = (cost_hat / mean if mean > 0 else cost_hat).astype(np.float32)
    path = fit_path(quality, relative, reference, POINTS)
    for margin, weight in zip(path.margin, path.weight, strict=True):
        yield scores(quality, relative, reference, float(margin), float(weight)).argmax(axis=1)


def by_threshold(score: Floats, cheap: int, best: int) -> Iterator[NDArray[np.int64]]:
    """Yield choices between two tiers: the best one where a difficulty reaches a threshold.

    Parameters
    ----------
    score : ndarray of shape (n_steps,)
        Higher is harder; any scale.
    cheap, best : int
        Tiers.
    """
    bounds = np.unique(np.quantile(score, np.linspace(0, 1, POINTS)))
    for bound in [*bounds, np.inf]:
        yield np.where(score >= bound, best, cheap)


def interval(seeds: list[Floats]) -> Interval:
    """Return the mean over fold seeds with its 95 % interval.

    The seeds share their draws of units, so that averaging takes out the noise of the folds and
    leaves that of the data.

    Parameters
    ----------
    seeds : list of ndarray of shape (1 + draws,)
        Row 0 is the table.
    """
    mean = np.mean(seeds, axis=0)
    return central(float(mean[0]), mean[1:])


def _means(
    choices: Choices, quality: Floats, cost: Floats, bucket: NDArray[np.int64], weights: Floats
) -> Floats:
    """Return mean cost and mean quality, shape (1 + draws, 2, n_points)."""
    n_buckets = weights.shape[1]
    rows, sums = np.arange(len(quality)), []
    for tiers in choices:  # a point at a time: sums of buckets are small, choices of steps are not
        for of in (cost, quality):
            sums.append(np.bincount(bucket, of[rows, tiers], n_buckets))
    size = np.bincount(bucket, minlength=n_buckets).astype(np.float64)
    totals = weights @ np.stack(sums, axis=1)
    means = totals / (weights @ size)[:, None]
    return means.reshape(len(weights), -1, 2).transpose(0, 2, 1)


def _rising(cost: Floats, quality: Floats) -> tuple[Floats, Floats]:
    """Return the rising part of the upper concave hull."""
    order = np.lexsort((-quality, cost))
    y = quality[order]
    above = np.concatenate([[True], y[1:] > np.maximum.accumulate(y)[:-1]])
    return hull(cost[order][above], y[above])


def _area(x: Floats, y: Floats, low: float, high: float) -> float:
    """Return the area under a rising hull, flat on both sides of it."""
    at = np.concatenate([[low], x[(x > low) & (x < high)], [high]])
    return float(np.trapezoid(np.interp(at, x, y), at))


def _best_tier(tier_cost: Floats, tier_quality: Floats) -> int:
    best = tier_quality >= tier_quality.max()
    return int(np.where(best, tier_cost, np.inf).argmin())
