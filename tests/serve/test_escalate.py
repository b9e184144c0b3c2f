"""Escalation: one rung up after a failure, inside every pin, with every attempt on record."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.data.ingest import IngestParams, ingest
from tierwise.router_model.bundle import verify_bundle
from tierwise.serve import Router
from tierwise.serve.escalate import Answer, Attempt, CallFailed, Outcome, run
from tierwise.serve.validators import Check, judged, one_of

TIERS = ("small", "medium", "large")
COST = {"small": 0.001, "medium": 0.01, "large": 0.1}
STEP = "Is this a question?"
SMALL: dict[str, Any] = {"role": "worker", "has_schema": True}  # the small policy's tier is small
YES = one_of(["yes"])


class Calls:
    """Tiers that answer what a test says; an exception is raised."""

    def __init__(self, **said: object) -> None:
        self.said = said
        self.tiers: list[str] = []

    def __call__(self, tier: str, step: object) -> Answer:
        assert step == STEP
        self.tiers.append(tier)
        said = self.said.get(tier, "yes")
        if isinstance(said, Exception):
            raise said
        return Answer(said, cost_usd=COST[tier], latency_s=0.5, output_tokens=1)


@pytest.fixture
def ruled(bundle_folder: Path) -> Callable[..., Router]:
    """Make a router with rules."""

    def make(**rules: Any) -> Router:
        bundle = verify_bundle(bundle_folder)
        return Router(replace(bundle, manifest=replace(bundle.manifest, rules=(rules,))))

    return make


@pytest.fixture(scope="module")
def decides(bundle_folder: Path) -> Router:
    """Give the same router to every example of a test."""
    return Router.load(bundle_folder)


def crashes(output: Any) -> Check:
    raise RuntimeError("broken")


def test_an_answer_that_passes_is_taken_from_the_first_tier(router: Router) -> None:
    calls = Calls()
    outcome = run(router, STEP, calls, [YES], **SMALL)
    assert calls.tiers == ["small"]
    assert (outcome.status, outcome.output, outcome.total_cost_usd) == ("passed", "yes", 0.001)


def test_a_failed_check_goes_one_rung_up_and_every_attempt_is_paid(router: Router) -> None:
    calls = Calls(small="maybe", medium="perhaps")
    outcome = run(router, STEP, calls, [YES], **SMALL)
    assert calls.tiers == ["small", "medium", "large"]
    assert [attempt.checked.verdict for attempt in outcome.attempts] == ["fail", "fail", "pass"]
    assert (outcome.status, outcome.output) == ("passed", "yes")
    assert outcome.total_cost_usd == pytest.approx(0.111)


def test_an_answer_that_failed_its_check_is_never_handed_out(router: Router) -> None:
    calls = Calls(small="a", medium="b", large="c")
    outcome = run(router, STEP, calls, [YES], **SMALL)
    assert (outcome.status, outcome.output) == ("failed", None)
    assert [one.answer.output for one in outcome.attempts if one.answer] == ["a", "b", "c"]


def test_a_call_that_raises_is_an_attempt_with_its_cost_and_unknown_validity(
    router: Router,
) -> None:
    calls = Calls(small=CallFailed("cut off", 0.0005), medium=TimeoutError("60 s"))
    outcome = run(router, STEP, calls, [YES], **SMALL)
    first, second, _ = outcome.attempts
    assert (first.cost_usd, first.checked.valid, first.error) == (
        0.0005,
        None,
        "CallFailed: cut off",
    )
    assert math.isnan(second.cost_usd)
    assert second.error == "TimeoutError: 60 s"
    assert outcome.status == "passed"
    assert math.isnan(outcome.total_cost_usd)


@pytest.mark.parametrize("validators", [[], [crashes], [YES, crashes], [lambda _: True]])
def test_an_answer_that_could_not_be_checked_is_taken_but_has_not_passed(
    router: Router, validators: list[Any]
) -> None:
    calls = Calls()
    outcome = run(router, STEP, calls, validators, **SMALL)
    assert calls.tiers == ["small"]
    assert (outcome.status, outcome.output) == ("unchecked", "yes")
    assert outcome.attempts[0].checked.valid is None


def test_a_broken_validator_does_not_hide_that_another_failed(router: Router) -> None:
    outcome = run(router, STEP, Calls(small="maybe"), [crashes, YES], **SMALL)
    assert outcome.attempts[0].checked.verdict == "fail"
    assert [attempt.tier for attempt in outcome.attempts] == ["small", "medium"]


@pytest.mark.parametrize(
    ("pin", "tiers"),
    [
        ({"tier": "small"}, ["small"]),
        ({"tier": "small", "allowed": ["small", "medium"]}, ["small", "medium"]),
        ({"allowed": ["small", "large"]}, ["small", "large"]),
    ],
)
def test_no_retry_leaves_the_tiers_of_a_pin(
    ruled: Callable[..., Router], pin: dict[str, Any], tiers: list[str]
) -> None:
    calls = Calls(small="a", medium="b", large="c")
    outcome = run(ruled(pins=[{"role": "worker", **pin}]), STEP, calls, [YES], **SMALL)
    assert calls.tiers == tiers
    assert outcome.status == "failed"


@pytest.mark.parametrize(
    ("given", "tiers"),
    [
        ({"allowed": ["small", "large"]}, ["small", "large"]),
        ({"allowed": ["small"]}, ["small"]),
        ({"pin": "medium"}, ["medium"]),
    ],
)
def test_no_retry_leaves_the_tiers_that_the_call_allows(
    router: Router, given: dict[str, Any], tiers: list[str]
) -> None:
    calls = Calls(small="a", medium="b", large="c")
    run(router, STEP, calls, [YES], **SMALL, **given)
    assert calls.tiers == tiers


def test_where_no_tier_is_allowed_none_is_called(ruled: Callable[..., Router]) -> None:
    calls = Calls()
    rules = {"pins": [{"role": "worker", "tier": "small"}]}
    outcome = run(ruled(**rules), STEP, calls, [YES], allowed=["large"], **SMALL)
    assert not calls.tiers
    assert (outcome.status, outcome.attempts, outcome.total_cost_usd) == ("failed", (), 0.0)


def test_no_more_calls_are_made_than_asked_for(router: Router) -> None:
    calls = Calls(small="a", medium="b", large="c")
    assert run(router, STEP, calls, [YES], max_attempts=2, **SMALL).status == "failed"
    assert calls.tiers == ["small", "medium"]
    with pytest.raises(ValueError, match="max_attempts"):
        run(router, STEP, calls, [YES], max_attempts=0, **SMALL)


def test_a_step_that_failed_to_the_end_is_planned_anew_and_that_is_paid_too(
    router: Router,
) -> None:
    def replan(step: object, attempts: tuple[Attempt, ...]) -> Answer:
        assert [attempt.tier for attempt in attempts] == list(TIERS)
        return Answer("two smaller steps", cost_usd=1.0)

    calls = Calls(small="a", medium="b", large="c")
    outcome = run(router, STEP, calls, [YES], replan=replan, **SMALL)
    assert (outcome.status, outcome.output) == ("replanned", "two smaller steps")
    assert outcome.total_cost_usd == pytest.approx(1.111)


def test_a_planner_that_fails_loses_no_attempt(router: Router) -> None:
    def replan(step: object, attempts: tuple[Attempt, ...]) -> Answer:
        raise RuntimeError("no plan")

    calls = Calls(small="a", medium="b", large="c")
    outcome = run(router, STEP, calls, [YES], replan=replan, **SMALL)
    assert (outcome.status, outcome.error) == ("failed", "RuntimeError: no plan")
    assert len(outcome.attempts) == 3


def test_a_call_that_returns_no_answer_is_a_fault_of_the_program(router: Router) -> None:
    with pytest.raises(TypeError, match="expected Answer"):
        run(router, STEP, lambda tier, step: "yes", [YES], **SMALL)  # type: ignore[arg-type,return-value]


@given(
    said=st.lists(
        st.sampled_from(["yes", "maybe", CallFailed("cut off", 0.5), TimeoutError("60 s")]),
        min_size=3,
        max_size=3,
    ),
    allowed=st.sets(st.sampled_from(TIERS), min_size=1),
    max_attempts=st.none() | st.integers(1, 4),
    validators=st.lists(st.sampled_from([YES, crashes]), max_size=3),
)
def test_whatever_tiers_and_checks_do_the_ladder_is_climbed_once_and_paid_in_full(
    decides: Router,
    said: list[Any],
    allowed: set[str],
    max_attempts: int | None,
    validators: list[Any],
) -> None:
    calls = Calls(**dict(zip(TIERS, said, strict=True)))
    outcome = run(
        decides, STEP, calls, validators, max_attempts=max_attempts, allowed=allowed, **SMALL
    )
    above = TIERS[outcome.decision.tier_index :]
    rungs = [tier for tier in above if tier in allowed][:max_attempts]
    assert calls.tiers == rungs[: len(calls.tiers)] == [one.tier for one in outcome.attempts]
    assert all(attempt.failed for attempt in outcome.attempts[:-1])
    last = outcome.attempts[-1]
    if outcome.status == "failed":
        assert last.failed
        assert outcome.output is None
        assert calls.tiers == rungs
    else:
        assert last.answer is not None
        assert outcome.output == last.answer.output
        assert (outcome.status == "passed") == (YES in validators and crashes not in validators)
        assert outcome.output == "yes" or YES not in validators
    paid = [0.5 if one.error.startswith("Call") else COST[one.tier] for one in outcome.attempts]
    unknown = any(one.error.startswith("Timeout") for one in outcome.attempts)
    assert math.isnan(outcome.total_cost_usd) == unknown
    assert unknown or outcome.total_cost_usd == pytest.approx(sum(paid))


class Store:
    """A budget that notes what it is charged."""

    def __init__(self) -> None:
        self.charged: list[tuple[str | None, float]] = []

    def take(self, tenant: str | None, usd: float) -> bool:
        return True

    def charge(self, tenant: str | None, usd: float) -> None:
        self.charged.append((tenant, usd))


def test_retries_are_charged_to_the_tenant_and_the_first_call_is_not(
    ruled: Callable[..., Router], bundle_folder: Path
) -> None:
    store = Store()
    manifest = ruled(
        budgets={
            "default": {"usd": 1.0, "usd_per_day": 1.0},
            "role_table": {"default": "small", "roles": {}},
        }
    ).manifest
    router = Router(replace(verify_bundle(bundle_folder), manifest=manifest), budget_store=store)
    calls = Calls(small="a", medium=TimeoutError(), large="c")
    run(router, STEP, calls, [YES], replan=lambda *_: Answer("plan", 0.7), tenant="t", **SMALL)
    assert store.charged == [
        ("t", pytest.approx(COST["medium"])),  # expected, as the real one is unknown
        ("t", COST["large"]),
        ("t", 0.7),
    ]


def test_what_a_judge_costs_is_part_of_each_attempt(router: Router) -> None:
    answers = iter([(0.2, 0.003), (0.9, 0.003)])
    judge = judged(lambda _: next(answers))
    outcome = run(router, STEP, Calls(), [YES, judge], **SMALL)
    assert [attempt.cost_usd for attempt in outcome.attempts] == pytest.approx([0.004, 0.013])
    rows = outcome.rows(trace_id="t", step_id="s")
    assert [(row["valid"], row["quality"], row["quality_source"]) for row in rows] == [
        (True, 0.2, "judge"),
        (True, 0.9, "judge"),
    ]


def escalated(router: Router, **given: Any) -> Outcome:
    return run(router, STEP, Calls(small="maybe"), [YES], tenant="acme", **SMALL, **given)


def test_every_attempt_leaves_a_row_that_says_what_went_before(router: Router) -> None:
    first, second = escalated(router, previous_tier="large").rows(
        trace_id="t", step_id="s", group="g"
    )
    assert (first["attempt"], first["feedback_source"], first["tier"]) == (0, "serve", "small")
    assert (first["previous_tier"], first["previous_failed"]) == ("large", None)
    assert (first["propensity"], first["valid"], first["quality"]) == (1.0, False, None)
    assert (second["attempt"], second["feedback_source"], second["tier"]) == (1, "retry", "medium")
    assert (second["previous_tier"], second["previous_failed"]) == ("small", True)
    assert (second["propensity"], second["valid"], second["cost_usd"]) == (None, True, 0.01)
    for row in (first, second):
        assert (row["text"], row["role"], row["has_schema"]) == (STEP, "worker", True)
        assert (row["tenant"], row["group"], row["output_tokens"]) == ("acme", "g", 1)
        assert row["output_text"] is None


def test_answers_are_recorded_where_asked_for(router: Router) -> None:
    rows = escalated(router).rows(trace_id="t", outputs=True)
    assert [row["output_text"] for row in rows] == ["maybe", "yes"]


def test_rows_of_escalated_steps_are_read_as_first_attempts_and_retries(
    router: Router, tmp_path: Path
) -> None:
    rows = [
        row
        for number in range(20)
        for row in escalated(router).rows(trace_id=f"t{number}", step_id="s")
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "rows.parquet")
    params = IngestParams(min_steps=1)
    summary = ingest(str(tmp_path / "rows.parquet"), tmp_path / "run", None, {}, params)
    assert (summary.rows, summary.rejected, summary.steps) == (40, 0, 20)
    table = pd.read_parquet(tmp_path / "run" / "traces.parquet")
    assert table.groupby("attempt")["valid"].agg(["size", "sum"]).to_numpy().tolist() == [
        [20, 0],
        [20, 20],
    ]


def test_a_router_runs_a_step_itself(decides: Router) -> None:
    calls = Calls(small="no")
    found = decides.run(STEP, calls, [YES], **SMALL)
    assert (found.status, calls.tiers) == ("passed", ["small", "medium"])
