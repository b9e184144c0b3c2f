"""Calls are made below the cap, a bounded number of times, and never for what is there already."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tierwise.data.label_journal import Journal, opened
from tierwise.data.label_work import Limits, Outcome, Task, work

FINE = Outcome({"text": "fine"}, paid_usd=0.4)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with opened(tmp_path / "journal.jsonl", "plan") as made:
        yield made


def task(key: str, call: Callable[[], Outcome], order: int = 0, at_most: float = 1.0) -> Task:
    return Task(key, order, at_most, call, lambda result: ())


def limits(cap: float = 1e9, **more: float) -> Limits:
    return Limits(cap, **{"backoff_s": 0.01, **more})  # type: ignore[arg-type]


def outcomes(*given: Outcome) -> tuple[Callable[[], Outcome], list[int]]:
    calls: list[int] = []

    def call() -> Outcome:
        calls.append(1)
        return given[min(len(calls), len(given)) - 1]

    return call, calls


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_cap_is_kept_even_if_every_call_costs_its_most(
    journal: Journal, concurrency: int
) -> None:
    dear = Outcome({"text": "x"}, paid_usd=1.0)
    stopped = work(
        [task(str(i), lambda: dear) for i in range(20)],
        journal,
        limits(5.5, concurrency=concurrency),
    )
    assert journal.spent_usd == 5.0
    assert "could cost 1 USD" in stopped


def test_what_calls_really_cost_leaves_room_for_more(journal: Journal) -> None:
    assert not work([task(str(i), lambda: FINE) for i in range(20)], journal, limits(9.0))
    assert journal.spent_usd == pytest.approx(8.0)


def test_a_call_of_unknown_cost_counts_at_its_dearest(journal: Journal) -> None:
    unknown = Outcome({"text": "x"}, paid_usd=None)
    assert work([task(str(i), lambda: unknown) for i in range(20)], journal, limits(5.5))
    assert len(journal.results) == 5


def test_a_call_that_may_succeed_is_tried_again(journal: Journal) -> None:
    call, calls = outcomes(Outcome(None, "HTTP 429", again=True), FINE)
    assert not work([task("a", call)], journal, limits())
    assert (len(calls), list(journal.results)) == (2, ["a"])


def test_tries_are_bounded_and_each_of_them_counts_against_the_cap(journal: Journal) -> None:
    call, calls = outcomes(Outcome(None, "timeout", None, again=True))
    assert not work([task("a", call)], journal, limits(tries=3))
    assert len(calls) == 3
    assert journal.errors == {"a": "timeout"}
    assert journal.spent_usd == 3.0


def test_pauses_double_and_heed_what_the_other_side_asks(journal: Journal) -> None:
    moments: list[float] = []

    def call() -> Outcome:
        moments.append(time.monotonic())
        return Outcome(None, "HTTP 429", again=True, wait_s=0.3 if len(moments) == 1 else 0.0)

    work([task("a", call)], journal, limits(tries=3, backoff_s=0.1))
    gaps = [b - a for a, b in pairwise(moments)]
    assert gaps[0] >= 0.3
    assert gaps[1] >= 0.2


def test_a_hopeless_call_is_not_tried_again(journal: Journal) -> None:
    call, calls = outcomes(Outcome(None, "HTTP 400"))
    work([task("a", call)], journal, limits())
    work([task("a", call)], journal, limits())  # and not by the next run
    assert len(calls) == 1


def test_results_of_the_journal_are_not_paid_for_again(journal: Journal) -> None:
    call, calls = outcomes(FINE)
    work([task("a", call)], journal, limits())
    work([task("a", call), task("b", call)], journal, limits())
    assert len(calls) == 2


def test_what_follows_from_a_result_is_done_before_later_tasks(journal: Journal) -> None:
    made: list[str] = []

    def noted(key: str) -> Callable[[], Outcome]:
        return lambda: made.append(key) or FINE  # type: ignore[func-returns-value]

    first = Task("a", 0, 1.0, noted("a"), lambda result: [task("judge a", noted("judge a"))])
    work([first, task("b", noted("b"), order=1)], journal, limits(concurrency=1))
    assert made == ["a", "judge a", "b"]


def test_what_follows_from_a_result_of_an_earlier_run_is_still_done(journal: Journal) -> None:
    call, calls = outcomes(FINE)
    work([task("a", call)], journal, limits())
    again = Task("a", 0, 1.0, call, lambda result: [task("judge a", call)])
    work([again], journal, limits())
    assert sorted(journal.results) == ["a", "judge a"]
    assert len(calls) == 2


def test_many_failures_in_a_row_end_the_run(journal: Journal) -> None:
    call, calls = outcomes(Outcome(None, "HTTP 401"))
    stopped = work(
        [task(str(i), call) for i in range(50)], journal, limits(errors_in_a_row=5, concurrency=1)
    )
    assert "5 calls failed in a row, the last: HTTP 401" in stopped
    assert len(calls) == 5


def test_no_more_calls_than_asked_run_at_a_time(journal: Journal) -> None:
    now, most, lock = [0], [0], threading.Lock()

    def call() -> Outcome:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return FINE

    work([task(str(i), call) for i in range(12)], journal, limits(concurrency=3))
    assert most[0] == 3


def test_an_interrupted_run_journals_the_calls_it_has_paid_for_and_starts_no_more(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = journal.begin

    def interrupted(key: str, at_most_usd: float) -> int:
        if key == "2":
            raise KeyboardInterrupt
        return begin(key, at_most_usd)

    monkeypatch.setattr(journal, "begin", interrupted)

    def slow() -> Outcome:
        time.sleep(0.1)
        return FINE

    with pytest.raises(KeyboardInterrupt):
        work([task(str(i), slow, i) for i in range(5)], journal, limits(concurrency=4))
    assert sorted(journal.results) == ["0", "1"]


def test_an_error_of_the_program_itself_is_not_hidden(journal: Journal) -> None:
    def broken() -> Outcome:
        raise RuntimeError("unforeseen")

    with pytest.raises(RuntimeError, match="unforeseen"):
        work([task("a", broken)], journal, limits())
