"""`tierwise route --explain` and `tierwise table` on a bundle of the example role table."""

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


def test_explain_says_in_a_sentence_what_decided(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("route", str(policy), "Plan it", "--role", "planner", "--explain") == 0
    said = capsys.readouterr().out
    assert "frontier serves; what decided: the role: the role table names its tier" in said
    assert "runner-up" in said


def test_explain_for_machines_is_one_value_with_null_for_unknown(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("route", str(policy), "Plan it", "--explain", "--json") == 0
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["explanation"]
    assert told["tiers"][0] | {"latency_s": 1} == {
        "tier": "small", "usable": True, "quality": None, "cost_usd": None,
        "total_cost_usd": None, "latency_s": 1, "score": None, "ahead": None,
    }  # fmt: skip
    assert (told["words"], told["moves"]) == (2, [])


def test_without_explain_nothing_is_explained(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("route", str(policy), "Plan it", "--json") == 0
    assert "explanation" not in json.loads(capsys.readouterr().out)


def test_route_names_the_argument_that_it_fell_back_on(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("route", str(policy), "x", "--context", "floor=high", "--explain", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["reason"], said["faults"]) == ("fallback", {"floor": 1})


def test_a_table_without_traces_is_what_the_bundle_says(
    policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("table", str(policy)) == 0
    said = capsys.readouterr().out
    assert "planner  frontier" in said
    assert "No trace table" in said


def test_a_table_counts_the_steps_of_the_traces_given(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = {"trace_id": ["a", "b"], "step_id": "0", "text": "x", "tier": "mid"}
    path = tmp_path / "t.parquet"
    pd.DataFrame(steps | {"role": ["planner", "worker"]}).to_parquet(path)
    assert call("table", str(policy), str(path), "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["role"]: row["tier"] for row in rows} == {"planner": "frontier", "worker": "mid"}


@pytest.mark.parametrize("second", ["gone.parquet", "policy/manifest.json"])
def test_a_table_of_what_is_no_trace_table_is_one_line(
    policy: Path, capsys: pytest.CaptureFixture[str], second: str
) -> None:
    assert call("table", str(policy), str(policy.parent / second)) == 2
    assert capsys.readouterr().err.count("\n") == 1
