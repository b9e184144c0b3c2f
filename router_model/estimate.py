"""The graph's estimates in NumPy, for many steps at once; parity with the graph is checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.features.tokens import IDS_A_WORD
from tierwise.router_model.model import Model, Network, Trees

Float32 = NDArray[np.float32]
Ints = NDArray[np.int64]

CHUNK = 4096  # steps at a time, so that memory does not grow with the table


@dataclass(frozen=True)
class Batch:
    """Estimates of many steps.

    Attributes
    ----------
    quality, cost, total_cost, latency : ndarray of float32, shape (n_steps, n_tiers)
        0..1; USD a call; USD with retries; seconds.
    unseen : ndarray of float32, shape (n_steps,)
        Share of the text's tokens that fewer than two learn steps had.
    """

    quality: Float32
    cost: Float32
    total_cost: Float32
    latency: Float32
    unseen: Float32


def estimate(model: Model, ids: Ints, starts: Ints, context: Float32) -> Batch:
    """Estimate every tier for every step.

    Parameters
    ----------
    model : Model
    ids : ndarray of int64
        Places of all texts' tokens, one after another, as from `TokenIds.many`.
    starts : ndarray of int64, shape (n_steps + 1,)
        Where each text's ids begin, and the end.
    context : ndarray of float32, shape (n_steps, n_columns)
    """
    parts = [
        _estimate(model, ids, starts[a : a + CHUNK + 1], context[a : a + CHUNK])
        for a in range(0, len(context), CHUNK)
    ]
    names = ("quality", "cost", "total_cost", "latency", "unseen")
    return Batch(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def estimate_embedded(model: Model, embedding: Float32, context: Float32) -> Batch:
    """Estimate every tier for every step from its embedding, shape (n_steps, n_dimensions)."""
    if model.projection is None:
        raise ValueError("a model without a projection takes token ids")
    text = embedding @ model.projection.weight + model.projection.bias
    return estimate_text(model, np.pad(text, ((0, 0), (0, 1)), constant_values=1), context)


def _estimate(model: Model, ids: Ints, starts: Ints, context: Float32) -> Batch:
    n_ids = np.diff(starts)
    n_words = n_ids // IDS_A_WORD
    first = np.repeat(starts[:-1] - starts[0], n_ids)
    is_word = np.arange(len(first)) - first < np.repeat(n_words, n_ids)
    part = ids[starts[0] : starts[-1]]
    words = _mean(model.rows, part[is_word], n_words) * model.scale
    pairs = _mean(model.pair_rows, part[~is_word] - len(model.rows), n_ids - n_words)
    pairs *= model.pair_scale
    return estimate_text(model, join(model, words, pairs), context)


def _mean(rows: NDArray[np.int8], at: Ints, counts: Ints) -> Float32:
    """Return the mean row of each run of row numbers; `counts` are the runs' lengths."""
    begin = np.cumsum(counts) - counts
    sums = np.add.reduceat(rows[at].astype(np.int32), begin, axis=0).astype(np.float32)
    mean: Float32 = sums / counts.astype(np.float32)[:, None]
    return mean


def join(model: Model, words: Float32, pairs: Float32) -> Float32:
    """Add what pairs say to what words say.

    Parameters
    ----------
    model : Model
    words : ndarray of shape (n_steps, n_tiers + n_dims + 1)
    pairs : ndarray of shape (n_steps, n_tiers + 1)
    """
    text = words.copy()
    text[:, : model.n_tiers] += pairs[:, :-1]
    text[:, -1] += pairs[:, -1]
    return text


def estimate_text(model: Model, text: Float32, context: Float32) -> Batch:
    """Estimate every tier from what the text says: quality of each, its vector, share seen.

    Parameters
    ----------
    model : Model
    text : ndarray of shape (n_steps, n_tiers + n_dims + 1)
        What words and pairs say, as from `join`; or what an embedding says, and 1.
    context : ndarray of shape (n_steps, n_columns)
    """
    tiers, dims = model.n_tiers, model.n_dims
    context = np.where(np.isnan(context), model.fill, context)
    vectors = text[:, tiers : tiers + dims]
    role, task = context[:, 0].astype(np.int64), context[:, 1].astype(np.int64)
    base = model.task[task] + model.role[role]
    quality = base[:, :tiers] + text[:, :tiers]
    if model.trees is not None:
        quality = quality + _run_trees(model.trees, np.concatenate([context, vectors], axis=1))
    if model.network is not None:
        quality = quality + _run_network(model.network, context, vectors)
    cost = np.maximum(base[:, tiers:] + context[:, 2:4] @ model.cost_slope, model.least_cost)
    total = np.einsum("nj,njk->nk", cost, model.retry[role])
    return Batch(
        np.clip(quality, 0, 1).astype(np.float32), cost.astype(np.float32),
        total.astype(np.float32), model.latency[role], 1 - text[:, -1],
    )  # fmt: skip


def _run_trees(trees: Trees, inputs: Float32) -> Float32:
    out = np.zeros((len(inputs), len(trees.mixing)), np.float32)
    roots = np.flatnonzero(np.diff(trees.tree, prepend=-1))
    rows = np.arange(len(inputs))
    for tree, root in enumerate(roots):
        at = np.full(len(inputs), root)
        while (inner := trees.feature[at] >= 0).any():
            go_left = inputs[rows, trees.feature[at]] <= trees.threshold[at]
            at = np.where(inner, np.where(go_left, trees.left[at], trees.right[at]), at)
        out[:, trees.target[tree]] += trees.value[at]
    mixed: Float32 = out @ trees.mixing
    return mixed


def _run_network(network: Network, context: Float32, vectors: Float32) -> Float32:
    inner = log_context(context) @ network.context + vectors @ network.vector + network.bias
    said: Float32 = np.tanh(inner) @ network.out
    return said


def log_context(context: Float32) -> Float32:
    """Return the context as the network takes it: lengths by their order of magnitude.

    Unknown (-1), 0 and 1 stay apart, whatever the column.
    """
    logs: Float32 = np.log(np.maximum(context + np.float32(1), np.float32(0.5)))
    return logs
