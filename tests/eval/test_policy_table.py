"""The policy's table: what the graph serves on the steps it was not learned from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.router_model.policies import random_model, random_spec
from tests.training.fits import ROLES, TASKS
from tierwise.data.errors import BadInput
from tierwise.data.tiers import Tier
from tierwise.eval import policy_lines, policy_steps
from tierwise.eval.policy_table import policy_table
from tierwise.router_model.build import rule
from tierwise.router_model.bundle import verify_bundle, write_bundle
from tierwise.router_model.floors import floor_table
from tierwise.router_model.golden import make_golden
from tierwise.router_model.graph import build_graph, serialize, set_floors
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.runtime import PolicyGraph

WORDS = ("copy the file", "prove it", "derive a bound", "HTTPServer 42", "list == data")


def make_traces(n: int = 240, n_tiers: int = 3, seed: int = 0) -> pd.DataFrame:
    """Every tier answers every step, a retry of the first tier besides; traces of two steps."""
    rng = np.random.default_rng(seed)
    steps = pd.DataFrame(
        {
            "trace_id": [f"t{i // 2:03}" for i in range(n)],
            "step_id": [str(i % 2) for i in range(n)],
            "text": rng.choice(WORDS, n),
            "role": rng.choice([*ROLES, None], n),
            "task_type": rng.choice(TASKS, n),
            "input_complexity": rng.integers(1, 11, n).astype(float),
            "latency_tolerance_s": rng.choice([5.0, 5.0, 60.0], n),
            "irreversible": pd.array(rng.choice([True, False, None], n), dtype="boolean"),
        }
    )
    rows = pd.concat(
        [
            steps.assign(
                tier=f"tier{k}",
                attempt=attempt,
                quality=(rng.random(n) < 0.3 + 0.6 * k / n_tiers).astype(float) if not attempt
                else 1.0,
                valid=pd.array(rng.random(n) < 0.8, dtype="boolean"),
            )
            for k, attempt in [*((k, 0) for k in range(n_tiers)), (0, 1)]
        ]
    )  # fmt: skip
    return rows.reset_index(drop=True)


def write_policy(folder: Path, n_tiers: int = 3, point: int = 6, **changes: Any) -> Path:
    spec = random_spec(n_tiers)
    strata = [{"name": "rest", "roles": list(ROLES), "points": [point], "units": 40}]
    floors = {
        "floor": {"kind": "retain", "level": 0.95},
        "levels": [0.95],
        "strata": strata,
        "chosen": {"rest": point},
        "reference": spec.tiers[spec.reference],
    }
    graph = serialize(build_graph(random_model(n_tiers), spec))
    graph = set_floors(graph, floor_table(floors, spec))
    manifest = Manifest(
        policy_version="v1",
        tiers=tuple(Tier(name) for name in spec.tiers),
        context=spec.context,
        fallback=spec.tiers[-1],
        bits=spec.bits,
        pair_bits=spec.pair_bits,
        rule=rule(spec),
        floors=floors,
        promise="In words.",
    )
    write_bundle(folder, graph, replace(manifest, **changes), make_golden(PolicyGraph(graph)))
    return folder


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "traces.parquet"
    path.parent.mkdir()
    make_traces().to_parquet(path)
    return path


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write_policy(tmp_path / "run" / "policy")


def made(policy: Path, traces: Path | None, **more: Any) -> dict[str, Any]:
    return policy_table(policy, traces, np.random.default_rng(0), **more)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_step_is_in_one_row_and_retries_are_no_steps(policy: Path, traces: Path) -> None:
    found = made(policy, traces)
    assert found["all"]["steps"] == 240
    assert sum(row["steps"] for row in found["rows"]) == 240
    pairs = [(row["role"], row["task"]) for row in found["rows"]]
    assert len(set(pairs)) == len(pairs) == 8
    assert (None, "extract") in pairs


def test_a_row_is_what_the_graph_serves_on_its_steps(policy: Path, traces: Path) -> None:
    frame = pd.read_parquet(traces)
    some = frame[(frame["role"] == "critic") & (frame["task_type"] == "reason")]
    some = some[(some["tier"] == "tier0") & (some["attempt"] == 0)]
    graph, names = verify_bundle(policy).graph, ("tier0", "tier1", "tier2")
    decisions = []
    for _, step in some.iterrows():
        text = step["text"].encode()
        # worker, planner, critic; extract, reason; bytes, tokens, complexity, has_schema
        context = [2, 1, len(text), np.nan, step["input_complexity"], np.nan]
        decisions.append(graph.decide(text, np.array([context], np.float32)))
    numbers = np.stack(decisions).astype(float)
    tier = numbers[:, 0].astype(int)
    row = next(r for r in made(policy, traces)["rows"] if (r["role"], r["task"]) == (
        "critic", "reason"))  # fmt: skip
    assert row["steps"] == len(some)
    assert row["mix"] == {n: pytest.approx((tier == i).mean()) for i, n in enumerate(names)}
    assert row["tier"] == names[np.bincount(tier).argmax()]
    at = np.arange(len(tier))
    assert row["quality_kept"] == pytest.approx(
        numbers[at, 8 + tier].sum() / numbers[:, 10].sum(), rel=1e-5
    )
    assert row["saved"] == pytest.approx(
        1 - numbers[at, 14 + tier].sum() / numbers[:, 16].sum(), rel=1e-4
    )
    assert row["cost_per_1000_usd"] == pytest.approx(1000 * numbers[at, 14 + tier].mean())
    quality = frame[frame["attempt"] == 0].pivot(
        index=["trace_id", "step_id"], columns="tier", values="quality"
    )
    outcome = quality.loc[list(zip(some["trace_id"], some["step_id"], strict=True))].to_numpy()
    measured = row["measured"]["quality_kept"]
    assert measured["value"] == pytest.approx(outcome[at, tier].sum() / outcome[:, 2].sum())
    assert measured["low"] <= measured["value"] <= measured["high"]
    assert row["measured"]["units"] == some["trace_id"].nunique()


def test_rows_stand_by_money(policy: Path, traces: Path) -> None:
    found = made(policy, traces)
    money = [row["cost_usd"] for row in found["rows"]]
    assert money == sorted(money, reverse=True)
    assert sum(money) == pytest.approx(found["all"]["cost_usd"])


def test_dimensions_are_those_the_columns_know(policy: Path, traces: Path) -> None:
    frame = pd.read_parquet(traces)
    one = frame[frame["attempt"] == 0].drop_duplicates(["trace_id", "step_id"])
    said = made(policy, traces)["all"]["dimensions"]
    assert said["input_complexity"] == pytest.approx(one["input_complexity"].mean())
    assert said["latency_tolerance_s"] == one["latency_tolerance_s"].median()
    assert said["irreversible"] == pytest.approx(float(one["irreversible"].mean()))
    assert said["valid"] == pytest.approx(float(frame[frame["attempt"] == 0]["valid"].mean()))
    assert said["user_visible"] is None


def test_of_the_own_run_only_the_test_part_is_shown(policy: Path, traces: Path) -> None:
    frame = pd.read_parquet(traces)
    frame.to_parquet(policy.parent / "traces.parquet")
    key = (frame["trace_id"] + "/" + frame["step_id"]).drop_duplicates()
    part = np.where(key.str.slice(1, 4).astype(int) < 90, "learn", "test")
    pd.DataFrame({"step": key, "unit": key, "part": part}).to_parquet(
        policy.parent / "split.parquet"
    )
    found = made(policy, None)
    assert found["all"]["steps"] == 60
    assert "test part" in found["about"]
    assert found["all"]["measured"]["steps"] == 60


def test_it_is_not_judged_on_what_it_was_learned_from(tmp_path: Path, traces: Path) -> None:
    policy = write_policy(tmp_path / "learned", table_sha256=digest(traces))
    found = made(policy, traces)
    assert found["all"]["steps"] == 240
    assert all(row["measured"] is None for row in [found["all"], *found["rows"]])
    assert "learned from" in found["about"]


def test_logged_feedback_measures_nothing(policy: Path, traces: Path) -> None:
    """The steps where the logs happen to hold both tiers are no fair sample."""
    frame = pd.read_parquet(traces)
    kept = np.random.default_rng(1).random(len(frame)) < 0.5
    frame["quality"] = frame["quality"].where(kept & (frame["tier"] != "tier1"))
    frame.to_parquet(traces)
    found = made(policy, traces)
    assert found["all"]["measured"] is None
    assert found["all"]["lead"] is not None


@pytest.mark.parametrize("n_tiers", [2, 16])
def test_a_policy_may_have_2_to_16_tiers(tmp_path: Path, n_tiers: int) -> None:
    policy = write_policy(tmp_path / "policy", n_tiers)
    make_traces(60, n_tiers).to_parquet(tmp_path / "t.parquet")
    found = made(policy, tmp_path / "t.parquet")
    assert len(found["all"]["mix"]) == n_tiers
    assert sum(found["all"]["mix"].values()) == pytest.approx(1)
    assert policy_lines.lines(found)


def test_without_roles_tasks_and_outcomes_there_is_one_row(policy: Path, traces: Path) -> None:
    columns = ["trace_id", "step_id", "text", "tier"]
    pd.read_parquet(traces)[columns].to_parquet(traces)
    found = made(policy, traces)
    assert [(row["role"], row["task"]) for row in found["rows"]] == [(None, None)]
    assert found["all"]["measured"] is None
    said = policy_lines.lines(found)
    assert "says nothing of reasoning" in said[-1]


def test_of_many_steps_some_are_taken_evenly_and_it_says_so(policy: Path, traces: Path) -> None:
    found = made(policy, traces, most=100)
    assert found["all"]["steps"] == 100
    assert "100 of 240" in found["about"]
    assert found["all"]["measured"]["units"] > 60


def test_where_nothing_is_certified_the_reference_serves_all(tmp_path: Path, traces: Path) -> None:
    found = made(write_policy(tmp_path / "policy", point=-1), traces)
    row = found["all"]
    assert (row["tier"], row["share"], row["saved"]) == ("tier2", 1.0, 0.0)
    assert row["reasons"] == {"not_certified": 240}
    assert row["lead"] is None
    assert found["policy"]["strata"][0] | {"roles": []} == {
        "name": "rest", "roles": [], "certified": False, "strictest": None, "units": 40,
    }  # fmt: skip


def test_a_bundle_alone_says_its_tiers_and_floors(policy: Path) -> None:
    found = made(policy, None)
    assert list(found) == ["policy"]
    assert found["policy"]["strata"][0]["certified"]
    said = "\n".join(policy_lines.lines(found))
    assert "In words." in said
    assert "rest: worker, planner, critic" in said


def test_the_table_is_json_without_nan(policy: Path, traces: Path) -> None:
    text = json.dumps(made(policy, traces), allow_nan=False)
    assert json.loads(text)["all"]["steps"] == 240


def test_lines_name_every_row_up_to_the_limit(
    policy: Path, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = made(policy, traces)
    said = "\n".join(policy_lines.lines(found))
    assert "measured: quality kept" in said
    monkeypatch.setattr(policy_lines, "SHOWN", 3)
    assert "and 5 more rows" in "\n".join(policy_lines.lines(found))


def test_names_cannot_break_a_line(policy: Path, traces: Path) -> None:
    frame = pd.read_parquet(traces)
    frame["role"] = "a\nb" + "c" * 99
    frame.to_parquet(traces)
    said = policy_lines.lines(made(policy, traces))
    assert all("\n" not in line and len(line) < 400 for line in said)


@pytest.mark.parametrize("column", policy_steps.NEEDED)
def test_a_table_without_a_needed_column_is_bad_input(
    policy: Path, traces: Path, column: str
) -> None:
    pd.read_parquet(traces).drop(columns=column).to_parquet(traces)
    with pytest.raises(BadInput, match=f"no column {column}"):
        made(policy, traces)


def test_a_table_without_steps_is_bad_input(policy: Path, traces: Path) -> None:
    pd.read_parquet(traces)[:0].to_parquet(traces)
    with pytest.raises(BadInput, match="no step"):
        made(policy, traces)
