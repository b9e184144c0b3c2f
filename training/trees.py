"""LightGBM on the residual over the tables, as plain arrays that one ONNX node can hold."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from tierwise.router_model.model import Trees

Floats = NDArray[np.float64]


def fit_booster(
    inputs: NDArray[np.float32], target: Floats, n_trees: int, n_leaves: int, rate: float
) -> lgb.Booster | None:
    """Fit one component; None where too few steps are known to grow a tree.

    Deterministic: one thread, no sampling.
    """
    known = ~np.isnan(target)
    least = max(20, int(known.sum() // 100))
    if known.sum() < 4 * least or n_trees < 1:
        return None
    options = {
        "objective": "regression",
        "num_leaves": n_leaves,
        "learning_rate": rate,
        "min_data_in_leaf": least,
        "lambda_l2": 10.0,
        "max_bin": 63,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": 1,
        "verbosity": -1,
        "boost_from_average": False,
        "use_missing": False,
    }
    data = lgb.Dataset(inputs[known].astype(np.float64), target[known], params={"verbosity": -1})
    return lgb.train(options, data, num_boost_round=n_trees)


def pack(boosters: list[lgb.Booster | None], mixing: NDArray[np.float64]) -> Trees | None:
    """Lay the trees of all components behind each other.

    Parameters
    ----------
    boosters : list of Booster or None
        One a component.
    mixing : ndarray of shape (n_components, n_tiers)
        What one unit of a component adds to each tier's quality; a component whose row is zero
        is left out.

    Returns
    -------
    Trees or None
        None where nothing splits.
    """
    nodes: list[tuple[int, int, int, int, float, float]] = []
    target: list[int] = []
    used = [c for c, b in enumerate(boosters) if b is not None and np.any(mixing[c])]
    for position, component in enumerate(used):
        booster = boosters[component]
        assert booster is not None
        for info in booster.dump_model()["tree_info"]:
            if "split_feature" in info["tree_structure"]:
                _append(info["tree_structure"], len(target), nodes)
                target.append(position)
    if not target:
        return None
    table = np.array(nodes, np.float64)
    return Trees(
        tree=table[:, 0].astype(np.int64),
        feature=table[:, 1].astype(np.int64),
        left=table[:, 2].astype(np.int64),
        right=table[:, 3].astype(np.int64),
        threshold=_at_most(table[:, 4]),
        value=table[:, 5].astype(np.float32),
        target=np.array(target, np.int64),
        mixing=mixing[used].astype(np.float32),
    )


def _append(node: dict[str, Any], tree: int, nodes: list[Any]) -> int:
    place = len(nodes)
    if "split_feature" not in node:
        nodes.append((tree, -1, -1, -1, 0.0, node["leaf_value"]))
        return place
    nodes.append(())
    left = _append(node["left_child"], tree, nodes)
    right = _append(node["right_child"], tree, nodes)
    nodes[place] = (tree, node["split_feature"], left, right, node["threshold"], 0.0)
    return place


def _at_most(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round thresholds down to float32: for float32 inputs `x <= t` then decides as before."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)
