"""Reliability bins and their mean error."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.eval.calibration import Bin, expected_error, reliability


def test_true_chances_have_little_error_and_shifted_ones_their_shift() -> None:
    rng = np.random.default_rng(0)
    chance = 0.1 + 0.7 * rng.random(20000)
    outcome = (rng.random(20000) < chance).astype(float)
    assert expected_error(reliability(chance, outcome)) < 0.015
    assert expected_error(reliability(chance + 0.1, outcome)) == pytest.approx(0.1, abs=0.015)


def test_bins_hold_about_as_many_steps_each_and_equal_estimates_together() -> None:
    estimate = np.concatenate([np.full(60, 0.5), np.linspace(0.6, 0.9, 40)])
    bins = reliability(estimate, estimate, 5)
    assert sum(one.steps for one in bins) == 100
    assert bins[0] == Bin(0.5, 0.5, 60)
    assert [one.estimate for one in bins] == sorted(one.estimate for one in bins)


def test_steps_of_unknown_outcome_are_left_out() -> None:
    bins = reliability(np.array([0.2, 0.8]), np.array([np.nan, 1.0]))
    assert bins == (Bin(0.8, 1.0, 1),)


def test_without_any_outcome_the_error_is_unknown() -> None:
    assert np.isnan(expected_error(reliability(np.array([0.5]), np.array([np.nan]))))
