"""Policies judged on recorded steps: right where the steps can tell, silent where they cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from eval_fakes import TIERS, make_steps
from logged_fakes import make_logs
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.role_table import RoleTable
from tierwise.eval.off_policy import LOGGING, NO_PROPENSITY, OWN, constant_and_role, judge
from tierwise.features.steps import StepTable


def policy(table: StepTable) -> NDArray[np.int64]:
    """Dearer tiers on harder steps, otherwise than the logging policy does it."""
    return np.digitize(table.context[:, 4], [3.0, 6.0]).astype(np.int64)


def baselines(role: NDArray[np.str_]) -> dict[str, NDArray[np.int64]]:
    return constant_and_role(TIERS, role, RoleTable())


def found(table: StepTable, role: NDArray[np.str_]) -> dict[str, Any]:
    verdict = judge(table, role, {OWN: policy(table)}, baselines(role))
    assert verdict.found is not None, verdict.refused
    return verdict.found


@pytest.fixture(scope="module")
def logged() -> dict[str, Any]:
    logs, _, role = make_logs()
    return found(logs, role)


def test_intervals_from_logs_hold_what_all_outcomes_say(logged: dict[str, Any]) -> None:
    _, full, role = make_logs()
    truth = found(full, role)["policies"]
    for name in (OWN, "always small", "always mid", "always large", "role table"):
        for kind in ("quality", "cost_usd"):
            one = logged["policies"][name][kind]
            assert one["low"] <= truth[name][kind]["value"] <= one["high"], (name, kind)


def test_known_outcomes_give_plain_means() -> None:
    full = make_steps()
    role = np.full(len(full), "worker")
    one = found(full, role)
    mean = full.quality[np.arange(len(full)), policy(full)].mean()
    assert one["method"] == "plain means"
    assert one["policies"][OWN]["quality"]["value"] == pytest.approx(mean, rel=1e-12)
    assert one["policies"]["always mid"]["cost_usd"]["value"] == full.cost[:, 1].mean()
    assert LOGGING not in one["policies"], "every tier was asked, none was chosen"


def test_what_was_served_is_the_plain_mean_of_the_logs(logged: dict[str, Any]) -> None:
    logs, _, _ = make_logs()
    rows = np.arange(len(logs))
    mean = logs.quality[rows, logs.served].mean()
    assert logged["policies"][LOGGING]["quality"]["value"] == pytest.approx(mean, rel=1e-12)
    assert logged["policies"][LOGGING]["effective"] == len(logs)


def test_the_self_normalized_and_the_direct_value_stand_beside_the_headline(
    logged: dict[str, Any],
) -> None:
    own = logged["policies"][OWN]
    assert logged["method"] == "doubly robust"
    for kind in ("quality", "cost_usd"):
        values = {own[kind]["value"], own["snips"][kind]["value"], own["direct"][kind]["value"]}
        assert len(values) == 3
    assert 200 <= own["effective"] < own["steps"]


def test_differences_are_paired_and_agree_with_the_values(logged: dict[str, Any]) -> None:
    own, other = (logged["policies"][name]["quality"] for name in (OWN, "always mid"))
    less = logged["differences"]["always mid"]["quality"]
    assert less["value"] == pytest.approx(own["value"] - other["value"], abs=1e-12)
    assert less["error"] < np.hypot(own["error"], other["error"])
    assert LOGGING in logged["differences"]


def test_logs_without_propensities_are_refused_in_one_sentence() -> None:
    logs, _, role = make_logs(600)
    blind = replace(
        logs,
        propensity=np.full(600, np.nan),
        propensities=np.full((600, 3), np.nan),
    )
    verdict = judge(blind, role, {OWN: policy(blind)}, baselines(role))
    assert verdict.as_dict() == {"off_policy": None, "refused": NO_PROPENSITY}
    assert verdict.error is None, "nothing is wrong with such logs"


def test_logs_without_quality_are_refused() -> None:
    table = make_steps(300, feedback="none")
    verdict = judge(table, np.full(300, ""), {OWN: policy(table)}, {})
    assert verdict.found is None
    assert "No quality is known" in verdict.refused


def test_too_few_effective_steps_are_refused_with_both_numbers() -> None:
    logs, _, role = make_logs(300)
    verdict = judge(logs, role, {OWN: policy(logs)}, baselines(role))
    assert verdict.found is None
    assert "of 300 steps; expected 200 at least" in verdict.refused
    assert isinstance(verdict.error, BadInput)


def test_a_small_role_is_left_empty_and_the_others_are_not() -> None:
    logs, _, role = make_logs()
    role = np.where(np.arange(len(role)) < 150, "rare", role)
    parts = found(logs, role)["by_role"]
    assert "effective sample size" in parts["rare"]["refused"]
    assert parts["rare"]["steps"] == 150
    assert parts["rare"]["served"]["quality"]["value"] > 0
    assert "quality" in parts["worker"]


def test_parts_by_tier_are_the_steps_that_the_policy_gives_that_tier(
    logged: dict[str, Any],
) -> None:
    logs, _, _ = make_logs()
    counts = np.bincount(policy(logs), minlength=3)
    assert {name: one["steps"] for name, one in logged["by_tier"].items()} == {
        name: count for name, count in zip(TIERS, counts, strict=True) if count
    }


def test_steps_that_cannot_be_weighed_are_left_out_and_counted_by_the_first_reason() -> None:
    logs, _, role = make_logs()
    propensities, quality, cost = (
        logs.propensities.copy(), logs.quality.copy(), logs.ladder_cost.copy()
    )  # fmt: skip
    propensities[:40], quality[20:70], cost[60:90] = np.nan, np.nan, np.nan
    broken = replace(
        logs,
        propensities=propensities,
        quality=quality,
        ladder_cost=cost,
        propensity=np.where(np.arange(len(logs)) < 40, np.nan, logs.propensity),
    )
    one = found(broken, role)
    assert {name: count for name, count in one["left_out"].items() if count} == {
        "no propensity": 40,
        "no quality": 30,
        "no cost": 20,
    }
    assert one["policies"][OWN]["steps"] == len(logs) - 90
    assert one["warnings"] == []


def test_many_steps_left_out_are_told() -> None:
    logs, _, role = make_logs()
    cost = np.where(np.arange(len(logs)) < 600, np.nan, logs.ladder_cost)
    (said,) = found(replace(logs, ladder_cost=cost), role)["warnings"]
    assert "600 of 3,000 steps are left out (no cost: 600)" in said


def test_claims_are_about_steps_on_which_the_logs_could_have_served_the_same() -> None:
    logs, _, role = make_logs()
    pinned = np.arange(len(logs)) % 4 == 0
    propensities = np.where(
        pinned[:, None], np.eye(3)[logs.served], logs.propensities
    )  # always what was served
    fixed = replace(
        logs,
        propensities=propensities,
        propensity=np.where(pinned, 1.0, logs.propensity),
    )
    one = found(fixed, role)
    cannot = pinned & (policy(logs) != logs.served)
    assert one["left_out"]["the logs could not have served what is judged"] == cannot.sum()
    assert one["policies"][OWN]["steps"] == len(logs) - cannot.sum()
    assert "propensity 0" in one["policies"]["always small"]["refused"]


def test_a_tier_served_for_certain_leaves_the_others_nothing_even_where_they_are_not_logged() -> (
    None
):
    logs, _, role = make_logs()
    pinned = np.arange(len(logs)) % 4 == 0
    alone = np.where(np.arange(3) == logs.served[:, None], 1.0, np.nan)
    fixed = replace(
        logs,
        propensities=np.where(pinned[:, None], alone, logs.propensities),
        propensity=np.where(pinned, 1.0, logs.propensity),
    )
    cannot = (pinned & (policy(logs) != logs.served)).sum()
    left_out = found(fixed, role)["left_out"]
    assert left_out["the logs could not have served what is judged"] == cannot > 0


def test_propensities_that_cannot_be_true_are_called_so() -> None:
    logs, _, role = make_logs()
    wrong = np.full((len(logs), 3), 1 / 3)
    lied = replace(logs, propensities=wrong, propensity=wrong[:, 0])
    said = found(lied, role)["warnings"]
    assert any("propensities of tier mid cannot be" in words for words in said)


def test_propensities_of_few_digits_count_as_a_distribution(logged: dict[str, Any]) -> None:
    logs, _, role = make_logs()
    digits = np.round(logs.propensities, 3)
    short = replace(logs, propensities=digits, propensity=digits[np.arange(len(logs)), logs.served])
    assert (digits.sum(axis=1) != 1).any()
    value = found(short, role)["policies"][OWN]["quality"]["value"]
    assert value == pytest.approx(logged["policies"][OWN]["quality"]["value"], abs=0.002)


def test_two_propensities_that_disagree_count_as_none() -> None:
    logs, _, role = make_logs()
    other = np.where(np.arange(len(logs)) < 25, 0.01, logs.propensity)
    one = found(replace(logs, propensity=other), role)
    assert one["left_out"]["two propensities that disagree"] == 25


def test_the_role_table_counts_ranks_among_the_judged_tiers_alone() -> None:
    role = np.array(["planner", "file", "critic"])
    made = constant_and_role(("a", "b", "c", "old"), role, RoleTable(), ("a", "b", "c"))
    assert made["role table"].tolist() == [2, 0, 1]
    assert "always old" not in made
