"""The router as it ships is judged on steps that it never saw."""

from __future__ import annotations

import numpy as np
import pytest
from outcome_tables import HARD, outcome_table

from tierwise.eval.held_out import held_out
from tierwise.eval.judged_table import Table, deal, read_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_table(outcome_table(tmp_path_factory.mktemp("held") / "table.parquet"))


def test_a_held_out_fold_is_exactly_the_steps_of_that_fold_in_order(table: Table) -> None:
    fold = deal(table, 4, 0)
    held = held_out(table, fold, 1)
    assert held.steps.step.tolist() == table.split["step"].to_numpy()[fold == 1].tolist()
    assert held.quality.shape == (len(held.steps), 2)


def test_what_the_graph_says_of_a_step_does_not_depend_on_that_steps_outcome(table: Table) -> None:
    fold = deal(table, 4, 0)
    names = set(table.split["step"].to_numpy()[fold == 1])
    traces = table.traces.copy()
    asked = traces["step"].isin(names)
    traces.loc[asked, "quality"] = 1.0 - traces.loc[asked, "quality"]
    other = Table(traces, table.split, table.tiers, table.outcomes, 0)
    assert np.array_equal(held_out(table, fold, 1).quality, held_out(other, fold, 1).quality)


def test_the_graph_tells_hard_texts_from_easy_ones(table: Table) -> None:
    fold = deal(table, 4, 0)
    held = held_out(table, fold, 1)
    hard = np.array([text.startswith(HARD.encode()) for text in held.steps.text])
    lead = held.quality[:, 1] - held.quality[:, 0]
    assert lead[hard].mean() > lead[~hard].mean() + 0.3
