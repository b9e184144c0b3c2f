"""Graphs of a fitted policy without some of its members, or with more or fewer of one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from tierwise.data.files import read_json
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.model import Model, Network, Projection, Trees, load_model
from tierwise.router_model.spec import PolicySpec

TREES = (1, 10, 20)  # of each component
UNITS = (24, 72, 144, 288)  # of a network, all its draws together


def load(run: Path) -> tuple[Model, PolicySpec] | None:
    """Return the fitted model in a run's folder; None where there is none."""
    if not (run / "model.npz").is_file() or not (run / "spec.json").is_file():
        return None
    return load_model(run / "model.npz"), PolicySpec.from_dict(read_json(run / "spec.json"))


def smaller_graphs(run: Path) -> dict[str, bytes]:
    """Return the policy without one member at a time, and without any: the rule alone."""
    loaded = load(run)
    if loaded is None or loaded[1].fixed_tier:
        return {}
    model, spec = loaded
    found: dict[str, Model] = {}
    if model.trees is not None:
        found["without trees"] = dataclasses.replace(model, trees=None)
    if model.network is not None:
        found["without network"] = dataclasses.replace(model, network=None)
    if not np.array_equal(model.retry, _no_retry(model)):
        found["without retries"] = dataclasses.replace(model, retry=_no_retry(model))
    if model.projection is None:
        found["without text"] = dataclasses.replace(model, projection=_no_text(model))
    found["rule alone"] = dataclasses.replace(
        model, trees=None, network=None, retry=_no_retry(model), projection=_no_text(model)
    )
    return {name: serialize(build_graph(one, spec)) for name, one in found.items()}


def sized_graphs(run: Path, rng: np.random.Generator) -> dict[str, bytes]:
    """Return the policy with fewer trees, and with networks drawn at random."""
    loaded = load(run)
    if loaded is None or loaded[1].fixed_tier:
        return {}
    model, spec = loaded
    plain = dataclasses.replace(model, network=None)
    found = {
        f"{n} hidden units": dataclasses.replace(plain, network=_random_network(model, n, rng))
        for n in UNITS
    }
    if model.trees is not None:
        for n in TREES:
            fewer = dataclasses.replace(plain, trees=_first_trees(model.trees, n))
            found[f"{n * len(model.trees.mixing)} trees"] = fewer
        found[f"{len(model.trees.target)} trees"] = plain
    return {name: serialize(build_graph(one, spec)) for name, one in found.items()}


def _no_retry(model: Model) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.broadcast_to(np.eye(model.n_tiers, dtype=np.float32), model.retry.shape)


def _no_text(model: Model) -> Projection:
    """Return an embedding of one number that says nothing: the graph then reads no text."""
    width = model.n_tiers + model.n_dims
    return Projection(np.zeros((1, width), np.float32), np.zeros(width, np.float32))


def _first_trees(trees: Trees, count: int) -> Trees:
    """Keep the first trees of each component."""
    place = np.array([np.sum(trees.target[:i] == t) for i, t in enumerate(trees.target)])
    kept = np.flatnonzero(place < count)
    node = np.isin(trees.tree, kept)
    moved = np.cumsum(node) - 1
    return dataclasses.replace(
        trees,
        tree=np.searchsorted(kept, trees.tree[node]),
        feature=trees.feature[node],
        left=np.where(trees.left[node] < 0, -1, moved[trees.left[node]]),
        right=np.where(trees.right[node] < 0, -1, moved[trees.right[node]]),
        threshold=trees.threshold[node],
        value=trees.value[node],
        target=trees.target[kept],
    )


def _random_network(model: Model, n_units: int, rng: np.random.Generator) -> Network:
    shapes = ((len(model.fill), n_units), (model.n_dims, n_units), (n_units,))
    inner = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    out = rng.normal(0, 0.01, (n_units, model.n_tiers))
    return Network(*inner, out.astype(np.float32))
