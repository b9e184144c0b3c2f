"""How much of what the members say is worth heeding: judged by routing, not by squared error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.router_model.rule import choose, fit_path
from tierwise.training.frontier import area

Floats = NDArray[np.float64]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
POINTS = 64
LEAST_STEPS = 50  # known for every tier; fewer say nothing about routing
DRAWS = 60  # of the bootstrap: enough for a standard error
TINY = 1e-12
CLEAR = 2.0  # standard errors from which a gain is no longer chance
ALIKE = 2e-4  # of mean quality: a smaller gain is none


def heeded_share(
    tables: Floats,
    said: Floats,
    quality: Floats,
    relative_cost: Floats,
    cost: Floats,
    unit: NDArray[np.str_],
    rng: np.random.Generator,
) -> float:
    """Return the share of the members' word that routing shows to be worth heeding.

    Squared error and routing part ways where a small true signal comes with noise that moves
    steps between tiers of very different cost. Each share is judged out of fold by the area under
    the hull of the swept path, from the cheapest tier's mean cost to the best tier's. Taken is the
    share whose gain over the tables, less one standard error, is greatest; where no gain exceeds
    its standard error, the tables stand alone (the one-standard-error rule of Breiman et al. 1984,
    "Classification and regression trees", section 3.4.3). But the area is blind to scale: where
    the tables say little, every share orders the steps alike. So the members are heeded whole, as
    squared error weighed them, where their gain is clear (over two standard errors) and within one
    of the greatest; and squared error chooses among shares that routing cannot tell apart.

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
    unit : ndarray of shape (n_steps,)
        Split units, which the bootstrap draws whole.
    rng : Generator
    """
    known = ~(np.isnan(quality) | np.isnan(cost)).any(axis=1)
    if known.sum() < LEAST_STEPS:
        return 1.0
    quality, cost = quality[known], cost[known]
    relative = relative_cost[known].astype(np.float32)
    weights = _draws(unit[known], rng)
    best = int(quality.mean(axis=0).argmax())
    span = (float(cost.mean(axis=0).min()), float(cost[:, best].mean()))
    areas, errors = [], []
    for share in SHARES:
        estimate = np.clip(tables[known] + share * said[known], 0.0, 1.0).astype(np.float32)
        path = fit_path(estimate, relative, best, POINTS)
        choice = choose(estimate, relative, best, path)
        areas.append(_areas(choice, quality, cost, weights, span))
        errors.append(float(np.square(quality - estimate).mean()))
    gain = (np.stack(areas) - areas[0]) / max(span[1] - span[0], TINY)
    return _share(gain[:, 0], gain[:, 1:].std(axis=1), np.array(errors))


def _share(gain: Floats, deviation: Floats, error: Floats) -> float:
    """Return the share to heed: gains over the tables, their deviations, squared errors."""
    best = int(np.argmax(gain))
    if gain[-1] > CLEAR * deviation[-1] and gain[-1] >= gain[best] - deviation[best]:
        return SHARES[-1]
    worth = gain - deviation
    alike = worth >= worth.max() - ALIKE
    return SHARES[int(np.argmin(np.where(alike, error, np.inf)))]


def _draws(unit: NDArray[np.str_], rng: np.random.Generator) -> Floats:
    """Return weights of the steps, shape (n_steps, 1 + DRAWS): all equal, then the bootstrap's."""
    names, place = np.unique(unit, return_inverse=True)
    drawn = rng.poisson(1.0, (len(names), DRAWS))[place]
    weights = np.concatenate([np.ones((len(place), 1)), drawn], axis=1)
    out: Floats = weights / weights.sum(axis=0)
    return out


def _areas(
    choice: NDArray[np.int64],
    quality: Floats,
    cost: Floats,
    weights: Floats,
    span: tuple[float, float],
) -> Floats:
    """Return the area under the hull of a swept path for each column of weights."""
    rows = np.arange(len(quality))
    costs = np.stack([cost[rows, tiers] for tiers in choice]) @ weights
    qualities = np.stack([quality[rows, tiers] for tiers in choice]) @ weights
    return np.array([area(c, q, *span) for c, q in zip(costs.T, qualities.T, strict=True)])
