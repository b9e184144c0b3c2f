"""Intervals on shared draws: the same as drawn alone, and wide enough for looking at many."""

from __future__ import annotations

import numpy as np
import pytest
from eval_fakes import make_spec, make_steps

from tierwise.eval import evaluate, judge
from tierwise.eval.bootstrap import ratio
from tierwise.eval.calibration import reliability
from tierwise.eval.drawing_curve import Scale, cost_quality
from tierwise.eval.joint import Joint
from tierwise.eval.judge import Draws
from tierwise.eval.page_data import bins_with_ends, gather, measure

TABLE = make_steps()
FACTS = evaluate.facts(TABLE.of_part(2), make_spec(TABLE))[0]


def draws(seed: int = 0, count: int = 300) -> Draws:
    return Draws(count, 0.95, np.random.default_rng(seed))


def test_an_interval_is_the_one_of_the_same_draws_alone() -> None:
    rng = np.random.default_rng(3)
    unit = np.arange(90) // 3
    above, below = rng.random(90), rng.random(90) + 1
    alone = ratio(above, below, unit, 300, np.random.default_rng(0))
    joint = Joint.of(unit, [np.ones(90), above, below], draws())
    assert joint.ratios([1], [2]).at(0) == pytest.approx((alone.value, alone.low, alone.high))


def test_a_ratio_by_nothing_is_unknown() -> None:
    found = Joint.of(np.arange(9), [np.ones(9), np.zeros(9)], draws()).ratios([0], [1])
    assert np.isnan(found.at(0)).all()


def test_intervals_for_all_hold_all_truths_as_often_as_they_say() -> None:
    rng, held, alone = np.random.default_rng(5), 0, 0
    for _ in range(120):
        values = rng.normal(1.0, 0.5, (150, 20))
        columns = [*values.T, np.ones(150)]
        joint = Joint.of(np.arange(150), columns, Draws(200, 0.9, rng))
        wide, own = (f(range(20), [20] * 20) for f in (joint.together, joint.ratios))
        held += bool(((wide.low <= 1) & (wide.high >= 1)).all())
        alone += bool(((own.low <= 1) & (own.high >= 1)).all())
    assert held / 120 > 0.8
    assert alone / 120 < 0.4, "twenty intervals of 90 % seldom hold all at once"


def test_what_does_not_vary_has_an_interval_of_no_width() -> None:
    unit, ones = np.arange(30), np.ones(30)
    noise = np.random.default_rng(0).random(30)
    found = Joint.of(unit, [ones, ones, noise], draws()).together([0, 2], [1, 1])
    assert found.at(0) == (1.0, 1.0, 1.0)
    assert found.low[1] < found.value[1] < found.high[1]


def test_a_policy_is_measured_as_the_stage_measures_it() -> None:
    tier = np.arange(len(FACTS.unit)) % 3
    alone = judge.value(FACTS, tier, 2, draws())
    found = measure(FACTS, [tier, np.full(len(tier), 2), tier], 2, draws())
    kept = alone["quality_kept"]
    assert found[0].kept == pytest.approx((kept["value"], kept["low"], kept["high"]))
    assert found[0].saved[0] == pytest.approx(alone["cost_saved"]["value"])
    assert found[0].less[0] == pytest.approx(-alone["cost_difference_usd"]["value"])
    assert found[0].miss[0] == pytest.approx(alone["miss"]["value"])
    assert found[1].kept == (1.0, 1.0, 1.0), "the reference against itself"
    assert found[2] == found[0]


def test_the_interval_of_a_bin_is_around_the_outcome_of_its_own_steps() -> None:
    rng = np.random.default_rng(1)
    estimate = np.round(rng.random((400, 1)), 1)  # ties
    quality = (rng.random((400, 1)) < estimate).astype(float)
    bins = {"a": reliability(estimate[:, 0], quality[:, 0], 5)}
    found = bins_with_ends(estimate, quality, np.arange(400), bins, draws())["a"]
    for one, (value, low, high) in found:
        assert value == pytest.approx(one.outcome)
        assert low <= value <= high


def test_each_level_has_a_place_in_both_drawings_and_its_floor_where_it_fits() -> None:
    tier, path = np.full(len(FACTS.unit), 2), np.full((1, len(FACTS.unit)), 2, np.int8)
    always = {f"always {i}": np.full(len(tier), i) for i in range(3)}
    data = gather(FACTS, tier, path, (), always, {}, {}, (), 2, draws())
    scale = Scale(True, float(FACTS.quality[:, 2].mean()), "large")
    for floor, inside in ((98.0, True), (3.0, False), (None, False)):
        drawn, places = cost_quality(data, scale, data.shipped, [floor], ["a & b"], 0)
        assert set(places) == {"broad", "narrow"}
        assert (places["broad"][0][-1] is not None) == inside
        assert "nan" not in drawn
        assert "floor a &amp; b" in drawn


def test_a_drawing_of_free_tiers_without_quality_has_no_unknown_place() -> None:
    facts = FACTS.__class__(
        **{**FACTS.__dict__, "quality": 0 * FACTS.quality, "cost": 0 * FACTS.cost}
    )
    tier, path = np.full(len(FACTS.unit), 2), np.full((1, len(FACTS.unit)), 2, np.int8)
    data = gather(facts, tier, path, (), {}, {}, {}, (), 2, draws())
    drawn, places = cost_quality(data, Scale(False, 0.0, "large"), data.shipped, [None], [""], 0)
    assert "nan" not in drawn
    assert np.isfinite(places["narrow"][0][:6]).all()
