"""The text's part of a policy graph where an encoder ships: a projection of its embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.features.nodes import Nodes
from tierwise.router_model.model import Model, Projection

INPUT = "embedding"
ROUNDING = 1e-5  # of a vector's number; what two ways of summing an embedding differ by


def add_embedding(g: Nodes, projection: Projection) -> str:
    """Add what the embedding says: quality of each tier, the text's vector, share seen.

    Parameters
    ----------
    g : Nodes
        The graph under construction; its input `embedding` is float32 [1, n_dimensions].
    projection : Projection

    Returns
    -------
    str
        Name of a float32 tensor of shape (1, n_tiers + n_dims + 1), as the row of a word has it; an
        encoder knows every token, so all of the text counts as seen.
    """
    weight = np.pad(projection.weight, ((0, 0), (0, 1)))
    bias = np.append(projection.bias, 1)
    weight_name = g.const(weight, np.float32, "projection")
    return g.add("Gemm", INPUT, weight_name, g.const(bias, np.float32))


def is_clear(model: Model, embedding: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which steps no tree sends one way or the other by rounding, shape (n_steps,).

    Token rows add up exactly; sums over an embedding depend on their order, so that a number of
    the vector that lies on a threshold may fall either side of it, and both are right.
    """
    if model.projection is None or model.trees is None:
        return np.ones(len(embedding), np.bool_)
    vector = (embedding @ model.projection.weight + model.projection.bias)[:, model.n_tiers :]
    column = model.trees.feature - len(model.fill)
    split = column >= 0  # leaves have feature -1, context columns come first
    gap = np.abs(vector[:, column[split]] - model.trees.threshold[split])
    clear: NDArray[np.bool_] = (gap > ROUNDING).all(axis=1)
    return clear
