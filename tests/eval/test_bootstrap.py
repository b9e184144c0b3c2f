"""Intervals cover as often as they say, count units and not steps, and cancel shared noise."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.eval.bootstrap import (
    central,
    gain_difference,
    mean_difference,
    ratio,
    resampled,
    unit_codes,
    unit_sums,
)
from tierwise.eval.metrics import curve, routing_gain, sweep


def test_an_interval_of_95_percent_covers_about_as_often() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        above, below = rng.normal(0.9, 0.5, 200), rng.normal(1.0, 0.5, 200)
        found = ratio(above, below, np.arange(200), 300, rng)
        covered += found.low <= 0.9 <= found.high
    assert 0.90 <= covered / 300 <= 0.99


def test_copies_of_a_step_in_one_unit_add_no_certainty() -> None:
    values = np.random.default_rng(0).random(100)
    once = mean_difference(values, np.zeros(100), np.arange(100), 800, np.random.default_rng(1))
    copied, unit = np.repeat(values, 20), np.repeat(np.arange(100), 20)
    again = mean_difference(copied, np.zeros(2000), unit, 800, np.random.default_rng(1))
    assert (again.low, again.high) == pytest.approx((once.low, once.high), abs=1e-12)


def test_noise_that_both_policies_share_cancels() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 10, 300)
    found = mean_difference(noise + 1, noise, np.arange(300), 200, rng)
    assert (found.low, found.value, found.high) == pytest.approx((1, 1, 1))


def test_every_draw_has_as_many_units_as_there_are() -> None:
    totals = resampled(np.ones((37, 1)), 300, np.random.default_rng(0))
    assert totals.shape == (300, 1)
    assert np.unique(totals).tolist() == [37.0]


def test_sums_of_units_are_sums_of_their_steps() -> None:
    unit = unit_codes(np.array(["b", "a", "b"]))
    assert unit_sums(unit, np.array([[1.0], [2.0], [4.0]])).tolist() == [[2.0], [5.0]]


def test_an_interval_of_what_is_never_known_is_unknown() -> None:
    found = central(1.0, np.full(10, np.nan))
    assert np.isnan([found.low, found.high]).all()


def test_the_difference_in_gain_is_that_of_the_two_gains_and_0_with_itself() -> None:
    rng = np.random.default_rng(0)
    cost = np.tile([1.0, 5.0], (500, 1))
    quality = (rng.random((500, 2)) < [0.5, 0.8]).astype(float)
    oracle = sweep(quality, cost)
    good, bad = (sweep(quality + rng.normal(0, s, quality.shape), cost) for s in (0.5, 5.0))
    unit = np.arange(500) // 2
    found = gain_difference(good, bad, oracle, quality, cost, unit, 60, rng)
    gains = [routing_gain(*curve(c, quality, cost), quality, cost) for c in (good, bad)]
    assert found.value == pytest.approx(gains[0] - gains[1])
    assert found.low > 0
    same = gain_difference(good, good, oracle, quality, cost, unit, 20, rng)
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)
