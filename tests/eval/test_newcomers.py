"""The report says how far a new tier is known and how fast it is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from eval_fakes import make_steps

from tierwise.eval.newcomers import lines, newcomers
from tierwise.features.steps import LEARN, StepTable

NOTES = {
    "newcomers": {
        "frontier": {
            "like": "mid", "effective_steps": 60.0, "own_share": 0.545, "on_its_own_at": 300.0,
        }
    }
}  # fmt: skip


@pytest.fixture
def steps() -> StepTable:
    return make_steps()


def traces(folder: Path, steps: StepTable, days: float) -> Path:
    """Write a trace table whose learn part runs over some days."""
    trace, step = zip(*(key.split("/") for key in steps.step), strict=True)
    learn = steps.part == LEARN
    times = pd.Series(pd.Timestamp("2026-01-01", tz="UTC"), index=range(len(steps)))
    times[np.flatnonzero(learn)[-1]] += pd.Timedelta(days=days)
    times[np.flatnonzero(~learn)[0]] += pd.Timedelta(days=99)
    frame = pd.DataFrame({"trace_id": trace, "step_id": step, "ts": times})
    frame.to_parquet(folder / "traces.parquet")
    return folder / "traces.parquet"


def test_steps_a_day_and_the_days_left_are_those_of_the_learn_part(
    tmp_path: Path, steps: StepTable
) -> None:
    found = newcomers(NOTES, traces(tmp_path, steps, 4.0), steps)["frontier"]
    assert found["per_day"] == pytest.approx(15.0)
    assert found["days_left"] == 16


def test_without_times_no_days_are_made_up(tmp_path: Path, steps: StepTable) -> None:
    path = traces(tmp_path, steps, 0.0)
    pd.read_parquet(path).drop(columns="ts").to_parquet(path)
    found = newcomers(NOTES, path, steps)
    assert found["frontier"]["days_left"] is None
    assert "days" not in lines(found)[0]


def test_the_words_name_whom_it_stands_for_and_how_far_its_own_count(
    tmp_path: Path, steps: StepTable
) -> None:
    words = lines(newcomers(NOTES, traces(tmp_path, steps, 4.0), steps))
    assert words == [
        "frontier is new and estimated as mid, its own word heeded by 55%: 60 of the 300 effective "
        "steps from which it is learned for itself; 15.0 come a day, so that 16 days are left."
    ]


def test_without_new_tiers_nothing_is_said(tmp_path: Path, steps: StepTable) -> None:
    notes: dict[str, Any] = {}
    assert lines(newcomers(notes, tmp_path / "none", steps)) == []
