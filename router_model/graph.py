"""The whole policy as one ONNX graph: text bytes and context in, decision out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tierwise.features.nodes import Nodes
from tierwise.features.tokens import add_ids, add_token_nodes
from tierwise.router_model import graph_embedding, layout
from tierwise.router_model.graph_members import (
    add_cost,
    add_network,
    add_text,
    add_trees,
    text_width,
)
from tierwise.router_model.graph_rule import Base, Estimated, add_decision
from tierwise.router_model.model import Model
from tierwise.router_model.spec import PolicySpec

OPSET = 21
ML_OPSET = 3
IR_VERSION = 10
TABLE = "table"

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class FloorTable:
    """How far along the path each floor may go, by role.

    Attributes
    ----------
    strictest : ndarray of float32, shape (n_roles + 1, n_points)
        The strictest floor certified at each point; falls along the path. +inf at point 0, which
        is the reference itself; -inf where nothing is certified.
    default : ndarray of float32, shape (n_roles + 1,)
        The floor taken where the host names none.
    """

    strictest: Float32
    default: Float32


def empty_floors(spec: PolicySpec) -> FloorTable:
    """Return the table under which the reference is served whatever the floor."""
    shape = (len(spec.roles) + 1, len(spec.path))
    strictest = np.full(shape, -np.inf, np.float32)
    strictest[:, 0] = np.inf
    return FloorTable(strictest, np.full(shape[0], np.inf, np.float32))


def sweep_floors(spec: PolicySpec) -> FloorTable:
    """Return a table under which floor -j serves point j: for sweeping the path and for checks."""
    strictest = np.tile(-np.arange(len(spec.path), dtype=np.float32), (len(spec.roles) + 1, 1))
    return FloorTable(strictest, np.zeros(len(strictest), np.float32))


def build_graph(model: Model, spec: PolicySpec) -> onnx.ModelProto:
    """Assemble the policy with an empty floor table.

    Parameters
    ----------
    model : Model
    spec : PolicySpec

    Returns
    -------
    ModelProto
        Inputs and outputs as the bundle's manifest describes them.
    """
    g = Nodes()
    known = _known_context(g, model)
    row = _look_up(g, model, spec, known)
    words = pairs = ""
    if model.projection is None:
        words, pairs = add_token_nodes(g, "text", spec.bits, spec.pair_bits)
        add_ids(g, words, pairs, output="ids")
    if spec.fixed_tier:
        base = _split(g, model, spec, row)
        cost, total = add_cost(g, model, known, base.cost, base.retry)
        unknown = g.const(np.full((1, model.n_tiers), np.nan), np.float32)
        add_decision(g, model, spec, base, Estimated(unknown, cost, total), base.quality)
        return _model(g, spec)
    if model.projection is None:
        text = add_text(g, model, words, pairs)
    else:
        text = graph_embedding.add_embedding(g, model.projection)
    base = _split(g, model, spec, _add_ridge(g, model, spec, row, text))
    quality = base.quality
    if model.trees is not None:
        quality = add_trees(g, model, model.trees, g.add("Concat", known, text, axis=1), quality)
    if model.network is not None:
        quality = add_network(g, model, model.network, known, text, quality)
    quality = g.add("Clip", quality, g.const(0, np.float32), g.const(1, np.float32))
    cost, total = add_cost(g, model, known, base.cost, base.retry)
    add_decision(g, model, spec, base, Estimated(quality, cost, total))
    return _model(g, spec, None if model.projection is None else len(model.projection.weight))


def set_floors(graph: bytes, floors: FloorTable) -> bytes:
    """Return the graph with its floor table filled in; nothing else changes.

    Parameters
    ----------
    graph : bytes
        As `build_graph` made it.
    floors : FloorTable
    """
    proto = onnx.load_from_string(graph)
    tensor = next(t for t in proto.graph.initializer if t.name == TABLE)
    table = np.array(numpy_helper.to_array(tensor))
    of_role = table[0, 0]  # the half that hangs on the role
    n_points = floors.strictest.shape[1]
    of_role[:, -n_points - 1 : -1] = _lengthen(floors.strictest, len(of_role))
    of_role[:, -1] = _lengthen(floors.default, len(of_role))
    tensor.CopyFrom(numpy_helper.from_array(table, TABLE))
    return serialize(proto)


def serialize(proto: onnx.ModelProto) -> bytes:
    """Return the same bytes for the same graph."""
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _known_context(g: Nodes, model: Model) -> str:
    return g.add("Where", g.add("IsNaN", "context"), g.const(model.fill, np.float32), "context")


def _look_up(g: Nodes, model: Model, spec: PolicySpec, known: str) -> str:
    """Look everything that hangs on role and task up at once: one table, one sum of two rows.

    The table has shape (1, 2, n_rows, n_numbers): what hangs on the role, then on the task.
    """
    floors = empty_floors(spec)
    unseen = np.full((len(model.role), 1), float(not spec.fixed_tier))
    role = [unseen, model.role, model.latency, model.retry.reshape(len(model.role), -1)]
    role += [floors.strictest, floors.default[:, None]]
    of_role = np.concatenate(role, axis=1)
    of_task = np.zeros((len(model.task), of_role.shape[1]))
    of_task[:, 1 : 1 + model.task.shape[1]] = model.task
    rows = max(len(of_role), len(of_task))
    table = np.stack([_lengthen(half, rows) for half in (of_role, of_task)])[None]
    code = g.add("Gather", known, g.const([[0], [1]], np.int64), axis=1)
    code = g.add("Cast", code, to=TensorProto.INT64)
    both = g.add("GatherND", g.const(table, np.float32, TABLE), code, batch_dims=2)
    return g.add("ReduceSum", both, g.const([1], np.int64), keepdims=0)


def _lengthen(rows: NDArray[Any], length: int) -> NDArray[Any]:
    """Repeat the last row, which is that of the unknown value."""
    return rows[np.minimum(np.arange(length), len(rows) - 1)]


def _add_ridge(g: Nodes, model: Model, spec: PolicySpec, row: str, text: str) -> str:
    """Add the text's quality to the tables', and take its known share from what is unseen."""
    k = model.n_tiers
    effect = np.zeros((text_width(model), sum(_sizes(model, spec))), np.float32)
    seen = k + model.n_dims  # where what words say ends; what pairs say comes after it
    effect[:k, 1 : 1 + k] = np.eye(k)
    effect[seen, 0] = -1
    if model.projection is None:
        effect[seen + 1 : -1, 1 : 1 + k] = np.eye(k)
        effect[-1, 0] = -1
    return g.add("Gemm", text, g.const(effect, np.float32), row)


def _split(g: Nodes, model: Model, spec: PolicySpec, row: str) -> Base:
    sizes = _sizes(model, spec)
    return Base(*g.add_many("Split", [row, g.const(sizes, np.int64)], len(sizes), axis=1))


def _sizes(model: Model, spec: PolicySpec) -> list[int]:
    """Return the lengths of what a row of the table holds, in the order of `Base`."""
    k = model.n_tiers
    return [1, k, k, k, k * k, len(spec.path), 1]


def _model(g: Nodes, spec: PolicySpec, n_dimensions: int | None = None) -> onnx.ModelProto:
    """Close the graph; it takes an embedding of `n_dimensions` numbers, or else a text."""
    k = len(spec.tiers)
    kinds: dict[str, tuple[int, list[str | int]]] = {
        "text": (TensorProto.UINT8, ["bytes"]),
        graph_embedding.INPUT: (TensorProto.FLOAT, [1, n_dimensions or 0]),
        "context": (TensorProto.FLOAT, [1, len(spec.context)]),
        "allowed": (TensorProto.FLOAT, [1, k]),
        "floor": (TensorProto.FLOAT, [1]),
        "max_latency_s": (TensorProto.FLOAT, [1]),
    }
    del kinds["text" if n_dimensions else graph_embedding.INPUT]
    g.const(np.ones((1, k)), np.float32, "allowed")
    g.const([np.nan], np.float32, "floor")
    g.const([np.inf], np.float32, "max_latency_s")
    outputs = [
        helper.make_tensor_value_info("decision", TensorProto.FLOAT, [1, layout.width(k)]),
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["tokens"]),
    ][: 1 if n_dimensions else 2]
    graph = helper.make_graph(
        g.nodes,
        "policy",
        [helper.make_tensor_value_info(name, *kind) for name, kind in kinds.items()],
        outputs,
        list(g.initializers.values()),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    onnx.checker.check_model(proto, full_check=True)
    return proto
