"""What each level of the floor serves, and what the page says of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from eval_fakes import TIERS, estimates_for, make_spec, make_steps

from tierwise.eval import evaluate, judge
from tierwise.eval.levels import ROLES, Level, counted, default_level, role_rows, served_at
from tierwise.eval.page_data import Measured, PageData, gather
from tierwise.eval.page_states import CERTIFIED, NOT, PARTLY, TABLE, make_states
from tierwise.eval.served import category, serve

TABLE_OF_STEPS = make_steps()
TEST = TABLE_OF_STEPS.of_part(2)
SPEC = make_spec(TABLE_OF_STEPS)
ROLE = category(TEST, SPEC, "role")


def certificate(
    rest: Sequence[int], worker: Sequence[int], kind: str = "retain", ships: int = 1
) -> dict[str, Any]:
    levels = [0.8, 0.9, 0.95]
    return {
        "floor": {"kind": kind, "level": levels[ships]},
        "delta": 0.1,
        "levels": levels,
        "strata": [
            {"name": "rest", "roles": ["planner"], "points": list(rest)},
            {"name": "worker", "roles": ["worker"], "points": list(worker)},
        ],
        "chosen": {"rest": rest[ships], "worker": worker[ships]},
        "promise": "Kept.",
    }


def levels_of(one: dict[str, Any], spec: Any = SPEC) -> tuple[Level, ...]:
    served = serve(estimates_for(TEST.context), spec, ROLE, one)
    return served_at(served, ROLE, spec, one)


def judged(one: dict[str, Any]) -> tuple[PageData, dict[str, Any]]:
    """The page's data and the part of metrics.json that its states read."""
    draws = judge.Draws(200, 0.95, np.random.default_rng(0))
    facts = evaluate.facts(TEST, SPEC)[0]
    served = serve(estimates_for(TEST.context), SPEC, ROLE, one)
    levels = served_at(served, ROLE, SPEC, one)
    data = gather(facts, served.tier, served.path, levels, {}, {}, {}, (), 2, draws)
    policy = judge.value(facts, served.tier, 2, draws)
    return data, {"policy": policy, "reference": "large", "tiers": list(TIERS)}


def test_a_stratum_that_is_not_certified_gets_the_reference() -> None:
    level = levels_of(certificate([9, 9, 9], [-1, -1, -1]))[0]
    assert set(level.tier[ROLE == "worker"]) == {2}
    assert set(level.tier[ROLE != "worker"]) != {2}
    assert (level.certified, level.uncertified) == (("rest",), ("worker",))
    assert level.covered == pytest.approx((ROLE != "worker").mean())


def test_the_level_that_ships_serves_what_the_stage_serves() -> None:
    one = certificate([9, 6, 2], [8, 5, 0])
    served = serve(estimates_for(TEST.context), SPEC, ROLE, one)
    assert (levels_of(one)[default_level(one)].tier == served.tier).all()


def test_reference_always_counts_as_certified_where_the_floor_is_absolute_only() -> None:
    for kind, certified in (("retain", ()), ("miss", ()), ("absolute", ("rest", "worker"))):
        assert levels_of(certificate([0, 0, 0], [0, 0, 0], kind))[0].certified == certified


def test_no_floor_moves_a_role_table() -> None:
    fixed = make_spec(TABLE_OF_STEPS, fixed=(0, 1, 2, 2))
    assert levels_of(certificate([0, 0, 0], [0, 0, 0]), fixed) == ()


def test_rare_roles_share_a_row_and_no_step_is_lost() -> None:
    role = np.array([f"r{i}" for i in range(60) for _ in range(60 - i)] + [""] * 99)
    rows = role_rows(role)
    assert len(rows) == 1 + ROLES
    assert list(rows)[:3] == ["all steps", "role unknown", "r0"]
    assert list(rows)[-1] == f"{61 - (ROLES - 1)} rarer roles"
    counts = counted(np.zeros(len(role), np.int64), rows, 3)
    assert counts[0] == [len(role), 0, 0]
    assert sum(one[0] for one in counts[1:]) == len(role)


def test_states_say_what_is_certified_and_what_serves_where_it_is_not() -> None:
    data, metrics = judged(certificate([9, 6, 0], [8, 0, 0]))
    states, ships = make_states(data, metrics, certificate([9, 6, 0], [8, 0, 0]))
    assert [one.kind for one in states] == [CERTIFIED, PARTLY, NOT]
    assert ships == 1
    assert states[0].texts["promise"].startswith("With probability at least 90 %")
    assert "Not certified: role worker, where large serves." in states[1].texts["promise"]
    none = states[2].texts
    assert none["badge"] == "not certified: the reference serves"
    assert none["saved"] == "0.0 %"
    assert none["sure"] == "none"
    assert "the strictest certified floor is 90 %" in none["promise"]
    assert none["check"] == ""
    assert states[2].mix[0] == [0, 0, len(ROLE)]


def test_where_nothing_is_certified_no_stricter_floor_is_named() -> None:
    one = certificate([-1, -1, -1], [-1, -1, -1])
    data, metrics = judged(one)
    states, _ = make_states(data, metrics, one)
    assert {state.kind for state in states} == {NOT}
    assert states[0].texts["promise"].endswith("no level of this floor is certified.")


def test_the_state_that_ships_has_the_intervals_of_the_metrics() -> None:
    one = certificate([9, 6, 0], [8, 5, 0])
    data, metrics = judged(one)
    states, ships = make_states(data, metrics, one)
    saved = metrics["policy"]["cost_saved"]
    assert states[ships].measured.saved == (saved["value"], saved["low"], saved["high"])
    assert states[ships].texts["floor"] == "90 % (ships)"


def test_a_role_table_is_one_state_without_a_floor() -> None:
    one = certificate([0, 0, 0], [0, 0, 0])
    data, metrics = judged(one)
    states, ships = make_states(dataclasses.replace(data, levels=()), metrics, one)
    assert [state.kind for state in states] == [TABLE]
    assert (states[0].level, ships) == (None, 0)
    assert "No floor is promised" in states[0].texts["promise"]


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((0.97, 0.95, 0.99), "its whole interval included"),
        ((0.92, 0.88, 0.96), "reaches below the floor"),
        ((0.88, 0.85, 0.91), "lies below the floor"),
        ((0.85, 0.8, 0.88), "the floor was broken"),
        ((0.85, float("nan"), float("nan")), "cannot say"),
    ],
)
def test_the_test_part_is_said_to_agree_or_not(ends: Any, words: str) -> None:
    one = certificate([9, 6, 0], [8, 5, 0], ships=0)
    data, metrics = judged(one)
    same: Measured = dataclasses.replace(data.at_level[1], kept=ends)
    at_level = (data.at_level[0], same, data.at_level[2])
    states, _ = make_states(dataclasses.replace(data, at_level=at_level), metrics, one)
    assert words in states[1].texts["check"]


@pytest.mark.parametrize(
    ("miss", "words"),
    [
        ((0.2, 0.15, 0.25), "the floor was broken"),
        ((0.04, 0.02, 0.06), "its whole interval included"),
        ((0.08, 0.02, 0.13), "reaches below the floor"),
    ],
)
def test_a_small_shortfall_is_the_better_one(miss: Any, words: str) -> None:
    one = certificate([9, 6, 0], [8, 5, 0], "miss", ships=0)
    data, metrics = judged(one)
    missed = dataclasses.replace(data.at_level[1], miss=miss)
    at_level = (data.at_level[0], missed, data.at_level[2])
    states, _ = make_states(dataclasses.replace(data, at_level=at_level), metrics, one)
    assert words in states[1].texts["check"], "at most .1 was allowed"
    assert states[1].texts["goal"] == f"{miss[0]:.3f}"
    assert states[1].texts["lead"].startswith("With a mean shortfall of at most 0.1 ")
