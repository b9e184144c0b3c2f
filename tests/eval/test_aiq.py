"""AIQ: the mean height of the hull between the cheapest and the dearest tier."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.eval.aiq import aiq

COST = np.array([[1.0, 5.0]])


def test_a_straight_line_between_two_tiers_has_the_mean_of_their_qualities() -> None:
    assert aiq((np.array([1.0, 5.0]), np.array([0.2, 0.8])), COST) == pytest.approx(0.5)


def test_a_router_that_reaches_the_best_at_half_the_way_has_three_quarters_of_the_rise() -> None:
    points = (np.array([1.0, 3.0, 5.0]), np.array([0.2, 0.8, 0.3]))
    assert aiq(points, COST) == pytest.approx(0.2 + 0.75 * 0.6)


def test_there_is_no_aiq_where_all_tiers_cost_the_same() -> None:
    assert np.isnan(aiq((np.ones(2), np.ones(2)), np.ones((3, 2))))
