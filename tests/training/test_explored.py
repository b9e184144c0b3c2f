"""Explored steps certify an absolute floor, whatever the logging policy looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.test_logged import world
from tierwise.features.steps import StepTable
from tierwise.training.explored import certify_explored, explored_slice
from tierwise.training.promise import Certificate, Floor


def certified(steps: StepTable, tier: int, level: float = 0.6) -> Certificate:
    """Certify "always that tier" from the kept steps."""
    rows = steps.rows(explored_slice(steps).kept)
    choice = np.full((1, len(rows)), tier)
    role = np.full(len(rows), "")
    return certify_explored(
        choice, rows, role, Floor("absolute", level), 0.1, reference="tier2", min_units=10**6
    )


def single(steps: StepTable) -> StepTable:
    """Let each step be a unit of its own."""
    return replace(steps, unit=steps.step)


def test_the_kept_steps_of_a_tier_are_as_good_as_the_tier() -> None:
    full, logged = world(20_000)
    kept = explored_slice(logged).kept
    for tier in range(3):
        mine = kept & (logged.served == tier)
        error = full.quality[:, tier].std() / np.sqrt(mine.sum())
        assert abs(full.quality[mine, tier].mean() - full.quality[:, tier].mean()) < 4 * error


def test_without_thinning_the_steps_that_match_are_the_easy_ones() -> None:
    full, logged = world(20_000)
    served = logged.served == 0
    assert full.quality[served, 0].mean() > full.quality[:, 0].mean() + 0.3


def test_each_tier_of_each_step_is_kept_at_the_same_rate() -> None:
    _, logged = world(20_000)
    found = explored_slice(logged)
    assert found.rate == pytest.approx(0.2 / 3)
    for tier in range(3):
        share = (found.kept & (logged.served == tier)).mean()
        assert share == pytest.approx(found.rate, rel=0.1)


def test_a_step_with_a_tier_that_could_not_be_drawn_does_not_count() -> None:
    _, logged = world(3_000)
    chance = logged.propensities.copy()
    chance[:500, 1] = 0.0
    chance[500:1000, 1] = np.nan
    found = explored_slice(replace(logged, propensities=chance))
    assert not found.kept[:1000].any()
    assert found.eligible == 2_000


def test_nobody_can_draw_the_thinning_again() -> None:
    _, logged = world(2_000)
    order = np.random.default_rng(5).permutation(len(logged))
    again = explored_slice(logged.rows(order)).kept
    np.testing.assert_array_equal(again, explored_slice(logged).kept[order])


@pytest.mark.parametrize("units_of_one", [True, False])
def test_a_floor_that_is_not_kept_is_certified_as_seldom_as_promised(units_of_one: bool) -> None:
    broken = 0
    for seed in range(100):
        _, logged = world(1_000, seed=seed)
        logged = single(logged) if units_of_one else logged
        level = 0.6  # exactly what tier 1 is worth, so that nothing above it is true
        broken += certified(logged, 1, level).chosen()["rest"] == 0
    assert broken <= 0.1 * 100 + 3 * np.sqrt(100 * 0.1 * 0.9)


@pytest.mark.parametrize("units_of_one", [True, False])
def test_a_floor_with_room_is_certified(units_of_one: bool) -> None:
    _, logged = world(12_000)
    logged = single(logged) if units_of_one else logged
    found = certified(logged, 2, 0.7)
    assert found.chosen() == {"rest": 0}
    assert "steps that may be explored" in found.promise()


def test_too_few_explored_steps_say_how_many_more_and_how_many_days() -> None:
    _, logged = world(300, seed=1)
    found = certified(single(logged), 2, 0.7)
    assert found.certified_nothing()
    assert found.explored is not None
    assert found.explored.needed > found.explored.steps > 0
    more = found.explored.needed - found.explored.steps
    told = replace(found, explored=replace(found.explored, per_day=more / 7.5))
    assert f"about {more} more are needed, 8 days at the present rate" in told.promise()


def test_a_reference_below_the_floor_is_not_helped_by_more_steps() -> None:
    _, logged = world(3_000)
    assert "no number of steps will show it" in certified(logged, 0, 0.7).promise()


def test_as_many_steps_as_it_asked_for_mostly_do() -> None:
    done = []
    for seed in range(20):
        _, logged = world(900, seed=seed)
        asked = certified(single(logged), 2, 0.65).explored
        assert asked is not None
        share = asked.needed / asked.steps
        n = min(int(900 * share) + 1, 20_000)
        _, more = world(n - n % 1_000 + 1_000, seed=100 + seed)
        done.append(not certified(single(more), 2, 0.65).certified_nothing())
    assert np.mean(done) >= 0.7


def test_a_certificate_of_explored_steps_is_read_back_as_it_was() -> None:
    _, logged = world(2_000)
    found = certified(logged, 2, 0.7)
    assert Certificate.from_dict(found.as_dict()) == found
