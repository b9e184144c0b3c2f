"""Policies drawn at random, with every part that a model can have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.training.fits import COLUMNS, names
from tierwise.features.tokens import IDS_A_WORD
from tierwise.router_model.model import Model, Network, Trees
from tierwise.router_model.rule import ALWAYS, Path
from tierwise.router_model.spec import PolicySpec

BITS, PAIR_BITS, N_DIMS = 6, 7, 4
N_ROLES, N_TASKS = len(COLUMNS[0].vocabulary), len(COLUMNS[1].vocabulary)
TEXTS = (b"", b" \n", "Ωραία 日本語 🚀".encode(), b"\xff\x00", b"prove it", b"copy the file " * 290)
MARGINS = (ALWAYS, 0.2, 0.1, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0)
WEIGHTS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.05, 0.1, 0.3, 5.0)
PATH = Path(np.array(MARGINS, np.float32), np.array(WEIGHTS, np.float32))


def random_spec(n_tiers: int = 3, reference: int | None = None) -> PolicySpec:
    reference = n_tiers - 1 if reference is None else reference
    rungs = (*range(1, n_tiers), -1)
    return PolicySpec(names(n_tiers), reference, 0.01, PATH, rungs, COLUMNS, BITS, PAIR_BITS)


def random_model(n_tiers: int = 3, seed: int = 0) -> Model:
    rng = np.random.default_rng(seed)
    f32 = np.float32
    rows = rng.integers(-127, 128, (2**BITS + 1, n_tiers + N_DIMS + 1)).astype(np.int8)
    pair_rows = rng.integers(-127, 128, (2**PAIR_BITS, n_tiers + 1)).astype(np.int8)
    for each in (rows, pair_rows):
        each[:, -1] = rng.integers(0, 2, len(each))
    width = n_tiers + N_DIMS
    scale = np.concatenate([np.full(n_tiers, 0.002), np.full(N_DIMS, 0.02), [1 / IDS_A_WORD]])
    quality_cost = np.repeat([0.25, 0.01], n_tiers)
    latency = rng.uniform(1, 4, (N_ROLES + 1, n_tiers)).astype(f32)
    latency[1, 0] = np.nan
    retry = np.tile(np.eye(n_tiers), (N_ROLES + 1, 1, 1))
    retry += np.tril(rng.uniform(0, 0.2, retry.shape), -1)
    assert scale.shape == (width + 1,)
    return Model(
        rows=rows,
        scale=scale.astype(f32),
        pair_rows=pair_rows,
        pair_scale=np.append(np.full(n_tiers, 0.003), 1 - 1 / IDS_A_WORD).astype(f32),
        task=(quality_cost * rng.uniform(0.8, 1.2, (N_TASKS + 1, 2 * n_tiers))).astype(f32),
        role=(quality_cost * rng.uniform(-0.5, 0.5, (N_ROLES + 1, 2 * n_tiers))).astype(f32),
        cost_slope=rng.uniform(0, 1e-6, (2, n_tiers)).astype(f32),
        fill=np.array([N_ROLES, N_TASKS, 120.0, 800.0, -1.0, -1.0], f32),
        checked=rng.integers(0, 2, n_tiers).astype(f32),
        least_cost=np.full(n_tiers, 0.006, f32),
        latency=latency,
        retry=retry.astype(f32),
        trees=_trees(n_tiers, rng),
        network=_network(n_tiers, rng),
    )


def _trees(n_tiers: int, rng: np.random.Generator) -> Trees:
    """Four trees of three leaves: complexity at a whole number, then a number of the vector."""
    n, at = 4, 5 * np.arange(4)
    vector = rng.integers(len(COLUMNS), len(COLUMNS) + N_DIMS, n)
    nowhere = np.full(n, -1)
    nodes = {
        "feature": [np.full(n, 4), nowhere, vector, nowhere, nowhere],
        "left": [at + 1, nowhere, at + 3, nowhere, nowhere],
        "right": [at + 2, nowhere, at + 4, nowhere, nowhere],
        "threshold": [rng.integers(2, 9, n), 0 * at, rng.normal(0, 0.3, n), 0 * at, 0 * at],
        "value": [0 * at, *(rng.normal(0, 0.05, n) for _ in range(1)), 0 * at]
        + [rng.normal(0, 0.05, n) for _ in range(2)],
    }
    flat = {name: np.stack(columns, axis=1).ravel() for name, columns in nodes.items()}
    return Trees(
        tree=np.repeat(np.arange(n), 5),
        feature=flat["feature"].astype(np.int64),
        left=flat["left"].astype(np.int64),
        right=flat["right"].astype(np.int64),
        threshold=flat["threshold"].astype(np.float32),
        value=flat["value"].astype(np.float32),
        target=np.array([0, 0, 1, 1]),
        mixing=rng.normal(0, 0.5, (2, n_tiers)).astype(np.float32),
    )


def _network(n_tiers: int, rng: np.random.Generator) -> Network:
    """Five units that look at every number and flag, and at no category's code."""
    context = rng.normal(0, 0.2, (len(COLUMNS), 5))
    context[:2] = 0.0
    vector, bias = rng.normal(size=(N_DIMS, 5)), rng.normal(size=5)
    arrays = (context, vector, bias, rng.normal(0, 0.05, (5, n_tiers)))
    return Network(*(array.astype(np.float32) for array in arrays))


def random_steps(n: int = 60, seed: int = 1) -> tuple[tuple[bytes, ...], NDArray[np.float32]]:
    """Texts, odd ones first, and contexts in which each column is unknown here and there."""
    rng = np.random.default_rng(seed)
    words = [b"copy", b"prove", b"the", b"file", b"HTTPServer", b"42", b"==", b"a_b"]
    texts = [*TEXTS, *(b" ".join(rng.choice(words, 8)) for _ in range(n - len(TEXTS)))]
    high = (N_ROLES, N_TASKS, 5000, 9000, 11, 2)
    context = np.stack([rng.integers(0, h, n) for h in high], axis=1).astype(np.float32)
    context[rng.random(context.shape) < 0.2] = np.nan
    context[0], context[-1] = np.nan, np.nan
    return tuple(texts), context
