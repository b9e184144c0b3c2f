"""A bad row is refused with its reason and counted; the rows around it are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tierwise.data.schema import ARROW, COLUMNS, TRACES, empty_columns, faults

FAULTS = [
    ({"trace_id": None}, "no trace_id"),
    ({"trace_id": ""}, "no trace_id"),
    ({"text": None}, "no text"),
    ({"tier": None}, "no tier"),
    ({"quality": 1.2}, "quality outside 0..1"),
    ({"quality": -0.1}, "quality outside 0..1"),
    ({"quality": "good"}, "quality is not a number"),
    ({"quality": [1]}, "quality is not a number"),
    ({"propensity": 0}, "propensity outside (0, 1]"),
    ({"propensity": 1.5}, "propensity outside (0, 1]"),
    ({"cost_usd": -1}, "cost_usd negative or infinite"),
    ({"cost_usd": "inf"}, "cost_usd negative or infinite"),
    ({"latency_s": -0.5}, "latency_s negative or infinite"),
    ({"input_tokens": -1}, "input_tokens negative"),
    ({"input_tokens": 1.5}, "input_tokens is not a whole number"),
    ({"input_tokens": 10**400}, "input_tokens is not a whole number"),
    ({"attempt": -1}, "attempt negative"),
    ({"input_complexity": 11}, "input_complexity outside 1..10"),
    ({"has_schema": "perhaps"}, "has_schema is not true or false"),
    ({"ts": "yesterday"}, "ts is not a time"),
    ({"workload": "soon"}, "workload is not one of interactive, batch"),
    ({"feedback_source": "rumor"}, "feedback_source is not one of serve, retry, shadow"),
    ({"input_tokens": 5, "cached_tokens": 6}, "cached_tokens exceed input_tokens"),
    ({"propensities": {"small": 0.5}}, "propensities are not an object"),
    ({"propensities": [0.5, 0.5]}, "propensities are not an object"),
]


@pytest.mark.parametrize(("change", "reason"), FAULTS)
def test_a_bad_row_is_refused_with_its_reason(
    run: Any, log: Callable[..., Any], change: dict[str, Any], reason: str
) -> None:
    rows = log()
    rows[7] |= change
    summary = run(rows)
    assert (summary.rows, summary.rejected) == (399, 1)
    assert run.rejects["reason"][0].startswith(reason)
    assert run.rejects[["file", "row"]].iloc[0].to_list() == ["log.jsonl", 8]
    assert len(run.traces) == 399


def test_a_second_row_of_a_step_attempt_and_tier_is_refused(run: Any, log: Any) -> None:
    rows = log()
    summary = run([*rows, rows[3] | {"text": "the same again"}])
    assert dict(summary.rejects) == {"a second row of this step, attempt and tier": 1}
    assert run.rejects["row"][0] == 401


def test_a_second_attempt_of_a_step_is_kept(run: Any, log: Any) -> None:
    rows = log()
    assert run([*rows, rows[3] | {"attempt": 1}]).rejected == 0


def test_a_broken_line_is_refused_and_the_others_are_kept(
    run: Any, log: Any, tmp_path: Any, lines: Any
) -> None:
    source = lines(tmp_path / "log.jsonl", log())
    with source.open("ab") as file:
        file.write(b'{"trace_id": "x"\n[1]\n\n\xff\xfe\n')
    summary = run.read(source)
    assert dict(summary.rejects) == {"not JSON": 1, "not a JSON object": 1, "not UTF-8": 1}
    assert run.rejects["row"].to_list() == [401, 402, 404]


def test_a_tier_that_the_catalogue_lacks_is_refused(run: Any, log: Any, tmp_path: Any) -> None:
    catalogue = tmp_path / "tiers.yaml"
    catalogue.write_text("tiers: [{name: small}, {name: large}]")
    rows = log()
    rows[0]["tier"] = "medium"
    assert dict(run(rows, catalogue).rejects) == {"tier 'medium' is not in the catalogue": 1}


@pytest.mark.parametrize("text", ["", "\0", "[not messages", '["role"]', "x" * 5_000_000])
def test_strange_texts_are_legal(run: Any, log: Any, text: str) -> None:
    rows = log()
    rows[0]["text"] = text
    assert run(rows).rejected == 0
    assert run.traces["text"][0] == text


def test_unpaired_surrogates_become_the_replacement_character(run: Any, log: Any) -> None:
    rows = log()
    rows[0]["text"] = "a\ud800b"
    run(rows)
    assert run.traces["text"][0] == "a\ufffdb"


def test_unknown_stays_unknown(run: Any, log: Any) -> None:
    rows = log()
    rows[0] |= {"quality": None, "cost_usd": None, "latency_s": float("nan")}
    assert run(rows).rejected == 0
    first = run.traces.iloc[0]
    assert first[["quality", "cost_usd", "latency_s", "valid", "input_tokens"]].isna().all()


def test_numbers_and_flags_may_come_as_text(run: Any, log: Any) -> None:
    rows = [
        row | {"quality": str(row["quality"]), "has_schema": "Yes", "n_tools": "3"} for row in log()
    ]
    assert run(rows).rejected == 0
    assert run.traces["quality"].mean() == pytest.approx(0.7)
    assert run.traces["has_schema"].all()
    assert (run.traces["n_tools"] == 3).all()


@pytest.mark.parametrize(
    "moment", ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", 1772366400, 1772366400000]
)
def test_times_are_read_in_any_usual_form(run: Any, log: Any, moment: Any) -> None:
    run([row | {"ts": moment} for row in log()])
    assert (run.traces["ts"] == pd.Timestamp("2026-03-01T12:00", tz="UTC")).all()


def test_the_schema_holds_exactly_the_columns_of_the_file() -> None:
    assert list(TRACES.columns) == list(COLUMNS) == ARROW.names
    assert faults(empty_columns(2)).tolist() == ["no trace_id", "no trace_id"]


def test_a_table_of_other_types_is_a_mistake_of_the_caller() -> None:
    frame = empty_columns(1).assign(quality=np.array(["x"], dtype=object))
    with pytest.raises(TypeError, match="not a trace table"):
        faults(frame)
