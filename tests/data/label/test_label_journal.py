"""What the journal remembers after any end of the process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tierwise.data.errors import BadInput
from tierwise.data.label_journal import Journal, opened


def one_call(journal: Journal, key: str, paid: float | None = 0.25) -> None:
    number = journal.begin(key, 1.0)
    journal.end(key, number, paid, {"text": f"answer to {key}"}, "", True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with opened(tmp_path / "out" / "journal.jsonl", "plan") as journal:
        one_call(journal, "a")
        one_call(journal, "b")
    return tmp_path / "out" / "journal.jsonl"


def test_results_and_spend_are_there_when_it_is_opened_again(path: Path) -> None:
    with opened(path, "plan") as journal:
        assert journal.results["b"] == {"text": "answer to b"}
        assert journal.spent_usd == 0.5


def test_each_line_is_on_disk_before_the_next_call(path: Path) -> None:
    with opened(path, "plan") as journal:
        one_call(journal, "c")
        assert json.loads(path.read_bytes().splitlines()[-1])["key"] == "c"


@pytest.mark.parametrize("kept", [1, 20, 60])
def test_a_half_written_last_line_is_dropped_and_the_call_counts_at_its_dearest(
    path: Path, kept: int
) -> None:
    content = path.read_bytes()
    last = content.rstrip().rfind(b"\n") + 1
    path.write_bytes(content[: last + kept])
    with opened(path, "plan") as journal:
        assert list(journal.results) == ["a"]
        assert journal.spent_usd == 0.25 + 1.0
        one_call(journal, "b")
    with opened(path, "plan") as journal:
        assert sorted(journal.results) == ["a", "b"]
        assert journal.spent_usd == 0.25 + 1.0 + 0.25


def test_a_call_of_unknown_cost_counts_at_its_dearest(path: Path) -> None:
    with opened(path, "plan") as journal:
        one_call(journal, "c", paid=None)
        assert journal.spent_usd == 1.5


def test_a_call_under_way_counts_at_its_dearest(path: Path) -> None:
    with opened(path, "plan") as journal:
        journal.begin("c", 1.0)
        assert journal.spent_usd == 1.5


def test_two_runs_at_a_time_are_refused(path: Path) -> None:
    with opened(path, "plan"), pytest.raises(BadInput, match="in use"), opened(path, "plan"):
        pass


def test_the_journal_of_another_plan_is_refused(path: Path) -> None:
    with pytest.raises(BadInput, match="another plan"), opened(path, "another"):
        pass


@pytest.mark.parametrize("line", [b"not json", b"[]", b'{"key": "x", "try": 0, "paid": 1}'])
def test_a_damaged_line_is_refused_by_its_number(path: Path, line: bytes) -> None:
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(BadInput, match="line 6 of"), opened(path, "plan"):
        pass


def test_an_error_is_remembered_until_it_is_forgotten(path: Path) -> None:
    with opened(path, "plan") as journal:
        journal.end("c", journal.begin("c", 1.0), 0.0, None, "HTTP 500", True)
    with opened(path, "plan") as journal:
        assert journal.errors == {"c": "HTTP 500"}
        journal.forget_errors()
        one_call(journal, "c")
    with opened(path, "plan") as journal:
        assert not journal.errors
        assert "c" in journal.results
