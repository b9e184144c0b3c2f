"""The stage: judged on test alone, the same bytes each time, and honest where little is known."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eval_fakes import FakeGraph, make_certificate, make_spec, make_steps, write_run

from tierwise.data.errors import BadInput
from tierwise.eval import evaluate


def run_stage(run: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(evaluate, "open_policy", lambda content, encoder: FakeGraph(content))
    params = str(run / "params.yaml")
    monkeypatch.setattr(sys, "argv", ["evaluate", "--run", str(run), "--params", params])
    evaluate.main()
    return dict(json.loads((run / "metrics.json").read_text()))


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    run = tmp_path_factory.mktemp("runs") / "own"
    write_run(run, make_steps())
    with pytest.MonkeyPatch.context() as monkeypatch:
        return run, run_stage(run, monkeypatch)


def test_what_is_kept_and_saved_is_that_of_the_served_tiers_on_test(
    judged: tuple[Path, dict[str, Any]],
) -> None:
    table = make_steps()
    test, spec = table.of_part(2), make_spec(table)
    role = evaluate.category(test, spec, "role")
    estimates = FakeGraph(b"graph").estimates(test.text, test.context)
    tier = evaluate.serve(estimates, spec, role, make_certificate(8)).tier
    rows = np.arange(len(test))
    kept = test.quality[rows, tier].sum() / test.quality[:, 2].sum()
    saved = 1 - test.cost[rows, tier].sum() / test.cost[:, 2].sum()
    policy = judged[1]["policy"]
    assert policy["quality_kept"]["value"] == pytest.approx(kept, rel=1e-5)
    assert policy["cost_saved"]["value"] == pytest.approx(saved, rel=1e-5)
    for name in ("quality_kept", "cost_saved", "time_saved", "cost_difference_usd"):
        assert policy[name]["low"] <= policy[name]["value"] <= policy[name]["high"]
    assert judged[1]["test"] == {"steps": 300, "units": 100, "left_out": 0, "costs_filled": 0}


def test_outcomes_outside_the_test_part_change_the_learned_controls_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: tuple[Path, dict[str, Any]]
) -> None:
    table = make_steps()
    quality = np.where((table.part == 2)[:, None], table.quality, 1 - table.quality)
    write_run(tmp_path / "own", table.__class__(**{**table.__dict__, "quality": quality}))
    found = run_stage(tmp_path / "own", monkeypatch)
    same = ("policy", "controls", "mix", "calibration", "slices")
    assert {k: found[k] for k in same} == {k: judged[1][k] for k in same}
    assert found["curves"]["oracle"] == judged[1]["curves"]["oracle"]
    assert found["curves"]["task mean"] != judged[1]["curves"]["task mean"]


def test_running_again_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: tuple[Path, dict[str, Any]]
) -> None:
    write_run(tmp_path / "own", make_steps())
    run_stage(tmp_path / "own", monkeypatch)
    names = sorted(p.relative_to(judged[0]) for p in judged[0].rglob("*") if p.is_file())
    assert Path("plots/curve.png") in names
    for name in names:
        assert (tmp_path / "own" / name).read_bytes() == (judged[0] / name).read_bytes(), name


def test_every_simple_policy_stands_beside_it(judged: tuple[Path, dict[str, Any]]) -> None:
    controls, curves = judged[1]["controls"], judged[1]["curves"]
    tiers = {f"always {tier}" for tier in ("small", "mid", "large")}
    others = {"role table", "rule of thumb", "random", "best mixture"}
    assert set(controls) == tiers | others
    assert controls["always large"]["quality_kept"] == 1
    assert controls["always large"]["cost_saved"] == 0
    assert set(curves) == {"router", "task mean", "nearest texts", "oracle"}
    assert curves["oracle"]["routing_gain"] == 1
    gain = curves["router"]["gain_over_task_mean"]
    difference = curves["router"]["routing_gain"] - curves["task mean"]["routing_gain"]
    assert gain["value"] == pytest.approx(difference, abs=1e-4)


def test_shares_and_reasons_add_up(judged: tuple[Path, dict[str, Any]]) -> None:
    metrics = judged[1]
    assert sum(metrics["mix"].values()) == pytest.approx(1, abs=1e-5)
    for mix in metrics["mix_by_role"].values():
        assert sum(mix.values()) == pytest.approx(1, abs=1e-5)
    assert sum(metrics["reasons"].values()) == metrics["test"]["steps"]
    assert metrics["mix_by_role"]["worker"] == {"small": 0, "mid": 0, "large": 1}


def test_the_worst_slices_come_first(judged: tuple[Path, dict[str, Any]]) -> None:
    slices = judged[1]["slices"]
    ranked = sorted(slices, key=lambda name: slices[name]["rank"])
    kept = [slices[name]["quality_kept"]["value"] for name in ranked]
    assert kept == sorted(kept)
    assert {name.partition(" ")[0] for name in ranked} == {"role", "task"}
    assert slices["role worker"]["quality_kept"]["value"] == 1, "workers get the reference"


def test_slices_of_few_steps_are_not_judged() -> None:
    table = make_steps(60)
    role = np.array(["rare"] * 9 + ["usual"] * 51)
    known = evaluate.facts(table, make_spec(table))[0]
    known = known.__class__(**{**known.__dict__, "role": role})
    draws = evaluate.judge.Draws(50, 0.95, np.random.default_rng(0))
    found = evaluate.judge.slices(known, np.full(60, 2), 2, 10, 9, draws)
    assert "role usual" in found
    assert "role rare" not in found


def test_plots_show_the_same_points_as_the_numbers(judged: tuple[Path, dict[str, Any]]) -> None:
    rows = [r.rsplit(",", 1) for r in (judged[0] / "plots/curve.csv").read_text().splitlines()]
    assert rows[0] == ["cost,quality", "policy"]
    policy = judged[1]["policy"]
    assert [r for r in rows if r[1] == "served"] == [
        [f"{policy['cost_usd']:.6g},{policy['quality']:.6g}", "served"]
    ]
    assert len([r for r in rows if r[1] == "router"]) == len(make_spec(make_steps()).path)


def test_failed_checks_are_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_steps()
    valid = np.tile([0.0, 0.0, 1.0], (len(table), 1))
    write_run(tmp_path / "own", table.__class__(**{**table.__dict__, "valid": valid}), point=12)
    found = run_stage(tmp_path / "own", monkeypatch)
    assert found["controls"]["always small"]["cost_saved"] < 0, "small, then mid, then large"
    assert found["policy"]["retry_share"] == pytest.approx(1 - found["mix"]["large"], abs=1e-5)


def test_an_unknown_cost_becomes_the_tiers_mean_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_steps()
    cost, test = table.cost.copy(), np.flatnonzero(table.part == 2)
    cost[test[:5], 0] = np.nan
    write_run(tmp_path / "own", table.__class__(**{**table.__dict__, "cost": cost}))
    found = run_stage(tmp_path / "own", monkeypatch)
    assert found["test"]["costs_filled"] == 5
    mean = np.nanmean(cost[test, 0])
    assert found["controls"]["always small"]["cost_usd"] == pytest.approx(mean, rel=1e-5)


def test_steps_that_lack_an_outcome_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_steps(feedback="full")
    quality = table.quality.copy()
    quality[np.flatnonzero(table.part == 2)[:7], 1] = np.nan
    write_run(tmp_path / "own", table.__class__(**{**table.__dict__, "quality": quality}))
    test = run_stage(tmp_path / "own", monkeypatch)["test"]
    assert (test["steps"], test["left_out"]) == (293, 7)


def test_a_tier_without_any_cost_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_steps()
    cost = table.cost.copy()
    cost[:, 1] = np.nan
    write_run(tmp_path / "own", table.__class__(**{**table.__dict__, "cost": cost}))
    with pytest.raises(BadInput, match="no known cost of tier mid"):
        run_stage(tmp_path / "own", monkeypatch)
    assert not (tmp_path / "own" / "metrics.json").exists()


def test_without_quality_there_is_an_audit_and_what_to_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "own", make_steps(feedback="none"))
    found = run_stage(tmp_path / "own", monkeypatch)
    assert "policy" not in found
    assert found["audit"]["calls"] == 1500
    assert "add a column quality" in found["note"]
    assert "add a column quality" in capsys.readouterr().out
    assert (tmp_path / "own" / "report.html").exists()


def test_logged_feedback_is_described_and_no_value_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_steps(feedback="logged")
    write_run(tmp_path / "own", table)
    found = run_stage(tmp_path / "own", monkeypatch)
    assert "policy" not in found
    assert "controls" not in found
    assert "no claim" in found["note"]
    served = found["audit"]["by_role"]["planner"]["mid"]
    mine = (table.served == 1) & (table.context[:, 0] == 0)
    assert served["calls"] == mine.sum()
    assert served["quality"] == pytest.approx(table.quality[mine, 1].mean(), rel=1e-5)
    assert sum(found["mix"].values()) == pytest.approx(1, abs=1e-5)


def test_numbers_that_are_none_become_null() -> None:
    found = evaluate.rounded({"a": [math.nan, 1 / 3], "b": {"c": math.inf, "d": 7, "e": True}})
    assert found == {"a": [None, 0.333333], "b": {"c": None, "d": 7, "e": True}}
