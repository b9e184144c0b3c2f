"""Makes calls: several at a time, below a cap on the spend, each one journaled before the next."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tierwise.data.label_journal import Journal

_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of one try of a call.

    Attributes
    ----------
    result : mapping or None
        JSON values; None where it failed.
    error : str
        Why it failed, without any of the texts sent or received.
    paid_usd : float or None
        What it cost; None where that is not known.
    again : bool
        Another try may succeed.
    wait_s : float
        The other side asked for this pause.
    """

    result: Mapping[str, Any] | None
    error: str = ""
    paid_usd: float | None = 0.0
    again: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True)
class Task:
    """A call to be made.

    Attributes
    ----------
    key : str
        Its name in the journal.
    order : int
        Lower goes first.
    at_most_usd : float
        The dearest it can cost.
    call : callable
        Makes one try. It runs in a thread of its own and does not raise.
    then : callable
        Gives the tasks that follow from a result.
    """

    key: str
    order: int
    at_most_usd: float
    call: Callable[[], Outcome]
    then: Callable[[Mapping[str, Any]], Iterable[Task]]


@dataclass(frozen=True)
class Limits:
    """How hard to try.

    Attributes
    ----------
    cap_usd : float
        Of all calls in the journal together.
    concurrency : int
        Calls at a time.
    tries : int
        Of one call in this run.
    backoff_s : float
        Pause before the second try; it doubles with every further one, up to a minute.
    errors_in_a_row : int
        So many failed calls, none succeeding between them, end the run.
    grace_s : float
        How long an interrupted run waits for the calls it has paid for.
    """

    cap_usd: float
    concurrency: int = 4
    tries: int = 4
    backoff_s: float = 1.0
    errors_in_a_row: int = 20
    grace_s: float = 10.0


def work(tasks: Iterable[Task], journal: Journal, limits: Limits) -> str:
    """Make all calls that the journal does not have yet.

    Parameters
    ----------
    tasks : iterable of Task
        And what follows from them.
    journal : Journal
        Its results are not paid for again; its errors stay errors.
    limits : Limits
        The run ends before a call that could pass the cap.

    Returns
    -------
    str
        Why the run ended early; "" where it did not.

    Raises
    ------
    KeyboardInterrupt
        After the calls in flight have been journaled, or `grace_s` has passed.
    """
    crew = _Crew(journal, limits)
    for task in tasks:
        crew.add(task)
    try:
        while crew.start() or crew.flying:
            crew.finish_one()
    except KeyboardInterrupt:
        crew.drain()
        raise
    return crew.stopped


@dataclass(order=True)
class _Waiting:
    """A task in a queue, until a moment of the monotonic clock."""

    due: float
    order: int
    number: int
    task: Task = field(compare=False)
    tries: int = field(compare=False, default=0)


class _Crew:
    """The calls that wait, and those under way."""

    def __init__(self, journal: Journal, limits: Limits) -> None:
        self.journal, self.limits = journal, limits
        self.flying: dict[str, tuple[_Waiting, int]] = {}
        self.stopped = ""
        self._ready: list[_Waiting] = []
        self._later: list[_Waiting] = []
        self._back: queue.SimpleQueue[tuple[str, Outcome | BaseException]] = queue.SimpleQueue()
        self._numbers = count()
        self._failed = 0

    def add(self, task: Task) -> None:
        """Put a task into the queue."""
        heapq.heappush(self._ready, _Waiting(0.0, task.order, next(self._numbers), task))

    def start(self) -> bool:
        """Start what may start now; tell whether anything is left to do."""
        while self._later and self._later[0].due <= time.monotonic():
            one = heapq.heappop(self._later)
            one.due = 0.0
            heapq.heappush(self._ready, one)
        while self._ready and not self.stopped and len(self.flying) < self.limits.concurrency:
            task = self._ready[0].task
            if task.key in self.journal.results:
                heapq.heappop(self._ready)
                for following in task.then(self.journal.results[task.key]):
                    self.add(following)
            elif task.key in self.journal.errors:
                heapq.heappop(self._ready)
            elif self.journal.spent_usd + task.at_most_usd > self.limits.cap_usd:
                if not self.flying:  # else what they really cost may leave room for this one
                    self.stopped = (
                        f"the next call could cost {task.at_most_usd:.4g} USD, and "
                        f"{self.journal.spent_usd:.4g} of {self.limits.cap_usd:.4g} USD are spent"
                    )
                break
            else:
                self._launch(heapq.heappop(self._ready))
        return not self.stopped and bool(self._ready or self._later)

    def finish_one(self) -> None:
        """Wait until a call is back, or until a pause is over."""
        if not self.flying:
            if self._later and not self._ready:
                time.sleep(max(0.0, self._later[0].due - time.monotonic()))
            return
        timeout = max(0.0, self._later[0].due - time.monotonic()) if self._later else None
        try:
            key, outcome = self._back.get(timeout=timeout)
        except queue.Empty:
            return
        self._take(key, outcome)

    def drain(self) -> None:
        """Journal what comes back within the grace, and start nothing more."""
        end = time.monotonic() + self.limits.grace_s
        while self.flying and (left := end - time.monotonic()) > 0:
            try:
                key, outcome = self._back.get(timeout=left)
            except queue.Empty:
                return
            self._take(key, outcome)

    def _launch(self, one: _Waiting) -> None:
        key = one.task.key
        self.flying[key] = (one, self.journal.begin(key, one.task.at_most_usd))

        def run() -> None:
            try:
                self._back.put((key, one.task.call()))
            except BaseException as error:  # shown by the main thread, never lost in this one
                self._back.put((key, error))

        threading.Thread(target=run, daemon=True).start()

    def _take(self, key: str, outcome: Outcome | BaseException) -> None:
        if isinstance(outcome, BaseException):
            raise outcome
        one, number = self.flying.pop(key)
        one.tries += 1
        final = not outcome.again or one.tries >= self.limits.tries
        self.journal.end(key, number, outcome.paid_usd, outcome.result, outcome.error, final)
        if outcome.result is not None:
            self._failed = 0
            for following in one.task.then(outcome.result):
                self.add(following)
        elif not final:
            pause = self.limits.backoff_s * 2 ** (one.tries - 1)
            one.due = time.monotonic() + min(max(pause, outcome.wait_s), _LONGEST_WAIT_S)
            heapq.heappush(self._later, one)
        else:
            self._failed += 1
            if self._failed >= self.limits.errors_in_a_row:
                self.stopped = f"{self._failed} calls failed in a row, the last: {outcome.error}"
