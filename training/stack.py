"""Stacking: how far each member's word is taken, and how sure the table is on its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Floats = NDArray[np.float64]

PRIOR_STEPS = 60.0  # what "no member knows better than the table" is worth, in steps


def fit_weights(members: list[Floats], target: Floats, prior: float = PRIOR_STEPS) -> Floats:
    """Weigh members by nonnegative least squares, shrunk towards 0, that is towards the table.

    Stacked regressions: Breiman 1996, with its nonnegative weights; the shrinkage adds `prior`
    steps on which every member is wrong by as much as it usually says.

    Parameters
    ----------
    members : list of ndarray of shape (n_steps, n_columns)
        Out-of-fold predictions.
    target : ndarray of shape (n_steps, n_columns)
        NaN is unknown.
    prior : float
        Steps.

    Returns
    -------
    ndarray of shape (n_members,)
    """
    known = ~np.isnan(target)
    if not members or not known.any():
        return np.zeros(len(members))
    design = np.stack([member[known] for member in members], axis=1)
    spread = (design**2).mean(axis=0)
    penalty = np.diag(np.sqrt(prior * spread * target.shape[1]))
    goal = np.concatenate([target[known], np.zeros(len(members))])
    weights, _ = nnls(np.concatenate([design, penalty]), goal)
    return np.asarray(weights, np.float64)


def squared_error(prediction: Floats, target: Floats) -> float:
    """Return the mean squared error over known outcomes."""
    return float(np.nanmean((prediction - target) ** 2))
