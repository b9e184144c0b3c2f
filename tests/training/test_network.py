"""The network learns what no line can, says nothing where it knows nothing, and stays bounded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from tests.router_model.policies import random_model
from tests.training.fits import COLUMNS, make_steps
from tierwise.router_model.estimate import estimate_text
from tierwise.training.fit import fill_values
from tierwise.training.learn_data import learn_data
from tierwise.training.network import NetworkFit, fit_network, network_inputs, pack_network

N_INPUTS = 3
ALL = np.ones(N_INPUTS, np.bool_)


def drawn(n: int = 2000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, N_INPUTS)).astype(np.float32)


def learned(
    inputs: np.ndarray, target: np.ndarray, used: np.ndarray = ALL, seed: int = 0
) -> NetworkFit:
    return fit_network(inputs, target, used, 16, 2, np.random.default_rng(seed))


def curve(inputs: np.ndarray) -> np.ndarray:
    """A bend and a product of two inputs, of which no line knows anything."""
    bend = np.abs(inputs[:, 0]) - np.sqrt(2 / np.pi)
    return np.stack([bend, inputs[:, 0] * inputs[:, 1]], axis=1).astype(np.float64)


def as_bytes(fit: NetworkFit) -> list[bytes]:
    return [np.asarray(array).tobytes() for array in dataclasses.astuple(fit)]


def test_it_learns_a_curve_that_no_line_follows() -> None:
    noise = np.random.default_rng(9).normal(0, 0.3, (4000, 2))
    asked = drawn(seed=1)
    said = learned(drawn(4000), curve(drawn(4000)) + noise).predict(asked)
    left = ((curve(asked) - said) ** 2).mean(axis=0) / curve(asked).var(axis=0)
    line = np.linalg.lstsq(np.c_[asked, np.ones(len(asked))], curve(asked))[0]
    left_by_line = (curve(asked) - np.c_[asked, np.ones(len(asked))] @ line).var(axis=0)
    assert (left < 0.35).all()
    assert (left_by_line > 0.95 * curve(asked).var(axis=0)).all()


def test_unknown_outcomes_do_not_pull_towards_the_mean() -> None:
    inputs, served = drawn(), np.random.default_rng(1).integers(0, 2, 2000)
    slopes = 5.0 + inputs[:, :1] * np.array([3.0, -2.0])
    logged = np.where(np.arange(2) == served[:, None], slopes, np.nan)
    at = np.array([[-0.5, 0, 0], [0.5, 0, 0]], np.float32)
    said = learned(inputs, logged).predict(at)
    np.testing.assert_allclose(said.mean(axis=0), 5.0, atol=0.3)
    np.testing.assert_allclose(said[1] - said[0], [3.0, -2.0], rtol=0.2)


@pytest.mark.parametrize("value", [np.nan, 0.0, 0.4])
def test_a_tier_that_never_differs_or_was_never_seen_is_said_to_be_just_that(value: float) -> None:
    inputs = drawn(300)
    target = np.stack([inputs[:, 0], np.full(300, value)], axis=1).astype(np.float64)
    said = learned(inputs, target).predict(drawn(50, seed=1))[:, 1]
    np.testing.assert_allclose(said, np.nan_to_num(value), atol=1e-12)


def test_far_from_all_learned_steps_it_says_no_more_than_near_them() -> None:
    inputs = drawn()
    fit = learned(inputs, 2.0 * inputs[:, :1].astype(np.float64))
    near = np.abs(fit.predict(inputs)).max()
    far = fit.predict(1e6 * drawn(seed=1))
    assert near > 4
    assert np.abs(far).max() < 3 * near


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    inputs = drawn(500)
    fits = [as_bytes(learned(inputs, curve(inputs), seed=seed)) for seed in (0, 0, 1)]
    assert fits[0] == fits[1]
    assert fits[0][0] != fits[2][0]


def test_an_input_that_is_left_out_changes_nothing() -> None:
    inputs = drawn(500)
    used = np.array([True, True, False])
    other = inputs.copy()
    other[:, 2] = np.random.default_rng(5).integers(0, 40, 500)
    fit = learned(inputs, curve(inputs), used)
    assert as_bytes(fit) == as_bytes(learned(other, curve(inputs), used))
    assert fit.predict(inputs).tobytes() == fit.predict(other).tobytes()


def test_codes_of_categories_are_left_out_and_numbers_and_flags_are_not() -> None:
    steps = make_steps(40)
    fill = fill_values(steps.context, COLUMNS)
    vectors = np.zeros((40, 3), np.float32)
    data = learn_data(steps, COLUMNS, fill, sp.csr_matrix((40, 9)), vectors)
    assert data.numbers.tolist() == [False, False, True, True, True, True, True, True, True]
    assert data.n_context == len(COLUMNS)


@pytest.mark.parametrize("value", [np.log(0.5), np.log(801.0), 0.0])
def test_an_input_that_never_varied_changes_nothing_once_it_does(value: float) -> None:
    inputs = drawn(3000)
    inputs[:, 1] = value
    fit = learned(inputs, inputs[:, :1].astype(np.float64))
    asked = drawn(50, seed=1)
    other = asked.copy()
    other[:, 1] = 9.0
    assert fit.predict(asked).tobytes() == fit.predict(other).tobytes()


def test_context_enters_by_its_order_of_magnitude_and_the_vector_as_it_is() -> None:
    inputs = np.array([[-1, 0, 1, 999, -0.3], [-9, 3e38, 7, 0, 2.5]], np.float32)
    said = network_inputs(inputs, 4)
    np.testing.assert_allclose(said[0], [np.log(0.5), 0, np.log(2), np.log(1000), -0.3], rtol=1e-6)
    np.testing.assert_allclose(said[1], [np.log(0.5), np.log(3e38), np.log(8), 0, 2.5], rtol=1e-6)


def test_once_packed_it_adds_what_it_said_to_the_estimate() -> None:
    rng = np.random.default_rng(3)
    plain = random_model()
    context = rng.integers(1, 9000, (400, len(COLUMNS))).astype(np.float32)
    context[:, 0], context[:, 1] = rng.integers(0, 3, 400), rng.integers(0, 2, 400)
    vectors = rng.normal(size=(400, plain.n_dims)).astype(np.float32)
    inputs = network_inputs(np.concatenate([context, vectors], axis=1), len(COLUMNS))
    used = np.array([column.kind != "category" for column in COLUMNS] + [True] * plain.n_dims)
    target = np.stack([vectors[:, 0] * vectors[:, 1], 2.0 + np.log(context[:, 4])], axis=1)
    fit = fit_network(inputs, target.astype(np.float64), used, 8, 3, rng)
    mixing = rng.normal(0, 0.02, (2, 3))
    network, constant = pack_network(fit, len(COLUMNS), mixing)
    task = plain.task.copy()
    task[:, :3] = 0.5
    plain = dataclasses.replace(plain, trees=None, network=None, task=task, role=0 * plain.role)
    task = task + np.pad(constant, (0, 3)).astype(np.float32)
    text = np.concatenate([np.zeros((400, 3)), vectors, np.ones((400, 1))], axis=1)
    text = text.astype(np.float32)
    before = estimate_text(plain, text, context).quality
    after = estimate_text(dataclasses.replace(plain, network=network, task=task), text, context)
    wanted = fit.predict(inputs) @ mixing
    assert np.abs(wanted).max() < 0.5
    assert wanted.std(axis=0).min() > 0.001
    np.testing.assert_allclose(after.quality - before, wanted, atol=1e-5)
