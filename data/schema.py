"""The trace table: its columns, their types and what makes a row a bad one. The only definition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pyarrow

TEXT, COUNT, NUMBER, FLAG, TIME = "text", "count", "number", "flag", "time"

REQUIRED = ("trace_id", "text", "tier")
"""The columns that may never be null; everywhere else null means unknown, and unknown is not 0."""

FEEDBACK_SOURCES = ("serve", "retry", "shadow", "replay", "benchmark")
WORKLOADS = ("interactive", "batch")

COLUMNS: dict[str, str] = {
    # identity
    "trace_id": TEXT,
    "step_id": TEXT,
    "step_index": COUNT,
    "attempt": COUNT,
    "ts": TIME,
    "group": TEXT,
    "tenant": TEXT,
    "feedback_source": TEXT,
    # what may be looked at before the call
    "text": TEXT,
    "role": TEXT,
    "task_type": TEXT,
    "agent": TEXT,
    "collaboration_mode": TEXT,
    "depth": COUNT,
    "n_agents": COUNT,
    "input_complexity": NUMBER,
    "requires_judgment": FLAG,
    "has_schema": FLAG,
    "closed_set": FLAG,
    "n_sources": COUNT,
    "irreversible": FLAG,
    "user_visible": FLAG,
    "is_recovery": FLAG,
    "is_synthesis": FLAG,
    "context_tokens": COUNT,
    "n_tools": COUNT,
    "previous_tier": TEXT,
    "previous_failed": FLAG,
    "latency_tolerance_s": NUMBER,
    "workload": TEXT,
    # what was done
    "tier": TEXT,
    "model": TEXT,
    "effort": TEXT,
    "policy_version": TEXT,
    "propensity": NUMBER,
    "propensities": TEXT,  # JSON object: tier name -> probability
    "explored": FLAG,
    # what came of it
    "output_text": TEXT,
    "input_tokens": COUNT,
    "cached_tokens": COUNT,
    "output_tokens": COUNT,
    "reasoning_tokens": COUNT,
    "cost_usd": NUMBER,
    "latency_s": NUMBER,
    "valid": FLAG,
    "quality": NUMBER,
    "quality_source": TEXT,
}
"""Column name -> kind, in the order of the file. Tokens are counts, costs USD, times seconds."""

PANDAS: dict[str, Any] = {
    TEXT: pd.StringDtype(na_value=math.nan),
    COUNT: pd.Int64Dtype(),
    NUMBER: "float64",
    FLAG: pd.BooleanDtype(),
    TIME: pd.DatetimeTZDtype("us", "UTC"),
}

_ARROW = {
    TEXT: pyarrow.large_string(),
    COUNT: pyarrow.int64(),
    NUMBER: pyarrow.float64(),
    FLAG: pyarrow.bool_(),
    TIME: pyarrow.timestamp("us", "UTC"),
}

ARROW = pyarrow.schema([(name, _ARROW[kind]) for name, kind in COLUMNS.items()])
"""The types of traces.parquet."""

REJECTS: dict[str, str] = {
    "file": TEXT,
    "row": COUNT,  # record number in the file, from 1; the line's number in JSON lines
    "reason": TEXT,
    "trace_id": TEXT,
    "step_id": TEXT,
    "tier": TEXT,
}
"""Columns of rejects.parquet: where the row stands, why it is refused and whose it is."""

ARROW_REJECTS = pyarrow.schema([(name, _ARROW[kind]) for name, kind in REJECTS.items()])


def _between(low: float, high: float, reason: str) -> pa.Check:
    return pa.Check.in_range(low, high, error=reason)


def _open_below(low: float, high: float, reason: str) -> pa.Check:
    return pa.Check.in_range(low, high, include_min=False, error=reason)


def _not_negative(name: str) -> pa.Check:
    return pa.Check.in_range(0, math.inf, include_max=False, error=f"{name} negative or infinite")


def _one_of(name: str, words: tuple[str, ...]) -> pa.Check:
    return pa.Check.isin(words, error=f"{name} is not one of {', '.join(words)}")


_RANGES: dict[str, pa.Check] = {
    "quality": _between(0, 1, "quality outside 0..1"),
    "propensity": _open_below(0, 1, "propensity outside (0, 1]"),
    "input_complexity": _between(1, 10, "input_complexity outside 1..10"),
    "feedback_source": _one_of("feedback_source", FEEDBACK_SOURCES),
    "workload": _one_of("workload", WORKLOADS),
    **{name: _not_negative(name) for name in ("cost_usd", "latency_s", "latency_tolerance_s")},
    **{
        name: pa.Check.ge(0, error=f"{name} negative")
        for name, kind in COLUMNS.items()
        if kind == COUNT
    },
}

TRACES = pa.DataFrameSchema(
    {
        name: pa.Column(PANDAS[kind], _RANGES.get(name), nullable=name not in REQUIRED)
        for name, kind in COLUMNS.items()
    },
    strict=True,
    ordered=True,
)
"""Every column is there, of its type and within its range; see `faults` for a row's reason."""


def empty_columns(n_rows: int, names: Sequence[str] = tuple(COLUMNS)) -> pd.DataFrame:
    """Give columns of the table in which every cell is unknown, (n_rows, len(names))."""
    unknown = {name: pd.array([None] * n_rows, dtype=PANDAS[COLUMNS[name]]) for name in names}
    return pd.DataFrame(unknown, index=range(n_rows))


def to_arrow(frame: pd.DataFrame, schema: pyarrow.Schema) -> pyarrow.Table:
    """Turn rows with the types of `PANDAS` into a table of `schema`, without pandas' metadata."""
    arrays = []
    for field in schema:
        cells = frame[field.name]
        if isinstance(cells.dtype, pd.DatetimeTZDtype):  # pyarrow would ask pandas the old way
            cells = cells.dt.tz_convert(None)
        arrays.append(pyarrow.Array.from_pandas(cells, type=field.type))
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def faults(frame: pd.DataFrame) -> pd.Series:
    """Say for each row what is wrong with it.

    Parameters
    ----------
    frame : DataFrame
        All columns of the table with their types, index 0..n-1.

    Returns
    -------
    Series of object, shape (n_rows,)
        The first reason found, in the order of the columns; None for a good row.
    """
    reasons = pd.Series([None] * len(frame), index=frame.index, dtype="object")
    try:
        TRACES.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        broken = cases[cases["index"].isna()]
        if len(broken):  # a fault of the table, not of a row: ours, not the user's
            raise TypeError(f"not a trace table: {broken.iloc[0].to_dict()}") from None
        named = cases["check"].where(cases["check"] != "not_nullable", "no " + cases["column"])
        first = ~cases["index"].duplicated()
        reasons.loc[cases["index"][first].astype("int64")] = named[first].to_numpy()
    return reasons
