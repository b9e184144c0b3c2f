"""The stage on logged feedback: an estimate where the propensities allow one, and the rung."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eval_fakes import FakeGraph, make_certificate, make_spec, write_run
from logged_fakes import make_logs

from tierwise.eval import evaluate, summary
from tierwise.eval.off_policy import LOGGING, OWN
from tierwise.eval.served import category, serve
from tierwise.features.steps import TEST, StepTable

POINT = 8


def run_stage(run: Path, table: StepTable) -> tuple[dict[str, Any], str]:
    """Run the stage; return metrics.json and the page."""
    write_run(run, table, POINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "open_policy", lambda content, encoder: FakeGraph(content))
        params = str(run / "params.yaml")
        patch.setattr(sys, "argv", ["evaluate", "--run", str(run), "--params", params])
        evaluate.main()
    return json.loads((run / "metrics.json").read_text()), (run / "report.html").read_text()


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    return run_stage(tmp_path_factory.mktemp("runs") / "logged", make_logs(9_000)[0])


def test_the_policy_that_ships_is_judged_on_the_test_part_of_logs(
    logged: tuple[dict[str, Any], str],
) -> None:
    full = make_logs(9_000)[1].of_part(TEST)
    spec = make_spec(make_logs(9_000)[0])
    role = category(full, spec, "role")
    estimates = FakeGraph(b"graph").estimates(full.text, full.context)
    tier = serve(estimates, spec, role, make_certificate(POINT)).tier
    own = logged[0]["off_policy"]["policies"][OWN]
    truth = full.quality[np.arange(len(full)), tier].mean()
    assert own["quality"]["low"] <= truth <= own["quality"]["high"]
    assert own["steps"] == len(full)


def test_the_page_shows_the_estimate_beside_what_was_served(
    logged: tuple[dict[str, Any], str],
) -> None:
    metrics, page = logged
    policies = metrics["off_policy"]["policies"]
    section = page.split("What it would have cost and kept")[1].split("<h2>")[0]
    for name in (OWN, LOGGING, "always small", "role table"):
        assert f"<td>{name}</td>" in section
        assert f"{policies[name]['quality']['value']:.3f}" in section
    assert "What a policy would save" not in page, "it is said above"
    assert "estimated from the probabilities" in metrics["note"]


def test_the_rung_in_force_is_named_in_numbers_and_on_the_page(
    logged: tuple[dict[str, Any], str],
) -> None:
    metrics, page = logged
    found = metrics["graduation"]
    assert set(found["rungs"]) == {"role table", "learned", "context-aware"}
    assert found["words"].startswith(f"In force: {found['in_force']}.")
    assert "Which kind of policy has earned its place" in page
    assert found["words"][:40] in page


def test_the_summary_tells_the_estimate_and_the_rung(
    logged: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    metrics = logged[0]
    told = dict(summary.rows(tmp_path, metrics, {"promise": "None."}, None, None))
    quality = metrics["off_policy"]["policies"][OWN]["quality"]
    assert f"quality {quality['value']:.3f} ({quality['low']:.3f}" in told[f"  {OWN}"]
    assert told["kind"] == metrics["graduation"]["words"]


def test_without_propensities_nothing_is_estimated_and_the_note_says_why(tmp_path: Path) -> None:
    logs = make_logs(900)[0]
    blind = replace(
        logs,
        propensity=np.full(900, np.nan),
        propensities=np.full((900, 3), np.nan),
    )
    metrics, page = run_stage(tmp_path / "run", blind)
    assert metrics["off_policy"] is None
    assert metrics["refused"] in metrics["note"]
    assert "with what probability each tier was chosen" in metrics["refused"]
    assert "graduation" not in metrics
    assert "What a policy would save" in page


def test_too_few_steps_are_no_failure_of_the_stage(tmp_path: Path) -> None:
    metrics, _ = run_stage(tmp_path / "run", make_logs(600)[0])
    assert metrics["off_policy"] is None
    assert "expected 200 at least" in metrics["note"]


def test_full_feedback_has_a_rung_too(tmp_path: Path) -> None:
    metrics, page = run_stage(tmp_path / "run", make_logs(1_500)[1])
    assert metrics["graduation"]["in_force"] in (
        "constant",
        "role table",
        "learned",
        "context-aware",
    )
    assert "off_policy" not in metrics, "plain means say it already"
    assert "Which kind of policy has earned its place" in page
