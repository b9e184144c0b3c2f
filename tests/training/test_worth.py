"""What the members say is heeded as far as it helps routing, and no farther."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.training.worth import SHARES, _share, heeded_share

N = 2_000
UNIT = np.arange(N).astype(np.str_)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def world(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return tables, truth of each step, outcomes and costs of a cheap and a dear tier."""
    gap = np.stack([np.zeros(N), rng.choice([0.0, 0.6], N)], axis=1)
    mean = np.tile([0.3, 0.6], (N, 1))
    quality = (rng.random((N, 2)) < 0.3 + gap).astype(np.float64)
    cost = np.tile([0.1, 1.0], (N, 1))
    return mean, gap - gap.mean(axis=0), quality, cost


def test_a_true_word_is_heeded(rng: np.random.Generator) -> None:
    tables, truth, quality, cost = world(rng)
    assert heeded_share(tables, truth, quality, cost, cost, UNIT, rng) > 0


def test_a_word_that_is_the_opposite_of_true_is_not_heeded(rng: np.random.Generator) -> None:
    tables, truth, quality, cost = world(rng)
    assert heeded_share(tables, -truth, quality, cost, cost, UNIT, rng) == 0.0


def test_nothing_said_leaves_the_tables_alone(rng: np.random.Generator) -> None:
    tables, truth, quality, cost = world(rng)
    assert heeded_share(tables, 0 * truth, quality, cost, cost, UNIT, rng) == 0.0


def test_squared_error_chooses_where_routing_cannot_tell(rng: np.random.Generator) -> None:
    tables, truth, quality, cost = world(rng)
    both = np.full_like(truth, (quality - tables).mean())  # moves no step
    assert heeded_share(tables - 0.2, both + 0.2, quality, cost, cost, UNIT, rng) == 1.0


def test_a_clear_word_is_heeded_whole(rng: np.random.Generator) -> None:
    tables, truth, quality, cost = world(rng)
    assert heeded_share(tables, truth, quality, cost, cost, UNIT, rng) == 1.0


def test_of_clear_gains_the_whole_is_taken_though_a_part_of_it_is_surer() -> None:
    gain, error = np.array([0.0, 0.1, 0.1, 0.1, 0.1]), np.ones(len(SHARES))
    deviation = np.array([0.0, 0.01, 0.02, 0.03, 0.04])
    assert _share(gain, deviation, error) == 1.0


def test_of_gains_that_may_be_chance_the_surest_is_taken() -> None:
    gain, error = np.array([0.0, 0.1, 0.1, 0.1, 0.1]), np.ones(len(SHARES))
    deviation = np.array([0.0, 0.01, 0.02, 0.03, 0.06])
    assert _share(gain, deviation, error) == SHARES[1]


def test_a_clear_gain_far_below_the_greatest_is_not_taken() -> None:
    gain, error = np.array([0.0, 0.1, 0.3, 0.1, 0.1]), np.ones(len(SHARES))
    assert _share(gain, np.full(len(SHARES), 0.02), error) == SHARES[2]


def test_steps_not_known_for_every_tier_are_left_out(rng: np.random.Generator) -> None:
    tables, truth, quality, cost = world(rng)
    half = quality.copy()
    half[::2, 0] = np.nan
    truth[::2] *= -50  # what is said of these is wrong, and nobody can know
    assert heeded_share(tables, truth, half, cost, cost, UNIT, rng) > 0


def test_with_too_few_complete_steps_the_word_is_taken_as_weighed(
    rng: np.random.Generator,
) -> None:
    tables, truth, quality, cost = world(rng)
    quality[40:, 0] = np.nan
    assert heeded_share(tables, -truth, quality, cost, cost, UNIT, rng) == 1.0


def test_noise_that_drowns_what_the_tables_know_is_not_heeded(rng: np.random.Generator) -> None:
    heeded = []
    for _ in range(10):
        tables, truth, quality, cost = world(rng)
        noise = 6.0 * rng.normal(size=truth.shape)
        heeded.append(heeded_share(tables + truth, noise, quality, cost, cost, UNIT, rng))
    assert np.mean(np.array(heeded) > 0) <= 0.2
