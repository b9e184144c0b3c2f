"""Nothing ships that computes something else than the model."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.router_model.policies import random_model, random_spec, random_steps
from tests.training.fits import make_steps
from tierwise.data.errors import BadInput
from tierwise.features.steps import StepTable, save_steps
from tierwise.router_model import export
from tierwise.router_model.export import ParityError, check_parity
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.model import Model, save_model
from tierwise.router_model.spec import PolicySpec

SPEC = random_spec()


@pytest.fixture(scope="module")
def steps() -> StepTable:
    texts, context = random_steps(40)
    return dataclasses.replace(make_steps(40), text=texts, context=context)


@pytest.fixture(scope="module")
def graph() -> bytes:
    return serialize(build_graph(random_model(), SPEC))


def check(graph: bytes, model: Model, steps: StepTable, spec: PolicySpec = SPEC) -> None:
    check_parity(graph, model, spec, steps, np.random.default_rng(0))


def test_the_graph_of_a_model_agrees_with_it(graph: bytes, steps: StepTable) -> None:
    check(graph, random_model(), steps)


def one_changed(part: Any, name: str, by: float) -> Any:
    """The model, or a member of it, with one weight changed."""
    values = getattr(part, name).copy()
    values.flat[0] += by
    return dataclasses.replace(part, **{name: values})


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("task", 0.001),
        ("role", 0.001),
        ("cost_slope", 1e-6),
        ("latency", 0.01),
        ("retry", 0.01),
        ("scale", 0.001),
        ("pair_scale", 0.001),
    ],
)
def test_one_changed_weight_is_found(graph: bytes, steps: StepTable, name: str, by: float) -> None:
    with pytest.raises(ParityError, match="differs from the NumPy model"):
        check(graph, one_changed(random_model(), name, by), steps)


def test_one_changed_leaf_or_unit_is_found(graph: bytes, steps: StepTable) -> None:
    model = random_model()
    trees, network = model.trees, model.network
    assert trees is not None
    assert network is not None
    value = trees.value.copy()
    value[1] += 0.01
    with pytest.raises(ParityError, match="quality"):
        check(
            graph, dataclasses.replace(model, trees=dataclasses.replace(trees, value=value)), steps
        )
    other = one_changed(network, "vector", 0.1)
    with pytest.raises(ParityError, match="quality"):
        check(graph, dataclasses.replace(model, network=other), steps)


def test_a_graph_that_serves_other_tiers_than_the_rule_is_found(
    graph: bytes, steps: StepTable
) -> None:
    with pytest.raises(ParityError, match="other tiers"):
        check(graph, random_model(), steps, dataclasses.replace(SPEC, reference=0))


@pytest.mark.parametrize("name", ["bits", "pair_bits"])
def test_a_graph_of_other_token_ids_is_found(steps: StepTable, name: str) -> None:
    fewer = dataclasses.replace(SPEC, **{name: 5})
    with pytest.raises(ParityError, match="token ids"):
        check(serialize(build_graph(random_model(), fewer)), random_model(), steps)


def write_run(run: Path, steps: StepTable, spec: PolicySpec = SPEC) -> list[str]:
    run.mkdir()
    save_model(run / "model.npz", random_model())
    (run / "model.json").write_text(json.dumps({"spec": spec.as_dict(), "notes": {}}))
    save_steps(run / "steps.npz", steps)
    (run / "params.yaml").write_text("export: {checked_steps: 25}\n")
    return ["export", "--run", str(run), "--params", str(run / "params.yaml")]


def test_the_stage_writes_the_graph_and_its_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: StepTable, graph: bytes
) -> None:
    monkeypatch.setattr(sys, "argv", write_run(tmp_path / "run", steps))
    export.main()
    assert (tmp_path / "run" / "graph.onnx").read_bytes() == graph
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert PolicySpec.from_dict(spec).as_dict() == SPEC.as_dict()


def test_nothing_is_written_where_graph_and_model_disagree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: StepTable
) -> None:
    def faulty(model: Model, spec: PolicySpec) -> Any:
        return build_graph(one_changed(model, "task", 0.01), spec)

    monkeypatch.setattr(sys, "argv", write_run(tmp_path / "run", steps))
    monkeypatch.setattr(export, "build_graph", faulty)
    with pytest.raises(ParityError):
        export.main()
    assert not list((tmp_path / "run").glob("*.onnx"))
    assert not (tmp_path / "run" / "spec.json").exists()


def test_a_run_without_a_model_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: StepTable
) -> None:
    monkeypatch.setattr(sys, "argv", write_run(tmp_path / "run", steps))
    (tmp_path / "run" / "model.npz").unlink()
    with pytest.raises(BadInput, match="run fit again"):
        export.main()


def test_a_spec_survives_json() -> None:
    text = json.dumps(SPEC.as_dict())
    again = PolicySpec.from_dict(json.loads(text))
    np.testing.assert_array_equal(again.path.margin, SPEC.path.margin)
    np.testing.assert_array_equal(again.path.weight, SPEC.path.weight)
    for field in dataclasses.fields(PolicySpec):
        if field.name != "path":
            assert getattr(again, field.name) == getattr(SPEC, field.name)
    fixed = dataclasses.replace(SPEC, fixed_tier=(0, 1, 2, 2))
    assert PolicySpec.from_dict(fixed.as_dict()).fixed_tier == (0, 1, 2, 2)
