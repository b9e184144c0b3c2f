"""Paired judging: the same figures as the metrics, the same draws for every policy."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.eval.metrics import curve, routing_gain, saved_at, sweep
from tierwise.eval.paired import (
    MOST_BUCKETS,
    RATIOS,
    by_threshold,
    interval,
    judge,
    make_bench,
    swept,
)

Floats = np.ndarray


def outcomes(n: int = 600, n_tiers: int = 3, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    chance = np.linspace(0.4, 0.9, n_tiers) * rng.random((n, 1)) ** 0.3
    quality = (rng.random((n, n_tiers)) < chance).astype(float)
    cost = np.geomspace(0.001, 0.02, n_tiers) * (0.5 + rng.random((n, 1)))
    guess = np.clip(quality + rng.normal(0, 0.8, quality.shape), 0, 1)
    return quality, cost, guess


def test_figures_on_the_table_are_those_of_the_metrics() -> None:
    quality, cost, guess = outcomes()
    choices = sweep(guess, cost)
    bench = make_bench(quality, cost, np.arange(len(cost)), 3, np.random.default_rng(0))
    found = judge(bench, choices)
    points = curve(choices, quality, cost)
    assert found.gain[0] == pytest.approx(routing_gain(*points, quality, cost), abs=1e-12)
    for i, ratio in enumerate(RATIOS):
        expected = saved_at(points, quality, cost, ratio)
        assert found.saved[i, 0] == pytest.approx(expected, abs=1e-12)


def test_a_draw_is_judged_as_a_table_of_the_drawn_units_would_be() -> None:
    quality, cost, guess = outcomes(200)
    unit = np.arange(200) // 2
    bench = make_bench(quality, cost, unit, 5, np.random.default_rng(0))
    choices = sweep(guess, cost)
    found = judge(bench, choices)
    for draw in (1, 5):
        rows = np.repeat(np.arange(200), bench.weights[draw][unit].astype(int))
        q, c = quality[rows], cost[rows]
        points = curve(choices[:, rows], q, c)
        base = make_bench(q, c, np.arange(len(q)), 0, np.random.default_rng(0))
        # the oracle's weights are laid on the table, not on the draw: a hair's difference
        assert found.gain[draw] == pytest.approx(judge(base, choices[:, rows]).gain[0], abs=2e-3)
        assert found.saved[1, draw] == pytest.approx(saved_at(points, q, c, 0.98), abs=1e-12)


def test_a_policy_is_never_ahead_of_itself_on_any_draw() -> None:
    quality, cost, guess = outcomes()
    bench = make_bench(quality, cost, np.arange(len(cost)), 50, np.random.default_rng(0))
    one, same = (judge(bench, swept(guess, cost, bench.best)) for _ in range(2))
    found = interval([one.gain - same.gain])
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_better_guess_is_ahead_with_an_interval_above_0() -> None:
    quality, cost, guess = outcomes(3000)
    rng = np.random.default_rng(5)
    worse = np.clip(guess + rng.normal(0, 1.5, guess.shape), 0, 1)
    bench = make_bench(quality, cost, np.arange(len(cost)), 200, np.random.default_rng(0))
    ahead, behind = (judge(bench, swept(g, cost, bench.best)).gain for g in (guess, worse))
    found = interval([ahead - behind])
    assert 0 < found.low < found.value < found.high


def test_units_that_agree_make_a_wider_interval_than_as_many_steps() -> None:
    quality, cost, guess = (np.repeat(part, 8, axis=0) for part in outcomes(150))
    widths = []
    for unit in (np.arange(len(cost)), np.arange(len(cost)) // 8):
        bench = make_bench(quality, cost, unit, 200, np.random.default_rng(0))
        found = interval([judge(bench, swept(guess, cost, bench.best)).gain])
        widths.append(found.high - found.low)
    assert widths[1] > 1.8 * widths[0]


def test_many_units_are_joined_without_narrowing_the_interval() -> None:
    quality, cost, guess = outcomes(3 * MOST_BUCKETS)
    bench = make_bench(quality, cost, np.arange(len(cost)), 100, np.random.default_rng(0))
    assert bench.weights.shape == (101, MOST_BUCKETS)
    served = guess.argmax(axis=1)
    mean = judge(bench, [served]).saved[2]
    assert np.isfinite(mean).all()
    drawn = bench.weights[1:] @ np.bincount(bench.bucket, quality[:, 0], MOST_BUCKETS)
    spread = (drawn / (bench.weights[1:] @ np.bincount(bench.bucket))).std()
    assert spread == pytest.approx(quality[:, 0].std() / np.sqrt(len(cost)), rel=0.25)


def test_there_is_no_gain_where_every_tier_is_as_good() -> None:
    _, cost, guess = outcomes()
    bench = make_bench(np.ones_like(cost), cost, np.arange(len(cost)), 10, np.random.default_rng(0))
    assert np.isnan(judge(bench, swept(guess, cost, bench.best)).gain).all()


def test_a_score_that_knows_who_needs_the_best_tier_gains_1() -> None:
    quality = np.array([[1.0, 1.0], [0.0, 1.0]] * 200)
    cost = np.tile([1.0, 10.0], (400, 1))
    bench = make_bench(quality, cost, np.arange(400), 5, np.random.default_rng(0))
    assert judge(bench, by_threshold(1.0 - quality[:, 0], 0, 1)).gain == pytest.approx(1.0)
    assert judge(bench, by_threshold(np.zeros(400), 0, 1)).gain == pytest.approx(0.0)
