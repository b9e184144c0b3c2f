"""Task and role tables: mean outcome per tier and category, shrunk towards the tier's mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST = 1e-12  # keeps empty sums from dividing by 0
ROUNDS = 8  # of backfitting; two nested categories settle well before


@dataclass(frozen=True)
class Tables:
    """An additive table: outcome of tier k = task[t, k] + role[r, k].

    Attributes
    ----------
    task : ndarray of shape (n_tasks + 1, n_tiers)
        Holds the tier's mean; the last row is for an unknown task.
    role : ndarray of shape (n_roles + 1, n_tiers)
        What a role adds; the last row is for an unknown role.
    """

    task: Floats
    role: Floats

    def predict(self, task: Ints, role: Ints) -> Floats:
        """Return the table's outcome for each step, shape (n_steps, n_tiers)."""
        out: Floats = self.task[task] + self.role[role]
        return out


def codes(column: NDArray[np.float32], size: int) -> Ints:
    """Turn a category column of the context into row numbers; unknown is the last row."""
    return np.where(np.isnan(column), size, column).astype(np.int64)


def fit_tables(
    outcome: Floats,
    task: Ints,
    role: Ints,
    n_tasks: int,
    n_roles: int,
    prior: float,
    weight: Floats | None = None,
) -> Tables:
    """Fit shrunken means by backfitting.

    The shrinkage is that of a random effect whose variance is 1 / `prior` of the noise's
    (Robinson 1991, "That BLUP is a good thing", section 2).

    Parameters
    ----------
    outcome : ndarray of shape (n_steps, n_tiers)
        NaN is unknown.
    task, role : ndarray of shape (n_steps,)
        Row numbers as from `codes`.
    n_tasks, n_roles : int
        Sizes of the vocabularies.
    prior : float
        Steps that the tier's mean is worth against a category's own mean.
    weight : ndarray of shape (n_steps, n_tiers), optional
        What each outcome counts, in proportion; together a tier's count as its effective number
        of steps (Kish 1965, section 11.7). Each counts as one step where left out.
    """
    known = ~np.isnan(outcome)
    values = np.where(known, outcome, 0.0)
    counts = known.astype(np.float64) if weight is None else _effective(weight * known)
    mean = (values * counts).sum(0) / np.maximum(counts.sum(0), LEAST)
    tasks = np.zeros((n_tasks + 1, outcome.shape[1]))
    roles = np.zeros((n_roles + 1, outcome.shape[1]))
    for _ in range(ROUNDS):
        tasks = _shrunk(values - mean - roles[role], counts, task, len(tasks), prior)
        roles = _shrunk(values - mean - tasks[task], counts, role, len(roles), prior)
    return Tables(tasks + mean, roles)


def _effective(weight: Floats) -> Floats:
    """Scale each tier's weights to sum to its effective number of steps."""
    out: Floats = weight * (weight.sum(0) / np.maximum((weight**2).sum(0), LEAST))
    return out


def _shrunk(rest: Floats, counts: Floats, code: Ints, size: int, prior: float) -> Floats:
    out = np.zeros((size, rest.shape[1]))
    for k in range(rest.shape[1]):
        total = np.bincount(code, rest[:, k] * counts[:, k], minlength=size)
        count = np.bincount(code, counts[:, k], minlength=size)
        out[:, k] = total / (count + prior)
    out[-1] = 0.0  # the unknown category says nothing
    return out
