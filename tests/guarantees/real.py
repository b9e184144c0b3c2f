"""Does certification keep its promise on rows of a real outcome table?

The rows are taken as the whole population, so that the truth of every point is known; each sample
draws certification units from them with replacement and certifies as the pipeline does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from worlds import gap

from tierwise.router_model.rule import Path, choose
from tierwise.training.certificate import Floor, certified_point


class Sampled(NamedTuple):
    """Share of samples whose certified point breaks the floor; mean saving over that of the
    cheapest point that truly keeps it (NaN if that saves nothing); the latter as a share."""

    violated: float
    kept: float
    knowing: float


def sampled_violations(
    quality_est: NDArray[np.float32],
    rel_cost_est: NDArray[np.float32],
    reference: int,
    path: Path,
    quality_true: NDArray[np.float64],
    unit: NDArray[np.str_],
    floor: Floor,
    delta: float,
    *,
    rng: np.random.Generator,
    n_units: int = 1_500,
    n_samples: int = 500,
    cost_true: NDArray[np.float64] | None = None,
) -> Sampled:
    """Certify many samples of a known population.

    Parameters
    ----------
    quality_est, rel_cost_est : ndarray of shape (n_steps, n_tiers)
        Estimates of a model fitted on other rows.
    reference : int
        The reference tier.
    path : Path
        Laid on other rows.
    quality_true : ndarray of shape (n_steps, n_tiers)
        Outcomes 0..1; no NaN, else the truth is not known.
    unit : ndarray of shape (n_steps,)
        Split unit of each step.
    floor, delta
        What is certified.
    rng : numpy.random.Generator
        Draws the samples.
    n_units, n_samples : int
        Units a sample, and samples.
    cost_true : ndarray of shape (n_steps, n_tiers), optional
        What the saving is counted in; by default the estimated cost.
    """
    cost = np.asarray(rel_cost_est if cost_true is None else cost_true, np.float64)
    tier = choose(quality_est, rel_cost_est, reference, path)
    _, place = np.unique(unit, return_inverse=True)
    rows = np.argsort(place, kind="stable")
    size = np.bincount(place)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    served = quality_true[rows, tier[:, rows]]
    best = quality_true[rows, reference]
    same = tier[:, rows] == reference
    truth = gap(floor.kind, floor.level, served, best)
    saving = 1 - cost[rows, tier[:, rows]].mean(axis=1) / cost[:, reference].mean()
    knowing = float(saving[truth >= 0].max(initial=0.0))

    violated, saved = 0, 0.0
    for _ in range(n_samples):
        drawn = rng.integers(0, len(size), n_units)
        within = np.arange(size[drawn].sum()) - np.repeat(
            np.cumsum(size[drawn]) - size[drawn], size[drawn]
        )
        at = np.repeat(start[drawn], size[drawn]) + within
        ids = np.repeat(np.arange(n_units), size[drawn]).astype(np.str_)
        point = certified_point(served[:, at], best[at], same[:, at], ids, floor, delta)
        violated += point >= 0 and bool(truth[point] < 0)
        saved += min(saving[point], knowing) if point >= 0 else 0.0
    kept = float(saved) / n_samples / knowing if knowing > 0 else float("nan")
    return Sampled(violated / n_samples, kept, knowing)
