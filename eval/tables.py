"""A full-feedback trace table as plain arrays, for checks that need no pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput

NEEDED = [
    "trace_id",
    "step_id",
    "text",
    "role",
    "task_type",
    "group",
    "tier",
    "cost_usd",
    "quality",
]


@dataclass(frozen=True)
class Outcomes:
    """What every tier did on every step; tiers in order of mean cost.

    Attributes
    ----------
    tiers : tuple of str
        Names, cheap to dear.
    text, role, task, group : ndarray of str, shape (n_steps,)
        Empty where unknown.
    quality : ndarray of shape (n_steps, n_tiers)
        0..1.
    cost : ndarray of shape (n_steps, n_tiers)
        USD; an unknown cost is the mean of the tier in its task, then of the tier.
    """

    tiers: tuple[str, ...]
    text: NDArray[np.str_]
    role: NDArray[np.str_]
    task: NDArray[np.str_]
    group: NDArray[np.str_]
    quality: NDArray[np.float64]
    cost: NDArray[np.float64]


def read_outcomes(path: Path) -> Outcomes:
    """Read the steps whose quality is known for every tier.

    Raises
    ------
    BadInput
        Where no step has an outcome of every tier.
    """
    rows = pd.read_parquet(path, columns=NEEDED)
    rows["key"] = rows["trace_id"].astype(str) + "\x00" + rows["step_id"].astype(str)
    rows["task_type"] = rows["task_type"].fillna("")
    for keys in (["tier", "task_type"], ["tier"]):
        rows["cost_usd"] = rows["cost_usd"].fillna(rows.groupby(keys)["cost_usd"].transform("mean"))
    quality = rows.pivot(index="key", columns="tier", values="quality").dropna()
    if quality.empty:
        raise BadInput(
            f"no step of {path} has a quality for every tier", "full feedback", "use another table"
        )
    cost = rows.pivot(index="key", columns="tier", values="cost_usd").loc[quality.index]
    tiers = cost.mean().sort_values(kind="stable").index
    first = rows.drop_duplicates("key").set_index("key").loc[quality.index]
    texts = {
        name: first[name].fillna("").astype(str).to_numpy(dtype=object)
        for name in ("text", "role", "task_type", "group")
    }
    return Outcomes(
        tiers=tuple(str(tier) for tier in tiers),
        text=texts["text"],
        role=texts["role"].astype(np.str_),
        task=texts["task_type"].astype(np.str_),
        group=texts["group"].astype(np.str_),
        quality=quality[tiers].to_numpy(dtype=np.float64),
        cost=cost[tiers].to_numpy(dtype=np.float64),
    )
