"""Outcomes over tiers as a level and contrasts: what a step is worth, and what a tier adds to it.

Routing looks at the contrasts alone: what all tiers have in common moves no choice. Learning them
apart lets each have its own regularization.
"""

from __future__ import annotations

from itertools import pairwise

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
    pairs = sorted(pairwise(hull), key=lambda p: cost[p[0]] - cost[p[1]])
    for low, high in pairs[:MOST_CONTRASTS]:
        vectors.append(_orthogonal(np.eye(n_tiers)[high] - np.eye(n_tiers)[low], vectors))
    # Within what is left over: tiers that always agree leave directions of no variance at all, and
    # some of these would be the level again.
    left_over = np.linalg.svd(np.stack(vectors))[2][len(vectors) :]
    left = rest @ left_over.T
    _, axes = np.linalg.eigh(left.T @ left)
    wanted = min(n_tiers, MOST_CONTRASTS + 1) - len(vectors)
    for component in (axes[:, ::-1].T @ left_over)[: max(wanted, 0)]:
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
    components: Floats = rest @ basis if is_split(basis) else rest
    return components


def split_level(said: Floats, basis: Floats) -> tuple[Floats, Floats]:
    """Return what all tiers have in common and what tells them apart, each per tier.

    Parameters
    ----------
    said : ndarray of shape (n_steps, n_components)
    basis : ndarray of shape (n_tiers, n_components)
        Where it is the tiers themselves, there is no common part.
    """
    if not is_split(basis):
        return np.zeros((len(said), len(basis))), said
    level: Floats = said[:, :1] @ basis[:, :1].T
    contrasts: Floats = said[:, 1:] @ basis[:, 1:].T
    return level, contrasts


def heed(weights: Floats, basis: Floats, share: float) -> Floats:
    """Scale the weights of the contrasts, shape (n_members, n_components); the level stays."""
    factor = np.full(weights.shape[1], share)
    if is_split(basis):
        factor[0] = 1.0
    heeded: Floats = weights * factor
    return heeded
