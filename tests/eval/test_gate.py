"""The gate on a run: real bundle, real graph; what it is held against, and what it refuses."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gate_runs import TIERS, certificate, even_steps, metrics, with_quality, write_run

from tierwise.data.errors import BadInput
from tierwise.eval import gate as stage
from tierwise.eval.gate import gate, lines
from tierwise.eval.gate_rules import Rule, Verdict
from tierwise.features.steps import StepTable, save_steps
from tierwise.router_model.bundle import verify_bundle


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose policy keeps its floor and saves; tests do not change it."""
    return write_run(tmp_path_factory.mktemp("gate") / "own")


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the same kind whose policy goes less far towards cheap."""
    return write_run(tmp_path_factory.mktemp("gate") / "own", promised=certificate(point=5))


def run_with(good: Path, folder: Path, steps: StepTable | None = None) -> Path:
    """A copy of the run, its bundle by a link, with other test steps."""
    folder.mkdir()
    for name in ("spec.json", "certificate.json", "metrics.json", "params.yaml"):
        (folder / name).write_bytes((good / name).read_bytes())
    (folder / "policy").symlink_to(good / "policy")
    save_steps(folder / "steps.npz", steps or even_steps())
    return folder


def judged(run: Path, champion: Path | None = None) -> Verdict:
    return gate(run, run / "params.yaml", champion)


def rule(found: Verdict, name: str) -> Rule:
    return next(one for one in found.rules if one.name == name)


def served(run: Path) -> np.ndarray:
    graph = verify_bundle(run / "policy").graph
    steps = even_steps()
    return graph.decisions(steps.text, steps.context)[:, 0].astype(np.int64)


def test_a_policy_that_keeps_its_floor_and_saves_passes(good: Path) -> None:
    found = judged(good)
    assert found.passed
    assert [one.name for one in found.rules] == [
        *("bundle", "certified", "parity", "evidence", "quality", "roles", "cost"),
        "simple policies",
    ]  # fmt: skip
    assert {one.verdict for one in found.rules} == {"pass"}
    assert found.against == ""
    assert "the reference tier" in rule(found, "cost").words


def test_a_bundle_that_fails_verification_is_refused(good: Path, tmp_path: Path) -> None:
    run = run_with(good, tmp_path / "own")
    (run / "policy").unlink()
    found = judged(run)
    assert not found.passed
    assert rule(found, "bundle").verdict == "fail"
    assert "manifest.json" in rule(found, "bundle").words


def test_a_policy_of_which_nothing_was_certified_is_refused(good: Path, tmp_path: Path) -> None:
    run = run_with(good, tmp_path / "own")
    (run / "certificate.json").write_text(json.dumps(certificate(point=0)))
    assert rule(judged(run), "certified").verdict == "fail"


def test_a_graph_that_serves_other_than_its_certificate_is_refused(
    good: Path, tmp_path: Path
) -> None:
    run = run_with(good, tmp_path / "own")
    (run / "certificate.json").write_text(json.dumps(certificate(point=4)))
    found = judged(run)
    assert not found.passed
    assert rule(found, "parity").verdict == "fail"
    assert rule(found, "parity").value == (served(good) != by_rule(run)).sum() > 0


def by_rule(run: Path) -> np.ndarray:
    from tierwise.data.files import read_json
    from tierwise.eval.gate_steps import judged as on_steps
    from tierwise.router_model.spec import PolicySpec

    spec = PolicySpec.from_dict(read_json(run / "spec.json"))
    told = read_json(run / "certificate.json")
    return on_steps(verify_bundle(run / "policy").graph, even_steps(), spec, told).by_rule


def test_quality_below_the_floor_is_refused_with_its_number(good: Path, tmp_path: Path) -> None:
    quality = even_steps().quality.copy()
    quality[:, :2] = 0.6  # the cheap tiers; the reference has 0.9, the floor asks for 0.81
    found = judged(run_with(good, tmp_path / "own", with_quality(quality)))
    assert not found.passed
    assert [one.name for one in found.refused] == ["quality", "roles"]
    cheap = (served(good) != 2).mean()
    assert f"{0.09 - 0.3 * cheap:+.4f}" in rule(found, "quality").words


def test_a_champion_that_costs_more_is_beaten_on_the_same_steps(good: Path, dear: Path) -> None:
    found = judged(good, dear / "policy")
    assert found.passed
    assert found.against == verify_bundle(dear / "policy").digest
    cost = even_steps().cost
    rows = np.arange(len(cost))
    less = (cost[rows, served(good)] - cost[rows, served(dear)]).mean()
    assert less < 0
    assert f"{less:.4g} USD" in rule(found, "cost").words
    assert verify_bundle(dear / "policy").manifest.policy_version in rule(found, "cost").words


def test_a_champion_that_costs_less_is_not_beaten(good: Path, dear: Path) -> None:
    found = judged(dear, good / "policy")
    assert judged(dear).passed, "it is cheaper than the reference tier"
    assert [one.name for one in found.refused] == ["cost"]
    assert rule(found, "cost").value is not None
    assert rule(found, "cost").value > 0


def test_the_champion_itself_has_nothing_to_beat(good: Path) -> None:
    found = judged(good, good / "policy")
    assert found.passed
    assert "the champion already" in rule(found, "cost").words


def test_other_rules_on_the_champions_graph_are_not_asked_to_be_cheaper(
    good: Path, dear: Path, tmp_path: Path
) -> None:
    ruled = write_run(tmp_path / "own", rules="pins: [{role: planner, tier: tier2}]")
    found = judged(ruled, good / "policy")
    assert found.passed
    assert found.against == verify_bundle(good / "policy").digest
    assert "rules, is not judged" in rule(found, "cost").words
    assert "is not judged" not in rule(judged(ruled, dear / "policy"), "cost").words


def test_a_lower_floor_than_the_champions_is_said(good: Path, dear: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "own", promised=certificate(level=0.8))
    assert rule(judged(run, dear / "policy"), "floor").verdict == "warn"
    assert rule(judged(good, dear / "policy"), "floor").verdict == "pass"


def test_a_champion_with_another_order_of_tiers_is_matched_by_name(
    good: Path, tmp_path: Path
) -> None:
    """A champion that calls the dearest tier by the cheapest one's name serves that one here."""
    other = write_run(tmp_path / "own", tiers=tuple(reversed(TIERS)))
    found = judged(good, other / "policy")
    cost, rows = even_steps().cost, np.arange(len(even_steps()))
    less = (cost[rows, served(good)] - cost[rows, 2 - served(good)]).mean()
    assert f"{less:.4g} USD" in rule(found, "cost").words


def test_a_champion_whose_tier_is_gone_is_judged_without_it(good: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "own", tiers=("retired", *TIERS[1:]))
    found = rule(judged(good, other / "policy"), "champion")
    assert found.verdict == "warn"
    assert "retired" in found.words


def test_a_champion_of_other_tiers_altogether_is_no_comparison(good: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "own", tiers=("a", "b", "c"))
    found = judged(good, other / "policy")
    assert [one.name for one in found.refused] == ["champion"]


def test_a_champion_that_is_damaged_is_refused_in_one_line(good: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(BadInput, match="bundle"):
        judged(good, tmp_path)


def logged_steps(explored: float = 1.0) -> StepTable:
    """Each step holds the outcome of one tier, drawn at random or else the reference."""
    full, rng = even_steps(), np.random.default_rng(0)
    n = len(full)
    chance = np.full((n, 3), explored / 3) + (1 - explored) * np.eye(3)[2]
    tier = np.where(rng.random(n) < explored, rng.integers(0, 3, n), 2)
    only = np.arange(3) == tier[:, None]
    quality = np.where(only, (rng.random((n, 1)) < 0.97).astype(np.float64), np.nan)
    return replace(
        full,
        quality=quality,
        cost=np.where(only, full.cost, np.nan),
        served=tier,
        propensity=chance[np.arange(n), tier],
        propensities=chance,
        ladder_cost=np.where(only, full.cost, 0).sum(axis=1),
        feedback="logged",
    )


def test_logs_with_propensities_are_judged(good: Path, tmp_path: Path) -> None:
    run = run_with(good, tmp_path / "own", logged_steps())
    found = judged(run)
    assert {one.name for one in found.rules} >= {"quality", "roles", "cost"}
    assert rule(found, "cost").verdict == "pass"
    assert rule(found, "evidence").value == pytest.approx(300, rel=0.2)


def test_logs_that_hold_too_little_are_refused_with_their_number(
    good: Path, tmp_path: Path
) -> None:
    found = judged(run_with(good, tmp_path / "own", logged_steps(explored=0.1)))
    assert [one.name for one in found.refused] == ["evidence"]
    assert 0 < rule(found, "evidence").value < 200


def test_logs_without_propensities_are_refused(good: Path, tmp_path: Path) -> None:
    unknown = replace(logged_steps(), propensities=np.full((len(even_steps()), 3), np.nan))
    found = judged(run_with(good, tmp_path / "own", unknown))
    assert not found.passed
    assert "the probability" in rule(found, "evidence").words


def test_a_tier_that_the_logs_could_not_serve_is_named_by_its_step(
    good: Path, tmp_path: Path
) -> None:
    found = judged(run_with(good, tmp_path / "own", logged_steps(explored=0.0)))
    assert [one.name for one in found.refused] == ["evidence"]
    assert "step t" in rule(found, "evidence").words


def test_a_miss_floor_cannot_be_shown_by_logs(good: Path, tmp_path: Path) -> None:
    run = run_with(good, tmp_path / "own", logged_steps())
    (run / "certificate.json").write_text(json.dumps(certificate("miss")))
    assert "a miss floor" in rule(judged(run), "evidence").words


def test_steps_without_quality_are_refused(good: Path, tmp_path: Path) -> None:
    unknown = with_quality(np.full(even_steps().quality.shape, np.nan))
    assert not judged(run_with(good, tmp_path / "own", unknown)).passed


def test_the_stage_writes_the_verdict_and_ends_well(
    good: Path, dear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with(dear, tmp_path / "own")
    arguments = ["gate", "--run", str(run), "--params", str(run / "params.yaml")]
    monkeypatch.setattr(sys, "argv", arguments)
    stage.main()
    alone = json.loads((run / "gate.json").read_text())
    assert set(alone["rules"][0]) == {"name", "verdict", "value", "needed", "words"}
    assert (alone["passed"], alone["against"]) == (True, "")
    assert [one.name for one in (run / "champion").iterdir()] == ["none.json"]
    stage.main()
    assert json.loads((run / "gate.json").read_text()) == alone, "the note is no champion"
    (run / "champion" / "none.json").unlink()
    for one in (good / "policy").iterdir():
        (run / "champion" / one.name).write_bytes(one.read_bytes())
    stage.main()
    assert json.loads((run / "gate.json").read_text())["passed"] is False


def test_the_lines_say_the_answer_first(good: Path) -> None:
    said = lines(judged(good))
    assert said[0] == "gate: passed"
    assert said[1].startswith("  pass bundle: ")


def test_a_file_of_another_version_is_refused_in_one_line(good: Path, tmp_path: Path) -> None:
    run = run_with(good, tmp_path / "own")
    (run / "certificate.json").write_text("{}")
    with pytest.raises(BadInput, match="certify again"):
        judged(run)


def test_a_simple_policy_that_is_as_good_is_said_loudly_and_does_not_refuse(
    good: Path, tmp_path: Path
) -> None:
    run = run_with(good, tmp_path / "own")
    (run / "metrics.json").write_text(json.dumps(metrics(quality=0.4)))
    found = judged(run)
    assert found.passed
    assert rule(found, "simple policies").verdict == "warn"
    assert "AT LEAST AS GOOD" in rule(found, "simple policies").words
