"""The rule: which tier is served, for every point of the path from safest to cheapest.

    serve argmax over allowed tiers of
        quality + margin * [tier is the reference] - weight * total cost / mean reference cost

(margin, weight) is a point on one fixed path. It starts at "reference always", lowers the margin
to 0 and then raises the weight of cost. A step that the guard holds back is served the reference at
every point. The graph computes the same in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALWAYS = 1e9  # a margin no quality in 0..1 can overcome


@dataclass(frozen=True)
class Path:
    """Points from "reference always" (index 0) to cheapest.

    Attributes
    ----------
    margin : ndarray of shape (n_points,)
        Added to the reference tier's quality; falls from `ALWAYS` to 0.
    weight : ndarray of shape (n_points,)
        The price of one mean reference cost in units of quality (lambda); rises from 0.
    """

    margin: NDArray[np.float32]
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.margin)


def scores(
    quality: NDArray[np.float32],
    relative_cost: NDArray[np.float32],
    reference: int,
    margin: float,
    weight: float,
) -> NDArray[np.float32]:
    """Return the rule's score of each tier, in float32 and in the graph's order of operations.

    Parameters
    ----------
    quality, relative_cost : ndarray of shape (n_steps, n_tiers)
        Expected quality 0..1; expected total cost over the reference's mean cost.
    reference : int
        The reference tier.
    margin, weight : float
        One point of the path.
    """
    bonus = np.zeros(quality.shape[1], np.float32)
    bonus[reference] = margin
    return (quality - np.float32(weight) * relative_cost) + bonus


def choose(
    quality: NDArray[np.float32], relative_cost: NDArray[np.float32], reference: int, path: Path
) -> NDArray[np.int64]:
    """Return the served tier at every point, shape (n_points, n_steps).

    Tiers are in order of cost, so that `argmax`, which takes the first of equals, breaks ties
    towards the cheaper tier.
    """
    return np.stack(
        [
            scores(quality, relative_cost, reference, m, w).argmax(axis=1)
            for m, w in zip(path.margin, path.weight, strict=True)
        ]
    )


def unlike(ood: NDArray[np.float32], guard: float) -> NDArray[np.bool_]:
    """Return which steps the guard holds back: score above the threshold, in float32.

    Parameters
    ----------
    ood : ndarray of shape (n_steps,)
        Out-of-distribution score of each step, 0..1, as the graph gives it.
    guard : float
        1.0 holds no step back.
    """
    return np.asarray(ood > np.float32(guard), np.bool_)


def guarded(
    tiers: NDArray[np.int64], ood: NDArray[np.float32], guard: float, reference: int
) -> NDArray[np.int64]:
    """Return what `choose` chose with the reference on the steps that the guard holds back.

    Parameters
    ----------
    tiers : ndarray of shape (n_points, n_steps)
    ood, guard
        As in `unlike`.
    reference : int
    """
    return np.where(unlike(ood, guard), reference, tiers)


def fit_path(
    quality: NDArray[np.float32],
    relative_cost: NDArray[np.float32],
    reference: int,
    n_points: int = 48,
) -> Path:
    """Lay the path through the estimates of steps that are not used for certification.

    Thresholds lie midway between neighboring observed values, at even quantiles of the steps
    that change their tier there.

    Parameters
    ----------
    quality, relative_cost : ndarray of shape (n_steps, n_tiers)
        Out-of-fold estimates on the learn part.
    reference : int
        The reference tier.
    n_points : int
        About half of them lower the margin, the others raise the weight.
    """
    half = n_points // 2
    lead = quality.max(axis=1) - quality[:, reference]
    margins = _midways(lead[lead > 0], half - 1)[::-1]
    switches = _last_weights(quality, relative_cost)
    weights = _midways(switches, n_points - half - 1)
    margin = np.concatenate([[ALWAYS], margins, np.zeros(len(weights) + 2)])
    top = 2.0 * float(switches.max(initial=0.0)) + 1.0
    weight = np.concatenate([np.zeros(len(margins) + 2), weights, [top]])
    return Path(margin.astype(np.float32), weight.astype(np.float32))


def _midways(values: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Return up to `count` values midway between neighbors, evenly spaced in rank, ascending."""
    distinct = np.unique(values.astype(np.float64))
    if len(distinct) < 2 or count < 1:
        return np.zeros(0)
    middles = (distinct[1:] + distinct[:-1]) / 2
    ranks = np.quantile(values, np.linspace(0, 1, count + 2)[1:-1])
    picks = np.clip(np.searchsorted(middles, ranks), 0, len(middles) - 1)
    return np.unique(middles[picks])


def _last_weights(
    quality: NDArray[np.float32], relative_cost: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the weights at which steps leave a dearer tier for a cheaper one, all tiers pooled."""
    n_steps, n_tiers = quality.shape
    rows = np.arange(n_steps)
    current = quality.argmax(axis=1)
    switches = []
    for _ in range(n_tiers - 1):
        gap = quality[rows, current][:, None] - quality
        saved = relative_cost[rows, current][:, None] - relative_cost
        at = np.where(saved > 1e-9, gap / np.maximum(saved, 1e-9), np.inf)
        nearest = at.argmin(axis=1)
        moved = np.isfinite(at[rows, nearest])
        if not moved.any():
            break
        switches.append(at[rows, nearest][moved])
        current = np.where(moved, nearest, current)
    return np.concatenate(switches).astype(np.float32) if switches else np.zeros(0, np.float32)
