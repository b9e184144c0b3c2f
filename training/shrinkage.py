"""How strongly the tables are shrunk: tasks differ more in how hard they are than in who does well.

A task's level (what its tiers have in common) varies a lot between tasks, what sets its tiers apart
varies less, and the noise of both is about the same. One strength for both either drowns the level
or believes the contrasts too much, and it is the contrasts that routing looks at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.training.components import to_components
from tierwise.training.learn_data import LearnData
from tierwise.training.tables import Tables, fit_tables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DOUBT = 0.5  # standard errors; a whole one leaves too much on the table of a few hundred steps


@dataclass(frozen=True)
class Shrinkage:
    """Strength of the tables' shrinkage, in steps.

    Attributes
    ----------
    overall : float
        Of whatever no component holds.
    basis : ndarray of shape (n_tiers, n_components)
        Orthonormal.
    component : tuple of n_components float
    """

    overall: float
    basis: Floats
    component: tuple[float, ...]


def alike(prior: float, n_tiers: int) -> Shrinkage:
    """Return one strength for everything."""
    return Shrinkage(prior, np.zeros((n_tiers, 0)), ())


def fit_shrunk(data: LearnData, shrinkage: Shrinkage) -> Tables:
    """Fit tables, each component with its own strength.

    Tables are linear in the outcomes, so those of a component are the component of tables; steps
    that are known for some tiers only take part like all others.
    """
    by_prior = {p: _fit(data, p) for p in {shrinkage.overall, *shrinkage.component}}
    overall = by_prior[shrinkage.overall]
    task, role = overall.task.copy(), overall.role.copy()
    for vector, prior in zip(shrinkage.basis.T, shrinkage.component, strict=True):
        along = np.outer(vector, vector)
        task += (by_prior[prior].task - overall.task) @ along
        role += (by_prior[prior].role - overall.role) @ along
    return Tables(task, role)


def _fit(data: LearnData, prior: float) -> Tables:
    return fit_tables(data.quality, data.task, data.role, *data.sizes, prior)


def tables_out_of_fold(data: LearnData, fold: Ints, shrinkage: Shrinkage) -> Floats:
    """Return the tables' estimates for steps that the fold's tables had not seen."""
    out = np.zeros(data.quality.shape)
    for k in np.unique(fold):
        held = fold == k
        tables = fit_shrunk(data.rows(~held), shrinkage)
        out[held] = tables.predict(data.task[held], data.role[held])
    return out


def choose_overall(data: LearnData, fold: Ints, priors: tuple[float, ...]) -> float:
    """Return the one strength of least out-of-fold squared error."""
    n_tiers = data.quality.shape[1]
    errors = [
        np.nanmean((tables_out_of_fold(data, fold, alike(p, n_tiers)) - data.quality) ** 2)
        for p in priors
    ]
    return float(priors[int(np.argmin(errors))])


def choose_shrinkage(
    data: LearnData,
    fold: Ints,
    unit: NDArray[np.str_],
    priors: tuple[float, ...],
    overall: float,
    basis: Floats,
    groups: list[Ints],
) -> Shrinkage:
    """Choose the strength of each group of components by its own out-of-fold squared error.

    A strength other than the overall one has to be better by more than chance does: chosen is the
    one whose improvement, less `DOUBT` of its standard error, is greatest.

    Parameters
    ----------
    data : LearnData
    fold : ndarray of shape (n_steps,)
        Never cuts a split unit.
    unit : ndarray of shape (n_steps,)
        Split units, over which the standard error is taken.
    priors : tuple of float
        To choose from, steps.
    overall : float
    basis : ndarray of shape (n_tiers, n_components)
    groups : list of ndarray
        Components that share a strength.
    """
    code = np.unique(unit, return_inverse=True)[1]
    first = _errors(data, fold, overall, basis, groups, code)
    chosen = np.full(basis.shape[1], overall)
    most = np.zeros(len(groups))
    for prior in priors:
        better = first - _errors(data, fold, prior, basis, groups, code)
        spread = np.sqrt(((better - better.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
        worth = better.sum(axis=1) - DOUBT * spread
        for at in np.flatnonzero(worth > most):
            chosen[groups[at]], most[at] = prior, worth[at]
    return Shrinkage(overall, basis, tuple(chosen.tolist()))


def _errors(
    data: LearnData, fold: Ints, prior: float, basis: Floats, groups: list[Ints], code: Ints
) -> Floats:
    """Return each split unit's squared error in each group, shape (n_groups, n_units)."""
    said = tables_out_of_fold(data, fold, alike(prior, data.quality.shape[1]))
    wrong = np.nan_to_num(to_components(data.quality - said, basis)) ** 2
    return np.stack([np.bincount(code, wrong[:, group].sum(axis=1)) for group in groups])
