"""The stack's members: what each says of a step that it has not seen, and their final fits."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from tierwise.router_model.model import Network, Trees
from tierwise.training.components import to_components
from tierwise.training.learn_data import LearnData
from tierwise.training.network import NetworkFit, fit_network, network_inputs, pack_network
from tierwise.training.ridge import fit_ridge
from tierwise.training.shrinkage import Shrinkage, fit_shrunk
from tierwise.training.tables import Tables
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
    hidden, draws : int
        Units of a network, and networks averaged.
    """

    alphas: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0)
    trees: int = 30
    leaves: int = 8
    rate: float = 0.08
    hidden: int = 24
    draws: int = 3


@dataclass(frozen=True)
class Said:
    """Out-of-fold predictions of the members, in components.

    Attributes
    ----------
    ridge : ndarray of shape (n_alphas, n_steps, n_components)
    trees, network : ndarray of shape (n_steps, n_components)
    """

    ridge: Floats
    trees: Floats
    network: Floats


@dataclass(frozen=True)
class Members:
    """The members fitted on all learn steps; weights of the stack are folded in.

    Attributes
    ----------
    tables : Tables
    ridge : ndarray of shape (n_tokens, n_tiers)
    trees : Trees or None
    network : Network or None
    """

    tables: Tables
    ridge: Floats
    trees: Trees | None
    network: Network | None


def members_out_of_fold(
    data: LearnData,
    fold: Ints,
    shrinkage: Shrinkage,
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
    shrinkage : Shrinkage
        Of the tables.
    basis : ndarray of shape (n_tiers, n_components)
    params : MemberParams
    rng : Generator
        Draws the networks' starting weights.
    """
    n_steps, n_components = len(fold), basis.shape[1]
    ridge = np.zeros((len(params.alphas), n_steps, n_components))
    trees, network = np.zeros((n_steps, n_components)), np.zeros((n_steps, n_components))
    for k in np.unique(fold):
        held = fold == k
        seen, asked = data.rows(~held), data.rows(held)
        tables = fit_shrunk(seen, shrinkage)
        target = to_components(seen.quality - tables.predict(seen.task, seen.role), basis)
        weights = fit_ridge(seen.text, target, params.alphas)
        ridge[:, held] = [asked.text @ w for w in weights]
        trees[held] = _boosted(seen.inputs, target, asked.inputs, params)
        fitted = _network(seen, target, params, rng)
        network[held] = fitted.predict(network_inputs(asked.inputs, asked.n_context))
    return Said(ridge, trees, network)


def _network(
    data: LearnData, target: Floats, params: MemberParams, rng: np.random.Generator
) -> NetworkFit:
    inputs = network_inputs(data.inputs, data.n_context)
    return fit_network(inputs, target, data.numbers, params.hidden, params.draws, rng)


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
    shrinkage: Shrinkage,
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
    shrinkage : Shrinkage
    basis : ndarray of shape (n_tiers, n_components)
    groups : list of ndarray
        Components that share a strength.
    alphas : list of float
        The strength of each group.
    weights : ndarray of shape (3, n_components)
        Of ridge, trees and network; a member of weight 0 is not fitted.
    params : MemberParams
    rng : Generator
    """
    tables = fit_shrunk(data, shrinkage)
    target = to_components(data.quality - tables.predict(data.task, data.role), basis)
    ridge = np.zeros((data.text.shape[1], basis.shape[0]))
    for group, alpha in zip(groups, alphas, strict=True):
        found = fit_ridge(data.text, target[:, group], (alpha,))[0]
        ridge += (found * weights[0, group]) @ basis[:, group].T
    mixing = weights[1][:, None] * basis.T
    trees = pack(_boosters(data.inputs, target, params), mixing) if weights[1].any() else None
    network = None
    if weights[2].any():
        fitted = _network(data, target, params, rng)
        network, constant = pack_network(fitted, data.n_context, weights[2][:, None] * basis.T)
        tables = Tables(tables.task + constant, tables.role)
    return Members(tables, ridge, trees, network)
