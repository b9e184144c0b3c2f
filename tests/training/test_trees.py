"""Packed trees say what the booster says, to the last threshold."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest

from tierwise.router_model.estimate import _run_trees
from tierwise.router_model.model import Trees
from tierwise.training.trees import fit_booster, pack

Inputs = np.ndarray


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 10, (500, 2))
    return np.concatenate([whole, rng.normal(size=(500, 2))], axis=1).astype(np.float32)


def booster(inputs: Inputs, seed: int = 0, n_trees: int = 12) -> lgb.Booster:
    noise = np.random.default_rng(seed).normal(0, 0.1, len(inputs))
    target = np.where(inputs[:, 0] > 4, 1.0, -1.0) * inputs[:, 2].astype(np.float64) + noise
    found = fit_booster(inputs, target, n_trees, 6, 0.3)
    assert found is not None
    return found


def packed(boosters: list[lgb.Booster | None], mixing: np.ndarray) -> Trees:
    trees = pack(boosters, mixing)
    assert trees is not None
    return trees


def test_packed_trees_predict_as_the_booster(inputs: Inputs) -> None:
    one = booster(inputs)
    said = _run_trees(packed([one], np.eye(1)), inputs)[:, 0]
    np.testing.assert_allclose(said, one.predict(inputs.astype(np.float64)), atol=1e-5)


def test_float32_values_at_and_beside_every_threshold_go_the_boosters_way(inputs: Inputs) -> None:
    one = booster(inputs)
    trees = packed([one], np.eye(1))
    inner = np.flatnonzero(trees.feature >= 0)
    exact = trees.threshold[inner]
    rows = []
    for shift in (-np.inf, 0, np.inf):
        near = exact if shift == 0 else np.nextafter(exact, np.float32(shift))
        some = inputs[: len(inner)].copy()
        some[np.arange(len(inner)), trees.feature[inner]] = near
        rows.append(some)
    asked = np.concatenate(rows)
    np.testing.assert_allclose(
        _run_trees(trees, asked)[:, 0], one.predict(asked.astype(np.float64)), atol=1e-5
    )


def test_thresholds_are_the_largest_float32_not_above_the_boosters(inputs: Inputs) -> None:
    one = booster(inputs)
    trees = packed([one], np.eye(1))
    nodes = one.trees_to_dataframe().dropna(subset=["threshold"])
    wanted = np.sort(nodes["threshold"].to_numpy(np.float64))
    found = np.sort(trees.threshold[trees.feature >= 0])
    assert (found.astype(np.float64) <= wanted).all()
    assert (np.nextafter(found, np.float32(np.inf)).astype(np.float64) > wanted).all()


def test_components_are_mixed_into_tiers(inputs: Inputs) -> None:
    one, two = booster(inputs), booster(inputs[::-1].copy(), 1)
    mixing = np.array([[1.0, 0.5, 0.0], [0.0, -1.0, 2.0]])
    said = _run_trees(packed([one, two], mixing), inputs)
    each = np.stack([b.predict(inputs.astype(np.float64)) for b in (one, two)], axis=1)
    np.testing.assert_allclose(said, each @ mixing, atol=1e-5)


def test_a_component_of_no_weight_or_without_trees_is_left_out(inputs: Inputs) -> None:
    one = booster(inputs)
    trees = packed([None, one, one], np.array([[1.0], [2.0], [0.0]]))
    assert len(trees.target) == one.num_trees()
    said = _run_trees(trees, inputs)[:, 0]
    np.testing.assert_allclose(said, 2 * one.predict(inputs.astype(np.float64)), atol=1e-5)


def test_nothing_that_splits_is_no_trees(inputs: Inputs) -> None:
    assert pack([None, None], np.eye(2)) is None
    assert pack([booster(inputs)], np.zeros((1, 2))) is None
    constant = fit_booster(inputs, np.zeros(len(inputs)), 5, 4, 0.1)
    assert pack([constant], np.eye(1)) is None


def test_too_few_known_steps_grow_no_tree(inputs: Inputs) -> None:
    target = np.full(len(inputs), np.nan)
    target[:79] = 1.0
    assert fit_booster(inputs, target, 5, 4, 0.1) is None
    target[79] = 0.0
    assert fit_booster(inputs, target, 5, 4, 0.1) is not None
    assert fit_booster(inputs, target, 0, 4, 0.1) is None


def test_unknown_targets_are_left_out(inputs: Inputs) -> None:
    target = inputs[:, 2].astype(np.float64)
    target[::2] = np.nan
    holed = fit_booster(inputs, target, 5, 4, 0.3)
    alone = fit_booster(inputs[1::2], target[1::2], 5, 4, 0.3)
    assert holed is not None
    assert alone is not None
    assert holed.model_to_string() == alone.model_to_string()


def test_the_same_steps_grow_the_same_trees(inputs: Inputs) -> None:
    assert booster(inputs).model_to_string() == booster(inputs).model_to_string()
