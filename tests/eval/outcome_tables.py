"""Made-up tables with the outcome of every tier, for checks of the scoreboard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

EASY, HARD = "rename list format", "prove derive theorem"


def outcome_table(
    path: Path, n: int = 320, tiers: tuple[str, ...] = ("cheap", "dear"), seed: int = 0
) -> Path:
    """Write a table whose text tells, and whose task does not, when a dear tier is needed.

    Two steps a group; the dearest tier is always right, the others only on easy steps.
    """
    rng = np.random.default_rng(seed)
    hard = rng.random(n) < 0.5
    rows = []
    for i in range(n):
        text = f"{HARD if hard[i] else EASY} number {rng.integers(50)}"
        for place, tier in enumerate(tiers):
            best = place == len(tiers) - 1
            rows.append(
                {
                    "trace_id": f"t{i:04d}", "step_id": "0", "group": f"g{i // 2}", "tier": tier,
                    "text": text, "task_type": "any", "cost_usd": 0.001 * 20.0**place,
                    "quality": float(best or (not hard[i] and rng.random() < 0.9)),
                }
            )  # fmt: skip
    pd.DataFrame(rows).to_parquet(path)
    return path
