from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tierwise import cli
from tierwise.commands import start
from tierwise.eval import gate as gate_stage

COMMANDS = [
    *("init", "ingest", "audit", "route", "table", "verify", "export", "gate", "scoreboard"),
    *("serve", "promote", "rollback", "sign", "version"),
]


def call(*arguments: str) -> int:
    """Run the command line in this process; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tierwise", *arguments])
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


def without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where `module` is not installed."""
    code = f"import sys; sys.modules[{module!r}] = None; from tierwise.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    n = 600
    frame = pd.DataFrame(
        {
            "trace_id": [f"t{i // 2}" for i in range(n)],
            "step_id": "0",
            "text": [f"question {i // 2}" for i in range(n)],
            "tier": ["cheap", "dear"] * (n // 2),
            "role": "worker",
            "cost_usd": [0.25, 1.0] * (n // 2),
            "quality": [1.0, 1.0] * (n // 2),
        }
    )
    frame.loc[4, "quality"] = 7.0
    path = tmp_path / "traces.parquet"
    frame.to_parquet(path)
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_and_the_switch_for_machines(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(command, "--help") == 0
    said = capsys.readouterr().out
    assert f"Example: tierwise {command}" in said
    assert "--json" in said


def test_a_command_that_does_not_exist_is_wrong_use() -> None:
    assert call("nonsense") == 2


def test_without_typer_one_line_names_the_extra() -> None:
    done = without("typer", "version")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "tierwise[cli]" in done.stderr


def test_no_command_loads_the_libraries_of_another() -> None:
    heavy = "{'numpy', 'onnxruntime', 'pandas', 'yaml', 'mlflow', 'fastapi'}"
    code = f"import sys; from tierwise.cli import build; build(); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("pandas", ["audit", "x"], "train"),
        ("pyarrow", ["ingest", "x"], "train"),
        ("rich", ["version"], "cli"),
    ],
)
def test_a_missing_library_is_one_line_that_names_its_extra(
    module: str, arguments: list[str], extra: str
) -> None:
    done = without(module, *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{module} is not installed" in done.stderr
    assert f"tierwise[{extra}]" in done.stderr


def test_an_error_that_nobody_foresaw_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(distribution: str) -> str:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(start, "installed_version", broken)
    monkeypatch.setattr(sys, "argv", ["tierwise", "version"])
    with pytest.raises(RuntimeError, match="unforeseen"):
        cli.main()


def test_ctrl_c_ends_quietly_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(distribution: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "installed_version", stopped)
    assert call("version") == 130
    said = capsys.readouterr()
    assert said.out + said.err.strip() == ""


def test_version_says_the_version_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("version", "--json") == 0
    assert json.loads(capsys.readouterr().out)["tierwise"] == "0.1.0"


def test_init_writes_what_is_missing_and_keeps_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "roles.yaml").write_text("mine")
    assert call("init", str(tmp_path), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "kept": ["roles.yaml"],
        "written": ["tiers.yaml", "rules.yaml", "params.yaml"],
    }
    assert (tmp_path / "roles.yaml").read_text() == "mine"


def test_bad_input_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("init", "/no/such/folder") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("tierwise: no folder /no/such/folder; expected")


@pytest.mark.parametrize("command", [["gate"], ["label", "run"]])
def test_a_file_in_place_of_a_folder_or_the_reverse_is_one_line(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("{}")
    assert call(*command, *([str(file)] if command == ["gate"] else [str(tmp_path), "t"])) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "directory; expected files that can be read" in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_in_any_script_are_shown_on_any_terminal(
    traces: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.read_parquet(traces)
    frame["tier"] = frame["tier"].map({"cheap": "\u5c0f\u00e9", "dear": "\U0001f600"})
    frame.to_parquet(traces)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    assert call("audit", str(traces)) == 0
    sys.stdout.flush()
    assert "\\u5c0f" in raw.getvalue().decode(encoding)
    raw.seek(0)
    raw.truncate()
    assert call("audit", str(traces), "--json") == 0
    sys.stdout.flush()
    found = json.loads(raw.getvalue().decode(encoding))
    assert set(found["by_role"]["worker"]) == {"\u5c0f\u00e9", "\U0001f600"}


def test_a_dry_run_of_ingest_counts_the_refused_and_writes_nothing(
    traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call("ingest", str(traces), "--out", str(out), "--dry-run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["rejected"]) == (599, 1)
    assert not out.exists()


def test_ingest_takes_other_column_names(
    traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.parquet"
    pd.read_parquet(traces).rename(columns={"text": "prompt"}).to_parquet(other)
    assert call("ingest", str(other), "--dry-run") == 2
    assert "--map text=prompt" in capsys.readouterr().err
    assert call("ingest", str(other), "--dry-run", "--map", "text=prompt") == 0


def test_audit_gives_each_tiers_share_of_the_spend(
    traces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("audit", str(traces), "--json") == 0
    tiers = json.loads(capsys.readouterr().out)["by_role"]["worker"]
    assert tiers["cheap"]["share"] == pytest.approx(0.2)


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_the_gates_answer_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], passed: bool, code: int
) -> None:
    verdict = gate_stage.Verdict(passed, ())
    monkeypatch.setattr(gate_stage, "gate", lambda run, params: verdict)
    assert call("gate", "artifacts/x", "--json") == code
    assert json.loads(capsys.readouterr().out)["passed"] is passed


def test_verify_says_no_to_a_damaged_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    assert call("verify", str(tmp_path), "--json") == 1
    assert json.loads(capsys.readouterr().out)["sound"] is False


def test_verify_of_no_folder_is_wrong_use(tmp_path: Path) -> None:
    assert call("verify", str(tmp_path / "gone")) == 2


@pytest.fixture
def role_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A bundle of the example role table, made by the command itself."""
    call("init", str(tmp_path))
    roles, tiers, out = tmp_path / "roles.yaml", tmp_path / "tiers.yaml", tmp_path / "policy"
    code = call("export", "--role-table", str(roles), "--tiers", str(tiers), "--out", str(out))
    capsys.readouterr()
    assert code == 0
    return str(out)


def test_an_exported_role_table_is_a_sound_bundle(role_policy: str) -> None:
    assert call("verify", role_policy) == 0


@pytest.mark.parametrize(("role", "tier"), [("planner", "frontier"), ("extract", "small")])
def test_route_serves_the_role_tables_tier_and_says_why(
    role_policy: str, capsys: pytest.CaptureFixture[str], role: str, tier: str
) -> None:
    assert call("route", role_policy, "Find the date", "--role", role, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["tier"], made["reason"]) == (tier, "fixed_role")
    assert made["expected"][tier]["quality"] is None


def test_route_says_which_context_it_left_out(
    role_policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("route", role_policy, "x", "--context", "nonsense=1", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ignored"] == ["nonsense"]
    assert said["ignored_because"] == {"unknown_column": 1}


def test_route_refuses_a_context_that_is_no_pair(role_policy: str) -> None:
    assert call("route", role_policy, "x", "--context", "nonsense") == 2


def test_route_of_no_bundle_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("route", str(tmp_path), "x") == 2
    assert capsys.readouterr().err.count("\n") == 1
