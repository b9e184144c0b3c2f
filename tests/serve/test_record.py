"""Rows for the next policy: read back by the pipeline as what they are."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tierwise.data.ingest import IngestParams, ingest
from tierwise.data.messages import text_of
from tierwise.data.schema import COLUMNS as TABLE
from tierwise.data.summary import Summary
from tierwise.serve import Decision
from tierwise.serve.decision_log import DecisionLog
from tierwise.serve.explore import Explorer
from tierwise.serve.record import BEFORE, COLUMNS, record

TIERS = ("small", "mid", "large")
DECISION = Decision(
    "small", 0, 0.8, 0.001, 0.002, "floor", 0.1, 0.0, "mid", False, "v7",
    propensity=0.9, propensities=(0.9, 0.05, 0.05),
)  # fmt: skip


def served_rows(n: int = 300) -> list[dict[str, Any]]:
    """Rows of an explored traffic; every third step is tried again one tier up."""
    exploring = Explorer(0.3, rng=np.random.default_rng(3))
    rows = []
    for step in range(n):
        draw = exploring.draw(0, (True,) * 3, (0.0,) * 3, None)
        decision = replace(
            DECISION,
            tier=TIERS[draw.tier],
            tier_index=draw.tier,
            propensity=draw.propensities[draw.tier],
            propensities=draw.propensities,
            explored=draw.explored,
        )
        given: dict[str, Any] = {
            "trace_id": f"trace {step // 5}",
            "step_id": str(step),
            "text": f"Extract the date of letter {step}",
            "role": "worker",
            "context": {"has_schema": True, "depth": np.int64(2), "of_the_gateway": "x"},
            "tiers": TIERS,
            "ts": 1.8e9 + step,
        }
        rows.append(
            record(decision, **given, quality=0.7, quality_source="validator", cost_usd=0.001)
        )
        if step % 3 == 0:
            rows.append(record(decision, **given, attempt=1, tier="large", quality=1.0))
    return rows


def ingested(rows: Path, run: Path) -> tuple[Summary, pd.DataFrame]:
    summary = ingest(str(rows), run, None, {}, IngestParams(min_steps=1))
    return summary, pd.read_parquet(run / "traces.parquet")


def written_by_the_log(path: Path, rows: list[dict[str, Any]]) -> None:
    with DecisionLog(path) as log:
        for row in rows:
            log.write(row)


def written_as_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pd.DataFrame(rows).to_parquet(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("rows.jsonl", written_by_the_log), ("rows.parquet", written_as_parquet)],
)
def test_recorded_rows_are_read_as_logged_feedback_with_its_exploration(
    tmp_path: Path, name: str, write: Any
) -> None:
    rows = served_rows()
    write(tmp_path / name, rows)
    summary, table = ingested(tmp_path / name, tmp_path / "run")
    assert (summary.rows, summary.rejected, summary.steps) == (400, 0, 300)
    assert summary.left_out == ()
    assert summary.feedback.kind == "logged"
    explored = sum(row["explored"] for row in rows if row["attempt"] == 0)
    assert summary.feedback.explored_steps == explored > 50
    assert summary.known["propensity"] == 300 / 400
    first = table[table["attempt"] == 0]
    for drawn, tier, propensity in zip(
        first["propensities"], first["tier"], first["propensity"], strict=True
    ):
        assert json.loads(drawn)[tier] == propensity
    assert set(table["feedback_source"]) == {"serve", "retry"}
    assert set(table["policy_version"]) == {"v7"}
    assert first["ts"].iloc[1] == pd.Timestamp(1.8e9 + 1, unit="s", tz="UTC")
    assert set(table["depth"]) == {2}


def test_a_row_has_the_columns_of_the_trace_table() -> None:
    assert tuple(TABLE) == COLUMNS
    assert set(BEFORE) < set(TABLE)
    assert tuple(record(DECISION, trace_id="t", text="x")) == COLUMNS


def test_a_retry_has_no_propensity() -> None:
    explored = replace(DECISION, explored=True)
    row = record(explored, trace_id="t", text="x", tiers=TIERS, attempt=1, tier="mid")
    assert (row["feedback_source"], row["attempt"], row["tier"]) == ("retry", 1, "mid")
    assert row["propensity"] is None
    assert row["propensities"] is None
    assert row["explored"] is False


def test_a_decision_without_a_draw_has_no_propensities_to_log() -> None:
    plain = replace(DECISION, propensity=1.0, propensities=())
    row = record(plain, trace_id="t", text="x", tiers=TIERS)
    assert (row["propensity"], row["propensities"], row["explored"]) == (1.0, None, False)


@pytest.mark.parametrize("propensities", [(0.9, 0.05, 0.05), ()])
def test_a_tier_that_served_in_place_of_the_decisions_was_not_drawn(
    propensities: tuple[float, ...],
) -> None:
    explored = replace(DECISION, explored=True, propensities=propensities)
    row = record(explored, trace_id="t", text="x", tiers=TIERS, tier="large")
    found = row["tier"], row["propensity"], row["propensities"], row["explored"]
    assert found == ("large", None, None, False)


def test_valid_and_quality_stay_apart() -> None:
    row = record(DECISION, trace_id="t", text="x", valid=True)
    assert row["valid"] is True
    assert row["quality"] is None


def test_messages_become_the_text_that_the_policy_looked_at() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Count \ud800 sheep"}]},
    ]
    row = record(DECISION, trace_id="t", text=messages)
    assert row["text"] == text_of(messages).replace("\ud800", "\ufffd")


def test_what_is_unknown_is_null() -> None:
    row = record(
        DECISION, trace_id="t", text="x", cost_usd=math.nan, context={"depth": np.float32("nan")}
    )
    assert row["cost_usd"] is None
    assert row["depth"] is None


def test_context_cannot_say_what_came_of_a_step() -> None:
    row = record(DECISION, trace_id="t", text="x", context={"quality": 1.0, "tier": "large"})
    assert (row["quality"], row["tier"]) == (None, "small")


@pytest.mark.parametrize("name", ["propensity", "color", "feedback_source", "depth"])
def test_a_name_that_record_does_not_know_is_an_error(name: str) -> None:
    more: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError, match=name):
        record(DECISION, trace_id="t", text="x", **more)
