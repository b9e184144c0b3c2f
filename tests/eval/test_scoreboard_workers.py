"""Processes at work: what is begun when, and that a broken-off run goes on where it stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from outcome_tables import outcome_table

from tierwise.data.errors import BadInput
from tierwise.eval.scoreboard import Wanted, scoreboard, settings_of
from tierwise.eval.scoreboard_jobs import Done, Job
from tierwise.eval.scoreboard_workers import Event, Work, _Queue

RUN = """
from pathlib import Path
from tierwise.eval.scoreboard import Wanted, scoreboard, settings_of
if __name__ == "__main__":
    folder = Path({folder!r})
    settings = settings_of(2, 0, 1, draws=5, few=0, cache=folder / "cache")
    scoreboard(Wanted(folder, (), settings, 2, folder / "out.json"))
"""


def work(name: str, count: int) -> Work:
    path = Path(f"{name}.parquet")
    return Work(path, [Job(path, "few", seed) for seed in range(count)])


def finish(queue: _Queue, *tasks: tuple[Work, Job | None]) -> None:
    for one, job in tasks:
        assert list(queue.settle(Event(one, job, Done(0.0, False))))


def test_a_table_is_judged_when_its_last_job_is_done_before_more_of_the_next() -> None:
    queue = _Queue(iter([work("a", 2), work("b", 2)]))
    first, second, third = queue.take(), queue.take(), queue.take()
    assert first is not None
    assert second is not None
    assert third is not None
    assert [task[0].path.stem for task in (first, second, third)] == ["a", "a", "b"]
    finish(queue, first, second)
    judging = queue.take()
    assert judging is not None
    assert (judging[0].path.stem, judging[1]) == ("a", None)


def test_a_table_that_is_refused_is_told_once_and_not_worked_on() -> None:
    queue = _Queue(iter([work("a", 3), work("b", 1)]))
    first, second = queue.take(), queue.take()
    assert first is not None
    assert second is not None
    refused = BadInput("one unit", "more", "log more")
    assert len(list(queue.settle(Event(*first, refused)))) == 1
    assert list(queue.settle(Event(*second, refused))) == []
    after = queue.take()
    assert after is not None
    assert after[0].path.stem == "b"


def test_an_interrupted_run_leaves_whole_results_that_the_next_one_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome_table(tmp_path / "t.parquet", n=320)
    script = tmp_path / "run.py"
    script.write_text(RUN.format(folder=str(tmp_path)))
    command = [sys.executable, str(script)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.lstrip().startswith("1/"):
            break
    os.killpg(process.pid, signal.SIGINT)
    process.stdout.close()
    assert process.wait(timeout=30) != 0
    kept = sorted((tmp_path / "cache").glob("*.npz"))
    assert len(kept) >= 1
    times = [path.stat().st_mtime_ns for path in kept]
    settings = settings_of(2, 0, 1, draws=5, few=0, cache=tmp_path / "cache")
    scoreboard(Wanted(tmp_path, (), settings, 1, tmp_path / "out.json"))
    assert f"{len(kept)} of 5 were in the cache" in capsys.readouterr().out
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert (tmp_path / "out.json").is_file()
