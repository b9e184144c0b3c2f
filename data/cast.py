"""Cells of any reader to the types of the trace table; a cell that cannot be cast is marked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.messages import text_of, utf8
from tierwise.data.schema import COUNT, FLAG, NUMBER, PANDAS, TEXT, TIME

_NULLS = frozenset({"", "null", "none", "nan", "na", "n/a", "<na>", "nat"})
_TRUE = frozenset({"true", "1", "1.0", "yes", "t"})
_FALSE = frozenset({"false", "0", "0.0", "no", "f"})
_LARGEST = 2**53
"""Counts beyond this are no longer exact as floats; no real count is near it."""


def cast(cells: pd.Series, kind: str) -> tuple[pd.Series, NDArray[np.bool_]]:
    """Cast a column to a kind of the schema.

    Parameters
    ----------
    cells : Series, shape (n_rows,)
        Whatever a reader gave: numbers, strings from CSV, objects from JSON.
    kind : str
        A kind named in `schema.COLUMNS`.

    Returns
    -------
    values : Series, shape (n_rows,)
        Of the kind's type; a cell that could not be cast is null.
    bad : ndarray of bool, shape (n_rows,)
        Cells that said something which is not of the kind.
    """
    casts: dict[str, Callable[[pd.Series], tuple[pd.Series, NDArray[np.bool_]]]] = {
        TEXT: _text,
        COUNT: _count,
        NUMBER: _number,
        FLAG: _flag,
        TIME: _time,
    }
    return casts[kind](cells.reset_index(drop=True))


def message_text(cells: pd.Series) -> pd.Series:
    """Turn the cells of the text column that hold messages (lists, or JSON of lists) into text."""
    if _is_string(cells) and not cells.str.startswith("[", na=False).any():
        return cells
    return _each(cells, _as_text)


def _each(cells: pd.Series, function: Callable[[Any], Any]) -> pd.Series:
    """Map without pandas' guess of the result's type, which fails for what is no UTF-8."""
    return pd.Series([function(cell) for cell in cells.astype("object")], dtype="object")


def _as_text(cell: Any) -> Any:
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if isinstance(cell, str) and cell.startswith("[") and '"role"' in cell:
        try:
            cell = _messages(json.loads(cell)) or cell
        except (ValueError, RecursionError):
            return cell  # a text that merely looks like messages
    if isinstance(cell, dict):
        cell = cell.get("messages", [cell])
    return text_of(cell) if isinstance(cell, list) else cell


def _messages(value: Any) -> list[Any] | None:
    fits = isinstance(value, list) and all(isinstance(m, dict) and "role" in m for m in value)
    return value if fits else None


def _is_string(cells: pd.Series) -> bool:
    return isinstance(cells.dtype, pd.StringDtype)


def _text(cells: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    if _is_string(cells):
        return cells.astype(PANDAS[TEXT]), np.zeros(len(cells), dtype=np.bool_)
    values = _each(cells, _string).astype(PANDAS[TEXT])
    return values, (values.isna() & cells.notna()).to_numpy()


def _string(cell: Any) -> str | None:
    if isinstance(cell, str):
        return utf8(cell).decode()
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if isinstance(cell, list | dict | tuple):
        return _json(cell)
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if cell is None or pd.isna(cell):
        return None
    whole = isinstance(cell, float) and cell.is_integer()
    return str(int(cell)) if whole else str(cell)  # group 3.0 and group 3 are one group


def _json(value: Any) -> str | None:
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    except (RecursionError, TypeError):  # too deep, or keys that cannot be sorted
        return None
    return utf8(text).decode()


def _unsaid(cells: pd.Series) -> NDArray[np.bool_]:
    null = cells.isna().to_numpy(dtype=np.bool_)
    if cells.dtype == object or _is_string(cells):
        words = [isinstance(cell, str) and cell.strip().lower() in _NULLS for cell in cells]
        null = null | np.array(words, dtype=np.bool_)
    return null


def _floats(cells: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    unsaid = _unsaid(cells)
    if not (pd.api.types.is_numeric_dtype(cells.dtype) or _is_string(cells)):
        cells = _each(cells, _scalar)
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(unsaid, np.nan, values), ~unsaid & np.isnan(values)


def _scalar(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, pd.Timedelta):
        return cell.total_seconds()
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        return None


def _number(cells: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    values, bad = _floats(cells)
    return pd.Series(values, dtype="float64"), bad


def _count(cells: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    values, bad = _floats(cells)
    whole = np.isnan(values) | ((np.abs(values) <= _LARGEST) & (values == np.floor(values)))
    kept = pd.Series(np.where(whole, values, np.nan), dtype="float64").astype(PANDAS[COUNT])
    return kept, bad | ~whole


def _flag(cells: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    unsaid = _unsaid(cells)
    words = [str(cell).strip().lower() for cell in cells.astype("object")]
    yes, no = (
        np.array([word in words_of for word in words], dtype=np.bool_)
        for words_of in (_TRUE, _FALSE)
    )
    values = pd.Series(yes).astype(PANDAS[FLAG]).mask(~(yes | no))
    return values, ~(unsaid | yes | no)


def _time(cells: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    unsaid = _unsaid(cells)
    if pd.api.types.is_datetime64_any_dtype(cells.dtype):
        moments = pd.to_datetime(cells, utc=True)
    else:
        numbers, _ = _floats(cells)
        words = [
            None if silent or number == number else _moment_word(cell)
            for cell, number, silent in zip(cells, numbers, unsaid, strict=True)
        ]
        said = pd.Series(words, dtype="object")
        moments = pd.to_datetime(said, utc=True, errors="coerce", format="ISO8601")
        moments = moments.astype(PANDAS[TIME]).fillna(_epoch(numbers))
    moments = moments.astype(PANDAS[TIME])
    return moments, ~unsaid & moments.isna().to_numpy()


def _moment_word(cell: Any) -> str | None:
    if isinstance(cell, date):
        return cell.isoformat()
    return cell.strip() if isinstance(cell, str) else None


def _epoch(numbers: NDArray[np.float64]) -> pd.Series:
    """Read numbers as seconds, milli-, micro- or nanoseconds since 1970, told by their size."""
    size = np.abs(numbers)
    per_second = np.select([size < 1e11, size < 1e14, size < 1e17], [1.0, 1e3, 1e6], 1e9)
    sane = np.isfinite(numbers) & (size < 1e20)
    micro = np.round(np.where(sane, numbers, 0) / per_second * 1e6).astype("datetime64[us]")
    return pd.Series(micro).where(sane).dt.tz_localize("UTC").astype(PANDAS[TIME])
