"""Numbers that judge a routing policy: its curve, the hull, the routing gain, the cost it saves.

All of it is about points (mean cost, mean quality). Two policies can be mixed by a coin, so every
point under the upper concave hull of what is reachable is reachable too; that is why curves are
compared by their hulls. docs/metrics.md has the exact definitions and the figures they reproduce.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.training.frontier import area, curve, hull, reachable

__all__ = [
    "area",
    "constants",
    "curve",
    "hull",
    "oracle_points",
    "reachable",
    "routing_gain",
    "routing_gain_of",
    "saved_at",
    "sweep",
    "switching_weights",
]

Floats = NDArray[np.float64]


def constants(quality: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """Return mean cost and mean quality of serving one tier always, each of shape (n_tiers,)."""
    return cost.mean(axis=0), quality.mean(axis=0)


def switching_weights(quality_hat: Floats, cost_hat: Floats) -> Floats:
    """Return every weight at which some step leaves one tier for a cheaper one, ascending.

    The switches of a step are the slopes of the upper concave hull of its own points
    (cost, quality), right of the origin of the sweep: exactly where argmax(q - weight x c) moves.
    Shape (n_switches,), in quality per USD.
    """
    rows = np.arange(len(quality_hat))
    current = _first_best(quality_hat, cost_hat)
    switches: list[Floats] = []
    for _ in range(quality_hat.shape[1] - 1):
        saved = cost_hat[rows, current][:, None] - cost_hat
        lost = quality_hat[rows, current][:, None] - quality_hat
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(saved > 0, lost / saved, np.inf)
        nearest = slope.min(axis=1)
        moves = np.isfinite(nearest)
        if not moves.any():
            break
        switches.append(nearest[moves])
        # Of tiers that are reached at the same weight the sweep goes on from the cheapest.
        reached = np.where(slope <= nearest[:, None], cost_hat, np.inf).argmin(axis=1)
        current = np.where(moves, reached, current)
    return np.sort(np.concatenate(switches)) if switches else np.zeros(0)


def _first_best(quality_hat: Floats, cost_hat: Floats) -> NDArray[np.int64]:
    """Return the tier of best quality, the cheapest of equals, shape (n_steps,)."""
    best = quality_hat >= quality_hat.max(axis=1, keepdims=True)
    return np.asarray(np.where(best, cost_hat, np.inf).argmin(axis=1), dtype=np.int64)


def sweep(quality_hat: Floats, cost_hat: Floats, count: int = 200) -> NDArray[np.int8]:
    """Return the tiers that argmax(quality - weight x cost) serves, over all useful weights.

    Parameters
    ----------
    quality_hat, cost_hat : ndarray of shape (n_steps, n_tiers)
        Estimates; cost in USD.
    count : int
        Weights at most: midway between neighboring switching points, at even quantiles of them.

    Returns
    -------
    ndarray of int8, shape (n_points, n_steps)
        From best quality (weight 0) to cheapest.
    """
    switches = switching_weights(quality_hat, cost_hat)
    distinct = np.unique(switches)
    if len(distinct) == 0:
        return _first_best(quality_hat, cost_hat)[None, :].astype(np.int8)
    bounds = np.concatenate([[0.0], distinct, [2.0 * distinct[-1] + 1.0]])
    weights = (bounds[:-1] + bounds[1:]) / 2
    if len(weights) > count:
        ranks = np.quantile(switches, np.linspace(0, 1, count))
        picked = np.searchsorted(distinct, ranks)
        picks = np.unique(np.concatenate([[0], picked, [len(weights) - 1]]))
        weights = weights[picks]
    choices = [(quality_hat - weight * cost_hat).argmax(axis=1) for weight in weights[1:]]
    return np.stack([_first_best(quality_hat, cost_hat), *choices]).astype(np.int8)


def oracle_points(quality: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """Return the curve of a router that knows every outcome of every step before it chooses."""
    return curve(sweep(quality, cost), quality, cost)


def routing_gain(
    cost_points: Floats, quality_points: Floats, quality: Floats, cost: Floats
) -> float:
    """Return where a curve lies between mixing fixed tiers (0) and knowing every outcome (1).

    (AUC - AUC_const) / (AUC_oracle - AUC_const), each AUC under the upper concave hull, between
    the mean cost of the cheapest tier and that of the tier of best mean quality. Below 0: mixing
    fixed tiers by a coin is better. No router reaches 1 where outcomes are noisy.

    Parameters
    ----------
    cost_points, quality_points : ndarray of shape (n_points,)
        The swept policy, from `curve` on the same steps.
    quality, cost : ndarray of shape (n_steps, n_tiers)
        True outcomes.

    Returns
    -------
    float
        NaN where the cheapest tier is the best one too, or where knowing the outcomes gains
        nothing: there is nothing to route.
    """
    points = (cost_points, quality_points)
    return routing_gain_of(points, oracle_points(quality, cost), constants(quality, cost))


def routing_gain_of(
    points: tuple[Floats, Floats], oracle: tuple[Floats, Floats], fixed: tuple[Floats, Floats]
) -> float:
    """Return `routing_gain` from the points of the policy, the oracle and the fixed tiers."""
    best = _best_tier(*fixed)
    low, high = float(fixed[0].min()), float(fixed[0][best])
    base = area(*fixed, low, high)
    room = area(*oracle, low, high) - base
    if high <= low or room <= 1e-12 * base:
        return float("nan")
    return (area(*points, low, high) - base) / room


def _best_tier(tier_cost: Floats, tier_quality: Floats) -> int:
    """Return the tier of best mean quality, the cheapest of equals."""
    best = tier_quality >= tier_quality.max()
    return int(np.where(best, tier_cost, np.inf).argmin())


def saved_at(points: tuple[Floats, Floats], quality: Floats, cost: Floats, ratio: float) -> float:
    """Return the share of the best tier's cost that a curve saves while it keeps its quality.

    Parameters
    ----------
    points : tuple of ndarray
        Mean cost and mean quality of the swept policy, each of shape (n_points,).
    quality, cost : ndarray of shape (n_steps, n_tiers)
        True outcomes of the same steps.
    ratio : float
        The share of the best single tier's mean quality to keep, for example .98.

    Returns
    -------
    float
        1 - cost of the cheapest point of the curve's hull of at least that quality / cost of the
        best tier; 0 where the curve never gets there (one then serves the best tier).
    """
    tier_cost, tier_quality = constants(quality, cost)
    best = _best_tier(tier_cost, tier_quality)
    needed = ratio * tier_quality[best]
    x, y = hull(*points)
    if y.max() < needed or tier_cost[best] <= 0:
        return 0.0
    top = int(y.argmax())
    at = float(np.interp(needed, y[: top + 1], x[: top + 1]))
    return max(0.0, 1.0 - at / float(tier_cost[best]))
