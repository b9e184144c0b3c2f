"""What each tier's outcome is expected to be, from logs: a table of roles, cross-fitted by unit.

The doubly robust estimator stays right whatever this table says; a good one makes it narrow. It is
kept plain on purpose: it must be there for any log, and must not need tuning.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.logged import Floats, Logged

FOLDS = 5
SHRINK = 20.0  # steps that a tier's mean is worth against its mean in one role
_SALT = "outcome model"  # fixed, so that nobody can shop for folds


def cross_fitted(
    logged: Logged, outcome: Floats, role: NDArray[Any], n_folds: int = FOLDS
) -> Floats:
    """Return the expected outcome of every tier, from steps of other units alone.

    The mean of a tier in a role, shrunk towards the tier's mean, and that towards the mean of all:
    (sum + `SHRINK` x prior) / (steps + `SHRINK`).

    Parameters
    ----------
    logged : Logged
    outcome : ndarray of shape (n_steps,)
        Of the tier served.
    role : ndarray of str, shape (n_steps,)
        Any key that was known before the call; empty where unknown.
    n_folds : int
        2 or more.

    Returns
    -------
    ndarray of shape (n_steps, n_tiers)
        0 where no other unit exists.
    """
    order = np.argsort(logged.step, kind="stable")  # sums do not depend on the order of the rows
    names, cell = np.unique(np.asarray(role, np.str_), return_inverse=True)
    served, values, fold = logged.served[order], outcome[order], unit_folds(logged.unit, n_folds)
    n_tiers, fold, cell = logged.propensities.shape[1], fold[order], cell[order]
    predicted = np.zeros((len(order), n_tiers))
    for one in range(n_folds):
        learn, held = fold != one, fold == one
        table = _table(cell[learn], served[learn], values[learn], (len(names), n_tiers))
        predicted[order[held]] = table[cell[held]]
    return predicted


def unit_folds(unit: NDArray[Any], n_folds: int) -> NDArray[np.int64]:
    """Deal units to folds by a hash of their names, shape (n_steps,)."""
    names, code = np.unique(np.asarray(unit, np.str_), return_inverse=True)
    hashed = [hashlib.sha256(f"{_SALT}/{name}".encode()).digest()[:8] for name in names]
    return np.array([int.from_bytes(one) % n_folds for one in hashed], np.int64)[code]


def _table(
    cell: NDArray[np.int64], served: NDArray[np.int64], values: Floats, shape: tuple[int, int]
) -> Floats:
    """Return shrunk means, shape (n_cells, n_tiers)."""
    n_cells, n_tiers = shape
    overall = float(values.mean()) if len(values) else 0.0
    tier_mean = _shrunk(served, values, n_tiers, np.full(n_tiers, overall))
    flat = _shrunk(cell * n_tiers + served, values, n_cells * n_tiers, np.tile(tier_mean, n_cells))
    return flat.reshape(shape)


def _shrunk(code: NDArray[np.int64], values: Floats, size: int, prior: Floats) -> Floats:
    sums, counts = np.bincount(code, values, size), np.bincount(code, minlength=size)
    return np.asarray((sums + SHRINK * prior) / (counts + SHRINK), np.float64)
