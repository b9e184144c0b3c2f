"""A policy small enough to read: three tiers, five context columns, every input and output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tierwise.data.tiers import Tier
from tierwise.features.columns import ContextColumn
from tierwise.features.nodes import Nodes
from tierwise.features.tokens import add_ids, add_token_nodes
from tierwise.router_model import layout
from tierwise.router_model.bundle import write_bundle
from tierwise.router_model.golden import make_golden
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.runtime import PolicyGraph

BITS = 6
N_TIERS, N_CONTEXT = 3, 5
REFERENCE = 2
QUALITY, COST, LATENCY = (0.70, 0.80, 0.90), (0.001, 0.01, 0.1), (1.0, 2.0, 4.0)


def tiny_model() -> onnx.ModelProto:
    """A rule with the shape of the real one: has_schema helps the cheap tier, words move all."""
    g = Nodes()
    f32, i64 = np.float32, np.int64
    optional = [
        ("allowed", np.ones((1, N_TIERS), f32)),
        ("floor", np.array([np.nan], f32)),
        ("max_latency_s", np.array([np.inf], f32)),
    ]
    for name, value in optional:
        g.const(value, f32, name)
    column, whole = g.const([1], i64), g.const([0], i64)
    one, zero = g.const([[1.0]], f32), g.const([[0.0]], f32)

    ids = add_ids(g, *add_token_nodes(g, "text", BITS, BITS), output="ids")
    weights = np.random.default_rng(0).normal(0, 0.01, 2 * (1 << BITS) + 1)
    words = g.add("ReduceMean", g.add("Gather", g.const(weights, f32), ids), whole, keepdims=1)
    known = g.add("Where", g.add("IsNaN", "context"), zero, "context")
    effect = np.zeros((N_CONTEXT, N_TIERS), f32)
    effect[4, 0] = 0.25
    quality = g.add("Add", g.add("MatMul", known, g.const(effect, f32)), g.const([QUALITY], f32))
    quality = g.add("Add", quality, words)
    cost, latency = g.const([COST], f32), g.const([LATENCY], f32)

    slow = g.add("Greater", latency, "max_latency_s")
    barred = g.add("Or", slow, g.add("LessOrEqual", "allowed", zero))
    score = g.add("Where", barred, g.const([[-1e9]], f32), quality)
    best = g.add("Cast", g.add("ArgMax", score, axis=1, keepdims=1), to=TensorProto.FLOAT)
    number = g.add("Cast", barred, to=TensorProto.FLOAT)
    n_barred = g.add("ReduceSum", number, column, keepdims=1)
    any_open = g.add("Less", n_barred, g.const([[N_TIERS]], f32))
    without = g.add("Gather", barred, g.const([REFERENCE], i64), axis=1)
    strict = g.add("Greater", "floor", g.const([[0.95]], f32))

    def code(reason: str) -> str:
        return g.const([[layout.reason(reason)]], f32)

    why = g.add("Where", strict, code("not_certified"), code("floor"))
    why = g.add("Where", without, code("constrained"), why)
    why = g.add("Where", any_open, why, code("none_allowed"))
    tier = g.add("Where", strict, g.const([[REFERENCE]], f32), best)
    tier = g.add("Where", without, best, tier)
    tier = g.add("Where", any_open, tier, g.const([[-1.0]], f32))
    last = g.add("Less", tier, g.const([[N_TIERS - 1]], f32))
    following = g.add("Where", last, g.add("Add", tier, one), g.const([[-1.0]], f32))
    lead = g.const([[0.1]], f32)
    head = [tier, why, one, lead, zero, following, zero, zero]
    g.add("Concat", *head, quality, cost, cost, latency, output="decision", axis=1)

    inputs = [("text", TensorProto.UINT8, ["bytes"])]
    inputs += [("context", TensorProto.FLOAT, [1, N_CONTEXT])]
    inputs += [(name, TensorProto.FLOAT, list(value.shape)) for name, value in optional]
    outputs = [("decision", TensorProto.FLOAT, [1, layout.width(N_TIERS)])]
    outputs += [("ids", TensorProto.INT64, ["tokens"])]
    graph = helper.make_graph(
        g.nodes,
        "policy",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        list(g.initializers.values()),
    )
    opset = helper.make_opsetid("", 21)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10)


def tiny_manifest() -> Manifest:
    return Manifest(
        policy_version="v1",
        tiers=tuple(Tier(name) for name in ("small", "medium", "large")),
        context=(
            ContextColumn("role", "category", ("worker", "planner")),
            ContextColumn("task_type", "category", ("extract",)),
            ContextColumn("text_bytes", "number"),
            ContextColumn("context_tokens", "number"),
            ContextColumn("has_schema", "flag"),
        ),
        fallback="large",
        bits=BITS,
        pair_bits=BITS,
        promise="In words.",
        floors={"level": 0.95},
    )


@pytest.fixture(scope="session")
def model() -> onnx.ModelProto:
    return tiny_model()


@pytest.fixture(scope="session")
def model_bytes(model: onnx.ModelProto) -> bytes:
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture(scope="session")
def graph(model_bytes: bytes) -> PolicyGraph:
    return PolicyGraph(model_bytes)


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    return tiny_manifest()


@pytest.fixture
def bundle(tmp_path: Path, graph: PolicyGraph, model_bytes: bytes, manifest: Manifest) -> Path:
    """A good bundle in a folder of its own."""
    folder = tmp_path / "policy"
    write_bundle(folder, model_bytes, manifest, make_golden(graph, [b"one step", b"another"]))
    return folder
