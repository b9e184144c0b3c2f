"""Carries a plan out: asks, has judged, and writes what came back as rows of the trace table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tierwise.data.errors import BadInput
from tierwise.data.files import write_json
from tierwise.data.label_file import Plan
from tierwise.data.label_journal import opened
from tierwise.data.label_judge import Verdict, at_most
from tierwise.data.label_open import DOUBLE_JUDGED
from tierwise.data.label_price import Arm
from tierwise.data.label_report import ANSWER, JUDGE, Report, labels_of, name_of, report_of
from tierwise.data.label_rows import Logged, load, write_tables
from tierwise.data.label_steps import Source
from tierwise.data.label_work import Limits, Outcome, Task, work
from tierwise.data.messages import utf8

Answer = Callable[[Arm, Mapping[str, Any]], Outcome]
"""Asks a tier; the request has trace_id, step_id, role, text, messages, max_tokens, ..."""


@dataclass(frozen=True)
class Judge:
    """How answers are judged: by whom, with which rubric ("" for a function's own)."""

    verdict: Verdict
    rubric: str = ""
    double_judged: float = DOUBLE_JUDGED


def run(
    plan: Plan,
    source: Source,
    out: Path,
    answer: Answer | None,
    judge: Judge | None,
    limits: Limits,
    retry_errors: bool = False,
) -> Report:
    """Carry out what the journal in `out` does not hold yet, then write the tables.

    Parameters
    ----------
    plan : Plan
    source : Source
        The log that the plan was made of.
    out : Path
        Gets journal.jsonl, labels.parquet, joined.parquet, inclusion.parquet and label.json.
    answer : callable or None
        Asks a tier; None where nothing is to be replayed.
    judge : Judge or None
        None where the plan has nothing judged.
    limits : Limits
        The cap is on all runs of this folder together.
    retry_errors : bool
        Make the calls again that failed for good in an earlier run.

    Raises
    ------
    BadInput
        Where plan, log, journal and what is given do not belong together.
    KeyboardInterrupt
        The journal is whole and the same call goes on; the tables are not written.
    """
    _check(plan, answer, judge)
    logged = load(plan, source)
    with opened(out / "journal.jsonl", plan.digest) as journal:
        if retry_errors:
            journal.forget_errors()
        stopped = work(_tasks(plan, logged, answer, judge), journal, limits)
        labels = labels_of(plan, journal)
        report = report_of(plan, journal, labels, stopped)
        write_tables(out, plan, source, logged, labels)
        write_json(out / "label.json", report.as_dict())
    return report


def _check(plan: Plan, answer: Answer | None, judge: Judge | None) -> None:
    replays = any(step.replay for trace in plan.traces for step in trace.steps)
    if replays and answer is None:
        raise BadInput(
            "a plan with replays", "--endpoint or --callable", "say who answers the replays"
        )
    if plan.judge and judge is None:
        raise BadInput(
            "a plan with a judge", "--judge-endpoint or --judge-callable", "say who judges"
        )


def _tasks(
    plan: Plan, logged: Logged, answer: Answer | None, judge: Judge | None
) -> Iterator[Task]:
    for order, trace in enumerate(plan.traces):
        for step in trace.steps:
            request = logged.request(trace.trace_id, step.step_id, plan.max_tokens)
            for tier in step.replay:
                if answer is not None:
                    yield _answer_task(plan, request, tier, order, answer, judge)
            for tier in step.judge:
                if judge is not None:
                    said = logged.answer(trace.trace_id, step.step_id, tier)
                    yield from _judge_tasks(plan, request, tier, said, order, judge)


def _answer_task(
    plan: Plan,
    request: Mapping[str, Any],
    tier: str,
    order: int,
    answer: Answer,
    judge: Judge | None,
) -> Task:
    arm = plan.arm(tier)
    asked = {**request, "tier": tier, "model": arm.model, "effort": arm.effort}
    size = len(utf8(json.dumps(request["messages"], ensure_ascii=False)))

    def then(result: Mapping[str, Any]) -> list[Task]:
        if judge is None or result.get("quality") is not None:
            return []
        return _judge_tasks(plan, request, tier, str(result["text"]), order, judge)

    key = name_of(ANSWER, request["trace_id"], request["step_id"], tier)
    most = arm.at_most(size, plan.max_tokens)
    return Task(key, order, most, lambda: answer(arm, asked), then)


def _judge_tasks(
    plan: Plan, request: Mapping[str, Any], tier: str, said: str, order: int, judge: Judge
) -> list[Task]:
    asked = {**request, "tier": tier, "answer": said}
    most = at_most(plan.arm(plan.judge), judge.rubric, request["text"], said)
    keys = [name_of(JUDGE, request["trace_id"], request["step_id"], tier, n) for n in (0, 1)]
    repeats = (0, 1) if _share(f"{plan.seed} {keys[0]}") < judge.double_judged else (0,)

    def task(repeat: int) -> Task:
        return Task(
            keys[repeat], order, most, lambda: judge.verdict(asked, repeat), lambda result: ()
        )

    return [task(repeat) for repeat in repeats]


def _share(key: str) -> float:
    """Give a number in [0, 1) that is uniform over keys, and the same in every run."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / 2**56
