"""Sampling certification sets from a table whose rows are the whole truth."""

from __future__ import annotations

import numpy as np
from real import Sampled, sampled_violations

from tierwise.router_model.rule import fit_path
from tierwise.training.certificate import Floor


def table(rng: np.random.Generator, n: int = 4_000) -> dict[str, np.ndarray]:
    """Two tiers; the dear one is better where x is high; units of 1 to 3 steps."""
    x = rng.random(n)
    chance = np.c_[1 - x, np.full(n, 0.9)]
    quality = (rng.random((n, 2)) < chance).astype(np.float64)
    cost = np.tile([0.1, 1.0], (n, 1)).astype(np.float32)
    unit = np.array([f"u{i}" for i in np.sort(rng.integers(0, n // 2, n))])
    return {"estimate": chance.astype(np.float32), "cost": cost, "quality": quality, "unit": unit}


def sampled(rows: dict[str, np.ndarray], level: float, **options: int) -> Sampled:
    path = fit_path(rows["estimate"], rows["cost"], 1, 24)
    return sampled_violations(
        rows["estimate"],
        rows["cost"],
        1,
        path,
        rows["quality"],
        rows["unit"],
        Floor("retain", level),
        0.1,
        rng=np.random.default_rng(1),
        **options,
    )


def test_samples_of_a_known_population_break_the_floor_no_more_often_than_promised() -> None:
    result = sampled(table(np.random.default_rng(0)), 0.9, n_samples=60)
    assert result.violated <= 0.1 + 3 * np.sqrt(0.09 / 60)
    assert 0 < result.knowing < 0.9


def test_larger_samples_keep_more_of_the_saving() -> None:
    rows = table(np.random.default_rng(0))
    small = sampled(rows, 0.9, n_units=300, n_samples=30)
    large = sampled(rows, 0.9, n_units=3_000, n_samples=30)
    assert large.kept > max(small.kept, 0.6)


def test_where_only_the_reference_keeps_the_floor_there_is_no_saving_to_keep() -> None:
    rows = table(np.random.default_rng(0))
    rows["quality"][:, 0] = 0.0
    result = sampled(rows, 1.0, n_samples=5)
    assert result.violated == 0
    assert result.knowing == 0
    assert np.isnan(result.kept)
