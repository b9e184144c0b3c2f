"""The decision log: whole lines, bounded files, gaps counted, nobody waits."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from tierwise.data.errors import BadInput
from tierwise.serve.decision_log import DecisionLog


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_closing_writes_every_line_that_waits(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "decisions.jsonl"
    with DecisionLog(path) as log:
        for number in range(500):
            log.write({"number": number, "role": "wörker"})
    assert lines(path) == [{"number": number, "role": "wörker"} for number in range(500)]
    assert (log.written, log.lost) == (500, 0)


def test_a_second_log_goes_on_where_the_first_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    for number in range(2):
        with DecisionLog(path) as log:
            log.write({"number": number})
    assert lines(path) == [{"number": 0}, {"number": 1}]


def test_unknown_numbers_become_null_and_numpy_scalars_plain(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    with DecisionLog(path) as log:
        log.write({"a": math.nan, "b": [np.float32(0.5), np.inf], "c": {"d": np.int64(3)}})
    assert lines(path) == [{"a": None, "b": [0.5, None], "c": {"d": 3}}]


def test_a_row_is_logged_as_it_was_when_it_was_written(tmp_path: Path) -> None:
    row = {"number": 1}
    with DecisionLog(tmp_path / "decisions.jsonl") as log:
        log.write(row)
        row["number"] = 2
    assert lines(tmp_path / "decisions.jsonl") == [{"number": 1}]


def test_files_are_put_aside_before_they_grow_too_large(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    with DecisionLog(path, max_bytes=40, keep=2) as log:
        for number in range(10):  # 16 bytes a line: two lines a file
            log.write({"number": 100 + number})
    assert len(list(tmp_path.iterdir())) == 3
    kept = [lines(path.with_name(path.name + end)) for end in (".2", ".1", "")]
    assert kept == [[{"number": 100 + n}, {"number": 101 + n}] for n in (4, 6, 8)]
    assert log.lost == 0


def test_without_older_files_the_one_file_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    with DecisionLog(path, max_bytes=40, keep=0) as log:
        for number in range(5):
            log.write({"number": 100 + number})
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert lines(path) == [{"number": 104}]


def test_a_line_larger_than_a_file_is_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    with DecisionLog(path, max_bytes=40) as log:
        log.write({"text": "x" * 100})
        log.write({"number": 1})
    assert lines(path) == [{"number": 1}]
    assert log.lost == 1


@pytest.mark.parametrize("row", [{"a": object()}, {"a": {1, 2}}, {("a", "b"): 1}, 3, None])
def test_a_row_that_is_no_json_is_dropped_and_counted(tmp_path: Path, row: object) -> None:
    path = tmp_path / "decisions.jsonl"
    with DecisionLog(path) as log:
        log.write(row)  # type: ignore[arg-type]
        log.write({"number": 1})
    assert lines(path) == [{"number": 1}]
    assert log.lost == 1


@pytest.mark.parametrize("room", [{"queue": 5}, {"queue_bytes": 5 * 15}])
def test_lines_beyond_the_queue_are_dropped_and_counted_without_waiting(
    room: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, go_on = Event(), Event()
    write = os.write

    def hangs(handle: int, data: bytes) -> int:
        busy.set()
        go_on.wait()
        return write(handle, data)

    path = tmp_path / "decisions.jsonl"
    monkeypatch.setattr("tierwise.serve.decision_log.os.write", hangs)
    log = DecisionLog(path, **room)
    log.write({"number": 10})
    busy.wait()
    for number in range(11, 31):  # returns though the disk does not
        log.write({"number": number})  # 15 bytes a line
    assert log.lost == 15
    go_on.set()
    log.close()
    assert lines(path) == [{"number": number} for number in range(10, 16)]


def test_a_full_disk_costs_lines_but_never_leaves_half_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [30, 0, 0, 1000]  # bytes for each write; somebody makes room

    def into_little_room(handle: int, data: bytes) -> int:
        free = room.pop(0)
        if not free:
            raise OSError(28, "No space left on device")
        return write(handle, bytes(data)[:free])

    monkeypatch.setattr("tierwise.serve.decision_log.os.write", into_little_room)
    path = tmp_path / "decisions.jsonl"
    with DecisionLog(path) as log:
        for number in range(5):  # 16 bytes a line: the second one does not fit
            log.write({"number": 100 + number})
    assert lines(path) == [{"number": 100 + number} for number in (0, 2, 3, 4)]
    assert (log.lost, log.written) == (1, 4)


def test_a_device_that_is_always_full_is_survived() -> None:
    with DecisionLog("/dev/full") as log:
        for number in range(3):
            log.write({"number": number})
    assert (log.lost, log.written) == (3, 0)


def test_half_a_line_of_a_killed_process_spoils_no_later_one(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b'{"number": 0}\n{"num')
    with DecisionLog(path) as log:
        log.write({"number": 1})
    assert path.read_bytes() == b'{"number": 0}\n{"num\n{"number": 1}\n'


def test_lines_after_closing_are_lost_and_counted(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "decisions.jsonl")
    log.close()
    log.close()
    log.write({"number": 1})
    assert log.lost == 1


def test_a_program_that_ends_without_closing_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    code = (
        "import sys; from tierwise.serve.decision_log import DecisionLog\n"
        "log = DecisionLog(sys.argv[1])\n"
        "for number in range(1000): log.write({'number': number})"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert len(lines(path)) == 1000


def test_only_its_owner_may_read_the_log(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    with DecisionLog(path) as log:
        log.write({})
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_path_that_cannot_be_logged_to_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "decisions.jsonl"):
        with pytest.raises(BadInput):
            DecisionLog(path)
    with pytest.raises(BadInput):
        DecisionLog(tmp_path / "decisions.jsonl", keep=-1)
