"""Outcomes over tiers as a level and contrasts: what a step is worth, and what a tier adds to it.

Routing looks at the contrasts alone: what all tiers have in common moves no choice. Learning them
apart lets each have its own regularization.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_CONTRASTS = 5
LEAST_COMPLETE = 0.3  # share of steps known for every tier, below which contrasts are too few


def fit_basis(rest: Floats, quality: Floats, cost: Floats) -> Floats:
    """Return an orthonormal basis of shape (n_tiers, n_components); the first is the level.

    Between two neighbors on the hull of the constant policies, what routing can gain is in
    proportion to the cost between them, so their contrasts come first, the widest gap foremost.
    The rest are principal components of what is left, so that many tiers share what they have in
    common. Contrasts are learned from the steps that are known for every tier; where those are few
    (logs of one tier a step), the basis is the tiers themselves.

    Parameters
    ----------
    rest : ndarray of shape (n_steps, n_tiers)
        Outcomes less the tables' estimate; NaN is unknown.
    quality, cost : ndarray of shape (n_tiers,)
        Means of the tiers.
    """
    n_tiers = rest.shape[1]
    complete = ~np.isnan(rest).any(axis=1)
    if complete.mean() < LEAST_COMPLETE:
        return np.eye(n_tiers)
    rest = rest[complete]
    vectors = [np.full(n_tiers, 1 / np.sqrt(n_tiers))]
    hull = upper_hull(cost, quality)
    pairs = sorted(zip(hull[:-1], hull[1:], strict=True), key=lambda p: cost[p[0]] - cost[p[1]])
    for low, high in pairs[:MOST_CONTRASTS]:
        vectors.append(_orthogonal(np.eye(n_tiers)[high] - np.eye(n_tiers)[low], vectors))
    known = np.stack(vectors)
    left = rest - (rest @ known.T) @ known
    _, components = np.linalg.eigh(left.T @ left)
    wanted = min(n_tiers, MOST_CONTRASTS + 1) - len(vectors)
    for component in components[:, ::-1].T[: max(wanted, 0)]:
        sign = -1.0 if component[np.abs(component).argmax()] < 0 else 1.0
        vectors.append(_orthogonal(sign * component, vectors))
    return np.stack(vectors, axis=1)


def upper_hull(cost: Floats, quality: Floats) -> list[int]:
    """Return the tiers on the upper concave hull, from the cheapest to the one of best quality."""
    order = sorted(range(len(cost)), key=lambda k: (cost[k], -quality[k]))
    hull: list[int] = []
    for k in order:
        if hull and quality[k] <= quality[hull[-1]]:
            continue
        while len(hull) >= 2 and _slope(hull[-2], hull[-1], cost, quality) <= _slope(
            hull[-1], k, cost, quality
        ):
            hull.pop()
        hull.append(k)
    return hull


def _slope(low: int, high: int, cost: Floats, quality: Floats) -> float:
    return float((quality[high] - quality[low]) / max(cost[high] - cost[low], 1e-15))


def _orthogonal(vector: Floats, others: list[Floats]) -> Floats:
    for other in others:
        vector = vector - (vector @ other) * other
    out: Floats = vector / np.linalg.norm(vector)
    return out


def is_split(basis: Floats) -> bool:
    """Tell whether the basis has a level and contrasts, not the tiers themselves."""
    return bool(basis.shape[1] != basis.shape[0] or not np.array_equal(basis, np.eye(len(basis))))


def component_groups(basis: Floats) -> list[NDArray[np.int64]]:
    """Return the columns that share a strength and weights: each its own, or all the tiers."""
    every = np.arange(basis.shape[1])
    return list(every[:, None]) if is_split(basis) else [every]


def to_components(rest: Floats, basis: Floats) -> Floats:
    """Return residual outcomes in the basis, shape (n_steps, n_components); NaN stays NaN."""
    return rest @ basis if is_split(basis) else rest
