"""Processes that do the scoreboard's pieces of work, one thread each."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from threadpoolctl import threadpool_limits

from tierwise.data.errors import BadInput
from tierwise.eval.judged_table import Floats
from tierwise.eval.scoreboard_jobs import Done, Job, Settings, run_job
from tierwise.eval.scoreboard_judge import Judged, judge_table


@dataclass(frozen=True)
class Work:
    """All that is to be done on one table; it is judged when all its jobs are done.

    Attributes
    ----------
    path : Path
    jobs : list of Job
    scores : dict of str to ndarray of shape (n_steps,)
        Given scores of other routers.
    """

    path: Path
    jobs: list[Job]
    scores: dict[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """What has happened on a table.

    Attributes
    ----------
    work : Work
    job : Job or None
        None: the table was judged.
    outcome : Done, Judged or BadInput
        After BadInput nothing more happens on this table.
    """

    work: Work
    job: Job | None
    outcome: Done | Judged | BadInput


class Workers:
    """Processes, or this one where one is enough.

    As a context: leaving it by an exception (an interruption too) ends the processes at once.
    What they were at is lost; what they had written to the cache is whole.

    Parameters
    ----------
    count : int
        1 or more.
    settings : Settings
    """

    def __init__(self, count: int, settings: Settings) -> None:
        self.count, self.settings = count, settings
        self.pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self.count > 1:
            self.pool = ProcessPoolExecutor(
                self.count, multiprocessing.get_context("spawn"), initializer=_start
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.pool is None:
            return
        processes = list((self.pool._processes or {}).values())
        self.pool.shutdown(wait=kind is None, cancel_futures=True)
        if kind is not None:
            for process in processes:
                process.terminate()

    def run(self, tables: Iterator[Work]) -> Iterator[Event]:
        """Yield what happens, as it happens.

        A table's jobs are begun before those of the next; while a table is judged, the next one's
        jobs keep the other processes at work.
        """
        queue = _Queue(tables)
        if self.pool is None:
            while (task := queue.take()) is not None:
                yield from queue.settle(Event(*task, _outcome(*task, self.settings)))
            return
        running: dict[Future[Done | Judged | BadInput], tuple[Work, Job | None]] = {}
        while True:
            while len(running) < self.count and (task := queue.take()) is not None:
                running[self.pool.submit(_outcome, *task, self.settings)] = task
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield from queue.settle(Event(*running.pop(future), future.result()))


class _Queue:
    """What to do next: the jobs of one table after another, each table judged after its last job.

    Parameters
    ----------
    tables : iterator of Work
        Asked for a table when there is nothing else to do.
    """

    def __init__(self, tables: Iterator[Work]) -> None:
        self.tables = tables
        self.ready: deque[tuple[Work, Job | None]] = deque()
        self.left: dict[Path, int] = {}
        self.given_up: set[Path] = set()

    def take(self) -> tuple[Work, Job | None] | None:
        """Return what to begin; None where nothing is ready."""
        if not self.ready and (work := next(self.tables, None)) is not None:
            self.ready.extend((work, job) for job in work.jobs)
            self.left[work.path] = len(work.jobs)
        return self.ready.popleft() if self.ready else None

    def settle(self, event: Event) -> Iterator[Event]:
        """Note what was done and yield it, unless its table was given up before."""
        path = event.work.path
        if path in self.given_up:
            return
        if isinstance(event.outcome, BadInput):
            self.given_up.add(path)
            self.ready = deque(one for one in self.ready if one[0].path != path)
        elif event.job is not None:
            self.left[path] -= 1
            if self.left[path] == 0:
                self.ready.appendleft((event.work, None))
        yield event


def _outcome(work: Work, job: Job | None, settings: Settings) -> Done | Judged | BadInput:
    """Do a job, or judge the table; what is wrong with a table is an outcome too."""
    try:
        if job is None:
            return judge_table(work.path, settings, work.scores)
        return run_job(job, settings)
    except BadInput as error:
        return error


def _start() -> None:
    """Leave an interruption to the parent; use one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(1)
