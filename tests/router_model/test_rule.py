"""The rule and its path."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tierwise.router_model.rule import ALWAYS, Path, choose, fit_path, scores

Float32 = np.ndarray


def path(*points: tuple[float, float]) -> Path:
    margin, weight = np.array(points, np.float32).T
    return Path(margin, weight)


def one(*values: float) -> Float32:
    return np.array([values], np.float32)


@pytest.fixture
def estimates() -> tuple[Float32, Float32]:
    rng = np.random.default_rng(0)
    quality = np.clip(np.linspace(0.5, 0.8, 4) + rng.normal(0, 0.15, (800, 4)), 0, 1)
    cost = 2.0 ** np.arange(-3, 1) * rng.uniform(0.8, 1.2, (800, 1))
    return quality.astype(np.float32), cost.astype(np.float32)


def test_a_score_is_quality_less_weighted_cost_plus_the_references_margin() -> None:
    found = scores(one(0.5, 0.8), one(0.2, 1.0), 1, margin=0.1, weight=0.3)
    np.testing.assert_allclose(found, [[0.5 - 0.06, 0.8 - 0.3 + 0.1]], rtol=1e-6)
    assert found.dtype == np.float32


def test_the_margin_keeps_the_reference_until_another_leads_by_more() -> None:
    points = path((ALWAYS, 0), (0.2, 0), (0.05, 0))
    assert choose(one(0.8, 0.7), one(0.1, 1.0), 1, points)[:, 0].tolist() == [1, 1, 0]


def test_a_rising_weight_gives_quality_away_for_savings() -> None:
    points = path((0, 0), (0, 0.1), (0, 0.5))
    assert choose(one(0.6, 0.9), one(0.1, 1.0), 1, points)[:, 0].tolist() == [1, 1, 0]


def test_ties_go_to_the_cheaper_tier() -> None:
    assert choose(one(0.4, 0.7, 0.7), one(0.1, 0.5, 1.0), 2, path((0, 0)))[0, 0] == 1


def test_point_0_serves_the_reference_whatever_the_estimates(
    estimates: tuple[Float32, Float32],
) -> None:
    for reference in range(4):
        tiers = choose(*estimates, reference, fit_path(*estimates, reference))
        assert (tiers[0] == reference).all()


def test_margins_fall_to_0_and_only_then_weights_rise_from_0(
    estimates: tuple[Float32, Float32],
) -> None:
    found = fit_path(*estimates, 3, 32)
    assert found.margin[0] == np.float32(ALWAYS)
    falls = np.diff(found.margin)
    assert (falls <= 0).all()
    assert found.margin[-1] == 0
    assert (np.diff(found.weight) >= 0).all()
    assert (found.weight[found.margin > 0] == 0).all()
    assert 0.8 * 32 < len(found) <= 33
    assert (np.diff(found.weight[found.margin == 0]) > 0).all()


def test_the_last_point_serves_the_cheapest_tier_even_where_savings_are_rare() -> None:
    rng = np.random.default_rng(1)
    quality = rng.random((500, 3)).astype(np.float32)
    cost = np.sort(np.exp(2 * rng.normal(size=(500, 3))), axis=1).astype(np.float32)
    assert not choose(quality, cost, 2, fit_path(quality, cost, 2))[-1].any()


def test_the_last_point_serves_the_cheapest_tier(estimates: tuple[Float32, Float32]) -> None:
    tiers = choose(*estimates, 3, fit_path(*estimates, 3))
    assert not tiers[-1].any()


def test_each_point_spends_less_than_the_one_before_once_the_margin_is_gone(
    estimates: tuple[Float32, Float32],
) -> None:
    quality, cost = estimates
    found = fit_path(quality, cost, 3)
    tiers = choose(quality, cost, 3, found)
    spent = np.take_along_axis(cost[None], tiers[:, :, None], 2).mean(axis=(1, 2))
    assert (np.diff(spent[found.margin == 0]) < 0).all()


def test_thresholds_lie_midway_between_observed_leads() -> None:
    lead = np.array([0.1, 0.2, 0.4], np.float32)
    quality = np.stack([0.5 + lead, np.full(3, 0.5)], axis=1).astype(np.float32)
    found = fit_path(quality, np.ones((3, 2), np.float32), 1, 10)
    inner = found.margin[(found.margin > 0) & (found.margin < 1)]
    np.testing.assert_allclose(inner, [0.3, 0.15], rtol=1e-5)


def test_points_move_about_as_many_steps_each(estimates: tuple[Float32, Float32]) -> None:
    quality, cost = estimates
    found = fit_path(quality, cost, 3, 24)
    tiers = choose(quality, cost, 3, found)
    early = [(a != b).mean() for a, b in pairwise(tiers[:12])]
    assert max(early) < 2 * np.mean(early)


@pytest.mark.parametrize("n_tiers", [2, 16])
def test_equal_estimates_need_few_points_and_end_at_the_cheapest(n_tiers: int) -> None:
    quality = np.full((30, n_tiers), 0.7, np.float32)
    cost = np.tile(np.arange(1, n_tiers + 1, dtype=np.float32), (30, 1))
    found = fit_path(quality, cost, n_tiers - 1)
    tiers = choose(quality, cost, n_tiers - 1, found)
    assert (tiers[0] == n_tiers - 1).all()
    assert not tiers[-1].any()
    assert len(found) < 5


def test_no_steps_at_all_still_have_a_path_from_the_reference() -> None:
    found = fit_path(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), 1)
    assert found.margin[0] == np.float32(ALWAYS)
    assert found.weight[-1] > 0
