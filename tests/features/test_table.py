"""Traces and split -> step table: first attempts only, each tier's outcome in its own column."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tierwise.data.errors import BadInput
from tierwise.features.context import ContextParams
from tierwise.features.steps import CERTIFY, LEARN, TEST, StepTable, load_steps
from tierwise.features.table import main, step_table

TIERS = ("small", "large")


def row(trace: str, tier: str, **more: Any) -> dict[str, Any]:
    text = f"do {trace}"
    return {"trace_id": trace, "step_id": "0", "attempt": 0, "text": text, "tier": tier, **more}


def split_of(*traces: str, parts: str = "") -> pd.DataFrame:
    named = {"l": "learn", "c": "certify", "t": "test"}
    part = [named[p] for p in parts or "l" * len(traces)]
    step = [f"{t}/0" for t in traces]
    return pd.DataFrame({"step": step, "unit": [f"u-{t}" for t in traces], "part": part})


def build(rows: list[dict[str, Any]], split: pd.DataFrame, feedback: str = "full") -> StepTable:
    return step_table(pd.DataFrame(rows), split, TIERS, feedback, ContextParams())[0]


def test_outcomes_of_several_tiers_land_in_their_columns() -> None:
    rows = [
        row("a", "large", quality=0.9, cost_usd=0.02, latency_s=2.0, valid=True),
        row("b", "small", quality=0.3, cost_usd=0.003, latency_s=None, valid=None),
        row("a", "small", quality=0.5, cost_usd=0.001, latency_s=1.0, valid=False),
    ]
    table = build(rows, split_of("a", "b"))
    np.testing.assert_array_equal(table.quality, [[0.5, 0.9], [0.3, np.nan]])
    np.testing.assert_array_equal(table.cost, [[0.001, 0.02], [0.003, np.nan]])
    np.testing.assert_array_equal(table.latency, [[1.0, 2.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(table.valid, [[0.0, 1.0], [np.nan, np.nan]])


def test_a_retry_is_no_second_sample_of_a_step() -> None:
    retried = [
        row("a", "small", quality=0.0),
        row("a", "large", quality=1.0, attempt=1),
        row("a", "small", quality=0.7, attempt=2),
    ]
    np.testing.assert_array_equal(build(retried, split_of("a")).quality, [[0.0, np.nan]])


def test_a_step_known_by_retries_alone_is_no_step() -> None:
    rows = [row("a", "small", quality=0.2), row("b", "large", quality=1.0, attempt=1)]
    table = build(rows, split_of("a", "b"))
    assert table.step.tolist() == ["a/0"]
    assert table.text == (b"do a",)


def test_an_unknown_attempt_is_a_first_one() -> None:
    rows = [row("a", "small", quality=0.2), row("b", "small", quality=0.6)]
    rows[1]["attempt"] = None
    assert build(rows, split_of("a", "b")).quality[:, 0].tolist() == [0.2, 0.6]


def test_steps_keep_their_unit_and_part_whatever_the_order_of_the_rows() -> None:
    rows = [row(t, "small", quality=q) for t, q in (("c", 0.3), ("a", 0.1), ("b", 0.2))]
    table = build(rows, split_of("b", "c", "a", parts="ctl"))
    assert table.step.tolist() == ["a/0", "b/0", "c/0"]
    assert table.unit.tolist() == ["u-a", "u-b", "u-c"]
    assert table.part.tolist() == [LEARN, CERTIFY, TEST]
    assert table.quality[:, 0].tolist() == [0.1, 0.2, 0.3]


def test_vocabularies_come_from_the_learn_part_alone() -> None:
    traces = ["a", "b", "c", "d"]
    roles = ["worker", "worker", "judge", "judge"]
    rows = [row(t, "small", role=r, n_tools=0) for t, r in zip(traces, roles, strict=True)]
    rows[3]["n_tools"] = 9  # varies outside learn alone
    split = split_of(*traces, parts="llct")
    table, columns = step_table(pd.DataFrame(rows), split, TIERS, "full", ContextParams())
    assert columns[0].vocabulary == ("worker",)
    assert "n_tools" not in [c.name for c in columns]
    np.testing.assert_array_equal(table.context[:, 0], [0, 0, np.nan, np.nan])


def test_a_table_of_required_columns_alone_makes_steps() -> None:
    rows = [{"trace_id": t, "step_id": "0", "text": t, "tier": "small"} for t in "ab"]
    table = build(rows, split_of("a", "b"))
    assert table.context.shape == (2, 4)
    np.testing.assert_array_equal(table.context[:, 2], [1, 1])
    assert np.isnan(table.context[:, [0, 1, 3]]).all()
    assert np.isnan(table.quality).all()


def test_logged_feedback_names_the_served_tier_and_its_propensity() -> None:
    rows = [row("a", "large", propensity=0.25), row("b", "small", propensity=None)]
    table = build(rows, split_of("a", "b"), "logged")
    assert table.served.tolist() == [1, 0]
    np.testing.assert_array_equal(table.propensity, [0.25, np.nan])


def test_full_feedback_has_no_served_tier() -> None:
    table = build([row("a", "small"), row("a", "large")], split_of("a"))
    assert table.served.tolist() == [-1]
    assert np.isnan(table.propensity).all()


def test_propensities_of_all_tiers_are_kept_and_tiers_left_out_have_none() -> None:
    drawn = json.dumps({"large": 1.0})
    rows = [
        row("a", "large", propensity=1.0, propensities=drawn),
        row("b", "small", propensity=0.25, propensities=None),
        row("c", "small", propensity=0.5, propensities=json.dumps({"small": 0.5, "gone": 0.5})),
    ]
    table = build(rows, split_of("a", "b", "c"), "logged")
    expected = [[0.0, 1.0], [0.25, np.nan], [0.5, np.nan]]
    np.testing.assert_array_equal(table.propensities, expected)


def test_rounded_propensities_sum_to_one() -> None:
    drawn = json.dumps({"large": 0.667, "small": 0.3335})
    rows = [row("a", "large", propensity=0.667, propensities=drawn)]
    table = build(rows, split_of("a"), "logged")
    assert table.propensities.sum() == pytest.approx(1.0, abs=1e-12)


def test_a_step_costs_all_its_attempts_and_none_that_ran_beside_it() -> None:
    rows = [
        row("a", "small", cost_usd=1.0, propensity=0.5),
        row("a", "large", cost_usd=10.0, attempt=1),
        row("a", "large", cost_usd=100.0, feedback_source="shadow"),
        row("b", "small", cost_usd=1.0, propensity=0.5),
        row("b", "large", cost_usd=None, attempt=1),
    ]
    table = build(rows, split_of("a", "b"), "logged")
    np.testing.assert_array_equal(table.ladder_cost, [11.0, np.nan])


def test_a_replayed_tier_is_known_but_was_not_served() -> None:
    rows = [
        row("a", "small", quality=0.2, feedback_source="replay"),
        row("a", "large", quality=0.9, feedback_source="serve", propensity=0.25),
        row("b", "small", quality=0.2, feedback_source="replay"),
        row("c", "small", quality=0.2),
        row("c", "large", quality=0.9),
    ]
    table = build(rows, split_of("a", "b", "c"), "mixed")
    assert table.served.tolist() == [1, -1, -1]
    np.testing.assert_array_equal(table.propensity, [0.25, np.nan, np.nan])
    np.testing.assert_array_equal(table.quality[0], [0.2, 0.9])


def test_a_long_text_is_capped_and_its_length_is_that_before() -> None:
    long = row("a", "small") | {"text": "x" * 5000 + "é"}
    table = build([long, row("b", "small") | {"text": ""}], split_of("a", "b"))
    assert len(table.text[0]) == 4097
    assert table.text_bytes.tolist() == [5002, 0]
    assert table.context[:, 2].tolist() == [5002.0, 0.0]


def test_steps_that_the_split_lacks_are_bad_input() -> None:
    with pytest.raises(BadInput, match="run split again"):
        build([row("a", "small"), row("b", "small")], split_of("a"))


def test_a_tier_that_the_catalogue_lacks_is_bad_input_and_no_other_tier() -> None:
    with pytest.raises(BadInput, match="tier"):
        build([row("a", "small", quality=0.5), row("a", "huge", quality=1.0)], split_of("a"))


def write_run(run: Path) -> list[str]:
    run.mkdir()
    rows = [row(t, tier, quality=0.5, role="worker") for t in "abc" for tier in TIERS]
    pd.DataFrame(rows).to_parquet(run / "traces.parquet")
    split_of("a", "b", "c", parts="lct").to_parquet(run / "split.parquet")
    (run / "tiers.json").write_text(json.dumps({"tiers": [{"name": t} for t in TIERS]}))
    (run / "ingest.json").write_text(json.dumps({"feedback": {"kind": "full"}}))
    (run.parent / "params.yaml").write_text("features: {least_count: 1}\n")
    return ["features", "--run", str(run), "--params", str(run.parent / "params.yaml")]


def test_the_stage_writes_the_table_and_its_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", write_run(tmp_path / "run"))
    main()
    assert load_steps(tmp_path / "run" / "steps.npz").step.tolist() == ["a/0", "b/0", "c/0"]
    columns = json.loads((tmp_path / "run" / "context.json").read_text())
    assert columns[0] == {"name": "role", "kind": "category", "vocabulary": ["worker"]}


def test_the_stage_refuses_a_run_without_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", write_run(tmp_path / "run"))
    (tmp_path / "run" / "traces.parquet").unlink()
    with pytest.raises(BadInput, match=r"traces\.parquet"):
        main()
    assert not (tmp_path / "run" / "steps.npz").exists()
