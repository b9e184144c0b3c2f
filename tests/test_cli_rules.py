"""`tierwise rules apply` and `tierwise rules show` on a bundle of the example role table."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.test_cli import call


@pytest.fixture
def policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    call("init", str(tmp_path))
    roles, tiers, out = tmp_path / "roles.yaml", tmp_path / "tiers.yaml", tmp_path / "policy"
    assert not call("export", "--role-table", str(roles), "--tiers", str(tiers), "--out", str(out))
    capsys.readouterr()
    return out


@pytest.mark.parametrize("command", ["apply", "show"])
def test_help_shows_an_example_and_the_switch_for_machines(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("rules", command, "--help") == 0
    said = capsys.readouterr().out
    assert f"Example: tierwise rules {command}" in said
    assert "--json" in said


def test_the_example_rules_are_such_as_the_example_policy_takes(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("rules", "apply", str(policy), str(policy.parent / "rules.yaml"), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"written": str(policy), "policy_version": "0", "warnings": []}


def test_rules_are_applied_shown_and_served(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules, out = tmp_path / "mine.yaml", tmp_path / "ruled"
    rules.write_text("pins: [{data_class: pii, tier: small, why: contract}]")
    assert call("rules", "apply", str(policy), str(rules), "--out", str(out)) == 0
    assert "policy 0+rules." in capsys.readouterr().out
    assert call("rules", "show", str(out)) == 0
    assert "why     contract" in capsys.readouterr().out
    assert call("route", str(out), "x", "--context", "data_class=pii", "--json") == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "pinned"


def test_a_warning_is_said_and_the_rules_hold(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text("pins: [{role: planner, tier: small}]\nlatency_s: {batch: 5}")
    assert call("rules", "apply", str(policy), str(rules)) == 0
    assert call("rules", "show", str(policy), "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["rules"]["latency_s"] == {"batch": 5.0}
    assert found["pins"][0]["steps"] == "role planner"


@pytest.mark.parametrize("text", ["pins: 3", "pins: ["])
def test_wrong_rules_are_one_line_and_exit_code_2(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text(text)
    assert call("rules", "apply", str(policy), str(rules)) == 2
    assert call("rules", "apply", str(policy), str(tmp_path / "gone.yaml")) == 2
    assert call("rules", "show", str(tmp_path / "gone")) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_the_cost_of_pins_is_said_for_the_traces_given(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text("pins: [{role: planner, tier: small}, {data_class: d, allowed: [small, mid]}]")
    call("rules", "apply", str(policy), str(rules))
    steps = {"trace_id": ["a", "b"], "step_id": "0", "role": ["planner", "worker"]}
    pd.DataFrame(steps).to_parquet(tmp_path / "t.parquet")
    assert call("rules", "show", str(policy), "--traces", str(tmp_path / "t.parquet")) == 0
    said = capsys.readouterr().out
    assert "costs   unknown on 1 of the table's steps: the tiers have no mean costs" in said
    assert "costs   unknown: the table does not say which steps these are" in said
