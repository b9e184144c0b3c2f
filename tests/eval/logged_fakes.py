"""Made-up logs in which one tier a step was served, by chances that are known, and their truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from eval_fakes import ROLES, TIERS, make_steps
from numpy.typing import NDArray

from tierwise.features.steps import StepTable


def make_logs(
    n: int = 3_000, explore: float = 0.5, seed: int = 0
) -> tuple[StepTable, StepTable, NDArray[np.str_]]:
    """Logs, the same steps with every outcome, and their roles.

    The logging policy serves small to easy steps and large to hard ones; a share of the steps is
    drawn evenly.
    """
    full = make_steps(n, seed)
    rng = np.random.default_rng([seed, 1])
    usual = np.digitize(full.context[:, 4], [4.0, 7.0])
    propensities = np.full((n, 3), explore / 3)
    propensities[np.arange(n), usual] += 1 - explore
    served = (rng.random((n, 1)) > propensities.cumsum(axis=1)).sum(axis=1)
    hidden = np.arange(3)[None, :] != served[:, None]
    rows = np.arange(n)
    logs = replace(
        full,
        quality=np.where(hidden, np.nan, full.quality),
        cost=np.where(hidden, np.nan, full.cost),
        served=served.astype(np.int64),
        propensities=propensities,
        propensity=propensities[rows, served],
        ladder_cost=full.cost[rows, served],
        feedback="logged",
    )
    return logs, full, np.array(ROLES)[full.context[:, 0].astype(int)]


def as_traces(logs: StepTable, role: NDArray[np.str_]) -> pd.DataFrame:
    """Logs as a trace table: one row a step, propensities as JSON."""
    rows = np.arange(len(logs))
    return pd.DataFrame(
        {
            "trace_id": logs.unit,
            "step_id": [name.partition("/")[2] for name in logs.step],
            "text": [text.decode() for text in logs.text],
            "role": role,
            "tier": np.array(TIERS)[logs.served],
            "attempt": 0,
            "quality": logs.quality[rows, logs.served],
            "cost_usd": logs.cost[rows, logs.served],
            "propensity": logs.propensity,
            "propensities": [
                json.dumps(dict(zip(TIERS, row, strict=True))) for row in logs.propensities.tolist()
            ],
        }
    )


def with_retries(traces: pd.DataFrame) -> pd.DataFrame:
    """The same table with a second attempt, by the dearest tier, where the first had failed."""
    failed = traces[traces["quality"] == 0]
    again = failed.assign(
        attempt=1, tier="large", quality=1.0, cost_usd=0.5, propensity=1.0, propensities=None
    )
    return pd.concat([traces, again], ignore_index=True)


def write(traces: pd.DataFrame, folder: Path) -> Path:
    """Write a trace table and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    traces.to_parquet(folder / "logs.parquet")
    return folder / "logs.parquet"
