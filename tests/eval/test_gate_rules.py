"""What each rule of the gate asks of the numbers, in each form of the floor."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.eval.estimators import doubly_robust, paired_difference, plain_mean
from tierwise.eval.gate_evidence import Choices, Evidence, known_evidence, logged_evidence
from tierwise.eval.gate_rules import GateParams, Rule, floor_rule, simple_rule, statistical
from tierwise.eval.logged import Logged
from tierwise.eval.one_sided import bounds
from tierwise.training.promise import Floor

N = 1_000
RNG = np.random.default_rng(0)
QUALITY = (RNG.random((N, 3)) < (0.7, 0.85, 0.95)).astype(np.float64)
COST = np.array([0.1, 0.3, 1.0]) * RNG.lognormal(0, 0.3, (N, 1))
UNIT = np.repeat(np.arange(N // 5), 5)
ROLE = np.where(np.arange(N) % 2, "worker", "planner")
CHOICES = Choices(np.full(N, 1), np.full(N, 2), 2)


def known(floor: Floor, quality: NDArray[np.float64] = QUALITY) -> Evidence:
    return known_evidence(quality, COST, CHOICES, floor, UNIT, ROLE)


def rules(evidence: Evidence, params: GateParams | None = None) -> dict[str, Rule]:
    told = statistical(evidence, Floor("absolute", 0.5), "the champion", params or GateParams())
    return {rule.name: rule for rule in told}


@pytest.mark.parametrize(
    ("floor", "truth"),
    [
        (Floor("retain", 0.8), QUALITY[:, 1].mean() - 0.8 * QUALITY[:, 2].mean()),
        (Floor("absolute", 0.8), QUALITY[:, 1].mean() - 0.8),
        (Floor("miss", 0.8), 0.2 - ((QUALITY[:, 2] == 1) & (QUALITY[:, 1] == 0)).mean()),
    ],
    ids=lambda one: one.kind if isinstance(one, Floor) else "",
)
def test_each_form_of_floor_is_kept_exactly_where_the_mean_is_zero(
    floor: Floor, truth: float
) -> None:
    assert known(floor).quality.mean() == pytest.approx(truth)


@pytest.mark.parametrize("kind", ["retain", "miss", "absolute"])
def test_the_lower_bound_decides_and_a_stricter_floor_fails(kind: str) -> None:
    levels = np.round(np.arange(0.7, 1.0, 0.01), 2)
    said = [rules(known(Floor(kind, float(level))))["quality"] for level in levels]
    words = [one.verdict for one in said]
    assert words == sorted(words, key=("pass", "fail").index)
    assert {"pass", "fail"} == set(words)
    for one in said:
        assert one.value is not None
        assert (one.verdict == "pass") == (one.value >= 0)


def test_a_mean_above_the_floor_is_no_proof_on_few_steps() -> None:
    floor = Floor("absolute", QUALITY[:, 1].mean() - 0.01)
    evidence = known(floor)
    assert evidence.quality.mean() > 0
    assert rules(evidence)["quality"].verdict == "fail"


def test_the_bound_is_on_sums_of_units() -> None:
    alike = np.repeat(RNG.normal(0.1, 1.0, N // 5), 5)
    by_unit, by_step = (bounds(alike, unit, 0.975, -1.0, 1.0) for unit in (UNIT, np.arange(N)))
    assert (by_unit.value - by_unit.low) > 2 * (by_step.value - by_step.low)


def test_a_bound_is_that_of_the_steps_and_of_one_more_as_bad_as_can_be() -> None:
    values = np.ones(N)
    assert bounds(values, UNIT, 0.975, 1.0, 1.0).low == 1.0
    worse = bounds(values, UNIT, 0.975, -60.0, 1.0)
    assert worse.value == worse.high == 1.0
    assert worse.low < 1 - 60 / N
    usual = plain_mean(np.append(values, -60.0), np.append(UNIT, UNIT.max() + 1), 0.95)
    assert worse.low == usual.low


def test_a_cost_that_may_be_as_high_as_the_champions_is_refused() -> None:
    floor = Floor("absolute", 0.5)
    assert rules(known(floor))["cost"].verdict == "pass"
    same = known_evidence(QUALITY, COST, Choices(*[np.full(N, 1)] * 2, 2), floor, UNIT, ROLE)
    assert rules(same)["cost"].verdict == "fail"
    dearer = known_evidence(
        QUALITY, COST, Choices(np.full(N, 1), np.full(N, 0), 2), floor, UNIT, ROLE
    )
    assert rules(dearer)["cost"].verdict == "fail"


def test_a_role_that_is_shown_to_be_below_its_floor_refuses() -> None:
    quality = QUALITY.copy()
    quality[ROLE == "worker", 1] = 0.6
    quality[ROLE == "planner", 1] = 1.0
    found = rules(known(Floor("absolute", 0.7), quality))
    assert found["quality"].verdict == "pass"
    assert found["roles"].verdict == "fail"
    assert "worker (at most -0.1" in found["roles"].words
    assert "planner" not in found["roles"].words


def test_a_role_whose_lower_bound_alone_is_below_is_listed_and_does_not_refuse() -> None:
    floor = Floor("absolute", float(QUALITY[:, 1].mean()))
    found = rules(known(floor))["roles"]
    assert found.verdict == "warn"
    assert "planner, worker" in found.words


def test_a_role_of_few_units_is_not_judged() -> None:
    quality, role = QUALITY.copy(), np.full(N, "worker")
    role[:20] = "critic"
    quality[:20] = 0.0
    evidence = known_evidence(quality, COST, CHOICES, Floor("absolute", 0.7), UNIT, role)
    found = rules(evidence)["roles"]
    assert found.verdict == "warn"
    assert "critic" in found.words


def test_more_roles_make_each_bound_wider() -> None:
    few, many = np.full(N, "a"), np.array([f"r{i % 4}" for i in range(N)])
    quality = QUALITY.copy()
    quality[:, 1] = np.where(np.arange(N) % 4 == 0, quality[:, 1] * 0.8, quality[:, 1])
    at = float(quality[np.arange(N) % 4 == 0, 1].mean())
    one = bounds((quality[:, 1] - at)[::4], UNIT[::4], 0.975, -1.0, 1.0)
    floor = Floor("absolute", at + one.high + 0.005)
    told = [
        rules(known_evidence(quality, COST, CHOICES, floor, UNIT, role))["roles"]
        for role in (few, many)
    ]
    assert one.high + at < floor.level, "alone it would be refused"
    assert "r0 (at most" not in told[1].words


@pytest.mark.parametrize(
    ("params", "verdict"),
    [(GateParams(effective=N), "pass"), (GateParams(effective=N + 1), "fail"),
     (GateParams(units=201), "fail")],
)  # fmt: skip
def test_too_few_steps_or_units_refuse_and_nothing_else_is_said(
    params: GateParams, verdict: str
) -> None:
    found = rules(known(Floor("absolute", 0.5)), params)
    assert found["evidence"].verdict == verdict
    assert ("quality" in found) == (verdict == "pass")


@pytest.mark.parametrize("confidence", [0.5, 1.0, 97.5])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(BadInput, match=r"gate\.confidence"):
        GateParams(confidence=confidence)


def logs(explored: float = 0.3) -> tuple[Logged, NDArray[np.float64], NDArray[np.float64]]:
    chance = np.full((N, 3), explored / 3) + (1 - explored) * np.eye(3)[2]
    rng = np.random.default_rng(1)
    tier = np.where(rng.random(N) < explored, rng.integers(0, 3, N), 2)
    rows = np.arange(N)
    logged = Logged(tier, chance, UNIT.astype(np.str_), rows.astype(np.str_))
    return logged, QUALITY[rows, tier], COST[rows, tier]


def test_logged_numbers_have_the_means_of_the_doubly_robust_estimators() -> None:
    logged, quality, cost = logs(explored=0.9)
    guess = np.tile(QUALITY.mean(axis=0), (N, 1)), np.tile(COST.mean(axis=0), (N, 1))
    one, two = np.eye(3)[CHOICES.challenger], np.eye(3)[CHOICES.champion]

    def evidence(floor: Floor) -> Evidence:
        return logged_evidence(logged, quality, cost, *guess, CHOICES, floor, ROLE)

    served = doubly_robust(one, logged, quality, guess[0]).value
    usual = doubly_robust(two, logged, quality, guess[0]).value
    assert evidence(Floor("absolute", 0.8)).quality.mean() == pytest.approx(served - 0.8)
    assert evidence(Floor("retain", 0.8)).quality.mean() == pytest.approx(served - 0.8 * usual)
    assert evidence(Floor("retain", 0.8)).cost.mean() == pytest.approx(
        paired_difference(one, two, logged, cost, guess[1]).value
    )


def test_the_worst_of_a_logged_step_is_a_failure_of_a_tier_drawn_seldom() -> None:
    logged, _, cost = logs(explored=0.3)
    guess = np.full((N, 3), 0.9)
    found = logged_evidence(
        logged, np.ones(N), cost, guess, COST, CHOICES, Floor("absolute", 0.8), ROLE
    )
    assert found.worst == pytest.approx(0.9 - 0.9 / 0.1 - 0.8)
    assert found.quality.min() > found.worst, "none of them failed"


def test_a_miss_floor_needs_both_outcomes_of_a_step() -> None:
    logged, quality, cost = logs()
    with pytest.raises(BadInput, match="retain or absolute"):
        logged_evidence(logged, quality, cost, QUALITY, COST, CHOICES, Floor("miss", 0.9), ROLE)


@pytest.mark.parametrize(
    ("own", "other", "verdict"),
    [
        (Floor("retain", 0.95), Floor("retain", 0.95), "pass"),
        (Floor("retain", 0.98), Floor("retain", 0.95), "pass"),
        (Floor("retain", 0.90), Floor("retain", 0.95), "warn"),
        (Floor("absolute", 0.99), Floor("retain", 0.95), "warn"),
    ],
)
def test_a_floor_that_promises_less_than_the_champions_is_said(
    own: Floor, other: Floor, verdict: str
) -> None:
    assert floor_rule(own, other).verdict == verdict


def test_simple_policies_are_held_against_cost_and_quality_alike() -> None:
    metrics = {
        "policy": {"quality": 0.8, "cost_usd": 0.01},
        "controls": {
            "always small": {"quality": 0.5, "cost_usd": 0.001},
            "role table": {"quality": 0.8, "cost_usd": 0.01},
            "best mixture": {"quality": 0.9, "cost_usd": 0.01},
        },
        "curves": {"task mean": {"quality_at_policy_cost": 0.85}},
    }
    rule = simple_rule(metrics)
    assert (rule.verdict, rule.value) == ("warn", 2.0)
    assert "role table" in rule.words
    assert "best mixture" not in rule.words, "a mixture picked on test is no policy"
