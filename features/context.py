"""Step context as numbers: categories by their index in a vocabulary, unknown as NaN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.features.columns import ContextColumn

FIRST = ("role", "task_type", "text_bytes", "context_tokens")
CATEGORIES = ("role", "task_type", "agent", "collaboration_mode", "previous_tier", "workload")
FLAGS = (
    "requires_judgment", "has_schema", "closed_set", "irreversible", "user_visible",
    "is_recovery", "is_synthesis", "previous_failed",
)  # fmt: skip
NUMBERS = (
    "text_bytes", "context_tokens", "depth", "n_agents", "input_complexity", "n_sources",
    "n_tools", "latency_tolerance_s",
)  # fmt: skip
OPTIONAL = tuple(c for c in (*CATEGORIES, *FLAGS, *NUMBERS) if c not in FIRST)


@dataclass(frozen=True)
class ContextParams:
    """Which columns become context.

    Attributes
    ----------
    vocabulary : int
        At most so many values a category; the rarer ones are unknown to the policy.
    least_count : int
        A value seen on fewer learn steps is left out of the vocabulary.
    """

    vocabulary: int = 512
    least_count: int = 2


def fit_columns(learn: pd.DataFrame, params: ContextParams) -> tuple[ContextColumn, ...]:
    """Choose the context columns and their vocabularies on the learn part.

    A column beyond the first four is used only where it takes at least two values there:
    one that never varies or is never known cannot inform a decision.
    """
    columns = [_column(learn, name, params) for name in FIRST]
    for name in OPTIONAL:
        if name in learn and learn[name].nunique(dropna=True) >= 2:
            columns.append(_column(learn, name, params))
    return tuple(columns)


def _column(learn: pd.DataFrame, name: str, params: ContextParams) -> ContextColumn:
    if name in CATEGORIES:
        values: Iterable[str] = learn[name].dropna().astype(str) if name in learn else ()
        counts = Counter(values)
        kept = [value for value, count in counts.items() if count >= params.least_count]
        kept.sort(key=lambda value: (-counts[value], value))
        return ContextColumn(name, "category", tuple(kept[: params.vocabulary]))
    return ContextColumn(name, "flag" if name in FLAGS else "number")


def encode(
    frame: pd.DataFrame, text_bytes: NDArray[np.int64], columns: tuple[ContextColumn, ...]
) -> NDArray[np.float32]:
    """Return the context of each row, shape (n_steps, n_columns), NaN where unknown."""
    out = np.full((len(frame), len(columns)), np.nan, np.float32)
    for j, column in enumerate(columns):
        if column.name == "text_bytes":
            out[:, j] = text_bytes
        elif column.name not in frame:
            continue
        elif column.kind == "category":
            known = frame[column.name].notna().to_numpy(dtype=bool)
            values = pd.Index(frame.loc[known, column.name].astype(str), dtype=object)
            index = pd.Index(column.vocabulary, dtype=object).get_indexer(values)
            out[known, j] = np.where(index >= 0, index, np.nan)
        else:
            numbers = pd.to_numeric(frame[column.name], errors="coerce").astype("Float64")
            out[:, j] = numbers.to_numpy(dtype=np.float32, na_value=np.nan)
    return out
