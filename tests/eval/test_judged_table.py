"""A table as policies are judged on it: whole, ordered, in folds that cut no group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from outcome_tables import outcome_table

from tierwise.data.errors import BadInput
from tierwise.eval.judged_table import deal, filled, read_table


def test_tiers_are_cheap_to_dear_and_every_step_has_all_outcomes(tmp_path: Path) -> None:
    table = read_table(outcome_table(tmp_path / "t.parquet"))
    assert table.tiers == ("cheap", "dear")
    known = table.outcomes
    assert known.quality.shape == known.cost.shape == (len(table.split), 2)
    assert np.isfinite(known.quality).all()
    assert known.cost.mean(axis=0)[0] < known.cost.mean(axis=0)[1]


def test_outcomes_stand_in_the_order_of_the_split(tmp_path: Path) -> None:
    table = read_table(outcome_table(tmp_path / "t.parquet"))
    wide = table.traces.pivot(index="step", columns="tier", values="quality")
    assert table.outcomes.quality.tolist() == wide.loc[table.split["step"]].to_numpy().tolist()
    texts = table.traces.drop_duplicates("step").set_index("step")["text"]
    assert [t.decode() for t in table.outcomes.text] == texts.loc[table.split["step"]].to_list()


def test_a_group_is_never_in_two_folds(tmp_path: Path) -> None:
    table = read_table(outcome_table(tmp_path / "t.parquet"))
    fold = deal(table, 4, 0)
    group = table.split["group"].to_numpy()
    assert all(len(set(fold[group == g])) == 1 for g in set(group))


def test_steps_without_every_outcome_are_left_out_and_counted(tmp_path: Path) -> None:
    path = outcome_table(tmp_path / "t.parquet", n=400)
    rows = pd.read_parquet(path)
    rows.loc[(rows["tier"] == "dear") & (rows["trace_id"] < "t0050"), "quality"] = np.nan
    rows.to_parquet(path)
    table = read_table(path)
    assert len(table.outcomes) == 350
    assert table.left_out == 50


def test_a_table_without_every_tiers_outcome_is_refused(tmp_path: Path) -> None:
    path = outcome_table(tmp_path / "t.parquet", n=400)
    rows = pd.read_parquet(path)
    rows.loc[rows["tier"] == "dear", "quality"] = np.nan
    rows.to_parquet(path)
    with pytest.raises(BadInput, match="0 of 400 steps"):
        read_table(path)


def test_of_a_large_table_whole_groups_are_drawn(tmp_path: Path) -> None:
    path = outcome_table(tmp_path / "t.parquet", n=400)
    whole, part = read_table(path), read_table(path, most_steps=101)
    assert 90 < len(part.outcomes) <= 101
    kept = set(part.split["step"])
    sizes = whole.split[whole.split["step"].isin(kept)].groupby("unit").size()
    assert (sizes == whole.split.groupby("unit").size()[sizes.index]).all()


def test_the_content_changes_with_an_outcome_and_not_with_the_file(tmp_path: Path) -> None:
    first = read_table(outcome_table(tmp_path / "a.parquet")).content()
    assert read_table(outcome_table(tmp_path / "b.parquet")).content() == first
    rows = pd.read_parquet(tmp_path / "b.parquet")
    rows.loc[0, "quality"] = 1.0 - rows.loc[0, "quality"]
    rows.to_parquet(tmp_path / "b.parquet")
    assert read_table(tmp_path / "b.parquet").content() != first


def test_an_unknown_cost_is_the_tasks_mean_then_the_tiers_then_the_dearest_tiers() -> None:
    cost = np.array([[1.0, 4.0, np.nan], [3.0, np.nan, np.nan], [np.nan, np.nan, np.nan]])
    task = np.array(["a", "a", "b"])
    assert filled(cost, task).tolist() == [[1.0, 4.0, 4.0], [3.0, 4.0, 4.0], [2.0, 4.0, 4.0]]
