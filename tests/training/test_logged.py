"""Pseudo-outcomes: without bias whatever the logging policy looked at."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from tests.training.fits import ROLES, TASKS, make_steps
from tierwise.data.errors import BadInput
from tierwise.features.steps import StepTable
from tierwise.training.logged import Estimator, drawn_steps, effective_steps, pseudo_outcomes

SIZES = (len(TASKS), len(ROLES))


@lru_cache
def _steps(n: int, n_tiers: int) -> StepTable:
    return make_steps(n, 0, n_tiers)


def world(n: int = 6_000, n_tiers: int = 3, seed: int = 0) -> tuple[StepTable, StepTable]:
    """Return steps with every outcome, and the same as a policy that saw the truth logged them.

    It serves the cheapest tier where that one is right, else the dearest; a fifth is drawn evenly.
    """
    rng = np.random.default_rng(seed)
    full = _steps(n, n_tiers)
    quality = (rng.random((n, n_tiers)) < np.linspace(0.4, 0.8, n_tiers)).astype(np.float64)
    full = replace(full, quality=quality)
    greedy = np.where(quality[:, 0] == 1, 0, n_tiers - 1)
    chance = np.full((n, n_tiers), 0.2 / n_tiers)
    chance[np.arange(n), greedy] += 0.8
    served = (chance.cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1)
    hide = np.where(np.arange(n_tiers) == served[:, None], 1.0, np.nan)
    logged = replace(
        full, quality=quality * hide, cost=full.cost * hide, latency=full.latency * hide,
        valid=full.valid * hide, served=served, propensity=chance[np.arange(n), served],
        propensities=chance, feedback="logged",
    )  # fmt: skip
    return full, logged


@pytest.fixture(scope="module")
def both() -> tuple[StepTable, StepTable]:
    return world()


@pytest.mark.parametrize("estimator", ["dr", "ips"])
def test_means_of_tiers_come_out_as_if_every_tier_had_answered(
    both: tuple[StepTable, StepTable], estimator: Estimator
) -> None:
    full, logged = both
    found = pseudo_outcomes(logged, SIZES, np.random.default_rng(0), estimator)
    error = found.quality.std(axis=0) / np.sqrt(len(full))
    naive = np.nanmean(logged.quality, axis=0)
    assert (np.abs(found.quality.mean(axis=0) - full.quality.mean(axis=0)) < 4 * error).all()
    assert naive[0] > full.quality[:, 0].mean() + 0.3  # what was served flatters the cheap tier


def test_a_guess_makes_what_is_made_up_less_noisy(both: tuple[StepTable, StepTable]) -> None:
    rng = np.random.default_rng(0)
    corrected = pseudo_outcomes(both[1], SIZES, rng, "dr").quality
    alone = pseudo_outcomes(both[1], SIZES, rng, "ips").quality
    assert corrected.std(axis=0).mean() < 0.9 * alone.std(axis=0).mean()


def test_a_guess_never_saw_the_outcome_it_is_corrected_by(
    both: tuple[StepTable, StepTable],
) -> None:
    logged = both[1]
    at = int(np.flatnonzero(logged.served == 1)[0])
    other = logged.quality.copy()
    other[at, 1] = 1 - other[at, 1]
    found = [
        pseudo_outcomes(replace(logged, quality=q), SIZES, np.random.default_rng(0)).quality[at]
        for q in (logged.quality, other)
    ]
    assert found[0][0] == found[1][0]  # the guess for another tier of the same step
    difference = abs(found[0][1] - found[1][1])
    assert difference == pytest.approx(1 / logged.propensity[at])


@pytest.mark.parametrize("propensity", [np.nan, 1.0])
def test_a_step_whose_tier_was_not_drawn_teaches_nothing_about_tiers(
    both: tuple[StepTable, StepTable], propensity: float
) -> None:
    chance = both[1].propensity.copy()
    chance[:100] = propensity
    logged = replace(both[1], propensity=chance)
    found = pseudo_outcomes(logged, SIZES, np.random.default_rng(0))
    assert np.isnan(found.quality[:100]).all()
    assert not drawn_steps(logged)[:100].any()


def test_logs_without_any_draw_are_left_as_they_are(both: tuple[StepTable, StepTable]) -> None:
    logged = replace(both[1], propensity=np.full(len(both[1]), np.nan))
    assert pseudo_outcomes(logged, SIZES, np.random.default_rng(0)) is logged


def test_a_tier_that_could_not_have_been_served_stays_unknown(
    both: tuple[StepTable, StepTable],
) -> None:
    logged = both[1]
    at = np.flatnonzero(logged.served == 2)[:50]
    chance = logged.propensities.copy()
    chance[at, 0] = 0.0
    found = pseudo_outcomes(replace(logged, propensities=chance), SIZES, np.random.default_rng(0))
    assert np.isnan(found.quality[at, 0]).all()
    assert not np.isnan(found.quality[at, 1:]).any()


def test_an_outcome_that_nobody_judged_leaves_the_step_unknown(
    both: tuple[StepTable, StepTable],
) -> None:
    logged = both[1]
    quality = logged.quality.copy()
    quality[:30] = np.nan
    found = pseudo_outcomes(replace(logged, quality=quality), SIZES, np.random.default_rng(0))
    assert np.isnan(found.quality[:30]).all()
    assert not np.isnan(found.cost[:30]).any()


def test_what_ran_beside_the_served_tier_is_kept_as_it_was_seen(
    both: tuple[StepTable, StepTable],
) -> None:
    full, logged = both
    at = np.flatnonzero(logged.served == 2)[:40]
    quality = logged.quality.copy()
    quality[at, 0] = full.quality[at, 0]
    found = pseudo_outcomes(replace(logged, quality=quality), SIZES, np.random.default_rng(0))
    np.testing.assert_array_equal(found.quality[at, 0], full.quality[at, 0])
    assert not np.isnan(found.quality[at]).any()


def test_a_tier_of_a_few_draws_is_not_known() -> None:
    logged = world(300)[1]
    found = pseudo_outcomes(logged, SIZES, np.random.default_rng(0))
    thin = effective_steps(logged) < 50
    assert thin.any()
    assert np.isnan(found.quality[:, thin]).all()
    assert not np.isnan(found.quality[:, ~thin]).any()


def test_a_propensity_above_one_is_refused_and_the_step_named(
    both: tuple[StepTable, StepTable],
) -> None:
    propensity = both[1].propensity.copy()
    propensity[7] = 1.5
    with pytest.raises(BadInput, match=str(both[1].step[7])):
        pseudo_outcomes(replace(both[1], propensity=propensity), SIZES, np.random.default_rng(0))


def test_full_feedback_is_left_alone(both: tuple[StepTable, StepTable]) -> None:
    assert pseudo_outcomes(both[0], SIZES, np.random.default_rng(0)) is both[0]
