"""A small share of the worlds of `promotion.py`, so that a careless gate fails within seconds."""

from __future__ import annotations

from typing import Any

import again
import numpy as np
import promotion
import pytest
from promotion import Case, Promoted, as_lines, cases, draw, promoted, run_case, truth_of

from tierwise.eval import gate_rules
from tierwise.eval.one_sided import Bounds, bounds

WORLDS = 40


@pytest.mark.parametrize("case", [Case("below"), Case("dearer")], ids=lambda case: case.truth)
def test_what_is_worse_by_a_hair_is_seldom_promoted(case: Case) -> None:
    found = run_case(case, WORLDS, seed=1)
    assert found.share <= found.bound


def test_what_is_better_is_mostly_promoted() -> None:
    assert run_case(Case("better", slack=0.05), WORLDS, seed=2).share >= 0.8


def test_the_worlds_can_tell_bounds_that_forget_the_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tier drawn once in sixty steps, steps that failed are often not among those drawn."""

    def of_the_seen(values: Any, unit: Any, confidence: float, *ends: float) -> Bounds:
        return bounds(values, unit, confidence, *[float(values.mean())] * len(ends))

    case = Case("below", explored=0.05)
    assert run_case(case, WORLDS, seed=3).holds
    monkeypatch.setattr(gate_rules, "bounds", of_the_seen)
    assert not run_case(case, 2 * WORLDS, seed=3).holds


@pytest.mark.parametrize("kind", ["retain", "miss", "absolute"])
def test_the_floor_is_broken_by_a_hair_on_the_population(kind: str) -> None:
    truth = truth_of(Case("below", kind), np.random.default_rng(4))
    rows = np.arange(len(truth.quality))
    served = truth.quality[rows, truth.choices.challenger]
    usual = truth.quality[:, truth.choices.reference]
    kept = {
        "retain": served.mean() / usual.mean(),
        "miss": 1 - np.maximum(usual - served, 0).mean(),
        "absolute": served.mean(),
    }
    assert 0 < truth.floor.level - kept[kind] < 1e-5


def test_costs_are_what_the_case_says() -> None:
    for name, ratio in (("dearer", 1.0), ("better", 0.9)):
        truth = truth_of(Case(name), np.random.default_rng(5))
        rows = np.arange(len(truth.cost))
        challenger, champion = (
            truth.cost[rows, tier].mean()
            for tier in (truth.choices.challenger, truth.choices.champion)
        )
        assert 0 < challenger / champion - ratio < 1e-3


def test_a_world_is_repeated_by_its_seed() -> None:
    case = Case("better")
    truth = truth_of(case, np.random.default_rng(6))
    one, other = (draw(case, truth, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.quality, other.quality)
    assert promoted(case, truth, np.random.default_rng(7)) in (True, False)


def test_a_broken_case_is_named_in_the_report() -> None:
    good = Promoted(Case("below"), promotion.WORLDS, 0.02)
    bad = Promoted(Case("dearer"), promotion.WORLDS, 0.2)
    weak = Promoted(Case("better"), promotion.WORLDS, 0.5)
    table = "\n".join(as_lines([good, bad, weak]))
    assert (good.holds, bad.holds, weak.holds) == (True, False, False)
    assert "0.200 BROKEN" in table
    assert "0.500 BROKEN" in table


def test_both_boundaries_and_the_curve_are_among_the_cases() -> None:
    assert {case.truth for case in cases()} == {"below", "dearer", "better"}
    assert sorted(case.slack for case in cases() if case.truth == "better") == [
        0.01, 0.02, 0.03, 0.04, 0.05,
    ]  # fmt: skip


def test_what_was_certified_is_mostly_shown_again_under_a_miss_floor() -> None:
    found = again.run_again("miss", 20, seed=1)
    assert found.certified > 10
    assert found.shown > 0.5
    assert "miss" in again.as_lines([found])[0]
