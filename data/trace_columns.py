"""Some columns of a trace table, as far as it has them; a file that is none is one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from tierwise.data.errors import BadInput


def read_columns(traces: Path, wanted: Sequence[str], needed: Sequence[str]) -> pd.DataFrame:
    """Read the columns of a trace table that a question needs.

    Parameters
    ----------
    traces : Path
        A Parquet file.
    wanted : sequence of str
        Columns in this order; those that the table lacks are left out.
    needed : sequence of str
        Those of them that it must not lack.

    Returns
    -------
    DataFrame
        All rows of the table.

    Raises
    ------
    BadInput
        Where the file is missing, is no Parquet, or lacks a needed column.
    """
    expected, todo = "a trace table", "run ingest"
    try:
        present = [name for name in wanted if name in pq.read_schema(traces).names]
        rows = pd.read_parquet(traces, columns=present)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {traces} ({type(error).__name__})", expected, todo) from None
    missing = [name for name in needed if name not in present]
    if missing:
        raise BadInput(f"no column {missing[0]} in {traces}", expected, todo)
    return rows
