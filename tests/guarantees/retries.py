"""Retries are no second sample: what pooling them with first attempts does, and what ours does.

A difficulty that nobody logged decides which steps fail. Small is served to most steps at random;
where it fails, mid is asked again. Those second answers of mid are about the hard steps alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tierwise.eval.off_policy import OWN, judge
from tierwise.features.context import ContextParams
from tierwise.features.table import step_table

TIERS = ("small", "mid")
STEPS = 8_000
WORLDS = 20
HARD = 0.25  # share of the steps
OK = np.array([[0.90, 0.95], [0.374, 0.654]])  # chance of each tier on easy and on hard steps
MID_FIRST = 0.2478  # propensity of mid
TRUTH = float((1 - HARD) * OK[0, 1] + HARD * OK[1, 1])  # of mid always


@dataclass(frozen=True)
class Retries:
    """Mean quality of "always mid": of all its rows, of its retries alone, and ours.

    Each is the mean over worlds; `error` is that of ours.
    """

    worlds: int
    truth: float
    pooled: float
    alone: float
    ours: float
    error: float

    @property
    def holds(self) -> bool:
        """Whether ours is the truth within four errors, and what pooling says is not."""
        return abs(self.ours - self.truth) <= 4 * self.error < abs(self.pooled - self.truth)

    def line(self) -> str:
        """Return it in words."""
        return (
            f"retries, mean of {self.worlds} worlds: mid always is worth {self.truth:.3f}; its "
            f"rows pooled say {self.pooled:.3f}, its retries alone {self.alone:.3f}, first "
            f"attempts weighed {self.ours:.3f}" + ("" if self.holds else " FAILS")
        )


def escalations(steps: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw a trace table: a row an attempt, one step a trace."""
    hard = (rng.random(steps) < HARD).astype(int)
    first = (rng.random(steps) < MID_FIRST).astype(int)
    ok = rng.random((steps, 2)) < OK[hard]
    rows = np.arange(steps)
    names = np.char.mod("t%06d", rows)
    odds = json.dumps({"small": 1 - MID_FIRST, "mid": MID_FIRST})
    base = pd.DataFrame(
        {
            "trace_id": names,
            "step_id": "0",
            "text": "do it",
            "role": "worker",
            "tier": np.array(TIERS)[first],
            "attempt": 0,
            "quality": ok[rows, first].astype(float),
            "cost_usd": np.array([0.001, 0.004])[first],
            "propensity": np.array([1 - MID_FIRST, MID_FIRST])[first],
            "propensities": odds,
        }
    )
    failed = (first == 0) & ~ok[:, 0]
    again = base[failed].assign(
        tier="mid", attempt=1, quality=ok[failed, 1].astype(float), cost_usd=0.004,
        propensity=np.nan, propensities=None, feedback_source="retry",
    )  # fmt: skip
    return pd.concat([base, again], ignore_index=True)


def always_mid(traces: pd.DataFrame) -> float:
    """Return the quality that the logs say "always mid" would have had."""
    split = pd.DataFrame({"step": (traces["trace_id"] + "/0").unique()})
    split = split.assign(unit=split["step"], part="test")
    table, _ = step_table(traces, split, TIERS, "logged", ContextParams())
    role = np.full(len(table), "worker")
    verdict = judge(table, role, {OWN: np.ones(len(table), np.int64)}, {})
    if verdict.found is None:
        raise ValueError(verdict.refused)
    return float(verdict.found["policies"][OWN]["quality"]["value"])


def run_retries(worlds: int, seed: int = 0) -> Retries:
    """Judge "always mid" in some draws of such logs."""
    rng = np.random.default_rng([seed, 8])
    pooled, alone, ours = [], [], []
    for _ in range(worlds):
        traces = escalations(STEPS, rng)
        mid = traces[traces["tier"] == "mid"]
        pooled.append(mid["quality"].mean())
        alone.append(mid.loc[mid["attempt"] == 1, "quality"].mean())
        ours.append(always_mid(traces))
    error = float(np.std(ours, ddof=1) / np.sqrt(worlds))
    means = [float(np.mean(each)) for each in (pooled, alone, ours)]
    return Retries(worlds, TRUTH, *means, error)
