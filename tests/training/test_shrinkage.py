"""Tables shrink each component with a strength of its own, and each is chosen out of fold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from tierwise.training.learn_data import LearnData
from tierwise.training.shrinkage import (
    Shrinkage,
    alike,
    choose_overall,
    choose_shrinkage,
    fit_shrunk,
    tables_out_of_fold,
)
from tierwise.training.tables import Tables, fit_tables

LEVEL = np.ones((3, 1)) / np.sqrt(3)
BASIS = np.linalg.svd(LEVEL)[0] * [-1, 1, 1]  # the level, then two contrasts
PRIORS = (1.0, 10.0, 100.0, 1000.0)
EACH = [np.array([c]) for c in range(3)]


def world(
    level: float, contrasts: float, n_tasks: int = 30, each: int = 20, seed: int = 0
) -> LearnData:
    """Three tiers whose tasks differ by so much in level and contrasts, under noise of 0.3."""
    rng = np.random.default_rng(seed)
    n = n_tasks * each
    effect = rng.normal(size=(n_tasks, 3)) * [level, contrasts, contrasts] @ BASIS.T
    task, role = np.repeat(np.arange(n_tasks), each), rng.integers(0, 3, n)
    quality = 0.5 + effect[task] + 0.1 * (role == 0)[:, None] + rng.normal(0, 0.3, (n, 3))
    nothing = np.zeros((n, 0), np.float32)
    return LearnData(
        quality, task, role, (n_tasks, 2), sp.csr_matrix((n, 0)), nothing, nothing,
        np.zeros(0, np.bool_),
    )  # fmt: skip


def folds_of(data: LearnData) -> np.ndarray:
    return np.arange(len(data.task)) % 5


def units_of(data: LearnData) -> np.ndarray:
    return np.arange(len(data.task)).astype(np.str_)


def plain(data: LearnData, prior: float) -> Tables:
    return fit_tables(data.quality, data.task, data.role, *data.sizes, prior)


def assert_same(one: Tables, other: Tables) -> None:
    np.testing.assert_allclose(one.task, other.task, atol=1e-12)
    np.testing.assert_allclose(one.role, other.role, atol=1e-12)


def holed(data: LearnData, n_complete: int = 100) -> LearnData:
    """Most steps known for one tier, as where few were tried on all."""
    rng = np.random.default_rng(1)
    one = np.arange(3) == rng.integers(0, 3, len(data.task))[:, None]
    complete = np.arange(len(data.task))[:, None] % (len(data.task) // n_complete) == 0
    return dataclasses.replace(data, quality=np.where(one | complete, data.quality, np.nan))


def test_of_complete_steps_each_component_is_shrunk_as_if_it_were_fitted_alone() -> None:
    data = world(0.3, 0.1)
    found = fit_shrunk(data, Shrinkage(7.0, BASIS, (1.0, 30.0, 300.0)))
    for c, prior in enumerate((1.0, 30.0, 300.0)):
        outcome = data.quality @ BASIS[:, [c]]
        alone = fit_tables(outcome, data.task, data.role, *data.sizes, prior)
        np.testing.assert_allclose(found.task @ BASIS[:, c], alone.task[:, 0], atol=1e-12)
        np.testing.assert_allclose(found.role @ BASIS[:, c], alone.role[:, 0], atol=1e-12)


def test_a_stronger_shrinkage_of_one_component_leaves_the_others_where_they_were() -> None:
    data = holed(world(0.3, 0.3))
    weak, strong = (fit_shrunk(data, Shrinkage(7.0, BASIS, (3.0, p, 3.0))) for p in (3.0, 300.0))
    moved = (strong.task - weak.task) @ BASIS
    np.testing.assert_allclose(moved[:, [0, 2]], 0.0, atol=1e-12)
    spread = [(tables.task @ BASIS)[:-1, 1].std() for tables in (weak, strong)]
    assert spread[1] < 0.3 * spread[0]


def test_what_no_component_holds_is_shrunk_by_the_overall_strength() -> None:
    data = world(0.3, 0.3)
    found, overall = fit_shrunk(data, Shrinkage(7.0, LEVEL, (100.0,))), plain(data, 7.0)
    np.testing.assert_allclose(found.task @ BASIS[:, 1:], overall.task @ BASIS[:, 1:], atol=1e-12)
    assert np.abs((found.task - overall.task) @ LEVEL).max() > 0.1


@pytest.mark.parametrize("complete", [True, False])
def test_one_strength_everywhere_gives_the_plain_tables(complete: bool) -> None:
    data = world(0.3, 0.1) if complete else holed(world(0.3, 0.1))
    assert_same(fit_shrunk(data, alike(7.0, 3)), plain(data, 7.0))
    assert_same(fit_shrunk(data, Shrinkage(7.0, BASIS, (7.0, 7.0, 7.0))), plain(data, 7.0))


def test_steps_known_for_one_tier_take_part() -> None:
    data = world(0.5, 0.1)
    one_tier = np.where(np.arange(3) == 1, data.quality, np.nan)
    of_task = (data.task == 4)[:, None]
    data = dataclasses.replace(data, quality=np.where(of_task, one_tier, data.quality))
    better = dataclasses.replace(data, quality=data.quality + of_task)
    shrinkage = Shrinkage(7.0, BASIS, (1.0, 30.0, 30.0))
    before, after = (fit_shrunk(d, shrinkage) for d in (data, better))
    assert ((after.task - before.task) @ LEVEL)[4, 0] > 0.3


def test_where_tasks_differ_in_level_alone_contrasts_are_shrunk_hard_and_the_level_is_not() -> None:
    data = world(level=0.5, contrasts=0.0)
    found = choose_shrinkage(data, folds_of(data), units_of(data), PRIORS, 10.0, BASIS, EACH)
    assert found.component[0] == 1.0
    assert min(found.component[1:]) >= 100.0
    assert found.overall == 10.0


def test_where_tasks_differ_in_contrasts_alone_it_is_the_level_that_is_shrunk_hard() -> None:
    data = world(level=0.0, contrasts=0.5, n_tasks=100)
    found = choose_shrinkage(data, folds_of(data), units_of(data), PRIORS, 10.0, BASIS, EACH)
    assert found.component[0] >= 100.0
    assert max(found.component[1:]) == 1.0


def test_a_strength_for_each_component_leaves_less_error_than_one_for_all() -> None:
    data, asked = world(level=0.5, contrasts=0.05), world(level=0.5, contrasts=0.05, each=2000)
    overall = choose_overall(data, folds_of(data), PRIORS)
    own = choose_shrinkage(data, folds_of(data), units_of(data), PRIORS, overall, BASIS, EACH)
    errors = []
    for shrinkage in (alike(overall, 3), own):
        rest = asked.quality - fit_shrunk(data, shrinkage).predict(asked.task, asked.role)
        errors.append(((rest @ BASIS[:, 1:]) ** 2).mean())
    noise = 0.3**2
    assert errors[1] - noise < 0.7 * (errors[0] - noise)


def test_a_strength_that_is_better_by_chance_alone_is_not_taken() -> None:
    moved = []
    for seed in range(40):
        data = world(level=0.3, contrasts=0.3, n_tasks=8, each=5, seed=seed)
        overall = choose_overall(data, folds_of(data), (3.0, 4.0, 5.0))
        found = choose_shrinkage(
            data, folds_of(data), units_of(data), (3.0, 4.0, 5.0), overall, BASIS, EACH
        )
        moved += [prior != overall for prior in found.component]
    assert np.mean(moved) < 0.13  # without the doubt it is .18


def test_components_that_share_a_strength_get_the_one_that_is_best_for_both() -> None:
    data = world(level=0.5, contrasts=0.0)
    together = [np.arange(3)]
    found = choose_shrinkage(data, folds_of(data), units_of(data), PRIORS, 10.0, BASIS, together)
    assert found.component == (choose_overall(data, folds_of(data), PRIORS),) * 3


def test_the_overall_strength_is_weak_where_tasks_differ_and_strong_where_not() -> None:
    apart, equal = (holed(world(spread, spread)) for spread in (0.8, 0.0))
    assert choose_overall(apart, folds_of(apart), PRIORS) == 1.0
    assert choose_overall(equal, folds_of(equal), PRIORS) >= 100.0


def test_no_fold_hears_of_its_own_outcomes() -> None:
    data, shrinkage = world(0.3, 0.1), Shrinkage(7.0, BASIS, (1.0, 30.0, 300.0))
    held = folds_of(data) == 2
    other = dataclasses.replace(data, quality=np.where(held[:, None], 9.0, data.quality))
    before, after = (tables_out_of_fold(d, folds_of(data), shrinkage) for d in (data, other))
    np.testing.assert_array_equal(before[held], after[held])
    assert (before[~held] != after[~held]).all()
