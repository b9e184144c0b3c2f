"""One batch of cells to rows of the trace table, with the reason why a row is none."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd

from tierwise.data.cast import cast, message_text
from tierwise.data.schema import COLUMNS, COUNT, FLAG, NUMBER, TEXT, TIME, empty_columns, faults

_KIND = {
    COUNT: "a whole number",
    NUMBER: "a number",
    FLAG: "true or false",
    TIME: "a time",
    TEXT: "a text",
}
_MAY_BE_EMPTY = ("text", "output_text")
_SUM_SLACK = 1e-3
"""Propensities are often logged with three or four digits: their sum may be off by this much."""


def clean(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Cast a batch to the trace table and check its rows.

    Parameters
    ----------
    frame : DataFrame, (n_rows, some columns of the table)
        Cells of any type.

    Returns
    -------
    table : DataFrame, (n_rows, all columns of the table)
        Typed; a row with a reason may have cells that break their range.
    reasons : Series of object, shape (n_rows,)
        Why the row is refused; None for a good one.
    """
    table, reasons = _typed(frame)
    table["group"] = table["group"].fillna(table["trace_id"])
    table["attempt"] = table["attempt"].fillna(0)
    for later in (faults(table), _cached_beyond_input(table), _propensities(table)):
        reasons = reasons.where(reasons.notna(), later)
    return table, reasons


def _typed(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    reasons = pd.Series([None] * len(frame), dtype="object")
    typed: dict[str, pd.Series] = {}
    for name, kind in COLUMNS.items():
        if name not in frame:
            continue
        cells = message_text(frame[name]) if name == "text" else frame[name]
        values, bad = cast(cells, kind)
        if kind == TEXT and name not in _MAY_BE_EMPTY:
            values = values.where(values != "")  # CSV writes the unknown as nothing
        reasons[bad & reasons.isna()] = f"{name} is not {_KIND[kind]}"
        typed[name] = values
    missing = [name for name in COLUMNS if name not in typed]
    table = pd.concat([pd.DataFrame(typed), empty_columns(len(frame), missing)], axis=1)
    return table[list(COLUMNS)], reasons


def _cached_beyond_input(table: pd.DataFrame) -> pd.Series:
    more = (table["cached_tokens"] > table["input_tokens"]).fillna(False).to_numpy(dtype=np.bool_)
    return _marked(more, "cached_tokens exceed input_tokens, which must include them")


def _propensities(table: pd.DataFrame) -> pd.Series:
    known = table["propensities"].notna()
    bad = np.zeros(len(table), dtype=np.bool_)
    bad[known.to_numpy()] = [not _is_distribution(text) for text in table["propensities"][known]]
    return _marked(bad, "propensities are not an object of tier: probability that sum to 1")


def _is_distribution(text: str) -> bool:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict):
        return False
    shares = [float(v) for v in value.values() if isinstance(v, int | float) and 0 <= v <= 1]
    return len(shares) == len(value) and math.isclose(sum(shares), 1, abs_tol=_SUM_SLACK)


def _marked(bad: np.ndarray[Any, np.dtype[np.bool_]], reason: str) -> pd.Series:
    return pd.Series([None] * len(bad), dtype="object").mask(bad, reason)
