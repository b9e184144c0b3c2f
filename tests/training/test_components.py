"""The basis of outcomes: level first, then the contrasts that routing gains most by."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.training.components import (
    component_groups,
    fit_basis,
    heed,
    is_split,
    split_level,
    to_components,
    upper_hull,
)

Floats = np.ndarray


def outcomes(n_tiers: int, n: int = 200, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, n_tiers))


def rising(n_tiers: int) -> tuple[Floats, Floats]:
    """Qualities and costs that put every tier on the hull."""
    cost = np.cumsum(1.0 + np.arange(n_tiers))
    return np.sqrt(cost), cost


def assert_orthonormal(basis: Floats) -> None:
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-9)


@pytest.mark.parametrize("n_tiers", [2, 3, 6, 16])
def test_the_basis_is_orthonormal_and_begins_with_the_level(n_tiers: int) -> None:
    basis = fit_basis(outcomes(n_tiers), *rising(n_tiers))
    assert_orthonormal(basis)
    np.testing.assert_allclose(basis[:, 0], 1 / np.sqrt(n_tiers))


@pytest.mark.parametrize(("n_tiers", "n_components"), [(2, 2), (5, 5), (6, 6), (7, 6), (16, 6)])
def test_many_tiers_share_six_components(n_tiers: int, n_components: int) -> None:
    assert fit_basis(outcomes(n_tiers), *rising(n_tiers)).shape == (n_tiers, n_components)


def test_the_widest_gap_in_cost_comes_first_after_the_level() -> None:
    cost, quality = np.array([1.0, 2.0, 10.0]), np.array([0.2, 0.6, 0.9])
    basis = fit_basis(outcomes(3), quality, cost)
    np.testing.assert_allclose(basis[:, 1], np.array([0, -1, 1]) / np.sqrt(2), atol=1e-12)


def test_what_no_hull_neighbor_says_is_left_to_the_main_variance() -> None:
    cost, quality = np.arange(4.0), np.array([0.9, 0.1, 0.1, 0.1])  # the cheapest is best
    rest = 0.1 * outcomes(4)
    common = outcomes(1)
    rest[:, [1]] += 3 * common
    rest[:, [2]] -= 3 * common
    basis = fit_basis(rest, quality, cost)
    assert abs(basis[:, 1] @ np.array([0, 1, -1, 0]) / np.sqrt(2)) > 0.99


@pytest.mark.parametrize("n_tiers", [2, 3, 7])
def test_tiers_that_always_agree_still_have_an_orthonormal_basis(n_tiers: int) -> None:
    alike = np.repeat(outcomes(1), n_tiers, axis=1)
    for quality in (-np.arange(n_tiers, dtype=float), np.zeros(n_tiers)):
        assert_orthonormal(fit_basis(alike, quality, np.arange(n_tiers, dtype=float)))
    pair = outcomes(n_tiers)
    pair[:, 1] = pair[:, 0]
    assert_orthonormal(fit_basis(pair, np.zeros(n_tiers), np.arange(n_tiers, dtype=float)))


def test_steps_that_are_not_known_for_every_tier_are_left_out() -> None:
    rest = outcomes(4)
    holed = np.concatenate([rest, outcomes(4, 100, seed=5) * 50])
    holed[200:, 2] = np.nan
    quality, cost = np.zeros(4), np.arange(4.0)
    np.testing.assert_allclose(fit_basis(holed, quality, cost), fit_basis(rest, quality, cost))


@pytest.mark.parametrize(("n_known", "split"), [(29, False), (31, True)])
def test_below_three_complete_steps_in_ten_the_basis_is_the_tiers(
    n_known: int, split: bool
) -> None:
    rest = outcomes(3, 100)
    rest[n_known:, 0] = np.nan
    basis = fit_basis(rest, *rising(3))
    assert is_split(basis) is split
    assert np.array_equal(basis, np.eye(3)) is not split


def test_the_hull_leaves_out_tiers_that_a_mix_of_others_beats() -> None:
    cost = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    quality = np.array([0.5, 0.55, 0.8, 0.7, 0.9])
    assert upper_hull(cost, quality) == [0, 2, 4]


def test_the_hull_of_a_cheapest_best_tier_is_that_tier() -> None:
    assert upper_hull(np.array([1.0, 2.0]), np.array([0.9, 0.9])) == [0]


def test_components_share_nothing_and_tiers_share_all() -> None:
    basis = fit_basis(outcomes(3), *rising(3))
    assert [g.tolist() for g in component_groups(basis)] == [[0], [1], [2]]
    assert [g.tolist() for g in component_groups(np.eye(3))] == [[0, 1, 2]]


def test_a_full_basis_loses_nothing_and_unknown_stays_unknown() -> None:
    rest = outcomes(3)
    basis = fit_basis(rest, *rising(3))
    np.testing.assert_allclose(to_components(rest, basis) @ basis.T, rest)
    holed = rest.copy()
    holed[0, 1] = np.nan
    assert np.isnan(to_components(holed, basis)[0]).all()
    np.testing.assert_array_equal(to_components(holed, np.eye(3)), holed)


def test_the_level_and_the_contrasts_add_up_to_what_was_said() -> None:
    basis = fit_basis(outcomes(3), *rising(3))
    said = outcomes(3, 10)
    level, contrasts = split_level(said, basis)
    np.testing.assert_allclose(level + contrasts, said @ basis.T)
    assert (np.ptp(level, axis=1) < 1e-12).all()
    np.testing.assert_allclose(contrasts.sum(axis=1), 0, atol=1e-12)


def test_where_the_basis_is_the_tiers_there_is_no_common_level() -> None:
    said = outcomes(3, 10)
    level, contrasts = split_level(said, np.eye(3))
    assert not level.any()
    np.testing.assert_array_equal(contrasts, said)


def test_heeding_less_scales_the_contrasts_and_leaves_the_level() -> None:
    weights, basis = np.ones((2, 3)), fit_basis(outcomes(3), *rising(3))
    assert heed(weights, basis, 0.25).tolist() == [[1.0, 0.25, 0.25]] * 2
    assert heed(weights, np.eye(3), 0.25).tolist() == [[0.25] * 3] * 2
