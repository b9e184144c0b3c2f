"""A certificate as the graph's floor table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.router_model.policies import random_spec
from tierwise.router_model.floors import floor_table

LEVELS = [0.8, 0.9, 0.95, 1.0]


def certificate(**points: list[int]) -> dict[str, Any]:
    strata = [{"name": name, "points": list(reached)} for name, reached in points.items()]
    return {"floor": {"kind": "retain", "level": 0.95}, "levels": LEVELS, "strata": strata}


def farthest(row: np.ndarray, floor: float) -> int:
    """How far the graph goes: the last point whose strictest floor is at least the one asked."""
    return int((row >= np.float32(floor)).sum()) - 1


def test_each_level_goes_exactly_as_far_as_it_is_certified() -> None:
    table = floor_table(certificate(rest=[7, 5, 2, 0]), random_spec())
    for row in table.strictest:
        assert [farthest(row, level) for level in LEVELS] == [7, 5, 2, 0]


def test_between_two_levels_the_stricter_one_counts() -> None:
    row = floor_table(certificate(rest=[7, 5, 2, 0]), random_spec()).strictest[0]
    assert farthest(row, 0.85) == 5
    assert farthest(row, 0.99) == 0
    assert farthest(row, 0.1) == 7


def test_the_strictest_floor_never_rises_along_the_path() -> None:
    table = floor_table(certificate(rest=[8, 8, 3, 1], planner=[4, 0, 0, 0]), random_spec())
    assert (table.strictest[:, 0] == np.inf).all()
    with np.errstate(invalid="ignore"):
        falls = np.diff(table.strictest, axis=1)
    assert not (falls > 0).any()


def test_a_role_of_its_own_has_its_row_and_all_others_that_of_the_rest() -> None:
    spec = random_spec()
    assert spec.roles == ("worker", "planner", "critic")
    table = floor_table(certificate(rest=[6, 4, 2, 0], planner=[3, 1, 0, 0]), spec)
    reached = [[farthest(row, level) for level in LEVELS] for row in table.strictest]
    assert reached == [[6, 4, 2, 0], [3, 1, 0, 0], [6, 4, 2, 0], [6, 4, 2, 0]]


def test_the_rest_serves_a_role_that_nobody_knows() -> None:
    table = floor_table(certificate(rest=[6, 4, 2, 0]), random_spec())
    np.testing.assert_array_equal(table.strictest[-1], table.strictest[0])


def test_a_stratum_that_is_not_there_lends_nothing() -> None:
    table = floor_table(certificate(planner=[6, 4, 2, 0]), random_spec())
    assert [farthest(row, 0.8) for row in table.strictest] == [0, 6, 0, 0]
    assert table.default.tolist() == [np.inf, np.float32(0.95), np.inf, np.inf]


@pytest.mark.parametrize("nothing", [[-1, -1, -1, -1], [0, 0, 0, 0]])
def test_nothing_certified_is_the_reference_at_every_floor(nothing: list[int]) -> None:
    table = floor_table(certificate(rest=nothing), random_spec())
    assert {farthest(row, level) for row in table.strictest for level in LEVELS} == {0}


def test_the_default_is_the_floor_that_was_asked_for() -> None:
    table = floor_table(certificate(rest=[7, 5, 2, 0]), random_spec())
    assert table.default.tolist() == [np.float32(0.95)] * 4
