"""Tables: shrunken means of categories, and an unknown category that says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.training.tables import codes, fit_tables


def zeros(n: int) -> np.ndarray:
    return np.zeros(n, np.int64)


def test_an_unknown_category_has_the_row_behind_the_vocabulary() -> None:
    column = np.array([0.0, np.nan, 2.0], np.float32)
    assert codes(column, 3).tolist() == [0, 3, 2]


def test_a_task_moves_towards_the_mean_by_its_steps_over_steps_plus_prior() -> None:
    outcome = np.array([[1.0]] * 3 + [[0.0]] * 9)
    task = np.repeat([0, 1], [3, 9])
    tables = fit_tables(outcome, task, zeros(12), 2, 0, prior=6.0)
    mean = 3 / 12
    assert tables.task[0, 0] == pytest.approx(mean + 3 / (3 + 6) * (1 - mean))
    assert tables.task[1, 0] == pytest.approx(mean + 9 / (9 + 6) * (0 - mean))


def test_the_larger_the_prior_the_nearer_a_task_to_the_mean() -> None:
    outcome, task = np.array([[1.0], [0.0], [0.0]]), np.array([0, 1, 1])
    found = [fit_tables(outcome, task, zeros(3), 2, 0, p).task[0, 0] for p in (0.1, 1, 10, 1e6)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(1 / 3, abs=1e-5)


def test_unknown_task_and_role_give_the_tiers_mean() -> None:
    rng = np.random.default_rng(0)
    outcome, task, role = rng.random((50, 2)), rng.integers(0, 3, 50), rng.integers(0, 2, 50)
    tables = fit_tables(outcome, task, role, 3, 2, 5.0)
    unknown = tables.predict(np.array([3]), np.array([2]))
    np.testing.assert_allclose(unknown[0], outcome.mean(axis=0))


def test_steps_of_an_unknown_role_teach_nothing_about_the_next_unknown_role() -> None:
    outcome = np.array([[0.0], [0.0], [1.0], [1.0]])
    role = np.array([0, 0, 1, 1])  # 1 is the unknown one
    tables = fit_tables(outcome, zeros(4), role, 0, 1, 1.0)
    assert tables.role[1, 0] == 0.0
    assert tables.role[0, 0] < 0.0


def test_task_and_role_add_up() -> None:
    task, role = np.repeat([0, 1], 200), np.tile([0, 1], 200)
    outcome = (0.2 + 0.4 * task + 0.1 * role)[:, None]
    tables = fit_tables(outcome, task, role, 2, 2, prior=0.01)
    np.testing.assert_allclose(tables.predict(task, role), outcome, atol=1e-3)


def test_unknown_outcomes_leave_the_other_tiers_alone() -> None:
    rng = np.random.default_rng(1)
    outcome, task = rng.random((40, 2)), rng.integers(0, 2, 40)
    holed = outcome.copy()
    holed[::2, 1] = np.nan
    whole = fit_tables(outcome, task, zeros(40), 2, 0, 3.0)
    part = fit_tables(holed, task, zeros(40), 2, 0, 3.0)
    alone = fit_tables(outcome[1::2], task[1::2], zeros(20), 2, 0, 3.0)
    np.testing.assert_allclose(part.task[:, 0], whole.task[:, 0])
    np.testing.assert_allclose(part.task[:, 1], alone.task[:, 1])


def test_a_tier_without_any_outcome_has_a_table_of_zeros() -> None:
    outcome = np.array([[0.5, np.nan], [0.7, np.nan]])
    assert not fit_tables(outcome, zeros(2), zeros(2), 1, 1, 1.0).task[:, 1].any()
