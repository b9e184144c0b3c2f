"""A small share of `run.py`, so that a broken certifier fails within seconds."""

from __future__ import annotations

import numpy as np
import pytest
from run import as_markdown, summary
from worlds import Cell, Outcome, cells, certify_draw, population, run_cell

WORLDS = 120


def test_there_is_a_cell_for_every_combination() -> None:
    assert len(set(cells())) == 108


@pytest.mark.parametrize("kind", ["retain", "miss", "absolute"])
@pytest.mark.parametrize("steps", [1, 40])
def test_the_floor_is_kept_where_a_point_breaks_it_by_a_hair(kind: str, steps: int) -> None:
    outcome = run_cell(Cell(kind, steps, 2.0, True, 3), WORLDS, seed=1)
    assert outcome.broken <= outcome.allowed


@pytest.mark.parametrize("kind", ["miss", "absolute"])
@pytest.mark.parametrize("binary", [True, False])
def test_independent_steps_keep_most_of_the_saving(kind: str, binary: bool) -> None:
    assert run_cell(Cell(kind, 1, 1.0, binary, 3), 40, seed=2).kept >= 0.6


def test_the_worlds_can_tell_tests_on_steps_from_tests_on_units() -> None:
    cell = Cell("absolute", 40, 2.0, True, 3)
    on_steps = run_cell(cell, WORLDS, seed=3, stepwise=True)
    on_units = run_cell(cell, WORLDS, seed=3)
    assert on_steps.broken > on_steps.allowed
    assert on_units.broken <= on_units.allowed


def test_some_points_keep_the_floor_and_the_next_breaks_it_by_a_hair() -> None:
    for kind in ("retain", "miss", "absolute"):
        whole = population(Cell(kind, 1, 0.0, True, 3), np.random.default_rng(4))
        assert whole.gap[0] > 0
        assert -1e-5 < whole.gap[whole.gap < 0].max() < 0
        assert whole.knowing > 0.1


def test_a_world_is_repeated_by_its_seed() -> None:
    cell = Cell("retain", 20, 1.0, False, 3)
    whole = population(cell, np.random.default_rng(5))
    again = population(cell, np.random.default_rng(5))
    assert np.array_equal(whole.served, again.served)
    points = [certify_draw(w, 20, 200, np.random.default_rng(6)) for w in (whole, again)]
    assert points[0] == points[1]


def test_a_broken_cell_is_named_in_the_report() -> None:
    good = Outcome(Cell("miss", 1, 0.0, True, 3), 100, 0.05, 0.19, 0.0, 0.9, 0.5)
    bad = Outcome(Cell("retain", 1, 0.0, True, 3), 100, 0.5, 0.19, 0.0, 0.9, 0.5)
    weak = Outcome(Cell("absolute", 1, 0.0, True, 3), 100, 0.0, 0.19, 0.9, 0.1, 0.5)
    table = as_markdown([good, bad, weak])
    assert "0.500 BROKEN" in table
    assert "0.10 TOO LITTLE" in table
    assert "1 cells broken; 1 cells save less" in summary([good, bad, weak])
