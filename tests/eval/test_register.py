"""Registering a bundle: once a bundle, as challenger, nothing private, nothing elsewhere."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tierwise.data.errors import BadInput
from tierwise.eval.register import description, headline, numbers, register
from tierwise.features.steps import StepTable, save_steps

SECRET = b"the launch code is swordfish"


def tiny_graph() -> onnx.ModelProto:
    text = helper.make_tensor_value_info("text", TensorProto.UINT8, ["bytes"])
    allowed = helper.make_tensor_value_info("allowed", TensorProto.FLOAT, [1, 2])
    decision = helper.make_tensor_value_info("decision", TensorProto.FLOAT, [1, 2])
    default = helper.make_tensor("allowed", TensorProto.FLOAT, [1, 2], [1.0, 1.0])
    same = helper.make_node("Identity", ["allowed"], ["decision"])
    graph = helper.make_graph([same], "tiny", [text, allowed], [decision], [default])
    return helper.make_model(
        graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)], producer_name="test"
    )


def write_run(run: Path, sha256: str, passed: bool) -> None:
    (run / "policy").mkdir(parents=True, exist_ok=True)
    onnx.save(tiny_graph(), run / "policy" / "policy.onnx")
    (run / "policy" / "manifest.sha256").write_text(sha256 + "\n")
    rule = {"name": "cost", "verdict": "pass", "value": 1.0, "needed": 0.0, "words": "cheaper"}
    gate = {"passed": passed, "rules": [rule], "against": ""}
    (run / "gate.json").write_text(json.dumps(gate))
    (run / "metrics.json").write_text(json.dumps({"policy": {"cost_saved": {"value": 0.5}}}))
    (run / "report.html").write_text("<p>report</p>")
    known = np.ones((3, 2))
    table = StepTable(
        tiers=("small", "large"),
        step=np.array(["a", "b", "c"]),
        unit=np.array(["a", "b", "c"]),
        part=np.array([0, 1, 2], np.int8),
        text=(SECRET, b"", b"x"),
        text_bytes=np.array([len(SECRET), 0, 1]),
        context=np.zeros((3, 4), np.float32),
        quality=known,
        cost=known,
        latency=known,
        valid=known,
        served=np.full(3, -1),
        propensity=np.full(3, np.nan),
        propensities=np.full((3, 2), np.nan),
        ladder_cost=np.full(3, np.nan),
        feedback="full",
    )
    save_steps(run / "steps.npz", table)
    (run.parent.parent / "params.yaml").write_text("certify: {level: 0.95}\nregister: {}\n")


def client_of(run: Path) -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{run.parent / 'mlflow.db'}")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose run was registered when the gate refused, twice, then passed, twice anew."""
    root = tmp_path_factory.mktemp("project")
    run, params = root / "artifacts" / "own", root / "params.yaml"
    write_run(run, "a" * 64, passed=False)
    first = register(run, params)
    assert first == {"name": "tierwise-own", "sha256": "a" * 64, "aliases": ["challenger"]}
    assert register(run, params) == first
    for sha256, passed in (("b" * 64, True), ("c" * 64, True), ("d" * 64, False)):
        write_run(run, sha256, passed)
        assert register(run, params) == {**first, "sha256": sha256}
    return root


def test_registering_a_bundle_twice_adds_no_version_and_no_run(project: Path) -> None:
    client = client_of(project / "artifacts" / "own")
    versions = client.search_model_versions("name = 'tierwise-own'")
    assert sorted(v.tags["sha256"][0] for v in versions) == ["a", "b", "c", "d"]
    experiment = client.get_experiment_by_name("tierwise")
    assert len(client.search_runs([experiment.experiment_id])) == 4


def test_the_first_that_passed_is_champion_and_the_newest_is_challenger(project: Path) -> None:
    client = client_of(project / "artifacts" / "own")
    champion = client.get_model_version_by_alias("tierwise-own", "champion")
    challenger = client.get_model_version_by_alias("tierwise-own", "challenger")
    assert (champion.tags["sha256"], champion.tags["gate"]) == ("b" * 64, "passed")
    assert champion.tags["gate.cost"] == "pass: cheaper"
    assert champion.tags["champion.why"] == "the first that passed the gate"
    assert (challenger.tags["sha256"], challenger.tags["gate"]) == ("d" * 64, "refused")


def test_a_run_and_its_version_say_what_was_promised_and_what_the_gate_said(project: Path) -> None:
    client = client_of(project / "artifacts" / "own")
    champion = client.get_model_version_by_alias("tierwise-own", "champion")
    run = client.get_run(champion.run_id)
    assert run.data.tags["gate"] == "passed"
    assert run.data.tags["mlflow.note.content"] == champion.description
    assert champion.description == "The gate passed it:\n\n- cost: pass. cheaper"


def test_words_of_the_logs_are_no_markup_in_a_description(tmp_path: Path) -> None:
    write_run(tmp_path / "artifacts" / "own", "a" * 64, passed=True)
    run = tmp_path / "artifacts" / "own"
    (run / "certificate.json").write_text(json.dumps({"promise": "Kept for <b>[a](x)</b>."}))
    words = description(run, {"passed": False, "rules": []})
    assert words.startswith(r"Kept for \<b\>\[a\](x)\</b\>.")
    assert words.endswith("The gate refused it:")


def test_runs_are_compared_by_a_few_numbers_in_the_first_group(project: Path) -> None:
    client = client_of(project / "artifacts" / "own")
    champion = client.get_model_version_by_alias("tierwise-own", "champion")
    found = client.get_run(champion.run_id).data.metrics
    assert found["at a glance/cost_saved"] == found["policy/cost_saved value"] == 0.5
    assert min(found) == "at a glance/cost_saved"
    unknown = {
        "policy": {"cost_saved": {"value": None}},
        "curves": {"router": {"routing_gain": 0.2}},
    }
    assert headline(unknown) == {"at a glance/routing_gain": 0.2}


def test_the_graph_in_the_registry_is_the_graph_that_ships(project: Path) -> None:
    import mlflow

    run = project / "artifacts" / "own"
    client = client_of(run)
    uri = client.get_model_version_by_alias("tierwise-own", "champion").source
    mlflow.set_tracking_uri(f"sqlite:///{run.parent / 'mlflow.db'}")
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    assert onnx.load(folder / "model.onnx") == tiny_graph()
    inputs = mlflow.models.get_model_info(uri).signature.inputs
    assert inputs.input_names() == ["text"], "an input with a default may be left out"


def test_no_prompt_text_reaches_the_database_or_its_files(project: Path) -> None:
    for path in (project / "artifacts").rglob("*"):
        if path.is_file() and path.name != "steps.npz":
            assert SECRET not in path.read_bytes(), path


def test_the_data_is_named_with_its_digest(project: Path) -> None:
    with sqlite3.connect(project / "artifacts" / "mlflow.db") as database:
        rows = database.execute("select name, digest from datasets").fetchall()
    assert {(name, len(digest)) for name, digest in rows} == {("own", 32)}


def test_nothing_is_written_outside_artifacts(project: Path) -> None:
    assert {path.name for path in project.iterdir()} == {"artifacts", "params.yaml"}


def test_a_run_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no bundle"):
        register(tmp_path / "artifacts" / "none")


def test_metric_names_are_ones_mlflow_takes() -> None:
    found = dict(numbers({"controls": {"always m/x:1": {"cost": 1, "none": None, "flag": True}}}))
    assert found == {"controls/always m_x_1 cost": 1.0}, "one group: the UI draws each as a section"
