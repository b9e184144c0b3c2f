"""How much of what the members say is worth heeding: judged by routing, not by squared error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.router_model.rule import choose, fit_path
from tierwise.training.frontier import area, curve

Floats = NDArray[np.float64]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
POINTS = 64
LEAST_STEPS = 50  # known for every tier; fewer say nothing about routing


def heeded_share(
    tables: Floats, said: Floats, quality: Floats, relative_cost: Floats, cost: Floats
) -> float:
    """Return the share of the members' word under which routing does best out of fold.

    Squared error and routing part ways where a small true signal comes with noise that moves
    steps between tiers of very different cost. Each share is judged by the area under the hull of
    the swept path, from the cheapest tier's mean cost to the best tier's; of equals the smaller
    share is taken, so that the tables stand alone where nothing is gained over them.

    Parameters
    ----------
    tables : ndarray of shape (n_steps, n_tiers)
        The tables' out-of-fold estimates of quality.
    said : ndarray of shape (n_steps, n_tiers)
        What the members would add, out of fold.
    quality, cost : ndarray of shape (n_steps, n_tiers)
        Outcomes; NaN is unknown.
    relative_cost : ndarray of shape (n_steps, n_tiers)
        Expected total cost over the reference's mean.
    """
    known = ~(np.isnan(quality) | np.isnan(cost)).any(axis=1)
    if known.sum() < LEAST_STEPS:
        return 1.0
    quality, cost = quality[known], cost[known]
    relative = relative_cost[known].astype(np.float32)
    best = int(quality.mean(axis=0).argmax())
    low, high = float(cost.mean(axis=0).min()), float(cost[:, best].mean())
    areas = []
    for share in SHARES:
        estimate = np.clip(tables[known] + share * said[known], 0.0, 1.0).astype(np.float32)
        path = fit_path(estimate, relative, best, POINTS)
        points = curve(choose(estimate, relative, best, path), quality, cost)
        areas.append(area(*points, low, high))
    return SHARES[int(np.argmax(areas))]
