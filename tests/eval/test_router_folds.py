"""The router as it ships is judged on folds that it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tierwise.data.errors import BadInput
from tierwise.eval.router_folds import deal, held_out, judge, read_table

N = 300


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a table whose text tells, and whose tasks do not, when the dear tier is needed."""
    rng = np.random.default_rng(0)
    hard = rng.random(N) < 0.5
    rows = []
    for i in range(N):
        word = "prove derive theorem" if hard[i] else "rename list format"
        for tier, cost, quality in (("cheap", 0.001, not hard[i]), ("dear", 0.02, True)):
            rows.append(
                {
                    "trace_id": f"t{i}", "step_id": "0", "group": f"g{i // 2}", "tier": tier,
                    "text": f"{word} number {rng.integers(50)}", "task_type": "any",
                    "cost_usd": cost, "quality": float(quality),
                }
            )  # fmt: skip
    file = tmp_path_factory.mktemp("folds") / "table.parquet"
    pd.DataFrame(rows).to_parquet(file)
    return file


def test_a_group_is_never_in_two_folds(path: Path) -> None:
    table = read_table(path)
    fold = deal(table, 4, 0)
    group = table.split["group"].to_numpy()
    assert all(len(set(fold[group == g])) == 1 for g in set(group))


def test_a_held_out_fold_is_exactly_the_steps_of_that_fold(path: Path) -> None:
    table = read_table(path)
    fold = deal(table, 4, 0)
    held = held_out(table, fold, 1)
    assert sorted(held.steps.step) == sorted(table.split["step"].to_numpy()[fold == 1])
    assert held.quality.shape == (len(held.steps), 2)


def test_text_that_tells_is_worth_a_gain_that_the_task_cannot_have(path: Path) -> None:
    found = judge(read_table(path), 3, 0)
    assert found.router > 0.8
    assert found.task_mean < 0.1
    assert found.saved["98"] > 0.3


def test_a_table_without_every_tiers_outcome_is_refused(path: Path, tmp_path: Path) -> None:
    rows = pd.read_parquet(path)
    rows.loc[rows["tier"] == "dear", "quality"] = np.nan
    rows.to_parquet(tmp_path / "half.parquet")
    with pytest.raises(BadInput, match="outcome"):
        read_table(tmp_path / "half.parquet")
