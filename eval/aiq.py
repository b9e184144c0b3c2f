"""RouterBench's AIQ: average quality over all budgets between the cheapest and the dearest tier.

Hu et al. 2024, "RouterBench: A Benchmark for Multi-LLM Routing System", arXiv 2403.12031,
section 3: AIQ = 1 / (c_max - c_min) x the integral of the router's non-decreasing convex hull of
(cost, quality) from c_min to c_max.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.metrics import area

Floats = NDArray[np.float64]


def aiq(points: tuple[Floats, Floats], cost: Floats) -> float:
    """Return the AIQ of a swept policy, in units of quality.

    The hull is flat to the right of its best point and to the left of its cheapest one, for every
    policy alike. The bounds are those of the tiers, so that all policies share them.

    Parameters
    ----------
    points : tuple of ndarray, each of shape (n_points,)
        Mean cost in USD and mean quality.
    cost : ndarray of shape (n_steps, n_tiers)
        True cost of every tier in USD.

    Returns
    -------
    float
        NaN where all tiers cost the same.
    """
    mean = cost.mean(axis=0)
    low, high = float(mean.min()), float(mean.max())
    return area(*points, low, high) / (high - low) if high > low else float("nan")
