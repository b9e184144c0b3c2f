"""`tierwise label plan` and `label run` as a person uses them, and as a person stops them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierwise import cli

Rows = Callable[..., list[dict[str, Any]]]

MODELS = """\
import os, time

def answer(request):
    with open("calls.txt", "a") as file:
        file.write(f"{request['trace_id']} {request['step_id']} {request['tier']}\\n")
    time.sleep(float(os.environ.get("SLOW", "0")))
    return {"text": "new", "input_tokens": 100, "output_tokens": 50, "quality": 1.0}

def judge(request):
    return 0.5
"""


def tierwise(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tierwise", *arguments])
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def planned(log_at: Any, rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, its plan and a module of models."""
    folder = tmp_path_factory.mktemp("planned")
    log_at(folder).write(rows(6))
    (folder / "models_of_mine.py").write_text(MODELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert tierwise(*PLAN) == 0
    return folder


@pytest.fixture
def place(planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, entered."""
    folder = shutil.copytree(planned, tmp_path / "place")
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "models_of_mine", raising=False)
    return folder


PLAN = ("label", "plan", "log", "--catalogue", "tiers.yaml", "--budget-usd", "9")
RUN = ("label", "run", "plan.json", "log", "--catalogue", "tiers.yaml", "--out", "out")
BY_FUNCTION = (*RUN, "--callable", "models_of_mine:answer")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_help_shows_an_example_and_the_switch_for_machines(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tierwise("label", command, "--help") == 0
    said = capsys.readouterr().out
    assert f"Example: tierwise label {command}" in said
    assert "--json" in said


def test_a_plan_tells_machines_its_price_its_steps_and_its_promises(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tierwise(*PLAN, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert 0 < told["price_usd"] <= 9
    assert (told["traces"], told["steps"]) == (6, 24)
    assert [p["lacks"] for p in told["feedback"]["promises"]] == [2476, 2476, 2476]


def test_a_refused_plan_writes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tierwise(*PLAN[:-1], "1e-6", "--out", "new.json") == 2
    said = capsys.readouterr().err
    assert said.startswith("tierwise: a budget")
    assert said.count("\n") == 1
    assert not (place / "new.json").exists()


def test_tiers_none_replays_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tierwise(*PLAN, "--tiers", "none") == 2
    assert "nothing to judge" in capsys.readouterr().err


def test_a_run_is_done_with_0_and_its_tables_are_there(place: Path) -> None:
    assert tierwise(*BY_FUNCTION) == 0
    assert {path.name for path in (place / "out").iterdir()} == {
        *("journal.jsonl", "labels.parquet", "joined.parquet", "inclusion.parquet", "label.json"),
    }


def test_a_run_that_lacks_something_says_so_with_1(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tierwise(*BY_FUNCTION, "--budget-usd", "0.03") == 1
    assert "missing: " in capsys.readouterr().out
    assert tierwise(*BY_FUNCTION, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["complete"] is True


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), "a plan with replays"),
        (("--callable", "no_such_module:f"), "cannot be imported"),
        (("--callable", "models_of_mine"), "module:function"),
        (("--callable", "models_of_mine:answer", "--endpoint", "http://127.0.0.1:1"), "one of"),
        (("--callable", "models_of_mine:answer", "--judge-callable", "models_of_mine:judge"),
         "a plan without one"),
        (("--callable", "models_of_mine:answer", "--double-judged", "2"), "a share of 0 to 1"),
        (("--callable", "models_of_mine:answer", "--concurrency", "0"), "concurrency"),
        (("--endpoint", "http://127.0.0.1:1", "--models", "huge=x"), "tiers of the plan"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_one_line_and_nothing_is_called(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], found: str
) -> None:
    assert tierwise(*RUN, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("tierwise: ")
    assert said.count("\n") == 1
    assert found in said
    assert not (place / "calls.txt").exists()


@pytest.mark.parametrize("source", ["1 / 0", "import ("])
def test_a_module_that_fails_while_it_is_imported_is_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    name = f"broken_models_{len(source)}"
    (place / f"{name}.py").write_text(source)
    assert tierwise(*RUN, "--callable", f"{name}:answer") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{name} fails while it is imported" in said


def test_a_judge_behind_an_endpoint_needs_a_rubric(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tierwise(*PLAN, "--judge") == 0
    arguments = ("--callable", "models_of_mine:answer", "--judge-endpoint", "http://127.0.0.1:1")
    assert tierwise(*RUN, *arguments) == 2
    assert "--rubric" in capsys.readouterr().err


def test_tiers_get_the_names_that_the_endpoint_has_for_them(place: Path, api: Any) -> None:
    assert tierwise(*RUN, "--endpoint", api.url, "--models", "mid=vendor/mid-2") == 0
    assert {body["model"] for body in api.bodies} == {
        *("small-model", "vendor/mid-2", "large-model")
    }


def start(place: Path, slow: float) -> subprocess.Popen[bytes]:
    """Start a slow run of one call at a time; return when its third call is made."""
    # A shell's background job ignores ctrl-C, and its children with it; a terminal's does not.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    main = (sys.executable, "-c", f"{heed}; from tierwise.cli import main; main()")
    process = subprocess.Popen(
        [*main, *BY_FUNCTION, "--concurrency", "1"],
        cwd=place, env=os.environ | {"SLOW": str(slow)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if len(calls(place)) >= 3:
            return process
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def calls(place: Path) -> list[str]:
    path = place / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_after_kill_9_the_same_command_goes_on_and_pays_nothing_twice(place: Path) -> None:
    process = start(place, 0.2)
    process.kill()
    process.communicate()
    journal = (place / "out" / "journal.jsonl").read_text().splitlines()
    paid = [json.loads(json.loads(line)["key"]) for line in journal if '"result"' in line]
    assert len(paid) >= 2
    assert not (place / "out" / "labels.parquet").exists()

    assert tierwise(*BY_FUNCTION) == 0
    made = Counter(calls(place))
    assert len(made) == 48
    assert all(made[" ".join(key[1:4])] == 1 for key in paid)
    assert made.total() - 48 <= 1  # the one call that was under way


def test_ctrl_c_is_one_line_exit_code_130_and_the_paid_call_is_in_the_journal(
    place: Path,
) -> None:
    process = start(place, 0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.decode().startswith("tierwise: interrupted; ")
    assert said.count(b"\n") == 1
    assert not (place / "out" / "labels.parquet").exists()

    assert tierwise(*BY_FUNCTION) == 0
    assert Counter(calls(place)).most_common(1)[0][1] == 1
