"""APGR and CPT by hand, and at their ends."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.eval.routellm import beside, routellm


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_random_score_recovers_half_of_the_gap() -> None:
    quality = np.stack([rng().random(20_000) < 0.5, rng().random(20_000) < 0.9], axis=1) * 1.0
    found = beside(quality, np.random.default_rng(1))["random"]
    assert found.apgr == pytest.approx(0.5, abs=0.02)
    assert found.cpt["50"] == pytest.approx(0.5, abs=0.03)
    assert found.cpt["80"] == pytest.approx(0.8, abs=0.03)


def test_the_metric_of_a_known_order_is_the_area_by_hand() -> None:
    """The strong tier is better on the hardest fifth alone: all is recovered at 20 % of calls."""
    score = np.arange(100.0)
    quality = np.stack([score < 80, np.ones(100)], axis=1).astype(float)
    found = routellm(score, quality, rng())
    assert found.apgr == pytest.approx(0.05 * (0 + 0.5) + 0.05 * (0.5 + 1) + 0.8)
    assert found.cpt["50"] == pytest.approx(0.1)
    assert found.cpt["80"] == pytest.approx(0.16)


def test_a_score_that_says_nothing_is_a_random_one_whatever_the_order_of_steps() -> None:
    quality = np.stack([np.arange(10_000) < 5_000, np.ones(10_000)], axis=1).astype(float)
    assert routellm(np.zeros(10_000), quality, rng()).apgr == pytest.approx(0.5, abs=0.03)


def test_nothing_is_recovered_where_the_strong_tier_is_not_better() -> None:
    found = routellm(np.arange(10.0), np.ones((10, 2)), rng())
    assert np.isnan([found.apgr, *found.cpt.values()]).all()


def test_knowing_every_outcome_recovers_more_than_the_gap() -> None:
    quality = np.random.default_rng(1).integers(0, 2, (5_000, 2)).astype(float)
    quality[:500, 1] = 1.0
    assert beside(quality, rng())["oracle"].apgr > 1.0
