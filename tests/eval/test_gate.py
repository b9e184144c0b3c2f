"""The gate refuses what it must, passes what it may, and says each reason with its number."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tierwise.data.errors import BadInput
from tierwise.eval import gate as stage
from tierwise.eval.gate import GateParams, Verdict, decide, fault_of, gate


def metrics(
    kept: tuple[float, float] = (0.96, 0.99), cost: tuple[float, float] = (-0.02, -0.01)
) -> dict[str, Any]:
    return {
        "policy": {
            "quality": 0.8,
            "cost_usd": 0.01,
            "quality_kept": {"value": 0.97, "low": kept[0], "high": kept[1]},
            "quality_interval": {"value": 0.8, "low": 0.78, "high": 0.82},
            "miss": {"value": 0.03, "low": 0.02, "high": 0.04},
            "cost_difference_usd": {"value": -0.015, "low": cost[0], "high": cost[1]},
        },
        "controls": {
            "always small": {"quality": 0.5, "cost_usd": 0.001},
            "role table": {"quality": 0.7, "cost_usd": 0.01},
            "best mixture": {"quality": 0.9, "cost_usd": 0.01},
        },
        "curves": {"task mean": {"quality_at_policy_cost": 0.79}},
    }


def certificate(kind: str = "retain", level: float = 0.95, point: int = 5) -> dict[str, Any]:
    return {
        "floor": {"kind": kind, "level": level},
        "chosen": {"rest": point},
        "certified_nothing": point < 1,
        "promise": "words",
    }


def verdict(
    of: dict[str, Any] | None = None,
    promised: dict[str, Any] | None = None,
    champion: dict[str, Any] | None = None,
    fault: str | None = None,
    strict: bool = False,
) -> Verdict:
    params = GateParams(strict)
    return decide(of or metrics(), promised or certificate(), champion, fault, "new", params)


def word(found: Verdict, name: str) -> str:
    return next(rule.verdict for rule in found.rules if rule.name == name)


def test_a_policy_that_keeps_its_promise_and_saves_passes() -> None:
    found = verdict()
    assert found.passed
    assert {rule.verdict for rule in found.rules} == {"pass"}


def test_a_bundle_that_fails_verification_is_refused() -> None:
    found = verdict(fault="other bytes in policy.onnx")
    assert not found.passed
    assert "other bytes" in found.rules[0].words


def test_a_policy_of_which_nothing_was_certified_is_refused() -> None:
    found = verdict(promised=certificate(point=0))
    assert not found.passed
    assert word(found, "certified") == "fail"


def test_a_test_part_that_contradicts_the_floor_refuses() -> None:
    found = verdict(metrics(kept=(0.90, 0.949)))
    assert not found.passed
    assert word(found, "quality") == "fail"


def test_a_test_part_that_leaves_the_floor_open_warns_and_refuses_only_when_strict() -> None:
    open_floor = metrics(kept=(0.94, 0.97))
    assert verdict(open_floor).passed
    assert word(verdict(open_floor), "quality") == "warn"
    assert not verdict(open_floor, strict=True).passed


@pytest.mark.parametrize(
    ("kind", "level", "expected"),
    [
        ("absolute", 0.77, "pass"),
        ("absolute", 0.80, "warn"),
        ("absolute", 0.83, "fail"),
        ("miss", 0.95, "pass"),
        ("miss", 0.97, "warn"),
        ("miss", 0.99, "fail"),
    ],
)
def test_each_form_of_floor_is_held_against_its_own_measure(
    kind: str, level: float, expected: str
) -> None:
    assert word(verdict(promised=certificate(kind, level)), "quality") == expected


def test_an_unknown_interval_is_no_proof() -> None:
    unknown = metrics()
    unknown["policy"]["quality_kept"] = {"value": None, "low": None, "high": None}
    unknown["policy"]["cost_difference_usd"] = {"value": None, "low": None, "high": None}
    found = verdict(unknown)
    assert (word(found, "quality"), word(found, "cost")) == ("fail", "fail")


def test_a_saving_that_may_be_none_is_refused() -> None:
    found = verdict(metrics(cost=(-0.02, 0.0)))
    assert not found.passed
    assert word(found, "cost") == "fail"


def test_where_there_is_a_champion_the_cost_is_held_against_it() -> None:
    dearer = {"sha256": "old", "cost_difference_usd": {"value": 0.0, "low": -0.1, "high": 0.1}}
    cheaper = {"sha256": "old", "cost_difference_usd": {"value": -1, "low": -2, "high": -0.5}}
    assert not verdict(champion=dearer).passed
    assert verdict(metrics(cost=(0.0, 0.1)), champion=cheaper).passed
    assert verdict(champion={**dearer, "sha256": "new"}).passed, "it is the champion already"


def test_a_simple_policy_that_is_as_good_is_said_loudly_and_does_not_refuse() -> None:
    beaten = metrics()
    beaten["controls"]["role table"]["quality"] = 0.8
    beaten["curves"]["task mean"]["quality_at_policy_cost"] = 0.85
    found = verdict(beaten)
    rule = next(rule for rule in found.rules if rule.name == "simple policies")
    assert found.passed
    assert (rule.verdict, rule.value) == ("warn", 2.0)
    assert "AT LEAST AS GOOD" in rule.words
    assert "role table" in rule.words
    assert "best mixture" not in rule.words, "a mixture picked on test is no policy"


def test_a_policy_that_was_never_judged_is_refused() -> None:
    assert not verdict({"audit": {}}).passed


def write_run(run: Path) -> None:
    run.mkdir()
    (run / "metrics.json").write_text(json.dumps(metrics()))
    (run / "certificate.json").write_text(json.dumps(certificate()))
    (run / "params.yaml").write_text("gate: {strict: true}\n")


def test_a_run_without_a_bundle_is_refused_by_the_verdict_and_the_stage_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "own"
    write_run(run)
    arguments = ["gate", "--run", str(run), "--params", str(run / "params.yaml")]
    monkeypatch.setattr(sys, "argv", arguments)
    stage.main()
    written = json.loads((run / "gate.json").read_text())
    assert written["passed"] is False
    assert set(written["rules"][0]) == {"name", "verdict", "value", "needed", "words"}
    assert "gate: refused" in capsys.readouterr().out


def test_a_bundle_that_verifies_passes_its_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "own"
    write_run(run)
    monkeypatch.setattr(stage, "fault_of", lambda policy: None)
    assert gate(run, run / "params.yaml").passed


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    assert fault_of(tmp_path / "policy") is not None


def test_a_file_of_another_version_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "own"
    write_run(run)
    monkeypatch.setattr(stage, "fault_of", lambda policy: None)
    (run / "certificate.json").write_text("{}")
    with pytest.raises(BadInput, match="certify again"):
        gate(run, run / "params.yaml")
