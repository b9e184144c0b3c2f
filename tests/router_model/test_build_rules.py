"""What rules.yaml says holds in every bundle that the pipeline writes, or none is written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests.router_model.test_build import build_run
from tierwise.data.runs import create
from tierwise.router_model.bundle import verify_bundle
from tierwise.router_model.rules_apply import apply_rules
from tierwise.serve import Router

PIN = "pins: [{name: plans, role: planner, tier: tier2, why: a bad plan spoils the rest}]\n"
CONTRADICTION = "pins: [{role: planner, tier: tier0}, {role: planner, tier: tier2, name: other}]\n"


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("pinned") / "run", rules=PIN)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run_stage(run: Path) -> subprocess.CompletedProcess[str]:
    """The stage as DVC starts it, in the folder of params.yaml and rules.yaml."""
    command = [sys.executable, "-m", "tierwise.router_model.build", "--run", str(run)]
    return subprocess.run(command, cwd=run, capture_output=True, text=True, check=False)


def test_a_pin_holds_in_the_bundle_that_the_stage_writes(pinned: Path) -> None:
    router = Router.load(pinned)
    made = router.decide("copy the file", role="planner")
    assert (made.tier, made.reason, made.rule) == ("tier2", "pinned", "plans")
    assert router.decide("copy the file", role="worker").reason != "pinned"


def test_the_stage_writes_what_rules_apply_writes(pinned: Path, tmp_path: Path) -> None:
    plain = build_run(tmp_path / "plain")
    (tmp_path / "rules.yaml").write_text(PIN)
    apply_rules(plain, tmp_path / "rules.yaml")
    assert files(plain) == files(pinned)


def test_the_same_rules_give_the_same_bytes(pinned: Path, tmp_path: Path) -> None:
    assert files(build_run(tmp_path / "again", rules=PIN)) == files(pinned)


def test_other_rules_are_another_version_of_the_same_graph(pinned: Path, tmp_path: Path) -> None:
    other = build_run(tmp_path / "other", rules="fixed_roles: {worker: tier0}")
    before, after = verify_bundle(pinned), verify_bundle(other)
    assert before.model_bytes == after.model_bytes
    assert before.golden == after.golden
    versions = [one.manifest.policy_version.split("+rules.") for one in (before, after)]
    assert versions[0][0] == versions[1][0]
    assert versions[0][1] != versions[1][1]


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        (CONTRADICTION, "pin 'other'"),
        ("pins: [{role: planner, tier: tier9}]", "tier9"),
        ("pins: [{role: planer, tier: tier2}]", "planner"),
        (None, "rules.yaml"),
    ],
    ids=["contradiction", "no tier", "no role", "no file"],
)
def test_rules_that_cannot_hold_stop_the_stage_and_the_old_bundle_stays(
    tmp_path: Path, rules: str | None, named: str
) -> None:
    policy = build_run(tmp_path / "run", rules=PIN)
    before = files(policy)
    path = tmp_path / "run" / "rules.yaml"
    if rules is None:
        path.unlink()
    else:
        path.write_text(rules)
    done = run_stage(tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert named in done.stderr
    assert files(policy) == before
    assert not list(policy.parent.glob("*.part"))


def test_what_is_likely_not_meant_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_run(tmp_path / "run", rules="pins: [{task_type: pay, tier: tier2}]")
    assert "warning: " in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["default", "own"])
def test_a_change_of_the_rules_that_params_name_runs_the_stage_again(
    root: Path, tmp_path: Path, kind: str
) -> None:
    """The default run has dvc.yaml itself, each other one a link to it from a folder below."""
    for name in ("dvc.yaml", "run.yaml"):
        shutil.copy(root / name, tmp_path / name)
    (tmp_path / "params.yaml").write_text("bundle: {rules: mine.yaml}\n")
    (tmp_path / "own.csv").write_text("a table")
    folder = tmp_path / "runs" / create(tmp_path, str(tmp_path / "own.csv"))
    pipeline = (tmp_path if kind == "default" else folder) / "dvc.yaml"
    stage = Repo.init(str(tmp_path), no_scm=True).stage.load_one(str(pipeline), "bundle")
    assert str(tmp_path / "mine.yaml") in {dep.fs_path for dep in stage.deps}
