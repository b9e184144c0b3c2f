"""Quality per tier: tables, and members that learn what the tables leave, stacked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.data.split import folds
from tierwise.features.columns import ContextColumn
from tierwise.features.steps import StepTable
from tierwise.router_model.encoder import EncoderFiles
from tierwise.router_model.model import Network, Projection, TokenRows, Trees
from tierwise.training.components import (
    component_groups,
    fit_basis,
    heed,
    split_level,
    to_components,
)
from tierwise.training.learn_data import learn_data
from tierwise.training.members import MemberParams, fit_members, members_out_of_fold
from tierwise.training.reading import TextParams, read_texts
from tierwise.training.shrinkage import (
    alike,
    choose_overall,
    choose_shrinkage,
    tables_out_of_fold,
)
from tierwise.training.stack import fit_weights, squared_error
from tierwise.training.worth import heeded_share

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

MEMBERS = ("ridge", "trees", "network")
LEAST_WEIGHT = 0.1  # a member of less weight is not worth its nodes


@dataclass(frozen=True)
class QualityParams(MemberParams, TextParams):
    """How quality is learned; part of section `fit` of params.yaml.

    Attributes
    ----------
    seed : int
    inner_folds : int
        Folds, by split unit, on which strengths and weights are chosen.
    priors : tuple of float
        Strengths of the tables' shrinkage to choose from, in steps.
    """

    seed: int = 0
    inner_folds: int = 10
    priors: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclass(frozen=True)
class Quality:
    """Learned quality, ready to become constants of the graph.

    Attributes
    ----------
    task, role : ndarray of shape (vocabulary + 1, n_tiers)
    rows : TokenRows
    projection : Projection or None
    encoder : EncoderFiles or None
        Both where an encoder ships.
    trees : Trees or None
    network : Network or None
    out_of_fold : ndarray of shape (n_steps, n_tiers)
        Estimates for steps that the fold's model had not seen.
    notes : dict
        Chosen strengths and weights.
    """

    task: Floats
    role: Floats
    rows: TokenRows
    projection: Projection | None
    encoder: EncoderFiles | None
    trees: Trees | None
    network: Network | None
    out_of_fold: Floats
    notes: dict[str, object]


def fit_quality(
    learn: StepTable,
    columns: tuple[ContextColumn, ...],
    fill: Floats32,
    relative_cost: Floats,
    params: QualityParams,
    rng: np.random.Generator,
) -> Quality:
    """Fit tables and members, choosing every strength and weight on inner folds.

    Parameters
    ----------
    learn : StepTable
        The learn part.
    columns : tuple of ContextColumn
    fill : ndarray of shape (n_columns,)
        What stands for unknown context.
    relative_cost : ndarray of shape (n_steps, n_tiers)
        Expected total cost over the reference's mean.
    params : QualityParams
    rng : Generator
    """
    read = read_texts(learn, params, rng)
    data = learn_data(learn, columns, fill, read.matrix, read.vectors)
    fold = folds(learn.unit, params.inner_folds, rng)
    prior = choose_overall(data, fold, params.priors)
    rest = data.quality - tables_out_of_fold(data, fold, alike(prior, len(learn.tiers)))
    basis = fit_basis(rest, _means(learn.quality), _means(learn.cost))
    groups = component_groups(basis)
    shrinkage = choose_shrinkage(data, fold, learn.unit, params.priors, prior, basis, groups)
    base = tables_out_of_fold(data, fold, shrinkage)
    target = to_components(data.quality - base, basis)
    said = members_out_of_fold(data, fold, shrinkage, basis, params, rng)
    picked = [_best_alpha(said.ridge[..., g], target[:, g]) for g in groups]
    members = [_pick(said.ridge, picked, groups), said.trees, said.network]
    weights = np.zeros((len(members), basis.shape[1]))
    for group in groups:
        found = fit_weights([m[:, group] for m in members], target[:, group])
        weights[:, group] = np.where(found < LEAST_WEIGHT, 0.0, found)[:, None]
    total = np.sum([m * w for m, w in zip(members, weights, strict=True)], axis=0)
    level, contrasts = split_level(total, basis)
    heeded = heeded_share(
        base + level, contrasts, learn.quality, relative_cost, learn.cost, learn.unit, rng
    )
    weights = heed(weights, basis, heeded)
    alphas = [params.alphas[p] for p in picked]
    model = fit_members(data, shrinkage, basis, groups, alphas, weights, params, rng)
    rows, projection = read.pack(model.ridge, params)
    return Quality(
        task=model.tables.task,
        role=model.tables.role,
        rows=rows,
        projection=projection,
        encoder=read.encoder,
        trees=model.trees,
        network=model.network,
        out_of_fold=np.clip(base + level + heeded * contrasts, 0.0, 1.0),
        notes={
            "prior": prior,
            "component_priors": list(shrinkage.component),
            "alpha": alphas,
            "heeded": heeded,
            "weights": {n: w.tolist() for n, w in zip(MEMBERS, weights, strict=True)},
            "members": list(MEMBERS),
            **read.notes,
        },
    )


def _means(outcome: Floats) -> Floats:
    """Return each tier's mean over known steps; 0 where there is none."""
    known = ~np.isnan(outcome)
    out: Floats = np.where(known, outcome, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return out


def _best_alpha(ridge: Floats, target: Floats) -> int:
    """Return the position of the strength whose prediction, best scaled, errs least."""
    errors = []
    for prediction in ridge:
        weight = fit_weights([prediction], target)[0]
        errors.append(squared_error(weight * prediction, target))
    return int(np.argmin(errors))


def _pick(ridge: Floats, picked: list[int], groups: list[NDArray[np.int64]]) -> Floats:
    out = np.zeros(ridge.shape[1:])
    for position, group in zip(picked, groups, strict=True):
        out[:, group] = ridge[position][:, group]
    return out
