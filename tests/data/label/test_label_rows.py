"""Labels as rows: what ingest makes of them, and what they keep of their step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tierwise.data.ingest import IngestParams, ingest
from tierwise.data.label_judge import by_function
from tierwise.data.label_run import Judge, run
from tierwise.data.label_work import Limits

Rows = Callable[..., list[dict[str, Any]]]
Said = Mapping[str, Any]

FEW = IngestParams(min_steps=10)


def read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def test_ingest_of_log_and_labels_finds_the_paired_steps_that_the_plan_promised(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(20))
    plan, promised = plan_of(source, 0.1)
    report = carry_out(plan, source, tmp_path / "out", answering(quality=1.0))
    assert report.complete
    both = tmp_path / "both"
    both.mkdir()
    (both / "traces.jsonl").write_bytes(log.path.read_bytes())
    (both / "labels.parquet").write_bytes((tmp_path / "out" / "labels.parquet").read_bytes())
    for folder in (both, tmp_path / "out" / "joined.parquet"):
        summary = ingest(str(folder), tmp_path / "run", log.tiers, {}, FEW, True)
        assert summary.rejected == 0
        assert summary.feedback == promised
        assert summary.feedback.kind == "mixed"
        assert summary.feedback.paired_steps == sum(len(t.steps) for t in plan.traces) > 0


def test_labels_for_everything_make_full_feedback(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(8))
    carry_out(plan_of(source)[0], source, tmp_path / "out", answering(quality=1.0))
    joined = str(tmp_path / "out" / "joined.parquet")
    summary = ingest(joined, tmp_path / "run", log.tiers, {}, FEW, True)
    assert (summary.feedback.kind, summary.feedback.paired_steps) == ("full", 32)


def test_a_replay_is_a_row_of_its_step_without_a_propensity(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(1, has_schema=True, group="g7", policy_version="v3", ts=1.7e9))
    plan, _ = plan_of(source, tiers=("mid",))
    carry_out(plan, source, tmp_path / "out", answering(quality=0.5, quality_source="unit_test"))
    labels = read(tmp_path / "out" / "labels.parquet")
    assert sorted(labels["step_id"]) == ["0", "2", "3"]
    row = labels.sort_values("step_id").iloc[0]
    wanted = {
        "trace_id": "t000", "attempt": 0, "group": "g7", "text": "question 0 of task 0",
        "role": "worker", "has_schema": True, "tier": "mid", "model": "mid-model",
        "feedback_source": "replay", "output_text": "new answer", "input_tokens": 100,
        "output_tokens": 50, "quality": 0.5, "quality_source": "unit_test",
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    assert row["cost_usd"] == pytest.approx((100 * 3 + 50 * 6) / 1e6)
    assert row["latency_s"] >= 0
    assert row[["propensity", "propensities", "policy_version", "explored", "ts"]].isna().all()


def test_a_callable_may_say_that_its_answer_was_a_shadow(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(1))
    plan, _ = plan_of(source, tiers=("mid",))
    carry_out(plan, source, tmp_path / "out", answering(feedback_source="shadow"))
    assert set(read(tmp_path / "out" / "labels.parquet")["feedback_source"]) == {"shadow"}


def test_the_logs_rows_keep_their_propensity_and_get_their_judged_quality(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path
) -> None:
    table = rows(2, quality=None, quality_source=None)
    table[0] |= {"quality": 1.0, "quality_source": "user"}
    source = log.write(table)
    plan, _ = plan_of(source, tiers=(), judge="large")
    report = run(
        plan, source, tmp_path / "out", None,
        Judge(by_function(lambda r: {"quality": 0.75, "cost_usd": 0.0}, plan.arm("large"))),
        Limits(1.0),
    )  # fmt: skip
    assert (report.complete, report.judged, report.answers) == (True, 7, 0)
    joined = read(tmp_path / "out" / "joined.parquet")
    assert list(joined["quality"]) == [1.0] + [0.75] * 7
    assert list(joined["quality_source"]) == ["user"] + ["judge"] * 7
    assert (joined["propensity"] == 0.25).all()
    assert len(read(tmp_path / "out" / "labels.parquet")) == 0


def test_the_probability_of_each_trace_is_kept_beside_the_labels(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows())
    plan, _ = plan_of(source, 0.3)
    carry_out(plan, source, tmp_path / "out", answering())
    kept = read(tmp_path / "out" / "inclusion.parquet")
    assert dict(zip(kept["trace_id"], kept["probability"], strict=True)) == {
        trace.trace_id: trace.probability for trace in plan.traces
    }
    assert 0 < kept["probability"].max() < 1


def test_an_answer_of_any_text_becomes_a_row(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, answering: Any, carry_out: Any
) -> None:
    source = log.write(rows(1))
    strange = 'half \ud83d a pair, "quotes",\nnew lines \x00 and 汉字'
    plan, _ = plan_of(source, tiers=("mid",))
    carry_out(plan, source, tmp_path / "out", answering(text=strange))
    text = read(tmp_path / "out" / "labels.parquet")["output_text"].iloc[0]
    assert text == strange.replace("\ud83d", "\N{REPLACEMENT CHARACTER}")
