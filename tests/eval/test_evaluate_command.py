"""`tierwise evaluate`: a bundle judged on logs, from files to exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from eval_fakes import TIERS
from logged_fakes import as_traces, make_logs, with_retries, write
from numpy.typing import NDArray

from tests.test_cli import call
from tierwise.data.errors import BadInput
from tierwise.eval.off_policy import LOGGING, OWN
from tierwise.eval.off_policy_command import evaluate
from tierwise.features.steps import StepTable

NO_FILE = Path("no-roles.yaml")


def make_bundle(folder: Path, default: str = "mid", names: tuple[str, ...] = TIERS) -> Path:
    """The bundle of a role table: planners get large, workers mid, others the default."""
    folder.mkdir()
    tiers = ", ".join(f"{{name: {name}, price_in: 1, price_out: 2}}" for name in names)
    (folder / "tiers.yaml").write_text(f"tiers: [{tiers}]\n")
    (folder / "roles.yaml").write_text(
        f"default: {default}\nroles: {{planner: large, worker: mid}}\n"
    )
    written = call(
        "export", "--role-table", f"{folder}/roles.yaml", "--tiers", f"{folder}/tiers.yaml",
        "--out", f"{folder}/policy",
    )  # fmt: skip
    assert written == 0
    return folder / "policy"


@pytest.fixture
def policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    made = make_bundle(tmp_path / "bundle")
    capsys.readouterr()
    return made


@pytest.fixture
def traces() -> pd.DataFrame:
    logs, _, role = make_logs(2_000)
    return as_traces(logs, role)


def judged(policy: Path, path: Path, against: Path | None = None) -> dict[str, Any]:
    return evaluate(policy, path, against, NO_FILE).found


def test_the_policy_is_judged_beside_what_was_served_and_simple_policies(
    policy: Path, traces: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", str(policy), str(write(traces, tmp_path)), "--json") == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    names = {OWN, LOGGING, "always small", "always mid", "always large", "role table"}
    assert set(found["off_policy"]["policies"]) == names
    assert found["refused"] is None
    assert found["steps"] == 2_000
    assert sum(found["mix"].values()) == pytest.approx(1)


def test_it_serves_what_its_bundle_says(policy: Path, traces: pd.DataFrame, tmp_path: Path) -> None:
    mix = judged(policy, write(traces, tmp_path))["mix"]
    planners = (traces["role"] == "planner").mean()
    assert mix == pytest.approx({"small": 0, "mid": 1 - planners, "large": planners})


def test_people_read_the_same_numbers(
    policy: Path, traces: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(traces, tmp_path)
    own = judged(policy, path)["off_policy"]["policies"][OWN]
    assert call("evaluate", str(policy), str(path)) == 0
    said = capsys.readouterr().out
    (row,) = [line for line in said.splitlines() if line.startswith(f"  {OWN}  ")]
    assert f"{own['quality']['value']:.3f}" in row
    assert f"{own['quality']['low']:.3f} to {own['quality']['high']:.3f}" in row
    assert f"{1000 * own['cost_usd']['value']:.4g}" in row
    assert "Self-normalized (SNIPS)" in said
    assert "a diagnostic and no verdict" in said


def test_logs_without_propensities_get_a_refusal_the_audit_and_no_error(
    policy: Path, traces: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(traces.drop(columns=["propensity", "propensities"]), tmp_path)
    assert call("evaluate", str(policy), str(path), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["off_policy"] is None
    assert found["refused"].startswith("The logs do not say with what probability")
    assert found["audit"]["calls"] == 2_000
    assert call("evaluate", str(policy), str(path)) == 0
    said = capsys.readouterr().out
    assert found["refused"] in said
    assert "2,000 calls cost" in said


def test_too_few_steps_end_with_two_after_the_audit_was_printed(
    policy: Path, traces: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(traces[:250], tmp_path)
    assert call("evaluate", str(policy), str(path), "--json") == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["off_policy"] is None
    assert json.loads(printed.out)["audit"]["calls"] == 250
    assert "of 250 steps; expected 200 at least" in printed.err


def test_retries_add_to_the_cost_of_their_step_and_never_weigh(
    policy: Path, traces: pd.DataFrame, tmp_path: Path
) -> None:
    once = judged(policy, write(traces, tmp_path / "once"))["off_policy"]
    again = judged(policy, write(with_retries(traces), tmp_path / "again"))["off_policy"]
    for name in (OWN, LOGGING, "always large"):
        one, two = once["policies"][name], again["policies"][name]
        assert two["quality"] == one["quality"]
        assert two["steps"] == one["steps"]
        assert two["cost_usd"]["value"] > one["cost_usd"]["value"] + 0.001
    failed = (traces["quality"] == 0).mean()
    paid = traces["cost_usd"].mean() + 0.5 * failed
    assert again["policies"][LOGGING]["cost_usd"]["value"] == pytest.approx(paid, rel=1e-9)


def test_a_retry_s_row_is_not_what_the_policy_looks_at(
    policy: Path, traces: pd.DataFrame, tmp_path: Path
) -> None:
    table = with_retries(traces)
    table.loc[table["attempt"] == 1, "role"] = "planner"  # for whom the policy serves large
    once = judged(policy, write(traces, tmp_path / "once"))["mix"]
    assert judged(policy, write(table[::-1], tmp_path / "again"))["mix"] == once


def test_another_bundle_is_compared_on_the_same_steps(
    policy: Path, traces: pd.DataFrame, tmp_path: Path
) -> None:
    other = make_bundle(tmp_path / "other", default="small")
    path = write(traces, tmp_path)
    found = judged(policy, path, other)
    one = found["off_policy"]
    assert found["against"] == "0"
    less = one["differences"]["against 0"]
    both = one["policies"][OWN], one["policies"]["against 0"]
    for kind in ("quality", "cost_usd"):
        apart = both[0][kind]["value"] - both[1][kind]["value"]
        assert less[kind]["value"] == pytest.approx(apart, abs=1e-12)
        assert less[kind]["low"] < less[kind]["value"] < less[kind]["high"]


def test_a_policy_against_itself_differs_by_nothing(
    policy: Path, traces: pd.DataFrame, tmp_path: Path
) -> None:
    less = judged(policy, write(traces, tmp_path), policy)["off_policy"]["differences"]
    assert less["against 0"]["quality"]["value"] == less["against 0"]["quality"]["high"] == 0


def test_tiers_that_only_the_logs_know_are_no_policy_s(
    traces: pd.DataFrame, tmp_path: Path
) -> None:
    two = make_bundle(tmp_path / "two", names=("mid", "large"))
    policies = judged(two, write(traces, tmp_path))["off_policy"]["policies"]
    assert "always small" not in policies
    assert policies[OWN]["steps"] == 2_000, "its steps tell nothing wrong: they weigh nothing"


def every_outcome(n: int) -> tuple[pd.DataFrame, StepTable, NDArray[np.str_]]:
    """Traces in which all tiers answered each step, the same as steps, and their roles."""
    _, full, role = make_logs(n)
    rows = [
        as_traces(full, role).assign(
            tier=name, quality=full.quality[:, k], cost_usd=full.cost[:, k]
        )
        for k, name in enumerate(TIERS)
    ]
    return pd.concat(rows).drop(columns=["propensity", "propensities"]), full, role


def test_full_feedback_of_other_tiers_is_refused_with_both_lists_of_tiers(
    policy: Path, tmp_path: Path
) -> None:
    table, _, _ = every_outcome(60)
    with pytest.raises(BadInput) as error:
        judged(policy, write(table.assign(tier="not-" + table["tier"]), tmp_path))
    assert "has the tiers not-large, not-mid, not-small" in error.value.found
    assert error.value.expected == "some of the policy's: small, mid, large"


def test_the_audit_orders_tiers_that_no_policy_knows_by_what_they_cost(
    policy: Path, traces: pd.DataFrame, tmp_path: Path
) -> None:
    """In the order of their names the hints would call the dear one the cheap one."""
    renamed = traces.assign(tier=traces["tier"].map({"small": "z", "mid": "m", "large": "a"}))
    found = judged(policy, write(renamed, tmp_path))
    assert all(list(tiers) == ["z", "m", "a"] for tiers in found["audit"]["by_role"].values())


def test_full_feedback_is_judged_by_plain_means(policy: Path, tmp_path: Path) -> None:
    table, full, role = every_outcome(600)
    found = judged(policy, write(table, tmp_path))
    assert found["feedback"] == "full"
    served = np.where(role == "planner", 2, 1)
    mean = full.quality[np.arange(600), served].mean()
    value = found["off_policy"]["policies"][OWN]["quality"]["value"]
    assert value == pytest.approx(mean, abs=1e-12)


def test_a_policy_is_not_judged_on_the_steps_it_was_learned_from(
    traces: pd.DataFrame, tmp_path: Path
) -> None:
    policy = make_bundle(tmp_path / "run")
    traces.assign(group=traces["trace_id"]).to_parquet(tmp_path / "run" / "traces.parquet")
    (tmp_path / "run" / "ingest.json").write_text('{"feedback": {"kind": "logged"}}')
    with pytest.raises(BadInput, match=r"without its split\.parquet"):
        judged(policy, tmp_path / "run")
    step = traces["trace_id"] + "/" + traces["step_id"]
    part = np.where(np.arange(2_000) < 1_500, "test", "learn")
    pd.DataFrame({"step": step, "unit": traces["trace_id"], "part": part}).to_parquet(
        tmp_path / "run" / "split.parquet"
    )
    found = judged(policy, tmp_path / "run")
    assert found["steps"] == 1_500
    assert "test part" in found["about"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("traces.parquet", None), ("split.parquet", None),
        ("ingest.json", "{}"), ("ingest.json", "[]"), ("ingest.json", '{"feedback'),
    ],
)  # fmt: skip
def test_a_damaged_file_of_a_run_is_one_line_that_names_it(
    name: str,
    content: str | None,
    traces: pd.DataFrame,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Half of a Parquet file, JSON of another kind."""
    policy, run = make_bundle(tmp_path / "run"), tmp_path / "run"
    traces.to_parquet(run / "traces.parquet")
    step = traces["trace_id"] + "/" + traces["step_id"]
    pd.DataFrame({"step": step, "part": "test"}).to_parquet(run / "split.parquet")
    (run / "ingest.json").write_text('{"feedback": {"kind": "logged"}}')
    whole = (run / name).read_bytes()
    (run / name).write_bytes(whole[: len(whole) // 2] if content is None else content.encode())
    for command in ["evaluate", "table"] if name.endswith("parquet") else ["evaluate"]:
        capsys.readouterr()
        assert call(command, str(policy), str(run)) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert name in said


def test_a_missing_table_is_one_line_and_exit_code_two(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", str(policy), str(tmp_path / "none.parquet")) == 2
    said = capsys.readouterr().err
    assert said.startswith("tierwise: no file")
    assert said.count("\n") == 1
