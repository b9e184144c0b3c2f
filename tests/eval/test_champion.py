"""From the registry into a folder and into the gate: what serves now, verified, as a bundle."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from gate_runs import certificate, write_run

from tierwise import cli
from tierwise.data.errors import BadInput
from tierwise.eval import gate as stage
from tierwise.eval.champion import pull
from tierwise.eval.gate import gate
from tierwise.eval.promote import promote
from tierwise.eval.register import register
from tierwise.eval.registry import manifest_sha256
from tierwise.router_model.bundle import verify_bundle


def built(run: Path, point: int) -> str:
    """Build, judge and register a policy that goes this far towards cheap; return its digest."""
    write_run(run, promised=certificate(point=point))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gate", "--run", str(run), "--params", str(params(run))])
        stage.main()
    register(run, params(run))
    return manifest_sha256(run / "policy")


def params(run: Path) -> Path:
    return run / "params.yaml"


def call(*arguments: str) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tierwise", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return ended.value.code


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first bundle is champion and whose present one is cheaper."""
    run = tmp_path_factory.mktemp("project") / "artifacts" / "own"
    built(run, 5)
    built(run, 9)
    return run


def test_what_is_pulled_is_the_champions_bundle(run: Path, tmp_path: Path) -> None:
    assert pull(run, tmp_path / "champion") == "1"
    found = verify_bundle(tmp_path / "champion").digest
    assert found != manifest_sha256(run / "policy")


def test_a_champion_whose_files_were_changed_is_refused_and_the_old_folder_stays(
    run: Path, tmp_path: Path
) -> None:
    pull(run, tmp_path / "champion")
    kept = {one.name: one.read_bytes() for one in (tmp_path / "champion").iterdir()}
    (stored,) = [
        one
        for one in (run.parent / "mlruns").rglob("policy/manifest.json")
        if one.read_bytes() == kept["manifest.json"]
    ]
    try:
        stored.write_bytes(kept["manifest.json"].replace(b"In words.", b"In other words."))
        with pytest.raises(BadInput, match="digest"):
            pull(run, tmp_path / "champion")
        asked = promote(run, None, "what cannot be compared", params=params(run))
        assert not asked.done
        assert "digest" in asked.lines()[1], "it is the gate's no, which a person may overrule"
    finally:
        stored.write_bytes(kept["manifest.json"])
    assert {one.name: one.read_bytes() for one in (tmp_path / "champion").iterdir()} == kept


def test_pulling_promoting_and_building_a_dearer_one(run: Path) -> None:
    """The whole way of a challenger, by the commands; in the end the first is champion again."""
    files = ["--params", str(params(run))]
    assert call("gate", str(run), "--pull", *files) == 0
    pulled = gate(run, params(run))
    assert pulled.against == verify_bundle(run / "champion").digest
    assert call("promote", str(run), "--why", "cheaper", *files) == 0
    assert call("promote", str(run), "--why", "cheaper", *files) == 0, "it is champion already"
    assert verify_bundle(run / "champion").digest == pulled.against, "no file of the run moved"
    built(run, 4)
    assert call("gate", str(run), *files) == 1, "dearer than what was pulled, let alone what serves"
    assert call("promote", str(run), "--why", "a try", *files) == 1
    assert call("rollback", str(run), "--why", "back") == 0
    assert call("gate", str(run), "--pull", *files) == 1


def test_without_a_champion_the_folder_is_emptied(tmp_path: Path) -> None:
    run = tmp_path / "artifacts" / "own"
    write_run(run, promised=certificate(point=0))
    (run / "champion").mkdir()
    (run / "champion" / "old").write_text("a bundle of another registry")
    (run / "gate.json").write_text(json.dumps({"passed": False, "rules": [], "against": ""}))
    register(run, params(run))
    assert pull(run, run / "champion") is None
    assert list((run / "champion").iterdir()) == []
