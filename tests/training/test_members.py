"""Members of the stack: none speaks on what it has seen, and their weights end in the model."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp

from tests.training.fits import COLUMNS, SMALL, make_steps
from tierwise.router_model.estimate import _run_network, _run_trees
from tierwise.training.components import component_groups
from tierwise.training.fit import fill_values
from tierwise.training.learn_data import LearnData, learn_data
from tierwise.training.members import Members, fit_members, members_out_of_fold
from tierwise.training.network import fit_network, network_inputs
from tierwise.training.shrinkage import Shrinkage, fit_shrunk

BASIS = np.linalg.svd(np.ones((3, 1)) / np.sqrt(3))[0] * [-1, 1, 1]
SHRINKAGE = Shrinkage(10.0, BASIS, (3.0, 30.0, 30.0))
FOLD = np.arange(300) % 3


@cache
def data() -> LearnData:
    """Steps, with a word's presence as text and as the one number of the vector."""
    steps = make_steps(300)
    hard = np.array([[b"e" in text.split()[0]] for text in steps.text], np.float32)
    fill = fill_values(steps.context, COLUMNS)
    return learn_data(steps, COLUMNS, fill, sp.csr_matrix(hard), hard)


def fitted(weights: np.ndarray) -> Members:
    groups = component_groups(BASIS)
    alphas = [1.0] * len(groups)
    rng = np.random.default_rng(0)
    return fit_members(data(), SHRINKAGE, BASIS, groups, alphas, weights, SMALL, rng)


def added(members: Members) -> np.ndarray:
    """What the members say beyond the tables of the same steps."""
    steps = data()
    k = steps.n_context
    said = members.tables.predict(steps.task, steps.role) + steps.text @ members.ridge
    if members.trees is not None:
        said = said + _run_trees(members.trees, steps.inputs)
    if members.network is not None:
        said = said + _run_network(members.network, steps.inputs[:, :k], steps.inputs[:, k:])
    return np.asarray(said - fit_shrunk(steps, SHRINKAGE).predict(steps.task, steps.role))


def only(member: int, weight: float = 1.0) -> np.ndarray:
    weights = np.zeros((3, 3))
    weights[member] = weight
    return weights


def test_no_member_speaks_on_a_step_whose_fold_it_has_seen() -> None:
    other = np.where((FOLD == 1)[:, None], 0.9, data().quality)
    said = [
        members_out_of_fold(one, FOLD, SHRINKAGE, BASIS, SMALL, np.random.default_rng(0))
        for one in (data(), dataclasses.replace(data(), quality=other))
    ]
    for name in ("ridge", "trees", "network"):
        before, after = (getattr(one, name) for one in said)
        np.testing.assert_array_equal(before[..., FOLD == 1, :], after[..., FOLD == 1, :])
        assert (before[..., FOLD == 0, :] != after[..., FOLD == 0, :]).any()


@pytest.mark.parametrize("member", range(3))
def test_a_member_of_twice_the_weight_adds_twice_as_much(member: int) -> None:
    once, twice = (added(fitted(only(member, weight))) for weight in (0.4, 0.8))
    assert once.std() > 0.005
    np.testing.assert_allclose(twice, 2 * once, atol=1e-5)


def test_the_networks_word_arrives_whole_its_offset_too() -> None:
    steps = data()
    inputs = network_inputs(steps.inputs, steps.n_context)
    target = (steps.quality - fit_shrunk(steps, SHRINKAGE).predict(steps.task, steps.role)) @ BASIS
    rng = np.random.default_rng(0)
    alone = fit_network(inputs, target, steps.numbers, SMALL.hidden, SMALL.draws, rng)
    assert np.abs(alone.offset).max() > 0.001
    wanted = 0.7 * alone.predict(inputs) @ BASIS.T
    np.testing.assert_allclose(added(fitted(only(2, 0.7))), wanted, atol=1e-5)


def test_all_together_add_what_each_adds_alone() -> None:
    each = [added(fitted(only(member))) for member in range(3)]
    np.testing.assert_allclose(added(fitted(np.ones((3, 3)))), sum(each), atol=1e-5)


@pytest.mark.parametrize("member", range(3))
def test_a_member_with_a_word_on_one_component_moves_no_other(member: int) -> None:
    weights = np.zeros((3, 3))
    weights[member, 1] = 1.0
    moved = added(fitted(weights)) @ BASIS
    assert moved[:, 1].std() > 0.005
    np.testing.assert_allclose(moved[:, [0, 2]], 0.0, atol=1e-6)


def test_a_member_of_no_weight_is_left_out() -> None:
    members = fitted(only(0))
    assert members.trees is None
    assert members.network is None
    assert not fitted(only(2)).ridge.any()
