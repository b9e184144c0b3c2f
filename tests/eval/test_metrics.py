"""Identities that the metrics keep on any table, and figures that they reproduce on real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tierwise.eval.controls import task_mean
from tierwise.eval.judged_table import deal, read_table
from tierwise.eval.metrics import (
    constants,
    curve,
    hull,
    oracle_points,
    reachable,
    routing_gain,
    saved_at,
    sweep,
    switching_weights,
)


def outcomes(n: int = 400, n_tiers: int = 3, seed: int = 0):
    rng = np.random.default_rng(seed)
    chance = np.linspace(0.4, 0.9, n_tiers) * rng.random((n, 1)) ** 0.3
    quality = (rng.random((n, n_tiers)) < chance).astype(float)
    cost = np.geomspace(0.001, 0.02, n_tiers) * (0.5 + rng.random((n, 1)))
    return quality, cost


def test_knowing_every_outcome_gains_1() -> None:
    quality, cost = outcomes()
    assert routing_gain(*oracle_points(quality, cost), quality, cost) == 1.0


def test_mixing_fixed_tiers_gains_0() -> None:
    quality, cost = outcomes()
    assert routing_gain(*constants(quality, cost), quality, cost) == 0.0


def test_a_random_score_gains_less_than_0() -> None:
    quality, cost = outcomes(4000)
    noise = np.random.default_rng(1).random(quality.shape)
    points = curve(sweep(noise, cost), quality, cost)
    assert -2 < routing_gain(*points, quality, cost) < -0.05


def test_gain_does_not_depend_on_the_currency() -> None:
    quality, cost = outcomes()
    guess = np.clip(quality + np.random.default_rng(1).normal(0, 0.7, quality.shape), 0, 1)
    gains = [
        routing_gain(*curve(sweep(guess, k * cost), quality, k * cost), quality, k * cost)
        for k in (1.0, 1e6, 1e-6)
    ]
    assert gains == pytest.approx([gains[0]] * 3, abs=1e-9)


def test_gain_depends_neither_on_the_order_of_steps_nor_of_tiers() -> None:
    quality, cost = outcomes()
    rng = np.random.default_rng(1)
    guess = np.clip(quality + rng.normal(0, 0.7, quality.shape), 0, 1)

    def gain(rows, tiers) -> float:
        q, c, g = (x[rows][:, tiers] for x in (quality, cost, guess))
        return routing_gain(*curve(sweep(g, c), q, c), q, c)

    usual = gain(np.arange(len(cost)), [0, 1, 2])
    assert gain(rng.permutation(len(cost)), [2, 0, 1]) == pytest.approx(usual, abs=1e-9)


def test_there_is_no_gain_to_speak_of_where_the_cheapest_tier_is_the_best() -> None:
    quality, cost = outcomes()
    quality[:, 0] = 1.0
    assert np.isnan(routing_gain(*constants(quality, cost), quality, cost))


def test_the_hull_drops_what_a_mixture_beats() -> None:
    cost = np.array([1.0, 2.0, 3.0, 3.0, 4.0])
    quality = np.array([0.0, 0.1, 0.6, 0.5, 0.7])
    assert [side.tolist() for side in hull(cost, quality)] == [[1, 3, 4], [0, 0.6, 0.7]]


def test_a_budget_need_not_be_spent() -> None:
    cost, quality = np.array([1.0, 2.0, 9.0]), np.array([0.2, 0.8, 0.5])
    at = reachable(cost, quality, np.array([0.5, 1.5, 5.0, 20.0]))
    assert at.tolist() == pytest.approx([0.2, 0.5, 0.8, 0.8])


def test_a_curve_is_the_means_of_what_is_chosen() -> None:
    quality, cost = np.array([[0.0, 1.0], [1.0, 0.5]]), np.array([[1.0, 3.0], [2.0, 8.0]])
    points = curve(np.array([[0, 0], [1, 0], [1, 1]]), quality, cost)
    assert [side.tolist() for side in points] == [[1.5, 2.5, 5.5], [0.5, 1.0, 0.75]]


def test_the_sweep_visits_every_choice_any_weight_makes() -> None:
    rng = np.random.default_rng(0)
    quality, cost = rng.random((6, 4)), rng.random((6, 4))
    visited = {tuple(c) for c in sweep(quality, cost).tolist()}
    for weight in np.geomspace(1e-4, 1e4, 3000):
        assert tuple((quality - weight * cost).argmax(axis=1).tolist()) in visited


def test_the_sweep_ends_at_the_cheapest_tier_of_each_step() -> None:
    quality, cost = outcomes(50)
    assert sweep(quality, cost)[-1].tolist() == cost.argmin(axis=1).tolist()


def test_tiers_that_are_dearer_and_worse_are_never_swept() -> None:
    quality = np.tile([0.5, 0.4, 0.9], (5, 1))
    cost = np.tile([1.0, 2.0, 3.0], (5, 1))
    assert set(np.unique(sweep(quality, cost))) == {0, 2}
    assert switching_weights(quality, cost) == pytest.approx([0.2] * 5)


def test_a_long_sweep_is_thinned_to_the_count_asked_for() -> None:
    quality, cost = np.random.default_rng(0).random((2, 3000, 3))
    assert 30 < len(sweep(quality, cost, count=40)) <= 42


def test_what_is_saved_is_read_off_the_hull_against_the_best_tier() -> None:
    quality, cost = np.array([[0.5, 1.0]]), np.array([[1.0, 11.0]])
    points = (np.array([1.0, 11.0]), np.array([0.5, 1.0]))
    assert saved_at(points, quality, cost, 1.0) == 0.0
    assert saved_at(points, quality, cost, 0.75) == pytest.approx(1 - 6 / 11)
    assert saved_at(points, quality, cost, 0.1) == pytest.approx(1 - 1 / 11)


def test_a_curve_that_never_gets_there_saves_nothing() -> None:
    quality, cost = np.array([[0.5, 1.0]]), np.array([[1.0, 11.0]])
    assert saved_at((np.array([1.0]), np.array([0.5])), quality, cost, 0.9) == 0.0


@pytest.mark.parametrize(
    ("name", "published", "tolerance"),
    [
        ("routellm_mmlu", 0.255, 0.01),
        ("routellm_gsm8k", 0.000, 0.004),
        ("mmlu_pro", 0.178, 0.004),
        ("llmrouter_mixed", 0.271, 0.015),
        ("mint_episodes", 0.134, 0.03),
    ],
)
def test_the_task_mean_gains_what_it_is_known_to_gain(
    tables: Path, name: str, published: float, tolerance: float
) -> None:
    table = read_table(tables / f"{name}.parquet")
    known, fold = table.outcomes, deal(table, 5, 0)
    said = {"quality": np.empty_like(known.quality), "cost": np.empty_like(known.cost)}
    for k in range(5):
        learn = known.rows(fold != k)
        for of, hat in said.items():
            hat[fold == k] = task_mean(learn.task, getattr(learn, of), known.task[fold == k])
    points = curve(sweep(said["quality"], said["cost"]), known.quality, known.cost)
    gain = routing_gain(*points, known.quality, known.cost)
    assert gain == pytest.approx(published, abs=tolerance)
