"""The whole policy as one ONNX graph: text bytes and context in, decision out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tierwise.features.nodes import Nodes
from tierwise.features.tokens import add_token_nodes
from tierwise.router_model import layout
from tierwise.router_model.graph_members import add_cost, add_neighbors, add_text, add_trees
from tierwise.router_model.model import Model
from tierwise.router_model.spec import PolicySpec

OPSET = 21
ML_OPSET = 3
IR_VERSION = 10
BLOCKED = np.float32(-3e38)  # score of a tier that may not be served
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
    base = _look_up(g, model, spec, known)
    add_token_nodes(g, "text", spec.bits)
    g.nodes[-1].output[0] = "ids"
    if spec.fixed_tier:
        cost, total = add_cost(g, model, known, base.cost, base.retry)
        unknown = g.const(np.full((1, model.n_tiers), np.nan), np.float32)
        nothing = _Estimated(unknown, cost, total, g.const([[0]], np.float32))
        _decide(g, model, spec, base, nothing, base.quality)
        return _model(g, spec)
    ridge, vector, seen = add_text(g, model, "ids")
    parts = [base.quality, ridge]
    if model.trees is not None:
        parts.append(add_trees(g, model.trees, g.add("Concat", known, vector, axis=1)))
    if model.neighbors is not None:
        parts.append(add_neighbors(g, model.neighbors, vector))
    unit = (g.const(0, np.float32), g.const(1, np.float32))
    quality = g.add("Clip", g.add("Sum", *parts), *unit)
    cost, total = add_cost(g, model, known, base.cost, base.retry)
    said = _Estimated(quality, cost, total, g.add("Sub", unit[1], seen))
    _decide(g, model, spec, base, said)
    return _model(g, spec)


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
    n_roles, n_points = floors.strictest.shape
    table[-n_roles:, -n_points - 1 : -1] = floors.strictest
    table[-n_roles:, -1] = floors.default
    tensor.CopyFrom(numpy_helper.from_array(table, TABLE))
    return serialize(proto)


def serialize(proto: onnx.ModelProto) -> bytes:
    """Return the same bytes for the same graph."""
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


@dataclass(frozen=True)
class _Base:
    quality: str
    cost: str
    latency: str
    retry: str
    floors: str
    default: str


@dataclass(frozen=True)
class _Estimated:
    quality: str
    cost: str
    total: str
    unseen: str


def _known_context(g: Nodes, model: Model) -> str:
    return g.add("Where", g.add("IsNaN", "context"), g.const(model.fill, np.float32), "context")


def _look_up(g: Nodes, model: Model, spec: PolicySpec, known: str) -> _Base:
    """Look everything that hangs on role and task up at once: one table, one sum of two rows."""
    k, points = model.n_tiers, len(spec.path)
    floors = empty_floors(spec)
    role = [model.role, model.latency, model.retry.reshape(len(model.role), -1)]
    role += [floors.strictest, floors.default[:, None]]
    of_role = np.concatenate(role, axis=1)
    of_task = np.zeros((len(model.task), of_role.shape[1]), np.float32)
    of_task[:, : 2 * k] = model.task
    table = g.const(np.concatenate([of_task, of_role]), np.float32, TABLE)
    both = g.add("Slice", known, *(g.const([i], np.int64) for i in (0, 2, 1)))
    code = g.add("Cast", both, to=TensorProto.INT64)
    code = g.add("Add", code, g.const([[len(model.task), 0]], np.int64))
    row = g.add("ReduceSum", g.add("Gather", table, code), g.const([1], np.int64), keepdims=0)
    sizes = g.const([k, k, k, k * k, points, 1], np.int64)
    return _Base(*g.add_many("Split", [row, sizes], 6, axis=1))


def _point(g: Nodes, spec: PolicySpec, base: _Base) -> tuple[str, str, str, str]:
    """Find how far the floor lets the policy go; row 0 of the table stands for "not at all"."""
    k = len(spec.tiers)
    floor = g.add("Where", g.add("IsNaN", "floor"), base.default, "floor")
    kept = g.add("Cast", g.add("GreaterOrEqual", base.floors, floor), to=TensorProto.INT32)
    count = g.add("ReduceSum", kept, g.const([1], np.int64), keepdims=0)
    rows = np.zeros((len(spec.path) + 1, 2 * k + 2), np.float32)
    point = np.maximum(np.arange(len(rows)) - 1, 0)
    rows[:, spec.reference] = spec.path.margin[point]
    rows[:, k : 2 * k] = spec.path.weight[point][:, None]
    rows[:, 2 * k] = point
    learned = np.where(point > 0, layout.reason("floor"), layout.reason("not_certified"))
    rows[:, 2 * k + 1] = layout.reason("fixed_role") if spec.fixed_tier else learned
    row = g.add("Gather", g.const(rows, np.float32), count)
    bonus, weight, at, reason = g.add_many(
        "Split", [row, g.const([k, k, 1, 1], np.int64)], 4, axis=1
    )
    return bonus, weight, at, reason


def _decide(
    g: Nodes,
    model: Model,
    spec: PolicySpec,
    base: _Base,
    said: _Estimated,
    preference: str = "",
) -> None:
    """Apply the rule, or a role's `preference` among tiers where the policy is a role table."""
    bonus, weight, point, reason = _point(g, spec, base)
    permitted = g.add("Greater", "allowed", g.const(0.5, np.float32))
    too_slow = g.add("Greater", base.latency, "max_latency_s")  # unknown latency is not too slow
    usable = g.add("And", permitted, g.add("Not", too_slow))
    score = preference or _score(g, spec, said, weight, bonus)
    wanted, has_reference = score, ""
    if not preference:
        has_reference = g.add("Gather", usable, g.const([spec.reference], np.int64), axis=1)
        wanted = g.add("Where", has_reference, score, said.quality)
    masked = g.add("Where", usable, wanted, g.const(BLOCKED, np.float32))
    best, order = g.add_many("TopK", [masked, g.const([2], np.int64)], 2, axis=1)
    first, second = g.add_many("Split", [best, g.const([1, 1], np.int64)], 2, axis=1)
    chosen = g.add("Gather", order, g.const(0, np.int64), axis=1)
    free = g.add("ArgMax", score, axis=1, keepdims=0)
    unmoved = g.add("Equal", chosen, free)
    if has_reference:
        unmoved = g.add("And", unmoved, has_reference)
    reason = g.add("Where", unmoved, reason, _code(g, "constrained"))
    none = g.add("Equal", first, g.const(BLOCKED, np.float32))
    reason = g.add("Where", none, _code(g, "none_allowed"), reason)
    n_tiers = len(spec.tiers)
    served = g.add("Where", none, g.const(n_tiers, np.int64), chosen)
    rungs = [[k, spec.ladder[k], model.checked[k], 0] for k in range(n_tiers)] + [[-1, -1, 0, 0]]
    row = g.add(
        "Gather", g.const(rungs, np.float32), g.add("Reshape", served, g.const([1], np.int64))
    )
    tier, rest = g.add_many("Split", [row, g.const([1, 3], np.int64)], 2, axis=1)
    lead = g.add("Sub", first, second)
    g.add(
        "Concat", tier, reason, point, lead, said.unseen, rest, said.quality, said.cost, said.total,
        base.latency, axis=1, output="decision",
    )  # fmt: skip


def _score(g: Nodes, spec: PolicySpec, said: _Estimated, weight: str, bonus: str) -> str:
    """Add the rule's score in the order of operations of `rule.scores`."""
    relative = g.add(
        "Mul", said.total, g.const(1 / np.float32(spec.mean_reference_cost), np.float32)
    )
    return g.add("Add", g.add("Sub", said.quality, g.add("Mul", weight, relative)), bonus)


def _code(g: Nodes, name: str) -> str:
    return g.const(layout.reason(name), np.float32)


def _model(g: Nodes, spec: PolicySpec) -> onnx.ModelProto:
    k = len(spec.tiers)
    kinds: dict[str, tuple[int, list[str | int]]] = {
        "text": (TensorProto.UINT8, ["bytes"]),
        "context": (TensorProto.FLOAT, [1, len(spec.context)]),
        "allowed": (TensorProto.FLOAT, [1, k]),
        "floor": (TensorProto.FLOAT, [1]),
        "max_latency_s": (TensorProto.FLOAT, [1]),
    }
    g.const(np.ones((1, k)), np.float32, "allowed")
    g.const([np.nan], np.float32, "floor")
    g.const([np.inf], np.float32, "max_latency_s")
    outputs = [
        helper.make_tensor_value_info("decision", TensorProto.FLOAT, [1, layout.width(k)]),
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["tokens"]),
    ]
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
