"""Certification of arrays: how far each floor goes, what stops it, and what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binom

from tierwise.training.certificate import Certificate, Floor, certified_point, certify, level_grid
from tierwise.training.units import design_effect, hashed_order, sum_units

DELTA = 0.1
KINDS = ("retain", "miss", "absolute")
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def names(n: int, prefix: str = "t") -> np.ndarray:
    return np.array([f"{prefix}{i}" for i in range(n)])


def arrays(
    rng: np.random.Generator, n: int = 2_000, n_points: int = 12, cheap: float = 0.6
) -> Arrays:
    """Independent binary steps; each point sends a further share of them to a worse tier."""
    reference = (rng.random(n) < 0.9).astype(np.float64)
    other = (rng.random(n) < cheap).astype(np.float64)
    leaves = rng.random(n)
    same = np.stack([leaves >= j / n_points for j in range(n_points)])
    return np.where(same, reference, other), reference, same, names(n)


def certificate(
    rows: Arrays,
    kind: str = "retain",
    level: float = 0.9,
    role: np.ndarray | None = None,
    **options: int,
) -> Certificate:
    served, reference, same, unit = rows
    role = np.full(len(reference), "worker") if role is None else role
    return certify(
        served, reference, same, unit, role, Floor(kind, level), DELTA, reference="big", **options
    )


@pytest.mark.parametrize(("kind", "level"), [("retain", 0.9), ("miss", 0.9), ("absolute", 0.8)])
def test_the_certified_point_lies_between_the_reference_and_the_first_false_point(
    kind: str, level: float
) -> None:
    point = certified_point(*arrays(np.random.default_rng(0)), Floor(kind, level), DELTA)
    # In truth a share s of steps at the worse tier costs .3 s of quality and misses .36 s.
    first_false = {"retain": 0.09 / 0.3, "miss": 0.1 / 0.36, "absolute": 0.1 / 0.3}[kind] * 12
    assert 1 <= point < first_false


@pytest.mark.parametrize(("kind", "level"), [("retain", 0.9), ("miss", 0.9), ("absolute", 0.8)])
def test_a_point_that_breaks_the_floor_by_a_hair_is_rarely_certified(
    kind: str, level: float
) -> None:
    rng = np.random.default_rng(1)
    worlds, broken = 400, 0
    chance = {"retain": 0.9 * 0.9, "miss": 1.0, "absolute": 0.8}[kind] - 1e-6
    for _ in range(worlds):
        reference = np.ones(400) if kind == "miss" else (rng.random(400) < 0.9).astype(np.float64)
        lost = 0.1 + 1e-6
        other = (rng.random(400) < (1 - lost if kind == "miss" else chance)).astype(np.float64)
        same = np.stack([np.ones(400, bool), np.zeros(400, bool)])
        served = np.stack([reference, other])
        broken += (
            certified_point(served, reference, same, names(400), Floor(kind, level), DELTA) == 1
        )
    assert 0 < broken <= worlds * (DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / worlds))


@pytest.mark.parametrize("kind", ["miss", "absolute"])
def test_independent_binary_steps_are_judged_by_the_exact_binomial(kind: str) -> None:
    floor = Floor(kind, 0.85)
    for seed in range(12):
        served, reference, same, unit = arrays(np.random.default_rng(seed), n=700, n_points=90)
        missed = ((reference == 1) & (served == 0)).sum(axis=1)
        by_hand = {
            "miss": np.r_[0.0, binom.cdf(missed[1:], 700, 1 - 0.85)],
            "absolute": 1 - binom.cdf(served.sum(axis=1) - 1, 700, 0.85),
        }[kind]
        until = int(np.argmax(by_hand > DELTA)) - 1
        assert until > 0
        assert certified_point(served, reference, same, unit, floor, DELTA) == until


@pytest.mark.parametrize("kind", KINDS)
def test_correlated_steps_taken_as_units_would_break_the_promise_and_units_keep_it(
    kind: str,
) -> None:
    """Whole traces of 40 steps fail together; the cheap point breaks the floor by a hair."""
    rng = np.random.default_rng(3)
    traces, steps, worlds = 100, 40, 120
    of_trace = np.repeat(names(traces), steps)
    of_step = names(traces * steps, "s")
    same = np.stack([np.ones(traces * steps, bool), np.zeros(traces * steps, bool)])
    reference = np.ones(traces * steps)
    broken = {"steps": 0, "traces": 0}
    for _ in range(worlds):
        hard = rng.beta(0.2, 1.8 - 1e-6, traces)  # mean a hair above a tenth
        other = (rng.random((traces, steps)) >= hard[:, None]).astype(np.float64).ravel()
        served = np.stack([reference, other])
        for unit, name in ((of_step, "steps"), (of_trace, "traces")):
            point = certified_point(served, reference, same, unit, Floor(kind, 0.9), DELTA)
            broken[name] += point == 1
    most = worlds * (DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / worlds))
    assert broken["steps"] > 1.5 * most
    assert broken["traces"] <= most


@pytest.mark.parametrize("kind", KINDS)
def test_traces_of_very_unequal_length_keep_the_promise(kind: str) -> None:
    """Long traces are the bad ones, so that the mean over traces is not the mean over steps."""
    rng = np.random.default_rng(20)
    worlds, traces = 150, 400
    size = rng.geometric(0.5, 50_000)
    chance = np.where(size > 2, 0.8, 0.95)
    truth = float((chance * size).sum() / size.sum())
    kept = dict.fromkeys((truth + 1e-6, truth - 0.05), 0)
    for _ in range(worlds):
        drawn = rng.integers(0, len(size), traces)
        unit = np.repeat(names(traces), size[drawn])
        other = (rng.random(len(unit)) < np.repeat(chance[drawn], size[drawn])).astype(np.float64)
        ones = np.ones(len(unit))
        same, served = np.stack([ones == 1, ones == 0]), np.stack([ones, other])
        for level in kept:
            kept[level] += certified_point(served, ones, same, unit, Floor(kind, level), DELTA) == 1
    false, true = kept.values()
    assert false <= worlds * (DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / worlds))
    assert true > worlds * 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_continuous_quality_is_certified_too(kind: str) -> None:
    rng = np.random.default_rng(4)
    reference = rng.beta(8, 2, 2_000)
    same = np.stack([rng.random(2_000) >= j / 12 for j in range(12)])
    served = np.where(same, reference, np.clip(reference - 0.2, 0, 1))
    level = {"retain": 0.9, "miss": 0.9, "absolute": 0.7}[kind]
    # In truth a share s of steps at the worse tier costs .2 s.
    point = certified_point(served, reference, same, names(2_000), Floor(kind, level), DELTA)
    assert 4 <= point <= 6


def test_a_small_steady_shortfall_is_certified_where_a_count_of_misses_could_not_be() -> None:
    served, reference = np.full((1, 400), 0.86), np.full(400, 0.9)
    same = np.zeros((1, 400), bool)
    assert binom.cdf(400 * 0.04, 400, 0.05) > DELTA
    assert certified_point(served, reference, same, names(400), Floor("miss", 0.95), DELTA) == 0


def test_without_data_on_it_a_point_is_not_taken_to_be_the_reference() -> None:
    """A point that leaves the reference on none of these steps may still do so on others."""
    served = np.ones((3, 800))
    same = np.ones((3, 800), bool)
    assert certified_point(served, np.ones(800), same, names(800), Floor("retain", 1), DELTA) == 0


def test_the_order_of_units_depends_on_their_ids_alone() -> None:
    rng = np.random.default_rng(5)
    served, reference, same, unit = arrays(rng)
    best_first = np.argsort(-(served[6] - 0.95 * reference), kind="stable")
    shuffled = rng.permutation(len(unit))
    sums = [
        sum_units(served[:, rows], reference[rows], same[:, rows], unit[rows])
        for rows in (np.arange(len(unit)), best_first, shuffled)
    ]
    for other in sums[1:]:
        assert np.array_equal(other.served, sums[0].served)
        assert np.array_equal(other.reference, sums[0].reference)


def test_rows_sorted_by_outcome_are_certified_no_farther() -> None:
    rows = arrays(np.random.default_rng(6))
    served, reference, same, unit = rows
    floor = Floor("retain", 0.93)
    for point in range(len(served)):
        best_first = np.argsort(-(served[point] - 0.93 * reference), kind="stable")
        cheat = (served[:, best_first], reference[best_first], same[:, best_first])
        assert certified_point(*cheat, unit[best_first], floor, DELTA) == certified_point(
            *rows, floor, DELTA
        )


def test_the_salted_order_never_changes() -> None:
    assert hashed_order(["a", "b", "c", "d", "\ud800"]) == [2, 4, 3, 1, 0]


def test_the_reference_needs_no_test_unless_the_floor_is_absolute() -> None:
    bad = np.zeros((1, 50))
    same = np.ones((1, 50), bool)
    points = [
        certified_point(bad, bad[0], same, names(50), Floor(kind, 0.9), DELTA) for kind in KINDS
    ]
    assert points == [0, 0, -1]


def test_an_absolute_floor_that_the_reference_does_not_keep_is_not_certified_farther_on() -> None:
    same = np.stack([np.ones(500, bool), np.zeros(500, bool)])
    served = np.stack([np.zeros(500), np.ones(500)])
    assert certified_point(served, served[0], same, names(500), Floor("absolute", 0.5), DELTA) == -1


@pytest.mark.parametrize("kind", KINDS)
def test_a_first_point_that_is_not_the_reference_and_fails_certifies_nothing(kind: str) -> None:
    served = np.stack([np.zeros(500), np.ones(500)])
    same = np.zeros((2, 500), bool)
    assert certified_point(served, np.ones(500), same, names(500), Floor(kind, 0.9), DELTA) == -1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["served", "reference"])
def test_unknown_quality_certifies_nothing_that_needs_it(kind: str, where: str) -> None:
    served, reference, same, unit = arrays(np.random.default_rng(7))
    if where == "served":
        served[0:, 3] = np.nan
    else:
        reference[3] = np.nan
        served[same & (np.arange(len(unit)) == 3)] = np.nan
    point = certified_point(served, reference, same, unit, Floor(kind, 0.85), DELTA)
    assert point == (-1 if kind == "absolute" else 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_unit_larger_than_the_known_bound_leaves_tested_points_uncertified(kind: str) -> None:
    served, reference, same, _ = arrays(np.random.default_rng(8))
    served = np.where(np.arange(2_000) < 4, 0.0, served)
    reference = np.where(np.arange(2_000) < 4, 1.0, reference)
    unit = np.array(["big"] * 4 + names(1_996).tolist())
    floor = Floor(kind, 0.8)
    assert certified_point(served, reference, same, unit, floor, DELTA, largest_unit=4) > 0
    assert certified_point(served, reference, same, unit, floor, DELTA, largest_unit=2) <= 0


@pytest.mark.parametrize("kind", KINDS)
def test_equal_outcomes_everywhere_certify_the_cheapest_point(kind: str) -> None:
    ones = np.ones((5, 600))
    same = np.zeros((5, 600), bool)
    same[0] = True
    assert certified_point(ones, ones[0], same, names(600), Floor(kind, 0.95), DELTA) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_and_no_step_do_not_fail(kind: str) -> None:
    for n in (0, 1):
        served, same = np.ones((3, n)), np.ones((3, n), bool)
        point = certified_point(served, np.ones(n), same, names(n), Floor(kind, 0.95), DELTA)
        assert point == (0 if n and kind != "absolute" else -1)


def test_quality_outside_its_range_is_refused() -> None:
    served, reference, same, unit = arrays(np.random.default_rng(9))
    with pytest.raises(ValueError, match="outside"):
        certified_point(served * 1.5, reference, same, unit, Floor("retain", 0.9), DELTA)


def test_arrays_that_do_not_fit_are_refused() -> None:
    served, reference, same, unit = arrays(np.random.default_rng(9))
    with pytest.raises(ValueError, match="do not fit"):
        certified_point(served, reference[1:], same, unit, Floor("retain", 0.9), DELTA)


@pytest.mark.parametrize(("kind", "level"), [("retain", 0.0), ("miss", 1.5), ("best", 0.9)])
def test_a_floor_that_means_nothing_is_refused(kind: str, level: float) -> None:
    with pytest.raises(ValueError, match="floor"):
        Floor(kind, level)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stricter_level_is_never_certified_farther(kind: str) -> None:
    for seed in range(5):
        made = certificate(arrays(np.random.default_rng(seed)), kind)
        points = made.strata[-1].points
        assert list(points) == sorted(points, reverse=True)
        assert len(set(points)) > 3
        assert list(made.levels) == sorted(made.levels)


def test_a_stricter_level_stays_behind_even_where_its_own_tests_reach_farther(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def only_the_strict_pass(sums: object, floor: Floor, *_: object) -> np.ndarray:
        return np.where(np.arange(12) < (8 if floor.level > 0.9 else 4), 0.0, 1.0)

    monkeypatch.setattr("tierwise.training.certificate.p_values", only_the_strict_pass)
    assert set(certificate(arrays(np.random.default_rng(19))).strata[-1].points) == {3}


def test_the_grid_holds_the_asked_level_exactly() -> None:
    assert 0.9333 in level_grid(Floor("retain", 0.9333))
    assert len(level_grid(Floor("retain", 0.95))) == 41
    assert level_grid(Floor("miss", 0.95))[-1] == 0.995
    assert level_grid(Floor("absolute", 0.5))[0] == 0.3


def test_roles_with_enough_units_stand_alone_and_share_delta_with_the_rest() -> None:
    rows = arrays(np.random.default_rng(10))
    role = np.array(["worker"] * 1_000 + ["planner"] * 600 + ["critic"] * 300 + [""] * 100)
    made = certificate(rows, role=role)
    assert [s.name for s in made.strata] == ["rest", "planner", "worker"]
    assert [s.roles for s in made.strata] == [("critic",), ("planner",), ("worker",)]
    assert [s.units for s in made.strata] == [400, 600, 1_000]
    assert [s.delta for s in made.strata] == pytest.approx([DELTA / 3] * 3)


def test_a_stratum_is_certified_on_its_own_steps() -> None:
    rows = arrays(np.random.default_rng(11))
    served, reference, same, unit = rows
    role = np.array(["worker", "planner"])[np.arange(2_000) % 2]
    worker = role == "worker"
    made = certificate(rows, role=role)
    alone = certified_point(
        served[:, worker],
        reference[worker],
        same[:, worker],
        unit[worker],
        Floor("retain", 0.9),
        DELTA / 2,
    )
    assert made.chosen()["worker"] == alone > 0
    assert made.chosen()["rest"] == -1


def test_many_steps_of_few_units_give_no_stratum_of_its_own() -> None:
    served, reference, same, _ = arrays(np.random.default_rng(12))
    unit = names(100)[np.arange(2_000) % 100]
    made = certificate((served, reference, same, unit), min_units=500)
    assert [s.name for s in made.strata] == ["rest"]
    assert made.strata[0].largest_unit == 20


def test_a_role_called_rest_is_pooled() -> None:
    made = certificate(arrays(np.random.default_rng(13)), role=np.full(2_000, "rest"))
    assert [(s.name, s.roles) for s in made.strata] == [("rest", ("rest",))]


def test_the_design_effect_is_one_for_independent_steps_and_the_size_for_equal_ones() -> None:
    rng = np.random.default_rng(14)
    same = np.ones((1, 4_000), bool)
    unit = np.repeat(names(400), 10)
    free = (rng.random(4_000) < 0.7).astype(np.float64)
    tied = np.repeat(rng.random(400) < 0.7, 10).astype(np.float64)
    effects = [design_effect(sum_units(q[None], q, same, unit), q) for q in (free, tied)]
    assert effects == pytest.approx([1, 10], rel=0.15)


def test_the_design_effect_of_constant_quality_is_one() -> None:
    ones = np.ones(30)
    sums = sum_units(ones[None], ones, np.ones((1, 30), bool), np.repeat(names(10), 3))
    assert design_effect(sums, ones) == 1.0


def test_a_certificate_survives_json() -> None:
    role = np.array(["worker", "planner"])[np.arange(2_000) % 2]
    made = certificate(arrays(np.random.default_rng(15)), role=role)
    assert Certificate.from_dict(json.loads(json.dumps(made.as_dict()))) == made


def test_the_promise_names_probability_level_tier_and_roles() -> None:
    words = certificate(arrays(np.random.default_rng(16)), min_units=5_000).promise()
    assert "at least 90 %" in words
    assert "keep at least 90 % of tier big's mean quality" in words
    assert "all roles together" in words


def test_the_promise_says_where_nothing_could_be_certified() -> None:
    served, reference, same, unit = arrays(np.random.default_rng(17), n=3_000)
    role = np.array(["worker", "planner", "critic"])[np.arange(3_000) % 3]
    served = np.where((role == "critic") & ~same, 0.0, served)
    made = certificate((served, reference, same, unit), level=0.92, role=role)
    assert made.chosen()["critic"] == 0 < made.chosen()["worker"]
    assert "(role planner; role worker)" in made.promise()
    assert "Nothing could be certified for the rest together; role critic" in made.promise()
    assert not made.certified_nothing()


@pytest.mark.parametrize("kind", KINDS)
def test_a_hopeless_floor_says_plainly_that_the_reference_is_served(kind: str) -> None:
    made = certificate(arrays(np.random.default_rng(18), n=60, cheap=0.0), kind, 0.99)
    assert made.certified_nothing()
    assert made.promise().startswith("Nothing could be certified")
    assert "the reference tier big is served" in made.promise()
