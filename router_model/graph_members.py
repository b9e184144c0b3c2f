"""The estimates' members as ONNX nodes: hashed text, trees, network, cost."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from tierwise.features.nodes import Nodes
from tierwise.router_model.model import Model, Network, Trees


def add_text(g: Nodes, model: Model, ids: str) -> str:
    """Add the mean of the tokens' rows: quality of each tier, the text's vector, share seen."""
    rows = g.add("Gather", g.const(model.rows, np.int8, "rows"), ids)
    # Sums of up to 8,193 bytes stay below 2 ** 24: exact in float32 whatever the order.
    mean = g.add(
        "ReduceMean", g.add("Cast", rows, to=TensorProto.FLOAT), g.const([0], np.int64), keepdims=1
    )
    return g.add("Mul", mean, g.const(model.scale, np.float32))


def add_trees(g: Nodes, model: Model, trees: Trees, inputs: str, quality: str) -> str:
    """Add all trees as one node, and to the quality what their components mean for each tier.

    `inputs` are the context and then what `add_text` gave.
    """
    n_context = len(model.fill)
    column = trees.feature + np.where(trees.feature < n_context, 0, model.n_tiers)
    first = np.searchsorted(trees.tree, trees.tree)  # where a node's tree begins
    place = np.arange(len(trees.tree)) - first
    leaf = trees.feature < 0
    components = len(trees.mixing)
    said = g.add(
        "TreeEnsembleRegressor",
        inputs,
        domain="ai.onnx.ml",
        n_targets=components,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=trees.tree.tolist(),
        nodes_nodeids=place.tolist(),
        nodes_featureids=np.where(leaf, 0, column).tolist(),
        nodes_modes=["LEAF" if is_leaf else "BRANCH_LEQ" for is_leaf in leaf],
        nodes_values=np.where(leaf, 0, trees.threshold).astype(float).tolist(),
        nodes_truenodeids=np.where(leaf, 0, trees.left - first).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, trees.right - first).tolist(),
        target_treeids=trees.tree[leaf].tolist(),
        target_nodeids=place[leaf].tolist(),
        target_ids=trees.target[trees.tree[leaf]].tolist(),
        target_weights=trees.value[leaf].astype(float).tolist(),
    )
    return g.add("Gemm", said, g.const(trees.mixing, np.float32), quality)


def add_network(
    g: Nodes, model: Model, network: Network, known: str, text: str, quality: str
) -> str:
    """Add to the quality what the network says of the context and of what `add_text` gave."""
    one, half = g.const(1, np.float32), g.const(0.5, np.float32)
    logs = g.add("Log", g.add("Max", g.add("Add", known, one), half))
    inner = g.add(
        "Gemm", logs, g.const(network.context, np.float32), g.const(network.bias, np.float32)
    )
    n_text, first = model.n_tiers + model.n_dims + 1, model.n_tiers
    weight = np.zeros((n_text, network.vector.shape[1]), np.float32)
    weight[first : first + model.n_dims] = network.vector
    hidden = g.add("Tanh", g.add("Gemm", text, g.const(weight, np.float32), inner))
    return g.add("Gemm", hidden, g.const(network.out, np.float32), quality)


def add_cost(g: Nodes, model: Model, known: str, base: str, retry: str) -> tuple[str, str]:
    """Add the cost of the call, and with retries; `base` and `retry` come from the tables."""
    slope = np.zeros((len(model.fill), model.n_tiers), np.float32)
    slope[2:4] = model.cost_slope
    cost = g.add("Gemm", known, g.const(slope, np.float32), base)
    cost = g.add("Max", cost, g.const(model.least_cost, np.float32))
    if np.array_equal(model.retry, np.broadcast_to(np.eye(model.n_tiers), model.retry.shape)):
        return cost, cost
    square = g.const([model.n_tiers, model.n_tiers], np.int64)
    return cost, g.add("MatMul", cost, g.add("Reshape", retry, square))
