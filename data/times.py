"""How long a log runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

DAY_S = 86_400.0


def days(traces: Path, step: NDArray[Any]) -> float | None:
    """Return the days from the first to the last of some steps; None where no time is known.

    Parameters
    ----------
    traces : Path
        The trace table.
    step : ndarray of str, shape (n_steps,)
        Keys `trace_id/step_id`.
    """
    columns = ["trace_id", "step_id", "ts"]
    if not {*columns} <= set(pq.read_schema(traces).names):
        return None
    frame = pd.read_parquet(traces, columns=columns)
    key = frame["trace_id"].astype(str) + "/" + frame["step_id"].astype(str)
    times = frame.loc[key.isin(set(step.tolist())), "ts"].dropna()
    if times.empty:
        return None
    span = float((times.max() - times.min()).total_seconds()) / DAY_S
    return span if span > 0 else None
