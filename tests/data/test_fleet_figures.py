"""The yardstick of the fleet, and that the default fleet is neither trivial nor hopeless."""

import numpy as np
import pytest

from tierwise.data.fleet import FleetParams, draw, make_world
from tierwise.data.fleet_figures import report, routing_gain, saved, task_table


def test_routing_gain_is_one_for_the_oracle_and_zero_for_a_fixed_tier():
    rng = np.random.default_rng(0)
    quality = (rng.random((500, 3)) < [0.5, 0.7, 0.8]).astype(float)
    cost = np.tile([1.0, 3.0, 10.0], (500, 1))
    assert routing_gain(quality, cost, quality, cost) == pytest.approx(1)
    fixed = np.tile(quality.mean(axis=0), (500, 1))
    assert routing_gain(fixed, cost, quality, cost) == pytest.approx(0, abs=1e-9)


def test_routing_gain_of_two_tiers_is_the_area_by_hand():
    # Cheap is right on half of the steps, dear on all; knowing which saves half of the way.
    quality = np.array([[1.0, 1.0], [0.0, 1.0]])
    cost = np.array([[0.0, 2.0], [0.0, 2.0]])
    assert routing_gain(quality, cost, quality, cost) == pytest.approx(1)
    assert saved(quality, cost, quality, cost, 1.0) == pytest.approx(0.5)


def test_the_default_fleet_leaves_room_above_the_task_table_and_below_the_oracle():
    world = make_world(FleetParams(), np.random.default_rng(0))
    fleet = draw(world, 3000, np.random.default_rng(1))
    test = fleet.plan.trace >= 1500
    table = task_table(fleet.plan.task, ~test, fleet.quality)
    price = task_table(fleet.plan.task, ~test, fleet.cost)
    outcome = fleet.quality[test], fleet.cost[test]
    by_table = routing_gain(table[test], price[test], *outcome)
    by_truth = routing_gain(fleet.true_quality[test], fleet.true_cost[test], *outcome)
    assert 0.15 < by_table < 0.35
    assert by_table + 0.15 < by_truth < 0.8
    assert 0.3 < saved(table[test], price[test], *outcome, 0.95) < 0.7


def test_the_report_names_every_part_and_every_tier():
    text = "\n".join(report(FleetParams(), 60))
    for word in ("role", "text", "trace", "noise", "small", "mid-high", "frontier", "saved@95"):
        assert word in text
