"""Bundles whose forger made all digests agree: what else holds where no key is configured."""

from __future__ import annotations

import base64
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.faults.bundles import model_for, rehash, seal, write
from tierwise.router_model.bundle import BundleError, verify_bundle
from tierwise.router_model.graph_check import ALLOWED


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write(tmp_path / "policy", "large")
    return tmp_path / "policy"


@pytest.fixture
def model() -> onnx.ModelProto:
    return onnx.load_from_string(model_for("large")[0])


def refused(bundle: Path) -> str:
    with pytest.raises(BundleError) as caught:
        verify_bundle(bundle)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def forge_graph(bundle: Path, model: onnx.ModelProto) -> str:
    rehash(bundle, "policy.onnx", model.SerializeToString())
    return refused(bundle)


OTHER_OPERATORS = sorted(
    {schema.name for schema in onnx.defs.get_all_schemas()} - {op for _, op in ALLOWED}
)


def test_every_operator_that_the_exporter_does_not_emit_is_refused(
    bundle: Path, model: onnx.ModelProto
) -> None:
    assert {"Expand", "Tile", "Range", "Loop", "If", "Scan", "Resize"} <= set(OTHER_OPERATORS)
    for op in OTHER_OPERATORS:
        model.graph.node.append(helper.make_node(op, ["ids"], ["more"]))
        assert f"operator {op!r}" in forge_graph(bundle, model)
        model.graph.node.pop()


def test_a_file_over_its_cap_is_refused_unread(bundle: Path) -> None:
    with (bundle / "golden.jsonl").open("ab") as file:
        file.truncate((16 << 20) + 1)
    rehash(bundle)
    assert "golden.jsonl has more bytes" in refused(bundle)


def a_column_and_a_row(model: onnx.ModelProto) -> None:
    add(model, "Cast", "text", output="f", to=1)
    add(model, "Reshape", "f", const(model, [-1, 1], np.int64), output="column")
    add(model, "Reshape", "f", const(model, [1, -1], np.int64), output="row")
    add(model, "Add", "column", "row", output="bomb")


def doubled_forty_times(model: onnx.ModelProto) -> None:
    name = const(model, [1.0], np.float32)
    for i in range(40):
        name = add(model, "Concat", name, name, output=f"d{i}", axis=0)


def gigabytes_of_targets(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    tree(model, n_targets=1 << 30)


@pytest.mark.parametrize("bomb", [a_column_and_a_row, doubled_forty_times, gigabytes_of_targets])
def test_a_bomb_of_listed_operators_is_refused_before_it_is_opened(
    bundle: Path, model: onnx.ModelProto, bomb: Callable[[onnx.ModelProto], None]
) -> None:
    bomb(model)
    assert "of bounded size" in forge_graph(bundle, model)


@pytest.mark.parametrize(
    "wild",
    [{"feature": 10**9}, {"feature": -1}, {"target": 10**9}, {"target": -1}, {"child": 10**6},
     {"child": 0}, {"tree": 7}, {"n_targets": 0}],
)  # fmt: skip
def test_a_tree_of_wild_indices_is_refused(
    bundle: Path, model: onnx.ModelProto, wild: dict[str, int]
) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    tree(model, **wild)
    forge_graph(bundle, model)


def test_an_index_out_of_range_is_refused_with_the_examples(
    bundle: Path, model: onnx.ModelProto
) -> None:
    table = next(node.input[0] for node in model.graph.node if node.op_type == "Gather")
    for tensor in model.graph.initializer:
        if tensor.name == table:
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(3, np.float32), table))
    assert "fails" in forge_graph(bundle, model)


def test_another_decision_than_the_examples_is_refused(bundle: Path) -> None:
    rehash(bundle, "policy.onnx", model_for("small")[0])
    assert "another decision" in refused(bundle)


def edit_manifest(bundle: Path, **changes: object) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    seal(bundle, json.dumps(manifest | changes).encode())


@pytest.mark.parametrize("n_tiers", [0, 1, 2, 4, 16, 17, 100_000])
def test_another_number_of_tiers_is_refused(bundle: Path, n_tiers: int) -> None:
    tiers = json.loads((bundle / "manifest.json").read_bytes())["tiers"]
    more = [tiers[0] | {"name": f"t{i}"} for i in range(n_tiers)]
    names = [one["name"] for one in more]
    edit_manifest(bundle, tiers=more, outputs={}, fallback=names[0] if names else "t0")
    refused(bundle)


@pytest.mark.parametrize("name", ["../policy.onnx", "/etc/passwd", "a/b", "", "manifest.json"])
def test_a_file_name_that_leads_elsewhere_is_refused(bundle: Path, name: str) -> None:
    files = json.loads((bundle / "manifest.json").read_bytes())["files"]
    files[0]["name"] = name
    edit_manifest(bundle, files=files)
    refused(bundle)


@pytest.mark.parametrize(
    "manifest",
    [b"[" * 100_000, b"{" + b" " * (5 << 20) + b"}", b'{"schema_version": 1e999}', b"\xff", b"{}",
     b'{"schema_version": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_a_manifest_that_would_exhaust_its_reader_is_refused(bundle: Path, manifest: bytes) -> None:
    seal(bundle, manifest)
    refused(bundle)


def a_long_text(line: dict[str, object]) -> list[dict[str, object]]:
    return [line | {"text": base64.b64encode(b"a " * 100_000).decode()}]


def too_many(line: dict[str, object]) -> list[dict[str, object]]:
    return [line] * 257


def none_at_all(line: dict[str, object]) -> list[dict[str, object]]:
    return []


def a_wide_context(line: dict[str, object]) -> list[dict[str, object]]:
    return [line | {"context": [0.0] * 100_000}]


@pytest.mark.parametrize(
    ("examples", "why"),
    [
        (a_long_text, "a long text in line 1"),
        (too_many, "257 examples"),
        (none_at_all, "no examples"),
        (a_wide_context, "context of example 1"),
    ],
)
def test_examples_that_would_take_long_are_refused(
    bundle: Path, examples: Callable[[dict[str, object]], list[dict[str, object]]], why: str
) -> None:
    line = json.loads((bundle / "golden.jsonl").read_bytes().splitlines()[0])
    content = "".join(json.dumps(one) + "\n" for one in examples(line)).encode()
    rehash(bundle, "golden.jsonl", content)
    assert f"golden.jsonl: {why}" in refused(bundle)


LARGEST = """
import resource, sys
from pathlib import Path
from tierwise.router_model.bundle import BundleError, verify_bundle
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    verify_bundle(Path(sys.argv[1]))
except BundleError:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_refusing_a_bomb_takes_little_memory(bundle: Path, model: onnx.ModelProto) -> None:
    doubled_forty_times(model)
    rehash(bundle, "policy.onnx", model.SerializeToString())
    command = [sys.executable, "-c", LARGEST, str(bundle)]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, preexec_fn=limit_memory
    )
    assert int(told.stdout) < 50  # MB


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


def const(model: onnx.ModelProto, value: object, kind: type) -> str:
    name = f"k{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
    return name


def add(model: onnx.ModelProto, op: str, *inputs: str, output: str, **more: object) -> str:
    model.graph.node.append(helper.make_node(op, inputs, [output], **more))
    return output


def tree(
    model: onnx.ModelProto,
    n_targets: int = 1,
    feature: int = 0,
    target: int = 0,
    child: int = 1,
    tree: int = 0,
) -> None:
    """Put a tree of one split into the way of the decision."""
    said = add(
        model, "TreeEnsembleRegressor", "context", output="said", domain="ai.onnx.ml",
        n_targets=n_targets, aggregate_function="SUM", post_transform="NONE",
        nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[feature, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"], nodes_values=[0.5, 0.0, 0.0],
        nodes_truenodeids=[child, 0, 0], nodes_falsenodeids=[2, 0, 0],
        target_treeids=[tree, tree], target_nodeids=[1, 2], target_ids=[target, target],
        target_weights=[1.0, 2.0],
    )  # fmt: skip
    last = next(node for node in model.graph.node if "decision" in node.output)
    last.output[0] = "plain"
    moved = add(model, "ReduceSum", said, const(model, [1], np.int64), output="moved", keepdims=1)
    add(model, "Add", "plain", moved, output="decision")
