"""The size of every tensor follows from the file: real policies fit, bombs do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.router_model.policies import random_model, random_spec
from tierwise.router_model.graph import build_graph
from tierwise.router_model.graph_check import ALLOWED, check_graph
from tierwise.router_model.graph_size import MAX_ITEMS, MAX_NODES, TooLarge, check_size
from tierwise.router_model.manifest import BundleError
from tierwise.router_model.protobuf import read_outline

LONGEST = 4097
I64 = np.int64


@pytest.fixture(scope="module")
def policy() -> onnx.ModelProto:
    return build_graph(random_model(), random_spec())


def opened(model: onnx.ModelProto, names: list[str]) -> onnxruntime.InferenceSession:
    """Open a graph as it is, with more of its tensors as outputs and nothing merged."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    inferred = onnx.shape_inference.infer_shapes(other)
    kinds = {value.name: value for value in inferred.graph.value_info}
    present = {value.name for value in other.graph.output}
    other.graph.output.extend(kinds[name] for name in names if name not in present)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        other.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("text", [b"", b"a", b"a." * 2048, b"\xff" * LONGEST, b"aB" * 2048])
def test_no_tensor_of_a_policy_is_longer_than_its_bound(
    policy: onnx.ModelProto, text: bytes
) -> None:
    bounds = check_size(read_outline(policy.SerializeToString()))
    names = [name for node in policy.graph.node for name in node.output]
    session = opened(policy, names)
    n_context = policy.graph.input[1].type.tensor_type.shape.dim[1].dim_value
    feed = {
        "text": np.frombuffer(text, np.uint8),
        "context": np.full((1, n_context), np.nan, np.float32),
    }
    for name, value in zip(names, session.run(names, feed), strict=True):
        assert len(value.shape) == len(bounds[name]), name
        assert all(np.array(value.shape) <= bounds[name]), name


def test_a_policy_needs_a_small_part_of_what_is_allowed(policy: onnx.ModelProto) -> None:
    bounds = check_size(read_outline(policy.SerializeToString()))
    made = {name for node in policy.graph.node for name in node.output}
    assert sum(np.prod(bounds[name]) for name in made) < MAX_ITEMS / 8


class Bomb:
    """A small graph of listed operators over the text."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self.text = self.add("Cast", "text", to=TensorProto.FLOAT)

    def const(self, value: object, kind: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def add(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **more: object) -> str:
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, domain=domain, **more))
        return names[0]

    def content(self) -> bytes:
        text = helper.make_tensor_value_info("text", TensorProto.UINT8, ["bytes"])
        graph = helper.make_graph(self.nodes, "bomb", [text], [], self.constants)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        content: bytes = model.SerializeToString()
        return content


def column_and_row(b: Bomb) -> None:
    column = b.add("Reshape", b.text, b.const([-1, 1], I64))
    row = b.add("Reshape", b.text, b.const([1, -1], I64))
    b.add("Add", column, row)


def matrix_product(b: Bomb) -> None:
    column = b.add("Reshape", b.text, b.const([-1, 1], I64))
    b.add("MatMul", column, b.add("Reshape", b.text, b.const([1, -1], I64)))


def gemm_of_one_row(b: Bomb) -> None:
    row = b.add("Reshape", b.text, b.const([1, -1], I64))
    b.add("Gemm", row, row, transA=1)


def doubled_thirty_times(b: Bomb) -> None:
    name = b.const([1.0])
    for _ in range(30):
        name = b.add("Concat", name, name, axis=0)


def rows_by_rows(b: Bomb) -> None:
    places = b.add("Cast", b.text, to=TensorProto.INT64)
    table = b.const(np.zeros((256, 4096)))
    b.add("Gather", table, places)


def index_of_indices(b: Bomb) -> None:
    places = b.add("Reshape", b.add("Cast", b.text, to=7), b.const([-1, 1], I64))
    for _ in range(3):
        places = b.add("Gather", places, places)


def no_index_at_all(b: Bomb) -> None:
    """Indices that are empty in their last dimension give all of the data for each of them."""
    places = b.add("Reshape", b.add("Cast", b.text, to=7), b.const([-1, 1], I64))
    b.add("Split", places, b.const([1, 0], I64), outputs=2, axis=1)
    b.add("GatherND", b.const(np.zeros((256, 8))), b.nodes[-1].output[1])


def many_targets(b: Bomb) -> None:
    b.add(
        "TreeEnsembleRegressor",
        b.add("Reshape", b.text, b.const([1, -1], I64)),
        domain="ai.onnx.ml",
        n_targets=1 << 28,
    )


def large_matrices_many_times(b: Bomb) -> None:
    square = b.const(np.zeros((256, 256)))
    for _ in range(64):
        b.add("MatMul", square, square)


def sums_of_large_weights_many_times(b: Bomb) -> None:
    weights, axes = b.const(np.zeros((1 << 20,))), b.const([0], I64)
    for _ in range(64):
        b.add("ReduceSum", weights, axes, keepdims=0)


def more_operators_than_a_policy_has(b: Bomb) -> None:
    for _ in range(MAX_NODES):
        b.add("Tanh", b.text)


def a_computed_shape(b: Bomb) -> None:
    b.add("Reshape", b.text, b.add("Cast", b.text, to=7))


def ever_more_dimensions(b: Bomb) -> None:
    name = b.const(np.zeros((1, 1)))
    for _ in range(9):
        name = b.add("Gather", name, b.const([[0]], I64))


def a_cycle(b: Bomb) -> None:
    b.nodes.append(helper.make_node("Add", ["later", "text"], ["sooner"]))
    b.nodes.append(helper.make_node("Add", ["sooner", "text"], ["later"]))


def a_name_for_two(b: Bomb) -> None:
    b.add("Tanh", b.text)
    b.nodes[-1].output[0] = b.text


def two_weights_of_a_name(b: Bomb) -> None:
    b.const([1.0])
    b.const([[1.0]])
    b.constants[1].name = b.constants[0].name


def an_attribute_twice(b: Bomb) -> None:
    b.add("Concat", b.text, b.text, axis=0)
    b.nodes[-1].attribute.append(b.nodes[-1].attribute[0])


BOMBS = [
    column_and_row, matrix_product, gemm_of_one_row, doubled_thirty_times, rows_by_rows,
    index_of_indices, no_index_at_all, many_targets, large_matrices_many_times,
    sums_of_large_weights_many_times, more_operators_than_a_policy_has, a_computed_shape,
    ever_more_dimensions, a_cycle, a_name_for_two, two_weights_of_a_name, an_attribute_twice,
]  # fmt: skip


@pytest.mark.parametrize("make", BOMBS)
def test_a_bomb_of_listed_operators_is_refused(make: Callable[[Bomb], None]) -> None:
    bomb = Bomb()
    check_graph(bomb.content())
    make(bomb)
    with pytest.raises(BundleError) as caught:
        check_graph(bomb.content())
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_pad_adds_one_at_each_end() -> None:
    bomb = Bomb()
    padded = bomb.add("Pad", bomb.text, bomb.const([1, 1], I64))
    assert check_size(read_outline(bomb.content()))[padded] == (LONGEST + 2,)


def test_every_listed_operator_has_a_rule() -> None:
    for domain, op in ALLOWED:
        bomb = Bomb()
        bomb.add(op, "nothing", domain=domain)
        with pytest.raises(TooLarge, match=f"a {op} of no known size"):
            check_size(read_outline(bomb.content()))


@pytest.mark.parametrize("dims", [[127] * 9, [1] * 100_000])
def test_a_tensor_of_many_dimensions_is_refused(dims: list[int]) -> None:
    bomb = Bomb()
    bomb.constants.append(TensorProto(name="w", data_type=1, dims=dims))
    with pytest.raises(BundleError, match="more than 8 dimensions"):
        check_graph(bomb.content())


@pytest.mark.parametrize(
    "tensor",
    [
        TensorProto(name="w", data_type=1, dims=[1 << 20]),
        TensorProto(name="w", data_type=1, dims=[2], raw_data=b"1234"),
        TensorProto(name="w", data_type=6, dims=[100], int32_data=[0] * 100),
    ],
)
def test_weights_that_are_not_all_in_the_file_are_refused(tensor: TensorProto) -> None:
    bomb = Bomb()
    bomb.constants.append(tensor)
    with pytest.raises(BundleError, match="all weights as raw bytes"):
        check_graph(bomb.content())


def test_millions_of_empty_messages_are_refused_before_they_are_kept() -> None:
    nodes = b"\x0a\x00" * 1_000_000
    length = len(nodes)
    size = bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14 & 127])
    with pytest.raises(BundleError, match="fields"):
        check_graph(b"\x3a" + size + nodes)
