"""Stacking: weights are earned out of fold, and noise earns none."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.training.stack import fit_weights, squared_error

N = 2000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_member_that_is_right_gets_nearly_all_the_weight(rng: np.random.Generator) -> None:
    signal, noise = rng.normal(size=(N, 1)), rng.normal(size=(N, 1))
    weights = fit_weights([signal, noise], signal + 0.1 * rng.normal(size=(N, 1)))
    assert weights[0] > 0.95
    assert weights[1] < 0.02


def test_a_member_that_says_the_contrary_gets_no_negative_weight(rng: np.random.Generator) -> None:
    signal = rng.normal(size=(N, 1))
    assert fit_weights([-signal], signal).tolist() == [0.0]


def test_members_of_noise_get_weights_near_zero(rng: np.random.Generator) -> None:
    members = [rng.normal(size=(N, 2)) for _ in range(3)]
    weights = fit_weights(members, rng.normal(size=(N, 2)))
    assert (weights >= 0).all()
    assert weights.max() < 0.05


def test_the_prior_counts_as_so_many_steps_on_which_the_member_is_wrong() -> None:
    said = np.full((30, 1), 0.5)
    assert fit_weights([said], said, prior=10.0)[0] == pytest.approx(30 / (30 + 10))
    assert fit_weights([said], said, prior=0.0)[0] == pytest.approx(1.0)


def test_unknown_outcomes_are_left_out(rng: np.random.Generator) -> None:
    signal = rng.normal(size=(N, 2))
    target = signal.copy()
    target[::2, 0], signal[::2, 0] = np.nan, 1e6
    assert fit_weights([signal], target)[0] > 0.9


def test_without_members_or_outcomes_there_is_no_weight() -> None:
    assert fit_weights([], np.ones((3, 1))).shape == (0,)
    assert fit_weights([np.ones((3, 1))], np.full((3, 1), np.nan)).tolist() == [0.0]


def test_squared_error_looks_at_known_outcomes_alone() -> None:
    target = np.array([[1.0, np.nan], [0.0, 2.0]])
    assert squared_error(np.zeros((2, 2)), target) == pytest.approx(5 / 3)
