"""What kind of feedback a log is, and which promises follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tierwise.data.errors import BadInput

Row = dict[str, Any]
Log = Callable[..., list[Row]]


def escalations(log: Log) -> list[Row]:
    """The large tier is only called where the small one failed: a log of retries."""
    rows = log()
    failed = {
        (r["trace_id"], r["step_id"]) for r in rows if r["tier"] == "small" and not r["quality"]
    }
    return [r for r in rows if r["tier"] == "small" or (r["trace_id"], r["step_id"]) in failed]


def one_tier_a_step(log: Log, n_steps: int = 200) -> list[Row]:
    return [row for i, row in enumerate(log(n_steps)) if i % 4 in (0, 3)]


def test_several_tiers_at_every_step_are_full_feedback(run: Any, log: Log) -> None:
    feedback = run(log()).feedback
    assert (feedback.kind, feedback.paired_steps) == ("full", 200)


def test_one_tier_a_step_is_logged_feedback(run: Any, log: Log) -> None:
    feedback = run(one_tier_a_step(log)).feedback
    assert (feedback.kind, feedback.paired_steps) == ("logged", 0)


def test_some_steps_with_several_tiers_are_mixed_feedback(run: Any, log: Log) -> None:
    feedback = run(log()[:200] + one_tier_a_step(log)[100:]).feedback
    assert (feedback.kind, feedback.paired_steps) == ("mixed", 100)


def test_retries_are_not_taken_for_full_feedback(run: Any, log: Log) -> None:
    with pytest.raises(BadInput, match="look like retries") as caught:
        run(escalations(log))
    assert "attempt" in caught.value.expected
    assert "feedback_source" in caught.value.expected


def test_retries_that_say_valid_instead_of_quality_are_found_too(run: Any, log: Log) -> None:
    rows = [row | {"valid": bool(row["quality"]), "quality": None} for row in escalations(log)]
    with pytest.raises(BadInput, match="look like retries"):
        run(rows)


def test_retries_that_number_their_attempts_are_logged_feedback(run: Any, log: Log) -> None:
    rows = [row | {"attempt": int(row["tier"] == "large")} for row in escalations(log)]
    rows += [row | {"trace_id": "u" + row["trace_id"]} for row in one_tier_a_step(log)]
    feedback = run(rows).feedback
    assert (feedback.kind, feedback.paired_steps) == ("logged", 0)


def test_rows_that_tell_their_source_are_believed(run: Any, log: Log) -> None:
    rows = [row | {"feedback_source": "shadow"} for row in escalations(log)]
    assert run(rows).feedback.kind == "mixed"


def test_incomplete_full_feedback_whose_cheap_tier_often_works_is_no_log_of_retries(
    run: Any, log: Log
) -> None:
    rows = log(tiers=("a", "b", "c"))
    assert run([row for i, row in enumerate(rows) if i % 7]).feedback.kind == "full"


def test_a_cheap_tier_that_always_fails_is_believed_where_every_step_has_every_tier(
    run: Any, log: Log
) -> None:
    rows = [row | {"quality": float(row["tier"] == "large")} for row in log()]
    assert run(rows).feedback.kind == "full"


def test_each_promise_says_how_many_steps_it_lacks(run: Any, log: Log) -> None:
    lacks = {p.name: p.lacks for p in run(log(300)).feedback.promises}
    assert lacks == {"retain": 2200, "miss": 2200, "absolute": 2200}
    assert all(promise.allowed for promise in run(log(2500)).feedback.promises)


def test_random_serving_with_known_propensities_allows_the_absolute_floor_only(
    run: Any, log: Log
) -> None:
    rows = [row | {"propensity": 0.5} for row in one_tier_a_step(log, 2500)]
    promises = {p.name: p for p in run(rows).feedback.promises}
    assert promises["absolute"].allowed
    assert not promises["retain"].allowed
    assert promises["retain"].lacks == 2500


def test_served_without_a_propensity_or_without_chance_is_no_exploration(
    run: Any, log: Log
) -> None:
    for cells in (
        {},
        {"explored": True},
        {"propensity": 1.0},
        {"propensity": 0.5, "explored": False},
    ):
        rows = [row | cells for row in one_tier_a_step(log)]
        assert run(rows).feedback.explored_steps == 0
