"""Learned quality: signal is found, noise is not, and nothing is graded on what it has seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.training.fits import COLUMNS, SMALL, make_steps, prices, small_fit
from tierwise.features.steps import LEARN, StepTable
from tierwise.training.fit import fill_values
from tierwise.training.quality import Quality, fit_quality
from tierwise.training.stack import squared_error


def learned(steps: StepTable, seed: int = 0) -> Quality:
    fill = fill_values(steps.context, COLUMNS)
    relative = np.tile(prices(3) / prices(3)[-1], (len(steps), 1))
    return fit_quality(steps, COLUMNS, fill, relative, SMALL, np.random.default_rng(seed))


def left_by_mean(quality: np.ndarray, estimate: np.ndarray) -> float:
    """Squared error over that of each tier's mean."""
    return squared_error(estimate, quality) / squared_error(quality.mean(axis=0), quality)


def test_task_text_and_context_together_explain_most_of_the_cheapest_tier() -> None:
    small = small_fit()
    quality = small.steps.of_part(LEARN).quality[:, 0]
    assert left_by_mean(quality, small.fitted.quality[:, 0]) < 0.25


@pytest.mark.parametrize("blinded", ["task", "text", "context"])
def test_each_source_of_signal_is_used(blinded: str) -> None:
    steps = make_steps().of_part(LEARN)
    context, text = steps.context.copy(), steps.text
    if blinded == "task":
        context[:, 1] = np.nan
    elif blinded == "context":
        context[:, 4] = np.nan
    else:
        text = (b"",) * len(steps)
        context[:, 2] = np.nan
    blind = learned(dataclasses.replace(steps, text=text, context=context))
    seeing = small_fit().fitted.quality
    error = squared_error(blind.out_of_fold, steps.quality)
    assert error > 1.15 * squared_error(seeing, steps.quality)


def test_no_estimate_is_made_by_a_model_that_saw_a_step_of_the_same_unit() -> None:
    rng = np.random.default_rng(3)
    steps = make_steps(400)
    unit = np.arange(400) // 4
    luck = np.repeat(rng.integers(0, 2, 100), 4).astype(np.float64)  # a coin a unit, told by no one
    text = tuple(b"unit%d unit%d unit%d" % (u, u, u) for u in unit)
    steps = dataclasses.replace(
        steps,
        unit=np.array([f"u{u}" for u in unit]),
        text=text,
        quality=np.stack([luck, np.full(400, 0.5), np.full(400, 0.6)], axis=1),
        context=np.full_like(steps.context, np.nan),
    )
    found = learned(steps).out_of_fold[:, 0]
    assert np.corrcoef(found, luck)[0, 1] < 0.15
    of_steps = dataclasses.replace(steps, unit=steps.step)  # what would happen if units were cut
    assert np.corrcoef(learned(of_steps).out_of_fold[:, 0], luck)[0, 1] > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_noise_hardly_moves_an_estimate_away_from_the_mean(seed: int) -> None:
    steps = make_steps()
    noise = np.random.default_rng(seed).random(steps.quality.shape)
    found = learned(dataclasses.replace(steps, quality=noise))
    assert left_by_mean(noise, found.out_of_fold) < 1.02
    assert found.out_of_fold.std(axis=0).max() < 0.25 * noise.std()


def test_weights_are_never_negative_and_small_ones_are_none() -> None:
    weights = small_fit().fitted.notes["weights"]
    assert isinstance(weights, dict)
    every = np.array([weights[name] for name in ("ridge", "trees", "network")])
    assert (every >= 0).all()
    assert every.max() > 0.3


def test_estimates_lie_between_0_and_1() -> None:
    found = small_fit().fitted.quality
    assert found.min() >= 0
    assert found.max() <= 1


def test_one_tier_a_step_teaches_the_text_as_well() -> None:
    steps = make_steps(900, feedback="logged")
    found = learned(steps)
    assert found.rows.rows[:, :3].any()
    assert found.rows.pair_rows[:, :3].any()
    truth = make_steps(900).quality[:, 0]
    assert left_by_mean(truth, found.out_of_fold[:, 0]) < 0.7


def test_a_tier_of_which_nothing_is_known_is_expected_to_do_nothing_well() -> None:
    steps = make_steps().of_part(LEARN)
    quality, cost = steps.quality.copy(), steps.cost.copy()
    quality[:, 1] = cost[:, 1] = np.nan
    found = learned(dataclasses.replace(steps, quality=quality, cost=cost))
    assert found.out_of_fold[:, 1].max() < 0.05
    assert left_by_mean(quality[:, 0], found.out_of_fold[:, 0]) < 0.5


def test_the_same_steps_give_the_same_rows() -> None:
    steps = make_steps().of_part(LEARN)
    one, two = learned(steps), learned(steps)
    for name in ("rows", "pair_rows"):
        ours, theirs = (getattr(of.rows, name).tobytes() for of in (one, two))
        assert ours == theirs
    assert one.out_of_fold.tobytes() == two.out_of_fold.tobytes()
