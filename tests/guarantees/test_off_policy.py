"""A small share of what `run.py --only off_policy` does: intervals, and retries that mislead."""

from __future__ import annotations

from dataclasses import replace

import pytest
from off_policy import Coverage, OffPolicyCell, as_table, off_policy_cells, run_off_policy
from retries import run_retries

WORLDS = 60


@pytest.mark.parametrize("cell", off_policy_cells(), ids=lambda cell: cell.name)
def test_intervals_hold_the_truth_as_often_as_they_say(cell: OffPolicyCell) -> None:
    found = run_off_policy(cell, WORLDS, seed=1)
    assert found.holds, as_table([found])[-1]
    assert found.refused < WORLDS / 10


def test_the_outcome_model_alone_hardly_ever_holds_the_truth() -> None:
    hidden = next(cell for cell in off_policy_cells() if cell.hidden and not cell.uneven)
    assert run_off_policy(hidden, 40, seed=2).covered["direct"] < 0.1


def test_the_worlds_can_tell_intervals_by_step_from_intervals_by_unit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps of a trace share an effect: taken for independent, they promise too much."""
    cell = OffPolicyCell("long traces", 60, 40, 0.6, effect=3.0)
    draw = run_off_policy.__globals__["_log"]

    def stepwise(*args: object) -> object:
        target, logged, outcome = draw(*args)
        return target, replace(logged, unit=logged.step), outcome

    by_unit = run_off_policy(cell, WORLDS, seed=3)
    monkeypatch.setitem(run_off_policy.__globals__, "_log", stepwise)
    by_step = run_off_policy(cell, WORLDS, seed=3)
    assert by_unit.holds
    assert by_step.covered["snips"] < by_unit.covered["snips"] - 0.1


def test_with_little_weight_nothing_is_said() -> None:
    cell = OffPolicyCell("hardly any exploration", 800, 1, 0.06)
    found = run_off_policy(cell, 20, seed=4)
    assert found.effective < 200
    assert found.refused == 20


def test_retries_pooled_with_first_attempts_mislead_and_ours_are_not() -> None:
    found = run_retries(5, seed=5)
    assert found.truth == pytest.approx(0.876, abs=0.001)
    assert found.pooled == pytest.approx(0.824, abs=0.01)
    assert found.alone == pytest.approx(0.750, abs=0.02)
    assert found.ours == pytest.approx(found.truth, abs=0.01)


def test_a_cell_that_fails_is_named_in_the_table() -> None:
    rates = {"snips": 0.95, "doubly robust": 0.9, "direct": 0.1}
    half = dict.fromkeys(rates, 0.02)
    bad = Coverage(off_policy_cells()[0], 1_000, 0, 0.75, 300.0, rates, half)
    assert not bad.holds
    assert "0.900 (0.02)" in as_table([bad])[-1]
    assert as_table([bad])[-1].count("FAILS") == 1
