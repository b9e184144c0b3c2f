"""A plan carried out: a spend below the cap, errors told, and the same result after any stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tierwise.data.errors import BadInput
from tierwise.data.label_endpoint import Endpoint, ask
from tierwise.data.label_judge import by_function, by_model
from tierwise.data.label_price import Arm
from tierwise.data.label_run import Judge, run
from tierwise.data.label_work import Limits, Outcome

Rows = Callable[..., list[dict[str, Any]]]
Said = Mapping[str, Any]


def read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def test_a_conversation_in_the_log_is_sent_as_it_was(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "reply"},
        {"role": "user", "content": "second"},
    ]
    source = log.write(rows(1, text=messages))
    plan, _ = plan_of(source, tiers=("mid",))
    answers = answering()
    carry_out(plan, source, tmp_path / "out", answers)
    assert answers.requests[0]["messages"] == messages
    assert answers.requests[0]["text"] == "second\n\nreply\n\nbe brief"


def test_a_text_is_sent_as_one_message_of_the_user(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(1))
    answers = answering()
    carry_out(plan_of(source, tiers=("mid",))[0], source, tmp_path / "out", answers)
    asked = {request["step_id"]: request["messages"] for request in answers.requests}
    assert asked["0"] == [{"role": "user", "content": "question 0 of task 0"}]


def test_a_run_stops_before_the_cap_says_what_is_missing_and_goes_on_without_paying_twice(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(8))
    plan, _ = plan_of(source, judge="large", max_tokens=60)
    answers = answering()
    report = carry_out(plan, source, tmp_path / "out", answers, cap=0.02)
    assert 0.01 < report.spent_usd <= 0.02
    assert not report.complete
    assert "could cost" in report.stopped
    assert sum(report.missing.values()) > 0
    assert any("missing: " in line for line in report.lines())
    assert len(read(tmp_path / "out" / "labels.parquet")) == report.answers > 0

    report = carry_out(plan, source, tmp_path / "out", answers)
    assert report.complete
    assert report.answers == sum(answers.asked.values()) == 64
    assert max(answers.asked.values()) == 1
    assert report.judged == 64


def test_the_outputs_do_not_depend_on_where_a_run_was_stopped(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(5))
    plan, _ = plan_of(source, judge="large", max_tokens=60)
    for cap in (0.01, 0.015, 1e3):
        carry_out(plan, source, tmp_path / "a", answering(latency_s=1.0), cap=cap)
    carry_out(plan, source, tmp_path / "b", answering(latency_s=1.0))
    for name in ("labels.parquet", "joined.parquet", "inclusion.parquet", "label.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_share_is_judged_twice_and_the_agreement_told_with_its_count(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any
) -> None:
    source = log.write(rows(20))
    plan, _ = plan_of(source, judge="large")
    arm = plan.arm("large")

    def fickle(request: Said) -> Said:
        changed = request["repeat"] and int(request["step_id"]) == 0
        return {"quality": 0.0 if changed else 1.0, "cost_usd": 0.0}

    judge = Judge(by_function(fickle, arm), "", 0.5)
    report = run(plan, source, tmp_path / "out", answering(), judge, Limits(1e3))
    assert report.agreement.answers == pytest.approx(0.5 * 160, rel=0.25)
    assert report.agreement.equal == pytest.approx(0.75, abs=0.12)
    assert report.judged == 160
    assert any("answers judged twice" in line for line in report.lines())


def test_an_answer_that_brings_its_quality_is_not_judged(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(2))
    plan, _ = plan_of(source, judge="large")
    report = carry_out(plan, source, tmp_path / "out", answering(quality=1.0))
    assert (report.complete, report.judged) == (True, 0)


def test_an_unreliable_api_costs_tries_and_loses_nothing(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, api: Any
) -> None:
    source = log.write(rows(3))
    plan, _ = plan_of(source, tiers=("small", "mid"), judge="large")

    def reply(number: int, body: Said) -> Any:
        asked = api.bodies[: number + 1].count(body)  # the order of calls is the threads'
        if asked == 1:
            return api.Reply(status=429, headers={"Retry-After": "0"})
        if asked == 2:
            return api.Reply(status=500)
        return api.Reply("0.5" if body["model"] == "large-model" else "an answer")

    api.reply = reply
    to = Endpoint(api.url, "sk-secret", 5.0)
    judge = Judge(by_model(to, plan.arm("large"), "be fair"), "be fair", 0.0)
    report = run(
        plan, source, tmp_path / "out",
        lambda arm, request: ask(to, arm, request["messages"], request["max_tokens"]),
        judge, Limits(1.0, concurrency=3, tries=3, backoff_s=0.01),
    )  # fmt: skip
    assert report.complete
    assert (report.answers, report.judged) == (16, 16)
    labels = read(tmp_path / "out" / "labels.parquet")
    assert set(labels["quality"]) == {0.5}
    assert "sk-secret" not in (tmp_path / "out" / "journal.jsonl").read_text()


def test_calls_that_fail_for_good_are_recorded_told_and_only_repeated_when_asked(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, api: Any
) -> None:
    source = log.write(rows(3))
    plan, _ = plan_of(source, tiers=("small",))
    to = Endpoint(api.url, "", 5.0)

    def answer(arm: Arm, request: Said) -> Outcome:
        return ask(to, arm, request["messages"], request["max_tokens"])

    api.reply = lambda number, body: api.Reply(body=b"{") if number < 2 else api.Reply(usage=None)
    limits = Limits(1.0, concurrency=1)
    report = run(plan, source, tmp_path / "out", answer, None, limits)
    assert report.errors == {"the answer is not JSON of the API": 2}
    assert report.missing == {"small": 2}
    calls = len(api.bodies)
    run(plan, source, tmp_path / "out", answer, None, limits)
    assert len(api.bodies) == calls
    report = run(plan, source, tmp_path / "out", answer, None, limits, retry_errors=True)
    assert report.complete
    assert not report.errors
    labels = read(tmp_path / "out" / "labels.parquet")
    assert labels["cost_usd"].isna().all()  # the API named no usage: unknown is not zero
    most = plan.arm("small").at_most(0, plan.max_tokens)
    assert report.spent_usd > 8 * most  # and the cap counts the unknown at its dearest


def test_unreadable_judgments_are_counted_and_no_quality(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any
) -> None:
    source = log.write(rows(2))
    plan, _ = plan_of(source, tiers=("small",), judge="large")
    judge = Judge(by_function(lambda r: {"quality": "good", "cost_usd": 0}, plan.arm("large")))
    report = run(plan, source, tmp_path / "out", answering(), judge, Limits(1.0))
    assert report.missing == {"judgments": report.answers}
    assert report.unjudged >= report.answers
    assert read(tmp_path / "out" / "labels.parquet")["quality"].isna().all()


def test_a_plan_of_another_log_is_refused_before_anything_is_called(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    plan, _ = plan_of(log.write(rows(4)), tiers=("mid",))
    source = log.write(rows(3))
    answers = answering()
    with pytest.raises(BadInput, match="trace t003, which the log does not have"):
        carry_out(plan, source, tmp_path / "out", answers)
    assert not answers.asked


def test_a_plan_of_another_catalogue_is_refused_before_anything_is_called(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    plan, _ = plan_of(log.write(rows(4)), tiers=("mid",))
    log.tiers.write_text(log.tiers.read_text().replace("name: mid", "name: middle"))
    source = log.write(rows(4, tier="mid-model"))
    answers = answering()
    with pytest.raises(BadInput, match="tier 'middle'"):
        carry_out(plan, source, tmp_path / "out", answers)
    assert not answers.asked


def test_the_same_folder_is_not_used_for_two_plans(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(3))
    carry_out(plan_of(source, tiers=("mid",))[0], source, tmp_path / "out", answering())
    with pytest.raises(BadInput, match="another plan"):
        carry_out(plan_of(source, tiers=("small",))[0], source, tmp_path / "out", answering())


def test_label_json_says_what_the_lines_say(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(3))
    report = carry_out(plan_of(source, judge="large")[0], source, tmp_path / "out", answering())
    told = json.loads((tmp_path / "out" / "label.json").read_text())
    assert told == report.as_dict()
    assert f"answers: {told['answers']}, judged: {told['judged']}" in report.lines()[0]
