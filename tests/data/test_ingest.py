"""Faults of the whole input stop the stage with one line; everything else becomes a trace table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierwise.data.errors import BadInput
from tierwise.data.mapping import check_source, parse_mapping

Row = dict[str, Any]
Log = Callable[..., list[Row]]
WRITTEN = ["ingest.json", "rejects.parquet", "tiers.json", "traces.parquet"]


def stage(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the stage as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "tierwise.data.ingest", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )


def refused(run: Any, rows: list[Row], **limits: Any) -> str:
    with pytest.raises(BadInput) as caught:
        run(rows, **limits)
    assert not any(run.folder.glob("*")), "something half-written stayed"
    return str(caught.value)


def test_an_empty_table_is_refused(run: Any) -> None:
    assert "no rows in" in refused(run, [])


def test_one_tier_is_refused(run: Any, log: Log) -> None:
    assert "only the tier 'small'" in refused(run, log(tiers=("small",)))


def test_too_few_steps_are_refused(run: Any, log: Log) -> None:
    assert "199 steps" in refused(run, log(199))


def test_a_table_without_any_cost_is_refused(run: Any, log: Log) -> None:
    assert "no cost is known" in refused(run, [row | {"cost_usd": None} for row in log()])


def test_too_many_bad_rows_are_refused_with_the_commonest_reason(run: Any, log: Log) -> None:
    rows = [*log(), *({**row, "trace_id": "more"} for row in log(4))]
    rows[0]["trace_id"] = None
    for row in rows[1:41:2]:
        row["quality"] = 2
    said = refused(run, rows)
    assert "21 of 408 rows" in said
    assert "(20 times): quality outside 0..1" in said
    assert run(rows, max_reject_share=0.06).rejected == 21


def test_a_file_that_is_no_json_is_refused_as_such(run: Any, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("hello\n" * 300)
    with pytest.raises(BadInput, match=r"300 of 300 rows .* not JSON"):
        run.read(tmp_path / "log.jsonl")


def test_hundreds_of_tiers_are_a_wrongly_mapped_column(run: Any, log: Log) -> None:
    rows = [row | {"tier": f"{row['tier']}{i}"} for i, row in enumerate(log())]
    assert "more than 256 different tiers" in refused(run, rows)


def test_a_missing_column_is_answered_with_the_likely_mapping(run: Any, log: Log) -> None:
    names = {"trace_id": "session", "text": "prompt", "tier": "model", "quality": "score"}
    rows = [{names.get(name, name): cell for name, cell in row.items()} for row in log()]
    said = refused(run, rows)
    assert "--map trace_id=session,text=prompt,tier=model,quality=score" in said


def test_a_mapping_renames_and_may_use_one_column_twice(
    run: Any, log: Log, tmp_path: Path, lines: Any
) -> None:
    rows = [{"session": r["trace_id"], "prompt": r["text"], "model": r["tier"]} | r for r in log()]
    for row in rows:
        row["workload"] = "of another kind"
    source = lines(tmp_path / "log.jsonl", rows)
    mapping = parse_mapping("trace_id=session, text=prompt,tier=model,group=session,workload=")
    summary = run.read(source, mapping=mapping)
    assert summary.left_out == ("text", "tier", "trace_id", "workload")
    assert (run.traces["group"] == run.traces["trace_id"]).all()
    assert run.traces["workload"].isna().all()


@pytest.mark.parametrize("text", ["text", "nonsense=prompt"])
def test_a_mapping_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_mapping(text)


def test_a_mapping_to_a_column_that_is_not_there_names_those_that_are(
    run: Any, log: Log, tmp_path: Path, lines: Any
) -> None:
    source = lines(tmp_path / "log.jsonl", log())
    with pytest.raises(BadInput, match=r"no column 'prompt' in log.jsonl.*trace_id, step_id, text"):
        run.read(source, mapping={"text": "prompt"})


def test_columns_of_no_use_are_left_out_and_named(run: Any, log: Log) -> None:
    summary = run([row | {"color": "red"} for row in log()])
    assert summary.left_out == ("color",)
    assert "columns left out: color" in summary.lines()
    assert "color" not in run.traces


def test_the_summary_counts_what_the_table_holds(run: Any, log: Log) -> None:
    rows = log()
    rows[0]["quality"] = None
    summary = run(rows)
    assert (summary.rows, summary.steps, summary.traces) == (400, 200, 50)
    assert dict(summary.tiers) == {"small": 200, "large": 200}
    assert summary.known["quality"] == pytest.approx(399 / 400)
    assert summary.known["latency_s"] == 0
    assert json.loads((run.folder / "ingest.json").read_text()) == json.loads(
        json.dumps(summary.as_dict())
    )


def test_equal_input_gives_equal_bytes(run: Any, log: Log) -> None:
    first, second = [
        (run(log()), [(run.folder / name).read_bytes() for name in WRITTEN])[1] for _ in range(2)
    ]
    assert first == second
    assert sorted(path.name for path in run.folder.iterdir()) == WRITTEN


def test_a_failed_run_leaves_the_results_of_the_last_good_one(run: Any, log: Log) -> None:
    run(log())
    before = (run.folder / "traces.parquet").read_bytes()
    with pytest.raises(BadInput):
        run(log(10))
    assert (run.folder / "traces.parquet").read_bytes() == before
    assert sorted(path.name for path in run.folder.iterdir()) == WRITTEN


def test_a_dry_run_says_the_same_and_writes_nothing(
    run: Any, log: Log, tmp_path: Path, lines: Any
) -> None:
    source = lines(tmp_path / "log.jsonl", log())
    dry = run.read(source, dry_run=True)
    assert not run.folder.exists()
    assert run.read(source) == dry


def test_all_equal_qualities_and_no_quality_at_all_are_legal(run: Any, log: Log) -> None:
    assert run([row | {"quality": 1} for row in log()]).feedback.kind == "full"
    summary = run([row | {"quality": None} for row in log()])
    assert summary.feedback.kind == "none"
    assert not any(promise.allowed for promise in summary.feedback.promises)


def test_steps_without_a_name_are_named_by_their_index(run: Any, log: Log) -> None:
    run([row | {"step_id": None, "step_index": int(row["step_id"])} for row in log()])
    assert set(run.traces["step_id"]) == {"0", "1", "2", "3"}


def test_steps_without_name_and_index_are_told_apart_by_their_text(run: Any, log: Log) -> None:
    rows = [row | {"step_id": None} for row in log()]
    summary = run([*rows, rows[0]])  # the first question of t0000 comes again for the small tier
    assert summary.steps == 201
    assert summary.feedback.kind == "full"


def test_the_same_step_name_in_two_traces_is_two_steps(run: Any, log: Log) -> None:
    assert run(log()).steps == 200  # step_id is 0..3 in each of 50 traces


def test_bad_input_on_the_command_line_is_one_line_and_exit_code_2(
    tmp_path: Path, log: Log, lines: Any
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("ingest: {}\n")
    source = lines(tmp_path / "log.jsonl", [{"prompt": 1, "id": 2, "model": 3}])
    done = stage("--run", tmp_path / "run", "--params", params, "--source", source)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "--map trace_id=id,text=prompt,tier=model" in done.stderr


def test_an_unknown_parameter_is_exit_code_2_and_names_the_nearest(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("ingest: {min_step: 3}\n")
    done = stage("--run", tmp_path, "--params", params, "--source", "x.csv")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "did you mean ingest.min_steps?" in done.stderr


def test_the_stage_prints_its_summary_and_nothing_to_stderr(
    tmp_path: Path, log: Log, lines: Any
) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("ingest: {}\n")
    source = lines(tmp_path / "log.jsonl", log())
    done = stage("--run", tmp_path / "run", "--params", params, "--source", source)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("400 rows, 200 steps, 50 traces\n")


def test_a_proposed_mapping_holds_what_was_given_already() -> None:
    columns = ["prompt", "model", "score", "session_id"]
    with pytest.raises(BadInput, match="--map text=prompt,tier=model,trace_id=session_id,"):
        check_source(columns, {"text": "prompt", "tier": "model"}, "log.csv")
