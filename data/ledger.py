"""What has to be known of every row at the end of a pass: some 50 bytes, never its text."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tierwise.data.schema import FEEDBACK_SOURCES
from tierwise.data.seen import hashes

_COLUMNS = {
    "step": "uint64",  # hash of trace_id and step_id
    "trace": "uint64",
    "tier": "int16",  # code in order of appearance, or the catalogue's index
    "first": "bool",  # attempt 0 and no retry
    "told": "bool",  # feedback_source is known
    "quality": "float32",
    "failed": "bool",  # known to be below ok_at, or known to be invalid
    "cost": "float64",
    "latency": "float32",
    "propensity": "float32",
    "explored": "bool",  # drawn at random: marked so, or not marked and of propensity below 1
}


class Ledger:
    """Collects the compact rows of all batches."""

    def __init__(self, ok_at: float) -> None:
        self._ok_at = ok_at
        self._parts: list[pd.DataFrame] = []

    def add(self, frame: pd.DataFrame, tier: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """Add accepted rows of the trace table; `tier` holds their codes, shape (n_rows,)."""
        source = frame["feedback_source"]
        propensity = frame["propensity"]
        explored = frame["explored"].fillna((propensity < 1).astype("boolean"))
        failed = (frame["quality"] < self._ok_at) | frame["valid"].eq(False).fillna(False)
        part = pd.DataFrame(
            {
                "step": hashes(frame["trace_id"], frame["step_id"]),
                "trace": hashes(frame["trace_id"]),
                "tier": tier,
                "first": (frame["attempt"] == 0) & (source != FEEDBACK_SOURCES[1]),
                "told": source.notna(),
                "quality": frame["quality"],
                "failed": failed,
                "cost": frame["cost_usd"],
                "latency": frame["latency_s"],
                "propensity": propensity,
                "explored": explored & propensity.notna(),
            },
            index=frame.index,
        )
        self._parts.append(part.astype(_COLUMNS))

    def table(self) -> pd.DataFrame:
        """Give all rows, in the order they came, (n_rows, 11)."""
        empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _COLUMNS.items()})
        return pd.concat(self._parts, ignore_index=True) if self._parts else empty
