"""The walk of the wire format agrees with onnx, and no bytes make it hang or read past the end."""

from __future__ import annotations

import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tierwise.router_model.protobuf import read_outline


def test_the_outline_is_what_onnx_reads(model: onnx.ModelProto, model_bytes: bytes) -> None:
    outline = read_outline(model_bytes)
    assert outline.ir_version == model.ir_version
    assert outline.opsets == tuple((o.domain, o.version) for o in model.opset_import)
    assert [(n.op, n.inputs) for n in outline.nodes] == [
        (n.op_type, tuple(n.input)) for n in model.graph.node
    ]
    stored = [(t.name, t.dims, t.data_type) for t in outline.tensors]
    assert stored == [(t.name, tuple(t.dims), t.data_type) for t in model.graph.initializer]
    sizes = [numpy_helper.to_array(t).nbytes for t in model.graph.initializer]
    assert [t.n_bytes for t in outline.tensors] == sizes


def test_small_stored_vectors_are_given_with_their_values() -> None:
    tensor = numpy_helper.from_array(np.array([-1, 1], np.int64), "paddings")
    graph = helper.make_graph([], "g", [], [], [tensor])
    (found,) = read_outline(helper.make_model(graph).SerializeToString()).tensors
    assert found.values == (-1, 1)


def test_long_attributes_are_read_to_their_end() -> None:
    rng = np.random.default_rng(0)
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        nodes_values=rng.normal(size=20_000).astype(np.float32).tolist(),
        nodes_featureids=rng.integers(-(2**40), 2**40, 20_000).tolist(),
        nodes_modes=["BRANCH_LEQ", "LEAF"] * 10_000,
    )
    model = helper.make_model(helper.make_graph([node], "g", [], []))
    (found,) = read_outline(model.SerializeToString()).nodes
    assert (found.domain, found.op, found.nested) == ("ai.onnx.ml", "TreeEnsembleRegressor", False)


def test_a_graph_in_an_attribute_is_seen() -> None:
    inner = helper.make_graph([], "inner", [], [])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    model = helper.make_model(helper.make_graph([node], "g", [], []))
    assert read_outline(model.SerializeToString()).nodes[0].nested


def test_external_weights_are_seen() -> None:
    tensor = TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
    assert read_outline(model.SerializeToString()).tensors[0].external


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "0 graphs"),
        (b"\x08", "runs past its end"),
        (b"\x08" + b"\x80" * 11, "runs past its end"),
        (b"\x3a\x05ab", "runs past the end"),
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "runs past the end"),  # length -1
        (b"\x3b\x3c", "unknown field 7 of wire type 3"),  # a group
        (b"\xf8\x07\x01", "unknown field 127"),
        (b"\x3a\x00\x3a\x00", "2 graphs"),
    ],
)
def test_malformed_bytes_are_refused(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_outline(content)


def test_deep_nesting_costs_no_stack() -> None:
    content = b""
    for _ in range(20_000):
        content = b"\x3a" + _varint(len(content)) + content if len(content) < 4_000 else content
    with pytest.raises(ValueError, match="unknown field"):
        read_outline(content)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def test_no_mutation_does_anything_but_parse_or_raise_value_error(model_bytes: bytes) -> None:
    rng = np.random.default_rng(1)
    start = time.monotonic()
    for _ in range(300):
        content = bytearray(model_bytes[: rng.integers(1, len(model_bytes))])
        for place in rng.integers(0, min(len(content), 4_000), 3):
            content[-1 - place] = rng.integers(0, 256)
        try:
            read_outline(bytes(content))
        except ValueError:
            continue
    assert time.monotonic() - start < 30
