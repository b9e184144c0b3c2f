"""Savings by certificate: from parts that share no unit, with the floor's own code."""

from __future__ import annotations

import numpy as np
import pytest
from outcome_tables import outcome_table

from tierwise.eval.certified_saving import LEVELS, Certified, as_dict, certified_saving
from tierwise.eval.few_steps import JUDGED, STEPS, FewSteps, few_steps, parts
from tierwise.eval.few_steps import as_dict as few_as_dict
from tierwise.eval.judged_table import Table, read_table
from tierwise.training.fit import FitParams

FIT = FitParams()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_table(outcome_table(tmp_path_factory.mktemp("certified") / "t.parquet", n=1_600))


def test_what_is_certified_saves_less_than_the_best_point_of_the_path(table: Table) -> None:
    found = certified_saving(table, 0, FIT)
    assert found.saved[0] > 0.1
    assert found.saved[0] >= found.saved[1] >= 0
    for i, level in enumerate(LEVELS):
        assert found.kept[i] >= level
        assert found.saved[i] <= found.swept[i] + 1e-9


def test_draws_are_told_by_mean_range_and_share_of_broken_floors() -> None:
    draws = [
        Certified(np.array([s, 0.1]), np.array([k, 1.0]), np.array([0.6, 0.5]))
        for s, k in ((0.2, 0.96), (0.4, 0.94))
    ]
    found = as_dict(draws)
    assert found is not None
    assert found["95"]["saved"] == pytest.approx(0.3)
    assert (found["95"]["saved_low"], found["95"]["saved_high"]) == (0.2, 0.4)
    assert (found["95"]["broken"], found["98"]["broken"]) == (0.5, 0.0)
    assert as_dict([]) is None


def test_after_few_steps_the_router_is_ahead_where_the_text_tells(table: Table) -> None:
    found = few_steps(table, 0, FIT)
    assert found.task_mean < 0.1
    assert found.router > found.task_mean + 0.3


def test_few_steps_are_told_by_mean_difference_and_its_standard_error() -> None:
    found = few_as_dict([FewSteps(0.3, 0.1), FewSteps(0.2, 0.2), FewSteps(float("nan"), 0.0)])
    assert found is not None
    assert found["difference"] == pytest.approx(0.1)
    assert found["standard_error"] == pytest.approx(0.1)
    assert (found["draws"], found["behind"]) == (2, 0.0)


def test_few_steps_are_whole_units_apart_from_those_they_are_judged_on() -> None:
    unit = np.repeat(np.arange(1_500).astype(str), 3)
    learn, asked = parts(unit, np.random.default_rng(0))
    assert set(unit[learn]).isdisjoint(unit[asked])
    assert (learn.sum(), asked.sum()) == (STEPS, JUDGED)
    assert all(learn[unit == one].all() for one in set(unit[learn]))
