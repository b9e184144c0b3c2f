"""The estimates' members as ONNX nodes: hashed text, trees, network, cost."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from tierwise.features.nodes import Nodes
from tierwise.router_model.model import Model, Network, Trees


def add_text(g: Nodes, model: Model, words: str, pairs: str) -> str:
    """Add what words say and then what pairs say, float32 [1, 2 n_tiers + n_dims + 2].

    Words: quality of each tier, the text's vector, share seen; pairs: quality and share.
    """
    of_words = _mean(g, g.const(model.rows, np.int8, "rows"), words)
    of_pairs = _mean(g, g.const(model.pair_rows, np.int8, "pair_rows"), pairs)
    scale = g.const(np.concatenate([model.scale, model.pair_scale]), np.float32)
    return g.add("Mul", g.add("Concat", of_words, of_pairs, axis=1), scale)


def _mean(g: Nodes, rows: str, ids: str) -> str:
    """Add the mean of some rows of bytes."""
    # Sums of up to 8,196 bytes stay below 2 ** 24: exact in float32 whatever the order.
    found = g.add("Cast", g.add("Gather", rows, ids), to=TensorProto.FLOAT)
    return g.add("ReduceMean", found, g.const([0], np.int64), keepdims=1)


def text_width(model: Model) -> int:
    """Return how many numbers `add_text` gives, or an encoder's projection in its place."""
    pairs = 0 if model.projection is not None else model.n_tiers + 1
    return model.n_tiers + model.n_dims + 1 + pairs


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
    first = model.n_tiers
    weight = np.zeros((text_width(model), network.vector.shape[1]), np.float32)
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
