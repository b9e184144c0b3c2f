"""Only listed operators, one opset and own weights get as far as being opened."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.router_model.policies import random_model, random_spec
from tierwise.router_model.graph import build_graph
from tierwise.router_model.graph_check import ALLOWED, MAX_BYTES, check_graph
from tierwise.router_model.manifest import BundleError

NEVER = {"Expand", "Tile", "Range", "Loop", "If", "Scan", "ConstantOfShape", "Constant", "Resize"}


def a_copy(model: onnx.ModelProto) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


def refused(model: onnx.ModelProto) -> str:
    with pytest.raises(BundleError) as caught:
        check_graph(model.SerializeToString())
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_the_tiny_policy_passes(model_bytes: bytes) -> None:
    check_graph(model_bytes)


def test_the_list_holds_what_the_exporter_emits_and_nothing_more() -> None:
    model, spec = random_model(), random_spec()
    emitted = {(node.domain, node.op_type) for node in build_graph(model, spec).graph.node}
    assert emitted == ALLOWED


def test_no_listed_operator_makes_much_of_little() -> None:
    assert not NEVER & {op for _, op in ALLOWED}


@pytest.mark.parametrize("op", sorted(NEVER))
def test_an_operator_off_the_list_is_refused(model: onnx.ModelProto, op: str) -> None:
    other = a_copy(model)
    other.graph.node.append(helper.make_node(op, ["ids"], ["more"]))
    assert f"operator '{op}'" in refused(other)


def test_a_listed_name_of_another_domain_is_refused(model: onnx.ModelProto) -> None:
    other = a_copy(model)
    other.graph.node.append(helper.make_node("Add", ["ids", "ids"], ["m"], domain="com.microsoft"))
    assert "com.microsoft.Add" in refused(other)


def set_ir(model: onnx.ModelProto) -> None:
    model.ir_version = 11


def set_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 22


def add_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def second_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("", 21))


def no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def add_function(model: onnx.ModelProto) -> None:
    opset = [helper.make_opsetid("", 21)]
    model.functions.append(helper.make_function("d", "F", ["x"], ["y"], [], opset))


def add_external(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.initializer.append(tensor)


def add_external_location_only(model: onnx.ModelProto) -> None:
    tensor = TensorProto(name="w", data_type=1, dims=[4])
    tensor.external_data.add(key="location", value="weights.bin")
    model.graph.initializer.append(tensor)


def add_sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [600_000_000]))


def add_training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def add_subgraph(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node.append(helper.make_node("Identity", ["ids"], ["z"], body=inner))


def add_tensor_attribute(model: onnx.ModelProto) -> None:
    value = numpy_helper.from_array(np.zeros(1, np.float32))
    model.graph.node.append(helper.make_node("Identity", ["ids"], ["z"], value=value))


def add_strings(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="w", data_type=8, dims=[1], string_data=[b"x"]))


def add_huge(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(TensorProto(name="w", data_type=1, dims=[1 << 20, 1 << 20]))


def wide_pad(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.array([0, 600_000_000], np.int64), "paddings")
    model.graph.initializer.append(tensor)
    model.graph.node.append(helper.make_node("Pad", ["ids", "paddings"], ["z"]))


def computed_pad(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Pad", ["ids", "ids"], ["z"]))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (set_ir, "ir_version 11"),
        (set_opset, "opset '' 22"),
        (add_domain, "com.microsoft"),
        (second_opset, "each once"),
        (no_opset, "opsets"),
        (add_function, "1 functions"),
        (add_external, "1 external weights"),
        (add_external_location_only, "1 external weights"),
        (add_sparse, "1 sparse weights"),
        (add_training, "1 training graphs"),
        (add_subgraph, "attributes with graphs"),
        (add_tensor_attribute, "attributes with graphs or tensors"),
        (add_strings, "unknown field 6"),
        (add_huge, "weights of shape"),
        (wide_pad, "a wide Pad"),
        (computed_pad, "a wide Pad"),
    ],
)
def test_what_a_policy_does_not_need_is_refused(
    model: onnx.ModelProto, change: Callable[[onnx.ModelProto], None], why: str
) -> None:
    other = a_copy(model)
    change(other)
    assert why in refused(other)


def test_a_model_over_64_mb_is_refused() -> None:
    with pytest.raises(BundleError, match="at most 67108864"):
        check_graph(bytes(MAX_BYTES + 1))


def test_what_is_no_model_is_refused_in_one_line() -> None:
    with pytest.raises(BundleError, match="malformed"):
        check_graph(b"#!/bin/sh\nexit 0\n")
