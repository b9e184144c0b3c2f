"""What a call costs and takes: tables, plus what longer input adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from tierwise.training.tables import Tables, fit_tables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRIOR = 10.0  # steps that the tier's mean is worth against a category's own
LEAST_SHARE = 0.05  # no call is estimated below this share of its tier's mean cost


@dataclass(frozen=True)
class CostModel:
    """Expected cost of a call: tables + slope . (text bytes, context tokens), at least `least`.

    Attributes
    ----------
    tables : Tables
        USD.
    slope : ndarray of shape (2, n_tiers)
        USD per byte and per token, never negative: longer input is never cheaper.
    least : ndarray of shape (n_tiers,)
        USD.
    """

    tables: Tables
    slope: Floats
    least: Floats

    def predict(self, task: Ints, role: Ints, lengths: Floats) -> Floats:
        """Return USD a call, shape (n_steps, n_tiers); `lengths` as for `fit_cost`."""
        return np.maximum(self.tables.predict(task, role) + lengths @ self.slope, self.least)


def fit_cost(
    cost: Floats, task: Ints, role: Ints, sizes: tuple[int, int], lengths: Floats
) -> CostModel:
    """Fit cost per tier.

    A provider bills input by the token, so cost is linear in the length of what is sent; slopes
    come from the variation within task and role, intercepts from the tables.

    Parameters
    ----------
    cost : ndarray of shape (n_steps, n_tiers)
        USD; NaN is unknown. A tier of which no cost is known is taken for as dear as the dearest
        that is known: unknown is not free.
    task, role : ndarray of shape (n_steps,)
        Row numbers of the tables.
    sizes : tuple of int
        Numbers of tasks and roles.
    lengths : ndarray of shape (n_steps, 2)
        Bytes of text and tokens of context; unknown ones already stand at their mean.
    """
    n_tasks, n_roles = sizes
    of_length = fit_tables(lengths, task, role, n_tasks, n_roles, PRIOR)
    of_cost = fit_tables(cost, task, role, n_tasks, n_roles, PRIOR)
    slope = _slopes(lengths - of_length.predict(task, role), cost - of_cost.predict(task, role))
    tables = fit_tables(cost - lengths @ slope, task, role, n_tasks, n_roles, PRIOR)
    known = ~np.isnan(cost)
    mean = np.where(known, cost, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    like = np.where(known.any(axis=0), np.arange(cost.shape[1]), int(mean.argmax()))
    tables = Tables(tables.task[:, like], tables.role[:, like])
    return CostModel(tables, slope[:, like], LEAST_SHARE * mean[like])


def _slopes(lengths: Floats, cost: Floats) -> Floats:
    slope = np.zeros((2, cost.shape[1]))
    scale = np.sqrt((lengths**2).mean(axis=0))
    used = scale > 0
    if not used.any():
        return slope
    for k in range(cost.shape[1]):
        known = ~np.isnan(cost[:, k])
        if known.sum() > 10:
            unit = np.abs(cost[known, k]).mean() or 1.0
            found, _ = nnls(lengths[known][:, used] / scale[used], cost[known, k] / unit)
            slope[used, k] = found * unit / scale[used]
    return slope


def role_latency(latency: Floats, role: Ints, n_roles: int, typical: Floats) -> Floats:
    """Return the median latency per role and tier, seconds, shape (n_roles + 1, n_tiers).

    A role's cell with no known latency takes the tier's median, else the catalogue's `typical`
    value, which may be NaN: unknown.
    """
    n_tiers = latency.shape[1]
    out = np.full((n_roles + 1, n_tiers), np.nan)
    for k in range(n_tiers):
        known = ~np.isnan(latency[:, k])
        overall = float(np.median(latency[known, k])) if known.any() else typical[k]
        for r in range(n_roles + 1):
            cell = latency[known & (role == r), k]
            out[r, k] = np.median(cell) if len(cell) else overall
    return out


def retry_table(
    valid: Floats,
    called: NDArray[np.bool_],
    role: Ints,
    n_roles: int,
    ladder: tuple[int, ...],
) -> Floats:
    """Return how often a first call to one tier leads to calls of others on the ladder.

    Parameters
    ----------
    valid : ndarray of shape (n_steps, n_tiers)
        Verdict of the deterministic check, 0 or 1; NaN where there is none.
    called : ndarray of bool, shape (n_steps, n_tiers)
        Where the tier was called: a call without a check counts as passed, no call as unknown.
    role : ndarray of shape (n_steps,)
    n_roles : int
    ladder : tuple of int
        The next tier after a failed check, -1 where none.

    Returns
    -------
    ndarray of shape (n_roles + 1, n_tiers, n_tiers)
        Entry [r, j, k]: calls of tier j for each first call of tier k; total = cost @ entry.
    """
    n_tiers = valid.shape[1]
    failed = np.where(called, np.nan_to_num(1.0 - valid), np.nan)
    fails = fit_tables(failed, np.zeros(len(role), np.int64), role, 0, n_roles, PRIOR)
    share = np.clip(fails.task[-1] + fails.role, 0.0, 1.0)
    out = np.zeros((n_roles + 1, n_tiers, n_tiers))
    for first in range(n_tiers):
        reach, tier = np.ones(n_roles + 1), first
        while tier >= 0:
            out[:, tier, first] += reach
            reach, tier = reach * share[:, tier], ladder[tier]
    return out
