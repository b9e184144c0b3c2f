"""P-values: exact where they can be, and never too small at the boundary of the null."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from tierwise.training.pvalues import at_least, at_most, betting

DELTA = 0.1


def rejected(gain: np.ndarray, worst: float) -> float:
    """Share of rows, each a world of its own, that are rejected at DELTA."""
    return float((betting(gain, worst, 0.25, DELTA) <= DELTA).mean())


def allowed(worlds: int) -> float:
    return DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / worlds)


def test_at_most_is_the_lower_tail_of_the_binomial_summed_by_hand() -> None:
    by_hand = sum(comb(20, k) * 0.3**k * 0.7 ** (20 - k) for k in range(4))
    assert at_most(np.array([3.0]), 20, 0.3)[0] == pytest.approx(by_hand, rel=1e-12)


def test_at_least_is_the_upper_tail_of_the_binomial_summed_by_hand() -> None:
    by_hand = sum(comb(20, k) * 0.3**k * 0.7 ** (20 - k) for k in range(9, 21))
    assert at_least(np.array([9.0]), 20, 0.3)[0] == pytest.approx(by_hand, rel=1e-12)


def test_binomial_p_values_are_one_when_nothing_speaks_against_the_null() -> None:
    assert at_most(np.array([20.0]), 20, 0.3)[0] == pytest.approx(1)
    assert at_least(np.array([0.0]), 20, 0.3)[0] == pytest.approx(1)
    assert at_most(np.array([0.0]), 20, 0.0)[0] == pytest.approx(1)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("n_units", [50, 500])
def test_betting_at_the_exact_boundary_rejects_no_more_than_delta(
    level: float, n_units: int
) -> None:
    rng = np.random.default_rng(0)
    ok = rng.random((2_000, n_units)) < level
    assert rejected(ok - level, worst=level) <= allowed(2_000)


def test_betting_on_rare_great_losses_at_the_boundary_rejects_no_more_than_delta() -> None:
    rng = np.random.default_rng(1)
    lost = rng.random((4_000, 100)) < 0.05
    assert rejected(0.05 - lost, worst=0.95) <= allowed(4_000)


@pytest.mark.parametrize("good", [True, False])
def test_betting_on_units_of_unequal_sizes_rejects_no_more_than_delta(good: bool) -> None:
    """Sizes go with quality: the mean over steps is at the boundary, that over units is not."""
    rng = np.random.default_rng(2)
    size = 1 + rng.binomial(30, 0.2, (3_000, 200)) * rng.integers(0, 2, (3_000, 200))
    chance = np.where(size > 1, 0.9 if good else 0.6, 0.6 if good else 0.9)
    boundary = float((chance * size).sum() / size.sum())
    ok = rng.binomial(size, chance)
    assert rejected(ok - boundary * size, worst=boundary * 31) <= allowed(3_000)


def test_betting_finds_a_gain_that_two_thousand_units_can_show() -> None:
    rng = np.random.default_rng(3)
    ok = rng.random((300, 2_000)) < 0.825
    assert rejected(ok - 0.8, worst=0.8) > 0.7


def test_the_bet_on_a_unit_ignores_that_unit_and_all_later_ones() -> None:
    """The wealth after k units is that of the same k units followed by anything at all."""
    rng = np.random.default_rng(4)
    gain = (rng.random((1, 60)) < 0.9) - 0.5
    crash = gain.copy()
    crash[:, 30:] = -0.5
    first = np.concatenate([gain[:, :30], np.zeros((1, 30))], axis=1)
    assert betting(crash, 0.5, 0.25, DELTA) == pytest.approx(betting(first, 0.5, 0.25, DELTA))


def test_wealth_is_a_martingale_for_a_fair_coin() -> None:
    """All 2^12 outcomes of twelve fair units: the final wealth is 1 on average, exactly."""
    n = 12
    coins = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    gain = coins - 0.5
    moment = np.cumsum(np.c_[np.full(2**n, 0.25), gain[:, :-1] ** 2], axis=1) / np.arange(1, n + 1)
    assert moment == pytest.approx(0.25)  # so that the bet is the same everywhere
    bet = min(1.2 * np.sqrt(2 * np.log(10) / (n * 0.25)), 0.95 / 0.5)
    wealth = np.cumprod(1 + bet * gain, axis=1)
    assert wealth[:, -1].mean() == pytest.approx(1)
    assert betting(gain, 0.5, 0.25, DELTA) == pytest.approx(
        1 / np.maximum(wealth.max(axis=1), 1), rel=1e-9
    )


def test_a_gain_that_is_unknown_or_worse_than_the_bound_proves_nothing() -> None:
    gain = np.full((3, 500), 0.5)
    gain[1, 7] = np.nan
    gain[2, 7] = -0.6
    p = betting(gain, worst=0.5, spread=0.25, delta=DELTA)
    assert p[0] < 1e-6
    assert p[1:].tolist() == [1.0, 1.0]


def test_no_units_prove_nothing() -> None:
    assert betting(np.zeros((3, 0)), 0.5, 0.25, DELTA).tolist() == [1.0, 1.0, 1.0]
