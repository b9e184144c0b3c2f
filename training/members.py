"""The stack's members: what each says of a step that it has not seen, and their final fits."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tierwise.features.columns import ContextColumn
from tierwise.features.steps import StepTable
from tierwise.router_model.model import Neighbors, Trees
from tierwise.training.components import to_components
from tierwise.training.knn import predict_knn, sample, unit
from tierwise.training.ridge import fit_ridge
from tierwise.training.stack import squared_error
from tierwise.training.tables import Tables, codes, fit_tables
from tierwise.training.trees import fit_booster, pack

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class MemberParams:
    """How the members are grown; part of section `fit` of params.yaml.

    Attributes
    ----------
    alphas : tuple of float
        Strengths of the ridge to choose from.
    trees, leaves : int
        Trees a component and leaves a tree.
    rate : float
        Learning rate of the trees.
    neighbors, stored : int
        Nearest steps averaged, and learn steps stored at most.
    """

    alphas: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0)
    trees: int = 30
    leaves: int = 8
    rate: float = 0.08
    neighbors: int = 32
    stored: int = 4096


@dataclass(frozen=True)
class LearnData:
    """Steps as the members see them.

    Attributes
    ----------
    quality : ndarray of shape (n_steps, n_tiers)
    task, role : ndarray of shape (n_steps,)
        Row numbers of the tables.
    sizes : tuple of int
        Numbers of tasks and roles.
    text : sparse matrix of shape (n_steps, n_tokens)
    vectors : ndarray of shape (n_steps, n_dims)
    inputs : ndarray of shape (n_steps, n_columns + n_dims)
        What the trees look at.
    """

    quality: Floats
    task: Ints
    role: Ints
    sizes: tuple[int, int]
    text: sp.csr_matrix
    vectors: Floats32
    inputs: Floats32

    def rows(self, index: NDArray[np.bool_]) -> LearnData:
        """Return some of the steps."""
        return LearnData(
            self.quality[index], self.task[index], self.role[index], self.sizes,
            self.text[index], self.vectors[index], self.inputs[index],
        )  # fmt: skip


@dataclass(frozen=True)
class Said:
    """Out-of-fold predictions of the members, in components.

    Attributes
    ----------
    ridge : ndarray of shape (n_alphas, n_steps, n_components)
    trees, knn : ndarray of shape (n_steps, n_components)
    """

    ridge: Floats
    trees: Floats
    knn: Floats


@dataclass(frozen=True)
class Members:
    """The members fitted on all learn steps; weights of the stack are folded in.

    Attributes
    ----------
    tables : Tables
    ridge : ndarray of shape (n_tokens, n_tiers)
    trees : Trees or None
    neighbors : Neighbors or None
    """

    tables: Tables
    ridge: Floats
    trees: Trees | None
    neighbors: Neighbors | None


def learn_data(
    steps: StepTable,
    columns: tuple[ContextColumn, ...],
    fill: Floats32,
    text: sp.csr_matrix,
    vectors: Floats32,
) -> LearnData:
    """Gather what the members look at; `fill` stands for unknown context."""
    sizes = (len(columns[1].vocabulary), len(columns[0].vocabulary))
    context = np.where(np.isnan(steps.context), fill, steps.context)
    return LearnData(
        quality=steps.quality,
        task=codes(steps.context[:, 1], sizes[0]),
        role=codes(steps.context[:, 0], sizes[1]),
        sizes=sizes,
        text=text,
        vectors=vectors,
        inputs=np.concatenate([context, vectors], axis=1).astype(np.float32),
    )


def choose_prior(data: LearnData, fold: Ints, priors: tuple[float, ...]) -> float:
    """Return the tables' shrinkage of least out-of-fold error."""
    errors = [squared_error(tables_out_of_fold(data, fold, p), data.quality) for p in priors]
    return float(priors[int(np.argmin(errors))])


def tables_out_of_fold(data: LearnData, fold: Ints, prior: float) -> Floats:
    """Return the tables' estimates for steps that the fold's tables had not seen."""
    out = np.zeros(data.quality.shape)
    for k in np.unique(fold):
        held = fold == k
        tables = _tables(data.rows(~held), prior)
        out[held] = tables.predict(data.task[held], data.role[held])
    return out


def _tables(data: LearnData, prior: float) -> Tables:
    return fit_tables(data.quality, data.task, data.role, *data.sizes, prior)


def members_out_of_fold(
    data: LearnData,
    fold: Ints,
    prior: float,
    basis: Floats,
    params: MemberParams,
    rng: np.random.Generator,
) -> Said:
    """Fit each member on all folds but one and let it speak on that one.

    Parameters
    ----------
    data : LearnData
    fold : ndarray of shape (n_steps,)
        Never cuts a split unit.
    prior : float
        Of the tables.
    basis : ndarray of shape (n_tiers, n_components)
    params : MemberParams
    rng : Generator
        Draws which steps kNN stores.
    """
    n_steps, n_components = len(fold), basis.shape[1]
    ridge = np.zeros((len(params.alphas), n_steps, n_components))
    trees, knn = np.zeros((n_steps, n_components)), np.zeros((n_steps, n_components))
    for k in np.unique(fold):
        held = fold == k
        seen, asked = data.rows(~held), data.rows(held)
        rest = seen.quality - _tables(seen, prior).predict(seen.task, seen.role)
        target = to_components(rest, basis)
        weights = fit_ridge(seen.text, target, params.alphas)
        ridge[:, held] = [asked.text @ w for w in weights]
        trees[held] = _boosted(seen.inputs, target, asked.inputs, params)
        stored = sample(len(target), params.stored, rng)
        knn[held] = predict_knn(
            unit(seen.vectors[stored]), target[stored], asked.vectors, params.neighbors
        )
    return Said(ridge, trees, knn)


def _boosters(inputs: Floats32, target: Floats, params: MemberParams) -> list[lgb.Booster | None]:
    return [fit_booster(inputs, t, params.trees, params.leaves, params.rate) for t in target.T]


def _boosted(inputs: Floats32, target: Floats, asked: Floats32, params: MemberParams) -> Floats:
    out = np.zeros((len(asked), target.shape[1]))
    for c, booster in enumerate(_boosters(inputs, target, params)):
        if booster is not None:
            out[:, c] = np.asarray(booster.predict(asked.astype(np.float64), num_threads=1))
    return out


def fit_members(
    data: LearnData,
    prior: float,
    basis: Floats,
    groups: list[Ints],
    alphas: list[float],
    weights: Floats,
    params: MemberParams,
    rng: np.random.Generator,
) -> Members:
    """Fit tables and members on all learn steps and fold the stack's weights in.

    Parameters
    ----------
    data : LearnData
    prior : float
    basis : ndarray of shape (n_tiers, n_components)
    groups : list of ndarray
        Components that share a strength.
    alphas : list of float
        The strength of each group.
    weights : ndarray of shape (3, n_components)
        Of ridge, trees and kNN; a member of weight 0 is not fitted.
    params : MemberParams
    rng : Generator
    """
    tables = _tables(data, prior)
    target = to_components(data.quality - tables.predict(data.task, data.role), basis)
    ridge = np.zeros((data.text.shape[1], basis.shape[0]))
    for group, alpha in zip(groups, alphas, strict=True):
        found = fit_ridge(data.text, target[:, group], (alpha,))[0]
        ridge += (found * weights[0, group]) @ basis[:, group].T
    mixing = weights[1][:, None] * basis.T
    trees = pack(_boosters(data.inputs, target, params), mixing) if weights[1].any() else None
    neighbors = None
    if weights[2].any():
        stored = sample(len(target), params.stored, rng)
        values = (np.nan_to_num(target[stored]) * weights[2]) @ basis.T
        neighbors = Neighbors(
            unit(data.vectors[stored]), values.astype(np.float32),
            min(params.neighbors, len(stored)),
        )  # fmt: skip
    return Members(tables, ridge, trees, neighbors)
