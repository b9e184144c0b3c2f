"""Reading a full-feedback table: order, gaps and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tierwise.data.errors import BadInput
from tierwise.eval.crossfit import folds
from tierwise.eval.tables import read_outcomes


def write(path: Path, quality: list[float | None]) -> None:
    pd.DataFrame(
        {
            "trace_id": ["t1", "t1", "t2", "t2"],
            "step_id": ["s"] * 4,
            "text": ["x", "x", "y", "y"],
            "role": [None] * 4,
            "task_type": ["a"] * 4,
            "group": ["g"] * 4,
            "tier": ["dear", "cheap"] * 2,
            "cost_usd": [4.0, 1.0, None, 3.0],
            "quality": quality,
        }
    ).to_parquet(path)


def test_tiers_are_cheap_to_dear_and_an_unknown_cost_is_the_tasks_mean(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [1.0, 0.0, 0.5, 0.25])
    found = read_outcomes(tmp_path / "t.parquet")
    assert found.tiers == ("cheap", "dear")
    assert found.quality.tolist() == [[0.0, 1.0], [0.25, 0.5]]
    assert found.cost.tolist() == [[1.0, 4.0], [3.0, 4.0]]
    assert found.role.tolist() == ["", ""]
    assert found.text.tolist() == ["x", "y"]


def test_steps_without_every_outcome_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [1.0, None, 0.5, 0.25])
    assert read_outcomes(tmp_path / "t.parquet").text.tolist() == ["y"]


def test_a_table_without_full_feedback_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", [1.0, None, 0.5, None])
    with pytest.raises(BadInput, match="for every tier"):
        read_outcomes(tmp_path / "t.parquet")


def test_folds_never_cut_a_group() -> None:
    group = np.repeat(np.arange(50).astype(str), 4)
    fold = folds(group, 5, np.random.default_rng(0))
    assert all(len(set(fold[group == name])) == 1 for name in set(group))
    assert np.bincount(fold).tolist() == [40] * 5
