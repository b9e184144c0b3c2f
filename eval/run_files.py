"""Files of a run as a command meets them: half copied, or of another kind than their name says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from tierwise.data.errors import BadInput
from tierwise.data.files import read_json


@contextmanager
def readable(path: Path, expected: str, todo: str) -> Iterator[None]:
    """Turn whatever reading a Parquet file raises into one line that names the file.

    Raises
    ------
    BadInput
        Where the block cannot read `path`, or a column that it names is not there.
    """
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"cannot read {path} ({type(error).__name__})", expected, todo) from None


def read_test_steps(split: Path) -> set[str]:
    """Return the steps (trace_id/step_id) of the test part.

    Raises
    ------
    BadInput
        Where `split` is not what the split stage wrote.
    """
    with readable(split, "the parts of a run", "run split again"):
        parts = pd.read_parquet(split, columns=["step", "part"])
        return set(parts.loc[parts["part"] == "test", "step"].astype(str))


def read_feedback_kind(run: Path) -> str:
    """Return what ingest found of feedback: full, mixed, logged or none.

    Raises
    ------
    BadInput
        Where ingest.json is not what ingest wrote.
    """
    path = run / "ingest.json"
    found = read_json(path)
    try:
        return str(found["feedback"]["kind"])
    except (KeyError, TypeError):
        raise BadInput(
            f"{path} without feedback", "what ingest wrote", "run ingest again"
        ) from None
