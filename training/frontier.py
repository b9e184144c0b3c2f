"""Points (mean cost, mean quality) of a swept policy, their upper concave hull and its area.

Two policies can be mixed by a coin, so every point under the upper concave hull of what is
reachable is reachable too; that is why curves are compared by their hulls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Choice = NDArray[np.integer[Any]]


def curve(choice: Choice, quality: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """Return the mean cost and mean quality of each point of a swept policy.

    Parameters
    ----------
    choice : ndarray of int, shape (n_points, n_steps)
        The served tier.
    quality, cost : ndarray of shape (n_steps, n_tiers)
        True outcomes: quality 0..1, cost in USD; all known.

    Returns
    -------
    tuple of ndarray, each of shape (n_points,)
        Mean cost in USD a step, mean quality.
    """
    rows = np.arange(len(quality))
    costs = [float(cost[rows, tiers].mean()) for tiers in choice]
    qualities = [float(quality[rows, tiers].mean()) for tiers in choice]
    return np.array(costs), np.array(qualities)


def hull(cost: Floats, quality: Floats) -> tuple[Floats, Floats]:
    """Return the vertices of the upper concave hull of points, from cheapest to dearest.

    Andrew's monotone chain, upper half. Of points of equal cost only the best counts.
    """
    order = np.lexsort((-quality, cost))
    kept: list[int] = []
    for index in order:
        if kept and cost[index] == cost[kept[-1]]:
            continue
        while len(kept) >= 2 and not _turns_right(cost, quality, kept[-2], kept[-1], int(index)):
            kept.pop()
        kept.append(int(index))
    return cost[kept], quality[kept]


def _turns_right(cost: Floats, quality: Floats, first: int, middle: int, last: int) -> bool:
    """Return whether the middle point lies strictly above the line from the first to the last."""
    run, rise = cost[middle] - cost[first], quality[middle] - quality[first]
    far_run, far_rise = cost[last] - cost[first], quality[last] - quality[first]
    return bool(run * far_rise - rise * far_run < 0)


def reachable(cost: Floats, quality: Floats, at: Floats) -> Floats:
    """Return the best mean quality that mixing the points reaches within a mean cost of `at`.

    The hull's rising part, flat to the right of its best point: a budget need not be spent. To
    the left of the cheapest point it is flat too, at that point's quality; both sides' curves
    are treated alike, so that this favors nobody.
    """
    x, y = hull(cost, quality)
    return np.asarray(np.interp(at, x, np.maximum.accumulate(y)), dtype=np.float64)


def area(cost: Floats, quality: Floats, low: float, high: float) -> float:
    """Return the exact area under `reachable` between two mean costs (USD x quality)."""
    x, _ = hull(cost, quality)
    at = np.concatenate([[low], x[(x > low) & (x < high)], [high]])
    return float(np.trapezoid(reachable(cost, quality, at), at))
